//! Logs as OTLP's JSON: the same messages with lowerCamelCase names; 64-bit numbers are strings.

use super::super::keep::Cut;
use super::object::Object;
use super::{MAX_DEPTH, Odd};
use crate::json::{Fault, Json, unescape};

impl From<Fault> for Odd {
    fn from(fault: Fault) -> Odd {
        match fault {
            Fault::Ends => Odd::Ends,
            Fault::Odd(_) => Odd::Shape,
            Fault::Deep => Odd::Deep,
        }
    }
}

/// The records of an `ExportLogsServiceRequest`.
pub(super) fn cut(message: &[u8], cut: &mut Cut) -> Result<(), Odd> {
    let [resource_logs] = members(message, ["resourceLogs"])?;
    let mut scratch = Vec::new();
    elements(resource_logs, |resource_logs| {
        let [resource, scope_logs] = members(resource_logs, ["resource", "scopeLogs"])?;
        let resource = match resource {
            Some(resource) => {
                let [pairs] = members(resource, ["attributes"])?;
                attributes(pairs, 0)?
            }
            None => Vec::new(),
        };
        elements(scope_logs, |scope_logs| {
            let [logs] = members(scope_logs, ["logRecords"])?;
            elements(logs, |log| {
                if let Err(odd) = record(log, &resource, cut, &mut scratch) {
                    cut.odd(odd.to_string(), log);
                }
                Ok(())
            })
        })
    })
}

fn record(log: &[u8], resource: &[u8], cut: &mut Cut, scratch: &mut Vec<u8>) -> Result<(), Odd> {
    let names = ["timeUnixNano", "observedTimeUnixNano", "severityText", "eventName", "body", "attributes"];
    let [time, observed, severity, name, body, pairs] = members(log, names)?;
    if let Some(body) = body {
        let [text] = members(body, ["stringValue"])?;
        if let Some([b'"', inside @ .., b'"']) = text
            && !inside.is_empty()
        {
            scratch.clear();
            unescape(inside, scratch);
            cut.push(scratch);
            return Ok(());
        }
    }
    let mut object = Object::begin(std::mem::take(scratch));
    let times = [(names[0], time), (names[1], observed)];
    for (key, value) in times {
        let digits = value.map(|v| v.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(v));
        if let Some(digits) = digits.filter(|d| *d != b"0" && d.iter().all(u8::is_ascii_digit)) {
            object.text(key, digits);
        }
    }
    for (key, value) in [(names[2], severity), (names[3], name)] {
        if let Some([b'"', _, .., b'"']) = value {
            object.name(key).extend_from_slice(value.unwrap_or_default());
        }
    }
    if let Some(body) = body {
        any(body, object.name("body"), 0)?;
    }
    let own = attributes(pairs, 0)?;
    if own != b"{}" {
        object.name("attributes").extend_from_slice(&own);
    }
    if !matches!(resource, b"" | b"{}") {
        object.name("resource").extend_from_slice(resource);
    }
    *scratch = object.end();
    cut.push(scratch);
    Ok(())
}

/// The values of these members, where the text is an object that has them; `null` is as good as none.
fn members<'a, const N: usize>(text: &'a [u8], names: [&str; N]) -> Result<[Option<&'a [u8]>; N], Odd> {
    let mut found = [None; N];
    let mut json = Json::new(text);
    json.object::<Fault>(|key, json| {
        let value = json.value()?;
        if let Some(at) = names.iter().position(|name| name.as_bytes() == key)
            && let Some(slot) = found.get_mut(at)
        {
            *slot = Some(value).filter(|v| *v != b"null");
        }
        Ok(())
    })?;
    if json.is_at_end() { Ok(found) } else { Err(Odd::Shape) }
}

/// Calls `each` with the elements of an array, if there is one.
fn elements<'a>(
    array: Option<&'a [u8]>,
    mut each: impl FnMut(&'a [u8]) -> Result<(), Odd>,
) -> Result<(), Odd> {
    let Some(array) = array else { return Ok(()) };
    Json::new(array).array(|json| each(json.value()?))
}

fn attributes(pairs: Option<&[u8]>, depth: usize) -> Result<Vec<u8>, Odd> {
    let mut out = b"{".to_vec();
    elements(pairs, |pair| {
        let [key, value] = members(pair, ["key", "value"])?;
        let Some(key) = key.filter(|k| k.starts_with(b"\"")) else { return Err(Odd::Shape) };
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend_from_slice(key);
        out.push(b':');
        match value {
            Some(value) => any(value, &mut out, depth + 1),
            None => {
                out.extend_from_slice(b"null");
                Ok(())
            }
        }
    })?;
    out.push(b'}');
    Ok(out)
}

fn any(value: &[u8], out: &mut Vec<u8>, depth: usize) -> Result<(), Odd> {
    if depth > MAX_DEPTH {
        return Err(Odd::Deep);
    }
    let names =
        ["stringValue", "boolValue", "doubleValue", "bytesValue", "intValue", "arrayValue", "kvlistValue"];
    let [text, is, double, bytes, int, array, list] = members(value, names)?;
    if let Some(plain) = text.or(is).or(double).or(bytes) {
        // A value that is not of its kind stays what it is: some JSON.
        out.extend_from_slice(plain);
    } else if let Some(int) = int {
        let digits = int.strip_prefix(b"\"").and_then(|i| i.strip_suffix(b"\"")).unwrap_or(int);
        let bare = digits.strip_prefix(b"-").unwrap_or(digits);
        let is_number = !bare.is_empty() && bare.len() < 20 && bare.iter().all(u8::is_ascii_digit);
        out.extend_from_slice(if is_number { digits } else { int });
    } else if let Some(array) = array {
        let [values] = members(array, ["values"])?;
        out.push(b'[');
        let mut first = true;
        elements(values, |value| {
            if !first {
                out.push(b',');
            }
            first = false;
            any(value, out, depth + 1)
        })?;
        out.push(b']');
    } else if let Some(list) = list {
        let [values] = members(list, ["values"])?;
        out.extend_from_slice(&attributes(values, depth)?);
    } else {
        out.extend_from_slice(b"null");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(logs: &str, expect: &[&str], dead: usize) {
        let message = format!(
            r#"{{"resourceLogs":[{{"scopeLogs":[{{"scope":{{}},"logRecords":[{logs}]}}],
               "resource":{{"attributes":[{{"key":"host.name","value":{{"stringValue":"edge"}}}}]}}}}]}}"#
        );
        let mut cut = Cut::new(1_000);
        super::cut(message.as_bytes(), &mut cut).expect("a request");
        let got: Vec<_> = cut.records.iter().map(|(r, _)| String::from_utf8_lossy(r).into_owned()).collect();
        assert_eq!((got, cut.dead()), (expect.iter().map(|e| e.to_string()).collect(), dead), "{logs}");
        for record in expect.iter().filter(|r| r.starts_with('{')) {
            serde_json::from_str::<serde_json::Value>(record).expect("JSON");
        }
    }

    #[test]
    fn text_is_the_record_and_else_all_that_is_known() {
        check(r#"{"body":{"stringValue":"a \"line\"\n"}}"#, &["a \"line\"\n"], 0);
        check(
            r#"{"timeUnixNano":"7","severityText":"INFO","body":{"kvlistValue":{"values":[
               {"key":"a","value":{"intValue":"-1"}},{"key":"b","value":{"arrayValue":{"values":[
               {"boolValue":true},{"doubleValue":1.5},{}]}}}]}},"attributes":[{"key":"x","value":{"intValue":3}}]}"#,
            &[concat!(
                r#"{"timeUnixNano":"7","severityText":"INFO","body":{"a":-1,"b":[true,1.5,null]},"#,
                r#""attributes":{"x":3},"resource":{"host.name":"edge"}}"#
            )],
            0,
        );
        check(
            r#"{"severityText":"WARN"}"#,
            &[r#"{"severityText":"WARN","resource":{"host.name":"edge"}}"#],
            0,
        );
    }

    #[test]
    fn a_record_that_cannot_be_read_is_a_dead_letter_of_its_own() {
        let deep = format!(
            r#"{{"body":{}{{}}{}}},{{"body":{{"stringValue":"next"}}}}"#,
            r#"{"arrayValue":{"values":["#.repeat(100),
            "]}}".repeat(100)
        );
        check(&deep, &["next"], 1);
        check(r#"{"body":7},{"body":{"stringValue":"next"}}"#, &["next"], 1);
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for odd in ["", "[]", "{", r#"{"resourceLogs":7}"#, r#"{"resourceLogs":[7]}"#, "{} x"] {
            assert!(super::cut(odd.as_bytes(), &mut Cut::new(100)).is_err(), "{odd}");
        }
        assert!(super::cut("[".repeat(100_000).as_bytes(), &mut Cut::new(100)).is_err());
        assert_eq!(super::cut(b"{}", &mut Cut::new(100)), Ok(()));
    }
}
