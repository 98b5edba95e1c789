//! Okta System Log.
//!
//! Read from: Okta System Log API and event types. Traps: `user.session.start` counts only with SUCCESS and a known
//! actor; `externalSessionId` changes during a login, the root session id does not; a push that was sent is a challenge
//! and no answer; behind RADIUS the client is the RADIUS agent.

use crate::decode::json::{Paths, Value, elements};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Change, Factor, Flags, Mfa, Outcome, Reason, Service};
use portreeve_model::place::Point;
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "okta",
    title: "Okta System Log",
    row: Row::Authentication,
    gives: &[Act::Auth, Act::Mfa, Act::Config, Act::Account, Act::Alert, Act::Posture],
    lacks: &[Field::TunnelIp, Field::SessionEnd, Field::Bytes, Field::Host],
    traps: &["push_is_a_challenge", "root_session", "failed_session_start"],
    manual: "Okta: System Log API and event types",
    enable: "System Log API, or log streaming to a collector",
    general: false,
    marks: &["\"alternateId\"", "\"legacyEventType\"", "\"displayMessage\""],
    reader: Reader::Code {
        claim: |r| {
            r.shape == Shape::Json
                && crate::decode::find::find(r.body, b"\"eventType\"").is_some()
                && (crate::decode::find::find(r.body, b"\"alternateId\"").is_some()
                    || crate::decode::find::find(r.body, b"\"legacyEventType\"").is_some()
                    || crate::decode::find::find(r.body, b"\"displayMessage\"").is_some()
                        && crate::decode::find::find(r.body, b"\"outcome\"").is_some())
        },
        parse,
        join: None,
    },
};

static PATHS: LazyLock<Paths<28>> = LazyLock::new(|| {
    Paths::new([
        "eventType",
        "published",
        "outcome.result",
        "outcome.reason",
        "actor.alternateId",
        "actor.type",
        "client.ipAddress",
        "client.userAgent.rawUserAgent",
        "client.geographicalContext.country",
        "client.geographicalContext.city",
        "client.geographicalContext.geolocation.lat",
        "client.geographicalContext.geolocation.lon",
        "authenticationContext.rootSessionId",
        "authenticationContext.externalSessionId",
        "debugContext.debugData.dtHash",
        "debugContext.debugData.factor",
        "target",
        "authenticationContext.credentialType",
        "debugContext.debugData.deviceFingerprint",
        "displayMessage",
        "request.ipChain",
        "debugContext.debugData.pushOnlyResponseType",
        "device.name",
        "securityContext.isProxy",
        "device.managed",
        "debugContext.debugData.authnRequestId",
        "uuid",
        "debugContext.debugData.privilegeGranted",
    ])
});

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let kind = v[0].bytes();
    let at = super::utc(r, v[1].bytes());
    let ok = v[2].is(b"SUCCESS") || v[2].is(b"ALLOW");
    let person = |v: &Value<'_>| v.is_missing() || v.is(b"unknown") || v.is(b"system@okta.com");
    let targets = Targets::of(v[16].nested());
    let actor = if person(&v[4]) { Value::Missing } else { v[4] };
    let user = if actor.is_missing() { targets.user } else { actor };
    let factor = factor(v[15].bytes(), targets.factor, v[17].bytes());
    let known = |x: Value<'_>| !x.is_missing() && !x.is(b"unknown");
    let sid = if known(v[12]) {
        v[12].bytes()
    } else if known(v[13]) {
        v[13].bytes()
    } else {
        b""
    };
    let device = if v[22].is_missing() { v[14].bytes() } else { v[22].bytes() };
    let number = |x: Value<'_>| std::str::from_utf8(x.bytes()).ok().and_then(|t| t.parse::<f32>().ok());
    let point = match (number(v[10]), number(v[11])) {
        (Some(lat), Some(lon)) if lat != 0.0 || lon != 0.0 => Some(Point { lat, lon }),
        _ => None,
    };
    let (act, outcome, change, reason, mfa) = match kind {
        // The RADIUS agent asked for a gateway, which tells the session; the address is the agent's.
        b"user.authentication.auth_via_radius" => {
            (Act::Auth, plain(ok), Change::None, why(v[3].bytes()), Mfa::Unknown)
        }
        b"user.authentication.auth_via_IDP" if !ok => {
            (Act::Auth, Outcome::Failure, Change::None, why(v[3].bytes()), Mfa::Unknown)
        }
        b"app.generic.unauth_app_access_attempt" => {
            (Act::Auth, Outcome::BlockedAfterPassword, Change::None, Reason::NotAllowed, Mfa::Unknown)
        }
        b"security.threat.detected"
        | b"security.attack.start"
        | b"user.risk.detect"
        | b"app.token.reuse"
        | b"security.session.detect_client_roaming"
        | b"app.oauth2.token.detect_reuse" => {
            (Act::Alert, Outcome::Unknown, Change::None, Reason::None, Mfa::Unknown)
        }
        b"user.session.impersonation.grant" | b"user.session.impersonation.initiate" => {
            (Act::Account, plain(ok), Change::PrivilegeUsed, Reason::None, Mfa::Unknown)
        }
        b"user.session.start" => (Act::Auth, plain(ok), Change::None, why(v[3].bytes()), Mfa::Unknown),
        b"user.authentication.auth" | b"user.authentication.verify" => {
            (Act::Auth, plain(ok), Change::None, why(v[3].bytes()), Mfa::Unknown)
        }
        b"user.authentication.sso" => (Act::Posture, plain(ok), Change::None, Reason::None, Mfa::Unknown),
        b"user.authentication.auth_via_mfa" => {
            let primary = targets.factor == b"Password";
            if primary && ok {
                return Parsed::Irrelevant(Kind::Pending);
            }
            (
                Act::Mfa,
                plain(ok),
                Change::None,
                if ok { Reason::None } else { mfa_why(v[3].bytes()) },
                if ok { Mfa::Yes } else { Mfa::Unknown },
            )
        }
        b"system.push.send_factor_verify_push" => {
            (Act::Mfa, Outcome::Challenge, Change::None, Reason::None, Mfa::Unknown)
        }
        b"user.mfa.okta_verify.deny_push" => {
            (Act::Mfa, Outcome::Failure, Change::None, Reason::MfaDenied, Mfa::Unknown)
        }
        b"user.mfa.okta_verify.deny_push_upgrade_needed" => {
            (Act::Mfa, Outcome::Failure, Change::None, Reason::MfaFailed, Mfa::Unknown)
        }
        b"user.mfa.attempt_bypass" => (Act::Mfa, plain(ok), Change::None, Reason::None, Mfa::Unknown),
        b"policy.evaluate_sign_on" if v[2].is(b"DENY") => {
            (Act::Auth, Outcome::BlockedAfterPassword, Change::None, Reason::Policy, Mfa::Unknown)
        }
        b"policy.evaluate_sign_on" => return Parsed::Irrelevant(Kind::Pending),
        b"user.mfa.factor.activate" | b"device.enrollment.create" => {
            (Act::Account, plain(ok), Change::FactorEnrolled, Reason::None, Mfa::Unknown)
        }
        b"user.mfa.factor.deactivate" | b"user.mfa.factor.suspend" => {
            (Act::Account, plain(ok), Change::FactorRemoved, Reason::None, Mfa::Unknown)
        }
        b"user.mfa.factor.reset_all" | b"user.mfa.factor.update" => {
            (Act::Account, plain(ok), Change::FactorReset, Reason::None, Mfa::Unknown)
        }
        b"user.account.reset_password" | b"user.account.update_password" => {
            (Act::Account, plain(ok), Change::PasswordReset, Reason::None, Mfa::Unknown)
        }
        b"user.account.lock" => (Act::Account, plain(ok), Change::AccountLocked, Reason::None, Mfa::Unknown),
        b"user.account.privilege.grant" | b"group.privilege.grant" => {
            (Act::Account, plain(ok), Change::RoleGranted, Reason::None, Mfa::Unknown)
        }
        b"user.account.privilege.revoke" | b"group.privilege.revoke" => {
            (Act::Account, plain(ok), Change::RoleRemoved, Reason::None, Mfa::Unknown)
        }
        b"user.account.unlock" | b"user.account.unlock_by_admin" => {
            (Act::Account, plain(ok), Change::AccountUnlocked, Reason::None, Mfa::Unknown)
        }
        b"user.lifecycle.activate" | b"user.lifecycle.reactivate" | b"user.lifecycle.unsuspend" => {
            (Act::Account, plain(ok), Change::AccountEnabled, Reason::None, Mfa::Unknown)
        }
        b"user.lifecycle.delete.initiated" | b"user.lifecycle.delete" => {
            (Act::Account, plain(ok), Change::AccountDeleted, Reason::None, Mfa::Unknown)
        }
        b"group.user_membership.remove" => {
            (Act::Account, plain(ok), Change::GroupRemoved, Reason::None, Mfa::Unknown)
        }
        b"application.user_membership.show_password" => {
            (Act::Account, plain(ok), Change::CredentialAccess, Reason::None, Mfa::Unknown)
        }
        b"app.oauth2.as.consent.grant" => {
            (Act::Account, plain(ok), Change::ConsentGranted, Reason::None, Mfa::Unknown)
        }
        b"user.lifecycle.create" => {
            (Act::Account, plain(ok), Change::AccountCreated, Reason::None, Mfa::Unknown)
        }
        b"user.lifecycle.deactivate" | b"user.lifecycle.suspend" => {
            (Act::Account, plain(ok), Change::AccountDisabled, Reason::None, Mfa::Unknown)
        }
        b"group.user_membership.add" => {
            (Act::Account, plain(ok), Change::GroupAdded, Reason::None, Mfa::Unknown)
        }
        b"system.api_token.create" => {
            (Act::Account, plain(ok), Change::KeyCreated, Reason::None, Mfa::Unknown)
        }
        b"user.account.report_suspicious_activity_by_enduser" => {
            (Act::Mfa, Outcome::Failure, Change::None, Reason::Fraud, Mfa::Unknown)
        }
        b"system.mfa.factor.deactivate" => {
            (Act::Config, plain(ok), Change::PolicyChanged, Reason::None, Mfa::Unknown)
        }
        k if k.starts_with(b"system.idp.lifecycle") || k.starts_with(b"network_zone.") => {
            (Act::Config, plain(ok), Change::PolicyChanged, Reason::None, Mfa::Unknown)
        }
        k if k.starts_with(b"policy.lifecycle")
            || k.starts_with(b"policy.rule")
            || k.starts_with(b"zone.") =>
        {
            (Act::Config, plain(ok), Change::PolicyChanged, Reason::None, Mfa::Unknown)
        }
        b"user.session.end" | b"user.session.clear" => {
            (Act::Posture, plain(ok), Change::None, Reason::None, Mfa::Unknown)
        }
        _ => (Act::Posture, plain(ok), Change::None, Reason::None, Mfa::Unknown),
    };
    let named = match change {
        Change::GroupAdded | Change::GroupRemoved => targets.group.text(),
        Change::RoleGranted | Change::RoleRemoved => v[27].text(),
        _ => b"".into(),
    };
    let detail = match act {
        Act::Account | Act::Posture | Act::Alert if named.is_empty() => kind.into(),
        _ => named,
    };
    let radius = kind == b"user.authentication.auth_via_radius";
    let target = if targets.user.bytes() != user.bytes() || act == Act::Account {
        targets.user.text()
    } else {
        b"".into()
    };
    let target = if target.is_empty() && act == Act::Account { user.text() } else { target };
    out.event(act, outcome)
        .at(at)
        .identity(v[26].bytes())
        .service(if radius { Service::Radius } else { Service::Idp })
        .user(&user.text())
        .target(&target)
        .source(v[6].bytes())
        .client(&v[7].text())
        .device(device)
        .sid(sid)
        .detail(&detail)
        .severity(if act == Act::Alert { 4 } else { 0 })
        .flag_if(act == Act::Alert, Flags::RISKY)
        .group(&targets.app.text())
        .reason(reason)
        .mfa(mfa)
        .factor(factor)
        .change(change)
        .country(country(v[8].bytes()))
        .city(&v[9].text())
        .point(point)
        .flag_if(radius, Flags::PRE_MFA)
        .flag_if(radius, Flags::SOURCE_UNTRUSTED)
        .flag_if(kind == b"user.mfa.attempt_bypass", Flags::MFA_BYPASS)
        .flag_if(v[24].truth() == Some(true), Flags::MANAGED_DEVICE)
        .done()
}

/// What an event is about, by the kinds of its targets.
#[derive(Default)]
struct Targets<'a> {
    user: Value<'a>,
    app: Value<'a>,
    group: Value<'a>,
    factor: &'a [u8],
}

static TARGET: LazyLock<Paths<4>> =
    LazyLock::new(|| Paths::new(["type", "alternateId", "displayName", "detailEntry.methodTypeUsed"]));

impl<'a> Targets<'a> {
    fn of(list: &'a [u8]) -> Targets<'a> {
        let mut found = Targets::default();
        for target in elements(list).take(8) {
            let Value::Nested(object) = target else { continue };
            let Ok(t) = TARGET.pick(object) else { continue };
            match t[0].bytes() {
                b"User" | b"AppUser" if found.user.is_missing() => found.user = t[1],
                b"AppInstance" => found.app = t[2],
                b"UserGroup" => found.group = t[2],
                b"AuthenticatorEnrollment" | b"Authenticator" => {
                    found.factor = if t[2].is_missing() { t[3].bytes() } else { t[2].bytes() }
                }
                _ => {}
            }
        }
        found
    }
}

fn plain(ok: bool) -> Outcome {
    if ok { Outcome::Success } else { Outcome::Failure }
}

fn why(reason: &[u8]) -> Reason {
    match reason {
        b"INVALID_CREDENTIALS" => Reason::BadPassword,
        b"LOCKED_OUT" => Reason::Locked,
        b"UNKNOWN_USER" => Reason::NoUser,
        b"PASSWORD_EXPIRED" => Reason::Expired,
        b"" => Reason::None,
        _ => Reason::Other,
    }
}

fn mfa_why(reason: &[u8]) -> Reason {
    let has = |needle: &[u8]| crate::decode::find::find(reason, needle).is_some();
    if has(b"reject") || has(b"REJECT") || has(b"den") {
        Reason::MfaDenied
    } else if has(b"TIMEOUT") || has(b"timeout") || has(b"expired") {
        Reason::MfaTimeout
    } else {
        Reason::MfaFailed
    }
}

fn factor(named: &[u8], target: &[u8], credential: &[u8]) -> Factor {
    let has = |needle: &[u8]| {
        [named, target, credential].iter().any(|t| crate::decode::find::find(t, needle).is_some())
    };
    if has(b"PUSH") || has(b"Okta Verify") {
        Factor::Push
    } else if has(b"FIDO")
        || has(b"WEBAUTHN")
        || has(b"Security Key")
        || has(b"FastPass")
        || has(b"SIGNED_NONCE")
    {
        Factor::Fido2
    } else if has(b"TOTP") || has(b"TOKEN_SOFT") || has(b"Google Auth") {
        Factor::Totp
    } else if has(b"SMS") {
        Factor::Sms
    } else if has(b"CALL") {
        Factor::Voice
    } else if has(b"EMAIL") || has(b"Email") {
        Factor::Email
    } else if has(b"TOKEN_HARDWARE") || has(b"YUBIKEY") {
        Factor::HardwareToken
    } else if has(b"Phone") {
        Factor::Sms
    } else {
        Factor::None
    }
}

/// Okta writes English names; only those that people travel to most are known, others stay empty.
pub(super) fn country(name: &[u8]) -> &'static [u8] {
    match name {
        b"Germany" => b"DE",
        b"United States" => b"US",
        b"United Kingdom" => b"GB",
        b"France" => b"FR",
        b"India" => b"IN",
        b"Netherlands" => b"NL",
        b"Austria" => b"AT",
        b"Switzerland" => b"CH",
        b"Spain" => b"ES",
        b"Italy" => b"IT",
        b"Poland" => b"PL",
        b"Portugal" => b"PT",
        b"Belgium" => b"BE",
        b"Czechia" => b"CZ",
        b"Sweden" => b"SE",
        b"Norway" => b"NO",
        b"Denmark" => b"DK",
        b"Finland" => b"FI",
        b"Ireland" => b"IE",
        b"Canada" => b"CA",
        b"Mexico" => b"MX",
        b"Brazil" => b"BR",
        b"China" => b"CN",
        b"Hong Kong" => b"HK",
        b"Japan" => b"JP",
        b"Singapore" => b"SG",
        b"Australia" => b"AU",
        b"Russia" => b"RU",
        b"Ukraine" => b"UA",
        b"Romania" => b"RO",
        b"Turkey" => b"TR",
        b"Greece" => b"GR",
        b"Nigeria" => b"NG",
        b"South Africa" => b"ZA",
        b"United Arab Emirates" => b"AE",
        b"Israel" => b"IL",
        b"Vietnam" => b"VN",
        b"Thailand" => b"TH",
        _ => b"",
    }
}
