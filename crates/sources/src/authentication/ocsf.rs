//! Events of the Open Cybersecurity Schema Framework that kept no raw record: Amazon Security Lake and its like.
//!
//! Read from: "OCSF Schema" 1.3, classes Authentication 3002, Account Change 3001, User Access Management 3005, Group
//! Management 3006, Network Activity 4001, DHCP Activity 4004, RDP Activity 4005, SSH Activity 4007, Tunnel Activity 4014,
//! API Activity 6003, Process Activity 1007, Detection Finding 2004 and Security Finding 2001. Traps: who did it stands in
//! `actor.user`, whom it was done to in `user`, except in a logon, where `user` logs on; an SSH or RDP activity without a
//! user is a connection; `time` counts milliseconds.

use crate::decode::find::find;
use crate::decode::json::{Value, members};
use crate::decode::kv::number;
use crate::emit::Emit;
use crate::firewall::asa_traffic::worth;
use crate::normal::{Form, on_host, reason, service, time};
use crate::record::{Record, Shape};
use crate::source::{Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Change, Mfa, Outcome, Service};
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "ocsf",
    title: "Open Cybersecurity Schema Framework events",
    row: Row::Authentication,
    gives: &[
        Act::Lease,
        Act::Auth,
        Act::SessionStart,
        Act::SessionEnd,
        Act::Logon,
        Act::Logoff,
        Act::Account,
        Act::Api,
        Act::Flow,
        Act::Exec,
        Act::Alert,
    ],
    lacks: &[],
    traps: &["actor_and_user", "connection_without_user"],
    manual: "OCSF Schema 1.3: Identity & Access Management, Network, System, Findings and Application Activity classes",
    enable: "let the source keep raw_data where it can: the product's own record is then read and tells more",
    general: true,
    marks: &["\"class_uid\""],
    reader: Reader::Code {
        claim: |r| r.shape == Shape::Json && find(r.body, b"\"class_uid\"").is_some(),
        parse,
        join: None,
    },
};

const N: usize = 40;
static FORM: LazyLock<Form> = LazyLock::new(|| {
    Form::new(&[
        &["class_uid"],
        &["activity_id"],
        &["time_dt", "time"],
        &["status_id"],
        &["status_detail", "status_code", "status"],
        &["user.name", "user.email_addr", "user.uid"],
        &["user.domain"],
        &["actor.user.name", "actor.user.email_addr", "actor.user.uid"],
        &["actor.user.domain"],
        &["src_endpoint.ip"],
        &["src_endpoint.port"],
        &["dst_endpoint.ip"],
        &["dst_endpoint.port"],
        &["dst_endpoint.hostname", "dst_endpoint.name"],
        &["device.hostname", "device.name"],
        &["metadata.product.name"],
        &["metadata.product.vendor_name"],
        &["session.uid", "actor.session.uid"],
        &["is_mfa", "session.is_mfa"],
        &["session.is_vpn"],
        &["service.name", "dst_endpoint.svc_name"],
        &["logon_type_id"],
        &["http_request.user_agent"],
        &["src_endpoint.location.country"],
        &["src_endpoint.location.city"],
        &["tunnel_interface.ip"],
        &["traffic.bytes_in"],
        &["traffic.bytes_out"],
        &["duration"],
        &["api.operation"],
        &["resources", "api.service.name"],
        &["process.cmd_line", "process.name"],
        &["process.user.name"],
        &["finding_info.title", "finding.title", "message"],
        &["severity_id"],
        &["group.name"],
        &["policy.name", "privileges"],
        &["src_endpoint.mac", "device.mac"],
        &["src_endpoint.hostname", "src_endpoint.name"],
        &["disposition_id", "action_id"],
    ])
});

struct Event<'a>([Value<'a>; N]);

impl<'a> Event<'a> {
    fn get(&self, n: usize) -> Value<'a> {
        self.0.get(n).copied().unwrap_or_default()
    }

    fn number(&self, n: usize) -> u64 {
        number(self.get(n).bytes())
    }

    fn port(&self, n: usize) -> u16 {
        u16::try_from(self.number(n)).unwrap_or(0)
    }

    fn outcome(&self) -> Outcome {
        match self.number(3) {
            1 => Outcome::Success,
            2 => Outcome::Failure,
            _ => Outcome::Unknown,
        }
    }

    /// Service, product and vendor in words.
    fn product(&self) -> Vec<u8> {
        [20, 15, 16].map(|n| self.get(n).bytes()).join(&b' ')
    }
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some(v) = FORM.pick::<N>(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let e = Event(v);
    match e.number(0) {
        3002 => sign_in(r, &e, out),
        3001 | 3005 | 3006 => account(r, &e, out),
        4001 => flow(r, &e, out),
        4004 => lease(r, &e, out),
        4005 => session(r, &e, Service::Rdp, out),
        4007 => session(r, &e, Service::Ssh, out),
        4014 => tunnel(r, &e, out),
        6003 => {
            if e.number(1) == 2 {
                return Parsed::Irrelevant(Kind::RoutineUse);
            }
            out.event(Act::Api, e.outcome())
                .at(time(r, e.get(2)))
                .service(Service::CloudApi)
                .user(&e.get(7).text())
                .source(e.get(9).bytes())
                .client(&e.get(22).text())
                .detail(&e.get(29).text())
                .target(&object(e.get(30)))
                .done()
        }
        1007 if e.number(1) == 1 => {
            let who = if e.get(32).is_missing() { e.get(7) } else { e.get(32) };
            out.event(Act::Exec, Outcome::Success)
                .at(time(r, e.get(2)))
                .host(&e.get(14).text())
                .user(&who.text())
                .detail(&e.get(31).text())
                .done()
        }
        // Its updates and its closing say the same of it again.
        2001 | 2004 if matches!(e.number(1), 0 | 1) => {
            let who = if e.get(5).is_missing() { e.get(7) } else { e.get(5) };
            out.event(Act::Alert, Outcome::Unknown)
                .at(time(r, e.get(2)))
                .service(Service::Edr)
                .host(&e.get(14).text())
                .user(&who.text())
                .source(e.get(9).bytes())
                .severity(u8::try_from(e.number(34).min(5)).unwrap_or(0))
                .detail(&e.get(33).text())
                .done()
        }
        2001 | 2004 => Parsed::Irrelevant(Kind::Repeats),
        _ => Parsed::Irrelevant(Kind::OtherMessage),
    }
}

/// The name of an object that was used.
fn object(value: Value<'_>) -> Vec<u8> {
    let named =
        |name: &[u8]| members(value.nested()).find(|(k, _)| *k == name).map(|(_, v)| v.text().into_owned());
    named(b"name").or_else(|| named(b"uid")).unwrap_or_else(|| value.text().into_owned())
}

fn sign_in(r: &Record<'_>, e: &Event<'_>, out: &mut Emit<'_>) -> Parsed {
    let service = match service(&e.product()) {
        Service::Other | Service::Windows if e.number(21) == 10 => Service::Rdp,
        Service::Other if e.get(19).truth() == Some(true) => Service::Vpn,
        service => service,
    };
    let host = on_host(service);
    let act = match (e.number(1), host) {
        (1, true) => Act::Logon,
        (1, false) => Act::Auth,
        (2, true) => Act::Logoff,
        (2, false) => Act::SessionEnd,
        // Tickets and their renewal.
        _ => return Parsed::Irrelevant(Kind::OtherMessage),
    };
    let outcome = match e.outcome() {
        Outcome::Unknown if e.number(1) == 2 => Outcome::Success,
        outcome => outcome,
    };
    let machine = if e.get(13).is_missing() { e.get(14) } else { e.get(13) };
    let mfa = match e.get(18).truth() {
        Some(true) => Mfa::Yes,
        Some(false) if outcome == Outcome::Success => Mfa::No,
        _ => Mfa::Unknown,
    };
    out.event(act, outcome)
        .at(time(r, e.get(2)))
        .service(service)
        .domain_user(&e.get(6).text(), &e.get(5).text())
        .source(e.get(9).bytes())
        .source_port(e.port(10))
        .host(if host { machine.bytes() } else { b"" })
        .observer(if host { b"" } else { machine.bytes() })
        .device(&e.get(38).text())
        .sid(e.get(17).bytes())
        .client(&e.get(22).text())
        .mfa(mfa)
        .logon_type(u8::try_from(e.number(21).min(99)).unwrap_or(0))
        .reason(reason(outcome, e.get(4).bytes()))
        .country(e.get(23).bytes())
        .city(&e.get(24).text())
        .done()
}

fn account(r: &Record<'_>, e: &Event<'_>, out: &mut Emit<'_>) -> Parsed {
    let change = match (e.number(0), e.number(1)) {
        (3001, 1) => Change::AccountCreated,
        (3001, 2) => Change::AccountEnabled,
        (3001, 3 | 4) => Change::PasswordReset,
        (3001, 5) => Change::AccountDisabled,
        (3001, 6) => Change::AccountDeleted,
        (3001, 7) | (3005 | 3006, 1) => Change::RoleGranted,
        (3001, 8) | (3005 | 3006, 2) => Change::RoleRemoved,
        (3001, 9) => Change::AccountLocked,
        (3001, 10) => Change::FactorEnrolled,
        (3001, 11) => Change::FactorRemoved,
        (3001, 12) => Change::AccountUnlocked,
        (3006, 3) => Change::GroupAdded,
        (3006, 4) => Change::GroupRemoved,
        _ => return Parsed::Irrelevant(Kind::OtherMessage),
    };
    let group = matches!(change, Change::GroupAdded | Change::GroupRemoved);
    out.event(Act::Account, e.outcome())
        .at(time(r, e.get(2)))
        .service(service(&e.product()))
        .domain_user(&e.get(8).text(), &e.get(7).text())
        .target(&e.get(5).text())
        .source(e.get(9).bytes())
        .change(change)
        .detail(&if group { e.get(35).text() } else { e.get(36).text() })
        .done()
}

/// Was it refused? By what was done with it, else by what happened.
fn refused(e: &Event<'_>) -> bool {
    matches!(e.number(39), 2 | 6) || matches!(e.number(1), 4 | 5) || e.outcome() == Outcome::Failure
}

fn flow(r: &Record<'_>, e: &Event<'_>, out: &mut Emit<'_>) -> Parsed {
    let (src, dst) = (Ip::parse(e.get(9).bytes()), Ip::parse(e.get(11).bytes()));
    if matches!(e.number(1), 2 | 3) {
        return Parsed::Irrelevant(Kind::Repeats);
    }
    if src.is_none() || dst.is_none() {
        return Parsed::Irrelevant(Kind::Traffic);
    }
    if let Some(kind) = worth(src, dst, e.port(12), !refused(e)) {
        return Parsed::Irrelevant(kind);
    }
    out.event(Act::Flow, if refused(e) { Outcome::Failure } else { Outcome::Success })
        .at(time(r, e.get(2)))
        .service(Service::Firewall)
        .source_ip(src)
        .source_port(e.port(10))
        .destination_ip(dst)
        .destination_port(e.port(12))
        .user(&e.get(7).text())
        .bytes(e.number(26), e.number(27))
        .observer(&e.get(14).text())
        .done()
}

fn session(r: &Record<'_>, e: &Event<'_>, service: Service, out: &mut Emit<'_>) -> Parsed {
    let user = if e.get(7).is_missing() { e.get(5) } else { e.get(7) };
    if user.is_missing() {
        return flow(r, e, out);
    }
    let act = match e.number(1) {
        1 | 4 | 5 => Act::Logon,
        2 | 3 => Act::Logoff,
        _ => return Parsed::Irrelevant(Kind::Transport),
    };
    let outcome = if act == Act::Logon && refused(e) { Outcome::Failure } else { Outcome::Success };
    let machine = if e.get(13).is_missing() { e.get(14) } else { e.get(13) };
    out.event(act, outcome)
        .at(time(r, e.get(2)))
        .service(service)
        .user(&user.text())
        .source(e.get(9).bytes())
        .source_port(e.port(10))
        .host(&machine.text())
        .sid(e.get(17).bytes())
        .reason(reason(outcome, e.get(4).bytes()))
        .done()
}

fn tunnel(r: &Record<'_>, e: &Event<'_>, out: &mut Emit<'_>) -> Parsed {
    let act = match e.number(1) {
        1 => Act::SessionStart,
        2 => Act::SessionEnd,
        // Renewal, and what its product says in words of its own.
        3 => return Parsed::Irrelevant(Kind::Housekeeping),
        _ => return Parsed::Irrelevant(Kind::OtherMessage),
    };
    let user = if e.get(5).is_missing() { e.get(7) } else { e.get(5) };
    let outcome = match e.outcome() {
        Outcome::Failure => Outcome::Failure,
        _ => Outcome::Success,
    };
    out.event(act, outcome)
        .at(time(r, e.get(2)))
        .service(Service::Vpn)
        .user(&user.text())
        .source(e.get(9).bytes())
        .tunnel(e.get(25).bytes())
        .observer(&e.get(14).text())
        .device(&e.get(38).text())
        .sid(e.get(17).bytes())
        .bytes(e.number(26), e.number(27))
        .duration_s(u32::try_from(e.number(28) / 1_000).unwrap_or(0))
        .country(e.get(23).bytes())
        .done()
}

fn lease(r: &Record<'_>, e: &Event<'_>, out: &mut Emit<'_>) -> Parsed {
    if e.number(1) != 5 {
        return Parsed::Irrelevant(Kind::Housekeeping);
    }
    out.event(Act::Lease, Outcome::Success)
        .at(time(r, e.get(2)))
        .service(Service::Dhcp)
        .source(e.get(9).bytes())
        .mac(e.get(37).bytes())
        .device(&e.get(38).text())
        .observer(&e.get(14).text())
        .done()
}
