//! Okta: accounts, sessions with their tokens, passwords and factors.
//!
//! Ending sessions alone leaves OAuth tokens alive, so `oauthTokens=true` is always sent. An expired password can be
//! changed by whoever knows it; a reset one cannot. Factors come last, because whoever still has a session would
//! enrol his own.

use crate::act::Act;
use crate::connector::{
    Ability, Ack, Can, Connector, Control, Effect, Known, Order, Proof, Seen, Setting, Settings,
};
use crate::fault::Fault;
use crate::secret::Secret;
use crate::target::{Target, TargetKind};
use crate::transport::http::{Answer, Body, Endpoint, Http, Method, Path};
use crate::value::UserName;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

pub static CONNECTOR: Connector = Connector {
    name: "okta",
    product: "Okta Workforce Identity",
    proof: Proof::Contract,
    can: &[
        Can {
            effect: "the account is SUSPENDED: no sign-in to Okta and to what is signed in through it; assignments stay",
            leaves_open: "sessions that applications keep themselves, and OAuth tokens (revoke them too); sign-ins \
                          that do not go through Okta",
            undo: "unsuspend, if it is still suspended",
            verified_by: "GET of the user: its status",
            ..Can::at_once(Act::DisableAccount, &[TargetKind::Account])
        },
        Can {
            effect: "all Okta sessions of the account end, and its OpenID Connect and OAuth tokens are revoked \
                     (`oauthTokens=true`)",
            leaves_open: "sessions that applications keep themselves; access tokens that a resource checks without \
                          asking Okta, until they expire; a new sign-in with the password",
            undo: "none; the person signs in again",
            verified_by: "no client holds a refresh token, and the System Log has a newer `user.session.clear` for \
                          the account than before",
            within: Duration::from_secs(120),
            ..Can::at_once(Act::RevokeTokens, &[TargetKind::Account])
        },
        Can {
            effect: "PASSWORD_EXPIRED: a new password at the next sign-in; sessions are ended (`revokeSessions=true`)",
            leaves_open: "whoever knows the password may be the one who changes it; prefer the reset. Tokens live on",
            undo: "none: Okta has no way back but a new password",
            verified_by: "GET of the user: its status",
            ..Can::at_once(Act::RequirePasswordChange, &[TargetKind::Account])
        },
        Can {
            effect: "RECOVERY: the password is void at once and sessions end; a link to set a new one is handed to \
                     the approver alone, once, and is not mailed, because the mailbox may be the intruder's",
            leaves_open: "OAuth tokens; factors. Okta does not reset what is suspended, so one of the two is chosen. \
                          Passwords of a directory or another provider are refused: reset there",
            undo: "none: the old password is gone",
            verified_by: "GET of the user: its status",
            ..Can::at_once(Act::ResetPassword, &[TargetKind::Account])
        },
        Can {
            effect: "every factor of the account is unenrolled",
            leaves_open: "whoever knows the password enrols a factor of his own at the next sign-in; so sessions and \
                          the password come first",
            undo: "none: the person enrols anew",
            verified_by: "GET of the factors: there is none",
            ..Can::at_once(Act::ResetFactors, &[TargetKind::Account])
        },
    ],
    needs: "an API token of an administrator limited to these accounts (group administrator for suspension, sessions \
            and resets; a custom role with these permissions is less), and `okta.logs.read` to prove revocation. \
            Okta refuses to let lesser administrators touch greater ones",
    settings: &[
        Setting { name: "endpoint", required: true, says: "`url: https://ORG.okta.com`, `ca`, `timeout`" },
        Setting { name: "domain", required: false, says: "put behind names without one: `corp.example`" },
        Setting { name: "scheme", required: false, says: "`SSWS` (API token) or `Bearer` (OAuth); SSWS" },
    ],
    source: "Okta Management API: Users, User lifecycle, User sessions, User factors, System Log",
    open,
};

#[derive(Clone, Copy, Debug, Default, Deserialize)]
enum Scheme {
    #[default]
    #[serde(rename = "SSWS")]
    Ssws,
    Bearer,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    endpoint: Endpoint,
    domain: Option<String>,
    #[serde(default)]
    scheme: Scheme,
}

fn open(settings: &Settings) -> Result<Box<dyn Control>, Fault> {
    let config: Config = settings.fields()?;
    Http::open(&config.endpoint)?;
    Ok(Box::new(Okta { settings: settings.clone(), config }))
}

struct Okta {
    settings: Settings,
    config: Config,
}

/// A user as Okta has it.
#[derive(Clone, Debug)]
struct User {
    id: String,
    login: String,
    status: String,
    /// Who keeps the password: `OKTA`, `ACTIVE_DIRECTORY`, `LDAP`, `FEDERATION`, `SOCIAL`, `IMPORT`.
    provider: String,
}

fn garbled(what: &str) -> Fault {
    Fault::Garbled(format!("Okta: {what}"))
}

impl User {
    fn read(value: &Value) -> Result<User, Fault> {
        let text = |path: &str| value.pointer(path).and_then(Value::as_str);
        match (text("/id"), text("/profile/login"), text("/status")) {
            (Some(id), Some(login), Some(status)) => Ok(User {
                id: id.to_owned(),
                login: login.to_owned(),
                status: status.to_owned(),
                provider: text("/credentials/provider/type").unwrap_or("OKTA").to_owned(),
            }),
            _ => Err(garbled("a user without id, login and status")),
        }
    }
}

/// A JSON string is a string of Okta's filters as well.
fn quoted(value: &str) -> String {
    Value::from(value).to_string()
}

/// 403 is also Okta's word for what an account's status does not allow (E0000038); that is no matter of the
/// credential.
fn done(answer: Answer) -> Result<Answer, Fault> {
    let code = |body: &str| {
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        body.get("errorCode").and_then(Value::as_str).map(str::to_owned)
    };
    if answer.status == 403 && code(&answer.body).as_deref() == Some("E0000038") {
        return Err(Fault::Refused("the account's status does not allow it (E0000038)".into()));
    }
    answer.done()
}

impl Okta {
    fn http(&self, act: Act) -> Result<Http, Fault> {
        let token = self.settings.credential(act)?;
        let scheme = match self.config.scheme {
            Scheme::Ssws => "SSWS",
            Scheme::Bearer => "Bearer",
        };
        let value = Secret::new(format!("{scheme} {}", token.expose()));
        Ok(Http::open(&self.config.endpoint)?.header("authorization", value))
    }

    fn login(&self, name: &UserName) -> String {
        match &self.config.domain {
            Some(domain) if !name.raw().contains('@') => format!("{}@{domain}", name.short()),
            _ => name.raw().to_owned(),
        }
    }

    fn name<'a>(&self, order: &'a Order) -> Result<&'a UserName, Fault> {
        match &order.target {
            Target::Account { name } => Ok(name),
            other => Err(Fault::Unsupported(format!("okta acts on accounts, not {other}"))),
        }
    }

    /// Pages of a list, joined.
    fn list(http: &Http, first: &Path) -> Result<Vec<Value>, Fault> {
        let mut all = Vec::new();
        let mut path = first.clone();
        for _ in 0..100 {
            let answer = http.get(&path)?.done()?;
            let page = answer.json()?;
            all.extend(page.as_array().ok_or_else(|| garbled("no list"))?.iter().cloned());
            match &answer.next {
                None => return Ok(all),
                Some(next) => path = first.clone().query("after", &http.cursor(next, "after")?),
            }
        }
        Err(garbled("the list does not end"))
    }

    /// The one user whose login is exactly this. Okta does not tell cases apart.
    fn user(&self, http: &Http, name: &UserName) -> Result<User, Fault> {
        let login = self.login(name);
        let filter = format!("profile.login eq {}", quoted(&login));
        let first = Path::new("/api/v1/users").query("limit", "200").query("filter", &filter);
        let mut users = Vec::new();
        for value in Self::list(http, &first)? {
            let user = User::read(&value)?;
            if user.login.to_lowercase() == login.to_lowercase() {
                users.push(user);
            }
        }
        match users.as_slice() {
            [user] => Ok(user.clone()),
            [] => Err(Fault::NotFound(format!("Okta has no user whose login is `{name}`"))),
            _ => Err(Fault::Ambiguous(format!("{} users of Okta have the login `{name}`", users.len()))),
        }
    }

    /// The user that the plan meant, by its id.
    fn again(http: &Http, seen: &Seen) -> Result<User, Fault> {
        let id = seen.ids.first().ok_or_else(|| Fault::Refused("the plan names no user".into()))?;
        let user = User::read(&http.get(&Path::new("/api/v1/users").segment(id))?.done()?.json()?)?;
        if user.id == *id { Ok(user) } else { Err(garbled("another user than was asked for")) }
    }

    fn factors(http: &Http, id: &str) -> Result<Vec<Value>, Fault> {
        Self::list(http, &Path::new("/api/v1/users").segment(id).then("/factors"))
    }

    /// The newest end of the user's sessions in the System Log, by its id.
    fn last_clear(http: &Http, id: &str) -> Result<Value, Fault> {
        let filter = format!("eventType eq \"user.session.clear\" and target.id eq {}", quoted(id));
        let path = Path::new("/api/v1/logs?limit=1&sortOrder=DESCENDING").query("filter", &filter);
        let page = http.get(&path)?.done()?.json()?;
        let page = page.as_array().ok_or_else(|| garbled("no log"))?;
        Ok(page.first().and_then(|e| e.get("uuid")).cloned().unwrap_or(Value::Null))
    }

    /// Clients that hold refresh tokens of the user.
    fn holders(http: &Http, id: &str) -> Result<Vec<String>, Fault> {
        let base = Path::new("/api/v1/users").segment(id).then("/clients");
        let mut holders = Vec::new();
        for client in Self::list(http, &base)? {
            let client =
                client.get("client_id").and_then(Value::as_str).ok_or_else(|| garbled("a client"))?;
            let tokens = base.clone().segment(client).then("/tokens");
            if !Self::list(http, &tokens)?.is_empty() {
                holders.push(client.to_owned());
            }
        }
        Ok(holders)
    }

    /// The request that an act is.
    fn request(act: Act, id: &str) -> Result<(Method, Path), Fault> {
        let user = Path::new("/api/v1/users").segment(id);
        Ok(match act {
            Act::DisableAccount => (Method::Post, user.then("/lifecycle/suspend")),
            Act::RevokeTokens => (Method::Delete, user.then("/sessions?oauthTokens=true")),
            Act::RequirePasswordChange => {
                (Method::Post, user.then("/lifecycle/expire_password?revokeSessions=true"))
            }
            Act::ResetPassword => {
                (Method::Post, user.then("/lifecycle/reset_password?sendEmail=false&revokeSessions=true"))
            }
            Act::ResetFactors => (Method::Post, user.then("/lifecycle/reset_factors")),
            other => return Err(Fault::Unsupported(format!("okta cannot {}", other.id()))),
        })
    }

    fn verdict(&self, order: &Order, known: &Known) -> Result<Effect, Fault> {
        let http = self.http(order.act)?;
        let user = Self::again(&http, &known.seen)?;
        let status = |wanted: &str| {
            let says = format!("{} is {}", user.login_shown(), user.status);
            if user.status == wanted { Effect::Effective(says) } else { Effect::NotEffective(says) }
        };
        Ok(match order.act {
            Act::DisableAccount if user.status == "DEPROVISIONED" => status("DEPROVISIONED"),
            Act::DisableAccount => status("SUSPENDED"),
            Act::RequirePasswordChange => status("PASSWORD_EXPIRED"),
            Act::ResetPassword => status("RECOVERY"),
            Act::ResetFactors => match Self::factors(&http, &user.id)?.len() {
                0 => Effect::Effective("no factor is enrolled".into()),
                n => Effect::NotEffective(format!("{n} factors are enrolled")),
            },
            _ => {
                let holders = Self::holders(&http, &user.id)?;
                if !holders.is_empty() {
                    return Ok(Effect::NotEffective(format!(
                        "{} clients hold refresh tokens",
                        holders.len()
                    )));
                }
                let before = known.seen.before.get("last_clear").cloned().unwrap_or(Value::Null);
                let last = Self::last_clear(&http, &user.id)?;
                if last.is_null() || last == before {
                    Effect::NotEffective("the System Log shows no new end of the sessions".into())
                } else {
                    Effect::Effective("the System Log shows that the sessions were cleared; no client holds a refresh token".into())
                }
            }
        })
    }
}

impl User {
    fn login_shown(&self) -> String {
        portreeve_model::untrusted::escape_for_terminal(&self.login)
    }

    /// Passwords that Okta does not keep cannot be changed here.
    fn keeps_password(&self) -> Result<(), Fault> {
        if matches!(self.provider.as_str(), "OKTA" | "IMPORT") {
            return Ok(());
        }
        Err(Fault::Unsupported(format!(
            "the password of {} is kept by {}, not by Okta; change it there",
            self.login_shown(),
            portreeve_model::untrusted::escape_for_terminal(&self.provider)
        )))
    }
}

impl Control for Okta {
    fn read(&mut self, order: &Order) -> Result<Seen, Fault> {
        let http = self.http(order.act)?;
        let user = self.user(&http, self.name(order)?)?;
        let status = user.status.as_str();
        let (mut before, mut in_force) = (json!({"status": status}), false);
        let mut says = format!("{} is {status}", user.login_shown());
        match order.act {
            Act::DisableAccount => {
                in_force = matches!(status, "SUSPENDED" | "DEPROVISIONED");
                if !in_force && status != "ACTIVE" {
                    return Err(Fault::Refused(format!("{says}; Okta suspends only what is ACTIVE")));
                }
            }
            Act::RequirePasswordChange | Act::ResetPassword => {
                user.keeps_password()?;
                let wanted = if order.act == Act::ResetPassword { "RECOVERY" } else { "PASSWORD_EXPIRED" };
                in_force = status == wanted;
            }
            Act::ResetFactors => {
                let factors = Self::factors(&http, &user.id)?;
                in_force = factors.is_empty();
                says = format!("{says}; {} factors are enrolled", factors.len());
            }
            Act::RevokeTokens => before = json!({"last_clear": Self::last_clear(&http, &user.id)?}),
            other => return Err(Fault::Unsupported(format!("okta cannot {}", other.id()))),
        }
        Ok(Seen { ids: vec![user.id], in_force, before, says, also_hits: Vec::new() })
    }

    fn preview(&self, order: &Order, seen: &Seen) -> Result<Vec<String>, Fault> {
        let id = seen.ids.first().ok_or_else(|| Fault::Refused("the plan names no user".into()))?;
        let (method, path) = Self::request(order.act, id)?;
        Ok(vec![Http::open(&self.config.endpoint)?.shown(method, &path, &Body::Nothing)])
    }

    fn apply(&mut self, order: &Order, seen: &Seen) -> Result<Ack, Fault> {
        let http = self.http(order.act)?;
        let id = seen.ids.first().ok_or_else(|| Fault::Refused("the plan names no user".into()))?;
        let (method, path) = Self::request(order.act, id)?;
        let answer = done(http.change(method, &path, &Body::Nothing)?)?;
        let mut ack = Ack::says(format!("Okta answered {}", answer.status));
        if order.act == Act::ResetPassword {
            // The link is as good as the password.
            let link = answer.json()?.get("resetPasswordUrl").and_then(Value::as_str).map(Secret::new);
            ack.handover = Some(link.ok_or_else(|| garbled("no link to set a new password"))?);
        }
        Ok(ack)
    }

    fn verify(&mut self, order: &Order, known: &Known) -> Effect {
        self.verdict(order, known).unwrap_or_else(|fault| Effect::unread(&fault))
    }

    fn undo(&mut self, order: &Order, known: &Known) -> Result<Ack, Fault> {
        if order.act != Act::DisableAccount {
            return Err(Fault::Unsupported(match order.act {
                Act::RevokeTokens => "ended sessions do not come back; the person signs in again".into(),
                Act::ResetFactors => "factors do not come back; the person enrols anew".into(),
                _ => "Okta has no way back to the old password; the person sets a new one".into(),
            }));
        }
        let http = self.http(order.act)?;
        let user = Self::again(&http, &known.seen)?;
        match user.status.as_str() {
            "SUSPENDED" => {
                let path = Path::new("/api/v1/users").segment(&user.id).then("/lifecycle/unsuspend");
                let answer = done(http.change(Method::Post, &path, &Body::Nothing)?)?;
                Ok(Ack::says(format!("Okta answered {}", answer.status)))
            }
            "ACTIVE" => Ok(Ack::says("was ACTIVE already")),
            other => Err(Fault::Refused(format!("the account is {other} now, by another hand; it is left"))),
        }
    }

    fn verify_undone(&mut self, order: &Order, known: &Known) -> Effect {
        if order.act != Act::DisableAccount {
            return Effect::NotEffective("this cannot be undone".into());
        }
        match self.http(order.act).and_then(|http| Self::again(&http, &known.seen)) {
            Err(fault) => Effect::unread(&fault),
            Ok(user) if user.status == "ACTIVE" => {
                Effect::Effective(format!("{} is ACTIVE", user.login_shown()))
            }
            Ok(user) => Effect::NotEffective(format!("{} is {}", user.login_shown(), user.status)),
        }
    }

    fn doctor(&mut self) -> Vec<Ability> {
        let ask = |what: &str, path: Path| {
            let answer = self.http(Act::DisableAccount).and_then(|http| http.get(&path)?.done());
            match answer {
                Ok(answer) => Ability::new(what, Some(true), format!("answered {}", answer.status)),
                Err(fault) => Ability::new(what, Some(false), fault.to_string()),
            }
        };
        vec![
            ask("read users", Path::new("/api/v1/users?limit=1")),
            ask("read the System Log", Path::new("/api/v1/logs?limit=1")),
            Ability::new(
                "suspend, end sessions, reset",
                None,
                "Okta tells this only by doing it; the roles of the token's owner are in the admin console",
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_stays_inside_its_quotes() {
        assert_eq!(quoted("a\" or profile.login pr or \"\\"), r#""a\" or profile.login pr or \"\\""#);
    }
}
