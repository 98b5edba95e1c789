//! Active Directory over LDAP: an account disabled or expired, a new password at the next sign-in, a new password.

mod account;

use self::account::{Account, COMPUTED, EXPIRED, NEVER_EXPIRES};
use crate::act::Act;
use crate::connector::{
    Ability, Ack, Can, Connector, Control, Effect, Known, Order, Proof, Seen, Setting, Settings,
};
use crate::fault::Fault;
use crate::secret::{Secret, new_password};
use crate::target::{Target, TargetKind};
use crate::transport::ldap::{Bound, Change, Directory, Ldap};
use crate::value::UserName;
use portreeve_model::untrusted::escape_for_terminal;
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;
use zeroize::Zeroizing;

const ACCOUNT: &[TargetKind] = &[TargetKind::Account];

pub static CONNECTOR: Connector = Connector {
    name: "active_directory",
    product: "Microsoft Active Directory, Samba AD",
    proof: Proof::Proven,
    can: &[
        Can {
            effect: "bit 2 (ACCOUNTDISABLE) is set in `userAccountControl`; with `method: expire`, `accountExpires` is 1. \
                     New binds and Kerberos requests are refused",
            leaves_open: "what stands goes on: an LDAP connection that is bound keeps reading, Kerberos tickets that \
                          were issued live until they end (10 hours by default), sessions at gateways and hosts run on; \
                          other domain controllers learn of it by replication",
            undo: "the saved value is put back, not a default; refused where the value was changed meanwhile",
            verified_by: "the attribute, read over a new connection by the account's GUID; for the configured canary \
                          also a bind, which must fail with data 533 (701 when expired)",
            within: Duration::from_secs(15),
            ..Can::at_once(Act::DisableAccount, ACCOUNT)
        },
        Can {
            effect: "`pwdLastSet` is 0: the next sign-in must set a new password, and binds are refused until then",
            leaves_open: "whoever knows the old password can be the one who sets the new one; sessions and tickets \
                          that stand; without effect on an account whose password never expires, which is refused",
            undo: "`pwdLastSet` -1, which sets it to now: the time before cannot be written by anybody",
            verified_by: "`pwdLastSet` and the bit PASSWORD_EXPIRED of `msDS-User-Account-Control-Computed`, which the \
                          directory works out itself, over a new connection",
            within: Duration::from_secs(15),
            ..Can::at_once(Act::RequirePasswordChange, ACCOUNT)
        },
        Can {
            effect: "`unicodePwd` is replaced by a new random password, which the approver is told once",
            leaves_open: "the password before still signs in for up to 60 minutes (LDAP simple bind at Samba, NTLM at \
                          Windows: OldPasswordAllowedPeriod), unless the account was disabled first; sessions and \
                          tickets that stand",
            undo: "none: nobody can read the password that was",
            verified_by: "`pwdLastSet` is later than before, over a new connection; and, while the new password is in \
                          memory, the directory's answer to a bind with it",
            within: Duration::from_secs(15),
            ..Can::at_once(Act::ResetPassword, ACCOUNT)
        },
    ],
    needs: "a delegation on the organisational unit of the accounts: write userAccountControl (or accountExpires), write \
            pwdLastSet, and Reset Password where it is wanted; never Domain Admins, whose members it then cannot touch",
    settings: &[
        Setting {
            name: "server",
            required: true,
            says: "`{url, starttls, ca, bind, timeout}`: `ldaps://dc1.corp.example`, the PEM file of the authority that \
                   signed its certificate, and the name that binds (`portreeve@corp.example`)",
        },
        Setting {
            name: "base",
            required: true,
            says: "the distinguished name below which accounts are looked for",
        },
        Setting {
            name: "netbios",
            required: false,
            says: "the domain's NetBIOS name; names written `OTHER\\anna` are refused",
        },
        Setting { name: "method", required: false, says: "`disable` (the default) or `expire`" },
        Setting {
            name: "canary",
            required: false,
            says: "a test account whose password is the credential `canary`: disabling it is also proven by a bind",
        },
        Setting {
            name: "probe",
            required: false,
            says: "an ordinary account; `doctor` reads which of its attributes the credential may write",
        },
    ],
    source: "MS-ADTS 3.1.1.3 and 3.1.1.5; proven against Samba AD over LDAPS",
    open,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    server: Directory,
    base: String,
    #[serde(default)]
    netbios: Option<String>,
    #[serde(default)]
    method: Method,
    #[serde(default)]
    canary: Option<UserName>,
    #[serde(default)]
    probe: Option<UserName>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Method {
    #[default]
    Disable,
    Expire,
}

const DISABLED: i64 = 2;

impl Method {
    fn attribute(self) -> &'static str {
        match self {
            Method::Disable => "userAccountControl",
            Method::Expire => "accountExpires",
        }
    }

    fn value(self, account: &Account) -> i64 {
        match self {
            Method::Disable => account.control,
            Method::Expire => account.expires,
        }
    }

    /// The value that shuts the account out, where `open` let it in.
    fn shut(self, open: i64) -> i64 {
        match self {
            Method::Disable => open | DISABLED,
            Method::Expire => 1,
        }
    }

    fn is_shut(self, value: i64) -> bool {
        match self {
            Method::Disable => value & DISABLED != 0,
            // 0 and the largest number mean never; a time is in units of 100 ns since 1601.
            Method::Expire => value > 0 && value < now(),
        }
    }

    fn denial(self) -> u32 {
        match self {
            Method::Disable => 0x533,
            Method::Expire => 0x701,
        }
    }
}

fn now() -> i64 {
    const FROM_1601_TO_1970: i64 = 116_444_736_000_000_000;
    jiff::Timestamp::now().as_microsecond() * 10 + FROM_1601_TO_1970
}

fn open(settings: &Settings) -> Result<Box<dyn Control>, Fault> {
    let config: Config = settings.fields()?;
    config.server.check()?;
    if !config.base.contains('=') {
        return Err(Fault::Config("base: is no distinguished name".into()));
    }
    Ok(Box::new(ActiveDirectory { config, settings: settings.clone() }))
}

struct ActiveDirectory {
    config: Config,
    settings: Settings,
}

impl ActiveDirectory {
    fn for_reading(&self, act: Act) -> Result<Ldap, Fault> {
        let password = match self.settings.named_credential("read")? {
            Some(password) => password,
            None => self.settings.credential(act)?,
        };
        self.config.server.open(&password)
    }

    fn for_writing(&self, act: Act) -> Result<Ldap, Fault> {
        self.config.server.open(&self.settings.credential(act)?)
    }

    fn find(&self, ldap: &mut Ldap, name: &UserName) -> Result<Account, Fault> {
        account::find(ldap, &self.config.base, self.config.netbios.as_deref(), name)
    }

    /// The account of the plan, by its GUID, over the connection that will write.
    fn again(&self, ldap: &mut Ldap, seen: &Seen) -> Result<Account, Fault> {
        let guid = seen.ids.get(1).map(String::as_str).unwrap_or_default();
        account::by_guid(ldap, guid)
    }

    fn seen_again(&self, order: &Order, known: &Known) -> Result<Account, Fault> {
        let mut ldap = self.for_reading(order.act)?;
        self.again(&mut ldap, &known.seen)
    }

    /// Whom we would shut out of this very work.
    fn is_ourselves(&self, account: &Account) -> bool {
        let bind = &self.config.server.bind;
        let short = bind.rsplit_once('\\').map_or(bind.as_str(), |(_, name)| name);
        let short = short.split_once('@').map_or(short, |(name, _)| name);
        account.dn.eq_ignore_ascii_case(bind) || account.name.eq_ignore_ascii_case(short)
    }

    /// Is the target the canary, and what does a bind as it say?
    fn canary(&self, account: &Account) -> Option<Effect> {
        let canary = self.config.canary.as_ref()?.short();
        if !account.name.eq_ignore_ascii_case(canary) {
            return None;
        }
        let password = match self.settings.named_credential("canary") {
            Ok(Some(password)) => password,
            Ok(None) => return Some(Effect::Unknown("no credential `canary` is configured".into())),
            Err(fault) => return Some(Effect::unread(&fault)),
        };
        Some(match self.config.server.bind_as(&account.dn, &password) {
            Err(fault) => Effect::unread(&fault),
            Ok(Bound::Yes(_)) => Effect::NotEffective("a bind as the canary succeeds".into()),
            Ok(Bound::No(denied)) if denied.data == Some(self.config.method.denial()) => {
                Effect::Effective(format!("a bind as the canary fails: {denied}"))
            }
            Ok(Bound::No(denied)) => {
                Effect::Unknown(format!("a bind as the canary fails for another reason: {denied}"))
            }
        })
    }

    fn disable_changes(&self, from: i64, to: i64) -> Vec<Change> {
        let attribute = self.config.method.attribute();
        // Deleting the very value that was seen is refused by Windows where another hand was faster.
        vec![
            Change::Delete(attribute, from.to_string().into_bytes()),
            Change::Add(attribute, to.to_string().into_bytes()),
        ]
    }
}

fn name(order: &Order) -> Result<&UserName, Fault> {
    match &order.target {
        Target::Account { name } => Ok(name),
        other => Err(Fault::Unsupported(format!("Active Directory acts on accounts, not on {other}"))),
    }
}

fn before(seen: &Seen, what: &str) -> Result<i64, Fault> {
    seen.before
        .get(what)
        .and_then(serde_json::Value::as_i64)
        .ok_or_else(|| Fault::Refused(format!("the plan holds no {what} to go by")))
}

fn unsupported(act: Act) -> Fault {
    Fault::Unsupported(format!("{}: not by Active Directory", act.id()))
}

/// A password as `unicodePwd` wants it: in quotes, UTF-16, little end first.
fn quoted(password: &Secret) -> Zeroizing<Vec<u8>> {
    let text = Zeroizing::new(format!("\"{}\"", password.expose()));
    Zeroizing::new(text.encode_utf16().flat_map(u16::to_le_bytes).collect())
}

impl Control for ActiveDirectory {
    fn read(&mut self, order: &Order) -> Result<Seen, Fault> {
        let name = name(order)?;
        let mut ldap = self.for_reading(order.act)?;
        let account = self.find(&mut ldap, name)?;
        if self.is_ourselves(&account) {
            return Err(Fault::Refused(format!("{name} is the account by which Portreeve itself binds")));
        }
        if account.is_krbtgt() {
            return Err(Fault::Refused(
                "krbtgt is the key of the whole domain; its password is changed by hand, twice".into(),
            ));
        }
        let mut also_hits = account::privileges(&mut ldap, &account)?;
        let shown = escape_for_terminal(&account.name);
        let (in_force, before, state) = match order.act {
            Act::DisableAccount => {
                let method = self.config.method;
                let value = method.value(&account);
                let shut = method.is_shut(value);
                let state = if shut { "is shut already" } else { "is open" };
                let attribute = method.attribute();
                (shut, json!({ attribute: value }), format!("{state} ({attribute} {value})"))
            }
            Act::RequirePasswordChange => {
                if account.control & NEVER_EXPIRES != 0 {
                    return Err(Fault::Refused(format!(
                        "the password of {shown} never expires (userAccountControl {}): pwdLastSet 0 would be \
                         taken and change nothing; reset the password instead",
                        account.control
                    )));
                }
                let required = account.password_set == 0;
                let state = if required { "must change its password already" } else { "keeps its password" };
                (required, json!({"pwdLastSet": account.password_set}), state.to_owned())
            }
            Act::ResetPassword => {
                (false, json!({"pwdLastSet": account.password_set}), "has a password".to_owned())
            }
            other => return Err(unsupported(other)),
        };
        also_hits.sort();
        let privileged = if also_hits.is_empty() { "" } else { "; a privileged account" };
        Ok(Seen {
            ids: vec![account.dn.clone(), account.guid.clone()],
            in_force,
            before,
            says: format!("{shown} ({}) {state}{privileged}", escape_for_terminal(&account.dn)),
            also_hits,
        })
    }

    fn preview(&self, order: &Order, seen: &Seen) -> Result<Vec<String>, Fault> {
        let dn = escape_for_terminal(seen.ids.first().map_or("", String::as_str));
        let what = match order.act {
            Act::DisableAccount => {
                let method = self.config.method;
                let attribute = method.attribute();
                let open = before(seen, attribute)?;
                format!("delete {attribute}: {open}; add {attribute}: {}", method.shut(open))
            }
            Act::RequirePasswordChange => "replace pwdLastSet: 0".to_owned(),
            Act::ResetPassword => "replace unicodePwd: ***".to_owned(),
            other => return Err(unsupported(other)),
        };
        Ok(vec![format!(
            "LDAP modify at {} as {}: {dn}: {what}",
            self.config.server.url,
            escape_for_terminal(&self.config.server.bind)
        )])
    }

    fn apply(&mut self, order: &Order, seen: &Seen) -> Result<Ack, Fault> {
        let mut ldap = self.for_writing(order.act)?;
        let account = self.again(&mut ldap, seen)?;
        match order.act {
            Act::DisableAccount => {
                let method = self.config.method;
                let saved = before(seen, method.attribute())?;
                let value = method.value(&account);
                if value == method.shut(saved) {
                    return Ok(Ack::says("was shut already"));
                }
                // Samba takes the deletion of a value that is not there where the outcome is what it has already,
                // so the old value is compared here as well.
                if value != saved {
                    return Err(Fault::Refused(format!(
                        "{} is {value} and was {saved} when this was planned",
                        method.attribute()
                    )));
                }
                ldap.modify(&account.dn, &self.disable_changes(saved, method.shut(saved)), false)?;
                Ok(Ack::says("the directory took the change"))
            }
            Act::RequirePasswordChange => {
                ldap.modify(&account.dn, &[Change::Replace("pwdLastSet", Some(b"0".to_vec()))], false)?;
                Ok(Ack::says("the directory took the change"))
            }
            Act::ResetPassword => {
                let password = new_password()?;
                let value = quoted(&password).to_vec();
                ldap.modify(&account.dn, &[Change::Replace("unicodePwd", Some(value))], false)?;
                Ok(Ack {
                    says: "the directory took the new password".into(),
                    handover: Some(password),
                    ..Ack::default()
                })
            }
            other => Err(unsupported(other)),
        }
    }

    fn verify(&mut self, order: &Order, known: &Known) -> Effect {
        let account = match self.seen_again(order, known) {
            Ok(account) => account,
            Err(fault) => return Effect::unread(&fault),
        };
        match order.act {
            Act::DisableAccount => {
                let method = self.config.method;
                let (attribute, value) = (method.attribute(), method.value(&account));
                if !method.is_shut(value) {
                    return Effect::NotEffective(format!("{attribute} is {value}: the account is open"));
                }
                let read = format!("{attribute} is {value} at {}", self.config.server.url);
                match self.canary(&account) {
                    None => Effect::Effective(read),
                    Some(Effect::Effective(bind)) => Effect::Effective(format!("{read}, and {bind}")),
                    Some(other) => other,
                }
            }
            Act::RequirePasswordChange => match (account.password_set, account.computed) {
                (0, Some(computed)) if computed & EXPIRED != 0 => Effect::Effective(format!(
                    "pwdLastSet is 0, and {COMPUTED} says that the password expired"
                )),
                (0, Some(_)) => Effect::NotEffective(format!(
                    "pwdLastSet is 0, but {COMPUTED} does not say that the password expired"
                )),
                (0, None) => Effect::Unknown(format!("pwdLastSet is 0, but {COMPUTED} cannot be read")),
                (set, _) => Effect::NotEffective(format!("pwdLastSet is {set}")),
            },
            Act::ResetPassword => self.verify_reset(&account, known),
            other => Effect::unread(&unsupported(other)),
        }
    }

    fn undo(&mut self, order: &Order, known: &Known) -> Result<Ack, Fault> {
        let mut ldap = self.for_writing(order.act)?;
        let account = self.again(&mut ldap, &known.seen)?;
        match order.act {
            Act::DisableAccount => {
                let method = self.config.method;
                let attribute = method.attribute();
                let saved = before(&known.seen, attribute)?;
                let value = method.value(&account);
                if value == saved {
                    return Ok(Ack::says("is as it was"));
                }
                if value != method.shut(saved) {
                    return Err(Fault::Refused(format!(
                        "{attribute} is {value}, which is not what was set here ({}): another hand changed it, and \
                         it is left",
                        method.shut(saved)
                    )));
                }
                ldap.modify(&account.dn, &self.disable_changes(value, saved), false)?;
                Ok(Ack::says(format!("the directory took {attribute} {saved}")))
            }
            Act::RequirePasswordChange => {
                if account.password_set != 0 {
                    return Ok(Ack::says("a password was set since; nothing is left to undo"));
                }
                ldap.modify(&account.dn, &[Change::Replace("pwdLastSet", Some(b"-1".to_vec()))], false)?;
                Ok(Ack::says("the directory took pwdLastSet -1"))
            }
            Act::ResetPassword => Err(Fault::Unsupported(
                "the password before cannot be read by anybody, so nothing brings it back; set another one"
                    .into(),
            )),
            other => Err(unsupported(other)),
        }
    }

    fn verify_undone(&mut self, order: &Order, known: &Known) -> Effect {
        let account = match self.seen_again(order, known) {
            Ok(account) => account,
            Err(fault) => return Effect::unread(&fault),
        };
        match order.act {
            Act::DisableAccount => {
                let attribute = self.config.method.attribute();
                let value = self.config.method.value(&account);
                match before(&known.seen, attribute) {
                    Ok(saved) if value == saved => {
                        Effect::Effective(format!("{attribute} is {value}, as before"))
                    }
                    Ok(saved) => Effect::NotEffective(format!("{attribute} is {value} and was {saved}")),
                    Err(fault) => Effect::unread(&fault),
                }
            }
            Act::RequirePasswordChange if account.password_set != 0 => {
                Effect::Effective(format!("pwdLastSet is {}", account.password_set))
            }
            Act::RequirePasswordChange => Effect::NotEffective("pwdLastSet is 0".into()),
            other => Effect::unread(&unsupported(other)),
        }
    }

    fn doctor(&mut self) -> Vec<Ability> {
        let attribute = self.config.method.attribute();
        let mut found = Vec::new();
        for (act, attribute) in [(Act::DisableAccount, attribute), (Act::RequirePasswordChange, "pwdLastSet")]
        {
            let what = format!("{} (write {attribute})", act.id());
            found.push(match self.may_write(act, attribute) {
                Ok(Some((able, why))) => Ability::new(&what, Some(able), why),
                Ok(None) => Ability::new(&what, None, "needs `probe`, an ordinary account to ask about"),
                Err(fault) => Ability::new(&what, Some(false), fault.to_string()),
            });
        }
        found.push(match self.for_writing(Act::ResetPassword) {
            Ok(_) => Ability::new(
                "reset_password (the right Reset Password)",
                None,
                "the bind works; the directory shows this right only when it is used",
            ),
            Err(fault) => {
                Ability::new("reset_password (the right Reset Password)", Some(false), fault.to_string())
            }
        });
        found
    }
}

impl ActiveDirectory {
    fn verify_reset(&self, account: &Account, known: &Known) -> Effect {
        let saved = match before(&known.seen, "pwdLastSet") {
            Ok(saved) => saved,
            Err(fault) => return Effect::unread(&fault),
        };
        let set = account.password_set;
        let password = known.ack.as_ref().and_then(|ack| ack.handover.as_ref());
        let open = account.control & DISABLED == 0;
        let old = if open {
            "the password before may still sign in for up to 60 minutes"
        } else {
            "the account is disabled, so the password before signs nobody in"
        };
        if set != 0 && set <= saved {
            return Effect::NotEffective(format!("pwdLastSet is {set}, no later than before"));
        }
        match password.map(|password| self.config.server.bind_as(&account.dn, password)) {
            // Told again by another session, or after a restart: the time is all there is.
            None if set == 0 => {
                Effect::Unknown("pwdLastSet is 0, so it does not tell of a new password".into())
            }
            None => Effect::Effective(format!("pwdLastSet is later than before; {old}")),
            Some(Err(fault)) => Effect::unread(&fault),
            // Wrong for the directory: set by another hand since, or never taken.
            Some(Ok(Bound::No(denied))) if matches!(denied.data, Some(0x52e | 0x525) | None) => {
                Effect::NotEffective(format!("the directory does not know the new password: {denied}"))
            }
            Some(Ok(Bound::Yes(_))) => Effect::Effective(format!("the new password binds; {old}")),
            Some(Ok(Bound::No(denied))) => {
                Effect::Effective(format!("the new password is the right one ({denied}); {old}"))
            }
        }
    }

    fn may_write(&self, act: Act, attribute: &str) -> Result<Option<(bool, String)>, Fault> {
        let mut ldap = self.for_writing(act)?;
        let Some(probe) = &self.config.probe else { return Ok(None) };
        let account = self.find(&mut ldap, probe)?;
        let allowed = account::writable(&mut ldap, &account)?;
        let able = allowed.iter().any(|a| a.eq_ignore_ascii_case(attribute));
        let why = format!("allowedAttributesEffective of {probe} names {} attributes", allowed.len());
        Ok(Some((able, if able { why } else { format!("{why}, not {attribute}") })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_sent_in_quotes_and_utf_16() {
        assert_eq!(*quoted(&Secret::new("aé")), *b"\"\0a\0\xe9\0\"\0");
    }

    #[test]
    fn what_shuts_an_account_keeps_its_other_bits() {
        assert_eq!(Method::Disable.shut(66_048), 66_050);
        assert!(Method::Disable.is_shut(514) && !Method::Disable.is_shut(512));
        for never in [0, i64::MAX, now() + 1_000_000_000] {
            assert!(!Method::Expire.is_shut(never));
        }
        assert!(Method::Expire.is_shut(1));
    }
}
