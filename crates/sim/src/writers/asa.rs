//! Cisco ASA, remote access VPN and firewall lines (Cisco Secure Firewall ASA Series Syslog Messages).
//!
//! The second country's appliance runs on local time and writes no year (`logging timestamp` off at the source, the
//! relay's RFC 3164 stamp in front), which is what `log_sources.csv` declares.

use std::net::Ipv4Addr;

use crate::clock::{HOUR, MINUTE, Millis, SECOND};
use crate::writers::Pen;

/// One appliance.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    pub(crate) file: String,
    pub(crate) host: String,
    second: bool,
}

pub(crate) fn device(pen: &Pen<'_>, second: bool) -> Device {
    let office = if second { first_of_second(pen) } else { 0 };
    let host = format!("asa-{}-01", pen.company.offices[office].code.to_lowercase());
    Device { file: format!("{host}.log"), host, second }
}

fn first_of_second(pen: &Pen<'_>) -> usize {
    (0..pen.company.offices.len()).find(|at| pen.company.is_second(*at)).unwrap_or(0)
}

impl Device {
    pub(crate) fn public(&self, pen: &Pen<'_>) -> Ipv4Addr {
        let office = if self.second { first_of_second(pen) } else { 0 };
        pen.company.offices[office].gateway_public()
    }

    fn write(&self, pen: &mut Pen<'_>, at: Millis, severity: u8, id: u32, text: &str) {
        let head = if self.second {
            let c = pen.company.zones[1].civil(at);
            format!("<{}>{} {}", 160 + severity, c.bsd(), self.host)
        } else {
            let c = crate::clock::Civil::utc(at);
            format!(
                "<{}>{} {:02} {:04} {} {}",
                160 + severity,
                c.month_name(),
                c.day,
                c.year,
                c.clock(),
                self.host
            )
        };
        pen.put(&self.file, at, format!("{head} : %ASA-{severity}-{id}: {text}"));
    }

    /// Password and second factor accepted by the RADIUS server.
    pub(crate) fn accepted(&self, pen: &mut Pen<'_>, at: Millis, user: &str, ip: Ipv4Addr) {
        let server = super::ise::address(pen);
        self.write(
            pen,
            at,
            6,
            113004,
            &format!("AAA user authentication Successful : server =  {server} : user = {user}"),
        );
        self.write(
            pen,
            at + 40,
            6,
            734001,
            &format!("DAP: User {user}, Addr {ip}, Connection AnyConnect: The following DAP records were selected for this connection: DfltAccessPolicy"),
        );
    }

    pub(crate) fn rejected(&self, pen: &mut Pen<'_>, at: Millis, user: &str, ip: Ipv4Addr, reason: &str) {
        let server = super::ise::address(pen);
        self.write(
            pen,
            at,
            6,
            113005,
            &format!("AAA user authentication Rejected : reason = {reason} : server = {server} : user = {user} : user IP = {ip}"),
        );
        self.write(
            pen,
            at + 60,
            6,
            716039,
            &format!("Group <DfltGrpPolicy> User <{user}> IP <{ip}> Authentication: rejected, Session Type: WebVPN."),
        );
    }

    /// Parent session, tunnel address, client.
    pub(crate) fn connected(
        &self,
        pen: &mut Pen<'_>,
        at: Millis,
        user: &str,
        ip: Ipv4Addr,
        tunnel: Ipv4Addr,
        policy: &str,
    ) {
        let who = format!("Group <{policy}> User <{user}> IP <{ip}>");
        self.write(pen, at, 6, 113039, &format!("{who} AnyConnect parent session started."));
        self.write(
            pen,
            at + 2 * SECOND,
            4,
            722051,
            &format!("{who} IPv4 Address <{tunnel}> IPv6 address <::> assigned to session"),
        );
        self.write(
            pen,
            at + 2 * SECOND + 20,
            6,
            722055,
            &format!("{who} Client Type: Cisco AnyConnect VPN Agent for Windows 5.1.2.42"),
        );
        self.write(
            pen,
            at + 2 * SECOND + 90,
            6,
            722022,
            &format!("{who} TCP SVC connection established without compression"),
        );
    }

    /// The same session goes on from another public address.
    pub(crate) fn resumed(
        &self,
        pen: &mut Pen<'_>,
        at: Millis,
        user: &str,
        from: Ipv4Addr,
        to: Ipv4Addr,
        policy: &str,
    ) {
        self.write(pen, at, 6, 716058, &format!("Group <{policy}> User <{user}> IP <{from}> AnyConnect session lost connection. Waiting to resume."));
        self.write(
            pen,
            at + 25 * SECOND,
            6,
            716059,
            &format!("Group <{policy}> User <{user}> IP <{from}> AnyConnect session resumed connection from IP <{to}>."),
        );
    }

    pub(crate) fn disconnected(
        &self,
        pen: &mut Pen<'_>,
        at: Millis,
        user: &str,
        ip: Ipv4Addr,
        lasted: Millis,
        tunnel_group: &str,
    ) {
        let (sent, received) = (pen.rng.range(1 << 20, 1 << 29), pen.rng.range(1 << 19, 1 << 28));
        let reason = *pen.rng.pick(&["User Requested", "User Requested", "Idle Timeout", "Lost Service"]);
        self.write(
            pen,
            at,
            4,
            113019,
            &format!(
                "Group = {tunnel_group}, Username = {user}, IP = {ip}, Session disconnected. Session Type: AnyConnect-Parent, Duration: {}h:{:02}m:{:02}s, Bytes xmt: {sent}, Bytes rcv: {received}, Reason: {reason}",
                lasted / HOUR,
                lasted / MINUTE % 60,
                lasted / SECOND % 60
            ),
        );
    }

    /// An attempt from the Internet that the access list refused.
    pub(crate) fn denied(&self, pen: &mut Pen<'_>, at: Millis, source: Ipv4Addr, port: u16) {
        let (sport, target) = (pen.rng.port(), self.public(pen));
        self.write(
            pen,
            at,
            4,
            106023,
            &format!("Deny tcp src outside:{source}/{sport} dst inside:{target}/{port} by access-group \"outside_access_in\" [0x0, 0x0]"),
        );
    }
}

/// Name of the policy that asks for a push, and of the exception that does not.
pub(crate) const POLICY: &str = "GroupPolicy_Employees";
pub(crate) const LEGACY_POLICY: &str = "GroupPolicy_Legacy";
