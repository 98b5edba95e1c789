//! IPsec clients of ASA and FTD: IKEv1 (713xxx) and IKEv2 (750xxx, 751xxx).
//!
//! Traps: most messages of these families are about tunnels between sites, which have an address, the name of a group or
//! `Unknown` where a person would be; the end is told by 113019 as for every session.

use super::{after, find, token, word};
use crate::emit::{Emit, EventBuilder};
use crate::record::Record;
use crate::source::{Kind, Parsed};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Outcome, Reason, Service};

pub(super) fn parse(r: &Record<'_>, id: u32, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    match id {
        713119 | 713228 | 713167 | 713198 | 713060 | 713184 => v1(r, id, text, out),
        713259 | 713050 | 750007 => Parsed::Irrelevant(Kind::Repeats),
        750003 | 750006 | 751002 | 751011 | 751019 | 751025 | 751026 => v2(r, id, text, out),
        _ => Parsed::Irrelevant(Kind::Transport),
    }
}

fn done(event: EventBuilder<'_>, r: &Record<'_>) -> Parsed {
    event.at(r.header_time()).service(Service::Vpn).observer(r.host()).done()
}

/// A name that is no person: an address, nothing, or not known yet.
fn no_person(user: &[u8]) -> bool {
    matches!(user, b"" | b"Unknown" | b"unknown" | b"N/A") || Ip::parse(user).is_some()
}

/// `Group = TG, Username = anna, IP = 192.0.2.5, PHASE 1 COMPLETED`.
fn v1(r: &Record<'_>, id: u32, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let field = |label: &[u8]| after(text, label, b", ").unwrap_or_default().trim_ascii();
    let (group, user) = (field(b"Group = "), field(b"Username = "));
    // Before the extended authentication nobody is named, and a site's peer never is.
    if no_person(user) && id != 713167 {
        return Parsed::Irrelevant(Kind::Transport);
    }
    let ip = [&b", IP = "[..], b"IP = "]
        .into_iter()
        .find_map(|l| after(text, l, b""))
        .map_or(&b""[..], |t| token(t).0);
    let event = match id {
        713119 => out.event(Act::SessionStart, Outcome::Success),
        713228 => {
            let tunnel = ["Assigned private IP address ", "assigned private IP address "]
                .into_iter()
                .find_map(|l| after(text, l.as_bytes(), b" "))
                .unwrap_or_default();
            out.event(Act::IpAssign, Outcome::Success).tunnel(tunnel)
        }
        713060 => out.event(Act::Auth, Outcome::BlockedAfterPassword).reason(Reason::NotAllowed),
        713184 => out
            .event(Act::Posture, Outcome::Unknown)
            .client(after(text, b"Client Type: ", b"").unwrap_or_default()),
        _ => out.event(Act::Auth, Outcome::Failure).reason(Reason::BadPassword),
    };
    done(event.group(group).user(user).source(ip), r)
}

/// `Local:198.51.100.1:4500 Remote:192.0.2.5:4500 Username:anna …`, with and without a blank behind the colon; some have
/// `anna/group`, some `Group:group`.
fn v2(r: &Record<'_>, id: u32, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let field = |label: &[u8]| after(text, label, b"").map_or(&b""[..], |t| word(t).0);
    let remote = field(b"Remote:");
    let named = after(text, b"Username:", b"").unwrap_or_default().trim_ascii_start();
    let end = [&b" IKEv2 "[..], b" Group:", b" SA UP", b" Failed", b" No preshared", b" Client OS"]
        .into_iter()
        .filter_map(|mark| find(named, mark))
        .min()
        .unwrap_or_else(|| word(named).0.len());
    let user = named.get(..end).unwrap_or_default().trim_ascii();
    let (user, group) = match (id, memchr::memrchr(b'/', user)) {
        (751002 | 751011, Some(slash)) => {
            (user.get(..slash).unwrap_or_default(), user.get(slash + 1..).unwrap_or_default())
        }
        _ => (user, field(b"Group:")),
    };
    if no_person(user) {
        return Parsed::Irrelevant(Kind::Transport);
    }
    let event = match id {
        750003 => {
            let refused = after(text, b"ERROR: ", b"").is_some_and(|e| find(e, b"uthenticat").is_some());
            out.event(if refused { Act::Auth } else { Act::Posture }, Outcome::Failure).reason(Reason::Other)
        }
        750006 => out.event(Act::SessionStart, Outcome::Success),
        751011 => out.event(Act::Auth, Outcome::Failure).reason(Reason::BadPassword),
        751019 => out.event(Act::Auth, Outcome::BlockedAfterPassword).reason(Reason::Other),
        751025 => {
            let tunnel = [&b"IPv4 Address="[..], b"IPv6 address="]
                .into_iter()
                .map(|l| Ip::parse(field(l)))
                .find(|ip| ip.is_some())
                .unwrap_or(Ip::NONE);
            out.event(Act::IpAssign, Outcome::Success).tunnel_ip(tunnel)
        }
        751026 => out
            .event(Act::Posture, Outcome::Unknown)
            .client(after(text, b" Client: ", b"").unwrap_or_default()),
        _ => return Parsed::Irrelevant(Kind::Transport),
    };
    done(event.user(user).source(remote).group(group), r)
}
