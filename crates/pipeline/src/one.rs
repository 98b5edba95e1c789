//! Records of one input to events: frame, recognise, parse, count.

use crate::account::{InputAccount, SourceAccount};
use crate::course::NO_DAY;
use crate::received::received;
use portreeve_model::intern::Interner;
use portreeve_model::{Event, EventTime, RawRef};
use portreeve_sources::decode::clock::Clock;
use portreeve_sources::decode::frame;
use portreeve_sources::decode::join::{Joined, Joiner, Open};
use portreeve_sources::decode::reader::RawRecord;
use portreeve_sources::{Catalog, Emit, Fragment, Parsed, Recogniser, Record, Source, Why};

/// A piece of a record that another thread came upon; whoever reads the input puts pieces together, in their order.
pub(crate) struct Piece {
    source: &'static Source,
    fragment: Fragment,
    bytes: Vec<u8>,
    at: RawRef,
}

/// One input while it is read.
pub(crate) struct One {
    recogniser: Recogniser,
    joiner: Joiner,
    pub(crate) account: InputAccount,
    scratch: Vec<u8>,
    /// Where pieces are only collected: this is a part of an input.
    pieces: Option<Vec<Piece>>,
    /// Accounts that go on counting, and which was the last: a run of one product finds its own at once.
    accounts: Vec<(&'static str, SourceAccount)>,
    last: usize,
    /// Of the last event read: records that give none are counted on it.
    day: i32,
}

impl One {
    pub(crate) fn new(catalog: &'static Catalog, only: Option<&'static Source>) -> One {
        One {
            recogniser: only.map_or_else(|| Recogniser::new(catalog), Recogniser::only),
            joiner: Joiner::default(),
            account: InputAccount::default(),
            scratch: Vec::new(),
            pieces: None,
            accounts: Vec::new(),
            last: 0,
            day: NO_DAY,
        }
    }

    /// What its file is declared to hold: where several sources claim a record, it is this one's.
    pub(crate) fn named(self, source: Option<&'static Source>) -> One {
        One { recogniser: self.recogniser.named(source), ..self }
    }

    /// Reads a part of an input: pieces of records are kept for [`One::absorb`].
    pub(crate) fn part(catalog: &'static Catalog, only: Option<&'static Source>) -> One {
        One { pieces: Some(Vec::new()), ..One::new(catalog, only) }
    }

    /// What a part gave besides its events.
    pub(crate) fn into_part(mut self) -> (InputAccount, Vec<Piece>) {
        self.settle();
        self.account.clashes.extend(self.recogniser.clashes());
        self.account.day = self.day;
        (self.account, self.pieces.unwrap_or_default())
    }

    /// Takes in what the next part of the input gave.
    pub(crate) fn absorb(
        &mut self,
        (mut account, pieces): (InputAccount, Vec<Piece>),
        clock: &Clock,
        names: &mut Interner,
        events: &mut Vec<Event>,
    ) {
        account.carry(self.day);
        if account.day != NO_DAY {
            self.day = account.day;
        }
        self.account.absorb(account);
        for p in pieces {
            if let Some(joined) = self.joiner.take(p.source, p.fragment, &p.bytes, p.at) {
                self.joined(joined, clock, names, events);
            }
        }
    }

    fn count(
        &mut self,
        source: &'static str,
        parsed: &Parsed,
        events: &[Event],
        received: Option<EventTime>,
    ) {
        if self.accounts.get(self.last).is_none_or(|(name, _)| *name != source) {
            self.last = self.accounts.iter().position(|(name, _)| *name == source).unwrap_or_else(|| {
                self.accounts.push((source, SourceAccount::default()));
                self.accounts.len() - 1
            });
        }
        if let Some(event) = events.last() {
            self.day = event.time.day();
        }
        let Some((_, account)) = self.accounts.get_mut(self.last) else { return };
        account.take(parsed, self.day);
        if let (Some(event), Some(received)) = (events.last(), received) {
            account.received.compare(event.time, event.certainty, received);
        }
        for event in events {
            account.span(event.time);
            self.account.days.note(event.time);
        }
    }

    fn settle(&mut self) {
        for (name, account) in self.accounts.drain(..) {
            self.account.sources.entry(name).or_default().go_on(&account);
        }
    }

    /// Reads one record: its events are appended, its fate is counted and told, with the name of the source.
    pub(crate) fn record(
        &mut self,
        raw: RawRecord<'_>,
        clock: &Clock,
        names: &mut Interner,
        events: &mut Vec<Event>,
    ) -> (&'static str, Parsed) {
        if raw.too_long {
            let parsed = Parsed::Broken(Why::TooLong);
            self.count("", &parsed, &[], None);
            self.account.sample(raw.at.line, raw.bytes);
            return ("", parsed);
        }
        let from = events.len();
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut most = u8::MAX;
        let (mut source, parsed, fragment, received) = loop {
            let record = frame::within(raw.bytes, raw.at, clock, &mut scratch, most);
            let (source, parsed) = self.parse(&record, names, events);
            let fragment = match parsed {
                Parsed::Fragment(fragment) => source.and_then(|source| match &mut self.pieces {
                    Some(pieces) => {
                        pieces.push(Piece { source, fragment, bytes: record.raw.to_vec(), at: raw.at });
                        None
                    }
                    None => self.joiner.take(source, fragment, record.raw, raw.at),
                }),
                _ => None,
            };
            // What was inside an envelope and is nobody's may be somebody's with it.
            if parsed != Parsed::NotMine || record.depth == 0 {
                break (source, parsed, fragment, received(&record));
            }
            most = record.depth - 1;
        };
        if parsed == Parsed::NotMine {
            self.account.sample(raw.at.line, raw.bytes);
            source = None;
        }
        let name = source.map_or("", |s| s.name);
        self.count(name, &parsed, &events[from..], received);
        self.scratch = scratch;
        if let Some(joined) = fragment {
            self.joined(joined, clock, names, events);
        }
        (name, parsed)
    }

    /// For an input that does not end: wholes that are as good as complete at that time, in seconds.
    pub(crate) fn ripe(
        &mut self,
        now_s: u64,
        [ended_s, any_s]: [u64; 2],
        clock: &Clock,
        names: &mut Interner,
        events: &mut Vec<Event>,
    ) {
        self.joiner.at(now_s);
        for joined in self.joiner.ripe(now_s.saturating_sub(ended_s), now_s.saturating_sub(any_s)) {
            self.joined(joined, clock, names, events);
        }
    }

    /// Records that follow came at this time, in seconds.
    pub(crate) fn at(&mut self, now_s: u64) {
        self.joiner.at(now_s);
    }

    /// What was counted until now; counting goes on.
    pub(crate) fn so_far(&mut self) -> InputAccount {
        self.settle();
        self.account.clashes.extend(self.recogniser.clashes());
        let mut account = self.account.clone();
        account.close();
        account
    }

    /// No record in pieces waits for more of them.
    pub(crate) fn is_whole(&self) -> bool {
        self.joiner.is_empty()
    }

    fn parse(
        &mut self,
        record: &Record<'_>,
        names: &mut Interner,
        events: &mut Vec<Event>,
    ) -> (Option<&'static Source>, Parsed) {
        let Some(source) = self.recogniser.recognise(record) else { return (None, Parsed::NotMine) };
        let parsed = source.read(record, &mut Emit::new(names, events, source, record));
        (Some(source), parsed)
    }

    /// A whole put together from fragments, which were counted one by one: only its events count here.
    fn joined(&mut self, joined: Joined, clock: &Clock, names: &mut Interner, events: &mut Vec<Event>) {
        let from = events.len();
        let mut scratch = Vec::new();
        let mut record = frame::frame(&joined.bytes, joined.at, clock, &mut scratch);
        record.joined = true;
        joined.source.read(&record, &mut Emit::new(names, events, joined.source, &record));
        let account = self.account.sources.entry(joined.source.name).or_default();
        for event in &events[from..] {
            account.span(event.time);
            self.account.days.note(event.time);
        }
    }

    /// The end of the input: the sums, and the wholes that may go on in another input.
    pub(crate) fn finish(
        &mut self,
        clock: &Clock,
        names: &mut Interner,
        events: &mut Vec<Event>,
    ) -> Vec<Open> {
        self.settle();
        self.account.clashes.extend(self.recogniser.clashes());
        let (done, left) = self.joiner.end_of_input();
        for joined in done {
            self.joined(joined, clock, names, events);
        }
        if self.joiner.evicted > 0 {
            let text =
                format!("{} records in pieces were given up before they were complete", self.joiner.evicted);
            self.account.report.problems.push(text);
        }
        left
    }

    /// Wholes that inputs left unfinished: put together across them, else as far as they came. `clock_of` gives the
    /// rules of the input in which a whole began.
    pub(crate) fn unfinished(
        &mut self,
        left: Vec<Open>,
        clock_of: &mut dyn FnMut(u32) -> Clock,
        names: &mut Interner,
        events: &mut Vec<Event>,
    ) {
        let mut wholes: Vec<Joined> = left.into_iter().filter_map(|open| self.joiner.go_on(open)).collect();
        wholes.extend(self.joiner.finish());
        let mut last: Option<(u32, Clock)> = None;
        for whole in wholes {
            let input = whole.at.input;
            let clock = match last.take() {
                Some((of, clock)) if of == input => clock,
                _ => clock_of(input),
            };
            self.joined(whole, &clock, names, events);
            last = Some((input, clock));
        }
    }
}
