//! `portreeve collect`: the traces of a host in a package that can be checked by hand.

use crate::{Failure, internal, stamp, usage};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use portreeve_forensics::{
    Catalog, Choice, Delivery, Destination, Error, Keys, Package, Plan, Progress, Signer, SshTarget, State,
    Verdict,
};
use portreeve_model::EventTime;
use portreeve_model::time::DAY_US;
use portreeve_model::untrusted::escape_for_terminal;
use std::io::IsTerminal;
use std::path::PathBuf;

/// Collect the traces of a host whose remote access was abused, into a signed package
///
/// Volatile first: processes, sockets, sessions, logins; then accounts, keys, persistence, remote access, packages and
/// their verification, logs, shell histories, recent files, a body file. Nothing is written on the host, no shell is
/// used here, and time, room and load are bounded. The package's logs are read by `portreeve hunt`.
#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  portreeve collect --out evidence --case 2026-114\n  portreeve collect --out evidence --recipient age1… --sign case.key --timestamp http://tsa.example/\n  portreeve collect --ssh root@gw1 --host-key 'ssh-ed25519 AAAA…' --out evidence\n  portreeve collect --import kape.zip --out evidence      # KAPE, Velociraptor, or a folder of EVTX\n  portreeve collect --resume evidence/gw1-20261127T101500Z\n  portreeve collect verify evidence/gw1-20261127T101500Z.tar.zst --public-key case.pub\n  portreeve hunt evidence/gw1-20261127T101500Z/logs"
)]
pub(crate) struct Collect {
    #[command(subcommand)]
    command: Option<Sub>,
    /// Folder for the package's folder, its archive and what belongs to it
    #[arg(long, value_name = "DIR", required_unless_present_any = ["resume", "list"])]
    out: Option<PathBuf>,
    /// Show what is collected, in which order and why, and leave
    #[arg(long)]
    list: bool,
    /// The case that the package belongs to
    #[arg(long, value_name = "ID")]
    case: Option<String>,
    /// Name of the package (default: host and time)
    #[arg(long)]
    name: Option<String>,
    /// Go on with a collection that was ended: the package's folder
    #[arg(long, value_name = "DIR", conflicts_with_all = ["out", "case", "name", "import"])]
    resume: Option<PathBuf>,
    /// A Windows collection of KAPE or Velociraptor (folder or zip), or a folder of EVTX
    #[arg(long, value_name = "PATH", conflicts_with_all = ["ssh", "root"])]
    import: Option<PathBuf>,
    /// A mounted image that is read instead of this machine; no commands run
    #[arg(long, value_name = "DIR", default_value = "/", conflicts_with = "ssh")]
    root: PathBuf,
    #[command(flatten)]
    far: Far,
    /// Logs and recent files from here on (default: 30 days)
    #[arg(long, value_name = "TIME", value_parser = stamp::time)]
    since: Option<EventTime>,
    /// Only these artefacts
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    only: Vec<String>,
    /// Without these artefacts
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    skip: Vec<String>,
    /// Minutes that the collection may take
    #[arg(long, value_name = "MINUTES", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    max_time: u64,
    /// Mebibytes that the package may hold
    #[arg(long, value_name = "MIB", default_value_t = 8_192, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    max_size: u64,
    /// Load a core above which the collection waits (up to five seconds an artefact)
    #[arg(long, value_name = "LOAD", default_value_t = 2.0)]
    max_load: f32,
    /// Leave password hashes and private keys in the copies
    #[arg(long)]
    with_secrets: bool,
    #[command(flatten)]
    seal: Seal,
}

/// Another host.
#[derive(Args)]
struct Far {
    /// Collect another host over OpenSSH; nothing is installed there
    #[arg(long, value_name = "USER@HOST[:PORT]", requires = "host_key")]
    ssh: Option<String>,
    /// Its host key, `ssh-ed25519 AAAA…`, or its fingerprint, `SHA256:…`
    #[arg(long, value_name = "KEY", requires = "ssh")]
    host_key: Option<String>,
    /// Key to log in with
    #[arg(long, value_name = "FILE", requires = "ssh")]
    identity: Option<PathBuf>,
    /// Configuration of the client, for jump hosts (default: none is read)
    #[arg(long, value_name = "FILE", requires = "ssh")]
    ssh_config: Option<PathBuf>,
    /// Run everything there through `sudo -n`
    #[arg(long, requires = "ssh")]
    sudo: bool,
}

/// For whom, by whom, when.
#[derive(Args)]
struct Seal {
    /// Encrypt for this age recipient (age1…), or those in a file; the plain folder is removed
    #[arg(long, value_name = "RECIPIENT")]
    recipient: Vec<String>,
    /// Keep the plain folder of an encrypted package
    #[arg(long)]
    keep: bool,
    /// Sign with this minisign key; its password comes from PORTREEVE_SIGN_PASSWORD or a file
    #[arg(long, value_name = "FILE")]
    sign: Option<PathBuf>,
    /// File whose first line is the password of the key
    #[arg(long, value_name = "FILE", requires = "sign")]
    sign_password_file: Option<PathBuf>,
    /// Have the archive stamped by this authority (RFC 3161)
    #[arg(long, value_name = "URL")]
    timestamp: Option<String>,
    /// Write a request for a time stamp (.tsq), to be carried to an authority
    #[arg(long, conflicts_with = "timestamp")]
    timestamp_request: bool,
}

#[derive(Subcommand)]
enum Sub {
    Verify(Verify),
}

/// Check a package: manifest, sums, custody chain, signatures, time stamp
#[derive(Args)]
#[command(
    after_help = "Exit status: 0 the package is whole, 1 something differs, 64 usage.\nBy hand: sha256sum -c SHA256SUMS; minisign -V -p KEY -m ARCHIVE; openssl ts -verify -data ARCHIVE -in ARCHIVE.tsr -CAfile CA"
)]
struct Verify {
    /// Folder or archive
    package: PathBuf,
    /// minisign public key, or a file with it
    #[arg(long, value_name = "KEY")]
    public_key: Option<String>,
    /// File of age identities, for an archive that is encrypted
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error {
            Error::Package(_) => internal(error),
            _ => usage(error),
        }
    }
}

impl Collect {
    pub(crate) fn run(self) -> Result<u8, Failure> {
        if let Some(Sub::Verify(verify)) = self.command {
            return verify.run();
        }
        if self.list {
            return list();
        }
        // All that can be wrong with keys and recipients is found before the host is touched.
        let recipients = portreeve_forensics::read_recipients(&self.seal.recipient)?;
        let signer = self.seal.signer()?;
        let bar = Bar::new();
        let mut package = if let Some(dir) = &self.resume {
            portreeve_forensics::resume(dir, &bar)?
        } else {
            let out = self.out.clone().ok_or_else(|| usage("give --out DIR"))?;
            let into = Destination { out, name: self.name.clone(), case: self.case.clone() };
            match &self.import {
                Some(from) => {
                    portreeve_forensics::import(from, &into, self.max_size << 20, recipients.clone())?
                }
                None => portreeve_forensics::collect(&into, self.plan(&recipients)?, &bar)?,
            }
        };
        bar.0.finish_and_clear();
        for recipient in recipients {
            if !package.recipients.contains(&recipient) {
                package.recipients.push(recipient);
            }
        }
        let delivery = Delivery {
            signer: signer.as_ref(),
            authority: self.seal.timestamp.clone(),
            request: self.seal.timestamp_request,
            keep: self.seal.keep,
        };
        let delivered = portreeve_forensics::deliver(&package, &delivery)?;
        crate::say(&report(&package, &delivered))
    }

    fn plan(&self, recipients: &[String]) -> Result<Plan, Failure> {
        let ssh = match (&self.far.ssh, &self.far.host_key) {
            (Some(target), Some(key)) => Some(SshTarget {
                identity: self.far.identity.clone(),
                config: self.far.ssh_config.clone(),
                sudo: self.far.sudo,
                ..SshTarget::parse(target, key)?
            }),
            _ => None,
        };
        let root = self.root.canonicalize().map_err(|e| usage(format!("{}: {e}", self.root.display())))?;
        Ok(Plan {
            choice: Choice { only: self.only.clone(), skip: self.skip.clone() },
            root,
            ssh,
            since: self.since.unwrap_or_else(|| stamp::now().minus(30 * DAY_US)).unix(),
            max_seconds: self.max_time * 60,
            max_bytes: self.max_size << 20,
            max_load: self.max_load,
            with_secrets: self.with_secrets,
            recipients: recipients.to_vec(),
        })
    }
}

impl Seal {
    fn signer(&self) -> Result<Option<Signer>, Failure> {
        let Some(path) = &self.sign else { return Ok(None) };
        let password = match &self.sign_password_file {
            Some(file) => {
                let text =
                    std::fs::read_to_string(file).map_err(|e| usage(format!("{}: {e}", file.display())))?;
                text.lines().next().map(str::to_owned)
            }
            None => std::env::var("PORTREEVE_SIGN_PASSWORD").ok(),
        };
        Ok(Some(Signer::read(path, password)?))
    }
}

fn list() -> Result<u8, Failure> {
    let mut text = String::new();
    for (n, artifact) in Catalog::linux()?.artifacts.iter().enumerate() {
        text.push_str(&format!("{:3} {:24} {}\n    {}\n", n + 1, artifact.id, artifact.says, artifact.how()));
    }
    crate::say(&text)
}

/// What was taken, what is missing and how to go on.
fn report(package: &Package, delivered: &portreeve_forensics::Delivered) -> String {
    let mut text = String::new();
    let shown = |path: &std::path::Path| escape_for_terminal(&path.display().to_string()).to_string();
    let mut line = |words: String| {
        text.push_str(&words);
        text.push('\n');
    };
    line(format!(
        "{}: {} files, {} bytes from {} ({})",
        package.name,
        package.files,
        package.bytes,
        escape_for_terminal(&package.host.name),
        escape_for_terminal(&package.host.transport)
    ));
    let count = |s: State| package.artifacts.iter().filter(|a| a.state == s).count();
    let states = [State::Done, State::Partial, State::Absent, State::Failed, State::NotTaken];
    let counts: Vec<String> = states.iter().map(|s| format!("{} {}", count(*s), s.name())).collect();
    line(format!("artefacts: {}", counts.join(", ")));
    for artifact in &package.artifacts {
        if matches!(artifact.state, State::Partial | State::Failed) {
            let first = artifact.problems.first().map(String::as_str);
            let why = artifact.reason.as_deref().or(first).unwrap_or_default();
            let more = artifact.problems.len();
            let more =
                if more > 1 { format!(" ({more} problems, see manifest.json)") } else { String::new() };
            line(format!(
                "  {:8} {}: {}{more}",
                artifact.state.name(),
                artifact.id,
                escape_for_terminal(why)
            ));
        }
    }
    line(format!("archive: {}", shown(&delivered.archive)));
    line(format!("sha256:  {}", delivered.sha256));
    for path in &delivered.beside {
        line(format!("         {}", shown(path)));
    }
    if let Some(time) = &delivered.stamped {
        line(format!("stamped: {time}"));
    }
    if let Some(why) = &delivered.not_stamped {
        line(format!("not stamped: {}", escape_for_terminal(why)));
    }
    if delivered.removed {
        line("The plain folder was removed (--keep leaves it).".to_owned());
    } else {
        line(format!("next: portreeve hunt {}", shown(&package.dir.join("logs"))));
    }
    text
}

impl Verify {
    fn run(&self) -> Result<u8, Failure> {
        let public = self.public_key.as_deref().map(portreeve_forensics::public_key).transpose()?;
        let keys = Keys { public, identity: self.identity.clone() };
        let verdict = portreeve_forensics::verify(&self.package, &keys)?;
        crate::say(&said(&verdict))?;
        Ok(u8::from(!verdict.problems.is_empty()))
    }
}

fn said(verdict: &Verdict) -> String {
    let mut text = String::new();
    let whole = verdict.problems.is_empty();
    let mut line = |words: &str| {
        text.push_str(&escape_for_terminal(words));
        text.push('\n');
    };
    line(&format!(
        "{}: {} ({} files, {} bytes, {} custody entries, case {}, host {})",
        if verdict.name.is_empty() { "package" } else { &verdict.name },
        if whole { "whole" } else { "NOT as it was sealed" },
        verdict.files,
        verdict.bytes,
        verdict.custody_entries,
        verdict.case.as_deref().unwrap_or("-"),
        verdict.host,
    ));
    verdict.problems.iter().for_each(|p| line(&format!("  wrong: {p}")));
    verdict.notes.iter().for_each(|n| line(&format!("  {n}")));
    text
}

struct Bar(ProgressBar);

impl Bar {
    fn new() -> Bar {
        let bar = if std::io::stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{pos:>3}/{len} {msg}") {
            bar.set_style(style);
        }
        Bar(bar)
    }
}

impl Progress for Bar {
    fn artifact(&self, number: usize, of: usize, id: &str) {
        self.0.set_length(of as u64);
        self.0.set_position(number as u64);
        self.0.set_message(id.to_owned());
    }
}
