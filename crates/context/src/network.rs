//! What kind of network an operator runs, by its number or the words of its name.

use portreeve_model::net::NetworkClass;

/// Operators, from `data/networks.csv`.
pub(crate) struct Operators {
    numbers: Vec<(u32, NetworkClass)>,
    words: Vec<(&'static str, NetworkClass)>,
}

impl Default for Operators {
    fn default() -> Self {
        let (mut numbers, mut words) = (Vec::new(), Vec::new());
        for line in include_str!("../data/networks.csv").lines().skip(1).filter(|l| !l.starts_with('#')) {
            let Some((what, class)) = line.rsplit_once(',') else { continue };
            let Some(class) = class_of(class) else { continue };
            match what.strip_prefix("AS").and_then(|n| n.parse().ok()) {
                Some(number) => numbers.push((number, class)),
                None => words.push((what, class)),
            }
        }
        Operators { numbers, words }
    }
}

impl Operators {
    pub(crate) fn class(&self, asn: u32, name: &str) -> NetworkClass {
        if let Some((_, class)) = self.numbers.iter().find(|(n, _)| *n == asn) {
            return *class;
        }
        let name = name.to_lowercase();
        if name.is_empty() {
            return NetworkClass::Unknown;
        }
        self.words.iter().find(|(word, _)| name.contains(word)).map_or(NetworkClass::Unknown, |(_, c)| *c)
    }
}

pub(crate) fn class_of(word: &str) -> Option<NetworkClass> {
    Some(match word.trim() {
        "isp" | "residential" => NetworkClass::Isp,
        "mobile" | "cellular" => NetworkClass::Mobile,
        "business" | "corporate" => NetworkClass::Business,
        "hosting" | "datacenter" => NetworkClass::Hosting,
        "commercial_vpn" | "vpn" => NetworkClass::CommercialVpn,
        "tor" => NetworkClass::Tor,
        "relay" | "proxy" => NetworkClass::Relay,
        "satellite" => NetworkClass::Satellite,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators() {
        let o = Operators::default();
        let check = |asn, name, want| assert_eq!(o.class(asn, name), want, "{name}");
        check(64_500, "Zscaler, Inc.", NetworkClass::Relay);
        check(24_940, "Hetzner Online GmbH", NetworkClass::Hosting);
        check(64_500, "Example VPS Ltd", NetworkClass::Hosting);
        check(3_320, "Deutsche Telekom AG", NetworkClass::Isp);
        check(64_500, "NordVPN", NetworkClass::CommercialVpn);
        check(64_500, "Somebody", NetworkClass::Unknown);
    }
}
