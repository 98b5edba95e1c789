//! One sign-in between its two halves: what the browser keeps, and what it brings back.

use super::OidcFault;
use super::provider::shown;
use crate::draw::{NoRandomness, draw, from_base64url, to_base64url};
use crate::keys::Key;
use crate::session::SIGN_IN_S;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Binds the browser that begins a sign-in (state), the token that comes of it (nonce) and whoever redeems the code
/// (verifier) to one another. Kept sealed in a cookie of that browser ([`crate::session::Cookie::sign_in`]): the service
/// remembers nothing of those who never come back.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignIn {
    state: String,
    nonce: String,
    verifier: String,
    created: i64,
}

const OWNER: &str = "oidc sign-in v1";

impl SignIn {
    pub(super) fn new(now: i64) -> Result<SignIn, NoRandomness> {
        Ok(SignIn {
            state: to_base64url(&draw::<32>()?),
            nonce: to_base64url(&draw::<32>()?),
            verifier: to_base64url(&draw::<32>()?),
            created: now,
        })
    }

    /// For the cookie; `key` is that of [`crate::keys::Purpose::SignIn`].
    pub fn seal(&self, key: &Key) -> Result<String, OidcFault> {
        let json = Zeroizing::new(serde_json::to_vec(self).expect("texts and a number are JSON"));
        key.seal(OWNER, &json)
            .map(|sealed| to_base64url(&sealed))
            .map_err(|_| OidcFault::NoRandomness(NoRandomness))
    }

    /// From the cookie.
    pub fn open(key: &Key, cookie: &str) -> Result<SignIn, OidcFault> {
        let sealed = from_base64url(cookie).ok_or(OidcFault::State)?;
        let json = key.open(OWNER, &sealed).map_err(|_| OidcFault::State)?;
        serde_json::from_slice(&json).map_err(|_| OidcFault::State)
    }

    pub(super) fn state(&self) -> &str {
        &self.state
    }

    pub(super) fn nonce(&self) -> &str {
        &self.nonce
    }

    pub(super) fn verifier(&self) -> &str {
        &self.verifier
    }

    pub(super) fn created(&self) -> i64 {
        self.created
    }

    /// RFC 7636, 4.2.
    pub(super) fn challenge(&self) -> String {
        to_base64url(&Sha256::digest(self.verifier.as_bytes()))
    }
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignIn").field("created", &self.created).finish_non_exhaustive()
    }
}

/// The query with which the browser comes back.
#[derive(Clone, Default)]
pub struct Callback {
    code: Option<Zeroizing<String>>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

impl Callback {
    /// Of a parameter that stands there twice, nobody can say which was meant.
    pub fn from_query(query: &str) -> Result<Callback, OidcFault> {
        let mut callback = Callback::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let twice = match name.as_ref() {
                "code" => callback.code.replace(Zeroizing::new(value.into_owned())).is_some(),
                "state" => callback.state.replace(value.into_owned()).is_some(),
                "iss" => callback.iss.replace(value.into_owned()).is_some(),
                "error" => callback.error.replace(value.into_owned()).is_some(),
                _ => false,
            };
            if twice {
                return Err(OidcFault::State);
            }
        }
        Ok(callback)
    }

    /// The code, if this is the answer to that sign-in, from that provider, in time.
    pub(super) fn code(
        &self,
        sign_in: &SignIn,
        issuer: &str,
        must_name_issuer: bool,
        now: i64,
    ) -> Result<&str, OidcFault> {
        let state = self.state.as_deref().unwrap_or_default();
        if !bool::from(state.as_bytes().ct_eq(sign_in.state.as_bytes())) {
            return Err(OidcFault::State);
        }
        let age = now.saturating_sub(sign_in.created);
        if !(0..i64::from(SIGN_IN_S) * 1_000_000).contains(&age) {
            return Err(OidcFault::Expired);
        }
        match &self.iss {
            Some(iss) if iss != issuer => {
                return Err(OidcFault::Issuer { ours: issuer.to_owned(), given: shown(iss) });
            }
            None if must_name_issuer => {
                return Err(OidcFault::Issuer { ours: issuer.to_owned(), given: "nobody".to_owned() });
            }
            _ => {}
        }
        if let Some(error) = &self.error {
            return Err(OidcFault::Refused(shown(error)));
        }
        self.code.as_deref().map(String::as_str).filter(|c| !c.is_empty()).ok_or(OidcFault::State)
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callback").field("error", &self.error).finish_non_exhaustive()
    }
}
