//! Cases, people, notes and decisions: SQLite, or PostgreSQL where several share them.
//!
//! A [`Store`] is opened once and cloned freely. Everything is done inside a transaction, `store.read(|tx| …)` or
//! `store.write(|tx| …)`, with the functions of the module that is called like the noun: `case::work::assign(tx, …)`.
//! What belongs together, a closed case with its audit entry and its webhook, is written in one change.
//!
//! Calls block; see [`Database`] for what that means in an asynchronous program. Times are microseconds since 1970,
//! UTC, and always the caller's: the store has no clock.

pub mod ask;
pub mod audit;
mod audit_queue;
mod backup;
pub mod case;
mod db;
mod dump;
mod error;
pub mod evidence;
#[cfg(test)]
mod fixtures;
pub mod idempotency;
mod key;
pub mod login;
mod migrate;
pub mod outbox;
pub mod people;
pub mod setting;
pub mod source;
mod store;
pub mod suppression;
pub mod token;
mod word;

pub use backup::{copy_of, copy_of_file, restore};
pub use db::{Database, Location, Micros, PostgresLocation, Tx, WriteTx};
pub use error::{Error, Result};
pub use key::hex;
pub use migrate::NEWEST as SCHEMA;
pub use store::{Health, Keep, Store, Tidied};
pub use word::{
    AskId, CaseId, DeliveryId, DocumentId, EntryId, EvidenceId, NoteId, OverrideId, PartId, PersonId,
    SnapshotId, SourceId, SuppressionId, TokenId, Word,
};
