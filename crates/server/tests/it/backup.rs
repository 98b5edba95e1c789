//! A data folder copied while the service runs, put back elsewhere, and taken up again.

use super::browser::signed_in;
use super::line::{compared, follow, records};
use super::site::{acme, config, copied, judged, start, stored, until};
use portreeve_lake::Query;
use portreeve_server::backup::{BackupError, backup, restore};
use portreeve_server::config::Config;
use portreeve_server::{App, Service};
use portreeve_store::{audit, people};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

async fn blocking<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(f).await.expect("no panic")
}

/// All rows of the lake whose record has this text, as text.
fn found(app: &App, text: &str) -> Vec<String> {
    let query = Query { text: Some(text.to_owned()), limit: 1_000, ..Query::default() };
    let page = app.lake.search(&query).expect("the lake");
    page.rows.iter().map(|r| format!("{:?}", r.fields().collect::<Vec<_>>())).collect()
}

/// What people see of it.
fn seen(app: &App) -> (usize, Vec<String>, Vec<Vec<u8>>) {
    app.store
        .read(|tx| {
            let people: Vec<String> = people::all(tx)?.into_iter().map(|p| p.name).collect();
            let query = audit::Query { actor: None, object: None, from: None, to: None, before: None };
            let entries = audit::list(tx, &query, 1_000)?;
            Ok((entries.len(), people, entries.iter().map(|e| e.hash.to_vec()).collect()))
        })
        .expect("the store")
}

async fn filled(data: &Path, logs: &Path) -> Service {
    let doors = follow(logs);
    let service = start(data, config(&acme().join("context"), &doors)).await;
    judged(&service.app, records(logs)).await;
    service
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_was_made_in_full_swing_is_the_service_as_it_was() {
    let dir = tempfile::tempdir().expect("a folder");
    let (data, logs, kept) = (dir.path().join("data"), dir.path().join("logs"), dir.path().join("kept"));
    copied("logs", &logs);
    let service = filled(&data, &logs).await;
    let app = service.app.clone();
    let mut lena = signed_in(&service, "lena", &["l1"]);
    blocking(move || {
        let cases = lena.get("/cases").json();
        let number = cases["cases"][0]["number"].as_i64().unwrap_or_else(|| panic!("{cases}"));
        assert_eq!(lena.post(&format!("/cases/{number}/notes"), json!({ "body": "seen" })).status, 200);
    })
    .await;
    // Records keep coming, files are written and the journal lets go, while the copy is made.
    let over = Arc::new(AtomicBool::new(false));
    let intake_over = over.clone();
    let busy = service.app.clone();
    let sending = tokio::task::spawn_blocking(move || {
        let mut n = 0;
        while !intake_over.load(Ordering::Relaxed) {
            let through = busy.progress.read.load(Ordering::Relaxed);
            busy.lake.flush(through.max(busy.lake.through())).expect("flushed");
            n += 1;
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        n
    });
    until("files are written", || app.lake.through() > 0).await;
    app.store.flush_audit().expect("written");
    let before = seen(&app);
    let (from, to) = (data.clone(), kept.clone());
    let done = blocking(move || backup(&Config::default(), &from, &to)).await.expect("a backup");
    over.store(true, Ordering::Relaxed);
    assert!(sending.await.expect("no panic") > 0 && done.files > 5, "{done:?}");
    let hits = found(&app, "hfaria");
    assert!(!hits.is_empty());
    let again = tempfile::tempdir().expect("a folder");
    service.close().await;
    // Once all is judged that it has: in between, cases are on their way.
    let cases = stored(&app);

    let place = again.path().join("data");
    let put_back = restore(&Config::default(), &kept, &place).expect("put back");
    assert_eq!(put_back, done);
    let service = start(&place, config(&acme().join("context"), "")).await;
    let app = service.app.clone();
    judged(&app, records(&logs)).await;
    until("it has taken up what it knew", || app.progress.ready.load(Ordering::Acquire)).await;
    assert_eq!(found(&app, "hfaria"), hits);
    assert_eq!(seen(&app), before);
    let proof = app.store.read(|tx| audit::verify(tx, None)).expect("the store");
    assert!(proof.faults.is_empty() && proof.entries > 1, "{proof:?}");
    service.close().await;
    compared(&stored(&app), &cases);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_whole_backup_is_not_put_back() {
    let dir = tempfile::tempdir().expect("a folder");
    let (data, kept) = (dir.path().join("data"), dir.path().join("kept"));
    let service = start(&data, config(&acme().join("context"), "")).await;
    service.close().await;
    let none = Config::default();
    backup(&none, &data, &kept).expect("a backup of a service that stands still");
    assert!(matches!(backup(&none, &data, &kept), Err(BackupError::NotEmpty(_))));
    assert!(matches!(restore(&none, &kept, &data), Err(BackupError::NotEmpty(_))));

    let place = dir.path().join("place");
    let list = std::fs::read(kept.join("backup.json")).expect("its list");
    let key = std::fs::read(kept.join("master.key")).expect("the key");
    std::fs::write(kept.join("master.key"), [7; 32]).expect("written");
    let told = restore(&none, &kept, &place).expect_err("damaged").to_string();
    assert!(told.contains("master.key") && told.contains("not what was written"), "{told}");
    assert!(!place.exists(), "nothing is written before all is checked");
    std::fs::write(kept.join("master.key"), key).expect("written");

    std::fs::remove_file(kept.join("backup.json")).expect("removed");
    assert!(matches!(restore(&none, &kept, &place), Err(BackupError::NoBackup(_))));
    let text = String::from_utf8(list).expect("JSON").replace("\"master.key\"", "\"../master.key\"");
    std::fs::write(kept.join("backup.json"), text).expect("written");
    let told = restore(&none, &kept, &place).expect_err("a path that leads out").to_string();
    assert!(told.contains("no path below it"), "{told}");

    // A restore that a crash cut off is not taken for a service.
    std::fs::create_dir_all(place.join("restoring")).expect("made");
    let begun = portreeve_server::Start {
        config: config(&acme().join("context"), ""),
        data: place,
        catalog: portreeve_pipeline::Catalog::built_in(),
    };
    let told = Service::start(begun).await.err().map(|e| e.to_string()).unwrap_or_default();
    assert!(told.contains("did not end"), "{told}");
}
