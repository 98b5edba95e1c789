//! Where a record came from, so that every claim can be opened.

/// Points at one raw record: which input (index into the run's list of inputs), which line or record number
/// (from 1), and the byte offset in the decoded stream.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct RawRef {
    pub input: u32,
    pub line: u32,
    /// Byte offset; the upper 16 bits number the entry of an archive.
    pub offset: u64,
}

impl RawRef {
    /// Number of the entry within an archive, 0 outside of one.
    pub fn entry(self) -> u16 {
        (self.offset >> 48) as u16
    }

    pub fn byte(self) -> u64 {
        self.offset & 0xffff_ffff_ffff
    }
}
