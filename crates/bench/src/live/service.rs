//! `portreeve serve` as a process of its own: its configuration, its account, its figures, its end.

use super::http::Client;
use super::lines::LISTED;
use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long it may take to start; what lies in its journal is read after that.
const STARTS: Duration = Duration::from_secs(120);
const ENDS: Duration = Duration::from_secs(120);
/// Ticks of `/proc/PID/stat`: the same on every Linux.
const TICKS: f64 = 100.0;

/// What the service is started with.
pub(super) struct Setup {
    pub(super) program: PathBuf,
    /// Sources, each with a syslog door and a token of its own.
    pub(super) sources: usize,
    /// `engine.backlog_bytes`.
    pub(super) backlog_mb: Option<u64>,
    /// Where its data are; a temporary folder besides.
    pub(super) dir: Option<PathBuf>,
}

pub(super) struct Running {
    child: Child,
    pub(super) address: SocketAddr,
    /// One for each source.
    pub(super) syslog: Vec<SocketAddr>,
    dir: PathBuf,
    _temporary: Option<TempDir>,
    cookie: String,
}

/// Names and values of `/metrics`; of those with labels, the sum.
pub(super) struct Figures(HashMap<String, f64>);

impl Figures {
    pub(super) fn get(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or(0.0)
    }
}

/// What a source shows at the doors over HTTP.
pub(super) fn token(source: usize) -> String {
    format!("bench-token-of-source-{source}")
}

fn free_port() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

impl Running {
    pub(super) fn start(setup: &Setup) -> anyhow::Result<Running> {
        let temporary = if setup.dir.is_none() { Some(tempfile::tempdir()?) } else { None };
        let dir = setup.dir.clone().or_else(|| temporary.as_ref().map(|t| t.path().to_owned()));
        let dir = dir.context("no folder")?;
        std::fs::create_dir_all(&dir)?;
        std::fs::write(dir.join("list.txt"), format!("{LISTED}.0/24\n"))?;
        let mut text = String::from(
            "[web]\nlisten = \"127.0.0.1:0\"\nmetrics = \"open\"\n[access]\nsecond_factor = false\n[context]\nintel = [\"list.txt\"]\n",
        );
        if let Some(mb) = setup.backlog_mb {
            text.push_str(&format!("[engine]\nbacklog_bytes = {}\n", mb << 20));
        }
        let mut syslog = Vec::new();
        for n in 0..setup.sources {
            let sum: String = Sha256::digest(token(n)).iter().map(|b| format!("{b:02x}")).collect();
            text.push_str(&format!("[sources.site{n}]\ntoken_sha256 = [\"{sum}\"]\n"));
            let at = free_port()?;
            text.push_str(&format!(
                "[[doors.syslog]]\nlisten = \"{at}\"\ntransport = \"tcp\"\nsource = \"site{n}\"\n"
            ));
            syslog.push(at);
        }
        std::fs::write(dir.join("portreeve.toml"), text)?;
        let log = std::fs::File::create(dir.join("log"))?;
        let mut child = Command::new(&setup.program)
            .args(["serve", "--config"])
            .arg(dir.join("portreeve.toml"))
            .arg("--data")
            .arg(dir.join("data"))
            .env_remove("PORTREEVE_CONTEXT")
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| setup.program.display().to_string())?;
        let mut said = BufReader::new(child.stdout.take().context("no output")?);
        let mut line = String::new();
        said.read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on ").and_then(|a| a.parse().ok());
        let Some(address) = address else {
            child.kill().ok();
            child.wait().ok();
            let log = std::fs::read_to_string(dir.join("log")).unwrap_or_default();
            bail!("the service did not start: {line}{log}");
        };
        let mut running =
            Running { child, address, syslog, dir, _temporary: temporary, cookie: String::new() };
        line.clear();
        said.read_line(&mut line)?;
        let first = line.trim().split_once("token=").map(|(_, token)| token.to_owned());
        running.cookie =
            running.account(&first.context("the service printed no link for the first person")?)?;
        Ok(running)
    }

    /// The first person, who may do what the measurements ask.
    fn account(&self, token: &str) -> anyhow::Result<String> {
        let mut client = Client::connect(self.address)?;
        let input =
            serde_json::json!({"token": token, "name": "bench", "password": "measured-Lantern-4711-quay"});
        let answer = client.post("/api/v1/first-run", "application/json", input.to_string().as_bytes())?;
        let answer = answer.good("first-run")?;
        // The session comes first; the other takes back what signing in needed.
        answer.cookies.into_iter().next().context("no cookie came")
    }

    /// A connection of its own, signed in.
    pub(super) fn signed_in(&self) -> anyhow::Result<Client> {
        let mut client = Client::connect(self.address)?;
        client.headers = format!("Cookie: {}\r\n", self.cookie);
        Ok(client)
    }

    /// The session's cookie: name and value.
    pub(super) fn cookie(&self) -> &str {
        &self.cookie
    }

    /// Until what lay in the journal at the start is judged.
    pub(super) fn ready(&self, limit: Duration) -> anyhow::Result<()> {
        let begun = Instant::now();
        let mut client = Client::connect(self.address)?;
        while client.get("/readyz")?.status != 200 {
            if begun.elapsed() > limit.max(STARTS) {
                bail!("the service was not ready within {} s", begun.elapsed().as_secs());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    pub(super) fn figures(&self, client: &mut Client) -> anyhow::Result<Figures> {
        let text = client.get("/metrics")?.good("metrics")?.text();
        let mut all = HashMap::new();
        for line in text.lines().filter(|l| !l.starts_with('#')) {
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            let (name, labels) = name.split_once('{').unwrap_or((name, ""));
            let name = name.trim_start_matches("portreeve_");
            let Ok(value) = value.parse::<f64>() else { continue };
            *all.entry(name.to_owned()).or_insert(0.0) += value;
            // Of what records were read as, each kind by itself.
            if let Some((_, ending)) = labels.split_once("ending=\"") {
                let ending = ending.trim_end_matches(['"', '}']);
                *all.entry(format!("{name}/{ending}")).or_insert(0.0) += value;
            }
        }
        Ok(Figures(all))
    }

    /// MiB of a line of `/proc/PID/status`, such as `VmRSS` and `VmHWM`.
    pub(super) fn memory(&self, what: &str) -> anyhow::Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = text.lines().find(|l| l.starts_with(what)).context("no such line")?;
        let kib: f64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
        Ok(kib / 1024.0)
    }

    /// Seconds of processor time until now.
    pub(super) fn cpu(&self) -> anyhow::Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, rest) = text.rsplit_once(')').context("no name")?;
        let mut fields = rest.split_whitespace().skip(11);
        let mut next = || fields.next().and_then(|f| f.parse::<f64>().ok()).context("no number");
        Ok((next()? + next()?) / TICKS)
    }

    pub(super) fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// What it said while it ran, where something is worth a word.
    pub(super) fn complaints(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        log.lines().filter(|l| l.contains(" WARN ") || l.contains("ERROR ")).map(str::to_owned).collect()
    }

    /// Ends it as a supervisor does, and waits.
    pub(super) fn close(&mut self) -> anyhow::Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        kill(Pid::from_raw(i32::try_from(self.child.id())?), Signal::SIGTERM)?;
        let begun = Instant::now();
        while self.child.try_wait()?.is_none() {
            if begun.elapsed() > ENDS {
                self.child.kill()?;
                self.child.wait()?;
                bail!("the service did not end within {} s", ENDS.as_secs());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            eprintln!("{error}");
        }
    }
}

/// Bytes of all files of a folder.
pub(super) fn size_of(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let of =
        |path: PathBuf| if path.is_dir() { size_of(&path) } else { path.metadata().map_or(0, |m| m.len()) };
    entries.filter_map(|e| Some(of(e.ok()?.path()))).sum()
}
