//! What may be acted upon, as far as the answer depends on it.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The kinds of object that the table tells apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The installation as a whole: lists, searches, health.
    Service,
    Case,
    /// A plan of containment.
    Plan,
    /// A proposed change of a connector.
    Change,
    Suppression,
    Person,
    Token,
    /// A source of logs.
    Source,
}

/// One thing, with the facts that conditions ask about. The caller reads them from the store within the same
/// transaction in which it acts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Object<'a> {
    Service,
    Case(Case<'a>),
    Plan(Plan<'a>),
    Change {
        /// Who proposed it.
        by: &'a str,
    },
    Suppression {
        /// Who wrote it.
        by: &'a str,
    },
    Person {
        id: &'a str,
    },
    Token {
        /// The person or service account whose it is.
        of: &'a str,
    },
    Source {
        id: &'a str,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Case<'a> {
    /// Ids of those who may see it; empty: no restriction.
    pub members: &'a [String],
    pub tlp: Tlp,
    pub pap: Pap,
    /// It has left L1.
    pub escalated: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Plan<'a> {
    pub case: Case<'a>,
    pub proposer: &'a str,
    /// It holds what cannot be undone or hits many: what `respond` calls a need of T3.
    pub takes_t3: bool,
    pub approved: bool,
    /// Who changed one of its connectors, where nobody else has reviewed the change.
    pub connectors_changed_by: &'a [String],
}

impl<'a> Object<'a> {
    pub fn kind(&self) -> Kind {
        match self {
            Object::Service => Kind::Service,
            Object::Case(_) => Kind::Case,
            Object::Plan(_) => Kind::Plan,
            Object::Change { .. } => Kind::Change,
            Object::Suppression { .. } => Kind::Suppression,
            Object::Person { .. } => Kind::Person,
            Object::Token { .. } => Kind::Token,
            Object::Source { .. } => Kind::Source,
        }
    }

    pub(super) fn case(&self) -> Option<&Case<'a>> {
        match self {
            Object::Case(case) => Some(case),
            Object::Plan(plan) => Some(&plan.case),
            _ => None,
        }
    }

    pub(super) fn plan(&self) -> Option<&Plan<'a>> {
        match self {
            Object::Plan(plan) => Some(plan),
            _ => None,
        }
    }

    /// Whose it is: the person himself, whose token, who proposed or wrote it.
    pub(super) fn author(&self) -> Option<&'a str> {
        match self {
            Object::Plan(plan) => Some(plan.proposer),
            Object::Change { by } | Object::Suppression { by } => Some(by),
            Object::Person { id } => Some(id),
            Object::Token { of } => Some(of),
            Object::Service | Object::Case(_) | Object::Source { .. } => None,
        }
    }
}

/// Traffic Light Protocol 2.0: how far it may be passed on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tlp {
    Clear,
    Green,
    #[default]
    Amber,
    AmberStrict,
    Red,
}

impl Tlp {
    pub const ALL: [Tlp; 5] = [Tlp::Clear, Tlp::Green, Tlp::Amber, Tlp::AmberStrict, Tlp::Red];
}

impl fmt::Display for Tlp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Tlp::Clear => "CLEAR",
            Tlp::Green => "GREEN",
            Tlp::Amber => "AMBER",
            Tlp::AmberStrict => "AMBER+STRICT",
            Tlp::Red => "RED",
        })
    }
}

/// Permissible Actions Protocol: what may be done with it. Up to GREEN, blocking and asking are allowed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pap {
    #[default]
    Clear,
    Green,
    /// Only what happens out of sight of the other side.
    Amber,
    /// Only what cannot be noticed: looking at what is there.
    Red,
}

impl Pap {
    pub const ALL: [Pap; 4] = [Pap::Clear, Pap::Green, Pap::Amber, Pap::Red];
}

impl fmt::Display for Pap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Pap::Clear => "CLEAR",
            Pap::Green => "GREEN",
            Pap::Amber => "AMBER",
            Pap::Red => "RED",
        })
    }
}
