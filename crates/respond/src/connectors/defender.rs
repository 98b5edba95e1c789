//! Microsoft Defender for Endpoint: one machine is isolated. The API only queues an action, so its status is read
//! until the machine has done it.

use super::asked;
use super::edr::{self, Wanted};
use crate::act::Act;
use crate::connector::{
    Ability, Ack, Can, Connector, Control, Effect, Known, Order, Proof, Seen, Setting, Settings,
};
use crate::fault::Fault;
use crate::secret::Secret;
use crate::target::TargetKind;
use crate::transport::http::{Answer, Body, Endpoint, Http, Method, Path};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

pub static CONNECTOR: Connector = Connector {
    name: "defender",
    product: "Microsoft Defender for Endpoint",
    proof: Proof::Contract,
    can: &[Can {
        effect: "the machine is isolated (`Full`, or `Selective`, which leaves Outlook, Teams and Skype): it reaches \
                 the Defender cloud and nothing else",
        leaves_open: "a machine that is off or offline is isolated when it comes back; a full VPN tunnel may keep \
                      the machine from its cloud; what the intruder holds elsewhere",
        undo: "the machine is released, or the queued action is cancelled, if the isolation is ours",
        verified_by: "the list of the machine's actions: the last isolation has the status Succeeded and no release \
                      came after it; the 201 of the request says only that it is queued",
        within: Duration::from_secs(600),
        ..Can::at_once(Act::IsolateDevice, &[TargetKind::Device])
    }],
    needs: "an app registration with the application permissions Machine.Read.All and Machine.Isolate; its client \
            secret as the credential",
    settings: &[
        Setting {
            name: "endpoint",
            required: true,
            says: "`{url}`: `https://api.security.microsoft.com` or the one of the region",
        },
        Setting { name: "login", required: true, says: "`{url}`: `https://login.microsoftonline.com`" },
        Setting { name: "tenant", required: true, says: "the id of the tenant" },
        Setting { name: "client_id", required: true, says: "the id of the app" },
        Setting { name: "isolation", required: false, says: "`Full` or `Selective`; `Full`" },
    ],
    source: "Microsoft Defender for Endpoint API: machine, isolate, unisolate, machineactions",
    open,
};

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
enum Isolation {
    #[default]
    Full,
    Selective,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    endpoint: Endpoint,
    login: Endpoint,
    tenant: String,
    client_id: String,
    #[serde(default)]
    isolation: Isolation,
}

fn open(settings: &Settings) -> Result<Box<dyn Control>, Fault> {
    let config: Config = settings.fields()?;
    if config.tenant.is_empty() {
        return Err(Fault::Config("defender: tenant is empty".into()));
    }
    let http = Http::open(&config.endpoint)?;
    let login = Http::open(&config.login)?;
    Ok(Box::new(Defender { http, login, config, settings: settings.clone() }))
}

struct Defender {
    http: Http,
    login: Http,
    config: Config,
    settings: Settings,
}

const SCOPE: &str = "https://api.securitycenter.microsoft.com/.default";
const PAGE: usize = 100;
const PAGES: usize = 20;

struct Machine {
    id: String,
    name: String,
    health: String,
}

/// One action on a machine that isolates or releases it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Action {
    id: String,
    isolates: bool,
    status: String,
    comment: String,
    created: Timestamp,
}

impl Action {
    fn runs(&self) -> bool {
        matches!(self.status.as_str(), "Pending" | "InProgress")
    }
}

/// What the actions of a machine come to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct State {
    /// The isolation that holds.
    held_by: Option<Action>,
    running: Option<Action>,
    /// The last that ended in another way than well.
    failed: Option<Action>,
}

fn fold(mut actions: Vec<Action>) -> State {
    actions.sort_by(|a, b| a.created.cmp(&b.created).then_with(|| a.id.cmp(&b.id)));
    let mut state = State::default();
    for action in actions {
        if action.runs() {
            state.running = Some(action);
        } else if action.status == "Succeeded" {
            state.failed = None;
            state.held_by = action.isolates.then_some(action);
        } else {
            state.failed = Some(action);
        }
    }
    state
}

fn isolate(id: &str) -> Path {
    Path::new("/api/machines").segment(id).then("/isolate")
}

impl Defender {
    fn authorise(&mut self) -> Result<(), Fault> {
        let secret = self.settings.credential(Act::IsolateDevice)?;
        let path = Path::new("").segment(&self.config.tenant).then("/oauth2/v2.0/token");
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", self.config.client_id.as_str()),
            ("client_secret", secret.expose()),
            ("scope", SCOPE),
        ];
        let token = edr::token(&self.login, &path, &form)?;
        self.http.set_header("authorization", Secret::new(format!("Bearer {}", token.expose())));
        Ok(())
    }

    /// The values of a query, page by page.
    fn values(&self, fixed: &'static str, filter: &str) -> Result<Vec<Value>, Fault> {
        let mut all: Vec<Value> = Vec::new();
        for page in 0..PAGES {
            let path = Path::new(fixed)
                .query("$filter", filter)
                .query("$top", &PAGE.to_string())
                .query("$skip", &(page * PAGE).to_string());
            let body = self.http.get(&path)?.done()?.json()?;
            let Some(Value::Array(rows)) = body.get("value") else {
                return Err(Fault::Garbled("no value".into()));
            };
            all.extend(rows.iter().cloned());
            if rows.len() < PAGE {
                return Ok(all);
            }
        }
        Err(Fault::Garbled(format!("more than {} results", PAGE * PAGES)))
    }

    fn find(&self, wanted: &Wanted) -> Result<Machine, Fault> {
        let rows = match (&wanted.id, &wanted.host) {
            (Some(id), _) => vec![self.http.get(&Path::new("/api/machines").segment(id))?.done()?.json()?],
            // A host name holds no quote. It is the name with its domain, as Defender has it.
            (None, Some(host)) => {
                self.values("/api/machines", &format!("computerDnsName eq '{}'", host.to_ascii_lowercase()))?
            }
            (None, None) => Vec::new(),
        };
        let mut machines = Vec::new();
        for row in &rows {
            let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
            // The id of the machine, not the one of the directory (`aadDeviceId`).
            let machine =
                Machine { id: text("id"), name: text("computerDnsName"), health: text("healthStatus") };
            if machine.id.is_empty() {
                return Err(Fault::Garbled("a machine has no id".into()));
            }
            if text("mergedIntoMachineId").is_empty() {
                machines.push(machine);
            }
        }
        wanted.one(machines, |m| (&m.id, &m.name))
    }

    fn state(&self, id: &str) -> Result<State, Fault> {
        if !id.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(Fault::Config("the id of a machine is of letters and digits".into()));
        }
        let filter = format!("machineId eq '{id}' and (type eq 'Isolate' or type eq 'Unisolate')");
        let mut actions = Vec::new();
        for row in self.values("/api/machineactions", &filter)? {
            let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
            let isolates = match text("type").as_str() {
                "Isolate" => true,
                "Unisolate" => false,
                _ => continue,
            };
            if text("machineId") != id {
                continue;
            }
            actions.push(Action {
                id: text("id"),
                isolates,
                status: text("status"),
                comment: text("requestorComment"),
                created: text("creationDateTimeUtc")
                    .parse()
                    .map_err(|_| Fault::Garbled("an action has no creationDateTimeUtc".into()))?,
            });
        }
        Ok(fold(actions))
    }

    fn known(&mut self, order: &Order, seen: &Seen) -> Result<(String, State), Fault> {
        Wanted::of(order, "defender")?;
        let id = edr::id_of(seen)?.to_owned();
        self.authorise()?;
        let state = self.state(&id)?;
        Ok((id, state))
    }

    fn comment(order: &Order) -> String {
        format!("{} {}", order.mark, order.case)
    }

    fn body(&self, order: &Order) -> Value {
        json!({"Comment": Self::comment(order), "IsolationType": format!("{:?}", self.config.isolation)})
    }

    fn send(&self, path: &Path, body: &Value) -> Result<Answer, Fault> {
        self.http.change(Method::Post, path, &Body::Json(body))
    }
}

fn ours(order: &Order, action: &Action) -> bool {
    action.comment.split(' ').next() == Some(order.mark.as_str())
}

/// 400 with `ActiveRequestAlreadyExists`: an action of this kind waits or runs already.
fn already(answer: &Answer) -> bool {
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let code = body.pointer("/error/code").and_then(Value::as_str);
    answer.status == 400 && code == Some("ActiveRequestAlreadyExists")
}

impl Control for Defender {
    fn read(&mut self, order: &Order) -> Result<Seen, Fault> {
        let wanted = Wanted::of(order, "defender")?;
        self.authorise()?;
        let machine = self.find(&wanted)?;
        let state = self.state(&machine.id)?;
        let stranger = |a: &&Action| a.isolates && !ours(order, a);
        let held = state.held_by.as_ref().filter(stranger);
        let waits = state.running.as_ref().filter(stranger);
        let says = match (&state.held_by, &state.running) {
            (Some(_), None) => "isolated",
            (_, Some(a)) if a.isolates => "about to be isolated",
            (_, Some(_)) => "about to be released",
            (None, None) => "not isolated",
        };
        Ok(Seen {
            in_force: held.is_some() || waits.is_some(),
            before: json!({"isolated": held.is_some() || waits.is_some()}),
            says: format!("{} is {says}", machine.name),
            ids: vec![machine.id],
            also_hits: Vec::new(),
        })
    }

    fn preview(&self, order: &Order, seen: &Seen) -> Result<Vec<String>, Fault> {
        Wanted::of(order, "defender")?;
        let path = isolate(edr::id_of(seen)?);
        Ok(vec![self.http.shown(Method::Post, &path, &Body::Json(&self.body(order)))])
    }

    fn apply(&mut self, order: &Order, seen: &Seen) -> Result<Ack, Fault> {
        Wanted::of(order, "defender")?;
        let id = edr::id_of(seen)?.to_owned();
        self.authorise()?;
        let answer = self.send(&isolate(&id), &self.body(order))?;
        if already(&answer) {
            let waits = self.state(&id).map_err(asked::unsent)?.running;
            return match waits {
                Some(a) if a.isolates && ours(order, &a) => Ok(Ack::says("this isolation is queued already")),
                _ => Err(Fault::Refused("another action waits or runs on this machine".into())),
            };
        }
        let action = answer.done()?.json()?;
        let action = action.get("id").and_then(Value::as_str).filter(|i| !i.is_empty());
        let action = action.ok_or_else(|| Fault::Garbled("Defender gave no id of an action".into()))?;
        Ok(Ack {
            says: format!("queued as action {action}"),
            made: json!({"action": action}),
            handover: None,
        })
    }

    fn verify(&mut self, order: &Order, known: &Known) -> Effect {
        match self.known(order, &known.seen) {
            Err(fault) => Effect::unread(&fault),
            Ok((id, State { running: Some(a), .. })) => {
                let what = if a.isolates { "isolation" } else { "release" };
                // A machine that is away does what it was told when it is back.
                let wanted = Wanted { host: None, id: Some(id) };
                let health = self.find(&wanted).map_or_else(|f| f.to_string(), |m| m.health);
                Effect::NotEffective(format!(
                    "the {what} is {} and not done yet; the machine's sensor is {}",
                    a.status,
                    portreeve_model::untrusted::escape_for_terminal(&health)
                ))
            }
            Ok((_, State { held_by: Some(a), .. })) => {
                Effect::Effective(format!("the isolation (action {}) succeeded and holds", a.id))
            }
            Ok((_, State { failed: Some(a), .. })) => {
                Effect::NotEffective(format!("action {} ended as {}", a.id, a.status))
            }
            Ok(_) => Effect::NotEffective("no isolation holds".to_owned()),
        }
    }

    fn undo(&mut self, order: &Order, known: &Known) -> Result<Ack, Fault> {
        if known.seen.before.get("isolated").and_then(Value::as_bool) != Some(false) {
            return Err(Fault::Refused("it was isolated before by another hand; it is left".into()));
        }
        let (id, state) = self.known(order, &known.seen).map_err(asked::unsent)?;
        let comment = json!({"Comment": Self::comment(order)});
        match (&state.running, &state.held_by) {
            (Some(a), _) if !a.isolates => Ok(Ack::says("a release is queued already")),
            (Some(a), _) if ours(order, a) => {
                let path = Path::new("/api/machineactions").segment(&a.id).then("/cancel");
                self.send(&path, &comment)?.done()?;
                Ok(Ack::says("Defender took the cancellation"))
            }
            (Some(_), _) => Err(Fault::Refused("another hand isolates it now; it is left".into())),
            (None, None) => Ok(Ack::says("was released already")),
            (None, Some(a)) if !ours(order, a) => {
                Err(Fault::Refused(format!("the isolation that holds (action {}) is another hand's", a.id)))
            }
            (None, Some(_)) => {
                let path = Path::new("/api/machines").segment(&id).then("/unisolate");
                let answer = self.send(&path, &comment)?;
                if already(&answer) {
                    return Ok(Ack::says("a release is queued already"));
                }
                answer.done()?;
                Ok(Ack::says("Defender took the release"))
            }
        }
    }

    fn verify_undone(&mut self, order: &Order, known: &Known) -> Effect {
        match self.known(order, &known.seen) {
            Err(fault) => Effect::unread(&fault),
            Ok((_, State { running: Some(a), .. })) => {
                Effect::NotEffective(format!("action {} is {} and not done yet", a.id, a.status))
            }
            Ok((_, State { held_by: Some(a), .. })) => {
                Effect::NotEffective(format!("the isolation (action {}) holds", a.id))
            }
            Ok(_) => Effect::Effective("no isolation holds".to_owned()),
        }
    }

    fn doctor(&mut self) -> Vec<Ability> {
        let read = self
            .authorise()
            .and_then(|()| self.http.get(&Path::new("/api/machines").query("$top", "1"))?.done().map(|_| ()));
        vec![
            match read {
                Ok(()) => Ability::new("read machines", Some(true), "Machine.Read.All"),
                Err(fault) => Ability::new("read machines", Some(false), fault.to_string()),
            },
            Ability::new("isolate", None, "Machine.Isolate shows only when it is used"),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(n: i64, isolates: bool, status: &str) -> Action {
        Action {
            id: format!("a{n}"),
            isolates,
            status: status.into(),
            comment: String::new(),
            created: Timestamp::from_second(n).unwrap(),
        }
    }

    #[test]
    fn a_queued_action_is_no_isolation_and_the_last_one_counts() {
        assert!(fold(vec![]).held_by.is_none());
        let queued = fold(vec![action(1, true, "Pending")]);
        assert!(queued.held_by.is_none() && queued.running.is_some());
        assert!(fold(vec![action(1, true, "Succeeded")]).held_by.is_some());
        // In whatever order they are listed.
        let released = fold(vec![action(2, false, "Succeeded"), action(1, true, "Succeeded")]);
        assert!(released.held_by.is_none());
        // A release that failed released nothing.
        let failed = fold(vec![action(1, true, "Succeeded"), action(2, false, "Failed")]);
        assert!(failed.held_by.is_some() && failed.failed.is_some());
        assert!(fold(vec![action(1, true, "TimeOut")]).held_by.is_none());
    }
}
