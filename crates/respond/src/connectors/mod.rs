//! The products that can be acted upon, one file each.

use crate::connector::Connector;

mod asked;
pub mod checkpoint;
pub mod cisco_asa;
pub mod cisco_ise_anc;
pub mod crowdstrike;
pub mod defender;
mod edr;
pub mod f5_apm;
pub mod fortigate;
pub mod ivanti;
pub mod netscaler;
pub mod nftables;
pub mod panos;
pub mod sentinelone;
mod sessions;

/// Every connector, in the order of their names.
pub static CONNECTORS: &[&Connector] = &[
    &checkpoint::CONNECTOR,
    &cisco_asa::CONNECTOR,
    &cisco_ise_anc::CONNECTOR,
    &crowdstrike::CONNECTOR,
    &defender::CONNECTOR,
    &f5_apm::CONNECTOR,
    &fortigate::CONNECTOR,
    &ivanti::CONNECTOR,
    &netscaler::CONNECTOR,
    &nftables::CONNECTOR,
    &panos::CONNECTOR,
    &sentinelone::CONNECTOR,
];

pub fn by_name(name: &str) -> Option<&'static Connector> {
    CONNECTORS.iter().copied().find(|c| c.name == name)
}
