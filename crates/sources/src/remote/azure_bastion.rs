//! Azure Bastion: sessions to virtual machines through the browser or a native client.
//!
//! Read from: Azure "Monitor Azure Bastion" and the table MicrosoftAzureBastionAuditLogs. Traps: the user is the
//! account on the machine, who opened the portal stands as `userEmail` and not always; a record with an end tells of
//! the whole session.

use super::{seconds, stamped_utc};
use crate::decode::find::find;
use crate::decode::json::{Paths, Value};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Outcome, Reason, Service};
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "azure_bastion",
    title: "Azure Bastion",
    row: Row::Remote,
    gives: &[Act::SessionStart, Act::SessionEnd, Act::Auth],
    lacks: &[Field::Mfa, Field::TunnelIp, Field::Device, Field::Bytes],
    traps: &["whole_session"],
    manual: "Microsoft: Azure Bastion resource logs (BastionAuditLogs)",
    enable: "a diagnostic setting of the Bastion resource that sends the category BastionAuditLogs",
    general: false,
    marks: &["BastionAuditLogs"],
    reader: Reader::Code {
        claim: |r| r.shape == Shape::Json && find(r.body, b"BastionAuditLogs\"").is_some(),
        parse,
        join: None,
    },
};

const N: usize = 25;
static PATHS: LazyLock<Paths<N>> = LazyLock::new(|| {
    Paths::new([
        "time",
        "properties.userName",
        "properties.userEmail",
        "properties.clientIpAddress",
        "properties.clientPort",
        "properties.protocol",
        "properties.targetResourceId",
        "properties.targetVMIPAddress",
        "properties.tunnelId",
        "properties.message",
        "properties.userAgent",
        "properties.sessionStartTime",
        "properties.sessionEndTime",
        "properties.duration",
        "resourceId",
        "TimeGenerated",
        "UserName",
        "UserEmail",
        "ClientIpAddress",
        "Protocol",
        "TargetResourceId",
        "TargetVMIPAddress",
        "TunnelId",
        "Message",
        "SessionEndTime",
    ])
});

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    // The resource log, and its row in Log Analytics.
    let or = |a: usize, b: usize| -> Value<'_> {
        match (v.get(a), v.get(b)) {
            (Some(x), _) if !x.bytes().is_empty() => *x,
            (_, Some(y)) => *y,
            _ => Value::Missing,
        }
    };
    let [time, user, email, client, protocol, resource, ip, tunnel, message, end] = [
        or(0, 15),
        or(1, 16),
        or(2, 17),
        or(3, 18),
        or(5, 19),
        or(6, 20),
        or(7, 21),
        or(8, 22),
        or(9, 23),
        or(12, 24),
    ];
    let message = message.text();
    let machine = resource.bytes().rsplit(|b| *b == b'/').next().unwrap_or_default();
    let gateway = v[14].bytes().rsplit(|b| *b == b'/').next().unwrap_or_default();
    let who = if email.bytes().is_empty() { user } else { email };
    let ends = !end.bytes().is_empty();
    let failed = find(&message, b"ailed").is_some() || find(&message, b"rror").is_some();
    if message.is_empty() && !ends {
        return Parsed::Irrelevant(Kind::OtherMessage);
    }
    let (act, outcome) = match (failed, ends) {
        (true, _) => (Act::Auth, Outcome::Failure),
        (false, true) => (Act::SessionEnd, Outcome::Success),
        (false, false) => (Act::SessionStart, Outcome::Success),
    };
    let acts: &[(Act, &[u8])] = if act == Act::SessionEnd && !v[11].bytes().is_empty() {
        &[(Act::SessionStart, v[11].bytes()), (Act::SessionEnd, end.bytes())]
    } else if act == Act::SessionEnd {
        &[(act, end.bytes())]
    } else {
        &[(act, time.bytes())]
    };
    let mut told = Parsed::Irrelevant(Kind::OtherMessage);
    for (act, at) in acts {
        told = out
            .event(*act, outcome)
            .at(stamped_utc(r, at))
            .service(Service::Bastion)
            .user(&who.text())
            .source(client.bytes())
            .source_port(u16::try_from(crate::decode::kv::number(v[4].bytes())).unwrap_or(0))
            .host(machine)
            .destination(ip.bytes())
            .target(&user.text())
            .sid(tunnel.bytes())
            .observer(gateway)
            .group(protocol.bytes())
            .client(&v[10].text())
            .duration_s(if *act == Act::SessionEnd { seconds(v[13].bytes()) } else { 0 })
            .reason(match (*act, failed) {
                (Act::Auth, _) => Reason::BadPassword,
                (Act::SessionEnd, _) => Reason::Logout,
                _ => Reason::None,
            })
            .done();
    }
    told
}
