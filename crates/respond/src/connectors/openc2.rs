//! OpenC2 1.0 to a stateless packet filter (SLPF 1.0) over HTTPS 1.1. The profile can deny and delete, and cannot be
//! asked which rules there are; Portreeve's own consumer can, by an extension.

use crate::act::Act;
use crate::connector::{
    Ability, Ack, Can, Connector, Control, Effect, Known, Order, Present, Proof, Seen, Setting, Settings,
};
use crate::fault::Fault;
use crate::openc2::{Direction, RuleState, TYPE, rule_number};
use crate::target::{Target, TargetKind};
use crate::transport::http::{Answer, Body, Endpoint, Http, Method, Path};
use crate::value::Net;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub static CONNECTOR: Connector = Connector {
    name: "openc2",
    product: "OpenC2 packet filter (SLPF 1.0 over HTTPS)",
    proof: Proof::Proven,
    can: &[Can {
        effect: "`deny ipv4_net` or `ipv6_net` for the time of the block; the consumer makes a rule and gives its number",
        leaves_open: "whatever the filter behind the consumer lets through; connections that stand, where that filter \
                      trusts them",
        undo: "`delete slpf:rule_number`; without a number from the consumer none",
        verified_by: "Portreeve's own consumer: a query of the rule, for which it reads its device; any other: not, \
                      because the profile has no reading of rules",
        expires: true,
        ..Can::at_once(Act::BlockAddress, &[TargetKind::Address])
    }],
    needs: "to be a producer that the consumer knows: a client certificate, a token (credential `default`), or both",
    settings: &[
        Setting {
            name: "endpoint",
            required: true,
            says: "`{url, ca, client_cert, client_key}` of the consumer",
        },
        Setting {
            name: "direction",
            required: false,
            says: "`ingress` or `egress`; absent: both, and the argument is not sent",
        },
        Setting {
            name: "actuator",
            required: false,
            says: "`{hostname, named_group, asset_id}`: which filter behind the consumer is meant",
        },
    ],
    source: "OASIS OpenC2 language 1.0, SLPF 1.0, transfer by HTTPS 1.1; proven with Portreeve's own consumer on \
             nftables, since no other was at hand",
    open,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    endpoint: Endpoint,
    direction: Option<Direction>,
    #[serde(default)]
    actuator: Specifiers,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Specifiers {
    hostname: Option<String>,
    named_group: Option<String>,
    asset_id: Option<String>,
}

fn open(settings: &Settings) -> Result<Box<dyn Control>, Fault> {
    let config: Config = settings.fields()?;
    let mut http = Http::open(&config.endpoint)?;
    if let Some(token) = settings.named_credential("default")? {
        http = http.bearer(&token);
    }
    Ok(Box::new(OpenC2 { http, direction: config.direction, actuator: config.actuator }))
}

struct OpenC2 {
    http: Http,
    direction: Option<Direction>,
    actuator: Specifiers,
}

/// What a consumer says of itself.
struct Features {
    /// It can be asked for its rules.
    ours: bool,
    denies: bool,
    deletes: bool,
}

fn address(order: &Order) -> Result<Net, Fault> {
    match &order.target {
        Target::Address { net } => Ok(*net),
        other => Err(Fault::Unsupported(format!("a packet filter denies addresses, not {other}"))),
    }
}

fn target(net: Net) -> &'static str {
    if net.is_v4() { "ipv4_net" } else { "ipv6_net" }
}

/// The same step has the same id whenever it is sent, in the form of a UUID of version 4, which the transfer asks for.
fn request_id(what: &str, order: &Order) -> String {
    let hash = Sha256::digest(format!("openc2 {what} {} {}", order.mark, order.target).as_bytes());
    let bits = hash.iter().take(16).fold(0_u128, |n, b| n << 8 | u128::from(*b));
    let bits = bits & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let (a, b, c) = (bits >> 96, bits >> 80 & 0xffff, bits >> 64 & 0xffff);
    format!("{a:08x}-{b:04x}-{c:04x}-{:04x}-{:012x}", bits >> 48 & 0xffff, bits & 0xffff_ffff_ffff)
}

impl OpenC2 {
    fn message(&self, id: &str, action: &str, target: Value, args: Value) -> Value {
        let Specifiers { hostname, named_group, asset_id } = &self.actuator;
        let mut slpf = serde_json::Map::new();
        for (name, value) in [("hostname", hostname), ("named_group", named_group), ("asset_id", asset_id)] {
            if let Some(value) = value {
                slpf.insert(name.into(), value.clone().into());
            }
        }
        json!({
            "headers": {"request_id": id, "created": jiff::Timestamp::now().as_millisecond(), "from": "portreeve"},
            "body": {"openc2": {"request": {
                "action": action, "target": target, "args": args, "actuator": {"slpf": slpf},
            }}},
        })
    }

    fn denial(&self, order: &Order) -> Result<(String, Value), Fault> {
        let net = address(order)?;
        let mut args = json!({"response_requested": "complete"});
        if let Some(args) = args.as_object_mut() {
            if let Some(seconds) = order.seconds_left(jiff::Timestamp::now().as_microsecond()) {
                args.insert("duration".into(), seconds.saturating_mul(1000).into());
            }
            if let Some(direction) = self.direction.filter(|d| *d != Direction::Both) {
                args.insert("slpf".into(), json!({"direction": direction}));
            }
        }
        let id = request_id("deny", order);
        let message = self.message(&id, "deny", json!({target(net): net.to_string()}), args);
        Ok((id, message))
    }

    /// Sends a command. Gives the status, its text and the results of the response.
    fn send(&self, id: &str, message: &Value) -> Result<(u64, String, Value), Fault> {
        let path = Path::new("/.well-known/openc2");
        let text = message.to_string();
        let extra = [("x-request-id", id.to_owned()), ("accept", TYPE.to_owned())];
        let answer = self.http.change_with(Method::Post, &path, &Body::Text(TYPE, &text), &extra)?;
        read_response(&answer, id)
    }

    fn query(&self, order: Option<&Order>, target: Value) -> Result<Value, Fault> {
        // A query is asked anew each time, so its id is one of chance.
        let mut bytes = [0; 16];
        crate::secret::random(&mut bytes)?;
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        let id = format!("query-{}-{hex}", order.map_or("all", |o| o.mark.as_str()));
        let message = self.message(&id, "query", target, json!({"response_requested": "complete"}));
        let (status, text, results) = self.send(&id, &message).map_err(|fault| match fault {
            // Asking changes nothing.
            Fault::Lost(why) => Fault::Unreachable(why),
            other => other,
        })?;
        match status {
            200 => Ok(results),
            _ => Err(Fault::Refused(format!("query: {status} {text}"))),
        }
    }

    fn features(&self) -> Result<Features, Fault> {
        let results = self.query(None, json!({"features": ["versions", "profiles", "pairs"]}))?;
        let has = |pointer: &str, what: &[&str]| {
            let list = results.pointer(pointer).and_then(Value::as_array);
            list.is_some_and(|l| l.iter().filter_map(Value::as_str).any(|v| what.contains(&v)))
        };
        Ok(Features {
            ours: has("/profiles", &["x-portreeve"]),
            denies: has("/pairs/deny", &["ipv4_net", "ipv6_net"]),
            deletes: has("/pairs/delete", &["slpf:rule_number", "rule_number"]),
        })
    }

    /// The rules of our own consumer.
    fn rules(&self, order: Option<&Order>, number: Option<u64>) -> Result<Vec<RuleState>, Fault> {
        let which = number.map_or_else(|| json!({}), |n| json!({"rule_number": n}));
        let mut results = self.query(order, json!({"x-portreeve:rules": which}))?;
        let rules = results.pointer_mut("/x-portreeve/rules").map(Value::take).unwrap_or_default();
        serde_json::from_value(rules).map_err(|e| Fault::Garbled(format!("x-portreeve:rules: {e}")))
    }

    /// The number of this step's rule: as the consumer gave it, or as our own consumer gives it.
    fn number(&self, order: &Order, known: &Known, ours: bool) -> Option<u64> {
        let given = known.ack.as_ref().and_then(|a| a.made.get("rule_number")).and_then(Value::as_u64);
        given.or_else(|| ours.then(|| rule_number(&request_id("deny", order))))
    }

    fn in_force(&self, order: &Order, known: &Known) -> Result<Effect, Fault> {
        let net = address(order)?;
        let ours = self.features()?.ours;
        let number = self.number(order, known, ours);
        if !ours {
            let rule = number.map_or_else(String::new, |n| format!(" for rule {n}"));
            return Ok(Effect::Unknown(format!(
                "the profile has no reading of rules; a person looks at the filter{rule}"
            )));
        }
        let found = self.rules(Some(order), number)?;
        Ok(match found.into_iter().find(|r| Some(r.rule_number) == number) {
            None => Effect::NotEffective(format!("the consumer has no rule {}", number.unwrap_or(0))),
            Some(rule) if !rule.net.net().contains(&net.net()) => {
                Effect::NotEffective(format!("rule {} is for {}", rule.rule_number, rule.net))
            }
            Some(rule) => {
                let why = rule.why.unwrap_or_default();
                let why: String =
                    portreeve_model::untrusted::escape_for_terminal(&why).chars().take(300).collect();
                let why = format!("rule {}: {why}", rule.rule_number);
                match rule.effect.as_deref() {
                    Some("effective") => Effect::Effective(why),
                    Some("not effective") => Effect::NotEffective(why),
                    _ => Effect::Unknown(why),
                }
            }
        })
    }
}

/// Reads a response in a message of transfer 1.1, or bare as of 1.0.
fn read_response(answer: &Answer, id: &str) -> Result<(u64, String, Value), Fault> {
    let body: Value = match serde_json::from_str(&answer.body) {
        Ok(body) => body,
        // A refusal of the server before OpenC2.
        Err(_) if !answer.ok() => return Err(answer.fault()),
        Err(e) => return Err(Fault::Garbled(format!("the response is no JSON: {e}"))),
    };
    let wrapped = body.get("body").is_some();
    if wrapped && body.pointer("/headers/request_id").and_then(Value::as_str).is_some_and(|given| given != id)
    {
        return Err(Fault::Garbled("the response is another command's".into()));
    }
    let response = if wrapped { body.pointer("/body/openc2/response") } else { Some(&body) };
    let status = response.and_then(|r| r.get("status")).and_then(Value::as_u64);
    let Some((response, status)) = response.zip(status) else {
        return Err(if answer.ok() {
            Fault::Garbled("the response has no status".into())
        } else {
            answer.fault()
        });
    };
    let text = response.get("status_text").and_then(Value::as_str).unwrap_or("");
    let text = portreeve_model::untrusted::escape_for_terminal(&text.chars().take(300).collect::<String>());
    Ok((status, text, response.get("results").cloned().unwrap_or_default()))
}

/// What a status means for a command that changes something.
fn done(status: u64, text: &str) -> Result<(), Fault> {
    let why = format!("status {status} {text}");
    match status {
        200 | 102 => Ok(()),
        401 => Err(Fault::Credential(why)),
        404 => Err(Fault::NotFound(why)),
        501 => Err(Fault::Unsupported(why)),
        400..=499 => Err(Fault::Refused(why)),
        _ => Err(Fault::Lost(why)),
    }
}

impl Control for OpenC2 {
    fn read(&mut self, order: &Order) -> Result<Seen, Fault> {
        let net = address(order)?;
        let features = self.features()?;
        if !features.denies {
            return Err(Fault::Unsupported("the consumer does not take `deny` of addresses".into()));
        }
        if !features.ours {
            return Ok(Seen {
                ids: vec![net.to_string()],
                says: "the profile has no reading of rules, so it is not known whether it is denied already"
                    .into(),
                ..Seen::default()
            });
        }
        let rules = self.rules(Some(order), None)?;
        let own = rule_number(&request_id("deny", order));
        let holder = rules.iter().find(|r| r.net.net().contains(&net.net()));
        let ours = rules.iter().any(|r| r.rule_number == own && r.net == net);
        Ok(Seen {
            ids: vec![net.to_string()],
            in_force: holder.is_some() && !ours,
            before: Value::Bool(ours),
            says: match holder {
                Some(_) if ours => format!("denied by this step, rule {own}"),
                Some(r) => format!("denied already by rule {} for {}", r.rule_number, r.net),
                None => "not denied".to_owned(),
            },
            also_hits: Vec::new(),
        })
    }

    fn preview(&self, order: &Order, _: &Seen) -> Result<Vec<String>, Fault> {
        let (id, message) = self.denial(order)?;
        let path = Path::new("/.well-known/openc2");
        Ok(vec![format!(
            "{} (X-Request-ID: {id})",
            self.http.shown(Method::Post, &path, &Body::Json(&message))
        )])
    }

    fn apply(&mut self, order: &Order, _: &Seen) -> Result<Ack, Fault> {
        let (id, message) = self.denial(order)?;
        let (status, text, results) = self.send(&id, &message)?;
        done(status, &text)?;
        let number = results.pointer("/slpf/rule_number").and_then(Value::as_u64);
        let says = match number {
            Some(number) => format!("status {status}, rule {number}"),
            None => format!("status {status}, no rule number; it cannot be deleted by command"),
        };
        Ok(Ack { made: json!({"rule_number": number}), ..Ack::says(says) })
    }

    fn verify(&mut self, order: &Order, known: &Known) -> Effect {
        self.in_force(order, known).unwrap_or_else(|fault| Effect::unread(&fault))
    }

    fn undo(&mut self, order: &Order, known: &Known) -> Result<Ack, Fault> {
        let ours = self.features()?.ours;
        let Some(number) = self.number(order, known, ours) else {
            return Err(Fault::Unsupported(
                "the consumer gave no rule number, so its rule cannot be named; a person deletes it there"
                    .into(),
            ));
        };
        if ours && self.rules(Some(order), Some(number))?.is_empty() {
            return Ok(Ack::says("was gone already"));
        }
        let id = request_id("delete", order);
        let args = json!({"response_requested": "complete"});
        let message = self.message(&id, "delete", json!({"slpf:rule_number": number}), args);
        let (status, text, _) = self.send(&id, &message)?;
        done(status, &text)?;
        Ok(Ack::says(format!("status {status}, rule {number} deleted")))
    }

    fn verify_undone(&mut self, order: &Order, known: &Known) -> Effect {
        let read = || -> Result<Effect, Fault> {
            let net = address(order)?;
            if !self.features()?.ours {
                return Ok(Effect::Unknown("the profile has no reading of rules; a person looks".into()));
            }
            let left = self.rules(Some(order), None)?;
            let number = self.number(order, known, true);
            Ok(match left.iter().find(|r| r.net.overlaps(net)) {
                None => Effect::Effective(format!("no rule denies {net}")),
                Some(r) if Some(r.rule_number) == number => {
                    Effect::NotEffective(format!("rule {} is still there", r.rule_number))
                }
                Some(r) => Effect::NotEffective(format!(
                    "ours is gone, rule {} by another hand denies {}",
                    r.rule_number, r.net
                )),
            })
        };
        read().unwrap_or_else(|fault| Effect::unread(&fault))
    }

    fn present(&mut self) -> Result<Option<Vec<Present>>, Fault> {
        if !self.features()?.ours {
            return Ok(None);
        }
        let rules = self.rules(None, None)?;
        let shown =
            |r: RuleState| Present { what: r.net.to_string(), mark: Some(format!("rule {}", r.rule_number)) };
        Ok(Some(rules.into_iter().map(shown).collect()))
    }

    fn doctor(&mut self) -> Vec<Ability> {
        let base = self.http.base().to_owned();
        match self.features() {
            Err(fault) => vec![Ability::new("query the consumer", Some(false), fault.to_string())],
            Ok(f) => vec![
                Ability::new("query the consumer", Some(true), base),
                Ability::new("deny addresses", Some(f.denies), "as the consumer lists it"),
                Ability::new("delete a rule", Some(f.deletes), "as the consumer lists it"),
                Ability::new("read rules", Some(f.ours), "an extension of Portreeve's own consumer"),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(what: &str) -> Order {
        Order {
            act: Act::BlockAddress,
            target: Target::address(what.parse().unwrap()),
            until: None,
            mark: "portreeve-0123456789ab".into(),
            case: "c".into(),
        }
    }

    #[test]
    fn the_same_step_has_the_same_id() {
        let id = request_id("deny", &order("192.0.2.7"));
        assert_eq!(id, request_id("deny", &order("192.0.2.7")));
        assert_ne!(id, request_id("delete", &order("192.0.2.7")));
        assert_eq!((id.len(), &id[14..15]), (36, "4"));
        assert!(matches!(&id[19..20], "8" | "9" | "a" | "b"), "{id}");
    }

    #[test]
    fn a_response_is_read_in_a_message_and_bare() {
        let answer = |status, body: &str| Answer { status, body: body.into(), ..Answer::default() };
        let read = |status, body: &str| read_response(&answer(status, body), "a");
        let bare = r#"{"status":200,"results":{"slpf":{"rule_number":1234}}}"#;
        assert_eq!(read(200, bare).unwrap().2.pointer("/slpf/rule_number"), Some(&json!(1234)));
        let wrapped = r#"{"headers":{"request_id":"a"},"body":{"openc2":{"response":{"status":501,"status_text":"no"}}}}"#;
        assert_eq!(read(501, wrapped).unwrap(), (501, "no".into(), Value::Null));
        assert!(matches!(read(200, &wrapped.replace("\"a\"", "\"b\"")), Err(Fault::Garbled(_))));
        assert!(matches!(read(200, "{}"), Err(Fault::Garbled(_))));
        assert!(matches!(read(403, "no"), Err(Fault::Credential(_))));
        assert!(matches!(read(502, "{}"), Err(Fault::Lost(_))));
        assert!(matches!(done(501, ""), Err(Fault::Unsupported(_))));
        assert!(matches!(done(403, ""), Err(Fault::Refused(_))));
        assert!(matches!(done(500, ""), Err(Fault::Lost(_))));
    }
}
