//! Check Point: Remote Access and Mobile Access, SmartConsole administration, firewall connections.
//!
//! Read from: Check Point Logging and Monitoring Administration Guide; Log Exporter (sk122323); Log Fields Description
//! (sk144192). Shapes of Log Exporter: syslog (`[action:"Accept"; time:"…"; …]`), RFC 5424 (`[sc4s@2620 action="Accept" …]`), CEF, LEEF,
//! Splunk (`time=…|product=…|…`). Traps: keys come twice (`cs2Label`, `layer_name`, `duser` of source and destination); a person's field is
//! `Anna Fock (anna)` and the account stands in the brackets; a failed login is an action of its own in one version and a
//! status in another; site-to-site keys are no logins; the service account of the API logs in every few minutes.

use crate::decode::clock;
use crate::decode::find::find;
use crate::decode::kv::{self, number};
use crate::emit::{Emit, EventBuilder};
use crate::firewall::asa_traffic::worth;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Change, Flags, Mfa, Outcome, Reason, Service};
use portreeve_model::time::Certainty;
use portreeve_model::{EventTime, Ip};

pub static SOURCE: Source = Source {
    name: "check_point",
    title: "Check Point (Remote Access, Mobile Access, SmartConsole, firewall)",
    row: Row::Vpn,
    gives: &[
        Act::Auth,
        Act::Mfa,
        Act::SessionStart,
        Act::IpAssign,
        Act::SessionResume,
        Act::SessionEnd,
        Act::Admin,
        Act::Config,
        Act::Account,
        Act::Flow,
        Act::Alert,
    ],
    lacks: &[Field::Bytes],
    traps: &["keys_twice", "account_in_brackets", "failed_by_status", "site_to_site", "every_format"],
    manual: "Check Point Log Exporter (sk122323); Log Fields Description (sk144192)",
    enable: "Log Exporter on the management or log server (cp_log_export add … format syslog, cef, leef or splunk), read-mode semi-unified; Remote Access and Mobile Access blades log by themselves, rules with Track: Log",
    general: false,
    marks: &["ifdir", "loguid", " CheckPoint ", "Check Point|", "originsicname", "|product="],
    reader: Reader::Code { claim: |r| layout(r).is_some(), parse, join: None },
};

#[derive(Clone, Copy, PartialEq)]
enum Layout {
    /// `key:"value"; `.
    Colons,
    /// `key="value" `.
    Pairs,
    Cef,
    Leef,
    /// `key=value|`.
    Bars,
}

fn layout(r: &Record<'_>) -> Option<Layout> {
    let head = &r.raw[..r.raw.len().min(700)];
    if r.shape == Shape::Leef {
        return find(&r.body[..r.body.len().min(40)], b"|Check Point|").map(|_| Layout::Leef);
    }
    // The first field may be empty, the prefix lost or followed by a blank.
    if find(&r.body[..r.body.len().min(40)], b"|Check Point|").is_some() {
        return Some(Layout::Cef);
    }
    let has = |mark: &[u8]| find(head, mark).is_some();
    if has(b" CheckPoint ") && has(b"[action:\"")
        || has(b" ifdir:\"") && (has(b" origin:\"") || has(b" loguid:\""))
    {
        return Some(Layout::Colons);
    }
    if (has(b" ifdir=\"") && has(b" origin=\"")) || (has(b"2620 ") && has(b" service_id=\"")) {
        return Some(Layout::Pairs);
    }
    let bars = has(b"|product=")
        && (has(b"|origin=") || has(b"|loguid=") || has(b"|ifdir=") || has(b"|originsicname="));
    bars.then_some(Layout::Bars)
}

#[derive(Default)]
struct Fields<'a> {
    action: &'a [u8],
    time: &'a [u8],
    product: &'a [u8],
    origin: &'a [u8],
    src: &'a [u8],
    dst: &'a [u8],
    sport: &'a [u8],
    dport: &'a [u8],
    user: &'a [u8],
    src_user: &'a [u8],
    administrator: &'a [u8],
    operation: &'a [u8],
    subject: &'a [u8],
    audit_status: &'a [u8],
    info: &'a [u8],
    client_ip: &'a [u8],
    object: &'a [u8],
    object_type: &'a [u8],
    changes: &'a [u8],
    event_type: &'a [u8],
    status: &'a [u8],
    auth_status: &'a [u8],
    auth_method: &'a [u8],
    auth_method2: &'a [u8],
    factor: &'a [u8],
    reason: &'a [u8],
    office_ip: &'a [u8],
    client: &'a [u8],
    device: &'a [u8],
    session: &'a [u8],
    group: &'a [u8],
    scheme: &'a [u8],
    identity: &'a [u8],
    duration: &'a [u8],
    client_in: &'a [u8],
    client_out: &'a [u8],
    severity: &'a [u8],
    protection: &'a [u8],
}

impl<'a> Fields<'a> {
    fn set(&mut self, key: &[u8], value: &'a [u8]) {
        let slot = match key {
            b"action" | b"act" => &mut self.action,
            b"time" | b"rt" | b"devTime" => &mut self.time,
            b"product" | b"ProductName" => &mut self.product,
            b"origin" => &mut self.origin,
            b"src" => &mut self.src,
            b"dst" => &mut self.dst,
            b"s_port" | b"spt" | b"srcPort" | b"sport_svc" => &mut self.sport,
            b"service" | b"dpt" | b"dstPort" | b"svc" => &mut self.dport,
            b"user" | b"User" | b"usrName" => &mut self.user,
            b"src_user_name" | b"suser" => &mut self.src_user,
            b"administrator" => &mut self.administrator,
            b"operation" => &mut self.operation,
            b"subject" => &mut self.subject,
            b"audit_status" => &mut self.audit_status,
            b"additional_info" => &mut self.info,
            b"client_ip" => &mut self.client_ip,
            b"objectname" => &mut self.object,
            b"objecttype" => &mut self.object_type,
            b"fieldschanges" => &mut self.changes,
            b"event_type" => &mut self.event_type,
            b"status" | b"outcome" => &mut self.status,
            b"auth_status" => &mut self.auth_status,
            b"auth_method" => &mut self.auth_method,
            b"auth_method2" => &mut self.auth_method2,
            b"failed_login_factor_num" => &mut self.factor,
            b"reason" => &mut self.reason,
            b"office_mode_ip" | b"assigned_IP" => &mut self.office_ip,
            b"client_name" => &mut self.client,
            b"src_machine_name" | b"hostname" if self.device.is_empty() && !value.is_empty() => {
                &mut self.device
            }
            b"device_identification" => &mut self.device,
            b"session_uid" => &mut self.session,
            b"user_group" | b"login_option" => &mut self.group,
            b"scheme" => &mut self.scheme,
            b"identity_src" => &mut self.identity,
            b"duration" => &mut self.duration,
            b"client_inbound_bytes" => &mut self.client_in,
            b"client_outbound_bytes" => &mut self.client_out,
            b"severity" | b"cp_severity" => &mut self.severity,
            b"protection_name" | b"attack" => &mut self.protection,
            _ => return,
        };
        // Of a key that comes twice the first counts: it is the source's, or the first layer's.
        if slot.is_empty() {
            *slot = value;
        }
    }

    fn when(&self, r: &Record<'_>) -> Option<(EventTime, Certainty)> {
        clock::epoch(self.time).map(|t| (t, Certainty::Exact)).or_else(|| r.header_time())
    }
}

fn fields<'a>(r: &Record<'a>, layout: Layout) -> Fields<'a> {
    let mut f = Fields::default();
    match layout {
        Layout::Colons => {
            let from = find(r.raw, b"[action:\"")
                .or_else(|| find(r.raw, b":\""))
                .map_or(0, |n| r.raw[..n].iter().rposition(|b| *b == b'[').unwrap_or(n));
            kv::colon_pairs(&r.raw[from..]).for_each(|(k, v)| f.set(k, v));
        }
        Layout::Pairs => {
            let from = memchr::memchr(b'[', r.raw).unwrap_or(0);
            kv::pairs(&r.raw[from..]).for_each(|(k, v)| f.set(k, v));
        }
        Layout::Cef => {
            let rest = find(r.body, b"|Check Point|").map_or(&b""[..], |n| &r.body[n + 13..]);
            let mut parts = rest.splitn(6, |b| *b == b'|');
            let product = parts.next().unwrap_or_default();
            if let Some(extension) = parts.nth(4) {
                kv::cef_pairs(extension).for_each(|(k, v)| f.set(k, v));
            }
            f.set(b"product", product);
        }
        Layout::Leef => {
            // Version 2.0 without the delimiter that this version allows to name.
            let mut head = r.body.splitn(6, |b| *b == b'|');
            let (product, action) = (head.nth(2).unwrap_or_default(), head.nth(1).unwrap_or_default());
            let attributes = head.next().unwrap_or_default();
            kv::leef_pairs(attributes, b'\t')
                .for_each(|(k, v)| f.set(k.rsplit(|b| *b == b'|').next().unwrap_or(k), v));
            f.set(b"product", product);
            f.set(b"action", action);
        }
        Layout::Bars => {
            for part in r.body.split(|b| *b == b'|') {
                if let Some(eq) = memchr::memchr(b'=', part) {
                    // The log server's own name is not the client's.
                    let key = part[..eq].trim_ascii();
                    if key != b"hostname" {
                        f.set(key, part[eq + 1..].trim_ascii());
                    }
                }
            }
        }
    }
    f
}

/// `Anna Fock (anna)`: the account is in the last brackets.
fn account(user: &[u8]) -> &[u8] {
    let user = user.trim_ascii();
    match user.strip_suffix(b")").and_then(|u| Some((u, memchr::memrchr(b'(', u)?))) {
        Some((u, open)) if open > 0 && open + 1 < u.len() => u[open + 1..].trim_ascii(),
        _ => user,
    }
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some(layout) = layout(r) else { return Parsed::NotMine };
    let f = fields(r, layout);
    if f.action.is_empty() && f.product.is_empty() && f.operation.is_empty() {
        if f.src.is_empty() && f.time.is_empty() {
            return Parsed::Broken(Why::Missing("action"));
        }
        return Parsed::Irrelevant(Kind::OtherMessage);
    }
    if !f.operation.is_empty() && (!f.administrator.is_empty() || !f.subject.is_empty()) {
        return audit(r, &f, out);
    }
    match f.action {
        b"Log In" | b"Failed Log In" | b"Log Out" | b"Update" | b"ip changed" | b"Authorize"
        | b"authcrypt" | b"Authcrypt" | b"authorize" => return access(r, &f, out),
        b"Key Install" | b"keyinst" => return Parsed::Irrelevant(Kind::Transport),
        _ => {}
    }
    if matches!(f.event_type, b"Login" | b"Logout") {
        return access(r, &f, out);
    }
    let has = |text: &[u8], words: &[u8]| find(text, words).is_some();
    let refused = matches!(f.action, b"Reject" | b"reject" | b"Drop" | b"Block");
    if refused
        && !f.user.is_empty()
        && (has(f.reason, b"ser name or password") || has(f.reason, b"uthentication") || f.scheme == b"IKE")
    {
        return failed(r, &f, out);
    }
    if !f.protection.is_empty()
        || matches!(
            f.product,
            b"SmartDefense"
                | b"Anti Malware"
                | b"Anti-Bot"
                | b"New Anti Virus"
                | b"Anti-Virus"
                | b"Threat Emulation"
                | b"IPS"
        )
    {
        return alert(r, &f, out);
    }
    flow(r, &f, out)
}

fn base<'e>(event: EventBuilder<'e>, r: &Record<'_>, f: &Fields<'_>) -> EventBuilder<'e> {
    let user = if f.user.is_empty() { f.src_user } else { f.user };
    event
        .at(f.when(r))
        .service(Service::Vpn)
        .user(account(user))
        .source(f.src)
        .group(f.group)
        .client(f.client)
        .device(f.device)
        .sid(f.session)
        .observer(if f.origin.is_empty() { r.host() } else { f.origin })
}

fn access(r: &Record<'_>, f: &Fields<'_>, out: &mut Emit<'_>) -> Parsed {
    let has = |text: &[u8], words: &[u8]| find(text, words).is_some();
    if f.product == b"Identity Awareness" {
        // Tells what the gateway's own record of the login tells, or who is logged on to which host inside.
        if has(f.identity, b"Remote Access")
            || has(f.identity, b"Mobile")
            || f.action != b"Log In"
            || f.src.is_empty()
        {
            return Parsed::Irrelevant(Kind::Repeats);
        }
        let failed = has(f.auth_status, b"ail");
        return base(out.event(Act::Auth, if failed { Outcome::Failure } else { Outcome::Success }), r, f)
            .service(Service::Firewall)
            .reason(if failed { reason(f.reason) } else { Reason::None })
            .done();
    }
    if f.action == b"Log Out" || f.event_type == b"Logout" {
        let why = if has(f.reason, b"imeout") || has(f.reason, b"xpired") {
            Reason::Timeout
        } else if has(f.reason, b"dle") {
            Reason::Idle
        } else if has(f.reason, b"dministrator") {
            Reason::ByAdmin
        } else {
            Reason::Logout
        };
        return base(out.event(Act::SessionEnd, Outcome::Success), r, f)
            .tunnel(f.office_ip)
            .reason(why)
            .duration_s(u32::try_from(number(f.duration)).unwrap_or(u32::MAX))
            .bytes(number(f.client_in), number(f.client_out))
            .done();
    }
    let bad = f.action == b"Failed Log In"
        || has(f.status, b"ail")
        || has(f.auth_status, b"ail")
        || (f.status.is_empty() && has(f.reason, b"ccess denied"));
    if bad {
        return failed(r, f, out);
    }
    if matches!(f.action, b"Update" | b"ip changed") {
        if f.office_ip.is_empty() {
            return Parsed::Irrelevant(Kind::Housekeeping);
        }
        let act = if f.action == b"ip changed" { Act::SessionResume } else { Act::IpAssign };
        return base(out.event(act, Outcome::Success), r, f).tunnel(f.office_ip).done();
    }
    let act = if f.office_ip.is_empty() { Act::SessionStart } else { Act::IpAssign };
    base(out.event(act, Outcome::Success), r, f)
        .tunnel(f.office_ip)
        .detail(f.auth_method)
        .mfa(if f.auth_method2.is_empty() || f.auth_method2 == b"N/A" { Mfa::Unknown } else { Mfa::Yes })
        .done()
}

fn failed(r: &Record<'_>, f: &Fields<'_>, out: &mut Emit<'_>) -> Parsed {
    // The second of the factors that the login option asks for: the first was right.
    let second = number(f.factor) >= 2;
    let act = if second { Act::Mfa } else { Act::Auth };
    base(out.event(act, Outcome::Failure), r, f)
        .reason(if second { Reason::MfaFailed } else { reason(f.reason) })
        .detail(f.reason)
        .done()
}

fn reason(text: &[u8]) -> Reason {
    let has = |words: &[u8]| find(text, words).is_some();
    if has(b"ocked") {
        Reason::Locked
    } else if has(b"xpired") {
        Reason::Expired
    } else if has(b"isabled") {
        Reason::Disabled
    } else if has(b"user name or password") || has(b"assword") || has(b"redential") {
        Reason::BadPassword
    } else if has(b"nknown user") || has(b"is unknown") || has(b"not found") {
        Reason::NoUser
    } else if has(b"ertificate") {
        Reason::Certificate
    } else if has(b"ompliance") || has(b"not compliant") {
        Reason::Posture
    } else if has(b"not authorized") || has(b"not allowed") || has(b"not a member") {
        Reason::NotAllowed
    } else {
        Reason::Other
    }
}

/// SmartConsole, the API, Gaia's portal and shell: who logged in, who changed what.
fn audit(r: &Record<'_>, f: &Fields<'_>, out: &mut Emit<'_>) -> Parsed {
    let has = |text: &[u8], words: &[u8]| find(text, words).is_some();
    let bad = has(f.audit_status, b"ail") || has(f.info, b"failed to log in");
    let outcome = if bad { Outcome::Failure } else { Outcome::Success };
    let base = |event: EventBuilder<'_>| {
        // The API's own account serves the management server itself.
        let machine = f.administrator == b"WEB_API" || f.administrator == b"localhost";
        set(event, r, f).flag_if(machine, Flags::MACHINE).done()
    };
    match f.operation {
        b"Log In" => {
            let event = out
                .event(Act::Admin, outcome)
                .client(f.product)
                .reason(if bad { reason(f.info) } else { Reason::None })
                .flag_if(!bad, Flags::PRIVILEGED);
            return base(event);
        }
        b"Log Out" | b"Publish" | b"IPS Update" => return Parsed::Irrelevant(Kind::OtherMessage),
        op if op.ends_with(b"Update") => return Parsed::Irrelevant(Kind::Housekeeping),
        _ => {}
    }
    if matches!(f.administrator, b"System" | b"Scheduled system update" | b"") {
        return Parsed::Irrelevant(Kind::Machine);
    }
    let (created, deleted) = (f.operation.starts_with(b"Create"), f.operation.starts_with(b"Delete"));
    let detail = if f.changes.trim_ascii().is_empty() { f.operation } else { f.changes };
    let person = has(f.object_type, b"dministrator");
    if person || f.object_type == b"User" || has(f.object_type, b"User Template") {
        let change = match (created, deleted) {
            (true, _) if person => Change::AdminCreated,
            (true, _) => Change::LocalUserCreated,
            (_, true) => Change::AccountDeleted,
            _ if has(f.changes, b"assword") => Change::PasswordReset,
            _ => Change::RoleGranted,
        };
        return base(out.event(Act::Account, outcome).change(change).target(f.object).detail(detail));
    }
    let change = if has(f.object_type, b"Rule")
        || f.operation == b"Install Policy"
        || has(f.object_type, b"Gateway")
        || has(f.object_type, b"VPN")
    {
        Change::PolicyChanged
    } else if has(f.object_type, b"Log Exporter") && deleted {
        Change::LoggingStopped
    } else {
        Change::ConfigChanged
    };
    base(
        out.event(Act::Config, outcome)
            .change(change)
            .target(f.object)
            .detail(detail)
            .flag(Flags::PRIVILEGED),
    )
}

fn set<'e>(event: EventBuilder<'e>, r: &Record<'_>, f: &Fields<'_>) -> EventBuilder<'e> {
    event
        .at(f.when(r))
        .service(Service::Management)
        .user(f.administrator)
        .source(f.client_ip)
        .observer(if f.origin.is_empty() { r.host() } else { f.origin })
}

fn alert(r: &Record<'_>, f: &Fields<'_>, out: &mut Emit<'_>) -> Parsed {
    let severity = match f.severity {
        b"4" | b"Critical" | b"Very-High" => 5,
        b"3" | b"High" => 4,
        b"2" | b"Medium" => 3,
        _ => return Parsed::Irrelevant(Kind::OtherMessage),
    };
    let stopped = matches!(f.action, b"Prevent" | b"Block" | b"Drop" | b"Reject");
    base(out.event(Act::Alert, if stopped { Outcome::Failure } else { Outcome::Success }), r, f)
        .service(Service::Firewall)
        .destination(f.dst)
        .severity(severity)
        .detail(if f.protection.is_empty() { f.product } else { f.protection })
        .done()
}

fn flow(r: &Record<'_>, f: &Fields<'_>, out: &mut Emit<'_>) -> Parsed {
    let (src, dst) = (Ip::parse(f.src), Ip::parse(f.dst));
    if src.is_none() || dst.is_none() {
        return Parsed::Irrelevant(Kind::OtherMessage);
    }
    let allowed =
        !matches!(f.action, b"Drop" | b"Reject" | b"Block" | b"Prevent" | b"drop" | b"reject" | b"block");
    let dport = u16::try_from(number(f.dport)).unwrap_or(0);
    if let Some(kind) = worth(src, dst, dport, allowed) {
        return Parsed::Irrelevant(kind);
    }
    let user = if f.user.is_empty() { f.src_user } else { f.user };
    out.event(Act::Flow, if allowed { Outcome::Success } else { Outcome::Failure })
        .at(f.when(r))
        .service(Service::Firewall)
        .source_ip(src)
        .source_port(u16::try_from(number(f.sport)).unwrap_or(0))
        .destination_ip(dst)
        .destination_port(dport)
        .user(account(user))
        .bytes(number(f.client_in), number(f.client_out))
        .observer(if f.origin.is_empty() { r.host() } else { f.origin })
        .done()
}
