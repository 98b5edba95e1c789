//! Windows Security events: winlogbeat JSON for domain controllers and servers, XML for the hosts in the DMZ
//! (Microsoft: Advanced security audit policy reference; Elastic: Winlogbeat exported fields).

use std::net::Ipv4Addr;

use serde_json::{Map, Value, json};

use crate::clock::{Civil, Millis, iso};
use crate::writers::Pen;

pub(crate) const DC_FILE: &str = "winlogbeat-dc.ndjson";
pub(crate) const SERVER_FILE: &str = "winlogbeat-servers.ndjson";
pub(crate) const XML_FILE: &str = "windows-security-xml.log";

const PROVIDER: &str = "{54849625-5478-4994-A5BA-3E3B0328C30D}";

fn sid(pen: &Pen<'_>, user: &str) -> String {
    let rid = pen.company.sids.get(user).copied().unwrap_or(900_000);
    format!("{}-{rid}", pen.company.domain_sid)
}

fn is_xml_host(host: &str) -> bool {
    host.contains("RDGW") || host.contains("RDS")
}

fn write(
    pen: &mut Pen<'_>,
    at: Millis,
    host: &str,
    id: u32,
    task: &str,
    success: bool,
    data: &[(&str, String)],
) {
    let computer = format!("{host}.{}", pen.company.ad_domain());
    let record = at / 50 % 1_000_000_000;
    if is_xml_host(host) {
        let c = Civil::utc(at);
        let mut body = String::new();
        for (name, value) in data {
            body.push_str(&format!("<Data Name='{name}'>{value}</Data>"));
        }
        let keywords = if success { "0x8020000000000000" } else { "0x8010000000000000" };
        let text = format!(
            "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='Microsoft-Windows-Security-Auditing' Guid='{PROVIDER}'/><EventID>{id}</EventID><Version>2</Version><Level>0</Level><Task>12544</Task><Opcode>0</Opcode><Keywords>{keywords}</Keywords><TimeCreated SystemTime='{}T{}.{:03}0000Z'/><EventRecordID>{record}</EventRecordID><Correlation/><Execution ProcessID='744' ThreadID='812'/><Channel>Security</Channel><Computer>{computer}</Computer><Security/></System><EventData>{body}</EventData></Event>",
            c.date(),
            c.clock(),
            c.milli
        );
        pen.put(XML_FILE, at, text);
        return;
    }
    let file = if host.contains("-DC") { DC_FILE } else { SERVER_FILE };
    let fields: Map<String, Value> =
        data.iter().map(|(k, v)| ((*k).to_owned(), Value::from(v.as_str()))).collect();
    let event = json!({
        "@timestamp": iso(at),
        "agent": {"name": host, "type": "winlogbeat", "version": "8.17.0"},
        "ecs": {"version": "8.0.0"},
        "event": {"action": task, "code": id.to_string(), "created": iso(at + 900), "kind": "event", "outcome": if success { "success" } else { "failure" }, "provider": "Microsoft-Windows-Security-Auditing"},
        "host": {"name": host},
        "log": {"level": "information"},
        "winlog": {"api": "wineventlog", "channel": "Security", "computer_name": computer, "event_id": id.to_string(),
            "keywords": [if success { "Audit Success" } else { "Audit Failure" }], "opcode": "Info", "provider_guid": PROVIDER,
            "provider_name": "Microsoft-Windows-Security-Auditing", "record_id": record, "task": task, "event_data": fields},
    });
    pen.put(file, at, event.to_string());
}

fn text(value: &str) -> String {
    value.to_owned()
}

/// 4624. `kind` is the logon type: 3 network, 10 remote interactive, 2 console.
pub(crate) fn logon(
    pen: &mut Pen<'_>,
    at: Millis,
    host: &str,
    user: &str,
    ip: Ipv4Addr,
    workstation: &str,
    kind: u8,
) -> String {
    let id = format!("0x{:x}", pen.rng.range(1 << 24, 1 << 31));
    let kerberos = kind == 3;
    let data = [
        ("SubjectUserSid", text(if kind == 10 { "S-1-5-18" } else { "S-1-0-0" })),
        ("SubjectUserName", if kind == 10 { format!("{host}$") } else { text("-") }),
        ("SubjectDomainName", if kind == 10 { text(pen.company.netbios) } else { text("-") }),
        ("SubjectLogonId", text(if kind == 10 { "0x3e7" } else { "0x0" })),
        ("TargetUserSid", sid(pen, user)),
        ("TargetUserName", text(user)),
        ("TargetDomainName", text(pen.company.netbios)),
        ("TargetLogonId", id.clone()),
        ("LogonType", kind.to_string()),
        ("LogonProcessName", text(if kerberos { "Kerberos" } else { "User32 " })),
        ("AuthenticationPackageName", text(if kerberos { "Kerberos" } else { "Negotiate" })),
        ("WorkstationName", text(if kerberos { "-" } else { workstation })),
        ("LogonGuid", text("{00000000-0000-0000-0000-000000000000}")),
        ("TransmittedServices", text("-")),
        ("LmPackageName", text("-")),
        ("KeyLength", text("0")),
        ("ProcessId", text("0x0")),
        ("ProcessName", text("-")),
        ("IpAddress", ip.to_string()),
        ("IpPort", pen.rng.port().to_string()),
        ("ImpersonationLevel", text("%%1833")),
        ("ElevatedToken", text("%%1842")),
    ];
    write(pen, at, host, 4624, "Logon", true, &data);
    id
}

/// 4625, bad password or unknown account.
pub(crate) fn logon_failed(
    pen: &mut Pen<'_>,
    at: Millis,
    host: &str,
    user: &str,
    ip: Ipv4Addr,
    kind: u8,
    known: bool,
) {
    let data = [
        ("SubjectUserSid", text("S-1-0-0")),
        ("SubjectUserName", text("-")),
        ("SubjectDomainName", text("-")),
        ("SubjectLogonId", text("0x0")),
        ("TargetUserSid", text("S-1-0-0")),
        ("TargetUserName", text(user)),
        ("TargetDomainName", text("")),
        ("Status", text("0xc000006d")),
        ("FailureReason", text("%%2313")),
        ("SubStatus", text(if known { "0xc000006a" } else { "0xc0000064" })),
        ("LogonType", kind.to_string()),
        ("LogonProcessName", text("NtLmSsp ")),
        ("AuthenticationPackageName", text("NTLM")),
        ("WorkstationName", text("-")),
        ("TransmittedServices", text("-")),
        ("LmPackageName", text("-")),
        ("KeyLength", text("0")),
        ("ProcessId", text("0x0")),
        ("ProcessName", text("-")),
        ("IpAddress", ip.to_string()),
        ("IpPort", text("0")),
    ];
    write(pen, at, host, 4625, "Logon", false, &data);
}

/// 4672, the privileges of an administrative logon.
pub(crate) fn privileges(pen: &mut Pen<'_>, at: Millis, host: &str, user: &str, logon: &str) {
    let data = [
        ("SubjectUserSid", sid(pen, user)),
        ("SubjectUserName", text(user)),
        ("SubjectDomainName", text(pen.company.netbios)),
        ("SubjectLogonId", text(logon)),
        (
            "PrivilegeList",
            text(
                "SeSecurityPrivilege\n\t\t\tSeBackupPrivilege\n\t\t\tSeRestorePrivilege\n\t\t\tSeDebugPrivilege",
            ),
        ),
    ];
    write(pen, at, host, 4672, "Special Logon", true, &data);
}

/// 4768 at a domain controller: a ticket-granting ticket.
pub(crate) fn ticket_granted(pen: &mut Pen<'_>, at: Millis, user: &str, ip: Ipv4Addr) {
    let host = pen.company.first("domain controller").host.clone();
    let data = [
        ("TargetUserName", text(user)),
        ("TargetDomainName", text(pen.company.netbios)),
        ("TargetSid", sid(pen, user)),
        ("ServiceName", text("krbtgt")),
        ("ServiceSid", format!("{}-502", pen.company.domain_sid)),
        ("TicketOptions", text("0x40810010")),
        ("Status", text("0x0")),
        ("TicketEncryptionType", text("0x12")),
        ("PreAuthType", text("2")),
        ("IpAddress", format!("::ffff:{ip}")),
        ("IpPort", pen.rng.port().to_string()),
    ];
    write(pen, at, &host, 4768, "Kerberos Authentication Service", true, &data);
}

/// 4769 at a domain controller: a ticket for a server.
pub(crate) fn service_ticket(pen: &mut Pen<'_>, at: Millis, user: &str, ip: Ipv4Addr, server: &str) {
    let host = pen.company.first("domain controller").host.clone();
    let realm = pen.company.ad_domain().to_uppercase();
    let data = [
        ("TargetUserName", format!("{user}@{realm}")),
        ("TargetDomainName", realm),
        ("ServiceName", format!("{server}$")),
        ("ServiceSid", format!("{}-1600", pen.company.domain_sid)),
        ("TicketOptions", text("0x40810000")),
        ("TicketEncryptionType", text("0x12")),
        ("IpAddress", format!("::ffff:{ip}")),
        ("IpPort", pen.rng.port().to_string()),
        ("Status", text("0x0")),
        ("LogonGuid", text("{00000000-0000-0000-0000-000000000000}")),
        ("TransmittedServices", text("-")),
    ];
    write(pen, at, &host, 4769, "Kerberos Service Ticket Operations", true, &data);
}

/// 4720: `user` creates the account `created` on `host`.
pub(crate) fn account_created(
    pen: &mut Pen<'_>,
    at: Millis,
    host: &str,
    user: &str,
    created: &str,
    logon: &str,
) {
    let domain = if host.contains("-DC") { text(pen.company.netbios) } else { text(host) };
    let data = [
        ("TargetUserName", text(created)),
        ("TargetDomainName", domain.clone()),
        ("TargetSid", format!("{}-5120", pen.company.domain_sid)),
        ("SubjectUserSid", sid(pen, user)),
        ("SubjectUserName", text(user)),
        ("SubjectDomainName", text(pen.company.netbios)),
        ("SubjectLogonId", text(logon)),
        ("PrivilegeList", text("-")),
        ("SamAccountName", text(created)),
        ("NewUacValue", text("0x15")),
    ];
    write(pen, at, host, 4720, "User Account Management", true, &data);
}

/// 4728 (global group, at a domain controller) or 4732 (local group).
pub(crate) fn group_added(
    pen: &mut Pen<'_>,
    at: Millis,
    host: &str,
    user: &str,
    member: &str,
    group: &str,
    logon: &str,
) {
    let dc = host.contains("-DC");
    let base = pen.company.ad_domain().split('.').map(|p| format!("DC={p}")).collect::<Vec<_>>().join(",");
    let data = [
        ("MemberName", if dc { format!("CN={member},CN=Users,{base}") } else { text("-") }),
        ("MemberSid", format!("{}-5120", pen.company.domain_sid)),
        ("TargetUserName", text(group)),
        ("TargetDomainName", if dc { text(pen.company.netbios) } else { text("Builtin") }),
        ("TargetSid", if dc { format!("{}-512", pen.company.domain_sid) } else { text("S-1-5-32-544") }),
        ("SubjectUserSid", sid(pen, user)),
        ("SubjectUserName", text(user)),
        ("SubjectDomainName", text(pen.company.netbios)),
        ("SubjectLogonId", text(logon)),
        ("PrivilegeList", text("-")),
    ];
    write(pen, at, host, if dc { 4728 } else { 4732 }, "Security Group Management", true, &data);
}
