//! People, logins, tokens, sources.

use crate::lab::{Lab, both};
use portreeve_store::login::{self, Login};
use portreeve_store::people::{self, Change, NewPerson, Oidc, Person};
use portreeve_store::source::{self, Wanted};
use portreeve_store::token::{self, Holder, NewToken};
use portreeve_store::{Error, PersonId};
use std::collections::BTreeSet;

both!(
    a_name_is_given_once,
    the_first_one_comes_in_by_a_link_that_works_once,
    what_changes_rights_ends_logins,
    codes_are_used_once,
    failures_count_and_a_success_forgets_them,
    passkeys_belong_to_one,
    logins_rotate_and_run_out,
    tokens_of_programs,
    sources_and_what_they_show,
);

fn roles(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|w| (*w).to_owned()).collect()
}

fn create(lab: &Lab, name: &str, oidc: Option<&Oidc>) -> Result<Person, Error> {
    let roles = roles(&["l1", "t2"]);
    let new = NewPerson {
        name,
        display: "Anna",
        zone: "Europe/Berlin",
        roles: &roles,
        password_hash: Some("$h"),
        oidc,
    };
    lab.store.write(|tx| people::create(tx, &new, 10))
}

fn a_name_is_given_once(lab: &Lab) {
    let anna = create(lab, " Anna.Berg ", None).unwrap();
    assert_eq!((anna.name.as_str(), anna.roles.len(), anna.revision), ("Anna.Berg", 2, 1));
    assert!(matches!(create(lab, "ANNA.BERG", None), Err(Error::Taken { .. })));
    assert!(matches!(create(lab, "  ", None), Err(Error::Invalid { .. })));
    let found = lab.store.read(|tx| people::by_name(tx, "anna.berg")).unwrap();
    assert_eq!(found, Some(anna));
    let oidc = Oidc { issuer: "https://id.example".into(), subject: "7".into() };
    let bob = create(lab, "bob", Some(&oidc)).unwrap();
    assert!(matches!(create(lab, "bob2", Some(&oidc)), Err(Error::Taken { .. })));
    let found = lab.store.read(|tx| people::by_oidc(tx, &oidc.issuer, "7")).unwrap();
    assert_eq!(found.map(|p| p.id), Some(bob.id));
    assert_eq!(lab.store.read(people::all).unwrap().len(), 2);
    assert!(!format!("{bob:?}").contains("$h"));
}

fn the_first_one_comes_in_by_a_link_that_works_once(lab: &Lab) {
    lab.store.write(|tx| people::offer_first_run(tx, &[1; 32], 10, 100)).unwrap();
    lab.store.write(|tx| people::offer_first_run(tx, &[2; 32], 10, 100)).unwrap();
    let roles = roles(&["responder_admin"]);
    let new = NewPerson {
        name: "root",
        display: "",
        zone: "UTC",
        roles: &roles,
        password_hash: Some("$h"),
        oidc: None,
    };
    let first = |token, now| lab.store.write(|tx| people::first(tx, token, &new, now));
    assert!(matches!(first(&[1; 32], 20), Err(Error::NotNow(_))), "a newer link ends the older");
    assert!(matches!(first(&[2; 32], 100), Err(Error::NotNow(_))), "it runs out");
    first(&[2; 32], 99).unwrap();
    assert!(matches!(first(&[2; 32], 99), Err(Error::NotNow(_))));
    let again = lab.store.write(|tx| people::offer_first_run(tx, &[3; 32], 10, 100));
    assert!(matches!(again, Err(Error::NotNow(_))));
}

fn log_in(lab: &Lab, person: PersonId, token: u8) {
    let login = Login {
        token_hash: [token; 32],
        person,
        csrf: vec![1, 2],
        created_at: 10,
        rotated_at: 10,
        last_used: 10,
        expires_at: 1_000,
        address: "192.0.2.1".into(),
        agent: "Browser\0".into(),
        factors: "password totp".into(),
    };
    lab.store.write(|tx| login::begin(tx, &login)).unwrap();
}

fn is_in(lab: &Lab, token: u8, now: i64) -> bool {
    lab.store.read(|tx| login::find(tx, &[token; 32], now)).unwrap().is_some()
}

fn what_changes_rights_ends_logins(lab: &Lab) {
    let anna = create(lab, "anna", None).unwrap();
    let other = create(lab, "other", None).unwrap();
    log_in(lab, other.id, 99);
    let (fewer, recovery) = (roles(&["l1"]), ["h1".to_owned()]);
    let changes = [
        (Change { zone: Some("UTC"), ..Change::default() }, true),
        (Change { recovery: Some(&recovery), ..Change::default() }, true),
        (Change { roles: Some(&anna.roles), ..Change::default() }, true),
        (Change { roles: Some(&fewer), ..Change::default() }, false),
        (Change { password_hash: Some(Some("$new")), ..Change::default() }, false),
        (Change { totp: Some(Some(&[1, 2, 0])), ..Change::default() }, false),
        (Change { disabled: Some(true), ..Change::default() }, false),
        (Change { disabled: Some(false), ..Change::default() }, true),
    ];
    for ((change, stays), n) in changes.into_iter().zip(1_u8..) {
        log_in(lab, anna.id, n);
        let person = lab.store.write(|tx| people::change(tx, anna.id, i64::from(n), &change, 50)).unwrap();
        assert_eq!(person.revision, i64::from(n) + 1);
        assert_eq!(is_in(lab, n, 60), stays, "change {n}");
        lab.store.write(|tx| login::end_all(tx, anna.id)).unwrap();
    }
    let now = lab.store.read(|tx| people::get(tx, anna.id)).unwrap();
    assert_eq!((now.roles, now.totp, now.disabled_at), (fewer, Some(vec![1, 2, 0]), None));
    assert_eq!((now.password_hash.as_deref(), now.recovery.len()), (Some("$new"), 1));
    assert!(is_in(lab, 99, 60), "nobody else's");
    let late = lab.store.write(|tx| people::change(tx, anna.id, 1, &Change::default(), 1)).unwrap_err();
    assert!(matches!(late, Error::Conflict { now: 9, .. }), "{late}");
}

fn codes_are_used_once(lab: &Lab) {
    let anna = create(lab, "anna", None).unwrap();
    let step = |step| lab.store.write(|tx| people::use_totp_step(tx, anna.id, step)).unwrap();
    assert_eq!([step(5), step(5), step(4), step(6)], [true, false, false, true]);
    let recovery = ["h1".to_owned(), "h2".to_owned()];
    let change = Change { recovery: Some(&recovery), ..Change::default() };
    lab.store.write(|tx| people::change(tx, anna.id, 1, &change, 1)).unwrap();
    let code = |hash| lab.store.write(|tx| people::use_recovery(tx, anna.id, hash)).unwrap();
    assert_eq!([code("h2"), code("h2"), code("h3"), code("h1")], [true, false, false, true]);
}

fn failures_count_and_a_success_forgets_them(lab: &Lab) {
    let anna = create(lab, "anna", None).unwrap();
    let rule = |failed: i64| (failed >= 3).then_some(500 * failed);
    let fail = || lab.store.write(|tx| people::failed(tx, anna.id, rule)).unwrap();
    assert_eq!([fail(), fail(), fail()], [1, 2, 3]);
    let get = || lab.store.read(|tx| people::get(tx, anna.id)).unwrap();
    assert_eq!(get().locked_until, Some(1_500));
    lab.store.write(|tx| people::came_in(tx, anna.id, 2_000)).unwrap();
    assert_eq!((get().failed, get().locked_until, get().last_login), (0, None, Some(2_000)));
}

fn passkeys_belong_to_one(lab: &Lab) {
    let (anna, bob) = (create(lab, "anna", None).unwrap(), create(lab, "bob", None).unwrap());
    let add = |person, key: &[u8]| lab.store.write(|tx| people::add_passkey(tx, person, key, "key", "{}", 5));
    add(anna.id, &[0, 1, 2]).unwrap();
    assert!(matches!(add(bob.id, &[0, 1, 2]), Err(Error::Taken { .. })));
    assert!(matches!(add(bob.id, &[9; 2_000]), Err(Error::Invalid { .. })));
    add(bob.id, &[9; 1_023]).unwrap();
    lab.store.write(|tx| people::used_passkey(tx, &[0, 1, 2], "{\"counter\":7}", 9)).unwrap();
    let found = lab.store.read(|tx| people::passkey(tx, &[0, 1, 2])).unwrap().unwrap();
    assert_eq!((found.person, found.data.as_str(), found.last_used), (anna.id, "{\"counter\":7}", Some(9)));
    assert!(!lab.store.write(|tx| people::remove_passkey(tx, bob.id, &[0, 1, 2])).unwrap());
    assert!(lab.store.write(|tx| people::remove_passkey(tx, anna.id, &[0, 1, 2])).unwrap());
    assert!(lab.store.read(|tx| people::passkeys(tx, anna.id)).unwrap().is_empty());
}

fn logins_rotate_and_run_out(lab: &Lab) {
    let anna = create(lab, "anna", None).unwrap();
    log_in(lab, anna.id, 1);
    assert!(is_in(lab, 1, 999) && !is_in(lab, 1, 1_000) && !is_in(lab, 2, 50));
    let rotate = |at| lab.store.write(|tx| login::rotate(tx, &[1; 32], &[2; 32], &[3], at)).unwrap();
    assert!(!rotate(1_000), "not once it ran out");
    assert!(rotate(50));
    assert!(!is_in(lab, 1, 60) && is_in(lab, 2, 60));
    assert!(!rotate(70), "the old token is nobody's");
    lab.store.write(|tx| login::used(tx, &[2; 32], 80)).unwrap();
    let logins = lab.store.read(|tx| login::of_person(tx, anna.id, 90)).unwrap();
    assert_eq!((logins.len(), logins[0].last_used, logins[0].agent.as_str()), (1, 80, "Browser\0"));
    assert_eq!(lab.store.write(|tx| login::tidy(tx, 100, 80)).unwrap(), 0);
    assert_eq!(lab.store.write(|tx| login::tidy(tx, 100, 81)).unwrap(), 1);
}

fn tokens_of_programs(lab: &Lab) {
    let anna = create(lab, "anna", None).unwrap();
    let (roles, doors) = (roles(&["viewer"]), BTreeSet::new());
    let create = |hash: u8, holder, expires_at| {
        let hash = [hash; 32];
        let (created_by, name) = ("person:1", "backup");
        let new =
            NewToken { hash: &hash, name, holder, roles: &roles, doors: &doors, created_by, expires_at };
        lab.store.write(|tx| token::create(tx, &new, 10))
    };
    let find = |hash: u8, now| lab.store.read(|tx| token::find(tx, &[hash; 32], now)).unwrap();
    let mine = create(1, Holder::Person(anna.id), Some(100)).unwrap();
    let service = create(2, Holder::Service, None).unwrap();
    assert!(matches!(create(2, Holder::Service, None), Err(Error::Taken { .. })));
    assert!(matches!(create(3, Holder::Person(PersonId(9)), None), Err(Error::NotFound { .. })));
    assert_eq!(find(1, 99), Some(mine.clone()));
    assert_eq!(find(1, 100), None);
    lab.store.write(|tx| token::used(tx, service.id, 55)).unwrap();
    assert_eq!(find(2, 1_000).unwrap().last_used, Some(55));
    lab.store.write(|tx| token::revoke(tx, service.id, 60)).unwrap();
    assert_eq!(find(2, 61), None);
    let all = lab.store.read(|tx| token::all(tx, None)).unwrap();
    assert_eq!(all.len(), 2, "one that was taken back can still be read about");
    let disabled = Change { disabled: Some(true), ..Change::default() };
    lab.store.write(|tx| people::change(tx, anna.id, 1, &disabled, 1)).unwrap();
    assert_eq!(find(1, 50), None, "who is disabled has no tokens");
    let of = lab.store.read(|tx| token::all(tx, Some(Holder::Person(anna.id)))).unwrap();
    assert_eq!(of, [mine]);
}

fn sources_and_what_they_show(lab: &Lab) {
    let doors = roles(&["syslog_tls", "hec"]);
    let certificates = [[5; 32], [6; 32], [5; 32]];
    let wanted = |name| Wanted {
        name,
        doors: &doors,
        certificates: &certificates,
        limits: "{}",
        zone: "UTC",
        product: "",
        disabled: false,
    };
    let generation = || lab.store.read(source::generation).unwrap();
    let vpn = lab.store.write(|tx| source::create(tx, &wanted("edge-vpn"), 10)).unwrap();
    assert_eq!((vpn.certificates.len(), vpn.revision), (2, 1));
    let taken = lab.store.write(|tx| source::create(tx, &wanted("EDGE-VPN"), 10)).unwrap_err();
    assert!(matches!(&taken, Error::Taken { what: "source", .. }), "{taken}");
    let taken = lab.store.write(|tx| source::create(tx, &wanted("other"), 10)).unwrap_err();
    assert!(matches!(&taken, Error::Taken { what: "source with certificate", .. }), "{taken}");
    assert_eq!(lab.store.read(source::all).unwrap(), std::slice::from_ref(&vpn));
    let before = generation();
    let none = BTreeSet::new();
    let new = NewToken {
        hash: &[1; 32],
        name: "t",
        holder: Holder::Source(vpn.id),
        roles: &none,
        doors: &doors,
        created_by: "x",
        expires_at: None,
    };
    let token = lab.store.write(|tx| token::create(tx, &new, 10)).unwrap();
    assert_eq!(lab.store.read(|tx| source::tokens(tx, vpn.id, 20)).unwrap(), [token]);
    assert!(generation() > before, "gates hear of a token");
    let off = Wanted { disabled: true, certificates: &[], ..wanted("edge-vpn-2") };
    let changed = lab.store.write(|tx| source::change(tx, vpn.id, 1, &off, 30)).unwrap();
    assert_eq!((changed.name.as_str(), changed.disabled_at), ("edge-vpn-2", Some(30)));
    assert!(changed.certificates.is_empty());
    assert_eq!(lab.store.read(|tx| token::find(tx, &[1; 32], 40)).unwrap(), None);
    let late = lab.store.write(|tx| source::change(tx, vpn.id, 1, &off, 30)).unwrap_err();
    assert!(matches!(late, Error::Conflict { now: 2, .. }), "{late}");
}
