//! Getting in: the first run, name and password, the second factor, and who a cookie or a token stands for.

use super::{Fault, First, Who};
use crate::app::App;
use crate::config::{Local, digest};
use portreeve_access::digest::Digest;
use portreeve_access::draw::{from_base64url, to_base64url};
use portreeve_access::limit::Locked;
use portreeve_access::name::Name;
use portreeve_access::password::Check;
use portreeve_access::permit::{Actor, By, Verb, Verbs};
use portreeve_access::role::{Role, Roles};
use portreeve_access::session::{SIGN_IN_S, Session, SessionToken, Standing};
use portreeve_access::token::{self as tokens, Kind, Token};
use portreeve_access::totp::{self, TotpSecret};
use portreeve_store::audit::{self, NewEntry, Outcome};
use portreeve_store::login::{self, Login};
use portreeve_store::people::{self, NewPerson, Person};
use portreeve_store::token::Holder;
use portreeve_store::{Error, PersonId, WriteTx, hex, token};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Where a request comes from, before it is known whose it is.
#[derive(Clone, Debug)]
pub struct Visitor {
    pub address: IpAddr,
    pub agent: String,
}

/// A login that has just begun. The token goes into the cookie and nowhere else.
pub struct Begun {
    pub token: SessionToken,
    pub who: Who,
}

/// How far somebody came with a password.
pub enum Step {
    In(Box<Begun>),
    /// To be brought back with the code.
    Second {
        ticket: String,
    },
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignInInput {
    pub name: String,
    pub password: String,
    /// Of the second factor, or a recovery code; it may also follow in a second request.
    #[serde(default)]
    pub code: Option<String>,
}

impl From<Locked> for Fault {
    fn from(locked: Locked) -> Fault {
        Fault::Locked { seconds: locked.seconds }
    }
}

/// Words of a login's factors.
pub(crate) const PASSWORD: &str = "password";
/// The password was made by somebody else and has to be changed.
pub(crate) const INITIAL: &str = "initial";
pub(crate) const TOTP: &str = "totp";
pub(crate) const RECOVERY: &str = "recovery";
/// A security key or passkey; alone only where it asked for a PIN or a finger.
pub(crate) const PASSKEY: &str = "passkey";
/// The identity provider let them in …
pub(crate) const OIDC: &str = "oidc";
/// … and says that it asked for a second factor.
pub(crate) const PROVIDER: &str = "provider-factor";

/// Whether this person's password was made for them.
pub(crate) fn initial_key(person: PersonId) -> String {
    format!("person.{person}.initial-password")
}

pub fn sign_in(app: &App, from: &Visitor, input: &SignInInput) -> Result<Step, Fault> {
    let now = crate::line::now().0;
    let attempt = app.accounts.limiter.attempt(&input.name, from.address, now)?;
    let person = app.store.read(|tx| people::by_name(tx, &input.name))?.filter(|p| p.disabled_at.is_none());
    let hash = person.as_ref().and_then(|p| p.password_hash.as_deref());
    let (Check::Right { stale }, Some(person)) =
        (app.accounts.passwords.check(hash, &input.password), &person)
    else {
        refused(app, from, &input.name, "password");
        return Err(Fault::WrongSecret);
    };
    attempt.passed();
    if stale {
        renew_hash(app, person, &input.password);
    }
    if !may_come_in_here(app, person) {
        refused(app, from, &person.name, "way in");
        return Err(Fault::elsewhere("passwords of this service are switched off; sign in at the provider"));
    }
    match input.code.as_deref().map(str::trim).filter(|c| !c.is_empty()) {
        Some(code) if has_second(app, person)? => {
            Ok(Step::In(Box::new(with_code(app, from, person, PASSWORD, code)?)))
        }
        _ => go_on(app, from, person, PASSWORD, now),
    }
}

/// The first factor was right: in, or on to the second.
pub(crate) fn go_on(
    app: &App,
    from: &Visitor,
    person: &Person,
    first: &str,
    now: i64,
) -> Result<Step, Fault> {
    if !has_second(app, person)? {
        return Ok(Step::In(Box::new(enter(app, from, person, first, |_, _| Ok(()))?)));
    }
    let ticket =
        Ticket { person: person.id.0, revision: person.revision, begun: now, first: first.to_owned() };
    Ok(Step::Second { ticket: ticket.seal(app)? })
}

/// Whether the configuration lets this person in by means of this service.
pub(crate) fn may_come_in_here(app: &App, person: &Person) -> bool {
    match app.accounts.local {
        Local::All => true,
        Local::Admins => roles_of(&person.roles).has(Role::ResponderAdmin),
        Local::Nobody => false,
    }
}

pub(crate) fn has_second(app: &App, person: &Person) -> Result<bool, Fault> {
    Ok(person.totp.is_some() || !app.store.read(|tx| people::passkeys(tx, person.id))?.is_empty())
}

/// The hash was made at another cost: made anew, while the password is at hand. What fails here hinders nobody.
fn renew_hash(app: &App, person: &Person, password: &str) {
    let Some(old) = person.password_hash.as_deref() else { return };
    let done = match app.accounts.passwords.hash(&person.name, password) {
        Ok(new) => app.store.write(|tx| people::rehash(tx, person.id, old, &new)).map_err(|e| e.to_string()),
        // Passwords of before the rules of now: their owner changes them.
        Err(error) => Err(error.to_string()),
    };
    match done {
        Ok(_) => tracing::info!(person = person.id.0, "the password is kept at the cost of now"),
        Err(error) => tracing::warn!(person = person.id.0, %error, "a password is kept at an old cost"),
    }
}

/// What a browser carries between the first factor and the second: that the first was right, a moment ago.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Ticket {
    pub(crate) person: i64,
    pub(crate) revision: i64,
    pub(crate) begun: i64,
    /// Words of the first factor.
    pub(crate) first: String,
}

const TICKET: &str = "second";

impl Ticket {
    fn seal(&self, app: &App) -> Result<String, Fault> {
        let plain = serde_json::to_vec(self).map_err(|e| Fault::Inside(e.to_string()))?;
        let sealed = app.accounts.sign_in.seal(TICKET, &plain).map_err(|e| Fault::Inside(e.to_string()))?;
        Ok(to_base64url(&sealed))
    }

    pub(crate) fn open(app: &App, ticket: Option<&str>) -> Result<(Ticket, Person), Fault> {
        let now = crate::line::now().0;
        let opened = ticket
            .and_then(from_base64url)
            .and_then(|sealed| app.accounts.sign_in.open(TICKET, &sealed).ok())
            .and_then(|plain| serde_json::from_slice::<Ticket>(&plain).ok());
        let ticket = opened.ok_or(Fault::SignIn)?;
        let person = ticket.holds(app, now)?;
        Ok((ticket, person))
    }

    /// Its person, where both are still as they were.
    pub(crate) fn holds(&self, app: &App, now: i64) -> Result<Person, Fault> {
        if now - self.begun > i64::from(SIGN_IN_S) * 1_000_000 || now < self.begun - 60_000_000 {
            return Err(Fault::SignIn);
        }
        let person = app.store.read(|tx| people::get(tx, PersonId(self.person)))?;
        if person.disabled_at.is_some() || person.revision != self.revision {
            return Err(Fault::SignIn);
        }
        Ok(person)
    }
}

/// What the second step may be, for the page that asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seconds {
    pub code: bool,
    pub passkey: bool,
}

pub fn seconds(app: &App, ticket: Option<&str>) -> Result<Seconds, Fault> {
    let (_, person) = Ticket::open(app, ticket)?;
    let passkey = !app.store.read(|tx| people::passkeys(tx, person.id))?.is_empty();
    Ok(Seconds { code: person.totp.is_some() || !person.recovery.is_empty(), passkey })
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CodeInput {
    pub code: String,
}

/// The second step. The ticket says that the first was right a moment ago.
pub fn second(app: &App, from: &Visitor, ticket: Option<&str>, input: &CodeInput) -> Result<Begun, Fault> {
    let (ticket, person) = Ticket::open(app, ticket)?;
    with_code(app, from, &person, &ticket.first, input.code.trim())
}

/// A count of its own: the right password does not clear it, or who knows the password could guess codes for ever.
pub(crate) fn second_count(person: &Person) -> String {
    format!("{} second factor", person.name)
}

fn with_code(app: &App, from: &Visitor, person: &Person, first: &str, code: &str) -> Result<Begun, Fault> {
    let now = crate::line::now().0;
    let attempt = app.accounts.limiter.attempt(&second_count(person), from.address, now)?;
    let entered = enter_by_code(app, from, person, first, code);
    match &entered {
        Ok(_) => attempt.passed(),
        Err(Fault::WrongSecret) => refused(app, from, &person.name, "second factor"),
        Err(_) => {}
    }
    entered
}

fn enter_by_code(
    app: &App,
    from: &Visitor,
    person: &Person,
    first: &str,
    code: &str,
) -> Result<Begun, Fault> {
    let is_totp = code.chars().filter(|c| *c != ' ').all(|c| c.is_ascii_digit());
    let factors = format!("{first} {}", if is_totp { TOTP } else { RECOVERY });
    enter(app, from, person, &factors, |tx, at| use_code(app, tx, person.id, code, is_totp, at))
}

/// Uses a code up, in the transaction that lets somebody in.
fn use_code(
    app: &App,
    tx: &mut WriteTx<'_>,
    id: PersonId,
    code: &str,
    is_totp: bool,
    at: i64,
) -> Result<(), Error> {
    let person = people::get(tx, id)?;
    let used = if is_totp {
        let secret = totp_secret(app, &person)?.ok_or(Fault::WrongSecret)?;
        let step = secret.check(code, at, person.totp_step).map_err(|_| Fault::WrongSecret)?;
        people::use_totp_step(tx, id, step)?
    } else {
        let sums = person.recovery.iter().map(|h| digest(h).and_then(|d| Digest::from_slice(&d)));
        let sums: Vec<Digest> = sums.collect::<Option<_>>().unwrap_or_default();
        match totp::recovery(&sums, code).and_then(|n| person.recovery.get(n)) {
            Some(hash) => people::use_recovery(tx, id, hash)?,
            None => false,
        }
    };
    if used { Ok(()) } else { Err(Fault::WrongSecret.into()) }
}

fn totp_secret(app: &App, person: &Person) -> Result<Option<TotpSecret>, Fault> {
    let Some(sealed) = &person.totp else { return Ok(None) };
    let plain = app.accounts.seal.open(&format!("person:{}", person.id), sealed);
    let plain =
        plain.map_err(|e| Fault::Inside(format!("the second factor of person {}: {e}", person.id)))?;
    Ok(TotpSecret::from_slice(&plain))
}

/// Lets a person in, after what has to be right in the same transaction.
pub(crate) fn enter(
    app: &App,
    from: &Visitor,
    person: &Person,
    factors: &str,
    mut check: impl FnMut(&mut WriteTx<'_>, i64) -> Result<(), Error>,
) -> Result<Begun, Fault> {
    let at = crate::line::now().0;
    let (token, login) = app.store.write(|tx| {
        check(tx, at)?;
        people::came_in(tx, person.id, at)?;
        begin(app, tx, from, person.id, factors, at)
    })?;
    let who = who_of(app, &login, person.clone(), from.address);
    Ok(Begun { token, who })
}

/// A new login, with its line in the audit.
pub(crate) fn begin(
    app: &App,
    tx: &mut WriteTx<'_>,
    from: &Visitor,
    id: PersonId,
    factors: &str,
    at: i64,
) -> Result<(SessionToken, Login), Error> {
    let person = people::get(tx, id)?;
    let mut factors = factors.to_owned();
    if portreeve_store::setting::get(tx, &initial_key(id))?.is_some() {
        factors.push(' ');
        factors.push_str(INITIAL);
    }
    let (token, session) = Session::begin(at).map_err(Fault::from)?;
    let login = Login {
        token_hash: *session.digest.as_bytes(),
        person: id,
        csrf: session.csrf(&app.accounts.csrf).into_bytes(),
        created_at: at,
        rotated_at: at,
        last_used: at,
        expires_at: at + i64::from(app.accounts.lifetimes.absolute_s) * 1_000_000,
        address: from.address.to_string(),
        agent: from.agent.chars().take(200).collect(),
        factors: factors.clone(),
    };
    login::begin(tx, &login)?;
    let entry = NewEntry {
        at,
        actor: format!("person:{id} {}", person.name),
        verb: "session.begin".to_owned(),
        object: format!("person:{id}"),
        address: from.address.to_string(),
        outcome: Outcome::Done,
        detail: serde_json::json!({ "factors": factors }).to_string(),
    };
    audit::append(tx, &entry)?;
    Ok((token, login))
}

/// A sign-in that failed belongs into the audit. The name is what somebody typed: it may be their password.
pub(crate) fn refused(app: &App, from: &Visitor, name: &str, what: &str) {
    let known = app.store.read(|tx| people::by_name(tx, name)).ok().flatten();
    let entry = NewEntry {
        at: crate::line::now().0,
        actor: known.map_or_else(|| "nobody".to_owned(), |p| format!("person:{} {}", p.id, p.name)),
        verb: "session.begin".to_owned(),
        object: String::new(),
        address: from.address.to_string(),
        outcome: Outcome::Denied,
        detail: serde_json::json!({ "wrong": what }).to_string(),
    };
    if let Err(error) = app.store.audit_soon(entry) {
        tracing::error!(%error, "a failed sign-in could not be written into the audit");
    }
}

fn who_of(app: &App, login: &Login, person: Person, address: IpAddr) -> Who {
    let has = |word| login.factors.split(' ').any(|f| f == word);
    let second = [TOTP, RECOVERY, PASSKEY, PROVIDER].into_iter().any(has);
    let roles = roles_of(&person.roles);
    let first = if has(INITIAL) {
        Some(First::ChangePassword)
    } else if app.accounts.second_factor && !second {
        Some(First::Enrol)
    } else {
        None
    };
    Who {
        actor: Actor::person(format!("person:{}", person.id), roles, second),
        name: format!("person:{} {}", person.id, person.name),
        person: Some(person.id),
        address,
        login: Some(login.clone()),
        first,
        once: None,
    }
}

pub(crate) fn roles_of(ids: &BTreeSet<String>) -> Roles {
    ids.iter().filter_map(|r| Role::by_id(r)).collect()
}

/// A use of a login or token is written down once a minute.
const USED_EVERY_US: i64 = 60_000_000;

/// Whose cookie this is, if it is still good.
pub fn by_cookie(app: &App, token: &SessionToken, address: IpAddr) -> Result<Option<Who>, Fault> {
    let (now, hash) = (crate::line::now().0, *token.digest().as_bytes());
    let found = app.store.read(|tx| {
        let Some(login) = login::find(tx, &hash, now)? else { return Ok(None) };
        let person = people::get(tx, login.person)?;
        Ok(Some((login, person)))
    })?;
    let Some((login, person)) = found else { return Ok(None) };
    let session = session_of(&login);
    if session.standing(app.accounts.lifetimes, now) != Standing::Live {
        app.store.write(|tx| login::end(tx, &hash))?;
        return Ok(None);
    }
    if now - login.last_used > USED_EVERY_US {
        app.store.write(|tx| login::used(tx, &hash, now))?;
    }
    Ok(Some(who_of(app, &login, person, address)))
}

pub(crate) fn session_of(login: &Login) -> Session {
    let digest = Digest::from_slice(&login.token_hash).expect("a SHA-256 has 32 bytes");
    Session { digest, created: login.created_at, used: login.last_used }
}

/// Whose API token this is, if it is still good.
pub fn by_token(app: &App, text: &str, address: IpAddr) -> Result<Option<Who>, Fault> {
    let now = crate::line::now().0;
    let Some(shown) = tokens::parse(text).filter(|t| t.kind == Kind::Api) else { return Ok(None) };
    let found = app.store.read(|tx| {
        let Some(token) = token::find(tx, shown.digest.as_bytes(), now)? else { return Ok(None) };
        let person = match token.holder {
            Holder::Person(id) => Some(people::get(tx, id)?),
            Holder::Service => None,
            Holder::Source(_) => return Ok(None),
        };
        Ok(Some((token, person)))
    })?;
    let Some((token, person)) = found else { return Ok(None) };
    if token.last_used.is_none_or(|at| now - at > USED_EVERY_US) {
        app.store.write(|tx| token::used(tx, token.id, now))?;
    }
    let scope: Verbs = token.roles.iter().filter_map(|v| Verb::by_id(v)).collect();
    let (id, name, roles) = match &person {
        Some(p) => (
            format!("person:{}", p.id),
            format!("person:{} {} (token:{})", p.id, p.name, token.id),
            roles_of(&p.roles),
        ),
        None => (
            format!("token:{}", token.id),
            format!("token:{} {}", token.id, token.name),
            roles_of(&token.roles),
        ),
    };
    Ok(Some(Who {
        actor: Actor { id, roles, by: By::Token { scope, source: None } },
        name,
        person: person.map(|p| p.id),
        address,
        login: None,
        first: None,
        once: None,
    }))
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FirstRunInput {
    /// Out of the link that the service printed.
    pub token: String,
    pub name: String,
    #[serde(default)]
    pub display: String,
    /// Of the IANA database; UTC where nothing is said.
    #[serde(default)]
    pub zone: String,
    pub password: String,
}

/// What the first person is: who sets the service up, and who can then work on cases.
const FIRST_ROLES: [Role; 2] = [Role::T3, Role::ResponderAdmin];

pub fn first_run(app: &App, from: &Visitor, input: &FirstRunInput) -> Result<Begun, Fault> {
    let now = crate::line::now().0;
    let attempt = app.accounts.limiter.attempt("first run", from.address, now)?;
    let wrong =
        || Fault::Conflict { text: "this link is no longer good; the service prints a new one".to_owned() };
    let shown = tokens::parse(&input.token).filter(|t| t.kind == Kind::Setup).ok_or_else(wrong)?;
    // Before the password is hashed: a stranger does not make the service work.
    if !app.store.read(|tx| people::is_first_run(tx, shown.digest.as_bytes(), now))? {
        return Err(wrong());
    }
    let name = Name::new(&input.name).map_err(|e| Fault::invalid("name", e.to_string()))?;
    let zone = super::people::zone(&input.zone)?;
    let hash = app.accounts.passwords.hash(name.as_str(), &input.password);
    let hash = hash.map_err(|e| Fault::invalid("password", e.to_string()))?;
    let roles = FIRST_ROLES.iter().map(|r| r.id().to_owned()).collect();
    let (person, token, login) = app.store.write(|tx| {
        let new = NewPerson {
            name: name.as_str(),
            display: &input.display,
            zone,
            roles: &roles,
            password_hash: Some(&hash),
            oidc: None,
        };
        let person = people::first(tx, shown.digest.as_bytes(), &new, now)?;
        let (token, login) = begin(app, tx, from, person.id, PASSWORD, now)?;
        Ok((person, token, login))
    })?;
    attempt.passed();
    Ok(Begun { token, who: who_of(app, &login, person, from.address) })
}

/// How long the link of the first run is good.
const FIRST_RUN_US: i64 = 24 * 3_600 * 1_000_000;

/// A link for the first person, while there is nobody.
pub(crate) fn offer_first_run(
    store: &portreeve_store::Store,
    now: i64,
) -> Result<Option<Token>, crate::service::StartError> {
    if !store.read(people::all)?.is_empty() {
        return Ok(None);
    }
    let token = Token::generate(Kind::Setup).map_err(|e| crate::service::StartError::Wrong(e.to_string()))?;
    let offered =
        store.write(|tx| people::offer_first_run(tx, token.digest().as_bytes(), now, now + FIRST_RUN_US));
    match offered {
        Ok(()) => Ok(Some(token)),
        // Somebody was quicker, on another node.
        Err(Error::NotNow(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Ends the login.
pub fn sign_out(app: &App, who: &Who) -> Result<(), Fault> {
    let Some(login) = &who.login else { return Err(Fault::SignIn) };
    app.store.write(|tx| {
        login::end(tx, &login.token_hash)?;
        let entry = NewEntry {
            at: crate::line::now().0,
            actor: who.name.clone(),
            verb: "session.end".to_owned(),
            object: who.actor.id.clone(),
            address: who.address.to_string(),
            outcome: Outcome::Done,
            detail: String::new(),
        };
        audit::append(tx, &entry)
    })?;
    Ok(())
}

/// As it stands in a list of logins: enough to tell two apart.
pub(crate) fn hint(login: &Login) -> String {
    hex(&login.token_hash)[..12].to_owned()
}
