//! People: who they are, what they may be, and what they show to get in. Secrets come hashed or sealed; the store sees
//! none of them open.

use crate::db::value::{list, values};
use crate::db::{Micros, Row, Tx, WriteTx};
use crate::error::{Error, Result};
use crate::key::key;
use crate::word::PersonId;
use std::collections::BTreeSet;

#[derive(Clone, PartialEq, Eq)]
pub struct Person {
    pub id: PersonId,
    /// What they type; large and small letters are the same.
    pub name: String,
    pub display: String,
    /// Of the IANA database, for the times they read.
    pub zone: String,
    pub roles: BTreeSet<String>,
    pub password_hash: Option<String>,
    /// The secret of the one-time codes, sealed by who can open it.
    pub totp: Option<Vec<u8>>,
    /// The last step whose code was used.
    pub totp_step: Option<i64>,
    /// Hashes of the recovery codes that are left.
    pub recovery: Vec<String>,
    pub oidc: Option<Oidc>,
    pub disabled_at: Option<Micros>,
    pub failed: i64,
    pub locked_until: Option<Micros>,
    pub created_at: Micros,
    pub last_login: Option<Micros>,
    pub revision: i64,
}

// A log line about a person must not hold what they get in with.
impl std::fmt::Debug for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Person")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("roles", &self.roles)
            .finish_non_exhaustive()
    }
}

/// Who somebody is at an identity provider.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Oidc {
    pub issuer: String,
    pub subject: String,
}

pub struct NewPerson<'a> {
    pub name: &'a str,
    pub display: &'a str,
    pub zone: &'a str,
    pub roles: &'a BTreeSet<String>,
    pub password_hash: Option<&'a str>,
    pub oidc: Option<&'a Oidc>,
}

const COLUMNS: &str =
    "id, name, display, zone, password_hash, totp, totp_step, recovery, oidc_issuer, oidc_subject,
    disabled_at, failed, locked_until, created_at, last_login, revision";

fn read(r: &mut Row) -> Result<Person> {
    Ok(Person {
        id: PersonId(r.int()?),
        name: r.text()?,
        display: r.text()?,
        zone: r.text()?,
        roles: BTreeSet::new(),
        password_hash: r.maybe_text()?,
        totp: r.maybe_bytes()?,
        totp_step: r.maybe_int()?,
        recovery: r.list()?,
        oidc: match (r.maybe_text()?, r.maybe_text()?) {
            (Some(issuer), Some(subject)) => Some(Oidc { issuer, subject }),
            _ => None,
        },
        disabled_at: r.maybe_int()?,
        failed: r.int()?,
        locked_until: r.maybe_int()?,
        created_at: r.int()?,
        last_login: r.maybe_int()?,
        revision: r.int()?,
    })
}

fn roles(tx: &mut Tx<'_>, person: PersonId) -> Result<BTreeSet<String>> {
    let roles =
        tx.all("select role from person_roles where person_id = $1", values![person], |r| r.text())?;
    Ok(roles.into_iter().collect())
}

fn one(tx: &mut Tx<'_>, clause: &str, values: &[crate::db::Value<'_>]) -> Result<Option<Person>> {
    let Some(mut person) = tx.one(&format!("select {COLUMNS} from people where {clause}"), values, read)?
    else {
        return Ok(None);
    };
    person.roles = roles(tx, person.id)?;
    Ok(Some(person))
}

pub fn get(tx: &mut Tx<'_>, id: PersonId) -> Result<Person> {
    one(tx, "id = $1", values![id])?.ok_or_else(|| Error::not_found("person", id))
}

pub fn by_name(tx: &mut Tx<'_>, name: &str) -> Result<Option<Person>> {
    one(tx, "name_key = $1", values![key(name)])
}

pub fn by_oidc(tx: &mut Tx<'_>, issuer: &str, subject: &str) -> Result<Option<Person>> {
    one(tx, "oidc_issuer = $1 and oidc_subject = $2", values![issuer, subject])
}

/// Everybody, by name.
pub fn all(tx: &mut Tx<'_>) -> Result<Vec<Person>> {
    let mut people = tx.all(&format!("select {COLUMNS} from people order by name_key"), &[], read)?;
    for person in &mut people {
        person.roles = roles(tx, person.id)?;
    }
    Ok(people)
}

pub fn create(tx: &mut WriteTx<'_>, new: &NewPerson<'_>, now: Micros) -> Result<Person> {
    let name = new.name.trim();
    if name.is_empty() || name.len() > 200 {
        return Err(Error::invalid("name", "1 to 200 bytes"));
    }
    if by_name(tx, name)?.is_some() {
        return Err(Error::taken("person", name));
    }
    oidc_free(tx, None, new.oidc)?;
    let id = PersonId(tx.next("person")?);
    tx.execute(
        "insert into people (id, name, name_key, display, zone, password_hash, recovery, oidc_issuer, oidc_subject,
            failed, created_at, revision)
         values ($1, $2, $3, $4, $5, $6, '[]', $7, $8, 0, $9, 1)",
        values![
            id,
            name,
            key(name),
            new.display,
            new.zone,
            new.password_hash,
            new.oidc.map(|o| o.issuer.as_str()),
            new.oidc.map(|o| o.subject.as_str()),
            now,
        ],
    )?;
    put_roles(tx, id, new.roles)?;
    get(tx, id)
}

fn oidc_free(tx: &mut Tx<'_>, person: Option<PersonId>, oidc: Option<&Oidc>) -> Result<()> {
    let Some(oidc) = oidc else { return Ok(()) };
    if oidc.issuer.len() > 1_000 || oidc.subject.len() > 1_000 {
        return Err(Error::invalid("subject", "at most 1,000 bytes"));
    }
    match by_oidc(tx, &oidc.issuer, &oidc.subject)? {
        Some(other) if Some(other.id) != person => Err(Error::taken("person with subject", &oidc.subject)),
        _ => Ok(()),
    }
}

fn put_roles(tx: &mut WriteTx<'_>, id: PersonId, roles: &BTreeSet<String>) -> Result<()> {
    tx.execute("delete from person_roles where person_id = $1", values![id])?;
    for role in roles {
        tx.execute("insert into person_roles (person_id, role) values ($1, $2)", values![id, role])?;
    }
    Ok(())
}

/// What administrators change of a person; what is `None` stays.
#[derive(Clone, Default)]
pub struct Change<'a> {
    pub display: Option<&'a str>,
    pub zone: Option<&'a str>,
    pub roles: Option<&'a BTreeSet<String>>,
    pub password_hash: Option<Option<&'a str>>,
    pub totp: Option<Option<&'a [u8]>>,
    pub recovery: Option<&'a [String]>,
    pub oidc: Option<Option<&'a Oidc>>,
    pub disabled: Option<bool>,
}

/// Changes a person. Where their rights or what they get in with change, their logins end.
pub fn change(
    tx: &mut WriteTx<'_>,
    id: PersonId,
    expect: i64,
    change: &Change<'_>,
    now: Micros,
) -> Result<Person> {
    let mut person = get(tx, id)?;
    if person.revision != expect {
        return Err(Error::Conflict { what: "person", id: id.to_string(), now: person.revision });
    }
    let mut ends_logins = false;
    if let Some(display) = change.display {
        display.clone_into(&mut person.display);
    }
    if let Some(zone) = change.zone {
        zone.clone_into(&mut person.zone);
    }
    if let Some(hash) = change.password_hash {
        ends_logins = true;
        person.password_hash = hash.map(str::to_owned);
        person.failed = 0;
        person.locked_until = None;
    }
    if let Some(totp) = change.totp {
        ends_logins = true;
        person.totp = totp.map(<[u8]>::to_vec);
        person.totp_step = None;
    }
    if let Some(recovery) = change.recovery {
        person.recovery = recovery.to_vec();
    }
    if let Some(oidc) = change.oidc {
        oidc_free(tx, Some(id), oidc)?;
        ends_logins = true;
        person.oidc = oidc.cloned();
    }
    if let Some(disabled) = change.disabled {
        ends_logins |= disabled;
        person.disabled_at = disabled.then(|| person.disabled_at.unwrap_or(now));
    }
    if let Some(roles) = change.roles.filter(|r| **r != person.roles) {
        ends_logins = true;
        put_roles(tx, id, roles)?;
    }
    tx.execute(
        "update people set display = $2, zone = $3, password_hash = $4, totp = $5, totp_step = $6, recovery = $7,
            oidc_issuer = $8, oidc_subject = $9, disabled_at = $10, failed = $11, locked_until = $12,
            revision = revision + 1
         where id = $1",
        values![
            id,
            &person.display,
            &person.zone,
            person.password_hash.as_deref(),
            person.totp.as_deref(),
            person.totp_step,
            list(&person.recovery),
            person.oidc.as_ref().map(|o| o.issuer.as_str()),
            person.oidc.as_ref().map(|o| o.subject.as_str()),
            person.disabled_at,
            person.failed,
            person.locked_until,
        ],
    )?;
    if ends_logins {
        crate::login::end_all(tx, id)?;
    }
    get(tx, id)
}

/// They came in.
pub fn came_in(tx: &mut WriteTx<'_>, id: PersonId, at: Micros) -> Result<()> {
    tx.execute(
        "update people set last_login = $2, failed = 0, locked_until = null where id = $1",
        values![id, at],
    )?;
    Ok(())
}

/// The same password at another cost; `false` where it was changed meanwhile. Neither logins nor the revision know.
pub fn rehash(tx: &mut WriteTx<'_>, id: PersonId, old: &str, new: &str) -> Result<bool> {
    let done = tx.execute(
        "update people set password_hash = $3 where id = $1 and password_hash = $2",
        values![id, old, new],
    )?;
    Ok(done == 1)
}

/// A wrong password or code. How often in a row by now; from when on and how long it locks is the caller's rule.
pub fn failed(
    tx: &mut WriteTx<'_>,
    id: PersonId,
    locked_until: impl Fn(i64) -> Option<Micros>,
) -> Result<i64> {
    let failed = tx.number("select failed from people where id = $1", values![id])? + 1;
    tx.execute(
        "update people set failed = $2, locked_until = $3 where id = $1",
        values![id, failed, locked_until(failed)],
    )?;
    Ok(failed)
}

/// Uses a one-time code's step; `false` where it, or a later one, was used before.
pub fn use_totp_step(tx: &mut WriteTx<'_>, id: PersonId, step: i64) -> Result<bool> {
    let done = tx.execute(
        "update people set totp_step = $2 where id = $1 and (totp_step is null or totp_step < $2)",
        values![id, step],
    )?;
    Ok(done == 1)
}

/// Uses a recovery code; `false` where there is none such any more.
pub fn use_recovery(tx: &mut WriteTx<'_>, id: PersonId, hash: &str) -> Result<bool> {
    let mut left = get(tx, id)?.recovery;
    let Some(place) = left.iter().position(|h| h == hash) else { return Ok(false) };
    left.remove(place);
    tx.execute("update people set recovery = $2 where id = $1", values![id, list(&left)])?;
    Ok(true)
}

/// A WebAuthn credential.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Passkey {
    pub credential: Vec<u8>,
    pub person: PersonId,
    pub name: String,
    /// The credential with its public key and counter, as JSON.
    pub data: String,
    pub created_at: Micros,
    pub last_used: Option<Micros>,
}

fn read_passkey(r: &mut Row) -> Result<Passkey> {
    Ok(Passkey {
        credential: r.bytes()?,
        person: PersonId(r.int()?),
        name: r.text()?,
        data: r.text()?,
        created_at: r.int()?,
        last_used: r.maybe_int()?,
    })
}

const PASSKEY: &str = "select credential, person_id, name, data, created_at, last_used from passkeys";

pub fn add_passkey(
    tx: &mut WriteTx<'_>,
    person: PersonId,
    credential: &[u8],
    name: &str,
    data: &str,
    now: Micros,
) -> Result<()> {
    // The specification's limit; an index could not hold much more.
    if credential.is_empty() || credential.len() > 1_023 {
        return Err(Error::invalid("credential", "1 to 1,023 bytes"));
    }
    let done = tx.execute(
        "insert into passkeys (credential, person_id, name, data, created_at) values ($1, $2, $3, $4, $5)
         on conflict do nothing",
        values![credential, person, name, data, now],
    )?;
    if done == 0 { Err(Error::taken("passkey", crate::key::hex(credential))) } else { Ok(()) }
}

pub fn passkeys(tx: &mut Tx<'_>, person: PersonId) -> Result<Vec<Passkey>> {
    tx.all(
        &format!("{PASSKEY} where person_id = $1 order by created_at, credential"),
        values![person],
        read_passkey,
    )
}

pub fn passkey(tx: &mut Tx<'_>, credential: &[u8]) -> Result<Option<Passkey>> {
    tx.one(&format!("{PASSKEY} where credential = $1"), values![credential], read_passkey)
}

/// It was used; `data` with its counter as it is now.
pub fn used_passkey(tx: &mut WriteTx<'_>, credential: &[u8], data: &str, now: Micros) -> Result<()> {
    tx.execute(
        "update passkeys set data = $2, last_used = $3 where credential = $1",
        values![credential, data, now],
    )?;
    Ok(())
}

/// `false` where this person has none such.
pub fn rename_passkey(tx: &mut WriteTx<'_>, person: PersonId, credential: &[u8], name: &str) -> Result<bool> {
    let done = tx.execute(
        "update passkeys set name = $3 where person_id = $1 and credential = $2",
        values![person, credential, name],
    )?;
    Ok(done == 1)
}

pub fn remove_passkey(tx: &mut WriteTx<'_>, person: PersonId, credential: &[u8]) -> Result<bool> {
    let done = tx.execute(
        "delete from passkeys where person_id = $1 and credential = $2",
        values![person, credential],
    )?;
    Ok(done == 1)
}

/// Leaves a link for the first administrator, in place of one before. Refused once there are people.
pub fn offer_first_run(
    tx: &mut WriteTx<'_>,
    token_hash: &[u8; 32],
    now: Micros,
    expires_at: Micros,
) -> Result<()> {
    if tx.number("select count(*) from people", &[])? > 0 {
        return Err(Error::NotNow("there are people already; an administrator adds more".into()));
    }
    tx.execute(
        "insert into first_run (id, token, created_at, expires_at) values (1, $1, $2, $3)
         on conflict (id) do update set token = excluded.token, created_at = excluded.created_at,
            expires_at = excluded.expires_at, used_at = null",
        values![token_hash, now, expires_at],
    )?;
    Ok(())
}

/// Whether this is the link, and still good.
pub fn is_first_run(tx: &mut Tx<'_>, token_hash: &[u8; 32], now: Micros) -> Result<bool> {
    let good = tx.number(
        "select count(*) from first_run where token = $1 and used_at is null and expires_at > $2",
        values![token_hash, now],
    )?;
    Ok(good == 1)
}

/// Makes the first administrator; the link is used up with it.
pub fn first(
    tx: &mut WriteTx<'_>,
    token_hash: &[u8; 32],
    new: &NewPerson<'_>,
    now: Micros,
) -> Result<Person> {
    if !is_first_run(tx, token_hash, now)? || tx.number("select count(*) from people", &[])? > 0 {
        return Err(Error::NotNow("this link is no longer good; make a new one on the server".into()));
    }
    tx.execute("update first_run set used_at = $1", values![now])?;
    create(tx, new, now)
}
