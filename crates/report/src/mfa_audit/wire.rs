//! The shapes of an MFA audit as JSON. Version 1: fields are added, never renamed.

use super::difference::Difference;
use crate::wire::Evidence;
use portreeve_model::EventTime;
use portreeve_model::case::RunReport;
use portreeve_model::event::Factor;
use portreeve_model::mfa_audit as m;
use portreeve_model::untrusted::Untrusted;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) const SCHEMA: &str = "portreeve/mfa-audit/v1";

/// What `portreeve audit mfa --format json` writes.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct AuditFile {
    /// `portreeve/mfa-audit/v1`.
    pub schema: String,
    pub read: Read,
    pub period: Period,
    pub totals: Logins,
    pub services: Vec<Service>,
    /// People and shared accounts.
    pub users: Vec<User>,
    pub service_accounts: Vec<User>,
    pub break_glass: Vec<User>,
    pub factors: Factors,
    /// In the order in which to enforce a second factor.
    pub enforce_next: Vec<Enforce>,
    /// Log sources whose logins are unknown, and what would tell.
    pub logging: Vec<Logging>,
    /// What could not be judged.
    pub missing: Vec<String>,
    /// With `--before`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference: Option<Difference>,
}

/// What the audit rests on.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Read {
    /// Of Portreeve.
    pub version: String,
    pub files: u64,
    pub records: u64,
    /// Records that no source claims, and broken ones.
    pub not_understood: u64,
    pub first: Option<String>,
    pub last: Option<String>,
    pub warnings: Vec<String>,
}

/// Times are RFC 3339, UTC.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Period {
    pub from: Option<String>,
    pub until: Option<String>,
}

/// Logins by what is known of their second factor; each once.
#[derive(Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Logins {
    pub logins: u64,
    /// Seen in the login's own record, or at the provider at its time.
    pub with: u64,
    /// Of those with: by a factor that cannot be phished.
    pub phishing_resistant: u64,
    /// Of those with: by one that can.
    pub phishable: u64,
    /// Satisfied by an earlier one on a remembered device or an open sign-in.
    pub remembered: u64,
    /// Asserted by the product, and no other record confirms it.
    pub claimed: u64,
    /// Left to an identity provider, whose logs do not tell of it.
    pub delegated: u64,
    /// Known to be a single factor.
    pub without: u64,
    /// Neither yes nor no.
    pub unknown: u64,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Service {
    /// `vpn`, `idp`, `ssh` …
    pub service: String,
    /// Gateway, host or tenant; the log source where no record names one.
    pub gateway: String,
    pub sources: Vec<String>,
    /// `fully enforced`, `enforced by assertion`, `not shown`, `not enforced`.
    pub standing: String,
    pub counts: Logins,
    /// Of the logins: those of service accounts.
    pub service_account_logins: u64,
    /// Of the logins: those of break-glass accounts.
    pub break_glass_logins: u64,
    pub accounts: u64,
    pub groups: Vec<Group>,
}

/// Tunnel group, policy, realm, portal or application.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Group {
    pub group: String,
    /// By mfa_policy.csv; null where it says nothing.
    pub mfa_required: Option<bool>,
    pub counts: Logins,
    pub accounts: u64,
    pub reasons: Vec<Reason>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    /// `with`, `remembered`, `claimed`, `delegated`, `without`, `unknown`.
    pub kind: String,
    pub id: String,
    pub text: String,
    /// What would end it, or for unknown what would tell.
    pub remedy: String,
    pub logins: u64,
    pub accounts: u64,
    /// A few records.
    pub evidence: Vec<Evidence>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct User {
    pub name: String,
    pub department: String,
    pub role: String,
    pub status: String,
    pub privileged: Option<bool>,
    /// Stands in the directory.
    pub listed: bool,
    pub counts: Logins,
    pub services: Vec<UserAt>,
    /// Factors that were passed.
    pub factors: Vec<String>,
    pub reasons: Vec<Reason>,
    pub last_login: String,
    /// The last login without a factor, or unknown.
    pub last_open: Option<String>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct UserAt {
    pub service: String,
    pub gateway: String,
    pub counts: Logins,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Factors {
    pub stale_after_days: u64,
    pub stale: Vec<Stale>,
    pub phishable_only: Vec<PhishableOnly>,
    pub shared_devices: Vec<SharedDevice>,
    pub enrolments: u64,
    /// Enrolments that nothing earlier could be held against.
    pub enrolments_not_judged: u64,
    pub unusual_enrolments: Vec<Enrolment>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Stale {
    pub name: String,
    /// Empty where only the enrolment is on record.
    pub factor: String,
    pub enrolled: Option<String>,
    pub last_used: Option<String>,
    pub days: u64,
    pub last_login: Option<String>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct PhishableOnly {
    pub name: String,
    pub privileged: Option<bool>,
    pub factors: Vec<String>,
    pub uses: u64,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct SharedDevice {
    /// `factor`: the phone or token that a provider names. `client`: the device from which somebody came in.
    pub used_as: String,
    pub device: String,
    pub accounts: Vec<String>,
    pub first: String,
    pub last: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Enrolment {
    pub name: String,
    pub time: String,
    pub change: String,
    pub detail: String,
    /// Who did it, where it was not the account itself.
    pub by: String,
    pub ip: String,
    pub place: String,
    pub because: Vec<String>,
    pub evidence: Vec<Evidence>,
}

/// What enforcing a factor at one service and group takes away. Break-glass accounts are left out.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Enforce {
    pub service: String,
    pub gateway: String,
    pub group: String,
    pub mfa_required: Option<bool>,
    /// Logins without a factor.
    pub logins_without: u64,
    /// Of those, from public addresses.
    pub from_public: u64,
    pub accounts: u64,
    pub privileged_accounts: u64,
    pub service_accounts: u64,
    /// The commonest first.
    pub because: Vec<Cause>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Cause {
    pub id: String,
    pub text: String,
    pub remedy: String,
    pub logins: u64,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Logging {
    pub source: String,
    pub title: String,
    pub logins: u64,
    /// The product never logs the factor, however it is set.
    pub never_logs_it: bool,
    /// How to turn the product's log on.
    pub how: String,
}

fn time(t: EventTime) -> String {
    t.to_string()
}

fn raw(text: &Untrusted) -> String {
    text.raw().to_owned()
}

fn names(factors: &[Factor]) -> Vec<String> {
    factors.iter().map(|f| f.name().to_owned()).collect()
}

fn evidence(all: &[portreeve_model::case::EvidenceLine]) -> Vec<Evidence> {
    all.iter().map(Evidence::from).collect()
}

impl From<&m::Counts> for Logins {
    fn from(c: &m::Counts) -> Self {
        Logins {
            logins: c.logins,
            with: c.with,
            phishing_resistant: c.resistant,
            phishable: c.phishable,
            remembered: c.remembered,
            claimed: c.claimed,
            delegated: c.delegated,
            without: c.without,
            unknown: c.unknown,
        }
    }
}

impl From<&m::Reason> for Reason {
    fn from(r: &m::Reason) -> Self {
        Reason {
            kind: r.kind.name().to_owned(),
            id: r.because.id().to_owned(),
            text: r.because.text().to_owned(),
            remedy: r.because.remedy().to_owned(),
            logins: r.logins,
            accounts: r.accounts,
            evidence: evidence(&r.examples),
        }
    }
}

impl From<&m::ServiceRow> for Service {
    fn from(s: &m::ServiceRow) -> Self {
        let group = |g: &m::GroupRow| Group {
            group: raw(&g.group),
            mfa_required: g.required,
            counts: Logins::from(&g.counts),
            accounts: g.accounts,
            reasons: g.reasons.iter().map(Reason::from).collect(),
        };
        Service {
            service: s.service.name().to_owned(),
            gateway: raw(&s.gateway),
            sources: s.sources.clone(),
            standing: s.standing.name().to_owned(),
            counts: Logins::from(&s.counts),
            service_account_logins: s.service_accounts,
            break_glass_logins: s.break_glass,
            accounts: s.accounts,
            groups: s.groups.iter().map(group).collect(),
        }
    }
}

impl From<&m::UserRow> for User {
    fn from(u: &m::UserRow) -> Self {
        User {
            name: raw(&u.name),
            department: raw(&u.department),
            role: raw(&u.role),
            status: u.status.clone(),
            privileged: u.privileged,
            listed: u.listed,
            counts: Logins::from(&u.counts),
            services: u
                .services
                .iter()
                .map(|(service, gateway, counts)| UserAt {
                    service: service.name().to_owned(),
                    gateway: raw(gateway),
                    counts: Logins::from(counts),
                })
                .collect(),
            factors: names(&u.factors),
            reasons: u.reasons.iter().map(Reason::from).collect(),
            last_login: time(u.last),
            last_open: u.last_open.map(time),
        }
    }
}

impl From<&m::Factors> for Factors {
    fn from(f: &m::Factors) -> Self {
        Factors {
            stale_after_days: f.stale_after_days,
            stale: f
                .stale
                .iter()
                .map(|s| Stale {
                    name: raw(&s.name),
                    factor: if s.factor == Factor::None { String::new() } else { s.factor.name().to_owned() },
                    enrolled: s.enrolled.map(time),
                    last_used: s.last_used.map(time),
                    days: s.days,
                    last_login: s.last_login.map(time),
                })
                .collect(),
            phishable_only: f
                .phishable_only
                .iter()
                .map(|p| PhishableOnly {
                    name: raw(&p.name),
                    privileged: p.privileged,
                    factors: names(&p.factors),
                    uses: p.uses,
                })
                .collect(),
            shared_devices: f
                .shared
                .iter()
                .map(|d| SharedDevice {
                    used_as: d.used_as.name().to_owned(),
                    device: raw(&d.device),
                    accounts: d.accounts.iter().map(raw).collect(),
                    first: time(d.first),
                    last: time(d.last),
                })
                .collect(),
            enrolments: f.enrolments,
            enrolments_not_judged: f.not_judged,
            unusual_enrolments: f
                .unusual
                .iter()
                .map(|e| Enrolment {
                    name: raw(&e.name),
                    time: time(e.time),
                    change: e.change.name().to_owned(),
                    detail: raw(&e.detail),
                    by: raw(&e.by),
                    ip: if e.ip.is_some() { e.ip.to_string() } else { String::new() },
                    place: raw(&e.place),
                    because: e.because.iter().map(|b| (*b).to_owned()).collect(),
                    evidence: evidence(&e.examples),
                })
                .collect(),
        }
    }
}

impl From<&m::EnforceRow> for Enforce {
    fn from(e: &m::EnforceRow) -> Self {
        let cause = |(because, logins): &(m::Because, u64)| Cause {
            id: because.id().to_owned(),
            text: because.text().to_owned(),
            remedy: because.remedy().to_owned(),
            logins: *logins,
        };
        Enforce {
            service: e.service.name().to_owned(),
            gateway: raw(&e.gateway),
            group: raw(&e.group),
            mfa_required: e.required,
            logins_without: e.without,
            from_public: e.from_public,
            accounts: e.accounts,
            privileged_accounts: e.privileged,
            service_accounts: e.service_accounts,
            because: e.because.iter().map(cause).collect(),
        }
    }
}

impl AuditFile {
    pub fn new(audit: &m::MfaAudit, report: &RunReport) -> AuditFile {
        let users = |all: &[m::UserRow]| all.iter().map(User::from).collect();
        AuditFile {
            schema: SCHEMA.to_owned(),
            read: Read {
                version: report.version.clone(),
                files: report.inputs.len() as u64,
                records: report.totals.records,
                not_understood: report.totals.unknown + report.totals.broken,
                first: report.first.map(time),
                last: report.last.map(time),
                warnings: report.warnings.clone(),
            },
            period: Period { from: audit.from.map(time), until: audit.until.map(time) },
            totals: Logins::from(&audit.totals),
            services: audit.services.iter().map(Service::from).collect(),
            users: users(&audit.users),
            service_accounts: users(&audit.service_accounts),
            break_glass: users(&audit.break_glass),
            factors: Factors::from(&audit.factors),
            enforce_next: audit.enforce_next.iter().map(Enforce::from).collect(),
            logging: audit
                .logging
                .iter()
                .map(|l| Logging {
                    source: l.source.clone(),
                    title: l.title.clone(),
                    logins: l.logins,
                    never_logs_it: l.never,
                    how: l.how.clone(),
                })
                .collect(),
            missing: audit.missing.clone(),
            difference: None,
        }
    }
}

impl Service {
    /// `vpn gw1`, for people.
    pub(super) fn label(&self) -> String {
        label(&self.service, &self.gateway)
    }
}

impl Enforce {
    pub(super) fn label(&self) -> String {
        label(&self.service, &self.gateway)
    }
}

pub(super) fn label(service: &str, gateway: &str) -> String {
    if gateway.is_empty() { service.to_owned() } else { format!("{service} {gateway}") }
}
