//! Finds files, knows them again, and reads what is new in them. Blocking, and without an idea of the intake: the door
//! runs it on a thread of its own.

use crate::door::DoorError;
use crate::follow::known::{Book, Head, Known, Name, Reached, SAMPLE, head_of, sum, tail_of};
use crate::follow::lines::{Cut, cut};
use crate::follow::packed::{self, Packed};
use crate::follow::tracked::{
    CHUNK, Opener, State, Tracked, Way, end_of, is_packed, is_quiet, now, origin, read_at,
};
use crate::follow::{Begin, Options};
use crate::intake::Origin;
use glob::{MatchOptions, Pattern};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A rotated file is read on for so long: its writer may not have let go of it yet.
const AFTERWARDS: Duration = Duration::from_secs(60);
/// A file that nothing was written to for so long is closed, and looked at by its name once a second.
const IDLE: Duration = Duration::from_secs(600);
/// Files that are held open.
const OPEN: usize = 512;
/// Troubles that are told of at once.
const TROUBLES: usize = 100;

const MATCH: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

pub(crate) struct Follower {
    patterns: Vec<String>,
    exclude: Vec<Pattern>,
    whole: Vec<Pattern>,
    opener: Opener,
    limit: usize,
    once: bool,
    /// Files that are there when the door first opens are not read.
    from_end: bool,
    tracked: BTreeMap<u64, Tracked>,
    next: u64,
    /// Whose turn it is, so that one busy file does not starve the others.
    turn: u64,
    buffer: Vec<u8>,
    /// Files that are held open.
    open: usize,
    pub(crate) troubles: Vec<String>,
}

/// What was read of one file.
pub(crate) struct Piece {
    pub(crate) id: u64,
    pub(crate) origin: Origin,
    pub(crate) content: Content,
    pub(crate) reached: Reached,
    /// Nothing comes after it.
    pub(crate) finished: bool,
}

pub(crate) enum Content {
    Lines(Cut),
    Whole(PathBuf),
}

impl Follower {
    pub(crate) fn new(options: &Options, book: Option<Book>) -> Result<Follower, DoorError> {
        let patterns = |texts: &[String]| -> Result<Vec<Pattern>, DoorError> {
            let wrong = |text: &str, e| DoorError::config("follow", format!("pattern `{text}`: {e}"));
            texts.iter().map(|t| Pattern::new(t).map_err(|e| wrong(t, e))).collect()
        };
        patterns(&options.paths)?;
        if options.paths.is_empty() {
            return Err(DoorError::config("follow", "`paths` names no file"));
        }
        let mut follower = Follower {
            patterns: options.paths.clone(),
            exclude: patterns(&options.exclude)?,
            whole: patterns(&options.whole)?,
            opener: Opener { symlinks: options.symlinks },
            limit: options.limits.record_bytes,
            once: options.once,
            from_end: book.is_none() && options.begin == Begin::End,
            tracked: BTreeMap::new(),
            next: 0,
            turn: 0,
            buffer: Vec::new(),
            open: 0,
            troubles: Vec::new(),
        };
        for known in book.unwrap_or_default().files {
            let path = known.path.path();
            let mut tracked = Tracked::new(known, path, Way::Lines, follower.opener);
            tracked.state = State::Gone;
            follower.add(tracked);
        }
        Ok(follower)
    }

    fn add(&mut self, tracked: Tracked) -> u64 {
        self.next += 1;
        self.tracked.insert(self.next, tracked);
        self.next
    }

    /// What the door should remember.
    pub(crate) fn book(&self) -> Book {
        Book::of(self.tracked.values().map(|t| t.known.clone()), now())
    }

    /// A piece is stored.
    pub(crate) fn stored(&mut self, id: u64, reached: Reached, finished: bool) {
        if let Some(tracked) = self.tracked.get_mut(&id) {
            tracked.known.reached = reached;
            tracked.known.finished = finished;
        }
    }

    /// A file that was handed over whole was refused; it is offered again.
    pub(crate) fn refused(&mut self, id: u64) {
        if let Some(tracked) = self.tracked.get_mut(&id) {
            tracked.ended = false;
        }
    }

    /// Looks for files: new ones, and what became of those that were there.
    pub(crate) fn scan(&mut self) {
        self.troubles.clear();
        let found = self.find();
        let mut by_inode: HashMap<(u64, u64), u64> =
            self.tracked.iter().map(|(id, t)| ((t.known.device, t.known.inode), *id)).collect();
        let mut present = HashSet::new();
        for (path, meta) in found {
            let key = (meta.dev(), meta.ino());
            let id = match by_inode.get(&key) {
                Some(id) if present.contains(id) => continue,
                Some(id) => self.again(*id, &path, &meta),
                None => None,
            };
            let id = match id {
                Some(id) => Some(id),
                None => self.meet(&path, &meta),
            };
            if let Some(id) = id {
                present.insert(id);
                by_inode.insert(key, id);
            }
        }
        self.from_end = false;
        let absent: Vec<u64> = self.tracked.keys().filter(|id| !present.contains(id)).copied().collect();
        for id in absent {
            self.missing(id);
        }
        self.close_idle();
    }

    /// All that the patterns name.
    fn find(&mut self) -> Vec<(PathBuf, Metadata)> {
        let mut found = Vec::new();
        for pattern in &self.patterns {
            let pattern = match std::fs::metadata(pattern) {
                Ok(meta) if meta.is_dir() => format!("{}/*", Pattern::escape(pattern.trim_end_matches('/'))),
                // A name that is no pattern may still have its characters.
                Ok(_) => Pattern::escape(pattern),
                Err(_) => pattern.clone(),
            };
            let Ok(paths) = glob::glob_with(&pattern, MATCH) else { continue };
            for path in paths {
                match path {
                    Ok(path) if !self.opener.symlinks && path.is_symlink() => {
                        self.troubles.push(format!(
                            "{}: is a symbolic link; `symlinks` lets it be read",
                            path.display()
                        ));
                    }
                    Ok(path) => match std::fs::metadata(&path) {
                        Ok(meta) if meta.is_file() => found.push((path, meta)),
                        _ => {}
                    },
                    Err(error) => {
                        self.troubles.push(format!("{}: {}", error.path().display(), error.error()))
                    }
                }
            }
        }
        found.retain(|(path, _)| !self.exclude.iter().any(|p| p.matches_path_with(path, MATCH)));
        found
    }

    /// A file whose inode is known. `None` where its content is another: the inode was given away again.
    fn again(&mut self, id: u64, path: &Path, meta: &Metadata) -> Option<u64> {
        let way = self.way_of(path);
        let tracked = self.tracked.get_mut(&id)?;
        let renamed = tracked.path != path;
        if tracked.state == State::Gone {
            let same = match self.opener.open(path) {
                Ok(file) if way == Way::Lines => tracked.known.is_content_of(&file).unwrap_or(false),
                // Nobody writes to a packed file again; one that is handed over whole is looked at by its size.
                Ok(_) => true,
                Err(error) => {
                    self.troubles.push(format!("{}: {error}", path.display()));
                    return Some(id);
                }
            };
            if !same {
                tracked.known.inode = 0;
                return None;
            }
            (tracked.way, tracked.ended, tracked.state) = (way, tracked.known.finished, State::Live);
        }
        if renamed {
            (tracked.path, tracked.origin) = (path.to_owned(), origin(path));
            tracked.known.path = Name::of(path);
            if tracked.state == State::Live && way == Way::Lines {
                tracked.state = State::Rotated(Instant::now() + AFTERWARDS);
            }
        }
        if meta.size() != tracked.size {
            (tracked.size, tracked.grown) = (meta.size(), Instant::now());
        }
        let more = match tracked.way {
            Way::Lines => meta.size() > tracked.read.offset,
            Way::Whole => meta.size() != tracked.read.offset,
            Way::Packed => false,
        };
        if tracked.known.finished && more {
            (tracked.known.finished, tracked.ended) = (false, false);
        }
        tracked.known.seen = now();
        Some(id)
    }

    fn way_of(&self, path: &Path) -> Way {
        if self.whole.iter().any(|p| p.matches_path_with(path, MATCH)) {
            Way::Whole
        } else if is_packed(path) {
            Way::Packed
        } else {
            Way::Lines
        }
    }

    /// A file whose inode is not known: new, or the content of one that is known. `None` where that cannot be told yet.
    fn meet(&mut self, path: &Path, meta: &Metadata) -> Option<u64> {
        let way = self.way_of(path);
        let quiet = self.once || is_quiet(meta);
        let opened = match way {
            Way::Whole => Ok(Some(Tracked::new(
                Known::of(path, meta, Head::default()),
                path.to_owned(),
                way,
                self.opener,
            ))),
            Way::Packed if !quiet => Ok(None),
            Way::Packed => self.meet_packed(path, meta),
            Way::Lines => self.meet_plain(path, meta, quiet),
        };
        match opened {
            Ok(Some(mut tracked)) => {
                tracked.size = meta.size();
                Some(self.add(tracked))
            }
            Ok(None) => None,
            Err(error) => {
                self.troubles.push(format!("{}: {error}", path.display()));
                None
            }
        }
    }

    fn meet_plain(&mut self, path: &Path, meta: &Metadata, quiet: bool) -> io::Result<Option<Tracked>> {
        let file = self.opener.open(path)?;
        let mut tracked =
            Tracked::new(Known::of(path, meta, head_of(&file)?), path.to_owned(), Way::Lines, self.opener);
        for (id, other) in &self.tracked {
            // The sums first: this is asked of each new file about each that is known.
            if other.known.head != tracked.known.head {
                continue;
            }
            let known = Known { reached: other.read, ..other.known.clone() };
            if !known.is_distinct() || !known.may_have_become(path) {
                continue;
            }
            if known.is_content_of(&file)? {
                tracing::debug!(path = %path.display(), of = %other.path.display(), "the content of a file that is known");
                if other.state == State::Gone {
                    let id = *id;
                    self.give(id, path, Way::Lines, Some(file), None);
                }
                // What it holds is read there; should it grow on its own, it is read from here on.
                tracked.known.reached = known.reached;
                (tracked.read, tracked.known.finished, tracked.ended) = (known.reached, true, true);
                tracked.size = meta.size();
                return Ok(Some(tracked));
            }
            // A copy that is still being made.
            if !quiet && meta.size() < known.reached.offset {
                return Ok(None);
            }
        }
        if self.from_end {
            tracked.read = end_of(&file, meta.size())?;
            tracked.known.reached = tracked.read;
        }
        Ok(Some(tracked))
    }

    fn meet_packed(&mut self, path: &Path, meta: &Metadata) -> io::Result<Option<Tracked>> {
        let mut packed = Packed::open(self.opener.open(path)?);
        let known = Known::of(path, meta, packed.head()?);
        let mut tracked = Tracked::new(known, path.to_owned(), Way::Packed, self.opener);
        for (id, other) in &self.tracked {
            if other.known.head != tracked.known.head {
                continue;
            }
            let known = Known { reached: other.read, ..other.known.clone() };
            if !known.is_distinct() || !known.may_have_become(path) {
                continue;
            }
            if let Some(rest) = packed::is_content_of(&known, || self.opener.open(path))? {
                tracing::debug!(path = %path.display(), of = %other.path.display(), "packed, and known");
                if other.state == State::Gone {
                    let id = *id;
                    self.give(id, path, Way::Packed, None, Some(rest));
                }
                tracked.known.reached = known.reached;
                (tracked.read, tracked.known.finished, tracked.ended) = (known.reached, true, true);
                return Ok(Some(tracked));
            }
        }
        if self.from_end {
            (tracked.known.finished, tracked.ended) = (true, true);
        }
        tracked.packed = Some(packed);
        Ok(Some(tracked))
    }

    /// A file that is gone is read on from what it became.
    fn give(&mut self, id: u64, path: &Path, way: Way, file: Option<File>, packed: Option<Packed>) {
        let once = self.once;
        let Some(tracked) = self.tracked.get_mut(&id) else { return };
        let meta = file.as_ref().and_then(|f| f.metadata().ok());
        if meta.as_ref().is_none_or(|m| m.ino() != tracked.known.inode) {
            // Its old inode is free for another file.
            tracked.known.inode = 0;
        }
        // Not what it is: so that it is read.
        (tracked.size, tracked.partial) = (u64::MAX, 0);
        (tracked.path, tracked.origin) = (path.to_owned(), origin(path));
        (tracked.way, tracked.file, tracked.packed, tracked.ended) = (way, file, packed, false);
        tracked.state = State::Rotated(if once { Instant::now() } else { Instant::now() + AFTERWARDS });
        tracked.grown = Instant::now();
    }

    /// A file that no pattern names any more, or never did since the start.
    fn missing(&mut self, id: u64) {
        let Some(tracked) = self.tracked.get_mut(&id) else { return };
        match tracked.state {
            State::Live if tracked.file.is_some() || tracked.packed.is_some() => {
                tracked.state = State::Rotated(Instant::now() + AFTERWARDS);
            }
            State::Live if tracked.way == Way::Whole || tracked.known.finished => tracked.state = State::Gone,
            State::Live => {
                tracked.state = State::Gone;
                self.seek(id);
            }
            // Left behind by the last run; looked for once.
            State::Gone if !tracked.known.finished && !tracked.ended => {
                tracked.ended = true;
                self.seek(id);
            }
            State::Gone | State::Rotated(_) => {}
        }
    }

    /// Looks beside a file that is gone for what it became.
    fn seek(&mut self, id: u64) {
        let Some(tracked) = self.tracked.get(&id) else { return };
        let known = Known { reached: tracked.read, ..tracked.known.clone() };
        let was = known.path.path();
        let Some(Ok(entries)) = was.parent().map(std::fs::read_dir) else { return };
        for path in entries.flatten().map(|e| e.path()).filter(|p| known.may_have_become(p)) {
            let Ok(file) = self.opener.open(&path) else { continue };
            let Ok(meta) = file.metadata() else { continue };
            if !meta.is_file() {
                continue;
            }
            let moved = (meta.dev(), meta.ino()) == (known.device, known.inode);
            if is_packed(&path) {
                if known.is_distinct()
                    && let Ok(Some(packed)) = packed::is_content_of(&known, || self.opener.open(&path))
                {
                    return self.give(id, &path, Way::Packed, None, Some(packed));
                }
            } else if (moved || known.is_distinct()) && known.is_content_of(&file).unwrap_or(false) {
                return self.give(id, &path, Way::Lines, Some(file), None);
            }
        }
    }

    /// Reads what is new, up to so many pieces.
    pub(crate) fn read(&mut self, pieces: usize) -> Vec<Piece> {
        let mut out = Vec::new();
        let turn = self.turn;
        let after = self.tracked.range(turn + 1..).map(|(id, _)| *id);
        let order: Vec<u64> = after.chain(self.tracked.range(..=turn).map(|(id, _)| *id)).collect();
        for id in order {
            if out.len() >= pieces {
                break;
            }
            match self.read_one(id) {
                Ok(Some(piece)) => {
                    self.turn = id;
                    out.push(piece);
                }
                Ok(None) => {}
                Err(error) => {
                    let Some(tracked) = self.tracked.get_mut(&id) else { continue };
                    tracked.file = None;
                    if self.troubles.len() < TROUBLES {
                        self.troubles.push(format!("{}: {error}", tracked.path.display()));
                    }
                }
            }
        }
        out
    }

    fn read_one(&mut self, id: u64) -> io::Result<Option<Piece>> {
        let Some(tracked) = self.tracked.get_mut(&id) else { return Ok(None) };
        if tracked.ended || tracked.state == State::Gone {
            return Ok(None);
        }
        match tracked.way {
            Way::Lines => self.read_lines(id),
            Way::Packed => tracked.read_packed(id, self.limit),
            Way::Whole => tracked.read_whole(id, self.once),
        }
    }

    fn read_lines(&mut self, id: u64) -> io::Result<Option<Piece>> {
        let (limit, once) = (self.limit, self.once);
        let Some(tracked) = self.tracked.get_mut(&id) else { return Ok(None) };
        if tracked.file.is_none() {
            if !tracked.open()? {
                return Ok(None);
            }
            self.open += 1;
        }
        let Some(file) = &tracked.file else { return Ok(None) };
        let size = file.metadata()?.size();
        let over = match tracked.state {
            State::Rotated(until) => once || Instant::now() >= until,
            State::Live | State::Gone => once,
        };
        if size != tracked.size {
            (tracked.size, tracked.grown) = (size, Instant::now());
        } else if (size == tracked.read.offset || size == tracked.partial) && !over {
            return Ok(None);
        }
        if tail_of(file, tracked.read.offset)? != Some(tracked.read.tail) {
            self.begin_again(id);
            return Ok(None);
        }
        if (tracked.known.head.0 as usize) < SAMPLE {
            tracked.known.head = head_of(file)?;
        }
        self.buffer.resize(CHUNK.max(limit.saturating_add(2)), 0);
        let length = read_at(file, &mut self.buffer, tracked.read.offset)?;
        let bytes = self.buffer.get(..length).unwrap_or_default();
        let last = over && tracked.read.offset + length as u64 >= size;
        let mut lines = Cut::default();
        let mut reached = tracked.read;
        let used = cut(bytes, limit, last, &mut reached, &mut lines);
        if used == 0 && !last {
            tracked.partial = size;
            return Ok(None);
        }
        reached.tail = match used.checked_sub(SAMPLE).and_then(|from| bytes.get(from..used)) {
            Some(tail) => sum(tail),
            None => tail_of(file, reached.offset)?.unwrap_or_default(),
        };
        let finished = last && matches!(tracked.state, State::Rotated(_));
        tracked.read = reached;
        tracked.ended = last;
        if finished {
            tracked.state = State::Gone;
        }
        if finished || (self.open > OPEN && reached.offset == size) {
            tracked.file = None;
            self.open = self.open.saturating_sub(1);
        }
        Ok(Some(Piece {
            id,
            origin: tracked.origin.clone(),
            content: Content::Lines(lines),
            reached,
            finished,
        }))
    }

    /// A file that is shorter than before, or another behind the same name. What was not read of the old one may lie in
    /// a copy.
    fn begin_again(&mut self, id: u64) {
        let Some(tracked) = self.tracked.get_mut(&id) else { return };
        tracing::info!(path = %tracked.path.display(), "is another file than before, and is read from its beginning");
        let (path, file) = (tracked.path.clone(), tracked.file.take());
        let was = tracked.state;
        tracked.state = State::Gone;
        // What is at this inode now is another's.
        tracked.known.inode = 0;
        self.seek(id);
        if was == State::Live
            && let Some(file) = file
            && let (Ok(meta), Ok(head)) = (file.metadata(), head_of(&file))
        {
            let mut new = Tracked::new(Known::of(&path, &meta, head), path, Way::Lines, self.opener);
            (new.size, new.file) = (u64::MAX, Some(file));
            self.add(new);
        }
    }

    /// Closes what nobody writes to.
    fn close_idle(&mut self) {
        let mut open: Vec<(Instant, u64)> = self
            .tracked
            .iter()
            .filter(|(_, t)| t.file.is_some() && t.state == State::Live)
            .map(|(id, t)| (t.grown, *id))
            .collect();
        open.sort_unstable();
        let surplus = open.len().saturating_sub(OPEN);
        for (n, (grown, id)) in open.into_iter().enumerate() {
            if let Some(tracked) = self.tracked.get_mut(&id)
                && (n < surplus || grown.elapsed() > IDLE)
                // Else what was not read of it could be lost when it is removed.
                && tracked.size == tracked.read.offset
            {
                tracked.file = None;
            }
        }
        self.open = self.tracked.values().filter(|t| t.file.is_some()).count();
        // Those of which nothing is left to remember: never read, and gone.
        self.tracked
            .retain(|_, t| t.state != State::Gone || t.known.is_distinct() || t.known.seen > now() - 600);
    }
}
