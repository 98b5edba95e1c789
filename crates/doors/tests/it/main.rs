mod follow;
mod journald;
#[cfg(feature = "kafka")]
mod kafka;
mod lab;
mod nats;
mod pull;
mod s3_sqs;
mod stand_in;
mod syslog;
mod syslog_tls;
