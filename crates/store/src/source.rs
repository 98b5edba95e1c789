//! Sources that may write records: by which doors, known by what, and how much.

use crate::db::value::{list, values};
use crate::db::{Micros, Row, Tx, WriteTx};
use crate::error::{Error, Result};
use crate::key::key;
use crate::token::{self, Holder};
use crate::word::SourceId;
use std::collections::BTreeSet;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    pub id: SourceId,
    pub name: String,
    pub doors: BTreeSet<String>,
    /// SHA-256 of the client certificates it may show.
    pub certificates: Vec<[u8; 32]>,
    /// JSON.
    pub limits: String,
    /// The zone of its clock, where its records name none.
    pub zone: String,
    /// What writes there, where that is to be fixed; otherwise empty.
    pub product: String,
    pub created_at: Micros,
    pub disabled_at: Option<Micros>,
    pub revision: i64,
}

/// A source as it is to be.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    pub name: &'a str,
    pub doors: &'a BTreeSet<String>,
    pub certificates: &'a [[u8; 32]],
    pub limits: &'a str,
    pub zone: &'a str,
    pub product: &'a str,
    pub disabled: bool,
}

const COLUMNS: &str = "id, name, doors, limits, zone, product, created_at, disabled_at, revision";

fn read(r: &mut Row) -> Result<Source> {
    Ok(Source {
        id: SourceId(r.int()?),
        name: r.text()?,
        doors: r.list()?,
        certificates: Vec::new(),
        limits: r.text()?,
        zone: r.text()?,
        product: r.text()?,
        created_at: r.int()?,
        disabled_at: r.maybe_int()?,
        revision: r.int()?,
    })
}

fn with_certificates(tx: &mut Tx<'_>, mut source: Source) -> Result<Source> {
    source.certificates = tx.all(
        "select sha256 from source_certificates where source_id = $1 order by sha256",
        values![source.id],
        |r| r.sha256(),
    )?;
    Ok(source)
}

pub fn get(tx: &mut Tx<'_>, id: SourceId) -> Result<Source> {
    let found = tx.one(&format!("select {COLUMNS} from sources where id = $1"), values![id], read)?;
    with_certificates(tx, found.ok_or_else(|| Error::not_found("source", id))?)
}

pub fn by_name(tx: &mut Tx<'_>, name: &str) -> Result<Option<Source>> {
    let found =
        tx.one(&format!("select {COLUMNS} from sources where name_key = $1"), values![key(name)], read)?;
    found.map(|s| with_certificates(tx, s)).transpose()
}

/// All, by name: what a gate holds in memory. Their tokens are in [`token::all`].
pub fn all(tx: &mut Tx<'_>) -> Result<Vec<Source>> {
    let sources = tx.all(&format!("select {COLUMNS} from sources order by name_key"), &[], read)?;
    sources.into_iter().map(|s| with_certificates(tx, s)).collect()
}

/// Grows with each change of sources and tokens: another node reads them again when this differs.
pub fn generation(tx: &mut Tx<'_>) -> Result<i64> {
    tx.number("select value from counters where name = 'sources'", &[])
}

pub(crate) fn changed(tx: &mut WriteTx<'_>) -> Result<()> {
    tx.next("sources").map(|_| ())
}

pub fn create(tx: &mut WriteTx<'_>, wanted: &Wanted<'_>, now: Micros) -> Result<Source> {
    name_free(tx, wanted.name, None)?;
    let id = SourceId(tx.next("source")?);
    tx.execute(
        "insert into sources (id, name, name_key, doors, limits, zone, product, created_at, disabled_at, revision)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1)",
        values![
            id,
            wanted.name.trim(),
            key(wanted.name),
            list(wanted.doors),
            wanted.limits,
            wanted.zone,
            wanted.product,
            now,
            wanted.disabled.then_some(now),
        ],
    )?;
    put_certificates(tx, id, wanted.certificates)?;
    changed(tx)?;
    get(tx, id)
}

pub fn change(
    tx: &mut WriteTx<'_>,
    id: SourceId,
    expect: i64,
    wanted: &Wanted<'_>,
    now: Micros,
) -> Result<Source> {
    let before = get(tx, id)?;
    if before.revision != expect {
        return Err(Error::Conflict { what: "source", id: id.to_string(), now: before.revision });
    }
    name_free(tx, wanted.name, Some(id))?;
    let disabled_at = wanted.disabled.then(|| before.disabled_at.unwrap_or(now));
    tx.execute(
        "update sources set name = $2, name_key = $3, doors = $4, limits = $5, zone = $6, product = $7,
            disabled_at = $8, revision = revision + 1 where id = $1",
        values![
            id,
            wanted.name.trim(),
            key(wanted.name),
            list(wanted.doors),
            wanted.limits,
            wanted.zone,
            wanted.product,
            disabled_at,
        ],
    )?;
    put_certificates(tx, id, wanted.certificates)?;
    changed(tx)?;
    get(tx, id)
}

/// Its good tokens.
pub fn tokens(tx: &mut Tx<'_>, id: SourceId, now: Micros) -> Result<Vec<token::Token>> {
    let mut tokens = token::all(tx, Some(Holder::Source(id)))?;
    tokens.retain(|t| t.is_good(now));
    Ok(tokens)
}

fn name_free(tx: &mut Tx<'_>, name: &str, id: Option<SourceId>) -> Result<()> {
    if name.trim().is_empty() || name.len() > 200 {
        return Err(Error::invalid("name", "1 to 200 bytes"));
    }
    match by_name(tx, name)? {
        Some(other) if Some(other.id) != id => Err(Error::taken("source", name)),
        _ => Ok(()),
    }
}

fn put_certificates(tx: &mut WriteTx<'_>, id: SourceId, certificates: &[[u8; 32]]) -> Result<()> {
    tx.execute("delete from source_certificates where source_id = $1", values![id])?;
    let certificates: BTreeSet<&[u8; 32]> = certificates.iter().collect();
    for sha256 in certificates {
        let done = tx.execute(
            "insert into source_certificates (sha256, source_id) values ($1, $2) on conflict do nothing",
            values![sha256, id],
        )?;
        if done == 0 {
            return Err(Error::taken("source with certificate", crate::key::hex(sha256)));
        }
    }
    Ok(())
}
