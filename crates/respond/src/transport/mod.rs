//! Ways to a device: commands and files here, in a network namespace or over SSH; HTTP to one host; OpenVPN's
//! management interface.
//! Ways to a device: commands here, in a network namespace or over SSH; HTTP to one host; LDAP to one directory.
//! Ways to a device: commands here, in a network namespace or over SSH; HTTP to one host; signed requests to AWS.
//! Ways to a device: commands here, in a network namespace or over SSH; HTTP to one host; a server for what devices fetch.

pub mod aws;
pub mod command;
pub mod file;
pub mod http;
pub mod ldap;
pub mod openvpn;
pub mod radius;
pub mod server;
