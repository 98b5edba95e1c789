//! Times and zones on the command line.

use jiff::tz::TimeZone;
use portreeve_model::EventTime;

/// `2026-11-02T10:00:00Z`, with any offset, or a day (`2026-11-02`, its beginning in UTC).
pub(crate) fn time(text: &str) -> Result<EventTime, String> {
    if let Ok(stamp) = text.parse::<jiff::Timestamp>() {
        return Ok(EventTime(stamp.as_microsecond()));
    }
    if let Ok(date) = text.parse::<jiff::civil::Date>()
        && let Ok(zoned) = date.to_zoned(TimeZone::UTC)
    {
        return Ok(EventTime(zoned.timestamp().as_microsecond()));
    }
    Err(format!("`{text}` is no time: write 2026-11-02 or 2026-11-02T10:00:00Z"))
}

/// The clock of the machine: for what a person typed just now.
pub(crate) fn now() -> EventTime {
    EventTime(jiff::Timestamp::now().as_microsecond())
}

/// `Europe/Berlin`, `UTC`, `+02:00`.
pub(crate) fn zone(text: &str) -> Result<TimeZone, String> {
    if let Ok(zone) = TimeZone::get(text) {
        return Ok(zone);
    }
    let (sign, digits) = match text.as_bytes() {
        [b'+', ..] => (1, &text[1..]),
        [b'-', ..] => (-1, &text[1..]),
        _ => (0, ""),
    };
    let digits: String = digits.chars().filter(|c| *c != ':').collect();
    if sign != 0
        && digits.len() == 4
        && let (Ok(h), Ok(m)) = (digits[..2].parse::<i32>(), digits[2..].parse::<i32>())
        && let Ok(offset) = jiff::tz::Offset::from_seconds(sign * (h * 3_600 + m * 60))
    {
        return Ok(TimeZone::fixed(offset));
    }
    Err(format!("`{text}` is no time zone: write Europe/Berlin, UTC or +02:00"))
}
