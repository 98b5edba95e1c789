//! The doors, asked by real peers and by hostile ones.

mod exchanges;
mod hostile_http;
mod house;
mod lumberjack;
mod shippers;
