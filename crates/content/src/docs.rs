//! Documents and layers made from the content.

use crate::Content;
use portreeve_engine::detect::{Criterion, Detection};
use std::collections::BTreeMap;
use std::fmt::Write;

impl Content {
    /// `docs/detections.md`.
    pub fn detections_markdown(&self) -> String {
        let mut text = String::from(
            "# Detections\n\nGenerated from `content/detections`. Points are decibans before the clamp of their group.\n",
        );
        let mut family = "";
        for d in &self.detections {
            if d.family != family {
                family = &d.family;
                text.push_str(&format!("\n## {family}\n\n| id | title | technique | group | points | needs | may be benign when |\n|---|---|---|---|---|---|---|\n"));
            }
            let rule = d.rule.as_deref().map_or(String::new(), |r| format!(" (rule `{r}`)"));
            text.push_str(&format!(
                "| `{}` | {}{rule} | {} | {} | {} | {} | {} |\n",
                d.id,
                d.title,
                d.technique.join(" "),
                d.group.name(),
                d.points.db(),
                d.needs.join(", "),
                d.benign_when.join("; ")
            ));
        }
        text
    }

    /// `docs/playbook.md`: the playbook row by row, and what answers each.
    pub fn playbook_markdown(&self) -> String {
        let book = &self.playbook;
        let mut text = format!(
            "# The playbook: {}, {}\n\nGenerated from `content/playbooks/{}.yml` and the rows that detections name. \
             Quoted is the playbook; below each quotation stands what Portreeve does about it.\n\n\
             Tactics: {}. Technique: {}.\n",
            book.name,
            book.id,
            book.id,
            book.tactics.join(", "),
            book.technique
        );
        let part = |text: &mut String, title: &str, says: &str| {
            text.push_str(&format!("\n## {title}\n\n> {}\n\n", says.trim()));
        };
        part(&mut text, "Log sources to investigate", &book.log_sources.says);
        for row in &book.log_sources.rows {
            text.push_str(&format!("- {}: [`{}`](sources.md#{})\n", row.text, row.id, row.id));
        }

        part(&mut text, "Key indicators", &book.indicators.says);
        for row in &book.indicators.rows {
            text.push_str(&format!("### {}\n\n", row.text));
            self.list(&mut text, |d| d.row == format!("indicators.{}", row.id));
        }
        text.truncate(text.trim_end().len() + 1);

        part(&mut text, "Questions for analysis", &book.questions.says);
        text.push_str(
            "Each is answered yes, no or unknown, with the records behind the answer; unknown says what is missing. \
             The last four are asked by other rows of the playbook.\n\n",
        );
        for q in &book.questions.rows {
            let asked = if q.row == "questions" { String::new() } else { format!(" (row `{}`)", q.row) };
            text.push_str(&format!(
                "### {}\n\n`{}`{asked}\n\n- *Yes*: {}.\n- *No*: {}.\n- *Unknown*: {}.\n\n",
                q.text.trim(),
                q.id,
                q.yes,
                q.no,
                q.unknown
            ));
            let criterion = book.escalation.rows.iter().find(|c| q.row == format!("escalation.{}", c.id));
            match criterion {
                Some(c) => text.push_str(&format!("Detections: those of {} below.\n\n", c.number)),
                None => self.list(&mut text, |d| d.row == format!("questions.{}", q.id)),
            }
        }
        text.truncate(text.trim_end().len() + 1);

        part(&mut text, "Decision for escalation", &book.escalation.says);
        text.push_str(
            "A criterion is true, false or unknown. The decision is escalate, investigate or close, and says why.\n\n",
        );
        for c in &book.escalation.rows {
            text.push_str(&format!("### {}. {}\n\n`{}`\n\n", c.number, c.text, c.id));
            self.list(&mut text, |d| {
                d.row == format!("escalation.{}", c.id) || d.supports.is_some_and(|s| criterion(s) == c.id)
            });
        }
        text.truncate(text.trim_end().len() + 1);

        for (title, part_of) in [("Additional steps for L1", &book.l1), ("T2 analyst actions", &book.t2)] {
            part(&mut text, title, &part_of.says);
            text.push_str("Done as far as the logs allow; what stays open says what a person does next.\n\n");
            for row in &part_of.rows {
                text.push_str(&format!("- {} (`{}`)\n", row.text, row.id));
            }
        }

        part(&mut text, "Containment", &book.containment.says);
        text.push_str(
            "Proposed in the order that works, each with its target, what it leaves open and whom it touches.\n\n",
        );
        for (n, row) in (1..).zip(&book.containment.rows) {
            text.push_str(&format!("{n}. **{}** (`{}`). {}.\n", row.title, row.id, row.text));
        }
        text
    }

    /// The detections that serve a row, as a list.
    fn list(&self, text: &mut String, serves: impl Fn(&Detection) -> bool) {
        let found: Vec<&Detection> = self.detections.iter().filter(|d| serves(d)).collect();
        if !found.is_empty() {
            text.push_str("Detections:\n\n");
        }
        for d in &found {
            text.push_str(&format!("- `{}`: {}\n", d.id, d.title));
        }
        if !found.is_empty() {
            text.push('\n');
        }
    }

    /// An ATT&CK Navigator layer (format 4.5): how many detections name each technique.
    pub fn navigator(&self) -> String {
        let mut counts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for d in &self.detections {
            for t in &d.technique {
                counts.entry(t).or_default().push(&d.id);
            }
        }
        let techniques: Vec<serde_json::Value> =
            counts.iter().map(|(t, ids)| serde_json::json!({"techniqueID": t, "score": ids.len(), "comment": ids.join(", ")})).collect();
        let most = counts.values().map(Vec::len).max().unwrap_or(1);
        let layer = serde_json::json!({
            "name": "Portreeve detections",
            "versions": {"layer": "4.5", "navigator": "5.0.0"},
            "domain": "enterprise-attack",
            "description": "Techniques that Portreeve's detections name",
            "gradient": {"colors": ["#dceefb", "#0b4f8a"], "minValue": 0, "maxValue": most},
            "techniques": techniques,
        });
        let mut text = String::new();
        // A value made here always writes.
        write!(text, "{layer:#}").unwrap_or_default();
        text
    }
}

/// The criterion's id in the playbook.
fn criterion(supports: Criterion) -> &'static str {
    match supports {
        Criterion::KnownMaliciousRange => "known_malicious_range",
        Criterion::BaselineAnomaly => "baseline_anomaly",
        Criterion::LateralMovement => "lateral_movement",
        Criterion::PrivilegeInconsistentWithRole => "privilege_inconsistent_with_role",
    }
}
