//! The journal keeps what was synced, whatever happens to its end or its middle.

use crate::children;
use portreeve_lake::Fault;
use portreeve_lake::journal::{Damage, Entry, Journal, JournalBatch, JournalOptions, Place, Replayed};
use portreeve_model::EventTime;
use proptest::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};

fn open(dir: &Path) -> Journal {
    Journal::open(dir, JournalOptions::default(), 0).expect("a journal")
}

struct Owned {
    origin: String,
    bytes: Vec<u8>,
    ends: Vec<u32>,
    places: Vec<Place>,
}

impl Owned {
    fn new(origin: &str, records: &[Vec<u8>], places: bool) -> Owned {
        let mut batch =
            Owned { origin: origin.to_owned(), bytes: Vec::new(), ends: Vec::new(), places: Vec::new() };
        for (n, record) in records.iter().enumerate() {
            batch.bytes.extend_from_slice(record);
            batch.ends.push(u32::try_from(batch.bytes.len()).expect("small"));
            if places {
                batch.places.push(Place { line: n as u32 + 1, offset: n as u64 * 1_000_000_007 });
            }
        }
        batch
    }

    fn borrowed(&self) -> JournalBatch<'_> {
        JournalBatch {
            origin: &self.origin,
            door: "syslog",
            arrival: EventTime(77),
            bytes: &self.bytes,
            ends: &self.ends,
            places: &self.places,
        }
    }

    fn is(&self, entry: &Entry) -> bool {
        *entry.origin == *self.origin
            && &*entry.door == "syslog"
            && entry.arrival == EventTime(77)
            && entry.bytes == self.bytes
            && entry.ends == self.ends
            && entry.places == self.places
    }
}

fn replay(journal: &Journal, from: u64) -> (Vec<Entry>, Vec<Damage>) {
    let (mut entries, mut damage) = (Vec::new(), Vec::new());
    for found in journal.read_from(from) {
        match found.expect("readable") {
            Replayed::Batch(entry) => entries.push(entry),
            Replayed::Damage(d) => damage.push(d),
        }
    }
    (entries, damage)
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(dir)
        .expect("a folder")
        .map(|e| e.expect("an entry").path())
        .filter(|p| p.extension().is_some_and(|e| e == "log"))
        .collect();
    found.sort();
    found
}

/// Batches of all shapes, each synced; and the length of the segment after each.
fn written(dir: &Path, batches: &[Owned]) -> Vec<u64> {
    let mut journal = open(dir);
    let mut lengths = Vec::new();
    let mut next = 1;
    for batch in batches {
        assert_eq!(journal.append(&[batch.borrowed()]).expect("written"), next);
        journal.sync().expect("synced");
        next += batch.ends.len() as u64;
        lengths.push(fs::metadata(&segments(dir)[0]).expect("a segment").len());
    }
    lengths
}

fn shapes() -> impl Strategy<Value = Vec<(u8, Vec<Vec<u8>>, bool)>> {
    let record = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        Just(b"the same again and again, the same again and again, the same again and again".to_vec()),
    ];
    prop::collection::vec((0u8..3, prop::collection::vec(record, 1..6), any::<bool>()), 1..8)
}

fn batches(shapes: &[(u8, Vec<Vec<u8>>, bool)]) -> Vec<Owned> {
    shapes
        .iter()
        .map(|(origin, records, places)| Owned::new(&format!("edge{origin}"), records, *places))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn cut_anywhere_every_synced_batch_before_is_there_and_nothing_else(shapes in shapes(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 6)) {
        let batches = batches(&shapes);
        let dir = tempfile::tempdir().expect("a directory");
        let lengths = written(dir.path(), &batches);
        let segment = segments(dir.path()).remove(0);
        let whole = fs::read(&segment).expect("bytes");
        let near = lengths.iter().flat_map(|l| [l - 1, *l, l + 1]);
        let cuts = cuts.iter().map(|c| c.index(whole.len() + 1) as u64).chain(near).filter(|c| *c <= whole.len() as u64);
        for cut in cuts {
            let copy = tempfile::tempdir().expect("a directory");
            fs::write(copy.path().join(segment.file_name().expect("a name")), &whole[..cut as usize]).expect("written");
            let mut journal = open(copy.path());
            let kept = lengths.iter().filter(|l| **l <= cut).count();
            let (entries, damage) = replay(&journal, 0);
            prop_assert_eq!(entries.len(), kept, "cut at {}", cut);
            prop_assert!(entries.iter().zip(&batches).all(|(e, b)| b.is(e)));
            prop_assert!(damage.is_empty());
            prop_assert!(journal.torn().iter().all(|t| t.torn));
            // And it goes on from there.
            let next = 1 + batches[..kept].iter().map(|b| b.ends.len() as u64).sum::<u64>();
            prop_assert_eq!(journal.append(&[batches[0].borrowed()]).expect("written"), next);
            journal.sync().expect("synced");
            let (entries, _) = replay(&journal, 0);
            prop_assert_eq!(entries.len(), kept + 1);
            prop_assert!(batches[0].is(&entries[kept]));
        }
    }

    #[test]
    fn damage_in_the_middle_is_told_and_what_follows_is_read(shapes in shapes(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut batches = batches(&shapes);
        // One behind the damage, so that it is not the end.
        batches.push(Owned::new("last", &[b"the last one".to_vec()], false));
        let dir = tempfile::tempdir().expect("a directory");
        let lengths = written(dir.path(), &batches);
        let segment = segments(dir.path()).remove(0);
        let mut bytes = fs::read(&segment).expect("bytes");
        let end = lengths[lengths.len() - 2] as usize;
        let at = 80 + at.index(end - 80);
        bytes[at] ^= 1 << bit;
        fs::write(&segment, &bytes).expect("written");
        let journal = open(dir.path());
        let (entries, damage) = replay(&journal, 0);
        prop_assert!(journal.torn().is_empty());
        prop_assert_eq!(damage.len(), 1);
        let d = &damage[0];
        prop_assert!(d.segment == segment && !d.torn && d.offset <= at as u64 && at as u64 <= d.offset + d.bytes);
        // At most the batch that was hit is missing; where a name was hit, its batches have lost theirs.
        let hit = lengths.iter().position(|l| (at as u64) < *l).expect("within");
        let expect: Vec<&Owned> = batches.iter().collect();
        let lost = batches.len() - entries.len();
        prop_assert!(lost <= 1);
        let left = expect.iter().enumerate().filter(|(n, _)| lost == 0 || *n != hit).map(|(_, b)| *b);
        for (batch, entry) in left.zip(&entries) {
            prop_assert_eq!(&batch.bytes, &entry.bytes);
            prop_assert!(batch.is(entry) || entry.origin.starts_with("unknown origin ") || entry.door.starts_with("unknown origin "));
        }
        prop_assert_eq!(journal.next_seq(), 1 + batches.iter().map(|b| b.ends.len() as u64).sum::<u64>());
    }
}

#[test]
fn segments_close_say_their_own_names_and_are_released() {
    let dir = tempfile::tempdir().expect("a directory");
    let options = JournalOptions { segment_bytes: 300, compression: None };
    let mut journal = Journal::open(dir.path(), options, 0).expect("a journal");
    let batch = Owned::new("edge", &vec![b"0123456789".to_vec(); 10], true);
    for _ in 0..10 {
        journal.append(&[batch.borrowed(), batch.borrowed()]).expect("written");
        journal.sync().expect("synced");
    }
    assert_eq!(segments(dir.path()).len(), 10);
    assert_eq!(journal.next_seq(), 201);
    let (entries, _) = replay(&journal, 95);
    assert_eq!((entries.len(), entries[0].seq), (11, 91));
    let records: Vec<u64> = entries[0].records().map(|(seq, ..)| seq).collect();
    assert_eq!(records, (91..101).collect::<Vec<_>>());
    assert_eq!(journal.release(39).expect("released"), 1);
    assert_eq!(journal.release(40).expect("released"), 1);
    assert_eq!(segments(dir.path()).len(), 8);
    drop(journal);
    // The first ones are gone, and with them nothing that the others need.
    let mut journal = Journal::open(dir.path(), options, 0).expect("a journal");
    let (entries, damage) = replay(&journal, 0);
    assert_eq!((entries.len(), entries[0].seq, damage.len()), (16, 41, 0));
    assert!(entries.iter().all(|e| batch.is(e)));
    assert_eq!(journal.release(200).expect("released"), 8);
    assert!(segments(dir.path()).is_empty());
    assert_eq!(journal.append(&[batch.borrowed()]).expect("written"), 201);
}

#[test]
fn numbers_that_are_used_up_are_not_given_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut journal = Journal::open(dir.path(), JournalOptions::default(), 500).expect("a journal");
    let batch = Owned::new("edge", &[b"x".to_vec()], false);
    assert_eq!(journal.append(&[batch.borrowed()]).expect("written"), 501);
    assert!(matches!(Journal::open(dir.path(), JournalOptions::default(), 0), Err(Fault::Locked(_))));
    drop(journal);
    // Both copies of the head are lost, and with them all that the segment held.
    let segment = segments(dir.path()).remove(0);
    let mut bytes = fs::read(&segment).expect("bytes");
    bytes[..80].fill(0);
    fs::write(&segment, &bytes).expect("written");
    let journal = open(dir.path());
    let (entries, damage) = replay(&journal, 0);
    assert!(entries.is_empty());
    assert_eq!((damage.len(), damage[0].offset, damage[0].bytes), (1, 0, bytes.len() as u64));
    assert!(journal.next_seq() > 501);
}

/// Not a test of its own: what the next one kills.
#[test]
fn child_that_writes_a_journal() {
    let Some(dir) = children::dir() else { return };
    let options = JournalOptions { segment_bytes: 20_000, ..JournalOptions::default() };
    let mut journal = Journal::open(&dir, options, 0).expect("a journal");
    loop {
        let next = journal.next_seq();
        let records: Vec<_> = (next..next + 7).map(|seq| format!("record {seq}").into_bytes()).collect();
        let batch = Owned::new("edge", &records, false);
        journal.append(&[batch.borrowed()]).expect("written");
        journal.sync().expect("synced");
        children::tell(next + 6);
    }
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut known = 0;
    for round in 0..5u64 {
        let mut child = children::start("journal::child_that_writes_a_journal", dir.path());
        for _ in 0..40 + round * 17 {
            known = child.number().expect("the child goes on");
        }
        known = child.kill(known);
        let journal = open(dir.path());
        let (entries, damage) = replay(&journal, 0);
        assert!(damage.is_empty());
        let mut expected = 1;
        for (seq, record, _) in entries.iter().flat_map(Entry::records) {
            assert_eq!(seq, expected);
            assert_eq!(record, format!("record {seq}").as_bytes());
            expected += 1;
        }
        assert!(expected > known, "{known} were acknowledged, and {} are here", expected - 1);
        assert_eq!(journal.next_seq(), expected);
    }
}

/// Not a test of its own: runs with a small file system at its folder.
#[test]
fn child_on_a_full_disk() {
    let Some(dir) = children::dir() else { return };
    let mut journal = Journal::open(
        &dir.join("journal"),
        JournalOptions { compression: None, ..JournalOptions::default() },
        0,
    )
    .expect("a journal");
    let batch = Owned::new("edge", &vec![vec![b'x'; 1_000]; 50], false);
    let full = loop {
        match journal.append(&[batch.borrowed()]).and_then(|first| journal.sync().map(|()| first)) {
            Ok(first) => children::tell(first),
            Err(fault) => break fault,
        }
    };
    assert!(matches!(full, Fault::DiskFull(_)), "{full}");
    let next = journal.next_seq();
    let before = replay(&journal, 0).0.len();
    // Still full: still refused, and nothing changes.
    assert!(matches!(journal.append(&[batch.borrowed()]), Err(Fault::DiskFull(_))));
    fs::remove_file(dir.join("ballast")).expect("room");
    assert_eq!(journal.append(&[batch.borrowed()]).expect("room again"), next);
    journal.sync().expect("synced");
    drop(journal);
    let journal = open(&dir.join("journal"));
    let (entries, damage) = replay(&journal, 0);
    assert_eq!((entries.len(), damage.len(), journal.torn().len()), (before + 1, 0, 0));
    assert!(entries.iter().all(|e| batch.is(e)));
    children::tell(1_000_000);
}

#[test]
fn a_full_disk_refuses_and_room_lets_it_go_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let program = std::env::current_exe().expect("this program");
    let script = "mount -t tmpfs -o size=1m none \"$1\" && head -c 300000 /dev/zero > \"$1/ballast\" && \
         exec \"$2\" --exact journal::child_on_a_full_disk --nocapture";
    let output = std::process::Command::new("unshare")
        .args(["--mount", "--map-root-user", "sh", "-c", script, "sh"])
        .args([dir.path(), &program])
        .env("PORTREEVE_LAKE_TEST_DIR", dir.path())
        .output()
        .unwrap_or_else(|e| panic!("unshare does not run ({e}); it is in Debian's util-linux"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains("acknowledged 1000000"), "{out}{err}");
}
