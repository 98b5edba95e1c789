//! Records of one origin to events, one after the other, without an end.

use crate::one::One;
use jiff::tz::TimeZone;
use portreeve_context::Tables;
use portreeve_model::case::{InputReport, SourceReport};
use portreeve_model::intern::Interner;
use portreeve_model::time::DAY_US;
use portreeve_model::{Event, EventTime, RawRef, SymbolTable};
use portreeve_sources::decode::clock::Clock;
use portreeve_sources::decode::reader::RawRecord;
use portreeve_sources::{Catalog, Parsed, Source};
use std::sync::Arc;

/// Without a new piece for so long, a record whose beginning and end are there is whole …
const ENDED_S: u64 = 5;
/// … and any other is given up as far as it came.
const ANY_S: u64 = 600;

/// What is declared of an origin.
#[derive(Clone, Default)]
pub struct Rules {
    /// Zone of stamps that name none.
    pub zone: Option<TimeZone>,
    /// Its product, where records could be of several.
    pub product: Option<&'static Source>,
    /// Year of stamps that name none, for records of long ago.
    pub year: Option<i16>,
}

/// What became of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Name of the log source; empty where none claims it.
    pub source: &'static str,
    /// Why it gave no event, in few words; `None` where it gave one.
    pub without: Option<String>,
}

/// One origin while it is read.
pub struct Reading {
    /// Its number in what its events say of themselves.
    number: u32,
    one: One,
    clock: Clock,
    names: Interner,
    /// Position in the journal of the oldest record of which pieces may be missing.
    open: Option<u64>,
}

impl Reading {
    pub fn new(
        number: u32,
        name: &str,
        tables: &Tables,
        catalog: &'static Catalog,
        rules: &Rules,
        names: &Arc<SymbolTable>,
    ) -> Reading {
        let declared = tables.log_sources().lookup(name);
        let zone = declared.and_then(|d| d.timezone.as_deref()).and_then(|z| TimeZone::get(z).ok());
        let product = declared.and_then(|d| catalog.by_name(&d.source));
        let mut clock = Clock::utc().with_year(rules.year);
        if let Some(zone) = zone.or_else(|| rules.zone.clone()) {
            clock = clock.with_zone(zone, true);
        }
        let mut one = One::new(catalog, None).named(product.or(rules.product));
        one.account.report.file = name.into();
        Reading { number, one, clock, names: Interner::new(names.clone()), open: None }
    }

    /// Names in what follows are of this table. Records in pieces hold no names.
    pub fn rename(&mut self, names: &Arc<SymbolTable>) {
        self.names = Interner::new(names.clone());
    }

    /// Records that follow arrived at this time.
    pub fn arrived(&mut self, at: EventTime) {
        // A stamp without a year belongs to the year that ends now.
        self.clock = std::mem::take(&mut self.clock).near(at.minus(366 * DAY_US), at);
        self.one.at(u64::try_from(at.unix()).unwrap_or(0));
    }

    /// What the events of the record at a position say of where it stands: in its file, or in what was received.
    pub fn place(&self, position: u64, place: Option<(u32, u64)>) -> RawRef {
        let (line, offset) = place.unwrap_or((u32::try_from(position & 0xffff_ffff).unwrap_or(0), position));
        RawRef { input: self.number, line, offset: offset & 0xffff_ffff_ffff }
    }

    /// Reads the record at a position of the journal; its events are appended. `place` is where it stands in its file, if
    /// it came out of one.
    pub fn record(
        &mut self,
        bytes: &[u8],
        position: u64,
        place: Option<(u32, u64)>,
        events: &mut Vec<Event>,
    ) -> Heard {
        let at = self.place(position, place);
        let raw = RawRecord { bytes, shown: bytes, at, too_long: false };
        let (source, parsed) = self.one.record(raw, &self.clock, &mut self.names, events);
        let without = match &parsed {
            Parsed::Events => None,
            Parsed::Fragment(_) => Some("a piece of a record".to_owned()),
            Parsed::Irrelevant(kind) => Some(kind.name().to_owned()),
            Parsed::NotMine => Some("not understood: no source claims it".to_owned()),
            Parsed::Broken(why) => Some(format!("not understood: {}", why.text())),
        };
        match (self.one.is_whole(), self.open) {
            (true, _) => self.open = None,
            (false, None) => self.open = Some(position),
            (false, Some(_)) => {}
        }
        Heard { source, without }
    }

    /// Time has passed: records in pieces that are as good as whole are given.
    pub fn pass(&mut self, now: EventTime, events: &mut Vec<Event>) {
        let now = u64::try_from(now.unix()).unwrap_or(0);
        self.one.ripe(now, [ENDED_S, ANY_S], &self.clock, &mut self.names, events);
        if self.one.is_whole() {
            self.open = None;
        }
    }

    /// The position in the journal from which on records must be read again after a restart, because pieces are open.
    pub fn open_since(&self) -> Option<u64> {
        self.open
    }

    /// What was read of it, and of each log source in it.
    pub fn report(&mut self) -> (InputReport, Vec<SourceReport>) {
        let account = self.one.so_far();
        let sources = account.sources.iter().map(|(name, a)| a.report(name)).collect();
        (account.report, sources)
    }
}
