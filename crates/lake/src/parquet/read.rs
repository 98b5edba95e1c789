//! Reading of single columns for single rows: only the pages that hold them are fetched and unpacked.

use super::schema::RAW_BYTES;
use super::text::TextReader;
use crate::block::{Block, Values};
use crate::columns::{Col, Kind};
use crate::fault::{Fault, Result};
use crate::object::ReadAt;
use bytes::Bytes;
use parquet::basic::Type as Physical;
use parquet::bloom_filter::Sbbf;
use parquet::column::page::PageReader;
use parquet::column::reader::{ColumnReaderImpl, get_typed_column_reader};
use parquet::data_type::{ByteArray, DataType, FloatType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::page_index::index_reader::{decode_column_index, decode_offset_index};
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;
use std::io::Read;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// Rows of a row group, as rising ranges that do not touch.
pub(crate) type Selection = Vec<Range<usize>>;

pub(crate) fn selected(rows: &[Range<usize>]) -> usize {
    rows.iter().map(|r| r.len()).sum()
}

/// Adds a row behind the others.
pub(crate) fn add(rows: &mut Selection, row: usize) {
    match rows.last_mut() {
        Some(last) if last.end == row => last.end = row + 1,
        _ => rows.push(row..row + 1),
    }
}

/// Rows of either.
pub(crate) fn union(a: &[Range<usize>], b: &[Range<usize>]) -> Selection {
    let mut all: Selection = a.iter().chain(b).cloned().collect();
    all.sort_by_key(|r| r.start);
    let mut out = Selection::new();
    for range in all {
        match out.last_mut() {
            Some(last) if last.end >= range.start => last.end = last.end.max(range.end),
            _ => out.push(range),
        }
    }
    out
}

/// A file whose footer has been read.
pub(crate) struct OpenFile {
    path: String,
    data: Arc<dyn ReadAt>,
    meta: Arc<ParquetMetaData>,
    /// A piece of a far file that was fetched at once.
    window: Mutex<Option<(u64, Bytes)>>,
}

/// A far column chunk up to this size is fetched in one piece, and so is a row group that is read with all its columns.
const WHOLE: u64 = 16 << 20;
/// Values read at a time.
const BATCH: usize = 4_096;

impl OpenFile {
    /// Reads the footer; page indexes are read where they are needed.
    pub(crate) fn open(path: &str, data: Arc<dyn ReadAt>) -> Result<OpenFile> {
        let source = Source { data: data.clone(), window: None };
        let meta = ParquetMetaDataReader::new()
            .with_page_index_policy(PageIndexPolicy::Skip)
            .parse_and_finish(&source)
            .map_err(|e| failed(path, e))?;
        if meta.file_metadata().schema_descr().num_columns() != RAW_BYTES + 1 {
            return Err(Fault::parquet(path, "its columns are not those of this version"));
        }
        Ok(OpenFile { path: path.to_owned(), data, meta: Arc::new(meta), window: Mutex::default() })
    }

    /// With a footer that is known already.
    pub(crate) fn known(path: &str, data: Arc<dyn ReadAt>, meta: Arc<ParquetMetaData>) -> OpenFile {
        OpenFile { path: path.to_owned(), data, meta, window: Mutex::default() }
    }

    pub(crate) fn meta(&self) -> &Arc<ParquetMetaData> {
        &self.meta
    }

    pub(crate) fn groups(&self) -> usize {
        self.meta.num_row_groups()
    }

    pub(crate) fn rows(&self, group: usize) -> usize {
        usize::try_from(self.meta.row_group(group).num_rows()).unwrap_or(0)
    }

    fn chunk(&self, group: usize, col: usize) -> &ColumnChunkMetaData {
        self.meta.row_group(group).column(col)
    }

    fn failed(&self, error: ParquetError) -> Fault {
        failed(&self.path, error)
    }

    fn bytes(&self, range: Range<u64>) -> Result<Bytes> {
        self.data.read(range).map_err(|e| self.failed(ParquetError::from(e)))
    }

    /// No row of the group can have this value, by its statistics and its Bloom filter.
    pub(crate) fn excludes(&self, group: usize, col: Col, value: &[u8]) -> Result<bool> {
        let chunk = self.chunk(group, col as usize);
        if let Some(stats) = chunk.statistics() {
            let (low, high) = (stats.min_bytes_opt(), stats.max_bytes_opt());
            if self.is_empty(group, col as usize) {
                return Ok(true);
            }
            // A bound that was cut short is still a bound.
            if low.is_some_and(|low| value < low) || high.is_some_and(|high| value > high) {
                return Ok(true);
            }
        }
        if !col.has_bloom() {
            return Ok(false);
        }
        let source = Source { data: self.data.clone(), window: None };
        let filter = Sbbf::read_from_column_chunk(chunk, &source).map_err(|e| self.failed(e))?;
        Ok(filter.is_some_and(|f| !f.check(&ByteArray::from(value.to_vec()))))
    }

    /// The rows of pages that may hold a time from `from` to `until`; rows lie in the order of time.
    pub(crate) fn pages_of(&self, group: usize, from: i64, until: i64) -> Result<Range<usize>> {
        let rows = self.rows(group);
        let chunk = self.chunk(group, Col::Time as usize);
        let (Some(index), Some(pages)) = (chunk.column_index_range(), self.pages(group, Col::Time as usize)?)
        else {
            return Ok(0..rows);
        };
        let index = decode_column_index(&self.bytes(index)?, Physical::INT64).map_err(|e| self.failed(e))?;
        let ColumnIndexMetaData::INT64(index) = index else { return Ok(0..rows) };
        let mut found: Option<Range<usize>> = None;
        for (n, page) in pages.iter().enumerate() {
            let first = usize::try_from(page.first_row_index).unwrap_or(0);
            let end = pages.get(n + 1).map_or(rows, |p| usize::try_from(p.first_row_index).unwrap_or(rows));
            let low = index.min_value(n).is_none_or(|low| *low <= until);
            let high = index.max_value(n).is_none_or(|high| *high >= from);
            if low && high {
                found = Some(found.map_or(first..end, |f| f.start..end));
            }
        }
        Ok(found.unwrap_or(0..0))
    }

    fn pages(&self, group: usize, col: usize) -> Result<Option<Vec<PageLocation>>> {
        let Some(range) = self.chunk(group, col).offset_index_range() else { return Ok(None) };
        let index = decode_offset_index(&self.bytes(range)?).map_err(|e| self.failed(e))?;
        Ok(Some(index.page_locations().clone()))
    }

    fn page_reader(&self, group: usize, col: usize) -> Result<Box<dyn PageReader>> {
        let chunk = self.chunk(group, col);
        let (start, length) = chunk.byte_range();
        let window = if self.data.is_far() { self.fetched(start, start + length)? } else { None };
        let source = Arc::new(Source { data: self.data.clone(), window });
        let pages = self.pages(group, col)?;
        let reader =
            SerializedPageReader::new(source, chunk, self.rows(group), pages).map_err(|e| self.failed(e))?;
        Ok(Box::new(reader))
    }

    /// A window on a far range, unless it is too large.
    fn fetched(&self, from: u64, to: u64) -> Result<Option<(u64, Bytes)>> {
        let window = self.window.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((start, bytes)) = window
            && start <= from
            && to <= start + bytes.len() as u64
        {
            return Ok(Some((start, bytes)));
        }
        if to - from > WHOLE { Ok(None) } else { Ok(Some((from, self.bytes(from..to)?))) }
    }

    /// Before all columns of a group are read: one journey instead of one for each.
    fn prepare(&self, group: usize) -> Result<()> {
        let ranges = self.meta.row_group(group).columns().iter().map(|c| c.byte_range());
        let (from, to) =
            ranges.fold((u64::MAX, 0), |(a, b), (start, length)| (a.min(start), b.max(start + length)));
        if self.data.is_far() && from < to {
            let window = self.fetched(from, to)?;
            *self.window.lock().unwrap_or_else(PoisonError::into_inner) = window;
        }
        Ok(())
    }

    fn column<T: DataType>(&self, group: usize, col: usize) -> Result<Reader<T>> {
        let descriptor = self.meta.file_metadata().schema_descr().column(col);
        let nullable = descriptor.max_def_level() > 0;
        let pages = self.page_reader(group, col)?;
        let reader = parquet::column::reader::get_column_reader(descriptor, pages);
        Ok(Reader {
            reader: get_typed_column_reader::<T>(reader),
            nullable,
            at: 0,
            levels: Vec::new(),
            values: Vec::new(),
        })
    }

    /// Calls `see` with every selected row's text; nulls are empty.
    pub(crate) fn texts(
        &self,
        group: usize,
        col: Col,
        rows: &[Range<usize>],
        mut see: impl FnMut(usize, &[u8]),
    ) -> Result<()> {
        self.texts_at(group, col as usize, rows, &mut see)
    }

    fn text_reader(&self, group: usize, col: usize) -> Result<TextReader> {
        let nullable = self.meta.file_metadata().schema_descr().column(col).max_def_level() > 0;
        Ok(TextReader::new(self.page_reader(group, col)?, nullable))
    }

    /// Rows of the selection that have one of these texts.
    pub(crate) fn find(
        &self,
        group: usize,
        col: Col,
        rows: &[Range<usize>],
        wanted: &[Vec<u8>],
    ) -> Result<Selection> {
        self.text_reader(group, col as usize)?.find(rows, wanted).map_err(|e| self.failed(e))
    }

    /// No row of the chunk has a value.
    fn is_empty(&self, group: usize, col: usize) -> bool {
        let chunk = self.chunk(group, col);
        let nulls = chunk.statistics().and_then(|s| s.null_count_opt());
        nulls == Some(chunk.num_values().cast_unsigned())
    }

    fn texts_at(
        &self,
        group: usize,
        col: usize,
        rows: &[Range<usize>],
        see: &mut dyn FnMut(usize, &[u8]),
    ) -> Result<()> {
        self.text_reader(group, col)?.each(rows, see).map_err(|e| self.failed(e))
    }

    /// As [`OpenFile::texts`]; nulls are 0.
    pub(crate) fn ints(
        &self,
        group: usize,
        col: Col,
        rows: &[Range<usize>],
        mut see: impl FnMut(usize, i64),
    ) -> Result<()> {
        if col.kind() == Kind::Small {
            let mut reader = self.column::<Int32Type>(group, col as usize)?;
            reader
                .each(rows, |row, value| see(row, value.map_or(0, |v| i64::from(*v))))
                .map_err(|e| self.failed(e))
        } else {
            let mut reader = self.column::<Int64Type>(group, col as usize)?;
            reader.each(rows, |row, value| see(row, value.copied().unwrap_or(0))).map_err(|e| self.failed(e))
        }
    }

    fn values(&self, group: usize, col: Col, rows: &[Range<usize>]) -> Result<Values> {
        let mut values = Values::of(col.kind());
        if self.is_empty(group, col as usize) {
            values.extend_unset(selected(rows));
            return Ok(values);
        }
        match col.kind() {
            Kind::Moment | Kind::Number | Kind::Count | Kind::Small => {
                self.ints(group, col, rows, |_, v| values.push_int(v))?;
            }
            Kind::Real => {
                let mut reader = self.column::<FloatType>(group, col as usize)?;
                reader
                    .each(rows, |_, v| values.push_real(v.copied().unwrap_or(f32::NAN)))
                    .map_err(|e| self.failed(e))?;
            }
            Kind::Text => self.texts(group, col, rows, |_, v| values.push_text(v))?,
            Kind::Raw => self.raws(group, rows, |_, v| values.push_text(v))?,
        }
        Ok(values)
    }

    /// The records as they were received, whether they are text or not.
    pub(crate) fn raws(
        &self,
        group: usize,
        rows: &[Range<usize>],
        mut see: impl FnMut(usize, &[u8]),
    ) -> Result<()> {
        if self.is_empty(group, RAW_BYTES) {
            return self.texts(group, Col::Raw, rows, see);
        }
        let mut other: Vec<(usize, Vec<u8>)> = Vec::new();
        self.texts_at(group, RAW_BYTES, rows, &mut |row, v| {
            if !v.is_empty() {
                other.push((row, v.to_vec()));
            }
        })?;
        let mut other = other.into_iter().peekable();
        self.texts(group, Col::Raw, rows, |row, text| match other.next_if(|(at, _)| *at == row) {
            Some((_, bytes)) => see(row, &bytes),
            None => see(row, text),
        })
    }

    /// Whole rows.
    pub(crate) fn block(&self, group: usize, rows: &[Range<usize>]) -> Result<Block> {
        self.prepare(group)?;
        let mut block = Block::new();
        for col in Col::ALL.iter().copied() {
            block.set(col, self.values(group, col, rows)?, selected(rows));
        }
        block.measure();
        Ok(block)
    }
}

fn failed(path: &str, error: ParquetError) -> Fault {
    if let ParquetError::External(cause) = &error
        && let Some(io) = cause.downcast_ref::<std::io::Error>()
        && io.kind() == std::io::ErrorKind::NotFound
    {
        return Fault::NotFound(path.to_owned());
    }
    Fault::parquet(path, error)
}

struct Reader<T: DataType> {
    reader: ColumnReaderImpl<T>,
    nullable: bool,
    at: usize,
    levels: Vec<i16>,
    values: Vec<T::T>,
}

impl<T: DataType> Reader<T> {
    fn each(
        &mut self,
        rows: &[Range<usize>],
        mut see: impl FnMut(usize, Option<&T::T>),
    ) -> parquet::errors::Result<()> {
        for range in rows {
            if range.start > self.at {
                self.reader.skip_records(range.start - self.at)?;
                self.at = range.start;
            }
            while self.at < range.end {
                self.levels.clear();
                self.values.clear();
                let want = (range.end - self.at).min(BATCH);
                let levels = self.nullable.then_some(&mut self.levels);
                let (read, _, _) = self.reader.read_records(want, levels, None, &mut self.values)?;
                if read == 0 {
                    return Err(ParquetError::EOF(format!("the column ends before row {}", self.at)));
                }
                let mut values = self.values.iter();
                for n in 0..read {
                    let set = !self.nullable || self.levels.get(n) == Some(&1);
                    see(self.at + n, if set { values.next() } else { None });
                }
                self.at += read;
            }
        }
        Ok(())
    }
}

/// What the crate reads from.
struct Source {
    data: Arc<dyn ReadAt>,
    /// A piece that was fetched before.
    window: Option<(u64, Bytes)>,
}

impl Length for Source {
    fn len(&self) -> u64 {
        self.data.length()
    }
}

impl Source {
    fn piece(&self, start: u64, length: usize) -> std::io::Result<Bytes> {
        if let Some((from, bytes)) = &self.window
            && let Some(skip) = start.checked_sub(*from).and_then(|s| usize::try_from(s).ok())
            && skip.checked_add(length).is_some_and(|end| end <= bytes.len())
        {
            return Ok(bytes.slice(skip..skip + length));
        }
        let end = start.checked_add(length as u64).ok_or(std::io::ErrorKind::UnexpectedEof)?;
        self.data.read(start..end)
    }
}

impl ChunkReader for Source {
    type T = Stream;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Stream> {
        let source = Source { data: self.data.clone(), window: self.window.clone() };
        Ok(Stream { source, at: start, piece: Bytes::new() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        self.piece(start, length).map_err(ParquetError::from)
    }
}

/// Reads on from a place, in pieces.
struct Stream {
    source: Source,
    at: u64,
    piece: Bytes,
}

impl Read for Stream {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        if self.piece.is_empty() {
            let left = self.source.len().saturating_sub(self.at);
            let length = usize::try_from(left.min(32 << 10)).unwrap_or(0);
            if length == 0 {
                return Ok(0);
            }
            self.piece = self.source.piece(self.at, length)?;
            self.at += length as u64;
        }
        let n = out.len().min(self.piece.len());
        out[..n].copy_from_slice(&self.piece.split_to(n));
        Ok(n)
    }
}

/// All rows of a file in their order, some thousands at a time.
pub(crate) struct RowStream {
    file: OpenFile,
    group: usize,
    row: usize,
    columns: Vec<Column>,
    step: usize,
}

enum Column {
    Long(Reader<Int64Type>),
    Short(Reader<Int32Type>),
    Real(Reader<FloatType>),
    Text(TextReader),
}

impl RowStream {
    pub(crate) fn new(file: OpenFile, step: usize) -> RowStream {
        RowStream { file, group: 0, row: 0, columns: Vec::new(), step }
    }

    fn begin(&mut self) -> Result<()> {
        self.columns.clear();
        self.file.prepare(self.group)?;
        for (at, col) in Col::ALL.iter().map(|c| c.kind()).chain([Kind::Raw]).enumerate() {
            self.columns.push(match col {
                Kind::Moment | Kind::Number | Kind::Count => Column::Long(self.file.column(self.group, at)?),
                Kind::Small => Column::Short(self.file.column(self.group, at)?),
                Kind::Real => Column::Real(self.file.column(self.group, at)?),
                Kind::Text | Kind::Raw => Column::Text(self.file.text_reader(self.group, at)?),
            });
        }
        Ok(())
    }

    /// The next rows; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Block>> {
        while self.group < self.file.groups() && self.row >= self.file.rows(self.group) {
            self.group += 1;
            self.row = 0;
            self.columns.clear();
        }
        if self.group >= self.file.groups() {
            return Ok(None);
        }
        if self.columns.is_empty() {
            self.begin()?;
        }
        let range = self.row..(self.row + self.step).min(self.file.rows(self.group));
        let rows = range.len();
        let range = std::slice::from_ref(&range);
        let mut block = Block::new();
        let mut cells: Vec<Values> = Vec::with_capacity(self.columns.len());
        for column in &mut self.columns {
            let read = match column {
                Column::Long(reader) => {
                    let mut values = Vec::with_capacity(rows);
                    let read = reader.each(range, |_, v| values.push(v.copied().unwrap_or(0)));
                    cells.push(Values::Ints(values));
                    read
                }
                Column::Short(reader) => {
                    let mut values = Vec::with_capacity(rows);
                    let read = reader.each(range, |_, v| values.push(v.map_or(0, |v| i64::from(*v))));
                    cells.push(Values::Ints(values));
                    read
                }
                Column::Real(reader) => {
                    let mut values = Vec::with_capacity(rows);
                    let read = reader.each(range, |_, v| values.push(v.copied().unwrap_or(f32::NAN)));
                    cells.push(Values::Reals(values));
                    read
                }
                Column::Text(reader) => {
                    let mut values = Values::of(Kind::Text);
                    let read = reader.each(range, |_, v| values.push_text(v));
                    cells.push(values);
                    read
                }
            };
            read.map_err(|e| failed(&self.file.path, e))?;
        }
        let bytes = cells.pop().unwrap_or(Values::of(Kind::Raw));
        for (col, values) in Col::ALL.iter().zip(cells) {
            block.set(*col, if *col == Col::Raw { whole(values, &bytes, rows) } else { values }, rows);
        }
        block.measure();
        self.row = range[0].end;
        Ok(Some(block))
    }
}

/// Puts bytes that are no text back into their place.
fn whole(texts: Values, bytes: &Values, rows: usize) -> Values {
    if matches!(bytes, Values::Texts { bytes, .. } if bytes.is_empty()) {
        return texts;
    }
    let mut out = Values::of(Kind::Raw);
    for row in 0..rows {
        let other = bytes.text(row);
        out.push_text(if other.is_empty() { texts.text(row) } else { other });
    }
    out
}
