//! `manifest.json`: every file of a package, where it came from, and what is not in it.

use crate::host::Facts;
use serde::{Deserialize, Serialize};

/// What a manifest calls itself; the first words of a package.
pub const FORMAT: &str = "portreeve-package/1";

/// Times are RFC 3339 in UTC by the collector's clock, except those of files, which are the host's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub format: String,
    #[serde(flatten)]
    pub header: Header,
    pub ended: String,
    pub artifacts: Vec<ArtifactEntry>,
    pub files: Vec<FileEntry>,
}

/// What is known when a collection begins.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Header {
    pub name: String,
    pub case: Option<String>,
    /// Program and version.
    pub tool: String,
    pub started: String,
    pub host: Facts,
    /// `collection` or the kind of what was imported.
    pub kind: String,
    /// Beginning of the span that logs were asked for.
    pub since: Option<String>,
    /// The process that collected, which is among those it found.
    pub collector_process: u32,
    /// Under whom and where the collector ran.
    pub collector: Collector,
    pub secrets_masked: bool,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Collector {
    pub uid: u32,
    pub user: Option<String>,
    pub host: String,
    pub priority: Vec<String>,
}

/// What became of one artefact.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ArtifactEntry {
    pub id: String,
    pub says: String,
    pub how: String,
    pub state: State,
    /// Why it is not whole, where it is not.
    pub reason: Option<String>,
    pub files: u64,
    pub bytes: u64,
    pub started: String,
    pub ended: String,
    /// Milliseconds for which the collection stood back for the host's load.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub waited_ms: u64,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub problems: Vec<String>,
    /// Links that were met, and where they lead.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub links: Vec<LinkEntry>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Whole.
    Done,
    /// A limit cut it, or something of it could not be read.
    Partial,
    /// There is nothing of the kind on the host.
    Absent,
    /// It could not be taken.
    Failed,
    /// It was not asked for, or time or room were up before its turn.
    NotTaken,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Done => "done",
            State::Partial => "partial",
            State::Absent => "absent",
            State::Failed => "failed",
            State::NotTaken => "not taken",
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LinkEntry {
    pub path: String,
    pub leads_to: String,
}

/// One file of a package.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FileEntry {
    /// In the package.
    pub path: String,
    pub size: u64,
    pub sha256: String,
    pub artifact: String,
    #[serde(flatten)]
    pub source: Source,
    pub started: String,
    pub ended: String,
    /// Of the file on the host; of nothing where a command wrote it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mtime: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub uid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub gid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub exit: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub stderr: String,
    /// Which part is missing, where the file is not whole.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub truncated: Option<String>,
    /// Secrets that were masked in this copy.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub masked: u64,
    /// Reading changed the file's time of last access, or may have.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub access_time_touched: bool,
    /// What another tool that copied it first says about it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub copied_by: Option<String>,
}

/// Where a file's bytes came from.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Source {
    /// Words of the command.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub command: Option<Vec<String>>,
    /// Path on the host.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub origin: Option<String>,
    /// The same in hexadecimal, where it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub origin_bytes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub builtin: Option<String>,
}

impl Source {
    pub(crate) fn path(path: &[u8]) -> Source {
        let whole = std::str::from_utf8(path).is_ok();
        Source {
            origin: Some(String::from_utf8_lossy(path).into_owned()),
            origin_bytes: (!whole).then(|| crate::name::hex(path)),
            ..Source::default()
        }
    }

    pub(crate) fn builtin(what: &str) -> Source {
        Source { builtin: Some(what.to_owned()), ..Source::default() }
    }
}
