//! Small files that say how far a door has read: written whole, or not at all.

use crate::door::DoorError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// The file of one door's state. `name` may be anything that the configuration says.
pub(crate) fn path(state_dir: &Path, door: &str, name: &str) -> PathBuf {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let readable: String = name.chars().map(plain).take(60).collect();
    // Two names may look alike once they are plain.
    let sum = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, b| (sum ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    state_dir.join(format!("{door}-{readable}-{sum:016x}.json"))
}

/// `None` where there is none yet. A damaged file is an error: to begin anew in silence could skip a month, or read one
/// twice.
pub(crate) fn load<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, DoorError> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|e| DoorError::file(path, format!("{e}; remove the file to let the door begin anew"))),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(DoorError::file(path, e)),
    }
}

pub(crate) fn save<T: Serialize>(path: &Path, state: &T) -> Result<(), DoorError> {
    let wrong = |e: std::io::Error| DoorError::file(path, format!("cannot be written: {e}"));
    let bytes = serde_json::to_vec(state).map_err(|e| DoorError::file(path, e))?;
    let dir = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir).map_err(wrong)?;
    let next = path.with_extension("next");
    let mut file = File::create(&next).map_err(wrong)?;
    file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(wrong)?;
    fs::rename(&next, path).map_err(wrong)?;
    // The new name is only on disk once its directory is.
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_whole_and_told_apart() {
        let dir = tempfile::tempdir().expect("a directory");
        let one = path(dir.path(), "follow", "/var/log/*.log");
        assert_ne!(one, path(dir.path(), "follow", "/var/log/?.log"));
        assert_eq!(one.parent(), Some(dir.path()));
        assert_eq!(load::<Vec<u64>>(&one).expect("none yet"), None);
        save(&one, &vec![1u64, 2]).expect("written");
        save(&one, &vec![3u64]).expect("written again");
        assert_eq!(load(&one).expect("whole"), Some(vec![3u64]));
        fs::write(&one, b"[3").expect("damaged");
        assert!(load::<Vec<u64>>(&one).expect_err("damaged").to_string().contains("remove the file"));
    }
}
