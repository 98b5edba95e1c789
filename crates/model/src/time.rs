//! Event time: microseconds since the epoch, UTC, and how sure we are of it.

/// Microseconds since 1970-01-01T00:00:00Z. Event time, never arrival time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EventTime(pub i64);

pub const SECOND_US: i64 = 1_000_000;
pub const MINUTE_US: i64 = 60 * SECOND_US;
pub const HOUR_US: i64 = 60 * MINUTE_US;
pub const DAY_US: i64 = 24 * HOUR_US;

impl EventTime {
    pub const MIN: EventTime = EventTime(i64::MIN);
    pub const MAX: EventTime = EventTime(i64::MAX);

    pub fn from_unix(seconds: i64) -> Self {
        EventTime(seconds.saturating_mul(SECOND_US))
    }

    /// From civil UTC. Months and days outside their range roll over, as in a proleptic Gregorian calendar.
    pub fn from_civil(
        year: i32,
        month: u32,
        day: u32,
        hour: u32,
        minute: u32,
        second: u32,
        micros: u32,
    ) -> Self {
        let days = days_from_civil(i64::from(year), i64::from(month), i64::from(day));
        let seconds = days * 86_400 + i64::from(hour) * 3_600 + i64::from(minute) * 60 + i64::from(second);
        EventTime(seconds.saturating_mul(SECOND_US).saturating_add(i64::from(micros)))
    }

    pub fn micros(self) -> i64 {
        self.0
    }

    pub fn unix(self) -> i64 {
        self.0.div_euclid(SECOND_US)
    }

    /// Days since the epoch, UTC.
    pub fn day(self) -> i32 {
        i32::try_from(self.0.div_euclid(DAY_US)).unwrap_or(i32::MAX)
    }

    /// Hour of the UTC week, Monday 00:00 is 0, 167 the last.
    pub fn hour_of_week(self) -> u8 {
        // 1970-01-01 was a Thursday, three days after Monday.
        let hours = self.0.div_euclid(HOUR_US) + 3 * 24;
        u8::try_from(hours.rem_euclid(168)).unwrap_or(0)
    }

    pub fn minus(self, micros: i64) -> Self {
        EventTime(self.0.saturating_sub(micros))
    }

    pub fn plus(self, micros: i64) -> Self {
        EventTime(self.0.saturating_add(micros))
    }

    /// `self - earlier`, in microseconds; negative when `earlier` is in fact later.
    pub fn since(self, earlier: EventTime) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// (year, month, day, hour, minute, second, microsecond), UTC.
    pub fn civil(self) -> (i32, u32, u32, u32, u32, u32, u32) {
        let days = self.0.div_euclid(DAY_US);
        let rest = self.0.rem_euclid(DAY_US);
        let (y, m, d) = civil_from_days(days);
        let s = rest / SECOND_US;
        let part = |v: i64| u32::try_from(v).unwrap_or(0);
        (
            i32::try_from(y).unwrap_or(i32::MAX),
            part(m),
            part(d),
            part(s / 3_600),
            part(s / 60 % 60),
            part(s % 60),
            part(rest % SECOND_US),
        )
    }
}

/// RFC 3339 in UTC; microseconds only where there are any.
impl std::fmt::Display for EventTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (y, mo, d, h, mi, s, us) = self.civil();
        write!(f, "{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}")?;
        match us {
            0 => {}
            us if us % 1_000 == 0 => write!(f, ".{:03}", us / 1_000)?,
            us => write!(f, ".{us:06}")?,
        }
        f.write_str("Z")
    }
}

impl std::fmt::Debug for EventTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// How the event's time came about; the later variants are less certain.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(u8)]
pub enum Certainty {
    /// Date, year and zone stood in the record (or its zone is declared for this file).
    #[default]
    Exact,
    /// The year was missing and was inferred from its neighbours.
    YearAssumed,
    /// The zone was missing and UTC (or `--tz`) was assumed.
    ZoneAssumed,
    /// Year and zone were both missing.
    YearAndZoneAssumed,
    /// The device's clock was found off and the time was corrected by the estimate.
    Corrected,
    /// The device's clock is suspect and could not be corrected.
    ClockSuspect,
}

impl Certainty {
    pub fn name(self) -> &'static str {
        match self {
            Certainty::Exact => "exact",
            Certainty::YearAssumed => "year assumed",
            Certainty::ZoneAssumed => "zone assumed",
            Certainty::YearAndZoneAssumed => "year and zone assumed",
            Certainty::Corrected => "clock corrected",
            Certainty::ClockSuspect => "clock suspect",
        }
    }
}

// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms" (public domain).
fn days_from_civil(y: i64, m: i64, d: i64) -> i64 {
    let y = if m <= 2 { y - 1 } else { y };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let doy = (153 * (m + if m > 2 { -3 } else { 9 }) + 2) / 5 + d - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    era * 146_097 + doe - 719_468
}

fn civil_from_days(z: i64) -> (i64, i64, i64) {
    let z = z + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let d = doy - (153 * mp + 2) / 5 + 1;
    let m = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(m <= 2), m, d)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn civil_and_back() {
        for (y, mo, d) in [(1970, 1, 1), (2000, 2, 29), (2024, 12, 31), (2025, 3, 1), (1969, 12, 31)] {
            let t = EventTime::from_civil(y, mo, d, 23, 59, 58, 7);
            assert_eq!(t.civil(), (y, mo, d, 23, 59, 58, 7));
        }
        assert_eq!(EventTime::from_unix(1_761_500_000).to_string(), "2025-10-26T17:33:20Z");
    }

    #[test]
    fn week_starts_on_monday() {
        assert_eq!(EventTime::from_civil(2025, 10, 6, 0, 0, 0, 0).hour_of_week(), 0);
        assert_eq!(EventTime::from_civil(2025, 10, 12, 23, 59, 59, 0).hour_of_week(), 167);
    }

    #[test]
    fn prints_milliseconds_only_where_present() {
        assert_eq!(EventTime(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(EventTime(1_500).to_string(), "1970-01-01T00:00:00.001500Z");
        assert_eq!(EventTime(2_000).to_string(), "1970-01-01T00:00:00.002Z");
    }
}
