//! Access logs of web servers and reverse proxies, as far as exploitation of remote-access gateways shows in them: Apache,
//! nginx and their relatives (combined), HAProxy, IIS (W3C).
//!
//! Read from: Apache mod_log_config, nginx ngx_http_log_module, HAProxy "HTTP log format", IIS W3C fields; the paths from the
//! advisories that `content/lists/gateway_exploit_paths.csv` names. Traps: a referrer or a user agent may hold such a path
//! too, so only the request counts; a path that was answered with 4xx is an attempt; the client wrote the request, and
//! behind a proxy the first address is the proxy's.

use crate::decode::clock::{self, Civil, Clock, Stamp};
use crate::decode::find::find;
use crate::decode::json::Paths;
use crate::decode::kv::number;
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use aho_corasick::{AhoCorasick, MatchKind};
use portreeve_model::EventTime;
use portreeve_model::event::{Act, Flags, Outcome, Service};
use portreeve_model::time::Certainty;
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "web_access",
    title: "Web access logs (Apache, nginx, HAProxy, IIS)",
    row: Row::Firewall,
    gives: &[Act::Alert],
    lacks: &[
        Field::User,
        Field::TunnelIp,
        Field::Device,
        Field::Mfa,
        Field::SessionId,
        Field::SessionEnd,
        Field::Bytes,
    ],
    traps: &["path_in_the_referrer", "chain_of_addresses"],
    manual: "Apache mod_log_config; nginx log module; HAProxy HTTP log format; IIS W3C extended logging; vendors' advisories",
    enable: "on by default; of a reverse proxy in front of a gateway: the combined format",
    general: true,
    marks: &["HTTP/1.", "HTTP/2", "HTTP/3", "\"cs-uri-stem\""],
    reader: Reader::Code { claim, parse, join: None },
};

/// One line of the list.
struct Known {
    path: &'static str,
    method: &'static str,
    severity: u8,
    product: &'static str,
    advisory: &'static str,
}

static LIST: LazyLock<Vec<Known>> = LazyLock::new(|| {
    include_str!("../../../../content/lists/gateway_exploit_paths.csv")
        .lines()
        .filter(|line| !line.starts_with('#') && !line.starts_with("path,"))
        .filter_map(|line| {
            let mut fields = line.split(',');
            Some(Known {
                path: fields.next().filter(|p| p.len() > 3)?,
                method: fields.next()?,
                severity: fields.next()?.parse().ok()?,
                product: fields.next()?,
                advisory: fields.next()?,
            })
        })
        .collect()
});

static FINDER: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(MatchKind::LeftmostFirst)
        .build(LIST.iter().map(|k| k.path))
        .ok()
});

/// Which known request this is.
fn known(method: &[u8], target: &[u8]) -> Option<&'static Known> {
    let finder = FINDER.as_ref()?;
    finder
        .find_iter(target)
        .filter_map(|m| LIST.get(m.pattern().as_usize()))
        .find(|k| k.method.is_empty() || k.method.as_bytes().eq_ignore_ascii_case(method))
}

/// The request in its quotes: method and target, and where it begins and ends.
struct Request<'a> {
    before: &'a [u8],
    method: &'a [u8],
    target: &'a [u8],
    behind: &'a [u8],
}

fn request(body: &[u8]) -> Option<Request<'_>> {
    let version = find(body, b" HTTP/")?;
    let quote = body.get(..version)?.iter().position(|b| *b == b'"')?;
    let (before, inner) = (body.get(..quote)?, body.get(quote + 1..version)?);
    let blank = memchr::memchr(b' ', inner)?;
    let (method, target) = (inner.get(..blank)?, inner.get(blank + 1..)?);
    let behind = body.get(version + 6..)?;
    let behind = behind.get(memchr::memchr(b'"', behind)? + 1..)?;
    let known = !method.is_empty()
        && method.len() <= 20
        && method.iter().all(|b| b.is_ascii_uppercase() || *b == b'_');
    known.then_some(Request { before, method, target, behind })
}

/// `[06/Mar/2026:09:12:09 +0100]`, `[06/Mar/2026:09:12:09.123]`: the stamp in its brackets.
fn stamp(before: &[u8]) -> Option<Stamp> {
    let open = before
        .windows(4)
        .position(|w| matches!(w, [b'[', d, e, b'/'] if d.is_ascii_digit() && e.is_ascii_digit()))?;
    let text = before.get(open + 1..)?;
    let two = |at: usize| text.get(at..at + 2).map(|t| u8::try_from(number(t)).unwrap_or(99));
    let civil = Civil {
        day: two(0)?,
        month: clock::month(text.get(3..6)?)?,
        year: i16::try_from(number(text.get(7..11)?)).ok()?,
        hour: two(12)?,
        minute: two(15)?,
        second: two(18)?,
        micros: 0,
    };
    if !civil.is_possible() || civil.year == 0 {
        return None;
    }
    match text.get(20..).and_then(clock::offset) {
        Some((east, _)) => Some(Stamp::Absolute(Clock::with_offset(civil, east)?)),
        None => Some(Stamp::Local(civil)),
    }
}

fn claim(r: &Record<'_>) -> bool {
    match r.shape {
        Shape::Json => find(r.body, b"\"cs-uri-stem\"").is_some() && find(r.body, b"\"sc-status\"").is_some(),
        Shape::Text => request(r.body).is_some_and(|q| stamp(q.before).is_some()),
        _ => false,
    }
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    if r.shape == Shape::Json {
        return w3c(r, out);
    }
    let Some(q) = request(r.body) else { return Parsed::NotMine };
    let Some(known) = known(q.method, q.target) else { return Parsed::Irrelevant(Kind::RoutineUse) };
    let at = match stamp(q.before) {
        Some(Stamp::Absolute(t)) => Some((t, Certainty::Exact)),
        Some(Stamp::Local(civil)) => r.clock.resolve(civil),
        None => r.header_time(),
    };
    // Combined: the status follows the request. HAProxy: it stands before, after the timers.
    let status = match number(q.behind) {
        0 => haproxy_status(q.before),
        status => status,
    };
    // A list of addresses came in a header: the last one is whom the server spoke with.
    let head = q.before.split(|b| *b == b'[').next().unwrap_or_default();
    let mut addresses = head
        .split(|b| matches!(b, b' ' | b','))
        .filter(|w| portreeve_model::Ip::parse_with_port(w).0.is_some());
    let first = addresses.next().unwrap_or_default();
    let last = addresses.next_back();
    alert(r, out, known, at, last.unwrap_or(first), q.target, status, last.is_some(), b"")
}

/// `… 10/0/30/69/109 200 2750 - - ----`: the word behind the timers.
fn haproxy_status(before: &[u8]) -> u64 {
    let mut words = before.split(|b| *b == b' ');
    let timers = |w: &&[u8]| w.iter().filter(|b| **b == b'/').count() == 4;
    words.find(timers).and_then(|_| words.next()).map_or(0, number)
}

#[expect(clippy::too_many_arguments, reason = "what two formats hold of one request")]
fn alert(
    r: &Record<'_>,
    out: &mut Emit<'_>,
    known: &Known,
    at: Option<(EventTime, Certainty)>,
    client: &[u8],
    target: &[u8],
    status: u64,
    chain: bool,
    site: &[u8],
) -> Parsed {
    let refused = (400..500).contains(&status);
    let title = format!("request of a known exploit: {}, {}", known.product, known.advisory);
    let host = if site.is_empty() { r.host() } else { site };
    out.event(Act::Alert, if refused { Outcome::Failure } else { Outcome::Unknown })
        .at(at)
        .service(Service::Firewall)
        .source(client)
        .host(host)
        .observer(host)
        .detail(title.as_bytes())
        .target(target)
        // Who was refused has found out that it does not work here.
        .severity(if refused { 2 } else { known.severity })
        .flag_if(chain, Flags::SOURCE_UNTRUSTED)
        .done()
}

static W3C: LazyLock<Paths<8>> = LazyLock::new(|| {
    Paths::new([
        "date",
        "time",
        "cs-method",
        "cs-uri-stem",
        "cs-uri-query",
        "c-ip",
        "sc-status",
        "s-computername",
    ])
});

/// A row of IIS, whose times are UTC.
fn w3c(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = W3C.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let mut target = v[3].text().into_owned();
    if !matches!(v[4].bytes(), b"" | b"-") {
        target.push(b'?');
        target.extend_from_slice(&v[4].text());
    }
    let Some(known) = known(v[2].bytes(), &target) else { return Parsed::Irrelevant(Kind::RoutineUse) };
    let stamp = [v[0].bytes(), b" ", v[1].bytes()].concat();
    let at = match clock::iso(&stamp) {
        Some((Stamp::Absolute(t), _)) => Some((t, Certainty::Exact)),
        Some((Stamp::Local(civil), _)) => r.clock.resolve_in(civil, 0),
        None => r.header_time(),
    };
    alert(r, out, known, at, v[5].bytes(), &target, number(v[6].bytes()), false, v[7].bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_list_is_read() {
        let lines = include_str!("../../../../content/lists/gateway_exploit_paths.csv")
            .lines()
            .filter(|l| !l.starts_with('#') && !l.starts_with("path,"))
            .count();
        assert_eq!(LIST.len(), lines);
        assert!(LIST.iter().all(|k| (1..=5).contains(&k.severity) && !k.advisory.is_empty()));
        assert!(FINDER.is_some());
    }

    #[test]
    fn the_method_decides_where_it_is_named() {
        assert!(known(b"GET", b"/clients/MyCRL").is_none());
        assert!(known(b"POST", b"/clients/MyCRL").is_some());
        assert!(known(b"GET", b"/remote/login").is_none());
    }
}
