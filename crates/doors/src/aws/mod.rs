//! Requests to AWS, signed with Signature Version 4. The SDK would take three minutes to build for two calls.

mod keys;

pub use keys::KeyOptions;

use crate::aws::keys::Keys;
use crate::door::DoorError;
use crate::out::{self, Refused, percent, refused, told};
use crate::tls::ClientTls;
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use jiff::Timestamp;
use reqwest::{Client, Response};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::Mutex;

/// Keys are fetched anew this long before they end.
const BEFORE_END: i64 = 300;
/// Longer than SQS lets a request wait for messages.
const ANSWER: Duration = Duration::from_secs(40);

/// Signs and sends in one identity.
pub(crate) struct Aws {
    door: &'static str,
    http: Client,
    from: Option<KeyOptions>,
    keys: Mutex<Option<Arc<Keys>>>,
}

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    /// Something that may pass.
    #[error("{0}")]
    Lost(String),
    #[error("{0}")]
    Refused(Refused),
}

impl Failed {
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Failed::Refused(r) if r.status.as_u16() == 404)
    }
}

/// One request: what the signature covers.
struct Request<'a> {
    method: &'a str,
    /// `https://sqs.eu-central-1.amazonaws.com`
    base: &'a str,
    /// With its percent-encoding.
    path: &'a str,
    /// As it is sent, its names in order.
    query: &'a str,
    /// Names in small letters.
    headers: Vec<(&'static str, String)>,
    body: &'a str,
    region: &'a str,
    service: &'a str,
}

impl Aws {
    pub(crate) fn open(
        door: &'static str,
        from: Option<KeyOptions>,
        tls: Option<&ClientTls>,
    ) -> Result<Aws, DoorError> {
        if let Some(from) = &from {
            // A missing file is said at the start.
            from.open(door)?;
        }
        Ok(Aws { door, http: out::client(door, tls)?, from, keys: Mutex::new(None) })
    }

    async fn keys(&self) -> Result<Arc<Keys>, Failed> {
        let mut held = self.keys.lock().await;
        let now = Timestamp::now().as_second();
        match &*held {
            Some(keys) if keys.until.is_none_or(|until| now < until - BEFORE_END) => Ok(keys.clone()),
            _ => {
                let fetched = keys::fetch(self.door, self.from.as_ref(), &self.http).await;
                let fetched =
                    Arc::new(fetched.map_err(|why| Failed::Lost(format!("no AWS credentials: {why}")))?);
                Ok(held.insert(fetched).clone())
            }
        }
    }

    /// Asks for the keys again: those that were used are not good any more.
    async fn forget_keys(&self) {
        *self.keys.lock().await = None;
    }

    /// A call of SQS by its JSON protocol.
    pub(crate) async fn sqs(&self, queue: &Queue, action: &str, body: &str) -> Result<Vec<u8>, Failed> {
        let headers = vec![
            ("content-type", "application/x-amz-json-1.0".to_owned()),
            ("x-amz-target", format!("AmazonSQS.{action}")),
        ];
        let request = Request {
            method: "POST",
            base: &queue.base,
            path: "/",
            query: "",
            headers,
            body,
            region: &queue.region,
            service: "sqs",
        };
        let response = self.send(&request).await?;
        out::body(response, 8 << 20).await.map_err(Failed::Lost)
    }

    /// An object of S3, as a stream.
    pub(crate) async fn object(&self, at: &Object<'_>) -> Result<Response, Failed> {
        let (base, path) = at.place();
        let query = at.version.map(|v| format!("versionId={}", percent(v, false))).unwrap_or_default();
        let headers = Vec::new();
        let request = Request {
            method: "GET",
            base: &base,
            path: &path,
            query: &query,
            headers,
            body: "",
            region: at.region,
            service: "s3",
        };
        self.send(&request).await
    }

    async fn send(&self, request: &Request<'_>) -> Result<Response, Failed> {
        let keys = self.keys().await?;
        let headers = signed(request, &keys, Timestamp::now());
        let query = if request.query.is_empty() { String::new() } else { format!("?{}", request.query) };
        let url = format!("{}{}{query}", request.base, request.path);
        let mut builder = match request.method {
            "POST" => self.http.post(url).body(request.body.to_owned()).timeout(ANSWER),
            _ => self.http.get(url),
        };
        for (name, value) in headers {
            builder = builder.header(name, value);
        }
        let response = builder.send().await.map_err(|e| Failed::Lost(told(&e)))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let refused = refused(response).await;
        if matches!(refused.status.as_u16(), 400 | 401 | 403) {
            self.forget_keys().await;
        }
        Err(Failed::Refused(refused))
    }
}

/// A queue of SQS, from its URL.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Queue {
    pub(crate) url: String,
    base: String,
    pub(crate) region: String,
}

impl Queue {
    pub(crate) fn new(url: &str, region: Option<&str>) -> Option<Queue> {
        let (scheme, rest) = url.split_once("://")?;
        let (host, _) = rest.split_once('/')?;
        // sqs.eu-central-1.amazonaws.com, eu-central-1.queue.amazonaws.com, or an endpoint of a VPC.
        let region = match region {
            Some(region) => region,
            None => host.split('.').find(|part| is_region(part))?,
        };
        let good = matches!(scheme, "http" | "https") && is_region(region);
        good.then(|| Queue {
            url: url.to_owned(),
            base: format!("{scheme}://{host}"),
            region: region.to_owned(),
        })
    }
}

/// `eu-central-1`, `us-gov-west-1`
pub(crate) fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    (3..=4).contains(&parts.len())
        && parts.last().is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
        && parts
            .iter()
            .all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
}

/// As S3 allows them: nothing that could name another host.
pub(crate) fn is_bucket(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    (3..=63).contains(&text.len())
        && text.bytes().all(good)
        && !text.contains("..")
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
}

/// One object. Bucket and region were checked.
pub(crate) struct Object<'a> {
    /// In place of S3's own host.
    pub(crate) endpoint: Option<&'a str>,
    pub(crate) region: &'a str,
    pub(crate) bucket: &'a str,
    pub(crate) key: &'a str,
    pub(crate) version: Option<&'a str>,
}

impl Object<'_> {
    fn place(&self) -> (String, String) {
        let suffix = if self.region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let (bucket, key) = (self.bucket, percent(self.key, true));
        match self.endpoint {
            Some(endpoint) => (endpoint.trim_end_matches('/').to_owned(), format!("/{bucket}/{key}")),
            // A certificate for *.s3… does not cover a name with a dot in it.
            None if bucket.contains('.') => {
                (format!("https://s3.{}.{suffix}", self.region), format!("/{bucket}/{key}"))
            }
            None => (format!("https://{bucket}.s3.{}.{suffix}", self.region), format!("/{key}")),
        }
    }
}

/// The headers that a request is sent with.
fn signed(request: &Request<'_>, keys: &Keys, now: Timestamp) -> Vec<(&'static str, String)> {
    let date = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let day = date.get(..8).unwrap_or_default();
    let host = request.base.split_once("://").map_or("", |(_, host)| host);
    let body = hash(request.body);
    let mut headers = request.headers.clone();
    headers.push(("host", host.to_owned()));
    headers.push(("x-amz-content-sha256", body.clone()));
    headers.push(("x-amz-date", date.clone()));
    if let Some(token) = &keys.token {
        headers.push(("x-amz-security-token", token.expose().to_owned()));
    }
    headers.sort();
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let mut canonical = format!("{}\n{}\n{}\n", request.method, request.path, request.query);
    for (name, value) in &headers {
        canonical.push_str(&format!("{name}:{}\n", value.trim()));
    }
    canonical.push_str(&format!("\n{names}\n{body}"));
    let scope = format!("{day}/{}/{}/aws4_request", request.region, request.service);
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hash(&canonical));
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let key = generate_signing_key(keys.secret.expose(), time, request.region, request.service);
    let signature = calculate_signature(key, to_sign.as_bytes());
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
        keys.id
    );
    headers.retain(|(name, _)| *name != "host");
    headers.push(("authorization", authorization));
    headers
}

fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn the_signature_of_amazons_own_example() {
        // "GET Object" of the S3 API reference (Examples: Signature Calculations in AWS Signature Version 4).
        let keys = Keys {
            id: "AKIAIOSFODNN7EXAMPLE".into(),
            secret: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            token: None,
            until: None,
        };
        let request = Request {
            method: "GET",
            base: "https://examplebucket.s3.amazonaws.com",
            path: "/test.txt",
            query: "",
            headers: vec![("range", "bytes=0-9".into())],
            body: "",
            region: "us-east-1",
            service: "s3",
        };
        let now: Timestamp = "2013-05-24T00:00:00Z".parse().expect("a time");
        let headers = signed(&request, &keys, now);
        let authorization = headers.iter().find(|(n, _)| *n == "authorization").map(|(_, v)| v.as_str());
        assert_eq!(
            authorization,
            Some(
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
                 SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, \
                 Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
            )
        );
    }

    #[test]
    fn places() {
        let object =
            |endpoint, bucket, key| Object { endpoint, region: "eu-central-1", bucket, key, version: None };
        let (base, path) = object(None, "logs", "a b/ü+.gz").place();
        assert_eq!(
            (base.as_str(), path.as_str()),
            ("https://logs.s3.eu-central-1.amazonaws.com", "/a%20b/%C3%BC%2B.gz")
        );
        let (base, path) = object(None, "my.logs", "k").place();
        assert_eq!((base.as_str(), path.as_str()), ("https://s3.eu-central-1.amazonaws.com", "/my.logs/k"));
        let queue = |url, region| Queue::new(url, region).map(|q| (q.base, q.region));
        assert_eq!(
            queue("https://sqs.eu-central-1.amazonaws.com/123456789012/logs", None),
            Some(("https://sqs.eu-central-1.amazonaws.com".into(), "eu-central-1".into()))
        );
        assert_eq!(queue("http://127.0.0.1:5000/1/q", None), None);
        assert!(queue("http://127.0.0.1:5000/1/q", Some("us-gov-west-1")).is_some());
        assert!(
            is_bucket("my-logs.2026")
                && !is_bucket("a@evil")
                && !is_bucket("UP")
                && !is_bucket("x/y")
                && !is_bucket("-ab")
        );
        assert!(!is_region("eu-central-1.evil") && !is_region("evil") && is_region("ap-southeast-2"));
    }
}
