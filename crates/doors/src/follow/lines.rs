//! A piece of a file to lines, with the place of each.

use crate::door::DEAD_BYTES;
use crate::follow::known::Reached;
use crate::intake::{Place, Records};
use memchr::memchr;

/// Lines of one piece, and how far it goes.
#[derive(Default, Debug)]
pub(crate) struct Cut {
    pub(crate) records: Records,
    /// Beginnings of lines that are too long.
    pub(crate) too_long: Vec<Vec<u8>>,
}

/// Cuts `bytes`, which stand in the file where `reached` says, and moves it on. What has no line feed yet stays, unless
/// it is `last` or too long. Tells how many bytes are done with.
pub(crate) fn cut(bytes: &[u8], limit: usize, last: bool, reached: &mut Reached, cut: &mut Cut) -> usize {
    let mut done = 0;
    loop {
        let mut rest = bytes.get(done..).unwrap_or_default();
        if !reached.skipping {
            // A writer that does not append leaves a hole of NULs where `copytruncate` has cut the file under it.
            let hole = rest.iter().take_while(|b| **b == 0).count();
            rest = rest.get(hole..).unwrap_or_default();
            reached.offset += hole as u64;
            done += hole;
        }
        if rest.is_empty() {
            break;
        }
        let (line, used, ended) = match memchr(b'\n', rest) {
            Some(end) => (rest.get(..end).unwrap_or_default(), end + 1, true),
            None if last => (rest, rest.len(), true),
            None => (rest, rest.len(), false),
        };
        let at = Place { line: reached.line.saturating_add(1), offset: reached.offset };
        // One more may be the carriage return before a line feed that is not there yet.
        if !ended && !reached.skipping && line.len() <= limit + 1 {
            break;
        }
        if !reached.skipping {
            let line = line.strip_suffix(b"\r").filter(|_| ended).unwrap_or(line);
            if line.len() > limit {
                cut.too_long.push(line.get(..limit.min(DEAD_BYTES)).unwrap_or(line).to_vec());
            } else if !line.is_empty() {
                cut.records.push_at(line, at);
            }
        }
        reached.skipping = !ended;
        reached.line = reached.line.saturating_add(u32::from(ended));
        reached.offset += used as u64;
        done += used;
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads a file in pieces of these sizes, each again from where the last cut ended.
    fn read(file: &[u8], limit: usize, sizes: &[usize]) -> (Vec<(String, u32, u64)>, usize, Reached) {
        let (mut reached, mut out, mut long) = (Reached::default(), Vec::new(), 0);
        let (mut have, mut sizes) = (0, sizes.iter().copied().cycle());
        loop {
            let last = have == file.len();
            let mut got = Cut::default();
            let from = usize::try_from(reached.offset).expect("small");
            let used = cut(&file[from..have], limit, last, &mut reached, &mut got);
            assert_eq!(from + used, usize::try_from(reached.offset).expect("small"));
            long += got.too_long.len();
            out.extend(got.records.iter().map(|(r, at)| {
                let at = at.expect("a place");
                (String::from_utf8_lossy(r).into_owned(), at.line, at.offset)
            }));
            if last {
                return (out, long, reached);
            }
            have = (have + sizes.next().unwrap_or(1).max(1)).min(file.len());
        }
    }

    #[test]
    fn lines_and_places() {
        let (got, long, reached) = read(b"one\n\r\n\n\0\0\0two\r\nthree", 100, &[4]);
        let expect = [("one".to_owned(), 1, 0), ("two".to_owned(), 4, 10), ("three".to_owned(), 5, 15)];
        assert_eq!((got.as_slice(), long, reached.line, reached.offset), (expect.as_slice(), 0, 5, 20));
        let (got, long, reached) = read(b"aaaaaaaaaaaa\nb\ncccccccccccccc", 5, &[3]);
        assert_eq!((got, long, reached.line), (vec![("b".to_owned(), 2, 13)], 2, 3));
    }

    proptest! {
        #[test]
        fn how_it_grows_changes_nothing(
            file in "([a-c]{0,8}[\n\r\0]{1,2}){0,20}[a-c]{0,9}",
            sizes in prop::collection::vec(1usize..9, 1..6),
        ) {
            prop_assert_eq!(read(file.as_bytes(), 6, &[1_000]), read(file.as_bytes(), 6, &sizes));
        }
    }
}
