//! A real nats-server: what is published is stored once, whatever happens in between.

use crate::lab::{Authority, Daemon, LIMIT, Lab, which};
use async_nats::jetstream;
use portreeve_doors::DoorError;
use portreeve_doors::nats::{self, Options};
use std::time::Duration;
use tokio::task::JoinHandle;

struct Server {
    url: String,
    args: Vec<String>,
    daemon: Option<Daemon>,
    log: std::path::PathBuf,
}

impl Server {
    async fn start(lab: &Lab, config: &str) -> Server {
        let port = crate::lab::port();
        let path = lab.path("nats.conf");
        let text = format!(
            "listen: 127.0.0.1:{port}\njetstream {{ store_dir: \"{}\" }}\n{config}\n",
            lab.path("js").display()
        );
        std::fs::write(&path, text).unwrap();
        let args = vec!["-c".to_owned(), path.display().to_string()];
        let url = format!("nats://127.0.0.1:{port}");
        let mut server = Server { url, args, daemon: None, log: lab.path("nats.log") };
        server.up().await;
        server
    }

    async fn up(&mut self) {
        let program = which("nats-server", "nats-server");
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        let daemon = Daemon::spawn(&program, &args, self.log.clone());
        daemon.says("Server is ready").await;
        self.daemon = Some(daemon);
    }

    fn down(&mut self) {
        self.daemon = None;
    }

    async fn stream(&self) -> (async_nats::Client, jetstream::Context) {
        let client = async_nats::connect(&self.url).await.unwrap();
        let jetstream = jetstream::new(client.clone());
        let config = jetstream::stream::Config {
            name: "LOGS".into(),
            subjects: vec!["logs.>".into()],
            ..Default::default()
        };
        jetstream.get_or_create_stream(config).await.unwrap();
        (client, jetstream)
    }
}

fn open(lab: &Lab, url: &str, more: &str) -> JoinHandle<Result<(), DoorError>> {
    let text = format!(r#"{{"source":"bus","servers":["{url}"],"stream":"LOGS"{more}}}"#);
    let options: Options = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
    tokio::spawn(nats::run(options, lab.context.clone()))
}

async fn publish(jetstream: &jetstream::Context, subject: &'static str, range: std::ops::Range<u32>) {
    let mut acks = Vec::new();
    for n in range {
        acks.push(jetstream.publish(subject, format!("login {n}").into()).await.unwrap());
        // As many as the server takes at once.
        if acks.len() == 500 {
            for ack in acks.drain(..) {
                ack.await.unwrap();
            }
        }
    }
    for ack in acks {
        ack.await.unwrap();
    }
}

async fn pending(jetstream: &jetstream::Context) -> (u64, usize) {
    let mut consumer: jetstream::consumer::PullConsumer =
        jetstream.get_stream("LOGS").await.unwrap().get_consumer("portreeve").await.unwrap();
    let info = consumer.info().await.unwrap();
    (info.num_pending, info.num_ack_pending)
}

/// Waits until the server knows of every acknowledgement.
async fn all_acknowledged(jetstream: &jetstream::Context) {
    let start = std::time::Instant::now();
    while pending(jetstream).await != (0, 0) {
        assert!(start.elapsed() < LIMIT, "{:?} are left", pending(jetstream).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_acknowledged_when_they_are_stored() {
    let mut lab = Lab::new();
    let server = Server::start(&lab, "").await;
    let (_client, jetstream) = server.stream().await;
    publish(&jetstream, "logs.vpn", 0..10_000).await;
    lab.hold(true);
    let door = open(&lab, &server.url, "");
    lab.until("some are handed over", |lab| lab.totals().received > 0).await;
    let (pending_before, on_their_way) = pending(&jetstream).await;
    assert_eq!(pending_before + on_their_way as u64, 10_000, "none is acknowledged before it is stored");
    lab.hold(false);
    lab.records(10_000).await;
    all_acknowledged(&jetstream).await;
    assert_eq!((lab.texts()[0].as_str(), lab.texts()[9_999].as_str()), ("login 0", "login 9999"));
    assert_eq!(lab.got()[0].origin, "bus");
    let totals = lab.end(door).await;
    assert_eq!((totals.stored, totals.dead), (10_000, 0));
    // The consumer is durable: what came while the service was away, and nothing else.
    publish(&jetstream, "logs.vpn", 10_000..10_010).await;
    lab = lab.again();
    let door = open(&lab, &server.url, "");
    lab.records(10).await;
    assert_eq!(lab.texts()[0], "login 10000");
    lab.end(door).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_batch_comes_again_after_a_restart() {
    let mut lab = Lab::new();
    let server = Server::start(&lab, "").await;
    let (_client, jetstream) = server.stream().await;
    publish(&jetstream, "logs.vpn", 0..100).await;
    lab.fill_disk(true);
    let door = open(&lab, &server.url, "");
    lab.until("the disk is full", |lab| lab.trouble().iter().any(|t| t.contains("no space"))).await;
    let totals = lab.end(door).await;
    assert_eq!((totals.received, totals.refused), (100, 100));
    lab = lab.again();
    let door = open(&lab, &server.url, "");
    lab.records(100).await;
    all_acknowledged(&jetstream).await;
    lab.end(door).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_goes_and_comes_back() {
    let lab = Lab::new();
    let mut server = Server::start(&lab, "").await;
    let door = open(&lab, &server.url, "");
    lab.until("the stream is missing", |lab| lab.trouble().iter().any(|t| t.contains("must be made first")))
        .await;
    let (client, jetstream) = server.stream().await;
    publish(&jetstream, "logs.vpn", 0..100).await;
    lab.records(100).await;
    server.down();
    server.up().await;
    drop((client, jetstream));
    let (_client, jetstream) = server.stream().await;
    publish(&jetstream, "logs.vpn", 100..200).await;
    lab.until("the others", |lab| lab.texts().last().is_some_and(|t| t == "login 199")).await;
    all_acknowledged(&jetstream).await;
    lab.end(door).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_subjects_and_what_is_too_long() {
    let lab = Lab::new();
    let server = Server::start(&lab, "").await;
    let (_client, jetstream) = server.stream().await;
    let long = "x".repeat(2_000);
    for (subject, payload) in [
        ("logs.vpn", "one\r\ntwo\n\nthree"),
        ("logs.mail", "left out"),
        ("logs.vpn", ""),
        ("logs.vpn", long.as_str()),
        ("logs.vpn", "four\n"),
    ] {
        jetstream.publish(subject, payload.to_owned().into()).await.unwrap().await.unwrap();
    }
    let door =
        open(&lab, &server.url, r#","subject":"logs.vpn","lines":true,"limits":{"record_bytes":1000}"#);
    lab.records(4).await;
    lab.until("a dead letter", |lab| lab.dead().len() == 1).await;
    assert_eq!(lab.texts(), ["one", "two", "three", "four"]);
    all_acknowledged(&jetstream).await;
    lab.end(door).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_and_tls() {
    let lab = Lab::new();
    let ours = Authority::new(lab.dir.path(), "ours");
    let (cert, client) = (ours.signs("server"), ours.signs("client"));
    let config = format!(
        "tls {{ cert_file: \"{}\", key_file: \"{}\", ca_file: \"{}\", verify: true }}\nauthorization {{ user: door, password: \"s3cret\" }}",
        cert.certificate.display(),
        cert.key.display(),
        ours.pem.display()
    );
    let server = Server::start(&lab, &config).await;
    let path = lab.path("password");
    std::fs::write(&path, "s3cret\n").unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let connect = async_nats::ConnectOptions::new()
        .user_and_password("door".into(), "s3cret".into())
        .add_root_certificates(ours.pem.clone())
        .add_client_certificate(client.certificate.clone(), client.key.clone());
    let jetstream = jetstream::new(connect.connect(&server.url).await.unwrap());
    let stream = jetstream::stream::Config {
        name: "LOGS".into(),
        subjects: vec!["logs.>".into()],
        ..Default::default()
    };
    jetstream.create_stream(stream).await.unwrap();
    publish(&jetstream, "logs.vpn", 0..10).await;
    let login =
        format!(r#","login":{{"password":{{"user":"door","password":{{"file":"{}"}}}}}}"#, path.display());
    // Without the authority, the server is not believed.
    let door = open(&lab, &server.url, &format!(r#"{login},"tls":{{}}"#));
    lab.until("it says so", |lab| !lab.trouble().is_empty()).await;
    lab.end(door).await;
    let lab = lab.again();
    let tls = format!(
        r#","tls":{{"authorities":"{}","identity":{{"certificate":"{}","key":"{}"}}}}"#,
        ours.pem.display(),
        client.certificate.display(),
        client.key.display()
    );
    let door = open(&lab, &server.url, &format!("{login}{tls}"));
    lab.records(10).await;
    lab.end(door).await;
}
