//! Is the context fit to judge with? Age, gaps, contradictions.

use crate::tables::Tables;
use portreeve_model::EventTime;
use portreeve_model::facts::Context;
use portreeve_model::time::DAY_US;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    Ok,
    Warn,
    Error,
}

/// One observation and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub level: Level,
    pub what: String,
    pub remedy: String,
}

impl Tables {
    /// Looks the context over as of `now`.
    pub fn doctor(&self, now: EventTime) -> Vec<Finding> {
        let mut all = Vec::new();
        let mut add =
            |level, what: String, remedy: &str| all.push(Finding { level, what, remedy: remedy.to_owned() });
        for (file, built) in self.geo.built() {
            let days = now.since(built) / DAY_US;
            let level = if days > 90 { Level::Warn } else { Level::Ok };
            add(
                level,
                format!("{file}: geo database built {days} days ago"),
                if days > 90 { "Addresses change hands: get a newer one." } else { "" },
            );
        }
        if self.geo.is_empty() {
            add(
                Level::Warn,
                "no geo database: places and networks are unknown".to_owned(),
                "Give --geo and --asn, or put MMDB files into the context's geo folder.",
            );
        }
        for list in &self.intel.lists {
            let age = list.dated.map(|d| now.since(d) / DAY_US);
            let (level, text) = match age {
                Some(days) if days > 30 => (Level::Warn, format!("{days} days old")),
                Some(days) => (Level::Ok, format!("{days} days old")),
                None => (Level::Ok, "undated".to_owned()),
            };
            add(
                level,
                format!("{}: {} entries, {text}", list.name, list.entries),
                if level == Level::Warn { "Stale entries name addresses that changed hands." } else { "" },
            );
        }
        let (people, homeless) = self.people();
        if people > 0 {
            let level = if homeless > 0 { Level::Warn } else { Level::Ok };
            add(
                level,
                format!("users.csv: {people} accounts, {homeless} without a home place"),
                if homeless > 0 {
                    "Give home_city and home_lat, home_lon: without them only history tells where a person is usual."
                } else {
                    ""
                },
            );
        }
        let c = self.coverage();
        for (given, what) in [
            (c.directory, "users.csv"),
            (c.travel, "travel.csv"),
            (c.mfa_policy, "mfa_policy.csv"),
            (c.vpn_pools, "vpn_pools.csv"),
            (c.vlans, "vlans.csv"),
            (c.assets, "assets.csv"),
            (c.egress, "egress.csv"),
            (c.intel, "intel/"),
        ] {
            if !given {
                add(
                    Level::Warn,
                    format!("no {what}"),
                    "Optional; what it would tell is answered as unknown.",
                );
            }
        }
        for warning in self.warnings() {
            add(Level::Warn, warning.clone(), "");
        }
        all
    }
}
