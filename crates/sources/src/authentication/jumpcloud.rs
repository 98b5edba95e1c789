//! JumpCloud Directory Insights: user portal, administrators, single sign-on, RADIUS, LDAP, and logins on systems.
//!
//! Read from: JumpCloud Directory Insights API, event types by service. Traps: behind RADIUS the address is that of the
//! gateway or access point that asked; an application that cannot be reached is no refused login; `mfa` says that a second
//! factor was passed; logins on systems have their own address of origin.

use super::utc;
use crate::decode::find::find;
use crate::decode::json::{Paths, Value};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Change, Flags, Mfa, Outcome, Reason, Service};
use portreeve_model::place::Point;
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "jumpcloud",
    title: "JumpCloud Directory Insights",
    row: Row::Authentication,
    gives: &[Act::Auth, Act::Mfa, Act::Logon, Act::Admin, Act::Config, Act::Account],
    lacks: &[Field::TunnelIp, Field::SessionId, Field::SessionEnd, Field::Bytes],
    traps: &["radius_address", "system_logins"],
    manual: "JumpCloud: Directory Insights API and event types",
    enable: "Directory Insights API or its export to S3, all services",
    general: false,
    marks: &["\"initiated_by\"", "\"event_type\""],
    reader: Reader::Code {
        claim: |r| {
            let has = |needle: &[u8]| find(r.body, needle).is_some();
            r.shape == Shape::Json
                && has(b"\"event_type\"")
                && has(b"\"organization\"")
                && has(b"\"service\"")
                && (has(b"\"initiated_by\"")
                    || has(b"\"client_ip\"")
                    || has(b"\"src_ip\"")
                    || has(b"\"system\""))
        },
        parse,
        join: None,
    },
};

static PATHS: LazyLock<Paths<34>> = LazyLock::new(|| {
    Paths::new([
        "event_type",
        "timestamp",
        "initiated_by.username",
        "initiated_by.email",
        "username",
        "resource.username",
        "resource.email",
        "resource.name",
        "client_ip",
        "src_ip",
        "success",
        "sso_token_success",
        "mfa",
        "mfa_meta.type",
        "error_message",
        "useragent.name",
        "geoip.country_code",
        "geoip.latitude",
        "geoip.longitude",
        "application.display_label",
        "application.name",
        "system.hostname",
        "system.displayName",
        "auth_context.system.hostname",
        "id",
        "process_name",
        "association.op",
        "association.connection.from.name",
        "association.connection.to.name",
        "association.connection.to.type",
        "resource.type",
        "nas_mfa_state",
        "raw_event_type",
        "changes",
    ])
});

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let first = |all: &[usize]| all.iter().map(|n| v[*n]).find(|x| !x.bytes().is_empty()).unwrap_or_default();
    let kind = v[0].bytes();
    let ok = first(&[10, 11]).truth().unwrap_or(true);
    let plain = if ok { Outcome::Success } else { Outcome::Failure };
    let said = v[14].text();
    let has = |needle: &[u8]| find(kind, needle).is_some();
    let changes = v[33].nested();
    let (act, service, change) = match kind {
        b"user_login_attempt" | b"sso_auth" => (Act::Auth, Service::Idp, Change::None),
        b"admin_login_attempt" => (Act::Admin, Service::Management, Change::None),
        b"radius_auth_attempt" => (Act::Auth, Service::Radius, Change::None),
        b"ldap_bind" => (Act::Auth, Service::Directory, Change::None),
        b"login_attempt" | b"system_login" if find(v[25].bytes(), b"sshd").is_some() => {
            (Act::Logon, Service::Ssh, Change::None)
        }
        b"login_attempt" | b"system_login" => (Act::Logon, Service::Host, Change::None),
        b"push_mfa_attempt" | b"user_mfa_attempt" | b"idp_mfa_attempt" => {
            (Act::Mfa, Service::Idp, Change::None)
        }
        b"user_create" | b"user_create_provision" => (Act::Account, Service::Idp, Change::AccountCreated),
        b"admin_create" => (Act::Account, Service::Idp, Change::AdminCreated),
        b"user_delete" | b"admin_delete" => (Act::Account, Service::Idp, Change::AccountDeleted),
        b"user_lockout" => (Act::Account, Service::Idp, Change::AccountLocked),
        b"user_unlocked" | b"user_unlock" => (Act::Account, Service::Idp, Change::AccountUnlocked),
        b"user_suspended" => (Act::Account, Service::Idp, Change::AccountDisabled),
        b"user_activated" => (Act::Account, Service::Idp, Change::AccountEnabled),
        b"user_password_change"
        | b"user_password_set"
        | b"user_password_reset_request"
        | b"admin_password_reset_request"
        | b"admin_password_change" => (Act::Account, Service::Idp, Change::PasswordReset),
        b"admin_totp_finish_enrollment"
        | b"user_totp_finish_enrollment"
        | b"webauthn_enroll"
        | b"push_mfa_enrollment" => (Act::Account, Service::Idp, Change::FactorEnrolled),
        b"admin_totp_disable"
        | b"totp_delete"
        | b"user_totp_disable"
        | b"webauthn_delete"
        | b"push_mfa_delete" => (Act::Account, Service::Idp, Change::FactorRemoved),
        b"user_admin_granted" | b"admin_role_change" => (Act::Account, Service::Idp, Change::RoleGranted),
        b"user_admin_revoked" => (Act::Account, Service::Idp, Change::RoleRemoved),
        b"association_change" if v[29].is(b"user_group") || v[29].is(b"user") => {
            let added = v[26].is(b"add");
            (Act::Account, Service::Idp, if added { Change::GroupAdded } else { Change::GroupRemoved })
        }
        b"user_update"
            if find(changes, b"\"suspended\"").is_some() && find(changes, b"\"to\":true").is_some() =>
        {
            (Act::Account, Service::Idp, Change::AccountDisabled)
        }
        b"user_update" if find(changes, b"\"sudo\"").is_some() => {
            (Act::Account, Service::Idp, Change::RoleGranted)
        }
        b"user_update" if find(changes, b"\"mfa").is_some() || find(changes, b"\"totp").is_some() => {
            (Act::Account, Service::Idp, Change::FactorReset)
        }
        _ if has(b"auth_policy") || kind.starts_with(b"policy_") || has(b"mfa_config") => {
            (Act::Config, Service::Idp, Change::PolicyChanged)
        }
        b"organization_update" | b"ip_list_update" | b"ip_list_delete" => {
            (Act::Config, Service::Idp, Change::ConfigChanged)
        }
        b"" => return Parsed::Broken(Why::Missing("event_type")),
        _ => (Act::Posture, Service::Idp, Change::None),
    };
    let login = matches!(act, Act::Auth | Act::Admin | Act::Logon | Act::Mfa);
    let unreachable = find(&said, b"unreachable").is_some();
    let act = if act == Act::Auth && unreachable { Act::Posture } else { act };
    let user = if act == Act::Logon || service == Service::Radius {
        first(&[4, 2, 3, 5])
    } else {
        first(&[2, 3, 4, 5])
    };
    let reason = match (login && !ok, act) {
        (false, _) => Reason::None,
        (_, Act::Mfa) if find(&said, b"denied").is_some() => Reason::MfaDenied,
        (_, Act::Mfa) => Reason::MfaFailed,
        _ if find(&said, b"locked").is_some() => Reason::Locked,
        _ if find(&said, b"MFA").is_some() || find(&said, b"mfa").is_some() => Reason::MfaFailed,
        _ if find(&said, b"not bound").is_some() || find(&said, b"policy").is_some() => Reason::NotAllowed,
        _ if find(&said, b"nknown user").is_some() || find(&said, b"not found").is_some() => Reason::NoUser,
        _ => Reason::BadPassword,
    };
    let mfa = match (v[12].truth(), login && ok) {
        (Some(true), true) => Mfa::Yes,
        // Single sign-on follows a login at the portal, which may have asked for one.
        (Some(false), true) if act != Act::Logon && kind != b"sso_auth" => Mfa::No,
        _ => Mfa::Unknown,
    };
    let coordinate = |x: Value<'_>| std::str::from_utf8(x.bytes()).ok().and_then(|t| t.parse::<f32>().ok());
    let radius = service == Service::Radius;
    let point = match (coordinate(v[17]), coordinate(v[18])) {
        (Some(lat), Some(lon)) if !radius && act != Act::Logon => Some(Point { lat, lon }),
        _ => None,
    };
    let group = first(&[19, 20]);
    let (target, detail) = match (change, login) {
        (Change::GroupAdded | Change::GroupRemoved, _) => (v[27], v[28].text()),
        (_, true) => (Value::Missing, said),
        _ => (first(&[5, 6, 7]), kind.into()),
    };
    let source = if act == Act::Logon { first(&[9]) } else { first(&[8, 9]) };
    let host = if act == Act::Logon { first(&[21, 22]) } else { Value::Missing };
    out.event(act, plain)
        .at(utc(r, v[1].bytes()))
        .identity(v[24].bytes())
        .service(service)
        .user(&user.text())
        .target(&target.text())
        .source(source.bytes())
        .host(&host.text())
        .device(&v[23].text())
        .client(&v[15].text())
        .group(&group.text())
        .detail(&detail)
        .change(change)
        .reason(reason)
        .mfa(mfa)
        .country(if radius { b"" } else { v[16].bytes() })
        .point(point)
        .flag_if(radius, Flags::SOURCE_UNTRUSTED)
        .flag_if(radius && v[31].is(b"ENABLED") && mfa != Mfa::Yes, Flags::PRE_MFA)
        .flag_if(act == Act::Admin, Flags::PRIVILEGED)
        .done()
}
