//! The note for whoever takes a case over: what people made of it, and after that what the engine says.

use super::cases::{self, guarded};
use super::{Fault, Who, look, sheet};
use crate::app::App;
use portreeve_access::permit::Verb;
use portreeve_report::{EXPORTS, wire};
use portreeve_store::CaseId;
use portreeve_store::case::document;
use std::fmt::Write;

/// One case in a form that another program takes, and its media type: `handover`, `stix`, `misp`, `timesketch` or `cacao`.
/// Of several of the engine's cases in one, the one with the highest risk that stands.
pub(crate) fn export(
    app: &App,
    who: &Who,
    number: i64,
    format: &str,
) -> Result<(&'static str, Vec<u8>), Fault> {
    if format == "handover" {
        return Ok(("text/markdown; charset=utf-8", note(app, who, number)?.into_bytes()));
    }
    let text = look(app, who, Verb::ExportMake, &format!("case:{number}"), |tx| {
        let case = guarded(tx, who, Verb::ExportMake, CaseId(number))?;
        let mut parts = document::of_case(tx, case.id)?;
        parts.retain(|d| d.withdrawn_at.is_none());
        Ok(parts.into_iter().map(|d| d.text).collect::<Vec<_>>())
    })?;
    let export = EXPORTS.iter().find(|e| e.name == format);
    let export = export.ok_or_else(|| Fault::not_found("such format"))?;
    let wrong = |e: serde_json::Error| Fault::Inside(format!("document of case {number}: {e}"));
    let cases = text.iter().map(|t| serde_json::from_str::<wire::Case>(t).map_err(wrong));
    let mut cases = cases.collect::<Result<Vec<_>, _>>()?;
    cases.sort_by(|a, b| b.risk_score.total_cmp(&a.risk_score));
    let Some(case) = cases.first() else {
        return Err(Fault::Conflict {
            text: "the engine has withdrawn this case; there is nothing to export".to_owned(),
        });
    };
    let mut out = Vec::new();
    let after = super::containment::aftermath(app, &case.case_id)?;
    (export.write)(case, &after, &mut out).map_err(|e| Fault::Inside(e.to_string()))?;
    let media = if format == "timesketch" { "application/x-ndjson" } else { "application/json" };
    Ok((media, out))
}

/// Markdown.
pub(crate) fn note(app: &App, who: &Who, number: i64) -> Result<String, Fault> {
    look(app, who, Verb::ExportMake, &format!("case:{number}"), |tx| {
        guarded(tx, who, Verb::ExportMake, CaseId(number)).map(|_| ())
    })?;
    let sheet = sheet::read(app, who, number)?;
    let mut text = String::new();
    head(&mut text, &sheet).map_err(|e| Fault::Inside(e.to_string()))?;
    let export = EXPORTS.iter().find(|e| e.name == "handover");
    let export = export.ok_or_else(|| Fault::Inside("no hand-over note can be written".to_owned()))?;
    for part in sheet.whole.parts.iter().filter(|p| p.withdrawn_at.is_none()) {
        let case: wire::Case = serde_json::from_value(part.document.clone())
            .map_err(|e| Fault::Inside(format!("document of case {number}: {e}")))?;
        let mut out = Vec::new();
        (export.write)(&case, &super::containment::aftermath(app, &case.case_id)?, &mut out)
            .map_err(|e| Fault::Inside(e.to_string()))?;
        text.push('\n');
        text.push_str(&String::from_utf8_lossy(&out));
    }
    Ok(text)
}

fn head(to: &mut String, sheet: &sheet::Sheet) -> std::fmt::Result {
    let safe = portreeve_report::safe_markdown;
    let case: &cases::CaseLine = &sheet.whole.case;
    writeln!(to, "# Case {}\n", case.number)?;
    let owner = case.owner.as_ref().map_or("nobody", |o| &o.name);
    writeln!(to, "- {}, {}, owner {}", safe(&case.status), safe(&case.tier), safe(owner))?;
    writeln!(to, "- TLP:{}, PAP:{}", safe(&case.tlp).to_uppercase(), safe(&case.pap).to_uppercase())?;
    for clock in sheet.whole.clocks.iter().filter(|c| c.met_at.is_none()) {
        let late = if clock.is_breached { ", **late**" } else { "" };
        writeln!(to, "- {} until {}{late}", safe(&clock.kind), clock.due)?;
    }
    for decided in sheet.whole.decisions.iter().filter(|d| d.withdrawn_at.is_none()) {
        let (before, now) = (safe(&decided.before), safe(&decided.decision));
        writeln!(to, "- overruled {before} → {now} by {}: {}", safe(&decided.actor), safe(&decided.reason))?;
    }
    writeln!(to, "\n## Steps\n")?;
    for task in &sheet.tasks {
        let finding =
            if task.finding.is_empty() { String::new() } else { format!(": {}", safe(&task.finding)) };
        writeln!(to, "- {} – {}{finding}", safe(&task.title), safe(&task.state))?;
    }
    if !sheet.notes.is_empty() {
        writeln!(to, "\n## Notes\n")?;
    }
    for note in &sheet.notes {
        writeln!(to, "{} {}:\n", note.created_at, safe(&note.author))?;
        for line in note.body.lines() {
            writeln!(to, "> {}", safe(line))?;
        }
        writeln!(to)?;
    }
    Ok(())
}
