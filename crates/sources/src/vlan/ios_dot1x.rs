//! Cisco IOS, IOS-XE and NX-OS switches: 802.1X, MAB, VLAN, port security, configuration.
//!
//! Read from: Cisco IOS System Message Guide. Traps: VLANASSIGN names a port and a session but no person; the session
//! id joins START, VLANASSIGN and SUCCESS; the clock may be unsynchronised (`*`), its zone an abbreviation.

use crate::decode::kv::{after, number, word};
use crate::emit::Emit;
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Reader, Row, Source};
use portreeve_model::event::{Act, Change, Flags, Method, Outcome, Service};

pub static SOURCE: Source = Source {
    name: "cisco_ios",
    title: "Cisco IOS / IOS-XE / NX-OS",
    row: Row::Vlan,
    gives: &[Act::Nac, Act::Admin, Act::Config],
    lacks: &[Field::Mfa, Field::TunnelIp, Field::Year],
    traps: &["vlan_without_person"],
    manual: "Cisco IOS and NX-OS System Message Guides (AUTHMGR, DOT1X, MAB, SESSION_MGR, SYS, SEC_LOGIN)",
    enable: "logging trap notifications; authentication logging verbose; login on-success log; archive log config",
    general: false,
    marks: &["%"],
    reader: Reader::Code {
        claim: |r| mnemonic(r.body).is_some() && crate::vpn::cisco_asa::message(r).is_none(),
        parse,
        join: None,
    },
};

/// Where `%FACILITY-SEVERITY-MNEMONIC:` stands, at the front or behind a sequence number and a stamp.
fn mnemonic(body: &[u8]) -> Option<usize> {
    let head = &body[..body.len().min(120)];
    let at = match head.first() {
        Some(b'%') => 0,
        _ => crate::decode::find::find(head, b": %")? + 2,
    };
    let name = &head[at + 1..];
    let name = &name[..memchr::memchr(b':', name)?];
    let dashes = name.iter().filter(|b| **b == b'-').count();
    (dashes >= 2 && name.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))).then_some(at)
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let start = memchr::memchr(b'%', r.body).unwrap_or(0);
    let body = &r.body[start..];
    let Some(colon) = memchr::memchr(b':', body) else { return Parsed::NotMine };
    let (mnemonic, text) =
        (body[..colon].strip_prefix(b"%").unwrap_or(&body[..colon]), body[colon + 1..].trim_ascii());
    let (at, host) = (r.header_time(), r.host());
    let mac = after(text, b"(", b")")
        .filter(|m| portreeve_model::event::Mac::parse(m).is_some())
        .unwrap_or_default();
    let port = after(text, b"on Interface ", b" ")
        .or_else(|| after(text, b"to Interface ", b" "))
        .unwrap_or_default();
    let sid = after(text, b"AuditSessionID ", b" ").unwrap_or_default();
    let has = |needle: &[u8]| crate::decode::find::find(mnemonic, needle).is_some();
    if has(b"AUTHMGR") || has(b"DOT1X") || has(b"MAB-") || has(b"SESSION_MGR") {
        if has(b"START") {
            return Parsed::Irrelevant(Kind::Pending);
        }
        let method = if has(b"MAB") || crate::decode::find::find(text, b"'mab'").is_some() {
            Method::Mab
        } else {
            Method::Dot1x
        };
        let user = after(text, b"Username: ", b" ").unwrap_or_default();
        if has(b"VLANASSIGN") {
            let vlan = after(text, b"VLAN ", b" ").map_or(0, |t| u16::try_from(number(t)).unwrap_or(0));
            return out
                .event(Act::Nac, Outcome::Success)
                .at(at)
                .service(Service::Wired)
                .vlan(vlan)
                .observer(host)
                .detail(port)
                .sid(sid)
                .done();
        }
        let failed = has(b"FAIL") || has(b"SECURITY_VIOLATION");
        if has(b"SUCCESS") || failed {
            let outcome = if failed { Outcome::Failure } else { Outcome::Success };
            return out
                .event(Act::Nac, outcome)
                .at(at)
                .service(Service::Wired)
                .user(user)
                .mac(mac)
                .observer(host)
                .detail(port)
                .sid(sid)
                .method(method)
                .done();
        }
        return Parsed::Irrelevant(Kind::Pending);
    }
    if has(b"SEC_LOGIN") {
        // `Login Success [user: anna] [Source: 10.0.0.5] [localport: 22]`
        let outcome = if has(b"LOGIN_SUCCESS") { Outcome::Success } else { Outcome::Failure };
        return out
            .event(Act::Admin, outcome)
            .at(at)
            .service(Service::Management)
            .user(after(text, b"[user: ", b"]").unwrap_or_default())
            .source(after(text, b"[Source: ", b"]").unwrap_or_default())
            .observer(host)
            .done();
    }
    // `User 'anna' authenticated successfully from 10.0.0.5:38066 for netconf over ssh`,
    // `User 'anna' authentication for SSH2 Session from 10.0.0.5 (tty = 0) … Succeeded`,
    // `Authentication to privilege level 15 failed by anna on vty0 (10.0.0.5)`.
    if has(b"AUTH_PASSED") || has(b"SSH2_USERAUTH") || has(b"PRIV_AUTH") {
        let failed = has(b"FAIL") || text.ends_with(b"Failed");
        let user = after(text, b"User '", b"'").or_else(|| after(text, b" by ", b" ")).unwrap_or_default();
        let from = after(text, b" from ", b" ").or_else(|| after(text, b" (", b")")).unwrap_or_default();
        return out
            .event(Act::Admin, if failed { Outcome::Failure } else { Outcome::Success })
            .at(at)
            .service(Service::Management)
            .user(user)
            .source(from.strip_suffix(b".").unwrap_or(from))
            .observer(host)
            .flag_if(has(b"PRIV_AUTH"), Flags::PRIVILEGED)
            .done();
    }
    if has(b"CONFIG_I") || has(b"CFGLOG_LOGGEDCMD") || has(b"VSHD_SYSLOG_CONFIG_I") {
        let user = after(text, b"by ", b" ").or_else(|| after(text, b"User:", b" ")).unwrap_or_default();
        let from = after(text, b"(", b")").unwrap_or_default();
        let command = after(text, b"logged command:", b"").unwrap_or_default();
        let weak = crate::decode::find::find(command, b"no dot1x").is_some()
            || crate::decode::find::find(command, b"force-authorized").is_some();
        return out
            .event(Act::Config, Outcome::Success)
            .at(at)
            .service(Service::Management)
            .user(user)
            .source(from)
            .detail(command)
            .change(if weak { Change::PolicyChanged } else { Change::ConfigChanged })
            .observer(host)
            .flag(Flags::PRIVILEGED)
            .done();
    }
    if has(b"PSECURE_VIOLATION") || has(b"DHCP_SNOOPING") || has(b"SW_DAI") || has(b"MACFLAP") {
        let address = text
            .split(|b| *b == b' ')
            .find(|w| portreeve_model::event::Mac::parse(w.strip_suffix(b",").unwrap_or(w)).is_some())
            .unwrap_or_default();
        return out
            .event(Act::Nac, Outcome::Failure)
            .at(at)
            .service(Service::Wired)
            .mac(address.strip_suffix(b",").unwrap_or(address))
            .observer(host)
            .detail(word(after(text, b"port ", b" ").unwrap_or_default()).0)
            .done();
    }
    Parsed::Irrelevant(Kind::OtherMessage)
}
