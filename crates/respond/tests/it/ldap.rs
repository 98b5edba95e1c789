//! What tests of directories share: an authority with a certificate for loopback, a client that is not ours, and a
//! thread inside a namespace.

use crate::lab::Netns;
use ldap3::{LdapConn, LdapConnSettings, LdapResult, Mod};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
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

/// What a bad line does to the answer of a change; what is asked always arrives.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    /// The connection ends in place of the answer.
    Breaks,
    /// The answer never comes.
    IsSilent,
}

/// A port of loopback from which everything goes on to `to`; answers to changes do not come back.
pub(crate) fn bad_line(to: u16, line: Line) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // Ends with the test's process; it holds a port and no more.
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (client, server) = (client.unwrap(), TcpStream::connect(("127.0.0.1", to)).unwrap());
            let (mut from, mut on) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || {
                let _closed = std::io::copy(&mut from, &mut on);
                let _closed = on.shutdown(Shutdown::Write);
            });
            std::thread::spawn(move || answers(server, client, line));
        }
    });
    port
}

fn answers(mut server: TcpStream, mut client: TcpStream, line: Line) {
    let mut buffer = [0; 65_536];
    while let Ok(n) = server.read(&mut buffer) {
        // A short message: sequence, length, the id as one byte, then what it is; 0x67 answers a modify request.
        let is_change = n > 5 && buffer[0] == 0x30 && buffer[2] == 2 && buffer[5] == 0x67;
        if is_change && line == Line::IsSilent {
            continue;
        }
        if n == 0 || is_change || client.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    let _closed = client.shutdown(Shutdown::Both);
}
