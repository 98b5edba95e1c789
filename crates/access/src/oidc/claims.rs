//! What an ID token says: whether it is for us and now (OpenID Connect Core, 3.1.3.7), and who it is about.

use super::config::Config;
use super::sign_in::SignIn;
use super::{OidcFault, SECOND};
use crate::draw::to_base64url;
use crate::jwt::{Algorithm, Verified};
use crate::name::Name;
use crate::role::Roles;
use ring::digest::{SHA256, SHA512, digest};
use serde_json::{Map, Value};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Somebody whom the provider vouches for.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// With `subject`, who it is.
    pub issuer: String,
    pub subject: String,
    /// What the account is called; may change, and may come to be another's.
    pub name: Name,
    /// What to call the person. Text of somebody else's: to be encoded like all of it.
    pub display: Option<String>,
    /// Only where the provider says that it has checked it.
    pub email: Option<String>,
    pub groups: Vec<String>,
    /// By the configuration's table; empty where no group has a role.
    pub roles: Roles,
    pub second_factor: bool,
    /// For signing out.
    pub id_token: Zeroizing<String>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("issuer", &self.issuer)
            .field("subject", &self.subject)
            .field("name", &self.name)
            .field("roles", &self.roles)
            .field("second_factor", &self.second_factor)
            .finish_non_exhaustive()
    }
}

type Claims = Map<String, Value>;

const LONGEST_SUBJECT: usize = 255;
/// Groups of one person that are looked at.
const MOST_GROUPS: usize = 2000;

/// Is the token from this provider, for us, of this sign-in, and of now?
pub(super) fn check(
    verified: &Verified,
    config: &Config,
    sign_in: &SignIn,
    access_token: Option<&str>,
    now: i64,
) -> Result<(), OidcFault> {
    let claims = &verified.claims;
    let wrong = |claim, why| Err(OidcFault::Claim { claim, why });
    if text(claims, "iss") != Some(config.issuer.as_str()) {
        return wrong("iss", "is another issuer");
    }
    let client = config.client_id.as_str();
    match claims.get("aud") {
        Some(Value::String(aud)) if aud == client => {}
        Some(Value::Array(list)) if list.iter().any(|a| a == client) => {
            // Made for others as well: it has to say that it was made on our behalf.
            if list.len() > 1 && text(claims, "azp") != Some(client) {
                return wrong("azp", "is not us, and there are other audiences");
            }
        }
        _ => return wrong("aud", "is not us"),
    }
    if claims.contains_key("azp") && text(claims, "azp") != Some(client) {
        return wrong("azp", "is not us");
    }
    let skew = i64::from(config.skew_s);
    let now_s = now.div_euclid(SECOND);
    let Some(expires) = seconds(claims, "exp") else { return wrong("exp", "is missing") };
    if now_s >= expires.saturating_add(skew) {
        return wrong("exp", "is over; are the clocks right?");
    }
    let Some(issued) = seconds(claims, "iat") else { return wrong("iat", "is missing") };
    if issued > now_s.saturating_add(skew) {
        return wrong("iat", "is in the future; are the clocks right?");
    }
    if issued < sign_in.created().div_euclid(SECOND).saturating_sub(skew) {
        return wrong("iat", "is before this sign-in began");
    }
    if claims.contains_key("nbf") && seconds(claims, "nbf").is_none_or(|nbf| nbf > now_s.saturating_add(skew))
    {
        return wrong("nbf", "is in the future; are the clocks right?");
    }
    let nonce = text(claims, "nonce").unwrap_or_default();
    if !bool::from(nonce.as_bytes().ct_eq(sign_in.nonce().as_bytes())) {
        return wrong("nonce", "is of another sign-in");
    }
    if subject(claims).is_none() {
        return wrong("sub", "is missing or too long");
    }
    if let (Some(hash), Some(token)) = (claims.get("at_hash"), access_token)
        && !at_hash(verified.algorithm, token).iter().any(|own| hash == own.as_str())
    {
        return wrong("at_hash", "is of another access token");
    }
    Ok(())
}

/// The left half of the access token's hash. Which hash belongs to EdDSA no standard says; providers write either.
fn at_hash(algorithm: Algorithm, token: &str) -> Vec<String> {
    let half = |alg| {
        let hash = digest(alg, token.as_bytes());
        to_base64url(&hash.as_ref()[..hash.as_ref().len() / 2])
    };
    match algorithm {
        Algorithm::Rs256 | Algorithm::Es256 => vec![half(&SHA256)],
        Algorithm::EdDsa => vec![half(&SHA512), half(&SHA256)],
    }
}

/// Adds what the userinfo endpoint says, about the same person alone (5.3.2), and without a word against the signed one.
pub(super) fn add_userinfo(claims: &mut Claims, more: Claims) -> Result<(), OidcFault> {
    if more.get("sub") != claims.get("sub") {
        return Err(OidcFault::Claim { claim: "sub", why: "of the userinfo is somebody else" });
    }
    // How somebody signed in is said of the sign-in, not of the person.
    for (name, value) in more.into_iter().filter(|(name, _)| name != "amr" && name != "acr") {
        claims.entry(name).or_insert(value);
    }
    Ok(())
}

pub(super) fn identity(
    claims: &Claims,
    config: &Config,
    id_token: Zeroizing<String>,
) -> Result<Identity, OidcFault> {
    let name = look(claims, &config.name_claim)
        .and_then(Value::as_str)
        .ok_or_else(|| OidcFault::NoName(config.name_claim.clone()))?;
    let groups = groups(claims, config)?;
    let roles = config.roles_of(&groups);
    if let Some(fault) = roles.fault_of_person() {
        return Err(fault.into());
    }
    let verified_email = claims.get("email_verified") == Some(&Value::Bool(true));
    Ok(Identity {
        issuer: config.issuer.clone(),
        subject: subject(claims).unwrap_or_default().to_owned(),
        name: Name::new(name)?,
        display: text(claims, "name").map(|n| n.chars().take(128).collect()),
        email: text(claims, "email").filter(|_| verified_email).map(str::to_owned),
        groups,
        roles,
        second_factor: second_factor(claims, config),
        id_token,
    })
}

fn groups(claims: &Claims, config: &Config) -> Result<Vec<String>, OidcFault> {
    match look(claims, &config.groups_claim) {
        Some(Value::String(group)) => Ok(vec![group.clone()]),
        Some(Value::Array(list)) => {
            Ok(list.iter().take(MOST_GROUPS).filter_map(Value::as_str).map(str::to_owned).collect())
        }
        // A claim that lies elsewhere because it is too long (5.6.2): no groups would be wrong, and so would be some.
        _ if claims.get("_claim_names").is_some_and(|n| n.get(&config.groups_claim).is_some()) => {
            Err(OidcFault::TooManyGroups)
        }
        _ => Ok(Vec::new()),
    }
}

fn second_factor(claims: &Claims, config: &Config) -> bool {
    let wanted = &config.second_factor;
    let amr = claims.get("amr").and_then(Value::as_array).into_iter().flatten();
    let by_method = amr.filter_map(Value::as_str).any(|m| wanted.amr.iter().any(|w| w == m));
    let by_class = text(claims, "acr").is_some_and(|c| wanted.acr.iter().any(|w| w == c));
    by_method || by_class
}

/// A claim by its whole name; else by a path into objects.
fn look<'c>(claims: &'c Claims, name: &str) -> Option<&'c Value> {
    claims.get(name).or_else(|| {
        let mut path = name.split('.');
        let first = claims.get(path.next()?)?;
        path.try_fold(first, |value, part| value.get(part))
    })
}

fn text<'c>(claims: &'c Claims, name: &str) -> Option<&'c str> {
    claims.get(name).and_then(Value::as_str)
}

fn subject(claims: &Claims) -> Option<&str> {
    text(claims, "sub").filter(|s| !s.is_empty() && s.len() <= LONGEST_SUBJECT)
}

/// A NumericDate; some providers write fractions.
fn seconds(claims: &Claims, name: &str) -> Option<i64> {
    let value = claims.get(name)?;
    value.as_i64().or_else(|| {
        let float = value.as_f64().filter(|f| f.abs() < 1e15)?;
        // Within 2^53, so nothing but the fraction is lost.
        #[expect(clippy::cast_possible_truncation)]
        Some(float as i64)
    })
}
