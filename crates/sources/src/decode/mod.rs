//! Files and streams to records. Knows formats of transport and framing, never a product.

mod base64;
mod block;
pub mod clock;
mod envelope;
pub mod fetch;
pub mod find;
pub mod frame;
pub mod join;
pub mod json;
pub mod kv;
mod package;
pub mod reader;
mod rebuild;
mod split;
mod syslog;
mod table;
mod unpack;
mod utmp;
mod wrapped;
