//! Remote Desktop Web Access: logins to the portal and to the feed of RemoteApps, in the log of IIS.
//!
//! Read from: Microsoft "RD Web Access", "IIS: W3C logging fields", "HTTP status codes in IIS". Traps: a good login is
//! answered with a redirect and a bad one with the form again, so 302 is success and 200 failure; the form hides the
//! name from the log; with Windows authentication 401 comes twice before every login;
//! IIS writes UTC, and a shipper may cut the lines from their columns' names.

use crate::decode::clock::{self, Clock, Stamp};
use crate::decode::find::find;
use crate::decode::json::Paths;
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Method, Outcome, Reason, Service};
use portreeve_model::time::{Certainty, EventTime};
use std::borrow::Cow;
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
    traps: &["redirect_is_success", "windows_authentication", "no_names"],
    manual: "Microsoft: IIS W3C extended logging; RD Web Access",
    enable: "on by default: IIS W3C logging of the site of RD Web, with c-ip, cs-username, sc-status and sc-win32-status",
    general: false,
    marks: &["/RDWeb/", "/rdweb/", "/RdWeb/"],
    reader: Reader::Code {
        claim: |r| match r.shape {
            Shape::Json => {
                find(r.body, b"\"cs-uri-stem\"").is_some()
                    && (find(r.body, b"\"/RDWeb/").is_some()
                        || find(r.body, b"\"/rdweb/").is_some()
                        || find(r.body, b"\"/RdWeb/").is_some())
            }
            Shape::Text => line(r).is_some(),
            _ => false,
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

fn at(date: &[u8], time: &[u8]) -> Option<(EventTime, Certainty)> {
    let mut stamp = date.to_vec();
    stamp.push(b' ');
    stamp.extend_from_slice(time);
    match clock::iso(&stamp)?.0 {
        Stamp::Absolute(t) => Some((t, Certainty::Exact)),
        Stamp::Local(civil) => Some((Clock::with_offset(civil, 0)?, Certainty::Exact)),
    }
}

/// One request.
struct Request<'a> {
    date: &'a [u8],
    time: &'a [u8],
    method: &'a [u8],
    page: &'a [u8],
    user: Cow<'a, [u8]>,
    client: &'a [u8],
    agent: Cow<'a, [u8]>,
    status: &'a [u8],
    win32: &'a [u8],
    server: &'a [u8],
}

/// A line that was shipped without the columns' names, in the order that IIS has from the start:
/// `date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status
/// sc-substatus sc-win32-status time-taken`.
fn line<'a>(r: &Record<'a>) -> Option<Request<'a>> {
    columns(r.body).or_else(|| columns(r.raw))
}

fn columns(line: &[u8]) -> Option<Request<'_>> {
    let mut column = [&b""[..]; 15];
    let mut words = line.trim_ascii().split(|b| *b == b' ');
    for place in &mut column {
        *place = words.next()?;
    }
    let [date, time, _, method, page, _, port, user, client, agent, _, status, _, win32, _] = column;
    let digits = |t: &[u8]| !t.is_empty() && t.iter().all(u8::is_ascii_digit);
    let ours = page.get(..7).is_some_and(|p| p.eq_ignore_ascii_case(b"/rdweb/"));
    if !ours || date.len() != 10 || time.len() != 8 || !digits(port) || !digits(status) || !digits(win32) {
        return None;
    }
    let user = if user == b"-" { b"" } else { user };
    Some(Request {
        date,
        time,
        method,
        page,
        user: Cow::Borrowed(user),
        client,
        agent: Cow::Borrowed(agent),
        status,
        win32,
        server: b"",
    })
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let q = if r.shape == Shape::Json {
        let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
        Request {
            date: v[0].bytes(),
            time: v[1].bytes(),
            method: v[2].bytes(),
            page: v[3].bytes(),
            user: v[4].text(),
            client: v[5].bytes(),
            agent: v[6].text(),
            status: v[7].bytes(),
            win32: v[8].bytes(),
            server: v[9].bytes(),
        }
    } else {
        let Some(q) = line(r) else { return Parsed::NotMine };
        q
    };
    let (page, status) = (q.page.to_ascii_lowercase(), q.status);
    let (form, feed) = (page.ends_with(b"/login.aspx"), page.ends_with(b"/webfeedlogin.aspx"));
    let (outcome, reason) = match (form, feed, status) {
        (true, _, _) if q.method != b"POST" => return Parsed::Irrelevant(Kind::Pending),
        (true, _, b"302" | b"303") => (Outcome::Success, Reason::None),
        (true, _, b"200") => (Outcome::Failure, Reason::BadPassword),
        (_, true, b"200") => (Outcome::Success, Reason::None),
        (_, true, b"401") => match q.win32 {
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
    let agent: Vec<u8> = q.agent.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
    out.event(Act::Auth, outcome)
        .at(at(q.date, q.time).or_else(|| r.header_time()))
        .service(Service::RdGateway)
        .user(&q.user)
        .source(q.client)
        .client(&agent)
        .observer(if q.server.is_empty() { r.outer_host } else { q.server })
        .group(if form { b"RD Web Access" } else { b"RemoteApp feed" })
        .method(if form { Method::Password } else { Method::Unknown })
        .reason(reason)
        .done()
}
