//! The playbook's questions, one file each. A new one is a file, two lines here and an entry in `T1133.yml`.

mod edr_related;
mod geo_matches_known_location_or_travel;
mod ip_seen_before;
mod known_malicious_ip;
mod lateral_movement;
mod mfa_bypassed_or_absent;
mod privilege_inconsistent_with_role;

use crate::view::{Answer, CaseView};

/// The text of a question, and its place among the others, stand in the book.
pub struct Question {
    pub id: &'static str,
    pub answer: fn(&CaseView<'_>) -> Answer,
}

pub static QUESTIONS: &[&Question] = &[
    &ip_seen_before::QUESTION,
    &lateral_movement::QUESTION,
    &mfa_bypassed_or_absent::QUESTION,
    &geo_matches_known_location_or_travel::QUESTION,
    &privilege_inconsistent_with_role::QUESTION,
    &known_malicious_ip::QUESTION,
    &edr_related::QUESTION,
];
