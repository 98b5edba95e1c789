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

/// What a rule opens to everybody, in words: `port 22 from 0.0.0.0/0`. Empty where neither port nor all of them is told.
pub(crate) fn opened(from: &[u8], to: &[u8], all: bool) -> Vec<u8> {
    let mut text = Vec::with_capacity(32);
    if all || from == b"0" && to == b"65535" {
        text.extend_from_slice(b"all ports");
    } else if from.is_empty() {
        return text;
    } else {
        text.extend_from_slice(b"port ");
        text.extend_from_slice(from);
        if !to.is_empty() && to != from {
            text.push(b'-');
            text.extend_from_slice(to);
        }
    }
    text.extend_from_slice(b" from 0.0.0.0/0");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_rule_opens() {
        let text = |from: &str, to: &str, all| {
            String::from_utf8(opened(from.as_bytes(), to.as_bytes(), all)).expect("text")
        };
        assert_eq!(text("22", "22", false), "port 22 from 0.0.0.0/0");
        assert_eq!(text("8000", "8100", false), "port 8000-8100 from 0.0.0.0/0");
        assert_eq!(text("", "", true), "all ports from 0.0.0.0/0");
        assert_eq!(text("", "", false), "");
    }

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
