//! The products that can be acted upon, one file each.

use crate::connector::Connector;

pub mod active_directory;
pub mod conntrack;
pub mod manual;
pub mod nftables;
pub mod ocserv;
pub mod openldap;
pub mod openvpn;
pub mod unix;
pub mod wireguard;

/// Every connector, in the order of their names.
pub static CONNECTORS: &[&Connector] = &[
    &active_directory::CONNECTOR,
    &conntrack::CONNECTOR,
    &manual::CONNECTOR,
    &nftables::CONNECTOR,
    &ocserv::CONNECTOR,
    &openldap::CONNECTOR,
    &openvpn::CONNECTOR,
    &unix::CONNECTOR,
    &wireguard::CONNECTOR,
];

pub fn by_name(name: &str) -> Option<&'static Connector> {
    CONNECTORS.iter().copied().find(|c| c.name == name)
}
