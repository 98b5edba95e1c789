//! Keycloak and Red Hat build of Keycloak: login and admin events, as text of the event logger and as JSON.
//!
//! Read from: Server Administration Guide, "Configuring auditing to track events"; EventType and OperationType. Traps: a
//! page that expired and a code that was used twice are errors without a wrong password; `userId` is a number of the
//! realm, the name stands in `username`; service accounts log in all day.

use super::utc;
use crate::decode::clock::{self, Stamp};
use crate::decode::find::find;
use crate::decode::json::{Paths, Value};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Change, Flags, Outcome, Reason, Service};
use portreeve_model::time::{Certainty, EventTime};
use std::borrow::Cow;
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "keycloak",
    title: "Keycloak",
    row: Row::Authentication,
    gives: &[Act::Auth, Act::Config, Act::Account, Act::Posture],
    lacks: &[Field::TunnelIp, Field::Device, Field::Mfa, Field::SessionEnd, Field::Bytes, Field::Host],
    traps: &["expired_pages", "service_accounts"],
    manual: "Keycloak Server Administration Guide: Configuring auditing to track events",
    enable: "Realm settings > Events: event listener jboss-logging, save events; --log-level=org.keycloak.events:debug also logs successes",
    general: false,
    marks: &["realmId"],
    reader: Reader::Code {
        claim: |r| {
            let has = |needle: &[u8]| find(r.body, needle).is_some();
            if r.shape == Shape::Json {
                has(b"\"realmId\"") && (has(b"\"type\"") || has(b"\"operationType\""))
                    || has(b"org.keycloak.events\"") && has(b"realmId=")
            } else {
                has(b"realmId=") && (has(b"type=") || has(b"operationType="))
            }
        },
        parse,
        join: None,
    },
};

/// One event, whichever way it was written.
#[derive(Default)]
struct Said<'a> {
    kind: Cow<'a, [u8]>,
    realm: Cow<'a, [u8]>,
    client: Cow<'a, [u8]>,
    user_id: Cow<'a, [u8]>,
    username: Cow<'a, [u8]>,
    address: Cow<'a, [u8]>,
    error: Cow<'a, [u8]>,
    session: Cow<'a, [u8]>,
    credential: Cow<'a, [u8]>,
    operation: Cow<'a, [u8]>,
    resource: Cow<'a, [u8]>,
    path: Cow<'a, [u8]>,
}

/// The event logger's line within the server's JSON console.
static CONSOLE: LazyLock<Paths<3>> = LazyLock::new(|| Paths::new(["message", "@timestamp", "timestamp"]));

static PATHS: LazyLock<Paths<22>> = LazyLock::new(|| {
    Paths::new([
        "time",
        "type",
        "realmName",
        "realmId",
        "clientId",
        "userId",
        "details.username",
        "ipAddress",
        "error",
        "sessionId",
        "details.credential_type",
        "operationType",
        "resourceType",
        "resourcePath",
        "authDetails.userId",
        "authDetails.ipAddress",
        "authDetails.clientId",
        "details.code_id",
        "username",
        "authDetails.username",
        "@timestamp",
        "timestamp",
    ])
});

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    if r.shape == Shape::Json && find(r.body, b"\"realmId\"").is_none() {
        let Ok(v) = CONSOLE.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
        let stamp = if v[1].is_missing() { v[2] } else { v[1] };
        return written(&v[0].text(), utc(r, stamp.bytes()), out);
    }
    if r.shape == Shape::Json {
        let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
        let first = |all: &[usize]| {
            all.iter().map(|n| v[*n]).find(|x| !x.bytes().is_empty()).unwrap_or_default().text()
        };
        let at = utc(
            r,
            [v[0], v[20], v[21]]
                .iter()
                .map(|x: &Value<'_>| x.bytes())
                .find(|b| !b.is_empty())
                .unwrap_or_default(),
        );
        let said = Said {
            kind: first(&[1]),
            realm: first(&[2, 3]),
            client: first(&[4, 16]),
            user_id: first(&[5, 14]),
            username: first(&[6, 18, 19]),
            address: first(&[7, 15]),
            error: first(&[8]),
            session: first(&[9, 17]),
            credential: first(&[10]),
            operation: first(&[11]),
            resource: first(&[12]),
            path: first(&[13]),
        };
        return tell(&said, at, out);
    }
    let at = match clock::iso(r.raw) {
        Some((Stamp::Absolute(t), _)) => Some((t, Certainty::Exact)),
        Some((Stamp::Local(c), _)) => r.clock.resolve(c),
        None => r.header_time(),
    };
    written(r.body, at, out)
}

/// `type=LOGIN, realmId=…, …` or, since version 22, `type="LOGIN", realmId="…"`.
fn written(text: &[u8], at: Option<(EventTime, Certainty)>, out: &mut Emit<'_>) -> Parsed {
    let from = find(text, b"operationType=").or_else(|| find(text, b"type=")).unwrap_or(0);
    let text = text.get(from..).unwrap_or_default();
    let mut said = Said::default();
    for (key, value) in crate::decode::kv::pairs(text) {
        let value = Cow::Borrowed(value);
        match key {
            b"type" => said.kind = value,
            b"realmName" => said.realm = value,
            b"realmId" if said.realm.is_empty() => said.realm = value,
            b"clientId" => said.client = value,
            b"userId" => said.user_id = value,
            b"username" => said.username = value,
            b"ipAddress" => said.address = value,
            b"error" => said.error = value,
            b"sessionId" => said.session = value,
            b"code_id" if said.session.is_empty() => said.session = value,
            b"credential_type" | b"selected_credential_id" if said.credential.is_empty() => {
                said.credential = value
            }
            b"operationType" => said.operation = value,
            b"resourceType" => said.resource = value,
            b"resourcePath" => said.path = value,
            _ => {}
        }
    }
    tell(&said, at, out)
}

fn tell(said: &Said<'_>, at: Option<(EventTime, Certainty)>, out: &mut Emit<'_>) -> Parsed {
    if !said.operation.is_empty() {
        return administration(said, at, out);
    }
    let kind = &*said.kind;
    let failed = kind.ends_with(b"_ERROR");
    let base = kind.strip_suffix(b"_ERROR").unwrap_or(kind);
    let outcome = if failed { Outcome::Failure } else { Outcome::Success };
    let (act, change) = match base {
        b"LOGIN" => (Act::Auth, Change::None),
        b"IDENTITY_PROVIDER_LOGIN" | b"IDENTITY_PROVIDER_FIRST_LOGIN" | b"IDENTITY_PROVIDER_POST_LOGIN" => {
            if !failed {
                return Parsed::Irrelevant(Kind::Pending);
            }
            (Act::Auth, Change::None)
        }
        b"CLIENT_LOGIN" => return Parsed::Irrelevant(Kind::Machine),
        b"REGISTER" => (Act::Account, Change::AccountCreated),
        b"DELETE_ACCOUNT" => (Act::Account, Change::AccountDeleted),
        b"UPDATE_PASSWORD" | b"RESET_PASSWORD" => (Act::Account, Change::PasswordReset),
        b"UPDATE_CREDENTIAL" if &*said.credential == b"password" => (Act::Account, Change::PasswordReset),
        b"UPDATE_CREDENTIAL" | b"UPDATE_TOTP" => (Act::Account, Change::FactorEnrolled),
        b"REMOVE_CREDENTIAL" | b"REMOVE_TOTP" => (Act::Account, Change::FactorRemoved),
        b"GRANT_CONSENT" => (Act::Account, Change::ConsentGranted),
        b"IMPERSONATE" => (Act::Account, Change::PrivilegeUsed),
        b"USER_DISABLED_BY_TEMPORARY_LOCKOUT" | b"USER_DISABLED_BY_PERMANENT_LOCKOUT" => {
            (Act::Account, Change::AccountLocked)
        }
        b"LOGOUT" => (Act::Posture, Change::None),
        _ if failed => (Act::Posture, Change::None),
        b"" => return Parsed::Broken(Why::Missing("type")),
        _ => return Parsed::Irrelevant(Kind::RoutineUse),
    };
    // A page that was left open too long, or a browser that lost its cookie: nobody gave a wrong password.
    let broken_off = matches!(
        &*said.error,
        b"expired_code"
            | b"cookie_not_found"
            | b"invalid_code"
            | b"different_user_authenticated"
            | b"already_logged_in"
    );
    let act = if act == Act::Auth && broken_off { Act::Posture } else { act };
    let reason = match &*said.error {
        b"" => Reason::None,
        b"invalid_user_credentials" | b"invalid_credentials" => Reason::BadPassword,
        b"user_not_found" | b"username_missing" | b"invalid_username" => Reason::NoUser,
        b"user_temporarily_disabled" => Reason::Locked,
        b"user_disabled" => Reason::Disabled,
        b"access_denied" | b"not_allowed" | b"consent_denied" => Reason::NotAllowed,
        b"rejected_by_user" => Reason::MfaDenied,
        b"password_expired" => Reason::Expired,
        _ => Reason::Other,
    };
    let user: &[u8] = if said.username.is_empty() { &said.user_id } else { &said.username };
    let whom: &[u8] = if act == Act::Account { user } else { b"" };
    out.event(act, outcome)
        .at(at)
        .service(Service::Idp)
        .user(user)
        .target(whom)
        .source(&said.address)
        .sid(if act == Act::Auth { &said.session } else { b"" })
        .group(&said.client)
        .observer(&said.realm)
        .detail(if act == Act::Auth { &said.error } else { kind })
        .reason(if failed { reason } else { Reason::None })
        .change(change)
        .done()
}

/// What an administrator did by the console or its API.
fn administration(said: &Said<'_>, at: Option<(EventTime, Certainty)>, out: &mut Emit<'_>) -> Parsed {
    let (operation, path) = (&*said.operation, &*said.path);
    let has = |needle: &[u8]| find(path, needle).is_some();
    let (act, change) = match (&*said.resource, operation) {
        (b"USER", b"CREATE") => (Act::Account, Change::AccountCreated),
        (b"USER", b"DELETE") if has(b"/credentials/") => (Act::Account, Change::FactorRemoved),
        (b"USER", b"DELETE") => (Act::Account, Change::AccountDeleted),
        (b"USER", _) if has(b"reset-password") => (Act::Account, Change::PasswordReset),
        (b"USER", b"ACTION") if has(b"impersonation") => (Act::Account, Change::PrivilegeUsed),
        (b"REALM_ROLE_MAPPING" | b"CLIENT_ROLE_MAPPING", b"CREATE") => (Act::Account, Change::RoleGranted),
        (b"REALM_ROLE_MAPPING" | b"CLIENT_ROLE_MAPPING", b"DELETE") => (Act::Account, Change::RoleRemoved),
        (b"GROUP_MEMBERSHIP", b"CREATE") => (Act::Account, Change::GroupAdded),
        (b"GROUP_MEMBERSHIP", b"DELETE") => (Act::Account, Change::GroupRemoved),
        (b"REALM", b"UPDATE") if has(b"events") => (Act::Config, Change::LoggingStopped),
        (
            b"AUTH_FLOW"
            | b"AUTH_EXECUTION"
            | b"AUTH_EXECUTION_FLOW"
            | b"AUTHENTICATOR_CONFIG"
            | b"REQUIRED_ACTION"
            | b"IDENTITY_PROVIDER"
            | b"REALM",
            b"CREATE" | b"UPDATE" | b"DELETE",
        ) => (Act::Config, Change::PolicyChanged),
        (b"CLIENT" | b"COMPONENT" | b"CLIENT_SCOPE", b"CREATE" | b"UPDATE" | b"DELETE") => {
            (Act::Config, Change::ConfigChanged)
        }
        _ => return Parsed::Irrelevant(Kind::RoutineUse),
    };
    // `users/4f…/role-mappings/realm`: the number after `users/` is whom it was done to.
    let target = path.strip_prefix(b"users/").map_or(path, |p| p.split(|b| *b == b'/').next().unwrap_or(p));
    let user: &[u8] = if said.username.is_empty() { &said.user_id } else { &said.username };
    out.event(act, if said.error.is_empty() { Outcome::Success } else { Outcome::Failure })
        .at(at)
        .service(Service::Idp)
        .user(user)
        .target(target)
        .source(&said.address)
        .observer(&said.realm)
        .detail(&said.resource)
        .change(change)
        .flag(Flags::PRIVILEGED)
        .done()
}
