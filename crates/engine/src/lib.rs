//! Events to sessions, baselines, signals and cases.
//!
//! Absent from this crate: I/O, clocks, randomness, and any order that depends on a hash map or a thread. Its
//! inputs are events in total order, a context that always answers the same, detections and scoring. The core
//! cannot fail: odd input is an event with gaps, and gaps become `unknown (needs X)`.

pub mod baseline;
mod clocks;
pub mod correlate;
pub mod detect;
mod engine;
pub mod fold;
mod memo;
pub mod score;
pub mod session;
pub mod trail;

pub use engine::Engine;
