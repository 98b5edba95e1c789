//! Tokens of programs: of a person's own for the API, of a source for its records. Only SHA-256 is kept.

use crate::db::value::{list, values};
use crate::db::{Micros, Row, Tx, WriteTx};
use crate::error::{Error, Result};
use crate::word::{PersonId, SourceId, TokenId};
use std::collections::BTreeSet;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Holder {
    Person(PersonId),
    Source(SourceId),
    /// A service account of its own.
    Service,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Token {
    pub id: TokenId,
    pub hash: [u8; 32],
    pub name: String,
    pub holder: Holder,
    pub roles: BTreeSet<String>,
    pub doors: BTreeSet<String>,
    pub created_by: String,
    pub created_at: Micros,
    pub expires_at: Option<Micros>,
    pub last_used: Option<Micros>,
    pub revoked_at: Option<Micros>,
}

impl Token {
    pub fn is_good(&self, now: Micros) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|at| at > now)
    }
}

pub struct NewToken<'a> {
    pub hash: &'a [u8; 32],
    pub name: &'a str,
    pub holder: Holder,
    pub roles: &'a BTreeSet<String>,
    pub doors: &'a BTreeSet<String>,
    pub created_by: &'a str,
    pub expires_at: Option<Micros>,
}

const COLUMNS: &str =
    "id, hash, name, person_id, source_id, roles, doors, created_by, created_at, expires_at,
    last_used, revoked_at";

fn read(r: &mut Row) -> Result<Token> {
    Ok(Token {
        id: TokenId(r.int()?),
        hash: r.sha256()?,
        name: r.text()?,
        holder: match (r.maybe_int()?, r.maybe_int()?) {
            (Some(person), _) => Holder::Person(PersonId(person)),
            (None, Some(source)) => Holder::Source(SourceId(source)),
            (None, None) => Holder::Service,
        },
        roles: r.list()?,
        doors: r.list()?,
        created_by: r.text()?,
        created_at: r.int()?,
        expires_at: r.maybe_int()?,
        last_used: r.maybe_int()?,
        revoked_at: r.maybe_int()?,
    })
}

pub fn create(tx: &mut WriteTx<'_>, new: &NewToken<'_>, now: Micros) -> Result<Token> {
    if tx.number("select count(*) from tokens where hash = $1", values![new.hash])? > 0 {
        return Err(Error::taken("token", new.name));
    }
    let (person, source) = match new.holder {
        Holder::Person(person) => (Some(crate::people::get(tx, person)?.id), None),
        Holder::Source(source) => (None, Some(crate::source::get(tx, source)?.id)),
        Holder::Service => (None, None),
    };
    let id = TokenId(tx.next("token")?);
    tx.execute(
        "insert into tokens (id, hash, name, person_id, source_id, roles, doors, created_by, created_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        values![
            id,
            new.hash,
            new.name,
            person,
            source,
            list(new.roles),
            list(new.doors),
            new.created_by,
            now,
            new.expires_at,
        ],
    )?;
    crate::source::changed(tx)?;
    get(tx, id)
}

pub fn get(tx: &mut Tx<'_>, id: TokenId) -> Result<Token> {
    tx.one(&format!("select {COLUMNS} from tokens where id = $1"), values![id], read)?
        .ok_or_else(|| Error::not_found("token", id))
}

/// The token of this hash, if it is good, and its holder is not disabled.
pub fn find(tx: &mut Tx<'_>, hash: &[u8; 32], now: Micros) -> Result<Option<Token>> {
    let found = tx.one(
        &format!(
            "select {COLUMNS} from tokens t where hash = $1
                and not exists (select 1 from people p where p.id = t.person_id and p.disabled_at is not null)
                and not exists (select 1 from sources s where s.id = t.source_id and s.disabled_at is not null)"
        ),
        values![hash],
        read,
    )?;
    Ok(found.filter(|t| t.is_good(now)))
}

/// Of one holder, or all; the newest first.
pub fn all(tx: &mut Tx<'_>, holder: Option<Holder>) -> Result<Vec<Token>> {
    let order = "order by id desc";
    let (clause, id) = match holder {
        None => ("1 = 1", None),
        Some(Holder::Person(person)) => ("person_id = $1", Some(person.0)),
        Some(Holder::Source(source)) => ("source_id = $1", Some(source.0)),
        Some(Holder::Service) => ("person_id is null and source_id is null", None),
    };
    let values: Vec<crate::db::Value<'_>> = id.map(Into::into).into_iter().collect();
    tx.all(&format!("select {COLUMNS} from tokens where {clause} {order}"), &values, read)
}

pub fn used(tx: &mut WriteTx<'_>, id: TokenId, at: Micros) -> Result<()> {
    tx.execute("update tokens set last_used = $2 where id = $1", values![id, at])?;
    Ok(())
}

/// Ends it; the row stays, so that what it did can be read later.
pub fn revoke(tx: &mut WriteTx<'_>, id: TokenId, at: Micros) -> Result<()> {
    get(tx, id)?;
    tx.execute("update tokens set revoked_at = $2 where id = $1 and revoked_at is null", values![id, at])?;
    crate::source::changed(tx)
}
