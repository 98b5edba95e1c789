//! Who did what, in one chain that only grows. An entry's hash is SHA-256 over its canonical JSON, which holds the
//! hash of the entry before it; so an edit anywhere shows. What was cut off the end, or a chain written anew, shows to
//! who kept a [`Head`] elsewhere.

use crate::db::value::values;
use crate::db::{Micros, Row, Tx, WriteTx};
use crate::error::Result;
use crate::key::hex;
use crate::word::words;
use serde::Serialize;
use sha2::{Digest, Sha256};

words! {
    Outcome, "outcome" {
        Done = "done",
        /// They were not allowed to.
        Denied = "denied",
        Failed = "failed",
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewEntry {
    pub at: Micros,
    pub actor: String,
    /// `case.read`, `containment.approve`.
    pub verb: String,
    /// `case:42`, `person:7`.
    pub object: String,
    /// Where the request came from.
    pub address: String,
    pub outcome: Outcome,
    /// More, as JSON or empty.
    pub detail: String,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    pub seq: i64,
    pub entry: NewEntry,
    pub prev: [u8; 32],
    pub hash: [u8; 32],
}

/// The last entry. Whoever keeps it can prove later that nothing before it was changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    pub seq: i64,
    pub hash: [u8; 32],
}

const NONE: Head = Head { seq: 0, hash: [0; 32] };

/// In this order, without spaces: what is hashed.
#[derive(Serialize)]
struct Canonical<'a> {
    seq: i64,
    at: Micros,
    actor: &'a str,
    verb: &'a str,
    object: &'a str,
    address: &'a str,
    outcome: String,
    detail: &'a str,
    prev: String,
}

fn hash_of(seq: i64, entry: &NewEntry, prev: &[u8; 32]) -> [u8; 32] {
    let canonical = Canonical {
        seq,
        at: entry.at,
        actor: &entry.actor,
        verb: &entry.verb,
        object: &entry.object,
        address: &entry.address,
        outcome: entry.outcome.to_string(),
        detail: &entry.detail,
        prev: hex(prev),
    };
    let text = serde_json::to_vec(&canonical).expect("strings and numbers are always JSON");
    Sha256::digest(text).into()
}

pub fn append(tx: &mut WriteTx<'_>, entry: &NewEntry) -> Result<Head> {
    append_all(tx, std::slice::from_ref(entry))
}

pub fn append_all(tx: &mut WriteTx<'_>, entries: &[NewEntry]) -> Result<Head> {
    let mut head = head(tx)?;
    for entry in entries {
        let seq = tx.next("audit")?;
        let hash = hash_of(seq, entry, &head.hash);
        tx.execute(
            "insert into audit (seq, at, actor, verb, object, address, outcome, detail, prev, hash)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            values![
                seq,
                entry.at,
                &entry.actor,
                &entry.verb,
                &entry.object,
                &entry.address,
                entry.outcome,
                &entry.detail,
                &head.hash,
                &hash,
            ],
        )?;
        head = Head { seq, hash };
    }
    Ok(head)
}

pub fn head(tx: &mut Tx<'_>) -> Result<Head> {
    let last = tx.one("select seq, hash from audit order by seq desc limit 1", &[], |r| {
        Ok(Head { seq: r.int()?, hash: r.sha256()? })
    })?;
    Ok(last.unwrap_or(NONE))
}

const COLUMNS: &str = "seq, at, actor, verb, object, address, outcome, detail, prev, hash";

fn read(r: &mut Row) -> Result<Entry> {
    Ok(Entry {
        seq: r.int()?,
        entry: NewEntry {
            at: r.int()?,
            actor: r.text()?,
            verb: r.text()?,
            object: r.text()?,
            address: r.text()?,
            outcome: r.word()?,
            detail: r.text()?,
        },
        prev: r.sha256()?,
        hash: r.sha256()?,
    })
}

/// What must fit; what is not given fits always.
#[derive(Clone, Copy, Debug, Default)]
pub struct Query<'a> {
    pub actor: Option<&'a str>,
    pub object: Option<&'a str>,
    pub from: Option<Micros>,
    pub to: Option<Micros>,
    /// Entries before this one.
    pub before: Option<i64>,
}

/// The newest first.
pub fn list(tx: &mut Tx<'_>, query: &Query<'_>, limit: usize) -> Result<Vec<Entry>> {
    let mut clauses = vec!["seq < $1".to_owned()];
    let mut values = vec![crate::db::Value::Int(query.before.unwrap_or(i64::MAX))];
    let mut and = |clause: &str, value: crate::db::Value<'static>| {
        values.push(value);
        clauses.push(format!("{clause} ${}", values.len()));
    };
    if let Some(actor) = query.actor {
        and("actor =", actor.to_owned().into());
    }
    if let Some(object) = query.object {
        and("object =", object.to_owned().into());
    }
    if let Some(from) = query.from {
        and("at >=", from.into());
    }
    if let Some(to) = query.to {
        and("at <", to.into());
    }
    values.push(crate::db::Value::Int(limit as i64));
    let sql = format!(
        "select {COLUMNS} from audit where {} order by seq desc limit ${}",
        clauses.join(" and "),
        values.len()
    );
    tx.all(&sql, &values, read)
}

/// What reading the whole chain found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verified {
    pub entries: i64,
    pub head: Head,
    /// Each names its entry. Empty: nothing was changed.
    pub faults: Vec<String>,
}

/// More are not listed one by one.
const FAULTS: usize = 100;

/// Reads everything and checks every hash and every link. `kept` is a head that was kept elsewhere.
pub fn verify(tx: &mut Tx<'_>, kept: Option<&Head>) -> Result<Verified> {
    tx.takes_long()?;
    let counted = tx.number("select value from counters where name = 'audit'", &[])?;
    let (mut last, mut entries, mut faults) = (NONE, 0, Vec::new());
    let mut fault = |text: String| {
        if faults.len() < FAULTS {
            faults.push(text);
        }
    };
    let mut met = kept.is_none_or(|k| k.seq == 0);
    tx.each(&format!("select {COLUMNS} from audit order by seq"), &[], &mut |mut row| {
        entries += 1;
        let entry = match read(&mut row) {
            Ok(entry) => entry,
            Err(e) => {
                fault(format!("entry {} is unreadable: {e}", last.seq + 1));
                last.seq += 1;
                return Ok(());
            }
        };
        if entry.seq != last.seq + 1 {
            fault(format!("entry {} is missing; the next is {}", last.seq + 1, entry.seq));
        }
        if entry.prev != last.hash {
            fault(format!("entry {} does not follow the entry before it", entry.seq));
        }
        if entry.hash != hash_of(entry.seq, &entry.entry, &entry.prev) {
            fault(format!("entry {} was changed", entry.seq));
        }
        if let Some(kept) = kept.filter(|k| k.seq == entry.seq) {
            met = true;
            if kept.hash != entry.hash {
                fault(format!("entry {} is another than the one that was kept: written anew", entry.seq));
            }
        }
        last = Head { seq: entry.seq, hash: entry.hash };
        Ok(())
    })?;
    if counted != last.seq {
        fault(format!("{counted} entries were written and the last is {}: its end was changed", last.seq));
    }
    if let Some(kept) = kept.filter(|_| !met) {
        fault(format!("entry {} was there and is gone: its end was cut off", kept.seq));
    }
    Ok(Verified { entries, head: last, faults })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// docs/store.md says this to who checks the chain with another program.
    #[test]
    fn what_is_hashed_is_what_is_written_down() {
        let entry = NewEntry {
            at: 1_700_000_000_000_000,
            actor: "person:1 \"anna\"".into(),
            verb: "case.close".into(),
            object: "case:42".into(),
            address: "2001:db8::1".into(),
            outcome: Outcome::Done,
            detail: "{\"é\":\"\0\"}".into(),
        };
        let written = concat!(
            r#"{"seq":7,"at":1700000000000000,"actor":"person:1 \"anna\"","verb":"case.close","object":"case:42","#,
            r#""address":"2001:db8::1","outcome":"done","detail":"{\"é\":\"\u0000\"}","prev":""#,
            "0000000000000000000000000000000000000000000000000000000000000000",
            r#""}"#,
        );
        assert_eq!(hash_of(7, &entry, &[0; 32]), <[u8; 32]>::from(Sha256::digest(written)));
    }
}
