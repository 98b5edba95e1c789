//! Log sources of the playbook's row "citrix". Each is one file here and one folder of fixtures.

use crate::source::Source;

pub mod citrix_cloud;
pub mod netscaler;
pub mod storefront;

pub static SOURCES: &[&Source] = &[&citrix_cloud::SOURCE, &netscaler::SOURCE, &storefront::SOURCE];
