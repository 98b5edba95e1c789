//! A request's body: unpacked as it comes, within the source's limits and the memory that all requests share.

use super::admit::Visit;
use super::{Http, No};
use crate::counters::DoorCounts;
use crate::intake::Refusal;
use crate::unpack::{Coding, Fault, Unpack};
use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, EXPECT};
use axum::http::request::Parts;
use http_body_util::BodyExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

/// Larger bodies than this are never held, whatever the limits say: records count their bytes in 32 bits, and quoting
/// may make six bytes of one.
const MAX_UNPACKED: usize = 512 << 20;

/// Bytes of a request that is refused which are still read, so that its peer comes to read the answer.
const DISCARD_BYTES: usize = 8 << 20;
const DISCARD: Duration = Duration::from_secs(5);
/// Of those who were not let in.
const STRANGER_BYTES: usize = 64 << 10;
const STRANGER: Duration = Duration::from_secs(1);

/// Larger bodies are cut on a thread of their own, or other connections would wait.
const ASIDE_BYTES: usize = 256 << 10;

/// The memory that the bodies of all requests under way may take together.
#[derive(Clone, Debug)]
pub struct Memory {
    kib: Arc<Semaphore>,
    all: usize,
}

impl Memory {
    pub fn new(bytes: usize) -> Memory {
        let all = (bytes >> 10).clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        Memory { kib: Arc::new(Semaphore::new(all)), all }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Memory::new(512 << 20)
    }
}

impl Http {
    /// The body, unpacked.
    pub(crate) async fn body(
        &self,
        visit: &mut Visit,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Vec<u8>, No> {
        let mut codings = headers.get_all(CONTENT_ENCODING).iter();
        let coding = match (codings.next(), codings.next()) {
            (None, _) => Some(Coding::Identity),
            (Some(one), None) => one.to_str().ok().and_then(Coding::of),
            _ => None,
        };
        let Some(coding) = coding else {
            discard(body).await;
            return Err(No::Coding);
        };
        let length = headers.get(CONTENT_LENGTH).and_then(|l| l.to_str().ok()?.parse::<usize>().ok());
        if length.is_some_and(|l| l > visit.admitted.limits.request_bytes) {
            self.too_large(visit);
            if !headers.contains_key(EXPECT) {
                discard(body).await;
            }
            return Err(No::TooLarge);
        }
        self.unpacked(visit, coding, body).await
    }

    /// As [`Http::body`], where the coding is known.
    pub(crate) async fn unpacked(
        &self,
        visit: &mut Visit,
        coding: Coding,
        mut body: Body,
    ) -> Result<Vec<u8>, No> {
        let limits = visit.admitted.limits.clone();
        let most = limits.unpacked_bytes.min(MAX_UNPACKED);
        let mut unpack = Unpack::new(coding, most).map_err(|_| No::Damaged)?;
        let idle = Duration::from_secs(self.options.body_idle_s.max(1));
        let until = Instant::now() + Duration::from_secs(self.options.body_s.max(1));
        let mut packed = 0_usize;
        loop {
            let wait = idle.min(until.saturating_duration_since(Instant::now()));
            let frame = match timeout(wait, body.frame()).await {
                Err(_) => return Err(No::TooSlow),
                Ok(None) => break,
                Ok(Some(Err(_))) => return Err(No::BrokenOff),
                Ok(Some(Ok(frame))) => frame,
            };
            let Ok(piece) = frame.into_data() else { continue };
            DoorCounts::add(&visit.counts.bytes, piece.len());
            packed += piece.len();
            let fed = if packed > limits.request_bytes { Err(Fault::TooLarge) } else { unpack.feed(&piece) };
            if let Err(fault) = fed {
                let no = self.not_unpacked(visit, fault, unpack.so_far()).await;
                drop(unpack);
                discard(body).await;
                return Err(no);
            }
            if !self.hold(visit, unpack.so_far().len()) {
                drop(unpack);
                discard(body).await;
                return Err(No::Refused(Refusal::Full));
            }
        }
        match unpack.finish() {
            Ok(bytes) => Ok(bytes),
            Err((fault, so_far)) => Err(self.not_unpacked(visit, fault, &so_far).await),
        }
    }

    /// Counts a body that is too large, and keeps what came out of a damaged one.
    pub(crate) async fn not_unpacked(&self, visit: &Visit, fault: Fault, so_far: &[u8]) -> No {
        match fault {
            Fault::TooLarge => {
                self.too_large(visit);
                No::TooLarge
            }
            Fault::Damaged => {
                self.bury(visit, fault.to_string(), so_far).await;
                No::Damaged
            }
        }
    }

    /// Takes a share of the memory for this many bytes, and as much again for what is made of them. A body that is
    /// larger than all of it takes it all, when it is alone.
    pub(crate) fn hold(&self, visit: &mut Visit, bytes: usize) -> bool {
        let wants = (bytes.div_ceil(1 << 10) * 2).min(self.memory.all);
        let more = wants.saturating_sub(visit.held.as_ref().map_or(0, |held| held.num_permits()));
        let Ok(more) = u32::try_from(more) else { return false };
        if more == 0 {
            return true;
        }
        let Ok(permit) = self.memory.kib.clone().try_acquire_many_owned(more) else { return false };
        match &mut visit.held {
            Some(held) => held.merge(permit),
            none => *none = Some(permit),
        }
        true
    }

    /// How many records it would have been nobody knows: it counts as one.
    fn too_large(&self, visit: &Visit) {
        DoorCounts::add(&visit.counts.received, 1);
        DoorCounts::add(&visit.counts.refused, 1);
    }
}

/// The body of a request that may be answered before it is read.
pub(crate) struct Unread {
    body: Option<Body>,
    waits: bool,
}

impl Unread {
    pub(crate) fn new(parts: &Parts, body: Body) -> Unread {
        Unread { body: Some(body), waits: parts.headers.contains_key(EXPECT) }
    }

    /// To read it.
    pub(crate) fn take(&mut self) -> Body {
        self.body.take().unwrap_or_default()
    }

    /// Called with the answer at hand. Who asked whether to send has not sent, and goes without.
    pub(crate) async fn end(self) {
        if let Some(body) = self.body.filter(|_| !self.waits) {
            read_off(body, STRANGER_BYTES, STRANGER).await;
        }
    }
}

/// Reads some of what nobody wants: a connection that is closed with unread bytes is reset, and the answer lost.
pub(crate) async fn discard(body: Body) {
    read_off(body, DISCARD_BYTES, DISCARD).await;
}

async fn read_off(mut body: Body, bytes: usize, time: Duration) {
    let mut left = bytes;
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, bytes::Bytes::len));
            if left == 0 {
                break;
            }
        }
    };
    timeout(time, reading).await.ok();
}

/// Runs the cutting of a body this large where it holds nobody up.
pub(crate) async fn aside<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal> {
    if bytes < ASIDE_BYTES {
        return Ok(work());
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done),
        Err(e) if e.is_panic() => std::panic::resume_unwind(e.into_panic()),
        Err(_) => Err(Refusal::Closing),
    }
}
