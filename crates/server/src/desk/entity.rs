//! A user, an address, a device or a gateway: what is usual, what was, and which cases there are. From what the engine
//! holds, the cases of the store and a short look into the records, each within a stated bound.

use super::cases::viewer;
use super::{Fault, Stamp, Who, look_at_service};
use crate::app::App;
use crate::benign::documents;
use crate::line::{Look, Told};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use portreeve_access::permit::Verb;
use portreeve_lake::Query;
use portreeve_model::facts::Context;
use portreeve_model::time::DAY_US;
use portreeve_model::{EventTime, Ip};
use portreeve_pipeline::live::{Of, Stays};
use portreeve_report::wire;
use portreeve_store::case::entity::{Kind, cases_with};
use portreeve_store::case::{self, Case, Disposition, Status, Viewer};
use portreeve_store::{Error, Tx, Word};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

/// Days that are looked at where nothing is said, and at most.
const USUAL_DAYS: u32 = 90;
const LONGEST_DAYS: u32 = 400;
/// Sessions that are gone through, and those of them that are listed.
const MOST_SESSIONS: usize = 1_000;
const MOST_LISTED: usize = 200;
/// Cases that are named, and those of them whose documents are opened.
const MOST_CASES: usize = 100;
const MOST_OPENED: usize = 20;
/// Entries of each list of what is usual.
const MOST_USUAL: usize = 50;
/// Records are looked at so far back, and so many.
const RECORD_DAYS: i64 = 7;
const MOST_RECORDS: usize = 200;
/// The engine is asked between two verdicts; it is not waited for longer.
const PATIENCE: Duration = Duration::from_secs(5);
const LONGEST_NAME: usize = 500;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EntityKind {
    Users,
    Addresses,
    Devices,
    Gateways,
}

impl EntityKind {
    /// As it stands in addresses.
    pub fn word(self) -> &'static str {
        match self {
            EntityKind::Users => "users",
            EntityKind::Addresses => "addresses",
            EntityKind::Devices => "devices",
            EntityKind::Gateways => "gateways",
        }
    }

    fn in_store(self) -> Kind {
        match self {
            EntityKind::Users => Kind::Principal,
            EntityKind::Addresses => Kind::Address,
            EntityKind::Devices => Kind::Device,
            EntityKind::Gateways => Kind::Gateway,
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EntityInput {
    /// 1 to 400; 90 where nothing is said.
    pub days: Option<u32>,
    /// Until this time (RFC 3339); now where nothing is said.
    pub to: Option<String>,
    /// Zone in which hours and weekdays are counted; `engine.zone` or UTC where nothing is said.
    pub zone: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub struct Entity {
    /// `users`, `addresses`, `devices` or `gateways`.
    pub kind: String,
    pub name: String,
    pub from: Stamp,
    pub to: Stamp,
    pub facts: Vec<EntityFact>,
    /// Sessions by weekday (Monday first) and hour, in `rhythm_zone`.
    pub rhythm: Vec<Vec<u32>>,
    pub rhythm_zone: String,
    /// Hours of suspect sessions: weekday and hour.
    pub marked: Vec<(usize, usize)>,
    pub places: Vec<UsualThing>,
    pub networks: Vec<UsualThing>,
    pub devices: Vec<UsualThing>,
    pub users: Vec<UsualThing>,
    /// Second factors, the newest first.
    pub factors: Vec<FactorSeen>,
    /// The newest 200, by start; `suspect` where one may be part of a case that nobody found benign.
    pub sessions: Vec<wire::Session>,
    pub cases: Vec<EntityCase>,
    /// What was not looked at, and why.
    pub missing: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct EntityFact {
    pub what: String,
    pub is: String,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct UsualThing {
    pub name: String,
    pub sessions: u64,
    pub first: Stamp,
    pub last: Stamp,
    /// Seen in suspect sessions only.
    pub suspect: bool,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct FactorSeen {
    pub at: Stamp,
    pub user: String,
    pub what: String,
    pub factor: String,
    pub from: String,
    /// Denied, broken off, bypassed, or a success without a factor.
    pub unusual: bool,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct EntityCase {
    pub number: i64,
    pub title: String,
    pub status: String,
    pub disposition: String,
    pub at: Stamp,
}

/// The time that is looked at.
#[derive(Clone, Copy)]
struct Window {
    from: i64,
    to: i64,
}

impl Window {
    fn holds(self, at: i64) -> bool {
        self.from <= at && at < self.to
    }
}

fn start_of(s: &wire::Session) -> i64 {
    s.start.parse::<Timestamp>().map_or(i64::MIN, Timestamp::as_microsecond)
}

fn end_of(s: &wire::Session) -> i64 {
    let end = s.end.as_deref().and_then(|e| e.parse::<Timestamp>().ok());
    end.map_or_else(|| start_of(s), Timestamp::as_microsecond)
}

/// What the engine holds; `None` where it has no time, or is not ready.
fn ask_engine(app: &App, of: Of, since: i64) -> Option<Stays> {
    if !app.progress.ready.load(Ordering::Acquire) || app.progress.stopped.get().is_some() {
        return None;
    }
    let to = app.renew.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()?;
    let (answer, stays) = sync_channel(1);
    let look = Look { of, since: EventTime(since), most: MOST_SESSIONS, answer };
    to.try_send(Told::Asked(look)).ok()?;
    drop(to);
    stays.recv_timeout(PATIENCE).ok()
}

/// What the store has: cases that this viewer sees, what is known from their documents, and when those lie that are
/// hidden.
#[derive(Default)]
struct Cases {
    lines: Vec<EntityCase>,
    sessions: Vec<wire::Session>,
    person: Option<wire::Person>,
    /// Account and time of cases that are restricted to others.
    hidden: Vec<(String, i64, i64)>,
    more: bool,
}

fn found_benign(case: &Case) -> bool {
    use Disposition::{BenignPositive, FalsePositiveData, FalsePositiveLogic, NotApplicable};
    case.status == Status::Closed
        && !case.resurfaced
        && matches!(
            case.disposition,
            Some(BenignPositive | FalsePositiveData | FalsePositiveLogic | NotApplicable)
        )
}

fn is_of(kind: EntityKind, name: &str, s: &wire::Session) -> bool {
    let same = |a: &str| a.trim().to_lowercase() == name.trim().to_lowercase();
    match kind {
        EntityKind::Users => same(&s.principal),
        EntityKind::Addresses => s.public_ips.iter().chain(&s.tunnel_ips).any(|ip| same(ip)),
        EntityKind::Devices => same(&s.device),
        EntityKind::Gateways => same(&s.gateway),
    }
}

fn of_store(
    tx: &mut Tx<'_>,
    kind: EntityKind,
    name: &str,
    viewer: Viewer,
    window: Window,
) -> Result<Cases, Error> {
    let mut all = Cases::default();
    let ids = cases_with(tx, kind.in_store(), name, Viewer::All, MOST_CASES + 1)?;
    all.more = ids.len() > MOST_CASES;
    let mut opened = 0;
    for id in ids.into_iter().take(MOST_CASES) {
        let case = case::get(tx, id)?;
        if case.restricted && !case::is_visible(tx, id, viewer)? {
            all.hidden.push((case.principal.to_lowercase(), case.first_seen, case.last_seen));
            continue;
        }
        let benign = found_benign(&case);
        all.lines.push(EntityCase {
            number: id.0,
            title: case.title,
            status: case.status.word().to_owned(),
            disposition: case.disposition.map(|d| d.word().to_owned()).unwrap_or_default(),
            at: Stamp(case.last_seen),
        });
        if opened == MOST_OPENED {
            all.more = true;
            continue;
        }
        opened += 1;
        for document in documents(tx, id)?.unwrap_or_default() {
            if kind == EntityKind::Users && all.person.is_none() {
                all.person = Some(document.principal);
            }
            for mut s in document.sessions {
                if !is_of(kind, name, &s) || !window.holds(start_of(&s)) {
                    continue;
                }
                if s.suspect && benign {
                    s.suspect = false;
                    s.standing = format!("cleared by case {id}");
                }
                all.sessions.push(s);
            }
        }
    }
    Ok(all)
}

/// The engine's sessions with what people made of them; those that it does not hold any more, from cases.
fn joined(stays: Option<Stays>, cases: &mut Cases, window: Window) -> Vec<wire::Session> {
    let mut all: BTreeMap<(i64, String, String), wire::Session> = BTreeMap::new();
    let key = |s: &wire::Session| (start_of(s), s.principal.to_lowercase(), s.service.clone());
    for line in stays.map(|s| s.sessions).unwrap_or_default() {
        let mut s = wire::Session::from(&line);
        if !window.holds(start_of(&s)) {
            continue;
        }
        // What is suspect there is for the members of that case.
        let hidden = |(who, first, last): &(String, i64, i64)| {
            *who == s.principal.to_lowercase()
                && end_of(&s) >= first - DAY_US
                && start_of(&s) <= last + DAY_US
        };
        if cases.hidden.iter().any(hidden) {
            (s.suspect, s.standing) = (false, "pending".to_owned());
        }
        all.insert(key(&s), s);
    }
    for mut s in std::mem::take(&mut cases.sessions) {
        s.evidence.clear();
        let by_case = s.suspect || s.standing.starts_with("cleared by");
        match all.get_mut(&key(&s)) {
            Some(known) if by_case => (known.suspect, known.standing) = (s.suspect, s.standing),
            Some(_) => {}
            None => {
                all.insert(key(&s), s);
            }
        }
    }
    let mut sessions: Vec<wire::Session> = all.into_values().collect();
    for (n, s) in sessions.iter_mut().enumerate() {
        s.id = format!("s{}", n + 1);
    }
    sessions
}

fn usual(sessions: &[wire::Session], name: impl Fn(&wire::Session) -> String) -> Vec<UsualThing> {
    let mut all: BTreeMap<String, UsualThing> = BTreeMap::new();
    for s in sessions {
        let (name, at) = (name(s), start_of(s));
        if name.is_empty() {
            continue;
        }
        let one = all.entry(name.to_lowercase()).or_insert_with(|| UsualThing {
            name,
            sessions: 0,
            first: Stamp(at),
            last: Stamp(at),
            suspect: true,
        });
        one.sessions += 1;
        one.first = Stamp(one.first.0.min(at));
        one.last = Stamp(one.last.0.max(at));
        one.suspect &= s.suspect;
    }
    let mut all: Vec<UsualThing> = all.into_values().collect();
    all.sort_by(|a, b| b.sessions.cmp(&a.sessions).then_with(|| b.last.0.cmp(&a.last.0)));
    all.truncate(MOST_USUAL);
    all
}

fn place_of(s: &wire::Session) -> String {
    let parts = [s.place.city.as_str(), s.place.country.as_str()];
    parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join(", ")
}

fn network_of(s: &wire::Session) -> String {
    let p = &s.place;
    match (p.label.is_empty(), p.asn) {
        (false, _) => p.label.clone(),
        (true, 0) => p.as_name.clone(),
        (true, asn) => format!("AS{asn} {}", p.as_name).trim_end().to_owned(),
    }
}

fn hour_of(at: i64, zone: &TimeZone) -> Option<(usize, usize)> {
    let there = Timestamp::from_microsecond(at).ok()?.to_zoned(zone.clone());
    let day = usize::try_from(there.weekday().to_monday_zero_offset()).ok()?;
    Some((day, usize::try_from(there.hour()).ok()?))
}

fn fact(all: &mut Vec<EntityFact>, what: &str, is: impl Into<String>) {
    let is = is.into();
    if !is.is_empty() {
        all.push(EntityFact { what: what.to_owned(), is });
    }
}

fn person_facts(p: &wire::Person, all: &mut Vec<EntityFact>) {
    fact(all, "department", &p.department);
    fact(all, "role", &p.role);
    fact(all, "status", &p.status);
    fact(all, "privileged", p.privileged.map_or("", |is| if is { "yes" } else { "no" }));
    fact(all, "also called", p.aliases.join(", "));
    fact(all, "in the directory", if p.listed { "yes" } else { "no" });
}

/// What tables say of an address.
fn address_facts(app: &App, ip: Ip, all: &mut Vec<EntityFact>) {
    let grounds = app.grounds();
    let place = grounds.tables.place(ip);
    let name = |sym| grounds.names.text(sym).to_string();
    let city = name(place.city);
    let city = if city.is_empty() { String::new() } else { format!("{city}, ") };
    fact(all, "place", format!("{city}{}", place.country.text()).trim_end_matches(", "));
    if place.asn > 0 {
        fact(all, "provider", format!("AS{} {}", place.asn, name(place.as_name)));
    }
    fact(all, "network", place.class.name());
    fact(all, "own name", name(place.label));
    for hit in grounds.tables.intel(ip, crate::line::now()).into_iter().take(10) {
        fact(all, "listed", format!("{} ({}, confidence {})", hit.label, hit.list, hit.confidence));
    }
}

/// Failures among the newest records: they become no sessions.
fn failures(
    app: &App,
    kind: EntityKind,
    name: &str,
    window: Window,
    shown: &mut Entity,
) -> Result<(), portreeve_lake::Fault> {
    let mut query = Query {
        from: Some(EventTime(window.from.max(window.to - RECORD_DAYS * DAY_US))),
        to: Some(EventTime(window.to)),
        outcome: Some("failure".to_owned()),
        events_only: true,
        limit: MOST_RECORDS,
        ..Query::default()
    };
    match kind {
        EntityKind::Users => query.user = Some(name.to_owned()),
        EntityKind::Addresses => query.address = Ip::parse(name.as_bytes()).some(),
        EntityKind::Devices => query.device = Some(name.to_owned()),
        EntityKind::Gateways => query.observer = Some(name.to_owned()),
    }
    let page = app.lake.search(&query)?;
    let more = if page.next.is_some() { " or more" } else { "" };
    fact(&mut shown.facts, "failures", format!("{}{more} in the last {RECORD_DAYS} days", page.rows.len()));
    if let Some(newest) = page.rows.first() {
        let (at, from) = (Stamp(newest.time.0), &newest.src_ip);
        fact(&mut shown.facts, "last failure", format!("{at} from {from}").trim_end_matches(" from "));
    }
    Ok(())
}

pub fn read(
    app: &App,
    who: &Who,
    (kind, name): (EntityKind, &str),
    input: &EntityInput,
) -> Result<Entity, Fault> {
    who.may_any(app, &[Verb::EntityRead], "service")?;
    let days = input.days.unwrap_or(USUAL_DAYS);
    if !(1..=LONGEST_DAYS).contains(&days) {
        return Err(Fault::invalid("days", format!("1 to {LONGEST_DAYS}")));
    }
    let name = name.trim();
    if name.is_empty() || name.len() > LONGEST_NAME {
        return Err(Fault::invalid("name", format!("1 to {LONGEST_NAME} bytes")));
    }
    let ip = Ip::parse(name.as_bytes()).some();
    let of = match (kind, ip) {
        (EntityKind::Users, _) => Of::User(name.to_owned()),
        (EntityKind::Addresses, Some(ip)) => Of::Address(ip),
        (EntityKind::Addresses, None) => return Err(Fault::invalid("name", "is no IP address")),
        (EntityKind::Devices, _) => Of::Device(name.to_owned()),
        (EntityKind::Gateways, _) => Of::Gateway(name.to_owned()),
    };
    let zone = input.zone.clone().filter(|z| !z.trim().is_empty()).or_else(|| app.config.engine.zone.clone());
    let zone_name = zone.unwrap_or_else(|| "UTC".to_owned());
    let zone = TimeZone::get(&zone_name)
        .map_err(|_| Fault::invalid("zone", "is no zone; write Europe/Berlin or UTC"))?;
    // What is newest carries the time of now, and belongs to it.
    let to = super::stamp::moment("to", input.to.as_deref())?.unwrap_or(crate::line::now().0 + 1);
    let window = Window { from: to - i64::from(days) * DAY_US, to };
    let viewer = viewer(who)?;
    // Spellings of an address are one.
    let name =
        ip.filter(|_| kind == EntityKind::Addresses).map_or_else(|| name.to_owned(), |ip| ip.to_string());
    let mut cases =
        look_at_service(app, who, Verb::EntityRead, |tx| of_store(tx, kind, &name, viewer, window))?;

    let mut shown = Entity {
        kind: kind.word().to_owned(),
        from: Stamp(window.from),
        to: Stamp(window.to),
        facts: Vec::new(),
        rhythm: vec![vec![0; 24]; 7],
        rhythm_zone: zone_name,
        marked: Vec::new(),
        places: Vec::new(),
        networks: Vec::new(),
        devices: Vec::new(),
        users: Vec::new(),
        factors: Vec::new(),
        sessions: Vec::new(),
        cases: std::mem::take(&mut cases.lines),
        missing: Vec::new(),
        name,
    };
    fact(&mut shown.facts, "looked at", format!("{days} days, {} to {}", shown.from, shown.to));
    let mut stays = ask_engine(app, of, window.from);
    let mut person = cases.person.take();
    match &mut stays {
        None => shown.missing.push("the engine did not answer; sessions are from cases alone".to_owned()),
        Some(stays) => {
            if stays.left_out > 0 {
                shown.missing.push(format!(
                    "{} older sessions; the newest {MOST_SESSIONS} are counted",
                    stays.left_out
                ));
            }
            person = stays.person.as_ref().map(wire::Person::from).or(person);
            let factors = std::mem::take(&mut stays.factors).into_iter();
            shown.factors = factors
                .filter(|f| window.holds(f.time.0))
                .map(|f| FactorSeen {
                    at: Stamp(f.time.0),
                    user: f.principal.raw().to_owned(),
                    what: f.what,
                    factor: f.factor,
                    from: if f.ip.is_some() { f.ip.to_string() } else { f.device.raw().to_owned() },
                    unusual: f.unusual,
                })
                .collect();
        }
    }
    if let Some(person) = person.filter(|_| kind == EntityKind::Users) {
        person_facts(&person, &mut shown.facts);
    }
    if let Some(ip) = ip.filter(|_| kind == EntityKind::Addresses) {
        address_facts(app, ip, &mut shown.facts);
    }
    if cases.more {
        shown
            .missing
            .push(format!("cases: {MOST_CASES} are named, sessions are from the newest {MOST_OPENED}"));
    }
    if let Err(error) = failures(app, kind, &shown.name.clone(), window, &mut shown) {
        tracing::error!(%error, "records cannot be searched");
        shown.missing.push("the records could not be searched".to_owned());
    }
    let mut sessions = joined(stays, &mut cases, window);
    for s in &sessions {
        let Some((day, hour)) = hour_of(start_of(s), &zone) else { continue };
        if let Some(n) = shown.rhythm.get_mut(day).and_then(|hours| hours.get_mut(hour)) {
            *n += 1;
        }
        if s.suspect && !shown.marked.contains(&(day, hour)) {
            shown.marked.push((day, hour));
        }
    }
    shown.places = usual(&sessions, place_of);
    shown.networks = usual(&sessions, network_of);
    if kind != EntityKind::Devices {
        shown.devices = usual(&sessions, |s| s.device.clone());
    }
    if kind != EntityKind::Users {
        shown.users = usual(&sessions, |s| s.principal.clone());
    }
    if sessions.len() > MOST_LISTED {
        shown.missing.push(format!("{} sessions; the newest {MOST_LISTED} are listed", sessions.len()));
        sessions.drain(..sessions.len() - MOST_LISTED);
    }
    shown.sessions = sessions;
    Ok(shown)
}
