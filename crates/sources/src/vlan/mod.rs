//! Log sources of the playbook's row "vlan". Each is one file here and one folder of fixtures.

use crate::source::Source;

pub mod ios_dot1x;
pub mod isc_dhcp;
pub mod juniper_ex;
pub mod windows_dhcp;

pub static SOURCES: &[&Source] =
    &[&ios_dot1x::SOURCE, &isc_dhcp::SOURCE, &juniper_ex::SOURCE, &windows_dhcp::SOURCE];
