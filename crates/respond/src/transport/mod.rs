//! Ways to a device: commands here, in a network namespace or over SSH; HTTP to one host; LDAP to one directory.

pub mod command;
pub mod http;
pub mod ldap;
