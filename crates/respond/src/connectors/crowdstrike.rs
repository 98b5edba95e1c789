//! CrowdStrike Falcon: one host is contained, by its device id.

use super::asked;
use super::edr::{self, Wanted};
use crate::act::Act;
use crate::connector::{
    Ability, Ack, Can, Connector, Control, Effect, Known, Order, Proof, Seen, Setting, Settings,
};
use crate::fault::Fault;
use crate::target::TargetKind;
use crate::transport::http::{Body, Endpoint, Http, Method, Path};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

pub static CONNECTOR: Connector = Connector {
    name: "crowdstrike",
    product: "CrowdStrike Falcon",
    proof: Proof::Contract,
    can: &[Can {
        effect: "network containment of the one device: it reaches the Falcon cloud and what the containment policy \
                 allows, and nothing else",
        leaves_open: "a device that is off or offline is contained when it comes back; addresses that the \
                      containment policy allows; what the intruder holds elsewhere",
        undo: "containment is lifted, if the device was not contained before by another hand",
        verified_by: "the status in the device's record is `contained`; `containment_pending` is not yet an effect",
        within: Duration::from_secs(300),
        ..Can::at_once(Act::IsolateDevice, &[TargetKind::Device])
    }],
    needs: "an API client with Hosts: read and write; its secret as the credential",
    settings: &[
        Setting {
            name: "endpoint",
            required: true,
            says: "`{url}` of the cloud: `https://api.crowdstrike.com`",
        },
        Setting { name: "client_id", required: true, says: "the id of the API client" },
    ],
    source: "CrowdStrike API: Hosts (devices/queries, devices/entities, devices-actions), OAuth2",
    open,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    endpoint: Endpoint,
    client_id: String,
}

fn open(settings: &Settings) -> Result<Box<dyn Control>, Fault> {
    let config: Config = settings.fields()?;
    let http = Http::open(&config.endpoint)?;
    Ok(Box::new(Falcon { http, config, settings: settings.clone() }))
}

struct Falcon {
    http: Http,
    config: Config,
    settings: Settings,
}

const PAGE: usize = 100;

/// A device as Falcon keeps it.
#[derive(Debug)]
struct Host {
    id: String,
    name: String,
    status: String,
}

impl Host {
    fn is_contained(&self) -> bool {
        matches!(self.status.as_str(), "contained" | "containment_pending")
    }
}

fn action(verb: &'static str) -> Path {
    Path::new("/devices/entities/devices-actions/v2").query("action_name", verb)
}

impl Falcon {
    fn authorise(&mut self) -> Result<(), Fault> {
        let secret = self.settings.credential(Act::IsolateDevice)?;
        // A client anew, so that no token of before goes along.
        self.http = Http::open(&self.config.endpoint)?;
        let form = [("client_id", self.config.client_id.as_str()), ("client_secret", secret.expose())];
        let token = edr::token(&self.http, &Path::new("/oauth2/token"), &form)?;
        let bearer = crate::secret::Secret::new(format!("Bearer {}", token.expose()));
        self.http.set_header("authorization", bearer);
        Ok(())
    }

    fn resources(&self, path: &Path) -> Result<Vec<Value>, Fault> {
        let body = self.http.get(path)?.done()?.json()?;
        taken(&body).map_err(asked::unsent)?;
        match body.get("resources") {
            Some(Value::Array(rows)) => Ok(rows.clone()),
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(_) => Err(Fault::Garbled("resources is no list".into())),
        }
    }

    fn by_ids(&self, ids: &[String]) -> Result<Vec<Host>, Fault> {
        let mut path = Path::new("/devices/entities/devices/v2");
        for id in ids {
            path = path.query("ids", id);
        }
        let rows = if ids.is_empty() { Vec::new() } else { self.resources(&path)? };
        rows.iter()
            .map(|row| {
                let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
                let host = Host { id: text("device_id"), name: text("hostname"), status: text("status") };
                if host.id.is_empty() || host.status.is_empty() {
                    return Err(Fault::Garbled("a device has no device_id or no status".into()));
                }
                Ok(host)
            })
            .collect()
    }

    fn find(&self, wanted: &Wanted) -> Result<Host, Fault> {
        let ids = match (&wanted.id, &wanted.host) {
            (Some(id), _) => vec![id.clone()],
            (None, Some(host)) => {
                // Falcon matches without case, and more than the whole name; what it finds is compared afterwards. A
                // host name holds no quote.
                let path = Path::new("/devices/queries/devices/v1")
                    .query("filter", &format!("hostname:'{host}'"))
                    .query("limit", &PAGE.to_string());
                let found = self.resources(&path)?;
                if found.len() >= PAGE {
                    return Err(Fault::Ambiguous(format!(
                        "{wanted} answers to {} devices or more",
                        found.len()
                    )));
                }
                found.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect()
            }
            (None, None) => Vec::new(),
        };
        wanted.one(self.by_ids(&ids)?, |h| (&h.id, &h.name))
    }

    /// The device of the plan, read by its id.
    fn known(&mut self, order: &Order, seen: &Seen) -> Result<Host, Fault> {
        Wanted::of(order, "crowdstrike")?;
        let id = edr::id_of(seen)?.to_owned();
        self.authorise()?;
        Wanted { host: None, id: Some(id.clone()) }.one(self.by_ids(&[id])?, |h| (&h.id, &h.name))
    }

    fn act(&self, verb: &'static str, id: &str) -> Result<(), Fault> {
        let answer = self.http.change(Method::Post, &action(verb), &Body::Json(&json!({"ids": [id]})))?;
        taken(&answer.done()?.json()?)
    }
}

/// Falcon lists errors beside a status of success.
fn taken(body: &Value) -> Result<(), Fault> {
    match body.get("errors").and_then(Value::as_array).and_then(|e| e.first()) {
        None => Ok(()),
        Some(error) => {
            let message = error.get("message").and_then(Value::as_str).unwrap_or("no message");
            let message: String = message.chars().take(200).collect();
            let message = portreeve_model::untrusted::escape_for_terminal(&message);
            Err(match error.get("code").and_then(Value::as_u64) {
                Some(401 | 403) => Fault::Credential(message),
                Some(404) => Fault::NotFound(message),
                Some(400..=499) => Fault::Refused(message),
                _ => Fault::Lost(message),
            })
        }
    }
}

impl Control for Falcon {
    fn read(&mut self, order: &Order) -> Result<Seen, Fault> {
        let wanted = Wanted::of(order, "crowdstrike")?;
        self.authorise()?;
        let host = self.find(&wanted)?;
        Ok(Seen {
            in_force: host.is_contained(),
            before: json!({"contained": host.is_contained()}),
            says: format!("{} is {}", host.name, host.status),
            ids: vec![host.id],
            also_hits: Vec::new(),
        })
    }

    fn preview(&self, order: &Order, seen: &Seen) -> Result<Vec<String>, Fault> {
        Wanted::of(order, "crowdstrike")?;
        let body = json!({"ids": [edr::id_of(seen)?]});
        Ok(vec![self.http.shown(Method::Post, &action("contain"), &Body::Json(&body))])
    }

    fn apply(&mut self, order: &Order, seen: &Seen) -> Result<Ack, Fault> {
        Wanted::of(order, "crowdstrike")?;
        let id = edr::id_of(seen)?.to_owned();
        self.authorise()?;
        self.act("contain", &id)?;
        Ok(Ack::says("Falcon took the containment"))
    }

    fn verify(&mut self, order: &Order, known: &Known) -> Effect {
        match self.known(order, &known.seen) {
            Err(fault) => Effect::unread(&fault),
            Ok(host) if host.status == "contained" => {
                Effect::Effective(format!("{} is contained", host.name))
            }
            Ok(host) => Effect::NotEffective(format!("{} is {}", host.name, host.status)),
        }
    }

    fn undo(&mut self, order: &Order, known: &Known) -> Result<Ack, Fault> {
        let host = self.known(order, &known.seen).map_err(asked::unsent)?;
        if known.seen.before.get("contained").and_then(Value::as_bool) != Some(false) {
            return Err(Fault::Refused(format!(
                "{} was contained before by another hand; it is left",
                host.name
            )));
        }
        if !host.is_contained() {
            return Ok(Ack::says(format!("{} is {} already", host.name, host.status)));
        }
        self.act("lift_containment", &host.id)?;
        Ok(Ack::says("Falcon took the end of the containment"))
    }

    fn verify_undone(&mut self, order: &Order, known: &Known) -> Effect {
        match self.known(order, &known.seen) {
            Err(fault) => Effect::unread(&fault),
            Ok(host) if host.status == "normal" => Effect::Effective(format!("{} is normal", host.name)),
            Ok(host) => Effect::NotEffective(format!("{} is {}", host.name, host.status)),
        }
    }

    fn doctor(&mut self) -> Vec<Ability> {
        let read = self.authorise().and_then(|()| {
            self.resources(&Path::new("/devices/queries/devices/v1").query("limit", "1")).map(|_| ())
        });
        vec![
            match read {
                Ok(()) => Ability::new("read hosts", Some(true), "Hosts: read"),
                Err(fault) => Ability::new("read hosts", Some(false), fault.to_string()),
            },
            Ability::new("contain", None, "Hosts: write shows only when it is used"),
        ]
    }
}
