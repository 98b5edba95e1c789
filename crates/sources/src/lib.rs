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

/// Finds who reads a record. Keeps the last answer, because neighbours in a file are mostly of one product.
pub struct Recogniser {
    sources: Vec<&'static Source>,
    last: usize,
}

impl Default for Recogniser {
    fn default() -> Self {
        Recogniser { sources: all().collect(), last: 0 }
    }
}

impl Recogniser {
    /// Only this source reads, whatever the records look like.
    pub fn only(source: &'static Source) -> Self {
        Recogniser { sources: vec![source], last: 0 }
    }

    pub fn recognise(&mut self, record: &Record<'_>) -> Option<&'static Source> {
        let forced = self.sources.len() == 1;
        let last = self.sources.get(self.last)?;
        if forced || (last.claim)(record) {
            return Some(last);
        }
        let at = self.sources.iter().position(|s| (s.claim)(record))?;
        self.last = at;
        self.sources.get(at).copied()
    }
}
