//! How far a second factor is enforced on remote access: what the audit finds, text resolved, nothing left to look up.

use crate::case::EvidenceLine;
use crate::event::{Change, Factor, Service};
use crate::net::Ip;
use crate::time::EventTime;
use crate::untrusted::Untrusted;

/// What is known of the second factor of one login. Unknown is never no, and never yes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// Seen in the login's own record or at the provider at its time.
    With,
    /// Satisfied by an earlier one on a remembered device or an open sign-in.
    Remembered,
    /// Asserted by the product, and no other record confirms it.
    Claimed,
    /// Left to an identity provider, whose logs do not tell of it.
    Delegated,
    /// Known to be a single factor.
    Without,
    Unknown,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::With => "with",
            Kind::Remembered => "remembered",
            Kind::Claimed => "claimed",
            Kind::Delegated => "delegated",
            Kind::Without => "without",
            Kind::Unknown => "unknown",
        }
    }

    /// The order in which kinds are listed: what is open first.
    pub fn urgency(self) -> u8 {
        match self {
            Kind::Without => 0,
            Kind::Unknown => 1,
            Kind::Claimed => 2,
            Kind::Delegated => 3,
            Kind::Remembered => 4,
            Kind::With => 5,
        }
    }

    /// Stands against "fully enforced".
    pub fn is_open(self) -> bool {
        matches!(self, Kind::Without | Kind::Unknown)
    }
}

/// Why a login is of its kind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Because {
    OwnRecord,
    Provider,
    ProviderSignIn,
    AfterDenials,
    EnrolledAround,
    Remembered,
    OpenSignIn,
    Cookie,
    RememberedElsewhere,
    Assertion,
    ProviderNotHere,
    ProviderTellsNothing,
    PolicyException,
    TrustedNetwork,
    ProviderExempts,
    LegacyProtocol,
    BypassCode,
    ServiceAccount,
    LongTermKey,
    OneFactor,
    LocalAccount,
    Anonymous,
    RecordSaysNone,
    SignInWithout,
    ProviderSilent,
    Habit,
    NoLogin,
    Key,
    CookieAlone,
    Clock,
    NoStep,
    NoStepInside,
    NotLogged,
}

impl Because {
    /// Stable, for programs.
    pub fn id(self) -> &'static str {
        match self {
            Because::OwnRecord => "own_record",
            Because::Provider => "provider",
            Because::ProviderSignIn => "provider_sign_in",
            Because::AfterDenials => "after_denials",
            Because::EnrolledAround => "enrolled_around",
            Because::Remembered => "remembered_device",
            Because::OpenSignIn => "open_sign_in",
            Because::Cookie => "authentication_cookie",
            Because::RememberedElsewhere => "remembered_elsewhere",
            Because::Assertion => "assertion",
            Because::ProviderNotHere => "provider_not_here",
            Because::ProviderTellsNothing => "provider_tells_nothing",
            Because::PolicyException => "policy_exception",
            Because::TrustedNetwork => "trusted_network",
            Because::ProviderExempts => "provider_exempts",
            Because::LegacyProtocol => "legacy_protocol",
            Because::BypassCode => "bypass_code",
            Because::ServiceAccount => "service_account",
            Because::LongTermKey => "long_term_key",
            Because::OneFactor => "one_factor",
            Because::LocalAccount => "local_account",
            Because::Anonymous => "anonymous",
            Because::RecordSaysNone => "record_says_none",
            Because::SignInWithout => "sign_in_without",
            Because::ProviderSilent => "provider_silent",
            Because::Habit => "others_show_one",
            Because::NoLogin => "no_login",
            Because::Key => "key_or_token",
            Because::CookieAlone => "authentication_cookie_alone",
            Because::Clock => "clock",
            Because::NoStep => "no_step_at_the_provider",
            Because::NoStepInside => "no_step_on_own_address",
            Because::NotLogged => "not_logged",
        }
    }

    /// For people.
    pub fn text(self) -> &'static str {
        match self {
            Because::OwnRecord => "the login's own record shows it",
            Because::Provider => "the provider's log shows it at the time of the login",
            Because::ProviderSignIn => "passed at the identity provider that the gateway asked",
            Because::AfterDenials => "approved after three or more denied or unanswered requests",
            Because::EnrolledAround => {
                "with a factor that was enrolled around the login from an address new to the account"
            }
            Because::Remembered => "remembered device or earlier sign-in",
            Because::OpenSignIn => "single sign-on, on a sign-in of the same day that passed one",
            Because::Cookie => "authentication cookie of an earlier login that passed one",
            Because::RememberedElsewhere => "remembered, on a network new to the account",
            Because::Assertion => "the product asserts it and no other record confirms it",
            Because::ProviderNotHere => {
                "left to an identity provider, and no sign-ins of the account there are in these logs"
            }
            Because::ProviderTellsNothing => {
                "left to an identity provider, whose logs have nothing at the time of the login"
            }
            Because::PolicyException => "policy asks for none here (mfa_policy.csv)",
            Because::TrustedNetwork => "trusted network: none was asked for on an own address",
            Because::ProviderExempts => "the provider let it through without asking",
            Because::LegacyProtocol => "legacy protocol, which cannot ask for one",
            Because::BypassCode => "bypass code or exemption of the account",
            Because::ServiceAccount => "service account's secret or token alone",
            Because::LongTermKey => "long-term access key alone",
            Because::OneFactor => "the service accepted a password or key alone",
            Because::LocalAccount => "local account of the appliance, password alone",
            Because::Anonymous => "anonymous access",
            Because::RecordSaysNone => "the record says that none was used",
            Because::SignInWithout => "the provider asked for none at the sign-in for it",
            Because::ProviderSilent => "policy demands one and the provider's log has none for the login",
            Because::Habit => "none on record, while nearly all others at this gateway and group show one",
            Because::NoLogin => "the session was used and its login is not in these logs",
            Because::Key => "a key or token was used; what stood before it is not in this log",
            Because::CookieAlone => "authentication cookie of an earlier login that these logs do not show",
            Because::Clock => {
                "the provider's log has an approval some hours away that no other login explains"
            }
            Because::NoStep => {
                "the provider's own log has no step of a factor: remembered, exempt or not asked"
            }
            Because::NoStepInside => {
                "on an own address, without a step of a factor in the provider's log: a trusted network, or remembered"
            }
            Because::NotLogged => "the product does not log it and no other log tells",
        }
    }

    /// What would close it (of a login without) or tell it (of an unknown one); empty where there is nothing to do.
    pub fn remedy(self) -> &'static str {
        match self {
            Because::PolicyException => {
                "end the exception: move its accounts to a group that asks, then remove it"
            }
            Because::TrustedNetwork | Because::ProviderExempts => {
                "take the network out of the provider's exemptions, or demand a managed device there"
            }
            Because::LegacyProtocol => "block legacy authentication; give what still needs it modern clients",
            Because::BypassCode => "withdraw standing bypasses; let codes run out within hours",
            Because::ServiceAccount => {
                "bind the secret to its addresses and rotate it, or use workload identity"
            }
            Because::LongTermKey => {
                "replace long-term keys by roles with short sessions that demand a factor"
            }
            Because::OneFactor => "put the service behind a gateway that asks, or add a factor to it",
            Because::LocalAccount => "remove local accounts, or bind them to the provider",
            Because::Anonymous => "turn anonymous access off",
            Because::RecordSaysNone | Because::SignInWithout => {
                "make the provider's policy demand one for everybody here"
            }
            Because::ProviderSilent | Because::Habit => {
                "look why the gateway did not ask: another realm, a fallback, a local account"
            }
            Because::NoLogin => "the gateway's own log of logins",
            Because::Key => "the sign-in log of the identity provider behind it",
            Because::NotLogged => {
                "the log of what asks for the factor (provider, RADIUS server), or mfa_policy.csv"
            }
            Because::CookieAlone => "logs from before the login, for as long as cookies are valid",
            Because::Clock => "clocks that agree: the gateway's and the provider's",
            Because::NoStep | Because::NoStepInside => "the provider's records of which policy let it in",
            Because::ProviderNotHere | Because::ProviderTellsNothing => {
                "the sign-in log of the identity provider"
            }
            _ => "",
        }
    }
}

/// Logins by kind; each once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    pub logins: u64,
    pub with: u64,
    /// Of those with: by a factor that cannot be phished, by one that can; the rest is not named.
    pub resistant: u64,
    pub phishable: u64,
    pub remembered: u64,
    pub claimed: u64,
    pub delegated: u64,
    pub without: u64,
    pub unknown: u64,
}

impl Counts {
    pub fn add(&mut self, kind: Kind, factor: Factor) {
        self.logins += 1;
        match kind {
            Kind::With => {
                self.with += 1;
                self.resistant += u64::from(factor.phishing_resistant());
                let named = !matches!(factor, Factor::None | Factor::Other | Factor::Remembered);
                self.phishable += u64::from(named && !factor.phishing_resistant());
            }
            Kind::Remembered => self.remembered += 1,
            Kind::Claimed => self.claimed += 1,
            Kind::Delegated => self.delegated += 1,
            Kind::Without => self.without += 1,
            Kind::Unknown => self.unknown += 1,
        }
    }

    pub fn sum(self, other: Counts) -> Counts {
        Counts {
            logins: self.logins + other.logins,
            with: self.with + other.with,
            resistant: self.resistant + other.resistant,
            phishable: self.phishable + other.phishable,
            remembered: self.remembered + other.remembered,
            claimed: self.claimed + other.claimed,
            delegated: self.delegated + other.delegated,
            without: self.without + other.without,
            unknown: self.unknown + other.unknown,
        }
    }

    pub fn standing(self) -> Standing {
        match self {
            c if c.logins == 0 => Standing::NotSeen,
            c if c.without > 0 => Standing::NotEnforced,
            c if c.unknown > 0 => Standing::NotShown,
            c if c.claimed + c.delegated > 0 => Standing::Asserted,
            _ => Standing::FullyEnforced,
        }
    }
}

/// What may be said of a service, from what stands against it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Standing {
    /// At least one login, and each with a factor or remembered.
    FullyEnforced,
    /// None without and none unknown, but some rest on an assertion or on a provider that these logs do not show.
    Asserted,
    /// None known to be without, some unknown.
    NotShown,
    NotEnforced,
    NotSeen,
}

impl Standing {
    pub fn name(self) -> &'static str {
        match self {
            Standing::FullyEnforced => "fully enforced",
            Standing::Asserted => "enforced by assertion",
            Standing::NotShown => "not shown",
            Standing::NotEnforced => "not enforced",
            Standing::NotSeen => "not seen",
        }
    }
}

/// One reason and how often it holds.
#[derive(Clone, PartialEq, Debug)]
pub struct Reason {
    pub kind: Kind,
    pub because: Because,
    pub logins: u64,
    pub accounts: u64,
    /// A few records.
    pub examples: Vec<EvidenceLine>,
}

/// A tunnel group, policy, realm, portal or application of a service.
#[derive(Clone, PartialEq, Debug)]
pub struct GroupRow {
    pub group: Untrusted,
    /// What mfa_policy.csv says; `None` where it says nothing.
    pub required: Option<bool>,
    pub counts: Counts,
    pub accounts: u64,
    pub reasons: Vec<Reason>,
}

/// A remote service: what was accessed, at which gateway, host or tenant.
#[derive(Clone, PartialEq, Debug)]
pub struct ServiceRow {
    pub service: Service,
    pub gateway: Untrusted,
    /// Log sources that told of it.
    pub sources: Vec<String>,
    pub counts: Counts,
    /// Of the logins: those of service accounts and of break-glass accounts.
    pub service_accounts: u64,
    pub break_glass: u64,
    pub accounts: u64,
    pub standing: Standing,
    pub groups: Vec<GroupRow>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct UserRow {
    pub name: Untrusted,
    pub department: Untrusted,
    pub role: Untrusted,
    pub status: String,
    pub privileged: Option<bool>,
    pub listed: bool,
    pub counts: Counts,
    /// Services that were used, with the counts at each.
    pub services: Vec<(Service, Untrusted, Counts)>,
    /// Factors that were passed.
    pub factors: Vec<Factor>,
    pub reasons: Vec<Reason>,
    pub last: EventTime,
    /// The last login without a factor, or unknown.
    pub last_open: Option<EventTime>,
}

/// A factor that was not used for long, or never.
#[derive(Clone, PartialEq, Debug)]
pub struct StaleFactor {
    pub name: Untrusted,
    /// `Factor::None` where only the enrolment is on record, without its kind.
    pub factor: Factor,
    pub enrolled: Option<EventTime>,
    pub last_used: Option<EventTime>,
    pub days: u64,
    /// The account's last login by any means.
    pub last_login: Option<EventTime>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct PhishableOnly {
    pub name: Untrusted,
    pub privileged: Option<bool>,
    pub factors: Vec<Factor>,
    pub uses: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum DeviceUse {
    /// The phone or token that the provider names.
    Factor,
    /// The device from which somebody came in.
    Client,
}

impl DeviceUse {
    pub fn name(self) -> &'static str {
        match self {
            DeviceUse::Factor => "factor",
            DeviceUse::Client => "client",
        }
    }
}

/// One device in the hands of several accounts that are not one person's.
#[derive(Clone, PartialEq, Debug)]
pub struct SharedDevice {
    pub used_as: DeviceUse,
    pub device: Untrusted,
    pub accounts: Vec<Untrusted>,
    pub first: EventTime,
    pub last: EventTime,
}

#[derive(Clone, PartialEq, Debug)]
pub struct UnusualEnrolment {
    pub name: Untrusted,
    pub time: EventTime,
    pub change: Change,
    pub detail: Untrusted,
    /// Who did it, where it was not the account itself.
    pub by: Untrusted,
    pub ip: Ip,
    pub place: Untrusted,
    pub because: Vec<&'static str>,
    pub examples: Vec<EvidenceLine>,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct Factors {
    /// Days without use from which a factor is stale.
    pub stale_after_days: u64,
    pub stale: Vec<StaleFactor>,
    pub phishable_only: Vec<PhishableOnly>,
    pub shared: Vec<SharedDevice>,
    pub enrolments: u64,
    /// Enrolments without an address, or of an account without an earlier login: nothing to hold them against.
    pub not_judged: u64,
    pub unusual: Vec<UnusualEnrolment>,
}

/// What enforcing a factor at one service and group would take away. Break-glass accounts are left out.
#[derive(Clone, PartialEq, Debug)]
pub struct EnforceRow {
    pub service: Service,
    pub gateway: Untrusted,
    pub group: Untrusted,
    pub required: Option<bool>,
    /// Logins without a factor, and those of them from public addresses.
    pub without: u64,
    pub from_public: u64,
    pub accounts: u64,
    pub privileged: u64,
    pub service_accounts: u64,
    /// The commonest first.
    pub because: Vec<(Because, u64)>,
}

/// A log source whose logins are unknown, and what would tell.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct LoggingRow {
    /// Name of the log source.
    pub source: String,
    pub title: String,
    pub logins: u64,
    /// The product never logs the factor, however it is set.
    pub never: bool,
    /// How to turn its log on, as its declaration says.
    pub how: String,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct MfaAudit {
    /// The time asked about, within what the logs cover.
    pub from: Option<EventTime>,
    pub until: Option<EventTime>,
    pub totals: Counts,
    pub services: Vec<ServiceRow>,
    /// People and shared accounts.
    pub users: Vec<UserRow>,
    pub service_accounts: Vec<UserRow>,
    pub break_glass: Vec<UserRow>,
    pub factors: Factors,
    pub enforce_next: Vec<EnforceRow>,
    pub logging: Vec<LoggingRow>,
    /// What could not be judged, and what would tell.
    pub missing: Vec<String>,
}

impl MfaAudit {
    /// Every record that it points at.
    pub fn each_example(&mut self, with: &mut dyn FnMut(&mut EvidenceLine)) {
        let groups = self.services.iter_mut().flat_map(|s| &mut s.groups).flat_map(|g| &mut g.reasons);
        let users = self.users.iter_mut().chain(&mut self.service_accounts).chain(&mut self.break_glass);
        let reasons = groups.chain(users.flat_map(|u| &mut u.reasons)).flat_map(|r| &mut r.examples);
        let enrolments = self.factors.unusual.iter_mut().flat_map(|u| &mut u.examples);
        reasons.chain(enrolments).for_each(with);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_against_full_enforcement() {
        let of = |kinds: &[Kind]| {
            let mut counts = Counts::default();
            kinds.iter().for_each(|k| counts.add(*k, Factor::Push));
            counts.standing()
        };
        assert_eq!(of(&[]), Standing::NotSeen);
        assert_eq!(of(&[Kind::With, Kind::Remembered]), Standing::FullyEnforced);
        assert_eq!(of(&[Kind::With, Kind::Claimed]), Standing::Asserted);
        assert_eq!(of(&[Kind::With, Kind::Delegated]), Standing::Asserted);
        assert_eq!(of(&[Kind::With, Kind::Unknown]), Standing::NotShown);
        assert_eq!(of(&[Kind::With, Kind::Unknown, Kind::Without]), Standing::NotEnforced);
    }

    #[test]
    fn a_factor_is_resistant_phishable_or_not_named() {
        let mut counts = Counts::default();
        for factor in [Factor::Fido2, Factor::Push, Factor::Sms, Factor::Other, Factor::None] {
            counts.add(Kind::With, factor);
        }
        assert_eq!((counts.with, counts.resistant, counts.phishable), (5, 1, 2));
    }
}
