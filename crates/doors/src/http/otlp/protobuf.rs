//! Logs as protobuf, read field by field, and the few messages that are answered.
//!
//! Numbers are those of opentelemetry/proto/{collector/logs,logs,common,resource}/v1 and google/rpc/status.proto.
//! Unknown fields are passed over, as protobuf wants it.

use super::super::keep::Cut;
use super::object::Object;
use super::{MAX_DEPTH, Odd};
use crate::json::quote;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::time::Duration;

/// One field of a message.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32,
}

/// The fields of a message, in the order of the wire.
#[derive(Clone, Copy)]
struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn of(message: &'a [u8]) -> Fields<'a> {
        Fields { rest: message }
    }

    fn next(&mut self) -> Result<Option<(u64, Field<'a>)>, Odd> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let field = match key & 7 {
            0 => Field::Varint(self.varint()?),
            1 => Field::Fixed64(u64::from_le_bytes(*self.take(8)?.first_chunk().ok_or(Odd::Ends)?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Odd::Ends)?;
                Field::Bytes(self.take(length)?)
            }
            5 => {
                self.take(4)?;
                Field::Fixed32
            }
            _ => return Err(Odd::Shape),
        };
        if key >> 3 == 0 { Err(Odd::Shape) } else { Ok(Some((key >> 3, field))) }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Odd> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Odd::Ends)?;
        self.rest = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, Odd> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.rest.split_first().ok_or(Odd::Ends)?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Odd::Shape)
    }

    /// Calls `each` with each field of this number that holds bytes.
    fn each(mut self, number: u64, mut each: impl FnMut(&'a [u8]) -> Result<(), Odd>) -> Result<(), Odd> {
        while let Some((n, field)) = self.next()? {
            if let (true, Field::Bytes(bytes)) = (n == number, field) {
                each(bytes)?;
            }
        }
        Ok(())
    }
}

/// The records of an `ExportLogsServiceRequest`.
pub(super) fn cut(message: &[u8], cut: &mut Cut) -> Result<(), Odd> {
    let mut scratch = Vec::new();
    Fields::of(message).each(1, |resource_logs| {
        let mut resource = None;
        Fields::of(resource_logs).each(1, |bytes| {
            resource = Some(bytes);
            Ok(())
        })?;
        let resource = resource.map(|r| attributes(r, 1, 0)).transpose()?;
        Fields::of(resource_logs).each(2, |scope_logs| {
            Fields::of(scope_logs).each(2, |log| {
                match record(log, resource.as_deref(), std::mem::take(&mut scratch)) {
                    Ok(Record::Text(text)) => drop(cut.push(text)),
                    Ok(Record::Object(object)) => {
                        cut.push(&object);
                        scratch = object;
                    }
                    Err(odd) => cut.odd(odd.to_string(), log),
                }
                Ok(())
            })
        })
    })
}

enum Record<'a> {
    Text(&'a [u8]),
    Object(Vec<u8>),
}

fn record<'a>(log: &'a [u8], resource: Option<&[u8]>, scratch: Vec<u8>) -> Result<Record<'a>, Odd> {
    let (mut body, mut severity, mut name) = (None, &[][..], &[][..]);
    let (mut time, mut observed) = (0, 0);
    let mut fields = Fields::of(log);
    while let Some(field) = fields.next()? {
        match field {
            (1, Field::Fixed64(ns)) => time = ns,
            (11, Field::Fixed64(ns)) => observed = ns,
            (3, Field::Bytes(text)) => severity = text,
            (5, Field::Bytes(value)) => body = Some(value),
            (12, Field::Bytes(text)) => name = text,
            _ => {}
        }
    }
    if let Some(value) = body
        && let Some((1, Field::Bytes(text))) = one_of(value)?
        && !text.is_empty()
    {
        return Ok(Record::Text(text));
    }
    let mut object = Object::begin(scratch);
    for (key, ns) in [("timeUnixNano", time), ("observedTimeUnixNano", observed)] {
        if ns > 0 {
            object.text(key, ns.to_string().as_bytes());
        }
    }
    object.text("severityText", severity);
    object.text("eventName", name);
    if let Some(value) = body {
        any(value, object.name("body"), 0)?;
    }
    let own = attributes(log, 6, 0)?;
    if own != b"{}" {
        object.name("attributes").extend_from_slice(&own);
    }
    if let Some(resource) = resource.filter(|r| *r != b"{}") {
        object.name("resource").extend_from_slice(resource);
    }
    Ok(Record::Object(object.end()))
}

/// The `KeyValue`s of a message, as an object.
fn attributes(message: &[u8], number: u64, depth: usize) -> Result<Vec<u8>, Odd> {
    let mut out = Vec::new();
    pairs(message, number, &mut out, depth)?;
    Ok(out)
}

fn pairs(message: &[u8], number: u64, out: &mut Vec<u8>, depth: usize) -> Result<(), Odd> {
    out.push(b'{');
    let mut first = true;
    Fields::of(message).each(number, |pair| {
        let (mut key, mut value) = (&[][..], &[][..]);
        let mut fields = Fields::of(pair);
        while let Some(field) = fields.next()? {
            match field {
                (1, Field::Bytes(text)) => key = text,
                (2, Field::Bytes(any)) => value = any,
                _ => {}
            }
        }
        if !first {
            out.push(b',');
        }
        first = false;
        quote(key, out);
        out.push(b':');
        any(value, out, depth + 1)
    })?;
    out.push(b'}');
    Ok(())
}

/// The last field of an `AnyValue`: the one that counts.
fn one_of(value: &[u8]) -> Result<Option<(u64, Field<'_>)>, Odd> {
    let (mut fields, mut last) = (Fields::of(value), None);
    while let Some(field) = fields.next()? {
        if (1..=7).contains(&field.0) {
            last = Some(field);
        }
    }
    Ok(last)
}

fn any(value: &[u8], out: &mut Vec<u8>, depth: usize) -> Result<(), Odd> {
    if depth > MAX_DEPTH {
        return Err(Odd::Deep);
    }
    match one_of(value)? {
        None => out.extend_from_slice(b"null"),
        Some((1, Field::Bytes(text))) => quote(text, out),
        Some((2, Field::Varint(is))) => out.extend_from_slice(if is == 0 { b"false" } else { b"true" }),
        Some((3, Field::Varint(int))) => out.extend_from_slice(int.cast_signed().to_string().as_bytes()),
        Some((4, Field::Fixed64(bits))) => {
            let double = f64::from_bits(bits);
            let text = double.to_string();
            // JSON has no words for these.
            if double.is_finite() {
                out.extend_from_slice(text.as_bytes())
            } else {
                quote(text.as_bytes(), out)
            }
        }
        Some((5, Field::Bytes(array))) => {
            out.push(b'[');
            let mut first = true;
            Fields::of(array).each(1, |value| {
                if !first {
                    out.push(b',');
                }
                first = false;
                any(value, out, depth + 1)
            })?;
            out.push(b']');
        }
        Some((6, Field::Bytes(list))) => pairs(list, 1, out, depth)?,
        Some((7, Field::Bytes(bytes))) => quote(STANDARD.encode(bytes).as_bytes(), out),
        Some(_) => return Err(Odd::Shape),
    }
    Ok(())
}

/// An `ExportLogsServiceResponse`: empty where all was taken.
pub(super) fn export_response(rejected: usize, says: Option<&str>) -> Vec<u8> {
    let Some(says) = says else { return Vec::new() };
    let mut partial = Vec::new();
    put_varint(&mut partial, 1, rejected as u64);
    put_bytes(&mut partial, 2, says.as_bytes());
    let mut out = Vec::new();
    put_bytes(&mut out, 1, &partial);
    out
}

/// A `google.rpc.Status`, with a `RetryInfo` where the peer should come again.
pub(super) fn status(code: u8, says: &str, retry: Option<Duration>) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, 1, u64::from(code));
    put_bytes(&mut out, 2, says.as_bytes());
    if let Some(wait) = retry {
        let (mut duration, mut info, mut any) = (Vec::new(), Vec::new(), Vec::new());
        put_varint(&mut duration, 1, wait.as_secs());
        put_varint(&mut duration, 2, u64::from(wait.subsec_nanos()));
        put_bytes(&mut info, 1, &duration);
        put_bytes(&mut any, 1, b"type.googleapis.com/google.rpc.RetryInfo");
        put_bytes(&mut any, 2, &info);
        put_bytes(&mut out, 3, &any);
    }
    out
}

fn put_varint(out: &mut Vec<u8>, number: u8, value: u64) {
    out.push(number << 3);
    varint(out, value);
}

fn put_bytes(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(fields: &[(u8, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        fields.iter().for_each(|(number, bytes)| put_bytes(&mut out, *number, bytes));
        out
    }

    fn text(text: &str) -> Vec<u8> {
        message(&[(1, text.as_bytes())])
    }

    fn pair(key: &str, value: &[u8]) -> Vec<u8> {
        message(&[(1, key.as_bytes()), (2, value)])
    }

    fn request(logs: &[Vec<u8>]) -> Vec<u8> {
        let resource = message(&[(1, &pair("host.name", &text("edge")))]);
        let mut scope = Vec::new();
        logs.iter().for_each(|log| put_bytes(&mut scope, 2, log));
        // The resource comes last, as it may.
        message(&[(1, &message(&[(2, &scope), (1, &resource)]))])
    }

    fn check(logs: &[Vec<u8>], expect: &[&str], dead: usize) {
        let mut cut = Cut::new(1_000);
        super::cut(&request(logs), &mut cut).expect("a request");
        let got: Vec<_> = cut.records.iter().map(|(r, _)| String::from_utf8_lossy(r).into_owned()).collect();
        assert_eq!((got, cut.dead()), (expect.iter().map(|e| e.to_string()).collect(), dead));
    }

    #[test]
    fn text_is_the_record_and_else_all_that_is_known() {
        let int = {
            let mut v = Vec::new();
            put_varint(&mut v, 3, u64::MAX);
            v
        };
        let map = message(&[(6, &message(&[(1, &pair("a", &int)), (1, &pair("b\"", &text("ü")))]))]);
        let mut timed = message(&[(3, b"INFO"), (5, &map), (6, &pair("x", b""))]);
        timed.extend_from_slice(&[1 << 3 | 1, 7, 0, 0, 0, 0, 0, 0, 0]);
        check(
            &[
                message(&[(5, &text("a line")), (6, &pair("x", &int))]),
                timed,
                message(&[(3, b"WARN"), (5, &text(""))]),
            ],
            &[
                "a line",
                r#"{"timeUnixNano":"7","severityText":"INFO","body":{"a":-1,"b\"":"ü"},"attributes":{"x":null},"resource":{"host.name":"edge"}}"#,
                r#"{"severityText":"WARN","body":"","resource":{"host.name":"edge"}}"#,
            ],
            0,
        );
    }

    #[test]
    fn a_record_that_cannot_be_read_is_a_dead_letter_of_its_own() {
        let mut deep = text("x");
        for _ in 0..10_000 {
            deep = message(&[(5, &message(&[(1, &deep)]))]);
        }
        let logs = [message(&[(5, &deep)]), message(&[(5, &text("next"))]), message(&[(5, &[0xff])])];
        check(&logs, &["next"], 2);
    }

    #[test]
    fn a_damaged_message_is_refused_whatever_its_damage() {
        let whole = request(&[message(&[(5, &text("a line"))])]);
        for cut_at in 1..whole.len() {
            assert!(super::cut(&whole[..cut_at], &mut Cut::new(100)).is_err(), "{cut_at}");
        }
        for odd in [
            &[0x0a, 0xff][..],
            &[0x0f],
            &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
            &[0],
        ] {
            assert!(super::cut(odd, &mut Cut::new(100)).is_err());
        }
        let mut nothing = Cut::new(100);
        assert_eq!(super::cut(&[], &mut nothing), Ok(()));
        assert_eq!(nothing.len(), 0);
    }
}
