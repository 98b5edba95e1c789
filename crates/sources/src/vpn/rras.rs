//! Windows Routing and Remote Access (Always On VPN): events of the provider RemoteAccess in the System log.
//!
//! Read from: Microsoft "Routing and Remote Access" events 20249 to 20275, "Troubleshoot Always On VPN". Traps: the data
//! have numbers instead of names, and exporters keep them as `param1`, as a list, or only in the message; 20250 names no
//! address of the client, only the refusal (20271) does; RasClient on an endpoint speaks of the other side of a tunnel.

use crate::decode::find::find;
use crate::decode::json::{Paths, Value, elements, unescape};
use crate::decode::kv::{after, number, word};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use crate::windows::{WinEvent, claimed};
use portreeve_model::event::{Act, Flags, Outcome, Reason, Service};
use std::borrow::Cow;
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "rras",
    title: "Windows Routing and Remote Access (Always On VPN)",
    row: Row::Vpn,
    gives: &[Act::Auth, Act::IpAssign, Act::SessionEnd],
    lacks: &[Field::Mfa, Field::Device, Field::Host],
    traps: &["numbered_data", "only_a_message"],
    manual: "Microsoft: Routing and Remote Access events 20249 to 20275",
    enable: "Routing and Remote Access > Properties > Logging: log all events; collect the System log (provider RemoteAccess)",
    general: false,
    marks: &["RemoteAccess", "RasClient", "RasSstp"],
    reader: Reader::Code {
        claim: |r| {
            claimed(r, |id, channel, provider| match provider {
                b"RemoteAccess" | b"Microsoft-Windows-RemoteAccess" => matches!(id, 20249..=20300),
                b"RasClient" | b"RasSstp" => !channel.eq_ignore_ascii_case(b"System"),
                _ => false,
            })
        },
        parse,
        join: None,
    },
};

static LISTS: LazyLock<Paths<4>> = LazyLock::new(|| {
    Paths::new([
        "Event.EventData.Data",
        "Event.EventData.Data.#text",
        "winlog.event_data.Data",
        "EventData.Data",
    ])
});

/// The numbered data of the event: `<Data>`, `param1`, or a list.
fn data<'a>(r: &Record<'a>, e: &WinEvent<'a>) -> [Cow<'a, [u8]>; 14] {
    let mut found: [Cow<'a, [u8]>; 14] = Default::default();
    if r.shape == Shape::Xml {
        let mut rest = r.body;
        for slot in &mut found {
            let Some(at) = find(rest, b"<Data") else { break };
            rest = &rest[at + 5..];
            let Some(close) = memchr::memchr(b'>', rest) else { break };
            if rest.get(..close).is_some_and(|t| t.ends_with(b"/")) {
                continue;
            }
            let value = &rest[close + 1..];
            *slot = Cow::Borrowed(&value[..memchr::memchr(b'<', value).unwrap_or(value.len())]);
        }
        return found;
    }
    let first = e.get("param1");
    if !first.is_empty() {
        const NAMES: [&str; 14] = [
            "param1", "param2", "param3", "param4", "param5", "param6", "param7", "param8", "param9",
            "param10", "param11", "param12", "param13", "param14",
        ];
        for (slot, name) in found.iter_mut().zip(NAMES) {
            *slot = e.get(name);
        }
        return found;
    }
    if let Ok(lists) = LISTS.pick(r.body)
        && let Some(list) = lists.iter().map(|v| v.nested()).find(|n| n.starts_with(b"["))
    {
        for (slot, value) in found.iter_mut().zip(elements(list)) {
            if let Value::Text(t) = value {
                *slot = unescape(t);
            }
        }
    }
    found
}

/// The data as the text of the event gives them, in the order of the numbered ones where it is known.
struct Told<'a> {
    sid: Cow<'a, [u8]>,
    user: Cow<'a, [u8]>,
    /// Port, or the client's address in a refusal.
    at: Cow<'a, [u8]>,
    /// Assigned address.
    tunnel: Cow<'a, [u8]>,
    why: Cow<'a, [u8]>,
    seconds: u64,
    sent: u64,
    received: u64,
    client: Cow<'a, [u8]>,
}

fn told<'a>(r: &Record<'a>, e: &WinEvent<'a>) -> Told<'a> {
    let mut d = data(r, e);
    let none = || Cow::Borrowed(&b""[..]);
    let mut take = |n: usize| d.get_mut(n).map(std::mem::take).unwrap_or_default();
    let sid = take(0);
    if !sid.is_empty() {
        let (user, at) = (take(1), take(2));
        return match e.id {
            20271 => Told {
                why: take(3),
                sid,
                user,
                at,
                tunnel: none(),
                seconds: 0,
                sent: 0,
                received: 0,
                client: none(),
            },
            20272 => Told {
                seconds: number(&take(7)) * 60 + number(&take(8)),
                sent: number(&take(9)),
                received: number(&take(10)),
                why: take(11),
                client: take(12),
                sid,
                user,
                at,
                tunnel: none(),
            },
            20275 => Told {
                tunnel: user,
                user: none(),
                sid,
                at,
                why: none(),
                seconds: 0,
                sent: 0,
                received: 0,
                client: none(),
            },
            _ => Told {
                tunnel: take(3),
                sid,
                user,
                at,
                why: none(),
                seconds: 0,
                sent: 0,
                received: 0,
                client: none(),
            },
        };
    }
    // Only the text: `CoId={…}: The user TIDEWATER\anna connected on port VPN2-127 has been assigned address 10.8.0.7`.
    let mut text = e.get("Message");
    if text.is_empty() {
        text = e.get("message");
    }
    let part = |marker: &[u8], end: &[u8]| -> Cow<'a, [u8]> {
        Cow::Owned(after(&text, marker, end).unwrap_or_default().trim_ascii().to_vec())
    };
    let port = after(&text, b" on port ", b" ").unwrap_or_default();
    let port = port.strip_suffix(b".").unwrap_or(port);
    let minutes = after(&text, b" was active for ", b" minutes").map_or(0, number);
    let rest = after(&text, b" minutes ", b" seconds").map_or(0, number);
    // `1234 bytes were sent and 5678 bytes were received`.
    let before = |marker: &[u8]| {
        find(&text, marker).map_or(0, |n| number(text[..n].rsplit(|b| *b == b' ').next().unwrap_or_default()))
    };
    let user = if e.id == 20275 { none() } else { part(b"The user ", b" ") };
    let user = if user.is_empty() && e.id != 20275 { part(b"The account for user ", b" ") } else { user };
    Told {
        sid: part(b"CoId=", b":"),
        user,
        at: if e.id == 20271 { part(b" connected from ", b" ") } else { Cow::Owned(port.to_vec()) },
        tunnel: if e.id == 20275 {
            part(b"with ip address ", b" ")
        } else {
            part(b"assigned address ", b" ")
        },
        why: if e.id == 20271 {
            part(b"following reason: ", b"")
        } else {
            part(b"reason for disconnecting was ", b".")
        },
        seconds: minutes * 60 + rest,
        sent: before(b" bytes were sent"),
        received: before(b" bytes were received"),
        client: part(b"The tunnel used was ", b"."),
    }
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some(e) = WinEvent::of(r) else { return Parsed::NotMine };
    if !e.provider.ends_with(b"RemoteAccess") {
        return Parsed::Irrelevant(Kind::Repeats);
    }
    let (act, outcome) = match e.id {
        20250 => (Act::Auth, Outcome::Success),
        20251 | 20258 | 20271 => (Act::Auth, Outcome::Failure),
        20274 => (Act::IpAssign, Outcome::Success),
        20272 => (Act::SessionEnd, Outcome::Success),
        // The release of the address repeats the end.
        20275 => return Parsed::Irrelevant(Kind::Repeats),
        20249 | 20252 | 20253 | 20255 | 20259 => return Parsed::Irrelevant(Kind::Transport),
        _ => return Parsed::Irrelevant(Kind::OtherMessage),
    };
    let t = told(r, &e);
    if t.user.is_empty() && t.sid.is_empty() {
        return Parsed::Broken(Why::Missing("user"));
    }
    let has = |needle: &[u8]| find(&t.why, needle).is_some();
    let reason = match (act, outcome) {
        (Act::Auth, Outcome::Failure) => {
            if e.id == 20258
                || has(b"ermission")
                || has(b"policy")
                || has(b"dial-in")
                || has(b"not authorized")
            {
                Reason::NotAllowed
            } else if has(b"ocked") {
                Reason::Locked
            } else if has(b"xpired") {
                Reason::Expired
            } else if has(b"ertificate") {
                Reason::Certificate
            } else if has(b"isabled") {
                Reason::Disabled
            } else if has(b"password") || has(b"credentials") || has(b"not recognized") || e.id == 20251 {
                Reason::BadPassword
            } else {
                Reason::Other
            }
        }
        (Act::SessionEnd, _) => {
            if has(b"user request") {
                Reason::Logout
            } else if has(b"idle") {
                Reason::Idle
            } else if has(b"timeout") || has(b"time limit") {
                Reason::Timeout
            } else if has(b"administrator") {
                Reason::ByAdmin
            } else if has(b"lost") || has(b"carrier") || has(b"port") {
                Reason::ConnectionLost
            } else {
                Reason::Other
            }
        }
        _ => Reason::None,
    };
    out.event(act, outcome)
        .at(e.time(r))
        .service(Service::Vpn)
        .user(&t.user)
        .source(if e.id == 20271 { word(&t.at).0 } else { b"" })
        .tunnel(&t.tunnel)
        .sid(t.sid.trim_ascii_start().strip_prefix(b"CoId=").unwrap_or(&t.sid))
        .group(if e.id == 20271 { b"" } else { &t.at })
        .client(&t.client)
        .duration_s(u32::try_from(t.seconds).unwrap_or(u32::MAX))
        .bytes(t.received, t.sent)
        .reason(reason)
        .observer(&e.computer)
        .flag_if(act == Act::Auth && outcome == Outcome::Success, Flags::PRE_MFA)
        .done()
}
