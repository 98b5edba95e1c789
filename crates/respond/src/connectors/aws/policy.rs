//! The two inline policies that Portreeve writes, and how they are known again.

use crate::transport::http::unpercent;
use serde_json::{Value, json};

/// On a user: denies everything.
pub(super) const DENY_ALL: &str = "PortreeveDenyAll";
/// On a role: denies everything to sessions that began before a time.
pub(super) const REVOKE_OLDER: &str = "PortreeveRevokeOlderSessions";

/// A statement's id takes letters and digits alone: our mark without its dash.
pub(super) fn sid(mark: &str) -> String {
    mark.chars().filter(char::is_ascii_alphanumeric).collect()
}

pub(super) fn deny_all(sid: &str) -> Value {
    json!({"Version": "2012-10-17",
           "Statement": [{"Sid": sid, "Effect": "Deny", "Action": "*", "Resource": "*"}]})
}

/// `before`: as `2026-11-02T09:00:00Z`.
pub(super) fn revoke_older(sid: &str, before: &str) -> Value {
    json!({"Version": "2012-10-17",
           "Statement": [{"Sid": sid, "Effect": "Deny", "Action": "*", "Resource": "*",
                          "Condition": {"DateLessThan": {"aws:TokenIssueTime": before}}}]})
}

/// A policy under one of our names, as IAM has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Found {
    /// One statement of our shape, with its id, and the time of a revocation.
    Ours { sid: String, before: Option<String> },
    /// Something else under our name.
    Other,
}

impl Found {
    /// IAM gives documents percent-encoded (RFC 3986).
    pub(super) fn read(document: &str) -> Found {
        let decoded =
            if document.trim_start().starts_with('{') { document.to_owned() } else { unpercent(document) };
        let Ok(whole) = serde_json::from_str::<Value>(&decoded) else { return Found::Other };
        let sid = whole.pointer("/Statement/0/Sid").and_then(Value::as_str).unwrap_or_default();
        let before = whole
            .pointer("/Statement/0/Condition/DateLessThan/aws:TokenIssueTime")
            .and_then(Value::as_str)
            .map(str::to_owned);
        let as_we_write = match &before {
            None => deny_all(sid),
            Some(before) => revoke_older(sid, before),
        };
        if whole == as_we_write { Found::Ours { sid: sid.to_owned(), before } } else { Found::Other }
    }

    pub(super) fn is_of(&self, mark: &str) -> bool {
        matches!(self, Found::Ours { sid: found, .. } if *found == sid(mark))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::http::percent;

    fn encoded(value: &Value) -> String {
        let mut text = String::new();
        percent(&mut text, &value.to_string());
        text
    }

    #[test]
    fn our_policies_are_known_again_and_others_are_not() {
        let mark = "portreeve-0123456789ab";
        let found = Found::read(&encoded(&deny_all(&sid(mark))));
        assert!(found.is_of(mark));
        assert!(!found.is_of("portreeve-ba9876543210"));
        let older = Found::read(&encoded(&revoke_older(&sid(mark), "2026-11-02T09:00:00Z")));
        assert_eq!(
            older,
            Found::Ours { sid: "portreeve0123456789ab".into(), before: Some("2026-11-02T09:00:00Z".into()) }
        );
        let mut weaker = deny_all(&sid(mark));
        weaker["Statement"][0]["Resource"] = json!("arn:aws:s3:::x");
        assert_eq!(Found::read(&encoded(&weaker)), Found::Other);
        weaker["Statement"] = json!([]);
        assert_eq!(Found::read(&encoded(&weaker)), Found::Other);
        assert_eq!(Found::read("%zz%"), Found::Other);
    }
}
