//! A site for the tests of the engine: three people, a ledger, and a device that lies in a file, so that it outlives
//! the process.

use portreeve_model::action::ActionKind;
use portreeve_respond::act::Act;
use portreeve_respond::approve::Policy;
use portreeve_respond::config::Devices;
use portreeve_respond::connector::{
    Ability, Ack, Can, Connector, Control, Effect, Known, Order, Present, Proof, Seen, Settings,
};
use portreeve_respond::execute::{ExecuteError, Executor};
use portreeve_respond::fault::Fault;
use portreeve_respond::guard::Guard;
use portreeve_respond::ledger::{Entry, Ledger, StepState};
use portreeve_respond::operator::{Operator, PrivateKey, Purpose, Tier, Word};
use portreeve_respond::plan::{Making, Plan, Proposal};
use portreeve_respond::secret::Secret;
use portreeve_respond::target::{Target, TargetKind};
use portreeve_respond::value::UserName;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) static DEVICE: Connector = Connector {
    name: "file",
    product: "a device in a file",
    proof: Proof::Manual,
    can: &[
        Can {
            expires: false,
            within: Duration::from_millis(60),
            ..Can::at_once(Act::BlockAddress, &[TargetKind::Address])
        },
        Can {
            within: Duration::from_millis(60),
            ..Can::at_once(Act::DisableAccount, &[TargetKind::Account])
        },
        Can {
            within: Duration::from_millis(60),
            ..Can::at_once(Act::TerminateSession, &[TargetKind::Session])
        },
        Can { within: Duration::from_millis(60), ..Can::at_once(Act::ResetPassword, &[TargetKind::Account]) },
    ],
    needs: "",
    settings: &[],
    source: "",
    open: |_: &Settings| Err(Fault::Config("opened by the test".into())),
};

/// What the file holds: targets in force with their marks, and every request that ever took effect.
#[derive(Default, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Inside {
    pub(crate) in_force: BTreeMap<String, String>,
    pub(crate) effects: Vec<String>,
}

/// How the device misbehaves.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Mood {
    #[default]
    Well,
    /// Says yes and does nothing.
    Hollow,
    /// Does it and the answer is lost.
    Silent,
    Refuses,
    /// Cannot be read after acting.
    Blind,
}

pub(crate) struct File {
    pub(crate) path: PathBuf,
    pub(crate) mood: Mood,
    pub(crate) acted: bool,
}

impl File {
    pub(crate) fn load(&self) -> Inside {
        std::fs::read(&self.path).ok().and_then(|b| serde_json::from_slice(&b).ok()).unwrap_or_default()
    }

    pub(crate) fn store(&self, inside: &Inside) {
        let temp = self.path.with_extension("new");
        std::fs::write(&temp, serde_json::to_vec(inside).unwrap()).unwrap();
        std::fs::rename(temp, &self.path).unwrap();
    }
}

pub(crate) fn slot(order: &Order) -> String {
    format!("{} {}", order.act.id(), order.target)
}

impl Control for File {
    fn read(&mut self, order: &Order) -> Result<Seen, Fault> {
        let inside = self.load();
        let holder = inside.in_force.get(&slot(order));
        Ok(Seen {
            ids: vec![order.target.to_string()],
            in_force: holder.is_some_and(|m| *m != order.mark),
            before: serde_json::json!(holder),
            says: format!("{holder:?}"),
            also_hits: vec![],
        })
    }

    fn preview(&self, order: &Order, _: &Seen) -> Result<Vec<String>, Fault> {
        Ok(vec![slot(order)])
    }

    fn apply(&mut self, order: &Order, _: &Seen) -> Result<Ack, Fault> {
        self.acted = true;
        match self.mood {
            Mood::Hollow => return Ok(Ack::says("yes")),
            Mood::Refuses => return Err(Fault::Refused("no".into())),
            _ => {}
        }
        let mut inside = self.load();
        inside.in_force.insert(slot(order), order.mark.clone());
        inside.effects.push(format!("apply {}", slot(order)));
        self.store(&inside);
        if self.mood == Mood::Silent {
            return Err(Fault::Lost("no answer".into()));
        }
        let handover = (order.act == Act::ResetPassword).then(|| Secret::new("n3w-secret"));
        Ok(Ack { says: "yes".into(), handover, ..Ack::default() })
    }

    fn verify(&mut self, order: &Order, _: &Known) -> Effect {
        if self.mood == Mood::Blind && self.acted {
            return Effect::Unknown("cannot be read".into());
        }
        match self.load().in_force.get(&slot(order)) {
            Some(_) => Effect::Effective("it is there".into()),
            None => Effect::NotEffective("it is not there".into()),
        }
    }

    fn undo(&mut self, order: &Order, _: &Known) -> Result<Ack, Fault> {
        let mut inside = self.load();
        if inside.in_force.get(&slot(order)).is_some_and(|m| *m != order.mark) {
            return Err(Fault::Refused("by another hand".into()));
        }
        if inside.in_force.remove(&slot(order)).is_some() {
            inside.effects.push(format!("undo {}", slot(order)));
            self.store(&inside);
        }
        Ok(Ack::says("gone"))
    }

    fn verify_undone(&mut self, order: &Order, _: &Known) -> Effect {
        match self.load().in_force.get(&slot(order)) {
            None => Effect::Effective("gone".into()),
            Some(_) => Effect::NotEffective("still there".into()),
        }
    }

    fn present(&mut self) -> Result<Option<Vec<Present>>, Fault> {
        Ok(Some(
            self.load().in_force.into_iter().map(|(what, mark)| Present { what, mark: Some(mark) }).collect(),
        ))
    }

    fn doctor(&mut self) -> Vec<Ability> {
        Vec::new()
    }
}

/// A site: three people, one device, a ledger.
pub(crate) struct Site {
    pub(crate) dir: PathBuf,
    pub(crate) keys: BTreeMap<String, PrivateKey>,
    pub(crate) operators: Vec<Operator>,
    pub(crate) guard: Guard,
    pub(crate) policy: Policy,
    pub(crate) clock: Cell<i64>,
    pub(crate) mood: Mood,
}

pub(crate) const HOUR: i64 = 3_600_000_000;

impl Site {
    pub(crate) fn new(dir: &Path) -> Site {
        let people = [("lena", Tier::L1), ("tom", Tier::T2), ("theo", Tier::T3)];
        let mut keys = BTreeMap::new();
        let mut operators = Vec::new();
        for (name, tier) in people {
            // Kept in the folder, so that a process that goes on after a crash has the same people.
            let file = dir.join(format!("{name}.key"));
            let key = match std::fs::read_to_string(&file) {
                Ok(text) => PrivateKey::from_secret(&Secret::new(text)).unwrap(),
                Err(_) => {
                    let key = PrivateKey::generate().unwrap();
                    std::fs::write(&file, key.to_secret().expose()).unwrap();
                    key
                }
            };
            operators.push(Operator {
                name: name.to_owned(),
                tier,
                public_key: key.public(),
                accounts: vec![],
                addresses: vec![],
            });
            keys.insert(name.to_owned(), key);
        }
        let mut guard = Guard::new();
        guard.active_users = Some(1000);
        Site {
            dir: dir.to_owned(),
            keys,
            operators,
            guard,
            policy: Policy::default(),
            clock: Cell::new(1_770_000_000_000_000),
            mood: Mood::Well,
        }
    }

    pub(crate) fn devices(&self) -> Devices {
        let file = File { path: self.dir.join("device.json"), mood: self.mood, acted: false };
        Devices::of(vec![("dev".to_owned(), &DEVICE, Box::new(file))])
    }

    pub(crate) fn inside(&self) -> Inside {
        File { path: self.dir.join("device.json"), mood: Mood::Well, acted: false }.load()
    }

    pub(crate) fn ledger(&self) -> Ledger {
        Ledger::open(&self.dir.join("ledger.db")).unwrap()
    }

    pub(crate) fn word(&self, who: &str, purpose: Purpose, digest: &str) -> Word {
        Word::sign(who, &self.keys[who], purpose, digest, "it is needed", self.clock.get())
    }

    pub(crate) fn plan(&self, proposals: &[Proposal]) -> Plan {
        let ledger = self.ledger();
        let making = Making {
            case: "case-1",
            title: "t",
            by: "lena",
            now: self.clock.get(),
            ledger: &ledger,
            guard: &self.guard,
            policy: &self.policy,
            hours: 4,
            with: &[],
            only: &[],
        };
        Plan::make(proposals, &mut self.devices(), &making)
    }

    pub(crate) fn with<T>(&self, then: impl FnOnce(&mut Executor<'_>) -> T) -> T {
        self.with_progress(&mut |_| {}, then)
    }

    pub(crate) fn with_progress<T>(
        &self,
        progress: &mut dyn FnMut(&Entry),
        then: impl FnOnce(&mut Executor<'_>) -> T,
    ) -> T {
        let (mut ledger, mut devices) = (self.ledger(), self.devices());
        let now = || self.clock.get();
        let mut executor = Executor {
            ledger: &mut ledger,
            devices: &mut devices,
            guard: &self.guard,
            policy: &self.policy,
            operators: &self.operators,
            now: &now,
            progress,
            hand_over: &mut |_, _| {},
        };
        then(&mut executor)
    }

    /// Stored, with the word of who proposes it.
    pub(crate) fn proposed(&self, plan: &Plan) -> String {
        self.with(|e| e.propose(plan, &self.word("lena", Purpose::Propose, &plan.digest()))).unwrap()
    }

    /// Planned, stored and approved by T3.
    pub(crate) fn approved(&self, proposals: &[Proposal]) -> String {
        let plan = self.plan(proposals);
        let digest = self.proposed(&plan);
        self.with(|e| e.say(&digest, &self.word("theo", Purpose::Approve, &digest))).unwrap();
        digest
    }

    pub(crate) fn apply(&self, digest: &str) -> Result<portreeve_respond::execute::Report, ExecuteError> {
        self.with(|e| e.apply(digest, &self.word("tom", Purpose::Apply, digest)))
    }

    pub(crate) fn states(&self, digest: &str) -> Vec<StepState> {
        let ledger = self.ledger();
        let plan = ledger.plan(digest).unwrap();
        ledger.states(&plan, digest).unwrap().into_iter().map(|r| r.state).collect()
    }
}

pub(crate) fn block(net: &str) -> Proposal {
    proposal(ActionKind::BlockIp, Target::address(net.parse().unwrap()))
}

pub(crate) fn account(kind: ActionKind, name: &str) -> Proposal {
    proposal(kind, Target::account(UserName::new(name).unwrap()))
}

pub(crate) fn proposal(kind: ActionKind, target: Target) -> Proposal {
    Proposal {
        kind,
        target,
        aliases: vec![],
        because: "seen".into(),
        blast_radius: String::new(),
        caution: String::new(),
    }
}
