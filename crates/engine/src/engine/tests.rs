//! Floods: what a stranger can send without end costs memory that has a budget, and moves nobody who was let in.

use super::*;
use crate::fold::infrastructure::{ATTEMPTS, ATTEMPTS_OF_ALL};
use portreeve_model::facts::NoContext;
use portreeve_model::time::SECOND_US;

fn event(n: i64, user: Sym, ip: Ip, outcome: Outcome) -> Event {
    Event {
        time: EventTime(n * SECOND_US),
        key: n as u64,
        act: Act::Auth,
        outcome,
        service: Service::Vpn,
        user,
        src_ip: ip,
        ..Event::default()
    }
}

fn public(n: u128) -> Ip {
    Ip(Ip::parse(b"100.128.0.0").0 + n)
}

#[test]
fn names_that_are_guessed_have_a_budget_and_nobody_who_was_let_in_goes() {
    let names = SymbolTable::new();
    let context = NoContext::new(names.clone());
    let mut engine = Engine::new(&context, names.clone());
    let anna = names.intern("anna");
    engine.push(&event(0, anna, public(1), Outcome::Success));
    let guesses = ACCOUNTS as i64 * 2;
    for n in 1..=guesses {
        engine.push(&event(n, names.intern(&format!("guess{n}")), public(2), Outcome::Failure));
        assert!(engine.dossiers.len() <= ACCOUNTS);
    }
    assert!(engine.dossiers.contains_key(&anna));
    // The newest are held, and the oldest are gone and counted.
    let of = |n: i64| names.get(&format!("guess{n}")).and_then(|name| engine.dossiers.get(&name));
    assert!(of(guesses).is_some() && of(1).is_none());
    let gone = guesses as usize + 1 - engine.dossiers.len();
    assert_eq!(engine.evicted_accounts as usize, gone);
    assert!(engine.evicted().contains(&("accounts without success", gone as u64)));
}

#[test]
fn attempts_of_all_addresses_have_a_budget() {
    let names = SymbolTable::new();
    let context = NoContext::new(names.clone());
    let mut engine = Engine::new(&context, names.clone());
    let root = names.intern("root");
    let (sources, each) = (ATTEMPTS_OF_ALL / ATTEMPTS + 1_000, ATTEMPTS as i64);
    let mut n = 0;
    for source in 0..sources {
        for _ in 0..each {
            n += 1;
            engine.push(&event(n, root, public(source as u128), Outcome::Failure));
        }
    }
    let held: usize = engine.infrastructure.sources.values().map(|s| s.attempts.len()).sum();
    assert!(held <= ATTEMPTS_OF_ALL, "{held}");
    assert!(engine.infrastructure.sources.contains_key(&public(sources as u128 - 1)));
    assert!(!engine.infrastructure.sources.contains_key(&public(0)));
    assert_eq!(engine.infrastructure.evicted_sources as usize, sources - engine.infrastructure.sources.len());
}
