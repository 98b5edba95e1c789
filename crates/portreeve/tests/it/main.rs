//! The binary as a user runs it.

mod after;
mod audit;
mod cli;
mod collect;
mod company;
mod contained;
mod declared;
mod docs;
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
