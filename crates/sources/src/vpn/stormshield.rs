//! Stormshield Network Security (SNS, before it NETASQ): SSL VPN, IPsec, users, administration, connections.
//!
//! Read from: Stormshield "Description of audit logs" (l_auth, l_xvpn, l_vpn, l_server, l_connection, l_filter, l_alarm).
//! Traps: in l_vpn `src` is the firewall's own end and `dst` the peer's; the refusal of an SSL VPN user stands in l_auth
//! and in l_xvpn; `totp="no"` says that no code was asked for; a connection that passes is in l_filter and again, with its
//! bytes, in l_connection; older versions write `time=` without quotes.

use crate::decode::clock::{self, Clock, Stamp};
use crate::decode::find::find;
use crate::decode::kv::{after, number, pairs, word};
use crate::emit::{Emit, EventBuilder};
use crate::firewall::asa_traffic::worth;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source};
use portreeve_model::event::{Act, Change, Factor, Flags, Mfa, Outcome, Reason, Service};
use portreeve_model::time::Certainty;
use portreeve_model::{EventTime, Ip};

pub static SOURCE: Source = Source {
    name: "stormshield",
    title: "Stormshield Network Security",
    row: Row::Vpn,
    gives: &[
        Act::Auth,
        Act::SessionStart,
        Act::IpAssign,
        Act::SessionEnd,
        Act::Posture,
        Act::Admin,
        Act::Config,
        Act::Account,
        Act::Flow,
        Act::Alert,
    ],
    lacks: &[Field::Device],
    traps: &["told_twice", "ipsec_ends", "unquoted_time"],
    manual: "Stormshield Network Security: Description of audit logs",
    enable: "Configuration > Notifications > Logs - Syslog: a syslog profile (RFC 5424) with the logs auth, xvpn, vpn, server, connection, filter and alarm",
    general: false,
    marks: &["startime="],
    reader: Reader::Code {
        claim: |r| {
            let head = &r.body[..r.body.len().min(220)];
            r.shape == Shape::Text
                && find(head, b" startime=").is_some()
                && find(head, b" tz=").is_some()
                && find(head, b" fw=").is_some()
        },
        parse,
        join: None,
    },
};

#[derive(Default)]
struct Fields<'a> {
    time: &'a [u8],
    tz: &'a [u8],
    fw: &'a [u8],
    logtype: &'a [u8],
    user: &'a [u8],
    domain: &'a [u8],
    src: &'a [u8],
    sport: &'a [u8],
    dst: &'a [u8],
    dport: &'a [u8],
    address: &'a [u8],
    msg: &'a [u8],
    error: &'a [u8],
    method: &'a [u8],
    totp: &'a [u8],
    action: &'a [u8],
    remote: &'a [u8],
    phase: &'a [u8],
    group: &'a [u8],
    sent: &'a [u8],
    received: &'a [u8],
    duration: &'a [u8],
    pri: &'a [u8],
    cookie: &'a [u8],
    country: &'a [u8],
}

impl<'a> Fields<'a> {
    fn of(text: &'a [u8]) -> Fields<'a> {
        let mut f = Fields::default();
        for (key, value) in pairs(text) {
            let slot = match key {
                b"time" => &mut f.time,
                b"tz" => &mut f.tz,
                b"fw" => &mut f.fw,
                b"logtype" => &mut f.logtype,
                b"user" => &mut f.user,
                b"domain" => &mut f.domain,
                b"src" => &mut f.src,
                b"srcport" => &mut f.sport,
                b"dst" => &mut f.dst,
                b"dstport" => &mut f.dport,
                b"address" => &mut f.address,
                b"msg" => &mut f.msg,
                b"error" => &mut f.error,
                b"method" => &mut f.method,
                b"totp" => &mut f.totp,
                b"action" => &mut f.action,
                b"remotenet" => &mut f.remote,
                b"phase" => &mut f.phase,
                b"usergroup" => &mut f.group,
                b"sent" => &mut f.sent,
                b"rcvd" => &mut f.received,
                b"duration" => &mut f.duration,
                b"pri" => &mut f.pri,
                b"cookie_i" => &mut f.cookie,
                b"srccountry" => &mut f.country,
                _ => continue,
            };
            if slot.is_empty() {
                *slot = value;
            }
        }
        if f.time.len() == 10 {
            // `time=2026-03-04 09:00:00 fw=…`
            f.time = after(text, b"time=", b" fw=").unwrap_or(f.time);
        }
        f
    }

    fn when(&self, r: &Record<'_>) -> Option<(EventTime, Certainty)> {
        match clock::iso(self.time) {
            Some((Stamp::Absolute(t), _)) => Some((t, Certainty::Exact)),
            Some((Stamp::Local(civil), _)) => match clock::offset(self.tz) {
                Some((east, _)) => Clock::with_offset(civil, east).map(|t| (t, Certainty::Exact)),
                None => r.clock.resolve(civil),
            },
            None => r.header_time(),
        }
    }

    fn says(&self, text: &[u8]) -> bool {
        find(self.msg, text).is_some()
    }

    fn base<'e>(&self, e: EventBuilder<'e>, r: &Record<'_>) -> EventBuilder<'e> {
        e.at(self.when(r)).observer(if self.fw.is_empty() { r.host() } else { self.fw })
    }
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    // The type of the log stands at the end, and decides before any pair is read.
    let tail = &r.body[r.body.len().saturating_sub(40)..];
    if let Some(kind) = after(tail, b"logtype=\"", b"\"") {
        match kind {
            b"monitor" | b"count" | b"filterstat" | b"routerstat" | b"system" | b"date" => {
                return Parsed::Irrelevant(Kind::Housekeeping);
            }
            b"plugin" | b"web" | b"smtp" | b"ftp" | b"pop3" | b"ssl" => {
                return Parsed::Irrelevant(Kind::Traffic);
            }
            _ => {}
        }
    }
    let f = Fields::of(r.body);
    match f.logtype {
        b"auth" => auth(r, &f, out),
        b"xvpn" => ssl_vpn(r, &f, out),
        b"vpn" => ipsec(r, &f, out),
        b"server" => server(r, &f, out),
        b"connection" | b"filter" => flow(r, &f, out),
        b"alarm" | b"sandboxing" | b"pvm" => alarm(r, &f, out),
        _ => Parsed::Irrelevant(Kind::OtherMessage),
    }
}

fn asked(totp: &[u8]) -> Mfa {
    match totp {
        b"yes" => Mfa::Yes,
        b"no" => Mfa::No,
        _ => Mfa::Unknown,
    }
}

fn why(f: &Fields<'_>) -> Reason {
    if f.says(b"bad password") || f.says(b"Authentication Failed") || f.says(b"uthentication failed") {
        Reason::BadPassword
    } else if f.says(b"nknown user") || f.says(b"user not found") {
        Reason::NoUser
    } else if f.says(b"enied") || f.says(b"not allowed") || f.says(b"not authorized") {
        Reason::NotAllowed
    } else if f.says(b"locked") || f.says(b"blocked") {
        Reason::Locked
    } else if f.says(b"ertificate") {
        Reason::Certificate
    } else if f.says(b"xpired") {
        Reason::Expired
    } else if f.says(b"TOTP") || f.says(b"one-time") {
        Reason::MfaFailed
    } else {
        Reason::Other
    }
}

/// Users and administrators. Error 0 is success, 3 a refused password, 4 a refused level.
fn auth(r: &Record<'_>, f: &Fields<'_>, out: &mut Emit<'_>) -> Parsed {
    let failed = number(f.error) != 0 || f.says(b"ailed") || f.says(b"ailure") || f.says(b"enied");
    let outcome = if failed { Outcome::Failure } else { Outcome::Success };
    let reason = if failed { why(f) } else { Reason::None };
    if f.says(b"logged out") || f.says(b"isconnect") || f.says(b"imeout") {
        return Parsed::Irrelevant(Kind::Housekeeping);
    }
    let coded = if asked(f.totp) == Mfa::Yes { Factor::Totp } else { Factor::None };
    if f.says(b"on the firewall") || f.says(b"dministrat") || f.says(b"onsole") {
        return f
            .base(out.event(Act::Admin, outcome), r)
            .service(Service::Management)
            .user(f.user)
            .source(f.src)
            .group(f.domain)
            .client(word(f.msg).0)
            .reason(reason)
            .mfa(asked(f.totp))
            .factor(coded)
            .flag(Flags::PRIVILEGED)
            .done();
    }
    // The agent tells who logged on to Windows inside.
    if matches!(f.method, b"AGENT" | b"TSAGENT" | b"SPNEGO") {
        return Parsed::Irrelevant(Kind::Machine);
    }
    let vpn = matches!(f.method, b"OPENVPN" | b"IPSEC" | b"XAUTH" | b"IKE");
    f.base(out.event(Act::Auth, outcome), r)
        .service(if vpn { Service::Vpn } else { Service::Firewall })
        .user(f.user)
        .source(f.src)
        .group(f.domain)
        .reason(reason)
        .mfa(asked(f.totp))
        .factor(coded)
        .flag_if(!failed, Flags::PRE_MFA)
        .done()
}

fn ssl_vpn(r: &Record<'_>, f: &Fields<'_>, out: &mut Emit<'_>) -> Parsed {
    let lower_error = f.says(b"rror during authentication") || f.says(b"uthentication failed");
    if lower_error || (number(f.error) != 0 && f.says(b"uthenti")) {
        return f
            .base(out.event(Act::Auth, Outcome::Failure), r)
            .service(Service::Vpn)
            .user(f.user)
            .source(f.src)
            .group(f.domain)
            .reason(why(f))
            .flag(Flags::REPEATS)
            .done();
    }
    let act = if f.says(b"tunnel created") {
        Act::IpAssign
    } else if f.says(b"tunnel removed") || f.says(b"tunnel closed") || f.says(b"tunnel deleted") {
        Act::SessionEnd
    } else {
        return Parsed::housekeeping_if(f.says(b"enegotiat") || f.says(b"ekey"));
    };
    f.base(out.event(act, Outcome::Success), r)
        .service(Service::Vpn)
        .user(f.user)
        .source(f.src)
        .tunnel(f.remote)
        .group(f.domain)
        .bytes(number(f.received), number(f.sent))
        .duration_s(u32::try_from(number(f.duration)).unwrap_or(u32::MAX))
        .done()
}

fn ipsec(r: &Record<'_>, f: &Fields<'_>, out: &mut Emit<'_>) -> Parsed {
    if f.user.is_empty() {
        return Parsed::Irrelevant(Kind::Machine);
    }
    let tunnel = Ip::parse(f.remote.split(|b| *b == b'/').next().unwrap_or_default());
    let act = if f.says(b"uthentication") || f.says(b"XAUTH") || f.says(b"EAP") {
        Act::Auth
    } else if f.says(b"stablished") && f.phase == b"2" {
        if tunnel.is_some() { Act::IpAssign } else { Act::SessionStart }
    } else if f.phase == b"1"
        && [&b"deleted"[..], b"closed", b"expired", b"terminated", b"Removed", b"removed"]
            .iter()
            .any(|w| f.says(w))
    {
        Act::SessionEnd
    } else {
        return Parsed::Irrelevant(Kind::Pending);
    };
    let failed = act == Act::Auth && (f.says(b"ailed") || f.says(b"ailure") || number(f.error) == 2);
    f.base(out.event(act, if failed { Outcome::Failure } else { Outcome::Success }), r)
        .service(Service::Vpn)
        .user(f.user)
        // The firewall is the source of its own log.
        .source(f.dst)
        .tunnel_ip(tunnel)
        .sid(f.cookie)
        .group(f.group)
        .reason(if failed { why(f) } else { Reason::None })
        .flag_if(act == Act::Auth && !failed, Flags::PRE_MFA)
        .done()
}

/// What administrators do: `msg` is the command.
fn server(r: &Record<'_>, f: &Fields<'_>, out: &mut Emit<'_>) -> Parsed {
    let failed = number(f.error) != 0;
    let outcome = if failed { Outcome::Failure } else { Outcome::Success };
    let (first, rest) = word(f.msg);
    let second = word(rest).0;
    let source = if f.address.is_empty() { f.src } else { f.address };
    if matches!(first, b"LOGIN" | b"AUTH" | b"MODIFY") || f.says(b"uthenticat") {
        return f
            .base(out.event(Act::Admin, outcome), r)
            .service(Service::Management)
            .user(f.user)
            .source(source)
            .detail(f.msg)
            .reason(if failed { why(f) } else { Reason::None })
            .flag(Flags::PRIVILEGED)
            .done();
    }
    let show = matches!(word(word(rest).1).0, b"SHOW" | b"LIST" | b"GET" | b"DOWNLOAD")
        || matches!(second, b"SHOW" | b"LIST" | b"GET");
    let (act, change) = match (first, second) {
        // Reading changes nothing; who read from where is kept without a judgement.
        _ if show => (Act::Posture, Change::None),
        (b"USER", b"CREATE") | (b"USER", b"ADD") => (Act::Account, Change::LocalUserCreated),
        (b"USER", b"REMOVE" | b"DELETE") => (Act::Account, Change::AccountDeleted),
        (b"USER", b"PASSWD" | b"PASSWORD") => (Act::Account, Change::PasswordReset),
        (b"USER", b"GROUP") => (Act::Account, Change::GroupAdded),
        (b"USER", b"ACCESS") => (Act::Account, Change::RoleGranted),
        (b"CONFIG", b"BACKUP") => (Act::Config, Change::ConfigExported),
        (b"CONFIG", b"LOG" | b"SYSLOG") if f.says(b"=0") || f.says(b"=off") || f.says(b"=Off") => {
            (Act::Config, Change::LoggingStopped)
        }
        (
            b"CONFIG",
            b"AUTH" | b"FILTER" | b"OPENVPN" | b"IPSEC" | b"XVPN" | b"SLOT" | b"WEBADMIN" | b"PASSWDPOLICY",
        ) => (Act::Config, Change::PolicyChanged),
        (b"CONFIG" | b"PKI" | b"HA", _) => (Act::Config, Change::ConfigChanged),
        _ => (Act::Posture, Change::None),
    };
    let named = after(f.msg, b"uid=", b" ").or_else(|| after(f.msg, b"user=", b" ")).unwrap_or_default();
    f.base(out.event(act, outcome), r)
        .service(Service::Management)
        .change(change)
        .user(f.user)
        .target(if act == Act::Account { named } else { b"" })
        .source(source)
        .detail(f.msg)
        .flag_if(act != Act::Posture, Flags::PRIVILEGED)
        .done()
}

fn flow(r: &Record<'_>, f: &Fields<'_>, out: &mut Emit<'_>) -> Parsed {
    let outcome = match f.action {
        b"pass" => Outcome::Success,
        b"block" | b"reset" | b"delay" => Outcome::Failure,
        _ => return Parsed::Irrelevant(Kind::Traffic),
    };
    if outcome == Outcome::Success && f.logtype == b"filter" {
        return Parsed::Irrelevant(Kind::Repeats);
    }
    let (src, dst) = (Ip::parse(f.src), Ip::parse(f.dst));
    let dport = u16::try_from(number(f.dport)).unwrap_or(0);
    if src.is_none() {
        return Parsed::Irrelevant(Kind::Traffic);
    }
    if let Some(kind) = worth(src, dst, dport, outcome == Outcome::Success)
        && (f.user.is_empty() || kind == Kind::OutboundTraffic)
    {
        return Parsed::Irrelevant(kind);
    }
    f.base(out.event(Act::Flow, outcome), r)
        .service(Service::Firewall)
        .source_ip(src)
        .source_port(u16::try_from(number(f.sport)).unwrap_or(0))
        .destination_ip(dst)
        .destination_port(dport)
        .user(f.user)
        .country(f.country)
        .bytes(number(f.sent), number(f.received))
        .duration_s(u32::try_from(number(f.duration)).unwrap_or(u32::MAX))
        .done()
}

/// Alarms of the highest priority; the others are noise of the Internet.
fn alarm(r: &Record<'_>, f: &Fields<'_>, out: &mut Emit<'_>) -> Parsed {
    if number(f.pri) != 1 {
        return Parsed::Irrelevant(Kind::OtherMessage);
    }
    f.base(out.event(Act::Alert, Outcome::Unknown), r)
        .service(Service::Firewall)
        .user(f.user)
        .source(f.src)
        .destination(f.dst)
        .destination_port(u16::try_from(number(f.dport)).unwrap_or(0))
        .host(f.dst)
        .detail(f.msg)
        .severity(4)
        .done()
}
