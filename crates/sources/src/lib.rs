//! Bytes to records to events: every log source that Portreeve reads.
//!
//! `decode` turns files and streams into [`Record`]s and knows no product. Each product is one file in the
//! folder of its playbook row with a [`Source`] declaration; [`SOURCES`] lists them. A parser sees one record
//! and keeps nothing.

pub mod authentication;
pub mod citrix;
pub mod cloud;
pub mod decode;
mod emit;
pub mod endpoint;
pub mod firewall;
pub mod kubernetes;
mod pan;
mod plain;
mod record;
pub mod remote;
mod source;
pub mod vlan;
pub mod vpn;
mod windows;

pub use emit::{Emit, EventBuilder, content_key};
pub use plain::PLAIN;
pub use record::{Header, Record, Shape};
pub use source::{Field, Fragment, Join, Kind, Parsed, Row, Source, Why};

/// Every log source, row by row of the playbook.
pub static SOURCES: &[&[&Source]] = &[
    vpn::SOURCES,
    citrix::SOURCES,
    remote::SOURCES,
    firewall::SOURCES,
    authentication::SOURCES,
    cloud::SOURCES,
    kubernetes::SOURCES,
    vlan::SOURCES,
    endpoint::SOURCES,
];

/// All sources in one line, in the order in which claims are tried.
pub fn all() -> impl Iterator<Item = &'static Source> {
    SOURCES.iter().flat_map(|row| row.iter().copied())
}

pub fn by_name(name: &str) -> Option<&'static Source> {
    all().find(|s| s.name == name)
}

/// Finds who reads a record. Keeps the last two answers, because neighbours in a file are mostly of one product,
/// and a firewall's traffic and its logins are two sources that alternate.
pub struct Recogniser {
    sources: Vec<&'static Source>,
    last: [usize; 2],
}

impl Default for Recogniser {
    fn default() -> Self {
        Recogniser { sources: all().collect(), last: [0, 0] }
    }
}

impl Recogniser {
    /// Only this source reads, whatever the records look like.
    pub fn only(source: &'static Source) -> Self {
        Recogniser { sources: vec![source], last: [0, 0] }
    }

    pub fn recognise(&mut self, record: &Record<'_>) -> Option<&'static Source> {
        let forced = self.sources.len() == 1;
        let last = self.sources.get(self.last[0])?;
        if forced || (last.claim)(record) {
            return Some(last);
        }
        let before = self.sources.get(self.last[1])?;
        if (before.claim)(record) {
            self.last.swap(0, 1);
            return Some(before);
        }
        let at = self.sources.iter().position(|s| (s.claim)(record))?;
        self.last = [at, self.last[0]];
        self.sources.get(at).copied()
    }
}
