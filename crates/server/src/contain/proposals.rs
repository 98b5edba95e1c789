//! A case's proposed containment, as typed proposals, and the plan that is made of them.

use portreeve_context::Tables;
use portreeve_model::action::ActionKind;
use portreeve_report::wire;
use portreeve_respond::act::Act;
use portreeve_respond::approve::Policy;
use portreeve_respond::config::Devices;
use portreeve_respond::guard::{Guard, Shared};
use portreeve_respond::ledger::Ledger;
use portreeve_respond::plan::{LeftOut, Making, Plan, Proposal};
use portreeve_respond::target::{Device, Stay, Target};
use portreeve_respond::value::{HostName, Net, SessionId, UserName};

/// What a plan is made with.
pub struct Scene<'a> {
    pub tables: Option<&'a Tables>,
    pub guard: &'a mut Guard,
    pub devices: &'a mut Devices,
    pub ledger: &'a Ledger,
    pub policy: &'a Policy,
}

/// What somebody asks a plan for.
pub struct Asked<'a> {
    pub by: &'a str,
    /// Microseconds since 1970, UTC.
    pub now: i64,
    /// How long blocks last.
    pub hours: u32,
    /// Only these acts; empty: all.
    pub only: &'a [Act],
    /// Heavier acts as well.
    pub with: &'a [Act],
}

/// Acts by their ids.
pub fn acts(names: &[String]) -> Result<Vec<Act>, String> {
    names
        .iter()
        .map(|name| {
            Act::by_id(name).ok_or_else(|| {
                let known: Vec<&str> = Act::ALL.iter().map(|a| a.id()).collect();
                format!("`{name}` is none of {}", known.join(", "))
            })
        })
        .collect()
}

/// Reads every device and writes the plan of a case; nothing is stored or sent.
pub fn plan(case: &wire::Case, asked: &Asked<'_>, scene: &mut Scene<'_>) -> Plan {
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
        let class = scene.tables.and_then(|t| t.shared_class(ip)).unwrap_or_default().to_owned();
        if others > 0 || !class.is_empty() {
            scene.guard.shared(ip, Shared { others, class });
        }
    }
    let making = Making {
        case: &case.case_id,
        title: &case.title,
        by: asked.by,
        now: asked.now,
        ledger: scene.ledger,
        guard: scene.guard,
        policy: scene.policy,
        hours: asked.hours,
        with: asked.with,
        only: asked.only,
    };
    let mut plan = Plan::make(&proposals, scene.devices, &making);
    plan.left_out.extend(left_out);
    plan
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
