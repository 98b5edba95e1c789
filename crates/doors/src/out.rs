//! HTTP from a door to a service: one way to open a client, and to say what went wrong.

use crate::door::DoorError;
use crate::tls::ClientTls;
use reqwest::{Certificate, Client, Identity, Response, StatusCode};
use std::time::Duration;

/// Until a connection is there, and until an answer says something more.
const CONNECT: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(60);
/// Of the body of an answer that says what went wrong.
const WORDS: usize = 400;

/// Opens a client. It follows no redirects: a service that sends elsewhere is not the one that the configuration names.
pub(crate) fn client(door: &'static str, tls: Option<&ClientTls>) -> Result<Client, DoorError> {
    // Without one reqwest panics; who runs the doors may have installed it already.
    rustls::crypto::ring::default_provider().install_default().ok();
    let mut builder = Client::builder()
        .user_agent(concat!("portreeve/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE)
        .no_gzip();
    if let Some(path) = tls.and_then(|t| t.authorities.as_ref()) {
        let pem = std::fs::read(path).map_err(|e| DoorError::file(path, e))?;
        let authorities = Certificate::from_pem_bundle(&pem).map_err(|e| DoorError::file(path, e))?;
        builder = builder.tls_certs_only(authorities);
    }
    if let Some(identity) = tls.and_then(|t| t.identity.as_ref()) {
        let mut pem =
            std::fs::read(&identity.certificate).map_err(|e| DoorError::file(&identity.certificate, e))?;
        pem.extend(std::fs::read(&identity.key).map_err(|e| DoorError::file(&identity.key, e))?);
        builder = builder.identity(Identity::from_pem(&pem).map_err(|e| DoorError::file(&identity.key, e))?);
    }
    builder.build().map_err(|e| DoorError::config(door, told(&e)))
}

/// A failed request with all its causes: reqwest's own text ends at "error sending request".
pub(crate) fn told(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// An answer that is no success.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    /// Seconds after which to come again, where the service says so.
    pub(crate) after: Option<Duration>,
    /// The beginning of what it says.
    pub(crate) words: String,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.status.as_u16(), self.words)
    }
}

/// Reads the beginning of an answer that is no success.
pub(crate) async fn refused(mut response: Response) -> Refused {
    let status = response.status();
    let header = |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    // Dates are allowed as well; the services here send seconds.
    let after = header("retry-after")
        .and_then(|v| v.trim().parse::<u64>().ok())
        .map(|s| Duration::from_secs(s.min(3_600)));
    let mut bytes = Vec::new();
    while bytes.len() < WORDS
        && let Ok(Some(chunk)) = response.chunk().await
    {
        bytes.extend_from_slice(&chunk);
    }
    bytes.truncate(WORDS);
    // What a service says ends in logs and on terminals.
    let words =
        String::from_utf8_lossy(&bytes).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    Refused { status, after, words }
}

/// A body of JSON, at most so long.
pub(crate) async fn body(mut response: Response, most: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() > most => {
                return Err(format!("the answer is longer than {most} bytes"));
            }
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => return Ok(bytes),
            Err(error) => return Err(told(&error)),
        }
    }
}

/// What goes into a query, or a path where `slash` stays.
pub(crate) fn percent(text: &str, slash: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b'/' if slash => out.push('/'),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}
