//! Transports to batches of raw records, with an acknowledgement.
//!
//! A door knows a protocol and never a product: it admits who may write, cuts the protocol's envelope, and hands records
//! to the one bounded [`Intake`]. It answers its peer when the records are stored, not before; a full intake is answered
//! in the protocol's own words (503 with Retry-After, a TCP window that closes), never by dropping.

mod aws;
pub mod counters;
mod cut;
pub mod declaration;
pub mod door;
pub mod follow;
pub mod gate;
pub mod intake;
pub mod journald;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod nats;
mod out;
mod pace;
pub mod pull;
pub mod s3_sqs;
pub mod secret;
mod state;
pub mod syslog;
pub mod tls;
mod window;

pub use counters::{Counters, DoorCounts};
pub use declaration::Declaration;
pub use door::{DoorContext, DoorError};
pub use gate::{Admitted, Gate, Limits};
pub use intake::{
    Ack, Batch, DeadLetter, Intake, Origin, Place, Receipt, Received, Records, Refusal, WholeFile,
};
