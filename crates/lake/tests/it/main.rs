//! Tests of the lake as its users see it; processes that are killed are this program again.

mod children;
mod crash;
mod journal;
mod merging;
mod retention;
mod s3;
mod sample;
mod search;
#[cfg(feature = "sql")]
mod sql;
