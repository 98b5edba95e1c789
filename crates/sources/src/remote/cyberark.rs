//! CyberArk: Digital Vault with PVWA and PSM by syslog (CEF, LEEF, the vendor's own), Threat Analytics, and the Audit
//! service of Privilege Cloud and Identity.
//!
//! Read from: CyberArk "Vault audit action codes", "Integrate with SIEM", "Audit event data". Traps: values may stand in
//! quotes; the components log on by themselves all day; with PSM the station is the session server and only the extra
//! details name the user's own machine; the name of an action says `Failure:` where its number does not.

use super::{seconds, stamped};
use crate::decode::find::find;
use crate::decode::json::Paths;
use crate::decode::kv::{after, cef, cef_pairs, cef_unescape, leef, leef_pairs, number};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Change, Flags, Mfa, Outcome, Reason, Service};
use portreeve_model::time::{Certainty, EventTime};
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "cyberark",
    title: "CyberArk Vault, PSM and Audit service",
    row: Row::Remote,
    gives: &[
        Act::Auth,
        Act::Mfa,
        Act::SessionStart,
        Act::SessionEnd,
        Act::Posture,
        Act::Account,
        Act::Config,
        Act::Exec,
        Act::Alert,
    ],
    lacks: &[Field::TunnelIp, Field::Device, Field::Bytes],
    traps: &["components", "station_and_client", "quoted_values"],
    manual: "CyberArk: Vault audit action codes; Integrate with SIEM; Audit service event data",
    enable: "[SYSLOG] in DBParm.ini of the Vault with a translator file; for Privilege Cloud the Audit service's SIEM integration",
    general: false,
    marks: &["|Cyber-Ark|", "|CyberArk|", "%CYBERARK:", "\"auditCode\""],
    reader: Reader::Code { claim, parse, join: None },
};

fn claim(r: &Record<'_>) -> bool {
    let head = r.body.get(..r.body.len().min(60)).unwrap_or_default();
    match r.shape {
        Shape::Cef | Shape::Leef => {
            find(head, b"|Cyber-Ark|").is_some() || find(head, b"|CyberArk|").is_some()
        }
        Shape::Json => {
            find(r.body, b"\"auditCode\"").is_some() && find(r.body, b"\"applicationCode\"").is_some()
        }
        _ => find(head, b"%CYBERARK: ").is_some(),
    }
}

/// One audit record, whichever shape it came in.
#[derive(Default)]
struct Audit<'a> {
    code: u64,
    action: &'a [u8],
    user: &'a [u8],
    /// The station from which the action came.
    source: &'a [u8],
    /// Where the user sat, if a session server says.
    client: &'a [u8],
    /// The affected user of the Vault.
    target: &'a [u8],
    /// The account that was used on the target machine.
    account: &'a [u8],
    host: &'a [u8],
    session: &'a [u8],
    protocol: &'a [u8],
    safe: &'a [u8],
    file: &'a [u8],
    reason: &'a [u8],
    extra: &'a [u8],
    stamp: &'a [u8],
    severity: &'a [u8],
}

impl<'a> Audit<'a> {
    fn take(&mut self, key: &[u8], value: &'a [u8]) {
        let value = value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value);
        let to = match key {
            b"act" | b"Action" | b"Message" | b"Desc" => &mut self.action,
            b"suser" | b"usrName" | b"Issuer" => &mut self.user,
            b"src" | b"Station" => &mut self.source,
            b"shost" => &mut self.client,
            b"cs1" | b"TargetUser" | b"SourceUser" => &mut self.target,
            b"duser" | b"UserName" => &mut self.account,
            b"dhost" | b"Address" => &mut self.host,
            b"externalId" | b"PSMSessionID" => &mut self.session,
            b"app" => &mut self.protocol,
            b"cs2" | b"Safe" => &mut self.safe,
            b"fname" | b"File" => &mut self.file,
            b"reason" | b"Reason" => &mut self.reason,
            b"cs5" | b"ExtraDetails" => &mut self.extra,
            b"rt" | b"start" => &mut self.stamp,
            b"sev" | b"Severity" => &mut self.severity,
            _ => return,
        };
        if to.is_empty() {
            *to = value;
        }
    }

    /// What only the extra details say: `DstHost=…;Protocol=…;SessionID=…;SrcHost=…`.
    fn details(&mut self) {
        for part in self.extra.split(|b| *b == b';') {
            let Some(eq) = memchr::memchr(b'=', part) else { continue };
            let (key, value) = (part.get(..eq).unwrap_or_default(), part.get(eq + 1..).unwrap_or_default());
            match key.trim_ascii() {
                b"DstHost" => self.host = value,
                b"SrcHost" => self.client = value,
                b"SessionID" if self.session.is_empty() => self.session = value,
                b"Protocol" if self.protocol.is_empty() => self.protocol = value,
                _ => {}
            }
        }
    }

    /// The user's own address: the station's, unless only the other one came from outside.
    fn from(&self) -> &'a [u8] {
        let (station, client) = (Ip::parse(self.source), Ip::parse(self.client));
        if station.is_none() || station.is_private() && client.is_public() {
            self.client
        } else {
            self.source
        }
    }
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let mut a = Audit::default();
    match r.shape {
        Shape::Json => return service(r, out),
        Shape::Cef => {
            let Some((head, extension)) = cef(r.body) else {
                return Parsed::Broken(Why::Missing("extension"));
            };
            if head[2] == b"PTA" {
                return threat(r, head[5], head[6], extension, out);
            }
            (a.code, a.action) = (number(head[4]), head[5]);
            for (key, value) in cef_pairs(extension) {
                // The number's name says more than the action does where a login failed.
                if key != b"act" {
                    a.take(key, value);
                }
            }
        }
        Shape::Leef => {
            let Some((head, separator, attributes)) = leef(r.body) else {
                return Parsed::Broken(Why::Missing("attributes"));
            };
            // Some translators put `sev=6` before the first tab.
            a.code = number(head[3]);
            for (key, value) in leef_pairs(attributes, separator) {
                a.take(key, value);
            }
        }
        _ => {
            let Some(text) = after(r.body, b"%CYBERARK: ", b"") else { return Parsed::NotMine };
            for part in (Quoted { rest: text }) {
                if part.0 == b"MessageID" {
                    a.code = number(part.1);
                }
                a.take(part.0, part.1);
            }
        }
    }
    a.details();
    vault(r, &a, out)
}

/// `key="value";key="value"`; values may hold semicolons.
struct Quoted<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Quoted<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let text = self.rest;
        let eq = memchr::memchr(b'=', text)?;
        let key = text.get(..eq)?.rsplit(|b| matches!(b, b';' | b' ')).next()?;
        let value = text.get(eq + 1..)?;
        let (value, used) = match value.strip_prefix(b"\"") {
            Some(inner) => {
                let end = find(inner, b"\";").or_else(|| memchr::memrchr(b'"', inner)).unwrap_or(inner.len());
                (inner.get(..end)?, end + 2)
            }
            None => {
                let end = memchr::memchr(b';', value).unwrap_or(value.len());
                (value.get(..end)?, end)
            }
        };
        self.rest = text.get(eq + 1 + used..).unwrap_or_default();
        Some((key, value))
    }
}

/// The product's own services.
fn component(user: &[u8]) -> bool {
    const NAMES: [&[u8]; 15] = [
        b"PasswordManager",
        b"PVWAApp",
        b"PVWAGW",
        b"PSMApp",
        b"PSMPApp",
        b"PSMGw",
        b"PSMPGw",
        b"PSMGW",
        b"Prov_",
        b"AppProvider",
        b"BackupUser",
        b"DRUser",
        b"EVDUser",
        b"NotificationEngine",
        b"Batch",
    ];
    NAMES.iter().any(|n| user.starts_with(n))
}

/// What an action code of the Vault means.
fn meaning(code: u64, action: &[u8]) -> Option<(Act, Outcome, Change)> {
    let failed = action.starts_with(b"Failure") || find(action, b"ailed").is_some();
    let ok = if failed { Outcome::Failure } else { Outcome::Success };
    let is = |name: &[u8]| action.eq_ignore_ascii_case(name);
    Some(match code {
        7 | 19 | 20 | 317 => (Act::Auth, ok, Change::None),
        4 | 309 => (Act::Auth, Outcome::Failure, Change::None),
        8 => (Act::SessionEnd, Outcome::Success, Change::None),
        300 | 378 => (Act::SessionStart, Outcome::Success, Change::None),
        301 | 379 => (Act::Posture, Outcome::Failure, Change::None),
        302 | 303 | 380 | 381 => (Act::SessionEnd, Outcome::Success, Change::None),
        295 | 308 | 428 => (Act::Account, ok, Change::CredentialAccess),
        359 | 361 | 412 | 436 => (Act::Exec, ok, Change::None),
        88 => (Act::Account, ok, Change::PasswordReset),
        32 => (Act::Account, ok, Change::RoleGranted),
        34 => (Act::Account, ok, Change::RoleRemoved),
        _ if is(b"Add User") || is(b"Add External User") => (Act::Account, ok, Change::AccountCreated),
        _ if is(b"Delete User") || is(b"Remove User") => (Act::Account, ok, Change::AccountDeleted),
        _ if is(b"Add Group Member") => (Act::Account, ok, Change::GroupAdded),
        _ if is(b"Remove Group Member") => (Act::Account, ok, Change::GroupRemoved),
        _ if is(b"Add Owner") || is(b"Update Owner") => (Act::Account, ok, Change::RoleGranted),
        _ if is(b"Remove Owner") => (Act::Account, ok, Change::RoleRemoved),
        _ if is(b"Suspend User") || is(b"User Suspended") => (Act::Account, ok, Change::AccountLocked),
        _ if is(b"Disable User") => (Act::Account, ok, Change::AccountDisabled),
        _ if is(b"Activate User") || is(b"Unsuspend User") => (Act::Account, ok, Change::AccountUnlocked),
        _ if is(b"Enable User") => (Act::Account, ok, Change::AccountEnabled),
        _ if is(b"Reset User Password") => (Act::Account, ok, Change::PasswordReset),
        _ if is(b"Add Safe") || is(b"Delete Safe") || is(b"Update Safe") || is(b"Add Policy") => {
            (Act::Config, ok, Change::ConfigChanged)
        }
        _ if is(b"Update User") => (Act::Config, ok, Change::PolicyChanged),
        _ if failed && (find(action, b"Logon").is_some() || find(action, b"Authentication").is_some()) => {
            (Act::Auth, Outcome::Failure, Change::None)
        }
        _ => return None,
    })
}

fn vault(r: &Record<'_>, a: &Audit<'_>, out: &mut Emit<'_>) -> Parsed {
    if a.code == 0 && a.action.is_empty() {
        return Parsed::Broken(Why::Missing("action"));
    }
    let Some((act, outcome, change)) = meaning(a.code, a.action) else {
        if component(a.user) || a.action.starts_with(b"CPM ") {
            return Parsed::Irrelevant(Kind::Machine);
        }
        if a.user.is_empty() {
            return Parsed::Irrelevant(Kind::OtherMessage);
        }
        // Something else that somebody did, from somewhere.
        return out
            .event(Act::Posture, Outcome::Unknown)
            .at(stamped(r, a.stamp))
            .service(Service::Bastion)
            .user(&cef_unescape(a.user))
            .source(a.from())
            .observer(r.host())
            .detail(a.action)
            .done();
    };
    if component(a.user) && outcome != Outcome::Failure {
        return Parsed::Irrelevant(Kind::Machine);
    }
    let session = matches!(act, Act::SessionStart | Act::Exec | Act::Posture)
        || matches!(a.code, 302 | 303 | 380 | 381);
    let target = match act {
        Act::Auth => b"",
        Act::Account if change != Change::CredentialAccess => a.target,
        _ if !a.account.is_empty() => a.account,
        _ => a.file,
    };
    let command = after(a.extra, b"Command=", b";").unwrap_or(a.reason);
    out.event(act, outcome)
        .at(stamped(r, a.stamp))
        .service(if act == Act::Config { Service::Management } else { Service::Bastion })
        .user(&cef_unescape(a.user))
        .source(a.from())
        .observer(r.host())
        .host(if session || change == Change::CredentialAccess { a.host } else { b"" })
        .destination(if session { a.host } else { b"" })
        .target(&cef_unescape(target))
        .sid(if session { a.session } else { b"" })
        .group(if session { a.protocol } else { a.safe })
        .detail(match act {
            Act::Exec => command,
            Act::Account | Act::Config => a.action,
            _ => b"",
        })
        .change(change)
        .duration_s(seconds(after(a.extra, b"SessionDuration=", b";").unwrap_or_default()))
        .reason(match (act, outcome) {
            (Act::Auth, Outcome::Failure) if a.code == 309 => Reason::NoUser,
            (Act::Auth, Outcome::Failure) if find(a.reason, b"uspend").is_some() => Reason::Locked,
            (Act::Auth, Outcome::Failure) => Reason::BadPassword,
            (Act::SessionEnd, _) => Reason::Logout,
            _ => Reason::None,
        })
        .done()
}

/// Privileged Threat Analytics.
fn threat(r: &Record<'_>, name: &[u8], severity: &[u8], extension: &[u8], out: &mut Emit<'_>) -> Parsed {
    let (mut a, mut dst): (Audit<'_>, &[u8]) = (Audit::default(), b"");
    for (key, value) in cef_pairs(extension) {
        match key {
            b"dst" => dst = value,
            b"cs1" | b"cs2" | b"cs5" => {}
            _ => a.take(key, value),
        }
    }
    let severity = match number(severity) {
        0..=3 => 2,
        4..=6 => 3,
        7..=8 => 4,
        _ => 5,
    };
    out.event(Act::Alert, Outcome::Unknown)
        .at(stamped(r, a.stamp))
        .service(Service::Bastion)
        .user(if a.user == b"None" { a.account } else { a.user })
        .source(a.source)
        .destination(dst)
        .host(a.host)
        .target(a.account)
        .observer(r.host())
        .detail(name)
        .severity(severity)
        .done()
}

const N: usize = 16;
static PATHS: LazyLock<Paths<N>> = LazyLock::new(|| {
    Paths::new([
        "timestamp",
        "username",
        "auditCode",
        "action",
        "source",
        "applicationCode",
        "safe",
        "accountName",
        "target",
        "targetAccount",
        "sessionId",
        "accessMethod",
        "message",
        "customData.user_name",
        "customData.mfa_result",
        "command",
    ])
});

/// The Audit service: `PAM00295` carries the Vault's own number, `IDP…` the name of an Identity event.
fn service(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let (code, action, user) = (v[2].bytes(), v[3].bytes(), v[1].text());
    let identity = v[5].is(b"IDP");
    let found = if identity {
        cloud(action)
    } else {
        let digits = code.iter().position(u8::is_ascii_digit).unwrap_or(code.len());
        meaning(number(code.get(digits..).unwrap_or_default()), action)
    };
    let Some((act, outcome, change)) = found else { return Parsed::Irrelevant(Kind::OtherMessage) };
    if component(&user) {
        return Parsed::Irrelevant(Kind::Machine);
    }
    let at: Option<(EventTime, Certainty)> = stamped(r, v[0].bytes());
    let session = matches!(act, Act::SessionStart | Act::Posture | Act::Exec)
        || act == Act::SessionEnd && !v[10].bytes().is_empty();
    let target = match act {
        Act::Account if change == Change::CredentialAccess => v[7].text(),
        Act::Account => v[13].text(),
        _ => v[9].text(),
    };
    let token = action.eq_ignore_ascii_case(b"cloud.core.oauthtoken.create");
    out.event(act, outcome)
        .at(at)
        .service(if identity { Service::Idp } else { Service::Bastion })
        .user(&user)
        .source(v[4].bytes())
        .host(if session || change == Change::CredentialAccess { v[8].bytes() } else { b"" })
        .target(&target)
        .sid(v[10].bytes())
        .group(if session { v[11].bytes() } else { v[6].bytes() })
        .detail(match act {
            Act::Account | Act::Config => action,
            Act::Exec => v[15].bytes(),
            _ => b"",
        })
        .change(change)
        .mfa(if act == Act::Mfa && outcome == Outcome::Success { Mfa::Yes } else { Mfa::Unknown })
        .reason(match (act, outcome) {
            (Act::Auth, Outcome::Failure) => Reason::BadPassword,
            (Act::Mfa, Outcome::Failure) => Reason::MfaFailed,
            (Act::SessionEnd, _) => Reason::Logout,
            _ => Reason::None,
        })
        .flag_if(token, Flags::NON_INTERACTIVE)
        .done()
}

/// Events of CyberArk Identity by name.
fn cloud(action: &[u8]) -> Option<(Act, Outcome, Change)> {
    let name = action.to_ascii_lowercase();
    let name = name.strip_prefix(b"cloud.").unwrap_or(&name);
    let ok = Outcome::Success;
    Some(match name {
        b"core.loginfail" | b"core.login.fail" => (Act::Auth, Outcome::Failure, Change::None),
        b"core.login" | b"core.login.success" | b"core.oauthtoken.create" | b"core.federatedlogin" => {
            (Act::Auth, ok, Change::None)
        }
        b"core.logout" => (Act::SessionEnd, ok, Change::None),
        b"core.mfasummary" => (Act::Mfa, Outcome::Unknown, Change::None),
        b"core.advancedauth.success" | b"core.mfa.success" => (Act::Mfa, ok, Change::None),
        b"core.advancedauth.fail" | b"core.mfa.fail" => (Act::Mfa, Outcome::Failure, Change::None),
        b"add-user" => (Act::Account, ok, Change::AccountCreated),
        b"delete-user" | b"remove-user" => (Act::Account, ok, Change::AccountDeleted),
        b"core.userlock" => (Act::Account, ok, Change::AccountLocked),
        b"core.setuserpassword" | b"core.resetuserpassword" | b"core.changeuserpassword" => {
            (Act::Account, ok, Change::PasswordReset)
        }
        b"core.oathtokenregistered" | b"core.fido.enroll" | b"core.deviceenroll" => {
            (Act::Account, ok, Change::FactorEnrolled)
        }
        n if n.starts_with(b"saas.application.app") && !n.ends_with(b"launch") => {
            (Act::Config, ok, Change::ConfigChanged)
        }
        n if n.starts_with(b"core.policy") || find(n, b"policy").is_some() => {
            (Act::Config, ok, Change::PolicyChanged)
        }
        n if find(n, b"roleupdate").is_some() || find(n, b"addrole").is_some() => {
            (Act::Account, ok, Change::RoleGranted)
        }
        _ => return None,
    })
}
