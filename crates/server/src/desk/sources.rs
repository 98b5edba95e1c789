//! Sources of records: who may write, and how what they write is read.

use super::{Doing, Fault, Stamp, Who, change, look_at_service};
use crate::app::App;
use crate::config::digest;
use portreeve_access::permit::{Object, Verb};
use portreeve_access::token::{Kind, Token};
use portreeve_report::wire::InputRead;
use portreeve_store::source::{self, Wanted};
use portreeve_store::token::{self, Holder, NewToken};
use portreeve_store::{SourceId, hex};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

/// A source as it is declared.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct SourceView {
    pub id: i64,
    pub name: String,
    /// All where empty.
    pub doors: Vec<String>,
    /// SHA-256 of client certificates, in hex.
    pub certificates: Vec<String>,
    pub zone: String,
    pub product: String,
    pub created_at: Stamp,
    pub disabled_at: Option<Stamp>,
    /// For If-Match.
    pub revision: i64,
}

impl From<source::Source> for SourceView {
    fn from(s: source::Source) -> SourceView {
        SourceView {
            id: s.id.0,
            name: s.name,
            doors: s.doors.into_iter().collect(),
            certificates: s.certificates.iter().map(|c| hex(c)).collect(),
            zone: s.zone,
            product: s.product,
            created_at: Stamp(s.created_at),
            disabled_at: s.disabled_at.map(Stamp),
            revision: s.revision,
        }
    }
}

/// What came through one door.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, JsonSchema)]
pub struct DoorView {
    pub door: String,
    pub received: u64,
    pub stored: u64,
    pub refused: u64,
    pub dead: u64,
    pub bytes: u64,
    pub turned_away: u64,
}

/// A source as it stands: one line for each that is declared or has ever spoken.
#[derive(Serialize, JsonSchema)]
pub struct SourceHealth {
    pub name: String,
    /// Null for those of the configuration file, and for files that are followed.
    pub declared: Option<SourceView>,
    /// Null: has not spoken since the service started.
    pub last_arrival: Option<Stamp>,
    /// Since the service started.
    pub doors: Vec<DoorView>,
    /// How its records were understood; null where none came.
    pub read: Option<serde_json::Value>,
}

pub fn list(app: &App, who: &Who) -> Result<Vec<SourceHealth>, Fault> {
    let declared = look_at_service(app, who, Verb::SourceRead, source::all)?;
    let none = |name: &str| SourceHealth {
        name: name.to_owned(),
        declared: None,
        last_arrival: None,
        doors: Vec::new(),
        read: None,
    };
    let mut all: BTreeMap<String, SourceHealth> = BTreeMap::new();
    for name in app.current().sources.keys() {
        all.insert(name.clone(), none(name));
    }
    for source in declared {
        let line = all.entry(source.name.clone()).or_insert_with(|| none(&source.name));
        line.declared = Some(source.into());
    }
    for (name, health) in app.health.read().unwrap_or_else(PoisonError::into_inner).iter() {
        let line = all.entry(name.clone()).or_insert_with(|| none(name));
        line.last_arrival = health.last_arrival.map(|t| Stamp(t.0));
        let read: Option<&InputRead> = health.read.as_deref();
        line.read = read.and_then(|r| serde_json::to_value(r).ok());
    }
    app.counters.each(|door, origin, counts| {
        let get = |c: &std::sync::atomic::AtomicU64| c.load(Ordering::Relaxed);
        let line = all.entry(origin.name().to_owned()).or_insert_with(|| none(origin.name()));
        line.doors.push(DoorView {
            door: door.to_owned(),
            received: get(&counts.received),
            stored: get(&counts.stored),
            refused: get(&counts.refused),
            dead: get(&counts.dead),
            bytes: get(&counts.bytes),
            turned_away: get(&counts.turned_away),
        });
    });
    Ok(all.into_values().collect())
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceInput {
    pub name: String,
    /// Names of doors such as `hec`; all where none is named.
    #[serde(default)]
    pub doors: Vec<String>,
    /// SHA-256 of client certificates, in hex.
    #[serde(default)]
    pub certificates: Vec<String>,
    /// Zone of records that name none.
    #[serde(default)]
    pub zone: String,
    /// Where records could be of several products.
    #[serde(default)]
    pub product: String,
    #[serde(default)]
    pub disabled: bool,
}

struct Checked {
    doors: BTreeSet<String>,
    certificates: Vec<[u8; 32]>,
}

impl SourceInput {
    fn checked(&self, app: &App) -> Result<Checked, Fault> {
        if !self.zone.is_empty() && jiff::tz::TimeZone::get(&self.zone).is_err() {
            return Err(Fault::invalid("zone", "is no zone; write Europe/Berlin or UTC"));
        }
        if !self.product.is_empty() && app.catalog.by_name(&self.product).is_none() {
            return Err(Fault::invalid("product", "is not one that is understood; see docs/sources.md"));
        }
        let certificates = self.certificates.iter().map(|c| digest(c)).collect::<Option<_>>();
        Ok(Checked {
            doors: self.doors.iter().cloned().collect(),
            certificates: certificates
                .ok_or_else(|| Fault::invalid("certificates", "SHA-256 in hex (64 digits) each"))?,
        })
    }

    fn wanted<'a>(&'a self, checked: &'a Checked) -> Wanted<'a> {
        Wanted {
            name: &self.name,
            doors: &checked.doors,
            certificates: &checked.certificates,
            limits: "{}",
            zone: &self.zone,
            product: &self.product,
            disabled: self.disabled,
        }
    }
}

/// A source with a token that is shown once.
#[derive(Clone, Serialize, JsonSchema)]
pub struct SourceMade {
    pub source: SourceView,
    pub secret: String,
}

pub fn create(app: &App, who: &Who, input: &SourceInput) -> Result<SourceMade, Fault> {
    let fresh = Token::generate(Kind::Ingest)?;
    let detail = serde_json::to_value(input).unwrap_or_default();
    let done =
        change(app, who, &Doing::new(Verb::SourceManage, "source").with(detail).secret(), |tx, by| {
            who.may(Verb::SourceManage, &Object::Source { id: &input.name })?;
            let checked = input.checked(app)?;
            let source = source::create(tx, &input.wanted(&checked), by.at)?;
            put_token(tx, source.id, &fresh, by)?;
            Ok(SourceMade { source: source.into(), secret: fresh.expose().to_owned() })
        })?;
    app.reload_sources()?;
    Ok(done)
}

fn put_token(
    tx: &mut portreeve_store::WriteTx<'_>,
    id: SourceId,
    fresh: &Token,
    by: portreeve_store::case::By<'_>,
) -> Result<(), portreeve_store::Error> {
    let sum = fresh.digest();
    let new = NewToken {
        hash: sum.as_bytes(),
        name: fresh.hint(),
        holder: Holder::Source(id),
        roles: &BTreeSet::new(),
        doors: &BTreeSet::new(),
        created_by: by.actor,
        // A shipper that stops in three months is a gap nobody sees; its token is revoked, and does not run out.
        expires_at: None,
    };
    token::create(tx, &new, by.at).map(|_| ())
}

pub fn alter(app: &App, who: &Who, id: i64, revision: i64, input: &SourceInput) -> Result<SourceView, Fault> {
    let object = format!("source:{id}");
    let detail = serde_json::to_value(input).unwrap_or_default();
    let done = change(app, who, &Doing::new(Verb::SourceManage, &object).with(detail), |tx, by| {
        who.may(Verb::SourceManage, &Object::Source { id: &object })?;
        let checked = input.checked(app)?;
        // Limits are not changed here.
        let limits = source::get(tx, SourceId(id))?.limits;
        let wanted = Wanted { limits: &limits, ..input.wanted(&checked) };
        Ok(SourceView::from(source::change(tx, SourceId(id), revision, &wanted, by.at)?))
    })?;
    app.reload_sources()?;
    Ok(done)
}

/// One more token, so that a shipper can be moved to it before the old one is revoked.
pub fn new_token(app: &App, who: &Who, id: i64) -> Result<SourceMade, Fault> {
    let fresh = Token::generate(Kind::Ingest)?;
    let object = format!("source:{id}");
    let doing = Doing::new(Verb::SourceManage, &object).with(serde_json::json!({ "token": "made" })).secret();
    let done = change(app, who, &doing, |tx, by| {
        who.may(Verb::SourceManage, &Object::Source { id: &object })?;
        let source = source::get(tx, SourceId(id))?;
        put_token(tx, source.id, &fresh, by)?;
        Ok(SourceMade { source: source.into(), secret: fresh.expose().to_owned() })
    })?;
    app.reload_sources()?;
    Ok(done)
}
