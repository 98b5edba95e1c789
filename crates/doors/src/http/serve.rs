//! A listener for the routes: plain or TLS, HTTP/1.1 and HTTP/2, with limits on connections and on slow peers.

pub(crate) use super::admit::ClientCertificate;
use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// The TLS of a listener, as its files say now: asked for each connection.
pub type TlsNow = Arc<dyn Fn() -> Arc<rustls::ServerConfig> + Send + Sync>;

/// Who is at the other end of the connection, as every request carries it: the peer, or a proxy before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PeerAddress(pub IpAddr);

/// How patient a listener is.
#[derive(Clone, Copy, Debug)]
pub struct ServeLimits {
    /// Connections at one time; more wait until one of them ends.
    pub connections: usize,
    /// Of one address; more are closed.
    pub connections_per_address: usize,
    /// For the head of a request, and for the silence between two requests on one connection.
    pub head: Duration,
    /// For requests under way when the service ends.
    pub drain: Duration,
}

impl Default for ServeLimits {
    fn default() -> Self {
        ServeLimits {
            connections: 4_096,
            connections_per_address: 1_024,
            head: Duration::from_secs(75),
            drain: Duration::from_secs(15),
        }
    }
}

/// For the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How many connections each address holds.
type Held = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// One connection; given back when dropped.
struct Seat {
    held: Held,
    address: IpAddr,
    _place: OwnedSemaphorePermit,
}

impl Seat {
    fn take(held: &Held, address: IpAddr, place: OwnedSemaphorePermit, most: usize) -> Option<Seat> {
        let mut all = held.lock().unwrap_or_else(PoisonError::into_inner);
        let now = all.entry(address).or_default();
        if *now >= most {
            return None;
        }
        *now += 1;
        Some(Seat { held: held.clone(), address, _place: place })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut all = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(now) = all.get_mut(&self.address) {
            *now -= 1;
            if *now == 0 {
                all.remove(&self.address);
            }
        }
    }
}

/// Serves until `shutdown` is cancelled, and then lets the requests under way end.
pub async fn serve(
    listener: TcpListener,
    tls: Option<TlsNow>,
    routes: Router,
    limits: ServeLimits,
    shutdown: CancellationToken,
) {
    let free = Arc::new(Semaphore::new(limits.connections.max(1)));
    let (graceful, held) = (GracefulShutdown::new(), Held::default());
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &free) => accepted,
        };
        let Some((stream, peer, place)) = accepted else { continue };
        let Some(seat) = Seat::take(&held, peer, place, limits.connections_per_address) else { continue };
        // Answers are small: waiting to fill a packet only delays them.
        stream.set_nodelay(true).ok();
        let tls = tls.as_ref().map(|tls| TlsAcceptor::from(tls()));
        let (routes, watcher) = (routes.clone(), graceful.watcher());
        tokio::spawn(async move {
            let _seat = seat;
            let Some(tls) = tls else {
                return connection(stream, (peer, None), routes, limits, watcher).await;
            };
            if let Ok(Ok(stream)) = timeout(HANDSHAKE, tls.accept(stream)).await {
                let shown = certificate(&stream);
                connection(stream, (peer, shown), routes, limits, watcher).await;
            }
        });
    }
    drop(listener);
    timeout(limits.drain, graceful.shutdown()).await.ok();
}

async fn accept(
    listener: &TcpListener,
    free: &Arc<Semaphore>,
) -> Option<(TcpStream, IpAddr, OwnedSemaphorePermit)> {
    let place = free.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer.ip().to_canonical(), place)),
        Err(_) => {
            // Out of file descriptors, or a peer that is gone already: it passes.
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

/// What the client showed.
pub(crate) fn certificate(stream: &tokio_rustls::server::TlsStream<TcpStream>) -> Option<ClientCertificate> {
    let shown = stream.get_ref().1.peer_certificates()?.first()?;
    Some(ClientCertificate(Sha256::digest(shown).into()))
}

async fn connection<S>(
    stream: S,
    (peer, shown): (IpAddr, Option<ClientCertificate>),
    routes: Router,
    limits: ServeLimits,
    watcher: Watcher,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_headers(100)
        // Who says that nothing more will come still wants the answer.
        .half_close(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(256)
        .max_header_list_size(32 << 10)
        .keep_alive_interval(limits.head)
        .keep_alive_timeout(limits.head);
    let routes = TowerToHyperService::new(routes);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(PeerAddress(peer));
        if let Some(shown) = shown {
            request.extensions_mut().insert(shown);
        }
        routes.call(request)
    });
    let served = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    // What went wrong on a connection its peer knows.
    watcher.watch(served).await.ok();
}
