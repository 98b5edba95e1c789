//! Google Workspace and Cloud Identity: activity reports (login, SAML, admin, OAuth tokens, accounts, ChromeOS).
//!
//! Read from: Admin SDK Reports API, "Activity events" by application. Traps: one activity holds several events; a
//! challenge is a step; `suspicious_login` repeats a login that is written by itself; parameters come as a list of names
//! and values, or, flattened by a shipper, as one object.

use super::utc;
use crate::decode::find::find;
use crate::decode::json::{Paths, Value, elements};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Change, Factor, Flags, Method, Mfa, Outcome, Reason, Service};
use std::borrow::Cow;
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "google_workspace",
    title: "Google Workspace",
    row: Row::Authentication,
    gives: &[
        Act::Auth,
        Act::Mfa,
        Act::Logon,
        Act::Logoff,
        Act::SessionStart,
        Act::SessionEnd,
        Act::Config,
        Act::Account,
        Act::Alert,
    ],
    lacks: &[Field::TunnelIp, Field::SessionId, Field::Bytes],
    traps: &["several_events", "flattened"],
    manual: "Google Admin SDK: Reports API, activity events by application",
    enable: "Reports API (applications login, saml, admin, token, user_accounts, chrome), or its export to BigQuery or Cloud Logging",
    general: false,
    marks: &["#activity\"", "\"applicationName\""],
    reader: Reader::Code {
        claim: |r| {
            let has = |needle: &[u8]| find(r.body, needle).is_some();
            r.shape == Shape::Json
                && (has(b"reports#activity\"") || has(b"audit#activity\"") || has(b"\"applicationName\""))
                && has(b"\"actor\"")
                && (has(b"\"events\"")
                    || has(b"\"parameters\"")
                    || has(b"\"profileId\"")
                    || has(b"\"callerType\""))
        },
        parse,
        join: None,
    },
};

static PATHS: LazyLock<Paths<14>> = LazyLock::new(|| {
    Paths::new([
        "id.applicationName",
        "id.time",
        "actor.email",
        "actor.profileId",
        "ipAddress",
        "events",
        "name",
        "type",
        "parameters",
        "id.uniqueQualifier",
        "networkInfo.regionCode",
        "actor.callerType",
        "actor.key",
        "events.name",
    ])
});
static EVENT: LazyLock<Paths<3>> = LazyLock::new(|| Paths::new(["name", "type", "parameters"]));
static PARAMETER: LazyLock<Paths<6>> =
    LazyLock::new(|| Paths::new(["name", "value", "boolValue", "intValue", "multiValue", "multiStrValue"]));

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    if matches!(
        v[0].bytes(),
        b"drive"
            | b"calendar"
            | b"chat"
            | b"meet"
            | b"gplus"
            | b"mobile"
            | b"vault"
            | b"keep"
            | b"classroom"
            | b"jamboard"
            | b"data_studio"
            | b"gmail"
            | b"rules"
            | b"currents"
            | b"ldap"
            | b"profile"
            | b"tasks"
    ) {
        return Parsed::Irrelevant(Kind::RoutineUse);
    }
    let mut result = Parsed::Irrelevant(Kind::OtherMessage);
    let mut take = |name: Value<'_>, kind: Value<'_>, parameters: Value<'_>| match event(
        r,
        &v,
        name.bytes(),
        kind.bytes(),
        parameters.nested(),
        out,
    ) {
        Parsed::Events => result = Parsed::Events,
        other if result != Parsed::Events => result = other,
        _ => {}
    };
    if !v[6].is_missing() {
        take(v[6], v[7], v[8]);
        return result;
    }
    let list = v[5].nested();
    if list.first() == Some(&b'{') {
        if let Ok(e) = EVENT.pick(list) {
            take(e[0], e[1], e[2]);
        }
        return result;
    }
    for one in elements(list).take(64) {
        if let Value::Nested(object) = one
            && let Ok(e) = EVENT.pick(object)
        {
            take(e[0], e[1], e[2]);
        }
    }
    result
}

/// The value of a parameter, as text; of several, the list as it stands.
fn parameter<'a>(list: &'a [u8], wanted: &[u8]) -> Cow<'a, [u8]> {
    if list.first() == Some(&b'{') {
        let Some(path) = std::str::from_utf8(wanted).ok() else { return Cow::Borrowed(b"") };
        return match Paths::new([path]).pick(list) {
            Ok([value]) if value.nested().is_empty() => value.text(),
            Ok([value]) => Cow::Borrowed(value.nested()),
            Err(_) => Cow::Borrowed(b""),
        };
    }
    for one in elements(list).take(48) {
        let Value::Nested(object) = one else { continue };
        let Ok(p) = PARAMETER.pick(object) else { continue };
        if !p[0].is(wanted) {
            continue;
        }
        return match p[1..4].iter().find(|x| !x.is_missing()) {
            Some(value) => value.text(),
            None if p[4].nested().is_empty() => Cow::Borrowed(p[5].nested()),
            None => Cow::Borrowed(p[4].nested()),
        };
    }
    Cow::Borrowed(b"")
}

/// What one event says, before it is put together.
struct Said {
    act: Act,
    outcome: Outcome,
    change: Change,
    reason: Reason,
    service: Service,
    severity: u8,
}

impl Said {
    fn new(act: Act, outcome: Outcome) -> Said {
        Said { act, outcome, change: Change::None, reason: Reason::None, service: Service::Idp, severity: 0 }
    }

    fn account(change: Change) -> Said {
        Said { change, ..Said::new(Act::Account, Outcome::Success) }
    }

    fn policy(change: Change) -> Said {
        Said { change, ..Said::new(Act::Config, Outcome::Success) }
    }

    fn alert(severity: u8) -> Said {
        Said { severity, ..Said::new(Act::Alert, Outcome::Unknown) }
    }
}

fn event(
    r: &Record<'_>,
    v: &[Value<'_>; 14],
    name: &[u8],
    kind: &[u8],
    list: &[u8],
    out: &mut Emit<'_>,
) -> Parsed {
    let application = v[0].bytes();
    let has = |needle: &[u8]| find(name, needle).is_some();
    let said = match (application, name) {
        (b"chrome", _) => return chrome(r, v, name, list, out),
        (b"login" | b"saml", b"login_success") => Said::new(Act::Auth, Outcome::Success),
        (b"login" | b"saml", b"login_failure") => {
            let why =
                parameter(list, if application == b"saml" { b"failure_type" } else { b"login_failure_type" });
            let reason = match () {
                () if find(&why, b"password").is_some() => Reason::BadPassword,
                () if find(&why, b"account_disabled").is_some() => Reason::Disabled,
                () if find(&why, b"access_code").is_some() => Reason::MfaFailed,
                () if application == b"saml" => Reason::NotAllowed,
                () => Reason::BadPassword,
            };
            Said { reason, ..Said::new(Act::Auth, Outcome::Failure) }
        }
        (_, b"login_challenge" | b"login_verification") => {
            let status = parameter(list, b"login_challenge_status");
            let passed = find(&status, b"assed").is_some();
            let failed = find(&status, b"ncorrect").is_some() || find(&status, b"ailed").is_some();
            match (passed, failed) {
                (true, _) => Said::new(Act::Mfa, Outcome::Success),
                (_, true) => Said { reason: Reason::MfaFailed, ..Said::new(Act::Mfa, Outcome::Failure) },
                _ => Said::new(Act::Mfa, Outcome::Challenge),
            }
        }
        (b"login", b"logout") => return Parsed::Irrelevant(Kind::OtherMessage),
        (
            b"login",
            b"suspicious_login" | b"suspicious_login_less_secure_app" | b"suspicious_programmatic_login",
        ) => Said::alert(4),
        (b"login", b"gov_attack_warning" | b"user_signed_out_due_to_suspicious_session_cookie") => {
            Said::alert(5)
        }
        (b"login", b"risky_sensitive_action_allowed" | b"risky_sensitive_action_blocked") => Said::alert(3),
        (b"login", _) if has(b"account_disabled") => Said::account(Change::AccountDisabled),
        (b"context_aware_access", b"ACCESS_DENY_EVENT") => {
            Said { reason: Reason::Policy, ..Said::new(Act::Auth, Outcome::BlockedAfterPassword) }
        }
        (b"token", b"authorize") => Said::account(Change::ConsentGranted),
        (b"token", _) => return Parsed::Irrelevant(Kind::RoutineUse),
        (b"login" | b"user_accounts", _) => match name {
            b"2sv_enroll" | b"titanium_enroll" | b"passkey_enrolled" => Said::account(Change::FactorEnrolled),
            b"2sv_disable" | b"titanium_unenroll" | b"passkey_removed" => {
                Said::account(Change::FactorRemoved)
            }
            b"password_edit" => Said::account(Change::PasswordReset),
            b"recovery_email_edit" | b"recovery_phone_edit" | b"recovery_secret_qa_edit" => {
                Said::account(Change::FactorReset)
            }
            b"email_forwarding_out_of_domain" => Said::policy(Change::ConfigChanged),
            _ => return Parsed::Irrelevant(Kind::OtherMessage),
        },
        (b"admin", _) => match administration(name, kind) {
            Some(said) => said,
            None => return Parsed::Irrelevant(Kind::OtherMessage),
        },
        (b"groups_enterprise" | b"groups", b"add_member" | b"add_user") => Said::account(Change::GroupAdded),
        (b"groups_enterprise" | b"groups", b"remove_member" | b"remove_user") => {
            Said::account(Change::GroupRemoved)
        }
        _ => return Parsed::Irrelevant(Kind::OtherMessage),
    };
    let first = |names: &[&'static [u8]]| {
        names.iter().map(|n| parameter(list, n)).find(|p| !p.is_empty()).unwrap_or_default()
    };
    let account = matches!(said.act, Act::Account | Act::Config);
    let login = said.act == Act::Auth;
    let target = if account {
        first(&[
            b"USER_EMAIL",
            b"app_name",
            b"APP_NAME",
            b"member_id",
            b"email_forwarding_destination_address",
            b"API_CLIENT_NAME",
            b"DOMAIN_NAME",
        ])
    } else {
        Cow::Borrowed(&b""[..])
    };
    let named = match said.change {
        Change::GroupAdded | Change::GroupRemoved => first(&[b"GROUP_EMAIL", b"group_id"]),
        Change::RoleGranted | Change::RoleRemoved => first(&[b"ROLE_NAME", b"PRIVILEGE_NAME"]),
        Change::PolicyChanged => first(&[b"SETTING_NAME"]),
        _ => Cow::Borrowed(&b""[..]),
    };
    let challenge = if login || said.act == Act::Mfa {
        parameter(list, b"login_challenge_method")
    } else {
        Cow::Borrowed(&b""[..])
    };
    let factor = factor(&challenge);
    let second = login && (factor != Factor::None || &*parameter(list, b"is_second_factor") == b"true");
    let by = if login { parameter(list, b"login_type") } else { Cow::Borrowed(&b""[..]) };
    let method = match &*by {
        b"saml" => Method::Saml,
        b"google_password" => Method::Password,
        _ if application == b"saml" => Method::Saml,
        _ => Method::Unknown,
    };
    let mfa = match said.outcome {
        Outcome::Success if second || said.act == Act::Mfa => Mfa::Yes,
        Outcome::Success if login && &*by == b"saml" => Mfa::Delegated,
        _ => Mfa::Unknown,
    };
    let app = if login { first(&[b"application_name", b"CAA_APPLICATION"]) } else { Cow::Borrowed(&b""[..]) };
    let affected = if said.act == Act::Alert {
        parameter(list, b"affected_email_address")
    } else {
        Cow::Borrowed(&b""[..])
    };
    let person = if affected.is_empty() { v[2].text() } else { affected };
    let person = if person.is_empty() { v[12].text() } else { person };
    let user: &[u8] = if person.is_empty() { v[3].bytes() } else { &person };
    let again = &*by == b"reauth";
    out.event(said.act, said.outcome)
        .at(utc(r, v[1].bytes()))
        .service(said.service)
        .user(user)
        .target(if account && target.is_empty() { user } else { &target })
        .source(v[4].bytes())
        .group(&app)
        .detail(match (named.is_empty(), login) {
            (false, _) => &named,
            (_, true) => b"",
            _ => name,
        })
        .change(said.change)
        .reason(said.reason)
        .mfa(mfa)
        .factor(factor)
        .method(method)
        .severity(said.severity)
        .country(v[10].bytes())
        .flag_if(
            said.act == Act::Alert || login && &*parameter(list, b"is_suspicious") == b"true",
            Flags::RISKY,
        )
        .flag_if(again, Flags::NON_INTERACTIVE)
        .flag_if(name == b"GENERATE_2SV_SCRATCH_CODES", Flags::MFA_BYPASS)
        .done()
}

fn administration(name: &[u8], kind: &[u8]) -> Option<Said> {
    let has = |needle: &[u8]| find(name, needle).is_some();
    Some(match name {
        b"CREATE_USER" | b"UNDELETE_USER" => Said::account(Change::AccountCreated),
        b"DELETE_USER" => Said::account(Change::AccountDeleted),
        b"SUSPEND_USER" => Said::account(Change::AccountDisabled),
        b"UNSUSPEND_USER" => Said::account(Change::AccountEnabled),
        b"CHANGE_PASSWORD" | b"CHANGE_PASSWORD_ON_NEXT_LOGIN" => Said::account(Change::PasswordReset),
        b"GRANT_ADMIN_PRIVILEGE" | b"GRANT_DELEGATED_ADMIN_PRIVILEGES" | b"ASSIGN_ROLE" => {
            Said::account(Change::RoleGranted)
        }
        b"REVOKE_ADMIN_PRIVILEGE" | b"UNASSIGN_ROLE" => Said::account(Change::RoleRemoved),
        b"ADD_GROUP_MEMBER" => Said::account(Change::GroupAdded),
        b"REMOVE_GROUP_MEMBER" => Said::account(Change::GroupRemoved),
        b"TURN_OFF_2_STEP_VERIFICATION" | b"REVOKE_SECURITY_KEY" => Said::account(Change::FactorRemoved),
        b"UNENROLL_USER_FROM_STRONG_AUTH"
        | b"UNENROLL_USER_FROM_TITANIUM"
        | b"ADD_RECOVERY_EMAIL"
        | b"ADD_RECOVERY_PHONE" => Said::account(Change::FactorReset),
        b"GENERATE_2SV_SCRATCH_CODES" | b"REGISTER_SECURITY_KEY" => Said::account(Change::FactorEnrolled),
        b"AUTHORIZE_API_CLIENT_ACCESS" => Said::account(Change::ConsentGranted),
        b"ADD_TRUSTED_DOMAINS" => Said::policy(Change::Exposed),
        _ if has(b"STRONG_AUTHENTICATION")
            || has(b"TWO_STEP_VERIFICATION")
            || has(b"SSO_")
            || has(b"CONTEXT_AWARE")
            || has(b"PASSWORD_POLICY")
            || has(b"SESSION_CONTROL")
            || kind == b"SECURITY_SETTINGS" =>
        {
            Said::policy(Change::PolicyChanged)
        }
        _ => return None,
    })
}

fn factor(methods: &[u8]) -> Factor {
    let has = |needle: &[u8]| find(methods, needle).is_some();
    if has(b"security_key") || has(b"passkey") {
        Factor::Fido2
    } else if has(b"google_prompt") {
        Factor::Push
    } else if has(b"google_authenticator") || has(b"offline_otp") {
        Factor::Totp
    } else if has(b"backup_code") {
        Factor::BypassCode
    } else if has(b"idv_preregistered_phone") || has(b"idv_any_phone") || has(b"sms") {
        Factor::Sms
    } else if has(b"email") {
        Factor::Email
    } else {
        Factor::None
    }
}

/// Logins on ChromeOS devices, and Chrome Remote Desktop to them.
fn chrome(r: &Record<'_>, v: &[Value<'_>; 14], name: &[u8], list: &[u8], out: &mut Emit<'_>) -> Parsed {
    let remote = find(name, b"_CRD_").is_some();
    let (act, outcome) = match name {
        b"CHROME_OS_LOGIN_EVENT" => (Act::Logon, Outcome::Success),
        b"CHROME_OS_LOGIN_FAILURE_EVENT" => (Act::Logon, Outcome::Failure),
        b"CHROME_OS_LOGOUT_EVENT" => (Act::Logoff, Outcome::Success),
        b"CHROME_OS_CRD_HOST_STARTED" | b"CHROME_OS_CRD_CLIENT_DISCONNECTED" => {
            return Parsed::Irrelevant(Kind::Repeats);
        }
        b"CHROME_OS_CRD_CLIENT_CONNECTED" => (Act::SessionStart, Outcome::Success),
        b"CHROME_OS_CRD_HOST_ENDED" => (Act::SessionEnd, Outcome::Success),
        // The screen of a session that goes on.
        _ if find(name, b"LOCK_SUCCESS").is_some() => (Act::Posture, Outcome::Success),
        _ if find(name, b"LOCK_FAILURE").is_some() => (Act::Posture, Outcome::Failure),
        _ => return Parsed::Irrelevant(Kind::OtherMessage),
    };
    let device_user = parameter(list, b"DEVICE_USER");
    let user = if device_user.is_empty() || &*device_user == b"-" { v[2].text() } else { device_user };
    out.event(act, outcome)
        .at(utc(r, v[1].bytes()))
        .service(if remote { Service::Rmm } else { Service::Host })
        .user(&user)
        .source(v[4].bytes())
        .host(&parameter(list, b"DEVICE_NAME"))
        .device(&parameter(list, b"DIRECTORY_DEVICE_ID"))
        .detail(&parameter(list, b"EVENT_REASON"))
        .reason(if outcome == Outcome::Failure { Reason::BadPassword } else { Reason::None })
        .flag_if(remote, Flags::REMOTE_SHELL)
        .done()
}
