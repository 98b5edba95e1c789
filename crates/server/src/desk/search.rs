//! Searches over all records.

use super::stamp::moment;
use super::{Fault, Stamp, Who, note_denied};
use crate::app::App;
use portreeve_access::permit::{Object, Verb};
use portreeve_lake::{Fault as LakeFault, Field, Lake, Query, Row};
use portreeve_model::{EventTime, Ip};
use portreeve_store::audit::Outcome;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SearchInput {
    pub from: Option<String>,
    /// Before this time.
    pub to: Option<String>,
    /// An account, with or without its realm.
    pub user: Option<String>,
    /// Where from, through which tunnel address, or where to.
    pub address: Option<String>,
    pub host: Option<String>,
    /// The gateway or server that wrote the record, by its name there.
    pub gateway: Option<String>,
    pub device: Option<String>,
    pub session: Option<String>,
    pub source: Option<String>,
    pub origin: Option<String>,
    pub act: Option<String>,
    pub outcome: Option<String>,
    /// Somewhere in the record.
    pub text: Option<String>,
    pub events_only: Option<bool>,
    /// 1 to 1,000; 100 where nothing is said.
    pub limit: Option<usize>,
    /// `next` of the page before.
    pub after: Option<String>,
    pub oldest_first: Option<bool>,
}

#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct SearchPage {
    /// One event, or one record that gave none, each; fields without content are left out.
    pub rows: Vec<Map<String, Value>>,
    pub next: Option<String>,
    /// Rows whose columns were read.
    pub looked_at: usize,
}

fn shown(row: &Row) -> Map<String, Value> {
    let fields = row.fields().filter_map(|(name, field)| {
        let value = match field {
            Field::Null | Field::Text("") => return None,
            Field::Moment(time) => Value::from(Stamp(time.0).to_string()),
            // 64 bits: as a JSON number it would be rounded by many who read it.
            Field::Number(n) if name == "key" => Value::from(n.to_string()),
            Field::Number(n) => Value::from(n),
            Field::Real(r) => Value::from(r),
            Field::Text(text) => Value::from(text),
            Field::Bytes(bytes) => Value::from(String::from_utf8_lossy(bytes)),
        };
        Some((name.to_owned(), value))
    });
    fields.collect()
}

pub fn search(app: &App, who: &Who, input: &SearchInput) -> Result<SearchPage, Fault> {
    let mut asked = serde_json::to_value(input).unwrap_or_default();
    if let Some(fields) = asked.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    let query = query(input)?;
    who.may(Verb::SearchRun, &Object::Service).or_else(|fault| {
        let refused = Err(fault);
        note_denied(app, who, Verb::SearchRun, "service", &refused);
        refused
    })?;
    // What somebody looked for belongs to the audit as well as that they looked.
    app.store.audit_soon(who.entry(Verb::SearchRun, "service", Outcome::Done, &asked))?;
    let page = answer(&app.lake, &query)?;
    tracing::debug!(rows = page.rows.len(), "records searched");
    Ok(page)
}

/// As [`search`], for who has the files in hand: the command line.
pub fn over(lake: &Lake, input: &SearchInput) -> Result<SearchPage, Fault> {
    answer(lake, &query(input)?)
}

fn query(input: &SearchInput) -> Result<Query, Fault> {
    let some = |text: &Option<String>| text.clone().filter(|t| !t.trim().is_empty());
    let moment =
        |field, text: &Option<String>| Ok::<_, Fault>(moment(field, text.as_deref())?.map(EventTime));
    Ok(Query {
        from: moment("from", &input.from)?,
        to: moment("to", &input.to)?,
        user: some(&input.user),
        address: match some(&input.address) {
            Some(text) => match Ip::parse(text.trim().as_bytes()).some() {
                Some(ip) => Some(ip),
                None => return Err(Fault::invalid("address", "is no IP address")),
            },
            None => None,
        },
        host: some(&input.host),
        observer: some(&input.gateway),
        device: some(&input.device),
        session: some(&input.session),
        source: some(&input.source),
        origin: some(&input.origin),
        act: some(&input.act),
        outcome: some(&input.outcome),
        text: some(&input.text),
        events_only: input.events_only.unwrap_or(false),
        limit: input.limit.unwrap_or(100).clamp(1, 1_000),
        cursor: match some(&input.after) {
            Some(text) => Some(text.parse().map_err(wrong)?),
            None => None,
        },
        newest_first: !input.oldest_first.unwrap_or(false),
    })
}

fn answer(lake: &Lake, query: &Query) -> Result<SearchPage, Fault> {
    let page = lake.search(query).map_err(wrong)?;
    Ok(SearchPage {
        rows: page.rows.iter().map(shown).collect(),
        next: page.next.map(|n| n.to_string()),
        looked_at: page.looked.rows,
    })
}

fn wrong(fault: LakeFault) -> Fault {
    match fault {
        LakeFault::Query(why) => Fault::invalid("query", why),
        other => Fault::Inside(other.to_string()),
    }
}
