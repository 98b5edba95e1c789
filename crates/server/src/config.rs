//! The one file that configures the service. What is not in it has a default that works on one machine.

mod changed;
mod oidc;
mod page;
mod place;
mod secret;
mod webhook;

pub use changed::{Changed, changed};
pub(crate) use oidc::CALLBACK;
pub use oidc::{Local, NewAccounts, OidcAt, ProviderFactor};
pub use page::{markdown, schema};
pub use secret::SecretAt;
pub use webhook::{AtLeast, MostTlp, Occasion, Template, WebhookAt};

use portreeve_doors::http::HttpOptions;
use portreeve_doors::lumberjack::LumberjackOptions;
use portreeve_doors::tls::TlsOptions;
use portreeve_doors::{Limits, follow, journald, nats, pull, s3_sqs, syslog};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// Why a configuration is not taken: file, place, field, cause.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{}: {error}", path.display())]
    Read { path: PathBuf, error: std::io::Error },
    #[error("{}:{line}:{column}: {}{text}", path.display(), before(field))]
    At { path: PathBuf, line: usize, column: usize, field: String, text: String },
    /// Of what no file says.
    #[error("{}{text}", before(field))]
    Wrong { field: String, text: String },
}

/// A field stands before what is said of it; a file that is no TOML has none.
fn before(field: &str) -> String {
    if field.is_empty() { String::new() } else { format!("{field}: ") }
}

/// What cannot be right although it could be read: the field, as `sources.edge.zone`, and why.
struct Fault {
    field: Vec<String>,
    text: String,
}

impl Fault {
    fn of(field: &str, text: impl Into<String>) -> Fault {
        Fault { field: field.split('.').map(str::to_owned).collect(), text: text.into() }
    }
}

/// The configuration of `portreeve serve`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The page and the API.
    pub web: Web,
    /// What records are held against.
    pub context: ContextFiles,
    /// How events are kept and judged.
    pub engine: Engine,
    /// Where cases, people and audit are kept.
    pub store: StoreAt,
    /// Where records are kept.
    pub lake: LakeAt,
    /// How records come in.
    pub doors: Doors,
    /// Sources by name, besides those that are made on the page.
    pub sources: BTreeMap<String, SourceOf>,
    /// How people come in.
    pub access: Access,
    /// What may be done at devices. Without it nothing is.
    pub respond: Option<Respond>,
    /// Until when cases are to be acknowledged, contained and resolved.
    pub deadlines: Deadlines,
    /// Where the service says how long it takes.
    pub telemetry: Telemetry,
    /// An identity provider; without it people come in by password or passkey alone.
    pub oidc: Option<OidcAt>,
    /// Who else is told what happens.
    pub webhook: Vec<WebhookAt>,
}

/// What may be done at devices: plans of containment, approved by people of the page.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
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
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Web {
    /// Address and port.
    pub listen: SocketAddr,
    /// With TLS. Its files are read again when they change.
    pub tls: Option<TlsOptions>,
    /// What people type, where a proxy stands in front: `https://portreeve.example.org`.
    pub public_url: Option<String>,
    /// Proxies whose `X-Forwarded-For` is believed.
    #[schemars(with = "Vec<String>")]
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// Who may read `/metrics`.
    pub metrics: Metrics,
}

/// Who may read the figures.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Metrics {
    /// Who shows a token that may `metrics.read`, as `Authorization: Bearer`, or is signed in.
    #[default]
    Token,
    /// Everybody who reaches the listener. Names of sources are in it.
    Open,
}

impl Default for Web {
    fn default() -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 8433));
        Web { listen, tls: None, public_url: None, trusted_proxies: Vec::new(), metrics: Metrics::default() }
    }
}

/// What records are held against; as `--context`, `--geo` … of `hunt`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ContextFiles {
    /// Folder with users.csv, travel.csv, intel/ …; docs/context.md says what may be in it.
    pub dir: Option<PathBuf>,
    /// City or country databases (MMDB).
    pub geo: Vec<PathBuf>,
    /// Databases of networks (MMDB).
    pub asn: Vec<PathBuf>,
    /// Lists of indicators, or folders of them.
    pub intel: Vec<PathBuf>,
    /// Detections, scoring and playbook in place of those that are built in.
    pub content: Option<PathBuf>,
    /// Log sources of the site; by default `sources.d` in the context folder.
    pub sources: Option<PathBuf>,
}

/// How events are kept and judged.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Engine {
    /// A record may come so late without more ado than folding again what came after it; hours.
    pub kept_hot_h: u32,
    /// Events in memory.
    pub events_at_hand: usize,
    /// Of a hundred parts of time, how many may go into judging others again because of what came.
    pub whole_percent: u32,
    /// Threads that judge; by default as many as there are processors.
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

/// Until when a case is to be acknowledged, contained and resolved, by its decision. They run from the moment at which
/// the service shows the case.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Deadlines {
    /// Of cases to escalate.
    pub escalate: Deadline,
    /// Of cases to investigate.
    pub investigate: Deadline,
}

impl Default for Deadlines {
    fn default() -> Self {
        Deadlines {
            escalate: Deadline {
                acknowledge_min: Some(15),
                contain_min: Some(60),
                resolve_min: Some(24 * 60),
            },
            investigate: Deadline {
                acknowledge_min: Some(4 * 60),
                contain_min: None,
                resolve_min: Some(72 * 60),
            },
        }
    }
}

/// Minutes; no deadline where none is given.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Deadline {
    /// Until somebody has taken it; minutes.
    pub acknowledge_min: Option<u32>,
    /// Until what is proposed is done; minutes, where something is proposed.
    pub contain_min: Option<u32>,
    /// Until it is closed; minutes.
    pub resolve_min: Option<u32>,
}

/// Where cases, people and audit are kept.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StoreAt {
    /// `sqlite:PATH` or `postgres://USER@HOST/NAME`; by default a file in the data folder.
    pub url: Option<String>,
    /// File with the password of PostgreSQL.
    pub password_file: Option<PathBuf>,
}

/// Where records are kept.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LakeAt {
    /// By default a folder in the data folder.
    pub dir: Option<PathBuf>,
    /// In a bucket instead of a folder.
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
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct S3At {
    /// Its name.
    pub bucket: String,
    /// Before the names of all objects.
    #[serde(default)]
    pub prefix: String,
    /// Its region; of a store that has none, `us-east-1`.
    pub region: String,
    /// In place of S3's own host: `https://minio.example:9000`.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Plain HTTP; only for a store on this machine.
    #[serde(default)]
    pub allow_http: bool,
    /// File with two lines: access key id, secret access key.
    pub credentials_file: PathBuf,
}

/// How records come in. The HTTP doors are on the page's own listener, and on more of their own.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Doors {
    /// The doors on the page's own listener.
    pub http: HttpOptions,
    /// More listeners, for doors over HTTP alone.
    pub http_listen: Vec<HttpListener>,
    /// Listeners for syslog.
    pub syslog: Vec<syslog::Options>,
    /// Files that are read as they grow.
    pub follow: Vec<follow::Options>,
    /// Journals of systemd.
    pub journald: Vec<journald::Options>,
    /// Streams of NATS JetStream.
    pub nats: Vec<nats::Options>,
    /// Buckets whose new objects a queue names.
    pub s3_sqs: Vec<s3_sqs::Options>,
    /// Organisations of Okta.
    pub okta: Vec<pull::okta::Options>,
    /// Tenants of Entra ID.
    pub entra: Vec<pull::entra::Options>,
    /// Topics of Kafka.
    #[cfg(feature = "kafka")]
    pub kafka: Vec<portreeve_doors::kafka::Options>,
    /// Listeners for Beats and Logstash.
    pub lumberjack: Vec<LumberjackAt>,
    /// Batches on their way at one time; 256 where nothing is said.
    pub batches: Option<usize>,
    /// Bytes of dead letters that are kept, 256 MiB where nothing is said; the oldest go first.
    pub dead_bytes: Option<u64>,
}

/// A listener for Beats and Logstash.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LumberjackAt {
    /// With TLS.
    #[serde(default)]
    pub tls: Option<TlsOptions>,
    /// Where it listens, and for whom.
    pub door: LumberjackOptions,
}

/// A listener for HTTP doors alone.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpListener {
    /// Address and port.
    pub listen: SocketAddr,
    /// With TLS.
    #[serde(default)]
    pub tls: Option<TlsOptions>,
    /// Which doors are open on it.
    #[serde(default)]
    pub doors: HttpOptions,
}

/// A source of records.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
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
    /// What it may send.
    pub limits: Limits,
}

/// How people come in.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Access {
    /// Hours without use after which a login ends.
    pub idle_h: u32,
    /// Hours in all after which a login ends.
    pub longest_h: u32,
    /// Everybody needs a second factor.
    pub second_factor: bool,
}

/// Where the service says how long it takes.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// A collector of OpenTelemetry that takes OTLP over HTTP: `http://127.0.0.1:4318`. Spans of requests and of rounds of
    /// the line go to its `/v1/traces`; they name routes and numbers, never what a record or a person said.
    pub otlp_endpoint: Option<String>,
}

impl Default for Access {
    fn default() -> Self {
        Access { idle_h: 8, longest_h: 24, second_factor: true }
    }
}

impl Config {
    /// Reads a file; its relative paths are meant from where it lies.
    pub fn read(path: &Path) -> Result<Config, ConfigError> {
        let (config, text) = Config::parse(path)?;
        match config.faults().into_iter().next() {
            None => Ok(config),
            Some(fault) => Err(place::of_fault(path, &text, fault)),
        }
    }

    fn parse(path: &Path) -> Result<(Config, String), ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::Read { path: path.to_owned(), error })?;
        let mut config: Config = toml::from_str(&text).map_err(|e| place::of_error(path, &text, &e))?;
        if let Some(dir) = path.parent() {
            config.anchor(dir);
        }
        Ok((config, text))
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
        for follow in &mut self.doors.follow {
            let named = [&mut follow.exclude, &mut follow.whole].into_iter().flatten();
            // A pattern of a name alone is about files anywhere.
            let named = named.filter(|pattern| pattern.contains('/'));
            for pattern in follow.paths.iter_mut().chain(named) {
                *pattern = dir.join(&*pattern).to_string_lossy().into_owned();
            }
        }
        for (_, tls) in self.listeners() {
            from(&mut tls.certificate);
            from(&mut tls.key);
            tls.clients.iter_mut().flat_map(|c| &mut c.authorities).for_each(from);
        }
        if let Some(oidc) = &mut self.oidc {
            oidc.client_secret.iter_mut().for_each(|s| s.anchor(dir));
            oidc.ca_file.iter_mut().for_each(from);
        }
        for webhook in &mut self.webhook {
            let secrets = [&mut webhook.url_secret, &mut webhook.signing, &mut webhook.credential];
            secrets.into_iter().flatten().for_each(|s| s.anchor(dir));
            webhook.ca_file.iter_mut().for_each(from);
        }
    }

    /// Every TLS that a listener speaks, with the name of its field.
    fn listeners(&mut self) -> Vec<(String, &mut TlsOptions)> {
        let doors = &mut self.doors;
        let http = doors.http_listen.iter_mut().map(|l| &mut l.tls).enumerate();
        let syslog = doors.syslog.iter_mut().map(|l| &mut l.tls).enumerate();
        let lumberjack = doors.lumberjack.iter_mut().map(|l| &mut l.tls).enumerate();
        let named = |door: &'static str| move |(n, tls)| (format!("doors.{door}.{n}.tls"), tls);
        std::iter::once(("web.tls".to_owned(), &mut self.web.tls))
            .chain(http.map(named("http_listen")))
            .chain(syslog.map(named("syslog")))
            .chain(lumberjack.map(named("lumberjack")))
            .filter_map(|(name, tls)| Some((name, tls.as_mut()?)))
            .collect()
    }

    /// Says what cannot be right although it could be read.
    pub fn check(&self) -> Result<(), ConfigError> {
        match self.faults().into_iter().next() {
            None => Ok(()),
            Some(Fault { field, text }) => Err(ConfigError::Wrong { field: field.join("."), text }),
        }
    }

    /// All that is wrong with a file, without starting anything: what it says, and whether the files that it names are
    /// there and can be read. Nothing is asked over a network.
    pub fn look_over(path: &Path) -> Vec<ConfigError> {
        let (mut config, text) = match Config::parse(path) {
            Ok(parsed) => parsed,
            Err(error) => return vec![error],
        };
        let mut faults = config.faults();
        faults.extend(config.absent());
        faults.into_iter().map(|fault| place::of_fault(path, &text, fault)).collect()
    }

    /// Files that are named and cannot be read.
    fn absent(&mut self) -> Vec<Fault> {
        let mut named: Vec<(String, PathBuf)> = Vec::new();
        for (field, tls) in self.listeners() {
            named.push((format!("{field}.certificate"), tls.certificate.clone()));
            named.push((format!("{field}.key"), tls.key.clone()));
            let authorities = tls.clients.iter().filter_map(|c| c.authorities.clone());
            named.extend(authorities.map(|a| (format!("{field}.clients.authorities"), a)));
        }
        let context = &self.context;
        for (field, paths) in [("geo", &context.geo), ("asn", &context.asn), ("intel", &context.intel)] {
            named.extend(paths.iter().enumerate().map(|(n, p)| (format!("context.{field}.{n}"), p.clone())));
        }
        let single = [
            ("context.dir", &context.dir),
            ("context.content", &context.content),
            ("context.sources", &context.sources),
            ("store.password_file", &self.store.password_file),
            ("lake.s3.credentials_file", &self.lake.s3.as_ref().map(|s3| s3.credentials_file.clone())),
            ("respond.config", &self.respond.as_ref().map(|respond| respond.config.clone())),
        ];
        named.extend(single.into_iter().filter_map(|(f, p)| Some((f.to_owned(), p.clone()?))));
        let unreadable = |(field, path): (String, PathBuf)| {
            let read = if path.is_dir() {
                std::fs::read_dir(&path).map(drop)
            } else {
                std::fs::File::open(&path).map(drop)
            };
            read.err().map(|e| Fault::of(&field, format!("{}: {e}", path.display())))
        };
        named.into_iter().filter_map(unreadable).collect()
    }

    fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.lake.dir.is_some() && self.lake.s3.is_some() {
            faults.push(Fault::of("lake.s3", "`dir` and `s3` are both given; records are kept in one place"));
        }
        let mut zone = |field: Vec<String>, zone: &Option<String>| {
            if let Some(zone) = zone.as_ref().filter(|z| jiff::tz::TimeZone::get(z).is_err()) {
                faults
                    .push(Fault { field, text: format!("`{zone}` is no zone; write Europe/Berlin or UTC") });
            }
        };
        zone(vec!["engine".into(), "zone".into()], &self.engine.zone);
        for (name, source) in &self.sources {
            zone(vec!["sources".into(), name.clone(), "zone".into()], &source.zone);
        }
        if self.respond.as_ref().is_some_and(|r| r.every_s < 5) {
            faults.push(Fault::of("respond.every_s", "at least 5 seconds"));
        }
        for (name, source) in &self.sources {
            let sums =
                [("token_sha256", &source.token_sha256), ("certificate_sha256", &source.certificate_sha256)];
            for (key, sums) in sums {
                for (n, sum) in sums.iter().enumerate().filter(|(_, s)| digest(s).is_none()) {
                    faults.push(Fault {
                        field: vec!["sources".into(), name.clone(), key.into(), n.to_string()],
                        text: format!("`{sum}` is no SHA-256 in hex (64 digits)"),
                    });
                }
            }
        }
        if let Some(oidc) = &self.oidc
            && let Err(text) = oidc.client(self.web.public_url.as_deref())
        {
            faults.push(Fault::of("oidc", text));
        }
        let mut names = std::collections::BTreeSet::new();
        for (n, webhook) in self.webhook.iter().enumerate() {
            if let Err(text) = webhook.check() {
                faults.push(Fault::of(&format!("webhook.{n}"), text));
            }
            if !names.insert(&webhook.name) {
                let text = format!("`{}` is given twice", webhook.name);
                faults.push(Fault::of(&format!("webhook.{n}.name"), text));
            }
        }
        let web = &self.web;
        if !web.listen.ip().is_loopback() && web.tls.is_none() && web.trusted_proxies.is_empty() {
            faults.push(Fault::of(
                "web.listen",
                format!(
                    "{} can be reached from elsewhere and has no TLS; give web.tls, or web.trusted_proxies where a proxy brings it",
                    web.listen
                ),
            ));
        }
        let addresses =
            [("web.public_url", &web.public_url), ("telemetry.otlp_endpoint", &self.telemetry.otlp_endpoint)];
        for (field, url) in addresses {
            let good = |u: &String| {
                url::Url::parse(u).is_ok_and(|u| matches!(u.scheme(), "http" | "https") && u.has_host())
            };
            if let Some(url) = url.as_ref().filter(|u| !good(u)) {
                faults.push(Fault::of(field, format!("`{url}` is no address of http or https")));
            }
        }
        if self.engine.whole_percent > 100 {
            faults.push(Fault::of("engine.whole_percent", "is 0 to 100"));
        }
        faults
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
            unknown.starts_with("/portreeve.toml:3:1: web.lissten: unknown field `lissten`, expected one of"),
            "{unknown}"
        );
        for (text, wanted) in [
            ("[web]\nlisten = 3\n", "/portreeve.toml:2:10: web.listen: invalid type: integer `3`"),
            ("[web]\nlisten = \n", "/portreeve.toml:2:10: "),
            (
                "[engine]\nzone = \"Mars/Olympus\"\n",
                "/portreeve.toml:2:8: engine.zone: `Mars/Olympus` is no zone",
            ),
            (
                "[sources.edge]\ntoken_sha256 = [\"abc\"]\n",
                "/portreeve.toml:2:17: sources.edge.token_sha256.0: `abc` is no SHA-256",
            ),
            (
                "[[doors.syslog]]\nlisten = \"127.0.0.1:0\"\ntransport = \"udp\"\n[[doors.syslog]]\nlisten = \"x\"\n",
                "/portreeve.toml:5:10: doors.syslog.1.listen: invalid socket address",
            ),
            ("[lake.s3]\nbucket = \"b\"\n", "/portreeve.toml:1:1: lake.s3: missing field `region`"),
            ("[web]\npublic_url = \"portreeve\"\n", "/portreeve.toml:2:14: web.public_url: "),
        ] {
            let said = told(text);
            assert!(said.starts_with(wanted) && !said.contains('\n'), "{said}");
        }
        assert!(told("[web]\nlisten = \"0.0.0.0:8433\"\n").contains("has no TLS"));
        assert!(told("[web]\nlisten = \"[::1]:8433\"\n").is_empty());
    }

    #[test]
    fn files_that_are_not_there_are_named_all_at_once() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("portreeve.toml");
        let text =
            "[context]\nintel = [\".\", \"gone\"]\n[web.tls]\ncertificate = \"c.pem\"\nkey = \"k.pem\"\n";
        std::fs::write(&path, text).expect("written");
        let said: Vec<String> = Config::look_over(&path)
            .iter()
            .map(|e| e.to_string().replace(&*dir.path().to_string_lossy(), ""))
            .collect();
        assert_eq!(said.len(), 3, "{said:#?}");
        assert!(
            said[0].starts_with("/portreeve.toml:4:15: web.tls.certificate: /c.pem: No such file"),
            "{said:#?}"
        );
        assert!(said[2].starts_with("/portreeve.toml:2:15: context.intel.1: /gone: "), "{said:#?}");
    }

    #[test]
    fn paths_are_meant_from_where_the_file_lies() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("portreeve.toml");
        std::fs::write(&path, "[context]\ndir = \"context\"\nintel = [\"a\", \"/b\"]\n[[doors.follow]]\npaths = [\"logs/*\", \"/c\"]\n").expect("written");
        let config = Config::read(&path).expect("a configuration");
        assert_eq!(config.context.dir, Some(dir.path().join("context")));
        assert_eq!(config.context.intel, [dir.path().join("a"), PathBuf::from("/b")]);
        let logs = dir.path().join("logs/*").to_string_lossy().into_owned();
        assert_eq!(config.doors.follow[0].paths, [logs, "/c".to_owned()]);
    }
}
