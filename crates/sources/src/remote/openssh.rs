//! OpenSSH server, all versions, also as `sshd-session` and `sshd-auth` (9.8 and later).
//!
//! Read from: sshd(8) and the messages of auth.c, auth-log. Traps: a user name may hold blanks and ` from `, so the
//! address stands behind the *last* ` from `; PAM repeats each failure; rsyslog writes `message repeated n times`;
//! connections that never sent a password are no attempts.

use crate::decode::kv::{number, word};
use crate::emit::Emit;
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Row, Source, Why};
use portreeve_model::event::{Act, Method, Outcome, Reason, Service};

pub static SOURCE: Source = Source {
    name: "openssh",
    title: "OpenSSH server",
    row: Row::Remote,
    gives: &[Act::Logon],
    lacks: &[Field::Mfa, Field::Device, Field::TunnelIp],
    traps: &["forged_from", "repeated", "pam_repeats", "sshd_session"],
    enable: "LogLevel VERBOSE in sshd_config (fingerprints of keys); syslog facility AUTH",
    claim: |r| r.header.program.starts_with(b"sshd") || bare(r),
    parse,
    join: None,
};

/// A line without syslog header.
fn bare(r: &Record<'_>) -> bool {
    r.header.program.is_empty()
        && (r.body.starts_with(b"Accepted ") || r.body.starts_with(b"Failed ") || r.body.starts_with(b"Invalid user "))
        && memchr::memmem::find(r.body, b" port ").is_some()
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let mut text = r.body;
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
        let Some((user, address)) = user_and_address(rest) else { return Parsed::Broken(Why::Missing("address")) };
        return out.event(Act::Posture, Outcome::Unknown).at(r.header_time()).service(Service::Ssh).user(user).source(address).host(r.host()).reason(Reason::NoUser).done();
    }
    if let Some(rest) = text.strip_prefix(b"User ")
        && let Some(n) = memchr::memmem::find(rest, b" not allowed because")
        && let Some((user, address)) = user_and_address(&rest[..n])
    {
        return out.event(Act::Logon, Outcome::Failure).at(r.header_time()).service(Service::Ssh).user(user).source(address).host(r.host()).reason(Reason::NotAllowed).done();
    }
    if let Some(rest) = text.strip_prefix(b"error: maximum authentication attempts exceeded for ") {
        let rest = rest.strip_prefix(b"invalid user ").unwrap_or(rest);
        let Some((user, address)) = user_and_address(rest) else { return Parsed::Broken(Why::Missing("address")) };
        return out.event(Act::Posture, Outcome::Unknown).at(r.header_time()).service(Service::Ssh).user(user).source(address).host(r.host()).done();
    }
    if text.starts_with(b"pam_unix(") || text.starts_with(b"PAM ") || text.starts_with(b"pam_") {
        return Parsed::Irrelevant(Kind::Repeats);
    }
    if let Some(rest) = text.strip_prefix(b"Disconnected from user ") {
        let (user, rest) = word(rest);
        return out.event(Act::Logoff, Outcome::Success).at(r.header_time()).service(Service::Ssh).user(user).source(word(rest).0).host(r.host()).done();
    }
    Parsed::Irrelevant(Kind::Transport)
}

/// `password for [invalid user ]anna from 192.0.2.5 port 22 ssh2[: ED25519 SHA256:…]`.
fn login(r: &Record<'_>, rest: &[u8], outcome: Outcome, repeat: u16, out: &mut Emit<'_>) -> Parsed {
    let (method, rest) = word(rest);
    let Some(rest) = rest.strip_prefix(b"for ") else { return Parsed::Irrelevant(Kind::OtherMessage) };
    let unknown = rest.strip_prefix(b"invalid user ");
    let Some((user, tail)) = user_and_address(unknown.unwrap_or(rest)) else { return Parsed::Broken(Why::Missing("address")) };
    let (address, tail) = word(tail);
    if portreeve_model::Ip::parse(address).is_none() && address != b"UNKNOWN" {
        return Parsed::Broken(Why::Invalid("address"));
    }
    let port = tail.strip_prefix(b"port ").map_or(0, |p| u16::try_from(number(p)).unwrap_or(0));
    let fingerprint = memchr::memmem::find(tail, b": ").map_or(&b""[..], |n| word(word(&tail[n + 2..]).1).0);
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
    out.event(Act::Logon, outcome).at(r.header_time()).service(Service::Ssh).user(user).source(address).source_port(port).host(r.host()).observer(r.host()).method(method).sid(fingerprint).reason(reason).repeat(repeat).done()
}

/// The user before, and what follows, the last ` from ` that an address stands behind.
fn user_and_address(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memmem::rfind(text, b" from ")?;
    Some((&text[..at], &text[at + 6..]))
}
