mod follow;
mod journald;
mod lab;
mod nats;
mod s3_sqs;
mod syslog;
mod syslog_tls;
