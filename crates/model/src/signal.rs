//! Evidence and its weight.

use crate::record::RawRef;
use crate::time::EventTime;

/// Thousandths of a deciban: 10·log10 of a likelihood ratio, times 1000. Integers add the same in every order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Millideciban(pub i32);

impl Millideciban {
    pub fn from_db(db: f64) -> Self {
        Millideciban((db * 1_000.0).round() as i32)
    }

    pub fn db(self) -> f64 {
        f64::from(self.0) / 1_000.0
    }
}

impl std::ops::Add for Millideciban {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Millideciban(self.0.saturating_add(other.0))
    }
}

impl std::iter::Sum for Millideciban {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Millideciban(0), |a, b| a + b)
    }
}

/// The scoring groups (scoring.md 10.2). Evidence of one group is one kind of evidence: only different groups
/// confirm each other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Group {
    /// Place, network and device, judged together.
    Place,
    Travel,
    Auth,
    Precursor,
    Session,
    Reputation,
    Time,
    Account,
    Post,
    Segment,
    Gateway,
    Campaign,
    Context,
}

impl Group {
    pub const ALL: [Group; 13] = [
        Group::Place,
        Group::Travel,
        Group::Auth,
        Group::Precursor,
        Group::Session,
        Group::Reputation,
        Group::Time,
        Group::Account,
        Group::Post,
        Group::Segment,
        Group::Gateway,
        Group::Campaign,
        Group::Context,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Group::Place => "place",
            Group::Travel => "travel",
            Group::Auth => "auth",
            Group::Precursor => "precursor",
            Group::Session => "session",
            Group::Reputation => "reputation",
            Group::Time => "time",
            Group::Account => "account",
            Group::Post => "post",
            Group::Segment => "segment",
            Group::Gateway => "gateway",
            Group::Campaign => "campaign",
            Group::Context => "context",
        }
    }

    pub fn parse(name: &str) -> Option<Group> {
        Group::ALL.into_iter().find(|g| g.name() == name)
    }
}

/// One record that carries a claim.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Evidence {
    pub time: EventTime,
    pub raw: RawRef,
}
