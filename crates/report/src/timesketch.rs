//! Timesketch JSONL: what happened, what was found, what was done, what came after, one happening a line, by time.

use crate::actions::Aftermath;
use crate::{Export, guard, ids, wire};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::io::{self, Write};

pub(crate) static EXPORT: Export = Export { name: "timesketch", title: "Timesketch JSONL", write };

struct Lines<'c> {
    case: &'c wire::Case,
    lines: Vec<(Timestamp, Map<String, Value>)>,
}

impl Lines<'_> {
    /// What has no time has no place in a timeline.
    fn add(&mut self, at: &str, what: &str, kind: &str, message: &str, more: Value) {
        let Some(time) = ids::time(at) else { return };
        let mut map = Map::new();
        map.insert("datetime".into(), json!(format!("{time:.6}")));
        map.insert("timestamp".into(), json!(time.as_microsecond()));
        map.insert("timestamp_desc".into(), json!(what));
        map.insert("message".into(), json!(message));
        map.insert("data_type".into(), json!(format!("portreeve:{kind}")));
        map.insert("case_id".into(), json!(self.case.case_id));
        map.insert("username".into(), json!(self.case.principal.name));
        map.insert("tag".into(), json!(["portreeve", kind]));
        if let Value::Object(more) = more {
            map.extend(more.into_iter().filter(|(_, v)| v.as_str() != Some("") && !v.is_null()));
        }
        self.lines.push((time, map));
    }
}

fn evidence(of: Option<&wire::Evidence>) -> Value {
    match of {
        Some(e) => json!({"source": e.source, "evidence": format!("{}:{}", e.file, e.line), "raw": e.raw}),
        None => json!({}),
    }
}

fn write(case: &wire::Case, after: &Aftermath, to: &mut dyn Write) -> io::Result<()> {
    let mut lines = Lines { case, lines: Vec::new() };
    for t in case.timeline.iter().filter(|t| t.kind != "session") {
        let mut more = evidence(t.evidence.as_ref());
        more["certainty"] = json!(t.certainty);
        let what = if t.kind == "indicator" { "Detection" } else { "Event Logged" };
        lines.add(&t.time, what, &t.kind, &t.text, more);
    }
    for s in &case.sessions {
        let standing = if s.suspect { "suspect" } else { s.standing.as_str() };
        let mut more = evidence(s.evidence.first());
        more["username"] = json!(s.principal);
        more["session"] = json!(s.id);
        more["standing"] = json!(standing);
        more["service"] = json!(s.service);
        more["gateway"] = json!(s.gateway);
        more["src_ip"] = json!(s.public_ips.join(", "));
        more["tunnel_ip"] = json!(s.tunnel_ips.join(", "));
        more["mfa"] = json!(s.mfa);
        more["country"] = json!(s.place.country);
        let text = format!("{} session of {} from {}", s.service, s.principal, s.public_ips.join(", "));
        lines.add(&s.start, "Session Start", "session", &text, more.clone());
        if let Some(end) = &s.end {
            lines.add(end, "Session End", "session", &format!("{text} ended: {}", s.end_reason), more);
        }
    }
    lines.add(
        &case.detected_at,
        "Decision",
        "decision",
        &format!("{}: {}", case.decision, case.reason),
        json!({}),
    );
    for a in &after.actions {
        for m in &a.history {
            let state = m.state.replace('_', " ");
            let more = json!({
                "action": a.act, "d3fend": a.d3fend, "target": a.target.value, "device": a.device,
                "state": m.state, "actor": m.actor, "plan": a.plan, "proof": m.why,
            });
            lines.add(&m.at, "Containment", "action", &format!("{}: {state}", a.says()), more);
        }
    }
    for s in &after.sightings {
        let how = if s.got_in { "CONTAINMENT INEFFECTIVE" } else { "kept out" };
        let more = json!({"target": s.target, "evidence": s.evidence, "plan": s.plan});
        let text = format!("{how}: {} {}", s.target, s.what);
        lines.add(&s.at, "Seen After Containment", "sighting", &text, more);
    }
    lines.lines.sort_by_key(|(at, _)| *at);
    for (_, line) in lines.lines {
        guard::json(&Value::Object(line), false, to)?;
    }
    Ok(())
}
