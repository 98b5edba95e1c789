//! Parquet: how rows are laid out in a file, written and read.

pub(crate) mod read;
pub(crate) mod schema;
pub(crate) mod write;
