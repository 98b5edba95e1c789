//! Stamps, and the rules for what they leave out.
//!
//! A missing zone is the zone declared for the file, else `--tz`, else UTC (and the event says *zone assumed*).
//! A missing year is `--year`, else the year that puts the stamp nearest to the dated records around it, else
//! the newest year that does not put it after the file's own date (and the event says *year assumed*).
//! An hour that daylight saving repeats is taken as its first occurrence; one that it skips, as an hour later.

use jiff::civil;
use jiff::tz::TimeZone;
use portreeve_model::time::{Certainty, DAY_US, EventTime};

/// Civil time as a record gives it; `year` 0 where it gives none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Civil {
    pub year: i16,
    pub month: u8,
    pub day: u8,
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
    pub micros: u32,
}

/// The rules of one file.
#[derive(Clone, Debug)]
pub struct Clock {
    zone: Option<TimeZone>,
    /// The zone was declared for this file (`log_sources.csv`), not assumed.
    zone_declared: bool,
    /// `--year`.
    year: Option<i16>,
    /// Dated records of the run, or the file's own date: where a yearless stamp most likely belongs.
    near: Option<(EventTime, EventTime)>,
    /// Records without any stamp are kept, at `EventTime::MIN`: for `parse`, which prints what is there.
    untimed: bool,
}

impl Default for Clock {
    fn default() -> Self {
        Clock::utc()
    }
}

impl Clock {
    /// UTC assumed, nothing known about the year.
    pub fn utc() -> Clock {
        Clock { zone: None, zone_declared: false, year: None, near: None, untimed: false }
    }

    pub fn with_zone(mut self, zone: TimeZone, declared: bool) -> Clock {
        self.zone_declared = declared;
        self.zone = if zone == TimeZone::UTC { None } else { Some(zone) };
        self
    }

    pub fn with_year(mut self, year: Option<i16>) -> Clock {
        self.year = year;
        self
    }

    /// Keeps records without a stamp instead of calling them broken.
    pub fn keeping_untimed(mut self) -> Clock {
        self.untimed = true;
        self
    }

    pub(crate) fn keeps_untimed(&self) -> bool {
        self.untimed
    }

    /// Yearless stamps belong into or next to this span.
    pub fn near(mut self, first: EventTime, last: EventTime) -> Clock {
        self.near = Some((first, last));
        self
    }

    /// Local civil time of this file to event time. `None` for an impossible date.
    pub fn resolve(&self, civil: Civil) -> Option<(EventTime, Certainty)> {
        if !civil.is_possible() {
            return None;
        }
        self.resolve_with(civil, self.zone_declared, |civil| self.absolute(civil))
    }

    /// As [`Clock::resolve`], in a zone that the record names, seconds east of UTC.
    pub fn resolve_in(&self, civil: Civil, east: i32) -> Option<(EventTime, Certainty)> {
        if !civil.is_possible() {
            return None;
        }
        self.resolve_with(civil, true, |civil| Clock::with_offset(civil, east))
    }

    fn resolve_with(
        &self,
        civil: Civil,
        zone_known: bool,
        absolute: impl Fn(Civil) -> Option<EventTime>,
    ) -> Option<(EventTime, Certainty)> {
        if civil.year != 0 {
            let time = absolute(civil)?;
            return Some((time, if zone_known { Certainty::Exact } else { Certainty::ZoneAssumed }));
        }
        let time = match (self.year, self.near) {
            (Some(year), _) => absolute(Civil { year, ..civil })?,
            (None, Some((first, last))) => {
                let (newest, ..) = last.civil();
                let newest = i16::try_from(newest).ok()?;
                let distance = |t: EventTime| (first.0 - t.0).max(t.0 - last.0 - DAY_US).max(0);
                (newest - 1..=newest + 1)
                    .filter_map(|year| absolute(Civil { year, ..civil }))
                    .min_by_key(|t| (distance(*t), std::cmp::Reverse(t.0)))?
            }
            (None, None) => return None,
        };
        Some((time, if zone_known { Certainty::YearAssumed } else { Certainty::YearAndZoneAssumed }))
    }

    /// Civil time in a zone that the record names by offset, seconds east of UTC.
    pub fn with_offset(civil: Civil, offset_s: i32) -> Option<EventTime> {
        (civil.is_possible() && civil.year != 0).then(|| civil.utc().minus(i64::from(offset_s) * 1_000_000))
    }

    fn absolute(&self, civil: Civil) -> Option<EventTime> {
        let Some(zone) = &self.zone else { return civil.is_possible().then(|| civil.utc()) };
        let local = civil::date(civil.year, i8::try_from(civil.month).ok()?, i8::try_from(civil.day).ok()?)
            .at(
                i8::try_from(civil.hour).ok()?,
                i8::try_from(civil.minute).ok()?,
                i8::try_from(civil.second.min(59)).ok()?,
                0,
            );
        let stamp = zone.to_ambiguous_timestamp(local).compatible().ok()?;
        Some(EventTime::from_unix(stamp.as_second()).plus(i64::from(civil.micros)))
    }
}

impl Civil {
    pub fn is_possible(&self) -> bool {
        let leap = self.year == 0 || (self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0));
        let days = match self.month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 => 28 + u8::from(leap),
            _ => return false,
        };
        let year = self.year == 0 || (1970..=9998).contains(&self.year);
        year && (1..=days).contains(&self.day)
            && self.hour < 24
            && self.minute < 60
            && self.second <= 60
            && self.micros < 1_000_000
    }

    fn utc(&self) -> EventTime {
        EventTime::from_civil(
            i32::from(self.year),
            u32::from(self.month),
            u32::from(self.day),
            u32::from(self.hour),
            u32::from(self.minute),
            u32::from(self.second),
            self.micros,
        )
    }
}

/// Reads fixed-width numbers from bytes.
struct Digits<'a> {
    text: &'a [u8],
    at: usize,
}

impl Digits<'_> {
    fn number(&mut self, width: usize) -> Option<u32> {
        let part = self.text.get(self.at..self.at + width)?;
        let mut value = 0;
        for b in part {
            value = value * 10 + u32::from(b.is_ascii_digit().then(|| b - b'0')?);
        }
        self.at += width;
        Some(value)
    }

    fn skip(&mut self, one_of: &[u8]) -> Option<()> {
        one_of.contains(self.text.get(self.at)?).then(|| self.at += 1)
    }

    /// `.123`, `,123456` to microseconds; nothing gives 0.
    fn fraction(&mut self) -> u32 {
        if !matches!(self.text.get(self.at), Some(b'.' | b','))
            || !self.text.get(self.at + 1).is_some_and(u8::is_ascii_digit)
        {
            return 0;
        }
        self.at += 1;
        let (mut micros, mut scale) = (0, 100_000);
        while let Some(b) = self.text.get(self.at).filter(|b| b.is_ascii_digit()) {
            micros += u32::from(b - b'0') * scale;
            scale /= 10;
            self.at += 1;
        }
        micros
    }

    fn time_of_day(&mut self) -> Option<(u8, u8, u8, u32)> {
        let hour = self.number(2)?;
        self.skip(b":")?;
        let minute = self.number(2)?;
        self.skip(b":")?;
        let second = self.number(2)?;
        let micros = self.fraction();
        Some((hour as u8, minute as u8, second as u8, micros))
    }
}

/// A stamp that starts the text, and how many bytes it took.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stamp {
    Absolute(EventTime),
    Local(Civil),
}

/// Seconds east of UTC of the abbreviations that devices write. Those that mean different zones in different
/// countries (`IST`, `BST`, `AST`) are left out: the zone of such a file has to be declared.
pub fn zone_name(name: &[u8]) -> Option<i32> {
    let hours = match name {
        b"UTC" | b"GMT" | b"Z" | b"WET" => 0,
        b"CET" | b"MET" | b"WEST" => 1,
        b"CEST" | b"MEST" | b"EET" => 2,
        b"EEST" | b"MSK" => 3,
        b"SGT" | b"HKT" => 8,
        b"JST" | b"KST" => 9,
        b"AEST" => 10,
        b"AEDT" => 11,
        b"NZST" => 12,
        b"NZDT" => 13,
        b"EDT" => -4,
        b"EST" | b"CDT" => -5,
        b"CST" | b"MDT" => -6,
        b"MST" | b"PDT" => -7,
        b"PST" => -8,
        _ => return None,
    };
    Some(hours * 3_600)
}

/// `2025-10-23T07:21:42.337Z`, `2025-10-23 07:21:42,337+02:00`, `2025/10/23 07:21:42`: ISO 8601 and RFC 3339
/// with `T` or a blank, `-` or `/`, any fraction, a zone (`Z`, `+02:00`, `+0200`, ` +0200`) or none.
pub fn iso(text: &[u8]) -> Option<(Stamp, usize)> {
    let mut d = Digits { text, at: 0 };
    let year = d.number(4)?;
    d.skip(b"-/")?;
    let month = d.number(2)?;
    d.skip(b"-/")?;
    let day = d.number(2)?;
    d.skip(b"T _t")?;
    let (hour, minute, second, micros) = d.time_of_day()?;
    let civil = Civil {
        year: i16::try_from(year).ok()?,
        month: month as u8,
        day: day as u8,
        hour,
        minute,
        second,
        micros,
    };
    if !civil.is_possible() || civil.year == 0 {
        return None;
    }
    match offset(&text[d.at..]) {
        Some((seconds, used)) => Some((Stamp::Absolute(Clock::with_offset(civil, seconds)?), d.at + used)),
        None => Some((Stamp::Local(civil), d.at)),
    }
}

/// `Z`, `+02:00`, `-0730`, ` +0200`, `UTC`, ` GMT`: seconds east of UTC, and the bytes it took.
pub fn offset(text: &[u8]) -> Option<(i32, usize)> {
    let blank = usize::from(text.first() == Some(&b' '));
    let rest = &text[blank..];
    match rest {
        [b'Z' | b'z', ..] if blank == 0 => Some((0, 1)),
        [b'U', b'T', b'C', ..] | [b'G', b'M', b'T', ..] => Some((0, blank + 3)),
        [sign @ (b'+' | b'-'), ..] => {
            let mut d = Digits { text: rest, at: 1 };
            let hours = d.number(2)?;
            let colon = d.skip(b":").is_some();
            let minutes = match d.number(2) {
                Some(m) => m,
                // A record that was cut within them: no zone is off by one to nine minutes.
                None if colon && rest.get(d.at..) == Some(b"0") => 0,
                None if colon => return None,
                None => 0,
            };
            if hours > 15 || minutes > 59 {
                return None;
            }
            let seconds = i32::try_from(hours * 3_600 + minutes * 60).ok()?;
            Some((if *sign == b'-' { -seconds } else { seconds }, blank + d.at))
        }
        _ => None,
    }
}

/// `Oct 23 07:21:42`, `Oct  3 2025 07:21:42.337`, `Oct 23 07:21:42 2025`: BSD syslog and Cisco's variants.
pub fn bsd(text: &[u8]) -> Option<(Stamp, usize)> {
    let month = month(text.get(..3)?)?;
    let mut d = Digits { text, at: 3 };
    d.skip(b" ")?;
    let day = match text.get(4)? {
        b' ' => {
            d.at = 5;
            d.number(1)?
        }
        _ => match d.number(2) {
            Some(day) => day,
            None => d.number(1)?,
        },
    };
    d.skip(b" ")?;
    let mut year = 0;
    // Cisco: the year between day and time.
    if text.get(d.at + 4) == Some(&b' ') {
        year = d.number(4)?;
        d.skip(b" ")?;
    }
    let (hour, minute, second, micros) = d.time_of_day()?;
    // The year at the end, as `ctime` writes it.
    if year == 0 && text.get(d.at) == Some(&b' ') && !text.get(d.at + 5).is_some_and(u8::is_ascii_digit) {
        let mut ahead = Digits { text, at: d.at + 1 };
        if let Some(y @ 1970..=2200) = ahead.number(4)
            && matches!(text.get(ahead.at), None | Some(b' ' | b':' | b','))
        {
            year = y;
            d.at = ahead.at;
        }
    }
    let civil =
        Civil { year: i16::try_from(year).ok()?, month, day: day as u8, hour, minute, second, micros };
    civil.is_possible().then_some((Stamp::Local(civil), d.at))
}

/// `Jan` … `Dec`, any case.
pub fn month(name: &[u8]) -> Option<u8> {
    const MONTHS: [&[u8; 3]; 12] =
        [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];
    let at = MONTHS.iter().position(|m| name.eq_ignore_ascii_case(*m))?;
    u8::try_from(at + 1).ok()
}

/// Seconds, milliseconds, microseconds or nanoseconds since the epoch, told apart by their size; a fraction
/// after seconds is read.
pub fn epoch(text: &[u8]) -> Option<EventTime> {
    let text = text.trim_ascii();
    let whole = text.iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    if whole == 0 || whole > 19 {
        return None;
    }
    let n = text[..whole].iter().fold(0i64, |n, b| n.wrapping_mul(10).wrapping_add(i64::from(b - b'0')));
    let time = match whole {
        ..=11 => {
            let mut d = Digits { text, at: whole };
            let micros = d.fraction();
            EventTime::from_unix(n).plus(i64::from(micros))
        }
        12..=14 => EventTime(n.checked_mul(1_000)?),
        15..=17 => EventTime(n),
        _ => EventTime(n / 1_000),
    };
    (time.0 > 0).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> String {
        match iso(text.as_bytes()) {
            Some((Stamp::Absolute(t), _)) => t.to_string(),
            Some((Stamp::Local(c), _)) => format!("local {}", c.utc()),
            None => "none".to_owned(),
        }
    }

    #[test]
    fn iso_stamps() {
        assert_eq!(utc("2025-10-23T07:21:42.337Z"), "2025-10-23T07:21:42.337Z");
        assert_eq!(utc("2025-10-23T07:21:42.3370000+02:00 x"), "2025-10-23T05:21:42.337Z");
        assert_eq!(utc("2025-10-23 07:21:42.5 +0530"), "2025-10-23T01:51:42.500Z");
        assert_eq!(utc("2025/10/23 07:21:42"), "local 2025-10-23T07:21:42Z");
        // Cut within the zone's minutes, and before them.
        assert_eq!(utc("2025-10-23T07:21:42.337+02:0"), "2025-10-23T05:21:42.337Z");
        assert_eq!(utc("2025-10-23T07:21:42.337+02:"), "local 2025-10-23T07:21:42.337Z");
        for bad in [
            "2025-13-01T00:00:00Z",
            "2025-02-30T00:00:00Z",
            "2025-10-23T24:00:00Z",
            "2025-10-23",
            "",
            "0000-01-01T00:00:00Z",
        ] {
            assert_eq!(utc(bad), "none", "{bad}");
        }
    }

    fn civil(text: &str) -> Option<(i16, u8, u8, u8, usize)> {
        match bsd(text.as_bytes())? {
            (Stamp::Local(c), used) => Some((c.year, c.month, c.day, c.hour, used)),
            _ => None,
        }
    }

    #[test]
    fn bsd_stamps() {
        assert_eq!(civil("Oct 23 07:21:42 host"), Some((0, 10, 23, 7, 15)));
        assert_eq!(civil("Oct  3 07:21:42 host"), Some((0, 10, 3, 7, 15)));
        assert_eq!(civil("Oct 3 07:21:42 host"), Some((0, 10, 3, 7, 14)));
        assert_eq!(civil("Oct 23 2025 07:21:42 host"), Some((2025, 10, 23, 7, 20)));
        assert_eq!(civil("Oct 23 07:21:42 2025: x"), Some((2025, 10, 23, 7, 20)));
        assert_eq!(civil("Oct 23 07:21:42.337 CEST"), Some((0, 10, 23, 7, 19)));
        assert_eq!(civil("Okt 23 07:21:42"), None);
        assert_eq!(civil("Feb 30 07:21:42"), None);
    }

    #[test]
    fn a_missing_year_goes_to_the_dated_neighbours() {
        let first = EventTime::from_civil(2025, 10, 6, 0, 0, 0, 0);
        let last = EventTime::from_civil(2026, 1, 3, 0, 0, 0, 0);
        let clock = Clock::utc().near(first, last);
        let year = |month, day| {
            let c = Civil { year: 0, month, day, hour: 1, minute: 0, second: 0, micros: 0 };
            clock.resolve(c).expect("possible").0.civil().0
        };
        assert_eq!((year(12, 31), year(1, 1), year(10, 6)), (2025, 2026, 2025));
        let none = Clock::utc().resolve(Civil {
            year: 0,
            month: 1,
            day: 1,
            hour: 0,
            minute: 0,
            second: 0,
            micros: 0,
        });
        assert_eq!(none, None);
    }

    #[test]
    fn zones_and_their_changes() {
        let berlin = Clock::utc().with_zone(TimeZone::get("Europe/Berlin").expect("bundled"), true);
        let at = |month, day, hour, minute| {
            let c = Civil { year: 2025, month, day, hour, minute, second: 0, micros: 0 };
            berlin.resolve(c).expect("possible").0.to_string()
        };
        assert_eq!(at(7, 1, 12, 0), "2025-07-01T10:00:00Z");
        assert_eq!(at(12, 1, 12, 0), "2025-12-01T11:00:00Z");
        assert_eq!(at(10, 26, 2, 30), "2025-10-26T00:30:00Z"); // repeated hour: the first
        assert_eq!(at(3, 30, 2, 30), "2025-03-30T01:30:00Z"); // skipped hour: later
    }

    #[test]
    fn epochs_by_size() {
        for text in ["1761500000", "1761500000000", "1761500000000000", "1761500000000000000"] {
            assert_eq!(epoch(text.as_bytes()).expect("an epoch").unix(), 1_761_500_000, "{text}");
        }
        assert_eq!(epoch(b"1761500000.25").expect("an epoch").0, 1_761_500_000_250_000);
        assert_eq!(epoch(b"x"), None);
    }
}
