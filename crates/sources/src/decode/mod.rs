//! Files and streams to records. Knows formats of transport and framing, never a product.

pub mod clock;
mod envelope;
pub mod fetch;
pub mod find;
pub mod frame;
pub mod join;
pub mod json;
pub mod kv;
pub mod reader;
mod split;
mod syslog;
mod unpack;
mod utmp;
