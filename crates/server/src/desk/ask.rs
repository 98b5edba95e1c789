//! "Was this you?": a link for the person concerned, good once and for a while, and what comes back.
//!
//! An answer is evidence and no more: it closes nothing and clears nothing, because whoever holds the link may be the
//! intruder. A "no" puts the case up, because an intruder has no use for it.

use super::cases::{guarded, look_at};
use super::sign_in::Visitor;
use super::{Doing, Fault, Stamp, Who, change};
use crate::app::App;
use crate::benign::documents;
use crate::hub::News;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use portreeve_access::ask::{self as link, Opened, Question};
use portreeve_access::permit::Verb;
use portreeve_model::Ip;
use portreeve_report::wire;
use portreeve_store::ask::{self, Answer, Answered, Ask, NewAsk};
use portreeve_store::audit::{NewEntry, Outcome};
use portreeve_store::case::{self, By, work};
use portreeve_store::{AskId, CaseId, Error, Tx, Word, suppression};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// All links ask the same.
const QUESTION: &str = "was_this_you";
const HOUR_US: i64 = 3_600_000_000;
/// How long a link is good where nothing is said, and at most; hours.
const USUAL_H: u32 = 72;
const LONGEST_H: u32 = 336;
/// Links of one case that are out at one time.
const MOST_OPEN: i64 = 10;
const LONGEST_TEXT: usize = 1_000;
/// After a "no" the case is to be contained within this.
const CONTAIN_WITHIN_US: i64 = HOUR_US;
/// What a log says of a device is shown to somebody outside: no room for a letter of the intruder's.
const LONGEST_NAME: usize = 48;

#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AskInput {
    /// The session that is asked about, as the case calls it (`s1`); the first suspect one where nothing is said.
    pub session: Option<String>,
    /// Who is asked; the account of the session where nothing is said.
    pub person: Option<String>,
    /// Zone of the person asked, of the IANA database; UTC where nothing is said and `engine.zone` is not set.
    pub zone: Option<String>,
    /// What stands above the question: who asks, and where to call.
    pub text: Option<String>,
    /// The link is good for so many hours, 1 to 336; 72 where nothing is said.
    pub hours: Option<u32>,
    /// Name of the webhook that takes the link to the person.
    pub deliver: Option<String>,
}

/// A question, and what became of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct AskView {
    pub id: i64,
    pub case: i64,
    pub person: String,
    pub question: String,
    pub asked_by: String,
    pub created_at: Stamp,
    pub expires_at: Stamp,
    /// `open`, `answered`, `expired` or `revoked`.
    pub state: String,
    /// `yes`, `no` or `unsure`.
    pub answer: Option<String>,
    /// Text of whoever answered, to be encoded wherever it is shown.
    pub remark: Option<String>,
    pub answered_at: Option<Stamp>,
    pub device: Option<String>,
    pub agent: Option<String>,
    pub address: Option<String>,
    /// How far the answer may be trusted.
    pub strength: Option<String>,
    pub confirmed_at: Option<Stamp>,
    pub confirmed_by: Option<String>,
    pub confirmed_how: Option<String>,
}

impl AskView {
    pub(crate) fn of(ask: Ask, now: i64) -> AskView {
        let state = match (&ask.answered, ask.revoked_at) {
            (Some(_), _) => "answered",
            (None, Some(_)) => "revoked",
            (None, None) if ask.expires_at <= now => "expired",
            (None, None) => "open",
        };
        let a = ask.answered.as_ref();
        let text = |of: fn(&Answered) -> &String| a.map(|a| of(a).clone());
        let confirmed = a.and_then(|a| a.confirmed.as_ref());
        AskView {
            id: ask.id.0,
            case: ask.case.0,
            state: state.to_owned(),
            answer: a.map(|a| a.answer.word().to_owned()),
            remark: text(|a| &a.remark),
            answered_at: a.map(|a| Stamp(a.at)),
            device: text(|a| &a.device),
            agent: text(|a| &a.agent),
            address: text(|a| &a.address),
            strength: text(|a| &a.strength),
            confirmed_at: confirmed.map(|c| Stamp(c.at)),
            confirmed_by: confirmed.map(|c| c.by.clone()),
            confirmed_how: confirmed.map(|c| c.how.clone()),
            person: ask.person,
            question: ask.question,
            asked_by: ask.asked_by,
            created_at: Stamp(ask.created_at),
            expires_at: Stamp(ask.expires_at),
        }
    }
}

/// A question that was just made. The link is shown once.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct AskMade {
    pub ask: AskView,
    pub link: String,
}

/// A name out of a log, short enough that it is a name.
fn short(name: &str) -> String {
    let mut text: String = name.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
    if name.chars().count() > LONGEST_NAME {
        text.push('…');
    }
    text
}

/// What is asked, with nothing in it that only the inside knows: no gateway, no case, no suspicion.
fn sentence(session: &wire::Session, zone: &str) -> String {
    let mut parts = Vec::new();
    if let Ok(at) = session.start.parse::<Timestamp>() {
        let (there, name) = match TimeZone::get(zone) {
            Ok(tz) if !zone.is_empty() && zone != "UTC" => (at.to_zoned(tz), zone),
            _ => (at.to_zoned(TimeZone::UTC), "UTC"),
        };
        let mut when = format!("{} ({name})", there.strftime("%A, %-d %B %Y, %H:%M"));
        if name != "UTC" {
            when.push_str(&format!(", {} UTC", at.strftime("%H:%M")));
        }
        parts.push(when);
    }
    let place: Vec<String> = [&session.place.city, &session.place.country]
        .into_iter()
        .filter(|p| !p.is_empty())
        .map(|p| short(p))
        .collect();
    parts.push(match place.is_empty() {
        true => "from a place that is not known".to_owned(),
        false => format!("roughly from {}", place.join(", ")),
    });
    let device = if session.device.is_empty() { &session.client } else { &session.device };
    if !device.is_empty() {
        parts.push(format!("with “{}”", short(device)));
    }
    let service = if session.service.is_empty() { "remote access" } else { &session.service };
    format!(
        "A sign-in to {} as {}: {}. Was this you?",
        service.replace('_', " "),
        short(&session.principal),
        parts.join("; ")
    )
}

fn link_to(app: &App, token: &str) -> Result<String, Fault> {
    let Some(public) = &app.config.web.public_url else {
        return Err(Fault::Conflict {
            text: "set web.public_url first: without it nobody outside could follow the link".to_owned(),
        });
    };
    Ok(format!("{}/ask/{token}", public.trim_end_matches('/')))
}

/// Makes a link. Who makes it takes it to the person by a way that the intruder does not read.
pub fn create(app: &App, who: &Who, number: i64, input: &AskInput) -> Result<AskMade, Fault> {
    let some =
        |text: &Option<String>| text.as_deref().map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned);
    let hours = input.hours.unwrap_or(USUAL_H);
    if !(1..=LONGEST_H).contains(&hours) {
        return Err(Fault::invalid("hours", format!("1 to {LONGEST_H}")));
    }
    let zone =
        some(&input.zone).or_else(|| app.config.engine.zone.clone()).unwrap_or_else(|| "UTC".to_owned());
    if TimeZone::get(&zone).is_err() {
        return Err(Fault::invalid("zone", "is no zone; write Europe/Berlin or UTC"));
    }
    let text = some(&input.text).unwrap_or_default();
    if text.len() > LONGEST_TEXT {
        return Err(Fault::invalid("text", format!("at most {LONGEST_TEXT} bytes")));
    }
    let object = format!("case:{number}");
    let doing = Doing::new(Verb::AskCreate, &object)
        .with(
            serde_json::json!({ "person": input.person, "session": input.session, "deliver": input.deliver }),
        )
        .secret();
    let made = change(app, who, &doing, |tx, by| {
        let case = guarded(tx, who, Verb::AskCreate, CaseId(number))?;
        link_to(app, "")?;
        if ask::open(tx, case.id, by.at)? >= MOST_OPEN {
            return Err(Error::NotNow(format!(
                "{MOST_OPEN} questions of case {number} are open; take one back"
            )));
        }
        let cases = documents(tx, case.id)?.map_err(Fault::Inside)?;
        let wanted = some(&input.session);
        let session = cases.iter().flat_map(|c| c.sessions.iter()).find(|s| match &wanted {
            Some(id) => s.id == *id,
            None => s.suspect,
        });
        let session = session.ok_or_else(|| Fault::invalid("session", "the case has none such"))?;
        let person = some(&input.person).unwrap_or_else(|| session.principal.clone());
        if person.is_empty() || person.len() > 200 {
            return Err(Fault::invalid("person", "1 to 200 bytes").into());
        }
        let question = match text.is_empty() {
            true => sentence(session, &zone),
            false => format!("{text}\n{}", sentence(session, &zone)),
        };
        let expires_at = by.at + i64::from(hours) * HOUR_US;
        let asked =
            Question { case: u64::try_from(number).unwrap_or_default(), person: &person, question: QUESTION };
        let link = link::make(&app.accounts.ask, asked, expires_at).map_err(Fault::from)?;
        let new = NewAsk {
            token_hash: link.digest.as_bytes(),
            case: case.id,
            person: &person,
            question: &question,
            expires_at,
        };
        let ask = ask::create(tx, &new, by)?;
        let to = link_to(app, &link.token)?;
        if let Some(name) = some(&input.deliver) {
            app.hooks.ask(tx, (&name, &case), (&person, &question, &to), (ask.id.0, by.actor, by.at))?;
        }
        Ok(AskMade { ask: AskView::of(ask, by.at), link: to })
    })?;
    app.hub.tell(News::Case { number, is_new: false });
    Ok(made)
}

pub fn list(app: &App, who: &Who, number: i64) -> Result<Vec<AskView>, Fault> {
    let now = crate::line::now().0;
    look_at(app, who, number, |tx, case| {
        Ok(ask::of_case(tx, case.id)?.into_iter().map(|a| AskView::of(a, now)).collect())
    })
}

/// The question, if it is of this case.
fn of_case(tx: &mut Tx<'_>, case: CaseId, id: i64) -> Result<AskId, Error> {
    let found = ask::get(tx, AskId(id))?;
    if found.case == case { Ok(found.id) } else { Err(Error::not_found("question", id)) }
}

/// Takes a link back that nobody has answered.
pub fn revoke(app: &App, who: &Who, (number, id): (i64, i64)) -> Result<AskView, Fault> {
    let object = format!("case:{number}");
    let doing = Doing::new(Verb::CaseAnswer, &object).with(serde_json::json!({ "ask": id, "revoked": true }));
    let done = change(app, who, &doing, |tx, by| {
        let case = guarded(tx, who, Verb::CaseAnswer, CaseId(number))?;
        let id = of_case(tx, case.id, id)?;
        Ok(AskView::of(ask::revoke(tx, id, by)?, by.at))
    })?;
    app.hub.tell(News::Case { number, is_new: false });
    Ok(done)
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmInput {
    /// By which way the person was reached and recognised: a call to the number of the staff directory.
    pub how: String,
}

/// Somebody heard the same answer by another way.
pub fn confirm(
    app: &App,
    who: &Who,
    (number, id): (i64, i64),
    input: &ConfirmInput,
) -> Result<AskView, Fault> {
    let object = format!("case:{number}");
    let doing =
        Doing::new(Verb::CaseAnswer, &object).with(serde_json::json!({ "ask": id, "how": input.how }));
    let done = change(app, who, &doing, |tx, by| {
        let case = guarded(tx, who, Verb::CaseAnswer, CaseId(number))?;
        let id = of_case(tx, case.id, id)?;
        Ok(AskView::of(ask::confirm(tx, id, &input.how, by)?, by.at))
    })?;
    app.hub.tell(News::Case { number, is_new: false });
    Ok(done)
}

/// What stands on the page behind a link.
pub struct Asked {
    pub question: String,
}

/// Used, taken back, run out, or never made: all the same to whoever opens it.
fn gone() -> Fault {
    Fault::not_found("question behind this link, or not any more; whoever sent it can send a new one")
}

/// The question of a link that can still be answered. Guesses are counted.
fn opened(app: &App, from: &Visitor, token: &str) -> Result<(Ask, [u8; 32]), Fault> {
    let now = crate::line::now().0;
    let attempt = app.accounts.links.attempt("ask", from.address, now)?;
    let opened = Opened::parse(token).map_err(|_| gone())?;
    let hash = *opened.digest().as_bytes();
    let found = app.store.read(|tx| ask::by_token(tx, &hash))?.ok_or_else(gone)?;
    let question = Question {
        case: u64::try_from(found.case.0).unwrap_or_default(),
        person: &found.person,
        question: QUESTION,
    };
    opened.verify(std::slice::from_ref(&app.accounts.ask), question, now).map_err(|_| gone())?;
    attempt.passed();
    if found.answered.is_some() || found.revoked_at.is_some() || found.expires_at <= now {
        return Err(gone());
    }
    Ok((found, hash))
}

/// Looking at a link uses nothing up: scanners of mails open it before the person does.
pub fn show(app: &App, from: &Visitor, token: &str) -> Result<Asked, Fault> {
    opened(app, from, token).map(|(ask, _)| Asked { question: ask.question })
}

#[derive(Clone, Debug)]
pub struct AnswerInput {
    /// `yes`, `no` or `unsure`.
    pub answer: String,
    pub remark: String,
}

/// Addresses that a network has in common with one: a household, an office.
fn is_near(a: &str, b: &str) -> bool {
    let (a, b) = (Ip::parse(a.as_bytes()), Ip::parse(b.as_bytes()));
    a.is_some() && b.is_some() && a.prefix() == b.prefix()
}

fn strength(answer: Answer, from: &str, cases: &[wire::Case]) -> String {
    let suspect = cases.iter().flat_map(|c| {
        let sessions = c.sessions.iter().filter(|s| s.suspect).flat_map(|s| s.public_ips.iter());
        sessions.chain(&c.source_ips)
    });
    let near = suspect.map(String::as_str).any(|ip| is_near(ip, from));
    match (answer, near) {
        (Answer::Yes, true) => {
            "none: it came from the network that was asked about, so whoever was there may have answered"
        }
        (Answer::Yes, false) => "weak: who holds the link may be the intruder",
        (Answer::No, _) => "to be acted on: an intruder has no use for a no",
        (Answer::Unsure, _) => "none: it says nothing either way",
    }
    .to_owned()
}

/// What they answered with, roughly, for the eye; the browser's own words are kept beside it.
fn device_of(agent: &str) -> String {
    let find =
        |known: &[(&str, &'static str)]| known.iter().find(|(mark, _)| agent.contains(mark)).map(|k| k.1);
    let system = find(&[
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("CrOS", "ChromeOS"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ]);
    let browser = find(&[
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ]);
    match (system, browser) {
        (None, None) => "not known".to_owned(),
        (system, browser) => [system, browser].into_iter().flatten().collect::<Vec<_>>().join(", "),
    }
}

/// Takes the answer; the link is used up.
pub fn answer(app: &App, from: &Visitor, token: &str, input: &AnswerInput) -> Result<(), Fault> {
    let answer: Answer = input.answer.parse()?;
    if input.remark.len() > 4 * LONGEST_TEXT {
        return Err(Fault::invalid("remark", format!("at most {} bytes", 4 * LONGEST_TEXT)));
    }
    let (found, hash) = opened(app, from, token)?;
    let at = crate::line::now().0;
    let address = from.address.to_string();
    let agent: String = from.agent.chars().take(500).collect();
    let actor = format!("asked {}", found.person);
    let number = app.store.write(|tx| {
        let mut id = found.case;
        // Where the case was merged, the answer belongs to the one that goes on.
        while let Some(above) = case::get(tx, id)?.merged_into {
            id = above;
        }
        let cases = documents(tx, id)?.unwrap_or_default();
        let answered = Answered {
            at,
            answer,
            remark: input.remark.clone(),
            device: device_of(&agent),
            agent: agent.clone(),
            address: address.clone(),
            strength: strength(answer, &address, &cases),
            confirmed: None,
        };
        let done = ask::answer(tx, &hash, &answered).map_err(|e| match e {
            // Somebody was quicker.
            Error::NotNow(_) => gone().into(),
            other => other,
        })?;
        let by = By { actor: &actor, at };
        let why = format!("question {} was answered {answer}", done.id);
        if answer == Answer::No {
            suppression::bring_back(tx, id, &why, by)?;
            work::come_up(tx, id, &why, at + CONTAIN_WITHIN_US, by)?;
        } else {
            work::waits_no_more(tx, id, &why, by)?;
        }
        let entry = NewEntry {
            at,
            actor: actor.clone(),
            verb: "ask.answer".to_owned(),
            object: format!("case:{id}"),
            address: address.clone(),
            outcome: Outcome::Done,
            detail: serde_json::json!({ "ask": done.id.0, "answer": answer.word() }).to_string(),
        };
        portreeve_store::audit::append(tx, &entry)?;
        Ok(id.0)
    })?;
    app.hub.tell(News::Case { number, is_new: answer == Answer::No });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_from_the_network_that_was_asked_about_is_worth_nothing() {
        let cases = vec![crate::benign::sample::case(|_| {})];
        for (answer, from, word) in [
            (Answer::Yes, "192.0.2.99", "none"),
            (Answer::Yes, "198.51.100.1", "weak"),
            (Answer::No, "192.0.2.7", "to be acted on"),
            (Answer::Unsure, "198.51.100.1", "none"),
        ] {
            assert!(strength(answer, from, &cases).starts_with(word), "{answer} from {from}");
        }
    }

    #[test]
    fn devices_are_named_roughly() {
        let iphone =
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Safari/604.1";
        for (agent, told) in [(iphone, "iPhone, Safari"), ("", "not known"), ("curl/8.0", "curl")] {
            assert_eq!(device_of(agent), told);
        }
    }
}
