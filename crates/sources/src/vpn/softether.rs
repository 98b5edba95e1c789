//! SoftEther VPN Server (PacketiX): security and server logs, in files and through syslog.
//!
//! Read from: SoftEther VPN Manual 3.10 "Logging Service", and the message table of the server. Traps: a connection has
//! one name while it knocks and its session another; the attempt names the address and the refusal behind it may not; the
//! session's end counts bytes and names no user, who stands in the session's own name.

use crate::decode::clock::{self, Stamp};
use crate::decode::find::find;
use crate::decode::kv::{after, number};
use crate::emit::{Emit, EventBuilder};
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source};
use portreeve_model::event::{Act, Change, Flags, Outcome, Reason, Service};
use portreeve_model::time::Certainty;
use portreeve_model::{EventTime, Ip};

pub static SOURCE: Source = Source {
    name: "softether",
    title: "SoftEther VPN Server",
    row: Row::Vpn,
    gives: &[
        Act::Posture,
        Act::Auth,
        Act::SessionStart,
        Act::IpAssign,
        Act::SessionEnd,
        Act::Admin,
        Act::Config,
        Act::Account,
    ],
    lacks: &[Field::Mfa, Field::Zone, Field::Host],
    traps: &["syslog", "forged_name"],
    manual: "SoftEther VPN Manual: Logging Service",
    enable: "Virtual hub > Log Save Setting: security log; server > Syslog Transmission: server and security logs",
    general: false,
    marks: &[
        "onnection \"CID-",
        "ession \"SID-",
        "onnection \"",
        "ession \"",
        "_LOG>: ",
        "Administration mode [",
        "On the TCP Listener",
        "SecureNAT",
        "SSL communication for connection",
        "For the client (IP address",
        "The connection with the client",
        "HTTPS API client",
        "IPsec Client ",
        "IPsec IKE Session",
        "IPsec ESP Session",
        "OpenVPN Session",
        "OpenVPN Module",
        "PPP Session [",
        "Virtual Hub \"",
    ],
    reader: Reader::Code { claim: |r| parts(r).is_some(), parse, join: None },
};

struct Parts<'a> {
    time: Option<(EventTime, Certainty)>,
    host: &'a [u8],
    hub: &'a [u8],
    text: &'a [u8],
}

fn parts<'a>(r: &Record<'a>) -> Option<Parts<'a>> {
    if r.shape != Shape::Text {
        return None;
    }
    // `[gw.example.org/VPN/staff] (2026-03-04 09:00:00.591) <SECURITY_LOG>: Connection …`
    let head = &r.raw[..r.raw.len().min(240)];
    if let Some(at) = find(head, b"_LOG>: ") {
        let open = memchr::memrchr(b'(', &r.raw[..at])?;
        let place = after(&r.raw[..open], b"[", b"]").unwrap_or_default();
        return Some(Parts {
            time: resolve(r, &r.raw[open + 1..]),
            host: place.split(|b| *b == b'/').next().unwrap_or_default(),
            hub: place.splitn(3, |b| *b == b'/').nth(2).unwrap_or_default(),
            text: &r.raw[at + 7..],
        });
    }
    // `2026-03-04 09:00:00.591 Connection "CID-72": …`, in the server's log with `[HUB "staff"] ` before it.
    let (_, used) = clock::iso(r.raw)?;
    let mut text = r.raw[used..].trim_ascii_start();
    let mut hub = &b""[..];
    if let Some(rest) = text.strip_prefix(b"[HUB \"") {
        let end = find(rest, b"\"] ")?;
        (hub, text) = (&rest[..end], &rest[end + 3..]);
    }
    const STARTS: [&[u8]; 20] = [
        b"Connection \"",
        b"The connection \"",
        b"Session \"",
        b"The session \"",
        b"Administration mode [",
        b"On the TCP Listener",
        b"The connection with the client (IP address",
        b"SecureNAT",
        b"The new session \"",
        b"For the client (IP address: ",
        b"SSL communication for connection \"",
        b"HTTPS API client \"",
        b"IPsec Client ",
        b"IPsec IKE Session",
        b"IPsec ESP Session",
        b"OpenVPN Session ",
        b"OpenVPN Module: ",
        b"L2TP PPP Session [",
        b"SSTP PPP Session [",
        b"Virtual Hub \"",
    ];
    STARTS.iter().any(|s| text.starts_with(s)).then(|| Parts {
        time: resolve(r, r.raw),
        host: r.outer_host,
        hub,
        text,
    })
}

fn resolve(r: &Record<'_>, text: &[u8]) -> Option<(EventTime, Certainty)> {
    match clock::iso(text)?.0 {
        Stamp::Absolute(t) => Some((t, Certainty::Exact)),
        Stamp::Local(civil) => r.clock.resolve(civil),
    }
}

/// Between `marker` and the last `"` before `stop`, or of all: the name is what somebody typed.
fn name<'a>(text: &'a [u8], marker: &[u8], stop: &[u8]) -> &'a [u8] {
    let Some(rest) = after(text, marker, b"") else { return b"" };
    let end = if stop.is_empty() { memchr::memrchr(b'"', rest) } else { memchr::memmem::rfind(rest, stop) };
    &rest[..end.unwrap_or(rest.len())]
}

/// `SID-ANNA-[L2TP]-5`, `SID-ANNA-5`: the account in a session's name, in capitals as the server makes it.
fn of_session(sid: &[u8]) -> &[u8] {
    let Some(rest) = sid.strip_prefix(b"SID-") else { return b"" };
    let rest = memchr::memrchr(b'-', rest).map_or(rest, |n| &rest[..n]);
    let rest = find(rest, b"-[").map_or(rest, |n| &rest[..n]);
    if matches!(rest, b"SECURENAT" | b"LOCALBRIDGE" | b"CASCADE") { b"" } else { rest }
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some(p) = parts(r) else { return Parsed::NotMine };
    let text = p.text;
    let has = |needle: &[u8]| find(text, needle).is_some();
    let quoted = |marker: &[u8]| after(text, marker, b"\"").unwrap_or_default();
    let base = |e: EventBuilder<'_>| -> Parsed {
        e.at(p.time).service(Service::Vpn).group(p.hub).observer(p.host).done()
    };
    // The address behind the last of its words: a name may say the same.
    let from = |marker: &[u8]| {
        let rest = memchr::memmem::rfind(text, marker).map_or(&b""[..], |n| &text[n + marker.len()..]);
        let end = rest.iter().position(|b| matches!(b, b',' | b')' | b' ')).unwrap_or(rest.len());
        rest[..end].strip_suffix(b".").unwrap_or(&rest[..end])
    };
    if has(b"User authentication failed.") {
        let stop: &[u8] = if has(b"\", from ") { b"\", from " } else { b"" };
        let user = name(text, b"has been provided was \"", stop);
        return base(
            out.event(Act::Auth, Outcome::Failure)
                .user(user)
                .source(from(b"\", from "))
                .reason(Reason::BadPassword),
        );
    }
    if has(b"uccessfully authenticated as user \"") {
        let user = name(text, b"authenticated as user \"", b"");
        return base(out.event(Act::Auth, Outcome::Success).user(user).flag(Flags::PRE_MFA));
    }
    // `The connection "CID-72" (IP address: 192.0.2.9, Host name: …, Port number: 50123, Client name: "…", Version: 4.42,
    // Build: 9798) is attempting to connect to the Virtual Hub. The auth type provided is "…" and the user name is "anna".`
    if has(b"is attempting to connect to the Virtual Hub") {
        return base(
            out.event(Act::Posture, Outcome::Unknown)
                .user(name(text, b" and the user name is \"", b""))
                .source(after(text, b"(IP address: ", b",").unwrap_or_default())
                .device(after(text, b"Host name: ", b",").map_or(&b""[..], unquoted))
                .client(quoted(b"Client name: \"")),
        );
    }
    if has(b"has been created. (IP address: ") {
        let sid = quoted(b"new session \"");
        let user = of_session(sid);
        if user.is_empty() {
            return Parsed::Irrelevant(Kind::Machine);
        }
        return base(
            out.event(Act::SessionStart, Outcome::Success)
                .user(&user.to_ascii_lowercase())
                .source(from(b"(IP address: "))
                .sid(sid),
        );
    }
    if has(b"he session has been terminated") {
        let sid = quoted(b"ession \"");
        let user = of_session(sid);
        if user.is_empty() {
            return Parsed::Irrelevant(Kind::Machine);
        }
        let amount = |m: &[u8]| after(text, m, b" ").map_or(0, number);
        return base(
            out.event(Act::SessionEnd, Outcome::Success)
                .user(&user.to_ascii_lowercase())
                .sid(sid)
                .bytes(amount(b"incoming data size: "), amount(b"outgoing data size: ")),
        );
    }
    // `Session "SID-SECURENAT-1": The DHCP server of host "5E-…" (192.168.30.1) on this session allocated, for host
    // "SID-ANNA-5" on another session "5E-…", the new IP address 10.8.0.7.`
    if has(b" allocated, for host \"") {
        let sid = [quoted(b" on another session \""), quoted(b" allocated, for host \"")]
            .into_iter()
            .find(|s| s.starts_with(b"SID-"))
            .unwrap_or_default();
        let tunnel = from(b"the new IP address ");
        if of_session(sid).is_empty() || Ip::parse(tunnel).is_none() {
            return Parsed::Irrelevant(Kind::Machine);
        }
        return base(
            out.event(Act::IpAssign, Outcome::Success)
                .user(&of_session(sid).to_ascii_lowercase())
                .sid(sid)
                .tunnel(tunnel),
        );
    }
    // The password was right, and something else was not.
    let limits: [(&[u8], Reason); 5] = [
        (b"Access has been refused to user \"", Reason::Policy),
        (b"The remote login has been refused because of the password for user \"", Reason::Policy),
        (b"Although the user \"", Reason::Policy),
        (b"The source IP address \"", Reason::NotAllowed),
        (b"The WireGuard key is not associated with a user", Reason::NoUser),
    ];
    if text.starts_with(b"Connection \"")
        && let Some((marker, reason)) = limits.into_iter().find(|(m, _)| has(m))
    {
        let by_address = reason == Reason::NotAllowed;
        let outcome = if reason == Reason::Policy { Outcome::BlockedAfterPassword } else { Outcome::Failure };
        let named = quoted(marker);
        return base(
            out.event(Act::Auth, outcome)
                .user(if reason == Reason::Policy { named } else { b"" })
                .source(if by_address { named } else { b"" })
                .reason(if has(b"expiration date") { Reason::Expired } else { reason }),
        );
    }
    if has(b": The password of user \"") && has(b"\" has been changed.") {
        let user = quoted(b"The password of user \"");
        return base(
            out.event(Act::Account, Outcome::Success).user(user).target(user).change(Change::PasswordReset),
        );
    }
    if text.starts_with(b"Administration mode [") {
        let what = after(text, b"]: ", b"").or_else(|| after(text, b"): ", b"")).unwrap_or_default();
        let user = |change| (Act::Account, change);
        let (act, change) = if what.starts_with(b"User \"") && has(b"has been created") {
            user(Change::LocalUserCreated)
        } else if what.starts_with(b"User \"") && has(b"has been deleted") {
            user(Change::AccountDeleted)
        } else if what.starts_with(b"The setting of user \"") {
            user(Change::PasswordReset)
        } else if has(b"syslog send function") || has(b"log save setting") {
            (Act::Config, Change::LoggingStopped)
        } else if has(b"RADIUS")
            || has(b"ccess list")
            || has(b"Limit List")
            || has(b"SecureNAT")
            || has(b"key(s)")
        {
            (Act::Config, Change::PolicyChanged)
        } else {
            (Act::Config, Change::ConfigChanged)
        };
        return base(
            out.event(act, Outcome::Success)
                .target(if act == Act::Account { quoted(b"ser \"") } else { b"" })
                .change(change)
                .detail(what)
                .flag(Flags::PRIVILEGED),
        );
    }
    // `Connection "CID-80" successfully logged in using administration mode.`, `… was unable to log in …`,
    // `HTTPS API client "192.0.2.99:50100" (…): … refused a login attempt. Username: "administrator", …`.
    let web = text.starts_with(b"HTTPS API client \"");
    let ok =
        has(b"successfully logged in using administration mode") || has(b"accepted the successful login");
    let refused = has(b"was unable to log in using administration mode")
        || has(b"whose permission is denied by adminip.txt")
        || has(b"refused a login attempt");
    if ok || refused {
        return out
            .event(Act::Admin, if ok { Outcome::Success } else { Outcome::Failure })
            .at(p.time)
            .service(Service::Management)
            .user(quoted(b"Username: \""))
            .source(if web { quoted(b"API client \"") } else { b"" })
            .client(if web { b"https" } else { b"rpc" })
            .reason(if ok { Reason::None } else { Reason::BadPassword })
            .observer(p.host)
            .flag(Flags::PRIVILEGED)
            .done();
    }
    Parsed::Irrelevant(Kind::Transport)
}

fn unquoted(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\"").and_then(|t| t.strip_suffix(b"\"")).unwrap_or(text)
}
