//! Lumberjack: a real client (pylogbeat, which python-logstash-async uses), frames of our own, and hostile ones.

use crate::house::{Behind, Build, House, LIMIT};
use crate::shippers::{Certificates, python};
use portreeve_doors::{Limits, Refusal};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

fn window(records: u32) -> Vec<u8> {
    [b"2W", &records.to_be_bytes()[..]].concat()
}

fn json(sequence: u32, record: &str) -> Vec<u8> {
    let length = u32::try_from(record.len()).expect("short").to_be_bytes();
    [b"2J", &sequence.to_be_bytes()[..], &length, record.as_bytes()].concat()
}

fn packed(frames: &[u8]) -> Vec<u8> {
    let mut to = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    let packed = to.write_all(frames).and_then(|()| to.finish()).expect("memory");
    [b"2C", &u32::try_from(packed.len()).expect("short").to_be_bytes()[..], &packed].concat()
}

fn connect(house: &House) -> TcpStream {
    let stream = TcpStream::connect(house.address).expect("a listener");
    stream.set_read_timeout(Some(LIMIT)).expect("a limit");
    stream
}

/// The numbers of the answers, up to this one.
fn acks(stream: &mut TcpStream, last: u32) -> Vec<u32> {
    let mut seen = Vec::new();
    while seen.last() != Some(&last) {
        let mut frame = [0; 6];
        stream.read_exact(&mut frame).unwrap_or_else(|e| panic!("no answer for {last}: {e}; {seen:?}"));
        assert_eq!(&frame[..2], b"2A");
        seen.push(u32::from_be_bytes([frame[2], frame[3], frame[4], frame[5]]));
    }
    seen
}

/// What comes until the connection ends.
fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    // A reset is an end as well.
    stream.read_to_end(&mut rest).ok();
    rest
}

const CLIENT: &str = r#"
import sys
from pylogbeat import PyLogBeatClient
port, *tls = sys.argv[1:]
more = dict(ssl_enable=True, ssl_verify=True, ca_certs=tls[0], certfile=tls[1], keyfile=tls[2]) if tls else {}
client = PyLogBeatClient("127.0.0.1", int(port), timeout=40, **more)
for batch in range(5):
    client.send([{"@timestamp": "2026-03-03T10:00:00.000Z", "message": f"line {batch}/{n}"} for n in range(400)])
client.close()
print("acknowledged")
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_python_writes_windows() {
    let house = House::lumberjack(Build::default(), |_| {}).await;
    let said = python("pylogbeat", CLIENT, &[&house.address.port().to_string()]).await;
    assert_eq!(said, "acknowledged\n");
    let records = house.records();
    assert_eq!(records.len(), 2_000);
    assert_eq!(records[401], r#"{"@timestamp": "2026-03-03T10:00:00.000Z", "message": "line 1/1"}"#);
    assert_eq!(house.origins()[0], "edge");
    house.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_certificate_names_the_source() {
    let certificates = Certificates::new();
    let config = certificates.server();
    let build = Build { tls: Some(Arc::new(move || config.clone())), ..Build::default() };
    let house = House::lumberjack(build, |options| options.source = None).await;
    house.doorman.knows(certificates.client_sum, "beats");
    let port = house.address.port().to_string();
    let paths = ["ca.pem", "client.pem", "client.key"].map(|name| certificates.text(name));
    let [ca, client, key] = &paths;
    let said = python("pylogbeat", CLIENT, &[&port, ca, client, key]).await;
    assert_eq!((said.as_str(), house.origins()[0].as_str()), ("acknowledged\n", "beats"));
    // Without one, nobody is let in.
    let mut plain = connect(&house);
    plain.write_all(&[window(1), json(1, "{}")].concat()).ok();
    rest(&mut plain);
    assert_eq!(house.end().await.stored, 2_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_frames_and_answers() {
    let house = House::lumberjack(Build::default(), |_| {}).await;
    let mut peer = connect(&house);
    let mut say = |bytes: Vec<u8>, last: u32| {
        // In pieces, as a network has them.
        for piece in bytes.chunks(5) {
            peer.write_all(piece).expect("written");
        }
        acks(&mut peer, last)
    };
    assert_eq!(say([window(2), json(1, "{\"n\":1}"), json(2, "{\"n\":2}")].concat(), 2), [2]);
    // Packed; numbers that go on; and more than one frame in the window.
    let all =
        [window(3), packed(&[json(3, "{\"n\":3}"), json(4, "{\"n\":4}")].concat()), json(5, "{\"n\":5}")];
    assert_eq!(say(all.concat(), 5), [5]);
    let fields = b"2D\0\0\0\x01\0\0\0\x02\0\0\0\x04line\0\0\0\x06a \"b\"\n\0\0\0\x04host\0\0\0\x01h".to_vec();
    assert_eq!(say([window(1), fields].concat(), 1), [1]);
    // A window that is changed before it is full is answered as far as it came.
    assert_eq!(say([window(9), json(7, "{\"n\":7}"), window(1), json(8, "{\"n\":8}")].concat(), 8), [7, 8]);
    // Without a window each frame is answered.
    assert_eq!(say([json(9, "{\"n\":9}"), json(10, "{\"n\":10}")].concat(), 10), [9, 10]);
    let records = house.records();
    assert_eq!(records[5], r#"{"line":"a \"b\"\n","host":"h"}"#);
    assert_eq!(records.len(), 10);
    house.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_waits_is_told_that_it_is_not_forgotten() {
    let behind = Some(Behind::Waits(Duration::from_millis(2_500)));
    let house = House::lumberjack(Build { behind, ..Build::default() }, |_| {}).await;
    let mut peer = connect(&house);
    peer.write_all(&[window(1), json(7, "{}")].concat()).expect("written");
    let seen = acks(&mut peer, 7);
    assert!(seen.len() > 1 && seen[..seen.len() - 1].iter().all(|n| *n == 0), "{seen:?}");
    assert_eq!(house.end().await.stored, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_is_not_answered_and_comes_again() {
    let behind = Some(Behind::Refuses(Refusal::Disk("full".into())));
    let house = House::lumberjack(Build { behind, ..Build::default() }, |_| {}).await;
    let mut peer = connect(&house);
    peer.write_all(&[window(2), json(1, "{}"), json(2, "{}")].concat()).expect("written");
    assert_eq!(rest(&mut peer), b"", "no answer");
    let counts = house.end().await;
    assert_eq!((counts.received, counts.refused, counts.stored), (2, 2, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_frames_end_the_connection_and_nothing_else() {
    let limits =
        Limits { record_bytes: 1_000, request_bytes: 100_000, unpacked_bytes: 200_000, ..Limits::default() };
    let house = House::lumberjack(Build { limits, ..Build::default() }, |_| {}).await;
    let twice = packed(&packed(&json(1, "{}")));
    let bomb = packed(&vec![b'2'; 4 << 20]);
    let cut = json(1, "{}");
    let odd: [(&str, Vec<u8>); 10] = [
        ("version", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("version", b"1W\0\0\0\x01".to_vec()),
        ("kind", b"2Z\0\0\0\x01".to_vec()),
        ("larger", b"2J\0\0\0\x01\xff\xff\xff\xff".to_vec()),
        ("larger", b"2D\0\0\0\x01\xff\xff\xff\xff".to_vec()),
        ("larger", b"2C\xff\xff\xff\xff".to_vec()),
        ("larger", bomb),
        ("damaged", b"2C\0\0\0\x04\x78\x9cab".to_vec()),
        ("inside", twice),
        ("middle", packed(&cut[..cut.len() - 1])),
    ];
    for (_, bytes) in &odd {
        let mut peer = connect(&house);
        peer.write_all(&[window(1), bytes.clone()].concat()).ok();
        assert_eq!(rest(&mut peer), b"", "{bytes:?}");
    }
    house.until("dead letters", |h| h.dead().len() == odd.len()).await;
    for (letter, (word, _)) in house.dead().iter().zip(&odd) {
        assert!(letter.reason.contains(word), "{word}: {}", letter.reason);
    }
    // Half a frame and gone: nothing came.
    let mut peer = connect(&house);
    peer.write_all(&[window(2), json(1, "{}")].concat()).expect("written");
    peer.shutdown(Shutdown::Write).expect("half closed");
    assert_eq!(rest(&mut peer), b"");
    // A record that is too long is answered, or it would come for ever.
    let mut peer = connect(&house);
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(1_000));
    peer.write_all(&[window(2), json(1, &long), json(2, "{}")].concat()).expect("written");
    assert_eq!(acks(&mut peer, 2), [2]);
    drop(peer);
    let counts = house.end().await;
    assert_eq!((counts.stored, counts.dead), (1, odd.len() as u64 + 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_that_does_not_go_on_holds_nothing_up_and_ends_with_the_service() {
    let house = House::lumberjack(Build::default(), |_| {}).await;
    let mut stuck = connect(&house);
    stuck.write_all(b"2W\0\0\0\x01\x32J\0\0").expect("written");
    let mut peer = connect(&house);
    peer.write_all(&[window(1), json(1, "{}")].concat()).expect("written");
    assert_eq!(acks(&mut peer, 1), [1]);
    assert_eq!(house.end().await.stored, 1);
    assert_eq!(rest(&mut stuck), b"");
}
