//! Where a record came from, so that every claim can be opened.

/// Points at one raw record: which input (index into the run's list of inputs), which line or record number
/// (from 1), and the byte offset in the decoded stream.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct RawRef {
    pub input: u32,
    pub line: u32,
    pub offset: u64,
}
