//! LDAP to the one directory that the configuration names: inside TLS that the site's own authority vouches for, with a
//! limit on every answer, and never with an empty password.

use crate::encode;
use crate::fault::Fault;
use crate::secret::Secret;
use ldap3::controls::{ControlType, MakeCritical, PagedResults, RawControl, RelaxRules};
use ldap3::{LdapConn, LdapConnSettings, LdapError, LdapResult, Mod, Scope, SearchEntry};
use portreeve_model::untrusted::escape_for_terminal;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Where the directory is and who we are there; part of a connector's configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Directory {
    /// `ldaps://dc1.corp.example[:port]`, or `ldap://` with `starttls`. Without TLS only loopback is spoken to.
    pub url: String,
    #[serde(default)]
    pub starttls: bool,
    /// PEM file with the authority that signed the directory's certificate. No other is believed.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// The name that binds: a distinguished name, or in Active Directory `name@domain`.
    pub bind: String,
    /// Seconds until an answer is given up.
    #[serde(default = "timeout")]
    pub timeout: u64,
}

fn timeout() -> u64 {
    10
}

/// A bound connection.
pub struct Ldap {
    conn: LdapConn,
    limit: Duration,
}

/// How a bind ended.
pub enum Bound {
    Yes(Ldap),
    No(Denied),
}

/// A bind that the directory turned down.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Denied {
    pub code: u32,
    /// The `data` code of Active Directory.
    pub data: Option<u32>,
    pub text: String,
}

impl Denied {
    /// Active Directory tells these only to whoever gave the right password, but for 52e and 525.
    pub fn meaning(&self) -> &'static str {
        match self.data {
            Some(0x525) => "no such account",
            Some(0x52e) => "wrong password",
            Some(0x530) => "not allowed at this hour",
            Some(0x531) => "not allowed from this host",
            Some(0x532) => "the password has expired",
            Some(0x533) => "the account is disabled",
            Some(0x701) => "the account has expired",
            Some(0x773) => "the password must be changed",
            Some(0x775) => "the account is locked out",
            _ if self.code == 49 => "wrong name or password, or locked",
            _ => "refused",
        }
    }

    fn of(result: &LdapResult) -> Denied {
        Denied { code: result.rc, data: data_code(&result.text), text: told(result) }
    }
}

impl std::fmt::Display for Denied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.data {
            Some(data) => write!(f, "{} (data {data:x})", self.meaning()),
            None => write!(f, "{} ({})", self.meaning(), self.text),
        }
    }
}

/// `… AcceptSecurityContext error, data 533, v3839`.
fn data_code(text: &str) -> Option<u32> {
    let (_, after) = text.split_once(", data ")?;
    let digits: String = after.chars().take_while(char::is_ascii_hexdigit).collect();
    u32::from_str_radix(&digits, 16).ok()
}

/// An entry as it was read. Names of attributes are compared without case.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Entry {
    pub dn: String,
    attributes: BTreeMap<String, Vec<Vec<u8>>>,
}

impl Entry {
    /// All values of an attribute.
    pub fn values(&self, name: &str) -> &[Vec<u8>] {
        self.attributes.get(&name.to_ascii_lowercase()).map_or(&[], Vec::as_slice)
    }

    /// The first value, where it is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.values(name).first().and_then(|v| std::str::from_utf8(v).ok())
    }

    pub fn number(&self, name: &str) -> Option<i64> {
        self.text(name).and_then(|t| t.parse().ok())
    }
}

/// A filter whose values cannot leave their place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Filter(String);

impl Filter {
    /// All of these attributes have these values.
    pub fn all(pairs: &[(&str, &str)]) -> Result<Filter, Fault> {
        let mut text = String::from("(&");
        for (attribute, value) in pairs {
            let named = !attribute.is_empty()
                && attribute.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
            if !named {
                return Err(Fault::Config(format!(
                    "`{}` is no name of an attribute",
                    escape_for_terminal(attribute)
                )));
            }
            text.push('(');
            text.push_str(attribute);
            text.push('=');
            text.push_str(&encode::ldap::filter(value));
            text.push(')');
        }
        text.push(')');
        Ok(Filter(text))
    }

    /// Any entry; for reading one by its distinguished name.
    pub fn any() -> Filter {
        Filter("(objectClass=*)".into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One change of an entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// Takes away this very value; an entry that has another makes the whole change fail.
    Delete(&'static str, Vec<u8>),
    Add(&'static str, Vec<u8>),
    /// With no value: the attribute is taken away, if it is there.
    Replace(&'static str, Option<Vec<u8>>),
}

/// The most entries that one search gives; what is asked for here is one or two.
const MOST: usize = 1_000;
const PAGE: i32 = 200;

impl Directory {
    /// Says what is wrong with the configuration before anything is sent.
    pub fn check(&self) -> Result<(), Fault> {
        let wrong = |why: &str| Err(Fault::Config(format!("url {}: {why}", escape_for_terminal(&self.url))));
        let Some((scheme, rest)) = self.url.split_once("://") else {
            return wrong("is not ldaps://host[:port]");
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.is_empty() || rest.contains(['/', '?', '#', '@', '[']) {
            return wrong("is not a host with or without a port");
        }
        let host = rest.rsplit_once(':').map_or(rest, |(host, _)| host);
        let loopback =
            host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        match (scheme, self.starttls) {
            ("ldaps", true) => return wrong("ldaps is TLS from the start; starttls goes with ldap://"),
            ("ldaps", false) | ("ldap", true) => {
                if self.ca.is_none() {
                    return wrong("TLS needs `ca`, the authority that signed the directory's certificate");
                }
            }
            ("ldap", false) if loopback => {}
            ("ldap", false) => {
                return wrong("ldap without TLS shows the password to everybody on the way");
            }
            _ => return wrong("is neither ldaps nor ldap"),
        }
        if self.bind.trim().is_empty() {
            return Err(Fault::Config("bind: names nobody; an anonymous bind is not made".into()));
        }
        if self.timeout == 0 {
            return Err(Fault::Config("timeout: is zero".into()));
        }
        Ok(())
    }

    /// Binds as ourselves.
    pub fn open(&self, password: &Secret) -> Result<Ldap, Fault> {
        match self.bind_as(&self.bind, password)? {
            Bound::Yes(ldap) => Ok(ldap),
            Bound::No(denied) => {
                Err(Fault::Credential(format!("bind as {}: {denied}", escape_for_terminal(&self.bind))))
            }
        }
    }

    /// Binds as `who` over a new connection. An empty password is refused here: directories take it as an anonymous
    /// bind and say success (RFC 4513, 5.1.2).
    pub fn bind_as(&self, who: &str, password: &Secret) -> Result<Bound, Fault> {
        self.check()?;
        if who.trim().is_empty() || password.expose().is_empty() {
            return Err(Fault::Credential("a bind without a name or a password is not made".into()));
        }
        let limit = Duration::from_secs(self.timeout);
        let mut settings = LdapConnSettings::new().set_conn_timeout(limit).set_starttls(self.starttls);
        if self.ca.is_some() {
            settings = settings.set_config(self.tls()?);
        }
        let unreachable = |e: Trouble| Fault::Unreachable(format!("{}: {}", self.url, e.text()));
        let mut conn = guarded(|| LdapConn::with_settings(settings, &self.url)).map_err(unreachable)?;
        conn.with_timeout(limit);
        let result = guarded(|| conn.simple_bind(who, password.expose())).map_err(unreachable)?;
        Ok(match result.rc {
            0 => Bound::Yes(Ldap { conn, limit }),
            51 | 52 | 80 => return Err(Fault::Unreachable(format!("{}: {}", self.url, told(&result)))),
            _ => Bound::No(Denied::of(&result)),
        })
    }

    fn tls(&self) -> Result<Arc<rustls::ClientConfig>, Fault> {
        let Some(ca) = &self.ca else {
            return Err(Fault::Config("TLS needs `ca`".into()));
        };
        let wrong = |why: String| Fault::Config(format!("{}: {why}", ca.display()));
        let mut roots = rustls::RootCertStore::empty();
        for cert in CertificateDer::pem_file_iter(ca).map_err(|e| wrong(e.to_string()))? {
            let cert = cert.map_err(|e| wrong(e.to_string()))?;
            roots.add(cert).map_err(|e| wrong(e.to_string()))?;
        }
        if roots.is_empty() {
            return Err(wrong("holds no certificate".into()));
        }
        let config =
            rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(|e| wrong(e.to_string()))?
                .with_root_certificates(roots)
                .with_no_client_auth();
        Ok(Arc::new(config))
    }
}

impl Ldap {
    /// Entries below `base`, every page of them. More than a thousand are an error: nothing here asks for so many.
    pub fn search(
        &mut self,
        base: &str,
        filter: &Filter,
        attributes: &[&'static str],
    ) -> Result<Vec<Entry>, Fault> {
        let mut found = Vec::new();
        let mut cookie = Vec::new();
        loop {
            let page = self.page(base, Scope::Subtree, filter, attributes, &cookie)?;
            found.extend(page.0);
            if found.len() > MOST {
                return Err(Fault::Ambiguous(format!("more than {MOST} entries answer to one search")));
            }
            cookie = page.1;
            if cookie.is_empty() {
                return Ok(found);
            }
        }
    }

    /// The entry of this distinguished name.
    pub fn entry(&mut self, dn: &str, attributes: &[&'static str]) -> Result<Entry, Fault> {
        let (found, _) = self.page(dn, Scope::Base, &Filter::any(), attributes, &[])?;
        found.into_iter().next().ok_or_else(|| Fault::NotFound(escape_for_terminal(dn)))
    }

    fn page(
        &mut self,
        base: &str,
        scope: Scope,
        filter: &Filter,
        attributes: &[&'static str],
        cookie: &[u8],
    ) -> Result<(Vec<Entry>, Vec<u8>), Fault> {
        let (conn, limit) = (&mut self.conn, self.limit);
        let read = guarded(move || {
            conn.with_timeout(limit);
            if scope == Scope::Subtree {
                conn.with_controls(PagedResults { size: PAGE, cookie: cookie.to_vec() });
            }
            let mut stream = conn.streaming_search(base, scope, filter.as_str(), attributes)?;
            let mut entries = Vec::new();
            while let Some(item) = stream.next()? {
                // References to other servers are not followed.
                if item.is_ref() || item.is_intermediate() {
                    continue;
                }
                entries.push(entry(SearchEntry::construct(item)));
                if entries.len() > MOST {
                    break;
                }
            }
            let result = stream.result();
            let next = result
                .ctrls
                .iter()
                .find(|c| matches!(c.0, Some(ControlType::PagedResults)))
                .map(|c| c.1.parse::<PagedResults>().cookie)
                .unwrap_or_default();
            Ok((entries, next, result))
        });
        let (entries, next, result) =
            read.map_err(|e| Fault::Unreachable(format!("search: {}", e.text())))?;
        match result.rc {
            0 => Ok((entries, next)),
            // Cut by us: the caller says that there are too many.
            _ if entries.len() > MOST => Ok((entries, Vec::new())),
            4 | 11 => Err(Fault::Ambiguous(format!("the directory cuts the search: {}", told(&result)))),
            32 => Err(Fault::NotFound(told(&result))),
            8 | 13 | 49 | 50 => Err(Fault::Credential(told(&result))),
            _ => Err(Fault::Unreachable(format!("search: {}", told(&result)))),
        }
    }

    /// Changes an entry: all of it or nothing (RFC 4511, 4.6). `relax` asks for the Relax Rules control, which some
    /// servers want for operational attributes.
    pub fn modify(&mut self, dn: &str, changes: &[Change], relax: bool) -> Result<(), Fault> {
        let one = |value: &Vec<u8>| HashSet::from([value.clone()]);
        let mods: Vec<Mod<Vec<u8>>> = changes
            .iter()
            .map(|change| match change {
                Change::Delete(name, value) => Mod::Delete(name.as_bytes().to_vec(), one(value)),
                Change::Add(name, value) => Mod::Add(name.as_bytes().to_vec(), one(value)),
                Change::Replace(name, value) => {
                    Mod::Replace(name.as_bytes().to_vec(), value.as_ref().map(one).unwrap_or_default())
                }
            })
            .collect();
        let (conn, limit) = (&mut self.conn, self.limit);
        let result = guarded(move || {
            conn.with_timeout(limit);
            if relax {
                let control: RawControl = RelaxRules.critical().into();
                conn.with_controls(vec![control]);
            }
            conn.modify(dn, mods)
        })
        .map_err(|e| match e {
            Trouble::Broken(why) => Fault::Garbled(format!("modify: {why}")),
            Trouble::Failed(e) => Fault::Lost(format!("modify: {e}")),
        })?;
        match result.rc {
            0 => Ok(()),
            32 => Err(Fault::NotFound(told(&result))),
            8 | 13 | 49 | 50 => Err(Fault::Credential(told(&result))),
            10 => Err(Fault::Refused(format!(
                "{}: the server may not write and names another, which is not followed",
                told(&result)
            ))),
            // What went wrong inside the server says nothing about what it did.
            1 | 3 | 52 | 80 => Err(Fault::Lost(told(&result))),
            _ => Err(Fault::Refused(told(&result))),
        }
    }
}

impl Drop for Ldap {
    fn drop(&mut self) {
        let _closed = guarded(|| self.conn.unbind());
    }
}

enum Trouble {
    Failed(LdapError),
    /// What came was no LDAP.
    Broken(&'static str),
}

impl Trouble {
    fn text(&self) -> String {
        match self {
            Trouble::Failed(e) => escape_for_terminal(&e.to_string()),
            Trouble::Broken(why) => (*why).to_owned(),
        }
    }
}

/// The `ldap3` crate panics over answers that are no LDAP; such an answer is an error of the directory.
fn guarded<T>(work: impl FnOnce() -> Result<T, LdapError>) -> Result<T, Trouble> {
    match std::panic::catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(e)) => Err(Trouble::Failed(e)),
        Err(_) => Err(Trouble::Broken("the answer is no LDAP")),
    }
}

fn entry(found: SearchEntry) -> Entry {
    let mut attributes: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    let texts = found.attrs.into_iter().map(|(n, v)| (n, v.into_iter().map(String::into_bytes).collect()));
    for (name, values) in texts.chain(found.bin_attrs) {
        let values: Vec<Vec<u8>> = values;
        attributes.entry(name.to_ascii_lowercase()).or_default().extend(values);
    }
    Entry { dn: found.dn, attributes }
}

/// The result as a person reads it.
fn told(result: &LdapResult) -> String {
    let text: String = result.text.trim_end_matches('\0').trim().chars().take(300).collect();
    let name = match result.rc {
        0 => "success",
        8 => "stronger authentication required",
        10 => "referral",
        13 => "confidentiality required",
        16 => "no such attribute",
        17 => "undefined attribute",
        19 => "constraint violation",
        20 => "attribute or value exists",
        32 => "no such object",
        48 => "inappropriate authentication",
        49 => "invalid credentials",
        50 => "insufficient access rights",
        51 => "busy",
        52 => "unavailable",
        53 => "unwilling to perform",
        _ => "LDAP result",
    };
    if text.is_empty() {
        format!("{name} ({})", result.rc)
    } else {
        format!("{name} ({}): {}", result.rc, escape_for_terminal(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(url: &str, starttls: bool, ca: bool) -> Directory {
        Directory {
            url: url.into(),
            starttls,
            ca: ca.then(|| "/etc/ca.pem".into()),
            bind: "cn=portreeve,dc=ex".into(),
            timeout: 1,
        }
    }

    #[test]
    fn a_password_never_travels_in_the_clear() {
        for (url, starttls, ca, good) in [
            ("ldaps://dc1.ex.lan", false, true, true),
            ("ldaps://dc1.ex.lan:3269", false, true, true),
            ("ldap://dc1.ex.lan", true, true, true),
            ("ldap://127.0.0.1:3389", false, false, true),
            ("ldap://localhost", false, false, true),
            ("ldap://dc1.ex.lan", false, false, false),
            ("ldap://dc1.ex.lan", false, true, false),
            ("ldap://127.0.0.1.ex.lan", false, false, false),
            ("ldaps://dc1.ex.lan", false, false, false),
            ("ldaps://dc1.ex.lan", true, true, false),
            ("ldap://me:pw@127.0.0.1", false, false, false),
            ("ldaps://", false, true, false),
            ("ldaps://dc1/dc=ex??sub", false, true, false),
            ("ldapi://%2frun%2fslapd", false, true, false),
            ("dc1.ex.lan", false, true, false),
        ] {
            assert_eq!(directory(url, starttls, ca).check().is_ok(), good, "{url} {starttls} {ca}");
        }
    }

    #[test]
    fn an_empty_password_is_not_sent() {
        // Nobody listens there: a bind that was tried would say so.
        let directory = directory("ldap://127.0.0.1:9", false, false);
        for (who, password) in [("cn=a", ""), ("", "x"), (" ", "x")] {
            let fault = directory.bind_as(who, &Secret::new(password)).err().unwrap();
            assert!(matches!(fault, Fault::Credential(_)), "{fault}");
        }
        let fault = directory.bind_as("cn=a", &Secret::new("x")).err().unwrap();
        assert!(matches!(fault, Fault::Unreachable(_)), "{fault}");
    }

    #[test]
    fn a_server_that_speaks_something_else_or_nothing_is_an_error() {
        use std::io::{Read, Write};
        // A sequence with an id and a bind answer whose result code is missing; a length that never comes; silence.
        for answer in
            [&b"\x30\x05\x02\x01\x01\x61\x00"[..], b"\x30\x84\x7f\xff\xff\xff", b"HTTP/1.0 400\r\n", b""]
        {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut buffer = [0; 512];
                let _asked = stream.read(&mut buffer).unwrap();
                stream.write_all(answer).unwrap();
                // Until the client gives up.
                while stream.read(&mut buffer).is_ok_and(|n| n > 0) {}
            });
            let directory = directory(&format!("ldap://127.0.0.1:{port}"), false, false);
            let fault = directory.bind_as("cn=a", &Secret::new("x")).err().unwrap();
            assert!(matches!(fault, Fault::Unreachable(_)), "{answer:?}: {fault}");
            server.join().unwrap();
        }
    }

    #[test]
    fn the_codes_of_active_directory_are_read() {
        let denied = |text: &str| {
            Denied::of(&LdapResult {
                rc: 49,
                matched: String::new(),
                text: text.into(),
                refs: Vec::new(),
                ctrls: Vec::new(),
            })
        };
        let text =
            "80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data 533, v2580\0";
        assert_eq!(denied(text).to_string(), "the account is disabled (data 533)");
        assert_eq!(denied(&text.replace("533", "52e")).meaning(), "wrong password");
        assert_eq!(denied(&text.replace("533", "773")).meaning(), "the password must be changed");
        assert_eq!(denied("").data, None);
        assert_eq!(denied(", data ").data, None);
    }

    #[test]
    fn a_filter_keeps_hostile_values_in_their_place() {
        let filter = Filter::all(&[("uid", "a*)(uid=*"), ("cn", "ü\\")]).unwrap();
        assert_eq!(filter.as_str(), "(&(uid=a\\2a\\29\\28uid\\3d\\2a)(cn=\\c3\\bc\\5c))");
        assert!(Filter::all(&[("uid=*)(x", "a")]).is_err());
        assert!(Filter::all(&[("", "a")]).is_err());
    }
}
