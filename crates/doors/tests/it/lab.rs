//! A door under test: the other end of its intake, programs that talk to it, and certificates.

use portreeve_doors::{
    Admitted, Batch, Counters, DeadLetter, DoorContext, Gate, Intake, Limits, Origin, Place, Receipt,
    Received, Refusal,
};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Generous: the machine may be busy.
pub(crate) const LIMIT: Duration = Duration::from_secs(180);

/// Knows the certificates that a test tells it.
#[derive(Default)]
pub(crate) struct Doorman {
    certificates: Mutex<HashMap<[u8; 32], Admitted>>,
}

impl Doorman {
    pub(crate) fn knows(&self, sum: [u8; 32], source: &str) {
        let admitted = Admitted { origin: Origin::new(source), limits: Arc::new(Limits::default()) };
        self.certificates.lock().unwrap().insert(sum, admitted);
    }
}

impl Gate for Doorman {
    fn token(&self, _: &'static str, _: &[u8]) -> Option<Admitted> {
        None
    }

    fn certificate(&self, _: &'static str, sum: &[u8; 32]) -> Option<Admitted> {
        self.certificates.lock().unwrap().get(sum).cloned()
    }
}

/// What arrived at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) origin: String,
    pub(crate) record: Vec<u8>,
    pub(crate) place: Option<Place>,
}

#[derive(Default)]
struct Arrived {
    records: Vec<Got>,
    dead: Vec<DeadLetter>,
    whole: Vec<PathBuf>,
    largest_batch: usize,
    batches: usize,
}

/// Everything that a door needs, and the server behind it.
pub(crate) struct Lab {
    pub(crate) context: DoorContext,
    pub(crate) doorman: Arc<Doorman>,
    pub(crate) dir: tempfile::TempDir,
    arrived: Arc<Mutex<Arrived>>,
    /// While false, nothing is answered, and no more than one batch is taken out of the intake.
    open: Arc<AtomicBool>,
    /// While true, the disk is full.
    full: Arc<AtomicBool>,
    server: tokio::task::JoinHandle<()>,
}

impl Lab {
    pub(crate) fn new() -> Lab {
        Lab::with(16)
    }

    pub(crate) fn with(batches: usize) -> Lab {
        let dir = tempfile::tempdir().unwrap();
        let (intake, from) = Intake::channel(batches);
        Lab::at(dir, intake, from)
    }

    /// The service after a restart: all is new but the directory with the state.
    pub(crate) fn again(self) -> Lab {
        let Lab { dir, server, .. } = self;
        server.abort();
        let (intake, from) = Intake::channel(16);
        Lab::at(dir, intake, from)
    }

    fn at(dir: tempfile::TempDir, intake: Intake, mut from: mpsc::Receiver<Received>) -> Lab {
        let state_dir = dir.path().join("state");
        std::fs::create_dir_all(&state_dir).unwrap();
        let doorman = Arc::new(Doorman::default());
        let context = DoorContext {
            intake,
            gate: doorman.clone(),
            counters: Counters::default(),
            state_dir,
            shutdown: CancellationToken::new(),
        };
        let arrived = Arc::new(Mutex::new(Arrived::default()));
        let (open, full) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
        let server = {
            let (arrived, open, full) = (arrived.clone(), open.clone(), full.clone());
            tokio::spawn(async move {
                loop {
                    let received = from.recv().await;
                    while !open.load(Ordering::Relaxed) {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    match received {
                        Some(Received::Batch(batch)) => {
                            if full.load(Ordering::Relaxed) {
                                batch.ack.answer(Receipt::Refused(Refusal::Disk(
                                    "no space left on device".into(),
                                )));
                                continue;
                            }
                            store(&arrived, batch);
                        }
                        Some(Received::File(file)) => {
                            if full.load(Ordering::Relaxed) {
                                file.ack.answer(Receipt::Refused(Refusal::Disk(
                                    "no space left on device".into(),
                                )));
                                continue;
                            }
                            arrived.lock().unwrap().whole.push(file.path);
                            file.ack.answer(Receipt::Stored);
                        }
                        Some(Received::Dead(letter)) => arrived.lock().unwrap().dead.push(letter),
                        None => return,
                    }
                }
            })
        };
        Lab { context, doorman, dir, arrived, open, full, server }
    }

    pub(crate) fn hold(&self, hold: bool) {
        self.open.store(!hold, Ordering::Relaxed);
    }

    pub(crate) fn fill_disk(&self, full: bool) {
        self.full.store(full, Ordering::Relaxed);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Records that arrived so far, as text.
    pub(crate) fn texts(&self) -> Vec<String> {
        let arrived = self.arrived.lock().unwrap();
        arrived.records.iter().map(|g| String::from_utf8_lossy(&g.record).into_owned()).collect()
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.arrived.lock().unwrap().records.clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.arrived.lock().unwrap().records.len()
    }

    pub(crate) fn dead(&self) -> Vec<DeadLetter> {
        self.arrived.lock().unwrap().dead.clone()
    }

    /// Files that were handed over whole.
    pub(crate) fn whole(&self) -> Vec<PathBuf> {
        self.arrived.lock().unwrap().whole.clone()
    }

    /// Batches, and records of the largest one.
    pub(crate) fn batches(&self) -> (usize, usize) {
        let arrived = self.arrived.lock().unwrap();
        (arrived.batches, arrived.largest_batch)
    }

    pub(crate) async fn until(&self, what: &str, mut ready: impl FnMut(&Lab) -> bool) {
        let start = Instant::now();
        while !ready(self) {
            assert!(
                start.elapsed() < LIMIT,
                "{what}: did not come within {LIMIT:?}; {} records, {} dead letters: {:?}",
                self.count(),
                self.dead().len(),
                self.texts().iter().take(5).collect::<Vec<_>>(),
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) async fn records(&self, n: usize) {
        self.until(&format!("{n} records"), |lab| lab.count() >= n).await;
    }

    /// Ends a door, and holds it to its counts: all that was received is stored, refused or dead.
    pub(crate) async fn end<E: std::fmt::Debug>(
        &self,
        door: tokio::task::JoinHandle<Result<(), E>>,
    ) -> Totals {
        self.context.shutdown.cancel();
        tokio::time::timeout(LIMIT, door).await.expect("the door ends").unwrap().unwrap();
        let totals = self.totals();
        assert_eq!(totals.received, totals.stored + totals.refused + totals.dead, "{totals:?}");
        assert_eq!(totals.stored, self.count() as u64, "{totals:?}");
        self.until("the last dead letter", |lab| lab.dead().len() as u64 == totals.dead).await;
        totals
    }

    pub(crate) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        self.context.counters.each(|_, _, counts| {
            let of = |c: &std::sync::atomic::AtomicU64| c.load(Ordering::Relaxed);
            totals.received += of(&counts.received);
            totals.stored += of(&counts.stored);
            totals.refused += of(&counts.refused);
            totals.dead += of(&counts.dead);
            totals.turned_away += of(&counts.turned_away);
            totals.connections += of(&counts.connections);
            totals.lost += of(&counts.lost);
        });
        totals
    }

    pub(crate) fn trouble(&self) -> Vec<String> {
        let mut all = Vec::new();
        self.context.counters.each(|_, _, counts| all.extend(counts.trouble()));
        all
    }
}

fn store(arrived: &Mutex<Arrived>, batch: Batch) {
    let mut all = arrived.lock().unwrap();
    all.batches += 1;
    all.largest_batch = all.largest_batch.max(batch.records.len());
    for (record, place) in batch.records.iter() {
        all.records.push(Got { origin: batch.origin.name().to_owned(), record: record.to_vec(), place });
    }
    drop(all);
    batch.ack.answer(Receipt::Stored);
}

#[derive(Default, Debug, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) received: u64,
    pub(crate) stored: u64,
    pub(crate) refused: u64,
    pub(crate) dead: u64,
    pub(crate) turned_away: u64,
    pub(crate) connections: u64,
    pub(crate) lost: u64,
}

pub(crate) fn which(program: &str, package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into(), "/lib/systemd".into()])
        .map(|dir| dir.join(program))
        .find(|p| p.is_file())
        .unwrap_or_else(|| panic!("{program} is not installed; it is in the package {package}"))
}

/// Runs a program to its end, off the runtime.
pub(crate) async fn run(program: PathBuf, args: &[&str], input: &[u8]) -> String {
    let (args, input) = (args.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>(), input.to_vec());
    tokio::task::spawn_blocking(move || {
        let mut child = Command::new(&program)
            .args(&args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let writer = std::thread::spawn(move || std::io::Write::write_all(&mut stdin, &input).ok());
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(output.status.success(), "{} {args:?}: {text}", program.display());
        text
    })
    .await
    .unwrap()
}

/// A program in the background; ended by its id when dropped. Its output goes to a file.
pub(crate) struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    pub(crate) fn spawn(program: &Path, args: &[&str], log: PathBuf) -> Daemon {
        let file = std::fs::File::create(&log).unwrap();
        let child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|e| panic!("{}: {e}", program.display()));
        Daemon { child, log }
    }

    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits until it says this.
    pub(crate) async fn says(&self, text: &str) {
        let start = Instant::now();
        while !self.log().contains(text) {
            assert!(start.elapsed() < LIMIT, "it never says `{text}`: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A port that was free a moment ago, for programs that cannot choose one themselves.
pub(crate) fn port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// An authority and what it signs.
pub(crate) struct Authority {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    pub(crate) pem: PathBuf,
    dir: PathBuf,
}

/// A certificate and its key, as PEM files.
pub(crate) struct Identity {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) sum: [u8; 32],
}

impl Authority {
    pub(crate) fn new(dir: &Path, name: &str) -> Authority {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let certificate = params.self_signed(&key).unwrap();
        let pem = dir.join(format!("{name}.pem"));
        std::fs::write(&pem, certificate.pem()).unwrap();
        Authority { issuer: rcgen::Issuer::new(params, key), pem, dir: dir.to_owned() }
    }

    pub(crate) fn signs(&self, name: &str) -> Identity {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params =
            rcgen::CertificateParams::new(vec!["localhost".into(), "127.0.0.1".into(), name.into()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        identity(&self.dir, name, &certificate, &key)
    }
}

pub(crate) fn self_signed(dir: &Path, name: &str) -> Identity {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec![name.into()]).unwrap().self_signed(&key).unwrap();
    identity(dir, name, &certificate, &key)
}

fn identity(dir: &Path, name: &str, certificate: &rcgen::Certificate, key: &rcgen::KeyPair) -> Identity {
    let (cert_path, key_path) = (dir.join(format!("{name}.crt")), dir.join(format!("{name}.key")));
    std::fs::write(&cert_path, certificate.pem()).unwrap();
    std::fs::write(&key_path, key.serialize_pem()).unwrap();
    let sum = portreeve_doors::tls::fingerprint(certificate.der());
    Identity { certificate: cert_path, key: key_path, sum }
}
