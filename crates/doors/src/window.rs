//! The batches that a door has handed over and that are not answered yet: a few, in order.
//!
//! For peers that cannot be told to come again (a syslog sender, a file): what is refused for want of disk is kept
//! here and handed over again until it is stored or the service ends. Meanwhile the door reads no more, which holds
//! its peer back.

use crate::counters::DoorCounts;
use crate::door::{DoorContext, Source};
use crate::intake::{Intake, Receipt, Records, Refusal};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Batches that one connection or file may have on their way.
pub(crate) const BATCHES: usize = 4;

/// How long a refused batch waits before it is handed over again.
const AGAIN: Duration = Duration::from_secs(1);

pub(crate) struct Window<M> {
    intake: Intake,
    shutdown: CancellationToken,
    bound: usize,
    waiting: VecDeque<Waiting<M>>,
}

struct Waiting<M> {
    source: Source,
    records: Arc<Records>,
    /// `None` where it has to be handed over again.
    answer: Option<oneshot::Receiver<Receipt>>,
    /// Why it was, and when it is handed over again.
    refused: Option<(Refusal, Instant)>,
    mark: M,
}

impl<M> Waiting<M> {
    async fn hand_over(&mut self, intake: &Intake) {
        match intake.hand_over(&self.source.origin, self.source.door, self.records.clone()).await {
            Ok(answer) => self.answer = Some(answer),
            Err(refusal) => self.refused = Some((refusal, Instant::now())),
        }
    }
}

/// Never ends where there is none.
async fn hand_over<M>(waiting: Option<&mut Waiting<M>>, intake: &Intake) {
    match waiting {
        // The end of the service is seen when it has become the oldest.
        Some(Waiting { refused: Some((Refusal::Closing, _)), .. }) | None => std::future::pending().await,
        Some(waiting) => waiting.hand_over(intake).await,
    }
}

/// What became of the oldest batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Settled<M> {
    Stored(M),
    /// The service ends, and it is not stored.
    GivenUp(M),
}

impl<M> Window<M> {
    pub(crate) fn new(context: &DoorContext, bound: usize) -> Window<M> {
        let (intake, shutdown) = (context.intake.clone(), context.shutdown.clone());
        Window { intake, shutdown, bound, waiting: VecDeque::new() }
    }

    pub(crate) fn has_room(&self) -> bool {
        self.waiting.len() < self.bound
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What came with the batches that are not answered, the oldest first.
    pub(crate) fn marks(&self) -> impl Iterator<Item = &M> {
        self.waiting.iter().map(|w| &w.mark)
    }

    /// Takes a batch, to be handed over in its turn by [`Window::next`]. `mark` comes back with the answer.
    pub(crate) fn push(&mut self, source: &Source, records: Records, mark: M) {
        DoorCounts::add(&source.counts.received, records.len());
        DoorCounts::add(&source.counts.bytes, records.bytes());
        let answer = records.is_empty().then(|| {
            // Nothing to store, but its mark has its turn.
            let (ack, answer) = oneshot::channel();
            ack.send(Receipt::Stored).ok();
            answer
        });
        let (source, records) = (source.clone(), Arc::new(records));
        self.waiting.push_back(Waiting { source, records, answer, refused: None, mark });
    }

    /// What became of the oldest; never ends while there is none. Meanwhile it hands over what was not handed over yet,
    /// so it is to be waited for whenever there is nothing else to do. Nothing is lost when it is dropped half-way.
    pub(crate) async fn next(&mut self) -> Settled<M> {
        loop {
            let mut waiting = self.waiting.iter_mut();
            let Some(oldest) = waiting.next() else { return std::future::pending().await };
            let Some(answer) = &mut oldest.answer else {
                match &oldest.refused {
                    Some((Refusal::Closing, _)) => return Settled::GivenUp(self.give_up()),
                    Some(_) if self.shutdown.is_cancelled() => return Settled::GivenUp(self.give_up()),
                    Some((_, again)) => {
                        tokio::select! {
                            () = tokio::time::sleep_until(*again) => {}
                            () = self.shutdown.cancelled() => continue,
                        }
                    }
                    None => {}
                }
                oldest.hand_over(&self.intake).await;
                continue;
            };
            let unsent = waiting.find(|w| w.answer.is_none());
            let receipt = tokio::select! {
                biased;
                receipt = answer => receipt.unwrap_or(Receipt::Refused(Refusal::Closing)),
                () = hand_over(unsent, &self.intake) => continue,
            };
            match receipt {
                Receipt::Stored => {
                    if oldest.refused.is_some() {
                        oldest.source.counts.says(None);
                    }
                    DoorCounts::add(&oldest.source.counts.stored, oldest.records.len());
                    let done = self.waiting.pop_front().expect("the oldest was just looked at");
                    return Settled::Stored(done.mark);
                }
                Receipt::Refused(refusal) => {
                    if oldest.refused.is_none() && refusal != Refusal::Closing {
                        let (door, origin) = (oldest.source.door, oldest.source.origin.name());
                        tracing::warn!(door, origin, %refusal, "kept, and handed over again");
                    }
                    oldest.source.counts.says(Some(refusal.to_string()));
                    oldest.refused = Some((refusal, Instant::now() + AGAIN));
                    oldest.answer = None;
                }
            }
        }
    }

    /// Counts the oldest as refused.
    fn give_up(&mut self) -> M {
        let lost = self.waiting.pop_front().expect("there is an oldest one");
        DoorCounts::add(&lost.source.counts.refused, lost.records.len());
        lost.mark
    }

    /// Waits until all is answered. True where all of it is stored.
    pub(crate) async fn drain(&mut self, mut stored: impl FnMut(M)) -> bool {
        let mut all = true;
        while !self.is_empty() {
            match self.next().await {
                Settled::Stored(mark) => stored(mark),
                Settled::GivenUp(_) => all = false,
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::Counters;
    use crate::gate::{Admitted, Gate, Limits};
    use crate::intake::{Batch, Origin, Received};
    use std::sync::atomic::Ordering;
    use tokio::sync::mpsc;

    struct Nobody;

    impl Gate for Nobody {
        fn token(&self, _: &'static str, _: &[u8]) -> Option<Admitted> {
            None
        }

        fn certificate(&self, _: &'static str, _: &[u8; 32]) -> Option<Admitted> {
            None
        }
    }

    fn start() -> (DoorContext, Source, mpsc::Receiver<Received>) {
        let (intake, from) = Intake::channel(8);
        let context = DoorContext {
            intake,
            gate: Arc::new(Nobody),
            counters: Counters::default(),
            state_dir: std::env::temp_dir(),
            shutdown: CancellationToken::new(),
        };
        let admitted = Admitted { origin: Origin::new("edge"), limits: Arc::new(Limits::default()) };
        let source = Source::new(&context, "syslog_tcp", admitted);
        (context, source, from)
    }

    fn one(text: &str) -> Records {
        let mut records = Records::default();
        records.push(text.as_bytes());
        records
    }

    async fn batch(from: &mut mpsc::Receiver<Received>) -> Batch {
        match from.recv().await {
            Some(Received::Batch(batch)) => batch,
            other => panic!("no batch: {other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_disk_refuses_comes_again() {
        let (context, source, mut from) = start();
        let mut window = Window::new(&context, 2);
        window.push(&source, one("a"), 1);
        window.push(&source, one("b"), 2);
        assert!(!window.has_room());
        let server = tokio::spawn(async move {
            batch(&mut from).await.ack.answer(Receipt::Refused(Refusal::Disk("no space left".into())));
            batch(&mut from).await.ack.answer(Receipt::Stored);
            let again = batch(&mut from).await;
            assert_eq!(again.records.iter().next().map(|r| r.0.to_vec()), Some(b"a".to_vec()));
            again.ack.answer(Receipt::Stored);
        });
        // Dropped half-way, as a select does, nothing is lost.
        let brief = tokio::time::timeout(Duration::from_millis(10), window.next());
        assert!(brief.await.is_err());
        assert!(source.counts.trouble().is_some_and(|t| t.contains("no space left")));
        assert_eq!(window.next().await, Settled::Stored(1));
        assert_eq!(source.counts.trouble(), None);
        assert_eq!(window.next().await, Settled::Stored(2));
        assert_eq!(source.counts.stored.load(Ordering::Relaxed), 2);
        server.await.expect("the other end");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_stored_at_the_end_is_counted_as_refused() {
        let (context, source, from) = start();
        let mut window = Window::new(&context, 4);
        window.push(&source, one("a"), ());
        drop(from);
        window.push(&source, one("b"), ());
        assert!(!window.drain(|()| panic!("nothing is stored")).await);
        let count = |c: &std::sync::atomic::AtomicU64| c.load(Ordering::Relaxed);
        assert_eq!((count(&source.counts.received), count(&source.counts.refused)), (2, 2));
    }
}
