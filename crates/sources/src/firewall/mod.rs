//! Log sources of the playbook's row "firewall". Each is one file here and one folder of fixtures.

use crate::source::Source;

pub mod asa_traffic;
pub mod fortigate_traffic;
pub mod pan_traffic;
pub mod pfsense;

pub static SOURCES: &[&Source] =
    &[&asa_traffic::SOURCE, &fortigate_traffic::SOURCE, &pan_traffic::SOURCE, &pfsense::SOURCE];
