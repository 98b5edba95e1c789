//! The doors, asked by real peers and by hostile ones.

mod follow;
mod journald;
mod lab;
mod nats;
mod s3_sqs;
mod syslog;
mod syslog_tls;
