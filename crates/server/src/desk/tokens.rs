//! Tokens of the API: one's own, and those of services. A token is shown once.

use super::{Doing, Fault, Stamp, Who, change, look, look_at_service};
use crate::app::App;
use portreeve_access::permit::{Object, Verb, Verbs};
use portreeve_access::role::{Role, Roles};
use portreeve_access::token::{Kind, Token};
use portreeve_store::token::{self, Holder, NewToken};
use portreeve_store::{Error, TokenId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct TokenView {
    pub id: i64,
    pub name: String,
    /// `person:7`, `source:2` or `service`.
    pub holder: String,
    /// Of a service; a person's token has what the person has.
    pub roles: Vec<String>,
    /// What the token may do, of what its holder may.
    pub scope: Vec<String>,
    pub created_by: String,
    pub created_at: Stamp,
    pub expires_at: Option<Stamp>,
    pub last_used: Option<Stamp>,
    pub revoked_at: Option<Stamp>,
}

impl From<token::Token> for TokenView {
    fn from(t: token::Token) -> TokenView {
        let (roles, scope) = t.roles.into_iter().partition(|word| Role::by_id(word).is_some());
        TokenView {
            id: t.id.0,
            name: t.name,
            holder: holder(t.holder),
            roles,
            scope,
            created_by: t.created_by,
            created_at: Stamp(t.created_at),
            expires_at: t.expires_at.map(Stamp),
            last_used: t.last_used.map(Stamp),
            revoked_at: t.revoked_at.map(Stamp),
        }
    }
}

fn holder(holder: Holder) -> String {
    match holder {
        Holder::Person(id) => format!("person:{id}"),
        Holder::Source(id) => format!("source:{id}"),
        Holder::Service => "service".to_owned(),
    }
}

/// A token just made.
#[derive(Clone, Serialize, JsonSchema)]
pub struct TokenMade {
    pub token: TokenView,
    /// Shown now, and never again.
    pub secret: String,
}

pub fn list(app: &App, who: &Who) -> Result<Vec<TokenView>, Fault> {
    look_at_service(app, who, Verb::TokenRead, |tx| {
        Ok(token::all(tx, None)?.into_iter().map(TokenView::from).collect())
    })
}

pub fn own(app: &App, who: &Who) -> Result<Vec<TokenView>, Fault> {
    look(app, who, Verb::TokenOwn, &who.actor.id, |tx| {
        who.may(Verb::TokenOwn, &Object::Token { of: &who.actor.id })?;
        let all = token::all(tx, Some(Holder::Person(who.person()?)))?;
        Ok(all.into_iter().map(TokenView::from).collect())
    })
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenInput {
    pub name: String,
    /// Verbs such as `case.read` (docs/roles.md); all that reads where nothing is said.
    #[serde(default)]
    pub scope: Vec<String>,
    /// Of a service account; nothing for one's own token.
    #[serde(default)]
    pub roles: Vec<String>,
    /// 1 to 730; 90 where nothing is said.
    #[serde(default)]
    pub days: Option<u32>,
}

const DAY_US: i64 = 24 * 3_600 * 1_000_000;

impl TokenInput {
    fn scope(&self) -> Result<BTreeSet<String>, Fault> {
        if self.scope.is_empty() {
            return Ok(Verbs::reading().iter().map(|v| v.id().to_owned()).collect());
        }
        let known = self.scope.iter().map(|id| Verb::by_id(id).map(|v| v.id().to_owned()));
        known
            .collect::<Option<_>>()
            .ok_or_else(|| Fault::invalid("scope", "holds what is no verb; see docs/roles.md"))
    }

    fn expires_at(&self, now: i64) -> Result<i64, Fault> {
        match self.days.unwrap_or(90) {
            days @ 1..=730 => Ok(now + i64::from(days) * DAY_US),
            _ => Err(Fault::invalid("days", "1 to 730")),
        }
    }

    fn name(&self) -> Result<&str, Fault> {
        match self.name.trim() {
            "" => Err(Fault::invalid("name", "is empty")),
            name if name.len() > 200 => Err(Fault::invalid("name", "at most 200 bytes")),
            name => Ok(name),
        }
    }
}

fn made(
    app: &App,
    who: &Who,
    (verb, of): (Verb, &str),
    holder: Holder,
    words: &BTreeSet<String>,
    input: &TokenInput,
) -> Result<TokenMade, Fault> {
    let fresh = Token::generate(Kind::Api)?;
    let sum = fresh.digest();
    let (name, detail) = (input.name()?, serde_json::to_value(input).unwrap_or_default());
    change(app, who, &Doing::new(verb, of).with(detail).secret(), |tx, by| {
        who.may(verb, &Object::Token { of })?;
        let new = NewToken {
            hash: sum.as_bytes(),
            name,
            holder,
            roles: words,
            doors: &BTreeSet::new(),
            created_by: by.actor,
            expires_at: Some(input.expires_at(by.at)?),
        };
        let token = token::create(tx, &new, by.at)?;
        Ok(TokenMade { token: token.into(), secret: fresh.expose().to_owned() })
    })
}

pub fn create_own(app: &App, who: &Who, input: &TokenInput) -> Result<TokenMade, Fault> {
    if !input.roles.is_empty() {
        return Err(Fault::invalid("roles", "one's own token has one's own roles"));
    }
    let words = input.scope()?;
    let holder = Holder::Person(who.person.unwrap_or(portreeve_store::PersonId(0)));
    made(app, who, (Verb::TokenOwn, &who.actor.id), holder, &words, input)
}

pub fn create(app: &App, who: &Who, input: &TokenInput) -> Result<TokenMade, Fault> {
    let roles = input.roles.iter().map(|id| Role::by_id(id)).collect::<Option<Vec<Role>>>();
    let roles: Roles = roles.ok_or_else(|| Fault::invalid("roles", "holds what is no role"))?.into();
    if roles.is_empty() || roles.has(Role::Ingest) {
        return Err(Fault::invalid(
            "roles",
            "name at least one; a token for records is made with its source",
        ));
    }
    let mut words = input.scope()?;
    words.extend(roles.iter().map(|r| r.id().to_owned()));
    made(app, who, (Verb::TokenManage, "service"), Holder::Service, &words, input)
}

pub fn revoke(app: &App, who: &Who, id: i64) -> Result<TokenView, Fault> {
    let object = format!("token:{id}");
    let found = app.store.read(|tx| token::get(tx, TokenId(id)));
    // One's own by one right, all others by another: who has only the first learns nothing of others.
    let mine = matches!(&found, Ok(t) if who.person.is_some_and(|p| t.holder == Holder::Person(p)));
    let verb = if mine { Verb::TokenOwn } else { Verb::TokenManage };
    let done = change(
        app,
        who,
        &Doing::new(verb, &object).with(serde_json::json!({ "revoked": true })),
        |tx, by| {
            let found = token::get(tx, TokenId(id));
            let of = found.as_ref().map_or_else(|_| "service".to_owned(), |t| holder(t.holder));
            who.may(verb, &Object::Token { of: &of })?;
            token::revoke(tx, found?.id, by.at)?;
            Ok::<_, Error>(TokenView::from(token::get(tx, TokenId(id))?))
        },
    )?;
    app.reload_sources()?;
    Ok(done)
}
