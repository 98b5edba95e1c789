//! Log sources of the playbook's row "cloud". Each is one file here and one folder of fixtures.

use crate::source::Source;

pub mod cloudtrail;

pub static SOURCES: &[&Source] = &[&cloudtrail::SOURCE];
