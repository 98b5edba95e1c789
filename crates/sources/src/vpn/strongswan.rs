//! strongSwan: charon, charon-systemd, and what runs it (pfSense, OPNsense, VyOS, UniFi).
//!
//! Read from: strongSwan documentation "Logger configuration", and charon's messages (IKE, CFG, JOB). Traps: the refusal
//! names the peer and no address, the establishment both; identities are what the peer says and may hold dots and
//! brackets; a tunnel of two sites has addresses for identities; rekeying establishes again; a client that moves is
//! followed (MOBIKE).

use crate::decode::find::{begins_with, find};
use crate::decode::kv::{after, word};
use crate::emit::{Emit, EventBuilder};
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Flags, Method, Outcome, Reason, Service};

pub static SOURCE: Source = Source {
    name: "strongswan",
    title: "strongSwan (charon)",
    row: Row::Vpn,
    gives: &[Act::Auth, Act::SessionStart, Act::IpAssign, Act::SessionResume, Act::SessionEnd],
    lacks: &[Field::Mfa, Field::Device, Field::Bytes, Field::Host],
    traps: &["sites", "forged_identity", "moved"],
    manual: "strongSwan documentation: Logger configuration; messages of charon",
    enable: "charon { syslog { auth { default = 0; ike = 1; cfg = 1; ike_name = yes } } } in strongswan.conf",
    general: false,
    marks: &[
        "charon", "[IKE]", "[CFG]", "[NET]", "[ENC]", "[KNL]", "[JOB]", "[MGR]", "[DMN]", "[CHD]", "[LIB]",
        "[TNC]", "[ASN]", "[ESP]",
    ],
    reader: Reader::Code { claim: |r| parts(r).is_some(), parse, join: None },
};

/// `06[IKE]`: the thread and the subsystem.
fn subsystem(word: &[u8]) -> Option<&[u8]> {
    let open = memchr::memchr(b'[', word)?;
    let name = word.get(open + 1..)?.strip_suffix(b"]")?;
    (open > 0
        && open <= 3
        && word[..open].iter().all(u8::is_ascii_digit)
        && name.len() == 3
        && name.iter().all(u8::is_ascii_uppercase))
    .then_some(name)
}

struct Parts<'a> {
    subsystem: &'a [u8],
    /// `rw|83`: connection and number of the IKE SA.
    sa: &'a [u8],
    text: &'a [u8],
}

fn parts<'a>(r: &Record<'a>) -> Option<Parts<'a>> {
    if r.shape != Shape::Text {
        return None;
    }
    // In a file of charon's own the thread stands where a host would.
    let (name, rest) = match subsystem(r.header.host) {
        Some(name) => (name, r.body),
        None => {
            let (first, rest) = word(r.body);
            match subsystem(first) {
                Some(name) => (name, rest),
                None if r.header.program.starts_with(b"charon") => (&b""[..], r.body),
                None => return None,
            }
        }
    };
    let (sa, text) = match rest.strip_prefix(b"<") {
        Some(inner) => match memchr::memchr(b'>', inner) {
            Some(end) => (&inner[..end], inner[end + 1..].trim_ascii_start()),
            None => (&b""[..], rest),
        },
        None => (&b""[..], rest),
    };
    Some(Parts { subsystem: name, sa, text })
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some(p) = parts(r) else { return Parsed::NotMine };
    let text = p.text;
    match p.subsystem {
        b"NET" | b"ENC" | b"MGR" => return Parsed::Irrelevant(Kind::Transport),
        b"KNL" | b"DMN" | b"LIB" | b"ESP" | b"ASN" | b"TNC" => return Parsed::Irrelevant(Kind::Housekeeping),
        _ => {}
    }
    let host = if subsystem(r.header.host).is_some() { r.outer_host } else { r.host() };
    let group = p.sa.split(|b| *b == b'|').next().filter(|_| p.sa.contains(&b'|')).unwrap_or_default();
    let sid = p.sa.rsplit(|b| *b == b'|').next().unwrap_or_default();
    let base = |e: EventBuilder<'_>| -> Parsed {
        e.at(r.header_time()).service(Service::Vpn).sid(sid).group(group).observer(host).done()
    };
    let has = |needle: &[u8]| find(text, needle).is_some();
    // `IKE_SA rw[83] established between 198.51.100.1[gw.example.org]...192.0.2.9[anna]`
    let established = text.starts_with(b"IKE_SA ") && has(b" established between ");
    let deleting = text.starts_with(b"deleting IKE_SA ") && has(b" between ");
    if established || deleting {
        let Some(ends) = after(text, b" between ", b"") else { return Parsed::Broken(Why::Missing("ends")) };
        // The gateway is the first, and its identity its own; what follows is the peer's.
        let Some(split) = find(ends, b"]...") else { return Parsed::Broken(Why::Missing("peer")) };
        let remote = &ends[split + 4..];
        let Some(open) = memchr::memchr(b'[', remote) else {
            return Parsed::Broken(Why::Missing("identity"));
        };
        let id = &remote[open + 1..];
        let user = person(id.strip_suffix(b"]").unwrap_or(id));
        if user.is_empty() {
            return Parsed::Irrelevant(Kind::Machine);
        }
        let act = if established { Act::SessionStart } else { Act::SessionEnd };
        let sid = after(text, b"IKE_SA ", b"]").and_then(|n| n.rsplit(|b| *b == b'[').next()).unwrap_or(sid);
        let name = after(text, b"IKE_SA ", b"[").unwrap_or(group);
        return out
            .event(act, Outcome::Success)
            .at(r.header_time())
            .service(Service::Vpn)
            .user(user)
            .source(&remote[..open])
            .sid(sid)
            .group(name)
            .observer(host)
            .done();
    }
    if let Some(rest) = text.strip_prefix(b"assigning virtual IP ") {
        let (tunnel, rest) = word(rest);
        let user = named(rest, b"to peer '").unwrap_or_default();
        return base(out.event(Act::IpAssign, Outcome::Success).tunnel(tunnel).user(user));
    }
    // `remote endpoint changed from 192.0.2.9[4500] to 192.0.2.77[4500]`
    if text.starts_with(b"remote endpoint changed from ") || text.starts_with(b"peer endpoint changed from ")
    {
        let to = after(text, b" to ", b"[").unwrap_or_default();
        return base(out.event(Act::SessionResume, Outcome::Success).source(to));
    }
    // `authentication of 'anna' with EAP successful`, `XAuth authentication of 'anna' failed`, `RADIUS authentication of
    // 'anna' failed`.
    let checks = text.starts_with(b"authentication of '")
        || text.starts_with(b"XAuth authentication of '")
        || text.starts_with(b"RADIUS authentication of '");
    if checks && !has(b"(myself)") {
        let Some(user) = named(text, b"authentication of '") else {
            return Parsed::Broken(Why::Missing("user"));
        };
        let user = person(user);
        let tail = text.get(text.len().saturating_sub(60)..).unwrap_or(text);
        let said = |needle: &[u8]| find(tail, needle).is_some();
        let outcome = if text.ends_with(b"failed") || said(b"' failed") || said(b" failed:") {
            Outcome::Failure
        } else if said(b"successful") {
            Outcome::Success
        } else {
            return Parsed::Irrelevant(Kind::Pending);
        };
        if user.is_empty() {
            return Parsed::Irrelevant(Kind::Machine);
        }
        let certificate = has(b"signature") || has(b"' with RSA") || has(b"' with ECDSA") || has(b"EAP_TLS");
        return base(
            out.event(Act::Auth, outcome)
                .user(user)
                .method(if certificate { Method::Certificate } else { Method::Unknown })
                .reason(match (outcome, certificate) {
                    (Outcome::Success, _) => Reason::None,
                    (_, true) => Reason::Certificate,
                    (_, false) => Reason::BadPassword,
                })
                .flag_if(outcome == Outcome::Success, Flags::PRE_MFA),
        );
    }
    // `EAP method EAP_MSCHAPV2 failed for peer anna`
    if text.starts_with(b"EAP method ")
        && let Some(user) = after(text, b" failed for peer ", b"")
    {
        return base(out.event(Act::Auth, Outcome::Failure).user(person(user)).reason(Reason::BadPassword));
    }
    if text.starts_with(b"EAP-MS-CHAPv2 verification failed") {
        // Asked again; in the end the method has failed for a peer that is named.
        return base(out.event(Act::Auth, Outcome::Failure).reason(Reason::BadPassword).flag(Flags::REPEATS));
    }
    if text.starts_with(b"tried ") && has(b"MAC mismatched") {
        let user = memchr::memmem::rfind(text, b"' - '").map_or(&b""[..], |n| &text[n + 5..]);
        let user = user.split(|b| *b == b'\'').next().unwrap_or_default();
        return base(out.event(Act::Auth, Outcome::Failure).user(person(user)).reason(Reason::BadPassword));
    }
    if text.starts_with(b"no EAP key found for hosts '") || text.starts_with(b"no XAuth secret found for '") {
        let user = memchr::memmem::rfind(text, b"' - '").map_or(&b""[..], |n| &text[n + 5..]);
        let user = user.strip_suffix(b"'").unwrap_or(user);
        return base(out.event(Act::Auth, Outcome::Failure).user(person(user)).reason(Reason::NoUser));
    }
    if has(b"constraint check failed") || text.starts_with(b"no trusted ") || has(b"certificate was revoked")
    {
        let user = named(text, b"'").unwrap_or_default();
        return base(out.event(Act::Auth, Outcome::Failure).user(person(user)).reason(Reason::Certificate));
    }
    if has(b" is initiating a") || has(b"half open") || has(b"half-open") {
        return Parsed::Irrelevant(Kind::Transport);
    }
    if text.starts_with(b"CHILD_SA ") || text.starts_with(b"lease ") || text.starts_with(b"closing CHILD_SA")
    {
        return Parsed::Irrelevant(Kind::Repeats);
    }
    Parsed::housekeeping_if(begins_with(text, &KNOWN) || has(b" state change: ") || has(b" (myself) "))
}

/// Beginnings of steps on the way to an IKE_SA that neither let anybody in nor refuse him, and of the daemon's own.
const KNOWN: [&[u8]; 33] = [
    b"activating ",
    b"added ",
    b"allow ",
    b"checking certificate status",
    b"constraint ",
    b"destroying ",
    b"establishing ",
    b"initiating ",
    b"ignoring ",
    b"keeping ",
    b"linked key for ",
    b"loaded ",
    b"loading ",
    b"maximum IKE_SA lifetime",
    b"ocsp ",
    b"peer requested ",
    b"peer supports ",
    b"queueing ",
    b"reached self-signed root",
    b"received ",
    b"rekeying ",
    b"remote host is ",
    b"removed ",
    b"retransmit ",
    b"scheduling ",
    b"selected ",
    b"selecting ",
    b"sending ",
    b"server requested ",
    b"using ",
    b"vici ",
    b"virtual IP pool",
    b"installing ",
];

/// From `marker` to the last `'`.
fn named<'a>(text: &'a [u8], marker: &[u8]) -> Option<&'a [u8]> {
    let rest = after(text, marker, b"")?;
    Some(&rest[..memchr::memrchr(b'\'', rest)?])
}

/// The account in an identity: the common name of a certificate, else all of it; an address or `%any` is nobody.
fn person(id: &[u8]) -> &[u8] {
    if id == b"%any" || Ip::parse(id).is_some() {
        return b"";
    }
    after(id, b"CN=", b",").unwrap_or(id)
}
