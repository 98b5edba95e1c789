//! What the service keeps for itself, and what holds for every change.

use crate::lab::{Lab, Said, both};
use portreeve_store::case::{self, list};
use portreeve_store::idempotency::{self, Begun};
use portreeve_store::outbox::{self, State};
use portreeve_store::{Error, Keep, setting};

both!(
    deliveries_are_made_once_and_again_until_heard,
    a_delivery_whose_sender_died_is_taken_by_another,
    of_one_topic_a_target_hears_in_order,
    a_request_that_comes_twice_gets_one_answer,
    settings_have_versions,
    a_change_is_kept_whole_or_not_at_all,
    a_change_that_panics_leaves_nothing,
    a_change_inside_a_change_is_refused,
    housekeeping_deletes_what_ran_out,
    health_tells_what_it_is,
);

fn deliveries_are_made_once_and_again_until_heard(lab: &Lab) {
    let put =
        |once: &str| lab.store.write(|tx| outbox::put(tx, "soar", "case.created", once, "{}", 10)).unwrap();
    let (first, second) = (put("case:1:1").unwrap(), put("case:2:1").unwrap());
    assert_eq!(put("case:1:1"), None, "the same event is not sent twice");
    let claim = |now| lab.store.write(|tx| outbox::claim(tx, now, now + 60, 10)).unwrap();
    assert_eq!(claim(9), []);
    let claimed = claim(10);
    assert_eq!(claimed.iter().map(|d| (d.id, d.attempts)).collect::<Vec<_>>(), [(first, 1), (second, 1)]);
    assert_eq!(claim(11), [], "one has them");
    assert!(lab.store.write(|tx| outbox::done(tx, &claimed[0], 12)).unwrap());
    assert!(lab.store.write(|tx| outbox::failed(tx, &claimed[1], "503\0", Some(100))).unwrap());
    assert_eq!(lab.store.read(outbox::next_at).unwrap(), Some(100));
    let again = claim(100);
    assert_eq!((again.len(), again[0].attempts, again[0].last_error.as_deref()), (1, 2, Some("503\0")));
    assert!(lab.store.write(|tx| outbox::failed(tx, &again[0], "gone", None)).unwrap());
    assert_eq!(lab.store.read(outbox::next_at).unwrap(), None);
    let dead = lab.store.read(|tx| outbox::in_state(tx, State::Dead, 10)).unwrap();
    assert_eq!(dead.len(), 1);
    lab.store.write(|tx| outbox::revive(tx, second, 200)).unwrap();
    assert!(lab.store.write(|tx| outbox::revive(tx, second, 200)).is_err());
    assert_eq!(claim(200).len(), 1);
}

fn a_delivery_whose_sender_died_is_taken_by_another(lab: &Lab) {
    lab.store.write(|tx| outbox::put(tx, "soar", "e", "1", "{}", 10)).unwrap();
    let dead = lab.store.write(|tx| outbox::claim(tx, 10, 70, 1)).unwrap().remove(0);
    assert_eq!(lab.store.read(outbox::next_at).unwrap(), Some(70));
    let alive = lab.store.write(|tx| outbox::claim(tx, 70, 130, 1)).unwrap().remove(0);
    assert_eq!(alive.attempts, 2);
    // The first was only slow; it may no longer say what became of it.
    assert!(!lab.store.write(|tx| outbox::failed(tx, &dead, "late", None)).unwrap());
    assert!(!lab.store.write(|tx| outbox::done(tx, &dead, 80)).unwrap());
    assert!(lab.store.write(|tx| outbox::done(tx, &alive, 80)).unwrap());
}

fn of_one_topic_a_target_hears_in_order(lab: &Lab) {
    for once in ["case:1#a", "case:2#a", "case:1#b", "case:3#a"] {
        lab.store.write(|tx| outbox::put(tx, "soar", "e", once, "{}", 10)).unwrap();
    }
    lab.store.write(|tx| outbox::put(tx, "other", "e", "case:1#a", "{}", 10)).unwrap();
    let next = |now| lab.store.write(|tx| outbox::claim_next(tx, "soar", now, now + 60)).unwrap();
    let first = next(10).unwrap();
    assert_eq!(first.once, "case:1#a");
    assert!(lab.store.write(|tx| outbox::failed(tx, &first, "503", Some(50))).unwrap());
    assert_eq!(next(20).unwrap().once, "case:2#a");
    assert_eq!(next(20).unwrap().once, "case:3#a", "1#b waits behind 1#a");
    assert_eq!(next(20), None);
    let again = next(50).unwrap();
    assert_eq!((again.once.as_str(), again.attempts), ("case:1#a", 2));
    assert_eq!(next(60), None, "while it is on its way");
    assert!(lab.store.write(|tx| outbox::failed(tx, &again, "no", None)).unwrap());
    assert_eq!(next(60).unwrap().once, "case:1#b", "one that was given up holds nobody");
    let count = |state| lab.store.read(|tx| outbox::in_state_of(tx, "soar", state)).unwrap();
    assert_eq!((count(State::Dead), count(State::Done)), (1, 0));
    assert_eq!(lab.store.read(|tx| outbox::waiting(tx, "soar")).unwrap(), 3);
    assert_eq!(lab.store.read(|tx| outbox::last_error(tx, "soar")).unwrap().as_deref(), Some("no"));
    assert_eq!(lab.store.write(|tx| outbox::revive_all(tx, "soar", 70)).unwrap(), 1);
    assert_eq!(next(70).unwrap().once, "case:1#a");
}

fn a_request_that_comes_twice_gets_one_answer(lab: &Lab) {
    let begin = |key: &str, request: u8, now| {
        let request = [request; 32];
        lab.store.write(|tx| idempotency::begin(tx, "token:1", key, &request, now, now + 100)).unwrap()
    };
    assert_eq!(begin("k", 1, 10), Begun::New);
    assert_eq!(begin("k", 1, 11), Begun::InProgress);
    lab.store.write(|tx| idempotency::finish(tx, "token:1", "k", 201, b"{\0}")).unwrap();
    assert_eq!(begin("k", 1, 12), Begun::Answered { status: 201, response: b"{\0}".to_vec() });
    assert_eq!(begin("k", 2, 13), Begun::Other);
    assert_eq!(begin("k", 2, 110), Begun::New, "it ran out");
    assert_eq!(begin("other", 1, 10), Begun::New);
    lab.store.write(|tx| idempotency::forget(tx, "token:1", "other")).unwrap();
    assert_eq!(begin("other", 3, 10), Begun::New);
}

fn settings_have_versions(lab: &Lab) {
    let set = |expect, value: &[u8]| lab.store.write(|tx| setting::set(tx, "theme", value, expect, 5));
    let first = set(Some(0), b"\0dark").unwrap();
    assert!(matches!(set(Some(0), b"x"), Err(Error::Conflict { .. })));
    let second = set(Some(first), b"light").unwrap();
    assert!(matches!(set(Some(first), b"x"), Err(Error::Conflict { now, .. }) if now == second));
    set(None, b"any").unwrap();
    assert_eq!(lab.store.read(|tx| setting::get(tx, "theme")).unwrap().unwrap().value, b"any");
    for (name, at) in [("them", 1), ("theme.a", 2), ("theme.b", 3), ("themf", 1)] {
        lab.store.write(|tx| setting::set(tx, name, b"x", Some(0), at)).unwrap();
    }
    let names = || {
        let all = lab.store.read(|tx| setting::under(tx, "theme.")).unwrap();
        all.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(names(), ["theme.a", "theme.b"]);
    assert_eq!(lab.store.write(|tx| setting::tidy(tx, "theme.", 3)).unwrap(), 1);
    assert_eq!(names(), ["theme.b"]);
    assert!(lab.store.write(|tx| setting::remove(tx, "theme")).unwrap());
    assert_eq!(lab.store.read(|tx| setting::get(tx, "theme")).unwrap(), None);
    assert!(set(Some(0), b"new").unwrap() > second, "no version comes back");
}

fn count(lab: &Lab) -> i64 {
    lab.store.read(|tx| list::count(tx, &list::Query::default())).unwrap()
}

fn a_change_is_kept_whole_or_not_at_all(lab: &Lab) {
    let said = Said::new(1);
    let refused = lab.store.write(|tx| {
        case::engine::take(tx, &said.case(), 1)?;
        Err::<(), Error>(Error::Caller("not allowed".into()))
    });
    assert_eq!(refused.unwrap_err().to_string(), "not allowed");
    assert_eq!(count(lab), 0);
    // An error that somebody swallowed does not make half a change whole.
    let swallowed = lab.store.write(|tx| {
        case::engine::take(tx, &said.case(), 1)?;
        let new = portreeve_store::ask::NewAsk {
            token_hash: &[1; 32],
            case: portreeve_store::CaseId(99),
            person: "x",
            question: "y",
            expires_at: 100,
        };
        let _refused = portreeve_store::ask::create(tx, &new, crate::lab::anna(1));
        Ok(())
    });
    assert!(matches!(swallowed, Err(Error::Failed)), "{swallowed:?}");
    assert_eq!(count(lab), 0);
    assert_eq!(said.create(&lab.store).0, 1, "numbers have no gaps");
}

fn a_change_that_panics_leaves_nothing(lab: &Lab) {
    let said = Said::new(1);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _never: Result<(), Error> = lab.store.write(|tx| {
            case::engine::take(tx, &said.case(), 1)?;
            panic!("in the middle")
        });
    }));
    assert!(panicked.is_err());
    assert_eq!(count(lab), 0);
    said.create(&lab.store);
    assert_eq!(count(lab), 1);
}

fn a_change_inside_a_change_is_refused(lab: &Lab) {
    let inner = lab.store.write(|_| Ok(lab.store.write(|_| Ok(()))));
    assert!(matches!(inner.unwrap(), Err(Error::Nested)));
    lab.store.write(|_| Ok(())).unwrap();
}

fn housekeeping_deletes_what_ran_out(lab: &Lab) {
    lab.store
        .write(|tx| {
            outbox::put(tx, "t", "e", "1", "{}", 10)?;
            outbox::put(tx, "t", "e", "2", "{}", 10)?;
            let claimed = outbox::claim(tx, 10, 20, 1)?;
            outbox::done(tx, &claimed[0], 15)?;
            idempotency::begin(tx, "a", "k", &[0; 32], 10, 20)
        })
        .unwrap();
    let keep = Keep { logins_idle_since: 0, deliveries_since: 16 };
    let tidied = lab.store.tidy(20, &keep).unwrap();
    assert_eq!((tidied.logins, tidied.deliveries, tidied.idempotency_keys), (0, 1, 1));
    assert_eq!(lab.store.read(|tx| outbox::in_state(tx, State::Waiting, 9)).unwrap().len(), 1);
}

fn health_tells_what_it_is(lab: &Lab) {
    let health = lab.store.health().unwrap();
    assert_eq!(health.database, if lab.is_sqlite() { "sqlite" } else { "postgresql" });
    assert!(health.bytes > 10_000 && !health.version.is_empty(), "{health:?}");
    assert_eq!((health.schema, health.audit_waiting, health.audit_error), (portreeve_store::SCHEMA, 0, None));
    assert_eq!(lab.store.check().unwrap(), [""; 0]);
}
