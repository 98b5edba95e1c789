//! Configuration, guard, devices and ledger of one act, opened anew for each: what they hold may have changed.

use super::{Contain, protect};
use crate::app::App;
use crate::desk::Fault;
use crate::hub::{Hub, News};
use crate::line::now;
use portreeve_respond::config::{Config, Devices};
use portreeve_respond::execute::{ExecuteError, Executor, HandOver};
use portreeve_respond::guard::Guard;
use portreeve_respond::ledger::{Entry, Ledger, LedgerError};
use portreeve_respond::operator::Operator;
use portreeve_respond::secret::Vault;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ContainError {
    #[error("containment: {0}")]
    Setup(#[from] portreeve_respond::fault::Fault),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Execute(#[from] ExecuteError),
    #[error(transparent)]
    Store(#[from] portreeve_store::Error),
}

impl From<ContainError> for Fault {
    fn from(error: ContainError) -> Fault {
        match error {
            ContainError::Setup(fault) => Fault::Conflict { text: format!("containment: {fault}") },
            ContainError::Ledger(error) | ContainError::Execute(ExecuteError::Ledger(error)) => match error {
                LedgerError::NoPlan(_) => Fault::not_found("such plan"),
                LedgerError::NoStep { .. } | LedgerError::NotNow { .. } => {
                    Fault::Conflict { text: error.to_string() }
                }
                other => Fault::Inside(other.to_string()),
            },
            ContainError::Execute(error) => Fault::Conflict { text: error.to_string() },
            ContainError::Store(error) => error.into(),
        }
    }
}

impl From<LedgerError> for Fault {
    fn from(error: LedgerError) -> Fault {
        ContainError::from(error).into()
    }
}

impl From<ExecuteError> for Fault {
    fn from(error: ExecuteError) -> Fault {
        ContainError::from(error).into()
    }
}

pub(crate) struct Site {
    pub(crate) config: Config,
    pub(crate) guard: Guard,
    pub(crate) devices: Devices,
    pub(crate) ledger: Ledger,
    pub(crate) operators: Vec<Operator>,
}

impl Site {
    /// `people`: those who sign at the page, besides the operators of the configuration.
    pub(crate) fn open(app: &App, contain: &Contain, people: Vec<Operator>) -> Result<Site, ContainError> {
        let config = Config::read(contain.path())?;
        let vault = Vault::from_environment()?;
        let mut guard = config.guard();
        protect(&mut guard, &app.grounds().tables);
        let ledger = Ledger::open(&config.ledger)?;
        let devices = Devices::new(&config, &vault);
        let mut site = Site { config, guard, devices, ledger, operators: Vec::new() };
        site.operators = site.all_operators(people);
        Ok(site)
    }

    /// Those of the configuration, and people of the page.
    pub(crate) fn all_operators(&self, people: Vec<Operator>) -> Vec<Operator> {
        [self.config.operators.clone(), people].concat()
    }

    /// Works with the executor; open pages are told of each entry of the ledger.
    pub(crate) fn with<T>(&mut self, hub: &Hub, then: impl FnOnce(&mut Executor<'_>) -> T) -> T {
        self.with_keeper(hub, &mut |_, _| {}, then)
    }

    /// The same; new passwords go to `keep`.
    pub(crate) fn with_keeper<T>(
        &mut self,
        hub: &Hub,
        keep: &mut HandOver<'_>,
        then: impl FnOnce(&mut Executor<'_>) -> T,
    ) -> T {
        let mut tell = |entry: &Entry| {
            if !entry.plan.is_empty() {
                hub.tell(News::Plan { digest: entry.plan.clone() });
            }
        };
        let clock = || now().0;
        let mut executor = Executor {
            ledger: &mut self.ledger,
            devices: &mut self.devices,
            guard: &self.guard,
            policy: &self.config.policy,
            operators: &self.operators,
            now: &clock,
            progress: &mut tell,
            hand_over: &mut |step, secret| keep(step, secret),
        };
        then(&mut executor)
    }
}
