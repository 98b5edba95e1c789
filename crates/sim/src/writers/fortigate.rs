//! FortiGate: SSL-VPN, administration and local traffic (FortiOS Log Reference, key="value" form).

use std::net::Ipv4Addr;

use crate::clock::{HOUR, Millis, SECOND};
use crate::writers::Pen;

pub(crate) const FILE: &str = "fortigate-fgt-01.log";
pub(crate) const GROUP: &str = "SSL_VPN_Users";
/// The exception that asks for no push.
pub(crate) const LEGACY_GROUP: &str = "SSL_VPN_Legacy";

pub(crate) fn public(pen: &Pen<'_>) -> Ipv4Addr {
    let office = (0..pen.company.offices.len()).find(|at| pen.company.is_second(*at)).unwrap_or(0);
    Ipv4Addr::from(pen.company.offices[office].egress.first + 4)
}

fn write(pen: &mut Pen<'_>, at: Millis, priority: u16, level: &str, id: &str, kind: &str, rest: &str) {
    let shown = at + pen.book.clock_error(FILE, at);
    let c = pen.company.zones[1].civil(shown);
    let nanos = shown * 1_000_000 + pen.rng.range(0, 999_999);
    let tz = c.offset_text().replace(':', "");
    let line = format!(
        "<{priority}>date={} time={} devname=\"FGT-01\" devid=\"FGT60FTK00000001\" eventtime={nanos} tz=\"{tz}\" logid=\"{id}\" {kind} level=\"{level}\" vd=\"root\" {rest}",
        c.date(),
        c.clock(),
    );
    pen.put(FILE, at, line);
}

const VPN: &str = "type=\"event\" subtype=\"vpn\"";
const SYSTEM: &str = "type=\"event\" subtype=\"system\"";

/// Login and tunnel, statistics every hour, and the end.
pub(crate) fn session(
    pen: &mut Pen<'_>,
    from: Millis,
    until: Millis,
    user: &str,
    group: &str,
    ip: Ipv4Addr,
    tunnel: Ipv4Addr,
) {
    let id = pen.rng.range(100_000_000, 2_000_000_000);
    let country = pen.place(ip).0.country_name;
    let who = format!("tunnelid={id} remip={ip}");
    let whom = format!("user=\"{user}\" group=\"{group}\" dst_host=\"N/A\"");
    write(
        pen,
        from,
        190,
        "information",
        "0101039424",
        VPN,
        &format!(
            "logdesc=\"SSL VPN tunnel up\" action=\"tunnel-up\" tunneltype=\"ssl-web\" {who} srccountry=\"{country}\" {whom} reason=\"login successfully\" msg=\"SSL tunnel established\""
        ),
    );
    write(
        pen,
        from + SECOND,
        190,
        "information",
        "0101039947",
        VPN,
        &format!(
            "logdesc=\"SSL VPN tunnel up\" action=\"tunnel-up\" tunneltype=\"ssl-tunnel\" {who} tunnelip={tunnel} {whom} reason=\"tunnel established\" msg=\"SSL tunnel established\""
        ),
    );
    let (mut sent, mut received) = (0, 0);
    let mut at = from + HOUR;
    while at < until {
        sent += pen.rng.range(1 << 18, 1 << 24);
        received += pen.rng.range(1 << 18, 1 << 24);
        let seconds = (at - from) / SECOND;
        write(
            pen,
            at,
            190,
            "information",
            "0101039949",
            VPN,
            &format!(
                "logdesc=\"SSL VPN statistics\" action=\"tunnel-stats\" tunneltype=\"ssl-tunnel\" {who} tunnelip={tunnel} {whom} nextstat=3600 duration={seconds} sentbyte={sent} rcvdbyte={received} msg=\"SSL tunnel statistics\""
            ),
        );
        at += HOUR;
    }
    let seconds = (until - from) / SECOND;
    write(
        pen,
        until,
        190,
        "information",
        "0101039948",
        VPN,
        &format!(
            "logdesc=\"SSL VPN tunnel down\" action=\"tunnel-down\" tunneltype=\"ssl-tunnel\" {who} tunnelip={tunnel} {whom} reason=\"N/A\" duration={seconds} sentbyte={sent} rcvdbyte={received} msg=\"SSL tunnel shutdown\""
        ),
    );
    write(
        pen,
        until + 300,
        190,
        "information",
        "0101039425",
        VPN,
        &format!(
            "logdesc=\"SSL VPN tunnel down\" action=\"tunnel-down\" tunneltype=\"ssl-web\" {who} {whom} reason=\"User requested\" duration={seconds} sentbyte={sent} rcvdbyte={received} msg=\"SSL tunnel shutdown\""
        ),
    );
}

pub(crate) fn failed(pen: &mut Pen<'_>, at: Millis, user: &str, ip: Ipv4Addr, known: bool) {
    let reason = if known { "sslvpn_login_permission_denied" } else { "sslvpn_login_unknown_user" };
    write(
        pen,
        at,
        185,
        "alert",
        "0101039426",
        VPN,
        &format!(
            "logdesc=\"SSL VPN login fail\" action=\"ssl-login-fail\" tunneltype=\"ssl-web\" tunnelid=0 remip={ip} user=\"{user}\" group=\"N/A\" dst_host=\"N/A\" reason=\"{reason}\" msg=\"SSL user failed to logged in\""
        ),
    );
}

/// An administrator of the appliance logs in.
pub(crate) fn admin_login(pen: &mut Pen<'_>, at: Millis, user: &str, ip: Ipv4Addr) {
    let target = public(pen);
    write(
        pen,
        at,
        190,
        "information",
        "0100032001",
        SYSTEM,
        &format!(
            "logdesc=\"Admin login successful\" sn=\"{}\" user=\"{user}\" ui=\"https({ip})\" method=\"https\" srcip={ip} dstip={target} action=\"login\" status=\"success\" reason=\"none\" profile=\"super_admin\" msg=\"Administrator {user} logged in successfully from https({ip})\"",
            at / SECOND
        ),
    );
}

/// A configuration object was changed; `action` is `Add`, `Edit` or `Delete`.
pub(crate) fn configured(
    pen: &mut Pen<'_>,
    at: Millis,
    user: &str,
    ip: Ipv4Addr,
    action: &str,
    path: &str,
    object: &str,
    attributes: &str,
) {
    let id = pen.rng.range(10_000_000, 99_999_999);
    write(
        pen,
        at,
        190,
        "information",
        "0100044547",
        SYSTEM,
        &format!(
            "logdesc=\"Object attribute configured\" user=\"{user}\" ui=\"GUI({ip})\" action=\"{action}\" cfgtid={id} cfgpath=\"{path}\" cfgobj=\"{object}\" cfgattr=\"{attributes}\" msg=\"{action} {path} {object}\""
        ),
    );
}

pub(crate) fn denied(pen: &mut Pen<'_>, at: Millis, source: Ipv4Addr, port: u16) {
    let (country, target) = (pen.place(source).0.country_name, public(pen));
    let home = pen.company.countries[1].cities.first().map_or("", |c| crate::gazetteer::city(c).country_name);
    let (sport, id) = (pen.rng.port(), pen.rng.range(100_000, 9_999_999));
    write(
        pen,
        at,
        189,
        "notice",
        "0001000014",
        "type=\"traffic\" subtype=\"local\"",
        &format!(
            "srcip={source} srcport={sport} srcintf=\"wan1\" srcintfrole=\"wan\" dstip={target} dstport={port} dstintf=\"root\" dstintfrole=\"undefined\" srccountry=\"{country}\" dstcountry=\"{home}\" sessionid={id} proto=6 action=\"deny\" policyid=0 policytype=\"local-in-policy\" service=\"tcp/{port}\" trandisp=\"noop\" app=\"tcp/{port}\" duration=0 sentbyte=0 rcvdbyte=0 sentpkt=0 rcvdpkt=0"
        ),
    );
}
