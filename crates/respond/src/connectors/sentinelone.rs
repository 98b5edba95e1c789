//! SentinelOne: one agent is disconnected from the network. The API acts on a filter, and an empty one is the whole
//! fleet; the only filter written here is a list of one id.

use super::asked;
use super::edr::{self, Wanted};
use crate::act::Act;
use crate::connector::{
    Ability, Ack, Can, Connector, Control, Effect, Known, Order, Proof, Seen, Setting, Settings,
};
use crate::fault::Fault;
use crate::secret::Secret;
use crate::target::TargetKind;
use crate::transport::http::{Body, Endpoint, Http, Method, Path};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

pub static CONNECTOR: Connector = Connector {
    name: "sentinelone",
    product: "SentinelOne Singularity",
    proof: Proof::Contract,
    can: &[Can {
        effect: "network quarantine of the one agent: it reaches the SentinelOne console and nothing else",
        leaves_open: "a device that is off is disconnected when it comes back; exceptions of the firewall control; \
                      what the intruder holds elsewhere",
        undo: "the agent is connected again, if it was not disconnected before by another hand",
        verified_by: "the agent's `networkStatus` is `disconnected`; `disconnecting` is not yet an effect",
        within: Duration::from_secs(300),
        ..Can::at_once(Act::IsolateDevice, &[TargetKind::Device])
    }],
    needs: "a service user whose role has Endpoints: view, Disconnect From Network and Reconnect To Network, scoped \
            to its sites; its API token as the credential",
    settings: &[Setting {
        name: "endpoint",
        required: true,
        says: "`{url}` of the console: `https://….sentinelone.net`",
    }],
    source: "SentinelOne Management API 2.1: agents, agents/actions/disconnect, agents/actions/connect",
    open,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    endpoint: Endpoint,
}

fn open(settings: &Settings) -> Result<Box<dyn Control>, Fault> {
    let config: Config = settings.fields()?;
    Ok(Box::new(Sentinel { http: Http::open(&config.endpoint)?, settings: settings.clone() }))
}

struct Sentinel {
    http: Http,
    settings: Settings,
}

const AGENTS: &str = "/web/api/v2.1/agents";
const DISCONNECT: &str = "/web/api/v2.1/agents/actions/disconnect";
const CONNECT: &str = "/web/api/v2.1/agents/actions/connect";
const PAGES: usize = 20;

#[derive(Debug)]
struct Agent {
    id: String,
    name: String,
    network: String,
}

impl Agent {
    fn is_off(&self) -> bool {
        matches!(self.network.as_str(), "disconnected" | "disconnecting")
    }
}

/// The one body that is ever sent.
fn only(id: &str) -> Value {
    json!({"filter": {"ids": [id]}, "data": {}})
}

impl Sentinel {
    fn authorise(&mut self) -> Result<(), Fault> {
        let token = self.settings.credential(Act::IsolateDevice)?;
        self.http.set_header("authorization", Secret::new(format!("ApiToken {}", token.expose())));
        Ok(())
    }

    /// Agents by a filter, all pages.
    fn agents(&self, filter: &'static str, value: &str) -> Result<Vec<Agent>, Fault> {
        let mut all: Vec<Agent> = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..PAGES {
            let mut path = Path::new(AGENTS).query(filter, value).query("limit", "100");
            if let Some(cursor) = &cursor {
                path = path.query("cursor", cursor);
            }
            let body = self.http.get(&path)?.done()?.json()?;
            let rows = body.get("data").and_then(Value::as_array);
            for row in rows.ok_or_else(|| Fault::Garbled("no data".into()))? {
                let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
                // An agent that was decommissioned has no device any more.
                if row.get("isDecommissioned").and_then(Value::as_bool) == Some(true) {
                    continue;
                }
                let agent =
                    Agent { id: text("id"), name: text("computerName"), network: text("networkStatus") };
                if agent.id.is_empty() || agent.network.is_empty() {
                    return Err(Fault::Garbled("an agent has no id or no networkStatus".into()));
                }
                all.push(agent);
            }
            cursor = body.pointer("/pagination/nextCursor").and_then(Value::as_str).map(str::to_owned);
            if cursor.is_none() {
                return Ok(all);
            }
        }
        Err(Fault::Garbled("the list of agents does not end".into()))
    }

    fn find(&self, wanted: &Wanted) -> Result<Agent, Fault> {
        let found = match (&wanted.id, &wanted.host) {
            (Some(id), _) => self.agents("ids", id)?,
            // Not `computerName__contains`, which finds others too.
            (None, Some(host)) => self.agents("computerName", host)?,
            (None, None) => Vec::new(),
        };
        wanted.one(found, |a| (&a.id, &a.name))
    }

    fn known(&mut self, order: &Order, seen: &Seen) -> Result<Agent, Fault> {
        Wanted::of(order, "sentinelone")?;
        let wanted = Wanted { host: None, id: Some(edr::id_of(seen)?.to_owned()) };
        self.authorise()?;
        self.find(&wanted)
    }

    fn act(&self, fixed: &'static str, id: &str) -> Result<(), Fault> {
        let answer = self.http.change(Method::Post, &Path::new(fixed), &Body::Json(&only(id)))?;
        let body = answer.done()?.json()?;
        match body.pointer("/data/affected").and_then(Value::as_u64) {
            Some(1) => Ok(()),
            Some(0) => Err(Fault::Refused("SentinelOne says that no agent was affected".into())),
            Some(n) => {
                Err(Fault::Garbled(format!("SentinelOne says that {n} agents were affected, for one id")))
            }
            None => Err(Fault::Garbled("SentinelOne does not say how many agents were affected".into())),
        }
    }
}

impl Control for Sentinel {
    fn read(&mut self, order: &Order) -> Result<Seen, Fault> {
        let wanted = Wanted::of(order, "sentinelone")?;
        self.authorise()?;
        let agent = self.find(&wanted)?;
        Ok(Seen {
            in_force: agent.is_off(),
            before: json!({"disconnected": agent.is_off()}),
            says: format!("{} is {}", agent.name, agent.network),
            ids: vec![agent.id],
            also_hits: Vec::new(),
        })
    }

    fn preview(&self, order: &Order, seen: &Seen) -> Result<Vec<String>, Fault> {
        Wanted::of(order, "sentinelone")?;
        let body = only(edr::id_of(seen)?);
        Ok(vec![self.http.shown(Method::Post, &Path::new(DISCONNECT), &Body::Json(&body))])
    }

    fn apply(&mut self, order: &Order, seen: &Seen) -> Result<Ack, Fault> {
        Wanted::of(order, "sentinelone")?;
        let id = edr::id_of(seen)?;
        self.authorise()?;
        self.act(DISCONNECT, id)?;
        Ok(Ack::says("SentinelOne took the disconnection of one agent"))
    }

    fn verify(&mut self, order: &Order, known: &Known) -> Effect {
        match self.known(order, &known.seen) {
            Err(fault) => Effect::unread(&fault),
            Ok(agent) if agent.network == "disconnected" => {
                Effect::Effective(format!("{} is disconnected", agent.name))
            }
            Ok(agent) => Effect::NotEffective(format!("{} is {}", agent.name, agent.network)),
        }
    }

    fn undo(&mut self, order: &Order, known: &Known) -> Result<Ack, Fault> {
        let agent = self.known(order, &known.seen).map_err(asked::unsent)?;
        if known.seen.before.get("disconnected").and_then(Value::as_bool) != Some(false) {
            return Err(Fault::Refused(format!(
                "{} was disconnected before by another hand; it is left",
                agent.name
            )));
        }
        if !agent.is_off() {
            return Ok(Ack::says(format!("{} is {} already", agent.name, agent.network)));
        }
        self.act(CONNECT, &agent.id)?;
        Ok(Ack::says("SentinelOne took the connection of one agent"))
    }

    fn verify_undone(&mut self, order: &Order, known: &Known) -> Effect {
        match self.known(order, &known.seen) {
            Err(fault) => Effect::unread(&fault),
            Ok(agent) if agent.network == "connected" => {
                Effect::Effective(format!("{} is connected", agent.name))
            }
            Ok(agent) => Effect::NotEffective(format!("{} is {}", agent.name, agent.network)),
        }
    }

    fn doctor(&mut self) -> Vec<Ability> {
        // A name that nobody has: an empty list is an answer.
        let read = self.authorise().and_then(|()| self.agents("computerName", "portreeve-doctor"));
        vec![
            match read {
                Ok(_) => Ability::new("read agents", Some(true), "Endpoints: view"),
                Err(fault) => Ability::new("read agents", Some(false), fault.to_string()),
            },
            Ability::new("disconnect and connect", None, "the role's right shows only when it is used"),
        ]
    }
}
