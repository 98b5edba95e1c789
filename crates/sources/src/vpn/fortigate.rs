//! FortiGate: SSL and IPsec VPN, administration, configuration, user authentication.
//!
//! Read from: FortiOS Log Message Reference. Traps: 39426 is a failed login and 39943 only a connection, so the action
//! and status decide and never the number alone; `eventtime` is nanoseconds since 6.2 and seconds before; `user="N/A"`
//! is nobody; statistics repeat cumulative bytes; CEF comes in two prefixes and with `CEF:` lost.

use crate::decode::clock::{self, Clock, Stamp};
use crate::decode::find::find;
use crate::decode::kv;
use crate::emit::{Emit, EventBuilder};
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source};
use portreeve_model::EventTime;
use portreeve_model::event::{Act, Change, Flags, Outcome, Reason, Service};
use portreeve_model::time::Certainty;

pub static SOURCE: Source = Source {
    name: "fortigate",
    title: "FortiGate (VPN, administration, configuration)",
    row: Row::Vpn,
    gives: &[
        Act::Auth,
        Act::SessionStart,
        Act::IpAssign,
        Act::SessionEnd,
        Act::Admin,
        Act::Config,
        Act::Account,
    ],
    lacks: &[Field::Mfa],
    traps: &["ssl_login_fail_39426", "new_connection_is_no_login", "statistics", "cef"],
    manual: "FortiOS Log Message Reference (event: vpn, user, system)",
    enable: "config log syslogd setting; set status enable; set format default (or cef); event logging for vpn, system and user",
    general: false,
    marks: &["logid=", "ortigate|"],
    reader: Reader::Code { claim: |r| is_fortigate(r) && !is_traffic(r), parse, join: None },
};

pub(crate) fn is_fortigate(r: &Record<'_>) -> bool {
    match r.shape {
        Shape::Text => {
            let head = &r.body[..r.body.len().min(400)];
            (find(head, b"devid=").is_some() && find(head, b"logid=").is_some())
                || find(head, b"|Fortigate|").is_some()
        }
        Shape::Cef => find(&r.body[..r.body.len().min(60)], b"|Fortinet|Fortigate|").is_some(),
        _ => false,
    }
}

pub(crate) fn is_traffic(r: &Record<'_>) -> bool {
    let head = &r.body[..r.body.len().min(500)];
    match r.shape {
        Shape::Text => find(head, b"type=\"traffic\"").or_else(|| find(head, b"type=traffic")).is_some(),
        _ => find(head, b"|traffic:").or_else(|| find(head, b"cat=traffic")).is_some(),
    }
}

/// The fields that any FortiGate record may have; empty where it has not.
#[derive(Default)]
pub(crate) struct Fields<'a> {
    pub(crate) date: &'a [u8],
    pub(crate) time: &'a [u8],
    pub(crate) eventtime: &'a [u8],
    /// Of FortiAnalyzer and FortiAuthenticator.
    pub(crate) timestamp: &'a [u8],
    pub(crate) tz: &'a [u8],
    pub(crate) devname: &'a [u8],
    pub(crate) logid: &'a [u8],
    pub(crate) kind: &'a [u8],
    pub(crate) subtype: &'a [u8],
    pub(crate) action: &'a [u8],
    pub(crate) status: &'a [u8],
    pub(crate) reason: &'a [u8],
    pub(crate) user: &'a [u8],
    pub(crate) xauthuser: &'a [u8],
    pub(crate) remip: &'a [u8],
    pub(crate) srcip: &'a [u8],
    /// FortiAuthenticator's.
    pub(crate) userip: &'a [u8],
    pub(crate) srcport: &'a [u8],
    pub(crate) dstip: &'a [u8],
    pub(crate) dstport: &'a [u8],
    pub(crate) tunnelip: &'a [u8],
    pub(crate) assignip: &'a [u8],
    pub(crate) tunneltype: &'a [u8],
    pub(crate) tunnelid: &'a [u8],
    pub(crate) group: &'a [u8],
    pub(crate) fctuid: &'a [u8],
    pub(crate) duration: &'a [u8],
    pub(crate) sent: &'a [u8],
    pub(crate) received: &'a [u8],
    pub(crate) country: &'a [u8],
    pub(crate) ui: &'a [u8],
    pub(crate) profile: &'a [u8],
    pub(crate) cfgpath: &'a [u8],
    pub(crate) cfgobj: &'a [u8],
    pub(crate) cfgattr: &'a [u8],
    pub(crate) msg: &'a [u8],
    pub(crate) agent: &'a [u8],
}

pub(crate) fn fields<'a>(r: &Record<'a>) -> Fields<'a> {
    let mut f = Fields::default();
    if r.shape == Shape::Cef || find(&r.body[..r.body.len().min(200)], b"|Fortigate|").is_some() {
        if let Some((head, extension)) = kv::cef(r.body) {
            let mut name = head[5].split(|b| *b == b':');
            f.kind = name.next().unwrap_or_default();
            f.subtype = name.next().map_or(&b""[..], |s| kv::word(s).0);
            for (key, value) in kv::cef_pairs(extension) {
                let key = key
                    .strip_prefix(b"FTNTFGT")
                    .or_else(|| key.strip_prefix(b"FortinetFortiGate"))
                    .or_else(|| key.strip_prefix(b"ad."))
                    .unwrap_or(key);
                let key = match key {
                    b"duser" | b"suser" => &b"user"[..],
                    b"src" => b"srcip",
                    b"dst" => b"dstip",
                    b"spt" => b"srcport",
                    b"dpt" => b"dstport",
                    b"act" => b"action",
                    b"dvchost" => b"devname",
                    b"reason" => b"reason",
                    b"out" => b"sentbyte",
                    b"in" => b"rcvdbyte",
                    b"sproc" => b"ui",
                    other => other,
                };
                f.set(key, value);
            }
            return f;
        }
        return f;
    }
    for (key, value) in kv::pairs(r.body) {
        f.set(key, value);
    }
    f
}

impl<'a> Fields<'a> {
    fn set(&mut self, key: &[u8], value: &'a [u8]) {
        let slot = match key {
            b"date" => &mut self.date,
            b"time" => &mut self.time,
            b"eventtime" => &mut self.eventtime,
            b"timestamp" => &mut self.timestamp,
            b"tz" => &mut self.tz,
            b"devname" => &mut self.devname,
            b"logid" => &mut self.logid,
            b"type" => &mut self.kind,
            b"subtype" => &mut self.subtype,
            b"action" => &mut self.action,
            b"status" => &mut self.status,
            b"reason" => &mut self.reason,
            b"user" => &mut self.user,
            b"xauthuser" => &mut self.xauthuser,
            b"remip" => &mut self.remip,
            b"srcip" => &mut self.srcip,
            b"userip" => &mut self.userip,
            b"srcport" => &mut self.srcport,
            b"dstip" => &mut self.dstip,
            b"dstport" => &mut self.dstport,
            b"tunnelip" => &mut self.tunnelip,
            b"assignip" => &mut self.assignip,
            b"tunneltype" => &mut self.tunneltype,
            b"tunnelid" => &mut self.tunnelid,
            b"group" => &mut self.group,
            b"fctuid" => &mut self.fctuid,
            b"duration" => &mut self.duration,
            b"sentbyte" => &mut self.sent,
            b"rcvdbyte" => &mut self.received,
            b"srccountry" => &mut self.country,
            b"ui" => &mut self.ui,
            b"profile" => &mut self.profile,
            b"cfgpath" => &mut self.cfgpath,
            b"cfgobj" => &mut self.cfgobj,
            b"cfgattr" => &mut self.cfgattr,
            b"msg" => &mut self.msg,
            b"agent" => &mut self.agent,
            _ => return,
        };
        if slot.is_empty() {
            *slot = if key == b"user" { password_user(value) } else { value };
        }
    }

    /// `eventtime` where it is there, else date and time with their zone, else the header's.
    pub(crate) fn when(&self, r: &Record<'_>) -> Option<(EventTime, Certainty)> {
        if let Some(time) = clock::epoch(self.eventtime) {
            return Some((time, Certainty::Exact));
        }
        let mut both = [0u8; 19];
        if self.date.len() == 10 && self.time.len() >= 8 {
            both[..10].copy_from_slice(self.date);
            both[10] = b' ';
            both[11..].copy_from_slice(&self.time[..8]);
            if let Some((Stamp::Local(civil), _)) = clock::iso(&both) {
                return match clock::offset(self.tz) {
                    Some((seconds, _)) => Clock::with_offset(civil, seconds).map(|t| (t, Certainty::Exact)),
                    None => r.clock.resolve(civil),
                };
            }
        }
        clock::epoch(self.timestamp).map(|t| (t, Certainty::Exact)).or_else(|| r.header_time())
    }

    pub(crate) fn observer<'r>(&self, r: &Record<'r>) -> &'r [u8]
    where
        'a: 'r,
    {
        if self.devname.is_empty() { r.host() } else { self.devname }
    }
}

/// `anna,cn=Anna Fock`: who logs in with password and certificate is named by both; the account is the first.
fn password_user(user: &[u8]) -> &[u8] {
    match [&b",cn="[..], b",CN="].iter().find_map(|mark| find(user, mark)) {
        Some(at) if at > 0 && !user[..at].contains(&b'=') => &user[..at],
        _ => user,
    }
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let f = fields(r);
    let id = &f.logid[f.logid.len().saturating_sub(5)..];
    let source = [f.remip, f.srcip, f.userip].into_iter().find(|ip| !ip.is_empty()).unwrap_or_default();
    match (f.subtype, f.action) {
        (b"vpn", b"tunnel-up") => {
            let tunnel =
                if f.tunnelip.is_empty() || f.tunnelip == b"(null)" { f.assignip } else { f.tunnelip };
            let user = if f.xauthuser.is_empty() || f.xauthuser == b"N/A" { f.user } else { f.xauthuser };
            let act = if tunnel.is_empty() || f.tunneltype == b"ssl-web" {
                Act::SessionStart
            } else {
                Act::IpAssign
            };
            base(out.event(act, Outcome::Success), r, &f).user(user).source(source).tunnel(tunnel).done()
        }
        (b"vpn", b"ssl-login-fail") => base(out.event(Act::Auth, Outcome::Failure), r, &f)
            .user(f.user)
            .source(source)
            .reason(reason(f.reason))
            .done(),
        (b"vpn", b"tunnel-down") => {
            let user = if f.xauthuser.is_empty() || f.xauthuser == b"N/A" { f.user } else { f.xauthuser };
            let (sent, received) = (kv::number(f.sent), kv::number(f.received));
            let seconds = u32::try_from(kv::number(f.duration)).unwrap_or(u32::MAX);
            let tunnel = if f.tunnelip == b"(null)" { &b""[..] } else { f.tunnelip };
            base(out.event(Act::SessionEnd, Outcome::Success), r, &f)
                .user(user)
                .source(source)
                .tunnel(tunnel)
                .duration_s(seconds)
                .bytes(received, sent)
                .reason(end_reason(f.reason))
                .done()
        }
        (
            b"vpn",
            b"ssl-new-con" | b"tunnel-stats" | b"ssl-alert" | b"install_sa" | b"dpd" | b"ssl-exit-error"
            | b"ssl-exit-fail" | b"phase2-up" | b"phase2-down" | b"delete_ipsec_sa" | b"delete_phase1_sa",
        ) => Parsed::Irrelevant(Kind::Transport),
        (b"vpn", b"negotiate") if f.status == b"failure" || f.status == b"negotiate_error" => {
            let user = if f.xauthuser == b"N/A" { f.user } else { f.xauthuser };
            base(out.event(Act::Auth, Outcome::Failure), r, &f)
                .user(user)
                .source(source)
                .reason(Reason::Other)
                .done()
        }
        (b"vpn", _) => base(out.event(Act::Posture, Outcome::Unknown), r, &f)
            .user(f.user)
            .source(source)
            .detail(f.action)
            .done(),
        (b"system", b"login") => admin(r, &f, out),
        (b"system", _) if !f.cfgpath.is_empty() => config(r, &f, out),
        (b"system", b"logout") => Parsed::Irrelevant(Kind::OtherMessage),
        (b"system", _) if matches!(id, b"32102") => Parsed::Irrelevant(Kind::Repeats),
        (b"user", b"authentication" | b"auth-logon" | b"FSSO-logon") => {
            let outcome = outcome(f.status);
            let act = Act::Posture;
            base(out.event(act, outcome), r, &f).user(f.user).source(source).reason(reason(f.reason)).done()
        }
        _ => {
            if f.user.is_empty() && source.is_empty() {
                return Parsed::Irrelevant(Kind::OtherMessage);
            }
            let act = if f.kind == b"utm" { Act::Flow } else { Act::Posture };
            out.event(act, Outcome::Unknown)
                .at(f.when(r))
                .service(Service::Firewall)
                .user(f.user)
                .source(source)
                .destination(f.dstip)
                .destination_port(u16::try_from(kv::number(f.dstport)).unwrap_or(0))
                .detail(f.action)
                .observer(f.observer(r))
                .done()
        }
    }
}

fn base<'e>(event: EventBuilder<'e>, r: &Record<'_>, f: &Fields<'_>) -> EventBuilder<'e> {
    event
        .at(f.when(r))
        .service(Service::Vpn)
        .group(f.group)
        .device(f.fctuid)
        .sid(f.tunnelid)
        .client(f.agent)
        .observer(f.observer(r))
}

fn admin(r: &Record<'_>, f: &Fields<'_>, out: &mut Emit<'_>) -> Parsed {
    // `ui="https(192.0.2.9)"`, `ui="jsconsole(127.0.0.1)"`, `ui="ssh(…)"`.
    let ui_ip = kv::between(f.ui, b"(", b")").unwrap_or_default();
    let source = if f.srcip.is_empty() { ui_ip } else { f.srcip };
    let method = &f.ui[..memchr::memchr(b'(', f.ui).unwrap_or(f.ui.len())];
    out.event(Act::Admin, outcome(f.status))
        .at(f.when(r))
        .service(Service::Management)
        .user(f.user)
        .source(source)
        .group(f.profile)
        .client(method)
        .reason(reason(f.reason))
        .observer(f.observer(r))
        .flag_if(f.profile == b"super_admin", Flags::PRIVILEGED)
        .flag(Flags::LOCAL_ACCOUNT)
        .done()
}

fn config(r: &Record<'_>, f: &Fields<'_>, out: &mut Emit<'_>) -> Parsed {
    let added = f.action.eq_ignore_ascii_case(b"add");
    let change = match f.cfgpath {
        b"system.admin" if added => Change::AdminCreated,
        b"system.admin" => Change::RoleGranted,
        b"user.local" if added => Change::LocalUserCreated,
        b"user.group" | b"user.peer" => Change::GroupAdded,
        b"firewall.policy"
        | b"vpn.ssl.settings"
        | b"vpn.ssl.web.portal"
        | b"vpn.ipsec.phase1-interface"
        | b"user.radius"
        | b"user.ldap"
        | b"user.saml" => Change::PolicyChanged,
        p if p.starts_with(b"log.") => Change::LoggingStopped,
        _ => Change::ConfigChanged,
    };
    let ui_ip = kv::between(f.ui, b"(", b")").unwrap_or_default();
    out.event(Act::Config, Outcome::Success)
        .at(f.when(r))
        .service(Service::Management)
        .change(change)
        .user(f.user)
        .source(ui_ip)
        .target(f.cfgobj)
        .detail(f.cfgpath)
        .group(f.cfgattr)
        .observer(f.observer(r))
        .flag(Flags::PRIVILEGED)
        .done()
}

fn outcome(status: &[u8]) -> Outcome {
    match status {
        b"success" => Outcome::Success,
        b"failed" | b"failure" | b"fail" | b"error" => Outcome::Failure,
        _ => Outcome::Unknown,
    }
}

fn reason(text: &[u8]) -> Reason {
    let has = |needle: &[u8]| find(text, needle).is_some();
    match text {
        b"" | b"N/A" => Reason::None,
        _ if has(b"unknown_user") || has(b"name_invalid") => Reason::NoUser,
        _ if has(b"permission_denied") || has(b"passwd_invalid") || has(b"password") => Reason::BadPassword,
        _ if has(b"cert") => Reason::Certificate,
        _ if has(b"exceed") || has(b"lock") => Reason::Locked,
        _ => Reason::Other,
    }
}

fn end_reason(text: &[u8]) -> Reason {
    let has = |needle: &[u8]| find(text, needle).is_some();
    if has(b"idle") || has(b"timeout") {
        Reason::Idle
    } else if has(b"User requested") || has(b"logout") {
        Reason::Logout
    } else if has(b"lost") || has(b"DTLS") {
        Reason::ConnectionLost
    } else {
        Reason::Other
    }
}
