//! What was found benign, for whom or from where, and until when. It names what it is about, it ends, and it is counted
//! and looked at again.

use crate::case::{self, By, Case, Disposition, clock, timeline};
use crate::db::value::values;
use crate::db::{Micros, Row, Tx, WriteTx};
use crate::error::{Error, Result};
use crate::key::key;
use crate::word::{CaseId, SuppressionId};
use portreeve_model::net::Cidr;

/// Those that are given must all fit. Who, or from where, must be among them: without it, it would be for everybody.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Scope {
    pub principal: Option<String>,
    /// Addresses; an address alone is a network of one.
    pub network: Option<Cidr>,
    pub asn: Option<i64>,
    /// A country or a city, as the engine calls it: with a principal.
    pub place: Option<String>,
    /// The name of a way out that several use: of a provider, of an office.
    pub egress: Option<String>,
    /// Only this detection; otherwise all.
    pub detection: Option<String>,
    /// Criteria of an escalation that were known when it was decided. A case that meets another is not silenced.
    pub criteria: Vec<String>,
}

impl Scope {
    /// Is all that this one covers covered by that one, whatever the cases? Where that cannot be said, it is not.
    pub fn is_within(&self, other: &Scope) -> bool {
        let text = |mine: &Option<String>, theirs: &Option<String>| match (mine, theirs) {
            (_, None) => true,
            (Some(mine), Some(theirs)) => key(mine.trim()) == key(theirs.trim()),
            (None, Some(_)) => false,
        };
        let network = match (self.network, other.network) {
            (_, None) => true,
            (Some(mine), Some(theirs)) => mine.bits >= theirs.bits && theirs.contains(mine.base),
            (None, Some(_)) => false,
        };
        text(&self.principal, &other.principal)
            && network
            && other.asn.is_none_or(|asn| self.asn == Some(asn))
            && text(&self.place, &other.place)
            && text(&self.egress, &other.egress)
            && (other.detection.is_none() || self.detection == other.detection)
            && self.criteria.iter().all(|c| other.criteria.contains(c))
    }

    /// Does it say enough, and not too much?
    pub fn check(&self) -> Result<()> {
        let given = |text: &Option<String>| text.as_ref().is_some_and(|t| !t.trim().is_empty());
        let named = [&self.principal, &self.place, &self.egress, &self.detection];
        if named.into_iter().any(|text| text.is_some() && !given(text)) {
            return Err(Error::invalid("scope", "holds an empty name; leave it out"));
        }
        if self.criteria.iter().any(|c| c.is_empty() || c.contains(char::is_whitespace)) {
            return Err(Error::invalid("criteria", "ids of criteria, without spaces"));
        }
        // A network that holds half the world says as much as none.
        if self.network.is_some_and(|n| n.bits < if n.base.is_v4() { 96 + 8 } else { 16 }) {
            return Err(Error::invalid("network", "is wider than a /8, or a /16 of IPv6"));
        }
        if given(&self.principal) || given(&self.egress) || self.network.is_some() || self.asn.is_some() {
            return Ok(());
        }
        Err(Error::invalid("scope", "names neither who nor from where; it would hide everybody"))
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Suppression {
    pub id: SuppressionId,
    pub scope: Scope,
    pub reason: String,
    pub author: String,
    /// Where it was decided.
    pub case: Option<CaseId>,
    pub created_at: Micros,
    pub expires_at: Micros,
    pub hits: i64,
    pub last_hit: Option<Micros>,
    pub reviewed_at: Option<Micros>,
    pub reviewed_by: Option<String>,
    pub ended_at: Option<Micros>,
    pub ended_by: Option<String>,
    /// When its scope was changed last, and by whom.
    pub scope_at: Option<Micros>,
    pub scope_by: Option<String>,
    pub revision: i64,
}

impl Suppression {
    /// Since when its scope is what it is.
    pub fn since(&self) -> Micros {
        self.scope_at.unwrap_or(self.created_at)
    }
}

const COLUMNS: &str =
    "id, principal, network, asn, place, egress, detection, reason, author, case_id, created_at,
    expires_at, hits, last_hit, reviewed_at, reviewed_by, ended_at, ended_by, revision,
    criteria, scope_at, scope_by";

fn read(r: &mut Row) -> Result<Suppression> {
    let mut found = Suppression {
        id: SuppressionId(r.int()?),
        scope: Scope {
            criteria: Vec::new(),
            principal: r.maybe_text()?,
            network: match r.maybe_text()? {
                None => None,
                Some(text) => Some(
                    Cidr::parse(&text)
                        .ok_or_else(|| Error::Column { wanted: "network", found: format!("{text:?}") })?,
                ),
            },
            asn: r.maybe_int()?,
            place: r.maybe_text()?,
            egress: r.maybe_text()?,
            detection: r.maybe_text()?,
        },
        reason: r.text()?,
        author: r.text()?,
        case: r.maybe_int()?.map(CaseId),
        created_at: r.int()?,
        expires_at: r.int()?,
        hits: r.int()?,
        last_hit: r.maybe_int()?,
        reviewed_at: r.maybe_int()?,
        reviewed_by: r.maybe_text()?,
        ended_at: r.maybe_int()?,
        ended_by: r.maybe_text()?,
        scope_at: None,
        scope_by: None,
        revision: r.int()?,
    };
    found.scope.criteria = r.text()?.split_whitespace().map(str::to_owned).collect();
    (found.scope_at, found.scope_by) = (r.maybe_int()?, r.maybe_text()?);
    Ok(found)
}

pub fn create(
    tx: &mut WriteTx<'_>,
    scope: &Scope,
    reason: &str,
    expires_at: Micros,
    case: Option<CaseId>,
    by: By<'_>,
) -> Result<Suppression> {
    scope.check()?;
    crate::case::reason("reason", reason)?;
    if expires_at <= by.at {
        return Err(Error::invalid("expires_at", "lies in the past"));
    }
    let id = SuppressionId(tx.next("suppression")?);
    tx.execute(
        "insert into suppressions (id, principal, network, asn, place, egress, detection, reason, author, case_id, created_at, expires_at, hits, revision, criteria)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0, 1, $13)",
        values![
            id,
            scope.principal.as_deref(),
            scope.network.map(|n| n.to_string()),
            scope.asn,
            scope.place.as_deref(),
            scope.egress.as_deref(),
            scope.detection.as_deref(),
            reason,
            by.actor,
            case,
            by.at,
            expires_at,
            scope.criteria.join(" "),
        ],
    )?;
    if let Some(case) = case {
        crate::case::work::tell(tx, case, &format!("benign from now on (suppression {id}): {reason}"), by)?;
    }
    get(tx, id)
}

pub fn get(tx: &mut Tx<'_>, id: SuppressionId) -> Result<Suppression> {
    tx.one(&format!("select {COLUMNS} from suppressions where id = $1"), values![id], read)?
        .ok_or_else(|| Error::not_found("suppression", id))
}

/// Those in force.
pub fn active(tx: &mut Tx<'_>, now: Micros) -> Result<Vec<Suppression>> {
    tx.all(
        &format!("select {COLUMNS} from suppressions where expires_at > $1 and ended_at is null order by id"),
        values![now],
        read,
    )
}

/// All, the newest first.
pub fn all(tx: &mut Tx<'_>, before: Option<SuppressionId>, limit: usize) -> Result<Vec<Suppression>> {
    tx.all(
        &format!("select {COLUMNS} from suppressions where id < $1 order by id desc limit $2"),
        values![before.map_or(i64::MAX, |b| b.0), limit as i64],
        read,
    )
}

/// Those to be looked at again: not reviewed since then, or ending before then.
pub fn due(
    tx: &mut Tx<'_>,
    now: Micros,
    not_reviewed_since: Micros,
    ends_before: Micros,
) -> Result<Vec<Suppression>> {
    tx.all(
        &format!(
            "select {COLUMNS} from suppressions where expires_at > $1 and ended_at is null
                and (coalesce(reviewed_at, created_at) < $2 or expires_at < $3)
             order by expires_at, id"
        ),
        values![now, not_reviewed_since, ends_before],
        read,
    )
}

/// Takes a case out of the queue, and counts it: once for each verdict. What people made of the case stays.
pub fn silence(tx: &mut WriteTx<'_>, id: SuppressionId, case: CaseId, now: Micros) -> Result<()> {
    let mut silenced = case::get(tx, case)?;
    let fresh = tx.execute(
        "insert into suppression_hits (suppression_id, case_id, verdict, at) values ($1, $2, $3, $4)
         on conflict do nothing",
        values![id, case, silenced.verdicts, now],
    )?;
    if fresh > 0 {
        hit(tx, id, 1, now)?;
    }
    // A verdict that rose has set clocks anew.
    clock::pause_all(tx, case, now)?;
    if silenced.suppressed == Some(id) {
        return Ok(());
    }
    let by = get(tx, id)?;
    silenced.suppressed = Some(id);
    case::save(tx, &mut silenced, now)?;
    let said = format!("silenced by suppression {id} of {}: {}", by.author, by.reason);
    say(tx, case, &said, By { actor: "engine", at: now })
}

/// The case is in the queue again, and says why; `false` where nothing silenced it.
pub fn bring_back(tx: &mut WriteTx<'_>, id: CaseId, why: &str, by: By<'_>) -> Result<bool> {
    let mut silenced = case::get(tx, id)?;
    let Some(suppression) = silenced.suppressed.take() else { return Ok(false) };
    clock::resume_all(tx, id, by.at)?;
    case::save(tx, &mut silenced, by.at)?;
    say(tx, id, &format!("came back, although suppression {suppression} had silenced it: {why}"), by)?;
    Ok(true)
}

fn say(tx: &mut WriteTx<'_>, case: CaseId, said: &str, by: By<'_>) -> Result<()> {
    let entry = timeline::NewEntry {
        case,
        kind: timeline::Kind::Revision,
        at: by.at,
        certainty: "exact",
        recorded_at: by.at,
        actor: by.actor,
        said,
        data: None,
        once: None,
    };
    timeline::append(tx, &entry).map(|_| ())
}

/// The cases that it keeps out of the queue now.
pub fn silenced(tx: &mut Tx<'_>, id: SuppressionId) -> Result<Vec<CaseId>> {
    tx.all(
        "select id from cases where suppressed = $1 and merged_into is null order by id",
        values![id],
        |r| Ok(CaseId(r.int()?)),
    )
}

/// How many cases suppressions keep out of the queue now.
pub fn silenced_now(tx: &mut Tx<'_>) -> Result<i64> {
    tx.number("select count(*) from cases where suppressed is not null and merged_into is null", &[])
}

/// Cases that it ever silenced, the newest first, and when it first did.
pub fn hits(tx: &mut Tx<'_>, id: SuppressionId, limit: usize) -> Result<Vec<(CaseId, Micros)>> {
    tx.all(
        "select case_id, min(at) from suppression_hits where suppression_id = $1
         group by case_id order by case_id desc limit $2",
        values![id, limit as i64],
        |r| Ok((CaseId(r.int()?), r.int()?)),
    )
}

/// How many of the cases that it silenced turned out to be real.
pub fn real(tx: &mut Tx<'_>, id: SuppressionId) -> Result<i64> {
    tx.number(
        "select count(distinct h.case_id) from suppression_hits h join cases c on c.id = h.case_id
         where h.suppression_id = $1 and c.disposition in ($2, $3)",
        values![id, Disposition::TruePositiveImpact, Disposition::TruePositiveNoImpact],
    )
}

/// Cases that were last seen or found since then and were not merged into another, the newest first: what a
/// suppression is tried on.
pub fn tried_on(
    tx: &mut Tx<'_>,
    since: Micros,
    principal: Option<&str>,
    before: Option<CaseId>,
    limit: usize,
) -> Result<Vec<Case>> {
    let before = before.map_or(i64::MAX, |b| b.0);
    let sql = |more: &str| {
        format!(
            "select {} from cases where id < $1 and merged_into is null and (last_seen >= $2 or created_at >= $2)
             {more} order by id desc limit $3",
            case::COLUMNS
        )
    };
    match principal {
        None => tx.all(&sql(""), values![before, since, limit as i64], case::read),
        Some(name) => tx.all(
            &sql("and principal_key = $4"),
            values![before, since, limit as i64, key(name)],
            case::read,
        ),
    }
}

/// It silenced so many, the last one then.
fn hit(tx: &mut WriteTx<'_>, id: SuppressionId, hits: i64, last: Micros) -> Result<()> {
    tx.execute(
        "update suppressions set hits = hits + $2,
            last_hit = case when last_hit is null or last_hit < $3 then $3 else last_hit end
         where id = $1",
        values![id, hits, last],
    )?;
    Ok(())
}

/// Somebody looked at it and keeps it, for as long as they say.
pub fn review(
    tx: &mut WriteTx<'_>,
    id: SuppressionId,
    expect: i64,
    expires_at: Micros,
    by: By<'_>,
) -> Result<Suppression> {
    at_revision(tx, id, expect)?;
    if expires_at <= by.at {
        return Err(Error::invalid("expires_at", "lies in the past"));
    }
    tx.execute(
        "update suppressions set reviewed_at = $2, reviewed_by = $3, expires_at = $4, revision = revision + 1
         where id = $1",
        values![id, by.at, by.actor, expires_at],
    )?;
    get(tx, id)
}

/// Its scope is another from now on. Which of the cases that it keeps out of the queue fall out of it, the caller asks.
pub fn rescope(
    tx: &mut WriteTx<'_>,
    id: SuppressionId,
    expect: i64,
    scope: &Scope,
    reason: &str,
    by: By<'_>,
) -> Result<Suppression> {
    at_revision(tx, id, expect)?;
    scope.check()?;
    crate::case::reason("reason", reason)?;
    let before = get(tx, id)?;
    if before.expires_at <= by.at {
        return Err(Error::NotNow(format!("suppression {id} is over; make a new one")));
    }
    tx.execute(
        "update suppressions set principal = $2, network = $3, asn = $4, place = $5, egress = $6, detection = $7,
            criteria = $8, scope_at = $9, scope_by = $10, revision = revision + 1
         where id = $1",
        values![
            id,
            scope.principal.as_deref(),
            scope.network.map(|n| n.to_string()),
            scope.asn,
            scope.place.as_deref(),
            scope.egress.as_deref(),
            scope.detection.as_deref(),
            scope.criteria.join(" "),
            by.at,
            by.actor,
        ],
    )?;
    if let Some(case) = before.case {
        let said = format!("the scope of suppression {id} was changed: {reason}");
        crate::case::work::tell(tx, case, &said, by)?;
    }
    get(tx, id)
}

pub fn end(tx: &mut WriteTx<'_>, id: SuppressionId, expect: i64, by: By<'_>) -> Result<Suppression> {
    at_revision(tx, id, expect)?;
    tx.execute(
        "update suppressions set ended_at = $2, ended_by = $3, revision = revision + 1 where id = $1",
        values![id, by.at, by.actor],
    )?;
    get(tx, id)
}

fn at_revision(tx: &mut Tx<'_>, id: SuppressionId, expect: i64) -> Result<()> {
    let found = get(tx, id)?;
    if found.revision != expect {
        return Err(Error::Conflict { what: "suppression", id: id.to_string(), now: found.revision });
    }
    match found.ended_at {
        None => Ok(()),
        Some(_) => Err(Error::NotNow(format!("suppression {id} has ended; make a new one"))),
    }
}
