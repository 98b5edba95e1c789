//! The keys with which the service signs what people say at its page. Each person has one; it is made when it is first
//! needed and lies sealed in the store. Whoever has the store alone can sign nothing.

use crate::desk::Fault;
use portreeve_access::keys::Key;
use portreeve_access::role::Role;
use portreeve_respond::operator::{Operator, PrivateKey, Tier};
use portreeve_respond::secret::Secret;
use portreeve_store::people::{self, Person};
use portreeve_store::{Error, Micros, PersonId, Tx, WriteTx, setting};

fn name(id: PersonId) -> String {
    format!("operator-key.{id}")
}

/// To whom the sealed key is bound.
fn owner(id: PersonId) -> String {
    format!("operator-key person:{id}")
}

/// What a person may say, by the roles that they have now.
fn tier(person: &Person) -> Option<Tier> {
    let has = |role: Role| person.roles.contains(role.id());
    match person.disabled_at {
        Some(_) => None,
        None if has(Role::T3) => Some(Tier::T3),
        None if has(Role::T2) => Some(Tier::T2),
        None if has(Role::L1) => Some(Tier::L1),
        None => None,
    }
}

fn open(seal: &Key, id: PersonId, sealed: &[u8]) -> Result<PrivateKey, Error> {
    let wrong = |why: String| Fault::Inside(format!("the key of person {id}: {why}"));
    let text = seal.open(&owner(id), sealed).map_err(|e| wrong(e.to_string()))?;
    let text = std::str::from_utf8(&text).map_err(|_| wrong("holds no text".to_owned()))?;
    Ok(PrivateKey::from_secret(&Secret::new(text)).map_err(|e| wrong(e.to_string()))?)
}

/// The key of a person; the first time, a new one.
pub(crate) fn of(
    tx: &mut WriteTx<'_>,
    seal: &Key,
    person: &Person,
    now: Micros,
) -> Result<PrivateKey, Error> {
    if let Some(there) = setting::get(tx, &name(person.id))? {
        return open(seal, person.id, &there.value);
    }
    let wrong = |why: String| Fault::Inside(format!("no key for person {}: {why}", person.id));
    let key = PrivateKey::generate().map_err(|e| wrong(e.to_string()))?;
    let sealed = seal
        .seal(&owner(person.id), key.to_secret().expose().as_bytes())
        .map_err(|e| wrong(e.to_string()))?;
    setting::set(tx, &name(person.id), &sealed, Some(0), now)?;
    Ok(key)
}

/// Everybody who has a key, with the tier of now: a role that was taken away takes its approvals along.
pub(crate) fn operators(tx: &mut Tx<'_>, seal: &Key) -> Result<Vec<Operator>, Error> {
    let mut all = Vec::new();
    for person in people::all(tx)? {
        let Some(tier) = tier(&person) else { continue };
        let Some(sealed) = setting::get(tx, &name(person.id))? else { continue };
        let key = open(seal, person.id, &sealed.value)?;
        all.push(Operator {
            public_key: key.public(),
            name: person.name,
            tier,
            accounts: Vec::new(),
            addresses: Vec::new(),
        });
    }
    Ok(all)
}
