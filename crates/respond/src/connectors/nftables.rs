//! nftables: a table of our own with sets whose elements time out, in front of connection tracking, so that
//! connections which stand already are cut too.

use crate::act::Act;
use crate::connector::{
    Ability, Ack, Can, Connector, Control, Effect, Known, Order, Present, Proof, Seen, Setting, Settings,
};
use crate::encode::nft;
use crate::fault::Fault;
use crate::target::{Target, TargetKind};
use crate::transport::command::{Argv, Output, Runner, Via};
use crate::value::Net;
use serde::Deserialize;
use std::time::Duration;

pub static CONNECTOR: Connector = Connector {
    name: "nftables",
    product: "nftables (Linux), on this machine or over SSH",
    proof: Proof::Proven,
    can: &[Can {
        effect: "the address is an element of `blocked4` or `blocked6` in `table inet portreeve`; its packets are \
                 dropped in prerouting at priority -310, before connection tracking, in both directions, so that \
                 established connections end as well",
        leaves_open: "other ways into the network that do not pass this machine; any other address of the intruder",
        undo: "the element is deleted; others stay",
        verified_by: "`nft -j list table`: the element is there, the rules that use the sets are there, and no \
                      rule before them accepts",
        expires: true,
        ..Can::at_once(Act::BlockAddress, &[TargetKind::Address])
    }],
    needs: "CAP_NET_ADMIN: root, or a sudo rule for `nft` alone",
    settings: &[Setting {
        name: "via",
        required: false,
        says: "`netns: NAME`, or `ssh: {host, user, port, identity, known_hosts, sudo}`; absent: this machine",
    }],
    source: "nft(8); proven in a network namespace",
    open,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    via: Via,
}

fn open(settings: &Settings) -> Result<Box<dyn Control>, Fault> {
    let config: Config = settings.fields()?;
    Ok(Box::new(Nftables { runner: config.via.runner()? }))
}

struct Nftables {
    runner: Runner,
}

/// A gateway under load is slow, and giving up makes the step unknown.
const LIMIT: Duration = Duration::from_secs(30);
const TABLE: &str = "portreeve";

/// Ours whole, and harmless to say again: a chain's rules are flushed and written in the same transaction.
const SKELETON: &str = "\
add table inet portreeve
add set inet portreeve blocked4 { type ipv4_addr; flags interval, timeout; }
add set inet portreeve blocked6 { type ipv6_addr; flags interval, timeout; }
add chain inet portreeve arriving { type filter hook prerouting priority -310; policy accept; }
add chain inet portreeve leaving { type filter hook output priority -310; policy accept; }
flush chain inet portreeve arriving
flush chain inet portreeve leaving
add rule inet portreeve arriving ip saddr @blocked4 drop
add rule inet portreeve arriving ip daddr @blocked4 drop
add rule inet portreeve arriving ip6 saddr @blocked6 drop
add rule inet portreeve arriving ip6 daddr @blocked6 drop
add rule inet portreeve leaving ip daddr @blocked4 drop
add rule inet portreeve leaving ip6 daddr @blocked6 drop
";

/// One element of our sets.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Element {
    net: Net,
    comment: Option<String>,
}

/// Our table as the kernel has it.
#[derive(Default)]
struct Listed {
    elements: Vec<Element>,
    /// Rules that drop by one of our sets.
    drops: usize,
}

impl Nftables {
    fn argv() -> Argv {
        Argv::new("nft").args(&["-f", "-"])
    }

    fn send(&self, script: &str) -> Result<Output, Fault> {
        let output = self.runner.run(&Self::argv(), script.as_bytes(), LIMIT)?;
        // nft applies a script as one transaction: a failure changed nothing.
        if output.ok() { Ok(output) } else { Err(Fault::Refused(output.complaint())) }
    }

    fn list(&self) -> Result<Listed, Fault> {
        let argv = Argv::new("nft").args(&["-j", "list", "table", "inet", TABLE]);
        let output = self.runner.read(&argv, b"", LIMIT)?;
        if !output.ok() {
            let complaint = output.complaint();
            return if complaint.contains("No such file") {
                Ok(Listed::default())
            } else {
                Err(Fault::Credential(complaint))
            };
        }
        listed(&output.out)
    }

    fn script(order: &Order, seen: &Seen) -> Result<String, Fault> {
        let net = address(order)?;
        let mark =
            nft::comment(&order.mark).ok_or_else(|| Fault::Config("mark cannot be a comment".into()))?;
        let set = set_of(net);
        let timeout = match order.until {
            Some(_) => format!(" timeout {}s", order.seconds_left(now()).unwrap_or(1)),
            None => String::new(),
        };
        let mut script = SKELETON.to_owned();
        // A new time for an element that is there: older kernels keep the old one when it is only added again.
        if seen.before.as_bool() == Some(true) {
            script.push_str(&format!("delete element inet {TABLE} {set} {{ {net} }}\n"));
        }
        script.push_str(&format!("add element inet {TABLE} {set} {{ {net}{timeout} comment {mark} }}\n"));
        Ok(script)
    }
}

fn now() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

fn set_of(net: Net) -> &'static str {
    if net.is_v4() { "blocked4" } else { "blocked6" }
}

fn address(order: &Order) -> Result<Net, Fault> {
    match &order.target {
        Target::Address { net } => Ok(*net),
        other => Err(Fault::Unsupported(format!("nftables blocks addresses, not {other}"))),
    }
}

/// Reads `nft -j list table`.
fn listed(json: &str) -> Result<Listed, Fault> {
    let garbled = |why: &str| Fault::Garbled(format!("nft -j: {why}"));
    let whole: serde_json::Value = serde_json::from_str(json).map_err(|e| garbled(&e.to_string()))?;
    let items = whole.get("nftables").and_then(|v| v.as_array()).ok_or_else(|| garbled("no list"))?;
    let mut found = Listed::default();
    for item in items {
        if let Some(set) = item.get("set") {
            for element in set.get("elem").and_then(|e| e.as_array()).into_iter().flatten() {
                let inner = element.get("elem");
                let value = inner.and_then(|e| e.get("val")).unwrap_or(element);
                let comment =
                    inner.and_then(|e| e.get("comment")).and_then(|c| c.as_str()).map(str::to_owned);
                for net in nets(value) {
                    found.elements.push(Element { net, comment: comment.clone() });
                }
            }
        }
        if let Some(rule) = item.get("rule") {
            let text = rule.to_string();
            if text.contains("\"drop\"") && (text.contains("\"@blocked4\"") || text.contains("\"@blocked6\""))
            {
                found.drops += 1;
            }
        }
    }
    Ok(found)
}

/// `"192.0.2.1"`, `{"prefix": {…}}`, or `{"range": […]}` of neighbours that the kernel holds as one.
fn nets(value: &serde_json::Value) -> Vec<Net> {
    if let Some(text) = value.as_str() {
        return text.parse().into_iter().collect();
    }
    if let Some(prefix) = value.get("prefix") {
        let addr = prefix.get("addr").and_then(|a| a.as_str()).unwrap_or("");
        let len = prefix.get("len").and_then(serde_json::Value::as_u64).unwrap_or(0);
        return format!("{addr}/{len}").parse().into_iter().collect();
    }
    if let Some([first, last]) = value.get("range").and_then(|r| r.as_array()).map(Vec::as_slice) {
        let parse = |v: &serde_json::Value| v.as_str().and_then(|t| t.parse().ok());
        return match (parse(first), parse(last)) {
            (Some(std::net::IpAddr::V4(a)), Some(std::net::IpAddr::V4(b))) => {
                ipnet::Ipv4Subnets::new(a, b, 0).map(Net::from).collect()
            }
            (Some(std::net::IpAddr::V6(a)), Some(std::net::IpAddr::V6(b))) => {
                ipnet::Ipv6Subnets::new(a, b, 0).map(Net::from).collect()
            }
            _ => Vec::new(),
        };
    }
    Vec::new()
}

impl Control for Nftables {
    fn read(&mut self, order: &Order) -> Result<Seen, Fault> {
        let net = address(order)?;
        let listed = self.list()?;
        let same = listed.elements.iter().find(|e| e.net == net);
        let wider = listed.elements.iter().find(|e| e.net != net && e.net.overlaps(net));
        if let Some(other) = wider {
            let holds = other.net.net().contains(&net.net());
            if !holds {
                return Err(Fault::Refused(format!(
                    "{} is blocked already and lies inside {net}; nftables refuses overlapping elements",
                    other.net
                )));
            }
        }
        let holder = same.or(wider);
        // An element with our own mark of this very step is a step that was sent before.
        let ours = holder.is_some_and(|e| e.comment.as_deref() == Some(order.mark.as_str()));
        Ok(Seen {
            ids: vec![net.to_string()],
            in_force: holder.is_some() && !ours,
            before: serde_json::Value::Bool(same.is_some()),
            says: match holder {
                Some(e) if ours => format!("{} is blocked by this step", e.net),
                Some(e) => {
                    format!("{} is blocked already ({})", e.net, e.comment.as_deref().unwrap_or("no comment"))
                }
                None => "not blocked".to_owned(),
            },
            also_hits: Vec::new(),
        })
    }

    fn preview(&self, order: &Order, seen: &Seen) -> Result<Vec<String>, Fault> {
        let net = address(order)?;
        let until = order.until.and_then(|u| jiff::Timestamp::from_microsecond(u).ok());
        let delete = if seen.before.as_bool() == Some(true) { "delete and " } else { "" };
        Ok(vec![format!(
            "{} (on {}): table inet {TABLE} with its sets and rules; {delete}add element inet {TABLE} {} {{ {net}{} comment \"{}\" }}",
            Self::argv().shown(),
            self.runner.describe(),
            set_of(net),
            until.map(|u| format!(" timeout until {u}")).unwrap_or_default(),
            order.mark,
        )])
    }

    fn apply(&mut self, order: &Order, seen: &Seen) -> Result<Ack, Fault> {
        self.send(&Self::script(order, seen)?)?;
        Ok(Ack::says("nft took the transaction"))
    }

    fn verify(&mut self, order: &Order, _: &Known) -> Effect {
        let (net, listed) = match address(order).and_then(|net| Ok((net, self.list()?))) {
            Ok(both) => both,
            Err(fault) => return Effect::unread(&fault),
        };
        let element = listed.elements.iter().find(|e| e.net.net().contains(&net.net()));
        match element {
            None => Effect::NotEffective(format!("{net} is no element of {}", set_of(net))),
            Some(_) if listed.drops < 6 => {
                Effect::NotEffective(format!("{} of 6 rules that drop by the sets are there", listed.drops))
            }
            Some(e) => Effect::Effective(format!(
                "{} is in {}, and all 6 rules drop by the sets",
                e.net,
                set_of(net)
            )),
        }
    }

    fn undo(&mut self, order: &Order, _: &Known) -> Result<Ack, Fault> {
        let net = address(order)?;
        let there = self.list()?.elements.into_iter().find(|e| e.net == net);
        match there {
            None => Ok(Ack::says("was gone already")),
            Some(e) if e.comment.as_deref() != Some(order.mark.as_str()) => {
                Err(Fault::Refused(format!("{net} now stands there by another hand; it is left")))
            }
            Some(_) => {
                let set = set_of(net);
                self.send(&format!("delete element inet {TABLE} {set} {{ {net} }}\n"))?;
                Ok(Ack::says("nft took the deletion"))
            }
        }
    }

    fn verify_undone(&mut self, order: &Order, _: &Known) -> Effect {
        match address(order).and_then(|net| Ok((net, self.list()?))) {
            Err(fault) => Effect::unread(&fault),
            Ok((net, listed)) => match listed.elements.iter().find(|e| e.net.overlaps(net)) {
                None => Effect::Effective(format!("{net} is in no set")),
                Some(e) => Effect::NotEffective(format!(
                    "{} is still blocked ({})",
                    e.net,
                    e.comment.as_deref().unwrap_or("no comment")
                )),
            },
        }
    }

    fn present(&mut self) -> Result<Option<Vec<Present>>, Fault> {
        let listed = self.list()?;
        Ok(Some(
            listed
                .elements
                .into_iter()
                .map(|e| Present { what: e.net.to_string(), mark: e.comment })
                .collect(),
        ))
    }

    fn doctor(&mut self) -> Vec<Ability> {
        let listed = self.list();
        let read = Ability::new(
            "read the table",
            Some(listed.is_ok()),
            listed.err().map_or_else(|| self.runner.describe(), |f| f.to_string()),
        );
        // `nft -c` checks a transaction and commits nothing.
        let check = self.runner.read(&Argv::new("nft").args(&["-c", "-f", "-"]), SKELETON.as_bytes(), LIMIT);
        let write = match check {
            Ok(output) if output.ok() => Ability::new("block an address", Some(true), "checked with nft -c"),
            Ok(output) => Ability::new("block an address", Some(false), output.complaint()),
            Err(fault) => Ability::new("block an address", Some(false), fault.to_string()),
        };
        vec![read, write]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"nftables":[{"metainfo":{"version":"1.0.6"}},{"table":{"family":"inet","name":"portreeve"}},
      {"set":{"family":"inet","name":"blocked4","elem":["198.51.100.9",
        {"elem":{"val":"192.0.2.7","timeout":60,"expires":59,"comment":"portreeve-0123456789ab"}},
        {"elem":{"val":{"prefix":{"addr":"203.0.113.0","len":24}},"comment":"by hand"}},
        {"range":["198.51.100.0","198.51.100.2"]}]}},
      {"rule":{"chain":"arriving","expr":[{"match":{"op":"==","left":{"payload":{"protocol":"ip","field":"saddr"}},"right":"@blocked4"}},{"drop":null}]}}]}"#;

    #[test]
    fn the_listing_is_read() {
        let found = listed(JSON).unwrap();
        let nets: Vec<String> = found.elements.iter().map(|e| e.net.to_string()).collect();
        assert_eq!(nets, ["198.51.100.9", "192.0.2.7", "203.0.113.0/24", "198.51.100.0/31", "198.51.100.2"]);
        assert_eq!(found.elements[1].comment.as_deref(), Some("portreeve-0123456789ab"));
        assert_eq!(found.drops, 1);
        assert!(listed("{").is_err());
    }

    #[test]
    fn a_script_holds_the_address_and_the_time_and_nothing_else() {
        let order = Order {
            act: Act::BlockAddress,
            target: Target::address("192.0.2.7".parse().unwrap()),
            until: Some(now() + 3_600_000_000),
            mark: "portreeve-0123456789ab".into(),
            case: "c".into(),
        };
        let script = Nftables::script(&order, &Seen::default()).unwrap();
        let last = script.lines().last().unwrap();
        assert!(last.starts_with("add element inet portreeve blocked4 { 192.0.2.7 timeout 3"), "{last}");
        assert!(last.ends_with("s comment \"portreeve-0123456789ab\" }"), "{last}");
    }
}
