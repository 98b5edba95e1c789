//! NetScaler (Citrix ADC, Citrix Gateway): AAA sessions and ICA connections are ended over NITRO. Every filter of
//! `kill` is optional there and `all` is one of them, so a request without a user or a session key is not written.

use super::asked;
use super::sessions::{self, Session};
use crate::act::Act;
use crate::connector::{
    Ability, Ack, Can, Connector, Control, Effect, Known, Order, Proof, Seen, Setting, Settings,
};
use crate::fault::Fault;
use crate::secret::Secret;
use crate::target::TargetKind;
use crate::transport::http::{Answer, Body, Endpoint, Http, Method, Path};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

pub static CONNECTOR: Connector = Connector {
    name: "netscaler",
    product: "NetScaler ADC and Gateway (Citrix)",
    proof: Proof::Contract,
    can: &[Can {
        effect: "each AAA session of the user is killed by its session key, read right before, and the user's ICA \
                 connections by the user's name: a published desktop outlives the AAA session",
        leaves_open: "the client may sign in again: disable the account first; a session cookie that was stolen \
                      from a gateway that is not patched; RDP proxy and PCoIP connections",
        undo: "none: its user signs in again",
        verified_by: "`aaasession` and `vpnicaconnection` list nothing of the user",
        within: Duration::from_secs(10),
        settle: Duration::from_secs(30),
        ..Can::at_once(Act::TerminateSession, &[TargetKind::Session])
    }],
    needs: "a system user with a command policy for `show aaa session`, `kill aaa session`, `show vpn \
            icaConnection`, `kill icaconnection`; its password as the credential",
    settings: &[
        Setting { name: "endpoint", required: true, says: "`{url, ca, timeout}` of the management address" },
        Setting { name: "user", required: true, says: "the system user" },
        Setting { name: "ica", required: false, says: "`false` where the appliance has no ICA proxy" },
    ],
    source: "NetScaler NITRO API reference: aaasession, vpnicaconnection; Citrix CTX584227",
    open,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    endpoint: Endpoint,
    user: String,
    #[serde(default = "yes")]
    ica: bool,
}

fn yes() -> bool {
    true
}

fn open(settings: &Settings) -> Result<Box<dyn Control>, Fault> {
    let config: Config = settings.fields()?;
    let http = Http::open(&config.endpoint)?;
    Ok(Box::new(Netscaler { http, config, settings: settings.clone() }))
}

struct Netscaler {
    http: Http,
    config: Config,
    settings: Settings,
}

const PAGE: usize = 200;
const PAGES: usize = 500;

const AAA: &str = "/nitro/v1/config/aaasession";
const AAA_KILL: &str = "/nitro/v1/config/aaasession?action=kill";
const ICA: &str = "/nitro/v1/config/vpnicaconnection";
const ICA_KILL: &str = "/nitro/v1/config/vpnicaconnection?action=kill";

/// A session and, for an AAA session, the key that ends it. The key is not part of a plan.
struct Row {
    session: Session,
    key: Option<Secret>,
}

impl Netscaler {
    /// Each request carries user and password: no session of ours is left behind on the appliance.
    fn authorise(&mut self) -> Result<(), Fault> {
        let password = self.settings.credential(Act::TerminateSession)?;
        self.http.set_header("x-nitro-user", Secret::new(self.config.user.clone()));
        self.http.set_header("x-nitro-pass", password);
        Ok(())
    }

    fn list(&self, fixed: &'static str, name: &str) -> Result<Vec<Value>, Fault> {
        let mut all: Vec<Value> = Vec::new();
        for page in 1..=PAGES {
            let path =
                Path::new(fixed).query("pagesize", &PAGE.to_string()).query("pageno", &page.to_string());
            let body = done(&self.http.get(&path)?)?;
            // Where there is nothing, the list itself is absent.
            let rows = match body.get(name) {
                Some(Value::Array(rows)) => rows.clone(),
                None => Vec::new(),
                Some(_) => return Err(Fault::Garbled(format!("NITRO gave no list of {name}"))),
            };
            let got = rows.len();
            if got == PAGE && all.ends_with(&rows) {
                return Err(Fault::Garbled(format!("NITRO gives the same page of {name} again")));
            }
            all.extend(rows);
            // More than a page at once is a version that does not page, and the whole list.
            if got != PAGE {
                return Ok(all);
            }
        }
        Err(Fault::Garbled(format!("more than {} rows of {name}", PAGE * PAGES)))
    }

    fn rows(&self) -> Result<Vec<Row>, Fault> {
        let mut all = Vec::new();
        for row in self.list(AAA, "aaasession")? {
            let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or("");
            let user = text("username");
            if user.is_empty() {
                return Err(Fault::Garbled("an AAA session has no username".into()));
            }
            let mut session =
                Session::new(format!("aaa:{}:{}", text("publicip"), number(&row, "publicport")), user);
            session.public = asked::net(text("publicip"));
            session.inner = asked::net(text("intranetip"));
            let key = Some(text("sessionkey")).filter(|k| !k.is_empty()).map(Secret::new);
            let by = if key.is_some() { "sessionkey" } else { "username" };
            session.at = vec!["aaa".to_owned(), user.to_owned(), by.to_owned()];
            all.push(Row { session, key });
        }
        if self.config.ica {
            for row in self.list(ICA, "vpnicaconnection")? {
                let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or("");
                let user = text("username");
                if user.is_empty() {
                    return Err(Fault::Garbled("an ICA connection has no username".into()));
                }
                let mut session =
                    Session::new(format!("ica:{}:{}", text("srcip"), number(&row, "srcport")), user);
                if session.domain.is_empty() {
                    session.domain = text("domain").to_owned();
                }
                session.public = asked::net(text("srcip"));
                session.at = vec!["ica".to_owned(), user.to_owned(), "username".to_owned()];
                all.push(Row { session, key: None });
            }
        }
        Ok(all)
    }

    fn sessions(&self) -> Result<Vec<Session>, Fault> {
        Ok(self.rows()?.into_iter().map(|r| r.session).collect())
    }

    /// The request that ends one row, where it hits nobody else.
    fn kill(row: &Row, meant: &[Session], all: &[Row]) -> Result<(&'static str, Value), Fault> {
        let [kind, user, _] = row.session.at.as_slice() else {
            return Err(Fault::Config("the plan's session has no user".into()));
        };
        if let Some(key) = &row.key {
            return Ok((AAA_KILL, json!({"aaasession": {"sessionkey": key.expose()}})));
        }
        let others = all.iter().any(|r| r.session.at == row.session.at && !meant.contains(&r.session));
        if others {
            return Err(Fault::Unsupported(format!(
                "NetScaler ends this {kind} session only together with others of the same user; order it by the user"
            )));
        }
        Ok(match kind.as_str() {
            "ica" => (ICA_KILL, json!({"vpnicaconnection": {"username": user}})),
            _ => (AAA_KILL, json!({"aaasession": {"username": user}})),
        })
    }
}

fn number(row: &Value, name: &str) -> String {
    match row.get(name) {
        Some(Value::Number(n)) => n.to_string(),
        Some(Value::String(s)) => s.clone(),
        _ => "-".to_owned(),
    }
}

/// NITRO says in its body what happened; its own refusals come with status 5xx as well, so a 5xx with a code of NITRO
/// is a refusal and one without is not.
fn done(answer: &Answer) -> Result<Value, Fault> {
    let body: Option<Value> = serde_json::from_str(&answer.body).ok();
    let code = body.as_ref().and_then(|b| b.get("errorcode")).and_then(Value::as_i64);
    let message = body.as_ref().and_then(|b| b.get("message")).and_then(Value::as_str).unwrap_or("");
    let why = format!(
        "NITRO {}: {}",
        code.unwrap_or(0),
        portreeve_model::untrusted::escape_for_terminal(&message.chars().take(200).collect::<String>())
    );
    match code {
        Some(354 | 444 | 2138) => Err(Fault::Credential(why)),
        Some(0) if answer.ok() => Ok(body.unwrap_or_default()),
        Some(0) | None if !answer.ok() => Err(answer.fault()),
        // An action answers 200 without a body.
        None if answer.body.trim().is_empty() => Ok(Value::Null),
        None => Err(Fault::Garbled("NITRO answered without an errorcode".into())),
        Some(258) => Err(Fault::NotFound(why)),
        Some(_) => Err(Fault::Refused(why)),
    }
}

impl Control for Netscaler {
    fn read(&mut self, order: &Order) -> Result<Seen, Fault> {
        let stay = asked::stay(order, "netscaler")?;
        self.authorise()?;
        sessions::seen(stay, &self.sessions()?)
    }

    fn preview(&self, order: &Order, seen: &Seen) -> Result<Vec<String>, Fault> {
        asked::stay(order, "netscaler")?;
        let mut lines: Vec<String> = Vec::new();
        for session in sessions::approved(seen)? {
            let (path, body) = match session.at.as_slice() {
                [kind, user, _] if kind == "ica" => {
                    (ICA_KILL, json!({"vpnicaconnection": {"username": user}}))
                }
                [_, user, by] if by == "username" => (AAA_KILL, json!({"aaasession": {"username": user}})),
                _ => (AAA_KILL, json!({"aaasession": {"sessionkey": "***"}})),
            };
            let line = format!(
                "{} ({})",
                self.http.shown(Method::Post, &Path::new(path), &Body::Json(&body)),
                session.id
            );
            lines.push(line);
        }
        Ok(lines)
    }

    fn apply(&mut self, order: &Order, seen: &Seen) -> Result<Ack, Fault> {
        asked::stay(order, "netscaler")?;
        self.authorise()?;
        let rows = self.rows().map_err(asked::unsent)?;
        let approved = sessions::approved(seen)?;
        let mut requests: Vec<(&'static str, Value)> = Vec::new();
        for row in rows.iter().filter(|r| approved.contains(&r.session)) {
            let request = Self::kill(row, &approved, &rows)?;
            if !requests.contains(&request) {
                requests.push(request);
            }
        }
        for (sent, (path, body)) in requests.iter().enumerate() {
            let answer = self.http.change(Method::Post, &Path::new(path), &Body::Json(body));
            match answer.and_then(|a| done(&a)) {
                Ok(_) | Err(Fault::NotFound(_)) => {}
                Err(fault) if sent == 0 || fault.may_have_acted() => return Err(fault),
                Err(fault) => {
                    return Err(Fault::Lost(format!(
                        "{sent} of {} were ended, then: {fault}",
                        requests.len()
                    )));
                }
            }
        }
        Ok(Ack::says(format!("NITRO took {} request(s)", requests.len())))
    }

    fn verify(&mut self, order: &Order, known: &Known) -> Effect {
        let all = self.authorise().and_then(|()| self.sessions());
        match asked::stay(order, "netscaler").and_then(|stay| Ok((stay, all?))) {
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
        let ica = self.config.ica;
        let mut told = |what: &str, fixed: &'static str, name: &str| match self
            .authorise()
            .and_then(|()| self.list(fixed, name))
        {
            Ok(rows) => Ability::new(what, Some(true), format!("{} now", rows.len())),
            Err(fault) => Ability::new(what, Some(false), fault.to_string()),
        };
        let mut abilities = vec![told("list AAA sessions", AAA, "aaasession")];
        if ica {
            abilities.push(told("list ICA connections", ICA, "vpnicaconnection"));
        }
        abilities.push(Ability::new("kill sessions", None, "the command policy shows only when it is used"));
        abilities
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_5xx_with_a_code_of_nitro_is_a_refusal_and_one_without_is_not() {
        let read = |status, body: &str| done(&Answer { status, body: body.to_owned(), ..Answer::default() });
        assert!(matches!(read(599, r#"{"errorcode":1095,"message":"Required"}"#), Err(Fault::Refused(_))));
        assert!(matches!(read(500, "oops"), Err(Fault::Lost(_))));
        assert!(matches!(read(401, r#"{"errorcode":354,"message":"x"}"#), Err(Fault::Credential(_))));
        assert!(matches!(read(200, "<html>"), Err(Fault::Garbled(_))));
        assert!(read(200, r#"{"errorcode":0,"message":"Done"}"#).is_ok());
        assert!(read(200, "").is_ok());
    }

    #[test]
    fn a_row_without_a_key_is_not_ended_by_a_name_that_others_share() {
        let row = |id: &str, inner: &str| {
            let mut session = Session::new(id, "anna");
            session.inner = asked::net(inner);
            session.at = vec!["aaa".into(), "anna".into(), "username".into()];
            Row { session, key: None }
        };
        let all = [row("1", "10.0.0.1"), row("2", "10.0.0.2")];
        let one = [all[0].session.clone()];
        assert!(matches!(Netscaler::kill(&all[0], &one, &all), Err(Fault::Unsupported(_))));
        let both = [all[0].session.clone(), all[1].session.clone()];
        let (_, body) = Netscaler::kill(&all[0], &both, &all).unwrap();
        assert_eq!(body, json!({"aaasession": {"username": "anna"}}));
    }
}
