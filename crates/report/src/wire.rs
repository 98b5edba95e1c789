//! The shapes that leave the program as JSON. Version 1: fields are added, never renamed.

mod fill;

use crate::actions::{Aftermath, Reentry};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) const SCHEMA: &str = "portreeve/cases/v1";

/// `cases.json`.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct CasesFile {
    /// `portreeve/cases/v1`.
    pub schema: String,
    pub run: Run,
    pub cases: Vec<Case>,
    /// Every step that did not hold, as `hunt` found it, also where no case of this hunt is concerned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub containment_ineffective: Vec<Reentry>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Case {
    /// Stable for the same logs.
    pub case_id: String,
    pub title: String,
    pub principal: Person,
    /// Everybody of the campaign.
    pub principals: Vec<Person>,
    /// RFC 3339, UTC.
    pub first_seen: String,
    pub last_seen: String,
    /// When the evidence first sufficed for the decision.
    pub detected_at: String,
    /// `escalate`, `investigate` or `close`.
    pub decision: String,
    pub reason: String,
    /// 0 to 100; orders cases.
    pub risk_score: f64,
    /// Decibans: prior, prior and evidence.
    pub prior_db: f64,
    pub score_db: f64,
    pub groups: Vec<Group>,
    pub criteria: Vec<Criterion>,
    pub questions: Vec<Question>,
    pub indicators: Vec<Indicator>,
    pub source_ips: Vec<String>,
    pub sources: Vec<Source>,
    pub sessions: Vec<Session>,
    pub l1_steps: Vec<Step>,
    pub t2_actions: Vec<Step>,
    pub containment: Vec<Action>,
    pub timeline: Vec<Entry>,
    pub coverage: Coverage,
    pub related: Vec<Related>,
    pub campaign: Option<String>,
    pub revised: Option<String>,
    /// What was done about it and what came after, where `hunt` read a ledger of containment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aftermath: Option<Aftermath>,
    /// Steps that did not hold: whom they should have kept out got in, by this case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub containment_ineffective: Vec<Reentry>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Person {
    pub name: String,
    pub aliases: Vec<String>,
    pub department: String,
    pub role: String,
    pub status: String,
    pub privileged: Option<bool>,
    pub listed: bool,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Group {
    pub group: String,
    pub raw_db: f64,
    pub db: f64,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Criterion {
    pub id: String,
    /// `E1` to `E4`.
    pub number: String,
    pub text: String,
    /// `true`, `false` or `unknown`.
    pub state: String,
    pub because: String,
    /// Context that explains it; then it does not escalate by itself.
    pub explained: Vec<String>,
    pub needs: Vec<String>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Question {
    pub id: String,
    pub text: String,
    /// `yes`, `no` or `unknown`.
    pub answer: String,
    pub because: String,
    pub known_by: String,
    /// For unknown: what is missing.
    pub needs: Vec<String>,
    pub evidence: Vec<Evidence>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Indicator {
    pub id: String,
    pub title: String,
    pub technique: Vec<String>,
    pub group: String,
    pub time: String,
    /// Decibans before the group's clamp.
    pub points: f64,
    pub because: String,
    pub explained: Vec<String>,
    pub evidence: Vec<Evidence>,
}

/// One raw record.
#[derive(Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Evidence {
    /// Path as given; the entry of an archive after `!`.
    pub file: String,
    /// Line or record number, from 1.
    pub line: u32,
    /// Byte offset in the unpacked file.
    pub offset: u64,
    pub time: String,
    pub source: String,
    pub raw: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Place {
    pub country: String,
    pub city: String,
    pub lat: Option<f64>,
    pub lon: Option<f64>,
    pub radius_km: u16,
    pub asn: u32,
    pub as_name: String,
    pub network: String,
    pub label: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Source {
    pub ip: String,
    pub place: Place,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Session {
    pub id: String,
    pub principal: String,
    pub service: String,
    pub gateway: String,
    pub group: String,
    pub public_ips: Vec<String>,
    pub tunnel_ips: Vec<String>,
    pub device: String,
    pub client: String,
    pub start: String,
    pub end: Option<String>,
    pub end_reason: String,
    pub mfa: String,
    pub factor: String,
    pub mfa_known_by: String,
    pub place: Place,
    /// `cleared`, `pending` or `tainted`.
    pub standing: String,
    /// Part of the case, against shown for comparison.
    pub suspect: bool,
    pub evidence: Vec<Evidence>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Step {
    pub id: String,
    pub title: String,
    /// `done` or `open`.
    pub state: String,
    pub finding: String,
    pub next: String,
    pub evidence: Vec<Evidence>,
}

/// What an action falls on. A field that no log told is absent.
#[derive(Serialize, Deserialize, JsonSchema, Default)]
pub struct Subject {
    /// The address to block, or the public address of the session to end.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// As the product wrote it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub account: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub host: String,
    /// The product's id of the session.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub session: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub gateway: String,
    /// The address inside the tunnel.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tunnel_ip: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service: String,
    /// Other accounts of the company that came from the address.
    #[serde(default)]
    pub others: u32,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Action {
    pub order: u8,
    pub id: String,
    pub title: String,
    pub target: String,
    /// The target field by field; `portreeve respond plan` acts on these.
    #[serde(default)]
    pub subject: Subject,
    pub because: String,
    pub leaves_open: String,
    pub blast_radius: String,
    pub caution: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    pub time: String,
    pub certainty: String,
    pub kind: String,
    pub text: String,
    pub evidence: Option<Evidence>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Coverage {
    pub sources: Vec<String>,
    pub missing: Vec<String>,
    pub history_days: u32,
    pub history_sessions: u32,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Related {
    pub case_id: String,
    pub why: String,
}

/// What was read, understood, missing: `run.json`.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Run {
    pub version: String,
    pub first: Option<String>,
    pub last: Option<String>,
    pub days: u32,
    /// The five counts add up to `records`.
    pub totals: Counts,
    pub events: u64,
    pub duplicates: u64,
    pub out_of_range: u64,
    pub far_future: u64,
    pub principals: u64,
    pub sessions: u64,
    pub escalate: u64,
    pub investigate: u64,
    pub close: u64,
    pub missing: Vec<String>,
    pub warnings: Vec<String>,
    pub evicted: Vec<Count>,
    pub sources: Vec<SourceRead>,
    pub inputs: Vec<InputRead>,
    pub pressure: Vec<Pressure>,
    pub clocks: Vec<ClockOff>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    pub records: u64,
    pub understood: u64,
    pub fragments: u64,
    pub irrelevant: u64,
    pub unknown: u64,
    pub broken: u64,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Count {
    pub what: String,
    pub count: u64,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct SourceRead {
    /// Empty for records that no source claims.
    pub source: String,
    pub counts: Counts,
    pub events: u64,
    pub first: Option<String>,
    pub last: Option<String>,
    pub reasons: Vec<Count>,
    /// When it was silent although it speaks at other times.
    pub gaps: Vec<Gap>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Gap {
    pub from: String,
    pub to: String,
}

/// A gateway whose clock was off, as the approvals of its users at an identity provider tell.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct ClockOff {
    pub gateway: String,
    /// Fast by so many seconds; negative where it was slow.
    pub fast_by_s: i64,
    pub sessions: u64,
    pub first: String,
    pub last: String,
}

/// A device's clock against the collector's, where records carry both times.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct ReceivedOff {
    pub source: String,
    /// Ahead of the collector by so many seconds; negative where it is behind, by its clock or on the way.
    pub fast_by_s: i64,
    /// Records that were compared.
    pub records: u64,
    /// Whole or half hours, of records that name no zone: it is the zone and not the clock.
    pub zone: bool,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct InputRead {
    pub file: String,
    pub bytes: u64,
    pub counts: Counts,
    pub sources: Vec<String>,
    pub first: Option<String>,
    pub last: Option<String>,
    pub problems: Vec<String>,
    pub samples: Vec<Sample>,
    pub gaps: Vec<Gap>,
    /// Products whose clock differs from that of who collected their records.
    pub clocks: Vec<ReceivedOff>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Sample {
    pub line: u32,
    pub text: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Pressure {
    pub kind: String,
    pub what: String,
    pub attempts: u64,
    pub accounts: u64,
    pub sources: u64,
    pub first: String,
    pub last: String,
}
