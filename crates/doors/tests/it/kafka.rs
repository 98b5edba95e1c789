//! The broker that librdkafka has for tests: an independent implementation of the protocol, started by its Python client.

use crate::lab::{Daemon, Lab, which};
use portreeve_doors::DoorError;
use portreeve_doors::kafka::{self, Options};
use std::io::Write;
use tokio::task::JoinHandle;

/// A broker, and what produces to it: lines written to a file, `partition count text`.
struct Broker {
    address: String,
    orders: std::path::PathBuf,
    daemon: Daemon,
    given: usize,
}

const PROGRAM: &str = r#"
import sys, time
from confluent_kafka import Producer
p = Producer({'test.mock.num.brokers': 1, 'bootstrap.servers': 'none', 'linger.ms': 5, 'compression.type': sys.argv[2]})
t = p.list_topics('logs')
while not t.topics['logs'].partitions: t = p.list_topics('logs')
b = list(t.brokers.values())[0]
print('partitions', len(t.topics['logs'].partitions), flush=True)
print('broker %s:%s' % (b.host, b.port), flush=True)
done = 0
while True:
    orders = open(sys.argv[1]).read().splitlines()
    for order in orders[done:]:
        partition, n, text = order.split(' ', 2)
        for i in range(int(n)): p.produce('logs', value=(text % i).encode() if n != '1' else text.encode().decode('unicode_escape').encode(), partition=int(partition))
        left = p.flush(60)
        done += 1
        print('done', done, left, flush=True)
    time.sleep(0.05)
"#;

impl Broker {
    async fn start(lab: &Lab, compression: &str) -> Broker {
        let orders = lab.path("orders");
        std::fs::write(&orders, "").unwrap();
        let python = which("python3", "python3");
        let path = orders.display().to_string();
        let daemon = Daemon::spawn(&python, &["-c", PROGRAM, &path, compression], lab.path("broker.log"));
        daemon.says("broker ").await;
        let log = daemon.log();
        let line = log
            .lines()
            .find(|l| l.starts_with("broker "))
            .unwrap_or_else(|| panic!("confluent-kafka of PyPI is missing? {log}"));
        Broker { address: line.trim_start_matches("broker ").to_owned(), orders, daemon, given: 0 }
    }

    async fn produce(&mut self, partition: u8, n: usize, text: &str) {
        self.given += 1;
        let mut file = std::fs::OpenOptions::new().append(true).open(&self.orders).unwrap();
        writeln!(file, "{partition} {n} {text}").unwrap();
        self.daemon.says(&format!("done {} 0", self.given)).await;
    }

    fn open(&self, lab: &Lab, more: &str) -> JoinHandle<Result<(), DoorError>> {
        let text = format!(r#"{{"source":"bus","brokers":["{}"],"topic":"logs"{more}}}"#, self.address);
        let options: Options = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
        tokio::spawn(kafka::run(options, lab.context.clone()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_across_a_restart_in_every_compression() {
    for compression in ["none", "gzip", "lz4", "zstd", "snappy"] {
        let mut lab = Lab::new();
        let mut broker = Broker::start(&lab, compression).await;
        broker.produce(0, 2_000, "login %d of anna").await;
        broker.produce(1, 500, "logout %d of anna").await;
        let door = broker.open(&lab, "");
        lab.records(2_500).await;
        let of = |lab: &Lab, word: &str| -> Vec<usize> {
            lab.texts()
                .iter()
                .filter(|t| t.starts_with(word))
                .map(|t| t.split(' ').nth(1).unwrap().parse().unwrap())
                .collect()
        };
        assert_eq!(of(&lab, "login"), (0..2_000).collect::<Vec<_>>(), "{compression}");
        assert_eq!(of(&lab, "logout"), (0..500).collect::<Vec<_>>(), "{compression}");
        lab.end(door).await;
        broker.produce(0, 10, "again %d").await;
        lab = lab.again();
        let door = broker.open(&lab, "");
        lab.records(10).await;
        assert_eq!(of(&lab, "again"), (0..10).collect::<Vec<_>>(), "{compression}");
        assert_eq!(lab.end(door).await.stored, 10);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_stored_comes_again() {
    let mut lab = Lab::new();
    let mut broker = Broker::start(&lab, "none").await;
    broker.produce(2, 300, "login %d").await;
    lab.fill_disk(true);
    let door = broker.open(&lab, r#","partitions":[2]"#);
    lab.until("the disk is full", |lab| lab.trouble().iter().any(|t| t.contains("no space"))).await;
    assert_eq!(lab.end(door).await.stored, 0);
    lab = lab.again();
    let door = broker.open(&lab, r#","partitions":[2]"#);
    lab.records(300).await;
    assert_eq!(lab.end(door).await.stored, 300);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_and_what_cannot_be() {
    let mut lab = Lab::new();
    let mut broker = Broker::start(&lab, "none").await;
    broker.produce(0, 1, r"one\r\ntwo\n\nthree").await;
    broker.produce(0, 1, &"x".repeat(2_000)).await;
    let door = broker.open(&lab, r#","lines":true,"partitions":[0],"limits":{"record_bytes":1000}"#);
    lab.records(3).await;
    lab.until("a dead letter", |lab| lab.dead().len() == 1).await;
    assert_eq!(lab.texts(), ["one", "two", "three"]);
    lab.end(door).await;
    lab = lab.again();
    let door = broker.open(&lab, r#","partitions":[77]"#);
    lab.until("it says so", |lab| lab.trouble().iter().any(|t| t.contains("no partition 77"))).await;
    lab.end(door).await;
}
