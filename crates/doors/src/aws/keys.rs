//! Where the keys of an AWS identity come from: the configuration, the environment, or the machine that this runs on.

use crate::door::DoorError;
use crate::out::{self, percent, refused, told};
use crate::secret::{Secret, SecretRef};
use jiff::Timestamp;
use reqwest::{Client, RequestBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Keys from the configuration.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AwsKeys")]
pub struct KeyOptions {
    /// Its id.
    pub access_key_id: String,
    /// Where its secret lies.
    pub secret_access_key: SecretRef,
    /// Of a temporary key.
    #[serde(default)]
    pub session_token: Option<SecretRef>,
}

pub(crate) struct Keys {
    pub(crate) id: String,
    pub(crate) secret: Secret,
    /// Of temporary ones.
    pub(crate) token: Option<Secret>,
    /// When they end, in seconds since 1970.
    pub(crate) until: Option<i64>,
}

impl KeyOptions {
    pub(crate) fn open(&self, door: &'static str) -> Result<Keys, DoorError> {
        let id = self.access_key_id.clone();
        if id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(DoorError::config(door, format!("access_key_id `{id}` has letters and digits only")));
        }
        let secret = self.secret_access_key.open(door)?;
        let token = self.session_token.as_ref().map(|t| t.open(door)).transpose()?;
        // Read again now and then: temporary ones are written anew by whoever renews them.
        let until = token.is_some().then(|| Timestamp::now().as_second() + 600);
        Ok(Keys { id, secret, token, until })
    }
}

/// The metadata services answer at once or not at all.
const METADATA: Duration = Duration::from_secs(3);
const INSTANCE: &str = "http://169.254.169.254";
const CONTAINER: &str = "http://169.254.170.2";

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

/// In the order of Amazon's own tools: what is configured, the environment, a web identity (EKS), the container (ECS, EKS
/// Pod Identity), the instance (EC2, IMDSv2).
pub(crate) async fn fetch(
    door: &'static str,
    from: Option<&KeyOptions>,
    http: &Client,
) -> Result<Keys, String> {
    if let Some(from) = from {
        return from.open(door).map_err(|e| e.to_string());
    }
    if let (Some(id), Some(secret)) = (env("AWS_ACCESS_KEY_ID"), env("AWS_SECRET_ACCESS_KEY")) {
        let token = env("AWS_SESSION_TOKEN").map(Secret::new);
        return Ok(Keys { id, secret: Secret::new(secret), token, until: None });
    }
    if let (Some(role), Some(file)) = (env("AWS_ROLE_ARN"), env("AWS_WEB_IDENTITY_TOKEN_FILE")) {
        let region = env("AWS_REGION").or_else(|| env("AWS_DEFAULT_REGION"));
        let base = match region {
            Some(region) if super::is_region(&region) => format!("https://sts.{region}.amazonaws.com"),
            _ => "https://sts.amazonaws.com".to_owned(),
        };
        return web_identity(http, &base, &role, &file).await;
    }
    let full = env("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    let relative = env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").map(|path| format!("{CONTAINER}{path}"));
    if let Some(url) = full.or(relative) {
        let file = env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
        let token = match file {
            Some(file) => Some(read(&file)?),
            None => env("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
        };
        return container(http, &url, token.as_deref()).await;
    }
    instance(http, INSTANCE).await
}

fn read(file: &str) -> Result<String, String> {
    std::fs::read_to_string(file).map(|t| t.trim().to_owned()).map_err(|e| format!("{file}: {e}"))
}

/// The form in which the metadata services give keys.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Given {
    access_key_id: String,
    secret_access_key: String,
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    expiration: Option<String>,
}

impl Given {
    fn keys(self) -> Keys {
        Keys {
            id: self.access_key_id,
            secret: Secret::new(self.secret_access_key),
            token: self.token.map(Secret::new),
            until: self.expiration.as_deref().and_then(seconds),
        }
    }
}

fn seconds(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_second)
}

async fn text(request: RequestBuilder) -> Result<String, String> {
    let response = request.timeout(METADATA).send().await.map_err(|e| told(&e))?;
    if !response.status().is_success() {
        return Err(refused(response).await.to_string());
    }
    let bytes = out::body(response, 256 << 10).await?;
    String::from_utf8(bytes).map_err(|e| e.to_string())
}

async fn container(http: &Client, url: &str, token: Option<&str>) -> Result<Keys, String> {
    let mut request = http.get(url);
    if let Some(token) = token {
        request = request.header("authorization", token);
    }
    let answer = text(request).await.map_err(|why| format!("the container's credentials: {why}"))?;
    let given: Given =
        serde_json::from_str(&answer).map_err(|e| format!("the container's credentials: {e}"))?;
    Ok(given.keys())
}

async fn instance(http: &Client, base: &str) -> Result<Keys, String> {
    let wrong = |why: String| {
        format!(
            "neither `keys`, environment nor container has any, and the instance's metadata do not answer: {why}"
        )
    };
    let ask =
        http.put(format!("{base}/latest/api/token")).header("x-aws-ec2-metadata-token-ttl-seconds", "300");
    let token = text(ask).await.map_err(wrong)?;
    let get = |path: &str| http.get(format!("{base}{path}")).header("x-aws-ec2-metadata-token", &token);
    let list = "/latest/meta-data/iam/security-credentials/";
    let role = text(get(list)).await.map_err(|why| format!("the instance has no role: {why}"))?;
    let role = role.lines().next().unwrap_or_default().trim().to_owned();
    let answer = text(get(&format!("{list}{}", percent(&role, false)))).await.map_err(wrong)?;
    let given: Given = serde_json::from_str(&answer).map_err(|e| format!("the role of the instance: {e}"))?;
    Ok(given.keys())
}

async fn web_identity(http: &Client, base: &str, role: &str, file: &str) -> Result<Keys, String> {
    let token = read(file)?;
    let body = format!(
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleSessionName=portreeve&RoleArn={}&WebIdentityToken={}",
        percent(role, false),
        percent(&token, false)
    );
    let request =
        http.post(format!("{base}/")).header("content-type", "application/x-www-form-urlencoded").body(body);
    let answer = text(request.timeout(Duration::from_secs(15)))
        .await
        .map_err(|why| format!("the role {role}: {why}"))?;
    // Values of these have no character that XML would encode.
    let between = |name: &str| {
        let (_, rest) = answer.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(value, _)| value.trim().to_owned())
    };
    let (Some(id), Some(secret)) = (between("AccessKeyId"), between("SecretAccessKey")) else {
        return Err(format!("the role {role}: the answer has no keys"));
    };
    let until = between("Expiration").as_deref().and_then(seconds);
    Ok(Keys { id, secret: Secret::new(secret), token: between("SessionToken").map(Secret::new), until })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;

    /// Answers so many requests; gives back what was asked.
    fn serve(answers: Vec<&'static str>) -> (String, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let server = std::thread::spawn(move || {
            let mut asked = Vec::new();
            for answer in answers {
                let (stream, _) = listener.accept().expect("a client");
                let mut reader = BufReader::new(stream);
                let (mut head, mut length) = (String::new(), 0);
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).expect("a line");
                    if line.trim().is_empty() {
                        break;
                    }
                    if let Some(n) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = n.trim().parse().expect("a number");
                    }
                    head.push_str(&line);
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).expect("a body");
                asked.push(format!("{head}{}", String::from_utf8_lossy(&body)));
                let reply = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
                    answer.len()
                );
                reader.get_mut().write_all(reply.as_bytes()).expect("sent");
            }
            asked
        });
        (base, server)
    }

    const GIVEN: &str = r#"{"Code":"Success","AccessKeyId":"ASIA1","SecretAccessKey":"s","Token":"t","Expiration":"2027-01-01T00:00:00Z"}"#;

    fn check(keys: &Keys) {
        assert_eq!((keys.id.as_str(), keys.secret.expose()), ("ASIA1", "s"));
        assert_eq!(keys.token.as_ref().map(Secret::expose), Some("t"));
        assert_eq!(keys.until, Some(1_798_761_600));
    }

    #[tokio::test]
    async fn of_the_machine() {
        let http = out::client("s3_sqs", None).expect("a client");
        let (base, server) = serve(vec!["secret-token", "web-role\n", GIVEN]);
        check(&instance(&http, &base).await.expect("keys"));
        let asked = server.join().expect("served");
        assert!(asked[0].starts_with("PUT /latest/api/token"));
        assert!(asked[2].starts_with("GET /latest/meta-data/iam/security-credentials/web-role "));
        assert!(asked[1].contains("x-aws-ec2-metadata-token: secret-token"));

        let (base, server) = serve(vec![GIVEN]);
        check(&container(&http, &format!("{base}/v2/x"), Some("Basic abc")).await.expect("keys"));
        assert!(server.join().expect("served")[0].contains("authorization: Basic abc"));

        let (base, server) = serve(vec![
            "<R><Credentials><AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
             <SessionToken>t</SessionToken><Expiration>2027-01-01T00:00:00Z</Expiration></Credentials></R>",
        ]);
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("token");
        std::fs::write(&file, "eyJ.x.y\n").expect("written");
        let role = "arn:aws:iam::1:role/x";
        check(&web_identity(&http, &base, role, file.to_str().expect("text")).await.expect("keys"));
        let asked = server.join().expect("served");
        assert!(
            asked[0].ends_with("RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fx&WebIdentityToken=eyJ.x.y"),
            "{asked:?}"
        );
    }
}
