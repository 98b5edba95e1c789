//! What somebody did from outside, or what came from an address, a device or through a gateway: every session with how
//! far it is cleared, and every second factor. For looking at, beside cases; it judges nothing anew.

use crate::build::{person, session_line};
use portreeve_engine::Engine;
use portreeve_engine::correlate::Rules;
use portreeve_engine::fold::principal::Dossier;
use portreeve_engine::session::Session;
use portreeve_model::case::{Person, SessionLine};
use portreeve_model::event::{Flags, Mfa, Outcome};
use portreeve_model::facts::AccountKind;
use portreeve_model::untrusted::Untrusted;
use portreeve_model::{EventTime, Ip, Sym};
use std::collections::BTreeMap;

/// Whose sessions.
#[derive(Clone, Debug)]
pub enum Of {
    /// An account, as any record or the directory calls it.
    User(String),
    Address(Ip),
    Device(String),
    Gateway(String),
}

/// A step of a second factor.
#[derive(Clone, PartialEq, Debug)]
pub struct FactorLine {
    pub time: EventTime,
    pub principal: Untrusted,
    /// Outcome, reason and what else the record says.
    pub what: String,
    pub factor: String,
    pub ip: Ip,
    pub device: Untrusted,
    /// Not freely passed: denied, broken off, bypassed, or a success without a factor.
    pub unusual: bool,
}

/// What was found. The newest are kept where there are more.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Stays {
    /// By start. `suspect` says that one of them may be part of a case.
    pub sessions: Vec<SessionLine>,
    /// Sessions of the time asked for that are not among them.
    pub left_out: usize,
    pub factors: Vec<FactorLine>,
    /// Of a user.
    pub person: Option<Person>,
}

/// Principals whose sessions are gone through: one address of a provider may be everybody's.
const MOST_PRINCIPALS: usize = 100;
const MOST_FACTORS: usize = 200;

fn dossiers<'e>(engine: &'e Engine<'_>, of: &Of, wanted: &dyn Fn(&Session) -> bool) -> Vec<&'e Dossier> {
    if let Of::User(name) = of {
        let named = engine.symbol(name).or_else(|| engine.symbol(&name.to_lowercase()));
        let account = named.map(|sym| engine.context().account(sym).name);
        return account.and_then(|name| engine.dossier_of(name)).into_iter().collect();
    }
    let all = engine.dossiers_in_order().into_iter();
    all.filter(|d| d.sessions.iter().any(|s| wanted(s))).take(MOST_PRINCIPALS).collect()
}

/// Sessions that began since then, at most so many.
pub fn stays(engine: &Engine<'_>, rules: &Rules, of: &Of, since: EventTime, most: usize) -> Stays {
    let named = |name: &String| {
        let lower = name.to_lowercase();
        move |sym: Sym| sym.is_some() && engine.name(sym).to_lowercase() == lower
    };
    let wanted: Box<dyn Fn(&Session) -> bool> = match of {
        Of::User(_) => Box::new(|_| true),
        Of::Address(ip) => {
            Box::new(|s| s.stays.iter().any(|x| x.ip == *ip) || s.tunnels.iter().any(|t| t.0 == *ip))
        }
        Of::Device(name) => {
            let is = named(name);
            Box::new(move |s| is(s.device))
        }
        Of::Gateway(name) => {
            let is = named(name);
            Box::new(move |s| is(s.gateway))
        }
    };
    let wanted = |s: &Session| s.start >= since && wanted(s);
    let mut found = Stays::default();
    let mut by_start: BTreeMap<(EventTime, String, usize), SessionLine> = BTreeMap::new();
    for dossier in dossiers(engine, of, &wanted) {
        let account = engine.context().account(dossier.principal);
        if matches!(of, Of::User(_)) {
            found.person = Some(person(engine, &account));
        }
        let judged = account.kind != AccountKind::Machine;
        engine.each_session(dossier, rules, &mut |seen| {
            let s = seen.subject.session;
            if !seen.entered || !wanted(s) {
                return;
            }
            let line = session_line(engine, seen.subject, judged && seen.suspicious);
            by_start.insert((s.start, engine.name(s.principal), s.index), line);
            if by_start.len() > most {
                by_start.pop_first();
                found.left_out += 1;
            }
        });
        if !matches!(of, Of::Gateway(_)) {
            factors(engine, dossier, of, since, &mut found.factors);
        }
    }
    found.sessions = by_start.into_values().collect();
    for (n, line) in found.sessions.iter_mut().enumerate() {
        line.id = format!("s{}", n + 1);
        // What a record says is for who may read records.
        line.evidence.clear();
    }
    found.factors.sort_by(|a, b| b.time.cmp(&a.time).then_with(|| a.what.cmp(&b.what)));
    found.factors.truncate(MOST_FACTORS);
    found
}

fn factors(engine: &Engine<'_>, dossier: &Dossier, of: &Of, since: EventTime, all: &mut Vec<FactorLine>) {
    let is = |name: &String, sym: Sym| engine.name(sym).to_lowercase() == name.to_lowercase();
    for m in dossier.mfa.iter().filter(|m| m.time >= since) {
        let wanted = match of {
            Of::User(_) | Of::Gateway(_) => true,
            Of::Address(ip) => m.ip == *ip,
            Of::Device(name) => is(name, m.device),
        };
        if !wanted {
            continue;
        }
        let flags = m.flags.names().collect::<Vec<_>>().join(" ");
        let what = [m.outcome.name(), m.reason.name(), flags.as_str()];
        all.push(FactorLine {
            time: m.time,
            principal: engine.name(dossier.principal).into(),
            what: what.into_iter().filter(|w| !w.is_empty()).collect::<Vec<_>>().join(", "),
            factor: m.factor.name().to_owned(),
            ip: m.ip,
            device: engine.name(m.device).into(),
            unusual: !matches!(m.outcome, Outcome::Success | Outcome::Challenge)
                || m.mfa == Mfa::No
                || m.flags.has(Flags::MFA_BYPASS),
        });
    }
}
