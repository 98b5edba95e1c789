//! Requests that may come twice: the second time gets the answer of the first, and nothing is done again.

use crate::db::value::values;
use crate::db::{Micros, WriteTx};
use crate::error::{Error, Result};

/// What a request with a key is to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Begun {
    /// Do it, and `finish` in the same change.
    New,
    /// It was done; this was the answer.
    Answered { status: i64, response: Vec<u8> },
    /// The first one is still at it.
    InProgress,
    /// The key was used for another request.
    Other,
}

pub fn begin(
    tx: &mut WriteTx<'_>,
    actor: &str,
    key: &str,
    request: &[u8; 32],
    now: Micros,
    expires_at: Micros,
) -> Result<Begun> {
    if key.is_empty() || key.len() > 255 || actor.len() > 500 {
        return Err(Error::invalid("idempotency key", "1 to 255 bytes"));
    }
    tx.execute(
        "delete from idempotency where actor = $1 and key = $2 and expires_at <= $3",
        values![actor, key, now],
    )?;
    let found = tx.one(
        "select request, status, response from idempotency where actor = $1 and key = $2",
        values![actor, key],
        |r| Ok((r.sha256()?, r.maybe_int()?, r.maybe_bytes()?)),
    )?;
    match found {
        None => {
            tx.execute(
                "insert into idempotency (actor, key, request, created_at, expires_at)
                 values ($1, $2, $3, $4, $5)",
                values![actor, key, request, now, expires_at],
            )?;
            Ok(Begun::New)
        }
        Some((other, ..)) if other != *request => Ok(Begun::Other),
        Some((_, Some(status), response)) => {
            Ok(Begun::Answered { status, response: response.unwrap_or_default() })
        }
        Some((_, None, _)) => Ok(Begun::InProgress),
    }
}

/// What was answered.
pub fn finish(tx: &mut WriteTx<'_>, actor: &str, key: &str, status: i64, response: &[u8]) -> Result<()> {
    tx.execute(
        "update idempotency set status = $3, response = $4 where actor = $1 and key = $2",
        values![actor, key, status, response],
    )?;
    Ok(())
}

/// It was not done; the key is free again.
pub fn forget(tx: &mut WriteTx<'_>, actor: &str, key: &str) -> Result<()> {
    tx.execute(
        "delete from idempotency where actor = $1 and key = $2 and status is null",
        values![actor, key],
    )?;
    Ok(())
}

pub fn tidy(tx: &mut WriteTx<'_>, now: Micros) -> Result<u64> {
    tx.execute("delete from idempotency where expires_at <= $1", values![now])
}
