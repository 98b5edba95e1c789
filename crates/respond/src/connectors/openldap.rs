//! OpenLDAP with the password policy overlay: an account locked until somebody unlocks it.

use crate::act::Act;
use crate::connector::{
    Ability, Ack, Can, Connector, Control, Effect, Known, Order, Proof, Seen, Setting, Settings,
};
use crate::fault::Fault;
use crate::target::{Target, TargetKind};
use crate::transport::ldap::{Bound, Change, Directory, Entry, Filter, Ldap};
use crate::value::UserName;
use portreeve_model::untrusted::escape_for_terminal;
use serde::Deserialize;
use serde_json::json;

pub static CONNECTOR: Connector = Connector {
    name: "openldap",
    product: "OpenLDAP slapd with the ppolicy overlay",
    proof: Proof::Proven,
    can: &[Can {
        effect: "`pwdAccountLockedTime` is 000001010000Z, the value that no lapse of time ends: every bind is refused",
        leaves_open: "a connection that is bound already keeps reading; programs that compare a password hash \
                      themselves, use Kerberos or keep their own session do not ask; no effect where the overlay is \
                      not on the account's database. (`pwdReset`, the usual \"force a new password\", stops no bind \
                      and is not used.)",
        undo: "the earlier value, or its absence, is put back; refused where another hand changed it meanwhile",
        verified_by: "over a new connection: the attribute, and `pwdLockout TRUE` in the policy that holds for the \
                      account, without which slapd ignores the lock; for the configured canary also a bind, which \
                      must fail",
        ..Can::at_once(Act::DisableAccount, &[TargetKind::Account])
    }],
    needs: "read the accounts and the policies, and `write` on attrs=pwdAccountLockedTime by an `access to` rule; not \
            the rootdn. Where a server guards the attribute as operational, `manage` and `relax: true`",
    settings: &[
        Setting {
            name: "server",
            required: true,
            says: "`{url, starttls, ca, bind, timeout}`: `ldaps://ldap.corp.example`, the PEM file of the authority \
                   that signed its certificate, and the distinguished name that binds",
        },
        Setting {
            name: "base",
            required: true,
            says: "the distinguished name below which accounts are looked for",
        },
        Setting {
            name: "attribute",
            required: false,
            says: "what holds the name of an account; `uid` if absent",
        },
        Setting {
            name: "default_policy",
            required: false,
            says: "the `ppolicy_default` of the server, for accounts without `pwdPolicySubentry`; without it the \
                   effect on them stays unknown",
        },
        Setting { name: "relax", required: false, says: "send the Relax Rules control; `false` if absent" },
        Setting {
            name: "canary",
            required: false,
            says: "a test account whose password is the credential `canary`: locking it is also proven by a bind",
        },
    ],
    source: "slapo-ppolicy(5); proven against slapd 2.5 over LDAPS and StartTLS",
    open,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    server: Directory,
    base: String,
    #[serde(default = "uid")]
    attribute: String,
    #[serde(default)]
    default_policy: Option<String>,
    #[serde(default)]
    relax: bool,
    #[serde(default)]
    canary: Option<UserName>,
}

fn uid() -> String {
    "uid".into()
}

fn open(settings: &Settings) -> Result<Box<dyn Control>, Fault> {
    let config: Config = settings.fields()?;
    config.server.check()?;
    if !config.base.contains('=') {
        return Err(Fault::Config("base: is no distinguished name".into()));
    }
    Filter::all(&[(&config.attribute, "x")])?;
    Ok(Box::new(OpenLdap { config, settings: settings.clone() }))
}

const LOCKED_TIME: &str = "pwdAccountLockedTime";
const FOREVER: &str = "000001010000Z";
const ATTRIBUTES: &[&str] = &["*", "entryUUID", LOCKED_TIME, "pwdPolicySubentry"];

struct OpenLdap {
    config: Config,
    settings: Settings,
}

/// What the policy of an account says of locks.
enum Policy {
    Locks(String),
    Ignores(String),
    Unknown(String),
}

impl OpenLdap {
    fn for_reading(&self) -> Result<Ldap, Fault> {
        let password = match self.settings.named_credential("read")? {
            Some(password) => password,
            None => self.settings.credential(Act::DisableAccount)?,
        };
        self.config.server.open(&password)
    }

    fn for_writing(&self) -> Result<Ldap, Fault> {
        self.config.server.open(&self.settings.credential(Act::DisableAccount)?)
    }

    fn find(&self, ldap: &mut Ldap, name: &UserName) -> Result<Entry, Fault> {
        let attribute = self.config.attribute.as_str();
        let filter = Filter::all(&[(attribute, name.raw())])?;
        let found = ldap.search(&self.config.base, &filter, ATTRIBUTES)?;
        // A server may compare loosely (white space, other cases); the name must stand there.
        let wanted = name.raw().to_lowercase();
        let mut exact = found.into_iter().filter(|e| {
            e.values(attribute)
                .iter()
                .any(|v| std::str::from_utf8(v).is_ok_and(|there| there.to_lowercase() == wanted))
        });
        match (exact.next(), exact.next()) {
            (Some(entry), None) => Ok(entry),
            (Some(_), Some(_)) => {
                Err(Fault::Ambiguous(format!("{attribute} {name} is held by several entries")))
            }
            (None, _) => Err(Fault::NotFound(format!("no entry with {attribute} {name}"))),
        }
    }

    /// The entry of the plan, if it still is the one.
    fn again(ldap: &mut Ldap, seen: &Seen) -> Result<Entry, Fault> {
        let [dn, uuid] = seen.ids.as_slice() else {
            return Err(Fault::Refused("the plan does not name the entry".into()));
        };
        let entry = ldap.entry(dn, ATTRIBUTES)?;
        if entry.text("entryUUID") != Some(uuid.as_str()) {
            return Err(Fault::Refused(format!(
                "{} is another entry than when this was planned",
                escape_for_terminal(dn)
            )));
        }
        Ok(entry)
    }

    fn policy(&self, ldap: &mut Ldap, entry: &Entry) -> Policy {
        let Some(dn) = entry.text("pwdPolicySubentry").or(self.config.default_policy.as_deref()) else {
            return Policy::Unknown(
                "the account names no policy, and no `default_policy` is configured: whether slapd heeds the lock is \
                 seen only by a bind"
                    .into(),
            );
        };
        let shown = escape_for_terminal(dn);
        match ldap.entry(dn, &["pwdLockout"]) {
            Err(fault) => Policy::Unknown(format!("policy {shown}: {fault}")),
            Ok(policy) if policy.text("pwdLockout").is_some_and(|t| t.eq_ignore_ascii_case("TRUE")) => {
                Policy::Locks(shown)
            }
            Ok(_) => Policy::Ignores(shown),
        }
    }

    fn canary(&self, order: &Order, dn: &str) -> Option<Effect> {
        let canary = self.config.canary.as_ref()?;
        let Target::Account { name } = &order.target else { return None };
        if !canary.raw().eq_ignore_ascii_case(name.raw()) {
            return None;
        }
        let password = match self.settings.named_credential("canary") {
            Ok(Some(password)) => password,
            Ok(None) => return Some(Effect::Unknown("no credential `canary` is configured".into())),
            Err(fault) => return Some(Effect::unread(&fault)),
        };
        Some(match self.config.server.bind_as(dn, &password) {
            Err(fault) => Effect::unread(&fault),
            Ok(Bound::Yes(_)) => Effect::NotEffective("a bind as the canary succeeds".into()),
            Ok(Bound::No(denied)) => Effect::Effective(format!("a bind as the canary fails: {denied}")),
        })
    }

    /// From one value to another in one step, which fails where another hand was faster.
    fn change(from: Option<&str>, to: Option<&str>) -> Vec<Change> {
        let value = |v: &str| v.as_bytes().to_vec();
        let delete = from.map(|v| Change::Delete(LOCKED_TIME, value(v)));
        delete.into_iter().chain(to.map(|v| Change::Add(LOCKED_TIME, value(v)))).collect()
    }
}

fn name(order: &Order) -> Result<&UserName, Fault> {
    match (&order.target, order.act) {
        (Target::Account { name }, Act::DisableAccount) => Ok(name),
        (other, act) => Err(Fault::Unsupported(format!("{} on {other}: not by OpenLDAP", act.id()))),
    }
}

fn before(seen: &Seen) -> Option<&str> {
    seen.before.get(LOCKED_TIME).and_then(serde_json::Value::as_str)
}

fn shown(value: Option<&str>) -> String {
    value.map_or_else(|| "absent".to_owned(), escape_for_terminal)
}

impl Control for OpenLdap {
    fn read(&mut self, order: &Order) -> Result<Seen, Fault> {
        let name = name(order)?;
        let mut ldap = self.for_reading()?;
        let entry = self.find(&mut ldap, name)?;
        if entry.dn.eq_ignore_ascii_case(&self.config.server.bind) {
            return Err(Fault::Refused(format!("{name} is the account by which Portreeve itself binds")));
        }
        let policy = match self.policy(&mut ldap, &entry) {
            Policy::Locks(dn) => format!("policy {dn} heeds locks"),
            Policy::Ignores(dn) => {
                return Err(Fault::Refused(format!(
                    "policy {dn} has no pwdLockout TRUE: slapd would take the lock and let {name} bind"
                )));
            }
            Policy::Unknown(why) => why,
        };
        let uuid =
            entry.text("entryUUID").ok_or_else(|| Fault::Credential("entryUUID cannot be read".into()))?;
        let locked = entry.text(LOCKED_TIME);
        let in_force = locked == Some(FOREVER);
        let state = if in_force { "is locked already" } else { "is not locked for good" };
        Ok(Seen {
            ids: vec![entry.dn.clone(), uuid.to_owned()],
            in_force,
            before: json!({ LOCKED_TIME: locked }),
            says: format!("{name} ({}) {state}; {policy}", escape_for_terminal(&entry.dn)),
            also_hits: Vec::new(),
        })
    }

    fn preview(&self, order: &Order, seen: &Seen) -> Result<Vec<String>, Fault> {
        name(order)?;
        let delete = before(seen).map(|v| format!("delete {LOCKED_TIME}: {}; ", escape_for_terminal(v)));
        Ok(vec![format!(
            "LDAP modify at {} as {}: {}: {}add {LOCKED_TIME}: {FOREVER}",
            self.config.server.url,
            escape_for_terminal(&self.config.server.bind),
            escape_for_terminal(seen.ids.first().map_or("", String::as_str)),
            delete.unwrap_or_default(),
        )])
    }

    fn apply(&mut self, order: &Order, seen: &Seen) -> Result<Ack, Fault> {
        name(order)?;
        let mut ldap = self.for_writing()?;
        let entry = Self::again(&mut ldap, seen)?;
        let (there, saved) = (entry.text(LOCKED_TIME), before(seen));
        if there == Some(FOREVER) {
            return Ok(Ack::says("was locked already"));
        }
        if there != saved {
            return Err(Fault::Refused(format!(
                "{LOCKED_TIME} is {} and was {} when this was planned",
                shown(there),
                shown(saved)
            )));
        }
        ldap.modify(&entry.dn, &Self::change(saved, Some(FOREVER)), self.config.relax)?;
        Ok(Ack::says("the directory took the change"))
    }

    fn verify(&mut self, order: &Order, known: &Known) -> Effect {
        let read = self.for_reading().and_then(|mut ldap| {
            let entry = Self::again(&mut ldap, &known.seen)?;
            let policy = self.policy(&mut ldap, &entry);
            Ok((entry, policy))
        });
        let (entry, policy) = match read {
            Ok(read) => read,
            Err(fault) => return Effect::unread(&fault),
        };
        let there = entry.text(LOCKED_TIME);
        if there != Some(FOREVER) {
            return Effect::NotEffective(format!("{LOCKED_TIME} is {}", shown(there)));
        }
        let canary = self.canary(order, &entry.dn);
        match (policy, canary) {
            (_, Some(Effect::NotEffective(why))) => Effect::NotEffective(why),
            (Policy::Ignores(dn), _) => Effect::NotEffective(format!(
                "locked, but policy {dn} has no pwdLockout TRUE: slapd ignores it"
            )),
            (_, Some(Effect::Effective(bind))) => {
                Effect::Effective(format!("{LOCKED_TIME} is {FOREVER}, and {bind}"))
            }
            (Policy::Locks(dn), None) => {
                Effect::Effective(format!("{LOCKED_TIME} is {FOREVER}, and policy {dn} heeds it"))
            }
            (_, Some(unknown)) => unknown,
            (Policy::Unknown(why), None) => Effect::Unknown(format!("locked, but {why}")),
        }
    }

    fn undo(&mut self, order: &Order, known: &Known) -> Result<Ack, Fault> {
        name(order)?;
        let mut ldap = self.for_writing()?;
        let entry = Self::again(&mut ldap, &known.seen)?;
        let (there, saved) = (entry.text(LOCKED_TIME), before(&known.seen));
        if there == saved {
            return Ok(Ack::says("is as it was"));
        }
        match there {
            None => Ok(Ack::says("was unlocked by another hand")),
            Some(FOREVER) => {
                ldap.modify(&entry.dn, &Self::change(there, saved), self.config.relax)?;
                Ok(Ack::says("the directory took the change"))
            }
            Some(other) => Err(Fault::Refused(format!(
                "{LOCKED_TIME} is {}: another hand set it, and it is left",
                escape_for_terminal(other)
            ))),
        }
    }

    fn verify_undone(&mut self, _: &Order, known: &Known) -> Effect {
        let read = self.for_reading().and_then(|mut ldap| Self::again(&mut ldap, &known.seen));
        match read {
            Err(fault) => Effect::unread(&fault),
            Ok(entry) => {
                let there = entry.text(LOCKED_TIME);
                if there == before(&known.seen) || there.is_none() {
                    Effect::Effective(format!("{LOCKED_TIME} is {}", shown(there)))
                } else {
                    Effect::NotEffective(format!("{LOCKED_TIME} is {}", shown(there)))
                }
            }
        }
    }

    fn doctor(&mut self) -> Vec<Ability> {
        let base = self.config.base.clone();
        let read = self.for_reading().and_then(|mut ldap| ldap.entry(&base, &["objectClass"]));
        let mut found = vec![Ability::new(
            "read the accounts",
            Some(read.is_ok()),
            read.map_or_else(|fault| fault.to_string(), |_| escape_for_terminal(&base)),
        )];
        if let Some(dn) = &self.config.default_policy {
            let policy = self.for_reading().and_then(|mut ldap| ldap.entry(dn, &["pwdLockout"]));
            let (able, why) = match policy {
                Ok(entry) if entry.text("pwdLockout").is_some_and(|t| t.eq_ignore_ascii_case("TRUE")) => {
                    (true, "pwdLockout TRUE".to_owned())
                }
                Ok(_) => (false, "pwdLockout is not TRUE: slapd ignores locks".to_owned()),
                Err(fault) => (false, fault.to_string()),
            };
            found.push(Ability::new("the default policy heeds locks", Some(able), why));
        }
        found.push(match self.for_writing() {
            Ok(_) => Ability::new(
                "disable_account",
                None,
                "the bind works; slapd tells what may be written only when it is written",
            ),
            Err(fault) => Ability::new("disable_account", Some(false), fault.to_string()),
        });
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_names_what_it_takes_away() {
        assert_eq!(OpenLdap::change(None, Some("x")), [Change::Add(LOCKED_TIME, b"x".to_vec())]);
        assert_eq!(OpenLdap::change(Some("y"), None), [Change::Delete(LOCKED_TIME, b"y".to_vec())]);
        assert_eq!(OpenLdap::change(Some("y"), Some("x")).len(), 2);
    }
}
