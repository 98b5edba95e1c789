//! Signing in at an identity provider: OpenID Connect Core 1.0, authorization code with PKCE (RFC 7636, S256).
//!
//! The client sends nothing itself. [`Http`] is handed in, and what it must be is said there; what it may be asked for
//! is bounded here: https (http on loopback alone), and no host but the issuer's and those that the configuration names.
//!
//! Whoever signs in is known by issuer and subject, never by name or mail address, which a provider may give to somebody
//! else.
//!
//! Own code on [`crate::jwt`]: the crates for this bring their own RSA and curves (and an open advisory about the timing
//! of RSA) beside the ones that TLS has, and leave `azp`, `nbf` and the hosts of a discovery document to the caller.

mod claims;
mod config;
mod provider;
mod sign_in;

pub use claims::Identity;
pub use config::{Config, SecondFactor};
pub use provider::{Http, LONGEST_BODY, Method, Request, Response};
pub use sign_in::{Callback, SignIn};

use crate::draw::NoRandomness;
use crate::jwt::{self, JwtFault, KeySet};
use crate::name::NameFault;
use crate::role::RoleFault;
use provider::{Discovery, Hosts};
use std::sync::{Mutex, PoisonError};
use url::Url;
use zeroize::Zeroizing;

/// What goes wrong, and what to do. None of it is for the eyes of who signs in but the first lines of a log.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OidcFault {
    #[error("oidc configuration: {0}")]
    Config(String),
    #[error("the provider cannot be reached: {0}")]
    Unreachable(String),
    #[error("the provider answered {status} at {url}")]
    Status { url: String, status: u16 },
    #[error("the provider's answer at {0} cannot be read")]
    Garbled(String),
    #[error("the provider names {given} as issuer, the configuration {ours}")]
    Issuer { ours: String, given: String },
    #[error(
        "the provider sends us to {0}, which is not its own host; if that is right, name the host in oidc.also_hosts"
    )]
    Host(String),
    #[error("the provider does not offer {0}")]
    Unsupported(&'static str),
    #[error("this sign-in was not begun in this browser, or was begun before; start again")]
    State,
    #[error("this sign-in took too long; start again")]
    Expired,
    #[error("the provider refused: {0}")]
    Refused(String),
    #[error("the ID token: {0}")]
    Jwt(#[from] JwtFault),
    #[error("the ID token: {claim} {why}")]
    Claim { claim: &'static str, why: &'static str },
    #[error("the claim `{0}` with the name is missing; see oidc.name_claim")]
    NoName(String),
    #[error("the provider's name for the account: {0}")]
    Name(#[from] NameFault),
    #[error(
        "the account is in more groups than the provider writes into a token; let it write only those that are assigned to this application"
    )]
    TooManyGroups,
    #[error("the account's groups: {0}")]
    Roles(#[from] RoleFault),
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// A client of one provider. Shared between threads; what it learnt of the provider is kept for a while.
pub struct Client {
    config: Config,
    hosts: Hosts,
    secret: Option<Zeroizing<String>>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    discovery: Option<(Discovery, i64)>,
    keys: Option<(KeySet, i64)>,
}

const SECOND: i64 = 1_000_000;
const DISCOVERY_LASTS: i64 = 6 * 60 * 60 * SECOND;
/// A key that the provider has withdrawn is believed no longer than this.
const KEYS_LAST: i64 = 60 * 60 * SECOND;
/// Tokens that no key fits make us ask for the keys again, but not more often than this.
const KEYS_REST: i64 = 30 * SECOND;

impl Client {
    /// `secret`: of a confidential client; none for a public one, which PKCE alone protects.
    pub fn new(config: Config, secret: Option<Zeroizing<String>>) -> Result<Client, OidcFault> {
        if let Some(fault) = config.faults().into_iter().next() {
            return Err(OidcFault::Config(fault));
        }
        let hosts = Hosts::new(&config.issuer, &config.also_hosts).map_err(OidcFault::Config)?;
        Ok(Client { config, hosts, secret, known: Mutex::default() })
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Where to send the browser, and what to keep (sealed, in the browser itself) until it comes back.
    pub fn begin(&self, http: &dyn Http, now: i64) -> Result<(String, SignIn), OidcFault> {
        let discovery = self.discovery(http, now)?;
        let sign_in = SignIn::new(now)?;
        let mut url = discovery.authorization_endpoint.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.config.client_id)
            .append_pair("redirect_uri", &self.config.redirect_uri)
            .append_pair("scope", &self.config.scope())
            .append_pair("state", sign_in.state())
            .append_pair("nonce", sign_in.nonce())
            .append_pair("code_challenge", &sign_in.challenge())
            .append_pair("code_challenge_method", "S256");
        Ok((url.into(), sign_in))
    }

    /// The browser is back. `sign_in` is what this browser kept; it is forgotten now, whatever the outcome.
    pub fn complete(
        &self,
        sign_in: &SignIn,
        callback: &Callback,
        http: &dyn Http,
        now: i64,
    ) -> Result<Identity, OidcFault> {
        let discovery = self.discovery(http, now)?;
        let code = callback.code(sign_in, &self.config.issuer, discovery.iss_parameter, now)?;
        let tokens = self.exchange(&discovery, code, sign_in, http)?;
        let verified = self.verify(&discovery, &tokens.id_token, http, now)?;
        let access_token = tokens.access_token.as_deref().map(String::as_str);
        claims::check(&verified, &self.config, sign_in, access_token, now)?;
        let mut claims = verified.claims;
        if self.config.userinfo {
            let more = self.userinfo(&discovery, access_token, http)?;
            claims::add_userinfo(&mut claims, more)?;
        }
        claims::identity(&claims, &self.config, tokens.id_token)
    }

    /// Where to send the browser to be signed out at the provider too (RP-Initiated Logout 1.0); none where the provider has
    /// no such page. `id_token` is the identity's, as a hint of who signs out.
    pub fn logout_url(
        &self,
        id_token: Option<&str>,
        http: &dyn Http,
        now: i64,
    ) -> Result<Option<String>, OidcFault> {
        let Some(mut url) = self.discovery(http, now)?.end_session_endpoint else { return Ok(None) };
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("client_id", &self.config.client_id);
            if let Some(id_token) = id_token {
                query.append_pair("id_token_hint", id_token);
            }
            if let Some(back) = &self.config.post_logout_redirect_uri {
                query.append_pair("post_logout_redirect_uri", back);
            }
        }
        Ok(Some(url.into()))
    }

    fn discovery(&self, http: &dyn Http, now: i64) -> Result<Discovery, OidcFault> {
        if let Some((discovery, at)) = &self.known().discovery
            && fresh(*at, DISCOVERY_LASTS, now)
        {
            return Ok(discovery.clone());
        }
        // Nothing is held while the provider answers.
        let discovery = Discovery::fetch(&self.config.issuer, &self.hosts, http)?;
        self.known().discovery = Some((discovery.clone(), now));
        Ok(discovery)
    }

    fn exchange(
        &self,
        discovery: &Discovery,
        code: &str,
        sign_in: &SignIn,
        http: &dyn Http,
    ) -> Result<provider::Tokens, OidcFault> {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", &self.config.redirect_uri)
            .append_pair("code_verifier", sign_in.verifier());
        let mut headers =
            vec![("content-type", Zeroizing::new("application/x-www-form-urlencoded".to_owned()))];
        match &self.secret {
            None => {
                form.append_pair("client_id", &self.config.client_id);
            }
            Some(secret) if discovery.basic => {
                headers.push(("authorization", provider::basic(&self.config.client_id, secret)));
            }
            Some(secret) if discovery.post => {
                form.append_pair("client_id", &self.config.client_id).append_pair("client_secret", secret);
            }
            Some(_) => return Err(OidcFault::Unsupported("client_secret_basic or client_secret_post")),
        }
        let request = Request {
            method: Method::Post,
            url: discovery.token_endpoint.to_string(),
            headers,
            body: Some(Zeroizing::new(form.finish())),
        };
        provider::Tokens::fetch(&request, http)
    }

    /// With the keys that are known; once more with new ones where none of those fits.
    fn verify(
        &self,
        discovery: &Discovery,
        token: &str,
        http: &dyn Http,
        now: i64,
    ) -> Result<jwt::Verified, OidcFault> {
        let known = self.known().keys.clone().filter(|(_, at)| fresh(*at, KEYS_LAST, now));
        if let Some((keys, at)) = known {
            match jwt::verify(token, &keys, &self.config.algorithms) {
                // A provider without names for its keys changes them without a word.
                Err(JwtFault::NoKey | JwtFault::Signature) if !fresh(at, KEYS_REST, now) => {}
                answer => return Ok(answer?),
            }
        }
        let body = provider::get_json(&discovery.jwks_uri, http)?;
        let keys = KeySet::parse(&body)?;
        self.known().keys = Some((keys.clone(), now));
        Ok(jwt::verify(token, &keys, &self.config.algorithms)?)
    }

    fn userinfo(
        &self,
        discovery: &Discovery,
        access_token: Option<&str>,
        http: &dyn Http,
    ) -> Result<serde_json::Map<String, serde_json::Value>, OidcFault> {
        let url: &Url =
            discovery.userinfo_endpoint.as_ref().ok_or(OidcFault::Unsupported("a userinfo endpoint"))?;
        let token = access_token.ok_or(OidcFault::Unsupported("an access token"))?;
        let request = Request {
            method: Method::Get,
            url: url.to_string(),
            headers: vec![("authorization", Zeroizing::new(format!("Bearer {token}")))],
            body: None,
        };
        let body = provider::send(&request, http)?;
        serde_json::from_slice(&body).map_err(|_| OidcFault::Garbled(request.url))
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fresh(at: i64, lasts: i64, now: i64) -> bool {
    (0..lasts).contains(&now.saturating_sub(at))
}

#[cfg(test)]
mod tests;
