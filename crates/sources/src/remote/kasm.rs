//! Kasm Workspaces: the API server's JSON log.
//!
//! Read from: Kasm "Reporting and Logging", "Session lifecycle events reference". Traps: the user stands in brackets at
//! the end of the message where no field names it; `request_ip` is the chain of proxies, the client's own word first;
//! a metric may be written with dots or underscores; services report under the same names.

use super::{nearest, stamped};
use crate::decode::find::find;
use crate::decode::json::{Paths, Value};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Change, Factor, Flags, Mfa, Outcome, Reason, Service};
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "kasm",
    title: "Kasm Workspaces",
    row: Row::Remote,
    gives: &[Act::Auth, Act::Mfa, Act::SessionStart, Act::SessionEnd, Act::Account],
    lacks: &[Field::TunnelIp, Field::Device, Field::Bytes],
    traps: &["behind_proxies", "user_in_the_message"],
    manual: "Kasm Workspaces: Reporting and Logging; session lifecycle events",
    enable: "Settings > Logging: forward to Splunk HEC or syslog, or ship /opt/kasm/current/log/api_server.log",
    general: false,
    marks: &["\"metric_name\"", "kasm.metric_name", "kasm_metric_name"],
    reader: Reader::Code {
        claim: |r| {
            r.shape == Shape::Json
                && (find(r.body, b"\"kasm.metric_name\"").is_some()
                    || find(r.body, b"\"kasm_metric_name\"").is_some()
                    || find(r.body, b"\"metric_name\"").is_some()
                        && (find(r.body, b"\"request_ip\"").is_some()
                            || find(r.body, b"kasm").is_some()
                            || find(r.body, b"\"client_api").is_some()))
        },
        parse,
        join: None,
    },
};

const N: usize = 22;
static PATHS: LazyLock<Paths<N>> = LazyLock::new(|| {
    Paths::new([
        "metric_name",
        "kasm\\.metric_name",
        "kasm_metric_name",
        "message",
        "request_ip",
        "user_agent",
        "timestamp",
        "asctime",
        "kasm_user_name",
        "username",
        "kasm_id",
        "kasm\\.kasm\\.id",
        "kasm_kasm_id",
        "kasm\\.user\\.name",
        "kasm_user_username",
        "image_name",
        "kasm_image_name",
        "host",
        "ingest_date",
        "client_ip",
        "kasm\\.image\\.name",
        "http\\.client_ip",
    ])
});

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let first = |of: &[usize]| -> Value<'_> {
        of.iter().filter_map(|n| v.get(*n)).find(|x| !x.bytes().is_empty()).copied().unwrap_or_default()
    };
    let metric = first(&[0, 1, 2]).bytes();
    let message = v[3].text();
    let is = |word: &[u8]| find(metric, word).is_some();
    let (act, result, reason, change) = if let Some(what) = metric.strip_prefix(b"account.login.") {
        match what {
            b"successful" | b"success" => (Act::Auth, Outcome::Success, Reason::None, Change::None),
            w if find(w, b"2fa").is_some()
                || find(w, b"two_factor").is_some()
                || find(w, b"totp").is_some() =>
            {
                (Act::Mfa, Outcome::Failure, Reason::MfaFailed, Change::None)
            }
            b"failed_invalid_user" => (Act::Auth, Outcome::Failure, Reason::NoUser, Change::None),
            b"failed_invalid_password" => (Act::Auth, Outcome::Failure, Reason::BadPassword, Change::None),
            w if find(w, b"lock").is_some() => (Act::Auth, Outcome::Failure, Reason::Locked, Change::None),
            w if find(w, b"disabled").is_some() => {
                (Act::Auth, Outcome::Failure, Reason::Disabled, Change::None)
            }
            w if find(w, b"expired").is_some() => {
                (Act::Auth, Outcome::Failure, Reason::Expired, Change::None)
            }
            w if w.starts_with(b"failed") => (Act::Auth, Outcome::Failure, Reason::Other, Change::None),
            _ => return Parsed::Irrelevant(Kind::Pending),
        }
    } else if metric.starts_with(b"account.logout") {
        (Act::SessionEnd, Outcome::Success, Reason::Logout, Change::None)
    } else if metric.starts_with(b"account.") && is(b"password") {
        (Act::Account, Outcome::Success, Reason::None, Change::PasswordReset)
    } else if metric.starts_with(b"account.") && is(b"creat") {
        (Act::Account, Outcome::Success, Reason::None, Change::AccountCreated)
    } else if metric.starts_with(b"account.") && is(b"delete") {
        (Act::Account, Outcome::Success, Reason::None, Change::AccountDeleted)
    } else if matches!(metric, b"sessions.session.created" | b"session.created" | b"sessions.created")
        || is(b"session") && metric.ends_with(b"connected") && !metric.ends_with(b"disconnected")
    {
        (Act::SessionStart, Outcome::Success, Reason::None, Change::None)
    } else if is(b"session") && (metric.ends_with(b"destroyed") || metric.ends_with(b"deleted")) {
        (Act::SessionEnd, Outcome::Success, Reason::Logout, Change::None)
    } else {
        return Parsed::housekeeping_if(is(b"health") || metric.starts_with(b"usage."));
    };
    // `Authentication attempt invalid password for user: (anna)`.
    let in_brackets = memchr::memrchr(b'(', &message)
        .and_then(|n| message.get(n + 1..))
        .and_then(|m| m.strip_suffix(b")"))
        .unwrap_or_default();
    let named = first(&[8, 13, 14, 9]).text();
    let user = if named.is_empty() { in_brackets } else { &named };
    let addresses = first(&[4, 19, 21]).text();
    let (address, chain) = nearest(&addresses);
    let agent = v[5].text();
    let image = first(&[15, 16, 20]).text();
    let session =
        matches!(act, Act::SessionStart) || act == Act::SessionEnd && !metric.starts_with(b"account");
    out.event(act, result)
        .at(stamped(r, first(&[6, 18, 7]).bytes()))
        .service(Service::Ztna)
        .user(if act == Act::Account { &named } else { user })
        .source(address)
        .client(&agent)
        .sid(first(&[10, 11, 12]).bytes())
        .host(if session { &image } else { b"" })
        .target(if act == Act::Account { in_brackets } else { b"" })
        .change(change)
        .reason(reason)
        .factor(if act == Act::Mfa { Factor::Totp } else { Factor::None })
        .mfa(Mfa::Unknown)
        .flag_if(chain, Flags::SOURCE_UNTRUSTED)
        .done()
}
