//! Syslog and RELP over TLS: certificates of both sides, and what happens when they change.

use crate::lab::{Authority, Daemon, Identity, LIMIT, Lab, run, self_signed, which};
use crate::syslog::{open, rsyslog};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

fn tls(server: &Identity, clients: &str) -> String {
    let (certificate, key) = (server.certificate.display(), server.key.display());
    format!(r#","tls":{{"certificate":"{certificate}","key":"{key}"{clients}}}"#)
}

fn authorities(pem: &Path, required: bool) -> String {
    format!(r#","clients":{{"authorities":"{}","required":{required}}}"#, pem.display())
}

/// Sends a message with openssl. Its exit tells nothing: with TLS 1.3 a client's write succeeds before the server has
/// looked at its certificate.
async fn s_client(address: SocketAddr, trust: &Path, shows: Option<&Identity>, message: &str) -> String {
    let (to, trust) = (address.to_string(), trust.display().to_string());
    let mut args =
        vec!["s_client", "-connect", &to, "-CAfile", &trust, "-verify_return_error", "-quiet", "-no_ign_eof"];
    let paths = shows.map(|i| (i.certificate.display().to_string(), i.key.display().to_string()));
    if let Some((certificate, key)) = &paths {
        args.extend(["-cert", certificate, "-key", key]);
    }
    let openssl = which("openssl", "openssl");
    let script = format!("{} {} || true", openssl.display(), args.join(" "));
    run("/bin/sh".into(), &["-c", &script], message.as_bytes()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_certificate_of_a_client_says_whose_messages_they_are() {
    let lab = Lab::new();
    let ours = Authority::new(lab.dir.path(), "ours");
    let theirs = Authority::new(lab.dir.path(), "theirs");
    let (server, vpn, other, stranger) =
        (ours.signs("server"), ours.signs("vpn"), ours.signs("other"), theirs.signs("stranger"));
    lab.doorman.knows(vpn.sum, "edge-vpn");
    let (address, door) = open(&lab, "tcp", &tls(&server, &authorities(&ours.pem, true))).await;

    s_client(address, &ours.pem, Some(&vpn), "<13>of the vpn\n").await;
    lab.records(1).await;
    assert_eq!((lab.got()[0].origin.as_str(), lab.texts()[0].as_str()), ("edge-vpn", "<13>of the vpn"));

    // No certificate; one of another authority; one that no source names.
    for shows in [None, Some(&stranger), Some(&other)] {
        let before = lab.totals().turned_away;
        s_client(address, &ours.pem, shows, "<13>of a stranger\n").await;
        lab.until("it is turned away", |lab| lab.totals().turned_away == before + 1).await;
    }
    // Plain text, and a peer that says nothing.
    let before = lab.totals().turned_away;
    let mut plain = TcpStream::connect(address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut plain, b"<13>plain text, no TLS at all\n").await.unwrap();
    lab.until("plain text is turned away", |lab| lab.totals().turned_away == before + 1).await;
    let mut silent = TcpStream::connect(address).await.unwrap();
    assert_eq!(timeout(LIMIT, silent.read(&mut [0; 1])).await.unwrap().unwrap_or(0), 0);
    let totals = lab.end(door).await;
    assert_eq!((totals.stored, totals.received), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_may_be_optional_or_known_by_their_sum_alone() {
    let lab = Lab::new();
    let ours = Authority::new(lab.dir.path(), "ours");
    let (server, vpn) = (ours.signs("server"), ours.signs("vpn"));
    lab.doorman.knows(vpn.sum, "edge-vpn");
    let more = format!("{}{}", r#","source":"anybody""#, tls(&server, &authorities(&ours.pem, false)));
    let (address, door) = open(&lab, "tcp", &more).await;
    s_client(address, &ours.pem, Some(&vpn), "<13>shown\n").await;
    s_client(address, &ours.pem, None, "<13>not shown\n").await;
    lab.records(2).await;
    let of = |text: &str| lab.got().into_iter().find(|g| g.record == text.as_bytes()).unwrap().origin;
    assert_eq!((of("<13>shown"), of("<13>not shown")), ("edge-vpn".into(), "anybody".into()));
    lab.end(door).await;

    let lab = lab.again();
    let (alone, unknown) = (self_signed(lab.dir.path(), "alone"), self_signed(lab.dir.path(), "unknown"));
    lab.doorman.knows(alone.sum, "printer");
    let (address, door) = open(&lab, "tcp", &tls(&server, r#","clients":{}"#)).await;
    s_client(address, &ours.pem, Some(&unknown), "<13>unknown\n").await;
    s_client(address, &ours.pem, None, "<13>none\n").await;
    lab.until("two are turned away", |lab| lab.totals().turned_away == 2).await;
    s_client(address, &ours.pem, Some(&alone), "<13>known\n").await;
    lab.records(1).await;
    assert_eq!(lab.got()[0].origin, "printer");
    lab.end(door).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewed_certificate_is_taken_without_a_restart() {
    let lab = Lab::new();
    let (old, new) = (Authority::new(lab.dir.path(), "old"), Authority::new(lab.dir.path(), "new"));
    let server = old.signs("server");
    let more = format!("{}{}", r#","source":"edge""#, tls(&server, ""));
    let (address, door) = open(&lab, "tcp", &more).await;
    s_client(address, &old.pem, None, "<13>before\n").await;
    lab.records(1).await;
    // Half of a renewal: the key that lies there does not go with the certificate. The old pair stays in use.
    let renewed = new.signs("renewed");
    std::fs::copy(&renewed.key, &server.key).unwrap();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    s_client(address, &old.pem, None, "<13>between\n").await;
    lab.records(2).await;
    std::fs::copy(&renewed.certificate, &server.certificate).unwrap();
    let start = std::time::Instant::now();
    while lab.count() < 3 {
        assert!(start.elapsed() < LIMIT, "the new certificate is never shown");
        s_client(address, &new.pem, None, "<13>after\n").await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    lab.end(door).await;
}

fn gnutls(lab: &Lab, address: SocketAddr, ours: &Authority, client: &Identity) -> Daemon {
    let (ca, cert, key) = (ours.pem.display(), client.certificate.display(), client.key.display());
    let action = format!(
        r#"action(type="omfwd" target="127.0.0.1" port="{}" protocol="tcp" TCP_Framing="octet-counted" template="whole"
        StreamDriver="gtls" StreamDriverMode="1" StreamDriverAuthMode="x509/certvalid"
        StreamDriver.CAFile="{ca}" StreamDriver.CertFile="{cert}" StreamDriver.KeyFile="{key}")"#,
        address.port()
    );
    rsyslog(lab, &action, "login of anna", 2_000)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rsyslog_over_mutual_tls() {
    which("../lib/x86_64-linux-gnu/rsyslog/lmnsd_gtls.so", "rsyslog-gnutls");
    let lab = Lab::new();
    let ours = Authority::new(lab.dir.path(), "ours");
    let (server, client) = (ours.signs("server"), ours.signs("client"));
    lab.doorman.knows(client.sum, "site");
    let (address, door) = open(&lab, "tcp", &tls(&server, &authorities(&ours.pem, true))).await;
    let sender = gnutls(&lab, address, &ours, &client);
    lab.records(2_000).await;
    drop(sender);
    assert!(lab.got().iter().all(|g| g.origin == "site"));
    let totals = lab.end(door).await;
    assert_eq!((totals.stored, totals.dead), (2_000, 0));
}
