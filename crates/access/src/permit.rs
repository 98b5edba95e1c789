//! What each role may do: one table, and the one function that asks it.

mod object;
mod page;
mod table;
mod verb;

pub use object::{Case, Kind, Object, Pap, Plan, Tlp};
pub use page::markdown;
pub use table::{Condition, RULES, Rule};
pub use verb::{Verb, Verbs};

use crate::role::{Role, Roles};
use std::fmt;

/// Who asks. Made anew for each request, from what the store says now: a role that was taken away is gone at once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Actor {
    /// The person, or the service account. A person's own API token carries the person's id, so that nobody approves
    /// with a token what he proposed at the page.
    pub id: String,
    pub roles: Roles,
    pub by: By,
}

/// What the actor came with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum By {
    /// A person at a page, who has signed in.
    Session {
        /// With a second factor, a security key, or at a provider that is trusted to have asked for one.
        second_factor: bool,
    },
    /// A token: it may do what its owner may *now* and its scope names.
    Token {
        scope: Verbs,
        /// The one source that an ingest token writes for.
        source: Option<String>,
    },
}

impl Actor {
    pub fn person(id: impl Into<String>, roles: Roles, second_factor: bool) -> Actor {
        Actor { id: id.into(), roles, by: By::Session { second_factor } }
    }

    pub fn token(id: impl Into<String>, roles: Roles, scope: Verbs) -> Actor {
        Actor { id: id.into(), roles, by: By::Token { scope, source: None } }
    }

    /// A shipper of logs, for one source.
    pub fn shipper(id: impl Into<String>, source: impl Into<String>) -> Actor {
        let scope = Verbs::of(&[Verb::IngestWrite]);
        let roles = Roles::NONE.with(Role::Ingest);
        Actor { id: id.into(), roles, by: By::Token { scope, source: Some(source.into()) } }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub enum Decision {
    Allow,
    Deny(Why),
}

impl Decision {
    pub fn is_allowed(&self) -> bool {
        *self == Decision::Allow
    }

    /// For `?`.
    pub fn or_err(self) -> Result<(), Why> {
        match self {
            Decision::Allow => Ok(()),
            Decision::Deny(why) => Err(why),
        }
    }
}

/// Why not.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Why {
    #[error("{verb} takes one of: {}", Listed(*verb))]
    Role { verb: Verb },
    #[error("the token's scope does not name {0}")]
    Scope(Verb),
    #[error("{0} is for people who signed in, not for tokens")]
    PersonOnly(Verb),
    #[error("{0} takes a sign-in with a second factor; add one to your account and sign in again")]
    SecondFactor(Verb),
    /// To be answered like something that does not exist.
    #[error("the case is restricted to its members")]
    NotMember,
    #[error("who proposes does not approve; ask somebody else")]
    OwnProposal,
    #[error("who made it does not review it; ask somebody else")]
    OwnWork,
    #[error("the plan uses a connector that you changed and nobody has reviewed; ask somebody else")]
    OwnConnector,
    #[error("the plan holds what cannot be undone or hits many; that takes T3")]
    TakesT3,
    #[error("the plan is not approved")]
    NotApproved,
    #[error("the case has left L1; who works on it now does this")]
    Escalated,
    #[error("TLP:RED: it does not leave its members")]
    TlpRed,
    #[error("PAP:{0}: nothing that the other side could notice")]
    Pap(Pap),
    #[error("not for one's own account; ask another responder-admin")]
    Oneself,
    #[error("only for one's own account")]
    Another,
    #[error("the token belongs to another source")]
    OtherSource,
    /// A mistake of the calling code: refused, so that it cannot become a hole.
    #[error("{verb} is asked of a {needs:?}, not of a {given:?}")]
    Kind { verb: Verb, needs: Kind, given: Kind },
}

impl Why {
    /// Must the answer be "not found", since "forbidden" would tell that there is something?
    pub fn hides(&self) -> bool {
        matches!(self, Why::NotMember)
    }
}

struct Listed(Verb);

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let roles: Roles = table::rules(self.0).flat_map(|r| r.roles.iter().copied()).collect();
        for (i, role) in roles.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            f.write_str(role.title())?;
        }
        Ok(())
    }
}

/// May `actor` do `verb` to `object`? Asked for every request, and again when what was allowed is carried out later.
pub fn allows(actor: &Actor, verb: Verb, object: &Object<'_>) -> Decision {
    match judge(actor, verb, object) {
        Ok(()) => Decision::Allow,
        Err(why) => Decision::Deny(why),
    }
}

/// An automation acts with what its author and who approved it *both* may do now.
pub fn allows_both(author: &Actor, approver: &Actor, verb: Verb, object: &Object<'_>) -> Decision {
    match allows(author, verb, object) {
        Decision::Allow => allows(approver, verb, object),
        denied => denied,
    }
}

fn judge(actor: &Actor, verb: Verb, object: &Object<'_>) -> Result<(), Why> {
    if object.kind() != verb.kind() {
        return Err(Why::Kind { verb, needs: verb.kind(), given: object.kind() });
    }
    if let By::Token { scope, .. } = &actor.by
        && !scope.has(verb)
    {
        return Err(Why::Scope(verb));
    }
    // The role before the object: who has none learns nothing about what he asked for.
    if !table::rules(verb).any(|rule| actor.roles.has_any(rule.roles)) {
        return Err(Why::Role { verb });
    }
    if let Some(case) = object.case()
        && !sees(actor, verb, case)
    {
        return Err(Why::NotMember);
    }
    let mut first = None;
    for rule in table::rules(verb).filter(|rule| actor.roles.has_any(rule.roles)) {
        match rule.conditions.iter().try_for_each(|c| holds(*c, actor, verb, object)) {
            Ok(()) => return Ok(()),
            Err(why) => first = first.or(Some(why)),
        }
    }
    Err(first.unwrap_or(Why::Role { verb }))
}

/// Need to know: a restricted case is its members'. An auditor reads it, and does no more.
fn sees(actor: &Actor, verb: Verb, case: &Case<'_>) -> bool {
    if actor.roles.has(Role::Auditor) && verb.reads() {
        return true;
    }
    match (case.tlp, case.members) {
        // Nobody named yet: T3 names them.
        (Tlp::Red, []) => actor.roles.has(Role::T3),
        (_, []) => true,
        (_, members) => members.contains(&actor.id),
    }
}

/// Which cases a list, a search or a count may be made of; the store filters by it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CasesSeen {
    None,
    /// Those without members that are not TLP:RED, and those whose members include this person.
    OpenAndOwn {
        id: String,
        /// Also TLP:RED without members.
        red_without_members: bool,
    },
    All,
}

pub fn cases_seen(actor: &Actor) -> CasesSeen {
    if !allows(actor, Verb::CaseList, &Object::Service).is_allowed() {
        CasesSeen::None
    } else if actor.roles.has(Role::Auditor) {
        CasesSeen::All
    } else {
        CasesSeen::OpenAndOwn { id: actor.id.clone(), red_without_members: actor.roles.has(Role::T3) }
    }
}

fn holds(condition: Condition, actor: &Actor, verb: Verb, object: &Object<'_>) -> Result<(), Why> {
    let check = |good: bool, why: Why| if good { Ok(()) } else { Err(why) };
    match condition {
        Condition::Person => {
            check(matches!(actor.by, By::Session { .. }), Why::PersonOnly(verb))?;
        }
        Condition::SecondFactor => match actor.by {
            By::Session { second_factor } => check(second_factor, Why::SecondFactor(verb))?,
            // A token was made by somebody who had one (`token.*` asks for it).
            By::Token { .. } => {}
        },
        Condition::NotOwn => {
            let why = if object.kind() == Kind::Plan { Why::OwnProposal } else { Why::OwnWork };
            check(object.author() != Some(actor.id.as_str()), why)?;
        }
        Condition::NotOwnConnector => {
            let mine = |plan: &Plan<'_>| plan.connectors_changed_by.contains(&actor.id);
            check(!object.plan().is_some_and(mine), Why::OwnConnector)?;
        }
        Condition::WithinT2 => check(!object.plan().is_none_or(|p| p.takes_t3), Why::TakesT3)?,
        Condition::Approved => check(object.plan().is_some_and(|p| p.approved), Why::NotApproved)?,
        Condition::StillL1 => check(object.case().is_some_and(|c| !c.escalated), Why::Escalated)?,
        Condition::NotTlpRed => check(object.case().is_some_and(|c| c.tlp != Tlp::Red), Why::TlpRed)?,
        Condition::PapAllowsActing => {
            let pap = object.case().map_or(Pap::Red, |c| c.pap);
            check(pap <= Pap::Green, Why::Pap(pap))?;
        }
        Condition::NotOneself => check(object.author() != Some(actor.id.as_str()), Why::Oneself)?,
        Condition::Oneself => check(object.author() == Some(actor.id.as_str()), Why::Another)?,
        Condition::OwnSource => {
            let own = match (&actor.by, object) {
                (By::Token { source: Some(own), .. }, Object::Source { id }) => own == id,
                _ => false,
            };
            check(own, Why::OtherSource)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
