//! The systemd journal, read by `journalctl`: it knows the files of each version, and who may read them.

mod export;

use crate::declaration::Declaration;
use crate::door::{Backoff, DoorContext, DoorError, Source};
use crate::follow::Begin;
use crate::gate::{Admitted, Limits};
use crate::intake::{Origin, Records};
use crate::journald::export::Export;
use crate::state;
use crate::syslog::too_long;
use crate::window::{BATCHES, Settled, Window};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep_until};

pub static DECLARATION: Declaration = Declaration {
    name: "journald",
    title: "The systemd journal",
    peers: "this host, or the journals that systemd-journal-remote collects",
    point_at_it: "matches: [\"_SYSTEMD_UNIT=ssh.service\"]",
    tested: "journalctl over journals that systemd-journal-remote wrote",
    record: "one entry as a JSON object, in the form of journalctl -o json",
    source: "systemd's JOURNAL_EXPORT_FORMATS; journalctl(1)",
};

/// Which journal, and what of it.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "JournaldOptions")]
pub struct Options {
    /// The source that its records are said to come from.
    pub source: String,
    /// Only entries with one of the values of each field: `_SYSTEMD_UNIT=ssh.service`.
    #[serde(default)]
    pub matches: Vec<String>,
    /// A directory with journals, such as `/var/log/journal/remote`; else this host's.
    #[serde(default)]
    pub directory: Option<PathBuf>,
    /// Where to begin when the door is opened for the first time.
    #[serde(default)]
    pub begin: Begin,
    /// The program that reads it.
    #[serde(default = "journalctl")]
    pub journalctl: PathBuf,
    /// What it may send.
    #[serde(default)]
    pub limits: Limits,
}

fn journalctl() -> PathBuf {
    PathBuf::from("journalctl")
}

const DOOR: &str = "journald";
const BATCH_RECORDS: usize = 2_000;
const BATCH_BYTES: usize = 1 << 20;
const LINGER: Duration = Duration::from_millis(20);
const SAVE: Duration = Duration::from_secs(1);
/// Of what journalctl says about why it ended.
const WORDS: usize = 1_000;

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Book {
    cursor: String,
}

/// Follows the journal until the shutdown.
pub async fn run(options: Options, context: DoorContext) -> Result<(), DoorError> {
    if let Some(bad) = options.matches.iter().find(|m| m.starts_with('-') || !m.contains('=')) {
        return Err(DoorError::config(DOOR, format!("`{bad}` is no match; write FIELD=value")));
    }
    let origin = Origin::new(&options.source);
    let limits = Arc::new(options.limits.clone());
    let path = state::path(&context.state_dir, DOOR, &options.source);
    let mut door = Door {
        source: Source::new(&context, DOOR, Admitted { origin, limits }),
        window: Window::new(&context, BATCHES),
        book: state::load(&path)?.unwrap_or_default(),
        saved: Instant::now(),
        changed: false,
        path,
        context,
    };
    let mut backoff = Backoff::new();
    while !door.context.shutdown.is_cancelled() {
        let mut child = door.spawn(&options)?;
        let Some(out) = child.stdout.take() else { continue };
        let worked = door.read(out).await?;
        child.start_kill().ok();
        let status = child.wait().await;
        // What is on its way decides from where it goes on.
        door.drain().await?;
        if door.context.shutdown.is_cancelled() {
            break;
        }
        let said = words(&mut child).await;
        let trouble = match status {
            Ok(status) => format!("journalctl ended ({status}): {said}"),
            Err(error) => format!("journalctl: {error}"),
        };
        tracing::warn!(door = DOOR, %trouble, "is started again");
        door.source.counts.says(Some(trouble));
        if worked {
            backoff = Backoff::new();
        }
        backoff.pause(&door.context.shutdown).await;
    }
    door.drain().await?;
    door.save()
}

async fn words(child: &mut Child) -> String {
    let mut said = String::new();
    if let Some(err) = child.stderr.take() {
        err.take(WORDS as u64).read_to_string(&mut said).await.ok();
    }
    said.trim().to_owned()
}

struct Door {
    source: Source,
    window: Window<String>,
    book: Book,
    saved: Instant,
    changed: bool,
    path: PathBuf,
    context: DoorContext,
}

impl Door {
    fn spawn(&self, options: &Options) -> Result<Child, DoorError> {
        let mut command = Command::new(&options.journalctl);
        command.args(["--output=export", "--follow", "--quiet", "--no-pager"]);
        match (self.book.cursor.as_str(), options.begin) {
            ("", Begin::Beginning) => command.arg("--no-tail"),
            ("", Begin::End) => command.arg("--lines=0"),
            (cursor, _) => command.arg("--no-tail").arg(format!("--after-cursor={cursor}")),
        };
        if let Some(directory) = &options.directory {
            command.arg("--directory").arg(directory);
        }
        command.arg("--").args(&options.matches);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command.spawn().map_err(|e| {
            DoorError::config(DOOR, format!("{}: {e}; it comes with systemd", options.journalctl.display()))
        })
    }

    /// Reads what journalctl writes, until it ends or the service does. True where there was something to read.
    async fn read(&mut self, mut out: impl AsyncRead + Unpin) -> Result<bool, DoorError> {
        let mut export = Export::default();
        let mut buffer = vec![0; 256 << 10];
        let (mut records, mut last, mut since) = (Records::default(), String::new(), Instant::now());
        let mut worked = false;
        let shutdown = self.context.shutdown.clone();
        loop {
            let n = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                settled = self.window.next() => {
                    if !self.settle(settled)? {
                        break;
                    }
                    continue;
                }
                () = sleep_until(since + LINGER), if !records.is_empty() && self.window.has_room() => {
                    self.window.push(&self.source, std::mem::take(&mut records), std::mem::take(&mut last));
                    continue;
                }
                read = out.read(&mut buffer), if self.window.has_room() => match read {
                    Ok(0) | Err(_) => break,
                    Ok(n) => n,
                },
            };
            if records.is_empty() {
                since = Instant::now();
            }
            if !worked {
                worked = true;
                self.source.counts.says(None);
            }
            let limit = self.source.limits.record_bytes;
            let mut dead = Vec::new();
            let fed = export.feed(buffer.get(..n).unwrap_or_default(), |entry| {
                match entry.json.get(..limit) {
                    Some(head) if entry.json.len() > limit => dead.push(head.to_vec()),
                    _ => records.push(entry.json),
                }
                entry.cursor.clone_into(&mut last);
            });
            for head in dead {
                self.source.dead(&self.context.intake, too_long(limit), &head).await;
            }
            if let Err(garbled) = fed {
                let head = buffer.get(..n.min(1_024)).unwrap_or_default();
                self.source.dead(&self.context.intake, garbled.to_string(), head).await;
                break;
            }
            if records.len() >= BATCH_RECORDS || records.bytes() >= BATCH_BYTES {
                self.window.push(&self.source, std::mem::take(&mut records), std::mem::take(&mut last));
            }
        }
        if !last.is_empty() {
            self.window.push(&self.source, records, last);
        }
        Ok(worked)
    }

    async fn drain(&mut self) -> Result<(), DoorError> {
        while !self.window.is_empty() {
            let settled = self.window.next().await;
            self.settle(settled)?;
        }
        Ok(())
    }

    /// False where the service ends.
    fn settle(&mut self, settled: Settled<String>) -> Result<bool, DoorError> {
        match settled {
            Settled::Stored(cursor) => {
                // An entry without a cursor is not one of a journal; there is nothing to go on from.
                if !cursor.is_empty() {
                    (self.book.cursor, self.changed) = (cursor, true);
                }
                if self.saved.elapsed() >= SAVE {
                    self.save()?;
                }
                Ok(true)
            }
            Settled::GivenUp(_) => {
                self.context.shutdown.cancel();
                Ok(false)
            }
        }
    }

    fn save(&mut self) -> Result<(), DoorError> {
        if self.changed {
            state::save(&self.path, &self.book)?;
            (self.changed, self.saved) = (false, Instant::now());
        }
        Ok(())
    }
}
