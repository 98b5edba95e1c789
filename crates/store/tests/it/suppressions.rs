//! What was found benign has a scope, an end, and a count.

use crate::lab::{Lab, Said, anna, both};
use portreeve_model::net::Cidr;
use portreeve_store::suppression::{self, Scope};
use portreeve_store::{Error, SuppressionId};

both!(a_scope_names_who_or_from_where, it_ends_is_counted_and_is_looked_at_again);

fn a_scope_names_who_or_from_where(lab: &Lab) {
    let create = |scope: &Scope, expires_at| {
        lab.store.write(|tx| suppression::create(tx, scope, "a known trip", expires_at, None, anna(100)))
    };
    let text = |t: &str| Some(t.to_owned());
    let cidr = |t: &str| Cidr::parse(t);
    let refused = [
        Scope::default(),
        Scope { place: text("FR"), ..Scope::default() },
        Scope { detection: text("first_seen_country"), ..Scope::default() },
        Scope { principal: text("  "), ..Scope::default() },
        Scope { principal: text("anna"), egress: text(""), ..Scope::default() },
        Scope { network: cidr("0.0.0.0/0"), ..Scope::default() },
        Scope { network: cidr("0.0.0.0/7"), ..Scope::default() },
        Scope { network: cidr("::/0"), ..Scope::default() },
    ];
    for scope in &refused {
        assert!(matches!(create(scope, 200), Err(Error::Invalid { .. })), "{scope:?}");
    }
    let good = [
        Scope { principal: text("anna\0"), place: text("FR"), ..Scope::default() },
        Scope { network: cidr("192.0.2.0/24"), detection: text("d"), ..Scope::default() },
        Scope { network: cidr("2001:db8::7"), ..Scope::default() },
        Scope { asn: Some(64_500), ..Scope::default() },
        Scope { egress: text("Office VPN"), ..Scope::default() },
    ];
    for scope in &good {
        assert_eq!(create(scope, 200).unwrap().scope, *scope);
    }
    assert!(matches!(create(&good[0], 100), Err(Error::Invalid { .. })), "it must lie ahead");
    assert_eq!(lab.store.read(|tx| suppression::active(tx, 150)).unwrap().len(), good.len());
}

fn it_ends_is_counted_and_is_looked_at_again(lab: &Lab) {
    let case = Said::new(1).create(&lab.store);
    let scope = Scope { asn: Some(64_500), ..Scope::default() };
    let made = lab
        .store
        .write(|tx| suppression::create(tx, &scope, "travel", 1_000, Some(case), anna(100)))
        .unwrap();
    let (id, active) = (made.id, |now| lab.store.read(|tx| suppression::active(tx, now)).unwrap().len());
    assert_eq!([active(999), active(1_000)], [1, 0]);
    for (hits, last) in [(2, 500), (1, 400)] {
        lab.store.write(|tx| suppression::hit(tx, id, hits, last)).unwrap();
    }
    let now = lab.store.read(|tx| suppression::get(tx, id)).unwrap();
    assert_eq!((now.hits, now.last_hit, now.case), (3, Some(500), Some(case)));
    let due = |since, ends| lab.store.read(|tx| suppression::due(tx, 600, since, ends)).unwrap().len();
    assert_eq!([due(100, 1_000), due(101, 1_000), due(100, 1_001)], [0, 1, 1]);
    let kept = lab.store.write(|tx| suppression::review(tx, id, 1, 5_000, anna(700))).unwrap();
    assert_eq!((kept.reviewed_at, kept.expires_at, kept.revision), (Some(700), 5_000, 2));
    assert_eq!(due(700, 1_001), 0);
    let late = lab.store.write(|tx| suppression::end(tx, id, 1, anna(800))).unwrap_err();
    assert!(matches!(late, Error::Conflict { now: 2, .. }), "{late}");
    lab.store.write(|tx| suppression::end(tx, id, 2, anna(800))).unwrap();
    assert_eq!(active(900), 0);
    let over = lab.store.write(|tx| suppression::review(tx, id, 3, 9_000, anna(900))).unwrap_err();
    assert!(matches!(over, Error::NotNow(_)), "{over}");
    let all = lab.store.read(|tx| suppression::all(tx, None, 10)).unwrap();
    assert_eq!(all.len(), 1, "one that ended can still be read about");
    assert!(lab.store.read(|tx| suppression::all(tx, Some(SuppressionId(1)), 10)).unwrap().is_empty());
}
