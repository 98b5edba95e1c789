//! What any record says by the names of its fields: who, from where, when. For `portreeve parse`, where a record of
//! no known kind, or one that no question of the playbook needs, should still come out with what it plainly says.
//! A hunt never uses it: evidence needs a source whose meaning is known.

use crate::decode::clock::{self, Stamp};
use crate::decode::find::find;
use crate::decode::kv;
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Kind, Parsed, Reader, Row, Source};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Outcome};
use portreeve_model::time::{Certainty, EventTime};

/// Stands for no product; in no list.
pub static PLAIN: Source = Source {
    name: "plain",
    title: "Any record, by the names of its fields",
    row: Row::Authentication,
    gives: &[Act::Posture],
    lacks: &[],
    traps: &[],
    manual: "",
    enable: "",
    general: false,
    marks: &[],
    reader: Reader::Code { claim: |_| true, parse: read, join: None },
};

/// Names of fields, most telling first, in lower case and without `_`, `-`, blanks and dots.
const USER: &[&str] = &[
    "targetusername",
    "userprincipalname",
    "username",
    "srcuser",
    "sourceuser",
    "sourceusername",
    "subjectusername",
    "userid",
    "login",
    "accountname",
    "duser",
    "suser",
    "usrname",
    "user",
    "uname",
    "useremail",
    "principalemail",
    "actoremail",
    "admin",
    "account",
    "actor",
    "by",
    "authorizingcommonname",
    "unauthuser",
    "adminname",
    "initiatingprocessaccountname",
    "identity",
];
const ADDRESS: &[&str] = &[
    "srcip",
    "sourceip",
    "sourceipaddress",
    "sourceaddress",
    "srcaddr",
    "srcaddress",
    "clientip",
    "clientipaddress",
    "remip",
    "remoteip",
    "remoteipaddress",
    "remoteaddress",
    "calleripaddress",
    "callerip",
    "ipaddress",
    "actoripaddress",
    "actorip",
    "useripaddress",
    "clientaddress",
    "src",
    "sourceips",
    "aip",
    "framedipaddress",
    "nasipaddress",
    "deviceipaddress",
    "client",
    "ip",
    "from",
    "machineip",
    "adminipaddress",
    "userip",
    "publicip",
    "ui",
    "loginip",
    "localip",
];
const TIME: &[&str] = &[
    "@timestamp",
    // Sysmon's own, always UTC, where the shipper writes local time.
    "utctime",
    "eventtime",
    "timestamp",
    "timegenerated",
    "creationtime",
    "createddatetime",
    "activitydatetime",
    "published",
    "time",
    "date",
    "datetime",
    "isotimestamp",
    "rt",
    "start",
    "createdat",
    "eventdate",
    "requestreceivedtimestamp",
    "eventcreationtime",
];

/// What vendors put before the names of their fields.
const PREFIXES: &[&str] = &["ftntfgt", "fortinetfortigate", "ad", "panos"];

#[derive(Default)]
struct Found {
    user: Option<(usize, String)>,
    address: Option<(usize, Ip)>,
    time: Option<(usize, EventTime)>,
    outcome: Outcome,
    /// The message of a record with fields.
    message: String,
}

impl Found {
    fn take(&mut self, key: &str, value: &str) {
        let key: String = key
            .chars()
            .filter(|c| !matches!(c, '_' | '-' | ' ' | '.'))
            .flat_map(char::to_lowercase)
            .collect();
        let key = PREFIXES.iter().find_map(|p| key.strip_prefix(p)).unwrap_or(&key);
        let value = value.trim().trim_matches('"');
        if value.is_empty() {
            return;
        }
        if matches!(key, "msg" | "message" | "eventdescription") && value.len() > self.message.len() {
            value.clone_into(&mut self.message);
        }
        let rank = |list: &[&str]| list.iter().position(|n| *n == key);
        // A security identifier says less than any name.
        let sid = if value.starts_with("S-1-") { USER.len() } else { 0 };
        if let Some(rank) = rank(USER).map(|r| r + sid)
            && self.user.as_ref().is_none_or(|(r, _)| rank < *r)
            && !matches!(value, "-" | "N/A" | "null" | "unknown")
        {
            self.user = Some((rank, value.to_owned()));
        }
        if let Some(rank) = rank(ADDRESS)
            && self.address.is_none_or(|(r, _)| rank < r)
        {
            // `GUI(192.0.2.1)`, `192.0.2.1, 10.0.0.1`.
            let value = value.split(',').next().unwrap_or_default();
            let value = value.split(['(', ')']).nth(1).unwrap_or(value).trim();
            let (ip, _) = Ip::parse_with_port(value.as_bytes());
            if ip.is_some() {
                self.address = Some((rank, ip));
            }
        }
        if let Some(rank) = rank(TIME)
            && self.time.is_none_or(|(r, _)| rank < r)
            && let Some(at) = stamp(value)
        {
            self.time = Some((rank, at));
        }
        if matches!(
            key,
            "outcome" | "result" | "status" | "resultstatus" | "eventoutcome" | "eventtype" | "action"
        ) {
            let value = value.to_ascii_lowercase();
            if ["fail", "denied", "reject", "invalid", "error"].iter().any(|w| value.contains(w)) {
                self.outcome = Outcome::Failure;
            } else if ["succe", "allowed", "accepted", "granted", "login_ok"]
                .iter()
                .any(|w| value.contains(w))
                && self.outcome == Outcome::Unknown
            {
                self.outcome = Outcome::Success;
            }
        }
    }

    fn tree(&mut self, key: &str, value: &serde_json::Value) {
        match value {
            serde_json::Value::Object(map) => {
                for (k, v) in map {
                    // `user: {name: …}` and `source: {ip: …}` say it in two steps.
                    let joined = match (key.to_ascii_lowercase().as_str(), k.to_ascii_lowercase().as_str()) {
                        ("user" | "actor" | "account", "name" | "email" | "username" | "login") => "username",
                        ("source" | "client" | "src" | "access_device", "ip" | "address" | "ipaddress") => {
                            "srcip"
                        }
                        _ => k.as_str(),
                    };
                    self.tree(joined, v);
                }
            }
            serde_json::Value::Array(all) => all.iter().take(16).for_each(|v| self.tree(key, v)),
            serde_json::Value::String(text) => self.take(key, text),
            serde_json::Value::Number(n) => self.take(key, &n.to_string()),
            _ => {}
        }
    }
}

fn stamp(value: &str) -> Option<EventTime> {
    let value = value.as_bytes();
    match clock::iso(value).or_else(|| clock::bsd(value)) {
        Some((Stamp::Absolute(t), _)) => Some(t),
        Some((Stamp::Local(civil), _)) => clock::Clock::with_offset(civil, 0),
        None => clock::epoch(value),
    }
}

/// A stamp at the front of a line: ISO, BSD, `Tue Aug 12 08:26:30 2025`, `2023/07/04:09:03:46`.
fn leading(text: &[u8]) -> Option<(Stamp, usize)> {
    if let Some(found) = clock::iso(text).or_else(|| clock::bsd(text)) {
        return Some(found);
    }
    if text.get(3) == Some(&b' ')
        && let Some((stamp, used)) = clock::bsd(text.get(4..)?)
    {
        return Some((stamp, used + 4));
    }
    // Seconds since 1970 and a fraction: `1673596662.226844514 `.
    if text.get(10) == Some(&b'.') && text[..10].iter().all(u8::is_ascii_digit) {
        let end = memchr::memchr(b' ', text)?;
        return clock::epoch(&text[..end.min(17)]).map(|t| (Stamp::Absolute(t), end));
    }
    // The colon between day and hour is NetScaler's.
    let mut spaced = [0u8; 19];
    spaced.copy_from_slice(text.get(..19)?);
    if spaced[10] == b':' && spaced[4] == b'/' {
        spaced[10] = b' ';
        return clock::iso(&spaced).map(|(stamp, _)| (stamp, 19));
    }
    None
}

/// What a message says of its end, by its words; failure is said more plainly.
fn told(text: &[u8]) -> Outcome {
    let has = |words: &[&[u8]]| words.iter().any(|w| find(text, w).is_some());
    if has(&[
        b"ailed",
        b"ailure",
        b"enied",
        b" Deny",
        b"ejected",
        b"nvalid",
        b"ncorrect",
        b"forbidden",
        b"aborted",
    ]) {
        Outcome::Failure
    } else if has(&[b"ucceeded", b"uccess", b"Login OK", b"Accepted", b"ostponed"]) {
        Outcome::Success
    } else {
        Outcome::Unknown
    }
}

/// `name/192.0.2.1:4711 …`, as OpenVPN names its peers.
fn peer(text: &[u8], found: &mut Found) {
    // `192.0.2.1:4711 -> 10.0.0.5:443`: the left end began it.
    if let Some(arrow) = find(text, b" -> ") {
        let left = text[..arrow].rsplit(|b| matches!(b, b' ' | b',' | b'(')).next().unwrap_or_default();
        let (ip, _) = Ip::parse_with_port(left);
        if ip.is_some() {
            found.address = found.address.or(Some((90, ip)));
        }
    }
    for at in memchr::memchr_iter(b'/', text).take(4) {
        let address = text[at + 1..].split(|b| *b == b' ').next().unwrap_or_default();
        let (ip, port) = Ip::parse_with_port(address);
        if ip.is_some() && port != 0 && at > 0 {
            found.address = found.address.or(Some((90, ip)));
            let name = text[..at].trim_ascii();
            if name.len() < 80 && !name.contains(&b':') && found.user.is_none() {
                found.user = Some((90, String::from_utf8_lossy(name).into_owned()));
            }
            return;
        }
    }
}

/// The plain words of a message: `from 192.0.2.1`, `for user anna`, `User 'anna'`.
fn words(text: &[u8], found: &mut Found) {
    for marker in [
        &b" from IP "[..],
        b"Remote:",
        b"SrcIP: ",
        b"Srcip: ",
        b"Peer IP=",
        b" from ",
        b"From: ",
        b"(client ip : ",
        b"Source: ",
        b" src ",
        b"IP <",
        b"client ",
        b"ClientIP ",
        b"Client_ip ",
        b"Source ",
        b"faddr ",
        b" for ",
        b" flow ",
        b" tcp ",
        b" udp ",
        b"IP Address=",
        b"NAD Address=",
        b"(",
        b" address ",
        b"entry: ",
        b" on ",
        b" of ",
        b" ip ",
        b" by ",
        b"",
    ] {
        if found.address.is_some() {
            break;
        }
        if let Some(rest) = kv::after(text, marker, b"") {
            let token = rest
                .split(|b| matches!(b, b' ' | b'/' | b',' | b'>' | b'(' | b')' | b';' | b'\'' | b'"'))
                .next()
                .unwrap_or_default();
            // `outside:192.0.2.1`: the interface stands before.
            let bare = token.rsplit(|b| *b == b':').next().filter(|t| t.contains(&b'.')).unwrap_or(token);
            let ip = [token, bare]
                .iter()
                .map(|t| Ip::parse_with_port(t.strip_suffix(b".").unwrap_or(t)).0)
                .find(|ip| ip.is_some());
            if let Some(ip) = ip {
                found.address = Some((99, ip));
            }
        }
    }
    for (marker, end) in [
        (&b"User <"[..], &b">"[..]),
        (b"User '", b"'"),
        (b"user '", b"'"),
        (b"user \"", b"\""),
        (b"Uname: ", b","),
        (b"Username = ", b","),
        (b"Username: ", b" "),
        (b"Username:", b" "),
        (b"user = ", b" "),
        (b"user: ", b" "),
        (b"user=", b" "),
        (b"User=", b" "),
        (b"User[", b"]"),
        (b"AdminName=", b","),
        (b"user id '", b"'"),
        (b"for user ", b" "),
        (b"by user ", b" "),
        (b"illegal user ", b" "),
        (b"invalid user ", b" "),
        (b"User ", b" "),
        (b"user ", b" "),
        (b"failed by ", b" "),
        (b"rejected for ", b" "),
        (b"google_authenticator for ", b" "),
        (b"publickey for ", b" "),
        (b"bind as ", b" "),
        (b"(Rejected: User-Name contains whitespace): [", b"]"),
        (b"DN \"CN=", b","),
    ] {
        if found.user.is_some() {
            break;
        }
        if let Some(name) = kv::after(text, marker, end).filter(|n| !n.is_empty() && n.len() < 80) {
            let name = String::from_utf8_lossy(name);
            let name =
                name.trim_matches(|c: char| matches!(c, ',' | '\'' | '"' | '.' | ';' | ':' | ']' | '['));
            if !name.is_empty() && Ip::parse(name.as_bytes()).is_none() && !NO_NAMES.contains(&name) {
                found.user = Some((99, name.to_owned()));
            }
        }
    }
}

/// Words that follow "user" in messages and are no user.
const NO_NAMES: &[&str] = &[
    "has",
    "was",
    "is",
    "authentication",
    "authorization",
    "logged",
    "from",
    "for",
    "name",
    "account",
    "(Rejected",
    "or",
    "password",
    "on",
];

/// `(DOMAIN\\anna)`, as a firewall with identity names who is behind an address.
fn identity(text: &[u8], found: &mut Found) {
    for open in memchr::memchr_iter(b'(', text) {
        let inner = &text[open + 1..];
        let Some(close) = memchr::memchr(b')', inner).filter(|n| *n < 80) else { continue };
        let name = &inner[..close];
        if name.contains(&b'\\') && !name.contains(&b' ') && found.user.is_none() {
            found.user = Some((95, String::from_utf8_lossy(name).into_owned()));
        }
    }
}

fn read(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let mut found = Found::default();
    let mut header = r.header_time();
    if crate::pan::kind(r).is_some() {
        let row = crate::pan::Columns::of(r);
        let (user, source) = row.who();
        header = row.time(r).or(header);
        found.user = Some(row.plain(user))
            .filter(|u| !u.is_empty())
            .map(|u| (50, String::from_utf8_lossy(&u).into_owned()));
        found.address = Some(Ip::parse(source)).filter(|ip| ip.is_some()).map(|ip| (50, ip));
    }
    match r.shape {
        Shape::Json => {
            if let Ok(tree) = serde_json::from_slice::<serde_json::Value>(r.body) {
                found.tree("", &tree);
            }
        }
        Shape::Cef => {
            if let Some((_, extension)) = kv::cef(r.body) {
                for (key, value) in kv::cef_pairs(extension) {
                    found.take(
                        &String::from_utf8_lossy(key),
                        &String::from_utf8_lossy(&kv::cef_unescape(value)),
                    );
                }
            }
        }
        Shape::Leef => {
            if let Some((_, separator, attributes)) = kv::leef(r.body) {
                for (key, value) in kv::leef_pairs(attributes, separator) {
                    found.take(&String::from_utf8_lossy(key), &String::from_utf8_lossy(value));
                }
            }
        }
        _ => {
            let (mut date, mut time, mut zone) = (String::new(), String::new(), String::new());
            for (key, value) in kv::pairs(r.body) {
                let (key, value) = (String::from_utf8_lossy(key), String::from_utf8_lossy(value));
                match &*key {
                    "date" => date = value.into_owned(),
                    "time" => time = value.into_owned(),
                    "tz" => zone = value.into_owned(),
                    _ => found.take(&key, &value),
                }
            }
            if !date.is_empty() || time.len() >= 19 {
                found.take("time", format!("{date} {time}{zone}").trim());
            }
            // `[action:"Accept"; src:"192.0.2.1"; …]`, which looks like structured data.
            for (key, value) in kv::colon_pairs(r.raw) {
                found.take(&String::from_utf8_lossy(key), &String::from_utf8_lossy(value));
            }
            let body = r.body.strip_prefix(b"\"").unwrap_or(r.body);
            let mut text = body;
            if let Some((s, used)) = leading(body) {
                header = header.or_else(|| match s {
                    Stamp::Absolute(t) => Some((t, Certainty::Exact)),
                    Stamp::Local(civil) => r.clock.resolve(civil),
                });
                text = &body[used..];
                // OpenVPN's fraction.
                if let Some(rest) = text.trim_ascii_start().strip_prefix(b"us=") {
                    text = kv::word(rest).1;
                }
            }
            peer(text, &mut found);
            identity(text, &mut found);
            words(text, &mut found);
            if found.outcome == Outcome::Unknown {
                found.outcome = told(text);
            }
        }
    }
    let message = std::mem::take(&mut found.message);
    words(message.as_bytes(), &mut found);
    let at = header.or_else(|| found.time.map(|(_, t)| (t, Certainty::Exact)));
    if at.is_none() && found.user.is_none() && found.address.is_none() {
        return Parsed::Irrelevant(Kind::OtherMessage);
    }
    let user = found.user.map(|(_, u)| u).unwrap_or_default();
    let ip = found.address.map_or(Ip::default(), |(_, ip)| ip);
    out.event(Act::Posture, found.outcome)
        .at(at)
        .user(user.as_bytes())
        .source_ip(ip)
        .host(r.host())
        .observer(r.host())
        .done()
}
