//! Time inside the simulation: milliseconds since 1970 in UTC, and how devices of each zone write them.

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Milliseconds since 1970-01-01T00:00:00Z.
pub(crate) type Millis = i64;

pub(crate) const SECOND: Millis = 1_000;
pub(crate) const MINUTE: Millis = 60 * SECOND;
pub(crate) const HOUR: Millis = 60 * MINUTE;
pub(crate) const DAY: Millis = 24 * HOUR;

/// A civil date and time with its offset from UTC, as a device in some zone would show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    pub(crate) month: usize,
    pub(crate) day: i64,
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    pub(crate) second: i64,
    pub(crate) milli: i64,
    /// Seconds east of UTC.
    pub(crate) offset: i64,
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl Civil {
    /// Days to civil date after Howard Hinnant's `civil_from_days`.
    pub(crate) fn at(utc: Millis, offset: i64) -> Civil {
        let local = utc + offset * SECOND;
        let (days, rest) = (local.div_euclid(DAY), local.rem_euclid(DAY));
        let z = days + 719_468;
        let era = z.div_euclid(146_097);
        let doe = z.rem_euclid(146_097);
        let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let month = if mp < 10 { mp + 3 } else { mp - 9 };
        Civil {
            year: yoe + era * 400 + i64::from(month <= 2),
            month: month as usize,
            day: doy - (153 * mp + 2) / 5 + 1,
            hour: rest / HOUR,
            minute: rest / MINUTE % 60,
            second: rest / SECOND % 60,
            milli: rest % SECOND,
            offset,
        }
    }

    pub(crate) fn utc(at: Millis) -> Civil {
        Civil::at(at, 0)
    }

    pub(crate) fn month_name(&self) -> &'static str {
        MONTHS.get(self.month.saturating_sub(1)).copied().unwrap_or("Jan")
    }

    /// `2026-03-02`
    pub(crate) fn date(&self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }

    /// `13:05:09`
    pub(crate) fn clock(&self) -> String {
        format!("{:02}:{:02}:{:02}", self.hour, self.minute, self.second)
    }

    /// `Mar  2 13:05:09`, the stamp of RFC 3164.
    pub(crate) fn bsd(&self) -> String {
        format!("{} {:2} {}", self.month_name(), self.day, self.clock())
    }

    /// `+02:00`
    pub(crate) fn offset_text(&self) -> String {
        let sign = if self.offset < 0 { '-' } else { '+' };
        let minutes = self.offset.abs() / 60;
        format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

/// `2026-03-02T13:05:09.123Z`
pub(crate) fn iso(at: Millis) -> String {
    let c = Civil::utc(at);
    format!("{}T{}.{:03}Z", c.date(), c.clock(), c.milli)
}

/// `2026-03-02T13:05:09Z`
pub(crate) fn iso_seconds(at: Millis) -> String {
    let c = Civil::utc(at);
    format!("{}T{}Z", c.date(), c.clock())
}

/// A zone of the tz database with the offset that holds at an instant.
#[derive(Clone, Debug)]
pub(crate) struct Zone {
    pub(crate) name: &'static str,
    rules: TimeZone,
}

impl Zone {
    /// A name the bundled database does not have is taken as UTC.
    pub(crate) fn named(name: &'static str) -> Zone {
        Zone { name, rules: TimeZone::get(name).unwrap_or(TimeZone::UTC) }
    }

    /// Seconds east of UTC.
    pub(crate) fn offset(&self, at: Millis) -> i64 {
        let stamp = Timestamp::from_millisecond(at).unwrap_or(Timestamp::UNIX_EPOCH);
        i64::from(self.rules.to_offset(stamp).seconds())
    }

    pub(crate) fn civil(&self, at: Millis) -> Civil {
        Civil::at(at, self.offset(at))
    }

    /// The instant of a local time of day, given as milliseconds after local midnight of the day that starts at
    /// `midnight_utc` by the calendar.
    pub(crate) fn instant(&self, midnight_utc: Millis, time_of_day: Millis) -> Millis {
        let guess = midnight_utc + time_of_day;
        guess - self.offset(guess) * SECOND
    }
}

/// Midnight UTC of a calendar date.
pub(crate) fn midnight(date: Date) -> Millis {
    date.to_zoned(TimeZone::UTC).map_or(0, |z| z.timestamp().as_millisecond())
}

pub(crate) fn is_weekend(date: Date) -> bool {
    matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday)
}

/// `date` moved by whole days.
pub(crate) fn plus_days(date: Date, days: i64) -> Date {
    date.checked_add(SignedDuration::from_hours(days.saturating_mul(24))).unwrap_or(date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn civil_agrees_with_the_calendar() {
        let at = midnight(Date::constant(2028, 2, 29)) + 13 * HOUR + 5 * MINUTE + 9 * SECOND + 7;
        assert_eq!(iso(at), "2028-02-29T13:05:09.007Z");
        assert_eq!(Civil::at(at, 3600).bsd(), "Feb 29 14:05:09");
        assert_eq!(Civil::at(at, -12_600).offset_text(), "-03:30");
        assert_eq!(plus_days(Date::constant(2028, 2, 29), 1), Date::constant(2028, 3, 1));
    }

    #[test]
    fn local_nine_o_clock_moves_with_summer_time() {
        let zone = Zone::named("Europe/Berlin");
        let winter = zone.instant(midnight(Date::constant(2026, 3, 27)), 9 * HOUR);
        let summer = zone.instant(midnight(Date::constant(2026, 3, 30)), 9 * HOUR);
        assert_eq!(
            (iso_seconds(winter), iso_seconds(summer)),
            ("2026-03-27T08:00:00Z".into(), "2026-03-30T07:00:00Z".into())
        );
    }
}
