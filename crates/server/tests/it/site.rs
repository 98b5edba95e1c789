//! A service of its own for each test: the sample company's context, a folder for its data, doors on free ports.

use portreeve_context::Options as ContextOptions;
use portreeve_context::Tables;
use portreeve_model::SymbolTable;
use portreeve_pipeline::{Catalog, Options};
use portreeve_report::wire;
use portreeve_server::config::Config;
use portreeve_server::{App, Service, Start};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

pub(crate) fn acme() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/acme").canonicalize().expect("the sample")
}

/// A folder of the sample, to be changed.
pub(crate) fn copied(what: &str, to: &Path) {
    fn walk(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).expect("a folder");
        for entry in std::fs::read_dir(from).expect("the sample") {
            let path = entry.expect("an entry").path();
            let target = to.join(path.file_name().expect("a name"));
            if path.is_dir() {
                walk(&path, &target);
            } else {
                std::fs::copy(&path, &target).expect("copied");
            }
        }
    }
    walk(&acme().join(what), to);
}

/// A configuration with a context, and more.
pub(crate) fn config(context: &Path, more: &str) -> Config {
    let text = format!("[web]\nlisten = \"127.0.0.1:0\"\n[context]\ndir = {context:?}\n{more}");
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("portreeve.toml");
    std::fs::write(&path, text).expect("written");
    Config::read(&path).unwrap_or_else(|e| panic!("{e}"))
}

/// A file with a secret, as the configuration wants it.
pub(crate) fn secret(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text).expect("written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("changed");
}

pub(crate) async fn start(data: &Path, config: Config) -> Service {
    // What the service says is shown where a test fails.
    tracing_subscriber::fmt().with_test_writer().try_init().ok();
    let start = Start { config, data: data.to_owned(), catalog: Catalog::built_in() };
    Service::start(start).await.unwrap_or_else(|e| panic!("{e}"))
}

/// Waits for a condition; a loaded machine may take its time.
pub(crate) async fn until(what: &str, mut is: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < Duration::from_secs(240), "{what}: not within four minutes");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Until so many records are judged.
pub(crate) async fn judged(app: &App, records: u64) {
    let begun = Instant::now();
    while app.progress.judged.load(Ordering::Relaxed) < records {
        if begun.elapsed() > Duration::from_secs(180) {
            let health = app.health.read().expect("health");
            let read: Vec<_> =
                health.iter().map(|(o, h)| (o, h.read.as_ref().map(|r| r.counts.records))).collect();
            panic!("{records} records: {:?} {read:#?}", app.progress);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The cases of the store that stand, as the engine wrote them, by its id.
pub(crate) fn stored(app: &App) -> BTreeMap<String, serde_json::Value> {
    use portreeve_store::case::{document, engine};
    app.store
        .read(|tx| {
            let ids = engine::standing(tx, i64::MIN)?;
            let mut all = BTreeMap::new();
            for id in ids {
                let case = engine::case_of(tx, &id)?.expect("a case of a part that stands");
                for document in document::of_case(tx, case)? {
                    if document.engine_id == id {
                        all.insert(id.clone(), serde_json::from_str(&document.text).expect("JSON"));
                    }
                }
            }
            Ok(all)
        })
        .expect("the store")
}

/// The cases of a hunt over these paths.
pub(crate) fn hunted(paths: &[PathBuf], context: &Path) -> BTreeMap<String, serde_json::Value> {
    let names = SymbolTable::new();
    let context = ContextOptions { dir: Some(context.to_owned()), ..ContextOptions::default() };
    let tables = Tables::load(&context, names.clone()).expect("the sample's context");
    let content = portreeve_content::Content::embedded().expect("content");
    let options = Options {
        paths: paths.to_vec(),
        since: None,
        until: None,
        zone: None,
        year: None,
        threads: 2,
        source: None,
        catalog: Catalog::built_in(),
        mask: false,
        state: None,
        progress: None,
    };
    let outcome = portreeve_pipeline::run(&options, &tables, &names, &content).expect("a hunt");
    let cases = outcome.cases.iter().map(wire::Case::from);
    cases.map(|c| (c.case_id.clone(), serde_json::to_value(&c).expect("JSON"))).collect()
}
