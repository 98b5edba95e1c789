//! What a connector is: what it can do, stated as data, and how it does it, behind one trait.

use crate::act::Act;
use crate::fault::Fault;
use crate::secret::{Secret, SecretRef, Vault};
use crate::target::{Target, TargetKind};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// One product that can be acted upon. Pages under docs/connectors are made from this.
pub struct Connector {
    /// The word in the configuration: `nftables`.
    pub name: &'static str,
    /// As its maker writes it.
    pub product: &'static str,
    pub proof: Proof,
    pub can: &'static [Can],
    /// The least privilege that suffices.
    pub needs: &'static str,
    pub settings: &'static [Setting],
    /// The vendor's manual, or the test that proves it.
    pub source: &'static str,
    pub open: fn(&Settings) -> Result<Box<dyn Control>, Fault>,
}

/// How far a connector's word can be trusted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Proof {
    /// Tested against the real server: the attacker worked, was shut out, stayed out, and came back after undo.
    Proven,
    /// Tested against a stand-in written from the vendor's documentation.
    Contract,
    /// A person does it; Portreeve keeps the record.
    Manual,
}

impl Proof {
    pub fn name(self) -> &'static str {
        match self {
            Proof::Proven => "proven",
            Proof::Contract => "contract-tested",
            Proof::Manual => "manual",
        }
    }
}

/// One act that a connector can carry out.
pub struct Can {
    pub act: Act,
    pub on: &'static [TargetKind],
    /// Exactly what changes at the device.
    pub effect: &'static str,
    /// What it leaves open: the reason why a success is not containment.
    pub leaves_open: &'static str,
    /// How it is undone, or why it cannot be.
    pub undo: &'static str,
    /// How the effect is read.
    pub verified_by: &'static str,
    /// Does the device let go by itself at the given time?
    pub expires: bool,
    /// Reading may need this long until it shows the effect.
    pub within: Duration,
    /// After the first proof the effect is read once more after this time: for what may come back by itself.
    pub settle: Duration,
}

impl Can {
    /// An act that shows at once and stays.
    pub const fn at_once(act: Act, on: &'static [TargetKind]) -> Can {
        Can {
            act,
            on,
            effect: "",
            leaves_open: "",
            undo: "",
            verified_by: "",
            expires: false,
            within: Duration::from_secs(5),
            settle: Duration::ZERO,
        }
    }
}

/// A setting of a connector, for its page and for `doctor`.
pub struct Setting {
    pub name: &'static str,
    pub required: bool,
    pub says: &'static str,
}

impl Connector {
    pub fn can(&self, act: Act, on: TargetKind) -> Option<&'static Can> {
        self.can.iter().find(|c| c.act == act && c.on.contains(&on))
    }
}

/// What one step is to bring about at one device.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Order {
    pub act: Act,
    pub target: Target,
    /// Until when, where it shall end by itself. Microseconds since 1970, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
    /// Our mark for what we leave at the device: `portreeve-` and twelve hexadecimal digits.
    pub mark: String,
    /// The case, for comments at the device.
    pub case: String,
}

impl Order {
    /// Whole seconds from `now` until the end, at least one; `None` without an end.
    pub fn seconds_left(&self, now: i64) -> Option<u64> {
        self.until.map(|until| u64::try_from((until - now) / 1_000_000).unwrap_or(0).max(1))
    }
}

/// What the device says about a target, before anything is sent. Part of the plan; read again before execution, and
/// a difference stops it. So it holds nothing that changes by itself (counters, idle times), and no secret.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// What the name was resolved to at the device: ids, distinguished names.
    pub ids: Vec<String>,
    /// The effect is there already, and not by this step: another hand's, or an earlier step of ours, which the
    /// ledger tells apart. Then nothing is sent and nothing will be undone.
    pub in_force: bool,
    /// What undo puts back.
    pub before: serde_json::Value,
    /// One sentence for the approver.
    pub says: String,
    /// Others whom it hits: other users of the role, other sessions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also_hits: Vec<String>,
}

/// The device took the request. Not yet an effect.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Ack {
    /// What it answered, in short.
    pub says: String,
    /// What undo and verify need and the device gave only now: ids of what was made. No secret.
    #[serde(default)]
    pub made: serde_json::Value,
    /// What only the approver may be told, once: a new password. Never stored.
    #[serde(skip)]
    pub handover: Option<Secret>,
}

impl Ack {
    pub fn says(text: impl Into<String>) -> Ack {
        Ack { says: text.into(), ..Ack::default() }
    }
}

/// What an independent read shows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "effect", content = "why", rename_all = "snake_case")]
pub enum Effect {
    Effective(String),
    NotEffective(String),
    /// Reading failed, or the product has no reading that would tell.
    Unknown(String),
}

impl Effect {
    pub fn name(&self) -> &'static str {
        match self {
            Effect::Effective(_) => "effective",
            Effect::NotEffective(_) => "not effective",
            Effect::Unknown(_) => "unknown",
        }
    }

    pub fn why(&self) -> &str {
        match self {
            Effect::Effective(why) | Effect::NotEffective(why) | Effect::Unknown(why) => why,
        }
    }

    /// A reading that failed says nothing about the effect.
    pub fn unread(fault: &Fault) -> Effect {
        Effect::Unknown(fault.to_string())
    }
}

/// Something in force at the device in the place where we put things.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Present {
    /// As [`Target`] prints it, or the device's own words for a stranger.
    pub what: String,
    /// Our mark, where the device keeps one.
    pub mark: Option<String>,
}

/// What a credential turned out to be able to do.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ability {
    pub what: String,
    /// `None`: cannot be told without doing it.
    pub able: Option<bool>,
    pub why: String,
}

impl Ability {
    pub fn new(what: &str, able: Option<bool>, why: impl Into<String>) -> Ability {
        Ability { what: what.to_owned(), able, why: why.into() }
    }
}

/// What a step of a plan knows of the device: what was seen when it was planned, and what the device gave when it
/// acted.
#[derive(Clone, Debug, Default)]
pub struct Known {
    pub seen: Seen,
    pub ack: Option<Ack>,
}

/// A device, opened with a credential. Only `execute` calls `apply` and `undo`, after the ledger has been written.
pub trait Control {
    /// Reads the target's state; changes nothing.
    fn read(&mut self, order: &Order) -> Result<Seen, Fault>;

    /// The exact requests of `apply`, with secrets masked.
    fn preview(&self, order: &Order, seen: &Seen) -> Result<Vec<String>, Fault>;

    /// Sends. An answer says only that it was taken.
    fn apply(&mut self, order: &Order, seen: &Seen) -> Result<Ack, Fault>;

    /// Reads the effect by another way than the answer of `apply`.
    fn verify(&mut self, order: &Order, known: &Known) -> Effect;

    /// Sends what brings back `known.seen.before`. Called again after a crash, so it must bear repetition.
    fn undo(&mut self, order: &Order, known: &Known) -> Result<Ack, Fault>;

    /// Reads that the effect is gone: `Effective` means undone.
    fn verify_undone(&mut self, order: &Order, known: &Known) -> Effect;

    /// Everything in the place where we put things, ours and strangers'. `None`: the product cannot list.
    fn present(&mut self) -> Result<Option<Vec<Present>>, Fault> {
        Ok(None)
    }

    /// What the credential can do, found out without changing anything.
    fn doctor(&mut self) -> Vec<Ability>;
}

/// One connector of the configuration.
#[derive(Clone)]
pub struct Settings {
    /// The name that the site gave it: `edge-1`.
    pub name: String,
    /// Its own fields.
    pub fields: serde_json::Value,
    /// `default`, or one for an act by its id.
    pub credentials: BTreeMap<String, SecretRef>,
    pub vault: Vault,
}

impl Settings {
    /// The connector's fields as its own type; unknown fields are refused by that type.
    pub fn fields<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        serde_json::from_value(self.fields.clone())
            .map_err(|e| Fault::Config(format!("connector {}: {e}", self.name)))
    }

    /// The credential for an act, or the default one.
    pub fn credential(&self, act: Act) -> Result<Secret, Fault> {
        let from = self.credentials.get(act.id()).or_else(|| self.credentials.get("default"));
        match from {
            Some(from) => self.vault.open(from),
            None => Err(Fault::Credential(format!(
                "connector {}: no credential for {} and no default one",
                self.name,
                act.id()
            ))),
        }
    }

    /// The credential of this name (`read`, `default`), where the configuration has it.
    pub fn named_credential(&self, name: &str) -> Result<Option<Secret>, Fault> {
        self.credentials.get(name).map(|from| self.vault.open(from)).transpose()
    }
}
