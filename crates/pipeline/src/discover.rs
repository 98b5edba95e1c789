//! Which files a hunt reads: paths as given, directories whole, in one order.

use std::path::{Path, PathBuf};

/// One file to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) path: PathBuf,
    /// As shown to people and written into evidence: the path that the user gave, and what lies below it.
    pub(crate) shown: String,
    /// Below the given directory; what `log_sources.csv` names.
    pub(crate) relative: String,
    pub(crate) bytes: u64,
    /// Standard input.
    pub(crate) stdin: bool,
}

/// Files in the order of their names; and what could not be read, with the reason.
pub(crate) fn discover(paths: &[PathBuf]) -> (Vec<Input>, Vec<String>) {
    let (mut inputs, mut problems) = (Vec::new(), Vec::new());
    for path in paths {
        if path.as_os_str() == "-" {
            inputs.push(Input {
                path: path.clone(),
                shown: "-".to_owned(),
                relative: "-".to_owned(),
                bytes: 0,
                stdin: true,
            });
            continue;
        }
        match std::fs::metadata(path) {
            Err(error) => problems.push(format!("{}: {error}", path.display())),
            Ok(meta) if meta.is_dir() => walk(path, path, &mut inputs, &mut problems),
            Ok(meta) => {
                let name = path
                    .file_name()
                    .map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned());
                inputs.push(Input {
                    path: path.clone(),
                    shown: path.display().to_string(),
                    relative: name,
                    bytes: meta.len(),
                    stdin: false,
                });
            }
        }
    }
    inputs.sort_by(|a, b| a.shown.cmp(&b.shown));
    inputs.dedup_by(|a, b| a.path == b.path);
    (inputs, problems)
}

/// Links to directories are not followed, so a loop cannot trap the walk.
fn walk(root: &Path, dir: &Path, inputs: &mut Vec<Input>, problems: &mut Vec<String>) {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => return problems.push(format!("{}: {error}", dir.display())),
    };
    for entry in entries {
        let (path, kind) = match entry.and_then(|e| Ok((e.path(), e.file_type()?))) {
            Ok(found) => found,
            Err(error) => {
                problems.push(format!("{}: {error}", dir.display()));
                continue;
            }
        };
        if kind.is_dir() {
            walk(root, &path, inputs, problems);
            continue;
        }
        match std::fs::metadata(&path) {
            Ok(meta) if meta.is_file() => {
                let relative = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
                inputs.push(Input {
                    shown: path.display().to_string(),
                    path,
                    relative,
                    bytes: meta.len(),
                    stdin: false,
                });
            }
            // Sockets, devices and links to directories are no logs.
            Ok(_) => {}
            Err(error) => problems.push(format!("{}: {error}", path.display())),
        }
    }
}
