//! Log sources of the playbook's row "authentication". Each is one file here and one folder of fixtures.

use crate::decode::clock::{self, Clock, Stamp};
use crate::record::Record;
use crate::source::Source;
use portreeve_model::time::{Certainty, EventTime};

pub mod adfs;
pub mod cisco_ise;
pub mod clearpass;
pub mod duo;
pub mod ecs;
pub mod entra;
pub mod google_workspace;
pub mod jumpcloud;
pub mod keycloak;
pub mod linux_logins;
pub mod m365;
pub mod nps;
pub mod nps_extension;
pub mod nps_file;
pub mod ocsf;
pub mod okta;
pub mod onelogin;
pub mod pam;
pub mod pingfederate;
pub mod pingone;
pub mod radius;
pub mod rsa_securid;
pub mod udm;
pub mod windows_security;

pub static SOURCES: &[&Source] = &[
    &adfs::SOURCE,
    &cisco_ise::SOURCE,
    &ecs::SOURCE,
    &clearpass::SOURCE,
    &duo::SOURCE,
    &entra::SOURCE,
    &google_workspace::SOURCE,
    &jumpcloud::SOURCE,
    &keycloak::SOURCE,
    &linux_logins::SOURCE,
    &m365::SOURCE,
    &nps::SOURCE,
    &ocsf::SOURCE,
    &nps_extension::SOURCE,
    &nps_file::SOURCE,
    &okta::SOURCE,
    &onelogin::SOURCE,
    &pam::SOURCE,
    &pingfederate::SOURCE,
    &pingone::SOURCE,
    &radius::SOURCE,
    &udm::SOURCE,
    &rsa_securid::SOURCE,
    &windows_security::SOURCE,
];

/// The time of a cloud service: ISO with or without a zone, or seconds, milliseconds and so on since the epoch. Such
/// services count in UTC. Where the record has none, the head's.
fn utc(r: &Record<'_>, text: &[u8]) -> Option<(EventTime, Certainty)> {
    match clock::iso(text) {
        Some((Stamp::Absolute(t), _)) => Some((t, Certainty::Exact)),
        Some((Stamp::Local(c), _)) => Clock::with_offset(c, 0).map(|t| (t, Certainty::Exact)),
        None => clock::epoch(text).map(|t| (t, Certainty::Exact)).or_else(|| r.header_time()),
    }
}

/// The code of a country that a service names in English or by its code.
fn country(name: &[u8]) -> &[u8] {
    if name.len() == 2 { name } else { okta::country(name) }
}
