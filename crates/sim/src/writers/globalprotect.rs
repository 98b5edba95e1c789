//! Palo Alto GlobalProtect rows (PAN-OS Syslog Field Descriptions, GlobalProtect Log Fields, PAN-OS 9.1.3 and later).
//!
//! Times are firewall-local; only the high resolution time at the end carries the offset.

use std::net::Ipv4Addr;

use crate::clock::{Millis, SECOND};
use crate::company::Person;
use crate::writers::Pen;

pub(crate) const FILE: &str = "paloalto-pa-01.log";

#[derive(Clone, Copy)]
struct Step<'a> {
    event: &'a str,
    stage: &'a str,
    tunnel: &'a str,
    private: Option<Ipv4Addr>,
    reason: &'a str,
    failed: bool,
    lasted: i64,
}

fn write(
    pen: &mut Pen<'_>,
    at: Millis,
    user: &str,
    machine: &str,
    host_id: &str,
    ip: Ipv4Addr,
    step: Step<'_>,
) {
    let c = pen.company.zones[0].civil(at);
    let stamp = format!("{:04}/{:02}/{:02} {}", c.year, c.month, c.day, c.clock());
    let region = pen.place(ip).0.country;
    let private = step.private.map_or("0.0.0.0".to_owned(), |p| p.to_string());
    let sequence = pen.rng.range(1 << 40, 1 << 50);
    let status = if step.failed { "failure" } else { "success" };
    let high = format!("{}T{}.{:03}{}", c.date(), c.clock(), c.milli, c.offset_text());
    let (client, os) =
        if machine.is_empty() { ("", "") } else { ("6.2.4", "\"Microsoft Windows 11 Enterprise , 64-bit\"") };
    let line = format!(
        "<14>{} pa-01 1,{stamp},012345678900001,GLOBALPROTECT,0,2562,{stamp},vsys1,{},{},SAML,{},{user},{region},{machine},{ip},0.0.0.0,{private},0.0.0.0,{host_id},,{client},Windows,{os},1,{},,,{status},,{},user-logon,0,GP-Portal,{sequence},0x8000000000000000,{high},,,,,,0,0,0,0,,pa-01,1",
        c.bsd(),
        step.event,
        step.stage,
        step.tunnel,
        step.reason,
        step.lasted,
    );
    pen.put(FILE, at, line);
}

/// Portal, gateway, tunnel and logout: the rows of one stay.
pub(crate) fn session(
    pen: &mut Pen<'_>,
    from: Millis,
    until: Millis,
    person: &Person,
    machine: &str,
    host_id: &str,
    ip: Ipv4Addr,
    tunnel: Ipv4Addr,
) {
    let user = person.email(pen.company);
    let plain = Step {
        event: "portal-auth",
        stage: "login",
        tunnel: "",
        private: None,
        reason: "",
        failed: false,
        lasted: 0,
    };
    write(pen, from, &user, machine, host_id, ip, plain);
    write(pen, from + 2 * SECOND, &user, machine, host_id, ip, Step { event: "gateway-auth", ..plain });
    write(
        pen,
        from + 4 * SECOND,
        &user,
        machine,
        host_id,
        ip,
        Step {
            event: "gateway-connected",
            stage: "connected",
            tunnel: "IPSec",
            private: Some(tunnel),
            ..plain
        },
    );
    write(
        pen,
        until,
        &user,
        machine,
        host_id,
        ip,
        Step {
            event: "gateway-logout",
            stage: "logout",
            private: Some(tunnel),
            reason: "client logout",
            lasted: (until - from) / SECOND,
            ..plain
        },
    );
}

pub(crate) fn failed(pen: &mut Pen<'_>, at: Millis, user: &str, ip: Ipv4Addr) {
    let step = Step {
        event: "portal-auth",
        stage: "login",
        tunnel: "",
        private: None,
        reason: "Authentication failed: Invalid username or password",
        failed: true,
        lasted: 0,
    };
    write(pen, at, user, "", "", ip, step);
}
