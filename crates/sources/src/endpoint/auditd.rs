//! Linux audit: commands put together from their records, logins and account changes.
//!
//! Read from: auditd and audit.rules manuals, "Audit event field dictionary". Traps: one command is several records
//! with one serial number, in any order; arguments with blanks or quotes are hexadecimal; `auid` is who logged in, even
//! under sudo; 4294967295 is nobody.

use crate::decode::kv::{after, number, pairs};
use crate::emit::{Emit, content_key};
use crate::record::Record;
use crate::source::{Field, Fragment, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::EventTime;
use portreeve_model::event::{Act, Change, Flags, Outcome, Service};
use portreeve_model::time::Certainty;

pub static SOURCE: Source = Source {
    name: "auditd",
    title: "Linux audit (auditd)",
    row: Row::Endpoint,
    gives: &[Act::Exec, Act::Account, Act::Logon],
    lacks: &[Field::Mfa, Field::TunnelIp],
    traps: &["records_in_any_order", "hexadecimal_arguments"],
    manual: "auditd.conf(5), Linux Audit documentation: event fields and record types",
    enable: "auditctl -a always,exit -F arch=b64 -S execve; log_format = ENRICHED in auditd.conf names the accounts",
    general: false,
    marks: &["msg=audit("],
    reader: Reader::Code {
        claim: |r| crate::decode::find::find(&r.body[..r.body.len().min(120)], b"msg=audit(").is_some(),
        parse,
        join: Some(join),
    },
};

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some(kind) = after(r.body, b"type=", b" ") else { return Parsed::Broken(Why::Missing("type")) };
    let Some(id) = after(r.body, b"msg=audit(", b")") else { return Parsed::Broken(Why::Missing("time")) };
    let Some(time) = crate::decode::clock::epoch(id) else { return Parsed::Broken(Why::Invalid("time")) };
    let at = Some((time, Certainty::Exact));
    if r.joined {
        return command(r, at, out);
    }
    match kind {
        b"SYSCALL" | b"EXECVE" | b"CWD" | b"PATH" | b"PROCTITLE" | b"EOE" => {
            let node = after(r.body, b"node=", b" ").unwrap_or_else(|| r.host());
            // PATH records come several times: their item number keeps them apart.
            let part = match kind {
                b"SYSCALL" => 0,
                b"EXECVE" => 1,
                b"CWD" => 2,
                b"PROCTITLE" => 3,
                b"EOE" => 63,
                _ => {
                    4 + u32::try_from(number(after(r.body, b"item=", b" ").unwrap_or_default()))
                        .unwrap_or(0)
                        .min(50)
                }
            };
            let key = content_key(id) ^ content_key(node).rotate_left(17);
            Parsed::Fragment(Fragment { key, part, parts: 0, last: kind == b"EOE" })
        }
        b"USER_LOGIN" | b"USER_AUTH" | b"ADD_USER" | b"USER_MGMT" | b"ADD_GROUP" | b"USER_CMD"
        | b"USER_ACCT" | b"GRP_MGMT" | b"USER_CHAUTHTOK" => user_record(r, kind, at, out),
        _ => Parsed::Irrelevant(Kind::Housekeeping),
    }
}

/// SYSCALL and EXECVE first, the rest behind, as one line.
fn join(parts: &[(u32, &[u8])], out: &mut Vec<u8>) {
    for (_, part) in parts {
        out.extend_from_slice(part);
        out.push(b' ');
    }
}

fn command(r: &Record<'_>, at: Option<(EventTime, Certainty)>, out: &mut Emit<'_>) -> Parsed {
    let Some(execve) = crate::decode::find::find(r.body, b"type=EXECVE") else {
        return Parsed::Irrelevant(Kind::OtherMessage);
    };
    let syscall = &r.body[..execve];
    let auid = after(syscall, b" auid=", b" ").unwrap_or_default();
    // Nobody logged in: a service of the system.
    if matches!(auid, b"4294967295" | b"-1" | b"unset") {
        return Parsed::Irrelevant(Kind::Machine);
    }
    let name = quoted(after(r.body, b"AUID=", b" ").unwrap_or_default());
    let uid = after(syscall, b" uid=", b" ").unwrap_or_default();
    let mut line = Vec::with_capacity(128);
    for (key, value) in pairs(&r.body[execve..]) {
        if key == b"argc"
            || key.first().is_none_or(|b| *b != b'a')
            || !key[1..].iter().all(u8::is_ascii_digit)
            || key.len() < 2
        {
            if !line.is_empty() && key == b"type" {
                break;
            }
            continue;
        }
        if !line.is_empty() {
            line.push(b' ');
        }
        line.extend_from_slice(&decode(value));
    }
    let user = if name.is_empty() { uid_name(auid) } else { name.to_vec() };
    let privileged = uid == b"0" && auid != b"0";
    let host = after(r.body, b"node=", b" ").unwrap_or_else(|| r.host());
    out.event(Act::Exec, Outcome::Success)
        .at(at)
        .service(Service::Host)
        .user(&user)
        .detail(&line)
        .host(host)
        .observer(host)
        .flag_if(privileged, Flags::PRIVILEGED)
        .done()
}

/// Without enrichment only the number is known; root's is the same everywhere.
fn uid_name(uid: &[u8]) -> Vec<u8> {
    if uid == b"0" { b"root".to_vec() } else { [b"uid:", uid].concat() }
}

fn quoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value)
}

/// Arguments that are not quoted are hexadecimal.
fn decode(value: &[u8]) -> Vec<u8> {
    let hex = value.len() >= 2
        && value.len().is_multiple_of(2)
        && value.iter().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_lowercase());
    if !hex || value.iter().all(u8::is_ascii_digit) {
        return value.to_vec();
    }
    let digit = |b: u8| (b as char).to_digit(16).unwrap_or(0) as u8;
    value.chunks_exact(2).map(|p| digit(p[0]) << 4 | digit(p[1])).collect()
}

fn user_record(
    r: &Record<'_>,
    kind: &[u8],
    at: Option<(EventTime, Certainty)>,
    out: &mut Emit<'_>,
) -> Parsed {
    let account =
        quoted(after(r.body, b"acct=", b" ").or_else(|| after(r.body, b"id=", b" ")).unwrap_or_default());
    let address = after(r.body, b"addr=", b" ").unwrap_or_default();
    let ok = crate::decode::find::find(r.body, b"res=success").is_some();
    let outcome = if ok { Outcome::Success } else { Outcome::Failure };
    let host = r.host();
    match kind {
        // sshd, login and sudo say the same in the auth log, with more.
        b"USER_LOGIN" | b"USER_AUTH" | b"USER_ACCT" => out
            .event(Act::Posture, outcome)
            .at(at)
            .service(Service::Host)
            .user(account)
            .source(address)
            .host(host)
            .observer(host)
            .done(),
        b"ADD_USER" => out
            .event(Act::Account, outcome)
            .at(at)
            .service(Service::Host)
            .change(Change::AccountCreated)
            .target(account)
            .host(host)
            .observer(host)
            .done(),
        b"USER_CMD" => {
            let line = decode(quoted(after(r.body, b"cmd=", b" ").unwrap_or_default()));
            out.event(Act::Exec, outcome)
                .at(at)
                .service(Service::Host)
                .detail(&line)
                .user(quoted(after(r.body, b"AUID=", b" ").unwrap_or_default()))
                .host(host)
                .observer(host)
                .flag(Flags::PRIVILEGED)
                .done()
        }
        _ => Parsed::Irrelevant(Kind::OtherMessage),
    }
}
