//! Falco: rules over system calls and Kubernetes audit, as JSON and as text.
//!
//! Read from: Falco "Output formatting", "Alerts channels", "Default and custom rules", falcosidekick's JSON. Traps: text has
//! a time of day and no date; a rule over Kubernetes audit names the user in `ka.` fields; what the process was called is
//! chosen by whoever runs it.

use crate::cloud::utc;
use crate::decode::find::{begins_with, find};
use crate::decode::json::Paths;
use crate::decode::kv::pairs;
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Outcome, Service};
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "falco",
    title: "Falco",
    row: Row::Endpoint,
    gives: &[Act::Alert],
    lacks: &[Field::Mfa, Field::TunnelIp, Field::Device, Field::SessionId, Field::SessionEnd, Field::Bytes],
    traps: &["kubernetes_audit_rules", "text_output"],
    manual: "Falco: Output formatting; Falco alerts; Supported fields",
    enable: "json_output: true with json_include_output_fields_property, and file_output, http_output or falcosidekick; \
             syslog_output gives the text only",
    general: false,
    marks: &["\"output_fields\"", "falco"],
    reader: Reader::Code {
        claim: |r| match r.shape {
            Shape::Json => {
                let has = |needle: &[u8]| find(r.body, needle).is_some();
                has(b"\"output_fields\"") && has(b"\"priority\"") && has(b"\"rule\"")
            }
            Shape::Text => r.program_is(b"falco"),
            _ => false,
        },
        parse,
        join: None,
    },
};

static PATHS: LazyLock<Paths<21>> = LazyLock::new(|| {
    Paths::new([
        "rule",
        "priority",
        "time",
        "hostname",
        "output",
        r"output_fields.user\.name",
        r"output_fields.proc\.cmdline",
        r"output_fields.proc\.name",
        r"output_fields.container\.name",
        r"output_fields.k8s\.pod\.name",
        r"output_fields.k8s\.ns\.name",
        r"output_fields.ka\.user\.name",
        r"output_fields.ka\.target\.name",
        r"output_fields.ka\.target\.namespace",
        r"output_fields.fd\.rip",
        r"output_fields.fd\.sip",
        r"output_fields.fd\.cip",
        r"output_fields.ka\.sourceips",
        r"output_fields.user\.loginname",
        r"output_fields.ka\.verb",
        r"output_fields.evt\.type",
    ])
});

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    if r.shape != Shape::Json {
        return text(r, out);
    }
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let say = |of: &[usize]| {
        of.iter()
            .filter_map(|n| v.get(*n))
            .find(|x| !matches!(x.bytes(), b"" | b"<NA>" | b"N/A"))
            .map(|x| x.text())
            .unwrap_or_default()
    };
    // The login name is who came in, also under sudo.
    let user = say(&[11, 18, 5]);
    let (namespace, pod) = (say(&[10, 13]), say(&[9, 12, 8]));
    let mut place = namespace.into_owned();
    if !pod.is_empty() {
        if !place.is_empty() {
            place.push(b'/');
        }
        place.extend_from_slice(&pod);
    }
    let process = say(&[6, 7]);
    // Of a connection that came in the client is told, of one that went out the server; `accept` is a server's.
    let source = say(&[17]);
    let source = if source.is_empty() && matches!(v[20].bytes(), b"accept" | b"accept4") {
        say(&[16])
    } else {
        source
    };
    out.event(Act::Alert, Outcome::Unknown)
        .at(utc(v[2].bytes()).or_else(|| r.header_time()))
        .service(if v[11].is_missing() { Service::Edr } else { Service::Kubernetes })
        .observer(v[3].bytes())
        // A rule over the audit of a cluster speaks of no host: Falco's own is only where it ran.
        .host(if v[11].is_missing() { v[3].bytes() } else { b"" })
        .user(&user)
        .source(&source)
        .destination(if source.is_empty() { v[15].bytes() } else { b"" })
        .target(if process.is_empty() { &place } else { &process })
        .group(if process.is_empty() { b"" } else { &place })
        .detail(&v[0].text())
        .severity(severity(v[1].bytes()))
        .done()
}

fn severity(priority: &[u8]) -> u8 {
    let is = |name: &[u8]| priority.eq_ignore_ascii_case(name);
    if is(b"emergency") || is(b"alert") || is(b"critical") {
        5
    } else if is(b"error") {
        4
    } else if is(b"warning") {
        3
    } else if is(b"notice") {
        2
    } else if is(b"informational") || is(b"info") || is(b"debug") {
        1
    } else {
        0
    }
}

/// Beginnings of what falco says of itself.
const KNOWN: [&[u8]; 13] = [
    b"Enabled event sources",
    b"Events detected",
    b"Falco ",
    b"Loaded ",
    b"Loading ",
    b"Opening ",
    b"Rule counts by severity",
    b"SIGHUP",
    b"Starting ",
    b"Stopping ",
    b"Syscall event drop monitoring",
    b"System info",
    b"The chosen syscall buffer",
];

/// `08:15:02.123456789: Notice A shell was spawned … (user=root container=web cmdline=bash)`; the date is the header's.
/// Newer rules write the pairs behind bars or blanks without brackets.
fn text(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let stamped = r.body.first().is_some_and(u8::is_ascii_digit)
        && r.body.get(2) == Some(&b':')
        && r.body.get(..40.min(r.body.len())).is_some_and(|h| find(h, b": ").is_some());
    let message = if stamped {
        let at = find(r.body, b": ").unwrap_or(0);
        r.body.get(at + 2..).unwrap_or_default()
    } else {
        r.body
    };
    let blank = memchr::memchr(b' ', message).unwrap_or(message.len());
    let (priority, rest) = message.split_at(blank);
    let severity = severity(priority);
    if severity == 0 {
        return Parsed::housekeeping_if(begins_with(message, &KNOWN));
    }
    let rest = rest.trim_ascii();
    let (mut user, mut command, mut container, mut pod): (&[u8], &[u8], &[u8], &[u8]) = (b"", b"", b"", b"");
    let open = memchr::memchr(b'(', rest).or_else(|| find(rest, b" | ")).unwrap_or(rest.len());
    let fields = rest.get(open..).unwrap_or_default();
    for (key, value) in pairs(fields) {
        let value = value.strip_suffix(b")").unwrap_or(value);
        match key.strip_prefix(b"(").unwrap_or(key) {
            b"user" | b"user_name" if user.is_empty() => user = value,
            b"cmdline" | b"command" if command.is_empty() => command = until_next(fields, key, value),
            b"container" | b"container_name" if container.is_empty() => container = value,
            b"k8s.pod" | b"k8s_pod_name" | b"pod" => pod = value,
            _ => {}
        }
    }
    let title = rest.get(..open).unwrap_or_default().trim_ascii();
    out.event(Act::Alert, Outcome::Unknown)
        .at(r.header_time())
        .service(Service::Edr)
        .host(r.host())
        .observer(r.host())
        .user(user)
        .target(command)
        .group(if matches!(pod, b"" | b"<NA>") { container } else { pod })
        .detail(title)
        .severity(severity)
        .done()
}

/// A command line has blanks: it runs until the next ` name=` or the closing bracket.
fn until_next<'a>(fields: &'a [u8], key: &[u8], value: &'a [u8]) -> &'a [u8] {
    let mut rest = fields;
    let mut from = 0;
    let start = loop {
        let Some(at) = find(rest, key) else { return value };
        let end = at + key.len();
        if rest.get(end) == Some(&b'=') {
            break from + end + 1;
        }
        from += end;
        rest = rest.get(end..).unwrap_or_default();
    };
    let text = fields.get(start..).unwrap_or_default();
    let mut end = text.len();
    let mut word = 0;
    for (n, b) in text.iter().enumerate() {
        match b {
            b' ' => word = n + 1,
            b'=' if word > 0
                && text.get(word..n).is_some_and(|w| {
                    !w.is_empty() && w.iter().all(|b| b.is_ascii_lowercase() || matches!(b, b'_' | b'.'))
                }) =>
            {
                end = word - 1;
                break;
            }
            _ => {}
        }
    }
    let line = text.get(..end).unwrap_or_default().trim_ascii();
    line.strip_suffix(b")").unwrap_or(line)
}
