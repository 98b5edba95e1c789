//! ISC dhcpd (dhcpd(8), syslog messages).

use std::net::Ipv4Addr;

use crate::clock::{Civil, Millis};
use crate::writers::Pen;

pub(crate) const FILE: &str = "dhcp-dhcpd.log";

pub(crate) fn lease(pen: &mut Pen<'_>, at: Millis, ip: Ipv4Addr, mac: &str, host: &str, relay: Ipv4Addr) {
    let c = Civil::utc(at);
    for (step, text) in [
        format!("DHCPREQUEST for {ip} from {mac} ({host}) via {relay}"),
        format!("DHCPACK on {ip} to {mac} ({host}) via {relay}"),
    ]
    .into_iter()
    .enumerate()
    {
        pen.put(FILE, at + step as i64, format!("{} dhcp-01 dhcpd[611]: {text}", c.bsd()));
    }
}
