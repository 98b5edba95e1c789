//! What stands before the service, as the packaged examples have it: what comes through is known by its own address, and a
//! record is stored.

use super::operate::{blocking, source};
use super::site::{acme, config, start, until};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::Ordering;

fn program(name: &str, package: &str, arguments: &[&str]) -> Output {
    let done = Command::new(name).args(arguments).output();
    done.unwrap_or_else(|e| panic!("{name}: {e}; the Debian package {package} has it"))
}

/// A program that ends with the test.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // Its workers end with it; killed, it would leave them.
        let pid = self.0.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().ok();
        self.0.wait().ok();
    }
}

/// Where a proxy of the test is.
struct Place<'a> {
    dir: &'a Path,
    /// It listens here,
    free: SocketAddr,
    /// and hands on to there.
    upstream: &'a str,
}

impl Place<'_> {
    fn at(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.at("proxy.log")).unwrap_or_default()
    }
}

fn certificate(place: &Place<'_>) {
    let made = program(
        "openssl",
        "openssl",
        &[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=portreeve.example.org",
            "-addext",
            "subjectAltName=DNS:portreeve.example.org",
            "-keyout",
            &place.at("key.pem"),
            "-out",
            &place.at("fullchain.pem"),
        ],
    );
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

fn nginx(place: &Place<'_>) -> Ended {
    let server = include_str!("../../../../packaging/proxy/nginx.conf")
        .replace("listen 443 ssl", &format!("listen {} ssl", place.free))
        .replace("/etc/portreeve/tls", &place.dir.display().to_string())
        .replace("127.0.0.1:8433", place.upstream);
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|t| format!("{t}_temp_path {};\n", place.at(t)))
        .collect();
    let (pid, log) = (place.at("pid"), place.at("proxy.log"));
    let whole = format!(
        "daemon off;\npid {pid};\nerror_log {log} info;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}{server}}}\n"
    );
    std::fs::write(place.at("nginx.conf"), whole).expect("written");
    let child = Command::new("nginx").args(["-c", &place.at("nginx.conf"), "-e", &log]).spawn();
    Ended(child.unwrap_or_else(|e| panic!("nginx: {e}; the Debian package nginx-light has it")))
}

fn caddy(place: &Place<'_>) -> Ended {
    let dir = place.dir.display();
    // Without a network there is nobody to give it a certificate.
    let site = format!(
        "portreeve.example.org:{} {{\n\ttls {dir}/fullchain.pem {dir}/key.pem\n\tbind 127.0.0.1\n",
        place.free.port()
    );
    let server = include_str!("../../../../packaging/proxy/Caddyfile")
        .replace("portreeve.example.org {\n", &site)
        .replace("127.0.0.1:8433", place.upstream);
    let whole = format!("{{\n\tadmin off\n\tauto_https disable_redirects\n}}\n{server}");
    std::fs::write(place.at("Caddyfile"), whole).expect("written");
    let log = std::fs::File::create(place.at("proxy.log")).expect("a file");
    let child = Command::new("caddy")
        .args(["run", "--adapter", "caddyfile", "--config", &place.at("Caddyfile")])
        .env("HOME", place.dir)
        .env("XDG_DATA_HOME", place.dir)
        .env("XDG_CONFIG_HOME", place.dir)
        .stderr(log)
        .spawn();
    Ended(child.unwrap_or_else(|e| panic!("caddy: {e}; the Debian package caddy has it")))
}

async fn behind(begun: fn(&Place<'_>) -> Ended) {
    let dir = tempfile::tempdir().expect("a folder");
    let mut with = config(&acme().join("context"), &source("edge", "secret"));
    with.web.trusted_proxies = vec!["127.0.0.1/32".parse().expect("a network")];
    with.web.public_url = Some("https://portreeve.example.org".to_owned());
    let service = start(&dir.path().join("data"), with).await;
    let (app, upstream) = (service.app.clone(), service.address().to_string());
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its number");
    let place = Place { dir: dir.path(), free, upstream: &upstream };
    certificate(&place);
    let proxy = begun(&place);
    until("the proxy listens", || std::net::TcpStream::connect(free).is_ok()).await;
    let curl = move |path: &str, more: &[&str]| {
        let resolve = format!("portreeve.example.org:{}:127.0.0.1", free.port());
        let url = format!("https://portreeve.example.org:{}{path}", free.port());
        let mut all = vec!["-k", "-s", "-m", "60", "-w", "\n%{http_code}", "--resolve", &resolve];
        all.extend_from_slice(more);
        all.push(&url);
        String::from_utf8_lossy(&program("curl", "curl", &all).stdout).into_owned()
    };
    let (well, stored, refused) = blocking(move || {
        let record = ["-H", "Content-Type: application/x-ndjson", "--data-binary", "{}\n"];
        let login =
            ["-H", "Content-Type: application/json", "-d", "{\"name\":\"lena\",\"password\":\"wrong\"}"];
        (
            curl("/healthz", &[]),
            curl("/ingest", &[&["-H", "Authorization: Bearer secret"], &record[..]].concat()),
            curl("/api/v1/session", &[&["-H", "X-Forwarded-For: 203.0.113.66"], &login[..]].concat()),
        )
    })
    .await;
    assert_eq!(well, "ok\n\n200", "{}", place.log());
    assert!(stored.ends_with("\n200"), "{stored} {}", place.log());
    assert!(refused.ends_with("\n401"), "{refused} {}", place.log());
    drop(proxy);
    app.store.flush_audit().expect("written");
    let query =
        portreeve_store::audit::Query { actor: None, object: None, from: None, to: None, before: None };
    let all = app.store.read(|tx| portreeve_store::audit::list(tx, &query, 100)).expect("the store");
    let addresses: Vec<String> = all.into_iter().map(|e| e.entry.address).collect();
    assert_eq!(addresses, ["127.0.0.1"], "what the client says of itself is not believed");
    assert_eq!(app.progress.kept.load(Ordering::Relaxed), 1);
    service.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_nginx_as_the_example_has_it() {
    behind(nginx).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_caddy_as_the_example_has_it() {
    behind(caddy).await;
}
