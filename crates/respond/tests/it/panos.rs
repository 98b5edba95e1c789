//! PAN-OS as its API guide describes it: registered addresses, a dynamic address group, GlobalProtect clients.

use crate::contract::{self, Life};
use crate::lab;
use crate::stub::{Reply, Request, Stub, decode};
use portreeve_respond::act::Act;
use portreeve_respond::connector::{Effect, Known};
use portreeve_respond::connectors::panos::CONNECTOR;
use portreeve_respond::encode::xml_read::Node;
use portreeve_respond::fault::Fault;
use portreeve_respond::target::{Stay, Target};
use portreeve_respond::value::UserName;
use serde_json::json;
use std::collections::BTreeMap;

const KEY: &str = "LUFRPT1SECRETKEY==";

#[derive(Clone, Default)]
struct Firewall {
    registered: BTreeMap<String, Vec<String>>,
    /// Gateway, domain, user, computer, inner address.
    clients: Vec<[&'static str; 5]>,
    group_in_use: bool,
    /// Sources of sessions, and whether a rule discards them.
    sessions: Vec<(&'static str, bool)>,
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

fn form(request: &Request, name: &str) -> Option<String> {
    let from = if request.method == "GET" {
        request.target.split_once('?').map(|(_, q)| q.to_owned())
    } else {
        Some(request.body.clone())
    };
    from?.split('&').find_map(|pair| {
        let (n, v) = pair.split_once('=')?;
        (n == name).then(|| decode(v))
    })
}

fn success(inside: &str) -> Reply {
    Reply::text(200, &format!("<response status=\"success\"><result>{inside}</result></response>"))
}

fn error(status: u16, code: &str, why: &str) -> Reply {
    let body = format!("<response status=\"error\" code=\"{code}\"><msg><line>{why}</line></msg></response>");
    Reply::text(status, &body)
}

impl Firewall {
    fn start(mut self) -> Stub {
        let hollow = success("");
        Stub::start_as(|r| r.method != "GET", hollow, move |request| self.answer(request))
    }

    fn answer(&mut self, request: &Request) -> Reply {
        if request.header("x-pan-key") != Some(KEY) {
            return error(403, "403", "Invalid Credential");
        }
        if request.path() != "/api/" || form(request, "vsys").as_deref() != Some("vsys2") {
            return error(400, "400", "Bad request");
        }
        let Some(cmd) = form(request, "cmd").and_then(|c| Node::parse(&c).ok()) else {
            return error(400, "17", "Invalid command");
        };
        match (request.method.as_str(), form(request, "type").as_deref(), cmd.name.as_str()) {
            ("POST", Some("user-id"), "uid-message") => self.message(&cmd),
            ("GET", Some("op"), "show") => self.show(&cmd),
            ("POST", Some("op"), "request") => self.logout(&cmd),
            ("POST", Some("op"), "clear") => {
                let source = cmd.at("session/all/filter/source").expect("never all sessions").text.clone();
                self.sessions.retain(|(ip, _)| *ip != source);
                success("<member>sessions cleared</member>")
            }
            _ => error(400, "17", "Invalid command"),
        }
    }

    fn message(&mut self, cmd: &Node) -> Reply {
        let Some(payload) = cmd.child("payload").filter(|_| cmd.text_of("type") == "update") else {
            return error(200, "18", "malformed");
        };
        for (verb, entry) in
            payload.children.iter().flat_map(|v| v.all("entry").map(|e| (v.name.as_str(), e)))
        {
            let ip = entry.attribute("ip").unwrap().to_owned();
            for member in entry.child("tag").unwrap().all("member") {
                let tags = self.registered.entry(ip.clone()).or_default();
                match verb {
                    "register" if tags.contains(&member.text) => {
                        return error(200, "18", "already exists, ignore");
                    }
                    "register" => tags.push(member.text.clone()),
                    "unregister" => tags.retain(|t| *t != member.text),
                    _ => return error(200, "18", "malformed"),
                }
            }
        }
        self.registered.retain(|_, tags| !tags.is_empty());
        success("")
    }

    fn show(&self, cmd: &Node) -> Reply {
        if let Some(list) = cmd.at("object/registered-ip") {
            let mut entries: Vec<String> = self
                .registered
                .iter()
                .filter(|(ip, tags)| {
                    let by_ip = list.child("ip").is_none_or(|i| i.text == **ip);
                    let by_tag = list
                        .at("tag/entry")
                        .is_none_or(|t| tags.iter().any(|tag| Some(tag.as_str()) == t.attribute("name")));
                    by_ip && by_tag
                })
                .map(|(ip, tags)| {
                    let tags: String =
                        tags.iter().map(|t| format!("<member>{t} (expire in 99 seconds)</member>")).collect();
                    format!("<entry ip=\"{ip}\" from_agent=\"0\" persistent=\"1\"><tag>{tags}</tag></entry>")
                })
                .collect();
            if let Ok(limit) = list.text_of("limit").parse::<usize>() {
                let start: usize = list.text_of("start-point").parse().unwrap();
                entries = entries.into_iter().skip(start - 1).take(limit).collect();
            }
            return success(&format!("{}<count>{}</count>", entries.concat(), entries.len()));
        }
        if let Some(group) = cmd.at("object/dynamic-address-group") {
            if group.text_of("name") != "Shut out" {
                return success("<dyn-addr-grp/>");
            }
            let members: String = self
                .registered
                .iter()
                .filter(|(_, tags)| self.group_in_use && tags.iter().any(|t| t == "portreeve-block"))
                .map(|(ip, _)| format!("<entry name=\"{ip}\" type=\"registered-ip\"/>"))
                .collect();
            return success(&format!(
                "<dyn-addr-grp><entry><vsys>vsys2</vsys><group-name>Shut out</group-name><filter>'portreeve-block'\
                 </filter><member-list>{members}</member-list></entry></dyn-addr-grp>"
            ));
        }
        if let Some(filter) = cmd.at("session/all/filter") {
            let rows: String = self
                .sessions
                .iter()
                .filter(|(ip, _)| *ip == filter.text_of("source"))
                .map(|(ip, denied)| {
                    let state = if *denied { "DISCARD" } else { "ACTIVE" };
                    format!("<entry><source>{ip}</source><state>{state}</state><idx>7</idx></entry>")
                })
                .collect();
            return success(&rows);
        }
        if let Some(user) = cmd.at("global-protect-gateway/current-user") {
            let rows: String = self
                .clients
                .iter()
                .filter(|[gateway, ..]| *gateway == user.text_of("gateway"))
                .map(|[_, domain, name, computer, inner]| {
                    let name = escaped(name);
                    format!(
                        "<entry><domain>{domain}</domain><username>{name}</username><computer>{computer}</computer>\
                         <virtual-ip>{inner}</virtual-ip><public-ip>203.0.113.9</public-ip>\
                         <login-time-utc>1421916636</login-time-utc></entry>"
                    )
                })
                .collect();
            return success(&rows);
        }
        error(400, "17", "Invalid command")
    }

    fn logout(&mut self, cmd: &Node) -> Reply {
        let Some(out) = cmd.at("global-protect-gateway/client-logout") else {
            return error(400, "17", "Invalid command");
        };
        let before = self.clients.len();
        self.clients.retain(|[gateway, domain, name, computer, _]| {
            !(out.text_of("gateway") == format!("{gateway}-N")
                && out.text_of("user") == *name
                && out.text_of("domain") == *domain
                && out.child("computer").is_some_and(|c| c.text == *computer))
        });
        // The firewall answers `success` outside and says inside that it found nobody.
        let status = if self.clients.len() < before { "success" } else { "error" };
        success(&format!(
            "<response status=\"{status}\"><user>{}</user></response>",
            out.text_of("user").len()
        ))
    }
}

fn fields(url: &str) -> serde_json::Value {
    json!({"endpoint": {"url": url}, "group": "Shut out", "vsys": "vsys2", "target": "0011C1",
           "gateways": ["Home", "Branch"]})
}

fn firewall() -> Firewall {
    Firewall {
        registered: BTreeMap::from([("198.51.100.1".to_owned(), vec!["printer".to_owned()])]),
        clients: vec![
            ["Home", "corp", "anna", "Dan\u{2019}s iPhone", "10.8.0.5"],
            ["Branch", "corp", "anna", "LAPTOP", "10.9.0.5"],
            ["Home", "corp", "joanna", "LAPTOP", "10.8.0.6"],
            ["Home", "corp", "twin", "A", "10.8.0.7"],
            ["Home", "lab", "twin", "B", "10.8.0.8"],
            ["Home", "", "o'ne\"il<&*)", "C", "10.8.0.9"],
        ],
        group_in_use: true,
        sessions: vec![("192.0.2.7", false), ("192.0.2.7", true), ("192.0.2.70", false)],
    }
}

fn of(user: &str) -> Target {
    Target::Session(Stay::of_user(UserName::new(user).unwrap()))
}

#[test]
fn an_address_is_blocked_by_its_tag() {
    contract::life(&Life {
        connector: &CONNECTOR,
        act: Act::BlockAddress,
        target: Target::address("192.0.2.7".parse().unwrap()),
        device: &|| contract::over(firewall().start(), fields),
        secret: KEY,
        absent: &[],
        ambiguous: &[],
    });
}

#[test]
fn clients_are_logged_out_at_every_gateway() {
    for user in ["anna", "o'ne\"il<&*)"] {
        contract::life(&Life {
            connector: &CONNECTOR,
            act: Act::TerminateSession,
            target: of(user),
            device: &|| {
                // One request, so that each failure of the matrix falls on the whole.
                let mut firewall = firewall();
                firewall.clients.remove(1);
                contract::over(firewall.start(), fields)
            },
            secret: KEY,
            absent: &[of("ann"), of("an*"), of("a</user><user>anna"), of("lab\\anna")],
            ambiguous: &[of("twin")],
        });
    }
}

#[test]
fn both_sessions_end_and_others_stay() {
    let stub = firewall().start();
    let dir = tempfile::tempdir().unwrap();
    let key = lab::secret_file(dir.path(), "key", KEY);
    let mut panos = lab::open(&CONNECTOR, fields(&stub.url()), &[("default", &key)]);
    let order = lab::order(Act::TerminateSession, of("CORP\\anna"));
    let seen = panos.read(&order).unwrap();
    assert_eq!(seen.ids.len(), 2);
    panos.apply(&order, &seen).unwrap();
    assert!(matches!(panos.verify(&order, &Known { seen, ack: None }), Effect::Effective(_)));
    assert_eq!(stub.changes().len(), 2);
    assert_eq!(panos.read(&lab::order(Act::TerminateSession, of("joanna"))).unwrap().ids.len(), 1);
    assert!(stub.lines().iter().all(|l| !l.contains(KEY)), "the key is in no URL");
    let nobody = lab::order(Act::TerminateSession, Target::Session(Stay::default()));
    assert!(matches!(panos.read(&nobody), Err(Fault::Refused(_))));
    assert!(matches!(panos.apply(&nobody, &Default::default()), Err(Fault::Refused(_))));
}

#[test]
fn a_tag_that_no_rule_uses_blocks_nothing_and_another_hand_is_left() {
    let mut unused = firewall();
    unused.group_in_use = false;
    let stub = unused.start();
    let dir = tempfile::tempdir().unwrap();
    let key = lab::secret_file(dir.path(), "key", KEY);
    let mut panos = lab::open(&CONNECTOR, fields(&stub.url()), &[("default", &key)]);
    // Its other tags stay.
    let order = lab::order(Act::BlockAddress, Target::address("198.51.100.1".parse().unwrap()));
    let known = Known { seen: panos.read(&order).unwrap(), ack: None };
    panos.apply(&order, &known.seen).unwrap();
    let Effect::NotEffective(why) = panos.verify(&order, &known) else { panic!() };
    assert!(why.contains("no member"), "{why}");
    let other = lab::order(Act::BlockAddress, Target::address("198.51.100.1".parse().unwrap()));
    assert!(panos.read(&other).unwrap().in_force);
    assert!(matches!(panos.undo(&other, &Known::default()), Err(Fault::Refused(_))));
    assert_eq!(panos.present().unwrap().unwrap()[0].mark.as_deref(), Some(order.mark.as_str()));
    // A session that stood before the address was tagged.
    let naive = lab::order(Act::BlockAddress, Target::address("192.0.2.70".parse().unwrap()));
    assert!(matches!(panos.verify(&naive, &Known::default()), Effect::NotEffective(_)));
    panos.undo(&order, &known).unwrap();
    let again = panos.read(&order).unwrap();
    assert_eq!(again.before, json!({"tags": ["printer"]}));
    // A group that the firewall does not have is told before anything is sent.
    let mut wrong = fields(&stub.url());
    wrong["group"] = json!("Other");
    let mut panos = lab::open(&CONNECTOR, wrong, &[("default", &key)]);
    assert!(matches!(panos.read(&order), Err(Fault::NotFound(_))));
    let range = lab::order(Act::BlockAddress, Target::address("192.0.2.0/24".parse().unwrap()));
    assert!(matches!(panos.read(&range), Err(Fault::Unsupported(_))));
}

#[test]
fn a_long_list_is_read_to_its_end() {
    let mut many = firewall();
    for n in 0..1203_u32 {
        let ip = std::net::Ipv4Addr::from(0x0a00_0000 + n).to_string();
        many.registered.insert(ip, vec!["portreeve-block".into(), format!("portreeve-{n:012x}")]);
    }
    let stub = many.start();
    let dir = tempfile::tempdir().unwrap();
    let key = lab::secret_file(dir.path(), "key", KEY);
    let mut panos = lab::open(&CONNECTOR, fields(&stub.url()), &[("default", &key)]);
    assert_eq!(panos.present().unwrap().unwrap().len(), 1203);
}
