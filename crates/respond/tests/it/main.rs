//! Connectors against real servers and against stand-ins, and the life of an action from end to end.

mod active_directory;
mod checkpoint;
mod cisco_asa;
mod cisco_ise_anc;
mod conntrack;
mod contract;
mod edr;
mod engine;
mod f5_apm;
mod file;
mod fortigate;
mod ivanti;
mod lab;
mod ldap;
mod manual;
mod netscaler;
mod nftables;
mod ocserv;
mod openldap;
mod openvpn;
mod panos;
mod stub;
mod unix;
mod wireguard;
#[allow(dead_code, reason = "each connector uses its part")]
#[allow(dead_code, reason = "each connector uses its part")]
