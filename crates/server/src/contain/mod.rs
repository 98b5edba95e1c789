//! Containment: from a case's proposals to what was done and came after. The rules, the ledger and the devices are the
//! crate `respond`'s; here is what they need of cases, of the context and of people who sign in. The command
//! `portreeve respond` calls the same functions as the live service.

pub(crate) mod handed;
mod hands;
pub(crate) mod keys;
pub mod proposals;
pub mod record;
mod site;
pub mod watch;

pub(crate) use hands::{Contain, Job, What, rounds};
pub(crate) use site::{ContainError, Site};

use portreeve_context::Tables;
use portreeve_respond::guard::Guard;

/// What the context folder adds to what is never touched and to what is heavy.
pub fn protect(guard: &mut Guard, tables: &Tables) {
    let protected = tables.protected();
    for (range, label) in &protected.egress {
        if let Ok(net) = range.parse() {
            guard.protect_net(net, "own_egress", format!("own network: {label}"));
        }
    }
    for account in &protected.accounts {
        for name in &account.names {
            if account.break_glass {
                guard.protect_account(name, "break_glass", "an account for emergencies (users.csv)");
            }
            if account.service {
                guard.service_account(name);
            }
        }
        // One person with several spellings is one administrator.
        if let Some(name) = account.names.first()
            && account.privileged
            && !account.gone
        {
            guard.privileged(name);
        }
    }
    for host in &protected.hosts {
        guard.protect_device(host, "whoever isolates it stops everybody (assets.csv)");
    }
    guard.active_users = protected.active_users;
}
