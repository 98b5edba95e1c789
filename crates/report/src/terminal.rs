//! The table on a terminal, and the full reasoning of one case as text. Readable at 80 columns, without colour.

mod actions;

use crate::actions::Aftermath;
use crate::{Done, Hunted, wire};
use anstyle::{AnsiColor, Color};
use portreeve_model::answer::Decision;
use portreeve_model::case::{Case, RunReport};
use portreeve_model::untrusted::escape_for_terminal as clean;
use std::fmt::Write as _;
use std::io::{self, Write};

#[derive(Clone, Copy, Debug)]
pub struct Style {
    pub colour: bool,
    /// Columns.
    pub width: u16,
}

impl Style {
    pub(crate) fn paint(self, text: &str, colour: AnsiColor) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let style = anstyle::Style::new().fg_color(Some(Color::Ansi(colour))).bold();
        format!("{style}{text}{style:#}")
    }

    fn decision(self, decision: &str) -> String {
        let colour = match decision {
            "escalate" => AnsiColor::Red,
            "investigate" => AnsiColor::Yellow,
            _ => AnsiColor::Green,
        };
        self.paint(&decision.to_uppercase(), colour)
    }
}

/// Cases shown of each decision; the rest is counted.
const SHOWN: usize = 40;

/// Writes the summary, one block per case, and what could not be judged.
pub fn table(hunted: &Hunted<'_>, style: Style, to: &mut dyn Write) -> io::Result<()> {
    let Hunted { cases, report, done } = *hunted;
    let width = usize::from(style.width.clamp(40, 160));
    summary(report, style, width, to)?;
    actions::ineffective(hunted.ineffective(), style, width, to)?;
    let open: Vec<&Case> = cases.iter().filter(|c| c.decision != Decision::Close).collect();
    let (full, brief): (Vec<&Case>, Vec<&Case>) =
        open.iter().copied().partition(|c| c.decision == Decision::Escalate);
    for case in full.iter().take(SHOWN) {
        block(case, done, style, width, to)?;
    }
    if !brief.is_empty() {
        writeln!(to, "\n{}", "─".repeat(width))?;
        for case in brief.iter().take(SHOWN) {
            row(case, done, style, width, to)?;
        }
    }
    let left = full.len().saturating_sub(SHOWN) + brief.len().saturating_sub(SHOWN);
    if left > 0 {
        writeln!(to, "\n… and {left} more cases; --out DIR writes them all.")?;
    }
    if open.is_empty() {
        writeln!(to, "\nNothing to escalate or investigate.")?;
    }
    if report.close > 0 {
        writeln!(to, "\n{} cases closed by themselves, each with its reason in cases.json.", report.close)?;
    }
    pressure(report, width, to)?;
    missing(report, width, to)?;
    silences(report, width, to)
}

/// When products were silent, and gateways whose clock was off.
fn silences(report: &RunReport, width: usize, to: &mut dyn Write) -> io::Result<()> {
    let silent: Vec<_> = report.sources.iter().filter(|s| !s.gaps.is_empty()).collect();
    let received: Vec<_> = report.inputs.iter().flat_map(|i| i.clocks.iter().map(move |c| (i, c))).collect();
    if silent.is_empty() && report.clocks.is_empty() && received.is_empty() {
        return Ok(());
    }
    writeln!(to, "\nLogs:")?;
    for s in silent.iter().take(8) {
        let gaps: Vec<String> = s
            .gaps
            .iter()
            .take(3)
            .map(|(from, until)| format!("{} to {}", minute(&from.to_string()), minute(&until.to_string())))
            .collect();
        wrapped(&format!("- {}: silent {}", s.source, gaps.join(", ")), "  ", width, to)?;
    }
    for c in report.clocks.iter().take(8) {
        let (by, how) = (c.fast_by_s.abs() / 60, if c.fast_by_s > 0 { "fast" } else { "slow" });
        let text = format!(
            "- the clock of {} was {by} minutes {how} from {} to {}",
            clean(c.gateway.raw()),
            minute(&c.first.to_string()),
            minute(&c.last.to_string())
        );
        wrapped(&text, "  ", width, to)?;
    }
    for (input, c) in received.iter().take(8) {
        let (minutes, ahead) = (c.fast_by_s.abs() / 60, c.fast_by_s > 0);
        let file = clean(input.file.raw());
        let text = match (c.zone, ahead) {
            (true, _) => format!(
                "- {file}: {} writes local time {minutes} minutes {} UTC and names no zone; declare it in log_sources.csv",
                c.source,
                if ahead { "ahead of" } else { "behind" }
            ),
            (false, true) => {
                format!("- {file}: the clock of {} is {minutes} minutes ahead of the collector's", c.source)
            }
            (false, false) => format!(
                "- {file}: {} is {minutes} minutes behind the collector, by its clock or on the way",
                c.source
            ),
        };
        wrapped(&text, "  ", width, to)?;
    }
    Ok(())
}

/// `2026-03-06 09:12` of a full stamp.
fn minute(stamp: &str) -> String {
    stamp.get(..16).unwrap_or(stamp).replace('T', " ")
}

fn summary(report: &RunReport, style: Style, width: usize, to: &mut dyn Write) -> io::Result<()> {
    let t = &report.totals;
    let share = |n: u64| if t.records == 0 { 0.0 } else { n as f64 * 100.0 / t.records as f64 };
    let counts = format!(
        "{} {}   {} {}   closed {}",
        style.decision("escalate"),
        report.escalate,
        style.decision("investigate"),
        report.investigate,
        report.close
    );
    writeln!(to, "{counts}")?;
    let span = match (report.first, report.last) {
        (Some(first), Some(last)) => format!(", {} to {}", day(&first.to_string()), day(&last.to_string())),
        _ => String::new(),
    };
    let read = format!(
        "{} records in {} files{span}: {:.1} % understood or known, {:.1} % not understood; {} sessions of {} accounts.",
        t.records,
        report.inputs.len(),
        share(t.understood + t.fragments + t.irrelevant),
        share(t.unknown + t.broken),
        report.sessions,
        report.principals
    );
    wrapped(&read, "", width, to)?;
    let mut notes = Vec::new();
    for (n, what) in [
        (report.duplicates, "delivered twice"),
        (report.far_future, "far in the future, left out"),
        (report.out_of_range, "outside the time asked for"),
    ] {
        if n > 0 {
            notes.push(format!("{n} {what}"));
        }
    }
    if !notes.is_empty() {
        wrapped(&format!("{}.", notes.join(", ")), "", width, to)?;
    }
    for input in report.inputs.iter().filter(|i| !i.problems.is_empty()).take(8) {
        wrapped(
            &format!("{}: {}", clean(input.file.raw()), clean(&input.problems.join("; "))),
            "  ",
            width,
            to,
        )?;
    }
    Ok(())
}

/// A case that waits: what it is and the first of why.
fn row(case: &Case, done: Option<&Done>, style: Style, width: usize, to: &mut dyn Write) -> io::Result<()> {
    let head = format!(
        "{}  {}  risk {:.0}  {}",
        style.decision(case.decision.name()),
        case.id,
        case.risk_score,
        clean(case.title.raw())
    );
    wrapped(&head, "", width, to)?;
    wrapped(&clean(case.reason.raw()), "  ", width, to)?;
    actions::brief(&case.id, done, style, width, to)
}

fn block(case: &Case, done: Option<&Done>, style: Style, width: usize, to: &mut dyn Write) -> io::Result<()> {
    writeln!(to, "\n{}", "─".repeat(width))?;
    let head = format!(
        "{}  {}  {}  risk {:.0}",
        style.decision(case.decision.name()),
        case.id,
        clean(case.principal.name.raw()),
        case.risk_score
    );
    writeln!(to, "{head}")?;
    wrapped(&clean(case.title.raw()), "", width, to)?;
    wrapped(&clean(case.reason.raw()), "  ", width, to)?;
    let from: Vec<String> = case
        .source_ips
        .iter()
        .take(3)
        .map(|(ip, p)| {
            let place =
                [clean(p.city.raw()), p.country.text().to_owned(), clean(p.as_name.raw()), p.network.clone()];
            format!("{ip} ({})", place.into_iter().filter(|t| !t.is_empty()).collect::<Vec<_>>().join(", "))
        })
        .collect();
    if !from.is_empty() {
        wrapped(&format!("from   {}", from.join("; ")), "  ", width, to)?;
    }
    wrapped(&format!("time   {} to {}", second(case.first_seen), second(case.last_seen)), "  ", width, to)?;
    let met: Vec<String> = case
        .criteria
        .iter()
        .map(|c| format!("{} {} {}", c.number, c.id.replace('_', " "), c.state.state()))
        .collect();
    wrapped(&met.join(" · "), "  ", width, to)?;
    for question in case.questions.iter().take(3) {
        let mark = match question.answer.answer() {
            "yes" => style.paint("yes", AnsiColor::Yellow),
            other => other.to_owned(),
        };
        wrapped(
            &format!("{:24} {mark}: {}", question.label, clean(question.because.raw())),
            "  ",
            width,
            to,
        )?;
    }
    actions::brief(&case.id, done, style, width, to)
}

/// To the second; the case itself keeps the rest.
fn second(time: portreeve_model::EventTime) -> String {
    let text = time.to_string();
    match text.split_once('.') {
        Some((whole, _)) => format!("{whole}Z"),
        None => text,
    }
}

fn day(time: &str) -> &str {
    time.get(..10).unwrap_or(time)
}

fn pressure(report: &RunReport, width: usize, to: &mut dyn Write) -> io::Result<()> {
    if report.pressure.is_empty() {
        return Ok(());
    }
    let attempts: u64 = report.pressure.iter().map(|p| p.attempts).sum();
    writeln!(to)?;
    wrapped(
        &format!(
            "Pressure without success: {attempts} failed attempts from {} addresses, most from:",
            report.pressure.len()
        ),
        "",
        width,
        to,
    )?;
    for p in report.pressure.iter().take(3) {
        writeln!(to, "  {:40} {:>8} attempts on {} accounts", clean(p.what.raw()), p.attempts, p.accounts)?;
    }
    Ok(())
}

fn missing(report: &RunReport, width: usize, to: &mut dyn Write) -> io::Result<()> {
    if report.missing.is_empty() && report.warnings.is_empty() {
        return Ok(());
    }
    writeln!(to, "\nCould not be judged:")?;
    for text in report.missing.iter().chain(report.warnings.iter().take(10)) {
        wrapped(&format!("- {}", clean(text)), "  ", width, to)?;
    }
    Ok(())
}

/// Breaks a line at blanks so that it fits; escapes of colour take no room.
pub(crate) fn wrapped(text: &str, indent: &str, width: usize, to: &mut dyn Write) -> io::Result<()> {
    let mut line = String::from(indent);
    let mut used = indent.len();
    for word in text.split(' ') {
        let shown = visible(word);
        if used > indent.len() && used + 1 + shown > width {
            writeln!(to, "{line}")?;
            line = format!("{indent}  ");
            used = indent.len() + 2;
        } else if used > indent.len() {
            line.push(' ');
            used += 1;
        }
        line.push_str(word);
        used += shown;
    }
    writeln!(to, "{line}")
}

fn visible(word: &str) -> usize {
    let (mut n, mut escape) = (0, false);
    for c in word.chars() {
        match c {
            '\u{1b}' => escape = true,
            'm' if escape => escape = false,
            _ if escape => {}
            _ => n += 1,
        }
    }
    n
}

/// The full reasoning of one case, and what was done about it where that is known.
pub fn explain(case: &wire::Case, after: Option<&Aftermath>, style: Style) -> String {
    let width = usize::from(style.width.clamp(40, 160));
    let mut text = Vec::new();
    // Writing into memory does not fail.
    drop(explained(case, after, style, width, &mut text));
    String::from_utf8_lossy(&text).into_owned()
}

fn explained(
    c: &wire::Case,
    after: Option<&Aftermath>,
    style: Style,
    width: usize,
    to: &mut dyn Write,
) -> io::Result<()> {
    writeln!(to, "{}  {}  risk {:.1}", style.decision(&c.decision), c.case_id, c.risk_score)?;
    actions::head(c, after, style, width, to)?;
    wrapped(&clean(&c.title), "", width, to)?;
    wrapped(&clean(&c.reason), "", width, to)?;
    let p = &c.principal;
    let about: Vec<String> =
        [&p.department, &p.role, &p.status].into_iter().filter(|t| !t.is_empty()).map(|t| clean(t)).collect();
    wrapped(
        &format!(
            "{} ({}); {} to {}; decided on evidence of {}",
            clean(&p.name),
            about.join(", "),
            c.first_seen,
            c.last_seen,
            c.detected_at
        ),
        "",
        width,
        to,
    )?;
    heading("Score", style, to)?;
    writeln!(to, "  prior {:>9.1} dB", c.prior_db)?;
    for g in &c.groups {
        let clamped = if (g.raw_db - g.db).abs() > 0.0005 {
            format!("  (before the clamp {:.1})", g.raw_db)
        } else {
            String::new()
        };
        writeln!(to, "  {:10} {:>+5.1} dB{clamped}", g.group, g.db)?;
    }
    writeln!(to, "  together {:>+6.1} dB", c.score_db)?;
    heading("Criteria", style, to)?;
    for x in &c.criteria {
        wrapped(
            &format!("{} {}: {}. {}", x.number, x.id.replace('_', " "), x.state, clean(&x.because)),
            "  ",
            width,
            to,
        )?;
        for e in &x.explained {
            wrapped(&format!("explained by {}", clean(e)), "    ", width, to)?;
        }
    }
    heading("Questions", style, to)?;
    for q in &c.questions {
        let known = if q.known_by.is_empty() { String::new() } else { format!(" [{}]", clean(&q.known_by)) };
        wrapped(
            &format!("{}: {}. {}{known}", q.id.replace('_', " "), q.answer, clean(&q.because)),
            "  ",
            width,
            to,
        )?;
        for n in &q.needs {
            wrapped(&format!("needs {}", clean(n)), "    ", width, to)?;
        }
    }
    heading("Indicators", style, to)?;
    for i in &c.indicators {
        wrapped(
            &format!(
                "{} {} ({:+.1} dB, {}, {}): {}",
                i.time,
                i.id,
                i.points,
                i.group,
                i.technique.join(" "),
                clean(&i.because)
            ),
            "  ",
            width,
            to,
        )?;
        for e in &i.explained {
            wrapped(&format!("explained by {}", clean(e)), "    ", width, to)?;
        }
        for e in i.evidence.iter().take(3) {
            writeln!(to, "      {}:{}", clean(&e.file), e.line)?;
            let raw: String = clean(&e.raw).chars().take(300).collect();
            wrapped(&raw, "        ", width, to)?;
        }
    }
    heading("Sessions", style, to)?;
    for s in &c.sessions {
        let mark = if s.suspect { "suspect" } else { s.standing.as_str() };
        let end = s.end.as_deref().unwrap_or("open");
        let mut line = String::new();
        write!(
            line,
            "{} {mark}: {} {} {} from {}",
            s.id,
            s.service,
            clean(&s.gateway),
            clean(&s.group),
            s.public_ips.join(", ")
        )
        .unwrap_or_default();
        if !s.tunnel_ips.is_empty() {
            write!(line, " as {}", s.tunnel_ips.join(", ")).unwrap_or_default();
        }
        write!(line, ", {} to {end} ({}), MFA {}: {}", s.start, s.end_reason, s.mfa, clean(&s.mfa_known_by))
            .unwrap_or_default();
        wrapped(&line, "  ", width, to)?;
    }
    for (title, steps) in [("L1 steps", &c.l1_steps), ("T2 actions", &c.t2_actions)] {
        heading(title, style, to)?;
        for s in steps.iter() {
            wrapped(
                &format!(
                    "[{}] {}: {}",
                    if s.state == "done" { "x" } else { " " },
                    s.title,
                    clean(&s.finding)
                ),
                "  ",
                width,
                to,
            )?;
            if !s.next.is_empty() {
                wrapped(&format!("next: {}", clean(&s.next)), "      ", width, to)?;
            }
        }
    }
    heading("Containment, in this order", style, to)?;
    for a in &c.containment {
        wrapped(
            &format!(
                "{}. {}: {}. Leaves open: {}. Touches: {}",
                a.order,
                a.title,
                clean(&a.target),
                clean(&a.leaves_open),
                clean(&a.blast_radius)
            ),
            "  ",
            width,
            to,
        )?;
        if !a.caution.is_empty() {
            wrapped(&format!("caution: {}", clean(&a.caution)), "     ", width, to)?;
        }
    }
    if let Some(after) = after {
        actions::done(c, after, style, width, to)?;
    }
    if !c.coverage.missing.is_empty() {
        heading("Could not be judged", style, to)?;
        for m in &c.coverage.missing {
            wrapped(&format!("- {}", clean(m)), "  ", width, to)?;
        }
    }
    Ok(())
}

pub(crate) fn heading(text: &str, style: Style, to: &mut dyn Write) -> io::Result<()> {
    writeln!(to, "\n{}", style.paint(text, AnsiColor::Cyan))
}
