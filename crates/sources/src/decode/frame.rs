//! From a line to a record: the shipper's envelope off, the syslog header cut.

use super::clock::Clock;
use super::{envelope, syslog};
use crate::record::{Header, Record, Shape};
use portreeve_model::RawRef;

/// Frames one line. `scratch` holds the unwrapped record where it had to be unescaped.
pub fn frame<'a>(line: &'a [u8], at: RawRef, clock: &'a Clock, scratch: &'a mut Vec<u8>) -> Record<'a> {
    let line = line.trim_ascii();
    if line.first() == Some(&b'{')
        && let Some(inner) = envelope::open(line)
    {
        scratch.clear();
        scratch.extend_from_slice(inner.raw.trim_ascii());
        let mut record = bare(scratch, at, clock);
        record.outer_host = inner.host;
        record.outer_time = inner.time;
        return record;
    }
    bare(line, at, clock)
}

/// Frames one line without looking for an envelope.
pub fn bare<'a>(line: &'a [u8], at: RawRef, clock: &'a Clock) -> Record<'a> {
    let line = line.trim_ascii();
    let (header, body) = match line.first() {
        Some(b'{') => (Header::default(), line),
        Some(b'<') if line.starts_with(b"<Event") || line.starts_with(b"<?xml") => (Header::default(), line),
        _ => syslog::split(line),
    };
    let mut body = body;
    // CEF and LEEF may stand behind a header that no rule knows.
    let mut shape = Shape::of(body);
    if shape == Shape::Text {
        for (marker, found) in [(&b"CEF:"[..], Shape::Cef), (b"LEEF:", Shape::Leef)] {
            if let Some(n) = crate::decode::find::find(&body[..body.len().min(160)], marker)
                && body.get(n + marker.len()).is_some_and(u8::is_ascii_digit)
            {
                body = &body[n..];
                shape = found;
            }
        }
    }
    Record { raw: line, body, shape, header, outer_host: b"", outer_time: None, at, clock, joined: false }
}
