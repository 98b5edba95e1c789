//! The binary as a user runs it.

mod after;
mod audit;
mod cli;
mod collect;
mod company;
mod contained;
mod declared;
mod docs;
// The firewall of the server's tests.
#[expect(dead_code, reason = "what only those ask of it")]
#[path = "../../../server/tests/it/edge.rs"]
mod edge;
mod exports;
mod hostile;
mod limits;
mod live;
mod operate;
mod order;
mod packaging;
mod respond;
mod shared;
mod tidy;
