//! The one file that configures the service. What is not in it has a default that works on one machine.

use portreeve_doors::http::HttpOptions;
use portreeve_doors::lumberjack::LumberjackOptions;
use portreeve_doors::tls::TlsOptions;
use portreeve_doors::{Limits, follow, journald, nats, pull, s3_sqs, syslog};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// Why a configuration is not taken: file, place, cause.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{}: {error}", path.display())]
    Read { path: PathBuf, error: std::io::Error },
    #[error("{}: {text}", path.display())]
    Parse { path: PathBuf, text: String },
    #[error("{0}")]
    Wrong(String),
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub web: Web,
    pub context: ContextFiles,
    pub engine: Engine,
    pub store: StoreAt,
    pub lake: LakeAt,
    pub doors: Doors,
    /// Sources by name, besides those that are made on the page.
    pub sources: BTreeMap<String, SourceOf>,
    pub access: Access,
    pub respond: Option<Respond>,
}

/// Containment.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Respond {
    /// The file that `portreeve respond` takes as well; it says where the ledger is.
    pub config: PathBuf,
    /// Devices are held to the ledger so often; seconds, 60 by default, at least 5.
    #[serde(default = "a_minute")]
    pub every_s: u32,
}

fn a_minute() -> u32 {
    60
}

/// The page and the API.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Web {
    pub listen: SocketAddr,
    pub tls: Option<TlsOptions>,
    /// What people type, where a proxy stands in front: `https://portreeve.example.org`.
    pub public_url: Option<String>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<ipnet::IpNet>,
}

impl Default for Web {
    fn default() -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 8433));
        Web { listen, tls: None, public_url: None, trusted_proxies: Vec::new() }
    }
}

/// What records are held against; as `--context`, `--geo` … of `hunt`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ContextFiles {
    pub dir: Option<PathBuf>,
    pub geo: Vec<PathBuf>,
    pub asn: Vec<PathBuf>,
    pub intel: Vec<PathBuf>,
    /// Detections, scoring and playbook in place of those that are built in.
    pub content: Option<PathBuf>,
    /// Log sources of the site; by default `sources.d` in the context folder.
    pub sources: Option<PathBuf>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Engine {
    /// A record may come so late without more ado than folding again what came after it; hours.
    pub kept_hot_h: u32,
    /// Events in memory.
    pub events_at_hand: usize,
    /// Of a hundred parts of time, how many may go into judging everything anew.
    pub whole_percent: u32,
    pub threads: Option<usize>,
    /// Bytes of records that may wait before doors are held back.
    pub backlog_bytes: u64,
    /// Events older than this are forgotten; days, 0 for never.
    pub history_days: u32,
    /// Zone of records that name none, where their source declares none.
    pub zone: Option<String>,
    /// Year of records that name none: only for logs of long ago that are read in.
    pub year: Option<i16>,
}

impl Default for Engine {
    fn default() -> Self {
        Engine {
            kept_hot_h: 24,
            events_at_hand: 400_000,
            whole_percent: 20,
            threads: None,
            backlog_bytes: 2 << 30,
            history_days: 400,
            zone: None,
            year: None,
        }
    }
}

/// Where cases, people and audit are kept.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreAt {
    /// `sqlite:PATH` or `postgres://USER@HOST/NAME`; by default a file in the data folder.
    pub url: Option<String>,
    /// File with the password of PostgreSQL.
    pub password_file: Option<PathBuf>,
}

/// Where records are kept.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LakeAt {
    /// By default a folder in the data folder.
    pub dir: Option<PathBuf>,
    pub s3: Option<S3At>,
    /// Days that records are kept; 0 for ever.
    pub retention_days: u32,
}

impl Default for LakeAt {
    fn default() -> Self {
        LakeAt { dir: None, s3: None, retention_days: 400 }
    }
}

/// A bucket of an S3-compatible store.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3At {
    pub bucket: String,
    #[serde(default)]
    pub prefix: String,
    pub region: String,
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Plain HTTP; only for a store on this machine.
    #[serde(default)]
    pub allow_http: bool,
    /// File with two lines: access key id, secret access key.
    pub credentials_file: PathBuf,
}

/// How records come in. The HTTP doors are on the page's own listener, and on more of their own.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Doors {
    pub http: HttpOptions,
    pub http_listen: Vec<HttpListener>,
    pub syslog: Vec<syslog::Options>,
    pub follow: Vec<follow::Options>,
    pub journald: Vec<journald::Options>,
    pub nats: Vec<nats::Options>,
    pub s3_sqs: Vec<s3_sqs::Options>,
    pub okta: Vec<pull::okta::Options>,
    pub entra: Vec<pull::entra::Options>,
    #[cfg(feature = "kafka")]
    pub kafka: Vec<portreeve_doors::kafka::Options>,
    pub lumberjack: Vec<LumberjackAt>,
    /// Batches on their way at one time.
    pub batches: Option<usize>,
    /// Bytes of dead letters that are kept; the oldest go first.
    pub dead_bytes: Option<u64>,
}

/// A listener for Beats and Logstash.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LumberjackAt {
    #[serde(default)]
    pub tls: Option<TlsOptions>,
    pub door: LumberjackOptions,
}

/// A listener for HTTP doors alone.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpListener {
    pub listen: SocketAddr,
    #[serde(default)]
    pub tls: Option<TlsOptions>,
    #[serde(default)]
    pub doors: HttpOptions,
}

/// A source of records.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SourceOf {
    /// SHA-256 of its tokens, in hex.
    pub token_sha256: Vec<String>,
    /// SHA-256 of its client certificates, in hex.
    pub certificate_sha256: Vec<String>,
    /// Doors that it may use; all where none is named.
    pub doors: Vec<String>,
    /// Zone of its records that name none.
    pub zone: Option<String>,
    /// Its product, where records could be of several.
    pub product: Option<String>,
    pub limits: Limits,
}

/// How people come in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Access {
    /// Hours without use, and hours in all, after which a login ends.
    pub idle_h: u32,
    pub longest_h: u32,
    /// Everybody needs a second factor.
    pub second_factor: bool,
}

impl Default for Access {
    fn default() -> Self {
        Access { idle_h: 8, longest_h: 24, second_factor: true }
    }
}

impl Config {
    /// Reads a file; its relative paths are meant from where it lies.
    pub fn read(path: &Path) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::Read { path: path.to_owned(), error })?;
        let mut config: Config = toml::from_str(&text)
            .map_err(|error| ConfigError::Parse { path: path.to_owned(), text: error.to_string() })?;
        if let Some(dir) = path.parent() {
            config.anchor(dir);
        }
        config.check()?;
        Ok(config)
    }

    fn anchor(&mut self, dir: &Path) {
        let from = |path: &mut PathBuf| *path = dir.join(&*path);
        let context = &mut self.context;
        let lists = [&mut context.geo, &mut context.asn, &mut context.intel];
        lists.into_iter().flatten().for_each(from);
        let single = [
            &mut context.dir,
            &mut context.content,
            &mut context.sources,
            &mut self.store.password_file,
            &mut self.lake.dir,
        ];
        single.into_iter().flatten().for_each(from);
        self.lake.s3.iter_mut().for_each(|s3| from(&mut s3.credentials_file));
        self.respond.iter_mut().for_each(|respond| from(&mut respond.config));
    }

    /// Says what cannot be right although it could be read.
    pub fn check(&self) -> Result<(), ConfigError> {
        let wrong = |text: String| Err(ConfigError::Wrong(text));
        if self.lake.dir.is_some() && self.lake.s3.is_some() {
            return wrong("lake: `dir` and `s3` are both given; records are kept in one place".to_owned());
        }
        let zones = self.engine.zone.iter().chain(self.sources.values().filter_map(|s| s.zone.as_ref()));
        for zone in zones {
            if jiff::tz::TimeZone::get(zone).is_err() {
                return wrong(format!("`{zone}` is no zone; write Europe/Berlin or UTC"));
            }
        }
        if self.respond.as_ref().is_some_and(|r| r.every_s < 5) {
            return wrong("respond.every_s: at least 5 seconds".to_owned());
        }
        for (name, source) in &self.sources {
            for sum in source.token_sha256.iter().chain(&source.certificate_sha256) {
                if digest(sum).is_none() {
                    return wrong(format!("sources.{name}: `{sum}` is no SHA-256 in hex (64 digits)"));
                }
            }
        }
        if !self.web.listen.ip().is_loopback()
            && self.web.tls.is_none()
            && self.web.trusted_proxies.is_empty()
        {
            return wrong(format!(
                "web: {} can be reached from elsewhere and has no TLS; give web.tls, or web.trusted_proxies where a proxy brings it",
                self.web.listen
            ));
        }
        Ok(())
    }
}

/// A SHA-256 in hex.
pub(crate) fn digest(text: &str) -> Option<[u8; 32]> {
    let mut out = [0u8; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("portreeve.toml");
        std::fs::write(&path, text).expect("written");
        match Config::read(&path) {
            Ok(_) => String::new(),
            Err(error) => error.to_string().replace(&*dir.path().to_string_lossy(), ""),
        }
    }

    #[test]
    fn mistakes_are_said_with_their_place() {
        assert_eq!(told(""), "");
        let unknown = told("[web]\nlisten = \"127.0.0.1:1\"\nlissten = 1\n");
        assert!(
            unknown.starts_with("/portreeve.toml: ") && unknown.contains("lissten") && unknown.contains('3'),
            "{unknown}"
        );
        assert!(told("[engine]\nzone = \"Mars/Olympus\"\n").contains("`Mars/Olympus` is no zone"));
        assert!(
            told("[sources.edge]\ntoken_sha256 = [\"abc\"]\n").contains("sources.edge: `abc` is no SHA-256")
        );
        assert!(told("[web]\nlisten = \"0.0.0.0:8433\"\n").contains("has no TLS"));
        assert!(told("[web]\nlisten = \"[::1]:8433\"\n").is_empty());
    }

    #[test]
    fn paths_are_meant_from_where_the_file_lies() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("portreeve.toml");
        std::fs::write(&path, "[context]\ndir = \"context\"\nintel = [\"a\", \"/b\"]\n").expect("written");
        let config = Config::read(&path).expect("a configuration");
        assert_eq!(config.context.dir, Some(dir.path().join("context")));
        assert_eq!(config.context.intel, [dir.path().join("a"), PathBuf::from("/b")]);
    }
}
