//! The folds: events in total order become dossiers of principals, sources and addresses.
//!
//! A dossier holds what judging needs and no more, with a stated budget per kind. Judging is a pure function of
//! the dossiers, so a late or repeated question has the same answer.

pub mod attribution;
pub mod infrastructure;
pub mod principal;
