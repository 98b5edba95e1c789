//! A MISP event: sources, accounts and clients as attributes, TLP and ATT&CK as tags, actions as internal reference.

use crate::actions::{Aftermath, Standing};
use crate::{Export, guard, ids, origin, technique, wire};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::io::{self, Write};

pub(crate) static EXPORT: Export = Export { name: "misp", title: "MISP event", write };

struct Event<'c> {
    case: &'c wire::Case,
    stamp: String,
    attributes: Vec<Value>,
    seen: BTreeSet<(&'static str, String)>,
}

impl Event<'_> {
    /// Adds an attribute; the same value is added once.
    fn add(&mut self, kind: &'static str, category: &str, value: &str, detect: bool, more: Value) {
        let value = value.trim();
        if value.is_empty() || !self.seen.insert((kind, value.to_owned())) {
            return;
        }
        let mut map = Map::new();
        map.insert("uuid".into(), json!(ids::of(self.case, "misp-attribute", &format!("{kind} {value}"))));
        map.insert("type".into(), json!(kind));
        map.insert("category".into(), json!(category));
        map.insert("value".into(), json!(value));
        map.insert("to_ids".into(), json!(detect));
        map.insert("timestamp".into(), json!(self.stamp));
        map.insert("distribution".into(), json!("5"));
        if let Value::Object(more) = more {
            map.extend(more);
        }
        self.attributes.push(Value::Object(map));
    }
}

/// As MISP writes the time that an attribute was seen.
fn seen(at: Timestamp) -> String {
    format!("{}+00:00", at.strftime("%Y-%m-%dT%H:%M:%S.%6f"))
}

fn write(case: &wire::Case, after: &Aftermath, to: &mut dyn Write) -> io::Result<()> {
    let stamp = ids::modified(case, after).as_second().to_string();
    let mut e = Event { case, stamp, attributes: Vec::new(), seen: BTreeSet::new() };
    for o in origin::of(case) {
        let more = json!({"comment": o.says(), "first_seen": seen(o.first), "last_seen": seen(o.last)});
        e.add("ip-src", "Network activity", &o.ip.to_string(), !o.shared, more);
        if o.place.asn != 0 {
            let more = json!({"comment": o.place.as_name, "disable_correlation": true});
            e.add("AS", "Network activity", &o.place.asn.to_string(), false, more);
        }
    }
    for person in std::iter::once(&case.principal).chain(&case.principals) {
        let comment = [person.department.as_str(), person.role.as_str()]
            .into_iter()
            .filter(|t| !t.is_empty())
            .collect::<Vec<_>>()
            .join(", ");
        e.add("target-user", "Targeting data", &person.name, false, json!({"comment": comment}));
    }
    for s in case.sessions.iter().filter(|s| s.suspect) {
        let more = json!({"comment": s.service, "disable_correlation": true});
        e.add("user-agent", "Network activity", &s.client, false, more);
        e.add("target-machine", "Targeting data", &s.gateway, false, json!({"comment": s.service}));
    }
    let plain = || json!({"disable_correlation": true});
    e.add("text", "Internal reference", &format!("{}: {}", case.decision, case.reason), false, plain());
    for a in after.carried_out() {
        let text =
            format!("{}: {} since {} ({}). {}", a.says(), a.standing().name(), a.since, a.d3fend, a.proof);
        e.add("text", "Internal reference", &text, false, plain());
    }
    for s in &after.sightings {
        let how = if s.got_in { "got in after containment" } else { "kept out after containment" };
        let text = format!("{} {}: {how}: {} ({})", s.at, s.target, s.what, s.evidence);
        e.add("text", "Internal reference", &text, false, plain());
    }
    let mut tags = vec![json!({"name": "tlp:amber"}), json!({"name": "portreeve:case"})];
    for id in technique::of(case) {
        if let Some(name) = technique::name(id) {
            tags.push(json!({"name": format!("misp-galaxy:mitre-attack-pattern=\"{name} - {id}\"")}));
        }
    }
    let event = json!({
        "uuid": ids::of(case, "misp-event", ""),
        "info": format!("T1133 {}: {}", case.case_id, case.title),
        "date": ids::first_seen(case).strftime("%Y-%m-%d").to_string(),
        "timestamp": e.stamp,
        // High, medium, low.
        "threat_level_id": match case.decision.as_str() { "escalate" => "1", "investigate" => "2", _ => "3" },
        // Initial, ongoing, complete.
        "analysis": match () {
            () if !after.ledger_read => "0",
            () if !after.open(case).is_empty() || after.count(Standing::InForce) > 0 => "1",
            () => "2",
        },
        // The own organisation; whoever shares it, decides to.
        "distribution": "0",
        "published": false,
        "Tag": tags,
        "Attribute": e.attributes,
    });
    guard::json(&json!({"Event": event}), true, to)
}
