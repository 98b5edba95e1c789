//! Bytes to records to events: every log source that Portreeve reads.
//!
//! `decode` turns files and streams into [`Record`]s and knows no product. Each product is one file in the
//! folder of its playbook row with a [`Source`] declaration; [`SOURCES`] lists them. A parser sees one record
//! and keeps nothing.

pub mod authentication;
mod catalog;
pub mod citrix;
pub mod cloud;
pub mod decode;
mod emit;
pub mod endpoint;
pub mod explain;
pub mod firewall;
mod flows;
mod ios;
pub mod kubernetes;
pub mod mapping;
mod normal;
pub mod notation;
pub mod own;
pub mod page;
mod pan;
mod plain;
mod recognise;
mod record;
pub mod remote;
mod source;
pub mod vlan;
pub mod vpn;
mod windows;

pub use catalog::{Catalog, Clash};
pub use emit::{Emit, EventBuilder, content_key};
pub use plain::PLAIN;
pub use recognise::Recogniser;
pub use record::{Header, HeaderTime, Record, Shape};
pub use source::{Field, Fragment, Join, Kind, Parsed, Reader, Row, Source, Why};

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

mod mappings {
    include!(concat!(env!("OUT_DIR"), "/mappings.rs"));
}

/// Products that a text file describes: where it lies in `content/sources`, and its text.
pub use mappings::MAPPINGS;

/// All sources that Portreeve knows by itself, row by row of the playbook.
pub fn all() -> impl Iterator<Item = &'static Source> {
    Catalog::built_in().listed().into_iter()
}

pub fn by_name(name: &str) -> Option<&'static Source> {
    Catalog::built_in().by_name(name)
}
