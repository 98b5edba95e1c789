//! The time zone that somebody lives in, by where the directory says their home is.

use crate::app::App;
use portreeve_model::facts::Context;
use portreeve_model::place::Point;
use std::sync::LazyLock;

/// Part of the time zone database of every system: countries, coordinates, zone.
const TABLE: &str = "/usr/share/zoneinfo/zone1970.tab";

struct Zone {
    countries: String,
    at: Point,
    name: String,
}

static ZONES: LazyLock<Vec<Zone>> =
    LazyLock::new(|| std::fs::read_to_string(TABLE).map(|text| read(&text)).unwrap_or_default());

/// ISO 6709: `+5230+01322`, with seconds where there are seven digits.
fn degrees(text: &str) -> Option<f64> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1.0, digits),
        ("-", digits) => (-1.0, digits),
        _ => return None,
    };
    let whole = if digits.len() % 2 == 0 { 2 } else { 3 };
    let (degrees, rest) = digits.split_at_checked(whole)?;
    let minutes: f64 = rest.get(..2)?.parse().ok()?;
    let seconds: f64 = rest.get(2..).filter(|s| !s.is_empty()).map_or(Ok(0.0), str::parse).ok()?;
    Some(sign * (degrees.parse::<f64>().ok()? + minutes / 60.0 + seconds / 3_600.0))
}

fn read(text: &str) -> Vec<Zone> {
    let one = |line: &str| {
        let mut fields = line.split('\t');
        let (countries, place, name) = (fields.next()?, fields.next()?, fields.next()?);
        let second = place.char_indices().skip(1).find(|(_, c)| matches!(c, '+' | '-'))?.0;
        let (lat, lon) = place.split_at_checked(second)?;
        let at = Point { lat: degrees(lat)? as _, lon: degrees(lon)? as _ };
        Some(Zone { countries: countries.to_owned(), at, name: name.to_owned() })
    };
    text.lines().filter(|l| !l.starts_with('#')).filter_map(one).collect()
}

/// The nearest of the country's zones. Near enough: a zone is named by its largest city.
fn nearest<'z>(zones: &'z [Zone], country: &str, home: Point) -> Option<&'z str> {
    let own = zones.iter().filter(|z| z.countries.split(',').any(|c| c == country));
    let far = |z: &&Zone| {
        let (lat, lon) = (f64::from(z.at.lat - home.lat), f64::from(z.at.lon - home.lon));
        let lon = (lon.rem_euclid(360.0) + 180.0).rem_euclid(360.0) - 180.0;
        let lon = lon * f64::from(home.lat).to_radians().cos();
        lat * lat + lon * lon
    };
    own.min_by(|a, b| far(a).total_cmp(&far(b))).map(|z| z.name.as_str())
}

/// Empty where the directory says no home, or the system has no table.
pub(crate) fn of_user(app: &App, principal: &str) -> String {
    let grounds = app.grounds();
    let account = grounds.tables.account(grounds.names.intern(principal));
    let zone = account.home.and_then(|home| nearest(&ZONES, account.home_country.text(), home));
    zone.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOME: &str = "# comment\nDE,DK,NO\t+5230+01322\tEurope/Berlin\tmost\nUS\t+404251-0740023\tAmerica/New_York\tEastern\n\
                        US\t+340308-1181434\tAmerica/Los_Angeles\tPacific\nFJ\t-1808+17825\tPacific/Fiji\n";

    #[test]
    fn the_nearest_zone_of_the_country() {
        let zones = read(SOME);
        assert_eq!(zones.len(), 4);
        let at = |country, lat, lon| nearest(&zones, country, Point { lat, lon });
        assert_eq!(at("DE", 48.1, 11.6), Some("Europe/Berlin"));
        assert_eq!(at("US", 41.9, -87.6), Some("America/New_York"));
        assert_eq!(at("US", 37.8, -122.4), Some("America/Los_Angeles"));
        // Across the date line.
        assert_eq!(at("FJ", -17.0, -179.5), Some("Pacific/Fiji"));
        assert_eq!(at("FR", 48.8, 2.3), None);
        assert!(read("nonsense\nDE\t+x+y\tEurope/Berlin\n").is_empty());
    }
}
