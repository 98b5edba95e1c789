//! `respond plan`: a case's proposals become orders.

use super::desk::{Desk, now};
use super::{SiteArgs, show};
use crate::{Failure, usage};
use clap::Args;
use portreeve_model::action::ActionKind;
use portreeve_report::wire;
use portreeve_respond::act::Act;
use portreeve_respond::guard::Shared;
use portreeve_respond::operator::Purpose;
use portreeve_respond::plan::{LeftOut, Making, Plan, Proposal};
use portreeve_respond::target::{Device, Stay, Target};
use portreeve_respond::value::{HostName, Net, SessionId, UserName};
use std::path::{Path, PathBuf};

/// Turn a case's proposed containment into a plan; reads every device, changes nothing
#[derive(Args)]
pub(crate) struct PlanArgs {
    /// Case id, or the beginning of one
    case: String,
    /// Directory that `hunt --out` wrote
    #[arg(long = "in", value_name = "DIR", default_value = "report")]
    dir: PathBuf,
    /// How long blocks last
    #[arg(long, value_name = "HOURS", default_value_t = 24)]
    hours: u32,
    /// Only these acts (block_address, disable_account, terminate_session …)
    #[arg(long, value_name = "ACT", value_delimiter = ',')]
    only: Vec<String>,
    /// Heavier acts as well: isolate_device, reset_factors
    #[arg(long, value_name = "ACT", value_delimiter = ',')]
    with: Vec<String>,
    #[arg(long)]
    json: bool,
}

fn acts(names: &[String]) -> Result<Vec<Act>, Failure> {
    names
        .iter()
        .map(|name| {
            Act::by_id(name).ok_or_else(|| {
                let known: Vec<&str> = Act::ALL.iter().map(|a| a.id()).collect();
                usage(format!("`{name}` is none of {}", known.join(", ")))
            })
        })
        .collect()
}

impl PlanArgs {
    pub(crate) fn run(self, site: &SiteArgs) -> Result<u8, Failure> {
        let (only, with) = (acts(&self.only)?, acts(&self.with)?);
        let mut desk = Desk::open(site)?;
        let by = desk.who()?;
        if self.hours == 0 || self.hours > desk.config.policy.max_hours {
            return Err(usage(format!(
                "--hours {}: the policy allows 1 to {}",
                self.hours, desk.config.policy.max_hours
            )));
        }
        let file = cases(&self.dir)?;
        let case = the_case(&file, &self.case, &self.dir)?;
        let plan = make(&mut desk, case, &by, self.hours, &only, &with)?;
        let digest = if plan.steps.is_empty() { plan.digest() } else { propose(&mut desk, &plan)? };
        if self.json {
            let whole = serde_json::json!({"digest": digest, "plan": plan});
            crate::say(&serde_json::to_string_pretty(&whole).map_err(crate::internal)?)?;
        } else {
            show::plan(&plan, &digest, &mut std::io::stdout().lock())?;
        }
        Ok(u8::from(plan.steps.is_empty()))
    }
}

/// What `hunt --out` wrote into a directory.
pub(crate) fn cases(dir: &Path) -> Result<wire::CasesFile, Failure> {
    let path = dir.join("cases.json");
    let text = std::fs::read_to_string(&path).map_err(|e| usage(format!("{}: {e}", path.display())))?;
    portreeve_report::json::read_cases(&text).map_err(|e| usage(format!("{}: {e}", path.display())))
}

/// The one case that begins so.
pub(crate) fn the_case<'f>(
    file: &'f wire::CasesFile,
    prefix: &str,
    dir: &Path,
) -> Result<&'f wire::Case, Failure> {
    let found: Vec<&wire::Case> = file.cases.iter().filter(|c| c.case_id.starts_with(prefix)).collect();
    match found.as_slice() {
        [case] => Ok(case),
        several => Err(usage(format!(
            "{} cases of {} begin with `{prefix}`",
            several.len(),
            dir.join("cases.json").display()
        ))),
    }
}

/// Stores the plan with its proposer's signed word: who proposes cannot be another than who approves in name alone.
fn propose(desk: &mut Desk, plan: &Plan) -> Result<String, Failure> {
    let word = desk.word(Purpose::Propose, &plan.digest(), &format!("proposed for case {}", plan.case))?;
    desk.with(|e| e.propose(plan, &word)).map_err(super::refused)
}

/// Reads every device and writes the plan of a case; nothing is stored or sent.
pub(crate) fn make(
    desk: &mut Desk,
    case: &wire::Case,
    by: &str,
    hours: u32,
    only: &[Act],
    with: &[Act],
) -> Result<Plan, Failure> {
    let mut left_out = Vec::new();
    let mut proposals = Vec::new();
    for action in &case.containment {
        match proposal(action, case) {
            Ok(proposal) => proposals.push(proposal),
            Err(why) => left_out.push(LeftOut {
                act: brief(&action.id),
                target: brief(&action.target),
                device: String::new(),
                why,
            }),
        }
    }
    for proposal in &proposals {
        let Some(net) = proposal.target.net() else { continue };
        let others = case
            .containment
            .iter()
            .filter(|a| a.subject.address.parse::<Net>() == Ok(net))
            .map(|a| a.subject.others)
            .max()
            .unwrap_or(0);
        let ip = net.net().addr();
        let class = desk.tables.as_ref().and_then(|t| t.shared_class(ip)).unwrap_or_default().to_owned();
        if others > 0 || !class.is_empty() {
            desk.guard.shared(ip, Shared { others, class });
        }
    }
    let making = Making {
        case: &case.case_id,
        title: &case.title,
        by,
        now: now(),
        ledger: &desk.ledger,
        guard: &desk.guard,
        policy: &desk.config.policy,
        hours,
        with,
        only,
    };
    let mut plan = Plan::make(&proposals, &mut desk.devices, &making);
    plan.left_out.extend(left_out);
    Ok(plan)
}

/// A refused value may be as long as its writer liked.
fn brief(text: &str) -> String {
    let start: String = text.chars().take(120).collect();
    let more = if start.len() < text.len() { "…" } else { "" };
    portreeve_model::untrusted::escape_for_terminal(&start) + more
}

fn kind(id: &str) -> Option<ActionKind> {
    ActionKind::ALL.into_iter().find(|k| k.id() == id)
}

/// The proposal with its target typed; `Err` says why a value of the logs is refused.
fn proposal(action: &wire::Action, case: &wire::Case) -> Result<Proposal, String> {
    let kind = kind(&action.id).ok_or("no step of this playbook is called so")?;
    let subject = &action.subject;
    let text = |e: portreeve_respond::value::Refused| e.to_string();
    let user = |name: &str| UserName::new(name).map_err(text);
    let target = match kind {
        ActionKind::BlockIp => Target::address(subject.address.parse::<Net>().map_err(text)?),
        ActionKind::QuarantineAccount | ActionKind::ResetPassword | ActionKind::RevokeFactors => {
            Target::account(user(&subject.account)?)
        }
        ActionKind::TerminateSession => Target::Session(Stay {
            user: some(&subject.account, UserName::new).map_err(text)?,
            // Ids that are no id of the product's own form are left out; the rest still names the session.
            id: SessionId::new(subject.session.as_str()).ok(),
            public: subject.address.parse().ok(),
            inner: subject.tunnel_ip.parse().ok(),
            gateway: HostName::new(subject.gateway.as_str()).ok(),
            mac: None,
        }),
        ActionKind::CollectForensics => Target::Device(Device {
            host: Some(HostName::new(subject.host.as_str()).map_err(text)?),
            ..Device::default()
        }),
        ActionKind::EnforceMfa => {
            let name = if subject.gateway.is_empty() { &subject.service } else { &subject.gateway };
            Target::Service { name: user(name)? }
        }
    };
    let aliases = match &target {
        Target::Account { .. } | Target::Session(_) => {
            let person = std::iter::once(&case.principal).chain(&case.principals).find(|p| {
                let mut names = std::iter::once(&p.name).chain(&p.aliases);
                names.any(|n| n.eq_ignore_ascii_case(&subject.account))
            });
            person
                .into_iter()
                .flat_map(|p| std::iter::once(&p.name).chain(&p.aliases))
                .filter(|n| **n != subject.account)
                .filter_map(|n| UserName::new(n.as_str()).ok())
                .collect()
        }
        _ => Vec::new(),
    };
    Ok(Proposal {
        kind,
        target,
        aliases,
        because: action.because.clone(),
        blast_radius: action.blast_radius.clone(),
        caution: action.caution.clone(),
    })
}

fn some<T, E>(text: &str, make: impl Fn(String) -> Result<T, E>) -> Result<Option<T>, E> {
    if text.is_empty() { Ok(None) } else { make(text.to_owned()).map(Some) }
}
