//! `bench contain`: from an approved plan to a verified block, in nftables of a namespace of its own.

use anyhow::{Context, bail};
use portreeve_model::action::ActionKind;
use portreeve_respond::approve::Policy;
use portreeve_respond::config::{Config, Devices};
use portreeve_respond::execute::Executor;
use portreeve_respond::guard::Guard;
use portreeve_respond::ledger::Ledger;
use portreeve_respond::operator::{Operator, PrivateKey, Purpose, Tier, Word};
use portreeve_respond::plan::{Making, Plan, Proposal};
use portreeve_respond::secret::Vault;
use portreeve_respond::target::Target;
use std::process::Command;
use std::time::{Duration, Instant};

struct Netns(String);

impl Drop for Netns {
    fn drop(&mut self) {
        drop(Command::new("ip").args(["netns", "del", &self.0]).status());
    }
}

fn now() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

/// Blocks so many addresses one after the other and prints the times.
pub(crate) fn run(count: u32) -> anyhow::Result<()> {
    let netns = Netns(format!("prbench{}", std::process::id()));
    let made = Command::new("ip").args(["netns", "add", &netns.0]).status().context("ip")?;
    if !made.success() {
        bail!("no namespace: this needs root, iproute2 and nftables");
    }
    let key = PrivateKey::generate()?;
    let operator = Operator {
        name: "bench".to_owned(),
        tier: Tier::T3,
        public_key: key.public(),
        accounts: Vec::new(),
        addresses: Vec::new(),
    };
    let proposing = PrivateKey::generate()?;
    let proposer = Operator {
        name: "proposer".to_owned(),
        tier: Tier::L1,
        public_key: proposing.public(),
        ..operator.clone()
    };
    let operators = [operator, proposer];
    let text = format!(
        "ledger: l.db\noperators: []\nconnectors: [{{name: edge, kind: nftables, settings: {{via: {{netns: {}}}}}}}]\n",
        netns.0
    );
    let config = Config::parse(&text).map_err(anyhow::Error::msg)?;
    let mut devices = Devices::new(&config, &Vault::default());
    let guard = Guard::new();
    let policy = Policy::default();
    let dir = tempfile::tempdir()?;
    let (mut all, mut times) = (Vec::new(), Vec::new());
    for n in 0..count {
        // A ledger for each twenty-five, so that the limit per hour does not stand in the way.
        let mut ledger = Ledger::open(&dir.path().join(format!("ledger{}.db", n / 25)))?;
        let ip = std::net::Ipv4Addr::from(0xc612_0000 + n);
        let proposal = Proposal {
            kind: ActionKind::BlockIp,
            target: Target::address(ip.to_string().parse()?),
            aliases: Vec::new(),
            because: String::new(),
            blast_radius: String::new(),
            caution: String::new(),
        };
        let begun = Instant::now();
        let case = format!("case-{n}");
        let making = Making {
            case: &case,
            title: "",
            by: "proposer",
            now: now(),
            ledger: &ledger,
            guard: &guard,
            policy: &policy,
            hours: 1,
            with: &[],
            only: &[],
        };
        let plan = Plan::make(&[proposal], &mut devices, &making);
        if plan.steps.is_empty() {
            bail!("no step: {:?}", plan.left_out);
        }
        let digest = plan.digest();
        let word = |purpose| Word::sign("bench", &key, purpose, &digest, "benchmark", now());
        let mut executor = Executor {
            ledger: &mut ledger,
            devices: &mut devices,
            guard: &guard,
            policy: &policy,
            operators: &operators,
            now: &now,
            progress: &mut |_| {},
            hand_over: &mut |_, _| {},
        };
        let proposal = Word::sign("proposer", &proposing, Purpose::Propose, &digest, "benchmark", now());
        executor.propose(&plan, &proposal)?;
        executor.say(&digest, &word(Purpose::Approve))?;
        let approved = Instant::now();
        let report = executor.apply(&digest, &word(Purpose::Apply))?;
        times.push(approved.elapsed());
        all.push(begun.elapsed());
        if !report.is_contained() {
            bail!("{ip}: {:?}", report.steps);
        }
    }
    println!("{count} blocks, each planned, approved, applied and verified");
    println!("                      p50     p99     max");
    for (name, mut list) in [("approved to verified", times), ("planned to verified", all)] {
        list.sort_unstable();
        let at = |share: f64| ms(list[((list.len() - 1) as f64 * share) as usize]);
        println!("{name:20} {:6.1}  {:6.1}  {:6.1}  ms", at(0.5), at(0.99), at(1.0));
    }
    Ok(())
}

fn ms(d: Duration) -> f64 {
    d.as_secs_f64() * 1000.0
}
