//! `respond connectors` and `respond doctor`.

use super::SiteArgs;
use super::desk::Desk;
use crate::{Failure, say, usage};
use portreeve_model::untrusted::escape_for_terminal;
use portreeve_respond::connectors::{CONNECTORS, by_name};
use portreeve_respond::page;

pub(crate) fn list(name: Option<&str>, as_page: bool) -> Result<u8, Failure> {
    match name {
        Some(name) => {
            let connector = by_name(name).ok_or_else(|| usage(format!("no connector is called `{name}`")))?;
            say(&if as_page { page::markdown(connector) } else { page::text(connector) })
        }
        None if as_page => say(&page::index(CONNECTORS)),
        None => say(&page::table(CONNECTORS)),
    }
}

pub(crate) fn doctor(site: &SiteArgs) -> Result<u8, Failure> {
    let mut desk = Desk::open(site)?;
    let (nets, accounts, devices) = desk.guard.size();
    let mut text = format!(
        "never touched: {nets} ranges, {accounts} accounts, {devices} devices\noperators: {}\nledger: {}\n",
        desk.config
            .operators
            .iter()
            .map(|o| format!("{} ({})", o.name, o.tier))
            .collect::<Vec<_>>()
            .join(", "),
        desk.ledger.path().display()
    );
    if desk.config.checkpoint_key.is_none() {
        text.push_str(
            "warning: no checkpoint_key: a ledger that is cut short cannot be told from a short one\n",
        );
    }
    if desk.tables.is_none() {
        text.push_str(
            "warning: no --context: own egress, service accounts and administrators are not known\n",
        );
    }
    let mut unable = 0;
    for name in desk.devices.names() {
        let proof = desk.devices.connector(&name).map_or("", |c| c.proof.name());
        let kind = desk.devices.connector(&name).map_or("", |c| c.name);
        text.push_str(&format!("{} ({kind}, {proof})\n", escape_for_terminal(&name)));
        match desk.devices.control(&name) {
            Ok(control) => {
                for ability in control.doctor() {
                    let word = match ability.able {
                        Some(true) => "can    ",
                        Some(false) => "cannot ",
                        None => "unknown",
                    };
                    unable += u8::from(ability.able == Some(false));
                    text.push_str(&format!(
                        "  {word} {}: {}\n",
                        ability.what,
                        escape_for_terminal(&ability.why)
                    ));
                }
            }
            Err(fault) => {
                unable = unable.saturating_add(1);
                text.push_str(&format!("  cannot  be opened: {}\n", escape_for_terminal(&fault.to_string())));
            }
        }
    }
    say(&text)?;
    Ok(u8::from(unable > 0))
}
