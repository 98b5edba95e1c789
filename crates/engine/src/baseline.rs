//! What is usual for a principal, as of a time. Only sessions without a finding teach, and only what was used
//! long and often enough is known.

use crate::memo::Map;
use crate::session::Session;
use portreeve_model::place::{Place, Point};
use portreeve_model::time::DAY_US;
use portreeve_model::{EventTime, Ip, Sym};

/// A session teaches after this time …
const CLEAR_AFTER_US: i64 = 7 * DAY_US;
/// … if its value was used on this many distinct days.
const CLEAR_DAYS: u32 = 3;
/// What a principal used in the first days on record is taken as it is: there is nothing to hold it against.
pub const BOOTSTRAP_US: i64 = 5 * DAY_US;
/// Fewer sessions or days than this, and the program is still learning the principal.
const LEARNT_SESSIONS: u32 = 5;
const LEARNT_DAYS: u32 = 3;
/// An area is the surroundings of a point.
pub const AREA_KM: f32 = 120.0;

/// A kind of value that a baseline holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    Ip,
    Prefix,
    Asn,
    Country,
    Device,
    Client,
    Gateway,
    Group,
    Service,
    Hour,
    Method,
    /// Kind of network: hosting, commercial VPN …
    Network,
}

/// How well a value is known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// The record does not carry the value.
    Unobservable,
    New,
    /// Seen before, not long or often enough to count as legitimate.
    Pending,
    Cleared,
}

#[derive(Clone, Copy, Debug)]
struct Stat {
    first: EventTime,
    last_day: i32,
    days: u32,
    proven: bool,
    needs_proof: bool,
}

/// The baseline of one principal while its sessions are gone through in time order.
#[derive(Clone, Default)]
pub struct Known {
    values: Map<(What, u128), Stat>,
    areas: Vec<(Point, Stat)>,
    /// Sessions by hour of day, UTC.
    hours: [u32; 24],
    pub sessions: u32,
    pub days: u32,
    last_day: i32,
    pub first: Option<EventTime>,
}

/// The values of a session, as keys.
pub fn value(session: &Session, what: What) -> Option<u128> {
    let sym = |s: Sym| s.some().map(|s| u128::from(s.0));
    match what {
        What::Ip => session.ip().some().map(|ip| ip.0),
        What::Prefix => session.ip().some().map(|ip| ip.prefix().0),
        What::Asn if session.place.asn != 0 => Some(u128::from(session.place.asn)),
        // Without a network table, the block that leases of one line and one office mostly stay within.
        What::Asn => session.ip().is_public().then(|| session.ip().block() | BLOCK),
        What::Country => {
            let c = session.place.country;
            c.is_some().then(|| u128::from(u16::from_be_bytes(c.0)))
        }
        What::Device => sym(session.device),
        What::Client => sym(session.client),
        What::Gateway => sym(session.gateway),
        What::Group => sym(session.group),
        What::Service => Some(session.service as u128),
        What::Hour => Some(u128::from(session.start.hour_of_week())),
        What::Method => Some(session.method as u128),
        What::Network => session.ip().is_public().then_some(session.place.class as u128),
    }
}

/// Sets keys of address blocks apart from numbers of networks.
const BLOCK: u128 = 1 << 127;

const ALL: [What; 12] = [
    What::Ip,
    What::Prefix,
    What::Asn,
    What::Country,
    What::Device,
    What::Client,
    What::Gateway,
    What::Group,
    What::Service,
    What::Hour,
    What::Method,
    What::Network,
];

impl Known {
    /// How well a value was known at that time. `others` is how many other people of the company had used it:
    /// three of them vouch for an anonymising network that age alone would not clear.
    pub fn level(&self, what: What, key: Option<u128>, at: EventTime, others: usize) -> Level {
        let Some(key) = key else { return Level::Unobservable };
        self.values.get(&(what, key)).map_or(Level::New, |s| self.standing(s, at, others))
    }

    fn standing(&self, stat: &Stat, at: EventTime, others: usize) -> Level {
        let bootstrap = self.first.is_some_and(|first| stat.first.since(first) <= BOOTSTRAP_US);
        let aged = at.since(stat.first) >= CLEAR_AFTER_US && stat.days >= CLEAR_DAYS;
        if stat.proven || bootstrap || (aged && (!stat.needs_proof || others >= 3)) {
            Level::Cleared
        } else {
            Level::Pending
        }
    }

    pub fn level_of(&self, session: &Session, what: What, others: usize) -> Level {
        self.level(what, value(session, what), session.start, others)
    }

    /// How well the surroundings of a point are known.
    pub fn area(&self, point: Point, radius_km: u16, at: EventTime) -> Level {
        let mut best = Level::New;
        for (center, stat) in &self.areas {
            if center.distance_km(point) - f32::from(radius_km) <= AREA_KM {
                let standing = if stat.days >= 2 {
                    self.standing(stat, at, 0).max(Level::Pending)
                } else {
                    Level::Pending
                };
                best = best.max(standing);
            }
        }
        best
    }

    /// Points of the areas where legitimate sessions happened on two days or more.
    pub fn usual_areas(&self) -> impl Iterator<Item = Point> + '_ {
        self.areas.iter().filter(|(_, s)| s.days >= 2).map(|(p, _)| *p)
    }

    /// Too little history to call anything unusual.
    pub fn learning(&self) -> bool {
        self.sessions < LEARNT_SESSIONS || self.days < LEARNT_DAYS
    }

    pub fn is_empty(&self) -> bool {
        self.sessions == 0
    }

    /// Sessions within an hour of that hour of day, and sessions in all.
    pub fn around_hour(&self, at: EventTime) -> (u32, u32) {
        let hour = usize::from(at.hour_of_week() % 24);
        let near = [(hour + 23) % 24, hour, (hour + 1) % 24].iter().map(|h| self.hours[*h]).sum();
        (near, self.hours.iter().sum())
    }

    pub fn days_of(&self, what: What, key: u128) -> u32 {
        self.values.get(&(what, key)).map_or(0, |s| s.days)
    }

    /// Is any value of this kind known at all?
    pub fn has_any(&self, what: What) -> bool {
        self.values.keys().any(|(w, _)| *w == what)
    }

    /// A session without a finding is added. `proven`: a phishing-resistant factor on a managed device, or an
    /// analyst's word.
    pub fn teach(&mut self, session: &Session, place: &Place, proven: bool) {
        let at = session.start;
        self.first.get_or_insert(at);
        self.sessions += 1;
        if self.days == 0 || self.last_day != at.day() {
            self.days += 1;
            self.last_day = at.day();
        }
        self.hours[usize::from(at.hour_of_week() % 24)] += 1;
        for what in ALL {
            let Some(key) = value(session, what) else { continue };
            let needs_proof = place.class.needs_proof()
                && matches!(what, What::Ip | What::Prefix | What::Asn | What::Network);
            bump(self.values.entry((what, key)).or_insert(Stat::new(at, needs_proof)), at, proven);
        }
        // Further addresses of the same stay (roaming).
        for stay in session.stays.iter().skip(1) {
            for (what, ip) in [(What::Ip, stay.ip), (What::Prefix, stay.ip.prefix())] {
                bump(self.values.entry((what, ip.0)).or_insert(Stat::new(at, false)), at, proven);
            }
        }
        if let Some(point) = place.person_point() {
            let near = self.areas.iter().position(|(p, _)| p.distance_km(point) <= AREA_KM / 2.0);
            if let Some(near) = near {
                bump(&mut self.areas[near].1, at, proven);
            } else if self.areas.len() < 64 {
                let mut stat = Stat::new(at, false);
                bump(&mut stat, at, proven);
                self.areas.push((point, stat));
            }
        }
    }
}

impl Stat {
    fn new(at: EventTime, needs_proof: bool) -> Stat {
        Stat { first: at, last_day: i32::MIN, days: 0, proven: false, needs_proof }
    }
}

fn bump(stat: &mut Stat, at: EventTime, proven: bool) {
    if stat.last_day != at.day() {
        stat.days += 1;
        stat.last_day = at.day();
    }
    stat.first = stat.first.min(at);
    stat.proven |= proven;
}

/// Addresses and devices of a case, new to the principal when they first came: what shares them is tainted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Taint {
    pub ips: Vec<Ip>,
    pub devices: Vec<Sym>,
}

impl Taint {
    pub fn covers(&self, session: &Session) -> bool {
        session.stays.iter().any(|s| self.ips.contains(&s.ip))
            || (session.device.is_some() && self.devices.contains(&session.device))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portreeve_model::Event;
    use portreeve_model::event::Service;
    use portreeve_model::net::NetworkClass;
    use portreeve_model::time::DAY_US;

    fn session(day: i64, ip: Ip) -> Session {
        let event =
            Event { time: EventTime(day * DAY_US), src_ip: ip, service: Service::Vpn, ..Event::default() };
        Session::begin(0, Sym(1), &event, Place::default())
    }

    fn known(uses: &[(i64, u8)], class: NetworkClass) -> Known {
        let mut known = Known::default();
        for (day, last) in uses {
            let place = Place { class, ..Place::default() };
            known.teach(&session(*day, Ip::v4(203, 0, 113, *last)), &place, false);
        }
        known
    }

    fn level(known: &Known, day: i64, last: u8, others: usize) -> Level {
        known.level_of(&session(day, Ip::v4(203, 0, 113, last)), What::Ip, others)
    }

    #[test]
    fn age_and_use_clear_a_value() {
        // Address 9 comes on day 10, after the first days on record.
        let k = known(&[(0, 1), (10, 9), (11, 9), (12, 9)], NetworkClass::Isp);
        assert_eq!(level(&k, 16, 9, 0), Level::Pending);
        assert_eq!(level(&k, 17, 9, 0), Level::Cleared); // exactly seven days
        assert_eq!(level(&k, 17, 8, 0), Level::New);
        let twice = known(&[(0, 1), (10, 9), (11, 9)], NetworkClass::Isp);
        assert_eq!(level(&twice, 30, 9, 0), Level::Pending);
    }

    #[test]
    fn age_alone_clears_no_hosting_address() {
        let k = known(&[(0, 1), (10, 9), (11, 9), (12, 9)], NetworkClass::Hosting);
        assert_eq!(level(&k, 90, 9, 2), Level::Pending);
        assert_eq!(level(&k, 90, 9, 3), Level::Cleared);
    }

    #[test]
    fn the_first_days_are_taken_as_they_are() {
        let k = known(&[(0, 1), (5, 2), (6, 3)], NetworkClass::Isp);
        assert_eq!(level(&k, 7, 2, 0), Level::Cleared);
        assert_eq!(level(&k, 7, 3, 0), Level::Pending);
        assert!(k.learning());
    }
}
