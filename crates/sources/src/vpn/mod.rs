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
];
