//! Log sources of the playbook's row "firewall". Each is one file here and one folder of fixtures.

pub mod asa_traffic;
pub mod aws_network_firewall;
pub mod aws_vpc_flow;
pub mod azure_flow;
pub mod filterlog;
pub mod fmc_audit;
pub mod fortigate_traffic;
pub mod gcp_vpc_flow;
pub mod netfilter;
pub mod pan_traffic;
pub mod pfsense;
pub mod suricata;
pub mod web_access;
pub mod windows_firewall;
pub mod zeek;

use crate::source::Source;

pub static SOURCES: &[&Source] = &[
    &asa_traffic::SOURCE,
    &aws_network_firewall::SOURCE,
    &aws_vpc_flow::SOURCE,
    &azure_flow::SOURCE,
    &filterlog::SOURCE,
    &fmc_audit::SOURCE,
    &fortigate_traffic::SOURCE,
    &gcp_vpc_flow::SOURCE,
    &netfilter::SOURCE,
    &pan_traffic::SOURCE,
    &pfsense::SOURCE,
    &suricata::SOURCE,
    &web_access::SOURCE,
    &windows_firewall::SOURCE,
    &zeek::SOURCE,
];
