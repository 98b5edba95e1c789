//! `portreeve backup` and `portreeve restore`: a data folder of the service, copied while it runs, and put back.

use crate::records::DataArgs;
use crate::{Failure, say, usage};
use clap::Args;
use portreeve_server::backup;
use std::path::PathBuf;

/// Copy all that the service keeps into a new folder, while it runs
///
/// Cases, people and audit, files of evidence, the master key, ledgers, records and events: all of one moment. There are keys
/// and hashes of passwords in it: keep it as you keep the service. The configuration file is not in it, nor a lake in a bucket.
#[derive(Args)]
pub(crate) struct Backup {
    /// Where to; not there yet, or empty
    #[arg(value_name = "DIR_TO")]
    to: PathBuf,
    #[command(flatten)]
    data: DataArgs,
}

/// Put a backup into a data folder that is not there yet, or empty
///
/// Every file is checked before anything is written. A backup of an older version is brought up to date.
#[derive(Args)]
pub(crate) struct Restore {
    /// The backup
    #[arg(value_name = "DIR_FROM")]
    from: PathBuf,
    #[command(flatten)]
    data: DataArgs,
}

impl Backup {
    pub(crate) fn run(self) -> Result<u8, Failure> {
        let config = self.data.config()?;
        let done = backup::backup(&config, &self.data.data, &self.to).map_err(usage)?;
        say(&format!("{}: {} files, {} bytes", self.to.display(), done.files, done.bytes))
    }
}

impl Restore {
    pub(crate) fn run(self) -> Result<u8, Failure> {
        let config = self.data.config()?;
        let done = backup::restore(&config, &self.from, &self.data.data).map_err(usage)?;
        say(&format!(
            "{}: {} files, {} bytes, as they were",
            self.data.data.display(),
            done.files,
            done.bytes
        ))
    }
}
