//! The live service as a program: killed at any moment, it loses nothing that it acknowledged, and decides as `hunt` does.

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn acme() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/acme").canonicalize().expect("the sample")
}

/// The sample's records by the file they are in, in the order of the files.
fn records() -> Vec<(String, Vec<u8>)> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).expect("the sample") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { walk(&path, found) } else { found.push(path) }
        }
    }
    let logs = acme().join("logs");
    let mut files = Vec::new();
    walk(&logs, &mut files);
    files.sort();
    let mut all = Vec::new();
    for path in files {
        let name = path.strip_prefix(&logs).expect("below it").display().to_string();
        portreeve_pipeline::live::split(&path, &mut |record, _, _| {
            all.push((name.clone(), record.to_vec()));
            true
        })
        .expect("a file");
    }
    all
}

pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) address: String,
}

impl Running {
    pub(crate) fn start(dir: &Path) -> Running {
        Running::start_with(dir, &[])
    }

    /// Its log is the file `log` of the folder, which goes on after a restart; its configuration `portreeve.toml`.
    pub(crate) fn start_with(dir: &Path, more: &[&str]) -> Running {
        let log = std::fs::File::options().create(true).append(true).open(dir.join("log")).expect("a file");
        let mut child = Command::new(env!("CARGO_BIN_EXE_portreeve"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(more)
            .arg("--data")
            .arg(dir.join("data"))
            .arg("--config")
            .arg(dir.join("portreeve.toml"))
            .env_remove("PORTREEVE_CONTEXT")
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the program");
        let mut line = String::new();
        let out = child.stdout.take().expect("its output");
        BufReader::new(out).read_line(&mut line).expect("its address");
        let address = line.trim().strip_prefix("listening on ").map(str::to_owned);
        let said = || std::fs::read_to_string(dir.join("log")).unwrap_or_default();
        let address = address.unwrap_or_else(|| panic!("it said {line:?}: {}", said()));
        Running { child, address }
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// As a supervisor ends it.
    pub(crate) fn terminate(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill").success());
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                assert!(status.success(), "{status}");
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(240), "it does not end");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The status of the answer; nothing where the connection broke.
pub(crate) fn post(address: &str, token: &str, body: &str) -> Option<u16> {
    try_post(address, token, body).ok()
}

fn try_post(address: &str, token: &str, body: &str) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
    let head = format!(
        "POST /services/collector HTTP/1.1\r\nHost: portreeve\r\nAuthorization: Splunk {token}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok());
    status.ok_or_else(|| std::io::Error::other(format!("the answer is {answer:?}")))
}

/// Without where records stand: the files of a hunt are not what came through a door.
fn bare(mut value: serde_json::Value) -> serde_json::Value {
    match &mut value {
        serde_json::Value::Object(map) => {
            if map.contains_key("raw") {
                for key in ["file", "line", "offset"] {
                    map.remove(key);
                }
            }
            map.values_mut().for_each(|v| *v = bare(v.take()));
        }
        serde_json::Value::Array(all) => all.iter_mut().for_each(|v| *v = bare(v.take())),
        _ => {}
    }
    value
}

fn stored(dir: &Path) -> BTreeMap<String, serde_json::Value> {
    use portreeve_store::case::{document, engine};
    let location = portreeve_store::Location::sqlite(dir.join("data/store.db"));
    let store = portreeve_store::Store::open(&location, &dir.join("data/evidence"), 0).expect("the store");
    store
        .read(|tx| {
            let mut all = BTreeMap::new();
            for id in engine::standing(tx, i64::MIN)? {
                let case = engine::case_of(tx, &id)?.expect("a case of a part that stands");
                let documents = document::of_case(tx, case)?;
                let document = documents.into_iter().find(|d| d.engine_id == id).expect("its document");
                all.insert(id, bare(serde_json::from_str(&document.text).expect("JSON")));
            }
            Ok(all)
        })
        .expect("the store")
}

fn hunted(dir: &Path) -> BTreeMap<String, serde_json::Value> {
    let out = dir.join("hunted");
    let status = Command::new(env!("CARGO_BIN_EXE_portreeve"))
        .arg("hunt")
        .arg(acme().join("logs"))
        .arg("--context")
        .arg(acme().join("context"))
        .arg("--out")
        .arg(&out)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("the program");
    assert!(status.success());
    let text = std::fs::read_to_string(out.join("cases.json")).expect("cases");
    let file: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let cases = file["cases"].as_array().expect("cases");
    cases.iter().map(|c| (c["case_id"].as_str().expect("an id").to_owned(), bare(c.clone()))).collect()
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n.max(1)
    }
}

#[test]
fn killed_again_and_again_it_decides_as_a_hunt_does() {
    let dir = tempfile::tempdir().expect("a folder");
    let all = records();
    let mut names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
    names.dedup();
    let mut config = format!("[context]\ndir = {:?}\n", acme().join("context").display().to_string());
    for name in &names {
        let mut sum = String::new();
        for byte in Sha256::digest(format!("token of {name}")) {
            write!(sum, "{byte:02x}").expect("memory");
        }
        write!(config, "[sources.{name:?}]\ntoken_sha256 = [\"{sum}\"]\n").expect("memory");
    }
    std::fs::write(dir.path().join("portreeve.toml"), config).expect("written");
    // Batches of one source each, in an order that mixes the sources.
    let mut random = Random(11);
    let mut batches: Vec<(u64, &str, String)> = Vec::new();
    for of_source in all.chunk_by(|a, b| a.0 == b.0) {
        for some in of_source.chunks(300) {
            let mut body = String::new();
            for (_, record) in some {
                let text = serde_json::Value::from(String::from_utf8_lossy(record).into_owned());
                writeln!(body, "{{\"event\":{text}}}").expect("memory");
            }
            batches.push((random.below(1_000_000), &some[0].0, body));
        }
    }
    batches.sort_by_key(|(at, ..)| *at);
    let mut running = Running::start(dir.path());
    let (mut kills, mut again) = (0, 0);
    for (n, (_, source, body)) in batches.iter().enumerate() {
        let token = format!("token of {source}");
        if n % 9 == 4 {
            // In the middle of it, or just after.
            let (address, body, token) = (running.address.clone(), body.clone(), token.clone());
            let poster = std::thread::spawn(move || post(&address, &token, &body));
            std::thread::sleep(Duration::from_millis(random.below(40)));
            running.kill();
            kills += 1;
            let answer = poster.join().expect("no panic");
            running = Running::start(dir.path());
            if answer == Some(200) {
                continue;
            }
            again += 1;
        }
        let answer = try_post(&running.address, &token, body);
        let log = || std::fs::read_to_string(dir.path().join("log")).unwrap_or_default();
        assert!(matches!(answer, Ok(200)), "{n}, {source}: {answer:?}: {}", log());
    }
    assert!(kills > 4 && again > 0, "{kills} kills, {again} of them before an answer");
    running.terminate();
    let (live, batch) = (stored(dir.path()), hunted(dir.path()));
    assert_eq!(live.keys().collect::<Vec<_>>(), batch.keys().collect::<Vec<_>>());
    for (id, case) in &batch {
        assert_eq!(&live[id], case, "{id}");
    }
}
