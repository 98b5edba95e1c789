//! Citrix NetScaler Gateway (NetScaler Syslog Message Reference: AAA, SSLVPN). Date order MM/DD/YYYY, GMT.

use std::net::Ipv4Addr;

use crate::clock::{Civil, HOUR, MINUTE, Millis, SECOND};
use crate::writers::Pen;

pub(crate) const FILE: &str = "netscaler-ns-01.log";

pub(crate) fn public(pen: &Pen<'_>) -> Ipv4Addr {
    Ipv4Addr::from(pen.company.offices[0].egress.first + 5)
}

fn stamp(at: Millis) -> String {
    let c = Civil::utc(at);
    format!("{:02}/{:02}/{:04}:{} GMT", c.month, c.day, c.year, c.clock())
}

fn write(pen: &mut Pen<'_>, at: Millis, class: &str, event: &str, text: &str) {
    let (core, number) = (pen.rng.range(0, 2), at / 100 % 100_000_000);
    pen.put(
        FILE,
        at,
        format!("<134> {} ns-01 0-PPE-{core} : default {class} {event} {number} 0 : {text}", stamp(at)),
    );
}

/// One session of the gateway, named by its session id.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) user: String,
    pub(crate) id: i64,
    pub(crate) client: Ipv4Addr,
    pub(crate) from: Millis,
}

pub(crate) fn login(pen: &mut Pen<'_>, at: Millis, user: &str, client: Ipv4Addr, agent: &str) -> Session {
    let session = Session { user: user.to_owned(), id: pen.rng.range(10_000, 9_999_999), client, from: at };
    let vserver = public(pen);
    write(
        pen,
        at,
        "SSLVPN",
        "LOGIN",
        &format!(
            "Context {user}@{client} - SessionId: {} - User {user} - Client_ip {client} - Nat_ip \"Mapped Ip\" - Vserver {vserver}:443 - Browser_type \"{agent}\" - SSLVPN_client_type ICA - Group(s) \"CTX_Users\"",
            session.id
        ),
    );
    session
}

/// A published application is opened.
pub(crate) fn application(pen: &mut Pen<'_>, at: Millis, session: &Session, name: &str, server: Ipv4Addr) {
    let (port, id) = (pen.rng.port(), pen.rng.hex(16));
    let (user, client) = (&session.user, session.client);
    let domain = pen.company.netbios.to_lowercase();
    write(
        pen,
        at,
        "SSLVPN",
        "ICASTART",
        &format!(
            "Source {client}:{port} - Destination {server}:2598 - customername  - username:domainname {user}:{domain} - applicationName {name} - startTime \"{}\" - connectionId {id}",
            stamp(at)
        ),
    );
}

/// Traffic of a session, from the address given: token theft shows the same session id from another client.
pub(crate) fn traffic(
    pen: &mut Pen<'_>,
    at: Millis,
    session: &Session,
    client: Ipv4Addr,
    server: Ipv4Addr,
    port: u16,
) {
    let (sport, sent) = (pen.rng.port(), pen.rng.range(2_000, 900_000));
    let (user, vserver) = (&session.user, public(pen));
    let start = at - 20 * SECOND;
    write(
        pen,
        at,
        "SSLVPN",
        "TCPCONNSTAT",
        &format!(
            "Context {user}@{client} - SessionId: {} - User {user} - Client_ip {client} - Nat_ip \"Mapped Ip\" - Vserver {vserver}:443 - Source {client}:{sport} - Destination {server}:{port} - Start_time \"{}\" - End_time \"{}\" - Duration 00:00:20  - Total_bytes_send {sent} - Total_bytes_recv {} - Total_compressedbytes_send 0 - Total_compressedbytes_recv 0 - Compression_ratio_send 0.00% - Compression_ratio_recv 0.00% - Access Allowed - Group(s) \"CTX_Users\"",
            session.id,
            stamp(start),
            stamp(at),
            sent / 7
        ),
    );
}

pub(crate) fn logout(pen: &mut Pen<'_>, at: Millis, session: &Session) {
    let lasted = at - session.from;
    let (user, client, vserver) = (&session.user, session.client, public(pen));
    let (sent, received) = (pen.rng.range(1 << 18, 1 << 26), pen.rng.range(1 << 18, 1 << 24));
    write(
        pen,
        at,
        "SSLVPN",
        "LOGOUT",
        &format!(
            "Context {user}@{client} - SessionId: {} - User {user} - Client_ip {client} - Nat_ip \"Mapped Ip\" - Vserver {vserver}:443 - Start_time \"{}\" - End_time \"{}\" - Duration {:02}:{:02}:{:02}  - Http_resources_accessed 0 - NonHttp_services_accessed 0 - Total_TCP_connections 7 - Total_UDP_flows 0 - Total_policies_allowed 7 - Total_policies_denied 0 - Total_bytes_send {sent} - Total_bytes_recv {received} - Total_compressedbytes_send 0 - Total_compressedbytes_recv 0 - Compression_ratio_send 0.00% - Compression_ratio_recv 0.00% - LogoutMethod \"Explicit\" - Group(s) \"CTX_Users\"",
            session.id,
            stamp(session.from),
            stamp(at),
            lasted / HOUR,
            lasted / MINUTE % 60,
            lasted / SECOND % 60
        ),
    );
}

/// The same failure is written twice, by AAA and as a message.
pub(crate) fn failed(pen: &mut Pen<'_>, at: Millis, user: &str, client: Ipv4Addr) {
    let vserver = public(pen);
    write(
        pen,
        at,
        "AAA",
        "LOGIN_FAILED",
        &format!(
            "User {user} - Client_ip {client} - Failure_reason \"External authentication server denied access\""
        ),
    );
    write(
        pen,
        at + 5,
        "AAA",
        "Message",
        &format!(
            " \"Authentication is rejected for {user} (client ip : {client}  , vserver ip: {vserver}   ), extended error, if any : \""
        ),
    );
}
