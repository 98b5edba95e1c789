//! One line of a story, read into events: when, who, does what, with which particulars.

use super::words;
use super::world::World;
use portreeve_engine::detect::ops::Span;
use portreeve_model::event::{Act, Change, Event, Flags, Mac, Mfa, Outcome, Reason, Service};
use portreeve_model::record::RawRef;
use portreeve_model::time::{DAY_US, HOUR_US};
use portreeve_model::{EventTime, Ip, SymbolTable};

/// What a line says: its events, and whether they are only the account's ordinary past.
pub(super) struct Told {
    pub(super) events: Vec<Event>,
    pub(super) past: bool,
}

/// The moment that stories call `0`: Tuesday 2026-03-10 12:00 UTC.
fn zero() -> EventTime {
    EventTime::from_civil(2026, 3, 10, 12, 0, 0, 0)
}

/// How long a day's session of `works` lasts, and when the last one began where the line does not say.
const WORKDAY_US: i64 = 8 * HOUR_US;
const LAST_DAY_US: i64 = DAY_US + 4 * HOUR_US;

pub(super) fn read(line: &str, world: &World, names: &SymbolTable) -> Result<Told, String> {
    let (line, detail) = match (line.split_once('`'), line.rsplit_once('`')) {
        (Some((before, _)), Some((within, after))) if within.len() > before.len() => {
            (format!("{before}{after}"), &within[before.len() + 1..])
        }
        (Some(_), _) => return Err("a backquote does not end".to_owned()),
        _ => (line.to_owned(), ""),
    };
    let mut words = line.split_whitespace().peekable();
    let start = match words.peek().copied().map(offset) {
        Some(Some(at)) => {
            words.next();
            Some(zero().plus(at))
        }
        _ => None,
    };
    let who = words.next().ok_or("the line is empty")?;
    let verb = words.next().ok_or("who does what? write `<time> <who> <verb> …`")?;
    let mut step = Step { event: Event::default(), hosts: Vec::new(), days: 0, times: 1, every: 0 };
    step.event.detail = names.intern(detail);
    step.verb(verb, &mut words, world, names)?;
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("`{word}` wants a value"));
        step.particular(word, &mut value, world, names)?;
    }
    let users = match who {
        "somebody" => vec![""],
        list => list.split(',').collect(),
    };
    if let Some(user) = users.iter().find(|u| !u.is_empty() && !world.accounts.contains_key(**u)) {
        let all: Vec<&str> = world.accounts.keys().map(String::as_str).collect();
        return Err(format!("there is no account `{user}`; there are somebody, {}", all.join(", ")));
    }
    if step.days > 0 {
        return Ok(Told { events: step.days(start, &users, names), past: true });
    }
    let start = start.ok_or("a line begins with its time: 0, -50m, +1h30m")?;
    Ok(Told { events: step.events(start, &users, names), past: false })
}

/// `0`, `-50m`, `+1d2h`, as microseconds.
fn offset(word: &str) -> Option<i64> {
    if word == "0" {
        return Some(0);
    }
    let (sign, rest) = match word.as_bytes().first()? {
        b'-' => (-1, &word[1..]),
        b'+' => (1, &word[1..]),
        _ => return None,
    };
    span(rest).map(|us| sign * us)
}

/// `1d2h30m`.
fn span(text: &str) -> Option<i64> {
    let parts = text.split_inclusive(|c: char| c.is_ascii_alphabetic());
    let mut sum = None;
    for part in parts {
        sum = Some(sum.unwrap_or(0) + Span::parse(part)?.0);
    }
    sum
}

struct Step {
    event: Event,
    /// Several hosts are reached one after the other.
    hosts: Vec<(String, Ip)>,
    /// Days of ordinary use, for `works`.
    days: i64,
    times: i64,
    every: i64,
}

impl Step {
    fn verb<'w>(
        &mut self,
        verb: &str,
        words: &mut impl Iterator<Item = &'w str>,
        world: &World,
        names: &SymbolTable,
    ) -> Result<(), String> {
        let event = &mut self.event;
        event.outcome = Outcome::Success;
        let mut next = || words.next().ok_or(format!("`{verb}` what?"));
        match verb {
            "works" => {
                let days = next()?;
                let number = days.strip_suffix('d').and_then(|n| n.parse().ok());
                self.days = number.filter(|n| *n > 0).ok_or(format!("`{days}` is no number of days: 10d"))?;
                self.enter(next()?, names)?;
            }
            "enters" => self.enter(next()?, names)?,
            "fails" | "stopped" | "tries" => {
                self.enter(next()?, names)?;
                let event = &mut self.event;
                if event.act == Act::SessionStart {
                    event.act = Act::Auth;
                }
                event.outcome = match verb {
                    "fails" => Outcome::Failure,
                    "stopped" => Outcome::BlockedAfterPassword,
                    _ => Outcome::Success,
                };
                if event.outcome == Outcome::Failure {
                    event.reason = Reason::BadPassword;
                }
            }
            "resumes" | "leaves" | "moves" => {
                self.enter(next()?, names)?;
                self.event.act = match verb {
                    "leaves" => Act::SessionEnd,
                    "moves" => Act::IpAssign,
                    _ => Act::SessionResume,
                };
            }
            "approves" | "denies" | "ignores" => {
                event.act = Act::Mfa;
                event.service = Service::Idp;
                (event.outcome, event.reason) = match verb {
                    "approves" => (Outcome::Success, Reason::None),
                    "denies" => (Outcome::Failure, Reason::MfaDenied),
                    _ => (Outcome::Failure, Reason::MfaTimeout),
                };
                if verb == "approves" {
                    event.mfa = Mfa::Yes;
                }
            }
            "reaches" | "misses" => {
                event.act = Act::Logon;
                event.service = Service::Windows;
                event.logon_type = 3;
                if verb == "misses" {
                    event.outcome = Outcome::Failure;
                }
                self.hosts = hosts(next()?, world)?;
            }
            "connects" | "knocks" => {
                event.act = Act::Flow;
                event.service = Service::Firewall;
                if verb == "knocks" {
                    event.outcome = Outcome::Failure;
                }
                self.hosts = hosts(next()?, world)?;
            }
            "runs" => {
                event.act = Act::Exec;
                event.service = Service::Host;
            }
            "changes" | "configures" => {
                event.act = if verb == "changes" { Act::Account } else { Act::Config };
                event.service = Service::Directory;
                event.change = words::change(next()?)?;
            }
            "calls" => {
                event.act = Act::Api;
                self.product(next()?, names)?;
            }
            "plugs" => self.enter(next()?, names)?,
            "alarms" => {
                event.act = Act::Alert;
                event.service = Service::Edr;
            }
            _ => {
                return Err(format!(
                    "there is no verb `{verb}`; there are works, enters, tries, fails, stopped, resumes, leaves, \
                     moves, approves, denies, ignores, reaches, misses, connects, knocks, runs, changes, configures, \
                     calls, plugs, alarms"
                ));
            }
        }
        Ok(())
    }

    /// A login at this service, as its products log it.
    fn enter(&mut self, service: &str, names: &SymbolTable) -> Result<(), String> {
        self.product(service, names)?;
        self.event.act = match self.event.service {
            Service::Vpn | Service::Ica | Service::RdGateway | Service::Ztna => Act::SessionStart,
            Service::Ssh | Service::Rdp | Service::Windows | Service::Host => Act::Logon,
            Service::Management => Act::Admin,
            Service::Wired | Service::Wireless => Act::Nac,
            _ => Act::Auth,
        };
        Ok(())
    }

    fn product(&mut self, service: &str, names: &SymbolTable) -> Result<(), String> {
        self.event.service = words::service(service)?;
        let observer = match self.event.service {
            Service::Vpn => "vpn1",
            Service::Ica => "citrix1",
            Service::RdGateway => "rdgw1",
            Service::Ztna => "ztna1",
            Service::Idp => "idp1",
            Service::Management => "fw1",
            Service::CloudApi | Service::CloudConsole => "cloud1",
            Service::Kubernetes => "cluster1",
            Service::Radius => "radius1",
            Service::Wired | Service::Wireless => "switch1",
            _ => "",
        };
        self.event.observer = names.intern(observer);
        Ok(())
    }

    fn particular<'w>(
        &mut self,
        word: &str,
        value: &mut impl FnMut() -> Result<&'w str, String>,
        world: &World,
        names: &SymbolTable,
    ) -> Result<(), String> {
        if let Some(times) = word.strip_prefix('x').and_then(|n| n.parse().ok()) {
            self.times = times;
            return Ok(());
        }
        let name = |text: &str| -> Result<_, String> {
            world.host(text)?;
            Ok(names.intern(text))
        };
        let number = |text: &str| text.parse::<u16>().map_err(|_| format!("`{text}` is no number"));
        let event = &mut self.event;
        match word {
            "from" => event.src_ip = address(value()?, world)?,
            "tunnel" => event.tun_ip = address(value()?, world)?,
            "to" | "on" => event.host = name(value()?)?,
            "at" => event.observer = name(value()?)?,
            "device" => event.device = name(value()?)?,
            "client" => event.client = names.intern(value()?),
            "sid" => event.sid = names.intern(value()?),
            "group" => event.group = names.intern(value()?),
            "target" => event.target = names.intern(value()?),
            "in" => self.product(value()?, names)?,
            "by" => (event.service, event.dst_port) = protocol(value()?)?,
            "port" => event.dst_port = number(value()?)?,
            "vlan" => event.vlan = number(value()?)?,
            "mac" => {
                let text = value()?;
                event.mac = Mac::parse(text.as_bytes());
                if !event.mac.is_some() {
                    return Err(format!("`{text}` is no hardware address"));
                }
            }
            "change" => event.change = words::change(value()?)?,
            "method" => event.method = words::method(value()?)?,
            "mfa" => event.mfa = words::mfa(value()?)?,
            "factor" => event.factor = words::factor(value()?)?,
            "reason" => event.reason = words::reason(value()?)?,
            "flag" => event.flags.set(words::flag(value()?)?),
            "severity" => {
                event.severity = u8::try_from(number(value()?)?).map_err(|_| "severities are 1 to 5")?;
            }
            "every" => {
                let text = value()?;
                self.every = span(text).ok_or(format!("`{text}` is no span of time: 30s, 1h30m"))?;
            }
            _ => {
                return Err(format!(
                    "there is no particular `{word}`; there are from, to, on, at, tunnel, device, client, sid, group, \
                     target, in, by, port, vlan, mac, method, mfa, factor, reason, flag, severity, every, x<times>"
                ));
            }
        }
        Ok(())
    }

    /// Every user does it at every host, as often as the line says, `every` apart.
    fn events(&self, start: EventTime, users: &[&str], names: &SymbolTable) -> Vec<Event> {
        let mut events = Vec::new();
        let mut at = start;
        for _ in 0..self.times {
            for user in users {
                let mut event = Event { time: at, user: names.intern(user), ..self.event.clone() };
                if event.flags.has(Flags::USER_MASKED) {
                    event.user = portreeve_model::Sym::NONE;
                }
                if self.hosts.is_empty() {
                    events.push(event);
                    at = at.plus(self.every);
                    continue;
                }
                for (host, ip) in &self.hosts {
                    event.time = at;
                    event.host = names.intern(host);
                    event.dst_ip = *ip;
                    events.push(event.clone());
                    at = at.plus(self.every);
                }
            }
        }
        events
    }

    /// Ordinary use on as many days in a row, the last one at `last`.
    fn days(&self, last: Option<EventTime>, users: &[&str], names: &SymbolTable) -> Vec<Event> {
        let last = last.unwrap_or(zero().minus(LAST_DAY_US));
        let mut events = Vec::new();
        for user in users {
            for day in 0..self.days {
                let mut event = Event { user: names.intern(user), ..self.event.clone() };
                event.time = last.minus(day * DAY_US);
                events.push(event.clone());
                if event.act == Act::SessionStart {
                    event.time = event.time.plus(WORKDAY_US);
                    event.act = Act::SessionEnd;
                    event.change = Change::None;
                    events.push(event);
                }
            }
        }
        events
    }
}

/// Numbers the events of a story, so that each has its place and its own key.
pub(super) fn number(events: &mut [Event]) {
    for (n, event) in (1u32..).zip(events.iter_mut()) {
        event.raw = RawRef { input: 0, line: n, offset: u64::from(n) };
        event.key = u64::from(n);
    }
    events.sort_by_key(Event::order);
}

/// A network by name, or an inner address as it is.
fn address(text: &str, world: &World) -> Result<Ip, String> {
    let ip = Ip::parse(text.as_bytes());
    if ip.is_some() && (ip.is_private() || ip.is_loopback()) { Ok(ip) } else { world.address(text) }
}

/// `files`, `files,wiki`, `app1..12`.
fn hosts(text: &str, world: &World) -> Result<Vec<(String, Ip)>, String> {
    let mut found = Vec::new();
    for part in text.split(',') {
        match part.split_once("..") {
            None => found.push((part.to_owned(), world.host(part)?)),
            Some((first, last)) => {
                let bare = first.trim_end_matches(|c: char| c.is_ascii_digit());
                let ends = (first[bare.len()..].parse::<u32>(), last.parse::<u32>());
                let (Ok(from), Ok(to)) = ends else { return Err(format!("`{part}`: write app1..12")) };
                for n in from..=to {
                    let name = format!("{bare}{n}");
                    let ip = world.host(&name)?;
                    found.push((name, ip));
                }
            }
        }
    }
    Ok(found)
}

/// Service and port of a protocol with which one reaches a host.
fn protocol(text: &str) -> Result<(Service, u16), String> {
    Ok(match text {
        "rdp" => (Service::Rdp, 3389),
        "ssh" => (Service::Ssh, 22),
        "smb" => (Service::Windows, 445),
        "winrm" => (Service::Windows, 5985),
        "web" => (Service::Windows, 443),
        "kerberos" => (Service::Directory, 88),
        _ => {
            return Err(format!(
                "there is no protocol `{text}`; there are rdp, ssh, smb, winrm, web, kerberos"
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(offset("-1d2h"), Some(-26 * HOUR_US));
        assert_eq!(offset("0"), Some(0));
        for bad in ["", "1h", "-", "-h", "+5", "-5x"] {
            assert_eq!(offset(bad), None, "{bad}");
        }
    }
}
