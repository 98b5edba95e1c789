//! Two places at once, or faster than a flight.

use super::attempts::span;
use crate::detect::{Finding, PlaceNovelty, Subject, Verdict};
use crate::session::Session;
use portreeve_model::event::{Flags, Service};
use portreeve_model::net::NetworkClass;
use portreeve_model::place::least_distance_km;
use portreeve_model::time::{DAY_US, MINUTE_US};

/// Clocks of two sources differ by this much at worst, unless one is known to be off.
const CLOCKS_US: i64 = 2 * MINUTE_US;

/// Sessions of the principal that say where the person was.
fn placed<'a>(s: &'a Subject<'_>) -> impl Iterator<Item = &'a Session> {
    s.dossier.sessions.iter().map(AsRef::as_ref).filter(|o: &&Session| {
        o.index != s.session.index
            && o.entered
            && !o.clock_suspect
            && s.engine.clock_fast_by(o).is_none()
            && !o.flags.has(Flags::NON_INTERACTIVE)
            && interactive(o.service)
            && o.place.person_point().is_some()
            && !o.stays.iter().any(|x| s.session.stays.iter().any(|y| x.ip == y.ip))
    })
}

/// A program with a key may run anywhere; only people travel.
fn interactive(service: Service) -> bool {
    !matches!(service, Service::CloudApi | Service::Kubernetes | Service::Management)
}

/// Mobile carriers hand out addresses far from where the phone is: within one country they say nothing.
fn comparable(a: &Session, b: &Session) -> bool {
    // What only a product's own geolocation places is known to the country and not much better.
    let coarse = a.place.asn == 0 || b.place.asn == 0;
    let mobile = coarse || a.place.class == NetworkClass::Mobile || b.place.class == NetworkClass::Mobile;
    !(mobile && a.place.country == b.place.country)
}

/// Only the session whose own place is not expected is suspicious, not the person's own at the other end.
fn judged(s: &Subject<'_>) -> Result<(), Verdict> {
    if !interactive(s.session.service) {
        return Err(Verdict::Silent);
    }
    if s.session.clock_suspect || s.engine.clock_fast_by(s.session).is_some() {
        return Err(Verdict::Unknown("a sure clock"));
    }
    if s.place().person_point().is_none() {
        return Err(Verdict::Unknown("a place"));
    }
    if s.novelty() <= PlaceNovelty::NewNetworkKnownArea {
        return Err(Verdict::Silent);
    }
    Ok(())
}

fn distance_km(a: &Session, b: &Session) -> Option<f32> {
    Some(least_distance_km(
        a.place.person_point()?,
        a.place.radius_km,
        b.place.person_point()?,
        b.place.radius_km,
    ))
}

pub(super) fn impossible(s: &Subject<'_>, min_kmh: u32, min_km: u32) -> Verdict {
    if let Err(verdict) = judged(s) {
        return verdict;
    }
    let mut worst: Option<(f32, f32, &Session, i64)> = None;
    for other in placed(s) {
        // The nearest signs of life of both.
        let gap = if other.start <= s.session.start {
            s.session.start.since(other.last.min(s.session.start))
        } else {
            other.start.since(s.session.start)
        };
        if !comparable(s.session, other)
            || gap > 2 * DAY_US
            || other.place.asn == s.place().asn && s.place().asn != 0
        {
            continue;
        }
        let Some(km) = distance_km(s.session, other) else { continue };
        let hours = (gap + CLOCKS_US) as f32 / 3_600_000_000.0;
        let speed = km / hours;
        if km >= min_km as f32 && speed > min_kmh as f32 && worst.is_none_or(|w| speed > w.0) {
            worst = Some((speed, km, other, gap));
        }
    }
    let Some((speed, km, other, gap)) = worst else { return Verdict::Silent };
    let facts = vec![
        ("distance", format!("{km:.0} km")),
        ("speed", format!("{speed:.0} km/h")),
        ("gap", span(gap)),
        ("other_place", format!("{}, {}", s.text(other.place.city), other.place.country.text())),
        ("other_service", other.service.name().to_owned()),
    ];
    let evidence = s.session.evidence.first().into_iter().chain(other.evidence.first()).copied().collect();
    Verdict::Fires(Finding::with(facts, evidence))
}

pub(super) fn overlap(s: &Subject<'_>, min_km: u32, at_least_us: i64) -> Verdict {
    if let Err(verdict) = judged(s) {
        return verdict;
    }
    for other in placed(s) {
        let from = s.session.start.max(other.start);
        let to = s.session.end_or_last().min(other.end_or_last());
        let Some(km) = distance_km(s.session, other).filter(|_| comparable(s.session, other)) else {
            continue;
        };
        if to.since(from) >= at_least_us && km >= min_km as f32 {
            let facts = vec![
                ("overlap", span(to.since(from))),
                ("distance", format!("{km:.0} km")),
                ("other_place", format!("{}, {}", s.text(other.place.city), other.place.country.text())),
                ("other_service", other.service.name().to_owned()),
            ];
            let evidence =
                s.session.evidence.first().into_iter().chain(other.evidence.first()).copied().collect();
            return Verdict::Fires(Finding::with(facts, evidence));
        }
    }
    Verdict::Silent
}

/// Another tunnel of the account stands at the same time, from another network that is not a phone's.
pub(super) fn concurrent(s: &Subject<'_>, at_least_us: i64) -> Verdict {
    let gateway =
        |x: &Session| matches!(x.service, Service::Vpn | Service::Ica | Service::RdGateway | Service::Ztna);
    if !gateway(s.session) || s.novelty() < PlaceNovelty::NewNetwork {
        return Verdict::Silent;
    }
    let fixed = |x: &Session| {
        !matches!(x.place.class, NetworkClass::Mobile | NetworkClass::Own | NetworkClass::Private)
    };
    for other in s.dossier.sessions.iter().filter(|o| o.index != s.session.index && o.entered && gateway(o)) {
        let together =
            s.session.end_or_last().min(other.end_or_last()).since(s.session.start.max(other.start));
        let apart = other.place.asn != s.place().asn && other.place.asn != 0 && s.place().asn != 0;
        if together >= at_least_us && apart && fixed(s.session) && fixed(other) {
            let facts = vec![
                ("overlap", span(together)),
                ("other_ip", other.ip().to_string()),
                ("other_network", s.text(other.place.as_name)),
            ];
            let evidence =
                s.session.evidence.first().into_iter().chain(other.evidence.first()).copied().collect();
            return Verdict::Fires(Finding::with(facts, evidence));
        }
    }
    Verdict::Silent
}
