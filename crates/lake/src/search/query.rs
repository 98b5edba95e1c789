//! What is asked for, and what makes a row an answer.

use crate::block::{Block, RowKey, account_key, spelled};
use crate::columns::Col;
use crate::fault::{Fault, Result};
use memchr::memmem::Finder;
use portreeve_model::{EventTime, Ip};
use std::fmt;
use std::str::FromStr;

/// Everything that is set must hold; an empty text is not set. Texts are compared as they are stored, except `user` and
/// `text`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Query {
    pub from: Option<EventTime>,
    /// Events before this time.
    pub to: Option<EventTime>,
    /// An account, with or without its realm, in any case.
    pub user: Option<String>,
    /// Where from, through which tunnel address, or where to.
    pub address: Option<Ip>,
    pub host: Option<String>,
    /// The gateway or server that wrote the record.
    pub observer: Option<String>,
    pub device: Option<String>,
    pub session: Option<String>,
    /// Name of the log source.
    pub source: Option<String>,
    /// Name of the configured source or path of the file.
    pub origin: Option<String>,
    pub act: Option<String>,
    pub outcome: Option<String>,
    /// Stands somewhere in the record; letters of ASCII match in either case.
    pub text: Option<String>,
    /// Leave out records that gave no event.
    pub events_only: bool,
    /// Rows of a page.
    pub limit: usize,
    /// Go on behind this row.
    pub cursor: Option<Cursor>,
    pub newest_first: bool,
}

impl Default for Query {
    fn default() -> Self {
        Query {
            from: None,
            to: None,
            user: None,
            address: None,
            host: None,
            observer: None,
            device: None,
            session: None,
            source: None,
            origin: None,
            act: None,
            outcome: None,
            text: None,
            events_only: false,
            limit: 100,
            cursor: None,
            newest_first: true,
        }
    }
}

/// Rows of one page at most: they are all in memory.
pub const MOST_ROWS: usize = 100_000;

/// The last row of a page. The next page begins behind it, whatever was stored or merged in between.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cursor(pub(crate) RowKey);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (time, seq, part) = self.0;
        write!(f, "{time}.{seq}.{part}")
    }
}

impl FromStr for Cursor {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Cursor> {
        let mut parts = text.split('.').map(|p| p.parse().ok());
        match (parts.next().flatten(), parts.next().flatten(), parts.next().flatten(), parts.next()) {
            (Some(time), Some(seq), Some(part), None) => Ok(Cursor((time, seq, part))),
            _ => Err(Fault::Query("this is no cursor of ours; begin at the first page".to_owned())),
        }
    }
}

/// One of some columns has one of some values.
pub(super) struct Predicate {
    pub cols: Vec<Col>,
    pub values: Vec<Vec<u8>>,
}

impl Predicate {
    pub(super) fn matches(&self, value: &[u8]) -> bool {
        self.values.iter().any(|v| v == value)
    }
}

/// A query made ready.
pub(super) struct Plan {
    pub from: i64,
    /// The last time that counts.
    pub until: i64,
    /// The rarest first.
    pub predicates: Vec<Predicate>,
    /// No row with an empty `act`.
    pub events_only: bool,
    pub text: Option<Needle>,
    pub after: Option<RowKey>,
    pub newest_first: bool,
    pub limit: usize,
}

impl Plan {
    pub(super) fn new(query: &Query) -> Result<Plan> {
        if query.limit == 0 || query.limit > MOST_ROWS {
            return Err(Fault::Query(format!("a page has 1 to {MOST_ROWS} rows")));
        }
        let mut predicates = Vec::new();
        // The empty text is stored as null, and an empty field of a form asks for nothing.
        let mut add = |cols: &[Col], mut values: Vec<Vec<u8>>| {
            values.retain(|v| !v.is_empty());
            if !values.is_empty() {
                predicates.push(Predicate { cols: cols.to_vec(), values });
            }
        };
        let one = |text: &String| vec![text.clone().into_bytes()];
        if let Some(session) = &query.session {
            add(&[Col::Sid], one(session));
        }
        if let Some(user) = &query.user {
            let mut values = vec![user.trim().to_lowercase().into_bytes(), account_key(user).into_bytes()];
            values.dedup();
            add(&[Col::UserKey], values);
        }
        if let Some(address) = query.address {
            add(&[Col::SrcIp, Col::TunIp, Col::DstIp], vec![spelled(address).into_bytes()]);
        }
        for (col, value) in [
            (Col::Device, &query.device),
            (Col::Host, &query.host),
            (Col::Observer, &query.observer),
            (Col::Origin, &query.origin),
            (Col::Source, &query.source),
            (Col::Act, &query.act),
            (Col::Outcome, &query.outcome),
        ] {
            if let Some(value) = value {
                add(&[col], one(value));
            }
        }
        let (mut from, mut until) = match (query.from, query.to) {
            // Before all time.
            (_, Some(EventTime::MIN)) => (i64::MAX, i64::MIN),
            (from, to) => (from.map_or(i64::MIN, |t| t.0), to.map_or(i64::MAX, |t| t.0 - 1)),
        };
        let after = query.cursor.map(|c| c.0);
        match after {
            Some((time, ..)) if query.newest_first => until = until.min(time),
            Some((time, ..)) => from = from.max(time),
            None => {}
        }
        Ok(Plan {
            from,
            until,
            predicates,
            events_only: query.events_only,
            text: query.text.as_deref().filter(|t| !t.is_empty()).map(Needle::new),
            after,
            newest_first: query.newest_first,
            limit: query.limit,
        })
    }

    /// Without the order and the pages: for counting.
    pub(super) fn whole(query: &Query) -> Result<Plan> {
        Plan::new(&Query { cursor: None, limit: 1, ..query.clone() })
    }

    /// Not before the cursor.
    pub(super) fn is_behind(&self, key: RowKey) -> bool {
        match self.after {
            Some(after) if self.newest_first => key < after,
            Some(after) => key > after,
            None => true,
        }
    }

    pub(super) fn overlaps(&self, first: i64, last: i64) -> bool {
        last >= self.from && first <= self.until
    }

    /// Of a row in memory; the cursor is left to the caller.
    pub(super) fn matches(&self, block: &Block, row: usize, scratch: &mut Vec<u8>) -> bool {
        let time = block.col(Col::Time).int(row);
        time >= self.from
            && time <= self.until
            && self.predicates.iter().all(|p| p.cols.iter().any(|c| p.matches(block.col(*c).text(row))))
            && !(self.events_only && block.col(Col::Act).text(row).is_empty())
            && self.text.as_ref().is_none_or(|t| t.is_in(block.col(Col::Raw).text(row), scratch))
    }
}

/// A text that is looked for in records.
pub(super) struct Needle(Finder<'static>);

impl Needle {
    fn new(text: &str) -> Needle {
        Needle(Finder::new(text.to_ascii_lowercase().as_bytes()).into_owned())
    }

    pub(super) fn is_in(&self, record: &[u8], scratch: &mut Vec<u8>) -> bool {
        scratch.clear();
        scratch.extend_from_slice(record);
        scratch.make_ascii_lowercase();
        self.0.find(scratch).is_some()
    }
}
