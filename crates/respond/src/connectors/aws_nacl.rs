//! AWS network ACLs: a deny entry before every allow, in both directions.
//!
//! Entries are evaluated by number, so an entry behind the first allow blocks nothing; an ACL without subnets blocks
//! nothing either. An entry holds no comment: which ones are ours is known from the plan, by number and content.

use crate::act::Act;
use crate::connector::{
    Ability, Ack, Can, Connector, Control, Effect, Known, Order, Present, Proof, Seen, Setting, Settings,
};
use crate::connectors::aws::Clients;
use crate::encode::xml_read::Node;
use crate::fault::Fault;
use crate::target::{Target, TargetKind};
use crate::transport::aws::{Aws, EC2, Place, get, items};
use crate::value::Net;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

pub static CONNECTOR: Connector = Connector {
    name: "aws_nacl",
    product: "Amazon Web Services: network ACLs of a VPC",
    proof: Proof::Contract,
    can: &[Can {
        effect: "an entry that denies every protocol from (and one to) the address, numbered before each entry that \
                 allows, in the network ACLs that the configuration names; ACLs keep no state, so established \
                 connections end as well",
        leaves_open: "subnets with another ACL; traffic within a subnet; what comes through CloudFront or another \
                      proxy with the proxy's address; any other address of the intruder. An ACL holds 20 entries \
                      for each direction unless AWS raised it",
        undo: "the entries of this step are deleted, if they still are what it made",
        verified_by: "DescribeNetworkAcls: the entries are there, no allow comes before them, and the ACL is \
                      associated with subnets. Whether packets are dropped is seen in flow logs (REJECT)",
        within: Duration::from_secs(30),
        ..Can::at_once(Act::BlockAddress, &[TargetKind::Address])
    }],
    needs: "ec2: DescribeNetworkAcls; CreateNetworkAclEntry and DeleteNetworkAclEntry on these ACLs",
    settings: &[
        Setting { name: "region", required: true, says: "`eu-central-1`" },
        Setting { name: "network_acls", required: true, says: "ids of ACLs: `[acl-0123456789abcdef0]`" },
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
    source: "VPC User Guide, network ACLs; EC2 API reference 2016-11-15. Tested against moto, which keeps the \
             entries and passes no packets",
    open,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    region: String,
    network_acls: Vec<String>,
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
    let id = |acl: &String| {
        acl.strip_prefix("acl-")
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    if config.network_acls.is_empty() || !config.network_acls.iter().all(id) {
        return Err(Fault::Config("network_acls: ids like acl-0123456789abcdef0".into()));
    }
    let place =
        Place { region: config.region, endpoint: config.endpoint, ca: config.ca, timeout: config.timeout };
    place.check(EC2)?;
    let clients = Clients { settings: settings.clone(), place, service: EC2 };
    Ok(Box::new(Nacl { clients, ids: config.network_acls }))
}

struct Nacl {
    clients: Clients,
    ids: Vec<String>,
}

/// One entry of an ACL.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Entry {
    number: u32,
    egress: bool,
    deny: bool,
    every_protocol: bool,
    net: Option<Net>,
}

struct Acl {
    id: String,
    entries: Vec<Entry>,
    subnets: usize,
}

/// An entry that this step makes. Kept in the plan.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Made {
    acl: String,
    egress: bool,
    number: u32,
}

impl Entry {
    fn denies(&self, net: Net) -> bool {
        self.deny && self.every_protocol && self.net.is_some_and(|n| n.net().contains(&net.net()))
    }

    /// Exactly the entry that a step writes.
    fn is(&self, made: &Made, net: Net) -> bool {
        self.number == made.number
            && self.egress == made.egress
            && self.deny
            && self.every_protocol
            && self.net == Some(net)
    }
}

/// The last number is AWS's own `*` entry.
const LAST: u32 = 32_766;

impl Acl {
    fn read(item: &Node) -> Acl {
        let entries = items(item, "entrySet")
            .filter_map(|e| {
                let cidr = get(e, "cidrBlock").or_else(|| get(e, "ipv6CidrBlock"));
                Some(Entry {
                    number: get(e, "ruleNumber")?.parse().ok()?,
                    egress: get(e, "egress")? == "true",
                    deny: get(e, "ruleAction")? == "deny",
                    every_protocol: get(e, "protocol")? == "-1",
                    net: cidr.and_then(|c| c.parse().ok()),
                })
            })
            .collect();
        Acl {
            id: get(item, "networkAclId").unwrap_or_default().to_owned(),
            entries,
            subnets: items(item, "associationSet").count(),
        }
    }

    fn direction(&self, egress: bool) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |e| e.egress == egress && e.number <= LAST)
    }

    /// The first entry that allows something of the address. What could not be read counts as such.
    fn first_allow(&self, egress: bool, net: Net) -> u32 {
        self.direction(egress)
            .filter(|e| !e.deny && e.net.is_none_or(|n| n.overlaps(net)))
            .map(|e| e.number)
            .min()
            .unwrap_or(LAST + 1)
    }

    /// The entry that keeps the address out, if one does.
    fn blocks(&self, egress: bool, net: Net) -> Option<&Entry> {
        let allow = self.first_allow(egress, net);
        self.direction(egress).find(|e| e.denies(net) && e.number < allow)
    }

    /// The last free number before the first allow, so that there is room before it for others.
    fn free(&self, egress: bool, net: Net) -> Option<u32> {
        let allow = self.first_allow(egress, net);
        (1..allow.min(LAST + 1)).rev().find(|n| self.direction(egress).all(|e| e.number != *n))
    }
}

fn address(order: &Order) -> Result<Net, Fault> {
    match &order.target {
        Target::Address { net } if net.net().prefix_len() == 0 => {
            Err(Fault::Unsupported("every address there is: refused".into()))
        }
        Target::Address { net } => Ok(*net),
        other => Err(Fault::Unsupported(format!("aws_nacl blocks addresses, not {other}"))),
    }
}

fn way(egress: bool) -> &'static str {
    if egress { "egress" } else { "ingress" }
}

fn planned(seen: &Seen) -> Result<Vec<Made>, Fault> {
    serde_json::from_value(seen.before.clone())
        .map_err(|e| Fault::Refused(format!("the plan does not say which entries are meant: {e}")))
}

impl Nacl {
    fn acls(&self) -> Result<Vec<Acl>, Fault> {
        let names: Vec<String> = (1..=self.ids.len()).map(|n| format!("NetworkAclId.{n}")).collect();
        let params: Vec<(&str, &str)> =
            names.iter().map(String::as_str).zip(self.ids.iter().map(String::as_str)).collect();
        // All ids are named, so the answer has one page.
        let answer = self.clients.of(Act::BlockAddress)?.ask("DescribeNetworkAcls", &params)?;
        let acls: Vec<Acl> = items(&answer, "networkAclSet").map(Acl::read).collect();
        for id in &self.ids {
            if acls.iter().filter(|a| a.id == *id).count() != 1 {
                return Err(Fault::NotFound(format!("AWS does not show the network ACL {id}")));
            }
        }
        Ok(acls)
    }

    fn create(aws: &Aws, made: &Made, net: Net, dry: bool) -> Result<(), crate::transport::aws::Failed> {
        let (number, cidr) = (made.number.to_string(), net.net().to_string());
        let family = if net.is_v4() { "CidrBlock" } else { "Ipv6CidrBlock" };
        let mut params = vec![
            ("NetworkAclId", made.acl.as_str()),
            ("RuleNumber", &number),
            ("Protocol", "-1"),
            ("RuleAction", "deny"),
            ("Egress", if made.egress { "true" } else { "false" }),
            (family, &cidr),
        ];
        if dry {
            params.push(("DryRun", "true"));
        }
        aws.change("CreateNetworkAclEntry", &params).map(|_| ())
    }

    /// What keeps the address from being blocked; nothing, where it is.
    fn open_ways(acls: &[Acl], net: Net) -> Vec<String> {
        let mut open = Vec::new();
        for acl in acls {
            if acl.subnets == 0 {
                open.push(format!("{} is associated with no subnet", acl.id));
            }
            for egress in [false, true] {
                if acl.blocks(egress, net).is_none() {
                    open.push(format!("{} lets {net} pass ({})", acl.id, way(egress)));
                }
            }
        }
        open
    }
}

impl Control for Nacl {
    fn read(&mut self, order: &Order) -> Result<Seen, Fault> {
        let net = address(order)?;
        let acls = self.acls()?;
        let mut plan = Vec::new();
        for acl in &acls {
            for egress in [false, true] {
                if acl.blocks(egress, net).is_some() {
                    continue;
                }
                let Some(number) = acl.free(egress, net) else {
                    return Err(Fault::Refused(format!(
                        "{}: no number is free before the first entry that allows {net} ({})",
                        acl.id,
                        way(egress)
                    )));
                };
                plan.push(Made { acl: acl.id.clone(), egress, number });
            }
        }
        let guards: Vec<String> =
            acls.iter().map(|a| format!("{} guards {} subnets", a.id, a.subnets)).collect();
        let state = match plan.len() {
            0 => "blocked already".to_owned(),
            n => format!("not blocked in {n} of {} lists", acls.len() * 2),
        };
        Ok(Seen {
            ids: acls.iter().map(|a| a.id.clone()).collect(),
            in_force: plan.is_empty(),
            before: serde_json::to_value(&plan).map_err(|e| Fault::Garbled(e.to_string()))?,
            says: format!("{state}; {}", guards.join(", ")),
            also_hits: Vec::new(),
        })
    }

    fn preview(&self, order: &Order, seen: &Seen) -> Result<Vec<String>, Fault> {
        let net = address(order)?;
        let aws = self.clients.of(order.act)?;
        Ok(planned(seen)?
            .iter()
            .map(|made| {
                aws.shown(
                    "CreateNetworkAclEntry",
                    &[
                        ("NetworkAclId", &made.acl),
                        ("RuleNumber", &made.number.to_string()),
                        ("Protocol", "-1"),
                        ("RuleAction", "deny"),
                        ("Egress", if made.egress { "true" } else { "false" }),
                        (if net.is_v4() { "CidrBlock" } else { "Ipv6CidrBlock" }, &net.net().to_string()),
                    ],
                )
            })
            .collect())
    }

    fn apply(&mut self, order: &Order, seen: &Seen) -> Result<Ack, Fault> {
        let net = address(order)?;
        let aws = self.clients.of(order.act)?;
        let acls = self.acls()?;
        let plan = planned(seen)?;
        let mut lost = None;
        for (done, made) in plan.iter().enumerate() {
            if acls.iter().any(|a| a.id == made.acl && a.entries.iter().any(|e| e.is(made, net))) {
                continue;
            }
            match Self::create(&aws, made, net, false).map_err(|f| f.fault) {
                Ok(()) => {}
                // The other entries are sent all the same: each keeps the address out by itself.
                Err(fault) if fault.may_have_acted() => lost = Some(fault),
                // Refused as a whole only where nothing was made before.
                Err(fault) if done == 0 => return Err(fault),
                Err(fault) => {
                    let why = format!("{done} of {} entries were sent; then {fault}", plan.len());
                    return Err(Fault::Lost(why));
                }
            }
        }
        if let Some(fault) = lost {
            return Err(fault);
        }
        Ok(Ack::says(format!("EC2 took {} entries", plan.len())))
    }

    fn verify(&mut self, order: &Order, _: &Known) -> Effect {
        let (net, acls) = match address(order).and_then(|net| Ok((net, self.acls()?))) {
            Ok(both) => both,
            Err(fault) => return Effect::unread(&fault),
        };
        let open = Self::open_ways(&acls, net);
        if open.is_empty() {
            Effect::Effective(format!("{net} is denied before every allow in {}", self.ids.join(", ")))
        } else {
            Effect::NotEffective(open.join("; "))
        }
    }

    fn undo(&mut self, order: &Order, known: &Known) -> Result<Ack, Fault> {
        let net = address(order)?;
        let aws = self.clients.of(order.act)?;
        let acls = self.acls()?;
        let mut deleted = 0;
        let mut changed = Vec::new();
        let mut lost = None;
        for made in planned(&known.seen)? {
            let at = acls
                .iter()
                .find(|a| a.id == made.acl)
                .and_then(|a| a.entries.iter().find(|e| e.number == made.number && e.egress == made.egress));
            match at {
                Some(entry) if entry.is(&made, net) => {
                    let sent = aws.change(
                        "DeleteNetworkAclEntry",
                        &[
                            ("NetworkAclId", &made.acl),
                            ("RuleNumber", &made.number.to_string()),
                            ("Egress", if made.egress { "true" } else { "false" }),
                        ],
                    );
                    match sent {
                        Ok(_) => deleted += 1,
                        Err(failed) if failed.fault.may_have_acted() => lost = Some(failed.fault),
                        Err(failed) => return Err(failed.into()),
                    }
                }
                Some(entry) if entry.net == Some(net) => {
                    changed.push(format!("{} {} {}", made.acl, way(made.egress), made.number));
                }
                // Gone, or its number is another's now.
                _ => {}
            }
        }
        match (lost, changed.is_empty()) {
            (Some(fault), _) => Err(fault),
            (None, true) => Ok(Ack::says(format!("EC2 took {deleted} deletions"))),
            (None, false) => {
                Err(Fault::Refused(format!("changed by another hand and left: {}", changed.join(", "))))
            }
        }
    }

    fn verify_undone(&mut self, order: &Order, known: &Known) -> Effect {
        let read = || -> Result<Vec<String>, Fault> {
            let net = address(order)?;
            let plan = planned(&known.seen)?;
            let acls = self.acls()?;
            let mut still = Vec::new();
            for acl in &acls {
                for made in plan.iter().filter(|m| m.acl == acl.id) {
                    if let Some(entry) = acl.blocks(made.egress, net) {
                        still.push(format!("{} {} {}", acl.id, way(made.egress), entry.number));
                    }
                }
            }
            Ok(still)
        };
        match read() {
            Err(fault) => Effect::unread(&fault),
            Ok(still) if still.is_empty() => Effect::Effective("no entry denies the address".into()),
            Ok(still) => Effect::NotEffective(format!("denied by {}", still.join(", "))),
        }
    }

    fn present(&mut self) -> Result<Option<Vec<Present>>, Fault> {
        let acls = self.acls()?;
        let denied = acls.iter().flat_map(|a| a.direction(false).filter(|e| e.deny && e.every_protocol));
        let mut found: Vec<Present> =
            denied.filter_map(|e| e.net).map(|net| Present { what: net.to_string(), mark: None }).collect();
        found.sort();
        found.dedup();
        Ok(Some(found))
    }

    fn doctor(&mut self) -> Vec<Ability> {
        let acls = match self.acls() {
            Ok(acls) => acls,
            Err(fault) => return vec![Ability::new("read the ACLs", Some(false), fault.to_string())],
        };
        let mut found = Vec::new();
        for acl in &acls {
            let says = format!("{} guards {} subnets", acl.id, acl.subnets);
            found.push(Ability::new("read the ACLs", Some(acl.subnets > 0), says));
            // A number of the documentation's addresses; EC2 checks the right and makes nothing.
            let made = Made { acl: acl.id.clone(), egress: false, number: 1 };
            let dry = self
                .clients
                .of(Act::BlockAddress)
                .map(|aws| Self::create(&aws, &made, Net::host([192, 0, 2, 1].into()), true));
            let (able, why) = match dry {
                Ok(Err(failed)) if failed.is("DryRunOperation") => (Some(true), "by a dry run".to_owned()),
                Ok(Err(failed)) if matches!(failed.fault, Fault::Credential(_)) => {
                    (Some(false), failed.fault.to_string())
                }
                Ok(Err(failed)) => (None, failed.fault.to_string()),
                Ok(Ok(())) => (None, "the dry run was not taken as one".to_owned()),
                Err(fault) => (Some(false), fault.to_string()),
            };
            found.push(Ability::new("block an address", able, why));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acl(entries: &[(u32, bool, &str)]) -> Acl {
        let entries = entries
            .iter()
            .map(|(number, deny, net)| Entry {
                number: *number,
                egress: false,
                deny: *deny,
                every_protocol: true,
                net: net.parse().ok(),
            })
            .collect();
        Acl { id: "acl-1".into(), entries, subnets: 1 }
    }

    #[test]
    fn an_entry_behind_an_allow_blocks_nothing() {
        let net: Net = "203.0.113.7".parse().unwrap();
        let behind =
            acl(&[(100, false, "0.0.0.0/0"), (101, true, "203.0.113.7"), (32_767, true, "0.0.0.0/0")]);
        assert!(behind.blocks(false, net).is_none());
        let before = acl(&[(100, false, "0.0.0.0/0"), (99, true, "203.0.113.0/24")]);
        assert_eq!(before.blocks(false, net).map(|e| e.number), Some(99));
        // An allow of others does not matter.
        let other = acl(&[(1, false, "10.0.0.0/8"), (2, true, "203.0.113.7")]);
        assert!(other.blocks(false, net).is_some());
        // AWS's last entry is no effect of anybody.
        assert!(acl(&[(32_767, true, "0.0.0.0/0")]).blocks(false, net).is_none());
    }

    #[test]
    fn the_number_is_free_and_before_the_first_allow() {
        let net: Net = "203.0.113.7".parse().unwrap();
        assert_eq!(acl(&[(100, false, "0.0.0.0/0"), (99, true, "198.51.100.1")]).free(false, net), Some(98));
        assert_eq!(acl(&[(1, false, "0.0.0.0/0")]).free(false, net), None);
        assert_eq!(acl(&[(2, false, "0.0.0.0/0"), (1, true, "198.51.100.1")]).free(false, net), None);
        assert_eq!(acl(&[]).free(false, net), Some(LAST));
        // What cannot be read may allow the address.
        assert_eq!(acl(&[(10, false, "?"), (100, false, "0.0.0.0/0")]).free(false, net), Some(9));
    }
}
