//! Files that grow, are rotated in every way, and are read across restarts.

use crate::lab::{LIMIT, Lab, run, which};
use portreeve_doors::DoorError;
use portreeve_doors::follow::{self, Options};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::task::JoinHandle;

fn open(lab: &Lab, paths: &str, more: &str) -> JoinHandle<Result<(), DoorError>> {
    let text = format!(r#"{{"paths":["{}/{paths}"]{more}}}"#, lab.dir.path().display());
    let options: Options = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
    tokio::spawn(follow::run(options, lab.context.clone()))
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// Lines with numbers, long enough that a few hundred bytes come together.
fn lines(range: std::ops::Range<u32>) -> String {
    range.map(|n| format!("line {n} of a log that is followed\n")).collect()
}

/// The numbers of what arrived.
fn numbers(lab: &Lab) -> Vec<u32> {
    lab.texts().iter().map(|t| t.split(' ').nth(1).unwrap_or_default().parse().unwrap_or(u32::MAX)).collect()
}

fn all(n: u32) -> Vec<u32> {
    (0..n).collect()
}

fn logs(lab: &Lab) -> PathBuf {
    let dir = lab.path("logs");
    fs::create_dir_all(&dir).unwrap();
    dir
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_come_with_their_place_when_they_are_whole() {
    let lab = Lab::new();
    let log = logs(&lab).join("vpn.log");
    append(&log, "one\r\n\nthree\nfo");
    let door = open(&lab, "logs", "");
    lab.records(2).await;
    append(&log, "ur");
    append(&log, "\nfive\n");
    append(&logs(&lab).join("new.log"), "of another\n");
    lab.records(5).await;
    let mut got: Vec<_> = lab
        .got()
        .into_iter()
        .map(|g| {
            let at = g.place.unwrap();
            (
                g.origin.rsplit('/').next().unwrap().to_owned(),
                String::from_utf8(g.record).unwrap(),
                at.line,
                at.offset,
            )
        })
        .collect();
    got.sort();
    let expect = [
        ("new.log", "of another", 1, 0),
        ("vpn.log", "five", 5, 17),
        ("vpn.log", "four", 4, 12),
        ("vpn.log", "one", 1, 0),
        ("vpn.log", "three", 3, 6),
    ];
    assert_eq!(got, expect.map(|(f, t, l, o)| (f.to_owned(), t.to_owned(), l, o)));
    lab.end(door).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotation_by_renaming_loses_nothing_and_repeats_nothing() {
    // With a pattern that names the rotated files as well, and with one that does not.
    for pattern in ["logs/vpn.log*", "logs/vpn.log"] {
        let lab = Lab::new();
        let dir = logs(&lab);
        let log = dir.join("vpn.log");
        append(&log, &lines(0..100));
        let door = open(&lab, pattern, "");
        lab.records(100).await;
        // The daemon writes on to the file that it has open until it is told.
        let mut old = OpenOptions::new().append(true).open(&log).unwrap();
        fs::rename(&log, dir.join("vpn.log.1")).unwrap();
        old.write_all(lines(100..150).as_bytes()).unwrap();
        append(&log, &lines(150..250));
        lab.records(250).await;
        old.write_all(lines(250..260).as_bytes()).unwrap();
        lab.records(260).await;
        let mut got = numbers(&lab);
        got.sort_unstable();
        assert_eq!(got, all(260), "{pattern}");
        lab.end(door).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copytruncate_loses_nothing_that_the_copy_has() {
    for pattern in ["logs/vpn.log*", "logs/vpn.log"] {
        let lab = Lab::new();
        let dir = logs(&lab);
        let log = dir.join("vpn.log");
        append(&log, &lines(0..100));
        let door = open(&lab, pattern, "");
        lab.records(100).await;
        // Written, copied and cut between two looks: only the copy has them.
        append(&log, &lines(100..200));
        fs::copy(&log, dir.join("vpn.log.1")).unwrap();
        OpenOptions::new().write(true).open(&log).unwrap().set_len(0).unwrap();
        // Grown beyond where it was: its size alone would not tell.
        append(&log, &lines(200..500));
        lab.records(500).await;
        append(&log, &lines(500..510));
        lab.records(510).await;
        let mut got = numbers(&lab);
        got.sort_unstable();
        got.dedup();
        assert_eq!(got, all(510), "{pattern}");
        assert!(lab.count() <= 610, "{}: read far more than once", lab.count());
        lab.end(door).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hole_that_copytruncate_leaves_is_no_record() {
    let lab = Lab::new();
    let log = logs(&lab).join("vpn.log");
    append(&log, &lines(0..20));
    let door = open(&lab, "logs/*.log", "");
    lab.records(20).await;
    // A writer that does not append goes on at its old place.
    let size = fs::metadata(&log).unwrap().len();
    let file = OpenOptions::new().write(true).open(&log).unwrap();
    file.set_len(0).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, lines(20..30).as_bytes(), size).unwrap();
    lab.records(30).await;
    assert_eq!(numbers(&lab), all(30));
    assert_eq!(lab.got()[20].place.map(|p| p.offset), Some(size));
    lab.end(door).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_goes_on_exactly() {
    let mut lab = Lab::new();
    let dir = logs(&lab);
    let log = dir.join("vpn.log");
    append(&log, &lines(0..1_000));
    append(&log, "line 1000 is not");
    let mut seen = Vec::new();
    for round in 0..4u32 {
        let door = open(&lab, "logs/vpn.log", "");
        match round {
            0 => lab.records(1_000).await,
            // While the service was away: written and rotated, with a name that the pattern does not have.
            1 => {
                lab.records(600).await;
                assert_eq!(lab.got()[0].place.map(|p| p.line), Some(1_001));
            }
            // Rotated and packed.
            2 => lab.records(500).await,
            // Nothing happened.
            _ => tokio::time::sleep(Duration::from_millis(1_500)).await,
        }
        lab.end(door).await;
        seen.extend(numbers(&lab));
        match round {
            0 => {
                append(&log, " whole yet of a log that is followed\n");
                append(&log, &lines(1_001..1_500));
                fs::rename(&log, dir.join("vpn.log.1")).unwrap();
                append(&log, &lines(1_500..1_600));
            }
            1 => {
                append(&log, &lines(1_600..2_000));
                fs::rename(&log, dir.join("vpn.log.1")).unwrap();
                let gzip = which("gzip", "gzip");
                run(gzip, &["-n", dir.join("vpn.log.1").to_str().unwrap()], b"").await;
                append(&log, &lines(2_000..2_100));
            }
            _ => {}
        }
        lab = lab.again();
    }
    seen.sort_unstable();
    assert_eq!(seen, all(2_100));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_stored_is_read_again_after_a_restart() {
    let lab = Lab::new();
    let log = logs(&lab).join("vpn.log");
    append(&log, &lines(0..500));
    let door = open(&lab, "logs/*", "");
    lab.records(500).await;
    lab.fill_disk(true);
    append(&log, &lines(500..900));
    lab.until("the disk is full", |lab| !lab.trouble().is_empty()).await;
    // The service ends while nothing can be stored.
    let totals = lab.end(door).await;
    assert_eq!((totals.stored, totals.refused), (500, 400));
    let lab = lab.again();
    let door = open(&lab, "logs/*", "");
    lab.records(400).await;
    assert_eq!(numbers(&lab), (500..900).collect::<Vec<_>>());
    lab.end(door).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packed_files_are_read_once_and_not_after_their_plain_ones() {
    let lab = Lab::new();
    let dir = logs(&lab);
    let gzip = which("gzip", "gzip");
    // Two packed ones that were there before, and a plain one.
    for (name, range) in [("vpn.log.3", 0..300), ("vpn.log.2", 300..600)] {
        append(&dir.join(name), &lines(range));
        run(gzip.clone(), &["-n", dir.join(name).to_str().unwrap()], b"").await;
    }
    append(&dir.join("vpn.log.1"), &lines(600..900));
    append(&dir.join("vpn.log"), &lines(900..1_000));
    let door = open(&lab, "logs", "");
    lab.records(1_000).await;
    // Now the plain one is packed, as logrotate does a day later.
    fs::rename(dir.join("vpn.log.3.gz"), dir.join("vpn.log.4.gz")).unwrap();
    fs::rename(dir.join("vpn.log.1"), dir.join("vpn.log.3")).unwrap();
    run(gzip, &["-n", dir.join("vpn.log.3").to_str().unwrap()], b"").await;
    append(&dir.join("vpn.log"), &lines(1_000..1_010));
    lab.records(1_010).await;
    // Longer than a packed file is left alone.
    tokio::time::sleep(Duration::from_millis(4_000)).await;
    let mut got = numbers(&lab);
    got.sort_unstable();
    assert_eq!(got, all(1_010));
    lab.end(door).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_reads_what_is_there_and_ends() {
    let lab = Lab::new();
    let dir = logs(&lab);
    append(&dir.join("a.log"), &lines(0..3_000));
    append(&dir.join("b.log"), "line 3000 without an end");
    append(&dir.join("c.evtx"), "ElfFile");
    let more = format!(r#","once":true,"whole":["{}/*.evtx"]"#, dir.display());
    let door = open(&lab, "logs", &more);
    tokio::time::timeout(LIMIT, door).await.expect("it ends").unwrap().unwrap();
    assert_eq!(numbers(&lab), all(3_001));
    assert_eq!(lab.whole(), [dir.join("c.evtx")]);
    // And a second run reads what is new.
    let lab = lab.again();
    append(&dir.join("a.log"), &lines(3_001..3_005));
    let door = open(&lab, "logs", &more);
    tokio::time::timeout(LIMIT, door).await.expect("it ends").unwrap().unwrap();
    assert_eq!(numbers(&lab), (3_001..3_005).collect::<Vec<_>>());
    assert_eq!(lab.whole(), Vec::<PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whole_files_wait_until_nobody_writes_and_come_again_when_refused() {
    let lab = Lab::new();
    let dir = logs(&lab);
    lab.fill_disk(true);
    let door = open(&lab, "logs", &format!(r#","whole":["{}/*.xml"]"#, dir.display()));
    for _ in 0..6 {
        append(&dir.join("events.xml"), "<Event/>");
        let written = std::time::Instant::now();
        tokio::time::sleep(Duration::from_millis(400)).await;
        let received = lab.totals().received;
        // Unless the machine was so slow that it looked complete.
        assert!(received == 0 || written.elapsed() > Duration::from_millis(1_500), "it is still written to");
    }
    lab.until("it is refused", |lab| lab.totals().refused > 0).await;
    lab.fill_disk(false);
    lab.until("it is taken", |lab| lab.whole() == [dir.join("events.xml")]).await;
    assert_eq!(lab.count(), 0);
    lab.context.shutdown.cancel();
    door.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_lines_damage_and_what_cannot_be_read() {
    let lab = Lab::new();
    let dir = logs(&lab);
    let log = dir.join("a.log");
    append(&log, &format!("before\n{}", "x".repeat(3 << 20)));
    let door = open(&lab, "logs", r#","limits":{"record_bytes":100000},"exclude":["**/*.bak"]"#);
    lab.until("the long line", |lab| lab.dead().len() == 1).await;
    append(&log, &"y".repeat(1 << 20));
    append(&log, "\nafter\n");
    append(&dir.join("b.bak"), "left out\n");
    append(&dir.join(".hidden"), "left out\n");
    lab.records(2).await;
    assert_eq!(lab.texts(), ["before", "after"]);
    assert_eq!(lab.got()[1].place.map(|p| (p.line, p.offset)), Some((3, 7 + (4 << 20) + 1)));
    assert!(lab.dead()[0].bytes.iter().all(|b| *b == b'x'));
    // A packed file that ends too early: what it has comes, and the damage is kept.
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(lines(0..5_000).as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    fs::write(dir.join("cut.gz"), &packed[..packed.len() / 2]).unwrap();
    lab.until("the damage", |lab| lab.dead().len() == 2).await;
    lab.until("what is before it", |lab| lab.count() > 100).await;
    lab.end(door).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_new_where_that_is_asked_for() {
    let lab = Lab::new();
    let dir = logs(&lab);
    append(&dir.join("a.log"), &lines(0..100));
    let door = open(&lab, "logs/*.log", r#","begin":"end""#);
    lab.until("the door knows where it begins", |lab| {
        fs::read_dir(lab.path("state")).unwrap().next().is_some()
    })
    .await;
    append(&dir.join("a.log"), &lines(100..110));
    append(&dir.join("b.log"), &lines(110..120));
    lab.records(20).await;
    let mut got = numbers(&lab);
    got.sort_unstable();
    assert_eq!(got, (100..120).collect::<Vec<_>>());
    assert_eq!(
        lab.got().iter().find(|g| g.record.starts_with(b"line 100 ")).and_then(|g| g.place).map(|p| p.line),
        Some(101)
    );
    lab.end(door).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_files() {
    let lab = Lab::new();
    let dir = logs(&lab);
    for n in 0..3_000u32 {
        append(&dir.join(format!("host{n}.log")), &lines(n..n + 1));
    }
    let door = open(&lab, "logs/*.log", "");
    lab.records(3_000).await;
    for n in 0..3_000u32 {
        append(&dir.join(format!("host{n}.log")), &lines(3_000 + n..3_001 + n));
    }
    lab.records(6_000).await;
    let mut got = numbers(&lab);
    got.sort_unstable();
    assert_eq!(got, all(6_000));
    lab.end(door).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_is_read_where_that_is_asked_for() {
    let mut lab = Lab::new();
    let dir = logs(&lab);
    append(&lab.path("elsewhere.log"), "not for us\n");
    append(&dir.join("a.log"), "ours\n");
    std::os::unix::fs::symlink(lab.path("elsewhere.log"), dir.join("b.log")).unwrap();
    let door = open(&lab, "logs/*.log", "");
    lab.records(1).await;
    lab.until("it says so", |lab| lab.trouble().iter().any(|t| t.contains("b.log: is a symbolic link")))
        .await;
    lab.end(door).await;
    assert_eq!(lab.texts(), ["ours"]);
    lab = lab.again();
    let door = open(&lab, "logs/*.log", r#","symlinks":true"#);
    lab.records(1).await;
    assert_eq!(lab.texts(), ["not for us"]);
    lab.end(door).await;
}
