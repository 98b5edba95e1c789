//! A case is found benign, and from now on what is like it: within a scope, until a time, with what that would have
//! silenced said before.

use super::cases::{CaseLine, Names, guarded, line, viewer};
use super::suppressions::SuppressionView;
use super::{Doing, Fault, Stamp, Who, change, look};
use crate::app::App;
use crate::benign::{documents, is_untouched, met, touches, uncovered};
use crate::config::Occasion;
use crate::hub::News;
use portreeve_access::permit::Verb;
use portreeve_model::answer::Decision;
use portreeve_model::net::Cidr;
use portreeve_model::time::DAY_US;
use portreeve_report::wire;
use portreeve_store::case::engine::verdicts;
use portreeve_store::case::{self, By, Case, Disposition, Status, Viewer, document, work};
use portreeve_store::suppression::{self, Scope, Suppression};
use portreeve_store::{CaseId, Error, Tx, Word, WriteTx};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What a preview looks back at.
pub const PREVIEW_DAYS: u32 = 90;
/// The longest that anything is silenced for, without somebody deciding it anew.
pub const LONGEST_DAYS: u32 = 365;
/// Cases that a preview looks at, the newest first; and documents that it opens for that.
const MOST_CASES: usize = 20_000;
const MOST_DOCUMENTS: usize = 3_000;
const PAGE: usize = 500;
/// Cases that a preview names.
const MOST_NAMED: usize = 200;
/// Earlier verdicts of a case that are looked at.
const MOST_VERDICTS: usize = 10;

#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BenignInput {
    /// Why it is allowed.
    pub reason: String,
    /// `none`: this case alone. `user-network`: this account from this provider. `user-place`: this account in this
    /// country. `address`: this address, for everybody. `given` (the default): what the fields below say.
    pub scope: Option<String>,
    pub user: Option<String>,
    /// `192.0.2.0/24`, or an address.
    pub network: Option<String>,
    pub asn: Option<i64>,
    /// A country or a city, as the case calls it.
    pub place: Option<String>,
    /// The name of a way out that several use: of an office, of a provider.
    pub egress: Option<String>,
    /// Only what rests on this detection alone.
    pub detection: Option<String>,
    /// For so many days, 1 to 365; or `until`.
    pub days: Option<u32>,
    /// RFC 3339.
    pub until: Option<String>,
    /// What waits now and is covered is silenced as well.
    pub waiting: bool,
    /// Although it would have silenced cases that turned out to be real.
    pub despite: bool,
    /// Although steps of the case are begun or blocked.
    pub leave_tasks: bool,
}

/// One part of a scope: `user`, `anna`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct ScopePart {
    pub what: String,
    pub is: String,
}

pub(crate) fn parts_of(scope: &Scope) -> Vec<ScopePart> {
    let named = [
        ("user", scope.principal.clone()),
        ("network", scope.network.map(|n| n.to_string())),
        ("AS", scope.asn.map(|a| a.to_string())),
        ("place", scope.place.clone()),
        ("way out", scope.egress.clone()),
        ("detection", scope.detection.clone()),
    ];
    let named = named.into_iter().filter_map(|(what, is)| Some((what, is?)));
    named.map(|(what, is)| ScopePart { what: what.to_owned(), is }).collect()
}

/// What a suppression would have done, if it had been there all the time.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct SuppressionPreview {
    pub scope: Vec<ScopePart>,
    /// Criteria that are met in this case; one that meets another is never silenced.
    pub criteria: Vec<String>,
    pub until: Stamp,
    /// It names no account: it would be for everybody.
    pub for_everybody: bool,
    pub days: u32,
    /// Cases that were looked at.
    pub looked_at: usize,
    /// False where there were more than are looked at; the oldest are missing.
    pub whole: bool,
    /// False where cases are restricted to others; they are not among these.
    pub sees_all: bool,
    /// Cases that it would have silenced.
    pub would: usize,
    /// Of them: silenced at first, and come back when they grew.
    pub came_back: usize,
    /// Of them: turned out to be real.
    pub real: usize,
    /// Of them: wait in the queue now, and nobody works on them.
    pub waiting: usize,
    /// What of this case it does not cover.
    pub outside: Vec<String>,
    /// Those that were real first, then the newest; 200 at most.
    pub cases: Vec<WouldSilence>,
}

#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct WouldSilence {
    pub number: i64,
    pub title: String,
    pub last_seen: Stamp,
    pub decision: String,
    pub status: String,
    /// Empty while it is open.
    pub disposition: String,
    pub real: bool,
    pub came_back: bool,
}

pub(crate) fn is_real(disposition: Option<Disposition>) -> bool {
    matches!(disposition, Some(Disposition::TruePositiveImpact | Disposition::TruePositiveNoImpact))
}

/// What it is for and until when; `None` where it is this case alone.
pub(super) struct Asked {
    pub(super) scope: Scope,
    pub(super) until: i64,
}

fn one<T: Ord + Clone>(all: impl Iterator<Item = T>) -> Option<T> {
    let all: BTreeSet<T> = all.collect();
    all.first().filter(|_| all.len() == 1).cloned()
}

fn until(input: &BenignInput, now: i64) -> Result<i64, Fault> {
    let longest = now + i64::from(LONGEST_DAYS) * DAY_US;
    let at = match (super::stamp::moment("until", input.until.as_deref())?, input.days) {
        (Some(at), _) => at,
        (None, Some(days)) => now + i64::from(days.min(LONGEST_DAYS + 1)) * DAY_US,
        (None, None) => return Err(Fault::invalid("days", "say for how long: days, or until")),
    };
    if at <= now {
        return Err(Fault::invalid("until", "lies in the past"));
    }
    if at > longest {
        return Err(Fault::invalid(
            "until",
            format!("at most {LONGEST_DAYS} days from now; it can be prolonged"),
        ));
    }
    Ok(at)
}

fn some(text: &Option<String>) -> Option<String> {
    text.as_deref().map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned)
}

/// A scope as it is written, part by part; without criteria.
pub(super) fn given(input: &BenignInput) -> Result<Scope, Fault> {
    let network = match some(&input.network) {
        None => None,
        Some(text) => Some(
            Cidr::parse(&text)
                .ok_or_else(|| Fault::invalid("network", "write 192.0.2.0/24, or an address"))?,
        ),
    };
    Ok(Scope {
        principal: some(&input.user),
        network,
        asn: input.asn,
        place: some(&input.place),
        egress: some(&input.egress),
        detection: some(&input.detection),
        criteria: Vec::new(),
    })
}

fn asked(input: &BenignInput, cases: &[wire::Case], now: i64) -> Result<Option<Asked>, Fault> {
    let places = || cases.iter().flat_map(|c| c.sources.iter().map(|s| &s.place));
    let user = || {
        one(cases.iter().map(|c| c.principal.name.clone()))
            .ok_or_else(|| Fault::invalid("scope", "the case is about several accounts; name one"))
    };
    let mut scope = match some(&input.scope).as_deref() {
        Some("none") => return Ok(None),
        Some("user-network") => {
            let asn = one(places().map(|p| i64::from(p.asn))).filter(|asn| *asn > 0);
            let asn = asn.ok_or_else(|| {
                Fault::invalid("scope", "the case has no provider, or several; give network or asn")
            })?;
            Scope { principal: Some(user()?), asn: Some(asn), ..Scope::default() }
        }
        Some("user-place") => {
            let country = one(places().map(|p| p.country.clone())).filter(|c| !c.is_empty());
            let country = country.ok_or_else(|| {
                Fault::invalid("scope", "the case is in no known country, or in several; give place")
            })?;
            Scope { principal: Some(user()?), place: Some(country), ..Scope::default() }
        }
        Some("address") => {
            let ip = one(cases.iter().flat_map(|c| c.source_ips.iter().cloned()));
            let network = ip.as_deref().and_then(Cidr::parse);
            let network = network.ok_or_else(|| {
                Fault::invalid("scope", "the case has no address, or several; give network or egress")
            })?;
            Scope { network: Some(network), ..Scope::default() }
        }
        None | Some("given") => given(input)?,
        Some(_) => {
            return Err(Fault::invalid("scope", "none, user-network, user-place, address or given"));
        }
    };
    scope.check()?;
    has_to_do(&scope, cases)?;
    let criteria: BTreeSet<String> = cases.iter().flat_map(|c| met(c).map(|m| m.number.clone())).collect();
    scope.criteria = criteria.into_iter().collect();
    Ok(Some(Asked { scope, until: until(input, now)? }))
}

/// Who decides about one case does not silence another's.
pub(super) fn has_to_do(scope: &Scope, cases: &[wire::Case]) -> Result<(), Fault> {
    if cases.iter().any(|c| touches(scope, c)) {
        return Ok(());
    }
    Err(Fault::invalid("scope", "it has nothing to do with this case; decide it where it belongs"))
}

pub(super) fn readable(documents: Result<Vec<wire::Case>, String>) -> Result<Vec<wire::Case>, Error> {
    documents.map_err(|why| Fault::Inside(why).into())
}

/// A first look without the document: what a line of the queue says is enough to leave out most.
fn may_fit(scope: &Scope, case: &Case) -> bool {
    let brief: crate::brief::Brief = serde_json::from_str(&case.brief).unwrap_or_default();
    let inside = |ip: &str| {
        let ip = portreeve_model::Ip::parse(ip.as_bytes()).some();
        scope.network.is_none_or(|n| ip.is_some_and(|ip| n.contains(ip)))
    };
    brief.from.iter().all(|f| inside(&f.ip))
}

enum Tried {
    Outside,
    Silenced,
    CameBack,
}

/// As it would have gone: by what the engine says now, and by what it said before.
fn try_on(tx: &mut Tx<'_>, scope: &Scope, case: &Case, opened: &mut usize) -> Result<Tried, Error> {
    *opened += 1;
    if case.decision > Decision::Close && uncovered(scope, &documents(tx, case.id)?).is_empty() {
        return Ok(Tried::Silenced);
    }
    if case.verdicts == 0 {
        return Ok(Tried::Outside);
    }
    for before in verdicts(tx, case.id)?.into_iter().take(MOST_VERDICTS) {
        if before.decision_before == Decision::Close {
            continue;
        }
        *opened += 1;
        let text = document::text(tx, before.before)?;
        let parsed = serde_json::from_str(&text).map(|c| vec![c]).map_err(|e| e.to_string());
        if uncovered(scope, &parsed).is_empty() {
            return Ok(Tried::CameBack);
        }
    }
    Ok(Tried::Outside)
}

pub(super) fn preview(
    tx: &mut Tx<'_>,
    asked: &Asked,
    (this, cases): (CaseId, &[wire::Case]),
    viewer: Viewer,
    now: i64,
) -> Result<SuppressionPreview, Error> {
    let scope = &asked.scope;
    let mut seen = SuppressionPreview {
        scope: parts_of(scope),
        criteria: scope.criteria.clone(),
        until: Stamp(asked.until),
        for_everybody: scope.principal.is_none(),
        days: PREVIEW_DAYS,
        looked_at: 0,
        whole: true,
        sees_all: viewer == Viewer::All,
        would: 0,
        came_back: 0,
        real: 0,
        waiting: 0,
        outside: cases.iter().flat_map(|c| crate::benign::outside(scope, c)).collect(),
        cases: Vec::new(),
    };
    let (mut opened, mut before) = (0, None);
    let since = now - i64::from(PREVIEW_DAYS) * DAY_US;
    loop {
        let page = suppression::tried_on(tx, since, scope.principal.as_deref(), before, PAGE)?;
        before = page.last().map(|c| c.id);
        let last = page.len() < PAGE;
        for case in page {
            if seen.looked_at == MOST_CASES || opened >= MOST_DOCUMENTS {
                seen.whole = false;
                break;
            }
            if case.restricted && !case::is_visible(tx, case.id, viewer)? {
                continue;
            }
            seen.looked_at += 1;
            if case.id == this || !may_fit(scope, &case) {
                continue;
            }
            let came_back = match try_on(tx, scope, &case, &mut opened)? {
                Tried::Outside => continue,
                Tried::Silenced => false,
                Tried::CameBack => true,
            };
            let real = is_real(case.disposition);
            seen.would += 1;
            seen.came_back += usize::from(came_back);
            seen.real += usize::from(real);
            seen.waiting += usize::from(!came_back && is_untouched(&case) && case.suppressed.is_none());
            seen.cases.push(WouldSilence {
                number: case.id.0,
                title: case.title,
                last_seen: Stamp(case.last_seen),
                decision: case.decision.name().to_owned(),
                status: case.status.word().to_owned(),
                disposition: case.disposition.map(|d| d.word().to_owned()).unwrap_or_default(),
                real,
                came_back,
            });
        }
        if last || !seen.whole {
            break;
        }
    }
    seen.cases.sort_by_key(|c| (!c.real, std::cmp::Reverse(c.number)));
    seen.cases.truncate(MOST_NAMED);
    Ok(seen)
}

/// What it would have silenced. Changes nothing.
pub fn propose(app: &App, who: &Who, number: i64, input: &BenignInput) -> Result<SuppressionPreview, Fault> {
    let viewer = viewer(who)?;
    let now = crate::line::now().0;
    look(app, who, Verb::CaseSuppress, &format!("case:{number}"), |tx| {
        let case = guarded(tx, who, Verb::CaseSuppress, CaseId(number))?;
        let cases = readable(documents(tx, case.id)?)?;
        let asked = asked(input, &cases, now)?
            .ok_or_else(|| Fault::invalid("scope", "this case alone silences nothing"))?;
        preview(tx, &asked, (case.id, &cases), viewer, now)
    })
}

impl SuppressionPreview {
    /// Cases that are covered as they are now.
    pub(super) fn covered(&self) -> Vec<i64> {
        self.cases.iter().filter(|c| !c.came_back).map(|c| c.number).collect()
    }
}

/// What was real is silenced by nobody who does not say so.
pub(super) fn may_despite(seen: &SuppressionPreview, despite: bool) -> Result<(), Fault> {
    if seen.real == 0 || despite {
        return Ok(());
    }
    Err(Fault::Conflict {
        text: format!(
            "it would have silenced {} of the last {} days that turned out to be real; make it narrower, or say `despite`",
            if seen.real == 1 { "a case".to_owned() } else { format!("{} cases", seen.real) },
            seen.days
        ),
    })
}

/// Of these cases those that still wait, untouched, and are covered: out of the queue, and told as closed.
pub(super) fn silence_waiting(
    app: &App,
    tx: &mut WriteTx<'_>,
    by_this: &Suppression,
    waiting: &[i64],
    (reason, by): (&str, By<'_>),
) -> Result<Vec<i64>, Error> {
    let mut silenced = Vec::new();
    for other in waiting.iter().map(|n| CaseId(*n)) {
        let other = case::get(tx, other)?;
        if is_untouched(&other)
            && other.suppressed.is_none()
            && uncovered(&by_this.scope, &documents(tx, other.id)?).is_empty()
        {
            suppression::silence(tx, by_this.id, other.id, by.at)?;
            let other = case::get(tx, other.id)?;
            app.hooks.case(tx, &other, Occasion::CaseClosed, (reason, by.actor, by.at))?;
            silenced.push(other.id.0);
        }
    }
    Ok(silenced)
}

/// What came of it.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct MadeBenign {
    pub case: CaseLine,
    /// None where it was this case alone.
    pub suppression: Option<SuppressionView>,
    /// Cases that waited and are silenced now.
    pub silenced: Vec<i64>,
}

/// Closes the case as benign, and makes the suppression.
pub fn make(
    app: &App,
    who: &Who,
    number: i64,
    revision: i64,
    input: &BenignInput,
) -> Result<MadeBenign, Fault> {
    let (id, now, viewer) = (CaseId(number), crate::line::now().0, viewer(who)?);
    // Looked at before the change: it may take a while, and the store has one writer.
    let seen = app.store.read(|tx| {
        guarded(tx, who, Verb::CaseSuppress, id)?;
        let cases = readable(documents(tx, id)?)?;
        match asked(input, &cases, now)? {
            None => Ok(None),
            Some(asked) => preview(tx, &asked, (id, &cases), viewer, now).map(Some),
        }
    })?;
    if let Some(seen) = &seen {
        may_despite(seen, input.despite)?;
    }
    let waiting = match &seen {
        Some(seen) if input.waiting => seen.covered(),
        _ => Vec::new(),
    };
    let object = format!("case:{number}");
    let detail = serde_json::to_value(input).map_err(|e| Fault::Inside(e.to_string()))?;
    let done = change(app, who, &Doing::new(Verb::CaseSuppress, &object).with(detail), |tx, by| {
        let case = guarded(tx, who, Verb::CaseSuppress, id)?;
        let cases = readable(documents(tx, id)?)?;
        let asked = asked(input, &cases, now)?;
        let benign = case.status == Status::Closed && !case.resurfaced && !is_real(case.disposition);
        if benign && asked.is_some() {
            // Closed already; the revision still has to be the one that was read.
            if case.revision != revision {
                let id = number.to_string();
                return Err(Error::Conflict { what: "case", id, now: case.revision });
            }
        } else {
            guarded(tx, who, Verb::CaseClose, id)?;
            let closing = work::Closing {
                disposition: Disposition::BenignPositive,
                reason: &input.reason,
                leave_tasks: input.leave_tasks,
            };
            let case = work::close(tx, id, revision, &closing, by)?;
            app.hooks.case(tx, &case, Occasion::CaseClosed, (&input.reason, by.actor, by.at))?;
        }
        let (mut silenced, mut made) = (Vec::new(), None);
        if let Some(asked) = asked {
            let s = suppression::create(tx, &asked.scope, &input.reason, asked.until, Some(id), by)?;
            silenced = silence_waiting(app, tx, &s, &waiting, (&input.reason, by))?;
            let s = suppression::get(tx, s.id)?;
            made = Some(SuppressionView::of(tx, s, by.at)?);
        }
        let case = case::get(tx, id)?;
        Ok(MadeBenign { case: line(tx, case, &mut Names::default())?, suppression: made, silenced })
    })?;
    for number in done.silenced.iter().chain([&number]) {
        app.hub.tell(News::Case { number: *number, is_new: false });
    }
    Ok(done)
}
