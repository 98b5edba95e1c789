//! How many records a second come through the syslog doors and from files, where the other end answers at once:
//! `cargo run --release -p portreeve-doors --example rate -- [records]`. Senders and the door share the machine.

use portreeve_doors::syslog::{Options, Syslog};
use portreeve_doors::{Admitted, Counters, DoorContext, Gate, Intake, Receipt, Received, follow};
use std::io::Write;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

struct Nobody;

impl Gate for Nobody {
    fn token(&self, _: &'static str, _: &[u8]) -> Option<Admitted> {
        None
    }

    fn certificate(&self, _: &'static str, _: &[u8; 32]) -> Option<Admitted> {
        None
    }
}

const TEXT: &str = "<134>1 2026-01-02T03:04:05.678Z vpn1 charon 1234 - - IKE_SA client[4711] established between \
     198.51.100.7[vpn.example.org]...203.0.113.99[anna.berg@example.org], received from device WIN-4711 with policy \
     staff-default, virtual address 10.20.30.40, cipher AES_GCM_16_256/PRF_HMAC_SHA2_384/ECP_384";

fn start() -> (DoorContext, Arc<AtomicU64>) {
    let (intake, mut from) = Intake::channel(64);
    let stored = Arc::new(AtomicU64::new(0));
    let count = stored.clone();
    tokio::spawn(async move {
        while let Some(received) = from.recv().await {
            if let Received::Batch(batch) = received {
                count.fetch_add(batch.records.len() as u64, Ordering::Relaxed);
                batch.ack.answer(Receipt::Stored);
            }
        }
    });
    let context = DoorContext {
        intake,
        gate: Arc::new(Nobody),
        counters: Counters::default(),
        state_dir: std::env::temp_dir(),
        shutdown: CancellationToken::new(),
    };
    (context, stored)
}

/// Waits until all is stored, or nothing more comes.
async fn wait(stored: &AtomicU64, records: u64) {
    let (mut last, mut quiet) = (0, Instant::now());
    loop {
        let now = stored.load(Ordering::Relaxed);
        if now >= records || (now == last && quiet.elapsed() > Duration::from_secs(2)) {
            return;
        }
        if now != last {
            (last, quiet) = (now, Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn tell(out: &mut impl Write, what: &str, records: u64, took: Duration) {
    let rate = records as f64 / took.as_secs_f64();
    writeln!(out, "{what}: {records} records of {} bytes in {took:.2?}: {rate:.0} a second", TEXT.len()).ok();
}

async fn syslog(transport: &str) -> (SocketAddr, DoorContext, Arc<AtomicU64>) {
    let (context, stored) = start();
    let options = format!(r#"{{"listen":"127.0.0.1:0","transport":"{transport}","source":"bench"}}"#);
    let options: Options = serde_json::from_str(&options).expect("options");
    let door = Syslog::bind(options, context.clone()).await.expect("a port");
    let address = door.address();
    tokio::spawn(door.run());
    (address, context, stored)
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut out = std::io::stdout();
    let records: u64 = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(2_000_000);
    for (what, frame) in
        [("tcp, octet counts", format!("{} {TEXT}", TEXT.len())), ("tcp, line feeds", format!("{TEXT}\n"))]
    {
        let (address, context, stored) = syslog("tcp").await;
        let begin = Instant::now();
        let sender = std::thread::spawn(move || {
            let mut peer = TcpStream::connect(address).expect("connected");
            let block = frame.repeat(1_000);
            for _ in 0..records / 1_000 {
                peer.write_all(block.as_bytes()).expect("sent");
            }
        });
        wait(&stored, records).await;
        tell(&mut out, what, stored.load(Ordering::Relaxed), begin.elapsed());
        sender.join().expect("sent");
        context.shutdown.cancel();
    }

    let (address, context, stored) = syslog("udp").await;
    let begin = Instant::now();
    let some = records / 4;
    let sender = std::thread::spawn(move || {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        // 100,000 a second, in bursts of a hundred.
        for n in 0..some {
            socket.send_to(TEXT.as_bytes(), address).ok();
            if n % 100 == 0 {
                let due = begin + Duration::from_micros(n * 10);
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
        }
    });
    sender.join().expect("sent");
    wait(&stored, some).await;
    let got = stored.load(Ordering::Relaxed);
    tell(&mut out, "udp, sent at 100,000 a second", got, begin.elapsed());
    writeln!(out, "  {} of them were lost in the kernel", some - got).ok();
    context.shutdown.cancel();

    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("vpn.log");
    std::fs::write(&path, format!("{TEXT}\n").repeat(usize::try_from(records).unwrap_or(0)))
        .expect("written");
    let (mut context, stored) = start();
    context.state_dir = dir.path().join("state");
    std::fs::create_dir(&context.state_dir).expect("a directory");
    let options = format!(r#"{{"paths":["{}"],"once":true}}"#, path.display());
    let begin = Instant::now();
    follow::run(serde_json::from_str(&options).expect("options"), context).await.expect("read");
    tell(&mut out, "a file, once", stored.load(Ordering::Relaxed), begin.elapsed());
}
