//! NATS JetStream: a durable pull consumer; each message is acknowledged once it is stored.
//!
//! Several instances may share one consumer. A message that waits for the disk is kept from being delivered again by
//! saying that it is still worked on. Works with nats-server from 2.9 on.

use crate::declaration::Declaration;
use crate::door::{Backoff, DoorContext, DoorError, Source};
use crate::gate::{Admitted, Limits};
use crate::intake::{Origin, Records};
use crate::secret::SecretRef;
use crate::syslog::too_long;
use crate::tls::ClientTls;
use crate::window::{BATCHES, Settled, Window};
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::message::Acker;
use async_nats::jetstream::{self, AckKind};
use async_nats::{Client, ConnectOptions};
use futures_util::StreamExt;
use memchr::memchr_iter;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

pub static DECLARATION: Declaration = Declaration {
    name: "nats",
    title: "NATS JetStream",
    peers: "whatever publishes to a stream of nats-server 2.9 or later: Vector, Benthos, Fluent Bit, own programs",
    point_at_it: "nats stream add LOGS --subjects 'logs.>', and publish to logs.vpn",
    tested: "nats-server of Debian, stopped and started in between",
    record: "one message; with `lines`, each of its lines",
    source: "the JetStream wire API; ADR-13 of nats-architecture-and-design",
};

/// Which stream.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NatsOptions")]
pub struct Options {
    /// The source that its records are said to come from.
    pub source: String,
    /// `nats://broker:4222`, or `tls://…`.
    pub servers: Vec<String>,
    /// The stream must be there; the consumer is made where it is missing.
    pub stream: String,
    /// Name of the durable consumer.
    #[serde(default = "consumer")]
    pub consumer: String,
    /// Only messages of this subject, which may have wildcards. Of a consumer that is there already, its own counts.
    #[serde(default)]
    pub subject: String,
    /// Messages hold several lines, each of which is a record.
    #[serde(default)]
    pub lines: bool,
    /// Without it, none.
    #[serde(default)]
    pub login: Option<Login>,
    /// How the broker is known, where `servers` say `tls://`.
    #[serde(default)]
    pub tls: Option<ClientTls>,
    /// What it may send.
    #[serde(default)]
    pub limits: Limits,
}

fn consumer() -> String {
    "portreeve".to_owned()
}

/// How to log in.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[schemars(rename = "NatsLogin")]
pub enum Login {
    /// The text of a credentials file (`nsc generate creds`).
    Credentials(SecretRef),
    /// A user with a password.
    Password {
        /// Who logs in.
        user: String,
        /// Where the password lies.
        password: SecretRef,
    },
    /// A token of the server's.
    Token(SecretRef),
    /// The seed of an nkey.
    Nkey(SecretRef),
}

const DOOR: &str = "nats";
const BATCH_RECORDS: usize = 2_000;
const BATCH_BYTES: usize = 1 << 20;
/// Messages that the client asks for ahead. They wait here while the disk is full, and may then come twice.
const AHEAD: usize = 500;
/// Until what was given back may be delivered: by then this connection is gone.
const GIVEN_BACK: Duration = Duration::from_secs(1);
const LINGER: Duration = Duration::from_millis(5);
/// After this long without an answer the server delivers a message again.
const ACK_WAIT: Duration = Duration::from_secs(60);
/// So often the server is told that messages are still worked on.
const STILL: Duration = Duration::from_secs(15);
const EXPIRES: Duration = Duration::from_secs(30);
/// Until it is clear that no server answers.
const CONNECT: Duration = Duration::from_secs(10);

/// Consumes until the shutdown.
pub async fn run(options: Options, context: DoorContext) -> Result<(), DoorError> {
    if options.servers.is_empty() {
        return Err(DoorError::config(DOOR, "`servers` names no server"));
    }
    let admitted =
        Admitted { origin: Origin::new(&options.source), limits: Arc::new(options.limits.clone()) };
    let source = Source::new(&context, DOOR, admitted);
    let mut backoff = Backoff::new();
    let mut began = false;
    while !context.shutdown.is_cancelled() {
        let opened = tokio::select! {
            () = context.shutdown.cancelled() => break,
            opened = open(&options) => opened,
        };
        let trouble = match opened {
            Ok((client, messages)) => {
                began = true;
                source.counts.says(None);
                backoff = Backoff::new();
                let why = consume(&options, &context, &source, messages).await;
                timeout(CONNECT, client.flush()).await.ok();
                why
            }
            Err(DoorError::Peer { why, .. }) => why,
            // A secret that is being written anew passes; one that never was there does not.
            Err(wrong) if !began => return Err(wrong),
            Err(wrong) => wrong.to_string(),
        };
        if !context.shutdown.is_cancelled() {
            tracing::warn!(door = DOOR, source = options.source, %trouble, "is tried again");
            source.counts.says(Some(trouble));
            backoff.pause(&context.shutdown).await;
        }
    }
    Ok(())
}

fn peer(why: impl std::fmt::Display) -> DoorError {
    DoorError::Peer { door: DOOR, why: why.to_string() }
}

async fn open(options: &Options) -> Result<(Client, pull::Stream), DoorError> {
    let mut connect = ConnectOptions::new().name("portreeve").connection_timeout(CONNECT);
    match &options.login {
        None => {}
        Some(Login::Credentials(from)) => {
            let text = from.open(DOOR)?;
            connect = connect
                .credentials(text.expose())
                .map_err(|e| DoorError::config(DOOR, format!("the credentials cannot be read: {e}")))?;
        }
        Some(Login::Password { user, password }) => {
            let password = password.open(DOOR)?.expose().to_owned();
            connect = connect.user_and_password(user.clone(), password);
        }
        Some(Login::Token(from)) => connect = connect.token(from.open(DOOR)?.expose().to_owned()),
        Some(Login::Nkey(from)) => connect = connect.nkey(from.open(DOOR)?.expose().to_owned()),
    }
    if let Some(tls) = &options.tls {
        connect = connect.require_tls(true);
        if let Some(authorities) = &tls.authorities {
            connect = connect.add_root_certificates(authorities.clone());
        }
        if let Some(identity) = &tls.identity {
            connect = connect.add_client_certificate(identity.certificate.clone(), identity.key.clone());
        }
    }
    let client = connect.connect(&options.servers).await.map_err(peer)?;
    let jetstream = jetstream::new(client.clone());
    let stream = jetstream.get_stream(&options.stream).await.map_err(|e| {
        peer(format!("stream {}: {e}; it must be made first (nats stream add)", options.stream))
    })?;
    let config = pull::Config {
        durable_name: Some(options.consumer.clone()),
        description: Some("portreeve".to_owned()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        // What is on its way, and what the next batches are made of.
        max_ack_pending: 20_000,
        filter_subject: options.subject.clone(),
        ..pull::Config::default()
    };
    let consumer = stream
        .get_or_create_consumer(&options.consumer, config)
        .await
        .map_err(|e| peer(format!("consumer {}: {e}", options.consumer)))?;
    let messages = consumer
        .stream()
        .max_messages_per_batch(AHEAD)
        .expires(EXPIRES)
        .heartbeat(EXPIRES / 3)
        .messages()
        .await
        .map_err(peer)?;
    Ok((client, messages))
}

/// Until the service ends or the stream does; says why.
async fn consume(
    options: &Options,
    context: &DoorContext,
    source: &Source,
    mut messages: pull::Stream,
) -> String {
    let limit = source.limits.record_bytes;
    let mut window: Window<Vec<Acker>> = Window::new(context, BATCHES);
    let (mut records, mut ackers) = (Records::default(), Vec::new());
    let mut since = Instant::now();
    let mut still = interval(STILL);
    still.set_missed_tick_behavior(MissedTickBehavior::Delay);
    still.reset();
    let why = loop {
        let message = tokio::select! {
            biased;
            () = context.shutdown.cancelled() => break "the service ends".to_owned(),
            settled = window.next() => match settled {
                Settled::Stored(ackers) => {
                    for acker in ackers {
                        // Where it does not arrive the message comes again.
                        acker.ack().await.ok();
                    }
                    continue;
                }
                Settled::GivenUp(given_up) => {
                    ackers.extend(given_up);
                    break "the service ends".to_owned();
                }
            },
            _ = still.tick() => {
                for acker in window.marks().flatten().chain(&ackers) {
                    acker.ack_with(AckKind::Progress).await.ok();
                }
                continue;
            }
            () = sleep_until(since + LINGER), if !ackers.is_empty() && window.has_room() => {
                window.push(source, std::mem::take(&mut records), std::mem::take(&mut ackers));
                continue;
            }
            message = messages.next(), if window.has_room() => message,
        };
        let message = match message {
            Some(Ok(message)) => message,
            Some(Err(error)) => break format!("the consumer stopped: {error}"),
            None => break "the consumer ended".to_owned(),
        };
        if ackers.is_empty() {
            since = Instant::now();
        }
        let (message, acker) = message.split();
        let mut dead = Vec::new();
        let mut take = |record: &[u8]| match record.get(..limit) {
            Some(head) if record.len() > limit => dead.push(head.to_vec()),
            _ if record.is_empty() => {}
            _ => records.push(record),
        };
        let payload = &message.payload;
        if options.lines {
            let mut from = 0;
            for end in memchr_iter(b'\n', payload).chain([payload.len()]) {
                let line = payload.get(from..end).unwrap_or_default();
                take(line.strip_suffix(b"\r").unwrap_or(line));
                from = end + 1;
            }
        } else {
            take(payload);
        }
        for head in dead {
            source.dead(&context.intake, too_long(limit), &head).await;
        }
        ackers.push(acker);
        if records.len() >= BATCH_RECORDS || records.bytes() >= BATCH_BYTES {
            window.push(source, std::mem::take(&mut records), std::mem::take(&mut ackers));
        }
    };
    // What is not stored is given back, for another instance or the next start: also what came ahead.
    for _ in 0..2 * AHEAD {
        match timeout(LINGER, messages.next()).await {
            Ok(Some(Ok(message))) => ackers.push(message.split().1),
            _ => break,
        }
    }
    drop(messages);
    let mut stored = Vec::new();
    while !window.is_empty() {
        match window.next().await {
            Settled::Stored(some) => stored.extend(some),
            Settled::GivenUp(some) => ackers.extend(some),
        }
    }
    for acker in stored {
        acker.ack().await.ok();
    }
    for acker in ackers {
        acker.ack_with(AckKind::Nak(Some(GIVEN_BACK))).await.ok();
    }
    why
}
