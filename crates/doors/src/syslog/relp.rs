//! The Reliable Event Logging Protocol, as rsyslog's omrelp speaks it (specification 0.0.1 and librelp 1.11): frames of
//! `number command length data`, each answered with its number; ours once the message is stored.
//!
//! What cannot be stored now is kept and tried again, as with plain syslog; at the end of the service it stays without
//! an answer, and the peer sends it to whoever listens next. A message that is too long is answered as well, after its
//! beginning became a dead letter: refused, it would come again for ever.

use crate::door::{DoorContext, Source};
use crate::intake::Records;
use crate::pace::Pace;
use crate::syslog::frame::trimmed;
use crate::syslog::stream::again;
use crate::syslog::too_long;
use crate::window::{BATCHES, Settled, Window};
use bytes::{Buf, BytesMut};
use std::fmt::Write;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};

const BUFFER: usize = 64 << 10;
/// Digits of a number, letters of a command, digits of a length, and three spaces.
const HEAD: usize = 9 + 1 + 32 + 1 + 9 + 1;
/// A frame that was begun must be whole by then.
const UNFINISHED: Duration = Duration::from_secs(60);
/// A peer that does not read its answers is let go.
const ANSWER: Duration = Duration::from_secs(30);

/// Numbers of the messages of one batch.
type Numbers = Vec<u32>;

pub(crate) async fn serve(
    mut io: impl AsyncRead + AsyncWrite + Unpin,
    source: &Source,
    context: &DoorContext,
) {
    let limits = &source.limits;
    let mut window: Window<Numbers> = Window::new(context, BATCHES);
    let mut pace = Pace::new(limits.records_per_s);
    let mut resume: Option<Instant> = None;
    let mut begun: Option<Instant> = None;
    let mut buffer = BytesMut::with_capacity(BUFFER);
    let mut session =
        Session { limit: limits.record_bytes, most: limits.request_bytes, ..Session::default() };
    let end = loop {
        let reading = window.has_room() && resume.is_none();
        tokio::select! {
            biased;
            () = context.shutdown.cancelled() => break End::Ours,
            settled = window.next() => match settled {
                Settled::Stored(numbers) => {
                    numbers.iter().for_each(|n| session.answer(*n, "200 OK"));
                    if !reading {
                        begun = again(begun);
                    }
                    if session.flush(&mut io).await.is_err() {
                        break End::Theirs;
                    }
                    continue;
                }
                Settled::GivenUp(_) => break End::Ours,
            },
            () = sleep_until(resume.unwrap_or_else(Instant::now)), if resume.is_some() => {
                resume = None;
                begun = again(begun);
                continue;
            }
            () = sleep_until(begun.unwrap_or_else(Instant::now) + UNFINISHED), if reading && begun.is_some() => break End::Theirs,
            read = io.read_buf(&mut buffer), if reading => if matches!(read, Ok(0) | Err(_)) {
                break End::Theirs;
            },
        }
        let cut = session.take(&buffer);
        let records = std::mem::take(&mut session.records);
        if let Some(pace) = &mut pace {
            resume = pace.took(records.len());
        }
        if !records.is_empty() {
            // The peer has a window of its own, 128 messages as a rule, and waits for us: no lingering.
            window.push(source, records, std::mem::take(&mut session.numbers));
        }
        for (number, head) in std::mem::take(&mut session.too_long) {
            source.dead(&context.intake, too_long(limits.record_bytes), &head).await;
            session.answer(number, "200 OK");
        }
        match cut {
            Ok(done) => {
                buffer.advance(done);
                begun = match (buffer.is_empty() && session.skip == 0, begun) {
                    (true, _) => None,
                    (false, Some(at)) if done == 0 => Some(at),
                    (false, _) => Some(Instant::now()),
                };
            }
            Err(why) => {
                let head = buffer.get(..buffer.len().min(HEAD)).unwrap_or_default();
                source
                    .dead(&context.intake, format!("no RELP: {why}; the connection was closed"), head)
                    .await;
                break End::Ours;
            }
        }
        if session.flush(&mut io).await.is_err() {
            break End::Theirs;
        }
        if let Some(number) = session.closed {
            break End::Closed(number);
        }
        buffer.reserve(BUFFER);
    };
    // What is stored by now is answered, so that it does not come again.
    let mut numbers = Vec::new();
    window.drain(|mut n| numbers.append(&mut n)).await;
    numbers.iter().for_each(|n| session.answer(*n, "200 OK"));
    match end {
        End::Theirs => return,
        End::Closed(number) => session.answer(number, ""),
        End::Ours => {}
    }
    session.out.push_str("0 serverclose 0\n");
    if session.flush(&mut io).await.is_ok() {
        timeout(ANSWER, io.shutdown()).await.ok();
    }
}

enum End {
    /// The peer has gone.
    Theirs,
    /// The peer said `close`.
    Closed(u32),
    Ours,
}

/// What is read of one connection and not dealt with yet.
#[derive(Default)]
struct Session {
    limit: usize,
    most: usize,
    open: bool,
    records: Records,
    numbers: Numbers,
    too_long: Vec<(u32, Vec<u8>)>,
    closed: Option<u32>,
    /// Bytes of a message that is passed over.
    skip: usize,
    out: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
enum Wrong {
    #[error("a frame does not begin with a number, a command and a length")]
    Head,
    #[error("a frame is said to be longer than a whole request may be")]
    Absurd,
    #[error("a frame does not end where it says")]
    End,
    #[error("the first command is not `open`")]
    NotOpen,
}

struct Frame<'a> {
    number: u32,
    command: &'a [u8],
    length: usize,
    /// Bytes before the data.
    head: usize,
}

impl Session {
    fn answer(&mut self, number: u32, text: &str) {
        // Writing to a string does not fail.
        match text {
            "" => writeln!(self.out, "{number} rsp 0").ok(),
            text => writeln!(self.out, "{number} rsp {} {text}", text.len()).ok(),
        };
    }

    async fn flush(&mut self, io: &mut (impl AsyncWrite + Unpin)) -> std::io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        let out = std::mem::take(&mut self.out);
        timeout(ANSWER, async {
            io.write_all(out.as_bytes()).await?;
            io.flush().await
        })
        .await?
    }

    /// Takes what is whole from the front; tells how many bytes are done with.
    fn take(&mut self, bytes: &[u8]) -> Result<usize, Wrong> {
        let mut done = 0;
        while self.closed.is_none() {
            let rest = bytes.get(done..).unwrap_or_default();
            if self.skip > 0 {
                let now = self.skip.min(rest.len());
                self.skip -= now;
                done += now;
                if self.skip > 0 {
                    break;
                }
                continue;
            }
            let Some(frame) = head(rest)? else { break };
            if frame.length > self.most {
                return Err(Wrong::Absurd);
            }
            let data = rest.get(frame.head..).unwrap_or_default();
            if frame.length > self.limit {
                let begin = data.get(..self.limit.min(1_024)).unwrap_or_default();
                if begin.is_empty() {
                    break;
                }
                if frame.command != b"syslog" || !self.open {
                    return Err(Wrong::Head);
                }
                self.too_long.push((frame.number, begin.to_vec()));
                done += frame.head;
                // With the line feed behind it.
                self.skip = frame.length + 1;
                continue;
            }
            // What ends a frame is part of it.
            let (Some(data), Some(end)) = (data.get(..frame.length), data.get(frame.length)) else { break };
            if *end != b'\n' {
                return Err(Wrong::End);
            }
            done += frame.head + frame.length + 1;
            match frame.command {
                b"open" => {
                    self.open = true;
                    let offers = "200 OK\nrelp_version=0\nrelp_software=portreeve\ncommands=syslog\n";
                    self.answer(frame.number, offers);
                }
                _ if !self.open => return Err(Wrong::NotOpen),
                b"syslog" => match trimmed(data) {
                    b"" => self.answer(frame.number, "200 OK"),
                    record => {
                        self.records.push(record);
                        self.numbers.push(frame.number);
                    }
                },
                b"close" => self.closed = Some(frame.number),
                _ => self.answer(frame.number, "500 this command is not known here"),
            }
        }
        Ok(done)
    }
}

/// `12 syslog 34 `; where the length is 0 the line feed follows at once. `None` where more is needed.
fn head(rest: &[u8]) -> Result<Option<Frame<'_>>, Wrong> {
    let open = |at: usize| if rest.len() > at || rest.len() >= HEAD { Err(Wrong::Head) } else { Ok(None) };
    let word = |from: usize, most: usize, good: fn(&u8) -> bool| {
        let length = rest.get(from..)?.iter().take(most + 1).take_while(|b| good(b)).count();
        (length > 0 && length <= most)
            .then(|| (rest.get(from..from + length).unwrap_or_default(), from + length))
    };
    let number = |digits: &[u8]| digits.iter().fold(0u32, |n, d| n * 10 + u32::from(d - b'0'));
    let Some((digits, at)) = word(0, 9, u8::is_ascii_digit) else { return open(0) };
    let number_of_frame = number(digits);
    if rest.get(at) != Some(&b' ') {
        return open(at);
    }
    let Some((command, at)) = word(at + 1, 32, u8::is_ascii_alphabetic) else { return open(at + 1) };
    if rest.get(at) != Some(&b' ') {
        return open(at);
    }
    let Some((digits, at)) = word(at + 1, 9, u8::is_ascii_digit) else { return open(at + 1) };
    let length = usize::try_from(number(digits)).unwrap_or(usize::MAX);
    let head = match rest.get(at) {
        None => return Ok(None),
        Some(b'\n') if length == 0 => at,
        Some(b' ') => at + 1,
        Some(_) => return Err(Wrong::Head),
    };
    Ok(Some(Frame { number: number_of_frame, command, length, head }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stream: &[u8], expect: (Result<usize, Wrong>, &[&str], &str)) {
        let new = || Session { limit: 20, most: 1_000, ..Session::default() };
        let text = |r: &[u8]| String::from_utf8_lossy(r).into_owned();
        // In one piece, and byte by byte.
        let mut whole = new();
        assert_eq!(whole.take(stream), expect.0);
        let got: Vec<_> = whole.records.iter().map(|r| text(r.0)).collect();
        assert_eq!(
            (got.as_slice(), whole.out.as_str()),
            (expect.1.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>().as_slice(), expect.2)
        );
        let (mut slow, mut buffer, mut done) = (new(), Vec::new(), Ok(0));
        for byte in stream {
            buffer.push(*byte);
            match slow.take(&buffer) {
                Ok(n) => {
                    buffer.drain(..n);
                    done = done.map(|d| d + n);
                }
                Err(wrong) => {
                    done = Err(wrong);
                    break;
                }
            }
        }
        assert_eq!(
            (done, slow.records.len(), slow.too_long.len()),
            (expect.0, whole.records.len(), whole.too_long.len())
        );
    }

    #[test]
    fn frames() {
        let open = b"1 open 14 relp_version=0\n".as_slice();
        let hello = "1 rsp 62 200 OK\nrelp_version=0\nrelp_software=portreeve\ncommands=syslog\n\n";
        let with = |rest: &[u8]| [open, rest].concat();
        check(
            &with(b"2 syslog 7 <13>a\nb\n3 syslog 6 <13>c\n\n"),
            (Ok(25 + 37), &["<13>a\nb", "<13>c"], hello),
        );
        check(&with(b"2 syslog 0\n3 close 0\n"), (Ok(25 + 21), &[], &format!("{hello}2 rsp 6 200 OK\n")));
        check(&with(b"2 syslog 9 half"), (Ok(25), &[], hello));
        check(
            &with(b"2 mail 1 x\n"),
            (Ok(25 + 11), &[], &format!("{hello}2 rsp 34 500 this command is not known here\n")),
        );
        let long = with(format!("2 syslog 30 {}\n3 syslog 1 x\n", "y".repeat(30)).as_bytes());
        check(&long, (Ok(long.len()), &["x"], hello));
    }

    #[test]
    fn what_is_no_frame() {
        for (stream, wrong) in [
            (&b"<13>plain syslog\n"[..], Wrong::Head),
            (b"1 syslog 1 x\n", Wrong::NotOpen),
            (b"1 open 1 xy\n", Wrong::End),
            (b"1 open 99999 x", Wrong::Absurd),
            (b"1234567890 open 0\n", Wrong::Head),
            (b"1 open 1234567890 ", Wrong::Head),
            (b"1  open 0\n", Wrong::Head),
        ] {
            check(stream, (Err(wrong), &[], ""));
        }
    }
}
