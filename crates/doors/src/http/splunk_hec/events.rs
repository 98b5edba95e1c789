//! The events of one body: objects side by side, with or without white space between them, or one array of them.

use super::super::keep::Cut;
use super::{Broken, Code};
use crate::json::{Fault, Json, unescape};

pub(super) fn cut(body: &[u8], record_bytes: usize) -> (Cut, Broken) {
    let mut cut = Cut::new(record_bytes);
    let mut json = Json::new(body);
    let mut text = Vec::new();
    let mut number = 0;
    let mut from = 0;
    let mut one = |json: &mut Json<'_>| {
        json.peek();
        from = json.at();
        event(json, body, &mut cut, &mut text)?;
        number += 1;
        Ok(())
    };
    // Splunk takes an array as well, though its manual has none.
    let read = match json.peek() {
        Some(b'[') => json.array(&mut one).and_then(|()| {
            let whole = json.is_at_end();
            if whole { Ok(()) } else { Err(Code::InvalidDataFormat) }
        }),
        _ => {
            let mut read = Ok(());
            while read.is_ok() && !json.is_at_end() {
                read = one(&mut json);
            }
            read
        }
    };
    let Err(code) = read else { return (cut, None) };
    let (_, text) = code.says();
    cut.odd(format!("event {number}: {text}"), body.get(from..).unwrap_or_default());
    (cut, Some((code, number)))
}

impl From<Fault> for Code {
    fn from(_: Fault) -> Code {
        Code::InvalidDataFormat
    }
}

/// One envelope.
fn event(json: &mut Json<'_>, body: &[u8], cut: &mut Cut, text: &mut Vec<u8>) -> Result<(), Code> {
    let from = json.at();
    let mut event = None;
    json.object::<Fault>(|key, json| {
        let value = json.value()?;
        if key == b"event" {
            event = Some(value);
        }
        Ok(())
    })?;
    match event {
        None | Some(b"null") => return Err(Code::EventRequired),
        Some(b"\"\"" | b"{}") => return Err(Code::EventBlank),
        Some([b'"', inside @ .., b'"']) => {
            text.clear();
            unescape(inside, text);
            cut.push(text);
        }
        Some(_) => {
            cut.push(body.get(from..json.at()).unwrap_or_default());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, records: &[&str], broken: Broken) {
        let (cut, got) = cut(body.as_bytes(), 1_000);
        let texts: Vec<_> =
            cut.records.iter().map(|(r, _)| String::from_utf8_lossy(r).into_owned()).collect();
        assert_eq!(
            (&texts[..], got),
            (&records.iter().map(|r| r.to_string()).collect::<Vec<_>>()[..], broken)
        );
        assert_eq!(cut.dead(), usize::from(broken.is_some()), "{body}");
    }

    #[test]
    fn strings_are_lines_and_objects_stay_whole() {
        check(r#"{"event":"a\tb \"c\"","host":"h"}"#, &["a\tb \"c\""], None);
        check(
            r#"{"event":"one"}{"time":1,"event":{"a":1}}  {"event":3}
               {"event":[1]}"#,
            &["one", r#"{"time":1,"event":{"a":1}}"#, r#"{"event":3}"#, r#"{"event":[1]}"#],
            None,
        );
        check(r#" [ {"event":"one"}, {"event":"two"} ] "#, &["one", "two"], None);
        check("", &[], None);
        check("[]", &[], None);
    }

    #[test]
    fn what_is_broken_has_a_number_and_spares_what_came_before() {
        check(r#"{"event":"one"}{"event":"#, &["one"], Some((Code::InvalidDataFormat, 1)));
        check(r#"{"event":"one"} x"#, &["one"], Some((Code::InvalidDataFormat, 1)));
        check(r#"{"host":"h"}"#, &[], Some((Code::EventRequired, 0)));
        check(r#"{"event":null}"#, &[], Some((Code::EventRequired, 0)));
        check(r#"{"event":""}{"event":"two"}"#, &[], Some((Code::EventBlank, 0)));
        check(r#"[{"event":"one"},{"event":{}}]"#, &["one"], Some((Code::EventBlank, 1)));
        check(r#"[{"event":"one"}"#, &["one"], Some((Code::InvalidDataFormat, 1)));
        check(r#"[{"event":"one"}]{"event":"two"}"#, &["one"], Some((Code::InvalidDataFormat, 1)));
        check("plain text", &[], Some((Code::InvalidDataFormat, 0)));
    }

    #[test]
    fn nesting_does_not_reach_the_stack() {
        let deep = format!(r#"{{"event":{}}}"#, "[".repeat(100_000));
        assert_eq!(cut(deep.as_bytes(), 1_000).1, Some((Code::InvalidDataFormat, 0)));
    }

    #[test]
    fn an_event_that_is_too_long_is_a_dead_letter_and_no_error() {
        let body = format!(r#"{{"event":"{}"}}{{"event":"two"}}"#, "x".repeat(2_000));
        let (cut, broken) = cut(body.as_bytes(), 1_000);
        assert_eq!((cut.records.len(), cut.dead(), broken), (1, 1, None));
    }
}
