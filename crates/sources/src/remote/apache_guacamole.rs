//! Apache Guacamole: the web application's logins and connections, and its proxy daemon.
//!
//! Read from: Guacamole manual "Configuring Guacamole", its messages (AuthenticationService, TunnelRequestService,
//! guacd). Traps: behind a proxy the addresses stand in brackets, the client's word first, the last proxy last; the
//! user in quotes may hold anything; the stamp is the logger's, where Docker Compose puts a name before it; in
//! Tomcat's own file the stamp stands on the line before.

use super::nearest;
use crate::decode::clock::{self, Stamp};
use crate::decode::find::find;
use crate::decode::kv::{after, number};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Flags, Outcome, Reason, Service};
use portreeve_model::time::{Certainty, EventTime};

pub static SOURCE: Source = Source {
    name: "apache_guacamole",
    title: "Apache Guacamole",
    row: Row::Remote,
    gives: &[Act::Auth, Act::SessionStart, Act::SessionEnd],
    lacks: &[Field::Mfa, Field::TunnelIp, Field::Device, Field::SessionId, Field::Bytes],
    traps: &["behind_a_proxy", "names_in_quotes", "compose"],
    manual: "Apache Guacamole Manual: logging within the web application, guacd",
    enable: "on by default at level info; log-level in guacamole.properties, forwarded from Tomcat's output or the container",
    general: false,
    marks: &[
        "Authentication attempt from ",
        "successfully authenticated from ",
        "guacd",
        "guacamole",
        "o.a.g.",
        "connected to connection",
        "disconnected from connection",
    ],
    reader: Reader::Code { claim, parse, join: None },
};

fn claim(r: &Record<'_>) -> bool {
    if r.shape != Shape::Text {
        return false;
    }
    if r.header.program == b"guacd" || r.header.program == b"guacamole" {
        return true;
    }
    let text = r.body;
    let has = |needle: &[u8]| find(text, needle).is_some();
    has(b" o.a.g.")
        || has(b"org.apache.guacamole.")
        || has(b"Authentication attempt from ") && has(b" for user \"") && has(b" failed")
        || has(b"guacd[") && has(b"]: ")
        || has(b"User \"") && has(b"\" successfully authenticated from ")
        || has(b"User \"")
            && (has(b"\" connected to connection \"") || has(b"\" disconnected from connection \""))
}

/// The logger's stamp where no header was cut off: `guacamole  | 2026-03-03T09:13:34,820Z [http-…] WARN …`.
fn time(r: &Record<'_>) -> Option<(EventTime, Certainty)> {
    if let Some(known) = r.header_time() {
        return Some(known);
    }
    let at = find(r.body.get(..r.body.len().min(80))?, b"| ")? + 2;
    match clock::iso(r.body.get(at..)?)? {
        (Stamp::Absolute(time), _) => Some((time, Certainty::Exact)),
        (Stamp::Local(civil), _) => r.clock.resolve(civil),
    }
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let text = r.body.trim_ascii();
    // The name of a thread is no host.
    let host = if r.host().starts_with(b"[") { b"" } else { r.host() };
    if let Some(rest) = after(text, b"Authentication attempt from ", b"") {
        // The web application checks what it prints here: no quote can stand in it.
        let Some(n) = find(rest, b" for user \"") else { return Parsed::Irrelevant(Kind::OtherMessage) };
        let (addresses, named) = (rest.get(..n).unwrap_or_default(), rest.get(n + 11..).unwrap_or_default());
        let Some(end) = memchr::memmem::rfind(named, b"\" failed") else {
            return Parsed::Broken(Why::Missing("user"));
        };
        let (address, chain) = nearest(addresses);
        return out
            .event(Act::Auth, Outcome::Failure)
            .at(time(r))
            .service(Service::Bastion)
            .user(named.get(..end).unwrap_or_default())
            .source(address)
            .observer(host)
            .reason(Reason::BadPassword)
            .flag_if(chain, Flags::SOURCE_UNTRUSTED)
            .done();
    }
    let Some(rest) = after(text, b"User \"", b"") else {
        let transport = r.header.program == b"guacd" || find(text, b"guacd[").is_some();
        if transport {
            return Parsed::Irrelevant(Kind::Transport);
        }
        let known = [
            &b"ExtensionModule - "[..],
            b"GuacamoleServletContextListener - ",
            b"FileEnvironment",
            b"LogModule - ",
        ];
        return Parsed::housekeeping_if(known.iter().any(|k| find(text, k).is_some()));
    };
    if let Some(n) = memchr::memmem::rfind(rest, b"\" successfully authenticated from ") {
        let addresses = rest.get(n + 34..).unwrap_or_default().trim_ascii();
        // The full stop of the sentence is no part of an address.
        let (address, chain) = nearest(addresses.strip_suffix(b".").unwrap_or(addresses));
        return out
            .event(Act::Auth, Outcome::Success)
            .at(time(r))
            .service(Service::Bastion)
            .user(rest.get(..n).unwrap_or_default())
            .source(address)
            .observer(host)
            .flag_if(chain, Flags::SOURCE_UNTRUSTED)
            .done();
    }
    let ends = b"\" disconnected from ";
    let starts = b"\" connected to ";
    let (n, act, skip) = match (memchr::memmem::rfind(rest, ends), memchr::memmem::rfind(rest, starts)) {
        (Some(n), _) => (n, Act::SessionEnd, ends.len()),
        (None, Some(n)) => (n, Act::SessionStart, starts.len()),
        _ => return Parsed::Irrelevant(Kind::OtherMessage),
    };
    // `connection "3". Duration: 5000 milliseconds`.
    let what = rest.get(n + skip..).unwrap_or_default();
    let target = after(what, b"\"", b"\"").unwrap_or_default();
    let millis = after(what, b"Duration: ", b" ").map_or(0, number);
    out.event(act, Outcome::Success)
        .at(time(r))
        .service(Service::Bastion)
        .user(rest.get(..n).unwrap_or_default())
        .host(target)
        .observer(host)
        .duration_s(u32::try_from(millis / 1_000).unwrap_or(0))
        .reason(if act == Act::SessionEnd { Reason::Logout } else { Reason::None })
        .done()
}
