//! The products that can be acted upon, one file each.

use crate::connector::Connector;

pub mod crowdsec;
pub mod edl;
pub mod nftables;
pub mod openc2;
pub mod radius_dae;

/// Every connector, in the order of their names.
pub static CONNECTORS: &[&Connector] = &[
    &crowdsec::CONNECTOR,
    &edl::CONNECTOR,
    &nftables::CONNECTOR,
    &openc2::CONNECTOR,
    &radius_dae::CONNECTOR,
];

pub fn by_name(name: &str) -> Option<&'static Connector> {
    CONNECTORS.iter().copied().find(|c| c.name == name)
}
