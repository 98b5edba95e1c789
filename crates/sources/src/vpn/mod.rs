//! Log sources of the playbook's row "vpn". Each is one file here and one folder of fixtures.

use crate::source::Source;

pub mod check_point;
pub mod cisco_asa;
pub mod f5_apm;
pub mod fortigate;
pub mod globalprotect;
pub mod ivanti;
pub mod openvpn;
pub mod sonicwall;
pub mod sonicwall_sma;
pub mod sophos_firewall;
pub mod sophos_utm;
pub mod watchguard;

pub static SOURCES: &[&Source] = &[
    &check_point::SOURCE,
    &cisco_asa::SOURCE,
    &f5_apm::SOURCE,
    &fortigate::SOURCE,
    &globalprotect::SOURCE,
    &ivanti::SOURCE,
    &openvpn::SOURCE,
    &sonicwall::SOURCE,
    &sonicwall_sma::SOURCE,
    &sophos_firewall::SOURCE,
    &sophos_utm::SOURCE,
    &watchguard::SOURCE,
];
