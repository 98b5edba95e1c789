//! Connectors against real servers and against stand-ins, and the life of an action from end to end.

#[allow(dead_code, reason = "each connector uses its part")]
mod contract;
mod lab;
mod nftables;
mod stub;
