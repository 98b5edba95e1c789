//! Microsoft Entra ID: sign-ins of all categories, directory audit.
//!
//! Read from: "Sign-in log schema", "Audit log schema", Entra authentication error codes. Traps: some error codes are
//! steps or interrupts and no failures, and some say that the password was right; `multiFactorAuthentication` is what
//! was required and not what was done; a claim in the token satisfies it without a prompt; rows repeat.

use crate::decode::clock::{self, Stamp};
use crate::decode::json::{Paths, Value, elements};
use crate::decode::kv::number;
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Change, Factor, Flags, Method, Mfa, Outcome, Reason, Service};
use portreeve_model::place::Point;
use portreeve_model::time::Certainty;
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "entra",
    title: "Microsoft Entra ID",
    row: Row::Authentication,
    gives: &[Act::Auth, Act::Account, Act::Config],
    lacks: &[Field::TunnelIp, Field::SessionEnd],
    traps: &["interrupts_are_no_failures", "blocked_after_password", "claim_in_token", "legacy_client"],
    manual: "Microsoft Entra: sign-in and audit log schema; Microsoft Graph signIn resource",
    enable: "diagnostic settings: SignInLogs, NonInteractiveUserSignInLogs, AuditLogs to an Event Hub or storage",
    general: false,
    marks: &["SignInLogs\"", "\"AuditLogs\"", "\"userPrincipalName\"", "microsoft.aadiam"],
    reader: Reader::Code {
        claim: |r| {
            r.shape == Shape::Json
                && (crate::decode::find::find(r.body, b"SignInLogs\"").is_some()
                    || crate::decode::find::find(r.body, b"\"AuditLogs\"").is_some()
                    || (crate::decode::find::find(r.body, b"\"userPrincipalName\"").is_some()
                        && crate::decode::find::find(r.body, b"\"appDisplayName\"").is_some())
                    || crate::decode::find::find(r.body, b"microsoft.aadiam").is_some())
        },
        parse,
        join: None,
    },
};

const N: usize = 44;
static PATHS: LazyLock<Paths<N>> = LazyLock::new(|| {
    Paths::new([
        "category",
        "resultType",
        "properties.createdDateTime",
        "time",
        "properties.userPrincipalName",
        "properties.ipAddress",
        "callerIpAddress",
        "properties.clientAppUsed",
        "properties.userAgent",
        "properties.deviceDetail.deviceId",
        "properties.deviceDetail.displayName",
        "properties.deviceDetail.isManaged",
        "properties.deviceDetail.isCompliant",
        "properties.location.countryOrRegion",
        "properties.location.city",
        "properties.location.geoCoordinates.latitude",
        "properties.location.geoCoordinates.longitude",
        "properties.authenticationRequirement",
        "properties.authenticationDetails",
        "properties.sessionId",
        "properties.uniqueTokenIdentifier",
        "properties.appDisplayName",
        "properties.authenticationProtocol",
        "properties.status.errorCode",
        "properties.isInteractive",
        "properties.riskLevelDuringSignIn",
        "operationName",
        "properties.initiatedBy.user.userPrincipalName",
        "properties.initiatedBy.user.ipAddress",
        "properties.targetResources",
        "properties.result",
        "createdDateTime",
        "userPrincipalName",
        "ipAddress",
        "clientAppUsed",
        "status.errorCode",
        "appDisplayName",
        "authenticationRequirement",
        "authenticationDetails",
        "location.countryOrRegion",
        "location.city",
        "deviceDetail.deviceId",
        "properties.activityDateTime",
        "identity",
    ])
});

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let category = v[0].bytes();
    if category == b"AuditLogs" {
        return audit(r, &v, out);
    }
    if matches!(category, b"ServicePrincipalSignInLogs" | b"ManagedIdentitySignInLogs") {
        return Parsed::Irrelevant(Kind::Machine);
    }
    let first = |all: &[usize]| {
        all.iter().map(|i| v[*i]).find(|x| !x.is_missing() && !x.bytes().is_empty()).unwrap_or_default()
    };
    let at = when(r, first(&[2, 31, 3]));
    let code = number(first(&[1, 23, 35]).bytes());
    let (outcome, reason) = meaning(code);
    let legacy = legacy(first(&[7, 34]).bytes()) || v[22].is(b"ropc");
    let (mfa, factor) = second_factor(
        first(&[17, 37]).bytes(),
        if v[18].nested().is_empty() { v[38].nested() } else { v[18].nested() },
        outcome,
    );
    let method = if legacy {
        Method::Legacy
    } else if v[22].is(b"deviceCode") {
        Method::DeviceCode
    } else {
        Method::Unknown
    };
    let coordinate = |x: Value<'_>| std::str::from_utf8(x.bytes()).ok().and_then(|t| t.parse::<f32>().ok());
    let point = match (coordinate(v[15]), coordinate(v[16])) {
        (Some(lat), Some(lon)) => Some(Point { lat, lon }),
        _ => None,
    };
    let quiet = category == b"NonInteractiveUserSignInLogs" || v[24].truth() == Some(false);
    let act = if quiet && outcome == Outcome::Failure { Act::Posture } else { Act::Auth };
    out.event(act, outcome)
        .at(at)
        .service(Service::Idp)
        .user(&first(&[4, 32, 43]).text())
        .source(first(&[5, 33, 6]).bytes())
        .client(&v[8].text())
        .device(&first(&[10, 9, 41]).text())
        .sid(first(&[19, 20]).bytes())
        .group(&first(&[21, 36]).text())
        .mfa(mfa)
        .factor(factor)
        .method(method)
        .reason(reason)
        .country(first(&[13, 39]).bytes())
        .city(&first(&[14, 40]).text())
        .point(point)
        .flag_if(quiet, Flags::NON_INTERACTIVE)
        .flag_if(v[11].truth() == Some(true) || v[12].truth() == Some(true), Flags::MANAGED_DEVICE)
        .flag_if(matches!(v[25].bytes(), b"high" | b"medium"), Flags::RISKY)
        .done()
}

fn when(r: &Record<'_>, stamp: Value<'_>) -> Option<(portreeve_model::EventTime, Certainty)> {
    match clock::iso(stamp.bytes()) {
        Some((Stamp::Absolute(t), _)) => Some((t, Certainty::Exact)),
        Some((Stamp::Local(c), _)) => r.clock.resolve(c),
        None => r.header_time(),
    }
}

/// What an error code says of the attempt.
fn meaning(code: u64) -> (Outcome, Reason) {
    match code {
        0 => (Outcome::Success, Reason::None),
        // The password was right, and something else stopped the login.
        50055 => (Outcome::BlockedAfterPassword, Reason::Expired),
        50057 => (Outcome::BlockedAfterPassword, Reason::Disabled),
        53000 | 53001 | 53003 | 53004 | 50105 | 50129 | 50155 | 50158 => {
            (Outcome::BlockedAfterPassword, Reason::Policy)
        }
        50074 | 50076 | 50079 | 50072 => (Outcome::Challenge, Reason::None),
        500121 => (Outcome::BlockedAfterPassword, Reason::MfaDenied),
        50126 | 50056 => (Outcome::Failure, Reason::BadPassword),
        50034 | 50059 | 51004 => (Outcome::Failure, Reason::NoUser),
        50053 => (Outcome::Failure, Reason::Locked),
        50140 | 50125 | 50058 | 16000 | 65001 | 70043 | 70044 | 50097 | 50133 | 50173 | 50144 | 700082
        | 70008 | 81010 | 50011 => (Outcome::Interrupt, Reason::None),
        _ => (Outcome::Failure, Reason::Other),
    }
}

fn legacy(client: &[u8]) -> bool {
    const CLIENTS: [&[u8]; 12] = [
        b"IMAP4",
        b"IMAP",
        b"POP3",
        b"POP",
        b"Authenticated SMTP",
        b"SMTP",
        b"Exchange ActiveSync",
        b"Exchange Web Services",
        b"MAPI Over HTTP",
        b"Other clients",
        b"AutoDiscover",
        b"Exchange Online PowerShell",
    ];
    CLIENTS.iter().any(|c| client.eq_ignore_ascii_case(c))
}

static DETAIL: LazyLock<Paths<3>> =
    LazyLock::new(|| Paths::new(["authenticationMethod", "succeeded", "authenticationStepResultDetail"]));

/// What the steps say: a passed factor, a claim, or none though one was required.
fn second_factor(requirement: &[u8], details: &[u8], outcome: Outcome) -> (Mfa, Factor) {
    let (mut mfa, mut factor) = (Mfa::Unknown, Factor::None);
    for detail in elements(details).take(12) {
        let Value::Nested(object) = detail else { continue };
        let Ok(d) = DETAIL.pick(object) else { continue };
        let result = d[2].bytes();
        let has = |needle: &[u8]| crate::decode::find::find(result, needle).is_some();
        let step = match d[0].bytes() {
            b"Mobile app notification" | b"Microsoft Authenticator" | b"PhoneAppNotification" => Factor::Push,
            b"Mobile app verification code" | b"OATH verification code" | b"Software OATH" => Factor::Totp,
            b"Text message" | b"SMS" => Factor::Sms,
            b"Phone call" | b"Phone call approval (Authentication phone)" => Factor::Voice,
            b"FIDO2 security key" | b"Passkey (device-bound)" | b"Windows Hello for Business" => {
                Factor::Fido2
            }
            b"X.509 Certificate" | b"Certificate" => Factor::Certificate,
            _ => Factor::None,
        };
        if has(b"satisfied by claim") || has(b"previously satisfied") {
            mfa = Mfa::Claimed;
            factor = Factor::Remembered;
        } else if step != Factor::None && d[1].truth() == Some(true) {
            return (Mfa::Yes, step);
        }
    }
    if mfa == Mfa::Unknown && requirement == b"singleFactorAuthentication" && outcome == Outcome::Success {
        mfa = Mfa::No;
    }
    (mfa, factor)
}

static RESOURCE: LazyLock<Paths<3>> =
    LazyLock::new(|| Paths::new(["userPrincipalName", "displayName", "type"]));

fn audit(r: &Record<'_>, v: &[Value<'_>; N], out: &mut Emit<'_>) -> Parsed {
    let operation = v[26].text();
    let has = |needle: &[u8]| crate::decode::find::find(&operation, needle).is_some();
    let (act, change) = if has(b"registered security info") || has(b"User registered all required") {
        (Act::Account, Change::FactorEnrolled)
    } else if has(b"deleted security info") {
        (Act::Account, Change::FactorRemoved)
    } else if has(b"Admin registered security info")
        || has(b"Update StrongAuthentication")
        || has(b"Disable Strong Authentication")
    {
        (Act::Account, Change::FactorReset)
    } else if has(b"Reset password") || has(b"Reset user password") {
        (Act::Account, Change::PasswordReset)
    } else if has(b"Add member to role") {
        (Act::Account, Change::RoleGranted)
    } else if has(b"Add member to group") {
        (Act::Account, Change::GroupAdded)
    } else if has(b"Add user") {
        (Act::Account, Change::AccountCreated)
    } else if has(b"Consent to application")
        || has(b"Add delegated permission grant")
        || has(b"Add app role assignment")
    {
        (Act::Account, Change::ConsentGranted)
    } else if has(b"conditional access policy") || has(b"Update policy") {
        (Act::Config, Change::PolicyChanged)
    } else if has(b"credentials") && has(b"service principal") || has(b"Certificates and secrets") {
        (Act::Account, Change::KeyCreated)
    } else {
        (Act::Posture, Change::None)
    };
    let mut target: Value<'_> = Value::Missing;
    for resource in elements(v[29].nested()).take(6) {
        if let Value::Nested(object) = resource
            && let Ok(t) = RESOURCE.pick(object)
        {
            let named = if t[0].is_missing() { t[1] } else { t[0] };
            if target.is_missing() {
                target = named;
            }
        }
    }
    let stamp = if v[42].is_missing() { v[3] } else { v[42] };
    let source = if v[28].is_missing() { v[6] } else { v[28] };
    let outcome = if v[30].is(b"failure") { Outcome::Failure } else { Outcome::Success };
    out.event(act, outcome)
        .at(when(r, stamp))
        .service(Service::Idp)
        .user(&v[27].text())
        .target(&target.text())
        .source(source.bytes())
        .detail(&operation)
        .change(change)
        .done()
}
