//! Cisco ISE, RADIUS for the VPN gateways and 802.1X in the offices (Cisco ISE Syslogs: message code 5200, 5400).
//!
//! A message longer than one datagram is split into segments that share the message id: `<id> <total> <segment>`.
//! 802.1X answers are written that way, with the VLAN in the second segment.

use std::net::Ipv4Addr;

use crate::clock::{Civil, Millis};
use crate::company::Person;
use crate::writers::Pen;

pub(crate) const FILE: &str = "cisco-ise.log";

pub(crate) fn address(pen: &Pen<'_>) -> Ipv4Addr {
    Ipv4Addr::new(10, pen.company.offices[0].octet, 250, 200)
}

fn header(at: Millis, category: &str, id: i64, total: u8, segment: u8) -> String {
    let c = Civil::utc(at);
    format!("<181>{} ise-psn-01 CISE_{category} {id:010} {total} {segment}", c.bsd())
}

/// A VPN login: `Calling-Station-ID` is the public address there.
pub(crate) fn vpn(pen: &mut Pen<'_>, at: Millis, user: &str, ip: Ipv4Addr, device: &str, passed: bool) {
    let id = pen.rng.range(1_000_000, 99_999_999);
    let c = Civil::utc(at);
    let (category, code, text, status) = if passed {
        (
            "Passed_Authentications",
            "5200 NOTICE Passed-Authentication: Authentication succeeded",
            "",
            "AuthenticationPassed",
        )
    } else {
        (
            "Failed_Attempts",
            "5400 NOTICE Failed-Attempt: Authentication failed",
            " FailureReason=22040 Wrong password or invalid shared secret\\,,",
            "UnknownAuthenticationStatus",
        )
    };
    let head = header(at, category, id, 1, 0);
    let nas = Ipv4Addr::new(10, pen.company.offices[0].octet, 250, 1);
    let server = address(pen);
    let sequence = pen.rng.range(1_000_000, 99_999_999);
    let line = format!(
        "{head} {} {}.{:03} +00:00 {sequence:010} {code}, ConfigVersionId=104, Device IP Address={nas}, DestinationIPAddress={server}, DestinationPort=1812, RadiusPacketType=AccessRequest, UserName={user}, Protocol=Radius, NetworkDeviceName={device}, User-Name={user}, NAS-IP-Address={nas}, Calling-Station-ID={ip}, NAS-Port-Type=Virtual, Tunnel-Client-Endpoint=(tag=0) {ip},{text} AuthenticationMethod=PAP_ASCII, SelectedAccessService=VPN, AuthenticationStatus={status},",
        c.date(),
        c.clock(),
        c.milli,
    );
    pen.put(FILE, at, line);
}

/// Wired 802.1X with the VLAN that was given.
pub(crate) fn dot1x(
    pen: &mut Pen<'_>,
    at: Millis,
    person: &Person,
    mac: &str,
    switch: &str,
    session: &str,
    port: &str,
    vlan: u32,
    mab: bool,
) {
    let id = pen.rng.range(1_000_000, 99_999_999);
    let sequence = pen.rng.range(1_000_000, 99_999_999);
    let c = Civil::utc(at);
    let station = mac.to_uppercase();
    let octet = pen.company.offices[person.office].octet;
    let head = header(at, "Passed_Authentications", id, 2, 0);
    let (user, service, method) = if mab {
        (station.clone(), "Call Check", "mab")
    } else {
        (format!("{}\\{}", pen.company.netbios, person.login), "Framed", "dot1x")
    };
    let server = address(pen);
    pen.put(
        FILE,
        at,
        format!(
            "{head} {} {}.{:03} +00:00 {sequence:010} 5200 NOTICE Passed-Authentication: Authentication succeeded, ConfigVersionId=104, Device IP Address=10.{octet}.250.14, DestinationIPAddress={server}, DestinationPort=1812, UserName={user}, Protocol=Radius, NetworkDeviceName={switch}, User-Name={user}, NAS-IP-Address=10.{octet}.250.14, Service-Type={service}, Calling-Station-ID={station}, NAS-Port-Type=Ethernet, NAS-Port-Id={port}, cisco-av-pair=audit-session-id={session}, cisco-av-pair=method={method},",
            c.date(),
            c.clock(),
            c.milli,
        ),
    );
    let head = header(at, "Passed_Authentications", id, 2, 1);
    pen.put(
        FILE,
        at + 1,
        format!(
            "{head}  SelectedAccessService=Default Network Access, SelectedAuthorizationProfiles=Permit_VLAN{vlan}, AuthenticationStatus=AuthenticationPassed, CPMSessionID={session}, EndPointMACAddress={station}, Response={{Class=CACS:{session}:ise-psn-01; Tunnel-Type=(tag=1) VLAN; Tunnel-Medium-Type=(tag=1) 802; Tunnel-Private-Group-ID=(tag=1) {vlan}; }},"
        ),
    );
}
