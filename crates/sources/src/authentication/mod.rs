//! Log sources of the playbook's row "authentication". Each is one file here and one folder of fixtures.

use crate::source::Source;

pub mod adfs;
pub mod cisco_ise;
pub mod ecs;
pub mod entra;
pub mod nps;
pub mod ocsf;
pub mod okta;
pub mod pam;
pub mod radius;
pub mod udm;
pub mod windows_security;

pub static SOURCES: &[&Source] = &[
    &adfs::SOURCE,
    &cisco_ise::SOURCE,
    &ecs::SOURCE,
    &entra::SOURCE,
    &nps::SOURCE,
    &ocsf::SOURCE,
    &okta::SOURCE,
    &pam::SOURCE,
    &radius::SOURCE,
    &udm::SOURCE,
    &windows_security::SOURCE,
];
