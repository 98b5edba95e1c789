//! What pages, API and line share.

use crate::config::{Changed, Config, ConfigError, changed};
use crate::contain::Contain;
use crate::dead::DeadLetters;
use crate::desk::accounts::Accounts;
use crate::entrances::Entrances;
use crate::gate::Sources;
use crate::hub::Hub;
use crate::line::{Grounds, Health, Progress, Pulse, Told};
use crate::out::Hooks;
use crate::service::{StartError, grounds};
use portreeve_doors::{Counters, Intake};
use portreeve_lake::Lake;
use portreeve_model::EventTime;
use portreeve_pipeline::Catalog;
use portreeve_store::Store;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use tokio_util::sync::CancellationToken;

/// So many names are held, and twice those that were needed when everything was folded last, before any is let go of.
const MOST_NAMES: u64 = 1_000_000;

/// Reads the configuration again, as it was read at the start.
pub type Reread = Box<dyn Fn() -> Result<Config, ConfigError> + Send + Sync>;

/// The service, as its handlers see it.
pub struct App {
    /// As it was at the start.
    pub config: Arc<Config>,
    /// As it is in force: what was read again since, and counts at once.
    pub(crate) current: RwLock<Arc<Config>>,
    pub(crate) reread: OnceLock<Reread>,
    /// Held while files are read again, so that the last who asks has the last word.
    pub(crate) renewing: Mutex<()>,
    pub(crate) entrances: Entrances,
    pub data: PathBuf,
    pub store: Store,
    pub lake: Arc<Lake>,
    pub hub: Hub,
    pub progress: Arc<Progress>,
    pub health: Health,
    pub pulse: Arc<RwLock<Pulse>>,
    pub counters: Counters,
    pub dead: DeadLetters,
    pub sources: Arc<Sources>,
    pub(crate) catalog: &'static Catalog,
    pub(crate) grounds: RwLock<Arc<Grounds>>,
    pub(crate) renew: Mutex<Option<SyncSender<Told>>>,
    pub started: EventTime,
    pub(crate) accounts: Accounts,
    pub(crate) hooks: Arc<Hooks>,
    /// Where containment is configured.
    pub(crate) contain: Option<Arc<Contain>>,
    /// For letters that are offered again; gone once the service closes.
    pub(crate) intake: Mutex<Option<Intake>>,
    /// The service closes: streams of news end.
    pub(crate) closing: CancellationToken,
}

impl App {
    /// Context and content that verdicts rest on now.
    pub fn grounds(&self) -> Arc<Grounds> {
        self.grounds.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The configuration in force: that of the start, with what was read again since and counts at once.
    pub fn current(&self) -> Arc<Config> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How `reload` reads the configuration again; without it, only what the configuration names is read again.
    pub fn rereads(&self, reread: Reread) {
        self.reread.set(reread).ok();
    }

    /// Reads context and content anew and judges everything by them. What they cannot be read for is said, and what was
    /// in force stays. Blocks.
    pub fn renew(&self) -> Result<(), StartError> {
        let _alone = self.renewing.lock().unwrap_or_else(PoisonError::into_inner);
        self.take(self.current())
    }

    /// Reads the configuration, and all that it names, anew. Where anything of it is wrong, all stays as it was. Blocks.
    pub fn reload(&self) -> Result<Changed, StartError> {
        let _alone = self.renewing.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.current();
        let Some(reread) = self.reread.get() else {
            self.take(current)?;
            return Ok(Changed::default());
        };
        let new = reread()?;
        let taken = changed(&current, &new).taken;
        let restart = changed(&self.config, &new).restart;
        let mut merged = Config { sources: new.sources, ..(*self.config).clone() };
        let own = merged.context.sources.take();
        merged.context = crate::config::ContextFiles { sources: own, ..new.context };
        self.take(Arc::new(merged))?;
        Ok(Changed { taken, restart })
    }

    fn take(&self, config: Arc<Config>) -> Result<(), StartError> {
        let generation = self.grounds().generation + 1;
        let fresh = Arc::new(grounds(&config, self.catalog, generation)?);
        self.sources.load(&config, &self.store, crate::line::now().0)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = config;
        *self.grounds.write().unwrap_or_else(PoisonError::into_inner) = fresh.clone();
        let to = self.renew.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(to) = to {
            // The judge ends only with the service.
            to.send(Told::Renewed(fresh)).ok();
        }
        Ok(())
    }

    /// Renews where the engine holds much that nobody asks for any more: names of long ago, events that were forgotten.
    /// Blocks; verdicts wait while everything is folded anew.
    pub fn shed(&self) -> Result<(), StartError> {
        let names = self.grounds().names.len() as u64;
        let folded = Progress::get(&self.progress.names_folded);
        if names > (folded * 2).max(MOST_NAMES) || self.progress.forgot.swap(false, Ordering::Relaxed) {
            tracing::info!(names, "everything is folded anew, to let go of what is past its time");
            self.renew()?;
        }
        Ok(())
    }

    pub(crate) fn intake(&self) -> Option<Intake> {
        self.intake.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sources or their tokens changed: the doors know it when this returns.
    pub(crate) fn reload_sources(&self) -> Result<(), portreeve_store::Error> {
        self.sources.load(&self.current(), &self.store, crate::line::now().0)
    }

    /// The judge ends when nobody can tell it anything any more.
    pub(crate) fn stop_renewing(&self) {
        self.renew.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
