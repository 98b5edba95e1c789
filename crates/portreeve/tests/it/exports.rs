//! Logs as an analyst gets them out of a SIEM give the cases that the raw logs give.

use crate::company::{changed_logs, company, portreeve, verdicts};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;
use std::sync::OnceLock;

/// When the store took the records in: later than all of them, so that a time taken from there would show.
const TAKEN_IN: &str = "2026-04-01T00:00:00.000Z";
const TAKEN_IN_NS: &str = "1774994400000000000";

fn raw() -> &'static [String] {
    static RAW: OnceLock<Vec<String>> = OnceLock::new();
    RAW.get_or_init(|| verdicts(logs(|_, lines| lines).path(), &[]))
}

/// The company's logs, each file changed; without the two largest, of which there is enough in others.
fn logs(change: impl Fn(&Path, Vec<String>) -> Vec<String>) -> tempfile::TempDir {
    let logs = changed_logs(change);
    for name in ["okta-system-log.ndjson", "k8s-audit.ndjson"] {
        std::fs::remove_file(logs.path().join(name)).expect("removed");
    }
    logs
}

/// Hunts in logs whose every file was exported so, whatever its product.
fn the_same_from(export: impl Fn(&[String]) -> String) {
    let logs = logs(|path, lines| {
        // One document with many records is no record.
        if path.components().any(|c| c.as_os_str() == "cloudtrail") { lines } else { vec![export(&lines)] }
    });
    assert!(raw().len() > 3, "{:?}", raw());
    assert_eq!(raw(), verdicts(logs.path(), &[]));
}

fn ndjson(lines: &[String], of: impl Fn(usize, &str) -> Value) -> String {
    lines.iter().enumerate().fold(String::new(), |mut text, (n, line)| {
        writeln!(text, "{}", of(n, line)).expect("memory");
        text
    })
}

fn csv(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let cell = |c: &str| format!("\"{}\"", c.replace('"', "\"\""));
    let line = |cells: Vec<String>| cells.join(",") + "\r\n";
    let mut text = line(header.iter().map(|c| cell(c)).collect());
    rows.for_each(|row| text.push_str(&line(row.iter().map(|c| cell(c)).collect())));
    text
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let n = three.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let letter = LETTERS[(n >> (18 - 6 * place)) as usize & 63];
            text.push(if place > three.len() { '=' } else { char::from(letter) });
        }
    }
    text
}

#[test]
fn elastic() {
    the_same_from(|lines| {
        ndjson(lines, |n, line| {
            json!({"_index": ".ds-logs", "_id": n.to_string(), "_source": {"@timestamp": TAKEN_IN,
                "event": {"original": line}, "message": "parsed", "host": {"name": "collector"}}})
        })
    });
    the_same_from(|lines| {
        let hits: Vec<Value> = lines
            .iter()
            .map(|l| json!({"_index": "logs", "_score": 1.0, "_source": {"@timestamp": TAKEN_IN, "message": l}}))
            .collect();
        let total = hits.len();
        let answer = json!({"took": 5, "timed_out": false, "_shards": {"total": 1, "failed": 0},
            "hits": {"total": {"value": total, "relation": "eq"}, "max_score": 1.0, "hits": hits}});
        serde_json::to_string_pretty(&answer).expect("JSON")
    });
}

#[test]
fn splunk() {
    the_same_from(|lines| {
        ndjson(lines, |n, line| {
            json!({"preview": false, "offset": n, "result": {"_raw": line, "_time": TAKEN_IN,
                "host": "collector", "source": "/var/log/x", "sourcetype": "syslog"}})
        })
    });
    the_same_from(|lines| {
        csv(
            &["_raw", "_time", "host", "source", "sourcetype"],
            lines.iter().map(|l| [l, TAKEN_IN, "collector", "udp:514", "syslog"].map(str::to_owned).to_vec()),
        )
    });
    the_same_from(|lines| {
        ndjson(
            lines,
            |_, l| json!({"time": 1774994400.0, "host": "collector", "sourcetype": "x", "event": l}),
        )
    });
}

#[test]
fn qradar_and_graylog() {
    the_same_from(|lines| {
        csv(
            &["Start Time", "Log Source", "Source IP", "utf8(payload)"],
            lines
                .iter()
                .map(|l| ["Apr 1, 2026, 12:00:00 AM", "x", "192.0.2.77", l].map(str::to_owned).to_vec()),
        )
    });
    the_same_from(|lines| {
        csv(
            &["starttime", "sourceip", "payload"],
            lines
                .iter()
                .map(|l| ["1774994400000".into(), "192.0.2.77".into(), base64(l.as_bytes())].to_vec()),
        )
    });
    the_same_from(|lines| {
        csv(
            &["timestamp", "source", "message"],
            lines.iter().map(|l| [TAKEN_IN, "collector", l].map(str::to_owned).to_vec()),
        )
    });
    the_same_from(|lines| {
        ndjson(
            lines,
            |_, l| json!({"version": "1.1", "host": "collector", "short_message": "short", "full_message": l, "timestamp": 1774994400.5}),
        )
    });
}

#[test]
fn loki_and_cloudwatch() {
    the_same_from(|lines| {
        let values: Vec<Value> = lines.iter().map(|l| json!([TAKEN_IN_NS, l])).collect();
        json!({"status": "success", "data": {"resultType": "streams",
            "result": [{"stream": {"job": "x", "host": "collector"}, "values": values}], "stats": {}}})
        .to_string()
    });
    the_same_from(|lines| {
        ndjson(lines, |_, l| json!({"labels": {"job": "x"}, "line": l, "timestamp": TAKEN_IN}))
    });
    the_same_from(|lines| {
        let rows: Vec<Value> = lines
            .iter()
            .map(|l| {
                json!([{"field": "@timestamp", "value": "2026-04-01 00:00:00.000"},
                    {"field": "@message", "value": l}, {"field": "@ptr", "value": "x"}])
            })
            .collect();
        json!({"results": rows, "statistics": {"recordsMatched": 1.0}, "status": "Complete"}).to_string()
    });
    the_same_from(|lines| {
        let events: Vec<Value> = lines
            .iter()
            .map(|l| json!({"logStreamName": "collector", "timestamp": 1774994400000u64, "message": l, "eventId": "1"}))
            .collect();
        json!({"events": events, "searchedLogStreams": []}).to_string()
    });
}

#[test]
fn chronicle_wazuh_and_a_lake() {
    the_same_from(|lines| {
        ndjson(lines, |_, l| json!({"log_type": "X", "ts_ingest": TAKEN_IN, "raw_log": base64(l.as_bytes())}))
    });
    the_same_from(|lines| {
        ndjson(lines, |_, l| {
            json!({"timestamp": "2026-04-01T00:00:00.000+0000", "agent": {"id": "000", "name": "collector"},
                "full_log": l, "decoder": {}, "location": "/var/log/x"})
        })
    });
    the_same_from(|lines| {
        ndjson(lines, |_, l| {
            json!({"metadata": {"version": "1.3.0", "product": {"name": "x"}}, "class_uid": 3002, "activity_id": 1,
                "time": 1774994400000u64, "raw_data": l})
        })
    });
}

#[test]
fn containers_and_shippers_within_shippers() {
    the_same_from(|lines| {
        lines.iter().map(|l| format!("2026-04-01T00:00:00.123456789Z stdout F {l}\n")).collect()
    });
    the_same_from(|lines| {
        ndjson(lines, |_, l| {
            let container = json!({"log": format!("{l}\n"), "stream": "stdout", "time": TAKEN_IN});
            json!({"_index": "x", "_source": {"@timestamp": TAKEN_IN, "message": container.to_string()}})
        })
    });
}

/// `Mar  2 00:05:40 bastion-01 sshd[77]: text`, taken apart.
fn parts(line: &str) -> Option<[String; 5]> {
    let (stamp, rest) = line.split_at_checked(15)?;
    let (host, rest) = rest.trim_start().split_once(' ')?;
    let (tag, message) = rest.split_once(": ")?;
    let (program, pid) = tag.split_once('[').map_or((tag, ""), |(p, n)| (p, n.trim_end_matches(']')));
    Some([stamp, host, program, pid, message].map(str::to_owned))
}

/// Logs of hosts come out without their header, its fields apart; the others stay as they are.
fn the_same_from_hosts(export: impl Fn(&[[String; 5]]) -> Vec<u8>) {
    let logs = logs(|_, lines| lines);
    let from = company().join("logs/linux");
    for path in crate::company::files(&from) {
        let text = std::fs::read_to_string(&path).expect("text");
        let lines: Vec<[String; 5]> = text.lines().map(|l| parts(l).expect("a line of syslog")).collect();
        let name = path.file_name().expect("a name");
        std::fs::write(logs.path().join("linux").join(name), export(&lines)).expect("written");
    }
    assert_eq!(raw(), verdicts(logs.path(), &[]));
}

/// Day and time of day of a stamp in March.
fn clock(stamp: &str) -> (u32, u32, String) {
    assert!(stamp.starts_with("Mar "), "{stamp}");
    let number = |from, to| stamp[from..to].trim().parse::<u32>().expect("digits");
    (number(4, 6), number(7, 9), stamp[9..15].to_owned())
}

#[test]
fn sentinel_syslog() {
    the_same_from_hosts(|lines| {
        let rows = lines.iter().map(|[stamp, host, program, pid, message]| {
            let (day, hour, rest) = clock(stamp);
            let half = if hour < 12 { "AM" } else { "PM" };
            let time = format!("3/{day}/2026, {}{rest}.000 {half}", (hour + 11) % 12 + 1);
            [&time, host, host, "authpriv", "info", program, pid, message, "Syslog"]
                .map(str::to_owned)
                .to_vec()
        });
        let header = [
            "TimeGenerated [UTC]",
            "Computer",
            "HostName",
            "Facility",
            "SeverityLevel",
            "ProcessName",
            "ProcessID",
            "SyslogMessage",
            "Type",
        ];
        csv(&header, rows).into_bytes()
    });
}

#[test]
fn journal() {
    let micros = |stamp: &str| {
        let (day, hour, rest) = clock(stamp);
        let number = |from: usize| rest[from..from + 2].parse::<u64>().expect("digits");
        // The first of March 2026 in UTC.
        let day_s = 1_772_323_200 + u64::from(day - 1) * 86_400;
        ((day_s + u64::from(hour) * 3_600 + number(1) * 60 + number(4)) * 1_000_000).to_string()
    };
    the_same_from_hosts(|lines| {
        let mut text = String::new();
        for [stamp, host, program, pid, message] in lines {
            let entry = json!({"__CURSOR": "s=1", "__REALTIME_TIMESTAMP": micros(stamp), "_HOSTNAME": host,
                "SYSLOG_IDENTIFIER": program, "_PID": pid, "MESSAGE": message, "PRIORITY": "6"});
            writeln!(text, "{entry}").expect("memory");
        }
        text.into_bytes()
    });
    the_same_from_hosts(|lines| {
        let mut bytes = Vec::new();
        for (n, [stamp, host, program, pid, message]) in lines.iter().enumerate() {
            let head = format!(
                "__CURSOR=s=1;i={n}\n__REALTIME_TIMESTAMP={}\n_HOSTNAME={host}\nSYSLOG_IDENTIFIER={program}\n_PID={pid}\n",
                micros(stamp)
            );
            bytes.extend_from_slice(head.as_bytes());
            if n % 2 == 0 {
                bytes.extend_from_slice(b"MESSAGE\n");
                bytes.extend_from_slice(&(message.len() as u64).to_le_bytes());
            } else {
                bytes.extend_from_slice(b"MESSAGE=");
            }
            bytes.extend_from_slice(message.as_bytes());
            bytes.extend_from_slice(b"\n\n");
        }
        bytes
    });
}

fn parsed(text: &str) -> Vec<Value> {
    let dir = tempfile::TempDir::new().expect("temporary directory");
    let path: &Path = &dir.path().join("x.log");
    std::fs::write(path, text).expect("written");
    let output = portreeve().args(["parse", "--to", "ecs"]).arg(path).output().expect("the binary runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).expect("text");
    lines.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect()
}

/// What Sentinel took apart into CommonSecurityLog is read as the CEF record that it was.
#[test]
fn sentinel_common_security_log() {
    let cef = "CEF:0|Fortinet|Fortigate|v7.4.4|39424|event:vpn ssl-tunnel tunnel-up|3|\
        deviceExternalId=FGT60F FTNTFGTlogid=0101039424 cat=event:vpn FTNTFGTsubtype=vpn FTNTFGTlogdesc=SSL VPN tunnel up \
        FTNTFGTaction=tunnel-up act=tunnel-up FTNTFGTtunneltype=ssl-tunnel FTNTFGTtunnelid=77 FTNTFGTremip=203.0.113.9 src=203.0.113.9 \
        FTNTFGTtunnelip=10.212.134.200 duser=anna FTNTFGTgroup=vpn-users FTNTFGTeventtime=1772423085035559847 FTNTFGTtz=+0100 \
        dvchost=fgt-1\n";
    let header = [
        "TenantId",
        "TimeGenerated [UTC]",
        "DeviceVendor",
        "DeviceProduct",
        "DeviceVersion",
        "DeviceEventClassID",
        "Activity",
        "LogSeverity",
        "DeviceExternalID",
        "DeviceAction",
        "DeviceEventCategory",
        "SourceIP",
        "DestinationUserName",
        "DeviceName",
        "AdditionalExtensions",
    ];
    let row = [
        "0",
        "4/1/2026, 12:00:00.000 AM",
        "Fortinet",
        "Fortigate",
        "v7.4.4",
        "39424",
        "event:vpn ssl-tunnel tunnel-up",
        "3",
        "FGT60F",
        "tunnel-up",
        "event:vpn",
        "203.0.113.9",
        "anna",
        "fgt-1",
        "FTNTFGTlogid=0101039424;FTNTFGTsubtype=vpn;FTNTFGTlogdesc=SSL VPN tunnel up;FTNTFGTaction=tunnel-up;\
        FTNTFGTtunneltype=ssl-tunnel;FTNTFGTtunnelid=77;FTNTFGTremip=203.0.113.9;FTNTFGTtunnelip=10.212.134.200;FTNTFGTgroup=vpn-users;\
        FTNTFGTeventtime=1772423085035559847;FTNTFGTtz=+0100",
    ];
    let table = csv(&header, std::iter::once(row.map(str::to_owned).to_vec()));
    let without_origin = |mut events: Vec<Value>| {
        for event in &mut events {
            if let Some(fields) = event.as_object_mut() {
                fields.remove("log");
            }
        }
        events
    };
    let (was, is) = (without_origin(parsed(cef)), without_origin(parsed(&table)));
    assert!(was.iter().any(|e| e.to_string().contains("10.212.134.200")), "{was:?}");
    assert_eq!(was, is);
}
