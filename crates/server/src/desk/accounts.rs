//! The service's own secrets and what checks those of people: the master key beside the database, passwords, and who
//! failed too often.

use crate::config::Local;
use crate::desk::Fault;
use crate::desk::oidc::Provider;
use crate::service::StartError;
use portreeve_access::keys::{Key, MasterKey, Purpose};
use portreeve_access::limit::{Limiter, Policies, Policy};
use portreeve_access::password::{Cost, Passwords};
use portreeve_access::session::Lifetimes;
use portreeve_access::webauthn::RelyingParty;
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::OnceLock;

/// What sign-in works with.
pub struct Accounts {
    pub(crate) csrf: Key,
    /// Secrets of one-time codes in the database.
    pub(crate) seal: Key,
    /// Links that ask a person "was this you?".
    pub(crate) ask: Key,
    /// Who tries links that are none.
    pub(crate) links: Limiter,
    /// What a browser carries between password and second factor.
    pub(crate) sign_in: Key,
    pub(crate) passwords: Passwords,
    pub(crate) limiter: Limiter,
    pub(crate) lifetimes: Lifetimes,
    /// Everybody needs a second factor.
    pub(crate) second_factor: bool,
    /// Pages are served by https, here or by a proxy before.
    pub(crate) https: bool,
    pub(crate) provider: Option<Provider>,
    /// Who may come in by means of this service.
    pub(crate) local: Local,
    /// We, as security keys know us; or why they cannot.
    party: OnceLock<Result<RelyingParty, String>>,
}

impl Accounts {
    pub(crate) fn open(data: &Path, config: &crate::config::Config) -> Result<Accounts, StartError> {
        let master = master_key(&data.join("master.key"))?;
        let passwords = Passwords::new(Cost::default()).map_err(|e| StartError::Wrong(e.to_string()))?;
        let public = config.web.public_url.as_deref().unwrap_or_default();
        Ok(Accounts {
            csrf: master.key(Purpose::Csrf),
            seal: master.key(Purpose::Seal),
            ask: master.key(Purpose::Ask),
            links: Limiter::new(links()),
            sign_in: master.key(Purpose::SignIn),
            passwords,
            limiter: Limiter::new(Policies::default()),
            lifetimes: Lifetimes {
                idle_s: config.access.idle_h.saturating_mul(3_600),
                absolute_s: config.access.longest_h.saturating_mul(3_600),
            },
            second_factor: config.access.second_factor,
            https: config.web.tls.is_some() || public.starts_with("https://"),
            provider: Provider::open(config)?,
            local: config.oidc.as_ref().map(|o| o.local).unwrap_or_default(),
            party: OnceLock::new(),
        })
    }

    /// The service listens there: with that it knows the name by which browsers and security keys know it.
    pub(crate) fn listens(&self, public_url: Option<&str>, address: std::net::SocketAddr) {
        let scheme = if self.https { "https" } else { "http" };
        let origin = match public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("{scheme}://localhost:{}", address.port()),
        };
        let party = RelyingParty::new("Portreeve", None, &[&origin])
            .map_err(|e| format!("{e}; set web.public_url to an https address with a host name"));
        if let Err(why) = &party {
            tracing::info!(%why, "no passkeys");
        }
        // Set once: a service listens once.
        self.party.set(party).ok();
    }

    pub(crate) fn party(&self) -> Result<&RelyingParty, Fault> {
        match self.party.get() {
            Some(Ok(party)) => Ok(party),
            Some(Err(why)) => Err(Fault::Conflict { text: format!("passkeys: {why}") }),
            None => Err(Fault::Busy { why: "the service is starting".to_owned() }),
        }
    }
}

/// Nobody is locked out of a link by what others try from elsewhere.
fn links() -> Policies {
    let never = Policy { free: u32::MAX, first_lock_s: 1, longest_lock_s: 1, forget_s: 1 };
    Policies { account: never, pair: never, ..Policies::default() }
}

/// Read, or made at the first start; nobody but the service's own account may read it.
fn master_key(path: &Path) -> Result<MasterKey, StartError> {
    let io = |error| StartError::Io { what: path.display().to_string(), error };
    let wrong = |text: &str| StartError::Wrong(format!("{}: {text}", path.display()));
    match std::fs::File::open(path) {
        Ok(mut file) => {
            if file.metadata().map_err(io)?.permissions().mode() & 0o077 != 0 {
                return Err(wrong("others may read it; chmod 600, and think of who has read it"));
            }
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).map_err(io)?;
            let bytes =
                bytes.try_into().map_err(|_| wrong("is not the 32 bytes of a master key; restore it"))?;
            Ok(MasterKey::from_bytes(bytes))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let key = MasterKey::generate().map_err(|e| StartError::Wrong(e.to_string()))?;
            // Whole under its name, or not there: a crash must not leave half a key.
            let beside = path.with_extension("new");
            std::fs::remove_file(&beside).ok();
            let mut file = std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&beside)
                .map_err(io)?;
            file.write_all(key.as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
            std::fs::rename(&beside, path).map_err(io)?;
            Ok(key)
        }
        Err(error) => Err(io(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_stays_and_is_nobody_elses() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("master.key");
        let first = master_key(&path).expect("a key");
        let mode = std::fs::metadata(&path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(master_key(&path).expect("the same").as_bytes(), first.as_bytes());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("changed");
        assert!(master_key(&path).expect_err("open to others").to_string().contains("chmod 600"));
        std::fs::remove_file(&path).expect("removed");
        std::fs::write(&path, b"short").expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("changed");
        assert!(master_key(&path).expect_err("damaged").to_string().contains("32 bytes"));
    }
}
