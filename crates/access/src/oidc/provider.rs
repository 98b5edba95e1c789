//! The provider's side: which of its addresses are asked, and how its answers are read.

use super::OidcFault;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portreeve_model::untrusted::escape_for_terminal;
use serde::Deserialize;
use std::fmt;
use url::{Host, Url};
use zeroize::Zeroizing;

/// Sends one request. Whoever implements it: follows **no** redirects, checks certificates, gives up after ten seconds
/// or so, reads no more than [`LONGEST_BODY`], and logs neither headers nor bodies.
pub trait Http {
    /// `Err` where no answer came, in words for a log.
    fn send(&self, request: &Request) -> Result<Response, String>;
}

impl<F: Fn(&Request) -> Result<Response, String>> Http for F {
    fn send(&self, request: &Request) -> Result<Response, String> {
        self(request)
    }
}

pub const LONGEST_BODY: usize = 256 * 1024;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    Get,
    Post,
}

pub struct Request {
    pub method: Method,
    pub url: String,
    pub headers: Vec<(&'static str, Zeroizing<String>)>,
    pub body: Option<Zeroizing<String>>,
}

/// Without headers and body, which hold secrets.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub body: Vec<u8>,
}

/// Where requests may go.
#[derive(Clone, Debug)]
pub(super) struct Hosts {
    issuer: Url,
    also: Vec<String>,
}

impl Hosts {
    pub(super) fn new(issuer: &str, also: &[String]) -> Result<Hosts, String> {
        let url = Url::parse(issuer).map_err(|_| "issuer: is no address".to_owned())?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err("issuer: has a query or a fragment, which issuers have not".to_owned());
        }
        if !(url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url))) {
            return Err("issuer: must be https (http on loopback alone)".to_owned());
        }
        if url.username() != "" || url.password().is_some() {
            return Err("issuer: holds a name or a password".to_owned());
        }
        if let Some(host) = also.iter().find(|h| Host::parse(h).is_err()) {
            return Err(format!("also_hosts: {}: is no host name", escape_for_terminal(host)));
        }
        Ok(Hosts { issuer: url, also: also.to_vec() })
    }

    /// An address out of the provider's own document.
    fn allow(&self, text: &str) -> Result<Url, OidcFault> {
        let refused = || OidcFault::Host(escape_for_terminal(&text.chars().take(200).collect::<String>()));
        let url = Url::parse(text).map_err(|_| refused())?;
        let own = url.scheme() == self.issuer.scheme()
            && url.host() == self.issuer.host()
            && url.port_or_known_default() == self.issuer.port_or_known_default();
        let also = url.scheme() == "https"
            && url.port().is_none()
            && url.host_str().is_some_and(|h| self.also.iter().any(|a| a.eq_ignore_ascii_case(h)));
        let plain = url.username() == "" && url.password().is_none() && url.fragment().is_none();
        if (own || also) && plain { Ok(url) } else { Err(refused()) }
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(v4)) => v4.is_loopback(),
        Some(Host::Ipv6(v6)) => v6.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// What we use of `/.well-known/openid-configuration`.
#[derive(Clone, Debug)]
pub(super) struct Discovery {
    pub(super) authorization_endpoint: Url,
    pub(super) token_endpoint: Url,
    pub(super) jwks_uri: Url,
    pub(super) userinfo_endpoint: Option<Url>,
    pub(super) end_session_endpoint: Option<Url>,
    /// It says in its callback who it is (RFC 9207).
    pub(super) iss_parameter: bool,
    pub(super) basic: bool,
    pub(super) post: bool,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    userinfo_endpoint: Option<String>,
    end_session_endpoint: Option<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    code_challenge_methods_supported: Option<Vec<String>>,
}

impl Discovery {
    pub(super) fn fetch(issuer: &str, hosts: &Hosts, http: &dyn Http) -> Result<Discovery, OidcFault> {
        let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let body = get_json(&hosts.allow(&url)?, http)?;
        let document: Document = serde_json::from_slice(&body).map_err(|_| OidcFault::Garbled(url))?;
        if document.issuer != issuer {
            let given = escape_for_terminal(&document.issuer.chars().take(200).collect::<String>());
            return Err(OidcFault::Issuer { ours: issuer.to_owned(), given });
        }
        if document.code_challenge_methods_supported.is_some_and(|m| !m.iter().any(|m| m == "S256")) {
            return Err(OidcFault::Unsupported("PKCE with S256"));
        }
        // Where nothing is said, basic is meant (OpenID Connect Discovery, 3).
        let methods = document.token_endpoint_auth_methods_supported;
        let offers = |name| methods.as_ref().map(|m| m.iter().any(|m| m == name));
        let optional = |url: Option<String>| url.map(|u| hosts.allow(&u)).transpose();
        Ok(Discovery {
            authorization_endpoint: hosts.allow(&document.authorization_endpoint)?,
            token_endpoint: hosts.allow(&document.token_endpoint)?,
            jwks_uri: hosts.allow(&document.jwks_uri)?,
            userinfo_endpoint: optional(document.userinfo_endpoint)?,
            end_session_endpoint: optional(document.end_session_endpoint)?,
            iss_parameter: document.authorization_response_iss_parameter_supported,
            basic: offers("client_secret_basic").unwrap_or(true),
            post: offers("client_secret_post").unwrap_or(false),
        })
    }
}

/// What the token endpoint gives.
pub(super) struct Tokens {
    pub(super) id_token: Zeroizing<String>,
    pub(super) access_token: Option<Zeroizing<String>>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    id_token: Option<String>,
    access_token: Option<String>,
}

#[derive(Deserialize)]
struct TokenRefusal {
    error: String,
}

impl Tokens {
    pub(super) fn fetch(request: &Request, http: &dyn Http) -> Result<Tokens, OidcFault> {
        let response = http.send(request).map_err(OidcFault::Unreachable)?;
        // 400 with a reason, 401 where the secret is wrong (RFC 6749, 5.2); glewlwyd says 403 then.
        if (400..500).contains(&response.status)
            && let Ok(refusal) = serde_json::from_slice::<TokenRefusal>(&response.body)
        {
            return Err(OidcFault::Refused(shown(&refusal.error)));
        }
        let body = accept(request, response)?;
        let answer: TokenAnswer =
            serde_json::from_slice(&body).map_err(|_| OidcFault::Garbled(request.url.clone()))?;
        let id_token = answer.id_token.ok_or(OidcFault::Unsupported("an ID token for the code"))?;
        Ok(Tokens { id_token: id_token.into(), access_token: answer.access_token.map(Into::into) })
    }
}

pub(super) fn get_json(url: &Url, http: &dyn Http) -> Result<Vec<u8>, OidcFault> {
    let accept = Zeroizing::new("application/json".to_owned());
    let request =
        Request { method: Method::Get, url: url.to_string(), headers: vec![("accept", accept)], body: None };
    send(&request, http)
}

pub(super) fn send(request: &Request, http: &dyn Http) -> Result<Vec<u8>, OidcFault> {
    let response = http.send(request).map_err(OidcFault::Unreachable)?;
    accept(request, response)
}

/// A redirect is no answer: it could lead anywhere.
fn accept(request: &Request, response: Response) -> Result<Vec<u8>, OidcFault> {
    if response.status != 200 {
        return Err(OidcFault::Status { url: request.url.clone(), status: response.status });
    }
    if response.body.len() > LONGEST_BODY {
        return Err(OidcFault::Garbled(request.url.clone()));
    }
    Ok(response.body)
}

/// RFC 6749, 2.3.1: both are form-encoded first, so that a colon in them is none. Providers that do not decode them
/// (glewlwyd 2.7) take secrets of letters, digits, `-`, `.` and `_` alone.
pub(super) fn basic(client_id: &str, secret: &str) -> Zeroizing<String> {
    let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = Zeroizing::new(format!("{}:{}", encode(client_id), encode(secret)));
    Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())))
}

/// Enough of a foreign text to be recognised in an error.
pub(super) fn shown(text: &str) -> String {
    escape_for_terminal(&text.chars().take(200).collect::<String>())
}
