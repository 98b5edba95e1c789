//! All that can be done, by name.

use super::object::Kind;
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! verbs {
    ($($name:ident $id:literal $kind:ident $effect:ident $title:literal,)*) => {
        /// What is done. The ids stand in the audit log, in the scopes of tokens and in the configuration.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        pub enum Verb { $(#[serde(rename = $id)] $name,)* }

        impl Verb {
            pub const ALL: &'static [Verb] = &[$(Verb::$name,)*];

            pub fn id(self) -> &'static str {
                match self { $(Verb::$name => $id,)* }
            }

            /// As a page says it.
            pub fn title(self) -> &'static str {
                match self { $(Verb::$name => $title,)* }
            }

            /// What it is done to.
            pub fn kind(self) -> Kind {
                match self { $(Verb::$name => Kind::$kind,)* }
            }

            /// Does it leave everything as it was?
            pub fn reads(self) -> bool {
                match self { $(Verb::$name => Effect::$effect == Effect::Reads,)* }
            }
        }
    };
}

#[derive(PartialEq, Eq)]
enum Effect {
    Reads,
    Changes,
}

verbs! {
    CaseList "case.list" Service Reads "List cases and count them",
    CaseRead "case.read" Case Reads "Read a case, its timeline and its plans",
    CaseAssign "case.assign" Case Changes "Give a case an owner",
    CaseNote "case.note" Case Changes "Write a note",
    CaseTask "case.task" Case Changes "Work on the steps of the playbook",
    CaseAnswer "case.answer" Case Changes "Answer a question of the playbook",
    CaseDecide "case.decide" Case Changes "Overrule the decision, with a reason",
    CaseEscalate "case.escalate" Case Changes "Hand a case to the next tier",
    CaseClose "case.close" Case Changes "Close a case",
    CaseReopen "case.reopen" Case Changes "Open a closed case again",
    CaseMerge "case.merge" Case Changes "Merge cases, and part them again",
    CaseRestrict "case.restrict" Case Changes "Set members, TLP and PAP of a case",
    CaseSuppress "case.suppress" Case Changes "Call a case benign within a scope, from now on",
    SuppressionRead "suppression.read" Service Reads "List suppressions",
    SuppressionReview "suppression.review" Suppression Changes "Review, prolong or end a suppression",
    AskCreate "ask.create" Case Changes "Ask the person concerned",
    EvidenceRead "evidence.read" Case Reads "Read the records and files of a case",
    EvidenceAttach "evidence.attach" Case Changes "Attach a file",
    EvidenceCollect "evidence.collect" Case Changes "Collect a forensic package",
    SearchRun "search.run" Service Reads "Search all records",
    EntityRead "entity.read" Service Reads "Look at a person, a session, an address",
    ContentRead "content.read" Service Reads "Read detections and the playbook",
    ExportMake "export.make" Case Reads "Export a case",
    ContainmentPropose "containment.propose" Case Changes "Propose containment",
    ContainmentApprove "containment.approve" Plan Changes "Approve a plan",
    ContainmentReject "containment.reject" Plan Changes "Reject a plan",
    ContainmentBreakGlass "containment.break_glass" Plan Changes "Contain alone in an emergency, loudly",
    ContainmentApply "containment.apply" Plan Changes "Carry out an approved plan",
    ContainmentUndo "containment.undo" Plan Changes "Take back what a plan did",
    ConnectorRead "connector.read" Service Reads "See connectors and their health",
    ConnectorConfigure "connector.configure" Service Changes "Propose a change of a connector",
    ConnectorApprove "connector.approve" Change Changes "Review a change of a connector",
    WebhookManage "webhook.manage" Service Changes "Set up webhooks and messages",
    UserRead "user.read" Service Reads "List people and their roles",
    UserManage "user.manage" Person Changes "Add, change and disable people",
    SelfManage "self.manage" Person Changes "Own password, factors, sessions, time zone",
    TokenRead "token.read" Service Reads "List tokens (never their secrets)",
    TokenManage "token.manage" Token Changes "Make and revoke tokens of services",
    TokenOwn "token.own" Token Changes "Make and revoke one's own tokens",
    SourceRead "source.read" Service Reads "See sources of logs and their health",
    SourceManage "source.manage" Source Changes "Add, change and remove sources of logs",
    AuditRead "audit.read" Service Reads "Read the audit log",
    AuditVerify "audit.verify" Service Reads "Verify the audit log and the ledger",
    HealthRead "health.read" Service Reads "See the service's health in detail",
    MetricsRead "metrics.read" Service Reads "Read metrics",
    ConfigRead "config.read" Service Reads "Read the configuration (never its secrets)",
    ConfigReload "config.reload" Service Changes "Load the configuration again",
    IngestWrite "ingest.write" Source Changes "Hand in records",
}

impl Verb {
    pub fn by_id(id: &str) -> Option<Verb> {
        Verb::ALL.iter().copied().find(|v| v.id() == id)
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// A set of verbs: the scope of a token. Written as a list of ids.
#[derive(Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Verb>", into = "Vec<Verb>")]
pub struct Verbs(u64);

// A set is one word; a sixty-fifth verb takes a wider one.
const _: () = assert!(Verb::ALL.len() <= 64);

impl Verbs {
    pub const NONE: Verbs = Verbs(0);

    pub fn of(verbs: &[Verb]) -> Verbs {
        Verbs(verbs.iter().fold(0, |set, v| set | 1 << (*v as u8)))
    }

    pub fn has(self, verb: Verb) -> bool {
        self.0 & (1 << (verb as u8)) != 0
    }

    /// All that reads.
    pub fn reading() -> Verbs {
        Verb::ALL.iter().copied().filter(|v| v.reads()).collect()
    }

    pub fn iter(self) -> impl Iterator<Item = Verb> {
        Verb::ALL.iter().copied().filter(move |v| self.has(*v))
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Verb> for Verbs {
    fn from_iter<I: IntoIterator<Item = Verb>>(verbs: I) -> Verbs {
        verbs.into_iter().fold(Verbs::NONE, |set, v| Verbs(set.0 | Verbs::of(&[v]).0))
    }
}

impl From<Vec<Verb>> for Verbs {
    fn from(verbs: Vec<Verb>) -> Verbs {
        Verbs::of(&verbs)
    }
}

impl From<Verbs> for Vec<Verb> {
    fn from(verbs: Verbs) -> Vec<Verb> {
        verbs.iter().collect()
    }
}

impl fmt::Debug for Verbs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Verb::id)).finish()
    }
}
