//! Objects that are put into S3 buckets, told of by a queue of SQS: CloudTrail, flow logs, load balancers, and whatever else
//! writes there.
//!
//! A message is deleted once all that it names is stored. While it is worked on, it is kept from others by extending the
//! time for which it is invisible. What cannot be read after several tries, or is damaged, becomes a dead letter.

mod notice;
mod object;

pub use crate::aws::KeyOptions;
pub use object::Format;

use crate::aws::{Aws, Failed, Object, Queue, is_bucket};
use crate::cut::Piece;
use crate::declaration::Declaration;
use crate::door::{Backoff, DoorContext, DoorError, Source};
use crate::gate::{Admitted, Limits};
use crate::intake::{Origin, Records};
use crate::out::told;
use crate::s3_sqs::notice::{Named, objects};
use crate::s3_sqs::object::{Content, Useless};
use crate::syslog::too_long;
use crate::tls::ClientTls;
use crate::window::{BATCHES, Settled, Window};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

pub static DECLARATION: Declaration = Declaration {
    name: "s3_sqs",
    title: "Amazon S3, notified by SQS",
    peers: "CloudTrail, VPC flow logs, load balancers, GuardDuty exports, and whatever puts objects into a bucket",
    point_at_it: "the bucket's event notifications (s3:ObjectCreated:*) to the queue, directly, by SNS or by EventBridge",
    tested: "moto, an independent stand-in for S3, SQS, SNS and EventBridge; never AWS itself",
    record: "one line of the object, or one element of its list `Records`",
    source: "Amazon S3 User Guide, Event notification content structure; SQS API reference",
};

/// Which queue.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "S3SqsOptions")]
pub struct Options {
    /// The source that its records are said to come from.
    pub source: String,
    /// `https://sqs.eu-central-1.amazonaws.com/123456789012/logs`
    pub queue_url: String,
    /// Of the queue, where its URL does not tell; and of buckets, where a message does not.
    #[serde(default)]
    pub region: Option<String>,
    /// Buckets that are read from; all, where none is named. Who may write to the queue decides otherwise what is read.
    #[serde(default)]
    pub buckets: Vec<String>,
    /// Without these: the environment, a web identity, the container or the instance.
    #[serde(default)]
    pub keys: Option<KeyOptions>,
    /// In place of S3's own hosts: `https://minio.example:9000`.
    #[serde(default)]
    pub s3_endpoint: Option<String>,
    /// How the queue and the store are known.
    #[serde(default)]
    pub tls: Option<ClientTls>,
    /// How an object's content is cut.
    #[serde(default)]
    pub format: Format,
    /// Seconds for which a message is invisible to others at a time; extended while it is worked on.
    #[serde(default = "visibility")]
    pub visibility_s: u32,
    /// Deliveries after which a message becomes a dead letter.
    #[serde(default = "receives")]
    pub receives: u32,
    /// What it may send.
    #[serde(default)]
    pub limits: Limits,
}

fn visibility() -> u32 {
    120
}

fn receives() -> u32 {
    5
}

const DOOR: &str = "s3_sqs";
/// Messages that are worked on at one time.
const MESSAGES: usize = 4;
const BATCH_RECORDS: usize = 2_000;
const BATCH_BYTES: usize = 1 << 20;

/// Reads until the shutdown.
pub async fn run(options: Options, context: DoorContext) -> Result<(), DoorError> {
    let queue = Queue::new(&options.queue_url, options.region.as_deref()).ok_or_else(|| {
        DoorError::config(
            DOOR,
            format!("queue_url `{}`: no region can be read from it; set `region`", options.queue_url),
        )
    })?;
    if let Some(bad) = options.buckets.iter().find(|b| !is_bucket(b)) {
        return Err(DoorError::config(DOOR, format!("`{bad}` is no name of a bucket")));
    }
    let admitted =
        Admitted { origin: Origin::new(&options.source), limits: Arc::new(options.limits.clone()) };
    let source = Source::new(&context, DOOR, admitted);
    let aws = Aws::open(DOOR, options.keys.clone(), options.tls.as_ref())?;
    let door = Arc::new(Door { options, queue, aws, source, context });
    let shutdown = door.context.shutdown.clone();
    let mut work = JoinSet::new();
    let mut backoff = Backoff::new();
    while !shutdown.is_cancelled() {
        while work.try_join_next().is_some() {}
        while work.len() >= MESSAGES {
            work.join_next().await;
        }
        let free = MESSAGES - work.len();
        // Not ended early for anything else: what the answer holds is invisible to everybody from then on.
        let received = tokio::select! {
            () = shutdown.cancelled() => break,
            received = door.receive(free) => received,
        };
        match received {
            Ok(messages) => {
                door.source.counts.says(None);
                backoff = Backoff::new();
                for message in messages {
                    let door = door.clone();
                    work.spawn(async move { door.work(message).await });
                }
            }
            Err(failed) => {
                let trouble = format!("the queue cannot be read: {failed}");
                tracing::warn!(door = DOOR, %trouble, "is tried again");
                door.source.counts.says(Some(trouble));
                backoff.pause(&shutdown).await;
            }
        }
    }
    while work.join_next().await.is_some() {}
    Ok(())
}

struct Door {
    options: Options,
    queue: Queue,
    aws: Aws,
    source: Source,
    context: DoorContext,
}

#[derive(Deserialize)]
struct Received {
    #[serde(rename = "Messages", default)]
    messages: Vec<Message>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Message {
    receipt_handle: String,
    body: String,
    #[serde(default)]
    attributes: Attributes,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Attributes {
    #[serde(rename = "ApproximateReceiveCount")]
    receives: String,
}

/// Why a message is not done.
enum Stopped {
    /// To be tried again.
    Failed(String),
    /// Never to be done.
    Useless(String),
    /// The service ends.
    Ending,
}

impl Door {
    async fn receive(&self, most: usize) -> Result<Vec<Message>, Failed> {
        let body = json!({
            "QueueUrl": self.queue.url,
            "MaxNumberOfMessages": most.clamp(1, 10),
            "WaitTimeSeconds": 20,
            "VisibilityTimeout": self.options.visibility_s,
            // The older name; servers that know only the newer one take both.
            "AttributeNames": ["ApproximateReceiveCount"],
        });
        let answer = self.aws.sqs(&self.queue, "ReceiveMessage", &body.to_string()).await?;
        let received: Received = serde_json::from_slice(&answer)
            .map_err(|e| Failed::Lost(format!("the answer is not one of SQS: {e}")))?;
        Ok(received.messages)
    }

    async fn work(&self, message: Message) {
        let before: u32 = message.attributes.receives.parse().unwrap_or(1);
        let stopped = match objects(&message.body) {
            Ok(named) => self.read_all(&message, &named).await.err(),
            Err(odd) => Some(Stopped::Useless(odd.to_string())),
        };
        let dead = match stopped {
            None => None,
            Some(Stopped::Useless(why)) => Some(why),
            Some(Stopped::Failed(why)) if before >= self.options.receives => {
                Some(format!("given up after {before} tries: {why}"))
            }
            Some(Stopped::Failed(why)) => {
                tracing::warn!(door = DOOR, tries = before, %why, "a message is tried again");
                self.source.counts.says(Some(why));
                // The longer it fails, the longer it rests.
                return self.visible_in(&message, 10 * before.min(60)).await;
            }
            Some(Stopped::Ending) => return self.visible_in(&message, 0).await,
        };
        if let Some(why) = dead {
            self.source.dead(&self.context.intake, why, message.body.as_bytes()).await;
        }
        self.delete(&message).await;
    }

    async fn visible_in(&self, message: &Message, seconds: u32) {
        let body = json!({
            "QueueUrl": self.queue.url, "ReceiptHandle": message.receipt_handle, "VisibilityTimeout": seconds,
        });
        // Where it fails, the message comes again when its time is over.
        if let Err(failed) = self.aws.sqs(&self.queue, "ChangeMessageVisibility", &body.to_string()).await {
            tracing::debug!(door = DOOR, %failed, "visibility not changed");
        }
    }

    async fn delete(&self, message: &Message) {
        let body = json!({ "QueueUrl": self.queue.url, "ReceiptHandle": message.receipt_handle }).to_string();
        let mut backoff = Backoff::new();
        for _ in 0..3 {
            match self.aws.sqs(&self.queue, "DeleteMessage", &body).await {
                Ok(_) => return,
                Err(failed) => {
                    tracing::warn!(door = DOOR, %failed, "a message is not deleted, and may come again")
                }
            }
            backoff.pause(&self.context.shutdown).await;
        }
    }

    async fn read_all(&self, message: &Message, named: &[Named]) -> Result<(), Stopped> {
        for named in named {
            let allowed = self.options.buckets.is_empty() || self.options.buckets.contains(&named.bucket);
            if !allowed {
                let why = format!("names bucket {}, which is not one of `buckets`", named.bucket);
                return Err(Stopped::Useless(why));
            }
            self.read(message, named).await?;
        }
        Ok(())
    }

    async fn read(&self, message: &Message, named: &Named) -> Result<(), Stopped> {
        let at = format!("s3://{}/{}", named.bucket, named.key);
        let object = Object {
            endpoint: self.options.s3_endpoint.as_deref(),
            region: named.region.as_deref().unwrap_or(&self.queue.region),
            bucket: &named.bucket,
            key: &named.key,
            version: named.version.as_deref(),
        };
        let failed = |failed: Failed| match failed.is_gone() {
            // Also what was deleted meanwhile; a right to list would tell, and is not asked for.
            true => Stopped::Failed(format!("{at} is not there: {failed}")),
            false => Stopped::Failed(format!("{at}: {failed}")),
        };
        let mut response = self.aws.object(&object).await.map_err(failed)?;
        let limits = &self.source.limits;
        let mut content = Content::new(self.options.format, limits.record_bytes, limits.unpacked_bytes);
        let mut window: Window<()> = Window::new(&self.context, BATCHES);
        let (mut records, mut long) = (Records::default(), Vec::new());
        let mut still = interval(Duration::from_secs(u64::from(self.options.visibility_s.max(3)) / 3));
        still.set_missed_tick_behavior(MissedTickBehavior::Delay);
        still.reset();
        let result = loop {
            let chunk = tokio::select! {
                biased;
                () = self.context.shutdown.cancelled() => break Err(Stopped::Ending),
                settled = window.next() => match settled {
                    Settled::Stored(()) => continue,
                    Settled::GivenUp(()) => break Err(Stopped::Ending),
                },
                _ = still.tick() => {
                    self.visible_in(message, self.options.visibility_s).await;
                    continue;
                }
                chunk = response.chunk(), if window.has_room() => chunk,
            };
            let mut each = |piece: Piece<'_>| match piece {
                Piece::Record(record) => records.push(record),
                Piece::TooLong(head) => long.push(head.to_vec()),
            };
            let useless = |useless: Useless| Stopped::Useless(format!("{at} {useless}"));
            let last = match chunk {
                Ok(Some(chunk)) => match content.feed(&chunk, &mut each) {
                    Ok(()) => None,
                    Err(fault) => Some(Err(useless(fault))),
                },
                Ok(None) => Some(
                    std::mem::replace(&mut content, Content::new(Format::Lines, 0, 0))
                        .end(&mut each)
                        .map_err(useless),
                ),
                Err(error) => Some(Err(Stopped::Failed(format!("{at}: {}", told(&error))))),
            };
            for head in long.drain(..) {
                self.source
                    .dead(&self.context.intake, format!("{at}: {}", too_long(limits.record_bytes)), &head)
                    .await;
            }
            if records.len() >= BATCH_RECORDS
                || records.bytes() >= BATCH_BYTES
                || (last.is_some() && !records.is_empty())
            {
                window.push(&self.source, std::mem::take(&mut records), ());
            }
            if let Some(result) = last {
                break result;
            }
        };
        // What is on its way decides whether it is done; the message stays ours meanwhile.
        let mut all = true;
        while !window.is_empty() {
            tokio::select! {
                settled = window.next() => all &= settled == Settled::Stored(()),
                _ = still.tick() => self.visible_in(message, self.options.visibility_s).await,
            }
        }
        if all { result } else { Err(Stopped::Ending) }
    }
}
