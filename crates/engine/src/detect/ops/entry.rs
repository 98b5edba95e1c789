//! The session's integrity: one id in two networks, use without a login.

use crate::detect::{Finding, Subject, Verdict};
use crate::fold::infrastructure::SeenKind;
use crate::fold::principal::family;
use portreeve_model::event::Service;
use portreeve_model::net::NetworkClass;
use portreeve_model::place::Place;

/// The networks from which one session id was used, where a hand-over between a person's own lines does not
/// explain it. A sentence, or `None`.
pub(crate) fn networks(s: &Subject<'_>) -> Option<String> {
    let stays = &s.session.stays;
    if stays.len() < 2 || s.session.sid.is_none() && !stays.iter().any(|x| x.resumed) {
        return None;
    }
    let place = |i: usize| s.engine.context.place(stays[i].ip);
    let first = place(0);
    let moved = (1..stays.len())
        .find(|i| stays[*i].ip.is_public() && stays[0].ip.is_public() && apart(&first, &place(*i)))?;
    let there = place(moved);
    // A network that the person is known to use is the other end of an ordinary hand-over.
    // Nor does a phone's line, which is routed through its home country wherever the phone is.
    let known = |p: &Place| matches!(p.class, NetworkClass::Own | NetworkClass::Relay);
    let phone = |p: &Place| p.class == NetworkClass::Mobile;
    if known(&first)
        || known(&there)
        || (phone(&first) || phone(&there)) && !rented(&first) && !rented(&there)
    {
        return None;
    }
    let name = |p: &Place| {
        let (asn, city) = (s.text(p.as_name), s.text(p.city));
        match (asn.is_empty(), city.is_empty()) {
            (false, false) => format!("{asn} in {city}"),
            (false, true) => asn,
            (true, false) => city,
            (true, true) => p.country.text().to_owned(),
        }
    };
    Some(format!("{} ({}) and {} ({})", stays[0].ip, name(&first), stays[moved].ip, name(&there)))
}

/// Networks that one rents by the hour.
fn rented(p: &Place) -> bool {
    matches!(p.class, NetworkClass::Hosting | NetworkClass::CommercialVpn | NetworkClass::Tor)
}

/// Not one person's hand-over between line and mobile: other country, or another network of a kind that people
/// do not roam to.
fn apart(a: &Place, b: &Place) -> bool {
    let other_country = a.country.is_some() && b.country.is_some() && a.country != b.country;
    let other_network = a.asn != 0 && b.asn != 0 && a.asn != b.asn;
    other_network && (other_country || rented(a) != rented(b))
}

pub(super) fn shared(s: &Subject<'_>, different_client: bool) -> Verdict {
    let Some(networks) = networks(s) else { return Verdict::Silent };
    let mut clients: Vec<_> = s.session.stays.iter().filter_map(|x| x.client.some()).map(|c| c.0).collect();
    clients.sort_unstable();
    clients.dedup();
    if different_client && clients.len() < 2 {
        return Verdict::Silent;
    }
    let facts = vec![("networks", networks), ("sid", s.text(s.session.sid))];
    let later = s.session.stays.iter().skip(1).map(|x| x.first).min();
    let mut found = Finding::with(facts, s.session.stays.iter().map(|x| x.evidence).collect());
    found.at = later;
    Verdict::Fires(found)
}

/// Activity of a session that nobody saw begin, while its gateway's log had been flowing for long enough.
pub(super) fn orphan(s: &Subject<'_>, logged_for_us: i64) -> Verdict {
    if !s.orphan() {
        return Verdict::Silent;
    }
    let service = family(s.session.service);
    let kinds = [SeenKind::Service(service), SeenKind::Service(Service::Vpn)];
    let since =
        kinds.iter().filter_map(|k| s.engine.infrastructure.seen.span(*k)).map(|(first, _)| first).min();
    match since {
        Some(first) if s.session.start.since(first) >= logged_for_us => Verdict::when(true),
        _ => Verdict::Unknown("the gateway's log from before the session"),
    }
}
