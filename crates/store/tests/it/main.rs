//! Everything the store does, against SQLite and against PostgreSQL.

mod audit;
mod backup;
mod cases;
mod casework;
mod crash;
mod lab;
mod list;
mod nodes;
mod people;
mod service;
mod suppressions;
mod tls;
