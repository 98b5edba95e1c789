//! Connectors against real servers and against stand-ins, and the life of an action from end to end.

mod crowdsec;
mod edl;
mod lab;
mod nftables;
mod openc2;
mod radius_dae;
mod stub;
