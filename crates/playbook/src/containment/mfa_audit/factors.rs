//! The factors themselves: not used for long, phishable alone, in several hands, enrolled from odd places.

use super::Period;
use super::tally::line;
use portreeve_engine::Engine;
use portreeve_engine::fold::principal::{ChangeSeen, Dossier};
use portreeve_engine::session::Session;
use portreeve_model::event::{Change, Factor, Flags, Mfa, Outcome};
use portreeve_model::facts::{Account, AccountKind};
use portreeve_model::mfa_audit::{
    DeviceUse, Factors, PhishableOnly, SharedDevice, StaleFactor, UnusualEnrolment,
};
use portreeve_model::net::NetworkClass;
use portreeve_model::place::Place;
use portreeve_model::time::{DAY_US, HOUR_US};
use portreeve_model::{EventTime, Ip, Sym};
use std::collections::{BTreeMap, BTreeSet};

/// A factor that nobody used for so long is stale.
pub(super) const STALE_DAYS: i64 = 90;
/// An enrolment this near to a suspicious session belongs to it.
const NEAR_US: i64 = 24 * HOUR_US;

const NEAR_SUSPICION: &str = "within 24 hours of a suspicious session";
const NEW_COUNTRY: &str = "from a country new to the account";
const NEW_NETWORK: &str = "from a network new to the account";
const NEW_ADDRESS: &str = "from an address new to the account";
/// The loudest first.
const LOUDNESS: [&str; 4] = [NEAR_SUSPICION, NEW_COUNTRY, NEW_NETWORK, NEW_ADDRESS];

/// One session of an account, as far as enrolments are held against it.
pub(super) struct Visit {
    pub(super) start: EventTime,
    pub(super) suspicious: bool,
    ips: Vec<Ip>,
    asn: u32,
    country: portreeve_model::place::Country,
}

impl Visit {
    pub(super) fn of(session: &Session, suspicious: bool) -> Visit {
        Visit {
            start: session.start,
            suspicious,
            ips: session.stays.iter().map(|s| s.ip).collect(),
            asn: session.place.asn,
            country: session.place.country,
        }
    }
}

#[derive(Default)]
struct Hands {
    /// Person, and the account as it was used.
    accounts: BTreeSet<(String, String)>,
    span: Option<(EventTime, EventTime)>,
}

/// Gathers account by account.
#[derive(Default)]
pub(super) struct Gather {
    found: Factors,
    hands: BTreeMap<(DeviceUse, String), Hands>,
}

impl Gather {
    pub(super) fn account(
        &mut self,
        engine: &Engine<'_>,
        dossier: &Dossier,
        account: &Account,
        visits: &[Visit],
        period: &Period,
    ) {
        let uses = uses(dossier, period.until);
        self.stale(engine, dossier, visits, &uses, period.until);
        let phishable: Vec<Factor> =
            uses.keys().copied().filter(|f| named(*f) && !f.phishing_resistant()).collect();
        let other = uses.keys().any(|f| f.phishing_resistant() || *f == Factor::Other);
        if !phishable.is_empty() && !other {
            self.found.phishable_only.push(PhishableOnly {
                name: engine.name(dossier.principal).into(),
                privileged: account.privileged,
                uses: phishable.iter().filter_map(|f| uses.get(f)).map(|(n, _)| n).sum(),
                factors: phishable,
            });
        }
        if !matches!(account.kind, AccountKind::Service | AccountKind::Anonymous) {
            self.devices(engine, dossier, account, period);
        }
        for change in dossier.changes.iter().filter(|c| period.holds(c.time)) {
            // The account's own dossier has it; that of a help desk which enrolled it for somebody has it too.
            let about = engine.context().account(change.target).name;
            if change.change == Change::FactorEnrolled
                && (change.target.is_none() || about == dossier.principal)
            {
                self.found.enrolments += 1;
                self.enrolment(engine, dossier, change, visits);
            }
        }
    }

    fn stale(
        &mut self,
        engine: &Engine<'_>,
        dossier: &Dossier,
        visits: &[Visit],
        uses: &BTreeMap<Factor, (u64, EventTime)>,
        until: EventTime,
    ) {
        let name = || engine.name(dossier.principal).into();
        let old = |at: EventTime| until.since(at) >= STALE_DAYS * DAY_US;
        let days = |at: EventTime| u64::try_from(until.since(at) / DAY_US).unwrap_or(0);
        let last_login = visits.iter().map(|v| v.start).filter(|t| *t <= until).max();
        let changes = || dossier.changes.iter().filter(|c| c.time <= until);
        let gone = |since: EventTime| {
            changes()
                .any(|c| matches!(c.change, Change::FactorRemoved | Change::FactorReset) && c.time >= since)
        };
        for (factor, (_, last)) in uses.iter().filter(|(f, (_, last))| named(**f) && old(*last)) {
            if !gone(*last) {
                self.found.stale.push(StaleFactor {
                    name: name(),
                    factor: *factor,
                    enrolled: None,
                    last_used: Some(*last),
                    days: days(*last),
                    last_login,
                });
            }
        }
        let enrolled = changes().filter(|c| c.change == Change::FactorEnrolled).map(|c| c.time).max();
        if let Some(at) = enrolled.filter(|at| old(*at) && !gone(*at))
            && !uses.values().any(|(_, last)| *last >= at)
        {
            self.found.stale.push(StaleFactor {
                name: name(),
                factor: Factor::None,
                enrolled: Some(at),
                last_used: None,
                days: days(at),
                last_login,
            });
        }
    }

    fn devices(&mut self, engine: &Engine<'_>, dossier: &Dossier, account: &Account, period: &Period) {
        // An administrator's second account is in the same hands.
        let person = if account.kind == AccountKind::AdminOfPerson && account.paired.is_some() {
            account.paired
        } else {
            dossier.principal
        };
        let (person, used) = (engine.name(person), engine.name(dossier.principal));
        let mut add = |used_as: DeviceUse, device: Sym, at: EventTime| {
            let name = engine.name(device);
            if !identifies(&name) {
                return;
            }
            let hands = self.hands.entry((used_as, name)).or_default();
            hands.accounts.insert((person.clone(), used.clone()));
            hands.span = Some(hands.span.map_or((at, at), |(a, b)| (a.min(at), b.max(at))));
        };
        for m in dossier.mfa.iter().filter(|m| period.holds(m.time) && m.token.is_some()) {
            // Where the record is about another account, that is no token.
            let other = engine.context().account(m.token);
            if !other.listed && engine.dossier_of(other.name).is_none() {
                add(DeviceUse::Factor, m.token, m.time);
            }
        }
        for s in dossier.sessions.iter().filter(|s| period.holds(s.start) && s.device.is_some()) {
            add(DeviceUse::Client, s.device, s.start);
        }
    }

    fn enrolment(&mut self, engine: &Engine<'_>, dossier: &Dossier, change: &ChangeSeen, visits: &[Visit]) {
        let mut because = Vec::new();
        if visits.iter().any(|v| v.suspicious && v.start.since(change.time).abs() <= NEAR_US) {
            because.push(NEAR_SUSPICION);
        }
        let place = engine.context().place(change.ip);
        // The stay in which it was enrolled does not make its own address known.
        let earlier: Vec<&Visit> =
            visits.iter().filter(|v| !v.suspicious && v.start <= change.time.minus(NEAR_US)).collect();
        let known_place = !change.ip.is_public() || place.class == NetworkClass::Own;
        if change.ip.is_none() || !known_place && earlier.is_empty() {
            self.found.not_judged += u64::from(because.is_empty());
        } else if !known_place {
            because.extend(newness(change.ip, &place, &earlier));
        }
        if because.is_empty() {
            return;
        }
        let by = if change.actor == dossier.principal { Sym::NONE } else { change.actor };
        self.found.unusual.push(UnusualEnrolment {
            name: engine.name(dossier.principal).into(),
            time: change.time,
            change: change.change,
            detail: engine.name(change.detail).into(),
            by: engine.name(by).into(),
            ip: change.ip,
            place: described(engine, &place).into(),
            because,
            examples: vec![line(change.evidence)],
        });
    }

    pub(super) fn done(self) -> Factors {
        let mut found = self.found;
        found.stale_after_days = STALE_DAYS.unsigned_abs();
        found
            .stale
            .sort_by(|a, b| b.days.cmp(&a.days).then_with(|| (&a.name, a.factor).cmp(&(&b.name, b.factor))));
        // Privileged accounts first, then those who use it most.
        found.phishable_only.sort_by(|a, b| {
            (b.privileged, b.uses).cmp(&(a.privileged, a.uses)).then_with(|| a.name.cmp(&b.name))
        });
        let loudness = |u: &UnusualEnrolment| {
            u.because.first().and_then(|b| LOUDNESS.iter().position(|l| l == b)).unwrap_or(LOUDNESS.len())
        };
        found.unusual.sort_by(|a, b| {
            (loudness(a), a.time).cmp(&(loudness(b), b.time)).then_with(|| a.name.cmp(&b.name))
        });
        for ((used_as, device), hands) in self.hands {
            let people: BTreeSet<&String> = hands.accounts.iter().map(|(person, _)| person).collect();
            if let Some((first, last)) = hands.span.filter(|_| people.len() >= 2) {
                let accounts = hands.accounts.iter().map(|(_, account)| account.as_str().into()).collect();
                found.shared.push(SharedDevice { used_as, device: device.into(), accounts, first, last });
            }
        }
        found
    }
}

/// How often each factor was passed, and when last. Only what a record names; a remembered one is no use.
fn uses(dossier: &Dossier, until: EventTime) -> BTreeMap<Factor, (u64, EventTime)> {
    let mut uses: BTreeMap<Factor, (u64, EventTime)> = BTreeMap::new();
    let mut add = |factor: Factor, at: EventTime| {
        if at <= until && !matches!(factor, Factor::None | Factor::Remembered | Factor::BypassCode) {
            let known = uses.entry(factor).or_insert((0, at));
            *known = (known.0 + 1, known.1.max(at));
        }
    };
    for m in dossier.mfa.iter() {
        let passed = m.outcome == Outcome::Success
            && !matches!(m.mfa, Mfa::No | Mfa::Claimed)
            && !m.flags.has(Flags::MFA_BYPASS);
        if passed {
            add(m.factor, m.time);
        }
    }
    for s in dossier.sessions.iter().filter(|s| s.mfa.mfa == Mfa::Yes) {
        // A step that the provider logged by itself was counted above.
        let Some(evidence) = s.mfa.evidence else { continue };
        if !dossier.mfa.iter().any(|m| m.evidence.raw == evidence.raw) {
            add(s.mfa.factor, evidence.time);
        }
    }
    uses
}

fn named(factor: Factor) -> bool {
    !matches!(factor, Factor::None | Factor::Other | Factor::Remembered | Factor::BypassCode)
}

/// Does the name tell one device from another of its make? `iPhone` does not, `iPhone (XXX-XXX-0100)` does.
fn identifies(name: &str) -> bool {
    name.chars().filter(char::is_ascii_digit).count() >= 4
}

/// What is new of an address to an account with earlier visits; nothing where its network is known.
fn newness(ip: Ip, place: &Place, earlier: &[&Visit]) -> Option<&'static str> {
    if earlier.iter().any(|v| v.ips.iter().any(|known| known.prefix() == ip.prefix())) {
        return None;
    }
    let country = place.country.is_some() && earlier.iter().all(|v| v.country != place.country);
    let network = place.asn != 0 && earlier.iter().all(|v| v.asn != place.asn);
    Some(match (country, network) {
        (true, _) => NEW_COUNTRY,
        (_, true) => NEW_NETWORK,
        _ => NEW_ADDRESS,
    })
}

fn described(engine: &Engine<'_>, place: &Place) -> String {
    let parts = [engine.name(place.city), place.country.text().to_owned(), engine.name(place.as_name)];
    parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join(", ")
}
