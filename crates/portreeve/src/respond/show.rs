//! Plans, states and reports for a person at a terminal. Everything from devices and logs is escaped.

use crate::{Failure, say};
use portreeve_model::untrusted::escape_for_terminal as safe;
use portreeve_respond::approve::Allowed;
use portreeve_respond::execute::{Reconciled, Report, StepReport};
use portreeve_respond::ledger::audit::Audit;
use portreeve_respond::ledger::{Kind, Ledger, StepState};
use portreeve_respond::plan::Plan;
use std::io::Write;

pub(crate) use portreeve_respond::plan::short;
pub(crate) use portreeve_server::contain::record::time;

pub(crate) fn plan(plan: &Plan, digest: &str, out: &mut impl Write) -> Result<(), Failure> {
    writeln!(out, "plan {}  case {}  {}", short(digest), safe(&plan.case), safe(&plan.title))?;
    writeln!(
        out,
        "proposed by {} at {}; needs {} {} or above",
        safe(&plan.made_by),
        time(plan.made_at),
        if plan.need.people == 1 {
            "one approval by".to_owned()
        } else {
            format!("{} approvals by", plan.need.people)
        },
        plan.need.tier
    )?;
    for step in &plan.steps {
        writeln!(
            out,
            "\n{}. {}: {}  at {} ({}, {})",
            step.number,
            step.order.act.title(),
            step.order.target,
            safe(&step.device),
            step.connector,
            step.proof
        )?;
        let mut line = |name: &str, text: &str| -> Result<(), Failure> {
            if !text.is_empty() {
                writeln!(out, "   {name:12} {}", safe(text))?;
            }
            Ok(())
        };
        line("because", &step.because)?;
        line("now", &step.seen.says)?;
        line("resolved to", &step.seen.ids.join(", "))?;
        for request in &step.requests {
            line("sends", request)?;
        }
        line("effect", &step.effect)?;
        line("leaves open", &step.leaves_open)?;
        line("also hits", &step.blast_radius)?;
        let weights: Vec<&str> = step.weights.iter().map(|w| w.says()).collect();
        line("heavy", &weights.join("; "))?;
        line("caution", &step.caution)?;
        if let Some(until) = step.order.until {
            line("until", &time(until))?;
        }
        line("undo", if step.is_final { "none: nothing brings back what was" } else { &step.undo })?;
        line("needs", &format!("{} × {}", step.need.people, step.need.tier))?;
    }
    if !plan.left_out.is_empty() {
        writeln!(out, "\nnot in the plan:")?;
        for left in &plan.left_out {
            let at =
                if left.device.is_empty() { String::new() } else { format!(" at {}", safe(&left.device)) };
            writeln!(out, "  {} {}{at}: {}", safe(&left.act), safe(&left.target), safe(&left.why))?;
        }
    }
    if plan.steps.is_empty() {
        writeln!(out, "\nnothing to do: no step is left")?;
    } else {
        writeln!(out, "\ndigest {digest}")?;
    }
    Ok(())
}

pub(crate) fn report(plan: &Plan, report: &Report) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match &report.allowed {
        Allowed::By(people) => writeln!(out, "approved by {}", people.join(", "))?,
        Allowed::BreakGlass { by, reason } => {
            writeln!(out, "EMERGENCY: allowed by {} alone: {}", safe(by), safe(reason))?;
        }
        Allowed::Automation { name, signed_by } => {
            writeln!(out, "automation {}, signed by {}", safe(name), signed_by.join(", "))?;
        }
    }
    for step in &report.steps {
        one(plan, step, &mut out)?;
        if let Some(secret) = &step.handover {
            writeln!(out, "   shown once, kept nowhere: {}", secret.expose())?;
        }
    }
    let proven = report.steps.iter().filter(|s| s.state == StepState::Verified).count();
    writeln!(out, "{proven} of {} steps proven; watched for {} hours", report.steps.len(), plan.watch_hours)?;
    Ok(())
}

pub(crate) fn undone(plan: &Plan, steps: &[StepReport]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    steps.iter().try_for_each(|step| one(plan, step, &mut out))
}

fn one(plan: &Plan, step: &StepReport, out: &mut impl Write) -> Result<(), Failure> {
    let what = plan.step_of(step.number).map_or_else(String::new, |s| {
        format!("{} {} at {}", s.order.act.id(), s.order.target, safe(&s.device))
    });
    writeln!(out, "{:>3}. {:18} {what}", step.number, step.state.name().to_uppercase())?;
    if !step.why.is_empty() {
        writeln!(out, "     {}", safe(&step.why))?;
    }
    Ok(())
}

pub(crate) fn status(ledger: &Ledger, prefix: Option<&str>, open: bool, json: bool) -> Result<u8, Failure> {
    let plans = match prefix {
        Some(prefix) => vec![ledger.find(prefix).map_err(crate::usage)?],
        None => ledger.plans().map_err(crate::internal)?.into_iter().map(|(d, _)| d).collect(),
    };
    let mut all = Vec::new();
    let mut troubled = false;
    let mut text = String::new();
    for digest in &plans {
        let plan = ledger.plan(digest).map_err(crate::internal)?;
        let states = ledger.states(&plan, digest).map_err(crate::internal)?;
        if open && !states.iter().any(|s| s.state.may_be_in_force()) {
            continue;
        }
        let entries = ledger.of_plan(digest).map_err(crate::internal)?;
        let reentries = entries.iter().filter(|e| e.kind == Kind::Reentry).count();
        text.push_str(&format!("plan {}  case {}  {}\n", short(digest), safe(&plan.case), safe(&plan.title)));
        for word in ledger.words(digest).map_err(crate::internal)? {
            text.push_str(&format!(
                "  {}  {} {}: {}\n",
                time(word.at),
                safe(&word.by),
                word.purpose.name(),
                safe(&word.reason)
            ));
        }
        let mut steps = Vec::new();
        for (step, record) in plan.steps.iter().zip(&states) {
            troubled |= matches!(
                record.state,
                StepState::NotEffective
                    | StepState::Unknown
                    | StepState::UndoNotEffective
                    | StepState::UndoUnknown
                    | StepState::UndoFailed
            );
            let until = step.order.until.map(|u| format!(", until {}", time(u))).unwrap_or_default();
            text.push_str(&format!(
                "{:>3}. {:18} {} {} at {} ({}){until}\n",
                step.number,
                record.state.name().to_uppercase(),
                step.order.act.id(),
                step.order.target,
                safe(&step.device),
                step.proof
            ));
            if !record.why.is_empty() {
                text.push_str(&format!("     {}  {}\n", time(record.at), safe(&record.why)));
            }
            steps.push(serde_json::json!({
                "number": step.number, "act": step.order.act.id(), "target": step.order.target,
                "device": step.device, "connector": step.connector, "proof": step.proof,
                "state": record.state, "since": time(record.at), "why": record.why,
                "until": step.order.until.map(time), "attempts": record.attempts, "undo": step.undo,
            }));
        }
        if reentries > 0 {
            troubled = true;
            text.push_str(&format!(
                "  {reentries} sightings after containment; see `portreeve respond watch`\n"
            ));
        }
        all.push(serde_json::json!({"digest": digest, "case": plan.case, "title": plan.title, "steps": steps, "sightings": reentries}));
    }
    if json {
        say(&serde_json::to_string_pretty(&all).map_err(crate::internal)?)?;
    } else if text.is_empty() {
        say(if open { "nothing is in force" } else { "no plan yet" })?;
    } else {
        say(&text)?;
    }
    Ok(u8::from(troubled))
}

pub(crate) fn round(round: &Reconciled) -> Result<bool, Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{} in force; {} expired, {} restored, {} released, {} not in force, {} unknown, {} not ours",
        round.in_force,
        round.expired.len(),
        round.restored.len(),
        round.released.len(),
        round.not_in_force.len(),
        round.unknown.len(),
        round.strangers.len()
    )?;
    for (word, list) in [
        ("expired", &round.expired),
        ("restored", &round.restored),
        ("released (protected now)", &round.released),
        ("NOT IN FORCE", &round.not_in_force),
        ("unknown", &round.unknown),
        ("not ours, left alone", &round.strangers),
    ] {
        for what in list {
            writeln!(out, "  {word}: {}", safe(what))?;
        }
    }
    Ok(!round.not_in_force.is_empty() || !round.unknown.is_empty())
}

pub(crate) fn audit(audit: &Audit, signed: bool) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{} entries, {} plans, {} words, {} checkpoints: {}",
        audit.entries,
        audit.plans,
        audit.words,
        audit.checkpoints,
        if audit.faults.is_empty() { "whole".to_owned() } else { format!("{} faults", audit.faults.len()) }
    )?;
    for fault in &audit.faults {
        writeln!(out, "  {}", safe(fault))?;
    }
    for refused in &audit.refused {
        writeln!(out, "  refused: {}", safe(refused))?;
    }
    if !signed {
        writeln!(out, "without checkpoint_key a ledger that was written anew as a whole cannot be told")?;
    }
    Ok(())
}
