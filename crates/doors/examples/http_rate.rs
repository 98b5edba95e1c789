//! How many records a second the HTTP doors take: keep-alive connections on loopback, an intake that answers at once.
//! Client and server share the process and its processors; CPU seconds are of both.
//!
//! `cargo run --release -p portreeve-doors --example http_rate -- [SECONDS] [CONNECTIONS]`

use portreeve_doors::http::serve::{ServeLimits, serve};
use portreeve_doors::http::{Http, HttpOptions, Memory, routes};
use portreeve_doors::{Admitted, Counters, Gate, Intake, Limits, Origin, Rates, Receipt, Received};
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

struct Open(Admitted);

impl Gate for Open {
    fn token(&self, _: &'static str, _: &[u8]) -> Option<Admitted> {
        Some(self.0.clone())
    }

    fn certificate(&self, _: &'static str, _: &[u8; 32]) -> Option<Admitted> {
        None
    }
}

const RECORDS: usize = 1_000;

fn workloads() -> Vec<(&'static str, &'static str, String)> {
    let line = |n: usize| {
        format!(
            "<166>Mar  3 10:00:01 fw1 : %ASA-6-722022: Group <GroupPolicy_AnyConnect> User <user{n}> IP <203.0.113.7> \
             TCP SVC connection established without compression, session {n}, assigned address 10.8.0.7, certificate CN=x"
        )
    };
    let all = |each: &dyn Fn(&mut String, usize)| {
        let mut body = String::new();
        (0..RECORDS).for_each(|n| each(&mut body, n));
        body
    };
    let wrote = "a string takes all that is written to it";
    vec![
        (
            "HEC, event is text",
            "/services/collector/event",
            all(&|b, n| {
                write!(b, r#"{{"time":1,"host":"fw1","sourcetype":"cisco:asa","event":"{}"}}"#, line(n))
                    .expect(wrote)
            }),
        ),
        (
            "HEC, event is an object",
            "/services/collector/event",
            all(&|b, n| {
                write!(b, r#"{{"time":1,"host":"fw1","event":{{"message":"{}","n":{n}}}}}"#, line(n))
                    .expect(wrote)
            }),
        ),
        ("HEC, raw", "/services/collector/raw", all(&|b, n| writeln!(b, "{}", line(n)).expect(wrote))),
        (
            "_bulk, create without id",
            "/es/_bulk",
            all(&|b, n| {
                writeln!(b, "{{\"create\":{{\"_index\":\"filebeat\"}}}}\n{{\"@timestamp\":\"2026-03-03T10:00:00Z\",\"message\":\"{}\"}}", line(n)).expect(wrote);
            }),
        ),
        (
            "_bulk, index with id",
            "/es/_bulk",
            all(&|b, n| {
                writeln!(b, "{{\"index\":{{\"_index\":\"filebeat\",\"_id\":\"{n}\"}}}}\n{{\"@timestamp\":\"2026-03-03T10:00:00Z\",\"message\":\"{}\"}}", line(n)).expect(wrote);
            }),
        ),
    ]
}

/// User and system seconds of this process.
fn cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|f| f.parse::<f64>().ok()).unwrap_or_default();
    (ticks(11) + ticks(12)) / 100.0
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default| arguments.next().and_then(|a| a.parse().ok()).unwrap_or(default);
    let (seconds, connections) = (number(5), number(4));
    let (intake, mut from) = Intake::channel(64);
    tokio::spawn(async move {
        while let Some(received) = from.recv().await {
            if let Received::Batch(batch) = received {
                batch.ack.answer(Receipt::Stored);
            }
        }
    });
    let admitted = Admitted { origin: Origin::new("edge"), limits: Arc::new(Limits::default()) };
    let http = Http {
        intake,
        gate: Arc::new(Open(admitted)),
        counters: Counters::default(),
        rates: Rates::default(),
        memory: Memory::default(),
        options: HttpOptions::default(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(serve(listener, None, routes(http), ServeLimits::default(), CancellationToken::new()));
    for (name, path, body) in workloads() {
        let request: Arc<[u8]> = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic eDpU\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
        .into();
        let sent = Arc::new(AtomicU64::new(0));
        let (start, cpu) = (Instant::now(), cpu_s());
        let until = start + Duration::from_secs(seconds);
        let tasks: Vec<_> = (0..connections)
            .map(|_| {
                let (request, sent) = (request.clone(), sent.clone());
                tokio::spawn(async move {
                    let mut stream = TcpStream::connect(address).await.expect("a listener");
                    let mut answer = vec![0; 1 << 20];
                    while Instant::now() < until {
                        stream.write_all(&request).await.expect("written");
                        let mut got = 0;
                        loop {
                            got += stream.read(&mut answer[got..]).await.expect("an answer");
                            if whole(&answer[..got]) {
                                break;
                            }
                        }
                        assert!(answer.starts_with(b"HTTP/1.1 200"), "refused");
                        sent.fetch_add(RECORDS as u64, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("no panic");
        }
        let (wall, cpu) = (start.elapsed().as_secs_f64(), cpu_s() - cpu);
        let records = sent.load(Ordering::Relaxed) as f64;
        let mib = records / RECORDS as f64 * body.len() as f64 / f64::from(1 << 20);
        eprintln!(
            "{name:26} {:9.0} records/s  {:6.0} MiB/s  {:9.0} records per CPU second",
            records / wall,
            mib / wall,
            records / cpu.max(0.01),
        );
    }
}

fn whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(&answer[..answer.len().min(1_024)]);
    let Some(head) = text.find("\r\n\r\n") else { return false };
    let length = text
        .to_ascii_lowercase()
        .split_once("content-length: ")
        .and_then(|(_, after)| after.split("\r\n").next()?.parse::<usize>().ok());
    length.is_some_and(|length| answer.len() >= head + 4 + length)
}
