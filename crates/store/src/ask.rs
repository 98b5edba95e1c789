//! Questions to users: "was that you?". A link answers once, and runs out.

use crate::case::{By, timeline, work};
use crate::db::value::values;
use crate::db::{Micros, Row, Tx, WriteTx};
use crate::error::{Error, Result};
use crate::word::{AskId, CaseId, words};

words! {
    Answer, "answer" {
        Yes = "yes",
        No = "no",
        Unsure = "unsure",
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ask {
    pub id: AskId,
    pub case: CaseId,
    pub person: String,
    pub question: String,
    pub asked_by: String,
    pub created_at: Micros,
    pub expires_at: Micros,
    pub answered: Option<Answered>,
    pub revoked_at: Option<Micros>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answered {
    pub at: Micros,
    pub answer: Answer,
    pub remark: String,
    /// What they answered with, from where.
    pub device: String,
    pub agent: String,
    pub address: String,
    /// How far it may be trusted, in words.
    pub strength: String,
    pub confirmed: Option<Confirmed>,
}

/// Somebody heard the same by another way than the link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Confirmed {
    pub at: Micros,
    pub by: String,
    pub how: String,
}

pub struct NewAsk<'a> {
    pub token_hash: &'a [u8; 32],
    pub case: CaseId,
    pub person: &'a str,
    pub question: &'a str,
    pub expires_at: Micros,
}

const COLUMNS: &str =
    "id, case_id, person, question, asked_by, created_at, expires_at, answered_at, answer, remark,
    device, agent, address, strength, confirmed_at, confirmed_by, confirmed_how, revoked_at";

fn read(r: &mut Row) -> Result<Ask> {
    Ok(Ask {
        id: AskId(r.int()?),
        case: CaseId(r.int()?),
        person: r.text()?,
        question: r.text()?,
        asked_by: r.text()?,
        created_at: r.int()?,
        expires_at: r.int()?,
        answered: match r.maybe_int()? {
            Some(at) => Some(Answered {
                at,
                answer: r.word()?,
                remark: r.text()?,
                device: r.text()?,
                agent: r.text()?,
                address: r.text()?,
                strength: r.text()?,
                confirmed: match r.maybe_int()? {
                    Some(at) => Some(Confirmed { at, by: r.text()?, how: r.text()? }),
                    None => {
                        for _ in 0..2 {
                            r.maybe_text()?;
                        }
                        None
                    }
                },
            }),
            None => {
                for _ in 0..6 {
                    r.maybe_text()?;
                }
                r.maybe_int()?;
                for _ in 0..2 {
                    r.maybe_text()?;
                }
                None
            }
        },
        revoked_at: r.maybe_int()?,
    })
}

pub fn create(tx: &mut WriteTx<'_>, new: &NewAsk<'_>, by: By<'_>) -> Result<Ask> {
    if new.expires_at <= by.at {
        return Err(Error::invalid("expires_at", "lies in the past"));
    }
    if by_token(tx, new.token_hash)?.is_some() {
        return Err(Error::taken("question", "with this link"));
    }
    let id = AskId(tx.next("ask")?);
    tx.execute(
        "insert into asks (id, token, case_id, person, question, asked_by, created_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        values![id, new.token_hash, new.case, new.person, new.question, by.actor, by.at, new.expires_at,],
    )?;
    work::tell(tx, new.case, &format!("asked {}: {}", new.person, new.question), by)?;
    get(tx, id)
}

pub fn get(tx: &mut Tx<'_>, id: AskId) -> Result<Ask> {
    tx.one(&format!("select {COLUMNS} from asks where id = $1"), values![id], read)?
        .ok_or_else(|| Error::not_found("question", id))
}

/// The question of this link, whatever became of it.
pub fn by_token(tx: &mut Tx<'_>, token_hash: &[u8; 32]) -> Result<Option<Ask>> {
    tx.one(&format!("select {COLUMNS} from asks where token = $1"), values![token_hash], read)
}

pub fn of_case(tx: &mut Tx<'_>, case: CaseId) -> Result<Vec<Ask>> {
    tx.all(&format!("select {COLUMNS} from asks where case_id = $1 order by id"), values![case], read)
}

/// Answers it. Only the first answer counts.
pub fn answer(tx: &mut WriteTx<'_>, token_hash: &[u8; 32], answered: &Answered) -> Result<Ask> {
    let done = tx.execute(
        "update asks set answered_at = $2, answer = $3, remark = $4, device = $5, agent = $6, address = $7,
            strength = $8
         where token = $1 and answered_at is null and revoked_at is null and expires_at > $2",
        values![
            token_hash,
            answered.at,
            answered.answer,
            &answered.remark,
            &answered.device,
            &answered.agent,
            &answered.address,
            &answered.strength,
        ],
    )?;
    let ask = by_token(tx, token_hash)?.filter(|_| done == 1);
    let Some(ask) = ask else {
        return Err(Error::NotNow("this link was used, taken back, or has run out".into()));
    };
    let data = serde_json::json!({
        "ask": ask.id.0, "answer": answered.answer.to_string(), "remark": answered.remark,
        "device": answered.device, "agent": answered.agent, "address": answered.address,
        "strength": answered.strength,
    });
    timeline::append(
        tx,
        &timeline::NewEntry {
            case: ask.case,
            kind: timeline::Kind::Answer,
            at: answered.at,
            certainty: "exact",
            recorded_at: answered.at,
            actor: &ask.person,
            said: &format!(
                "{} answered {} ({}): {}",
                ask.person, answered.answer, answered.strength, ask.question
            ),
            data: Some(&data.to_string()),
            once: None,
        },
    )?;
    Ok(ask)
}

/// Somebody asked the same by another way, and heard the same answer.
pub fn confirm(tx: &mut WriteTx<'_>, id: AskId, how: &str, by: By<'_>) -> Result<Ask> {
    crate::case::reason("how", how)?;
    let done = tx.execute(
        "update asks set confirmed_at = $2, confirmed_by = $3, confirmed_how = $4
         where id = $1 and answered_at is not null and confirmed_at is null",
        values![id, by.at, by.actor, how],
    )?;
    let ask = get(tx, id)?;
    if done == 0 {
        return Err(Error::NotNow(format!("question {id} was not answered, or is confirmed already")));
    }
    work::tell(
        tx,
        ask.case,
        &format!("the answer to question {id} was confirmed by another way: {how}"),
        by,
    )?;
    Ok(ask)
}

/// Links of a case that can still be answered.
pub fn open(tx: &mut Tx<'_>, case: CaseId, now: Micros) -> Result<i64> {
    tx.number(
        "select count(*) from asks where case_id = $1 and answered_at is null and revoked_at is null
            and expires_at > $2",
        values![case, now],
    )
}

pub fn revoke(tx: &mut WriteTx<'_>, id: AskId, by: By<'_>) -> Result<Ask> {
    let done = tx.execute(
        "update asks set revoked_at = $2 where id = $1 and answered_at is null and revoked_at is null",
        values![id, by.at],
    )?;
    let ask = get(tx, id)?;
    if done == 0 {
        return Err(Error::NotNow(format!("question {id} was answered or taken back already")));
    }
    work::tell(tx, ask.case, &format!("question {id} taken back"), by)?;
    Ok(ask)
}
