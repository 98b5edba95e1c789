//! The same lake in a bucket. The store is moto, which is a stand-in: it proves our requests, not a product.

use crate::sample::{MONDAY, all_pages, block, key, naive, rows};
use portreeve_lake::object::{Bucket, BucketConfig, Objects};
use portreeve_lake::{Evidence, Fault, Lake, LakeOptions, Query};
use portreeve_model::EventTime;
use portreeve_model::time::DAY_US;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

struct Moto {
    child: Child,
    port: u16,
}

impl Drop for Moto {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn moto() -> Moto {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
    let child = Command::new("moto_server")
        .args(["-H", "127.0.0.1", "-p", &port.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|e| panic!("moto_server does not run ({e}); it is moto[server] from PyPI"));
    let moto = Moto { child, port };
    let until = Instant::now() + Duration::from_secs(120);
    loop {
        if let Some(answer) = request(port, "PUT /evidence HTTP/1.1") {
            assert!(answer.contains(" 200 "), "{answer}");
            return moto;
        }
        assert!(Instant::now() < until, "moto_server does not answer");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn request(port: u16, line: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
    // moto takes anybody who names a key.
    let auth = "Authorization: AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
    write!(
        stream,
        "{line}\r\nHost: 127.0.0.1:{port}\r\n{auth}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    (!answer.is_empty()).then_some(answer)
}

fn bucket(moto: &Moto) -> Arc<dyn Objects> {
    let config = BucketConfig {
        bucket: "evidence".into(),
        region: "us-east-1".into(),
        endpoint: Some(format!("http://127.0.0.1:{}", moto.port)),
        key_id: "k".into(),
        secret: "s".into(),
        prefix: "portreeve/lake".into(),
        allow_http: true,
        ..BucketConfig::default()
    };
    Arc::new(Bucket::new(&config).expect("a bucket"))
}

fn options(dir: &Path) -> LakeOptions {
    LakeOptions { group_rows: 64, ..LakeOptions::new(dir) }
}

#[test]
fn a_lake_in_a_bucket() {
    let moto = moto();
    let (here, there) =
        (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let store = bucket(&moto);
    let lake = Lake::open(store.clone(), options(here.path())).expect("a lake");
    let rows = rows(11, 400);
    for part in rows.chunks(120) {
        lake.push(block(part));
        lake.flush(part[part.len() - 1].seq).expect("flushed");
    }
    // Another process, of another machine, searches.
    let reader = Lake::read_only(store.clone(), options(there.path())).expect("a lake");
    assert!(matches!(reader.flush(9_999), Err(Fault::Manifest(_))));
    let query =
        Query { user: Some("anna".into()), text: Some("FAILED".into()), limit: 10, ..Query::default() };
    let expected = naive(&query, &rows);
    assert!(!expected.is_empty());
    let find = |lake: &Lake| all_pages(&query, |q| lake.search(q).expect("an answer"));
    assert_eq!(find(&lake), expected);
    assert_eq!(find(&reader), expected);
    let before = store.list("events").expect("a list").len();
    lake.compact(EventTime(MONDAY + 30 * DAY_US)).expect("merged");
    assert_eq!(store.list("events").expect("a list").len(), 3);
    assert!(before > 3);
    // What the reader knew is gone; it says so, and sees the rest when it looks again.
    let other = Query { host: Some("fw2".into()), ..Query::default() };
    let stale = reader.view().search(&other);
    assert!(matches!(stale, Err(Fault::NotFound(_))), "{stale:?}");
    assert_eq!(find(&reader), expected);
    let first = &expected[0];
    let evidence =
        Evidence { origin: first.origin.clone(), line: first.line, offset: first.offset, time: first.time };
    assert_eq!(reader.view().fetch(&[evidence]).expect("fetched"), [Some(first.raw.clone())]);
    // Of two writers the first one fails, and the second one loses nothing by what that does.
    let second = Lake::open(store.clone(), options(there.path())).expect("a lake");
    second.push(block(&rows[..5]));
    second.flush(1_000).expect("flushed");
    lake.push(block(&rows[..5]));
    assert!(matches!(lake.flush(1_001), Err(Fault::Conflict(_))));
    drop((lake, second));
    // Whatever that left behind is cleared away.
    let lake = Lake::open(store.clone(), options(here.path())).expect("a lake");
    assert_eq!(store.list("events").expect("a list").len(), lake.view().manifest().files.len());
    let all = all_pages(&Query { limit: 500, ..Query::default() }, |q| lake.search(q).expect("an answer"));
    assert_eq!(
        all.iter().map(key).collect::<Vec<_>>(),
        naive(&Query::default(), &rows).iter().map(key).collect::<Vec<_>>()
    );
}

#[test]
fn a_large_object_goes_up_in_parts() {
    let moto = moto();
    let dir = tempfile::tempdir().expect("a directory");
    let store = bucket(&moto);
    let bytes: Vec<u8> = (0..20_000_000u32).map(|n| (n ^ n >> 9) as u8).collect();
    let from = dir.path().join("large");
    std::fs::write(&from, &bytes).expect("written");
    store.put_file("events/large", &from).expect("put");
    assert!(!from.exists());
    let open = store.open("events/large", bytes.len() as u64).expect("open");
    assert_eq!(open.read(9_000_000..9_000_100).expect("read"), bytes[9_000_000..9_000_100]);
    assert!(store.get("events/large").expect("got") == bytes);
    assert!(store.create("x/1", b"a").expect("created") && !store.create("x/1", b"b").expect("refused"));
    store.delete("events/large").expect("deleted");
    store.delete("events/large").expect("deleted twice");
    assert!(matches!(store.get("events/large"), Err(Fault::NotFound(_))));
}
