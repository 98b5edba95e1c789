//! People and what they may be, for those who manage them.

use super::sign_in::initial_key;
use super::{Doing, Fault, Stamp, Who, change, look_at_service};
use crate::app::App;
use portreeve_access::draw::{draw, to_base64url};
use portreeve_access::name::Name;
use portreeve_access::permit::{Object, Verb};
use portreeve_access::role::{Role, Roles};
use portreeve_store::people::{self, Change, NewPerson};
use portreeve_store::{Error, PersonId, Tx, setting};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// An account at an identity provider.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct ProviderAccount {
    pub issuer: String,
    /// `sub` of its ID tokens.
    pub subject: String,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct PersonView {
    pub id: i64,
    pub name: String,
    pub display: String,
    pub zone: String,
    pub roles: Vec<String>,
    pub has_password: bool,
    /// A passkey, or an authenticator app.
    pub has_second_factor: bool,
    /// Bound to an account of the identity provider.
    pub has_provider: bool,
    /// To which one.
    pub provider: Option<ProviderAccount>,
    pub disabled_at: Option<Stamp>,
    pub created_at: Stamp,
    pub last_login: Option<Stamp>,
    /// For If-Match.
    pub revision: i64,
}

impl PersonView {
    pub(crate) fn of(tx: &mut Tx<'_>, p: people::Person) -> Result<PersonView, Error> {
        Ok(PersonView {
            has_second_factor: p.totp.is_some() || !people::passkeys(tx, p.id)?.is_empty(),
            has_provider: p.oidc.is_some(),
            provider: p.oidc.map(|o| ProviderAccount { issuer: o.issuer, subject: o.subject }),
            id: p.id.0,
            name: p.name,
            display: p.display,
            zone: p.zone,
            roles: p.roles.into_iter().collect(),
            has_password: p.password_hash.is_some(),
            disabled_at: p.disabled_at.map(Stamp),
            created_at: Stamp(p.created_at),
            last_login: p.last_login.map(Stamp),
            revision: p.revision,
        })
    }
}

pub fn list(app: &App, who: &Who) -> Result<Vec<PersonView>, Fault> {
    look_at_service(app, who, Verb::UserRead, |tx| {
        people::all(tx)?.into_iter().map(|p| PersonView::of(tx, p)).collect()
    })
}

/// UTC where nothing is said.
pub(crate) fn zone(text: &str) -> Result<&str, Fault> {
    match text.trim() {
        "" => Ok("UTC"),
        zone if jiff::tz::TimeZone::get(zone).is_ok() => Ok(zone),
        _ => Err(Fault::invalid("zone", "is no zone; write Europe/Berlin or UTC")),
    }
}

fn roles(ids: &[String]) -> Result<BTreeSet<String>, Fault> {
    let mut roles = Roles::NONE;
    for id in ids {
        roles = roles.with(Role::by_id(id).ok_or_else(|| Fault::invalid("roles", "holds what is no role"))?);
    }
    match roles.fault_of_person() {
        Some(fault) => Err(Fault::invalid("roles", fault.to_string())),
        None => Ok(roles.iter().map(|r| r.id().to_owned()).collect()),
    }
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PersonInput {
    pub name: String,
    #[serde(default)]
    pub display: String,
    #[serde(default)]
    pub zone: String,
    pub roles: Vec<String>,
}

/// A person with a password that is shown once, and has to be changed at the first sign-in.
#[derive(Clone, Serialize, JsonSchema)]
pub struct PersonMade {
    pub person: PersonView,
    pub initial_password: String,
}

/// 128 bits, which nobody guesses and nobody keeps.
fn initial_password(app: &App, name: &str) -> Result<(String, String), Fault> {
    let password = to_base64url(&draw::<16>()?);
    let hash = app.accounts.passwords.hash(name, &password).map_err(|e| Fault::Inside(e.to_string()))?;
    Ok((password, hash))
}

pub fn create(app: &App, who: &Who, input: &PersonInput) -> Result<PersonMade, Fault> {
    // Before a hash is made for nothing.
    who.may(Verb::UserManage, &Object::Person { id: "" })
        .or_else(|fault| refuse(app, who, "person", fault))?;
    let name = Name::new(&input.name).map_err(|e| Fault::invalid("name", e.to_string()))?;
    let (roles, zone) = (roles(&input.roles)?, zone(&input.zone)?);
    let (initial_password, hash) = initial_password(app, name.as_str())?;
    let detail = serde_json::to_value(input).unwrap_or_default();
    change(app, who, &Doing::new(Verb::UserManage, "person").with(detail).secret(), |tx, by| {
        let new = NewPerson {
            name: name.as_str(),
            display: &input.display,
            zone,
            roles: &roles,
            password_hash: Some(&hash),
            oidc: None,
        };
        let person = people::create(tx, &new, by.at)?;
        setting::set(tx, &initial_key(person.id), b"1", None, by.at)?;
        let person = PersonView::of(tx, person)?;
        Ok(PersonMade { person, initial_password: initial_password.clone() })
    })
}

/// A refusal outside a transaction, noted like one inside.
pub(crate) fn refuse(app: &App, who: &Who, object: &str, fault: Fault) -> Result<(), Fault> {
    let refused = Err(fault);
    super::note_denied(app, who, Verb::UserManage, object, &refused);
    refused
}

#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PersonChange {
    pub display: Option<String>,
    pub zone: Option<String>,
    /// Where they change, all logins of the person end.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    pub disabled: Option<bool>,
}

pub fn alter(
    app: &App,
    who: &Who,
    id: i64,
    revision: i64,
    input: &PersonChange,
) -> Result<PersonView, Fault> {
    let new_roles = if input.roles.is_empty() { None } else { Some(roles(&input.roles)?) };
    let zone = input.zone.as_deref().map(zone).transpose()?;
    let object = format!("person:{id}");
    let detail = serde_json::to_value(input).unwrap_or_default();
    change(app, who, &Doing::new(Verb::UserManage, &object).with(detail), |tx, by| {
        who.may(Verb::UserManage, &Object::Person { id: &object })?;
        let change = Change {
            display: input.display.as_deref(),
            zone,
            roles: new_roles.as_ref(),
            disabled: input.disabled,
            ..Change::default()
        };
        let person = people::change(tx, PersonId(id), revision, &change, by.at)?;
        PersonView::of(tx, person)
    })
}

/// Somebody lost the password or the second factor: a new initial password, no second factor, all logins end.
pub fn reset(app: &App, who: &Who, id: i64, revision: i64) -> Result<PersonMade, Fault> {
    let object = format!("person:{id}");
    who.may(Verb::UserManage, &Object::Person { id: &object })
        .or_else(|fault| refuse(app, who, &object, fault))?;
    let name = app.store.read(|tx| Ok::<_, Error>(people::get(tx, PersonId(id))?.name))?;
    let (initial_password, hash) = initial_password(app, &name)?;
    let doing = Doing::new(Verb::UserManage, &object).with(serde_json::json!({ "reset": true })).secret();
    change(app, who, &doing, |tx, by| {
        let change = Change {
            password_hash: Some(Some(&hash)),
            totp: Some(None),
            recovery: Some(&[]),
            ..Change::default()
        };
        let person = people::change(tx, PersonId(id), revision, &change, by.at)?;
        // Whoever has a lost key must not come in with it.
        for key in people::passkeys(tx, person.id)? {
            people::remove_passkey(tx, person.id, &key.credential)?;
        }
        setting::set(tx, &initial_key(person.id), b"1", None, by.at)?;
        let person = PersonView::of(tx, person)?;
        Ok(PersonMade { person, initial_password: initial_password.clone() })
    })
}
