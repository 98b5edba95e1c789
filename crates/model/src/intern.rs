//! Names become numbers once, so that events stay small and comparisons cheap.
//!
//! A [`SymbolTable`] is shared by all threads of a run; each thread has an [`Interner`] in front of it that
//! answers repeated names without a lock. Symbol numbers depend on which thread came first, so **nothing may
//! order by them**: whatever reaches a user is ordered by text.

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError};

/// An interned name. [`Sym::NONE`] stands for "the record does not say".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Sym(pub u32);

impl Sym {
    pub const NONE: Sym = Sym(0);

    pub fn is_none(self) -> bool {
        self.0 == 0
    }

    pub fn is_some(self) -> bool {
        self.0 != 0
    }

    /// `self`, or `other` where `self` is unset.
    pub fn or(self, other: Sym) -> Sym {
        if self.is_some() { self } else { other }
    }

    pub fn some(self) -> Option<Sym> {
        self.is_some().then_some(self)
    }
}

impl std::fmt::Debug for Sym {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{}", self.0)
    }
}

const SHARDS: usize = 16;

#[derive(Default)]
struct Shard {
    index: HashTable<(u64, u32)>,
    names: Vec<Arc<str>>,
}

/// All names of a run. A symbol is `shard + SHARDS * position + 1`.
pub struct SymbolTable {
    shards: [Mutex<Shard>; SHARDS],
    // Fixed, because the hash picks the shard and must be the same on every thread. The table is bounded by
    // the distinct names of the input, and names are capped by the parsers.
    hasher: FixedState,
}

impl Default for SymbolTable {
    fn default() -> Self {
        SymbolTable { shards: Default::default(), hasher: FixedState::with_seed(0x7072_7476) }
    }
}

impl SymbolTable {
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// The symbol of `name`; [`Sym::NONE`] for the empty string.
    pub fn intern(&self, name: &str) -> Sym {
        if name.is_empty() {
            return Sym::NONE;
        }
        self.intern_hashed(self.hasher.hash_one(name), name)
    }

    fn intern_hashed(&self, hash: u64, name: &str) -> Sym {
        let slot = (hash >> 48) as usize % SHARDS;
        let mut shard = self.shards[slot].lock().unwrap_or_else(PoisonError::into_inner);
        let Shard { index, names } = &mut *shard;
        if let Some((_, at)) = index.find(hash, |(h, at)| *h == hash && &*names[*at as usize] == name) {
            return symbol(slot, *at);
        }
        let at = u32::try_from(names.len()).expect("fewer than 2^28 distinct names fit in memory");
        names.push(Arc::from(name));
        index.insert_unique(hash, (hash, at), |(h, _)| *h);
        symbol(slot, at)
    }

    /// The symbol of `name` if any record ever named it.
    pub fn get(&self, name: &str) -> Option<Sym> {
        let hash = self.hasher.hash_one(name);
        let slot = (hash >> 48) as usize % SHARDS;
        let shard = self.shards[slot].lock().unwrap_or_else(PoisonError::into_inner);
        let found = shard.index.find(hash, |(h, at)| *h == hash && &*shard.names[*at as usize] == name);
        found.map(|(_, at)| symbol(slot, *at))
    }

    /// The text of a symbol; empty for [`Sym::NONE`].
    pub fn text(&self, sym: Sym) -> Arc<str> {
        let Some(n) = (sym.0 as usize).checked_sub(1) else { return Arc::from("") };
        let shard = self.shards[n % SHARDS].lock().unwrap_or_else(PoisonError::into_inner);
        shard.names.get(n / SHARDS).cloned().unwrap_or_else(|| Arc::from(""))
    }

    pub fn len(&self) -> usize {
        self.shards.iter().map(|s| s.lock().unwrap_or_else(PoisonError::into_inner).names.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn symbol(slot: usize, at: u32) -> Sym {
    let n = u32::try_from(SHARDS).unwrap_or(0) * at + u32::try_from(slot).unwrap_or(0);
    Sym(n + 1)
}

/// One thread's front of the [`SymbolTable`]: a direct-mapped cache, so a name seen a moment ago costs one
/// hash and one comparison.
pub struct Interner {
    table: Arc<SymbolTable>,
    cache: Vec<(u64, Sym, Arc<str>)>,
}

const CACHE: usize = 4_096;

impl Interner {
    pub fn new(table: Arc<SymbolTable>) -> Self {
        let empty: Arc<str> = Arc::from("");
        Interner { table, cache: vec![(0, Sym::NONE, empty); CACHE] }
    }

    pub fn intern(&mut self, name: &str) -> Sym {
        if name.is_empty() {
            return Sym::NONE;
        }
        let hash = self.table.hasher.hash_one(name);
        let slot = &mut self.cache[hash as usize % CACHE];
        if slot.0 == hash && &*slot.2 == name {
            return slot.1;
        }
        let sym = self.table.intern_hashed(hash, name);
        *slot = (hash, sym, self.table.text(sym));
        sym
    }

    pub fn table(&self) -> &Arc<SymbolTable> {
        &self.table
    }

    pub fn text(&self, sym: Sym) -> Arc<str> {
        self.table.text(sym)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_is_the_same_symbol_on_every_thread() {
        let table = SymbolTable::new();
        let names: Vec<String> = (0..10_000).map(|n| format!("user{n}")).collect();
        let seen: Vec<Vec<Sym>> = std::thread::scope(|s| {
            let jobs: Vec<_> = (0..3)
                .map(|k| {
                    let (table, names) = (table.clone(), &names);
                    s.spawn(move || {
                        let mut front = Interner::new(table);
                        let mut order: Vec<usize> = (0..names.len()).collect();
                        order.rotate_left(k * 1_000);
                        let mut out = vec![Sym::NONE; names.len()];
                        for i in order {
                            out[i] = front.intern(&names[i]);
                        }
                        out
                    })
                })
                .collect();
            jobs.into_iter().map(|j| j.join().expect("no panic")).collect()
        });
        assert_eq!(seen[0], seen[1]);
        assert_eq!(seen[1], seen[2]);
        assert_eq!(&*table.text(seen[0][77]), "user77");
        assert_eq!(table.intern(""), Sym::NONE);
        assert_eq!(table.get("nobody"), None);
    }
}
