//! Palo Alto traffic, threat and system rows.
//!
//! Read from: PAN-OS "Traffic Log Fields", "Threat Log Fields", "System Log Fields". Traps: the CSV times are the
//! firewall's local ones; a drop row has no session.

use super::asa_traffic::worth;
use crate::decode::find::find;
use crate::decode::kv::{after, number};
use crate::emit::Emit;
use crate::pan::{Columns, kind};
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Row, Source, Why};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Flags, Outcome, Reason, Service};

pub static SOURCE: Source = Source {
    name: "pan_traffic",
    title: "Palo Alto PAN-OS (traffic, threat, system, configuration)",
    row: Row::Firewall,
    gives: &[Act::Flow, Act::Admin, Act::Config, Act::Auth],
    lacks: &[Field::Mfa, Field::Device, Field::Zone],
    traps: &["system_login"],
    enable: "log forwarding profiles on the security policies; system and configuration logs to syslog",
    claim: |r| {
        matches!(
            kind(r),
            Some(
                b"TRAFFIC"
                    | b"THREAT"
                    | b"SYSTEM"
                    | b"CONFIG"
                    | b"USERID"
                    | b"HIPMATCH"
                    | b"AUTH"
                    | b"AUTHENTICATION"
                    | b"DECRYPTION"
                    | b"AUDIT"
                    | b"CORRELATION"
            )
        )
    },
    parse,
    join: None,
};

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let row = Columns::of(r);
    let c = &row.c;
    if row.n < 12 {
        return Parsed::Broken(Why::Missing("columns"));
    }
    match c[3] {
        b"TRAFFIC" | b"THREAT" => {
            // 7 source, 8 destination, 12 user, 24 source port, 25 destination port, 30 action.
            let (src, dst) = (Ip::parse(c[7]), Ip::parse(c[8]));
            let dport = u16::try_from(number(c[25])).unwrap_or(0);
            let failed = matches!(
                c[30],
                b"deny"
                    | b"drop"
                    | b"drop-icmp"
                    | b"reset-both"
                    | b"reset-client"
                    | b"reset-server"
                    | b"block-ip"
            );
            if c[3] == b"TRAFFIC" && c[4] == b"start" {
                return Parsed::Irrelevant(Kind::Repeats);
            }
            let kind = worth(src, dst, dport, !failed);
            if let Some(kind) = kind
                && c[12].is_empty()
                && c[3] == b"TRAFFIC"
            {
                return Parsed::Irrelevant(kind);
            }
            if kind.is_some() && c[3] == b"TRAFFIC" && src.is_private() && dst.is_public() {
                return Parsed::Irrelevant(Kind::OutboundTraffic);
            }
            let outcome = if failed { Outcome::Failure } else { Outcome::Success };
            out.event(Act::Flow, outcome)
                .at(row.time(r))
                .service(Service::Firewall)
                .source_ip(src)
                .source_port(u16::try_from(number(c[24])).unwrap_or(0))
                .destination_ip(dst)
                .destination_port(dport)
                .user(c[12])
                .observer(row.observer().unwrap_or_else(|| r.host()))
                .done()
        }
        b"SYSTEM" => {
            // 4 subtype, 8 event id, 14 description.
            let text = c[14];
            let user = after(text, b"User name: ", b",")
                .or_else(|| after(text, b"user '", b"'"))
                .or_else(|| after(text, b"User '", b"'"))
                .or_else(|| after(text, b"User ", b" "))
                .or_else(|| after(text, b"authenticating user ", b" "))
                .or_else(|| after(text, b"for user ", b" "))
                .unwrap_or_default();
            let user = user.strip_suffix(b".").unwrap_or(user);
            let from = after(text, b"Login from: ", b",")
                .or_else(|| after(text, b"From: ", b" "))
                .or_else(|| after(text, b"from ", b" "))
                .unwrap_or_default();
            let from = from.strip_suffix(b".").or_else(|| from.strip_suffix(b",")).unwrap_or(from);
            let has = |needle: &[u8]| find(text, needle).is_some() || find(c[8], needle).is_some();
            let failed = has(b"fail");
            let ok = has(b"succe") || has(b"logged in") || text.starts_with(b"authenticated for user");
            let outcome = if failed {
                Outcome::Failure
            } else if ok {
                Outcome::Success
            } else {
                Outcome::Unknown
            };
            let at = row.time(r);
            match c[4] {
                b"globalprotect" => out
                    .event(if ok && !failed { Act::SessionStart } else { Act::Auth }, outcome)
                    .at(at)
                    .service(Service::Vpn)
                    .user(user)
                    .source(from)
                    .observer(row.observer().unwrap_or_else(|| r.host()))
                    .done(),
                b"auth" => out
                    .event(Act::Auth, outcome)
                    .at(at)
                    .service(Service::Vpn)
                    .user(user)
                    .source(from)
                    .reason(if failed { Reason::BadPassword } else { Reason::None })
                    .observer(row.observer().unwrap_or_else(|| r.host()))
                    .flag(Flags::PRE_MFA)
                    .done(),
                b"general" if has(b"logged in via") => out
                    .event(Act::Admin, Outcome::Success)
                    .at(at)
                    .service(Service::Management)
                    .user(user)
                    .source(from)
                    .observer(row.observer().unwrap_or_else(|| r.host()))
                    .flag(Flags::PRIVILEGED)
                    .done(),
                _ if user.is_empty() => Parsed::Irrelevant(Kind::Housekeeping),
                _ => out
                    .event(Act::Posture, Outcome::Unknown)
                    .at(at)
                    .service(Service::Management)
                    .user(user)
                    .source(from)
                    .observer(row.observer().unwrap_or_else(|| r.host()))
                    .done(),
            }
        }
        b"CONFIG" => {
            // 7 host, 9 command, 10 administrator, 11 client, 12 result.
            out.event(Act::Config, Outcome::Success)
                .at(row.time(r))
                .service(Service::Management)
                .user(c[10])
                .source(c[7])
                .client(c[11])
                .detail(c[9])
                .observer(row.observer().unwrap_or_else(|| r.host()))
                .flag(Flags::PRIVILEGED)
                .done()
        }
        // Who sits behind an address, from wherever the firewall learnt it.
        b"USERID" | b"AUTH" | b"AUTHENTICATION" => out
            .event(Act::Posture, if c[3] == b"USERID" { Outcome::Success } else { Outcome::Unknown })
            .at(row.time(r))
            .service(Service::Firewall)
            .source(c[8])
            .user(c[9])
            .observer(row.observer().unwrap_or_else(|| r.host()))
            .done(),
        b"DECRYPTION" | b"HIPMATCH" => {
            let (user, source) = if c[3] == b"HIPMATCH" { (c[7], c[11]) } else { (c[12], c[7]) };
            out.event(Act::Posture, Outcome::Unknown)
                .at(row.time(r))
                .service(Service::Firewall)
                .user(user)
                .source(source)
                .observer(row.observer().unwrap_or_else(|| r.host()))
                .done()
        }
        _ => Parsed::Irrelevant(Kind::OtherMessage),
    }
}
