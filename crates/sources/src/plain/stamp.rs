//! Stamps in any spelling that says itself what it means.

use crate::decode::clock::{self, Clock, Stamp};
use crate::decode::find::find;
use crate::decode::kv;
use portreeve_model::time::EventTime;

pub(super) fn stamp(value: &str) -> Option<EventTime> {
    let text = value.as_bytes();
    // `Fri Jun 23 15:56:47 2023`.
    let text = match text {
        [a, b, c, b' ', rest @ ..]
            if [a, b, c].iter().all(|l| l.is_ascii_alphabetic())
                && !rest.starts_with(b" ")
                && rest.first().is_some_and(u8::is_ascii_alphabetic) =>
        {
            rest
        }
        text => text,
    };
    let read =
        clock::iso(text).or_else(|| clock::bsd(text)).or_else(|| named_month(text)).or_else(|| slashed(text));
    match read {
        Some((Stamp::Absolute(t), _)) => Some(t),
        Some((Stamp::Local(civil), used)) => {
            // `Aug 06 2025 14:15:28.009 CEST`.
            let zone = text.get(used..).unwrap_or_default();
            let east =
                clock::offset(zone).map(|(east, _)| east).or_else(|| clock::zone_name(zone.trim_ascii()));
            Clock::with_offset(civil, east.unwrap_or(0))
        }
        None if text.len() >= 9 && text.iter().all(|b| b.is_ascii_digit() || *b == b'.') => {
            clock::epoch(text)
        }
        None => None,
    }
}

/// `20-May-2024 09:08:10`, `10/Oct/2000:13:55:36 -0700`, as many applications and every web server write it.
pub(super) fn named_month(text: &[u8]) -> Option<(Stamp, usize)> {
    let between = *text.get(2).filter(|b| matches!(b, b'-' | b'/' | b' '))?;
    if text.get(6) != Some(&between) || !matches!(text.get(11), Some(b' ' | b':' | b'T')) {
        return None;
    }
    // In the order that the reader of BSD stamps knows.
    let mut turned = *b"Mmm dd yyyy hh:mm:ss";
    turned.get_mut(..3)?.copy_from_slice(text.get(3..6)?);
    turned.get_mut(4..6)?.copy_from_slice(text.get(..2)?);
    turned.get_mut(7..11)?.copy_from_slice(text.get(7..11)?);
    turned.get_mut(12..20)?.copy_from_slice(text.get(12..20)?);
    let (Stamp::Local(civil), _) = clock::bsd(&turned)? else { return None };
    match clock::offset(text.get(20..).unwrap_or_default()) {
        Some((east, used)) => Some((Stamp::Absolute(Clock::with_offset(civil, east)?), 20 + used)),
        None => Some((Stamp::Local(civil), 20)),
    }
}

/// `02/22/2026 02:22:20`, `22/02/2026 02:22:20`: only where one of the numbers can be no month.
pub(super) fn slashed(text: &[u8]) -> Option<(Stamp, usize)> {
    if text.get(2) != Some(&b'/') || text.get(5) != Some(&b'/') || text.get(10) != Some(&b' ') {
        return None;
    }
    let (a, b) = (kv::number(text.get(..2)?), kv::number(text.get(3..5)?));
    let (month, day) = match (a > 12, b > 12) {
        (true, false) => (text.get(3..5)?, text.get(..2)?),
        (false, true) => (text.get(..2)?, text.get(3..5)?),
        _ => return None,
    };
    let mut turned = *b"yyyy-mm-dd hh:mm:ss";
    turned.get_mut(..4)?.copy_from_slice(text.get(6..10)?);
    turned.get_mut(5..7)?.copy_from_slice(month);
    turned.get_mut(8..10)?.copy_from_slice(day);
    turned.get_mut(11..)?.copy_from_slice(text.get(11..19)?);
    let (stamp, used) = clock::iso(&turned)?;
    // Twelve hours are not read here.
    let rest = text.get(19..).unwrap_or_default();
    (find(rest, b"PM").is_none() && find(rest, b"AM").is_none()).then_some((stamp, used))
}

/// The first full stamp among the words at the front of a text.
pub(super) fn any_time(text: &[u8]) -> Option<EventTime> {
    let head = text.get(..text.len().min(200)).unwrap_or_default();
    let starts = head.iter().enumerate().filter(|(n, b)| {
        b.is_ascii_digit() && (*n == 0 || head.get(n - 1).is_some_and(|p| b" \t[(\"'=,".contains(p)))
    });
    for (n, _) in starts {
        let rest = head.get(n..).unwrap_or_default();
        if let Some((stamp, _)) = clock::iso(rest).or_else(|| named_month(rest)).or_else(|| slashed(rest)) {
            return match stamp {
                Stamp::Absolute(t) => Some(t),
                Stamp::Local(civil) => Clock::with_offset(civil, 0),
            };
        }
        let word = rest.split(|b| b.is_ascii_whitespace()).next().unwrap_or_default();
        if word.len() == 14 && word.get(10) == Some(&b'.') {
            return clock::epoch(word);
        }
    }
    None
}

/// A stamp at the front of a line: ISO, BSD, `Tue Aug 12 08:26:30 2025`, `2023/07/04:09:03:46`.
pub(super) fn leading(text: &[u8]) -> Option<(Stamp, usize)> {
    if let Some(found) = clock::iso(text).or_else(|| clock::bsd(text)) {
        return Some(found);
    }
    if text.get(3) == Some(&b' ')
        && let Some((stamp, used)) = clock::bsd(text.get(4..)?)
    {
        return Some((stamp, used + 4));
    }
    // Seconds since 1970 and a fraction: `1673596662.226844514 `.
    if text.get(10) == Some(&b'.') && text[..10].iter().all(u8::is_ascii_digit) {
        let end = memchr::memchr(b' ', text)?;
        return clock::epoch(&text[..end.min(17)]).map(|t| (Stamp::Absolute(t), end));
    }
    // The colon between day and hour is NetScaler's.
    let mut spaced = [0u8; 19];
    spaced.copy_from_slice(text.get(..19)?);
    if spaced[10] == b':' && spaced[4] == b'/' {
        spaced[10] = b' ';
        return clock::iso(&spaced).map(|(stamp, _)| (stamp, 19));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling() {
        for text in [
            "2026-03-04T05:06:07Z",
            "2026-03-04 05:06:07",
            "Mar 04 2026 05:06:07",
            "Mar 04 2026 06:06:07 CET",
            "Mar 04 2026 06:06:07+01:00",
            "Wed Mar 04 05:06:07 2026",
            "04-Mar-2026 05:06:07",
            "04/Mar/2026:06:06:07 +0100",
            "1772600767",
            "1772600767000",
        ] {
            assert_eq!(stamp(text).map(|t| t.to_string()).as_deref(), Some("2026-03-04T05:06:07Z"), "{text}");
        }
        assert_eq!(stamp("03/14/2026 05:06:07"), stamp("14/03/2026 05:06:07"));
        // Neither says which number is the month, and a date alone is no number of seconds.
        for text in ["03/04/2026 05:06:07", "2026-03-04", "2026", "", "soon"] {
            assert_eq!(stamp(text), None, "{text}");
        }
    }

    #[test]
    fn somewhere_in_a_text() {
        let show = |text: &str| any_time(text.as_bytes()).map(|t| t.to_string());
        assert_eq!(show("Info: 1772600767.563 481 x").as_deref(), Some("2026-03-04T05:06:07.563Z"));
        assert_eq!(show("x [2026-03-04 05:06:07] y").as_deref(), Some("2026-03-04T05:06:07Z"));
        assert_eq!(show("5 424805057484 eni"), None);
    }
}
