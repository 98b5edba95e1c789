//! The roles of people and of machines.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What somebody is here for. No role contains another: who has two may do what either may.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Reads cases.
    Viewer,
    /// Triage: answers, decides, proposes.
    L1,
    /// Investigates, and contains what can be undone.
    T2,
    /// Forensics, and approves what cannot be undone.
    T3,
    /// Sets up connectors, sources and people; sees no case.
    ResponderAdmin,
    /// Reads everything and verifies it; changes nothing.
    Auditor,
    /// A shipper of logs: writes records and can do nothing else.
    Ingest,
}

impl Role {
    pub const ALL: [Role; 7] =
        [Role::Viewer, Role::L1, Role::T2, Role::T3, Role::ResponderAdmin, Role::Auditor, Role::Ingest];

    pub fn id(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::L1 => "l1",
            Role::T2 => "t2",
            Role::T3 => "t3",
            Role::ResponderAdmin => "responder-admin",
            Role::Auditor => "auditor",
            Role::Ingest => "ingest",
        }
    }

    pub fn by_id(id: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|r| r.id() == id)
    }

    /// As a heading or a menu shows it.
    pub fn title(self) -> &'static str {
        match self {
            Role::Viewer => "Viewer",
            Role::L1 => "L1",
            Role::T2 => "T2",
            Role::T3 => "T3",
            Role::ResponderAdmin => "Responder admin",
            Role::Auditor => "Auditor",
            Role::Ingest => "Ingest",
        }
    }

    fn bit(self) -> u8 {
        1 << (self as u8)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// A set of roles. Written as a list of their ids.
#[derive(Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Role>", into = "Vec<Role>")]
pub struct Roles(u8);

impl Roles {
    pub const NONE: Roles = Roles(0);

    pub fn has(self, role: Role) -> bool {
        self.0 & role.bit() != 0
    }

    pub fn has_any(self, roles: &[Role]) -> bool {
        roles.iter().any(|r| self.has(*r))
    }

    #[must_use]
    pub fn with(self, role: Role) -> Roles {
        Roles(self.0 | role.bit())
    }

    #[must_use]
    pub fn without(self, role: Role) -> Roles {
        Roles(self.0 & !role.bit())
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |r| self.has(*r))
    }

    /// Did somebody lose or gain anything? Then his sessions get new tokens.
    pub fn differs_from(self, other: Roles) -> bool {
        self != other
    }

    /// Why a person cannot be given this set.
    pub fn fault_of_person(self) -> Option<RoleFault> {
        if self.has(Role::Ingest) {
            return Some(RoleFault::IngestIsNoPerson);
        }
        let acts = [Role::L1, Role::T2, Role::T3, Role::ResponderAdmin];
        if self.has(Role::Auditor) && self.has_any(&acts) {
            return Some(RoleFault::AuditsHimself);
        }
        None
    }

    /// Why a service account cannot be given this set.
    pub fn fault_of_service(self) -> Option<RoleFault> {
        (self.has(Role::Ingest) && self != Roles::NONE.with(Role::Ingest))
            .then_some(RoleFault::IngestWithOthers)
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Roles {
        roles.into_iter().fold(Roles::NONE, Roles::with)
    }
}

impl From<Vec<Role>> for Roles {
    fn from(roles: Vec<Role>) -> Roles {
        roles.into_iter().collect()
    }
}

impl From<Roles> for Vec<Role> {
    fn from(roles: Roles) -> Vec<Role> {
        roles.iter().collect()
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Role::id)).finish()
    }
}

/// Roles that do not go together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RoleFault {
    #[error("an auditor would audit what he did himself; give audit and action to two people")]
    AuditsHimself,
    #[error("`ingest` is for the tokens of log shippers, not for people")]
    IngestIsNoPerson,
    #[error("`ingest` writes and does nothing else; make a second token for the rest")]
    IngestWithOthers,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_goes_through_its_text() {
        let set: Roles = [Role::T2, Role::Viewer, Role::ResponderAdmin].into_iter().collect();
        let text = serde_json::to_string(&set).unwrap();
        assert_eq!(text, r#"["viewer","t2","responder-admin"]"#);
        assert_eq!(serde_json::from_str::<Roles>(&text).unwrap(), set);
        assert!(serde_json::from_str::<Roles>(r#"["root"]"#).is_err());
        assert!(set.without(Role::T2).differs_from(set) && !set.without(Role::T2).has(Role::T2));
        for role in Role::ALL {
            assert_eq!(Role::by_id(role.id()), Some(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.id());
            assert!(Roles::NONE.with(role).iter().eq([role]));
        }
    }

    #[test]
    fn audit_and_action_are_two_people_and_shippers_are_none() {
        let set = |roles: &[Role]| roles.iter().copied().collect::<Roles>();
        assert_eq!(set(&[Role::Auditor, Role::T3]).fault_of_person(), Some(RoleFault::AuditsHimself));
        assert_eq!(set(&[Role::Auditor, Role::Viewer]).fault_of_person(), None);
        assert_eq!(set(&[Role::Ingest]).fault_of_person(), Some(RoleFault::IngestIsNoPerson));
        assert_eq!(set(&[Role::Ingest]).fault_of_service(), None);
        assert_eq!(set(&[Role::Ingest, Role::Viewer]).fault_of_service(), Some(RoleFault::IngestWithOthers));
        assert_eq!(set(&[Role::T3, Role::ResponderAdmin]).fault_of_person(), None);
    }
}
