//! The feed that firewalls fetch: lists as plain text under `/edl/`, indicators as TAXII 2.1 under `/taxii2/`. It only
//! reads what the connector `edl` writes, and keeps who fetched what, because a list that nobody fetches blocks nothing.

pub mod stix;
pub mod store;
pub mod taxii;

use crate::fault::Fault;
use crate::secret::Secret;
use crate::transport::server::{
    Handler, Identity, Limits, Reply, Request, Server, http_date, parse_http_date, same_secret, serve,
};
use crate::value::Net;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use store::{Fetch, List, State, Store};

/// How the feed is served.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub tls: Option<Identity>,
    /// A token that is taken as `Authorization: Bearer`.
    pub bearer: Option<Secret>,
    /// A user and password that are taken as `Authorization: Basic`. Firewalls speak only this.
    pub basic: Option<(String, Secret)>,
    /// Who may fetch; empty: everybody who has the credential.
    pub allow: Vec<Net>,
    pub limits: Limits,
}

/// Serves the feed of `dir` on `listen` (`ADDRESS:PORT`) until the server is dropped.
///
/// # Errors
/// [`Fault::Config`]: the directory is not there, the address cannot be listened on, or a credential would go over the
/// network without TLS.
pub fn serve_feed(listen: &str, dir: &Path, options: Options) -> Result<Server, Fault> {
    let secret = options.bearer.is_some() || options.basic.is_some();
    if secret && options.tls.is_none() && !loopback(listen) {
        return Err(Fault::Config(format!(
            "listen {listen}: a credential without TLS is shown to everybody on the way"
        )));
    }
    let store = Store::open(dir)?;
    store.refresh()?;
    let (tls, limits) = (options.tls.clone(), options.limits);
    serve(listen, tls.as_ref(), limits, Arc::new(Feed { store, options, logged: Mutex::default() }))
}

fn loopback(listen: &str) -> bool {
    listen.to_socket_addrs().is_ok_and(|mut all| all.all(|a: SocketAddr| a.ip().to_canonical().is_loopback()))
}

struct Feed {
    store: Store,
    options: Options,
    /// What was logged last, so that a client that polls without rest is logged once a minute.
    logged: Mutex<HashMap<(IpAddr, &'static str), Fetch>>,
}

/// Clients whose last fetch is remembered.
const REMEMBERED: usize = 4096;
const AGAIN_US: i64 = 60_000_000;

/// Carries the serial of the state that was answered from to the access log.
const SERIAL: &str = "x-feed-serial";
/// Present where the answer counts as a fetch of the indicators.
const COMPLETE: &str = "x-feed-complete";

impl Handler for Feed {
    fn answer(&self, request: &Request) -> Reply {
        let taxii = request.path().starts_with("/taxii2");
        let refuse = |status, title: &str| {
            if taxii { taxii::error(status, title) } else { Reply::text(status, &format!("{title}\n")) }
        };
        if !self.options.allow.is_empty()
            && !self.options.allow.iter().any(|net| net.net().contains(&request.peer))
        {
            return refuse(403, "this address may not fetch");
        }
        if !self.allowed(request) {
            let reply = refuse(401, "a credential is needed");
            return match self.options.basic {
                Some(_) => reply.with("www-authenticate", "Basic realm=\"feed\", charset=\"UTF-8\""),
                None => reply.with("www-authenticate", "Bearer realm=\"feed\""),
            };
        }
        if !matches!(request.method.as_str(), "GET" | "HEAD") {
            return refuse(405, "this feed is only read").with("allow", "GET, HEAD");
        }
        let list = List::ALL.into_iter().find(|l| request.path().strip_prefix("/edl/") == Some(l.file()));
        if !taxii && list.is_none() {
            return refuse(404, "nothing here");
        }
        let state = match self.store.refresh() {
            Ok(state) => state,
            // Firewalls keep their last list when the answer is an error; an empty list would open them.
            Err(_) => return refuse(503, "the feed cannot be read").with("retry-after", "30"),
        };
        let reply = match list {
            Some(list) => edl(request, &state, list),
            None => {
                let page = taxii::get(request, &state);
                if page.complete { page.reply.with(COMPLETE, "yes") } else { page.reply }
            }
        };
        reply.with(SERIAL, state.serial.to_string()).with("cache-control", "no-cache")
    }

    fn sent(&self, request: &Request, reply: &Reply, whole: bool) {
        if !whole || request.method != "GET" {
            return;
        }
        let header = |name: &str| reply.headers.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_str());
        let list = List::ALL.into_iter().find(|l| request.path().strip_prefix("/edl/") == Some(l.file()));
        let what = match (list, reply.status) {
            (Some(list), 200 | 304 | 401 | 403) => list.file(),
            (None, 200) if header(COMPLETE).is_some() => "taxii",
            (None, 401 | 403) if request.path().starts_with("/taxii2") => "taxii",
            _ => return,
        };
        let serial = header(SERIAL).and_then(|s| s.parse().ok()).unwrap_or(0);
        let fetch = Fetch {
            at: store::now(),
            peer: request.peer,
            what: what.to_owned(),
            status: reply.status,
            serial,
        };
        {
            let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
            let known = logged.get(&(fetch.peer, what));
            if known
                .is_some_and(|k| k.serial == serial && k.took() == fetch.took() && fetch.at - k.at < AGAIN_US)
            {
                return;
            }
            if logged.len() >= REMEMBERED {
                logged.clear();
            }
            logged.insert((fetch.peer, what), fetch.clone());
        }
        // A log that cannot be written leaves the effect unproven, which is the truth then.
        let _unlogged = self.store.log(&fetch);
    }
}

impl Feed {
    fn allowed(&self, request: &Request) -> bool {
        if self.options.bearer.is_none() && self.options.basic.is_none() {
            return true;
        }
        let Some((scheme, given)) = request.header("authorization").and_then(|v| v.split_once(' ')) else {
            return false;
        };
        let given = given.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            let right = self.options.bearer.as_ref();
            return right.is_some_and(|right| same_secret(given.as_bytes(), right.expose().as_bytes()));
        }
        if scheme.eq_ignore_ascii_case("basic") {
            let (Some((user, password)), Ok(given)) = (&self.options.basic, STANDARD.decode(given)) else {
                return false;
            };
            let right = Secret::new(format!("{user}:{}", password.expose()));
            return same_secret(&given, right.expose().as_bytes());
        }
        false
    }
}

/// The list, or 304 where the client has it.
fn edl(request: &Request, state: &State, list: List) -> Reply {
    let text = state.text(list);
    let etag = store::etag(&text);
    let changed = state.changed(list);
    // The first whole second after the change. It is told only once that second has come: a client that fetched
    // between two changes of one second would otherwise be told that it has the second one.
    let modified = changed.div_euclid(1_000_000) + 1;
    let same = match (request.header("if-none-match"), request.header("if-modified-since")) {
        // `*` would say that the client has a list without saying which, and is not taken.
        (Some(tags), _) => tags.split(',').any(|t| t.trim().trim_start_matches("W/") == etag),
        (None, Some(date)) => parse_http_date(date).is_some_and(|s| s.saturating_mul(1_000_000) >= changed),
        (None, None) => false,
    };
    let reply = if same { Reply::new(304) } else { Reply::text(200, &text) };
    let reply = reply.with("etag", etag);
    match jiff::Timestamp::from_second(modified) {
        Ok(at) if modified <= store::now().div_euclid(1_000_000) => {
            reply.with("last-modified", http_date(at))
        }
        _ => reply,
    }
}
