//! Libreswan: pluto.
//!
//! Read from: ipsec.conf(5), pluto(8) of Libreswan 4 and 5, and the messages of pluto. Traps: the peer's address stands
//! between the instance of a connection and the number of the SA; rekeying establishes again under the same instance;
//! `XAUTHuser=` and `username=` name the account only in IKEv1 and with the newer versions; a tunnel of two sites has no
//! instance number.

use crate::decode::find::{begins_with, find};
use crate::decode::kv::{after, number, word};
use crate::emit::{Emit, EventBuilder};
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Flags, Method, Outcome, Reason, Service};

pub static SOURCE: Source = Source {
    name: "libreswan",
    title: "Libreswan (pluto)",
    row: Row::Vpn,
    gives: &[Act::Auth, Act::SessionStart, Act::IpAssign, Act::SessionEnd],
    lacks: &[Field::Mfa, Field::Device, Field::Host],
    traps: &["sites"],
    manual: "Libreswan: ipsec.conf(5), pluto(8)",
    enable: "config setup with the default plutodebug=none logs through syslog (authpriv); logfile= for a file",
    general: false,
    marks: &["pluto"],
    reader: Reader::Code {
        claim: |r| r.shape == Shape::Text && (r.header.program == b"pluto" || r.body.starts_with(b"pluto[")),
        parse,
        join: None,
    },
};

/// `"rw"[3] 192.0.2.9 #5: message`: connection, instance, address, SA.
struct Peer<'a> {
    name: &'a [u8],
    instance: &'a [u8],
    address: &'a [u8],
    sa: &'a [u8],
    text: &'a [u8],
}

fn peer(text: &[u8]) -> Option<Peer<'_>> {
    let rest = text.strip_prefix(b"\"")?;
    let quote = memchr::memchr(b'"', rest)?;
    let (name, mut rest) = (&rest[..quote], &rest[quote + 1..]);
    let mut instance = &b""[..];
    if let Some(inner) = rest.strip_prefix(b"[") {
        let end = memchr::memchr(b']', inner)?;
        (instance, rest) = (&inner[..end], &inner[end + 1..]);
    }
    let colon = find(rest, b": ")?;
    let (head, text) = (&rest[..colon], &rest[colon + 2..]);
    let mut peer = Peer { name, instance, address: b"", sa: b"", text };
    for part in head.split(|b| *b == b' ') {
        if let Some(sa) = part.strip_prefix(b"#") {
            peer.sa = sa;
        } else if Ip::parse(part).is_some() {
            peer.address = part;
        }
    }
    Some(peer)
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let body =
        if r.header.program == b"pluto" { r.body } else { after(r.body, b": ", b"").unwrap_or_default() };
    let Some(p) = peer(body) else { return Parsed::housekeeping_if(begins_with(body, &KNOWN)) };
    let text = p.text;
    let has = |needle: &[u8]| find(text, needle).is_some();
    let base = |e: EventBuilder<'_>| -> Parsed {
        e.at(r.header_time())
            .service(Service::Vpn)
            .source(p.address)
            .group(p.name)
            .sid(p.instance)
            .observer(r.host())
            .done()
    };
    // The words of people stand in quotes or behind a name; the gateway's own behind them.
    if let Some(rest) = text.strip_prefix(b"XAUTH: ") {
        let stop = memchr::memmem::rfind(rest, b": Authentication ").unwrap_or(rest.len());
        let user =
            after(rest, b"user '", b"'").or_else(|| after(&rest[..stop], b"User ", b"")).unwrap_or_default();
        let (ok, failed) = (
            find(rest, b" succeeded").is_some() || find(rest, b"uthentication Successful").is_some(),
            find(rest, b" failed").is_some() || find(rest, b"uthentication Failed").is_some(),
        );
        if !ok && !failed {
            return Parsed::Irrelevant(Kind::Pending);
        }
        let outcome = if failed { Outcome::Failure } else { Outcome::Success };
        return base(
            out.event(Act::Auth, outcome)
                .user(user)
                .reason(if failed { Reason::BadPassword } else { Reason::None })
                .flag_if(!failed, Flags::PRE_MFA),
        );
    }
    let refused = has(b"authentication failed")
        || has(b"encrypted notification AUTHENTICATION_FAILED")
        || has(b"Certificate rejected")
        || has(b"no suitable connection for peer");
    if refused {
        let id = of_peer(text);
        let certificate = has(b"ertificate") || id.starts_with(b"C=") || find(id, b"CN=").is_some();
        return base(
            out.event(Act::Auth, Outcome::Failure)
                .user(person(id))
                .reason(if certificate { Reason::Certificate } else { Reason::Other })
                .flag_if(has(b"notification AUTHENTICATION_FAILED"), Flags::REPEATS),
        );
    }
    // `responder established IKE SA; authenticated peer certificate 'CN=anna' …`: with IKEv2 the session is up. With IKEv1
    // it is the group that was authenticated, and the person comes with XAUTH.
    if has(b"authenticated peer ") || has(b"authenticated using ") {
        let user = person(of_peer(text));
        if user.is_empty() || p.instance.is_empty() || find(text, b"initiator ").is_some() {
            return Parsed::Irrelevant(Kind::Machine);
        }
        if !has(b"established IKE SA") {
            return Parsed::Irrelevant(Kind::Pending);
        }
        let certificate = has(b"peer certificate") || has(b"preloaded certificate");
        return base(out.event(Act::SessionStart, Outcome::Success).user(user).method(if certificate {
            Method::Certificate
        } else {
            Method::Unknown
        }));
    }
    let traffic = has(b"ESP traffic information:") || has(b"IPsec traffic information:");
    if has(b"IPsec SA established tunnel mode") || has(b"established Child SA") || traffic {
        let user =
            after(text, b"XAUTHuser=", b" ").or_else(|| after(text, b"username=", b" ")).unwrap_or_default();
        let user = user.strip_suffix(b"}").unwrap_or(user);
        if user.is_empty() && p.instance.is_empty() {
            return Parsed::Irrelevant(Kind::Machine);
        }
        if traffic {
            let amount = |m: &[u8]| after(text, m, b"").map_or(0, bytes);
            return base(
                out.event(Act::SessionEnd, Outcome::Success)
                    .user(user)
                    .bytes(amount(b" in="), amount(b" out=")),
            );
        }
        // `IPsec tunnel [0.0.0.0-255.255.255.255:0-65535 0] -> [10.8.0.7-10.8.0.7:0-65535 0]`, `[0.0.0.0/0]===[10.8.0.7/32]`
        let far = after(text, b" -> [", b"]")
            .or_else(|| after(text, b"]===[", b"]"))
            .or_else(|| after(text, b"===", b"]"))
            .unwrap_or_default();
        let end = far.iter().position(|b| matches!(b, b'-' | b'/' | b':')).unwrap_or(far.len());
        let single = find(far, b"/32").is_some() || {
            let first = &far[..end];
            !first.is_empty() && far.get(end + 1..).is_some_and(|rest| rest.starts_with(first))
        };
        let tunnel = if single { Ip::parse(&far[..end]) } else { Ip::NONE };
        let act = if tunnel.is_some() { Act::IpAssign } else { Act::SessionStart };
        return base(out.event(act, Outcome::Success).user(user).tunnel_ip(tunnel));
    }
    if has(b"deleting connection instance") || has(b"deleting connection \"") {
        if p.instance.is_empty() {
            return Parsed::Irrelevant(Kind::Machine);
        }
        return Parsed::Irrelevant(Kind::Repeats);
    }
    if has(b"responding to Main Mode") || has(b"processing IKE_SA_INIT") || has(b"sent IKE_SA_INIT") {
        return Parsed::Irrelevant(Kind::Transport);
    }
    if p.sa.is_empty() {
        return Parsed::housekeeping_if(begins_with(
            text,
            &[b"added ", b"loaded ", b"terminating ", b"initiating "],
        ));
    }
    Parsed::Irrelevant(Kind::Pending)
}

/// Beginnings of what pluto says of itself.
const KNOWN: [&[u8]; 26] = [
    b"2 CPU",
    b"CAVP ",
    b"Encryption ",
    b"FIPS ",
    b"Hash ",
    b"IKEv",
    b"Initializing ",
    b"Integrity ",
    b"PRF ",
    b"Pluto ",
    b"Starting Pluto",
    b"Using ",
    b"added connection",
    b"adding ",
    b"core dump dir",
    b"forgetting ",
    b"found ",
    b"helper thread",
    b"leak-detective",
    b"listening for IKE",
    b"loading ",
    b"no secrets",
    b"secrets file",
    b"shutting down",
    b"started thread",
    b"watchdog",
];

/// `authenticated peer certificate 'CN=anna' and …`, `… peer using authby=secret and ID_FQDN 'anna'`, `… received from peer
/// ID_FQDN 'anna'`: what stands in the first quotes behind the peer.
fn of_peer(text: &[u8]) -> &[u8] {
    after(text, b"peer ", b"").and_then(|t| after(t, b"'", b"'")).unwrap_or_default()
}

/// The account in an identity: the common name of a certificate, an address is nobody.
fn person(id: &[u8]) -> &[u8] {
    if Ip::parse(id).is_some() {
        return b"";
    }
    after(id, b"CN=", b",").unwrap_or(id)
}

/// `84B`, `12KB`, `3MB`.
fn bytes(text: &[u8]) -> u64 {
    let (amount, _) = word(text);
    let unit = match amount.iter().find(|b| b.is_ascii_alphabetic()) {
        Some(b'K') => 1 << 10,
        Some(b'M') => 1 << 20,
        Some(b'G') => 1 << 30,
        _ => 1,
    };
    number(amount).saturating_mul(unit)
}
