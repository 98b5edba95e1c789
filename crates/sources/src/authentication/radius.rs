//! FreeRADIUS server log.
//!
//! Read from: radiusd.conf `log { auth = yes }`. Traps: tunnelled EAP is written twice, the inner line with
//! `via TLS tunnel`; the bracket holds `user/password` where `auth_badpass` is on; the client is the switch or gateway.

use crate::decode::clock::{self, Stamp};
use crate::decode::kv::{after, word};
use crate::emit::Emit;
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Flags, Method, Outcome, Reason, Service};
use portreeve_model::time::Certainty;

pub static SOURCE: Source = Source {
    name: "freeradius",
    title: "FreeRADIUS",
    row: Row::Authentication,
    gives: &[Act::Auth, Act::Nac],
    lacks: &[Field::Mfa, Field::TunnelIp, Field::Zone, Field::SessionEnd],
    traps: &["inner_and_outer"],
    manual: "FreeRADIUS: radiusd.conf(5)",
    enable: "log { auth = yes } in radiusd.conf; msg_goodpass with %{Calling-Station-Id}",
    general: false,
    marks: &["Login OK: [", "Login incorrect", "radiusd", "freeradius", " : Auth: ", " : Info: "],
    reader: Reader::Code {
        claim: |r| {
            crate::decode::find::find(r.raw, b"Login OK: [")
                .or_else(|| crate::decode::find::find(r.raw, b"Login incorrect"))
                .is_some()
                || r.header.program.starts_with(b"radiusd")
                || r.header.program.starts_with(b"freeradius")
                || crate::decode::find::find(&r.raw[..r.raw.len().min(40)], b" : Auth: ")
                    .or_else(|| crate::decode::find::find(&r.raw[..r.raw.len().min(40)], b" : Info: "))
                    .is_some()
        },
        parse,
        join: None,
    },
};

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let ok = crate::decode::find::find(r.raw, b"Login OK: [");
    let failed = crate::decode::find::find(r.raw, b"Login incorrect");
    let (from, outcome) = match (ok, failed) {
        (Some(n), _) => (n, Outcome::Success),
        (_, Some(n)) => (n, Outcome::Failure),
        _ => return Parsed::Irrelevant(Kind::Housekeeping),
    };
    // `Mon Oct  6 02:45:42 2026 : Auth: …` without syslog.
    let stamp = r.raw.get(4..).and_then(clock::bsd);
    let at = match stamp {
        Some((Stamp::Local(civil), _)) if r.header.time.is_none() => r.clock.resolve(civil),
        Some((Stamp::Absolute(t), _)) => Some((t, Certainty::Exact)),
        _ => r.header_time(),
    };
    let text = &r.raw[from..];
    let Some(name) = after(text, b"[", b"]") else { return Parsed::Broken(Why::Missing("user")) };
    // A password may stand behind a slash: it is never kept.
    let user = &name[..memchr::memchr(b'/', name)
        .filter(|n| !name[..*n].is_empty() && !name.starts_with(b"host/"))
        .unwrap_or(name.len())];
    let Some(inside) = after(text, b"(from client ", b")") else {
        return Parsed::Broken(Why::Missing("client"));
    };
    let client = word(inside).0;
    let station = after(inside, b" cli ", b" ").unwrap_or_default();
    let inner = crate::decode::find::find(inside, b"via TLS tunnel").is_some();
    let said = after(text, b"Login incorrect (", b")").unwrap_or_default();
    let reason = match outcome {
        Outcome::Success => Reason::None,
        _ if crate::decode::find::find(said, b"No such user").is_some()
            || crate::decode::find::find(said, b"not found").is_some() =>
        {
            Reason::NoUser
        }
        _ => Reason::BadPassword,
    };
    if Ip::parse(station).is_some() {
        return out
            .event(Act::Auth, outcome)
            .at(at)
            .service(Service::Radius)
            .user(user)
            .source(station)
            .observer(client)
            .reason(reason)
            .flag(Flags::PRE_MFA)
            .flag_if(inner, Flags::REPEATS)
            .done();
    }
    if inner {
        return Parsed::Irrelevant(Kind::Repeats);
    }
    out.event(Act::Nac, outcome)
        .at(at)
        .service(Service::Wireless)
        .user(user)
        .mac(station)
        .observer(client)
        .method(Method::Dot1x)
        .reason(reason)
        .done()
}
