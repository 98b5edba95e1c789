//! Many files in one command: a loop of the other host's shell over names that are words, and its answers taken apart.

use super::super::shell::ShellCommand;
use super::super::{COMPLAINTS, Ran};
use super::Remote;
use crate::name::hex;
use memchr::memmem::Finder;
use std::io::{self, Write};
use std::time::Instant;

/// What is done with each file of a loop. `$1` is its name, `$2` how many bytes are wanted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Task {
    Read,
    Hash,
    Resolve,
}

/// The loop around a task, in the words of POSIX alone. What the task writes comes as it is; behind it the mark, the
/// exit status and the complaints, with NUL behind each. The mark comes by standard input: among the words of a command
/// everybody there could see it, in time to write it into a file that is read next.
macro_rules! each {
    ($task:literal) => {
        concat!(
            "IFS= read -r mark; exec 3>&1; while [ $# -gt 1 ]; do why=$( { ",
            $task,
            "; } 2>&1 >&3 3>&- ); printf '%s%s\\000%s\\000' \"$mark\" \"$?\" \"$why\" || exit 1; shift 2; done"
        )
    };
}

impl Task {
    /// What became a link or a pipe since it was listed is not opened.
    fn script(self) -> &'static str {
        match self {
            Task::Read => each!(
                "if [ -h \"$1\" ]; then echo 'a link by now' >&2; exit 1; \
                 elif [ -e \"$1\" ] && [ ! -f \"$1\" ]; then echo 'not a regular file' >&2; exit 1; \
                 else exec head -c \"$2\" -- \"$1\"; fi"
            ),
            Task::Hash => each!(
                "if [ -f \"$1\" ] && [ ! -h \"$1\" ]; then exec sha256sum < \"$1\"; \
                 else echo 'not a regular file' >&2; exit 1; fi"
            ),
            Task::Resolve => each!("exec readlink -e -z -- \"$1\""),
        }
    }
}

/// One file of a loop, and the most bytes that its answer may have.
pub(super) struct Item<'i> {
    pub(super) path: &'i [u8],
    pub(super) most: u64,
}

/// What a task said about one file.
pub(super) struct Answer<'a> {
    pub(super) bytes: &'a [u8],
    /// Of the task; `None` where no answer came.
    pub(super) exit: Option<i32>,
    /// What it complained about, or why there is no answer.
    pub(super) why: String,
}

/// Takes answers as they come; false ends the loop.
type Each<'e> = &'e mut dyn FnMut(usize, Answer<'_>) -> bool;

/// Bytes of words in one command. The kernel takes 128 KiB for one word, which is what a shell is given.
const WORDS: usize = 96 << 10;
/// Longest that one command is waited for. What was answered by then stands, and the rest is asked for again.
const PATIENCE: u64 = 120;

impl Remote {
    /// Does a task with every item, in their order, in as few commands as their names allow. Whether all were answered
    /// before time was up or `each` had enough. A file over which a command hangs costs itself and not those behind it.
    pub(super) fn batch(&mut self, task: Task, items: &[Item<'_>], ends: Instant, each: Each<'_>) -> bool {
        let mut next = 0;
        while let Some(rest) = items.get(next..).filter(|r| !r.is_empty()) {
            let left = ends.saturating_duration_since(Instant::now()).as_secs();
            if left == 0 {
                return false;
            }
            let now = rest.get(..fitting(rest.iter().map(|i| i.path))).unwrap_or_default();
            let mut on = true;
            let asked = self.ask(task, now, left.min(PATIENCE), &mut |n, answer| {
                on = each(next + n, answer);
                on
            });
            if !on {
                return next + asked.answered == items.len();
            }
            next += asked.answered;
            if asked.answered > 0 || asked.answered == now.len() {
                continue;
            }
            // Nothing came: the first is to blame for what took too long or said too much, and nobody for the rest.
            let blamed = if asked.by_one { 1 } else { now.len() };
            for n in next..next + blamed {
                if !each(n, Answer { bytes: b"", exit: None, why: asked.why.clone() }) {
                    return false;
                }
            }
            next += blamed;
        }
        true
    }

    fn ask(&mut self, task: Task, items: &[Item<'_>], seconds: u64, each: Each<'_>) -> Asked {
        let mut random = [0; 16];
        if let Err(error) = rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty()) {
            return Asked { answered: 0, by_one: false, why: error.to_string() };
        }
        let mark = hex(&random);
        let mosts: Vec<String> = items.iter().map(|i| i.most.to_string()).collect();
        let mut words: Vec<&[u8]> = vec![b"sh", b"-c", task.script().as_bytes(), b"sh"];
        for (item, most) in items.iter().zip(&mosts) {
            words.extend([item.path, most.as_bytes()]);
        }
        let most = items.iter().map(|i| i.most + FRAME as u64).fold(0, u64::saturating_add);
        let mut answers = Answers::new(&mark, items, each);
        let ran = self.fed(&words, format!("{mark}\n").as_bytes(), seconds, most, &mut answers);
        let by_one = ran.cut || answers.refused;
        Asked { answered: answers.answered, by_one, why: complaint(ran) }
    }
}

struct Asked {
    answered: usize,
    /// Time or room ran out over one file.
    by_one: bool,
    why: String,
}

fn complaint(ran: Ran) -> String {
    let said = ran.stderr.trim();
    match ran.reason {
        Some(reason) => reason,
        None if said.is_empty() => "no answer".to_owned(),
        None => said.to_owned(),
    }
}

/// For how many of these names, each with a number beside it, one command has room; at least for one.
pub(super) fn fitting<'p>(paths: impl Iterator<Item = &'p [u8]>) -> usize {
    let mut left = WORDS;
    let fits = |path: &&[u8]| {
        let words = ShellCommand::length(path) + 24;
        left.checked_sub(words).inspect(|l| left = *l).is_some()
    };
    paths.take_while(fits).count().max(1)
}

/// Bytes of an answer beside those of its file: mark, status, complaints.
const FRAME: usize = 16 << 10;

/// Takes a stream of answers apart.
struct Answers<'a> {
    mark: Finder<'a>,
    items: &'a [Item<'a>],
    each: Each<'a>,
    open: Vec<u8>,
    /// So much of `open` was searched for the mark.
    searched: usize,
    answered: usize,
    /// The other side sent more than it was asked for.
    refused: bool,
}

impl<'a> Answers<'a> {
    fn new(mark: &'a str, items: &'a [Item<'a>], each: Each<'a>) -> Answers<'a> {
        let mark = Finder::new(mark);
        Answers { mark, items, each, open: Vec::new(), searched: 0, answered: 0, refused: false }
    }

    /// Where an answer ends that is whole: behind its bytes, its status, its complaints.
    fn ends(&mut self) -> Option<(usize, usize, usize)> {
        let from = self.searched.saturating_sub(self.mark.needle().len());
        let Some(mark) = self.mark.find(self.open.get(from..)?).map(|n| n + from) else {
            self.searched = self.open.len();
            return None;
        };
        self.searched = mark;
        let status = mark + self.mark.needle().len();
        let nul = |from: usize| Some(from + memchr::memchr(0, self.open.get(from..)?)?);
        let why = nul(status)? + 1;
        Some((mark, why, nul(why)? + 1))
    }
}

impl Write for Answers<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.open.extend_from_slice(bytes);
        while let Some((mark, why, end)) = self.ends() {
            let Some(item) = self.items.get(self.answered) else {
                self.refused = true;
                return Err(io::Error::other("more answers than questions"));
            };
            let part = |from: usize, to: usize| self.open.get(from..to).unwrap_or_default();
            let text = |from: usize, to: usize| {
                let bytes = part(from, to);
                String::from_utf8_lossy(bytes.get(..COMPLAINTS.min(bytes.len())).unwrap_or_default())
                    .into_owned()
            };
            if mark as u64 > item.most {
                self.refused = true;
                return Err(io::Error::other("more bytes than were asked for"));
            }
            let status = text(mark + self.mark.needle().len(), why - 1);
            let answer = Answer { bytes: part(0, mark), exit: status.parse().ok(), why: text(why, end - 1) };
            let on = (self.each)(self.answered, answer);
            self.answered += 1;
            self.open.drain(..end);
            self.searched = 0;
            if !on {
                return Err(io::Error::other("enough"));
            }
        }
        let most = self.items.get(self.answered).map_or(0, |i| i.most) + FRAME as u64;
        if self.open.len() as u64 > most {
            self.refused = true;
            return Err(io::Error::other("more bytes than were asked for"));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::local;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;
    use std::process::Command;

    const MARK: &str = "0123456789abcdef0123456789abcdef";

    /// Bytes, status, complaints.
    type Got = (Vec<u8>, Option<i32>, String);

    fn items<'i>(paths: &'i [&'i [u8]], most: u64) -> Vec<Item<'i>> {
        paths.iter().map(|path| Item { path, most }).collect()
    }

    /// What is made of a stream that comes in pieces of `step` bytes.
    fn taken(stream: &[u8], items: &[Item<'_>], step: usize) -> (Vec<Got>, bool) {
        let mut got = Vec::new();
        let mut each = |n: usize, a: Answer<'_>| {
            assert_eq!(n, got.len());
            got.push((a.bytes.to_vec(), a.exit, a.why));
            true
        };
        let mut answers = Answers::new(MARK, items, &mut each);
        let whole = stream.chunks(step).all(|piece| answers.write_all(piece).is_ok());
        (got, whole)
    }

    #[test]
    fn answers_come_in_any_pieces() {
        let half = MARK.get(..20).expect("it is longer");
        let stream = format!("a\0{half}{MARK}0\0\0{MARK}1\0not there\0{half}{MARK}0\0\0").into_bytes();
        for step in [1, 7, 31, 32, 33, 500] {
            let (got, whole) = taken(&stream, &items(&[b"/a", b"/b", b"/c"], 100), step);
            let want = [
                (format!("a\0{half}").into_bytes(), Some(0), String::new()),
                (Vec::new(), Some(1), "not there".to_owned()),
                (half.as_bytes().to_vec(), Some(0), String::new()),
            ];
            assert!(whole && got == want, "{step}: {got:?}");
        }
    }

    #[test]
    fn who_says_more_than_he_was_asked_is_not_heard() {
        let one = items(&[b"/a"], 4);
        let (got, whole) = taken(format!("12345{MARK}0\0\0").as_bytes(), &one, 500);
        assert!(got.is_empty() && !whole);
        assert!(!taken(&vec![b'x'; FRAME + 5], &one, 500).1);
        let (got, whole) = taken(format!("1{MARK}0\0\0{MARK}0\0\0").as_bytes(), &one, 500);
        assert!(got.len() == 1 && !whole);
    }

    #[test]
    fn a_command_has_room_for_so_many_names() {
        let long = vec![b'\''; 4_000];
        let paths: Vec<&[u8]> = vec![&long; 20];
        assert_eq!(fitting(paths.into_iter()), 6);
        let longer = vec![b'x'; 200 << 10];
        assert_eq!(fitting([longer.as_slice(), b"/a"].into_iter()), 1);
    }

    /// The loop under a shell that has nothing but what `programs` holds.
    fn loops(shell: &[&str], programs: &str, task: Task, items: &[Item<'_>]) -> Vec<Got> {
        let mut command = Command::new(shell[0]);
        command.args(&shell[1..]).args(["-c", task.script(), "sh"]).env_clear().env("PATH", programs);
        for item in items {
            command.arg(std::ffi::OsStr::from_bytes(item.path)).arg(item.most.to_string());
        }
        let mut got = Vec::new();
        let mut each = |_: usize, a: Answer<'_>| {
            got.push((a.bytes.to_vec(), a.exit, a.why));
            true
        };
        let mut answers = Answers::new(MARK, items, &mut each);
        let ran = local::fed(command, format!("{MARK}\n").as_bytes(), 60, 1 << 30, &mut answers);
        assert!(ran.exit == Some(0) && ran.stderr.is_empty(), "{shell:?}: {ran:?}");
        got
    }

    #[test]
    fn every_shell_says_the_same() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = |name: &str| dir.path().join(name).as_os_str().as_bytes().to_vec();
        let bytes: Vec<u8> = (0..100_000u32).map(|n| (n % 256) as u8).collect();
        std::fs::write(dir.path().join("a'b\n$(id)"), &bytes).expect("written");
        std::fs::write(dir.path().join("empty"), "").expect("written");
        std::os::unix::fs::symlink("empty", dir.path().join("link")).expect("a link");
        let pipe = Command::new("mkfifo").arg(dir.path().join("pipe")).status().expect("mkfifo");
        assert!(pipe.success());
        let paths = [at("a'b\n$(id)"), at("empty"), at("link"), at("pipe"), at("none"), at("a'b\n$(id)")];
        let paths: Vec<&[u8]> = paths.iter().map(Vec::as_slice).collect();
        let mut asked = items(&paths, 200_000);
        asked[5].most = 3;
        let tools = tempfile::tempdir().expect("a folder");
        let own = tools.path().display().to_string();
        let mut shells: Vec<(Vec<&str>, &str)> = vec![(vec!["/bin/sh"], "/usr/bin:/bin")];
        if Path::new("/bin/bash").is_file() {
            shells.push((vec!["/bin/bash", "--posix"], "/usr/bin:/bin"));
        }
        let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|p| Path::new(p).is_file());
        let busybox = busybox.expect("the Debian package busybox is installed");
        for tool in ["head", "sha256sum", "printf"] {
            std::os::unix::fs::symlink(busybox, tools.path().join(tool)).expect("a link");
        }
        shells.push((vec![busybox, "sh"], &own));
        for (shell, programs) in shells {
            let got = loops(&shell, programs, Task::Read, &asked);
            let codes: Vec<Option<i32>> = got.iter().map(|g| g.1).collect();
            assert_eq!(codes, [Some(0), Some(0), Some(1), Some(1), Some(1), Some(0)], "{shell:?}");
            assert!(got[0].0 == bytes && got[1].0.is_empty() && got[5].0 == [0, 1, 2], "{shell:?}");
            assert!(got[2].2 == "a link by now" && got[3].2 == "not a regular file", "{shell:?}");
            assert!(got[4].2.contains("No such file"), "{shell:?}: {}", got[4].2);
            let got = loops(&shell, programs, Task::Hash, &items(&paths, 256));
            let sum = hex(&<sha2::Sha256 as sha2::Digest>::digest(&bytes));
            assert!(got[0].0.starts_with(sum.as_bytes()) && got[0].1 == Some(0), "{shell:?}");
            assert!(got[2].1 != Some(0) && got[3].1 != Some(0) && got[4].1 != Some(0), "{shell:?}");
        }
    }
}
