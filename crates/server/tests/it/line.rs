//! What goes in comes out: live and batch give the same cases, over any door, across stops and crashes.

use super::site::{acme, config, copied, hunted, judged, start, stored, until};
use std::collections::BTreeMap;
use std::path::Path;

/// Records in all files.
pub(crate) fn records(logs: &Path) -> u64 {
    let mut number = 0;
    for entry in std::fs::read_dir(logs).expect("the sample") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            number += records(&path);
        } else {
            let count = &mut |_: &[u8], _: u32, _: u64| {
                number += 1;
                true
            };
            assert!(portreeve_pipeline::live::split(&path, count).expect("a file").is_empty());
        }
    }
    number
}

/// Files that are no lines: handed over whole.
const WHOLE: &str = "whole = [\"LOGS/cloudtrail/**/*\"]\n";

pub(crate) fn follow(logs: &Path) -> String {
    let whole = WHOLE.replace("LOGS", &logs.display().to_string());
    let all = format!("{}/**/*", logs.display());
    format!("[[doors.follow]]\npaths = [{all:?}]\n{whole}once = true\n")
}

pub(crate) fn compared(
    live: &BTreeMap<String, serde_json::Value>,
    batch: &BTreeMap<String, serde_json::Value>,
) {
    assert!(!batch.is_empty());
    assert_eq!(live.keys().collect::<Vec<_>>(), batch.keys().collect::<Vec<_>>());
    for (id, case) in batch {
        let text = |v| serde_json::to_string_pretty(v).expect("JSON");
        let (live, batch) = (text(&live[id]), text(case));
        for (n, (a, b)) in live.lines().zip(batch.lines()).enumerate() {
            assert_eq!(a, b, "{id}: line {n}");
        }
        assert_eq!(live, batch, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_followed_give_byte_for_byte_the_cases_of_a_hunt() {
    let dir = tempfile::tempdir().expect("a folder");
    let logs = dir.path().join("logs");
    copied("logs", &logs);
    let context = acme().join("context");
    let service = start(&dir.path().join("data"), config(&context, &follow(&logs))).await;
    let app = service.app.clone();
    judged(&app, records(&logs)).await;
    service.close().await;
    compared(&stored(&app), &hunted(&[logs], &context));
    let counts = app.pulse.read().expect("a pulse").counts;
    assert_eq!((counts.far_future, app.dead.counts()), (0, (0, 0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_list_of_indicators_is_held_against_what_was_read_before() {
    let dir = tempfile::tempdir().expect("a folder");
    let (logs, context) = (dir.path().join("logs"), dir.path().join("context"));
    copied("logs", &logs);
    copied("context", &context);
    let (lists, aside) = (context.join("intel"), dir.path().join("aside"));
    std::fs::rename(&lists, &aside).expect("the sample's lists");
    let service = start(&dir.path().join("data"), config(&context, &follow(&logs))).await;
    let app = service.app.clone();
    judged(&app, records(&logs)).await;
    std::fs::rename(&aside, &lists).expect("the sample's lists");
    let wanted = hunted(&[logs], &context);
    assert_ne!(stored(&app), wanted, "the lists say something");
    let renewing = app.clone();
    tokio::task::spawn_blocking(move || renewing.renew()).await.expect("no panic").expect("a good context");
    until("the engine has begun anew", || app.pulse.read().expect("a pulse").generation == 1).await;
    service.close().await;
    compared(&stored(&app), &wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn renewed_while_records_come_it_forgets_names_and_nothing_else() {
    let dir = tempfile::tempdir().expect("a folder");
    let logs = dir.path().join("logs");
    copied("logs", &logs);
    let context = acme().join("context");
    let service = start(&dir.path().join("data"), config(&context, &follow(&logs))).await;
    let app = service.app.clone();
    app.grounds().names.intern("whoever was guessed");
    let times = 4;
    for _ in 0..times {
        let renewing = app.clone();
        let told = tokio::task::spawn_blocking(move || renewing.renew()).await.expect("no panic");
        told.expect("a good context");
        tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    }
    judged(&app, records(&logs)).await;
    // What is past its time is let go of by itself, and only then.
    app.progress.forgot.store(true, std::sync::atomic::Ordering::Relaxed);
    for _ in 0..2 {
        let shedding = app.clone();
        let told = tokio::task::spawn_blocking(move || shedding.shed()).await.expect("no panic");
        told.expect("a good context");
    }
    let generation = || app.pulse.read().expect("a pulse").generation;
    until("the engine has begun anew", || generation() == times + 1).await;
    service.close().await;
    assert_eq!(app.grounds().generation, times + 1);
    compared(&stored(&app), &hunted(&[logs], &context));
    let names = app.grounds().names.clone();
    assert!(names.get("whoever was guessed").is_none() && names.len() > 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_context_is_said_and_changes_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let context = dir.path().join("context");
    copied("context", &context);
    let service = start(&dir.path().join("data"), config(&context, "")).await;
    std::fs::write(context.join("travel.csv"), "user,from,to\nanna,2026-03-02,2026-02-27\n")
        .expect("written");
    let app = service.app.clone();
    let told = tokio::task::spawn_blocking(move || app.renew()).await.expect("no panic");
    let text = told.expect_err("a broken file").to_string();
    assert!(text.contains("travel.csv:2: "), "{text}");
    assert_eq!(service.app.grounds().generation, 0);
    service.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn standing_and_figures_are_told() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut open = config(&acme().join("context"), "");
    open.web.metrics = portreeve_server::config::Metrics::Open;
    let service = start(&dir.path().join("data"), open).await;
    until("ready", || service.app.progress.ready.load(std::sync::atomic::Ordering::Relaxed)).await;
    let address = service.address();
    let told =
        tokio::task::spawn_blocking(move || ["/healthz", "/readyz", "/metrics"].map(|p| get(address, p)));
    let [alive, ready, figures] = told.await.expect("no panic");
    assert!(alive.ends_with("ok\n") && ready.ends_with("ready\n"), "{alive} {ready}");
    for wanted in ["portreeve_records_kept_total 0\n", "# TYPE portreeve_backlog_bytes gauge\n"] {
        assert!(figures.contains(wanted), "{figures}");
    }
    service.close().await;
}

fn get(address: std::net::SocketAddr, path: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).expect("a listener");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}
