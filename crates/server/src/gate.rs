//! The sources that may write, from the configuration and from the store, in memory: doors ask for every request.

use crate::config::{Config, digest};
use portreeve_doors::{Admitted, Gate, Limits, Origin};
use portreeve_store::{Store, source};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

/// One source and what it shows.
#[derive(Clone, Debug)]
struct Known {
    admitted: Admitted,
    /// All where empty.
    doors: BTreeSet<String>,
    expires_at: Option<i64>,
}

#[derive(Default)]
struct All {
    tokens: BTreeMap<[u8; 32], Known>,
    certificates: BTreeMap<[u8; 32], Known>,
    /// What is declared of origins: zone and product, by name.
    declared: BTreeMap<String, (String, String)>,
    generation: i64,
}

/// The gate of the service.
#[derive(Default)]
pub struct Sources {
    all: RwLock<All>,
}

impl Sources {
    /// Reads configuration and store anew.
    pub fn load(&self, config: &Config, store: &Store, now: i64) -> Result<(), portreeve_store::Error> {
        let (sources, tokens, generation) = store.read(|tx| {
            let sources = source::all(tx)?;
            let tokens =
                sources.iter().map(|s| source::tokens(tx, s.id, now)).collect::<Result<Vec<_>, _>>()?;
            Ok((sources, tokens, source::generation(tx)?))
        })?;
        let mut all = All { generation, ..All::default() };
        for (name, source) in &config.sources {
            let admitted = Admitted { origin: Origin::new(name), limits: Arc::new(source.limits.clone()) };
            let doors = source.doors.iter().cloned().collect();
            let known = Known { admitted, doors, expires_at: None };
            all.tokens.extend(source.token_sha256.iter().filter_map(|t| Some((digest(t)?, known.clone()))));
            let certificates = source.certificate_sha256.iter();
            all.certificates.extend(certificates.filter_map(|c| Some((digest(c)?, known.clone()))));
            let declared =
                (source.zone.clone().unwrap_or_default(), source.product.clone().unwrap_or_default());
            all.declared.insert(name.clone(), declared);
        }
        for (source, tokens) in sources.iter().zip(tokens) {
            all.declared.insert(source.name.clone(), (source.zone.clone(), source.product.clone()));
            if source.disabled_at.is_some() {
                continue;
            }
            let limits: Limits = serde_json::from_str(&source.limits).unwrap_or_default();
            let admitted = Admitted { origin: Origin::new(&source.name), limits: Arc::new(limits) };
            let mut known = Known { admitted, doors: source.doors.clone(), expires_at: None };
            let certificates = source.certificates.iter();
            all.certificates.extend(certificates.map(|c| (*c, known.clone())));
            for token in tokens {
                known.expires_at = token.expires_at;
                if !token.doors.is_empty() {
                    known.doors = token.doors.clone();
                }
                all.tokens.insert(token.hash, known.clone());
            }
        }
        *self.all.write().unwrap_or_else(PoisonError::into_inner) = all;
        Ok(())
    }

    /// Reads anew where the store's sources changed since.
    pub fn renew(&self, config: &Config, store: &Store, now: i64) -> Result<(), portreeve_store::Error> {
        let known = self.all.read().unwrap_or_else(PoisonError::into_inner).generation;
        if store.read(source::generation)? != known {
            self.load(config, store, now)?;
        }
        Ok(())
    }

    /// Zone and product that are declared of an origin; empty where none is.
    pub fn declared(&self, origin: &str) -> (String, String) {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        all.declared.get(origin).cloned().unwrap_or_default()
    }

    fn find(
        &self,
        of: impl Fn(&All) -> &BTreeMap<[u8; 32], Known>,
        sum: &[u8; 32],
        door: &str,
    ) -> Option<Admitted> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        let known = of(&all).get(sum)?;
        let is_open = known.doors.is_empty() || known.doors.contains(door);
        let is_good = known.expires_at.is_none_or(|at| crate::line::now().0 < at);
        (is_open && is_good).then(|| known.admitted.clone())
    }
}

impl Gate for Sources {
    fn token(&self, door: &'static str, token: &[u8]) -> Option<Admitted> {
        // Looked up by its sum: a token that is nearly right costs as much as one that is all wrong.
        self.find(|all| &all.tokens, &Sha256::digest(token).into(), door)
    }

    fn certificate(&self, door: &'static str, sha256: &[u8; 32]) -> Option<Admitted> {
        self.find(|all| &all.certificates, sha256, door)
    }
}
