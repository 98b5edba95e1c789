//! A finished case, as reports read it: text resolved, evidence attached, nothing left to look up.

use crate::action::ActionKind;
use crate::answer::{Decision, Tri};
use crate::net::Ip;
use crate::place::{Country, Point};
use crate::record::RawRef;
use crate::signal::Group;
use crate::time::{Certainty, EventTime};
use crate::untrusted::Untrusted;

/// One raw record behind a claim.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct EvidenceLine {
    pub time: EventTime,
    pub certainty: Certainty,
    pub raw: RawRef,
    /// Path as the user gave it, with the entry inside an archive after `!`.
    pub file: Untrusted,
    /// The record as it stands in the file (cut at 4 KiB).
    pub text: Untrusted,
    /// Name of the log source.
    pub source: String,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct Person {
    pub name: Untrusted,
    pub aliases: Vec<Untrusted>,
    pub department: Untrusted,
    pub role: Untrusted,
    pub status: String,
    pub privileged: Option<bool>,
    /// Stands in the directory.
    pub listed: bool,
}

/// An answered question of the playbook.
#[derive(Clone, PartialEq, Debug)]
pub struct Question {
    pub id: &'static str,
    pub text: String,
    /// In few words, for narrow places.
    pub label: String,
    pub answer: Tri,
    pub because: Untrusted,
    /// How it is known: "lease", "user name alone", "cleared history of 41 sessions".
    pub known_by: Untrusted,
    /// For unknown: what is missing.
    pub needs: Vec<String>,
    pub evidence: Vec<EvidenceLine>,
}

/// An escalation criterion, E1 to E4.
#[derive(Clone, PartialEq, Debug)]
pub struct Criterion {
    pub id: &'static str,
    /// "E1" … "E4".
    pub number: String,
    pub text: String,
    pub state: Tri,
    pub because: Untrusted,
    /// True, but context explains it, so it does not escalate by itself.
    pub explained: Vec<Untrusted>,
    pub needs: Vec<String>,
}

/// A detection that fired.
#[derive(Clone, PartialEq, Debug)]
pub struct Indicator {
    pub id: String,
    pub title: String,
    pub technique: Vec<String>,
    pub group: Group,
    pub time: EventTime,
    /// Decibans it brings before the group's clamp.
    pub points: f64,
    pub because: Untrusted,
    pub evidence: Vec<EvidenceLine>,
    /// Context that explains it; then `points` do not count towards escalation.
    pub explained: Vec<Untrusted>,
}

/// What one group of evidence brings to the score.
#[derive(Clone, PartialEq, Debug)]
pub struct GroupScore {
    pub group: Group,
    /// Sum before and after the group's clamp, decibans.
    pub raw_db: f64,
    pub db: f64,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct PlaceLine {
    pub country: Country,
    pub city: Untrusted,
    pub point: Option<Point>,
    pub radius_km: u16,
    pub asn: u32,
    pub as_name: Untrusted,
    pub network: String,
    pub label: Untrusted,
}

/// A remote session of the case, or one shown beside it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct SessionLine {
    /// Stable within the case: `s1`, `s2` …
    pub id: String,
    pub principal: Untrusted,
    pub service: String,
    pub gateway: Untrusted,
    pub group: Untrusted,
    pub public_ips: Vec<Ip>,
    pub tunnel_ips: Vec<Ip>,
    pub device: Untrusted,
    pub client: Untrusted,
    pub start: EventTime,
    pub end: Option<EventTime>,
    /// "logout", "idle", "assumed" …
    pub end_reason: String,
    /// "yes", "no", "claimed", "delegated", "unknown".
    pub mfa: String,
    pub factor: String,
    /// Which records tell about MFA: "okta event 12 s before the session", "policy exception" …
    pub mfa_known_by: Untrusted,
    pub place: PlaceLine,
    /// "cleared", "pending", "tainted".
    pub standing: String,
    /// Part of what the case is about, against sessions that are shown for comparison.
    pub suspect: bool,
    pub evidence: Vec<EvidenceLine>,
}

/// A task of the L1 or T2 row.
#[derive(Clone, PartialEq, Debug)]
pub struct Step {
    pub id: &'static str,
    pub title: String,
    /// Done by the program, against open for a person.
    pub done: bool,
    pub finding: Untrusted,
    /// What an analyst does next, or looks up.
    pub next: Untrusted,
    pub evidence: Vec<EvidenceLine>,
}

/// What an action falls on. Only what the logs told is set.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ActionSubject {
    /// The address to block, or the public address of the session to end.
    pub address: Option<Ip>,
    /// The account, as the gateway wrote it where a session is meant.
    pub account: Untrusted,
    pub host: Untrusted,
    /// The product's id of the session.
    pub session: Untrusted,
    pub gateway: Untrusted,
    pub tunnel_ip: Option<Ip>,
    pub service: &'static str,
    /// Other accounts of the company that came from the address.
    pub others: u32,
}

/// A proposed action of the containment row, in the order that works.
#[derive(Clone, PartialEq, Debug)]
pub struct ProposedAction {
    pub order: u8,
    pub kind: ActionKind,
    pub title: String,
    pub target: Untrusted,
    /// The target field by field, for whoever acts on it.
    pub subject: ActionSubject,
    pub because: Untrusted,
    /// What stays open when this alone is done.
    pub leaves_open: Untrusted,
    /// Other accounts, sessions or hosts that it would touch.
    pub blast_radius: Untrusted,
    /// Why it must not be done without thought (shared address, own egress, service account).
    pub caution: Untrusted,
}

#[derive(Clone, PartialEq, Debug)]
pub struct TimelineEntry {
    pub time: EventTime,
    pub certainty: Certainty,
    /// "log", "indicator", "session", "alert".
    pub kind: &'static str,
    pub text: Untrusted,
    pub evidence: Option<EvidenceLine>,
}

/// What could and could not be judged.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct CaseCoverage {
    /// Log sources that spoke in the time of the case.
    pub sources: Vec<String>,
    /// Missing: "inner logons for the time of the session", "MFA result: OpenVPN does not log it".
    pub missing: Vec<String>,
    /// Days of history that stand behind the baseline, and how many sessions are cleared.
    pub history_days: u32,
    pub cleared_sessions: u32,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Case {
    /// Stable: derived from principal and first evidence, the same in every run over the same logs.
    pub id: String,
    pub title: Untrusted,
    pub principal: Person,
    pub principals: Vec<Person>,
    pub first_seen: EventTime,
    pub last_seen: EventTime,
    /// When the evidence first sufficed for the decision.
    pub detected_at: EventTime,
    pub decision: Decision,
    pub reason: Untrusted,
    /// Orders cases; monotone in the evidence. 0 to 100.
    pub risk_score: f64,
    /// Prior and posterior behind it, decibans.
    pub prior_db: f64,
    pub score_db: f64,
    pub groups: Vec<GroupScore>,
    pub criteria: Vec<Criterion>,
    pub questions: Vec<Question>,
    pub indicators: Vec<Indicator>,
    pub source_ips: Vec<(Ip, PlaceLine)>,
    pub sessions: Vec<SessionLine>,
    pub l1_steps: Vec<Step>,
    pub t2_actions: Vec<Step>,
    pub containment: Vec<ProposedAction>,
    pub timeline: Vec<TimelineEntry>,
    pub coverage: CaseCoverage,
    /// Ids of cases that share infrastructure, and why.
    pub related: Vec<(String, String)>,
    /// Name of the campaign, where several principals share infrastructure.
    pub campaign: Option<String>,
    /// A late record changed the verdict: what it was before.
    pub revised: Option<String>,
}

/// How the records of one input or source were spent. The five counts add up to `records`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ReadCounts {
    pub records: u64,
    /// Gave at least one event.
    pub understood: u64,
    /// A piece of a record that others complete.
    pub fragments: u64,
    /// Known, and of no concern to the playbook.
    pub irrelevant: u64,
    /// No source claims it.
    pub unknown: u64,
    /// Claimed, but cut, malformed or impossible.
    pub broken: u64,
}

impl ReadCounts {
    pub fn add(&mut self, other: &ReadCounts) {
        self.records += other.records;
        self.understood += other.understood;
        self.fragments += other.fragments;
        self.irrelevant += other.irrelevant;
        self.unknown += other.unknown;
        self.broken += other.broken;
    }

    pub fn adds_up(&self) -> bool {
        self.records == self.understood + self.fragments + self.irrelevant + self.unknown + self.broken
    }
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct SourceReport {
    /// Name of the log source; "" for records that none claims.
    pub source: String,
    pub counts: ReadCounts,
    pub events: u64,
    pub first: Option<EventTime>,
    pub last: Option<EventTime>,
    /// Why records were irrelevant or broken, with counts, most frequent first.
    pub reasons: Vec<(String, u64)>,
    /// When it was silent although it speaks at other times: from, to.
    pub gaps: Vec<(EventTime, EventTime)>,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct InputReport {
    pub file: Untrusted,
    pub bytes: u64,
    pub counts: ReadCounts,
    /// Sources found in it, most records first.
    pub sources: Vec<String>,
    pub first: Option<EventTime>,
    pub last: Option<EventTime>,
    /// What went wrong with the file as a whole: truncated archive, limit reached, unreadable.
    pub problems: Vec<String>,
    /// A few records that no source understood: line and text.
    pub samples: Vec<(u32, Untrusted)>,
    pub gaps: Vec<(EventTime, EventTime)>,
    /// Products whose clock differs from that of who collected their records.
    pub clocks: Vec<ReceivedOff>,
}

/// A device's clock against the collector's, where records carry both times.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ReceivedOff {
    /// Name of the log source.
    pub source: String,
    /// Ahead of the collector by so many seconds; negative where it is behind, by its clock or on the way.
    pub fast_by_s: i64,
    /// Records that were compared.
    pub records: u64,
    /// Whole or half hours, of records that name no zone: it is the zone and not the clock.
    pub zone: bool,
}

/// Everything about a run besides its cases: `run.json`.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct RunReport {
    pub version: String,
    pub inputs: Vec<InputReport>,
    pub sources: Vec<SourceReport>,
    pub totals: ReadCounts,
    pub events: u64,
    pub duplicates: u64,
    /// Outside `--since` and `--until`, or far in the future.
    pub out_of_range: u64,
    pub far_future: u64,
    pub first: Option<EventTime>,
    pub last: Option<EventTime>,
    /// Accounts, sessions and days that the run saw.
    pub principals: u64,
    pub sessions: u64,
    pub days: u32,
    /// "geo: no database given", "intel: list is 410 days old".
    pub missing: Vec<String>,
    pub warnings: Vec<String>,
    /// State dropped to stay within its budget, by kind.
    pub evicted: Vec<(String, u64)>,
    /// Pressure without success: attempts that are no cases.
    pub pressure: Vec<Pressure>,
    /// Gateways whose clock was off for a time.
    pub clocks: Vec<ClockOff>,
    pub escalate: u64,
    pub investigate: u64,
    pub close: u64,
}

/// A gateway whose clock was off, as the approvals of its users at an identity provider tell.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ClockOff {
    pub gateway: Untrusted,
    /// Fast by so many seconds; negative where it was slow.
    pub fast_by_s: i64,
    pub sessions: u64,
    pub first: EventTime,
    pub last: EventTime,
}

/// Attempts on accounts and gateways that did not succeed.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Pressure {
    pub kind: String,
    pub what: Untrusted,
    pub attempts: u64,
    pub accounts: u64,
    pub sources: u64,
    pub first: EventTime,
    pub last: EventTime,
}
