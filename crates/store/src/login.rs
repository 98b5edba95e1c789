//! Who is logged in. Of a token only its SHA-256 is kept, so that a copy of the database opens no door.

use crate::db::value::values;
use crate::db::{Micros, Row, Tx, WriteTx};
use crate::error::Result;
use crate::word::PersonId;

#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    pub token_hash: [u8; 32],
    pub person: PersonId,
    pub csrf: Vec<u8>,
    pub created_at: Micros,
    pub rotated_at: Micros,
    pub last_used: Micros,
    pub expires_at: Micros,
    pub address: String,
    pub agent: String,
    /// How the person showed who they are: `password totp`, `oidc`.
    pub factors: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("person", &self.person).finish_non_exhaustive()
    }
}

const COLUMNS: &str =
    "token, person_id, csrf, created_at, rotated_at, last_used, expires_at, address, agent, factors";

fn read(r: &mut Row) -> Result<Login> {
    Ok(Login {
        token_hash: r.sha256()?,
        person: PersonId(r.int()?),
        csrf: r.bytes()?,
        created_at: r.int()?,
        rotated_at: r.int()?,
        last_used: r.int()?,
        expires_at: r.int()?,
        address: r.text()?,
        agent: r.text()?,
        factors: r.text()?,
    })
}

pub fn begin(tx: &mut WriteTx<'_>, login: &Login) -> Result<()> {
    tx.execute(
        &format!("insert into logins ({COLUMNS}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"),
        values![
            &login.token_hash,
            login.person,
            &login.csrf,
            login.created_at,
            login.rotated_at,
            login.last_used,
            login.expires_at,
            &login.address,
            &login.agent,
            &login.factors,
        ],
    )?;
    Ok(())
}

/// The login of this token, if it has not run out and its person is not disabled.
pub fn find(tx: &mut Tx<'_>, token_hash: &[u8; 32], now: Micros) -> Result<Option<Login>> {
    tx.one(
        &format!(
            "select {COLUMNS} from logins where token = $1 and expires_at > $2
                and not exists (select 1 from people where id = person_id and disabled_at is not null)"
        ),
        values![token_hash, now],
        read,
    )
}

/// It was used. Worth a write once a minute, not at every request.
pub fn used(tx: &mut WriteTx<'_>, token_hash: &[u8; 32], at: Micros) -> Result<()> {
    tx.execute("update logins set last_used = $2 where token = $1", values![token_hash, at])?;
    Ok(())
}

/// The same login under a new token; `false` where it is gone.
pub fn rotate(tx: &mut WriteTx<'_>, old: &[u8; 32], new: &[u8; 32], csrf: &[u8], at: Micros) -> Result<bool> {
    let done = tx.execute(
        "update logins set token = $2, csrf = $3, rotated_at = $4, last_used = $4
         where token = $1 and expires_at > $4",
        values![old, new, csrf, at],
    )?;
    Ok(done == 1)
}

pub fn end(tx: &mut WriteTx<'_>, token_hash: &[u8; 32]) -> Result<bool> {
    Ok(tx.execute("delete from logins where token = $1", values![token_hash])? == 1)
}

/// All logins of a person. How many there were.
pub fn end_all(tx: &mut WriteTx<'_>, person: PersonId) -> Result<u64> {
    tx.execute("delete from logins where person_id = $1", values![person])
}

pub fn of_person(tx: &mut Tx<'_>, person: PersonId, now: Micros) -> Result<Vec<Login>> {
    tx.all(
        &format!(
            "select {COLUMNS} from logins where person_id = $1 and expires_at > $2 order by last_used desc, token"
        ),
        values![person, now],
        read,
    )
}

/// Deletes those that ran out, or were idle since then.
pub fn tidy(tx: &mut WriteTx<'_>, now: Micros, idle_since: Micros) -> Result<u64> {
    tx.execute("delete from logins where expires_at <= $1 or last_used < $2", values![now, idle_since])
}
