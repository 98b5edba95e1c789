//! A STIX 2.1 bundle: indicators of where the intruder came from, what was observed of it, and a course of action
//! per action taken. Ids stay the same from export to export; whoever imports again updates.

use crate::actions::{Aftermath, Taken};
use crate::{Export, guard, ids, origin, technique, wire};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use std::io::{self, Write};
use std::net::IpAddr;
use uuid::{Uuid, uuid};

pub(crate) static EXPORT: Export = Export { name: "stix", title: "STIX 2.1 bundle", write };

/// The namespace of ids of observables (STIX 2.1, 2.9).
const OBSERVABLES: Uuid = uuid!("00abedb4-aa42-466c-9c01-fed23315a9b7");
/// TLP:AMBER, as STIX 2.1 (7.2.1.4) defines it.
const AMBER: &str = "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82";
/// Rented addresses change hands.
const VALID: SignedDuration = SignedDuration::from_hours(30 * 24);

struct Bundle<'c> {
    case: &'c wire::Case,
    objects: Vec<Value>,
    created: String,
    modified: String,
}

/// An observable's id is made of what it is, so that every tool gives it the same.
fn observable(kind: &str, contributing: &Value) -> String {
    format!("{kind}--{}", Uuid::new_v5(&OBSERVABLES, contributing.to_string().as_bytes()))
}

impl Bundle<'_> {
    fn id(&self, kind: &str, key: &str) -> String {
        format!("{kind}--{}", ids::of(self.case, kind, key))
    }

    /// A domain or relationship object with what all of them have.
    fn object(&mut self, kind: &str, key: &str, own: Value) -> String {
        let id = self.id(kind, key);
        let mut map = Map::new();
        map.insert("type".into(), json!(kind));
        map.insert("spec_version".into(), json!("2.1"));
        map.insert("id".into(), json!(id));
        map.insert("created_by_ref".into(), json!(identity()));
        map.insert("created".into(), json!(self.created));
        map.insert("modified".into(), json!(self.modified));
        map.insert("object_marking_refs".into(), json!([AMBER]));
        if let Value::Object(own) = own {
            map.extend(own);
        }
        self.objects.push(Value::Object(map));
        id
    }

    fn observed(&mut self, kind: &str, contributing: Value, more: Value) -> String {
        let id = observable(kind, &contributing);
        let mut map = Map::new();
        map.insert("type".into(), json!(kind));
        map.insert("spec_version".into(), json!("2.1"));
        map.insert("id".into(), json!(id));
        map.insert("object_marking_refs".into(), json!([AMBER]));
        for part in [contributing, more] {
            if let Value::Object(part) = part {
                map.extend(part);
            }
        }
        if !self.objects.iter().any(|o| o["id"] == id.as_str()) {
            self.objects.push(Value::Object(map));
        }
        id
    }

    fn relate(&mut self, from: &str, how: &str, to: &str) {
        let own = json!({"relationship_type": how, "source_ref": from, "target_ref": to});
        self.object("relationship", &format!("{from} {how} {to}"), own);
    }
}

fn identity() -> String {
    format!("identity--{}", ids::own("identity"))
}

fn write(case: &wire::Case, after: &Aftermath, to: &mut dyn Write) -> io::Result<()> {
    let mut b = Bundle {
        case,
        objects: Vec::new(),
        created: ids::millis(ids::created(case)),
        modified: ids::millis(ids::modified(case, after)),
    };
    let epoch = "2026-01-01T00:00:00.000Z";
    b.objects.push(json!({
        "type": "identity", "spec_version": "2.1", "id": identity(), "created": epoch, "modified": epoch,
        "name": "Portreeve", "identity_class": "system",
    }));
    b.objects.push(json!({
        "type": "marking-definition", "spec_version": "2.1", "id": AMBER, "created": "2017-01-20T00:00:00.000Z",
        "definition_type": "tlp", "name": "TLP:AMBER", "definition": {"tlp": "amber"},
    }));
    let pattern = techniques(&mut b);
    let accounts = accounts(&mut b);
    let mut indicators = Vec::new();
    for origin in origin::of(case) {
        let indicator = origin_of(&mut b, &origin, &accounts, after);
        b.relate(&indicator, "indicates", &pattern);
        indicators.push((origin.ip, indicator));
    }
    for taken in after.carried_out() {
        action(&mut b, taken, &pattern, &indicators, after);
    }
    let refs: Vec<Value> =
        b.objects.iter().filter(|o| o["type"] != "marking-definition").map(|o| o["id"].clone()).collect();
    let own = json!({
        "name": case.title,
        "description": format!("{}: {}", case.decision, case.reason),
        "context": "suspicious-activity",
        "object_refs": refs,
        "external_references": [{"source_name": "portreeve", "external_id": case.case_id}],
    });
    b.object("grouping", "case", own);
    let id = b.id("bundle", &b.modified);
    guard::json(&json!({"type": "bundle", "id": id, "objects": b.objects}), true, to)
}

/// Gives back the id of T1133.
fn techniques(b: &mut Bundle<'_>) -> String {
    let mut main = String::new();
    for id in technique::of(b.case) {
        let url = format!("https://attack.mitre.org/techniques/{}", id.replace('.', "/"));
        let own = json!({
            "name": technique::name(id).unwrap_or(id),
            "external_references": [{"source_name": "mitre-attack", "external_id": id, "url": url}],
        });
        let object = b.object("attack-pattern", id, own);
        if id == technique::T1133 {
            main = object;
        }
    }
    main
}

fn accounts(b: &mut Bundle<'_>) -> Vec<String> {
    let people = std::iter::once(&b.case.principal).chain(&b.case.principals);
    let mut refs = Vec::new();
    for person in people.filter(|p| !p.name.is_empty()) {
        let more = match person.privileged {
            Some(privileged) => json!({"is_privileged": privileged}),
            None => json!({}),
        };
        let id = b.observed("user-account", json!({"account_login": person.name}), more);
        if !refs.contains(&id) {
            refs.push(id);
        }
    }
    refs
}

/// Address, network, indicator, what was observed and its sighting; gives back the indicator.
fn origin_of(b: &mut Bundle<'_>, o: &origin::Origin<'_>, accounts: &[String], after: &Aftermath) -> String {
    let kind = if o.ip.is_ipv4() { "ipv4-addr" } else { "ipv6-addr" };
    let value = o.ip.to_string();
    let mut refs = Vec::new();
    let mut more = json!({});
    if o.place.asn != 0 {
        let name = if o.place.as_name.is_empty() { json!({}) } else { json!({"name": o.place.as_name}) };
        let network = b.observed("autonomous-system", json!({"number": o.place.asn}), name);
        more = json!({"belongs_to_refs": [network]});
        refs.push(network);
    }
    refs.push(b.observed(kind, json!({"value": value}), more));
    refs.extend(accounts.iter().cloned());
    let escalated = b.case.decision == "escalate" && !o.shared;
    let until =
        blocked_until(after, o.ip).unwrap_or(o.last).max(o.last.saturating_add(VALID).unwrap_or(o.last));
    let own = json!({
        "name": format!("Source of {}", value),
        "description": o.says(),
        "indicator_types": [if escalated { "malicious-activity" } else { "anomalous-activity" }],
        "confidence": b.case.risk_score.clamp(0.0, 100.0).round() as u8,
        "pattern": format!("[{kind}:value = '{value}']"),
        "pattern_type": "stix",
        "valid_from": ids::millis(o.first),
        "valid_until": ids::millis(until),
    });
    let indicator = b.object("indicator", &value, own);
    let data = json!({
        "first_observed": ids::millis(o.first), "last_observed": ids::millis(o.last),
        "number_observed": o.sessions, "object_refs": refs,
    });
    let data = b.object("observed-data", &value, data);
    let own = json!({
        "sighting_of_ref": indicator, "observed_data_refs": [data], "count": o.sessions,
        "first_seen": ids::millis(o.first), "last_seen": ids::millis(o.last),
    });
    b.object("sighting", &value, own);
    indicator
}

fn blocked_until(after: &Aftermath, ip: IpAddr) -> Option<Timestamp> {
    after.carried_out().filter(|a| is_of(a, ip)).filter_map(|a| ids::time(a.until.as_deref()?)).max()
}

/// A target is written as an address or as a network of one address.
fn is_of(taken: &Taken, ip: IpAddr) -> bool {
    let value = taken.target.value.as_str();
    let host = value.strip_suffix("/32").or_else(|| value.strip_suffix("/128")).unwrap_or(value);
    taken.target.kind == "address" && host.parse() == Ok(ip)
}

fn action(
    b: &mut Bundle<'_>,
    taken: &Taken,
    pattern: &str,
    indicators: &[(IpAddr, String)],
    after: &Aftermath,
) {
    let key = format!("{} {}", taken.plan, taken.step);
    let own = json!({
        "name": taken.says(),
        "description": format!(
            "{} ({}). Effect: {}. Leaves open: {}.", taken.standing().name(), taken.state.replace('_', " "),
            taken.effect, taken.leaves_open
        ),
        "external_references": [{"source_name": "d3fend", "external_id": taken.d3fend}],
    });
    let course = b.object("course-of-action", &key, own);
    b.relate(&course, "mitigates", pattern);
    let Some((_, indicator)) = indicators.iter().find(|(ip, _)| is_of(taken, *ip)) else { return };
    b.relate(&course, "mitigates", indicator);
    let seen: Vec<&str> = after.after(taken).map(|s| s.at.as_str()).collect();
    let times: Vec<Timestamp> = seen.iter().filter_map(|at| ids::time(at)).collect();
    if let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) {
        let inside = after.after(taken).filter(|s| s.got_in).count();
        let own = json!({
            "sighting_of_ref": indicator, "count": times.len(), "first_seen": ids::millis(*first),
            "last_seen": ids::millis(*last),
            "description": format!("after containment; {inside} of them got in"),
        });
        b.object("sighting", &format!("after {key}"), own);
    }
}
