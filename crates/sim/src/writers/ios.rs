//! Cisco IOS switches: 802.1X and VLAN assignment (Cisco IOS System Message Guide, AUTHMGR and DOT1X).

use crate::clock::{Civil, Millis, SECOND};
use crate::company::Person;
use crate::writers::Pen;

pub(crate) const FILE: &str = "switches.log";

/// A device comes up on a port and is put into a VLAN; returns switch, audit session and port.
pub(crate) fn port_up(
    pen: &mut Pen<'_>,
    at: Millis,
    person: &Person,
    mac: &str,
    vlan: u32,
    mab: bool,
) -> (String, String, String) {
    let office = &pen.company.offices[person.office];
    let switch = format!("sw-{}-{:02}", office.code.to_lowercase(), 1 + person.id % 3);
    let session = pen.rng.text("0123456789ABCDEF", 24);
    let port = format!("Gi{}/0/{}", 1 + person.id % 2, 1 + person.id % 46);
    let method = if mab { "mab" } else { "dot1x" };
    let texts = [
        format!(
            "%AUTHMGR-5-START: Starting '{method}' for client ({mac}) on Interface {port} AuditSessionID {session}"
        ),
        format!("%AUTHMGR-5-VLANASSIGN: VLAN {vlan} assigned to Interface {port} AuditSessionID {session}"),
        format!(
            "%AUTHMGR-5-SUCCESS: Authorization succeeded for client ({mac}) on Interface {port} AuditSessionID {session}"
        ),
    ];
    let number = pen.rng.range(1_000, 90_000);
    for (step, text) in (0i64..).zip(texts) {
        let when = at + step * SECOND;
        let c = Civil::utc(when);
        let stamp = format!("{} {:2} {} {}.{:03} UTC", c.month_name(), c.day, c.year, c.clock(), c.milli);
        pen.put(FILE, when, format!("<189>{:06}: {switch}: {stamp}: {text}", number + step));
    }
    (switch, session, port)
}
