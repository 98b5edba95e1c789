//! An organisation of Okta on loopback, after the Okta Management API: lists have pages of one.

use crate::contract::{self, Life, OneWay};
use crate::lab;
use crate::stub::{Reply, Request, Stub};
use portreeve_respond::act::Act;
use portreeve_respond::connector::{Effect, Known};
use portreeve_respond::connectors::okta::CONNECTOR;
use portreeve_respond::fault::Fault;
use portreeve_respond::target::Target;
use portreeve_respond::value::UserName;
use serde_json::{Value, json};

const TOKEN: &str = "00hunter2-api-token";
const LINK: &str = "https://org.okta.example/signin/reset-password/one-time";

fn account(text: &str) -> Target {
    Target::account(UserName::new(text).unwrap())
}

struct User {
    id: &'static str,
    login: &'static str,
    status: &'static str,
    provider: &'static str,
    factors: usize,
    refresh_tokens: usize,
    clears: usize,
}

fn user(id: &'static str, login: &'static str) -> User {
    User { id, login, status: "ACTIVE", provider: "OKTA", factors: 2, refresh_tokens: 1, clears: 1 }
}

fn people() -> Vec<User> {
    let mut people = vec![
        user("00u1", "anna@corp.example"),
        user("00u2", "annabel@corp.example"),
        user("00u3", "twin@corp.example"),
        user("00u4", "Twin@corp.example"),
        user("00u5", "synced@corp.example"),
        user("00u6", "locked@corp.example"),
    ];
    people[4].provider = "ACTIVE_DIRECTORY";
    people[5].status = "LOCKED_OUT";
    people
}

/// One element of a list, with the link to the next.
fn page(request: &Request, all: Vec<Value>) -> Reply {
    let at: usize = request.query("after").map_or(0, |a| a.parse().unwrap());
    let reply = Reply::json(200, Value::Array(all.get(at).cloned().into_iter().collect()));
    if at + 1 >= all.len() {
        return reply;
    }
    let host = request.header("host").unwrap();
    reply.with(
        "link",
        &format!(
            "<http://{host}{}>; rel=\"self\", <http://{host}{}?after={}>; rel=\"next\"",
            request.path(),
            request.path(),
            at + 1
        ),
    )
}

fn answer(people: &mut [User], request: &Request) -> Reply {
    if request.header("authorization") != Some(&format!("SSWS {TOKEN}")) {
        return Reply::json(401, json!({"errorCode": "E0000011", "errorSummary": "Invalid token provided"}));
    }
    let absent = || Reply::json(404, json!({"errorCode": "E0000007", "errorSummary": "Not found"}));
    let shown = |u: &User| {
        json!({"id": u.id, "status": u.status, "profile": {"login": u.login},
               "credentials": {"provider": {"type": u.provider}}})
    };
    let path: Vec<&str> = request.path().trim_start_matches("/api/v1/").split('/').collect();
    if path == ["logs"] {
        let Some(filter) = request.query("filter") else { return Reply::json(200, json!([])) };
        let user = people
            .iter()
            .find(|u| filter == format!("eventType eq \"user.session.clear\" and target.id eq \"{}\"", u.id));
        let Some(user) = user else { return Reply::json(400, json!({"errorSummary": "filter"})) };
        let events: Vec<Value> =
            (0..user.clears).rev().take(1).map(|n| json!({"uuid": format!("{}-{n}", user.id)})).collect();
        return Reply::json(200, events.into());
    }
    if path == ["users"] {
        let Some(filter) = request.query("filter") else { return Reply::json(200, json!([])) };
        let Some(login) =
            filter.strip_prefix("profile.login eq ").and_then(|v| serde_json::from_str::<String>(v).ok())
        else {
            return Reply::json(400, json!({"errorSummary": "Invalid search criteria"}));
        };
        let found = people.iter().filter(|u| u.login.eq_ignore_ascii_case(&login)).map(shown).collect();
        return page(request, found);
    }
    let ["users", id, rest @ ..] = path.as_slice() else { return absent() };
    let Some(user) = people.iter_mut().find(|u| u.id == *id) else { return absent() };
    let refused = |why: &str| Reply::json(403, json!({"errorCode": "E0000016", "errorSummary": why}));
    match (request.method.as_str(), rest) {
        ("GET", []) => Reply::json(200, shown(user)),
        ("GET", ["factors"]) => {
            page(request, (0..user.factors).map(|n| json!({"id": n.to_string()})).collect())
        }
        ("GET", ["clients"]) => {
            page(request, vec![json!({"client_id": "0oa1"}), json!({"client_id": "0oa2"})])
        }
        ("GET", ["clients", "0oa2", "tokens"]) => {
            page(request, (0..user.refresh_tokens).map(|n| json!({"id": n.to_string()})).collect())
        }
        ("GET", ["clients", _, "tokens"]) => Reply::json(200, json!([])),
        ("POST", ["lifecycle", "suspend"]) => {
            if user.status != "ACTIVE" {
                return refused("Cannot suspend a user that is not active");
            }
            user.status = "SUSPENDED";
            Reply::json(200, json!({}))
        }
        ("POST", ["lifecycle", "unsuspend"]) => {
            if user.status != "SUSPENDED" {
                return refused("Cannot unsuspend a user that is not suspended");
            }
            user.status = "ACTIVE";
            Reply::json(200, json!({}))
        }
        ("DELETE", ["sessions"]) => {
            user.clears += 1;
            // Without the parameter, tokens survive.
            if request.query("oauthTokens").as_deref() == Some("true") {
                user.refresh_tokens = 0;
            }
            Reply::empty(204)
        }
        ("POST", ["lifecycle", "expire_password"]) => {
            user.status = "PASSWORD_EXPIRED";
            Reply::json(200, shown(user))
        }
        ("POST", ["lifecycle", "reset_password"]) if user.status == "SUSPENDED" => {
            let why = "This operation is not allowed in the user's current status.";
            Reply::json(403, json!({"errorCode": "E0000038", "errorSummary": why}))
        }
        ("POST", ["lifecycle", "reset_password"])
            if request.query("sendEmail").as_deref() == Some("false") =>
        {
            user.status = "RECOVERY";
            Reply::json(200, json!({"resetPasswordUrl": LINK}))
        }
        ("POST", ["lifecycle", "reset_factors"]) => {
            user.factors = 0;
            Reply::json(200, json!({}))
        }
        _ => absent(),
    }
}

fn org() -> Stub {
    let mut people = people();
    Stub::start(move |request| answer(&mut people, request))
}

fn fields(url: &str) -> Value {
    json!({"endpoint": {"url": url, "timeout": 5}, "domain": "corp.example"})
}

#[test]
fn each_act_through_its_life() {
    for act in [
        Act::DisableAccount,
        Act::RevokeTokens,
        Act::RequirePasswordChange,
        Act::ResetPassword,
        Act::ResetFactors,
    ] {
        contract::life(&Life {
            connector: &CONNECTOR,
            act,
            target: account("anna"),
            device: &|| {
                let device = contract::unmarked(org(), fields);
                if act == Act::DisableAccount { device } else { Box::new(OneWay(device)) }
            },
            secret: TOKEN,
            absent: &[
                account("nobody"),
                account("ann"),
                account("a\" or profile.login pr or \"*)<&\\../../x"),
                account("00u1"),
            ],
            ambiguous: &[account("twin@corp.example")],
        });
    }
}

#[test]
fn a_link_to_a_new_password_is_for_the_approver_alone() {
    let stub = org();
    let dir = tempfile::tempdir().unwrap();
    let file = lab::secret_file(dir.path(), "token", TOKEN);
    let mut okta = lab::open(&CONNECTOR, fields(&stub.url()), &[("default", &file)]);
    let order = lab::order(Act::ResetPassword, account("CORP\\Anna"));
    let seen = okta.read(&order).unwrap();
    let ack = okta.apply(&order, &seen).unwrap();
    assert_eq!(ack.handover.as_ref().unwrap().expose(), LINK);
    assert!(!format!("{ack:?} {}", serde_json::to_string(&ack).unwrap()).contains("one-time"));
    assert!(
        contract::last_change(&stub).target.contains("sendEmail=false"),
        "the mailbox may be the intruder's"
    );
}

#[test]
fn what_okta_cannot_do_is_refused_before_anything_is_sent() {
    let stub = org();
    let dir = tempfile::tempdir().unwrap();
    let file = lab::secret_file(dir.path(), "token", TOKEN);
    let mut okta = lab::open(&CONNECTOR, fields(&stub.url()), &[("default", &file)]);
    for act in [Act::ResetPassword, Act::RequirePasswordChange] {
        let fault = okta.read(&lab::order(act, account("synced"))).unwrap_err();
        assert!(matches!(&fault, Fault::Unsupported(why) if why.contains("ACTIVE_DIRECTORY")), "{fault}");
    }
    let fault = okta.read(&lab::order(Act::DisableAccount, account("locked"))).unwrap_err();
    assert!(matches!(&fault, Fault::Refused(why) if why.contains("LOCKED_OUT")), "{fault}");
    assert!(stub.changes().is_empty());

    // A suspended account is not reset; the refusal is not taken for a bad token.
    let reset = lab::order(Act::ResetPassword, account("anna"));
    let seen = okta.read(&reset).unwrap();
    let suspend = lab::order(Act::DisableAccount, account("anna"));
    okta.apply(&suspend, &seen).unwrap();
    let fault = okta.apply(&reset, &seen).unwrap_err();
    assert!(matches!(&fault, Fault::Refused(why) if why.contains("E0000038")), "{fault}");
}

#[test]
fn sessions_that_end_without_their_tokens_are_no_success() {
    let mut people = people();
    let stub = Stub::start(move |request| {
        let mut request = request.clone();
        // As if the parameter had not been sent.
        request.target = request.target.replace("oauthTokens=true", "");
        answer(&mut people, &request)
    });
    let dir = tempfile::tempdir().unwrap();
    let file = lab::secret_file(dir.path(), "token", TOKEN);
    let mut okta = lab::open(&CONNECTOR, fields(&stub.url()), &[("default", &file)]);
    let order = lab::order(Act::RevokeTokens, account("anna"));
    let known = Known { seen: okta.read(&order).unwrap(), ack: None };
    okta.apply(&order, &known.seen).unwrap();
    let Effect::NotEffective(why) = okta.verify(&order, &known) else { panic!("tokens live on") };
    assert!(why.contains("refresh tokens"), "{why}");
}

#[test]
fn an_account_that_another_hand_changed_is_left() {
    let stub = {
        let mut people = people();
        Stub::start(move |request| {
            if request.target.ends_with("/lifecycle/suspend") {
                people[0].status = "DEPROVISIONED";
                return Reply::json(200, json!({}));
            }
            answer(&mut people, request)
        })
    };
    let dir = tempfile::tempdir().unwrap();
    let file = lab::secret_file(dir.path(), "token", TOKEN);
    let mut okta = lab::open(&CONNECTOR, fields(&stub.url()), &[("default", &file)]);
    let order = lab::order(Act::DisableAccount, account("anna"));
    let known = Known { seen: okta.read(&order).unwrap(), ack: None };
    okta.apply(&order, &known.seen).unwrap();
    let fault = okta.undo(&order, &known).unwrap_err();
    assert!(matches!(&fault, Fault::Refused(why) if why.contains("DEPROVISIONED")), "{fault}");
}
