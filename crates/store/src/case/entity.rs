//! Who and what a case is about, so that "other cases with this address" is one question.

use super::{Viewer, visible_to};
use crate::db::value::values;
use crate::db::{Tx, Value, WriteTx};
use crate::error::Result;
use crate::key::{address_key, key};
use crate::word::{CaseId, PartId, Word, words};
use std::collections::{BTreeMap, BTreeSet};

words! {
    Kind, "kind of entity" {
        Principal = "principal",
        Address = "address",
        Device = "device",
        Host = "host",
        Session = "session",
        Gateway = "gateway",
    }
}

/// Of a part; more would be a list and not a lead.
const MOST: usize = 2_000;
/// What so many cases share says nothing about any two of them.
const COMMON: usize = 50;
/// Entities of a case that are looked up for its relations.
const LOOKED_UP: usize = 400;

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Entity {
    pub kind: Kind,
    pub value: String,
}

impl Entity {
    pub fn new(kind: Kind, value: impl Into<String>) -> Entity {
        Entity { kind, value: value.into() }
    }
}

/// Another case, and what it shares with this one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Related {
    pub case: CaseId,
    /// With the number of cases that have it: the fewer, the more it says.
    pub shared: Vec<(Entity, usize)>,
}

fn key_of(kind: Kind, value: &str) -> String {
    if kind == Kind::Address { address_key(value) } else { key(value) }
}

/// The entities of a case, over all its parts.
pub fn of_case(tx: &mut Tx<'_>, case: CaseId) -> Result<Vec<Entity>> {
    tx.all(
        "select e.kind, min(e.value) from case_entities e join case_parts p on p.id = e.part_id
         where p.case_id = $1 group by e.kind, e.value_key order by e.kind, e.value_key",
        values![case],
        |r| Ok(Entity { kind: r.word()?, value: r.text()? }),
    )
}

/// The cases that have this and that the viewer may see, the newest first.
pub fn cases_with(
    tx: &mut Tx<'_>,
    kind: Kind,
    value: &str,
    viewer: Viewer,
    limit: usize,
) -> Result<Vec<CaseId>> {
    let mut values = vec![kind.into(), key_of(kind, value).into(), Value::Int(limit as i64)];
    let mut seen = String::new();
    if let Viewer::Person(person) = viewer {
        values.push(person.into());
        seen = format!("and {}", visible_to("$4"));
    }
    tx.all(
        &format!(
            "select distinct p.case_id from case_entities e join case_parts p on p.id = e.part_id
                join cases on cases.id = p.case_id
             where e.kind = $1 and e.value_key = $2 {seen} order by p.case_id desc limit $3"
        ),
        &values,
        |r| Ok(CaseId(r.int()?)),
    )
}

/// Cases that share something with this one and that the viewer may see; those that share the rarest first.
pub fn related(tx: &mut Tx<'_>, case: CaseId, viewer: Viewer, limit: usize) -> Result<Vec<Related>> {
    let mut found: BTreeMap<CaseId, Vec<(Entity, usize)>> = BTreeMap::new();
    for entity in of_case(tx, case)?.into_iter().filter(|e| e.kind != Kind::Gateway).take(LOOKED_UP) {
        let cases = cases_with(tx, entity.kind, &entity.value, viewer, COMMON + 1)?;
        if cases.len() > COMMON {
            continue;
        }
        for other in cases.iter().filter(|c| **c != case) {
            found.entry(*other).or_default().push((entity.clone(), cases.len()));
        }
    }
    let mut related: Vec<Related> =
        found.into_iter().map(|(case, shared)| Related { case, shared }).collect();
    let weight = |r: &Related| r.shared.iter().map(|(_, cases)| 1_000 / cases.max(&1)).sum::<usize>();
    related.sort_by_key(|r| (std::cmp::Reverse(weight(r)), std::cmp::Reverse(r.case)));
    related.truncate(limit);
    Ok(related)
}

/// By kind and key, with the value as it is shown.
fn kept(entities: &[Entity]) -> BTreeMap<(&'static str, String), &str> {
    let mut kept = BTreeMap::new();
    for entity in entities.iter().filter(|e| !e.value.trim().is_empty()) {
        if kept.len() == MOST {
            break;
        }
        kept.entry((entity.kind.word(), key_of(entity.kind, &entity.value))).or_insert(entity.value.as_str());
    }
    kept
}

fn stored(tx: &mut Tx<'_>, part: PartId) -> Result<BTreeSet<(String, String)>> {
    let rows =
        tx.all("select kind, value_key from case_entities where part_id = $1", values![part], |r| {
            Ok((r.text()?, r.text()?))
        })?;
    Ok(rows.into_iter().collect())
}

pub(crate) fn same(tx: &mut Tx<'_>, part: PartId, entities: &[Entity]) -> Result<bool> {
    let wanted: BTreeSet<(String, String)> =
        kept(entities).into_keys().map(|(kind, key)| (kind.to_owned(), key)).collect();
    Ok(stored(tx, part)? == wanted)
}

/// Rows in one statement: on another host each statement is a way there and back. More lengths would be more statements
/// to prepare.
const TOGETHER: usize = 8;

pub(crate) fn put(tx: &mut WriteTx<'_>, part: PartId, is_new: bool, entities: &[Entity]) -> Result<()> {
    let mut gone = if is_new { BTreeSet::new() } else { stored(tx, part)? };
    let mut fresh = Vec::new();
    for ((kind, key), value) in kept(entities) {
        if !gone.remove(&(kind.to_owned(), key.clone())) {
            fresh.push((kind, key, value));
        }
    }
    for chunk in fresh.chunks(TOGETHER) {
        let (mut rows, mut values) = (Vec::new(), vec![Value::from(part)]);
        for (kind, key, value) in chunk {
            let n = values.len();
            rows.push(format!("($1, ${}, ${}, ${})", n + 1, n + 2, n + 3));
            values.extend([Value::from(*kind), Value::from(key), Value::from(*value)]);
        }
        let sql =
            format!("insert into case_entities (part_id, kind, value_key, value) values {}", rows.join(", "));
        tx.execute(&sql, &values)?;
    }
    for (kind, key) in gone {
        tx.execute(
            "delete from case_entities where part_id = $1 and kind = $2 and value_key = $3",
            values![part, kind, key],
        )?;
    }
    Ok(())
}
