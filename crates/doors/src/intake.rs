//! The one way in: batches of records down a bounded channel, each answered when it is stored or refused.

use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, mpsc, oneshot};

/// The configured source that records came from: `edge-vpn`, or the path of a file that is followed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin(Arc<str>);

impl Origin {
    pub fn new(name: &str) -> Origin {
        Origin(Arc::from(name))
    }

    pub fn name(&self) -> &str {
        &self.0
    }
}

/// Where a record stands in the file it was read from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Place {
    /// From 1.
    pub line: u32,
    pub offset: u64,
}

/// Raw records side by side in one piece of memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    bytes: Vec<u8>,
    ends: Vec<u32>,
    /// One each, or none at all.
    places: Vec<Place>,
}

impl Records {
    pub fn push(&mut self, record: &[u8]) {
        self.bytes.extend_from_slice(record);
        self.ends.push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
    }

    /// Either every record of a batch has a place or none has.
    pub fn push_at(&mut self, record: &[u8], place: Place) {
        self.push(record);
        self.places.push(place);
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all records, where each ends, and where each stands, if that is known.
    pub fn into_parts(self) -> (Vec<u8>, Vec<u32>, Vec<Place>) {
        (self.bytes, self.ends, self.places)
    }

    /// Bytes of all records.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// What they take of the intake's memory: a record without bytes takes some as well.
    fn weight(&self) -> usize {
        self.bytes.len() + self.ends.len() * size_of::<u32>() + self.places.len() * size_of::<Place>()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Option<Place>)> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).enumerate().map(|(n, (from, to))| {
            (self.bytes.get(from as usize..*to as usize).unwrap_or_default(), self.places.get(n).copied())
        })
    }
}

/// Why records were not taken. Each protocol has its own words for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the service is busy; try again")]
    Full,
    #[error("the service is shutting down; try again")]
    Closing,
    #[error("records cannot be stored: {0}")]
    Disk(String),
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// On disk: a crash loses none of it.
    Stored,
    Refused(Refusal),
}

/// Answers the door that handed a batch over. Dropped without an answer it says that the service is closing.
#[derive(Debug)]
pub struct Ack {
    door: Option<oneshot::Sender<Receipt>>,
    /// The batch's share of the intake's memory, given back with the answer.
    _share: OwnedSemaphorePermit,
}

impl Ack {
    pub fn answer(mut self, receipt: Receipt) {
        // The peer may have gone; its records are stored all the same.
        if let Some(door) = self.door.take() {
            door.send(receipt).ok();
        }
    }
}

impl Drop for Ack {
    fn drop(&mut self) {
        if let Some(door) = self.door.take() {
            door.send(Receipt::Refused(Refusal::Closing)).ok();
        }
    }
}

/// Records of one origin.
#[derive(Debug)]
pub struct Batch {
    pub origin: Origin,
    /// Name of the door: `hec`, `syslog_tcp` …
    pub door: &'static str,
    /// Shared with the door where it tries again after a refusal.
    pub records: Arc<Records>,
    pub ack: Ack,
}

/// A record that no door could hand over: kept apart with its reason, and offered again when somebody asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    pub origin: Origin,
    pub door: &'static str,
    pub reason: String,
    pub bytes: Vec<u8>,
}

/// A file that is no sequence of lines: to be read from its path, whole, before it is answered.
#[derive(Debug)]
pub struct WholeFile {
    pub origin: Origin,
    pub door: &'static str,
    pub path: PathBuf,
    pub ack: Ack,
}

/// What comes out at the other end of the intake.
#[derive(Debug)]
pub enum Received {
    Batch(Batch),
    File(WholeFile),
    Dead(DeadLetter),
}

/// Bytes of records that may be on their way from all doors together, where nobody says otherwise.
pub const BYTES: usize = 128 << 20;

/// The doors' end of the channel; cheap to clone.
#[derive(Clone, Debug)]
pub struct Intake {
    to: mpsc::Sender<Received>,
    /// Bytes of records that are handed over and not answered: what a thousand slow connections can hold in memory is
    /// bounded here, and nowhere else.
    room: Arc<Semaphore>,
    bytes: usize,
}

impl Intake {
    /// Whether a batch would be taken now. For peers that ask before they send.
    pub fn has_room(&self) -> bool {
        self.to.capacity() > 0 && !self.to.is_closed()
    }

    /// Whether nobody is at the other end any more.
    pub fn is_closed(&self) -> bool {
        self.to.is_closed()
    }

    /// A channel of this many batches.
    pub fn channel(batches: usize) -> (Intake, mpsc::Receiver<Received>) {
        Intake::bounded(batches, BYTES)
    }

    /// A channel of this many batches and, together with those that are being stored, this many bytes.
    pub fn bounded(batches: usize, bytes: usize) -> (Intake, mpsc::Receiver<Received>) {
        let (to, from) = mpsc::channel(batches.max(1));
        let bytes = bytes.clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        (Intake { to, room: Arc::new(Semaphore::new(bytes)), bytes }, from)
    }

    /// A batch larger than all the room there is takes it all.
    fn share(&self, records: &Records) -> u32 {
        u32::try_from(records.weight().min(self.bytes)).unwrap_or(u32::MAX)
    }

    /// Hands records over and waits until they are stored. Where the channel is full it waits for room: for transports
    /// that hold their peer back by reading no more.
    pub async fn store(
        &self,
        origin: &Origin,
        door: &'static str,
        records: impl Into<Arc<Records>>,
    ) -> Receipt {
        match self.hand_over(origin, door, records).await {
            Ok(answer) => answer.await.unwrap_or(Receipt::Refused(Refusal::Closing)),
            Err(refusal) => Receipt::Refused(refusal),
        }
    }

    /// As [`Intake::store`], but a full channel is answered at once: for transports whose peer can be told to come
    /// again.
    pub async fn offer(
        &self,
        origin: &Origin,
        door: &'static str,
        records: impl Into<Arc<Records>>,
    ) -> Receipt {
        let records = records.into();
        if records.is_empty() {
            return Receipt::Stored;
        }
        let share = match self.room.clone().try_acquire_many_owned(self.share(&records)) {
            Ok(share) => share,
            Err(TryAcquireError::NoPermits) => return Receipt::Refused(Refusal::Full),
            Err(TryAcquireError::Closed) => return Receipt::Refused(Refusal::Closing),
        };
        let (batch, answer) = batch(origin, door, records, share);
        match self.to.try_send(Received::Batch(batch)) {
            Ok(()) => answer.await.unwrap_or(Receipt::Refused(Refusal::Closing)),
            Err(mpsc::error::TrySendError::Full(_)) => Receipt::Refused(Refusal::Full),
            Err(mpsc::error::TrySendError::Closed(_)) => Receipt::Refused(Refusal::Closing),
        }
    }

    /// Hands records over without waiting for the disk; the answer comes by the receiver. Lets a connection keep
    /// several batches on their way.
    pub async fn hand_over(
        &self,
        origin: &Origin,
        door: &'static str,
        records: impl Into<Arc<Records>>,
    ) -> Result<oneshot::Receiver<Receipt>, Refusal> {
        let records = records.into();
        let share = self.room.clone().acquire_many_owned(self.share(&records)).await;
        let (batch, answer) = batch(origin, door, records, share.map_err(|_| Refusal::Closing)?);
        self.to.send(Received::Batch(batch)).await.map_err(|_| Refusal::Closing)?;
        Ok(answer)
    }

    /// Hands a file over whole, and waits until what is in it is stored.
    pub async fn file(&self, origin: &Origin, door: &'static str, path: PathBuf) -> Receipt {
        let closing = Receipt::Refused(Refusal::Closing);
        // It takes no memory of the intake's.
        let Ok(share) = self.room.clone().acquire_many_owned(0).await else { return closing };
        let (ack, answer) = oneshot::channel();
        let ack = Ack { door: Some(ack), _share: share };
        let file = WholeFile { origin: origin.clone(), door, path, ack };
        match self.to.send(Received::File(file)).await {
            Ok(()) => answer.await.unwrap_or(closing),
            Err(_) => closing,
        }
    }

    /// Keeps a record that cannot be read as the protocol demands.
    pub async fn dead(&self, letter: DeadLetter) {
        // While shutting down nobody keeps it; the door has counted it.
        self.to.send(Received::Dead(letter)).await.ok();
    }
}

fn batch(
    origin: &Origin,
    door: &'static str,
    records: Arc<Records>,
    share: OwnedSemaphorePermit,
) -> (Batch, oneshot::Receiver<Receipt>) {
    let (ack, answer) = oneshot::channel();
    let ack = Ack { door: Some(ack), _share: share };
    (Batch { origin: origin.clone(), door, records, ack }, answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: &[&str]) -> Records {
        let mut records = Records::default();
        texts.iter().for_each(|t| records.push(t.as_bytes()));
        records
    }

    #[test]
    fn records_come_out_as_they_went_in() {
        let mut records = of(&["one", "", "three"]);
        let got: Vec<_> =
            records.iter().map(|(r, at)| (String::from_utf8_lossy(r).into_owned(), at)).collect();
        assert_eq!(got, [("one".to_owned(), None), (String::new(), None), ("three".to_owned(), None)]);
        assert_eq!((records.len(), records.bytes()), (3, 8));
        records = Records::default();
        records.push_at(b"x", Place { line: 7, offset: 99 });
        assert_eq!(records.iter().next(), Some((&b"x"[..], Some(Place { line: 7, offset: 99 }))));
    }

    #[tokio::test]
    async fn a_full_channel_refuses_at_once_and_stores_later() {
        let (intake, mut from) = Intake::channel(1);
        let edge = Origin::new("edge");
        let first = intake.hand_over(&edge, "hec", of(&["a"])).await.expect("room");
        assert_eq!(intake.offer(&edge, "hec", of(&["b"])).await, Receipt::Refused(Refusal::Full));
        let Some(Received::Batch(batch)) = from.recv().await else { panic!("a batch") };
        batch.ack.answer(Receipt::Stored);
        assert_eq!(first.await, Ok(Receipt::Stored));
    }

    #[tokio::test]
    async fn bytes_that_are_not_answered_are_bounded() {
        let (intake, mut from) = Intake::bounded(100, 40);
        let edge = Origin::new("edge");
        // 20 bytes and 4 for their end; then the room is too small for the same again.
        let first = intake.hand_over(&edge, "hec", of(&["twenty bytes of text"])).await.expect("room");
        let again = || of(&["twenty bytes of text"]);
        assert_eq!(intake.offer(&edge, "hec", again()).await, Receipt::Refused(Refusal::Full));
        let Some(Received::Batch(batch)) = from.recv().await else { panic!("a batch") };
        // Taken out of the channel is not stored.
        assert_eq!(intake.offer(&edge, "hec", again()).await, Receipt::Refused(Refusal::Full));
        batch.ack.answer(Receipt::Stored);
        assert_eq!(first.await, Ok(Receipt::Stored));
        // One that is larger than all the room passes alone.
        let huge = intake.hand_over(&edge, "hec", of(&["x".repeat(100).as_str()])).await.expect("room");
        assert_eq!(intake.offer(&edge, "hec", of(&["y"])).await, Receipt::Refused(Refusal::Full));
        drop(from.recv().await);
        assert_eq!(huge.await, Ok(Receipt::Refused(Refusal::Closing)));
    }

    #[tokio::test]
    async fn a_batch_that_nobody_answers_was_not_stored() {
        let (intake, mut from) = Intake::channel(1);
        let answer = intake.hand_over(&Origin::new("edge"), "hec", of(&["a"])).await.expect("room");
        drop(from.recv().await);
        assert_eq!(answer.await, Ok(Receipt::Refused(Refusal::Closing)));
        drop(from);
        let late = intake.store(&Origin::new("edge"), "hec", of(&["b"])).await;
        assert_eq!(late, Receipt::Refused(Refusal::Closing));
    }
}
