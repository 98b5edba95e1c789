//! Access against real peers.

mod chromium;
mod glewlwyd;
mod security_key;
mod sign_in;
