//! Log sources of the playbook's row "vpn". Each is one file here and one folder of fixtures.

pub mod aws_client_vpn;
pub mod azure_vpn;
pub mod barracuda;
pub mod check_point;
pub mod cisco_asa;
pub mod f5_apm;
pub mod fortigate;
pub mod globalprotect;
pub mod ivanti;
pub mod juniper_srx;
pub mod libreswan;
pub mod mikrotik;
pub mod ocserv;
pub mod openvpn;
pub mod openvpn_as;
pub mod openvpn_status;
pub mod rras;
pub mod softether;
pub mod sonicwall;
pub mod sonicwall_sma;
pub mod stormshield;
pub mod strongswan;
pub mod wireguard;
pub mod zyxel;

use crate::source::Source;
pub mod sophos_firewall;
pub mod sophos_utm;
pub mod watchguard;

pub static SOURCES: &[&Source] = &[
    &aws_client_vpn::SOURCE,
    &azure_vpn::SOURCE,
    &barracuda::SOURCE,
    &check_point::SOURCE,
    &cisco_asa::SOURCE,
    &f5_apm::SOURCE,
    &fortigate::SOURCE,
    &globalprotect::SOURCE,
    &ivanti::SOURCE,
    &juniper_srx::SOURCE,
    &libreswan::SOURCE,
    &mikrotik::SOURCE,
    &ocserv::SOURCE,
    &openvpn::SOURCE,
    &openvpn_as::SOURCE,
    &openvpn_status::SOURCE,
    &rras::SOURCE,
    &softether::SOURCE,
    &sonicwall::SOURCE,
    &sonicwall_sma::SOURCE,
    &stormshield::SOURCE,
    &strongswan::SOURCE,
    &wireguard::SOURCE,
    &zyxel::SOURCE,
    &sophos_firewall::SOURCE,
    &sophos_utm::SOURCE,
    &watchguard::SOURCE,
];
