//! Parquet: how rows are laid out in a file, written and read.

pub(crate) mod read;
pub(crate) mod schema;
mod text;
pub(crate) mod write;
