//! Every value of the event's vocabularies, and finding one by its name.

use crate::event::{Act, Change, Factor, Flags, Method, Mfa, Outcome, Reason, Service};

macro_rules! vocabulary {
    ($type:ident, $count:literal, $($variant:ident),+ $(,)?) => {
        impl $type {
            /// In the order of their discriminants, which stored events rely on.
            pub const ALL: [$type; $count] = [$($type::$variant),+];

            /// The value of this name, as [`Self::name`] writes it.
            pub fn named(name: &str) -> Option<$type> {
                Self::ALL.into_iter().find(|v| v.name() == name)
            }
        }
    };
}

vocabulary!(Outcome, 6, Unknown, Success, Failure, BlockedAfterPassword, Challenge, Interrupt);
vocabulary!(Mfa, 5, Unknown, Yes, No, Claimed, Delegated);
vocabulary!(
    Factor,
    13,
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
    Other
);
vocabulary!(
    Reason,
    22,
    None,
    BadPassword,
    NoUser,
    Locked,
    Expired,
    Disabled,
    MfaDenied,
    MfaTimeout,
    MfaFailed,
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
    Other
);
vocabulary!(
    Service,
    25,
    Other,
    Vpn,
    Ica,
    RdGateway,
    Rdp,
    Ssh,
    Ztna,
    Rmm,
    Idp,
    Radius,
    Management,
    CloudConsole,
    CloudApi,
    Kubernetes,
    Windows,
    Directory,
    Wired,
    Wireless,
    Firewall,
    Dhcp,
    Edr,
    Host,
    Bastion,
    Vnc,
    WinRm
);
vocabulary!(
    Method,
    17,
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
    Legacy,
    DeviceCode,
    Dot1x,
    Mab
);
vocabulary!(
    Change,
    28,
    None,
    AccountCreated,
    AccountDeleted,
    AccountEnabled,
    AccountDisabled,
    AccountLocked,
    AccountUnlocked,
    PasswordReset,
    GroupAdded,
    GroupRemoved,
    RoleGranted,
    RoleRemoved,
    KeyCreated,
    FactorEnrolled,
    FactorRemoved,
    FactorReset,
    PolicyChanged,
    ConsentGranted,
    LoggingStopped,
    ConfigExported,
    ConfigChanged,
    LocalUserCreated,
    AdminCreated,
    ServiceInstalled,
    TaskCreated,
    Exposed,
    CredentialAccess,
    PrivilegeUsed
);

impl Act {
    pub fn named(name: &str) -> Option<Act> {
        Act::ALL.into_iter().find(|a| a.name() == name)
    }
}

impl Flags {
    /// The one flag of this name.
    pub fn named(name: &str) -> Option<Flags> {
        (0..16).map(|bit| Flags(1 << bit)).find(|f| f.names().next() == Some(name))
    }
}
