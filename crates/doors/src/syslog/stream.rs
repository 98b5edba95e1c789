//! One connection of syslog over TCP or TLS: read, cut, hand over.

use crate::door::{DoorContext, Source};
use crate::intake::Records;
use crate::pace::Pace;
use crate::syslog::frame::{Cutter, Framing, Piece};
use crate::syslog::too_long;
use crate::window::{BATCHES, Settled, Window};
use bytes::{Buf, BytesMut};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, sleep_until};

/// A batch is handed over when it has this many records or bytes …
pub(crate) const BATCH_RECORDS: usize = 2_000;
pub(crate) const BATCH_BYTES: usize = 1 << 20;
/// … or this long after its first record.
pub(crate) const LINGER: Duration = Duration::from_millis(5);

/// A connection's buffer begins small, as most are quiet, and grows with what comes.
const SMALL: usize = 16 << 10;
const LARGE: usize = 256 << 10;

/// A message that was begun must be whole by then. Who sends a byte now and then must not hold a connection for ever.
const UNFINISHED: Duration = Duration::from_secs(60);
/// At the end of the service: what is on its way when nobody knows of the end yet.
const LAST_READ: Duration = Duration::from_millis(100);
const LAST_READS: Duration = Duration::from_secs(2);

pub(crate) async fn serve(
    mut io: impl AsyncRead + Unpin,
    source: &Source,
    framing: Framing,
    context: &DoorContext,
) {
    let limits = &source.limits;
    let mut cutter = Cutter::new(framing, limits.record_bytes, limits.request_bytes);
    let mut window: Window<()> = Window::new(context, BATCHES);
    let mut pace = Pace::new(limits.records_per_s);
    let mut resume: Option<Instant> = None;
    let mut buffer = BytesMut::with_capacity(SMALL);
    let mut size = SMALL;
    let mut records = Records::default();
    let mut since = Instant::now();
    let mut begun: Option<Instant> = None;
    // Reasons and beginnings of what is no record.
    let mut dead: Vec<(String, Vec<u8>)> = Vec::new();
    // Set at the end of the service: when to read no more.
    let mut last: Option<(Instant, Instant)> = None;
    loop {
        let reading = window.has_room() && resume.is_none();
        tokio::select! {
            biased;
            () = context.shutdown.cancelled(), if last.is_none() => {
                let now = Instant::now();
                last = Some((now + LAST_READ, now + LAST_READS));
                continue;
            }
            settled = window.next() => {
                if settled == Settled::GivenUp(()) {
                    break;
                }
                continue;
            }
            () = sleep_until(since + LINGER), if !records.is_empty() && window.has_room() => {
                window.push(source, std::mem::take(&mut records), ());
                if buffer.is_empty() && size > SMALL {
                    (buffer, size) = (BytesMut::with_capacity(SMALL), SMALL);
                }
                continue;
            }
            () = sleep_until(resume.unwrap_or(since)), if resume.is_some() => {
                resume = None;
                continue;
            }
            () = sleep_until(begun.unwrap_or(since) + UNFINISHED), if reading && begun.is_some() => {
                dead.push((format!("not finished within {} s; the connection was closed", UNFINISHED.as_secs()), take(&mut buffer)));
                break;
            }
            () = sleep_until(last.map_or(since, |(next, all)| next.min(all))), if last.is_some() => break,
            read = io.read_buf(&mut buffer), if reading => match read {
                // A reset is an end as well; what came before it is here.
                Ok(0) | Err(_) => {
                    let rest = cutter.end(&buffer, |piece| if let Piece::Record(r) = piece { records.push(r) });
                    if let Some(rest) = rest {
                        dead.push(("the connection ended in the middle of it".into(), rest.to_vec()));
                    }
                    buffer.clear();
                    break;
                }
                Ok(_) => {}
            },
        }
        let full = buffer.len() == buffer.capacity();
        let before = records.len();
        if records.is_empty() {
            since = Instant::now();
        }
        let cut = cutter.cut(&buffer, |piece| match piece {
            Piece::Record(record) => records.push(record),
            Piece::TooLong(head) => dead.push((too_long(limits.record_bytes), head.to_vec())),
        });
        if let Some(pace) = &mut pace {
            resume = pace.took(records.len() - before);
        }
        match cut {
            Ok(done) => {
                buffer.advance(done);
                // Something of the next message: new if the one before it was done.
                begun = match (buffer.is_empty(), begun) {
                    (true, _) => None,
                    (false, Some(at)) if done == 0 => Some(at),
                    (false, _) => Some(Instant::now()),
                };
            }
            Err(lost) => {
                dead.push((format!("{lost}; the connection was closed"), take(&mut buffer)));
                break;
            }
        }
        if let Some((next, _)) = &mut last {
            *next = Instant::now() + LAST_READ;
        }
        if records.len() >= BATCH_RECORDS || records.bytes() >= BATCH_BYTES {
            window.push(source, std::mem::take(&mut records), ());
        }
        for (reason, head) in dead.drain(..) {
            source.dead(&context.intake, reason, &head).await;
        }
        if full {
            size = (size * 2).min(LARGE);
        }
        buffer.reserve(size);
    }
    if !buffer.is_empty() {
        dead.push(("the service ended in the middle of it".into(), take(&mut buffer)));
    }
    if !records.is_empty() {
        window.push(source, records, ());
    }
    for (reason, head) in dead {
        source.dead(&context.intake, reason, &head).await;
    }
    window.drain(|()| {}).await;
}

fn take(buffer: &mut BytesMut) -> Vec<u8> {
    let all = buffer.to_vec();
    buffer.clear();
    all
}
