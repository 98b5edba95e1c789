//! Login records of Linux: `wtmp` and `btmp` as files, and what last(1) and lastb(1) print of them.
//!
//! Read from: utmp(5), last(1). Traps: a failed login has the type of a getty that waits, only with a person's name; the
//! record of an end names the terminal and nobody; `last` without `-F` leaves out the year and the seconds; lastb prints the
//! same columns as last, the same moment as begin and end.

use super::utc;
use crate::decode::clock::{self, Civil, Stamp};
use crate::decode::find::find;
use crate::decode::json::Paths;
use crate::decode::kv::{number, word};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Outcome, Reason, Service};
use portreeve_model::time::{Certainty, EventTime};
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "linux_logins",
    title: "Linux login records (wtmp, btmp, last, lastb)",
    row: Row::Authentication,
    gives: &[Act::Logon, Act::Logoff],
    lacks: &[Field::TunnelIp, Field::Device, Field::Mfa, Field::Bytes, Field::Host],
    traps: &["failed_logins", "last_without_year", "lastb"],
    manual: "utmp(5), last(1)",
    enable: "nothing: written by login, sshd and display managers; /var/log/wtmp and /var/log/btmp as they are, or last -F -i -w and lastb -F -i -w",
    general: false,
    marks: &[
        "\"ut_type\"",
        "pts/",
        "tty",
        "system boot",
        "tmp begins",
        "still logged in",
        "no logout",
        " :0",
    ],
    reader: Reader::Code { claim, parse, join: None },
};

fn claim(r: &Record<'_>) -> bool {
    match r.shape {
        Shape::Json => find(&r.body[..r.body.len().min(40)], b"\"ut_type\"").is_some(),
        Shape::Text => {
            r.header.program.is_empty()
                && r.header.time.is_none()
                && (columns(r.body).is_some() || begins(r.body))
        }
        _ => false,
    }
}

/// `wtmp begins Mon Oct  5 06:25:01 2026`, the last line of a listing.
fn begins(text: &[u8]) -> bool {
    find(&text[..text.len().min(80)], b"tmp begins ").is_some() || find(text, b"tmp.1 begins ").is_some()
}

static PATHS: LazyLock<Paths<7>> = LazyLock::new(|| {
    Paths::new(["ut_type", "ut_time", "ut_user", "ut_line", "ut_host", "ut_addr", "ut_pid"])
});

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    if r.shape != Shape::Json {
        return listing(r, out);
    }
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let (user, line, host) = (v[2].text(), v[3].text(), v[4].text());
    let source = if v[5].is_missing() { &host[..] } else { v[5].bytes() };
    let (act, outcome) = match number(v[0].bytes()) {
        7 => (Act::Logon, Outcome::Success),
        6 if !matches!(&*user, b"" | b"LOGIN") => (Act::Logon, Outcome::Failure),
        8 if !line.is_empty() && line.first() != Some(&b'~') => (Act::Logoff, Outcome::Success),
        0..=9 => return Parsed::Irrelevant(Kind::Housekeeping),
        _ => return Parsed::Broken(Why::Invalid("type")),
    };
    if act == Act::Logon && user.is_empty() {
        return Parsed::Irrelevant(Kind::Housekeeping);
    }
    out.event(act, outcome)
        .at(utc(r, v[1].bytes()))
        .service(service(&line, source))
        .user(&user)
        .source(word(source).0)
        .sid(&line)
        .reason(if outcome == Outcome::Failure { Reason::BadPassword } else { Reason::None })
        .done()
}

/// A pseudo terminal with an address was opened by sshd; the terminals of the machine itself have none.
fn service(line: &[u8], source: &[u8]) -> Service {
    let remote = Ip::parse(word(source).0).is_some();
    if line.starts_with(b"ssh") || line.starts_with(b"pts/") && remote { Service::Ssh } else { Service::Host }
}

/// User, terminal, host, and what begins with the stamp.
type Columns<'a> = (&'a [u8], &'a [u8], &'a [u8], &'a [u8]);

/// `anna     pts/0        203.0.113.7      Tue Oct  6 07:12:45 2026 - …`
fn columns(text: &[u8]) -> Option<Columns<'_>> {
    const DAYS: [&[u8; 3]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
    let (user, rest) = word(text);
    if user.is_empty() || user.ends_with(b":") {
        return None;
    }
    let mut at = 0;
    // The day of the week behind at most terminal and host; a reboot's terminal is two words.
    for words in 0..5 {
        let (next, after) = word(rest.get(at..)?);
        if next.is_empty() {
            return None;
        }
        let from = rest.len() - after.len();
        if words > 0 && DAYS.iter().any(|d| next == *d) && clock::month(after.get(..3)?).is_some() {
            let before = rest.get(..at)?.trim_ascii();
            let (line, host) = word(before);
            return Some((user, line, host.trim_ascii(), after));
        }
        at = from;
    }
    None
}

type At = Option<(EventTime, Certainty)>;

/// `Oct  6 07:12:45 2026` or `Oct  6 07:12`, and what follows.
fn stamp<'a>(r: &Record<'_>, text: &'a [u8]) -> Option<(At, &'a [u8])> {
    if let Some((Stamp::Local(civil), used)) = clock::bsd(text) {
        return Some((r.clock.resolve(civil), text.get(used..)?));
    }
    let month = clock::month(text.get(..3)?)?;
    let (day, rest) = word(text.get(3..)?);
    let (hour, minute) = (rest.get(..2)?, rest.get(3..5)?);
    let digits = hour.iter().chain(minute).all(u8::is_ascii_digit);
    if !digits || rest.get(2) != Some(&b':') {
        return None;
    }
    let small = |t: &[u8]| u8::try_from(number(t)).ok();
    let civil = Civil {
        year: 0,
        month,
        day: small(day)?,
        hour: small(hour)?,
        minute: small(minute)?,
        second: 0,
        micros: 0,
    };
    Some((r.clock.resolve(civil), rest.get(5..)?))
}

/// `(1+02:47)`: days, hours, minutes.
fn duration(text: &[u8]) -> Option<u32> {
    let open = memchr::memrchr(b'(', text)?;
    let inner = text.get(open + 1..)?.trim_ascii_end().strip_suffix(b")")?.trim_ascii();
    let (days, clock) = match memchr::memchr(b'+', inner) {
        Some(n) => (number(inner.get(..n)?), inner.get(n + 1..)?),
        None => (0, inner),
    };
    let colon = memchr::memchr(b':', clock)?;
    let minutes =
        number(clock.get(..colon)?).checked_mul(60)?.checked_add(number(clock.get(colon + 1..)?))?;
    u32::try_from(days.checked_mul(1_440)?.checked_add(minutes)?.checked_mul(60)?).ok()
}

fn listing(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some((user, line, host, rest)) = columns(r.body) else { return Parsed::Irrelevant(Kind::Format) };
    if matches!(user, b"reboot" | b"shutdown" | b"runlevel") || line == b"system" || begins(r.body) {
        return Parsed::Irrelevant(Kind::Housekeeping);
    }
    let Some((from, rest)) = stamp(r, rest) else { return Parsed::Broken(Why::Invalid("time")) };
    // `- Tue Oct  6 08:00:00 2026  (00:47)`, `- 08:00  (00:47)`, `- down`, `- crash`, `still logged in`.
    let end = rest.trim_ascii_start().strip_prefix(b"- ").map(<[u8]>::trim_ascii_start);
    let to = end.and_then(|e| stamp(r, e.get(4..)?)).and_then(|(t, _)| t);
    let failed = line.ends_with(b":notty") || to.is_some() && to == from;
    let done = out
        .event(Act::Logon, if failed { Outcome::Failure } else { Outcome::Success })
        .at(from)
        .service(service(line, host))
        .user(user)
        .source(word(host).0)
        .sid(line)
        .reason(if failed { Reason::BadPassword } else { Reason::None })
        .done();
    let Some(seconds) = end.filter(|_| !failed).and_then(duration) else { return done };
    let to = to.or_else(|| from.map(|(t, c)| (t.plus(i64::from(seconds) * 1_000_000), c)));
    if done == Parsed::Events && to.is_some() {
        return out
            .event(Act::Logoff, Outcome::Success)
            .at(to)
            .service(service(line, host))
            .user(user)
            .source(word(host).0)
            .sid(line)
            .duration_s(seconds)
            .done();
    }
    done
}
