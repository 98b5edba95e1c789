//! Cisco ISE: a device is put under an Adaptive Network Control policy by its hardware address, over ERS.

use super::asked;
use crate::act::Act;
use crate::connector::{
    Ability, Ack, Can, Connector, Control, Effect, Known, Order, Present, Proof, Seen, Setting, Settings,
};
use crate::fault::Fault;
use crate::target::{Device, TargetKind};
use crate::transport::http::{Answer, Body, Endpoint, Http, Method, Path, basic};
use crate::value::Mac;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

pub static CONNECTOR: Connector = Connector {
    name: "cisco_ise_anc",
    product: "Cisco Identity Services Engine, Adaptive Network Control",
    proof: Proof::Contract,
    can: &[Can {
        effect: "the endpoint with this hardware address has the ANC policy of the configuration; ISE sends a change \
                 of authorisation for its session",
        leaves_open: "an authorisation rule has to use the policy; a switch that does not answer the change of \
                      authorisation keeps the port open until the device signs in again; a new hardware address is \
                      a new device",
        undo: "the policy is cleared, if it is still the one that we applied",
        verified_by: "`ancendpoint`, filtered by the address and compared whole, has the policy",
        within: Duration::from_secs(15),
        settle: Duration::from_secs(30),
        ..Can::at_once(Act::IsolateDevice, &[TargetKind::Device])
    }],
    needs: "a user of the group ERS Admin; its password as the credential",
    settings: &[
        Setting {
            name: "endpoint", required: true, says: "`{url, ca, timeout}`, usually `https://…:9060`"
        },
        Setting { name: "user", required: true, says: "the ERS user" },
        Setting { name: "policy", required: true, says: "the name of the ANC policy, as ISE has it" },
    ],
    source: "Cisco ISE ERS API: ancendpoint, ancpolicy, endpoint",
    open,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    endpoint: Endpoint,
    user: String,
    policy: String,
}

fn open(settings: &Settings) -> Result<Box<dyn Control>, Fault> {
    let config: Config = settings.fields()?;
    if config.user.contains(':') || config.policy.is_empty() {
        return Err(Fault::Config("cisco_ise_anc: a user name has no colon, and policy is not empty".into()));
    }
    let http = Http::open(&config.endpoint)?;
    Ok(Box::new(Ise { http, config, settings: settings.clone() }))
}

struct Ise {
    http: Http,
    config: Config,
    settings: Settings,
}

const PAGE: usize = 100;
const PAGES: usize = 20;
const APPLY: &str = "/ers/config/ancendpoint/apply";
const CLEAR: &str = "/ers/config/ancendpoint/clear";

/// An endpoint under a policy.
struct Fenced {
    mac: Mac,
    policy: String,
}

impl Ise {
    fn authorise(&mut self) -> Result<(), Fault> {
        let password = self.settings.credential(Act::IsolateDevice)?;
        self.http.set_header("authorization", basic(&self.config.user, &password));
        self.http.set_header("accept", crate::secret::Secret::new("application/json"));
        Ok(())
    }

    fn get(&self, path: &Path) -> Result<Value, Fault> {
        self.http.get(path)?.done()?.json()
    }

    /// The ids of a search, all pages. A filter that a version of ISE ignores gives more, so what is found is
    /// compared afterwards.
    fn search(&self, fixed: &'static str, filter: Option<&str>) -> Result<Vec<String>, Fault> {
        let mut ids: Vec<String> = Vec::new();
        for page in 1..=PAGES {
            let mut path = Path::new(fixed).query("size", &PAGE.to_string()).query("page", &page.to_string());
            if let Some(filter) = filter {
                path = path.query("filter", filter);
            }
            let body = self.get(&path)?;
            let result = body.get("SearchResult").ok_or_else(|| Fault::Garbled("no SearchResult".into()))?;
            let total = result.get("total").and_then(Value::as_u64).unwrap_or(u64::MAX);
            let rows = result.get("resources").and_then(Value::as_array).cloned().unwrap_or_default();
            let got = rows.len();
            for row in rows {
                let id = row.get("id").and_then(Value::as_str);
                ids.push(id.ok_or_else(|| Fault::Garbled("a resource has no id".into()))?.to_owned());
            }
            if got == 0 || ids.len() as u64 >= total {
                return Ok(ids);
            }
        }
        Err(Fault::Garbled(format!("more than {} results", PAGE * PAGES)))
    }

    fn fenced(&self, id: &str) -> Result<Option<Fenced>, Fault> {
        let body = match self.get(&Path::new("/ers/config/ancendpoint").segment(id)) {
            // Cleared between the list and this request.
            Err(Fault::NotFound(_)) => return Ok(None),
            other => other?,
        };
        let text = |name: &str| {
            body.pointer("/ErsAncEndpoint").and_then(|e| e.get(name)).and_then(Value::as_str).unwrap_or("")
        };
        let mac = text("macAddress").parse();
        match (mac, text("policyName")) {
            (Ok(mac), policy) if !policy.is_empty() => Ok(Some(Fenced { mac, policy: policy.to_owned() })),
            _ => Err(Fault::Garbled("an ANC endpoint has no macAddress or no policyName".into())),
        }
    }

    /// The policy of one address.
    fn policy_of(&self, mac: Mac) -> Result<Option<String>, Fault> {
        let filter = format!("macAddress.EQ.{}", upper(mac));
        for id in self.search("/ers/config/ancendpoint", Some(&filter))? {
            if let Some(found) = self.fenced(&id)?.filter(|f| f.mac == mac) {
                return Ok(Some(found.policy));
            }
        }
        Ok(None)
    }

    fn change(&self, fixed: &'static str, body: &Value) -> Result<(), Fault> {
        done(self.http.change(Method::Put, &Path::new(fixed), &Body::Json(body))?)
    }

    fn request(&self, mac: Mac) -> Value {
        json!({"OperationAdditionalData": {"additionalData": [
            {"name": "macAddress", "value": upper(mac)},
            {"name": "policyName", "value": self.config.policy},
        ]}})
    }
}

/// As ISE writes addresses.
fn upper(mac: Mac) -> String {
    mac.to_string().to_ascii_uppercase()
}

fn mac_of(device: &Device) -> Result<Mac, Fault> {
    device.mac.ok_or_else(|| {
        Fault::Unsupported("ISE knows devices by their hardware address, which is not named".into())
    })
}

/// ISE answers some of its refusals with 500; a message of the type ERROR in it is one, a bare 500 is not.
fn done(answer: Answer) -> Result<(), Fault> {
    if answer.ok() {
        return Ok(());
    }
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let refused = body
        .pointer("/ERSResponse/messages")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .find(|m| m.get("type").and_then(Value::as_str) == Some("ERROR"))
        .and_then(|m| m.get("title").and_then(Value::as_str));
    match (answer.fault(), refused) {
        (Fault::Lost(_), Some(title)) => {
            let title: String = title.chars().take(200).collect();
            Err(Fault::Refused(portreeve_model::untrusted::escape_for_terminal(&title)))
        }
        (fault, _) => Err(fault),
    }
}

impl Control for Ise {
    fn read(&mut self, order: &Order) -> Result<Seen, Fault> {
        let mac = mac_of(asked::device(order, "cisco_ise_anc")?)?;
        self.authorise()?;
        let endpoints = self.search("/ers/config/endpoint", Some(&format!("mac.EQ.{}", upper(mac))))?;
        let id = match endpoints.as_slice() {
            [] => return Err(Fault::NotFound(format!("ISE has seen no endpoint {mac}"))),
            [id] => id.clone(),
            more => return Err(Fault::Ambiguous(format!("ISE gives {} endpoints for {mac}", more.len()))),
        };
        self.get(&Path::new("/ers/config/ancpolicy/name").segment(&self.config.policy)).map_err(
            |f| match f {
                Fault::NotFound(_) => {
                    Fault::Config(format!("cisco_ise_anc: ISE has no ANC policy `{}`", self.config.policy))
                }
                other => other,
            },
        )?;
        let policy = self.policy_of(mac)?;
        if let Some(other) = policy.as_ref().filter(|p| **p != self.config.policy) {
            return Err(Fault::Refused(format!(
                "{mac} is under the ANC policy `{other}` already; ISE keeps one, and ours would replace it"
            )));
        }
        Ok(Seen {
            ids: vec![mac.to_string(), id],
            in_force: policy.is_some(),
            before: json!({"policy": policy}),
            says: match &policy {
                Some(policy) => format!("{mac} is under the ANC policy {policy} already"),
                None => "under no ANC policy".to_owned(),
            },
            also_hits: Vec::new(),
        })
    }

    fn preview(&self, order: &Order, _: &Seen) -> Result<Vec<String>, Fault> {
        let mac = mac_of(asked::device(order, "cisco_ise_anc")?)?;
        Ok(vec![self.http.shown(Method::Put, &Path::new(APPLY), &Body::Json(&self.request(mac)))])
    }

    fn apply(&mut self, order: &Order, _: &Seen) -> Result<Ack, Fault> {
        let mac = mac_of(asked::device(order, "cisco_ise_anc")?)?;
        self.authorise()?;
        self.change(APPLY, &self.request(mac))?;
        Ok(Ack::says("ISE took the policy"))
    }

    fn verify(&mut self, order: &Order, _: &Known) -> Effect {
        let mut look = || {
            let mac = mac_of(asked::device(order, "cisco_ise_anc")?)?;
            self.authorise()?;
            Ok(match self.policy_of(mac)? {
                Some(policy) if policy == self.config.policy => {
                    Effect::Effective(format!("{mac} is under the ANC policy {policy}"))
                }
                Some(policy) => Effect::NotEffective(format!("{mac} is under another policy, {policy}")),
                None => Effect::NotEffective(format!("{mac} is under no ANC policy")),
            })
        };
        look().unwrap_or_else(|fault: Fault| Effect::unread(&fault))
    }

    fn undo(&mut self, order: &Order, known: &Known) -> Result<Ack, Fault> {
        let mac = mac_of(asked::device(order, "cisco_ise_anc")?)?;
        if known.seen.before.get("policy").is_none_or(|p| !p.is_null()) {
            return Err(Fault::Refused(format!(
                "{mac} was under a policy before by another hand; it is left"
            )));
        }
        self.authorise()?;
        match self.policy_of(mac).map_err(asked::unsent)? {
            None => Ok(Ack::says("was gone already")),
            Some(policy) if policy != self.config.policy => {
                Err(Fault::Refused(format!("{mac} is under `{policy}` now by another hand; it is left")))
            }
            Some(_) => {
                self.change(CLEAR, &self.request(mac))?;
                Ok(Ack::says("ISE took the end of the policy"))
            }
        }
    }

    fn verify_undone(&mut self, order: &Order, _: &Known) -> Effect {
        let mut look = || {
            let mac = mac_of(asked::device(order, "cisco_ise_anc")?)?;
            self.authorise()?;
            Ok(match self.policy_of(mac)? {
                Some(policy) => Effect::NotEffective(format!("{mac} is still under {policy}")),
                None => Effect::Effective(format!("{mac} is under no ANC policy")),
            })
        };
        look().unwrap_or_else(|fault: Fault| Effect::unread(&fault))
    }

    fn present(&mut self) -> Result<Option<Vec<Present>>, Fault> {
        self.authorise()?;
        let mut all = Vec::new();
        for id in self.search("/ers/config/ancendpoint", None)? {
            if let Some(f) = self.fenced(&id)?.filter(|f| f.policy == self.config.policy) {
                all.push(Present { what: format!("device {}", f.mac), mark: None });
            }
        }
        Ok(Some(all))
    }

    fn doctor(&mut self) -> Vec<Ability> {
        let policy = self
            .authorise()
            .and_then(|()| self.get(&Path::new("/ers/config/ancpolicy/name").segment(&self.config.policy)));
        vec![
            match policy {
                Ok(_) => Ability::new("read the ANC policy", Some(true), self.config.policy.clone()),
                Err(fault) => Ability::new("read the ANC policy", Some(false), fault.to_string()),
            },
            Ability::new(
                "apply it",
                None,
                "ERS Operator reads and ERS Admin writes; it shows when it is used",
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_500_with_a_message_is_a_refusal_and_a_bare_one_is_not() {
        let read = |status, body: &str| done(Answer { status, body: body.to_owned(), ..Answer::default() });
        let said = r#"{"ERSResponse":{"messages":[{"title":"already associated","type":"ERROR"}]}}"#;
        assert!(matches!(read(500, said), Err(Fault::Refused(_))));
        assert!(matches!(read(500, "oops"), Err(Fault::Lost(_))));
        assert!(matches!(read(401, said), Err(Fault::Credential(_))));
        assert!(read(204, "").is_ok());
    }
}
