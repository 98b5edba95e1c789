//! Splashtop: the Streamer's Windows events and `SPLog.txt` on the reached host, and the console's logs.
//!
//! Read from: Splashtop "Windows event logs of the Streamer", "Streamer log files", "Splashtop Open API / SIEM logging".
//! Traps: the time of `SPLog.txt` has no year; the log also tells of the Streamer's own logins to the relay; a client
//! that was let in by the relay is in the log before its session is.

use super::{outcome, stamped, windows_text};
use crate::decode::clock;
use crate::decode::find::find;
use crate::decode::json::Paths;
use crate::decode::kv::{after, between, word};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use crate::windows::{WinEvent, claimed, is_event};
use portreeve_model::event::{Act, Change, Flags, Outcome, Reason, Service};
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "splashtop",
    title: "Splashtop",
    row: Row::Remote,
    gives: &[Act::Auth, Act::Posture, Act::SessionStart, Act::SessionEnd, Act::Account, Act::Config],
    lacks: &[Field::TunnelIp, Field::Mfa, Field::Bytes],
    traps: &["no_year", "words_of_the_event"],
    manual: "Splashtop: Streamer Windows event logs; Streamer log files; SIEM logging",
    enable: "Windows channels Splashtop-Splashtop Streamer-*/Operational; SPLog.txt; console: Management > Settings > SIEM logging",
    general: false,
    marks: &["Splashtop", "[SM_", "[AP_", "\"destination_user_device\"", "\"client_user_device\""],
    reader: Reader::Code { claim, parse, join: None },
};

fn claim(r: &Record<'_>) -> bool {
    match r.shape {
        Shape::Json if find(r.body, b"\"client_user_device\"").is_some() => true,
        Shape::Json if find(r.body, b"\"destination_user_device\"").is_some() => true,
        Shape::Json | Shape::Xml => {
            find(r.body, b"Splashtop").is_some()
                && claimed(r, |_, channel, provider| {
                    channel.starts_with(b"Splashtop-") || provider.starts_with(b"Splashtop")
                })
        }
        _ => traced(r.raw).is_some(),
    }
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    match r.shape {
        Shape::Json if !is_event(r) => console(r, out),
        Shape::Json | Shape::Xml => streamer(r, out),
        _ => match traced(r.raw) {
            Some(text) => tell(r, text, out),
            None => Parsed::NotMine,
        },
    }
}

/// What follows `<1>Mar  3 11:40:53 [SM_04020]:`.
fn traced(line: &[u8]) -> Option<&[u8]> {
    let line = line.strip_prefix(b"<")?;
    let rest = line.get(memchr::memchr(b'>', line.get(..5)?)? + 1..)?;
    let (_, used) = clock::bsd(rest)?;
    let rest = rest.get(used..)?.trim_ascii_start().strip_prefix(b"[")?;
    let close = memchr::memchr(b']', rest.get(..rest.len().min(16))?)?;
    let (name, number) = rest.get(..close)?.split_at_checked(3)?;
    let named = name.get(..2)?.iter().all(u8::is_ascii_uppercase) && name.ends_with(b"_");
    let rest = rest.get(close + 1..)?.strip_prefix(b":")?;
    (named && number.iter().all(u8::is_ascii_digit)).then_some(rest.trim_ascii())
}

fn tell(r: &Record<'_>, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let civil = r.raw.iter().position(|b| *b == b'>').and_then(|n| r.raw.get(n + 1..)).and_then(clock::bsd);
    let at = match civil {
        Some((clock::Stamp::Local(civil), _)) => r.clock.resolve(civil),
        _ => r.header_time(),
    };
    let event = |out: &mut Emit<'_>, act, done, client: &[u8], from: &[u8], reason| {
        out.event(act, done)
            .at(at)
            .service(Service::Rmm)
            .device(client)
            .source(from)
            .host(r.outer_host)
            .observer(r.outer_host)
            .reason(reason)
            .done()
    };
    if text.starts_with(b"[Auth") {
        let client = between(text, b"client (", b")").unwrap_or_default();
        if find(text, b"can connect").is_some() && find(text, b"] ok").is_some() {
            return event(out, Act::Auth, Outcome::Success, client, b"", Reason::None);
        }
        if find(text, b"fail").is_some() || find(text, b"reject").is_some() || find(text, b"denied").is_some()
        {
            return event(out, Act::Auth, Outcome::Failure, client, b"", Reason::NotAllowed);
        }
        return Parsed::Irrelevant(Kind::Pending);
    }
    if let Some(rest) = after(text, b" public IP ", b"")
        && find(text, b"client").is_some()
    {
        return event(out, Act::Posture, Outcome::Unknown, b"", word(rest).0, Reason::None);
    }
    Parsed::Irrelevant(Kind::OtherMessage)
}

/// The address of mail in a text, without what encloses it.
fn mail(text: &[u8]) -> &[u8] {
    let word = text
        .split(|b| {
            b.is_ascii_whitespace() || matches!(b, b'(' | b')' | b'<' | b'>' | b',' | b';' | b'"' | b'\'')
        })
        .find(|w| memchr::memchr(b'@', w).is_some_and(|n| n > 0 && n + 1 < w.len()));
    let word = word.unwrap_or_default();
    word.strip_suffix(b".").unwrap_or(word)
}

fn streamer(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some(e) = WinEvent::of(r) else { return Parsed::NotMine };
    let text = windows_text(r, &e);
    let (act, change) = match e.id {
        1_000 => (Act::SessionStart, Change::None),
        1_001 => (Act::SessionEnd, Change::None),
        // Deployed to a team: from now on reached by its members.
        200 => (Act::Config, Change::Exposed),
        300 => return Parsed::Irrelevant(Kind::Pending),
        _ => return Parsed::Irrelevant(Kind::RoutineUse),
    };
    let session = between(&text, b"session (", b")").unwrap_or_default();
    // `From: LT-ANNA (Windows)`.
    let from = after(&text, b"From: ", b"").unwrap_or_default();
    let from = from.split(|b| matches!(b, b'(' | b'\r' | b'\n')).next().unwrap_or_default().trim_ascii();
    out.event(act, Outcome::Success)
        .at(e.time(r))
        .service(Service::Rmm)
        .user(mail(&text))
        .device(from)
        .host(&e.computer)
        .observer(&e.computer)
        .sid(session)
        .change(change)
        .flag_if(act == Act::Config, Flags::PRIVILEGED)
        .reason(if act == Act::SessionEnd { Reason::Logout } else { Reason::None })
        .done()
}

static PATHS: LazyLock<Paths<14>> = LazyLock::new(|| {
    Paths::new([
        "action",
        "category",
        "client_email",
        "client_ip",
        "client_user_device",
        "destination_user_device",
        "destination_ip",
        "time",
        "timestamp",
        "session_id",
        "result",
        "status",
        "destination_email",
        "event_time",
    ])
});

fn console(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let text = |n: usize| v[n].text();
    let action: Vec<u8> =
        text(0).iter().map(|b| if *b == b'_' { b' ' } else { b.to_ascii_lowercase() }).collect();
    let has = |words: &[u8]| find(&action, words).is_some();
    let bad = |n: usize| {
        let value = text(n).to_ascii_lowercase();
        find(&value, b"fail").is_some() || find(&value, b"denied").is_some()
    };
    let ok = !(has(b"fail") || bad(10) || bad(11));
    let (act, change) = if has(b"log in") || has(b"login") || has(b"logged in") || has(b"sign in") {
        (Act::Auth, Change::None)
    } else if has(b"session") || has(b"connect") {
        if has(b"end") || has(b"stop") || has(b"disconnect") {
            (Act::SessionEnd, Change::None)
        } else {
            (Act::SessionStart, Change::None)
        }
    } else if has(b"user") && (has(b"invite") || has(b"add") || has(b"create")) {
        (Act::Account, Change::AccountCreated)
    } else if has(b"user") && (has(b"delete") || has(b"remove")) {
        (Act::Account, Change::AccountDeleted)
    } else if has(b"role") {
        (Act::Account, Change::RoleGranted)
    } else if has(b"password") {
        (Act::Account, Change::PasswordReset)
    } else if has(b"setting") || has(b"polic") {
        (Act::Config, Change::ConfigChanged)
    } else {
        return Parsed::Irrelevant(Kind::RoutineUse);
    };
    let stamp = [7, 8, 13].into_iter().map(|n| v[n].bytes()).find(|b| !b.is_empty()).unwrap_or_default();
    out.event(act, outcome(ok))
        .at(stamped(r, stamp))
        .service(Service::Rmm)
        .user(&text(2))
        .source(v[3].bytes())
        .device(&text(4))
        .host(&text(5))
        .target(&text(12))
        .sid(v[9].bytes())
        .detail(&text(0))
        .change(change)
        .reason(match (act, ok) {
            (Act::Auth, false) => Reason::BadPassword,
            (_, false) => Reason::Other,
            _ => Reason::None,
        })
        .done()
}
