//! AWS WAF (v2): an address in an IP set that a web ACL blocks by.
//!
//! `UpdateIPSet` replaces the whole list, under a lock: a stale lock is read anew, so that nobody's address is lost.
//! A set that no blocking rule refers to blocks nothing, and AWS does not say so.

use crate::act::Act;
use crate::connector::{
    Ability, Ack, Can, Connector, Control, Effect, Known, Order, Present, Proof, Seen, Setting, Settings,
};
use crate::connectors::aws::Clients;
use crate::fault::Fault;
use crate::target::{Target, TargetKind};
use crate::transport::aws::{Aws, PAGES, Place, WAF};
use crate::value::Net;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

pub static CONNECTOR: Connector = Connector {
    name: "aws_waf",
    product: "Amazon Web Services: WAF (v2) IP sets",
    proof: Proof::Contract,
    can: &[Can {
        effect: "the address is in the IP set that the configuration names; web ACLs whose rules block by the set \
                 refuse its requests. AWS takes some seconds to minutes to spread it",
        leaves_open: "everything that does not pass a resource with such a web ACL; web ACLs that are associated \
                      with nothing, or that allow it by an earlier rule; any other address of the intruder. Behind a proxy the set must be matched \
                      against the forwarded address",
        undo: "the address is taken out of the set; the others stay",
        verified_by: "GetIPSet: the address is in the list; ListWebACLs and GetWebACL: a rule blocks by the set",
        within: Duration::from_secs(60),
        ..Can::at_once(Act::BlockAddress, &[TargetKind::Address])
    }],
    needs: "wafv2: GetIPSet, UpdateIPSet on these sets; ListWebACLs, GetWebACL",
    settings: &[
        Setting { name: "region", required: true, says: "`eu-central-1`; `us-east-1` for CLOUDFRONT" },
        Setting { name: "scope", required: true, says: "`REGIONAL` or `CLOUDFRONT`" },
        Setting { name: "ipv4", required: false, says: "`{name, id}` of the set for IPv4" },
        Setting { name: "ipv6", required: false, says: "`{name, id}` of the set for IPv6" },
        Setting {
            name: "endpoint",
            required: false,
            says: "a stand-in on 127.0.0.1, in place of AWS's hosts",
        },
        Setting {
            name: "ca",
            required: false,
            says: "PEM file of an authority, in place of the public ones",
        },
        Setting { name: "timeout", required: false, says: "seconds until an answer is given up (15)" },
    ],
    source: "AWS WAF API reference 2019-07-29. Tested against moto, which keeps sets and locks and serves no requests",
    open,
};

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
enum Scope {
    #[serde(rename = "REGIONAL")]
    Regional,
    #[serde(rename = "CLOUDFRONT")]
    Cloudfront,
}

impl Scope {
    fn name(self) -> &'static str {
        match self {
            Scope::Regional => "REGIONAL",
            Scope::Cloudfront => "CLOUDFRONT",
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
    id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    region: String,
    scope: Scope,
    ipv4: Option<Named>,
    ipv6: Option<Named>,
    endpoint: Option<String>,
    ca: Option<PathBuf>,
    #[serde(default = "timeout")]
    timeout: u64,
}

fn timeout() -> u64 {
    15
}

fn open(settings: &Settings) -> Result<Box<dyn Control>, Fault> {
    let config: Config = settings.fields()?;
    if config.ipv4.is_none() && config.ipv6.is_none() {
        return Err(Fault::Config("neither ipv4 nor ipv6 names an IP set".into()));
    }
    if config.scope == Scope::Cloudfront && config.region != "us-east-1" {
        return Err(Fault::Config("sets of scope CLOUDFRONT are in us-east-1".into()));
    }
    let place =
        Place { region: config.region, endpoint: config.endpoint, ca: config.ca, timeout: config.timeout };
    place.check(WAF)?;
    let clients = Clients { settings: settings.clone(), place, service: WAF };
    Ok(Box::new(Waf { clients, scope: config.scope, ipv4: config.ipv4, ipv6: config.ipv6 }))
}

struct Waf {
    clients: Clients,
    scope: Scope,
    ipv4: Option<Named>,
    ipv6: Option<Named>,
}

/// A set as AWS has it. Addresses stay as they were written.
struct Set {
    arn: String,
    description: Option<String>,
    addresses: Vec<String>,
    lock: String,
}

/// A lock that no set has, to learn whether we may write.
const NO_LOCK: &str = "00000000-0000-0000-0000-000000000000";
/// How often a lock is read anew that others keep taking.
const TRIES: usize = 6;

impl Set {
    fn holds(&self, net: Net) -> bool {
        self.addresses.iter().filter_map(|a| a.parse::<Net>().ok()).any(|n| n.net().contains(&net.net()))
    }

    fn has(&self, net: Net) -> bool {
        self.addresses.iter().any(|a| a.parse() == Ok(net))
    }
}

/// What happens to the list.
#[derive(Clone, Copy)]
enum Change {
    Add,
    Remove,
}

fn garbled(action: &str) -> Fault {
    Fault::Garbled(format!("{action}: the answer lacks what it is asked for"))
}

impl Waf {
    fn target(&self, order: &Order) -> Result<(Net, &Named), Fault> {
        let Target::Address { net } = &order.target else {
            return Err(Fault::Unsupported(format!("aws_waf blocks addresses, not {}", order.target)));
        };
        if net.net().prefix_len() == 0 {
            return Err(Fault::Unsupported("every address there is: refused".into()));
        }
        let (set, family) = if net.is_v4() { (&self.ipv4, "IPv4") } else { (&self.ipv6, "IPv6") };
        let set = set.as_ref().ok_or_else(|| {
            Fault::Unsupported(format!(
                "the configuration names no IP set for {family}; {net} is not blocked"
            ))
        })?;
        Ok((*net, set))
    }

    fn get(&self, aws: &Aws, set: &Named, net: Net) -> Result<Set, Fault> {
        let asked = json!({"Name": set.name, "Scope": self.scope.name(), "Id": set.id});
        let answer = aws.ask_json("GetIPSet", &asked)?;
        let text = |path: &str| answer.pointer(path).and_then(Value::as_str);
        let family = if net.is_v4() { "IPV4" } else { "IPV6" };
        if text("/IPSet/IPAddressVersion") != Some(family) {
            return Err(Fault::Config(format!("the IP set {} does not hold {family}", set.name)));
        }
        let addresses = answer.pointer("/IPSet/Addresses").and_then(Value::as_array);
        // A list that is not understood whole would be written back without the rest.
        let addresses: Option<Vec<String>> =
            addresses.and_then(|list| list.iter().map(|a| a.as_str().map(str::to_owned)).collect());
        match (text("/IPSet/Id"), text("/IPSet/ARN"), text("/LockToken"), addresses) {
            (Some(id), Some(arn), Some(lock), Some(addresses)) if id == set.id => Ok(Set {
                arn: arn.to_owned(),
                description: text("/IPSet/Description").filter(|d| !d.is_empty()).map(str::to_owned),
                addresses,
                lock: lock.to_owned(),
            }),
            _ => Err(garbled("GetIPSet")),
        }
    }

    fn update(&self, named: &Named, set: &Set, addresses: &[String], lock: &str) -> Value {
        let mut body = json!({"Name": named.name, "Scope": self.scope.name(), "Id": named.id,
                              "Addresses": addresses, "LockToken": lock});
        // Left out, the description would be emptied.
        if let (Some(body), Some(description)) = (body.as_object_mut(), &set.description) {
            body.insert("Description".into(), Value::String(description.clone()));
        }
        body
    }

    /// Reads the whole list, changes one address of it and writes it back under the lock of that reading.
    fn write(&self, aws: &Aws, named: &Named, net: Net, change: Change) -> Result<Ack, Fault> {
        for _ in 0..TRIES {
            let set = self.get(aws, named, net)?;
            let mut addresses = set.addresses.clone();
            match change {
                Change::Add if set.has(net) => return Ok(Ack::says("was in the set already")),
                Change::Add => addresses.push(net.net().to_string()),
                Change::Remove if !set.has(net) => return Ok(Ack::says("was gone already")),
                Change::Remove => addresses.retain(|a| a.parse() != Ok(net)),
            }
            match aws.change_json("UpdateIPSet", &self.update(named, &set, &addresses, &set.lock)) {
                Ok(_) => return Ok(Ack::says(format!("WAF took a list of {}", addresses.len()))),
                Err(failed) if failed.is("WAFOptimisticLockException") => {}
                Err(failed) => return Err(failed.into()),
            }
        }
        Err(Fault::Refused(format!(
            "the IP set {} was changed by others {TRIES} times meanwhile",
            named.name
        )))
    }

    /// The name of a web ACL with a rule that blocks by the set.
    fn blocking(&self, aws: &Aws, arn: &str) -> Result<Option<String>, Fault> {
        let mut marker: Option<String> = None;
        for _ in 0..PAGES {
            let mut asked = json!({"Scope": self.scope.name(), "Limit": 100});
            if let (Some(asked), Some(marker)) = (asked.as_object_mut(), &marker) {
                asked.insert("NextMarker".into(), Value::String(marker.clone()));
            }
            let page = aws.ask_json("ListWebACLs", &asked)?;
            let acls = page.get("WebACLs").and_then(Value::as_array).cloned().unwrap_or_default();
            for acl in &acls {
                let text = |name: &str| acl.get(name).and_then(Value::as_str).unwrap_or_default();
                let asked = json!({"Name": text("Name"), "Id": text("Id"), "Scope": self.scope.name()});
                let whole = aws.ask_json("GetWebACL", &asked)?;
                let rules = whole.pointer("/WebACL/Rules").and_then(Value::as_array);
                if rules.into_iter().flatten().any(|rule| blocks_by(rule, arn)) {
                    return Ok(Some(text("Name").to_owned()));
                }
            }
            let next = page.get("NextMarker").and_then(Value::as_str).map(str::to_owned);
            if acls.is_empty() || next.is_none() || next == marker {
                return Ok(None);
            }
            marker = next;
        }
        Err(Fault::Garbled("ListWebACLs: the list does not end".into()))
    }

    fn state(&self, order: &Order) -> Result<(Net, Set, Option<String>), Fault> {
        let aws = self.clients.of(order.act)?;
        let (net, named) = self.target(order)?;
        let set = self.get(&aws, named, net)?;
        let acl = self.blocking(&aws, &set.arn)?;
        Ok((net, set, acl))
    }
}

/// Does a rule block whatever is in the set? A reference inside a `NotStatement` or an `AndStatement` does not.
fn blocks_by(rule: &Value, arn: &str) -> bool {
    let refers = |statement: Option<&Value>| {
        statement.and_then(|s| s.pointer("/IPSetReferenceStatement/ARN")).and_then(Value::as_str) == Some(arn)
    };
    let statement = rule.get("Statement");
    let any = statement.and_then(|s| s.pointer("/OrStatement/Statements")).and_then(Value::as_array);
    rule.pointer("/Action/Block").is_some()
        && (refers(statement) || any.into_iter().flatten().any(|s| refers(Some(s))))
}

impl Control for Waf {
    fn read(&mut self, order: &Order) -> Result<Seen, Fault> {
        let (net, set, acl) = self.state(order)?;
        let state = if set.holds(net) { "is in the set already" } else { "is not in the set" };
        let acl = match acl {
            Some(acl) => {
                format!("web ACL {} blocks by it", portreeve_model::untrusted::escape_for_terminal(&acl))
            }
            None => "no web ACL blocks by it".to_owned(),
        };
        Ok(Seen {
            ids: vec![set.arn.clone()],
            in_force: set.holds(net),
            before: Value::Bool(set.has(net)),
            says: format!("{net} {state}; {acl}"),
            also_hits: Vec::new(),
        })
    }

    fn preview(&self, order: &Order, _: &Seen) -> Result<Vec<String>, Fault> {
        let (net, named) = self.target(order)?;
        let aws = self.clients.of(order.act)?;
        let all = format!("(all that GetIPSet gives), {}", net.net());
        Ok(vec![aws.shown_json(
            "UpdateIPSet",
            &json!({"Name": named.name, "Scope": self.scope.name(), "Id": named.id, "Addresses": [all],
                    "LockToken": "(of the same reading)"}),
        )])
    }

    fn apply(&mut self, order: &Order, _: &Seen) -> Result<Ack, Fault> {
        let (net, named) = self.target(order)?;
        self.write(&self.clients.of(order.act)?, named, net, Change::Add)
    }

    fn verify(&mut self, order: &Order, _: &Known) -> Effect {
        match self.state(order) {
            Err(fault) => Effect::unread(&fault),
            Ok((net, set, _)) if !set.holds(net) => Effect::NotEffective(format!("{net} is not in the set")),
            Ok((net, _, None)) => {
                Effect::NotEffective(format!("{net} is in the set, and no web ACL blocks by the set"))
            }
            Ok((net, _, Some(acl))) => Effect::Effective(format!(
                "{net} is in the set by which web ACL {} blocks",
                portreeve_model::untrusted::escape_for_terminal(&acl)
            )),
        }
    }

    fn undo(&mut self, order: &Order, known: &Known) -> Result<Ack, Fault> {
        let (net, named) = self.target(order)?;
        if known.seen.before != Value::Bool(false) {
            return Err(Fault::Refused(format!("{net} was in the set before; it is left")));
        }
        self.write(&self.clients.of(order.act)?, named, net, Change::Remove)
    }

    fn verify_undone(&mut self, order: &Order, _: &Known) -> Effect {
        let read = || -> Result<(Net, Set), Fault> {
            let (net, named) = self.target(order)?;
            Ok((net, self.get(&self.clients.of(order.act)?, named, net)?))
        };
        match read() {
            Err(fault) => Effect::unread(&fault),
            Ok((net, set)) if set.holds(net) => Effect::NotEffective(format!("{net} is still in the set")),
            Ok((net, _)) => Effect::Effective(format!("{net} is not in the set")),
        }
    }

    fn present(&mut self) -> Result<Option<Vec<Present>>, Fault> {
        let aws = self.clients.of(Act::BlockAddress)?;
        let mut found = Vec::new();
        let of_family = [
            (&self.ipv4, Net::host([192, 0, 2, 1].into())),
            (&self.ipv6, Net::host(std::net::Ipv6Addr::LOCALHOST.into())),
        ];
        for (named, family) in of_family {
            let Some(named) = named else { continue };
            for address in self.get(&aws, named, family)?.addresses {
                let what = address.parse::<Net>().map_or(address, |net| net.to_string());
                found.push(Present { what, mark: None });
            }
        }
        Ok(Some(found))
    }

    fn doctor(&mut self) -> Vec<Ability> {
        let mut found = Vec::new();
        let families = [
            (&self.ipv4, Net::host([192, 0, 2, 1].into()), "IPv4"),
            (&self.ipv6, Net::host(std::net::Ipv6Addr::LOCALHOST.into()), "IPv6"),
        ];
        for (named, family, name) in families {
            let Some(named) = named else { continue };
            let read = self.clients.of(Act::BlockAddress).and_then(|aws| {
                let set = self.get(&aws, named, family)?;
                Ok((aws, set))
            });
            let (aws, set) = match read {
                Ok(both) => both,
                Err(fault) => {
                    found.push(Ability::new(&format!("read the {name} set"), Some(false), fault.to_string()));
                    continue;
                }
            };
            let says = format!("{} addresses", set.addresses.len());
            found.push(Ability::new(&format!("read the {name} set"), Some(true), says));
            found.push(match self.blocking(&aws, &set.arn) {
                Ok(Some(acl)) => Ability::new("a web ACL blocks by it", Some(true), acl),
                Ok(None) => Ability::new("a web ACL blocks by it", Some(false), "none refers to the set"),
                Err(fault) => Ability::new("a web ACL blocks by it", None, fault.to_string()),
            });
            // The list as it is, under a lock that no set has: refused for the lock where we may write.
            let body = self.update(named, &set, &set.addresses, NO_LOCK);
            found.push(match aws.change_json("UpdateIPSet", &body) {
                Err(failed) if failed.is("WAFOptimisticLockException") => {
                    Ability::new("change the set", Some(true), "refused only for a stale lock")
                }
                Err(failed) => {
                    let able = matches!(failed.fault, Fault::Credential(_)).then_some(false);
                    Ability::new("change the set", able, failed.fault.to_string())
                }
                Ok(_) => Ability::new("change the set", Some(true), "took the same list"),
            });
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_rule_that_blocks_by_the_set_itself_counts() {
        let by = json!({"IPSetReferenceStatement": {"ARN": "a"}});
        let rule = |action: Value, statement: Value| json!({"Action": action, "Statement": statement});
        let block = json!({"Block": {}});
        assert!(blocks_by(&rule(block.clone(), by.clone()), "a"));
        assert!(blocks_by(&rule(block.clone(), json!({"OrStatement": {"Statements": [{}, by]}})), "a"));
        assert!(!blocks_by(&rule(block.clone(), by.clone()), "b"));
        assert!(!blocks_by(&rule(json!({"Count": {}}), by.clone()), "a"));
        assert!(!blocks_by(&rule(block.clone(), json!({"NotStatement": {"Statement": by}})), "a"));
        assert!(!blocks_by(&rule(block, json!({"AndStatement": {"Statements": [by, {}]}})), "a"));
    }

    #[test]
    fn addresses_are_compared_by_value_not_by_spelling() {
        let set = Set {
            arn: String::new(),
            description: None,
            addresses: vec!["2001:0db8:0000:0000:0000:0000:0000:0001/128".into(), "203.0.113.0/24".into()],
            lock: String::new(),
        };
        assert!(set.has("2001:db8::1".parse().unwrap()));
        assert!(set.holds("203.0.113.7".parse().unwrap()));
        assert!(!set.has("203.0.113.7".parse().unwrap()));
    }
}
