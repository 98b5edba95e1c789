//! Connectors against real servers and against stand-ins, and the life of an action from end to end.

mod aws;
mod aws_nacl;
mod aws_waf;
#[allow(dead_code, reason = "each connector uses its part")]
mod contract;
mod duo;
mod entra;
mod google_workspace;
mod kubernetes;
#[allow(dead_code, reason = "each connector uses its part")]
mod lab;
mod moto;
mod nftables;
mod okta;
mod stub;
