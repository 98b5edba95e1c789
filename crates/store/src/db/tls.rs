//! TLS towards PostgreSQL. The server is always known by its name and by who signed its certificate; there is no way
//! to leave that out.

use super::location::PostgresLocation;
use crate::error::{Error, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;
use tokio_postgres_rustls::MakeRustlsConnect;

pub(crate) fn connector(location: &PostgresLocation) -> Result<MakeRustlsConnect> {
    let wrong = |why: String| Error::Open { at: location.name(), why };
    let mut roots = RootCertStore::empty();
    match &location.root_certificates {
        Some(path) => {
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|e| wrong(format!("{}: {e}", path.display())))?;
            }
        }
        None => {
            // Some that the system holds cannot be read by anybody; the others still count.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| wrong(e.to_string()))?
        .with_root_certificates(roots);
    let config = match &location.client_certificate {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let key = PrivateKeyDer::from_pem_file(key)
                .map_err(|e| Error::invalid("sslkey", format!("{}: {e}", key.display())))?;
            builder
                .with_client_auth_cert(certificates(certificate)?, key)
                .map_err(|e| wrong(e.to_string()))?
        }
    };
    Ok(MakeRustlsConnect::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let wrong = |why: String| Error::invalid("certificates", format!("{}: {why}", path.display()));
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>)
        .map_err(|e| wrong(e.to_string()))?;
    if certificates.is_empty() { Err(wrong("holds none".into())) } else { Ok(certificates) }
}
