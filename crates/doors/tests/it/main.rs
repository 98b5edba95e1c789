mod follow;
mod journald;
mod lab;
mod syslog;
mod syslog_tls;
