//! The normalised event: one typed, compact form for every product (OCSF classes in the doc comments).

use crate::intern::{Sym, SymbolTable};
pub use crate::mac::Mac;
use crate::net::Ip;
use crate::place::{Country, Point};
use crate::record::RawRef;
use crate::time::{Certainty, EventTime};

/// What happened. The order of the variants is the order of events with equal stamps: who holds an address is
/// known before what the address did.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(u8)]
pub enum Act {
    /// DHCP lease (OCSF DHCP Activity 4004).
    Lease,
    /// 802.1X or MAB result, VLAN assignment (OCSF Authentication 3002 at a network device).
    Nac,
    /// A credential was checked by a gateway, an AAA server or an identity provider (OCSF Authentication 3002).
    #[default]
    Auth,
    /// A step of a second factor: challenge, approval, denial (OCSF Authentication 3002).
    Mfa,
    /// Posture or host check (OCSF Device Config State 5002).
    Posture,
    /// A remote session began (OCSF Tunnel Activity 4014).
    SessionStart,
    /// A tunnel, pool or intranet address was given to a session (OCSF Tunnel Activity 4014).
    IpAssign,
    /// A session goes on from another public address.
    SessionResume,
    /// A remote session ended.
    SessionEnd,
    /// Logon on a host: sshd, Windows, console (OCSF Authentication 3002, RDP 4005, SSH 4007).
    Logon,
    /// Logoff or disconnect from a host.
    Logoff,
    /// Login to the management plane of a gateway or appliance.
    Admin,
    /// Configuration of a gateway, policy or logging changed.
    Config,
    /// An account, group, role, key or factor changed: see [`Change`] (OCSF Account Change 3001).
    Account,
    /// Cloud or Kubernetes API call (OCSF API Activity 6003).
    Api,
    /// A connection was allowed or denied (OCSF Network Activity 4001).
    Flow,
    /// A process or command was started (OCSF Process Activity 1007).
    Exec,
    /// An EDR or other security product raised an alert (OCSF Detection Finding 2004).
    Alert,
}

impl Act {
    pub const ALL: [Act; 18] = [
        Act::Lease,
        Act::Nac,
        Act::Auth,
        Act::Mfa,
        Act::Posture,
        Act::SessionStart,
        Act::IpAssign,
        Act::SessionResume,
        Act::SessionEnd,
        Act::Logon,
        Act::Logoff,
        Act::Admin,
        Act::Config,
        Act::Account,
        Act::Api,
        Act::Flow,
        Act::Exec,
        Act::Alert,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Act::Lease => "lease",
            Act::Nac => "nac",
            Act::Auth => "auth",
            Act::Mfa => "mfa",
            Act::Posture => "posture",
            Act::SessionStart => "session_start",
            Act::IpAssign => "ip_assign",
            Act::SessionResume => "session_resume",
            Act::SessionEnd => "session_end",
            Act::Logon => "logon",
            Act::Logoff => "logoff",
            Act::Admin => "admin",
            Act::Config => "config",
            Act::Account => "account",
            Act::Api => "api",
            Act::Flow => "flow",
            Act::Exec => "exec",
            Act::Alert => "alert",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(u8)]
pub enum Outcome {
    #[default]
    Unknown,
    Success,
    Failure,
    /// The password was right, and the access was still refused (conditional access, missing factor, posture).
    BlockedAfterPassword,
    /// Something more was asked for; neither success nor failure.
    Challenge,
    /// Broken off by the client or by a prompt that was not answered; not a failure.
    Interrupt,
}

impl Outcome {
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Unknown => "unknown",
            Outcome::Success => "success",
            Outcome::Failure => "failure",
            Outcome::BlockedAfterPassword => "blocked_after_password",
            Outcome::Challenge => "challenge",
            Outcome::Interrupt => "interrupt",
        }
    }
}

/// Was a second factor passed, as far as this record tells. Unknown is never no.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(u8)]
pub enum Mfa {
    #[default]
    Unknown,
    Yes,
    No,
    /// Satisfied by an earlier one: claim in the token, remembered device.
    Claimed,
    /// Another system asks for it (SAML, federation, RADIUS to a provider).
    Delegated,
}

impl Mfa {
    pub fn name(self) -> &'static str {
        match self {
            Mfa::Unknown => "unknown",
            Mfa::Yes => "yes",
            Mfa::No => "no",
            Mfa::Claimed => "claimed",
            Mfa::Delegated => "delegated",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(u8)]
pub enum Factor {
    #[default]
    None,
    Push,
    NumberMatch,
    Totp,
    Sms,
    Voice,
    Email,
    Fido2,
    Certificate,
    HardwareToken,
    BypassCode,
    Remembered,
    Other,
}

impl Factor {
    pub fn name(self) -> &'static str {
        match self {
            Factor::None => "none",
            Factor::Push => "push",
            Factor::NumberMatch => "number match",
            Factor::Totp => "totp",
            Factor::Sms => "sms",
            Factor::Voice => "voice",
            Factor::Email => "email",
            Factor::Fido2 => "fido2",
            Factor::Certificate => "certificate",
            Factor::HardwareToken => "hardware token",
            Factor::BypassCode => "bypass code",
            Factor::Remembered => "remembered device",
            Factor::Other => "other",
        }
    }

    pub fn phishing_resistant(self) -> bool {
        matches!(self, Factor::Fido2 | Factor::Certificate)
    }
}

/// Why an attempt failed, a session ended or an access was refused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(u8)]
pub enum Reason {
    #[default]
    None,
    BadPassword,
    NoUser,
    Locked,
    Expired,
    Disabled,
    MfaDenied,
    MfaTimeout,
    MfaFailed,
    /// The account holder reported the request as fraud.
    Fraud,
    Policy,
    Posture,
    Certificate,
    Hours,
    NotAllowed,
    Logout,
    Idle,
    Timeout,
    Preempted,
    ConnectionLost,
    ByAdmin,
    Other,
}

impl Reason {
    pub fn name(self) -> &'static str {
        match self {
            Reason::None => "",
            Reason::BadPassword => "bad_password",
            Reason::NoUser => "no_user",
            Reason::Locked => "locked",
            Reason::Expired => "expired",
            Reason::Disabled => "disabled",
            Reason::MfaDenied => "mfa_denied",
            Reason::MfaTimeout => "mfa_timeout",
            Reason::MfaFailed => "mfa_failed",
            Reason::Fraud => "reported_as_fraud",
            Reason::Policy => "policy",
            Reason::Posture => "posture",
            Reason::Certificate => "certificate",
            Reason::Hours => "hours",
            Reason::NotAllowed => "not_allowed",
            Reason::Logout => "logout",
            Reason::Idle => "idle",
            Reason::Timeout => "timeout",
            Reason::Preempted => "preempted",
            Reason::ConnectionLost => "connection_lost",
            Reason::ByAdmin => "by_admin",
            Reason::Other => "other",
        }
    }
}

/// What was accessed, or which kind of log speaks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(u8)]
pub enum Service {
    #[default]
    Other,
    Vpn,
    Ica,
    RdGateway,
    Rdp,
    Ssh,
    Ztna,
    Rmm,
    /// Identity provider sign-in (Okta, Entra, Duo).
    Idp,
    /// RADIUS or AAA server speaking for a gateway or switch.
    Radius,
    /// Management plane of a gateway, firewall or appliance.
    Management,
    CloudConsole,
    CloudApi,
    Kubernetes,
    /// Windows logon that is neither RDP nor RD Gateway (network, console, service …).
    Windows,
    /// Domain controller: Kerberos, NTLM, directory changes.
    Directory,
    Wired,
    Wireless,
    Firewall,
    Dhcp,
    Edr,
    Host,
    /// A jump host or privileged access manager through which sessions to hosts are opened.
    Bastion,
    Vnc,
    WinRm,
}

impl Service {
    pub fn name(self) -> &'static str {
        match self {
            Service::Other => "other",
            Service::Vpn => "vpn",
            Service::Ica => "ica",
            Service::RdGateway => "rd_gateway",
            Service::Rdp => "rdp",
            Service::Ssh => "ssh",
            Service::Ztna => "ztna",
            Service::Rmm => "rmm",
            Service::Idp => "idp",
            Service::Radius => "radius",
            Service::Management => "management",
            Service::CloudConsole => "cloud_console",
            Service::CloudApi => "cloud_api",
            Service::Kubernetes => "kubernetes",
            Service::Windows => "windows",
            Service::Directory => "directory",
            Service::Wired => "wired",
            Service::Wireless => "wireless",
            Service::Firewall => "firewall",
            Service::Dhcp => "dhcp",
            Service::Edr => "edr",
            Service::Host => "host",
            Service::Bastion => "bastion",
            Service::Vnc => "vnc",
            Service::WinRm => "winrm",
        }
    }

    /// A service through which people come in from outside (the subject of T1133).
    pub fn is_remote_access(self) -> bool {
        matches!(
            self,
            Service::Vpn
                | Service::Ica
                | Service::RdGateway
                | Service::Rdp
                | Service::Ssh
                | Service::Ztna
                | Service::Rmm
                | Service::Idp
                | Service::CloudConsole
                | Service::CloudApi
                | Service::Kubernetes
                | Service::Management
                | Service::Bastion
                | Service::Vnc
                | Service::WinRm
        )
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(u8)]
pub enum Method {
    #[default]
    Unknown,
    Password,
    KeyboardInteractive,
    PublicKey,
    Certificate,
    Saml,
    Kerberos,
    Ntlm,
    Token,
    AccessKey,
    AssumedRole,
    ServiceAccount,
    Anonymous,
    /// Legacy or basic authentication, ROPC: paths that cannot ask for a second factor.
    Legacy,
    DeviceCode,
    Dot1x,
    Mab,
}

impl Method {
    pub fn name(self) -> &'static str {
        match self {
            Method::Unknown => "",
            Method::Password => "password",
            Method::KeyboardInteractive => "keyboard-interactive",
            Method::PublicKey => "publickey",
            Method::Certificate => "certificate",
            Method::Saml => "saml",
            Method::Kerberos => "kerberos",
            Method::Ntlm => "ntlm",
            Method::Token => "token",
            Method::AccessKey => "access key",
            Method::AssumedRole => "assumed role",
            Method::ServiceAccount => "service account",
            Method::Anonymous => "anonymous",
            Method::Legacy => "legacy",
            Method::DeviceCode => "device code",
            Method::Dot1x => "802.1X",
            Method::Mab => "MAB",
        }
    }
}

/// What an [`Act::Account`] or [`Act::Config`] event changed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(u8)]
pub enum Change {
    #[default]
    None,
    AccountCreated,
    AccountDeleted,
    AccountEnabled,
    AccountDisabled,
    AccountLocked,
    AccountUnlocked,
    PasswordReset,
    /// `target` was added to a group; `detail` is the group.
    GroupAdded,
    GroupRemoved,
    /// A role, policy or right was given to `target`; `detail` is the right.
    RoleGranted,
    RoleRemoved,
    KeyCreated,
    FactorEnrolled,
    FactorRemoved,
    FactorReset,
    /// Authentication or access policy made weaker or changed.
    PolicyChanged,
    ConsentGranted,
    LoggingStopped,
    ConfigExported,
    ConfigChanged,
    /// A local account of an appliance that may use remote access.
    LocalUserCreated,
    AdminCreated,
    ServiceInstalled,
    TaskCreated,
    /// Something was opened to the Internet (security group, policy, service).
    Exposed,
    /// Directory replication, secret read, credential dump.
    CredentialAccess,
    /// Special privileges were assigned to a new logon (Windows 4672), or sudo/su to root.
    PrivilegeUsed,
}

impl Change {
    pub fn name(self) -> &'static str {
        match self {
            Change::None => "",
            Change::AccountCreated => "account_created",
            Change::AccountDeleted => "account_deleted",
            Change::AccountEnabled => "account_enabled",
            Change::AccountDisabled => "account_disabled",
            Change::AccountLocked => "account_locked",
            Change::AccountUnlocked => "account_unlocked",
            Change::PasswordReset => "password_reset",
            Change::GroupAdded => "group_added",
            Change::GroupRemoved => "group_removed",
            Change::RoleGranted => "role_granted",
            Change::RoleRemoved => "role_removed",
            Change::KeyCreated => "key_created",
            Change::FactorEnrolled => "factor_enrolled",
            Change::FactorRemoved => "factor_removed",
            Change::FactorReset => "factor_reset",
            Change::PolicyChanged => "policy_changed",
            Change::ConsentGranted => "consent_granted",
            Change::LoggingStopped => "logging_stopped",
            Change::ConfigExported => "config_exported",
            Change::ConfigChanged => "config_changed",
            Change::LocalUserCreated => "local_user_created",
            Change::AdminCreated => "admin_created",
            Change::ServiceInstalled => "service_installed",
            Change::TaskCreated => "task_created",
            Change::Exposed => "exposed",
            Change::CredentialAccess => "credential_access",
            Change::PrivilegeUsed => "privilege_used",
        }
    }
}

/// Small facts about an event, as a set of bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Flags(pub u16);

impl Flags {
    /// An administrative right was used or the account is an administrator of the product.
    pub const PRIVILEGED: Flags = Flags(1);
    /// Only the first factor was checked; the login is not complete.
    pub const PRE_MFA: Flags = Flags(1 << 1);
    /// A machine account, a `pre-logon`, a health check: not a person.
    pub const MACHINE: Flags = Flags(1 << 2);
    /// The product hid the user name (ASA's `*****`).
    pub const USER_MASKED: Flags = Flags(1 << 3);
    /// Checked against the appliance's own local database.
    pub const LOCAL_ACCOUNT: Flags = Flags(1 << 4);
    /// Token refresh or other use without a person.
    pub const NON_INTERACTIVE: Flags = Flags(1 << 5);
    pub const MANAGED_DEVICE: Flags = Flags(1 << 6);
    /// A bypass code, exemption or help-desk pass replaced the second factor.
    pub const MFA_BYPASS: Flags = Flags(1 << 7);
    pub const ANONYMOUS: Flags = Flags(1 << 8);
    /// The source address may be forged or belongs to a proxy in front.
    pub const SOURCE_UNTRUSTED: Flags = Flags(1 << 9);
    /// The source named this sign-in risky by itself.
    pub const RISKY: Flags = Flags(1 << 10);
    /// The record comes from the server side of a tunnelled check and repeats another record.
    pub const REPEATS: Flags = Flags(1 << 11);
    /// exec, attach or port-forward into a workload; remote shell through a cloud API.
    pub const REMOTE_SHELL: Flags = Flags(1 << 12);

    pub fn has(self, flag: Flags) -> bool {
        self.0 & flag.0 != 0
    }

    pub fn set(&mut self, flag: Flags) {
        self.0 |= flag.0;
    }

    pub fn names(self) -> impl Iterator<Item = &'static str> {
        const NAMES: [(Flags, &str); 13] = [
            (Flags::PRIVILEGED, "privileged"),
            (Flags::PRE_MFA, "pre_mfa"),
            (Flags::MACHINE, "machine"),
            (Flags::USER_MASKED, "user_masked"),
            (Flags::LOCAL_ACCOUNT, "local_account"),
            (Flags::NON_INTERACTIVE, "non_interactive"),
            (Flags::MANAGED_DEVICE, "managed_device"),
            (Flags::MFA_BYPASS, "mfa_bypass"),
            (Flags::ANONYMOUS, "anonymous"),
            (Flags::SOURCE_UNTRUSTED, "source_untrusted"),
            (Flags::RISKY, "risky"),
            (Flags::REPEATS, "repeats"),
            (Flags::REMOTE_SHELL, "remote_shell"),
        ];
        NAMES.into_iter().filter(move |(f, _)| self.has(*f)).map(|(_, n)| n)
    }
}

impl std::fmt::Debug for Flags {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// One normalised record. Unset fields say "this record does not tell", never "no".
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Event {
    pub time: EventTime,
    /// Hash of the canonical record: with time and act it makes the total order and finds duplicates.
    pub key: u64,
    pub raw: RawRef,

    /// Who came from where: the public (or inner) address of the client.
    pub src_ip: Ip,
    /// The tunnel, pool or intranet address the client got.
    pub tun_ip: Ip,
    /// What was reached.
    pub dst_ip: Ip,
    pub src_port: u16,
    pub dst_port: u16,
    pub mac: Mac,
    pub vlan: u16,
    /// Windows logon type; 0 elsewhere.
    pub logon_type: u8,
    /// 0 unknown, 1 informational, 2 low, 3 medium, 4 high, 5 critical (OCSF `severity_id` 1 to 5).
    pub severity: u8,
    /// How many times it happened where one record stands for several ("message repeated"); 0 means once.
    pub repeat: u16,
    pub duration_s: u32,
    /// Bytes from the client to the company, and back.
    pub bytes_in: u64,
    pub bytes_out: u64,

    pub act: Act,
    pub outcome: Outcome,
    pub reason: Reason,
    pub mfa: Mfa,
    pub factor: Factor,
    pub service: Service,
    pub method: Method,
    pub change: Change,
    pub certainty: Certainty,
    pub flags: Flags,

    /// Name of the log source (`cisco_asa`).
    pub source: Sym,
    /// The account as the record spells it, realm and domain included.
    pub user: Sym,
    /// The other account or object: who was added, whose password was reset, which pod, bucket, key.
    pub target: Sym,
    /// The device that wrote the record: gateway, server, controller.
    pub observer: Sym,
    /// The host that was reached or on which it happened.
    pub host: Sym,
    /// The client's device: name, id or certificate.
    pub device: Sym,
    /// Session, token or key id of the product.
    pub sid: Sym,
    /// Client software or user agent.
    pub client: Sym,
    /// Tunnel group, policy, realm, virtual server, portal or application.
    pub group: Sym,
    /// Command line, API name, alert title, configuration path, group name.
    pub detail: Sym,

    /// Place as the product itself says; used where no geo database knows better.
    pub country: Country,
    pub city: Sym,
    pub point: Option<Point>,
}

impl Event {
    /// Names it by another table.
    pub fn rename(&mut self, from: &SymbolTable, to: &SymbolTable) {
        let names = [
            &mut self.source,
            &mut self.user,
            &mut self.target,
            &mut self.observer,
            &mut self.host,
            &mut self.device,
            &mut self.sid,
            &mut self.client,
            &mut self.group,
            &mut self.detail,
            &mut self.city,
        ];
        for name in names {
            *name = to.intern(&from.text(*name));
        }
    }

    /// How often it happened.
    pub fn times(&self) -> u32 {
        u32::from(self.repeat.max(1))
    }

    pub fn is_success(&self) -> bool {
        self.outcome == Outcome::Success
    }

    pub fn is_failure(&self) -> bool {
        matches!(self.outcome, Outcome::Failure | Outcome::BlockedAfterPassword)
    }

    /// The total order of a run: the same on any arrival, any number of threads, any chunking.
    pub fn order(&self) -> (EventTime, Act, u64) {
        (self.time, self.act, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_stays_small() {
        // The head of the sort and the spill; a wider event is a decision, not an accident.
        assert!(size_of::<Event>() <= 256, "{}", size_of::<Event>());
    }

    #[test]
    fn an_event_is_renamed_whole() {
        let (old, new) = (SymbolTable::new(), SymbolTable::new());
        new.intern("somebody else");
        let mut event = Event::default();
        let names =
            ["source", "user", "target", "observer", "host", "device", "sid", "client", "group", "detail"];
        let syms = names.map(|n| old.intern(n));
        [event.source, event.user, event.target, event.observer, event.host] =
            [0, 1, 2, 3, 4].map(|n| syms[n]);
        [event.device, event.sid, event.client, event.group, event.detail] = [5, 6, 7, 8, 9].map(|n| syms[n]);
        event.rename(&old, &new);
        let e = &event;
        let now =
            [e.source, e.user, e.target, e.observer, e.host, e.device, e.sid, e.client, e.group, e.detail];
        assert_eq!(now.map(|s| new.text(s).to_string()), names);
        assert!(event.city.is_none());
    }

    #[test]
    fn acts_are_listed_in_their_order() {
        assert!(Act::ALL.windows(2).all(|w| w[0] < w[1]));
    }
}
