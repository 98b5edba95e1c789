//! Sophos UTM 9 (Astaro): SSL VPN, L2TP, PPTP, Cisco VPN client, authentication daemon, WebAdmin, packet filter.
//!
//! Read from: Sophos UTM 9 Administration Guide, "Logging & Reporting"; UTM log file format (`id="2201" severity=… sys=… sub=…`).
//! Traps: the stamp is `2026:03:02-08:00:00` in the device's zone; the authentication daemon checks for many callers, of which only
//! `caller` tells which; the packet filter's 2001 is a drop and 2002 an accept; DNS requests and logged pings are no access.

use crate::decode::clock::Civil;
use crate::decode::find::find;
use crate::decode::kv::{self, number};
use crate::emit::{Emit, EventBuilder};
use crate::firewall::asa_traffic::worth;
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Change, Flags, Outcome, Reason, Service};
use portreeve_model::time::Certainty;
use portreeve_model::{EventTime, Ip};

pub static SOURCE: Source = Source {
    name: "sophos_utm",
    title: "Sophos UTM 9",
    row: Row::Vpn,
    gives: &[
        Act::Auth,
        Act::IpAssign,
        Act::SessionStart,
        Act::SessionEnd,
        Act::Admin,
        Act::Config,
        Act::Account,
        Act::Flow,
    ],
    lacks: &[Field::Mfa, Field::Device, Field::Zone, Field::SessionId],
    traps: &["stamp", "callers", "address_in_the_name"],
    manual: "Sophos UTM 9 Administration Guide: Logging & Reporting",
    enable: "Logging & Reporting > Log Settings > Remote Syslog Server: select SSL VPN, IPsec VPN, User authentication daemon, Admin notifications, Configuration daemon and Packet filter",
    general: false,
    marks: &[" sys=\""],
    reader: Reader::Code { claim, parse, join: None },
};

fn claim(r: &Record<'_>) -> bool {
    let head = &r.body[..r.body.len().min(240)];
    find(head, b"id=\"").is_some()
        && find(head, b" severity=\"").is_some()
        && (find(head, b" sys=\"SecureNet\"").is_some()
            || find(head, b" sys=\"System\"").is_some()
            || find(head, b" sys=\"SecureWeb\"").is_some()
            || find(head, b" sys=\"SecureMail\"").is_some())
        && find(head, b" sub=\"").is_some()
}

#[derive(Default)]
struct Fields<'a> {
    id: &'a [u8],
    sub: &'a [u8],
    name: &'a [u8],
    event: &'a [u8],
    action: &'a [u8],
    user: &'a [u8],
    src: &'a [u8],
    dst: &'a [u8],
    sport: &'a [u8],
    dport: &'a [u8],
    virtual_ip: &'a [u8],
    variant: &'a [u8],
    caller: &'a [u8],
    reason: &'a [u8],
    engine: &'a [u8],
    client: &'a [u8],
    class: &'a [u8],
    object: &'a [u8],
    rx: &'a [u8],
    tx: &'a [u8],
    seconds: &'a [u8],
}

impl<'a> Fields<'a> {
    fn set(&mut self, key: &[u8], value: &'a [u8]) {
        let slot = match key {
            b"id" => &mut self.id,
            b"sub" => &mut self.sub,
            b"name" => &mut self.name,
            b"event" => &mut self.event,
            b"action" => &mut self.action,
            b"username" | b"user" => &mut self.user,
            // What stands behind a name counts: the name is the other side's.
            b"srcip" => {
                self.src = value;
                return;
            }
            b"dstip" => &mut self.dst,
            b"srcport" => &mut self.sport,
            b"dstport" => &mut self.dport,
            b"virtual_ip" | b"virtualip" => &mut self.virtual_ip,
            b"variant" => &mut self.variant,
            b"caller" => &mut self.caller,
            b"reason" => &mut self.reason,
            b"engine" => &mut self.engine,
            b"client" => &mut self.client,
            b"class" => &mut self.class,
            b"objname" => &mut self.object,
            b"rx" => &mut self.rx,
            b"tx" => &mut self.tx,
            b"duration" => &mut self.seconds,
            _ => return,
        };
        if slot.is_empty() {
            *slot = value;
        }
    }
}

/// `2026:03:02-08:00:00 utm-1 aua[4711]: …`: stamp and device, where no header was recognised.
fn own(body: &[u8]) -> Option<(Civil, &[u8])> {
    let n = |from: usize, len: usize| {
        let part = body.get(from..from + len)?;
        part.iter().all(u8::is_ascii_digit).then(|| number(part))
    };
    if body.get(4) != Some(&b':') || body.get(7) != Some(&b':') || body.get(10) != Some(&b'-') {
        return None;
    }
    let civil = Civil {
        year: i16::try_from(n(0, 4)?).ok()?,
        month: u8::try_from(n(5, 2)?).ok()?,
        day: u8::try_from(n(8, 2)?).ok()?,
        hour: u8::try_from(n(11, 2)?).ok()?,
        minute: u8::try_from(n(14, 2)?).ok()?,
        second: u8::try_from(n(17, 2)?).ok()?,
        micros: 0,
    };
    Some((civil, kv::word(body.get(19..)?).0))
}

fn when(r: &Record<'_>) -> Option<(EventTime, Certainty)> {
    match own(r.body) {
        Some((civil, _)) => r.clock.resolve(civil),
        None => r.header_time(),
    }
}

fn observer<'a>(r: &Record<'a>) -> &'a [u8] {
    own(r.body).map_or_else(|| r.host(), |(_, name)| name)
}

fn base<'e>(event: EventBuilder<'e>, r: &Record<'_>, f: &Fields<'_>) -> EventBuilder<'e> {
    event.at(when(r)).service(Service::Vpn).user(f.user).source(f.src).observer(observer(r))
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let mut f = Fields::default();
    for (key, value) in kv::pairs(r.body) {
        f.set(key, value);
    }
    if f.sub.is_empty() {
        return Parsed::Broken(Why::Missing("sub"));
    }
    match f.sub {
        b"vpn" => tunnel(r, &f, out),
        b"auth" => auth(r, &f, out),
        b"packetfilter" => flow(r, &f, out),
        b"confd" | b"webadmin" => config(r, &f, out),
        b"http" | b"smtp" | b"ftp" | b"pop3" | b"ips" => Parsed::Irrelevant(Kind::Traffic),
        _ => Parsed::Irrelevant(Kind::OtherMessage),
    }
}

fn tunnel(r: &Record<'_>, f: &Fields<'_>, out: &mut Emit<'_>) -> Parsed {
    // The SSL VPN says `username` where it means a person; site-to-site tunnels say none.
    if f.user.is_empty() {
        return Parsed::Irrelevant(Kind::Transport);
    }
    match f.event {
        b"Connection started" => {
            let act = if Ip::parse(f.virtual_ip).is_some() { Act::IpAssign } else { Act::SessionStart };
            base(out.event(act, Outcome::Success), r, f).tunnel(f.virtual_ip).client(f.variant).done()
        }
        b"Connection terminated" => base(out.event(Act::SessionEnd, Outcome::Success), r, f)
            .tunnel(f.virtual_ip)
            .client(f.variant)
            .duration_s(u32::try_from(number(f.seconds)).unwrap_or(u32::MAX))
            .bytes(number(f.rx), number(f.tx))
            .done(),
        _ => Parsed::Irrelevant(Kind::OtherMessage),
    }
}

fn auth(r: &Record<'_>, f: &Fields<'_>, out: &mut Emit<'_>) -> Parsed {
    let outcome = match (f.id, f.name) {
        (b"3004", _) | (_, b"Authentication successful") => Outcome::Success,
        (b"3005", _) | (_, b"Authentication failed") => Outcome::Failure,
        _ => return Parsed::Irrelevant(Kind::OtherMessage),
    };
    let reason = match f.reason {
        _ if outcome == Outcome::Success => Reason::None,
        b"DENIED" => Reason::BadPassword,
        b"Too many failures from client IP, still blocked for a while" => Reason::Locked,
        said if find(said, b"blocked").is_some() => Reason::Locked,
        _ => Reason::Other,
    };
    let (act, service) = match f.caller {
        b"webadmin" | b"sshd" | b"console" | b"confd" => (Act::Admin, Service::Management),
        b"openvpn" | b"sslvpn" | b"l2tp" | b"pptp" | b"ipsec" | b"pluto" | b"cisco" | b"clientless_vpn"
        | b"portal" | b"userportal" | b"reverseproxy" => (Act::Auth, Service::Vpn),
        b"wireless" | b"hostapd" | b"eap" => return Parsed::Irrelevant(Kind::OtherMessage),
        _ => (Act::Auth, Service::Firewall),
    };
    base(out.event(act, outcome), r, f)
        .service(service)
        .group(f.caller)
        .reason(reason)
        .flag_if(f.engine == b"local", Flags::LOCAL_ACCOUNT)
        .flag_if(act == Act::Admin && outcome == Outcome::Success, Flags::PRIVILEGED)
        .done()
}

/// `id="310y" … sub="confd" name="object changed" class="packetfilter" type="packetfilter" ref="…" user="admin" srcip=…`.
fn config(r: &Record<'_>, f: &Fields<'_>, out: &mut Emit<'_>) -> Parsed {
    let has = |words: &[u8]| find(f.name, words).is_some();
    if f.user.is_empty() || f.user == b"system" {
        return Parsed::Irrelevant(Kind::Machine);
    }
    if !(has(b"changed") || has(b"created") || has(b"deleted") || has(b"added") || has(b"removed")) {
        return Parsed::Irrelevant(Kind::OtherMessage);
    }
    let account = f.class == b"aaa" && (has(b"created") || has(b"deleted") || has(b"changed"));
    let (act, change) = if account {
        let change = if has(b"created") {
            Change::LocalUserCreated
        } else if has(b"deleted") {
            Change::AccountDeleted
        } else {
            Change::RoleGranted
        };
        (Act::Account, change)
    } else if matches!(
        f.class,
        b"packetfilter" | b"ssl_vpn" | b"ipsec" | b"ipsec_connection" | b"auth" | b"remote_access"
    ) {
        (Act::Config, Change::PolicyChanged)
    } else {
        (Act::Config, Change::ConfigChanged)
    };
    base(out.event(act, Outcome::Success), r, f)
        .service(Service::Management)
        .client(f.client)
        .change(change)
        .target(f.object)
        .detail(f.name)
        .flag_if(act == Act::Config, Flags::PRIVILEGED)
        .done()
}

fn flow(r: &Record<'_>, f: &Fields<'_>, out: &mut Emit<'_>) -> Parsed {
    let allowed = match f.action {
        b"accept" => true,
        b"drop" | b"reject" => false,
        _ => return Parsed::Irrelevant(Kind::Traffic),
    };
    let (src, dst) = (Ip::parse(f.src), Ip::parse(f.dst));
    let dport = u16::try_from(number(f.dport)).unwrap_or(0);
    if src.is_none() {
        return Parsed::Irrelevant(Kind::Traffic);
    }
    if let Some(kind) = worth(src, dst, dport, allowed) {
        return Parsed::Irrelevant(kind);
    }
    out.event(Act::Flow, if allowed { Outcome::Success } else { Outcome::Failure })
        .at(when(r))
        .service(Service::Firewall)
        .source_ip(src)
        .source_port(u16::try_from(number(f.sport)).unwrap_or(0))
        .destination_ip(dst)
        .destination_port(dport)
        .user(f.user)
        .observer(observer(r))
        .done()
}
