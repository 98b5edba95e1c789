//! Dropbear SSH server, as routers and small devices run it.
//!
//! Read from: dropbear(8) and the messages of svr-auth.c, svr-authpasswd.c, svr-authpubkey.c, svr-session.c. Traps: the
//! user stands in quotes and may hold anything, the address is the last word; a name without account is logged
//! without the name; the exit before a login repeats its failures; in a container it writes its own stamp again.

use crate::decode::clock;
use crate::decode::find::find;
use crate::decode::kv::{after, between};
use crate::emit::Emit;
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Method, Outcome, Reason, Service};

pub static SOURCE: Source = Source {
    name: "dropbear",
    title: "Dropbear SSH server",
    row: Row::Remote,
    gives: &[Act::Logon, Act::Logoff, Act::Posture],
    lacks: &[Field::Mfa, Field::TunnelIp, Field::Device, Field::Bytes],
    traps: &["forged_from", "exit_repeats", "own_stamp"],
    manual: "dropbear(8)",
    enable: "on by default: syslog facility AUTH (not with -E, which writes to standard error)",
    general: false,
    marks: &["dropbear", "password attempt for ", "auth succeeded ", "for nonexistent user"],
    reader: Reader::Code { claim, parse, join: None },
};

fn claim(r: &Record<'_>) -> bool {
    r.header.program == b"dropbear"
        || r.header.program.is_empty() && {
            let text = own_stamp(r.body);
            text.starts_with(b"Bad password attempt for '")
                || text.starts_with(b"Password auth succeeded for '")
                || text.starts_with(b"Pubkey auth succeeded for '")
                || text.starts_with(b"Login attempt for nonexistent user")
        }
}

/// The message behind `[825] Jul 10 23:53:52 `.
fn own_stamp(body: &[u8]) -> &[u8] {
    let text = body.trim_ascii();
    let Some(rest) = text.strip_prefix(b"[") else { return text };
    let Some(close) = find(rest.get(..rest.len().min(12)).unwrap_or_default(), b"] ") else { return text };
    let rest = rest.get(close + 2..).unwrap_or_default();
    match clock::bsd(rest) {
        Some((_, used)) => rest.get(used..).unwrap_or_default().trim_ascii_start(),
        None => rest,
    }
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let text = own_stamp(r.body);
    // Older versions begin in lower case.
    let is = |start: &[u8]| {
        text.get(..start.len())
            .is_some_and(|t| t.eq_ignore_ascii_case(start))
            .then(|| text.get(start.len()..).unwrap_or_default())
    };
    if is(b"child connection from ").is_some() || is(b"early exit").is_some() {
        return Parsed::Irrelevant(Kind::Transport);
    }
    if let Some(rest) = is(b"exit before auth") {
        return before_auth(r, text, rest, out);
    }
    if let Some(rest) = is(b"exit (") {
        let user = rest.split(|b| *b == b')').next().unwrap_or_default();
        return out
            .event(Act::Logoff, Outcome::Success)
            .at(r.header_time())
            .service(Service::Ssh)
            .user(user)
            .source(between(rest, b"from <", b">").unwrap_or_default())
            .host(r.host())
            .reason(if find(rest, b"imeout").is_some() { Reason::Idle } else { Reason::Logout })
            .done();
    }
    let has = |needle: &[u8]| find(text, needle).is_some();
    let (outcome, reason, method) = if is(b"bad password attempt").is_some()
        || is(b"bad PAM password").is_some()
    {
        (Outcome::Failure, Reason::BadPassword, Method::Password)
    } else if is(b"login attempt for nonexistent").is_some() {
        (Outcome::Failure, Reason::NoUser, Method::Unknown)
    } else if is(b"login attempt with wrong user").is_some() {
        (Outcome::Failure, Reason::NotAllowed, Method::Unknown)
    } else if is(b"pubkey auth bad signature").is_some() || is(b"bad public key").is_some() {
        (Outcome::Failure, Reason::Other, Method::PublicKey)
    } else if is(b"password auth succeeded").is_some() || is(b"PAM password auth succeeded").is_some() {
        (Outcome::Success, Reason::None, Method::Password)
    } else if is(b"auth succeeded with blank password").is_some() {
        (Outcome::Success, Reason::None, Method::Anonymous)
    } else if is(b"pubkey auth succeeded").is_some() {
        (Outcome::Success, Reason::None, Method::PublicKey)
    } else if is(b"user ").is_some() && (has(b"rejected") || has(b"is locked") || has(b"invalid shell")) {
        // What was wrong with the account; its failed password follows.
        return out
            .event(Act::Posture, Outcome::Failure)
            .at(r.header_time())
            .service(Service::Ssh)
            .user(between(text, b"'", b"'").unwrap_or_default())
            .host(r.host())
            .reason(if has(b"locked") { Reason::Locked } else { Reason::NotAllowed })
            .done();
    } else {
        let known =
            ["running in background", "not backgrounding", "syslogin_perform_logout", "generating hostkey"];
        let known = known.iter().any(|start| is(start.as_bytes()).is_some());
        return Parsed::housekeeping_if(known);
    };
    let Some(from) = memchr::memmem::rfind(text, b" from ") else {
        return Parsed::Broken(Why::Missing("address"));
    };
    let (before, address) = (text.get(..from).unwrap_or_default(), text.get(from + 6..).unwrap_or_default());
    let address = address.strip_prefix(b"<").and_then(|a| a.strip_suffix(b">")).unwrap_or(address);
    let address = address.strip_prefix(b"::ffff:").unwrap_or(address);
    // `for 'anna' with ssh-ed25519 key SHA256:…`: the name ends where the key begins, or at the last quote.
    let open = memchr::memchr(b'\'', before).map_or(before.len(), |n| n + 1);
    let named = before.get(open..).unwrap_or_default();
    let end = memchr::memmem::rfind(named, b"' with ").or_else(|| memchr::memrchr(b'\'', named)).unwrap_or(0);
    out.event(Act::Logon, outcome)
        .at(r.header_time())
        .service(Service::Ssh)
        .user(named.get(..end).unwrap_or_default())
        .source(address)
        .host(r.host())
        .observer(r.host())
        .method(method)
        .sid(after(named, b" key ", b"").unwrap_or_default())
        .reason(reason)
        .done()
}

/// `Exit before auth from <192.0.2.3:52289>: (user 'root', 10 fails): Max auth tries reached`.
fn before_auth(r: &Record<'_>, text: &[u8], rest: &[u8], out: &mut Emit<'_>) -> Parsed {
    let failed = find(rest, b" fails)").is_some() || find(rest, b"Max auth tries").is_some();
    let address = between(text, b"from <", b">")
        .or_else(|| memchr::memmem::rfind(rest, b" from ").and_then(|n| rest.get(n + 6..)));
    let Some(address) = address else { return Parsed::Irrelevant(Kind::Transport) };
    let user = between(rest, b"user '", b"'").filter(|u| *u != b"is invalid").unwrap_or_default();
    out.event(Act::Posture, if failed { Outcome::Failure } else { Outcome::Unknown })
        .at(r.header_time())
        .service(Service::Ssh)
        .user(user)
        .source(address)
        .host(r.host())
        .done()
}
