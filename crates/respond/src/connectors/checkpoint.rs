//! Check Point: an address is blocked for a time by Suspicious Activity Monitoring, which `fw sam` tells a gateway and
//! which needs neither publish nor install-policy; an object that is only published blocks nothing. The management
//! API's `run-script` carries the command to the gateway.

use super::asked;
use crate::act::Act;
use crate::connector::{
    Ability, Ack, Can, Connector, Control, Effect, Known, Order, Present, Proof, Seen, Setting, Settings,
};
use crate::fault::Fault;
use crate::secret::Secret;
use crate::target::TargetKind;
use crate::transport::http::{Body, Endpoint, Http, Method, Path};
use crate::value::Net;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::time::Duration;

pub static CONNECTOR: Connector = Connector {
    name: "checkpoint",
    product: "Check Point Security Gateway, through the Management API",
    proof: Proof::Contract,
    can: &[Can {
        effect: "on each gateway of the configuration `fw sam -t … -J src ADDRESS`: connections from the address are \
                 dropped, and those that stand are closed",
        leaves_open: "gateways that the configuration does not name; IPv6; virtual systems (VSX), which have no SAM; \
                      traffic to the address; a restart of the gateway",
        undo: "`fw sam -C -J src ADDRESS` on each gateway, if no other hand had blocked it before; all rules at once \
               (`-D`) are never deleted",
        verified_by: "the kernel table `sam_blocked_ips` of each gateway has the address with its source flag",
        expires: true,
        within: Duration::from_secs(30),
        ..Can::at_once(Act::BlockAddress, &[TargetKind::Address])
    }],
    needs: "an administrator whose profile has Run One Time Script and nothing that publishes; its API key as the \
            credential",
    settings: &[
        Setting { name: "endpoint", required: true, says: "`{url, ca, timeout}` of the management server" },
        Setting { name: "gateways", required: true, says: "names of the gateway objects" },
        Setting { name: "domain", required: false, says: "the domain, on a multi-domain server" },
    ],
    source: "Check Point: CLI Reference Guide, fw sam; Management API Reference, run-script, show-task",
    open,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    endpoint: Endpoint,
    gateways: Vec<String>,
    domain: Option<String>,
}

fn open(settings: &Settings) -> Result<Box<dyn Control>, Fault> {
    let config: Config = settings.fields()?;
    if config.gateways.is_empty() || config.gateways.iter().any(String::is_empty) {
        return Err(Fault::Config("checkpoint: `gateways` names at least one gateway".into()));
    }
    let http = Http::open(&config.endpoint)?;
    Ok(Box::new(Checkpoint { http, config, settings: settings.clone() }))
}

struct Checkpoint {
    http: Http,
    config: Config,
    settings: Settings,
}

/// How often a task is asked for. Waiting doubles between, up to a second.
const ASKS: u32 = 60;

/// An entry of the kernel table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Blocked {
    ip: Ipv4Addr,
    /// Source, or either side.
    by_source: bool,
    /// Seconds until it lets go.
    left: u64,
}

/// What a gateway has for one address.
type OnGateway = (String, Option<Blocked>);

fn script_block(ip: Ipv4Addr, seconds: Option<u64>) -> String {
    match seconds {
        Some(seconds) => format!("fw sam -t {seconds} -J src {ip}"),
        None => format!("fw sam -J src {ip}"),
    }
}

/// The parameters are those of the block, without its time.
fn script_release(ip: Ipv4Addr) -> String {
    format!("fw sam -C -J src {ip}")
}

const TABLE: &str = "fw tab -t sam_blocked_ips -u";

impl Checkpoint {
    fn post(&self, path: &'static str, body: &Value) -> Result<Value, Fault> {
        self.http.change(Method::Post, &Path::new(path), &Body::Json(body))?.done()?.json()
    }

    /// A session of the management API around some work; it is left again whatever happens.
    fn within<T>(&mut self, work: impl FnOnce(&Self) -> Result<T, Fault>) -> Result<T, Fault> {
        let key = self.settings.credential(Act::BlockAddress)?;
        let mut login = json!({"api-key": key.expose(), "session-name": "portreeve"});
        if let Some(domain) = &self.config.domain {
            login["domain"] = json!(domain);
        }
        // A client anew, so that no session of before goes along.
        self.http = Http::open(&self.config.endpoint)?;
        let answer = self.post("/web_api/login", &login).map_err(|fault| match fault {
            Fault::Refused(why) => Fault::Credential(why),
            other => asked::unsent(other),
        })?;
        let sid = answer.get("sid").and_then(Value::as_str).filter(|s| !s.is_empty());
        let sid = sid.ok_or_else(|| Fault::Credential("the login gave no session".into()))?;
        self.http.set_header("x-chkp-sid", Secret::new(sid));
        let done = work(self);
        // A session that stays ends by itself.
        let _left = self.post("/web_api/logout", &json!({}));
        done
    }

    fn request(&self, script: &str) -> Value {
        json!({"script-name": "portreeve", "script": script, "targets": self.config.gateways})
    }

    /// Runs a script on every gateway and returns what each said.
    fn run(&self, script: &str) -> Result<Vec<(String, String)>, Fault> {
        let answer = self.post("/web_api/run-script", &self.request(script))?;
        let tasks = answer.get("tasks").and_then(Value::as_array).cloned().unwrap_or_default();
        if tasks.len() != self.config.gateways.len() {
            return Err(Fault::Garbled(format!(
                "{} tasks for {} gateways",
                tasks.len(),
                self.config.gateways.len()
            )));
        }
        let mut said = Vec::new();
        for task in tasks {
            let text = |name: &str| task.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
            let (target, id) = (text("target"), text("task-id"));
            if id.is_empty() || !self.config.gateways.contains(&target) {
                return Err(Fault::Garbled("a task has no id or another target".into()));
            }
            said.push((target, self.task(&id)?));
        }
        Ok(said)
    }

    /// Waits for a task. One that failed on a gateway may have run on another, so a failure is no refusal.
    fn task(&self, id: &str) -> Result<String, Fault> {
        let mut nap = Duration::from_millis(50);
        for _ in 0..ASKS {
            let answer = self.post("/web_api/show-task", &json!({"task-id": id, "details-level": "full"}))?;
            let task = answer.pointer("/tasks/0").ok_or_else(|| Fault::Garbled("no task".into()))?;
            let message = task
                .pointer("/task-details/0/responseMessage")
                .and_then(Value::as_str)
                .and_then(|m| STANDARD.decode(m).ok())
                .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
                .unwrap_or_default();
            match task.get("status").and_then(Value::as_str) {
                Some("succeeded") => return Ok(message),
                Some("in progress" | "pending") => {
                    std::thread::sleep(nap);
                    nap = (nap * 2).min(Duration::from_secs(1));
                }
                other => {
                    let message: String = message.chars().take(200).collect();
                    return Err(Fault::Lost(format!(
                        "the task ended as {}: {}",
                        other.unwrap_or("nothing"),
                        portreeve_model::untrusted::escape_for_terminal(&message)
                    )));
                }
            }
        }
        Err(Fault::Lost("the task did not end in time".into()))
    }

    fn tables(&self) -> Result<Vec<(String, Vec<Blocked>)>, Fault> {
        let said = self.run(TABLE).map_err(asked::unsent)?;
        said.into_iter().map(|(gateway, text)| Ok((gateway, table(&text)?))).collect()
    }

    fn look(&mut self, ip: Ipv4Addr) -> Result<Vec<OnGateway>, Fault> {
        let tables = self.within(|api| api.tables())?;
        let of = |rows: Vec<Blocked>| rows.into_iter().find(|b| b.ip == ip && b.by_source);
        Ok(tables.into_iter().map(|(gateway, rows)| (gateway, of(rows))).collect())
    }
}

/// Reads `fw tab -t sam_blocked_ips -u`: `<c0000207; 00000002, 00000002, 00000001; 3599/3600>` is address; flags of
/// the address, log, action; seconds left and in all.
fn table(text: &str) -> Result<Vec<Blocked>, Fault> {
    if !text.contains("sam_blocked_ips") {
        return Err(Fault::Garbled("`fw tab` did not show the table".into()));
    }
    let mut rows = Vec::new();
    for line in text.lines().map(str::trim).filter(|l| l.starts_with('<')) {
        let garbled = || Fault::Garbled(format!("an entry of sam_blocked_ips: {}", line.len()));
        let inside = line.trim_start_matches('<').split('>').next().unwrap_or("");
        let mut parts = inside.split(';').map(str::trim);
        let hex = |text: &str| u32::from_str_radix(text.trim(), 16).ok();
        let ip = parts.next().and_then(hex).ok_or_else(garbled)?;
        let flags = parts.next().and_then(|p| p.split(',').next()).and_then(hex).ok_or_else(garbled)?;
        let left = parts.next().and_then(|p| p.split('/').next()).and_then(|n| n.trim().parse().ok());
        rows.push(Blocked { ip: ip.into(), by_source: flags & 0x3 != 0, left: left.unwrap_or(u64::MAX) });
    }
    Ok(rows)
}

fn v4(order: &Order) -> Result<Ipv4Addr, Fault> {
    let net = asked::host(order, "checkpoint")?;
    match net.net().addr() {
        std::net::IpAddr::V4(ip) => Ok(ip),
        std::net::IpAddr::V6(_) => Err(Fault::Unsupported("`fw sam` blocks IPv4 addresses".into())),
    }
}

fn names(found: &[OnGateway], blocked: bool) -> String {
    let names: Vec<&str> =
        found.iter().filter(|(_, b)| b.is_some() == blocked).map(|(g, _)| g.as_str()).collect();
    names.join(", ")
}

impl Control for Checkpoint {
    fn read(&mut self, order: &Order) -> Result<Seen, Fault> {
        let ip = v4(order)?;
        let found = self.look(ip)?;
        let there = names(&found, true);
        // On some gateways alone it is not in force, and on those it is another hand's.
        let everywhere = found.iter().all(|(_, b)| b.is_some());
        Ok(Seen {
            ids: found.iter().map(|(gateway, _)| gateway.clone()).collect(),
            in_force: everywhere,
            before: json!({"blocked": there}),
            says: if there.is_empty() {
                format!("{ip} is blocked on none of {}", names(&found, false))
            } else {
                format!("{ip} is blocked already on {there}")
            },
            also_hits: Vec::new(),
        })
    }

    fn preview(&self, order: &Order, _: &Seen) -> Result<Vec<String>, Fault> {
        let script = script_block(v4(order)?, order.seconds_left(asked::now()));
        let body = self.request(&script);
        Ok(vec![self.http.shown(Method::Post, &Path::new("/web_api/run-script"), &Body::Json(&body))])
    }

    fn apply(&mut self, order: &Order, _: &Seen) -> Result<Ack, Fault> {
        let script = script_block(v4(order)?, order.seconds_left(asked::now()));
        let said = self.within(|api| api.run(&script))?;
        Ok(Ack::says(format!("the command ran on {} gateway(s)", said.len())))
    }

    fn verify(&mut self, order: &Order, _: &Known) -> Effect {
        let (ip, found) = match v4(order).and_then(|ip| Ok((ip, self.look(ip)?))) {
            Ok(both) => both,
            Err(fault) => return Effect::unread(&fault),
        };
        let missing = names(&found, false);
        if !missing.is_empty() {
            return Effect::NotEffective(format!("{ip} is not in sam_blocked_ips of {missing}"));
        }
        let wanted = order.seconds_left(asked::now());
        let short = found.iter().filter_map(|(_, b)| *b).map(|b| b.left).min().unwrap_or(0);
        match wanted {
            Some(wanted) if short.saturating_add(60) < wanted => Effect::NotEffective(format!(
                "{ip} is blocked, but lets go in {short} s, {} s too early",
                wanted - short
            )),
            _ => Effect::Effective(format!("{ip} is in sam_blocked_ips of {}", names(&found, true))),
        }
    }

    fn undo(&mut self, order: &Order, known: &Known) -> Result<Ack, Fault> {
        let ip = v4(order)?;
        let before = known.seen.before.get("blocked").and_then(Value::as_str);
        if before != Some("") {
            return Err(Fault::Refused(format!(
                "{ip} was blocked before by another hand on {}; it is left",
                before.unwrap_or("a gateway")
            )));
        }
        let there = self.look(ip).map_err(asked::unsent)?.iter().any(|(_, b)| b.is_some());
        if !there {
            return Ok(Ack::says("was gone already"));
        }
        let said = self.within(|api| api.run(&script_release(ip)))?;
        Ok(Ack::says(format!("the command ran on {} gateway(s)", said.len())))
    }

    fn verify_undone(&mut self, order: &Order, _: &Known) -> Effect {
        match v4(order).and_then(|ip| Ok((ip, self.look(ip)?))) {
            Err(fault) => Effect::unread(&fault),
            Ok((ip, found)) => match names(&found, true) {
                there if there.is_empty() => Effect::Effective(format!("{ip} is in no sam_blocked_ips")),
                there => Effect::NotEffective(format!("{ip} is still blocked on {there}")),
            },
        }
    }

    fn present(&mut self) -> Result<Option<Vec<Present>>, Fault> {
        let tables = self.within(|api| api.tables())?;
        let mut all: Vec<Present> = tables
            .into_iter()
            .flat_map(|(_, rows)| rows)
            .map(|b| Present { what: Net::host(b.ip.into()).to_string(), mark: None })
            .collect();
        all.sort();
        all.dedup();
        Ok(Some(all))
    }

    fn doctor(&mut self) -> Vec<Ability> {
        // Who may run the script that reads may run the one that blocks.
        match self.within(|api| api.tables()) {
            Ok(tables) => {
                vec![Ability::new(
                    "run scripts on the gateways",
                    Some(true),
                    format!("{} answered", tables.len()),
                )]
            }
            Err(fault) => vec![Ability::new("run scripts on the gateways", Some(false), fault.to_string())],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_table_is_read() {
        let text = "localhost:\n-------- sam_blocked_ips --------\ndynamic, id 8141, attributes: expires 2147483647\n\
                    <c0000207; 00000002, 00000002, 00000001; 3599/3600>\n<c6336401; 00000004, 0, 1; 5/9>\n";
        let rows = table(text).unwrap();
        assert_eq!(rows[0], Blocked { ip: Ipv4Addr::new(192, 0, 2, 7), by_source: true, left: 3599 });
        assert!(!rows[1].by_source, "blocked as a destination only");
        assert!(table("Table does not exist").is_err());
        assert!(table("sam_blocked_ips\n<zz; 1>").is_err());
        assert!(table("-------- sam_blocked_ips --------\n").unwrap().is_empty());
    }

    #[test]
    fn the_commands_hold_an_address_and_a_number() {
        let ip = Ipv4Addr::new(192, 0, 2, 7);
        assert_eq!(script_block(ip, Some(3600)), "fw sam -t 3600 -J src 192.0.2.7");
        assert_eq!(script_release(ip), "fw sam -C -J src 192.0.2.7");
    }
}
