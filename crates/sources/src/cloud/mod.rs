//! Log sources of the playbook's row "cloud". Each is one file here and one folder of fixtures.

use crate::decode::clock::{self, Clock, Stamp};
use crate::source::Source;
use portreeve_model::EventTime;
use portreeve_model::time::Certainty;

pub mod aws_waf;
pub mod azure_activity;
pub mod cloudtrail;
pub mod gcp_audit;
pub mod guardduty;
pub mod security_hub;

pub static SOURCES: &[&Source] = &[
    &aws_waf::SOURCE,
    &azure_activity::SOURCE,
    &cloudtrail::SOURCE,
    &gcp_audit::SOURCE,
    &guardduty::SOURCE,
    &security_hub::SOURCE,
];

/// A stamp of a cloud's own log. They are all UTC by their manuals, also where an export dropped the zone.
pub(crate) fn utc(text: &[u8]) -> Option<(EventTime, Certainty)> {
    match clock::iso(text)? {
        (Stamp::Absolute(time), _) => Some((time, Certainty::Exact)),
        (Stamp::Local(civil), _) => Clock::with_offset(civil, 0).map(|time| (time, Certainty::Exact)),
    }
}
