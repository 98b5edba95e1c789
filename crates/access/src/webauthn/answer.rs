//! What a browser sends back: `PublicKeyCredential.toJSON()` of both ceremonies, and the client data inside.

use super::Refused;
use crate::draw::from_base64url;
use serde::Deserialize;

/// What we read of either shape. Everything else (extension results, attachment, conveniences such as `publicKey`) is not
/// signed, and ignored.
#[derive(Deserialize)]
pub(super) struct Answer<R> {
    id: String,
    #[serde(rename = "rawId")]
    raw_id: String,
    #[serde(rename = "type")]
    kind: String,
    pub(super) response: R,
}

#[derive(Deserialize)]
pub(super) struct Registered {
    #[serde(rename = "clientDataJSON")]
    pub(super) client_data: Bytes,
    #[serde(rename = "attestationObject")]
    pub(super) attestation: Bytes,
    #[serde(default)]
    pub(super) transports: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct Asserted {
    #[serde(rename = "clientDataJSON")]
    pub(super) client_data: Bytes,
    #[serde(rename = "authenticatorData")]
    pub(super) auth_data: Bytes,
    pub(super) signature: Bytes,
    #[serde(rename = "userHandle", default)]
    pub(super) user_handle: Option<Bytes>,
}

/// base64url in JSON.
#[derive(Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Bytes(pub(super) Vec<u8>);

impl TryFrom<String> for Bytes {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Bytes, &'static str> {
        from_base64url(&text).map(Bytes).ok_or("is no base64url")
    }
}

/// More than any authenticator sends; certificates are not asked for.
const LONGEST: usize = 64 * 1024;

impl<R: for<'d> Deserialize<'d>> Answer<R> {
    pub(super) fn parse(json: &str) -> Result<Answer<R>, Refused> {
        if json.len() > LONGEST {
            return Err(Refused::Garbled("the answer is too long"));
        }
        let answer: Answer<R> = serde_json::from_str(json)
            .map_err(|_| Refused::Garbled("the answer has not the shape of toJSON()"))?;
        if answer.kind != "public-key" || answer.id != answer.raw_id {
            return Err(Refused::Garbled("the answer is of no public key"));
        }
        Ok(answer)
    }

    pub(super) fn credential_id(&self) -> Result<Vec<u8>, Refused> {
        from_base64url(&self.raw_id).ok_or(Refused::Garbled("the credential's id is no base64url"))
    }
}

/// What the browser says about the page (section 5.8.1). The key signs its hash.
#[derive(Deserialize)]
pub(super) struct ClientData {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) challenge: String,
    pub(super) origin: String,
    #[serde(rename = "crossOrigin", default)]
    pub(super) cross_origin: bool,
    #[serde(rename = "topOrigin", default)]
    pub(super) top_origin: Option<String>,
}

impl ClientData {
    pub(super) fn parse(bytes: &[u8]) -> Result<ClientData, Refused> {
        serde_json::from_slice(bytes)
            .map_err(|_| Refused::Garbled("the client data is not what browsers write"))
    }
}
