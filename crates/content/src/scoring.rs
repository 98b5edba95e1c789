//! `scoring/groups.yml`: prior, marks, clamps. All in decibans.

use portreeve_engine::score::Scoring;
use portreeve_model::signal::{Group, Millideciban};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    prior_db: f64,
    marks: Marks,
    groups: BTreeMap<String, Clamp>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Marks {
    case_db: f64,
    investigate_db: f64,
    escalate_db: f64,
    confirm_db: f64,
    teach_below_db: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Clamp {
    min: f64,
    max: f64,
    /// Why this group has these bounds: for people.
    #[serde(rename = "why")]
    _why: String,
}

pub(crate) fn read(text: &str) -> Result<Scoring, String> {
    let file: File = yaml_serde::from_str(text).map_err(|e| e.to_string())?;
    let mut clamps = Vec::new();
    for (name, clamp) in &file.groups {
        let group = Group::parse(name).ok_or_else(|| format!("there is no group {name}"))?;
        if clamp.min > clamp.max {
            return Err(format!("group {name}: min is above max"));
        }
        clamps.push((group, Millideciban::from_db(clamp.min), Millideciban::from_db(clamp.max)));
    }
    let db = Millideciban::from_db;
    Ok(Scoring {
        prior: db(file.prior_db),
        clamps,
        case_mark: db(file.marks.case_db),
        investigate_mark: db(file.marks.investigate_db),
        escalate_mark: db(file.marks.escalate_db),
        confirm_mark: db(file.marks.confirm_db),
        teach_below: db(file.marks.teach_below_db),
    })
}
