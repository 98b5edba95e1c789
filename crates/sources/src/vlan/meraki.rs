//! Cisco Meraki: client VPN and AnyConnect on MX, 802.1X on MS and MR, leases, flows, intrusion alerts; syslog and the
//! Dashboard API's form.
//!
//! Read from: Meraki "Syslog Event Types and Log Samples"; Dashboard API "List the events for the network", "Configuration
//! changes", "Security events". Traps: the stamp is seconds since 1970 with nine digits behind the point, and a relay puts
//! its own before it; pattern 1 is a refusal and 0 a pass; the RADIUS server stands before the peer; the disconnect says
//! `connected from` too; an EAP success on a switch comes without its port and the port's own record follows.

use crate::decode::clock::{self, Stamp};
use crate::decode::find::find;
use crate::decode::json::Paths;
use crate::decode::kv::{after, between, number, pairs, word};
use crate::emit::{Emit, EventBuilder};
use crate::flows::{Flow, port};
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Change, Flags, Method, Outcome, Reason, Service};
use portreeve_model::time::{Certainty, EventTime};
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "meraki",
    title: "Cisco Meraki (MX, MR, MS)",
    row: Row::Vlan,
    gives: &[
        Act::Lease,
        Act::Nac,
        Act::Auth,
        Act::SessionStart,
        Act::SessionResume,
        Act::SessionEnd,
        Act::Config,
        Act::Flow,
        Act::Alert,
    ],
    lacks: &[Field::Mfa, Field::SessionId, Field::Bytes],
    traps: &["radius_server_first", "patterns", "relayed"],
    manual: "Cisco Meraki: Syslog Event Types and Log Samples; Dashboard API v1 (network events, configuration changes)",
    enable: "Network-wide > General > Reporting: a syslog server with the roles Appliance event log, Switch event log, Wireless event log, Flows, Security events",
    general: false,
    marks: &[
        " events ",
        " flows ",
        " urls ",
        "firewall ",
        " ids-alerts ",
        " security_event ",
        " ip_flow_",
        " airmarshal_events ",
        "\"occurredAt\"",
        "\"adminEmail\"",
        "\"ruleId\"",
    ],
    reader: Reader::Code { claim, parse, join: None },
};

fn claim(r: &Record<'_>) -> bool {
    if r.shape == Shape::Json {
        return api(r).is_some();
    }
    line(r.raw).is_some()
}

#[derive(Clone, Copy, PartialEq)]
enum Api {
    Event,
    Change,
    Security,
}

/// Which of the Dashboard API's lists a record comes from.
fn api(r: &Record<'_>) -> Option<Api> {
    if r.contains(b"\"occurredAt\"") && r.contains(b"\"eventData\"") && r.contains(b"\"deviceSerial\"") {
        Some(Api::Event)
    } else if r.contains(b"\"adminEmail\"") && r.contains(b"\"oldValue\"") && r.contains(b"\"page\"") {
        Some(Api::Change)
    } else if r.contains(b"\"ruleId\"") && r.contains(b"\"srcIp\"") && r.contains(b"meraki:") {
        Some(Api::Security)
    } else {
        None
    }
}

/// A line, taken apart: `1780046176.597410862 mx-ham events type=…`, behind whatever a relay put before it.
struct Line<'a> {
    stamp: &'a [u8],
    device: &'a [u8],
    kind: &'a [u8],
    text: &'a [u8],
}

fn line(raw: &[u8]) -> Option<Line<'_>> {
    let mut rest = raw;
    // The stamp is among the first words.
    for _ in 0..8 {
        let (first, after) = word(rest);
        let stamp = first.rsplit(|b| *b == b'>').next().unwrap_or(first);
        if is_stamp(stamp) {
            let (device, after) = word(after);
            let (kind, text) = word(after);
            let known = matches!(
                kind,
                b"events"
                    | b"flows"
                    | b"urls"
                    | b"firewall"
                    | b"vpn_firewall"
                    | b"cellular_firewall"
                    | b"l7_firewall"
                    | b"bridge_anyconnect_client_vpn_firewall"
                    | b"ids-alerts"
                    | b"security_event"
                    | b"ip_flow_start"
                    | b"ip_flow_end"
                    | b"airmarshal_events"
            );
            // Some relays put a colon between the kind and its text.
            let text = text.strip_prefix(b": ").unwrap_or(text);
            return known.then_some(Line { stamp, device, kind, text });
        }
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    None
}

/// `1780046176.597410862`; relays cut the fraction or count milliseconds.
fn is_stamp(text: &[u8]) -> bool {
    let digits = |t: &[u8]| t.iter().all(u8::is_ascii_digit);
    match text.get(10) {
        Some(b'.') => digits(&text[..10]) && digits(&text[11..]),
        None => text.len() == 10 && digits(text),
        Some(_) => text.len() == 13 && digits(text),
    }
}

impl Line<'_> {
    fn time(&self) -> Option<(EventTime, Certainty)> {
        clock::epoch(self.stamp).map(|t| (t, Certainty::Exact))
    }

    fn event<'e>(&self, out: &'e mut Emit<'_>, act: Act, outcome: Outcome) -> EventBuilder<'e> {
        out.event(act, outcome).at(self.time()).observer(self.device)
    }

    /// The text after `marker`, up to `end`.
    fn said(&self, marker: &[u8], end: &[u8]) -> &[u8] {
        after(self.text, marker, end).unwrap_or_default()
    }
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    if r.shape == Shape::Json {
        return match api(r) {
            Some(Api::Event) => api_event(r, out),
            Some(Api::Change) => api_change(r, out),
            Some(Api::Security) => api_security(r, out),
            None => Parsed::NotMine,
        };
    }
    let Some(l) = line(r.raw) else { return Parsed::NotMine };
    match l.kind {
        b"urls" => Parsed::Irrelevant(Kind::RoutineUse),
        b"ip_flow_end" => Parsed::Irrelevant(Kind::Repeats),
        b"ids-alerts" => alert(&l, out),
        b"security_event" => security(&l, out),
        b"airmarshal_events" => air(&l, out),
        b"events" => event(&l, out),
        _ => flow(&l, out),
    }
}

/// `src=10.0.0.5 dst=192.0.2.8 mac=… protocol=tcp sport=55719 dport=443 pattern: 0 all`, the verdict in front in newer
/// firmware.
fn flow(l: &Line<'_>, out: &mut Emit<'_>) -> Parsed {
    let mut f = Flow { time: l.time(), observer: l.device, ..Flow::default() };
    let mut decision: &[u8] = b"";
    for (key, value) in pairs(l.text) {
        match key {
            b"src" => f.src = Ip::parse(value),
            b"dst" => f.dst = Ip::parse(value),
            b"sport" => f.sport = port(value),
            b"dport" => f.dport = port(value),
            // A forwarded port: who is reached inside.
            b"translated_dst_ip" => f.dst = Ip::parse(value),
            b"translated_port" => f.dport = port(value),
            b"decision" => decision = value,
            _ => {}
        }
    }
    let pattern = l.said(b"pattern: ", b" ");
    f.outcome = match word(l.text).0 {
        b"allow" => Outcome::Success,
        b"deny" => Outcome::Failure,
        _ => match (pattern, decision) {
            (b"1" | b"deny" | b"Deny", _) | (_, b"blocked") => Outcome::Failure,
            (b"0" | b"allow" | b"Allow", _) => Outcome::Success,
            _ if l.kind == b"ip_flow_start" => Outcome::Success,
            _ => Outcome::Unknown,
        },
    };
    f.tell(out)
}

fn severity(priority: u64) -> u8 {
    match priority {
        0 => 0,
        1 => 4,
        2 => 3,
        3 => 2,
        _ => 1,
    }
}

/// `signature=1:28423:1 priority=1 … src=198.51.100.7:80 dst=10.0.0.5:53023 decision=blocked message: …`
fn alert(l: &Line<'_>, out: &mut Emit<'_>) -> Parsed {
    let (mut src, mut dst, mut level, mut signature): (&[u8], &[u8], u64, &[u8]) = (b"", b"", 0, b"");
    let mut blocked = false;
    for (key, value) in pairs(l.text) {
        match key {
            b"src" => src = value,
            b"dst" => dst = value,
            b"priority" => level = number(value),
            b"signature" => signature = value,
            b"decision" | b"action" => blocked |= matches!(value, b"blocked" | b"block" | b"rst"),
            _ => {}
        }
    }
    let message = l.said(b"message: ", b"");
    let (to, _) = Ip::parse_with_port(dst);
    let inside = if to.is_private() { dst } else { src };
    l.event(out, Act::Alert, if blocked { Outcome::Failure } else { Outcome::Unknown })
        .service(Service::Firewall)
        .source(src)
        .destination(dst)
        .host(inside.split(|b| *b == b':').next().unwrap_or_default())
        .severity(severity(level))
        .detail(if message.is_empty() { signature } else { message })
        .done()
}

fn security(l: &Line<'_>, out: &mut Emit<'_>) -> Parsed {
    if l.text.starts_with(b"ids_alerted") || l.text.starts_with(b"signature=") {
        return alert(l, out);
    }
    if l.said(b"disposition=", b" ") != b"malicious" {
        return Parsed::Irrelevant(Kind::RoutineUse);
    }
    let client = l.said(b" src=", b" ");
    let name = l.said(b"name=", b" ");
    l.event(
        out,
        Act::Alert,
        if l.said(b"action=", b" ") == b"block" { Outcome::Failure } else { Outcome::Unknown },
    )
    .service(Service::Firewall)
    .source(client)
    .destination(l.said(b" dst=", b" "))
    .host(client.split(|b| *b == b':').next().unwrap_or_default())
    .mac(l.said(b"mac=", b" "))
    .severity(4)
    .detail(name.strip_prefix(b"'").and_then(|n| n.strip_suffix(b"'")).unwrap_or(name))
    .done()
}

/// What the access points hear on the air.
fn air(l: &Line<'_>, out: &mut Emit<'_>) -> Parsed {
    let kind = l.said(b"type=", b"").trim_ascii_start();
    let kind = word(kind).0;
    if !matches!(kind, b"ssid_spoofing_detected" | b"mac_spoofing_attack") {
        return Parsed::Irrelevant(Kind::OtherMessage);
    }
    l.event(out, Act::Alert, Outcome::Unknown)
        .service(Service::Wireless)
        .host(l.device)
        .severity(3)
        .detail(kind)
        .target(between(l.text, b"ssid='", b"'").unwrap_or_default())
        .done()
}

fn event(l: &Line<'_>, out: &mut Emit<'_>) -> Parsed {
    if let Some(typed) = l.text.strip_prefix(b"type=") {
        return typed_event(l, word(typed).0, out);
    }
    let kind = word(l.text).0;
    match kind {
        // `user id 'anna' local ip 10.8.0.14 connected from 198.51.100.7`; the disconnect says it alike.
        b"client_vpn_connect"
        | b"anyconnect_vpn_connect"
        | b"client_vpn_disconnect"
        | b"anyconnect_vpn_disconnect" => {
            let user = between(l.text, b"user id '", b"' local ip ").unwrap_or_default();
            let tail =
                memchr::memmem::rfind(l.text, b"' local ip ").map_or(&b""[..], |at| &l.text[at + 11..]);
            let tunnel = word(tail).0;
            let from = after(tail, b"connected from ", b" ").unwrap_or_default();
            if tunnel.is_empty() {
                return Parsed::Broken(Why::Missing("addresses"));
            }
            vpn(
                l.event(out, vpn_act(kind, find(tail, b"reconnected from").is_some()), Outcome::Success),
                kind,
            )
            .user(user)
            .source(from)
            .tunnel(tunnel)
            .done()
        }
        b"dhcp" if l.text.starts_with(b"dhcp lease of ip ") => lease(l, out),
        b"Blocked" if l.text.starts_with(b"Blocked DHCP server response from ") => l
            .event(out, Act::Nac, Outcome::Failure)
            .service(Service::Wired)
            .mac(l.said(b"response from ", b" "))
            .vlan(port(l.said(b"on VLAN ", b" ")))
            .reason(Reason::NotAllowed)
            .done(),
        // `Port 5 received an STP BPDU from 02:00:… so the port was blocked`
        b"Port" if find(l.text, b"so the port was blocked").is_some() => l
            .event(out, Act::Nac, Outcome::Failure)
            .service(Service::Wired)
            .mac(l.said(b"BPDU from ", b" "))
            .detail(l.said(b"Port ", b" "))
            .reason(Reason::NotAllowed)
            .done(),
        _ => Parsed::Irrelevant(Kind::OtherMessage),
    }
}

fn vpn_act(kind: &[u8], again: bool) -> Act {
    match (kind.ends_with(b"_disconnect"), again) {
        (true, _) => Act::SessionEnd,
        (false, true) => Act::SessionResume,
        (false, false) => Act::SessionStart,
    }
}

fn vpn<'e>(event: EventBuilder<'e>, kind: &[u8]) -> EventBuilder<'e> {
    event.service(Service::Vpn).client(if kind.starts_with(b"anyconnect") { b"AnyConnect" } else { b"" })
}

/// `dhcp lease of ip 192.168.10.68 from server mac … for client mac … with hostname LT-1 from router …`
fn lease(l: &Line<'_>, out: &mut Emit<'_>) -> Parsed {
    let ip = l.said(b"lease of ip ", b" ");
    l.event(out, Act::Lease, Outcome::Success)
        .service(Service::Dhcp)
        .tunnel(ip)
        .mac(l.said(b"client mac ", b" "))
        .device(l.said(b"with hostname ", b" "))
        .done()
}

/// A value of `type='…' key='…'` pairs, without quotes.
fn typed_event(l: &Line<'_>, kind: &[u8], out: &mut Emit<'_>) -> Parsed {
    match kind {
        b"8021x_eap_success" | b"8021x_eap_failure" | b"8021x_auth" | b"8021x_guest_auth"
        | b"splash_auth" | b"wpa_auth" => {
            let mut c = Client::default();
            for (key, value) in pairs(l.text) {
                match key {
                    b"identity" => c.user = value,
                    b"client_mac" => c.mac = value,
                    b"client_ip" | b"ip" => c.ip = word(value).0,
                    b"port" => c.port = value,
                    b"radio" => c.radio = true,
                    b"vap" => c.vap = value,
                    _ => {}
                }
            }
            nac(l.event(out, Act::Nac, nac_outcome(kind)), kind, &c)
        }
        // Associations are no checks; what ended was no session of the playbook.
        b"association"
        | b"disassociation"
        | b"8021x_deauth"
        | b"8021x_client_deauth"
        | b"wpa_deauth"
        | b"wpa_client_deauth" => Parsed::Irrelevant(Kind::Transport),
        b"anyconnect_vpn_auth_success" | b"anyconnect_vpn_auth_failure" => anyconnect(l, kind, out),
        b"anyconnect_vpn_session_manager" => Parsed::Irrelevant(Kind::Repeats),
        b"ssid_spoofing_detected" | b"mac_spoofing_attack" => air(l, out),
        b"vpn_connectivity_change" | b"vpn_registry_change" | b"anyconnect_vpn_general" => {
            Parsed::Irrelevant(Kind::Housekeeping)
        }
        _ => Parsed::Irrelevant(Kind::OtherMessage),
    }
}

#[derive(Default)]
struct Client<'a> {
    user: &'a [u8],
    mac: &'a [u8],
    ip: &'a [u8],
    port: &'a [u8],
    vap: &'a [u8],
    radio: bool,
}

fn nac_outcome(kind: &[u8]) -> Outcome {
    if kind == b"8021x_eap_failure" { Outcome::Failure } else { Outcome::Success }
}

fn nac(event: EventBuilder<'_>, kind: &[u8], c: &Client<'_>) -> Parsed {
    let wireless = c.radio || !c.vap.is_empty() || kind == b"splash_auth" || kind == b"wpa_auth";
    let method =
        if kind.starts_with(b"8021x_eap") || kind == b"8021x_auth" { Method::Dot1x } else { Method::Unknown };
    event
        .service(if wireless { Service::Wireless } else { Service::Wired })
        .user(c.user)
        .mac(c.mac)
        .tunnel(c.ip)
        .detail(c.port)
        .method(method)
        .reason(if kind == b"8021x_eap_failure" { Reason::BadPassword } else { Reason::None })
        .done()
}

/// `msg= 'RADIUS[374] Server IP=10.0.0.3 Server port=1812 Peer IP=198.51.100.7 Peer port=56735 User=anna: Authentication
/// request accepted. '`, `msg= 'Peer IP=198.51.100.7 Peer port=57096 AAA[7]: AAA authentication successful '`.
fn anyconnect(l: &Line<'_>, kind: &[u8], out: &mut Emit<'_>) -> Parsed {
    let ok = kind.ends_with(b"_success");
    let peer = l.said(b"Peer IP=", b" ");
    // `Peer IP=198.51.100.7Peer port[8748]`: the blank may be missing.
    let peer = &peer[..find(peer, b"Peer").unwrap_or(peer.len())];
    let user =
        between(l.text, b"User=", b": ").or_else(|| between(l.text, b"User[", b"]")).unwrap_or_default();
    l.event(out, Act::Auth, if ok { Outcome::Success } else { Outcome::Failure })
        .service(Service::Vpn)
        .user(user)
        .source(peer)
        .client(b"AnyConnect")
        .reason(if ok { Reason::None } else { Reason::BadPassword })
        .done()
}

fn iso(r: &Record<'_>, text: &[u8]) -> Option<(EventTime, Certainty)> {
    match clock::iso(text) {
        Some((Stamp::Absolute(t), _)) => Some((t, Certainty::Exact)),
        Some((Stamp::Local(civil), _)) => r.clock.resolve(civil),
        None => r.header_time(),
    }
}

/// `{"occurredAt": …, "type": "8021x_eap_success", "clientMac": …, "deviceName": …, "eventData": {"identity": …}}`
fn api_event(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    static PATHS: LazyLock<Paths<18>> = LazyLock::new(|| {
        Paths::new([
            "occurredAt",
            "type",
            "clientMac",
            "deviceName",
            "deviceSerial",
            "eventData.identity",
            "eventData.user_id",
            "eventData.local_ip",
            "eventData.remote_ip",
            "eventData.client_ip",
            "eventData.client_mac",
            "eventData.port",
            "eventData.vap",
            "eventData.radio",
            "eventData.ip",
            "eventData.hostname",
            "eventData.peer_ip",
            "eventData.user",
        ])
    });
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let at = |n: usize| v.get(n).map(|v| v.bytes()).unwrap_or_default();
    let first = |all: &[usize]| all.iter().map(|n| at(*n)).find(|b| !b.is_empty()).unwrap_or_default();
    let (time, kind, observer) = (iso(r, at(0)), at(1), first(&[3, 4]));
    let mac = first(&[10, 2]);
    match kind {
        b"client_vpn_connect"
        | b"anyconnect_vpn_connect"
        | b"client_vpn_disconnect"
        | b"anyconnect_vpn_disconnect" => {
            vpn(out.event(vpn_act(kind, false), Outcome::Success).at(time).observer(observer), kind)
                .user(first(&[6, 17, 5]))
                .source(first(&[8, 16]))
                .tunnel(at(7))
                .done()
        }
        b"anyconnect_vpn_auth_success" | b"anyconnect_vpn_auth_failure" => {
            let ok = kind.ends_with(b"_success");
            vpn(
                out.event(Act::Auth, if ok { Outcome::Success } else { Outcome::Failure })
                    .at(time)
                    .observer(observer),
                kind,
            )
            .user(first(&[6, 17, 5]))
            .source(first(&[8, 16]))
            .done()
        }
        b"8021x_eap_success" | b"8021x_eap_failure" | b"8021x_auth" | b"8021x_guest_auth"
        | b"splash_auth" | b"wpa_auth" => {
            let c = Client {
                user: first(&[5, 17]),
                mac,
                ip: first(&[9, 14]),
                port: at(11),
                vap: at(12),
                radio: !at(13).is_empty(),
            };
            nac(out.event(Act::Nac, nac_outcome(kind)).at(time).observer(observer), kind, &c)
        }
        b"dhcp_lease" if !at(14).is_empty() => out
            .event(Act::Lease, Outcome::Success)
            .at(time)
            .service(Service::Dhcp)
            .tunnel(at(14))
            .mac(mac)
            .device(at(15))
            .observer(observer)
            .done(),
        b"association" | b"disassociation" | b"8021x_deauth" | b"wpa_deauth" => {
            Parsed::Irrelevant(Kind::Transport)
        }
        _ => Parsed::Irrelevant(Kind::OtherMessage),
    }
}

/// `{"ts": …, "adminName": …, "adminEmail": …, "networkName": …, "page": …, "label": …, "oldValue": …, "newValue": …}`
fn api_change(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    static PATHS: LazyLock<Paths<6>> =
        LazyLock::new(|| Paths::new(["ts", "adminEmail", "networkName", "page", "label", "newValue"]));
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let label = v[4].text();
    let page = v[3].text();
    let admins = find(&page.to_ascii_lowercase(), b"administrators").is_some();
    let change = if admins { Change::AdminCreated } else { Change::ConfigChanged };
    out.event(Act::Config, Outcome::Success)
        .at(iso(r, v[0].bytes()))
        .service(Service::Management)
        .user(&v[1].text())
        .observer(&v[2].text())
        .detail(&[&page[..], b": ", &label].concat())
        .change(change)
        .flag(Flags::PRIVILEGED)
        .done()
}

/// `{"ts": …, "eventType": "IDS Alert", "srcIp": "198.51.100.7:34195", "destIp": …, "priority": "2", "blocked": true, …}`
fn api_security(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    static PATHS: LazyLock<Paths<8>> = LazyLock::new(|| {
        Paths::new(["ts", "srcIp", "destIp", "priority", "blocked", "message", "clientName", "clientMac"])
    });
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let blocked = v[4].truth() == Some(true);
    out.event(Act::Alert, if blocked { Outcome::Failure } else { Outcome::Unknown })
        .at(iso(r, v[0].bytes()))
        .service(Service::Firewall)
        .source(v[1].bytes())
        .destination(v[2].bytes())
        .severity(severity(number(v[3].bytes())))
        .detail(&v[5].text())
        .host(&v[6].text())
        .mac(v[7].bytes())
        .done()
}
