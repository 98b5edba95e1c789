//! The operators that detections are made of. A new one is one variant here and one function beside it.

mod account;
mod attempts;
mod entry;
mod gateway;
pub mod mfa;
mod place;
pub mod post;
mod segment;
mod travel;

use super::{Subject, Verdict};
use crate::baseline::{Level, What};
use crate::detect::PlaceNovelty;
use portreeve_model::event::{Change, Method, Service};
use portreeve_model::facts::{AccountKind, Status};
use portreeve_model::net::NetworkClass;
use serde::Deserialize;

/// A span of time, in content written `90s`, `15m`, `24h`, `30d`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Span(pub i64);

impl Span {
    pub fn parse(text: &str) -> Option<Span> {
        let unit = text.chars().last()?;
        let number: i64 = text.strip_suffix(unit)?.trim().parse().ok()?;
        let micros = match unit {
            's' => 1_000_000,
            'm' => 60_000_000,
            'h' => 3_600_000_000,
            'd' => 86_400_000_000,
            _ => return None,
        };
        number.checked_mul(micros).filter(|n| *n >= 0).map(Span)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Span::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format!("`{text}` is no span of time: write 90s, 15m, 24h or 30d"))
        })
    }
}

/// Inclusive bounds; both may be left out.
#[derive(Clone, Copy, PartialEq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bounds {
    pub min: Option<u32>,
    pub max: Option<u32>,
}

impl Bounds {
    pub fn hold(self, n: usize) -> bool {
        let n = u32::try_from(n).unwrap_or(u32::MAX);
        self.min.is_none_or(|min| n >= min) && self.max.is_none_or(|max| n <= max)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The session's address.
    Source,
    /// Its /24 or /48.
    Prefix,
    /// The principal, from anywhere.
    Account,
    /// The principal from the session's own address.
    AccountAndSource,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SegmentTrouble {
    /// An address of a VPN pool on a wired or wireless segment.
    PoolAddressMisplaced,
    /// A VLAN that does not admit the person's department.
    ForbiddenVlan,
    FirstVlan,
    /// MAB where 802.1X was usual.
    MabReplacesDot1x,
}

/// One condition of a detection.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Op {
    /// The session gave access.
    Entered(bool),
    /// The password was right and the access was refused.
    Refused(bool),
    Service(Vec<ServiceName>),
    Method(Vec<MethodName>),
    Outside(bool),
    PlaceNovelty {
        min: PlaceNovelty,
        #[serde(default)]
        max: Option<PlaceNovelty>,
    },
    /// How well a value is known to the principal.
    Level {
        what: What,
        #[serde(default)]
        is: Vec<LevelName>,
        /// Only where the principal has any known value of this kind.
        #[serde(default)]
        had_any: bool,
    },
    /// No other account of the company used it before.
    FirstInOrganisation {
        what: What,
    },
    /// Other accounts of the company had used the address or network before.
    UsedByOthers {
        what: What,
        accounts: Bounds,
    },
    Network {
        class: Vec<ClassName>,
    },
    Listed {
        #[serde(default)]
        min_confidence: u8,
        #[serde(default)]
        anonymiser: bool,
    },
    Failures {
        by: By,
        within: Span,
        #[serde(default)]
        count: Bounds,
        #[serde(default)]
        accounts: Bounds,
        #[serde(default)]
        sources: Bounds,
        /// Median gap between the failures is at least this.
        #[serde(default)]
        median_gap: Option<Span>,
        /// The source never succeeded for anybody before.
        #[serde(default)]
        never_succeeded: bool,
        #[serde(default)]
        no_such_user: bool,
    },
    Mfa(Vec<mfa::State>),
    MfaDenials {
        within: Span,
        count: Bounds,
    },
    FactorChange {
        before: Span,
        after: Span,
        #[serde(default)]
        from_session_address: bool,
    },
    Travel {
        min_kmh: u32,
        min_km: u32,
    },
    Overlap {
        min_km: u32,
        at_least: Span,
    },
    /// Two tunnels of one account at once from different networks.
    Concurrent {
        at_least: Span,
    },
    Account {
        #[serde(default)]
        status: Vec<StatusName>,
        #[serde(default)]
        kind: Vec<KindName>,
        #[serde(default)]
        listed: Option<bool>,
        #[serde(default)]
        local: Option<bool>,
        #[serde(default)]
        privileged: Option<bool>,
    },
    /// No use of any kind for this long before.
    Dormant {
        days: Bounds,
    },
    /// Fewer than this many thousandths of the principal's sessions began around this hour.
    RareHour {
        below_permille: u32,
        min_sessions: u32,
    },
    /// One session id used from several networks.
    SessionShared {
        #[serde(default)]
        different_client: bool,
    },
    Orphan {
        logged_for: Span,
    },
    Hosts {
        /// Not reached by the principal before.
        #[serde(default)]
        new: bool,
        #[serde(default)]
        tier0: bool,
        #[serde(default)]
        administrative: bool,
        #[serde(default)]
        beyond_first_hop: bool,
        /// Nobody of the same department had used it.
        #[serde(default)]
        new_to_peers: bool,
        count: Bounds,
        #[serde(default)]
        within: Option<Span>,
    },
    FailedHosts {
        count: Bounds,
        within: Span,
    },
    AccountSwitch {
        #[serde(default)]
        count: Bounds,
    },
    Commands {
        list: CommandList,
        count: Bounds,
        #[serde(default)]
        within: Option<Span>,
    },
    Deeds {
        changes: Vec<ChangeName>,
        #[serde(default)]
        count: Option<Bounds>,
        /// Not usual for the principal (own history before, directory role).
        #[serde(default)]
        unusual: bool,
    },
    Apis {
        unusual: bool,
        count: Bounds,
    },
    RemoteShell(bool),
    PrivilegedWorkload(bool),
    Alert {
        min_severity: u8,
        within: Span,
    },
    Segment(SegmentTrouble),
    /// The account was created or raised shortly before by somebody.
    CreatedBefore {
        within: Span,
    },
    AnyOf(Vec<Op>),
    Not(Box<Op>),
}

/// Content names the model's words in snake case; the model itself knows no wire format.
macro_rules! wire {
    ($name:ident => $model:ty { $($variant:ident $(= $target:ident)?),+ $(,)? }) => {
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($variant),+ }

        impl $name {
            pub fn model(self) -> $model {
                match self { $($name::$variant => wire!(@ $model, $variant $(, $target)?)),+ }
            }
        }
    };
    (@ $model:ty, $variant:ident, $target:ident) => { <$model>::$target };
    (@ $model:ty, $variant:ident) => { <$model>::$variant };
}

wire!(ServiceName => Service {
    Vpn, Ica, RdGateway, Rdp, Ssh, Ztna, Rmm, Idp, Radius, Management, CloudConsole, CloudApi, Kubernetes, Wired, Wireless,
});
wire!(MethodName => Method {
    Password, KeyboardInteractive, PublicKey, Certificate, Saml, Token, AccessKey, AssumedRole, ServiceAccount, Anonymous, Legacy, DeviceCode,
});
wire!(ClassName => NetworkClass {
    Own, Private, Isp, Mobile, Business, Hosting, CommercialVpn, Tor, Relay, Satellite, Unknown,
});
wire!(StatusName => Status { Active, OnLeave, Disabled, Terminated, Service, Unknown });
wire!(KindName => AccountKind { Person, AdminOfPerson, Service, Machine, Generic, Anonymous });
wire!(LevelName => Level { Unobservable, New, Pending, Cleared });
wire!(ChangeName => Change {
    AccountCreated, AccountDeleted, AccountEnabled, AccountDisabled, PasswordReset, GroupAdded, RoleGranted, KeyCreated,
    FactorEnrolled, FactorRemoved, FactorReset, PolicyChanged, ConsentGranted, LoggingStopped, ConfigExported,
    ConfigChanged, LocalUserCreated, AdminCreated, ServiceInstalled, TaskCreated, Exposed, CredentialAccess,
    PrivilegeUsed,
});

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandList {
    /// Discovery: whoami, nltest, net group …
    Recon,
    /// Dumping credentials, disabling logs, adding persistence.
    Hostile,
}

impl Op {
    pub fn check(&self, s: &Subject<'_>) -> Verdict {
        match self {
            Op::Entered(wanted) => Verdict::when(s.entered() == *wanted),
            Op::Refused(wanted) => Verdict::when((s.session.refused && !s.session.entered) == *wanted),
            Op::Service(all) => Verdict::when(all.iter().any(|n| n.model() == s.session.service)),
            Op::Method(all) => Verdict::when(all.iter().any(|n| n.model() == s.session.method)),
            Op::Outside(wanted) => Verdict::when(s.session.came_from_outside() == *wanted),
            Op::PlaceNovelty { min, max } => place::novelty(s, *min, *max),
            Op::Level { what, is, had_any } => place::level(s, *what, is, *had_any),
            Op::FirstInOrganisation { what } => {
                place::used_by_others(s, *what, Bounds { min: None, max: Some(0) })
            }
            Op::UsedByOthers { what, accounts } => place::used_by_others(s, *what, *accounts),
            Op::Network { class } => Verdict::when(class.iter().any(|c| c.model() == s.place().class)),
            Op::Listed { min_confidence, anonymiser } => place::listed(s, *min_confidence, *anonymiser),
            Op::Failures {
                by,
                within,
                count,
                accounts,
                sources,
                median_gap,
                never_succeeded,
                no_such_user,
            } => attempts::failures(
                s,
                &attempts::Wanted {
                    by: *by,
                    within_us: within.0,
                    count: *count,
                    accounts: *accounts,
                    sources: *sources,
                    median_gap_us: median_gap.map(|g| g.0),
                    never_succeeded: *never_succeeded,
                    no_such_user: *no_such_user,
                },
            ),
            Op::Mfa(states) => mfa::is(s, states),
            Op::MfaDenials { within, count } => mfa::denials(s, within.0, *count),
            Op::FactorChange { before, after, from_session_address } => {
                mfa::factor_change(s, before.0, after.0, *from_session_address)
            }
            Op::Travel { min_kmh, min_km } => travel::impossible(s, *min_kmh, *min_km),
            Op::Overlap { min_km, at_least } => travel::overlap(s, *min_km, at_least.0),
            Op::Concurrent { at_least } => travel::concurrent(s, at_least.0),
            Op::Account { status, kind, listed, local, privileged } => {
                account::is(s, status, kind, *listed, *local, *privileged)
            }
            Op::Dormant { days } => account::dormant(s, *days),
            Op::RareHour { below_permille, min_sessions } => {
                account::rare_hour(s, *below_permille, *min_sessions)
            }
            Op::SessionShared { different_client } => entry::shared(s, *different_client),
            Op::Orphan { logged_for } => entry::orphan(s, logged_for.0),
            Op::Hosts { new, tier0, administrative, beyond_first_hop, new_to_peers, count, within } => {
                post::hosts(
                    s,
                    &post::Wanted {
                        new: *new,
                        tier0: *tier0,
                        administrative: *administrative,
                        beyond_first_hop: *beyond_first_hop,
                        new_to_peers: *new_to_peers,
                    },
                    *count,
                    within.map(|w| w.0),
                )
            }
            Op::FailedHosts { count, within } => post::failed_hosts(s, *count, within.0),
            Op::AccountSwitch { count } => post::account_switch(s, *count),
            Op::Commands { list, count, within } => {
                post::commands(s, *list, *count, within.map_or(i64::MAX, |w| w.0))
            }
            Op::Deeds { changes, count, unusual } => post::deeds(s, changes, *count, *unusual),
            Op::Apis { unusual, count } => post::apis(s, *unusual, *count),
            Op::RemoteShell(wanted) => post::remote_shell(s, *wanted),
            Op::PrivilegedWorkload(wanted) => post::privileged_workload(s, *wanted),
            Op::Alert { min_severity, within } => post::alert(s, *min_severity, within.0),
            Op::Segment(trouble) => segment::trouble(s, *trouble),
            Op::CreatedBefore { within } => gateway::created_before(s, within.0),
            Op::AnyOf(ops) => any_of(s, ops),
            Op::Not(op) => match op.check(s) {
                Verdict::Fires(_) => Verdict::Silent,
                Verdict::Silent => Verdict::when(true),
                unknown => unknown,
            },
        }
    }
}

fn any_of(s: &Subject<'_>, ops: &[Op]) -> Verdict {
    let mut unknown = None;
    for op in ops {
        match op.check(s) {
            Verdict::Fires(found) => return Verdict::Fires(found),
            Verdict::Unknown(what) => unknown = Some(what),
            Verdict::Silent => {}
        }
    }
    unknown.map_or(Verdict::Silent, Verdict::Unknown)
}

/// "3 hosts", "1 host": plain English for a sentence.
pub(crate) fn counted(n: usize, singular: &str) -> String {
    if n == 1 { format!("1 {singular}") } else { format!("{n} {singular}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        assert_eq!(Span::parse("15m"), Some(Span(900_000_000)));
        assert_eq!(Span::parse("30d"), Some(Span(30 * 86_400_000_000)));
        for bad in ["", "m", "15", "15 minutes", "-1h", "1.5h"] {
            assert_eq!(Span::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn bounds_are_inclusive() {
        let b = Bounds { min: Some(2), max: Some(4) };
        assert_eq!([1, 2, 4, 5].map(|n| b.hold(n)), [false, true, true, false]);
        assert!(Bounds::default().hold(0));
    }
}
