//! Plans of containment on the page of a case: what would be sent, who allowed it, what became of it.

use super::shell::Shell;
use askama::Template;

/// One plan.
pub struct PlanCard {
    pub digest: String,
    pub made_by: String,
    pub made_at: i64,
    /// `one approval by T2 or above`.
    pub needs: String,
    /// `proposed`, `approved`, `rejected`, `running`, `interrupted`, `done`, `in_force` or `taken_back`.
    pub standing: String,
    /// Why it may not be carried out now.
    pub lacks: String,
    /// Approvals hold until then.
    pub until: Option<i64>,
    /// Why the last attempt did not begin or broke off.
    pub said: String,
    pub words: Vec<PlanWord>,
    pub steps: Vec<PlanStep>,
    pub left_out: Vec<String>,
    /// Ids of verbs that this person may do to it.
    pub may: Vec<String>,
    /// A new password waits for this person.
    pub hands_over: bool,
}

pub struct PlanWord {
    pub purpose: String,
    pub by: String,
    pub reason: String,
    pub at: i64,
}

#[derive(Default)]
pub struct PlanStep {
    pub number: u16,
    pub title: String,
    pub target: String,
    pub device: String,
    pub tested: String,
    pub because: String,
    pub seen: String,
    pub requests: Vec<String>,
    pub effect: String,
    pub leaves_open: String,
    pub undo: String,
    pub is_final: bool,
    pub blast_radius: String,
    pub heavy: Vec<String>,
    pub caution: String,
    pub until: Option<i64>,
    pub state: String,
    pub proof: String,
}

impl PlanCard {
    /// As people write it.
    pub(super) fn short(&self) -> &str {
        self.digest.get(..12).unwrap_or(&self.digest)
    }

    pub(super) fn may(&self, verb: &str) -> bool {
        self.may.iter().any(|v| v == verb)
    }

    /// Is it still to be allowed?
    pub(super) fn is_open(&self) -> bool {
        matches!(self.standing.as_str(), "proposed" | "approved" | "interrupted" | "in_force" | "done")
            && self
                .steps
                .iter()
                .any(|s| matches!(s.state.as_str(), "planned" | "failed" | "skipped" | "not_effective"))
    }

    /// May something of it be at a device?
    pub(super) fn may_be_in_force(&self) -> bool {
        matches!(self.standing.as_str(), "in_force" | "interrupted")
    }

    pub(super) fn class(&self) -> &'static str {
        match self.standing.as_str() {
            "in_force" | "done" => "close",
            "rejected" | "taken_back" => "ended",
            "interrupted" => "escalate",
            _ => "investigate",
        }
    }
}

impl PlanStep {
    pub(super) fn class(&self) -> &'static str {
        match self.state.as_str() {
            "verified" => "close",
            "planned" | "failed" | "skipped" => "investigate",
            "rolled_back" | "expired" => "ended",
            _ => "escalate",
        }
    }

    /// Would a person's look at it help?
    pub(super) fn is_unread(&self) -> bool {
        matches!(self.state.as_str(), "unknown" | "acknowledged")
    }
}

/// New passwords, shown once.
pub struct HandOverView {
    pub number: i64,
    /// Step and secret.
    pub secrets: Vec<(u16, String)>,
}

#[derive(Template)]
#[template(path = "hand_over.html")]
struct HandOverPage<'a> {
    shell: &'a Shell,
    v: &'a HandOverView,
}

/// The answer to `POST /cases/{number}/plans/{digest}/hand-over`.
pub fn hand_over(shell: &Shell, view: &HandOverView) -> String {
    super::text::page(&HandOverPage { shell, v: view })
}
