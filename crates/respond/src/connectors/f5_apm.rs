//! F5 BIG-IP APM: access sessions are deleted by `sessiondump --delete`, since the REST API has no route for it. It
//! runs in a shell of the appliance, so what is put into the command is eight hexadecimal digits and nothing else.

use super::asked;
use super::sessions::{self, Session};
use crate::act::Act;
use crate::connector::{
    Ability, Ack, Can, Connector, Control, Effect, Known, Order, Proof, Seen, Setting, Settings,
};
use crate::fault::Fault;
use crate::target::TargetKind;
use crate::transport::http::{Body, Endpoint, Http, Method, Path, basic};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

pub static CONNECTOR: Connector = Connector {
    name: "f5_apm",
    product: "F5 BIG-IP Access Policy Manager",
    proof: Proof::Contract,
    can: &[Can {
        effect: "each access session of the user is deleted by its id of eight hexadecimal digits; `all` is never \
                 said",
        leaves_open: "the client may sign in again: disable the account first; connections of an application that \
                      do not pass the access profile",
        undo: "none: its user signs in again",
        verified_by: "`sessiondump --allkeys`, read again, has no session of the user",
        within: Duration::from_secs(15),
        settle: Duration::from_secs(30),
        ..Can::at_once(Act::TerminateSession, &[TargetKind::Session])
    }],
    needs: "a local user with the Administrator role, which F5 demands for `util/bash`; its password as the \
            credential. Keep the address of the API to this machine alone",
    settings: &[
        Setting { name: "endpoint", required: true, says: "`{url, ca, timeout}` of the management address" },
        Setting { name: "user", required: true, says: "the user" },
    ],
    source: "F5: iControl REST, util/bash; sessiondump",
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
        return Err(Fault::Config("f5_apm: a user name has no colon".into()));
    }
    let http = Http::open(&config.endpoint)?;
    Ok(Box::new(Apm { http, user: config.user, settings: settings.clone() }))
}

struct Apm {
    http: Http,
    user: String,
    settings: Settings,
}

const BASH: &str = "/mgmt/tm/util/bash";

/// The keys that matter. `true` at the end: no match is no failure.
const LIST: &str = r#"-c 'sessiondump --allkeys | grep -aE "^[0-9a-f]{8}[.]session[.](logon[.]last[.]username|logon[.]last[.]domain|user[.]clientip|user[.]starttime|assigned[.]clientip) "; true'"#;

/// The id of an access session.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct AccessId(String);

impl AccessId {
    fn new(text: &str) -> Option<AccessId> {
        let hex = text.len() == 8 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        hex.then(|| AccessId(text.to_owned()))
    }

    fn deletion(&self) -> Value {
        bash(&format!("-c 'sessiondump --delete {}'", self.0))
    }
}

fn bash(args: &str) -> Value {
    json!({"command": "run", "utilCmdArgs": args})
}

fn deletion(session: &Session) -> Result<Value, Fault> {
    AccessId::new(&session.id)
        .map(|id| id.deletion())
        .ok_or_else(|| Fault::Config("the plan's session has no id of eight hexadecimal digits".into()))
}

impl Apm {
    fn authorise(&mut self) -> Result<(), Fault> {
        let password = self.settings.credential(Act::TerminateSession)?;
        self.http.set_header("authorization", basic(&self.user, &password));
        Ok(())
    }

    fn run(&self, body: &Value) -> Result<String, Fault> {
        let answer = self.http.change(Method::Post, &Path::new(BASH), &Body::Json(body))?.done()?.json()?;
        if answer.get("command").and_then(Value::as_str) != Some("run") {
            return Err(Fault::Garbled("util/bash does not say what it ran".into()));
        }
        // Without output there is no such field.
        Ok(answer.get("commandResult").and_then(Value::as_str).unwrap_or("").to_owned())
    }

    fn all(&self) -> Result<Vec<Session>, Fault> {
        listed(&self.run(&bash(LIST)).map_err(asked::unsent)?)
    }
}

/// Lines `03b621f6.session.logon.last.username 4 anna`: key, length of the value, value. A user name with a line's
/// end in it could forge further lines, so a value that has not its length, or a key that comes twice, ends the reading.
fn listed(text: &str) -> Result<Vec<Session>, Fault> {
    let mut found: BTreeMap<AccessId, BTreeMap<&str, &str>> = BTreeMap::new();
    for line in text.lines().filter(|l| !l.is_empty()) {
        let garbled = |why: &str| {
            let line: String = line.chars().take(80).collect();
            Fault::Garbled(format!(
                "sessiondump: {why}: {}",
                portreeve_model::untrusted::escape_for_terminal(&line)
            ))
        };
        let (key, rest) = line.split_once(' ').ok_or_else(|| garbled("no value"))?;
        let (length, value) = rest.split_once(' ').unwrap_or((rest, ""));
        if length.parse() != Ok(value.len()) {
            return Err(garbled("a value has not its length"));
        }
        let (id, key) = key.split_once(".session.").ok_or_else(|| garbled("no session"))?;
        let id = AccessId::new(id).ok_or_else(|| garbled("no id"))?;
        if found.entry(id).or_default().insert(key, value).is_some() {
            return Err(garbled("a key comes twice"));
        }
    }
    let session = |(id, keys): (AccessId, BTreeMap<&str, &str>)| {
        // Who has not signed in yet has no name, and no access.
        let user = keys.get("logon.last.username").filter(|u| !u.is_empty())?;
        let mut session = Session::new(id.0, user);
        if session.domain.is_empty() {
            session.domain = keys.get("logon.last.domain").copied().unwrap_or("").to_owned();
        }
        session.public = keys.get("user.clientip").and_then(|ip| asked::net(ip));
        session.inner = keys.get("assigned.clientip").and_then(|ip| asked::net(ip));
        session.since = keys.get("user.starttime").copied().unwrap_or("").to_owned();
        Some(session)
    };
    Ok(found.into_iter().filter_map(session).collect())
}

impl Control for Apm {
    fn read(&mut self, order: &Order) -> Result<Seen, Fault> {
        let stay = asked::stay(order, "f5_apm")?;
        self.authorise()?;
        sessions::seen(stay, &self.all()?)
    }

    fn preview(&self, order: &Order, seen: &Seen) -> Result<Vec<String>, Fault> {
        asked::stay(order, "f5_apm")?;
        let approved = sessions::approved(seen)?;
        let shown =
            |s: &Session| Ok(self.http.shown(Method::Post, &Path::new(BASH), &Body::Json(&deletion(s)?)));
        approved.iter().map(shown).collect()
    }

    fn apply(&mut self, order: &Order, seen: &Seen) -> Result<Ack, Fault> {
        asked::stay(order, "f5_apm")?;
        self.authorise()?;
        let still = sessions::still(seen, &self.all().map_err(asked::unsent)?)?;
        sessions::each(&still, |s| self.run(&deletion(s)?).map(|_| ()))
    }

    fn verify(&mut self, order: &Order, known: &Known) -> Effect {
        let all = self.authorise().and_then(|()| self.all());
        match asked::stay(order, "f5_apm").and_then(|stay| Ok((stay, all?))) {
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
        // Who may list may delete: both are commands of the same shell.
        match self.authorise().and_then(|()| self.all()) {
            Ok(all) => {
                vec![Ability::new("list and delete sessions", Some(true), format!("{} now", all.len()))]
            }
            Err(fault) => vec![Ability::new("list and delete sessions", Some(false), fault.to_string())],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_sessions() {
        let all = listed(
            "03b621f6.session.logon.last.username 4 anna\n03b621f6.session.logon.last.domain 4 CORP\n\
             03b621f6.session.user.clientip 11 203.0.113.9\n03b621f6.session.user.starttime 10 1700000000\n\
             7bc3c0e1.session.user.clientip 11 203.0.113.9\n",
        )
        .unwrap();
        assert_eq!(all.len(), 1);
        assert_eq!(
            (all[0].id.as_str(), all[0].user.as_str(), all[0].domain.as_str()),
            ("03b621f6", "anna", "CORP")
        );
    }

    #[test]
    fn a_name_that_forges_lines_ends_the_reading() {
        let real = "03b621f6.session.logon.last.username 4 anna\n";
        let forged =
            "00000000.session.logon.last.username 51 x\n03b621f6.session.logon.last.username 8 director\n";
        assert!(listed(real).is_ok());
        assert!(listed(&format!("{real}{forged}")).is_err());
        let exact =
            "00000000.session.logon.last.username 1 x\n03b621f6.session.logon.last.username 8 director\n";
        assert!(listed(&format!("{real}{exact}")).is_err());
        assert!(listed("all.session.logon.last.username 1 x\n").is_err());
    }

    #[test]
    fn only_an_id_enters_the_command() {
        for bad in ["all", "03b621f", "03b621f6; id", "03B621F6", "$(id)aaa", "", "03b621f6'"] {
            assert!(AccessId::new(bad).is_none(), "{bad}");
            assert!(deletion(&Session::new(bad, "x")).is_err());
        }
        let body = AccessId::new("03b621f6").unwrap().deletion();
        assert_eq!(body["utilCmdArgs"], "-c 'sessiondump --delete 03b621f6'");
    }
}
