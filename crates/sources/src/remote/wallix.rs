//! WALLIX Bastion: logins to the bastion, sessions through it to their targets, vault and administration.
//!
//! Read from: WALLIX Bastion "SIEM Logs Guide". Traps: a login first says `started`, and with a directory one line per
//! method before it; the proxies say the same login again under their own tag; a name that is no login stands as
//! `[unknown … username]`; a recording that fails its check names user and address in one word.

use super::seconds;
use crate::decode::find::find;
use crate::decode::kv::{between, pairs};
use crate::emit::{Emit, EventBuilder};
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Change, Factor, Flags, Method, Outcome, Reason, Service};

pub static SOURCE: Source = Source {
    name: "wallix",
    title: "WALLIX Bastion",
    row: Row::Remote,
    gives: &[
        Act::Auth,
        Act::Mfa,
        Act::SessionStart,
        Act::SessionEnd,
        Act::Posture,
        Act::Exec,
        Act::Alert,
        Act::Account,
        Act::Config,
    ],
    lacks: &[Field::TunnelIp, Field::Device, Field::Bytes],
    traps: &["steps_of_a_login", "proxies_repeat", "unknown_names"],
    manual: "WALLIX Bastion SIEM Logs Guide",
    enable: "System > SIEM integration: a syslog destination with all logs enabled (needs the SIEM option of the licence)",
    general: false,
    marks: &[
        "[wabauth]",
        "[wabaudit]",
        "[SSH Session]",
        "[RDP Session]",
        "[VNC Session]",
        "[Web Session]",
        "[Vault Activity]",
        "[sshproxy]",
        "[rdpproxy]",
        "[sessionintegrity]",
        "[integrity]",
        "[CLI Audit]",
        "[sysaudit]",
        "[sessionexport]",
        "[sessionimport]",
        "[WABWATCHDOG]",
        "[wallixplugins]",
    ],
    reader: Reader::Code { claim: |r| r.shape == Shape::Text && tagged(r.body).is_some(), parse, join: None },
};

/// The tag of a message without its brackets, and what follows it. A program name and process id may stand before.
fn tagged(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let head = body.get(..body.len().min(120)).unwrap_or_default();
    for open in memchr::memchr_iter(b'[', head) {
        let rest = body.get(open + 1..)?;
        let Some(close) = memchr::memchr(b']', rest.get(..rest.len().min(20)).unwrap_or_default()) else {
            continue;
        };
        let (tag, rest) = (rest.get(..close)?, rest.get(close + 1..)?);
        let known = match tag {
            b"wabauth" | b"wabaudit" | b"SSH Session" | b"RDP Session" | b"VNC Session" | b"Web Session"
            | b"Vault Activity" | b"CLI Audit" | b"sessionexport" | b"sessionimport"
            | b"sessionintegrity" | b"WABWATCHDOG" | b"wallixplugins" => true,
            b"sshproxy" | b"rdpproxy" => find(rest, b"psid=\"").is_some(),
            b"integrity" => find(rest, b"session_uid=\"").is_some(),
            b"sysaudit" => find(rest, b"action=\"").is_some(),
            _ => false,
        };
        if known {
            return Some((tag, rest));
        }
    }
    None
}

#[derive(Default)]
struct Fields<'a> {
    action: &'a [u8],
    kind: &'a [u8],
    user: &'a [u8],
    client: &'a [u8],
    status: &'a [u8],
    infos: &'a [u8],
    session: &'a [u8],
    target_ip: &'a [u8],
    device: &'a [u8],
    service: &'a [u8],
    account: &'a [u8],
    duration: &'a [u8],
    command: &'a [u8],
    pattern: &'a [u8],
    object: &'a [u8],
    result: &'a [u8],
    method: &'a [u8],
    target: &'a [u8],
    reason: &'a [u8],
}

impl<'a> Fields<'a> {
    fn of(text: &'a [u8]) -> Fields<'a> {
        let mut f = Fields::default();
        for (key, value) in pairs(text) {
            let to = match key {
                b"action" => &mut f.action,
                b"type" => &mut f.kind,
                b"user" => &mut f.user,
                b"client_ip" | b"src_ip" => &mut f.client,
                b"status" => &mut f.status,
                b"infos" => &mut f.infos,
                b"session_id" | b"session_uid" => &mut f.session,
                b"target_ip" => &mut f.target_ip,
                b"device" => &mut f.device,
                b"service" => &mut f.service,
                b"account" => &mut f.account,
                b"duration" => &mut f.duration,
                b"command_line" | b"command" => &mut f.command,
                b"pattern" => &mut f.pattern,
                b"object" => &mut f.object,
                b"result" => &mut f.result,
                b"method" => &mut f.method,
                b"target" => &mut f.target,
                b"reason" => &mut f.reason,
                _ => continue,
            };
            // What the product says comes first; what a session typed or opened comes after it.
            if to.is_empty() {
                *to = value;
            }
        }
        if f.user.starts_with(b"[unknown") {
            f.user = b"";
        }
        f
    }
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some((tag, rest)) = tagged(r.body) else { return Parsed::NotMine };
    match tag {
        b"wabauth" => login(r, &Fields::of(rest), out),
        b"SSH Session" | b"RDP Session" | b"VNC Session" | b"Web Session" => {
            session(r, &Fields::of(rest), out)
        }
        b"sshproxy" | b"rdpproxy" => proxy(r, &Fields::of(rest), out),
        b"Vault Activity" => vault(r, &Fields::of(rest), out),
        b"wabaudit" | b"sysaudit" | b"CLI Audit" => audit(r, &Fields::of(rest), out),
        b"sessionintegrity" | b"integrity" => integrity(r, &Fields::of(rest), out),
        b"sessionexport" | b"sessionimport" => Parsed::Irrelevant(Kind::RoutineUse),
        kind => Parsed::housekeeping_if(kind == b"WABWATCHDOG"),
    }
}

fn event<'e>(
    r: &Record<'_>,
    f: &Fields<'_>,
    act: Act,
    outcome: Outcome,
    out: &'e mut Emit<'_>,
) -> EventBuilder<'e> {
    out.event(act, outcome)
        .at(r.header_time())
        .service(Service::Bastion)
        .user(f.user)
        .source(f.client)
        .observer(r.host())
}

fn login(r: &Record<'_>, f: &Fields<'_>, out: &mut Emit<'_>) -> Parsed {
    if f.action != b"authentify" {
        return Parsed::Irrelevant(Kind::OtherMessage);
    }
    let has = |needle: &[u8]| find(f.infos, needle).is_some();
    let (outcome, reason) = match f.status {
        b"started" => return Parsed::Irrelevant(Kind::Pending),
        // `'Active Directory' -password- authentication succeeded` is one method of several.
        b"success" if has(b"- authentication succeeded") => return Parsed::Irrelevant(Kind::Pending),
        b"success" => (Outcome::Success, Reason::None),
        b"cancel" | b"canceled" | b"cancelled" => (Outcome::Interrupt, Reason::None),
        b"failure" if has(b"locked") => (Outcome::Failure, Reason::Locked),
        b"failure" if has(b"expired") => (Outcome::Failure, Reason::Expired),
        b"failure" => (Outcome::Failure, Reason::BadPassword),
        b"" => return Parsed::Broken(Why::Missing("status")),
        _ => return Parsed::Irrelevant(Kind::OtherMessage),
    };
    let method = if has(b"(APIKEY)") {
        Method::AccessKey
    } else if has(b"(SAML)") || has(b"(OIDC)") {
        Method::Saml
    } else if has(b"(KERBEROS)") {
        Method::Kerberos
    } else if has(b"(X509)") {
        Method::Certificate
    } else if has(b"(SSHKEY)") || has(b"SSH Key") || has(b"PUBKEY") {
        Method::PublicKey
    } else if has(b"(LDAP)") || has(b"(LOCAL)") || has(b"(RADIUS)") || has(b"(TACACS") {
        Method::Password
    } else {
        Method::Unknown
    };
    event(r, f, Act::Auth, outcome, out)
        .method(method)
        .reason(reason)
        .group(between(f.infos, b"identified with ", b"(").unwrap_or_default())
        .flag_if(has(b"(LOCAL).") || has(b"(LOCAL)]"), Flags::LOCAL_ACCOUNT)
        .flag_if(method == Method::AccessKey, Flags::NON_INTERACTIVE)
        .done()
}

fn session(r: &Record<'_>, f: &Fields<'_>, out: &mut Emit<'_>) -> Parsed {
    let (act, outcome) = match f.kind {
        b"SESSION_ESTABLISHED_SUCCESSFULLY" | b"SESSION_ESTABLISHED" => (Act::SessionStart, Outcome::Success),
        b"SESSION_DISCONNECTION" | b"SESSION_ENDED" => (Act::SessionEnd, Outcome::Success),
        b"CONNECTION_FAILED" | b"SESSION_CREATION_FAILED" | b"TARGET_CONNECTION_FAILED" => {
            (Act::Posture, Outcome::Failure)
        }
        b"NEW_PROCESS" | b"COMMAND_DETECTED" => (Act::Exec, Outcome::Success),
        b"KILL_PATTERN_DETECTED" | b"NOTIFY_PATTERN_DETECTED" | b"FILE_VERIFICATION_ERROR" => {
            (Act::Alert, Outcome::Unknown)
        }
        b"" => return Parsed::Broken(Why::Missing("type")),
        _ => return Parsed::Irrelevant(Kind::RoutineUse),
    };
    let host = if f.device.is_empty() { f.target } else { f.device };
    let detail = match act {
        Act::Exec => f.command,
        Act::Alert if !f.pattern.is_empty() => f.pattern,
        Act::Alert => f.kind,
        _ => b"",
    };
    event(r, f, act, outcome, out)
        .host(host)
        .destination(f.target_ip)
        .target(f.account)
        .sid(f.session)
        .group(f.service)
        .detail(detail)
        .severity(if act == Act::Alert { 3 } else { 0 })
        .duration_s(if act == Act::SessionEnd { seconds(f.duration) } else { 0 })
        .reason(if act == Act::SessionEnd { Reason::Logout } else { Reason::None })
        .done()
}

/// The proxies tell the steps of what `wabauth` and the session tell as a whole; only a refused one-time password and
/// a target that did not answer stand nowhere else.
fn proxy(r: &Record<'_>, f: &Fields<'_>, out: &mut Emit<'_>) -> Parsed {
    match f.kind {
        b"AUTHENTICATION_FAILURE" if f.method == b"OTP" => {
            event(r, f, Act::Mfa, Outcome::Failure, out).reason(Reason::MfaFailed).factor(Factor::Totp).done()
        }
        b"AUTHENTICATION_FAILURE" => event(r, f, Act::Auth, Outcome::Failure, out)
            .reason(Reason::BadPassword)
            .method(if f.method == b"SSH Key" { Method::PublicKey } else { Method::Password })
            .flag(Flags::REPEATS)
            .done(),
        b"TARGET_CONNECTION_FAILED" | b"TARGET_ERROR" => event(r, f, Act::Posture, Outcome::Failure, out)
            .host(f.target)
            .sid(f.session)
            .detail(f.reason)
            .done(),
        b"AUTHENTICATION_SUCCESS"
        | b"DISCONNECTION"
        | b"DISCONNECT"
        | b"TARGET_DISCONNECTION"
        | b"LOGOUT" => Parsed::Irrelevant(Kind::Repeats),
        b"INCOMING_CONNECTION" => Parsed::Irrelevant(Kind::Transport),
        b"AUTHENTICATION_TRY" | b"TARGET_CONNECTION" => Parsed::Irrelevant(Kind::Pending),
        _ => Parsed::Irrelevant(Kind::OtherMessage),
    }
}

fn vault(r: &Record<'_>, f: &Fields<'_>, out: &mut Emit<'_>) -> Parsed {
    let change = match f.action {
        b"checkout" | b"checkout extension" => Change::CredentialAccess,
        b"credential change" => Change::PasswordReset,
        _ => return Parsed::Irrelevant(Kind::RoutineUse),
    };
    let failed = find(f.result, b"ail").is_some() || find(f.result, b"enied").is_some();
    event(r, f, Act::Account, if failed { Outcome::Failure } else { Outcome::Success }, out)
        .change(change)
        .target(f.account)
        .detail(f.reason)
        .done()
}

fn audit(r: &Record<'_>, f: &Fields<'_>, out: &mut Emit<'_>) -> Parsed {
    let adds = f.action == b"add";
    let removes = f.action == b"delete";
    if !adds
        && !removes
        && !matches!(
            f.action,
            b"edit"
                | b"change"
                | b"Change"
                | b"save"
                | b"backup"
                | b"download"
                | b"restore"
                | b"Unlock"
                | b"unlock"
        )
    {
        return Parsed::Irrelevant(Kind::RoutineUse);
    }
    let (act, change) = match f.kind {
        b"User" if adds => (Act::Account, Change::AccountCreated),
        b"User" if removes => (Act::Account, Change::AccountDeleted),
        b"User" if f.action.eq_ignore_ascii_case(b"unlock") => (Act::Account, Change::AccountUnlocked),
        b"User" if find(f.infos, b"assword").is_some() => (Act::Account, Change::PasswordReset),
        b"User" | b"Profile" => (Act::Account, Change::RoleGranted),
        b"Apikey" if adds => (Act::Account, Change::KeyCreated),
        b"Usergroup" if find(f.infos, b"users [Add").is_some() => (Act::Account, Change::GroupAdded),
        b"Answer" | b"Approval" => return Parsed::Irrelevant(Kind::RoutineUse),
        b"Backup/Restore" if f.action != b"restore" => (Act::Config, Change::ConfigExported),
        b"SiemLog" | b"siem-dest" if removes => (Act::Config, Change::LoggingStopped),
        b"Authorization" | b"ConnectionPolicy" | b"AuthDomain" | b"AuthDomainMapping" | b"Ldapdomain"
        | b"LdapMapping" | b"UserAuth" | b"Restriction" | b"PwdPolicy" | b"security-level"
        | b"SecurityLevel" => (Act::Config, Change::PolicyChanged),
        b"" => return Parsed::Broken(Why::Missing("type")),
        _ => (Act::Config, Change::ConfigChanged),
    };
    event(r, f, act, Outcome::Success, out)
        .service(Service::Management)
        .change(change)
        .target(f.object)
        .detail(f.kind)
        .flag(Flags::PRIVILEGED)
        .done()
}

/// `user="anna@CORP@192.0.2.7"`: who was recorded, and from where.
fn integrity(r: &Record<'_>, f: &Fields<'_>, out: &mut Emit<'_>) -> Parsed {
    if f.status == b"OK" || f.status.is_empty() {
        return Parsed::Irrelevant(Kind::Housekeeping);
    }
    let at = memchr::memrchr(b'@', f.user).unwrap_or(f.user.len());
    out.event(Act::Alert, Outcome::Unknown)
        .at(r.header_time())
        .service(Service::Bastion)
        .user(f.user.get(..at).unwrap_or_default())
        .source(f.user.get(at + 1..).unwrap_or_default())
        .observer(r.host())
        .sid(f.session)
        .target(f.target)
        .detail(b"recording of the session failed its integrity check")
        .severity(3)
        .done()
}
