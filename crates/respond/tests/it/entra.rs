//! A tenant of Entra ID on loopback, after the Microsoft Graph reference: login host and Graph in one, lists with
//! pages of one.

use crate::contract::{self, Life};
use crate::lab;
use crate::stub::{Reply, Request, Stub};
use portreeve_respond::act::Act;
use portreeve_respond::connector::{Effect, Known};
use portreeve_respond::connectors::entra::CONNECTOR;
use portreeve_respond::fault::Fault;
use portreeve_respond::target::Target;
use portreeve_respond::value::UserName;
use serde_json::{Value, json};

const SECRET: &str = "hunter2~client+secret/=";
const TOKEN: &str = "opaque-access-token";

fn account(text: &str) -> Target {
    Target::account(UserName::new(text).unwrap())
}

struct Person {
    id: &'static str,
    name: &'static str,
    enabled: bool,
    kind: &'static str,
    synced: bool,
    valid_from: u32,
    changed: u32,
    profile: Value,
    /// Type and id; the first is the default, which goes last.
    methods: Vec<(&'static str, &'static str)>,
}

fn person(id: &'static str, name: &'static str) -> Person {
    Person {
        id,
        name,
        enabled: true,
        kind: "Member",
        synced: false,
        valid_from: 1,
        changed: 1,
        profile: json!({"password": null, "forceChangePasswordNextSignIn": false,
                        "forceChangePasswordNextSignInWithMfa": false}),
        methods: vec![("password", "28c1"), ("phone", "3179")],
    }
}

fn people() -> Vec<Person> {
    let mut people = vec![
        person("id-1", "anna@corp.example"),
        person("id-2", "o'neil@corp.example"),
        person("id-3", "guest_home.example#EXT#@corp.example"),
        person("id-4", "synced@corp.example"),
        person("id-5", "twin@corp.example"),
        person("id-6", "TWIN@corp.example"),
        person("id-7", "many@corp.example"),
        person("id-8", "odd@corp.example"),
    ];
    people[2].kind = "Guest";
    people[3].synced = true;
    people[6].methods =
        vec![("phone", "default"), ("password", "28c1"), ("fido2", "a/b"), ("microsoftAuthenticator", "c")];
    people[7].methods = vec![("holographic", "1")];
    people
}

fn time(n: u32) -> String {
    format!("2026-11-02T09:00:{n:02}Z")
}

fn page(request: &Request, all: Vec<Value>) -> Reply {
    let at: usize = request.query("$skiptoken").map_or(0, |a| a.parse().unwrap());
    let mut body = json!({"value": all.get(at).into_iter().collect::<Vec<_>>()});
    if at + 1 < all.len() {
        let host = request.header("host").unwrap();
        body["@odata.nextLink"] = format!("http://{host}{}?%24skiptoken={}", request.path(), at + 1).into();
    }
    Reply::json(200, body)
}

fn answer(people: &mut [Person], request: &Request) -> Reply {
    let error = |status, code: &str| Reply::json(status, json!({"error": {"code": code, "message": code}}));
    if request.path() == "/corp.example/oauth2/v2.0/token" {
        let right = request.body.contains("client_id=app-1")
            && request.body.contains("client_secret=hunter2~client%2Bsecret%2F%3D")
            && request.body.contains("scope=http%3A%2F%2F127.0.0.1")
            && request.body.contains("%2F.default");
        return if right {
            Reply::json(200, json!({"token_type": "Bearer", "expires_in": 3599, "access_token": TOKEN}))
        } else {
            Reply::json(401, json!({"error": "invalid_client", "error_description": "AADSTS7000215"}))
        };
    }
    if request.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
        return error(401, "InvalidAuthenticationToken");
    }
    let shown = |p: &Person| {
        json!({"id": p.id, "userPrincipalName": p.name, "accountEnabled": p.enabled, "userType": p.kind,
               "onPremisesSyncEnabled": p.synced.then_some(true), "passwordProfile": p.profile,
               "signInSessionsValidFromDateTime": time(p.valid_from),
               "lastPasswordChangeDateTime": time(p.changed)})
    };
    if request.path() == "/v1.0/users" {
        let filter = request.query("$filter").unwrap_or_default();
        let name = filter.strip_prefix("userPrincipalName eq '").and_then(|f| f.strip_suffix('\''));
        let Some(name) = name.filter(|n| !n.replace("''", "").contains('\'')) else {
            return error(400, "Request_UnsupportedQuery");
        };
        let name = name.replace("''", "'");
        return page(
            request,
            people.iter().filter(|p| p.name.eq_ignore_ascii_case(&name)).map(shown).collect(),
        );
    }
    let path: Vec<&str> = request.path().trim_start_matches("/v1.0/users/").split('/').collect();
    let Some((id, rest)) = path.split_first() else { return error(404, "Request_ResourceNotFound") };
    let Some(person) = people.iter_mut().find(|p| p.id == *id) else {
        return error(404, "Request_ResourceNotFound");
    };
    match (request.method.as_str(), rest) {
        ("GET", []) => Reply::json(200, shown(person)),
        ("PATCH", []) => {
            let Some(body) = request.json().as_object().cloned() else { return error(400, "BadRequest") };
            for (name, value) in body {
                match name.as_str() {
                    "accountEnabled" => person.enabled = value.as_bool().unwrap(),
                    "passwordProfile" => {
                        for (name, value) in value.as_object().unwrap() {
                            if name == "password" {
                                assert!(value.as_str().unwrap().len() > 20);
                                person.changed += 1;
                                person.valid_from += 1;
                            } else {
                                person.profile[name] = value.clone();
                            }
                        }
                    }
                    _ => return error(400, "Request_BadRequest"),
                }
            }
            Reply::empty(204)
        }
        ("POST", ["revokeSignInSessions"]) => {
            // Answers yes for guests as well.
            if person.kind != "Guest" {
                person.valid_from += 1;
            }
            Reply::json(200, json!({"value": true}))
        }
        ("GET", ["authentication", "methods"]) => {
            let methods = person.methods.iter().map(|(kind, id)| {
                json!({"@odata.type": format!("#microsoft.graph.{kind}AuthenticationMethod"), "id": id})
            });
            page(request, methods.collect())
        }
        ("DELETE", ["authentication", place, method]) => {
            let kind = place.strip_suffix("Methods").unwrap_or("");
            let method = crate::stub::decode(method);
            let Some(at) = person.methods.iter().position(|m| *m == (kind, method.as_str())) else {
                return error(404, "resourceNotFound");
            };
            let others = person.methods.iter().filter(|m| m.0 != "password").count() > 1;
            if person.methods[at].1 == "default" && others {
                return error(400, "cannotDeleteDefault");
            }
            person.methods.remove(at);
            Reply::empty(204)
        }
        _ => error(404, "notFound"),
    }
}

fn tenant() -> Stub {
    let mut people = people();
    Stub::start_as(
        |r| r.method != "GET" && !r.path().ends_with("/token"),
        Reply::json(200, json!({})),
        move |request| answer(&mut people, request),
    )
}

fn fields(url: &str) -> Value {
    json!({"endpoint": {"url": url, "timeout": 5}, "login": {"url": url, "timeout": 5}, "tenant": "corp.example",
           "client_id": "app-1", "domain": "corp.example"})
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
            device: &|| contract::unmarked(tenant(), fields),
            secret: SECRET,
            absent: &[
                account("nobody"),
                account("' or startswith(userPrincipalName,'a"),
                account("a\"<*)&\\../x"),
            ],
            ambiguous: &[account("twin@corp.example")],
        });
    }
}

fn opened(stub: &Stub) -> (tempfile::TempDir, Box<dyn portreeve_respond::connector::Control>) {
    let dir = tempfile::tempdir().unwrap();
    let file = lab::secret_file(dir.path(), "secret", SECRET);
    let entra = lab::open(&CONNECTOR, fields(&stub.url()), &[("default", &file)]);
    (dir, entra)
}

#[test]
fn a_quote_in_a_name_is_part_of_the_name() {
    let stub = tenant();
    let (_dir, mut entra) = opened(&stub);
    let seen = entra.read(&lab::order(Act::DisableAccount, account("O'Neil"))).unwrap();
    assert_eq!(seen.ids, ["id-2"]);
}

#[test]
fn what_has_no_effect_is_refused_before_anything_is_sent() {
    let stub = tenant();
    let (_dir, mut entra) = opened(&stub);
    let guest = account("guest_home.example#EXT#@corp.example");
    let fault = entra.read(&lab::order(Act::RevokeTokens, guest.clone())).unwrap_err();
    assert!(matches!(&fault, Fault::Unsupported(why) if why.contains("guest")), "{fault}");
    assert!(entra.read(&lab::order(Act::DisableAccount, guest)).is_ok());
    for act in [Act::ResetPassword, Act::RequirePasswordChange] {
        let fault = entra.read(&lab::order(act, account("synced"))).unwrap_err();
        assert!(matches!(&fault, Fault::Unsupported(why) if why.contains("Active Directory")), "{fault}");
    }
    let seen = entra.read(&lab::order(Act::DisableAccount, account("synced"))).unwrap();
    assert!(seen.says.contains("disable it there too"), "{}", seen.says);
    let fault = entra.read(&lab::order(Act::ResetFactors, account("odd"))).unwrap_err();
    assert!(matches!(&fault, Fault::Refused(why) if why.contains("holographic")), "{fault}");
    assert!(stub.changes().is_empty());
}

#[test]
fn methods_go_one_by_one_and_the_default_last() {
    let stub = tenant();
    let (_dir, mut entra) = opened(&stub);
    let order = lab::order(Act::ResetFactors, account("many"));
    let known = Known { seen: entra.read(&order).unwrap(), ack: None };
    entra.apply(&order, &known.seen).unwrap();
    assert!(matches!(entra.verify(&order, &known), Effect::Effective(_)));
    let sent: Vec<String> = stub.changes().into_iter().map(|r| r.target).collect();
    assert!(sent.iter().any(|t| t.ends_with("/authentication/fido2Methods/a%2Fb")), "{sent:?}");
    assert!(sent.last().unwrap().ends_with("/authentication/phoneMethods/default"), "{sent:?}");
}

#[test]
fn the_new_password_is_for_the_approver_alone() {
    let stub = tenant();
    let (_dir, mut entra) = opened(&stub);
    let order = lab::order(Act::ResetPassword, account("anna"));
    let seen = entra.read(&order).unwrap();
    assert!(entra.preview(&order, &seen).unwrap()[0].contains("\"password\":\"***\""));
    let ack = entra.apply(&order, &seen).unwrap();
    let password = ack.handover.clone().unwrap();
    assert!(!format!("{ack:?} {}", serde_json::to_string(&ack).unwrap()).contains(password.expose()));
    let sent = contract::last_change(&stub).json();
    assert_eq!(sent["passwordProfile"]["password"], password.expose());
    assert_eq!(sent["passwordProfile"]["forceChangePasswordNextSignInWithMfa"], true);
}

#[test]
fn a_demand_that_was_met_is_not_put_back() {
    let stub = tenant();
    let (_dir, mut entra) = opened(&stub);
    let order = lab::order(Act::RequirePasswordChange, account("anna"));
    // Nothing was applied: as after the person chose a new password.
    let known = Known { seen: entra.read(&order).unwrap(), ack: None };
    entra.undo(&order, &known).unwrap();
    assert!(stub.changes().is_empty());
}
