//! Gateways whose clock was off: found by the approvals of an identity provider, whose clock is not.
//!
//! A login that passes a second factor stands twice on record, at the gateway and at the provider, within minutes. Where
//! several people's logins at one gateway have no approval at their time, and all have one the same hours away, it is the
//! gateway that was wrong, and its users did not travel.

use crate::engine::Engine;
use crate::memo::Map;
use portreeve_model::case::ClockOff;
use portreeve_model::event::{Outcome, Service};
use portreeve_model::time::{HOUR_US, MINUTE_US};
use portreeve_model::{EventTime, Sym};
use std::collections::BTreeMap;

/// An approval further away belongs to another login.
const FARTHEST_US: i64 = 14 * HOUR_US;
/// What lies nearer is the time that people take.
const NEAREST_US: i64 = 10 * MINUTE_US;
/// Clocks that are off are off by the same; people take more or less time.
const SPREAD_US: i64 = 2 * MINUTE_US;
/// A clock that was off for so long before and after.
const AROUND_US: i64 = 6 * HOUR_US;
/// So many people make it the clock and not the person.
const PEOPLE: usize = 3;

struct Login {
    at: EventTime,
    principal: Sym,
    session: usize,
    /// Gateway's time less the provider's; 0 where the approval stands where it should.
    fast_by: i64,
}

impl Engine<'_> {
    /// Gateways whose clock was off for a time, by how much, and on how many sessions that rests.
    pub fn clocks_off(&self) -> Vec<ClockOff> {
        let mut found: BTreeMap<(String, i64), ClockOff> = BTreeMap::new();
        let mut principals: Vec<_> = self.dossiers.values().collect();
        principals.sort_unstable_by_key(|d| d.principal.0);
        for session in principals.iter().flat_map(|d| &d.sessions) {
            let Some(fast_by) = self.clock_fast_by(session) else { continue };
            // To the minute: people take some seconds more or less.
            let minutes = (fast_by + MINUTE_US / 2).div_euclid(MINUTE_US);
            let gateway = self.names.text(session.gateway).to_string();
            let off = found.entry((gateway.clone(), minutes)).or_insert_with(|| ClockOff {
                gateway: gateway.into(),
                fast_by_s: minutes * 60,
                sessions: 0,
                first: session.start,
                last: session.start,
            });
            off.sessions += 1;
            off.first = off.first.min(session.start);
            off.last = off.last.max(session.start);
        }
        found.into_values().collect()
    }
}

/// Sessions, by principal and number, that began while their gateway's clock was fast by so much (slow if negative).
pub(crate) fn off(engine: &Engine<'_>) -> Map<(Sym, usize), i64> {
    let mut gateways: Map<Sym, Vec<Login>> = Map::default();
    for dossier in engine.dossiers.values().filter(|d| !d.mfa.is_empty()) {
        let through_gateway = dossier.sessions.iter().filter(|s| {
            s.entered
                && s.gateway.is_some()
                && matches!(s.service, Service::Vpn | Service::Ica | Service::RdGateway | Service::Ztna)
        });
        for s in through_gateway {
            let nearest = dossier
                .mfa
                .iter()
                .filter(|m| m.outcome == Outcome::Success)
                .filter(|m| m.ip.is_none() || m.ip.is_private() || m.ip == s.ip())
                .map(|m| s.start.since(m.time))
                .min_by_key(|d| (d.abs(), *d));
            let Some(d) = nearest.filter(|d| d.abs() <= FARTHEST_US) else { continue };
            let fast_by = if dossier.approved_at(s.start) || d.abs() < NEAREST_US { 0 } else { d };
            gateways.entry(s.gateway).or_default().push(Login {
                at: s.start,
                principal: dossier.principal,
                session: s.index,
                fast_by,
            });
        }
    }
    let mut found = Map::default();
    for logins in gateways.values() {
        for login in logins.iter().filter(|l| l.fast_by != 0) {
            let around = || logins.iter().filter(|o| o.at.since(login.at).abs() <= AROUND_US);
            let mut people: Vec<Sym> = around()
                .filter(|o| (o.fast_by - login.fast_by).abs() <= SPREAD_US)
                .map(|o| o.principal)
                .collect();
            people.sort_unstable_by_key(|p| p.0);
            people.dedup();
            // Logins that stand right at the same time, as far as the wrong clock covers it, speak for the clock.
            let right = around().filter(|o| o.fast_by == 0 && o.at.since(login.at).abs() <= HOUR_US).count();
            if people.len() >= PEOPLE && right < people.len() {
                found.insert((login.principal, login.session), login.fast_by);
            }
        }
    }
    found
}
