//! Zeek (Bro, Corelight): what a network sensor saw of connections, logins and leases.
//!
//! Read from: "Book of Zeek", the log files' field lists. Traps: `auth_success` of ssh.log is guessed from packet sizes
//! and unset where Zeek could not tell; rdp.log and a Kerberos error that asks for pre-authentication are no failures;
//! rows of the tab-separated logs come with every value as text, booleans as `T` and `F`; shippers write `id.orig_h` as
//! one key, nested, or with underscores, and may leave out which log it was.

use crate::decode::clock::{self, Stamp};
use crate::decode::find::find;
use crate::decode::json::{Paths, Value, elements};
use crate::decode::kv::number;
use crate::emit::Emit;
use crate::flows::{Ends, Flow, port};
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Flags, Method, Outcome, Reason, Service};
use portreeve_model::time::{Certainty, EventTime};
use std::borrow::Cow;
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "zeek",
    title: "Zeek / Corelight",
    row: Row::Firewall,
    gives: &[Act::Lease, Act::Auth, Act::Posture, Act::Logon, Act::Flow, Act::Alert],
    lacks: &[Field::Mfa, Field::SessionId, Field::SessionEnd],
    traps: &["rows_as_text", "no_path", "rdp_is_no_login"],
    manual: "Book of Zeek: log files (conn, ssh, rdp, kerberos, ntlm, dhcp, radius, rfb, socks, notice)",
    enable: "Zeek's standard logs, JSON (LogAscii::use_json=T) or tab-separated; the sensor sees the inside of the gateway and the VPN's subnets",
    general: false,
    marks: &["id.orig_h", "id_orig_h", "\"orig_h\"", "\"_path\"", "\"@stream\""],
    reader: Reader::Code { claim, parse, join: None },
};

fn claim(r: &Record<'_>) -> bool {
    r.shape == Shape::Json
        && (r.contains(b"\"id.orig_h\"")
            || r.contains(b"\"id_orig_h\"")
            || r.contains(b"\"orig_h\"")
            || ((r.contains(b"\"_path\"") || r.contains(b"\"@stream\"")) && r.contains(b"\"ts\"")))
}

const N: usize = 19;
/// What all logs share, and what tells a log that does not say which it is.
static HEAD: LazyLock<Paths<N>> = LazyLock::new(|| {
    Paths::new([
        "_path",
        "@stream",
        "ts",
        "id\\.orig_h",
        "id_orig_h",
        "id.orig_h",
        "id\\.resp_h",
        "id_resp_h",
        "id.resp_h",
        "id\\.orig_p",
        "id_orig_p",
        "id.orig_p",
        "id\\.resp_p",
        "id_resp_p",
        "id.resp_p",
        "conn_state",
        "_system_name",
        "@system",
        "_write_ts",
    ])
});

/// The log that a record belongs to, by the fields that only this log has.
fn log_of(body: &[u8]) -> &'static [u8] {
    const FIELDS: [(&[u8], &[u8]); 11] = [
        (b"\"conn_state\"", b"conn"),
        (b"\"auth_attempts\"", b"ssh"),
        (b"\"security_protocol\"", b"rdp"),
        (b"\"request_type\"", b"kerberos"),
        (b"\"domainname\"", b"ntlm"),
        (b"\"server_nb_computer_name\"", b"ntlm"),
        (b"\"assigned_addr\"", b"dhcp"),
        (b"\"connect_info\"", b"radius"),
        (b"\"suppress_for\"", b"notice"),
        (b"\"request.host\"", b"socks"),
        (b"\"share_flag\"", b"rfb"),
    ];
    FIELDS.iter().find(|(mark, _)| find(body, mark).is_some()).map_or(b"", |(_, log)| log)
}

/// Logs that are read.
fn is_read(log: &[u8]) -> bool {
    matches!(
        log,
        b"conn"
            | b"ssh"
            | b"rdp"
            | b"kerberos"
            | b"ntlm"
            | b"dhcp"
            | b"radius"
            | b"notice"
            | b"socks"
            | b"rfb"
    )
}

fn unread(log: &[u8]) -> Parsed {
    Parsed::Irrelevant(match log {
        b"ssl" | b"http" | b"dns" | b"x509" | b"files" | b"smb_files" | b"smb_mapping" | b"dce_rpc"
        | b"pe" | b"ocsp" | b"quic" | b"ftp" | b"smtp" | b"snmp" | b"ldap" | b"ldap_search" => {
            Kind::RoutineUse
        }
        b"stats" | b"capture_loss" | b"reporter" | b"loaded_scripts" | b"packet_filter" | b"broker"
        | b"cluster" | b"telemetry" | b"analyzer" | b"dpd" => Kind::Housekeeping,
        b"tunnel" | b"weird" => Kind::Traffic,
        _ => Kind::OtherMessage,
    })
}

/// The log's name where the record begins with it, as Zeek's own writers have it.
fn first_name(body: &[u8]) -> Option<&[u8]> {
    let rest = body.strip_prefix(b"{\"_path\":\"").or_else(|| body.strip_prefix(b"{\"@stream\":\""))?;
    rest.get(..memchr::memchr(b'"', rest)?)
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    // Most of what a sensor writes is not read; it is put aside by its first word.
    if let Some(log) = first_name(r.body)
        && !is_read(log)
        && r.body.ends_with(b"}")
    {
        return unread(log);
    }
    let Ok(v) = HEAD.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let said = |all: &[usize]| {
        all.iter().filter_map(|i| v.get(*i)).map(|v| v.bytes()).find(|b| !unset(b)).unwrap_or_default()
    };
    let named = said(&[0, 1]);
    let log = if named.is_empty() { log_of(r.body) } else { named };
    let log = log.strip_prefix(b"zeek_").or_else(|| log.strip_prefix(b"bro_")).unwrap_or(log);
    if !is_read(log) {
        return unread(log);
    }
    let dst_text = said(&[6, 7, 8]);
    let head = Ends {
        time: when(said(&[2])).or_else(|| r.header_time()),
        src: Ip::parse(said(&[3, 4, 5])),
        sport: port(said(&[9, 10, 11])),
        dst: Ip::parse(dst_text),
        dport: port(said(&[12, 13, 14])),
        dst_text,
        observer: said(&[16, 17]),
    };
    if head.time.is_none() {
        return Parsed::Broken(Why::Missing("ts"));
    }
    match log {
        b"conn" => conn(r, &head, said(&[15]), out),
        b"ssh" => ssh(r, &head, out),
        b"rdp" => rdp(r, &head, out),
        b"kerberos" => kerberos(r, &head, out),
        b"ntlm" => ntlm(r, &head, out),
        b"dhcp" => dhcp(r, &head, out),
        b"radius" => radius(r, &head, out),
        b"rfb" => rfb(r, &head, out),
        b"socks" => socks(r, &head, out),
        _ => notice(r, &head, out),
    }
}

/// Zeek's own spellings of nothing.
fn unset(text: &[u8]) -> bool {
    matches!(text, b"" | b"-" | b"(empty)")
}

/// The text of a value, empty where Zeek had none.
fn text(value: Value<'_>) -> Cow<'_, [u8]> {
    if unset(value.bytes()) { Cow::Borrowed(b"") } else { value.text() }
}

/// `true`, `T`; `None` where unset.
fn truth(value: Value<'_>) -> Option<bool> {
    match value.bytes() {
        b"T" | b"true" => Some(true),
        b"F" | b"false" => Some(false),
        _ => None,
    }
}

/// Seconds since 1970 with a fraction, or ISO 8601.
fn when(ts: &[u8]) -> Option<(EventTime, Certainty)> {
    let time = match clock::iso(ts) {
        Some((Stamp::Absolute(t), _)) => t,
        Some((Stamp::Local(civil), _)) => clock::Clock::with_offset(civil, 0)?,
        None => clock::epoch(ts)?,
    };
    Some((time, Certainty::Exact))
}

fn conn(r: &Record<'_>, head: &Ends<'_>, state: &[u8], out: &mut Emit<'_>) -> Parsed {
    static PATHS: LazyLock<Paths<3>> = LazyLock::new(|| Paths::new(["duration", "orig_bytes", "resp_bytes"]));
    let outcome = match state {
        b"SF" | b"S1" | b"S2" | b"S3" | b"RSTO" | b"RSTR" => Outcome::Success,
        b"S0" | b"REJ" | b"RSTOS0" | b"SH" => Outcome::Failure,
        // Seen from the middle or from one side only.
        _ => return Parsed::Irrelevant(Kind::Traffic),
    };
    let mut flow = Flow {
        time: head.time,
        outcome,
        src: head.src,
        sport: head.sport,
        dst: head.dst,
        dport: head.dport,
        observer: head.observer,
        ..Flow::default()
    };
    if let Some(kind) = flow.dull() {
        return Parsed::Irrelevant(kind);
    }
    if let Ok(v) = PATHS.pick(r.body) {
        flow.duration_s = u32::try_from(number(v[0].bytes())).unwrap_or(u32::MAX);
        flow.bytes = (number(v[1].bytes()), number(v[2].bytes()));
    }
    flow.tell(out)
}

fn ssh(r: &Record<'_>, head: &Ends<'_>, out: &mut Emit<'_>) -> Parsed {
    static PATHS: LazyLock<Paths<3>> =
        LazyLock::new(|| Paths::new(["auth_success", "auth_attempts", "client"]));
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let Some(ok) = truth(v[0]) else { return Parsed::Irrelevant(Kind::Transport) };
    let tries = if ok { 0 } else { u16::try_from(number(v[1].bytes())).unwrap_or(u16::MAX) };
    head.event(out, Act::Logon, if ok { Outcome::Success } else { Outcome::Failure })
        .service(Service::Ssh)
        .host(head.dst_text)
        .client(&text(v[2]))
        .repeat(tries)
        .done()
}

/// The cookie is the name that the client sent before any check; what came of it only the host knows.
fn rdp(r: &Record<'_>, head: &Ends<'_>, out: &mut Emit<'_>) -> Parsed {
    static PATHS: LazyLock<Paths<3>> = LazyLock::new(|| Paths::new(["cookie", "client_name", "result"]));
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    head.event(out, Act::Posture, Outcome::Unknown)
        .service(Service::Rdp)
        .host(head.dst_text)
        .user(&text(v[0]))
        .device(&text(v[1]))
        .detail(&text(v[2]))
        .done()
}

fn kerberos(r: &Record<'_>, head: &Ends<'_>, out: &mut Emit<'_>) -> Parsed {
    static PATHS: LazyLock<Paths<5>> =
        LazyLock::new(|| Paths::new(["request_type", "client", "service", "success", "error_msg"]));
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let client = text(v[1]);
    // `anna/AD.TIDEWATER.EXAMPLE`; a host asks as `HAM-LT0180$` or `host/…`.
    let mut parts = client.split(|b| *b == b'/');
    let (name, realm) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if name.ends_with(b"$") || name == b"host" {
        return Parsed::Irrelevant(Kind::Machine);
    }
    if !v[0].is(b"AS") {
        return Parsed::Irrelevant(Kind::RoutineUse);
    }
    let Some(ok) = truth(v[3]) else { return Parsed::Irrelevant(Kind::Pending) };
    let error = v[4].bytes();
    let reason = match error {
        b"KDC_ERR_PREAUTH_REQUIRED" | b"KRB_ERR_RESPONSE_TOO_BIG" | b"KDC_ERR_ETYPE_NOSUPP" => {
            return Parsed::Irrelevant(Kind::Pending);
        }
        _ if ok => Reason::None,
        other => kerberos_reason(other),
    };
    head.event(out, Act::Auth, if ok { Outcome::Success } else { Outcome::Failure })
        .service(Service::Directory)
        .method(Method::Kerberos)
        .domain_user(realm, name)
        .reason(reason)
        .done()
}

/// Kerberos' names for why it said no.
pub(crate) fn kerberos_reason(error: &[u8]) -> Reason {
    match error {
        b"KDC_ERR_PREAUTH_FAILED" => Reason::BadPassword,
        b"KDC_ERR_C_PRINCIPAL_UNKNOWN" => Reason::NoUser,
        b"KDC_ERR_CLIENT_REVOKED" => Reason::Locked,
        b"KDC_ERR_KEY_EXPIRED" | b"KDC_ERR_KEY_EXP" | b"KDC_ERR_NAME_EXP" => Reason::Expired,
        b"KDC_ERR_POLICY" => Reason::Policy,
        _ => Reason::Other,
    }
}

fn ntlm(r: &Record<'_>, head: &Ends<'_>, out: &mut Emit<'_>) -> Parsed {
    static PATHS: LazyLock<Paths<7>> = LazyLock::new(|| {
        Paths::new([
            "username",
            "hostname",
            "domainname",
            "success",
            "server_nb_computer_name",
            "server_dns_computer_name",
            "status",
        ])
    });
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let user = text(v[0]);
    if user.is_empty() || user.ends_with(b"$") {
        return Parsed::Irrelevant(Kind::Machine);
    }
    let Some(ok) = truth(v[3]) else { return Parsed::Irrelevant(Kind::Pending) };
    let server = text(if unset(v[4].bytes()) { v[5] } else { v[4] });
    head.event(out, Act::Logon, if ok { Outcome::Success } else { Outcome::Failure })
        .service(Service::Windows)
        .method(Method::Ntlm)
        .domain_user(&text(v[2]), &user)
        .host(if server.is_empty() { head.dst_text } else { &server })
        .device(&text(v[1]))
        .done()
}

fn dhcp(r: &Record<'_>, head: &Ends<'_>, out: &mut Emit<'_>) -> Parsed {
    static PATHS: LazyLock<Paths<6>> = LazyLock::new(|| {
        Paths::new(["mac", "host_name", "client_fqdn", "assigned_addr", "msg_types", "server_addr"])
    });
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let address = Ip::parse(v[3].bytes());
    // `["DISCOVER","OFFER","REQUEST","ACK"]`, or `DISCOVER,OFFER,REQUEST,ACK` in one text.
    let types = v[4];
    let acked = match types {
        Value::Nested(list) => elements(list).any(|t| t.is(b"ACK")),
        other => other.bytes().split(|b| *b == b',').any(|t| t == b"ACK"),
    };
    if address.is_none() || !acked {
        return Parsed::Irrelevant(Kind::Pending);
    }
    let name = text(if unset(v[1].bytes()) { v[2] } else { v[1] });
    out.event(Act::Lease, Outcome::Success)
        .at(head.time)
        .service(Service::Dhcp)
        .tunnel_ip(address)
        .mac(v[0].bytes())
        .device(&name)
        .observer(head.observer)
        .done()
}

fn radius(r: &Record<'_>, head: &Ends<'_>, out: &mut Emit<'_>) -> Parsed {
    static PATHS: LazyLock<Paths<6>> = LazyLock::new(|| {
        Paths::new(["username", "mac", "tunnel_client", "remote_ip", "result", "reply_msg"])
    });
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let outcome = match v[4].bytes() {
        b"success" => Outcome::Success,
        b"failed" => Outcome::Failure,
        _ => return Parsed::Irrelevant(Kind::Pending),
    };
    // The one who asked is the gateway; the client stands in the tunnel's attribute.
    let client = if unset(v[2].bytes()) { v[3].bytes() } else { v[2].bytes() };
    out.event(Act::Auth, outcome)
        .at(head.time)
        .service(Service::Radius)
        .user(&text(v[0]))
        .source(client)
        .mac(v[1].bytes())
        .observer(head.observer)
        .detail(&text(v[5]))
        .done()
}

/// VNC, by its protocol's name.
fn rfb(r: &Record<'_>, head: &Ends<'_>, out: &mut Emit<'_>) -> Parsed {
    static PATHS: LazyLock<Paths<2>> = LazyLock::new(|| Paths::new(["auth", "authentication_method"]));
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let open = v[1].is(b"None");
    let ok = match truth(v[0]) {
        Some(ok) => ok,
        // Without a password whoever connects is in.
        None if open => true,
        None => return Parsed::Irrelevant(Kind::Transport),
    };
    head.event(out, Act::Logon, if ok { Outcome::Success } else { Outcome::Failure })
        .service(Service::Vnc)
        .host(head.dst_text)
        .flag_if(open, Flags::ANONYMOUS)
        .done()
}

fn socks(r: &Record<'_>, head: &Ends<'_>, out: &mut Emit<'_>) -> Parsed {
    static PATHS: LazyLock<Paths<9>> = LazyLock::new(|| {
        Paths::new([
            "user",
            "status",
            "request\\.host",
            "request.host",
            "request_host",
            "request_p",
            "request\\.name",
            "request.name",
            "request_name",
        ])
    });
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let first = |all: &[usize]| {
        all.iter().filter_map(|i| v.get(*i)).find(|v| !unset(v.bytes())).copied().unwrap_or_default()
    };
    let to = Ip::parse(first(&[2, 3, 4]).bytes());
    // Through a proxy into the company; a proxy on the way out is nobody's access.
    if !to.is_private() {
        return Parsed::Irrelevant(Kind::OutboundTraffic);
    }
    let outcome = if v[1].is(b"succeeded") { Outcome::Success } else { Outcome::Failure };
    let user = text(v[0]);
    let name = text(first(&[6, 7, 8]));
    Flow {
        time: head.time,
        outcome,
        src: head.src,
        sport: head.sport,
        dst: to,
        dport: port(v[5].bytes()),
        user: &user,
        host: &name,
        observer: head.observer,
        ..Flow::default()
    }
    .tell(out)
}

fn notice(r: &Record<'_>, head: &Ends<'_>, out: &mut Emit<'_>) -> Parsed {
    static PATHS: LazyLock<Paths<4>> = LazyLock::new(|| Paths::new(["note", "msg", "src", "dst"]));
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let note = v[0].bytes();
    let routine = [
        &b"SSL::"[..],
        b"CaptureLoss::",
        b"PacketFilter::",
        b"Weird::",
        b"Software::",
        b"ProtocolDetector::",
        b"Signatures::Count",
    ];
    if note.is_empty() || routine.iter().any(|p| note.starts_with(p)) {
        return Parsed::Irrelevant(Kind::OtherMessage);
    }
    let severity = match note {
        b"SSH::Password_Guessing"
        | b"SSH::Interesting_Hostname_Login"
        | b"SSH::Watched_Country_Login"
        | b"FTP::Bruteforcing"
        | b"HTTP::SQL_Injection_Attacker" => 3,
        b"Heartbleed::SSL_Heartbeat_Attack_Success"
        | b"TeamCymruMalwareHashRegistry::Match"
        | b"Intel::Notice" => 4,
        _ => 2,
    };
    let (src, dst) = (Ip::parse(v[2].bytes()), Ip::parse(v[3].bytes()));
    head.event(out, Act::Alert, Outcome::Unknown)
        .service(Service::Firewall)
        .source_ip(if src.is_some() { src } else { head.src })
        .destination_ip(if dst.is_some() { dst } else { head.dst })
        .severity(severity)
        .host(if v[3].bytes().is_empty() { head.dst_text } else { v[3].bytes() })
        .detail(&[note, b": ", &text(v[1])].concat())
        .done()
}
