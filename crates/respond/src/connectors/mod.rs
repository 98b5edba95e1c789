//! The products that can be acted upon, one file each.

use crate::connector::Connector;

pub mod active_directory;
pub mod manual;
pub mod nftables;
pub mod openldap;
pub mod unix;

/// Every connector, in the order of their names.
pub static CONNECTORS: &[&Connector] = &[
    &active_directory::CONNECTOR,
    &manual::CONNECTOR,
    &nftables::CONNECTOR,
    &openldap::CONNECTOR,
    &unix::CONNECTOR,
];

pub fn by_name(name: &str) -> Option<&'static Connector> {
    CONNECTORS.iter().copied().find(|c| c.name == name)
}
