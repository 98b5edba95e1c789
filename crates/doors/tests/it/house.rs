//! A listener with all doors open, what came in through them, and a plain client to knock with.

use portreeve_doors::http::serve::{ServeLimits, TlsNow, serve};
use portreeve_doors::http::{Http, HttpOptions, Memory, routes};
use portreeve_doors::lumberjack::{Lumberjack, LumberjackOptions};
use portreeve_doors::{
    Admitted, Counters, DeadLetter, DoorContext, Gate, Intake, Limits, Origin, Rates, Receipt, Received,
    Records, Refusal,
};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Generous: the machine may be busy.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Knows `T-edge`, and the certificates that it is told.
#[derive(Default)]
pub(crate) struct Doorman {
    limits: Arc<Limits>,
    certificates: Mutex<HashMap<[u8; 32], String>>,
    asked: AtomicU64,
}

impl Doorman {
    pub(crate) fn knows(&self, sum: [u8; 32], source: &str) {
        self.certificates.lock().expect("no panic").insert(sum, source.to_owned());
    }

    fn admit(&self, name: &str) -> Admitted {
        Admitted { origin: Origin::new(name), limits: self.limits.clone() }
    }
}

impl Gate for Doorman {
    fn token(&self, _: &'static str, token: &[u8]) -> Option<Admitted> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        token.strip_prefix(b"T-").map(|name| self.admit(std::str::from_utf8(name).expect("a test's token")))
    }

    fn certificate(&self, _: &'static str, sum: &[u8; 32]) -> Option<Admitted> {
        self.certificates.lock().expect("no panic").get(sum).map(|name| self.admit(name))
    }
}

/// What is done with what comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Behind {
    Stores,
    Refuses(Refusal),
    /// Refuses so many batches, and stores the rest.
    RefusesFirst(usize),
    /// Stores each batch after a while.
    Waits(Duration),
    /// The channel is full, and somebody comes to empty it after a while.
    ComesLater(Duration),
    /// Nobody takes anything, and the channel is full.
    Full,
    /// Nobody is there.
    Gone,
}

#[derive(Default)]
struct Arrived {
    records: Vec<(String, String)>,
    dead: Vec<DeadLetter>,
}

pub(crate) struct House {
    pub(crate) address: SocketAddr,
    pub(crate) http: Http,
    pub(crate) doorman: Arc<Doorman>,
    arrived: Arc<Mutex<Arrived>>,
    pub(crate) shutdown: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
    /// Kept so that a full channel stays full.
    _full: Option<tokio::sync::mpsc::Receiver<Received>>,
}

#[derive(Default)]
pub(crate) struct Build {
    pub(crate) options: HttpOptions,
    pub(crate) limits: Limits,
    pub(crate) behind: Option<Behind>,
    pub(crate) tls: Option<TlsNow>,
    pub(crate) serve: ServeLimits,
    pub(crate) memory: Memory,
}

impl House {
    pub(crate) async fn new() -> House {
        House::build(Build::default()).await
    }

    pub(crate) async fn build(build: Build) -> House {
        let arrived = Arc::new(Mutex::new(Arrived::default()));
        let behind = build.behind.unwrap_or(Behind::Stores);
        let (intake, full) = intake(behind, arrived.clone()).await;
        let doorman = Arc::new(Doorman { limits: Arc::new(build.limits), ..Doorman::default() });
        let http = Http {
            intake,
            gate: doorman.clone(),
            counters: Counters::default(),
            rates: Rates::default(),
            memory: build.memory,
            options: build.options,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let address = listener.local_addr().expect("bound");
        let shutdown = CancellationToken::new();
        let serving =
            tokio::spawn(serve(listener, build.tls, routes(http.clone()), build.serve, shutdown.clone()));
        House { address, http, doorman, arrived, shutdown, serving, _full: full }
    }

    /// A listener for Lumberjack instead.
    pub(crate) async fn lumberjack(build: Build, change: impl FnOnce(&mut LumberjackOptions)) -> House {
        let arrived = Arc::new(Mutex::new(Arrived::default()));
        let (intake, full) = intake(build.behind.unwrap_or(Behind::Stores), arrived.clone()).await;
        let doorman = Arc::new(Doorman { limits: Arc::new(build.limits.clone()), ..Doorman::default() });
        let options = serde_json::json!({ "listen": "127.0.0.1:0", "source": "edge", "keep_alive_s": 1 });
        let mut options: LumberjackOptions = serde_json::from_value(options).expect("options");
        options.limits = build.limits;
        change(&mut options);
        let (counters, shutdown) = (Counters::default(), CancellationToken::new());
        let context = DoorContext {
            intake: intake.clone(),
            gate: doorman.clone(),
            counters: counters.clone(),
            state_dir: std::env::temp_dir(),
            shutdown: shutdown.clone(),
        };
        let door = Lumberjack::bind(options, build.tls, context).await.expect("loopback");
        let address = door.address().expect("bound");
        let http = Http {
            intake,
            gate: doorman.clone(),
            counters,
            rates: Rates::default(),
            memory: build.memory,
            options: build.options,
        };
        let serving = tokio::spawn(door.run());
        House { address, http, doorman, arrived, shutdown, serving, _full: full }
    }

    /// Records, as text, in the order of their coming.
    pub(crate) fn records(&self) -> Vec<String> {
        self.arrived.lock().expect("no panic").records.iter().map(|(_, r)| r.clone()).collect()
    }

    pub(crate) fn origins(&self) -> Vec<String> {
        self.arrived.lock().expect("no panic").records.iter().map(|(o, _)| o.clone()).collect()
    }

    pub(crate) fn dead(&self) -> Vec<DeadLetter> {
        self.arrived.lock().expect("no panic").dead.clone()
    }

    pub(crate) async fn until(&self, what: &str, ready: impl Fn(&House) -> bool) {
        let start = Instant::now();
        while !ready(self) {
            assert!(
                start.elapsed() < LIMIT,
                "{what}: did not come; there are {} records {:?}, dead {:?}, {:?}",
                self.records().len(),
                self.records().iter().take(5).collect::<Vec<_>>(),
                self.dead().iter().take(5).collect::<Vec<_>>(),
                self.counts()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        let mut all = Counts::default();
        self.http.counters.each(|_, _, counts| {
            let of = |c: &AtomicU64| c.load(Ordering::Relaxed);
            all.received += of(&counts.received);
            all.stored += of(&counts.stored);
            all.refused += of(&counts.refused);
            all.dead += of(&counts.dead);
            all.turned_away += of(&counts.turned_away);
        });
        all
    }

    /// Ends the listener, and holds the doors to their counts.
    pub(crate) async fn end(self) -> Counts {
        self.shutdown.cancel();
        tokio::time::timeout(LIMIT, self.serving).await.expect("the listener ends").expect("no panic");
        let arrived = &self.arrived;
        let all = {
            let mut all = Counts::default();
            self.http.counters.each(|_, _, counts| {
                let of = |c: &AtomicU64| c.load(Ordering::Relaxed);
                let (received, stored) = (of(&counts.received), of(&counts.stored));
                let (refused, dead) = (of(&counts.refused), of(&counts.dead));
                assert_eq!(received, stored + refused + dead, "{counts:?}");
                all.received += received;
                all.stored += stored;
                all.refused += refused;
                all.dead += dead;
                all.turned_away += of(&counts.turned_away);
            });
            all
        };
        assert_eq!(all.stored, arrived.lock().expect("no panic").records.len() as u64, "{all:?}");
        let start = Instant::now();
        while arrived.lock().expect("no panic").dead.len() as u64 != all.dead {
            assert!(start.elapsed() < LIMIT, "{all:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        all
    }

    /// Sends bytes on a connection of its own, says that no more come, and reads the answer.
    pub(crate) async fn ask(&self, request: Vec<u8>) -> Answer {
        let address = self.address;
        let asked = tokio::task::spawn_blocking(move || ask(address, &request));
        asked.await.expect("no panic").unwrap_or_else(|e| panic!("no answer: {e}"))
    }

    pub(crate) async fn post(&self, path: &str, headers: &str, body: &[u8]) -> Answer {
        self.ask(request("POST", path, headers, body)).await
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) received: u64,
    pub(crate) stored: u64,
    pub(crate) refused: u64,
    pub(crate) dead: u64,
    pub(crate) turned_away: u64,
}

async fn intake(
    behind: Behind,
    arrived: Arc<Mutex<Arrived>>,
) -> (Intake, Option<tokio::sync::mpsc::Receiver<Received>>) {
    let is_full = matches!(behind, Behind::Full | Behind::ComesLater(_));
    let (intake, mut from) = Intake::channel(if is_full { 1 } else { 64 });
    if is_full {
        let mut one = Records::default();
        one.push(b"full");
        drop(intake.hand_over(&Origin::new("test"), "test", one).await.expect("room for one"));
    }
    match behind {
        Behind::Full => return (intake, Some(from)),
        Behind::Gone => return (intake, None),
        _ => {}
    }
    tokio::spawn(async move {
        if let Behind::ComesLater(wait) = behind {
            tokio::time::sleep(wait).await;
            from.recv().await;
        }
        let mut left = if let Behind::RefusesFirst(n) = behind { n } else { 0 };
        while let Some(received) = from.recv().await {
            if let Behind::Waits(wait) = behind {
                tokio::time::sleep(wait).await;
            }
            let batch = match received {
                Received::Batch(batch) => batch,
                other => {
                    if let Received::Dead(letter) = other {
                        arrived.lock().expect("no panic").dead.push(letter);
                    }
                    continue;
                }
            };
            let refusal = match &behind {
                Behind::Refuses(refusal) => Some(refusal.clone()),
                Behind::RefusesFirst(_) if left > 0 => {
                    left -= 1;
                    Some(Refusal::Full)
                }
                _ => None,
            };
            if let Some(refusal) = refusal {
                batch.ack.answer(Receipt::Refused(refusal));
                continue;
            }
            {
                let mut arrived = arrived.lock().expect("no panic");
                for (record, _) in batch.records.iter() {
                    let text = String::from_utf8_lossy(record).into_owned();
                    arrived.records.push((batch.origin.name().to_owned(), text));
                }
            }
            batch.ack.answer(Receipt::Stored);
        }
    });
    (intake, None)
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

pub(crate) fn request(method: &str, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    );
    [head.as_bytes(), body].concat()
}

pub(crate) fn ask(address: SocketAddr, request: &[u8]) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    // A request that is refused early may be answered before all of it is written.
    stream.write_all(request).ok();
    read(&mut stream)
}

/// As [`ask`], but says after the request that nothing more will come.
pub(crate) fn ask_and_close(address: SocketAddr, request: &[u8]) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.write_all(request)?;
    stream.shutdown(Shutdown::Write)?;
    read(&mut stream)
}

pub(crate) fn read(stream: &mut impl Read) -> std::io::Result<Answer> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let odd = || std::io::Error::other(format!("not HTTP: {:?}", String::from_utf8_lossy(&bytes)));
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(odd)?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|l| l.split(' ').nth(1)?.parse().ok()).ok_or_else(odd)?;
    let named =
        |line: &str| line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    let headers: Vec<_> = lines.filter_map(named).collect();
    Ok(Answer { status, headers, body: body.to_owned() })
}
