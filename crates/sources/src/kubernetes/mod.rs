//! Log sources of the playbook's row "kubernetes". Each is one file here and one folder of fixtures.

use crate::source::Source;

pub mod audit;
pub mod docker;
pub mod rancher;

pub static SOURCES: &[&Source] = &[&audit::SOURCE, &docker::SOURCE, &rancher::SOURCE];
