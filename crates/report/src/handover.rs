//! A note for whoever takes the case over: what is decided, in force, due, open and learnt. Text from logs goes
//! through [`safe`].

use crate::actions::Aftermath;
use crate::markdown::safe;
use crate::{Export, lessons, wire};
use std::io::{self, Write};

pub(crate) static EXPORT: Export = Export { name: "handover", title: "hand-over note, Markdown", write };

fn write(case: &wire::Case, after: &Aftermath, to: &mut dyn Write) -> io::Result<()> {
    writeln!(to, "# Hand-over: {}\n", safe(&case.title))?;
    state(case, after, to)?;
    decision(case, to)?;
    questions(case, to)?;
    actions(after, to)?;
    open(case, after, to)?;
    sightings(after, to)?;
    learnt(case, after, to)
}

fn state(case: &wire::Case, after: &Aftermath, to: &mut dyn Write) -> io::Result<()> {
    writeln!(to, "| | |\n|---|---|")?;
    writeln!(to, "| case | {} |", safe(&case.case_id))?;
    writeln!(to, "| decision | {}, risk {:.0} |", safe(&case.decision), case.risk_score)?;
    let who = [&case.principal.name, &case.principal.department, &case.principal.role];
    let who: Vec<String> = who.into_iter().filter(|t| !t.is_empty()).map(|t| safe(t)).collect();
    writeln!(to, "| who | {} |", who.join(", "))?;
    writeln!(to, "| from | {} |", safe(&case.source_ips.join(", ")))?;
    writeln!(to, "| time | {} to {} |", safe(&case.first_seen), safe(&case.last_seen))?;
    if after.ledger_read {
        writeln!(to, "| containment | {} |", after.counts())?;
        let inside = after.inside();
        if inside > 0 {
            writeln!(to, "| **CONTAINMENT INEFFECTIVE** | got in after it: {inside} |")?;
        }
    } else {
        writeln!(to, "| containment | not known: no ledger was given |")?;
    }
    match &after.next_deadline {
        Some(d) if d.overdue => {
            writeln!(to, "| **next deadline** | {}, **overdue**: {} |", safe(&d.at), safe(&d.what))?;
        }
        Some(d) => writeln!(to, "| next deadline | {}: {} |", safe(&d.at), safe(&d.what))?,
        None => writeln!(to, "| next deadline | none |")?,
    }
    if !after.as_of.is_empty() {
        writeln!(to, "| as of | {} |", safe(&after.as_of))?;
    }
    Ok(())
}

fn decision(case: &wire::Case, to: &mut dyn Write) -> io::Result<()> {
    writeln!(to, "\n## Decision\n\n{}: {}\n", safe(&case.decision.to_uppercase()), safe(&case.reason))?;
    for c in &case.criteria {
        let explained = if c.explained.is_empty() {
            String::new()
        } else {
            format!(" (explained: {})", safe(&c.explained.join("; ")))
        };
        writeln!(to, "- {} {}: {}{explained}", safe(&c.number), safe(&c.state), safe(&c.because))?;
    }
    Ok(())
}

fn questions(case: &wire::Case, to: &mut dyn Write) -> io::Result<()> {
    writeln!(to, "\n## Open questions\n")?;
    let mut none = true;
    for q in case.questions.iter().filter(|q| q.answer == "unknown") {
        none = false;
        let needs = if q.needs.is_empty() {
            String::new()
        } else {
            format!(" Needs: {}.", safe(&q.needs.join("; ")))
        };
        writeln!(to, "- {} Unknown: {}.{needs}", safe(&q.text), safe(&q.because))?;
    }
    for s in case.l1_steps.iter().chain(&case.t2_actions).filter(|s| s.state == "open") {
        none = false;
        let next = if s.next.is_empty() { String::new() } else { format!(" Next: {}", safe(&s.next)) };
        writeln!(to, "- [ ] {}.{next}", safe(&s.title))?;
    }
    nothing(none, to)
}

fn actions(after: &Aftermath, to: &mut dyn Write) -> io::Result<()> {
    writeln!(to, "\n## Actions\n")?;
    if !after.ledger_read {
        return writeln!(to, "Not known: no ledger was given.");
    }
    taken(after, to)
}

/// Every action with where it stands.
pub(crate) fn taken(after: &Aftermath, to: &mut dyn Write) -> io::Result<()> {
    nothing(after.actions.is_empty(), to)?;
    for a in &after.actions {
        let until = a.ends().map(|until| format!(", until {}", safe(until))).unwrap_or_default();
        writeln!(
            to,
            "- **{}** {} ({}), since {}{until}",
            a.standing().name(),
            safe(&a.says()),
            safe(&a.state.replace('_', " ")),
            safe(&a.since)
        )?;
        let by = if a.approved_by.is_empty() { "nobody".to_owned() } else { safe(&a.approved_by.join(", ")) };
        let how = if a.emergency { "EMERGENCY, allowed alone by" } else { "approved by" };
        let undo = if a.is_final { "none, nothing brings back what was".to_owned() } else { safe(&a.undo) };
        for (name, text) in [
            ("proof", safe(&a.proof)),
            ("connector", format!("{} ({}), {}", safe(&a.connector), safe(&a.tested), safe(&a.d3fend))),
            ("leaves open", safe(&a.leaves_open)),
            ("undo", undo),
            (how, by),
            ("plan", format!("{} step {}", safe(&a.plan), a.step)),
        ] {
            if !text.is_empty() {
                writeln!(to, "  - {name}: {text}")?;
            }
        }
    }
    Ok(())
}

fn open(case: &wire::Case, after: &Aftermath, to: &mut dyn Write) -> io::Result<()> {
    writeln!(to, "\n## Gaps\n")?;
    let contained = after.open(case);
    for gap in &contained {
        writeln!(to, "- containment: {}", safe(gap))?;
    }
    for missing in &case.coverage.missing {
        writeln!(to, "- evidence: {}", safe(missing))?;
    }
    nothing(contained.is_empty() && case.coverage.missing.is_empty(), to)
}

fn sightings(after: &Aftermath, to: &mut dyn Write) -> io::Result<()> {
    writeln!(to, "\n## Seen after containment\n")?;
    if !after.ledger_read {
        return writeln!(to, "Not known: no ledger was given.");
    }
    seen(after, to)
}

pub(crate) fn seen(after: &Aftermath, to: &mut dyn Write) -> io::Result<()> {
    for s in &after.sightings {
        writeln!(
            to,
            "- {} {}: {} {} ({})",
            safe(&s.at),
            if s.got_in { "**got in**" } else { "kept out" },
            safe(&s.target),
            safe(&s.what),
            safe(&s.evidence)
        )?;
    }
    nothing(after.sightings.is_empty(), to)
}

fn learnt(case: &wire::Case, after: &Aftermath, to: &mut dyn Write) -> io::Result<()> {
    let lessons = lessons::of(case, after);
    writeln!(to, "\n## Lessons\n\nDetections that fired:\n")?;
    for i in &lessons.fired {
        writeln!(to, "- {} {} ({:+.1} dB): {}", safe(&i.time), safe(&i.id), i.points, safe(&i.because))?;
    }
    nothing(lessons.fired.is_empty(), to)?;
    writeln!(to, "\nFirst missed chance:\n")?;
    let chance = &lessons.chance;
    match &chance.first_sign {
        None => writeln!(to, "- no sign has a time")?,
        Some((at, what)) => {
            writeln!(to, "- first sign: {at} {}", safe(what))?;
            match &chance.to_decision {
                Some(span) => writeln!(
                    to,
                    "- the evidence sufficed {span} later, at {}: until then it was a sign and no case",
                    safe(&case.detected_at)
                )?,
                None => writeln!(to, "- the evidence sufficed with it: no chance was missed before")?,
            }
            match (&chance.to_containment, after.contained_at()) {
                (Some(span), Some(at)) => {
                    writeln!(to, "- the first effect was proven {span} after it, at {}", safe(at))?
                }
                (_, Some(at)) => writeln!(to, "- the first effect was proven at {}", safe(at))?,
                (_, None) if after.ledger_read => writeln!(to, "- no effect of containment is proven")?,
                (_, None) => writeln!(to, "- when it was contained is not known")?,
            }
        }
    }
    writeln!(to, "\nSuggested changes:\n")?;
    for s in &lessons.suggestions {
        writeln!(to, "- {}", safe(s))?;
    }
    nothing(lessons.suggestions.is_empty(), to)
}

/// An empty section says so.
fn nothing(is_empty: bool, to: &mut dyn Write) -> io::Result<()> {
    if is_empty { writeln!(to, "None.") } else { Ok(()) }
}
