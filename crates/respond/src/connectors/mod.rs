//! The products that can be acted upon, one file each.

use crate::connector::Connector;

pub mod checkpoint;
pub mod cisco_asa;
pub mod cisco_ise_anc;
pub mod f5_apm;
pub mod fortigate;
pub mod ivanti;
pub mod netscaler;
pub mod nftables;
pub mod panos;
mod sessions;

/// Every connector, in the order of their names.
pub static CONNECTORS: &[&Connector] = &[
    &checkpoint::CONNECTOR,
    &cisco_asa::CONNECTOR,
    &cisco_ise_anc::CONNECTOR,
    &f5_apm::CONNECTOR,
    &fortigate::CONNECTOR,
    &ivanti::CONNECTOR,
    &netscaler::CONNECTOR,
    &nftables::CONNECTOR,
    &panos::CONNECTOR,
];

pub fn by_name(name: &str) -> Option<&'static Connector> {
    CONNECTORS.iter().copied().find(|c| c.name == name)
}
