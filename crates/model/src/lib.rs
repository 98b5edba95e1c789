//! The nouns of Portreeve and their arithmetic.
//!
//! Absent from this crate: I/O, clocks, threads, and any wire format. A field renamed here must not change a
//! file that a user has; what leaves the program has structs of its own in `report`.

pub mod action;
pub mod answer;
pub mod case;
pub mod event;
pub mod facts;
pub mod intern;
mod mac;
pub mod mfa_audit;
pub mod net;
pub mod place;
pub mod record;
pub mod signal;
pub mod time;
pub mod untrusted;
mod words;

pub use event::{Act, Event, Mfa, Outcome};
pub use intern::{Interner, Sym, SymbolTable};
pub use net::Ip;
pub use record::RawRef;
pub use time::EventTime;
