//! What a hunt gives to its formats: the cases, what was read, and, where a ledger of containment was read, what was
//! done.

use crate::actions::{Aftermath, Reentry};
use crate::wire;
use portreeve_model::case::{Case, RunReport};
use std::collections::BTreeMap;

/// A hunt's result, as formats write it.
#[derive(Clone, Copy)]
pub struct Hunted<'a> {
    pub cases: &'a [Case],
    pub report: &'a RunReport,
    /// `None`: no ledger was read, and nothing is said.
    pub done: Option<&'a Done>,
}

/// What a ledger holds about cases.
#[derive(Default)]
pub struct Done {
    /// By case id. A case that is not here was never taken up.
    pub after: BTreeMap<String, Aftermath>,
    /// Steps that did not hold, by the id of the case by which that shows.
    pub reentry: BTreeMap<String, Vec<Reentry>>,
    /// All of them.
    pub ineffective: Vec<Reentry>,
    /// When the ledger was read; RFC 3339, UTC.
    pub as_of: String,
}

impl Hunted<'_> {
    pub(crate) fn ineffective(&self) -> &[Reentry] {
        self.done.map_or(&[], |d| d.ineffective.as_slice())
    }

    /// A case with what was done about it.
    pub(crate) fn wire(&self, case: &Case) -> wire::Case {
        let mut shown = wire::Case::from(case);
        if let Some(done) = self.done {
            done.join(&mut shown);
        }
        shown
    }
}

impl Done {
    /// The steps that did not hold, as this case shows.
    pub fn reentry_of(&self, case: &str) -> &[Reentry] {
        self.reentry.get(case).map_or(&[], Vec::as_slice)
    }

    /// Puts what was done into a case. An open case that nobody took up says so; a closed one says nothing.
    pub fn join(&self, case: &mut wire::Case) {
        case.containment_ineffective = self.reentry_of(&case.case_id).to_vec();
        case.aftermath = self.after.get(&case.case_id).cloned();
        if case.aftermath.is_none() && case.decision != "close" {
            let none = Aftermath::new(&case.case_id, &self.as_of, Vec::new(), Vec::new(), Vec::new());
            case.aftermath = Some(none);
        }
    }
}
