//! OpenVPN server: who passed the password check, and which client learned which tunnel address; also as pfSense and
//! OPNsense run it, with the plugins for LDAP, PAM and RADIUS, and the management interface.
//!
//! Read from: the OpenVPN 2.6 manual and its log messages, management-notes.txt, openvpn-auth-ldap, pfSense and OPNsense
//! documentation. Traps: `deferred` asks a plugin and is no login yet; a renewed TLS session (`soft reset`) checks the
//! password again and is no new stay; `AUTH_FAILED,CRV1:` asks for a code and refuses nobody; a name may hold blanks; a
//! client that moves floats; peer info and ciphers say nothing.

use crate::decode::clock::{self, Stamp};
use crate::decode::find::{begins_with, find};
use crate::decode::kv::{after, word};
use crate::emit::{Emit, EventBuilder};
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source};
use portreeve_model::event::{Act, Factor, Flags, Outcome, Reason, Service};
use portreeve_model::time::Certainty;
use portreeve_model::{EventTime, Ip};

pub static SOURCE: Source = Source {
    name: "openvpn",
    title: "OpenVPN (also pfSense, OPNsense)",
    row: Row::Vpn,
    gives: &[
        Act::Posture,
        Act::Auth,
        Act::Mfa,
        Act::SessionStart,
        Act::IpAssign,
        Act::SessionResume,
        Act::SessionEnd,
    ],
    lacks: &[Field::Zone, Field::Device, Field::SessionId, Field::Bytes, Field::Host],
    traps: &[
        "auth_deferred",
        "renewed_keys",
        "dynamic_challenge",
        "names_with_blanks",
        "plugins",
        "pfsense",
        "management",
    ],
    manual: "OpenVPN 2.6 manual and its log messages",
    enable: "verb 3 in the server configuration; log-append or syslog",
    general: false,
    marks: &[
        "vpn",
        "TLS",
        "MULTI",
        "VERIFY ",
        "peer info:",
        "SENT CONTROL [",
        "PUSH: ",
        "Control Channel:",
        "Data Channel",
        "SIGTERM[soft",
        "SIGUSR1[soft",
        "Connection reset, restarting",
        "] Peer Connection Initiated with",
        ">CLIENT:",
        "LDAP",
        "ldap_bind",
        "Unable to bind as ",
        "TUN/TAP device",
        "IFCONFIG POOL",
        "ifconfig_pool",
        "AF_UNSPEC",
        "floated from",
    ],
    reader: Reader::Code { claim, parse, join: None },
};

/// The access server has a source of its own.
fn by_program(r: &Record<'_>) -> bool {
    let program = r.header.program;
    (program.starts_with(b"openvpn") || program.starts_with(b"ovpn")) && !program.starts_with(b"openvpnas")
}

/// Stamp of a file without syslog, and the message.
fn parts<'a>(r: &Record<'a>) -> (Option<(EventTime, Certainty)>, &'a [u8]) {
    if by_program(r) {
        return (r.header_time(), r.body);
    }
    let text = r.raw;
    // `Mon Oct  6 06:36:44 2025 us=…`, `2025-10-06 06:36:44`.
    let (stamp, rest) = match clock::iso(text) {
        Some((stamp, used)) => (Some(stamp), &text[used..]),
        None => match text.get(4..).and_then(clock::bsd) {
            Some((stamp, used)) => (Some(stamp), &text[4 + used..]),
            None => (None, r.body),
        },
    };
    let time = match stamp {
        Some(Stamp::Absolute(t)) => Some((t, Certainty::Exact)),
        Some(Stamp::Local(civil)) => r.clock.resolve(civil),
        None => r.header_time(),
    };
    let rest = rest.trim_ascii_start();
    let rest = if rest.starts_with(b"us=") { word(rest).1 } else { rest };
    (time, rest)
}

fn claim(r: &Record<'_>) -> bool {
    if by_program(r) {
        return true;
    }
    if r.body.first() == Some(&b'%') || r.shape != Shape::Text || super::openvpn_as::is_log(r) {
        return false;
    }
    let (_, text) = parts(r);
    let (first, rest) = peer(text);
    let message = if first.is_empty() { text } else { rest };
    const STARTS: [&[u8]; 28] = [
        b"TLS: Username/Password",
        b"TLS Auth Error",
        b"TLS Error",
        b"TLS: soft reset",
        b"TLS: Initial packet",
        b"MULTI: ",
        b"MULTI_sva",
        b"VERIFY ",
        b"peer info:",
        b"SENT CONTROL [",
        b"PUSH: ",
        b"Control Channel:",
        b"Incoming Data Channel:",
        b"Outgoing Data Channel:",
        b"Data Channel:",
        b"SIGTERM[soft",
        b"SIGUSR1[soft",
        b"Connection reset, restarting",
        b">CLIENT:",
        b"Incorrect password supplied for LDAP DN ",
        b"LDAP bind failed",
        b"No matching LDAP group found",
        b"LDAP user ",
        b"ldap_bind with zero-length password",
        b"Unable to bind as ",
        b"TUN/TAP device ",
        b"IFCONFIG POOL ",
        b"ifconfig_pool_read()",
    ];
    STARTS.iter().any(|s| message.starts_with(s))
        || find(message, b"] Peer Connection Initiated with").is_some()
        || find(message, b") floated from ").is_some()
        || find(message, b"link remote: [AF_UNSPEC]").is_some()
        || message.starts_with(b"openvpn server '")
}

/// `anna/192.0.2.5:4711 ` or `192.0.2.5:4711 ` at the front: name and address of the peer.
fn peer(text: &[u8]) -> (&[u8], &[u8]) {
    let (first, rest) = word(text);
    let address = first.rsplit(|b| *b == b'/').next().unwrap_or_default();
    if Ip::parse(address).is_some() {
        return (first, rest);
    }
    // `Anna Weber/192.0.2.5:4711 `: the address ends the first word that has a slash.
    let head = &text[..text.len().min(160)];
    let Some(slash) = memchr::memchr(b'/', head) else { return (b"", text) };
    let end = text[slash..].iter().position(|b| *b == b' ').map_or(text.len(), |n| n + slash);
    let plain = find(&text[..slash], b": ").is_none() && find(&text[..slash], b" -> ").is_none();
    let (ip, port) = Ip::parse_with_port(&text[slash + 1..end]);
    if plain && ip.is_some() && port != 0 {
        return (&text[..end], text[end..].trim_ascii_start());
    }
    (b"", text)
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let (time, text) = parts(r);
    // In a file without a syslog head the message begins where a host name would stand.
    let host = if by_program(r) { r.host() } else { r.outer_host };
    line(&Line { time, host, text }, out)
}

/// One message of the daemon, however it came.
pub(crate) struct Line<'a> {
    pub(crate) time: Option<(EventTime, Certainty)>,
    pub(crate) host: &'a [u8],
    pub(crate) text: &'a [u8],
}

impl Line<'_> {
    fn event<'e>(&self, out: &'e mut Emit<'_>, act: Act, outcome: Outcome) -> EventBuilder<'e> {
        out.event(act, outcome).at(self.time).service(Service::Vpn).observer(self.host)
    }
}

/// Between `marker` and the last `'`.
fn quoted<'a>(text: &'a [u8], marker: &[u8]) -> &'a [u8] {
    let from = find(text, marker).map_or(text.len(), |n| n + marker.len());
    let to = text.iter().rposition(|b| *b == b'\'').unwrap_or(from).max(from);
    &text[from..to]
}

pub(crate) fn line(l: &Line<'_>, out: &mut Emit<'_>) -> Parsed {
    let (peer, message) = peer(l.text);
    let slash = memchr::memrchr(b'/', peer);
    let name = slash.map_or(&b""[..], |n| &peer[..n]);
    let address = slash.map_or(peer, |n| &peer[n + 1..]);
    let has = |needle: &[u8]| find(message, needle).is_some();
    if message.starts_with(b"peer info:")
        || message.starts_with(b"Control Channel:")
        || message.starts_with(b"PUSH: ")
        || message.starts_with(b"TLS: soft reset")
        || has(b"Data Channel: ")
    {
        if name.is_empty() {
            return Parsed::Irrelevant(Kind::Housekeeping);
        }
        // In the middle of a session: nothing but who is where.
        return l.event(out, Act::Posture, Outcome::Unknown).user(name).source(address).done();
    }
    if message.starts_with(b"TLS: Username/Password authentication succeeded") {
        // A peer that already has a name renews its keys.
        if slash.is_some() {
            return Parsed::Irrelevant(Kind::Repeats);
        }
        return l
            .event(out, Act::Auth, Outcome::Success)
            .user(quoted(message, b"username '"))
            .source(address)
            .flag(Flags::PRE_MFA)
            .done();
    }
    if message.starts_with(b"TLS: Username/Password authentication deferred") {
        return Parsed::Irrelevant(Kind::Pending);
    }
    if has(b"AUTH_FAILED,CRV1:") || has(b"'INFO_PRE,CR_TEXT:") || has(b"'INFO_PRE,WEB_AUTH:") {
        // `SENT CONTROL [anna]: 'AUTH_FAILED,CRV1:R,E:…`: the first factor was right.
        let who = if name.is_empty() { after(message, b"CONTROL [", b"]").unwrap_or_default() } else { name };
        return l
            .event(out, Act::Mfa, Outcome::Challenge)
            .user(if who == b"UNDEF" { b"" } else { who })
            .source(address)
            .factor(Factor::Other)
            .done();
    }
    if message.starts_with(b"TLS Auth Error") || has(b"AUTH_FAILED") {
        let repeats = !message.starts_with(b"TLS Auth Error");
        return l
            .event(out, Act::Auth, Outcome::Failure)
            .user(name)
            .source(address)
            .reason(Reason::BadPassword)
            .flag_if(repeats, Flags::REPEATS)
            .done();
    }
    if let Some(rest) = message.strip_prefix(b"VERIFY ERROR: ") {
        let cn = after(rest, b"CN=", b",").unwrap_or_default();
        return l
            .event(out, Act::Auth, Outcome::Failure)
            .user(cn)
            .source(address)
            .reason(Reason::Certificate)
            .done();
    }
    if let Some(n) = find(message, b"] Peer Connection Initiated with [AF_INET") {
        let user = message[..n].strip_prefix(b"[").unwrap_or_default();
        let from =
            after(&message[n..], b"[AF_INET", b"").and_then(|t| after(t, b"]", b" ")).unwrap_or_default();
        return l.event(out, Act::SessionStart, Outcome::Success).user(user).source(from).done();
    }
    if let Some(rest) = message.strip_prefix(b"MULTI: Learn: ") {
        // `10.8.0.6 -> anna/192.0.2.5:4711`
        let (tunnel, rest) = word(rest);
        let who = rest.strip_prefix(b"-> ").unwrap_or_default();
        let slash = memchr::memrchr(b'/', who);
        let (user, from) = slash.map_or((name, who), |n| (&who[..n], &who[n + 1..]));
        return l.event(out, Act::IpAssign, Outcome::Success).user(user).source(from).tunnel(tunnel).done();
    }
    if let Some(n) = find(message, b") floated from ") {
        // `peer 0 (anna) floated from 192.0.2.5:4711 to [AF_INET]192.0.2.77:33333`
        let to = find(&message[n..], b" to ").map_or(&b""[..], |m| &message[n + m + 4..]);
        let to = to.strip_prefix(b"[AF_INET]").or_else(|| to.strip_prefix(b"[AF_INET6]")).unwrap_or(to);
        let user = if name.is_empty() { after(&message[..n], b"(", b"").unwrap_or_default() } else { name };
        return l.event(out, Act::SessionResume, Outcome::Success).user(user).source(word(to).0).done();
    }
    if has(b"client-instance exiting") || has(b"client-instance restarting") {
        if name.is_empty() {
            return Parsed::Irrelevant(Kind::Transport);
        }
        let reason = if has(b"remote-exit") {
            Reason::Logout
        } else if has(b"ping-restart") || has(b"connection-reset") {
            Reason::ConnectionLost
        } else {
            Reason::Other
        };
        return l
            .event(out, Act::SessionEnd, Outcome::Success)
            .user(name)
            .source(address)
            .reason(reason)
            .done();
    }
    if message.starts_with(b"openvpn server '") || message.starts_with(b"user '") {
        return pfsense(l, message, out);
    }
    if let Some(answer) = plugin(l, message, out) {
        return answer;
    }
    if message.starts_with(b"TLS Error")
        || message.starts_with(b"TLS: ")
        || message.starts_with(b"VERIFY OK")
        || message.starts_with(b"TCP connection established")
        || has(b"Bad encapsulated packet length")
    {
        return Parsed::Irrelevant(Kind::Transport);
    }
    if message.starts_with(b"MULTI_sva: pool returned") || message.starts_with(b"MULTI: primary virtual IP") {
        return Parsed::Irrelevant(Kind::Repeats);
    }
    if message.starts_with(b">CLIENT:") {
        // A notice without the environment that names the client, which comes in lines of its own.
        return Parsed::Irrelevant(Kind::Pending);
    }
    Parsed::housekeeping_if(
        begins_with(message, &KNOWN) || has(b"process restarting") || has(b"process exiting"),
    )
}

/// Beginnings of what OpenVPN says of its own start, its options, routes and keys.
const KNOWN: [&[u8]; 48] = [
    b"/bin/ip ",
    b"/sbin/",
    b"/usr/sbin/",
    b"Attempting to establish TCP",
    b"Authenticate/Decrypt packet error",
    b"CRL: loaded ",
    b"Cannot load ",
    b"Closing TUN/TAP",
    b"Could not determine IPv4/IPv6",
    b"DEPRECATED OPTION",
    b"Diffie-Hellman initialized",
    b"ECDH curve ",
    b"IFCONFIG POOL",
    b"Incoming Control Channel",
    b"Incoming Data Channel",
    b"Inactivity timeout",
    b"Initialization Sequence Completed",
    b"Inotify ",
    b"LZO compression",
    b"Listening for incoming TCP",
    b"MANAGEMENT: ",
    b"MULTI: ",
    b"NOTE: ",
    b"Note: ",
    b"OPTIONS IMPORT",
    b"OpenSSL: ",
    b"OpenVPN 2",
    b"Options error",
    b"Outgoing Control Channel",
    b"Outgoing Data Channel",
    b"PLUGIN_",
    b"PUSH: ",
    b"Re-using SSL/TLS context",
    b"ROUTE",
    b"SENT CONTROL ",
    b"SIGHUP",
    b"SIGINT",
    b"SIGTERM",
    b"SIGUSR1",
    b"Socket Buffers",
    b"TCP/UDP",
    b"TCPv4_SERVER",
    b"TUN/TAP ",
    b"UDPv4 ",
    b"UDPv6 ",
    b"WARNING: ",
    b"library versions",
    b"net_",
];

/// pfSense and OPNsense: `user 'anna' authenticated`, `user 'anna' could not authenticate.`,
/// `openvpn server 'ovpns1' user 'anna' address '192.0.2.9:1194' - connected`.
fn pfsense(l: &Line<'_>, message: &[u8], out: &mut Emit<'_>) -> Parsed {
    let Some(rest) = after(message, b"user '", b"") else { return Parsed::Irrelevant(Kind::OtherMessage) };
    if message.starts_with(b"user '") {
        // The name was typed by whoever is at the door, so the words are looked for from the end.
        if let Some(at) = memchr::memmem::rfind(rest, b"' could not authenticate") {
            return l
                .event(out, Act::Auth, Outcome::Failure)
                .user(&rest[..at])
                .reason(Reason::BadPassword)
                .done();
        }
        return match memchr::memmem::rfind(rest, b"' authenticated") {
            Some(at) => {
                l.event(out, Act::Auth, Outcome::Success).user(&rest[..at]).flag(Flags::PRE_MFA).done()
            }
            None => Parsed::Irrelevant(Kind::OtherMessage),
        };
    }
    let Some(at) = memchr::memmem::rfind(rest, b"' address '") else {
        return Parsed::Irrelevant(Kind::OtherMessage);
    };
    let (address, tail) = (after(&rest[at..], b" address '", b"'").unwrap_or_default(), &rest[at..]);
    let act = if tail.ends_with(b" - connected") {
        Act::SessionStart
    } else if tail.ends_with(b" - disconnected") {
        Act::SessionEnd
    } else {
        return Parsed::Irrelevant(Kind::Pending);
    };
    l.event(out, act, Outcome::Success)
        .user(&rest[..at])
        .source(address)
        .group(after(message, b"openvpn server '", b"'").unwrap_or_default())
        .done()
}

/// What the plugins for directories say: who was refused, from no address.
fn plugin(l: &Line<'_>, message: &[u8], out: &mut Emit<'_>) -> Option<Parsed> {
    // `No matching LDAP group found for user DN "CN=anna,…", and group membership is required.`: the password was right.
    if let Some(dn) = after(message, b"No matching LDAP group found for user DN \"", b"\"") {
        let refused = l.event(out, Act::Auth, Outcome::BlockedAfterPassword);
        return Some(refused.user(common_name(dn)).reason(Reason::NotAllowed).done());
    }
    let mut fail = |user: &[u8], reason, repeats| {
        Some(
            l.event(out, Act::Auth, Outcome::Failure)
                .user(user)
                .reason(reason)
                .flag_if(repeats, Flags::REPEATS)
                .done(),
        )
    };
    if let Some(dn) = after(message, b"Incorrect password supplied for LDAP DN \"", b"\"") {
        return fail(common_name(dn), Reason::BadPassword, false);
    }
    if let Some(rest) = message.strip_prefix(b"LDAP user \"") {
        let at = memchr::memmem::rfind(rest, b"\" was not found")?;
        return fail(&rest[..at], Reason::NoUser, false);
    }
    // The code behind `data` is Active Directory's reason; who it was stands in another line.
    if message.starts_with(b"LDAP bind failed") {
        let reason = match after(message, b" data ", b",") {
            Some(b"525") => Reason::NoUser,
            Some(b"530" | b"531") => Reason::Hours,
            Some(b"532" | b"701" | b"773") => Reason::Expired,
            Some(b"533") => Reason::Disabled,
            Some(b"775") => Reason::Locked,
            _ => Reason::BadPassword,
        };
        return fail(b"", reason, true);
    }
    if message.starts_with(b"ldap_bind with zero-length password") {
        return fail(b"", Reason::BadPassword, true);
    }
    if let Some(dn) = message.strip_prefix(b"Unable to bind as ") {
        return fail(dn, Reason::BadPassword, true);
    }
    // `AUTH-PAM: BACKGROUND: user 'anna' failed to authenticate: Authentication failure`
    if let Some(rest) = after(message, b"AUTH-PAM: BACKGROUND: user '", b"") {
        let at = memchr::memmem::rfind(rest, b"' failed to authenticate")?;
        return fail(&rest[..at], Reason::BadPassword, false);
    }
    if find(message, b"RADIUS-PLUGIN: BACKGROUND AUTH: Auth failed").is_some() {
        return fail(b"", Reason::BadPassword, true);
    }
    None
}

/// The account in the name of an entry: `CN=anna,OU=people,…`, `uid=anna,…`.
fn common_name(dn: &[u8]) -> &[u8] {
    [&b"CN="[..], b"cn=", b"uid="].iter().find_map(|m| after(dn, m, b",")).unwrap_or(dn)
}
