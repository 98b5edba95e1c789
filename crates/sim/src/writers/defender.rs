//! Microsoft Defender XDR streaming: AlertInfo and AlertEvidence (Advanced hunting schema).

use serde_json::json;

use crate::clock::{Millis, SECOND, iso};
use crate::company::Person;
use crate::writers::Pen;

pub(crate) const FILE: &str = "defender-advancedhunting.ndjson";

/// An alert on a person's device or on a server used with the account.
pub(crate) struct Alert<'a> {
    pub(crate) title: &'a str,
    pub(crate) category: &'a str,
    pub(crate) severity: &'a str,
    pub(crate) techniques: &'a str,
    pub(crate) device: &'a str,
    pub(crate) command: &'a str,
}

pub(crate) fn raise(pen: &mut Pen<'_>, at: Millis, person: &Person, account: &str, alert: &Alert<'_>) {
    let id = format!("da{}_1", pen.rng.uuid());
    let (tenant, domain) = (pen.company.tenant.clone(), pen.company.ad_domain());
    let stamp = iso(at);
    let wrap = |category: &str, properties: serde_json::Value| {
        json!({"time": iso(at + 90 * SECOND), "tenantId": tenant, "operationName": "Publish", "category": category, "_TimeReceivedBySvc": iso(at + 90 * SECOND), "Tenant": "DefaultTenant", "properties": properties}).to_string()
    };
    let info = json!({"Timestamp": stamp, "AlertId": id, "Title": alert.title, "Category": alert.category, "Severity": alert.severity, "ServiceSource": "Microsoft Defender for Endpoint", "DetectionSource": "EDR", "AttackTechniques": alert.techniques});
    let evidence = |kind: &str| {
        json!({"Timestamp": stamp, "AlertId": id, "Title": alert.title, "Categories": format!("[\"{}\"]", alert.category), "Severity": alert.severity, "ServiceSource": "Microsoft Defender for Endpoint", "DetectionSource": "EDR", "EntityType": kind, "EvidenceRole": "Impacted",
            "DeviceName": format!("{}.{domain}", alert.device.to_lowercase()), "AccountName": account, "AccountDomain": pen.company.netbios.to_lowercase(), "AccountUpn": person.email(pen.company), "ProcessCommandLine": alert.command})
    };
    let lines = [
        wrap("AdvancedHunting-AlertInfo", info),
        wrap("AdvancedHunting-AlertEvidence", evidence("Machine")),
        wrap("AdvancedHunting-AlertEvidence", evidence("User")),
    ];
    for line in lines {
        pen.put(FILE, at, line);
    }
    pen.book.alerts.push((person.id, at));
}
