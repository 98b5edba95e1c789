//! The report as Markdown, case by case. Everything from logs goes through [`safe`]: no HTML, no links, no broken tables.

use crate::actions::Aftermath;
use crate::{Format, Hunted, handover, wire};
use std::io::{self, Write};

pub(crate) static FORMAT: Format = Format { name: "md", file: "report.md", write };

/// Text from a log inside Markdown: control characters made visible, everything that Markdown or HTML could read
/// as markup escaped.
pub fn safe(text: &str) -> String {
    let clean = portreeve_model::untrusted::escape_for_terminal(text);
    let mut out = String::with_capacity(clean.len() + 8);
    for c in clean.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '(' | ')' | '#' | '|' | '!' | '~' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

fn write(hunted: &Hunted<'_>, to: &mut dyn Write) -> io::Result<()> {
    let report = hunted.report;
    let t = &report.totals;
    writeln!(to, "# Portreeve report\n")?;
    writeln!(
        to,
        "- escalate {}, investigate {}, closed {}",
        report.escalate, report.investigate, report.close
    )?;
    writeln!(
        to,
        "- {} records: {} understood, {} pieces, {} of no concern, {} unknown, {} broken",
        t.records, t.understood, t.fragments, t.irrelevant, t.unknown, t.broken
    )?;
    if let (Some(first), Some(last)) = (report.first, report.last) {
        writeln!(to, "- {first} to {last}")?;
    }
    for missing in &report.missing {
        writeln!(to, "- not judged: {}", safe(missing))?;
    }
    for r in hunted.ineffective() {
        writeln!(
            to,
            "- **CONTAINMENT INEFFECTIVE** {}, case {}: {}",
            safe(&r.step()),
            safe(&r.case_id),
            safe(&r.seen())
        )?;
    }
    for case in hunted.cases {
        one(&hunted.wire(case), to)?;
    }
    Ok(())
}

fn one(c: &wire::Case, to: &mut dyn Write) -> io::Result<()> {
    writeln!(to, "\n## {} {}\n", c.decision.to_uppercase(), safe(&c.title))?;
    writeln!(to, "{}\n", safe(&c.reason))?;
    writeln!(to, "| | |\n|---|---|")?;
    writeln!(to, "| case | {} |", c.case_id)?;
    writeln!(
        to,
        "| who | {} {} {} |",
        safe(&c.principal.name),
        safe(&c.principal.department),
        safe(&c.principal.role)
    )?;
    writeln!(to, "| from | {} |", c.source_ips.join(", "))?;
    writeln!(to, "| time | {} to {} |", c.first_seen, c.last_seen)?;
    writeln!(to, "| risk | {:.1} |\n", c.risk_score)?;
    writeln!(to, "| criterion | state | because |\n|---|---|---|")?;
    for x in &c.criteria {
        let explained = if x.explained.is_empty() {
            String::new()
        } else {
            format!(" (explained: {})", safe(&x.explained.join("; ")))
        };
        writeln!(
            to,
            "| {} {} | {} | {}{explained} |",
            x.number,
            x.id.replace('_', " "),
            x.state,
            safe(&x.because)
        )?;
    }
    writeln!(to, "\n| question | answer | because |\n|---|---|---|")?;
    for q in &c.questions {
        writeln!(to, "| {} | {} | {} |", q.id.replace('_', " "), q.answer, safe(&q.because))?;
    }
    writeln!(to, "\n**Indicators**\n")?;
    for i in &c.indicators {
        writeln!(to, "- {} {} ({:+.1} dB): {}", i.time, safe(&i.id), i.points, safe(&i.because))?;
        for e in i.evidence.iter().take(2) {
            writeln!(
                to,
                "  - {}:{}: {}",
                safe(&e.file),
                e.line,
                safe(&e.raw.chars().take(240).collect::<String>())
            )?;
        }
    }
    for (title, steps) in [("L1", &c.l1_steps), ("T2", &c.t2_actions)] {
        writeln!(to, "\n**{title}**\n")?;
        for s in steps.iter() {
            let next = if s.next.is_empty() { String::new() } else { format!(" Next: {}", safe(&s.next)) };
            writeln!(
                to,
                "- [{}] {}: {}{next}",
                if s.state == "done" { "x" } else { " " },
                safe(&s.title),
                safe(&s.finding)
            )?;
        }
    }
    if !c.containment.is_empty() {
        writeln!(to, "\n**Containment, in this order**\n")?;
        for a in &c.containment {
            let caution =
                if a.caution.is_empty() { String::new() } else { format!(" Caution: {}.", safe(&a.caution)) };
            writeln!(
                to,
                "{}. {}: {}. Leaves open: {}.{caution}",
                a.order,
                a.title,
                safe(&a.target),
                safe(&a.leaves_open)
            )?;
        }
    }
    for m in &c.coverage.missing {
        writeln!(to, "\n- not judged: {}", safe(m))?;
    }
    match &c.aftermath {
        Some(after) => done(c, after, to),
        None => Ok(()),
    }
}

fn done(c: &wire::Case, after: &Aftermath, to: &mut dyn Write) -> io::Result<()> {
    writeln!(to, "\n**What was done**: {}, as of {}\n", after.counts(), safe(&after.as_of))?;
    for r in &c.containment_ineffective {
        writeln!(to, "- **CONTAINMENT INEFFECTIVE** {}: {}", safe(&r.step()), safe(&r.seen()))?;
    }
    if let Some(d) = &after.next_deadline {
        let overdue = if d.overdue { ", **overdue**" } else { "" };
        writeln!(to, "- next deadline {}{overdue}: {}", safe(&d.at), safe(&d.what))?;
    }
    if !after.actions.is_empty() {
        handover::taken(after, to)?;
    }
    for gap in after.open(c) {
        writeln!(to, "- open: {}", safe(&gap))?;
    }
    if !after.sightings.is_empty() {
        writeln!(to, "\nSeen after containment:\n")?;
        handover::seen(after, to)?;
    }
    Ok(())
}
