//! CrowdSec: a ban decision at the local API, which bouncers fetch and enforce. Each alert that is posted makes another
//! decision, and a deletion by address takes away those of others; so we look before we write and delete by id.

use crate::act::Act;
use crate::connector::{
    Ability, Ack, Can, Connector, Control, Effect, Known, Order, Present, Proof, Seen, Setting, Settings,
};
use crate::fault::Fault;
use crate::secret::Secret;
use crate::target::{Target, TargetKind};
use crate::transport::http::{Body, Endpoint, Http, Method, Path};
use crate::value::Net;
use serde::Deserialize;
use std::time::Duration;

pub static CONNECTOR: Connector = Connector {
    name: "crowdsec",
    product: "CrowdSec (local API)",
    proof: Proof::Proven,
    can: &[Can {
        effect: "a decision of type `ban` with origin `portreeve` and our mark as its scenario",
        leaves_open: "everything until a bouncer has fetched the decision (ten seconds mostly), and all of it where no \
                      bouncer stands before what is attacked; connections that stand, with a bouncer that looks at \
                      new ones only",
        undo: "our decisions are deleted by their ids; others for the address stay",
        verified_by: "the decisions for the address, read as a bouncer reads them; that a bouncer enforces them is \
                      not read",
        expires: true,
        within: Duration::from_secs(15),
        ..Can::at_once(Act::BlockAddress, &[TargetKind::Address])
    }],
    needs: "a machine (`cscli machines add`) to write, credential `default`: its password; a bouncer's key \
            (`cscli bouncers add`) to read, credential `read`",
    settings: &[
        Setting {
            name: "endpoint",
            required: true,
            says: "`{url, ca, …}` of the local API, port 8080 mostly",
        },
        Setting { name: "machine", required: true, says: "the name of the machine" },
    ],
    source: "CrowdSec, local API (swagger); proven with crowdsec 1.4.6 and crowdsec-firewall-bouncer on nftables",
    open,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    endpoint: Endpoint,
    machine: String,
}

fn open(settings: &Settings) -> Result<Box<dyn Control>, Fault> {
    let config: Config = settings.fields()?;
    let http = Http::open(&config.endpoint)?;
    Ok(Box::new(CrowdSec {
        http,
        endpoint: config.endpoint,
        machine: config.machine,
        settings: settings.clone(),
    }))
}

struct CrowdSec {
    /// Without a credential; each use has its own.
    http: Http,
    endpoint: Endpoint,
    machine: String,
    settings: Settings,
}

const ORIGIN: &str = "portreeve";
/// What stands for "without an end", which decisions do not have.
const LONGEST_S: u64 = 10 * 365 * 86_400;

#[derive(Clone, Debug, Deserialize)]
struct Decision {
    id: u64,
    origin: String,
    scenario: String,
    #[serde(rename = "type")]
    kind: String,
    value: String,
    #[serde(default)]
    simulated: bool,
}

impl Decision {
    fn is_ours(&self, order: &Order) -> bool {
        self.origin == ORIGIN && self.scenario == order.mark
    }

    /// Does it ban all of this range?
    fn bans(&self, net: Net) -> bool {
        self.kind == "ban"
            && !self.simulated
            && self.value.parse::<Net>().is_ok_and(|value| value.net().contains(&net.net()))
    }

    fn said(&self) -> String {
        let text = format!("decision {} on {}, by {} ({})", self.id, self.value, self.origin, self.scenario);
        portreeve_model::untrusted::escape_for_terminal(&text)
    }
}

fn address(order: &Order) -> Result<Net, Fault> {
    match &order.target {
        Target::Address { net } => Ok(*net),
        other => Err(Fault::Unsupported(format!("CrowdSec bans addresses, not {other}"))),
    }
}

fn scope(net: Net) -> &'static str {
    if net.is_host() { "Ip" } else { "Range" }
}

impl CrowdSec {
    fn reader(&self) -> Result<Http, Fault> {
        let key = self.settings.named_credential("read")?.ok_or_else(|| {
            Fault::Credential("the credential `read`, a bouncer's key, is not configured".into())
        })?;
        Ok(Http::open(&self.endpoint)?.header("x-api-key", key))
    }

    fn decisions(&self, path: &Path) -> Result<Vec<Decision>, Fault> {
        let answer = self.reader()?.get(path)?.done()?;
        // `null` where there is none.
        let found: Option<Vec<Decision>> =
            serde_json::from_str(&answer.body).map_err(|e| Fault::Garbled(format!("decisions: {e}")))?;
        Ok(found.unwrap_or_default())
    }

    /// The decisions that hold this address or range.
    fn of(&self, net: Net) -> Result<Vec<Decision>, Fault> {
        let name = if net.is_host() { "ip" } else { "range" };
        self.decisions(&Path::new("/v1/decisions").query(name, &net.to_string()))
    }

    /// Signs the machine in. The token lives an hour, longer than a step.
    fn writer(&self) -> Result<Http, Fault> {
        let password = self.settings.credential(Act::BlockAddress)?;
        let body = Secret::new(
            serde_json::json!({"machine_id": self.machine, "password": password.expose(), "scenarios": []})
                .to_string(),
        );
        let answer = self
            .http
            .send(
                Method::Post,
                &Path::new("/v1/watchers/login"),
                &Body::Text("application/json", body.expose()),
                &[],
            )
            // Signing in changes nothing.
            .map_err(|fault| match fault {
                Fault::Lost(why) => Fault::Unreachable(why),
                other => other,
            })?;
        if !answer.ok() {
            return Err(match answer.fault() {
                Fault::Lost(why) => Fault::Unreachable(why),
                Fault::Refused(why) => Fault::Credential(why),
                other => other,
            });
        }
        // Read as its type, so that an answer that cannot be read is not shown with a token in it.
        #[derive(Deserialize)]
        struct Login {
            token: String,
        }
        let login: Login = serde_json::from_str(&answer.body)
            .map_err(|_| Fault::Unreachable("the answer to the login holds no token".into()))?;
        Ok(Http::open(&self.endpoint)?.bearer(&Secret::new(login.token)))
    }

    fn alert(&self, order: &Order, net: Net) -> serde_json::Value {
        let now = jiff::Timestamp::now();
        let seconds = order.seconds_left(now.as_microsecond()).unwrap_or(LONGEST_S);
        // A decision runs from `stop_at`, not from when it is posted.
        let at = now.strftime("%FT%TZ").to_string();
        let value = net.to_string();
        let mut source = serde_json::json!({"scope": scope(net), "value": value});
        if let Some(source) = source.as_object_mut() {
            source.insert(if net.is_host() { "ip" } else { "range" }.into(), value.clone().into());
        }
        serde_json::json!([{
            "scenario": order.mark,
            "scenario_hash": "",
            "scenario_version": "",
            "message": format!("Blocked by an approved action of {}", order.case),
            "events_count": 1,
            "start_at": at,
            "stop_at": at,
            "capacity": 0,
            "leakspeed": "0s",
            "simulated": false,
            "remediation": true,
            "source": source,
            "events": [],
            "decisions": [{
                "origin": ORIGIN,
                "type": "ban",
                "scope": scope(net),
                "value": value,
                "duration": format!("{seconds}s"),
                "scenario": order.mark,
            }],
        }])
    }
}

impl Control for CrowdSec {
    fn read(&mut self, order: &Order) -> Result<Seen, Fault> {
        let net = address(order)?;
        let found = self.of(net)?;
        let ours = found.iter().any(|d| d.is_ours(order) && d.bans(net));
        let other = found.iter().find(|d| !d.is_ours(order) && d.bans(net));
        Ok(Seen {
            ids: vec![net.to_string()],
            in_force: other.is_some() && !ours,
            before: serde_json::Value::Bool(ours),
            says: match (ours, other) {
                (true, _) => "banned by this step".to_owned(),
                (false, Some(other)) => format!("banned already: {}", other.said()),
                (false, None) => "not banned".to_owned(),
            },
            also_hits: Vec::new(),
        })
    }

    fn preview(&self, order: &Order, _: &Seen) -> Result<Vec<String>, Fault> {
        let net = address(order)?;
        let login = serde_json::json!({"machine_id": self.machine, "password": "***", "scenarios": []});
        let (login_path, alert_path) = (Path::new("/v1/watchers/login"), Path::new("/v1/alerts"));
        Ok(vec![
            self.http.shown(Method::Post, &login_path, &Body::Json(&login)),
            self.http.shown(Method::Post, &alert_path, &Body::Json(&self.alert(order, net))),
        ])
    }

    fn apply(&mut self, order: &Order, _: &Seen) -> Result<Ack, Fault> {
        let net = address(order)?;
        // Sent before and its answer lost: a second alert would make a second decision.
        if self.of(net)?.iter().any(|d| d.is_ours(order) && d.bans(net)) {
            return Ok(Ack::says("this step's decision is there already; nothing was sent"));
        }
        let http = self.writer()?;
        let alert = self.alert(order, net);
        let answer = http.change(Method::Post, &Path::new("/v1/alerts"), &Body::Json(&alert))?.done()?;
        let ids: Vec<String> = serde_json::from_str(&answer.body)
            .map_err(|e| Fault::Garbled(format!("the answer to the alert: {e}")))?;
        Ok(Ack {
            made: serde_json::json!({"alerts": ids}),
            ..Ack::says(format!("{} alerts taken", ids.len()))
        })
    }

    fn verify(&mut self, order: &Order, _: &Known) -> Effect {
        match address(order).and_then(|net| Ok((net, self.of(net)?))) {
            Err(fault) => Effect::unread(&fault),
            Ok((net, found)) => match found.iter().find(|d| d.bans(net)) {
                Some(d) => Effect::Effective(format!("{}; bouncers get it when they fetch", d.said())),
                None => Effect::NotEffective(format!(
                    "no decision bans {net}; an allow-list of CrowdSec drops decisions without a word"
                )),
            },
        }
    }

    fn undo(&mut self, order: &Order, _: &Known) -> Result<Ack, Fault> {
        let net = address(order)?;
        let ours: Vec<Decision> = self.of(net)?.into_iter().filter(|d| d.is_ours(order)).collect();
        if ours.is_empty() {
            return Ok(Ack::says("was gone already"));
        }
        let http = self.writer()?;
        for decision in &ours {
            let path = Path::new("/v1/decisions").segment(&decision.id.to_string());
            let answer = http.change(Method::Delete, &path, &Body::Nothing)?;
            // An id that is gone is told as an internal error.
            if !answer.ok() && !answer.body.contains("doesn't exist") {
                return Err(answer.fault());
            }
        }
        Ok(Ack::says(format!("{} decisions deleted", ours.len())))
    }

    fn verify_undone(&mut self, order: &Order, _: &Known) -> Effect {
        match address(order).and_then(|net| Ok((net, self.of(net)?))) {
            Err(fault) => Effect::unread(&fault),
            Ok((net, found)) => match found.iter().find(|d| d.bans(net)) {
                None => Effect::Effective(format!("no decision bans {net}")),
                Some(d) if d.is_ours(order) => Effect::NotEffective(format!("still there: {}", d.said())),
                Some(d) => {
                    Effect::NotEffective(format!("ours is gone, another hand's is in force: {}", d.said()))
                }
            },
        }
    }

    fn present(&mut self) -> Result<Option<Vec<Present>>, Fault> {
        // Everything that is in force, and not by `origins`, which older versions do not know and pass over.
        let all = self.decisions(&Path::new("/v1/decisions"))?;
        let ours = all.into_iter().filter(|d| d.origin == ORIGIN);
        Ok(Some(ours.map(|d| Present { what: d.value, mark: Some(d.scenario) }).collect()))
    }

    fn doctor(&mut self) -> Vec<Ability> {
        let read = self.of(Net::host(std::net::Ipv4Addr::new(192, 0, 2, 1).into()));
        let write = self.writer();
        let why = |fault: Option<Fault>| fault.map_or_else(|| self.http.base().to_owned(), |f| f.to_string());
        vec![
            Ability::new("read decisions", Some(read.is_ok()), why(read.err())),
            Ability::new("sign in as a machine and ban", Some(write.is_ok()), why(write.err())),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(json: &str) -> Decision {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn only_a_ban_that_is_no_exercise_and_holds_all_of_it_counts() {
        let net = |t: &str| t.parse::<Net>().unwrap();
        let ban = decision(
            r#"{"duration":"9m","id":1,"origin":"cscli","scenario":"x","scope":"Range","type":"ban","value":"10.98.0.0/16"}"#,
        );
        assert!(ban.bans(net("10.98.1.1")) && ban.bans(net("10.98.0.0/16")));
        assert!(!ban.bans(net("10.99.0.1")) && !ban.bans(net("10.0.0.0/8")));
        let mut other = ban.clone();
        other.kind = "captcha".into();
        assert!(!other.bans(net("10.98.1.1")));
        let mut other = ban.clone();
        other.simulated = true;
        assert!(!other.bans(net("10.98.1.1")));
        let mut other = ban;
        other.value = "FR".into();
        assert!(!other.bans(net("10.98.1.1")), "a country is no address");
    }
}
