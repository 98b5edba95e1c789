//! Sophos Firewall (SFOS; XG and XGS): SSL VPN, IPsec, authentication, administration, connections, leases.
//!
//! Read from: Sophos Firewall syslog guide (standard and central format). Traps: a logout is an authentication
//! with `status="Successful"`; the firewall's own authentication repeats what the VPN says; `ipaddress` of the SSL VPN is the address
//! given and `remote_ip` is the peer, which may stand inside the pool too; the zone is a name, an offset of hours, or part of the stamp;
//! `user_name="-"` is nobody.

use crate::decode::clock::{self, Clock, Stamp};
use crate::decode::find::find;
use crate::decode::kv::{self, after, between, number};
use crate::emit::{Emit, EventBuilder};
use crate::firewall::asa_traffic::worth;
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Change, Flags, Outcome, Reason, Service};
use portreeve_model::time::Certainty;
use portreeve_model::{EventTime, Ip};

pub static SOURCE: Source = Source {
    name: "sophos_firewall",
    title: "Sophos Firewall (XG, XGS)",
    row: Row::Vpn,
    gives: &[
        Act::Lease,
        Act::Auth,
        Act::SessionStart,
        Act::IpAssign,
        Act::SessionEnd,
        Act::Admin,
        Act::Config,
        Act::Account,
        Act::Flow,
        Act::Alert,
    ],
    lacks: &[Field::Mfa],
    traps: &["logout_is_successful", "zones", "central_format", "address_in_the_name"],
    manual: "Sophos Firewall: Syslog guide",
    enable: "Configure > System services > Log settings: add a syslog server and check Firewall, Authentication, Admin and System events; log traffic in the rules of remote access and in Device access",
    general: false,
    marks: &["log_component=\""],
    reader: Reader::Code { claim, parse, join: None },
};

fn claim(r: &Record<'_>) -> bool {
    let head = &r.body[..r.body.len().min(500)];
    find(head, b"log_type=\"").is_some()
        && find(head, b"log_component=\"").is_some()
        && (find(head, b"device_id=").is_some()
            || find(head, b"device_serial_id=").is_some()
            || find(head, b"device=\"SFW\"").is_some()
            || find(head, b"device_name=\"").is_some())
}

#[derive(Default)]
struct Fields<'a> {
    date: &'a [u8],
    time: &'a [u8],
    zone: &'a [u8],
    timestamp: &'a [u8],
    name: &'a [u8],
    serial: &'a [u8],
    kind: &'a [u8],
    component: &'a [u8],
    subtype: &'a [u8],
    status: &'a [u8],
    user: &'a [u8],
    group: &'a [u8],
    client: &'a [u8],
    mechanism: &'a [u8],
    reason: &'a [u8],
    message: &'a [u8],
    src: &'a [u8],
    dst: &'a [u8],
    sport: &'a [u8],
    dport: &'a [u8],
    given: &'a [u8],
    remote: &'a [u8],
    remote_net: &'a [u8],
    session: &'a [u8],
    sent: &'a [u8],
    received: &'a [u8],
    seconds: &'a [u8],
    mac: &'a [u8],
    host: &'a [u8],
    mode: &'a [u8],
    title: &'a [u8],
}

impl<'a> Fields<'a> {
    fn set(&mut self, key: &[u8], value: &'a [u8]) {
        let slot = match key {
            b"date" => &mut self.date,
            b"time" => &mut self.time,
            b"timezone" => &mut self.zone,
            b"timestamp" => &mut self.timestamp,
            b"device_name" => &mut self.name,
            b"device_id" | b"device_serial_id" => &mut self.serial,
            b"log_type" => &mut self.kind,
            b"log_component" => &mut self.component,
            b"log_subtype" => &mut self.subtype,
            b"status" => &mut self.status,
            b"user_name" | b"user" => &mut self.user,
            b"usergroupname" | b"user_group" => &mut self.group,
            b"auth_client" | b"client_used" => &mut self.client,
            b"auth_mechanism" => &mut self.mechanism,
            b"reason" => &mut self.reason,
            b"message" => &mut self.message,
            b"src_ip" | b"sourceip" => &mut self.src,
            b"dst_ip" | b"destinationip" => &mut self.dst,
            b"src_port" => &mut self.sport,
            b"dst_port" => &mut self.dport,
            b"ipaddress" | b"reported_ip" | b"leased_ip" => &mut self.given,
            b"remote_ip" | b"remoteinterfaceip" | b"remote_interface_ip" => &mut self.remote,
            b"remotenetwork" | b"remote_network" => &mut self.remote_net,
            b"sessionid" | b"session_id" => &mut self.session,
            b"sent_bytes" | b"sentbytes" | b"bytes_sent" => &mut self.sent,
            b"recv_bytes" | b"recvdbytes" | b"bytes_received" => &mut self.received,
            b"duration" => &mut self.seconds,
            b"src_mac" | b"client_physical_address" => &mut self.mac,
            b"reported_host" | b"client_host_name" => &mut self.host,
            b"Mode" | b"mode" => &mut self.mode,
            b"signature_msg" | b"threatname" => &mut self.title,
            _ => return,
        };
        if slot.is_empty() {
            *slot = value;
        }
    }

    fn when(&self, r: &Record<'_>) -> Option<(EventTime, Certainty)> {
        // `2026-03-02T08:00:01+0100`; elsewhere a `timestamp` of seconds repeats the date.
        match clock::iso(self.timestamp) {
            Some((Stamp::Absolute(t), _)) => return Some((t, Certainty::Exact)),
            Some((Stamp::Local(civil), _)) => return r.clock.resolve(civil),
            None => {}
        }
        let mut both = [0u8; 19];
        if self.date.len() != 10 || self.time.len() < 8 {
            return r.header_time();
        }
        both[..10].copy_from_slice(self.date);
        both[10] = b' ';
        both[11..].copy_from_slice(&self.time[..8]);
        let Some((Stamp::Local(civil), _)) = clock::iso(&both) else { return r.header_time() };
        let east = clock::zone_name(self.zone).or_else(|| clock::offset(self.zone).map(|(s, _)| s));
        match east {
            Some(east) => Clock::with_offset(civil, east).map(|t| (t, Certainty::Exact)),
            None => r.clock.resolve(civil),
        }
    }

    fn observer<'r>(&self, r: &Record<'r>) -> &'r [u8]
    where
        'a: 'r,
    {
        // `SFW` is what every one of them is called that has no name.
        [if self.name == b"SFW" { b"" } else { self.name }, self.serial, r.host()]
            .into_iter()
            .find(|o| !o.is_empty())
            .unwrap_or_default()
    }
}

fn base<'e>(event: EventBuilder<'e>, r: &Record<'_>, f: &Fields<'_>) -> EventBuilder<'e> {
    event
        .at(f.when(r))
        .service(Service::Vpn)
        .user(f.user)
        .source(f.src)
        .group(f.group)
        .client(f.client)
        .observer(f.observer(r))
        .flag_if(f.mechanism == b"Local", Flags::LOCAL_ACCOUNT)
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let mut f = Fields::default();
    for (key, value) in kv::pairs(r.body) {
        f.set(key, value);
    }
    if f.component.is_empty() {
        return Parsed::Broken(Why::Missing("component"));
    }
    match f.kind {
        b"Firewall" => flow(r, &f, out),
        b"Event" | b"Admin" | b"Authentication" | b"VPN" | b"System" => event(r, &f, out),
        b"IDP" | b"IPS" | b"ATP" => alert(r, &f, out),
        _ => Parsed::Irrelevant(Kind::Traffic),
    }
}

fn event(r: &Record<'_>, f: &Fields<'_>, out: &mut Emit<'_>) -> Parsed {
    let has = |words: &[u8]| find(f.message, words).is_some();
    if f.component.ends_with(b"Authentication") || f.subtype == b"Authentication" {
        return authentication(r, f, out);
    }
    match f.component {
        b"SSL VPN" => {
            let remote = Ip::parse(f.remote);
            // The peer, unless it is the pool's other end.
            let source = if remote.is_public() { f.remote } else { f.src };
            let act = match f.status {
                b"Established" | b"Connected" => Act::IpAssign,
                b"Terminated" | b"Disconnected" => Act::SessionEnd,
                b"Failed" => Act::Auth,
                _ => return Parsed::Irrelevant(Kind::OtherMessage),
            };
            if f.mode == b"Site to Site" || f.user.is_empty() {
                return Parsed::Irrelevant(Kind::Transport);
            }
            session(r, f, act, f.given, source, out)
        }
        b"IPSec" | b"IPsec" | b"L2TP" | b"PPTP" => {
            // Site-to-site tunnels have no user.
            if matches!(f.user, b"" | b"-" | b"N/A") {
                return Parsed::Irrelevant(Kind::Transport);
            }
            let given = if f.given.is_empty() { f.remote_net } else { f.given };
            let given = given.split(|b| *b == b'/').next().unwrap_or_default();
            let said = between(f.message, b"(Remote: ", b")").unwrap_or_default();
            let source = [f.remote, said, f.src].into_iter().find(|s| !s.is_empty()).unwrap_or_default();
            match f.status {
                b"Established" | b"Successful" | b"Connected" => {
                    session(r, f, Act::IpAssign, given, source, out)
                }
                b"Terminated" | b"Disconnected" => session(r, f, Act::SessionEnd, given, source, out),
                b"Failed" if has(b"uthenticat") || has(b"redential") => {
                    session(r, f, Act::Auth, b"", source, out)
                }
                _ => Parsed::Irrelevant(Kind::Transport),
            }
        }
        b"DHCP Server" => {
            // `Lease IP 192.168.2.250 renewed for MAC …`: what the message says was given.
            let said = after(f.message, b"Lease IP ", b" ").unwrap_or(f.given);
            if !matches!(f.status, b"Renew" | b"Assign" | b"Assigned") || Ip::parse(said).is_none() {
                return Parsed::Irrelevant(Kind::Housekeeping);
            }
            out.event(Act::Lease, Outcome::Success)
                .at(f.when(r))
                .service(Service::Dhcp)
                .tunnel(said)
                .mac(f.mac)
                .device(f.host)
                .observer(f.observer(r))
                .done()
        }
        b"GUI" | b"CLI" | b"Console" | b"API" | b"Central Management" | b"Web Admin Console" => {
            admin(r, f, out)
        }
        _ if f.subtype == b"Admin" => admin(r, f, out),
        _ => Parsed::Irrelevant(Kind::OtherMessage),
    }
}

fn session(
    r: &Record<'_>,
    f: &Fields<'_>,
    act: Act,
    given: &[u8],
    source: &[u8],
    out: &mut Emit<'_>,
) -> Parsed {
    let outcome = if act == Act::Auth { Outcome::Failure } else { Outcome::Success };
    let tunnel = Ip::parse(given);
    let act = if act == Act::IpAssign && tunnel.is_none() { Act::SessionStart } else { act };
    let mut e = base(out.event(act, outcome), r, f)
        .source(source)
        .tunnel_ip(tunnel)
        .sid(f.session)
        .client(f.component);
    if act == Act::SessionEnd {
        e = e
            .duration_s(u32::try_from(number(f.seconds)).unwrap_or(u32::MAX))
            .bytes(number(f.received), number(f.sent));
    }
    if act == Act::Auth {
        e = e.reason(reason(f));
    }
    e.done()
}

fn reason(f: &Fields<'_>) -> Reason {
    let has = |words: &[u8]| find(f.reason, words).is_some() || find(f.message, words).is_some();
    if has(b"locked") || has(b"blocked") {
        Reason::Locked
    } else if has(b"one-time") || has(b"OTP") {
        Reason::MfaFailed
    } else if has(b"wrong credentials") || has(b"password") || has(b"invalid credentials") {
        Reason::BadPassword
    } else if has(b"expired") {
        Reason::Expired
    } else if has(b"disabled") || has(b"inactive") {
        Reason::Disabled
    } else if has(b"not allowed") || has(b"not permitted") || has(b"restrict") {
        Reason::NotAllowed
    } else if has(b"access time") {
        Reason::Hours
    } else if has(b"limit") || has(b"maximum") {
        Reason::Policy
    } else {
        Reason::Other
    }
}

fn authentication(r: &Record<'_>, f: &Fields<'_>, out: &mut Emit<'_>) -> Parsed {
    let has = |words: &[u8]| find(f.message, words).is_some();
    let outcome = match f.status {
        b"Successful" => Outcome::Success,
        b"Failed" => Outcome::Failure,
        _ => return Parsed::Irrelevant(Kind::OtherMessage),
    };
    let out_again = has(b" logged out") || has(b"was logged out");
    let tunnel = matches!(f.client, b"SSLVPN" | b"SSL VPN" | b"IPSec" | b"IPsec" | b"L2TP" | b"PPTP");
    if f.component == b"Firewall Authentication" {
        // Behind a tunnel the firewall repeats who is there.
        if out_again || (tunnel && outcome == Outcome::Success) {
            return Parsed::Irrelevant(Kind::Repeats);
        }
        return base(out.event(Act::Auth, outcome), r, f)
            .service(Service::Firewall)
            .reason(if outcome == Outcome::Failure { reason(f) } else { Reason::None })
            .done();
    }
    if out_again {
        return Parsed::Irrelevant(Kind::OtherMessage);
    }
    base(out.event(Act::Auth, outcome), r, f)
        .group(f.component)
        .reason(if outcome == Outcome::Failure { reason(f) } else { Reason::None })
        .done()
}

fn admin(r: &Record<'_>, f: &Fields<'_>, out: &mut Emit<'_>) -> Parsed {
    let has = |words: &[u8]| find(f.message, words).is_some();
    let bad = f.status == b"Failed";
    let outcome = if bad { Outcome::Failure } else { Outcome::Success };
    if has(b"logged in") || has(b"failed to login") || has(b"failed to log in") || has(b"login fail") {
        return managed(out.event(Act::Admin, outcome), r, f)
            .reason(if bad { reason(f) } else { Reason::None })
            .flag_if(!bad, Flags::PRIVILEGED)
            .done();
    }
    if has(b"logged out") || has(b"session") && has(b"expired") {
        return Parsed::Irrelevant(Kind::OtherMessage);
    }
    let (added, deleted) = (has(b" added") || has(b" created"), has(b" deleted") || has(b" removed"));
    if f.message.starts_with(b"User '") || f.message.starts_with(b"Administrator '") {
        let change = match (added, deleted) {
            (true, _) if f.message.starts_with(b"Administrator") => Change::AdminCreated,
            (true, _) => Change::LocalUserCreated,
            (_, true) => Change::AccountDeleted,
            _ if has(b"password") => Change::PasswordReset,
            _ => Change::RoleGranted,
        };
        return managed(out.event(Act::Account, outcome), r, f)
            .change(change)
            .target(between(f.message, b"'", b"'").unwrap_or_default())
            .detail(f.message)
            .done();
    }
    let change = if has(b"SysLog Server") || has(b"Syslog") && (deleted || has(b"changed")) {
        if deleted { Change::LoggingStopped } else { Change::ConfigChanged }
    } else if has(b"ackup") && (has(b"download") || has(b"taken") || has(b"xport")) {
        Change::ConfigExported
    } else if has(b"ule") || has(b"VPN") || has(b"olicy") || has(b"uthentication") || has(b"evice access") {
        Change::PolicyChanged
    } else {
        Change::ConfigChanged
    };
    if !(added
        || deleted
        || has(b"changed")
        || has(b"updated")
        || has(b"enabled")
        || has(b"disabled")
        || change == Change::ConfigExported)
    {
        return Parsed::Irrelevant(Kind::OtherMessage);
    }
    managed(out.event(Act::Config, outcome), r, f)
        .change(change)
        .detail(f.message)
        .flag(Flags::PRIVILEGED)
        .done()
}

fn managed<'e>(event: EventBuilder<'e>, r: &Record<'_>, f: &Fields<'_>) -> EventBuilder<'e> {
    base(event, r, f).service(Service::Management).client(f.component)
}

fn alert(r: &Record<'_>, f: &Fields<'_>, out: &mut Emit<'_>) -> Parsed {
    if f.title.is_empty() {
        return Parsed::Irrelevant(Kind::OtherMessage);
    }
    let stopped = matches!(f.subtype, b"Drop" | b"Denied");
    base(out.event(Act::Alert, if stopped { Outcome::Failure } else { Outcome::Success }), r, f)
        .service(Service::Firewall)
        .destination(f.dst)
        .detail(f.title)
        .severity(if f.kind == b"ATP" { 4 } else { 3 })
        .done()
}

fn flow(r: &Record<'_>, f: &Fields<'_>, out: &mut Emit<'_>) -> Parsed {
    let (src, dst) = (Ip::parse(f.src), Ip::parse(f.dst));
    let dport = u16::try_from(number(f.dport)).unwrap_or(0);
    let allowed = !matches!(f.subtype, b"Denied" | b"Drop" | b"Dropped") && f.status != b"Deny";
    if src.is_none() || f.component == b"Heartbeat" {
        return Parsed::Irrelevant(Kind::Traffic);
    }
    if let Some(kind) = worth(src, dst, dport, allowed) {
        return Parsed::Irrelevant(kind);
    }
    out.event(Act::Flow, if allowed { Outcome::Success } else { Outcome::Failure })
        .at(f.when(r))
        .service(Service::Firewall)
        .source_ip(src)
        .source_port(u16::try_from(number(f.sport)).unwrap_or(0))
        .destination_ip(dst)
        .destination_port(dport)
        .user(f.user)
        .bytes(number(f.sent), number(f.received))
        .observer(f.observer(r))
        .done()
}
