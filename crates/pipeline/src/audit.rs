//! An audit: read, order, fold, and count instead of deciding.

use crate::evidence;
use crate::run::{Options, RunError, close, read_and_fold, stage};
use portreeve_content::Content;
use portreeve_context::Tables;
use portreeve_model::SymbolTable;
use portreeve_model::case::RunReport;
use portreeve_model::mfa_audit::MfaAudit;
use portreeve_playbook::containment::mfa_audit::{Period, audit};
use portreeve_sources::Field;
use std::sync::Arc;

pub struct AuditOutcome {
    pub audit: MfaAudit,
    pub report: RunReport,
}

/// How far a second factor is enforced in the time that `options` name. All that was read is folded, so that what came
/// before the time tells what was usual in it.
pub fn audit_mfa(
    options: &Options<'_>,
    tables: &Tables,
    names: &Arc<SymbolTable>,
    content: &Content,
) -> Result<AuditOutcome, RunError> {
    let period = Period {
        since: options.since.unwrap_or(portreeve_model::EventTime::MIN),
        until: options.until.unwrap_or(portreeve_model::EventTime::MAX),
    };
    let whole = Options {
        paths: options.paths.clone(),
        since: None,
        until: None,
        zone: options.zone.clone(),
        state: None,
        ..*options
    };
    let mut folded = read_and_fold(&whole, tables, names, &mut |_, _| {})?;
    let mut found = audit(&folded.engine, &content.rules(), period);
    for row in &mut found.logging {
        if let Some(source) = options.catalog.by_name(&row.source) {
            row.title = source.title.to_owned();
            row.never = source.lacks.contains(&Field::Mfa);
            row.how = source.enable.to_owned();
        }
    }
    close(&folded.engine, tables, &[], &mut folded.report);
    stage(options, "collecting evidence");
    let mut visit = |with: &mut dyn FnMut(&mut portreeve_model::case::EvidenceLine)| found.each_example(with);
    evidence::fill(&mut visit, &folded.shown, &folded.inputs, options, &mut folded.report);
    Ok(AuditOutcome { audit: found, report: folded.report })
}

#[cfg(test)]
mod tests;
