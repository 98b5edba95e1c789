//! The queue and other lists of cases, page by page. A page goes on behind the last row of the one before, so that
//! cases that come in between neither repeat a row nor hide one.

use super::entity::Kind;
use super::{COLUMNS, Case, Disposition, Status, Tier, Viewer, read, visible_to};
use crate::db::value::values;
use crate::db::{Micros, Tx, Value};
use crate::error::{Error, Result};
use crate::key::{address_key, containing, key};
use crate::word::PersonId;
use portreeve_model::answer::Decision;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Order {
    /// Decision, risk, last seen: what to do first.
    #[default]
    Priority,
    /// The next deadline first.
    Due,
    /// The newest first.
    Created,
    /// What was changed last first.
    Updated,
    /// In the order of changes, the oldest first: for who follows them. Nothing is left out, whatever the clocks say.
    Change,
}

impl Order {
    const ALL: [(Order, &'static str); 5] = [
        (Order::Priority, "priority"),
        (Order::Due, "due"),
        (Order::Created, "created"),
        (Order::Updated, "updated"),
        (Order::Change, "change"),
    ];

    pub fn name(self) -> &'static str {
        Order::ALL.iter().find(|(order, _)| *order == self).map_or("", |(_, name)| name)
    }

    /// The columns, all in one direction.
    fn columns(self) -> (&'static [&'static str], &'static str) {
        match self {
            Order::Priority => (&["queue", "risk", "last_seen", "id"], "desc"),
            Order::Due => (&["next_due", "id"], "asc"),
            Order::Created => (&["created_at", "id"], "desc"),
            Order::Updated => (&["updated_at", "id"], "desc"),
            Order::Change => (&["change"], "asc"),
        }
    }

    fn keys(self, case: &Case) -> Vec<i64> {
        let queue = crate::db::value::rank(case.queue());
        match self {
            Order::Priority => vec![queue, case.risk.0, case.last_seen, case.id.0],
            Order::Due => vec![case.next_due.unwrap_or(super::NEVER), case.id.0],
            Order::Created => vec![case.created_at, case.id.0],
            Order::Updated => vec![case.updated_at, case.id.0],
            Order::Change => vec![case.change],
        }
    }
}

impl std::str::FromStr for Order {
    type Err = Error;
    fn from_str(text: &str) -> Result<Order> {
        Order::ALL
            .iter()
            .find(|(_, name)| *name == text)
            .map(|(order, _)| *order)
            .ok_or_else(|| Error::invalid("order", "priority, due, created, updated or change"))
    }
}

/// Where a page ended. As text it is safe in a URL.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cursor {
    order: Order,
    keys: Vec<i64>,
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.order.name())?;
        self.keys.iter().try_for_each(|key| write!(f, ".{key}"))
    }
}

impl std::str::FromStr for Cursor {
    type Err = Error;
    fn from_str(text: &str) -> Result<Cursor> {
        let wrong = || Error::invalid("cursor", "is none; ask for the first page");
        let mut words = text.split('.');
        let order: Order = words.next().unwrap_or_default().parse().map_err(|_other| wrong())?;
        let keys =
            words.map(str::parse).collect::<std::result::Result<Vec<i64>, _>>().map_err(|_not| wrong())?;
        if keys.len() != order.columns().0.len() {
            return Err(wrong());
        }
        Ok(Cursor { order, keys })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Standing {
    /// What waits for somebody: open, or closed and come up again.
    #[default]
    Queued,
    /// Closed, and not come up again; or to be closed by the engine's decision, and nobody's.
    Closed,
    /// Out of the queue by a suppression.
    Suppressed,
    All,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Owner {
    #[default]
    Anybody,
    Nobody,
    Is(PersonId),
}

/// What must fit; what is not given fits always.
#[derive(Clone, Debug, Default)]
pub struct Query<'a> {
    /// The decision in force.
    pub queue: Option<Decision>,
    pub standing: Standing,
    pub status: Option<Status>,
    pub owner: Owner,
    pub tier: Option<Tier>,
    pub disposition: Option<Disposition>,
    pub resurfaced: bool,
    /// Somewhere in title, principal, entities or notes; or the number of the case.
    pub text: Option<&'a str>,
    pub principal: Option<&'a str>,
    pub address: Option<&'a str>,
    pub entity: Option<(Kind, &'a str)>,
    pub updated_since: Option<Micros>,
    /// A deadline before this.
    pub due_before: Option<Micros>,
    pub viewer: Viewer,
    pub order: Order,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    pub cases: Vec<Case>,
    /// `None` where this was the last page.
    pub next: Option<Cursor>,
}

pub const LARGEST_PAGE: usize = 500;

pub fn page(tx: &mut Tx<'_>, query: &Query<'_>, after: Option<&Cursor>, limit: usize) -> Result<Page> {
    let limit = limit.clamp(1, LARGEST_PAGE);
    let (mut columns, direction) = query.order.columns();
    // Where one decision is asked for, the rest alone orders: then the index gives the rows in order.
    let fixed = usize::from(query.order == Order::Priority && query.queue.is_some());
    columns = &columns[fixed..];
    let mut filter = filter(query);
    if let Some(cursor) = after {
        if cursor.order != query.order {
            return Err(Error::invalid("cursor", "is of a list in another order; ask for the first page"));
        }
        let keys: Vec<String> = cursor.keys[fixed..].iter().map(|key| filter.put(*key)).collect();
        let beyond = if direction == "desc" { "<" } else { ">" };
        filter.and(format!("({}) {beyond} ({})", columns.join(", "), keys.join(", ")));
    }
    let order: Vec<String> = columns.iter().map(|c| format!("{c} {direction}")).collect();
    let wanted = filter.put(limit as i64 + 1);
    let sql = format!(
        "select {COLUMNS} from cases where {} order by {} limit {wanted}",
        filter.clauses.join(" and "),
        order.join(", ")
    );
    let mut cases = tx.all(&sql, &filter.values, read)?;
    let more = cases.len() > limit;
    cases.truncate(limit);
    let next =
        cases.last().filter(|_| more).map(|last| Cursor { order: query.order, keys: query.order.keys(last) });
    Ok(Page { cases, next })
}

/// How many fit.
pub fn count(tx: &mut Tx<'_>, query: &Query<'_>) -> Result<i64> {
    let filter = filter(query);
    tx.number(&format!("select count(*) from cases where {}", filter.clauses.join(" and ")), &filter.values)
}

/// Cases of one kind in the queue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Count {
    pub queue: Decision,
    pub status: Status,
    pub owner: Option<PersonId>,
    pub tier: Tier,
    pub cases: i64,
}

/// The queue in numbers.
pub fn counts(tx: &mut Tx<'_>, viewer: Viewer) -> Result<Vec<Count>> {
    let filter = filter(&Query { viewer, ..Query::default() });
    let sql = format!(
        "select queue, status, owner, tier, count(*) from cases where {}
         group by queue, status, owner, tier order by queue desc, status, owner, tier",
        filter.clauses.join(" and ")
    );
    tx.all(&sql, &filter.values, |r| {
        Ok(Count {
            queue: r.decision()?,
            status: r.word()?,
            owner: r.maybe_int()?.map(PersonId),
            tier: r.word()?,
            cases: r.int()?,
        })
    })
}

struct Filter {
    clauses: Vec<String>,
    values: Vec<Value<'static>>,
}

impl Filter {
    fn and(&mut self, clause: String) {
        self.clauses.push(clause);
    }

    /// The name of the parameter that holds this.
    fn put(&mut self, value: impl Into<Value<'static>>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }
}

fn filter(query: &Query<'_>) -> Filter {
    let mut filter = Filter { clauses: Vec::new(), values: Vec::new() };
    // Few cases have a certain principal or address, and the newest are mostly open. The sign keeps SQLite from going
    // through the whole queue for them.
    let few = query.principal.is_some()
        || query.address.is_some()
        || query.entity.is_some()
        || matches!(query.order, Order::Created | Order::Updated);
    let queued = if few { "+queued" } else { "queued" };
    match query.standing {
        Standing::Queued => filter.and(format!("{queued} = 1")),
        Standing::Closed => filter.and(format!(
            "{queued} = 0 and merged_into is null and (suppressed is null or status = 'closed')"
        )),
        Standing::Suppressed => filter.and("suppressed is not null and merged_into is null".into()),
        // Who follows the changes must hear that a case was merged.
        Standing::All if query.order == Order::Change => filter.and("1 = 1".into()),
        Standing::All => filter.and("merged_into is null".into()),
    }
    if let Some(queue) = query.queue {
        let value = filter.put(queue);
        filter.and(format!("queue = {value}"));
    }
    if let Some(status) = query.status {
        let value = filter.put(status);
        filter.and(format!("status = {value}"));
    }
    match query.owner {
        Owner::Anybody => {}
        Owner::Nobody => filter.and("owner is null".into()),
        Owner::Is(person) => {
            let value = filter.put(person);
            filter.and(format!("owner = {value}"));
        }
    }
    if let Some(tier) = query.tier {
        let value = filter.put(tier);
        filter.and(format!("tier = {value}"));
    }
    if let Some(disposition) = query.disposition {
        let value = filter.put(disposition);
        filter.and(format!("disposition = {value}"));
    }
    if query.resurfaced {
        filter.and("resurfaced = 1".into());
    }
    if let Some(principal) = query.principal {
        let value = filter.put(key(principal));
        filter.and(format!("principal_key = {value}"));
    }
    if let Some(address) = query.address {
        with_entity(&mut filter, Kind::Address, address);
    }
    if let Some((kind, value)) = query.entity {
        with_entity(&mut filter, kind, value);
    }
    if let Some(since) = query.updated_since {
        let value = filter.put(since);
        filter.and(format!("updated_at >= {value}"));
    }
    if let Some(before) = query.due_before {
        let value = filter.put(before);
        filter.and(format!("next_due < {value}"));
    }
    if let Viewer::Person(person) = query.viewer {
        let value = filter.put(person);
        filter.and(visible_to(&value));
    }
    if let Some(text) = query.text.map(str::trim).filter(|t| !t.is_empty()) {
        let pattern = filter.put(containing(text));
        let mut clause = format!(
            "search like {pattern} escape '\\'
             or id in (select case_id from notes where deleted_at is null and search like {pattern} escape '\\')"
        );
        if let Ok(number) = text.trim_start_matches('#').parse::<i64>() {
            let number = filter.put(number);
            clause.push_str(&format!(" or id = {number}"));
        }
        filter.and(format!("({clause})"));
    }
    filter
}

fn with_entity(filter: &mut Filter, kind: Kind, value: &str) {
    let value = if kind == Kind::Address { address_key(value) } else { key(value) };
    let (kind, value) = (filter.put(kind), filter.put(value));
    filter.and(format!(
        "id in (select p.case_id from case_entities e join case_parts p on p.id = e.part_id
            where e.kind = {kind} and e.value_key = {value})"
    ));
}

/// The place of the last change, for who begins to follow them now.
pub fn last_change(tx: &mut Tx<'_>) -> Result<i64> {
    tx.number("select value from counters where name = 'change'", values![])
}

/// Behind this change; a cursor for [`Order::Change`].
pub fn after_change(change: i64) -> Cursor {
    Cursor { order: Order::Change, keys: vec![change] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_from_its_text_and_nothing_else_is_one() {
        let cursor = Cursor { order: Order::Priority, keys: vec![2, -5, i64::MAX, 7] };
        assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        for bad in
            ["", "priority", "priority.1.2.3", "due.1.2.3", "due.1.x", "nonsense.1", "due.1.2; drop table"]
        {
            assert!(bad.parse::<Cursor>().is_err(), "{bad}");
        }
    }
}
