//! Killed in the middle of writing: what was acknowledged is there, and nothing is half there.

use crate::lab::{Cluster, Said};
use portreeve_store::audit::{self, NewEntry, Outcome};
use portreeve_store::case::engine;
use portreeve_store::case::{document, entity, timeline};
use portreeve_store::{Location, Store};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

const LOCATION: &str = "PORTREEVE_TEST_CRASH";

/// Not a test: what the others start and kill. It says which cases are written, once they are.
#[test]
#[ignore = "the child that the other tests of this file start and kill: cargo test -p portreeve-store --test it crash"]
fn writes_until_it_is_killed() {
    let Ok(location) = std::env::var(LOCATION) else { return };
    let location: Location = location.parse().unwrap();
    let store = Store::open(&location, Path::new("/nonexistent"), 1).unwrap();
    let first = store.read(audit::head).unwrap().seq;
    for n in first.. {
        let mut said = Said::new(usize::try_from(n).unwrap());
        said.document = format!("{{\"n\":{n},\"filling\":\"{}\"}}", "x".repeat(3_000));
        store
            .write(|tx| {
                let taken = engine::take(tx, &said.case(), 1_000 + n)?;
                audit::append(
                    tx,
                    &NewEntry {
                        at: n,
                        actor: "engine".into(),
                        verb: "case.create".into(),
                        object: format!("case:{}", taken.case()),
                        address: String::new(),
                        outcome: Outcome::Done,
                        detail: String::new(),
                    },
                )
            })
            .unwrap();
        // Past the harness, which keeps what a test prints.
        use std::io::Write;
        writeln!(std::io::stderr(), "written {n}").unwrap();
    }
}

fn killed_again_and_again(location: &Location, text: &str) {
    let mut written = 0;
    for round in 0..6 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::writes_until_it_is_killed", "--ignored", "--nocapture"])
            .env(LOCATION, text)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let enough = written + 20 + 7 * round;
        while written < enough {
            let line = lines.next().expect("the child writes on").unwrap();
            if let Some(n) = line.strip_prefix("written ") {
                written = n.parse::<i64>().unwrap() + 1;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said before it died, and nobody had read yet.
        for line in lines.map_while(Result::ok) {
            if let Some(n) = line.strip_prefix("written ") {
                written = n.parse::<i64>().unwrap() + 1;
            }
        }
        let store = Store::open(location, Path::new("/nonexistent"), 1).unwrap();
        let verified = store.read(|tx| audit::verify(tx, None)).unwrap();
        assert_eq!(verified.faults, [""; 0]);
        assert!(
            (written..=written + 1).contains(&verified.entries),
            "{written} were acknowledged, {} are there",
            verified.entries
        );
        for n in 1..=verified.entries {
            let id = portreeve_store::CaseId(n);
            store
                .read(|tx| {
                    assert_eq!(document::of_case(tx, id)?.len(), 1, "case {n}");
                    assert_eq!(entity::of_case(tx, id)?.len(), 2, "case {n}");
                    assert_eq!(timeline::of_case(tx, id, None, 9)?.len(), 1, "case {n}");
                    Ok(())
                })
                .unwrap();
        }
        let more = portreeve_store::CaseId(verified.entries + 1);
        assert!(store.read(|tx| portreeve_store::case::find(tx, more)).unwrap().is_none());
        assert_eq!(store.check().unwrap(), [""; 0]);
        written = verified.entries;
    }
}

#[test]
fn sqlite_keeps_what_it_acknowledged() {
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("store.db");
    killed_again_and_again(&Location::sqlite(&path), path.to_str().unwrap());
}

#[test]
fn postgres_keeps_what_it_acknowledged() {
    let cluster = Cluster::start(&["-c", "listen_addresses="]);
    let name = cluster.database();
    let text = format!("postgres://postgres@/{name}?host={}", cluster.dir.display());
    killed_again_and_again(&cluster.location(&name), &text);
}
