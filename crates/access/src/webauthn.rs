//! Security keys and passkeys (Web Authentication Level 3): registration and assertion, as the relying party.
//!
//! Own verification on `ring`, which TLS brings already: no attestation is asked for, so that what remains is section 7.1
//! and 7.2 of the specification for three algorithms; a crate that does all of it brings four implementations of curves
//! and RSA. Attestation is `none`; a statement that the key signed itself (`packed` without certificates, which browsers
//! pass on) is verified, any other is refused.
//!
//! The options go to `PublicKeyCredential.parse…OptionsFromJSON()`, the answers are what `toJSON()` of a credential gives.

mod answer;
mod authdata;
mod cbor;
mod cose;

use crate::draw::{NoRandomness, draw, from_base64url, to_base64url};
use answer::{Answer, Asserted, ClientData, Registered};
use authdata::AuthData;
use cbor::Value;
use cose::PublicKey;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use url::{Host, Url};

/// Us, as browsers and keys see us.
#[derive(Clone, Debug)]
pub struct RelyingParty {
    id: String,
    name: String,
    origins: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SetupFault {
    #[error("`{0}` is no origin such as https://soc.example.org")]
    Origin(String),
    #[error("security keys need https (or http on localhost); `{0}` is neither")]
    Insecure(String),
    #[error("security keys need a host name; `{0}` is an address")]
    Address(String),
    #[error("`{origin}` is not below `{id}`")]
    Foreign { origin: String, id: String },
    #[error("no origin is given")]
    None,
}

/// Whose key it is to be.
#[derive(Clone, Copy, Debug)]
pub struct User<'a> {
    /// Random, without meaning, at most 64 bytes: keys keep it and may show it to others.
    pub handle: &'a [u8],
    pub name: &'a str,
    pub display: &'a str,
}

/// What the key has to ask of the person.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// A touch: enough beside a password.
    Presence,
    /// A PIN or a finger: the key stands for both factors.
    Verification,
}

/// What the service remembers between question and answer. Kept by the service, used once, whatever the answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ceremony {
    kind: CeremonyKind,
    #[serde(with = "as_base64url")]
    challenge: Vec<u8>,
    need: Need,
    /// Ids that may answer; none named: any of the person's.
    allowed: Vec<CredentialId>,
    expires: i64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum CeremonyKind {
    Registration,
    Assertion,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct CredentialId(#[serde(with = "as_base64url")] pub Vec<u8>);

/// A registered key, as the store keeps it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Credential {
    pub id: CredentialId,
    /// COSE.
    #[serde(with = "as_base64url")]
    pub key: Vec<u8>,
    pub counter: u32,
    pub transports: Vec<String>,
    /// It may exist on several devices.
    pub backup_eligible: bool,
    /// The model, where the maker tells; zeros else.
    #[serde(with = "as_base64url")]
    pub aaguid: Vec<u8>,
    pub created: i64,
}

/// A key has answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Assertion {
    pub id: CredentialId,
    /// To be stored in place of the old one.
    pub counter: u32,
    /// By PIN or finger.
    pub verified: bool,
    pub backed_up: bool,
}

/// Why an answer is not taken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    #[error("the answer cannot be read: {0}")]
    Garbled(&'static str),
    #[error("that took too long; try again")]
    Expired,
    #[error("the answer is to another question; try again")]
    Challenge,
    #[error("the answer is of another kind of ceremony")]
    Kind,
    #[error("the answer was given to another page: is the service opened under its own name?")]
    Origin,
    #[error("the answer was given inside a foreign page")]
    CrossOrigin,
    #[error("the key answered for another service")]
    RelyingParty,
    #[error("nobody touched the key")]
    NotPresent,
    #[error("the key did not ask for a PIN or a finger; set a PIN, or take another key")]
    NotVerified,
    #[error("the key signs in a way that is not supported here")]
    Algorithm,
    #[error("the key brought a certificate that was not asked for")]
    Attestation,
    #[error("this key is not registered for the account")]
    Unknown,
    #[error("this key is registered already")]
    Registered,
    #[error("the signature is wrong")]
    Signature,
    #[error("the key's counter went back: there may be a copy of it; remove the key and register a new one")]
    Copied,
}

/// How long a person may look for the key.
const PATIENCE_US: i64 = 300 * 1_000_000;

impl RelyingParty {
    /// `origins`: how browsers reach the service; the first one's host is the relying party id unless `id` names a domain
    /// above it.
    pub fn new(name: &str, id: Option<&str>, origins: &[&str]) -> Result<RelyingParty, SetupFault> {
        let mut party = RelyingParty { id: String::new(), name: name.to_owned(), origins: Vec::new() };
        for text in origins {
            let wrong = || SetupFault::Origin((*text).to_owned());
            let url = Url::parse(text).map_err(|_| wrong())?;
            let host = match url.host() {
                Some(Host::Domain(host)) => host.to_owned(),
                Some(_) => return Err(SetupFault::Address((*text).to_owned())),
                None => return Err(wrong()),
            };
            let local = host == "localhost" || host.ends_with(".localhost");
            if url.scheme() != "https" && !(url.scheme() == "http" && local) {
                return Err(SetupFault::Insecure((*text).to_owned()));
            }
            if party.id.is_empty() {
                party.id = id.unwrap_or(&host).to_owned();
            }
            if host != party.id && !host.ends_with(&format!(".{}", party.id)) {
                return Err(SetupFault::Foreign { origin: (*text).to_owned(), id: party.id });
            }
            party.origins.push(url.origin().ascii_serialization());
        }
        if party.origins.is_empty() { Err(SetupFault::None) } else { Ok(party) }
    }

    /// Options for `navigator.credentials.create()`. `existing`: the person's keys, so that none is registered twice.
    pub fn begin_registration(
        &self,
        user: User<'_>,
        existing: &[Credential],
        need: Need,
        now: i64,
    ) -> Result<(Ceremony, serde_json::Value), NoRandomness> {
        let ceremony = Ceremony::new(CeremonyKind::Registration, need, existing, now)?;
        let algorithms: Vec<_> =
            cose::ALGORITHMS.iter().map(|alg| json!({"type": "public-key", "alg": alg})).collect();
        let options = json!({
            "rp": {"id": self.id, "name": self.name},
            "user": {
                "id": to_base64url(user.handle),
                "name": user.name,
                "displayName": user.display,
            },
            "challenge": to_base64url(&ceremony.challenge),
            "pubKeyCredParams": algorithms,
            "timeout": PATIENCE_US / 1000,
            "excludeCredentials": descriptors(existing),
            "authenticatorSelection": {
                "residentKey": "preferred",
                "requireResidentKey": false,
                "userVerification": need.word(),
            },
            "attestation": "none",
        });
        Ok((ceremony, options))
    }

    /// Section 7.1. `answer`: the credential's `toJSON()`.
    pub fn finish_registration(
        &self,
        ceremony: &Ceremony,
        answer: &str,
        now: i64,
    ) -> Result<Credential, Refused> {
        let answer: Answer<Registered> = Answer::parse(answer)?;
        let client_data = &answer.response.client_data.0;
        self.check_client(ceremony, CeremonyKind::Registration, client_data, now)?;
        let garbled = || Refused::Garbled("the attestation is not what authenticators write");
        let object = cbor::read_all(&answer.response.attestation.0).ok_or_else(garbled)?;
        let bytes = object.text_key("authData").and_then(Value::as_bytes).ok_or_else(garbled)?;
        let data = AuthData::parse(bytes)?;
        self.check_authenticator(ceremony, &data)?;
        let attested = data.attested.as_ref().ok_or_else(garbled)?;
        let id = CredentialId(answer.credential_id()?);
        if id.0 != attested.credential_id {
            return Err(Refused::Garbled("two ids are given"));
        }
        if ceremony.allowed.contains(&id) {
            return Err(Refused::Registered);
        }
        let key = PublicKey::parse(attested.cose_key)?;
        let statement = object.text_key("attStmt").ok_or_else(garbled)?;
        match object.text_key("fmt").and_then(Value::as_text) {
            Some("none") if statement.is_empty_map() => {}
            Some("packed") if statement.text_key("x5c").is_none() => {
                let alg = statement.text_key("alg").and_then(Value::as_int);
                let signature = statement.text_key("sig").and_then(Value::as_bytes).ok_or_else(garbled)?;
                if alg != Some(key.algorithm()) || !key.verifies(&signed(bytes, client_data), signature) {
                    return Err(Refused::Signature);
                }
            }
            _ => return Err(Refused::Attestation),
        }
        Ok(Credential {
            id,
            key: attested.cose_key.to_vec(),
            counter: data.counter,
            transports: known_transports(answer.response.transports),
            backup_eligible: data.backup_eligible,
            aaguid: attested.aaguid.to_vec(),
            created: now,
        })
    }

    /// Options for `navigator.credentials.get()`. `credentials`: the person's keys; none where the key itself is to say
    /// who it is ([`named_by`]).
    pub fn begin_assertion(
        &self,
        credentials: &[Credential],
        need: Need,
        now: i64,
    ) -> Result<(Ceremony, serde_json::Value), NoRandomness> {
        let ceremony = Ceremony::new(CeremonyKind::Assertion, need, credentials, now)?;
        let options = json!({
            "challenge": to_base64url(&ceremony.challenge),
            "timeout": PATIENCE_US / 1000,
            "rpId": self.id,
            "allowCredentials": descriptors(credentials),
            "userVerification": need.word(),
        });
        Ok((ceremony, options))
    }

    /// Section 7.2. `handle` and `credentials`: of the person who signs in, as the store has them now.
    pub fn finish_assertion(
        &self,
        ceremony: &Ceremony,
        handle: &[u8],
        credentials: &[Credential],
        answer: &str,
        now: i64,
    ) -> Result<Assertion, Refused> {
        let answer: Answer<Asserted> = Answer::parse(answer)?;
        let id = CredentialId(answer.credential_id()?);
        let allowed = ceremony.allowed.is_empty() || ceremony.allowed.contains(&id);
        let credential = credentials.iter().find(|c| allowed && c.id == id).ok_or(Refused::Unknown)?;
        match &answer.response.user_handle {
            Some(given) if given.0 != handle => return Err(Refused::Unknown),
            None if ceremony.allowed.is_empty() => return Err(Refused::Unknown),
            _ => {}
        }
        let client_data = &answer.response.client_data.0;
        self.check_client(ceremony, CeremonyKind::Assertion, client_data, now)?;
        let bytes = &answer.response.auth_data.0;
        let data = AuthData::parse(bytes)?;
        self.check_authenticator(ceremony, &data)?;
        if data.backup_eligible != credential.backup_eligible {
            return Err(Refused::Garbled("the key changed what it is"));
        }
        let key = PublicKey::parse(&credential.key)?;
        if !key.verifies(&signed(bytes, client_data), &answer.response.signature.0) {
            return Err(Refused::Signature);
        }
        // Keys that do not count stay at zero.
        if (data.counter != 0 || credential.counter != 0) && data.counter <= credential.counter {
            return Err(Refused::Copied);
        }
        Ok(Assertion { id, counter: data.counter, verified: data.user_verified, backed_up: data.backed_up })
    }

    fn check_client(
        &self,
        ceremony: &Ceremony,
        kind: CeremonyKind,
        client_data: &[u8],
        now: i64,
    ) -> Result<(), Refused> {
        if now >= ceremony.expires {
            return Err(Refused::Expired);
        }
        let client = ClientData::parse(client_data)?;
        let name = match kind {
            CeremonyKind::Registration => "webauthn.create",
            CeremonyKind::Assertion => "webauthn.get",
        };
        if ceremony.kind != kind || client.kind != name {
            return Err(Refused::Kind);
        }
        let challenge = from_base64url(&client.challenge).ok_or(Refused::Challenge)?;
        if !bool::from(challenge.ct_eq(&ceremony.challenge)) {
            return Err(Refused::Challenge);
        }
        if !self.origins.contains(&client.origin) {
            return Err(Refused::Origin);
        }
        if client.cross_origin || client.top_origin.is_some() {
            return Err(Refused::CrossOrigin);
        }
        Ok(())
    }

    fn check_authenticator(&self, ceremony: &Ceremony, data: &AuthData<'_>) -> Result<(), Refused> {
        let hash: [u8; 32] = Sha256::digest(self.id.as_bytes()).into();
        if *data.rp_id_hash != hash {
            return Err(Refused::RelyingParty);
        }
        if !data.user_present {
            return Err(Refused::NotPresent);
        }
        if ceremony.need == Need::Verification && !data.user_verified {
            return Err(Refused::NotVerified);
        }
        Ok(())
    }
}

/// Whom and which key an answer names, to be looked up before [`RelyingParty::finish_assertion`] says whether it is true.
pub fn named_by(answer: &str) -> Result<(Option<Vec<u8>>, CredentialId), Refused> {
    let answer: Answer<Asserted> = Answer::parse(answer)?;
    let id = CredentialId(answer.credential_id()?);
    Ok((answer.response.user_handle.map(|h| h.0), id))
}

impl Ceremony {
    fn new(
        kind: CeremonyKind,
        need: Need,
        credentials: &[Credential],
        now: i64,
    ) -> Result<Ceremony, NoRandomness> {
        Ok(Ceremony {
            kind,
            challenge: draw::<32>()?.to_vec(),
            need,
            allowed: credentials.iter().map(|c| c.id.clone()).collect(),
            expires: now.saturating_add(PATIENCE_US),
        })
    }
}

impl Need {
    /// `preferred` and not `discouraged`: a key with a PIN asks for it anyway.
    fn word(self) -> &'static str {
        match self {
            Need::Presence => "preferred",
            Need::Verification => "required",
        }
    }
}

fn descriptors(credentials: &[Credential]) -> Vec<serde_json::Value> {
    credentials
        .iter()
        .map(|c| json!({"type": "public-key", "id": to_base64url(&c.id.0), "transports": c.transports}))
        .collect()
}

/// What the key signs.
fn signed(auth_data: &[u8], client_data: &[u8]) -> Vec<u8> {
    [auth_data, &Sha256::digest(client_data)[..]].concat()
}

/// The browser's word, which is not signed: only what the specification names goes into our own options again.
fn known_transports(given: Vec<String>) -> Vec<String> {
    const KNOWN: [&str; 6] = ["ble", "hybrid", "internal", "nfc", "smart-card", "usb"];
    KNOWN.iter().filter(|k| given.iter().any(|g| g == *k)).map(|k| (*k).to_owned()).collect()
}

mod as_base64url {
    use crate::draw::{from_base64url, to_base64url};
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&to_base64url(bytes))
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        from_base64url(&text).ok_or_else(|| serde::de::Error::custom("is no base64url"))
    }
}

#[cfg(test)]
mod tests;
