//! Cisco ASA, ASAv and FTD: AnyConnect, WebVPN and IPsec sessions, AAA, administration.
//!
//! Read from: Cisco Secure Firewall ASA Series Syslog Messages; Threat Defense Syslog Messages. Traps: 113004 is also
//! written for authorisation and accounting, and names no client; unknown users are `*****` unless `no logging hide
//! username`; brackets around group, user and address come and go by version; 722022 and 722023 are one per TCP and UDP,
//! not sessions; 113019 names the tunnel group where 113039 names the group policy; whoever fails to log in has chosen
//! the name, so addresses are taken from behind it; 502103 is written for every `enable`.

mod ike;

use crate::decode::find::find;
use crate::decode::kv::{after, number, word};
use crate::emit::{Emit, EventBuilder};
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use memchr::memmem::rfind;
use portreeve_model::Ip;
use portreeve_model::event::{Act, Change, Flags, Outcome, Reason, Service};

pub static SOURCE: Source = Source {
    name: "cisco_asa",
    title: "Cisco ASA / FTD (VPN, AAA, administration)",
    row: Row::Vpn,
    gives: &[
        Act::Auth,
        Act::Mfa,
        Act::Posture,
        Act::SessionStart,
        Act::IpAssign,
        Act::SessionResume,
        Act::SessionEnd,
        Act::Admin,
        Act::Config,
        Act::Account,
        Act::Flow,
    ],
    lacks: &[Field::SessionId, Field::Zone],
    traps: &[
        "masked_user",
        "authorization_is_no_login",
        "transport_lines",
        "resumed_elsewhere",
        "name_with_an_address",
        "without_brackets",
    ],
    manual: "Cisco Secure Firewall ASA Series Syslog Messages",
    enable: "logging enable; logging trap informational; no logging hide username; logging timestamp",
    general: false,
    marks: &["%ASA", "%FTD", "%PIX", "%NGIPS"],
    reader: Reader::Code {
        claim: |r| message(r).is_some_and(|(id, _)| !crate::firewall::asa_traffic::is_traffic(id)),
        parse,
        join: None,
    },
};

/// Number and text of a `%ASA-6-113039: …` message, whatever the severity or product letters.
pub(crate) fn message<'a>(r: &Record<'a>) -> Option<(u32, &'a [u8])> {
    let body = r.body;
    let at =
        if body.first() == Some(&b'%') { 0 } else { memchr::memchr(b'%', &body[..body.len().min(120)])? };
    let text = &body[at..];
    let rest = text
        .strip_prefix(b"%ASA-")
        .or_else(|| text.strip_prefix(b"%FTD-"))
        .or_else(|| text.strip_prefix(b"%ASAv-"))
        .or_else(|| text.strip_prefix(b"%PIX-"))
        .or_else(|| text.strip_prefix(b"%NGIPS-"))?;
    // `%ASA-6-113039:`, `%ASA--6-113039:`, `%ASA-vpn-6-113039:`; collectors drop the colon.
    let end = rest[..rest.len().min(40)].iter().position(|b| matches!(b, b':' | b' '))?;
    let digits = rest[..end].rsplit(|b| *b == b'-').next()?;
    if digits.len() != 6 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let said = rest[end..].trim_ascii_start();
    let said = said.strip_prefix(b":").unwrap_or(said).trim_ascii_start();
    Some((u32::try_from(number(digits)).ok()?, said))
}

/// `Group <g> User <u> IP <a> …`, brackets or not.
#[derive(Default)]
struct Who<'a> {
    group: &'a [u8],
    user: &'a [u8],
    ip: &'a [u8],
    /// What follows the address.
    rest: &'a [u8],
}

/// The head of the messages about sessions. `chosen`: the name is whatever somebody typed, so the last address counts;
/// else the first, since what follows may be the client's own words.
fn who(text: &[u8], chosen: bool) -> Who<'_> {
    let mut w = Who::default();
    let Some(user) = find(text, b"User ") else { return w };
    let group = text.get(..user).unwrap_or_default();
    w.group = [&b"GroupPolicy "[..], b"Group "]
        .into_iter()
        .find_map(|label| after(group, label, b""))
        .map_or(&b""[..], bare);
    let named = text.get(user + 5..).unwrap_or_default();
    let mut from = 0;
    while let Some(at) = named.get(from..).and_then(|t| find(t, b" IP ")).map(|n| n + from) {
        let behind = named.get(at + 4..).unwrap_or_default();
        let (ip, rest) = token(behind);
        if Ip::parse(ip).is_some() {
            (w.user, w.ip, w.rest) = (bare(named.get(..at).unwrap_or_default()), ip, rest);
            if !chosen {
                break;
            }
        }
        from = at + 4;
    }
    if w.ip.is_empty() {
        let (user, rest) = token(named);
        (w.user, w.rest) = (user, rest);
    }
    w
}

/// Without blanks and angle brackets around it.
fn bare(text: &[u8]) -> &[u8] {
    let text = text.trim_ascii();
    let text = text.strip_prefix(b"<").unwrap_or(text);
    text.strip_suffix(b">").unwrap_or(text)
}

/// The next word, or what stands in angle brackets, and what follows.
fn token(text: &[u8]) -> (&[u8], &[u8]) {
    let text = text.trim_ascii_start();
    if let Some(inner) = text.strip_prefix(b"<") {
        let end = memchr::memchr(b'>', inner).unwrap_or(inner.len());
        return (inner.get(..end).unwrap_or_default(), inner.get(end + 1..).unwrap_or_default());
    }
    let (found, rest) = word(text);
    (found.strip_suffix(b",").or_else(|| found.strip_suffix(b".")).unwrap_or(found), rest)
}

/// `key = value` of the 113xxx messages, up to the next ` : `.
fn assigned<'a>(text: &'a [u8], label: &[u8]) -> &'a [u8] {
    let Some(rest) = after(text, label, b"") else { return b"" };
    let rest = rest.trim_ascii_start();
    let Some(rest) = rest.strip_prefix(b"=") else { return b"" };
    let rest = rest.trim_ascii_start();
    let end = find(rest, b" : ").into_iter().chain(find(rest, b", ")).min().unwrap_or(rest.len());
    rest.get(..end).unwrap_or_default().trim_ascii()
}

/// User and address at the end of an AAA message: `: user = anna : user IP = 192.0.2.5`. The name is what was typed, so
/// the last address counts and all before it is name.
fn aaa(text: &[u8]) -> (&[u8], &[u8]) {
    let at = [&b": user ="[..], b": User =", b", User ="].into_iter().find_map(|label| find(text, label));
    let Some(at) = at else { return (b"", b"") };
    let rest = text.get(at + 8..).unwrap_or_default();
    let Some(ip) = rfind(rest, b"user IP =") else { return (rest.trim_ascii(), b"") };
    let name = rest.get(..ip).unwrap_or_default().trim_ascii_end();
    let name = name.strip_suffix(b":").unwrap_or(name);
    (name.trim_ascii(), rest.get(ip + 9..).unwrap_or_default().trim_ascii())
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some((id, text)) = message(r) else { return Parsed::NotMine };
    match id {
        // Most of what is left of a gateway's log besides connections.
        722022
        | 722023
        | 722011
        | 722012
        | 722029..=722031
        | 722033
        | 722035..=722036
        | 722041
        | 716058
        | 716002
        | 725001..=725017
        | 737001..=737040
        | 771002
        | 717001..=717060
        | 602101..=602306
        | 402114..=402148 => return Parsed::Irrelevant(Kind::Transport),
        713001..=715080 | 750001..=752017 => return ike::parse(r, id, text, out),
        109001..=109213 => return through(r, id, text, out),
        _ => {}
    }
    let base =
        |event: EventBuilder<'_>| event.at(r.header_time()).service(Service::Vpn).observer(r.host()).done();
    let session = |event: EventBuilder<'_>, w: &Who<'_>| base(event.group(w.group).user(w.user).source(w.ip));
    match id {
        113004 => {
            if !text.starts_with(b"AAA user authentication Successful") {
                return Parsed::Irrelevant(Kind::Repeats);
            }
            let (user, ip) = aaa(text);
            base(out.event(Act::Auth, Outcome::Success).user(user).source(ip).flag(Flags::PRE_MFA))
        }
        113005 | 113015 | 113016 | 113017 => {
            let (user, ip) = aaa(text);
            base(
                out.event(Act::Auth, Outcome::Failure)
                    .reason(reason(assigned(text, b"reason ")))
                    .user(user)
                    .source(ip)
                    .flag_if(matches!(id, 113015 | 113017), Flags::LOCAL_ACCOUNT),
            )
        }
        113012 => base(
            out.event(Act::Auth, Outcome::Success)
                .user(aaa(text).0)
                .flag(Flags::LOCAL_ACCOUNT)
                .flag(Flags::PRE_MFA),
        ),
        // A server that asks for more: a one-time code, a new password.
        113010 => base(
            out.event(Act::Mfa, Outcome::Challenge)
                .user(after(text, b"for user ", b" from server").unwrap_or_default()),
        ),
        // No answer is no refusal.
        113013 | 113014 => base(out.event(Act::Posture, Outcome::Unknown).user(aaa(text).0)),
        113006 | 113007 => {
            let by = rfind(text, b" by ").and_then(|at| text.get(at + 4..)).unwrap_or_default();
            base(
                out.event(Act::Account, Outcome::Success)
                    .change(if id == 113006 { Change::AccountLocked } else { Change::AccountUnlocked })
                    .target(after(text, b"User ", b" ").unwrap_or_default())
                    .user(if id == 113007 { by } else { b"" }),
            )
        }
        // An administrator whose password was right and who is none.
        113021 => out
            .event(Act::Admin, Outcome::BlockedAfterPassword)
            .at(r.header_time())
            .service(Service::Management)
            .reason(Reason::NotAllowed)
            .user(after(text, b"User ", b" did NOT").unwrap_or_default())
            .observer(r.host())
            .done(),
        113003 | 113008 | 113009 | 113011 | 113024 | 113027 | 113028 | 113034 => {
            Parsed::Irrelevant(Kind::Pending)
        }
        113025 => {
            let ip = rfind(text, b" from ").and_then(|at| text.get(at + 6..)).unwrap_or_default();
            base(
                out.event(Act::Auth, Outcome::Failure)
                    .reason(Reason::Certificate)
                    .group(after(text, b"Group ", b":").unwrap_or_default())
                    .source(token(ip).0),
            )
        }
        // Let in by password and then not given a session: limits, access lists, images, addresses.
        113029..=113033 | 113035..=113038 | 716023 | 722020 | 716040 => session(
            out.event(Act::Auth, Outcome::BlockedAfterPassword).reason(Reason::Other),
            &who(text, false),
        ),
        113039 | 716001 => {
            // WebVPN start of the same login repeats the AnyConnect parent session.
            session(out.event(Act::SessionStart, Outcome::Success), &who(text, false))
        }
        // Repeats 113004 where AAA is remote, and is the only line with the address on older releases.
        716038 => session(
            out.event(Act::Auth, Outcome::Success).flag(Flags::PRE_MFA).flag(Flags::REPEATS),
            &who(text, true),
        ),
        716039 => session(
            out.event(Act::Auth, Outcome::Failure).reason(Reason::BadPassword).flag(Flags::REPEATS),
            &who(text, true),
        ),
        722051 => {
            let w = who(text, false);
            let tunnel = [&b"IPv4 Address "[..], b"IPv6 address "]
                .into_iter()
                .filter_map(|label| after(w.rest, label, b""))
                .map(|t| Ip::parse(token(t).0))
                .find(|ip| ip.is_some())
                .unwrap_or(Ip::NONE);
            if tunnel.is_none() {
                return Parsed::Irrelevant(Kind::Repeats);
            }
            session(out.event(Act::IpAssign, Outcome::Success).tunnel_ip(tunnel), &w)
        }
        746012 => {
            // `user-identity: Add IP-User mapping 10.8.0.7 - LOCAL\anna Succeeded - VPN user`.
            let mapping = after(text, b"mapping ", b"").unwrap_or_default();
            let (ip, rest) = word(mapping);
            if find(rest, b"VPN user").is_none() {
                return Parsed::Irrelevant(Kind::Housekeeping);
            }
            let user = word(rest.strip_prefix(b"- ").unwrap_or(rest)).0;
            let user = user.strip_prefix(b"LOCAL\\").unwrap_or(user);
            base(out.event(Act::IpAssign, Outcome::Success).user(user).tunnel(ip))
        }
        // PPTP `…, remote-peer = 192.0.2.5, …, client-dynamic-ip = 10.8.3.7, username = anna, …`; L2TP `… is …`.
        603106 | 603108 => {
            let field = |labels: [&[u8]; 2]| {
                labels.into_iter().find_map(|l| after(text, l, b"")).map_or(&b""[..], |t| token(t).0)
            };
            base(
                out.event(Act::IpAssign, Outcome::Success)
                    .user(field([b"username = ", b"username is "]))
                    .source(field([b"remote-peer = ", b"remote_peer_ip is "]))
                    .tunnel(field([b"client-dynamic-ip = ", b"client_dynamic_ip is "])),
            )
        }
        722055 | 722053 => {
            // Client type and version of a session: a further record of the same stay.
            let w = who(text, false);
            let client = after(w.rest, b"Client Type:", b"").unwrap_or_default();
            session(out.event(Act::Posture, Outcome::Unknown).client(client), &w)
        }
        722056 => {
            let ip = after(text, b"from ", b"").map_or(&b""[..], |t| token(t).0);
            base(out.event(Act::Posture, Outcome::Failure).reason(Reason::Policy).source(ip))
        }
        // A new tunnel that replaces the old one: the stay goes on, perhaps from another address.
        722032 | 722034 => session(out.event(Act::SessionResume, Outcome::Success), &who(text, false)),
        716059 => {
            let w = who(text, false);
            let to = after(w.rest, b"resumed connection from IP", b"").map_or(&b""[..], |t| token(t).0);
            let w = Who { ip: if to.is_empty() { w.ip } else { to }, ..w };
            session(out.event(Act::SessionResume, Outcome::Success), &w)
        }
        113019 => ended(r, text, out),
        734001 => {
            // `DAP: User anna, Addr 192.0.2.5, Connection AnyConnect: The following DAP records were selected …: a, b`.
            let records = rfind(text, b": ").and_then(|at| text.get(at + 2..)).unwrap_or_default();
            base(policy(out.event(Act::Posture, Outcome::Success), text).group(records))
        }
        734002 => {
            let records = rfind(text, b": ").and_then(|at| text.get(at + 2..)).unwrap_or_default();
            base(
                policy(out.event(Act::Auth, Outcome::BlockedAfterPassword).reason(Reason::Posture), text)
                    .group(records),
            )
        }
        734003 => {
            // One for each attribute; the machine's name says who else logs in from it.
            let Some(name) = after(text, b"endpoint.device.hostname", b"") else {
                return Parsed::Irrelevant(Kind::Housekeeping);
            };
            let name = after(name, b"\"", b"\"").unwrap_or_default();
            base(policy(out.event(Act::Posture, Outcome::Unknown), text).device(name))
        }
        605004 | 605005 | 611101..=611103 | 308001 | 772002..=772006 => admin(r, id, text, out),
        111001..=111010 | 502101..=502112 => config(r, id, text, out),
        _ => {
            // Anything else that names a user and an address still tells who was where.
            let w = who(text, false);
            if !w.user.is_empty() && Ip::parse(w.ip).is_some() {
                return session(out.event(Act::Posture, Outcome::Unknown), &w);
            }
            Parsed::Irrelevant(Kind::OtherMessage)
        }
    }
}

/// User and address of a dynamic access policy's message.
fn policy<'e>(event: EventBuilder<'e>, text: &[u8]) -> EventBuilder<'e> {
    event.user(after(text, b"User ", b", Addr ").unwrap_or_default()).source(
        after(text, b", Addr ", b"").map_or(&b""[..], |t| {
            let end = find(t, b", ").into_iter().chain(find(t, b": ")).min().unwrap_or(t.len());
            t.get(..end).unwrap_or_default()
        }),
    )
}

fn ended(r: &Record<'_>, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let user = assigned(text, b"Username ");
    if user.is_empty() {
        return Parsed::Broken(Why::Missing("username"));
    }
    out.event(Act::SessionEnd, Outcome::Success)
        .at(r.header_time())
        .service(Service::Vpn)
        .user(user)
        .source(assigned(text, b", IP "))
        .observer(r.host())
        .duration_s(duration(after(text, b"Duration: ", b",").unwrap_or_default()))
        .bytes(
            number(after(text, b"Bytes rcv: ", b",").unwrap_or_default()),
            number(after(text, b"Bytes xmt: ", b",").unwrap_or_default()),
        )
        .reason(end_reason(after(text, b"Reason: ", b"").unwrap_or_default()))
        .done()
}

/// 109xxx: users asked on the way through the firewall, and the addresses that VPN users got.
fn through(r: &Record<'_>, id: u32, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let base = |event: EventBuilder<'_>| event.at(r.header_time()).observer(r.host()).done();
    match id {
        109201 => base(
            out.event(Act::IpAssign, Outcome::Success)
                .service(Service::Vpn)
                .user(after(text, b"User=", b", Assigned").unwrap_or_default())
                .tunnel(after(text, b"Assigned IP=", b",").unwrap_or_default()),
        ),
        109005 | 109006 => base(
            out.event(Act::Auth, if id == 109005 { Outcome::Success } else { Outcome::Failure })
                .service(Service::Firewall)
                .user(after(text, b"user ", b" from ").map_or(&b""[..], unquoted))
                .source_ip(last_end(text).0)
                .reason(if id == 109006 { Reason::BadPassword } else { Reason::None }),
        ),
        // Refused by the access list that goes with the user.
        109025 | 109008 => {
            let (src, to) = last_end(text);
            let (dst, port) = slash(to);
            base(
                out.event(Act::Flow, Outcome::Failure)
                    .service(Service::Firewall)
                    .user(after(text, b"user ", b" from ").map_or(&b""[..], unquoted))
                    .source_ip(src)
                    .destination_ip(dst)
                    .destination_port(port),
            )
        }
        109033 | 109034 => base(
            out.event(Act::Admin, Outcome::Failure)
                .service(Service::Management)
                .user(after(text, b"user ", b" from ").map_or(&b""[..], unquoted))
                .source_ip(last_end(text).0),
        ),
        _ => Parsed::Irrelevant(Kind::OtherMessage),
    }
}

fn unquoted(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"'").and_then(|t| t.strip_suffix(b"'")).unwrap_or(text)
}

/// `… from 192.0.2.5/4711 to 10.0.0.5/22 …`, the last of them: the address, and what is behind the `to`.
fn last_end(text: &[u8]) -> (Ip, &[u8]) {
    let Some(rest) = rfind(text, b" from ").and_then(|at| text.get(at + 6..)) else { return (Ip::NONE, b"") };
    (slash(rest).0, after(rest, b" to ", b"").unwrap_or_default())
}

/// `192.0.2.5/4711`.
fn slash(text: &[u8]) -> (Ip, u16) {
    let text = word(text).0;
    let text = text.strip_suffix(b".").or_else(|| text.strip_suffix(b",")).unwrap_or(text);
    match memchr::memchr(b'/', text) {
        Some(at) => (
            Ip::parse(text.get(..at).unwrap_or_default()),
            u16::try_from(number(text.get(at + 1..).unwrap_or_default())).unwrap_or(0),
        ),
        None => (Ip::parse(text), 0),
    }
}

fn admin(r: &Record<'_>, id: u32, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let base = |event: EventBuilder<'_>| {
        event.at(r.header_time()).service(Service::Management).observer(r.host()).done()
    };
    match id {
        605004 | 605005 => {
            // `Login permitted from 10.0.0.5/41000 to inside:10.0.0.1/ssh for user "anna"`.
            let ok = id == 605005;
            base(
                out.event(Act::Admin, if ok { Outcome::Success } else { Outcome::Failure })
                    .source_ip(after(text, b" from ", b"").map_or(Ip::NONE, |t| slash(t).0))
                    .user(after(text, b"for user \"", b"\"").unwrap_or_default())
                    .client(
                        after(text, b" to ", b" ")
                            .and_then(|t| t.rsplit(|b| *b == b'/').next())
                            .unwrap_or_default(),
                    )
                    .flag(Flags::PRIVILEGED),
            )
        }
        // 611103 is the logout.
        611103 => Parsed::Irrelevant(Kind::OtherMessage),
        611101 | 611102 => {
            // `User authentication succeeded: IP address: 10.0.0.5, Uname: anna`, `… IP = 10.0.0.5, Uname: anna`.
            let ip = [&b"IP address: "[..], b"IP = ", b"IP, "].into_iter().find_map(|l| after(text, l, b","));
            let ok = id == 611101;
            base(
                out.event(Act::Admin, if ok { Outcome::Success } else { Outcome::Failure })
                    .source(ip.unwrap_or_default().trim_ascii())
                    .user(after(text, b"Uname: ", b"").unwrap_or_default())
                    .reason(if ok { Reason::None } else { Reason::BadPassword })
                    .flag_if(ok, Flags::PRIVILEGED),
            )
        }
        308001 => {
            let ip = after(text, b"(from ", b")").unwrap_or_default();
            base(out.event(Act::Admin, Outcome::Failure).reason(Reason::BadPassword).source(ip))
        }
        // `PASSWORD: session login failed, user anna, IP 10.0.0.5, cause: password expired`; `REAUTH: user anna …`.
        772003 | 772004 => base(
            out.event(Act::Admin, Outcome::BlockedAfterPassword)
                .reason(Reason::Expired)
                .user(after(text, b"user ", b",").unwrap_or_default())
                .source(after(text, b", IP ", b",").unwrap_or_default()),
        ),
        772006 => base(
            out.event(Act::Admin, Outcome::Failure)
                .reason(Reason::BadPassword)
                .user(after(text, b"user ", b" failed").unwrap_or_default()),
        ),
        _ => Parsed::Irrelevant(Kind::Repeats),
    }
}

fn config(r: &Record<'_>, id: u32, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let base = |event: EventBuilder<'_>| {
        event.at(r.header_time()).service(Service::Management).observer(r.host()).done()
    };
    match id {
        111008 | 111010 => {
            // `User 'anna', running 'CLI' from IP 10.0.0.5, executed 'write memory'`.
            let command = after(text, b"executed '", b"")
                .or_else(|| after(text, b"executed the '", b""))
                .or_else(|| after(text, b"executed the command ", b""))
                .unwrap_or_default();
            let command = &command[..memchr::memrchr(b'\'', command).unwrap_or(command.len())];
            let user =
                after(text, b"User '", b"'").or_else(|| after(text, b"User ", b" ")).unwrap_or_default();
            base(
                out.event(Act::Config, Outcome::Success)
                    .user(user)
                    .source(after(text, b"from IP ", b",").unwrap_or_default())
                    .detail(command)
                    .change(command_change(command))
                    .flag(Flags::PRIVILEGED),
            )
        }
        // Erased.
        111003 => base(
            out.event(Act::Config, Outcome::Success)
                .source(word(text).0)
                .change(Change::ConfigChanged)
                .detail(b"configuration erased"),
        ),
        502101..=502103 => {
            let change = match id {
                502101 => Change::LocalUserCreated,
                502102 => Change::AccountDeleted,
                _ => Change::PrivilegeUsed,
            };
            let name = after(text, b"Uname: ", b" ").unwrap_or_default();
            let user = if id == 502103 { name } else { b"" };
            base(out.event(Act::Account, Outcome::Success).change(change).target(name).user(user))
        }
        502111 | 502112 => base(
            out.event(Act::Config, Outcome::Success)
                .change(Change::PolicyChanged)
                .target(after(text, b"name: ", b" ").unwrap_or_default())
                .detail(text),
        ),
        // Commands that only show.
        111009 => Parsed::Irrelevant(Kind::RoutineUse),
        _ => Parsed::Irrelevant(Kind::Repeats),
    }
}

fn reason(text: &[u8]) -> Reason {
    let has = |needle: &[u8]| find(text, needle).is_some();
    if has(b"nvalid password") {
        Reason::BadPassword
    } else if has(b"not found") {
        Reason::NoUser
    } else if has(b"locked") {
        Reason::Locked
    } else if has(b"expired") {
        Reason::Expired
    } else if has(b"disabled") {
        Reason::Disabled
    } else {
        Reason::BadPassword
    }
}

fn end_reason(text: &[u8]) -> Reason {
    let has = |needle: &[u8]| find(text, needle).is_some();
    if has(b"User Requested") || has(b"Logout") {
        Reason::Logout
    } else if has(b"Idle Timeout") {
        Reason::Idle
    } else if has(b"Preempted") {
        Reason::Preempted
    } else if has(b"Max") {
        Reason::Timeout
    } else if has(b"Administrator") {
        Reason::ByAdmin
    } else if has(b"Lost") || has(b"lost") {
        Reason::ConnectionLost
    } else {
        Reason::Other
    }
}

/// `2h:28m:09s`, `1d 2h:28m:09s`.
fn duration(text: &[u8]) -> u32 {
    let (mut total, mut n) = (0u32, 0u32);
    for b in text {
        match b {
            b'0'..=b'9' => n = n.saturating_mul(10).saturating_add(u32::from(b - b'0')),
            b'd' => (total, n) = (total.saturating_add(n.saturating_mul(86_400)), 0),
            b'h' => (total, n) = (total.saturating_add(n.saturating_mul(3_600)), 0),
            b'm' => (total, n) = (total.saturating_add(n.saturating_mul(60)), 0),
            b's' => (total, n) = (total.saturating_add(n), 0),
            _ => {}
        }
    }
    total
}

fn command_change(command: &[u8]) -> Change {
    let starts = |word: &[u8]| command.starts_with(word);
    if starts(b"username ") {
        Change::LocalUserCreated
    } else if starts(b"no logging") || starts(b"clear logging") {
        Change::LoggingStopped
    } else if starts(b"copy ") || starts(b"backup") {
        Change::ConfigExported
    } else if starts(b"tunnel-group") || starts(b"group-policy") || starts(b"aaa") || starts(b"webvpn") {
        Change::PolicyChanged
    } else {
        Change::None
    }
}
