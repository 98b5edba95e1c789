//! One containment from case to proof to undo, on the binary, against a real kernel: the way of docs/respond.md.

use crate::edge::Edge;
use assert_cmd::Command;
use std::path::{Path, PathBuf};
use std::process::Output;

fn portreeve() -> Command {
    #[allow(deprecated)]
    Command::cargo_bin("portreeve").unwrap()
}

struct Site {
    dir: PathBuf,
}

impl Site {
    fn run(&self, who: &str, args: &[&str]) -> Output {
        let mut all = vec!["respond"];
        all.extend(args);
        let config = self.dir.join("respond.yml");
        let context = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/acme/context");
        portreeve()
            .args(&all)
            .arg("--config")
            .arg(config)
            .args(["--context", context, "--as", who, "--key"])
            .arg(self.dir.join(format!("{who}.key")))
            .output()
            .unwrap()
    }

    fn ok(&self, who: &str, args: &[&str]) -> String {
        let out = self.run(who, args);
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(out.status.success(), "{args:?}: {text}{}", String::from_utf8_lossy(&out.stderr));
        text
    }
}

fn operator(dir: &Path, name: &str, tier: &str) -> String {
    let key = dir.join(format!("{name}.key"));
    let out =
        portreeve().args(["respond", "operator", name, "--tier", tier, "--out"]).arg(&key).output().unwrap();
    assert!(out.status.success());
    let text = String::from_utf8(out.stdout).unwrap();
    let line = text.lines().find(|l| l.contains("public_key")).unwrap();
    format!("  - {{name: {name}, tier: {tier}, {}}}\n", line.trim())
}

fn digest(text: &str) -> String {
    text.lines()
        .find_map(|l| l.strip_prefix("digest "))
        .unwrap_or_else(|| panic!("no digest in {text}"))
        .to_owned()
}

#[test]
fn from_case_to_proof_to_undo() {
    let Some(edge) = Edge::new() else { return };
    let dir = tempfile::tempdir().unwrap();
    let acme = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/acme");
    let report = dir.path().join("report");
    let hunt = portreeve()
        .args(["hunt", &format!("{acme}/logs"), "--context", &format!("{acme}/context"), "--out"])
        .arg(&report)
        .output()
        .unwrap();
    assert!(hunt.status.success());
    let cases: serde_json::Value =
        serde_json::from_slice(&std::fs::read(report.join("cases.json")).unwrap()).unwrap();
    let case = cases["cases"]
        .as_array()
        .unwrap()
        .iter()
        .find(|c| {
            c["decision"] == "escalate"
                && c["containment"].as_array().unwrap().iter().any(|a| a["id"] == "block_ip")
        })
        .unwrap();
    let id = case["case_id"].as_str().unwrap();
    let block = case["containment"].as_array().unwrap().iter().find(|a| a["id"] == "block_ip").unwrap();
    let address = block["subject"]["address"].as_str().unwrap();

    let people: String = [("lena", "l1"), ("tom", "t2"), ("tess", "t3")]
        .iter()
        .map(|(n, t)| operator(dir.path(), n, t))
        .collect();
    std::fs::write(
        dir.path().join("respond.yml"),
        format!("ledger: ledger.db\noperators:\n{people}connectors:\n{}", edge.connector()),
    )
    .unwrap();
    let site = Site { dir: dir.path().to_owned() };
    let from = report.to_str().unwrap();

    // Nobody proposes in another's name, to approve it then as himself.
    let context = format!("{acme}/context");
    let other = portreeve()
        .args(["respond", "plan", id, "--in", from, "--as", "lena", "--context", &context, "--config"])
        .arg(dir.path().join("respond.yml"))
        .arg("--key")
        .arg(dir.path().join("tess.key"))
        .output()
        .unwrap();
    assert_eq!(other.status.code(), Some(65), "{}", String::from_utf8_lossy(&other.stderr));
    // The refusal is in the ledger, and no plan that nobody proposed.
    assert!(site.ok("tom", &["status"]).contains("no plan yet"));
    let audit = site.ok("tom", &["verify-audit"]);
    assert!(audit.contains("1 entries, 0 plans, 0 words, 0 checkpoints: whole"), "{audit}");
    assert!(audit.contains(&format!("a proposal of lena for case {id}: the signature of lena")), "{audit}");

    // L1 plans and cannot approve; the plan says what it leaves out.
    let text = site.ok("lena", &["plan", id, "--in", from]);
    assert!(text.contains(&format!("Block the address: {address}")), "{text}");
    assert!(text.contains("not in the plan:"), "{text}");
    assert!(!edge.rules().contains(address), "a plan changes nothing");
    let digest = digest(&text);
    let early = site.run("tom", &["apply", "--plan", &digest, "--reason", "now"]);
    assert_eq!(early.status.code(), Some(65), "not approved yet");
    let own = site.run("lena", &["approve", &digest, "--reason", "I am sure"]);
    assert_eq!(own.status.code(), Some(65));
    site.ok("tess", &["approve", &digest[..10], "--reason", "seen the case"]);
    let done = site.ok("tom", &["apply", "--plan", &digest, "--reason", "contain"]);
    assert!(done.contains("VERIFIED"), "{done}");
    assert!(edge.rules().contains(address), "{}", edge.rules());

    let status = site.ok("tom", &["status", &digest]);
    assert!(status.contains("VERIFIED") && status.contains("until"), "{status}");
    site.ok("tom", &["reconcile"]);

    // Planned once more, it is our own step that stands there, and no other hand's.
    let again = site.run("lena", &["plan", id, "--in", from]);
    let again_text = String::from_utf8_lossy(&again.stdout).into_owned();
    assert_eq!(again.status.code(), Some(1), "nothing is left to do: {again_text}");
    assert!(again_text.contains("in force already by step "), "{again_text}");
    assert!(
        again_text.contains(&format!("of plan {} (case {id}, verified since", &digest[..12])),
        "{again_text}"
    );
    assert!(!again_text.contains("another hand"), "{again_text}");

    commands_take_back_what_commands_did(&site, &edge, address, &digest);

    // The intruder shows up after containment.
    let log = dir.path().join("later.log");
    let stamp = (jiff::Timestamp::now() + jiff::SignedDuration::from_mins(5))
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string();
    let back = format!("{stamp} gw1 sshd[77]: Accepted password for anna from {address} port 4711 ssh2\n");
    let mut text = back.repeat(2).into_bytes();
    // A hostile name, a cut line, one of 2 MB, bytes that are no text, a bad date, the far future.
    text.extend(
        format!("{stamp} gw1 sshd[78]: Failed password for \u{1b}[2Jx from {address} port 1 ssh2\n").bytes(),
    );
    text.extend(format!("{stamp} gw1 sshd[79]: Accepted passw\n").bytes());
    text.extend(vec![b'x'; 2_000_000]);
    text.extend(b"\n\xff\xfe\x00\n2026-13-45T99:00:00Z gw1 sshd[80]: Accepted password for anna from 192.0.2.1 port 1 ssh2\n");
    text.extend(
        b"2999-01-01T00:00:00Z gw1 sshd[81]: Accepted password for anna from 192.0.2.1 port 1 ssh2\n",
    );
    std::fs::write(&log, text).unwrap();
    let seen = site.run("tom", &["watch", log.to_str().unwrap()]);
    let seen_text = String::from_utf8_lossy(&seen.stdout).into_owned();
    assert_eq!(seen.status.code(), Some(1), "{seen_text}{}", String::from_utf8_lossy(&seen.stderr));
    assert_eq!(
        seen_text.matches("CONTAINMENT INEFFECTIVE").count(),
        1,
        "delivered twice is one: {seen_text}"
    );
    assert!(seen_text.contains("tried, kept out") && !seen_text.contains('\u{1b}'), "{seen_text}");
    assert!(
        seen_text.contains("8 records, ") && seen_text.contains("1 delivered twice, 1 far in the future"),
        "{seen_text}"
    );
    // A hunt over the same log shows it by itself, with the step that did not hold.
    let hunt = portreeve()
        .args(["hunt", log.to_str().unwrap(), "--context", &context, "--out"])
        .arg(dir.path().join("after"))
        .arg("--config")
        .arg(dir.path().join("respond.yml"))
        .env("COLUMNS", "160")
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    let table = String::from_utf8_lossy(&hunt.stdout).into_owned();
    assert!(table.contains("CONTAINMENT INEFFECTIVE"), "{table}");
    assert!(
        table.contains(&format!("of plan {} (Block the address: {address} at edge)", &digest[..12])),
        "{table}"
    );
    assert!(table.contains(&format!("case {id}: got in once")), "{table}");
    assert!(!table.contains('\u{1b}'), "{table}");
    let explained = portreeve()
        .args(["explain", id, "--in", from, "--config"])
        .arg(dir.path().join("respond.yml"))
        .env("COLUMNS", "160")
        .output()
        .unwrap();
    // What the ledger knows of the contained case is shown whatever logs are read.
    let once_more = dir.path().join("once more");
    let hunt = portreeve()
        .args(["hunt", &format!("{acme}/logs"), "--context", &context, "--format", "json", "--out"])
        .arg(&once_more)
        .arg("--config")
        .arg(dir.path().join("respond.yml"))
        .output()
        .unwrap();
    assert!(hunt.status.success());
    let known: serde_json::Value =
        serde_json::from_slice(&std::fs::read(once_more.join("cases.json")).unwrap()).unwrap();
    let known = known["cases"].as_array().unwrap().iter().find(|c| c["case_id"] == id).unwrap();
    assert_eq!(known["containment_ineffective"][0]["plan"], digest[..12]);
    assert_eq!(known["containment_ineffective"][0]["times"], 1);
    assert_eq!(known["aftermath"]["actions"][0]["state"], "verified");
    assert_eq!(known["aftermath"]["actions"][0]["approved_by"][0], "tess");
    let explained = String::from_utf8_lossy(&explained.stdout).into_owned();
    let named = format!("CONTAINMENT INEFFECTIVE: step 1 of plan {} (Block the address", &digest[..12]);
    for said in [named.as_str(), "in force Block the address", "approved by tess", "GOT IN"] {
        assert!(explained.contains(said), "{said} is missing in {explained}");
    }
    // Read again, nothing is new.
    let again = site.run("tom", &["watch", log.to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&again.stdout).contains("; 0 told for the first time"));

    let note = site.ok("tom", &["export", id, "--in", from, "--to", "handover"]);
    for text in ["**in force** Block the address", "approved by: tess", "next deadline", "**got in**"] {
        assert!(note.contains(text), "{text} is missing in {note}");
    }

    let undone = site.ok("tom", &["rollback", &digest, "--reason", "a false alarm"]);
    assert!(undone.contains("ROLLED BACK"), "{undone}");
    assert!(!edge.rules().contains(address));
    let note = site.ok("tom", &["export", id, "--in", from, "--to", "handover"]);
    assert!(note.contains("**ended** Block the address"), "{note}");
    assert!(site.ok("tom", &["verify-audit"]).contains("whole"));

    // Somebody edits the ledger.
    let db = dir.path().join("ledger.db");
    let bytes = std::fs::read(&db).unwrap();
    let needle = b"a false alarm";
    if let Some(at) = bytes.windows(needle.len()).position(|w| w == needle) {
        let mut changed = bytes;
        changed[at] = b'A';
        std::fs::write(&db, changed).unwrap();
        drop(std::fs::remove_file(dir.path().join("ledger.db-wal")));
        assert_eq!(site.run("tom", &["verify-audit"]).status.code(), Some(1));
    }
}

/// An OpenC2 consumer over the same device: what a command denied a command lets in again, what people approved it
/// does not.
fn commands_take_back_what_commands_did(site: &Site, edge: &Edge, address: &str, digest: &str) {
    use std::io::{BufRead, BufReader, Read, Write};
    #[allow(deprecated)]
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("portreeve"))
        .args(["respond", "openc2", "--device", "edge", "--listen", "127.0.0.1:0", "--config"])
        .arg(site.dir.join("respond.yml"))
        .env_remove("PORTREEVE_CONTEXT")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let place = line.trim().rsplit(' ').next().unwrap().to_owned();
    let mut count = 0;
    let mut ask = |action: &str, net: &str| {
        count += 1;
        let body = format!("{{\"action\": \"{action}\", \"target\": {{\"ipv4_net\": \"{net}\"}}}}");
        let mut stream = std::net::TcpStream::connect(&place).unwrap();
        stream.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
        write!(
            stream,
            "POST /.well-known/openc2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Request-ID: c{count}\r\n\
             Content-Type: application/openc2+json;version=1.0\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let denied = ask("deny", "192.0.2.77");
    let there = edge.rules().contains("192.0.2.77");
    let allowed = ask("allow", "192.0.2.77");
    let gone = !edge.rules().contains("192.0.2.77");
    let approved = ask("allow", address);
    let nobody = ask("allow", "192.0.2.78");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(denied.starts_with("HTTP/1.1 200") && there, "{denied}");
    assert!(allowed.starts_with("HTTP/1.1 200") && gone, "{allowed}");
    assert!(approved.starts_with("HTTP/1.1 403"), "{approved}");
    assert!(approved.contains(&digest[..12]) && approved.contains("respond rollback"), "{approved}");
    assert!(nobody.starts_with("HTTP/1.1 501") && nobody.contains("Rule not updated"), "{nobody}");
    assert!(edge.rules().contains(address), "{}", edge.rules());
}

#[test]
fn a_wrong_configuration_names_file_and_cause() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("respond.yml");
    std::fs::write(&config, "ledger: l.db\noperators: []\nconnectors:\n  - {name: a, kind: nftaples}\n")
        .unwrap();
    let out = portreeve().args(["respond", "status", "--config"]).arg(&config).output().unwrap();
    assert_eq!(out.status.code(), Some(64));
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(text.contains("respond.yml") && text.contains("`nftaples` is none of"), "{text}");
    let none = portreeve().args(["respond", "status"]).env_remove("PORTREEVE_RESPOND").output().unwrap();
    assert_eq!(none.status.code(), Some(64));
}

#[test]
fn every_connector_is_listed_with_how_far_it_is_tested() {
    let out = portreeve().args(["respond", "connectors"]).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    for connector in portreeve_respond::connectors::CONNECTORS {
        let line = text.lines().find(|l| l.starts_with(&format!("{} ", connector.name))).unwrap();
        assert!(line.contains(connector.proof.name()), "{line}");
        for can in connector.can {
            assert!(
                !can.effect.is_empty()
                    && !can.leaves_open.is_empty()
                    && !can.undo.is_empty()
                    && !can.verified_by.is_empty(),
                "{} {}",
                connector.name,
                can.act.id()
            );
        }
    }
}

#[test]
fn an_automation_acts_for_its_signers_and_leaves_heavier_plans_to_people() {
    let Some(edge) = Edge::new() else { return };
    let dir = tempfile::tempdir().unwrap();
    let acme = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/acme");
    let report = dir.path().join("report");
    let logs = format!("{acme}/logs");
    let context = format!("{acme}/context");
    let hunt =
        portreeve().args(["hunt", &logs, "--context", &context, "--out"]).arg(&report).output().unwrap();
    assert!(hunt.status.success());
    let people: String =
        [("tom", "t2"), ("tim", "t2")].iter().map(|(n, t)| operator(dir.path(), n, t)).collect();
    let config = |signed: &str| {
        let text = format!(
            "ledger: ledger.db\noperators:\n{people}connectors:\n{}\
             automations:\n  - name: listed\n    when: {{risk: 20}}\n    acts: [block_address]\n    hours: 2\n    until: 2999-01-31\n    signed:\n{signed}",
            edge.connector()
        );
        std::fs::write(dir.path().join("respond.yml"), text).unwrap();
    };
    config("      []\n");
    let site = Site { dir: dir.path().to_owned() };
    let from = report.to_str().unwrap();
    let alone = site.run("tom", &["automate", "--in", from, "--dry-run"]);
    assert!(String::from_utf8_lossy(&alone.stdout).contains("Block the address"), "{alone:?}");
    assert!(!edge.rules().contains("elements"), "a dry run sends nothing");
    let word = |who: &str| {
        let text = site.ok(who, &["sign-automation", "listed", "--reason", "tested for a month"]);
        text.lines().find(|l| l.trim_start().starts_with("- {")).unwrap().to_owned() + "\n"
    };
    let (tom, tim) = (word("tom"), word("tim"));
    config(&tom);
    let one = site.run("tom", &["automate", "--in", from]);
    assert_eq!(one.status.code(), Some(1), "one signature is an author without anybody beside him");
    assert!(!edge.rules().contains("elements"));
    // Refused once, and no plan is left of it.
    assert!(site.ok("tom", &["status"]).contains("no plan yet"));
    assert!(site.ok("tom", &["automate", "--in", from]).contains("0 fired"));
    // Signed by both it is tried anew: acts, but once per case; heavier plans are refused and left to people.
    config(&(tom + &tim));
    let two = site.run("tom", &["automate", "--in", from]);
    let text = String::from_utf8_lossy(&two.stdout).into_owned();
    assert!(text.contains("automation listed, signed by tim, tom") && text.contains("VERIFIED"), "{text}");
    assert!(edge.rules().contains("elements"));
    assert!(site.ok("tom", &["automate", "--in", from]).contains("0 fired"));
    // Changed after it was signed, it is nobody's word.
    let changed =
        std::fs::read_to_string(dir.path().join("respond.yml")).unwrap().replace("hours: 2", "hours: 3");
    std::fs::write(dir.path().join("respond.yml"), changed).unwrap();
    std::fs::remove_file(dir.path().join("ledger.db")).unwrap();
    let changed = site.run("tom", &["automate", "--in", from]);
    assert_eq!(changed.status.code(), Some(1));
    assert!(!String::from_utf8_lossy(&changed.stdout).contains("VERIFIED"));
}
