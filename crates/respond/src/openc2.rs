//! A consumer of OpenC2 1.0 with the profile for stateless packet filters (SLPF 1.0), over HTTPS: other tools tell us
//! what to block. What a command asks for is read here and handed to one function; [`Blocker`] is such a function over
//! any connector that blocks addresses.
//!
//! Denials, deletions and queries of the profile are carried out. `allow` (clauses 15 and 16) is read and handed on;
//! [`Blocker`] takes back the denial of exactly these addresses that came by command, and refuses every other: a far
//! command shall not undo what people approved, nor open what nobody closed by command. `update file` is refused.
//!
//! SLPF has no reading of rules. The profile `x-portreeve` adds it: `query` of `x-portreeve:rules` lists the rules, and
//! with a `rule_number` tells whether that one is in effect at the device.

mod blocker;
mod command;

pub use blocker::{Blocker, Guard, Owner, rule_number};
pub use command::{Ask, Direction, DropProcess, No, RuleState, Told, Wanted};

use crate::fault::Fault;
use crate::secret::Secret;
use crate::transport::server::{Handler, Identity, Limits, Reply, Request, Server, same_secret, serve};
use crate::value::Net;
use command::{Command, Requested};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::net::ToSocketAddrs;
use std::sync::{Arc, Mutex, PoisonError};

/// The content type of the JSON serialization.
pub const TYPE: &str = "application/openc2+json;version=1.0";
/// Where commands are posted.
pub const PATH: &str = "/.well-known/openc2";

/// Which device this is, for commands that name one. A command that names another is answered with 404.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Specifiers {
    pub hostname: Option<String>,
    pub named_group: Option<String>,
    pub asset_id: Option<String>,
}

/// How commands are taken.
#[derive(Clone, Debug)]
pub struct Options {
    /// With `client_ca`, producers are known by their certificates.
    pub tls: Option<Identity>,
    /// A token that is taken as `Authorization: Bearer`.
    pub bearer: Option<Secret>,
    /// From where commands are taken; empty: from everywhere.
    pub allow: Vec<Net>,
    pub specifiers: Specifiers,
    /// Commands in a minute; further ones are answered with 429.
    pub rate_limit: u32,
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            tls: None,
            bearer: None,
            allow: Vec::new(),
            specifiers: Specifiers::default(),
            rate_limit: 60,
            limits: Limits { body: 64 << 10, ..Limits::default() },
        }
    }
}

/// What carries commands out. The second argument is the command's unique id: a denial without a number of its own that
/// comes again with the same id must make no second rule.
pub type Actuator = Box<dyn FnMut(&Ask, &str) -> Result<Told, No> + Send>;

/// Takes commands on `listen` (`ADDRESS:PORT`) until the server is dropped.
///
/// # Errors
/// [`Fault::Config`]: the address cannot be listened on, or, beyond loopback, producers would not be known or not
/// protected: it takes TLS, and a client's certificate or a token.
pub fn serve_openc2(listen: &str, options: Options, actuator: Actuator) -> Result<Server, Fault> {
    let loopback =
        listen.to_socket_addrs().is_ok_and(|mut all| all.all(|a| a.ip().to_canonical().is_loopback()));
    let known = options.bearer.is_some() || options.tls.as_ref().is_some_and(|t| t.client_ca.is_some());
    if !loopback && (options.tls.is_none() || !known) {
        return Err(Fault::Config(format!(
            "listen {listen}: commands from the network need TLS and a client's certificate or a token"
        )));
    }
    let (tls, limits) = (options.tls.clone(), options.limits);
    let inner = Mutex::new(Inner { actuator, answered: VecDeque::new(), minute: 0, taken: 0 });
    serve(listen, tls.as_ref(), limits, Arc::new(Consumer { options, inner }))
}

struct Consumer {
    options: Options,
    /// Commands are carried out one after the other.
    inner: Mutex<Inner>,
}

struct Inner {
    actuator: Actuator,
    /// The last commands by their id: a repetition is answered with what was answered first.
    answered: VecDeque<(String, Value, Response)>,
    minute: i64,
    taken: u32,
}

impl Inner {
    /// Keeps the answer to a command that was carried out. What failed may be tried again with the same id.
    fn remember(&mut self, ask: &Ask, id: String, what: Value, answer: &Response) {
        // A denial that is taken back, even in part, may be made once more, and the other way round.
        let over = match ask {
            Ask::Allow(wanted) => Some(("deny", wanted.net)),
            Ask::Deny(wanted) => Some(("allow", wanted.net)),
            _ => None,
        };
        if let Some((action, net)) = over {
            self.answered.retain(|(_, what, _)| !(what[0] == action && net_of(what) == Some(net)));
        }
        if answer.status != 200 {
            return;
        }
        let made = |r: &Response| r.results.as_ref().and_then(|r| r.pointer("/slpf/rule_number")?.as_u64());
        // A rule that is made once more may be deleted once more, and the other way round.
        match (ask, made(answer)) {
            (Ask::Delete(number), _) => self.answered.retain(|(_, _, r)| made(r) != Some(*number)),
            (_, Some(number)) => {
                let deletion = json!(["delete", {"slpf:rule_number": number}]);
                self.answered.retain(|(_, what, _)| *what != deletion);
            }
            _ => {}
        }
        self.answered.retain(|(i, _, _)| *i != id);
        if self.answered.len() >= REMEMBERED {
            self.answered.pop_front();
        }
        self.answered.push_back((id, what, answer.clone()));
    }
}

/// The addresses of a command, as it was written.
fn net_of(what: &Value) -> Option<Net> {
    let target = what.get(1)?;
    target.get("ipv4_net").or_else(|| target.get("ipv6_net"))?.as_str()?.parse().ok()
}

/// Answers that are remembered.
const REMEMBERED: usize = 512;

/// A response of OpenC2.
#[derive(Clone, PartialEq, Debug)]
struct Response {
    status: u16,
    text: Option<String>,
    results: Option<Value>,
}

impl Response {
    fn ok() -> Response {
        Response { status: 200, text: None, results: None }
    }

    fn error(status: u16, text: impl Into<String>) -> Response {
        Response { status, text: Some(text.into()), results: None }
    }

    fn json(&self) -> Value {
        let mut body = json!({"status": self.status});
        if let Some(object) = body.as_object_mut() {
            if let Some(text) = &self.text {
                object.insert("status_text".into(), text.clone().into());
            }
            if let Some(results) = &self.results {
                object.insert("results".into(), results.clone());
            }
        }
        body
    }
}

impl Handler for Consumer {
    fn answer(&self, request: &Request) -> Reply {
        if !self.options.allow.is_empty()
            && !self.options.allow.iter().any(|net| net.net().contains(&request.peer))
        {
            return Reply::text(403, "this address may not command\n");
        }
        let given = request.header("authorization").and_then(|v| v.split_once(' '));
        let token =
            given.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
        if let Some(right) = &self.options.bearer
            && !token.is_some_and(|t| same_secret(t.as_bytes(), right.expose().as_bytes()))
        {
            return Reply::text(401, "a token is needed\n")
                .with("www-authenticate", "Bearer realm=\"openc2\"");
        }
        if request.path() != PATH {
            return Reply::text(404, "commands are posted to /.well-known/openc2\n");
        }
        if request.method != "POST" {
            return Reply::text(405, "commands are posted\n").with("allow", "POST");
        }
        if !is_openc2(request.header("content-type")) {
            return Reply::text(415, "the content type is application/openc2+json;version=1.0\n");
        }
        self.take(request)
    }
}

/// `application/openc2+json;version=1.0`, also with a space and without the version.
fn is_openc2(kind: Option<&str>) -> bool {
    let mut parts = kind.unwrap_or("").split(';').map(str::trim);
    parts.next().is_some_and(|k| k.eq_ignore_ascii_case("application/openc2+json"))
        && parts.all(|p| !p.starts_with("version=") || p == "version=1.0")
}

impl Consumer {
    fn take(&self, request: &Request) -> Reply {
        let header_id = request.header("x-request-id").map(str::to_owned);
        let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
            return reply(&Response::error(400, "the command is no JSON"), header_id.as_deref(), false);
        };
        // Version 1.1 of the transfer puts the command into a message, version 1.0 sends it bare.
        let wrapped = body.get("body").is_some();
        let content = if wrapped { body.pointer("/body/openc2/request") } else { Some(&body) };
        let message_id = body
            .pointer("/headers/request_id")
            .filter(|_| wrapped)
            .and_then(Value::as_str)
            .map(str::to_owned);
        let id = match (header_id, message_id) {
            (Some(a), Some(b)) if a != b => {
                return reply(&Response::error(400, "X-Request-ID and request_id differ"), None, wrapped);
            }
            (a, b) => b.or(a),
        };
        let Some(id) =
            id.filter(|id| (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()))
        else {
            return reply(&Response::error(400, "X-Request-ID or request_id is missing"), None, wrapped);
        };
        let Some(content) = content else {
            return reply(&Response::error(400, "the message holds no request"), Some(&id), wrapped);
        };
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = jiff::Timestamp::now().as_second().div_euclid(60);
        if inner.minute != minute {
            (inner.minute, inner.taken) = (minute, 0);
        }
        if inner.taken >= self.options.rate_limit {
            return Reply::text(429, "more commands than the rate limit\n").with("retry-after", "60");
        }
        inner.taken += 1;
        let command = match Command::read(content) {
            Ok(command) => command,
            // Who asks for no response gets none, whatever else there is to say.
            Err(_) if content.pointer("/args/response_requested").is_some_and(|r| r == "none") => {
                return Reply::new(204).with("x-request-id", id);
            }
            Err(no) => return reply(&response(no), Some(&id), wrapped),
        };
        let what = json!([content.get("action"), content.get("target")]);
        let known = inner.answered.iter().find(|(i, _, _)| *i == id).cloned();
        // A denial that comes again is carried out again: its rule has the number that follows from the id, so there
        // is no second one, and its end may be a new one.
        let anew = matches!(&command.ask, Ask::Deny(wanted) if wanted.number.is_none());
        let answer = match known {
            Some((_, before, _)) if before != what => {
                Response::error(400, "this request id was another command's")
            }
            Some((_, _, answer)) if !anew => answer,
            _ => {
                let answer = self.carry_out(&command, &mut inner.actuator, &id);
                inner.remember(&command.ask, id.clone(), what, &answer);
                answer
            }
        };
        match command.requested {
            Requested::None => Reply::new(204).with("x-request-id", id),
            // It is done already; the producer asked for no more than that it came.
            Requested::Ack if answer.status == 200 => {
                reply(&Response { status: 102, text: None, results: None }, Some(&id), wrapped)
            }
            Requested::Status => reply(&Response { results: None, ..answer }, Some(&id), wrapped),
            Requested::Ack | Requested::Complete => reply(&answer, Some(&id), wrapped),
        }
    }

    fn carry_out(&self, command: &Command, actuator: &mut Actuator, id: &str) -> Response {
        let ours = &self.options.specifiers;
        for (asked, is) in [
            (&command.specifiers.hostname, &ours.hostname),
            (&command.specifiers.named_group, &ours.named_group),
            (&command.specifiers.asset_id, &ours.asset_id),
        ] {
            if asked.is_some() && asked != is {
                return Response::error(404, "no such actuator here");
            }
        }
        if let Ask::Features(features) = &command.ask {
            let mut results = serde_json::Map::new();
            for feature in features {
                let value = match feature.as_str() {
                    "versions" => json!(["1.0"]),
                    "profiles" => json!(["slpf", "x-portreeve"]),
                    "pairs" => json!({
                        "query": ["features", "x-portreeve:rules"],
                        "deny": ["ipv4_net", "ipv6_net"],
                        "allow": ["ipv4_net", "ipv6_net"],
                        "delete": ["slpf:rule_number"],
                    }),
                    _ => json!(self.options.rate_limit),
                };
                results.insert(feature.clone(), value);
            }
            let results = (!results.is_empty()).then_some(Value::Object(results));
            return Response { results, ..Response::ok() };
        }
        match actuator(&command.ask, id) {
            Ok(Told::Rule(number)) => {
                Response { results: Some(json!({"slpf": {"rule_number": number}})), ..Response::ok() }
            }
            Ok(Told::Deleted) => Response::ok(),
            Ok(Told::Rules(rules)) => {
                Response { results: Some(json!({"x-portreeve": {"rules": rules}})), ..Response::ok() }
            }
            Err(no) => response(no),
        }
    }
}

fn response(no: No) -> Response {
    match no {
        No::Invalid(why) => Response::error(400, why),
        No::Forbidden(why) => Response::error(403, why),
        No::TargetUnsupported => Response::error(501, "Target type not supported"),
        No::OptionUnsupported(what) => Response::error(501, format!("Option not supported: {what}")),
        No::CommandUnsupported => Response::error(501, "Command not supported"),
        No::NotUpdated(why) => Response::error(501, format!("Rule not updated: {why}")),
        No::NumberInUse => Response::error(501, "Rule number currently in use"),
        No::NotRemoved(why) => Response::error(500, format!("firewall rule not removed or updated: {why}")),
        No::Failed(why) => Response::error(500, why),
    }
}

fn reply(response: &Response, id: Option<&str>, wrapped: bool) -> Reply {
    let body = if wrapped {
        let created = jiff::Timestamp::now().as_millisecond();
        json!({
            "headers": {"request_id": id, "created": created},
            "body": {"openc2": {"response": response.json()}},
        })
    } else {
        response.json()
    };
    // 102 is no final status of HTTP.
    let status = if response.status == 102 { 200 } else { response.status };
    let reply = Reply::new(status).with("content-type", TYPE).body(body.to_string());
    match id {
        Some(id) => reply.with("x-request-id", id),
        None => reply,
    }
}
