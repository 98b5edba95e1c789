//! Log files of Windows Network Policy Server: DTS XML, the database format (ODBC), the IAS format.
//!
//! Read from: Microsoft "Interpret NPS Database Format Log Files", "NPS Log File Formats (IAS, DTS)". Traps: an
//! Access-Accept repeats hardly anything of the request, so that the address of the client stands in the request and in
//! accounting only, and `Class` joins them; interim accounting is no new stay; a Challenge is no answer; the address of
//! the RADIUS client is the gateway; dates are American; the extension for a second factor shows in refusals alone
//! (reason 21).

use crate::decode::clock::{Civil, Clock};
use crate::decode::find::find;
use crate::decode::kv::{csv_fields, number};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Flags, Mac, Method, Outcome, Reason, Service};
use portreeve_model::time::Certainty;
use portreeve_model::{EventTime, Ip};

pub static SOURCE: Source = Source {
    name: "nps_file",
    title: "Windows Network Policy Server (log files)",
    row: Row::Authentication,
    gives: &[Act::Auth, Act::Posture, Act::SessionStart, Act::IpAssign, Act::SessionEnd, Act::Nac],
    lacks: &[Field::Mfa, Field::Host, Field::Zone],
    traps: &["accept_without_address", "interim", "dts", "ias"],
    manual: "Microsoft: Interpret NPS Database Format Log Files; NPS log file formats",
    enable: "NPS console > Accounting > Configure Local File Logging: accounting, authentication and periodic status; format DTS Compliant",
    general: false,
    marks: &["<Timestamp data_type", ",\"IAS\",", ",\"RAS\",", ",IAS,", ",RAS,"],
    reader: Reader::Code { claim: |r| shape(r).is_some(), parse, join: None },
};

#[derive(Clone, Copy)]
enum Format {
    Xml,
    Database,
    Ias,
}

fn shape(r: &Record<'_>) -> Option<Format> {
    let head = &r.raw[..r.raw.len().min(300)];
    if r.shape == Shape::Xml {
        return find(head, b"<Timestamp data_type").map(|_| Format::Xml);
    }
    if r.shape != Shape::Text {
        return None;
    }
    // `"NPS1","IAS",03/04/2026,09:00:00,1,…`
    let mut c = csv_fields(head);
    let (first, second) = (c.next()?, c.next()?);
    let third = c.next()?;
    if matches!(second, b"IAS" | b"RAS") && date(third).is_some() {
        return Some(Format::Database);
    }
    // `198.51.100.1,anna,03/04/2026,09:00:00,IAS,NPS1,…`
    let (_, service) = (c.next()?, c.next()?);
    (Ip::parse(first).is_some() && matches!(service, b"IAS" | b"RAS") && date(third).is_some())
        .then_some(Format::Ias)
}

/// `03/04/2026`: month, day, year.
fn date(text: &[u8]) -> Option<(u8, u8, i16)> {
    let mut parts = text.trim_ascii().split(|b| *b == b'/');
    let mut next = || {
        let part = parts.next()?;
        (!part.is_empty() && part.len() <= 4 && part.iter().all(u8::is_ascii_digit)).then(|| number(part))
    };
    let (month, day, year) = (next()?, next()?, next()?);
    (year >= 1970).then_some((u8::try_from(month).ok()?, u8::try_from(day).ok()?, i16::try_from(year).ok()?))
}

/// American date and time of day, without a zone.
fn stamp(day: &[u8], time: &[u8], clock: &Clock) -> Option<(EventTime, Certainty)> {
    let (month, day, year) = date(day)?;
    let mut parts = time.trim_ascii().split(|b| matches!(b, b':' | b'.'));
    let mut next = || parts.next().map(number).and_then(|n| u8::try_from(n).ok());
    let (hour, minute, second) = (next()?, next()?, next()?);
    let civil = Civil { year, month, day, hour, minute, second, micros: 0 };
    if civil.is_possible() { clock.resolve(civil) } else { None }
}

/// What the three formats tell alike.
#[derive(Default)]
struct Fields<'a> {
    computer: &'a [u8],
    day: &'a [u8],
    time: &'a [u8],
    kind: &'a [u8],
    user: &'a [u8],
    full: &'a [u8],
    calling: &'a [u8],
    framed: &'a [u8],
    port: &'a [u8],
    client: &'a [u8],
    policy: &'a [u8],
    reason: &'a [u8],
    class: &'a [u8],
    status: &'a [u8],
    sent: &'a [u8],
    received: &'a [u8],
    session: &'a [u8],
    seconds: &'a [u8],
    cause: &'a [u8],
    endpoint: &'a [u8],
    port_type: &'a [u8],
    software: &'a [u8],
}

fn database<'a>(line: &'a [u8]) -> Fields<'a> {
    let mut f = Fields::default();
    for (n, value) in csv_fields(line).enumerate() {
        let slot = match n {
            0 => &mut f.computer,
            2 => &mut f.day,
            3 => &mut f.time,
            4 => &mut f.kind,
            5 => &mut f.user,
            6 => &mut f.full,
            8 => &mut f.calling,
            10 => &mut f.framed,
            13 => &mut f.port,
            16 => &mut f.client,
            19 => &mut f.port_type,
            24 => &mut f.policy,
            25 => &mut f.reason,
            26 => &mut f.class,
            31 => &mut f.status,
            33 => &mut f.received,
            34 => &mut f.sent,
            35 => &mut f.session,
            37 => &mut f.seconds,
            40 => &mut f.cause,
            46 => &mut f.endpoint,
            66 => &mut f.software,
            67.. => break,
            _ => continue,
        };
        *slot = value;
    }
    f
}

/// Six fields, then pairs of attribute number and value.
fn ias<'a>(line: &'a [u8]) -> Fields<'a> {
    let mut c = csv_fields(line);
    let mut next = || c.next().unwrap_or_default();
    let _gateway = next();
    let (user, day, time) = (next(), next(), next());
    let _service = next();
    let mut f = Fields { user, day, time, computer: next(), ..Fields::default() };
    while let (Some(id), Some(value)) = (c.next(), c.next()) {
        let slot = match id {
            b"4136" => &mut f.kind,
            b"4142" => &mut f.reason,
            b"4129" => &mut f.full,
            b"4130" if f.full.is_empty() => &mut f.full,
            b"31" => &mut f.calling,
            b"8" => &mut f.framed,
            b"5" => &mut f.port,
            b"61" => &mut f.port_type,
            b"4128" => &mut f.client,
            b"4149" => &mut f.policy,
            b"25" => &mut f.class,
            b"40" => &mut f.status,
            b"42" => &mut f.received,
            b"43" => &mut f.sent,
            b"44" => &mut f.session,
            b"46" => &mut f.seconds,
            b"49" => &mut f.cause,
            b"66" => &mut f.endpoint,
            _ => continue,
        };
        *slot = value;
    }
    f
}

fn dts<'a>(text: &'a [u8]) -> Fields<'a> {
    let mut f = Fields::default();
    let mut rest = text;
    // `<Packet-Type data_type="0">1</Packet-Type>`, one after the other.
    while let Some(open) = memchr::memchr(b'<', rest) {
        rest = &rest[open + 1..];
        let end = rest.iter().position(|b| matches!(b, b' ' | b'>' | b'/')).unwrap_or(rest.len());
        let name = &rest[..end];
        if name.is_empty() || name == b"Event" {
            continue;
        }
        let Some(close) = memchr::memchr(b'>', rest) else { break };
        rest = &rest[close + 1..];
        let stop = memchr::memchr(b'<', rest).unwrap_or(rest.len());
        let value = &rest[..stop];
        let slot = match name {
            b"Timestamp" => {
                let blank = memchr::memchr(b' ', value).unwrap_or(value.len());
                f.day = &value[..blank];
                f.time = value.get(blank + 1..).unwrap_or_default();
                continue;
            }
            b"Computer-Name" => &mut f.computer,
            b"Packet-Type" => &mut f.kind,
            b"User-Name" => &mut f.user,
            b"SAM-Account-Name" => &mut f.full,
            b"Fully-Qualifed-User-Name" | b"Fully-Qualified-User-Name" if f.full.is_empty() => &mut f.full,
            b"Calling-Station-Id" => &mut f.calling,
            b"Framed-IP-Address" => &mut f.framed,
            b"NAS-Port" => &mut f.port,
            b"NAS-Port-Type" => &mut f.port_type,
            b"Client-Friendly-Name" => &mut f.client,
            b"NP-Policy-Name" => &mut f.policy,
            b"Reason-Code" => &mut f.reason,
            b"Class" => &mut f.class,
            b"Acct-Status-Type" => &mut f.status,
            b"Acct-Input-Octets" => &mut f.received,
            b"Acct-Output-Octets" => &mut f.sent,
            b"Acct-Session-Id" => &mut f.session,
            b"Acct-Session-Time" => &mut f.seconds,
            b"Acct-Terminate-Cause" => &mut f.cause,
            b"Tunnel-Client-Endpt" => &mut f.endpoint,
            b"MS-RAS-Client-Version" => &mut f.software,
            _ => continue,
        };
        *slot = value;
    }
    f
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let f = match shape(r) {
        Some(Format::Xml) => dts(r.body),
        Some(Format::Database) => database(r.raw),
        Some(Format::Ias) => ias(r.raw),
        None => return Parsed::NotMine,
    };
    if f.kind.is_empty() {
        return Parsed::Broken(Why::Missing("packet type"));
    }
    let Some(at) = stamp(f.day, f.time, r.clock) else { return Parsed::Broken(Why::Invalid("date")) };
    let at = Some(at);
    // Domain and account where the directory was asked, else what the client sent.
    let user = if f.full.contains(&b'\\') || f.user.is_empty() { f.full } else { f.user };
    let machine = user.starts_with(b"host/") || user.ends_with(b"$");
    if machine {
        return Parsed::Irrelevant(Kind::Machine);
    }
    let from = [f.endpoint, f.calling].into_iter().map(Ip::parse).find(|ip| ip.is_some()).unwrap_or_default();
    let mac = Mac::parse(f.calling);
    let (act, outcome) = match number(f.kind) {
        // The question; who asks from where, and no answer yet.
        1 => (Act::Posture, Outcome::Unknown),
        2 => (Act::Auth, Outcome::Success),
        // The second factor is asked for once the password was right.
        3 if number(f.reason) == 21 => (Act::Auth, Outcome::BlockedAfterPassword),
        3 => (Act::Auth, Outcome::Failure),
        4 => match number(f.status) {
            1 if Ip::parse(f.framed).is_some() => (Act::IpAssign, Outcome::Success),
            1 => (Act::SessionStart, Outcome::Success),
            2 => (Act::SessionEnd, Outcome::Success),
            // Interim updates, and the server's own on and off.
            3 | 7 | 8 => return Parsed::Irrelevant(Kind::Housekeeping),
            _ => return Parsed::Irrelevant(Kind::OtherMessage),
        },
        11 => return Parsed::Irrelevant(Kind::Pending),
        // Answers to accounting; status of the server.
        5 | 12 | 13 => return Parsed::Irrelevant(Kind::Housekeeping),
        _ => return Parsed::Irrelevant(Kind::OtherMessage),
    };
    let reason = match (act, outcome) {
        (_, Outcome::Success | Outcome::Unknown) if act != Act::SessionEnd => Reason::None,
        (Act::SessionEnd, _) => match number(f.cause) {
            1 => Reason::Logout,
            2 | 3 | 8 | 9 | 10 => Reason::ConnectionLost,
            4 => Reason::Idle,
            5 => Reason::Timeout,
            6 => Reason::ByAdmin,
            _ => Reason::None,
        },
        _ => super::nps::why(number(f.reason)),
    };
    // A switch or an access point names the hardware that asks.
    let at_port = from.is_none() && mac.is_some();
    if at_port && act != Act::Auth {
        return Parsed::Irrelevant(Kind::Pending);
    }
    // 15 Ethernet, 19 Wireless.
    let service = match (at_port, number(f.port_type)) {
        (true, 19) => Service::Wireless,
        (true, _) => Service::Wired,
        _ => Service::Radius,
    };
    let checks = act == Act::Auth;
    out.event(if at_port { Act::Nac } else { act }, outcome)
        .at(at)
        .service(service)
        .user(user)
        .source_ip(from)
        .mac(if at_port { f.calling } else { b"" })
        .method(if at_port { Method::Dot1x } else { Method::Unknown })
        .tunnel(f.framed)
        // The gateway has its own key for the same session, and the records of both are to meet: only where the server is
        // alone with its question does the key say which answer is meant.
        .sid(match (act, f.class) {
            (Act::Posture, class) => class,
            (Act::Auth, _) if at_port => f.session,
            _ => b"",
        })
        .client(f.software)
        .group(f.policy)
        .detail(if at_port { f.port } else { b"" })
        .duration_s(u32::try_from(number(f.seconds)).unwrap_or(u32::MAX))
        .bytes(number(f.received), number(f.sent))
        .reason(reason)
        .observer(if f.client.is_empty() { f.computer } else { f.client })
        .flag_if(checks && !at_port && outcome == Outcome::Success, Flags::PRE_MFA)
        // Speaks for the gateway that asked.
        .flag_if(checks && !at_port && outcome == Outcome::Failure, Flags::REPEATS)
        .done()
}
