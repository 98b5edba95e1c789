//! Log sources of the playbook's row "endpoint". Each is one file here and one folder of fixtures.

use crate::source::Source;

pub mod auditd;
pub mod crowdstrike;
pub mod defender;
pub mod defender_antivirus;
pub mod falco;
pub mod osquery;
pub mod powershell;
pub mod sysmon;
pub mod windows_other;

pub static SOURCES: &[&Source] = &[
    &auditd::SOURCE,
    &crowdstrike::SOURCE,
    &defender::SOURCE,
    &defender_antivirus::SOURCE,
    &falco::SOURCE,
    &osquery::SOURCE,
    &powershell::SOURCE,
    &sysmon::SOURCE,
    &windows_other::SOURCE,
];
