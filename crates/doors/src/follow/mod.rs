//! Files and directories, followed while they grow: rotation by renaming and by `copytruncate`, restarts, packed files.
//!
//! Files are looked at four times a second, and names once a second. inotify would tell sooner, but not on NFS, not for
//! what another host writes, not beyond the system's number of watches, and never which of two files a rotated one is;
//! the looking would be needed all the same, and costs a microsecond a file.
//!
//! Records are lines, with the place of each. What is no file of lines (a JSON array, XML, a table whose header gives its
//! lines their meaning, EVTX) is named in `whole`: it is handed over as a path, once nobody writes to it any more, for the
//! decoder to read as a file ([`Received::File`](crate::intake::Received)).

mod follower;
mod known;
mod lines;
mod packed;
mod tracked;

use crate::counters::DoorCounts;
use crate::declaration::Declaration;
use crate::door::{DoorContext, DoorError, Source};
use crate::follow::follower::{Content, Follower, Piece};
use crate::follow::known::Reached;
use crate::gate::Limits;
use crate::intake::{Origin, Receipt};
use crate::state;
use crate::syslog::too_long;
use crate::window::{Settled, Window};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

pub static DECLARATION: Declaration = Declaration {
    name: "follow",
    title: "Files and directories",
    peers: "whatever writes log files: daemons, rsyslog, logrotate, scripts that fetch exports",
    point_at_it: "paths: [\"/var/log/vpn/*.log\"]",
    tested: "files that are rotated by renaming and by copytruncate, packed by gzip and zstd",
    record: "one line, without what ends it; a file that `whole` names is handed over as it is",
    source: "logrotate(8) for the ways in which files are rotated",
};

/// Which files are read.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "FollowOptions")]
pub struct Options {
    /// Files, patterns (`/var/log/vpn/*.log`, `/srv/logs/**/*.log*`), or directories, of which all files are meant.
    pub paths: Vec<String>,
    /// Patterns of files that are left out.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Patterns of files that are no lines: handed over whole once they are complete. They must be in `paths` as well.
    #[serde(default)]
    pub whole: Vec<String>,
    /// Reads what symbolic links lead to, such as `/var/log/containers` of Kubernetes. Who may put a link into a
    /// directory that is followed could else have any file read that this service can read.
    #[serde(default)]
    pub symlinks: bool,
    /// What to do with files that are there when the door is opened for the first time.
    #[serde(default)]
    pub begin: Begin,
    /// Reads all that is there and ends, instead of following: to fill in the past. How far it came is kept all the same,
    /// so a second run reads what is new.
    #[serde(default)]
    pub once: bool,
    /// What it may send.
    #[serde(default)]
    pub limits: Limits,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Begin {
    /// They are read from their beginning.
    #[default]
    Beginning,
    /// Only what is written from now on.
    End,
}

const DOOR: &str = "follow";
const LOOK: Duration = Duration::from_millis(250);
const SCAN: Duration = Duration::from_secs(1);
/// How far it came is written down so often, at most: what is read twice after a crash is what came since.
const SAVE: Duration = Duration::from_secs(1);
/// Pieces that are read before they are handed over.
const PIECES: usize = 8;
const WINDOW: usize = 16;
/// A file that could not be taken whole is offered again after so long.
const AGAIN: Duration = Duration::from_secs(1);

/// Which piece of which file.
type Mark = (u64, Reached, bool);

/// Follows until the shutdown; with `once`, until all is read.
pub async fn run(options: Options, context: DoorContext) -> Result<(), DoorError> {
    let name = options.paths.join(" ");
    let path = state::path(&context.state_dir, DOOR, &name);
    let mut door = Door {
        follower: Some(Follower::new(&options, state::load(&path)?)?),
        path,
        window: Window::new(&context, WINDOW),
        settled: Vec::new(),
        limits: Arc::new(options.limits.clone()),
        counts: context.counters.of(DOOR, &Origin::new(&name)),
        whole: JoinSet::new(),
        trouble: None,
        changed: false,
        saved: Instant::now(),
        context,
    };
    let result = door.run(options.once).await;
    let stored = door.finish().await;
    result.and(stored)
}

struct Door {
    /// Away while it reads.
    follower: Option<Follower>,
    path: PathBuf,
    window: Window<Mark>,
    /// Answers that came while the follower was away.
    settled: Vec<Settled<Mark>>,
    limits: Arc<Limits>,
    counts: Arc<DoorCounts>,
    whole: JoinSet<(Mark, Receipt)>,
    trouble: Option<String>,
    changed: bool,
    saved: Instant,
    context: DoorContext,
}

impl Door {
    async fn run(&mut self, once: bool) -> Result<(), DoorError> {
        let mut scanned: Option<Instant> = None;
        while !self.context.shutdown.is_cancelled() {
            let scan = scanned.is_none_or(|at| !once && at.elapsed() >= SCAN);
            let first = scanned.is_none();
            if scan {
                scanned = Some(Instant::now());
            }
            let pieces = self.read(scan).await?;
            if first {
                // Where it began is not to be asked a second time.
                self.changed = true;
                self.save(true)?;
            }
            let none = pieces.is_empty();
            for piece in pieces {
                self.hand_over(piece).await;
            }
            self.save(false)?;
            if !none {
                continue;
            }
            if once {
                // Files that were handed over whole may be refused, and are then offered again.
                if self.whole.is_empty() {
                    return Ok(());
                }
                self.settle_whole().await;
                continue;
            }
            let pause = Instant::now() + LOOK;
            loop {
                tokio::select! {
                    () = self.context.shutdown.cancelled() => break,
                    settled = self.window.next() => self.settle(settled),
                    Some(Ok((mark, receipt))) = self.whole.join_next(), if !self.whole.is_empty() => {
                        self.settled_whole(mark, &receipt);
                    }
                    () = tokio::time::sleep_until(pause) => break,
                }
            }
        }
        Ok(())
    }

    /// Lets the follower read on a thread where it may block.
    async fn read(&mut self, scan: bool) -> Result<Vec<Piece>, DoorError> {
        let gone = || DoorError::Peer { door: DOOR, why: "reading files failed in an unforeseen way".into() };
        let Some(mut follower) = self.follower.take() else { return Err(gone()) };
        let read = tokio::task::spawn_blocking(move || {
            if scan {
                follower.scan();
            }
            let pieces = follower.read(PIECES);
            (follower, pieces)
        });
        tokio::pin!(read);
        let (follower, pieces) = loop {
            tokio::select! {
                read = &mut read => break read.map_err(|_| gone())?,
                settled = self.window.next() => self.settled.push(settled),
            }
        };
        if scan {
            let n = follower.troubles.len();
            let trouble = follower.troubles.first().map(|first| match n {
                1 => first.clone(),
                _ => format!("{first}, and {} more", n - 1),
            });
            // What a full disk says stays until it is not full.
            if trouble != self.trouble {
                self.counts.says(trouble.clone());
                self.trouble = trouble;
            }
        }
        self.follower = Some(follower);
        for settled in std::mem::take(&mut self.settled) {
            self.settle(settled);
        }
        Ok(pieces)
    }

    async fn hand_over(&mut self, piece: Piece) {
        let Piece { id, origin, content, reached, finished } = piece;
        let source = Source { door: DOOR, origin, limits: self.limits.clone(), counts: self.counts.clone() };
        let mark = (id, reached, finished);
        match content {
            Content::Lines(cut) => {
                while !self.window.has_room() {
                    let settled = self.window.next().await;
                    self.settle(settled);
                }
                for head in cut.too_long {
                    source.dead(&self.context.intake, too_long(self.limits.record_bytes), &head).await;
                }
                self.window.push(&source, cut.records, mark);
            }
            Content::Whole(path) => {
                DoorCounts::add(&self.counts.received, 1);
                let intake = self.context.intake.clone();
                self.whole.spawn(async move { (mark, intake.file(&source.origin, DOOR, path).await) });
            }
        }
    }

    fn settle(&mut self, settled: Settled<Mark>) {
        match (settled, &mut self.follower) {
            (Settled::Stored((id, reached, finished)), Some(follower)) => {
                follower.stored(id, reached, finished);
                self.changed = true;
            }
            // The service ends; it is read again by the next.
            (Settled::GivenUp(_), _) => self.context.shutdown.cancel(),
            (Settled::Stored(_), None) => {}
        }
    }

    async fn settle_whole(&mut self) {
        if let Some(Ok((mark, receipt))) = self.whole.join_next().await {
            self.settled_whole(mark, &receipt);
            if !matches!(receipt, Receipt::Stored) {
                tokio::select! {
                    () = sleep(AGAIN) => {}
                    () = self.context.shutdown.cancelled() => {}
                }
            }
        }
    }

    fn settled_whole(&mut self, mark: Mark, receipt: &Receipt) {
        let Some(follower) = &mut self.follower else { return };
        match receipt {
            Receipt::Stored => {
                DoorCounts::add(&self.counts.stored, 1);
                follower.stored(mark.0, mark.1, mark.2);
                self.changed = true;
            }
            Receipt::Refused(refusal) => {
                DoorCounts::add(&self.counts.refused, 1);
                self.counts.says(Some(refusal.to_string()));
                follower.refused(mark.0);
            }
        }
    }

    fn save(&mut self, now: bool) -> Result<(), DoorError> {
        if self.changed
            && (now || self.saved.elapsed() >= SAVE)
            && let Some(follower) = &self.follower
        {
            state::save(&self.path, &follower.book())?;
            (self.changed, self.saved) = (false, Instant::now());
        }
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), DoorError> {
        while !self.window.is_empty() {
            let settled = self.window.next().await;
            self.settle(settled);
        }
        while let Some(answered) = self.whole.join_next().await {
            if let Ok((mark, receipt)) = answered {
                self.settled_whole(mark, &receipt);
            }
        }
        self.changed = true;
        self.save(true)
    }
}
