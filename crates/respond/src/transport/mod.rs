//! Ways to a device: commands here, in a network namespace or over SSH; HTTP to one host; signed requests to AWS.

pub mod aws;
pub mod command;
pub mod http;
