//! Citrix Cloud: changes by administrators (system log), and the sessions of DaaS or Virtual Apps and Desktops (monitor).
//!
//! Read from: "System Log Events Reference", "SystemLog API"; "Monitor Service OData API" (Sessions with User, Machine and
//! CurrentConnection). Traps: a session is one row that is completed later, so its end is only there once it has ended;
//! `ClientAddress` is what the client says of itself, and inside somebody's home network it says nothing; `CwcSystem` is
//! nobody.

use crate::decode::clock::{self, Clock, Stamp};
use crate::decode::find::find;
use crate::decode::json::{Paths, Value};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Change, Flags, Outcome, Service};
use portreeve_model::time::Certainty;
use portreeve_model::{EventTime, Ip};
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "citrix_cloud",
    title: "Citrix Cloud and DaaS (system log, monitor)",
    row: Row::Citrix,
    gives: &[Act::SessionStart, Act::SessionEnd, Act::Account, Act::Config],
    lacks: &[Field::Mfa, Field::TunnelIp, Field::Bytes],
    traps: &["system_is_nobody", "claimed_address"],
    manual: "Citrix Cloud: System Log Events Reference; Citrix DaaS: Monitor Service OData API",
    enable: "system log: SystemLog API or export from Citrix Cloud > System Log; monitor: GET /monitorodata/Sessions?$expand=User,Machine,CurrentConnection",
    general: false,
    marks: &["\"UtcTimestamp\"", "\"utcTimestamp\"", "\"SessionKey\""],
    reader: Reader::Code {
        claim: |r| r.shape == Shape::Json && (is_change(r) || is_session(r)),
        parse,
        join: None,
    },
};

fn is_change(r: &Record<'_>) -> bool {
    let has = |a: &[u8], b: &[u8]| find(r.body, a).is_some() || find(r.body, b).is_some();
    has(b"\"UtcTimestamp\"", b"\"utcTimestamp\"") && has(b"\"ActorType\"", b"\"actorType\"")
}

fn is_session(r: &Record<'_>) -> bool {
    find(r.body, b"\"SessionKey\"").is_some() && find(r.body, b"\"StartDate\"").is_some()
}

static CHANGE: LazyLock<Paths<20>> = LazyLock::new(|| {
    Paths::new([
        "UtcTimestamp",
        "EventType",
        "ActorDisplayName",
        "ActorId",
        "ActorType",
        "TargetEmail",
        "TargetDisplayName",
        "TargetType",
        "Message.en-US",
        "RecordId",
        "utcTimestamp",
        "eventType",
        "actorDisplayName",
        "actorId",
        "actorType",
        "targetEmail",
        "targetDisplayName",
        "targetType",
        "message.en-US",
        "recordId",
    ])
});

static SESSION: LazyLock<Paths<18>> = LazyLock::new(|| {
    Paths::new([
        "SessionKey",
        "StartDate",
        "EndDate",
        "User.UserName",
        "User.Domain",
        "User.Upn",
        "Machine.DnsName",
        "Machine.Name",
        "CurrentConnection.ClientAddress",
        "CurrentConnection.ClientName",
        "CurrentConnection.ClientPlatform",
        "CurrentConnection.Protocol",
        "UserName",
        "DnsName",
        "ClientAddress",
        "ClientName",
        "ClientPlatform",
        "Domain",
    ])
});

/// Times are UTC, with and without saying so.
fn time(stamp: &[u8]) -> Option<(EventTime, Certainty)> {
    match clock::iso(stamp)?.0 {
        Stamp::Absolute(t) => Some((t, Certainty::Exact)),
        Stamp::Local(civil) => Clock::with_offset(civil, 0).map(|t| (t, Certainty::Exact)),
    }
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    if is_change(r) { change(r, out) } else { session(r, out) }
}

fn session(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = SESSION.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let [
        key,
        start,
        end,
        user,
        domain,
        upn,
        dns,
        name,
        address,
        client,
        platform,
        _,
        user2,
        dns2,
        address2,
        client2,
        platform2,
        domain2,
    ] = v;
    let first = |a: Value<'_>, b: Value<'_>| {
        if a.is_missing() { b.text().into_owned() } else { a.text().into_owned() }
    };
    let (user, domain) = (first(user, user2), first(domain, domain2));
    let user = if user.is_empty() { upn.text().into_owned() } else { user };
    let host = if dns.is_missing() { first(dns2, name) } else { dns.text().into_owned() };
    let (address, client, platform) =
        (first(address, address2), first(client, client2), first(platform, platform2));
    let ip = Ip::parse(&address);
    let Some(begun) = time(start.bytes()) else { return Parsed::Broken(Why::Missing("start")) };
    let done = out
        .event(Act::SessionStart, Outcome::Success)
        .time(begun.0, begun.1)
        .service(Service::Ica)
        .domain_user(&domain, &user)
        .source_ip(if ip.is_public() { ip } else { Ip::NONE })
        .flag_if(ip.is_public(), Flags::SOURCE_UNTRUSTED)
        .host(&host)
        .sid(key.bytes())
        .device(&client)
        .client(&platform)
        .observer(b"Citrix DaaS")
        .done();
    let Some(ended) = time(end.bytes()) else { return done };
    out.event(Act::SessionEnd, Outcome::Success)
        .time(ended.0, ended.1)
        .service(Service::Ica)
        .domain_user(&domain, &user)
        .host(&host)
        .sid(key.bytes())
        .duration_s(u32::try_from(ended.0.0.saturating_sub(begun.0.0) / 1_000_000).unwrap_or(0))
        .observer(b"Citrix DaaS")
        .done()
}

fn change(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = CHANGE.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let (upper, lower) = v.split_at(10);
    let get = |n: usize| {
        [upper, lower]
            .into_iter()
            .filter_map(|side| side.get(n))
            .find(|v| !v.is_missing())
            .copied()
            .unwrap_or_default()
    };
    // `platform/administrator/create`, `delegatedadministration:administrator/create`.
    let kind = get(1).bytes();
    let has = |needle: &[u8]| find(kind, needle).is_some();
    let actor = get(2).text();
    if &*actor == b"CwcSystem" || get(4).is(b"system") {
        return Parsed::Irrelevant(Kind::Machine);
    }
    let (act, change) = if has(b"administrator") || has(b"admin/") {
        let change = if has(b"create") || has(b"add") || has(b"accept") {
            Change::AdminCreated
        } else if has(b"delete") || has(b"remove") {
            Change::AccountDeleted
        } else if has(b"update") || has(b"modify") || has(b"edit") || has(b"permission") {
            Change::RoleGranted
        } else {
            return Parsed::Irrelevant(Kind::RoutineUse);
        };
        (Act::Account, change)
    } else if has(b"client") && has(b"create") {
        (Act::Account, Change::KeyCreated)
    } else if has(b"devicereset") || has(b"device/reset") || has(b"token") && has(b"reset") {
        (Act::Account, Change::FactorReset)
    } else if has(b"authentication") || has(b"policy") || has(b"identityprovider") || has(b"workspace") {
        (Act::Config, Change::PolicyChanged)
    } else {
        (Act::Config, Change::ConfigChanged)
    };
    let target = if get(5).is_missing() { get(6).text() } else { get(5).text() };
    let actor = if actor.is_empty() { get(3).text() } else { actor };
    out.event(act, Outcome::Success)
        .at(time(get(0).bytes()))
        .service(Service::Management)
        .user(&actor)
        .target(&target)
        .change(change)
        .detail(kind)
        .observer(b"Citrix Cloud")
        .flag(Flags::PRIVILEGED)
        .done()
}
