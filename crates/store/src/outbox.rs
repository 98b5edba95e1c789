//! What is to be told to other systems, until they have heard it. Written in the change that it is about, so that
//! neither happens without the other.

use crate::db::value::values;
use crate::db::{Micros, Row, Tx, WriteTx};
use crate::error::{Error, Result};
use crate::word::{DeliveryId, words};

words! {
    State, "state of a delivery" {
        Waiting = "waiting",
        Sending = "sending",
        Done = "done",
        /// Given up; somebody has to look.
        Dead = "dead",
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery {
    pub id: DeliveryId,
    pub target: String,
    pub event: String,
    /// The receiver's means to know a repetition.
    pub once: String,
    pub body: String,
    pub created_at: Micros,
    /// With the one that is being made.
    pub attempts: i64,
    pub next_at: Micros,
    pub state: State,
    pub last_error: Option<String>,
    pub done_at: Option<Micros>,
}

const COLUMNS: &str =
    "id, target, event, once, body, created_at, attempts, next_at, state, last_error, done_at";

fn read(r: &mut Row) -> Result<Delivery> {
    Ok(Delivery {
        id: DeliveryId(r.int()?),
        target: r.text()?,
        event: r.text()?,
        once: r.text()?,
        body: r.text()?,
        created_at: r.int()?,
        attempts: r.int()?,
        next_at: r.int()?,
        state: r.word()?,
        last_error: r.maybe_text()?,
        done_at: r.maybe_int()?,
    })
}

/// Puts it there; `None` where this target has been told this before.
pub fn put(
    tx: &mut WriteTx<'_>,
    target: &str,
    event: &str,
    once: &str,
    body: &str,
    now: Micros,
) -> Result<Option<DeliveryId>> {
    if [target, once].iter().any(|t| t.is_empty() || t.len() > 500) {
        return Err(Error::invalid("target and once", "1 to 500 bytes"));
    }
    let there =
        tx.number("select count(*) from outbox where target = $1 and once = $2", values![target, once])?;
    if there > 0 {
        return Ok(None);
    }
    let id = DeliveryId(tx.next("delivery")?);
    tx.execute(
        "insert into outbox (id, target, event, once, body, created_at, attempts, next_at, state)
         values ($1, $2, $3, $4, $5, $6, 0, $6, $7)",
        values![id, target, event, once, body, now, State::Waiting],
    )?;
    Ok(Some(id))
}

/// Takes those that are due, for so long; whoever dies with them, another takes them after that. A target is served in
/// the order of its events, as far as all goes well.
pub fn claim(tx: &mut WriteTx<'_>, now: Micros, lease_until: Micros, limit: usize) -> Result<Vec<Delivery>> {
    let mut claimed = tx.all(
        &format!(
            "update outbox set state = 'sending', lease_until = $2, attempts = attempts + 1
             where id in (select id from outbox
                where (state = 'waiting' and next_at <= $1) or (state = 'sending' and lease_until <= $1)
                order by next_at, id limit $3)
             returning {COLUMNS}"
        ),
        values![now, lease_until, limit as i64],
        read,
    )?;
    claimed.sort_by_key(|d| d.id);
    Ok(claimed)
}

/// What a delivery is about: its `once` up to `#`. Of one topic a target hears in order.
pub fn topic(once: &str) -> &str {
    once.split_once('#').map_or(once, |(topic, _)| topic)
}

/// Deliveries to a target that were not heard and not given up.
pub fn waiting(tx: &mut Tx<'_>, target: &str) -> Result<i64> {
    tx.number(
        "select count(*) from outbox where target = $1 and state in ('waiting', 'sending')",
        values![target],
    )
}

pub fn in_state_of(tx: &mut Tx<'_>, target: &str, state: State) -> Result<i64> {
    tx.number("select count(*) from outbox where target = $1 and state = $2", values![target, state])
}

/// The last error of those that this target did not hear.
pub fn last_error(tx: &mut Tx<'_>, target: &str) -> Result<Option<String>> {
    tx.one(
        "select last_error from outbox where target = $1 and last_error is not null and state <> 'done'
         order by id desc limit 1",
        values![target],
        |r| r.text(),
    )
}

/// When this target heard something last.
pub fn last_heard(tx: &mut Tx<'_>, target: &str) -> Result<Option<Micros>> {
    let last = tx.one(
        "select max(done_at) from outbox where target = $1 and state = 'done'",
        values![target],
        |r| r.maybe_int(),
    )?;
    Ok(last.flatten())
}

/// Deliveries to a target, the newest first; where `unheard`, those alone that it did not hear.
pub fn of_target(
    tx: &mut Tx<'_>,
    target: &str,
    unheard: bool,
    before: Option<DeliveryId>,
    limit: usize,
) -> Result<Vec<Delivery>> {
    let more = if unheard { "and state <> 'done'" } else { "" };
    tx.all(
        &format!(
            "select {COLUMNS} from outbox where target = $1 and id < $2 {more} order by id desc limit $3"
        ),
        values![target, before.map_or(i64::MAX, |b| b.0), limit as i64],
        read,
    )
}

/// The next delivery that is due to this target. One waits behind an earlier one of its topic, also while that one waits
/// for its next attempt; other topics go on.
pub fn next_due(tx: &mut Tx<'_>, target: &str, now: Micros) -> Result<Option<DeliveryId>> {
    let rows = tx.all(
        "select id, once, case when state = 'waiting' then next_at else lease_until end from outbox
         where target = $1 and state in ('waiting', 'sending') order by id",
        values![target],
        |r| Ok((DeliveryId(r.int()?), r.text()?, r.int()?)),
    )?;
    let mut held = std::collections::BTreeSet::new();
    for (id, once, due) in &rows {
        if held.insert(topic(once)) && *due <= now {
            return Ok(Some(*id));
        }
    }
    Ok(None)
}

/// Takes the next one that is due, for so long; whoever dies with it, another takes it after that.
pub fn claim_next(
    tx: &mut WriteTx<'_>,
    target: &str,
    now: Micros,
    lease_until: Micros,
) -> Result<Option<Delivery>> {
    let Some(id) = next_due(tx, target, now)? else { return Ok(None) };
    tx.one(
        &format!(
            "update outbox set state = 'sending', lease_until = $2, attempts = attempts + 1 where id = $1
             returning {COLUMNS}"
        ),
        values![id, lease_until],
        read,
    )
}

/// Tries everything again that this target did not hear and that was given up.
pub fn revive_all(tx: &mut WriteTx<'_>, target: &str, now: Micros) -> Result<u64> {
    tx.execute(
        "update outbox set state = 'waiting', next_at = $2, attempts = 0 where target = $1 and state = 'dead'",
        values![target, now],
    )
}

/// It was heard. `false` where another has it by now, because this one took too long.
pub fn done(tx: &mut WriteTx<'_>, delivery: &Delivery, now: Micros) -> Result<bool> {
    let done = tx.execute(
        "update outbox set state = 'done', done_at = $3, lease_until = null, last_error = null
         where id = $1 and attempts = $2 and state = 'sending'",
        values![delivery.id, delivery.attempts, now],
    )?;
    Ok(done == 1)
}

/// It was not heard; again then, or never.
pub fn failed(
    tx: &mut WriteTx<'_>,
    delivery: &Delivery,
    error: &str,
    again_at: Option<Micros>,
) -> Result<bool> {
    let state = if again_at.is_some() { State::Waiting } else { State::Dead };
    let done = tx.execute(
        "update outbox set state = $3, next_at = $4, lease_until = null, last_error = $5
         where id = $1 and attempts = $2 and state = 'sending'",
        values![delivery.id, delivery.attempts, state, again_at.unwrap_or(delivery.next_at), error],
    )?;
    Ok(done == 1)
}

/// Tries one again that was given up.
pub fn revive(tx: &mut WriteTx<'_>, id: DeliveryId, now: Micros) -> Result<()> {
    let done = tx.execute(
        "update outbox set state = 'waiting', next_at = $2 where id = $1 and state = 'dead'",
        values![id, now],
    )?;
    if done == 0 { Err(Error::NotNow(format!("delivery {id} was not given up"))) } else { Ok(()) }
}

pub fn in_state(tx: &mut Tx<'_>, state: State, limit: usize) -> Result<Vec<Delivery>> {
    tx.all(
        &format!("select {COLUMNS} from outbox where state = $1 order by next_at, id limit $2"),
        values![state, limit as i64],
        read,
    )
}

/// When the next one is due.
pub fn next_at(tx: &mut Tx<'_>) -> Result<Option<Micros>> {
    let next = tx.one(
        "select min(case when state = 'waiting' then next_at else lease_until end) from outbox
         where state in ('waiting', 'sending')",
        &[],
        |r| r.maybe_int(),
    )?;
    Ok(next.flatten())
}

/// Deletes what was heard before then.
pub fn tidy(tx: &mut WriteTx<'_>, done_before: Micros) -> Result<u64> {
    tx.execute("delete from outbox where state = 'done' and done_at < $1", values![done_before])
}
