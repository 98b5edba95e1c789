//! The configuration, the guard with what the context adds, the ledger and the person at the keys, together.

use super::SiteArgs;
use crate::{Failure, usage};
use portreeve_context::Tables;
use portreeve_model::SymbolTable;
use portreeve_respond::config::{Config, Devices};
use portreeve_respond::execute::Executor;
use portreeve_respond::guard::Guard;
use portreeve_respond::ledger::{Entry, Kind, Ledger};
use portreeve_respond::operator::{PrivateKey, Purpose, Word};
use portreeve_respond::secret::{SecretRef, Vault};
use std::io::{IsTerminal, Write};
use std::path::PathBuf;

pub(crate) struct Desk {
    pub(crate) config: Config,
    pub(crate) guard: Guard,
    pub(crate) devices: Devices,
    pub(crate) ledger: Ledger,
    pub(crate) tables: Option<Tables>,
    vault: Vault,
    operator: Option<String>,
    key: Option<PathBuf>,
}

/// Microseconds since 1970, UTC.
pub(crate) fn now() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

impl Desk {
    pub(crate) fn open(site: &SiteArgs) -> Result<Desk, Failure> {
        let path = site.config_path().ok_or_else(|| {
            usage("no configuration of containment: give --config FILE, or put respond.yml into the context folder (docs/respond.md)")
        })?;
        let config = Config::read(&path).map_err(usage)?;
        let vault = Vault::from_environment().map_err(usage)?;
        let mut guard = config.guard();
        let options = site.context.options(portreeve_sources::Catalog::built_in());
        let tables = if options.dir.is_some() || !options.geo.is_empty() || !options.asn.is_empty() {
            Some(Tables::load(&options, SymbolTable::new()).map_err(usage)?)
        } else {
            None
        };
        if let Some(tables) = &tables {
            portreeve_server::contain::protect(&mut guard, tables);
        }
        let ledger = Ledger::open(&config.ledger).map_err(usage)?;
        let devices = Devices::new(&config, &vault);
        Ok(Desk {
            config,
            guard,
            devices,
            ledger,
            tables,
            vault,
            operator: site.operator.clone(),
            key: site.key.clone(),
        })
    }

    pub(crate) fn find(&self, prefix: &str) -> Result<String, Failure> {
        self.ledger.find(prefix).map_err(usage)
    }

    /// Who is asking.
    pub(crate) fn who(&self) -> Result<String, Failure> {
        let name =
            self.operator.clone().ok_or_else(|| usage("who are you? --as NAME, or PORTREEVE_OPERATOR"))?;
        if self.config.operators.iter().any(|o| o.name == name) {
            return Ok(name);
        }
        let known: Vec<&str> = self.config.operators.iter().map(|o| o.name.as_str()).collect();
        Err(usage(format!("{name} is no operator of the configuration; there are {}", known.join(", "))))
    }

    /// The person's signed word.
    pub(crate) fn word(&self, purpose: Purpose, digest: &str, reason: &str) -> Result<Word, Failure> {
        let name = self.who()?;
        let path = self
            .key
            .clone()
            .ok_or_else(|| usage("your word is signed: --key FILE, or PORTREEVE_OPERATOR_KEY"))?;
        let secret = self.vault.open(&SecretRef::File(path)).map_err(usage)?;
        let key = PrivateKey::from_secret(&secret).map_err(usage)?;
        Ok(Word::sign(&name, &key, purpose, digest, reason, now()))
    }

    pub(crate) fn checkpoint_key(&self) -> Result<Option<PrivateKey>, Failure> {
        match &self.config.checkpoint_key {
            None => Ok(None),
            Some(from) => {
                let secret = self.vault.open(from).map_err(usage)?;
                PrivateKey::from_secret(&secret).map(Some).map_err(usage)
            }
        }
    }

    /// Works with the executor; each entry of the ledger is told on the error output of a terminal.
    pub(crate) fn with<T>(&mut self, then: impl FnOnce(&mut Executor<'_>) -> T) -> T {
        let loud = std::io::stderr().is_terminal();
        let mut tell = move |entry: &Entry| {
            if loud && entry.kind != Kind::Word {
                let step = entry.step.map(|s| format!(" step {s}")).unwrap_or_default();
                // Progress that cannot be shown is no error.
                drop(writeln!(
                    std::io::stderr(),
                    "{}{step}: {}",
                    super::show::time(entry.at),
                    entry.kind.id()
                ));
            }
        };
        let mut executor = Executor {
            ledger: &mut self.ledger,
            devices: &mut self.devices,
            guard: &self.guard,
            policy: &self.config.policy,
            operators: &self.config.operators,
            now: &now,
            progress: &mut tell,
            hand_over: &mut |_, _| {},
        };
        then(&mut executor)
    }
}
