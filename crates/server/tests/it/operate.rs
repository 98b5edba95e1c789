//! The service under the hands of who runs it: files read again, doors that close, figures, what stands before it.

use super::browser::{Browser, now, signed_in};
use super::site::{acme, config, start, until};
use portreeve_server::config::Config;
use portreeve_server::{Service, desk::health};
use portreeve_store::idempotency::{self, Begun};
use portreeve_store::{Location, Store};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn sum(token: &str) -> String {
    Sha256::digest(token).iter().map(|b| format!("{b:02x}")).collect()
}

pub(crate) fn source(name: &str, token: &str) -> String {
    format!("[sources.{name}]\ntoken_sha256 = [\"{}\"]\n", sum(token))
}

/// A shipper, which keeps no cookie.
fn shipper(service: &Service, token: &str) -> Browser {
    let mut browser = Browser::new(service).with("Authorization", &format!("Bearer {token}"));
    browser.origin = None;
    browser
}

fn sent(shipper: &mut Browser, lines: &str) -> u16 {
    shipper.send("POST", "/ingest", Some(("application/x-ndjson", lines))).status
}

pub(crate) async fn blocking<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(f).await.expect("no panic")
}

fn write(path: &Path, text: &str) {
    // As editors and configuration management do: there is never half a file.
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).expect("written");
    std::fs::rename(beside, path).expect("renamed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_is_read_again_and_no_record_is_lost() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("portreeve.toml");
    let head = format!("[web]\nlisten = \"127.0.0.1:0\"\n[context]\ndir = {:?}\n", acme().join("context"));
    write(&path, &format!("{head}{}", source("edge", "first")));
    let service = start(&dir.path().join("data"), Config::read(&path).expect("a configuration")).await;
    let app = service.app.clone();
    let again = path.clone();
    app.rereads(Box::new(move || Config::read(&again)));

    let done = Arc::new(AtomicBool::new(false));
    let (mut edge, mut second) = (shipper(&service, "first"), shipper(&service, "second"));
    let over = done.clone();
    let sending = tokio::task::spawn_blocking(move || {
        let mut stored = 0;
        while !over.load(Ordering::Relaxed) || stored == 0 {
            assert_eq!(sent(&mut edge, "{\"n\":1}\n{\"n\":2}\n"), 200);
            stored += 2;
        }
        stored
    });
    let (reloaded, reloading) = (path.clone(), app.clone());
    blocking(move || {
        assert_eq!(sent(&mut second, "{}\n"), 401);
        let more = "[engine]\nkept_hot_h = 48\n";
        let both = format!("{}{}", source("edge", "first"), source("late", "second"));
        write(&reloaded, &format!("{head}{more}{both}"));
        let changed = reloading.reload().expect("a good file");
        assert_eq!(changed.taken, ["sources.late"]);
        assert_eq!(changed.restart, ["engine.kept_hot_h"]);
        assert_eq!(sent(&mut second, "{}\n"), 200);

        write(&reloaded, &format!("{head}{both}[web.tls\n"));
        let told = reloading.reload().expect_err("a broken file").to_string();
        assert!(told.starts_with(&format!("{}:9:", reloaded.display())), "{told}");
        assert_eq!(sent(&mut second, "{}\n"), 200, "what was in force stays");

        // Taken back, it shuts the door again.
        write(&reloaded, &format!("{head}{}", source("edge", "first")));
        assert_eq!(reloading.reload().expect("a good file").restart, [""; 0]);
        assert_eq!(sent(&mut second, "{}\n"), 401);
    })
    .await;
    done.store(true, Ordering::Relaxed);
    let stored: u64 = sending.await.expect("every record was taken");
    assert_eq!(app.progress.kept.load(Ordering::Relaxed), stored + 2);
    service.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_door_that_had_to_close_is_a_problem_until_it_is_open_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let program = dir.path().join("journalctl");
    let doors = format!("[[doors.journald]]\nsource = \"host\"\njournalctl = {program:?}\n");
    let service = start(&dir.path().join("data"), config(&acme().join("context"), &doors)).await;
    let app = service.app.clone();
    let mut admin = signed_in(&service, "root", &["responder-admin"]);
    let problems = move |browser: &mut Browser| {
        let view = browser.get("/health");
        assert_eq!(view.status, 200, "{}", view.text);
        view.json()["problems"].clone()
    };
    let (mut admin, seen) = blocking(move || {
        let begun = std::time::Instant::now();
        loop {
            let seen = problems(&mut admin);
            if seen[0]["part"] == "door" || begun.elapsed().as_secs() > 120 {
                return (admin, seen);
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    })
    .await;
    assert_eq!(seen[0]["name"], "journald host", "{seen}");
    assert!(seen[0]["why"].as_str().is_some_and(|w| w.contains("comes with systemd")), "{seen}");

    let beside = dir.path().join("written");
    let script = "#!/bin/sh\nprintf '__CURSOR=c1\\n__REALTIME_TIMESTAMP=1772788329000000\\nMESSAGE=hello\\n\\n'\nexec sleep 300\n";
    std::fs::write(&beside, script).expect("written");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&beside, open).expect("changed");
    std::fs::rename(&beside, &program).expect("renamed");
    until("an entry came", || app.progress.kept.load(Ordering::Relaxed) == 1).await;
    let begun = std::time::Instant::now();
    loop {
        let (back, seen) = blocking(move || {
            let seen = problems(&mut admin);
            (admin, seen)
        })
        .await;
        admin = back;
        if seen == json!([]) {
            break;
        }
        assert!(begun.elapsed().as_secs() < 120, "{seen}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    service.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_for_who_may_read_them() {
    let dir = tempfile::tempdir().expect("a folder");
    let more = format!("[[doors.follow]]\npaths = [\"/nowhere/*.log\"]\n{}", source("edge", "secret"));
    let service = start(dir.path(), config(&acme().join("context"), &more)).await;
    let mut admin = signed_in(&service, "root", &["responder-admin"]);
    let nobody = Browser::new(&service);
    let mut edge = shipper(&service, "secret");
    blocking(move || {
        assert_eq!(sent(&mut edge, "{}\n"), 200);
        assert_eq!(nobody.clone().send("GET", "/metrics", None).status, 401);
        let of = |token: &str| {
            let mut scraper = nobody.with("Authorization", &format!("Bearer {token}"));
            scraper.send("GET", "/metrics", None)
        };
        assert_eq!(of("secret").status, 401, "a source's token opens doors for records alone");
        let made = admin.post("/tokens", json!({ "name": "prometheus", "roles": ["viewer"] }));
        let told = of(made.json()["secret"].as_str().unwrap_or_else(|| panic!("{}", made.text)));
        assert_eq!(told.status, 200, "{}", told.text);
        for wanted in [
            "portreeve_records_kept_total 1\n",
            "portreeve_door_open{door=\"follow /nowhere/*.log\"} 1\n",
            "portreeve_door_records_stored_total{door=\"ndjson\",source=\"edge\"} 1\n",
            "portreeve_store_up 1\n",
            "portreeve_problems 0\n",
        ] {
            assert!(told.text.contains(wanted), "{wanted}{}", told.text);
        }
        // Each figure stands in the page for operators, and no other.
        let page = include_str!("../../../../docs/operations.md");
        let mut given: Vec<&str> =
            told.text.lines().filter_map(|l| l.strip_prefix("# TYPE ")?.split(' ').next()).collect();
        let cells = page.lines().filter_map(|l| l.strip_prefix("| `portreeve_")?.split('`').next());
        let mut listed: Vec<String> = cells.map(|name| format!("portreeve_{name}")).collect();
        given.sort_unstable();
        listed.sort();
        assert_eq!(listed, given);
    })
    .await;
    service.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_that_is_offered_again_is_a_record() {
    let dir = tempfile::tempdir().expect("a folder");
    let more = format!("{}limits = {{ record_bytes = 64 }}\n", source("edge", "secret"));
    let service = start(dir.path(), config(&acme().join("context"), &more)).await;
    let app = service.app.clone();
    let mut edge = shipper(&service, "secret");
    let mut admin = signed_in(&service, "root", &["responder-admin"]);
    let mut viewer = signed_in(&service, "vera", &["viewer"]);
    let long = format!("{{\"n\":\"{}\"}}", "x".repeat(100));
    let line = long.clone();
    blocking(move || {
        assert_eq!(sent(&mut edge, &format!("{{}}\n{line}\n")), 200);
        // It is on its way to its file when the peer is answered.
        let begun = std::time::Instant::now();
        let letters = loop {
            let letters = admin.get("/dead-letters").json();
            if letters != json!([]) || begun.elapsed().as_secs() > 120 {
                break letters;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        };
        assert_eq!(letters.as_array().map(Vec::len), Some(1), "{letters}");
        assert_eq!((&letters[0]["door"], &letters[0]["origin"]), (&json!("ndjson"), &json!("edge")));
        let ids = json!({ "ids": [letters[0]["id"]] });
        assert_eq!(viewer.post("/dead-letters/replay", ids.clone()).status, 403);
        let done = admin.post("/dead-letters/replay", ids.clone());
        assert_eq!((done.status, &done.json()["stored"]), (200, &json!(1)), "{}", done.text);
        assert_eq!(admin.get("/dead-letters").json(), json!([]));
        // Once is enough.
        assert_eq!(admin.post("/dead-letters/replay", ids).json()["stored"], 0);
    })
    .await;
    assert_eq!(app.progress.kept.load(Ordering::Relaxed), 2);
    until("it was read", || app.progress.read.load(Ordering::Relaxed) == 2).await;
    service.close().await;
    let query = portreeve_lake::Query { text: Some("xxxx".to_owned()), limit: 10, ..Default::default() };
    let found = app.lake.search(&query).expect("the lake");
    let origin =
        found.rows[0].fields().find(|(name, _)| *name == "origin").map(|(_, field)| format!("{field:?}"));
    assert!(found.rows.len() == 1 && origin.is_some_and(|o| o.contains("edge")), "{}", found.rows.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_proxy_that_is_trusted_says_who_comes() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut with = config(&acme().join("context"), "");
    with.web.trusted_proxies =
        vec!["127.0.0.0/8".parse().expect("a network"), "10.0.0.0/8".parse().expect("one")];
    let behind = start(&dir.path().join("behind"), with).await;
    let bare = start(&dir.path().join("bare"), config(&acme().join("context"), "")).await;
    for (service, said, wanted) in [
        (&behind, "203.0.113.9", "203.0.113.9"),
        // Each proxy adds whom it saw at the end; what the client wrote itself stands before that.
        (&behind, "198.51.100.66, 203.0.113.9", "203.0.113.9"),
        (&behind, "198.51.100.66, 203.0.113.9, 10.1.2.3", "203.0.113.9"),
        (&behind, "203.0.113.9, garbage", "127.0.0.1"),
        (&bare, "203.0.113.9", "127.0.0.1"),
    ] {
        let app = service.app.clone();
        let name = format!("u{}", now());
        let mut admin = signed_in(service, &name, &["responder-admin"]).with("X-Forwarded-For", said);
        let seen = blocking(move || {
            assert_eq!(admin.get("/people").status, 200);
            app.store.flush_audit().expect("written");
            let query = portreeve_store::audit::Query {
                actor: None,
                object: None,
                from: None,
                to: None,
                before: None,
            };
            let all = app.store.read(|tx| portreeve_store::audit::list(tx, &query, 100)).expect("the store");
            let mine = all.into_iter().find(|e| e.entry.actor.ends_with(&name)).expect("an entry");
            mine.entry.address
        })
        .await;
        assert_eq!(seen, wanted, "{said}");
    }
    behind.close().await;
    bare.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_run_out_leaves_the_store() {
    let dir = tempfile::tempdir().expect("a folder");
    let store =
        Store::open(&Location::sqlite(dir.path().join("store.db")), &dir.path().join("evidence"), now());
    let store = store.expect("a store");
    let until_old = now() - 1;
    for (key, until) in [("old", until_old), ("new", now() + 3_600_000_000)] {
        let begun = store.write(|tx| idempotency::begin(tx, "t", key, &[0; 32], until - 1, until));
        assert_eq!(begun.expect("the store"), Begun::New);
    }
    store.close().expect("closed");
    let service = start(dir.path(), config(&acme().join("context"), "")).await;
    let app = service.app.clone();
    // Asked as if it had not run out: where it is still kept, it is known.
    let asked = |key: &str, at: i64| {
        app.store.write(|tx| idempotency::begin(tx, "t", key, &[0; 32], at, at + 1)).expect("the store")
    };
    until("the old one is gone", || asked("old", until_old - 1) == Begun::New).await;
    assert_eq!(asked("new", now()), Begun::InProgress);
    health::reload_and_say(&app);
    service.close().await;
}
