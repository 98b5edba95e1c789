//! Microsoft Entra ID: sign-ins of all categories, directory audit, risk detections, B2C.
//!
//! Read from: "Sign-in log schema", "Audit log schema", "Entra authentication and authorization error codes", the Graph
//! resources signIn, directoryAudit and riskDetection, and the Log Analytics tables of the same name. One sign-in comes
//! in five spellings: diagnostic settings (`properties`), Graph and the portal's JSON (camel case), the portal's CSV
//! (words with blanks), Log Analytics and Sentinel (capitals, nested objects as text),
//! Defender's advanced hunting (capitals, no objects). Traps: some error codes are steps
//! or interrupts and no failures, and some say that the password was right; `multiFactorAuthentication` is what was
//! required and not what was done; a claim in the token satisfies it without a prompt; rows repeat: their id is kept as
//! the key, so that they count once; service principals sign in thousands of times a day.

mod audit;
mod risk;
mod signin;

pub(super) use audit::meaning as audit_meaning;
pub(super) use signin::meaning as sign_in_meaning;

use crate::decode::clock::{self, Civil, Stamp};
use crate::decode::find::find;
use crate::decode::json::{Paths, Value};
use crate::decode::kv::number;
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::Act;
use portreeve_model::time::{Certainty, EventTime};
use std::borrow::Cow;
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "entra",
    title: "Microsoft Entra ID",
    row: Row::Authentication,
    gives: &[Act::Auth, Act::Mfa, Act::Config, Act::Account, Act::Alert],
    lacks: &[Field::TunnelIp, Field::SessionEnd, Field::Bytes, Field::Host],
    traps: &[
        "interrupts_are_no_failures",
        "blocked_after_password",
        "claim_in_token",
        "legacy_client",
        "rows_repeat",
        "service_principals",
    ],
    manual: "Microsoft Entra: sign-in and audit log schema; Microsoft Graph signIn resource",
    enable: "diagnostic settings: SignInLogs, NonInteractiveUserSignInLogs, AuditLogs to an Event Hub or storage",
    general: false,
    marks: &[
        "ignInLogs\"",
        "igninLogs\"",
        "\"userPrincipalName\"",
        "\"UserPrincipalName\"",
        ".aadiam",
        ".AADIAM",
        "\"loggedByService\"",
        "\"LoggedByService\"",
        "\"Date (UTC)\"",
        "\"riskLastUpdatedDateTime\"",
        "\"RiskLastUpdatedDateTime\"",
        "\"AuditLogs\"",
        "\"AccountUpn\"",
    ],
    reader: Reader::Code { claim, parse, join: None },
};

fn claim(r: &Record<'_>) -> bool {
    let has = |needle: &[u8]| find(r.body, needle).is_some();
    if r.shape != Shape::Json {
        return false;
    }
    if has(b".aadiam") || has(b".AADIAM") {
        return true;
    }
    let known = has(b"ignInLogs\"")
        || has(b"igninLogs\"")
        || has(b"\"loggedByService\"")
        || has(b"\"LoggedByService\"")
        || has(b"\"AuditLogs\"") && has(b"\"operationName\"")
        || has(b"\"userPrincipalName\"") && (has(b"\"appDisplayName\"") || has(b"\"riskState\""))
        || has(b"\"UserPrincipalName\"")
            && (has(b"\"AppDisplayName\"") && has(b"\"ResultType\"") || has(b"\"RiskState\""))
        || has(b"\"Date (UTC)\"")
            && (has(b"\"Sign-in error code\"") || has(b"\"Request ID\"") || has(b"\"ActorType\""));
    if has(b"\"AccountUpn\"") && has(b"\"ErrorCode\"") && has(b"\"IPAddress\"") {
        return true;
    }
    // The unified audit log repeats sign-ins in its own words.
    known && !(has(b"\"RecordType\"") && has(b"\"Workload\""))
}

/// How the fields of a record are spelled.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spelling {
    /// Diagnostic settings: `category`, `properties`.
    Diagnostic,
    /// Graph and the portal's JSON: `createdDateTime`.
    Graph,
    /// Log Analytics: `TimeGenerated`, `UserPrincipalName`.
    Columns,
    /// The portal's CSV: `Date (UTC)`, `Username`.
    Portal,
    /// Advanced hunting's table of sign-ins: `AccountUpn`, `ErrorCode`.
    Hunting,
}

static KIND: LazyLock<Paths<13>> = LazyLock::new(|| {
    Paths::new([
        "category",
        "properties",
        "Category",
        "Type",
        "TimeGenerated",
        "TimeGenerated [UTC]",
        "Date (UTC)",
        "activityDisplayName",
        "ActivityDisplayName",
        "riskState",
        "RiskState",
        "Activity",
        "AccountUpn",
    ])
});

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = KIND.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let named = [v[3], v[0], v[2]].into_iter().find(|x| !x.is_missing()).unwrap_or_default().bytes();
    let spelling = if !v[1].is_missing() {
        Spelling::Diagnostic
    } else if !v[6].is_missing() {
        Spelling::Portal
    } else if !v[4].is_missing() || !v[5].is_missing() {
        Spelling::Columns
    } else if !v[12].is_missing() {
        Spelling::Hunting
    } else {
        Spelling::Graph
    };
    let named = named.strip_prefix(b"AAD").unwrap_or(named);
    match named {
        b"SignInLogs" | b"SigninLogs" | b"ADFSSignInLogs" => {
            signin::parse(r, spelling, signin::Category::Interactive, out)
        }
        b"NonInteractiveUserSignInLogs" => signin::parse(r, spelling, signin::Category::NonInteractive, out),
        b"ServicePrincipalSignInLogs"
        | b"ManagedIdentitySignInLogs"
        | b"MicrosoftServicePrincipalSignInLogs" => Parsed::Irrelevant(Kind::Machine),
        b"AuditLogs" => audit::parse(r, spelling, out),
        b"UserRiskEvents" | b"ServicePrincipalRiskEvents" => risk::detection(r, spelling, out),
        b"RiskyUsers" | b"RiskyServicePrincipals" => risk::user(r, spelling, out),
        b"MicrosoftGraphActivityLogs" | b"EnrichedOffice365AuditLogs" | b"ProvisioningLogs" => {
            Parsed::Irrelevant(Kind::RoutineUse)
        }
        _ if !v[7].is_missing() || !v[8].is_missing() || !v[11].is_missing() => {
            audit::parse(r, spelling, out)
        }
        // Some pipelines put the audit record's own category (`Policy`, `RoleManagement`) outside.
        _ if spelling == Spelling::Diagnostic && find(r.body, b"\"initiatedBy\"").is_some() => {
            audit::parse(r, spelling, out)
        }
        _ if spelling == Spelling::Diagnostic => Parsed::Irrelevant(Kind::OtherMessage),
        _ if !v[9].is_missing() && find(r.body, b"\"appDisplayName\"").is_none() => {
            risk::detection(r, spelling, out)
        }
        _ if !v[10].is_missing() && find(r.body, b"\"AppDisplayName\"").is_none() => {
            risk::detection(r, spelling, out)
        }
        _ => signin::parse(r, spelling, signin::Category::Unsaid, out),
    }
}

/// The first that says something. Exports write `""` and `<null>` for nothing.
fn first<'a>(all: &[Value<'a>]) -> Value<'a> {
    all.iter()
        .copied()
        .find(|x| !x.is_missing() && !matches!(x.bytes(), b"" | b"<null>") || !x.nested().is_empty())
        .unwrap_or_default()
}

/// An object or array that may have been written as text.
fn unwrapped<'a>(value: Value<'a>) -> Cow<'a, [u8]> {
    match value {
        Value::Nested(inner) => Cow::Borrowed(inner),
        Value::Text(_) => value.text(),
        _ => Cow::Borrowed(b""),
    }
}

/// ISO, or `10/6/2026, 9:12:45.123 AM` as the portal writes it for people; both are UTC.
fn when(r: &Record<'_>, stamp: Value<'_>) -> Option<(EventTime, Certainty)> {
    let text = stamp.bytes();
    let civil = match clock::iso(text) {
        Some((Stamp::Absolute(t), _)) => return Some((t, Certainty::Exact)),
        Some((Stamp::Local(c), _)) => c,
        None => match american(text) {
            Some(civil) => civil,
            None => return r.header_time(),
        },
    };
    crate::decode::clock::Clock::with_offset(civil, 0).map(|t| (t, Certainty::Exact))
}

/// Month first, twelve hours.
fn american(text: &[u8]) -> Option<Civil> {
    let (date, time) = text.split_at_checked(memchr::memchr(b',', text)?)?;
    let mut date = date.split(|b| *b == b'/');
    let (month, day, year) = (number(date.next()?), number(date.next()?), number(date.next()?));
    let time = time.get(1..)?.trim_ascii();
    let (clock, half) = time.split_at_checked(memchr::memchr(b' ', time)?)?;
    let mut clock = clock.split(|b| *b == b':');
    let (hour, minute, second) = (number(clock.next()?), number(clock.next()?), clock.next()?);
    let hour = match (half.trim_ascii().first()?, hour) {
        (b'A' | b'a', 12) => 0,
        (b'P' | b'p', 1..=11) => hour + 12,
        _ => hour,
    };
    Some(Civil {
        year: i16::try_from(year).ok()?,
        month: u8::try_from(month).ok()?,
        day: u8::try_from(day).ok()?,
        hour: u8::try_from(hour).ok()?,
        minute: u8::try_from(minute).ok()?,
        second: u8::try_from(number(second)).ok()?,
        micros: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_for_people() {
        let at =
            |t: &str| american(t.as_bytes()).map(|c| (c.year, c.month, c.day, c.hour, c.minute, c.second));
        assert_eq!(at("10/6/2026, 9:12:45.123 PM"), Some((2026, 10, 6, 21, 12, 45)));
        assert_eq!(at("1/16/2026, 12:02:05 AM"), Some((2026, 1, 16, 0, 2, 5)));
        assert_eq!(at("1/16/2026"), None);
        assert_eq!(at(",  "), None);
    }
}
