//! Requests of our own to other systems: identity providers and receivers of webhooks. No redirect is followed, no proxy
//! of the environment is used, and what comes back is bounded.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

/// A client. Cheap to share; connections are kept for a while.
pub(crate) struct Outward {
    agent: ureq::Agent,
}

pub(crate) struct Asked<'a> {
    pub(crate) method: &'static str,
    pub(crate) url: &'a str,
    pub(crate) headers: &'a [(&'static str, &'a str)],
    pub(crate) body: Option<&'a [u8]>,
}

/// What came back.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Heard {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
    pub(crate) location: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// Bytes of an answer that are read.
const MOST: u64 = 256 << 10;

impl Outward {
    /// `ca`: PEM of the only authorities that are believed; those of the web where none is given.
    pub(crate) fn new(ca: Option<&Path>, timeout: Duration) -> Result<Outward, String> {
        let mut tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()));
        if let Some(path) = ca {
            let pem = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
            let certificates: Vec<Certificate<'static>> = ureq::tls::parse_pem(&pem)
                .filter_map(|item| match item {
                    Ok(ureq::tls::PemItem::Certificate(c)) => Some(c),
                    _ => None,
                })
                .collect();
            if certificates.is_empty() {
                return Err(format!("{}: holds no certificate", path.display()));
            }
            tls = tls.root_certs(RootCerts::new_with_certs(&certificates));
        }
        let agent = ureq::Agent::config_builder()
            .tls_config(tls.build())
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .proxy(None)
            .timeout_connect(Some(timeout.min(Duration::from_secs(10))))
            .timeout_global(Some(timeout))
            .user_agent(concat!("portreeve/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Ok(Outward { agent })
    }

    /// Blocks. `Err` where no answer came, in words that hold neither headers nor bodies.
    pub(crate) fn ask(&self, asked: &Asked<'_>) -> Result<Heard, String> {
        let mut request = ureq::http::Request::builder().method(asked.method).uri(asked.url);
        for (name, value) in asked.headers {
            request = request.header(*name, *value);
        }
        let built = |e: ureq::http::Error| format!("the request cannot be made: {e}");
        let answer = match asked.body {
            Some(body) => self.agent.run(request.body(body).map_err(built)?),
            None => self.agent.run(request.body(()).map_err(built)?),
        };
        let mut answer = answer.map_err(|e| e.to_string())?;
        let header = |name: &str| answer.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let (retry_after, location) = (header("retry-after"), header("location"));
        let status = answer.status().as_u16();
        let mut body = Vec::new();
        answer.body_mut().as_reader().take(MOST).read_to_end(&mut body).map_err(|e| e.to_string())?;
        Ok(Heard { status, retry_after, location, body })
    }
}

/// An address to which a secret may go: https, or http on this machine.
pub(crate) fn is_safe(url: &url::Url) -> bool {
    match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(url::Host::Domain(name))) => name == "localhost",
        ("http", Some(url::Host::Ipv4(ip))) => ip.is_loopback(),
        ("http", Some(url::Host::Ipv6(ip))) => ip.is_loopback(),
        _ => false,
    }
}
