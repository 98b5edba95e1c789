//! TeamViewer: what the reached host writes (`connections_incoming.txt`, its log file) and the Management Console's
//! event log and connection report.
//!
//! Read from: TeamViewer "Log file reading: incoming connection", "Event logging", "TeamViewer API documentation:
//! reports/connections". Traps: `Connections.txt` has the outgoing connections and one column less; both are in UTC with
//! the day first while the log file is in local time; the name is the other side's own word; the log file tells of
//! participants of either side (role 6 controls).

use super::stamped;
use crate::decode::clock::{self, Civil, Clock, Stamp};
use crate::decode::find::find;
use crate::decode::json::{Paths, Value};
use crate::decode::kv::{after, between, number, word};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Change, Flags, Method, Outcome, Reason, Service};
use portreeve_model::time::{Certainty, EventTime};
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "teamviewer",
    title: "TeamViewer",
    row: Row::Remote,
    gives: &[Act::Auth, Act::Posture, Act::SessionStart, Act::SessionEnd, Act::Account, Act::Config],
    lacks: &[Field::TunnelIp, Field::Mfa, Field::Bytes],
    traps: &["outgoing", "participants"],
    manual: "TeamViewer: Log file reading; Event logging; API documentation",
    enable: "ship connections_incoming.txt and TeamViewer*_Logfile.log of each host; Tensor: Management Console > Event Log (API eventlogging)",
    general: false,
    marks: &[
        "\tRemoteControl\t",
        "RemoteControl",
        "FileTransfer",
        "TeamViewer",
        "CParticipantManager",
        " S0   ",
        " S0+  ",
        " S!   ",
        " S!!  ",
        " G1   ",
        " D1   ",
        " D    ",
        "\"EventName\"",
        "\"devicename\"",
    ],
    reader: Reader::Code { claim, parse, join: None },
};

fn claim(r: &Record<'_>) -> bool {
    match r.shape {
        Shape::Json => {
            find(r.body, b"\"EventName\"").is_some()
                && find(r.body, b"\"AffectedItem\"").is_some()
                && find(r.body, b"\"Author\"").is_some()
                || find(r.body, b"\"devicename\"").is_some()
                    && find(r.body, b"\"start_date\"").is_some()
                    && find(r.body, b"\"userid\"").is_some()
        }
        _ => row(r.body).is_some() || row(r.raw).is_some() || traced(r.raw).is_some(),
    }
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    if r.shape == Shape::Json {
        return console(r, out);
    }
    if let Some(row) = row(r.body).or_else(|| row(r.raw)) {
        return connected(r, &row, out);
    }
    match traced(r.raw) {
        Some(text) => tell(r, text, out),
        None => Parsed::NotMine,
    }
}

/// A row of the connection files.
struct Connected<'a> {
    id: &'a [u8],
    name: &'a [u8],
    from: Option<EventTime>,
    to: Option<EventTime>,
    user: &'a [u8],
    kind: &'a [u8],
    session: &'a [u8],
    outgoing: bool,
}

/// `03-03-2026 09:20:01`, always UTC.
fn day_first(text: &[u8]) -> Option<EventTime> {
    let text = text.trim_ascii().get(..19)?;
    let shape = text.iter().zip(b"00-00-0000 00:00:00").all(|(b, like)| match like {
        b'0' => b.is_ascii_digit(),
        _ => b == like,
    });
    if !shape {
        return None;
    }
    let n = |from: usize, to: usize| number(text.get(from..to).unwrap_or_default());
    let small = |from, to| u8::try_from(n(from, to)).unwrap_or(0);
    let civil = Civil {
        year: i16::try_from(n(6, 10)).ok()?,
        month: small(3, 5),
        day: small(0, 2),
        hour: small(11, 13),
        minute: small(14, 16),
        second: small(17, 19),
        micros: 0,
    };
    Clock::with_offset(civil, 0)
}

fn row(line: &[u8]) -> Option<Connected<'_>> {
    let line = line.trim_ascii();
    let digits = line.iter().take_while(|b| b.is_ascii_digit()).count();
    if !(8..=11).contains(&digits) || !line.ends_with(b"}") {
        return None;
    }
    let columns: Vec<&[u8]> = line.split(|b| *b == b'\t').map(<[u8]>::trim_ascii).take(12).collect();
    if let [id, name, from, to, user, kind, session] = columns.as_slice()
        && let Some(began) = day_first(from)
    {
        return Some(Connected {
            id,
            name,
            from: Some(began),
            to: day_first(to),
            user,
            kind,
            session,
            outgoing: false,
        });
    }
    // `Connections.txt`: padded with blanks, and without a name.
    let (id, rest) = word(line);
    let rest = rest.trim_ascii_start();
    let from = day_first(rest)?;
    Some(Connected {
        id,
        name: b"",
        from: Some(from),
        to: None,
        user: b"",
        kind: b"",
        session: b"",
        outgoing: true,
    })
}

fn connected(r: &Record<'_>, row: &Connected<'_>, out: &mut Emit<'_>) -> Parsed {
    if row.outgoing {
        return Parsed::Irrelevant(Kind::OutboundTraffic);
    }
    let seconds = match (row.from, row.to) {
        (Some(from), Some(to)) => to.micros().saturating_sub(from.micros()) / 1_000_000,
        _ => 0,
    };
    let session = row.session.strip_prefix(b"{").and_then(|s| s.strip_suffix(b"}")).unwrap_or(row.session);
    let mut parsed = Parsed::NotMine;
    for (act, time) in [(Act::SessionStart, row.from), (Act::SessionEnd, row.to)] {
        let Some(time) = time else { continue };
        let end = act == Act::SessionEnd;
        parsed = out
            .event(act, Outcome::Success)
            .at(Some((time, Certainty::Exact)))
            .service(Service::Rmm)
            .user(row.name)
            .device(row.id)
            .target(row.user)
            .host(r.host())
            .observer(r.host())
            .group(row.kind)
            .sid(session)
            .duration_s(if end { u32::try_from(seconds).unwrap_or(0) } else { 0 })
            .done();
    }
    parsed
}

/// What follows `2026/03/03 09:20:01.123  4120  4764 S0   `.
fn traced(line: &[u8]) -> Option<&[u8]> {
    let head = line.get(..23)?;
    let shape = head.iter().zip(b"0000/00/00 00:00:00.000").all(|(b, like)| match like {
        b'0' => b.is_ascii_digit(),
        _ => b == like,
    });
    if !shape {
        return None;
    }
    let (process, rest) = word(line.get(23..)?.trim_ascii_start());
    let (thread, rest) = word(rest.trim_ascii_start());
    let (level, rest) = word(rest.trim_ascii_start());
    let digits = |t: &[u8]| !t.is_empty() && t.iter().all(u8::is_ascii_digit);
    let like = (1..=3).contains(&level.len())
        && matches!(level.first(), Some(b'S' | b'G' | b'D' | b'W' | b'X'))
        && level.iter().skip(1).all(|b| matches!(b, b'0'..=b'9' | b'!' | b'+'));
    (digits(process) && digits(thread) && like).then(|| rest.trim_ascii())
}

fn tell(r: &Record<'_>, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let at = r.header_time().or_else(|| {
        let Some((Stamp::Local(civil), _)) = r.raw.get(..23).map(dashed).and_then(|t| clock::iso(&t)) else {
            return None;
        };
        r.clock.resolve(civil)
    });
    if let Some(rest) = after(text, b"authentication using ", b"")
        && find(text, b"_Passive").is_some()
    {
        if find(rest, b"denied").is_none() {
            return Parsed::Irrelevant(Kind::Pending);
        }
        return out
            .event(Act::Auth, Outcome::Failure)
            .at(at)
            .service(Service::Rmm)
            .host(r.outer_host)
            .observer(r.outer_host)
            .detail(between(text, b"authentication using ", b" was").unwrap_or_default())
            .method(Method::Password)
            .reason(Reason::BadPassword)
            .done();
    }
    let blocked = find(text, b"AuthenticationBlocker").is_some() && find(text, b"block").is_some();
    if let Some(id) = after(text, b"DyngateID ", b"")
        && blocked
        && find(text, b"allocate ok").is_none()
    {
        let digits = id.iter().take_while(|b| b.is_ascii_digit()).count();
        return out
            .event(Act::Auth, Outcome::Failure)
            .at(at)
            .service(Service::Rmm)
            .device(id.get(..digits).unwrap_or_default())
            .host(r.outer_host)
            .observer(r.outer_host)
            .reason(Reason::Locked)
            .done();
    }
    // `CParticipantManagerBase participant LT-ANNA (ID [123456789,-1234567]) was added with the role 6`
    if let Some(rest) = after(text, b"CParticipantManagerBase participant ", b"")
        && let Some(open) = memchr::memmem::rfind(rest, b" (ID [")
    {
        let name = rest.get(..open).unwrap_or_default();
        let ids = rest.get(open + 6..).unwrap_or_default();
        let id = ids.split(|b| matches!(b, b',' | b']')).next().unwrap_or_default();
        let session = between(ids, b",", b"]").unwrap_or_default();
        // The other roles are of the host itself and of those that look on.
        if after(ids, b"added with the role ", b"").is_none_or(|role| word(role).0 != b"6") {
            return Parsed::Irrelevant(Kind::Pending);
        }
        return out
            .event(Act::SessionStart, Outcome::Success)
            .at(at)
            .service(Service::Rmm)
            .user(name)
            .device(id)
            .sid(session)
            .host(r.outer_host)
            .observer(r.outer_host)
            .done();
    }
    // The other side's address, of whichever of both began.
    if let Some(from) = between(text, b"punch received a=", b": (").filter(|_| find(text, b"UDP").is_some()) {
        let colon = from.iter().rposition(|b| *b == b':').unwrap_or(from.len());
        return out
            .event(Act::Posture, Outcome::Unknown)
            .at(at)
            .service(Service::Rmm)
            .source(from.get(..colon).unwrap_or_default())
            .source_port(u16::try_from(number(from.get(colon + 1..).unwrap_or_default())).unwrap_or_default())
            .host(r.outer_host)
            .observer(r.outer_host)
            .detail(b"peer address")
            .done();
    }
    Parsed::Irrelevant(Kind::OtherMessage)
}

/// `2026/03/03 …` with dashes.
fn dashed(head: &[u8]) -> Vec<u8> {
    head.iter().map(|b| if *b == b'/' { b'-' } else { *b }).collect()
}

static PATHS: LazyLock<Paths<12>> = LazyLock::new(|| {
    Paths::new([
        "EventName",
        "EventType",
        "Timestamp",
        "Author",
        "AffectedItem",
        "id",
        "username",
        "deviceid",
        "devicename",
        "start_date",
        "end_date",
        "groupname",
    ])
});

fn console(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    if v[0].bytes().is_empty() {
        return report(r, &v, out);
    }
    let name = v[0].bytes();
    let starts = |word: &[u8]| name.starts_with(word);
    let (act, result, change) = match name {
        b"StartedSession" | b"IncomingSession" | b"JoinedSession" | b"ParticipantJoinedSession" => {
            (Act::SessionStart, Outcome::Success, Change::None)
        }
        b"EndedSession" | b"LeftSession" | b"ParticipantLeftSession" => {
            (Act::SessionEnd, Outcome::Success, Change::None)
        }
        b"UserCreated" | b"JoinCompany" => (Act::Account, Outcome::Success, Change::AccountCreated),
        b"UserDeleted" | b"UserRemovedFromCompany" => {
            (Act::Account, Outcome::Success, Change::AccountDeleted)
        }
        b"EditUserPermissions" => (Act::Account, Outcome::Success, Change::RoleGranted),
        b"EditTFAUsage" => (Act::Account, Outcome::Success, Change::FactorReset),
        b"EditUserProperties" | b"EditOwnProfile" => (Act::Account, Outcome::Success, Change::PolicyChanged),
        b"EmailConfirmed" => return Parsed::Irrelevant(Kind::RoutineUse),
        _ if starts(b"SignIn") || starts(b"Login") || starts(b"LoggedIn") || starts(b"UserLog") => {
            let failed = find(name, b"ail").is_some();
            (Act::Auth, if failed { Outcome::Failure } else { Outcome::Success }, Change::None)
        }
        _ if starts(b"ScriptToken") && find(name, b"Added").is_some() => {
            (Act::Account, Outcome::Success, Change::KeyCreated)
        }
        _ if starts(b"ConditionalAccess") || starts(b"Policy") => {
            (Act::Config, Outcome::Success, Change::PolicyChanged)
        }
        _ if starts(b"AddRemoteWorkerDevice") => (Act::Config, Outcome::Success, Change::Exposed),
        _ if starts(b"Group") || starts(b"UserGroup") || starts(b"Company") => {
            (Act::Config, Outcome::Success, Change::ConfigChanged)
        }
        _ => return Parsed::Irrelevant(Kind::RoutineUse),
    };
    let session = matches!(act, Act::SessionStart | Act::SessionEnd);
    let account = act == Act::Account;
    out.event(act, result)
        .at(stamped(r, v[2].bytes()))
        .service(Service::Rmm)
        .user(&v[3].text())
        .target(if session || act == Act::Auth { b"" } else { v[4].bytes() })
        .sid(if session { v[4].bytes() } else { b"" })
        .detail(name)
        .change(change)
        .reason(if result == Outcome::Failure { Reason::BadPassword } else { Reason::None })
        .flag_if(act == Act::Config || account && change == Change::RoleGranted, Flags::PRIVILEGED)
        .done()
}

fn report(r: &Record<'_>, v: &[Value<'_>; 12], out: &mut Emit<'_>) -> Parsed {
    let (from, to) = (stamped(r, v[9].bytes()), v[10].bytes());
    let to = if to.is_empty() { None } else { stamped(r, to) };
    let seconds = match (from, to) {
        (Some((from, _)), Some((to, _))) => to.micros().saturating_sub(from.micros()) / 1_000_000,
        _ => 0,
    };
    let mut parsed = Parsed::Broken(Why::Missing("time"));
    for (act, at) in [(Act::SessionStart, from), (Act::SessionEnd, to)] {
        if at.is_none() {
            continue;
        }
        let end = act == Act::SessionEnd;
        parsed = out
            .event(act, Outcome::Success)
            .at(at)
            .service(Service::Rmm)
            .user(&v[6].text())
            .host(&v[8].text())
            .sid(v[5].bytes())
            .group(&v[11].text())
            .duration_s(if end { u32::try_from(seconds).unwrap_or(0) } else { 0 })
            .done();
    }
    parsed
}
