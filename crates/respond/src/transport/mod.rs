//! Ways to a device: commands and files here, in a network namespace or over SSH; HTTP to one host; OpenVPN's
//! management interface.

pub mod command;
pub mod file;
pub mod http;
pub mod openvpn;
