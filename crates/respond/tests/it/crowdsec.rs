//! CrowdSec's local API and its bouncer for nftables, as Debian packages them, run from where they were unpacked.

use crate::lab::{self, Daemon, Netns};
use crate::stub::{Failure, Reply, Request, Stub};
use portreeve_respond::act::Act;
use portreeve_respond::connector::{Control, Effect, Known, Order};
use portreeve_respond::connectors::crowdsec::CONNECTOR;
use portreeve_respond::fault::Fault;
use portreeve_respond::target::Target;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(15);

/// Where the programs are: installed, or unpacked from their packages (the package itself configures itself by a
/// service in the network, which a test machine does not reach).
fn programs() -> Option<PathBuf> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _held = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let found =
        |dir: &Path| ["crowdsec", "cscli", "crowdsec-firewall-bouncer"].iter().all(|p| dir.join(p).is_file());
    if found(Path::new("/usr/bin")) {
        return Some("/usr/bin".into());
    }
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("crowdsec");
    if !found(&dir.join("usr/bin")) && lab::can(&["apt-get", "dpkg"], false) {
        let fresh = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        for package in ["crowdsec", "crowdsec-firewall-bouncer"] {
            let fetched = std::process::Command::new("apt-get")
                .args(["-q", "download", package])
                .current_dir(fresh.path())
                .output();
            if !fetched.is_ok_and(|o| o.status.success()) {
                break;
            }
        }
        let into = fresh.path().join("root");
        for entry in std::fs::read_dir(fresh.path()).unwrap().flatten() {
            if entry.path().extension().is_some_and(|e| e == "deb") {
                lab::run("dpkg", &["-x", entry.path().to_str().unwrap(), into.to_str().unwrap()]);
            }
        }
        if into.is_dir() {
            let _old = std::fs::remove_dir_all(&dir);
            std::fs::rename(&into, &dir).unwrap();
        }
    }
    if found(&dir.join("usr/bin")) {
        return Some(dir.join("usr/bin"));
    }
    assert!(std::env::var_os("CI").is_none(), "CI can neither find nor unpack crowdsec");
    eprintln!("NOT SHOWN: this test needs crowdsec and crowdsec-firewall-bouncer");
    None
}

struct Lapi {
    dir: tempfile::TempDir,
    port: u16,
    key: PathBuf,
    bouncer_key: String,
    bin: PathBuf,
    _lapi: Daemon,
}

impl Lapi {
    fn start(bin: PathBuf) -> Lapi {
        let dir = tempfile::tempdir().unwrap();
        let (d, port) = (dir.path().display(), lab::port());
        for sub in ["data", "hub", "plugins", "notifications"] {
            std::fs::create_dir(dir.path().join(sub)).unwrap();
        }
        let config = format!(
            "common:\n  daemonize: false\n  log_media: stdout\n  log_level: info\nconfig_paths:\n  config_dir: {d}\n  \
             data_dir: {d}/data\n  simulation_path: {d}/simulation.yaml\n  hub_dir: {d}/hub\n  \
             index_path: {d}/hub/.index.json\n  notification_dir: {d}/notifications\n  plugin_dir: {d}/plugins\n\
             crowdsec_service:\n  enable: false\n  acquisition_path: {d}/acquis.yaml\ndb_config:\n  type: sqlite\n  \
             db_path: {d}/data/crowdsec.db\napi:\n  client:\n    credentials_path: {d}/client.yaml\n  server:\n    \
             listen_uri: 127.0.0.1:{port}\n    profiles_path: {d}/profiles.yaml\nprometheus:\n  enabled: false\n"
        );
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write("config.yaml", &config);
        write("hub/.index.json", "{}");
        write("simulation.yaml", "simulation: off\n");
        write("acquis.yaml", "");
        write("client.yaml", "");
        write(
            "profiles.yaml",
            "name: none\nfilters:\n - \"false\"\ndecisions:\n - type: ban\n   duration: 1h\n",
        );
        let path = dir.path().join("config.yaml");
        let path = path.to_str().unwrap();
        let cscli = |args: &[&str]| {
            let mut all = vec!["-c", path];
            all.extend(args);
            let out = std::process::Command::new(bin.join("cscli")).args(&all).output().unwrap();
            assert!(out.status.success(), "{all:?}: {}", lab::text(&out.stderr));
            lab::text(&out.stdout)
        };
        let made = dir.path().join("client.yaml");
        cscli(&["machines", "add", "portreeve", "--password", "pass word\"<", "-f", made.to_str().unwrap()]);
        let bouncer_key = cscli(&["bouncers", "add", "reader", "-o", "raw"]).trim().to_owned();
        let key = lab::secret_file(dir.path(), "read", &bouncer_key);
        let program = bin.join("crowdsec");
        let lapi = Daemon::spawn(
            program.to_str().unwrap(),
            &["-c", path, "-no-cs", "-no-capi"],
            &dir.path().join("crowdsec.log"),
        );
        lapi.says("Local API listening", LIMIT);
        assert!(lab::until(LIMIT, || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()));
        Lapi { dir, port, key, bouncer_key, bin, _lapi: lapi }
    }

    fn open(&self, password: &str) -> Box<dyn Control> {
        let password = lab::secret_file(self.dir.path(), "password", password);
        let url = format!("http://127.0.0.1:{}", self.port);
        lab::open(
            &CONNECTOR,
            serde_json::json!({"endpoint": {"url": url}, "machine": "portreeve"}),
            &[("default", &password), ("read", &self.key)],
        )
    }

    fn cscli(&self, args: &[&str]) -> String {
        let config = self.dir.path().join("config.yaml");
        let out = std::process::Command::new(self.bin.join("cscli"))
            .arg("-c")
            .arg(config)
            .args(args)
            .output()
            .unwrap();
        lab::text(&out.stdout)
    }
}

/// Carries TCP from a namespace to our loopback through a socket in the file system, which all namespaces share.
const RELAY: &str = r#"
import socket, sys, threading
def end(word):
    kind, _, where = word.partition(":")
    if kind == "unix":
        return socket.AF_UNIX, where
    return socket.AF_INET, ("127.0.0.1", int(where))
family, where = end(sys.argv[1])
server = socket.socket(family)
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(where); server.listen(); print("up", flush=True)
def pump(a, b):
    try:
        while (d := a.recv(65536)): b.sendall(d)
    except OSError: pass
    for s in (a, b):
        try: s.shutdown(socket.SHUT_RDWR)
        except OSError: pass
while True:
    a, _ = server.accept()
    family, where = end(sys.argv[2])
    b = socket.socket(family); b.connect(where)
    for pair in ((a, b), (b, a)): threading.Thread(target=pump, args=pair, daemon=True).start()
"#;

fn block(what: &str) -> Order {
    lab::order(Act::BlockAddress, Target::address(what.parse().unwrap()))
}

#[test]
fn a_ban_shuts_the_attacker_out_through_a_bouncer_until_it_is_undone() {
    if !lab::can(&["ip", "nft", "ping", "python3", "curl"], true) {
        return;
    }
    let Some(bin) = programs() else { return };
    let lapi = Lapi::start(bin);
    let (gw, attacker) = (Netns::new("gw"), Netns::new("at"));
    Netns::cable(&gw, "10.99.3.1/24", &attacker, "10.99.3.2/24");
    let d = lapi.dir.path();
    let unix = format!("unix:{}", d.join("relay").display());
    let outer =
        Daemon::spawn("python3", &["-c", RELAY, &unix, &format!("tcp:{}", lapi.port)], &d.join("outer"));
    outer.says("up", LIMIT);
    let inner = gw.spawn(&["python3", "-c", RELAY, "tcp:8080", &unix], &d.join("inner"));
    inner.says("up", LIMIT);
    let config = d.join("bouncer.yaml");
    std::fs::write(
        &config,
        format!(
            "mode: nftables\npid_dir: {}\nupdate_frequency: 1s\ndaemonize: false\nlog_mode: stdout\nlog_level: info\n\
             api_url: http://127.0.0.1:8080/\napi_key: {}\ndisable_ipv6: false\ndeny_action: DROP\ndeny_log: false\n\
             supported_decisions_types:\n  - ban\nblacklists_ipv4: blocked\nblacklists_ipv6: blocked6\nnftables:\n  \
             ipv4:\n    enabled: true\n    set-only: false\n    table: crowdsec\n    chain: in\n  ipv6:\n    \
             enabled: true\n    set-only: false\n    table: crowdsec6\n    chain: in6\nprometheus:\n  enabled: false\n",
            d.display(),
            lapi.bouncer_key
        ),
    )
    .unwrap();
    let program = lapi.bin.join("crowdsec-firewall-bouncer");
    let bouncer =
        gw.spawn(&[program.to_str().unwrap(), "-c", config.to_str().unwrap()], &d.join("bouncer.log"));
    assert!(
        lab::until(LIMIT, || lab::text(&gw.output(&["nft", "list", "tables"]).stdout).contains("crowdsec")),
        "{} {} {}",
        bouncer.output(),
        inner.output(),
        outer.output()
    );
    assert!(attacker.pings("10.99.3.1"));

    let mut control = lapi.open("pass word\"<");
    assert!(control.doctor().iter().all(|a| a.able == Some(true)), "{:?}", control.doctor());
    let order = block("10.99.3.2");
    let seen = control.read(&order).unwrap();
    assert!(!seen.in_force);
    let shown = control.preview(&order, &seen).unwrap().join("\n");
    assert!(shown.contains("POST") && shown.contains("***") && !shown.contains("pass word"), "{shown}");
    let known = Known { seen: seen.clone(), ack: None };
    assert!(matches!(control.verify(&order, &known), Effect::NotEffective(_)));
    control.apply(&order, &seen).unwrap();
    assert!(matches!(control.verify(&order, &known), Effect::Effective(_)));
    assert!(lab::until(LIMIT, || !attacker.pings("10.99.3.1")), "{}", bouncer.output());
    // It runs for its whole hour: from now, not from some time that the alert names.
    let url = format!("http://127.0.0.1:{}/v1/decisions", lapi.port);
    let left = lab::run("curl", &["-s", "-H", &format!("x-api-key: {}", lapi.bouncer_key), &url]);
    assert!(left.contains("\"duration\":\"59m"), "{left}");

    // A second sending makes no second decision.
    control.apply(&order, &seen).unwrap();
    assert_eq!(control.present().unwrap().unwrap().len(), 1);
    // Another hand bans the same address; ours goes and theirs stays.
    lapi.cscli(&["decisions", "add", "--ip", "10.99.3.2", "--duration", "1h", "--reason", "by hand"]);
    let other = block("10.99.3.2");
    assert!(control.read(&other).unwrap().in_force);
    assert!(!control.read(&order).unwrap().in_force, "our own step is not a stranger's");
    control.undo(&other, &Known::default()).unwrap();
    assert_eq!(control.present().unwrap().unwrap().len(), 1);
    control.undo(&order, &known).unwrap();
    assert!(control.present().unwrap().unwrap().is_empty());
    assert!(
        matches!(control.verify_undone(&order, &known), Effect::NotEffective(why) if why.contains("another hand"))
    );
    assert!(!attacker.pings("10.99.3.1"));
    lapi.cscli(&["decisions", "delete", "--ip", "10.99.3.2"]);
    assert!(matches!(control.verify_undone(&order, &known), Effect::Effective(_)));
    control.undo(&order, &known).unwrap();
    assert!(lab::until(LIMIT, || attacker.pings("10.99.3.1")), "let in again");

    // A range, and what lies in it.
    let range = block("2001:db8:7::/64");
    let seen = control.read(&range).unwrap();
    control.apply(&range, &seen).unwrap();
    assert!(matches!(control.verify(&range, &Known::default()), Effect::Effective(_)));
    assert!(control.read(&block("2001:db8:7::9")).unwrap().in_force);
    assert!(!control.read(&block("2001:db8::/32")).unwrap().in_force);
    control.undo(&range, &Known::default()).unwrap();

    let mut wrong = lapi.open("wrong");
    assert!(matches!(wrong.apply(&order, &known.seen), Err(Fault::Credential(_))));
    assert!(wrong.doctor().iter().any(|a| a.able == Some(false)));
}

/// A stand-in for what the real one does not do on demand.
fn stand_in(next: Arc<Mutex<Option<Failure>>>) -> Stub {
    let mut decisions: Vec<serde_json::Value> = Vec::new();
    Stub::start(move |r: &Request| match (r.method.as_str(), r.path()) {
        ("POST", "/v1/watchers/login") => Reply::json(200, serde_json::json!({"code": 200, "token": "t"})),
        ("POST", "/v1/alerts") if r.header("authorization") == Some("Bearer t") => {
            let failure = next.lock().unwrap().take();
            match failure {
                Some(Failure::Hollow) => return Reply::json(201, serde_json::json!(["1"])),
                Some(Failure::Before) => {
                    return Reply::json(500, serde_json::json!({"message": "database is locked"}));
                }
                _ => {}
            }
            for mut decision in r.json()[0]["decisions"].as_array().cloned().unwrap_or_default() {
                decision["id"] = (decisions.len() + 1).into();
                decisions.push(decision);
            }
            if failure == Some(Failure::AfterEffect) {
                return Reply::text(502, "bad gateway");
            }
            Reply::json(201, serde_json::json!([decisions.len().to_string()]))
        }
        ("GET", "/v1/decisions") if r.header("x-api-key") == Some("key") => {
            Reply::json(200, decisions.clone().into())
        }
        ("DELETE", path) if r.header("authorization") == Some("Bearer t") => {
            let id = path.rsplit('/').next().and_then(|id| id.parse::<u64>().ok());
            let before = decisions.len();
            decisions.retain(|d| d["id"].as_u64() != id);
            match before - decisions.len() {
                0 => Reply::json(
                    500,
                    serde_json::json!({"message": "decision with id '9' doesn't exist: unable to delete"}),
                ),
                n => Reply::json(200, serde_json::json!({"nbDeleted": n.to_string()})),
            }
        }
        _ => Reply::json(403, serde_json::json!({"message": "access forbidden"})),
    })
}

#[test]
fn what_may_have_been_taken_is_not_sent_again_and_a_hollow_yes_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let (password, key) = (lab::secret_file(dir.path(), "p", "p"), lab::secret_file(dir.path(), "k", "key"));
    let next = Arc::new(Mutex::new(None));
    let api = stand_in(next.clone());
    let mut control = lab::open(
        &CONNECTOR,
        serde_json::json!({"endpoint": {"url": api.url()}, "machine": "m"}),
        &[("default", &password), ("read", &key)],
    );
    for failure in [Failure::AfterEffect, Failure::Before, Failure::Hollow] {
        let order = block("192.0.2.7");
        let known = Known { seen: control.read(&order).unwrap(), ack: None };
        assert!(!known.seen.in_force);
        *next.lock().unwrap() = Some(failure);
        let sent = control.apply(&order, &known.seen);
        let effect = control.verify(&order, &known);
        match failure {
            Failure::Hollow => {
                assert!(sent.is_ok() && matches!(effect, Effect::NotEffective(_)), "{effect:?}")
            }
            Failure::Before => assert!(matches!(effect, Effect::NotEffective(_)), "{effect:?}"),
            _ => assert!(matches!(effect, Effect::Effective(_)), "{effect:?}"),
        }
        assert!(failure == Failure::Hollow || sent.unwrap_err().may_have_acted(), "{failure:?}");
        // Carried out once more, after a crash: one decision, however it ended the first time.
        control.apply(&order, &known.seen).unwrap();
        assert_eq!(control.present().unwrap().unwrap().len(), 1, "{failure:?}");
        assert!(matches!(control.verify(&order, &known), Effect::Effective(_)));
        control.undo(&order, &known).unwrap();
        control.undo(&order, &known).unwrap();
        assert!(matches!(control.verify_undone(&order, &known), Effect::Effective(_)));
    }
    let deletes = api.changes().into_iter().filter(|r| r.method == "DELETE");
    assert!(deletes.map(|r| r.target).all(|t| t.starts_with("/v1/decisions/")), "never by address");
    let mut stranger = lab::open(
        &CONNECTOR,
        serde_json::json!({"endpoint": {"url": api.url()}, "machine": "m"}),
        &[("default", &password), ("read", &password)],
    );
    assert!(matches!(stranger.read(&block("192.0.2.8")), Err(Fault::Credential(_))));
    assert!(matches!(stranger.verify(&block("192.0.2.8"), &Known::default()), Effect::Unknown(_)));
}
