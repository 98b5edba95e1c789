//! OCSF 1.6: the class that each act belongs to, its activity, and the common objects.

use super::{Object, account, line};
use portreeve_model::SymbolTable;
use portreeve_model::event::{Act, Event, Outcome, Service};
use serde_json::json;
use std::io::{self, Write};

/// Class id and name, category id, activity id.
fn class(event: &Event) -> (u32, &'static str, u32, u32) {
    match event.act {
        Act::Auth | Act::Mfa | Act::Logon | Act::Nac | Act::Admin => (3002, "Authentication", 3, 1),
        Act::Logoff => (3002, "Authentication", 3, 2),
        Act::Account => (3001, "Account Change", 3, 99),
        Act::Flow if event.service == Service::Rdp => (4005, "RDP Activity", 4, 1),
        Act::Flow if event.service == Service::Ssh => (4007, "SSH Activity", 4, 1),
        Act::Flow => (4001, "Network Activity", 4, if event.is_failure() { 5 } else { 1 }),
        Act::Lease => (4004, "DHCP Activity", 4, 5),
        Act::SessionStart | Act::IpAssign => (4014, "Tunnel Activity", 4, 1),
        Act::SessionResume => (4014, "Tunnel Activity", 4, 3),
        Act::SessionEnd => (4014, "Tunnel Activity", 4, 2),
        Act::Posture => (5002, "Device Config State", 5, 1),
        Act::Config => (3001, "Account Change", 3, 99),
        Act::Api => (6003, "API Activity", 6, 99),
        Act::Exec => (1007, "Process Activity", 1, 1),
        Act::Alert => (2004, "Detection Finding", 2, 1),
    }
}

/// Writes one event as a line.
pub fn write(event: &Event, names: &SymbolTable, to: &mut dyn Write) -> io::Result<()> {
    let (class_uid, class_name, category, activity) = class(event);
    let mut o = Object::new(names);
    o.map.insert("class_uid".into(), json!(class_uid));
    o.text("class_name", class_name);
    o.map.insert("category_uid".into(), json!(category));
    o.map.insert("activity_id".into(), json!(activity));
    o.map.insert("type_uid".into(), json!(class_uid * 100 + activity));
    if event.time != portreeve_model::EventTime::MIN {
        o.map.insert("time".into(), json!(event.time.micros().div_euclid(1_000)));
    }
    o.map.insert("severity_id".into(), json!(event.severity.max(1)));
    let (status_id, status) = match event.outcome {
        Outcome::Success => (1, "Success"),
        Outcome::Failure | Outcome::BlockedAfterPassword => (2, "Failure"),
        _ => (0, "Unknown"),
    };
    o.map.insert("status_id".into(), json!(status_id));
    o.text("status", status).text("status_detail", event.reason.name());
    let source = names.text(event.source);
    o.map.insert("metadata".into(), json!({"version": "1.6.0", "product": {"name": &*source, "vendor_name": source.split('_').next().unwrap_or("")}, "log_name": &*source}));
    if event.user.is_some() {
        let (name, domain) = account(&names.text(event.user));
        let mut user = Object::new(names);
        user.text("name", &name).text("domain", &domain);
        o.object("user", user.map.clone());
        o.map.insert("actor".into(), json!({"user": user.map}));
    }
    let mut src = Object::new(names);
    src.ip("ip", event.src_ip).number("port", u64::from(event.src_port)).name("hostname", event.device);
    if event.country.is_some() {
        src.map.insert(
            "location".into(),
            json!({"country": event.country.text(), "city": &*names.text(event.city)}),
        );
    }
    if event.mac.is_some() {
        src.text("mac", &event.mac.to_string());
    }
    o.object("src_endpoint", src.map);
    let mut dst = Object::new(names);
    dst.ip("ip", event.dst_ip).number("port", u64::from(event.dst_port)).name("hostname", event.host);
    o.object("dst_endpoint", dst.map);
    let mut session = Object::new(names);
    session.name("uid", event.sid);
    if event.mfa == portreeve_model::Mfa::Yes {
        session.map.insert("is_mfa".into(), json!(true));
    }
    if event.mfa == portreeve_model::Mfa::No {
        session.map.insert("is_mfa".into(), json!(false));
    }
    o.object("session", session.map);
    match event.act {
        Act::Exec => {
            let mut process = Object::new(names);
            process.name("cmd_line", event.detail);
            o.object("process", process.map);
        }
        Act::Api => {
            let mut api = Object::new(names);
            api.name("operation", event.detail);
            o.object("api", api.map);
        }
        Act::Alert => {
            let mut finding = Object::new(names);
            finding.name("title", event.detail).name("uid", event.sid);
            o.object("finding_info", finding.map);
        }
        _ => {}
    }
    let mut unmapped = Object::new(names);
    unmapped
        .text("act", event.act.name())
        .text("service", event.service.name())
        .ip("tunnel_ip", event.tun_ip)
        .name("group", event.group)
        .name("target", event.target)
        .name("observer", event.observer)
        .name("client", event.client)
        .text("change", event.change.name())
        .text("certainty", event.certainty.name());
    if !matches!(event.act, Act::Exec | Act::Api | Act::Alert) {
        unmapped.name("detail", event.detail);
    }
    o.object("unmapped", unmapped.map);
    line(o.map, to)
}
