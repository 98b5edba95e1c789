//! TLS for the doors that listen: certificates from PEM files, read again when they change, and client certificates.

use crate::door::DoorError;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How a listener speaks TLS.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsOptions {
    /// PEM file of the server's certificate, with those between it and its authority.
    pub certificate: PathBuf,
    /// PEM file of its private key.
    pub key: PathBuf,
    /// Asks peers for a certificate. Without this, none is asked for.
    #[serde(default)]
    pub clients: Option<ClientOptions>,
}

/// Which certificates peers may show.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientOptions {
    /// PEM file of the authorities that sign them. Without it any certificate may be shown, also one that signed
    /// itself, and only those are let in whose SHA-256 a source names; their dates are then not looked at.
    #[serde(default)]
    pub authorities: Option<PathBuf>,
    /// Peers without a certificate are turned away.
    #[serde(default = "required")]
    pub required: bool,
}

fn required() -> bool {
    true
}

/// A peer that has not finished its handshake by then is let go.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How often the files are looked at, at most.
const LOOK: Duration = Duration::from_secs(1);

/// A server's TLS, as its files say now.
pub struct Tls {
    options: TlsOptions,
    protocols: Vec<Vec<u8>>,
    current: Mutex<Current>,
}

struct Current {
    config: Arc<ServerConfig>,
    stamps: Vec<Option<Stamp>>,
    looked: Instant,
}

/// What changes when a file is written again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stamp {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

/// What a peer showed: the SHA-256 of its certificate.
pub type Shown = Option<[u8; 32]>;

impl Tls {
    /// `protocols` are those of ALPN (`h2`, `http/1.1`); none for a protocol without.
    pub fn open(options: TlsOptions, protocols: &[&str]) -> Result<Tls, DoorError> {
        let protocols: Vec<_> = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
        let stamps = stamps(&options);
        let config = config(&options, &protocols)?;
        let current = Mutex::new(Current { config, stamps, looked: Instant::now() });
        Ok(Tls { options, protocols, current })
    }

    /// The configuration for the next connection. Where changed files cannot be read as a whole, it stays what it was.
    pub fn config(&self) -> Arc<ServerConfig> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.looked.elapsed() >= LOOK {
            current.looked = Instant::now();
            let now = stamps(&self.options);
            if now != current.stamps {
                match config(&self.options, &self.protocols) {
                    Ok(config) => {
                        tracing::info!(certificate = %self.options.certificate.display(), "read again");
                        (current.config, current.stamps) = (config, now);
                    }
                    // Half a renewal: the key is there and the certificate is not. Looked at again.
                    Err(error) => tracing::warn!(%error, "the certificate that was read before stays in use"),
                }
            }
        }
        current.config.clone()
    }

    /// Shakes hands with a peer, and tells what certificate it showed.
    pub async fn accept<IO>(&self, io: IO) -> std::io::Result<(TlsStream<IO>, Shown)>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let accept = TlsAcceptor::from(self.config()).accept(io);
        let stream = tokio::time::timeout(HANDSHAKE, accept).await??;
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).map(|c| fingerprint(c));
        Ok((stream, shown))
    }
}

/// The SHA-256 of a certificate in DER, as `openssl x509 -fingerprint -sha256` prints it.
pub fn fingerprint(der: &[u8]) -> [u8; 32] {
    Sha256::digest(der).into()
}

fn stamps(options: &TlsOptions) -> Vec<Option<Stamp>> {
    let authorities = options.clients.as_ref().and_then(|c| c.authorities.as_deref());
    let files = [Some(options.certificate.as_path()), Some(options.key.as_path()), authorities];
    let stamp = |path: &Path| {
        let meta = std::fs::metadata(path).ok()?;
        Some(Stamp { inode: meta.ino(), size: meta.size(), changed: (meta.mtime(), meta.mtime_nsec()) })
    };
    files.into_iter().flatten().map(stamp).collect()
}

fn config(options: &TlsOptions, protocols: &[Vec<u8>]) -> Result<Arc<ServerConfig>, DoorError> {
    let provider = Arc::new(ring::default_provider());
    let chain = certificates(&options.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&options.key)
        .map_err(|e| DoorError::file(&options.key, format!("holds no private key in PEM ({e:?})")))?;
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| DoorError::file(&options.certificate, e))?;
    let builder = match &options.clients {
        None => builder.with_no_client_auth(),
        Some(clients) => builder.with_client_cert_verifier(verifier(clients, provider)?),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|e| {
        DoorError::file(&options.certificate, format!("does not go with {}: {e}", options.key.display()))
    })?;
    config.alpn_protocols = protocols.to_vec();
    Ok(Arc::new(config))
}

fn verifier(
    clients: &ClientOptions,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, DoorError> {
    let Some(path) = &clients.authorities else {
        return Ok(Arc::new(ByFingerprint { provider, required: clients.required }));
    };
    let mut roots = RootCertStore::empty();
    for authority in certificates(path)? {
        roots.add(authority).map_err(|e| DoorError::file(path, e))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = if clients.required { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(|e| DoorError::file(path, e))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, DoorError> {
    let wrong = |e| DoorError::file(path, format!("holds no certificate in PEM ({e:?})"));
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(wrong)?.collect();
    match found.map_err(wrong)? {
        none if none.is_empty() => Err(DoorError::file(path, "holds no certificate in PEM")),
        some => Ok(some),
    }
}

/// Lets a peer prove that it has the key of the certificate that it shows, whoever signed it. Who that is, is for
/// [`Gate::certificate`](crate::gate::Gate::certificate) to say.
#[derive(Debug)]
struct ByFingerprint {
    provider: Arc<CryptoProvider>,
    required: bool,
}

impl ClientCertVerifier for ByFingerprint {
    fn client_auth_mandatory(&self) -> bool {
        self.required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// How a door that goes out knows its peer over TLS.
#[derive(Clone, PartialEq, Eq, Default, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientTls {
    /// PEM file of the authorities that the peer's certificate may come from; else the system's.
    #[serde(default)]
    pub authorities: Option<PathBuf>,
    /// PEM files of a certificate to show, and of its key.
    #[serde(default)]
    pub identity: Option<ClientIdentity>,
}

/// A certificate that is shown to the peer.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientIdentity {
    /// PEM file.
    pub certificate: PathBuf,
    /// PEM file of its private key.
    pub key: PathBuf,
}
