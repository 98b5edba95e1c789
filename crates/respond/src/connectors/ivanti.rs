//! Ivanti Connect Secure (Pulse Connect Secure): user sessions are deleted by their id. The API key that a login
//! returns stands in for the password in all further requests.

use super::asked;
use super::sessions::{self, Session};
use crate::act::Act;
use crate::connector::{
    Ability, Ack, Can, Connector, Control, Effect, Known, Order, Proof, Seen, Setting, Settings,
};
use crate::fault::Fault;
use crate::secret::Secret;
use crate::target::TargetKind;
use crate::transport::http::{Body, Endpoint, Http, Method, Path, basic};
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

pub static CONNECTOR: Connector = Connector {
    name: "ivanti",
    product: "Ivanti Connect Secure, Pulse Connect Secure (9.1 and later)",
    proof: Proof::Contract,
    can: &[Can {
        effect: "each session of the user in one sign-in realm is deleted by its id",
        leaves_open: "the client may sign in again: disable the account first; the user's sessions in other realms, \
                      each a step of its own (`anna@realm`); a gateway that was broken into hands out sessions of \
                      its own, and then it is the gateway that has to be isolated and rebuilt",
        undo: "none: its user signs in again",
        verified_by: "`system/active-users`, read whole, lists no session of the user",
        within: Duration::from_secs(15),
        settle: Duration::from_secs(30),
        ..Can::at_once(Act::TerminateSession, &[TargetKind::Session])
    }],
    needs: "an administrator of a role for active users alone, allowed to use the REST API; its password as the \
            credential",
    settings: &[
        Setting { name: "endpoint", required: true, says: "`{url, ca, timeout}` of the appliance" },
        Setting { name: "user", required: true, says: "the administrator" },
    ],
    source: "Ivanti: PCS/PPS REST API Solutions Guide, Getting Active Sessions, Deleting a Session",
    open,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    endpoint: Endpoint,
    user: String,
}

fn open(settings: &Settings) -> Result<Box<dyn Control>, Fault> {
    let config: Config = settings.fields()?;
    if config.user.contains(':') {
        return Err(Fault::Config("ivanti: a user name has no colon".into()));
    }
    let http = Http::open(&config.endpoint)?;
    Ok(Box::new(Ivanti { http, user: config.user, settings: settings.clone() }))
}

struct Ivanti {
    http: Http,
    user: String,
    settings: Settings,
}

/// The most sessions that one appliance holds, with room.
const MOST: u64 = 100_000;
const LIST: &str = "/api/v1/system/active-users";
const SESSION: &str = "/api/v1/system/active-users/session";

impl Ivanti {
    fn login(&mut self) -> Result<(), Fault> {
        let password = self.settings.credential(Act::TerminateSession)?;
        self.http.set_header("authorization", basic(&self.user, &password));
        let answer = self.http.get(&Path::new("/api/v1/auth"))?.done()?.json()?;
        let key = answer.get("api_key").and_then(Value::as_str).filter(|k| !k.is_empty());
        let key = key.ok_or_else(|| Fault::Credential("the login gave no api_key".into()))?;
        // The key is the user, and the password is empty.
        self.http.set_header("authorization", basic(key, &Secret::new("")));
        Ok(())
    }

    /// All sessions. The appliance gives 200 unless a number is named, and says how many there are.
    fn all(&self) -> Result<Vec<Session>, Fault> {
        let mut number = 1000_u64;
        for _ in 0..3 {
            let path = Path::new(LIST).query("number", &number.to_string());
            let body = self.http.get(&path)?.done()?.json()?;
            let users = body.get("active-users").ok_or_else(|| Fault::Garbled("no active-users".into()))?;
            let rows = match users.pointer("/active-user-records/active-user-record") {
                Some(Value::Array(rows)) => rows.clone(),
                Some(row @ Value::Object(_)) => vec![row.clone()],
                None | Some(Value::Null) => Vec::new(),
                Some(_) => return Err(Fault::Garbled("active-user-record is no list".into())),
            };
            let there = users
                .get("total-matched-record-number")
                .and_then(Value::as_u64)
                .ok_or_else(|| Fault::Garbled("the list does not say how many there are".into()))?;
            if there <= rows.len() as u64 {
                return rows.iter().map(session).collect();
            }
            if there > MOST {
                break;
            }
            number = there + 100;
        }
        Err(Fault::Garbled("the list was cut each time that it was read".into()))
    }
}

fn session(row: &Value) -> Result<Session, Fault> {
    let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or("");
    let (user, id) = (text("active-user-name"), text("session-id"));
    if user.is_empty() || id.is_empty() {
        return Err(Fault::Garbled("a session has no user or no id".into()));
    }
    let mut session = Session::new(id, user);
    // The same name in two realms may be two people.
    if session.domain.is_empty() {
        session.domain = text("authentication-realm").to_owned();
    }
    session.inner = asked::net(text("network-connect-ip"));
    session.since = text("user-sign-in-time").to_owned();
    Ok(session)
}

impl Control for Ivanti {
    fn read(&mut self, order: &Order) -> Result<Seen, Fault> {
        let stay = asked::stay(order, "ivanti")?;
        self.login()?;
        sessions::seen(stay, &self.all()?)
    }

    fn preview(&self, order: &Order, seen: &Seen) -> Result<Vec<String>, Fault> {
        asked::stay(order, "ivanti")?;
        let approved = sessions::approved(seen)?;
        let path = |s: &Session| Path::new(SESSION).segment(&s.id);
        Ok(approved.iter().map(|s| self.http.shown(Method::Delete, &path(s), &Body::Nothing)).collect())
    }

    fn apply(&mut self, order: &Order, seen: &Seen) -> Result<Ack, Fault> {
        asked::stay(order, "ivanti")?;
        self.login()?;
        let still = sessions::still(seen, &self.all().map_err(asked::unsent)?)?;
        sessions::each(&still, |s| {
            let path = Path::new(SESSION).segment(&s.id);
            self.http.change(Method::Delete, &path, &Body::Nothing)?.done().map(|_| ())
        })
    }

    fn verify(&mut self, order: &Order, known: &Known) -> Effect {
        let all = self.login().and_then(|()| self.all());
        match asked::stay(order, "ivanti").and_then(|stay| Ok((stay, all?))) {
            Ok((stay, all)) => sessions::verdict(stay, &known.seen, &all),
            Err(fault) => Effect::unread(&fault),
        }
    }

    fn undo(&mut self, _: &Order, _: &Known) -> Result<Ack, Fault> {
        Err(sessions::cannot_return())
    }

    fn verify_undone(&mut self, _: &Order, _: &Known) -> Effect {
        sessions::never_undone()
    }

    fn doctor(&mut self) -> Vec<Ability> {
        let listed = self.login().and_then(|()| self.all());
        vec![
            match listed {
                Ok(all) => Ability::new("list sessions", Some(true), format!("{} now", all.len())),
                Err(fault) => Ability::new("list sessions", Some(false), fault.to_string()),
            },
            Ability::new("delete sessions", None, "the role's right shows only when it is used"),
        ]
    }
}
