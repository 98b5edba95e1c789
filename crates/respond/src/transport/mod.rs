//! Ways to a device: commands here, in a network namespace or over SSH; HTTP to one host; a server for what devices fetch.

pub mod command;
pub mod http;
pub mod radius;
pub mod server;
