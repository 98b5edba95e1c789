//! Log sources of the playbook's row "authentication". Each is one file here and one folder of fixtures.

use crate::source::Source;

pub mod adfs;
pub mod cisco_ise;
pub mod entra;
pub mod nps;
pub mod nps_extension;
pub mod nps_file;
pub mod okta;
pub mod pam;
pub mod radius;
pub mod windows_security;

pub static SOURCES: &[&Source] = &[
    &adfs::SOURCE,
    &cisco_ise::SOURCE,
    &entra::SOURCE,
    &nps::SOURCE,
    &nps_extension::SOURCE,
    &nps_file::SOURCE,
    &okta::SOURCE,
    &pam::SOURCE,
    &radius::SOURCE,
    &windows_security::SOURCE,
];
