//! Palo Alto GlobalProtect: portal and gateway logins, tunnel, logout.
//!
//! Read from: PAN-OS "GlobalProtect Log Fields", Strata Logging Service "GlobalProtect". Traps: one login is portal-auth, gateway-auth, getconfig and
//! connected; `0.0.0.0` is no address; `SourceRegion` may be a range; a quoted system name holds commas; the CSV times
//! are the firewall's local ones and only HighResTime (the last stamp of the row) has a zone; `pre-logon` is a machine.

use crate::decode::find::find;
use crate::decode::kv::number;
use crate::emit::Emit;
use crate::pan::{Columns, kind};
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Flags, Method, Outcome, Reason, Service};

pub static SOURCE: Source = Source {
    name: "globalprotect",
    title: "Palo Alto GlobalProtect",
    row: Row::Vpn,
    gives: &[Act::Auth, Act::Posture, Act::SessionStart, Act::IpAssign, Act::SessionEnd],
    lacks: &[Field::Mfa, Field::SessionId, Field::Bytes, Field::Host],
    traps: &[
        "local_times",
        "pre_logon",
        "row_set_of_one_login",
        "no_precise_time",
        "template_without_severity",
    ],
    manual: "PAN-OS Administrator's Guide: GlobalProtect log fields",
    enable: "log forwarding of GlobalProtect logs (Device > Log Settings) to syslog in the default CSV format, or CEF or JSON from the logging service",
    general: false,
    marks: &[
        "GLOBALPROTECT",
        "THREAT",
        "TRAFFIC",
        "SYSTEM",
        "CONFIG",
        "Palo Alto Networks",
        "\"LogType\"",
        "USERID",
        "AUTH",
        "HIPMATCH",
        "DECRYPTION",
    ],
    reader: Reader::Code { claim: |r| kind(r) == Some(b"GLOBALPROTECT"), parse, join: None },
};

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let row = Columns::of(r);
    let (c, n) = (&row.c, row.n);
    if n < 30 {
        return Parsed::Broken(Why::Missing("columns"));
    }
    // Columns from 0: 6 generated, 7 vsys, 8 event, 9 stage, 10 auth method, 11 tunnel type, 12 user, 13 region,
    // 14 machine, 15 public, 16 public v6, 17 private, 18 private v6, 19 host id, 20 serial, 21 client version,
    // 22 os, 23 os version, 24 repeat, 25 reason, 26 error, 27 opaque, 28 status, 29 location, 30 duration.
    let (event, stage, status) = (c[8], c[9], c[28]);
    let user = row.plain(c[12]);
    let at = row.time(r);
    let source = if portreeve_model::Ip::parse(c[15]).is_some() { c[15] } else { c[16] };
    let private = if portreeve_model::Ip::parse(c[17]).is_some() { c[17] } else { c[18] };
    let ok = status.eq_ignore_ascii_case(b"success");
    let machine = *user == *b"pre-logon" || user.ends_with(b"$");
    let device = if c[14].is_empty() { c[19] } else { c[14] };
    let observer = row.observer().unwrap_or_else(|| r.host());
    let (act, outcome) = match (event, stage) {
        (b"gateway-connected" | b"gateway-tunnel", b"connected" | b"tunnel") if ok => {
            (Act::IpAssign, Outcome::Success)
        }
        (b"gateway-auth" | b"gw-auth" | b"gateway-register" | b"clientlessvpn-login", _) => (
            if ok { Act::SessionStart } else { Act::Auth },
            if ok { Outcome::Success } else { Outcome::Failure },
        ),
        (b"portal-auth", _) => (Act::Auth, if ok { Outcome::Success } else { Outcome::Failure }),
        (b"gateway-logout" | b"clientlessvpn-logout" | b"gateway-inactivity-timeout", _) | (_, b"logout") => {
            (Act::SessionEnd, Outcome::Success)
        }
        (b"gateway-prelogin" | b"portal-prelogin", _) => return Parsed::Irrelevant(Kind::Pending),
        (
            b"gateway-tunnel-latency"
            | b"gateway-config-release"
            | b"gateway-switch-to-ssl"
            | b"portal-getconfig"
            | b"gateway-getconfig"
            | b"gateway-setup-ssl",
            _,
        ) if ok => {
            return out
                .event(Act::Posture, Outcome::Unknown)
                .at(at)
                .service(Service::Vpn)
                .user(&user)
                .source(source)
                .device(device)
                .group(c[33])
                .observer(observer)
                .flag_if(machine, Flags::MACHINE)
                .done();
        }
        (_, b"login") => (Act::Auth, if ok { Outcome::Success } else { Outcome::Failure }),
        _ => (Act::Posture, Outcome::Unknown),
    };
    if machine && act != Act::Posture && act != Act::Auth {
        return Parsed::Irrelevant(Kind::Machine);
    }
    let method = match c[10] {
        _ if act == Act::SessionEnd => Method::Unknown,
        m if m.eq_ignore_ascii_case(b"saml") => Method::Saml,
        m if m.eq_ignore_ascii_case(b"cert") || m.eq_ignore_ascii_case(b"certificate") => Method::Certificate,
        m if m.eq_ignore_ascii_case(b"cookie") => Method::Token,
        m if m.eq_ignore_ascii_case(b"kerberos") => Method::Kerberos,
        m if [&b"ldap"[..], b"radius", b"local", b"tacacs"]
            .iter()
            .any(|n| m.get(..n.len()).is_some_and(|h| h.eq_ignore_ascii_case(n))) =>
        {
            Method::Password
        }
        _ => Method::Unknown,
    };
    let said = if c[26].is_empty() { c[25] } else { c[26] };
    let mut e = out
        .event(act, outcome)
        .at(at)
        .service(Service::Vpn)
        .user(&user)
        .source(source)
        .device(device)
        .client(c[21])
        .country(c[13])
        .method(method)
        .observer(observer)
        .flag_if(machine, Flags::MACHINE)
        .flag_if(act == Act::Auth && ok, Flags::PRE_MFA);
    if act == Act::IpAssign || act == Act::SessionEnd {
        e = e.tunnel(private);
    }
    if outcome == Outcome::Failure {
        e = e.reason(reason(said));
    } else if act == Act::SessionEnd {
        let idle = event == b"gateway-inactivity-timeout" || find(said, b"nactivity").is_some();
        e = e
            .reason(if idle { Reason::Idle } else { Reason::Logout })
            .duration_s(u32::try_from(number(c[30])).unwrap_or(0));
    }
    if n > 34 {
        e = e.group(c[33]);
    }
    e.done()
}

fn reason(text: &[u8]) -> Reason {
    let has = |needle: &[u8]| find(text, needle).is_some();
    if has(b"nvalid username") || has(b"nvalid user name") {
        Reason::BadPassword
    } else if has(b"locked") {
        Reason::Locked
    } else if has(b"ertificate") {
        Reason::Certificate
    } else if has(b"not in allow list") {
        Reason::NotAllowed
    } else if text.is_empty() {
        Reason::None
    } else {
        Reason::Other
    }
}
