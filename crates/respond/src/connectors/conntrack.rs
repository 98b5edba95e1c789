//! Connection tracking of Linux: flows that stand are taken out of the table. A firewall that accepts what is
//! established asks its other rules again only then; where none of them blocks, the flow is back with its next packet.

use crate::act::Act;
use crate::connector::{
    Ability, Ack, Can, Connector, Control, Effect, Known, Order, Proof, Seen, Setting, Settings,
};
use crate::fault::Fault;
use crate::target::{Target, TargetKind};
use crate::transport::command::{Argv, Output, Runner, Via};
use crate::value::Net;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

pub static CONNECTOR: Connector = Connector {
    name: "conntrack",
    product: "Connection tracking (Linux), on this machine or over SSH",
    proof: Proof::Proven,
    can: &[Can {
        effect: "each flow from or to the address, before and behind address translation, is deleted from the \
                 kernel's table of connections; its next packet meets the firewall's rules as a new one",
        leaves_open: "without a block the flow comes back with its next packet: block the address first, in a rule \
                      that new packets meet. Flows that do not pass this machine; flows that the rules do not track",
        undo: "none, and none is needed: a flow that is allowed begins anew by itself",
        verified_by: "`conntrack -L` shows no living flow from or to the address, and none a few seconds later",
        settle: Duration::from_secs(5),
        ..Can::at_once(Act::TerminateSession, &[TargetKind::Address, TargetKind::Session])
    }],
    needs: "CAP_NET_ADMIN: root, or a sudo rule for `conntrack` alone",
    settings: &[Setting {
        name: "via",
        required: false,
        says: "`netns: NAME`, or `ssh: {host, user, port, identity, known_hosts, sudo}`; absent: this machine",
    }],
    source: "conntrack(8); proven in network namespaces",
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
    Ok(Box::new(Conntrack { runner: config.via.runner()? }))
}

struct Conntrack {
    runner: Runner,
}

const LIMIT: Duration = Duration::from_secs(30);
/// conntrack takes no range behind translation, so there each host of a range is named; more are not one target.
const MOST_HOSTS: usize = 256;
/// The most that is read of a table; a longer one is not read to its end and says nothing.
const LONGEST: usize = 30 << 20;

/// One flow: its protocol, its state, the two addresses that it began with and the two of its answers.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Flow {
    protocol: String,
    state: String,
    ends: [IpAddr; 4],
}

impl Flow {
    fn touches(&self, nets: &[Net]) -> bool {
        self.ends.iter().any(|ip| nets.iter().any(|net| net.net().contains(ip)))
    }

    /// What has ended stays in the table for a while.
    fn lives(&self) -> bool {
        !matches!(self.state.as_str(), "CLOSE" | "TIME_WAIT")
    }
}

/// Reads `conntrack -L`: `tcp 6 431999 ESTABLISHED src=… dst=… … src=… dst=… …`.
fn flows(text: &str) -> Result<Vec<Flow>, Fault> {
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let ends: Vec<IpAddr> = words
                .iter()
                .filter_map(|w| w.strip_prefix("src=").or_else(|| w.strip_prefix("dst=")))
                .filter_map(|ip| ip.parse::<IpAddr>().ok())
                .map(|ip| ip.to_canonical())
                .collect();
            let ends: [IpAddr; 4] = ends
                .try_into()
                .map_err(|_| Fault::Garbled("conntrack -L: a flow has not four addresses".into()))?;
            let word = |at: usize| words.get(at).copied().unwrap_or("");
            let state = Some(word(3)).filter(|w| !w.contains('=')).unwrap_or("").to_owned();
            Ok(Flow { protocol: word(0).to_owned(), state, ends })
        })
        .collect()
}

/// The addresses that are meant. A range that is half the world is no target.
fn targets(order: &Order) -> Result<Vec<Net>, Fault> {
    let nets: Vec<Net> = match &order.target {
        Target::Address { net } => vec![*net],
        Target::Session(stay) => stay.public.into_iter().chain(stay.inner).collect(),
        other => return Err(Fault::Unsupported(format!("a connection has addresses, not {other}"))),
    };
    if nets.is_empty() {
        return Err(Fault::Unsupported("the session names no address".into()));
    }
    for net in &nets {
        if net.net().prefix_len() < if net.is_v4() { 8 } else { 32 } {
            return Err(Fault::Unsupported(format!("{net} is too wide to be one intruder's")));
        }
    }
    Ok(nets)
}

/// The two directions of a flow as it began, and the two of its answers.
const BEGAN: [&str; 2] = ["--src", "--dst"];
const ANSWERED: [&str; 2] = ["--reply-src", "--reply-dst"];

fn family(net: Net) -> &'static str {
    if net.is_v4() { "ipv4" } else { "ipv6" }
}

fn argv(command: &'static str, net: Net) -> Argv {
    Argv::new("conntrack").args(&[command, "-f", family(net)])
}

/// The first deletions; behind translation a range is deleted host by host, as they are found.
fn deletions(net: Net) -> Vec<Argv> {
    let behind: &[&str] = if net.is_host() { &ANSWERED } else { &[] };
    let one = |side: &&'static str| argv("-D", net).arg(side).value(&net);
    BEGAN.iter().map(one).chain(behind.iter().map(|side| argv("-D", net).args(&[side]).value(&net))).collect()
}

/// How many flows a deletion took. conntrack ends with 1 where it found none.
fn deleted(output: &Output) -> Option<u64> {
    let (before, _) = output.err.split_once(" flow entries have been deleted")?;
    before.rsplit(' ').next()?.parse().ok()
}

impl Conntrack {
    fn list(&self, argv: &Argv) -> Result<Vec<Flow>, Fault> {
        let output = self.runner.read(argv, b"", LIMIT)?;
        if !output.ok() {
            return Err(Fault::Credential(output.complaint()));
        }
        if output.out.len() > LONGEST {
            return Err(Fault::Garbled("conntrack -L: the table is too long to be read whole".into()));
        }
        flows(&output.out)
    }

    /// Living flows from and to a target.
    fn living(&self, nets: &[Net]) -> Result<Vec<Flow>, Fault> {
        let mut found = Vec::new();
        for net in nets {
            if net.is_host() {
                for side in BEGAN.iter().chain(&ANSWERED) {
                    found.extend(self.list(&argv("-L", *net).args(&[side]).value(net))?);
                }
            } else {
                found.extend(self.list(&argv("-L", *net))?);
            }
        }
        found.retain(|flow| flow.touches(nets) && flow.lives());
        found.dedup();
        Ok(found)
    }

    fn delete(&self, argv: &Argv, gone: &mut u64) -> Result<(), Fault> {
        let output = self.runner.run(argv, b"", LIMIT)?;
        match deleted(&output) {
            Some(count) => {
                *gone += count;
                Ok(())
            }
            None if *gone > 0 => Err(Fault::Lost(format!("after {gone} flows: {}", output.complaint()))),
            None => Err(Fault::Refused(output.complaint())),
        }
    }

    /// Flows of a range that only show behind translation.
    fn delete_behind(&self, net: Net, gone: &mut u64) -> Result<(), Fault> {
        let hosts: BTreeSet<IpAddr> = self
            .list(&argv("-L", net))?
            .iter()
            .flat_map(|flow| flow.ends)
            .filter(|ip| net.net().contains(ip))
            .collect();
        if hosts.len() > MOST_HOSTS {
            return Err(Fault::Refused(format!("{net} has flows of more than {MOST_HOSTS} hosts")));
        }
        for host in hosts {
            for side in ANSWERED {
                self.delete(&argv("-D", net).args(&[side]).value(&Net::host(host)), gone)?;
            }
        }
        Ok(())
    }
}

impl Control for Conntrack {
    fn read(&mut self, order: &Order) -> Result<Seen, Fault> {
        let nets = targets(order)?;
        // That the table can be read is shown; what is in it changes by itself and is no part of the plan.
        self.living(&nets)?;
        Ok(Seen {
            ids: nets.iter().map(ToString::to_string).collect(),
            in_force: false,
            before: serde_json::Value::Null,
            says: "flows end for good only if a rule blocks the address for new packets".to_owned(),
            also_hits: nets
                .iter()
                .filter(|net| !net.is_host())
                .map(|net| format!("flows of every host in {net}"))
                .collect(),
        })
    }

    fn preview(&self, order: &Order, _: &Seen) -> Result<Vec<String>, Fault> {
        let mut lines = Vec::new();
        for net in targets(order)? {
            lines.extend(
                deletions(net).iter().map(|argv| format!("{} (on {})", argv.shown(), self.runner.describe())),
            );
            if !net.is_host() {
                lines.push(format!(
                    "{} ADDRESS, and --reply-dst, for each host of {net} that the table then shows behind translation",
                    argv("-D", net).arg("--reply-src").shown()
                ));
            }
        }
        Ok(lines)
    }

    fn apply(&mut self, order: &Order, _: &Seen) -> Result<Ack, Fault> {
        let mut gone = 0;
        for net in targets(order)? {
            for argv in deletions(net) {
                self.delete(&argv, &mut gone)?;
            }
            if !net.is_host() {
                self.delete_behind(net, &mut gone)?;
            }
        }
        Ok(Ack::says(format!("{gone} flows deleted")))
    }

    fn verify(&mut self, order: &Order, _: &Known) -> Effect {
        match targets(order).and_then(|nets| Ok((self.living(&nets)?, nets))) {
            Err(fault) => Effect::unread(&fault),
            Ok((living, nets)) => {
                let [first, ..] = living.as_slice() else {
                    let shown: Vec<String> = nets.iter().map(ToString::to_string).collect();
                    return Effect::Effective(format!("no flow from or to {}", shown.join(" or ")));
                };
                let [from, to, ..] = first.ends;
                Effect::NotEffective(format!(
                    "a {} flow from {from} to {to} lives; if no rule blocks it, it comes back with each packet",
                    portreeve_model::untrusted::escape_for_terminal(&first.protocol)
                ))
            }
        }
    }

    fn undo(&mut self, _: &Order, _: &Known) -> Result<Ack, Fault> {
        Err(Fault::Unsupported(
            "a flow that has ended is not brought back; one that is allowed begins anew".into(),
        ))
    }

    fn verify_undone(&mut self, _: &Order, _: &Known) -> Effect {
        Effect::Unknown("a flow that has ended is not brought back".into())
    }

    fn doctor(&mut self) -> Vec<Ability> {
        // Counting asks the kernel for the same privilege as deleting.
        let count = self.runner.read(&Argv::new("conntrack").arg("-C"), b"", LIMIT);
        let (able, why) = match count {
            Ok(output) if output.ok() => (true, format!("the table has {} flows", output.out.trim())),
            Ok(output) => (false, output.complaint()),
            Err(fault) => (false, fault.to_string()),
        };
        vec![Ability::new("end flows", Some(able), why)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Stay;

    const LISTED: &str = "\
tcp      6 431999 ESTABLISHED src=192.0.2.7 dst=203.0.113.1 sport=40000 dport=443 src=10.0.5.2 dst=192.0.2.7 sport=443 dport=40000 [ASSURED] mark=0 use=1
tcp      6 100 TIME_WAIT src=192.0.2.7 dst=203.0.113.1 sport=40001 dport=443 src=203.0.113.1 dst=192.0.2.7 sport=443 dport=40001 [ASSURED] mark=0 use=1
icmpv6   58 29 src=2001:db8::7 dst=2001:db8::1 type=128 code=0 id=1 src=2001:db8::1 dst=2001:db8::7 type=129 code=0 id=1 mark=0 use=1
udp      17 29 src=192.0.2.70 dst=203.0.113.1 sport=1 dport=2 [UNREPLIED] src=203.0.113.1 dst=192.0.2.70 sport=2 dport=1 mark=0 use=1
";

    #[test]
    fn flows_are_read_and_compared_whole() {
        let found = flows(LISTED).unwrap();
        let hit = |net: &str| {
            let nets = [net.parse().unwrap()];
            found.iter().filter(|f| f.touches(&nets) && f.lives()).count()
        };
        assert_eq!(hit("192.0.2.7"), 1, "neither what has ended nor 192.0.2.70");
        assert_eq!(hit("10.0.5.2"), 1, "behind translation");
        assert_eq!(hit("192.0.2.0/24"), 2);
        assert_eq!(hit("2001:db8::7"), 1);
        assert_eq!(found[2].state, "");
        assert!(flows("tcp 6 1 ESTABLISHED src=1.2.3.4").is_err());
    }

    #[test]
    fn a_deletion_always_names_an_address() {
        let order = |target| Order {
            act: Act::TerminateSession,
            target,
            until: None,
            mark: "portreeve-0123456789ab".into(),
            case: "c".into(),
        };
        let shown =
            |net: &str| -> Vec<String> { deletions(net.parse().unwrap()).iter().map(Argv::shown).collect() };
        assert_eq!(shown("192.0.2.7").len(), 4);
        assert_eq!(shown("2001:db8::/48")[1], "conntrack -D -f ipv6 --dst 2001:db8::/48");
        assert!(targets(&order(Target::Session(Stay::default()))).is_err());
        for wide in ["0.0.0.0/0", "::/0", "10.0.0.0/7", "2001::/16"] {
            assert!(targets(&order(Target::address(wide.parse().unwrap()))).is_err(), "{wide}");
        }
        let both =
            Stay { public: "192.0.2.7".parse().ok(), inner: "10.8.0.2".parse().ok(), ..Stay::default() };
        assert_eq!(targets(&order(Target::Session(both))).unwrap().len(), 2);
    }

    #[test]
    fn none_found_is_no_failure() {
        let output = |err: &str| Output { code: Some(1), out: String::new(), err: err.into() };
        let none = "conntrack v1.4.7 (conntrack-tools): 0 flow entries have been deleted.\n";
        assert_eq!(deleted(&output(none)), Some(0));
        assert_eq!(deleted(&output("conntrack v1.4.7: Operation failed: sorry, you must be root")), None);
    }
}
