//! The model's words as stories spell them: the names that reports show, with `_` for blanks and hyphens.

use portreeve_model::event::{Change, Factor, Flags, Method, Mfa, Reason, Service};

const SERVICES: [Service; 25] = [
    Service::Other,
    Service::Vpn,
    Service::Ica,
    Service::RdGateway,
    Service::Rdp,
    Service::Ssh,
    Service::Ztna,
    Service::Rmm,
    Service::Idp,
    Service::Radius,
    Service::Management,
    Service::CloudConsole,
    Service::CloudApi,
    Service::Kubernetes,
    Service::Windows,
    Service::Directory,
    Service::Wired,
    Service::Wireless,
    Service::Firewall,
    Service::Dhcp,
    Service::Edr,
    Service::Host,
    Service::Bastion,
    Service::Vnc,
    Service::WinRm,
];

const METHODS: [Method; 16] = [
    Method::Password,
    Method::KeyboardInteractive,
    Method::PublicKey,
    Method::Certificate,
    Method::Saml,
    Method::Kerberos,
    Method::Ntlm,
    Method::Token,
    Method::AccessKey,
    Method::AssumedRole,
    Method::ServiceAccount,
    Method::Anonymous,
    Method::Legacy,
    Method::DeviceCode,
    Method::Dot1x,
    Method::Mab,
];

const MFAS: [Mfa; 5] = [Mfa::Unknown, Mfa::Yes, Mfa::No, Mfa::Claimed, Mfa::Delegated];

const FACTORS: [Factor; 12] = [
    Factor::Push,
    Factor::NumberMatch,
    Factor::Totp,
    Factor::Sms,
    Factor::Voice,
    Factor::Email,
    Factor::Fido2,
    Factor::Certificate,
    Factor::HardwareToken,
    Factor::BypassCode,
    Factor::Remembered,
    Factor::Other,
];

const REASONS: [Reason; 20] = [
    Reason::BadPassword,
    Reason::NoUser,
    Reason::Locked,
    Reason::Expired,
    Reason::Disabled,
    Reason::MfaDenied,
    Reason::MfaTimeout,
    Reason::MfaFailed,
    Reason::Fraud,
    Reason::Policy,
    Reason::Posture,
    Reason::Certificate,
    Reason::Hours,
    Reason::NotAllowed,
    Reason::Logout,
    Reason::Idle,
    Reason::Timeout,
    Reason::Preempted,
    Reason::ConnectionLost,
    Reason::ByAdmin,
];

const CHANGES: [Change; 27] = [
    Change::AccountCreated,
    Change::AccountDeleted,
    Change::AccountEnabled,
    Change::AccountDisabled,
    Change::AccountLocked,
    Change::AccountUnlocked,
    Change::PasswordReset,
    Change::GroupAdded,
    Change::GroupRemoved,
    Change::RoleGranted,
    Change::RoleRemoved,
    Change::KeyCreated,
    Change::FactorEnrolled,
    Change::FactorRemoved,
    Change::FactorReset,
    Change::PolicyChanged,
    Change::ConsentGranted,
    Change::LoggingStopped,
    Change::ConfigExported,
    Change::ConfigChanged,
    Change::LocalUserCreated,
    Change::AdminCreated,
    Change::ServiceInstalled,
    Change::TaskCreated,
    Change::Exposed,
    Change::CredentialAccess,
    Change::PrivilegeUsed,
];

fn find<T: Copy>(what: &str, all: &[T], name: fn(T) -> &'static str, word: &str) -> Result<T, String> {
    let spelt = |x: T| name(x).to_ascii_lowercase().replace([' ', '-'], "_").replace('.', "");
    all.iter().copied().find(|x| spelt(*x) == word).ok_or_else(|| {
        let names: Vec<String> = all.iter().map(|x| spelt(*x)).collect();
        format!("there is no {what} `{word}`; there are {}", names.join(", "))
    })
}

pub(super) fn service(word: &str) -> Result<Service, String> {
    find("service", &SERVICES, Service::name, word)
}

pub(super) fn method(word: &str) -> Result<Method, String> {
    find("method", &METHODS, Method::name, word)
}

pub(super) fn mfa(word: &str) -> Result<Mfa, String> {
    find("state of the second factor", &MFAS, Mfa::name, word)
}

pub(super) fn factor(word: &str) -> Result<Factor, String> {
    find("factor", &FACTORS, Factor::name, word)
}

pub(super) fn reason(word: &str) -> Result<Reason, String> {
    find("reason", &REASONS, Reason::name, word)
}

pub(super) fn change(word: &str) -> Result<Change, String> {
    find("change", &CHANGES, Change::name, word)
}

/// The flag of that name.
pub(super) fn flag(word: &str) -> Result<Flags, String> {
    let all = (0..16).map(|bit| Flags(1 << bit));
    all.clone().find(|f| f.names().any(|n| n == word)).ok_or_else(|| {
        let names: Vec<&str> = all.flat_map(|f| f.names().collect::<Vec<_>>()).collect();
        format!("there is no flag `{word}`; there are {}", names.join(", "))
    })
}
