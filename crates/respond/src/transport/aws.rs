//! The APIs of AWS: requests signed with Signature Version 4, sent to the service's own host in the region that the
//! configuration names.

use crate::encode::xml_read::Node;
use crate::fault::Fault;
use crate::secret::Secret;
use crate::transport::http::{Answer, Body, Endpoint, Http, Method, Path, percent};
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use jiff::Timestamp;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// Where and in whose name; the part of the configuration that the connectors of AWS share.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// `eu-central-1`. For IAM and CloudFront it says only which partition is meant.
    pub region: String,
    /// In place of AWS's hosts, for stand-ins: an address of loopback alone.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// PEM file of an authority, in place of the public ones.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Seconds until an answer is given up.
    #[serde(default = "timeout")]
    pub timeout: u64,
}

fn timeout() -> u64 {
    15
}

/// A service, by what its requests need.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Service {
    /// In the host and in the signature.
    pub name: &'static str,
    /// Version of a query API; prefix of `X-Amz-Target` of a JSON API.
    pub version: &'static str,
    /// One for the whole partition.
    pub global: bool,
}

pub const IAM: Service = Service { name: "iam", version: "2010-05-08", global: true };
pub const STS: Service = Service { name: "sts", version: "2011-06-15", global: false };
pub const EC2: Service = Service { name: "ec2", version: "2016-11-15", global: false };
pub const WAF: Service = Service { name: "wafv2", version: "AWSWAF_20190729", global: false };

/// Keys of an identity.
#[derive(Clone)]
pub struct Keys {
    pub id: String,
    pub secret: Secret,
    /// Of temporary credentials.
    pub token: Option<Secret>,
}

/// A request that AWS answered with an error, or that did not come back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failed {
    /// AWS's own word: `NoSuchEntity`. Empty where there was no answer.
    pub code: String,
    pub fault: Fault,
}

impl From<Failed> for Fault {
    fn from(failed: Failed) -> Fault {
        failed.fault
    }
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Failed {
        Failed { code: String::new(), fault }
    }
}

impl Failed {
    pub fn is(&self, code: &str) -> bool {
        self.code == code
    }
}

/// A client of one service in one region.
pub struct Aws {
    http: Http,
    host: String,
    service: Service,
    region: String,
    keys: Keys,
}

/// The text at the end of a path of names, trimmed.
pub fn get<'a>(node: &'a Node, path: &str) -> Option<&'a str> {
    node.at(path).map(|n| n.text.trim())
}

/// The elements of a list: `member` in IAM, `item` in EC2.
pub fn items<'a>(node: &'a Node, path: &str) -> impl Iterator<Item = &'a Node> {
    let list = node.at(path).map(|n| n.children.as_slice()).unwrap_or_default();
    list.iter().filter(|n| matches!(n.name.as_str(), "member" | "item"))
}

/// Parameters of a query request, in the order in which they are sent.
pub type Params<'a> = &'a [(&'a str, &'a str)];

impl Keys {
    /// Takes `{"access_key_id", "secret_access_key", "session_token"}`, the JSON that AWS's own tools print
    /// (`AccessKeyId` …, also inside `Credentials` or `AccessKey`), or the INI form of its credentials file with one
    /// section.
    pub fn read(secret: &Secret) -> Result<Keys, Fault> {
        let wrong = || {
            Fault::Credential(
                "holds no access_key_id and secret_access_key, as JSON or as a credentials file with one section"
                    .to_owned(),
            )
        };
        let text = secret.expose().trim();
        let mut found: BTreeMap<String, String> = BTreeMap::new();
        if text.starts_with('{') {
            let whole: serde_json::Value = serde_json::from_str(text).map_err(|_| wrong())?;
            let inner = whole.get("Credentials").or_else(|| whole.get("AccessKey")).unwrap_or(&whole);
            for (name, value) in inner.as_object().into_iter().flatten() {
                if let Some(value) = value.as_str() {
                    found.insert(plain_name(name), value.to_owned());
                }
            }
        } else {
            let mut sections = 0;
            for line in text.lines().map(str::trim) {
                if line.starts_with('[') {
                    sections += 1;
                } else if let Some((name, value)) = line.split_once('=')
                    && !line.starts_with(['#', ';'])
                {
                    found.insert(plain_name(name.trim()), value.trim().to_owned());
                }
            }
            if sections > 1 {
                return Err(Fault::Credential("holds more than one section; none is chosen".into()));
            }
        }
        let mut take = |name: &str| found.remove(name).filter(|v| !v.is_empty());
        let (id, secret, token) = (take("accesskeyid"), take("secretaccesskey"), take("sessiontoken"));
        match (id, secret) {
            (Some(id), Some(secret)) if id.bytes().all(|b| b.is_ascii_alphanumeric()) => {
                Ok(Keys { id, secret: Secret::new(secret), token: token.map(Secret::new) })
            }
            _ => Err(wrong()),
        }
    }
}

fn plain_name(name: &str) -> String {
    let name: String = name.chars().filter(|c| *c != '_').collect::<String>().to_ascii_lowercase();
    name.strip_prefix("aws").unwrap_or(&name).to_owned()
}

impl Place {
    /// Is it written so that a client can be opened? Nothing is read or sent.
    pub fn check(&self, service: Service) -> Result<(), Fault> {
        let keys = Keys { id: String::new(), secret: Secret::new(""), token: None };
        Aws::open(self, service, keys).map(|_| ())
    }
}

impl Aws {
    /// Opens the client. Nothing is sent.
    pub fn open(place: &Place, service: Service, keys: Keys) -> Result<Aws, Fault> {
        let region = place.region.as_str();
        let shaped = region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && region.split('-').count() >= 3
            && !region.split('-').any(str::is_empty);
        if !shaped {
            return Err(Fault::Config(format!("region `{region}` is not written like `eu-central-1`")));
        }
        let (region, host) = host(region, service);
        let url = match &place.endpoint {
            None => format!("https://{host}"),
            Some(url) => {
                let name = url.split_once("://").map_or("", |(_, rest)| rest);
                let name = name.split(['/', ':']).next().unwrap_or("");
                if !matches!(name, "127.0.0.1" | "localhost") || url.matches('/').count() > 2 {
                    return Err(Fault::Config(format!(
                        "endpoint {url}: stands in for AWS on 127.0.0.1 alone, without a path"
                    )));
                }
                url.clone()
            }
        };
        let host = url.split_once("://").map_or("", |(_, rest)| rest).to_owned();
        let endpoint = Endpoint {
            url,
            ca: place.ca.clone(),
            client_cert: None,
            client_key: None,
            timeout: place.timeout,
        };
        Ok(Aws { http: Http::open(&endpoint)?, host, service, region, keys })
    }

    /// The request as a preview shows it.
    pub fn shown(&self, action: &str, params: Params<'_>) -> String {
        format!("POST https://{}/ {}", self.host, self.form(action, params))
    }

    /// The same for a JSON API.
    pub fn shown_json(&self, action: &str, body: &serde_json::Value) -> String {
        format!("POST https://{}/ {}.{action} {body}", self.host, self.service.version)
    }

    /// A query request that reads; tried again twice when AWS is busy or does not answer.
    pub fn ask(&self, action: &str, params: Params<'_>) -> Result<Node, Failed> {
        patient(|| self.query(action, params))
    }

    /// A query request that changes something; tried again only when AWS says that it was throttled.
    pub fn change(&self, action: &str, params: Params<'_>) -> Result<Node, Failed> {
        throttled(|| self.query(action, params))
    }

    /// A request of a JSON API that reads.
    pub fn ask_json(&self, action: &str, body: &serde_json::Value) -> Result<serde_json::Value, Failed> {
        patient(|| self.json(action, body))
    }

    /// A request of a JSON API that changes something.
    pub fn change_json(&self, action: &str, body: &serde_json::Value) -> Result<serde_json::Value, Failed> {
        throttled(|| self.json(action, body))
    }

    /// A list of IAM whose pages are joined: the elements at `path` of the result.
    pub fn members(&self, action: &str, params: Params<'_>, path: &str) -> Result<Vec<Node>, Failed> {
        let at = |name: &str| format!("{action}Result/{name}");
        let mut all = Vec::new();
        let mut marker: Option<String> = None;
        for _ in 0..PAGES {
            let mut params = params.to_vec();
            if let Some(marker) = &marker {
                params.push(("Marker", marker));
            }
            let answer = self.ask(action, &params)?;
            all.extend(items(&answer, &at(path)).cloned());
            if get(&answer, &at("IsTruncated")) != Some("true") {
                return Ok(all);
            }
            let next = get(&answer, &at("Marker")).map(str::to_owned);
            if next.is_none() || next == marker {
                break;
            }
            marker = next;
        }
        Err(Fault::Garbled(format!("{action}: the list does not end")).into())
    }

    fn form(&self, action: &str, params: Params<'_>) -> String {
        let mut body = format!("Action={action}&Version={}", self.service.version);
        for (name, value) in params {
            body.push('&');
            body.push_str(name);
            body.push('=');
            percent(&mut body, value);
        }
        body
    }

    fn query(&self, action: &str, params: Params<'_>) -> Result<Node, Failed> {
        let body = self.form(action, params);
        let answer = self.send("application/x-www-form-urlencoded; charset=utf-8", &body, None)?;
        if answer.ok() {
            return Ok(Node::parse(&answer.body)?);
        }
        // IAM and EC2 wrap their errors differently.
        let whole = Node::parse(&answer.body).unwrap_or_default();
        let error = whole.child("Error").or_else(|| whole.at("Errors/Error")).cloned().unwrap_or_default();
        Err(failed(&answer, error.text_of("Code").to_owned(), error.text_of("Message")))
    }

    fn json(&self, action: &str, body: &serde_json::Value) -> Result<serde_json::Value, Failed> {
        let target = format!("{}.{action}", self.service.version);
        let answer = self.send("application/x-amz-json-1.1", &body.to_string(), Some(&target))?;
        if answer.ok() {
            return if answer.body.trim().is_empty() {
                Ok(serde_json::Value::Null)
            } else {
                Ok(answer.json()?)
            };
        }
        let whole: serde_json::Value = serde_json::from_str(&answer.body).unwrap_or_default();
        let text = |name: &str| whole.get(name).and_then(|v| v.as_str()).unwrap_or_default();
        // `com.amazonaws.waf#WAFNonexistentItemException`
        let code = text("__type").rsplit('#').next().unwrap_or_default().to_owned();
        let message = if text("message").is_empty() { text("Message") } else { text("message") };
        Err(failed(&answer, code, message))
    }

    fn send(&self, kind: &'static str, body: &str, target: Option<&str>) -> Result<Answer, Fault> {
        let headers = self.signed(kind, body, target, Timestamp::now());
        self.http.send(Method::Post, &Path::new("/"), &Body::Text(kind, body), &headers)
    }

    /// Signature Version 4 over `POST /`, the body, and every header that says something.
    fn signed(
        &self,
        kind: &str,
        body: &str,
        target: Option<&str>,
        now: Timestamp,
    ) -> Vec<(&'static str, String)> {
        let date = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let day = date.get(..8).unwrap_or_default();
        // In the order of their names, as the canonical request wants them.
        let mut headers: Vec<(&'static str, &str)> =
            vec![("content-type", kind), ("host", &self.host), ("x-amz-date", &date)];
        if let Some(token) = &self.keys.token {
            headers.push(("x-amz-security-token", token.expose()));
        }
        if let Some(target) = target {
            headers.push(("x-amz-target", target));
        }
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let mut canonical = String::from("POST\n/\n\n");
        for (name, value) in &headers {
            canonical.push_str(&format!("{name}:{}\n", value.trim()));
        }
        canonical.push_str(&format!("\n{names}\n{}", hash(body)));
        let scope = format!("{day}/{}/{}/aws4_request", self.region, self.service.name);
        let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hash(&canonical));
        let seconds = u64::try_from(now.as_second()).unwrap_or(0);
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let key = generate_signing_key(self.keys.secret.expose(), time, &self.region, self.service.name);
        let signature = calculate_signature(key, to_sign.as_bytes());
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            self.keys.id
        );
        let mut out: Vec<(&'static str, String)> = headers
            .into_iter()
            .filter(|(name, _)| !matches!(*name, "content-type" | "host"))
            .map(|(name, value)| (name, value.to_owned()))
            .collect();
        out.push(("authorization", authorization));
        out
    }
}

/// Region of the signature, and host, of a service.
fn host(region: &str, service: Service) -> (String, String) {
    let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    if !service.global {
        return (region.to_owned(), format!("{}.{region}.{suffix}", service.name));
    }
    let name = service.name;
    if region.starts_with("cn-") {
        ("cn-north-1".to_owned(), format!("{name}.cn-north-1.{suffix}"))
    } else if region.starts_with("us-gov-") {
        ("us-gov-west-1".to_owned(), format!("{name}.us-gov.{suffix}"))
    } else {
        ("us-east-1".to_owned(), format!("{name}.{suffix}"))
    }
}

/// The most pages of one list.
pub const PAGES: usize = 200;

fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
}

fn failed(answer: &Answer, code: String, message: &str) -> Failed {
    let message: String = message.chars().take(300).collect();
    if code.is_empty() {
        let code = if answer.status == 429 { "Throttling" } else { "" };
        return Failed { code: code.to_owned(), fault: answer.fault() };
    }
    let why = portreeve_model::untrusted::escape_for_terminal(&format!("{code}: {message}"));
    let fault = match code.as_str() {
        "AccessDenied"
        | "AccessDeniedException"
        | "AuthFailure"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "IncompleteSignature"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "RequestExpired"
        | "SignatureDoesNotMatch"
        | "UnauthorizedOperation"
        | "UnrecognizedClientException" => Fault::Credential(why),
        "NoSuchEntity" | "WAFNonexistentItemException" => Fault::NotFound(why),
        code if code.ends_with(".NotFound") => Fault::NotFound(why),
        // Throttling has a status of the 500s in EC2, and nothing was done.
        code if is_throttling(code) => Fault::Refused(why),
        _ if answer.status >= 500 => Fault::Lost(why),
        _ => Fault::Refused(why),
    };
    Failed { code, fault }
}

fn is_throttling(code: &str) -> bool {
    matches!(code, "Throttling" | "ThrottlingException" | "RequestLimitExceeded" | "TooManyRequestsException")
}

fn throttled<T>(mut send: impl FnMut() -> Result<T, Failed>) -> Result<T, Failed> {
    for wait in [1, 3] {
        match send() {
            Err(failed) if is_throttling(&failed.code) => std::thread::sleep(Duration::from_secs(wait)),
            other => return other,
        }
    }
    send()
}

fn patient<T>(mut send: impl FnMut() -> Result<T, Failed>) -> Result<T, Failed> {
    let read_only = |failed: Failed| match failed.fault {
        Fault::Lost(why) => Failed { fault: Fault::Unreachable(why), ..failed },
        _ => failed,
    };
    for wait in [1, 2] {
        match send() {
            Err(failed)
                if is_throttling(&failed.code)
                    || matches!(failed.fault, Fault::Lost(_) | Fault::Unreachable(_)) =>
            {
                std::thread::sleep(Duration::from_secs(wait));
            }
            other => return other.map_err(read_only),
        }
    }
    send().map_err(read_only)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(region: &str, endpoint: Option<&str>) -> Place {
        Place { region: region.into(), endpoint: endpoint.map(str::to_owned), ca: None, timeout: 2 }
    }

    fn keys() -> Keys {
        Keys { id: "AKIDEXAMPLE".into(), secret: Secret::new("hunter2"), token: None }
    }

    #[test]
    fn keys_come_as_json_or_as_a_credentials_file() {
        for text in [
            r#"{"access_key_id":"AKIA1","secret_access_key":"s/+","session_token":"t=="}"#,
            r#"{"Credentials":{"AccessKeyId":"AKIA1","SecretAccessKey":"s/+","SessionToken":"t=="}}"#,
            "[default]\naws_access_key_id = AKIA1\naws_secret_access_key = s/+\n# note = x\naws_session_token=t==\n",
        ] {
            let keys = Keys::read(&Secret::new(text)).unwrap();
            assert_eq!((keys.id.as_str(), keys.secret.expose()), ("AKIA1", "s/+"), "{text}");
            assert_eq!(keys.token.unwrap().expose(), "t==");
        }
        for text in [
            "AKIA1:s",
            "{}",
            "{",
            r#"{"access_key_id":"A\r\nX: y","secret_access_key":"s"}"#,
            "[a]\naws_access_key_id=A\naws_secret_access_key=s\n[b]",
        ] {
            let Err(fault) = Keys::read(&Secret::new(text)) else { panic!("{text}") };
            assert!(!fault.to_string().contains("AKIA1"), "a credential is not repeated");
        }
    }

    #[test]
    fn hosts_follow_partition_and_region() {
        let of = |region, service| host(region, service);
        assert_eq!(of("eu-central-1", IAM), ("us-east-1".into(), "iam.amazonaws.com".into()));
        assert_eq!(of("us-gov-east-1", IAM), ("us-gov-west-1".into(), "iam.us-gov.amazonaws.com".into()));
        assert_eq!(
            of("cn-northwest-1", IAM),
            ("cn-north-1".into(), "iam.cn-north-1.amazonaws.com.cn".into())
        );
        assert_eq!(of("eu-central-1", EC2), ("eu-central-1".into(), "ec2.eu-central-1.amazonaws.com".into()));
    }

    #[test]
    fn a_region_is_no_host_and_a_stand_in_is_on_loopback() {
        assert!(Aws::open(&place("eu-central-1", None), EC2, keys()).is_ok());
        for bad in ["", "evil.example/", "eu-central-1.evil.example", "eu--1", "eu central 1"] {
            assert!(Aws::open(&place(bad, None), EC2, keys()).is_err(), "{bad}");
        }
        assert!(Aws::open(&place("eu-central-1", Some("http://127.0.0.1:5000")), EC2, keys()).is_ok());
        for bad in
            ["https://evil.example", "http://127.0.0.1.evil.example", "http://127.0.0.1/x", "127.0.0.1"]
        {
            assert!(Aws::open(&place("eu-central-1", Some(bad)), EC2, keys()).is_err(), "{bad}");
        }
    }

    #[test]
    fn values_stay_in_their_place_in_a_form() {
        let aws = Aws::open(&place("eu-central-1", None), IAM, keys()).unwrap();
        let form = aws.form("GetUser", &[("UserName", "a&Action=DeleteUser<'\"\\ü+")]);
        assert_eq!(
            form,
            "Action=GetUser&Version=2010-05-08&UserName=a%26Action%3DDeleteUser%3C%27%22%5C%C3%BC%2B"
        );
    }

    #[test]
    fn the_body_and_the_token_are_signed() {
        let aws = Aws::open(&place("eu-central-1", None), IAM, keys()).unwrap();
        let now: Timestamp = "2026-11-02T09:00:00Z".parse().unwrap();
        let sign = |body| aws.signed("text/plain", body, None, now).pop().unwrap().1;
        assert!(sign("a").starts_with(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261102/us-east-1/iam/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date, Signature="
        ));
        assert_ne!(sign("a"), sign("b"));
        let mut with = Aws::open(&place("eu-central-1", None), IAM, keys()).unwrap();
        with.keys.token = Some(Secret::new("t"));
        let headers = with.signed("text/plain", "a", Some("X.Y"), now);
        assert!(headers.contains(&("x-amz-security-token", "t".to_owned())));
        assert!(headers.last().unwrap().1.contains("x-amz-date;x-amz-security-token;x-amz-target,"));
    }

    #[test]
    fn throttling_is_no_effect_and_a_failure_of_the_service_may_be_one() {
        let answer = |status| Answer { status, ..Answer::default() };
        let fault = |status, code: &str| failed(&answer(status), code.into(), "m").fault;
        assert!(!fault(503, "RequestLimitExceeded").may_have_acted());
        assert!(fault(500, "ServiceFailure").may_have_acted());
        assert!(matches!(fault(404, "NoSuchEntity"), Fault::NotFound(_)));
        assert!(matches!(fault(400, "InvalidNetworkAclID.NotFound"), Fault::NotFound(_)));
        assert!(matches!(fault(403, "SignatureDoesNotMatch"), Fault::Credential(_)));
        assert!(matches!(fault(409, "LimitExceeded"), Fault::Refused(_)));
    }
}
