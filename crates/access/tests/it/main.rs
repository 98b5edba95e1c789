//! Access against real peers.

mod glewlwyd;
mod sign_in;
