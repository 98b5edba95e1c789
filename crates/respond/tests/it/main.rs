//! Connectors against real servers and against stand-ins, and the life of an action from end to end.

mod active_directory;
mod conntrack;
mod engine;
mod file;
mod lab;
mod ldap;
mod manual;
mod nftables;
mod ocserv;
mod openldap;
mod openvpn;
mod stub;
mod unix;
mod wireguard;
