//! The stage for scenarios: whom they may use, when, and from where; and how they bend a person's ordinary days.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use jiff::civil::Date;

use crate::Plan;
use crate::book::Mark;
use crate::clock::{self, DAY, HOUR, Millis};
use crate::company::{Gateway, Person, Status};
use crate::gazetteer::NetworkKind;
use crate::incident::{Incident, YES_OR_UNKNOWN};
use crate::writers::Pen;

/// How one person's day differs from the ordinary.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bent {
    pub(crate) presence: Presence,
    /// Where from, instead of home.
    pub(crate) ip: Option<Ipv4Addr>,
    /// The rows of the day belong to this incident.
    pub(crate) mark: Mark,
    pub(crate) typos: u32,
    pub(crate) machine: Option<String>,
    pub(crate) novel: bool,
    /// Local hour of the login, instead of the person's own.
    pub(crate) hour: Option<f64>,
    /// Work at a weekend.
    pub(crate) any_day: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Presence {
    #[default]
    AsUsual,
    Remote,
    Office,
    Absent,
}

/// Rows of context files that scenarios add.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extra {
    /// user, from, to, country, city
    pub(crate) travel: Vec<[String; 5]>,
    /// cidr, account, from, to, purpose
    pub(crate) testing: Vec<[String; 5]>,
    /// id, opened, closed, category, requester, subject user, summary
    pub(crate) tickets: Vec<[String; 7]>,
    /// user, from, to
    pub(crate) on_call: Vec<[String; 3]>,
    /// cidr, label
    pub(crate) egress: Vec<[String; 2]>,
    pub(crate) listed: Vec<Ipv4Addr>,
    pub(crate) statuses: BTreeMap<usize, Status>,
    pub(crate) started: BTreeMap<usize, Date>,
}

pub(crate) struct Scene<'w> {
    pub(crate) pen: Pen<'w>,
    pub(crate) plan: Plan,
    pub(crate) bent: BTreeMap<(usize, i64), Bent>,
    pub(crate) extra: Extra,
    pub(crate) incidents: Vec<Incident>,
    taken: BTreeSet<usize>,
}

impl<'w> Scene<'w> {
    pub(crate) fn new(pen: Pen<'w>, plan: &Plan) -> Scene<'w> {
        Scene {
            pen,
            plan: *plan,
            bent: BTreeMap::new(),
            extra: Extra::default(),
            incidents: Vec::new(),
            taken: BTreeSet::new(),
        }
    }

    /// Somebody who is in no other scenario and fits.
    pub(crate) fn cast(&mut self, fits: impl Fn(&Person) -> bool) -> Option<usize> {
        let mut ids: Vec<usize> = self
            .pen
            .company
            .people
            .iter()
            .filter(|p| p.status == Status::Active && !p.legacy && !self.taken.contains(&p.id) && fits(p))
            .map(|p| p.id)
            .collect();
        self.pen.rng.shuffle(&mut ids);
        let id = ids.first().copied()?;
        self.taken.insert(id);
        Some(id)
    }

    /// A given account, such as a service account; nobody else will use it.
    pub(crate) fn take(&mut self, login: &str) -> Option<usize> {
        let id = self.pen.company.people.iter().find(|p| p.login == login)?.id;
        self.taken.insert(id).then_some(id)
    }

    /// First day on which something may happen: two fifths of the time are history.
    pub(crate) fn first_day(&self) -> i64 {
        (i64::from(self.plan.days) * 2 + 4) / 5
    }

    /// A working day after the history, leaving `after` days to the end.
    pub(crate) fn day(&mut self, after: i64) -> i64 {
        let first = self.first_day();
        let last = (i64::from(self.plan.days) - after).max(first + 1);
        for _ in 0..50 {
            let day = self.pen.rng.range(first, last);
            if !clock::is_weekend(self.date(day)) {
                return day;
            }
        }
        first
    }

    pub(crate) fn date(&self, day: i64) -> Date {
        clock::plus_days(self.plan.start, day)
    }

    pub(crate) fn midnight(&self, day: i64) -> Millis {
        clock::midnight(self.plan.start) + day * DAY
    }

    /// The instant of a local hour of a person's day, give or take a quarter of an hour.
    pub(crate) fn at(&mut self, person: usize, day: i64, hour: f64) -> Millis {
        let zone = self.pen.company.zone_of(&self.pen.person(person)).clone();
        let jitter = self.pen.rng.range(-HOUR / 4, HOUR / 4);
        zone.instant(self.midnight(day), (hour * HOUR as f64) as Millis) + jitter
    }

    /// The instant of an hour of the day in UTC, give or take a quarter of an hour.
    pub(crate) fn at_utc(&mut self, day: i64, hour: i64) -> Millis {
        self.midnight(day) + hour * HOUR + self.pen.rng.range(-HOUR / 4, HOUR / 4)
    }

    /// A login without a push: that none was asked can be seen where the gateway names the exempt group; elsewhere
    /// it shows only by the missing record of the identity provider.
    pub(crate) fn no_push(&self, incident: Incident) -> Incident {
        let silent = incident.people.iter().any(|id| {
            let gateway = self.pen.company.people.get(*id).map(|p| p.gateway);
            matches!(gateway, Some(Gateway::OpenVpn | Gateway::GlobalProtect))
        });
        if silent { incident.accept("mfa_bypassed_or_absent", YES_OR_UNKNOWN) } else { incident }
    }

    /// Bends a day of a person.
    pub(crate) fn bend(&mut self, person: usize, day: i64, bent: Bent) {
        self.bent.insert((person, day), bent);
    }

    /// An address of some hosting provider outside the company's countries.
    pub(crate) fn hosting(&mut self) -> Ipv4Addr {
        self.abroad(NetworkKind::Hosting)
    }

    /// An address of that kind abroad.
    pub(crate) fn abroad(&mut self, kind: NetworkKind) -> Ipv4Addr {
        let countries = self.pen.company.countries_text();
        let blocks = self.pen.company.plan.abroad(kind, &countries);
        let block = *self.pen.rng.pick(&blocks);
        loop {
            // Only the scenario about lists uses a listed address, and it lists it itself.
            let ip = self.pen.company.plan.address(&block, &mut self.pen.rng);
            if !self.extra.listed.contains(&ip) {
                return ip;
            }
        }
    }

    /// An address of that kind in a city; abroad where the city has none.
    pub(crate) fn in_city(&mut self, city: &str, kind: NetworkKind) -> Ipv4Addr {
        let blocks = self.pen.company.plan.in_city(city, kind);
        if blocks.is_empty() {
            return self.abroad(kind);
        }
        let block = *self.pen.rng.pick(&blocks);
        self.pen.company.plan.address(&block, &mut self.pen.rng)
    }

    /// Rows written from here on belong to the next incident.
    pub(crate) fn mark(&mut self) -> Mark {
        self.pen.mark = Some(self.incidents.len());
        self.pen.mark
    }

    pub(crate) fn finish(&mut self, incident: Incident) {
        self.incidents.push(incident);
        self.pen.mark = None;
    }
}
