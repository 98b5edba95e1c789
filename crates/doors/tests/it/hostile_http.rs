//! Bodies that are damaged, too large, too deep or too slow, and knocks without a key: each is answered or ended, and
//! counted, and the door goes on.

use crate::house::{Behind, Build, House, LIMIT, ask, ask_and_close, read, request};
use portreeve_doors::Limits;
use portreeve_doors::http::serve::ServeLimits;
use portreeve_doors::http::{HttpOptions, Memory};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const EDGE: &str = "Authorization: Bearer T-edge\r\n";
const SPLUNK: &str = "Authorization: Splunk T-edge\r\n";
const JSON: &str = "Authorization: Bearer T-edge\r\nContent-Type: application/json\r\n";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    to.write_all(bytes).and_then(|()| to.finish()).expect("memory")
}

/// Each door's path, and the headers that open it.
fn doors() -> [(&'static str, &'static str); 6] {
    [
        ("/services/collector/event", SPLUNK),
        ("/services/collector/raw", SPLUNK),
        ("/es/_bulk", EDGE),
        ("/v1/logs", JSON),
        ("/k8s/audit", EDGE),
        ("/ingest", JSON),
    ]
}

async fn works(house: &House) {
    let answer = house.post("/ingest", EDGE, b"still here").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_packing_is_a_dead_letter() {
    let house = House::new().await;
    let packed = gzip(b"{\"event\":\"a line that is long enough to be cut\"}");
    let cases = [&packed[..packed.len() - 9], &packed[..5], b"plain text", b"\x1f\x8b\x08\x00"];
    for (path, headers) in doors() {
        for case in cases {
            let answer = house.post(path, &format!("{headers}Content-Encoding: gzip\r\n"), case).await;
            assert_eq!(answer.status, 400, "{path}: {}", answer.body);
        }
    }
    works(&house).await;
    let dead = doors().len() * cases.len();
    house.until("dead letters", |h| h.dead().len() == dead).await;
    let counts = house.end().await;
    assert_eq!((counts.stored, counts.dead), (1, dead as u64));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bomb_is_too_large_and_quickly_so() {
    let house = House::new().await;
    let bomb = gzip(&vec![b'['; 8 << 20]);
    assert!(bomb.len() < 1 << 20);
    for (path, headers) in doors() {
        let answer = house.post(path, &format!("{headers}Content-Encoding: gzip\r\n"), &bomb).await;
        assert_eq!(answer.status, 413, "{path}: {}", answer.body);
    }
    works(&house).await;
    let counts = house.end().await;
    assert_eq!((counts.stored, counts.refused), (1, doors().len() as u64));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deep_nesting_does_not_reach_the_stack() {
    let house = House::new().await;
    let deep = "[".repeat(100_000);
    let cases = [
        ("/services/collector/event", SPLUNK, format!("{{\"event\":{deep}"), 400),
        ("/services/collector/event", SPLUNK, deep.clone(), 400),
        ("/services/collector/ack?channel=FE0ECFAD-13D5-401B-847D-77833BD77131", SPLUNK, deep.clone(), 400),
        ("/es/_bulk", EDGE, deep.clone(), 400),
        ("/es/_bulk", EDGE, format!("{{\"index\":{{}}}}\n{{\"a\":{deep}\n"), 200),
        ("/v1/logs", JSON, deep.clone(), 400),
        ("/v1/logs", JSON, format!("{{\"resourceLogs\":{deep}"), 400),
        ("/k8s/audit", EDGE, format!("{{\"items\":{deep}"), 400),
        ("/ingest", JSON, deep.clone(), 400),
        ("/ingest", JSON, "{\"a\":".repeat(100_000), 400),
    ];
    let protobuf = b"\x0a\xff\xff\xff\xff\x0f".repeat(10_000);
    let headers = format!("{EDGE}Content-Type: application/x-protobuf\r\n");
    assert_eq!(house.post("/v1/logs", &headers, &protobuf).await.status, 400);
    for (path, headers, body, status) in &cases {
        let answer = house.post(path, headers, body.as_bytes()).await;
        assert_eq!(answer.status, *status, "{path}: {}", answer.body);
    }
    works(&house).await;
    let counts = house.end().await;
    assert_eq!((counts.stored, counts.dead), (1, cases.len() as u64), "asking for acks keeps nothing");
}

/// What stands between two requests is where one peer could speak in another's name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lengths_that_are_wrong_end_the_connection() {
    let house = House::new().await;
    let head = format!("POST /ingest HTTP/1.1\r\nHost: x\r\n{EDGE}");
    let odd = [
        format!("{head}Content-Length: 3\r\nContent-Length: 7\r\n\r\none\r\ntwo"),
        format!("{head}Content-Length: -1\r\n\r\none"),
        format!("{head}Content-Length: 0x3\r\n\r\none"),
        format!("{head}Transfer-Encoding: gzip\r\n\r\none"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\nzz\r\none\r\n0\r\n\r\n"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\none\r\n0\r\n\r\n"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n3\r\none"),
        format!("{head}Content-Length: 100\r\n\r\nbroken off"),
        "POST /ingest HTTP/1.1\r\nHost: x\r\nContent".to_owned(),
        "\x16\x03\x01\x02\x00\x01\x00\x01\u{fc}\x03\x03".to_owned(),
        "\0\0\0\0".to_owned(),
    ];
    for case in &odd {
        let address = house.address;
        let bytes = case.clone().into_bytes();
        let answer =
            tokio::task::spawn_blocking(move || ask_and_close(address, &bytes)).await.expect("no panic");
        // Ended without a word, or told that it is wrong; never taken.
        if let Ok(answer) = answer {
            assert_eq!(answer.status, 400, "{case:?}");
        }
    }
    // Both lengths: the chunks count, or nothing does.
    let both = format!("{head}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n0\r\n\r\n");
    let address = house.address;
    tokio::task::spawn_blocking(move || ask_and_close(address, both.as_bytes()).ok())
        .await
        .expect("no panic");
    works(&house).await;
    let records = house.records();
    assert!(records.iter().all(|r| r == "four" || r == "still here"), "{records:?}");
    house.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_peers_are_not_waited_for() {
    let options = HttpOptions { body_idle_s: 1, body_s: 2, ..HttpOptions::default() };
    let serve = ServeLimits { head: Duration::from_secs(1), ..ServeLimits::default() };
    let house = House::build(Build { options, serve, ..Build::default() }).await;
    let address = house.address;
    let asked = tokio::task::spawn_blocking(move || {
        let connect = || {
            let stream = TcpStream::connect(address).expect("a listener");
            stream.set_read_timeout(Some(LIMIT)).expect("a limit");
            stream
        };
        // A head that never ends.
        let mut head = connect();
        head.write_all(b"POST /ingest HTTP/1.1\r\nHost: x\r\n").expect("written");
        let mut rest = Vec::new();
        head.read_to_end(&mut rest).expect("ended");
        // A body that does not come.
        let mut body = connect();
        let begin = format!(
            "POST /ingest HTTP/1.1\r\nHost: x\r\n{EDGE}Connection: close\r\nContent-Length: 9\r\n\r\n"
        );
        body.write_all(begin.as_bytes()).expect("written");
        assert_eq!(read(&mut body).expect("an answer").status, 408);
        // A body that comes a byte at a time.
        let mut drip = connect();
        drip.write_all(begin.replace("Length: 9", "Length: 99999").as_bytes()).expect("written");
        let mut dripping = drip.try_clone().expect("a handle");
        let dropper = std::thread::spawn(move || {
            while dripping.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(200));
            }
        });
        assert_eq!(read(&mut drip).expect("an answer").status, 408);
        drop(drip);
        dropper.join().expect("no panic");
    });
    asked.await.expect("no panic");
    works(&house).await;
    let counts = house.end().await;
    assert_eq!((counts.received, counts.stored), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_wrong_tokens_are_counted_and_told_nothing() {
    let house = House::new().await;
    let address = house.address;
    let mut knocking = Vec::new();
    for thread in 0..4 {
        knocking.push(tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(address).expect("a listener");
            stream.set_read_timeout(Some(LIMIT)).expect("a limit");
            let mut seen = std::collections::BTreeSet::new();
            for n in 0..750 {
                let head = format!(
                    "POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                     Authorization: Bearer {thread}-{n}\r\nContent-Length: 2\r\n\r\n{{}}"
                );
                stream.write_all(head.as_bytes()).expect("written");
                let mut answer = Vec::new();
                let mut byte = [0];
                while !answer.ends_with(b"}") {
                    stream.read_exact(&mut byte).expect("an answer");
                    answer.extend_from_slice(&byte);
                }
                let text = String::from_utf8(answer).expect("text");
                let dated = |l: &&str| !l.to_ascii_lowercase().starts_with("date:");
                seen.insert(text.lines().filter(dated).collect::<Vec<_>>().join("\n"));
            }
            seen
        }));
    }
    let mut all = std::collections::BTreeSet::new();
    for knocked in knocking {
        all.extend(knocked.await.expect("no panic"));
    }
    assert_eq!(all.len(), 1, "each gets the same answer: {all:?}");
    assert!(all.first().is_some_and(|a| a.starts_with("HTTP/1.1 401")), "{all:?}");
    works(&house).await;
    let counts = house.end().await;
    assert_eq!((counts.turned_away, counts.received), (3_000, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_connections_than_allowed_wait_for_their_turn() {
    let serve = ServeLimits { connections: 2, ..ServeLimits::default() };
    let house = House::build(Build { serve, ..Build::default() }).await;
    let held: Vec<_> = (0..2).map(|_| TcpStream::connect(house.address).expect("a listener")).collect();
    let address = house.address;
    let third =
        tokio::task::spawn_blocking(move || ask(address, &request("POST", "/ingest", EDGE, b"third")));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(house.records().is_empty(), "it waits");
    drop(held);
    assert_eq!(third.await.expect("no panic").expect("an answer").status, 200);
    assert_eq!(house.end().await.stored, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_does_not_take_all_connections() {
    let serve = ServeLimits { connections_per_address: 2, ..ServeLimits::default() };
    let house = House::build(Build { serve, ..Build::default() }).await;
    let held: Vec<_> = (0..2).map(|_| TcpStream::connect(house.address).expect("a listener")).collect();
    let mut third = TcpStream::connect(house.address).expect("a listener");
    third.set_read_timeout(Some(LIMIT)).expect("a limit");
    let mut rest = Vec::new();
    assert_eq!(third.read_to_end(&mut rest).expect("closed"), 0);
    drop(held);
    // Given back once the door has seen that they are gone.
    let start = Instant::now();
    loop {
        let address = house.address;
        let asked =
            tokio::task::spawn_blocking(move || ask(address, &request("POST", "/ingest", EDGE, b"x")));
        if asked.await.expect("no panic").is_ok_and(|answer| answer.status == 200) {
            break;
        }
        assert!(start.elapsed() < LIMIT, "a seat comes back");
    }
    house.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_has_no_more_requests_at_one_time_than_it_may() {
    let limits = Limits { connections: 1, ..Limits::default() };
    let house = House::build(Build { limits, ..Build::default() }).await;
    let mut slow = TcpStream::connect(house.address).expect("a listener");
    let head = format!("POST /ingest HTTP/1.1\r\nHost: x\r\n{EDGE}Content-Length: 4\r\n\r\nsl");
    slow.write_all(head.as_bytes()).expect("written");
    let start = Instant::now();
    loop {
        let answer = house.post("/services/collector/raw", SPLUNK, b"second").await;
        if answer.status == 503 {
            assert_eq!(answer.body, r#"{"text":"Server is busy","code":9}"#);
            assert_eq!(answer.header("retry-after"), Some("5"));
            break;
        }
        assert!(start.elapsed() < LIMIT, "the first request is under way");
    }
    // Another source is not held up.
    let lab = house.post("/ingest", "Authorization: Bearer T-lab\r\n", b"other").await;
    assert_eq!(lab.status, 200);
    slow.write_all(b"ow").expect("written");
    house.until("the slow one", |h| h.records().contains(&"slow".to_owned())).await;
    house.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_share_a_bounded_memory() {
    let house = House::build(Build { memory: Memory::new(256 << 10), ..Build::default() }).await;
    let large = "x".repeat(1 << 20);
    let head = format!("POST /ingest HTTP/1.1\r\nHost: x\r\n{EDGE}Content-Length: {}\r\n\r\n", large.len());
    let mut slow = TcpStream::connect(house.address).expect("a listener");
    slow.write_all(head.as_bytes()).expect("written");
    slow.write_all(&large.as_bytes()[..1 << 19]).expect("written");
    let other = || house.post("/ingest", "Authorization: Bearer T-lab\r\n", &large.as_bytes()[..100 << 10]);
    let start = Instant::now();
    loop {
        let answer = other().await;
        if answer.status == 503 {
            assert_eq!(answer.header("retry-after"), Some("5"));
            break;
        }
        assert!(start.elapsed() < LIMIT, "the first body takes all memory");
    }
    // Larger than all of it, it passes, since it is alone; then it is given back.
    slow.write_all(&large.as_bytes()[1 << 19..]).expect("written");
    house.until("the large body", |h| h.records().contains(&large)).await;
    let start = Instant::now();
    while other().await.status != 200 {
        assert!(start.elapsed() < LIMIT, "the memory is given back");
    }
    house.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_hangs_up_has_its_records_stored_and_counted() {
    let behind = Some(Behind::Waits(Duration::from_millis(300)));
    let house = House::build(Build { behind, ..Build::default() }).await;
    for _ in 0..5 {
        let mut stream = TcpStream::connect(house.address).expect("a listener");
        stream.write_all(&request("POST", "/ingest", EDGE, b"one\ntwo")).expect("written");
        // Long enough to be read, too short for the answer.
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(stream);
    }
    house.until("ten records", |h| h.counts().stored == 10).await;
    let counts = house.end().await;
    assert_eq!((counts.received, counts.stored), (10, 10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_says_that_no_more_comes_is_answered() {
    let behind = Some(Behind::Waits(Duration::from_millis(300)));
    let house = House::build(Build { behind, ..Build::default() }).await;
    let address = house.address;
    let whole = request("POST", "/ingest", EDGE, b"one");
    let asked = tokio::task::spawn_blocking(move || ask_and_close(address, &whole));
    assert_eq!(asked.await.expect("no panic").expect("an answer").status, 200);
    assert_eq!(house.end().await.stored, 1);
}
