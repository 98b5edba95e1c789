//! Events of Google Security Operations' Unified Data Model that kept no raw record.
//!
//! Read from: "Unified Data Model field list", "UDM usage guide". Traps: names are in snake case in an export and in camel
//! case in an answer of the API; addresses, e-mail addresses and actions are lists; who logs in stands in `target.user`,
//! where a product fills that, else in `principal.user`; an action may be CHALLENGE, which is no failure.

use crate::decode::find::find;
use crate::decode::json::Value;
use crate::decode::kv::number;
use crate::emit::Emit;
use crate::firewall::asa_traffic::worth;
use crate::normal::{Form, has, on_host, reason, service, severity, time};
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Change, Factor, Mfa, Outcome, Service};
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "udm",
    title: "Google SecOps (Chronicle) unified data model",
    row: Row::Authentication,
    gives: &[
        Act::Lease,
        Act::Auth,
        Act::SessionEnd,
        Act::Logon,
        Act::Logoff,
        Act::Account,
        Act::Flow,
        Act::Exec,
        Act::Alert,
    ],
    lacks: &[Field::TunnelIp],
    traps: &["camel_case", "challenge"],
    manual: "Google SecOps: Unified Data Model field list; UDM usage guide",
    enable: "export with the raw log (raw_log) where you can: the product's own record is then read and tells more",
    general: true,
    marks: &["\"metadata\""],
    reader: Reader::Code {
        claim: |r| {
            r.shape == Shape::Json
                && find(r.body, b"\"metadata\"").is_some()
                && (find(r.body, b"\"event_type\"").is_some() || find(r.body, b"\"eventType\"").is_some())
                && (find(r.body, b"\"principal\"").is_some() || find(r.body, b"\"target\"").is_some())
                && find(r.body, b"_name\"").or_else(|| find(r.body, b"Name\"")).is_some()
        },
        parse,
        join: None,
    },
};

const N: usize = 32;
static FORM: LazyLock<Form> = LazyLock::new(|| {
    Form::new(&[
        &["metadata.event_type", "metadata.eventType"],
        &["metadata.event_timestamp", "metadata.eventTimestamp"],
        &["metadata.product_name", "metadata.productName"],
        &["metadata.vendor_name", "metadata.vendorName"],
        &["metadata.product_event_type", "metadata.productEventType", "metadata.description"],
        &[
            "target.user.userid",
            "target.user.email_addresses",
            "target.user.emailAddresses",
            "target.user.user_display_name",
        ],
        &[
            "principal.user.userid",
            "principal.user.email_addresses",
            "principal.user.emailAddresses",
            "principal.user.user_display_name",
        ],
        &["principal.ip"],
        &["principal.port"],
        &["target.ip"],
        &["target.port"],
        &["target.hostname", "target.asset.hostname"],
        &["principal.hostname", "principal.asset.hostname"],
        &["observer.hostname", "intermediary.hostname"],
        &["extensions.auth.type"],
        &["extensions.auth.mechanism"],
        &["network.session_id", "network.sessionId"],
        &["network.http.user_agent", "network.http.userAgent"],
        &["principal.location.country_or_region", "principal.location.countryOrRegion"],
        &["principal.location.city"],
        &["network.sent_bytes", "network.sentBytes"],
        &["network.received_bytes", "network.receivedBytes"],
        &["target.process.command_line", "target.process.commandLine", "principal.process.command_line"],
        &["target.group.group_display_name", "target.group.groupDisplayName", "target.resource.name"],
        &["network.dhcp.yiaddr"],
        &["network.dhcp.chaddr", "principal.mac"],
        &["network.dhcp.type"],
        &["network.dhcp.client_hostname", "network.dhcp.clientHostname"],
        &["security_result", "securityResult"],
        &["principal.asset_id", "principal.assetId"],
        &["target.application"],
        &["target.user.user_role", "target.user.userRole"],
    ])
});

/// What was made of the event; the first of a list.
static RESULT: LazyLock<Form> = LazyLock::new(|| {
    Form::new(&[
        &["action"],
        &["summary", "description"],
        &["severity"],
        &["threat_name", "threatName"],
        &["rule_name", "ruleName"],
    ])
});

struct Event<'a> {
    v: [Value<'a>; N],
    action: &'a [u8],
    summary: Value<'a>,
    severity: &'a [u8],
    threat: Value<'a>,
}

impl<'a> Event<'a> {
    fn get(&self, n: usize) -> Value<'a> {
        self.v.get(n).copied().unwrap_or_default()
    }

    fn first(&self, a: usize, b: usize) -> Value<'a> {
        if self.get(a).is_missing() { self.get(b) } else { self.get(a) }
    }

    fn port(&self, n: usize) -> u16 {
        u16::try_from(number(self.get(n).bytes())).unwrap_or(0)
    }

    fn outcome(&self) -> Outcome {
        match self.action {
            b"ALLOW" | b"ALLOW_WITH_MODIFICATION" => Outcome::Success,
            b"BLOCK" | b"FAIL" | b"QUARANTINE" => Outcome::Failure,
            b"CHALLENGE" => Outcome::Challenge,
            _ => Outcome::Unknown,
        }
    }

    fn product(&self) -> Vec<u8> {
        [14, 2, 3, 30].map(|n| self.get(n).bytes()).join(&b' ')
    }
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some(v) = FORM.pick::<N>(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let [action, summary, severity, threat, rule] =
        v.get(28).and_then(|s| RESULT.pick::<5>(s.nested())).unwrap_or_default();
    let threat = [threat, rule, summary].into_iter().find(|t| !t.is_missing()).unwrap_or_default();
    let e = Event { v, action: action.bytes(), summary, severity: severity.bytes(), threat };
    match e.get(0).bytes() {
        b"USER_LOGIN" => sign_in(r, &e, true, out),
        b"USER_LOGOUT" => sign_in(r, &e, false, out),
        b"USER_CREATION" => account(r, &e, Change::AccountCreated, out),
        b"USER_DELETION" => account(r, &e, Change::AccountDeleted, out),
        b"USER_CHANGE_PASSWORD" => account(r, &e, Change::PasswordReset, out),
        b"USER_CHANGE_PERMISSIONS" => account(r, &e, Change::RoleGranted, out),
        b"GROUP_MODIFICATION" if !e.get(5).is_missing() => {
            let removed = has(e.get(4).bytes(), &["remov", "delet"]);
            account(r, &e, if removed { Change::GroupRemoved } else { Change::GroupAdded }, out)
        }
        b"NETWORK_CONNECTION" | b"NETWORK_FLOW" => flow(r, &e, out),
        b"NETWORK_DHCP" => {
            if !matches!(e.get(26).bytes(), b"ACK" | b"") || e.get(24).is_missing() {
                return Parsed::Irrelevant(Kind::Housekeeping);
            }
            out.event(Act::Lease, Outcome::Success)
                .at(time(r, e.get(1)))
                .service(Service::Dhcp)
                .source(e.get(24).bytes())
                .mac(e.get(25).bytes())
                .device(&e.first(27, 12).text())
                .observer(&e.get(13).text())
                .done()
        }
        b"PROCESS_LAUNCH" => out
            .event(Act::Exec, Outcome::Success)
            .at(time(r, e.get(1)))
            .host(&e.first(12, 11).text())
            .user(&e.first(6, 5).text())
            .detail(&e.get(22).text())
            .done(),
        kind if kind.starts_with(b"SCAN_") && !e.threat.is_missing() => out
            .event(Act::Alert, Outcome::Unknown)
            .at(time(r, e.get(1)))
            .service(Service::Edr)
            .host(&e.first(11, 12).text())
            .user(&e.first(5, 6).text())
            .source(e.get(7).bytes())
            .severity(severity_of(e.severity))
            .detail(&e.threat.text())
            .done(),
        _ => Parsed::Irrelevant(Kind::OtherMessage),
    }
}

fn severity_of(text: &[u8]) -> u8 {
    if text.is_empty() { 0 } else { severity(text) }
}

fn sign_in(r: &Record<'_>, e: &Event<'_>, login: bool, out: &mut Emit<'_>) -> Parsed {
    let service = match e.get(14).bytes() {
        b"VPN" => Service::Vpn,
        b"SSO" => Service::Idp,
        b"MACHINE" if service(&e.product()) == Service::Other => Service::Host,
        _ => service(&e.product()),
    };
    let host = on_host(service);
    let outcome = match e.outcome() {
        Outcome::Unknown if !login => Outcome::Success,
        outcome => outcome,
    };
    if outcome == Outcome::Unknown {
        return Parsed::Irrelevant(Kind::Pending);
    }
    let act = match (login, host) {
        (true, true) => Act::Logon,
        (true, false) => Act::Auth,
        (false, true) => Act::Logoff,
        (false, false) => Act::SessionEnd,
    };
    let second = matches!(e.get(15).bytes(), b"OTP" | b"HARDWARE_KEY" | b"TWO_FACTOR");
    let factor = match e.get(15).bytes() {
        b"OTP" => Factor::Totp,
        b"HARDWARE_KEY" => Factor::HardwareToken,
        _ => Factor::None,
    };
    out.event(act, outcome)
        .at(time(r, e.get(1)))
        .service(service)
        .user(&e.first(5, 6).text())
        .source(e.get(7).bytes())
        .source_port(e.port(8))
        .host(if host { e.get(11).bytes() } else { b"" })
        .observer(if host { b"" } else { e.first(13, 11).bytes() })
        .device(&e.first(12, 29).text())
        .sid(e.get(16).bytes())
        .client(&e.get(17).text())
        .group(&e.get(30).text())
        .mfa(if second && outcome == Outcome::Success { Mfa::Yes } else { Mfa::Unknown })
        .factor(factor)
        .reason(reason(outcome, e.summary.bytes()))
        .country(e.get(18).bytes())
        .city(&e.get(19).text())
        .done()
}

fn account(r: &Record<'_>, e: &Event<'_>, change: Change, out: &mut Emit<'_>) -> Parsed {
    let outcome = match e.outcome() {
        Outcome::Unknown => Outcome::Success,
        outcome => outcome,
    };
    let detail = if change == Change::RoleGranted { e.first(31, 23) } else { e.get(23) };
    out.event(Act::Account, outcome)
        .at(time(r, e.get(1)))
        .service(service(&e.product()))
        .user(&e.get(6).text())
        .target(&e.get(5).text())
        .source(e.get(7).bytes())
        .change(change)
        .detail(&detail.text())
        .done()
}

fn flow(r: &Record<'_>, e: &Event<'_>, out: &mut Emit<'_>) -> Parsed {
    let (src, dst) = (Ip::parse(e.get(7).bytes()), Ip::parse(e.get(9).bytes()));
    let refused = e.outcome() == Outcome::Failure;
    if src.is_none() || dst.is_none() {
        return Parsed::Irrelevant(Kind::Traffic);
    }
    if let Some(kind) = worth(src, dst, e.port(10), !refused) {
        return Parsed::Irrelevant(kind);
    }
    out.event(Act::Flow, if refused { Outcome::Failure } else { Outcome::Success })
        .at(time(r, e.get(1)))
        .service(Service::Firewall)
        .source_ip(src)
        .source_port(e.port(8))
        .destination_ip(dst)
        .destination_port(e.port(10))
        .user(&e.get(6).text())
        .bytes(number(e.get(20).bytes()), number(e.get(21).bytes()))
        .observer(&e.get(13).text())
        .done()
}
