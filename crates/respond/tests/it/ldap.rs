//! What tests of directories share: an authority with a certificate for loopback, a client that is not ours, and a
//! thread inside a namespace.

use crate::lab::Netns;
use ldap3::{LdapConn, LdapConnSettings, LdapResult, Mod};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// An authority, and a server's certificate for 127.0.0.1 and `localhost`.
pub(crate) struct Pki {
    pub(crate) ca: PathBuf,
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

pub(crate) fn pki(dir: &Path, stem: &str) -> Pki {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(DnType::CommonName, format!("{stem} authority"));
    let ca_key = KeyPair::generate().unwrap();
    let ca = authority.self_signed(&ca_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let cert = CertificateParams::new(vec!["127.0.0.1".into(), "localhost".into()])
        .unwrap()
        .signed_by(&key, &Issuer::new(authority, ca_key))
        .unwrap();
    let write = |name: &str, text: String| {
        let path = dir.join(format!("{stem}-{name}.pem"));
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    Pki { ca: write("ca", ca.pem()), cert: write("cert", cert.pem()), key: write("key", key.serialize_pem()) }
}

/// Moves this thread, which is a test's own, into the namespace.
pub(crate) fn enter(ns: &Netns) {
    use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
    use std::os::fd::AsFd;
    let file = std::fs::File::open(format!("/run/netns/{}", ns.name)).unwrap();
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
}

/// A client of the attacker or of another administrator: the bare library.
pub(crate) struct Client(pub(crate) LdapConn);

impl Client {
    pub(crate) fn connect(url: &str, ca: Option<&Path>) -> Client {
        let mut settings = LdapConnSettings::new().set_conn_timeout(Duration::from_secs(5));
        if let Some(ca) = ca {
            use rustls::pki_types::pem::PemObject;
            let mut roots = rustls::RootCertStore::empty();
            roots.add(rustls::pki_types::CertificateDer::from_pem_file(ca).unwrap()).unwrap();
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let config = rustls::ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
            settings = settings.set_config(Arc::new(config));
        }
        Client(LdapConn::with_settings(settings, url).unwrap())
    }

    pub(crate) fn bind(&mut self, who: &str, password: &str) -> LdapResult {
        self.0.simple_bind(who, password).unwrap()
    }

    pub(crate) fn add(&mut self, dn: &str, attributes: &[(&str, &[&str])]) {
        let attributes = attributes
            .iter()
            .map(|(name, values)| {
                (name.as_bytes().to_vec(), values.iter().map(|v| v.as_bytes().to_vec()).collect())
            })
            .collect();
        let result = self.0.add(dn, attributes).unwrap();
        assert_eq!(result.rc, 0, "add {dn}: {result}");
    }

    pub(crate) fn set(&mut self, dn: &str, attribute: &str, values: &[&[u8]]) -> LdapResult {
        let values: HashSet<Vec<u8>> = values.iter().map(|v| v.to_vec()).collect();
        self.0.modify(dn, vec![Mod::Replace(attribute.as_bytes().to_vec(), values)]).unwrap()
    }

    /// How many entries this connection may still see at `dn`; `Err` with the code where it may not ask.
    pub(crate) fn sees(&mut self, dn: &str) -> Result<usize, u32> {
        let found = self.0.search(dn, ldap3::Scope::Base, "(objectClass=*)", vec!["dn"]).unwrap();
        if found.1.rc == 0 { Ok(found.0.len()) } else { Err(found.1.rc) }
    }
}
