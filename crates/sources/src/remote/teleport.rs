//! Teleport: audit events of the Auth Service, as JSON and as the text that older versions log.
//!
//! Read from: Teleport "Audit Event Reference". Traps: the event name says what was tried, the last letter of the code
//! whether it succeeded; keys hold dots (`addr.remote`); bots and services join and renew certificates all day; who
//! did something is `user`, to whom `name`; a session of Kubernetes is a request and an `exec`.

use super::{outcome, stamped_utc};
use crate::decode::find::find;
use crate::decode::json::{Paths, Value, elements};
use crate::decode::kv::{after, number};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Change, Factor, Flags, Method, Mfa, Outcome, Reason, Service};
use portreeve_model::time::{Certainty, EventTime};
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "teleport",
    title: "Teleport",
    row: Row::Remote,
    gives: &[
        Act::Auth,
        Act::Mfa,
        Act::SessionStart,
        Act::SessionEnd,
        Act::Flow,
        Act::Exec,
        Act::Api,
        Act::Account,
        Act::Config,
        Act::Posture,
    ],
    lacks: &[Field::TunnelIp, Field::Device, Field::Bytes],
    traps: &["bots_and_services", "codes_tell_failure", "as_text"],
    manual: "Teleport: Audit Event Reference",
    enable: "on by default; export with the event handler plugin, or read /var/lib/teleport/log/events.log of the Auth Service",
    general: false,
    marks: &["\"code\":\"T", "\"code\": \"T", "\"code\":\"t", "\"code\": \"t", " code:T"],
    reader: Reader::Code { claim, parse, join: None },
};

fn claim(r: &Record<'_>) -> bool {
    match r.shape {
        Shape::Json => {
            let Some(rest) = after(r.body, b"\"code\":", b"") else { return false };
            let Some(code) = rest.trim_ascii_start().strip_prefix(b"\"") else { return false };
            let code = code.split(|b| *b == b'"').next().unwrap_or_default();
            is_code(code) && find(r.body, b"\"event\":").is_some() && find(r.body, b"\"time\":").is_some()
        }
        Shape::Text => {
            find(r.body, b" event:").is_some()
                && after(r.body, b" code:", b" ").is_some_and(is_code)
                && find(r.body, b" uid:").is_some()
        }
        _ => false,
    }
}

/// `T1000I`, `TDP00W`, `TAL001E`.
fn is_code(code: &[u8]) -> bool {
    (5..=12).contains(&code.len())
        && matches!(code.first(), Some(b'T' | b't'))
        && code.iter().all(u8::is_ascii_alphanumeric)
        && code.iter().any(u8::is_ascii_digit)
        && matches!(code.last(), Some(b'I' | b'W' | b'E' | b'i' | b'w' | b'e'))
}

const KEYS: [&str; 46] = [
    "event",
    "code",
    "time",
    "user",
    "success",
    "error",
    "method",
    "addr\\.remote",
    "addr_remote",
    "user_agent",
    "sid",
    "login",
    "server_hostname",
    "server_id",
    "cluster_name",
    "proto",
    "db_service",
    "db_user",
    "db_name",
    "kubernetes_cluster",
    "command",
    "name",
    "updated_by",
    "mfa_device",
    "mfa_device\\.mfa_device_type",
    "windows_user",
    "desktop_name",
    "desktop_addr",
    "app_name",
    "session_start",
    "session_stop",
    "path",
    "argv",
    "dst_addr",
    "dst_port",
    "verb",
    "resource_kind",
    "resource_name",
    "response_code",
    "request_path",
    "status\\.success",
    "reviewer",
    "state",
    "target.user",
    "mfa_device.mfa_device_type",
    "interactive",
];
const N: usize = KEYS.len();
static PATHS: LazyLock<Paths<N>> = LazyLock::new(|| Paths::new(KEYS));

/// The fields of a text line `event:user.login success:true user:anna …`; values that hold blanks are cut there.
fn as_text(text: &[u8]) -> [Value<'_>; N] {
    KEYS.map(|key| {
        let mut name = [b' '; 40];
        let plain = key.bytes().filter(|b| *b != b'\\');
        let mut n = 1;
        for b in plain.chain(std::iter::once(b':')) {
            if let Some(to) = name.get_mut(n) {
                *to = b;
                n += 1;
            }
        }
        match after(text, name.get(..n).unwrap_or_default(), b" ") {
            Some(value) if !value.is_empty() && value != b"<nil>" => {
                Value::Text(value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value))
            }
            _ => Value::Missing,
        }
    })
}

/// The picked fields by name.
struct Audit<'a> {
    v: [Value<'a>; N],
}

impl<'a> Audit<'a> {
    fn get(&self, key: &str) -> Value<'a> {
        KEYS.iter().position(|k| *k == key).and_then(|n| self.v.get(n)).copied().unwrap_or_default()
    }

    fn first(&self, keys: &[&str]) -> Value<'a> {
        keys.iter().map(|k| self.get(k)).find(|v| !v.bytes().is_empty()).unwrap_or_default()
    }

    /// What the code's last letter and the record's own word say.
    fn ok(&self) -> bool {
        let bad = matches!(self.get("code").bytes().last(), Some(b'W' | b'E' | b'w' | b'e'));
        let told = self.first(&["success", "status\\.success"]).truth();
        told.unwrap_or(!bad)
    }
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let a = match r.shape {
        Shape::Json => match PATHS.pick(r.body) {
            Ok(v) => Audit { v },
            Err(_) => return Parsed::Broken(Why::Malformed("JSON")),
        },
        _ => Audit { v: as_text(r.body) },
    };
    let event = a.get("event").bytes();
    match event {
        b"" => Parsed::Broken(Why::Missing("event")),
        b"user.login" => login(r, &a, out),
        b"auth" => base(r, &a, Act::Auth, Outcome::Failure, out, |e| e.reason(Reason::NotAllowed)),
        b"session.start"
        | b"db.session.start"
        | b"windows.desktop.session.start"
        | b"desktop.session.start" => {
            if a.ok() {
                base(r, &a, Act::SessionStart, Outcome::Success, out, |e| e)
            } else {
                base(r, &a, Act::Flow, Outcome::Failure, out, |e| e.reason(Reason::NotAllowed))
            }
        }
        b"session.end" | b"db.session.end" | b"windows.desktop.session.end" | b"desktop.session.end" => {
            let length = length(&a);
            base(r, &a, Act::SessionEnd, Outcome::Success, out, |e| {
                e.duration_s(length).reason(Reason::Logout)
            })
        }
        b"session.rejected" | b"session.connect" if !a.ok() || event == b"session.rejected" => {
            base(r, &a, Act::Flow, Outcome::Failure, out, |e| e.reason(Reason::Policy))
        }
        b"app.session.start" => base(r, &a, Act::Flow, outcome(a.ok()), out, |e| e),
        b"port" => base(r, &a, Act::Flow, outcome(a.ok()), out, |e| e.detail(b"port forwarding")),
        b"exec" | b"session.command" => exec(r, &a, out),
        b"kube.request" => kube(r, &a, out),
        b"mfa_auth_challenge.create" => base(r, &a, Act::Mfa, Outcome::Challenge, out, |e| e),
        b"mfa_auth_challenge.validate" => {
            let (ok, factor) = (a.ok(), factor(&a));
            base(r, &a, Act::Mfa, outcome(ok), out, |e| {
                e.factor(factor).mfa(if ok { Mfa::Yes } else { Mfa::Unknown }).reason(if ok {
                    Reason::None
                } else {
                    Reason::MfaFailed
                })
            })
        }
        b"recovery_code.used" => {
            let ok = a.ok();
            base(r, &a, Act::Mfa, outcome(ok), out, |e| {
                e.factor(Factor::BypassCode).flag(Flags::MFA_BYPASS).mfa(if ok {
                    Mfa::Yes
                } else {
                    Mfa::Unknown
                })
            })
        }
        b"bot.join" | b"instance.join" | b"bot.heartbeat" | b"cert.create" | b"session.upload" => {
            Parsed::Irrelevant(Kind::Machine)
        }
        b"session.data"
        | b"session.disk"
        | b"session.network"
        | b"session.leave"
        | b"session.join"
        | b"session.process_exit"
        | b"print"
        | b"resize"
        | b"scp"
        | b"sftp"
        | b"app.session.request"
        | b"app.session.chunk"
        | b"db.session.query"
        | b"subsystem" => Parsed::Irrelevant(Kind::RoutineUse),
        b"user.logout" => base(r, &a, Act::SessionEnd, Outcome::Success, out, |e| e.reason(Reason::Logout)),
        _ => changed(r, &a, event, out),
    }
}

/// What all events have in common.
fn base(
    r: &Record<'_>,
    a: &Audit<'_>,
    act: Act,
    result: Outcome,
    out: &mut Emit<'_>,
    more: impl for<'e> FnOnce(crate::emit::EventBuilder<'e>) -> crate::emit::EventBuilder<'e>,
) -> Parsed {
    let at: Option<(EventTime, Certainty)> = stamped_utc(r, a.get("time").bytes());
    let host = a.first(&["server_hostname", "desktop_name", "db_service", "app_name", "kubernetes_cluster"]);
    let target = a.first(&["login", "windows_user", "db_user"]);
    let builder = out
        .event(act, result)
        .at(at)
        .service(Service::Ztna)
        .user(&a.get("user").text())
        .source(a.first(&["addr\\.remote", "addr_remote"]).bytes())
        .host(&host.text())
        .target(&target.text())
        .sid(a.get("sid").bytes())
        .client(&a.get("user_agent").text())
        .group(a.first(&["proto", "db_name"]).bytes())
        .observer(a.get("cluster_name").bytes());
    more(builder).done()
}

fn login(r: &Record<'_>, a: &Audit<'_>, out: &mut Emit<'_>) -> Parsed {
    let ok = a.ok();
    let error = a.get("error").text();
    let has = |needle: &[u8]| find(&error, needle).is_some();
    let device = !a.get("mfa_device").nested().is_empty()
        || !a.first(&["mfa_device\\.mfa_device_type", "mfa_device.mfa_device_type"]).bytes().is_empty();
    let method = match a.get("method").bytes() {
        b"local" => Method::Password,
        b"saml" | b"oidc" | b"github" => Method::Saml,
        b"headless" => Method::Token,
        _ => Method::Unknown,
    };
    let reason = if ok {
        Reason::None
    } else if has(b"locked") {
        Reason::Locked
    } else if has(b"invalid username, password or second factor") || has(b"invalid credentials") {
        Reason::BadPassword
    } else if has(b"not found") {
        Reason::NoUser
    } else if has(b"access denied") || has(b"not allowed") {
        Reason::NotAllowed
    } else {
        Reason::Other
    };
    let factor = factor(a);
    let local = a.get("method").is(b"local");
    base(r, a, Act::Auth, outcome(ok), out, |e| {
        e.method(method)
            .reason(reason)
            .factor(factor)
            .mfa(match (ok && device, method) {
                (true, _) => Mfa::Yes,
                (false, Method::Saml) if ok => Mfa::Delegated,
                _ => Mfa::Unknown,
            })
            .flag_if(local, Flags::LOCAL_ACCOUNT)
    })
}

fn factor(a: &Audit<'_>) -> Factor {
    let kind = a.first(&["mfa_device\\.mfa_device_type", "mfa_device.mfa_device_type"]).bytes();
    match kind {
        b"WebAuthn" | b"U2F" | b"webauthn" => Factor::Fido2,
        b"TOTP" | b"totp" => Factor::Totp,
        b"" => Factor::None,
        _ => Factor::Other,
    }
}

/// From `session_start` to `session_stop`.
fn length(a: &Audit<'_>) -> u32 {
    let at = |key: &str| match crate::decode::clock::iso(a.get(key).bytes()) {
        Some((crate::decode::clock::Stamp::Absolute(t), _)) => Some(t),
        _ => None,
    };
    match (at("session_start"), at("session_stop")) {
        (Some(from), Some(to)) => u32::try_from(to.since(from) / 1_000_000).unwrap_or(0),
        _ => 0,
    }
}

fn exec(r: &Record<'_>, a: &Audit<'_>, out: &mut Emit<'_>) -> Parsed {
    let command = a.get("command").text();
    let mut line: Vec<u8> =
        if command.is_empty() { a.get("path").text().into_owned() } else { command.into_owned() };
    for word in elements(a.get("argv").nested()).take(32) {
        line.push(b' ');
        line.extend_from_slice(&word.text());
    }
    let kube = a.get("proto").is(b"kube");
    let ok = a.ok();
    base(r, a, Act::Exec, outcome(ok), out, |e| {
        e.detail(&line)
            .service(if kube { Service::Kubernetes } else { Service::Ztna })
            .flag_if(kube, Flags::REMOTE_SHELL)
    })
}

fn kube(r: &Record<'_>, a: &Audit<'_>, out: &mut Emit<'_>) -> Parsed {
    let verb = a.get("verb").bytes();
    let code = number(a.get("response_code").bytes());
    let denied = matches!(code, 401 | 403);
    if matches!(verb, b"GET" | b"LIST" | b"WATCH" | b"get" | b"list" | b"watch" | b"HEAD") && !denied {
        return Parsed::Irrelevant(Kind::RoutineUse);
    }
    let path = a.get("request_path").text();
    let mut line = verb.to_ascii_lowercase();
    line.push(b' ');
    line.extend_from_slice(if path.is_empty() { a.get("resource_kind").bytes() } else { &path });
    let object = a.get("resource_name").text();
    base(r, a, Act::Api, outcome(!denied && code < 500), out, |e| {
        e.service(Service::Kubernetes).detail(&line).target(&object)
    })
}

/// Users, roles, locks, connectors and the rest of the configuration: `<thing>.<create|update|delete|…>`.
fn changed(r: &Record<'_>, a: &Audit<'_>, event: &[u8], out: &mut Emit<'_>) -> Parsed {
    let dot = memchr::memrchr(b'.', event).unwrap_or(event.len());
    let (thing, verb) = (event.get(..dot).unwrap_or_default(), event.get(dot + 1..).unwrap_or_default());
    let made = verb.starts_with(b"create") || verb.starts_with(b"add") || verb.starts_with(b"upsert");
    let gone = verb.starts_with(b"delete") || verb.starts_with(b"remove");
    let altered = verb.starts_with(b"update") || verb.starts_with(b"change");
    let (act, change) = match thing {
        b"user" if made => (Act::Account, Change::AccountCreated),
        b"user" if gone => (Act::Account, Change::AccountDeleted),
        b"user" if verb == b"password_change" => (Act::Account, Change::PasswordReset),
        b"user" if altered => (Act::Account, Change::RoleGranted),
        b"reset_password_token" | b"privilege_token" if made => (Act::Account, Change::PasswordReset),
        b"mfa" | b"mfa_device" if made => (Act::Account, Change::FactorEnrolled),
        b"mfa" | b"mfa_device" if gone => (Act::Account, Change::FactorRemoved),
        b"recovery_code" if verb.starts_with(b"generate") => (Act::Account, Change::FactorEnrolled),
        b"lock" if made => (Act::Account, Change::AccountDisabled),
        b"lock" if gone => (Act::Account, Change::AccountEnabled),
        b"join_token" | b"provision_token" | b"bot" | b"static_host_user" if made => {
            (Act::Account, Change::KeyCreated)
        }
        b"access_request" if verb == b"review" && a.get("state").is(b"APPROVED") => {
            (Act::Account, Change::RoleGranted)
        }
        b"access_list.member" if made => (Act::Account, Change::GroupAdded),
        b"access_list.member" if gone => (Act::Account, Change::GroupRemoved),
        b"role"
        | b"saml"
        | b"oidc"
        | b"github"
        | b"auth_preference"
        | b"trusted_cluster"
        | b"access_list"
        | b"cert_auth_override"
        | b"cluster_networking_config"
        | b"login_rule"
        | b"okta"
            if made || gone || altered =>
        {
            (Act::Config, Change::PolicyChanged)
        }
        b"session_recording_config" | b"external_audit_storage" | b"external_audit_storage.disable"
            if altered || gone || verb.starts_with(b"disable") =>
        {
            (Act::Config, Change::PolicyChanged)
        }
        b"access_request" | b"device" | b"device.authenticate" => (Act::Posture, Change::None),
        _ if made || gone || altered => (Act::Config, Change::ConfigChanged),
        _ => return Parsed::Irrelevant(Kind::OtherMessage),
    };
    let by = a.first(&["reviewer", "updated_by"]).text();
    let user = a.get("user").text();
    let named = if thing == b"lock" { a.first(&["target.user", "name"]) } else { a.get("name") }.text();
    // An own password or factor has no other subject than who changed it.
    let target = if named.is_empty() && act == Act::Account { &user } else { &named };
    let user = if by.is_empty() { &user } else { &by };
    let ok = a.ok();
    let posture = act == Act::Posture;
    base(r, a, act, if posture { Outcome::Unknown } else { outcome(ok) }, out, |e| {
        e.user(user)
            .target(if posture { b"" } else { target })
            .change(change)
            .detail(event)
            .flag_if(act == Act::Config, Flags::PRIVILEGED)
    })
}
