//! On whom or what an act falls.

use crate::value::{HostName, KeyId, Mac, Net, SessionId, UserName};
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Target {
    Address {
        net: Net,
    },
    Account {
        name: UserName,
    },
    Session(Stay),
    Device(Device),
    /// A key or certificate that lets its owner in without a password.
    Key {
        owner: Option<UserName>,
        id: KeyId,
    },
    /// A cloud role whose sessions are meant.
    Role {
        name: UserName,
    },
    /// A service or group, for acts on policy (`enforce_mfa`).
    Service {
        name: UserName,
    },
}

/// A remote session as logs tell it. What is not known is absent; it never matches everything: a connector that
/// finds neither a user nor an id nor an inner address to go by refuses.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stay {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserName>,
    /// The product's own id of the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<SessionId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<Net>,
    /// The address inside the tunnel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inner: Option<Net>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<HostName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<Mac>,
}

impl Stay {
    pub fn of_user(user: UserName) -> Stay {
        Stay { user: Some(user), ..Stay::default() }
    }

    /// Is there something that names this stay and not all stays?
    pub fn is_named(&self) -> bool {
        self.user.is_some() || self.id.is_some() || self.inner.is_some() || self.mac.is_some()
    }
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// The product's own id of the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<SessionId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<Mac>,
}

/// The kinds of target, for capabilities and limits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetKind {
    Address,
    Account,
    Session,
    Device,
    Key,
    Role,
    Service,
}

impl TargetKind {
    pub fn name(self) -> &'static str {
        match self {
            TargetKind::Address => "address",
            TargetKind::Account => "account",
            TargetKind::Session => "session",
            TargetKind::Device => "device",
            TargetKind::Key => "key",
            TargetKind::Role => "role",
            TargetKind::Service => "service",
        }
    }
}

impl Target {
    pub fn address(net: Net) -> Target {
        Target::Address { net }
    }

    pub fn account(name: UserName) -> Target {
        Target::Account { name }
    }

    pub fn kind(&self) -> TargetKind {
        match self {
            Target::Address { .. } => TargetKind::Address,
            Target::Account { .. } => TargetKind::Account,
            Target::Session(_) => TargetKind::Session,
            Target::Device(_) => TargetKind::Device,
            Target::Key { .. } => TargetKind::Key,
            Target::Role { .. } => TargetKind::Role,
            Target::Service { .. } => TargetKind::Service,
        }
    }

    /// The account that the act touches.
    pub fn user(&self) -> Option<&UserName> {
        match self {
            Target::Account { name } | Target::Role { name } => Some(name),
            Target::Session(stay) => stay.user.as_ref(),
            Target::Key { owner, .. } => owner.as_ref(),
            Target::Address { .. } | Target::Device(_) | Target::Service { .. } => None,
        }
    }

    /// The same target under another spelling of its account; `None` where no account is meant.
    pub fn named(&self, user: &UserName) -> Option<Target> {
        match self {
            Target::Account { .. } => Some(Target::Account { name: user.clone() }),
            Target::Session(stay) if stay.user.is_some() => {
                Some(Target::Session(Stay { user: Some(user.clone()), ..stay.clone() }))
            }
            _ => None,
        }
    }

    /// Everything that names an address which the act cuts off.
    pub fn net(&self) -> Option<Net> {
        match self {
            Target::Address { net } => Some(*net),
            _ => None,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Address { net } => write!(f, "{net}"),
            Target::Account { name } => write!(f, "account {name}"),
            Target::Session(stay) => {
                f.write_str("sessions")?;
                if let Some(user) = &stay.user {
                    write!(f, " of {user}")?;
                }
                if let Some(id) = &stay.id {
                    write!(f, " with id {id}")?;
                }
                if let Some(public) = stay.public {
                    write!(f, " from {public}")?;
                }
                if let Some(inner) = stay.inner {
                    write!(f, " holding {inner}")?;
                }
                if let Some(mac) = stay.mac {
                    write!(f, " at {mac}")?;
                }
                if let Some(gateway) = &stay.gateway {
                    write!(f, " on {gateway}")?;
                }
                Ok(())
            }
            Target::Device(device) => {
                f.write_str("device")?;
                if let Some(host) = &device.host {
                    write!(f, " {host}")?;
                }
                if let Some(id) = &device.id {
                    write!(f, " {id}")?;
                }
                if let Some(mac) = device.mac {
                    write!(f, " {mac}")?;
                }
                Ok(())
            }
            Target::Key { owner: Some(owner), id } => write!(f, "key {id} of {owner}"),
            Target::Key { owner: None, id } => write!(f, "key {id}"),
            Target::Role { name } => write!(f, "role {name}"),
            Target::Service { name } => write!(f, "service {name}"),
        }
    }
}
