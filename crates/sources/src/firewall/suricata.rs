//! Suricata: EVE JSON, and the one-line alerts that Snort writes too.
//!
//! Read from: Suricata User Guide "EVE JSON Format", "fast.log"; Snort manual "alert_fast". Traps: an alert that was
//! `allowed` let the packet pass; `SURICATA …` signatures are the decoder's remarks, no attacks; ssh, rdp and tls records
//! say that a protocol was spoken, not that anyone got in; in fast.log an ICMP type stands where a port would.

use crate::decode::clock::{self, Civil, Stamp};
use crate::decode::find::find;
use crate::decode::json::{Paths, Value};
use crate::decode::kv::{between, number, word};
use crate::emit::Emit;
use crate::firewall::zeek::kerberos_reason;
use crate::flows::{Ends, Flow, is_answer, port};
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Method, Outcome, Reason, Service};
use portreeve_model::time::{Certainty, EventTime};
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "suricata",
    title: "Suricata (EVE JSON, fast.log) and Snort alerts",
    row: Row::Firewall,
    gives: &[Act::Lease, Act::Auth, Act::Posture, Act::Logon, Act::Flow, Act::Alert],
    lacks: &[Field::Mfa, Field::SessionId, Field::SessionEnd],
    traps: &["decoder_remarks", "fast_log"],
    manual: "Suricata User Guide: EVE JSON Output; Snort Users Manual: alert_fast",
    enable: "eve-log with the types alert, flow, drop, rdp, smb, krb5, dhcp, rfb, ssh",
    general: false,
    marks: &["\"event_type\"", "[Priority: "],
    reader: Reader::Code { claim, parse, join: None },
};

fn claim(r: &Record<'_>) -> bool {
    if r.shape == Shape::Json {
        return r.contains(b"\"event_type\"")
            && !r.contains(b"\"firewall_name\"")
            && (r.contains(b"\"flow_id\"")
                || r.contains(b"\"event_type\":\"stats\"")
                || r.contains(b"\"event_type\": \"stats\""));
    }
    r.contains(b"[Priority: ") && (r.contains(b"[**]") || r.contains(b"[Classification: "))
}

static PATHS: LazyLock<Paths<9>> = LazyLock::new(|| {
    Paths::new([
        "event_type",
        "timestamp",
        "src_ip",
        "src_port",
        "dest_ip",
        "dest_port",
        "host",
        "proto",
        "@timestamp",
    ])
});

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    if r.shape == Shape::Json { eve(r, r.body, None, out) } else { fast(r, out) }
}

/// Why a type of record is of no concern; `None` for those that are read.
fn unread(kind: &[u8], by_netflow: bool) -> Option<Parsed> {
    Some(Parsed::Irrelevant(match kind {
        b"alert" | b"flow" | b"drop" | b"smb" | b"krb5" | b"rdp" | b"rfb" | b"dhcp" => return None,
        b"stats" | b"engine" => Kind::Housekeeping,
        b"netflow" if by_netflow => return None,
        b"netflow" => Kind::Repeats,
        b"ssh" => Kind::Transport,
        b"tls" | b"http" | b"dns" | b"mdns" | b"fileinfo" | b"smtp" | b"ftp" | b"ftp_data" | b"quic"
        | b"nfs" | b"tftp" | b"ldap" | b"snmp" | b"sip" | b"mqtt" => Kind::RoutineUse,
        b"anomaly" => Kind::Traffic,
        _ => Kind::OtherMessage,
    }))
}

/// One EVE record; `around` where something around it names the sensor. Such a one reports its connections as `netflow`
/// only, one for each direction.
pub(crate) fn eve(r: &Record<'_>, body: &[u8], around: Option<&[u8]>, out: &mut Emit<'_>) -> Parsed {
    // Most records are of no concern; their type stands near the front, in Suricata's own order.
    if let Some(kind) = between(&body[..body.len().min(240)], b"\"event_type\":\"", b"\"")
        && body.ends_with(b"}")
        && let Some(parsed) = unread(kind, around.is_some())
    {
        return parsed;
    }
    let Ok(v) = PATHS.pick(body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let kind = v[0].bytes();
    if let Some(parsed) = unread(kind, around.is_some()) {
        return parsed;
    }
    let stamp = if v[1].is_missing() { v[8].bytes() } else { v[1].bytes() };
    let time = match clock::iso(stamp) {
        Some((Stamp::Absolute(t), _)) => Some((t, Certainty::Exact)),
        Some((Stamp::Local(civil), _)) => r.clock.resolve(civil),
        None => clock::epoch(stamp).map(|t| (t, Certainty::Exact)).or_else(|| r.header_time()),
    };
    let sensor = if let Some(around) = around {
        around
    } else if v[6].bytes().is_empty() {
        r.host()
    } else {
        v[6].bytes()
    };
    let head = Ends {
        time,
        src: Ip::parse(v[2].bytes()),
        sport: port(v[3].bytes()),
        dst: Ip::parse(v[4].bytes()),
        dport: port(v[5].bytes()),
        dst_text: v[4].bytes(),
        observer: sensor,
    };
    match kind {
        b"alert" => alert(body, &head, out),
        b"flow" => flow(body, &head, v[7].is(b"TCP"), out),
        b"netflow" => netflow(body, &head, out),
        b"drop" => head.flow(Outcome::Failure).tell(out),
        b"smb" => smb(body, &head, out),
        b"krb5" => krb5(body, &head, out),
        b"rdp" => rdp(body, &head, out),
        b"rfb" => rfb(body, &head, out),
        _ => dhcp(body, &head, out),
    }
}

fn alert(body: &[u8], head: &Ends<'_>, out: &mut Emit<'_>) -> Parsed {
    static PATHS: LazyLock<Paths<4>> =
        LazyLock::new(|| Paths::new(["alert.signature", "alert.severity", "src_ip", "alert.action"]));
    let Ok(v) = PATHS.pick(body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let title = v[0].text();
    if title.starts_with(b"SURICATA ") {
        return Parsed::Irrelevant(Kind::Traffic);
    }
    // Traffic that a rule was written to drop or to note, on its way out, is still an alert.
    head.event(out, Act::Alert, if v[3].is(b"blocked") { Outcome::Failure } else { Outcome::Unknown })
        .service(Service::Firewall)
        .severity(severity(number(v[1].bytes())))
        .detail(&title)
        .host(inside(head.src, v[2].bytes(), head.dst_text))
        .done()
}

/// The end that the company has to look at: the one inside, where only one is; else the one that was called.
fn inside<'a>(src: Ip, from: &'a [u8], to: &'a [u8]) -> &'a [u8] {
    if src.is_private() && Ip::parse(to).is_public() { from } else { to }
}

/// Suricata's priority 1 is the gravest.
fn severity(priority: u64) -> u8 {
    match priority {
        1 => 4,
        2 => 3,
        3 => 2,
        0 => 0,
        _ => 1,
    }
}

fn flow(body: &[u8], head: &Ends<'_>, tcp: bool, out: &mut Emit<'_>) -> Parsed {
    static PATHS: LazyLock<Paths<8>> = LazyLock::new(|| {
        Paths::new([
            "flow.pkts_toclient",
            "flow.bytes_toserver",
            "flow.bytes_toclient",
            "flow.age",
            "tcp.tcp_flags_tc",
            "flow.action",
            "flow.state",
            "flow.pkts_toserver",
        ])
    });
    // Most flows are nobody's access; they are told apart before their counts are read.
    if let Some(kind) = head.flow(Outcome::Success).dull() {
        return Parsed::Irrelevant(kind);
    }
    let Ok(v) = PATHS.pick(body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let flags = v[4].bytes();
    let flags = std::str::from_utf8(flags).ok().and_then(|f| u8::from_str_radix(f, 16).ok());
    // Answered with SYN; a lone reset is a refusal.
    let accepted = match flags {
        Some(flags) if tcp => flags & 0x02 != 0,
        _ => number(v[0].bytes()) > 0,
    };
    let outcome =
        if v[5].is(b"drop") || v[5].is(b"reject") || !accepted { Outcome::Failure } else { Outcome::Success };
    Flow {
        bytes: (number(v[1].bytes()), number(v[2].bytes())),
        duration_s: u32::try_from(number(v[3].bytes())).unwrap_or(u32::MAX),
        ..head.flow(outcome)
    }
    .tell(out)
}

/// One direction of a connection.
fn netflow(body: &[u8], head: &Ends<'_>, out: &mut Emit<'_>) -> Parsed {
    static PATHS: LazyLock<Paths<3>> =
        LazyLock::new(|| Paths::new(["netflow.bytes", "netflow.age", "tcp.tcp_flags"]));
    if is_answer(head.sport, head.dport) {
        return Parsed::Irrelevant(Kind::Repeats);
    }
    let Ok(v) = PATHS.pick(body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let flags = std::str::from_utf8(v[2].bytes()).ok().and_then(|f| u8::from_str_radix(f, 16).ok());
    let outcome = match flags {
        // Who opened it went on to acknowledge, so it was answered.
        Some(flags) if flags & 0x10 != 0 => Outcome::Success,
        Some(_) => Outcome::Failure,
        None => Outcome::Unknown,
    };
    Flow {
        bytes: (number(v[0].bytes()), 0),
        duration_s: u32::try_from(number(v[1].bytes())).unwrap_or(u32::MAX),
        ..head.flow(outcome)
    }
    .tell(out)
}

fn smb(body: &[u8], head: &Ends<'_>, out: &mut Emit<'_>) -> Parsed {
    static PATHS: LazyLock<Paths<5>> = LazyLock::new(|| {
        Paths::new([
            "smb.command",
            "smb.status",
            "smb.ntlmssp.user",
            "smb.ntlmssp.domain",
            "smb.ntlmssp.host",
        ])
    });
    let Ok(v) = PATHS.pick(body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    if !v[0].bytes().ends_with(b"SESSION_SETUP") && !v[0].bytes().ends_with(b"SESSION_SETUP_ANDX") {
        return Parsed::Irrelevant(Kind::RoutineUse);
    }
    let user = v[2].text();
    let (outcome, reason) = match v[1].bytes() {
        b"STATUS_SUCCESS" => (Outcome::Success, Reason::None),
        b"STATUS_MORE_PROCESSING_REQUIRED" => return Parsed::Irrelevant(Kind::Pending),
        b"STATUS_LOGON_FAILURE" | b"STATUS_WRONG_PASSWORD" => (Outcome::Failure, Reason::BadPassword),
        b"STATUS_NO_SUCH_USER" => (Outcome::Failure, Reason::NoUser),
        b"STATUS_ACCOUNT_LOCKED_OUT" => (Outcome::Failure, Reason::Locked),
        b"STATUS_ACCOUNT_DISABLED" => (Outcome::Failure, Reason::Disabled),
        b"STATUS_PASSWORD_EXPIRED" | b"STATUS_ACCOUNT_EXPIRED" => (Outcome::Failure, Reason::Expired),
        b"" => return Parsed::Irrelevant(Kind::Pending),
        _ => (Outcome::Failure, Reason::Other),
    };
    // With Kerberos the name is in the ticket, which is not read.
    if user.is_empty() || user.ends_with(b"$") {
        return Parsed::Irrelevant(Kind::Machine);
    }
    head.event(out, Act::Logon, outcome)
        .service(Service::Windows)
        .method(Method::Ntlm)
        .domain_user(&v[3].text(), &user)
        .device(&v[4].text())
        .host(head.dst_text)
        .reason(reason)
        .done()
}

fn krb5(body: &[u8], head: &Ends<'_>, out: &mut Emit<'_>) -> Parsed {
    static PATHS: LazyLock<Paths<5>> = LazyLock::new(|| {
        Paths::new(["krb5.msg_type", "krb5.cname", "krb5.realm", "krb5.error_code", "krb5.failed_request"])
    });
    let Ok(v) = PATHS.pick(body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let name = v[1].text();
    if name.ends_with(b"$") {
        return Parsed::Irrelevant(Kind::Machine);
    }
    let (outcome, reason) = match v[0].bytes() {
        b"KRB_AS_REP" => (Outcome::Success, Reason::None),
        b"KRB_ERROR" if v[4].is(b"KRB_AS_REQ") || v[4].is_missing() => match v[3].bytes() {
            b"KDC_ERR_PREAUTH_REQUIRED" | b"KRB_ERR_RESPONSE_TOO_BIG" | b"KDC_ERR_ETYPE_NOSUPP" => {
                return Parsed::Irrelevant(Kind::Pending);
            }
            error => (Outcome::Failure, kerberos_reason(error)),
        },
        _ => return Parsed::Irrelevant(Kind::RoutineUse),
    };
    // A reply goes from the server to the client; whichever end is written first, port 88 is the server's.
    let answer = head.sport == 88;
    let (src, dst) = if answer { (head.dst, head.src) } else { (head.src, head.dst) };
    out.event(Act::Auth, outcome)
        .at(head.time)
        .source_ip(src)
        .destination_ip(dst)
        .service(Service::Directory)
        .method(Method::Kerberos)
        .domain_user(v[2].bytes(), &name)
        .observer(head.observer)
        .reason(reason)
        .done()
}

fn rdp(body: &[u8], head: &Ends<'_>, out: &mut Emit<'_>) -> Parsed {
    static PATHS: LazyLock<Paths<3>> =
        LazyLock::new(|| Paths::new(["rdp.event_type", "rdp.cookie", "rdp.client.client_name"]));
    let Ok(v) = PATHS.pick(body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let (cookie, device) = (v[1].text(), v[2].text());
    if cookie.is_empty() && device.is_empty() {
        return Parsed::Irrelevant(Kind::Transport);
    }
    head.event(out, Act::Posture, Outcome::Unknown)
        .service(Service::Rdp)
        .host(head.dst_text)
        .user(&cookie)
        .device(&device)
        .done()
}

fn rfb(body: &[u8], head: &Ends<'_>, out: &mut Emit<'_>) -> Parsed {
    static PATHS: LazyLock<Paths<2>> =
        LazyLock::new(|| Paths::new(["rfb.authentication.security_result", "rfb.framebuffer.name"]));
    let Ok(v) = PATHS.pick(body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let outcome = match v[0].bytes() {
        b"OK" => Outcome::Success,
        b"FAIL" | b"TOOMANY" => Outcome::Failure,
        _ => return Parsed::Irrelevant(Kind::Transport),
    };
    head.event(out, Act::Logon, outcome).service(Service::Vnc).host(head.dst_text).done()
}

fn dhcp(body: &[u8], head: &Ends<'_>, out: &mut Emit<'_>) -> Parsed {
    static PATHS: LazyLock<Paths<4>> = LazyLock::new(|| {
        Paths::new(["dhcp.dhcp_type", "dhcp.client_mac", "dhcp.assigned_ip", "dhcp.hostname"])
    });
    let Ok(v) = PATHS.pick(body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let address = Ip::parse(v[2].bytes());
    if !v[0].is(b"ack") || address.is_none() {
        return Parsed::Irrelevant(Kind::Pending);
    }
    out.event(Act::Lease, Outcome::Success)
        .at(head.time)
        .service(Service::Dhcp)
        .tunnel_ip(address)
        .mac(v[1].bytes())
        .device(&Value::text(v[3]))
        .observer(head.observer)
        .done()
}

/// `03/03/2026-09:00:00.123456  [Drop] [**] [1:2001219:20] ET SCAN … [**] [Classification: …] [Priority: 2] {TCP} a:1 -> b:22`,
/// or, through syslog, from `[1:2001219:20]` on.
fn fast(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let text = r.body;
    let Some(open) = find(text, b"[Priority: ") else { return Parsed::NotMine };
    let (head, tail) = text.split_at(open);
    // The title stands between the signature's number and the classification; the ends of the connection come last.
    let Some(number_at) = signature(head) else { return Parsed::Broken(Why::Missing("signature")) };
    let title = word_after_bracket(&head[number_at..]);
    let end = [&b" [**]"[..], b" [Classification: "].iter().filter_map(|m| find(title, m)).min();
    let title = &title[..end.unwrap_or(title.len())];
    if title.starts_with(b"SURICATA ") {
        return Parsed::Irrelevant(Kind::Traffic);
    }
    let priority = between(tail, b"[Priority: ", b"]").map_or(0, number);
    let Some(brace) = find(tail, b"{") else { return Parsed::Broken(Why::Missing("addresses")) };
    let (protocol, rest) = word(&tail[brace + 1..]);
    let (from, rest) = word(rest);
    let to = word(rest.strip_prefix(b"->").unwrap_or(rest)).0;
    let icmp = find(protocol, b"ICMP").is_some();
    let ((src, sport), (dst, dport)) = (end_of(from, icmp), end_of(to, icmp));
    let dropped = find(head, b"[Drop]").is_some() || find(head, b"[wDrop]").is_some();
    out.event(Act::Alert, if dropped { Outcome::Failure } else { Outcome::Unknown })
        .at(fast_time(r))
        .service(Service::Firewall)
        .source_ip(src)
        .source_port(sport)
        .destination_ip(dst)
        .destination_port(dport)
        .severity(severity(priority))
        .detail(title)
        .host(inside(src, bare(from), bare(to)))
        .observer(r.host())
        .done()
}

/// Where `[1:2001219:20]` stands.
fn signature(head: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'[', head).find(|at| {
        let inner = &head[at + 1..];
        let end = memchr::memchr(b']', inner).unwrap_or(0);
        end >= 5
            && inner[..end].iter().all(|b| b.is_ascii_digit() || *b == b':')
            && inner[..end].iter().filter(|b| **b == b':').count() == 2
    })
}

fn word_after_bracket(text: &[u8]) -> &[u8] {
    memchr::memchr(b']', text).map_or(&b""[..], |at| &text[at + 1..]).trim_ascii()
}

/// `192.0.2.5:4711`, `2001:db8::5:4711`; the last colon of an IPv6 end stands before the port.
fn end_of(text: &[u8], icmp: bool) -> (Ip, u16) {
    let colon = memchr::memrchr(b':', text);
    match colon {
        Some(at) => {
            let ip = Ip::parse(&text[..at]);
            if ip.is_some() {
                (ip, if icmp { 0 } else { port(&text[at + 1..]) })
            } else {
                (Ip::parse(text), 0)
            }
        }
        None => (Ip::parse(text), 0),
    }
}

/// An end without its port.
fn bare(text: &[u8]) -> &[u8] {
    match memchr::memrchr(b':', text) {
        Some(at) if Ip::parse(&text[..at]).is_some() => &text[..at],
        _ => text,
    }
}

/// `03/03/2026-09:00:00.123456`, or without the year; else the header's.
fn fast_time(r: &Record<'_>) -> Option<(EventTime, Certainty)> {
    own_time(r.body).and_then(|civil| r.clock.resolve(civil)).or_else(|| r.header_time())
}

fn own_time(text: &[u8]) -> Option<Civil> {
    let dash = memchr::memchr(b'-', text.get(..12)?)?;
    let (date, time) = (&text[..dash], &text[dash + 1..]);
    let mut parts = date.split(|b| *b == b'/');
    let two = |t: Option<&[u8]>| {
        let t = t.filter(|t| t.len() == 2 && t.iter().all(u8::is_ascii_digit))?;
        u8::try_from(number(t)).ok()
    };
    let (month, day) = (two(parts.next())?, two(parts.next())?);
    let year = match parts.next() {
        None => 0,
        Some(y) if y.len() == 4 => i16::try_from(number(y)).ok()?,
        Some(y) if y.len() == 2 => i16::try_from(2_000 + number(y)).ok()?,
        Some(_) => return None,
    };
    let part = |from: usize| two(time.get(from..from + 2));
    let micros = match time.get(8) {
        Some(b'.') => {
            let digits: &[u8] = time.get(9..15).unwrap_or_default();
            u32::try_from(number(digits)).ok().filter(|_| digits.len() == 6).unwrap_or(0)
        }
        _ => 0,
    };
    Some(Civil { year, month, day, hour: part(0)?, minute: part(3)?, second: part(6)?, micros })
}
