//! A case as the playbook's rows see it.

use portreeve_engine::Engine;
use portreeve_engine::baseline::Known;
use portreeve_engine::correlate::{Draft, Judged, Rules};
use portreeve_engine::detect::{Criterion, Detection, Signal, Subject};
use portreeve_engine::fold::principal::Dossier;
use portreeve_engine::session::Session;
use portreeve_model::answer::Tri;
use portreeve_model::case::EvidenceLine;
use portreeve_model::signal::Evidence;
use portreeve_model::time::Certainty;
use portreeve_model::untrusted::Untrusted;
use portreeve_model::{Ip, Sym};

/// An answer before it is written into the case.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub tri: Tri,
    pub because: String,
    pub known_by: String,
    pub needs: Vec<String>,
    pub evidence: Vec<Evidence>,
}

impl Answer {
    pub fn new(tri: Tri, because: impl Into<String>) -> Answer {
        Answer { tri, because: because.into(), ..Answer::default() }
    }

    pub fn unknown(needs: impl Into<String>, because: impl Into<String>) -> Answer {
        Answer { tri: Tri::Unknown, because: because.into(), needs: vec![needs.into()], ..Answer::default() }
    }

    pub fn by(mut self, known_by: impl Into<String>) -> Answer {
        self.known_by = known_by.into();
        self
    }

    pub fn seen(mut self, evidence: impl IntoIterator<Item = Evidence>) -> Answer {
        self.evidence.extend(evidence);
        self.evidence.truncate(12);
        self
    }
}

/// What came of a step for L1 or an action for T2, before it is written into the case.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Done by the program, against open for a person.
    pub done: bool,
    pub finding: Untrusted,
    pub next: Untrusted,
    pub evidence: Vec<EvidenceLine>,
}

/// One case with its dossier; read-only.
pub struct CaseView<'a> {
    pub engine: &'a Engine<'a>,
    pub rules: &'a Rules,
    pub draft: &'a Draft,
    pub dossier: &'a Dossier,
    /// Position in `draft.sessions` of the session that says most.
    main: usize,
}

impl<'a> CaseView<'a> {
    pub fn new(engine: &'a Engine<'a>, rules: &'a Rules, draft: &'a Draft, dossier: &'a Dossier) -> Self {
        let weight = |j: &Judged| {
            let s = &dossier.sessions[j.session];
            (s.entered, j.score.evidence, std::cmp::Reverse((s.start, s.index)))
        };
        let main = (0..draft.sessions.len()).max_by_key(|i| weight(&draft.sessions[*i])).unwrap_or(0);
        CaseView { engine, rules, draft, dossier, main }
    }

    pub fn text(&self, sym: Sym) -> String {
        self.engine.name(sym)
    }

    pub fn session_of(&self, judged: &Judged) -> &'a Session {
        &self.dossier.sessions[judged.session]
    }

    /// Suspect sessions, with what was known when each began.
    pub fn subjects(&self) -> impl Iterator<Item = Subject<'a>> + '_ {
        self.draft.sessions.iter().map(|j| self.subject(j))
    }

    pub fn subject(&self, judged: &'a Judged) -> Subject<'a> {
        let known: &'a Known = &judged.known;
        Subject::new(self.engine, self.dossier, &self.draft.account, self.session_of(judged), known)
    }

    /// The session that says most about the case.
    pub fn main(&self) -> Subject<'a> {
        self.subject(&self.draft.sessions[self.main])
    }

    /// The main session, asked about the address that the account had not used before where the session has
    /// several: a session that was taken over began at an address that is the victim's own.
    pub fn access(&self) -> Subject<'a> {
        let main = self.main();
        let suspect = |s: &Session| self.suspects().any(|x| x.index == s.index) || self.draft.taint.covers(s);
        let before =
            |ip: Ip| main.earlier().any(|s| s.entered && !suspect(s) && s.stays.iter().any(|x| x.ip == ip));
        let public: Vec<Ip> = main.session.stays.iter().map(|s| s.ip).filter(|ip| ip.is_public()).collect();
        let taken = public.first().is_some_and(|ip| before(*ip));
        match public.into_iter().find(|ip| !before(*ip)) {
            Some(ip) if taken => main.asking(ip),
            _ => main,
        }
    }

    pub fn suspects(&self) -> impl Iterator<Item = &'a Session> + '_ {
        self.draft.sessions.iter().map(|j| self.session_of(j))
    }

    pub fn detection(&self, signal: &Signal) -> &'a Detection {
        &self.rules.detections[signal.detection]
    }

    pub fn supporting(&self, criterion: Criterion) -> impl Iterator<Item = &'a Signal> + '_ {
        self.draft
            .signals
            .iter()
            .filter(move |s| self.detection(s).supports == Some(criterion) && s.points.0 > 0)
    }

    /// Public addresses of the suspect sessions, in order of first use.
    pub fn public_ips(&self) -> Vec<Ip> {
        let mut ips = Vec::new();
        for stay in self.suspects().flat_map(|s| &s.stays) {
            if stay.ip.is_public() && !ips.contains(&stay.ip) {
                ips.push(stay.ip);
            }
        }
        ips
    }

    /// Did any suspect session give access?
    pub fn accessed(&self) -> bool {
        self.subjects().any(|s| s.entered())
    }
}

/// Evidence as it stands in a case; the pipeline fills in file and text.
pub(crate) fn line(evidence: Evidence) -> EvidenceLine {
    EvidenceLine {
        time: evidence.time,
        raw: evidence.raw,
        certainty: Certainty::Exact,
        ..EvidenceLine::default()
    }
}

pub(crate) fn lines(evidence: &[Evidence]) -> Vec<EvidenceLine> {
    let mut all = evidence.to_vec();
    all.sort_unstable();
    all.dedup();
    all.into_iter().map(line).collect()
}
