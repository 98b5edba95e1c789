//! What a message of the queue says: which objects are new. Forms: S3's own notification, the same wrapped by SNS, S3's
//! events by EventBridge, and CloudTrail's own notices by SNS.

use crate::aws::{is_bucket, is_region};
use serde::Deserialize;

/// One object that a message names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Named {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) region: Option<String>,
    pub(crate) version: Option<String>,
}

/// Why a message says nothing that can be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Odd {
    #[error("is no notification of S3: {0}")]
    Form(String),
    #[error("names a bucket, region or key that cannot be: {0}")]
    Name(String),
}

#[derive(Deserialize)]
struct Body {
    #[serde(rename = "Records")]
    records: Option<Vec<Record>>,
    #[serde(rename = "Event")]
    event: Option<String>,
    #[serde(rename = "Type")]
    kind: Option<String>,
    #[serde(rename = "Message")]
    message: Option<String>,
    source: Option<String>,
    #[serde(rename = "detail-type")]
    detail_type: Option<String>,
    detail: Option<Detail>,
    region: Option<String>,
    #[serde(rename = "s3Bucket")]
    trail_bucket: Option<String>,
    #[serde(rename = "s3ObjectKey")]
    trail_keys: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    event_name: String,
    aws_region: Option<String>,
    s3: Option<S3>,
}

#[derive(Deserialize)]
struct S3 {
    bucket: Bucket,
    object: Key,
}

#[derive(Deserialize)]
struct Bucket {
    name: String,
}

#[derive(Deserialize)]
struct Key {
    key: String,
    #[serde(rename = "versionId", alias = "version-id")]
    version: Option<String>,
    size: Option<u64>,
}

#[derive(Deserialize)]
struct Detail {
    bucket: Bucket,
    object: Key,
}

/// How often one form may be wrapped in another.
const DEPTH: u8 = 3;

/// The objects to read; none for a test event or for what was removed.
pub(crate) fn objects(body: &str) -> Result<Vec<Named>, Odd> {
    read(body, DEPTH)
}

fn read(body: &str, depth: u8) -> Result<Vec<Named>, Odd> {
    let body: Body = serde_json::from_str(body).map_err(|e| Odd::Form(e.to_string()))?;
    if body.kind.as_deref() == Some("Notification")
        && let Some(message) = body.message
    {
        let depth = depth.checked_sub(1).ok_or_else(|| Odd::Form("wrapped too often".into()))?;
        return read(&message, depth);
    }
    if body.event.as_deref() == Some("s3:TestEvent") {
        return Ok(Vec::new());
    }
    let mut named = Vec::new();
    if let Some(records) = body.records {
        for record in records {
            let created = record.event_name.trim_start_matches("s3:").starts_with("ObjectCreated:");
            if let Some(s3) = record.s3.filter(|s3| created && s3.object.size != Some(0)) {
                let key = decoded(&s3.object.key);
                named.push(checked(s3.bucket.name, key, record.aws_region, s3.object.version)?);
            }
        }
        return Ok(named);
    }
    if let (Some(bucket), Some(keys)) = (body.trail_bucket, body.trail_keys) {
        return keys.into_iter().map(|key| checked(bucket.clone(), key, None, None)).collect();
    }
    if body.source.as_deref() == Some("aws.s3")
        && let Some(Detail { bucket, object }) = body.detail
    {
        let created = body.detail_type.as_deref() == Some("Object Created") && object.size != Some(0);
        // Keys are as they are here, without the encoding of the older form.
        if created {
            named.push(checked(bucket.name, object.key, body.region, object.version)?);
        }
        return Ok(named);
    }
    Err(Odd::Form("none of the forms that are known".into()))
}

fn checked(
    bucket: String,
    key: String,
    region: Option<String>,
    version: Option<String>,
) -> Result<Named, Odd> {
    // A name that is put into a URL must not lead elsewhere.
    match &region {
        _ if !is_bucket(&bucket) => Err(Odd::Name(bucket)),
        _ if key.is_empty() || key.len() > 1_024 => Err(Odd::Name(key)),
        Some(region) if !is_region(region) => Err(Odd::Name(region.clone())),
        _ => Ok(Named { bucket, key, region, version }),
    }
}

/// Undoes the encoding of S3's own notifications, as of a form.
fn decoded(key: &str) -> String {
    let mut out = Vec::with_capacity(key.len());
    let mut rest = key.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let two = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match (byte, two.and_then(|two| u8::from_str_radix(two, 16).ok())) {
            (b'%', Some(value)) => {
                out.push(value);
                rest = after.get(2..).unwrap_or_default();
                continue;
            }
            (b'+', _) => out.push(b' '),
            (other, _) => out.push(*other),
        }
        rest = after;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expect: &[(&str, &str)]) {
        let got = objects(body).expect("a notice");
        let got: Vec<_> = got.iter().map(|n| (n.bucket.as_str(), n.key.as_str())).collect();
        assert_eq!(got, expect, "{body}");
    }

    const PUT: &str = r#"{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"eu-central-1",
        "eventTime":"2026-01-02T03:04:05.000Z","eventName":"ObjectCreated:Put","s3":{"s3SchemaVersion":"1.0",
        "bucket":{"name":"trail","arn":"arn:aws:s3:::trail"},
        "object":{"key":"AWSLogs/1/a+b%2Fc%C3%BC.json.gz","size":7,"eTag":"x","versionId":"v1"}}},
        {"eventName":"ObjectRemoved:Delete","s3":{"bucket":{"name":"trail"},"object":{"key":"gone"}}},
        {"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"trail"},"object":{"key":"folder/","size":0}}}]}"#;

    #[test]
    fn the_forms() {
        check(PUT, &[("trail", "AWSLogs/1/a b/cü.json.gz")]);
        assert_eq!(objects(PUT).expect("a notice")[0].version.as_deref(), Some("v1"));
        let sns = serde_json::json!({"Type": "Notification", "MessageId": "1", "TopicArn": "arn:x", "Message": PUT});
        check(&sns.to_string(), &[("trail", "AWSLogs/1/a b/cü.json.gz")]);
        check(
            r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2026-01-02T03:04:05.000Z","Bucket":"trail"}"#,
            &[],
        );
        check(
            r#"{"version":"0","id":"x","detail-type":"Object Created","source":"aws.s3","region":"eu-west-1",
            "detail":{"version":"0","bucket":{"name":"trail"},"object":{"key":"a+b%2F.gz","size":5,"version-id":"v"},"reason":"PutObject"}}"#,
            &[("trail", "a+b%2F.gz")],
        );
        check(
            r#"{"version":"0","detail-type":"Object Deleted","source":"aws.s3","detail":{"bucket":{"name":"trail"},"object":{"key":"x"}}}"#,
            &[],
        );
        let trail = r#"{"s3Bucket":"trail","s3ObjectKey":["AWSLogs/1/x.json.gz","AWSLogs/1/y.json.gz"]}"#;
        let sns = serde_json::json!({"Type": "Notification", "Message": trail});
        check(&sns.to_string(), &[("trail", "AWSLogs/1/x.json.gz"), ("trail", "AWSLogs/1/y.json.gz")]);
    }

    #[test]
    fn what_is_none() {
        let mut wrapped = PUT.to_owned();
        for _ in 0..4 {
            wrapped = serde_json::json!({"Type": "Notification", "Message": wrapped}).to_string();
        }
        for body in ["", "hello", "{}", "[]", r#"{"Records":7}"#, wrapped.as_str()] {
            assert!(matches!(objects(body), Err(Odd::Form(_))), "{body}");
        }
        for (bucket, region, key) in [
            ("evil.example/x", "eu-west-1", "k"),
            ("trail", "eu-west-1.evil.example#", "k"),
            ("trail", "eu-west-1", ""),
        ] {
            let body = serde_json::json!({"Records": [{"eventName": "ObjectCreated:Put", "awsRegion": region,
                "s3": {"bucket": {"name": bucket}, "object": {"key": key}}}]});
            assert!(matches!(objects(&body.to_string()), Err(Odd::Name(_))), "{body}");
        }
    }
}
