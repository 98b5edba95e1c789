//! Detections: data that says which remote sessions are suspicious, and why.

pub mod ops;
mod subject;

pub use subject::{PlaceNovelty, Subject};

use crate::detect::ops::Op;
use portreeve_model::EventTime;
use portreeve_model::facts::Explained;
use portreeve_model::signal::{Evidence, Group, Millideciban};

/// The criterion of the playbook that a detection supports.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Criterion {
    KnownMaliciousRange,
    BaselineAnomaly,
    LateralMovement,
    PrivilegeInconsistentWithRole,
}

/// One detection, compiled from its file in `content/detections`.
#[derive(Clone, Debug)]
pub struct Detection {
    pub id: String,
    pub title: String,
    pub technique: Vec<String>,
    pub family: String,
    pub row: String,
    pub group: Group,
    pub points: Millideciban,
    pub needs: Vec<String>,
    pub supports: Option<Criterion>,
    /// Name of the deterministic rule that it meets by itself, where it does.
    pub rule: Option<String>,
    pub when: Vec<Op>,
    pub unless: Vec<Op>,
    pub because: String,
    pub benign_when: Vec<String>,
    /// Counts less while the program is still learning the principal.
    pub baseline: bool,
}

impl Detection {
    /// Says only that a way in is weak and new, of which the second is true of everything when the logs begin.
    pub fn tells_newness(&self) -> bool {
        let new = |op: &Op| match op {
            Op::PlaceNovelty { min, .. } => *min >= PlaceNovelty::NewNetworkKnownArea,
            Op::Level { is, .. } => !is.contains(&ops::LevelName::Cleared),
            _ => false,
        };
        self.rule.is_none()
            && matches!(self.group, Group::Auth | Group::Gateway | Group::Account)
            && self.when.iter().any(new)
    }
}

/// What an operator found in a session.
#[derive(Clone, Debug, Default)]
pub struct Finding {
    /// Numbers and names for the sentence: `{failures}`, `{host}` …
    pub facts: Vec<(&'static str, String)>,
    pub evidence: Vec<Evidence>,
    /// When what was found happened, if not at the session's start.
    pub at: Option<EventTime>,
    /// Strength relative to the detection's points, in thousandths: 1000 is the whole.
    pub strength: i32,
}

impl Finding {
    pub fn plain() -> Verdict {
        Verdict::Fires(Finding { strength: 1_000, ..Finding::default() })
    }

    pub fn with(facts: Vec<(&'static str, String)>, evidence: Vec<Evidence>) -> Finding {
        Finding { facts, evidence, at: None, strength: 1_000 }
    }

    pub fn at(mut self, at: EventTime) -> Finding {
        self.at = Some(at);
        self
    }
}

/// What an operator says of a session.
#[derive(Clone, Debug)]
pub enum Verdict {
    Fires(Finding),
    Silent,
    /// It cannot tell: this is missing.
    Unknown(&'static str),
}

impl Verdict {
    pub fn when(condition: bool) -> Verdict {
        if condition { Finding::plain() } else { Verdict::Silent }
    }
}

/// A detection that fired on a session.
#[derive(Clone, Debug)]
pub struct Signal {
    /// Index into the list of detections.
    pub detection: usize,
    pub group: Group,
    pub points: Millideciban,
    pub time: EventTime,
    pub because: String,
    pub evidence: Vec<Evidence>,
    /// Index of the session in its principal's dossier.
    pub session: usize,
    pub explained: Vec<Explained>,
}

/// Runs every detection over one session.
pub fn run(detections: &[Detection], subject: &Subject<'_>) -> Vec<Signal> {
    let mut signals = Vec::new();
    for (index, detection) in detections.iter().enumerate() {
        if let Some(found) = fires(detection, subject) {
            signals.push(signal(index, detection, subject, found));
        }
    }
    signals
}

fn fires(detection: &Detection, subject: &Subject<'_>) -> Option<Finding> {
    let mut all = Finding { strength: 1_000, ..Finding::default() };
    for op in &detection.when {
        match op.check(subject) {
            Verdict::Fires(found) => {
                all.facts.extend(found.facts);
                all.evidence.extend(found.evidence);
                all.at = all.at.max(found.at);
                all.strength = all.strength * found.strength / 1_000;
            }
            // A detection that cannot tell stays silent; the questions say what is missing.
            Verdict::Silent | Verdict::Unknown(_) => return None,
        }
    }
    let excused = detection.unless.iter().any(|op| matches!(op.check(subject), Verdict::Fires(_)));
    (!excused).then_some(all)
}

fn signal(index: usize, detection: &Detection, subject: &Subject<'_>, found: Finding) -> Signal {
    let mut strength = i64::from(found.strength);
    if detection.baseline && subject.known.learning() && detection.points.0 > 0 {
        strength = strength * 4 / 10;
    }
    // A new place that no table and no record locates may be a new lease of the same line: it counts for less, and a
    // rule about it does not decide alone.
    // What came before the access (guessing, resets) is evidence of its own.
    let about_place = matches!(detection.group, Group::Place | Group::Post)
        && detection.when.iter().any(|op| matches!(op, Op::PlaceNovelty { .. }));
    if about_place && subject.unlocated() {
        strength = strength * 7 / 10;
    }
    let points =
        i32::try_from(i64::from(detection.points.0) * strength / 1_000).unwrap_or(detection.points.0);
    let mut evidence = found.evidence;
    if evidence.is_empty() {
        evidence.extend(subject.session.evidence.first());
    }
    evidence.sort_unstable();
    evidence.dedup();
    evidence.truncate(20);
    Signal {
        detection: index,
        group: detection.group,
        points: Millideciban(points),
        time: found.at.unwrap_or(subject.session.start),
        because: render(&detection.because, &found.facts, subject),
        evidence,
        session: subject.session.index,
        explained: Vec::new(),
    }
}

/// Fills `{name}` from what the operators found, else from the session itself.
fn render(template: &str, facts: &[(&'static str, String)], subject: &Subject<'_>) -> String {
    let mut out = String::with_capacity(template.len() + 32);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let Some((name, tail)) = after.split_once('}') else {
            out.push('{');
            rest = after;
            continue;
        };
        match facts.iter().find(|(n, _)| *n == name) {
            Some((_, value)) => out.push_str(value),
            None => out.push_str(&subject.fact(name)),
        }
        rest = tail;
    }
    out.push_str(rest);
    // Who clears a log names no object.
    if let Some(said) = out.trim_end().strip_suffix(':') {
        out.truncate(said.len());
    }
    out
}
