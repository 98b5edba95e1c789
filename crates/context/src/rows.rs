//! CSV files with a header: columns by name, in any order, more allowed; values with their line.

use crate::error::Problem;
use portreeve_model::EventTime;
use portreeve_model::time::DAY_US;
use std::path::Path;

/// One row, asked by column name.
pub(crate) struct Row<'a> {
    pub(crate) file: &'a str,
    pub(crate) line: u64,
    header: &'a [String],
    record: &'a csv::StringRecord,
}

impl Row<'_> {
    /// The trimmed value; empty where the column or the value is missing.
    pub(crate) fn get(&self, column: &str) -> &str {
        let at = self.header.iter().position(|h| h == column);
        at.and_then(|at| self.record.get(at)).unwrap_or("").trim()
    }

    pub(crate) fn problem(&self, text: impl Into<String>) -> Problem {
        Problem { file: self.file.to_owned(), line: self.line, text: text.into() }
    }

    /// The value of a column that must not be empty.
    pub(crate) fn need(&self, column: &str) -> Result<&str, Problem> {
        match self.get(column) {
            "" => Err(self.problem(format!("`{column}` is empty; every row needs one"))),
            value => Ok(value),
        }
    }

    /// RFC 3339, or a day; `end` takes the end of the day. Empty gives the beginning or end of time.
    pub(crate) fn time(&self, column: &str, end: bool) -> Result<EventTime, Problem> {
        let value = self.get(column);
        if value.is_empty() {
            return Ok(if end { EventTime::MAX } else { EventTime::MIN });
        }
        if let Ok(stamp) = value.parse::<jiff::Timestamp>() {
            return Ok(EventTime(stamp.as_microsecond()));
        }
        if let Some(day) = self.day_of(value) {
            return Ok(if end { day.plus(DAY_US - 1) } else { day });
        }
        Err(self.problem(format!("`{column}` is no time: {value}; write 2026-11-02 or 2026-11-02T10:00:00Z")))
    }

    /// A day, as its beginning in UTC.
    pub(crate) fn day(&self, column: &str) -> Result<EventTime, Problem> {
        let value = self.need(column)?;
        self.day_of(value)
            .ok_or_else(|| self.problem(format!("`{column}` is no day: {value}; write 2026-11-02")))
    }

    fn day_of(&self, value: &str) -> Option<EventTime> {
        let date: jiff::civil::Date = value.parse().ok()?;
        let part = |n: i8| u32::try_from(n).ok();
        Some(EventTime::from_civil(
            i32::from(date.year()),
            part(date.month())?,
            part(date.day())?,
            0,
            0,
            0,
            0,
        ))
    }

    pub(crate) fn yes_no(&self, column: &str) -> Result<Option<bool>, Problem> {
        match self.get(column).to_ascii_lowercase().as_str() {
            "" => Ok(None),
            "yes" | "true" | "1" | "y" | "required" => Ok(Some(true)),
            "no" | "false" | "0" | "n" => Ok(Some(false)),
            other => Err(self.problem(format!("`{column}` is neither yes nor no: {other}"))),
        }
    }
}

/// Reads a file row by row; a missing file gives `false`. `needed` columns must stand in the header.
pub(crate) fn each(
    path: &Path,
    needed: &[&str],
    problems: &mut Vec<Problem>,
    mut take: impl FnMut(Row<'_>) -> Result<(), Problem>,
) -> bool {
    let file =
        path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned());
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return false,
        Err(error) => {
            problems.push(Problem { file, line: 0, text: error.to_string() });
            return false;
        }
    };
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
    let mut header: Vec<String> = Vec::new();
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                problems.push(Problem {
                    file: file.clone(),
                    line,
                    text: format!("{error}; is the file UTF-8 and are its quotes closed?"),
                });
                return true;
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        if header.is_empty() {
            header = record.iter().map(|h| h.trim().to_ascii_lowercase()).collect();
            let missing: Vec<&str> =
                needed.iter().copied().filter(|n| !header.iter().any(|h| h == n)).collect();
            if !missing.is_empty() {
                let text =
                    format!("the header has no column {}; it has {}", missing.join(", "), header.join(", "));
                problems.push(Problem { file, line, text });
                return true;
            }
            continue;
        }
        if record.iter().all(|f| f.trim().is_empty())
            || record.get(0).is_some_and(|f| f.trim_start().starts_with('#'))
        {
            continue;
        }
        if let Err(problem) = take(Row { file: &file, line, header: &header, record: &record }) {
            problems.push(problem);
        }
    }
    true
}
