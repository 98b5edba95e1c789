//! How one line is recognised, split and mapped, and why a field stays unknown: for people, not for the hot path.

use crate::catalog::Catalog;
use crate::decode::clock::Clock;
use crate::decode::{frame, kv};
use crate::emit::Emit;
use crate::page::kind_meaning;
use crate::record::{HeaderTime, Record, Shape};
use crate::source::{Field, Parsed, Source};
use portreeve_model::event::{Act, Event, Mfa};
use portreeve_model::intern::Interner;
use portreeve_model::{RawRef, SymbolTable};
use std::sync::Arc;

/// Fields shown of one record.
const FIELDS: usize = 200;

/// A heading and its lines: what, and its value.
pub struct Part {
    pub title: &'static str,
    pub lines: Vec<(String, String)>,
}

/// Explains one line, step by step.
pub fn explain(catalog: &'static Catalog, line: &[u8], clock: &Clock) -> Vec<Part> {
    let mut scratch = Vec::new();
    // As the pipeline does: what nobody claims without its envelopes may be somebody's with them.
    let mut deepest = None;
    let most = frame::level(line, clock, &mut scratch, &mut |record| {
        let claimed = catalog.asked(record).iter().any(|(_, claims)| *claims);
        deepest.get_or_insert(claimed);
        claimed
    });
    let record = frame::within(line, RawRef::default(), clock, &mut scratch, most);
    let asked = catalog.asked(&record);
    let mut parts = vec![envelope(&record, deepest == Some(false) && most != u8::MAX)];
    parts.push(header(&record));
    parts.push(recognised(&asked));
    parts.push(Part { title: "split", lines: split(&record) });
    let Some(source) = asked.iter().find(|(_, claims)| *claims).map(|(s, _)| *s) else {
        parts.push(Part {
            title: "fate",
            lines: vec![(
                "unknown".to_owned(),
                "no source claims it; a text file in sources.d teaches Portreeve (docs/own-sources.md)"
                    .to_owned(),
            )],
        });
        return parts;
    };
    let names = SymbolTable::new();
    let (mut interner, mut events) = (Interner::new(names.clone()), Vec::new());
    let fate = source.read(&record, &mut Emit::new(&mut interner, &mut events, source, &record));
    parts.extend(events.iter().map(|e| Part { title: "event", lines: mapped(e, &names) }));
    if let Some(event) = events.first() {
        let lines = unknown(source, event);
        if !lines.is_empty() {
            parts.push(Part { title: "unknown", lines });
        }
    }
    parts.push(Part { title: "fate", lines: vec![fate_of(&fate)] });
    parts
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn envelope(record: &Record<'_>, kept: bool) -> Part {
    let mut lines = Vec::new();
    match (record.depth, kept) {
        (0, true) => lines.push(("none".to_owned(), "the object is the record itself".to_owned())),
        (0, false) => lines.push(("none".to_owned(), "the line is the record".to_owned())),
        (depth, _) => {
            if depth > 1 {
                lines.push(("envelopes".to_owned(), depth.to_string()));
            }
            lines.push(("record inside".to_owned(), text(record.raw)));
            if !record.outer_host.is_empty() {
                lines.push(("host".to_owned(), text(record.outer_host)));
            }
            if let Some(time) = record.outer_time {
                lines.push(("time".to_owned(), time.to_string()));
            }
        }
    }
    Part { title: "envelope", lines }
}

fn header(record: &Record<'_>) -> Part {
    let mut lines = Vec::new();
    let mut put = |key: &str, value: String| {
        if !value.is_empty() {
            lines.push((key.to_owned(), value));
        }
    };
    put("priority", record.header.priority.map(|p| p.to_string()).unwrap_or_default());
    let time = match (record.header.time, record.header_time()) {
        (None, _) => String::new(),
        (Some(_), None) => "not resolved: no year is known, give --year".to_owned(),
        (Some(of), Some((at, certainty))) => {
            let how = match of {
                HeaderTime::Absolute(_) => "names its zone",
                HeaderTime::Zoned(..) => "names its zone by its letters",
                HeaderTime::Local(c) if c.year == 0 => "names neither year nor zone",
                HeaderTime::Local(_) => "names no zone",
            };
            format!("{at} ({}; the stamp {how})", certainty.name())
        }
    };
    put("time", time);
    put("host", text(record.header.host));
    put("program", text(record.header.program));
    put("pid", text(record.header.pid));
    if lines.is_empty() {
        lines.push(("none".to_owned(), "no syslog header".to_owned()));
    }
    let shape = match record.shape {
        Shape::Text => "text",
        Shape::Json => "JSON object",
        Shape::Xml => "XML",
        Shape::Cef => "CEF",
        Shape::Leef => "LEEF",
    };
    lines.push(("body".to_owned(), shape.to_owned()));
    Part { title: "header", lines }
}

fn recognised(asked: &[(&'static Source, bool)]) -> Part {
    let claiming: Vec<&Source> = asked.iter().filter(|(_, c)| *c).map(|(s, _)| *s).collect();
    let mut lines = Vec::new();
    match claiming.as_slice() {
        [] => lines.push(("nobody".to_owned(), "no source claims the record".to_owned())),
        [one, others @ ..] => {
            lines.push((one.name.to_owned(), one.title.to_owned()));
            for other in others.iter().filter(|o| !o.general && !one.general) {
                lines.push(("ambiguous".to_owned(), format!("{} claims it too", other.name)));
            }
        }
    }
    let passed: Vec<&str> = asked.iter().filter(|(_, c)| !*c).map(|(s, _)| s.name).collect();
    if !passed.is_empty() {
        lines.push(("asked as well".to_owned(), passed.join(", ")));
    }
    Part { title: "recognised", lines }
}

fn split(record: &Record<'_>) -> Vec<(String, String)> {
    let pair = |(k, v): (&[u8], &[u8])| (text(k), text(v));
    let mut lines: Vec<(String, String)> = match record.shape {
        Shape::Json => {
            let mut lines = Vec::new();
            match serde_json::from_slice::<serde_json::Value>(record.body) {
                Ok(tree) => leaves("", &tree, &mut lines),
                Err(e) => lines.push(("malformed".to_owned(), e.to_string())),
            }
            lines
        }
        Shape::Cef => match kv::cef(record.body) {
            Some((head, extension)) => {
                let names = ["version", "vendor", "product", "device version", "id", "name", "severity"];
                let head = names.iter().zip(head).map(|(n, v)| ((*n).to_owned(), text(v)));
                head.chain(kv::cef_pairs(extension).map(pair)).collect()
            }
            None => vec![("malformed".to_owned(), "fewer than seven fields in front".to_owned())],
        },
        Shape::Leef => match kv::leef(record.body) {
            Some((head, separator, attributes)) => {
                let names = ["vendor", "product", "version", "id"];
                let head = names.iter().zip(head).map(|(n, v)| ((*n).to_owned(), text(v)));
                head.chain(kv::leef_pairs(attributes, separator).map(pair)).collect()
            }
            None => vec![("malformed".to_owned(), "fewer than four fields in front".to_owned())],
        },
        Shape::Xml | Shape::Text => kv::pairs(record.body).map(pair).collect(),
    };
    if lines.is_empty() {
        lines.push(("message".to_owned(), text(record.body)));
    }
    lines.truncate(FIELDS);
    lines
}

fn leaves(path: &str, value: &serde_json::Value, lines: &mut Vec<(String, String)>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        _ if lines.len() >= FIELDS => {}
        serde_json::Value::Object(map) => map.iter().for_each(|(k, v)| leaves(&below(k), v, lines)),
        serde_json::Value::Array(all) => {
            all.iter().enumerate().for_each(|(n, v)| leaves(&format!("{path}[{n}]"), v, lines));
        }
        serde_json::Value::String(s) => lines.push((path.to_owned(), s.clone())),
        other => lines.push((path.to_owned(), other.to_string())),
    }
}

/// What is set, under the names that docs and reports use.
fn mapped(event: &Event, names: &Arc<SymbolTable>) -> Vec<(String, String)> {
    let line = crate::notation::line(event, names);
    let mut lines = vec![
        ("time".to_owned(), format!("{} ({})", event.time, event.certainty.name())),
        ("act".to_owned(), event.act.name().to_owned()),
        ("outcome".to_owned(), event.outcome.name().to_owned()),
    ];
    let mut put = |key: &str, value: String| {
        if !value.is_empty() {
            lines.push((key.to_owned(), value));
        }
    };
    let name = |sym| names.text(sym).to_string();
    put("reason", event.reason.name().to_owned());
    put("service", event.service.name().to_owned());
    put("user", name(event.user));
    put("target", name(event.target));
    put("source_ip", event.src_ip.to_string());
    put("tunnel_ip", event.tun_ip.to_string());
    put("destination_ip", event.dst_ip.to_string());
    put("observer", name(event.observer));
    put("host", name(event.host));
    put("device", name(event.device));
    put("session_id", name(event.sid));
    put("client", name(event.client));
    put("group", name(event.group));
    put("detail", name(event.detail));
    if event.mfa != Mfa::Unknown {
        put("mfa", event.mfa.name().to_owned());
    }
    put("in one line", line);
    lines
}

/// Why a field that people ask for is not there.
fn unknown(source: &Source, event: &Event) -> Vec<(String, String)> {
    let asked = [
        (Field::User, event.user.is_some() || event.act == Act::Flow),
        (Field::SourceIp, event.src_ip.is_some()),
        (
            Field::TunnelIp,
            event.tun_ip.is_some() || event.act != Act::IpAssign && event.act != Act::SessionStart,
        ),
        (Field::Device, event.device.is_some() || event.mac.is_some()),
        (Field::Mfa, event.mfa != Mfa::Unknown || event.act == Act::Mfa),
    ];
    asked
        .into_iter()
        .filter(|(_, known)| !known)
        .map(|(field, _)| {
            let why = if source.lacks.contains(&field) {
                "this product never tells it".to_owned()
            } else if field == Field::User && event.flags.has(portreeve_model::event::Flags::USER_MASKED) {
                "the product masked it; see how to turn the log on".to_owned()
            } else {
                "not in this record".to_owned()
            };
            (field.name().to_owned(), why)
        })
        .collect()
}

fn fate_of(parsed: &Parsed) -> (String, String) {
    let (what, why) = match parsed {
        Parsed::Events => ("understood", "gives the event above".to_owned()),
        Parsed::Fragment(f) => ("piece", format!("part {} of a record that others complete", f.part)),
        Parsed::Irrelevant(kind) => ("of no concern", format!("{}: {}", kind.name(), kind_meaning(*kind))),
        Parsed::NotMine => ("unknown", "its source looked closer and does not know it".to_owned()),
        Parsed::Broken(why) => ("broken", why.text()),
    };
    (what.to_owned(), why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(line: &str) -> String {
        let clock = Clock::utc().with_year(Some(2026));
        explain(Catalog::built_in(), line.as_bytes(), &clock)
            .iter()
            .flat_map(|p| p.lines.iter().map(|(k, v)| format!("{}/{k}: {v}\n", p.title)))
            .collect()
    }

    #[test]
    fn a_line_from_envelope_to_fate() {
        let text = all(
            r#"{"@timestamp":"2026-03-06T09:12:11Z","message":"<38>Mar  6 09:12:09 gw1 sshd[77]: Accepted password for anna from 192.0.2.1 port 4711 ssh2"}"#,
        );
        for wanted in [
            "envelope/record inside: <38>Mar  6",
            "header/program: sshd",
            "recognised/openssh: OpenSSH server",
            "event/user: anna",
            "event/source_ip: 192.0.2.1",
            "unknown/device: this product never tells it",
            "fate/understood",
        ] {
            assert!(text.contains(wanted), "{wanted} in:\n{text}");
        }
    }

    #[test]
    fn what_nobody_knows_and_what_is_of_no_concern() {
        assert!(all("a line of our own making").contains("fate/unknown"));
        assert!(all("{broken").contains("split/malformed"));
        let text = all("<38>Mar  6 09:12:09 gw1 sshd[77]: Server listening on 0.0.0.0 port 22.");
        assert!(text.contains("fate/of no concern"), "{text}");
    }
}
