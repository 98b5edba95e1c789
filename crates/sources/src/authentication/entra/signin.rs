//! Sign-ins, in whichever spelling.

use super::{Spelling, first, unwrapped, when};
use crate::decode::find::find;
use crate::decode::json::{Paths, Value, elements};
use crate::decode::kv::number;
use crate::emit::Emit;
use crate::record::Record;
use crate::source::{Kind, Parsed, Why};
use portreeve_model::event::{Act, Factor, Flags, Method, Mfa, Outcome, Reason, Service};
use portreeve_model::place::Point;
use std::borrow::Cow;
use std::sync::LazyLock;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Category {
    Interactive,
    NonInteractive,
    Unsaid,
}

const N: usize = 30;

macro_rules! names {
    ($name:ident, [$($path:expr),* $(,)?]) => {
        static $name: LazyLock<Paths<N>> = LazyLock::new(|| Paths::new([$($path),*]));
    };
}

// One order for all spellings; what a spelling lacks repeats a name that is never there.
names!(
    DIAGNOSTIC,
    [
        "properties.createdDateTime",
        "time",
        "resultType",
        "properties.status",
        "properties.userPrincipalName",
        "identity",
        "properties.ipAddress",
        "callerIpAddress",
        "properties.clientAppUsed",
        "properties.userAgent",
        "properties.deviceDetail",
        "properties.location",
        "location",
        "properties.authenticationRequirement",
        "properties.authenticationDetails",
        "properties.sessionId",
        "properties.uniqueTokenIdentifier",
        "properties.appDisplayName",
        "properties.authenticationProtocol",
        "properties.isInteractive",
        "properties.riskLevelDuringSignIn",
        "properties.id",
        "properties.servicePrincipalId",
        "properties.signInEventTypes",
        "properties.mfaDetail",
        "properties.userType",
        "properties.userDisplayName",
        "resultDescription",
        "properties.riskLevelAggregated",
        "properties.signInIdentifier",
    ]
);
names!(
    GRAPH,
    [
        "createdDateTime",
        "@timestamp",
        "errorCode",
        "status",
        "userPrincipalName",
        "userDisplayName",
        "ipAddress",
        "callerIpAddress",
        "clientAppUsed",
        "userAgent",
        "deviceDetail",
        "location",
        "\u{1}",
        "authenticationRequirement",
        "authenticationDetails",
        "sessionId",
        "uniqueTokenIdentifier",
        "appDisplayName",
        "authenticationProtocol",
        "isInteractive",
        "riskLevelDuringSignIn",
        "id",
        "servicePrincipalId",
        "signInEventTypes",
        "mfaDetail",
        "userType",
        "\u{2}",
        "\u{3}",
        "riskLevelAggregated",
        "signInIdentifier",
    ]
);
names!(
    COLUMNS,
    [
        "CreatedDateTime",
        "TimeGenerated",
        "ResultType",
        "Status",
        "UserPrincipalName",
        "Identity",
        "IPAddress",
        "\u{1}",
        "ClientAppUsed",
        "UserAgent",
        "DeviceDetail",
        "LocationDetails",
        "Location",
        "AuthenticationRequirement",
        "AuthenticationDetails",
        "SessionId",
        "UniqueTokenIdentifier",
        "AppDisplayName",
        "AuthenticationProtocol",
        "IsInteractive",
        "RiskLevelDuringSignIn",
        "Id",
        "ServicePrincipalId",
        "\u{2}",
        "MfaDetail",
        "UserType",
        "TimeGenerated [UTC]",
        "ResultDescription",
        "RiskLevelAggregated",
        "SignInIdentifier",
    ]
);
names!(
    PORTAL,
    [
        "Date (UTC)",
        "\u{1}",
        "Sign-in error code",
        "Failure reason",
        "Username",
        "User",
        "IP address",
        "\u{2}",
        "Client app",
        "User agent",
        "Device ID",
        "Location",
        "Status",
        "Authentication requirement",
        "Multifactor authentication result",
        "Session ID",
        "Unique token identifier",
        "Application",
        "Authentication Protocol",
        "Compliant",
        "Managed",
        "Request ID",
        "Service principal ID",
        "Operating System",
        "Multifactor authentication auth method",
        "Managed Identity type",
        "Browser",
        "\u{3}",
        "\u{4}",
        "Sign-in identifier",
    ]
);

names!(
    HUNTING,
    [
        "Timestamp",
        "\u{1}",
        "ErrorCode",
        "\u{2}",
        "AccountUpn",
        "AccountDisplayName",
        "IPAddress",
        "\u{3}",
        "ClientAppUsed",
        "UserAgent",
        "DeviceName",
        "City",
        "Country",
        "AuthenticationRequirement",
        "\u{4}",
        "SessionId",
        "UniqueTokenId",
        "Application",
        "\u{5}",
        "IsManaged",
        "RiskLevelDuringSignIn",
        "RequestId",
        "ServicePrincipalId",
        "LogonType",
        "\u{6}",
        "IsCompliant",
        "\u{7}",
        "\u{8}",
        "RiskLevelAggregated",
        "\u{9}",
    ]
);

static STATUS: LazyLock<Paths<3>> =
    LazyLock::new(|| Paths::new(["errorCode", "failureReason", "additionalDetails"]));
static DEVICE: LazyLock<Paths<4>> =
    LazyLock::new(|| Paths::new(["displayName", "deviceId", "isManaged", "isCompliant"]));
static LOCATION: LazyLock<Paths<4>> = LazyLock::new(|| {
    Paths::new(["countryOrRegion", "city", "geoCoordinates.latitude", "geoCoordinates.longitude"])
});

pub(super) fn parse(r: &Record<'_>, spelling: Spelling, category: Category, out: &mut Emit<'_>) -> Parsed {
    let paths = match spelling {
        Spelling::Diagnostic => &DIAGNOSTIC,
        Spelling::Graph => &GRAPH,
        Spelling::Columns => &COLUMNS,
        Spelling::Portal => &PORTAL,
        Spelling::Hunting => &HUNTING,
    };
    let Ok(v) = paths.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let portal = spelling == Spelling::Portal;
    let hunting = spelling == Spelling::Hunting;
    // Every value by itself, no objects.
    let flat = portal || hunting;
    let kinds = match v[23] {
        _ if portal => b"",
        // A list that was written as text.
        Value::Text(text) => text,
        list => list.nested(),
    };
    let machine = find(kinds, b"servicePrincipal").is_some() || find(kinds, b"managedIdentity").is_some();
    let person = first(&[v[4], v[29]]);
    if machine || person.is_missing() && !first(&[v[22]]).is_missing() {
        return Parsed::Irrelevant(Kind::Machine);
    }
    let status = unwrapped(v[3]);
    let s = if portal { None } else { STATUS.pick(&status).ok() };
    let (code, said) = match &s {
        Some([code, reason, more]) => (first(&[v[2], *code]), [reason.bytes(), more.bytes()]),
        None => (v[2], [v[3].bytes(), v[14].bytes()]),
    };
    let stamp =
        if spelling == Spelling::Columns { first(&[v[0], v[1], v[26]]) } else { first(&[v[0], v[1]]) };
    let code = match code.bytes() {
        // The portal writes `None` or nothing where there is no code.
        b"" | b"None" if portal => match v[12].bytes() {
            b"Success" => 0,
            b"Interrupted" => 50_140,
            _ => u64::MAX,
        },
        b"" => return Parsed::Broken(Why::Missing("error code")),
        // Some pipelines write the word that AD FS and B2C give.
        b"Success" | b"success" => 0,
        digits => number(digits),
    };
    let steps = if portal { Cow::Borrowed(&b""[..]) } else { unwrapped(v[14]) };
    let (outcome, reason) = meaning(code, &said, &steps);
    let (mfa, factor) = if portal {
        second_factor_of_portal(v[13].bytes(), v[14].bytes(), v[24].bytes(), outcome)
    } else {
        second_factor(v[13].bytes(), &steps, outcome)
    };
    let protocol = v[18].bytes();
    let method = if legacy(v[8].bytes()) || protocol.eq_ignore_ascii_case(b"ropc") {
        Method::Legacy
    } else if protocol.eq_ignore_ascii_case(b"deviceCode") || protocol.eq_ignore_ascii_case(b"Device Code") {
        Method::DeviceCode
    } else {
        Method::Unknown
    };
    let device = if flat { Cow::Borrowed(&b""[..]) } else { unwrapped(v[10]) };
    let d = DEVICE.pick(&device).unwrap_or_default();
    let place = if flat { Cow::Borrowed(&b""[..]) } else { unwrapped(v[11]) };
    let p = LOCATION.pick(&place).unwrap_or_default();
    let (country, city) = match spelling {
        Spelling::Portal => portal_place(v[11].bytes()),
        Spelling::Hunting => (v[12].bytes(), v[11].bytes()),
        _ => (first(&[p[0], v[12]]).bytes(), p[1].bytes()),
    };
    let coordinate = |x: Value<'_>| std::str::from_utf8(x.bytes()).ok().and_then(|t| t.parse::<f32>().ok());
    let point = match (coordinate(p[2]), coordinate(p[3])) {
        (Some(lat), Some(lon)) if lat != 0.0 || lon != 0.0 => Some(Point { lat, lon }),
        _ => None,
    };
    let yes = |x: Value<'_>| matches!(x.bytes(), b"Yes" | b"true" | b"True" | b"1");
    let managed = if portal {
        yes(v[19]) || yes(v[20])
    } else if hunting {
        yes(v[19]) || yes(v[25])
    } else {
        yes(d[2]) || yes(d[3])
    };
    let quiet = category == Category::NonInteractive
        || !flat && category == Category::Unsaid && (v[19].truth() == Some(false) || v[19].is(b"0"))
        || find(kinds, b"nonInteractiveUser").is_some();
    let act = if quiet && outcome == Outcome::Failure { Act::Posture } else { Act::Auth };
    let risky =
        !portal && [v[20], v[28]].iter().any(|x| matches!(x.bytes(), b"high" | b"medium" | b"50" | b"100"));
    let device = if flat { v[10] } else { first(&[d[0], d[1]]) };
    out.event(act, outcome)
        .at(when(r, stamp))
        .identity(v[21].bytes())
        .service(Service::Idp)
        .user(&first(&[v[4], v[29], v[5], if portal { v[5] } else { v[26] }]).text())
        .source(first(&[v[6], v[7]]).bytes())
        .client(&v[9].text())
        .device(&device.text())
        .sid(first(&[v[15], v[16]]).bytes())
        .group(&v[17].text())
        .mfa(mfa)
        .factor(factor)
        .method(method)
        .reason(reason)
        .country(country)
        .city(&crate::decode::json::unescape(city))
        .point(point)
        .flag_if(quiet, Flags::NON_INTERACTIVE)
        .flag_if(managed, Flags::MANAGED_DEVICE)
        .flag_if(risky, Flags::RISKY)
        .done()
}

/// `Berlin, Berlin, DE`.
fn portal_place(text: &[u8]) -> (&[u8], &[u8]) {
    let mut parts = text.rsplit(|b| *b == b',').map(<[u8]>::trim_ascii);
    let country = parts.next().unwrap_or_default();
    (country, parts.next_back().unwrap_or_default())
}

/// What an error code says of the attempt.
pub(in crate::authentication) fn meaning(code: u64, said: &[&[u8]], steps: &[u8]) -> (Outcome, Reason) {
    match code {
        0 => (Outcome::Success, Reason::None),
        // The password was right, and something else stopped the login.
        50055 => (Outcome::BlockedAfterPassword, Reason::Expired),
        50057 => (Outcome::BlockedAfterPassword, Reason::Disabled),
        50105 => (Outcome::BlockedAfterPassword, Reason::NotAllowed),
        53000 | 53001 | 50129 | 50155 => (Outcome::BlockedAfterPassword, Reason::Posture),
        50131 | 53003 | 53004 | 53009 | 53010 | 53011 | 50158 | 530_032 | 530_034 => {
            (Outcome::BlockedAfterPassword, Reason::Policy)
        }
        50072 | 50074 | 50076 | 50078 | 50079 | 50203 => (Outcome::Challenge, Reason::None),
        500_121 => (Outcome::BlockedAfterPassword, refusal(said, steps)),
        50126 | 50056 | 50064 | 80014 | 81016 | 700_016 | 7_000_215 => {
            (Outcome::Failure, Reason::BadPassword)
        }
        50034 | 50059 | 51004 | 50020 | 90072 | 16003 => (Outcome::Failure, Reason::NoUser),
        50053 => (Outcome::Failure, Reason::Locked),
        50012 | 50008 | 50017 | 50027 => (Outcome::Failure, Reason::Certificate),
        50011 | 50058 | 50085 | 50089 | 50097 | 50125 | 50127 | 50132 | 50133 | 50140 | 50142 | 50144
        | 50169 | 50173 | 50199 | 51006 | 16000 | 16001 | 65001 | 65004 | 70008 | 70016 | 70043 | 70044
        | 81010 | 81012 | 700_082 | 700_084 | 500_133 | 502_031 | 1_002_016 | 9_002_341 => {
            (Outcome::Interrupt, Reason::None)
        }
        _ => (Outcome::Failure, Reason::Other),
    }
}

/// Why a second factor was not passed: the words stand with the status or with the step.
fn refusal(said: &[&[u8]], steps: &[u8]) -> Reason {
    let has = |needle: &[u8]| said.iter().any(|t| find(t, needle).is_some()) || find(steps, needle).is_some();
    if has(b"raud") || has(b"suspicious activity") {
        Reason::Fraud
    } else if has(b"did not respond") || has(b"timed-out") || has(b"timed out") || has(b"imeout") {
        Reason::MfaTimeout
    } else if has(b"wrong") || has(b"ncorrect") || has(b"duplicate authentication") || has(b"out of") {
        Reason::MfaFailed
    } else {
        Reason::MfaDenied
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
    let client = match memchr::memchr(b';', client) {
        Some(n) => &client[..n],
        None => client,
    };
    CLIENTS.iter().any(|c| client.eq_ignore_ascii_case(c))
}

fn named_factor(name: &[u8]) -> Factor {
    let has = |needle: &[u8]| find(name, needle).is_some();
    match name {
        b"SMS" => Factor::Sms,
        b"Certificate" => Factor::Certificate,
        _ if has(b"notification") || has(b"Notification") || has(b"Microsoft Authenticator") => Factor::Push,
        _ if has(b"erification code") || has(b"OATH") || has(b"oneTime") || has(b"OneTimePassword") => {
            if has(b"ardware") { Factor::HardwareToken } else { Factor::Totp }
        }
        _ if has(b"Text message") || has(b"OneWaySms") => Factor::Sms,
        _ if has(b"hone call") || has(b"TwoWayVoice") => Factor::Voice,
        _ if has(b"FIDO") || has(b"asskey") || has(b"Windows Hello") => Factor::Fido2,
        _ if has(b"X.509") => Factor::Certificate,
        _ if has(b"Temporary Access Pass") => Factor::BypassCode,
        _ if has(b"mail") => Factor::Email,
        _ => Factor::None,
    }
}

static DETAIL: LazyLock<Paths<3>> =
    LazyLock::new(|| Paths::new(["authenticationMethod", "succeeded", "authenticationStepResultDetail"]));

/// What the steps say: a passed factor, a claim, or none though one was required.
fn second_factor(requirement: &[u8], details: &[u8], outcome: Outcome) -> (Mfa, Factor) {
    let (mut mfa, mut factor) = (Mfa::Unknown, Factor::None);
    for detail in elements(details).take(12) {
        let Value::Nested(object) = detail else { continue };
        let Ok(d) = DETAIL.pick(object) else { continue };
        let step = named_factor(d[0].bytes());
        if claimed(d[2].bytes()) {
            (mfa, factor) = (Mfa::Claimed, Factor::Remembered);
        } else if step != Factor::None && d[1].truth() == Some(true) {
            return (Mfa::Yes, step);
        } else if mfa == Mfa::Unknown && step != Factor::None {
            factor = step;
        }
    }
    if mfa == Mfa::Unknown && requirement == b"singleFactorAuthentication" && outcome == Outcome::Success {
        mfa = Mfa::No;
    }
    (mfa, factor)
}

fn claimed(result: &[u8]) -> bool {
    let has = |needle: &[u8]| find(result, needle).is_some();
    has(b"satisfied by claim") || has(b"previously satisfied") || has(b"remembered device")
}

fn second_factor_of_portal(required: &[u8], result: &[u8], by: &[u8], outcome: Outcome) -> (Mfa, Factor) {
    let factor = named_factor(by);
    if claimed(result) {
        return (Mfa::Claimed, Factor::Remembered);
    }
    if find(result, b"completed").is_some() || find(result, b"succeeded").is_some() {
        return (Mfa::Yes, factor);
    }
    let single = required.eq_ignore_ascii_case(b"Single-factor authentication")
        || required == b"singleFactorAuthentication";
    let mfa = if single && outcome == Outcome::Success { Mfa::No } else { Mfa::Unknown };
    (mfa, factor)
}
