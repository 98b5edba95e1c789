//! The products that can be acted upon, one file each.

use crate::connector::Connector;

pub mod conntrack;
pub mod nftables;
pub mod ocserv;
pub mod openvpn;
pub mod wireguard;

/// Every connector, in the order of their names.
pub static CONNECTORS: &[&Connector] = &[
    &conntrack::CONNECTOR,
    &nftables::CONNECTOR,
    &ocserv::CONNECTOR,
    &openvpn::CONNECTOR,
    &wireguard::CONNECTOR,
];

pub fn by_name(name: &str) -> Option<&'static Connector> {
    CONNECTORS.iter().copied().find(|c| c.name == name)
}
