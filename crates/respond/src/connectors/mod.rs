//! The products that can be acted upon, one file each.

use crate::connector::Connector;

pub mod cisco_asa;
pub mod fortigate;
pub mod netscaler;
pub mod nftables;
pub mod panos;
mod sessions;

/// Every connector, in the order of their names.
pub static CONNECTORS: &[&Connector] = &[&nftables::CONNECTOR, &panos::CONNECTOR];

pub fn by_name(name: &str) -> Option<&'static Connector> {
    CONNECTORS.iter().copied().find(|c| c.name == name)
}
