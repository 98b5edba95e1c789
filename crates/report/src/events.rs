//! Normalised events as the normal form itself, as ECS and as OCSF: one JSON object a line.

mod ecs;
mod ocsf;

pub use ecs::write as ecs;
pub use ocsf::write as ocsf;

use portreeve_model::event::Event;
use portreeve_model::facts::canonical_account;
use portreeve_model::{Ip, Sym, SymbolTable};
use serde_json::{Map, Value, json};
use std::io::{self, Write};

/// An object that keeps only what is set.
struct Object<'n> {
    map: Map<String, Value>,
    names: &'n SymbolTable,
}

impl<'n> Object<'n> {
    fn new(names: &'n SymbolTable) -> Self {
        Object { map: Map::new(), names }
    }

    fn name(&mut self, key: &str, sym: Sym) -> &mut Self {
        if sym.is_some() {
            self.map.insert(key.to_owned(), Value::from(&*self.names.text(sym)));
        }
        self
    }

    fn text(&mut self, key: &str, text: &str) -> &mut Self {
        if !text.is_empty() {
            self.map.insert(key.to_owned(), Value::from(text));
        }
        self
    }

    fn ip(&mut self, key: &str, ip: Ip) -> &mut Self {
        if ip.is_some() {
            self.map.insert(key.to_owned(), Value::from(ip.to_string()));
        }
        self
    }

    fn number(&mut self, key: &str, n: u64) -> &mut Self {
        if n != 0 {
            self.map.insert(key.to_owned(), Value::from(n));
        }
        self
    }

    fn object(&mut self, key: &str, inner: Map<String, Value>) -> &mut Self {
        if !inner.is_empty() {
            self.map.insert(key.to_owned(), Value::Object(inner));
        }
        self
    }
}

fn line(map: Map<String, Value>, to: &mut dyn Write) -> io::Result<()> {
    crate::guard::json(&Value::Object(map), false, to)
}

/// The account without its domain, and the domain, from a spelling. Case is kept.
fn account(spelling: &str) -> (String, String) {
    let (bare, _) = canonical_account(spelling);
    let lower = spelling.to_lowercase();
    let at = lower.find(&bare).unwrap_or(0);
    let name = spelling.get(at..at + bare.len()).unwrap_or(spelling).to_owned();
    let domain = match (spelling.split_once('\\'), spelling.split_once('@')) {
        (Some((domain, _)), _) => domain,
        (None, Some((_, domain))) => domain,
        _ => "",
    };
    (name, domain.to_owned())
}

/// The normal form: every set field under its own name.
pub fn json(event: &Event, names: &SymbolTable, to: &mut dyn Write) -> io::Result<()> {
    let mut o = Object::new(names);
    o.text(
        "time",
        &if event.time == portreeve_model::EventTime::MIN { String::new() } else { event.time.to_string() },
    )
    .text("certainty", event.certainty.name())
    .text("act", event.act.name())
    .text("outcome", event.outcome.name())
    .text("reason", event.reason.name())
    .text("service", event.service.name())
    .name("source", event.source)
    .name("user", event.user)
    .name("target", event.target)
    .ip("src_ip", event.src_ip)
    .number("src_port", u64::from(event.src_port))
    .ip("tun_ip", event.tun_ip)
    .ip("dst_ip", event.dst_ip)
    .number("dst_port", u64::from(event.dst_port))
    .name("observer", event.observer)
    .name("host", event.host)
    .name("device", event.device)
    .name("sid", event.sid)
    .name("client", event.client)
    .name("group", event.group)
    .name("detail", event.detail)
    .text("change", event.change.name())
    .text("method", event.method.name())
    .text("country", event.country.text())
    .name("city", event.city)
    .number("vlan", u64::from(event.vlan))
    .number("logon_type", u64::from(event.logon_type))
    .number("severity", u64::from(event.severity))
    .number("repeat", u64::from(event.repeat))
    .number("duration_s", u64::from(event.duration_s))
    .number("bytes_in", event.bytes_in)
    .number("bytes_out", event.bytes_out);
    if event.mfa != portreeve_model::Mfa::Unknown {
        o.text("mfa", event.mfa.name());
    }
    if event.factor != portreeve_model::event::Factor::None {
        o.text("factor", event.factor.name());
    }
    if event.mac.is_some() {
        o.text("mac", &event.mac.to_string());
    }
    let flags: Vec<&str> = event.flags.names().collect();
    if !flags.is_empty() {
        o.map.insert("flags".to_owned(), json!(flags));
    }
    o.map.insert("line".to_owned(), json!(event.raw.line));
    line(o.map, to)
}
