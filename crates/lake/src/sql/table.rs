//! An answer to a statement, and the forms in which it leaves.

use crate::fault::{Fault, Result};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::ipc::writer::{FileWriter, StreamWriter};
use datafusion::arrow::json::LineDelimitedWriter;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::parquet::arrow::ArrowWriter;
use std::fmt::Write as _;
use std::io::Write;

pub struct Table {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    cut: bool,
}

fn failed(error: impl std::fmt::Display) -> Fault {
    Fault::Query(format!("the answer cannot be written: {error}"))
}

impl Table {
    pub(super) fn new(schema: SchemaRef, batches: Vec<RecordBatch>, most: usize) -> Table {
        let mut left = most;
        let mut kept = Vec::new();
        let mut cut = false;
        for batch in batches {
            cut |= batch.num_rows() > left;
            let n = batch.num_rows().min(left);
            left -= n;
            if n > 0 {
                kept.push(batch.slice(0, n));
            }
        }
        Table { schema, batches: kept, cut }
    }

    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// There were more rows than an answer may have.
    pub fn cut(&self) -> bool {
        self.cut
    }

    pub fn columns(&self) -> Vec<String> {
        self.schema.fields().iter().map(|f| f.name().clone()).collect()
    }

    /// Cells as text; null is empty.
    pub fn cells(&self) -> Result<Vec<Vec<String>>> {
        let options = FormatOptions::default().with_null("");
        let mut rows = Vec::with_capacity(self.rows());
        for batch in &self.batches {
            let columns: Vec<ArrayFormatter<'_>> = batch
                .columns()
                .iter()
                .map(|c| ArrayFormatter::try_new(c.as_ref(), &options))
                .collect::<std::result::Result<_, _>>()
                .map_err(failed)?;
            for row in 0..batch.num_rows() {
                let cell = |f: &ArrayFormatter<'_>| f.value(row).try_to_string();
                rows.push(columns.iter().map(cell).collect::<std::result::Result<_, _>>().map_err(failed)?);
            }
        }
        Ok(rows)
    }

    /// For a terminal: what a stranger sent cannot move the cursor or turn the direction of writing.
    pub fn text(&self) -> Result<String> {
        let names: Vec<String> = self.columns().iter().map(|n| shown(n)).collect();
        let rows: Vec<Vec<String>> =
            self.cells()?.iter().map(|row| row.iter().map(|cell| shown(cell)).collect()).collect();
        let width = |n: usize| {
            let cells = rows.iter().filter_map(|r| r.get(n));
            cells.chain([&names[n]]).map(|c| c.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..names.len()).map(width).collect();
        let mut out = String::new();
        let line: Vec<String> = widths.iter().map(|w| "-".repeat(*w)).collect();
        for row in [&names, &line].into_iter().chain(&rows) {
            let mut text = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                write!(text, "{cell:width$}  ").map_err(failed)?;
            }
            out.push_str(text.trim_end());
            out.push('\n');
        }
        Ok(out)
    }

    /// A JSON object a line; null is left out.
    pub fn json_lines(&self, to: impl Write) -> Result<()> {
        let mut writer = LineDelimitedWriter::new(to);
        for batch in &self.batches {
            writer.write(batch).map_err(failed)?;
        }
        writer.finish().map_err(failed)
    }

    /// An Arrow IPC file (Feather 2).
    pub fn arrow(&self, to: impl Write) -> Result<()> {
        let mut writer = FileWriter::try_new(to, &self.schema).map_err(failed)?;
        for batch in &self.batches {
            writer.write(batch).map_err(failed)?;
        }
        writer.finish().map_err(failed)
    }

    /// An Arrow IPC stream, as notebooks read it from a pipe.
    pub fn arrow_stream(&self, to: impl Write) -> Result<()> {
        let mut writer = StreamWriter::try_new(to, &self.schema).map_err(failed)?;
        for batch in &self.batches {
            writer.write(batch).map_err(failed)?;
        }
        writer.finish().map_err(failed)
    }

    /// RFC 4180, with a head line; null is empty, and no cell a formula ([`crate::csv`]).
    pub fn csv(&self, mut to: impl Write) -> Result<()> {
        let rows = self.cells()?;
        for row in std::iter::once(&self.columns()).chain(&rows) {
            let line: Vec<String> = row.iter().map(|cell| crate::csv::cell(cell)).collect();
            write!(to, "{}\r\n", line.join(",")).map_err(failed)?;
        }
        to.flush().map_err(failed)
    }

    pub fn parquet(&self, to: impl Write + Send) -> Result<()> {
        let mut writer = ArrowWriter::try_new(to, self.schema.clone(), None).map_err(failed)?;
        for batch in &self.batches {
            writer.write(batch).map_err(failed)?;
        }
        writer.close().map(|_| ()).map_err(failed)
    }
}

fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}');
        if c.is_control() || turns { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    out
}
