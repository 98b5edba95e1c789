//! FortiGate: SSL and IPsec VPN, administration, configuration, user authentication.
//!
//! Read from: FortiOS Log Message Reference; FortiOS Administration Guide, "ZTNA logging". Traps: 39426 is a failed login
//! and 39943 only a connection, so the action and status decide and never the number alone; `eventtime` is nanoseconds
//! since 6.2 and seconds before; `user="N/A"` is nobody; statistics repeat cumulative bytes; CEF comes in two prefixes and
//! with `CEF:` lost; a failed negotiation between sites is nobody's failed login.

use crate::decode::clock::{self, Clock, Stamp};
use crate::decode::find::find;
use crate::decode::json::Paths;
use crate::decode::kv;
use crate::emit::{Emit, EventBuilder};
use crate::record::{Record, Shape};
use crate::source::{Kind, Parsed, Reader, Row, Source};
use portreeve_model::event::{Act, Change, Flags, Mfa, Outcome, Reason, Service};
use portreeve_model::time::Certainty;
use portreeve_model::{EventTime, Ip};
use std::sync::LazyLock;

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
        Act::Posture,
        Act::Alert,
    ],
    lacks: &[],
    traps: &[
        "ssl_login_fail_39426",
        "new_connection_is_no_login",
        "statistics",
        "cef",
        "sites_are_no_logins",
        "factor_switched_off",
    ],
    manual: "FortiOS Log Message Reference (event: vpn, user, system)",
    enable: "config log syslogd setting; set status enable; set format default (or cef); event logging for vpn, system and user",
    general: false,
    marks: &["logid=", "logdesc=", "typeid=", "ortigate|", "\"logid\""],
    reader: Reader::Code { claim: |r| is_fortigate(r) && !is_traffic(r), parse, join: None },
};

pub(crate) fn is_fortigate(r: &Record<'_>) -> bool {
    match r.shape {
        Shape::Text => {
            let head = &r.body[..r.body.len().min(400)];
            let has = |key: &[u8]| find(head, key).is_some();
            let own = (has(b"logid=") || has(b"logdesc=")) && (has(b"devid=") || has(b"vd="));
            own && has(b"type=") || has(b"|Fortigate|") || has(b"subcategory=\"") && has(b"typeid=")
        }
        // FortiAnalyzer and FortiGate Cloud.
        Shape::Json => {
            let head = &r.body[..r.body.len().min(2_000)];
            let has = |key: &[u8]| find(head, key).is_some();
            has(b"\"logid\"") && has(b"\"subtype\"") && (has(b"\"devid\"") || has(b"\"vd\""))
        }
        Shape::Cef => find(&r.body[..r.body.len().min(60)], b"|Fortinet|Fortigate|").is_some(),
        _ => false,
    }
}

pub(crate) fn is_traffic(r: &Record<'_>) -> bool {
    let head = &r.body[..r.body.len().min(500)];
    match r.shape {
        Shape::Text => {
            [&b"type=\"traffic\""[..], b"type=traffic", b"|traffic:"].iter().any(|t| find(head, t).is_some())
        }
        Shape::Json => {
            let head = &r.body[..r.body.len().min(2_000)];
            find(head, b"\"type\":\"traffic\"").or_else(|| find(head, b"\"type\": \"traffic\"")).is_some()
        }
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
    /// Who the firewall believes sits there, unasked.
    pub(crate) unauthuser: &'a [u8],
    pub(crate) hostname: &'a [u8],
    pub(crate) accessproxy: &'a [u8],
    pub(crate) clientdeviceid: &'a [u8],
    pub(crate) attack: &'a [u8],
    pub(crate) severity: &'a [u8],
    pub(crate) result: &'a [u8],
}

/// Names of the fields of a JSON record.
const KEYS: [&str; 44] = [
    "date",
    "time",
    "eventtime",
    "timestamp",
    "tz",
    "devname",
    "logid",
    "type",
    "subtype",
    "action",
    "status",
    "reason",
    "user",
    "xauthuser",
    "remip",
    "srcip",
    "userip",
    "srcport",
    "dstip",
    "dstport",
    "tunnelip",
    "assignip",
    "tunneltype",
    "tunnelid",
    "group",
    "fctuid",
    "duration",
    "sentbyte",
    "rcvdbyte",
    "srccountry",
    "ui",
    "profile",
    "cfgpath",
    "cfgobj",
    "cfgattr",
    "msg",
    "agent",
    "unauthuser",
    "hostname",
    "accessproxy",
    "clientdeviceid",
    "attack",
    "severity",
    "virus",
];
static PATHS: LazyLock<Paths<{ KEYS.len() }>> = LazyLock::new(|| Paths::new(KEYS));

pub(crate) fn fields<'a>(r: &Record<'a>) -> Fields<'a> {
    let mut f = Fields::default();
    if r.shape == Shape::Json {
        if let Ok(values) = PATHS.pick(r.body) {
            for (key, value) in KEYS.iter().zip(values) {
                f.set(key.as_bytes(), value.bytes());
            }
        }
        return f;
    }
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
                    b"outcome" => b"status",
                    b"dhost" => b"hostname",
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
    // FortiAuthenticator writes its sentence behind the pairs, without a name.
    if f.msg.is_empty() && find(r.body, b"typeid=").is_some() {
        f.msg = memchr::memrchr(b'"', r.body)
            .and_then(|at| r.body.get(at + 1..))
            .unwrap_or_default()
            .trim_ascii();
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
            // FortiAuthenticator's own syslog has the other name.
            b"subtype" | b"subcategory" => &mut self.subtype,
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
            b"unauthuser" => &mut self.unauthuser,
            b"hostname" => &mut self.hostname,
            b"accessproxy" => &mut self.accessproxy,
            b"clientdeviceid" => &mut self.clientdeviceid,
            b"attack" | b"virus" => &mut self.attack,
            b"severity" => &mut self.severity,
            b"result" => &mut self.result,
            _ => return,
        };
        if slot.is_empty() && !matches!(value, b"N/A" | b"(null)") {
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
    let id = f.logid.get(f.logid.len().saturating_sub(5)..).unwrap_or_default();
    let ui_ip = kv::between(f.ui, b"(", b")").unwrap_or_default();
    let source =
        [f.remip, f.srcip, f.userip, ui_ip].into_iter().find(|ip| !ip.is_empty()).unwrap_or_default();
    let user = if f.xauthuser.is_empty() { f.user } else { f.xauthuser };
    match (f.subtype, f.action) {
        // Between sites nobody logs in.
        (b"vpn", b"tunnel-up" | b"tunnel-down") if user.is_empty() && f.tunneltype.starts_with(b"ipsec") => {
            Parsed::Irrelevant(Kind::Transport)
        }
        (b"vpn", b"tunnel-up") => {
            let tunnel = if f.tunnelip.is_empty() { f.assignip } else { f.tunnelip };
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
            let (sent, received) = (kv::number(f.sent), kv::number(f.received));
            let seconds = u32::try_from(kv::number(f.duration)).unwrap_or(u32::MAX);
            base(out.event(Act::SessionEnd, Outcome::Success), r, &f)
                .user(user)
                .source(source)
                .tunnel(if f.tunnelip.is_empty() { f.assignip } else { f.tunnelip })
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
        (b"vpn", b"negotiate") if matches!(f.status, b"failure" | b"negotiate_error") => {
            // Only where the extended authentication has named somebody was it a login.
            let act = if user.is_empty() { Act::Posture } else { Act::Auth };
            base(out.event(act, Outcome::Failure), r, &f)
                .user(user)
                .source(source)
                .reason(Reason::Other)
                .done()
        }
        (b"vpn", b"negotiate") => Parsed::Irrelevant(Kind::Transport),
        (b"vpn", _) => base(out.event(Act::Posture, Outcome::Unknown), r, &f)
            .user(user)
            .source(source)
            .detail(f.action)
            .done(),
        (b"system", b"login") => admin(r, &f, out),
        (b"system", _) if !f.cfgpath.is_empty() => config(r, &f, out),
        (b"system", b"logout") => Parsed::Irrelevant(Kind::OtherMessage),
        (b"system", b"backup" | b"backup-config" | b"download") if !f.user.is_empty() => out
            .event(Act::Config, Outcome::Success)
            .at(f.when(r))
            .service(Service::Management)
            .change(Change::ConfigExported)
            .user(f.user)
            .source(source)
            .detail(f.msg)
            .observer(f.observer(r))
            .flag(Flags::PRIVILEGED)
            .done(),
        (b"system", _) if matches!(id, b"32102") => Parsed::Irrelevant(Kind::Repeats),
        (b"rest-api", _) => Parsed::Irrelevant(Kind::RoutineUse),
        (b"user", b"authentication" | b"auth-logon" | b"FSSO-logon") => {
            base(out.event(Act::Posture, outcome(f.status)), r, &f)
                .user(f.user)
                .source(source)
                .reason(reason(f.reason))
                .done()
        }
        // FortiAuthenticator, speaking for the gateway that asked it.
        (b"Authentication", b"Authentication") => {
            let outcome = outcome(f.status);
            let failed = outcome == Outcome::Failure;
            let said = |words: &[u8]| find(f.msg, words).is_some();
            let token = !said(b"no token") && (said(b"oken") || said(b"push"));
            base(out.event(Act::Auth, outcome), r, &f)
                .service(Service::Radius)
                .user(f.user)
                .source(f.userip)
                .reason(match () {
                    () if !failed => Reason::None,
                    () if said(b"not found") => Reason::NoUser,
                    () if said(b"locked") => Reason::Locked,
                    () if said(b"disabled") => Reason::Disabled,
                    () if token => Reason::MfaFailed,
                    () => Reason::BadPassword,
                })
                .mfa(if token && outcome == Outcome::Success { Mfa::Yes } else { Mfa::Unknown })
                .flag_if(!failed, Flags::PRE_MFA)
                .flag_if(failed, Flags::REPEATS)
                .done()
        }
        // A device without its certificate, a rule that does not let in, a host that is not published.
        (b"ztna", _) => {
            let failed = matches!(f.action, b"blocked" | b"deny" | b"block");
            base(out.event(Act::Auth, if failed { Outcome::Failure } else { Outcome::Unknown }), r, &f)
                .service(Service::Ztna)
                .user(f.user)
                .source(source)
                .device(f.clientdeviceid)
                .group(f.accessproxy)
                .reason(if find(f.msg, b"ertificate").is_some() {
                    Reason::Certificate
                } else {
                    Reason::Policy
                })
                .detail(f.msg)
                .done()
        }
        (b"ips" | b"virus" | b"waf", _) if !f.attack.is_empty() => alert(r, &f, out),
        // What users looked at, allowed or not.
        (
            b"webfilter" | b"dns" | b"dns-query" | b"dns-response" | b"app-ctrl" | b"ssl" | b"anomaly"
            | b"dlp" | b"voip" | b"emailfilter" | b"file-filter" | b"ips" | b"virus" | b"waf" | b"cifs"
            | b"icap" | b"gtp",
            _,
        ) => Parsed::Irrelevant(Kind::Traffic),
        _ => {
            if f.user.is_empty() && source.is_empty() {
                return Parsed::Irrelevant(Kind::OtherMessage);
            }
            out.event(Act::Posture, Outcome::Unknown)
                .at(f.when(r))
                .service(Service::Firewall)
                .user(f.user)
                .source(source)
                .device(f.fctuid)
                .detail(f.action)
                .observer(f.observer(r))
                .done()
        }
    }
}

fn alert(r: &Record<'_>, f: &Fields<'_>, out: &mut Emit<'_>) -> Parsed {
    let stopped = [&b"block"[..], b"drop", b"reset", b"deny"].iter().any(|w| f.action.starts_with(w));
    let severity = match f.severity {
        b"critical" => 5,
        b"high" => 4,
        b"medium" => 3,
        b"low" => 2,
        b"info" | b"information" => 1,
        // A virus has none.
        _ => 4,
    };
    out.event(Act::Alert, if stopped { Outcome::Failure } else { Outcome::Unknown })
        .at(f.when(r))
        .service(Service::Firewall)
        .user(f.user)
        .source(f.srcip)
        .destination(f.dstip)
        .destination_port(u16::try_from(kv::number(f.dstport)).unwrap_or(0))
        .detail(f.attack)
        .severity(severity)
        .observer(f.observer(r))
        .done()
}

fn base<'e>(event: EventBuilder<'e>, r: &Record<'_>, f: &Fields<'_>) -> EventBuilder<'e> {
    event
        .at(f.when(r))
        .service(Service::Vpn)
        .group(f.group)
        .device(f.fctuid)
        // 0 where there is no tunnel yet.
        .sid(if f.tunnelid == b"0" { b"" } else { f.tunnelid })
        .client(f.agent)
        .observer(f.observer(r))
}

fn admin(r: &Record<'_>, f: &Fields<'_>, out: &mut Emit<'_>) -> Parsed {
    // `ui="https(192.0.2.9)"`, `ui="jsconsole(127.0.0.1)"`, `ui="ssh(…)"`.
    let ui_ip = kv::between(f.ui, b"(", b")").unwrap_or_default();
    // A login that is shut out names the address alone.
    let source = [f.srcip, ui_ip, f.ui].into_iter().find(|ip| Ip::parse(ip).is_some()).unwrap_or_default();
    let method = if Ip::parse(f.ui).is_some() {
        &b""[..]
    } else {
        f.ui.get(..memchr::memchr(b'(', f.ui).unwrap_or(f.ui.len())).unwrap_or_default()
    };
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
    let attribute = |name: &[u8]| kv::between(f.cfgattr, name, b"]");
    // `two-factor[fortitoken->disable]`, `status[enable->disable]`, `allowaccess[ping->ping https]`.
    let becomes = |name: &[u8], end: &[u8]| attribute(name).is_some_and(|a| a.ends_with(end));
    let person = matches!(f.cfgpath, b"system.admin" | b"user.local");
    let change = match f.cfgpath {
        _ if person && becomes(b"two-factor[", b"->disable") => Change::FactorRemoved,
        _ if person && attribute(b"two-factor[disable->").is_some() => Change::FactorEnrolled,
        _ if person && !added && attribute(b"passwd[").or_else(|| attribute(b"password[")).is_some() => {
            Change::PasswordReset
        }
        b"system.interface" if attribute(b"allowaccess[").is_some() => Change::Exposed,
        b"firewall.vip" | b"firewall.access-proxy" if added => Change::Exposed,
        b"system.admin" if f.action.eq_ignore_ascii_case(b"delete") => Change::AccountDeleted,
        b"user.local" if f.action.eq_ignore_ascii_case(b"delete") => Change::AccountDeleted,
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
        p if p.starts_with(b"log.")
            && (find(f.cfgattr, b"disable]").is_some()
                || attribute(b"server[").is_some()
                || f.action.eq_ignore_ascii_case(b"delete")) =>
        {
            Change::LoggingStopped
        }
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
    if [&b"success"[..], b"Success", b"logon"].contains(&status) {
        Outcome::Success
    } else if [&b"failed"[..], b"failure", b"fail", b"error", b"Failed", b"Failure", b"timed-out"]
        .contains(&status)
    {
        Outcome::Failure
    } else {
        Outcome::Unknown
    }
}

fn reason(text: &[u8]) -> Reason {
    let has = |needle: &[u8]| find(text, needle).is_some();
    match text {
        b"" | b"N/A" | b"none" => Reason::None,
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
