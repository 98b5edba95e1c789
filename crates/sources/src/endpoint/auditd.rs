//! Linux audit: commands put together from their records, logins and account changes; as auditd writes them, as the kernel
//! prints them without it, and as laurel and Auditbeat make one JSON object of all records of an event.
//!
//! Read from: auditd.conf(5), "Audit event field dictionary", "Audit record types"; laurel, "Audit log format"; Auditbeat,
//! auditd module. Traps: one command is several records with one serial number, in any order; arguments with blanks or
//! quotes are hexadecimal, long ones come in pieces; `auid` is who logged in, even under sudo; 4294967295 is nobody; what
//! programs say stands in quotes of its own, and ENRICHED puts names behind it.

mod json;

use crate::decode::find::find;
use crate::decode::kv::{after, number, pairs};
use crate::emit::{Emit, content_key};
use crate::record::{Record, Shape};
use crate::source::{Field, Fragment, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::EventTime;
use portreeve_model::event::{Act, Change, Flags, Outcome, Reason, Service};
use portreeve_model::time::Certainty;
use std::borrow::Cow;

pub static SOURCE: Source = Source {
    name: "auditd",
    title: "Linux audit (auditd, laurel, Auditbeat)",
    row: Row::Endpoint,
    gives: &[Act::Exec, Act::Account, Act::Logon, Act::Logoff, Act::Config, Act::Posture],
    lacks: &[Field::TunnelIp, Field::Device, Field::Mfa, Field::SessionId, Field::Bytes],
    traps: &[
        "records_in_any_order",
        "hexadecimal_arguments",
        "pieces_of_arguments",
        "enriched",
        "numbers_of_types",
    ],
    manual: "auditd.conf(5), Linux Audit documentation: event fields and record types; laurel: audit log format; Auditbeat: auditd module",
    enable: "auditctl -a always,exit -F arch=b64 -S execve; log_format = ENRICHED in auditd.conf names the accounts",
    general: false,
    marks: &["audit(", "\"ID\":\"", "\"auditd\""],
    reader: Reader::Code { claim, parse, join: Some(join) },
};

fn claim(r: &Record<'_>) -> bool {
    if r.shape == Shape::Json {
        return json::looks(r.body);
    }
    let head = r.body.get(..r.body.len().min(120)).unwrap_or_default();
    find(head, b"msg=audit(").is_some() || find(head, b" audit(").is_some() && find(head, b"type=").is_some()
}

/// The kernel's number of a type as auditd names it.
fn name(kind: &[u8]) -> &[u8] {
    match kind {
        b"1100" => b"USER_AUTH",
        b"1101" => b"USER_ACCT",
        b"1102" => b"USER_MGMT",
        b"1108" => b"USER_CHAUTHTOK",
        b"1112" => b"USER_LOGIN",
        b"1113" => b"USER_LOGOUT",
        b"1114" => b"ADD_USER",
        b"1115" => b"DEL_USER",
        b"1123" => b"USER_CMD",
        b"1300" => b"SYSCALL",
        b"1302" => b"PATH",
        b"1305" => b"CONFIG_CHANGE",
        b"1307" => b"CWD",
        b"1309" => b"EXECVE",
        b"1320" => b"EOE",
        b"1327" => b"PROCTITLE",
        other => other,
    }
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    if r.shape == Shape::Json {
        return json::parse(r, out);
    }
    let Some(kind) = after(r.body, b"type=", b" ") else { return Parsed::Broken(Why::Missing("type")) };
    let kind = name(kind);
    let Some(id) = after(r.body, b"audit(", b")") else { return Parsed::Broken(Why::Missing("time")) };
    let Some(time) = crate::decode::clock::epoch(id) else { return Parsed::Broken(Why::Invalid("time")) };
    let at = Some((time, Certainty::Exact));
    if r.joined {
        return command(r, at, out);
    }
    match kind {
        b"SYSCALL" | b"EXECVE" | b"CWD" | b"PATH" | b"PROCTITLE" | b"EOE" => {
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
            let key = content_key(id) ^ content_key(node(r)).rotate_left(17);
            Parsed::Fragment(Fragment { key, part, parts: 0, last: kind == b"EOE" })
        }
        b"USER_LOGIN" | b"USER_LOGOUT" | b"USER_AUTH" | b"USER_ACCT" | b"USER_CMD" | b"ADD_USER"
        | b"DEL_USER" | b"USER_MGMT" | b"GRP_MGMT" | b"USER_CHAUTHTOK" | b"ACCT_LOCK" | b"ACCT_UNLOCK"
        | b"RESP_ACCT_LOCK" => {
            let quotes = Said::of(r.body);
            user_record(r, kind, &quotes, at, out)
        }
        b"CONFIG_CHANGE" => {
            let off = find(r.body, b"audit_enabled=0").is_some() && find(r.body, b"old=0").is_none();
            if !off {
                return Parsed::Irrelevant(Kind::OtherMessage);
            }
            out.event(Act::Config, Outcome::Success)
                .at(at)
                .service(Service::Host)
                .user(&login_user(r.body))
                .host(node(r))
                .observer(node(r))
                .detail(b"audit_enabled=0")
                .change(Change::LoggingStopped)
                .done()
        }
        b"CRYPTO_KEY_USER" | b"CRYPTO_SESSION" => Parsed::Irrelevant(Kind::Transport),
        b"USER_START" | b"CRED_ACQ" | b"USER_END" | b"CRED_DISP" | b"CRED_REFR" | b"LOGIN" => {
            Parsed::Irrelevant(Kind::Repeats)
        }
        _ => Parsed::Irrelevant(Kind::OtherMessage),
    }
}

fn node<'a>(r: &Record<'a>) -> &'a [u8] {
    after(r.body, b"node=", b" ").unwrap_or_else(|| r.host())
}

/// SYSCALL and EXECVE first, the rest behind, as one line.
fn join(parts: &[(u32, &[u8])], out: &mut Vec<u8>) {
    for (_, part) in parts {
        out.extend_from_slice(part);
        out.push(b' ');
    }
}

fn command(r: &Record<'_>, at: Option<(EventTime, Certainty)>, out: &mut Emit<'_>) -> Parsed {
    let execve = find(r.body, b"type=EXECVE").or_else(|| find(r.body, b"type=1309"));
    let syscall = &r.body[..execve.unwrap_or(r.body.len())];
    if execve.is_none() && !starts_program(syscall) {
        return Parsed::Irrelevant(Kind::OtherMessage);
    }
    let auid = after(syscall, b" auid=", b" ").unwrap_or_default();
    // Nobody logged in: a service of the system.
    if nobody(auid) {
        return Parsed::Irrelevant(Kind::Machine);
    }
    // A shell tries its search path: each try that found nothing is a record.
    if find(syscall, b" success=no").is_some() && find(syscall, b" exit=-2 ").is_some() {
        return Parsed::Irrelevant(Kind::OtherMessage);
    }
    let uid = after(syscall, b" uid=", b" ").unwrap_or_default();
    let mut line = Vec::with_capacity(128);
    for (key, value) in pairs(&r.body[execve.unwrap_or(r.body.len())..]) {
        let Some(argument) = argument(key) else {
            if !line.is_empty() && key == b"type" {
                break;
            }
            continue;
        };
        // The pieces of a long argument belong together.
        if !line.is_empty() && argument {
            line.push(b' ');
        }
        line.extend_from_slice(&decode(value));
    }
    if execve.is_none() {
        line = untold(r.body);
    }
    out.event(
        Act::Exec,
        if find(syscall, b" success=no").is_some() { Outcome::Failure } else { Outcome::Success },
    )
    .at(at)
    .service(Service::Host)
    .user(&login_user(r.body))
    .detail(&line)
    .host(node(r))
    .observer(node(r))
    .flag_if(uid == b"0" && auid != b"0", Flags::PRIVILEGED)
    .done()
}

/// execve and execveat, by their numbers on x86_64, i386 and arm64, and by name.
fn starts_program(syscall: &[u8]) -> bool {
    matches!(after(syscall, b" syscall=", b" "), Some(b"59" | b"11" | b"221" | b"322" | b"281" | b"358"))
        || matches!(after(syscall, b"SYSCALL=", b" "), Some(b"execve" | b"execveat"))
}

/// Where the arguments were not kept: the title of the process, whose arguments a zero byte parts, else the program.
fn untold(body: &[u8]) -> Vec<u8> {
    let mut title = field(body, b"proctitle=").into_owned();
    title.iter_mut().filter(|b| **b == 0).for_each(|b| *b = b' ');
    if title.is_empty() { field(body, b" exe=").into_owned() } else { title }
}

/// `a0`, `a1[0]`: begins an argument; `a1[1]`: goes on with one. Anything else, `a1_len` too, is none.
fn argument(key: &[u8]) -> Option<bool> {
    let rest = key.strip_prefix(b"a")?;
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    match rest.get(digits..) {
        _ if digits == 0 => None,
        Some(b"") => Some(true),
        Some(piece) if piece.first() == Some(&b'[') => Some(piece == b"[0]"),
        _ => None,
    }
}

fn nobody(auid: &[u8]) -> bool {
    matches!(auid, b"4294967295" | b"-1" | b"unset" | b"18446744073709551615")
}

/// Who logged in: by name where the record is enriched.
fn login_user(body: &[u8]) -> Cow<'_, [u8]> {
    let name = quoted(after(body, b"AUID=", b" ").unwrap_or_default());
    if !name.is_empty() && name != b"unset" {
        return Cow::Borrowed(name);
    }
    let auid = after(body, b" auid=", b" ").unwrap_or_default();
    if auid.is_empty() || nobody(auid) { Cow::Borrowed(b"") } else { Cow::Owned(uid_name(auid)) }
}

/// Without enrichment only the number is known; root's is the same everywhere.
fn uid_name(uid: &[u8]) -> Vec<u8> {
    if uid == b"0" { b"root".to_vec() } else { [b"uid:", uid].concat() }
}

fn quoted(value: &[u8]) -> &[u8] {
    let value = value.split(|b| *b == 0x1d).next().unwrap_or_default();
    let value = value.strip_suffix(b"'").unwrap_or(value);
    value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value)
}

/// A field as audit writes it: in quotes as it is, without them hexadecimal where it had blanks or quotes.
fn field<'a>(text: &'a [u8], key: &[u8]) -> Cow<'a, [u8]> {
    let Some(rest) = after(text, key, b"") else { return Cow::Borrowed(b"") };
    if let Some(inner) = rest.strip_prefix(b"\"") {
        // In quotes there is no quote; blanks may be.
        return Cow::Borrowed(&inner[..memchr::memchr(b'"', inner).unwrap_or(inner.len())]);
    }
    match quoted(&rest[..memchr::memchr(b' ', rest).unwrap_or(rest.len())]) {
        b"?" | b"(null)" | b"(unknown)" | b"(none)" => Cow::Borrowed(b""),
        bare => Cow::Owned(decode(bare)),
    }
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

/// What a program told audit: the part in quotes, or all of the record where there are none.
struct Said<'a> {
    account: Cow<'a, [u8]>,
    address: &'a [u8],
    program: &'a [u8],
    operation: &'a [u8],
    group: Cow<'a, [u8]>,
    command: Cow<'a, [u8]>,
    good: bool,
}

impl<'a> Said<'a> {
    fn of(body: &'a [u8]) -> Said<'a> {
        let text = match find(body, b"msg='") {
            Some(at) => &body[at + 5..],
            None => find(body, b"): ").map_or(body, |at| &body[at + 3..]),
        };
        let account = field(text, b"acct=");
        // Operations of shadow have blanks: `op=adding user to group`.
        let operation = after(text, b"op=", b" acct=")
            .into_iter()
            .chain(after(text, b"op=", b" grp="))
            .chain(after(text, b"op=", b" id="))
            .min_by_key(|o| o.len())
            .unwrap_or_default();
        Said {
            account: if account.is_empty() { id(body, text) } else { account },
            address: quoted(after(text, b" addr=", b" ").unwrap_or_default()),
            program: quoted(after(text, b" exe=", b" ").unwrap_or_default()),
            operation: quoted(operation),
            group: field(text, b"grp="),
            command: field(text, b"cmd="),
            good: find(text, b"res=success").is_some() || find(text, b"res=1").is_some(),
        }
    }
}

/// The account by its number, with its name where the record is enriched.
fn id<'a>(body: &'a [u8], text: &'a [u8]) -> Cow<'a, [u8]> {
    let name = quoted(after(body, b" ID=", b" ").unwrap_or_default());
    if !name.is_empty() && name != b"unknown(4294967295)" {
        return Cow::Borrowed(name);
    }
    match quoted(after(text, b" id=", b" ").unwrap_or_default()) {
        b"" => Cow::Borrowed(b""),
        number if nobody(number) => Cow::Borrowed(b""),
        number => Cow::Owned(uid_name(number)),
    }
}

fn user_record(
    r: &Record<'_>,
    kind: &[u8],
    said: &Said<'_>,
    at: Option<(EventTime, Certainty)>,
    out: &mut Emit<'_>,
) -> Parsed {
    let outcome = if said.good { Outcome::Success } else { Outcome::Failure };
    let service = if said.program.ends_with(b"sshd") || said.program.ends_with(b"sshd-session") {
        Service::Ssh
    } else {
        Service::Host
    };
    let host = node(r);
    match kind {
        // sshd and login say a failure in the auth log too, with its reason.
        b"USER_LOGIN" => {
            if said.operation.is_empty() && said.account.is_empty() {
                return Parsed::Irrelevant(Kind::OtherMessage);
            }
            out.event(Act::Logon, outcome)
                .at(at)
                .service(service)
                .user(&said.account)
                .source(said.address)
                .host(host)
                .observer(host)
                .flag_if(!said.good, Flags::REPEATS)
                .reason(if said.good { Reason::None } else { Reason::Other })
                .done()
        }
        b"USER_LOGOUT" => out
            .event(Act::Logoff, outcome)
            .at(at)
            .service(service)
            .user(&said.account)
            .source(said.address)
            .host(host)
            .observer(host)
            .done(),
        // One of the modules that were asked, not yet a login.
        b"USER_AUTH" | b"USER_ACCT" => out
            .event(Act::Posture, outcome)
            .at(at)
            .service(service)
            .user(&said.account)
            .source(said.address)
            .host(host)
            .observer(host)
            .done(),
        b"USER_CMD" => out
            .event(Act::Exec, outcome)
            .at(at)
            .service(Service::Host)
            .detail(&said.command)
            .user(&login_user(r.body))
            .host(host)
            .observer(host)
            .flag(Flags::PRIVILEGED)
            .done(),
        _ => {
            let Some(change) = change(kind, said.operation) else {
                return Parsed::Irrelevant(Kind::Repeats);
            };
            out.event(Act::Account, outcome)
                .at(at)
                .service(Service::Host)
                .change(change)
                .user(&login_user(r.body))
                .target(&said.account)
                .detail(&said.group)
                .source(said.address)
                .host(host)
                .observer(host)
                .done()
        }
    }
}

/// What an operation of shadow or PAM changed; none where it only goes along with one that did.
fn change(kind: &[u8], operation: &[u8]) -> Option<Change> {
    let has = |text: &[u8]| find(operation, text).is_some();
    match kind {
        b"ADD_USER" if has(b"home") || has(b"mail") => None,
        b"ADD_USER" => Some(Change::AccountCreated),
        b"DEL_USER" if has(b"home") || has(b"mail") || has(b"from") => None,
        b"DEL_USER" => Some(Change::AccountDeleted),
        b"ACCT_LOCK" | b"RESP_ACCT_LOCK" => Some(Change::AccountLocked),
        b"ACCT_UNLOCK" => Some(Change::AccountUnlocked),
        b"USER_CHAUTHTOK" => Some(Change::PasswordReset),
        _ if has(b"to group") || has(b"to-group") || has(b"group member") => Some(Change::GroupAdded),
        _ if has(b"from group") || has(b"from-group") => Some(Change::GroupRemoved),
        _ if has(b"password") => Some(Change::PasswordReset),
        _ if has(b"unlock") => Some(Change::AccountUnlocked),
        _ if has(b"lock") => Some(Change::AccountLocked),
        _ => None,
    }
}
