//! What the engine says: new cases, what it adds, and when it changes its mind. None of it touches what people made
//! of the case.

use super::{Case, NEVER, Pap, Risk, Status, Tier, Tlp, document, entity, get, save, timeline};
use crate::db::value::values;
use crate::db::{Micros, Row, Tx, WriteTx};
use crate::error::{Error, Result};
use crate::key::{folded, key};
use crate::word::{CaseId, DocumentId, PartId, words};
use portreeve_model::answer::Decision;
use std::collections::BTreeSet;

/// Words of a case that are searched; a case of a thousand addresses is found by its first ones.
const SEARCH_LONGEST: usize = 8_000;

/// One of the engine's cases, as it stands now.
#[derive(Clone, Debug)]
pub struct EngineCase<'a> {
    pub engine_id: &'a str,
    /// Cases of the engine that are part of this one from now on.
    pub supersedes: &'a [String],
    /// How far the engine had read. What is older than what is here is not taken.
    pub as_of: i64,
    pub title: &'a str,
    pub principal: &'a str,
    pub decision: Decision,
    pub risk: Risk,
    pub first_seen: Micros,
    pub last_seen: Micros,
    pub detected_at: Micros,
    /// All that makes the verdict (decision, criteria, answers), in any form that differs where the verdict does.
    pub verdict: &'a str,
    /// Why it is so, or why it is so now.
    pub why: &'a str,
    /// What differs from the verdict before, as JSON.
    pub changed: &'a str,
    /// It is so because of records that came late.
    pub late: bool,
    /// What a line of the queue shows besides, as JSON.
    pub brief: &'a str,
    /// More words to find it by; title, principal and entities are among them anyway.
    pub search: &'a [String],
    pub entities: &'a [entity::Entity],
    /// The whole case as JSON, kept byte for byte.
    pub document: &'a str,
}

words! {
    /// How a verdict changed.
    Turn, "kind of revision" {
        Raised = "raised",
        Lowered = "lowered",
        Withdrawn = "withdrawn",
        /// The same decision with other answers, because of records that came late.
        Late = "late",
        /// The same decision with other answers.
        Changed = "changed",
    }
}

/// What became of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    Created(CaseId),
    /// The verdict changed; this is the number of the change.
    Revised(CaseId, Turn, i64),
    /// The same verdict, with more or other evidence.
    Refreshed(CaseId),
    Unchanged(CaseId),
    /// What is here comes from a later reading.
    Stale(CaseId),
}

impl Taken {
    pub fn case(self) -> CaseId {
        match self {
            Taken::Created(id)
            | Taken::Revised(id, ..)
            | Taken::Refreshed(id)
            | Taken::Unchanged(id)
            | Taken::Stale(id) => id,
        }
    }
}

/// A change of the verdict.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    pub case: CaseId,
    pub number: i64,
    pub engine_id: String,
    pub turn: Turn,
    pub late: bool,
    pub why: String,
    pub changed: String,
    pub at: Micros,
    pub decision_before: Decision,
    pub decision_after: Decision,
    pub risk_before: Risk,
    pub risk_after: Risk,
    /// The engine's case as it was before.
    pub before: DocumentId,
}

/// The changes of a case's verdict, the first first.
pub fn verdicts(tx: &mut Tx<'_>, case: CaseId) -> Result<Vec<Verdict>> {
    tx.all(
        "select case_id, number, engine_id, kind, late, why, changed, at, decision_before, decision_after,
            risk_before, risk_after, document_id
         from verdicts where case_id = $1 order by number",
        values![case],
        |r| {
            Ok(Verdict {
                case: CaseId(r.int()?),
                number: r.int()?,
                engine_id: r.text()?,
                turn: r.word()?,
                late: r.flag()?,
                why: r.text()?,
                changed: r.text()?,
                at: r.int()?,
                decision_before: r.decision()?,
                decision_after: r.decision()?,
                risk_before: Risk(r.int()?),
                risk_after: Risk(r.int()?),
                before: DocumentId(r.int()?),
            })
        },
    )
}

/// Takes what the engine says.
pub fn take(tx: &mut WriteTx<'_>, said: &EngineCase<'_>, now: Micros) -> Result<Taken> {
    if said.engine_id.is_empty() || said.engine_id.len() > 200 {
        return Err(Error::invalid("engine id", "1 to 200 bytes"));
    }
    if said.first_seen > said.last_seen {
        return Err(Error::invalid("first_seen", "is after last_seen"));
    }
    let sha256 = document::hash(said.document);
    let known = part(tx, said.engine_id)?;
    if let Some(known) = &known {
        if said.as_of < known.as_of {
            return Ok(Taken::Stale(known.case));
        }
        if known.says(said, &sha256) && entity::same(tx, known.id, said.entities)? {
            return Ok(Taken::Unchanged(known.case));
        }
    }
    let (gone, elsewhere) = superseded(tx, said, known.as_ref())?;
    // What this one takes over, and what the verdict is compared with.
    let earlier = known.as_ref().or(gone.first());
    let taken = match earlier {
        None => Taken::Created(create(tx, said, &sha256, now)?),
        Some(earlier) => {
            let (case, was) = (earlier.case, parts(tx, earlier.case)?);
            let (before, turned_from) = (Whole::of(&was), (earlier.engine_id.clone(), earlier.document));
            let fresh = put_part(tx, said, known.as_ref(), case, &sha256, now)?;
            for old in gone.iter().filter(|old| old.case == case) {
                set_withdrawn(tx, old.id, now)?;
            }
            let after = Whole::of(&parts(tx, case)?);
            let change = Change {
                engine_id: said.engine_id,
                why: said.why,
                changed: said.changed,
                late: said.late,
                withdrawn: false,
                before: turned_from.1,
            };
            let taken = turn(tx, case, &before, &after, &change, now)?;
            if let (Some(known), true) = (&known, fresh != turned_from.1) {
                document::forget(tx, known.document)?;
            }
            taken
        }
    };
    let why = format!("it is part of case {} now", taken.case());
    for engine_id in elsewhere {
        withdraw(tx, &engine_id, &why, said.late, now)?;
    }
    Ok(taken)
}

/// The engine does not stand by it any more: records that came late explain it, or it is part of another.
pub fn withdraw(
    tx: &mut WriteTx<'_>,
    engine_id: &str,
    why: &str,
    late: bool,
    now: Micros,
) -> Result<Option<Taken>> {
    let Some(known) = part(tx, engine_id)? else { return Ok(None) };
    if known.withdrawn {
        return Ok(Some(Taken::Unchanged(known.case)));
    }
    let before = Whole::of(&parts(tx, known.case)?);
    set_withdrawn(tx, known.id, now)?;
    let after = Whole::of(&parts(tx, known.case)?);
    let change = Change { engine_id, why, changed: "{}", late, withdrawn: true, before: known.document };
    turn(tx, known.case, &before, &after, &change, now).map(Some)
}

/// Ids of the engine's cases that stand, of those that were last seen at or after a time.
pub fn standing(tx: &mut Tx<'_>, since: Micros) -> Result<Vec<String>> {
    tx.all(
        "select p.engine_id from case_parts p where p.withdrawn_at is null and p.last_seen >= $1 order by p.engine_id",
        values![since],
        |r| r.text(),
    )
}

/// The case that one of the engine's cases is part of now.
pub fn case_of(tx: &mut Tx<'_>, engine_id: &str) -> Result<Option<CaseId>> {
    Ok(part(tx, engine_id)?.map(|p| p.case))
}

fn set_withdrawn(tx: &mut WriteTx<'_>, part: PartId, now: Micros) -> Result<()> {
    tx.execute("update case_parts set withdrawn_at = $2, updated_at = $2 where id = $1", values![part, now])?;
    Ok(())
}

struct Change<'a> {
    engine_id: &'a str,
    why: &'a str,
    changed: &'a str,
    late: bool,
    withdrawn: bool,
    before: DocumentId,
}

/// Writes the case anew over its parts, and the change of its verdict if there is one.
fn turn(
    tx: &mut WriteTx<'_>,
    id: CaseId,
    before: &Whole,
    after: &Whole,
    change: &Change<'_>,
    now: Micros,
) -> Result<Taken> {
    let mut case = get(tx, id)?;
    after.onto(&mut case);
    if before.verdicts == after.verdicts {
        save(tx, &mut case, now)?;
        write_search(tx, id, after)?;
        return Ok(Taken::Refreshed(id));
    }
    let turn = match after.decision.cmp(&before.decision) {
        _ if change.withdrawn => Turn::Withdrawn,
        std::cmp::Ordering::Greater => Turn::Raised,
        std::cmp::Ordering::Less => Turn::Lowered,
        std::cmp::Ordering::Equal if change.late => Turn::Late,
        std::cmp::Ordering::Equal => Turn::Changed,
    };
    case.verdicts += 1;
    case.verdict_at = now;
    case.revision += 1;
    if case.status == Status::Closed
        && case.decision > Decision::Close
        && !matches!(turn, Turn::Lowered | Turn::Withdrawn)
    {
        case.resurfaced = true;
    }
    tx.execute(
        "insert into verdicts (case_id, number, engine_id, kind, late, why, changed, at, decision_before,
            decision_after, risk_before, risk_after, document_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        values![
            id,
            case.verdicts,
            change.engine_id,
            turn,
            change.late,
            change.why,
            change.changed,
            now,
            before.decision,
            after.decision,
            before.risk,
            after.risk,
            change.before,
        ],
    )?;
    save(tx, &mut case, now)?;
    write_search(tx, id, after)?;
    let said = if before.decision == after.decision {
        format!("{turn}, still {}: {}", after.decision.name(), change.why)
    } else {
        format!("{turn} from {} to {}: {}", before.decision.name(), after.decision.name(), change.why)
    };
    timeline::write(
        tx,
        &timeline::NewEntry {
            case: id,
            kind: timeline::Kind::Revision,
            at: now,
            certainty: "exact",
            recorded_at: now,
            actor: "engine",
            said: &said,
            data: Some(change.changed),
            once: None,
        },
    )?;
    Ok(Taken::Revised(id, turn, case.verdicts))
}

fn create(tx: &mut WriteTx<'_>, said: &EngineCase<'_>, sha256: &[u8; 32], now: Micros) -> Result<CaseId> {
    let id = CaseId(tx.next("case")?);
    let change = tx.next("change")?;
    tx.execute(
        "insert into cases (id, title, principal, principal_key, decision, risk, first_seen, last_seen, detected_at,
            brief, search, verdicts, verdict_at, status, tier, tlp, pap, restricted, created_at, updated_at,
            revision, change, resurfaced, queue, queued, next_due)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, $12, $13, $14, $15, $16, 0, $12, $12, 1, $17, 0,
            $5, 1, $18)",
        values![
            id,
            said.title,
            said.principal,
            key(said.principal),
            said.decision,
            said.risk,
            said.first_seen,
            said.last_seen,
            said.detected_at,
            said.brief,
            search_words(said),
            now,
            Status::New,
            Tier::L1,
            Tlp::Amber,
            Pap::Green,
            change,
            NEVER,
        ],
    )?;
    put_part(tx, said, None, id, sha256, now)?;
    timeline::write(
        tx,
        &timeline::NewEntry {
            case: id,
            kind: timeline::Kind::Alert,
            at: said.detected_at,
            certainty: "exact",
            recorded_at: now,
            actor: "engine",
            said: &format!("{}: {}", said.decision.name(), said.why),
            data: None,
            once: None,
        },
    )?;
    Ok(id)
}

/// Writes the part with its document and its entities.
fn put_part(
    tx: &mut WriteTx<'_>,
    said: &EngineCase<'_>,
    known: Option<&Part>,
    case: CaseId,
    sha256: &[u8; 32],
    now: Micros,
) -> Result<DocumentId> {
    let kept = known.filter(|k| k.sha256 == *sha256).map(|k| k.document);
    let document = match kept {
        Some(document) => document,
        None => document::keep(tx, said.document, sha256)?,
    };
    let (id, home) = match known {
        Some(known) => (known.id, known.home),
        None => (PartId(tx.next("part")?), case),
    };
    tx.execute(
        "insert into case_parts (id, engine_id, case_id, home_id, title, principal, decision, risk, first_seen,
            last_seen, detected_at, brief, search, verdict, as_of, document_id, withdrawn_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, null, $17)
         on conflict (id) do update set title = excluded.title, principal = excluded.principal,
            decision = excluded.decision, risk = excluded.risk, first_seen = excluded.first_seen,
            last_seen = excluded.last_seen, detected_at = excluded.detected_at, brief = excluded.brief,
            search = excluded.search, verdict = excluded.verdict, as_of = excluded.as_of,
            document_id = excluded.document_id, withdrawn_at = null, updated_at = excluded.updated_at",
        values![
            id,
            said.engine_id,
            case,
            home,
            said.title,
            said.principal,
            said.decision,
            said.risk,
            said.first_seen,
            said.last_seen,
            said.detected_at,
            said.brief,
            search_words(said),
            said.verdict,
            said.as_of,
            document,
            now,
        ],
    )?;
    entity::put(tx, id, known.is_none(), said.entities)?;
    Ok(document)
}

fn search_words(said: &EngineCase<'_>) -> String {
    let words = [said.title, said.principal, said.engine_id].into_iter();
    let more = said.search.iter().map(String::as_str);
    let entities = said.entities.iter().map(|e| e.value.as_str());
    let mut all = String::new();
    for word in words.chain(more).chain(entities) {
        if all.len() + word.len() > SEARCH_LONGEST {
            continue;
        }
        all.push_str(&folded(word));
        all.push('\n');
    }
    all
}

fn write_search(tx: &mut WriteTx<'_>, id: CaseId, whole: &Whole) -> Result<()> {
    tx.execute(
        "update cases set search = $2, principal_key = $3 where id = $1",
        values![id, &whole.search, key(&whole.principal)],
    )?;
    Ok(())
}

/// Those that this one supersedes, and the engine's ids of those that lie in other cases.
fn superseded(
    tx: &mut Tx<'_>,
    said: &EngineCase<'_>,
    known: Option<&Part>,
) -> Result<(Vec<Part>, BTreeSet<String>)> {
    let mut gone = Vec::new();
    for engine_id in said.supersedes.iter().filter(|id| *id != said.engine_id) {
        gone.extend(part(tx, engine_id)?.filter(|p| !p.withdrawn));
    }
    // The oldest case goes on: it is the one that people know.
    gone.sort_by_key(|p| (p.case, p.id));
    let case = known.or(gone.first()).map(|p| p.case);
    let elsewhere = gone.iter().filter(|p| Some(p.case) != case).map(|p| p.engine_id.clone()).collect();
    Ok((gone, elsewhere))
}

pub(crate) struct Part {
    id: PartId,
    engine_id: String,
    case: CaseId,
    home: CaseId,
    title: String,
    principal: String,
    decision: Decision,
    risk: Risk,
    first_seen: Micros,
    last_seen: Micros,
    detected_at: Micros,
    brief: String,
    search: String,
    verdict: String,
    as_of: i64,
    document: DocumentId,
    sha256: [u8; 32],
    withdrawn: bool,
}

impl Part {
    fn says(&self, said: &EngineCase<'_>, sha256: &[u8; 32]) -> bool {
        !self.withdrawn
            && self.sha256 == *sha256
            && self.verdict == said.verdict
            && self.title == said.title
            && self.principal == said.principal
            && self.decision == said.decision
            && self.risk == said.risk
            && (self.first_seen, self.last_seen, self.detected_at)
                == (said.first_seen, said.last_seen, said.detected_at)
            && self.brief == said.brief
            && self.search == search_words(said)
    }
}

const PART: &str = "select p.id, p.engine_id, p.case_id, p.home_id, p.title, p.principal, p.decision, p.risk,
        p.first_seen, p.last_seen, p.detected_at, p.brief, p.search, p.verdict, p.as_of, p.document_id, d.sha256,
        p.withdrawn_at
    from case_parts p join documents d on d.id = p.document_id";

fn read_part(r: &mut Row) -> Result<Part> {
    Ok(Part {
        id: PartId(r.int()?),
        engine_id: r.text()?,
        case: CaseId(r.int()?),
        home: CaseId(r.int()?),
        title: r.text()?,
        principal: r.text()?,
        decision: r.decision()?,
        risk: Risk(r.int()?),
        first_seen: r.int()?,
        last_seen: r.int()?,
        detected_at: r.int()?,
        brief: r.text()?,
        search: r.text()?,
        verdict: r.text()?,
        as_of: r.int()?,
        document: DocumentId(r.int()?),
        sha256: r.sha256()?,
        withdrawn: r.maybe_int()?.is_some(),
    })
}

fn part(tx: &mut Tx<'_>, engine_id: &str) -> Result<Option<Part>> {
    tx.one(&format!("{PART} where p.engine_id = $1"), values![engine_id], read_part)
}

fn parts(tx: &mut Tx<'_>, case: CaseId) -> Result<Vec<Part>> {
    tx.all(&format!("{PART} where p.case_id = $1 order by p.id"), values![case], read_part)
}

/// All parts of a case taken together: the most urgent decision, the highest risk, the longest time.
pub(crate) struct Whole {
    title: String,
    principal: String,
    decision: Decision,
    risk: Risk,
    first_seen: Micros,
    last_seen: Micros,
    detected_at: Micros,
    brief: String,
    search: String,
    /// In order, so that a part under another name is no other verdict.
    verdicts: Vec<String>,
}

impl Whole {
    fn of(parts: &[Part]) -> Whole {
        let live: Vec<&Part> = parts.iter().filter(|p| !p.withdrawn).collect();
        // Where nothing is left, the case still has to say what it was about.
        let counted = if live.is_empty() { parts.iter().collect() } else { live.clone() };
        let strongest = counted.iter().max_by_key(|p| (p.decision, p.risk, std::cmp::Reverse(p.id)));
        let (decision, risk) = live
            .iter()
            .fold((Decision::Close, Risk::default()), |(d, r), p| (d.max(p.decision), r.max(p.risk)));
        let mut search = String::new();
        for part in parts {
            if search.len() + part.search.len() <= 4 * SEARCH_LONGEST {
                search.push_str(&part.search);
            }
        }
        let mut verdicts: Vec<String> =
            live.iter().map(|p| format!("{} {}", p.decision.name(), p.verdict)).collect();
        verdicts.sort_unstable();
        let text = |of: fn(&Part) -> &String| strongest.map(|p| of(p).clone()).unwrap_or_default();
        Whole {
            title: text(|p| &p.title),
            principal: text(|p| &p.principal),
            decision,
            risk,
            first_seen: counted.iter().map(|p| p.first_seen).min().unwrap_or(0),
            last_seen: counted.iter().map(|p| p.last_seen).max().unwrap_or(0),
            detected_at: counted.iter().map(|p| p.detected_at).min().unwrap_or(0),
            brief: text(|p| &p.brief),
            search,
            verdicts,
        }
    }

    fn onto(&self, case: &mut Case) {
        case.title.clone_from(&self.title);
        case.principal.clone_from(&self.principal);
        case.brief.clone_from(&self.brief);
        case.decision = self.decision;
        case.risk = self.risk;
        case.first_seen = self.first_seen;
        case.last_seen = self.last_seen;
        case.detected_at = self.detected_at;
    }
}

/// The case over the parts that it has now; for merging.
pub(crate) fn over_parts(tx: &mut WriteTx<'_>, case: &mut Case) -> Result<()> {
    let parts = parts(tx, case.id)?;
    if parts.is_empty() {
        return Ok(());
    }
    let whole = Whole::of(&parts);
    whole.onto(case);
    write_search(tx, case.id, &whole)
}
