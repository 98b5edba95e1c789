//! The world around the company: countries it may live in, cities people come from, and networks.

use portreeve_model::place::Point;

use crate::gazetteer::NetworkKind::{Business, CommercialVpn, Hosting, Isp, Mobile, Relay, Tor};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct City {
    pub(crate) name: &'static str,
    pub(crate) region: &'static str,
    /// ISO 3166 alpha-2.
    pub(crate) country: &'static str,
    pub(crate) country_name: &'static str,
    pub(crate) lat: f64,
    pub(crate) lon: f64,
    pub(crate) zone: &'static str,
}

/// A country the company can have offices in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Country {
    pub(crate) code: &'static str,
    pub(crate) zone: &'static str,
    /// Offices, the first being the main one of the country; people live in all of them.
    pub(crate) cities: &'static [&'static str],
    pub(crate) first_names: &'static [&'static str],
    pub(crate) last_names: &'static [&'static str],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NetworkKind {
    Isp,
    Mobile,
    Business,
    Hosting,
    CommercialVpn,
    Tor,
    /// Cloud proxy: the place of its egress says nothing about the person.
    Relay,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Network {
    pub(crate) asn: u32,
    pub(crate) name: &'static str,
    pub(crate) kind: NetworkKind,
    /// Country codes, or city names where it is in some cities only.
    places: &'static [&'static str],
}

impl Network {
    pub(crate) fn is_in(&self, city: &City) -> bool {
        self.places.contains(&city.country) || self.places.contains(&city.name)
    }
}

macro_rules! city {
    ($name:literal, $region:literal, $cc:literal, $country:literal, $lat:literal, $lon:literal, $zone:literal) => {
        City {
            name: $name,
            region: $region,
            country: $cc,
            country_name: $country,
            lat: $lat,
            lon: $lon,
            zone: $zone,
        }
    };
}

pub(crate) const CITIES: &[City] = &[
    city!("Hamburg", "Hamburg", "DE", "Germany", 53.551, 9.994, "Europe/Berlin"),
    city!("Bremen", "Bremen", "DE", "Germany", 53.079, 8.802, "Europe/Berlin"),
    city!("Leipzig", "Saxony", "DE", "Germany", 51.340, 12.375, "Europe/Berlin"),
    city!("Halifax", "Nova Scotia", "CA", "Canada", 44.649, -63.575, "America/Halifax"),
    city!("Moncton", "New Brunswick", "CA", "Canada", 46.088, -64.778, "America/Halifax"),
    city!("Porto", "Porto", "PT", "Portugal", 41.149, -8.611, "Europe/Lisbon"),
    city!("Coimbra", "Coimbra", "PT", "Portugal", 40.211, -8.429, "Europe/Lisbon"),
    city!("Gothenburg", "Vastra Gotaland", "SE", "Sweden", 57.709, 11.975, "Europe/Stockholm"),
    city!("Linkoping", "Ostergotland", "SE", "Sweden", 58.411, 15.621, "Europe/Stockholm"),
    city!("Toulouse", "Occitanie", "FR", "France", 43.605, 1.444, "Europe/Paris"),
    city!("Paris", "Ile-de-France", "FR", "France", 48.857, 2.352, "Europe/Paris"),
    city!("Amsterdam", "North Holland", "NL", "Netherlands", 52.374, 4.890, "Europe/Amsterdam"),
    city!("London", "England", "GB", "United Kingdom", 51.507, -0.128, "Europe/London"),
    city!("Warsaw", "Mazovia", "PL", "Poland", 52.230, 21.012, "Europe/Warsaw"),
    city!("Athens", "Attica", "GR", "Greece", 37.984, 23.728, "Europe/Athens"),
    city!("Palma", "Balearic Islands", "ES", "Spain", 39.570, 2.650, "Europe/Madrid"),
    city!("Vienna", "Vienna", "AT", "Austria", 48.208, 16.373, "Europe/Vienna"),
    city!("Bucharest", "Bucharest", "RO", "Romania", 44.426, 26.102, "Europe/Bucharest"),
    city!("Chisinau", "Chisinau", "MD", "Moldova", 47.010, 28.864, "Europe/Chisinau"),
    city!("Lagos", "Lagos", "NG", "Nigeria", 6.455, 3.394, "Africa/Lagos"),
    city!("Sao Paulo", "Sao Paulo", "BR", "Brazil", -23.551, -46.633, "America/Sao_Paulo"),
    city!("Hanoi", "Hanoi", "VN", "Vietnam", 21.028, 105.854, "Asia/Ho_Chi_Minh"),
    city!("Jakarta", "Jakarta", "ID", "Indonesia", -6.209, 106.846, "Asia/Jakarta"),
    city!("Singapore", "Singapore", "SG", "Singapore", 1.352, 103.820, "Asia/Singapore"),
    city!("Ashburn", "Virginia", "US", "United States", 39.044, -77.487, "America/New_York"),
    city!("Chicago", "Illinois", "US", "United States", 41.878, -87.630, "America/Chicago"),
];

pub(crate) const NETWORKS: &[Network] = &[
    Network { asn: 3320, name: "Deutsche Telekom AG", kind: Isp, places: &["DE"] },
    Network { asn: 3209, name: "Vodafone GmbH", kind: Isp, places: &["DE"] },
    Network { asn: 6805, name: "Telefonica Germany GmbH & Co. OHG", kind: Mobile, places: &["Hamburg"] },
    Network { asn: 855, name: "Bell Canada", kind: Isp, places: &["CA"] },
    Network { asn: 11260, name: "EASTLINK-HSI", kind: Isp, places: &["CA"] },
    Network { asn: 852, name: "TELUS Communications Inc.", kind: Mobile, places: &["Halifax"] },
    Network {
        asn: 3243,
        name: "MEO - Servicos de Comunicacoes e Multimedia S.A.",
        kind: Isp,
        places: &["PT"],
    },
    Network { asn: 2860, name: "NOS Comunicacoes, S.A.", kind: Isp, places: &["PT"] },
    Network { asn: 12353, name: "Vodafone Portugal", kind: Mobile, places: &["Porto"] },
    Network { asn: 3301, name: "Telia Company AB", kind: Isp, places: &["SE"] },
    Network { asn: 8473, name: "Bahnhof AB", kind: Isp, places: &["SE"] },
    Network { asn: 44034, name: "Hi3G Access AB", kind: Mobile, places: &["Gothenburg"] },
    Network { asn: 3215, name: "Orange S.A.", kind: Isp, places: &["FR"] },
    Network { asn: 1136, name: "KPN B.V.", kind: Isp, places: &["NL"] },
    Network { asn: 2856, name: "British Telecommunications PLC", kind: Isp, places: &["GB"] },
    Network { asn: 5617, name: "Orange Polska Spolka Akcyjna", kind: Isp, places: &["PL"] },
    Network {
        asn: 6799,
        name: "Ote SA (Hellenic Telecommunications Organisation)",
        kind: Isp,
        places: &["GR"],
    },
    Network { asn: 3352, name: "Telefonica De Espana S.a.u.", kind: Isp, places: &["ES"] },
    Network { asn: 8447, name: "A1 Telekom Austria AG", kind: Isp, places: &["AT"] },
    Network { asn: 8708, name: "DIGI ROMANIA S.A.", kind: Isp, places: &["RO"] },
    Network { asn: 8926, name: "Moldtelecom SA", kind: Isp, places: &["MD"] },
    Network { asn: 29465, name: "MTN NIGERIA Communication limited", kind: Isp, places: &["NG"] },
    Network { asn: 27699, name: "TELEFONICA BRASIL S.A", kind: Isp, places: &["BR"] },
    Network { asn: 7552, name: "Viettel Group", kind: Isp, places: &["VN"] },
    Network { asn: 7713, name: "PT Telekomunikasi Indonesia", kind: Isp, places: &["ID"] },
    Network { asn: 7922, name: "COMCAST-7922", kind: Isp, places: &["US"] },
    Network {
        asn: 8220,
        name: "COLT Technology Services Group Limited",
        kind: Business,
        places: &["DE", "PT", "SE"],
    },
    Network { asn: 577, name: "BACOM", kind: Business, places: &["CA"] },
    Network {
        asn: 14061,
        name: "DIGITALOCEAN-ASN",
        kind: Hosting,
        places: &["Amsterdam", "Singapore", "London"],
    },
    Network { asn: 24940, name: "Hetzner Online GmbH", kind: Hosting, places: &["Leipzig", "Ashburn"] },
    Network { asn: 16276, name: "OVH SAS", kind: Hosting, places: &["Paris", "Warsaw"] },
    Network { asn: 20473, name: "AS-VULTR", kind: Hosting, places: &["Chicago", "Singapore"] },
    Network { asn: 9009, name: "M247 Europe SRL", kind: Hosting, places: &["Bucharest", "Vienna"] },
    Network { asn: 16509, name: "AMAZON-02", kind: Hosting, places: &["Ashburn"] },
    Network {
        asn: 212238,
        name: "Datacamp Limited",
        kind: CommercialVpn,
        places: &["London", "Paris", "Warsaw", "Vienna"],
    },
    Network { asn: 39351, name: "31173 Services AB", kind: CommercialVpn, places: &["Amsterdam"] },
    Network { asn: 60729, name: "Stiftung Erneuerbare Freiheit", kind: Tor, places: &["Amsterdam"] },
    Network {
        asn: 22616,
        name: "ZSCALER-SJC",
        kind: Relay,
        places: &["Hamburg", "Halifax", "Porto", "Gothenburg", "Amsterdam", "Chicago"],
    },
];

pub(crate) const COUNTRIES: &[Country] = &[
    Country {
        code: "DE",
        zone: "Europe/Berlin",
        cities: &["Hamburg", "Bremen", "Leipzig"],
        first_names: &[
            "Anna", "Bernd", "Carla", "Dirk", "Elke", "Frieda", "Gero", "Hanna", "Ingo", "Jule", "Kai",
            "Lena", "Malte", "Nele", "Oskar", "Paula", "Ralf", "Silke", "Tom", "Ute", "Volker", "Wiebke",
        ],
        last_names: &[
            "Ahrens", "Brandt", "Claasen", "Dreyer", "Ehlers", "Fock", "Gerdes", "Hinrichs", "Jansen",
            "Kruse", "Lorenz", "Matthies", "Nissen", "Ohlsen", "Petersen", "Reimers", "Stahmer", "Thomsen",
            "Voss", "Wulff",
        ],
    },
    Country {
        code: "CA",
        zone: "America/Halifax",
        cities: &["Halifax", "Moncton"],
        first_names: &[
            "Alice", "Bob", "Carol", "Dave", "Erin", "Frank", "Grace", "Heidi", "Ivan", "Judy", "Kent",
            "Leah", "Mallory", "Niaj", "Olivia", "Peggy", "Rupert", "Sybil", "Trent", "Victor", "Wendy",
        ],
        last_names: &[
            "Boudreau",
            "Comeau",
            "Doucette",
            "Eisnor",
            "Fougere",
            "Gallant",
            "Hebb",
            "Isnor",
            "Joudrey",
            "Keddy",
            "LeBlanc",
            "MacInnis",
            "Naugler",
            "Oickle",
            "Publicover",
            "Rafuse",
            "Surette",
            "Tanner",
            "Veinotte",
        ],
    },
    Country {
        code: "PT",
        zone: "Europe/Lisbon",
        cities: &["Porto", "Coimbra"],
        first_names: &[
            "Ana", "Bruno", "Catarina", "Duarte", "Eva", "Filipe", "Gisela", "Hugo", "Ines", "Joel", "Lara",
            "Marco", "Nuno", "Olga", "Pedro", "Rita", "Sara", "Tiago", "Vera", "Xavier",
        ],
        last_names: &[
            "Alves",
            "Barros",
            "Couto",
            "Dias",
            "Esteves",
            "Faria",
            "Gomes",
            "Henriques",
            "Leite",
            "Moura",
            "Neves",
            "Paiva",
            "Queiroz",
            "Rocha",
            "Seixas",
            "Teles",
            "Vaz",
            "Ximenes",
        ],
    },
    Country {
        code: "SE",
        zone: "Europe/Stockholm",
        cities: &["Gothenburg", "Linkoping"],
        first_names: &[
            "Agnes", "Bo", "Cecilia", "David", "Ebba", "Folke", "Greta", "Hugo", "Ida", "Jonas", "Klara",
            "Lars", "Maja", "Nils", "Oskar", "Pia", "Rolf", "Siv", "Ture", "Ylva",
        ],
        last_names: &[
            "Ahl", "Berg", "Cronberg", "Dahl", "Ek", "Forss", "Grahn", "Holm", "Isberg", "Jern", "Kihl",
            "Lund", "Malm", "Norling", "Oberg", "Palm", "Rosen", "Sand", "Tornberg", "Wik",
        ],
    },
];

pub(crate) fn city(name: &str) -> &'static City {
    CITIES.iter().find(|c| c.name == name).expect("city names used in code are in the table")
}

/// Great-circle distance in kilometres between two places given as latitude and longitude.
pub(crate) fn distance_km(a: (f64, f64), b: (f64, f64)) -> f64 {
    let point = |(lat, lon): (f64, f64)| Point { lat: lat as f32, lon: lon as f32 };
    f64::from(point(a).distance_km(point(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_country_has_homes_networks_and_an_office_line() {
        for country in COUNTRIES {
            for name in country.cities {
                let c = city(name);
                assert_eq!(c.country, country.code);
                for kind in [Isp, Business] {
                    assert!(NETWORKS.iter().any(|n| n.kind == kind && n.is_in(c)), "{name} {kind:?}");
                }
            }
        }
        assert!((distance_km((53.551, 9.994), (53.079, 8.802)) - 95.0).abs() < 5.0);
    }
}
