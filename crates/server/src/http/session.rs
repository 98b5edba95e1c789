//! Whose request it is: a cookie, or a bearer token; from which address; and whether a change comes from a page of ours.

use crate::app::App;
use crate::desk::sign_in::{self, Visitor};
use crate::desk::{Fault, Who};
use crate::service::blocking;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};
use portreeve_access::session::{Jar, SessionToken, from_own_page, read_cookie};
use portreeve_doors::http::serve::PeerAddress;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

pub(crate) const CSRF: HeaderName = HeaderName::from_static("x-csrf-token");
const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-for");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// The client's address: the peer's, or what a proxy that is trusted says; of several proxies each is asked in turn, so
/// that a client cannot write itself another address.
pub(crate) fn visitor(app: &App, parts: &Parts) -> Visitor {
    let peer = parts.extensions.get::<PeerAddress>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |p| p.0);
    let trusted = |ip: &IpAddr| app.config.web.trusted_proxies.iter().any(|net| net.contains(ip));
    let mut address = peer.to_canonical();
    let said = parts.headers.get_all(&FORWARDED).iter().filter_map(|v| v.to_str().ok());
    let said: Vec<&str> = said.flat_map(|v| v.split(',')).map(str::trim).collect();
    for hop in said.iter().rev() {
        if !trusted(&address) {
            break;
        }
        // What is no address was not written by a proxy of ours.
        let Ok(next) = hop.parse::<IpAddr>() else { break };
        address = next.to_canonical();
    }
    Visitor { address, agent: text(&parts.headers, &header::USER_AGENT).unwrap_or_default().to_owned() }
}

pub(crate) fn cookie(headers: &HeaderMap, jar: Jar, https: bool) -> Option<String> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok());
    read_cookie(all, jar, https).map(str::to_owned)
}

/// Who asks; refused where nobody is known. Looked up once for a request.
pub(crate) async fn who(app: &Arc<App>, parts: &mut Parts) -> Result<Who, Fault> {
    if let Some(who) = parts.extensions.get::<Who>() {
        return Ok(who.clone());
    }
    let who = looked_up(app, parts).await?;
    parts.extensions.insert(who.clone());
    Ok(who)
}

/// As the store knows them now; for streams, which ask again and again.
pub(crate) async fn looked_up(app: &Arc<App>, parts: &Parts) -> Result<Who, Fault> {
    let Visitor { address, .. } = visitor(app, parts);
    if let Some(value) = parts.headers.get(header::AUTHORIZATION) {
        let token = value.to_str().ok().and_then(|v| {
            let (scheme, token) = v.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
        });
        let (token, app) = (token.ok_or(Fault::SignIn)?, app.clone());
        return blocking(move || sign_in::by_token(&app, &token, address)).await?.ok_or(Fault::SignIn);
    }
    let token = cookie(&parts.headers, Jar::Session, app.accounts.https);
    let token = token.and_then(|t| SessionToken::parse(&t)).ok_or(Fault::SignIn)?;
    let app = app.clone();
    blocking(move || sign_in::by_cookie(&app, &token, address)).await?.ok_or(Fault::SignIn)
}

/// Our own origins, as a browser writes them.
fn origins(app: &App, parts: &Parts) -> Vec<String> {
    let mut own = Vec::new();
    if let Some(host) = super::guard::host(parts) {
        own.push(format!("{}://{host}", if app.accounts.https { "https" } else { "http" }));
    }
    let public = app.config.web.public_url.as_deref().and_then(|u| url::Url::parse(u).ok());
    own.extend(public.map(|u| u.origin().ascii_serialization()));
    own
}

fn is_own_page(app: &App, parts: &Parts) -> bool {
    let origin = text(&parts.headers, &header::ORIGIN);
    from_own_page(origin, text(&parts.headers, &FETCH_SITE), &origins(app, parts))
}

/// A change with a cookie comes from a page of ours, and brings the session's second token.
pub(crate) fn check_csrf(app: &App, parts: &Parts, who: &Who, field: Option<&str>) -> Result<(), Fault> {
    // A bearer token is not sent by a browser on its own.
    let Some(login) = &who.login else { return Ok(()) };
    let given = text(&parts.headers, &CSRF).or(field).unwrap_or_default();
    let right = sign_in::session_of(login).csrf_matches(&app.accounts.csrf, given);
    if right && is_own_page(app, parts) { Ok(()) } else { Err(Fault::Csrf) }
}

/// Signing in from a foreign page would put somebody into another's account. What is no browser says neither.
pub(crate) fn check_origin(app: &App, parts: &Parts) -> Result<(), Fault> {
    let is_browser = parts.headers.contains_key(header::ORIGIN) || parts.headers.contains_key(&FETCH_SITE);
    if is_browser && !is_own_page(app, parts) { Err(Fault::Csrf) } else { Ok(()) }
}

/// For handlers that change nothing.
pub(crate) struct Signed(pub(crate) Who);

impl FromRequestParts<Arc<App>> for Signed {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Signed, Fault> {
        // What changes something goes by way of `Act`, which asks for more.
        if !parts.method.is_safe() {
            return Err(Fault::Method);
        }
        who(app, parts).await.map(Signed)
    }
}
