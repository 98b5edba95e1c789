//! An event in one short line with only what is set: what fixtures and the tests inside a source's file are held to.

use portreeve_model::SymbolTable;
use portreeve_model::event::{Event, Factor, Mfa};
use portreeve_model::time::Certainty;

/// The event in one line.
pub fn line(event: &Event, names: &SymbolTable) -> String {
    let mut text = format!("{} {} {}", event.time, event.act.name(), event.outcome.name());
    let mut put = |key: &str, value: &str| {
        if !value.is_empty() {
            text.push_str(&format!(" {key}={value}"));
        }
    };
    put("why", event.reason.name());
    put("service", event.service.name());
    put("user", &names.text(event.user));
    put("target", &names.text(event.target));
    put("src", &event.src_ip.to_string());
    put("tun", &event.tun_ip.to_string());
    put("dst", &event.dst_ip.to_string());
    for (key, n) in
        [("sport", event.src_port), ("dport", event.dst_port), ("vlan", event.vlan), ("x", event.repeat)]
    {
        if n != 0 {
            put(key, &n.to_string());
        }
    }
    put("observer", &names.text(event.observer));
    put("host", &names.text(event.host));
    put("device", &names.text(event.device));
    put("sid", &names.text(event.sid));
    put("client", &names.text(event.client));
    put("group", &names.text(event.group));
    put("detail", &names.text(event.detail));
    put("change", event.change.name());
    put("method", event.method.name());
    if event.mfa != Mfa::Unknown {
        put("mfa", event.mfa.name());
    }
    if event.factor != Factor::None {
        put("factor", event.factor.name());
    }
    if event.mac.is_some() {
        put("mac", &event.mac.to_string());
    }
    put("country", event.country.text());
    for (key, n) in [
        ("severity", u64::from(event.severity)),
        ("seconds", u64::from(event.duration_s)),
        ("in", event.bytes_in),
        ("out", event.bytes_out),
    ] {
        if n != 0 {
            put(key, &n.to_string());
        }
    }
    let flags: Vec<&str> = event.flags.names().collect();
    put("flags", &flags.join("+"));
    if event.certainty != Certainty::Exact {
        put("time", event.certainty.name());
    }
    text
}
