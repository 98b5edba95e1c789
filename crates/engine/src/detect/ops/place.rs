//! Place, network, device: how new they are, and what lists say.

use super::{Bounds, LevelName};
use crate::baseline::{Level, What, value};
use crate::detect::{Finding, PlaceNovelty, Subject, Verdict};
use portreeve_model::Sym;

pub(super) fn novelty(s: &Subject<'_>, min: PlaceNovelty, max: Option<PlaceNovelty>) -> Verdict {
    // "In a known area" can only be said of what is located.
    if max == Some(PlaceNovelty::NewNetworkKnownArea) && s.unlocated() {
        return Verdict::Silent;
    }
    let novelty = s.novelty();
    if novelty == PlaceNovelty::Unobservable && min > PlaceNovelty::Unobservable {
        return Verdict::Unknown("source_ip");
    }
    Verdict::when(novelty >= min && max.is_none_or(|max| novelty <= max))
}

pub(super) fn level(s: &Subject<'_>, what: What, is: &[LevelName], had_any: bool) -> Verdict {
    let level = s.level(what);
    if level == Level::Unobservable && !is.iter().any(|l| l.model() == level) {
        return Verdict::Unknown("a field that this product does not log");
    }
    if had_any && !s.known.has_any(what) {
        return Verdict::Unknown("history");
    }
    Verdict::when(is.iter().any(|l| l.model() == level))
}

pub(super) fn used_by_others(s: &Subject<'_>, what: What, accounts: Bounds) -> Verdict {
    let infrastructure = &s.engine.infrastructure;
    let (principal, at) = (s.session.principal, s.session.start);
    let Some(key) = value(s.session, what) else {
        return Verdict::Unknown("a field that this product does not log");
    };
    let others = match what {
        What::Ip => infrastructure.addresses.others_before(&s.ip(), principal, at),
        What::Asn => infrastructure.asns.others_before(&s.place().asn, principal, at),
        What::Country => infrastructure.countries.others_before(&s.place().country.0, principal, at),
        What::Device => {
            let device = Sym(u32::try_from(key).unwrap_or(0));
            infrastructure.devices.others_before(&device, principal, at)
        }
        _ => return Verdict::Unknown("organisation counts of this kind"),
    };
    if !accounts.hold(others) {
        return Verdict::Silent;
    }
    Verdict::Fires(Finding::with(vec![("others", others.to_string())], Vec::new()))
}

pub(super) fn listed(s: &Subject<'_>, min_confidence: u8, anonymiser: bool) -> Verdict {
    if !s.engine.context.coverage().intel {
        return Verdict::Unknown("threat-intelligence lists");
    }
    for stay in &s.session.stays {
        let hits = s.engine.context.intel(stay.ip, stay.first);
        let hit = hits
            .iter()
            .filter(|h| h.anonymiser == anonymiser && h.confidence >= min_confidence)
            .max_by_key(|h| h.confidence);
        if let Some(hit) = hit {
            let dated = hit.dated.map_or("undated".to_owned(), |d| d.to_string().chars().take(10).collect());
            let label = if hit.label.is_empty() { String::new() } else { format!(" as \"{}\"", hit.label) };
            let facts = vec![
                ("listed_ip", stay.ip.to_string()),
                ("list", format!("{}{label} ({dated})", hit.list)),
                ("confidence", hit.confidence.to_string()),
            ];
            return Verdict::Fires(Finding::with(facts, vec![stay.evidence]));
        }
    }
    Verdict::Silent
}
