//! Context: plain files to immutable tables that answer what the engine and the playbook ask.
//!
//! All files are optional; what is missing is missing coverage and no error. What is there must be right: every
//! problem of every file is reported at once, with its line and what to do.

mod doctor;
mod error;
mod geo;
mod intel;
mod log_sources;
mod network;
mod protected;
mod ranges;
mod rows;
mod tables;

pub use doctor::{Finding, Level};
pub use error::{LoadError, Problem};
pub use log_sources::{LogSource, LogSources};
pub use protected::{Protected, Standing};
pub use tables::{Options, Tables};
