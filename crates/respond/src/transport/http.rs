//! HTTP to the one host that the configuration names: TLS verified, no redirects, no proxy from the environment,
//! secrets only in headers. What went wrong is told by whether the device may have acted.

use crate::fault::Fault;
use crate::secret::Secret;
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig, TlsProvider};

/// Where and how; part of a connector's configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// `https://host[:port][/base]`. `http` is taken for loopback alone.
    pub url: String,
    /// PEM file with the authority that signed the device's certificate, in place of the public ones.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// PEM files of a client certificate and its key.
    #[serde(default)]
    pub client_cert: Option<PathBuf>,
    #[serde(default)]
    pub client_key: Option<PathBuf>,
    /// Seconds until an answer is given up.
    #[serde(default = "timeout")]
    pub timeout: u64,
}

fn timeout() -> u64 {
    15
}

/// A client bound to one host.
pub struct Http {
    agent: ureq::Agent,
    base: String,
    headers: Vec<(&'static str, Secret)>,
}

/// An answer: the status, the headers that matter, and the body as text.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub status: u16,
    pub etag: Option<String>,
    /// `Link: <…>; rel="next"`.
    pub next: Option<String>,
    pub retry_after: Option<u64>,
    pub body: String,
}

impl Answer {
    pub fn ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub fn json(&self) -> Result<serde_json::Value, Fault> {
        serde_json::from_str(&self.body)
            .map_err(|e| Fault::Garbled(format!("the answer (status {}) is no JSON: {e}", self.status)))
    }

    /// The answer, or what its status means for the effect of a request.
    pub fn done(self) -> Result<Answer, Fault> {
        if self.ok() { Ok(self) } else { Err(self.fault()) }
    }

    /// 401 and 403: the credential. 404: nothing there. Other 4xx and 429: refused, nothing changed. 5xx: unknown,
    /// because products fail after the effect too.
    pub fn fault(&self) -> Fault {
        let body: String = self.body.trim().chars().take(300).collect();
        let why =
            format!("status {}: {}", self.status, portreeve_model::untrusted::escape_for_terminal(&body));
        match self.status {
            401 | 403 => Fault::Credential(why),
            404 | 410 => Fault::NotFound(why),
            300..=399 => Fault::Refused(format!("{why} (redirects are not followed)")),
            400..=499 => Fault::Refused(why),
            _ => Fault::Lost(why),
        }
    }
}

/// Methods, so that no string is one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    pub fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }
}

/// A path and query whose values are percent-encoded as they are put in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Path {
    text: String,
    asked: bool,
}

impl Path {
    /// A path that the program's author wrote, beginning with `/`.
    pub fn new(fixed: &'static str) -> Path {
        Path { text: fixed.to_owned(), asked: fixed.contains('?') }
    }

    /// Appends a fixed part.
    #[must_use]
    pub fn then(mut self, fixed: &'static str) -> Path {
        self.asked |= fixed.contains('?');
        self.text.push_str(fixed);
        self
    }

    /// Appends a value as one segment, `/` included in the encoding.
    #[must_use]
    pub fn segment(mut self, value: &str) -> Path {
        self.text.push('/');
        percent(&mut self.text, value);
        self
    }

    /// Appends `name=value` to the query.
    #[must_use]
    pub fn query(mut self, name: &'static str, value: &str) -> Path {
        self.text.push(if self.asked { '&' } else { '?' });
        self.asked = true;
        self.text.push_str(name);
        self.text.push('=');
        percent(&mut self.text, value);
        self
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Undoes percent-encoding; what is no encoding stays as it is.
pub fn unpercent(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&b, after)) = rest.split_first() {
        let two = after.get(..2).and_then(|t| std::str::from_utf8(t).ok());
        match two.filter(|_| b == b'%').and_then(|t| u8::from_str_radix(t, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                out.push(b);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Everything but letters, digits and `-._~` is encoded.
pub fn percent(out: &mut String, value: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for b in value.bytes() {
        if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(b));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(b >> 4)]));
            out.push(char::from(HEX[usize::from(b & 15)]));
        }
    }
}

/// The value of `Authorization` for a user and a password.
pub fn basic(user: &str, password: &Secret) -> Secret {
    use base64::Engine as _;
    let pair = zeroize::Zeroizing::new(format!("{user}:{}", password.expose()));
    Secret::new(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair.as_bytes())))
}

/// What goes into a request's body.
pub enum Body<'a> {
    Nothing,
    Json(&'a serde_json::Value),
    /// Content type and text.
    Text(&'static str, &'a str),
}

impl Http {
    /// Opens the client. Nothing is sent.
    pub fn open(endpoint: &Endpoint) -> Result<Http, Fault> {
        let config = |why: String| Fault::Config(format!("url {}: {why}", endpoint.url));
        let (scheme, rest) = endpoint
            .url
            .split_once("://")
            .ok_or_else(|| config("is not https://host[:port][/path]".into()))?;
        let host = rest.split(['/', '?', '#']).next().unwrap_or("");
        if host.contains('@') {
            return Err(config("holds a user or password; credentials stand apart".into()));
        }
        let name = host.strip_prefix('[').map_or_else(
            || host.rsplit_once(':').map_or(host, |(h, _)| h),
            |v6| v6.split(']').next().unwrap_or(""),
        );
        let loopback = name == "localhost"
            || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback());
        match scheme {
            "https" => {}
            "http" if loopback => {}
            "http" => {
                return Err(config("http shows the credential to everybody on the way; use https".into()));
            }
            _ => return Err(config("is neither https nor http".into())),
        }
        if rest.contains(['?', '#']) {
            return Err(config("holds a query".into()));
        }
        let mut tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()));
        if let Some(ca) = &endpoint.ca {
            let pem = std::fs::read(ca).map_err(|e| Fault::Config(format!("{}: {e}", ca.display())))?;
            let certs: Vec<Certificate<'static>> = ureq::tls::parse_pem(&pem)
                .filter_map(|item| match item {
                    Ok(ureq::tls::PemItem::Certificate(c)) => Some(c),
                    _ => None,
                })
                .collect();
            if certs.is_empty() {
                return Err(Fault::Config(format!("{}: holds no certificate", ca.display())));
            }
            tls = tls.root_certs(RootCerts::new_with_certs(&certs));
        }
        if let (Some(cert), Some(key)) = (&endpoint.client_cert, &endpoint.client_key) {
            let read = |p: &PathBuf| {
                std::fs::read(p).map_err(|e| Fault::Credential(format!("{}: {e}", p.display())))
            };
            let certs: Vec<Certificate<'static>> = ureq::tls::parse_pem(&read(cert)?)
                .filter_map(|item| match item {
                    Ok(ureq::tls::PemItem::Certificate(c)) => Some(c),
                    _ => None,
                })
                .collect();
            let key = PrivateKey::from_pem(&read(key)?)
                .map_err(|e| Fault::Credential(format!("client key: {e}")))?;
            tls = tls.client_cert(Some(ClientCert::new_with_certs(&certs, key)));
        }
        let agent = ureq::Agent::config_builder()
            .tls_config(tls.build())
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .proxy(None)
            .timeout_connect(Some(Duration::from_secs(endpoint.timeout.clamp(1, 10))))
            .timeout_global(Some(Duration::from_secs(endpoint.timeout.clamp(1, 120))))
            .user_agent(concat!("portreeve/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Ok(Http { agent, base: endpoint.url.trim_end_matches('/').to_owned(), headers: Vec::new() })
    }

    /// A header with a secret, sent with each request.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: Secret) -> Http {
        self.headers.push((name, value));
        self
    }

    /// `Authorization: Bearer …`.
    #[must_use]
    pub fn bearer(self, token: &Secret) -> Http {
        let value = Secret::new(format!("Bearer {}", token.expose()));
        self.header("authorization", value)
    }

    /// Replaces a header, for tokens that are renewed.
    pub fn set_header(&mut self, name: &'static str, value: Secret) {
        self.headers.retain(|(n, _)| *n != name);
        self.headers.push((name, value));
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    /// Where the next page begins: the value of `name` in a link that a device gave. A link to another host is
    /// refused, because the credential would go there.
    pub fn cursor(&self, link: &str, name: &str) -> Result<String, Fault> {
        let inside = link.strip_prefix(&self.base).is_some_and(|rest| rest.starts_with(['/', '?']));
        if !inside {
            return Err(Fault::Garbled("the link to the next page leads to another host".into()));
        }
        let query = link.split_once('?').map_or("", |(_, query)| query);
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs
            .map(|(n, v)| (unpercent(n), v))
            .find(|(n, _)| n == name)
            .map(|(_, v)| unpercent(&v.replace('+', " ")))
            .ok_or_else(|| Fault::Garbled(format!("the link to the next page has no `{name}`")))
    }

    /// The request as a preview shows it.
    pub fn shown(&self, method: Method, path: &Path, body: &Body<'_>) -> String {
        let line = format!("{} {}{}", method.name(), self.base, path.as_str());
        match body {
            Body::Nothing => line,
            Body::Json(value) => format!("{line} {value}"),
            Body::Text(_, text) => format!("{line} {text}"),
        }
    }

    /// A request that reads: tried again twice when the device is busy (429, 503) or not reached.
    pub fn get(&self, path: &Path) -> Result<Answer, Fault> {
        let mut left = 2;
        loop {
            let answer = self.send(Method::Get, path, &Body::Nothing, &[]);
            let wait = match &answer {
                Ok(a) if matches!(a.status, 429 | 503) => a.retry_after.unwrap_or(1).min(5),
                Err(Fault::Unreachable(_) | Fault::Lost(_)) => 1,
                _ => 0,
            };
            if wait == 0 || left == 0 {
                return answer.map_err(|fault| match fault {
                    Fault::Lost(why) => Fault::Unreachable(why),
                    other => other,
                });
            }
            left -= 1;
            std::thread::sleep(Duration::from_secs(wait));
        }
    }

    /// A request that changes something: sent once. A 429 alone is tried again, because it says that nothing was done.
    pub fn change(&self, method: Method, path: &Path, body: &Body<'_>) -> Result<Answer, Fault> {
        self.change_with(method, path, body, &[])
    }

    /// The same with further headers that hold no secret.
    pub fn change_with(
        &self,
        method: Method,
        path: &Path,
        body: &Body<'_>,
        extra: &[(&'static str, String)],
    ) -> Result<Answer, Fault> {
        let mut left = 2;
        loop {
            let answer = self.send(method, path, body, extra)?;
            if answer.status != 429 || left == 0 {
                return Ok(answer);
            }
            left -= 1;
            std::thread::sleep(Duration::from_secs(answer.retry_after.unwrap_or(1).min(10)));
        }
    }

    /// One exchange.
    pub fn send(
        &self,
        method: Method,
        path: &Path,
        body: &Body<'_>,
        extra: &[(&'static str, String)],
    ) -> Result<Answer, Fault> {
        let mut request = ureq::http::Request::builder().method(method.name()).uri(format!(
            "{}{}",
            self.base,
            path.as_str()
        ));
        for (name, value) in &self.headers {
            request = request.header(*name, value.expose());
        }
        for (name, value) in extra {
            request = request.header(*name, value);
        }
        let bytes = match body {
            Body::Nothing => Vec::new(),
            Body::Json(value) => {
                request = request.header("content-type", "application/json");
                value.to_string().into_bytes()
            }
            Body::Text(kind, text) => {
                request = request.header("content-type", *kind);
                text.as_bytes().to_vec()
            }
        };
        let request =
            request.body(bytes).map_err(|_| Fault::Config("the request cannot be written".into()))?;
        let mut response = self.agent.run(request).map_err(|e| unsent(&e))?;
        let header =
            |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let next = response
            .headers()
            .get_all("link")
            .iter()
            .filter_map(|v| v.to_str().ok())
            .flat_map(|v| v.split(','))
            .find(|v| v.contains("rel=\"next\""))
            .and_then(|v| v.split('<').nth(1))
            .and_then(|v| v.split('>').next())
            .map(str::to_owned);
        let mut answer = Answer {
            status: response.status().as_u16(),
            etag: header("etag"),
            next,
            retry_after: header("retry-after")
                .and_then(|v| v.parse().ok())
                .or_else(|| until(&header("x-rate-limit-reset")?)),
            body: String::new(),
        };
        answer.body = response
            .body_mut()
            .with_config()
            .limit(32 << 20)
            .lossy_utf8(true)
            .read_to_string()
            .map_err(|e| Fault::Lost(format!("the answer broke off: {e}")))?;
        Ok(answer)
    }
}

/// Seconds until a time that is given in seconds since 1970, as Okta does.
fn until(reset: &str) -> Option<u64> {
    let reset: i64 = reset.parse().ok()?;
    u64::try_from(reset - jiff::Timestamp::now().as_second()).ok().or(Some(0)).map(|s| s.max(1))
}

/// Errors before anything was sent leave the device as it was; all others are unknown.
fn unsent(error: &ureq::Error) -> Fault {
    let why = error.to_string();
    match error {
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => Fault::Unreachable(why),
        ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => Fault::Unreachable(why),
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) | ureq::Error::BadUri(_) | ureq::Error::TlsRequired => {
            Fault::Unreachable(why)
        }
        ureq::Error::Io(e)
            if matches!(
                e.kind(),
                std::io::ErrorKind::ConnectionRefused
                    | std::io::ErrorKind::HostUnreachable
                    | std::io::ErrorKind::NetworkUnreachable
            ) =>
        {
            Fault::Unreachable(why)
        }
        // rustls hands its refusals on as input errors of the handshake.
        ureq::Error::Io(e) if e.kind() == std::io::ErrorKind::InvalidData => Fault::Unreachable(why),
        _ => Fault::Lost(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str) -> Endpoint {
        Endpoint { url: url.to_owned(), ca: None, client_cert: None, client_key: None, timeout: 2 }
    }

    #[test]
    fn values_do_not_leave_their_place_in_a_path() {
        let path = Path::new("/api/v1/users").segment("a/../b?x#y\n").then("/sessions").query("q", "a&b=c ");
        assert_eq!(path.as_str(), "/api/v1/users/a%2F..%2Fb%3Fx%23y%0A/sessions?q=a%26b%3Dc%20");
    }

    #[test]
    fn the_next_page_is_at_the_same_host() {
        let http = Http::open(&endpoint("https://idp.example/base")).unwrap();
        let at = |link: &str| http.cursor(link, "after");
        assert_eq!(at("https://idp.example/base/api?limit=2&after=a%2Bb%3D").unwrap(), "a+b=");
        for bad in [
            "https://evil.example/base/api?after=a",
            "https://idp.example/base.evil.example?after=a",
            "https://idp.example/base/api?x=1",
            "/api?after=a",
        ] {
            assert!(at(bad).is_err(), "{bad}");
        }
        assert_eq!(unpercent("a%7Bb%7d%zz%2"), "a{b}%zz%2");
    }

    #[test]
    fn only_loopback_goes_without_tls_and_no_url_holds_a_password() {
        assert!(Http::open(&endpoint("https://fw.example")).is_ok());
        assert!(Http::open(&endpoint("http://127.0.0.1:8080")).is_ok());
        assert!(Http::open(&endpoint("http://[::1]:8080")).is_ok());
        for bad in [
            "http://fw.example",
            "http://127.0.0.1.evil.example",
            "https://a:b@fw.example",
            "ftp://x",
            "fw.example",
            "https://x/?a=b",
        ] {
            assert!(Http::open(&endpoint(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_status_says_what_became_of_the_request() {
        let fault = |status| Answer { status, ..Answer::default() }.fault();
        assert!(matches!(fault(401), Fault::Credential(_)));
        assert!(matches!(fault(404), Fault::NotFound(_)));
        assert!(matches!(fault(302), Fault::Refused(_)));
        assert!(!fault(429).may_have_acted());
        assert!(fault(500).may_have_acted());
        assert!(fault(504).may_have_acted());
    }

    #[test]
    fn a_user_and_a_password_are_one_header_and_never_shown() {
        let header = basic("anna", &Secret::new("a:b"));
        assert_eq!(header.expose(), "Basic YW5uYTphOmI=");
        assert_eq!(header.to_string(), "***");
    }

    #[test]
    fn nobody_there_means_nothing_was_sent() {
        let http = Http::open(&endpoint("http://127.0.0.1:1")).unwrap();
        let fault = http.change(Method::Post, &Path::new("/"), &Body::Nothing).unwrap_err();
        assert!(!fault.may_have_acted(), "{fault}");
    }
}
