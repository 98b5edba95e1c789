//! Whose event is it? Number, channel and provider decide, and a dozen sources want to know: they are looked for once.

use super::event::{WinEvent, is_event};
use crate::decode::find::find;
use crate::decode::kv::number;
use crate::record::{Record, Shape};

/// What a record showed of a Windows event when it was first looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Look {
    #[default]
    NotYet,
    NoEvent,
    /// Its number, and where in the record its channel and its provider stand: from, length.
    Event(u32, [(u32, u32); 2]),
    /// An event whose names do not stand in the record as they are: escaped, or as text within text.
    Hidden,
}

/// Does a Windows event pass this test of its number, channel and provider?
pub(crate) fn claimed(r: &Record<'_>, test: impl Fn(u32, &[u8], &[u8]) -> bool) -> bool {
    let mut look = r.windows.get();
    if let Look::NotYet = look {
        look = first(r);
        r.windows.set(look);
    }
    let part = |(from, len): (u32, u32)| {
        usize::try_from(from).ok().and_then(|from| r.raw.get(from..)?.get(..usize::try_from(len).ok()?))
    };
    match look {
        Look::NotYet | Look::NoEvent => false,
        Look::Event(id, [channel, provider]) => match (part(channel), part(provider)) {
            (Some(channel), Some(provider)) => test(id, channel, provider),
            _ => false,
        },
        Look::Hidden => WinEvent::of(r).is_some_and(|e| test(e.id, &e.channel, &e.provider)),
    }
}

fn first(r: &Record<'_>) -> Look {
    let seen = |id: u32, names: [&[u8]; 2]| {
        if names.iter().any(|n| memchr::memchr(b'\\', n).is_some()) {
            return Look::Hidden;
        }
        match names.map(|n| place(r.raw, n)) {
            [Some(channel), Some(provider)] => Look::Event(id, [channel, provider]),
            _ => Look::Hidden,
        }
    };
    if r.shape == Shape::Json
        && let Some(head) = Head::of(r.body)
    {
        return seen(head.id, [head.channel, head.provider]);
    }
    if !is_event(r) {
        return Look::NoEvent;
    }
    match WinEvent::of(r) {
        Some(e) => seen(e.id, [&*e.channel, &*e.provider]),
        None => Look::NoEvent,
    }
}

/// Where a part of a text stands in it.
fn place(whole: &[u8], part: &[u8]) -> Option<(u32, u32)> {
    if part.is_empty() {
        return Some((0, 0));
    }
    let from = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    let end = from.checked_add(part.len()).filter(|end| *end <= whole.len())?;
    u32::try_from(end).ok()?;
    Some((u32::try_from(from).ok()?, u32::try_from(part.len()).ok()?))
}

/// The system's part of an event as event files are unpacked: `{"Event":{…"System":{…},"EventData":…}}`. The system's part
/// stands first; whatever a person wrote stands behind it, its quotes escaped.
pub(super) struct Head<'a> {
    pub(super) id: u32,
    pub(super) channel: &'a [u8],
    pub(super) provider: &'a [u8],
    system: &'a [u8],
    /// All that follows the system's part.
    pub(super) data: &'a [u8],
}

impl<'a> Head<'a> {
    pub(super) fn of(text: &'a [u8]) -> Option<Head<'a>> {
        if !text.starts_with(b"{\"Event") {
            return None;
        }
        // Its attributes, a name space, may stand before it.
        let from = find(text.get(..text.len().min(200))?, b"\"System\":{")? + 10;
        let rest = text.get(from..)?;
        let [data, user] = [&b"\"EventData\":"[..], b"\"UserData\":"].map(|n| find(rest, n));
        let (system, data) = rest.split_at_checked(data.into_iter().chain(user).min()?)?;
        let mut head = Head { id: 0, channel: b"", provider: b"", system, data };
        let number_at = system.get(find(system, b"\"EventID\":")? + 10..)?;
        let digits = number_at.strip_prefix(b"{\"#text\":").unwrap_or(number_at);
        let digits = digits.strip_prefix(b"\"").unwrap_or(digits);
        head.id = digits.first()?.is_ascii_digit().then(|| u32::try_from(number(digits)).ok())??;
        head.channel = head.quoted(b"\"Channel\":\"")?;
        head.provider = head.quoted(b"\"Name\":\"")?;
        Some(head)
    }

    /// A value of the system's part, by its key with quotes, colon and the quote that follows.
    pub(super) fn quoted(&self, key: &[u8]) -> Option<&'a [u8]> {
        let rest = self.system.get(find(self.system, key)? + key.len()..)?;
        rest.get(..memchr::memchr(b'"', rest)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::clock::Clock;

    const EVENT: &str = r##"{"Event":{"#attributes":{"xmlns":"x"},"System":{"Provider_attributes":{"Name":"P"},"EventID":4624,"TimeCreated_attributes":{"SystemTime":"2026-03-04T05:06:07Z"},"Channel":"Security","Computer":"WEB01"},"EventData":{"Channel":"System","Name":"x","Note":"\"EventData\":{\"Channel\":\"y\"}"}}}"##;

    fn seen(text: &str) -> Option<(u32, String, String)> {
        let clock = Clock::utc();
        let r = Record::bare(text.as_bytes(), &clock);
        let told = std::cell::RefCell::new(None);
        claimed(&r, |id, channel, provider| {
            let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
            *told.borrow_mut() = Some((id, text(channel), text(provider)));
            true
        });
        told.into_inner()
    }

    #[test]
    fn the_system_speaks_and_not_the_data() {
        let want = Some((4624, "Security".to_owned(), "P".to_owned()));
        assert_eq!(seen(EVENT), want);
        for number in [r#""4624""#, r##"{"#text":4624}"##, r##"{"#text":"4624"}"##] {
            assert_eq!(seen(&EVENT.replace("4624", number)), want, "{number}");
        }
        // Data before the system's part, and an event without a channel, are read in full.
        let (system, data) = EVENT.split_at(EVENT.find(",\"EventData\"").expect("data"));
        let data = data.trim_start_matches(',').trim_end_matches("}}");
        let system = system.replace("\"System\"", &format!("{data},\"System\""));
        assert_eq!(seen(&format!("{system}}}}}")), want);
        assert_eq!(
            seen(&EVENT.replacen("\"Channel\":\"Security\",", "", 1)),
            Some((4624, String::new(), "P".to_owned()))
        );
        // An escaped name is unescaped before it is compared.
        assert_eq!(
            seen(&EVENT.replace("Security", r"A\/Operational")),
            Some((4624, "A/Operational".to_owned(), "P".to_owned()))
        );
    }
}
