//! BIG-IP APM as iControl REST and `sessiondump` have it: one command that runs others.

use crate::contract::{self, Life};
use crate::lab;
use crate::stub::{Reply, Request, Stub};
use base64::Engine as _;
use portreeve_respond::act::Act;
use portreeve_respond::connector::{Effect, Known};
use portreeve_respond::connectors::f5_apm::CONNECTOR;
use portreeve_respond::fault::Fault;
use portreeve_respond::target::{Stay, Target};
use portreeve_respond::value::UserName;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const PASSWORD: &str = "f5-secret-password";

/// Id, user, domain.
type Sessions = Vec<(&'static str, &'static str, &'static str)>;

fn ran(result: &str) -> Reply {
    let mut body = json!({"kind": "tm:util:bash:runstate", "command": "run"});
    if !result.is_empty() {
        body["commandResult"] = json!(result);
    }
    Reply::json(200, body)
}

fn answer(sessions: &mut Sessions, request: &Request) -> Reply {
    let right = base64::engine::general_purpose::STANDARD.encode(format!("portreeve:{PASSWORD}"));
    if request.header("authorization") != Some(&format!("Basic {right}")) {
        return Reply::json(401, json!({"code": 401, "message": "Authorization failed"}));
    }
    let body = request.json();
    let args = body["utilCmdArgs"].as_str().unwrap_or("").to_owned();
    if request.method != "POST" || request.path() != "/mgmt/tm/util/bash" || body["command"] != "run" {
        return Reply::json(404, json!({"code": 404}));
    }
    if let Some(id) = args.strip_prefix("-c 'sessiondump --delete ") {
        let id = id.trim_end_matches('\'');
        let typed = id.len() == 8 && id.bytes().all(|b| b.is_ascii_hexdigit());
        assert!(typed, "only ids reach the shell: {args}");
        sessions.retain(|(sid, ..)| *sid != id);
        return ran("");
    }
    assert!(args.starts_with("-c 'sessiondump --allkeys | grep "), "{args}");
    let text: String = sessions
        .iter()
        .map(|(id, user, domain)| {
            format!(
                "{id}.session.logon.last.username {} {user}\n{id}.session.logon.last.domain {} {domain}\n\
                 {id}.session.user.clientip 11 203.0.113.9\n{id}.session.user.starttime 10 1700000000\n",
                user.len(),
                domain.len()
            )
        })
        .collect();
    ran(&text)
}

fn state() -> Sessions {
    vec![
        ("03b621f5", "joanna", "CORP"),
        ("03b621f6", "anna", "CORP"),
        ("03b621f7", "twin", "CORP"),
        ("03b621f8", "twin", "LAB"),
        ("03b621f9", "o'neil; id \"$(x)\"", ""),
    ]
}

fn start(state: Arc<Mutex<Sessions>>) -> Stub {
    Stub::start_as(|r| r.body.contains("--delete"), ran(""), move |r| answer(&mut state.lock().unwrap(), r))
}

fn fields(url: &str) -> Value {
    json!({"endpoint": {"url": url}, "user": "portreeve"})
}

fn of(user: &str) -> Target {
    Target::Session(Stay::of_user(UserName::new(user).unwrap()))
}

#[test]
fn a_session_is_deleted() {
    for user in ["anna", "o'neil; id \"$(x)\""] {
        contract::life(&Life {
            connector: &CONNECTOR,
            act: Act::TerminateSession,
            target: of(user),
            device: &|| contract::over(start(Arc::new(Mutex::new(state()))), fields),
            secret: PASSWORD,
            absent: &[of("ann"), of("all"), of("*"), of("LAB\\anna")],
            ambiguous: &[of("twin")],
        });
    }
}

#[test]
fn a_forged_list_ends_nobodys_session() {
    let mut forged = state();
    forged.push(("00000000", "x\n03b621f5.session.logon.last.username 4 anna", ""));
    let state = Arc::new(Mutex::new(forged));
    let stub = start(state.clone());
    let dir = tempfile::tempdir().unwrap();
    let password = lab::secret_file(dir.path(), "password", PASSWORD);
    let mut apm = lab::open(&CONNECTOR, fields(&stub.url()), &[("default", &password)]);
    let order = lab::order(Act::TerminateSession, of("anna"));
    assert!(matches!(apm.read(&order), Err(Fault::Garbled(_))));
    assert!(matches!(apm.verify(&order, &Known::default()), Effect::Unknown(_)));
    assert!(stub.changes().is_empty());
}
