//! Windows Defender Firewall log, `pfirewall.log`.
//!
//! Read from: Microsoft "Configure Windows Firewall logging", "Interpreting the Windows Firewall log". Traps: times are
//! local without a zone; dropped packets are logged by default and allowed ones are not; the log does not name its host.

use crate::decode::clock::{self, Stamp};
use crate::decode::json::Paths;
use crate::decode::kv::word;
use crate::emit::Emit;
use crate::flows::{Flow, port};
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Outcome};
use portreeve_model::time::{Certainty, EventTime};
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "windows_firewall",
    title: "Windows Defender Firewall",
    row: Row::Firewall,
    gives: &[Act::Flow],
    lacks: &[
        Field::User,
        Field::TunnelIp,
        Field::Device,
        Field::Mfa,
        Field::SessionId,
        Field::SessionEnd,
        Field::Bytes,
        Field::Zone,
    ],
    traps: &["rows_with_names"],
    manual: "Microsoft: Configure Windows Firewall logging",
    enable: "Set-NetFirewallProfile -LogAllowed True -LogBlocked True -LogMaxSizeKilobytes 32767; %SystemRoot%\\System32\\LogFiles\\Firewall\\pfirewall.log",
    general: false,
    marks: &[" DROP ", " ALLOW ", " OPEN ", " OPEN-INBOUND ", " CLOSE ", " INFO-EVENTS-LOST ", "\"src-ip\""],
    reader: Reader::Code { claim, parse, join: None },
};

fn is_action(word: &[u8]) -> bool {
    matches!(word, b"DROP" | b"ALLOW" | b"OPEN" | b"OPEN-INBOUND" | b"CLOSE" | b"INFO-EVENTS-LOST")
}

fn claim(r: &Record<'_>) -> bool {
    match r.shape {
        Shape::Json => r.contains(b"\"src-ip\"") && r.contains(b"\"dst-ip\"") && r.contains(b"\"tcpflags\""),
        Shape::Text => line(r).is_some(),
        _ => false,
    }
}

/// `2026-03-03 09:00:01 DROP TCP …`. The stamp at the front looks like the header of a syslog line; a relay puts its own
/// before it.
fn line<'a>(r: &Record<'a>) -> Option<&'a [u8]> {
    [r.raw, r.body].into_iter().find(|text| {
        let (date, rest) = word(text);
        let (time, rest) = word(rest);
        let (action, rest) = word(rest);
        date.len() == 10
            && time.len() == 8
            && is_action(action)
            && word(rest).0.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
    })
}

static PATHS: LazyLock<Paths<8>> = LazyLock::new(|| {
    Paths::new(["date", "time", "action", "src-ip", "dst-ip", "src-port", "dst-port", "protocol"])
});

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    if r.shape == Shape::Json {
        let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
        let [date, time, action, src, dst, sport, dport, _] = v.map(|v| v.bytes());
        let mut stamp = [b' '; 19];
        if date.len() != 10 || time.len() != 8 {
            return Parsed::Broken(Why::Missing("date or time"));
        }
        for (to, from) in stamp.iter_mut().zip(date.iter().chain(b" ").chain(time)) {
            *to = *from;
        }
        return flow(r, when(r, &stamp), [action, src, dst, sport, dport], out);
    }
    let Some(text) = line(r) else { return Parsed::NotMine };
    let time = when(r, text);
    let mut words = text.split(|b| *b == b' ').filter(|w| !w.is_empty()).skip(2);
    let [action, _, src, dst, sport, dport] = std::array::from_fn(|_| words.next().unwrap_or_default());
    flow(r, time, [action, src, dst, sport, dport], out)
}

fn when(r: &Record<'_>, text: &[u8]) -> Option<(EventTime, Certainty)> {
    match clock::iso(text)?.0 {
        Stamp::Local(civil) => r.clock.resolve(civil),
        Stamp::Absolute(t) => Some((t, Certainty::Exact)),
    }
}

fn flow(
    r: &Record<'_>,
    time: Option<(EventTime, Certainty)>,
    [action, src, dst, sport, dport]: [&[u8]; 5],
    out: &mut Emit<'_>,
) -> Parsed {
    let outcome = match action {
        b"ALLOW" | b"OPEN" | b"OPEN-INBOUND" => Outcome::Success,
        b"DROP" => Outcome::Failure,
        b"CLOSE" => return Parsed::Irrelevant(Kind::Repeats),
        action => return Parsed::housekeeping_if(action == b"INFO-EVENTS-LOST"),
    };
    let (from, to) = (Ip::parse(src), Ip::parse(dst));
    if src.is_empty() || dst.is_empty() {
        return Parsed::Broken(Why::Missing("addresses"));
    }
    // A host speaks to itself all day.
    if from.is_some() && (from.is_loopback() || from == to) {
        return Parsed::Irrelevant(Kind::Traffic);
    }
    Flow {
        time,
        outcome,
        src: from,
        dst: to,
        sport: port(sport),
        dport: port(dport),
        observer: if r.body.first().is_some_and(u8::is_ascii_digit) { r.host() } else { r.outer_host },
        ..Flow::default()
    }
    .tell(out)
}
