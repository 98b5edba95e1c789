//! OpenVPN server (OpenVPN 2.6 reference manual; `--verb 3`, ISO stamps, UTC).

use std::net::Ipv4Addr;

use crate::clock::{Civil, Millis, SECOND};
use crate::writers::Pen;

pub(crate) const FILE: &str = "openvpn-ovpn-01.log";

fn write(pen: &mut Pen<'_>, at: Millis, text: &str) {
    let c = Civil::utc(at);
    pen.put(FILE, at, format!("{} {} {text}", c.date(), c.clock()));
}

pub(crate) fn session(
    pen: &mut Pen<'_>,
    from: Millis,
    until: Millis,
    user: &str,
    ip: Ipv4Addr,
    tunnel: Ipv4Addr,
) {
    let port = pen.rng.port();
    let peer = format!("{ip}:{port}");
    let domain = pen.company.domain;
    let (first, second) = (pen.rng.hex(8), pen.rng.hex(8));
    write(pen, from, &format!("{peer} TLS: Initial packet from [AF_INET]{peer}, sid={first} {second}"));
    write(pen, from + 150, &format!("{peer} VERIFY OK: depth=1, CN={domain} VPN CA"));
    write(pen, from + 160, &format!("{peer} VERIFY OK: depth=0, CN={user}"));
    write(
        pen,
        from + 900,
        &format!("{peer} TLS: Username/Password authentication succeeded for username '{user}'"),
    );
    write(pen, from + 950, &format!("{peer} [{user}] Peer Connection Initiated with [AF_INET]{peer}"));
    write(
        pen,
        from + SECOND,
        &format!("{user}/{peer} MULTI_sva: pool returned IPv4={tunnel}, IPv6=(Not enabled)"),
    );
    write(pen, from + SECOND + 10, &format!("{user}/{peer} MULTI: Learn: {tunnel} -> {user}/{peer}"));
    write(
        pen,
        from + SECOND + 20,
        &format!("{user}/{peer} MULTI: primary virtual IP for {user}/{peer}: {tunnel}"),
    );
    write(pen, until, &format!("{user}/{peer} SIGTERM[soft,remote-exit] received, client-instance exiting"));
}

pub(crate) fn failed(pen: &mut Pen<'_>, at: Millis, ip: Ipv4Addr) {
    let port = pen.rng.port();
    write(
        pen,
        at,
        &format!("{ip}:{port} TLS Auth Error: Auth Username/Password verification failed for peer"),
    );
}
