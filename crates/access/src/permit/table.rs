//! The table: a verb, the roles that may, and under which conditions. What no row allows is refused.

use super::verb::Verb;
use crate::role::Role;

/// One row. A verb may have several; one that holds is enough.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    pub verb: Verb,
    pub roles: &'static [Role],
    pub conditions: &'static [Condition],
}

/// What must hold besides the role. That a restricted case is seen by its members alone holds for every verb on cases
/// and plans, and stands in no row.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Condition {
    /// Somebody who signed in, not a token.
    Person,
    /// The sign-in had a second factor.
    SecondFactor,
    /// Somebody else proposed or wrote it.
    NotOwn,
    /// No connector of the plan was changed by the same person without a review.
    NotOwnConnector,
    /// All of it can be undone, and it does not hit many.
    WithinT2,
    /// Enough others have approved it.
    Approved,
    /// The case has not left L1.
    StillL1,
    NotTlpRed,
    /// PAP:CLEAR or PAP:GREEN.
    PapAllowsActing,
    NotOneself,
    Oneself,
    /// The token's own source.
    OwnSource,
}

impl Condition {
    pub const ALL: [Condition; 12] = [
        Condition::Person,
        Condition::SecondFactor,
        Condition::NotOwn,
        Condition::NotOwnConnector,
        Condition::WithinT2,
        Condition::Approved,
        Condition::StillL1,
        Condition::NotTlpRed,
        Condition::PapAllowsActing,
        Condition::NotOneself,
        Condition::Oneself,
        Condition::OwnSource,
    ];

    /// For the page.
    pub fn title(self) -> &'static str {
        match self {
            Condition::Person => "a person who signed in, never a token",
            Condition::SecondFactor => "signed in with a second factor",
            Condition::NotOwn => "somebody else proposed or wrote it",
            Condition::NotOwnConnector => "not where one's own unreviewed change of a connector is used",
            Condition::WithinT2 => "all of it can be undone and it does not hit many",
            Condition::Approved => "enough others have approved it",
            Condition::StillL1 => "the case has not left L1",
            Condition::NotTlpRed => "the case is not TLP:RED",
            Condition::PapAllowsActing => "the case is PAP:CLEAR or PAP:GREEN",
            Condition::NotOneself => "not one's own account",
            Condition::Oneself => "one's own account alone",
            Condition::OwnSource => "for the token's own source",
        }
    }
}

use Condition::{
    Approved, NotOneself, NotOwn, NotOwnConnector, NotTlpRed, Oneself, OwnSource, PapAllowsActing, Person,
    SecondFactor, StillL1, WithinT2,
};

const READERS: &[Role] = &[Role::Viewer, Role::L1, Role::T2, Role::T3, Role::Auditor];
const PEOPLE: &[Role] = &[Role::Viewer, Role::L1, Role::T2, Role::T3, Role::ResponderAdmin, Role::Auditor];
const ANALYSTS: &[Role] = &[Role::L1, Role::T2, Role::T3];
const SEARCHERS: &[Role] = &[Role::L1, Role::T2, Role::T3, Role::Auditor];
const SENIORS: &[Role] = &[Role::T2, Role::T3];
const T2: &[Role] = &[Role::T2];
const T3: &[Role] = &[Role::T3];
const ADMIN: &[Role] = &[Role::ResponderAdmin];
const OVERSIGHT: &[Role] = &[Role::ResponderAdmin, Role::Auditor];
const AUDITOR: &[Role] = &[Role::Auditor];

const fn rule(verb: Verb, roles: &'static [Role], conditions: &'static [Condition]) -> Rule {
    Rule { verb, roles, conditions }
}

pub static RULES: &[Rule] = &[
    rule(Verb::CaseList, READERS, &[]),
    rule(Verb::CaseRead, READERS, &[]),
    rule(Verb::CaseAssign, ANALYSTS, &[]),
    rule(Verb::CaseNote, ANALYSTS, &[]),
    rule(Verb::CaseTask, ANALYSTS, &[]),
    rule(Verb::CaseAnswer, ANALYSTS, &[]),
    rule(Verb::CaseDecide, ANALYSTS, &[]),
    rule(Verb::CaseEscalate, ANALYSTS, &[]),
    rule(Verb::CaseClose, &[Role::L1], &[StillL1]),
    rule(Verb::CaseClose, SENIORS, &[]),
    rule(Verb::CaseReopen, ANALYSTS, &[]),
    rule(Verb::CaseMerge, ANALYSTS, &[]),
    rule(Verb::CaseRestrict, SENIORS, &[]),
    rule(Verb::CaseSuppress, ANALYSTS, &[]),
    rule(Verb::SuppressionRead, READERS, &[]),
    rule(Verb::SuppressionReview, SENIORS, &[NotOwn]),
    rule(Verb::AskCreate, ANALYSTS, &[PapAllowsActing]),
    rule(Verb::EvidenceRead, SEARCHERS, &[]),
    rule(Verb::EvidenceAttach, ANALYSTS, &[]),
    rule(Verb::EvidenceCollect, T3, &[SecondFactor, PapAllowsActing]),
    rule(Verb::SearchRun, SEARCHERS, &[]),
    rule(Verb::EntityRead, READERS, &[]),
    rule(Verb::ContentRead, PEOPLE, &[]),
    rule(Verb::ExportMake, SEARCHERS, &[NotTlpRed]),
    rule(Verb::ContainmentPropose, ANALYSTS, &[]),
    rule(
        Verb::ContainmentApprove,
        T2,
        &[Person, SecondFactor, NotOwn, NotOwnConnector, WithinT2, PapAllowsActing],
    ),
    rule(Verb::ContainmentApprove, T3, &[Person, SecondFactor, NotOwn, NotOwnConnector, PapAllowsActing]),
    rule(Verb::ContainmentReject, ANALYSTS, &[Person]),
    rule(Verb::ContainmentBreakGlass, SENIORS, &[Person, SecondFactor, PapAllowsActing]),
    rule(Verb::ContainmentApply, SENIORS, &[SecondFactor, Approved, PapAllowsActing]),
    rule(Verb::ContainmentUndo, SENIORS, &[SecondFactor]),
    rule(Verb::ConnectorRead, &[Role::L1, Role::T2, Role::T3, Role::ResponderAdmin, Role::Auditor], &[]),
    rule(Verb::ConnectorConfigure, ADMIN, &[Person, SecondFactor]),
    rule(Verb::ConnectorApprove, ADMIN, &[Person, SecondFactor, NotOwn]),
    rule(Verb::WebhookManage, ADMIN, &[Person, SecondFactor]),
    rule(Verb::UserRead, OVERSIGHT, &[]),
    rule(Verb::UserManage, ADMIN, &[Person, SecondFactor, NotOneself]),
    rule(Verb::SelfManage, PEOPLE, &[Person, Oneself]),
    rule(Verb::TokenRead, OVERSIGHT, &[]),
    rule(Verb::TokenManage, ADMIN, &[Person, SecondFactor]),
    rule(Verb::TokenOwn, PEOPLE, &[Person, SecondFactor, Oneself]),
    rule(Verb::SourceRead, PEOPLE, &[]),
    rule(Verb::SourceManage, ADMIN, &[SecondFactor]),
    rule(Verb::AuditRead, AUDITOR, &[]),
    rule(Verb::AuditVerify, AUDITOR, &[]),
    rule(Verb::HealthRead, PEOPLE, &[]),
    rule(Verb::MetricsRead, PEOPLE, &[]),
    rule(Verb::ConfigRead, OVERSIGHT, &[]),
    rule(Verb::ConfigReload, ADMIN, &[SecondFactor]),
    rule(Verb::IngestWrite, &[Role::Ingest], &[OwnSource]),
];

pub(super) fn rules(verb: Verb) -> impl Iterator<Item = &'static Rule> {
    RULES.iter().filter(move |rule| rule.verb == verb)
}
