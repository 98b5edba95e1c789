//! A blocklist that firewalls fetch (external dynamic list, external connector, URL table) and a TAXII 2.1 collection.
//! Nothing is sent to a firewall; a line in a list becomes a block when the firewall has fetched it.

use crate::act::Act;
use crate::connector::{
    Ability, Ack, Can, Connector, Control, Effect, Known, Order, Present, Proof, Seen, Setting, Settings,
};
use crate::fault::Fault;
use crate::feed::store::{BUNDLE, Fetch, List, Store};
use crate::target::{Target, TargetKind};
use crate::value::Net;
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

pub static CONNECTOR: Connector = Connector {
    name: "edl",
    product: "Blocklist feed (PAN-OS EDL, FortiGate threat feed, Check Point, OPNsense and pfSense URL tables, TAXII 2.1)",
    proof: Proof::Proven,
    can: &[Can {
        effect: "the address is a line of `portreeve-ipv4.txt` or `portreeve-ipv6.txt` and an indicator of the TAXII \
                 collection",
        leaves_open: "everything until the firewall fetches (PAN-OS: five minutes to a month; FortiGate: five minutes \
                      unless set otherwise) and, there, whatever no rule compares with the list; connections that \
                      stand, where the firewall does not judge them anew",
        undo: "the line is taken out and the indicator is revoked; a firewall lets go when it fetches the next time, and \
               one that reaches us no more keeps its last list, past every end",
        verified_by: "the list's file holds the address, and the access log shows that each configured consumer has \
                      fetched a list that holds it and was not refused since; otherwise unknown",
        expires: true,
        within: Duration::from_secs(330),
        ..Can::at_once(Act::BlockAddress, &[TargetKind::Address])
    }],
    needs: "to write to one directory; nothing at the firewall",
    settings: &[
        Setting { name: "dir", required: true, says: "the directory of the feed; it must be there" },
        Setting {
            name: "consumers",
            required: false,
            says: "addresses or ranges of the firewalls that fetch, one for each firewall or cluster; without them \
                   no block can be verified",
        },
        Setting {
            name: "max_entries",
            required: false,
            says: "the most that the smallest firewall takes; 10000 unless set",
        },
    ],
    source: "Palo Alto Networks, formatting guidelines for an external dynamic list; Fortinet, threat feeds; OASIS \
             TAXII 2.1 and STIX 2.1; proven with curl feeding nftables in a namespace, taxii2-client, stix2-validator",
    open,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    dir: PathBuf,
    #[serde(default)]
    consumers: Vec<Net>,
    #[serde(default = "max_entries")]
    max_entries: usize,
}

fn max_entries() -> usize {
    10_000
}

fn open(settings: &Settings) -> Result<Box<dyn Control>, Fault> {
    let config: Config = settings.fields()?;
    let store = Store::open(&config.dir)?;
    Ok(Box::new(Edl { store, config }))
}

struct Edl {
    store: Store,
    config: Config,
}

/// Who has fetched since, and who has not.
enum Fetched {
    All(String),
    Not(String),
}

fn address(order: &Order) -> Result<Net, Fault> {
    let Target::Address { net } = &order.target else {
        return Err(Fault::Unsupported(format!("a blocklist holds addresses, not {}", order.target)));
    };
    let least = if net.is_v4() { 8 } else { 16 };
    if net.net().prefix_len() < least {
        return Err(Fault::Unsupported(format!("{net} is wider than /{least}; no firewall is handed that")));
    }
    Ok(*net)
}

fn when(us: i64) -> String {
    jiff::Timestamp::from_microsecond(us)
        .map_or_else(|_| us.to_string(), |t| t.strftime("%F %T UTC").to_string())
}

impl Edl {
    /// Has each consumer fetched a list of at least this serial, made not before `from`? A serial alone would be
    /// fooled by the log of a directory that was emptied since.
    fn fetched(&self, list: List, serial: u64, from: i64) -> Result<Fetched, Fault> {
        if self.config.consumers.is_empty() {
            return Ok(Fetched::Not(
                "no consumer is configured, so nothing tells whether a firewall fetched the list; a person sees it \
                 in the firewall's view of the list"
                    .into(),
            ));
        }
        let (log, refusals) = (self.store.fetches()?, self.store.refusals()?);
        let counts = |f: &&Fetch| f.what == list.file() || f.what == "taxii";
        let (mut have, mut lack) = (Vec::new(), Vec::new());
        for consumer in &self.config.consumers {
            let theirs = |f: &&Fetch| consumer.net().contains(&f.peer) && counts(f);
            let last = log.iter().rfind(theirs);
            let refused = refusals.iter().rfind(theirs).filter(|r| last.is_none_or(|l| l.at < r.at));
            let since = log.iter().filter(theirs).find(|f| f.serial >= serial && f.at >= from);
            match (since, refused, last) {
                // PAN-OS enforces nothing of a list whose server refused its credential.
                (_, Some(refused), _) => {
                    lack.push(format!(
                        "{consumer} (refused with {} at {})",
                        refused.status,
                        when(refused.at)
                    ));
                }
                (Some(fetch), None, _) => have.push(format!("{consumer} at {}", when(fetch.at))),
                (None, None, Some(last)) => lack.push(format!("{consumer} (last at {})", when(last.at))),
                (None, None, None) => lack.push(format!("{consumer} (never)")),
            }
        }
        Ok(if lack.is_empty() {
            Fetched::All(have.join(", "))
        } else if have.is_empty() {
            Fetched::Not(format!("no firewall has fetched the list since: {}", lack.join(", ")))
        } else {
            Fetched::Not(format!(
                "{} has not fetched the list since; fetched by {}",
                lack.join(", "),
                have.join(", ")
            ))
        })
    }

    fn in_force(&self, order: &Order) -> Result<Effect, Fault> {
        let net = address(order)?;
        let list = List::of(net);
        let Some(line) = self.store.listed(list)?.into_iter().find(|n| n.net().contains(&net.net())) else {
            return Ok(Effect::NotEffective(format!("{net} is in no line of {}", list.file())));
        };
        let state = self.store.state()?;
        let Some(entry) = state.by_mark(&order.mark).or_else(|| state.holder(net)) else {
            return Ok(Effect::NotEffective(format!(
                "{line} stands in {}, but not in the state that the next writing makes it from",
                list.file()
            )));
        };
        if entry.until.is_some_and(|until| until <= crate::feed::store::now()) {
            return Ok(Effect::NotEffective(format!(
                "{net} ran out at {}",
                entry.until.map(when).unwrap_or_default()
            )));
        }
        Ok(match self.fetched(list, entry.serial, entry.from)? {
            Fetched::All(who) => Effect::Effective(format!("{line} is in {}; fetched by {who}", list.file())),
            Fetched::Not(why) => Effect::Unknown(format!("{line} is in {}; {why}", list.file())),
        })
    }

    fn lifted(&self, order: &Order) -> Result<Effect, Fault> {
        let net = address(order)?;
        let list = List::of(net);
        if let Some(line) = self.store.listed(list)?.into_iter().find(|n| n.overlaps(net)) {
            return Ok(Effect::NotEffective(format!("{line} is still in {}", list.file())));
        }
        let state = self.store.state()?;
        let Some(gone) = state.gone.iter().rev().find(|g| g.entry.mark == order.mark) else {
            return Ok(Effect::Effective(format!("{net} is in no list")));
        };
        Ok(match self.fetched(list, gone.serial, gone.at)? {
            Fetched::All(who) => Effect::Effective(format!("{net} is in no list; fetched by {who}")),
            Fetched::Not(why) => Effect::Unknown(format!("{net} is in no list; {why}")),
        })
    }
}

impl Control for Edl {
    fn read(&mut self, order: &Order) -> Result<Seen, Fault> {
        let net = address(order)?;
        let state = self.store.state()?;
        let now = crate::feed::store::now();
        let live = |e: &&crate::feed::store::Entry| e.until.is_none_or(|until| until > now);
        let ours = state.by_mark(&order.mark).filter(live).is_some();
        let holder = state.entries.iter().filter(live).find(|e| e.net.net().contains(&net.net()));
        if holder.is_none() && state.entries.len() >= self.config.max_entries {
            return Err(Fault::Refused(format!(
                "the list holds {} entries and may hold {}; a firewall would skip what is beyond",
                state.entries.len(),
                self.config.max_entries
            )));
        }
        Ok(Seen {
            ids: vec![net.to_string()],
            in_force: holder.is_some() && !ours,
            before: serde_json::Value::Bool(holder.is_some()),
            says: match holder {
                Some(_) if ours => format!("{net} is listed by this step"),
                Some(e) => format!("{} is listed already ({})", e.net, e.mark),
                None => {
                    format!("not listed; fetched by {} configured consumers", self.config.consumers.len())
                }
            },
            also_hits: Vec::new(),
        })
    }

    fn preview(&self, order: &Order, _: &Seen) -> Result<Vec<String>, Fault> {
        let net = address(order)?;
        let dir = self.store.dir().display();
        let until = order.until.map(|u| format!(", until {}", when(u))).unwrap_or_default();
        Ok(vec![
            format!("{dir}/{}: the line `{net}`{until}", List::of(net).file()),
            format!("{dir}/{BUNDLE}: an indicator labelled {}{until}", order.mark),
        ])
    }

    fn apply(&mut self, order: &Order, _: &Seen) -> Result<Ack, Fault> {
        let net = address(order)?;
        let most = self.config.max_entries;
        let state = self.store.change(|state, now| {
            if state.by_mark(&order.mark).is_none() && state.entries.len() >= most {
                return Err(Fault::Refused(format!("the list holds {most} entries already")));
            }
            state.put(net, &order.mark, order.until, now);
            Ok(())
        })?;
        Ok(Ack {
            made: serde_json::json!({"serial": state.serial}),
            ..Ack::says(format!("written to {}", List::of(net).file()))
        })
    }

    fn verify(&mut self, order: &Order, _: &Known) -> Effect {
        self.in_force(order).unwrap_or_else(|fault| Effect::unread(&fault))
    }

    fn undo(&mut self, order: &Order, _: &Known) -> Result<Ack, Fault> {
        let mut was = false;
        self.store.change(|state, now| {
            was = state.revoke(&order.mark, now);
            Ok(())
        })?;
        Ok(Ack::says(if was { "taken out of the list" } else { "was gone already" }))
    }

    fn verify_undone(&mut self, order: &Order, _: &Known) -> Effect {
        self.lifted(order).unwrap_or_else(|fault| Effect::unread(&fault))
    }

    fn present(&mut self) -> Result<Option<Vec<Present>>, Fault> {
        let state = self.store.state()?;
        let mut all: Vec<Present> = Vec::new();
        // Lines that the state does not know are a stranger's.
        for list in List::ALL {
            for net in self.store.listed(list)? {
                if !state.entries.iter().any(|e| e.net == net) {
                    all.push(Present { what: net.to_string(), mark: None });
                }
            }
        }
        let now = crate::feed::store::now();
        let live = state.entries.into_iter().filter(|e| e.until.is_none_or(|until| until > now));
        all.extend(live.map(|e| Present { what: e.net.to_string(), mark: Some(e.mark) }));
        Ok(Some(all))
    }

    fn doctor(&mut self) -> Vec<Ability> {
        let write = self.store.writable();
        let mut all = vec![Ability::new(
            "write the lists",
            Some(write.is_ok()),
            write.err().map_or_else(|| self.store.dir().display().to_string(), |f| f.to_string()),
        )];
        let log = self.store.fetches().and_then(|took| Ok((took, self.store.refusals()?)));
        for consumer in &self.config.consumers {
            let what = format!("be fetched by {consumer}");
            let of = |log: &[Fetch]| log.iter().rfind(|f| consumer.net().contains(&f.peer)).cloned();
            all.push(match log.as_ref().map(|(took, refused)| (of(took), of(refused))) {
                Err(fault) => Ability::new(&what, None, fault.to_string()),
                Ok((None, None)) => Ability::new(&what, Some(false), "it has not fetched yet"),
                Ok((took, Some(f))) if took.as_ref().is_none_or(|t| t.at < f.at) => Ability::new(
                    &what,
                    Some(false),
                    format!("refused with status {} at {}", f.status, when(f.at)),
                ),
                Ok((took, _)) => {
                    let said = took.map(|f| format!("{} at {}", f.what, when(f.at))).unwrap_or_default();
                    Ability::new(&what, Some(true), said)
                }
            });
        }
        if self.config.consumers.is_empty() {
            all.push(Ability::new("verify a block", Some(false), "no consumers are configured"));
        }
        all
    }
}
