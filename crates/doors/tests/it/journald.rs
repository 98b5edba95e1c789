//! The journal: real files of systemd-journal-remote read by the real journalctl, and a journalctl that misbehaves.

use crate::lab::{Lab, run, which};
use portreeve_doors::DoorError;
use portreeve_doors::journald::{self, Options};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use tokio::task::JoinHandle;

fn open(lab: &Lab, more: &str) -> JoinHandle<Result<(), DoorError>> {
    let text = format!(r#"{{"source":"jump-host"{more}}}"#);
    let options: Options = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
    tokio::spawn(journald::run(options, lab.context.clone()))
}

/// Entries in export format, as another host would send them.
fn entries(range: std::ops::Range<u32>) -> Vec<u8> {
    let mut out = Vec::new();
    for n in range {
        let message = format!("Accepted publickey for anna{n}\nfrom 192.0.2.1 \u{e9}");
        out.extend(format!(
            "__REALTIME_TIMESTAMP={}\n__MONOTONIC_TIMESTAMP={n}\n_BOOT_ID=0123456789abcdef0123456789abcdef\n_HOSTNAME=jump\n\
             _SYSTEMD_UNIT={}.service\nSYSLOG_IDENTIFIER=sshd\n",
            1_767_225_600_000_000u64 + u64::from(n) * 1_000,
            if n % 10 == 0 { "cron" } else { "ssh" },
        ).bytes());
        out.extend(b"MESSAGE\n");
        out.extend((message.len() as u64).to_le_bytes());
        out.extend(message.bytes());
        out.extend(b"\n\n");
    }
    out
}

async fn write_journal(lab: &Lab, range: std::ops::Range<u32>) {
    let remote = which("systemd-journal-remote", "systemd-journal-remote");
    let dir = lab.path("journal");
    fs::create_dir_all(&dir).unwrap();
    let file = dir.join("remote-jump.journal").display().to_string();
    run(remote, &["--output", &file, "-"], &entries(range)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_journal_across_a_restart() {
    let mut lab = Lab::new();
    write_journal(&lab, 0..500).await;
    let more = format!(
        r#","directory":"{}","matches":["_SYSTEMD_UNIT=ssh.service"]"#,
        lab.path("journal").display()
    );
    let mut seen = Vec::new();
    for (written, expect) in [(0..0, 450), (500..700, 180), (700..700, 0), (700..710, 9)] {
        write_journal(&lab, written).await;
        let door = open(&lab, &more);
        lab.records(expect).await;
        if expect == 180 {
            // And what is written while it follows.
            write_journal(&lab, 1_000..1_100).await;
            lab.records(expect + 90).await;
        }
        let totals = lab.end(door).await;
        assert_eq!(totals.dead, 0);
        seen.extend(lab.texts());
        lab = lab.again();
    }
    let mut numbers: Vec<u32> = seen
        .iter()
        .map(|t| {
            let entry: serde_json::Value = serde_json::from_str(t).unwrap();
            assert_eq!(entry["_HOSTNAME"], "jump");
            assert!(entry["__CURSOR"].as_str().is_some_and(|c| c.starts_with("s=")), "{t}");
            let message = entry["MESSAGE"].as_str().unwrap();
            assert!(message.ends_with("\nfrom 192.0.2.1 é"), "{message}");
            message.split_whitespace().nth(3).unwrap().trim_start_matches("anna").parse().unwrap()
        })
        .collect();
    numbers.sort_unstable();
    let expect: Vec<u32> = (0..710).chain(1_000..1_100).filter(|n| n % 10 != 0).collect();
    assert_eq!(numbers, expect);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journalctl_that_ends_is_started_again_where_it_was() {
    let lab = Lab::new();
    // Gives one entry more each time that it is started, says with which arguments, and fails.
    let script = lab.path("journalctl");
    let dir = lab.dir.path().display();
    let text = format!(
        "#!/bin/sh\necho \"$@\" >> {dir}/calls\nn=$(wc -l < {dir}/calls)\n\
         printf '__CURSOR=s=1;i=%s\\nMESSAGE=entry %s\\n\\n' $n $n\n[ $n -lt 3 ] || exec sleep 600\necho 'no memory' >&2\nexit 7\n"
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let door = open(&lab, &format!(r#","journalctl":"{}","begin":"end""#, script.display()));
    lab.until("it says why", |lab| lab.trouble().iter().any(|t| t.contains("no memory") && t.contains('7')))
        .await;
    lab.records(3).await;
    lab.until("it works again", |lab| lab.trouble().is_empty()).await;
    lab.end(door).await;
    let calls = fs::read_to_string(lab.path("calls")).unwrap();
    let calls: Vec<&str> = calls.lines().collect();
    assert!(calls[0].contains("--lines=0") && !calls[0].contains("cursor"), "{calls:?}");
    assert!(calls[2].contains("--no-tail --after-cursor=s=1;i=2"), "{calls:?}");
    assert_eq!(lab.texts()[2], r#"{"__CURSOR":"s=1;i=3","MESSAGE":"entry 3"}"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_right_is_said_at_the_start() {
    let lab = Lab::new();
    let wrong = open(&lab, r#","journalctl":"/nowhere/journalctl""#).await.unwrap().unwrap_err().to_string();
    assert!(wrong.contains("/nowhere/journalctl"), "{wrong}");
    let wrong = open(&lab, r#","matches":["--file=/etc/shadow"]"#).await.unwrap().unwrap_err().to_string();
    assert!(wrong.contains("FIELD=value"), "{wrong}");
}
