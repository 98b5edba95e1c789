//! Partitions of a Kafka topic, each read from where it was last stored. Behind the feature `kafka`.
//!
//! There are no consumer groups: this door keeps its own offsets, and who runs two of it says which partitions each has.
//! Tested against the broker that librdkafka brings for tests, which speaks the protocol, without TLS and logins.

use crate::door::{Backoff, DoorContext, DoorError, Source};
use crate::follow::Begin;
use crate::gate::{Admitted, Limits};
use crate::intake::{Origin, Records};
use crate::secret::SecretRef;
use crate::state;
use crate::syslog::too_long;
use crate::tls::ClientTls;
use crate::window::{BATCHES, Settled, Window};
use memchr::memchr_iter;
use rskafka::client::error::{Error, ProtocolError};
use rskafka::client::partition::{OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder, Credentials, SaslConfig};
use rskafka::record::RecordAndOffset;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

pub use crate::declaration::KAFKA as DECLARATION;

/// Which topic.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "KafkaOptions")]
pub struct Options {
    /// The source that its records are said to come from.
    pub source: String,
    /// `broker:9092`; one that is there is enough.
    pub brokers: Vec<String>,
    /// Which topic.
    pub topic: String,
    /// All, where none is named. New ones are found within minutes.
    #[serde(default)]
    pub partitions: BTreeSet<i32>,
    /// Where to begin in a partition that was not read before.
    #[serde(default)]
    pub begin: Begin,
    /// Values hold several lines, each of which is a record.
    #[serde(default)]
    pub lines: bool,
    /// Needs `authorities`.
    #[serde(default)]
    pub tls: Option<ClientTls>,
    /// Without it, none.
    #[serde(default)]
    pub login: Option<Login>,
    /// What it may send.
    #[serde(default)]
    pub limits: Limits,
}

/// How to log in (SASL).
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "KafkaLogin")]
pub struct Login {
    /// How the password is shown to the broker.
    pub mechanism: Mechanism,
    /// Who logs in.
    pub user: String,
    /// Where the password lies.
    pub password: SecretRef,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
pub enum Mechanism {
    #[serde(rename = "PLAIN")]
    Plain,
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

const DOOR: &str = "kafka";
/// Bytes of one answer, about.
const FETCH: i32 = 4 << 20;
const WAIT_MS: i32 = 500;
/// The client tries for ever; so it is given up, and said.
const CONNECT: Duration = Duration::from_secs(20);
const SAVE: Duration = Duration::from_secs(1);
/// How often new partitions are looked for.
const LOOK: Duration = Duration::from_secs(120);

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Book {
    /// The offset that comes next.
    next: i64,
}

/// Reads until the shutdown.
pub async fn run(options: Options, context: DoorContext) -> Result<(), DoorError> {
    if options.brokers.is_empty() {
        return Err(DoorError::config(DOOR, "`brokers` names no broker"));
    }
    let admitted =
        Admitted { origin: Origin::new(&options.source), limits: Arc::new(options.limits.clone()) };
    let source = Source::new(&context, DOOR, admitted);
    let tls = options.tls.as_ref().map(tls).transpose()?.map(Arc::new);
    let options = Arc::new(options);
    let mut doors: JoinSet<Result<(), DoorError>> = JoinSet::new();
    let mut running = BTreeSet::new();
    let mut backoff = Backoff::new();
    let mut began = false;
    let mut result = Ok(());
    while !context.shutdown.is_cancelled() {
        let opened = tokio::select! {
            () = context.shutdown.cancelled() => break,
            opened = timeout(CONNECT, open(&options, tls.clone())) => opened,
        };
        let trouble = match opened {
            Ok(Ok((client, partitions))) => {
                for partition in partitions.difference(&running.clone()) {
                    running.insert(*partition);
                    let door = Door::new(*partition, options.clone(), source.clone(), context.clone())?;
                    doors.spawn(door.run(client.clone()));
                }
                (backoff, began) = (Backoff::new(), true);
                None
            }
            // A secret that is being written anew passes; one that never was there does not.
            Ok(Err(Opening::Wrong(wrong))) if began => Some(wrong.to_string()),
            Ok(Err(Opening::Wrong(wrong))) => {
                result = Err(wrong);
                context.shutdown.cancel();
                break;
            }
            Ok(Err(Opening::Peer(why))) => Some(why),
            Err(_) => Some(format!("no broker of {} answers", options.brokers.join(", "))),
        };
        if let Some(trouble) = trouble {
            tracing::warn!(door = DOOR, %trouble, "is tried again");
            source.counts.says(Some(trouble));
            backoff.pause(&context.shutdown).await;
            continue;
        }
        tokio::select! {
            () = context.shutdown.cancelled() => {}
            () = tokio::time::sleep(LOOK) => {}
            Some(Ok(Err(error))) = doors.join_next(), if !doors.is_empty() => {
                result = Err(error);
                context.shutdown.cancel();
            }
        }
    }
    while let Some(ended) = doors.join_next().await {
        if let Ok(Err(error)) = ended {
            result = Err(error);
        }
    }
    result
}

enum Opening {
    Wrong(DoorError),
    Peer(String),
}

async fn open(
    options: &Options,
    tls: Option<Arc<rustls::ClientConfig>>,
) -> Result<(Arc<Client>, BTreeSet<i32>), Opening> {
    let mut builder =
        ClientBuilder::new(options.brokers.clone()).client_id("portreeve").max_message_size(256 << 20);
    if let Some(tls) = tls {
        builder = builder.tls_config(tls);
    }
    if let Some(login) = &options.login {
        let password = login.password.open(DOOR).map_err(Opening::Wrong)?;
        let credentials = Credentials::new(login.user.clone(), password.expose().to_owned());
        builder = builder.sasl_config(match login.mechanism {
            Mechanism::Plain => SaslConfig::Plain(credentials),
            Mechanism::ScramSha256 => SaslConfig::ScramSha256(credentials),
            Mechanism::ScramSha512 => SaslConfig::ScramSha512(credentials),
        });
    }
    let peer = |e: Error| Opening::Peer(e.to_string());
    let client = builder.build().await.map_err(peer)?;
    let topics = client.list_topics().await.map_err(peer)?;
    let topic = topics.into_iter().find(|t| t.name == options.topic);
    let there =
        topic.ok_or_else(|| Opening::Peer(format!("there is no topic {}", options.topic)))?.partitions;
    if options.partitions.is_empty() {
        return Ok((Arc::new(client), there));
    }
    match options.partitions.difference(&there).next() {
        Some(missing) => Err(Opening::Peer(format!("topic {} has no partition {missing}", options.topic))),
        None => Ok((Arc::new(client), options.partitions.clone())),
    }
}

fn tls(options: &ClientTls) -> Result<rustls::ClientConfig, DoorError> {
    let path = options.authorities.as_ref().ok_or_else(|| {
        let bundle = "/etc/ssl/certs/ca-certificates.crt";
        DoorError::config(DOOR, format!("`tls` needs `authorities`; for public ones, {bundle} on Debian"))
    })?;
    let mut roots = rustls::RootCertStore::empty();
    let certificates = |path: &PathBuf| -> Result<Vec<CertificateDer<'static>>, DoorError> {
        let wrong = |e| DoorError::file(path, format!("holds no certificate in PEM ({e:?})"));
        CertificateDer::pem_file_iter(path).map_err(wrong)?.collect::<Result<_, _>>().map_err(wrong)
    };
    for authority in certificates(path)? {
        roots.add(authority).map_err(|e| DoorError::file(path, e))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| DoorError::config(DOOR, e.to_string()))?
        .with_root_certificates(roots);
    match &options.identity {
        None => Ok(builder.with_no_client_auth()),
        Some(identity) => {
            let key = PrivateKeyDer::from_pem_file(&identity.key).map_err(|e| {
                DoorError::file(&identity.key, format!("holds no private key in PEM ({e:?})"))
            })?;
            builder
                .with_client_auth_cert(certificates(&identity.certificate)?, key)
                .map_err(|e| DoorError::file(&identity.certificate, e))
        }
    }
}

/// One partition.
struct Door {
    partition: i32,
    options: Arc<Options>,
    source: Source,
    window: Window<i64>,
    path: PathBuf,
    /// As it is stored.
    book: Option<Book>,
    changed: bool,
    saved: Instant,
    context: DoorContext,
}

impl Door {
    fn new(
        partition: i32,
        options: Arc<Options>,
        source: Source,
        context: DoorContext,
    ) -> Result<Door, DoorError> {
        let name = format!("{} {} {partition}", options.source, options.topic);
        let path = state::path(&context.state_dir, DOOR, &name);
        let (window, book) = (Window::new(&context, BATCHES), state::load(&path)?);
        Ok(Door {
            partition,
            options,
            source,
            window,
            path,
            book,
            changed: false,
            saved: Instant::now(),
            context,
        })
    }

    async fn run(mut self, client: Arc<Client>) -> Result<(), DoorError> {
        let mut backoff = Backoff::new();
        let shutdown = self.context.shutdown.clone();
        let mut next = self.book.map(|b| b.next);
        while !shutdown.is_cancelled() {
            let (topic, partition) = (self.options.topic.clone(), self.partition);
            let opening = client.partition_client(topic, partition, UnknownTopicHandling::Error);
            let read = match shutdown.run_until_cancelled(opening).await {
                None => break,
                Some(Ok(client)) => self.read(&client, &mut next).await,
                Some(Err(error)) => Err(error),
            };
            self.save(false)?;
            if let Err(error) = read {
                let trouble = format!("partition {}: {}", self.partition, plain(&error));
                tracing::warn!(door = DOOR, %trouble, "is tried again");
                self.source.counts.says(Some(trouble));
                backoff.pause(&shutdown).await;
            }
        }
        while !self.window.is_empty() {
            let settled = self.window.next().await;
            self.settle(settled);
        }
        self.save(true)
    }

    /// Until the service ends or the broker fails. `next` is what was not handed over yet.
    async fn read(&mut self, client: &PartitionClient, next: &mut Option<i64>) -> Result<(), Error> {
        let shutdown = self.context.shutdown.clone();
        let mut offset = match (*next, self.options.begin) {
            (Some(offset), _) => offset,
            (None, Begin::Beginning) => client.get_offset(OffsetAt::Earliest).await?,
            (None, Begin::End) => client.get_offset(OffsetAt::Latest).await?,
        };
        if next.is_none() {
            // Where it began is kept: a restart before the first message does not skip it.
            (self.book, self.changed) = (Some(Book { next: offset }), true);
            self.save(true).ok();
        }
        self.source.counts.says(None);
        loop {
            *next = Some(offset);
            let fetch = client.fetch_records(offset, 1..FETCH, WAIT_MS);
            tokio::pin!(fetch);
            let fetched = loop {
                let room = self.window.has_room();
                tokio::select! {
                    biased;
                    () = shutdown.cancelled() => return Ok(()),
                    settled = self.window.next() => if !self.settle(settled) {
                        return Ok(());
                    },
                    fetched = &mut fetch, if room => break fetched,
                }
                // A file that cannot be written is said when the door ends.
                self.save(false).ok();
            };
            match fetched {
                Ok((records, _)) => offset = self.take(records, offset).await,
                Err(Error::ServerError { protocol_error: ProtocolError::OffsetOutOfRange, .. }) => {
                    let earliest = client.get_offset(OffsetAt::Earliest).await?;
                    let lost = u64::try_from(earliest - offset).unwrap_or(0);
                    tracing::warn!(
                        door = DOOR,
                        partition = self.partition,
                        lost,
                        "the broker has deleted what was not read"
                    );
                    self.source.counts.lost.fetch_add(lost, Ordering::Relaxed);
                    offset = earliest;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Hands messages over; tells the offset behind them.
    async fn take(&mut self, messages: Vec<RecordAndOffset>, from: i64) -> i64 {
        let limit = self.source.limits.record_bytes;
        let (mut records, mut long, mut next) = (Records::default(), Vec::new(), from);
        for message in messages {
            // A batch of the broker may begin before what was asked for.
            if message.offset < from {
                continue;
            }
            next = message.offset + 1;
            let mut take = |record: &[u8]| match record.get(..limit) {
                Some(head) if record.len() > limit => long.push(head.to_vec()),
                _ if record.is_empty() => {}
                _ => records.push(record),
            };
            let value = message.record.value.unwrap_or_default();
            if self.options.lines {
                let mut at = 0;
                for end in memchr_iter(b'\n', &value).chain([value.len()]) {
                    let line = value.get(at..end).unwrap_or_default();
                    take(line.strip_suffix(b"\r").unwrap_or(line));
                    at = end + 1;
                }
            } else {
                take(&value);
            }
        }
        for head in long {
            self.source.dead(&self.context.intake, too_long(limit), &head).await;
        }
        if next != from {
            self.window.push(&self.source, records, next);
        }
        next
    }

    /// False where the service ends.
    fn settle(&mut self, settled: Settled<i64>) -> bool {
        match settled {
            Settled::Stored(next) => {
                (self.book, self.changed) = (Some(Book { next }), true);
                true
            }
            Settled::GivenUp(_) => {
                self.context.shutdown.cancel();
                false
            }
        }
    }

    fn save(&mut self, now: bool) -> Result<(), DoorError> {
        if self.changed
            && (now || self.saved.elapsed() >= SAVE)
            && let Some(book) = &self.book
        {
            state::save(&self.path, book)?;
            (self.changed, self.saved) = (false, Instant::now());
        }
        Ok(())
    }
}

/// Without the request that the client adds to a broker's words.
fn plain(error: &Error) -> String {
    match error {
        Error::ServerError { protocol_error, error_message, .. } => {
            format!("{protocol_error} {}", error_message.as_deref().unwrap_or_default()).trim().to_owned()
        }
        other => other.to_string(),
    }
}
