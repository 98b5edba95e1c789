//! One file that is followed: what is known of it, and how it is read.

use crate::follow::follower::{Content, Piece};
use crate::follow::known::{Head, Known, Name, Reached, sum, tail_of};
use crate::follow::lines::{Cut, cut};
use crate::follow::packed::Packed;
use crate::intake::Origin;
use memchr::memchr_iter;
use rustix::fs::OFlags;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// Bytes that are read of one file at once; more where a record may be longer.
pub(crate) const CHUNK: usize = 1 << 20;
/// A file that is packed or copied is left alone until nobody has written to it for so long; so is one that is handed
/// over whole.
const QUIET: Duration = Duration::from_secs(2);

/// How files are opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opener {
    pub(crate) symlinks: bool,
}

impl Opener {
    /// Opens for reading. What was put there in place of a file (a link, a pipe) neither leads elsewhere nor blocks.
    pub(crate) fn open(self, path: &Path) -> io::Result<File> {
        let follow = if self.symlinks { OFlags::empty() } else { OFlags::NOFOLLOW };
        let flags = (OFlags::NONBLOCK | follow).bits();
        let file = OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path)?;
        match file.metadata()?.is_file() {
            true => Ok(file),
            false => Err(io::Error::other("is no file any more")),
        }
    }
}

pub(crate) struct Tracked {
    /// As it is stored.
    pub(crate) known: Known,
    /// As far as it was handed over.
    pub(crate) read: Reached,
    pub(crate) path: PathBuf,
    pub(crate) opener: Opener,
    pub(crate) origin: Origin,
    pub(crate) way: Way,
    pub(crate) state: State,
    pub(crate) file: Option<File>,
    pub(crate) packed: Option<Packed>,
    pub(crate) size: u64,
    /// The size at which nothing but the beginning of a line was left.
    pub(crate) partial: u64,
    /// When it last grew.
    pub(crate) grown: Instant,
    /// Its last piece was handed over.
    pub(crate) ended: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    Lines,
    Packed,
    Whole,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// A pattern names it.
    Live,
    /// No pattern names it any more, or it is what became of a file that one did name; read on until then.
    Rotated(Instant),
    /// Only its content is remembered.
    Gone,
}

impl Tracked {
    pub(crate) fn new(known: Known, path: PathBuf, way: Way, opener: Opener) -> Tracked {
        let read = known.reached;
        let origin = origin(&path);
        Tracked {
            known,
            read,
            path,
            opener,
            origin,
            way,
            state: State::Live,
            file: None,
            packed: None,
            size: 0,
            partial: 0,
            grown: Instant::now(),
            ended: false,
        }
    }

    /// False where the name stands for another file by now; the next scan will tell.
    pub(crate) fn open(&mut self) -> io::Result<bool> {
        // Nothing new since it was closed.
        if self.size == self.read.offset && self.state == State::Live {
            return Ok(false);
        }
        let file = match self.opener.open(&self.path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(e),
        };
        let meta = file.metadata()?;
        if (meta.dev(), meta.ino()) != (self.known.device, self.known.inode) {
            return Ok(false);
        }
        self.file = Some(file);
        Ok(true)
    }

    pub(crate) fn read_packed(&mut self, id: u64, limit: usize) -> io::Result<Option<Piece>> {
        if self.packed.is_none() {
            let file = self.opener.open(&self.path)?;
            match Packed::open_at(file, self.read)? {
                Some(packed) => self.packed = Some(packed),
                // Another file under this name.
                None => {
                    (self.known.reached, self.read) = (Reached::default(), Reached::default());
                    self.packed = Some(Packed::open(self.opener.open(&self.path)?));
                }
            }
        }
        let Some(packed) = &mut self.packed else { return Ok(None) };
        let mut broken = None;
        if let Err(error) = packed.fill(CHUNK.max(limit.saturating_add(2))) {
            // What came before the damage is read all the same.
            packed.ended = true;
            broken = Some(error);
        }
        let mut lines = Cut::default();
        let mut reached = self.read;
        let used = cut(&packed.buffer, limit, packed.ended, &mut reached, &mut lines);
        packed.used(used);
        reached.tail = packed.tail();
        let finished = packed.ended;
        self.read = reached;
        if finished {
            (self.packed, self.ended) = (None, true);
            if matches!(self.state, State::Rotated(_)) {
                self.state = State::Gone;
            }
        }
        if let Some(error) = broken {
            tracing::warn!(path = %self.path.display(), %error, "damaged; read up to there");
            lines.too_long.push(
                format!("{} cannot be unpacked beyond this: {error}", self.path.display()).into_bytes(),
            );
        }
        Ok(Some(Piece { id, origin: self.origin.clone(), content: Content::Lines(lines), reached, finished }))
    }

    pub(crate) fn read_whole(&mut self, id: u64, once: bool) -> io::Result<Option<Piece>> {
        let meta = std::fs::metadata(&self.path)?;
        if meta.size() == 0 || !(once || is_quiet(&meta)) {
            return Ok(None);
        }
        self.ended = true;
        self.read = Reached { offset: meta.size(), ..Reached::default() };
        let content = Content::Whole(self.path.clone());
        Ok(Some(Piece { id, origin: self.origin.clone(), content, reached: self.read, finished: true }))
    }
}

impl Known {
    pub(crate) fn of(path: &Path, meta: &Metadata, head: Head) -> Known {
        Known {
            path: Name::of(path),
            device: meta.dev(),
            inode: meta.ino(),
            head,
            reached: Reached { tail: sum(b""), ..Reached::default() },
            finished: false,
            seen: now(),
        }
    }
}

pub(crate) fn origin(path: &Path) -> Origin {
    Origin::new(&path.to_string_lossy())
}

pub(crate) fn is_packed(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gz"))
}

pub(crate) fn is_quiet(meta: &Metadata) -> bool {
    let written = meta.modified().ok();
    // A time in the future says nothing.
    written.and_then(|at| SystemTime::now().duration_since(at).ok()).is_none_or(|age| age >= QUIET)
}

pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut length = 0;
    while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + length as u64) {
            Ok(0) => break,
            Ok(n) => length += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(length)
}

/// The place behind the last whole line.
pub(crate) fn end_of(file: &File, size: u64) -> io::Result<Reached> {
    let mut reached = Reached { tail: sum(b""), ..Reached::default() };
    let (mut from, mut at) = (io::BufReader::with_capacity(CHUNK, file.try_clone()?).take(size), 0u64);
    let mut buffer = vec![0; CHUNK];
    loop {
        let n = from.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        for end in memchr_iter(b'\n', buffer.get(..n).unwrap_or_default()) {
            reached.line = reached.line.saturating_add(1);
            reached.offset = at + end as u64 + 1;
        }
        at += n as u64;
    }
    reached.tail = tail_of(file, reached.offset)?.unwrap_or_default();
    Ok(reached)
}
