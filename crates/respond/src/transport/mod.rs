//! Ways to a device: commands here, in a network namespace or over SSH; HTTP to one host.

pub mod command;
pub mod http;
