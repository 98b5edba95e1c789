//! Syslog over UDP and TCP, and RELP, with the programs that speak them.

use crate::lab::{Daemon, LIMIT, Lab, run, which};
use portreeve_doors::DoorError;
use portreeve_doors::syslog::{Options, Syslog};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub(crate) type Running = JoinHandle<Result<(), DoorError>>;

/// A listener on a port of the kernel's choice; `more` are further options in JSON.
pub(crate) async fn open(lab: &Lab, transport: &str, more: &str) -> (SocketAddr, Running) {
    let text = format!(r#"{{"listen":"127.0.0.1:0","transport":"{transport}"{more}}}"#);
    let options: Options = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
    let door = Syslog::bind(options, lab.context.clone()).await.unwrap();
    (door.address(), tokio::spawn(door.run()))
}

const EDGE: &str = r#","source":"edge""#;

/// rsyslog as a sender: what is written to a file with its lines goes out by this action.
pub(crate) fn rsyslog(lab: &Lab, action: &str, input: &str, messages: usize) -> Daemon {
    let program = which("rsyslogd", "rsyslog");
    let work = lab.path("rsyslog");
    std::fs::create_dir_all(&work).unwrap();
    let lines: String = (0..messages).map(|n| format!("{input} {n}\n")).collect();
    std::fs::write(work.join("in.log"), lines).unwrap();
    let dir = work.display();
    let modules = if action.contains("omrelp") { r#"module(load="omrelp")"# } else { "" };
    let config = format!(
        r#"global(workDirectory="{dir}" maxMessageSize="64k")
module(load="imfile" mode="polling" PollingInterval="1")
{modules}
template(name="whole" type="string" string="<%PRI%>1 %TIMESTAMP:::date-rfc3339% host app - - - %msg%")
ruleset(name="out") {{ {action} }}
input(type="imfile" File="{dir}/in.log" Tag="app" ruleset="out")
"#
    );
    let path = work.join("rsyslog.conf");
    std::fs::write(&path, config).unwrap();
    let (config, pid) = (path.display().to_string(), work.join("pid").display().to_string());
    Daemon::spawn(&program, &["-n", "-f", &config, "-i", &pid], work.join("log"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logger_over_udp_and_tcp() {
    let lab = Lab::new();
    let logger = which("logger", "bsdutils");
    let (udp, udp_door) = open(&lab, "udp", EDGE).await;
    let (tcp, tcp_door) = open(&lab, "tcp", EDGE).await;
    let to = |a: SocketAddr| ["-n".to_owned(), a.ip().to_string(), "-P".to_owned(), a.port().to_string()];
    for (address, flags, text) in [
        (udp, vec!["-d", "--rfc5424"], "over udp"),
        (udp, vec!["-d", "--rfc3164"], "the old way"),
        (tcp, vec!["-T", "--rfc5424"], "over tcp"),
        (tcp, vec!["-T", "--rfc5424", "--octet-count"], "counted"),
    ] {
        let to = to(address);
        let args: Vec<&str> =
            to.iter().map(String::as_str).chain(flags).chain(["-t", "sshd", text]).collect();
        run(logger.clone(), &args, b"").await;
    }
    lab.records(4).await;
    let texts = lab.texts();
    for (text, begin) in
        [("over udp", "<13>1 "), ("the old way", "<13>"), ("over tcp", "<13>1 "), ("counted", "<13>1 ")]
    {
        assert!(texts.iter().any(|t| t.starts_with(begin) && t.ends_with(text)), "{text}: {texts:?}");
    }
    assert!(lab.got().iter().all(|g| g.origin == "edge" && g.place.is_none()));
    lab.context.shutdown.cancel();
    udp_door.await.unwrap().unwrap();
    assert_eq!(lab.end(tcp_door).await.stored, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rsyslog_over_tcp_in_both_framings() {
    for framing in ["traditional", "octet-counted"] {
        let lab = Lab::new();
        let (address, door) = open(&lab, "tcp", EDGE).await;
        let action = format!(
            r#"action(type="omfwd" target="127.0.0.1" port="{}" protocol="tcp" TCP_Framing="{framing}" template="whole")"#,
            address.port()
        );
        let sender = rsyslog(&lab, &action, "login of anna", 5_000);
        lab.records(5_000).await;
        drop(sender);
        let mut numbers: Vec<usize> =
            lab.texts().iter().map(|t| t.rsplit(' ').next().unwrap().parse().unwrap()).collect();
        assert!(numbers.is_sorted(), "one connection, one order");
        numbers.dedup();
        assert_eq!(numbers.len(), 5_000);
        let totals = lab.end(door).await;
        assert_eq!((totals.stored, totals.dead), (5_000, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rsyslog_over_udp() {
    let lab = Lab::new();
    let (address, door) = open(&lab, "udp", EDGE).await;
    let action = format!(
        r#"action(type="omfwd" target="127.0.0.1" port="{}" protocol="udp" template="whole")"#,
        address.port()
    );
    let _sender = rsyslog(&lab, &action, "login of anna", 50);
    lab.records(50).await;
    assert!(lab.texts()[0].starts_with("<"));
    lab.end(door).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rsyslog_over_relp_loses_nothing_when_the_service_restarts() {
    which("../lib/x86_64-linux-gnu/rsyslog/omrelp.so", "rsyslog-relp");
    let mut lab = Lab::new();
    let (address, door) = open(&lab, "relp", EDGE).await;
    let action = format!(
        r#"action(type="omrelp" target="127.0.0.1" port="{}" template="whole" queue.type="LinkedList" action.resumeRetryCount="-1" action.resumeInterval="1")"#,
        address.port()
    );
    lab.hold(true);
    let sender = rsyslog(&lab, &action, "login of anna", 3_000);
    // Some are on their way, and none is stored: none may be acknowledged.
    lab.until("a first batch", |lab| lab.totals().received > 0).await;
    lab.hold(false);
    lab.records(200).await;
    let before = lab.end(door).await;
    let seen = lab.texts();
    // The same port again, as a restart has it.
    lab = lab.again();
    let text = format!(r#"{{"listen":"{address}","transport":"relp","source":"edge"}}"#);
    let options: Options = serde_json::from_str(&text).unwrap();
    let door = Syslog::bind(options, lab.context.clone()).await.unwrap();
    let door = tokio::spawn(door.run());
    let missing = |lab: &Lab| -> Vec<usize> {
        let number = |t: &String| t.rsplit(' ').next().unwrap().parse::<usize>().unwrap();
        let there: BTreeSet<usize> = seen.iter().chain(&lab.texts()).map(number).collect();
        (0..3_000).filter(|n| !there.contains(n)).collect()
    };
    let start = Instant::now();
    while !missing(&lab).is_empty() {
        let (missing, sender) = (missing(&lab), sender.log());
        assert!(
            start.elapsed() < LIMIT,
            "{} and {} came; missing: {missing:?}; {sender}",
            seen.len(),
            lab.count()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let after = lab.end(door).await;
    // What was stored and answered does not come again; what was on its way at the end may, once.
    assert!(before.stored + after.stored <= 3_000 + 300, "{before:?} {after:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_the_address_of_the_peer() {
    let lab = Lab::new();
    let more =
        r#","sources":[{"net":"127.0.0.0/8","source":"branch"},{"net":"127.0.0.2/32","source":"vpn"}]"#;
    let (address, door) = open(&lab, "udp", more).await;
    for (from, text) in [("127.0.0.1:0", "of the branch"), ("127.0.0.2:0", "of the gateway")] {
        let socket = UdpSocket::bind(from).await.unwrap();
        socket.send_to(text.as_bytes(), address).await.unwrap();
    }
    lab.records(2).await;
    let of = |text: &str| lab.got().into_iter().find(|g| g.record == text.as_bytes()).map(|g| g.origin);
    assert_eq!(of("of the branch").as_deref(), Some("branch"));
    assert_eq!(of("of the gateway").as_deref(), Some("vpn"));
    lab.end(door).await;

    // Whose address no source has is turned away, and counted.
    let lab = Lab::new();
    let more = r#","sources":[{"net":"192.0.2.0/24","source":"branch"}]"#;
    let (address, door) = open(&lab, "udp", more).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(b"<13>x", address).await.unwrap();
    lab.until("one is turned away", |lab| lab.totals().turned_away == 1).await;
    let (tcp, tcp_door) = open(&lab, "tcp", more).await;
    let mut peer = TcpStream::connect(tcp).await.unwrap();
    assert_eq!(timeout(LIMIT, peer.read(&mut [0; 1])).await.unwrap().unwrap_or(0), 0);
    lab.context.shutdown.cancel();
    door.await.unwrap().unwrap();
    assert_eq!(lab.end(tcp_door).await.received, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_are_the_bytes_that_were_sent() {
    let lab = Lab::new();
    let (address, door) = open(&lab, "tcp", EDGE).await;
    let mut peer = TcpStream::connect(address).await.unwrap();
    let multi = b"<13>1 - - - - - - first\n\tsecond \xff\xfe\n\tthird";
    let mut stream = format!("{} ", multi.len()).into_bytes();
    stream.extend_from_slice(multi);
    stream.extend_from_slice(b"<13>a line\r\n<13>ended by NUL\0<13>no end");
    // Cut where it hurts, with the peer's own pauses.
    for piece in stream.chunks(7) {
        peer.write_all(piece).await.unwrap();
        tokio::task::yield_now().await;
    }
    peer.shutdown().await.unwrap();
    lab.records(4).await;
    let got: Vec<Vec<u8>> = lab.got().into_iter().map(|g| g.record).collect();
    assert_eq!(
        got,
        [multi.to_vec(), b"<13>a line".to_vec(), b"<13>ended by NUL".to_vec(), b"<13>no end".to_vec()]
    );
    lab.end(door).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_long_or_broken_becomes_a_dead_letter() {
    let lab = Lab::new();
    let (address, door) = open(&lab, "tcp", r#","source":"edge","limits":{"record_bytes":100000}"#).await;
    let mut peer = TcpStream::connect(address).await.unwrap();
    let long = "y".repeat(2 << 20);
    let stream =
        format!("<13>one\n<13>{long}\n<13>two\n{} <13>{long}<13>three\n20 <13>cut off", 4 + long.len());
    peer.write_all(stream.as_bytes()).await.unwrap();
    drop(peer);
    lab.until("three and three", |lab| lab.count() == 3 && lab.dead().len() == 3).await;
    assert_eq!(lab.texts(), ["<13>one", "<13>two", "<13>three"]);
    let dead = lab.dead();
    let reasons: Vec<_> = dead.iter().map(|d| d.reason.as_str()).collect();
    assert!(
        reasons[0].contains("longer than 100000 bytes") && reasons[1].contains("longer than"),
        "{reasons:?}"
    );
    assert!(reasons[2].contains("in the middle"), "{reasons:?}");
    assert!(dead.iter().all(|d| d.bytes.len() <= 64 << 10 && d.origin.name() == "edge"));

    // A count that cannot be: nobody can say where the next message begins.
    let mut peer = TcpStream::connect(address).await.unwrap();
    peer.write_all(b"<13>four\n999999999 <13>x").await.unwrap();
    assert_eq!(timeout(LIMIT, peer.read(&mut [0; 1])).await.unwrap().unwrap_or(0), 0);
    lab.until("four and four", |lab| lab.count() == 4 && lab.dead().len() == 4).await;

    // A datagram as long as they come.
    let (udp, udp_door) = open(&lab, "udp", r#","source":"edge","limits":{"record_bytes":1000}"#).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to("z".repeat(60_000).as_bytes(), udp).await.unwrap();
    lab.until("five dead letters", |lab| lab.dead().len() == 5).await;
    lab.context.shutdown.cancel();
    udp_door.await.unwrap().unwrap();
    let totals = lab.end(door).await;
    assert_eq!((totals.received, totals.stored, totals.dead), (9, 4, 5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_holds_the_sender_back_and_loses_nothing() {
    let lab = Lab::with(2);
    let (address, door) = open(&lab, "tcp", EDGE).await;
    lab.hold(true);
    let line = format!("<13>{}\n", "x".repeat(995));
    let peer = tokio::spawn(async move {
        let mut peer = TcpStream::connect(address).await.unwrap();
        let mut written = 0;
        // 40 MB: far more than buffers of ours and of the kernel hold.
        let block = line.repeat(1_000);
        for _ in 0..40 {
            match timeout(Duration::from_secs(2), peer.write_all(block.as_bytes())).await {
                Ok(result) => result.unwrap(),
                Err(_) => return (peer, written, block),
            }
            written += 1;
        }
        (peer, written, block)
    });
    let (mut peer, written, block) = timeout(LIMIT, peer).await.unwrap().unwrap();
    assert!(written < 40, "the sender was never held back");
    // The disk is full for a while, and then is not.
    lab.fill_disk(true);
    lab.hold(false);
    lab.until("the door says so", |lab| lab.trouble().iter().any(|t| t.contains("no space left"))).await;
    lab.fill_disk(false);
    // A write that was cut off left part of a block: what stands at its place is unknown, so begin a new line.
    peer.write_all(b"\n").await.unwrap();
    peer.write_all(block.as_bytes()).await.unwrap();
    peer.write_all(b"<13>the last\n").await.unwrap();
    lab.until("the last", |lab| lab.texts().last().is_some_and(|t| t == "<13>the last")).await;
    let whole = lab.texts().iter().filter(|t| t.len() == 999).count();
    assert!(whole >= (written + 1) * 1_000, "{whole} of {written} blocks");
    assert!(lab.trouble().is_empty());
    let totals = lab.end(door).await;
    assert_eq!((totals.dead, totals.refused), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_connections_and_a_limit() {
    let lab = Lab::new();
    let more = r#","source":"edge","limits":{"connections":300},"connections_per_address":250"#;
    let (address, door) = open(&lab, "tcp", more).await;
    let mut peers = Vec::new();
    for _ in 0..1_000 {
        peers.push(TcpStream::connect(address).await.unwrap());
    }
    lab.until("750 are turned away", |lab| lab.totals().turned_away == 750).await;
    // Those who hold a seat are served, all of them; some send a beginning and then nothing.
    let mut served = 0;
    for (n, peer) in peers.iter_mut().enumerate() {
        let line = if n % 2 == 0 { format!("<13>{n}\n") } else { "40 <13>".to_owned() };
        served += usize::from(peer.write_all(line.as_bytes()).await.is_ok());
    }
    lab.records(125).await;
    assert!(served >= 250);
    // A seat that is given back is free for the next.
    drop(peers);
    lab.until("seats come back", |lab| lab.dead().len() == 125).await;
    let mut late = TcpStream::connect(address).await.unwrap();
    late.write_all(b"<13>late\n").await.unwrap();
    lab.until("the late one", |lab| lab.texts().last().is_some_and(|t| t == "<13>late")).await;
    let totals = lab.end(door).await;
    assert_eq!((totals.stored, totals.dead), (126, 125));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_records_come_in_few_batches() {
    let lab = Lab::new();
    let (address, door) = open(&lab, "tcp", EDGE).await;
    let mut peer = TcpStream::connect(address).await.unwrap();
    let lines: String = (0..50_000).map(|n| format!("<13>login of user{n} from 192.0.2.1\n")).collect();
    peer.write_all(lines.as_bytes()).await.unwrap();
    lab.records(50_000).await;
    let (batches, largest) = lab.batches();
    assert!(batches < 500 && largest >= 1_000, "{batches} batches, the largest of {largest}");
    lab.end(door).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_kernel_drops_is_counted() {
    let lab = Lab::with(1);
    let (address, door) = open(&lab, "udp", r#","source":"edge","receive_buffer":4096"#).await;
    lab.hold(true);
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let text = "x".repeat(1_000);
    let mut sent = 0u64;
    // Until the intake and the kernel are both full.
    lab.until("the kernel drops some", |lab| {
        for _ in 0..200 {
            sent += u64::from(socket.try_send_to(text.as_bytes(), address).is_ok());
        }
        lab.totals().lost > 0
    })
    .await;
    lab.hold(false);
    let totals = lab.end(door).await;
    assert!(totals.stored + totals.lost <= sent && totals.stored > 0, "{totals:?} of {sent}");
}
