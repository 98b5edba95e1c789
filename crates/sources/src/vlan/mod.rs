//! Log sources of the playbook's row "vlan". Each is one file here and one folder of fixtures.

pub mod aruba;
pub mod cisco_ios;
pub mod cisco_wlc;
pub mod dnsmasq;
pub mod infoblox;
pub mod isc_dhcp;
pub mod juniper_ex;
pub mod kea_dhcp;
pub mod meraki;
pub mod unifi;
pub mod windows_dhcp;

use crate::source::Source;

pub static SOURCES: &[&Source] = &[
    &aruba::SOURCE,
    &cisco_ios::SOURCE,
    &cisco_wlc::SOURCE,
    &dnsmasq::SOURCE,
    &infoblox::SOURCE,
    &isc_dhcp::SOURCE,
    &juniper_ex::SOURCE,
    &kea_dhcp::SOURCE,
    &meraki::SOURCE,
    &unifi::SOURCE,
    &windows_dhcp::SOURCE,
];
