//! Microsoft Defender XDR: alerts, and the tables of advanced hunting as far as they tell of logons, commands, connections
//! and changes of accounts.
//!
//! Read from: "Advanced hunting schema", "Microsoft Graph security API: alert, alert v2", "Microsoft Defender for Endpoint
//! APIs: List alerts", "Azure Monitor tables: SecurityAlert". Traps: title and severity stand in AlertInfo, device and
//! account in AlertEvidence, joined by AlertId; a device writes its logon three times (attempted, then the result); the
//! severity `Informational` is often the only one.

mod tables;

use crate::decode::clock::{self, Stamp};
use crate::decode::find::find;
use crate::decode::json::{Paths, Value, elements};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::EventTime;
use portreeve_model::event::{Act, Outcome, Service};
use portreeve_model::time::Certainty;
use std::borrow::Cow;
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "defender",
    title: "Microsoft Defender XDR",
    row: Row::Endpoint,
    gives: &[Act::Alert, Act::Logon, Act::Auth, Act::Exec, Act::Flow, Act::Account],
    lacks: &[Field::Mfa, Field::TunnelIp, Field::Bytes, Field::SessionEnd],
    traps: &["evidence_without_title", "attempted_logons"],
    manual: "Microsoft Defender XDR: advanced hunting schema, streaming API; Graph security alerts; Azure Monitor: SecurityAlert",
    enable: "streaming API to Event Hubs or storage: AlertInfo and AlertEvidence, DeviceLogonEvents, DeviceProcessEvents, IdentityDirectoryEvents; or Graph security alerts",
    general: false,
    marks: &[
        "AdvancedHunting-",
        "\"ActionType\"",
        "\"AlertId\"",
        "\"providerAlertId\"",
        "\"vendorInformation\"",
        "\"computerDnsName\"",
        "\"SystemAlertId\"",
    ],
    reader: Reader::Code { claim: |r| r.shape == Shape::Json && form(r.body).is_some(), parse, join: None },
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A row of a table, under `properties` or by itself.
    Row,
    /// AlertInfo or AlertEvidence, likewise.
    Alert,
    /// Graph's alert, either version, or that of Defender for Endpoint.
    Graph,
    /// Log Analytics' SecurityAlert.
    Sentinel,
}

fn form(body: &[u8]) -> Option<Form> {
    let has = |text: &[u8]| find(body, text).is_some();
    // Alerts of the unified audit log are read by `m365`.
    if has(b"\"Workload\"") {
        None
    } else if has(b"\"AdvancedHunting-") {
        let alert = has(b"AdvancedHunting-AlertInfo") || has(b"AdvancedHunting-AlertEvidence");
        Some(if alert { Form::Alert } else { Form::Row })
    } else if has(b"\"SystemAlertId\"") && (has(b"\"AlertSeverity\"") || has(b"\"AlertName\"")) {
        Some(Form::Sentinel)
    } else if has(b"\"AlertId\"") && (has(b"\"ServiceSource\"") || has(b"\"EvidenceRole\"")) {
        Some(Form::Alert)
    } else if has(b"\"providerAlertId\"")
        || has(b"\"computerDnsName\"") && has(b"\"alertCreationTime\"")
        || has(b"\"vendorInformation\"") && (has(b"\"hostStates\"") || has(b"\"userStates\""))
    {
        Some(Form::Graph)
    } else if has(b"\"ActionType\"")
        && has(b"\"ReportId\"")
        && (has(b"\"DeviceId\"") || has(b"\"AccountObjectId\""))
    {
        Some(Form::Row)
    } else {
        None
    }
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    match form(r.body) {
        Some(Form::Row) => tables::parse(r, out),
        Some(Form::Alert) => alert(r, out),
        Some(Form::Graph) => graph(r, out),
        Some(Form::Sentinel) => sentinel(r, out),
        None => Parsed::NotMine,
    }
}

/// Times of all of Defender are UTC, with a zone or without.
fn time(r: &Record<'_>, text: &[u8]) -> Option<(EventTime, Certainty)> {
    match clock::iso(text) {
        Some((Stamp::Absolute(t), _)) => Some((t, Certainty::Exact)),
        Some((Stamp::Local(c), _)) => r.clock.resolve_in(c, 0),
        None => r.header_time(),
    }
}

fn first<'a, const N: usize>(v: &[Value<'a>; N], all: &[usize]) -> Value<'a> {
    all.iter().filter_map(|i| v.get(*i).copied()).find(|x| !x.bytes().is_empty()).unwrap_or_default()
}

static ALERT: LazyLock<Paths<24>> = LazyLock::new(|| {
    Paths::new([
        "category",
        "properties.Timestamp",
        "properties.AlertId",
        "properties.Title",
        "properties.Severity",
        "properties.DeviceName",
        "properties.AccountName",
        "properties.AccountDomain",
        "properties.RemoteIP",
        "properties.FileName",
        // 10
        "time",
        "AlertId",
        "Title",
        "Severity",
        "DeviceName",
        "AccountName",
        "AccountDomain",
        "RemoteIP",
        "FileName",
        "Timestamp",
        // 20
        "TimeGenerated",
        "properties.ProcessCommandLine",
        "ProcessCommandLine",
        "Type",
    ])
});

fn alert(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = ALERT.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let device = first(&v, &[5, 14]).text();
    let account = first(&v, &[6, 15]).text();
    let evidence = v[0].bytes().ends_with(b"AlertEvidence")
        || v[23].is(b"AlertEvidence")
        || find(r.body, b"\"EvidenceRole\"").is_some();
    if evidence && device.is_empty() && account.is_empty() {
        return Parsed::Irrelevant(Kind::Repeats);
    }
    out.event(Act::Alert, Outcome::Unknown)
        .at(time(r, first(&v, &[1, 19, 20, 10]).bytes()))
        .service(Service::Edr)
        .sid(first(&v, &[2, 11]).bytes())
        .detail(&first(&v, &[3, 12]).text())
        .target(&first(&v, &[9, 18, 21, 22]).text())
        .severity(severity(first(&v, &[4, 13]).bytes()))
        .host(&device)
        .device(&device)
        .domain_user(&first(&v, &[7, 16]).text(), &account)
        .source(first(&v, &[8, 17]).bytes())
        .done()
}

static GRAPH: LazyLock<Paths<18>> = LazyLock::new(|| {
    Paths::new([
        "id",
        "title",
        "severity",
        "firstActivityDateTime",
        "eventDateTime",
        "createdDateTime",
        "alertCreationTime",
        "firstEventTime",
        "evidence",
        "hostStates",
        // 10
        "userStates",
        "computerDnsName",
        "relatedUser.userName",
        "relatedUser.domainName",
        "category",
        "threatName",
        "fileStates",
        "lastEventTime",
    ])
});

/// One piece of evidence, of whatever kind; and the states of the first version.
static EVIDENCE: LazyLock<Paths<16>> = LazyLock::new(|| {
    Paths::new([
        "deviceDnsName",
        "hostName",
        "userAccount.accountName",
        "userAccount.domainName",
        "userAccount.userPrincipalName",
        "ipAddress",
        "fileDetails.fileName",
        "imageFile.fileName",
        "computerDnsName",
        "accountName",
        // 10
        "domainName",
        "userPrincipalName",
        "fileName",
        "fqdn",
        "netBiosName",
        "logonIp",
    ])
});

fn graph(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = GRAPH.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let (mut host, mut user, mut domain) = (v[11].text(), v[12].text(), v[13].text());
    let (mut address, mut file): (&[u8], Cow<'_, [u8]>) = (b"", Cow::Borrowed(b""));
    for list in [v[8], v[9], v[10], v[16]] {
        for piece in elements(list.nested()).take(64) {
            let Ok(e) = EVIDENCE.pick(piece.nested()) else { continue };
            if host.is_empty() {
                host = first(&e, &[0, 8, 13, 1, 14]).text();
            }
            if user.is_empty() {
                user = first(&e, &[2, 9, 4, 11]).text();
                domain = first(&e, &[3, 10]).text();
            }
            if address.is_empty() {
                address = first(&e, &[5, 15]).bytes();
            }
            if file.is_empty() {
                file = first(&e, &[6, 7, 12]).text();
            }
        }
    }
    out.event(Act::Alert, Outcome::Unknown)
        .at(time(r, first(&v, &[3, 4, 7, 5, 6, 17]).bytes()))
        .service(Service::Edr)
        .sid(v[0].bytes())
        .detail(&first(&v, &[1, 15, 14]).text())
        .target(&file)
        .severity(severity(v[2].bytes()))
        .host(&host)
        .device(&host)
        .domain_user(&domain, &user)
        .source(address)
        .done()
}

static SENTINEL: LazyLock<Paths<10>> = LazyLock::new(|| {
    Paths::new([
        "StartTime",
        "TimeGenerated",
        "DisplayName",
        "AlertName",
        "AlertSeverity",
        "CompromisedEntity",
        "SystemAlertId",
        "Entities",
        "ProviderName",
        "StartTimeUtc",
    ])
});

static ENTITY: LazyLock<Paths<6>> =
    LazyLock::new(|| Paths::new(["Type", "HostName", "Name", "NTDomain", "Address", "UPNSuffix"]));

/// Entities are an array written into a text. `CompromisedEntity` is a host or an account, and does not say which.
fn sentinel(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = SENTINEL.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let inner = v[7].text();
    let list = if v[7].nested().is_empty() { &*inner } else { v[7].nested() };
    let (mut host, mut user, mut domain, mut address, mut file) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for entity in elements(list).take(64) {
        let Ok([kind, name_of_host, name, nt, ip, suffix]) = ENTITY.pick(entity.nested()) else { continue };
        match kind.bytes() {
            b"host" if host.is_empty() => host = name_of_host.text().into_owned(),
            b"account" if user.is_empty() => {
                user = name.text().into_owned();
                if !suffix.bytes().is_empty() && !user.contains(&b'@') {
                    user.push(b'@');
                    user.extend_from_slice(&suffix.text());
                }
                domain = nt.text().into_owned();
            }
            b"ip" if address.is_empty() => address = ip.text().into_owned(),
            b"file" | b"process" if file.is_empty() => file = name.text().into_owned(),
            _ => {}
        }
    }
    let entity = v[5].text();
    if host.is_empty() && user.is_empty() {
        if entity.contains(&b'@') || entity.contains(&b'\\') {
            user = entity.into_owned();
        } else {
            host = entity.into_owned();
        }
    }
    out.event(Act::Alert, Outcome::Unknown)
        .at(time(r, first(&v, &[0, 9, 1]).bytes()))
        .service(Service::Edr)
        .sid(v[6].bytes())
        .detail(&first(&v, &[2, 3]).text())
        .target(&file)
        .severity(severity(v[4].bytes()))
        .host(&host)
        .device(&host)
        .domain_user(&domain, &user)
        .source(&address)
        .group(&v[8].text())
        .done()
}

/// OCSF severity, 1 to 5; 0 where the record names none.
pub(crate) fn severity(text: &[u8]) -> u8 {
    match text.to_ascii_lowercase().as_slice() {
        b"informational" | b"info" | b"information" => 1,
        b"low" => 2,
        b"medium" | b"moderate" => 3,
        b"high" => 4,
        b"critical" | b"severe" => 5,
        _ => 0,
    }
}
