//! Log sources of the playbook's row "kubernetes". Each is one file here and one folder of fixtures.

use crate::source::Source;

pub mod audit;

pub static SOURCES: &[&Source] = &[&audit::SOURCE];
