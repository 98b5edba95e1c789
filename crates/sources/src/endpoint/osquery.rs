//! osquery results: processes, sockets, logins, accounts and keys of hosts.
//!
//! Read from: osquery "Logging" and the schema of its tables. Traps: a query has any name, so the table is known by its
//! columns; a snapshot is what is there and not what happened; `removed` says that a login ended; times of rows are seconds
//! of the event, `unixTime` is when the result was written.

use crate::decode::clock;
use crate::decode::find::find;
use crate::decode::json::{Paths, Value, elements};
use crate::decode::kv::number;
use crate::emit::{Emit, EventBuilder};
use crate::firewall::asa_traffic::worth;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::EventTime;
use portreeve_model::Ip;
use portreeve_model::event::{Act, Change, Outcome, Service};
use portreeve_model::time::Certainty;
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "osquery",
    title: "osquery",
    row: Row::Endpoint,
    gives: &[Act::Exec, Act::Flow, Act::Logon, Act::Logoff, Act::Account, Act::Config],
    lacks: &[Field::Mfa, Field::TunnelIp, Field::Device, Field::SessionId, Field::Bytes],
    traps: &["snapshots", "removed_rows"],
    manual: "osquery: Logging; Schema",
    enable: "scheduled queries of process_events, socket_events, logged_in_users, last, users and authorized_keys, differential \
             results to a file or TLS logger; --disable_events=false --disable_audit=false",
    general: false,
    marks: &["\"hostIdentifier\"", "\"calendarTime\"", "\"columns\""],
    reader: Reader::Code {
        claim: |r| {
            let has = |needle: &[u8]| find(r.body, needle).is_some();
            r.shape == Shape::Json
                && has(b"\"name\"")
                && (has(b"\"hostIdentifier\"") && (has(b"\"unixTime\"") || has(b"\"calendarTime\""))
                    || has(b"\"columns\"") && has(b"\"action\""))
        },
        parse,
        join: None,
    },
};

static RESULT: LazyLock<Paths<11>> = LazyLock::new(|| {
    Paths::new([
        "name",
        "hostIdentifier",
        "unixTime",
        "action",
        "columns",
        "diffResults.added",
        "diffResults.removed",
        "decorations.hostname",
        "decorations.host_uuid",
        "snapshot",
        "calendarTime",
    ])
});

const N: usize = 37;
static ROW: LazyLock<Paths<N>> = LazyLock::new(|| {
    Paths::new([
        "cmdline",
        "path",
        "pid",
        "uid",
        "username",
        "auid",
        "time",
        "parent",
        "remote_address",
        "remote_port",
        "local_address",
        "local_port",
        "action",
        "success",
        "tty",
        "host",
        "type",
        "user",
        "type_name",
        "command",
        "history_file",
        "key_file",
        "algorithm",
        "shell",
        "gid",
        "directory",
        "script_text",
        "event_type",
        "status",
        "comment",
        "groupname",
        "cwd",
        "state",
        "exit_code",
        "sid",
        "key",
        "minute",
    ])
});

/// What the record says around its rows.
struct Around<'a> {
    host: &'a [u8],
    at: Option<(EventTime, Certainty)>,
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = RESULT.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    if v[3].is(b"snapshot") || !v[9].is_missing() {
        return Parsed::Irrelevant(Kind::Housekeeping);
    }
    let host = if v[7].bytes().is_empty() { v[1].bytes() } else { v[7].bytes() };
    let host = if host.is_empty() { r.host() } else { host };
    let around = Around {
        host,
        at: clock::epoch(v[2].bytes()).map(|t| (t, Certainty::Exact)).or_else(|| r.header_time()),
    };
    if let Value::Nested(columns) = v[4] {
        return row(&around, columns, v[3].is(b"removed"), out);
    }
    let mut result = Parsed::Irrelevant(Kind::Housekeeping);
    for (rows, removed) in [(v[5], false), (v[6], true)] {
        for one in elements(rows.nested()).take(10_000) {
            let told = row(&around, one.nested(), removed, out);
            if result != Parsed::Events {
                result = told;
            }
        }
    }
    result
}

fn row(around: &Around<'_>, columns: &[u8], removed: bool, out: &mut Emit<'_>) -> Parsed {
    let Ok(c) = ROW.pick(columns) else { return Parsed::Broken(Why::Malformed("columns")) };
    let has = |n: usize| c.get(n).is_some_and(|x| !x.is_missing());
    let own = clock::epoch(c[6].bytes()).map(|t| (t, Certainty::Exact));
    let time = own.or(around.at);
    let event = |out: &mut Emit<'_>, act: Act, outcome: Outcome| -> Parsed {
        fill(around, &c, out.event(act, outcome).at(if removed { around.at } else { time }), act, removed)
    };
    // socket_events
    if has(8) && has(12) {
        return socket(around, &c, time, out);
    }
    // crontab
    if has(19) && has(36) {
        return if removed {
            Parsed::Irrelevant(Kind::OtherMessage)
        } else {
            event(out, Act::Config, Outcome::Success)
        };
    }
    // shell_history
    if has(19) && (has(20) || has(25) || has(4)) {
        return if removed {
            Parsed::Irrelevant(Kind::Housekeeping)
        } else {
            event(out, Act::Exec, Outcome::Success)
        };
    }
    // process_events and its kin; `processes` has a state and is what runs, not what starts.
    if has(0) && has(2) && !has(32) {
        let exits = c[27].is(b"exit") || c[27].is(b"fork");
        return if removed || exits {
            Parsed::Irrelevant(Kind::Housekeeping)
        } else {
            event(out, Act::Exec, Outcome::Success)
        };
    }
    // powershell_events
    if has(26) {
        return event(out, Act::Exec, Outcome::Success);
    }
    // last: 7 is a login, 8 its end.
    if has(4) && has(14) && has(16) && has(2) {
        return match c[16].bytes() {
            b"7" | b"user-process" => event(out, Act::Logon, Outcome::Success),
            b"8" | b"dead-process" => event(out, Act::Logoff, Outcome::Success),
            _ => Parsed::Irrelevant(Kind::Housekeeping),
        };
    }
    // logged_in_users
    if has(17) && has(14) && has(16) {
        return match (c[16].bytes(), removed) {
            (b"user" | b"active", false) => event(out, Act::Logon, Outcome::Success),
            (b"user" | b"active", true) => event(out, Act::Logoff, Outcome::Success),
            _ => Parsed::Irrelevant(Kind::Housekeeping),
        };
    }
    // authorized_keys
    if has(21) && (has(22) || has(35)) {
        return if removed {
            Parsed::Irrelevant(Kind::OtherMessage)
        } else {
            event(out, Act::Account, Outcome::Success)
        };
    }
    // users
    if has(4) && has(3) && has(23) && has(25) {
        return event(out, Act::Account, Outcome::Success);
    }
    Parsed::Irrelevant(Kind::OtherMessage)
}

fn fill(around: &Around<'_>, c: &[Value<'_>; N], event: EventBuilder<'_>, act: Act, removed: bool) -> Parsed {
    let event = event.service(Service::Host).host(around.host).observer(around.host);
    let numbered;
    let user: &[u8] = if !c[4].bytes().is_empty() {
        c[4].bytes()
    } else if !c[17].bytes().is_empty() {
        c[17].bytes()
    } else {
        // Who logged in, else whose process it is; root's number is the same everywhere.
        let login =
            if matches!(c[5].bytes(), b"" | b"4294967295" | b"-1") { c[3].bytes() } else { c[5].bytes() };
        numbered = match login {
            b"" => Vec::new(),
            b"0" => b"root".to_vec(),
            id => [b"uid:", id].concat(),
        };
        &numbered
    };
    match act {
        Act::Exec => {
            let line =
                [c[0], c[19], c[26], c[1]].into_iter().find(|x| !x.bytes().is_empty()).unwrap_or_default();
            event.user(user).detail(&line.text()).done()
        }
        Act::Config => event.change(Change::TaskCreated).detail(&c[19].text()).target(c[1].bytes()).done(),
        Act::Logon | Act::Logoff => event.user(user).source(c[15].bytes()).group(c[14].bytes()).done(),
        _ if !c[21].is_missing() => {
            event.target(user).change(Change::KeyCreated).detail(&c[21].text()).done()
        }
        _ => event
            .target(user)
            .change(if removed { Change::AccountDeleted } else { Change::AccountCreated })
            .done(),
    }
}

fn socket(
    around: &Around<'_>,
    c: &[Value<'_>; N],
    time: Option<(EventTime, Certainty)>,
    out: &mut Emit<'_>,
) -> Parsed {
    let (remote, local) = (Ip::parse(c[8].bytes()), Ip::parse(c[10].bytes()));
    let port = |v: Value<'_>| u16::try_from(number(v.bytes())).unwrap_or(0);
    let (src, dst, sport, dport) = match c[12].bytes() {
        b"connect" => (local, remote, port(c[11]), port(c[9])),
        b"accept" => (remote, local, port(c[9]), port(c[11])),
        _ => return Parsed::Irrelevant(Kind::Transport),
    };
    if remote.is_none() || remote.is_loopback() {
        return Parsed::Irrelevant(Kind::Traffic);
    }
    let ok = !c[13].is(b"0") && !c[28].is(b"failed");
    // A socket that is not bound yet has no address of its own: the host's is inside.
    let asked = if src.is_none() { Ip::parse(b"10.0.0.0") } else { src };
    if let Some(kind) = worth(asked, dst, dport, ok) {
        return Parsed::Irrelevant(kind);
    }
    out.event(Act::Flow, if ok { Outcome::Success } else { Outcome::Failure })
        .at(time)
        .service(Service::Host)
        .host(around.host)
        .observer(around.host)
        .source_ip(src)
        .source_port(sport)
        .destination_ip(dst)
        .destination_port(dport)
        .detail(&c[1].text())
        .done()
}
