//! Log sources of the playbook's row "citrix". Each is one file here and one folder of fixtures.

use crate::source::Source;

pub mod netscaler;

pub static SOURCES: &[&Source] = &[&netscaler::SOURCE];
