//! The shapes that leave the program as JSON. Version 1: fields are added, never renamed.

use portreeve_model::case as m;
use portreeve_model::{EventTime, Ip};
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

fn time(t: EventTime) -> String {
    t.to_string()
}

fn ips(all: &[Ip]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}

/// Three decimals: enough for people, and the same text on every machine.
fn rounded(x: f64) -> f64 {
    (x * 1_000.0).round() / 1_000.0
}

impl From<&m::Person> for Person {
    fn from(p: &m::Person) -> Self {
        Person {
            name: p.name.raw().to_owned(),
            aliases: p.aliases.iter().map(|a| a.raw().to_owned()).collect(),
            department: p.department.raw().to_owned(),
            role: p.role.raw().to_owned(),
            status: p.status.clone(),
            privileged: p.privileged,
            listed: p.listed,
        }
    }
}

impl From<&m::EvidenceLine> for Evidence {
    fn from(e: &m::EvidenceLine) -> Self {
        Evidence {
            file: e.file.raw().to_owned(),
            line: e.raw.line,
            offset: e.raw.byte(),
            time: time(e.time),
            source: e.source.clone(),
            raw: e.text.raw().to_owned(),
        }
    }
}

fn evidence(all: &[m::EvidenceLine]) -> Vec<Evidence> {
    all.iter().map(Evidence::from).collect()
}

impl From<&m::PlaceLine> for Place {
    fn from(p: &m::PlaceLine) -> Self {
        Place {
            country: p.country.text().to_owned(),
            city: p.city.raw().to_owned(),
            lat: p.point.map(|p| rounded(f64::from(p.lat))),
            lon: p.point.map(|p| rounded(f64::from(p.lon))),
            radius_km: p.radius_km,
            asn: p.asn,
            as_name: p.as_name.raw().to_owned(),
            network: p.network.clone(),
            label: p.label.raw().to_owned(),
        }
    }
}

impl From<&m::Step> for Step {
    fn from(s: &m::Step) -> Self {
        Step {
            id: s.id.to_owned(),
            title: s.title.clone(),
            state: if s.done { "done" } else { "open" }.to_owned(),
            finding: s.finding.raw().to_owned(),
            next: s.next.raw().to_owned(),
            evidence: evidence(&s.evidence),
        }
    }
}

impl From<&m::SessionLine> for Session {
    fn from(s: &m::SessionLine) -> Self {
        Session {
            id: s.id.clone(),
            principal: s.principal.raw().to_owned(),
            service: s.service.clone(),
            gateway: s.gateway.raw().to_owned(),
            group: s.group.raw().to_owned(),
            public_ips: ips(&s.public_ips),
            tunnel_ips: ips(&s.tunnel_ips),
            device: s.device.raw().to_owned(),
            client: s.client.raw().to_owned(),
            start: time(s.start),
            end: s.end.map(time),
            end_reason: s.end_reason.clone(),
            mfa: s.mfa.clone(),
            factor: s.factor.clone(),
            mfa_known_by: s.mfa_known_by.raw().to_owned(),
            place: Place::from(&s.place),
            standing: s.standing.clone(),
            suspect: s.suspect,
            evidence: evidence(&s.evidence),
        }
    }
}

impl From<&m::Case> for Case {
    fn from(c: &m::Case) -> Self {
        let texts = |all: &[portreeve_model::untrusted::Untrusted]| {
            all.iter().map(|t| t.raw().to_owned()).collect::<Vec<_>>()
        };
        Case {
            case_id: c.id.clone(),
            title: c.title.raw().to_owned(),
            principal: Person::from(&c.principal),
            principals: c.principals.iter().map(Person::from).collect(),
            first_seen: time(c.first_seen),
            last_seen: time(c.last_seen),
            detected_at: time(c.detected_at),
            decision: c.decision.name().to_owned(),
            reason: c.reason.raw().to_owned(),
            risk_score: rounded(c.risk_score),
            prior_db: rounded(c.prior_db),
            score_db: rounded(c.score_db),
            groups: c
                .groups
                .iter()
                .map(|g| Group {
                    group: g.group.name().to_owned(),
                    raw_db: rounded(g.raw_db),
                    db: rounded(g.db),
                })
                .collect(),
            criteria: c
                .criteria
                .iter()
                .map(|x| Criterion {
                    id: x.id.to_owned(),
                    number: x.number.clone(),
                    text: x.text.clone(),
                    state: x.state.state().to_owned(),
                    because: x.because.raw().to_owned(),
                    explained: texts(&x.explained),
                    needs: x.needs.clone(),
                })
                .collect(),
            questions: c
                .questions
                .iter()
                .map(|q| Question {
                    id: q.id.to_owned(),
                    text: q.text.clone(),
                    answer: q.answer.answer().to_owned(),
                    because: q.because.raw().to_owned(),
                    known_by: q.known_by.raw().to_owned(),
                    needs: q.needs.clone(),
                    evidence: evidence(&q.evidence),
                })
                .collect(),
            indicators: c
                .indicators
                .iter()
                .map(|i| Indicator {
                    id: i.id.clone(),
                    title: i.title.clone(),
                    technique: i.technique.clone(),
                    group: i.group.name().to_owned(),
                    time: time(i.time),
                    points: rounded(i.points),
                    because: i.because.raw().to_owned(),
                    explained: texts(&i.explained),
                    evidence: evidence(&i.evidence),
                })
                .collect(),
            source_ips: c.source_ips.iter().map(|(ip, _)| ip.to_string()).collect(),
            sources: c
                .source_ips
                .iter()
                .map(|(ip, place)| Source { ip: ip.to_string(), place: Place::from(place) })
                .collect(),
            sessions: c.sessions.iter().map(Session::from).collect(),
            l1_steps: c.l1_steps.iter().map(Step::from).collect(),
            t2_actions: c.t2_actions.iter().map(Step::from).collect(),
            containment: c
                .containment
                .iter()
                .map(|a| Action {
                    order: a.order,
                    id: a.kind.id().to_owned(),
                    title: a.title.clone(),
                    target: a.target.raw().to_owned(),
                    subject: Subject {
                        address: a.subject.address.map(|ip| ip.to_string()).unwrap_or_default(),
                        account: a.subject.account.raw().to_owned(),
                        host: a.subject.host.raw().to_owned(),
                        session: a.subject.session.raw().to_owned(),
                        gateway: a.subject.gateway.raw().to_owned(),
                        tunnel_ip: a.subject.tunnel_ip.map(|ip| ip.to_string()).unwrap_or_default(),
                        service: a.subject.service.to_owned(),
                        others: a.subject.others,
                    },
                    because: a.because.raw().to_owned(),
                    leaves_open: a.leaves_open.raw().to_owned(),
                    blast_radius: a.blast_radius.raw().to_owned(),
                    caution: a.caution.raw().to_owned(),
                })
                .collect(),
            timeline: c
                .timeline
                .iter()
                .map(|t| Entry {
                    time: time(t.time),
                    certainty: t.certainty.name().to_owned(),
                    kind: t.kind.to_owned(),
                    text: t.text.raw().to_owned(),
                    evidence: t.evidence.as_ref().map(Evidence::from),
                })
                .collect(),
            coverage: Coverage {
                sources: c.coverage.sources.clone(),
                missing: c.coverage.missing.clone(),
                history_days: c.coverage.history_days,
                history_sessions: c.coverage.cleared_sessions,
            },
            related: c
                .related
                .iter()
                .map(|(id, why)| Related { case_id: id.clone(), why: why.clone() })
                .collect(),
            campaign: c.campaign.clone(),
            revised: c.revised.clone(),
        }
    }
}

impl From<&m::ReadCounts> for Counts {
    fn from(c: &m::ReadCounts) -> Self {
        Counts {
            records: c.records,
            understood: c.understood,
            fragments: c.fragments,
            irrelevant: c.irrelevant,
            unknown: c.unknown,
            broken: c.broken,
        }
    }
}

fn gaps(all: &[(portreeve_model::EventTime, portreeve_model::EventTime)]) -> Vec<Gap> {
    all.iter().map(|(from, to)| Gap { from: time(*from), to: time(*to) }).collect()
}

fn counts(all: &[(String, u64)]) -> Vec<Count> {
    all.iter().map(|(what, count)| Count { what: what.clone(), count: *count }).collect()
}

impl From<&m::RunReport> for Run {
    fn from(r: &m::RunReport) -> Self {
        Run {
            version: r.version.clone(),
            first: r.first.map(time),
            last: r.last.map(time),
            days: r.days,
            totals: Counts::from(&r.totals),
            events: r.events,
            duplicates: r.duplicates,
            out_of_range: r.out_of_range,
            far_future: r.far_future,
            principals: r.principals,
            sessions: r.sessions,
            escalate: r.escalate,
            investigate: r.investigate,
            close: r.close,
            missing: r.missing.clone(),
            warnings: r.warnings.clone(),
            evicted: counts(&r.evicted),
            sources: r
                .sources
                .iter()
                .map(|s| SourceRead {
                    source: s.source.clone(),
                    counts: Counts::from(&s.counts),
                    events: s.events,
                    first: s.first.map(time),
                    last: s.last.map(time),
                    reasons: counts(&s.reasons),
                    gaps: gaps(&s.gaps),
                })
                .collect(),
            inputs: r
                .inputs
                .iter()
                .map(|i| InputRead {
                    file: i.file.raw().to_owned(),
                    bytes: i.bytes,
                    counts: Counts::from(&i.counts),
                    sources: i.sources.clone(),
                    first: i.first.map(time),
                    last: i.last.map(time),
                    problems: i.problems.clone(),
                    samples: i
                        .samples
                        .iter()
                        .map(|(line, text)| Sample { line: *line, text: text.raw().to_owned() })
                        .collect(),
                    gaps: gaps(&i.gaps),
                    clocks: i
                        .clocks
                        .iter()
                        .map(|c| ReceivedOff {
                            source: c.source.clone(),
                            fast_by_s: c.fast_by_s,
                            records: c.records,
                            zone: c.zone,
                        })
                        .collect(),
                })
                .collect(),
            clocks: r
                .clocks
                .iter()
                .map(|c| ClockOff {
                    gateway: c.gateway.raw().to_owned(),
                    fast_by_s: c.fast_by_s,
                    sessions: c.sessions,
                    first: time(c.first),
                    last: time(c.last),
                })
                .collect(),
            pressure: r
                .pressure
                .iter()
                .map(|p| Pressure {
                    kind: p.kind.clone(),
                    what: p.what.raw().to_owned(),
                    attempts: p.attempts,
                    accounts: p.accounts,
                    sources: p.sources,
                    first: time(p.first),
                    last: time(p.last),
                })
                .collect(),
        }
    }
}
