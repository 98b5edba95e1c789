//! Log sources of the playbook's row "endpoint". Each is one file here and one folder of fixtures.

use crate::source::Source;

pub mod auditd;
pub mod crowdstrike;
pub mod defender;
pub mod sysmon;

pub static SOURCES: &[&Source] = &[&auditd::SOURCE, &crowdstrike::SOURCE, &defender::SOURCE, &sysmon::SOURCE];
