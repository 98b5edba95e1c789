//! Reads cases as `hunt` writes them, as far as scoring needs them. Field names vary a little between versions.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::IpAddr;
use std::path::Path;

use serde_json::Value;

use crate::SimError;
use crate::clock::Millis;
use crate::evaluate::Lines;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Decision {
    Close,
    #[default]
    Investigate,
    Escalate,
}

impl Decision {
    fn parse(text: &str) -> Decision {
        match text.to_lowercase().as_str() {
            "escalate" | "escalated" => Decision::Escalate,
            "close" | "closed" | "benign" | "dismiss" => Decision::Close,
            _ => Decision::Investigate,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Decision::Close => "close",
            Decision::Investigate => "investigate",
            Decision::Escalate => "escalate",
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) decision: Decision,
    pub(crate) risk: f64,
    /// Canonical account names, and the spellings as given in lower case.
    pub(crate) principals: BTreeSet<String>,
    pub(crate) ips: BTreeSet<String>,
    pub(crate) first: Option<Millis>,
    pub(crate) last: Option<Millis>,
    /// Quoted records: base name of the file, line or record.
    pub(crate) records: BTreeSet<(String, u64)>,
    pub(crate) answers: BTreeMap<String, String>,
    pub(crate) criteria: BTreeMap<String, String>,
}

/// An account name without domain, realm and case; the last part of an ARN.
pub(crate) fn canonical(name: &str) -> String {
    let text = name.to_lowercase();
    let text = text.rsplit('\\').next().unwrap_or_default().trim();
    let text = if text.starts_with("arn:") { text.rsplit('/').next().unwrap_or_default() } else { text };
    text.split('@').next().unwrap_or_default().trim().to_owned()
}

/// RFC 3339 text to milliseconds since 1970.
pub(crate) fn instant(text: &str) -> Option<Millis> {
    text.parse::<jiff::Timestamp>().ok().map(|t| t.as_millisecond())
}

fn time(value: &Value) -> Option<Millis> {
    match value {
        Value::String(text) => instant(text),
        Value::Number(number) => {
            let mut seconds = number.as_f64().filter(|n| n.is_finite())?;
            while seconds.abs() > 1e11 {
                seconds /= 1000.0;
            }
            Some((seconds * 1000.0) as Millis)
        }
        _ => None,
    }
}

fn field<'v>(value: &'v Value, names: &[&str]) -> Option<&'v Value> {
    names.iter().find_map(|n| value.get(*n)).filter(|v| !v.is_null())
}

fn list(value: Option<&Value>) -> Vec<&Value> {
    match value {
        None => Vec::new(),
        Some(Value::Array(items)) => items.iter().collect(),
        Some(one) => vec![one],
    }
}

fn base_name(file: &str) -> String {
    let file = file.replace('\\', "/");
    let name = file.rsplit('/').next().unwrap_or_default();
    name.strip_suffix(".gz").unwrap_or(name).to_owned()
}

/// Every `{file, line}` or `{file, record}` in the case, wherever it is.
fn records(value: &Value, into: &mut BTreeSet<(String, u64)>, depth: u8) {
    if depth > 16 {
        return;
    }
    match value {
        Value::Object(map) => {
            if let Some(file) = map.get("file").or_else(|| map.get("path")).and_then(Value::as_str) {
                let trail = file.to_lowercase().contains("cloudtrail");
                let number =
                    if trail { map.get("record") } else { map.get("line").or_else(|| map.get("record")) };
                if let Some(number) = number.and_then(Value::as_u64) {
                    into.insert((base_name(file), number));
                }
            }
            for inner in map.values() {
                records(inner, into, depth + 1);
            }
        }
        Value::Array(items) => {
            for inner in items {
                records(inner, into, depth + 1);
            }
        }
        _ => {}
    }
}

fn verdicts(value: Option<&Value>, ids: &[&str], values: &[&str]) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    let text = |v: &Value| match v {
        Value::String(s) => s.trim().to_lowercase(),
        other => other.to_string(),
    };
    match value {
        Some(Value::Object(map)) => {
            for (id, inner) in map {
                let answer = if inner.is_object() { field(inner, values) } else { Some(inner) };
                if let Some(answer) = answer {
                    out.insert(id.clone(), text(answer));
                }
            }
        }
        other => {
            for item in list(other) {
                if let (Some(id), Some(answer)) =
                    (field(item, ids).and_then(Value::as_str), field(item, values))
                {
                    out.insert(id.to_owned(), text(answer));
                }
            }
        }
    }
    out
}

impl Case {
    pub(crate) fn of(value: &Value, number: usize) -> Case {
        let mut case = Case {
            id: field(value, &["case_id", "id"]).map_or_else(
                || format!("#{number}"),
                |v| v.as_str().map_or_else(|| v.to_string(), str::to_owned),
            ),
            risk: field(value, &["risk_score", "risk", "score"]).and_then(Value::as_f64).unwrap_or(0.0),
            ..Case::default()
        };
        let decision = field(value, &["decision", "verdict"]);
        let decision = decision.and_then(|d| d.as_str().or_else(|| d.get("outcome").and_then(Value::as_str)));
        case.decision = decision.map(Decision::parse).unwrap_or_default();
        for key in ["principal", "principals", "users", "user", "account"] {
            for item in list(value.get(key)) {
                let names: Vec<&str> = match item {
                    Value::String(name) => vec![name],
                    other => ["name", "id", "canonical", "user", "username", "upn", "email", "account"]
                        .iter()
                        .filter_map(|n| other.get(*n).and_then(Value::as_str))
                        .collect(),
                };
                for name in names.into_iter().filter(|n| !n.is_empty()) {
                    case.principals.insert(canonical(name));
                    case.principals.insert(name.to_lowercase());
                }
            }
        }
        for item in list(field(value, &["source_ips", "ips", "source_ip"])) {
            let text = item
                .as_str()
                .or_else(|| field(item, &["ip", "address", "value", "addr"]).and_then(Value::as_str));
            if let Some(text) = text {
                let ip = text
                    .trim()
                    .parse::<IpAddr>()
                    .map_or_else(|_| text.to_owned(), |ip| ip.to_canonical().to_string());
                case.ips.insert(ip);
            }
        }
        case.first = field(value, &["first_seen", "start", "from"]).and_then(time);
        case.last = field(value, &["last_seen", "end", "to"]).and_then(time).or(case.first);
        case.first = case.first.or(case.last);
        records(value, &mut case.records, 0);
        case.answers =
            verdicts(field(value, &["questions", "answers"]), &["id", "question"], &["answer", "value"]);
        case.criteria =
            verdicts(value.get("criteria"), &["id", "criterion", "question"], &["state", "value"]);
        case
    }
}

/// Cases of a file: an array, an object with `cases`, or one object a line.
pub(crate) fn read(path: &Path) -> Result<Vec<Case>, SimError> {
    let text =
        fs::read_to_string(path).map_err(|cause| SimError::Read { path: path.to_path_buf(), cause })?;
    let text = text.trim_start_matches('\u{feff}');
    let broken = |line: usize, cause: String| SimError::Cases { path: path.to_path_buf(), line, cause };
    let values: Vec<Value> = match serde_json::from_str::<Value>(text) {
        Ok(Value::Array(items)) => items,
        Ok(Value::Object(mut map)) => match map.remove("cases").or_else(|| map.remove("results")) {
            Some(Value::Array(items)) => items,
            Some(_) => return Err(broken(1, "`cases` is not a list".to_owned())),
            None if map.is_empty() => Vec::new(),
            None => vec![Value::Object(map)],
        },
        Ok(_) => return Err(broken(1, "neither a list nor an object".to_owned())),
        Err(whole) => {
            let mut values = Vec::new();
            for (number, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
                match serde_json::from_str::<Value>(line) {
                    Ok(value) => values.push(value),
                    // A document that is broken in the middle is named by its own error, not by its first line.
                    Err(_) if values.is_empty() => return Err(broken(whole.line(), whole.to_string())),
                    Err(cause) => return Err(broken(number + 1, cause.to_string())),
                }
            }
            values
        }
    };
    Ok(values.iter().enumerate().map(|(number, value)| Case::of(value, number + 1)).collect())
}

/// `lines.csv` beside the labels; empty where there is none.
pub(crate) fn labelled_lines(truth: &Path) -> Lines {
    let folder = if truth.is_file() { truth.parent().unwrap_or(Path::new(".")) } else { truth };
    let found = [folder.join("lines.csv"), folder.join("labels/lines.csv")].into_iter().find(|p| p.is_file());
    let mut lines = Lines::new();
    let text = found.and_then(|p| fs::read_to_string(p).ok()).unwrap_or_default();
    for row in text.lines().skip(1) {
        // The file name never holds a comma; simulate writes no quotes here.
        let cells: Vec<&str> = row.split(',').collect();
        if let [incident, file, line] = cells[..]
            && let Ok(line) = line.trim().parse()
        {
            lines.entry(incident.to_owned()).or_default().insert((base_name(file), line));
        }
    }
    lines
}
