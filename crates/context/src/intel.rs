//! Threat-intelligence lists: plain text, CSV, STIX 2.1 bundles, MISP events.
//!
//! Lists of anonymisers (file names with `tor`, `vpn`, `hosting`, `datacenter`) say what kind of network an address
//! belongs to; they name no attacker.

use crate::error::Problem;
use portreeve_model::facts::IntelHit;
use portreeve_model::net::{Cidr, NetworkClass};
use portreeve_model::{EventTime, Ip};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Wider prefixes in a list are a mistake of the list.
const WIDEST_V4: u8 = 96 + 8;
const WIDEST_V6: u8 = 19;

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    cidr: Cidr,
    list: usize,
    label: String,
    confidence: u8,
    from: Option<EventTime>,
    until: Option<EventTime>,
    dated: Option<EventTime>,
}

#[derive(Clone, Debug)]
pub(crate) struct List {
    pub(crate) name: String,
    pub(crate) dated: Option<EventTime>,
    pub(crate) entries: usize,
    /// Not a list of attackers but of a kind of network.
    pub(crate) class: Option<NetworkClass>,
}

#[derive(Default)]
pub(crate) struct Intel {
    pub(crate) lists: Vec<List>,
    /// By prefix length, then by base: the narrowest that holds an address is found by asking each length in use.
    by_length: BTreeMap<u8, Vec<Entry>>,
}

impl Intel {
    /// A file, or a directory of them.
    pub(crate) fn add(&mut self, path: &Path, problems: &mut Vec<Problem>, warnings: &mut Vec<String>) {
        if path.is_dir() {
            let Ok(entries) = std::fs::read_dir(path) else { return };
            let mut paths: Vec<_> = entries
                .flatten()
                .map(|e| e.path())
                .filter(|p| !p.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.')))
                .collect();
            paths.sort();
            for path in paths {
                self.add(&path, problems, warnings);
            }
            return;
        }
        let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        if name.to_ascii_lowercase().starts_with("readme") {
            return;
        }
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                problems.push(Problem { file: path.display().to_string(), line: 0, text: error.to_string() });
                return;
            }
        };
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_start_matches('\u{feff}');
        let class = class_of(&name);
        let list = self.lists.len();
        self.lists.push(List { name: name.clone(), dated: None, entries: 0, class });
        let before: usize = self.by_length.values().map(Vec::len).sum();
        match text.trim_start().as_bytes().first() {
            Some(b'{' | b'[') => match serde_json::from_str::<Value>(text) {
                Ok(doc) => self.json(&doc, list),
                Err(_) => {
                    let mut understood = false;
                    for line in text.lines() {
                        if let Ok(doc) = serde_json::from_str::<Value>(line) {
                            self.json(&doc, list);
                            understood = true;
                        }
                    }
                    if !understood {
                        problems.push(Problem {
                            file: path.display().to_string(),
                            line: 0,
                            text: "neither JSON nor a list of addresses".to_owned(),
                        });
                    }
                }
            },
            _ => self.text(text, list, warnings),
        }
        let after: usize = self.by_length.values().map(Vec::len).sum();
        self.lists[list].entries = after - before;
        if after == before && !text.trim().is_empty() {
            warnings.push(format!("{name}: no address found in this list"));
        }
    }

    /// Call once after the last [`Intel::add`].
    pub(crate) fn sort(&mut self) {
        for entries in self.by_length.values_mut() {
            entries.sort_by_key(|e| e.cidr.base);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// Is any list about attackers?
    pub(crate) fn names_attackers(&self) -> bool {
        self.lists.iter().any(|l| l.class.is_none())
    }

    fn entries(&self, ip: Ip) -> impl Iterator<Item = &Entry> {
        self.by_length.iter().rev().flat_map(move |(bits, entries)| {
            let base = if *bits == 0 { 0 } else { ip.0 & (u128::MAX << (128 - u32::from(*bits))) };
            let from = entries.partition_point(|e| e.cidr.base.0 < base);
            entries[from..].iter().take_while(move |e| e.cidr.base.0 == base)
        })
    }

    pub(crate) fn hits(&self, ip: Ip, at: EventTime) -> Vec<IntelHit> {
        let valid = |e: &&Entry| e.from.is_none_or(|f| f <= at) && e.until.is_none_or(|u| at <= u);
        self.entries(ip)
            .filter(valid)
            .filter(|e| !matches!(self.lists[e.list].class, Some(c) if c != NetworkClass::Tor))
            .map(|e| IntelHit {
                list: self.lists[e.list].name.clone(),
                label: e.label.clone(),
                dated: e.dated.or(self.lists[e.list].dated),
                confidence: e.confidence,
                anonymiser: self.lists[e.list].class.is_some(),
            })
            .collect()
    }

    pub(crate) fn class(&self, ip: Ip) -> Option<NetworkClass> {
        self.entries(ip).find_map(|e| self.lists[e.list].class)
    }

    fn push(&mut self, cidr: Cidr, entry: impl FnOnce(Cidr) -> Entry) -> bool {
        let widest = if cidr.base.is_v4() { WIDEST_V4 } else { WIDEST_V6 };
        if cidr.bits < widest || cidr.base.is_private() {
            return false;
        }
        self.by_length.entry(cidr.bits).or_default().push(entry(cidr));
        true
    }

    /// Addresses and prefixes one per line, with comments; CSV with an address in any column.
    fn text(&mut self, text: &str, list: usize, warnings: &mut Vec<String>) {
        let mut refused = 0;
        for line in text.lines() {
            let line = line.trim();
            if line.starts_with(['#', ';']) || line.starts_with("//") {
                if let Some(dated) = date_in(line) {
                    let known = self.lists[list].dated;
                    self.lists[list].dated = Some(known.map_or(dated, |k| k.max(dated)));
                }
                continue;
            }
            let (data, comment) = match line.find(['#', ';']) {
                Some(n) => (&line[..n], line[n + 1..].trim()),
                None => (line, ""),
            };
            let Some((cidr, rest)) = data
                .split([',', '\t', ' ', '|'])
                .map(|f| f.trim().trim_matches('"'))
                .enumerate()
                .find_map(|(n, f)| Cidr::parse(f).map(|c| (c, n)))
            else {
                continue;
            };
            let label = if comment.is_empty() {
                let others: Vec<&str> = data
                    .split([',', '\t', '|'])
                    .enumerate()
                    .filter(|(n, _)| *n != rest)
                    .map(|(_, f)| f.trim().trim_matches('"'))
                    .filter(|f| !f.is_empty())
                    .take(2)
                    .collect();
                others.join(", ")
            } else {
                comment.to_owned()
            };
            let pushed = self.push(cidr, |cidr| Entry {
                cidr,
                list,
                label,
                confidence: 50,
                from: None,
                until: None,
                dated: None,
            });
            refused += usize::from(!pushed);
        }
        if refused > 0 {
            warnings.push(format!(
                "{}: {refused} private or very wide ranges were left out",
                self.lists[list].name
            ));
        }
    }

    fn json(&mut self, doc: &Value, list: usize) {
        match doc {
            Value::Array(all) => all.iter().for_each(|d| self.json(d, list)),
            Value::Object(map) => {
                if let Some(objects) = map.get("objects").and_then(Value::as_array) {
                    objects.iter().for_each(|o| self.stix(o, list));
                } else if map.get("type").and_then(Value::as_str) == Some("indicator") {
                    self.stix(doc, list);
                } else {
                    self.misp(map.get("Event").unwrap_or(doc), list);
                }
            }
            _ => {}
        }
    }

    fn stix(&mut self, object: &Value, list: usize) {
        let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or("");
        if text("type") != "indicator" || object.get("revoked").and_then(Value::as_bool) == Some(true) {
            return;
        }
        let time = |key: &str| {
            object
                .get(key)
                .and_then(Value::as_str)
                .and_then(|t| t.parse::<jiff::Timestamp>().ok())
                .map(|t| EventTime(t.as_microsecond()))
        };
        let confidence =
            object.get("confidence").and_then(Value::as_u64).and_then(|c| u8::try_from(c).ok()).unwrap_or(50);
        let kinds: Vec<&str> = object
            .get("indicator_types")
            .and_then(Value::as_array)
            .map(|a| a.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        if kinds == ["benign"] {
            return;
        }
        for cidr in quoted_addresses(text("pattern")) {
            let (label, from, until, dated) =
                (text("name").to_owned(), time("valid_from"), time("valid_until"), time("modified"));
            self.push(cidr, |cidr| Entry { cidr, list, label, confidence, from, until, dated });
        }
    }

    fn misp(&mut self, event: &Value, list: usize) {
        let info = event.get("info").and_then(Value::as_str).unwrap_or("").to_owned();
        let direct = event.get("Attribute").and_then(Value::as_array).into_iter().flatten();
        let nested = event
            .get("Object")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|o| o.get("Attribute"))
            .filter_map(Value::as_array)
            .flatten();
        for attribute in direct.chain(nested) {
            let text = |key: &str| attribute.get(key).and_then(Value::as_str).unwrap_or("");
            if !matches!(text("type"), "ip-src" | "ip-dst" | "ip-src|port" | "ip-dst|port")
                || attribute.get("to_ids").and_then(Value::as_bool) == Some(false)
            {
                continue;
            }
            let Some(cidr) = text("value").split('|').next().and_then(Cidr::parse) else { continue };
            let comment = text("comment");
            let label = if comment.is_empty() { info.clone() } else { format!("{info}: {comment}") };
            let seconds = match attribute.get("timestamp") {
                Some(Value::String(s)) => s.parse().ok(),
                Some(Value::Number(n)) => n.as_i64(),
                _ => None,
            };
            self.push(cidr, |cidr| Entry {
                cidr,
                list,
                label,
                confidence: 60,
                from: None,
                until: None,
                dated: seconds.map(EventTime::from_unix),
            });
        }
    }
}

/// Addresses between single quotes in a STIX pattern about addresses.
fn quoted_addresses(pattern: &str) -> Vec<Cidr> {
    if !pattern.contains("ipv4-addr") && !pattern.contains("ipv6-addr") {
        return Vec::new();
    }
    pattern.split('\'').skip(1).step_by(2).filter_map(Cidr::parse).collect()
}

/// A day in a comment: `Updated 2026-10-06`.
fn date_in(line: &str) -> Option<EventTime> {
    line.split(|c: char| !(c.is_ascii_digit() || c == '-')).filter(|w| w.len() == 10).find_map(|w| {
        let date: jiff::civil::Date = w.parse().ok()?;
        let part = |n: i8| u32::try_from(n).ok();
        Some(EventTime::from_civil(
            i32::from(date.year()),
            part(date.month())?,
            part(date.day())?,
            0,
            0,
            0,
            0,
        ))
    })
}

fn class_of(name: &str) -> Option<NetworkClass> {
    let name = name.to_ascii_lowercase();
    let words: Vec<&str> = name.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    if words.contains(&"tor") {
        Some(NetworkClass::Tor)
    } else if words.contains(&"vpn") || words.contains(&"vpns") {
        Some(NetworkClass::CommercialVpn)
    } else if words.iter().any(|w| matches!(*w, "hosting" | "datacenter" | "datacenters")) {
        Some(NetworkClass::Hosting)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(files: &[(&str, &str)]) -> Intel {
        let dir = tempfile::tempdir().expect("temporary directory");
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).expect("written");
        }
        let mut intel = Intel::default();
        let (mut problems, mut warnings) = (Vec::new(), Vec::new());
        intel.add(dir.path(), &mut problems, &mut warnings);
        intel.sort();
        assert!(problems.is_empty(), "{problems:?}");
        intel
    }

    fn labels(intel: &Intel, ip: Ip, at: &str) -> Vec<String> {
        let at = EventTime(at.parse::<jiff::Timestamp>().expect("a time").as_microsecond());
        intel.hits(ip, at).into_iter().map(|h| format!("{}:{}", h.list, h.label)).collect()
    }

    #[test]
    fn text_stix_and_misp() {
        let stix = r#"{"type":"bundle","objects":[{"type":"indicator","name":"C2","pattern":"[ipv4-addr:value = '203.0.113.7'] OR [ipv4-addr:value = '203.0.113.8']","valid_from":"2026-03-01T00:00:00Z","valid_until":"2026-04-01T00:00:00Z"}]}"#;
        let misp = r#"{"Event":{"info":"spray","Attribute":[{"type":"ip-src","value":"198.51.100.9","to_ids":true,"timestamp":"1770000000"}]}}"#;
        let text = "# Updated 2026-02-01\n192.0.2.0/28\t4 # bots\n10.0.0.1\n0.0.0.0/0\n";
        let intel = loaded(&[
            ("a.txt", text),
            ("b.json", stix),
            ("c.json", misp),
            ("tor-exits.txt", "203.0.113.99\n"),
        ]);
        assert_eq!(labels(&intel, Ip::v4(192, 0, 2, 3), "2026-03-01T00:00:00Z"), ["a.txt:bots"]);
        let c2 = Ip::v4(203, 0, 113, 8);
        // Closed at both ends: exactly the first and the last moment are inside.
        assert_eq!(labels(&intel, c2, "2026-03-01T00:00:00Z").len(), 1);
        assert_eq!(labels(&intel, c2, "2026-04-01T00:00:00Z").len(), 1);
        assert_eq!(labels(&intel, c2, "2026-04-01T00:00:01Z").len(), 0);
        assert_eq!(labels(&intel, Ip::v4(198, 51, 100, 9), "2026-03-01T00:00:00Z"), ["c.json:spray"]);
        assert_eq!(intel.class(Ip::v4(203, 0, 113, 99)), Some(NetworkClass::Tor));
        assert!(labels(&intel, Ip::v4(10, 0, 0, 1), "2026-03-01T00:00:00Z").is_empty());
    }
}
