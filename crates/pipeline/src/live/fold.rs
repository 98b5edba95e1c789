//! Events in total order although they arrive in any: points to go back to, and folding again from there.

use super::Settings;
use crate::history::{History, HistoryError, same};
use portreeve_engine::Engine;
use portreeve_model::event::Act;
use portreeve_model::facts::Context;
use portreeve_model::time::SECOND_US;
use portreeve_model::{Event, EventTime, RawRef, Sym, SymbolTable};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where an event stands among all.
type Place = (EventTime, Act, u64, RawRef);

fn place(event: &Event) -> Place {
    (event.time, event.act, event.key, event.raw)
}

/// Points lie at least so far apart in time, or by so many events.
const POINT_US: i64 = 5 * SECOND_US;
const POINT_EVENTS: u64 = 100_000;
/// A point is kept while its neighbours' ages differ by so many times.
const SPREAD: i64 = 4;
/// Folding everything anew for records that came very late may take one part of so many of the time.
const ANEW: u32 = 10;

/// What became of the events that were taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Folded, each once.
    pub events: u64,
    pub duplicates: u64,
    pub far_future: u64,
    /// Came after something that stands behind them.
    pub late: u64,
    /// Of those, before everything that was kept hot.
    pub very_late: u64,
    /// Events that were folded again because of late ones.
    pub again: u64,
}

/// The engine as it was after an event.
struct Point<'c> {
    after: Place,
    engine: Engine<'c>,
}

pub(super) struct Fold<'c> {
    context: &'c dyn Context,
    names: Arc<SymbolTable>,
    settings: Settings,
    engine: Engine<'c>,
    /// The last event that was folded.
    last: Option<Place>,
    /// From the oldest to the newest.
    points: Vec<Point<'c>>,
    since_point: u64,
    /// Every event from `floor` on.
    at_hand: BTreeMap<Place, Event>,
    floor: EventTime,
    unsaved: Vec<Event>,
    touched: BTreeSet<u32>,
    /// While something is folded again: the events that are new among it.
    touching: Option<BTreeSet<Place>>,
    counts: Counts,
    /// Events were taken that are not folded, because they lie before every point.
    behind: bool,
    /// When everything was folded anew last, and how long that took.
    anew: Option<(Instant, Duration)>,
}

impl<'c> Fold<'c> {
    pub(super) fn new(context: &'c dyn Context, names: Arc<SymbolTable>, settings: Settings) -> Self {
        Fold {
            context,
            engine: Engine::new(context, names.clone()),
            names,
            settings,
            last: None,
            points: Vec::new(),
            since_point: 0,
            at_hand: BTreeMap::new(),
            floor: EventTime::MIN,
            unsaved: Vec::new(),
            touched: BTreeSet::new(),
            touching: None,
            counts: Counts::default(),
            behind: false,
            anew: None,
        }
    }

    pub(super) fn engine(&self) -> &Engine<'c> {
        &self.engine
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// Events that are not on disk.
    pub(super) fn unsaved(&mut self) -> &mut Vec<Event> {
        &mut self.unsaved
    }

    /// Principals whose dossiers were written since the last call.
    pub(super) fn take_touched(&mut self) -> Vec<Sym> {
        self.gather();
        std::mem::take(&mut self.touched).into_iter().map(Sym).collect()
    }

    fn gather(&mut self) {
        self.touched.extend(self.engine.take_touched().into_iter().map(|s| s.0));
    }

    /// Forgets what was folded and folds everything there is.
    pub(super) fn begin_anew(&mut self, history: &mut History) -> Result<(), HistoryError> {
        let begun = Instant::now();
        self.save_all(history)?;
        self.engine = Engine::new(self.context, self.names.clone());
        self.engine.take_touched();
        (self.last, self.points, self.since_point) = (None, Vec::new(), 0);
        let before = self.counts.events;
        self.counts.events = 0;
        self.fold_from(None, history)?;
        self.counts.again += before.min(self.counts.events);
        if self.at_hand.is_empty() {
            self.floor = self.last.map_or(EventTime::MIN, |l| l.0.plus(1));
        }
        self.behind = false;
        self.anew = Some((Instant::now(), begun.elapsed()));
        Ok(())
    }

    /// Something was taken that is not folded yet.
    pub(super) fn is_behind(&self) -> bool {
        self.behind
    }

    /// Folds what came too late for every point, where `now` says so or enough time has passed since the last time.
    pub(super) fn catch_up(&mut self, now: bool, history: &mut History) -> Result<bool, HistoryError> {
        let due = self.anew.is_none_or(|(at, took)| at.elapsed() >= took * ANEW);
        if !self.behind || !(now || due) {
            return Ok(false);
        }
        self.begin_anew(history)?;
        Ok(true)
    }

    /// Takes events; true where at least one of them is new. What was not yet saved is, where it must be read again.
    pub(super) fn take(
        &mut self,
        events: &mut Vec<Event>,
        now: EventTime,
        history: &mut History,
    ) -> Result<bool, HistoryError> {
        let horizon = now.plus(self.settings.future_us);
        let mut fresh: Vec<Event> = Vec::with_capacity(events.len());
        let mut old: Vec<Event> = Vec::new();
        for event in events.drain(..) {
            if event.time > horizon {
                self.counts.far_future += 1;
            } else if event.time < self.floor {
                old.push(event);
            } else if self.is_known(&event) {
                self.counts.duplicates += 1;
            } else {
                self.at_hand.insert(place(&event), event.clone());
                fresh.push(event);
            }
        }
        fresh.extend(self.unknown(old, history)?);
        if fresh.is_empty() {
            return Ok(false);
        }
        self.unsaved.extend(fresh.iter().cloned());
        let (last, hot) = (self.last, self.points.first().map(|p| p.after));
        let late = |e: &Event| last.is_some_and(|last| place(e) < last);
        self.counts.late += fresh.iter().filter(|e| late(e)).count() as u64;
        fresh.retain(|e| {
            let very = late(e) && hot.is_none_or(|hot| place(e) < hot);
            self.counts.very_late += u64::from(very);
            self.behind |= very;
            !very
        });
        match (fresh.iter().map(place).min(), last) {
            (None, _) => {}
            (Some(first), Some(last)) if first < last => self.go_back(first, &fresh, history)?,
            (Some(_), last) => {
                if let Some(last) = last
                    && self.points.last().is_none_or(|p| last.0.since(p.after.0) >= POINT_US)
                {
                    self.point(last);
                }
                fresh.sort_by(crate::runs::order);
                let end = fresh.last().map_or(EventTime::MIN, |e| e.time);
                fresh.iter().for_each(|e| self.push(e, end));
            }
        }
        self.catch_up(false, history)?;
        self.make_room();
        Ok(true)
    }

    fn is_known(&self, event: &Event) -> bool {
        let (time, act, key, _) = place(event);
        let least = (time, act, key, RawRef::default());
        self.at_hand
            .range(least..)
            .take_while(|((t, a, k, _), _)| (*t, *a, *k) == (time, act, key))
            .any(|(_, known)| same(known, event))
    }

    /// Of events that lie before what is at hand, those that the history does not hold.
    fn unknown(&mut self, mut old: Vec<Event>, history: &mut History) -> Result<Vec<Event>, HistoryError> {
        old.sort_by(crate::runs::order);
        let asked = old.len();
        old.dedup_by(|a, b| same(a, b));
        self.counts.duplicates += (asked - old.len()) as u64;
        let (Some(first), Some(last)) = (old.first().map(|e| e.time), old.last().map(|e| e.time)) else {
            return Ok(old);
        };
        self.save_all(history)?;
        let mut known = vec![false; old.len()];
        for event in history.since(first)? {
            let event = event.map_err(|error| history.wrong(error))?;
            if event.time > last {
                break;
            }
            let from = old.partition_point(|e| e.order() < event.order());
            for (n, e) in old.iter().enumerate().skip(from).take_while(|(_, e)| e.order() == event.order()) {
                known[n] |= same(e, &event);
            }
        }
        let before = old.len();
        let mut known = known.into_iter();
        old.retain(|_| !known.next().unwrap_or(false));
        self.counts.duplicates += (before - old.len()) as u64;
        Ok(old)
    }

    fn save_all(&mut self, history: &mut History) -> Result<(), HistoryError> {
        let upto = history.upto();
        history.append(&mut self.unsaved, upto)
    }

    /// Folds the next event; `end` is the time of the last that is known.
    fn push(&mut self, event: &Event, end: EventTime) {
        self.engine.push(event);
        self.counts.events += 1;
        self.since_point += 1;
        let here = place(event);
        match &self.touching {
            Some(fresh) if !fresh.contains(&here) => self.engine.forget_touched(),
            Some(_) => self.gather(),
            None => {}
        }
        self.last = Some(here);
        if self.since_point >= POINT_EVENTS {
            let apart = self.points.last().map_or(i64::MAX, |p| event.time.since(p.after.0));
            let age = end.since(event.time);
            if age <= self.settings.kept_hot_us && apart >= age / SPREAD {
                self.point(here);
            }
        }
    }

    /// Remembers the engine as it is now, after the event that stands there.
    fn point(&mut self, after: Place) {
        self.gather();
        self.points.push(Point { after, engine: self.engine.clone() });
        self.since_point = 0;
        self.thin(after.0);
    }

    /// Keeps points the farther apart, the farther back they are.
    fn thin(&mut self, now: EventTime) {
        let hot = now.minus(self.settings.kept_hot_us);
        let age = |p: &Point<'_>| now.since(p.after.0).max(1);
        let mut n = self.points.len().saturating_sub(2);
        while n > 0 {
            // The one between two is needed only where its neighbours are too far apart.
            let (older, newer) = (age(&self.points[n - 1]), age(&self.points[n + 1]));
            if older < newer.saturating_mul(SPREAD) {
                self.points.remove(n);
            }
            n -= 1;
        }
        while self.points.len() > 1 && self.points[1].after.0 < hot {
            self.points.remove(0);
        }
    }

    /// Goes back to a point before `first`, and folds again what comes after, with what is new among it. There is such a
    /// point. Only whom the new events touch is touched: others were judged by the same events before, and where the new
    /// ones change something for them, they are due with everybody.
    fn go_back(&mut self, first: Place, fresh: &[Event], history: &mut History) -> Result<(), HistoryError> {
        self.gather();
        self.points.retain(|p| p.after < first);
        let Some(point) = self.points.last() else { return self.begin_anew(history) };
        let from = point.after;
        self.engine = point.engine.clone();
        self.engine.take_touched();
        (self.last, self.since_point) = (Some(from), 0);
        if from.0 < self.floor {
            self.save_all(history)?;
        }
        let before = self.counts.events;
        self.touching = Some(fresh.iter().map(place).collect());
        let folded = self.fold_from(Some(from), history);
        self.touching = None;
        folded?;
        let fresh = fresh.len() as u64;
        self.counts.again += (self.counts.events - before).saturating_sub(fresh);
        self.counts.events = before + fresh;
        Ok(())
    }

    /// Folds everything after a place.
    fn fold_from(&mut self, from: Option<Place>, history: &History) -> Result<(), HistoryError> {
        let end = self.at_hand.keys().next_back().map(|p| p.0).or(history.bounds().map(|b| b.1));
        let end = end.unwrap_or(EventTime::MIN);
        if from.is_none_or(|f| f.0 < self.floor) {
            let start = from.map_or(EventTime::MIN, |f| f.0);
            for event in history.since(start)? {
                let event = event.map_err(|error| history.wrong(error))?;
                if event.time >= self.floor && !self.at_hand.is_empty() {
                    break;
                }
                if from.is_none_or(|f| place(&event) > f) {
                    self.push(&event, end);
                }
            }
        }
        // Lent out meanwhile: folding asks nothing of it.
        let at_hand = std::mem::take(&mut self.at_hand);
        let rest = match from {
            Some(from) => at_hand.range((Bound::Excluded(from), Bound::Unbounded)),
            None => at_hand.range(..),
        };
        rest.for_each(|(_, e)| self.push(e, end));
        self.at_hand = at_hand;
        Ok(())
    }

    /// Drops the oldest events at hand that are on disk by now.
    fn make_room(&mut self) {
        if self.at_hand.len() <= self.settings.events_at_hand {
            return;
        }
        let many = self.at_hand.len() - self.settings.events_at_hand / 2;
        if let Some(floor) = self.at_hand.keys().nth(many).map(|p| p.0) {
            self.floor = floor;
            self.at_hand = self.at_hand.split_off(&(floor, Act::Lease, 0, RawRef::default()));
        }
    }
}
