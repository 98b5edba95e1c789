//! Where the database is: a path, `sqlite:PATH` or `postgres://USER@HOST/NAME`.

use crate::error::{Error, Result};
use std::path::PathBuf;
use std::str::FromStr;

#[derive(Clone, Debug)]
pub enum Location {
    Sqlite(PathBuf),
    Postgres(Box<PostgresLocation>),
}

/// A PostgreSQL database, and whom to believe that it is the right one.
#[derive(Clone)]
pub struct PostgresLocation {
    pub(crate) config: postgres::Config,
    /// Certificates in PEM that may have signed the server's; without them, those that the system trusts.
    pub root_certificates: Option<PathBuf>,
    /// Our certificate and its key, in PEM, where the server asks for one.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// Connections at one time.
    pub connections: usize,
}

// The driver's own would show what a URL may hold besides.
impl std::fmt::Debug for PostgresLocation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}

impl PostgresLocation {
    /// For people: without the password.
    pub(crate) fn name(&self) -> String {
        use postgres::config::Host;
        let mut name = String::from("postgres://");
        for (n, host) in self.config.get_hosts().iter().enumerate() {
            if n > 0 {
                name.push(',');
            }
            match host {
                Host::Tcp(host) => name.push_str(host),
                #[cfg(unix)]
                Host::Unix(path) => name.push_str(&path.display().to_string()),
            }
        }
        name.push('/');
        name.push_str(self.config.get_dbname().unwrap_or_default());
        name
    }
}

impl Location {
    pub fn sqlite(path: impl Into<PathBuf>) -> Location {
        Location::Sqlite(path.into())
    }

    /// The password, where it does not stand in the URL but in a file of its own.
    #[must_use]
    pub fn with_password(mut self, password: &str) -> Location {
        if let Location::Postgres(location) = &mut self {
            location.config.password(password);
        }
        self
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Location::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Location::Postgres(location) => f.write_str(&location.name()),
        }
    }
}

impl FromStr for Location {
    type Err = Error;

    fn from_str(text: &str) -> Result<Location> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            if path.is_empty() {
                return Err(Error::Location { text: text.to_owned(), why: "the path is missing".into() });
            }
            return Ok(Location::Sqlite(path.into()));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return postgres_url(text).map(|l| Location::Postgres(Box::new(l)));
        }
        if text.is_empty() || text.contains("://") {
            return Err(Error::Location { text: shown(text), why: "it is neither".into() });
        }
        Ok(Location::Sqlite(text.into()))
    }
}

/// A URL as libpq reads it, with its `sslrootcert`, `sslcert` and `sslkey`, which the driver does not know.
fn postgres_url(text: &str) -> Result<PostgresLocation> {
    let wrong = |why: String| Error::Location { text: shown(text), why };
    let (base, query) = text.split_once('?').unwrap_or((text, ""));
    let mut kept = Vec::new();
    let (mut root, mut certificate, mut key, mut mode, mut connections) = (None, None, None, false, 8);
    for pair in query.split('&').filter(|p| !p.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match name {
            "sslrootcert" => root = Some(PathBuf::from(unescaped(value))),
            "sslcert" => certificate = Some(PathBuf::from(unescaped(value))),
            "sslkey" => key = Some(PathBuf::from(unescaped(value))),
            "connections" => {
                connections = value
                    .parse()
                    .ok()
                    .filter(|n| (2..=200).contains(n))
                    .ok_or_else(|| wrong(format!("connections={value}: 2 to 200")))?;
            }
            // Both ask for a server that is known by its name, which is what `require` does here.
            "sslmode" if matches!(value, "verify-full" | "verify-ca") => {
                mode = true;
                kept.push("sslmode=require".to_owned());
            }
            _ => {
                mode |= name == "sslmode";
                kept.push(pair.to_owned());
            }
        }
    }
    let url = if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) };
    let mut config = postgres::Config::from_str(&url).map_err(|e| wrong(in_full(&e)))?;
    if config.get_hosts().is_empty() {
        return Err(wrong("the host is missing; for a local socket write ?host=/run/postgresql".into()));
    }
    if config.get_dbname().is_none() {
        return Err(wrong("the name of the database is missing".into()));
    }
    if !mode && config.get_hosts().iter().any(is_elsewhere) {
        // The driver's own choice is TLS if the server offers it, which whoever sits between decides.
        config.ssl_mode(postgres::config::SslMode::Require);
    }
    let client_certificate = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => return Err(wrong("sslcert and sslkey belong together".into())),
    };
    Ok(PostgresLocation { config, root_certificates: root, client_certificate, connections })
}

fn is_elsewhere(host: &postgres::config::Host) -> bool {
    match host {
        postgres::config::Host::Tcp(host) => {
            host != "localhost" && !host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        }
        #[cfg(unix)]
        postgres::config::Host::Unix(_) => false,
    }
}

fn in_full(e: &postgres::Error) -> String {
    match std::error::Error::source(e) {
        Some(cause) => format!("{e}: {cause}"),
        None => e.to_string(),
    }
}

/// A URL without what stands before the host: it may hold a password.
fn shown(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let path = path.split('?').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

fn unescaped(value: &str) -> String {
    let mut out = Vec::with_capacity(value.len());
    let digit = |b: u8| (b as char).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let mut rest = value.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        match (first, behind) {
            (b'%', [high, low, behind @ ..]) if let (Some(high), Some(low)) = (digit(*high), digit(*low)) => {
                out.push(high << 4 | low);
                rest = behind;
            }
            _ => out.push(*first),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use postgres::config::SslMode;

    fn postgres(text: &str) -> PostgresLocation {
        match text.parse().unwrap() {
            Location::Postgres(location) => *location,
            Location::Sqlite(_) => panic!("{text} is SQLite"),
        }
    }

    #[test]
    fn a_path_is_sqlite() {
        for text in ["store.db", "sqlite:store.db", "/var/lib/portreeve/store.db"] {
            assert!(matches!(text.parse().unwrap(), Location::Sqlite(_)), "{text}");
        }
    }

    #[test]
    fn another_host_is_spoken_to_inside_tls_unless_said_otherwise() {
        assert_eq!(postgres("postgres://u@db.example/p").config.get_ssl_mode(), SslMode::Require);
        assert_eq!(
            postgres("postgres://u@db.example/p?sslmode=prefer").config.get_ssl_mode(),
            SslMode::Prefer
        );
        assert_eq!(
            postgres("postgres://u@db.example/p?sslmode=verify-full").config.get_ssl_mode(),
            SslMode::Require
        );
        assert_eq!(postgres("postgres://u@127.0.0.1/p").config.get_ssl_mode(), SslMode::Prefer);
        let socket = postgres("postgres://u@/p?host=/run/postgresql");
        assert_eq!(socket.config.get_ssl_mode(), SslMode::Prefer);
    }

    #[test]
    fn certificates_are_taken_out_of_the_url() {
        let location =
            postgres("postgres://u@db/p?sslrootcert=/etc/a%20b.pem&application_name=x&connections=3");
        assert_eq!(location.root_certificates, Some("/etc/a b.pem".into()));
        assert_eq!(location.config.get_application_name(), Some("x"));
        assert_eq!(location.connections, 3);
        assert!("postgres://u@db/p?sslcert=a".parse::<Location>().is_err());
    }

    #[test]
    fn nothing_shows_the_password() {
        let good: Location = "postgres://u:secret@db.example/p".parse().unwrap();
        assert!(!format!("{good} {good:?}").contains("secret"));
        for bad in ["postgres://u:secret@db/p?nonsense=1", "postgres://u:secret@db", "mysql://u:secret@db/p"]
        {
            let error = bad.parse::<Location>().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        }
    }
}
