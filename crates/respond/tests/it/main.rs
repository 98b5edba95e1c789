//! Connectors against real servers and against stand-ins, and the life of an action from end to end.

mod conntrack;
mod engine;
mod file;
mod lab;
mod nftables;
mod ocserv;
mod openvpn;
mod stub;
mod wireguard;
