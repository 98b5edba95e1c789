//! Who is it: the token or the client certificate of a request.

use super::{Http, No};
use crate::counters::DoorCounts;
use crate::gate::Admitted;
use crate::intake::Origin;
use crate::rate::{Slow, UnderWay};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// SHA-256 of the certificate that the connection's client showed and the listener's TLS has checked. The listener puts
/// it into the extensions of each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientCertificate(pub [u8; 32]);

/// Who could not be admitted is counted under this name.
pub(crate) fn nobody() -> Origin {
    Origin::new("unknown")
}

/// Longer ones are nobody's.
const MAX_TOKEN: usize = 4_096;

/// What a request shows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    Nothing,
    /// A scheme that the door does not know, or one that is not written as it should be.
    Unreadable,
    Token(Vec<u8>),
}

/// Schemes of `Authorization` that a door reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// `Splunk T`
    Splunk,
    /// `Bearer T`
    Bearer,
    /// Any user, the token as password.
    Basic,
    /// Base64 of `id:token`, as Elastic's programs make it of what they are given; or the token alone.
    ApiKey,
}

/// A request of a source, while it lasts.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) door: &'static str,
    pub(crate) admitted: Admitted,
    pub(crate) counts: Arc<DoorCounts>,
    under_way: UnderWay,
    /// The memory that its body takes.
    pub(super) held: Option<OwnedSemaphorePermit>,
}

impl Visit {
    /// How long the source has to wait, if it does.
    pub(crate) fn wait(&self) -> Option<Duration> {
        match self.under_way.may_send() {
            Err(Slow::Rate(wait)) => Some(wait),
            _ => None,
        }
    }

    /// Gives the memory back before the visit ends.
    pub(crate) fn let_go(&mut self) {
        self.held = None;
    }

    pub(super) fn spend(&self, records: usize) {
        self.under_way.spend(records);
    }
}

/// What `Authorization` shows.
pub(crate) fn shown(parts: &Parts, schemes: &[Scheme]) -> Shown {
    let mut all = parts.headers.get_all(AUTHORIZATION).iter();
    let (Some(header), None) = (all.next(), all.next()) else {
        let nothing = !parts.headers.contains_key(AUTHORIZATION);
        return if nothing { Shown::Nothing } else { Shown::Unreadable };
    };
    let header = header.as_bytes().trim_ascii();
    let Some(at) = header.iter().position(|b| *b == b' ') else { return Shown::Unreadable };
    let (name, value) = header.split_at(at);
    let value = value.trim_ascii();
    let named = |scheme: &Scheme| {
        name.eq_ignore_ascii_case(match scheme {
            Scheme::Splunk => b"Splunk",
            Scheme::Bearer => b"Bearer",
            Scheme::Basic => b"Basic",
            Scheme::ApiKey => b"ApiKey",
        })
    };
    let Some(scheme) = schemes.iter().find(|s| named(s)) else { return Shown::Unreadable };
    if value.is_empty() || value.len() > MAX_TOKEN {
        return Shown::Unreadable;
    }
    let pair = || {
        let pair = STANDARD.decode(value).ok()?;
        let at = pair.iter().position(|b| *b == b':')?;
        Some(pair.get(at + 1..)?.to_vec())
    };
    match scheme {
        Scheme::Splunk | Scheme::Bearer => Shown::Token(value.to_vec()),
        Scheme::Basic => pair().map_or(Shown::Unreadable, Shown::Token),
        Scheme::ApiKey => Shown::Token(pair().unwrap_or_else(|| value.to_vec())),
    }
}

impl Http {
    /// Lets a request in. A wrong token is wrong even where the connection's certificate is right.
    pub(crate) fn admit(
        &self,
        door: &'static str,
        shown: Shown,
        certificate: Option<&ClientCertificate>,
    ) -> Result<Visit, No> {
        let (admitted, no) = match (shown, certificate) {
            (Shown::Token(token), _) => (self.gate.token(door, &token), No::Stranger),
            (Shown::Unreadable, _) => (None, No::Unreadable),
            (Shown::Nothing, Some(ClientCertificate(sha256))) => {
                (self.gate.certificate(door, sha256), No::Stranger)
            }
            (Shown::Nothing, None) => (None, No::Nothing),
        };
        let Some(admitted) = admitted else {
            DoorCounts::add(&self.counters.of(door, &nobody()).turned_away, 1);
            return Err(no);
        };
        self.welcome(door, admitted)
    }

    /// Lets in who needs to show nothing.
    pub(crate) fn welcome(&self, door: &'static str, admitted: Admitted) -> Result<Visit, No> {
        let under_way = self.rates.begin(&admitted).map_err(No::from)?;
        let counts = self.counters.of(door, &admitted.origin);
        DoorCounts::add(&counts.connections, 1);
        Ok(Visit { door, admitted, counts, under_way, held: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn check(header: &str, expect: Shown) {
        let request = Request::get("/").header(AUTHORIZATION, header).body(()).expect("a request");
        let all = [Scheme::Splunk, Scheme::Basic, Scheme::ApiKey];
        assert_eq!(shown(&request.into_parts().0, &all), expect, "{header}");
    }

    #[test]
    fn tokens_in_every_dress() {
        let token = |t: &str| Shown::Token(t.as_bytes().to_vec());
        check("Splunk abc-1", token("abc-1"));
        check("splunk   abc-1 ", token("abc-1"));
        check(&format!("Basic {}", STANDARD.encode("x:se:cret")), token("se:cret"));
        check(&format!("ApiKey {}", STANDARD.encode("id:key")), token("key"));
        check("ApiKey plain-token", token("plain-token"));
        check("Bearer abc", Shown::Unreadable);
        check("Splunk", Shown::Unreadable);
        check("Splunk ", Shown::Unreadable);
        check("Basic !!!", Shown::Unreadable);
        check(&format!("Basic {}", STANDARD.encode("nocolon")), Shown::Unreadable);
        check(&format!("Splunk {}", "x".repeat(5_000)), Shown::Unreadable);
    }
}
