//! `cases.json`, `cases.ndjson`, `run.json`, and the schema they follow.

pub use crate::wire::{Case as WireCase, CasesFile};
use crate::wire::{Run, SCHEMA};
use crate::{Format, Hunted, guard};
use std::io::{self, Write};

pub static CASES: Format = Format { name: "json", file: "cases.json", write: cases };
pub static NDJSON: Format = Format { name: "ndjson", file: "cases.ndjson", write: ndjson };
pub static RUN: Format = Format { name: "run", file: "run.json", write: run };

fn cases(hunted: &Hunted<'_>, to: &mut dyn Write) -> io::Result<()> {
    let file = CasesFile {
        schema: SCHEMA.to_owned(),
        run: Run::from(hunted.report),
        cases: hunted.cases.iter().map(|c| hunted.wire(c)).collect(),
        containment_ineffective: hunted.ineffective().to_vec(),
    };
    guard::json(&file, true, to)
}

fn ndjson(hunted: &Hunted<'_>, to: &mut dyn Write) -> io::Result<()> {
    for case in hunted.cases {
        guard::json(&hunted.wire(case), false, to)?;
    }
    Ok(())
}

fn run(hunted: &Hunted<'_>, to: &mut dyn Write) -> io::Result<()> {
    guard::json(&Run::from(hunted.report), true, to)
}

/// JSON Schema (2020-12) of `cases.json`.
pub fn schema() -> String {
    let schema = schemars::schema_for!(CasesFile);
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

/// Reads a `cases.json` back.
pub fn read_cases(text: &str) -> Result<CasesFile, String> {
    let file: CasesFile =
        serde_json::from_str(text).map_err(|e| format!("{e}; this is no cases.json of this version"))?;
    if file.schema != SCHEMA {
        return Err(format!("schema is {}, this version reads {SCHEMA}", file.schema));
    }
    Ok(file)
}
