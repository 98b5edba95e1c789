//! HPE Aruba: ArubaOS controllers and Instant, AOS-S (ProCurve) and AOS-CX switches.
//!
//! Read from: ArubaOS Syslog Messages Reference Guide; ArubaOS-Switch Event Log Message Reference; AOS-CX Event Log Message
//! Reference Guide. Traps: the stamp of a controller has its year behind the time; the address in the second angle
//! brackets is the controller's own; `IP=0.0.0.0` is no address; a client shows as authenticated again at every roam.

use crate::decode::find::find;
use crate::decode::kv::{after, between, number, word};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source};
use portreeve_model::event::{Act, Change, Flags, Mac, Method, Outcome, Reason, Service};

pub static SOURCE: Source = Source {
    name: "aruba",
    title: "HPE Aruba controllers and switches",
    row: Row::Vlan,
    gives: &[Act::Lease, Act::Nac, Act::Auth, Act::Admin, Act::Config],
    lacks: &[Field::Mfa, Field::SessionId, Field::SessionEnd, Field::Bytes, Field::Host],
    traps: &["address_of_controller", "names_with_text"],
    manual: "ArubaOS Syslog Messages Reference Guide; ArubaOS-Switch and AOS-CX Event Log Message Reference Guides",
    enable: "controllers: logging security level informational, logging user level informational, logging <server>; switches: logging <server> severity info",
    general: false,
    marks: &[
        "> <",
        "> |",
        "|LOG_",
        "ST1-",
        "SME ",
        " session",
        "port-access",
        "port-security",
        "dca:",
        "8021x:",
        "ecurity violation",
        "ecurity Violation",
        "off-line",
        "on-line",
        "Blocked by",
        "dhcp-snoop",
        "dhcp-server",
        "arp-protect",
        "FFI:",
        "WEB-UI",
        "USER:",
        "SNTP",
        "ecurity access violation",
    ],
    reader: Reader::Code { claim: |r| form(r).is_some(), parse, join: None },
};

enum Form<'a> {
    /// `<522008> <4211> <NOTI> <mm-1 10.1.1.10>  User …`: number, text.
    Controller(u32, &'a [u8]),
    /// `Event|4657|LOG_INFO|AMM|1/1|User …`: text.
    Cx(&'a [u8]),
    /// `auth:  ST1-CMDR: User 'anna' …`: subsystem, text.
    Switch(&'a [u8], &'a [u8]),
}

fn form<'a>(r: &Record<'a>) -> Option<Form<'a>> {
    if r.shape != Shape::Text {
        return None;
    }
    let body = r.body;
    if let Some(found) = controller(body) {
        return Some(found);
    }
    if matches!(r.header.program, b"fpcli" | b"cli" | b"profmgr") && body.starts_with(b"USER:") {
        return Some(Form::Controller(0, body));
    }
    if let Some(at) = find(&body[..body.len().min(60)], b"Event|") {
        let mut parts = body[at..].splitn(6, |b| *b == b'|');
        let [_, id, level, _, _] = std::array::from_fn(|_| parts.next().unwrap_or_default());
        let text = parts.next()?;
        return (!id.is_empty() && id.iter().all(u8::is_ascii_digit) && level.starts_with(b"LOG_"))
            .then_some(Form::Cx(text));
    }
    switch(r)
}

/// The message's number in angle brackets, six digits, among the first words.
fn controller(body: &[u8]) -> Option<Form<'_>> {
    let front = &body[..body.len().min(80)];
    let at = memchr::memchr_iter(b'<', front).take(3).find(|at| {
        front.get(at + 7) == Some(&b'>')
            && front.get(at + 1..at + 7).is_some_and(|n| n.iter().all(u8::is_ascii_digit))
            && front.get(at + 8) == Some(&b' ')
            && matches!(front.get(at + 9), Some(b'<' | b'|'))
    })?;
    let number = u32::try_from(number(&body[at + 1..at + 7])).ok()?;
    // Process, level, and the controller's own name and address stand in brackets before the text.
    let mut text = &body[at + 8..];
    loop {
        let rest = text.trim_ascii_start();
        let close = match rest.first() {
            Some(b'<') => b'>',
            Some(b'|') => b'|',
            _ => {
                text = rest;
                break;
            }
        };
        match memchr::memchr(close, rest.get(1..).unwrap_or_default()) {
            Some(end) => text = &rest[end + 2..],
            None => {
                text = rest;
                break;
            }
        }
    }
    Some(Form::Controller(number, text))
}

/// A switch of the ProCurve line. Its subsystems have common names, so the text must be the product's too.
fn switch<'a>(r: &Record<'a>) -> Option<Form<'a>> {
    let (subsystem, text) = if r.header.program.is_empty() {
        let text = r.body;
        // `00179 mgr: SME SSH from …`: the event's number.
        let (first, rest) = word(text);
        let numbered = first.len() == 5 && first.iter().all(u8::is_ascii_digit);
        let text = if numbered { rest } else { text };
        let colon = memchr::memchr(b':', &text[..text.len().min(20)])?;
        (&text[..colon], text[colon + 1..].trim_ascii_start())
    } else {
        (r.header.program, r.body)
    };
    let text = match word(text) {
        (first, rest) if first.starts_with(b"ST1-") => rest,
        _ if text.starts_with(b"AM1: ") => &text[5..],
        _ => text,
    };
    let stacked = find(r.body, b"ST1-").is_some();
    let known = match subsystem {
        b"auth" => {
            text.starts_with(b"User '")
                || text.starts_with(b"Invalid user name/password on ")
                || text.starts_with(b"Login failure")
        }
        b"mgr" => text.starts_with(b"SME "),
        b"ports" => {
            text.starts_with(b"port ") && (find(text, b"-line").is_some() || find(text, b"Blocked").is_some())
        }
        b"port-access" | b"dca" | b"8021x" | b"port-security" | b"dhcp-snoop" | b"dhcp-server"
        | b"arp-protect" => true,
        b"FFI" => true,
        b"SNTP" => text.starts_with(b"Updated time by "),
        b"snmp" => stacked || text.starts_with(b"Security access violation from "),
        b"ssl" => stacked || find(text, b"WEB-UI").is_some(),
        b"crypto" | b"chassis" | b"system" | b"update" | b"vlan" | b"lldp" | b"ip" | b"stack"
        | b"stacking" => stacked,
        _ => false,
    };
    known.then_some(Form::Switch(subsystem, text))
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    match form(r) {
        Some(Form::Controller(number, text)) => of_controller(r, number, text, out),
        Some(Form::Cx(text)) => of_cx(r, text, out),
        Some(Form::Switch(subsystem, text)) => of_switch(r, subsystem, text, out),
        None => Parsed::NotMine,
    }
}

/// The value of `name=`, which may hold blanks: it ends where one of the names that follow begins.
fn value<'a>(text: &'a [u8], name: &[u8], ends: &[&[u8]]) -> &'a [u8] {
    let Some(rest) = after(text, name, b"") else { return b"" };
    let end = ends.iter().filter_map(|e| find(rest, e)).min().unwrap_or(rest.len());
    rest[..end].trim_ascii()
}

fn of_controller(r: &Record<'_>, number: u32, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    match number {
        // `User Authentication Successful: username=anna MAC=… IP=… role=… VLAN=20 AP=… SSID=… AAA profile=… auth
        // method=802.1x auth server=…`
        522_008 => {
            let user = value(text, b"username=", &[b" MAC="]);
            let tail = after(text, b" MAC=", b"").unwrap_or_default();
            let method = value(tail, b"auth method=", &[b" auth server"]);
            let vpn = method.eq_ignore_ascii_case(b"VPN") || method.starts_with(b"VIA");
            if vpn {
                return out
                    .event(Act::Auth, Outcome::Success)
                    .at(r.header_time())
                    .service(Service::Vpn)
                    .user(user)
                    .tunnel(value(tail, b" IP=", &[b" "]))
                    .observer(r.host())
                    .done();
            }
            access(r, out, true, user, tail, method)
        }
        // `User Authentication failed. username=bruno userip=0.0.0.0 usermac=… servername=… serverip=… apname=… bssid=…`
        522_275 | 522_009 => {
            let user = value(text, b"username=", &[b" userip=", b" MAC=", b" usermac="]);
            let mac = value(text, b"usermac=", &[b" "]);
            let mac = if mac.is_empty() { value(text, b"MAC=", &[b" "]) } else { mac };
            failed(r, out, user, mac, value(text, b"auth method=", &[b" auth server"]))
        }
        // `username=anna MAC=… IP=… Authentication result=Authentication failed(1) method=802.1x server=…`
        522_038 => {
            let user = value(text, b"username=", &[b" MAC="]);
            if find(text, b"result=Authentication Successful").is_some() {
                return Parsed::Irrelevant(Kind::Repeats);
            }
            failed(r, out, user, value(text, b" MAC=", &[b" "]), value(text, b" method=", &[b" server"]))
        }
        // `User authenticated, mac-…, username-anna, IP-10.0.0.5, method-802.1x, role-…`, as Instant says it.
        501_199 => {
            let mac = value(text, b"mac-", &[b","]);
            let user = value(text, b"username-", &[b", IP-"]);
            nac(r, out, true, user, mac)
                .tunnel(value(text, b", IP-", &[b","]))
                .method(method_of(value(text, b"method-", &[b","])))
                .done()
        }
        // `MAC=… IP=… User entry added: reason=…`: who holds the address.
        522_006 => {
            let ip = value(text, b"IP=", &[b" "]);
            if matches!(ip, b"" | b"0.0.0.0") || ip.starts_with(b"fe80") {
                return Parsed::Irrelevant(Kind::Pending);
            }
            out.event(Act::Lease, Outcome::Success)
                .at(r.header_time())
                .service(Service::Wireless)
                .tunnel(ip)
                .mac(value(text, b"MAC=", &[b" "]))
                .observer(r.host())
                .done()
        }
        // `MAC=… Station authenticate: method=…`, `Authentication failed for station …`.
        132_207 | 132_219 | 132_197 | 132_202 => {
            let mac = any_mac(text);
            // `RADIUS reject for station bruno 02:00:… from server ham-nps-01`
            let user = word(after(text, b"for station ", b"").unwrap_or_default()).0;
            let user = if user == mac { b"" } else { user };
            failed(r, out, user, mac, b"802.1x")
        }
        // `Authentication Succeeded for User anna, Logged in from 10.0.0.5 port 51234, Connecting to … connection type SSH`
        125_021 | 125_022 | 125_024 | 125_032 | 125_033 => {
            let ok = text.starts_with(b"Authentication Succeeded");
            // The name may hold anything; the address stands behind the last such words.
            let at = memchr::memmem::rfind(text, b", Logged in from ");
            let user = after(text, b"User ", b"").unwrap_or_default();
            let user = &user[..memchr::memmem::rfind(user, b", Logged in from ").unwrap_or(user.len())];
            admin(r, out, ok, user, at.map_or(&b""[..], |at| word(&text[at + 17..]).0))
        }
        // The local database of the controller.
        133_005 => admin(r, out, true, value(text, b"User ", &[b" Success"]), b""),
        133_006 => admin(r, out, false, value(text, b"User ", &[b" Failed"]), b""),
        133_019 => out
            .event(Act::Admin, Outcome::Failure)
            .at(r.header_time())
            .service(Service::Management)
            .user(value(text, b"User ", &[b" was not found"]))
            .reason(Reason::NoUser)
            .observer(r.host())
            .done(),
        _ => commands(r, text, out),
    }
}

/// `USER:anna@10.0.0.5 NODE:"/mm" COMMAND:<no aaa …> -- command executed successfully`, `USER: anna has logged in from
/// 10.0.0.5.`
fn commands(r: &Record<'_>, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let Some(rest) = after(text, b"USER:", b"") else { return Parsed::Irrelevant(Kind::OtherMessage) };
    let rest = rest.trim_ascii_start();
    if let Some(at) = memchr::memmem::rfind(rest, b" has logged in from ") {
        let from = word(&rest[at + 20..]).0;
        return admin(r, out, true, &rest[..at], from.strip_suffix(b".").unwrap_or(from));
    }
    let Some(command) = between(rest, b"COMMAND:<", b"> -- ") else {
        return Parsed::housekeeping_if(find(rest, b"logged out").is_some());
    };
    // `wlan ssid-profile …` behind the mode in which it was typed.
    let command = command.trim_ascii();
    if command.starts_with(b"show ") || find(rest, b"command executed successfully").is_none() {
        return Parsed::Irrelevant(Kind::RoutineUse);
    }
    let who = word(rest).0;
    let split = memchr::memrchr(b'@', who);
    out.event(Act::Config, Outcome::Success)
        .at(r.header_time())
        .service(Service::Management)
        .user(split.map_or(who, |at| &who[..at]))
        .source(split.map_or(&b""[..], |at| &who[at + 1..]))
        .detail(command)
        .change(if find(command, b"mgmt-user").is_some() {
            Change::AdminCreated
        } else {
            Change::ConfigChanged
        })
        .observer(r.host())
        .flag(Flags::PRIVILEGED)
        .done()
}

fn method_of(text: &[u8]) -> Method {
    if text.eq_ignore_ascii_case(b"802.1x") {
        Method::Dot1x
    } else if text.eq_ignore_ascii_case(b"MAC") {
        Method::Mab
    } else {
        Method::Unknown
    }
}

fn nac<'e>(
    r: &Record<'_>,
    out: &'e mut Emit<'_>,
    ok: bool,
    user: &[u8],
    mac: &[u8],
) -> crate::emit::EventBuilder<'e> {
    out.event(Act::Nac, if ok { Outcome::Success } else { Outcome::Failure })
        .at(r.header_time())
        .service(Service::Wireless)
        .user(user)
        .mac(mac)
        .observer(r.host())
}

fn access(r: &Record<'_>, out: &mut Emit<'_>, ok: bool, user: &[u8], tail: &[u8], method: &[u8]) -> Parsed {
    let ip = value(tail, b" IP=", &[b" "]);
    nac(r, out, ok, user, word(tail).0)
        .tunnel(if ip == b"0.0.0.0" { b"" } else { ip })
        .vlan(u16::try_from(number(value(tail, b" VLAN=", &[b" "]))).unwrap_or(0))
        .group(value(tail, b" SSID=", &[b" AAA profile", b" auth method", b" "]))
        .detail(value(tail, b" AP=", &[b" SSID=", b" "]))
        .method(method_of(method))
        .done()
}

fn failed(r: &Record<'_>, out: &mut Emit<'_>, user: &[u8], mac: &[u8], method: &[u8]) -> Parsed {
    nac(r, out, false, user, mac).method(method_of(method)).reason(Reason::BadPassword).done()
}

fn admin(r: &Record<'_>, out: &mut Emit<'_>, ok: bool, user: &[u8], from: &[u8]) -> Parsed {
    out.event(Act::Admin, if ok { Outcome::Success } else { Outcome::Failure })
        .at(r.header_time())
        .service(Service::Management)
        .user(user)
        .source(from)
        .reason(if ok { Reason::None } else { Reason::BadPassword })
        .observer(r.host())
        .done()
}

fn any_mac(text: &[u8]) -> &[u8] {
    text.split(|b| matches!(b, b' ' | b',' | b'(' | b')' | b'='))
        .map(|w| w.strip_suffix(b".").or_else(|| w.strip_suffix(b":")).unwrap_or(w))
        .find(|w| matches!(w.len(), 12..=17) && Mac::parse(w).is_some())
        .unwrap_or_default()
}

/// `User anna logged in from 10.0.0.5 through SSH session.`; AOS-CX names the client of a port by its hardware address.
fn of_cx(r: &Record<'_>, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    if let Some(rest) = text.strip_prefix(b"User ") {
        for (marker, ok) in [(&b" logged in from "[..], true), (b" login failed from ", false)] {
            if let Some(at) = memchr::memmem::rfind(rest, marker) {
                let from = word(&rest[at + marker.len()..]).0;
                let from = from.strip_suffix(b".").unwrap_or(from);
                return admin(r, out, ok, rest[..at].trim_ascii(), from);
            }
        }
    }
    let lower = text.to_ascii_lowercase();
    let has = |part: &[u8]| find(&lower, part).is_some();
    let mac = any_mac(text);
    if has(b"security violation") || has(b"port-security violation") {
        return wired(r, out, false, b"", mac, text, Reason::NotAllowed);
    }
    if !mac.is_empty() && (has(b"authenticat") || has(b"802.1x") || has(b"mac-auth")) {
        let ok = has(b"authenticated") && !has(b"unauthenticated") && !has(b"de-authenticated");
        if ok || has(b"fail") || has(b"reject") {
            let user = after(text, b"user ", b" ").unwrap_or_default();
            return wired(r, out, ok, user, mac, text, if ok { Reason::None } else { Reason::Other });
        }
    }
    Parsed::Irrelevant(Kind::OtherMessage)
}

fn wired(
    r: &Record<'_>,
    out: &mut Emit<'_>,
    ok: bool,
    user: &[u8],
    mac: &[u8],
    text: &[u8],
    reason: Reason,
) -> Parsed {
    let port = after(text, b"port ", b" ").or_else(|| after(text, b"Port ", b" ")).unwrap_or_default();
    let port = port.strip_suffix(b".").or_else(|| port.strip_suffix(b":")).unwrap_or(port);
    let says = |part: &[u8]| find(text, part).is_some();
    let method = if says(b"mac-auth") || says(b"MAC-auth") || says(b"macAuth") {
        Method::Mab
    } else if says(b"802.1X") || says(b"dot1x") || says(b"8021X") {
        Method::Dot1x
    } else {
        Method::Unknown
    };
    out.event(Act::Nac, if ok { Outcome::Success } else { Outcome::Failure })
        .at(r.header_time())
        .service(Service::Wired)
        .user(user)
        .mac(mac)
        .detail(port.strip_suffix(b",").unwrap_or(port))
        .method(method)
        .reason(reason)
        .observer(r.host())
        .done()
}

fn of_switch(r: &Record<'_>, subsystem: &[u8], text: &[u8], out: &mut Emit<'_>) -> Parsed {
    match subsystem {
        // `User 'anna' logged in from 10.0.0.5 to SSH session`; the name is the other side's own until it is checked.
        b"auth" => {
            let quoted = |text: &[u8]| -> Option<(usize, usize)> {
                let from = find(text, b"User '")? + 6;
                let end = memchr::memmem::rfind(text, b"' ")?;
                (end >= from).then_some((from, end))
            };
            let Some((from, end)) = quoted(text) else { return Parsed::Irrelevant(Kind::OtherMessage) };
            let (user, rest) = (&text[from..end], &text[end + 2..]);
            if let Some(rest) = rest.strip_prefix(b"logged in from ") {
                return admin(r, out, true, user, word(rest).0);
            }
            if let Some(address) = after(rest, b"trying to login from ", b" ") {
                return admin(r, out, false, user, address);
            }
            Parsed::housekeeping_if(rest.starts_with(b"logged out"))
        }
        // `SME SSH from 10.0.0.5 - MANAGER Mode`
        b"mgr" => match between(text, b" from ", b" - ") {
            Some(from) => {
                let manager = find(text, b"MANAGER Mode").is_some();
                out.event(Act::Admin, Outcome::Success)
                    .at(r.header_time())
                    .service(Service::Management)
                    .source(from)
                    .observer(r.host())
                    .flag_if(manager, Flags::PRIVILEGED)
                    .done()
            }
            None => Parsed::Irrelevant(Kind::OtherMessage),
        },
        _ => {
            let lower = text.to_ascii_lowercase();
            let has = |part: &[u8]| find(&lower, part).is_some();
            let mac = any_mac(text);
            if has(b"security violation") || has(b"attack") {
                return wired(r, out, false, b"", mac, text, Reason::NotAllowed);
            }
            if matches!(subsystem, b"port-access" | b"dca" | b"8021x") && !mac.is_empty() {
                let bad = has(b"fail") || has(b"reject") || has(b"error") || has(b"denied");
                if bad || has(b"authenticated") {
                    return wired(
                        r,
                        out,
                        !bad,
                        b"",
                        mac,
                        text,
                        if bad { Reason::Other } else { Reason::None },
                    );
                }
            }
            Parsed::Irrelevant(Kind::OtherMessage)
        }
    }
}
