//! One account of the directory: found by one name, or again by its GUID.

use crate::fault::Fault;
use crate::transport::ldap::{Entry, Filter, Ldap};
use crate::value::UserName;
use portreeve_model::untrusted::escape_for_terminal;

pub(super) const COMPUTED: &str = "msDS-User-Account-Control-Computed";
/// Bits of `userAccountControl`, and of what the directory computes from it.
pub(super) const NEVER_EXPIRES: i64 = 0x1_0000;
pub(super) const EXPIRED: i64 = 0x80_0000;

const ATTRIBUTES: &[&str] = &[
    "objectGUID",
    "objectSid",
    "sAMAccountName",
    "userPrincipalName",
    "userAccountControl",
    "accountExpires",
    "pwdLastSet",
    "adminCount",
    COMPUTED,
];

#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) dn: String,
    pub(super) guid: String,
    /// `sAMAccountName`.
    pub(super) name: String,
    /// `userAccountControl`.
    pub(super) control: i64,
    /// `accountExpires`; 0 where absent, which means the same: never.
    pub(super) expires: i64,
    /// `pwdLastSet`, in units of 100 ns since 1601.
    pub(super) password_set: i64,
    pub(super) computed: Option<i64>,
    guarded: bool,
    sid: Option<Sid>,
}

impl Account {
    pub(super) fn is_krbtgt(&self) -> bool {
        self.sid.as_ref().is_some_and(|sid| sid.domain && sid.last == 502)
    }
}

/// By `sAMAccountName`, or by `userPrincipalName` where the name has a realm. Exactly one, and exactly by this name:
/// the directory's own comparison takes `ä` for `a`.
pub(super) fn find(
    ldap: &mut Ldap,
    base: &str,
    netbios: Option<&str>,
    name: &UserName,
) -> Result<Account, Fault> {
    let (attribute, value) = match name.raw().split_once('\\') {
        None if name.raw().contains('@') => ("userPrincipalName", name.raw()),
        None => ("sAMAccountName", name.raw()),
        Some((domain, short)) => match netbios {
            Some(ours) if ours.eq_ignore_ascii_case(domain) => ("sAMAccountName", short),
            Some(ours) => {
                return Err(Fault::NotFound(format!("{name} is of another domain than {ours}")));
            }
            None => {
                return Err(Fault::Config(format!(
                    "{name} names a domain; `netbios` must say which is ours"
                )));
            }
        },
    };
    let filter = Filter::all(&[("objectCategory", "person"), ("objectClass", "user"), (attribute, value)])?;
    let found = ldap.search(base, &filter, ATTRIBUTES)?;
    let mut exact = found
        .iter()
        .filter(|e| e.text(attribute).is_some_and(|there| there.to_lowercase() == value.to_lowercase()));
    match (exact.next(), exact.next()) {
        (Some(entry), None) => account(entry),
        (Some(_), Some(_)) => {
            Err(Fault::Ambiguous(format!("{attribute} {name} is held by several accounts")))
        }
        (None, _) => match found.first().and_then(|e| e.text(attribute)) {
            None => Err(Fault::NotFound(format!("no account with {attribute} {name}"))),
            Some(near) => Err(Fault::NotFound(format!(
                "no account with {attribute} {name}; {} is near but another name",
                escape_for_terminal(near)
            ))),
        },
    }
}

pub(super) fn by_guid(ldap: &mut Ldap, guid: &str) -> Result<Account, Fault> {
    if guid.len() != 36 || !guid.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-') {
        return Err(Fault::Refused("the plan does not name the account by its GUID".into()));
    }
    let account = account(&ldap.entry(&format!("<GUID={guid}>"), ATTRIBUTES)?)?;
    if account.guid != guid {
        return Err(Fault::Garbled(format!("asked for {guid}, answered with {}", account.guid)));
    }
    Ok(account)
}

fn account(entry: &Entry) -> Result<Account, Fault> {
    let lacks = |what: &str| {
        Fault::Credential(format!("{} of {} cannot be read", what, escape_for_terminal(&entry.dn)))
    };
    Ok(Account {
        dn: entry.dn.clone(),
        guid: entry.values("objectGUID").first().and_then(|b| guid(b)).ok_or_else(|| lacks("objectGUID"))?,
        name: entry.text("sAMAccountName").ok_or_else(|| lacks("sAMAccountName"))?.to_owned(),
        control: entry.number("userAccountControl").ok_or_else(|| lacks("userAccountControl"))?,
        expires: entry.number("accountExpires").unwrap_or(0),
        password_set: entry.number("pwdLastSet").ok_or_else(|| lacks("pwdLastSet"))?,
        computed: entry.number(COMPUTED),
        guarded: entry.number("adminCount").is_some_and(|n| n > 0),
        sid: entry.values("objectSid").first().and_then(|b| sid(b)),
    })
}

/// What makes the account more than a person's: its groups, also those by way of others, and `adminCount`.
pub(super) fn privileges(ldap: &mut Ldap, account: &Account) -> Result<Vec<String>, Fault> {
    let entry = ldap.entry(&account.dn, &["tokenGroups"])?;
    let mut found: Vec<String> = entry
        .values("tokenGroups")
        .iter()
        .filter_map(|bytes| sid(bytes)?.privileged())
        .map(|group| format!("what {group} may do"))
        .collect();
    if account.guarded {
        found.push("adminCount 1: is or was in a protected group".into());
    }
    if account.sid.as_ref().is_some_and(|sid| sid.domain && sid.last == 500) {
        found.push("the built-in Administrator of the domain".into());
    }
    Ok(found)
}

/// The attributes that the bound credential may write.
pub(super) fn writable(ldap: &mut Ldap, account: &Account) -> Result<Vec<String>, Fault> {
    let entry = ldap.entry(&account.dn, &["allowedAttributesEffective"])?;
    let values = entry.values("allowedAttributesEffective");
    Ok(values.iter().map(|v| String::from_utf8_lossy(v).into_owned()).collect())
}

/// The last number of a SID, and whether the domain or the built-in authority gave it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Sid {
    domain: bool,
    last: u32,
}

fn sid(bytes: &[u8]) -> Option<Sid> {
    let (head, numbers) = bytes.split_at_checked(8)?;
    let count = usize::from(*head.get(1)?);
    if head.first() != Some(&1) || numbers.len() != count * 4 {
        return None;
    }
    let numbers: Vec<u32> =
        numbers.chunks_exact(4).filter_map(|c| c.try_into().ok()).map(u32::from_le_bytes).collect();
    match numbers.as_slice() {
        [21, _, _, _, last] => Some(Sid { domain: true, last: *last }),
        [32, last] => Some(Sid { domain: false, last: *last }),
        _ => None,
    }
}

impl Sid {
    fn privileged(&self) -> Option<&'static str> {
        match (self.domain, self.last) {
            (true, 512) => Some("Domain Admins"),
            (true, 516) => Some("Domain Controllers"),
            (true, 518) => Some("Schema Admins"),
            (true, 519) => Some("Enterprise Admins"),
            (true, 520) => Some("Group Policy Creator Owners"),
            (false, 544) => Some("Administrators"),
            (false, 548) => Some("Account Operators"),
            (false, 549) => Some("Server Operators"),
            (false, 550) => Some("Print Operators"),
            (false, 551) => Some("Backup Operators"),
            _ => None,
        }
    }
}

/// The first three groups of a GUID have their little end first.
fn guid(bytes: &[u8]) -> Option<String> {
    let b: [u8; 16] = bytes.try_into().ok()?;
    let first = u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
    let (second, third) = (u16::from_le_bytes([b[4], b[5]]), u16::from_le_bytes([b[6], b[7]]));
    let fourth = u16::from_be_bytes([b[8], b[9]]);
    let last = b[10..].iter().fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
    Some(format!("{first:08x}-{second:04x}-{third:04x}-{fourth:04x}-{last:012x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_is_written_as_the_directory_writes_it() {
        let bytes: Vec<u8> = (1..=16).collect();
        assert_eq!(guid(&bytes).unwrap(), "04030201-0605-0807-090a-0b0c0d0e0f10");
        assert_eq!(guid(&bytes[1..]), None);
    }

    #[test]
    fn privileged_groups_are_known_by_their_numbers() {
        let of = |numbers: &[u32]| {
            let mut bytes = vec![1, u8::try_from(numbers.len()).unwrap(), 0, 0, 0, 0, 0, 5];
            bytes.extend(numbers.iter().flat_map(|n| n.to_le_bytes()));
            sid(&bytes).and_then(|s| s.privileged())
        };
        assert_eq!(of(&[21, 7, 8, 9, 512]), Some("Domain Admins"));
        assert_eq!(of(&[21, 7, 8, 9, 513]), None);
        assert_eq!(of(&[32, 544]), Some("Administrators"));
        assert_eq!(of(&[32, 512]), None);
        assert_eq!(sid(&[1, 5, 0]), None);
        assert_eq!(sid(&[1, 200, 0, 0, 0, 0, 0, 5, 1]), None);
    }
}
