//! The Admin API of Duo on loopback, after its documentation: it computes each signature itself.

use crate::contract::{self, Life};
use crate::lab;
use crate::stub::{Reply, Request, Stub};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use portreeve_respond::act::Act;
use portreeve_respond::connector::{Control, Known};
use portreeve_respond::connectors::duo::CONNECTOR;
use portreeve_respond::fault::Fault;
use portreeve_respond::target::Target;
use portreeve_respond::value::UserName;
use serde_json::{Value, json};
use sha2::{Digest, Sha512};

const SKEY: &str = "hunter2hunter2hunter2";
const IKEY: &str = "DIABCDEFGHIJKLMNOPQR";

fn account(text: &str) -> Target {
    Target::account(UserName::new(text).unwrap())
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

/// Is the request signed as the documentation says?
fn signed(request: &Request) -> bool {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let mut pairs: Vec<&str> = query.split('&').filter(|p| !p.is_empty()).collect();
    pairs.sort_unstable();
    let text = [
        request.header("date").unwrap_or(""),
        &request.method,
        request.header("host").unwrap_or(""),
        path,
        &pairs.join("&"),
        &hex(Sha512::digest(&request.body)),
        &hex(Sha512::digest("")),
    ]
    .join("\n");
    let mut mac = Hmac::<Sha512>::new_from_slice(SKEY.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    let wanted = format!("{IKEY}:{}", hex(mac.finalize().into_bytes()));
    request.header("authorization") == Some(&format!("Basic {}", STANDARD.encode(wanted)))
}

fn people() -> Vec<Value> {
    let user = |id: &str, name: &str, status: &str| json!({"user_id": id, "username": name, "status": status, "aliases": {"alias1": null}});
    let mut people = vec![
        user("DU1", "anna", "active"),
        user("DU2", "twin", "active"),
        user("DU3", "twin-2", "active"),
        user("DU4", "lax", "bypass"),
        user("DU5", "locked", "locked out"),
    ];
    people[0]["aliases"]["alias1"] = "aberg".into();
    people[2]["aliases"]["alias1"] = "twin".into();
    people
}

fn answer(people: &mut [Value], request: &Request) -> Reply {
    let fail = |status: u16, code: u32, message: &str| {
        Reply::json(status, json!({"stat": "FAIL", "code": code, "message": message}))
    };
    let ok = |response: Value| Reply::json(200, json!({"stat": "OK", "response": response}));
    if !signed(request) {
        return fail(401, 40103, "Invalid signature in request credentials");
    }
    if request.path() == "/admin/v1/users" {
        let Some(name) = request.query("username") else { return ok(json!([])) };
        let named = |u: &&Value| {
            u["username"].as_str().unwrap().eq_ignore_ascii_case(&name)
                || u["aliases"]["alias1"] == name.as_str()
        };
        return ok(people.iter().filter(named).cloned().collect());
    }
    let id = request.path().strip_prefix("/admin/v1/users/").unwrap_or("").to_owned();
    let Some(user) = people.iter_mut().find(|u| u["user_id"] == id) else {
        return fail(404, 40401, "Resource not found");
    };
    if request.method == "POST" {
        let body = request.json();
        let status = body["status"].as_str().unwrap_or("");
        if !matches!(status, "active" | "disabled" | "bypass") || body.as_object().unwrap().len() != 1 {
            return fail(400, 40002, "Invalid request parameters");
        }
        user["status"] = status.into();
    }
    ok(user.clone())
}

fn duo() -> Stub {
    let mut people = people();
    Stub::start(move |request| answer(&mut people, request))
}

fn fields(url: &str) -> Value {
    json!({"endpoint": {"url": url, "timeout": 5}, "integration_key": IKEY})
}

fn opened(stub: &Stub) -> (tempfile::TempDir, Box<dyn Control>) {
    let dir = tempfile::tempdir().unwrap();
    let file = lab::secret_file(dir.path(), "skey", SKEY);
    let control = lab::open(&CONNECTOR, fields(&stub.url()), &[("default", &file)]);
    (dir, control)
}

#[test]
fn a_user_is_disabled_and_active_again() {
    for name in ["anna", "aberg"] {
        contract::life(&Life {
            connector: &CONNECTOR,
            act: Act::DisableAccount,
            target: account(name),
            device: &|| contract::unmarked(duo(), fields),
            secret: SKEY,
            absent: &[account("ann"), account("a'\"<*)&\\../?limit=1"), account("DU1")],
            ambiguous: &[account("twin")],
        });
    }
}

#[test]
fn bypass_is_never_written_and_what_cannot_be_put_back_is_refused() {
    let stub = duo();
    let (_dir, mut duo) = opened(&stub);
    let order = lab::order(Act::DisableAccount, account("lax"));
    let known = Known { seen: duo.read(&order).unwrap(), ack: None };
    assert!(known.seen.says.contains("no second factor"), "{}", known.seen.says);
    duo.apply(&order, &known.seen).unwrap();
    duo.undo(&order, &known).unwrap();
    assert_eq!(contract::last_change(&stub).json(), json!({"status": "active"}));
    let fault = duo.read(&lab::order(Act::DisableAccount, account("locked"))).unwrap_err();
    assert!(matches!(fault, Fault::Refused(_)), "{fault}");
    let fault = duo.read(&lab::order(Act::ResetFactors, account("anna"))).unwrap_err();
    assert!(matches!(fault, Fault::Unsupported(_)), "{fault}");
}
