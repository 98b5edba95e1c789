//! Connectors against real servers and against stand-ins, and the life of an action from end to end.

mod checkpoint;
mod cisco_asa;
mod cisco_ise_anc;
#[allow(dead_code, reason = "each connector uses its part")]
mod contract;
mod edr;
mod f5_apm;
mod fortigate;
mod ivanti;
#[allow(dead_code, reason = "each connector uses its part")]
mod lab;
mod netscaler;
mod nftables;
mod panos;
mod stub;
