//! Duo by the Admin API: a user's status.
//!
//! Requests are signed with HMAC-SHA512 over date, method, host, path, parameters and body. The status `bypass` turns
//! the second factor off and is never written. Factors are not deleted: to an unenrolled user, a policy may give
//! access without a factor.

use crate::act::Act;
use crate::connector::{
    Ability, Ack, Can, Connector, Control, Effect, Known, Order, Proof, Seen, Setting, Settings,
};
use crate::fault::Fault;
use crate::secret::Secret;
use crate::target::{Target, TargetKind};
use crate::transport::http::{Answer, Body, Endpoint, Http, Method, Path, percent};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha512};
use zeroize::Zeroizing;

pub static CONNECTOR: Connector = Connector {
    name: "duo",
    product: "Cisco Duo",
    proof: Proof::Contract,
    can: &[Can {
        effect: "the user's status is `disabled`: every authentication through Duo is denied",
        leaves_open: "sessions that were opened with Duo's approval; remembered devices of applications; whatever is \
                      not behind Duo, and gateways that let people in when Duo does not answer (fail-open). A user \
                      whom a directory keeps is changed there",
        undo: "the status as it was before; a user who was in `bypass` becomes `active`, because bypass means no \
               second factor",
        verified_by: "GET of the user: status",
        ..Can::at_once(Act::DisableAccount, &[TargetKind::Account])
    }],
    needs: "an Admin API application with Grant resource (Read) and Grant resource (Write)",
    settings: &[
        Setting { name: "endpoint", required: true, says: "`url: https://api-XXXXXXXX.duosecurity.com`" },
        Setting {
            name: "integration_key", required: true, says: "`DI…`; its secret key is the credential"
        },
    ],
    source: "Duo Admin API: authentication, users",
    open,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    endpoint: Endpoint,
    integration_key: String,
}

fn open(settings: &Settings) -> Result<Box<dyn Control>, Fault> {
    let config: Config = settings.fields()?;
    let http = Http::open(&config.endpoint)?;
    if http.base().matches('/').count() > 2 {
        return Err(Fault::Config("url: Duo's API has no path".into()));
    }
    if config.integration_key.is_empty() || !config.integration_key.bytes().all(|b| b.is_ascii_alphanumeric())
    {
        return Err(Fault::Config("integration_key: is not written like DIXXXXXXXXXXXXXXXXXX".into()));
    }
    Ok(Box::new(Duo { settings: settings.clone(), config }))
}

struct Duo {
    settings: Settings,
    config: Config,
}

#[derive(Clone, Debug)]
struct User {
    id: String,
    name: String,
    names: Vec<String>,
    status: String,
}

fn garbled(what: &str) -> Fault {
    Fault::Garbled(format!("Duo: {what}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The text that is signed: version 5 of Duo's signatures, without headers of its own.
fn canonical(
    date: &str,
    method: Method,
    host: &str,
    path: &str,
    params: &[(&str, &str)],
    body: &str,
) -> String {
    let mut pairs: Vec<String> = params
        .iter()
        .map(|(name, value)| {
            let mut pair = format!("{name}=");
            percent(&mut pair, value);
            pair
        })
        .collect();
    pairs.sort();
    let none = hex(&Sha512::digest(b""));
    let body = hex(&Sha512::digest(body.as_bytes()));
    [date, method.name(), &host.to_lowercase(), path, &pairs.join("&"), &body, &none].join("\n")
}

impl User {
    fn read(value: &Value) -> Result<User, Fault> {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let (Some(id), Some(name), Some(status)) = (text("user_id"), text("username"), text("status")) else {
            return Err(garbled("a user without user_id, username and status"));
        };
        let mut names = vec![name.to_lowercase()];
        // `aliases` is an object, of which a name that is not set is null.
        let aliases = value.get("aliases").and_then(Value::as_object);
        names.extend(
            aliases.into_iter().flat_map(|a| a.values()).filter_map(Value::as_str).map(str::to_lowercase),
        );
        Ok(User { id: id.to_owned(), name: name.to_owned(), names, status: status.to_owned() })
    }

    fn shown(&self) -> String {
        portreeve_model::untrusted::escape_for_terminal(&self.name)
    }
}

/// What a status becomes again.
fn restored(before: &Value) -> Option<&'static str> {
    match before.get("status").and_then(Value::as_str) {
        Some("active" | "bypass") => Some("active"),
        _ => None,
    }
}

impl Duo {
    /// A client whose next requests are this one, signed.
    fn signed(
        &self,
        act: Act,
        method: Method,
        path: &str,
        params: &[(&str, &str)],
        body: &str,
    ) -> Result<Http, Fault> {
        let key = self.settings.credential(act)?;
        let http = Http::open(&self.config.endpoint)?;
        let host = http.base().split_once("://").map_or("", |(_, rest)| rest).to_owned();
        let date = jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S -0000").to_string();
        let text = canonical(&date, method, &host, path, params, body);
        let mut mac = Hmac::<Sha512>::new_from_slice(key.expose().as_bytes())
            .map_err(|_| Fault::Credential("the secret key cannot sign".into()))?;
        mac.update(text.as_bytes());
        let signature = hex(&mac.finalize().into_bytes());
        let basic = Zeroizing::new(format!("{}:{signature}", self.config.integration_key));
        Ok(http
            .header("date", Secret::new(date))
            .header("authorization", Secret::new(format!("Basic {}", STANDARD.encode(basic.as_bytes())))))
    }

    /// `response` of an answer whose `stat` is OK.
    fn response(answer: Answer) -> Result<Value, Fault> {
        let whole = answer.done()?.json()?;
        match (whole.get("stat").and_then(Value::as_str), whole.get("response")) {
            (Some("OK"), Some(response)) => Ok(response.clone()),
            (Some("FAIL"), _) => Err(Fault::Refused("Duo answered FAIL".into())),
            _ => Err(garbled("an answer without stat and response")),
        }
    }

    /// The one user of this name or alias. Duo does not tell cases apart.
    fn user(&self, order: &Order) -> Result<User, Fault> {
        let name = match &order.target {
            Target::Account { name } => name,
            other => return Err(Fault::Unsupported(format!("duo acts on accounts, not {other}"))),
        };
        if order.act != Act::DisableAccount {
            return Err(Fault::Unsupported(format!("duo cannot {}", order.act.id())));
        }
        let (path, params) = ("/admin/v1/users", [("username", name.raw())]);
        let http = self.signed(order.act, Method::Get, path, &params, "")?;
        let found = Self::response(http.get(&Path::new(path).query("username", name.raw()))?)?;
        let found = found.as_array().ok_or_else(|| garbled("no list"))?;
        let users: Vec<User> = found.iter().map(User::read).collect::<Result<_, _>>()?;
        let wanted = name.raw().to_lowercase();
        let users: Vec<User> = users.into_iter().filter(|u| u.names.contains(&wanted)).collect();
        match users.as_slice() {
            [user] => Ok(user.clone()),
            [] => Err(Fault::NotFound(format!("Duo has no user `{name}`"))),
            _ => Err(Fault::Ambiguous(format!("{} users of Duo answer to `{name}`", users.len()))),
        }
    }

    /// The user that the plan meant, by its id.
    fn again(&self, act: Act, seen: &Seen) -> Result<User, Fault> {
        let path = user_path(seen)?;
        let http = self.signed(act, Method::Get, path.as_str(), &[], "")?;
        let user = User::read(&Self::response(http.get(&path)?)?)?;
        if seen.ids.first() == Some(&user.id) {
            Ok(user)
        } else {
            Err(garbled("another user than was asked for"))
        }
    }

    fn set(&self, act: Act, seen: &Seen, status: &str) -> Result<Ack, Fault> {
        let (path, body) = (user_path(seen)?, json!({"status": status}));
        let http = self.signed(act, Method::Post, path.as_str(), &[], &body.to_string())?;
        Self::response(http.change(Method::Post, &path, &Body::Json(&body))?)?;
        Ok(Ack::says("Duo answered OK"))
    }
}

fn user_path(seen: &Seen) -> Result<Path, Fault> {
    let id = seen.ids.first().ok_or_else(|| Fault::Refused("the plan names no user".into()))?;
    Ok(Path::new("/admin/v1/users").segment(id))
}

impl Control for Duo {
    fn read(&mut self, order: &Order) -> Result<Seen, Fault> {
        let user = self.user(order)?;
        let status = portreeve_model::untrusted::escape_for_terminal(&user.status);
        let bypass =
            if user.status == "bypass" { ": no second factor is asked; undo makes it active" } else { "" };
        let in_force = matches!(user.status.as_str(), "disabled" | "pending deletion");
        if !in_force && restored(&json!({"status": user.status})).is_none() {
            // `locked out` ends by itself or by an administrator; it cannot be written back.
            return Err(Fault::Refused(format!(
                "{} is {status}, which cannot be put back later",
                user.shown()
            )));
        }
        Ok(Seen {
            says: format!("{} is {status}{bypass}", user.shown()),
            before: json!({"status": user.status}),
            in_force,
            ids: vec![user.id],
            also_hits: Vec::new(),
        })
    }

    fn preview(&self, _: &Order, seen: &Seen) -> Result<Vec<String>, Fault> {
        let http = Http::open(&self.config.endpoint)?;
        Ok(vec![http.shown(Method::Post, &user_path(seen)?, &Body::Json(&json!({"status": "disabled"})))])
    }

    fn apply(&mut self, order: &Order, seen: &Seen) -> Result<Ack, Fault> {
        self.set(order.act, seen, "disabled")
    }

    fn verify(&mut self, order: &Order, known: &Known) -> Effect {
        match self.again(order.act, &known.seen) {
            Err(fault) => Effect::unread(&fault),
            Ok(user) if user.status == "disabled" => {
                Effect::Effective(format!("{} is disabled", user.shown()))
            }
            Ok(user) => Effect::NotEffective(format!(
                "{} is {}",
                user.shown(),
                portreeve_model::untrusted::escape_for_terminal(&user.status)
            )),
        }
    }

    fn undo(&mut self, order: &Order, known: &Known) -> Result<Ack, Fault> {
        let status = restored(&known.seen.before)
            .ok_or_else(|| Fault::Refused("the user was not active before; it is left".into()))?;
        let user = self.again(order.act, &known.seen)?;
        match user.status.as_str() {
            "disabled" => self.set(order.act, &known.seen, status),
            now if now == status => Ok(Ack::says("was active already")),
            now => Err(Fault::Refused(format!(
                "the user is {} now, by another hand; it is left",
                portreeve_model::untrusted::escape_for_terminal(now)
            ))),
        }
    }

    fn verify_undone(&mut self, order: &Order, known: &Known) -> Effect {
        match self.again(order.act, &known.seen) {
            Err(fault) => Effect::unread(&fault),
            Ok(user) if Some(user.status.as_str()) == restored(&known.seen.before) => {
                Effect::Effective(format!("{} is active", user.shown()))
            }
            Ok(user) => Effect::NotEffective(format!(
                "{} is {}",
                user.shown(),
                portreeve_model::untrusted::escape_for_terminal(&user.status)
            )),
        }
    }

    fn doctor(&mut self) -> Vec<Ability> {
        let (path, params) = ("/admin/v1/users", [("limit", "1")]);
        let read = self
            .signed(Act::DisableAccount, Method::Get, path, &params, "")
            .and_then(|http| Self::response(http.get(&Path::new(path).query("limit", "1"))?));
        let read = match read {
            Ok(_) => Ability::new("read users", Some(true), "the list answers"),
            Err(fault) => Ability::new("read users", Some(false), fault.to_string()),
        };
        vec![
            read,
            Ability::new("disable users", None, "Duo tells this only by doing it: Grant resource (Write)"),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_holds_every_part_in_its_order() {
        let params = [("username", "a b&c=~"), ("limit", "1")];
        let text =
            canonical("Tue, 21 Aug 2012 17:29:18 -0000", Method::Get, "API-X.duo.example", "/p", &params, "");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            &lines[..5],
            [
                "Tue, 21 Aug 2012 17:29:18 -0000",
                "GET",
                "api-x.duo.example",
                "/p",
                "limit=1&username=a%20b%26c%3D~"
            ]
        );
        // SHA-512 of nothing: no body, no headers of Duo's.
        assert!(lines[5].starts_with("cf83e1357eefb8bd") && lines[5] == lines[6]);
        assert_eq!(lines.len(), 7);
    }

    #[test]
    fn bypass_is_never_written() {
        for before in ["active", "bypass"] {
            assert_eq!(restored(&json!({"status": before})), Some("active"));
        }
        assert_eq!(restored(&json!({"status": "disabled"})), None);
    }
}
