//! Connectors against real servers and against stand-ins, and the life of an action from end to end.

mod active_directory;
mod aws;
mod aws_nacl;
mod aws_waf;
mod checkpoint;
mod cisco_asa;
mod cisco_ise_anc;
mod conntrack;
mod contract;
mod crowdsec;
mod duo;
mod edl;
mod edr;
mod engine;
mod entra;
mod f5_apm;
mod file;
mod fortigate;
mod google_workspace;
mod ivanti;
mod kubernetes;
mod lab;
mod ldap;
mod manual;
mod moto;
mod netscaler;
mod nftables;
mod ocserv;
mod okta;
mod openc2;
mod openldap;
mod openvpn;
mod panos;
mod radius_dae;
mod stub;
mod unix;
mod wireguard;
#[allow(dead_code, reason = "each connector uses its part")]
#[allow(dead_code, reason = "each connector uses its part")]
#[allow(dead_code, reason = "each connector uses its part")]
#[allow(dead_code, reason = "each connector uses its part")]
