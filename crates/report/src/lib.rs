//! Cases and events as people and programs want them. Wire shapes live here and nowhere else.

pub mod events;
mod guard;
mod html;
pub mod json;
mod markdown;
pub mod mfa_audit;
pub mod terminal;
pub mod wire;

use portreeve_model::case::{Case, RunReport};
use std::io::{self, Write};

/// A way to write a hunt's result.
pub struct Format {
    /// As in `--format`.
    pub name: &'static str,
    /// File in `--out`.
    pub file: &'static str,
    pub write: fn(&[Case], &RunReport, &mut dyn Write) -> io::Result<()>,
}

pub static FORMATS: &[&Format] = &[&json::CASES, &json::NDJSON, &json::RUN, &html::FORMAT, &markdown::FORMAT];
