//! Lumberjack version 2, which Beats and Elastic Agent speak to Logstash (port 5044): windows of records, answered when
//! they are stored.
//!
//! The peer is held back by not being read and not being answered; while it waits it is told that its window is not
//! forgotten (an answer for record 0), or it would hang up and send again.

mod frame;

use crate::counters::DoorCounts;
use crate::declaration::Declaration;
use crate::door::{DoorContext, DoorError};
use crate::gate::{Admitted, Limits};
use crate::http::serve::{ClientCertificate, TlsNow, certificate};
use crate::http::{Cut, Http, HttpOptions, Memory, Shown, Visit};
use crate::intake::Origin;
use crate::rate::Rates;
use crate::unpack::{Coding, Fault, Unpack};
use bytes::{Buf, BytesMut};
use frame::{Frame, Read, Wrong, ack};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{Instant, interval_at, sleep, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub static DOOR: Declaration = Declaration {
    name: "lumberjack",
    title: "Lumberjack 2 (Beats, Logstash)",
    peers: "Filebeat, Winlogbeat and other Beats, Elastic Agent (output.logstash), Logstash (lumberjack), \
            python-logstash-async",
    point_at_it: "`output.logstash.hosts: [\"HOST:5044\"]`, with `ssl` and a client certificate that a source names, \
                  or from a listener that has a `source`",
    tested: "pylogbeat (which python-logstash-async uses); Beats and Logstash only by the protocol's \
             description",
    record: "the event's JSON, as it was sent; of a data frame, an object of its fields",
    source: "logstash-input-beats, PROTOCOL.md",
};

/// A listener for Lumberjack.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LumberjackOptions {
    /// Address and port: `0.0.0.0:5044`.
    pub listen: SocketAddr,
    /// The source of whoever shows no client certificate; without it, they are turned away. The protocol has no tokens.
    #[serde(default)]
    pub source: Option<String>,
    /// Of that source.
    #[serde(default)]
    pub limits: Limits,
    /// Connections at one time, of all sources together.
    #[serde(default = "connections")]
    pub connections: usize,
    /// Seconds that a connection may be silent between two windows.
    #[serde(default = "idle_s")]
    pub idle_s: u64,
    /// Seconds after which a peer that waits for an answer is told to keep waiting. Beats hang up after 30.
    #[serde(default = "keep_alive_s")]
    pub keep_alive_s: u64,
}

fn connections() -> usize {
    1_024
}

fn idle_s() -> u64 {
    3_600
}

fn keep_alive_s() -> u64 {
    3
}

/// A frame that was begun has to go on.
const FRAME_IDLE: Duration = Duration::from_secs(30);
/// A window that was begun has to end.
const WINDOW: Duration = Duration::from_secs(300);
/// A peer that does not read its answers is let go.
const ANSWER: Duration = Duration::from_secs(30);
/// For the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Bytes of records after which a window is stored and answered in part.
const PART_BYTES: usize = 8 << 20;
const BUFFER: usize = 64 << 10;

/// A listener that is bound and not served yet.
pub struct Lumberjack {
    listener: TcpListener,
    tls: Option<TlsNow>,
    door: Arc<Inside>,
}

struct Inside {
    http: Http,
    options: LumberjackOptions,
    /// Who shows no certificate.
    anybody: Option<Admitted>,
    shutdown: CancellationToken,
}

impl Lumberjack {
    pub async fn bind(
        options: LumberjackOptions,
        tls: Option<TlsNow>,
        context: DoorContext,
    ) -> Result<Lumberjack, DoorError> {
        if options.source.is_none() && tls.is_none() {
            let why = format!(
                "listener {}: nobody could write to it; set `source`, or TLS with client certificates",
                options.listen
            );
            return Err(DoorError::Config { door: DOOR.name, why });
        }
        let listener = TcpListener::bind(options.listen).await.map_err(|error| DoorError::Listen {
            door: DOOR.name,
            address: options.listen.to_string(),
            error,
        })?;
        let anybody = options
            .source
            .as_deref()
            .map(|name| Admitted { origin: Origin::new(name), limits: Arc::new(options.limits.clone()) });
        let DoorContext { intake, gate, counters, shutdown, .. } = context;
        let http = Http {
            intake,
            gate,
            counters,
            rates: Rates::default(),
            memory: Memory::default(),
            options: HttpOptions::default(),
        };
        Ok(Lumberjack { listener, tls, door: Arc::new(Inside { http, options, anybody, shutdown }) })
    }

    /// Where it listens; tells the port where 0 was asked for.
    pub fn address(&self) -> Result<SocketAddr, DoorError> {
        let address = self.door.options.listen.to_string();
        self.listener.local_addr().map_err(|error| DoorError::Listen { door: DOOR.name, address, error })
    }

    /// Serves until the shutdown, and until all that was read is answered.
    pub async fn run(self) {
        let Lumberjack { listener, tls, door } = self;
        let free = Arc::new(Semaphore::new(door.options.connections.max(1)));
        let open = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                () = door.shutdown.cancelled() => break,
                accepted = async {
                    let place = free.clone().acquire_owned().await;
                    (place, listener.accept().await)
                } => accepted,
            };
            let (Ok(place), Ok((stream, _))) = accepted else {
                // Out of file descriptors, or a peer that is gone already: it passes.
                sleep(Duration::from_millis(50)).await;
                continue;
            };
            stream.set_nodelay(true).ok();
            let (door, tls) = (door.clone(), tls.as_ref().map(|tls| TlsAcceptor::from(tls())));
            open.spawn(async move {
                let _place = place;
                match tls {
                    None => door.connection(stream, None).await,
                    Some(tls) => {
                        if let Ok(Ok(stream)) = timeout(HANDSHAKE, tls.accept(stream)).await {
                            let shown = certificate(&stream);
                            door.connection(stream, shown).await;
                        }
                    }
                }
            });
        }
        drop(listener);
        open.close();
        open.wait().await;
    }
}

/// Why a connection ends.
#[derive(Debug)]
enum End {
    /// The peer has gone, or is too slow.
    Theirs,
    /// Ours; or records that were refused: the peer comes again with them.
    Ours,
    Wrong(Wrong),
}

impl From<Wrong> for End {
    fn from(wrong: Wrong) -> End {
        End::Wrong(wrong)
    }
}

impl Inside {
    async fn connection(&self, io: impl AsyncRead + AsyncWrite + Unpin, shown: Option<ClientCertificate>) {
        let admitted = match (&shown, &self.anybody) {
            (None, Some(anybody)) => self.http.welcome(DOOR.name, anybody.clone()),
            _ => self.http.admit(DOOR.name, Shown::Nothing, shown.as_ref()),
        };
        let Ok(visit) = admitted else { return };
        let window = Window::new(visit.admitted.limits.record_bytes);
        let mut peer = Peer { io, buffer: BytesMut::with_capacity(BUFFER), door: self, visit, window };
        let end = peer.serve().await;
        if let End::Wrong(wrong) = end {
            let head = peer.buffer.split_to(peer.buffer.len().min(1_024));
            self.http.bury(&peer.visit, format!("{wrong}; the connection was closed"), &head).await;
        }
        timeout(ANSWER, peer.io.shutdown()).await.ok();
    }
}

struct Peer<'a, S> {
    io: S,
    buffer: BytesMut,
    door: &'a Inside,
    visit: Visit,
    window: Window,
}

/// The records of a window, as they come.
struct Window {
    cut: Cut,
    /// Of the records in `cut`.
    bytes: usize,
    /// The number of the last record.
    last: u32,
    /// How many records are announced, and how many of them came. Without a window each frame is answered.
    announced: u32,
    came: u32,
}

impl Window {
    fn new(record_bytes: usize) -> Window {
        Window { cut: Cut::new(record_bytes), bytes: 0, last: 0, announced: 0, came: 0 }
    }

    fn begin(&mut self, records: u32) {
        (self.announced, self.came) = (records, 0);
    }

    fn take(&mut self, sequence: u32, record: &[u8]) {
        self.bytes += record.len();
        self.cut.push(record);
        (self.last, self.came) = (sequence, self.came.saturating_add(1));
    }

    /// Frames that were packed together.
    fn take_all(&mut self, mut frames: &[u8], most: usize) -> Result<(), Wrong> {
        while !frames.is_empty() {
            let Read::Whole(frame, used) = Frame::read(frames, most)? else { return Err(Wrong::CutOff) };
            match frame {
                Frame::Json { sequence, record } => self.take(sequence, record),
                Frame::Data { sequence, record } => self.take(sequence, &record),
                Frame::Window(records) => self.begin(records),
                Frame::Compressed(_) => return Err(Wrong::Nested),
            }
            frames = frames.get(used..).unwrap_or_default();
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.cut.len() == 0
    }

    /// Whether an answer is due.
    fn is_full(&self) -> bool {
        !self.is_empty() && (self.came >= self.announced || self.bytes >= PART_BYTES)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<'_, S> {
    async fn serve(&mut self) -> End {
        loop {
            if let Err(end) = self.window().await {
                return end;
            }
        }
    }

    /// Reads until something has to be stored, and answers it.
    async fn window(&mut self) -> Result<(), End> {
        let limits = self.visit.admitted.limits.clone();
        let begin = Instant::now();
        while !self.window.is_full() {
            let (frame, used) = match Frame::read(&self.buffer, limits.request_bytes)? {
                Read::Needs(bytes) => {
                    let between = self.buffer.is_empty() && self.window.is_empty();
                    let idle = Duration::from_secs(self.door.options.idle_s.max(1));
                    let now = Instant::now();
                    let until = if between { now + idle } else { (begin + WINDOW).min(now + FRAME_IDLE) };
                    self.fill(bytes, until).await?;
                    continue;
                }
                Read::Whole(frame, used) => (frame, used),
            };
            match frame {
                // A window that is changed in its middle: what came of it is stored first.
                Frame::Window(_) if !self.window.is_empty() => break,
                Frame::Window(records) => self.window.begin(records),
                Frame::Json { sequence, record } => self.window.take(sequence, record),
                Frame::Data { sequence, record } => self.window.take(sequence, &record),
                Frame::Compressed(packed) => {
                    let frames = unpack(packed, limits.unpacked_bytes)?;
                    if !self.door.http.hold(&mut self.visit, self.window.bytes + frames.len()) {
                        return Err(End::Ours);
                    }
                    self.window.take_all(&frames, limits.unpacked_bytes)?;
                }
            }
            self.buffer.advance(used);
        }
        self.store().await
    }

    async fn fill(&mut self, bytes: usize, until: Instant) -> Result<(), End> {
        while self.buffer.len() < bytes {
            // As they come: a peer that says a length has not sent it yet.
            self.buffer.reserve(BUFFER);
            let read = tokio::select! {
                () = self.door.shutdown.cancelled() => return Err(End::Ours),
                read = timeout_at(until, self.io.read_buf(&mut self.buffer)) => read,
            };
            match read {
                Ok(Ok(read)) if read > 0 => DoorCounts::add(&self.visit.counts.bytes, read),
                _ => return Err(End::Theirs),
            }
            if !self.door.http.hold(&mut self.visit, self.window.bytes + self.buffer.len()) {
                return Err(End::Ours);
            }
        }
        Ok(())
    }

    async fn store(&mut self) -> Result<(), End> {
        let fresh = Cut::new(self.visit.admitted.limits.record_bytes);
        let cut = std::mem::replace(&mut self.window.cut, fresh);
        self.window.bytes = 0;
        let every = Duration::from_secs(self.door.options.keep_alive_s.max(1));
        let (http, visit) = (&self.door.http, &self.visit);
        let kept = patiently(http.keep_waiting(visit, cut), &mut self.io, every).await?;
        kept.map_err(|_| End::Ours)?;
        self.visit.let_go();
        say(&mut self.io, self.window.last).await?;
        if let Some(wait) = self.visit.wait() {
            let pause = async {
                tokio::select! {
                    () = self.door.shutdown.cancelled() => {}
                    () = sleep(wait) => {}
                }
            };
            patiently(pause, &mut self.io, every).await?;
        }
        Ok(())
    }
}

/// Waits, and lets the peer know.
async fn patiently<T>(
    work: impl Future<Output = T>,
    io: &mut (impl AsyncWrite + Unpin),
    every: Duration,
) -> Result<T, End> {
    let mut still = interval_at(Instant::now() + every, every);
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return Ok(done),
            _ = still.tick() => say(io, 0).await?,
        }
    }
}

async fn say(io: &mut (impl AsyncWrite + Unpin), sequence: u32) -> Result<(), End> {
    let saying = async {
        io.write_all(&ack(sequence)).await?;
        io.flush().await
    };
    match timeout(ANSWER, saying).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(End::Theirs),
    }
}

fn unpack(packed: &[u8], most: usize) -> Result<Vec<u8>, Wrong> {
    let of = |fault| match fault {
        Fault::TooLarge => Wrong::TooLarge,
        Fault::Damaged => Wrong::Damaged,
    };
    let mut unpack = Unpack::new(Coding::Deflate, most).map_err(of)?;
    unpack.feed(packed).map_err(of)?;
    unpack.finish().map_err(|(fault, _)| of(fault))
}
