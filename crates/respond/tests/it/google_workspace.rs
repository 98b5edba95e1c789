//! A customer of Google Workspace on loopback, after the Directory API reference; token host and API in one.

use crate::contract::{self, Life};
use crate::lab;
use crate::stub::{Reply, Request, Stub, decode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portreeve_respond::act::Act;
use portreeve_respond::connector::{Control, Effect, Known};
use portreeve_respond::connectors::google_workspace::CONNECTOR;
use portreeve_respond::fault::Fault;
use portreeve_respond::target::Target;
use portreeve_respond::value::UserName;
use serde_json::{Value, json};
use std::path::Path;

const GIVEN: &str = "ya29.hunter2-given";

fn account(text: &str) -> Target {
    Target::account(UserName::new(text).unwrap())
}

struct User {
    id: &'static str,
    email: &'static str,
    aliases: &'static [&'static str],
    suspended: bool,
    change: bool,
    signed_out: usize,
    tokens: Vec<&'static str>,
}

fn people() -> Vec<User> {
    let user = |id, email, aliases| User {
        id,
        email,
        aliases,
        suspended: false,
        change: false,
        signed_out: 0,
        tokens: vec!["77.apps.example", "a/b"],
    };
    vec![
        user("1001", "anna@corp.example", &["annie@corp.example"] as &[_]),
        user("1002", "annabel@corp.example", &[]),
    ]
}

/// Is a JWT signed with RS256 by the owner of the key? OpenSSL says.
fn verifies(token: &str, public_key: &Path) -> bool {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (text, sig) = (dir.path().join("text"), dir.path().join("sig"));
    std::fs::write(&text, signed).unwrap();
    std::fs::write(&sig, URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    let [key, sig, text] = [public_key, &sig, &text].map(|p| p.to_str().unwrap());
    lab::output("openssl", &["dgst", "-sha256", "-verify", key, "-signature", sig, text]).status.success()
}

fn error(status: u16, reason: &str) -> Reply {
    Reply::json(status, json!({"error": {"code": status, "message": reason}}))
}

/// Who may have a token: a refresh token that is known, or a statement of the service account for the administrator.
fn token(request: &Request, public_key: &Path) -> Reply {
    let field = |name: &str| {
        request
            .body
            .split('&')
            .find_map(|pair| pair.strip_prefix(&format!("{name}=")))
            .map(decode)
            .unwrap_or_default()
    };
    let right = match field("grant_type").as_str() {
        "refresh_token" => field("client_secret") == "hunter2+/" && field("refresh_token") == "1//r",
        "urn:ietf:params:oauth:grant-type:jwt-bearer" => {
            let assertion = field("assertion");
            let claims =
                assertion.split('.').nth(1).and_then(|p| URL_SAFE_NO_PAD.decode(p).ok()).unwrap_or_default();
            let claims: Value = serde_json::from_slice(&claims).unwrap_or_default();
            claims["iss"] == "sa@p.example"
                && claims["sub"] == "admin@corp.example"
                && claims["aud"] == format!("http://{}/token", request.header("host").unwrap())
                && verifies(&assertion, public_key)
        }
        _ => false,
    };
    if right {
        Reply::json(200, json!({"access_token": GIVEN, "expires_in": 3599}))
    } else {
        Reply::json(400, json!({"error": "invalid_grant"}))
    }
}

fn answer(people: &mut [User], request: &Request) -> Reply {
    if request.header("authorization") != Some(&format!("Bearer {GIVEN}")) {
        return error(401, "Invalid Credentials");
    }
    let Some(rest) = request.path().strip_prefix("/admin/directory/v1/users") else {
        return error(404, "notFound");
    };
    let path: Vec<String> = rest.trim_start_matches('/').split('/').map(decode).collect();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    if path == [""] {
        return Reply::json(200, json!({"users": []}));
    }
    let key = path[0];
    let found = people
        .iter_mut()
        .find(|u| u.id == key || u.email.eq_ignore_ascii_case(key) || u.aliases.contains(&key));
    let Some(user) = found else { return error(404, "Resource Not Found: userKey") };
    match (request.method.as_str(), &path[1..]) {
        ("GET", []) => Reply::json(
            200,
            json!({"id": user.id, "primaryEmail": user.email, "aliases": user.aliases, "suspended": user.suspended,
                   "changePasswordAtNextLogin": user.change}),
        ),
        ("PATCH", []) => {
            for (name, value) in request.json().as_object().unwrap() {
                match (name.as_str(), value.as_bool()) {
                    ("suspended", Some(value)) => user.suspended = value,
                    ("changePasswordAtNextLogin", Some(value)) => user.change = value,
                    _ => return error(400, "Invalid Input"),
                }
            }
            Reply::json(200, json!({"id": user.id}))
        }
        ("POST", ["signOut"]) => {
            user.signed_out += 1;
            Reply::empty(204)
        }
        ("GET", ["tokens"]) => {
            let items: Vec<Value> = user.tokens.iter().map(|t| json!({"clientId": t})).collect();
            // Without tokens there is no list at all.
            Reply::json(
                200,
                if items.is_empty() {
                    json!({"kind": "admin#directory#tokenList"})
                } else {
                    json!({"items": items})
                },
            )
        }
        ("DELETE", ["tokens", client]) => {
            let Some(at) = user.tokens.iter().position(|t| t == client) else {
                return error(404, "notFound");
            };
            user.tokens.remove(at);
            Reply::empty(204)
        }
        _ => error(404, "notFound"),
    }
}

fn customer() -> Stub {
    let mut people = people();
    Stub::start(move |request| answer(&mut people, request))
}

fn fields(url: &str) -> Value {
    json!({"endpoint": {"url": url, "timeout": 5}, "token": {"url": url, "timeout": 5},
           "subject": "admin@corp.example", "domain": "corp.example"})
}

fn opened(stub: &Stub, secret: &str) -> (tempfile::TempDir, Box<dyn Control>) {
    let dir = tempfile::tempdir().unwrap();
    let file = lab::secret_file(dir.path(), "secret", secret);
    let google = lab::open(&CONNECTOR, fields(&stub.url()), &[("default", &file)]);
    (dir, google)
}

#[test]
fn suspension_and_password_change_through_their_lives() {
    for act in [Act::DisableAccount, Act::RequirePasswordChange] {
        contract::life(&Life {
            connector: &CONNECTOR,
            act,
            target: account("anna"),
            device: &|| contract::unmarked(customer(), fields),
            secret: GIVEN,
            absent: &[
                account("nobody"),
                account("annie"),
                account("a'\"<*)&\\../x@corp.example"),
                account("../1001@corp.example"),
            ],
            ambiguous: &[],
        });
    }
}

#[test]
fn a_sign_out_takes_the_tokens_along_and_is_not_called_proven() {
    let stub = customer();
    let (_dir, mut google) = opened(&stub, GIVEN);
    let order = lab::order(Act::RevokeTokens, account("anna"));
    let known = Known { seen: google.read(&order).unwrap(), ack: None };
    assert!(matches!(google.verify(&order, &known), Effect::NotEffective(_)));
    let preview = google.preview(&order, &known.seen).unwrap();
    assert!(
        preview[0].ends_with("/users/1001/signOut") && preview[2].ends_with("/tokens/a%2Fb"),
        "{preview:?}"
    );
    google.apply(&order, &known.seen).unwrap();
    let sent: Vec<String> =
        stub.changes().into_iter().map(|r| format!("{} {}", r.method, r.target)).collect();
    assert_eq!(
        sent,
        [
            "POST /admin/directory/v1/users/1001/signOut",
            "DELETE /admin/directory/v1/users/1001/tokens/77.apps.example",
            "DELETE /admin/directory/v1/users/1001/tokens/a%2Fb",
        ]
    );
    let Effect::Unknown(why) = google.verify(&order, &known) else { panic!("Google shows no sessions") };
    assert!(why.contains("Investigation tool"), "{why}");
    assert!(matches!(google.undo(&order, &known), Err(Fault::Unsupported(_))));
}

#[test]
fn tokens_come_by_service_account_and_by_refresh_token() {
    if !lab::can(&["openssl"], false) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let [private, public, other] = ["private", "public", "other"].map(|n| dir.path().join(n));
    for key in [&private, &other] {
        let key = key.to_str().unwrap();
        lab::run(
            "openssl",
            &["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", key],
        );
    }
    let [from, to] = [&private, &public].map(|p| p.to_str().unwrap());
    lab::run("openssl", &["pkey", "-in", from, "-pubout", "-out", to]);
    let mut people = people();
    let stub = Stub::start(move |request| match request.path() {
        "/token" => token(request, &public),
        _ => answer(&mut people, request),
    });
    let order = lab::order(Act::DisableAccount, account("anna"));
    let service = |email: &str, key: &Path| {
        let key = std::fs::read_to_string(key).unwrap();
        json!({"type": "service_account", "client_email": email, "private_key_id": "k1", "private_key": key,
               "token_uri": "https://evil.example/token"})
        .to_string()
    };
    let refresh = |token: &str| {
        json!({"client_id": "c", "client_secret": "hunter2+/", "refresh_token": token}).to_string()
    };
    for right in [service("sa@p.example", &private), refresh("1//r")] {
        let (_dir, mut google) = opened(&stub, &right);
        assert_eq!(google.read(&order).unwrap().ids, ["1001"]);
    }
    for wrong in
        [service("other@p.example", &private), service("sa@p.example", &other), refresh("1//x"), "{}".into()]
    {
        let (_dir, mut google) = opened(&stub, &wrong);
        let fault = google.read(&order).unwrap_err();
        assert!(matches!(fault, Fault::Credential(_)), "{fault}");
        assert!(!fault.to_string().contains("hunter2") && !fault.to_string().contains("1//"), "{fault}");
    }
}
