//! Records that were received, durable and searchable: a journal, and Parquet.
//!
//! ```text
//! received ─▶ Journal::append, sync ─▶ acknowledged
//!                    │ read_from
//!                    ▼
//!            events ─▶ Lake::push ─▶ searchable ─▶ Lake::flush ─▶ Parquet ─▶ Journal::release
//! ```

pub mod block;
pub mod columns;
mod compact;
pub mod csv;
mod fault;
pub mod journal;
mod lake;
mod lock;
pub mod manifest;
pub mod object;
mod parquet;
mod pin;
mod retention;
pub mod search;
#[cfg(feature = "sql")]
pub mod sql;

pub use block::{Block, Recorded, account_key};
pub use columns::{Col, Field, Row};
pub use compact::Compacted;
pub use fault::{Fault, Result};
pub use journal::{Journal, JournalBatch, JournalOptions, Place};
pub use lake::{Lake, LakeOptions, View};
pub use manifest::Hold;
pub use pin::{Pinned, pin};
pub use retention::Retained;
pub use search::{Cursor, Evidence, Page, Query};
