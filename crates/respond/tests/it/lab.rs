//! Network namespaces, programs and files of a test. Everything that was made is taken away when it is dropped.

use portreeve_respond::act::Act;
use portreeve_respond::connector::{Connector, Control, Order, Settings};
use portreeve_respond::secret::{SecretRef, Vault};
use portreeve_respond::target::Target;
use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Can this machine run the test? Where not, it says so on the error output, and the test passes without having
/// shown anything; under `CI` a missing program is a failure, because CI installs them all.
pub(crate) fn can(programs: &[&str], root: bool) -> bool {
    let missing: Vec<&str> = programs.iter().copied().filter(|p| which(p).is_none()).collect();
    let is_root = rustix::process::geteuid().is_root();
    if missing.is_empty() && (is_root || !root) {
        return true;
    }
    let why =
        if missing.is_empty() { "needs root".to_owned() } else { format!("needs {}", missing.join(", ")) };
    assert!(std::env::var_os("CI").is_none(), "CI lacks what this test needs: {why}");
    eprintln!("NOT SHOWN: this test {why}");
    false
}

pub(crate) fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into(), "/usr/local/sbin".into()])
        .map(|dir| dir.join(program))
        .find(|p| p.is_file())
}

/// A name that no other test of this or another run has: at most 15 bytes, fit for an interface.
pub(crate) fn unique(stem: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{stem}{:x}{n:x}", std::process::id() & 0xf_ffff)
}

/// Runs a program to its end; the test fails with its output when it fails.
pub(crate) fn run(program: &str, args: &[&str]) -> String {
    let out = output(program, args);
    assert!(out.status.success(), "{program} {args:?}: {}{}", text(&out.stdout), text(&out.stderr));
    text(&out.stdout)
}

pub(crate) fn output(program: &str, args: &[&str]) -> Output {
    let path = which(program).unwrap_or_else(|| panic!("{program} is not installed"));
    Command::new(path).args(args).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Waits until `ready` says yes, at most `limit`.
pub(crate) fn until(limit: Duration, mut ready: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if ready() {
            return true;
        }
        if start.elapsed() > limit {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A network namespace.
pub(crate) struct Netns {
    pub(crate) name: String,
}

impl Netns {
    pub(crate) fn new(stem: &str) -> Netns {
        let name = unique(stem);
        run("ip", &["netns", "add", &name]);
        run("ip", &["-n", &name, "link", "set", "lo", "up"]);
        Netns { name }
    }

    /// A cable between two namespaces; each end is named like the namespace and has its address (`10.9.1.1/24`).
    pub(crate) fn cable(a: &Netns, a_address: &str, b: &Netns, b_address: &str) -> (String, String) {
        let (left, right) = (unique("v"), unique("w"));
        run(
            "ip",
            &[
                "link", "add", &left, "netns", &a.name, "type", "veth", "peer", "name", &right, "netns",
                &b.name,
            ],
        );
        for (ns, dev, address) in [(a, &left, a_address), (b, &right, b_address)] {
            run("ip", &["-n", &ns.name, "addr", "add", address, "dev", dev]);
            run("ip", &["-n", &ns.name, "link", "set", dev, "up"]);
        }
        (left, right)
    }

    pub(crate) fn run(&self, args: &[&str]) -> String {
        let mut all = vec!["netns", "exec", self.name.as_str()];
        all.extend(args);
        run("ip", &all)
    }

    pub(crate) fn output(&self, args: &[&str]) -> Output {
        let mut all = vec!["netns", "exec", self.name.as_str()];
        all.extend(args);
        output("ip", &all)
    }

    pub(crate) fn spawn(&self, args: &[&str], log: &Path) -> Daemon {
        let mut all = vec!["netns", "exec", self.name.as_str()];
        all.extend(args);
        Daemon::spawn("ip", &all, log)
    }

    pub(crate) fn pings(&self, address: &str) -> bool {
        self.output(&["ping", "-n", "-c", "1", "-W", "1", address]).status.success()
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        let _gone = output("ip", &["netns", "del", &self.name]);
    }
}

/// A program in the background; ended by its id when dropped. Its output goes to a file.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) log: PathBuf,
}

impl Daemon {
    pub(crate) fn spawn(program: &str, args: &[&str], log: &Path) -> Daemon {
        Daemon::spawn_with(program, args, log, None)
    }

    /// The same with a file as its input.
    pub(crate) fn spawn_with(program: &str, args: &[&str], log: &Path, input: Option<&Path>) -> Daemon {
        let file = std::fs::File::create(log).unwrap();
        let path = which(program).unwrap_or_else(|| panic!("{program} is not installed"));
        let child = Command::new(path)
            .args(args)
            .stdin(input.map_or_else(Stdio::null, |path| std::fs::File::open(path).unwrap().into()))
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Daemon { child, log: log.to_owned() }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn output(&self) -> String {
        std::fs::read(&self.log).map(|b| text(&b)).unwrap_or_default()
    }

    pub(crate) fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for a text in the output; fails the test with the whole output if it does not come.
    pub(crate) fn says(&self, what: &str, limit: Duration) {
        assert!(until(limit, || self.output().contains(what)), "no `{what}` in:\n{}", self.output());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _asked = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        if !until(Duration::from_secs(3), || !matches!(self.child.try_wait(), Ok(None))) {
            let _gone = self.child.kill();
        }
        let _reaped = self.child.wait();
    }
}

/// A free TCP port of loopback.
pub(crate) fn port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A file that only its owner may read.
pub(crate) fn secret_file(dir: &Path, name: &str, secret: &str) -> PathBuf {
    let path = dir.join(name);
    let mut file = std::fs::File::create(&path).unwrap();
    file.set_permissions(std::fs::Permissions::from_mode(0o600)).unwrap();
    file.write_all(secret.as_bytes()).unwrap();
    path
}

/// Settings as the configuration would give them.
pub(crate) fn settings(fields: serde_json::Value, credentials: &[(&str, &Path)]) -> Settings {
    Settings {
        name: "test".into(),
        fields,
        credentials: credentials
            .iter()
            .map(|(name, path)| ((*name).to_owned(), SecretRef::File(path.to_path_buf())))
            .collect::<BTreeMap<_, _>>(),
        vault: Vault::default(),
    }
}

pub(crate) fn open(
    connector: &Connector,
    fields: serde_json::Value,
    credentials: &[(&str, &Path)],
) -> Box<dyn Control> {
    (connector.open)(&settings(fields, credentials)).unwrap()
}

/// An order for an hour, with a mark of its own.
pub(crate) fn order(act: Act, target: Target) -> Order {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    Order {
        act,
        target,
        until: Some(jiff::Timestamp::now().as_microsecond() + 3_600_000_000),
        mark: format!("portreeve-{:012x}", NEXT.fetch_add(1, Ordering::Relaxed)),
        case: "case-1".into(),
    }
}
