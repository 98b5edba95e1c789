//! Log sources of the playbook's row "remote". Each is one file here and one folder of fixtures.

use crate::source::Source;

pub mod openssh;
pub mod rd_gateway;
pub mod rdp;

pub static SOURCES: &[&Source] = &[&openssh::SOURCE, &rd_gateway::SOURCE, &rdp::SOURCE];
