//! The products that can be acted upon, one file each.

use crate::connector::Connector;

pub mod active_directory;
mod asked;
pub mod aws;
pub mod aws_nacl;
pub mod aws_waf;
pub mod checkpoint;
pub mod cisco_asa;
pub mod cisco_ise_anc;
pub mod conntrack;
pub mod crowdsec;
pub mod crowdstrike;
pub mod defender;
pub mod duo;
pub mod edl;
mod edr;
pub mod entra;
pub mod f5_apm;
pub mod fortigate;
pub mod google_workspace;
pub mod ivanti;
pub mod kubernetes;
pub mod manual;
pub mod netscaler;
pub mod nftables;
pub mod ocserv;
pub mod okta;
pub mod openc2;
pub mod openldap;
pub mod openvpn;
pub mod panos;
pub mod radius_dae;
pub mod sentinelone;
mod sessions;
pub mod unix;
pub mod wireguard;

/// Every connector, in the order of their names.
pub static CONNECTORS: &[&Connector] = &[
    &active_directory::CONNECTOR,
    &aws::CONNECTOR,
    &aws_nacl::CONNECTOR,
    &aws_waf::CONNECTOR,
    &checkpoint::CONNECTOR,
    &cisco_asa::CONNECTOR,
    &cisco_ise_anc::CONNECTOR,
    &conntrack::CONNECTOR,
    &crowdsec::CONNECTOR,
    &crowdstrike::CONNECTOR,
    &defender::CONNECTOR,
    &duo::CONNECTOR,
    &edl::CONNECTOR,
    &entra::CONNECTOR,
    &f5_apm::CONNECTOR,
    &fortigate::CONNECTOR,
    &google_workspace::CONNECTOR,
    &ivanti::CONNECTOR,
    &kubernetes::CONNECTOR,
    &manual::CONNECTOR,
    &netscaler::CONNECTOR,
    &nftables::CONNECTOR,
    &ocserv::CONNECTOR,
    &okta::CONNECTOR,
    &openc2::CONNECTOR,
    &openldap::CONNECTOR,
    &openvpn::CONNECTOR,
    &panos::CONNECTOR,
    &radius_dae::CONNECTOR,
    &sentinelone::CONNECTOR,
    &unix::CONNECTOR,
    &wireguard::CONNECTOR,
];

pub fn by_name(name: &str) -> Option<&'static Connector> {
    CONNECTORS.iter().copied().find(|c| c.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_connector_says_what_it_does_and_what_it_leaves_open() {
        let names: Vec<&str> = CONNECTORS.iter().map(|c| c.name).collect();
        assert!(names.is_sorted() && names.windows(2).all(|w| w[0] != w[1]), "{names:?}");
        for connector in CONNECTORS {
            let name = connector.name;
            assert!(!connector.can.is_empty(), "{name}");
            for says in [connector.product, connector.needs, connector.source] {
                assert!(!says.is_empty(), "{name}");
            }
            for can in connector.can {
                for says in [can.effect, can.leaves_open, can.undo, can.verified_by] {
                    assert!(!says.is_empty(), "{name} {:?}", can.act);
                }
                assert!(!can.on.is_empty(), "{name} {:?}", can.act);
            }
            assert!(connector.settings.iter().all(|s| !s.name.is_empty() && !s.says.is_empty()), "{name}");
        }
    }
}
