//! One's own account: password, second factor, logins. Changing what one gets in with ends all logins and begins a new
//! one.

use super::passkeys::PasskeyView;
use super::sign_in::{self, Begun, TOTP, Visitor, initial_key, session_of};
use super::{Fault, First, Stamp, Who, look};
use crate::app::App;
use portreeve_access::draw::{from_base64url, to_base64url};
use portreeve_access::password::Check;
use portreeve_access::permit::{By, Object, RULES, Verb};
use portreeve_access::totp::{RecoveryCodes, TotpSecret};
use portreeve_store::audit::{self, Outcome};
use portreeve_store::people::{self, Change, Person};
use portreeve_store::{WriteTx, hex, login, setting};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who is signed in, and what a page needs of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct SessionView {
    /// `person:7` or `token:3`.
    pub id: String,
    pub name: String,
    pub display: String,
    pub zone: String,
    pub roles: Vec<String>,
    pub second_factor: bool,
    /// `enrol` or `change-password`: what has to be done before anything else.
    pub first: Option<String>,
    /// For X-CSRF-Token; null for tokens, which need none.
    pub csrf: Option<String>,
    /// What the roles allow at all; single cases may refuse it.
    pub may: Vec<String>,
    pub ends_at: Option<Stamp>,
}

pub fn session(app: &App, who: &Who) -> Result<SessionView, Fault> {
    let person = match who.person {
        Some(id) => Some(app.store.read(|tx| people::get(tx, id))?),
        None => None,
    };
    Ok(SessionView {
        id: who.actor.id.clone(),
        name: person.as_ref().map_or_else(|| who.name.clone(), |p| p.name.clone()),
        display: person.as_ref().map(|p| p.display.clone()).unwrap_or_default(),
        zone: person.map_or_else(|| "UTC".to_owned(), |p| p.zone),
        roles: who.actor.roles.iter().map(|r| r.id().to_owned()).collect(),
        second_factor: matches!(who.actor.by, By::Session { second_factor: true }),
        first: who.first.map(|f| match f {
            First::Enrol => "enrol".to_owned(),
            First::ChangePassword => "change-password".to_owned(),
        }),
        csrf: who.login.as_ref().map(|l| session_of(l).csrf(&app.accounts.csrf)),
        may: may(who),
        ends_at: who.login.as_ref().map(|l| Stamp(l.expires_at)),
    })
}

/// Ids of the verbs that the roles allow at all.
pub(crate) fn may(who: &Who) -> Vec<String> {
    let scope = match &who.actor.by {
        By::Token { scope, .. } => Some(*scope),
        By::Session { .. } => None,
    };
    let may = Verb::ALL.iter().filter(|v| {
        scope.is_none_or(|s| s.has(**v))
            && RULES.iter().any(|r| r.verb == **v && who.actor.roles.has_any(r.roles))
    });
    may.map(|v| v.id().to_owned()).collect()
}

pub(crate) fn myself(app: &App, who: &Who) -> Result<Person, Fault> {
    who.may(Verb::SelfManage, &Object::Person { id: &who.actor.id })?;
    let id = who.person()?;
    Ok(app.store.read(|tx| people::get(tx, id))?)
}

/// Asks for the password again, and counts who guesses.
fn again(app: &App, who: &Who, person: &Person, password: &str) -> Result<(), Fault> {
    let attempt = app.accounts.limiter.attempt(&person.name, who.address, crate::line::now().0)?;
    match app.accounts.passwords.check(person.password_hash.as_deref(), password) {
        Check::Right { .. } => {
            attempt.passed();
            Ok(())
        }
        Check::Wrong => Err(Fault::WrongSecret),
    }
}

/// That it is really them, before what they get in with changes: they came in just now, or type their password.
pub(crate) fn confirmed(app: &App, who: &Who, person: &Person, password: &str) -> Result<(), Fault> {
    let age = who.login.as_ref().map(|l| crate::line::now().0 - l.created_at);
    if sign_in::has_second(app, person)? && !matches!(who.actor.by, By::Session { second_factor: true }) {
        return Err(Fault::SecondFactor);
    }
    if age.is_some_and(|age| (0..FRESH_US).contains(&age)) {
        return Ok(());
    }
    if person.password_hash.is_none() {
        return Err(Fault::elsewhere("sign in again first: this is changed within ten minutes of it"));
    }
    again(app, who, person, password)
}

/// So long a sign-in stands for the password.
const FRESH_US: i64 = 600 * 1_000_000;

/// Changes the person, and begins a login in place of all that end with it.
pub(crate) fn renewed(
    app: &App,
    who: &Who,
    from: &Visitor,
    (person, factors, what): (&Person, &str, &str),
    change: &Change<'_>,
    mut also: impl FnMut(&mut WriteTx<'_>) -> Result<(), portreeve_store::Error>,
) -> Result<Begun, Fault> {
    let at = crate::line::now().0;
    let detail = serde_json::json!({ "changed": what });
    let token = app.store.write(|tx| {
        people::change(tx, person.id, person.revision, change, at)?;
        also(tx)?;
        audit::append(tx, &who.entry(Verb::SelfManage, &who.actor.id, Outcome::Done, &detail))?;
        Ok(sign_in::begin(app, tx, from, person.id, factors, at)?.0)
    })?;
    let who = sign_in::by_cookie(app, &token, who.address)?.ok_or(Fault::SignIn)?;
    Ok(Begun { token, who })
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordInput {
    pub password: String,
    pub new: String,
}

pub fn change_password(app: &App, who: &Who, from: &Visitor, input: &PasswordInput) -> Result<Begun, Fault> {
    let person = myself(app, who)?;
    again(app, who, &person, &input.password)?;
    if input.new == input.password {
        return Err(Fault::invalid("new", "is the password as it was"));
    }
    let hash = app.accounts.passwords.hash(&person.name, &input.new);
    let hash = hash.map_err(|e| Fault::invalid("new", e.to_string()))?;
    let factors = factors(who);
    let change = Change { password_hash: Some(Some(&hash)), ..Change::default() };
    renewed(app, who, from, (&person, &factors, "password"), &change, |tx| {
        setting::remove(tx, &initial_key(person.id)).map(|_| ())
    })
}

/// Those of the login, with another that was shown just now.
pub(crate) fn with_factor(who: &Who, factor: &str) -> String {
    let words = who.login.iter().flat_map(|l| l.factors.split(' ')).filter(|f| *f != factor);
    let words = words.filter(|f| *f != sign_in::INITIAL).chain([factor]);
    words.collect::<Vec<_>>().join(" ")
}

/// Those of the login, without the mark of an initial password.
fn factors(who: &Who) -> String {
    let words = who.login.iter().flat_map(|l| l.factors.split(' ')).filter(|f| *f != sign_in::INITIAL);
    words.collect::<Vec<_>>().join(" ")
}

/// A second factor that is offered, and counts once its first code was right.
#[derive(Clone, Serialize, JsonSchema)]
pub struct TotpOffer {
    /// For who types it by hand.
    pub secret: String,
    /// For a QR code.
    pub uri: String,
    /// To be sent back with the first code, within ten minutes.
    pub ticket: String,
}

const OFFER_US: i64 = 600 * 1_000_000;

pub fn offer_totp(app: &App, who: &Who) -> Result<TotpOffer, Fault> {
    let person = myself(app, who)?;
    let secret = TotpSecret::generate()?;
    let plain = [crate::line::now().0.to_be_bytes().as_slice(), secret.as_bytes()].concat();
    let sealed = app.accounts.seal.seal(&format!("offer person:{}", person.id), &plain);
    let sealed = sealed.map_err(|e| Fault::Inside(e.to_string()))?;
    Ok(offer(&person, &secret, to_base64url(&sealed)))
}

fn offer(person: &Person, secret: &TotpSecret, ticket: String) -> TotpOffer {
    TotpOffer {
        secret: secret.to_base32().to_string(),
        uri: secret.uri("Portreeve", &person.name).to_string(),
        ticket,
    }
}

/// What was offered with a ticket that is still good: the app of somebody who mistyped the code has its secret already.
pub(crate) fn offered_totp(app: &App, who: &Who, ticket: &str) -> Result<TotpOffer, Fault> {
    let person = myself(app, who)?;
    let secret = opened(app, &person, ticket)?;
    Ok(offer(&person, &secret, ticket.to_owned()))
}

fn opened(app: &App, person: &Person, ticket: &str) -> Result<TotpSecret, Fault> {
    let stale = || Fault::invalid("ticket", "is too old or not yours; begin again");
    let sealed = from_base64url(ticket).ok_or_else(stale)?;
    let plain =
        app.accounts.seal.open(&format!("offer person:{}", person.id), &sealed).map_err(|_| stale())?;
    let (at, secret) = plain.split_at_checked(8).ok_or_else(stale)?;
    let at = i64::from_be_bytes(at.try_into().map_err(|_| stale())?);
    let now = crate::line::now().0;
    if now - at > OFFER_US || now < at - 60_000_000 {
        return Err(stale());
    }
    TotpSecret::from_slice(secret).ok_or_else(stale)
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmInput {
    pub ticket: String,
    pub code: String,
    /// Where there is a second factor already.
    #[serde(default)]
    pub password: String,
}

/// Shown once.
#[derive(Clone, Serialize, JsonSchema)]
pub struct Recovery {
    /// Each is good once, in place of a code.
    pub recovery_codes: Vec<String>,
    /// Of the login that begins with it.
    pub csrf: Option<String>,
}

pub fn confirm_totp(
    app: &App,
    who: &Who,
    from: &Visitor,
    input: &ConfirmInput,
) -> Result<(Begun, Recovery), Fault> {
    let person = myself(app, who)?;
    let now = crate::line::now().0;
    if sign_in::has_second(app, &person)? {
        if !matches!(who.actor.by, By::Session { second_factor: true }) {
            return Err(Fault::SecondFactor);
        }
        match person.password_hash {
            Some(_) => again(app, who, &person, &input.password)?,
            None => confirmed(app, who, &person, "")?,
        }
    }
    let secret = opened(app, &person, &input.ticket)?;
    let attempt =
        app.accounts.limiter.attempt(&format!("{} second factor", person.name), who.address, now)?;
    let step = secret.check(&input.code, now, None).map_err(|e| Fault::invalid("code", e.to_string()))?;
    attempt.passed();
    let kept = app.accounts.seal.seal(&format!("person:{}", person.id), secret.as_bytes());
    let kept = kept.map_err(|e| Fault::Inside(e.to_string()))?;
    let codes = RecoveryCodes::generate()?;
    let sums: Vec<String> = codes.digests.iter().map(|d| hex(d.as_bytes())).collect();
    let change = Change { totp: Some(Some(&kept)), recovery: Some(&sums), ..Change::default() };
    let factors = with_factor(who, TOTP);
    let begun = renewed(app, who, from, (&person, &factors, "second factor"), &change, |tx| {
        // The code that confirmed it is used up.
        people::use_totp_step(tx, person.id, step).map(|_| ())
    })?;
    let recovery = Recovery {
        recovery_codes: codes.texts.iter().map(|t| t.to_string()).collect(),
        csrf: begun.who.login.as_ref().map(|l| session_of(l).csrf(&app.accounts.csrf)),
    };
    Ok((begun, recovery))
}

/// One's own account.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct AccountView {
    pub name: String,
    pub zone: String,
    /// False for accounts of an identity provider.
    pub has_password: bool,
    pub totp: bool,
    /// That are left.
    pub recovery_codes: usize,
    pub passkeys: Vec<PasskeyView>,
}

pub fn account(app: &App, who: &Who) -> Result<AccountView, Fault> {
    let person = myself(app, who)?;
    let passkeys = app.store.read(|tx| people::passkeys(tx, person.id))?;
    Ok(AccountView {
        name: person.name,
        zone: person.zone,
        has_password: person.password_hash.is_some(),
        totp: person.totp.is_some(),
        recovery_codes: person.recovery.len(),
        passkeys: passkeys.into_iter().map(PasskeyView::from).collect(),
    })
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ZoneInput {
    /// Of the IANA database; UTC where nothing is said.
    #[serde(default)]
    pub zone: String,
}

pub fn set_zone(app: &App, who: &Who, input: &ZoneInput) -> Result<AccountView, Fault> {
    let zone = super::people::zone(&input.zone)?;
    let detail = serde_json::json!({ "zone": zone });
    super::change(app, who, &super::Doing::new(Verb::SelfManage, &who.actor.id).with(detail), |tx, by| {
        who.may(Verb::SelfManage, &Object::Person { id: &who.actor.id })?;
        let person = people::get(tx, who.person()?)?;
        let change = Change { zone: Some(zone), ..Change::default() };
        people::change(tx, person.id, person.revision, &change, by.at).map(|_| ())
    })?;
    account(app, who)
}

/// One of one's logins.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct LoginView {
    /// Enough to tell two apart.
    pub hint: String,
    pub is_this: bool,
    pub since: Stamp,
    pub last_used: Stamp,
    pub address: String,
    pub agent: String,
    pub factors: String,
}

pub fn logins(app: &App, who: &Who) -> Result<Vec<LoginView>, Fault> {
    look(app, who, Verb::SelfManage, &who.actor.id, |tx| {
        who.may(Verb::SelfManage, &Object::Person { id: &who.actor.id })?;
        let all = login::of_person(tx, who.person()?, crate::line::now().0)?;
        Ok(all
            .into_iter()
            .map(|l| LoginView {
                hint: sign_in::hint(&l),
                is_this: who.login.as_ref().is_some_and(|mine| mine.token_hash == l.token_hash),
                since: Stamp(l.created_at),
                last_used: Stamp(l.last_used),
                address: l.address,
                agent: l.agent,
                factors: l.factors,
            })
            .collect())
    })
}

/// Ends all logins but this one.
pub fn end_others(app: &App, who: &Who) -> Result<(), Fault> {
    let doing =
        super::Doing::new(Verb::SelfManage, &who.actor.id).with(serde_json::json!({ "ended": "others" }));
    super::change(app, who, &doing, |tx, by| {
        who.may(Verb::SelfManage, &Object::Person { id: &who.actor.id })?;
        let mine = who.login.as_ref().map(|l| l.token_hash);
        for login in login::of_person(tx, who.person()?, by.at)? {
            if Some(login.token_hash) != mine {
                login::end(tx, &login.token_hash)?;
            }
        }
        Ok(())
    })
}

/// Ends one of one's logins.
pub fn end_login(app: &App, who: &Who, hint: &str) -> Result<(), Fault> {
    let detail = serde_json::json!({ "ended": hint });
    super::change(app, who, &super::Doing::new(Verb::SelfManage, &who.actor.id).with(detail), |tx, by| {
        who.may(Verb::SelfManage, &Object::Person { id: &who.actor.id })?;
        let all = login::of_person(tx, who.person()?, by.at)?;
        let found = all.iter().find(|l| sign_in::hint(l) == hint);
        let found = found.ok_or_else(|| portreeve_store::Error::from(Fault::not_found("such login")))?;
        login::end(tx, &found.token_hash).map(|_| ())
    })
}
