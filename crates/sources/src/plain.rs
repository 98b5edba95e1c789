//! What any record says by the names of its fields: who, from where, when. For `portreeve parse`, where a record of
//! no known kind, or one that no question of the playbook needs, should still come out with what it plainly says.
//! A hunt never uses it: evidence needs a source whose meaning is known.

mod names;
mod stamp;

use crate::decode::clock::{self, Stamp};
use crate::decode::find::find;
use crate::decode::kv;
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Kind, Parsed, Reader, Row, Source};
use crate::windows::WinEvent;
use names::{ADDRESS, ADDRESS_ENDS, ENDS, OTHER_SIDE, PREFIXES, TIME, USER, USER_ENDS};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Outcome};
use portreeve_model::time::{Certainty, EventTime};
use stamp::{any_time, leading, named_month, stamp};

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

#[derive(Default)]
struct Found {
    user: Option<(usize, String)>,
    address: Option<(usize, Ip)>,
    time: Option<(usize, EventTime)>,
    outcome: Outcome,
    /// The same in words, where no field is there for it.
    said: Outcome,
    /// The message of a record with fields.
    message: String,
    /// A date without time, and a time without date.
    day: String,
    clock: String,
}

impl Found {
    fn take(&mut self, key: &str, value: &str) {
        let key = key.strip_prefix("ad.").unwrap_or(key);
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
        if matches!(key, "msg" | "message" | "eventdescription" | "description")
            && value.len() > self.message.len()
        {
            value.clone_into(&mut self.message);
        }
        let rank = |list: &[&str], ends: &[&str]| {
            let named = list.iter().position(|n| *n == key);
            let other = OTHER_SIDE.iter().any(|o| key.contains(o));
            named.or_else(|| {
                (!other).then(|| ends.iter().position(|e| key.ends_with(e))).flatten().map(|n| list.len() + n)
            })
        };
        // A security identifier says less than any name.
        let sid = if value.starts_with("S-1-") { 1_000 } else { 0 };
        if let Some(rank) = rank(USER, USER_ENDS).map(|r| r + sid)
            && self.user.as_ref().is_none_or(|(r, _)| rank < *r)
            && !matches!(value, "-" | "N/A" | "null" | "unknown")
        {
            // Guests of SharePoint.
            let name = value.strip_prefix("urn:spo:guest#").unwrap_or(value);
            self.user = Some((rank, name.trim_end_matches(':').to_owned()));
        }
        // `sourceIPv4Address`, `senderIp`.
        let sided = || {
            let has = |words: &[&str]| words.iter().any(|w| key.contains(w));
            (has(&["src", "source", "client", "sender", "peer", "caller", "actor"])
                && has(&["ip", "addr"])
                && !has(OTHER_SIDE))
            .then_some(500)
        };
        if let Some(rank) = rank(ADDRESS, ADDRESS_ENDS).or_else(sided)
            && self.address.is_none_or(|(r, _)| rank < r)
        {
            // `GUI(192.0.2.1)`, `192.0.2.1, 10.0.0.1`.
            let value = value.split(',').next().unwrap_or_default();
            let value = value.split(['(', ')']).nth(1).unwrap_or(value).trim();
            let ip = address_of(value.as_bytes());
            if ip.is_some() {
                self.address = Some((rank, ip));
            }
        }
        if let Some(rank) = rank(TIME, &[])
            && self.time.is_none_or(|(r, _)| rank < r)
        {
            match (key, stamp(value)) {
                (_, Some(at)) => self.time = Some((rank, at)),
                ("date", None) if value.len() == 10 => value.clone_into(&mut self.day),
                ("time", None) if value.as_bytes().get(2) == Some(&b':') => value.clone_into(&mut self.clock),
                _ => {}
            }
        }
        if ENDS.contains(&key) {
            let value = value.to_ascii_lowercase();
            let has = |words: &[&str]| words.iter().any(|w| value.contains(w));
            if has(&[
                "fail",
                "denied",
                "deny",
                "reject",
                "invalid",
                "error",
                "block",
                "refus",
                "not allowed",
                "unauthori",
            ]) {
                self.outcome = Outcome::Failure;
            } else if self.outcome == Outcome::Unknown
                && (has(&["succe", "allowed", "accepted", "granted", "login_ok", "permit", "logged in"])
                    || matches!(&*value, "ok" | "pass" | "allow" | "passed"))
            {
                self.outcome = Outcome::Success;
            }
        }
        // What happened, in words, under a name that promises as much.
        if self.said == Outcome::Unknown
            && value.len() < 80
            && ["event", "activity", "operation", "reason", "name", "title", "subject", "type"]
                .iter()
                .any(|w| key.contains(w))
        {
            self.said = told(value.as_bytes());
        }
        if matches!(key, "success" | "succeeded" | "issuccess" | "successful" | "authenticated") {
            match value.to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" if self.outcome == Outcome::Unknown => self.outcome = Outcome::Success,
                "false" | "0" | "no" => self.outcome = Outcome::Failure,
                _ => {}
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
                        (
                            "performed_by" | "performedby" | "initiatedby" | "initiator" | "principal",
                            "name" | "email",
                        ) => "performedby",
                        _ => k.as_str(),
                    };
                    self.tree(joined, v);
                }
            }
            serde_json::Value::Array(all) => all.iter().take(16).for_each(|v| self.tree(key, v)),
            serde_json::Value::String(text) => self.take(key, text),
            serde_json::Value::Number(n) => self.take(key, &n.to_string()),
            serde_json::Value::Bool(b) => self.take(key, if *b { "true" } else { "false" }),
            serde_json::Value::Null => {}
        }
    }
}

/// An address with or without its port, in the ways that products put the two together.
fn address_of(token: &[u8]) -> Ip {
    let token = token.split(|b| *b == b'#').next().unwrap_or_default();
    let token = token.strip_suffix(b".").or_else(|| token.strip_suffix(b":")).unwrap_or(token);
    Ip::parse_with_port(token).0
}

/// The first address of a text, where no word says which one is meant. Numbers of versions look alike.
fn any_address(text: &[u8]) -> Option<Ip> {
    let mut before: &[u8] = b"";
    for token in text.split(|b| b.is_ascii_whitespace() || b",;=|<>[](){}\"'".contains(b)) {
        if token.is_empty() {
            continue;
        }
        let ip = address_of(token);
        let version =
            [&b"ersion"[..], b"ersion:", b"elease", b"uild", b"v"].iter().any(|w| before.ends_with(w));
        if ip.is_some() && !version {
            return Some(ip);
        }
        before = token;
    }
    None
}

/// Account and stamp of a web server's line: `192.0.2.5 - anna [10/Oct/2000:13:55:36 -0700] "GET …`.
fn access_log(text: &[u8], found: &mut Found) {
    let Some(open) = memchr::memchr(b'[', text) else { return };
    let Some((Stamp::Absolute(at), _)) = text.get(open + 1..).and_then(named_month) else { return };
    found.time = found.time.or(Some((90, at)));
    let head = text.get(..open).unwrap_or_default().trim_ascii_end();
    let mut words = head.rsplit(|b| *b == b' ');
    let (user, ident) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if ident == b"-" && user != b"-" && found.user.is_none() {
        found.user = Some((90, String::from_utf8_lossy(user).into_owned()));
    }
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
        b"refused",
        b"nable to bind",
        b"ot allowed",
    ]) {
        Outcome::Failure
    } else if has(&[
        b"ucceeded",
        b"uccess",
        b"Login OK",
        b"ccepted",
        b"ostponed",
        b"logged in",
        b"granted",
        b"permitted",
        b"Allowed",
        b"ending 'Allow'",
    ]) {
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
    if found.address.is_none() {
        found.address = any_address(text).map(|ip| (200, ip));
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
        (b"User:", b" "),
        (b"user:", b" "),
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
            if name.contains(char::is_alphanumeric)
                && Ip::parse(name.as_bytes()).is_none()
                && !NO_NAMES.contains(&name)
            {
                found.user = Some((99, name.to_owned()));
            }
        }
    }
}

/// `Peer IP=192.0.2.5`: a name of two words, where the last alone would say too little.
fn whole_key<'a>(text: &'a [u8], key: &'a [u8]) -> &'a [u8] {
    if !matches!(key, b"IP" | b"ip" | b"Address" | b"address") {
        return key;
    }
    let Some(at) = (key.as_ptr() as usize).checked_sub(text.as_ptr() as usize) else { return key };
    let before = text.get(..at).unwrap_or_default();
    let Some(before) = before.strip_suffix(b" ") else { return key };
    let from = before.iter().rposition(|b| !b.is_ascii_alphabetic()).map_or(0, |n| n + 1);
    if from == before.len() { key } else { text.get(from..at + key.len()).unwrap_or(key) }
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

/// Who acts in a Windows event, before whom it is about.
fn windows(e: &WinEvent<'_>, r: &Record<'_>, found: &mut Found) {
    let first = |names: &[&str]| {
        names.iter().map(|n| e.get(n)).find(|v| !matches!(v.trim_ascii(), b"" | b"-" | b"N/A"))
    };
    if let Some(user) = first(&["SubjectUserName", "TargetUserName", "User", "UserName", "AccountName"]) {
        found.user = Some((0, String::from_utf8_lossy(user.trim_ascii()).into_owned()));
    }
    let address = first(&["IpAddress", "ClientAddress", "SourceIp", "SourceAddress", "Address"]);
    found.address = address.map(|a| address_of(&a)).filter(|ip| ip.is_some()).map(|ip| (0, ip));
    let has = |word: &[u8]| find(r.body, word).is_some();
    if has(b"AUDIT_FAILURE") || has(b"Audit Failure") || has(b"0x8010000000000000") {
        found.outcome = Outcome::Failure;
    } else if has(b"AUDIT_SUCCESS") || has(b"Audit Success") || has(b"0x8020000000000000") {
        found.outcome = Outcome::Success;
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
    if crate::windows::is_event(r)
        && let Some(e) = WinEvent::of(r)
    {
        windows(&e, r, &mut found);
        header = e.time(r).or(header);
        // Sysmon's own is UTC, where the event's may be local.
        if header.is_none_or(|(_, c)| c != Certainty::Exact)
            && let Some((Stamp::Local(civil), _)) = clock::iso(&e.get("UtcTime"))
        {
            header = clock::Clock::with_offset(civil, 0).map(|t| (t, Certainty::Exact)).or(header);
        }
    }
    match r.shape {
        Shape::Json => {
            if let Ok(tree) = serde_json::from_slice::<serde_json::Value>(r.body) {
                found.tree("", &tree);
            }
        }
        Shape::Cef => {
            if let Some((head, extension)) = kv::cef(r.body) {
                found.said = told(head[5]);
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
            // A relay's way to write the tabs between fields.
            let tabs = find(r.body, b"#011").map(|_| String::from_utf8_lossy(r.body).replace("#011", "\t"));
            let body = tabs.as_ref().map_or(r.body, |t| t.as_bytes());
            for (key, value) in kv::pairs(body) {
                let key = whole_key(body, key);
                let (key, value) = (String::from_utf8_lossy(key), String::from_utf8_lossy(value));
                match &*key {
                    "date" => date = value.into_owned(),
                    "time" => time = value.into_owned(),
                    "tz" => zone = value.into_owned(),
                    _ => found.take(&key, &value),
                }
            }
            // `time=2026-03-06 09:12:09` without quotes ends at the blank.
            if date.is_empty()
                && time.len() == 10
                && let Some(rest) = kv::after(body, time.as_bytes(), b"")
                && clock::iso(format!("{time}{}", String::from_utf8_lossy(rest)).as_bytes()).is_some()
            {
                time.push_str(&String::from_utf8_lossy(rest.get(..9).unwrap_or(rest)));
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
            access_log(text, &mut found);
            peer(text, &mut found);
            identity(text, &mut found);
            words(text, &mut found);
            if found.outcome == Outcome::Unknown {
                found.outcome = told(text);
            }
        }
    }
    if found.time.is_none() && !found.day.is_empty() && !found.clock.is_empty() {
        found.time = stamp(&format!("{} {}", found.day, found.clock)).map(|t| (90, t));
    }
    let message = std::mem::take(&mut found.message);
    words(message.as_bytes(), &mut found);
    if found.outcome == Outcome::Unknown {
        found.outcome = match found.said {
            Outcome::Unknown => told(message.as_bytes()),
            said => said,
        };
    }
    if found.time.is_none() && header.is_none() && r.shape == Shape::Text {
        found.time = any_time(r.body).map(|t| (99, t));
    }
    let at = header.or_else(|| found.time.map(|(_, t)| (t, Certainty::Exact))).or_else(|| {
        // A row without names for its columns: the first that can be seconds since 1970.
        let seconds = |t: &&[u8]| t.len() == 10 && t[0] == b'1' && t.iter().all(u8::is_ascii_digit);
        let mut columns = r.body.split(|b| *b == b' ').take(40);
        (r.shape == Shape::Text)
            .then(|| columns.find(seconds))
            .flatten()
            .and_then(clock::epoch)
            .map(|t| (t, Certainty::Exact))
    });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::clock::Clock;
    use crate::decode::frame;
    use portreeve_model::SymbolTable;
    use portreeve_model::intern::Interner;

    /// User, address and outcome that a record plainly says.
    fn said(text: &str) -> String {
        let clock = Clock::utc().keeping_untimed();
        let mut scratch = Vec::new();
        let r = frame::frame(text.as_bytes(), Default::default(), &clock, &mut scratch);
        let (names, mut events) = (SymbolTable::new(), Vec::new());
        let mut interner = Interner::new(names.clone());
        read(&r, &mut Emit::new(&mut interner, &mut events, &PLAIN, &r));
        events
            .first()
            .map_or_else(String::new, |e| format!("{} {} {}", names.text(e.user), e.src_ip, e.outcome.name()))
    }

    #[test]
    fn names_of_fields() {
        for (text, want) in [
            (r#"{"user":"anna","src_ip":"192.0.2.5","result":"denied"}"#, "anna 192.0.2.5 failure"),
            (
                r#"{"performed_by":{"name":"anna"},"senderIp":"192.0.2.5","success":true}"#,
                "anna 192.0.2.5 success",
            ),
            (
                r#"{"user.name":"anna","destination_ip":"10.0.0.1","c-ip":"192.0.2.5"}"#,
                "anna 192.0.2.5 unknown",
            ),
            (
                r#"{"email":"anna@tidewater.example","audit_log_event":"Login Failed","sourceIPv4Address":"192.0.2.5"}"#,
                "anna@tidewater.example 192.0.2.5 failure",
            ),
            (r#"{"UserId":"urn:spo:guest#anna@tidewater.example"}"#, "anna@tidewater.example  unknown"),
            ("Admin=anna; Peer IP=192.0.2.5 Server IP=10.0.0.1 status=success", "anna 192.0.2.5 success"),
            (
                "CEF:0|V|P|1|7|Logon|3|src=192.0.2.5 suser=CORP\\nina outcome=success",
                "CORP\\nina 192.0.2.5 success",
            ),
        ] {
            assert_eq!(said(text), want, "{text}");
        }
    }

    #[test]
    fn plain_words() {
        for (text, want) in [
            (
                "192.0.2.5 - anna [10/Oct/2026:13:55:36 +0000] \"GET / HTTP/1.1\" 200 1",
                "anna 192.0.2.5 unknown",
            ),
            ("client @0x7f 192.0.2.5#58925 (host.example): query", " 192.0.2.5 unknown"),
            ("User 'anna' logged in from 192.0.2.5", "anna 192.0.2.5 success"),
            ("agent version 5.1.2.42 started", ""),
        ] {
            assert_eq!(said(text), want, "{text}");
        }
    }

    #[test]
    fn who_acts_in_a_windows_event() {
        let text = r#"{"EventTime":"2026-03-04 05:06:07","Hostname":"WEB01","EventID":4798,"EventType":"AUDIT_SUCCESS","SourceName":"Microsoft-Windows-Security-Auditing","Channel":"Security","AccountName":"SYSTEM","TargetUserName":"guest","SubjectUserName":"anna"}"#;
        assert_eq!(said(text), "anna  success");
    }
}
