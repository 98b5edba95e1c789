//! What every page has around it: who is signed in, how the sources are, which zone times are shown in.

use super::text::{Whole, span};
use jiff::Timestamp;
use jiff::tz::TimeZone;

#[derive(Clone, Debug, Default)]
pub struct Shell {
    /// Nobody on the pages before sign-in.
    pub me: Option<Me>,
    pub csrf: String,
    /// Path and query of this page: forms come back here.
    pub here: String,
    /// Microseconds since 1970; ages are counted from it.
    pub now: i64,
    pub zones: Zones,
    pub theme: Theme,
    pub health: Health,
    /// Cases that wait, by queue.
    pub escalate: i64,
    pub investigate: i64,
    /// Ids of verbs that this person may do to what the page shows.
    pub may: Vec<String>,
    /// What was just done, or why not.
    pub notice: Option<String>,
    pub undo: Option<Undo>,
}

#[derive(Clone, Debug, Default)]
pub struct Me {
    pub id: i64,
    pub name: String,
    pub display: String,
    /// Titles.
    pub roles: Vec<String>,
}

/// How the last step is taken back: a form with these fields.
#[derive(Clone, Debug, Default)]
pub struct Undo {
    pub says: String,
    pub action: String,
    pub fields: Vec<(String, String)>,
}

/// Whose clock times are shown by.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Zone {
    #[default]
    Utc,
    /// The analyst's.
    Mine,
    /// That of the user concerned, where a page is about one.
    Theirs,
}

#[derive(Clone, Debug, Default)]
pub struct Zones {
    pub chosen: Zone,
    /// IANA names; empty where not known.
    pub mine: String,
    pub theirs: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Theme {
    /// As the system has it.
    #[default]
    System,
    Light,
    Dark,
}

impl Theme {
    pub fn id(self) -> &'static str {
        match self {
            Theme::System => "system",
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }
}

/// How the sources are.
#[derive(Clone, Debug, Default)]
pub struct Health {
    pub last_event: Option<i64>,
    /// From the arrival of a record to the verdict that knows it.
    pub lag: Option<i64>,
    /// Percent of records understood or known to be of no concern.
    pub understood: Option<f64>,
    /// Sources that are silent and should not be, or lost records.
    pub gaps: usize,
    pub sources: Vec<SourceHealth>,
    /// What is wrong with the service itself, in words.
    pub problems: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub struct SourceHealth {
    pub name: String,
    pub product: String,
    pub door: String,
    pub last_event: Option<i64>,
    pub lag: Option<i64>,
    pub records: u64,
    pub understood: Option<f64>,
    /// From, to; no end: it is silent now.
    pub gaps: Vec<(i64, Option<i64>)>,
    /// What is wrong, in words.
    pub problems: Vec<String>,
}

impl SourceHealth {
    pub fn is_well(&self) -> bool {
        self.problems.is_empty() && self.gaps.iter().all(|g| g.1.is_some())
    }
}

impl Shell {
    pub fn may(&self, verb: &str) -> bool {
        self.may.iter().any(|v| v == verb)
    }

    /// The zone in force. A name that is no zone is as if none was given.
    fn zone(&self) -> (TimeZone, &str) {
        let name = match self.zones.chosen {
            Zone::Utc => "",
            Zone::Mine => &self.zones.mine,
            Zone::Theirs => &self.zones.theirs,
        };
        match TimeZone::get(name) {
            Ok(zone) if !name.is_empty() => (zone, name),
            _ => (TimeZone::UTC, "UTC"),
        }
    }

    pub fn zone_name(&self) -> String {
        self.zone().1.to_owned()
    }

    pub fn zone_is(&self, id: &str) -> bool {
        let chosen = match self.zones.chosen {
            Zone::Utc => "utc",
            Zone::Mine => "mine",
            Zone::Theirs => "theirs",
        };
        id == chosen
    }

    /// To the second, in the zone in force.
    pub fn at(&self, micros: impl Whole) -> String {
        match Timestamp::from_microsecond(micros.whole()) {
            Ok(t) => t.to_zoned(self.zone().0).strftime("%Y-%m-%d %H:%M:%S").to_string(),
            Err(_) => "no time".to_owned(),
        }
    }

    /// RFC 3339 in UTC, for machines and for the title.
    pub fn iso(&self, micros: impl Whole) -> String {
        Timestamp::from_microsecond(micros.whole()).map_or_else(|_| String::new(), |t| t.to_string())
    }

    /// A time that stands in a case as RFC 3339.
    pub fn stamp(&self, text: impl AsRef<str>) -> String {
        match text.as_ref().parse::<Timestamp>() {
            Ok(t) => self.at(t.as_microsecond()),
            Err(_) => text.as_ref().to_owned(),
        }
    }

    /// How long ago, or until then.
    pub fn age(&self, micros: impl Whole) -> String {
        span(self.now.saturating_sub(micros.whole()))
    }

    pub fn is_past(&self, micros: impl Whole) -> bool {
        micros.whole() < self.now
    }
}

pub(super) fn percent(value: &Option<f64>) -> String {
    value.map_or_else(|| "not known".to_owned(), |v| format!("{v:.1} %"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_moves_times_and_a_wrong_one_does_not() {
        let zones = Zones { chosen: Zone::Utc, mine: "Europe/Berlin".into(), theirs: "No/Where".into() };
        let mut shell = Shell { zones, ..Shell::default() };
        assert_eq!(shell.stamp("2026-03-04T08:00:00Z"), "2026-03-04 08:00:00");
        shell.zones.chosen = Zone::Mine;
        assert_eq!(shell.stamp("2026-07-04T08:00:00.5Z"), "2026-07-04 10:00:00");
        assert_eq!(shell.zone_name(), "Europe/Berlin");
        shell.zones.chosen = Zone::Theirs;
        assert_eq!(
            (shell.stamp("2026-07-04T08:00:00Z").as_str(), shell.zone_name().as_str()),
            ("2026-07-04 08:00:00", "UTC")
        );
        assert_eq!(shell.stamp("<b>"), "<b>");
    }
}
