//! The dossier of one principal: sessions, attempts, factors, and what was usual before.

use super::infrastructure::{ATTEMPTS, Attempt};
use crate::memo::Map;
use crate::session::{Protocol, Session};
use crate::trail::Trail;
use portreeve_model::event::{Act, Change, Event, Factor, Flags, Mac, Method, Mfa, Outcome, Reason, Service};
use portreeve_model::signal::Evidence;
use portreeve_model::time::{HOUR_US, MINUTE_US, SECOND_US};
use portreeve_model::{EventTime, Ip, Sym};
use std::collections::VecDeque;
use std::sync::Arc;

pub const MFA_EVENTS: usize = 256;
pub const CHANGES: usize = 128;
pub const NAC_RECORDS: usize = 256;
/// Distinct days of use remembered per host or right: enough to tell once from often.
const USES: usize = 8;
/// Records of one login arrive within this of each other: portal, AAA, gateway, tunnel address.
pub const SETUP_US: i64 = 3 * MINUTE_US;

/// Use of something that was not part of any remote session.
pub const OUTSIDE_SESSIONS: usize = usize::MAX;

/// When something was used, a few distinct days, and in which session.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Usage {
    pub uses: Vec<(EventTime, usize)>,
}

impl Usage {
    pub fn add(&mut self, at: EventTime, session: usize) {
        let known = self.uses.iter().any(|(t, s)| t.day() == at.day() && *s == session);
        if !known && self.uses.len() < USES {
            self.uses.push((at, session));
        }
    }

    /// Used before `at`, outside the sessions that `excluded` names?
    pub fn before(&self, at: EventTime, excluded: &dyn Fn(usize) -> bool) -> bool {
        self.uses.iter().any(|(t, s)| *t < at && (*s == OUTSIDE_SESSIONS || !excluded(*s)))
    }
}

/// A step of a second factor.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct MfaEvent {
    pub time: EventTime,
    pub outcome: Outcome,
    pub reason: Reason,
    /// What the record itself says: a success may be an exemption (`No`) or a remembered device (`Claimed`).
    pub mfa: Mfa,
    pub factor: Factor,
    pub flags: Flags,
    pub ip: Ip,
    /// The device that was used, and what else the record names: the phone or token of the factor.
    pub device: Sym,
    pub token: Sym,
    pub evidence: Evidence,
}

/// A change to or by this principal.
#[derive(Clone, PartialEq, Debug)]
pub struct ChangeSeen {
    pub time: EventTime,
    pub change: Change,
    pub actor: Sym,
    pub target: Sym,
    pub detail: Sym,
    pub ip: Ip,
    pub service: Service,
    pub evidence: Evidence,
}

/// 802.1X, MAB, VLAN.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct NacSeen {
    pub time: EventTime,
    pub mac: Mac,
    pub vlan: u16,
    pub ip: Ip,
    pub method: Method,
    pub observer: Sym,
    pub port: Sym,
    pub evidence: Evidence,
}

#[derive(Clone, Default)]
pub struct Dossier {
    pub principal: Sym,
    pub sessions: Vec<Arc<Session>>,
    pub attempts: Trail<Attempt, ATTEMPTS>,
    pub mfa: Trail<MfaEvent, MFA_EVENTS>,
    pub changes: Trail<ChangeSeen, CHANGES>,
    pub nac: Trail<NacSeen, NAC_RECORDS>,
    pub hosts: Map<(Sym, Protocol), Usage>,
    pub rights: Map<Sym, Usage>,
    pub vlans: Map<u16, Usage>,
    /// Hours of week (UTC) of use outside and inside sessions.
    pub first: EventTime,
    pub last: EventTime,
    /// Days with any successful use, remote or inside, newest last; 64 kept.
    pub days: VecDeque<i32>,
    pub failures: u64,
    pub alerts: Vec<Event>,
    /// The latest session of a kind from an address.
    pub by_address: Map<(Service, Ip), usize>,
    pub dropped: u64,
}

/// An approval belongs to a login when it stands within so much before and after it.
pub const APPROVAL_BEFORE_US: i64 = 5 * MINUTE_US;
pub const APPROVAL_AFTER_US: i64 = 3 * MINUTE_US;

/// Sessions of these services are one kind of stay: a RADIUS server speaks for the gateway that asked it.
pub fn family(service: Service) -> Service {
    match service {
        Service::Radius => Service::Vpn,
        Service::Windows => Service::Rdp,
        other => other,
    }
}

impl Dossier {
    /// Nothing is known but attempts that failed.
    pub fn is_stranger(&self) -> bool {
        self.sessions.is_empty()
            && self.days.is_empty()
            && self.mfa.is_empty()
            && self.changes.is_empty()
            && self.nac.is_empty()
            && self.rights.is_empty()
            && self.alerts.is_empty()
    }

    pub fn active(&mut self, at: EventTime) {
        let day = at.day();
        if self.days.back() != Some(&day) {
            if self.days.len() == 64 {
                self.days.pop_front();
            }
            self.days.push_back(day);
        }
        self.last = self.last.max(at);
    }

    pub fn push_mfa(&mut self, event: MfaEvent) {
        self.dropped += u64::from(self.mfa.push(event));
    }

    /// Steps of a factor at that time may have been dropped, so that there is none proves nothing.
    pub fn mfa_forgotten_at(&self, at: EventTime) -> bool {
        self.mfa.is_full() && self.mfa.first().is_some_and(|m| at < m.time.plus(APPROVAL_AFTER_US))
    }

    pub fn push_change(&mut self, change: ChangeSeen) {
        self.dropped += u64::from(self.changes.push(change));
    }

    pub fn push_nac(&mut self, nac: NacSeen) {
        self.dropped += u64::from(self.nac.push(nac));
    }

    /// The session that this record of an access belongs to, if one is there.
    pub fn join(&self, event: &Event) -> Option<usize> {
        let wanted = family(event.service);
        let recent = self.sessions.iter().rev().take(24);
        let mut found = recent.filter(|s| family(s.service) == wanted && belongs(s, event)).map(|s| s.index);
        found.next().or_else(|| {
            // A role or shared account that works from many addresses at once.
            let index = *self.by_address.get(&(wanted, event.src_ip))?;
            self.sessions.get(index).filter(|s| belongs(s, event)).map(|s| s.index)
        })
    }

    /// Did a provider log an approval at the time of a login?
    pub fn approved_at(&self, start: EventTime) -> bool {
        let (from, to) = (start.minus(APPROVAL_BEFORE_US), start.plus(APPROVAL_AFTER_US));
        self.mfa.iter().any(|m| m.outcome == Outcome::Success && from <= m.time && m.time <= to)
    }

    /// A session at that time that shows desktops or applications through a gateway and gives no tunnel address.
    pub fn published_at(&self, at: EventTime) -> Option<usize> {
        let of = |s: &&Session| {
            matches!(s.service, Service::Ica | Service::RdGateway | Service::Bastion)
                && s.entered
                && s.tunnels.is_empty()
                && s.start <= at.plus(SETUP_US)
                && at <= s.end.unwrap_or(s.last.plus(8 * HOUR_US)).plus(SETUP_US)
        };
        self.sessions.iter().map(AsRef::as_ref).rev().take(24).find(of).map(|s| s.index)
    }

    /// A session that was open at that time, the latest first. Sessions that gave a tunnel or a shell are
    /// preferred over sign-ins at an identity provider, from which nothing inside is reached.
    pub fn open_at(&self, at: EventTime) -> Option<usize> {
        let open = |s: &&Session| {
            s.entered
                && s.start <= at.plus(SETUP_US)
                && at <= s.end.unwrap_or(s.last.plus(8 * HOUR_US)).plus(SETUP_US)
        };
        let inside = |s: &&Session| {
            !matches!(
                s.service,
                Service::Idp | Service::CloudConsole | Service::CloudApi | Service::Kubernetes
            )
        };
        let recent = || self.sessions.iter().map(AsRef::as_ref).rev().take(24);
        recent().filter(open).find(inside).map(|s| s.index)
    }
}

fn belongs(session: &Session, event: &Event) -> bool {
    let gap = event.time.since(session.last).max(session.start.since(event.time));
    let same_sid = event.sid.is_some() && event.sid == session.sid;
    let other_sid = event.sid.is_some() && session.sid.is_some() && event.sid != session.sid;
    let same_ip = event.src_ip.is_none()
        || session.stays.is_empty()
        || session.stays.iter().any(|s| s.ip == event.src_ip);
    let ended = session.end.is_some_and(|end| event.time > end.plus(30 * SECOND_US));
    // An AAA server's own name is not the gateway's.
    let gateway_tells = event.service != Service::Radius && session.service != Service::Radius;
    let same_gateway = !gateway_tells
        || event.observer.is_none()
        || session.gateway.is_none()
        || event.observer == session.gateway;
    match family(event.service) {
        // A broker that numbers no sessions logs each connection: together they are one stay.
        Service::Ztna if event.sid.is_none() && session.sid.is_none() => {
            event.src_ip.is_some() && same_ip && same_gateway && gap <= 4 * HOUR_US
        }
        Service::Vpn
        | Service::Ica
        | Service::RdGateway
        | Service::Ztna
        | Service::Bastion
        | Service::Rmm => {
            if same_sid && same_gateway {
                return gap <= 7 * 24 * HOUR_US;
            }
            if ended || !same_gateway {
                return false;
            }
            let setting_up = event.time.since(session.start).abs() <= SETUP_US;
            match event.act {
                Act::SessionEnd | Act::SessionResume | Act::Posture => {
                    !other_sid && (same_ip || event.act == Act::SessionResume)
                }
                // The address may come any time after (reconnect of the tunnel within the stay).
                Act::IpAssign => {
                    !other_sid && same_ip && (setting_up || session.tunnels.is_empty() || gap <= HOUR_US)
                }
                _ => same_ip && setting_up && (!other_sid || gap <= 60 * SECOND_US),
            }
        }
        Service::Idp => same_sid || (!other_sid && same_ip && gap <= 12 * HOUR_US),
        Service::Ssh | Service::Rdp | Service::Vnc | Service::WinRm => {
            let same_host =
                event.host.is_none() || session.gateway.is_none() || event.host == session.gateway;
            same_ip && same_host && gap <= HOUR_US
        }
        Service::CloudConsole | Service::CloudApi | Service::Kubernetes | Service::Management => {
            event.src_ip.is_some() && same_ip && gap <= 4 * HOUR_US
        }
        _ => same_ip && !other_sid && gap <= HOUR_US,
    }
}
