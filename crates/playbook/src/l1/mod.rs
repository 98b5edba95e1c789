//! The playbook's additional steps for L1, done as far as the logs allow.

mod location_or_travel;
mod session_is_legitimate;

use crate::view::{Answer, CaseView, Taken};

pub struct L1Step {
    pub id: &'static str,
    pub take: fn(&CaseView<'_>, &[(&'static str, Answer)]) -> Taken,
}

pub static STEPS: &[&L1Step] = &[&session_is_legitimate::STEP, &location_or_travel::STEP];
