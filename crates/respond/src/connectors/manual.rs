//! What no connector reaches, a person does: the instruction is given and recorded, and the effect stays unknown until
//! a person attests it.

use crate::act::Act;
use crate::connector::{
    Ability, Ack, Can, Connector, Control, Effect, Known, Order, Proof, Seen, Setting, Settings,
};
use crate::fault::Fault;
use crate::target::TargetKind;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;

const ANY: &[TargetKind] = &[
    TargetKind::Address,
    TargetKind::Account,
    TargetKind::Session,
    TargetKind::Device,
    TargetKind::Key,
    TargetKind::Role,
    TargetKind::Service,
];

const fn by_hand(act: Act) -> Can {
    Can {
        effect: "a person is told what to do; nothing is sent to any device",
        leaves_open: "everything, until the person has done it",
        undo: "the person is told to take it back; what is final stays final",
        verified_by: "by no reading: unknown until a person attests it, who is told how to check",
        ..Can::at_once(act, ANY)
    }
}

pub static CONNECTOR: Connector = Connector {
    name: "manual",
    product: "a person",
    proof: Proof::Manual,
    can: &[
        by_hand(Act::BlockAddress),
        by_hand(Act::DisableAccount),
        by_hand(Act::RevokeKey),
        by_hand(Act::TerminateSession),
        by_hand(Act::RevokeTokens),
        by_hand(Act::IsolateDevice),
        by_hand(Act::RequirePasswordChange),
        by_hand(Act::ResetPassword),
        by_hand(Act::ResetFactors),
        by_hand(Act::CollectForensics),
        by_hand(Act::EnforceMfa),
    ],
    needs: "no credential",
    settings: &[
        Setting { name: "who", required: true, says: "who does it: a team and how it is reached" },
        Setting {
            name: "acts",
            required: true,
            says: "for each act by its id: `{what, how_to_verify, undo}`, the instruction, how its effect is checked, \
                   and how it is taken back; acts that are not named are refused",
        },
    ],
    source: "the site's own procedure",
    open,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    who: String,
    acts: BTreeMap<String, Task>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Task {
    what: String,
    how_to_verify: String,
    #[serde(default)]
    undo: Option<String>,
}

fn open(settings: &Settings) -> Result<Box<dyn Control>, Fault> {
    let config: Config = settings.fields()?;
    let mut tasks = BTreeMap::new();
    for (id, task) in config.acts {
        let act = Act::by_id(&id).ok_or_else(|| {
            let known: Vec<&str> = Act::ALL.iter().map(|a| a.id()).collect();
            let id = portreeve_model::untrusted::escape_for_terminal(&id);
            Fault::Config(format!("acts: `{id}` is none of {}", known.join(", ")))
        })?;
        for text in [&task.what, &task.how_to_verify].into_iter().chain(&task.undo) {
            is_said(text, act.id())?;
        }
        tasks.insert(act, task);
    }
    is_said(&config.who, "who")?;
    if tasks.is_empty() {
        return Err(Fault::Config("acts: names none".into()));
    }
    Ok(Box::new(Manual { who: config.who, tasks }))
}

fn is_said(text: &str, place: &str) -> Result<(), Fault> {
    if text.trim().is_empty() {
        return Err(Fault::Config(format!("{place}: a text is empty")));
    }
    if text.chars().any(|c| c != '\n' && portreeve_model::untrusted::is_obeyed(c)) {
        return Err(Fault::Config(format!(
            "{place}: a text holds control, direction or invisible characters"
        )));
    }
    Ok(())
}

struct Manual {
    who: String,
    tasks: BTreeMap<Act, Task>,
}

impl Manual {
    fn task(&self, order: &Order) -> Result<&Task, Fault> {
        self.tasks.get(&order.act).ok_or_else(|| {
            Fault::Unsupported(format!("{}: the configuration has no instruction for it", order.act.id()))
        })
    }

    fn instruction(&self, order: &Order, what: &str) -> String {
        format!("{}: {}; target: {}", self.who, what.trim(), target(order))
    }
}

/// In quotes, those inside escaped: a name out of a log must not read as part of the instruction.
fn target(order: &Order) -> String {
    serde_json::Value::String(order.target.to_string()).to_string()
}

impl Control for Manual {
    fn read(&mut self, order: &Order) -> Result<Seen, Fault> {
        self.task(order)?;
        Ok(Seen {
            ids: vec![order.target.to_string()],
            says: format!("nothing is read; {} does it by hand", self.who),
            ..Seen::default()
        })
    }

    fn preview(&self, order: &Order, _: &Seen) -> Result<Vec<String>, Fault> {
        Ok(vec![self.instruction(order, &self.task(order)?.what)])
    }

    fn apply(&mut self, order: &Order, _: &Seen) -> Result<Ack, Fault> {
        let task = self.task(order)?;
        let says = self.instruction(order, &task.what);
        Ok(Ack { says, made: json!({"who": self.who, "how_to_verify": task.how_to_verify}), handover: None })
    }

    fn verify(&mut self, order: &Order, _: &Known) -> Effect {
        match self.task(order) {
            Ok(task) => Effect::Unknown(format!(
                "until a person attests it; to check: {}; target: {}",
                task.how_to_verify.trim(),
                target(order)
            )),
            Err(fault) => Effect::unread(&fault),
        }
    }

    fn undo(&mut self, order: &Order, _: &Known) -> Result<Ack, Fault> {
        let task = self.task(order)?;
        if order.act.is_final() {
            return Err(Fault::Unsupported(format!("{}: nothing brings back what was", order.act.title())));
        }
        let what = match &task.undo {
            Some(undo) => undo.clone(),
            None => format!("take back what was done (\"{}\")", task.what.trim()),
        };
        Ok(Ack::says(self.instruction(order, &what)))
    }

    fn verify_undone(&mut self, order: &Order, _: &Known) -> Effect {
        Effect::Unknown(format!("until a person attests that it was taken back; target: {}", target(order)))
    }

    fn doctor(&mut self) -> Vec<Ability> {
        self.tasks.keys().map(|act| Ability::new(act.id(), None, format!("done by {}", self.who))).collect()
    }
}
