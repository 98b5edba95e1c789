//! The doors, asked by real peers and by hostile ones.

mod exchanges;
mod follow;
mod hostile_http;
mod house;
mod journald;
#[cfg(feature = "kafka")]
mod kafka;
mod lab;
mod lumberjack;
mod nats;
mod pull;
mod s3_sqs;
mod shippers;
mod stand_in;
mod syslog;
mod syslog_tls;
