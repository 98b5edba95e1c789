//! Microsoft Entra ID by Microsoft Graph: accounts, sign-in sessions, passwords and authentication methods.
//!
//! The token comes from the login host by client credentials; both hosts stand in the configuration. The directory is
//! eventually consistent: reading may lag by minutes.

use crate::act::Act;
use crate::connector::{
    Ability, Ack, Can, Connector, Control, Effect, Known, Order, Proof, Seen, Setting, Settings,
};
use crate::fault::Fault;
use crate::secret::{Secret, new_password};
use crate::target::{Target, TargetKind};
use crate::transport::http::{Body, Endpoint, Http, Method, Path, percent};
use crate::value::UserName;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The directory's replicas, and Graph's own caches.
const CONSISTENT: Duration = Duration::from_secs(300);

pub static CONNECTOR: Connector = Connector {
    name: "entra",
    product: "Microsoft Entra ID",
    proof: Proof::Contract,
    can: &[
        Can {
            effect: "`accountEnabled` is false: no sign-in and no new token",
            leaves_open: "access tokens that were issued live on to their expiry (an hour or more) where the resource \
                          does not evaluate continuously; revoke the sessions too. An account that is synchronised \
                          from Active Directory is enabled again by the next synchronisation: disable it there too",
            undo: "`accountEnabled` is true again, if it was before",
            verified_by: "GET of the user: accountEnabled",
            within: CONSISTENT,
            ..Can::at_once(Act::DisableAccount, &[TargetKind::Account])
        },
        Can {
            effect: "refresh tokens and browser sessions from before now are void (revokeSignInSessions)",
            leaves_open: "access tokens to their expiry where the resource does not evaluate continuously; a new \
                          sign-in. Guests sign in at their home tenant: refused",
            undo: "none; the person signs in again",
            verified_by: "GET of the user: signInSessionsValidFromDateTime is later than before",
            within: CONSISTENT,
            ..Can::at_once(Act::RevokeTokens, &[TargetKind::Account])
        },
        Can {
            effect: "a new password at the next sign-in, for which multi-factor authentication is asked first \
                     (forceChangePasswordNextSignInWithMfa)",
            leaves_open: "sessions and tokens; an intruder who also holds a factor",
            undo: "the two flags as they were",
            verified_by: "GET of the user: passwordProfile",
            within: CONSISTENT,
            ..Can::at_once(Act::RequirePasswordChange, &[TargetKind::Account])
        },
        Can {
            effect: "a random password, handed to the approver alone, once; it must be changed at the next sign-in, \
                     with multi-factor authentication",
            leaves_open: "sessions and tokens until they are revoked. Passwords that Active Directory keeps are \
                          refused: reset there",
            undo: "none: the old password is not known",
            verified_by: "GET of the user: lastPasswordChangeDateTime is later than before",
            within: CONSISTENT,
            ..Can::at_once(Act::ResetPassword, &[TargetKind::Account])
        },
        Can {
            effect: "every authentication method but the password is deleted",
            leaves_open: "whoever knows the password may register a method of his own; so sessions and the password \
                          come first",
            undo: "none: the person registers anew",
            verified_by: "GET of the authentication methods: only the password is left",
            within: CONSISTENT,
            ..Can::at_once(Act::ResetFactors, &[TargetKind::Account])
        },
    ],
    needs: "application permissions: User.Read.All, User.EnableDisableAccount.All, User.RevokeSessions.All, \
            User-PasswordProfile.ReadWrite.All, UserAuthenticationMethod.ReadWrite.All; for accounts with \
            administrator roles also the role Privileged Authentication Administrator",
    settings: &[
        Setting {
            name: "endpoint",
            required: true,
            says: "`url: https://graph.microsoft.com`, `ca`, `timeout`",
        },
        Setting {
            name: "login",
            required: true,
            says: "`url: https://login.microsoftonline.com`, `ca`, `timeout`",
        },
        Setting { name: "tenant", required: true, says: "the directory's id or domain" },
        Setting {
            name: "client_id",
            required: true,
            says: "the application's id; its secret is the credential",
        },
        Setting { name: "domain", required: false, says: "put behind names without one: `corp.example`" },
    ],
    source: "Microsoft Graph REST API v1.0: user, revokeSignInSessions, authentication methods; Microsoft identity \
             platform, client credentials",
    open,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    endpoint: Endpoint,
    login: Endpoint,
    tenant: String,
    client_id: String,
    domain: Option<String>,
}

fn open(settings: &Settings) -> Result<Box<dyn Control>, Fault> {
    let config: Config = settings.fields()?;
    Http::open(&config.endpoint)?;
    Http::open(&config.login)?;
    Ok(Box::new(Entra { settings: settings.clone(), config, tokens: BTreeMap::new() }))
}

struct Entra {
    settings: Settings,
    config: Config,
    /// By act, because each may have its own credential; with the time from which it is not used any more.
    tokens: BTreeMap<Act, (Secret, Instant)>,
}

#[derive(Clone, Debug)]
struct User {
    id: String,
    name: String,
    enabled: bool,
    guest: bool,
    synchronised: bool,
    valid_from: Value,
    password_changed: Value,
    profile: Value,
}

const SELECT: &str = "id,userPrincipalName,accountEnabled,userType,onPremisesSyncEnabled,\
                      signInSessionsValidFromDateTime,lastPasswordChangeDateTime,passwordProfile";

fn garbled(what: &str) -> Fault {
    Fault::Garbled(format!("Graph: {what}"))
}

impl User {
    fn read(value: &Value) -> Result<User, Fault> {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let flag = |name: &str| value.get(name).and_then(Value::as_bool);
        let (Some(id), Some(name), Some(enabled)) =
            (text("id"), text("userPrincipalName"), flag("accountEnabled"))
        else {
            return Err(garbled("a user without id, userPrincipalName and accountEnabled"));
        };
        let get = |name: &str| value.get(name).cloned().unwrap_or(Value::Null);
        Ok(User {
            id: id.to_owned(),
            name: name.to_owned(),
            enabled,
            guest: text("userType") == Some("Guest"),
            synchronised: flag("onPremisesSyncEnabled") == Some(true),
            valid_from: get("signInSessionsValidFromDateTime"),
            password_changed: get("lastPasswordChangeDateTime"),
            profile: get("passwordProfile"),
        })
    }

    fn shown(&self) -> String {
        portreeve_model::untrusted::escape_for_terminal(&self.name)
    }

    fn forced(&self) -> (bool, bool) {
        let flag = |name: &str| self.profile.get(name).and_then(Value::as_bool) == Some(true);
        (flag("forceChangePasswordNextSignIn"), flag("forceChangePasswordNextSignInWithMfa"))
    }
}

/// A method of authentication that can be deleted, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
struct AuthMethod {
    place: &'static str,
    id: String,
}

/// The collection of each type. The password is no method that can be deleted.
fn collection(kind: &str) -> Option<&'static str> {
    Some(match kind.strip_prefix("#microsoft.graph.")? {
        "emailAuthenticationMethod" => "/authentication/emailMethods",
        "fido2AuthenticationMethod" => "/authentication/fido2Methods",
        "microsoftAuthenticatorAuthenticationMethod" => "/authentication/microsoftAuthenticatorMethods",
        "phoneAuthenticationMethod" => "/authentication/phoneMethods",
        "platformCredentialAuthenticationMethod" => "/authentication/platformCredentialMethods",
        "softwareOathAuthenticationMethod" => "/authentication/softwareOathMethods",
        "temporaryAccessPassAuthenticationMethod" => "/authentication/temporaryAccessPassMethods",
        "windowsHelloForBusinessAuthenticationMethod" => "/authentication/windowsHelloForBusinessMethods",
        _ => return None,
    })
}

impl Entra {
    fn http(&mut self, act: Act) -> Result<Http, Fault> {
        let now = Instant::now();
        let kept = self.tokens.get(&act).filter(|(_, until)| *until > now).map(|(token, _)| token.clone());
        let token = match kept {
            Some(token) => token,
            None => {
                let (token, lives) = self.token(act)?;
                self.tokens.insert(act, (token.clone(), now + lives));
                token
            }
        };
        Ok(Http::open(&self.config.endpoint)?.bearer(&token))
    }

    /// A new token, and how long it may be used.
    fn token(&self, act: Act) -> Result<(Secret, Duration), Fault> {
        let secret = self.settings.credential(act)?;
        let login = Http::open(&self.config.login)?;
        let scope = format!("{}/.default", self.config.endpoint.url.trim_end_matches('/'));
        let mut form = String::from("grant_type=client_credentials");
        for (name, value) in [
            ("client_id", self.config.client_id.as_str()),
            ("client_secret", secret.expose()),
            ("scope", &scope),
        ] {
            form.push_str(&format!("&{name}="));
            percent(&mut form, value);
        }
        let form = Secret::new(form);
        let path = Path::new("").segment(&self.config.tenant).then("/oauth2/v2.0/token");
        let body = Body::Text("application/x-www-form-urlencoded", form.expose());
        let answer = login.change(Method::Post, &path, &body).map_err(|fault| match fault {
            // Asking for a token changes nothing.
            Fault::Lost(why) => Fault::Unreachable(why),
            other => other,
        })?;
        if !answer.ok() {
            // `invalid_client`, `unauthorized_client`: the description repeats ids, not the secret.
            let whole: Value = serde_json::from_str(&answer.body).unwrap_or_default();
            let error = whole.get("error").and_then(Value::as_str).unwrap_or("no token");
            let error = portreeve_model::untrusted::escape_for_terminal(error);
            return Err(match answer.status {
                429 | 500.. => Fault::Unreachable(format!("no token: status {}", answer.status)),
                status => Fault::Credential(format!("no token: {error} (status {status})")),
            });
        }
        let whole = answer.json()?;
        let token = whole.get("access_token").and_then(Value::as_str);
        let token = token.ok_or_else(|| garbled("an answer without access_token"))?;
        let lives = whole.get("expires_in").and_then(Value::as_u64).unwrap_or(300);
        Ok((Secret::new(token), Duration::from_secs(lives.saturating_sub(60))))
    }

    fn principal(&self, order: &Order) -> Result<String, Fault> {
        let name: &UserName = match &order.target {
            Target::Account { name } => name,
            other => return Err(Fault::Unsupported(format!("entra acts on accounts, not {other}"))),
        };
        Ok(match &self.config.domain {
            Some(domain) if !name.raw().contains('@') => format!("{}@{domain}", name.short()),
            _ => name.raw().to_owned(),
        })
    }

    fn list(http: &Http, first: &Path) -> Result<Vec<Value>, Fault> {
        let mut all = Vec::new();
        let mut path = first.clone();
        for _ in 0..100 {
            let page = http.get(&path)?.done()?.json()?;
            let values = page.get("value").and_then(Value::as_array).ok_or_else(|| garbled("no list"))?;
            all.extend(values.iter().cloned());
            match page.get("@odata.nextLink").and_then(Value::as_str) {
                None => return Ok(all),
                Some(next) => {
                    path = first.clone().query("$skiptoken", &http.cursor(next, "$skiptoken")?);
                }
            }
        }
        Err(garbled("the list does not end"))
    }

    /// The one user of exactly this principal name. Entra does not tell cases apart.
    fn user(&mut self, order: &Order) -> Result<User, Fault> {
        let name = self.principal(order)?;
        let http = self.http(order.act)?;
        let filter = format!("userPrincipalName eq '{}'", name.replace('\'', "''"));
        let first = Path::new("/v1.0/users").query("$select", SELECT).query("$filter", &filter);
        let mut users = Vec::new();
        for value in Self::list(&http, &first)? {
            let user = User::read(&value)?;
            if user.name.to_lowercase() == name.to_lowercase() {
                users.push(user);
            }
        }
        let shown = portreeve_model::untrusted::escape_for_terminal(&name);
        match users.as_slice() {
            [user] => Ok(user.clone()),
            [] => Err(Fault::NotFound(format!("the tenant has no user `{shown}`"))),
            _ => Err(Fault::Ambiguous(format!("{} users have the name `{shown}`", users.len()))),
        }
    }

    /// The user that the plan meant, by its id.
    fn again(&mut self, act: Act, seen: &Seen) -> Result<User, Fault> {
        let id = planned(seen)?;
        let path = Path::new("/v1.0/users").segment(id).query("$select", SELECT);
        let user = User::read(&self.http(act)?.get(&path)?.done()?.json()?)?;
        if user.id == id { Ok(user) } else { Err(garbled("another user than was asked for")) }
    }

    /// The methods but the password. A type that is not known here is an error: it would stay behind unseen.
    fn methods(http: &Http, id: &str) -> Result<Vec<AuthMethod>, Fault> {
        let mut found = Vec::new();
        for value in Self::list(http, &Path::new("/v1.0/users").segment(id).then("/authentication/methods"))?
        {
            let text = |name: &str| value.get(name).and_then(Value::as_str);
            let (Some(kind), Some(method)) = (text("@odata.type"), text("id")) else {
                return Err(garbled("a method without type and id"));
            };
            if kind == "#microsoft.graph.passwordAuthenticationMethod" {
                continue;
            }
            let place = collection(kind).ok_or_else(|| {
                let kind = portreeve_model::untrusted::escape_for_terminal(kind);
                Fault::Refused(format!(
                    "a method of type {kind} cannot be deleted by this connector; nothing was sent"
                ))
            })?;
            found.push(AuthMethod { place, id: method.to_owned() });
        }
        found.sort_by(|a, b| (a.place, &a.id).cmp(&(b.place, &b.id)));
        Ok(found)
    }

    fn delete_methods(http: &Http, id: &str) -> Result<Ack, Fault> {
        let mut left = Self::methods(http, id)?;
        let (mut deleted, mut lost) = (0, None);
        // The default method is refused as long as there are others, so what was refused is tried once more.
        for round in 0..2 {
            let mut refused = Vec::new();
            for method in left {
                let path = Path::new("/v1.0/users").segment(id).then(method.place).segment(&method.id);
                match http.change(Method::Delete, &path, &Body::Nothing).and_then(|a| a.done()) {
                    Ok(_) | Err(Fault::NotFound(_)) => deleted += 1,
                    Err(Fault::Refused(_)) if round == 0 => refused.push(method),
                    Err(fault) if fault.may_have_acted() => lost = Some(fault),
                    Err(fault) if deleted == 0 && lost.is_none() => return Err(fault),
                    Err(fault) => {
                        return Err(Fault::Lost(format!("{deleted} methods were deleted; then {fault}")));
                    }
                }
            }
            left = refused;
        }
        match lost {
            Some(fault) => Err(fault),
            None => Ok(Ack::says(format!("Graph took {deleted} deletions"))),
        }
    }

    fn patch(&mut self, order: &Order, id: &str, body: &Value) -> Result<Ack, Fault> {
        let path = Path::new("/v1.0/users").segment(id);
        let answer = self.http(order.act)?.change(Method::Patch, &path, &Body::Json(body))?.done()?;
        Ok(Ack::says(format!("Graph answered {}", answer.status)))
    }

    fn verdict(&mut self, order: &Order, known: &Known) -> Result<Effect, Fault> {
        let user = self.again(order.act, &known.seen)?;
        let before = &known.seen.before;
        let told = |effective: bool, says: String| {
            if effective { Effect::Effective(says) } else { Effect::NotEffective(says) }
        };
        Ok(match order.act {
            Act::DisableAccount => {
                told(!user.enabled, format!("{}: accountEnabled is {}", user.shown(), user.enabled))
            }
            Act::RevokeTokens if user.guest => Effect::NotEffective(format!(
                "{} is a guest; the home tenant keeps the sessions",
                user.shown()
            )),
            Act::RevokeTokens => {
                let says = format!("sessions are valid from {}", shown(&user.valid_from));
                told(later(&user.valid_from, before.get("valid_from")), says)
            }
            Act::RequirePasswordChange => {
                let (force, with_mfa) = user.forced();
                told(
                    force && with_mfa,
                    format!("new password at the next sign-in: {force}, with MFA: {with_mfa}"),
                )
            }
            Act::ResetPassword => {
                let says = format!("the password was changed at {}", shown(&user.password_changed));
                told(later(&user.password_changed, before.get("password_changed")), says)
            }
            Act::ResetFactors => {
                let http = self.http(order.act)?;
                let left = Self::methods(&http, &user.id)?.len();
                told(left == 0, format!("{left} methods besides the password"))
            }
            other => return Err(Fault::Unsupported(format!("entra cannot {}", other.id()))),
        })
    }
}

fn planned(seen: &Seen) -> Result<&str, Fault> {
    seen.ids.first().map(String::as_str).ok_or_else(|| Fault::Refused("the plan names no user".into()))
}

fn shown(time: &Value) -> String {
    portreeve_model::untrusted::escape_for_terminal(time.as_str().unwrap_or("(never)"))
}

/// Is a time of Graph later than one that was read before? None before counts as the beginning.
fn later(now: &Value, before: Option<&Value>) -> bool {
    let time = |v: &Value| v.as_str().and_then(|t| t.parse::<jiff::Timestamp>().ok());
    match (time(now), before.and_then(time)) {
        (Some(now), Some(before)) => now > before,
        (Some(_), None) => true,
        (None, _) => false,
    }
}

fn forced(change: bool, with_mfa: bool) -> Value {
    json!({"passwordProfile": {"forceChangePasswordNextSignIn": change,
                               "forceChangePasswordNextSignInWithMfa": with_mfa}})
}

impl Control for Entra {
    fn read(&mut self, order: &Order) -> Result<Seen, Fault> {
        let user = self.user(order)?;
        let name = user.shown();
        let (in_force, before, says) = match order.act {
            Act::DisableAccount => {
                let synchronised = if user.synchronised {
                    "; synchronised from Active Directory: disable it there too"
                } else {
                    ""
                };
                let state = if user.enabled { "enabled" } else { "disabled" };
                (!user.enabled, json!({"enabled": user.enabled}), format!("{name} is {state}{synchronised}"))
            }
            Act::RevokeTokens if user.guest => {
                return Err(Fault::Unsupported(format!(
                    "{name} is a guest and signs in at the home tenant; revoking here would have no effect. \
                     Disable the guest account instead"
                )));
            }
            Act::RevokeTokens => {
                let says = format!("{name}: sessions are valid from {}", shown(&user.valid_from));
                (false, json!({"valid_from": user.valid_from}), says)
            }
            Act::RequirePasswordChange | Act::ResetPassword if user.synchronised => {
                return Err(Fault::Unsupported(format!(
                    "the password of {name} is kept by Active Directory; change it there"
                )));
            }
            Act::RequirePasswordChange => {
                let (force, with_mfa) = user.forced();
                let says = format!("{name}: new password at the next sign-in: {force}, with MFA: {with_mfa}");
                (force && with_mfa, json!({"force": force, "with_mfa": with_mfa}), says)
            }
            Act::ResetPassword => {
                let says = format!("{name}: the password was changed at {}", shown(&user.password_changed));
                (false, json!({"password_changed": user.password_changed}), says)
            }
            Act::ResetFactors => {
                let http = self.http(order.act)?;
                let methods = Self::methods(&http, &user.id)?;
                let names: Vec<String> = methods
                    .iter()
                    .map(|m| m.place.trim_start_matches("/authentication/").to_owned())
                    .collect();
                let says =
                    format!("{name} has {}", if names.is_empty() { "none".into() } else { names.join(", ") });
                (methods.is_empty(), json!({"methods": names}), says)
            }
            other => return Err(Fault::Unsupported(format!("entra cannot {}", other.id()))),
        };
        Ok(Seen { ids: vec![user.id], in_force, before, says, also_hits: Vec::new() })
    }

    fn preview(&self, order: &Order, seen: &Seen) -> Result<Vec<String>, Fault> {
        let http = Http::open(&self.config.endpoint)?;
        let user = Path::new("/v1.0/users").segment(planned(seen)?);
        let patch = |body: Value| vec![http.shown(Method::Patch, &user, &Body::Json(&body))];
        Ok(match order.act {
            Act::DisableAccount => patch(json!({"accountEnabled": false})),
            Act::RevokeTokens => {
                vec![http.shown(Method::Post, &user.then("/revokeSignInSessions"), &Body::Nothing)]
            }
            Act::RequirePasswordChange => patch(forced(true, true)),
            Act::ResetPassword => {
                let mut body = forced(true, true);
                body["passwordProfile"]["password"] = "***".into();
                patch(body)
            }
            Act::ResetFactors => {
                let names = seen.before.get("methods").and_then(Value::as_array);
                let names = names.into_iter().flatten().filter_map(Value::as_str);
                names
                    .map(|name| {
                        format!("DELETE {}{}/authentication/{name}/(its id)", http.base(), user.as_str())
                    })
                    .collect()
            }
            other => return Err(Fault::Unsupported(format!("entra cannot {}", other.id()))),
        })
    }

    fn apply(&mut self, order: &Order, seen: &Seen) -> Result<Ack, Fault> {
        let id = planned(seen)?;
        match order.act {
            Act::DisableAccount => self.patch(order, id, &json!({"accountEnabled": false})),
            Act::RevokeTokens => {
                let path = Path::new("/v1.0/users").segment(id).then("/revokeSignInSessions");
                let answer = self.http(order.act)?.change(Method::Post, &path, &Body::Nothing)?.done()?;
                Ok(Ack::says(format!("Graph answered {}", answer.status)))
            }
            Act::RequirePasswordChange => self.patch(order, id, &forced(true, true)),
            Act::ResetPassword => {
                let password = new_password()?;
                let mut body = forced(true, true);
                body["passwordProfile"]["password"] = password.expose().into();
                let mut ack = self.patch(order, id, &body)?;
                ack.handover = Some(password);
                Ok(ack)
            }
            Act::ResetFactors => Self::delete_methods(&self.http(order.act)?, id),
            other => Err(Fault::Unsupported(format!("entra cannot {}", other.id()))),
        }
    }

    fn verify(&mut self, order: &Order, known: &Known) -> Effect {
        self.verdict(order, known).unwrap_or_else(|fault| Effect::unread(&fault))
    }

    fn undo(&mut self, order: &Order, known: &Known) -> Result<Ack, Fault> {
        let before = known.seen.before.clone();
        let was = |name: &str| before.get(name).and_then(Value::as_bool) == Some(true);
        match order.act {
            Act::DisableAccount => {
                if !was("enabled") {
                    return Err(Fault::Refused("the account was disabled before; it is left".into()));
                }
                let user = self.again(order.act, &known.seen)?;
                if user.enabled {
                    return Ok(Ack::says("was enabled already"));
                }
                self.patch(order, &user.id, &json!({"accountEnabled": true}))
            }
            Act::RequirePasswordChange => {
                let user = self.again(order.act, &known.seen)?;
                let target = (was("force"), was("with_mfa"));
                if user.forced() == target || user.forced() == (false, false) {
                    // The person has set a new password meanwhile; a demand is not put back.
                    return Ok(Ack::says("is not asked for any more"));
                }
                self.patch(order, &user.id, &forced(target.0, target.1))
            }
            Act::RevokeTokens => {
                Err(Fault::Unsupported("ended sessions do not come back; the person signs in again".into()))
            }
            Act::ResetPassword => {
                Err(Fault::Unsupported("the old password is not known; the person sets a new one".into()))
            }
            Act::ResetFactors => {
                Err(Fault::Unsupported("methods do not come back; the person registers anew".into()))
            }
            other => Err(Fault::Unsupported(format!("entra cannot {}", other.id()))),
        }
    }

    fn verify_undone(&mut self, order: &Order, known: &Known) -> Effect {
        match (order.act, self.again(order.act, &known.seen)) {
            (_, Err(fault)) => Effect::unread(&fault),
            (Act::DisableAccount, Ok(user)) if user.enabled => {
                Effect::Effective(format!("{} is enabled", user.shown()))
            }
            (Act::DisableAccount, Ok(user)) => Effect::NotEffective(format!("{} is disabled", user.shown())),
            (Act::RequirePasswordChange, Ok(user)) => {
                let before = &known.seen.before;
                let was = |name: &str| before.get(name).and_then(Value::as_bool) == Some(true);
                if user.forced() == (was("force"), was("with_mfa")) || user.forced() == (false, false) {
                    Effect::Effective("no new password is asked for by this step".into())
                } else {
                    Effect::NotEffective("a new password is asked for".into())
                }
            }
            (_, Ok(_)) => Effect::NotEffective("this cannot be undone".into()),
        }
    }

    fn doctor(&mut self) -> Vec<Ability> {
        let token = match self.token(Act::DisableAccount) {
            Ok((token, _)) => token,
            Err(fault) => return vec![Ability::new("token", Some(false), fault.to_string())],
        };
        let mut found = vec![Ability::new("token", Some(true), "by client credentials")];
        let granted = roles(token.expose());
        let needed = [
            ("read users", "User.Read.All"),
            ("disable accounts", "User.EnableDisableAccount.All"),
            ("revoke sessions", "User.RevokeSessions.All"),
            ("change passwords", "User-PasswordProfile.ReadWrite.All"),
            ("reset factors", "UserAuthenticationMethod.ReadWrite.All"),
        ];
        for (what, role) in needed {
            let able = granted.as_ref().map(|granted| {
                granted.iter().any(|g| g == role || (g == "User.ReadWrite.All" && role.starts_with("User.")))
            });
            found.push(Ability::new(what, able, format!("by {role}")));
        }
        found
    }
}

/// The application permissions in a token. Read for `doctor` alone; Graph is who checks them.
fn roles(token: &str) -> Option<Vec<String>> {
    let payload = token.split('.').nth(1)?;
    let bytes = URL_SAFE_NO_PAD.decode(payload).ok()?;
    let whole: Value = serde_json::from_slice(&bytes).ok()?;
    let roles = whole.get("roles").and_then(Value::as_array)?;
    Some(roles.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_compared_as_times() {
        let t = |text: &str| Value::from(text);
        assert!(later(&t("2026-11-02T09:00:00.5Z"), Some(&t("2026-11-02T09:00:00Z"))));
        assert!(!later(&t("2026-11-02T09:00:00Z"), Some(&t("2026-11-02T09:00:00.000Z"))));
        assert!(later(&t("2026-11-02T09:00:00Z"), Some(&Value::Null)));
        assert!(!later(&Value::Null, Some(&t("2026-11-02T09:00:00Z"))));
    }

    #[test]
    fn permissions_are_read_from_a_token_and_nothing_from_a_broken_one() {
        let payload = URL_SAFE_NO_PAD.encode(r#"{"roles":["User.Read.All"]}"#);
        assert_eq!(roles(&format!("h.{payload}.s")), Some(vec!["User.Read.All".to_owned()]));
        assert_eq!(roles("opaque"), None);
    }
}
