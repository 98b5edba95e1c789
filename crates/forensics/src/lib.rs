//! The traces of a host: collected within bounds and without changing it, listed, chained, signed, encrypted, verified.
//!
//! What is collected is data (`artifacts/linux.yml`); this crate reads it off a host (this one, a mounted tree, or one
//! behind SSH) into a folder, and makes an archive of the folder that is the same for the same folder. Collections of
//! other tools from Windows hosts are imported into the same form.

mod body;
mod catalog;
mod collect;
mod custody;
mod error;
mod glob;
mod host;
mod import;
mod keys;
mod manifest;
mod mask;
mod name;
mod pack;
mod plan;
mod processes;
mod seal;
mod timestamp;
mod verify;
mod work;

pub use catalog::{Artifact, Catalog, Choice, Folder};
pub use collect::Progress;
pub use error::{Error, Result};
pub use host::Facts;
pub use host::ssh::SshTarget;
pub use manifest::{ArtifactEntry, FORMAT, State};
pub use plan::Plan;
pub use seal::{Signer, public_key, read_recipients};
pub use verify::{Keys, Verdict, verify};

use host::Host;
use host::local::Local;
use host::ssh::Remote;
use manifest::{Collector, Header};
use portreeve_model::EventTime;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use work::Work;

/// Program and version, as manifest and custody log name it.
pub(crate) const TOOL: &str = concat!("portreeve ", env!("CARGO_PKG_VERSION"));

/// The collector's clock.
pub(crate) fn clock() -> EventTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    EventTime(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

pub(crate) fn now() -> String {
    clock().to_string()
}

/// Where a package goes, and what it belongs to.
#[derive(Clone, Debug)]
pub struct Destination {
    pub out: PathBuf,
    /// Default: host and time.
    pub name: Option<String>,
    pub case: Option<String>,
}

/// A package whose folder is whole and sealed.
#[derive(Debug)]
pub struct Package {
    pub dir: PathBuf,
    pub name: String,
    pub case: Option<String>,
    pub kind: String,
    pub host: Facts,
    pub artifacts: Vec<ArtifactEntry>,
    pub files: usize,
    pub bytes: u64,
    pub recipients: Vec<String>,
}

/// Collects a host.
pub fn collect(into: &Destination, plan: Plan, progress: &dyn Progress) -> Result<Package> {
    let catalog = Catalog::linux()?;
    plan.choice.check(&catalog)?;
    let mut host = open(&plan)?;
    let facts = host.facts();
    let since = EventTime::from_unix(plan.since).to_string();
    let mut header = header("collection", into, facts)?;
    header.since = Some(since);
    header.secrets_masked = !plan.with_secrets;
    header.collector.priority = stand_behind();
    let mut work = Work::create(&into.out.join(&header.name), header, plan)?;
    let begun = serde_json::json!({
        "case": work.header.case, "host": work.header.host, "plan": work.plan,
    });
    work.chain.add("began", begun)?;
    gather(work, &mut *host, &catalog, progress)
}

/// Goes on with a collection that was ended, or gives one that is whole.
pub fn resume(dir: &Path, progress: &dyn Progress) -> Result<Package> {
    let work = Work::resume(dir)?;
    if work.sealed {
        return Ok(package(work));
    }
    if work.header.kind != "collection" {
        return Err(Error::usage(format!("{}: an import is not resumed; begin it anew", dir.display())));
    }
    let mut host = open(&work.plan)?;
    let facts = host.facts();
    let same = facts.machine_id == work.header.host.machine_id && facts.name == work.header.host.name;
    if !same {
        let (was, is) = (&work.header.host.name, &facts.name);
        return Err(Error::usage(format!("{}: begun on host {was}, and this is {is}", dir.display())));
    }
    stand_behind();
    gather(work, &mut *host, &Catalog::linux()?, progress)
}

fn open(plan: &Plan) -> Result<Box<dyn Host>> {
    Ok(match &plan.ssh {
        Some(target) => Box::new(Remote::connect(target)?),
        None => Box::new(Local::new(&plan.root).map_err(Error::file(&plan.root))?),
    })
}

fn gather(
    mut work: Work,
    host: &mut dyn Host,
    catalog: &Catalog,
    progress: &dyn Progress,
) -> Result<Package> {
    collect::collect(&mut work, host, catalog, progress)?;
    let clock = serde_json::json!({
        "host_ahead_of_collector_ms": work.header.host.clock_ahead_ms,
        "uncertainty_ms": work.header.host.clock_uncertainty_ms,
        "kept": work.header.host.clock_kept,
        "offset_said_by_host": offset(&work.dir),
    });
    work.chain.add("clock", clock)?;
    work.seal()?;
    Ok(package(work))
}

/// By how much the host says that its clock is off, in the words of the program that keeps it.
fn offset(dir: &Path) -> Option<String> {
    [("clock-chrony", "System time"), ("clock-timesyncd", "Offset:"), ("clock-ntp", "offset=")]
        .iter()
        .find_map(|(file, words)| {
            let bytes = std::fs::read(dir.join(format!("live/{file}.txt"))).ok()?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let line = text.lines().find(|l| l.contains(words))?;
            Some(line.trim().chars().filter(|c| !c.is_control()).take(200).collect())
        })
}

/// Imports a Windows collection of another tool.
pub fn import(from: &Path, into: &Destination, max_bytes: u64, recipients: Vec<String>) -> Result<Package> {
    let found = import::Found::open(from)?;
    let facts = Facts {
        name: found.host.clone(),
        transport: format!("import of {}", found.kind.name()),
        ..Facts::default()
    };
    let header = header(found.kind.name(), into, facts)?;
    let plan = Plan {
        choice: Choice::default(),
        root: from.to_owned(),
        ssh: None,
        since: 0,
        max_seconds: 0,
        max_bytes,
        max_load: 0.0,
        with_secrets: true,
        recipients,
    };
    let mut work = Work::create(&into.out.join(&header.name), header, plan)?;
    let hash = if from.is_file() {
        let file = std::fs::File::open(from).map_err(Error::file(from))?;
        let (hash, _) = work::digest(&mut std::io::BufReader::new(file)).map_err(Error::file(from))?;
        Some(hash)
    } else {
        None
    };
    let detail = serde_json::json!({
        "case": work.header.case, "from": from.display().to_string(), "sha256": hash, "kind": work.header.kind,
    });
    work.chain.add("import began", detail)?;
    import::import(&mut work, found)?;
    work.seal()?;
    Ok(package(work))
}

fn package(work: Work) -> Package {
    Package {
        name: work.header.name.clone(),
        case: work.header.case.clone(),
        kind: work.header.kind.clone(),
        host: work.header.host.clone(),
        files: work.files.len(),
        bytes: work.bytes(),
        recipients: work.plan.recipients.clone(),
        artifacts: work.artifacts,
        dir: work.dir,
    }
}

fn header(kind: &str, into: &Destination, host: Facts) -> Result<Header> {
    let plain = |t: &str| t.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    let name = match &into.name {
        Some(name) => name.clone(),
        None => {
            let host: String = host.name.chars().filter(|c| plain(&c.to_string())).take(60).collect();
            let host = host.trim_start_matches(['.', '-']);
            let time: String = now().chars().take(19).filter(|c| *c != ':' && *c != '-').collect();
            format!("{}-{time}Z", if host.is_empty() { kind } else { host })
        }
    };
    if name.is_empty() || name.len() > 100 || name.starts_with(['.', '-']) || !plain(&name) {
        return Err(Error::usage(format!(
            "`{name}`: a name is letters, digits, dots, hyphens and underscores"
        )));
    }
    if let Some(case) =
        into.case.as_deref().filter(|c| c.len() > 100 || c.chars().any(|c| !c.is_ascii_graphic()))
    {
        return Err(Error::usage(format!("`{case}`: a case is at most 100 letters, digits and signs")));
    }
    let user = std::fs::read("/etc/passwd").map(|b| processes::users(&b)).unwrap_or_default();
    let uid = rustix::process::getuid().as_raw();
    Ok(Header {
        name,
        case: into.case.clone(),
        tool: TOOL.to_owned(),
        started: now(),
        host,
        kind: kind.to_owned(),
        since: None,
        collector_process: std::process::id(),
        collector: Collector {
            uid,
            user: user.get(&uid).cloned(),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            priority: Vec::new(),
        },
        secrets_masked: false,
    })
}

/// Lets everything else on this machine go first; says how.
fn stand_behind() -> Vec<String> {
    let mut said = Vec::new();
    if rustix::process::nice(19).is_ok() {
        said.push("nice 19".to_owned());
    }
    let pid = std::process::id().to_string();
    let words = ["-c", "3", "-p", &pid];
    let idle = ["/usr/bin/ionice", "/bin/ionice"].iter().any(|program| {
        let mut command = std::process::Command::new(program);
        command.args(words);
        host::local::bounded(command, 5, 1_024, &mut std::io::sink()).exit == Some(0)
    });
    // Without the program the kernel takes the priority of disk access from nice.
    said.push(if idle { "disk access when idle" } else { "disk access by nice" }.to_owned());
    said
}

/// What is made of a sealed package.
#[derive(Default)]
pub struct Delivery<'d> {
    pub signer: Option<&'d Signer>,
    /// Time-stamping authority.
    pub authority: Option<String>,
    /// Write a request for a time stamp, to be carried to an authority.
    pub request: bool,
    /// Leave the folder where the archive is encrypted.
    pub keep: bool,
}

/// What was delivered.
#[derive(Debug)]
pub struct Delivered {
    pub archive: PathBuf,
    pub sha256: String,
    pub beside: Vec<PathBuf>,
    /// What an authority attests.
    pub stamped: Option<String>,
    /// Why there is no time stamp, where one was asked for. The archive stands without it.
    pub not_stamped: Option<String>,
    /// The plain folder is gone.
    pub removed: bool,
}

/// Signs, packs, encrypts, stamps.
pub fn deliver(package: &Package, delivery: &Delivery<'_>) -> Result<Delivered> {
    let out = package.dir.parent().unwrap_or(Path::new("."));
    let case = package.case.as_deref().unwrap_or("-");
    if let Some(signer) = delivery.signer {
        signer.sums(&package.dir, &format!("portreeve {} case:{case} sums", package.name))?;
    }
    let archive = pack::archive(&package.dir, out, &package.recipients)?;
    let (sum, sha256) = pack::sum(&archive)?;
    let mut beside = vec![sum];
    if let Some(signer) = delivery.signer {
        let comment = format!("portreeve {} case:{case} sha256:{sha256}", package.name);
        beside.push(signer.archive(&archive, &comment)?);
    }
    let (mut stamped, mut not_stamped) = (None, None);
    match &delivery.authority {
        Some(url) => match timestamp::ask(&archive, url) {
            Ok((path, time)) => {
                beside.push(pack::beside(&archive, "tsq"));
                beside.push(path);
                stamped = Some(time);
            }
            Err(error) => not_stamped = Some(error.to_string()),
        },
        None if delivery.request => beside.push(timestamp::request(&archive)?),
        None => {}
    }
    // What was encrypted for somebody does not stay readable beside it.
    let removed = !package.recipients.is_empty() && !delivery.keep;
    if removed {
        std::fs::remove_dir_all(&package.dir).map_err(Error::file(&package.dir))?;
    }
    Ok(Delivered { archive, sha256, beside, stamped, not_stamped, removed })
}
