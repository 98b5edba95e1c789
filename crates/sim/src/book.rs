//! The log files being written: rows wait here until their day is over, then go to disk in time order.
//!
//! A row may carry the incident it belongs to; the file and line it lands on are kept as evidence. Rows after the
//! day (a VPN session that ends past midnight) wait for the next one, so memory holds about a day.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::SimError;
use crate::clock::{Civil, DAY, Millis};

/// Which incident (index into the list of incidents) a row belongs to.
pub(crate) type Mark = Option<usize>;

/// How a file is delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Delivery {
    Plain,
    /// Everything in one gzipped file.
    Gzip,
    /// CloudTrail: one gzipped `{"Records": […]}` per day and region.
    CloudTrail,
}

/// One line of a log, or one record of a CloudTrail file.
struct Row {
    at: Millis,
    order: u64,
    text: String,
    mark: Mark,
}

/// Where a labelled row was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Evidence {
    pub(crate) at: Millis,
    /// Relative to the `logs` folder.
    pub(crate) file: String,
    /// Line, from one; in a CloudTrail file the record.
    pub(crate) line: usize,
    pub(crate) source: &'static str,
}

enum Sink {
    Plain(BufWriter<File>),
    Gzip(Box<GzEncoder<BufWriter<File>>>),
}

impl Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Sink::Plain(file) => file.write_all(bytes),
            Sink::Gzip(file) => file.write_all(bytes),
        }
    }
}

struct LogFile {
    source: &'static str,
    delivery: Delivery,
    rows: Vec<Row>,
    sink: Option<Sink>,
    lines: usize,
    /// Blocks that the collector delivers again: rows in a window are repeated once for each.
    repeat: Vec<(Millis, Millis)>,
    torn: bool,
    last: String,
}

/// An address a person was legitimately seen from, with the first time.
pub(crate) type Seen = BTreeMap<(usize, Ipv4Addr), Millis>;

pub(crate) struct Book {
    root: PathBuf,
    files: BTreeMap<String, LogFile>,
    order: u64,
    pub(crate) evidence: BTreeMap<usize, Vec<Evidence>>,
    pub(crate) seen: Seen,
    /// Alerts of the endpoint product: person, time.
    pub(crate) alerts: Vec<(usize, Millis)>,
    /// A device whose clock is wrong for a while: file, from, to, how far it is ahead.
    pub(crate) wrong_clock: Option<(&'static str, Millis, Millis, Millis)>,
    pub(crate) account: String,
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
}

impl Book {
    pub(crate) fn new(root: &Path, account: &str) -> Book {
        Book {
            root: root.join("logs"),
            files: BTreeMap::new(),
            order: 0,
            evidence: BTreeMap::new(),
            seen: BTreeMap::new(),
            alerts: Vec::new(),
            wrong_clock: None,
            account: account.to_owned(),
            lines: 0,
            bytes: 0,
        }
    }

    pub(crate) fn declare(&mut self, name: &str, source: &'static str, delivery: Delivery) {
        let file = LogFile {
            source,
            delivery,
            rows: Vec::new(),
            sink: None,
            lines: 0,
            repeat: Vec::new(),
            torn: false,
            last: String::new(),
        };
        self.files.insert(name.to_owned(), file);
    }

    /// Names of the declared files with their source, as the log folder has them.
    pub(crate) fn names(&self) -> Vec<(String, &'static str)> {
        self.files.iter().map(|(name, file)| (file.on_disk(name), file.source)).collect()
    }

    /// Adds a row. A file nobody declared is a mistake of the writer; the row then goes to a plain file of that name.
    pub(crate) fn put(&mut self, file: &str, at: Millis, mark: Mark, text: String) {
        if !self.files.contains_key(file) {
            self.declare(file, "unknown", Delivery::Plain);
        }
        self.order += 1;
        let row = Row { at, order: self.order, text, mark };
        if let Some(file) = self.files.get_mut(file) {
            file.rows.push(row);
        }
    }

    /// The collector delivers rows of this window twice.
    pub(crate) fn repeat(&mut self, file: &str, from: Millis, to: Millis) {
        if let Some(file) = self.files.get_mut(file) {
            file.repeat.push((from, to));
        }
    }

    /// The last line of this file is cut off, as when a file is copied while it is written.
    pub(crate) fn tear(&mut self, file: &str) {
        if let Some(file) = self.files.get_mut(file) {
            file.torn = true;
        }
    }

    /// How far the clock of the device that writes this file is ahead at an instant.
    pub(crate) fn clock_error(&self, file: &str, at: Millis) -> Millis {
        match self.wrong_clock {
            Some((wrong, from, to, ahead)) if wrong == file && from <= at && at < to => ahead,
            _ => 0,
        }
    }

    /// Writes everything before `until`.
    pub(crate) fn flush(&mut self, until: Millis) -> Result<(), SimError> {
        let Book { root, files, evidence, account, lines, bytes, .. } = self;
        for (name, file) in files.iter_mut() {
            file.rows.sort_by_key(|row| (row.at, row.order));
            let split = file.rows.partition_point(|row| row.at < until);
            if split == 0 {
                continue;
            }
            let rows: Vec<Row> = file.rows.drain(..split).collect();
            *lines += rows.len() as u64;
            *bytes += rows.iter().map(|row| row.text.len() as u64 + 1).sum::<u64>();
            if file.delivery == Delivery::CloudTrail {
                cloudtrail(root, name, account, &rows, file.source, evidence)?;
            } else {
                file.append(root, name, &rows, evidence)?;
            }
        }
        Ok(())
    }

    /// Writes what is left and closes all files.
    pub(crate) fn finish(&mut self) -> Result<(), SimError> {
        self.flush(Millis::MAX)?;
        let root = self.root.clone();
        for (name, file) in &mut self.files {
            let path = root.join(file.on_disk(name));
            if let Some(mut sink) = file.sink.take() {
                // The first half of the last line once more, without its end.
                let torn: String = file.last.chars().take(file.last.len() / 2).collect();
                let done = match &mut sink {
                    Sink::Plain(out) if file.torn => {
                        out.write_all(torn.as_bytes()).and_then(|()| out.flush())
                    }
                    Sink::Plain(out) => out.flush(),
                    Sink::Gzip(out) => out.try_finish(),
                };
                done.map_err(|cause| SimError::write(&path, cause))?;
            }
        }
        Ok(())
    }
}

impl LogFile {
    fn on_disk(&self, name: &str) -> String {
        match self.delivery {
            Delivery::Plain => name.to_owned(),
            Delivery::Gzip => format!("{name}.gz"),
            Delivery::CloudTrail => format!("{name}/**"),
        }
    }

    fn append(
        &mut self,
        root: &Path,
        name: &str,
        rows: &[Row],
        evidence: &mut BTreeMap<usize, Vec<Evidence>>,
    ) -> Result<(), SimError> {
        let path = root.join(self.on_disk(name));
        let shown = self.on_disk(name);
        if self.sink.is_none() {
            let out = create(&path)?;
            self.sink = Some(match self.delivery {
                Delivery::Gzip => Sink::Gzip(Box::new(GzEncoder::new(out, Compression::fast()))),
                _ => Sink::Plain(out),
            });
        }
        let sink = self.sink.as_mut().expect("opened above");
        let mut text = Vec::new();
        let mut again: Vec<(&str, Mark, Millis)> = Vec::new();
        for row in rows {
            self.lines += 1;
            text.extend_from_slice(row.text.as_bytes());
            text.push(b'\n');
            if let Some(incident) = row.mark {
                let spot =
                    Evidence { at: row.at, file: shown.clone(), line: self.lines, source: self.source };
                evidence.entry(incident).or_default().push(spot);
            }
            for (from, to) in &self.repeat {
                if *from <= row.at && row.at <= *to {
                    again.push((&row.text, row.mark, row.at));
                }
            }
        }
        for (line, mark, at) in again {
            self.lines += 1;
            text.extend_from_slice(line.as_bytes());
            text.push(b'\n');
            if let Some(incident) = mark {
                let spot = Evidence { at, file: shown.clone(), line: self.lines, source: self.source };
                evidence.entry(incident).or_default().push(spot);
            }
        }
        if let Some(row) = rows.last() {
            self.last.clone_from(&row.text);
        }
        sink.write(&text).map_err(|cause| SimError::write(&path, cause))
    }
}

fn create(path: &Path) -> Result<BufWriter<File>, SimError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|cause| SimError::write(folder, cause))?;
    }
    Ok(BufWriter::new(File::create(path).map_err(|cause| SimError::write(path, cause))?))
}

/// `AWSLogs/<account>/CloudTrail/<region>/<year>/<month>/<day>/<account>_CloudTrail_<region>_<stamp>_<id>.json.gz`,
/// as AWS delivers to a bucket; one file a day here instead of one every five minutes.
fn cloudtrail(
    root: &Path,
    name: &str,
    account: &str,
    rows: &[Row],
    source: &'static str,
    evidence: &mut BTreeMap<usize, Vec<Evidence>>,
) -> Result<(), SimError> {
    let mut rest = rows;
    while let Some(first) = rest.first() {
        let day = first.at.div_euclid(DAY);
        let (today, later) = rest.split_at(rest.partition_point(|row| row.at.div_euclid(DAY) == day));
        rest = later;
        let c = Civil::utc(day * DAY);
        let file = format!(
            "{name}/AWSLogs/{account}/CloudTrail/eu-central-1/{:04}/{:02}/{:02}/{account}_CloudTrail_eu-central-1_{:04}{:02}{:02}T0000Z_{:016x}.json.gz",
            c.year, c.month, c.day, c.year, c.month, c.day, day as u64
        );
        let path = root.join(&file);
        let mut out = GzEncoder::new(create(&path)?, Compression::fast());
        let mut text = String::from("{\"Records\":[");
        for (index, row) in today.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            text.push_str(&row.text);
            if let Some(incident) = row.mark {
                let spot = Evidence { at: row.at, file: file.clone(), line: index + 1, source };
                evidence.entry(incident).or_default().push(spot);
            }
        }
        text.push_str("]}");
        out.write_all(text.as_bytes())
            .and_then(|()| out.try_finish())
            .map_err(|cause| SimError::write(&path, cause))?;
    }
    Ok(())
}
