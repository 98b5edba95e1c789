//! A Unix host with shadow passwords and OpenSSH: an account that may not log in, processes ended, a key revoked.

mod account;
mod denied;
mod krl;
mod processes;
mod sshd;

use self::account::Account;
use self::sshd::Sshd;
use crate::act::Act;
use crate::connector::{
    Ability, Ack, Can, Connector, Control, Effect, Known, Order, Present, Proof, Seen, Setting, Settings,
};
use crate::fault::Fault;
use crate::target::{Target, TargetKind};
use crate::transport::command::{Argv, Runner, Via};
use crate::value::{KeyId, UserName};
use serde::Deserialize;
use serde_json::json;
use std::num::NonZeroU32;
use std::time::Duration;

pub static CONNECTOR: Connector = Connector {
    name: "unix",
    product: "Linux accounts and OpenSSH, on this machine or over SSH",
    proof: Proof::Proven,
    can: &[
        Can {
            effect: "`method: expiry`: the account expires on day 1 (2 January 1970), so PAM and sshd refuse every new \
                     login, by key as well. `method: deny_users`: a `DenyUsers` line in a file of our own that \
                     sshd_config includes, and sshd reads it anew",
            leaves_open: "sessions and processes that run go on; cron and services of the account; `expiry`: programs \
                          that ask no PAM account phase; `deny_users`: every way in but this sshd. (`usermod -L` and \
                          `passwd -l` stop no key and are not used.)",
            undo: "the saved expiry (its day, or none) is put back, or our line is taken away; refused where another \
                   hand changed it meanwhile",
            verified_by: "`expiry`: the account's line of shadow, read by getent. `deny_users`: `sshd -T` for the \
                          account, and sshd has started anew since the file was written",
            ..Can::at_once(Act::DisableAccount, &[TargetKind::Account])
        },
        Can {
            effect: "every process of the account's user id is killed, its sshd sessions among them; with systemd its \
                     sessions are terminated first",
            leaves_open: "the account may log in again unless it is disabled first; what it started as another user \
                          (sudo, setuid), cron jobs yet to come",
            undo: "none: whoever may log in does so again",
            verified_by: "`ps` shows no process of the user id, at once and ten seconds later",
            settle: Duration::from_secs(10),
            ..Can::at_once(Act::TerminateSession, &[TargetKind::Session, TargetKind::Account])
        },
        Can {
            effect: "the key's fingerprint is in the key revocation list that sshd's `RevokedKeys` names: no account \
                     of this host accepts the key",
            leaves_open: "sessions that run; other keys of the same person; other hosts",
            undo: "the list is built anew without this fingerprint; refused where it holds certificates or SHA1 \
                   hashes, which its own listing cannot give back",
            verified_by: "`ssh-keygen -Q -l` lists the fingerprint in the file that `sshd -T` names",
            ..Can::at_once(Act::RevokeKey, &[TargetKind::Key])
        },
    ],
    needs: "root, or sudo for getent, chage, pkill, ps, kill, cat, tee, mv, cp, rm, stat, test, and xargs \
            with ssh-keygen and /usr/sbin/sshd; `loginctl` where there is systemd",
    settings: &[
        Setting {
            name: "via",
            required: false,
            says: "`ssh: {host, user, port, identity, known_hosts, sudo}`; absent: this machine",
        },
        Setting { name: "method", required: false, says: "`expiry` (the default) or `deny_users`" },
        Setting {
            name: "uid_min",
            required: false,
            says: "accounts below are the system's and refused; 1000 if absent",
        },
        Setting {
            name: "sshd",
            required: false,
            says: "`config` (/etc/ssh/sshd_config), `pid_file` (/run/sshd.pid), `deny_file`, which sshd_config must \
                   include (/etc/ssh/sshd_config.d/10-portreeve.conf), `krl`, the file of `RevokedKeys`, which must \
                   exist: `ssh-keygen -k -f FILE /dev/null`",
        },
    ],
    source: "shadow(5), chage(1), sshd_config(5), ssh-keygen(1); proven against OpenSSH 9.2",
    open,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    via: Via,
    #[serde(default)]
    method: Method,
    #[serde(default = "uid_min")]
    uid_min: u32,
    #[serde(default)]
    sshd: Sshd,
}

fn uid_min() -> u32 {
    1000
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Method {
    #[default]
    Expiry,
    DenyUsers,
}

const LIMIT: Duration = Duration::from_secs(15);

fn open(settings: &Settings) -> Result<Box<dyn Control>, Fault> {
    let config: Config = settings.fields()?;
    config.sshd.check()?;
    let login = config.via.ssh.as_ref().map(|ssh| ssh.user.clone());
    let host = Host { runner: config.via.runner()?, login, uid_min: config.uid_min };
    Ok(Box::new(Unix { host, method: config.method, sshd: config.sshd }))
}

/// Where commands run and whom they never touch.
struct Host {
    runner: Runner,
    /// The account by which we come, over SSH.
    login: Option<String>,
    uid_min: u32,
}

impl Host {
    /// A command that only reads. Its status is the caller's to judge.
    fn ask(&self, argv: &Argv) -> Result<crate::transport::command::Output, Fault> {
        self.runner.read(argv, b"", LIMIT)
    }

    /// A command that changes something and must end well.
    fn act(&self, argv: &Argv, stdin: &[u8]) -> Result<String, Fault> {
        let output = self.runner.run(argv, stdin, LIMIT)?;
        if output.ok() {
            return Ok(output.out);
        }
        let complaint = output.complaint();
        let denied = ["ermission denied", "Operation not permitted", "a password is required", "not allowed"];
        if denied.iter().any(|d| complaint.contains(d)) {
            return Err(Fault::Credential(format!("{}: {complaint}", argv.shown())));
        }
        Err(Fault::Refused(format!("{}: {complaint}", argv.shown())))
    }
}

struct Unix {
    host: Host,
    method: Method,
    sshd: Sshd,
}

/// What an order is about on this host.
enum Matter<'a> {
    Expiry(&'a UserName),
    Denied(&'a UserName),
    Processes(&'a UserName),
    Key(&'a KeyId),
}

impl Unix {
    fn matter<'a>(&self, order: &'a Order) -> Result<Matter<'a>, Fault> {
        match (order.act, &order.target) {
            (Act::DisableAccount, Target::Account { name }) => Ok(match self.method {
                Method::Expiry => Matter::Expiry(name),
                Method::DenyUsers => Matter::Denied(name),
            }),
            (Act::TerminateSession, Target::Account { name }) => Ok(Matter::Processes(name)),
            (Act::TerminateSession, Target::Session(stay)) => match &stay.user {
                Some(name) => Ok(Matter::Processes(name)),
                None => Err(Fault::Unsupported(format!(
                    "{}: sessions of a host are named by their account, which is not known",
                    order.target
                ))),
            },
            (Act::RevokeKey, Target::Key { id, .. }) => Ok(Matter::Key(id)),
            (act, target) => Err(Fault::Unsupported(format!("{} on {target}: not by unix", act.id()))),
        }
    }
}

fn saved_uid(seen: &Seen) -> Result<NonZeroU32, Fault> {
    seen.before
        .get("uid")
        .and_then(serde_json::Value::as_u64)
        .and_then(|uid| u32::try_from(uid).ok())
        .and_then(NonZeroU32::new)
        .ok_or_else(|| Fault::Refused("the plan does not hold the user id".into()))
}

/// The account of the plan, if its name still has the same user id.
fn again(host: &Host, name: &UserName, seen: &Seen) -> Result<Account, Fault> {
    let account = account::find(host, name)?;
    let planned = saved_uid(seen)?;
    if account.uid() != planned {
        return Err(Fault::Refused(format!(
            "{name} has user id {} and had {planned} when this was planned",
            account.uid()
        )));
    }
    Ok(account)
}

impl Control for Unix {
    fn read(&mut self, order: &Order) -> Result<Seen, Fault> {
        match self.matter(order)? {
            Matter::Expiry(name) => account::read(&self.host, name),
            Matter::Denied(name) => denied::read(&self.host, &self.sshd, name, &order.mark),
            Matter::Key(id) => krl::read(&self.host, &self.sshd, id),
            Matter::Processes(name) => {
                let account = account::find(&self.host, name)?;
                Ok(Seen {
                    ids: account.ids(),
                    in_force: false,
                    before: json!({"uid": account.uid().get()}),
                    says: format!(
                        "every process of user id {} ({name}) is ended, not one session",
                        account.uid()
                    ),
                    also_hits: account.twins(&self.host)?,
                })
            }
        }
    }

    fn preview(&self, order: &Order, seen: &Seen) -> Result<Vec<String>, Fault> {
        let lines = match self.matter(order)? {
            Matter::Expiry(name) => vec![account::expire(name, Some(1)).shown()],
            Matter::Denied(name) => denied::preview(&self.sshd, name, &order.mark)?,
            Matter::Key(id) => krl::preview(&self.sshd, id)?,
            Matter::Processes(_) => processes::preview(saved_uid(seen)?),
        };
        Ok(lines.into_iter().map(|line| format!("{line}  (on {})", self.host.runner.describe())).collect())
    }

    fn apply(&mut self, order: &Order, seen: &Seen) -> Result<Ack, Fault> {
        match self.matter(order)? {
            Matter::Expiry(name) => account::apply(&self.host, name, seen),
            Matter::Denied(name) => {
                again(&self.host, name, seen)?;
                denied::apply(&self.host, &self.sshd, name, &order.mark)
            }
            Matter::Key(id) => krl::apply(&self.host, &self.sshd, id),
            Matter::Processes(name) => {
                let account = again(&self.host, name, seen)?;
                processes::end(&self.host, &account)
            }
        }
    }

    fn verify(&mut self, order: &Order, known: &Known) -> Effect {
        let effect = self.matter(order).and_then(|matter| match matter {
            Matter::Expiry(name) => account::verify(&self.host, &self.sshd, name),
            Matter::Denied(name) => denied::verify(&self.host, &self.sshd, name),
            Matter::Key(id) => krl::verify(&self.host, &self.sshd, id),
            Matter::Processes(_) => processes::verify(&self.host, saved_uid(&known.seen)?),
        });
        effect.unwrap_or_else(|fault| Effect::unread(&fault))
    }

    fn undo(&mut self, order: &Order, known: &Known) -> Result<Ack, Fault> {
        match self.matter(order)? {
            Matter::Expiry(name) => account::undo(&self.host, name, &known.seen),
            Matter::Denied(_) => denied::undo(&self.host, &self.sshd, &order.mark),
            Matter::Key(id) => krl::undo(&self.host, &self.sshd, id),
            Matter::Processes(_) => Err(Fault::Unsupported(
                "a session that ended does not come back; whoever may log in does so again".into(),
            )),
        }
    }

    fn verify_undone(&mut self, order: &Order, known: &Known) -> Effect {
        let effect = self.matter(order).and_then(|matter| match matter {
            Matter::Expiry(name) => account::verify_undone(&self.host, name, &known.seen),
            Matter::Denied(name) => denied::verify_undone(&self.host, &self.sshd, name),
            Matter::Key(id) => krl::verify_undone(&self.host, &self.sshd, id),
            Matter::Processes(_) => Err(Fault::Unsupported("ended sessions are not brought back".into())),
        });
        effect.unwrap_or_else(|fault| Effect::unread(&fault))
    }

    /// Our lines of `DenyUsers`; expiries and revoked keys bear no mark and cannot be told from others'.
    fn present(&mut self) -> Result<Option<Vec<Present>>, Fault> {
        match self.method {
            Method::Expiry => Ok(None),
            Method::DenyUsers => denied::present(&self.host, &self.sshd).map(Some),
        }
    }

    fn doctor(&mut self) -> Vec<Ability> {
        let root = match self.host.ask(&Argv::new("id").arg("-u")) {
            Ok(output) if output.ok() && output.out.trim() == "0" => {
                Ability::new("act as root", Some(true), "id -u")
            }
            Ok(output) if output.ok() => {
                Ability::new("act as root", Some(false), format!("user id {}", output.out.trim()))
            }
            Ok(output) => Ability::new("act as root", None, format!("id -u: {}", output.complaint())),
            Err(fault) => Ability::new("act as root", Some(false), fault.to_string()),
        };
        let mut found = vec![root];
        if self.method == Method::DenyUsers {
            found.push(self.sshd.doctor(&self.host));
        }
        if self.sshd.krl.is_some() {
            found.push(krl::doctor(&self.host, &self.sshd));
        }
        found
    }
}
