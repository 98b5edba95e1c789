//! Answers of the context, asked once per name and address.

use hashbrown::HashMap;
use portreeve_model::facts::{Account, Context, Host};
use portreeve_model::place::Place;
use portreeve_model::{Ip, Sym};
use std::sync::Arc;

/// Map with the fast hasher. Keys that an intruder can choose are interned first, so a flood of names costs
/// memory that is budgeted, not time.
pub(crate) type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// Answers of a kind that are remembered. Addresses that scan, and names that are guessed, are without end.
const ANSWERS: usize = 1 << 17;

/// In front of the context for one fold. The context answers the same question the same way, so remembering
/// changes nothing but the time, and forgetting neither.
#[derive(Clone, Default)]
pub(crate) struct Memo {
    accounts: Map<Sym, Arc<Account>>,
    places: Map<Ip, Place>,
    hosts: Map<Sym, Arc<Host>>,
    host_of_ip: Map<Ip, Option<Arc<Host>>>,
    pools: Map<Ip, Option<Sym>>,
}

impl Memo {
    pub(crate) fn account(&mut self, context: &dyn Context, user: Sym) -> Arc<Account> {
        room(&mut self.accounts).entry(user).or_insert_with(|| Arc::new(context.account(user))).clone()
    }

    pub(crate) fn place(&mut self, context: &dyn Context, ip: Ip) -> Place {
        *room(&mut self.places).entry(ip).or_insert_with(|| context.place(ip))
    }

    pub(crate) fn host(&mut self, context: &dyn Context, name: Sym) -> Arc<Host> {
        room(&mut self.hosts).entry(name).or_insert_with(|| Arc::new(context.host(name))).clone()
    }

    pub(crate) fn host_of_ip(&mut self, context: &dyn Context, ip: Ip) -> Option<Arc<Host>> {
        room(&mut self.host_of_ip).entry(ip).or_insert_with(|| context.host_of_ip(ip).map(Arc::new)).clone()
    }

    pub(crate) fn pool(&mut self, context: &dyn Context, ip: Ip) -> Option<Sym> {
        *room(&mut self.pools).entry(ip).or_insert_with(|| context.vpn_pool(ip))
    }
}

/// Those that are asked for again come back by and by.
fn room<K, V>(answers: &mut Map<K, V>) -> &mut Map<K, V> {
    if answers.len() >= ANSWERS {
        answers.clear();
    }
    answers
}
