//! The examples that a detection carries: short stories that it must fire on, and look-alikes on which it must not.
//!
//! ```yaml
//! examples:
//!   - fires: three accounts fail, then one gets in           # what the story shows
//!     story:
//!       - anna works 10d vpn from home                       # ten ordinary days, until yesterday
//!       - -50m bob,carol,anna fails vpn from hosting every 1m
//!       - 0 anna enters vpn from hosting
//!   - silent: everybody mistypes behind the office's line    # a look-alike
//!     story: [ … ]
//!   - boundary: five failures                                # the threshold, from both sides
//!     story: [ … what both sides share … ]
//!     below: [ … ]                                           # just short of it: silent
//!     at: [ … ]                                              # exactly at it: fires
//! ```
//!
//! A line is: time, who, verb, what, particulars, and a command or name of an API in backquotes. `examples/world.yml`
//! has all names. What `works` tells is the past: what a detection says of it does not count.

mod step;
mod words;
mod world;

pub(crate) use world::read as read_world;
pub use world::{World, WorldContext};

use portreeve_engine::detect::Detection;
use portreeve_engine::detect::ops::Op;
use portreeve_model::{Event, EventTime, Sym, SymbolTable};
use serde::Deserialize;
use std::sync::Arc;

/// What a detection says to a story.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expect {
    Fires,
    Silent,
}

/// One story and what is expected of it.
#[derive(Clone, Debug)]
pub struct Example {
    /// Id of the detection.
    pub detection: String,
    /// What the story shows.
    pub title: String,
    pub expect: Expect,
    /// One side of a threshold.
    pub boundary: bool,
    pub lines: Vec<String>,
}

/// An entry of `examples:`, as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    #[serde(default)]
    fires: Option<String>,
    #[serde(default)]
    silent: Option<String>,
    #[serde(default)]
    boundary: Option<String>,
    story: Vec<String>,
    #[serde(default)]
    below: Vec<String>,
    #[serde(default)]
    at: Vec<String>,
}

impl Entry {
    fn examples(self, detection: &str) -> Result<Vec<Example>, String> {
        let example = |title: &str, expect, boundary, more: &[String]| Example {
            detection: detection.to_owned(),
            title: title.to_owned(),
            expect,
            boundary,
            lines: self.story.iter().chain(more).cloned().collect(),
        };
        let sides = !self.below.is_empty() || !self.at.is_empty();
        match (&self.fires, &self.silent, &self.boundary) {
            (Some(title), None, None) if !sides => Ok(vec![example(title, Expect::Fires, false, &[])]),
            (None, Some(title), None) if !sides => Ok(vec![example(title, Expect::Silent, false, &[])]),
            (None, None, Some(title)) if !self.below.is_empty() && !self.at.is_empty() => Ok(vec![
                example(title, Expect::Silent, true, &self.below),
                example(title, Expect::Fires, true, &self.at),
            ]),
            _ => Err(
                "an example is one of `fires: title`, `silent: title`, or `boundary: title` with `below:` and `at:`"
                    .to_owned(),
            ),
        }
    }
}

/// The examples of a detection, each line understood.
pub(crate) fn read(detection: &str, entries: Vec<Entry>, world: &World) -> Result<Vec<Example>, String> {
    let mut examples = Vec::new();
    for (n, entry) in (1..).zip(entries) {
        let read = entry.examples(detection).map_err(|e| format!("example {n}: {e}"))?;
        for example in &read {
            example.told(world, &SymbolTable::new()).map_err(|e| format!("example {n}: {e}"))?;
        }
        examples.extend(read);
    }
    Ok(examples)
}

/// A story as events in total order.
pub struct Story {
    pub events: Vec<Event>,
    /// Begin and account of the sessions of the ordinary past, sorted.
    past: Vec<(EventTime, u32)>,
}

impl Story {
    /// Does this session belong to the ordinary past, which is told only to be known?
    pub fn is_past(&self, start: EventTime, principal: Sym) -> bool {
        self.past.binary_search(&(start, principal.0)).is_ok()
    }
}

impl Example {
    pub fn told(&self, world: &World, names: &Arc<SymbolTable>) -> Result<Story, String> {
        let (mut events, mut past) = (Vec::new(), Vec::new());
        for line in &self.lines {
            let told = step::read(line, world, names).map_err(|e| format!("`{line}`: {e}"))?;
            if told.past {
                past.extend(told.events.iter().map(|e| (e.time, e.user.0)));
            }
            events.extend(told.events);
        }
        step::number(&mut events);
        past.sort_unstable();
        Ok(Story { events, past })
    }
}

/// Does it count, measure or compare, so that it has an edge to show from both sides?
pub fn has_threshold(detection: &Detection) -> bool {
    fn of(op: &Op) -> bool {
        match op {
            Op::Failures { .. }
            | Op::MfaDenials { .. }
            | Op::FactorChange { .. }
            | Op::Travel { .. }
            | Op::Overlap { .. }
            | Op::Concurrent { .. }
            | Op::Dormant { .. }
            | Op::RareHour { .. }
            | Op::Orphan { .. }
            | Op::FailedHosts { .. }
            | Op::Alert { .. }
            | Op::CreatedBefore { .. } => true,
            Op::Hosts { count, within, .. } => count.min > Some(1) || count.max.is_some() || within.is_some(),
            Op::Commands { count, .. } => count.min > Some(1),
            Op::Listed { min_confidence, .. } => *min_confidence > 0,
            Op::UsedByOthers { accounts, .. } => accounts.min > Some(1),
            Op::Apis { count, .. } => count.min > Some(1),
            Op::AnyOf(ops) => ops.iter().any(of),
            Op::Not(op) => of(op),
            _ => false,
        }
    }
    detection.when.iter().chain(&detection.unless).any(of)
}

/// The detection with each of its alternatives alone, where it has any: every one of them must be reachable.
pub fn alternatives(detection: &Detection) -> Vec<Detection> {
    let mut found = Vec::new();
    for (n, op) in detection.when.iter().enumerate() {
        let Op::AnyOf(ops) = op else { continue };
        for op in ops {
            let mut alone = detection.clone();
            alone.when[n] = op.clone();
            found.push(alone);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world() -> World {
        read_world(include_str!("../../../../content/examples/world.yml")).unwrap_or_else(|e| panic!("{e}"))
    }

    fn told(line: &str) -> Result<Story, String> {
        let example = Example {
            detection: String::new(),
            title: String::new(),
            expect: Expect::Fires,
            boundary: false,
            lines: vec![line.to_owned()],
        };
        example.told(&world(), &SymbolTable::new())
    }

    #[test]
    fn a_line_stands_for_several_events() {
        let count = |line| told(line).map(|s| s.events.len());
        assert_eq!(count("-1h anna,bob fails vpn from hosting x3 every 30s"), Ok(6));
        assert_eq!(count("0 anna reaches app1..4,dc1 by rdp from 10.8.0.5"), Ok(5));
        // A session has a begin and an end.
        assert_eq!(count("anna works 10d vpn from home"), Ok(20));
    }

    #[test]
    fn what_is_not_in_the_world_is_an_error() {
        for (line, word) in [
            ("0 ana enters vpn from home", "ana"),
            ("0 anna entres vpn from home", "entres"),
            ("0 anna enters vnp from home", "vnp"),
            ("0 anna enters vpn from hoem", "hoem"),
            ("0 anna enters vpn form home", "form"),
            ("0 anna enters vpn from 198.51.100.20", "198.51.100.20"),
            ("0 anna reaches app41", "app41"),
            ("anna enters vpn from home", "time"),
            ("0 anna enters vpn from", "value"),
        ] {
            let error = told(line).err().unwrap_or_default();
            assert!(error.contains(&format!("`{word}`")) || error.contains(word), "{line}: {error}");
        }
    }
}
