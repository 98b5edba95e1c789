//! The feed as STIX 2.1: one indicator for each address, and the identity that made them.

use super::store::{Entry, State};
use crate::value::Net;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// An object with the times that TAXII counts by.
#[derive(Clone, PartialEq, Debug)]
pub struct Object {
    pub id: String,
    pub kind: &'static str,
    /// When it came into the collection in this version. Microseconds since 1970, UTC; no two share one.
    pub added: i64,
    /// Its `modified`, as written.
    pub version: String,
    pub json: Value,
}

/// Every object of the feed, in the order in which they came.
pub fn objects(state: &State) -> Vec<Object> {
    let identity = identity_id();
    let created = time(state.created);
    let mut all = vec![Object {
        id: identity.clone(),
        kind: "identity",
        added: state.created,
        version: created.clone(),
        json: json!({
            "type": "identity",
            "spec_version": "2.1",
            "id": identity,
            "created": created,
            "modified": created,
            "name": "Portreeve",
            "identity_class": "system",
        }),
    }];
    all.extend(state.entries.iter().map(|e| indicator(e, &identity, false, e.at)));
    all.extend(state.gone.iter().map(|g| {
        // What ran out says so by its `valid_until`; revoked is what was taken back.
        let at = if g.revoked { g.at } else { g.entry.at };
        indicator(&g.entry, &identity, g.revoked, at)
    }));
    all.sort_by_key(|o| o.added);
    all
}

/// All of them in one bundle, whose id follows from what is in it.
pub fn bundle(state: &State) -> Value {
    let objects: Vec<Value> = objects(state).into_iter().map(|o| o.json).collect();
    let names = Value::from(objects.clone()).to_string();
    json!({"type": "bundle", "id": format!("bundle--{}", uuid(&names)), "objects": objects})
}

fn identity_id() -> String {
    format!("identity--{}", uuid("portreeve identity"))
}

fn indicator(entry: &Entry, identity: &str, revoked: bool, at: i64) -> Object {
    let id = format!("indicator--{}", uuid(&format!("{} {} {}", entry.mark, entry.net, entry.from)));
    let modified = time(at);
    let mut json = json!({
        "type": "indicator",
        "spec_version": "2.1",
        "id": id,
        "created_by_ref": identity,
        "created": time(entry.from),
        "modified": modified,
        "name": format!("Blocked address {}", entry.net),
        "description": "An address of an intruder, blocked by an approved action.",
        "indicator_types": ["malicious-activity"],
        "pattern": pattern(entry.net),
        "pattern_type": "stix",
        "pattern_version": "2.1",
        "valid_from": time(entry.from),
        "labels": [entry.mark],
        "revoked": revoked,
    });
    if let (Some(until), Some(object)) = (entry.until, json.as_object_mut()) {
        // `valid_until` must be later than `valid_from`.
        object.insert("valid_until".into(), time(until.max(entry.from + 1000)).into());
    }
    Object { id, kind: "indicator", added: at, version: modified, json }
}

fn pattern(net: Net) -> String {
    let kind = if net.is_v4() { "ipv4-addr" } else { "ipv6-addr" };
    // The address is a typed value and holds no quote.
    if net.is_host() {
        format!("[{kind}:value = '{net}']")
    } else {
        format!("[{kind}:value ISSUBSET '{net}']")
    }
}

/// `2026-11-27T15:00:00.000001Z`.
pub fn time(us: i64) -> String {
    jiff::Timestamp::from_microsecond(us)
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .strftime("%Y-%m-%dT%H:%M:%S.%6fZ")
        .to_string()
}

/// The same text has the same id on every machine. In the form of version 4, which STIX asks for; the bits are a hash
/// where others have chance.
fn uuid(text: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(b"portreeve stix 1\n");
    hash.update(text.as_bytes());
    let mut bits = hash.finalize().iter().take(16).fold(0_u128, |n, b| n << 8 | u128::from(*b));
    bits = bits & !(0xf << 76) | 0x4 << 76;
    bits = bits & !(0x3 << 62) | 0x2 << 62;
    let hex = format!("{bits:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_from_what_they_name() {
        let one = uuid("a");
        assert_eq!(one, uuid("a"));
        assert_ne!(one, uuid("b"));
        assert_eq!((&one[14..15], one.len()), ("4", 36));
        assert!(matches!(&one[19..20], "8" | "9" | "a" | "b"), "{one}");
    }

    #[test]
    fn patterns_say_address_or_range() {
        assert_eq!(pattern("192.0.2.7".parse().unwrap()), "[ipv4-addr:value = '192.0.2.7']");
        assert_eq!(pattern("2001:db8::/48".parse().unwrap()), "[ipv6-addr:value ISSUBSET '2001:db8::/48']");
        assert_eq!(time(1_795_791_600_000_001), "2026-11-27T15:00:00.000001Z");
    }
}
