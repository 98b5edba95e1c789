//! Sysmon process creation through winlogbeat (Sysinternals Sysmon, event 1).

use serde_json::json;

use crate::clock::{Civil, Millis, iso};
use crate::writers::Pen;

pub(crate) const FILE: &str = "sysmon.ndjson";

/// `user` starts `command` on `host`; `image` is the program.
pub(crate) fn process(pen: &mut Pen<'_>, at: Millis, host: &str, user: &str, image: &str, command: &str) {
    let c = Civil::utc(at);
    let computer = format!("{host}.{}", pen.company.ad_domain());
    let event = json!({
        "@timestamp": iso(at),
        "agent": {"name": host, "type": "winlogbeat", "version": "8.17.0"},
        "event": {"action": "Process Create (rule: ProcessCreate)", "code": "1", "kind": "event", "provider": "Microsoft-Windows-Sysmon"},
        "host": {"name": host},
        "winlog": {"api": "wineventlog", "channel": "Microsoft-Windows-Sysmon/Operational", "computer_name": computer, "event_id": "1",
            "provider_guid": "{5770385f-c22a-43e0-bf4c-06f5698ffbd9}", "provider_name": "Microsoft-Windows-Sysmon", "record_id": at / 50 % 1_000_000_000,
            "task": "Process Create (rule: ProcessCreate)",
            "event_data": {"UtcTime": format!("{} {}.{:03}", c.date(), c.clock(), c.milli), "ProcessId": pen.rng.range(1000, 20000).to_string(), "Image": image, "CommandLine": command,
                "User": format!("{}\\{user}", pen.company.netbios), "LogonId": format!("0x{}", pen.rng.hex(7)), "IntegrityLevel": "High",
                "ParentImage": "C:\\Windows\\System32\\cmd.exe", "ParentCommandLine": "cmd.exe", "ParentUser": format!("{}\\{user}", pen.company.netbios)}},
    });
    pen.put(FILE, at, event.to_string());
}
