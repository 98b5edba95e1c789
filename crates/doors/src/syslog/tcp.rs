//! The listener of syslog over TCP and TLS, and of RELP: who is let in, and how many.

use crate::counters::DoorCounts;
use crate::door::{DoorContext, DoorError, Source, stranger};
use crate::syslog::peers::{Holder, Peers, Seats};
use crate::syslog::{Options, Transport, relp, stream};
use crate::tls::{Shown, Tls};
use rustix::net::sockopt;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;

/// A peer that says nothing for so long is asked by the kernel whether it is there.
const QUIET: Duration = Duration::from_secs(120);
/// Between two tries to accept when the system has no descriptors left.
const EXHAUSTED: Duration = Duration::from_millis(100);

pub(crate) struct Tcp {
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    door: &'static str,
    options: Options,
    context: DoorContext,
    peers: Peers,
    tls: Option<Tls>,
    seats: Seats,
    unknown: Arc<DoorCounts>,
}

impl Tcp {
    pub(crate) async fn bind(options: Options, context: DoorContext) -> Result<Tcp, DoorError> {
        let door = match (options.transport, &options.tls) {
            (Transport::Relp, _) => "relp",
            (_, Some(_)) => "syslog_tls",
            (_, None) => "syslog_tcp",
        };
        let peers = Peers::new(&context, door, &options)?;
        let tls = options.tls.clone().map(|tls| Tls::open(tls, &[])).transpose()?;
        let listen = |error| DoorError::Listen { door, address: options.listen.to_string(), error };
        let listener = TcpListener::bind(options.listen).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let unknown = stranger(&context, door);
        let seats = Seats::default();
        let shared = Shared { door, options, context, peers, tls, seats, unknown };
        Ok(Tcp { listener, address, shared: Arc::new(shared) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) async fn run(self) {
        let Tcp { listener, shared, .. } = self;
        let connections = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = shared.context.shutdown.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, from)) => admit(&shared, &connections, stream, from.ip().to_canonical()),
                Err(error) => {
                    // No descriptors: connections that end give some back.
                    shared.unknown.says(Some(format!("cannot accept connections: {error}")));
                    tokio::time::sleep(EXHAUSTED).await;
                    continue;
                }
            }
        }
        drop(listener);
        connections.close();
        connections.wait().await;
    }
}

/// Gives a peer a seat and a task, or closes its connection.
fn admit(shared: &Arc<Shared>, connections: &TaskTracker, stream: TcpStream, from: IpAddr) {
    let options = &shared.options;
    let seat = shared.seats.take(Holder::Listener, options.limits.connections);
    let by_address = shared.seats.take(Holder::Address(from), options.connections_per_address);
    let (Some(seat), Some(by_address)) = (seat, by_address) else {
        let whose = shared.peers.of(from).map_or(&shared.unknown, |s| &s.counts);
        DoorCounts::add(&whose.turned_away, 1);
        whose.says(Some(format!("{from} was turned away: too many connections at one time")));
        return;
    };
    // A gateway that lost its power never closes its connection.
    sockopt::set_socket_keepalive(stream.as_fd(), true).ok();
    sockopt::set_tcp_keepidle(stream.as_fd(), QUIET).ok();
    let shared = shared.clone();
    connections.spawn(async move {
        let _seats = (seat, by_address);
        tokio::select! {
            // A handshake is cut off at the end of the service; messages are not.
            () = shared.context.shutdown.cancelled(), if shared.tls.is_some() => {}
            shaken = shake(&shared, stream, from) => match shaken {
                Some(Shaken::Plain(stream)) => connection(&shared, stream, from, None).await,
                Some(Shaken::Tls(stream, shown)) => connection(&shared, *stream, from, shown).await,
                None => {}
            },
        }
    });
}

enum Shaken {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::server::TlsStream<TcpStream>>, Shown),
}

async fn shake(shared: &Shared, stream: TcpStream, from: IpAddr) -> Option<Shaken> {
    let Some(tls) = &shared.tls else { return Some(Shaken::Plain(stream)) };
    match tls.accept(stream).await {
        Ok((stream, shown)) => Some(Shaken::Tls(Box::new(stream), shown)),
        Err(error) => {
            tracing::debug!(door = shared.door, %from, %error, "no TLS handshake");
            let whose = shared.peers.of(from).map_or(&shared.unknown, |s| &s.counts);
            DoorCounts::add(&whose.turned_away, 1);
            None
        }
    }
}

async fn connection(
    shared: &Shared,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    from: IpAddr,
    shown: Shown,
) {
    let by_certificate = shown
        .and_then(|sum| shared.context.gate.certificate(shared.door, &sum))
        .map(|admitted| Source::new(&shared.context, shared.door, admitted));
    let Some(source) = by_certificate.as_ref().or_else(|| shared.peers.of(from)) else {
        DoorCounts::add(&shared.unknown.turned_away, 1);
        return;
    };
    let seat = shared.seats.take(Holder::Source(source.origin.clone()), source.limits.connections);
    let Some(_seat) = seat else {
        DoorCounts::add(&source.counts.turned_away, 1);
        return;
    };
    DoorCounts::add(&source.counts.connections, 1);
    match shared.options.transport {
        Transport::Relp => relp::serve(stream, source, &shared.context).await,
        _ => stream::serve(stream, source, shared.options.framing, &shared.context).await,
    }
}
