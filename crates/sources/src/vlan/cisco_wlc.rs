//! Cisco wireless controllers: AireOS and Catalyst 9800.
//!
//! Read from: Cisco Wireless LAN Controller System Message Guide; Catalyst 9800 configuration guide "Syslog support for
//! client state change". Traps: AireOS writes source file and line before the message and a task's name before the stamp;
//! an admin user is an operator and a network user a client; the 9800 logs both severity 6 and 7 of one join, the latter
//! with the address; `null` is a client that the controller does not know by name.

use crate::decode::find::find;
use crate::decode::kv::word;
use crate::emit::Emit;
use crate::ios::{self, Message};
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Reader, Row, Source};
use portreeve_model::event::{Act, Method, Outcome, Reason, Service};

pub static SOURCE: Source = Source {
    name: "cisco_wlc",
    title: "Cisco wireless controllers (AireOS, Catalyst 9800)",
    row: Row::Vlan,
    gives: &[Act::Lease, Act::Nac, Act::Admin],
    lacks: &[Field::Mfa, Field::SessionEnd, Field::Bytes, Field::Host],
    traps: &["admin_and_client", "nameless"],
    manual: "Cisco Wireless LAN Controller System Message Guide; Catalyst 9800 Series Configuration Guide: Syslog support for client state change",
    enable: "AireOS: config logging syslog level 6; 9800: wireless client syslog-detailed, logging trap debugging for severity 7",
    general: false,
    marks: &["%"],
    reader: Reader::Code { claim: |r| ios::message(r).is_some_and(|m| is_wireless(&m)), parse, join: None },
};

/// Is it a controller that speaks, and no switch or router?
pub(crate) fn is_wireless(m: &Message<'_>) -> bool {
    matches!(
        m.facility,
        b"CLIENT_ORCH_LOG"
            | b"CLIENT_ORCH_AUDIT_MESSAGE"
            | b"CLIENT_EXCLUSION_SERVER"
            | b"APF"
            | b"CAPWAP"
            | b"LWAPP"
            | b"SPAM"
            | b"EMWEB"
            | b"WPS"
            | b"DTL"
            | b"OSAPI"
            | b"CAPWAPAC_SMGR_TRACE_MESSAGE"
            | b"APMGR_TRACE_MESSAGE"
            | b"RRM_CLIENT"
    ) || file_and_line(m.text).is_some()
        || find(&m.text[..m.text.len().min(48)], b"wncd: ").is_some()
        || find(&m.text[..m.text.len().min(48)], b"wncmgrd: ").is_some()
}

/// `aaa.c:3334 `, `[PA]1x_auth_pae.c:3028 `: what AireOS puts before its text.
fn file_and_line(text: &[u8]) -> Option<&[u8]> {
    let (first, rest) = word(text);
    let at = find(first, b".c:")?;
    let line = &first[at + 3..];
    (!line.is_empty() && line.iter().all(u8::is_ascii_digit)).then_some(rest)
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some(m) = ios::message(r) else { return Parsed::NotMine };
    match file_and_line(m.text) {
        Some(text) => aireos(r, &m, text, out),
        None if ios::is_access(&m) => ios::access(r, &m, Service::Wireless, out),
        None => catalyst(r, &m, out),
    }
}

fn nac(r: &Record<'_>, m: &Message<'_>, out: &mut Emit<'_>, ok: bool, user: &[u8], reason: Reason) -> Parsed {
    out.event(Act::Nac, if ok { Outcome::Success } else { Outcome::Failure })
        .at(m.time(r))
        .service(Service::Wireless)
        .user(user)
        .mac(m.mac())
        .reason(reason)
        .method(Method::Dot1x)
        .observer(m.host(r))
        .done()
}

fn aireos(r: &Record<'_>, m: &Message<'_>, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    match (m.facility, m.name) {
        // `Authentication succeeded for admin user 'anna' on 10.0.0.5`
        (b"AAA", b"AAA_AUTH_ADMIN_USER") => {
            let ok = text.starts_with(b"Authentication succeeded");
            out.event(Act::Admin, if ok { Outcome::Success } else { Outcome::Failure })
                .at(m.time(r))
                .service(Service::Management)
                .user(m.after(b"admin user '", b"'"))
                .source(memchr::memmem::rfind(text, b" on ").map_or(&b""[..], |at| word(&text[at + 4..]).0))
                .reason(if ok { Reason::None } else { Reason::BadPassword })
                .observer(m.host(r))
                .done()
        }
        (b"AAA", b"AAA_AUTH_NETWORK_USER") => {
            let ok = text.starts_with(b"Authentication succeeded");
            let reason = if ok { Reason::None } else { Reason::BadPassword };
            nac(r, m, out, ok, m.after(b"network user '", b"'"), reason)
        }
        // `Login failed. User:anna. Service-Type is not present …`
        (b"EMWEB", name) if find(name, b"LOGIN_FAILED").is_some() => {
            let user = m.after(b"User:", b". ");
            out.event(Act::Admin, Outcome::Failure)
                .at(m.time(r))
                .service(Service::Management)
                .user(user.strip_suffix(b".").unwrap_or(user))
                .reason(Reason::NotAllowed)
                .observer(m.host(r))
                .done()
        }
        // `Username entry (anna) created for mobile aa:bb:cc:dd:ee:ff`
        (b"APF", b"USER_NAME_CREATED") => {
            nac(r, m, out, true, m.after(b"Username entry (", b")"), Reason::None)
        }
        (b"DOT1X", name) => {
            let has = |part: &[u8]| find(name, part).is_some();
            if has(b"PSK_CONFIG_ERR") || has(b"WPA_KEY_MIC_ERR") {
                nac(r, m, out, false, b"", Reason::BadPassword)
            } else if has(b"MAX_EAP") || has(b"AUTH_TIMEOUT") {
                nac(r, m, out, false, b"", Reason::Timeout)
            } else if has(b"ABORT_AUTH") || has(b"AUTH_FAIL") || has(b"AAA_AUTH_SEND_FAIL") {
                nac(r, m, out, false, b"", Reason::Other)
            } else {
                Parsed::Irrelevant(Kind::OtherMessage)
            }
        }
        // `Client aa:bb:cc:dd:ee:ff was excluded …`
        (b"APF", name) if find(name, b"EXCLUDED").is_some() || find(name, b"BLACKLIST").is_some() => {
            nac(r, m, out, false, b"", Reason::Locked)
        }
        _ => Parsed::Irrelevant(Kind::OtherMessage),
    }
}

fn catalyst(r: &Record<'_>, m: &Message<'_>, out: &mut Emit<'_>) -> Parsed {
    match (m.facility, m.name) {
        // `Username entry (anna) joined with ssid (corp) for device with MAC: aabb.ccdd.eeff on channel (36)`
        (b"CLIENT_ORCH_LOG", b"CLIENT_ADDED_TO_RUN_STATE") => {
            join(r, m, out, m.after(b"Username entry (", b")"), m.after(b"ssid (", b")"))
        }
        // `Username (anna), MAC: aabb.ccdd.eeff, IP 10.0.0.5 associated to AP (ap-1) with SSID (corp)`
        (b"CLIENT_ORCH_LOG", b"CLIENT_MOVED_TO_RUN_STATE") => {
            join(r, m, out, m.after(b"Username (", b")"), m.after(b"SSID (", b")"))
        }
        (b"CLIENT_ORCH_LOG", b"CLIENT_IP_UPDATED") => out
            .event(Act::Lease, Outcome::Success)
            .at(m.time(r))
            .service(Service::Wireless)
            .user(m.after(b"Username (", b")"))
            .tunnel(m.after(b"IP ", b" "))
            .mac(m.mac())
            .observer(m.host(r))
            .done(),
        // The other end of what CLIENT_MOVED_TO_RUN_STATE began.
        (b"CLIENT_ORCH_LOG", name) => {
            Parsed::housekeeping_if(matches!(name, b"CLIENT_MOVED_TO_DELETE_STATE" | b"CLIENT_DELETED"))
        }
        // `Client MAC: aabb.ccdd.eeff was added to exclusion list, legal reason: 802.1X authentication failure`
        (b"CLIENT_EXCLUSION_SERVER", name) if name.starts_with(b"ADD_TO_BLACKLIST") => {
            let told = m.after(b"reason:", b"").to_ascii_lowercase();
            let has = |part: &[u8]| find(&told, part).is_some();
            let reason = if has(b"authentication failure") {
                Reason::BadPassword
            } else if has(b"timeout") {
                Reason::Timeout
            } else {
                Reason::NotAllowed
            };
            nac(r, m, out, false, b"", reason)
        }
        _ => Parsed::Irrelevant(Kind::OtherMessage),
    }
}

/// The client is on the network; how it was checked another message tells.
fn join(r: &Record<'_>, m: &Message<'_>, out: &mut Emit<'_>, user: &[u8], ssid: &[u8]) -> Parsed {
    out.event(Act::Nac, Outcome::Success)
        .at(m.time(r))
        .service(Service::Wireless)
        .user(user)
        .mac(m.mac())
        .tunnel(m.after(b", IP ", b" "))
        .group(ssid)
        .detail(m.after(b"AP (", b")"))
        .observer(m.host(r))
        .done()
}
