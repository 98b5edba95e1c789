//! Rows into a Parquet file, a row group at a time.

use super::schema::{self, RAW_BYTES};
use crate::block::{Block, Values};
use crate::columns::{Col, Kind};
use crate::fault::{Fault, Result};
use bytes::Bytes;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, FloatType, Int32Type, Int64Type};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// Times and rows of a row group, as the manifest knows them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct GroupSpan {
    pub first: i64,
    pub last: i64,
    pub rows: usize,
}

/// What a finished file holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Finished {
    pub rows: usize,
    pub bytes: u64,
    pub groups: Vec<GroupSpan>,
    pub first_seq: u64,
    pub last_seq: u64,
    /// Where data end, and indexes and footer begin.
    pub tail: u64,
}

/// Takes rows in the order of their keys.
pub(crate) struct FileWriter {
    path: String,
    file: SerializedFileWriter<File>,
    group_rows: usize,
    pending: Block,
    groups: Vec<GroupSpan>,
    seqs: Option<(u64, u64)>,
}

impl FileWriter {
    pub(crate) fn create(path: &Path, group_rows: usize) -> Result<FileWriter> {
        let file = File::create(path).map_err(|e| Fault::io(path, e))?;
        let shown = path.display().to_string();
        let file =
            SerializedFileWriter::new(file, schema::schema(), Arc::new(schema::properties(group_rows)))
                .map_err(|e| Fault::parquet(&shown, e))?;
        Ok(FileWriter {
            path: shown,
            file,
            group_rows: group_rows.max(1),
            pending: Block::new(),
            groups: Vec::new(),
            seqs: None,
        })
    }

    pub(crate) fn push(&mut self, from: &Block, row: usize) -> Result<()> {
        self.pending.push_from(from, row);
        if self.pending.len() >= self.group_rows { self.flush() } else { Ok(()) }
    }

    pub(crate) fn rows(&self) -> usize {
        self.groups.iter().map(|g| g.rows).sum::<usize>() + self.pending.len()
    }

    /// Bytes written so far, without what is pending.
    pub(crate) fn bytes(&self) -> u64 {
        self.file.bytes_written() as u64
    }

    fn flush(&mut self) -> Result<()> {
        let Some((first, last)) = self.pending.span() else { return Ok(()) };
        let rows = self.pending.len();
        if let Values::Ints(seqs) = self.pending.col(Col::Seq) {
            for seq in seqs {
                let seq = seq.cast_unsigned();
                let (a, b) = self.seqs.unwrap_or((seq, seq));
                self.seqs = Some((a.min(seq), b.max(seq)));
            }
        }
        let mut group = self.file.next_row_group().map_err(|e| Fault::parquet(&self.path, e))?;
        write_group(&mut group, &mut self.pending)
            .and_then(|()| group.close().map(|_| ()))
            .map_err(|e| storage(&self.path, e))?;
        self.groups.push(GroupSpan { first: first.0, last: last.0, rows });
        self.pending.clear();
        Ok(())
    }

    /// The file is whole and on the disk when this returns.
    pub(crate) fn finish(mut self) -> Result<Finished> {
        self.flush()?;
        let (first_seq, last_seq) = self.seqs.unwrap_or((0, 0));
        let rows = self.rows();
        let chunks = self.file.flushed_row_groups().iter().flat_map(|g| g.columns());
        let tail = chunks.map(|c| c.byte_range()).map(|(from, length)| from + length).max().unwrap_or(0);
        let file = self.file.into_inner().map_err(|e| storage(&self.path, e))?;
        let synced = file.sync_all().and_then(|()| file.metadata());
        let bytes = synced.map_err(|e| Fault::io(Path::new(&self.path), e))?.len();
        Ok(Finished { rows, bytes, groups: self.groups, first_seq, last_seq, tail })
    }
}

/// The crate wraps the system's error; a full disk must stay one.
fn storage(path: &str, error: parquet::errors::ParquetError) -> Fault {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(&error);
    while let Some(e) = cause {
        if let Some(io) = e.downcast_ref::<std::io::Error>()
            && matches!(io.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
        {
            return Fault::DiskFull(path.into());
        }
        cause = e.source();
    }
    Fault::parquet(path, error)
}

type Written = parquet::errors::Result<()>;

fn write_group(group: &mut SerializedRowGroupWriter<'_, File>, block: &mut Block) -> Written {
    let rows = block.len();
    let mut other = Vec::new();
    for col in Col::ALL.iter().copied() {
        match (col.kind(), block.col_mut(col)) {
            (Kind::Moment | Kind::Number, Values::Ints(values)) => required(group, values)?,
            (Kind::Count, Values::Ints(values)) => {
                let (levels, set) = present(values, |v| *v != 0, |v| *v);
                optional::<Int64Type>(group, &levels, &set)?;
            }
            (Kind::Small, Values::Ints(values)) => {
                let (levels, set) = present(values, |v| *v != 0, |v| i32::try_from(*v).unwrap_or(i32::MAX));
                optional::<Int32Type>(group, &levels, &set)?;
            }
            (_, Values::Reals(values)) => {
                let (levels, set) = present(values, |v| !v.is_nan(), |v| *v);
                optional::<FloatType>(group, &levels, &set)?;
            }
            (kind, Values::Texts { bytes, ends }) => {
                let shared = Bytes::from(std::mem::take(bytes));
                let mut from = 0;
                let mut levels = Vec::with_capacity(rows);
                let mut set: Vec<ByteArray> = Vec::with_capacity(rows);
                for (row, end) in ends.iter().enumerate() {
                    let value = shared.slice(from..*end as usize);
                    from = *end as usize;
                    levels.push(i16::from(!value.is_empty()));
                    if value.is_empty() {
                        continue;
                    }
                    if kind == Kind::Raw && std::str::from_utf8(&value).is_err() {
                        set.push(String::from_utf8_lossy(&value).into_owned().into_bytes().into());
                        other.push((row, value));
                    } else {
                        set.push(value.into());
                    }
                }
                optional::<ByteArrayType>(group, &levels, &set)?;
            }
            (_, Values::Ints(_)) => unreachable!("a column is built by its kind"),
        }
    }
    let mut levels = vec![0i16; rows];
    let set: Vec<ByteArray> = other
        .into_iter()
        .map(|(row, value)| {
            levels[row] = 1;
            value.into()
        })
        .collect();
    debug_assert_eq!(RAW_BYTES, Col::ALL.len());
    optional::<ByteArrayType>(group, &levels, &set)
}

fn present<T, U>(values: &[T], is_set: impl Fn(&T) -> bool, to: impl Fn(&T) -> U) -> (Vec<i16>, Vec<U>) {
    let levels = values.iter().map(|v| i16::from(is_set(v))).collect();
    (levels, values.iter().filter(|v| is_set(v)).map(to).collect())
}

fn required(group: &mut SerializedRowGroupWriter<'_, File>, values: &[i64]) -> Written {
    let mut column = group.next_column()?.expect("as many columns as the schema has");
    column.typed::<Int64Type>().write_batch(values, None, None)?;
    column.close()
}

fn optional<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    levels: &[i16],
    values: &[T::T],
) -> Written {
    let mut column = group.next_column()?.expect("as many columns as the schema has");
    column.typed::<T>().write_batch(values, Some(levels), None)?;
    column.close()
}
