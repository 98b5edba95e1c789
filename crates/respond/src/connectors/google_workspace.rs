//! Google Workspace by the Directory API: accounts, sign-ins with the tokens of applications, passwords at the next
//! login.
//!
//! The access token comes from the token host, by a service account with domain-wide delegation, by a refresh token,
//! or is given. Google shows nobody's sessions, so that a sign-out was taken is all that can be known of it.

use crate::act::Act;
use crate::connector::{
    Ability, Ack, Can, Connector, Control, Effect, Known, Order, Proof, Seen, Setting, Settings,
};
use crate::fault::Fault;
use crate::secret::Secret;
use crate::target::{Target, TargetKind};
use crate::transport::http::{Answer, Body, Endpoint, Http, Method, Path, percent};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::SignatureScheme;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use zeroize::Zeroizing;

pub static CONNECTOR: Connector = Connector {
    name: "google_workspace",
    product: "Google Workspace",
    proof: Proof::Contract,
    can: &[
        Can {
            effect: "the account is suspended: no sign-in, and Google ends its sessions and tokens",
            leaves_open: "sessions that other applications keep after a sign-in with Google; mail that is forwarded \
                          or delegated",
            undo: "the account is no longer suspended, if it was not before; tokens do not come back",
            verified_by: "GET of the user: suspended",
            within: Duration::from_secs(60),
            ..Can::at_once(Act::DisableAccount, &[TargetKind::Account])
        },
        Can {
            effect: "the account is signed out of all web and device sessions (signOut), and every token that other \
                     applications hold is deleted",
            leaves_open: "a new sign-in with the password; application-specific passwords; access tokens for up to \
                          an hour",
            undo: "none; the person signs in again",
            verified_by: "GET of the tokens: there is none. Sessions are not shown by Google: a person looks at \
                          Security, Investigation tool, User log events, after the time of this step",
            within: Duration::from_secs(60),
            ..Can::at_once(Act::RevokeTokens, &[TargetKind::Account])
        },
        Can {
            effect: "a new password at the next sign-in (changePasswordAtNextLogin)",
            leaves_open: "whoever knows the password may be the one who changes it; sessions live on. Without effect \
                          where another identity provider signs people in",
            undo: "the flag as it was",
            verified_by: "GET of the user: changePasswordAtNextLogin",
            within: Duration::from_secs(60),
            ..Can::at_once(Act::RequirePasswordChange, &[TargetKind::Account])
        },
    ],
    needs: "the scopes admin.directory.user and admin.directory.user.security, for an administrator with the \
            privilege Users: Update (suspension, password) and User Security Management",
    settings: &[
        Setting {
            name: "endpoint",
            required: true,
            says: "`url: https://admin.googleapis.com`, `ca`, `timeout`",
        },
        Setting {
            name: "token",
            required: false,
            says: "`url: https://oauth2.googleapis.com`; needed unless the credential is an access token",
        },
        Setting {
            name: "subject",
            required: false,
            says: "the administrator for whom a service account acts; the credential is then its key file",
        },
        Setting { name: "domain", required: false, says: "put behind names without one: `corp.example`" },
    ],
    source: "Directory API: users, tokens; Using OAuth 2.0 for server to server applications. Passwords are not \
             reset, because no reading shows that it worked; two-step verification is not turned off, because that \
             weakens the account",
    open,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    endpoint: Endpoint,
    token: Option<Endpoint>,
    subject: Option<String>,
    domain: Option<String>,
}

fn open(settings: &Settings) -> Result<Box<dyn Control>, Fault> {
    let config: Config = settings.fields()?;
    Http::open(&config.endpoint)?;
    if let Some(token) = &config.token {
        Http::open(token)?;
    }
    Ok(Box::new(Google { settings: settings.clone(), config }))
}

struct Google {
    settings: Settings,
    config: Config,
}

/// What the credential holds.
#[derive(Deserialize)]
#[serde(untagged)]
enum Credential {
    /// The key file of a service account; its own `token_uri` is not followed.
    Service {
        client_email: String,
        private_key: String,
        private_key_id: Option<String>,
    },
    Refresh {
        client_id: String,
        client_secret: String,
        refresh_token: String,
    },
}

#[derive(Clone, Debug)]
struct User {
    id: String,
    email: String,
    suspended: bool,
    change: bool,
}

const SCOPES: &str = "https://www.googleapis.com/auth/admin.directory.user \
                      https://www.googleapis.com/auth/admin.directory.user.security";

fn garbled(what: &str) -> Fault {
    Fault::Garbled(format!("Google: {what}"))
}

/// Too many requests are a 403 as well at Google; that is no matter of the credential.
fn done(answer: Answer) -> Result<Answer, Fault> {
    let busy = |body: &str| {
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        let reason = body.pointer("/error/errors/0/reason").and_then(Value::as_str);
        matches!(reason, Some("rateLimitExceeded" | "userRateLimitExceeded" | "quotaExceeded"))
    };
    if answer.status == 403 && busy(&answer.body) {
        return Err(Fault::Refused("too many requests (status 403)".into()));
    }
    answer.done()
}

fn planned(seen: &Seen) -> Result<&str, Fault> {
    seen.ids.first().map(String::as_str).ok_or_else(|| Fault::Refused("the plan names no user".into()))
}

/// A signed statement that the service account acts for the subject (RFC 7523, RS256).
fn assertion(
    email: &str,
    key_id: Option<&str>,
    private_key: &str,
    subject: &str,
    audience: &str,
    now: i64,
) -> Result<Secret, Fault> {
    let wrong = || Fault::Credential("the service account's key is no RSA key in PEM".into());
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": key_id});
    let claims =
        json!({"iss": email, "sub": subject, "scope": SCOPES, "aud": audience, "iat": now, "exp": now + 600});
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&header), part(&claims));
    let key = PrivateKeyDer::from_pem_slice(private_key.as_bytes()).map_err(|_| wrong())?;
    let provider = rustls::crypto::ring::default_provider();
    let key = provider.key_provider.load_private_key(key).map_err(|_| wrong())?;
    let signer = key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]).ok_or_else(wrong)?;
    let signature = signer.sign(signed.as_bytes()).map_err(|_| wrong())?;
    Ok(Secret::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))))
}

impl User {
    fn read(value: &Value) -> Result<User, Fault> {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let flag = |name: &str| value.get(name).and_then(Value::as_bool);
        match (text("id"), text("primaryEmail"), flag("suspended")) {
            (Some(id), Some(email), Some(suspended)) => Ok(User {
                id: id.to_owned(),
                email: email.to_owned(),
                suspended,
                change: flag("changePasswordAtNextLogin").unwrap_or(false),
            }),
            _ => Err(garbled("a user without id, primaryEmail and suspended")),
        }
    }

    fn shown(&self) -> String {
        portreeve_model::untrusted::escape_for_terminal(&self.email)
    }
}

impl Google {
    fn http(&self, act: Act) -> Result<Http, Fault> {
        let secret = self.settings.credential(act)?;
        let http = Http::open(&self.config.endpoint)?;
        if !secret.expose().trim_start().starts_with('{') {
            return Ok(http.bearer(&secret));
        }
        let credential: Credential = serde_json::from_str(secret.expose()).map_err(|_| {
            Fault::Credential(
                "is neither a service account's key file nor a client with its refresh token".into(),
            )
        })?;
        Ok(http.bearer(&self.token(&credential)?))
    }

    fn token(&self, credential: &Credential) -> Result<Secret, Fault> {
        let endpoint = self.config.token.as_ref().ok_or_else(|| {
            Fault::Config(
                "token: the host that gives tokens is missing (https://oauth2.googleapis.com)".into(),
            )
        })?;
        let http = Http::open(endpoint)?;
        let mut form = Zeroizing::new(String::new());
        let mut put = |name: &str, value: &str| {
            if !form.is_empty() {
                form.push('&');
            }
            form.push_str(name);
            form.push('=');
            percent(&mut form, value);
        };
        match credential {
            Credential::Service { client_email, private_key, private_key_id } => {
                let subject = self.config.subject.as_deref().ok_or_else(|| {
                    Fault::Config(
                        "subject: the administrator for whom the service account acts is missing".into(),
                    )
                })?;
                let now = jiff::Timestamp::now().as_second();
                let audience = format!("{}/token", http.base());
                let key_id = private_key_id.as_deref();
                let signed = assertion(client_email, key_id, private_key, subject, &audience, now)?;
                put("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
                put("assertion", signed.expose());
            }
            Credential::Refresh { client_id, client_secret, refresh_token } => {
                put("grant_type", "refresh_token");
                put("client_id", client_id);
                put("client_secret", client_secret);
                put("refresh_token", refresh_token);
            }
        }
        let body = Body::Text("application/x-www-form-urlencoded", &form);
        let answer = http.change(Method::Post, &Path::new("/token"), &body).map_err(|fault| match fault {
            // Asking for a token changes nothing.
            Fault::Lost(why) => Fault::Unreachable(why),
            other => other,
        })?;
        let whole: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        let text = |name: &str| whole.get(name).and_then(Value::as_str);
        match (answer.status, text("access_token")) {
            (200, Some(token)) => Ok(Secret::new(token)),
            (429 | 500.., _) => Err(Fault::Unreachable(format!("no token: status {}", answer.status))),
            (status, _) => {
                let error =
                    portreeve_model::untrusted::escape_for_terminal(text("error").unwrap_or("no reason"));
                Err(Fault::Credential(format!("no token: {error} (status {status})")))
            }
        }
    }

    fn email(&self, order: &Order) -> Result<String, Fault> {
        let name = match &order.target {
            Target::Account { name } => name,
            other => {
                return Err(Fault::Unsupported(format!("google_workspace acts on accounts, not {other}")));
            }
        };
        match &self.config.domain {
            _ if name.raw().contains('@') => Ok(name.raw().to_owned()),
            Some(domain) => Ok(format!("{}@{domain}", name.short())),
            // A bare number would be taken for an id.
            None => Err(Fault::NotFound(format!("`{name}` is no address of mail"))),
        }
    }

    fn path(key: &str) -> Path {
        Path::new("/admin/directory/v1/users").segment(key)
    }

    /// The user whose primary address is exactly this. Google finds users by aliases and ids as well.
    fn user(&self, http: &Http, order: &Order) -> Result<User, Fault> {
        let email = self.email(order)?;
        let user = User::read(&done(http.get(&Self::path(&email))?)?.json()?)?;
        if user.email.to_lowercase() == email.to_lowercase() {
            return Ok(user);
        }
        Err(Fault::NotFound(format!(
            "`{}` is not the primary address of a user; it leads to {}",
            portreeve_model::untrusted::escape_for_terminal(&email),
            user.shown()
        )))
    }

    /// The user that the plan meant, by its id.
    fn again(http: &Http, seen: &Seen) -> Result<User, Fault> {
        let id = planned(seen)?;
        let user = User::read(&done(http.get(&Self::path(id))?)?.json()?)?;
        if user.id == id { Ok(user) } else { Err(garbled("another user than was asked for")) }
    }

    /// The applications that hold tokens of the user.
    fn tokens(http: &Http, id: &str) -> Result<Vec<String>, Fault> {
        let whole = done(http.get(&Self::path(id).then("/tokens"))?)?.json()?;
        let items = whole.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
        let client = |item: &Value| item.get("clientId").and_then(Value::as_str).map(str::to_owned);
        items.iter().map(|i| client(i).ok_or_else(|| garbled("a token without clientId"))).collect()
    }

    fn patch(&self, order: &Order, id: &str, body: &Value) -> Result<Ack, Fault> {
        let answer = self.http(order.act)?.change(Method::Patch, &Self::path(id), &Body::Json(body))?;
        let answer = done(answer)?;
        Ok(Ack::says(format!("Google answered {}", answer.status)))
    }

    fn verdict(&self, order: &Order, known: &Known) -> Result<Effect, Fault> {
        let http = self.http(order.act)?;
        let user = Self::again(&http, &known.seen)?;
        let told = |effective: bool, says: String| {
            if effective { Effect::Effective(says) } else { Effect::NotEffective(says) }
        };
        Ok(match order.act {
            Act::DisableAccount => told(user.suspended, format!("{}: suspended is {}", user.shown(), user.suspended)),
            Act::RequirePasswordChange => {
                told(user.change, format!("{}: changePasswordAtNextLogin is {}", user.shown(), user.change))
            }
            Act::RevokeTokens => match Self::tokens(&http, &user.id)?.len() {
                0 => Effect::Unknown(
                    "no application holds a token; Google shows no sessions: look at Security, Investigation tool, \
                     User log events for what came after this step"
                        .into(),
                ),
                n => Effect::NotEffective(format!("{n} applications hold tokens")),
            },
            other => return Err(Fault::Unsupported(format!("google_workspace cannot {}", other.id()))),
        })
    }
}

impl Control for Google {
    fn read(&mut self, order: &Order) -> Result<Seen, Fault> {
        let http = self.http(order.act)?;
        let user = self.user(&http, order)?;
        let name = user.shown();
        let (in_force, before, says) = match order.act {
            Act::DisableAccount => {
                let state = if user.suspended { "suspended" } else { "active" };
                (user.suspended, json!({"suspended": user.suspended}), format!("{name} is {state}"))
            }
            Act::RequirePasswordChange => {
                let says = format!("{name}: changePasswordAtNextLogin is {}", user.change);
                (user.change, json!({"change": user.change}), says)
            }
            Act::RevokeTokens => {
                let clients = Self::tokens(&http, &user.id)?;
                let says = format!("{} applications hold tokens of {name}", clients.len());
                (false, json!({"clients": clients}), says)
            }
            other => return Err(Fault::Unsupported(format!("google_workspace cannot {}", other.id()))),
        };
        Ok(Seen { ids: vec![user.id], in_force, before, says, also_hits: Vec::new() })
    }

    fn preview(&self, order: &Order, seen: &Seen) -> Result<Vec<String>, Fault> {
        let http = Http::open(&self.config.endpoint)?;
        let user = Self::path(planned(seen)?);
        let patch = |body: Value| vec![http.shown(Method::Patch, &user, &Body::Json(&body))];
        Ok(match order.act {
            Act::DisableAccount => patch(json!({"suspended": true})),
            Act::RequirePasswordChange => patch(json!({"changePasswordAtNextLogin": true})),
            _ => {
                let clients = seen.before.get("clients").and_then(Value::as_array);
                let deletes = clients.into_iter().flatten().filter_map(Value::as_str).map(|client| {
                    http.shown(Method::Delete, &user.clone().then("/tokens").segment(client), &Body::Nothing)
                });
                let sign_out = http.shown(Method::Post, &user.clone().then("/signOut"), &Body::Nothing);
                std::iter::once(sign_out).chain(deletes).collect()
            }
        })
    }

    fn apply(&mut self, order: &Order, seen: &Seen) -> Result<Ack, Fault> {
        let id = planned(seen)?;
        match order.act {
            Act::DisableAccount => self.patch(order, id, &json!({"suspended": true})),
            Act::RequirePasswordChange => self.patch(order, id, &json!({"changePasswordAtNextLogin": true})),
            Act::RevokeTokens => {
                let http = self.http(order.act)?;
                let sign_out = Self::path(id).then("/signOut");
                // What may have worked does not keep the tokens alive.
                let mut lost = match http.change(Method::Post, &sign_out, &Body::Nothing).and_then(done) {
                    Ok(_) => None,
                    Err(fault) if fault.may_have_acted() => Some(fault),
                    Err(fault) => return Err(fault),
                };
                let clients = Self::tokens(&http, id)?;
                for client in &clients {
                    let path = Self::path(id).then("/tokens").segment(client);
                    match http.change(Method::Delete, &path, &Body::Nothing).and_then(done) {
                        Ok(_) | Err(Fault::NotFound(_)) => {}
                        Err(fault) if fault.may_have_acted() => lost = Some(fault),
                        Err(fault) => lost = Some(Fault::Lost(format!("signed out; then {fault}"))),
                    }
                }
                match lost {
                    Some(fault) => Err(fault),
                    None => Ok(Ack::says(format!("signed out; {} tokens were deleted", clients.len()))),
                }
            }
            other => Err(Fault::Unsupported(format!("google_workspace cannot {}", other.id()))),
        }
    }

    fn verify(&mut self, order: &Order, known: &Known) -> Effect {
        self.verdict(order, known).unwrap_or_else(|fault| Effect::unread(&fault))
    }

    fn undo(&mut self, order: &Order, known: &Known) -> Result<Ack, Fault> {
        let was = |name: &str| known.seen.before.get(name).and_then(Value::as_bool);
        match order.act {
            Act::DisableAccount if was("suspended") != Some(false) => {
                Err(Fault::Refused("the account was suspended before; it is left".into()))
            }
            Act::DisableAccount => {
                let user = Self::again(&self.http(order.act)?, &known.seen)?;
                if !user.suspended {
                    return Ok(Ack::says("was active already"));
                }
                self.patch(order, &user.id, &json!({"suspended": false}))
            }
            Act::RequirePasswordChange if was("change") != Some(false) => {
                Err(Fault::Refused("the change was asked for before; it is left".into()))
            }
            Act::RequirePasswordChange => {
                let user = Self::again(&self.http(order.act)?, &known.seen)?;
                if !user.change {
                    return Ok(Ack::says("is not asked for any more"));
                }
                self.patch(order, &user.id, &json!({"changePasswordAtNextLogin": false}))
            }
            _ => Err(Fault::Unsupported("ended sessions do not come back; the person signs in again".into())),
        }
    }

    fn verify_undone(&mut self, order: &Order, known: &Known) -> Effect {
        let user = self.http(order.act).and_then(|http| Self::again(&http, &known.seen));
        match (order.act, user) {
            (_, Err(fault)) => Effect::unread(&fault),
            (Act::DisableAccount, Ok(user)) if !user.suspended => {
                Effect::Effective(format!("{} is active", user.shown()))
            }
            (Act::RequirePasswordChange, Ok(user)) if !user.change => {
                Effect::Effective("no new password is asked for".into())
            }
            (Act::RevokeTokens, Ok(_)) => Effect::NotEffective("this cannot be undone".into()),
            (_, Ok(user)) => Effect::NotEffective(format!("{} is as this step left it", user.shown())),
        }
    }

    fn doctor(&mut self) -> Vec<Ability> {
        let http = match self.http(Act::DisableAccount) {
            Ok(http) => http,
            Err(fault) => return vec![Ability::new("token", Some(false), fault.to_string())],
        };
        let list = Path::new("/admin/directory/v1/users?customer=my_customer&maxResults=1");
        let read = match http.get(&list).and_then(done) {
            Ok(_) => Ability::new("read users", Some(true), "the list answers"),
            Err(fault) => Ability::new("read users", Some(false), fault.to_string()),
        };
        let rest = "Google tells this only by doing it; see the scopes of the token";
        vec![read, Ability::new("suspend, sign out, ask for a new password", None, rest)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_requests_are_not_taken_for_a_bad_token() {
        let of = |reason: &str| {
            let body = json!({"error": {"errors": [{"reason": reason}]}}).to_string();
            done(Answer { status: 403, body, ..Answer::default() }).unwrap_err()
        };
        assert!(matches!(of("userRateLimitExceeded"), Fault::Refused(_)));
        assert!(matches!(of("forbidden"), Fault::Credential(_)));
    }

    #[test]
    fn what_is_no_key_signs_nothing() {
        for wrong in ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            assert!(matches!(assertion("a", None, wrong, "b", "c", 0), Err(Fault::Credential(_))));
        }
    }
}
