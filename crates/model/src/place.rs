//! Where an address is: a point with a radius, never a bare city.

use crate::intern::Sym;
use crate::net::NetworkClass;

/// Degrees, WGS 84.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Point {
    pub lat: f32,
    pub lon: f32,
}

impl Point {
    /// Great-circle distance in kilometres, on a sphere of 6371 km.
    pub fn distance_km(self, other: Point) -> f32 {
        let (a, b) = (f64::from(self.lat).to_radians(), f64::from(other.lat).to_radians());
        let dlat = b - a;
        let dlon = f64::from(other.lon - self.lon).to_radians();
        let h = (dlat / 2.0).sin().powi(2) + a.cos() * b.cos() * (dlon / 2.0).sin().powi(2);
        (2.0 * 6371.0 * h.sqrt().min(1.0).asin()) as f32
    }
}

/// An ISO 3166 alpha-2 code; `Country::NONE` where unknown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Country(pub [u8; 2]);

impl Country {
    pub const NONE: Country = Country([0; 2]);

    pub fn parse(text: &str) -> Country {
        match text.trim().as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Country([a.to_ascii_uppercase(), b.to_ascii_uppercase()])
            }
            _ => Country::NONE,
        }
    }

    pub fn is_some(self) -> bool {
        self != Country::NONE
    }

    pub fn text(&self) -> &str {
        if self.is_some() { std::str::from_utf8(&self.0).unwrap_or("") } else { "" }
    }
}

impl std::fmt::Debug for Country {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_some() { self.text() } else { "-" })
    }
}

/// What context knows about an address, apart from intelligence (which depends on time).
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Place {
    pub country: Country,
    pub city: Sym,
    pub point: Option<Point>,
    /// Accuracy radius in kilometres; 0 where there is no point.
    pub radius_km: u16,
    /// 0 where unknown.
    pub asn: u32,
    pub as_name: Sym,
    pub class: NetworkClass,
    /// Name of the own egress, pool, VLAN or office that the address belongs to.
    pub label: Sym,
}

impl Place {
    /// The point, where it says something about where the person is.
    pub fn person_point(&self) -> Option<Point> {
        if self.class.place_says_nothing() || self.radius_km > 500 { None } else { self.point }
    }
}

/// Least distance between two areas in kilometres: centre distance less both radii, never negative.
pub fn least_distance_km(a: Point, a_radius_km: u16, b: Point, b_radius_km: u16) -> f32 {
    (a.distance_km(b) - f32::from(a_radius_km) - f32::from(b_radius_km)).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn munich_to_berlin_is_about_504_km() {
        let munich = Point { lat: 48.137, lon: 11.575 };
        let berlin = Point { lat: 52.52, lon: 13.405 };
        assert!((munich.distance_km(berlin) - 504.0).abs() < 3.0);
        assert_eq!(least_distance_km(munich, 300, berlin, 300), 0.0);
    }

    #[test]
    fn country_codes() {
        assert_eq!(Country::parse("de").text(), "DE");
        assert!(!Country::parse("Germany").is_some() && !Country::parse("").is_some());
    }
}
