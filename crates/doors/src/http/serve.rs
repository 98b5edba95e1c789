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
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// The TLS of a listener, as its files say now: asked for each connection.
pub type TlsNow = Arc<dyn Fn() -> Arc<rustls::ServerConfig> + Send + Sync>;

/// How patient a listener is.
#[derive(Clone, Copy, Debug)]
pub struct ServeLimits {
    /// Connections at one time; more wait until one of them ends.
    pub connections: usize,
    /// For the TLS handshake, and for the head of each request.
    pub head: Duration,
    /// For requests under way when the service ends.
    pub drain: Duration,
}

impl Default for ServeLimits {
    fn default() -> Self {
        ServeLimits { connections: 4_096, head: Duration::from_secs(20), drain: Duration::from_secs(15) }
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
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &free) => accepted,
        };
        let Some((stream, place)) = accepted else { continue };
        // Answers are small: waiting to fill a packet only delays them.
        stream.set_nodelay(true).ok();
        let tls = tls.as_ref().map(|tls| TlsAcceptor::from(tls()));
        let (routes, watcher) = (routes.clone(), graceful.watcher());
        tokio::spawn(async move {
            let _place = place;
            let Some(tls) = tls else { return connection(stream, None, routes, limits, watcher).await };
            if let Ok(Ok(stream)) = timeout(limits.head, tls.accept(stream)).await {
                let shown = certificate(&stream);
                connection(stream, shown, routes, limits, watcher).await;
            }
        });
    }
    drop(listener);
    timeout(limits.drain, graceful.shutdown()).await.ok();
}

async fn accept(listener: &TcpListener, free: &Arc<Semaphore>) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let place = free.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, place)),
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
    shown: Option<ClientCertificate>,
    routes: Router,
    limits: ServeLimits,
    watcher: Watcher,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.head).max_headers(100);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(256)
        .max_header_list_size(32 << 10)
        .keep_alive_interval(limits.head)
        .keep_alive_timeout(limits.head);
    let routes = TowerToHyperService::new(routes);
    let service = service_fn(move |mut request: Request<Incoming>| {
        if let Some(shown) = shown {
            request.extensions_mut().insert(shown);
        }
        routes.call(request)
    });
    let served = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    // What went wrong on a connection its peer knows.
    watcher.watch(served).await.ok();
}
