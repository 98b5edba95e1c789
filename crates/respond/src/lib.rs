//! An approved action becomes an effect, proven or undone.
//!
//! In reading order: a **value** from a log is taken as its type or refused; a **target** and an **act** make an order;
//! a **connector** reads the device; a **plan** fixes what would be sent, and its digest names it; **guards** say what
//! is never touched; an **approval** is bound to the digest; the **ledger** is written before each step; **execute**
//! sends and reads the effect by another way; what expires is taken back, what comes back is reported.

pub mod act;
pub mod approve;
pub mod automation;
pub mod config;
pub mod connector;
pub mod connectors;
pub mod encode;
pub mod execute;
pub mod fault;
pub mod feed;
pub mod guard;
pub mod held;
pub mod ledger;
pub mod openc2;
pub mod operator;
pub mod page;
pub mod plan;
pub mod secret;
pub mod target;
pub mod transport;
pub mod value;
pub mod watch;
