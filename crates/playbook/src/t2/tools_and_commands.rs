//! External tools and commands of the session.

use super::T2Action;
use crate::view::{Answer, CaseView, Taken, lines};
use portreeve_engine::fold::infrastructure::SeenKind;

pub(super) static ACTION: T2Action = T2Action { id: "tools_and_commands", take };

fn take(case: &CaseView<'_>, _: &[(&'static str, Answer)]) -> Taken {
    let mut deeds: Vec<_> = case.suspects().flat_map(|s| &s.deeds).collect();
    deeds.sort_by_key(|d| (d.time, d.evidence.raw));
    let shown: Vec<String> = deeds
        .iter()
        .take(15)
        .map(|d| {
            let what = if d.change.name().is_empty() {
                String::new()
            } else {
                format!("{} ", d.change.name().replace('_', " "))
            };
            let detail: String = case.text(d.detail).chars().take(120).collect();
            format!("{} {what}{detail} {}", d.time, case.text(d.target)).trim_end().to_owned()
        })
        .collect();
    let covered = case.engine.seen(SeenKind::Commands) || !deeds.is_empty();
    let finding = match (shown.is_empty(), covered) {
        (false, _) => shown.join("; "),
        (true, true) => "command logs were read and have nothing of the session".to_owned(),
        (true, false) => "no log of commands was read".to_owned(),
    };
    let evidence: Vec<_> = deeds.iter().take(12).map(|d| d.evidence).collect();
    Taken {
        done: covered,
        finding: finding.into(),
        next: if covered {
            "".into()
        } else {
            "Get Sysmon, auditd or EDR process logs of the hosts reached.".into()
        },
        evidence: lines(&evidence),
    }
}
