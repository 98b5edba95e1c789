//! From a line to a record: the envelopes off, the syslog header cut.

use super::clock::Clock;
use super::envelope::{self, Inner};
use super::syslog;
use crate::record::{Header, HeaderTime, Record, Shape};
use portreeve_model::RawRef;
use std::borrow::Cow;

/// Envelopes within envelopes that are taken off.
const DEPTH: u8 = 5;

/// Frames one line. `scratch` holds the unwrapped record where it had to be unescaped.
pub fn frame<'a>(line: &'a [u8], at: RawRef, clock: &'a Clock, scratch: &'a mut Vec<u8>) -> Record<'a> {
    within(line, at, clock, scratch, u8::MAX)
}

/// Frames one line and takes no more than so many envelopes off: what nobody reads without its envelope may be
/// somebody's with it.
pub fn within<'a>(
    line: &'a [u8],
    at: RawRef,
    clock: &'a Clock,
    scratch: &'a mut Vec<u8>,
    most: u8,
) -> Record<'a> {
    let line = line.trim_ascii();
    let Some(mut inner) = (if most > 0 { unwrap(line) } else { None }) else { return bare(line, at, clock) };
    let mut depth = 1;
    while depth < most.min(DEPTH)
        && let Some(next) = unwrap(&inner.raw).map(own)
    {
        inner = next.within(inner);
        depth += 1;
    }
    scratch.clear();
    let mut end = 0;
    let ends = [inner.raw.trim_ascii(), &inner.host, &inner.program, &inner.pid].map(|part| {
        scratch.extend_from_slice(part);
        let from = end;
        end = scratch.len();
        from..end
    });
    let [raw, host, program, pid] = ends.map(|range| scratch.get(range).unwrap_or_default());
    let mut record = bare(raw, at, clock);
    record.depth = depth;
    record.outer_host = host;
    record.outer_time = inner.time;
    if record.header.program.is_empty() {
        // The stamp went into a field of the envelope, the program stayed.
        if record.header.time.is_none()
            && let Some((program, pid, body)) = syslog::tag(record.body)
        {
            (record.header.program, record.header.pid) = (program, pid);
            record.body = body;
            record.shape = Shape::of(body);
        } else {
            (record.header.program, record.header.pid) = (program, pid);
        }
    }
    record
}

/// With how many envelopes taken off somebody claims the line: with all of them, else with fewer; all where nobody does.
pub fn level(
    line: &[u8],
    clock: &Clock,
    scratch: &mut Vec<u8>,
    claims: &mut dyn FnMut(&Record<'_>) -> bool,
) -> u8 {
    let mut level = u8::MAX;
    loop {
        let record = within(line, RawRef::default(), clock, scratch, level);
        match record.depth {
            _ if claims(&record) => return level,
            0 => return u8::MAX,
            depth => level = depth - 1,
        }
    }
}

fn own(inner: Inner<'_>) -> Inner<'static> {
    inner.within(Inner::default())
}

/// The record inside this one.
fn unwrap(text: &[u8]) -> Option<Inner<'_>> {
    let text = text.trim_ascii();
    match text {
        [b'{', ..] => envelope::open(text),
        [b'0'..=b'9', ..] if let Some((time, rest)) = syslog::collected(text) => {
            Some(Inner { raw: Cow::Borrowed(rest), time: Some(time), ..Inner::default() })
        }
        // Behind a header, or behind what a shipper puts before its own object: `stamp<tab>tag<tab>{…}`.
        [first, .., b'}'] if *first != b'<' || text.get(1).is_some_and(u8::is_ascii_digit) => {
            let (header, body) = syslog::split(text);
            let object = match body.first() {
                Some(b'{') => body,
                _ => body.get(super::find::find(body.get(..256).unwrap_or(body), b"\t{\"")? + 1..)?,
            };
            if object.len() == text.len() {
                return None;
            }
            let mut inner = envelope::open(object)?;
            if inner.host.is_empty() {
                inner.host = Cow::Borrowed(header.host);
            }
            if inner.program.is_empty() {
                inner.program = Cow::Borrowed(header.program);
            }
            if let (None, Some(HeaderTime::Absolute(time))) = (inner.time, header.time) {
                inner.time = Some(time);
            }
            Some(inner)
        }
        _ => None,
    }
}

/// Frames one line without looking for an envelope.
pub fn bare<'a>(line: &'a [u8], at: RawRef, clock: &'a Clock) -> Record<'a> {
    let line = line.trim_ascii();
    let (header, body) = match line.first() {
        Some(b'{') => (Header::default(), line),
        Some(b'<') if line.starts_with(b"<Event") || line.starts_with(b"<?xml") => (Header::default(), line),
        _ => syslog::split(line),
    };
    let (mut header, mut body) = (header, body);
    // `gw1 CEF: 0|…` looks like the name of a program.
    if header.program == b"CEF"
        && let Some(n) = crate::decode::find::find(line, b"CEF: ")
    {
        header.program = b"";
        body = &line[n..];
    }
    // CEF and LEEF may stand behind a header that no rule knows.
    let mut shape = Shape::of(body);
    if shape == Shape::Text {
        for (marker, found) in [(&b"CEF:"[..], Shape::Cef), (b"LEEF:", Shape::Leef)] {
            if let Some(n) = crate::decode::find::find(&body[..body.len().min(160)], marker)
                // In quotes it is told of, not written.
                && n.checked_sub(1).and_then(|before| body.get(before)) != Some(&b'"')
                && body.get(n + marker.len()..).is_some_and(|t| {
                    t.strip_prefix(b" ").unwrap_or(t).first().is_some_and(u8::is_ascii_digit)
                })
            {
                body = &body[n..];
                shape = found;
            }
        }
    }
    Record {
        raw: line,
        body,
        shape,
        header,
        outer_host: b"",
        outer_time: None,
        at,
        clock,
        joined: false,
        depth: 0,
        windows: Default::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, depth: u8, host: &str, program: &str, body: &str, timed: bool) {
        let (clock, mut scratch) = (Clock::utc().with_year(Some(2026)), Vec::new());
        let r = frame(line.as_bytes(), RawRef::default(), &clock, &mut scratch);
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        assert_eq!(
            (r.depth, text(r.host()), text(r.header.program), text(r.body), r.header_time().is_some()),
            (depth, host.to_owned(), program.to_owned(), body.to_owned(), timed),
            "{line}"
        );
    }

    #[test]
    fn formats_behind_headers_that_no_rule_knows() {
        let shape = |line: &str| {
            let (clock, mut scratch) = (Clock::utc(), Vec::new());
            frame(line.as_bytes(), RawRef::default(), &clock, &mut scratch).shape
        };
        assert_eq!(shape("x y z CEF:0|a|b|1|2|c|3|"), Shape::Cef);
        assert_eq!(shape("Oct 23 07:21:42 gw1 CEF: 0|a|b|1|2|c|3|"), Shape::Cef);
        assert_eq!(shape("x LEEF:2.0|a|b|1|2|"), Shape::Leef);
        assert_eq!(shape("trap (message = \"\"CEF:0|a|b|1|2|c|3|\"\")"), Shape::Text);
        assert_eq!(shape("the CEF: format"), Shape::Text);
    }

    #[test]
    fn envelopes_within_envelopes() {
        check("Oct 23 07:21:42 gw1 sshd[7]: x", 0, "gw1", "sshd", "x", true);
        check(
            r#"{"message":"Oct 23 07:21:42 gw1 sshd[7]: x","host":{"name":"shipper"}}"#,
            1,
            "gw1",
            "sshd",
            "x",
            true,
        );
        check(
            r#"{"@timestamp":"2026-10-23T07:21:42Z","message":"sshd[7]: x","hostname":"gw1"}"#,
            1,
            "gw1",
            "sshd",
            "x",
            true,
        );
        check(
            r#"{"_index":"a","_source":{"host":{"name":"n1"},"message":"{\"log\":\"Oct 23 07:21:42 gw1 sshd[7]: x\\n\",\"stream\":\"stdout\"}"}}"#,
            3,
            "gw1",
            "sshd",
            "x",
            true,
        );
        check(
            r#"{"_index":"a","_source":{"@timestamp":"2026-10-23T07:21:42Z","host":{"name":"n1"},"message":"plain"}}"#,
            2,
            "n1",
            "",
            "plain",
            true,
        );
        check(
            r#"<13>1 2026-10-23T07:21:42Z gw1 app - - - {"message":"plain"}"#,
            1,
            "gw1",
            "app",
            "plain",
            true,
        );
        check(
            "2026-10-23T07:21:42+00:00\tauth\t{\"message\":\"plain\",\"host\":\"gw1\"}",
            1,
            "gw1",
            "",
            "plain",
            true,
        );
        check(r#"2026-10-23T07:21:42.5Z stdout F {"log":"plain"}"#, 2, "", "", "plain", true);
        check(
            r#"{"eventVersion":"1.08","message":"x"}"#,
            0,
            "",
            "",
            r#"{"eventVersion":"1.08","message":"x"}"#,
            false,
        );
        let deep = (0..9).fold("x".to_owned(), |inner, _| serde_json::json!({"message": inner}).to_string());
        let clock = Clock::utc();
        let mut scratch = Vec::new();
        assert_eq!(frame(deep.as_bytes(), RawRef::default(), &clock, &mut scratch).depth, DEPTH);
        assert_eq!(within(deep.as_bytes(), RawRef::default(), &clock, &mut scratch, 2).depth, 2);
        assert_eq!(within(deep.as_bytes(), RawRef::default(), &clock, &mut scratch, 0).raw, deep.as_bytes());
    }
}
