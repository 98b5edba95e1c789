//! One remote stay through whichever gateway a person has: failures, second factor, tunnel, work, end.
//!
//! Owners and intruders go through the same script; only place, device, second factor and what is done differ.

use std::net::Ipv4Addr;

use crate::clock::{MINUTE, Millis, SECOND};
use crate::company::{Gateway, Person};
use crate::writers::{Pen, asa, fortigate, globalprotect, ise, netscaler, okta, openssh, openvpn, windows};

/// How the second factor was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Second {
    Push,
    /// The group is exempt: nothing asks.
    Exempt,
    /// This many pushes were denied or left alone, then one approved.
    Fatigue(u32),
}

/// What is done behind the gateway.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// The person's own servers.
    Usual,
    /// A tunnel, a ticket, nothing more.
    Nothing,
    /// These hosts, one after the other.
    Hosts(Vec<String>),
}

#[derive(Clone, Debug)]
pub(crate) struct Stay {
    pub(crate) person: usize,
    pub(crate) ip: Ipv4Addr,
    pub(crate) from: Millis,
    pub(crate) until: Millis,
    pub(crate) second: Second,
    /// Computer name where the client tells it; the person's laptop otherwise.
    pub(crate) machine: Option<String>,
    pub(crate) novel: bool,
    pub(crate) work: Work,
    /// Wrong passwords before the right one.
    pub(crate) typos: u32,
    /// The network drops once and the session goes on from here (ASA only).
    pub(crate) roams_to: Option<Ipv4Addr>,
    pub(crate) intruder: bool,
}

impl Stay {
    pub(crate) fn new(person: usize, ip: Ipv4Addr, from: Millis, until: Millis) -> Stay {
        Stay {
            person,
            ip,
            from,
            until,
            second: Second::Push,
            machine: None,
            novel: false,
            work: Work::Usual,
            typos: 0,
            roams_to: None,
            intruder: false,
        }
    }
}

/// What a stay left behind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    /// The tunnel address, where the gateway gives one; else the gateway's own inner address.
    pub(crate) inner: Ipv4Addr,
    pub(crate) tunnel: Option<Ipv4Addr>,
    /// When the access succeeded.
    pub(crate) at: Millis,
}

/// Addresses of a pool that people get; no factor in common with the step below, so nobody shares one on a day.
const POOL: u64 = 65_000;

pub(crate) fn pool_octet(gateway: Gateway) -> u8 {
    200 + gateway as u8
}

pub(crate) fn pool_cidr(gateway: Gateway) -> String {
    format!("10.{}.0.0/16", pool_octet(gateway))
}

/// The tunnel address of a person on a day; an intruder's session beside the owner's has another one.
pub(crate) fn tunnel_address(gateway: Gateway, person: usize, at: Millis, intruder: bool) -> Ipv4Addr {
    let day = at.div_euclid(crate::clock::DAY) as u64;
    let place = ((person as u64 * 2 + u64::from(intruder)) * 401 + day * 1543) % POOL + 10;
    Ipv4Addr::new(10, pool_octet(gateway), (place / 256) as u8, (place % 256) as u8)
}

fn asks_push(pen: &mut Pen<'_>, stay: &Stay, person: &Person, at: Millis, agent: &str) -> Millis {
    match stay.second {
        Second::Exempt => at,
        Second::Push => {
            okta::push(pen, at, person, stay.ip, agent, "unknown", okta::Answer::Approved);
            at + 7 * SECOND
        }
        Second::Fatigue(count) => {
            let mut when = at;
            for n in 0..count {
                let answer = if n % 3 == 2 { okta::Answer::NoResponse } else { okta::Answer::Denied };
                okta::push(pen, when, person, stay.ip, agent, "unknown", answer);
                when += pen.rng.range(70_000, 200_000);
            }
            okta::push(pen, when, person, stay.ip, agent, "unknown", okta::Answer::Approved);
            when + 7 * SECOND
        }
    }
}

/// Writes the stay and returns what it held.
pub(crate) fn run(pen: &mut Pen<'_>, stay: &Stay) -> Held {
    let person = pen.person(stay.person);
    let mut at = stay.from;
    for _ in 0..stay.typos {
        failed(pen, &person, stay.ip, at);
        at += pen.rng.range(8_000, 40_000);
    }
    let inner = tunnel_address(person.gateway, person.id, at, stay.intruder);
    let machine = stay.machine.clone().unwrap_or_else(|| person.laptop.clone());
    let user = person.login.clone();
    let mut held = Held { inner, tunnel: Some(inner), at };
    match person.gateway {
        Gateway::AsaMain | Gateway::AsaSecond => {
            let user = person.typed(pen.company);
            let device = asa::device(pen, person.gateway == Gateway::AsaSecond);
            let policy = if stay.second == Second::Exempt { asa::LEGACY_POLICY } else { asa::POLICY };
            let group =
                if stay.second == Second::Exempt { "AnyConnect-Legacy" } else { "AnyConnect-Employees" };
            let at = asks_push(pen, stay, &person, at, okta::RADIUS_AGENT);
            ise::vpn(pen, at, &user, stay.ip, &device.host, true);
            device.accepted(pen, at + 200, &user, stay.ip);
            device.connected(pen, at + SECOND, &user, stay.ip, inner, policy);
            let mut last = stay.ip;
            if let Some(next) = stay.roams_to {
                let middle = at + (stay.until - at) / 2;
                device.resumed(pen, middle, &user, stay.ip, next, policy);
                last = next;
            }
            device.disconnected(pen, stay.until, &user, last, stay.until - at, group);
            held.at = at + SECOND;
        }
        Gateway::FortiGate => {
            let at = asks_push(pen, stay, &person, at, okta::RADIUS_AGENT);
            ise::vpn(pen, at, &user, stay.ip, "FGT-01", true);
            let group =
                if stay.second == Second::Exempt { fortigate::LEGACY_GROUP } else { fortigate::GROUP };
            fortigate::session(pen, at + 400, stay.until, &user, group, stay.ip, inner);
            held.at = at + 400;
        }
        Gateway::GlobalProtect => {
            let agent = person.user_agent;
            let at = asks_push(pen, stay, &person, at, agent);
            okta::application(
                pen,
                at,
                &person,
                stay.ip,
                agent,
                "unknown",
                "Palo Alto Networks - GlobalProtect",
            );
            let id = if stay.intruder { pen.rng.uuid() } else { person.object_id.clone() };
            globalprotect::session(pen, at + SECOND, stay.until, &person, &machine, &id, stay.ip, inner);
            held.at = at + SECOND;
        }
        Gateway::OpenVpn => {
            let at = asks_push(pen, stay, &person, at, okta::RADIUS_AGENT);
            openvpn::session(pen, at, stay.until, &user, stay.ip, inner);
            held.at = at + SECOND;
        }
        Gateway::NetScaler => {
            let at = asks_push(pen, stay, &person, at, okta::RADIUS_AGENT);
            let session = netscaler::login(pen, at, &user, stay.ip, person.user_agent);
            let server = pen.company.first("terminal server").clone();
            netscaler::application(pen, at + 9 * SECOND, &session, "Desktop", server.ip);
            let snip = Ipv4Addr::new(10, pen.company.offices[0].octet, 250, 5);
            windows::logon(pen, at + 15 * SECOND, &server.host, &user, snip, &machine, 10);
            let mut when = at + 30 * MINUTE;
            while when < stay.until {
                netscaler::traffic(pen, when, &session, stay.ip, server.ip, 2598);
                when += pen.rng.range(60, 120) * MINUTE;
            }
            netscaler::logout(pen, stay.until, &session);
            held = Held { inner: snip, tunnel: None, at };
            if !matches!(stay.work, Work::Hosts(_)) {
                return held;
            }
        }
    }
    work(pen, stay, &person, held);
    held
}

/// A wrong password at the person's gateway.
pub(crate) fn failed(pen: &mut Pen<'_>, person: &Person, ip: Ipv4Addr, at: Millis) {
    let user = person.login.clone();
    match person.gateway {
        Gateway::AsaMain | Gateway::AsaSecond => {
            let user = person.typed(pen.company);
            let device = asa::device(pen, person.gateway == Gateway::AsaSecond);
            ise::vpn(pen, at, &user, ip, &device.host, false);
            device.rejected(pen, at + 100, &user, ip, "Invalid password");
        }
        Gateway::FortiGate => fortigate::failed(pen, at, &user, ip, true),
        Gateway::GlobalProtect => globalprotect::failed(pen, at, &user, ip),
        Gateway::OpenVpn => openvpn::failed(pen, at, ip),
        Gateway::NetScaler => netscaler::failed(pen, at, &user, ip),
    }
}

fn work(pen: &mut Pen<'_>, stay: &Stay, person: &Person, held: Held) {
    let start = held.at + 20 * SECOND;
    match &stay.work {
        Work::Nothing => windows::ticket_granted(pen, start, &person.login, held.inner),
        Work::Usual => usual(pen, person, held.inner, start, stay.until),
        Work::Hosts(hosts) => {
            windows::ticket_granted(pen, start, &person.login, held.inner);
            let mut at = start + 3 * MINUTE;
            for host in hosts {
                windows::service_ticket(pen, at, &person.login, held.inner, host);
                windows::logon(pen, at + 400, host, &person.login, held.inner, &person.laptop, 3);
                at += pen.rng.range(20_000, 90_000);
            }
        }
    }
}

/// Logons to the servers a person always uses, from an inner address.
pub(crate) fn usual(pen: &mut Pen<'_>, person: &Person, inner: Ipv4Addr, from: Millis, until: Millis) {
    windows::ticket_granted(pen, from, &person.login, inner);
    let span = (until - from).max(MINUTE);
    let mut servers = person.servers.clone();
    if pen.rng.chance(0.015) {
        // A colleague's project: a server this person does not otherwise use.
        let others = |s: &crate::company::Server| s.kind == "application server";
        let more: Vec<usize> =
            (0..pen.company.servers.len()).filter(|at| others(&pen.company.servers[*at])).collect();
        servers.push(*pen.rng.pick(&more));
    }
    for server in servers {
        let host = pen.company.servers[server].host.clone();
        for _ in 0..1 + pen.rng.below(2) {
            let at = from + pen.rng.range(10 * SECOND, span);
            windows::service_ticket(pen, at, &person.login, inner, &host);
            if pen.rng.chance(0.01) {
                windows::logon_failed(pen, at - 20 * SECOND, &host, &person.login, inner, 3, true);
            }
            windows::logon(pen, at + 300, &host, &person.login, inner, &person.laptop, 3);
        }
    }
    if person.department == "Engineering" && pen.rng.chance(0.6) {
        let at = from + pen.rng.range(MINUTE, span);
        let end = (at + pen.rng.range(5, 120) * MINUTE).min(until.max(at + MINUTE));
        let bastion = pen.company.first("linux bastion").clone();
        let pid = openssh::accepted(pen, at, &bastion.host, &person.login, inner, true);
        openssh::closed(pen, end, &bastion.host, &person.login, pid);
        let target = pen.company.of_kind("linux server").get(person.id % 3).map(|s| s.host.clone());
        if let Some(target) = target {
            let pid = openssh::accepted(pen, at + 40 * SECOND, &target, &person.login, bastion.ip, true);
            openssh::closed(pen, end - 5 * SECOND, &target, &person.login, pid);
        }
    }
}
