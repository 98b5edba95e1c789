//! A case with everything that its page shows, read in one moment and written down once.

use super::ask::AskView;
use super::cases::{
    CaseWhole, Entry, Guarded, RelatedCase, Somebody, VerdictChange, guarded, related_to, whole,
};
use super::notes::Note;
use super::tasks::Task;
use super::{Fault, Who, look};
use crate::app::App;
use portreeve_access::permit::{self, Kind, Verb};
use portreeve_access::role::Role;
use portreeve_store::case::{engine, note, task, timeline};
use portreeve_store::{CaseId, Error, Tx, Word, ask, people};

/// Entries of the timeline that a page shows; the API gives all of them, page by page.
const ENTRIES: usize = 500;

pub(crate) struct Sheet {
    pub(crate) whole: CaseWhole,
    pub(crate) timeline: Vec<Entry>,
    pub(crate) tasks: Vec<Task>,
    pub(crate) notes: Vec<Note>,
    pub(crate) verdicts: Vec<VerdictChange>,
    pub(crate) related: Vec<RelatedCase>,
    pub(crate) asks: Vec<AskView>,
    /// Zone of the user concerned, where the context says one; empty where it does not.
    pub(crate) zone: String,
    /// Names of webhooks that take a question to a person.
    pub(crate) webhooks: Vec<String>,
    /// Who may own it.
    pub(crate) owners: Vec<Somebody>,
    /// Ids of the verbs that this person may do to this case.
    pub(crate) may: Vec<String>,
}

pub(crate) fn read(app: &App, who: &Who, number: i64) -> Result<Sheet, Fault> {
    look(app, who, Verb::CaseRead, &format!("case:{number}"), |tx| {
        let case = guarded(tx, who, Verb::CaseRead, CaseId(number))?;
        let (id, now) = (case.id, crate::line::now().0);
        Ok(Sheet {
            timeline: timeline::of_case(tx, id, None, ENTRIES)?.into_iter().map(Entry::from).collect(),
            tasks: task::of_case(tx, id)?.into_iter().map(Task::from).collect(),
            notes: note::of_case(tx, id)?.into_iter().map(Note::from).collect(),
            verdicts: engine::verdicts(tx, id)?.into_iter().map(VerdictChange::from).collect(),
            asks: ask::of_case(tx, id)?.into_iter().map(|a| AskView::of(a, now)).collect(),
            zone: super::zone::of_user(app, &case.principal),
            webhooks: app.hooks.all.iter().map(|h| h.name.clone()).collect(),
            related: related_to(tx, who, id)?,
            owners: owners(tx)?,
            may: may_here(tx, who, id)?,
            whole: whole(tx, case)?,
        })
    })
}

/// The chosen case of the queue.
pub(crate) fn card(app: &App, who: &Who, number: i64) -> Result<(CaseWhole, Vec<String>), Fault> {
    look(app, who, Verb::CaseRead, &format!("case:{number}"), |tx| {
        let case = guarded(tx, who, Verb::CaseRead, CaseId(number))?;
        Ok((whole(tx, case.clone())?, may_here(tx, who, case.id)?))
    })
}

/// What the roles allow, without what this case refuses.
fn may_here(tx: &mut Tx<'_>, who: &Who, id: CaseId) -> Result<Vec<String>, Error> {
    let guarded = Guarded::of(tx, id)?;
    let object = guarded.object();
    let may = super::own::may(who).into_iter().filter(|id| match Verb::by_id(id) {
        Some(verb) if verb.kind() == Kind::Case => permit::allows(&who.actor, verb, &object).is_allowed(),
        _ => true,
    });
    Ok(may.collect())
}

fn owners(tx: &mut Tx<'_>) -> Result<Vec<Somebody>, Error> {
    let works = |p: &people::Person| [Role::L1, Role::T2, Role::T3].iter().any(|r| p.roles.contains(r.id()));
    let all = people::all(tx)?.into_iter().filter(|p| p.disabled_at.is_none() && works(p));
    Ok(all.map(|p| Somebody { id: p.id.0, name: p.name }).collect())
}

/// As a case stands, for what is done to it next.
pub(crate) struct StandingCase {
    pub(crate) revision: i64,
    /// Name of the owner.
    pub(crate) owner: Option<String>,
    pub(crate) status: String,
    pub(crate) tier: String,
    pub(crate) tlp: String,
    pub(crate) pap: String,
    pub(crate) restricted: bool,
}

pub(crate) fn standing(app: &App, who: &Who, number: i64) -> Result<StandingCase, Fault> {
    Ok(app.store.read(|tx| {
        let case = guarded(tx, who, Verb::CaseRead, CaseId(number))?;
        Ok::<_, Error>(StandingCase {
            revision: case.revision,
            owner: case.owner.map(|o| Ok::<_, Error>(people::get(tx, o)?.name)).transpose()?,
            status: case.status.word().to_owned(),
            tier: case.tier.word().to_owned(),
            tlp: case.tlp.word().to_owned(),
            pap: case.pap.word().to_owned(),
            restricted: case.restricted,
        })
    })?)
}
