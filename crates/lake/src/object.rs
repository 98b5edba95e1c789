//! Where files lie: a folder, or a bucket of an S3-compatible store, behind one small trait.
//!
//! Objects are written once and never changed. Whatever returns `Ok` after writing is durable.

mod local;
mod s3;
mod tail;

use crate::fault::Result;
use bytes::Bytes;
pub use local::Folder;
pub use s3::{Bucket, BucketConfig};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
pub use tail::TailCache;

pub trait Objects: Send + Sync {
    /// Moves a finished, synced file of this machine to `path`.
    fn put_file(&self, path: &str, from: &Path) -> Result<()>;

    /// Creates a small object; `false` where there already is one of this name.
    fn create(&self, path: &str, bytes: &[u8]) -> Result<bool>;

    fn get(&self, path: &str) -> Result<Bytes>;

    /// Names and sizes of all objects whose path begins with the folder `under`.
    fn list(&self, under: &str) -> Result<Vec<(String, u64)>>;

    /// Deleting what is not there is no error.
    fn delete(&self, path: &str) -> Result<()>;

    /// For reading here and there. An object that is open stays readable though it be deleted, where the store can do so.
    fn open(&self, path: &str, length: u64) -> Result<Arc<dyn ReadAt>>;
}

/// An open object.
pub trait ReadAt: Send + Sync {
    fn length(&self) -> u64;

    fn read(&self, range: Range<u64>) -> std::io::Result<Bytes>;

    /// Each read is a journey over the network: better a few large ones.
    fn is_far(&self) -> bool {
        false
    }
}
