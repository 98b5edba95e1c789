//! Active Directory Federation Services: tokens, passwords, extranet lockout.
//!
//! Read from: "AD FS auditing", "AD FS events reference", "AD FS Extranet Lockout and Extranet Smart Lockout". Traps: one
//! login is a validated credential (1202) and a token (1200), and every further application another token; a wrong
//! password is 1203 and once more 411; addresses come as a list whose first one the client's own mail or proxy told;
//! `MfaPerformed` false says nothing of a factor that the application asks for itself.

use crate::decode::find::find;
use crate::decode::kv::between;
use crate::emit::{Emit, EventBuilder};
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Reader, Row, Source};
use crate::windows::{WinEvent, claimed};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Change, Flags, Method, Mfa, Outcome, Reason, Service};

pub static SOURCE: Source = Source {
    name: "adfs",
    title: "Active Directory Federation Services (AD FS)",
    row: Row::Authentication,
    gives: &[Act::Auth, Act::Account, Act::SessionEnd],
    lacks: &[Field::TunnelIp, Field::Device, Field::SessionId, Field::Bytes, Field::Host],
    traps: &["failure_twice", "list_of_addresses", "older_farm"],
    manual: "Microsoft: AD FS auditing and events (1200 to 1210, 411, 515, 516)",
    enable: "Set-AdfsProperties -AuditLevel Basic (or Verbose); auditpol /set /subcategory:\"Application Generated\" /success:enable /failure:enable; Federation Service Properties > Events: success and failure audits",
    general: false,
    marks: crate::windows::MARKS,
    reader: Reader::Code {
        claim: |r| {
            claimed(r, |_, channel, provider| provider.starts_with(b"AD FS") || channel.starts_with(b"AD FS"))
        },
        parse,
        join: None,
    },
};

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some(e) = WinEvent::of(r) else { return Parsed::NotMine };
    // Events of requests and claims: their login is told by others.
    match e.id {
        403 | 404 | 410 | 424 | 510 => return Parsed::Irrelevant(Kind::Transport),
        299 | 500 | 501 | 412 | 342 | 364 | 413 => return Parsed::Irrelevant(Kind::Repeats),
        512 => return Parsed::Irrelevant(Kind::Pending),
        324 | 411 | 515 | 516 | 1200..=1207 | 1210 => {}
        _ => return Parsed::Irrelevant(Kind::OtherMessage),
    }
    let text = e.all();
    let tag = |open: &[u8], close: &[u8]| between(&text, open, close).unwrap_or_default().trim_ascii();
    let user = tag(b"<UserId>", b"</UserId>");
    let (ip, several) = addresses(tag(b"<IpAddress>", b"</IpAddress>"));
    let base = |event: EventBuilder<'_>| -> Parsed {
        let auth = tag(b"<PrimaryAuth>", b"</PrimaryAuth>");
        event
            .at(e.time(r))
            .service(Service::Idp)
            .user(user)
            .source_ip(ip)
            .flag_if(several, Flags::SOURCE_UNTRUSTED)
            .group(tag(b"<RelyingParty>", b"</RelyingParty>"))
            .client(tag(b"<UserAgentString>", b"</UserAgentString>"))
            .method(method(auth))
            .mfa(if tag(b"<MfaPerformed>", b"</MfaPerformed>") == b"true" { Mfa::Yes } else { Mfa::Unknown })
            .observer(&e.computer)
            .done()
    };
    let said = [tag(b"<FailureType>", b"</FailureType>"), tag(b"<ErrorCode>", b"</ErrorCode>")];
    let has = |needle: &[u8]| said.iter().any(|s| find(s, needle).is_some());
    match e.id {
        1200 => base(out.event(Act::Auth, Outcome::Success)),
        1202 => base(out.event(Act::Auth, Outcome::Success).flag(Flags::PRE_MFA)),
        // A request that went astray before anybody was named.
        1201 if matches!(user, b"" | b"N/A") => Parsed::Irrelevant(Kind::Pending),
        1201 | 1203 => {
            let (outcome, reason) = if has(b"uthoriz") || has(b"AccessDenied") {
                (Outcome::BlockedAfterPassword, Reason::Policy)
            } else if has(b"ocked") || has(b"ockout") {
                (Outcome::Failure, Reason::Locked)
            } else if has(b"xpired") {
                (Outcome::BlockedAfterPassword, Reason::Expired)
            } else if has(b"isabled") {
                (Outcome::Failure, Reason::Disabled)
            } else if e.id == 1203 {
                (Outcome::Failure, Reason::BadPassword)
            } else {
                (Outcome::Failure, Reason::Other)
            };
            base(out.event(Act::Auth, outcome).reason(reason))
        }
        1204 => base(out.event(Act::Account, Outcome::Success).change(Change::PasswordReset).target(user)),
        1206 => base(out.event(Act::SessionEnd, Outcome::Success).reason(Reason::Logout)),
        1205 | 1207 => Parsed::Irrelevant(Kind::OtherMessage),
        1210 => base(out.event(Act::Auth, Outcome::Failure).reason(Reason::Locked)),
        _ => plain(&e, r, &text, out),
    }
}

/// Events without an audit document: their values stand in the message or in data without names.
fn plain(e: &WinEvent<'_>, r: &Record<'_>, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let (ip, several) = values(text).map(addresses).find(|(ip, _)| ip.is_some()).unwrap_or((Ip::NONE, false));
    let finish = |event: EventBuilder<'_>| {
        event
            .at(e.time(r))
            .service(Service::Idp)
            .source_ip(ip)
            .flag_if(several, Flags::SOURCE_UNTRUSTED)
            .observer(&e.computer)
            .done()
    };
    match e.id {
        411 => {
            // `anna@corp.example-The user name or password is incorrect`.
            let end = find(text, b"-The ").or_else(|| find(text, b"-Der ")).or_else(|| find(text, b"-Le "));
            let Some(before) = end.and_then(|end| text.get(..end)) else {
                return Parsed::Irrelevant(Kind::OtherMessage);
            };
            let from = before.iter().rposition(|b| edge(*b) || *b == b' ').map_or(0, |n| n + 1);
            let user = before.get(from..).unwrap_or_default();
            let locked = find(text, b"locked").is_some();
            finish(
                out.event(Act::Auth, Outcome::Failure)
                    .user(user)
                    .reason(if locked { Reason::Locked } else { Reason::BadPassword })
                    .flag(Flags::REPEATS),
            )
        }
        324 => {
            let caller = between(text, b"caller '", b"'").or_else(|| second(text)).unwrap_or_default();
            finish(out.event(Act::Auth, Outcome::BlockedAfterPassword).user(caller).reason(Reason::Policy))
        }
        id => {
            let user = after_label(text).or_else(|| second(text)).unwrap_or_default();
            if id == 516 {
                return finish(
                    out.event(Act::Account, Outcome::Success).change(Change::AccountLocked).target(user),
                );
            }
            // Locked out, and now the right password came.
            finish(
                out.event(Act::Auth, Outcome::BlockedAfterPassword)
                    .user(user)
                    .reason(Reason::Locked)
                    .flag(Flags::RISKY),
            )
        }
    }
}

fn edge(b: u8) -> bool {
    matches!(b, b'<' | b'>' | b'"' | b'\n' | b'\r' | b'\t')
}

/// What stands between tags, quotes and line ends, and behind a label at the front of it.
fn values(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|b| edge(*b)).map(|v| {
        let v = v.trim_ascii();
        v.strip_prefix(b"Client IP:").unwrap_or(v).trim_ascii()
    })
}

/// The second of the data without names: `<Data>…</Data><Data>CORP\anna</Data>`, `"param2":"CORP\anna"`.
fn second(text: &[u8]) -> Option<&[u8]> {
    if let Some(value) = between(text, b"\"param2\":\"", b"\"") {
        return Some(value);
    }
    let rest = text.get(find(text, b"<Data>")? + 6..)?;
    between(rest, b"<Data>", b"</Data>")
}

/// `User:` on a line of its own or before its value.
fn after_label(text: &[u8]) -> Option<&[u8]> {
    let at = find(text, b"User:")?;
    text.get(at + 5..)?.split(|b| edge(*b)).map(<[u8]>::trim_ascii).find(|v| !v.is_empty())
}

/// `203.0.113.5,10.0.0.4`: the first, and whether others differ from it.
fn addresses(list: &[u8]) -> (Ip, bool) {
    let mut all = list.split(|b| *b == b',').map(|a| Ip::parse(a.trim_ascii()));
    let first = all.next().unwrap_or(Ip::NONE);
    (first, first.is_some() && all.any(|ip| ip.is_some() && ip != first))
}

fn method(primary: &[u8]) -> Method {
    let has = |needle: &[u8]| find(primary, needle).is_some();
    if has(b"assword") {
        Method::Password
    } else if has(b"windows") || has(b"Kerberos") {
        Method::Kerberos
    } else if has(b"X509") || has(b"tlsclient") || has(b"TLSClient") {
        Method::Certificate
    } else {
        Method::Unknown
    }
}
