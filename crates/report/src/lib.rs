//! Cases and events as people and programs want them. Wire shapes live here and nowhere else.

pub mod actions;
mod cacao;
pub mod events;
mod guard;
mod handover;
mod html;
mod hunted;
mod ids;
pub mod json;
mod lessons;
mod markdown;
pub mod mfa_audit;
mod misp;
mod origin;
mod stix;
mod technique;
pub mod terminal;
mod timesketch;
pub mod wire;

pub use html::WORLD;
pub use hunted::{Done, Hunted};
pub use markdown::safe as safe_markdown;

use actions::Aftermath;
use std::io::{self, Write};

/// A way to write a hunt's result.
pub struct Format {
    /// As in `--format`.
    pub name: &'static str,
    /// File in `--out`.
    pub file: &'static str,
    pub write: fn(&Hunted<'_>, &mut dyn Write) -> io::Result<()>,
}

pub static FORMATS: &[&Format] = &[&json::CASES, &json::NDJSON, &json::RUN, &html::FORMAT, &markdown::FORMAT];

/// A way to hand one case on, with what was done about it.
pub struct Export {
    /// As in `--to`.
    pub name: &'static str,
    pub title: &'static str,
    pub write: fn(&wire::Case, &Aftermath, &mut dyn Write) -> io::Result<()>,
}

pub static EXPORTS: &[&Export] =
    &[&stix::EXPORT, &misp::EXPORT, &timesketch::EXPORT, &cacao::EXPORT, &handover::EXPORT];

#[cfg(test)]
mod samples;
