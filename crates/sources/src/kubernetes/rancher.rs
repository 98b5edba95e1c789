//! Rancher's own API audit log: logins to Rancher and what passes through it to its clusters.
//!
//! Read from: Rancher "Enabling the API Audit Log to Record System Events". Traps: the user is an internal id, the name that
//! was typed stands in the body of the request and only from level 2 on; steps before a login answer 200 too.

use crate::cloud::{member, utc};
use crate::decode::find::find;
use crate::decode::json::{Paths, Value, unescape};
use crate::decode::kv::number;
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Flags, Method, Mfa, Outcome, Reason, Service};
use std::borrow::Cow;
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "rancher",
    title: "Rancher API audit log",
    row: Row::Kubernetes,
    gives: &[Act::Auth, Act::Api],
    lacks: &[
        Field::TunnelIp,
        Field::Device,
        Field::SessionId,
        Field::SessionEnd,
        Field::Mfa,
        Field::Host,
        Field::Bytes,
    ],
    traps: &["login_names"],
    manual: "Rancher: Enabling the API Audit Log to Record System Events",
    enable: "auditLog.level=2 (AUDIT_LEVEL) of the Rancher server, so that the body of a login is recorded",
    general: false,
    marks: &["\"auditID\""],
    reader: Reader::Code {
        claim: |r| {
            let has = |needle: &[u8]| find(r.body, needle).is_some();
            r.shape == Shape::Json
                && has(b"\"auditID\"")
                && has(b"\"requestURI\"")
                && has(b"\"method\"")
                && !has(b"\"verb\"")
                && !has(b"\"audit.k8s.io/")
        },
        parse,
        join: None,
    },
};

static PATHS: LazyLock<Paths<14>> = LazyLock::new(|| {
    Paths::new([
        "requestURI",
        "method",
        "user.name",
        "remoteAddr",
        "responseCode",
        "responseStatus",
        "requestTimestamp",
        "responseTimestamp",
        "requestBody",
        "stageTimestamp",
        "stage",
        "userAgent",
        "user.extra.username",
        "userLoginName",
    ])
});

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    if v[10].is(b"RequestReceived") {
        return Parsed::Irrelevant(Kind::Repeats);
    }
    let uri = v[0].bytes();
    let code = number(if v[4].is_missing() { v[5].bytes() } else { v[4].bytes() });
    let at = [v[6], v[7], v[9]].iter().find_map(|t| utc(t.bytes())).or_else(|| r.header_time());
    let login = find(uri, b"action=login").is_some() && v[1].is(b"POST");
    let exec = [&b"/exec"[..], b"/attach", b"/portforward", b"?shell=true", b"&shell=true"]
        .iter()
        .any(|w| find(uri, w).is_some());
    if !login && !exec {
        return Parsed::Irrelevant(if v[1].is(b"GET") { Kind::RoutineUse } else { Kind::OtherMessage });
    }
    let ok = code < 400;
    let denied = matches!(code, 401 | 403);
    let body: Cow<'_, [u8]> = match v[8] {
        Value::Text(t) => unescape(t),
        other => Cow::Borrowed(other.nested()),
    };
    let typed = member(&body, b"\"username\"").unwrap_or_default();
    let listed = crate::decode::json::elements(v[12].nested()).next().unwrap_or_default();
    let known = [v[13], listed, v[2]].into_iter().find(|x| !x.bytes().is_empty()).unwrap_or_default();
    let typed = unescape(typed);
    let user: &[u8] = match (login, &*typed) {
        // Whoever logs in is nobody yet.
        (true, b"") if known.bytes().starts_with(b"system:") => b"",
        (true, typed) if !typed.is_empty() => typed,
        _ => known.bytes(),
    };
    out.event(if login { Act::Auth } else { Act::Api }, if ok { Outcome::Success } else { Outcome::Failure })
        .at(at)
        .service(Service::Kubernetes)
        .user(user)
        .source(v[3].bytes())
        .client(&v[11].text())
        .detail(uri.split(|b| *b == b'?').next().unwrap_or_default())
        .method(if login { Method::Password } else { Method::Token })
        .mfa(Mfa::Unknown)
        .reason(match (ok, login, denied) {
            (true, ..) => Reason::None,
            (false, true, true) => Reason::BadPassword,
            (false, false, true) => Reason::NotAllowed,
            _ => Reason::Other,
        })
        .flag_if(exec, Flags::REMOTE_SHELL)
        .done()
}
