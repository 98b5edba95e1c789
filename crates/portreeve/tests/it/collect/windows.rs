//! Collections that other tools made on Windows hosts, and archives that only look like one.

use super::{manifest, verify};
use crate::company::portreeve;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use zip::write::SimpleFileOptions;

const EVTX: &[u8] = b"ElfFile\0not really, but it begins like one";

pub(super) fn archive(dir: &Path, files: &[(&str, &[u8])]) -> PathBuf {
    let path = dir.join("collection.zip");
    let mut zip = zip::ZipWriter::new(fs::File::create(&path).expect("made"));
    for (name, bytes) in files {
        zip.start_file(*name, SimpleFileOptions::default()).expect("an entry");
        zip.write_all(bytes).expect("written");
    }
    zip.finish().expect("closed");
    path
}

pub(super) fn import(from: &Path, out: &Path, more: &[&str]) -> PathBuf {
    portreeve()
        .args(["collect", "--name", "ws1", "--case", "2026-114", "--import"])
        .arg(from)
        .arg("--out")
        .arg(out)
        .args(more)
        .assert()
        .success();
    out.join("ws1")
}

fn files(dir: &Path) -> Vec<String> {
    let manifest = manifest(dir);
    let files = manifest["files"].as_array().expect("files");
    files.iter().map(|f| f["path"].as_str().expect("a path").to_owned()).collect()
}

fn problems(dir: &Path) -> String {
    manifest(dir)["artifacts"].to_string()
}

#[test]
fn kape_with_its_copy_log() {
    let dir = TempDir::new().expect("a folder");
    // SHA-1 of the event log, and one that is not.
    let sum = "5dc0b0dd4c2ccd3a2a4a9a5f2b1a6b8ffb1b8c3e";
    let log = format!(
        "CopiedTimestamp,SourceFile,DestinationFile,FileSize,SourceFileSha1,DeferredCopy,CreatedOnUtc,ModifiedOnUtc\n\
         x,C:\\Windows\\System32\\winevt\\Logs\\Security.evtx,D:\\x,{},{sum},False,x,2026-11-27 10:00:00.5\n",
        EVTX.len()
    );
    let zip = archive(
        dir.path(),
        &[
            ("C/Windows/System32/winevt/Logs/Security.evtx", EVTX),
            ("C/Windows/System32/LogFiles/Firewall/pfirewall.log", b"#Version: 1.5\n"),
            ("C/Users/anna/NTUSER.DAT", b"regf"),
            ("2026-11-27T10_00_00_CopyLog.csv", log.as_bytes()),
        ],
    );
    let package = import(&zip, dir.path(), &[]);
    assert_eq!(
        files(&package),
        [
            "files/C/Users/anna/NTUSER.DAT",
            "files/kape/2026-11-27T10_00_00_CopyLog.csv",
            "logs/C/Windows/System32/LogFiles/Firewall/pfirewall.log",
            "logs/C/Windows/System32/winevt/Logs/Security.evtx",
        ]
    );
    let manifest = manifest(&package);
    assert_eq!(manifest["kind"], "kape");
    let event_log = &manifest["files"][3];
    assert_eq!(event_log["origin"], "C:\\Windows\\System32\\winevt\\Logs\\Security.evtx");
    assert_eq!(event_log["mtime"], "2026-11-27T10:00:00.500Z");
    assert!(problems(&package).contains("KAPE's copy log says SHA-1 5dc0"), "{}", problems(&package));
    let custody = fs::read_to_string(package.join("custody.jsonl")).expect("a log");
    assert!(custody.contains("import began") && custody.contains("2026-114"));
    let (code, said) = verify(&dir.path().join("ws1.tar.zst"), &[]);
    assert_eq!(code, 0, "{said}");
}

#[test]
fn velociraptor_with_escaped_paths() {
    let dir = TempDir::new().expect("a folder");
    let zip = archive(
        dir.path(),
        &[
            ("uploads/auto/C%3A/Windows/System32/winevt/Logs/a%20b%4Operational.evtx", b"no"),
            ("uploads/auto/C%3A/Windows/System32/winevt/Logs/TS%254Operational.evtx", EVTX),
            ("uploads/ntfs/%5C%5C.%5CC%3A/$MFT", b"FILE0"),
            ("uploads.json", b"{}\n"),
            ("results/Windows.KapeFiles.Targets.json", b"{}\n"),
            ("client_info.json", br#"{"Hostname":"WS1"}"#),
        ],
    );
    let package = import(&zip, dir.path(), &[]);
    assert_eq!(
        files(&package),
        [
            "files/C/$MFT",
            "files/velociraptor/client_info.json",
            "files/velociraptor/results/Windows.KapeFiles.Targets.json",
            "files/velociraptor/uploads.json",
            "logs/C/Windows/System32/winevt/Logs/TS%254Operational.evtx",
        ]
    );
    assert_eq!(manifest(&package)["host"]["name"], "WS1");
    assert!(problems(&package).contains("an escape that means nothing"));
}

#[test]
fn a_folder_of_event_logs_without_its_links() {
    let dir = TempDir::new().expect("a folder");
    let from = dir.path().join("from");
    fs::create_dir_all(from.join("sub")).expect("a folder");
    fs::write(from.join("Security.evtx"), EVTX).expect("written");
    fs::write(from.join("sub/notes.txt"), "x").expect("written");
    std::os::unix::fs::symlink("/etc/passwd", from.join("System.evtx")).expect("a link");
    std::os::unix::fs::symlink("/etc", from.join("etc")).expect("a link");
    let package = import(&from, dir.path(), &[]);
    assert_eq!(files(&package), ["files/sub/notes.txt", "logs/Security.evtx"]);
    assert!(problems(&package).contains("System.evtx: refused: a link"));
}

#[test]
fn nothing_gets_out_of_its_folder() {
    let dir = TempDir::new().expect("a folder");
    let zip = archive(
        dir.path(),
        &[
            ("C/Windows/x.evtx", EVTX),
            ("../../escaped", b"x"),
            ("/tmp/absolute", b"x"),
            ("C/..\\..\\..\\backwards", b"x"),
            ("C:\\drive", b"x"),
            ("C/Windows/x.evtx/inner", b"x"),
            ("C/a\nb\x1b[31m", b"x"),
        ],
    );
    let package = import(&zip, &dir.path().join("out"), &[]);
    assert!(problems(&package).matches("refused").count() >= 4, "{}", problems(&package));
    let mut all = Vec::new();
    let mut todo = vec![dir.path().to_owned()];
    while let Some(folder) = todo.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                todo.push(path);
            } else if !path.starts_with(&package) {
                all.push(path.file_name().expect("a name").to_string_lossy().into_owned());
            }
        }
    }
    all.sort();
    assert_eq!(all, ["collection.zip", "ws1.tar.zst", "ws1.tar.zst.sha256"]);
    assert_eq!(verify(&package, &[]).0, 0);
}

#[test]
fn a_bomb_is_left_out() {
    let dir = TempDir::new().expect("a folder");
    let zeros = vec![0; 70 << 20];
    let zip = archive(dir.path(), &[("C/Windows/x.evtx", EVTX), ("C/Windows/bomb.bin", &zeros)]);
    let package = import(&zip, dir.path(), &[]);
    assert_eq!(files(&package), ["logs/C/Windows/x.evtx"]);
    assert!(problems(&package).contains("bomb.bin: refused: it unpacks to more than the limits allow"));
}

#[test]
fn what_is_no_collection_is_refused() {
    let dir = TempDir::new().expect("a folder");
    for files in
        [&[("a.txt", &b"x"[..])][..], &[("x.vhdx", b"x")], &[("data.zip", b"x"), ("metadata.json", b"x")]]
    {
        let zip = archive(dir.path(), files);
        portreeve()
            .args(["collect", "--import"])
            .arg(&zip)
            .arg("--out")
            .arg(dir.path().join("out"))
            .assert()
            .code(64);
    }
    assert!(!dir.path().join("out").exists());
}
