//! OpenConnect VPN server (ocserv).
//!
//! Read from: ocserv(8), and the messages of its main, security module and worker processes. Traps: the main process
//! names user and address together, the worker and the security module one of them; points for the ban list are added
//! for every refused password; a session that resumes with its cookie logs in again without a password.

use crate::decode::find::{begins_with, find};
use crate::decode::kv::{after, number, word};
use crate::emit::{Emit, EventBuilder};
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Flags, Outcome, Reason, Service};

pub static SOURCE: Source = Source {
    name: "ocserv",
    title: "OpenConnect VPN server (ocserv)",
    row: Row::Vpn,
    gives: &[Act::Auth, Act::SessionStart, Act::IpAssign, Act::SessionEnd],
    lacks: &[Field::Mfa, Field::Device, Field::Host],
    traps: &["banned"],
    manual: "ocserv(8) and its log messages",
    enable: "log-level = 2 in ocserv.conf (3 also shows addresses given); use syslog",
    general: false,
    marks: &["ocserv", "sec-mod", "main[", "worker["],
    reader: Reader::Code { claim: |r| parts(r).is_some(), parse, join: None },
};

/// Which process speaks, of whom and where, and what.
struct Parts<'a> {
    user: &'a [u8],
    address: &'a [u8],
    text: &'a [u8],
}

/// `ocserv[77]: main[anna]:192.0.2.9:50123 user logged in`.
fn parts<'a>(r: &Record<'a>) -> Option<Parts<'a>> {
    if r.shape != Shape::Text {
        return None;
    }
    let mut text = r.body;
    let mut program = r.header.program == b"ocserv" || r.header.program.starts_with(b"ocserv-");
    // ocserv's own stamp on standard error: `ocserv[77]: main: …`.
    if !program && (text.starts_with(b"ocserv[") || text.starts_with(b"ocserv: ")) {
        text = after(text, b": ", b"")?;
        program = true;
    }
    if !program {
        return None;
    }
    let head = [&b"main"[..], b"worker", b"sec-mod"].into_iter().find(|p| text.starts_with(p));
    let Some(head) = head else { return Some(Parts { user: b"", address: b"", text }) };
    let mut rest = &text[head.len()..];
    let mut user = &b""[..];
    if let Some(inner) = rest.strip_prefix(b"[") {
        // The account may hold a bracket; the address behind it may not.
        let end = find(inner, b"]:")?;
        (user, rest) = (&inner[..end], &inner[end + 1..]);
    }
    let rest = rest.strip_prefix(b":").unwrap_or(rest).trim_ascii_start();
    let (first, tail) = word(rest);
    let (address, text) = if Ip::parse(first).is_some() { (first, tail) } else { (&b""[..], rest) };
    Some(Parts { user, address, text })
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some(p) = parts(r) else { return Parsed::NotMine };
    let text = p.text;
    let has = |needle: &[u8]| find(text, needle).is_some();
    let base = |e: EventBuilder<'_>| -> Parsed {
        e.at(r.header_time()).service(Service::Vpn).source(p.address).observer(r.host()).done()
    };
    if text.starts_with(b"user logged in") || text.starts_with(b"user of group ") {
        let group = after(text, b"group '", b"'").unwrap_or_default();
        return base(out.event(Act::SessionStart, Outcome::Success).user(p.user).group(group));
    }
    if text.starts_with(b"user disconnected") {
        let reason =
            after(text, b"(reason: ", b",").or_else(|| after(text, b"(reason: ", b")")).unwrap_or_default();
        let reason = match reason {
            b"user disconnected" => Reason::Logout,
            b"idle timeout" => Reason::Idle,
            b"session timeout" => Reason::Timeout,
            b"server disconnected" | b"disconnected by server" | b"administratively" => Reason::ByAdmin,
            b"DPD timeout" | b"timeout" | b"mobile idle timeout" => Reason::ConnectionLost,
            _ => Reason::Other,
        };
        let amount = |m: &[u8]| after(text, m, b"").map_or(0, number);
        return base(
            out.event(Act::SessionEnd, Outcome::Success)
                .user(p.user)
                .bytes(amount(b" rx: "), amount(b" tx: "))
                .reason(reason),
        );
    }
    // `assigned IPv4: 10.88.0.5`, `assigning IPv4 10.88.0.5`, `sending IPv4 10.88.0.5`
    for marker in [&b"assigned IPv4: "[..], b"assigned IPv4 ", b"sending IPv4 ", b"assigned IPv6: "] {
        if let Some(rest) = text.strip_prefix(marker) {
            return base(out.event(Act::IpAssign, Outcome::Success).user(p.user).tunnel(word(rest).0));
        }
    }
    // `failed authentication for 'anna'`, `failed authentication attempt for user 'anna'`
    if has(b"failed authentication")
        || has(b"authentication failed")
        || text.starts_with(b"user authentication failed")
    {
        let named = last_quoted(text).unwrap_or(p.user);
        if named.is_empty() && Ip::parse(p.address).is_none() {
            return Parsed::Irrelevant(Kind::Repeats);
        }
        return base(
            out.event(Act::Auth, Outcome::Failure)
                .user(named)
                .reason(Reason::BadPassword)
                // The worker names the address, the security module says the same without it.
                .flag_if(Ip::parse(p.address).is_none(), Flags::REPEATS),
        );
    }
    // `initiating session for user 'anna' (session: kl8zQp)`: the password was right.
    if text.starts_with(b"initiating session for user '") {
        let user = after(text, b"user '", b"").unwrap_or_default();
        let end = memchr::memmem::rfind(user, b"' (session:")
            .or_else(|| memchr::memrchr(b'\'', user))
            .unwrap_or(user.len());
        let sid = memchr::memmem::rfind(user, b"(session: ").map_or(&b""[..], |n| &user[n + 10..]);
        return base(
            out.event(Act::Auth, Outcome::Success)
                .user(&user[..end])
                .sid(sid.strip_suffix(b")").unwrap_or(sid))
                .flag(Flags::PRE_MFA),
        );
    }
    if has(b"ban list") {
        return Parsed::Irrelevant(Kind::Repeats);
    }
    if has(b"new user session") || has(b"TLS handshake") || has(b"accepted connection") {
        return Parsed::Irrelevant(Kind::Transport);
    }
    Parsed::housekeeping_if(begins_with(text, &KNOWN) || has(b"sec-mod") || has(b"TLS session"))
}

/// Beginnings of what the server says of itself and of a session's technicalities.
const KNOWN: [&[u8]; 23] = [
    b"ACL ",
    b"DTLS ",
    b"Could not reinitiate",
    b"HTTP ",
    b"TLS ",
    b"User-agent",
    b"closing session",
    b"configured link MTU",
    b"exiting",
    b"initialized ",
    b"initializing ",
    b"link MTU",
    b"listening ",
    b"main: ",
    b"peer's ",
    b"processed ",
    b"reloading ",
    b"sending ",
    b"set ",
    b"setting ",
    b"suspending ",
    b"termination request",
    b"using ",
];

/// What stands between the first `'` and the last.
fn last_quoted(text: &[u8]) -> Option<&[u8]> {
    let (first, last) = (memchr::memchr(b'\'', text)?, memchr::memrchr(b'\'', text)?);
    text.get(first + 1..last)
}
