//! Remote Desktop Web Access: logins to the portal and to the feed of RemoteApps, in the log of IIS.
//!
//! Read from: Microsoft "RD Web Access", "IIS: W3C logging fields", "HTTP status codes in IIS". Traps: a good login is
//! answered with a redirect and a bad one with the form again, so 302 is success and 200 failure; the form hides the
//! name from the log; with Windows authentication 401 comes twice before every login; IIS writes UTC.

use crate::decode::clock::{self, Clock, Stamp};
use crate::decode::find::find;
use crate::decode::json::{Paths, Value};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Method, Outcome, Reason, Service};
use portreeve_model::time::{Certainty, EventTime};
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "rd_web",
    title: "Windows RD Web Access (IIS)",
    row: Row::Remote,
    gives: &[Act::Auth],
    lacks: &[
        Field::TunnelIp,
        Field::Device,
        Field::Mfa,
        Field::SessionId,
        Field::SessionEnd,
        Field::Bytes,
        Field::Host,
    ],
    traps: &["redirect_is_success", "windows_authentication"],
    manual: "Microsoft: IIS W3C extended logging; RD Web Access",
    enable: "on by default: IIS W3C logging of the site of RD Web, with c-ip, cs-username, sc-status and sc-win32-status",
    general: false,
    marks: &["/RDWeb/", "/rdweb/", "/RdWeb/"],
    reader: Reader::Code {
        claim: |r| {
            r.shape == Shape::Json
                && find(r.body, b"\"cs-uri-stem\"").is_some()
                && (find(r.body, b"\"/RDWeb/").is_some()
                    || find(r.body, b"\"/rdweb/").is_some()
                    || find(r.body, b"\"/RdWeb/").is_some())
        },
        parse,
        join: None,
    },
};

static PATHS: LazyLock<Paths<10>> = LazyLock::new(|| {
    Paths::new([
        "date",
        "time",
        "cs-method",
        "cs-uri-stem",
        "cs-username",
        "c-ip",
        "cs(User-Agent)",
        "sc-status",
        "sc-win32-status",
        "s-computername",
    ])
});

fn at(date: Value<'_>, time: Value<'_>) -> Option<(EventTime, Certainty)> {
    let mut stamp = date.bytes().to_vec();
    stamp.push(b' ');
    stamp.extend_from_slice(time.bytes());
    match clock::iso(&stamp)?.0 {
        Stamp::Absolute(t) => Some((t, Certainty::Exact)),
        Stamp::Local(civil) => Some((Clock::with_offset(civil, 0)?, Certainty::Exact)),
    }
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let page = v[3].bytes().to_ascii_lowercase();
    let status = v[7].bytes();
    let (form, feed) = (page.ends_with(b"/login.aspx"), page.ends_with(b"/webfeedlogin.aspx"));
    let win32 = v[8].bytes();
    let (outcome, reason) = match (form, feed, status) {
        (true, _, _) if !v[2].is(b"POST") => return Parsed::Irrelevant(Kind::Pending),
        (true, _, b"302" | b"303") => (Outcome::Success, Reason::None),
        (true, _, b"200") => (Outcome::Failure, Reason::BadPassword),
        (_, true, b"200") => (Outcome::Success, Reason::None),
        (_, true, b"401") => match win32 {
            b"1326" => (Outcome::Failure, Reason::BadPassword),
            b"1909" => (Outcome::Failure, Reason::Locked),
            b"1330" | b"1907" => (Outcome::Failure, Reason::Expired),
            b"1331" => (Outcome::Failure, Reason::Disabled),
            b"1328" => (Outcome::Failure, Reason::Hours),
            // The question for a password, not the answer to one.
            _ => return Parsed::Irrelevant(Kind::Pending),
        },
        (true, _, _) | (_, true, _) => return Parsed::Irrelevant(Kind::Transport),
        _ => return Parsed::Irrelevant(Kind::RoutineUse),
    };
    // IIS writes `+` for a blank.
    let agent: Vec<u8> = v[6].text().iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
    out.event(Act::Auth, outcome)
        .at(at(v[0], v[1]).or_else(|| r.header_time()))
        .service(Service::RdGateway)
        .user(&v[4].text())
        .source(v[5].bytes())
        .client(&agent)
        .observer(v[9].bytes())
        .group(if form { b"RD Web Access" } else { b"RemoteApp feed" })
        .method(if form { Method::Password } else { Method::Unknown })
        .reason(reason)
        .done()
}
