//! One process at a time: a lock on a file that ends with its holder.

use crate::fault::{Fault, Result};
use std::fs::{File, TryLockError};
use std::path::Path;

pub(crate) struct Lock(File);

impl Lock {
    /// Locks `dir/lock`, or says who is in the way.
    pub(crate) fn take(dir: &Path) -> Result<Lock> {
        let at = dir.join("lock");
        let file = File::create(&at).map_err(|e| Fault::io(&at, e))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock(file)),
            Err(TryLockError::WouldBlock) => Err(Fault::Locked(dir.to_owned())),
            Err(TryLockError::Error(e)) => Err(Fault::io(&at, e)),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a program that is being started at this moment still has a copy of the descriptor.
        self.0.unlock().ok();
    }
}
