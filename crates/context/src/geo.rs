//! Geo databases (MMDB): MaxMind's nested schema and the flat one of others.

use crate::error::Problem;
use maxminddb::Reader;
use portreeve_model::EventTime;
use portreeve_model::Ip;
use portreeve_model::place::{Country, Point};
use serde::Deserialize;
use std::path::Path;

/// Databases in the order given; each adds what the ones before left open.
#[derive(Default)]
pub(crate) struct Geo {
    readers: Vec<(String, Reader<Vec<u8>>)>,
    pub(crate) has_places: bool,
    pub(crate) has_networks: bool,
}

/// What the databases know of an address.
#[derive(Default, Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) country: Country,
    pub(crate) city: String,
    pub(crate) point: Option<Point>,
    pub(crate) radius_km: u16,
    pub(crate) asn: u32,
    pub(crate) as_name: String,
    /// Words of the database about the kind of network.
    pub(crate) kind: &'static str,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry<'a> {
    #[serde(borrow)]
    country: Option<Named<'a>>,
    #[serde(borrow)]
    country_code: Option<&'a str>,
    #[serde(borrow)]
    city: Option<Named<'a>>,
    #[serde(borrow)]
    location: Option<Location<'a>>,
    #[serde(borrow)]
    latitude: Option<Number<'a>>,
    #[serde(borrow)]
    longitude: Option<Number<'a>>,
    #[serde(borrow)]
    lat: Option<Number<'a>>,
    #[serde(borrow)]
    lng: Option<Number<'a>>,
    #[serde(borrow)]
    loc: Option<&'a str>,
    autonomous_system_number: Option<u32>,
    #[serde(borrow)]
    autonomous_system_organization: Option<&'a str>,
    #[serde(borrow)]
    asn: Option<Number<'a>>,
    #[serde(borrow)]
    as_name: Option<&'a str>,
    #[serde(borrow)]
    name: Option<&'a str>,
    #[serde(borrow)]
    organization: Option<&'a str>,
    #[serde(borrow, rename = "type")]
    kind: Option<&'a str>,
    traits: Option<Traits>,
    is_anonymous_vpn: Option<bool>,
    is_hosting_provider: Option<bool>,
    is_tor_exit_node: Option<bool>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Named<'a> {
    #[serde(borrow)]
    Plain(&'a str),
    #[serde(borrow)]
    Nested(Nested<'a>),
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Nested<'a> {
    #[serde(borrow)]
    iso_code: Option<&'a str>,
    #[serde(borrow)]
    names: Option<Names<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Names<'a> {
    #[serde(borrow)]
    en: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Location<'a> {
    #[serde(borrow)]
    Text(&'a str),
    Point(Coordinates),
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Coordinates {
    latitude: Option<f64>,
    longitude: Option<f64>,
    accuracy_radius: Option<u16>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Number<'a> {
    Number(f64),
    #[serde(borrow)]
    Text(&'a str),
}

impl Number<'_> {
    fn value(&self) -> Option<f64> {
        match self {
            Number::Number(n) => Some(*n),
            Number::Text(t) => t.trim_start_matches("AS").trim().parse().ok(),
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Traits {
    is_anonymous_vpn: Option<bool>,
    is_hosting_provider: Option<bool>,
    is_tor_exit_node: Option<bool>,
    is_satellite_provider: Option<bool>,
}

impl Geo {
    pub(crate) fn add(&mut self, path: &Path, problems: &mut Vec<Problem>) {
        let file = path.display().to_string();
        match Reader::open_readfile(path) {
            Ok(reader) => {
                let kind = reader.metadata().database_type.to_ascii_lowercase();
                let asn = kind.contains("asn") || kind.contains("isp");
                self.has_networks |= asn || kind.contains("enterprise") || kind.contains("ipinfo");
                self.has_places |= !asn;
                self.readers.push((file, reader));
            }
            Err(error) => problems.push(Problem {
                file,
                line: 0,
                text: format!("{error}; this is no MMDB database, or it is cut off"),
            }),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.readers.is_empty()
    }

    /// When each database was built.
    pub(crate) fn built(&self) -> impl Iterator<Item = (&str, EventTime)> {
        self.readers.iter().map(|(f, r)| {
            (f.as_str(), EventTime::from_unix(i64::try_from(r.metadata().build_epoch).unwrap_or(0)))
        })
    }

    pub(crate) fn find(&self, ip: Ip) -> Found {
        let mut found = Found::default();
        for (_, reader) in &self.readers {
            let Ok(hit) = reader.lookup(ip.to_std()) else { continue };
            if let Ok(Some(entry)) = hit.decode::<Entry<'_>>() {
                found.take(&entry);
            }
        }
        found
    }
}

impl Found {
    fn take(&mut self, e: &Entry<'_>) {
        let code = match &e.country {
            Some(Named::Plain(code)) => Some(*code),
            Some(Named::Nested(n)) => n.iso_code,
            None => None,
        };
        if !self.country.is_some() {
            self.country = Country::parse(code.or(e.country_code).unwrap_or(""));
        }
        if self.city.is_empty() {
            self.city = match &e.city {
                Some(Named::Plain(name)) => (*name).to_owned(),
                Some(Named::Nested(n)) => n.names.as_ref().and_then(|n| n.en).unwrap_or("").to_owned(),
                None => String::new(),
            };
        }
        if self.point.is_none() {
            let number = |n: &Option<Number<'_>>| n.as_ref().and_then(Number::value);
            let (lat, lon, radius) = match &e.location {
                Some(Location::Point(c)) => (c.latitude, c.longitude, c.accuracy_radius),
                Some(Location::Text(t)) => pair(t),
                None => match e.loc {
                    Some(t) => pair(t),
                    None => (
                        number(&e.latitude).or(number(&e.lat)),
                        number(&e.longitude).or(number(&e.lng)),
                        None,
                    ),
                },
            };
            if let (Some(lat), Some(lon)) = (lat, lon) {
                self.point = Some(Point { lat: lat as f32, lon: lon as f32 });
                self.radius_km = radius.unwrap_or(50);
            }
        }
        if self.asn == 0 {
            let flat = e.asn.as_ref().and_then(Number::value).map(|n| n as u32);
            self.asn = e.autonomous_system_number.or(flat).unwrap_or(0);
            self.as_name = e
                .autonomous_system_organization
                .or(e.as_name)
                .or(e.organization)
                .or(e.name)
                .unwrap_or("")
                .to_owned();
        }
        let traits = e.traits.as_ref();
        let is = |flat: Option<bool>, nested: Option<bool>| flat.or(nested) == Some(true);
        if is(e.is_tor_exit_node, traits.and_then(|t| t.is_tor_exit_node)) {
            self.kind = "tor";
        } else if is(e.is_anonymous_vpn, traits.and_then(|t| t.is_anonymous_vpn)) {
            self.kind = "vpn";
        } else if is(e.is_hosting_provider, traits.and_then(|t| t.is_hosting_provider)) {
            self.kind = "hosting";
        } else if is(None, traits.and_then(|t| t.is_satellite_provider)) {
            self.kind = "satellite";
        } else if self.kind.is_empty() {
            self.kind = match e.kind {
                Some("hosting") => "hosting",
                Some("isp") => "isp",
                Some("business") => "business",
                _ => "",
            };
        }
    }
}

/// `52.4,4.9`.
fn pair(text: &str) -> (Option<f64>, Option<f64>, Option<u16>) {
    match text.split_once(',') {
        Some((lat, lon)) => (lat.trim().parse().ok(), lon.trim().parse().ok(), None),
        None => (None, None, None),
    }
}
