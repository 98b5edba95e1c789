//! Log sources of the playbook's row "cloud". Each is one file here and one folder of fixtures.

use crate::decode::clock::{self, Clock, Stamp};
use crate::decode::find::find;
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

/// What stands behind a quoted name and its colon, wherever in an object of unknown form the name first stands.
fn behind<'a>(object: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut rest = object;
    loop {
        rest = rest.get(find(rest, name)? + name.len()..)?;
        if let Some(value) = rest.trim_ascii_start().strip_prefix(b":") {
            return Some(value.trim_ascii_start());
        }
    }
}

/// The text of one member of a small object, found by its quoted name; of a list its first.
pub(crate) fn member<'a>(object: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let value = behind(object, name)?;
    let value = value.strip_prefix(b"[").unwrap_or(value).trim_ascii_start().strip_prefix(b"\"")?;
    value.get(..memchr::memchr(b'"', value)?)
}

/// Does a member of that quoted name have that value (as it stands in JSON: `true`, `"allow"`), however it is spaced?
pub(crate) fn says(object: &[u8], name: &[u8], value: &[u8]) -> bool {
    let mut rest = object;
    while let Some(at) = find(rest, name) {
        rest = rest.get(at + name.len()..).unwrap_or_default();
        if let Some(found) = rest.trim_ascii_start().strip_prefix(b":")
            && found.trim_ascii_start().starts_with(value)
        {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_found_by_name() {
        let object = br#"{"a": "name", "name" : "x", "list":[ "one", "two"],"on": true,"in":{"on":false}}"#;
        assert_eq!(member(object, b"\"name\""), Some(&b"x"[..]));
        assert_eq!(member(object, b"\"list\""), Some(&b"one"[..]));
        assert_eq!(member(object, b"\"on\""), None);
        assert!(says(object, b"\"on\"", b"true") && says(object, b"\"on\"", b"false"));
        assert!(!says(object, b"\"a\"", b"true") && !says(b"\"a\":", b"\"a\"", b"true"));
    }
}
