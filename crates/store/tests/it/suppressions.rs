//! What was found benign has a scope, an end, and a count.

use crate::lab::{Lab, Said, anna, both};
use portreeve_model::net::Cidr;
use portreeve_store::case::list::{self, Query, Standing};
use portreeve_store::case::{self, clock, timeline, work};
use portreeve_store::suppression::{self, Scope};
use portreeve_store::{CaseId, Error, SuppressionId};

both!(
    a_scope_names_who_or_from_where,
    it_ends_is_counted_and_is_looked_at_again,
    a_silenced_case_is_out_of_the_queue_and_still_there,
    work_on_a_case_brings_it_back,
    a_scope_is_changed_in_place,
);

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
        Scope { principal: text("anna"), criteria: vec!["E 1".into()], ..Scope::default() },
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
        Scope { asn: Some(64_500), criteria: vec!["E1".into(), "E2".into()], ..Scope::default() },
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
    let other = Said::new(2).create(&lab.store);
    for (case, last) in [(case, 500), (other, 400), (case, 600)] {
        lab.store.write(|tx| suppression::silence(tx, id, case, last)).unwrap();
    }
    let now = lab.store.read(|tx| suppression::get(tx, id)).unwrap();
    let counted = (now.hits, now.last_hit, now.case);
    assert_eq!(counted, (2, Some(500), Some(case)), "a case is counted once for a verdict");
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

fn made(lab: &Lab) -> SuppressionId {
    let scope = Scope { asn: Some(64_500), ..Scope::default() };
    lab.store.write(|tx| suppression::create(tx, &scope, "travel", 9_000, None, anna(100))).unwrap().id
}

fn listed(lab: &Lab, standing: Standing) -> Vec<CaseId> {
    let query = Query { standing, ..Query::default() };
    let page = lab.store.read(|tx| list::page(tx, &query, None, 10)).unwrap();
    page.cases.iter().map(|c| c.id).collect()
}

fn a_silenced_case_is_out_of_the_queue_and_still_there(lab: &Lab) {
    let (id, case) = (made(lab), Said::new(1).create(&lab.store));
    lab.store.write(|tx| clock::start(tx, case, clock::Kind::Acknowledge, 100, 1_000)).unwrap();
    lab.store.write(|tx| suppression::silence(tx, id, case, 200)).unwrap();
    assert_eq!(listed(lab, Standing::Queued), []);
    assert_eq!(listed(lab, Standing::Closed), []);
    assert_eq!(listed(lab, Standing::Suppressed), [case]);
    assert_eq!(listed(lab, Standing::All), [case]);
    let read = || lab.store.read(|tx| case::get(tx, case)).unwrap();
    assert_eq!((read().suppressed, read().next_due), (Some(id), None), "its clocks stand");
    assert_eq!(lab.store.read(|tx| suppression::silenced(tx, id)).unwrap(), [case]);
    assert_eq!(lab.store.read(|tx| suppression::hits(tx, id, 10)).unwrap(), [(case, 200)]);
    let back =
        |at| lab.store.write(|tx| suppression::bring_back(tx, case, "another network", anna(at))).unwrap();
    assert!(back(300) && !back(301));
    assert_eq!(listed(lab, Standing::Queued), [case]);
    assert_eq!(read().next_due, Some(1_100), "later by as long as they stood");
    let said = lab.store.read(|tx| timeline::of_case(tx, case, None, 20)).unwrap();
    let has = |words: &str| said.iter().any(|e| e.said.contains(words));
    assert!(has("silenced by suppression 1 of") && has("came back") && has("another network"));
    // It is counted again only for another verdict.
    lab.store.write(|tx| suppression::silence(tx, id, case, 400)).unwrap();
    assert_eq!(lab.store.read(|tx| suppression::get(tx, id)).unwrap().hits, 1);
    // A page of what is tried: of one name, and of all.
    let tried = |name| lab.store.read(|tx| suppression::tried_on(tx, 0, name, None, 10)).unwrap().len();
    let principal = read().principal;
    assert_eq!([tried(Some(principal.as_str())), tried(Some("nobody")), tried(None)], [1, 0, 1]);
    assert!(lab.store.read(|tx| suppression::tried_on(tx, i64::MAX, None, None, 10)).unwrap().is_empty());
}

fn work_on_a_case_brings_it_back(lab: &Lab) {
    let (id, case) = (made(lab), Said::new(1).create(&lab.store));
    lab.store.write(|tx| suppression::silence(tx, id, case, 200)).unwrap();
    let revision = lab.store.read(|tx| case::get(tx, case)).unwrap().revision;
    let now = lab
        .store
        .write(|tx| work::set_status(tx, case, revision, case::Status::InProgress, anna(300)))
        .unwrap();
    assert_eq!((now.suppressed, listed(lab, Standing::Queued)), (None, vec![case]));
    lab.store.write(|tx| suppression::silence(tx, id, case, 400)).unwrap();
    let closing = work::Closing {
        disposition: case::Disposition::TruePositiveNoImpact,
        reason: "an intruder",
        leave_tasks: true,
    };
    lab.store.write(|tx| work::close(tx, case, now.revision, &closing, anna(500))).unwrap();
    assert_eq!(listed(lab, Standing::Closed), [case]);
    assert_eq!(lab.store.read(|tx| suppression::real(tx, id)).unwrap(), 1, "it hid what was real");
}

fn anna_here() -> Scope {
    Scope {
        principal: Some("Anna".into()),
        network: Cidr::parse("192.0.2.0/24"),
        criteria: vec!["E2".into()],
        ..Scope::default()
    }
}

fn a_scope_is_changed_in_place(lab: &Lab) {
    let (case, wide) = (Said::new(1).create(&lab.store), anna_here());
    let made =
        lab.store.write(|tx| suppression::create(tx, &wide, "travel", 9_000, Some(case), anna(100))).unwrap();
    assert_eq!((made.scope_at, made.since()), (None, 100));
    let narrow = Scope { network: Cidr::parse("192.0.2.8/29"), asn: Some(64_500), ..wide.clone() };
    let change = |revision, scope: &Scope, why: &str, at| {
        lab.store.write(|tx| suppression::rescope(tx, made.id, revision, scope, why, anna(at)))
    };
    let now = change(1, &narrow, "the office alone", 200).unwrap();
    assert_eq!((&now.scope, now.since(), now.revision), (&narrow, 200, 2));
    assert_eq!((now.created_at, now.author.as_str()), (100, made.author.as_str()), "who made it stays");
    let told = lab.store.read(|tx| timeline::of_case(tx, case, None, 10)).unwrap();
    assert!(told.iter().any(|e| e.said.ends_with("was changed: the office alone")), "{told:?}");
    assert!(matches!(change(1, &wide, "x", 300), Err(Error::Conflict { .. })));
    assert!(matches!(change(2, &Scope::default(), "x", 300), Err(Error::Invalid { .. })));
    assert!(matches!(change(2, &wide, " ", 300), Err(Error::Invalid { .. })));
    assert!(matches!(change(2, &wide, "x", 9_000), Err(Error::NotNow(_))), "it is over");
    assert_eq!(lab.store.read(|tx| suppression::get(tx, made.id)).unwrap(), now, "nothing came of it");
}

#[test]
fn within_is_never_guessed() {
    let wide = anna_here();
    type Part = fn(&mut Scope);
    let narrower: [Part; 5] = [
        |_| {},
        |s| s.principal = Some(" ANNA ".into()),
        |s| s.network = Cidr::parse("192.0.2.7"),
        |s| (s.place, s.detection) = (Some("FR".into()), Some("new_country".into())),
        |s| s.criteria.clear(),
    ];
    for part in narrower {
        let mut scope = wide.clone();
        part(&mut scope);
        assert!(scope.is_within(&wide), "{scope:?}");
    }
    let not: [Part; 6] = [
        |s| s.principal = None,
        |s| s.principal = Some("bert".into()),
        |s| s.network = None,
        |s| s.network = Cidr::parse("192.0.2.0/23"),
        |s| s.network = Cidr::parse("198.51.100.0/24"),
        |s| s.criteria.push("E3".into()),
    ];
    for part in not {
        let mut scope = wide.clone();
        part(&mut scope);
        assert!(!scope.is_within(&wide), "{scope:?}");
    }
    // Lyon may lie in France; names do not say so.
    let place = |name: &str| Scope { place: Some(name.into()), ..wide.clone() };
    assert!(!place("Lyon").is_within(&place("FR")));
}
