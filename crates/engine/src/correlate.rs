//! Signals to cases: what belongs to one intrusion is one case.

use crate::baseline::{Known, Taint};
use crate::detect::{Detection, Signal, Subject, run};
use crate::engine::Engine;
use crate::fold::principal::Dossier;
use crate::memo::Map;
use crate::score::{Score, Scoring, weigh};
use crate::session::Session;
use portreeve_model::event::{Factor, Flags};
use portreeve_model::facts::{Account, AccountKind, Explained};
use portreeve_model::signal::Group;
use portreeve_model::time::DAY_US;
use portreeve_model::{EventTime, Ip, Sym};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Suspicious sessions of one principal this near to each other are one intrusion.
const REACH_US: i64 = 3 * DAY_US;

/// Principals that a thread judges before it asks for more.
const SHARE: usize = 32;

/// What judging runs on: the content.
pub struct Rules {
    pub detections: Vec<Detection>,
    pub scoring: Scoring,
}

/// One session with what was found in it and what was known when it began.
pub struct Judged {
    pub session: usize,
    pub signals: Vec<Signal>,
    pub score: Score,
    pub known: Arc<Known>,
    pub explained: Vec<Explained>,
}

/// One session as it is gone through.
pub struct Seen<'s, 'a> {
    pub subject: &'s Subject<'a>,
    pub known: &'s Arc<Known>,
    /// It gave access, as far as its records tell.
    pub entered: bool,
    /// It may be part of a case.
    pub suspicious: bool,
    pub signals: Vec<Signal>,
    pub score: Score,
    pub explained: Vec<Explained>,
}

/// A case before the playbook has answered its questions.
pub struct Draft {
    pub principal: Sym,
    pub account: Account,
    /// Suspect sessions in time order.
    pub sessions: Vec<Judged>,
    /// One signal per detection, the strongest, in time order.
    pub signals: Vec<Signal>,
    pub score: Score,
    pub first: EventTime,
    pub last: EventTime,
    pub taint: Taint,
    /// Baseline at the beginning of the case.
    pub known: Arc<Known>,
    /// Other drafts (by position) that share infrastructure, and why.
    pub related: Vec<(usize, String)>,
}

impl Engine<'_> {
    /// Judges everything that was taken in. A pure function of the dossiers: asked twice, it says the same.
    /// The number of threads changes nothing but the time.
    pub fn judge(&self, rules: &Rules, threads: usize) -> Vec<Draft> {
        let mut drafts = self.judge_each(&self.dossiers_in_order(), rules, threads);
        self.relate(&mut drafts);
        drafts
    }

    /// Judges these principals; their drafts in the order in which they were asked for. [`Engine::relate`] comes after it,
    /// once all drafts are there.
    pub fn judge_these(&self, principals: &[Sym], rules: &Rules, threads: usize) -> Vec<Draft> {
        let dossiers: Vec<&Dossier> =
            principals.iter().filter_map(|p| self.dossiers.get(p).map(AsRef::as_ref)).collect();
        self.judge_each(&dossiers, rules, threads)
    }

    fn judge_each(&self, dossiers: &[&Dossier], rules: &Rules, threads: usize) -> Vec<Draft> {
        if threads < 2 || dossiers.len() < 2 * SHARE {
            let mut drafts = Vec::new();
            dossiers.iter().for_each(|dossier| self.judge_principal(dossier, rules, &mut drafts));
            return drafts;
        }
        let shares: Vec<&[&Dossier]> = dossiers.chunks(SHARE).collect();
        let next = AtomicUsize::new(0);
        let judge_some = || {
            let mut done: Vec<(usize, Vec<Draft>)> = Vec::new();
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                let Some(share) = shares.get(n) else { return done };
                let mut found = Vec::new();
                for dossier in *share {
                    self.judge_principal(dossier, rules, &mut found);
                }
                done.push((n, found));
            }
        };
        let mut done: Vec<(usize, Vec<Draft>)> = std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(judge_some)).collect();
            let mut all = judge_some();
            for other in others {
                match other.join() {
                    Ok(found) => all.extend(found),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            all
        });
        done.sort_by_key(|(n, _)| *n);
        done.into_iter().flat_map(|(_, found)| found).collect()
    }

    /// Every principal that is held, in no order.
    pub fn principals(&self) -> Vec<Sym> {
        self.dossiers.keys().copied().collect()
    }

    /// Finds which of the drafts, in the order of their principals' names, belong together.
    pub fn relate(&self, drafts: &mut [Draft]) {
        drafts.iter_mut().for_each(|d| d.related.clear());
        relate(self, drafts);
    }

    /// By name, because symbols are numbered in the order of arrival.
    pub fn dossiers_in_order(&self) -> Vec<&Dossier> {
        let mut all: Vec<_> =
            self.dossiers.values().map(|d| (self.names.text(d.principal), d.as_ref())).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all.into_iter().map(|(_, d)| d).collect()
    }

    /// Every signal of every session, for tests of detections.
    pub fn all_signals(&self, rules: &Rules) -> Vec<(Sym, Signal)> {
        let mut out = Vec::new();
        for dossier in self.dossiers_in_order() {
            for judged in self.judge_sessions(dossier, rules) {
                out.extend(judged.signals.into_iter().map(|s| (dossier.principal, s)));
            }
        }
        out
    }

    fn judge_sessions(&self, dossier: &Dossier, rules: &Rules) -> Vec<Judged> {
        let nothing = Arc::new(Known::default());
        let mut judged = Vec::with_capacity(dossier.sessions.len());
        self.each_session(dossier, rules, &mut |seen| {
            // Only a session that may become part of a case needs to remember what was known before it.
            let known = if seen.suspicious { seen.known.clone() } else { nothing.clone() };
            let Seen { signals, score, explained, .. } = seen;
            judged.push(Judged { session: seen.subject.session.index, signals, score, known, explained });
        });
        judged
    }

    /// Goes through the sessions of a principal in order of time, each with what was known when it began.
    pub fn each_session(&self, dossier: &Dossier, rules: &Rules, see: &mut dyn FnMut(Seen<'_, '_>)) {
        let account = self.context.account(dossier.principal);
        let mut order: Vec<&Session> = dossier.sessions.iter().map(AsRef::as_ref).collect();
        order.sort_by_key(|s| (s.start, s.index));
        let mut known = Arc::new(Known::default());
        for session in order {
            if self.see(dossier, &account, session, &known, rules, see) {
                let proven = session.mfa.factor.phishing_resistant()
                    && session.flags.has(Flags::MANAGED_DEVICE)
                    || session.mfa.factor == Factor::Certificate;
                Arc::make_mut(&mut known).teach(session, &session.place, proven);
            }
        }
    }

    /// Judges one session and shows it; true where it teaches.
    fn see(
        &self,
        dossier: &Dossier,
        account: &Account,
        session: &Session,
        known: &Arc<Known>,
        rules: &Rules,
        see: &mut dyn FnMut(Seen<'_, '_>),
    ) -> bool {
        let subject = Subject::new(self, dossier, account, session, known);
        let mut signals = run(&rules.detections, &subject);
        let entered = subject.entered();
        let explained = if signals.is_empty() { Vec::new() } else { subject.explained() };
        for signal in &mut signals {
            signal.explained = explained.iter().filter(|e| explains(e, signal.group)).cloned().collect();
        }
        let score = weigh(signals.iter(), &rules.scoring);
        // The first days on record are taken as they are, unless something other than their newness speaks.
        let first_days =
            known.first.is_none_or(|first| session.start.since(first) <= crate::baseline::BOOTSTRAP_US);
        // How people have always been let in when the logs begin (a key alone, a service account) is no finding
        // that could keep their line from being known.
        let logs_begin = session.start.since(self.first) <= crate::baseline::BOOTSTRAP_US;
        let newness = |s: &Signal| {
            s.group == Group::Place || logs_begin && rules.detections[s.detection].tells_newness()
        };
        let beyond_novelty = weigh(signals.iter().filter(|s| !newness(s)), &rules.scoring).evidence;
        let weight = if first_days { beyond_novelty } else { score.evidence };
        let teaches = entered && !session.orphan && !session.refused && weight < rules.scoring.teach_below;
        let suspicious = score.evidence >= rules.scoring.case_mark || has_rule(&signals, rules);
        see(Seen { subject: &subject, known, entered, suspicious, signals, score, explained });
        teaches
    }

    fn judge_principal(&self, dossier: &Dossier, rules: &Rules, drafts: &mut Vec<Draft>) {
        let account = self.context.account(dossier.principal);
        if account.kind == AccountKind::Machine {
            return;
        }
        let judged = self.judge_sessions(dossier, rules);
        let session = |j: &Judged| &dossier.sessions[j.session];
        let suspicious =
            |j: &Judged| j.score.evidence >= rules.scoring.case_mark || has_rule(&j.signals, rules);
        let mut clusters: Vec<Vec<Judged>> = Vec::new();
        let mut rest: Vec<Judged> = Vec::new();
        for j in judged {
            if !suspicious(&j) {
                rest.push(j);
                continue;
            }
            let s = session(&j);
            let joins = clusters.iter_mut().rev().find(|cluster| {
                cluster.iter().any(|c| {
                    let other = session(c);
                    s.start.since(other.end_or_last()) <= REACH_US
                        && (shares(s, other) || s.start.since(other.end_or_last()) <= DAY_US)
                })
            });
            match joins {
                Some(cluster) => cluster.push(j),
                None => clusters.push(vec![j]),
            }
        }
        // Weaker sessions that share a cluster's new address are part of it.
        for j in rest {
            let s = session(&j);
            if !s.came_from_outside() {
                continue;
            }
            let joins = clusters.iter_mut().find(|cluster| {
                cluster.iter().any(|c| {
                    let other = session(c);
                    s.ip().is_public()
                        && s.ip() == other.ip()
                        && c.known.level_of(other, crate::baseline::What::Ip, 0)
                            != crate::baseline::Level::Cleared
                        && s.start.since(other.start).abs() <= 21 * DAY_US
                })
            });
            if let Some(cluster) = joins {
                cluster.push(j);
            }
        }
        for cluster in clusters {
            drafts.push(draft(dossier, account.clone(), cluster, rules));
        }
    }
}

fn has_rule(signals: &[Signal], rules: &Rules) -> bool {
    signals.iter().any(|s| rules.detections[s.detection].rule.is_some())
}

/// What context explains which kind of evidence. An authorised test explains all of it; a ticket or on-call duty
/// explains odd hours and administration, never a stolen session or a listed address.
fn explains(explained: &Explained, group: Group) -> bool {
    match explained {
        Explained::Testing { .. } => true,
        Explained::Ticket { .. } => {
            matches!(group, Group::Time | Group::Post | Group::Account | Group::Gateway)
        }
        Explained::OnCall => matches!(group, Group::Time),
        Explained::Travel { .. } => matches!(group, Group::Place | Group::Travel),
    }
}

fn shares(a: &Session, b: &Session) -> bool {
    a.stays.iter().any(|x| b.stays.iter().any(|y| x.ip.prefix() == y.ip.prefix()))
        || (a.device.is_some() && a.device == b.device)
}

fn draft(dossier: &Dossier, account: Account, mut cluster: Vec<Judged>, rules: &Rules) -> Draft {
    cluster.sort_by_key(|j| (dossier.sessions[j.session].start, j.session));
    // One signal per detection: the strongest, the earliest of equals.
    let mut best: Vec<Option<Signal>> = vec![None; rules.detections.len()];
    for judged in &cluster {
        for signal in &judged.signals {
            let slot = &mut best[signal.detection];
            if slot.as_ref().is_none_or(|known| signal.points > known.points) {
                *slot = Some(signal.clone());
            }
        }
    }
    let mut signals: Vec<Signal> = best.into_iter().flatten().collect();
    // Trust found in one session does not speak for another: it counts only where every session shows it.
    signals.retain(|s| {
        s.points.0 > 0 || cluster.iter().all(|j| j.signals.iter().any(|x| x.detection == s.detection))
    });
    signals.sort_by_key(|a| (a.time, a.detection));
    let score = weigh(signals.iter(), &rules.scoring);
    let first = cluster.iter().map(|j| dossier.sessions[j.session].start).min().unwrap_or_default();
    let last = cluster
        .iter()
        .map(|j| {
            let s = &dossier.sessions[j.session];
            let deeds = s.deeds.iter().map(|d| d.time).max().unwrap_or(s.start);
            s.end_or_last().max(deeds).max(s.touches.iter().map(|t| t.last).max().unwrap_or(s.start))
        })
        .max()
        .unwrap_or(first);
    let known = cluster.first().map(|j| j.known.clone()).unwrap_or_default();
    let mut taint = Taint::default();
    for judged in &cluster {
        let s = &dossier.sessions[judged.session];
        let level = |what| judged.known.level_of(s, what, 0);
        if level(crate::baseline::What::Ip) < crate::baseline::Level::Cleared {
            taint.ips.extend(s.stays.iter().map(|x| x.ip).filter(|ip| ip.is_public()));
        }
        if s.device.is_some() && level(crate::baseline::What::Device) == crate::baseline::Level::New {
            taint.devices.push(s.device);
        }
    }
    taint.ips.sort_unstable();
    taint.ips.dedup();
    taint.devices.sort_unstable_by_key(|d| d.0);
    taint.devices.dedup();
    Draft {
        principal: dossier.principal,
        account,
        sessions: cluster,
        signals,
        score,
        first,
        last,
        taint,
        known,
        related: Vec::new(),
    }
}

/// Cases of different principals that share an address or an account that one made for the other.
fn relate(engine: &Engine<'_>, drafts: &mut [Draft]) {
    let ips: Vec<Vec<Ip>> = drafts
        .iter()
        .map(|d| {
            let mut ips: Vec<Ip> = d
                .sessions
                .iter()
                .filter_map(|j| engine.dossiers.get(&d.principal)?.sessions.get(j.session))
                .flat_map(|s| s.stays.iter().map(|x| x.ip))
                .filter(|ip| ip.is_public())
                .collect();
            ips.sort_unstable();
            ips.dedup();
            ips
        })
        .collect();
    // Pairs that may be related, and not all pairs: there may be thousands of drafts.
    let mut by_ip: BTreeMap<Ip, Vec<usize>> = BTreeMap::new();
    let mut by_principal: Map<Sym, Vec<usize>> = Map::default();
    for (n, draft) in drafts.iter().enumerate() {
        by_principal.entry(draft.principal).or_default().push(n);
        ips[n].iter().for_each(|ip| by_ip.entry(*ip).or_default().push(n));
    }
    let mut pairs: BTreeSet<(usize, usize)> = BTreeSet::new();
    for sharing in by_ip.values() {
        for (at, a) in sharing.iter().enumerate() {
            pairs.extend(sharing[at + 1..].iter().map(|b| (*a, *b)));
        }
    }
    let creators = |of: usize| engine.infrastructure.created.get(&drafts[of].principal);
    for of in 0..drafts.len() {
        for by in creators(of).into_iter().flat_map(|all| all.iter()) {
            let made = by_principal.get(&by.actor).into_iter().flatten();
            pairs.extend(made.map(|by| (of.min(*by), of.max(*by))));
        }
    }
    let made = |by: usize, of: usize| {
        creators(of).is_some_and(|all| all.iter().any(|c| c.actor == drafts[by].principal))
    };
    let mut found = Vec::new();
    for (a, b) in pairs {
        if drafts[a].principal == drafts[b].principal {
            continue;
        }
        let near = drafts[b].first.since(drafts[a].last) <= 14 * DAY_US
            && drafts[a].first.since(drafts[b].last) <= 14 * DAY_US;
        let shared = ips[a].iter().find(|ip| ips[b].binary_search(ip).is_ok());
        let why = match shared {
            Some(ip) if near => format!("same address {ip}"),
            _ if made(a, b) || made(b, a) => "one account made the other".to_owned(),
            _ => continue,
        };
        found.push((a, b, why));
    }
    for (a, b, why) in found {
        drafts[a].related.push((b, why.clone()));
        drafts[b].related.push((a, why));
    }
}

/// What the playbook may ask.
impl Engine<'_> {
    pub fn name(&self, sym: Sym) -> String {
        self.names.text(sym).to_string()
    }

    /// The symbol of a name that some record or table has.
    pub fn symbol(&self, name: &str) -> Option<Sym> {
        self.names.get(name)
    }

    pub fn context(&self) -> &dyn portreeve_model::facts::Context {
        self.context
    }

    pub fn coverage(&self) -> portreeve_model::facts::Coverage {
        self.context.coverage()
    }

    pub fn dossier_of(&self, principal: Sym) -> Option<&Dossier> {
        self.dossiers.get(&principal).map(AsRef::as_ref)
    }

    pub fn source(&self, ip: Ip) -> Option<&crate::fold::infrastructure::Source> {
        self.infrastructure.sources.get(&ip).map(AsRef::as_ref)
    }

    pub fn seen_kinds(&self) -> &crate::fold::infrastructure::Seen {
        &self.infrastructure.seen
    }
}

/// Accounts and sources under pressure that is no case, most attempts first.
const PRESSURES: usize = 50;

impl Engine<'_> {
    /// Principals and sessions held.
    pub fn counts(&self) -> (u64, u64) {
        let sessions: usize = self.dossiers.values().map(|d| d.sessions.len()).sum();
        (self.dossiers.len() as u64, sessions as u64)
    }

    /// Attempts without success, by source: not cases, but worth knowing.
    pub fn pressure(&self) -> Vec<portreeve_model::case::Pressure> {
        let mut all: Vec<portreeve_model::case::Pressure> = self
            .infrastructure
            .sources
            .iter()
            .filter(|(ip, s)| ip.is_public() && s.failures >= 10 && s.successes.is_empty())
            .map(|(ip, s)| {
                let mut accounts: Vec<u32> =
                    s.attempts.iter().filter_map(|a| a.account.some()).map(|a| a.0).collect();
                accounts.sort_unstable();
                accounts.dedup();
                portreeve_model::case::Pressure {
                    kind: "source".to_owned(),
                    what: ip.to_string().into(),
                    attempts: s.failures,
                    accounts: accounts.len() as u64,
                    sources: 1,
                    first: s.first,
                    last: s.last,
                }
            })
            .collect();
        all.sort_by(|a, b| b.attempts.cmp(&a.attempts).then_with(|| a.what.cmp(&b.what)));
        all.truncate(PRESSURES);
        all
    }
}
