//! Connectors against real servers and against stand-ins, and the life of an action from end to end.

mod cisco_asa;
#[allow(dead_code, reason = "each connector uses its part")]
mod contract;
mod f5_apm;
mod fortigate;
mod ivanti;
mod lab;
mod netscaler;
mod nftables;
mod panos;
mod stub;
