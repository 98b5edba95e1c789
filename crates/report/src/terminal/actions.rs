//! What was done about a case, and steps that did not hold, on a terminal.

use super::{Style, heading, wrapped};
use crate::actions::{Aftermath, Reentry, Standing};
use crate::{Done, wire};
use anstyle::AnsiColor;
use portreeve_model::untrusted::escape_for_terminal as clean;
use std::io::{self, Write};

/// Steps shown that did not hold, and sightings of a case; the rest is counted.
const SHOWN: usize = 20;

fn alarm(style: Style) -> String {
    style.paint("CONTAINMENT INEFFECTIVE", AnsiColor::Red)
}

/// Above the cases of a hunt: every step that did not hold.
pub(super) fn ineffective(all: &[Reentry], style: Style, width: usize, to: &mut dyn Write) -> io::Result<()> {
    if all.is_empty() {
        return Ok(());
    }
    writeln!(to, "\n{}", alarm(style))?;
    for r in all.iter().take(SHOWN) {
        let text = format!("- {}, case {}: {}", clean(&r.step()), clean(&r.case_id), clean(&r.seen()));
        wrapped(&text, "  ", width, to)?;
    }
    if all.len() > SHOWN {
        writeln!(to, "  … and {} more steps; --out DIR writes them all.", all.len() - SHOWN)?;
    }
    Ok(())
}

/// In the block of a case: which of its steps did not hold, else where its actions stand.
pub(super) fn brief(
    case: &str,
    done: Option<&Done>,
    style: Style,
    width: usize,
    to: &mut dyn Write,
) -> io::Result<()> {
    let Some(done) = done else { return Ok(()) };
    for r in done.reentry_of(case).iter().take(3) {
        wrapped(&format!("{}: {}", alarm(style), clean(&r.step())), "  ", width, to)?;
    }
    match done.after.get(case) {
        Some(after) if !after.actions.is_empty() => {
            let next = after.next_deadline.as_ref().map(|d| {
                let overdue = if d.overdue { " (overdue)" } else { "" };
                format!("; next deadline {}{overdue}: {}", clean(&d.at), clean(&d.what))
            });
            wrapped(&format!("done   {}{}", after.counts(), next.unwrap_or_default()), "  ", width, to)
        }
        _ => Ok(()),
    }
}

/// The section of `explain`.
pub(super) fn done(
    case: &wire::Case,
    after: &Aftermath,
    style: Style,
    width: usize,
    to: &mut dyn Write,
) -> io::Result<()> {
    heading("What was done", style, to)?;
    wrapped(&format!("{}, by the ledger as of {}", after.counts(), clean(&after.as_of)), "  ", width, to)?;
    if let Some(d) = &after.next_deadline {
        let overdue =
            if d.overdue { format!(" ({})", style.paint("overdue", AnsiColor::Red)) } else { String::new() };
        wrapped(&format!("next deadline {}{overdue}: {}", clean(&d.at), clean(&d.what)), "  ", width, to)?;
    }
    for a in &after.actions {
        let colour = match a.standing() {
            Standing::InForce | Standing::Done => AnsiColor::Green,
            Standing::Unproven => AnsiColor::Red,
            Standing::NotDone | Standing::Ended => AnsiColor::Yellow,
        };
        let until = a.ends().map(|u| format!(", until {}", clean(u))).unwrap_or_default();
        let line = format!(
            "{} {} ({}), since {}{until}",
            style.paint(a.standing().name(), colour),
            clean(&a.says()),
            clean(&a.state.replace('_', " ")),
            clean(&a.since)
        );
        wrapped(&line, "  ", width, to)?;
        let undo = if a.is_final { "none, nothing brings back what was" } else { a.undo.as_str() };
        for (name, text) in [
            ("proof", a.proof.as_str()),
            ("connector", &format!("{} ({})", a.connector, a.tested)),
            ("leaves open", &a.leaves_open),
            ("undo", undo),
            ("allowed", &a.allowed()),
            ("plan", &format!("{} step {}", a.plan, a.step)),
        ] {
            if !text.is_empty() {
                wrapped(&format!("{name}: {}", clean(text)), "      ", width, to)?;
            }
        }
    }
    let open = after.open(case);
    if !open.is_empty() {
        writeln!(to, "  open:")?;
        for gap in &open {
            wrapped(&format!("- {}", clean(gap)), "    ", width, to)?;
        }
    }
    if !after.sightings.is_empty() {
        writeln!(to, "  seen after containment:")?;
        let (inside, out): (Vec<_>, Vec<_>) = after.sightings.iter().partition(|s| s.got_in);
        for s in inside.iter().chain(&out).take(SHOWN) {
            let how = if s.got_in { style.paint("GOT IN", AnsiColor::Red) } else { "kept out".to_owned() };
            let line = format!(
                "- {} {how}: {} {} ({})",
                clean(&s.at),
                clean(&s.target),
                clean(&s.what),
                clean(&s.evidence)
            );
            wrapped(&line, "    ", width, to)?;
        }
        if after.sightings.len() > SHOWN {
            writeln!(to, "    … and {} more", after.sightings.len() - SHOWN)?;
        }
    }
    Ok(())
}

/// At the top of `explain`.
pub(super) fn head(
    case: &wire::Case,
    after: Option<&Aftermath>,
    style: Style,
    width: usize,
    to: &mut dyn Write,
) -> io::Result<()> {
    for r in &case.containment_ineffective {
        let of = if r.of_other(&case.case_id) {
            format!(", of case {}", clean(&r.case_id))
        } else {
            String::new()
        };
        let text = format!("{}: {}{of}: {}", alarm(style), clean(&r.step()), clean(&r.seen()));
        wrapped(&text, "", width, to)?;
    }
    if case.containment_ineffective.is_empty() && after.is_some_and(|a| a.inside() > 0) {
        writeln!(to, "{}", alarm(style))?;
    }
    Ok(())
}
