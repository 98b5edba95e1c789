//! What a later run must know of this one: the events themselves, in total order, with their names and files.
//!
//! Keeping the events and folding them again makes "a month at once" and "day by day" the same by construction;
//! it costs about 60 bytes an event, and a fold of some millions a second when a run starts. Layout of
//! `events.v1`: magic, then a checksum of the rest, then names, inputs and events, each counted. It is written
//! beside the old file and renamed over it, so a crash leaves one or the other.

use crate::codec::{self, Bytes, Damaged};
use crate::discover::Input;
use portreeve_model::{Event, EventTime, Sym, SymbolTable};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MAGIC: &[u8; 8] = b"PRTRV\0\0\x01";
const FILE: &str = "events.v1";

#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("{path}: {error}")]
    Io { path: String, error: io::Error },
    #[error("{path}: this is no state of this version, or it is damaged; move it away to start anew")]
    Damaged { path: String },
}

/// The state directory of a run.
pub(crate) struct StateDir {
    dir: PathBuf,
    inputs: Vec<String>,
    /// This run's input numbers to the state's.
    renumbered: Vec<u32>,
    known: Vec<Event>,
    fresh: Vec<Event>,
}

impl StateDir {
    pub(crate) fn open(dir: &Path, names: &Arc<SymbolTable>) -> Result<StateDir, StateError> {
        let io = |error| StateError::Io { path: dir.display().to_string(), error };
        fs::create_dir_all(dir).map_err(io)?;
        let mut state = StateDir {
            dir: dir.to_owned(),
            inputs: Vec::new(),
            renumbered: Vec::new(),
            known: Vec::new(),
            fresh: Vec::new(),
        };
        let path = dir.join(FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(state),
            Err(error) => return Err(StateError::Io { path: path.display().to_string(), error }),
        };
        state.read(&bytes, names).map_err(|_| StateError::Damaged { path: path.display().to_string() })?;
        Ok(state)
    }

    fn read(&mut self, bytes: &[u8], names: &Arc<SymbolTable>) -> Result<(), Damaged> {
        let rest = bytes.strip_prefix(MAGIC.as_slice()).ok_or(Damaged)?;
        let (sum, rest) = rest.split_first_chunk::<8>().ok_or(Damaged)?;
        if u64::from_le_bytes(*sum) != portreeve_sources::content_key(rest) {
            return Err(Damaged);
        }
        let mut b = Bytes(rest);
        let mut map: BTreeMap<u32, Sym> = BTreeMap::new();
        for _ in 0..b.varint()? {
            let number = u32::try_from(b.varint()?).map_err(|_| Damaged)?;
            map.insert(number, names.intern(&text(&mut b)?));
        }
        for _ in 0..b.varint()? {
            self.inputs.push(text(&mut b)?);
        }
        let mut before = EventTime(0);
        for _ in 0..b.varint()? {
            let mut event = codec::get(&mut b, before)?;
            before = event.time;
            codec::renumber(&mut event, |s| map.get(&s.0).copied().unwrap_or(Sym::NONE));
            self.known.push(event);
        }
        Ok(())
    }

    /// Adds this run's inputs; returns the shown names of all, by the state's numbers.
    pub(crate) fn take_inputs(&mut self, inputs: &[Input]) -> Vec<String> {
        for input in inputs {
            let at = self.inputs.iter().position(|known| *known == input.shown).unwrap_or_else(|| {
                self.inputs.push(input.shown.clone());
                self.inputs.len() - 1
            });
            self.renumbered.push(u32::try_from(at).unwrap_or(u32::MAX));
        }
        self.inputs.clone()
    }

    /// What earlier runs knew, in total order.
    pub(crate) fn events(&mut self) -> Result<std::vec::IntoIter<Event>, StateError> {
        Ok(self.known.clone().into_iter())
    }

    /// The state's number of one of this run's inputs.
    pub(crate) fn number(&self, input: u32) -> u32 {
        self.renumbered.get(input as usize).copied().unwrap_or(input)
    }

    pub(crate) fn keep(&mut self, event: &Event) {
        self.fresh.push(event.clone());
    }

    /// Writes everything known, old and new.
    pub(crate) fn commit(mut self, names: &Arc<SymbolTable>) -> Result<(), StateError> {
        let mut events = std::mem::take(&mut self.known);
        events.append(&mut self.fresh);
        events.sort_by(crate::runs::order);
        events.dedup_by(|a, b| a.order() == b.order() && a.user == b.user && a.src_ip == b.src_ip);
        let mut used: BTreeMap<u32, ()> = BTreeMap::new();
        for event in &events {
            let mut e = event.clone();
            codec::renumber(&mut e, |s| {
                used.insert(s.0, ());
                s
            });
        }
        let mut body = Vec::new();
        codec::put_varint(&mut body, used.len() as u64);
        for number in used.keys() {
            codec::put_varint(&mut body, u64::from(*number));
            put_text(&mut body, &names.text(Sym(*number)));
        }
        codec::put_varint(&mut body, self.inputs.len() as u64);
        for input in &self.inputs {
            put_text(&mut body, input);
        }
        codec::put_varint(&mut body, events.len() as u64);
        let mut before = EventTime(0);
        for event in &events {
            codec::put(&mut body, event, before);
            before = event.time;
        }
        let path = self.dir.join(FILE);
        let beside = self.dir.join(format!("{FILE}.new"));
        let write = || -> io::Result<()> {
            let mut file = fs::File::create(&beside)?;
            file.write_all(MAGIC)?;
            file.write_all(&portreeve_sources::content_key(&body).to_le_bytes())?;
            file.write_all(&body)?;
            file.sync_all()?;
            fs::rename(&beside, &path)
        };
        write().map_err(|error| StateError::Io { path: path.display().to_string(), error })
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    codec::put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn text(b: &mut Bytes<'_>) -> Result<String, Damaged> {
    let len = usize::try_from(b.varint()?).map_err(|_| Damaged)?;
    if len > b.0.len() {
        return Err(Damaged);
    }
    let (head, rest) = b.0.split_at(len);
    let text = std::str::from_utf8(head).map_err(|_| Damaged)?.to_owned();
    b.0 = rest;
    Ok(text)
}
