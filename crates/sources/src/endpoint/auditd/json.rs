//! All records of one event in one object: laurel (`{"ID":"…","SYSCALL":{…},"EXECVE":{…}}`) and Auditbeat's auditd module.

use super::{change, nobody, uid_name};
use crate::decode::clock::{self, Stamp};
use crate::decode::find::find;
use crate::decode::json::{Paths, Value, elements};
use crate::emit::Emit;
use crate::record::Record;
use crate::source::{Kind, Parsed, Why};
use portreeve_model::EventTime;
use portreeve_model::event::{Act, Flags, Outcome, Service};
use portreeve_model::time::Certainty;
use std::sync::LazyLock;

fn laurel(body: &[u8]) -> bool {
    let head = body.get(..body.len().min(120)).unwrap_or_default();
    find(head, b"\"ID\":\"").is_some()
        && [
            &b"\"SYSCALL\":"[..],
            b"\"USER_",
            b"\"ADD_USER\":",
            b"\"DEL_USER\":",
            b"\"CRED_",
            b"\"ANOM_",
            b"\"EXECVE\":",
        ]
        .iter()
        .any(|kind| find(body, kind).is_some())
}

fn beat(body: &[u8]) -> bool {
    find(body, b"\"auditd\"").is_some() && find(body, b"\"message_type\"").is_some()
}

pub(super) fn looks(body: &[u8]) -> bool {
    laurel(body) || beat(body)
}

pub(super) fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    if laurel(r.body) { of_laurel(r, out) } else { of_beat(r, out) }
}

/// Arguments in one line.
fn line(list: Value<'_>) -> Vec<u8> {
    let mut line = Vec::new();
    for argument in elements(list.nested()) {
        if !line.is_empty() {
            line.push(b' ');
        }
        line.extend_from_slice(&argument.text());
    }
    line
}

/// The first of a list of records, or the record itself.
fn record<'a>(value: Value<'a>) -> &'a [u8] {
    let text = value.nested();
    if text.first() == Some(&b'[') { elements(text).next().unwrap_or_default().nested() } else { text }
}

static LAUREL: LazyLock<Paths<18>> = LazyLock::new(|| {
    Paths::new([
        "ID",
        "NODE",
        "SYSCALL.auid",
        "SYSCALL.AUID",
        "SYSCALL.uid",
        "SYSCALL.success",
        "SYSCALL.exit",
        "EXECVE.ARGV",
        "EXECVE.ARGV_STR",
        "USER_LOGIN",
        // 10
        "USER_LOGOUT",
        "USER_CMD",
        "ADD_USER",
        "DEL_USER",
        "USER_MGMT",
        "GRP_MGMT",
        "USER_CHAUTHTOK",
        "ACCT_LOCK",
    ])
});

static SAID: LazyLock<Paths<12>> = LazyLock::new(|| {
    Paths::new(["acct", "addr", "exe", "op", "res", "grp", "cmd", "auid", "AUID", "ID", "id", "hostname"])
});

fn of_laurel(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = LAUREL.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let Some(time) = clock::epoch(v[0].bytes()) else { return Parsed::Broken(Why::Invalid("time")) };
    let at = Some((time, Certainty::Exact));
    let node = v[1].text();
    let host = if node.is_empty() { r.host() } else { &*node };
    if !v[7].nested().is_empty() || !v[8].bytes().is_empty() {
        if nobody(v[2].bytes()) || v[2].bytes().is_empty() {
            return Parsed::Irrelevant(Kind::Machine);
        }
        let good = !v[5].is(b"no");
        if !good && v[6].is(b"-2") {
            return Parsed::Irrelevant(Kind::OtherMessage);
        }
        let line = if v[8].bytes().is_empty() { line(v[7]) } else { v[8].text().into_owned() };
        let user = if v[3].bytes().is_empty() { uid_name(v[2].bytes()) } else { v[3].text().into_owned() };
        return out
            .event(Act::Exec, if good { Outcome::Success } else { Outcome::Failure })
            .at(at)
            .service(Service::Host)
            .user(&user)
            .detail(&line)
            .host(host)
            .observer(host)
            .flag_if(v[4].is(b"0") && !v[2].is(b"0"), Flags::PRIVILEGED)
            .done();
    }
    const KINDS: [&[u8]; 9] = [
        b"USER_LOGIN",
        b"USER_LOGOUT",
        b"USER_CMD",
        b"ADD_USER",
        b"DEL_USER",
        b"USER_MGMT",
        b"GRP_MGMT",
        b"USER_CHAUTHTOK",
        b"ACCT_LOCK",
    ];
    let found = KINDS.iter().zip(v.iter().skip(9)).find(|(_, value)| !value.is_missing());
    let Some((kind, value)) = found else { return Parsed::Irrelevant(Kind::OtherMessage) };
    let Ok(s) = SAID.pick(record(*value)) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let good = s[4].is(b"success") || s[4].is(b"1");
    let by = if s[8].bytes().is_empty() || s[8].is(b"unset") {
        if nobody(s[7].bytes()) || s[7].bytes().is_empty() { Vec::new() } else { uid_name(s[7].bytes()) }
    } else {
        s[8].text().into_owned()
    };
    let account = [s[0], s[9]].iter().map(|a| a.text()).find(|a| !a.is_empty()).unwrap_or_default();
    told(
        out,
        &Told {
            at,
            kind,
            good,
            ssh: s[2].bytes().ends_with(b"sshd") || s[2].bytes().ends_with(b"sshd-session"),
            account: &account,
            by: &by,
            address: s[1].bytes(),
            operation: &s[3].text(),
            group: &s[5].text(),
            command: &s[6].text(),
            host,
        },
    )
}

static BEAT: LazyLock<Paths<16>> = LazyLock::new(|| {
    Paths::new([
        "@timestamp",
        "auditd.message_type",
        "auditd.result",
        "process.args",
        "user.audit.name",
        "user.audit.id",
        "user.name",
        "user.id",
        "source.ip",
        "host.name",
        // 10
        "process.executable",
        "auditd.data.op",
        "auditd.data.cmd",
        "auditd.data.acct",
        "auditd.data.grp",
        "event.action",
    ])
});

fn of_beat(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = BEAT.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let at = match clock::iso(v[0].bytes()) {
        Some((Stamp::Absolute(t), _)) => Some((t, Certainty::Exact)),
        _ => r.header_time(),
    };
    let kind = v[1].bytes().to_ascii_uppercase();
    let host = v[9].text();
    let good = !v[2].is(b"fail") && !v[2].is(b"failure");
    let by = v[4].text();
    if matches!(kind.as_slice(), b"SYSCALL" | b"EXECVE") {
        if !v[15].is(b"executed") || v[3].nested().is_empty() {
            return Parsed::Irrelevant(Kind::OtherMessage);
        }
        // Without who logged in it is a service of the system.
        if by.is_empty() {
            return Parsed::Irrelevant(Kind::Machine);
        }
        return out
            .event(Act::Exec, if good { Outcome::Success } else { Outcome::Failure })
            .at(at)
            .service(Service::Host)
            .user(&by)
            .detail(&line(v[3]))
            .host(&host)
            .observer(&host)
            .flag_if(v[7].is(b"0") && !v[5].is(b"0"), Flags::PRIVILEGED)
            .done();
    }
    // Who logged in is the audit user; the other is as whom the program runs that says it.
    let login = matches!(kind.as_slice(), b"USER_LOGIN" | b"USER_LOGOUT");
    let account = if login { [v[13], v[4], v[6]] } else { [v[13], v[6], v[6]] };
    let account = account.iter().map(|a| a.text()).find(|a| !a.is_empty()).unwrap_or_default();
    told(
        out,
        &Told {
            at,
            kind: &kind,
            good,
            ssh: v[10].bytes().ends_with(b"sshd"),
            account: &account,
            by: &by,
            address: v[8].bytes(),
            operation: &v[11].text(),
            group: &v[14].text(),
            command: &v[12].text(),
            host: &host,
        },
    )
}

struct Told<'a> {
    at: Option<(EventTime, Certainty)>,
    kind: &'a [u8],
    good: bool,
    ssh: bool,
    account: &'a [u8],
    by: &'a [u8],
    address: &'a [u8],
    operation: &'a [u8],
    group: &'a [u8],
    command: &'a [u8],
    host: &'a [u8],
}

fn told(out: &mut Emit<'_>, t: &Told<'_>) -> Parsed {
    let outcome = if t.good { Outcome::Success } else { Outcome::Failure };
    match t.kind {
        b"USER_LOGIN" | b"USER_LOGOUT" => out
            .event(if t.kind == b"USER_LOGIN" { Act::Logon } else { Act::Logoff }, outcome)
            .at(t.at)
            .service(if t.ssh { Service::Ssh } else { Service::Host })
            .user(t.account)
            .source(t.address)
            .host(t.host)
            .observer(t.host)
            .flag_if(!t.good, Flags::REPEATS)
            .done(),
        b"USER_CMD" => out
            .event(Act::Exec, outcome)
            .at(t.at)
            .service(Service::Host)
            .user(if t.by.is_empty() { t.account } else { t.by })
            .detail(t.command)
            .host(t.host)
            .observer(t.host)
            .flag(Flags::PRIVILEGED)
            .done(),
        b"ADD_USER" | b"DEL_USER" | b"USER_MGMT" | b"GRP_MGMT" | b"USER_CHAUTHTOK" | b"ACCT_LOCK" => {
            let Some(change) = change(t.kind, t.operation) else { return Parsed::Irrelevant(Kind::Repeats) };
            out.event(Act::Account, outcome)
                .at(t.at)
                .service(Service::Host)
                .change(change)
                .user(t.by)
                .target(t.account)
                .detail(t.group)
                .host(t.host)
                .observer(t.host)
                .done()
        }
        _ => Parsed::Irrelevant(Kind::OtherMessage),
    }
}
