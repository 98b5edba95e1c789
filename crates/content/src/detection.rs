//! One detection file.

use crate::story::Entry;
use portreeve_engine::detect::ops::Op;
use portreeve_engine::detect::{Criterion, Detection};
use portreeve_model::signal::{Group, Millideciban};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    id: String,
    title: String,
    technique: Vec<String>,
    row: String,
    group: String,
    /// Decibans.
    points: f64,
    needs: Vec<String>,
    #[serde(default)]
    supports: Option<Criterion>,
    #[serde(default)]
    rule: Option<String>,
    #[serde(default)]
    baseline: bool,
    when: Vec<Op>,
    #[serde(default)]
    unless: Vec<Op>,
    because: String,
    #[serde(default)]
    benign_when: Vec<String>,
    #[serde(default)]
    examples: Vec<Entry>,
}

/// `name` is `family/name.yml`. The file is read through JSON values, because operators are maps of one key.
pub(crate) fn read(name: &str, text: &str) -> Result<(Detection, Vec<Entry>), String> {
    let value: serde_json::Value = yaml_serde::from_str(text).map_err(|e| e.to_string())?;
    let file: File = serde_json::from_value(value).map_err(|e| e.to_string())?;
    let wanted = name.trim_end_matches(".yml").trim_end_matches(".yaml").replace('/', ".");
    if file.id != wanted {
        return Err(format!("id is {}, and by the file's place it must be {wanted}", file.id));
    }
    let group = Group::parse(&file.group).ok_or_else(|| {
        let names: Vec<&str> = Group::ALL.iter().map(|g| g.name()).collect();
        format!("there is no group {}; there are {}", file.group, names.join(", "))
    })?;
    let family = wanted.split('.').next().unwrap_or_default().to_owned();
    let detection = Detection {
        id: file.id,
        title: file.title,
        technique: file.technique,
        family,
        row: file.row,
        group,
        points: Millideciban::from_db(file.points),
        needs: file.needs,
        supports: file.supports,
        rule: file.rule,
        when: file.when,
        unless: file.unless,
        because: file.because,
        benign_when: file.benign_when,
        baseline: file.baseline,
    };
    Ok((detection, file.examples))
}
