//! Why something that was asked for is not done, and how HTTP says so.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use portreeve_access::permit::Why;
use portreeve_store::Error;
use schemars::JsonSchema;
use serde::Serialize;

/// Each says what can be done about it.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("sign in first")]
    SignIn,
    #[error("the name, the password or the code is wrong")]
    WrongSecret,
    #[error("that was right; now the second factor: a code, or a passkey")]
    SecondFactor,
    #[error("first add a second factor to your account (POST /api/v1/me/totp, or /api/v1/me/passkeys/offer)")]
    MustEnrol,
    #[error("first set a password of your own (POST /api/v1/me/password)")]
    MustChange,
    #[error("{why}")]
    Elsewhere { why: String },
    #[error("the request did not come from a page of this service; load the page again")]
    Csrf,
    #[error(transparent)]
    Denied(Why),
    #[error("there is no {what}")]
    NotFound { what: String },
    #[error("{text}")]
    Conflict { text: String },
    #[error("{field}: {why}")]
    Invalid { field: String, why: String },
    #[error("the body cannot be read: {0}")]
    Body(String),
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the API takes JSON, and pages take forms; set Content-Type")]
    Media,
    #[error("say on which revision this rests: If-Match: \"N\", as the last answer had it")]
    NoRevision,
    #[error("the Idempotency-Key was used for another request")]
    OtherRequest,
    #[error("too many failed attempts; try again in {seconds} s")]
    Locked { seconds: u32 },
    #[error("{why}")]
    Busy { why: String },
    #[error("this is not the service's name; open it by its address, or set web.public_url")]
    Host,
    #[error("this method is not for this address")]
    Method,
    /// Done before, with the same key: this was the answer.
    #[error("answered before")]
    Again { response: Vec<u8> },
    #[error("something went wrong inside; the service's log says what")]
    Inside(String),
}

impl Fault {
    pub(crate) fn invalid(field: &str, why: impl Into<String>) -> Fault {
        Fault::Invalid { field: field.to_owned(), why: why.into() }
    }

    /// Getting in by way of the provider or a key failed, or has to go another way.
    pub(crate) fn elsewhere(why: impl Into<String>) -> Fault {
        Fault::Elsewhere { why: why.into() }
    }

    pub(crate) fn not_found(what: impl Into<String>) -> Fault {
        Fault::NotFound { what: what.into() }
    }

    fn kind(&self) -> (StatusCode, &'static str, &'static str) {
        use StatusCode as S;
        match self {
            Fault::SignIn => (S::UNAUTHORIZED, "sign-in", "Not signed in"),
            Fault::WrongSecret => (S::UNAUTHORIZED, "wrong-secret", "Not signed in"),
            Fault::SecondFactor => (S::UNAUTHORIZED, "second-factor", "Second factor needed"),
            Fault::Elsewhere { .. } => (S::FORBIDDEN, "elsewhere", "Not signed in"),
            Fault::MustEnrol => (S::FORBIDDEN, "must-enrol", "Second factor missing"),
            Fault::MustChange => (S::FORBIDDEN, "must-change", "Password to be changed"),
            Fault::Csrf => (S::FORBIDDEN, "foreign-page", "From another page"),
            Fault::Denied(why) if why.hides() => (S::NOT_FOUND, "not-found", "Not found"),
            Fault::Denied(_) => (S::FORBIDDEN, "not-allowed", "Not allowed"),
            Fault::NotFound { .. } => (S::NOT_FOUND, "not-found", "Not found"),
            Fault::Conflict { .. } => (S::CONFLICT, "conflict", "Conflict"),
            Fault::Invalid { .. } => (S::UNPROCESSABLE_ENTITY, "invalid", "Invalid"),
            Fault::Body(_) => (S::BAD_REQUEST, "unreadable", "Unreadable"),
            Fault::TooLarge(_) => (S::PAYLOAD_TOO_LARGE, "too-large", "Too large"),
            Fault::Media => (S::UNSUPPORTED_MEDIA_TYPE, "media-type", "Unknown media type"),
            Fault::NoRevision => (S::PRECONDITION_REQUIRED, "no-revision", "Revision missing"),
            Fault::OtherRequest => (S::CONFLICT, "other-request", "Key used before"),
            Fault::Locked { .. } => (S::TOO_MANY_REQUESTS, "locked", "Too many attempts"),
            Fault::Busy { .. } => (S::SERVICE_UNAVAILABLE, "busy", "Busy"),
            Fault::Host => (S::MISDIRECTED_REQUEST, "host", "Unknown host"),
            Fault::Method => (S::METHOD_NOT_ALLOWED, "method", "Method not allowed"),
            Fault::Again { .. } => (S::OK, "again", "Answered before"),
            Fault::Inside(_) => (S::INTERNAL_SERVER_ERROR, "inside", "Internal error"),
        }
    }

    pub fn status(&self) -> StatusCode {
        self.kind().0
    }

    /// What a page or a problem document says.
    pub fn problem(&self) -> Problem {
        let (status, kind, title) = self.kind();
        let detail = match self {
            Fault::Denied(why) if why.hides() => "there is no such thing".to_owned(),
            other => other.to_string(),
        };
        Problem {
            kind: format!("urn:portreeve:problem:{kind}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail,
        }
    }
}

/// RFC 9457.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct Problem {
    /// Names the kind of problem; stays the same from version to version.
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    pub detail: String,
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        if let Fault::Inside(why) = &self {
            tracing::error!(%why, "a request failed");
        }
        if let Fault::Again { response } = self {
            return ([(header::CONTENT_TYPE, "application/json")], response).into_response();
        }
        let body = serde_json::to_vec(&self.problem()).unwrap_or_default();
        let mut answer =
            (self.status(), [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        let wait = match self {
            Fault::Locked { seconds } => Some(seconds),
            Fault::Busy { .. } => Some(2),
            _ => None,
        };
        if let Some(seconds) = wait {
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        answer
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        match error {
            Error::Caller(inner) => match inner.downcast::<Fault>() {
                Ok(fault) => *fault,
                Err(other) => Fault::Inside(other.to_string()),
            },
            Error::Conflict { .. } | Error::Taken { .. } | Error::NotNow(_) => {
                Fault::Conflict { text: error.to_string() }
            }
            // In the words of one that is hidden: nobody learns which cases there are.
            Error::NotFound { what: "case", .. } => Fault::not_found("such thing"),
            Error::NotFound { what, id } => Fault::not_found(format!("{what} {id}")),
            Error::Invalid { field, why } => Fault::invalid(field, why),
            Error::Busy(_) | Error::Unreachable(_) | Error::Full | Error::Unsure => {
                tracing::warn!(%error, "the store does not take a change");
                Fault::Busy { why: error.to_string() }
            }
            other => Fault::Inside(other.to_string()),
        }
    }
}

/// Out of a transaction, which is taken back.
impl From<Fault> for Error {
    fn from(fault: Fault) -> Error {
        Error::Caller(Box::new(fault))
    }
}

impl From<Why> for Fault {
    fn from(why: Why) -> Fault {
        Fault::Denied(why)
    }
}

impl From<portreeve_access::draw::NoRandomness> for Fault {
    fn from(error: portreeve_access::draw::NoRandomness) -> Fault {
        Fault::Inside(error.to_string())
    }
}
