//! Documents of the Elastic Common Schema that kept no raw record: what an integration made of a product's log.
//!
//! Read from: "Elastic Common Schema (ECS) Reference", field sets event, user, source, destination, host, process,
//! observer, rule; "ECS categorization fields". Traps: a category is a list; `host.name` is the collector where the product
//! is a cloud service, so a logon counts as one on that host only for SSH, RDP and Windows; an event whose outcome is
//! `unknown` did not fail; alerts have `kibana.alert.*` beside the fields of the event that raised them.

use crate::decode::find::find;
use crate::decode::json::Value;
use crate::decode::kv::number;
use crate::emit::Emit;
use crate::firewall::asa_traffic::worth;
use crate::normal::{Form, has, on_host, reason, service, severity, time};
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use crate::windows::is_event;
use portreeve_model::Ip;
use portreeve_model::event::{Act, Change, Flags, Outcome, Reason, Service};
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "ecs",
    title: "Elastic Common Schema documents",
    row: Row::Authentication,
    gives: &[
        Act::Auth,
        Act::Mfa,
        Act::SessionStart,
        Act::SessionEnd,
        Act::Logon,
        Act::Logoff,
        Act::Account,
        Act::Config,
        Act::Flow,
        Act::Exec,
        Act::Alert,
    ],
    lacks: &[Field::TunnelIp, Field::Device, Field::SessionId],
    traps: &["collector_as_host", "outcome_unknown"],
    manual: "Elastic Common Schema (ECS) Reference; categorization fields",
    enable: "in each integration turn \"Preserve original event\" on: with event.original the product's own record is read and tells more",
    general: true,
    marks: &[
        "\"ecs\"",
        "\"ecs.version\"",
        "\"event.category\"",
        "\"event.action\"",
        "\"event\":",
        "\"event\" :",
    ],
    reader: Reader::Code { claim: is_ecs, parse, join: None },
};

fn is_ecs(r: &Record<'_>) -> bool {
    r.shape == Shape::Json
        && find(r.body, b"\"@timestamp\"").is_some()
        && (find(r.body, b"\"ecs\"").is_some()
            || find(r.body, b"\"ecs.version\"").is_some()
            || find(r.body, b"\"event.category\"").is_some()
            || find(r.body, b"\"event.action\"").is_some()
            || find(r.body, b"\"event\"").is_some() && find(r.body, b"\"category\"").is_some())
        && !is_event(r)
}

const N: usize = 40;
static FORM: LazyLock<Form> = LazyLock::new(|| {
    Form::new(&[
        &["@timestamp"],
        &["event.action"],
        &["event.outcome"],
        &["event.kind"],
        &["event.dataset", "data_stream.dataset", "event.module"],
        &["event.reason", "error.message"],
        &["user.name", "source.user.name", "client.user.name", "user.email", "user.id"],
        &["user.domain", "source.user.domain"],
        &["user.target.name", "user.target.email", "user.changes.name"],
        &["source.ip", "client.ip", "source.address"],
        &["source.port", "client.port"],
        &["destination.ip", "server.ip"],
        &["destination.port", "server.port"],
        &["host.name", "host.hostname"],
        &["observer.name", "observer.hostname"],
        &["observer.product", "observer.vendor", "observer.type"],
        &["process.name", "process.program"],
        &["process.command_line"],
        &["user_agent.original"],
        &["kibana.alert.rule.name", "rule.name", "message"],
        &["kibana.alert.severity", "kibana.alert.risk_score", "event.severity", "event.risk_score"],
        &["group.name", "rule.ruleset"],
        &["source.bytes"],
        &["destination.bytes"],
        &["source.geo.country_iso_code", "client.geo.country_iso_code"],
        &["source.geo.city_name", "client.geo.city_name"],
        &["event.duration"],
        &["device.id", "host.id"],
        &["file.name", "process.executable"],
        &["source.nat.ip"],
        &["event.category"],
        &["event.type"],
        &["role.name", "user.target.roles", "user.changes.roles"],
        &["error.code"],
        &["network.application", "service.name"],
        &["destination.user.name", "server.user.name"],
        &["event.provider"],
        &["user.effective.name"],
        &["winlog.logon.type"],
        &["network.type"],
    ])
});

/// All words of a list are wanted of these two, not only the first.
static LISTS: LazyLock<crate::decode::json::Paths<4>> = LazyLock::new(|| {
    crate::decode::json::Paths::new(["event.category", r"event\.category", "event.type", r"event\.type"])
});

struct Doc<'a> {
    v: [Value<'a>; N],
    category: &'a [u8],
    kind: &'a [u8],
}

impl<'a> Doc<'a> {
    fn get(&self, n: usize) -> Value<'a> {
        self.v.get(n).copied().unwrap_or_default()
    }

    fn is(&self, category: &str) -> bool {
        has(self.category, &[category])
    }

    fn outcome(&self) -> Outcome {
        let outcome = self.get(2).bytes();
        if outcome.eq_ignore_ascii_case(b"success") {
            Outcome::Success
        } else if outcome.eq_ignore_ascii_case(b"failure") {
            Outcome::Failure
        } else if has(self.kind, &["denied"]) {
            Outcome::Failure
        } else if has(self.kind, &["allowed"]) {
            Outcome::Success
        } else {
            Outcome::Unknown
        }
    }
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let (Some(v), Ok([c1, c2, t1, t2])) = (FORM.pick::<N>(r.body), LISTS.pick(r.body)) else {
        return Parsed::Broken(Why::Malformed("JSON"));
    };
    let (category, kind) = (pick_list(c1, c2), pick_list(t1, t2));
    let doc = Doc { v, category, kind };
    let alert = doc.get(3).is(b"alert") || doc.get(3).is(b"signal");
    if alert || ["intrusion_detection", "malware", "threat", "vulnerability"].iter().any(|c| doc.is(c)) {
        return raise(r, &doc, alert, out);
    }
    if doc.is("authentication") || doc.is("session") {
        return sign_in(r, &doc, out);
    }
    if doc.is("iam") {
        return account(r, &doc, out);
    }
    if doc.is("process") && has(doc.kind, &["start"]) {
        return out
            .event(Act::Exec, Outcome::Success)
            .at(time(r, doc.get(0)))
            .domain_user(&doc.get(7).text(), &doc.get(6).text())
            .host(&doc.get(13).text())
            .detail(&if doc.get(17).is_missing() { doc.get(16).text() } else { doc.get(17).text() })
            .done();
    }
    if doc.is("configuration") && has(doc.kind, &["change", "creation", "deletion"]) {
        return out
            .event(Act::Config, doc.outcome())
            .at(time(r, doc.get(0)))
            .user(&doc.get(6).text())
            .source(doc.get(9).bytes())
            .observer(&observer(r, &doc))
            .change(Change::ConfigChanged)
            .detail(&doc.get(1).text())
            .done();
    }
    if doc.is("network") {
        return flow(r, &doc, out);
    }
    Parsed::Irrelevant(Kind::OtherMessage)
}

fn pick_list<'a>(nested: Value<'a>, flat: Value<'a>) -> &'a [u8] {
    let of = |v: Value<'a>| if v.nested().is_empty() { v.bytes() } else { v.nested() };
    if nested.is_missing() { of(flat) } else { of(nested) }
}

/// What wrote it, in words: data set, program, product.
fn product(doc: &Doc<'_>) -> Vec<u8> {
    let words = [4, 36, 16, 15, 34].map(|n| doc.get(n).bytes());
    words.join(&b' ')
}

fn observer<'a>(r: &Record<'a>, doc: &Doc<'a>) -> Vec<u8> {
    let name = doc.get(14).text();
    if name.is_empty() { r.host().to_vec() } else { name.into_owned() }
}

fn sign_in(r: &Record<'_>, doc: &Doc<'_>, out: &mut Emit<'_>) -> Parsed {
    let service = service(&product(doc));
    let host = on_host(service);
    let action = doc.get(1).bytes();
    let outcome = doc.outcome();
    let ended = has(doc.kind, &["end"])
        || has(
            action,
            &["logout", "logoff", "logged-out", "logged_out", "log_off", "session-end", "disconnect"],
        );
    let session = !doc.is("authentication");
    let factor = has(action, &["mfa", "multi-factor", "second_factor", "otp"]);
    let act = match (ended, host) {
        (true, true) => Act::Logoff,
        (true, false) => Act::SessionEnd,
        (false, true) if session => return Parsed::Irrelevant(Kind::Repeats),
        (false, true) => Act::Logon,
        (false, false) if session => Act::SessionStart,
        (false, false) if factor => Act::Mfa,
        (false, false) => Act::Auth,
    };
    if outcome == Outcome::Unknown && !ended && !session && !has(doc.kind, &["start"]) {
        // Neither its outcome nor its type says that somebody came in or was refused.
        return Parsed::Irrelevant(Kind::Pending);
    }
    let outcome = match outcome {
        Outcome::Unknown if ended || session => Outcome::Success,
        outcome => outcome,
    };
    let user = if doc.get(6).is_missing() { doc.get(35) } else { doc.get(6) };
    // An action may say why, but need not.
    let why = match (doc.get(5).is_missing(), reason(outcome, doc.get(1).bytes())) {
        (true, Reason::Other) => Reason::None,
        (true, told) => told,
        (false, _) => reason(outcome, doc.get(5).bytes()),
    };
    let machine = doc.get(13).text();
    out.event(act, outcome)
        .at(time(r, doc.get(0)))
        .service(service)
        .domain_user(&doc.get(7).text(), &user.text())
        .source(doc.get(9).bytes())
        .source_port(u16::try_from(number(doc.get(10).bytes())).unwrap_or(0))
        .host(if host { &machine } else { b"" })
        .observer(&if host { Vec::new() } else { observer(r, doc) })
        .client(&doc.get(18).text())
        .group(&doc.get(21).text())
        .reason(why)
        .country(doc.get(24).bytes())
        .city(&doc.get(25).text())
        .duration_s(u32::try_from(number(doc.get(26).bytes()) / 1_000_000_000).unwrap_or(0))
        .flag_if(service == Service::Radius, Flags::PRE_MFA)
        .done()
}

fn account(r: &Record<'_>, doc: &Doc<'_>, out: &mut Emit<'_>) -> Parsed {
    let action = [doc.get(1).bytes(), doc.kind].join(&b' ');
    let says = |words: &[&str]| has(&action, words);
    let group = says(&["group"]);
    let removal = says(&["remov", "delet", "revok", "disable", "unassign", "detach"]);
    let change = if says(&["unlock"]) {
        Change::AccountUnlocked
    } else if says(&["lock"]) {
        Change::AccountLocked
    } else if says(&["password"]) {
        Change::PasswordReset
    } else if says(&["mfa", "factor", "authenticator"]) {
        match (removal, says(&["reset"])) {
            (_, true) => Change::FactorReset,
            (true, _) => Change::FactorRemoved,
            _ => Change::FactorEnrolled,
        }
    } else if says(&["role", "privilege", "permission", "admin"]) {
        if removal { Change::RoleRemoved } else { Change::RoleGranted }
    } else if group && says(&["add", "member", "assign"]) || group && says(&["remov"]) {
        if removal { Change::GroupRemoved } else { Change::GroupAdded }
    } else if group {
        return Parsed::Irrelevant(Kind::OtherMessage);
    } else if says(&["disable", "suspend", "deactivat"]) {
        Change::AccountDisabled
    } else if says(&["enable", "activat"]) {
        Change::AccountEnabled
    } else if removal {
        Change::AccountDeleted
    } else if says(&["creat", "add"]) {
        Change::AccountCreated
    } else {
        return Parsed::Irrelevant(Kind::OtherMessage);
    };
    let detail = if doc.get(32).is_missing() { doc.get(21) } else { doc.get(32) };
    out.event(Act::Account, doc.outcome())
        .at(time(r, doc.get(0)))
        .service(service(&product(doc)))
        .user(&doc.get(6).text())
        .target(&doc.get(8).text())
        .source(doc.get(9).bytes())
        .observer(&observer(r, doc))
        .change(change)
        .detail(&detail.text())
        .done()
}

fn flow(r: &Record<'_>, doc: &Doc<'_>, out: &mut Emit<'_>) -> Parsed {
    let (src, dst) = (Ip::parse(doc.get(9).bytes()), Ip::parse(doc.get(11).bytes()));
    let port = |n| u16::try_from(number(doc.get(n).bytes())).unwrap_or(0);
    let refused = doc.outcome() == Outcome::Failure
        || has(doc.get(1).bytes(), &["deny", "denied", "drop", "block", "reject", "refused"]);
    if !has(doc.kind, &["connection", "allowed", "denied", "start"]) && !refused {
        return Parsed::Irrelevant(Kind::Traffic);
    }
    if src.is_none() || dst.is_none() {
        return Parsed::Irrelevant(Kind::Traffic);
    }
    if let Some(kind) = worth(src, dst, port(12), !refused) {
        return Parsed::Irrelevant(kind);
    }
    out.event(Act::Flow, if refused { Outcome::Failure } else { Outcome::Success })
        .at(time(r, doc.get(0)))
        .service(Service::Firewall)
        .source_ip(src)
        .source_port(port(10))
        .destination_ip(dst)
        .destination_port(port(12))
        .user(&doc.get(6).text())
        .bytes(number(doc.get(22).bytes()), number(doc.get(23).bytes()))
        .observer(&observer(r, doc))
        .done()
}

fn raise(r: &Record<'_>, doc: &Doc<'_>, alert: bool, out: &mut Emit<'_>) -> Parsed {
    if !alert && has(doc.kind, &["info"]) && doc.get(20).is_missing() {
        return Parsed::Irrelevant(Kind::OtherMessage);
    }
    let title = if doc.get(19).is_missing() { doc.get(1) } else { doc.get(19) };
    let target = if doc.get(16).is_missing() { doc.get(28) } else { doc.get(16) };
    out.event(Act::Alert, Outcome::Unknown)
        .at(time(r, doc.get(0)))
        .service(Service::Edr)
        .domain_user(&doc.get(7).text(), &doc.get(6).text())
        .source(doc.get(9).bytes())
        .host(&doc.get(13).text())
        .observer(&observer(r, doc))
        .severity(severity(doc.get(20).bytes()))
        .detail(&title.text())
        .target(&target.text())
        .done()
}
