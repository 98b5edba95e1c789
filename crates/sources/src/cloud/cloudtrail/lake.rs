//! Rows of a query (CloudTrail Lake, Athena): names in lower case, structures as JSON text or as `{a=b, c={d=e}}`.
//! A row is written again as the record that it was.

use crate::decode::json::{Value, members, unescape};

/// Names that differ from their lower-case spelling, as they stand in a record.
const NAMES: &[&str] = &[
    "eventVersion",
    "userIdentity",
    "eventTime",
    "eventSource",
    "eventName",
    "eventID",
    "awsRegion",
    "sourceIPAddress",
    "userAgent",
    "errorCode",
    "errorMessage",
    "requestParameters",
    "responseElements",
    "additionalEventData",
    "serviceEventDetails",
    "recipientAccountId",
    "eventType",
    "eventCategory",
    "principalId",
    "accountId",
    "accessKeyId",
    "userName",
    "invokedBy",
    "sessionContext",
    "sessionIssuer",
    "mfaAuthenticated",
    "credentialId",
];

/// Deepest nesting of a structure that is followed.
const DEEPEST: u32 = 12;

/// The row as a record.
pub(super) fn record(row: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(row.len() + 64);
    out.push(b'{');
    for (key, value) in members(row) {
        if out.len() > 1 {
            out.push(b',');
        }
        name(key, &mut out);
        match value {
            Value::Text(text) => {
                let text = unescape(text);
                let inner = text.trim_ascii();
                if inner.first() != Some(&b'{') {
                    string(&text, &mut out);
                } else if inner
                    .get(1..)
                    .is_some_and(|t| matches!(t.trim_ascii_start().first(), Some(b'"' | b'}')))
                {
                    out.extend_from_slice(inner);
                } else {
                    structure(&mut &inner[1..], &mut out, 0);
                }
            }
            Value::Nested(object) if object.first() == Some(&b'{') => object_again(object, &mut out, 0),
            Value::Nested(other) => out.extend_from_slice(other),
            Value::Bare(bare) => out.extend_from_slice(bare),
            Value::Null | Value::Missing => out.extend_from_slice(b"null"),
        }
    }
    out.push(b'}');
    out
}

/// A key with its colon, spelt as in a record.
fn name(key: &[u8], out: &mut Vec<u8>) {
    let known = NAMES.iter().find(|n| n.as_bytes().eq_ignore_ascii_case(key)).map_or(key, |n| n.as_bytes());
    string(known, out);
    out.push(b':');
}

fn string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for b in text {
        match b {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *b]),
            0..=0x1f => out.push(b' '),
            b => out.push(*b),
        }
    }
    out.push(b'"');
}

/// A JSON object with its names spelt as in a record.
fn object_again(object: &[u8], out: &mut Vec<u8>, depth: u32) {
    if depth > DEEPEST {
        out.extend_from_slice(b"null");
        return;
    }
    out.push(b'{');
    for (n, (key, value)) in members(object).enumerate() {
        if n > 0 {
            out.push(b',');
        }
        name(key, out);
        match value {
            Value::Text(text) => {
                out.push(b'"');
                out.extend_from_slice(text);
                out.push(b'"');
            }
            Value::Nested(inner) if inner.first() == Some(&b'{') => object_again(inner, out, depth + 1),
            Value::Nested(inner) => out.extend_from_slice(inner),
            Value::Bare(bare) => out.extend_from_slice(bare),
            Value::Null | Value::Missing => out.extend_from_slice(b"null"),
        }
    }
    out.push(b'}');
}

/// `a=b, c={d=e}, f=null}`, past its opening brace; leaves what follows the closing one.
fn structure(text: &mut &[u8], out: &mut Vec<u8>, depth: u32) {
    out.push(b'{');
    let mut first = true;
    while let Some(eq) = memchr::memchr2(b'=', b'}', text) {
        if text.get(eq) == Some(&b'}') || depth > DEEPEST {
            *text = text.get(eq + 1..).unwrap_or_default();
            break;
        }
        if !first {
            out.push(b',');
        }
        first = false;
        let key = text.get(..eq).unwrap_or_default();
        let key = key.trim_ascii_start().strip_prefix(b",").unwrap_or(key).trim_ascii();
        name(key, out);
        *text = text.get(eq + 1..).unwrap_or_default();
        if text.first() == Some(&b'{') {
            *text = text.get(1..).unwrap_or_default();
            structure(text, out, depth + 1);
            continue;
        }
        let end = value_end(text);
        let value = text.get(..end).unwrap_or_default().trim_ascii();
        if value == b"null" {
            out.extend_from_slice(b"null");
        } else {
            string(value, out);
        }
        *text = text.get(end..).unwrap_or_default();
    }
    out.push(b'}');
}

/// A value ends before the closing brace of its structure or before `, name=`.
fn value_end(text: &[u8]) -> usize {
    let mut from = 0;
    while let Some(at) = text.get(from..).and_then(|t| memchr::memchr2(b',', b'}', t)).map(|n| n + from) {
        if text.get(at) == Some(&b'}') {
            return at;
        }
        let next = text.get(at + 1..).unwrap_or_default().trim_ascii_start();
        let word =
            next.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')).count();
        if word > 0 && next.get(word) == Some(&b'=') {
            return at;
        }
        from = at + 1;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(row: &str) -> String {
        String::from_utf8_lossy(&record(row.as_bytes())).into_owned()
    }

    #[test]
    fn structures_in_every_spelling() {
        let want = r#"{"eventName":"X","userIdentity":{"type":"IAMUser","accessKeyId":null,"sessionContext":{"attributes":{"mfaAuthenticated":"true"}},"userName":"anna, b"}}"#;
        assert_eq!(
            again(
                r#"{"eventname":"X","useridentity":"{type=IAMUser, accesskeyid=null, sessioncontext={attributes={mfaauthenticated=true}}, username=anna, b}"}"#
            ),
            want
        );
        assert_eq!(
            again(
                r#"{"eventname":"X","useridentity":{"type":"IAMUser","accesskeyid":null,"sessioncontext":{"attributes":{"mfaauthenticated":"true"}},"username":"anna, b"}}"#
            ),
            want
        );
        assert_eq!(
            again(r#"{"requestparameters":"{\"userName\":\"bruno\"}","x":[1],"y":2,"z":null}"#),
            r#"{"requestParameters":{"userName":"bruno"},"x":[1],"y":2,"z":null}"#
        );
        for broken in
            ["", "{", "{\"a\"", "{\"a\":", "{\"useridentity\":\"{a=\"}", "{\"useridentity\":\"{a={b={\"}"]
        {
            again(broken);
        }
    }
}
