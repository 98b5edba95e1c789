//! OpenSSH server, all versions, also as `sshd-session` and `sshd-auth` (9.8 and later).
//!
//! Read from: sshd(8) and the messages of auth.c, auth-log. Traps: a user name may hold blanks and ` from `, so the
//! address stands behind the *last* ` from `; PAM repeats each failure; rsyslog writes `message repeated n times`;
//! connections that never sent a password are no attempts.

use crate::decode::kv::{after, number, word};
use crate::emit::Emit;
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Method, Outcome, Reason, Service};

pub static SOURCE: Source = Source {
    name: "openssh",
    title: "OpenSSH server",
    row: Row::Remote,
    gives: &[Act::Logon],
    lacks: &[Field::Mfa, Field::Device, Field::TunnelIp],
    traps: &["forged_from", "repeated", "pam_repeats", "sshd_session"],
    manual: "sshd(8), sshd_config(5)",
    enable: "LogLevel VERBOSE in sshd_config (fingerprints of keys); syslog facility AUTH",
    general: false,
    marks: &["sshd", " from ", " port ", "PAM "],
    reader: Reader::Code {
        claim: |r| r.header.program.starts_with(b"sshd") && !of_junos(r) || bare(r),
        parse,
        join: None,
    },
};

/// Junos has a message of its own for what sshd said: a tag in the header, or at the front.
fn of_junos(r: &Record<'_>) -> bool {
    let head = &r.raw[..r.raw.len().saturating_sub(r.body.len())];
    r.body.starts_with(b"SSHD_LOGIN_") || crate::decode::find::find(head, b" SSHD_LOGIN_").is_some()
}

/// A line without syslog header.
fn bare(r: &Record<'_>) -> bool {
    const STARTS: [&[u8]; 15] = [
        b"Accepted ",
        b"Failed ",
        b"Invalid user ",
        b"pam_unix(sshd:",
        b"pam_sss(sshd:",
        b"Connection closed by ",
        b"Connection reset by ",
        b"Disconnected from ",
        b"Received disconnect from ",
        b"Disconnecting ",
        b"error: maximum authentication attempts exceeded for ",
        b"Did not receive identification string from ",
        b"pam_faillock(sshd:",
        b"PAM ",
        b"Postponed ",
    ];
    let text = r.body.trim_ascii_start();
    if !r.header.program.is_empty() || !text.first().is_some_and(u8::is_ascii_alphabetic) {
        return false;
    }
    STARTS.iter().any(|s| text.starts_with(s))
        && (crate::decode::find::find(text, b" port ").is_some()
            || crate::decode::find::find(text, b"sshd:").is_some()
            || crate::decode::find::find(text, b" rhost=").is_some()
            || text.starts_with(b"Accepted ")
            || text.starts_with(b"Did not"))
        || text.starts_with(b"User ") && crate::decode::find::find(text, b" not allowed because").is_some()
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let mut text = r.body.trim_ascii();
    let mut repeat = 0;
    if let Some(rest) = text.strip_prefix(b"message repeated ") {
        repeat = u16::try_from(number(rest)).unwrap_or(u16::MAX);
        let Some(open) = memchr::memchr(b'[', rest) else { return Parsed::Broken(Why::Missing("message")) };
        let inner = &rest[open + 1..];
        text = inner.strip_suffix(b"]").unwrap_or(inner).trim_ascii();
    }
    if let Some(rest) = text.strip_prefix(b"Accepted ") {
        return login(r, rest, Outcome::Success, repeat, out);
    }
    if let Some(rest) = text.strip_prefix(b"Failed ") {
        if rest.starts_with(b"none for") {
            return Parsed::Irrelevant(Kind::Transport);
        }
        return login(r, rest, Outcome::Failure, repeat, out);
    }
    if let Some(rest) = text.strip_prefix(b"Invalid user ") {
        // The failed password that follows names it again; alone it is the only sign of an attempt by key.
        let Some((user, address)) = user_and_address(rest) else {
            return Parsed::Broken(Why::Missing("address"));
        };
        return out
            .event(Act::Posture, Outcome::Unknown)
            .at(r.header_time())
            .service(Service::Ssh)
            .user(user)
            .source(word(address).0)
            .host(r.host())
            .reason(Reason::NoUser)
            .done();
    }
    if let Some(rest) = text.strip_prefix(b"User ")
        && let Some(n) = crate::decode::find::find(rest, b" not allowed because")
        && let Some((user, address)) = user_and_address(&rest[..n])
    {
        return out
            .event(Act::Logon, Outcome::Failure)
            .at(r.header_time())
            .service(Service::Ssh)
            .user(user)
            .source(word(address).0)
            .host(r.host())
            .reason(Reason::NotAllowed)
            .done();
    }
    if let Some(rest) = text.strip_prefix(b"error: maximum authentication attempts exceeded for ") {
        let rest = rest.strip_prefix(b"invalid user ").unwrap_or(rest);
        let Some((user, address)) = user_and_address(rest) else {
            return Parsed::Broken(Why::Missing("address"));
        };
        return out
            .event(Act::Posture, Outcome::Unknown)
            .at(r.header_time())
            .service(Service::Ssh)
            .user(user)
            .source(word(address).0)
            .host(r.host())
            .done();
    }
    if text.starts_with(b"pam_") || text.starts_with(b"PAM ") {
        return pam(r, text, out);
    }
    if let Some(rest) = text
        .strip_prefix(b"Connection closed by ")
        .or_else(|| text.strip_prefix(b"Disconnecting "))
        .or_else(|| text.strip_prefix(b"fatal: Timeout before authentication for "))
        .or_else(|| text.strip_prefix(b"Connection reset by "))
        .or_else(|| text.strip_prefix(b"Received disconnect from "))
        .or_else(|| text.strip_prefix(b"Did not receive identification string from "))
    {
        // Ends of connections; those before a login name who tried.
        let user = [&b"invalid user "[..], b"illegal user ", b"authenticating user "]
            .iter()
            .find_map(|p| rest.strip_prefix(*p));
        // An empty name leaves the address where the name should be.
        let named = user.filter(|u| portreeve_model::Ip::parse(word(u).0).is_none());
        let (user, address) = named.map_or((&b""[..], user.unwrap_or(rest)), word);
        return out
            .event(Act::Posture, Outcome::Unknown)
            .at(r.header_time())
            .service(Service::Ssh)
            .user(user)
            .source(word(address).0.strip_suffix(b":").unwrap_or(word(address).0))
            .host(r.host())
            .done();
    }
    if let Some(rest) = text.strip_prefix(b"Disconnected from user ") {
        let (user, rest) = word(rest);
        return out
            .event(Act::Logoff, Outcome::Success)
            .at(r.header_time())
            .service(Service::Ssh)
            .user(user)
            .source(word(rest).0)
            .host(r.host())
            .done();
    }
    Parsed::Irrelevant(Kind::Transport)
}

/// PAM says again what sshd says; the record only tells who and from where, and counts for nothing.
fn pam(r: &Record<'_>, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let user = after(text, b" user=", b" ")
        .or_else(|| after(text, b"failures for user ", b" "))
        .or_else(|| after(text, b"for user ", b" "))
        .map(|u| u.split(|b| *b == b'(').next().unwrap_or_default());
    let source = after(text, b"rhost=", b" ");
    if user.is_none() && source.is_none() {
        return Parsed::Irrelevant(Kind::Repeats);
    }
    let outcome = if crate::decode::find::find(text, b"authentication failure").is_some()
        || crate::decode::find::find(text, b"login failures").is_some()
    {
        Outcome::Failure
    } else {
        Outcome::Unknown
    };
    out.event(Act::Posture, outcome)
        .at(r.header_time())
        .service(Service::Ssh)
        .user(user.unwrap_or_default())
        .source(source.unwrap_or_default())
        .host(r.host())
        .done()
}

/// `password for [invalid user ]anna from 192.0.2.5 port 22 ssh2[: ED25519 SHA256:…]`.
fn login(r: &Record<'_>, rest: &[u8], outcome: Outcome, repeat: u16, out: &mut Emit<'_>) -> Parsed {
    let (method, rest) = word(rest);
    let Some(rest) = rest.strip_prefix(b"for ") else { return Parsed::Irrelevant(Kind::OtherMessage) };
    let unknown = rest.strip_prefix(b"invalid user ");
    let Some((user, tail)) = user_and_address(unknown.unwrap_or(rest)) else {
        return Parsed::Broken(Why::Missing("address"));
    };
    let (address, tail) = word(tail);
    if portreeve_model::Ip::parse(address).is_none() && address != b"UNKNOWN" {
        return Parsed::Broken(Why::Invalid("address"));
    }
    let port = tail.strip_prefix(b"port ").map_or(0, |p| u16::try_from(number(p)).unwrap_or(0));
    let fingerprint =
        crate::decode::find::find(tail, b": ").map_or(&b""[..], |n| word(word(&tail[n + 2..]).1).0);
    let method = match method.split(|b| *b == b'/').next().unwrap_or_default() {
        b"password" => Method::Password,
        b"publickey" | b"hostbased" => Method::PublicKey,
        b"keyboard-interactive" => Method::KeyboardInteractive,
        b"gssapi-with-mic" | b"gssapi-keyex" => Method::Kerberos,
        _ => Method::Unknown,
    };
    let reason = match (outcome, unknown.is_some()) {
        (Outcome::Success, _) => Reason::None,
        (_, true) => Reason::NoUser,
        (_, false) => Reason::BadPassword,
    };
    out.event(Act::Logon, outcome)
        .at(r.header_time())
        .service(Service::Ssh)
        .user(user)
        .source(address)
        .source_port(port)
        .host(r.host())
        .observer(r.host())
        .method(method)
        .sid(fingerprint)
        .reason(reason)
        .repeat(repeat)
        .done()
}

/// The user before, and what follows, the last ` from ` that an address stands behind.
fn user_and_address(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memmem::rfind(text, b" from ")?;
    Some((&text[..at], &text[at + 6..]))
}
