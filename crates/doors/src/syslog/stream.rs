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
                if !reading {
                    begun = again(begun);
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
                begun = again(begun);
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

/// The time in which we did not read is not the peer's.
pub(crate) fn again(begun: Option<Instant>) -> Option<Instant> {
    begun.map(|_| Instant::now())
}

fn take(buffer: &mut BytesMut) -> Vec<u8> {
    let all = buffer.to_vec();
    buffer.clear();
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::Counters;
    use crate::gate::{Admitted, Gate, Limits};
    use crate::intake::{Intake, Origin, Receipt, Received};
    use std::sync::Arc;
    use tokio::io::AsyncWriteExt;
    use tokio_util::sync::CancellationToken;

    struct Nobody;

    impl Gate for Nobody {
        fn token(&self, _: &'static str, _: &[u8]) -> Option<Admitted> {
            None
        }

        fn certificate(&self, _: &'static str, _: &[u8; 32]) -> Option<Admitted> {
            None
        }
    }

    /// A connection, whose other end stores all; what came is given back when it has ended.
    fn connect(
        limits: Limits,
    ) -> (tokio::io::DuplexStream, CancellationToken, tokio::task::JoinHandle<Vec<String>>) {
        let (intake, mut from) = Intake::channel(4);
        let shutdown = CancellationToken::new();
        let context = DoorContext {
            intake,
            gate: Arc::new(Nobody),
            counters: Counters::default(),
            state_dir: std::env::temp_dir(),
            shutdown: shutdown.clone(),
        };
        let admitted = Admitted { origin: Origin::new("edge"), limits: Arc::new(limits) };
        let source = Source::new(&context, "syslog_tcp", admitted);
        let (near, far) = tokio::io::duplex(1 << 16);
        let served = tokio::spawn(async move { serve(far, &source, Framing::Auto, &context).await });
        let stored = tokio::spawn(async move {
            let mut came = Vec::new();
            while let Some(received) = from.recv().await {
                match received {
                    Received::Batch(batch) => {
                        came.extend(
                            batch.records.iter().map(|(r, _)| String::from_utf8_lossy(r).into_owned()),
                        );
                        batch.ack.answer(Receipt::Stored);
                    }
                    Received::Dead(letter) => came.push(format!("DEAD {}", letter.reason)),
                    Received::File(_) => {}
                }
            }
            served.await.expect("served");
            came
        });
        (near, shutdown, stored)
    }

    #[tokio::test(start_paused = true)]
    async fn a_byte_now_and_then_does_not_hold_a_connection() {
        let (mut peer, _shutdown, came) = connect(Limits::default());
        peer.write_all(b"<13>whole\n").await.expect("sent");
        // Quiet for as long as it likes, with nothing begun.
        tokio::time::sleep(UNFINISHED * 10).await;
        let begin = Instant::now();
        while peer.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let held = begin.elapsed();
        assert!(held >= UNFINISHED && held < UNFINISHED + Duration::from_secs(3), "{held:?}");
        let came = came.await.expect("stored");
        assert_eq!(came.first().map(String::as_str), Some("<13>whole"));
        assert!(came[1].starts_with("DEAD not finished within 60 s"), "{came:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_is_held_to_its_rate() {
        let limits = Limits { records_per_s: Some(10), ..Limits::default() };
        let (mut peer, _shutdown, came) = connect(limits);
        let begin = Instant::now();
        // A hundred at once is what ten seconds allow; the rest waits.
        for _ in 0..20 {
            peer.write_all("<13>x\n".repeat(10_000 / 20).as_bytes()).await.expect("sent");
        }
        drop(peer);
        assert_eq!(came.await.expect("stored").len(), 10_000);
        let took = begin.elapsed().as_secs();
        assert!((100..=1_000).contains(&took), "{took} s");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_on_its_way_at_the_end_is_read() {
        let (mut peer, shutdown, came) = connect(Limits::default());
        peer.write_all(b"<13>before\n").await.expect("sent");
        shutdown.cancel();
        peer.write_all(b"<13>on its way\n<13>half of").await.expect("sent");
        let came = came.await.expect("stored");
        assert_eq!(came, ["<13>before", "<13>on its way", "DEAD the service ended in the middle of it"]);
    }
}
