//! A remote session as detections and questions see it: with its principal, its history and the company.

use crate::baseline::{AREA_KM, Known, Level, What};
use crate::engine::Engine;
use crate::fold::infrastructure::Source;
use crate::fold::principal::Dossier;
use crate::session::Session;
use portreeve_model::event::Service;
use portreeve_model::facts::{Account, Explained};
use portreeve_model::place::{Place, Point, least_distance_km};
use portreeve_model::{EventTime, Ip, Sym};
use std::cell::OnceCell;

/// How new a session's place is to its principal, least to most.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlaceNovelty {
    /// Private or missing: nothing to judge.
    Unobservable,
    KnownIp,
    KnownPrefix,
    /// Known network in a known area.
    KnownNetwork,
    /// New network where the person is known to be (home, office, travel, usual area).
    NewNetworkKnownArea,
    NewNetwork,
    NewCountry,
}

pub struct Subject<'a> {
    pub engine: &'a Engine<'a>,
    pub dossier: &'a Dossier,
    pub account: &'a Account,
    pub session: &'a Session,
    /// What was known when the session began.
    pub known: &'a Known,
    /// The address asked about, where it is not the first of the session.
    asked: Option<(Ip, Place)>,
    novelty: OnceCell<PlaceNovelty>,
    expected: OnceCell<Option<String>>,
}

impl<'a> Subject<'a> {
    pub fn new(
        engine: &'a Engine<'a>,
        dossier: &'a Dossier,
        account: &'a Account,
        session: &'a Session,
        known: &'a Known,
    ) -> Self {
        Subject {
            engine,
            dossier,
            account,
            session,
            known,
            asked: None,
            novelty: OnceCell::new(),
            expected: OnceCell::new(),
        }
    }

    pub fn text(&self, sym: Sym) -> String {
        self.engine.names.text(sym).to_string()
    }

    pub fn ip(&self) -> Ip {
        self.asked.as_ref().map_or_else(|| self.session.ip(), |(ip, _)| *ip)
    }

    /// The same session, asked about another of its addresses: where one took over what another began.
    pub fn asking(self, ip: Ip) -> Self {
        let place = self.engine.context.place(ip);
        Subject { asked: Some((ip, place)), novelty: OnceCell::new(), expected: OnceCell::new(), ..self }
    }

    pub fn place(&self) -> &Place {
        self.asked.as_ref().map_or(&self.session.place, |(_, place)| place)
    }

    /// Public, and neither a table nor the record itself says where it is or whose.
    pub fn unlocated(&self) -> bool {
        self.ip().is_public() && self.place().asn == 0 && !self.place().country.is_some()
    }

    pub fn source(&self) -> Option<&'a Source> {
        self.engine.infrastructure.sources.get(&self.ip()).map(AsRef::as_ref)
    }

    /// Others of the company that used the same network before.
    pub fn others_on_asn(&self) -> usize {
        let uses = &self.engine.infrastructure.asns;
        uses.others_before(&self.session.place.asn, self.session.principal, self.session.start)
    }

    pub fn level(&self, what: What) -> Level {
        self.known.level_of(self.session, what, self.others_on_asn())
    }

    /// Where the person is expected to be at that time: the name of the home, office, travel or usual area that
    /// the place reaches to. `None` if none does, or the place says nothing.
    pub fn expected_place(&self) -> Option<&str> {
        self.expected
            .get_or_init(|| {
                let place = self.place();
                if place.class == portreeve_model::net::NetworkClass::Own {
                    return Some("own network".to_owned());
                }
                let point = place.person_point()?;
                self.expected_at(point, place.radius_km, self.session.start)
            })
            .as_deref()
    }

    fn expected_at(&self, point: Point, radius_km: u16, at: EventTime) -> Option<String> {
        let near = |p: Point, r: u16| least_distance_km(point, radius_km, p, r) <= AREA_KM;
        if let Some(home) = self.account.home
            && near(home, 0)
        {
            return Some(format!("home ({})", self.text(self.account.home_city)));
        }
        for office in self.engine.context.offices() {
            // The person's own office: in the home country, or near home. Others are travel.
            let own = self.account.home.is_none()
                || office.country == self.account.home_country
                || office.point.zip(self.account.home).is_some_and(|(o, h)| o.distance_km(h) <= 300.0);
            if own && office.point.is_some_and(|p| near(p, 0)) {
                return Some(format!("office ({})", self.text(office.label)));
            }
        }
        for travel in self.engine.context.travel(self.account.name, at) {
            let same_country = travel.point.is_none() && travel.country == self.place().country;
            if same_country || travel.point.is_some_and(|p| near(p, travel.radius_km)) {
                return Some(format!("announced travel to {}", self.text(travel.city)));
            }
        }
        if self.known.usual_areas().any(|p| near(p, 0)) {
            return Some("usual area".to_owned());
        }
        None
    }

    pub fn novelty(&self) -> PlaceNovelty {
        *self.novelty.get_or_init(|| {
            use PlaceNovelty::*;
            if !self.ip().is_public() {
                return Unobservable;
            }
            if self.place().class == portreeve_model::net::NetworkClass::Own {
                return KnownNetwork;
            }
            if self.level(What::Ip) == Level::Cleared {
                return KnownIp;
            }
            if self.level(What::Prefix) == Level::Cleared {
                return KnownPrefix;
            }
            // Without a network table a new address may be a new lease of the same line: only a country speaks.
            let place = self.place();
            if place.asn == 0 && self.level(What::Country) != Level::New {
                let block = self.level(What::Asn) == Level::Cleared;
                return match (block, self.known.sessions) {
                    (true, _) => KnownNetwork,
                    // Too little to call it far away; enough to ask what came before it.
                    (false, 0) => NewNetworkKnownArea,
                    (false, _) if place.country.is_some() => NewNetworkKnownArea,
                    (false, _) => NewNetwork,
                };
            }
            let known_asn = self.level(What::Asn) == Level::Cleared;
            let area = self.expected_place().is_some();
            // A relay or commercial VPN that the person always uses has no area to hold it against, and its exits
            // change with its operator's contracts.
            let placeless = self.place().class.place_says_nothing();
            let habit = placeless && self.level(What::Network) == Level::Cleared;
            if habit || known_asn && (area || placeless) {
                return KnownNetwork;
            }
            if area {
                return NewNetworkKnownArea;
            }
            // An egress by design that the company uses: its country moves with its operator.
            if placeless
                && self.place().class == portreeve_model::net::NetworkClass::Relay
                && self.others_on_asn() >= 3
            {
                return KnownNetwork;
            }
            // A mobile carrier in a known country: where in it means nothing.
            let here = self.level(What::Country) == Level::Cleared
                || self.place().country == self.account.home_country;
            if self.place().class == portreeve_model::net::NetworkClass::Mobile && here {
                return NewNetworkKnownArea;
            }
            match self.level(What::Country) {
                Level::Cleared => NewNetwork,
                Level::Unobservable => NewNetwork,
                _ if known_asn => NewNetwork,
                _ => NewCountry,
            }
        })
    }

    /// A device that the record names and the principal never used, while it used others.
    pub fn device_level(&self) -> Level {
        self.level(What::Device)
    }

    /// Activity without a login, and not simply on an address that the principal held on the same day: clocks of a
    /// gateway and of what lies behind it differ, and records are lost.
    pub fn orphan(&self) -> bool {
        const SAME_DAY_US: i64 = 12 * portreeve_model::time::HOUR_US;
        let s = self.session;
        let context = self.engine.context;
        let paired = self.engine.dossiers.get(&self.account.paired);
        let own = |ip: Ip| {
            let pool = context.vpn_pool(ip);
            let sessions = self.dossier.sessions.iter().chain(paired.into_iter().flat_map(|d| &d.sessions));
            sessions.filter(|o| !o.orphan).any(|o| {
                let held = |(t, at): &(Ip, EventTime)| {
                    let same = *t == ip && at.since(s.start).abs() <= SAME_DAY_US;
                    // Another address of the same pool, in a session that stands at that time.
                    let beside = pool.is_some()
                        && context.vpn_pool(*t) == pool
                        && o.start.minus(SAME_DAY_US) <= s.start
                        && s.start <= o.end_or_last().plus(SAME_DAY_US);
                    same || beside
                };
                o.tunnels.iter().any(held)
            })
        };
        s.orphan && !s.stays.iter().any(|stay| own(stay.ip))
    }

    /// What in the context explains this session.
    pub fn explained(&self) -> Vec<Explained> {
        self.engine.context.explained(self.account.name, self.ip(), self.session.start)
    }

    /// The latest earlier session that the principal really entered.
    pub fn earlier(&self) -> impl Iterator<Item = &'a Session> {
        let (start, index) = (self.session.start, self.session.index);
        self.dossier.sessions.iter().map(AsRef::as_ref).filter(move |s| s.index != index && s.start < start)
    }

    /// Did the session give access, as far as its records tell?
    pub fn entered(&self) -> bool {
        let s = self.session;
        if s.entered {
            return true;
        }
        if s.refused {
            return false;
        }
        // A right password at a gateway whose log has no line for the begin of a session is all there is.
        let family = crate::fold::principal::family(s.service);
        let logged = |gateway: Sym| self.engine.starts_logged.contains_key(&(family, gateway));
        let any_logged = self.engine.starts_logged.keys().any(|(f, _)| *f == family);
        !if s.gateway.is_some() && s.service != Service::Radius { logged(s.gateway) } else { any_logged }
    }

    /// Values for the sentence of a detection.
    pub fn fact(&self, name: &str) -> String {
        let s = self.session;
        let place = self.place();
        match name {
            "user" => self.text(s.principal),
            "source_ip" => self.ip().to_string(),
            "country" => place.country.text().to_owned(),
            "city" => self.text(place.city),
            "asn" => match (place.asn, place.as_name) {
                (0, _) => "an unknown network".to_owned(),
                (n, name) if name.is_none() => format!("AS{n}"),
                (n, name) => format!("AS{n} {}", self.text(name)),
            },
            "network" => place.class.name().to_owned(),
            "device" => self.text(s.device),
            "client" => self.text(s.client),
            "gateway" => self.text(s.gateway),
            "group" => self.text(s.group),
            "service" => s.service.name().to_owned(),
            "status" => self.account.status.name().to_owned(),
            "sessions" => self.known.sessions.to_string(),
            "days" => self.known.days.to_string(),
            "where" => {
                let city = self.text(place.city);
                match (city.is_empty(), place.country.is_some()) {
                    (false, _) => format!("{city}, {}", place.country.text()),
                    (true, true) => place.country.text().to_owned(),
                    (true, false) => "an unknown place".to_owned(),
                }
            }
            _ => String::new(),
        }
    }
}
