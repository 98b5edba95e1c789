//! Writes the finished case.

use crate::book::{Book, Row};
use crate::containment::propose;
use crate::escalation::{CRITERIA, Judgement, decide::decide, sentence};
use crate::l1::STEPS;
use crate::questions::QUESTIONS;
use crate::t2::ACTIONS;
use crate::view::{Answer, CaseView, Taken, line, lines};
use portreeve_engine::Engine;
use portreeve_engine::baseline::{Level, What};
use portreeve_engine::correlate::{Draft, Rules};
use portreeve_engine::detect::ops::mfa::assess;
use portreeve_engine::detect::{Signal, Subject};
use portreeve_engine::session::Session;
use portreeve_model::Ip;
use portreeve_model::answer::Tri;
use portreeve_model::case::{
    Case, CaseCoverage, Criterion, GroupScore, Indicator, Person, PlaceLine, Question, SessionLine, Step,
    TimelineEntry,
};
use portreeve_model::event::Reason;
use portreeve_model::facts::Account;
use portreeve_model::place::Place;
use portreeve_model::time::{Certainty, DAY_US};
use std::collections::BTreeMap;

/// Answers the playbook for every draft. Sorted: most urgent first, then by score, then by id.
pub fn triage(engine: &Engine<'_>, rules: &Rules, book: &Book, drafts: &[Draft]) -> Vec<Case> {
    let ids = ids(engine, drafts);
    let cases: Vec<Case> =
        (0..drafts.len()).filter_map(|n| answer(engine, rules, book, drafts, &ids, n)).collect();
    let members: Vec<Member<'_>> = cases.iter().map(Member::of).collect();
    let told = campaigns(&members);
    let mut cases: Vec<Case> =
        cases.into_iter().zip(told).map(|(case, told)| in_campaign(case, told)).collect();
    cases.sort_by(urgency);
    cases
}

/// Most urgent first, then by score, then by id.
pub fn urgency(a: &Case, b: &Case) -> std::cmp::Ordering {
    b.decision.cmp(&a.decision).then(b.score_db.total_cmp(&a.score_db)).then_with(|| a.id.cmp(&b.id))
}

/// The ids of the cases that drafts become.
pub fn ids(engine: &Engine<'_>, drafts: &[Draft]) -> Vec<String> {
    drafts.iter().map(|d| id_of(engine, d)).collect()
}

/// Answers the playbook for one of the drafts. [`campaigns`] comes after it.
pub fn answer(
    engine: &Engine<'_>,
    rules: &Rules,
    book: &Book,
    drafts: &[Draft],
    ids: &[String],
    n: usize,
) -> Option<Case> {
    case(engine, rules, book, drafts.get(n)?, ids, n)
}

fn case(
    engine: &Engine<'_>,
    rules: &Rules,
    book: &Book,
    draft: &Draft,
    ids: &[String],
    n: usize,
) -> Option<Case> {
    let dossier = engine.dossier_of(draft.principal)?;
    let view = CaseView::new(engine, rules, draft, dossier);
    let asked = book.questions.rows.iter().filter_map(|row| QUESTIONS.iter().find(|q| q.id == row.id));
    let answers: Vec<(&'static str, Answer)> = asked.map(|q| (q.id, (q.answer)(&view))).collect();
    let weighed = book.escalation.rows.iter().filter_map(|row| CRITERIA.iter().find(|c| c.id == row.id));
    let judged: Vec<(&'static str, Judgement)> =
        weighed.map(|c| (c.id, (c.judge)(&view, &answers))).collect();
    let by_id: Vec<(&'static str, &Judgement)> = judged.iter().map(|(id, j)| (*id, j)).collect();
    let decided = decide(&view, &by_id);
    let person = person(engine, &draft.account);
    Some(Case {
        id: ids[n].clone(),
        title: title(&view).into(),
        principals: vec![person.clone()],
        principal: person,
        first_seen: draft.first,
        last_seen: draft.last,
        detected_at: decided.detected_at,
        decision: decided.decision,
        reason: decided.reason.into(),
        risk_score: (draft.score.risk() * 1_000.0).round() / 1_000.0,
        prior_db: rules.scoring.prior.db(),
        score_db: draft.score.total.db(),
        groups: draft
            .score
            .groups
            .iter()
            .map(|(group, raw, db)| GroupScore { group: *group, raw_db: raw.db(), db: db.db() })
            .collect(),
        criteria: criteria(book, judged),
        questions: questions(book, &answers),
        indicators: draft.signals.iter().map(|s| indicator(&view, s)).collect(),
        source_ips: source_ips(&view),
        sessions: sessions(&view),
        l1_steps: tasks(&book.l1.rows, |id| {
            STEPS.iter().find(|s| s.id == id).map(|s| (s.id, (s.take)(&view, &answers)))
        }),
        t2_actions: tasks(&book.t2.rows, |id| {
            ACTIONS.iter().find(|a| a.id == id).map(|a| (a.id, (a.take)(&view, &answers)))
        }),
        containment: propose(&view, book, decided.decision, &answers),
        timeline: timeline(&view),
        coverage: coverage(&view, &answers),
        related: draft.related.iter().map(|(at, why)| (ids[*at].clone(), why.clone())).collect(),
        campaign: None,
        revised: None,
    })
}

/// From the principal and the beginning, so that the same logs give the same id.
fn id_of(engine: &Engine<'_>, draft: &Draft) -> String {
    let name = engine.name(draft.principal);
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for b in name.bytes().chain(draft.first.0.to_le_bytes()) {
        hash = (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3);
    }
    let (y, m, d, ..) = draft.first.civil();
    format!("{y:04}{m:02}{d:02}-{:06x}", hash >> 40)
}

fn title(view: &CaseView<'_>) -> String {
    let main = view.access();
    let mut strongest: Vec<&Signal> = view.draft.signals.iter().filter(|s| s.points.0 > 0).collect();
    strongest.sort_by_key(|s| (view.detection(s).rule.is_none(), std::cmp::Reverse(s.points), s.detection));
    let what = strongest.first().map_or("Unusual access", |s| view.detection(s).title.as_str());
    let from = if main.ip().is_some() { format!(", from {}", main.ip()) } else { String::new() };
    format!("{}: {what}{from}", view.text(view.draft.principal))
}

pub(crate) fn person(engine: &Engine<'_>, account: &Account) -> Person {
    Person {
        name: engine.name(account.name).into(),
        aliases: account.aliases.iter().map(|a| engine.name(*a).into()).collect(),
        department: engine.name(account.department).into(),
        role: engine.name(account.role).into(),
        status: account.status.name().to_owned(),
        privileged: account.privileged,
        listed: account.listed,
    }
}

/// The steps in the order and words of the book.
fn tasks(rows: &[Row], take: impl Fn(&str) -> Option<(&'static str, Taken)>) -> Vec<Step> {
    let taken = rows.iter().filter_map(|row| Some((row, take(&row.id)?)));
    taken
        .map(|(row, (id, t))| Step {
            id,
            title: row.text.clone(),
            done: t.done,
            finding: t.finding,
            next: t.next,
            evidence: t.evidence,
        })
        .collect()
}

fn criteria(book: &Book, judged: Vec<(&'static str, Judgement)>) -> Vec<Criterion> {
    judged
        .into_iter()
        .filter_map(|(id, j)| Some((id, j, book.escalation.rows.iter().find(|c| c.id == id)?)))
        .map(|(id, j, c)| Criterion {
            id,
            number: c.number.clone(),
            text: c.text.clone(),
            state: j.answer.tri,
            because: j.answer.because.into(),
            explained: j.explained.iter().map(|e| sentence(e).into()).collect(),
            needs: j.answer.needs,
        })
        .collect()
}

fn questions(book: &Book, answers: &[(&'static str, Answer)]) -> Vec<Question> {
    answers
        .iter()
        .filter_map(|(id, a)| Some((id, a, book.questions.rows.iter().find(|q| q.id == *id)?)))
        .map(|(id, a, q)| Question {
            id,
            text: q.text.clone(),
            label: q.label.clone(),
            answer: a.tri,
            because: a.because.clone().into(),
            known_by: a.known_by.clone().into(),
            needs: a.needs.clone(),
            evidence: lines(&a.evidence),
        })
        .collect()
}

fn indicator(view: &CaseView<'_>, signal: &Signal) -> Indicator {
    let detection = view.detection(signal);
    Indicator {
        id: detection.id.clone(),
        title: detection.title.clone(),
        technique: detection.technique.clone(),
        group: signal.group,
        time: signal.time,
        points: signal.points.db(),
        because: signal.because.clone().into(),
        evidence: lines(&signal.evidence),
        explained: signal.explained.iter().map(|e| sentence(e).into()).collect(),
    }
}

fn place_line(engine: &Engine<'_>, place: &Place) -> PlaceLine {
    PlaceLine {
        country: place.country,
        city: engine.name(place.city).into(),
        point: place.point,
        radius_km: place.radius_km,
        asn: place.asn,
        as_name: engine.name(place.as_name).into(),
        network: place.class.name().to_owned(),
        label: engine.name(place.label).into(),
    }
}

fn source_ips(view: &CaseView<'_>) -> Vec<(Ip, PlaceLine)> {
    let mut all: Vec<Ip> = Vec::new();
    for stay in view.suspects().flat_map(|s| &s.stays) {
        if stay.ip.is_some() && !all.contains(&stay.ip) {
            all.push(stay.ip);
        }
    }
    all.into_iter().map(|ip| (ip, place_line(view.engine, &view.engine.context().place(ip)))).collect()
}

fn sessions(view: &CaseView<'_>) -> Vec<SessionLine> {
    let mut shown = Vec::new();
    for judged in &view.draft.sessions {
        let subject = view.subject(judged);
        shown.push(session_line(view.engine, &subject, true));
    }
    // What the person did beside it: overlapping sessions, and the last few before.
    let suspect = |s: &Session| view.draft.sessions.iter().any(|j| j.session == s.index);
    let near: Vec<&Session> = view
        .dossier
        .sessions
        .iter()
        .map(AsRef::as_ref)
        .filter(|s: &&Session| {
            !suspect(s)
                && s.entered
                && s.start <= view.draft.last
                && view.draft.first.since(s.end_or_last()) <= 3 * DAY_US
        })
        .collect();
    for session in near.iter().rev().take(6).rev() {
        let subject =
            Subject::new(view.engine, view.dossier, &view.draft.account, session, &view.draft.known);
        shown.push(session_line(view.engine, &subject, false));
    }
    shown.sort_by_key(|s| s.start);
    for (n, line) in shown.iter_mut().enumerate() {
        line.id = format!("s{}", n + 1);
    }
    shown
}

pub(crate) fn session_line(engine: &Engine<'_>, subject: &Subject<'_>, suspect: bool) -> SessionLine {
    let s = subject.session;
    let mfa = assess(subject);
    let standing = if suspect {
        "tainted"
    } else if subject.level(What::Ip) == Level::Cleared {
        "cleared"
    } else {
        "pending"
    };
    let end_reason = match (s.end, s.end_reason) {
        (None, _) => "assumed".to_owned(),
        (Some(_), Reason::None) => "end".to_owned(),
        (Some(_), reason) => reason.name().to_owned(),
    };
    SessionLine {
        id: String::new(),
        principal: engine.name(s.principal).into(),
        service: s.service.name().to_owned(),
        gateway: engine.name(s.gateway).into(),
        group: engine.name(s.group).into(),
        public_ips: s.stays.iter().map(|x| x.ip).collect(),
        tunnel_ips: s.tunnels.iter().map(|(ip, _)| *ip).collect(),
        device: engine.name(s.device).into(),
        client: engine.name(s.client).into(),
        start: s.start,
        end: s.end,
        end_reason,
        mfa: format!("{:?}", mfa.state).to_lowercase(),
        factor: mfa.factor.name().to_owned(),
        mfa_known_by: if mfa.known_by.is_empty() {
            mfa.because.into()
        } else {
            format!("{} ({})", mfa.because, mfa.known_by).into()
        },
        place: place_line(engine, &s.place),
        standing: standing.to_owned(),
        suspect,
        evidence: lines(&s.evidence[..s.evidence.len().min(6)]),
    }
}

fn timeline(view: &CaseView<'_>) -> Vec<TimelineEntry> {
    let mut entries = Vec::new();
    let mut add = |time, kind, text: String, evidence: Option<_>| {
        entries.push(TimelineEntry {
            time,
            certainty: Certainty::Exact,
            kind,
            text: text.into(),
            evidence: evidence.map(line),
        });
    };
    for s in view.suspects() {
        let from = if s.ip().is_some() { format!(" from {}", s.ip()) } else { String::new() };
        add(
            s.start,
            "session",
            format!("{} session began{from}", s.service.name()),
            s.evidence.first().copied(),
        );
        for stay in s.stays.iter().skip(1) {
            add(stay.first, "session", format!("session used from {}", stay.ip), Some(stay.evidence));
        }
        for (ip, at) in &s.tunnels {
            add(*at, "session", format!("tunnel address {ip} assigned"), None);
        }
        if let Some(end) = s.end {
            add(
                end,
                "session",
                format!("session ended ({})", s.end_reason.name()),
                s.evidence.last().copied(),
            );
        }
        for t in s.touches.iter().take(40) {
            let user = if t.user.is_some() { format!(" as {}", view.text(t.user)) } else { String::new() };
            let what = if t.successes == 0 {
                "refused at"
            } else if t.logon {
                "logon on"
            } else {
                "connection to"
            };
            add(
                t.first,
                "log",
                format!("{what} {} over {}{user}", view.text(t.host), t.protocol.name()),
                Some(t.evidence),
            );
        }
        for d in s.deeds.iter().take(60) {
            let change = d.change.name().replace('_', " ");
            let text = [change, view.text(d.detail), view.text(d.target)]
                .into_iter()
                .filter(|t| !t.is_empty())
                .collect::<Vec<_>>()
                .join(" · ");
            add(d.time, "log", text, Some(d.evidence));
        }
    }
    for signal in view.draft.signals.iter().filter(|s| s.points.0 > 0) {
        add(
            signal.time,
            "indicator",
            format!("{}: {}", view.detection(signal).title, signal.because),
            signal.evidence.first().copied(),
        );
    }
    entries.sort_by(|a, b| (a.time, a.kind, a.text.raw()).cmp(&(b.time, b.kind, b.text.raw())));
    entries.truncate(200);
    entries
}

fn coverage(view: &CaseView<'_>, answers: &[(&'static str, Answer)]) -> CaseCoverage {
    let mut sources: Vec<String> =
        view.suspects().map(|s| view.text(s.source)).filter(|s| !s.is_empty()).collect();
    sources.sort();
    sources.dedup();
    let mut missing: Vec<String> = Vec::new();
    for (id, answer) in answers {
        if answer.tri == Tri::Unknown {
            let why = answer.needs.first().cloned().unwrap_or_else(|| answer.because.clone());
            missing.push(format!("{}: {why}", id.replace('_', " ")));
        }
    }
    let known = &view.draft.known;
    CaseCoverage { sources, missing, history_days: known.days, cleared_sessions: known.sessions }
}

/// The campaign of a case: its name, and the other people in it.
pub type Campaign = (String, Vec<Person>);

/// What of a case decides its campaign.
pub struct Member<'c> {
    pub id: &'c str,
    pub related: &'c [(String, String)],
    pub principal: &'c Person,
}

impl<'c> Member<'c> {
    pub fn of(case: &'c Case) -> Member<'c> {
        Member { id: &case.id, related: &case.related, principal: &case.principal }
    }
}

/// Cases that share infrastructure get one name, that of the first among them. In the order of the drafts.
pub fn campaigns(cases: &[Member<'_>]) -> Vec<Option<Campaign>> {
    let place: BTreeMap<&str, usize> = cases.iter().enumerate().map(|(n, c)| (c.id, n)).collect();
    // Each knows a member of its group that stands before it, or itself.
    let mut group: Vec<usize> = (0..cases.len()).collect();
    fn first(group: &mut [usize], mut n: usize) -> usize {
        while group[n] != n {
            group[n] = group[group[n]];
            n = group[n];
        }
        n
    }
    for (n, case) in cases.iter().enumerate() {
        for m in case.related.iter().filter_map(|(other, _)| place.get(other.as_str()).copied()) {
            let (a, b) = (first(&mut group, n), first(&mut group, m));
            group[a.max(b)] = a.min(b);
        }
    }
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for n in 0..cases.len() {
        members.entry(first(&mut group, n)).or_default().push(n);
    }
    (0..cases.len())
        .map(|n| {
            if cases[n].related.is_empty() {
                return None;
            }
            let named = first(&mut group, n);
            let others = members.get(&named).into_iter().flatten().filter(|m| **m != n);
            Some((
                format!("campaign-{}", cases[named].id),
                others.map(|m| cases[*m].principal.clone()).collect(),
            ))
        })
        .collect()
}

/// Writes the campaign into its case.
pub fn in_campaign(mut case: Case, campaign: Option<Campaign>) -> Case {
    if let Some((name, people)) = campaign {
        case.campaign = Some(name);
        for person in people {
            if !case.principals.contains(&person) {
                case.principals.push(person);
            }
        }
    }
    case
}
