//! Security keys and passkeys: as a second factor, and alone where the key asked for a PIN or a finger. Questions are
//! sealed and carried by the browser; each is good once, whatever the answer.

use super::own::{Recovery, confirmed, myself, renewed, with_factor};
use super::sign_in::{self, Begun, PASSKEY, Ticket, Visitor};
use super::{Doing, Fault, Stamp, Who, change, look};
use crate::app::App;
use portreeve_access::draw::{from_base64url, to_base64url};
use portreeve_access::keys::Key;
use portreeve_access::permit::{Object, Verb};
use portreeve_access::totp::RecoveryCodes;
use portreeve_access::webauthn::{Ceremony, Credential, CredentialId, Need, Refused, User, named_by};
use portreeve_store::idempotency::{self, Begun as Use};
use portreeve_store::people::{self, Change, Passkey, Person};
use portreeve_store::{Error, PersonId, hex, login};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// One of one's own.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct PasskeyView {
    /// base64url.
    pub id: String,
    pub name: String,
    pub created_at: Stamp,
    pub last_used: Option<Stamp>,
    /// It may exist on several devices.
    pub synced: bool,
}

impl From<Passkey> for PasskeyView {
    fn from(p: Passkey) -> PasskeyView {
        let synced = credential(&p).is_some_and(|c| c.backup_eligible);
        PasskeyView {
            id: to_base64url(&p.credential),
            name: p.name,
            created_at: Stamp(p.created_at),
            last_used: p.last_used.map(Stamp),
            synced,
        }
    }
}

fn credential(passkey: &Passkey) -> Option<Credential> {
    serde_json::from_str(&passkey.data).ok()
}

fn credentials(passkeys: &[Passkey]) -> Vec<Credential> {
    passkeys.iter().filter_map(credential).collect()
}

/// What a key keeps of a person: of no meaning elsewhere, and the same for all keys of theirs.
fn handle(app: &App, id: PersonId) -> [u8; 32] {
    app.accounts.seal.mac(&[b"webauthn handle v1", &id.0.to_be_bytes()])
}

pub fn list(app: &App, who: &Who) -> Result<Vec<PasskeyView>, Fault> {
    look(app, who, Verb::SelfManage, &who.actor.id, |tx| {
        who.may(Verb::SelfManage, &Object::Person { id: &who.actor.id })?;
        Ok(people::passkeys(tx, who.person()?)?.into_iter().map(PasskeyView::from).collect())
    })
}

/// A question for a key.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PasskeyOffer {
    /// To be sent back with the answer, within five minutes.
    pub ticket: String,
    /// For `PublicKeyCredential.parseCreationOptionsFromJSON()` or `parseRequestOptionsFromJSON()`.
    pub options: serde_json::Value,
}

/// A question as the browser carries it.
#[derive(Serialize, Deserialize)]
struct Question {
    ceremony: Ceremony,
    /// The first factor, where the key is the second.
    second: Option<Ticket>,
}

impl Question {
    fn seal(&self, key: &Key, owner: &str) -> Result<String, Fault> {
        let plain = serde_json::to_vec(self).map_err(|e| Fault::Inside(e.to_string()))?;
        let sealed = key.seal(owner, &plain).map_err(|e| Fault::Inside(e.to_string()))?;
        Ok(to_base64url(&sealed))
    }

    /// Opens it and uses it up, on all nodes.
    fn spend(app: &App, key: &Key, owner: &str, ticket: &str) -> Result<Question, Fault> {
        let stale = || Fault::invalid("ticket", "is too old, was used, or is not yours; begin again");
        let plain = from_base64url(ticket).and_then(|s| key.open(owner, &s).ok()).ok_or_else(stale)?;
        let question = serde_json::from_slice(&plain).map_err(|_| stale())?;
        let sum: [u8; 32] = Sha256::digest(&plain).into();
        let now = crate::line::now().0;
        let used = app
            .store
            .write(|tx| idempotency::begin(tx, "passkey", &hex(&sum), &sum, now, now + REMEMBERED_US))?;
        if used == Use::New { Ok(question) } else { Err(stale()) }
    }
}

/// Longer than a question is good.
const REMEMBERED_US: i64 = 3_600 * 1_000_000;
/// Keys of one person.
const MOST: usize = 20;

#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PasskeyOfferInput {
    /// Where the sign-in was more than ten minutes ago.
    pub password: String,
}

fn offer_owner(id: PersonId) -> String {
    format!("passkey offer person:{id}")
}

/// A key is to be added.
pub fn offer(app: &App, who: &Who, input: &PasskeyOfferInput) -> Result<PasskeyOffer, Fault> {
    let person = myself(app, who)?;
    let party = app.accounts.party()?;
    confirmed(app, who, &person, &input.password)?;
    let existing = credentials(&app.store.read(|tx| people::passkeys(tx, person.id))?);
    if existing.len() >= MOST {
        return Err(Fault::Conflict { text: format!("{MOST} passkeys are enough; remove one first") });
    }
    let handle = handle(app, person.id);
    let display = if person.display.is_empty() { &person.name } else { &person.display };
    let user = User { handle: &handle, name: &person.name, display };
    let (ceremony, options) =
        party.begin_registration(user, &existing, Need::Presence, crate::line::now().0)?;
    let ticket = Question { ceremony, second: None }.seal(&app.accounts.seal, &offer_owner(person.id))?;
    Ok(PasskeyOffer { ticket, options })
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PasskeyAddInput {
    pub ticket: String,
    /// What one calls it.
    pub name: String,
    /// `toJSON()` of what `navigator.credentials.create()` gave.
    pub answer: serde_json::Value,
}

/// The key, and codes for the day on which it is lost, where there were none.
#[derive(Clone, Serialize, JsonSchema)]
pub struct PasskeyMade {
    pub passkey: PasskeyView,
    #[serde(flatten)]
    pub recovery: Recovery,
}

fn named(name: &str) -> Result<&str, Fault> {
    match name.trim() {
        "" => Ok("passkey"),
        name if name.chars().count() > 100 => Err(Fault::invalid("name", "at most 100 characters")),
        name => Ok(name),
    }
}

fn because(refused: Refused) -> Fault {
    Fault::elsewhere(refused.to_string())
}

/// The key's answer. All logins end, and this one begins anew with the key among its factors.
pub fn add(
    app: &App,
    who: &Who,
    from: &Visitor,
    input: &PasskeyAddInput,
) -> Result<(Begun, PasskeyMade), Fault> {
    let person = myself(app, who)?;
    let party = app.accounts.party()?;
    let name = named(&input.name)?;
    let question = Question::spend(app, &app.accounts.seal, &offer_owner(person.id), &input.ticket)?;
    let now = crate::line::now().0;
    let made = party.finish_registration(&question.ceremony, &input.answer.to_string(), now);
    let made = made.map_err(because)?;
    let data = serde_json::to_string(&made).map_err(|e| Fault::Inside(e.to_string()))?;
    let codes = if person.recovery.is_empty() { Some(RecoveryCodes::generate()?) } else { None };
    let sums: Option<Vec<String>> =
        codes.as_ref().map(|c| c.digests.iter().map(|d| hex(d.as_bytes())).collect());
    let change = Change { recovery: sums.as_deref(), ..Change::default() };
    let factors = with_factor(who, PASSKEY);
    let begun = renewed(app, who, from, (&person, &factors, "passkey added"), &change, |tx| {
        people::add_passkey(tx, person.id, &made.id.0, name, &data, now)?;
        login::end_all(tx, person.id).map(|_| ())
    })?;
    let passkey = PasskeyView {
        id: to_base64url(&made.id.0),
        name: name.to_owned(),
        created_at: Stamp(now),
        last_used: None,
        synced: made.backup_eligible,
    };
    let texts = codes.map(|c| c.texts.iter().map(|t| t.to_string()).collect()).unwrap_or_default();
    let csrf = begun.who.login.as_ref().map(|l| sign_in::session_of(l).csrf(&app.accounts.csrf));
    Ok((begun, PasskeyMade { passkey, recovery: Recovery { recovery_codes: texts, csrf } }))
}

fn id_of(text: &str) -> Result<Vec<u8>, Fault> {
    from_base64url(text).ok_or_else(|| Fault::not_found("such passkey"))
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PasskeyNameInput {
    pub name: String,
}

pub fn rename(app: &App, who: &Who, id: &str, input: &PasskeyNameInput) -> Result<Vec<PasskeyView>, Fault> {
    let (person, name, id) = (myself(app, who)?, named(&input.name)?, id_of(id)?);
    let doing = Doing::new(Verb::SelfManage, &who.actor.id)
        .with(serde_json::json!({ "changed": "passkey named", "name": name }));
    change(app, who, &doing, |tx, _| {
        if !people::rename_passkey(tx, person.id, &id, name)? {
            return Err(Fault::not_found("such passkey").into());
        }
        Ok(people::passkeys(tx, person.id)?.into_iter().map(PasskeyView::from).collect())
    })
}

#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PasskeyRemoveInput {
    /// Where the sign-in was more than ten minutes ago.
    pub password: String,
}

/// Removes it; other logins end, since one of them may be of whoever has the key.
pub fn remove(app: &App, who: &Who, id: &str, input: &PasskeyRemoveInput) -> Result<Vec<PasskeyView>, Fault> {
    let (person, id) = (myself(app, who)?, id_of(id)?);
    confirmed(app, who, &person, &input.password)?;
    let doing = Doing::new(Verb::SelfManage, &who.actor.id)
        .with(serde_json::json!({ "changed": "passkey removed", "passkey": to_base64url(&id) }));
    change(app, who, &doing, |tx, by| {
        if !people::remove_passkey(tx, person.id, &id)? {
            return Err(Fault::not_found("such passkey").into());
        }
        let left = people::passkeys(tx, person.id)?;
        if left.is_empty() && person.totp.is_none() && app.accounts.second_factor {
            let text = "this is the only second factor; add another one first".to_owned();
            return Err(Fault::Conflict { text }.into());
        }
        let mine = who.login.as_ref().map(|l| l.token_hash);
        for other in login::of_person(tx, person.id, by.at)? {
            if Some(other.token_hash) != mine {
                login::end(tx, &other.token_hash)?;
            }
        }
        Ok(left.into_iter().map(PasskeyView::from).collect())
    })
}

#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PasskeyAskInput {
    /// After the password (the cookie of that step is sent along); otherwise the key alone says who it is.
    pub second: bool,
}

const SIGN_IN: &str = "passkey sign-in v1";

/// A key is asked who it is.
pub fn ask(app: &App, cookie: Option<&str>, input: &PasskeyAskInput) -> Result<PasskeyOffer, Fault> {
    let party = app.accounts.party()?;
    let now = crate::line::now().0;
    let (second, known, need) = if input.second {
        let (ticket, person) = Ticket::open(app, cookie)?;
        let keys = credentials(&app.store.read(|tx| people::passkeys(tx, person.id))?);
        if keys.is_empty() {
            return Err(Fault::not_found("passkey of this account"));
        }
        (Some(ticket), keys, Need::Presence)
    } else {
        (None, Vec::new(), Need::Verification)
    };
    let (ceremony, options) = party.begin_assertion(&known, need, now)?;
    let ticket = Question { ceremony, second }.seal(&app.accounts.sign_in, SIGN_IN)?;
    Ok(PasskeyOffer { ticket, options })
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PasskeyInput {
    pub ticket: String,
    /// `toJSON()` of what `navigator.credentials.get()` gave.
    pub answer: serde_json::Value,
}

/// The key's answer: in, where it is true.
pub fn answer(app: &App, from: &Visitor, input: &PasskeyInput) -> Result<Begun, Fault> {
    let now = crate::line::now().0;
    let text = input.answer.to_string();
    let (_, named) = named_by(&text).map_err(because)?;
    // Counted by the key, whether there is one or not; behind a password by its account.
    let count = format!("passkey {}", hex(&Sha256::digest(&named.0)));
    let attempt = app.accounts.limiter.attempt(&count, from.address, now)?;
    let question = Question::spend(app, &app.accounts.sign_in, SIGN_IN, &input.ticket)?;
    let person = match &question.second {
        Some(ticket) => Some(ticket.holds(app, now)?),
        None => by_key(app, &named)?,
    };
    let Some(person) = person else {
        sign_in::refused(app, from, "", "passkey");
        return Err(because(Refused::Unknown));
    };
    let second_attempt = match &question.second {
        Some(_) => Some(app.accounts.limiter.attempt(&sign_in::second_count(&person), from.address, now)?),
        None => None,
    };
    if question.second.is_none() {
        // The provider decides about its own; a key here must not outlive an account there.
        if person.oidc.is_some() || !sign_in::may_come_in_here(app, &person) {
            sign_in::refused(app, from, &person.name, "way in");
            return Err(Fault::elsewhere(
                "sign in at the provider; the passkey is the second factor of this account",
            ));
        }
    }
    let factors = match &question.second {
        Some(ticket) => format!("{} {PASSKEY}", ticket.first),
        None => PASSKEY.to_owned(),
    };
    let entered = enter_by_key(app, from, &person, &factors, &question.ceremony, &named, &text);
    match &entered {
        Ok(_) => {
            attempt.passed();
            if let Some(attempt) = second_attempt {
                attempt.passed();
            }
        }
        Err(Fault::Elsewhere { why }) => {
            sign_in::refused(app, from, &person.name, &format!("passkey: {why}"));
        }
        Err(_) => {}
    }
    entered
}

/// Whose key it says it is.
fn by_key(app: &App, named: &CredentialId) -> Result<Option<Person>, Fault> {
    Ok(app.store.read(|tx| {
        let Some(key) = people::passkey(tx, &named.0)? else { return Ok(None) };
        Ok(Some(people::get(tx, key.person)?).filter(|p| p.disabled_at.is_none()))
    })?)
}

fn enter_by_key(
    app: &App,
    from: &Visitor,
    person: &Person,
    factors: &str,
    ceremony: &Ceremony,
    named: &CredentialId,
    answer: &str,
) -> Result<Begun, Fault> {
    let party = app.accounts.party()?;
    sign_in::enter(app, from, person, factors, |tx, at| {
        // Within the change: of two uses at one moment the counter lets one pass.
        let keys = people::passkeys(tx, person.id)?;
        let held = credentials(&keys);
        let handle = handle(app, person.id);
        let shown = party.finish_assertion(ceremony, &handle, &held, answer, at).map_err(because)?;
        let mut used = held.into_iter().find(|c| c.id == *named).ok_or_else(|| because(Refused::Unknown))?;
        used.counter = shown.counter;
        let data = serde_json::to_string(&used).map_err(|e| Error::Caller(Box::new(e)))?;
        people::used_passkey(tx, &named.0, &data, at)
    })
}
