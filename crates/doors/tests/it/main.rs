mod lab;
mod syslog;
mod syslog_tls;
