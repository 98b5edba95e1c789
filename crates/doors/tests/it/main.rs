//! The doors, asked by real peers and by hostile ones.

mod lab;
mod syslog;
mod syslog_tls;
