//! PingOne: audit activities of the platform (SSO, MFA, administration).
//!
//! Read from: PingOne Platform API, "Audit activities" and "Audit reporting events". Traps: one login writes a dozen steps
//! of a flow; the password check is the first factor only; the actor of an administrator's change may be a client.

use super::utc;
use crate::decode::find::find;
use crate::decode::json::{Paths, Value, elements};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Change, Flags, Mfa, Outcome, Reason, Service};
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "pingone",
    title: "PingOne",
    row: Row::Authentication,
    gives: &[Act::Auth, Act::Mfa, Act::Config, Act::Account],
    lacks: &[Field::TunnelIp, Field::Device, Field::SessionEnd, Field::Bytes, Field::Host],
    traps: &["first_factor"],
    manual: "PingOne Platform API: Audit activities; Audit reporting events",
    enable: "Monitoring > Webhooks: audit events in the Ping activity format, or the audit API",
    general: false,
    marks: &["\"recordedAt\""],
    reader: Reader::Code {
        claim: |r| {
            r.shape == Shape::Json
                && find(r.body, b"\"recordedAt\"").is_some()
                && find(r.body, b"\"actors\"").is_some()
                && find(r.body, b"\"action\"").is_some()
        },
        parse,
        join: None,
    },
};

static PATHS: LazyLock<Paths<14>> = LazyLock::new(|| {
    Paths::new([
        "action.type",
        "recordedAt",
        "actors.user.name",
        "actors.client.name",
        "source.ipAddress",
        "source.userAgent",
        "resources",
        "result.status",
        "result.description",
        "internalCorrelation.sessionId",
        "id",
        "createdAt",
        "actors.user.id",
        "correlationId",
    ])
});
static RESOURCE: LazyLock<Paths<3>> = LazyLock::new(|| Paths::new(["type", "name", "id"]));

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let kind = v[0].bytes();
    let has = |needle: &[u8]| find(kind, needle).is_some();
    let refused =
        v[7].bytes().eq_ignore_ascii_case(b"failed") || v[7].bytes().eq_ignore_ascii_case(b"failure");
    let plain = if refused { Outcome::Failure } else { Outcome::Success };
    let (act, outcome, change, reason) = match kind {
        b"PASSWORD.CHECK_SUCCEEDED" => (Act::Auth, Outcome::Success, Change::None, Reason::None),
        b"PASSWORD.CHECK_FAILED" => (Act::Auth, Outcome::Failure, Change::None, Reason::BadPassword),
        b"USER.ACCESS_ALLOWED" => (Act::Auth, plain, Change::None, Reason::None),
        b"USER.ACCESS_DENIED" => (Act::Auth, Outcome::BlockedAfterPassword, Change::None, Reason::Policy),
        b"USER.KERBEROS_SUCCEEDED" => (Act::Auth, Outcome::Success, Change::None, Reason::None),
        b"USER.KERBEROS_FAILED" => (Act::Auth, Outcome::Failure, Change::None, Reason::Other),
        b"OTP.CHECK_SUCCESS" | b"DEVICE_PAYLOAD.CHECK_SUCCESS" => {
            (Act::Mfa, Outcome::Success, Change::None, Reason::None)
        }
        b"OTP.CHECK_FAILED" | b"OTP.CHECK_INVALID" | b"DEVICE_PAYLOAD.CHECK_INVALID" => {
            (Act::Mfa, Outcome::Failure, Change::None, Reason::MfaFailed)
        }
        b"USER.CREATED" | b"USER.INVITED" => (Act::Account, plain, Change::AccountCreated, Reason::None),
        b"USER.DELETED" => (Act::Account, plain, Change::AccountDeleted, Reason::None),
        b"USER.LOCKED" => (Act::Account, plain, Change::AccountLocked, Reason::None),
        b"USER.UNLOCKED" | b"PASSWORD.UNLOCKED" => {
            (Act::Account, plain, Change::AccountUnlocked, Reason::None)
        }
        b"PASSWORD.RESET" | b"PASSWORD.SET" | b"PASSWORD.RECOVERY" | b"PASSWORD.FORCE_CHANGE" => {
            (Act::Account, plain, Change::PasswordReset, Reason::None)
        }
        b"DEVICE.CREATED" | b"DEVICE.ACTIVATED" => {
            (Act::Account, plain, Change::FactorEnrolled, Reason::None)
        }
        b"DEVICE.DELETED" => (Act::Account, plain, Change::FactorRemoved, Reason::None),
        b"ROLE_ASSIGNMENT.CREATED" => (Act::Account, plain, Change::RoleGranted, Reason::None),
        b"ROLE_ASSIGNMENT.DELETED" => (Act::Account, plain, Change::RoleRemoved, Reason::None),
        b"MEMBER_OF_GROUP.CREATED" => (Act::Account, plain, Change::GroupAdded, Reason::None),
        b"MEMBER_OF_GROUP.DELETED" => (Act::Account, plain, Change::GroupRemoved, Reason::None),
        b"OAUTH_CONSENT.ACCEPTED" => (Act::Account, plain, Change::ConsentGranted, Reason::None),
        b"SECRET.READ" | b"SECRET.UPDATED" => (Act::Account, plain, Change::CredentialAccess, Reason::None),
        _ if has(b"SIGN_ON_POLICY")
            || has(b"AUTHENTICATION_POLICY")
            || has(b"FIDO_POLICY")
            || has(b"AUTHORIZE_POLICY")
            || has(b"RISK_POLICY_SET")
            || kind.starts_with(b"POLICY.")
            || kind.starts_with(b"MFA_SETTINGS.")
            || kind.starts_with(b"IDENTITY_PROVIDER.")
            || kind.starts_with(b"ADMIN_CONFIGURATION.") =>
        {
            if kind.ends_with(b".READ") {
                return Parsed::Irrelevant(Kind::RoutineUse);
            }
            (Act::Config, plain, Change::PolicyChanged, Reason::None)
        }
        b"" => return Parsed::Broken(Why::Missing("action")),
        _ if has(b"FLOW.") || has(b"SESSION.") || has(b"TOKEN.") => return Parsed::Irrelevant(Kind::Pending),
        _ => return Parsed::Irrelevant(Kind::OtherMessage),
    };
    let mut whom = Value::Missing;
    for resource in elements(v[6].nested()).take(8) {
        let Value::Nested(object) = resource else { continue };
        let Ok(t) = RESOURCE.pick(object) else { continue };
        if whom.is_missing() || t[0].is(b"USER") {
            whom = if t[1].is_missing() { t[2] } else { t[1] };
        }
    }
    let person = if v[2].is_missing() { v[12] } else { v[2] };
    let checked = matches!(act, Act::Auth | Act::Mfa);
    // In a check the actor is the application, and the person is what was checked.
    let user = match (person.is_missing(), checked) {
        (false, _) => person,
        (true, true) => whom,
        (true, false) => v[3],
    };
    let stamp = if v[1].is_missing() { v[11] } else { v[1] };
    let first_factor = kind.starts_with(b"PASSWORD.CHECK") || kind.starts_with(b"USER.KERBEROS");
    out.event(act, outcome)
        .at(utc(r, stamp.bytes()))
        .identity(v[10].bytes())
        .service(Service::Idp)
        .user(&user.text())
        .target(&if checked { Value::Missing } else { whom }.text())
        .source(v[4].bytes())
        .client(&v[5].text())
        .sid(v[9].bytes())
        .group(&if checked { v[3] } else { Value::Missing }.text())
        .detail(if checked { b"" } else { kind })
        .change(change)
        .reason(reason)
        .mfa(if act == Act::Mfa && outcome == Outcome::Success { Mfa::Yes } else { Mfa::Unknown })
        .flag_if(first_factor && outcome == Outcome::Success, Flags::PRE_MFA)
        .flag_if(!checked && person.is_missing(), Flags::MACHINE)
        .done()
}
