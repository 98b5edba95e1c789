//! Accounts by name, and their expiry in shadow.

use super::{Host, Sshd, again};
use crate::connector::{Ack, Effect, Seen};
use crate::fault::Fault;
use crate::transport::command::{Argv, Runner};
use crate::value::UserName;
use portreeve_model::untrusted::escape_for_terminal;
use serde_json::json;
use std::num::NonZeroU32;

/// An account that may be touched: only `judged` makes one, so that no other user id reaches a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Account {
    name: String,
    uid: NonZeroU32,
}

/// User ids from here on are `nobody` and what the kernel writes for none.
const NOBODY: u32 = 65_534;

impl Account {
    pub(super) fn ids(&self) -> Vec<String> {
        vec![self.name.clone(), format!("user id {}", self.uid)]
    }

    pub(super) fn uid(&self) -> NonZeroU32 {
        self.uid
    }

    /// Other names of the same user id.
    pub(super) fn twins(&self, host: &Host) -> Result<Vec<String>, Fault> {
        let output = host.ask(&Argv::new("getent").arg("passwd"))?;
        let twins = output.out.lines().filter_map(passwd);
        let twins = twins.filter(|(name, uid)| *uid == self.uid.get() && name != &self.name);
        Ok(twins
            .map(|(name, _)| format!("account {} (the same user id)", escape_for_terminal(name)))
            .collect())
    }
}

/// `name:x:1001:…`
fn passwd(line: &str) -> Option<(&str, u32)> {
    let mut fields = line.split(':');
    let name = fields.next()?;
    let uid = fields.nth(1)?.parse().ok()?;
    Some((name, uid))
}

/// The account of exactly this name.
pub(super) fn find(host: &Host, name: &UserName) -> Result<Account, Fault> {
    let output = host.ask(&Argv::new("getent").arg("passwd").value(name))?;
    // getent takes digits for a user id and gives the account that has it.
    let found = output.out.lines().filter_map(passwd).find(|(there, _)| *there == name.raw());
    match (output.code, found) {
        (Some(0), Some((_, uid))) => judged(host, name, uid),
        (Some(0 | 2), _) => Err(Fault::NotFound(format!("no account {name} on {}", host.runner.describe()))),
        _ => Err(Fault::Unreachable(format!("getent: {}", output.complaint()))),
    }
}

/// Never root, the system's, nobody, or the account by which we come.
fn judged(host: &Host, name: &UserName, uid: u32) -> Result<Account, Fault> {
    let refused = |why: &str| Err(Fault::Refused(format!("{name} (user id {uid}) {why}")));
    let Some(person) = NonZeroU32::new(uid) else {
        return refused("is root, whatever its name");
    };
    if uid < host.uid_min {
        return refused("is an account of the system");
    }
    if uid >= NOBODY {
        return refused("is nobody");
    }
    if host.login.as_deref() == Some(name.raw()) {
        return refused("is the account by which Portreeve comes to this host");
    }
    if matches!(host.runner, Runner::Local) && rustix::process::getuid().as_raw() == uid {
        return refused("is the account as which Portreeve runs");
    }
    Ok(Account { name: name.raw().to_owned(), uid: person })
}

/// The expiry of an account of this host's own files, in days since 1970; `None` where it never expires. The
/// password's hash is in the same line and goes no further than here.
fn expiry(host: &Host, name: &UserName) -> Result<Option<u64>, Fault> {
    let output = host.ask(&Argv::new("getent").args(&["-s", "files", "shadow"]).value(name))?;
    match output.code {
        Some(0) => {}
        Some(2) => {
            return Err(Fault::Unsupported(format!(
                "{name} has no line in this host's shadow that we may read: it comes from a directory (disable it \
                 there, or use `method: deny_users`), or we are not root"
            )));
        }
        _ => return Err(Fault::Unreachable(format!("getent: {}", output.complaint()))),
    }
    let garbled = || Fault::Garbled(format!("shadow of {name} has no field of the expiry"));
    let fields = output
        .out
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.first() == Some(&name.raw()))
        .ok_or_else(garbled)?;
    match fields.get(7) {
        Some(&"") => Ok(None),
        Some(days) => days.parse().map(Some).map_err(|_| garbled()),
        None => Err(garbled()),
    }
}

fn today() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_second() / 86_400).unwrap_or(0)
}

/// Day 0 is read as never by some and as 1970 by others (shadow(5)), so it counts as open.
fn is_shut(expiry: Option<u64>) -> bool {
    expiry.is_some_and(|day| day > 0 && day <= today())
}

fn shown(expiry: Option<u64>) -> String {
    expiry.map_or_else(|| "never expires".to_owned(), |day| format!("expires on day {day} since 1970"))
}

pub(super) fn expire(name: &UserName, day: Option<u64>) -> Argv {
    let argv = Argv::new("chage").arg("-E");
    match day {
        Some(day) => argv.value(&day),
        None => argv.arg("-1"),
    }
    .value(name)
}

fn before(seen: &Seen) -> Option<u64> {
    seen.before.get("expires").and_then(serde_json::Value::as_u64)
}

pub(super) fn read(host: &Host, name: &UserName) -> Result<Seen, Fault> {
    let account = find(host, name)?;
    let expiry = expiry(host, name)?;
    Ok(Seen {
        ids: account.ids(),
        in_force: is_shut(expiry),
        before: json!({"uid": account.uid().get(), "expires": expiry}),
        says: format!("{name} (user id {}) {}", account.uid(), shown(expiry)),
        also_hits: Vec::new(),
    })
}

pub(super) fn apply(host: &Host, name: &UserName, seen: &Seen) -> Result<Ack, Fault> {
    again(host, name, seen)?;
    let (there, saved) = (expiry(host, name)?, before(seen));
    if there == Some(1) {
        return Ok(Ack::says("was expired already"));
    }
    if there != saved {
        return Err(Fault::Refused(format!(
            "{name} {} now; when this was planned it was: {}",
            shown(there),
            shown(saved)
        )));
    }
    host.act(&expire(name, Some(1)), b"")?;
    Ok(Ack::says("chage took the change"))
}

pub(super) fn verify(host: &Host, sshd: &Sshd, name: &UserName) -> Result<Effect, Fault> {
    let there = expiry(host, name)?;
    if !is_shut(there) {
        return Ok(Effect::NotEffective(format!("{name} {}", shown(there))));
    }
    // With or without PAM sshd heeds the expiry; where no sshd is, the rest of the sentence is left out.
    let asks = match sshd.setting(host, "usepam") {
        Ok(Some(pam)) if pam == "yes" => "; sshd asks PAM, which refuses expired accounts",
        Ok(Some(_)) => "; sshd reads the expiry itself",
        _ => "",
    };
    Ok(Effect::Effective(format!("{name} {}{asks}", shown(there))))
}

pub(super) fn undo(host: &Host, name: &UserName, seen: &Seen) -> Result<Ack, Fault> {
    again(host, name, seen)?;
    let (there, saved) = (expiry(host, name)?, before(seen));
    if there == saved {
        return Ok(Ack::says("is as it was"));
    }
    if there != Some(1) {
        return Err(Fault::Refused(format!("{name} {}: another hand set it, and it is left", shown(there))));
    }
    host.act(&expire(name, saved), b"")?;
    Ok(Ack::says("chage took the change"))
}

pub(super) fn verify_undone(host: &Host, name: &UserName, seen: &Seen) -> Result<Effect, Fault> {
    let there = expiry(host, name)?;
    Ok(if there == before(seen) {
        Effect::Effective(format!("{name} {}, as before", shown(there)))
    } else {
        Effect::NotEffective(format!("{name} {}", shown(there)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_passwd_are_read() {
        assert_eq!(passwd("anna:x:1001:1001:,,,:/home/anna:/bin/bash"), Some(("anna", 1001)));
        assert_eq!(passwd("anna:x"), None);
        assert_eq!(passwd("anna:x:-1:"), None);
    }

    #[test]
    fn only_people_are_touched() {
        let host = |uid_min| Host { runner: Runner::Netns("x".into()), login: Some("ops".into()), uid_min };
        let judged = |name: &str, uid, uid_min| judged(&host(uid_min), &UserName::new(name).unwrap(), uid);
        assert!(judged("anna", 1001, 1000).is_ok());
        // Root is refused even where the configuration calls everybody a person.
        for (name, uid, uid_min) in [
            ("toor", 0, 0),
            ("root", 0, 1000),
            ("www", 33, 1000),
            ("nobody", 65_534, 0),
            ("x", u32::MAX, 0),
            ("ops", 1001, 0),
        ] {
            assert!(matches!(judged(name, uid, uid_min), Err(Fault::Refused(_))), "{name} {uid}");
        }
    }

    #[test]
    fn day_nought_and_days_to_come_are_open() {
        assert!(is_shut(Some(1)) && is_shut(Some(today())));
        assert!(!is_shut(None) && !is_shut(Some(0)) && !is_shut(Some(today() + 1)));
    }

    #[test]
    fn the_saved_day_is_written_as_it_was() {
        let name = UserName::new("anna").unwrap();
        assert_eq!(expire(&name, Some(21_000)).shown(), "chage -E 21000 anna");
        assert_eq!(expire(&name, None).shown(), "chage -E -1 anna");
    }
}
