//! Elastic Common Schema 8.

use super::{Object, account, line};
use portreeve_model::SymbolTable;
use portreeve_model::event::{Act, Event, Outcome};
use serde_json::json;
use std::io::{self, Write};

/// `event.category`, `event.type`.
fn class(event: &Event) -> (&'static [&'static str], &'static [&'static str]) {
    match event.act {
        Act::Auth | Act::Mfa | Act::Logon | Act::Nac | Act::Admin => (&["authentication"], &["start"]),
        Act::SessionStart | Act::SessionResume => (&["authentication", "session"], &["start"]),
        Act::IpAssign => (&["session", "network"], &["info"]),
        Act::SessionEnd | Act::Logoff => (&["session"], &["end"]),
        Act::Lease => (&["network"], &["protocol"]),
        Act::Posture => (&["session"], &["info"]),
        Act::Config => (&["configuration"], &["change"]),
        Act::Account => (&["iam"], &["change"]),
        Act::Api => (&["web"], &["access"]),
        Act::Flow => (&["network"], &["connection"]),
        Act::Exec => (&["process"], &["start"]),
        Act::Alert => (&["threat"], &["indicator"]),
    }
}

/// Writes one event as a line.
pub fn write(event: &Event, names: &SymbolTable, to: &mut dyn Write) -> io::Result<()> {
    let (category, kind) = class(event);
    let mut o = Object::new(names);
    if event.time != portreeve_model::EventTime::MIN {
        o.text("@timestamp", &event.time.to_string());
    }
    let mut e = Object::new(names);
    e.map.insert("category".into(), json!(category));
    e.map.insert("type".into(), json!(kind));
    let outcome = match event.outcome {
        Outcome::Success => "success",
        Outcome::Failure | Outcome::BlockedAfterPassword => "failure",
        _ => "unknown",
    };
    e.text("kind", if event.act == Act::Alert { "alert" } else { "event" })
        .text("outcome", outcome)
        .text("action", event.act.name())
        .text("reason", event.reason.name())
        .name("provider", event.source)
        .number("severity", u64::from(event.severity))
        .number("duration", u64::from(event.duration_s) * 1_000_000_000);
    o.object("event", e.map);
    let mut source = Object::new(names);
    let mut geo = Object::new(names);
    geo.text("country_iso_code", event.country.text()).name("city_name", event.city);
    if let Some(p) = event.point {
        geo.map.insert("location".into(), json!({"lat": p.lat, "lon": p.lon}));
    }
    source
        // A lease has no other end: the address that was given is the one that will speak.
        .ip("ip", if event.act == Act::Lease { event.tun_ip } else { event.src_ip })
        .number("port", u64::from(event.src_port))
        .number("bytes", event.bytes_in)
        .object("geo", geo.map);
    if event.mac.is_some() {
        source.text("mac", &event.mac.to_string().replace(':', "-").to_uppercase());
    }
    o.object("source", source.map);
    let mut destination = Object::new(names);
    destination
        .ip("ip", event.dst_ip)
        .number("port", u64::from(event.dst_port))
        .number("bytes", event.bytes_out);
    o.object("destination", destination.map);
    let mut user = Object::new(names);
    if event.user.is_some() {
        let (name, domain) = account(&names.text(event.user));
        user.text("name", &name).text("domain", &domain);
    }
    if event.target.is_some() && event.act == Act::Account {
        user.map.insert("target".into(), json!({"name": account(&names.text(event.target)).0}));
    }
    o.object("user", user.map);
    let mut host = Object::new(names);
    host.name("name", event.host);
    o.object("host", host.map);
    let mut observer = Object::new(names);
    observer.name("name", event.observer);
    o.object("observer", observer.map);
    if event.client.is_some() {
        o.map.insert("user_agent".into(), json!({"original": &*names.text(event.client)}));
    }
    if event.act == Act::Exec {
        let mut process = Object::new(names);
        process.name("command_line", event.detail);
        o.object("process", process.map);
    }
    if event.vlan != 0 {
        o.map.insert("network".into(), json!({"vlan": {"id": event.vlan.to_string()}}));
    }
    let mut own = Object::new(names);
    own.text("service", event.service.name())
        .ip("tunnel_ip", event.tun_ip)
        .name("device", event.device)
        .name("sid", event.sid)
        .name("group", event.group)
        .text("change", event.change.name())
        .text("method", event.method.name())
        .text("mfa", event.mfa.name())
        .text("outcome", event.outcome.name())
        .text("certainty", event.certainty.name());
    if event.act != Act::Exec {
        own.name("detail", event.detail);
    }
    o.object("portreeve", own.map);
    line(o.map, to)
}
