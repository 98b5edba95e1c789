//! The binary as a user runs it.

mod cli;
mod collect;
mod company;
mod docs;
mod exports;
mod hostile;
mod limits;
mod order;
mod tidy;
