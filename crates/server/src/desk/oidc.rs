//! Signing in at the identity provider, and which account that is. Whoever comes from there is known by issuer and
//! subject alone: a name or a mail address may be given to somebody else.

use super::sign_in::{self, OIDC, PROVIDER, Step, Visitor};
use super::{Doing, Fault, Who, change};
use crate::app::App;
use crate::config::{Config, NewAccounts};
use crate::desk::people::PersonView;
use crate::outward::{Asked, Outward};
use crate::service::StartError;
use portreeve_access::draw::{from_base64url, to_base64url};
use portreeve_access::oidc::{
    Callback, Client, Http, Identity, Method, OidcFault, Request, Response, SignIn,
};
use portreeve_access::permit::{Object, Verb};
use portreeve_store::audit::{self, NewEntry, Outcome};
use portreeve_store::people::{self, Change, NewPerson, Oidc, Person};
use portreeve_store::{Error, PersonId, WriteTx};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The provider, and what the site says of it.
pub(crate) struct Provider {
    client: Client,
    http: Transport,
    pub(crate) name: String,
    accounts: NewAccounts,
    /// Groups decide about roles, anew at each sign-in.
    gives_roles: bool,
    /// Conversations with the provider at this moment.
    talks: AtomicUsize,
}

/// More wait for nothing: strangers must not keep all threads busy with a provider that is down.
const MOST_TALKS: usize = 16;
const PATIENCE: Duration = Duration::from_secs(10);

struct Transport(Outward);

impl Http for Transport {
    fn send(&self, request: &Request) -> Result<Response, String> {
        let headers: Vec<(&'static str, &str)> =
            request.headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let method = match request.method {
            Method::Get => "GET",
            Method::Post => "POST",
        };
        let body = request.body.as_ref().map(|b| b.as_bytes());
        let heard = self.0.ask(&Asked { method, url: &request.url, headers: &headers, body })?;
        Ok(Response { status: heard.status, body: heard.body })
    }
}

struct Talk<'p>(&'p Provider);

impl Drop for Talk<'_> {
    fn drop(&mut self) {
        self.0.talks.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Provider {
    pub(crate) fn open(config: &Config) -> Result<Option<Provider>, StartError> {
        let Some(at) = &config.oidc else { return Ok(None) };
        let wrong = |text: String| StartError::Wrong(format!("oidc: {text}"));
        let client = at.client(config.web.public_url.as_deref()).map_err(StartError::Wrong)?;
        let secret = at.client_secret.as_ref().map(|s| s.read()).transpose().map_err(wrong)?;
        let client = Client::new(client, secret.map(Into::into)).map_err(|e| wrong(e.to_string()))?;
        Ok(Some(Provider {
            client,
            http: Transport(Outward::new(at.ca_file.as_deref(), PATIENCE).map_err(wrong)?),
            name: at.name.clone(),
            accounts: at.accounts,
            gives_roles: !at.roles.is_empty(),
            talks: AtomicUsize::new(0),
        }))
    }

    fn talk(&self) -> Result<Talk<'_>, Fault> {
        let others = self.talks.fetch_add(1, Ordering::Relaxed);
        let talk = Talk(self);
        if others >= MOST_TALKS {
            return Err(Fault::Busy { why: "many sign in at this moment; try again".to_owned() });
        }
        Ok(talk)
    }
}

/// What the button is called; none where there is no provider.
pub fn button(app: &App) -> Option<&str> {
    app.accounts.provider.as_ref().map(|p| p.name.as_str())
}

/// Whose accounts can be bound; none where there is no provider.
pub fn issuer(app: &App) -> Option<&str> {
    app.accounts.provider.as_ref().map(|p| p.client.config().issuer.as_str())
}

/// Whether the page shows fields for name and password.
pub fn takes_passwords(app: &App) -> bool {
    app.accounts.local != crate::config::Local::Nobody
}

/// What the browser keeps while it is at the provider.
#[derive(Serialize, Deserialize)]
struct Kept {
    sign_in: SignIn,
    /// A path of ours, to go to afterwards.
    back: String,
}

const KEPT: &str = "oidc kept v1";

/// A browser is sent away, and keeps a cookie until it is back.
pub struct Away {
    pub url: String,
    pub cookie: String,
}

fn provider(app: &App) -> Result<&Provider, Fault> {
    app.accounts.provider.as_ref().ok_or_else(|| Fault::not_found("identity provider"))
}

/// Sends a browser to the provider.
pub fn begin(app: &App, from: &Visitor, back: &str) -> Result<Away, Fault> {
    let provider = provider(app)?;
    let _talk = provider.talk()?;
    let begun = provider.client.begin(&provider.http, crate::line::now().0);
    let (url, sign_in) = begun.map_err(|fault| told(app, from, &fault))?;
    let kept = Kept { sign_in, back: ours(back).to_owned() };
    let plain = serde_json::to_vec(&kept).map_err(|e| Fault::Inside(e.to_string()))?;
    let sealed = app.accounts.sign_in.seal(KEPT, &plain).map_err(|e| Fault::Inside(e.to_string()))?;
    Ok(Away { url, cookie: to_base64url(&sealed) })
}

fn ours(back: &str) -> &str {
    if crate::ui::preferences::is_ours(back) { back } else { "/" }
}

/// The browser is back. Who it is, and where it wanted to go.
pub fn complete(
    app: &App,
    from: &Visitor,
    cookie: Option<&str>,
    query: &str,
) -> Result<(Step, String), Fault> {
    let provider = provider(app)?;
    let now = crate::line::now().0;
    // Who brings no cookie of ours makes us ask nobody.
    let kept: Kept = cookie
        .and_then(from_base64url)
        .and_then(|sealed| app.accounts.sign_in.open(KEPT, &sealed).ok())
        .and_then(|plain| serde_json::from_slice(&plain).ok())
        .ok_or_else(|| told(app, from, &OidcFault::State))?;
    let identity = {
        let _talk = provider.talk()?;
        Callback::from_query(query)
            .and_then(|callback| provider.client.complete(&kept.sign_in, &callback, &provider.http, now))
            .map_err(|fault| told(app, from, &fault))?
    };
    let person = match app.store.write(|tx| account(tx, provider, &identity, from, now)) {
        Ok(Account::Is(person)) => *person,
        Ok(Account::No(why)) => {
            let detail = serde_json::json!({
                "provider": identity.issuer, "subject": identity.subject, "name": identity.name.as_str(), "why": why,
            });
            denied(app, from, &detail);
            return Err(Fault::elsewhere(why));
        }
        Err(error) => return Err(error.into()),
    };
    let step = if identity.second_factor {
        let factors = format!("{OIDC} {PROVIDER}");
        Step::In(Box::new(sign_in::enter(app, from, &person, &factors, |_, _| Ok(()))?))
    } else {
        sign_in::go_on(app, from, &person, OIDC, now)?
    };
    Ok((step, ours(&kept.back).to_owned()))
}

enum Account {
    Is(Box<Person>),
    No(&'static str),
}

/// The account of an identity: found, brought up to date, or made.
fn account(
    tx: &mut WriteTx<'_>,
    provider: &Provider,
    identity: &Identity,
    from: &Visitor,
    at: i64,
) -> Result<Account, Error> {
    const NO_ROLE: &str =
        "no group of your account at the provider has a role here; ask who looks after this service";
    const NOT_KNOWN: &str =
        "your account at the provider is not known here; ask who looks after this service";
    const NAME_TAKEN: &str = "another account of this service has the name that the provider gives you; an administrator has to bind it to yours";
    let roles: BTreeSet<String> = identity.roles.iter().map(|r| r.id().to_owned()).collect();
    let no_role = provider.gives_roles && roles.is_empty();
    let display = identity.display.as_deref();
    let Some(person) = people::by_oidc(tx, &identity.issuer, &identity.subject)? else {
        match provider.accounts {
            NewAccounts::Nobody => return Ok(Account::No(NOT_KNOWN)),
            NewAccounts::WithRole if roles.is_empty() => return Ok(Account::No(NO_ROLE)),
            NewAccounts::Everybody if no_role => return Ok(Account::No(NO_ROLE)),
            _ => {}
        }
        if people::by_name(tx, identity.name.as_str())?.is_some() {
            return Ok(Account::No(NAME_TAKEN));
        }
        let oidc = Oidc { issuer: identity.issuer.clone(), subject: identity.subject.clone() };
        let new = NewPerson {
            name: identity.name.as_str(),
            display: display.unwrap_or_default(),
            zone: "UTC",
            roles: &roles,
            password_hash: None,
            oidc: Some(&oidc),
        };
        let person = people::create(tx, &new, at)?;
        let said = serde_json::json!({ "made": identity.name.as_str(), "roles": roles });
        note(tx, from.address, &identity.issuer, person.id, &said, at)?;
        return Ok(Account::Is(Box::new(person)));
    };
    if person.disabled_at.is_some() {
        return Ok(Account::No("your account is disabled here; ask who looks after this service"));
    }
    let new_roles = Some(&roles).filter(|r| provider.gives_roles && **r != person.roles);
    let new_display = display.filter(|d| *d != person.display);
    let person = if new_roles.is_some() || new_display.is_some() {
        let change = Change { roles: new_roles, display: new_display, ..Change::default() };
        let changed = people::change(tx, person.id, person.revision, &change, at)?;
        if let Some(now) = new_roles {
            let said = serde_json::json!({ "roles": now, "before": person.roles });
            note(tx, from.address, &identity.issuer, person.id, &said, at)?;
        }
        changed
    } else {
        person
    };
    // What was taken away stays taken away, also where it was everything.
    if no_role { Ok(Account::No(NO_ROLE)) } else { Ok(Account::Is(Box::new(person))) }
}

/// What the provider did to an account belongs into the audit.
fn note(
    tx: &mut WriteTx<'_>,
    address: IpAddr,
    issuer: &str,
    person: PersonId,
    said: &serde_json::Value,
    at: i64,
) -> Result<(), Error> {
    let entry = NewEntry {
        at,
        actor: format!("provider {issuer}"),
        verb: Verb::UserManage.id().to_owned(),
        object: format!("person:{person}"),
        address: address.to_string(),
        outcome: Outcome::Done,
        detail: said.to_string(),
    };
    audit::append(tx, &entry).map(|_| ())
}

fn denied(app: &App, from: &Visitor, detail: &serde_json::Value) {
    let entry = NewEntry {
        at: crate::line::now().0,
        actor: "nobody".to_owned(),
        verb: "session.begin".to_owned(),
        object: String::new(),
        address: from.address.to_string(),
        outcome: Outcome::Denied,
        detail: detail.to_string(),
    };
    if let Err(error) = app.store.audit_soon(entry) {
        tracing::error!(%error, "a failed sign-in could not be written into the audit");
    }
}

/// Who signs in learns what they can do; the log learns the rest.
fn told(app: &App, from: &Visitor, fault: &OidcFault) -> Fault {
    tracing::warn!(address = %from.address, %fault, "a sign-in at the provider failed");
    denied(app, from, &serde_json::json!({ "wrong": "provider", "why": fault.to_string() }));
    match fault {
        OidcFault::Unreachable(_) | OidcFault::Status { .. } => {
            Fault::Busy { why: "the identity provider does not answer; try again later".to_owned() }
        }
        OidcFault::State => {
            Fault::elsewhere("this sign-in was not begun in this browser, or was begun before; start again")
        }
        OidcFault::Expired => Fault::elsewhere("this sign-in took too long; start again"),
        OidcFault::Refused(_) => Fault::elsewhere("the identity provider did not let you in"),
        OidcFault::TooManyGroups | OidcFault::Roles(_) => Fault::elsewhere(
            "the groups of your account at the provider fit no roles here; ask who looks after this service",
        ),
        _ => Fault::elsewhere(
            "what the identity provider says cannot be used; the service's log has the reason",
        ),
    }
}

/// Whose account at the provider it is.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BindInput {
    /// `sub` of the ID token, as the provider's own pages show it; empty to unbind. A sign-in that was refused has it in
    /// the audit.
    #[serde(default)]
    pub subject: String,
}

/// Binds an account to one of the provider's, or takes that back. All its logins end.
pub fn bind(app: &App, who: &Who, id: i64, revision: i64, input: &BindInput) -> Result<PersonView, Fault> {
    let object = format!("person:{id}");
    let detail = serde_json::to_value(input).unwrap_or_default();
    change(app, who, &Doing::new(Verb::UserManage, &object).with(detail), |tx, by| {
        who.may(Verb::UserManage, &Object::Person { id: &object })?;
        let oidc = match input.subject.trim() {
            "" => None,
            subject => Some(Oidc {
                issuer: issuer(app).ok_or_else(|| Fault::not_found("identity provider"))?.to_owned(),
                subject: subject.to_owned(),
            }),
        };
        let change = Change { oidc: Some(oidc.as_ref()), ..Change::default() };
        let person = people::change(tx, PersonId(id), revision, &change, by.at)?;
        PersonView::of(tx, person)
    })
}
