//! Docker: an API that is open to the network, and shells into containers.
//!
//! Read from: Docker "dockerd" and "Protect the Docker daemon socket", "docker system events". Traps: the daemon's log names no
//! client and no user; an exec is told when it is created and when it starts; a health check is an exec too; containerd
//! writes the same form.

use crate::cloud::utc;
use crate::decode::clock;
use crate::decode::find::{begins_with, find};
use crate::decode::json::{Paths, Value};
use crate::decode::kv::{after, pairs};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::EventTime;
use portreeve_model::event::{Act, Change, Flags, Outcome, Service};
use portreeve_model::time::Certainty;
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "docker",
    title: "Docker daemon",
    row: Row::Kubernetes,
    gives: &[Act::Config, Act::Exec],
    lacks: &[
        Field::User,
        Field::SourceIp,
        Field::Mfa,
        Field::TunnelIp,
        Field::Device,
        Field::SessionId,
        Field::SessionEnd,
        Field::Bytes,
    ],
    traps: &["exec_counts_once", "local_socket"],
    manual: "Docker: dockerd; Protect the Docker daemon socket; docker system events",
    enable: "dockerd's messages from the journal (level info), and docker system events --format '{{json .}}' to a collector",
    general: false,
    marks: &["dockerd", "API listen on ", "tlsverify", "\"timeNano\"", "without encryption"],
    reader: Reader::Code {
        claim: |r| match r.shape {
            Shape::Json => {
                let has = |needle: &[u8]| find(r.body, needle).is_some();
                has(b"\"timeNano\"") && has(b"\"Actor\"") && has(b"\"Action\"")
            }
            Shape::Text => {
                r.program_is(b"dockerd")
                    || r.body.starts_with(b"time=\"")
                        && find(r.body, b" level=").is_some()
                        && (find(r.body, b"API listen on ").is_some()
                            || find(r.body, b"without encryption").is_some()
                            || find(r.body, b"--tlsverify").is_some())
            }
            _ => false,
        },
        parse,
        join: None,
    },
};

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    if r.shape == Shape::Json { events(r, out) } else { daemon(r, out) }
}

/// `time="2026-03-03T08:00:00.1Z" level=info msg="API listen on [::]:2375"`.
fn daemon(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let (mut at, mut message): (Option<(EventTime, Certainty)>, &[u8]) = (None, b"");
    for (key, value) in pairs(r.body) {
        match key {
            b"time" => at = utc(value),
            b"msg" => {
                message = value;
                break;
            }
            _ => {}
        }
    }
    let at = at.or_else(|| r.header_time());
    let has = |needle: &[u8]| find(message, needle).is_some();
    let listens = if let Some(address) = after(message, b"API listen on ", b"") {
        // A socket in the file system or the machine itself; 2376 is the port with certificates, and where they are not
        // asked for a warning says so.
        if address.starts_with(b"/") || local(address) || address.ends_with(b":2376") {
            return Parsed::Irrelevant(Kind::Housekeeping);
        }
        address
    } else if has(b"without encryption") || has(b"without --tlsverify") || has(b"without TLS") {
        // `API is accessible on http://0.0.0.0:2375 without encryption`, `[!] DON'T BIND ON ANY IP ADDRESS WITHOUT …`.
        let address =
            after(message, b"http://", b" ").or_else(|| after(message, b"tcp://", b" ")).unwrap_or_default();
        if local(address) {
            return Parsed::Irrelevant(Kind::Housekeeping);
        }
        address
    } else {
        return Parsed::housekeeping_if(begins_with(message, &KNOWN));
    };
    out.event(Act::Config, Outcome::Success)
        .at(at)
        .service(Service::Management)
        .host(r.host())
        .observer(r.host())
        .change(Change::Exposed)
        .target(listens)
        .detail(message)
        .done()
}

fn local(address: &[u8]) -> bool {
    address.starts_with(b"127.") || address.starts_with(b"[::1]") || address.starts_with(b"localhost")
}

static EVENT: LazyLock<Paths<8>> = LazyLock::new(|| {
    Paths::new([
        "Type",
        "Action",
        "Actor.ID",
        "Actor.Attributes.name",
        "Actor.Attributes.image",
        "timeNano",
        "time",
        "docker",
    ])
});

/// What happens to containers, images, volumes and networks without anybody looking into them.
const ACTIONS: [&[u8]; 34] = [
    b"checkpoint",
    b"commit",
    b"connect",
    b"copy",
    b"create",
    b"delete",
    b"destroy",
    b"detach",
    b"die",
    b"disconnect",
    b"exec_detach",
    b"exec_die",
    b"export",
    b"health_status",
    b"import",
    b"kill",
    b"load",
    b"mount",
    b"oom",
    b"pause",
    b"prune",
    b"pull",
    b"push",
    b"reload",
    b"remove",
    b"rename",
    b"resize",
    b"restart",
    b"save",
    b"start",
    b"stop",
    b"tag",
    b"unmount",
    b"unpause",
];

/// `health_status: healthy`, `exec_die`.
fn before_colon(action: &[u8]) -> &[u8] {
    action.split(|b| *b == b':').next().unwrap_or_default().trim_ascii()
}

/// Beginnings of what the daemon says of itself.
const KNOWN: [&[u8]; 22] = [
    b"Calling ",
    b"ClientConn ",
    b"Container ",
    b"Creating a containerd client",
    b"Daemon ",
    b"Default bridge ",
    b"Docker daemon",
    b"Firewalld ",
    b"Graph migration",
    b"Loading containers",
    b"No non-localhost DNS",
    b"Processing signal",
    b"Removing stale",
    b"Restoring containers",
    b"Starting up",
    b"[core] ",
    b"[graphdriver] ",
    b"detected ",
    b"ignoring event",
    b"libcontainerd: ",
    b"loading plugin",
    b"stopping ",
];

fn events(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(mut v) = EVENT.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    if let Value::Nested(inner) = v[7]
        && let Ok(found) = EVENT.pick(inner)
    {
        v = found;
    }
    let action = v[1].text();
    let command = match &*action {
        a if a.starts_with(b"exec_start: ") => &a[12..],
        // The same, before it runs.
        a if a.starts_with(b"exec_create: ") => return Parsed::Irrelevant(Kind::Pending),
        b"attach" => b"attach",
        action => return Parsed::housekeeping_if(ACTIONS.contains(&before_colon(action))),
    };
    let command = command.trim_ascii();
    let name = if v[3].bytes().is_empty() { v[2] } else { v[3] };
    let shell = is_shell(command) || command == b"attach";
    let at = clock::epoch(v[5].bytes()).or_else(|| clock::epoch(v[6].bytes())).map(|t| (t, Certainty::Exact));
    out.event(Act::Exec, Outcome::Success)
        .at(at.or_else(|| r.header_time()))
        .service(Service::Host)
        .host(r.host())
        .observer(r.host())
        .target(&name.text())
        .group(v[4].bytes())
        .detail(command)
        .flag_if(shell, Flags::REMOTE_SHELL)
        .done()
}

/// Nothing but a shell: somebody sits at it.
fn is_shell(command: &[u8]) -> bool {
    let mut words = command.split(|b| *b == b' ').filter(|w| !w.is_empty());
    let first = words.next().unwrap_or_default();
    let program = first.rsplit(|b| *b == b'/').next().unwrap_or_default();
    matches!(program, b"sh" | b"bash" | b"ash" | b"dash" | b"zsh" | b"fish" | b"pwsh")
        && words.all(|w| matches!(w, b"-i" | b"-l" | b"-il" | b"--login"))
}
