//! Documents and layers made from the content.

use crate::Content;
use portreeve_playbook::{escalation::CRITERIA, l1::STEPS, questions::QUESTIONS, t2::ACTIONS};
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

    /// `docs/playbook.md`: where each row of the playbook lives.
    pub fn playbook_markdown(&self) -> String {
        let mut text = String::from(
            "# The playbook, T1133\n\nGenerated from the questions, criteria and steps in code, and the rows that detections name.\n\n## Questions\n\n",
        );
        let mut line = |s: String| {
            text.push_str(&s);
            text.push('\n');
        };
        for q in QUESTIONS {
            line(format!("- `{}`: {}", q.id, q.text));
        }
        line("\n## Decision for escalation\n".to_owned());
        for c in CRITERIA {
            line(format!("- {} `{}`: {}", c.number, c.id, c.text));
        }
        line("\n## L1 steps\n".to_owned());
        STEPS.iter().for_each(|s| line(format!("- `{}`", s.id)));
        line("\n## T2 actions\n".to_owned());
        ACTIONS.iter().for_each(|a| line(format!("- `{}`", a.id)));
        line("\n## Rows and their detections\n".to_owned());
        let mut rows: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for d in &self.detections {
            rows.entry(&d.row).or_default().push(&d.id);
        }
        for (row, ids) in rows {
            line(format!("- {row}: {}", ids.iter().map(|i| format!("`{i}`")).collect::<Vec<_>>().join(", ")));
        }
        text
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
