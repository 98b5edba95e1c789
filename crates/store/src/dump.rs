//! Everything as lines of JSON: the way from one database to the other, and a backup that any program can read.
//!
//! The first line says which schema it is of. Then, table by table, a line with its name and columns and a line per
//! row. The last line counts the rows and holds the SHA-256 of all lines before it, so that a dump that was cut or
//! changed is not restored.

use crate::db::{Database, Location, Micros, Value, WriteTx};
use crate::error::{Error, Result};
use crate::key::hex;
use crate::{backup, migrate};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;

const FORMAT: i64 = 1;
const LEVEL: i32 = 6;
/// A row with the largest document.
const LONGEST_LINE: u64 = 1 << 30;
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// How many rows.
pub(crate) fn to_file(db: &Database, to: &Path, now: Micros) -> Result<u64> {
    let mut rows = 0;
    backup::into_place(to, |half| {
        let wrong = |e| Error::File { path: half.to_owned(), source: e };
        let file = File::create(half).map_err(wrong)?;
        let mut out = zstd::Encoder::new(BufWriter::new(file), LEVEL).map_err(wrong)?;
        rows = write(db, &mut out, now)?;
        let mut file = out.finish().map_err(wrong)?;
        file.flush().map_err(wrong)
    })?;
    Ok(rows)
}

/// Not compressed, for fixtures that people read.
#[cfg(test)]
pub(crate) fn plain(db: &Database, to: &Path, now: Micros) -> Result<u64> {
    write(db, &mut File::create(to).map_err(Error::file(to))?, now)
}

struct Lines<'a> {
    out: &'a mut dyn Write,
    hash: Sha256,
    rows: u64,
}

impl Lines<'_> {
    fn put(&mut self, line: &Json) -> Result<()> {
        let mut text = line.to_string();
        text.push('\n');
        self.hash.update(text.as_bytes());
        self.out.write_all(text.as_bytes()).map_err(Error::file("dump"))
    }
}

fn write(db: &Database, out: &mut dyn Write, now: Micros) -> Result<u64> {
    let mut lines = Lines { out, hash: Sha256::new(), rows: 0 };
    let out = &mut lines;
    db.read(move |tx| {
        // Lines that went out cannot be taken back: a second run after a broken connection would double them.
        if out.rows > 0 {
            return Err(Error::NotNow("the connection broke; make the dump anew".into()));
        }
        tx.takes_long()?;
        let schema = migrate::version(tx)?;
        out.put(&json!({
            "portreeve_dump": FORMAT, "schema": schema, "made_at": now, "program": env!("CARGO_PKG_VERSION"),
        }))?;
        for table in migrate::TABLES.iter().filter(|t| t.since <= schema) {
            let sql = format!("select * from {} order by {}", table.name, table.key);
            let columns = tx.columns(&sql)?;
            out.put(&json!({ "table": table.name, "columns": columns }))?;
            tx.each(&sql, &[], &mut |row| {
                out.rows += 1;
                out.put(&Json::Array(row.cells().map(cell).collect()))
            })?;
        }
        let sha256 = hex(&out.hash.clone().finalize());
        out.put(&json!({ "end": { "rows": out.rows, "sha256": sha256 } }))?;
        Ok(out.rows)
    })
}

fn cell(value: Value<'static>) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Int(v) => v.into(),
        Value::Text(v) => v.into_owned().into(),
        Value::Bytes(v) => json!({ "base64": STANDARD.encode(v) }),
    }
}

fn value(cell: &Json) -> Option<Value<'_>> {
    match cell {
        Json::Null => Some(Value::Null),
        Json::Number(v) => v.as_i64().map(Value::Int),
        Json::String(v) => Some(Value::Text(Cow::Borrowed(v))),
        Json::Object(o) => {
            let text = o.get("base64").filter(|_| o.len() == 1)?.as_str()?;
            STANDARD.decode(text).ok().map(|b| Value::Bytes(Cow::Owned(b)))
        }
        _ => None,
    }
}

pub(crate) fn from_file(from: &Path, into: &Location, now: Micros) -> Result<()> {
    // Read whole once before anything is written: of a damaged dump nothing is to be left.
    let mut reader = Reader::open(from)?;
    let schema = reader.header()?;
    while reader.line()?.is_some() {}
    let db = Database::connect(into)?;
    let found = db.read(migrate::version)?;
    if found > schema || !is_empty(&db, found)? {
        return Err(Error::NotNow(format!("{into} is not empty; restore into a new database")));
    }
    migrate::up_to(&db, schema, now)?;
    db.write(|tx| {
        let mut reader = Reader::open(from)?;
        reader.header()?;
        tx.takes_long()?;
        fill(tx, &mut reader, schema)
    })?;
    migrate::up_to(&db, migrate::NEWEST, now)
}

fn is_empty(db: &Database, schema: i64) -> Result<bool> {
    db.read(|tx| {
        for table in migrate::TABLES.iter().filter(|t| t.since <= schema) {
            let sql = format!("select count(*) from (select 1 from {} limit 1) some_row", table.name);
            if tx.number(&sql, &[])? > 0 {
                return Ok(false);
            }
        }
        Ok(true)
    })
}

fn fill(tx: &mut WriteTx<'_>, reader: &mut Reader, schema: i64) -> Result<()> {
    let mut insert: Option<(String, usize)> = None;
    while let Some(line) = reader.line()? {
        match &line {
            Json::Array(cells) => {
                let (sql, columns) =
                    insert.as_ref().ok_or_else(|| reader.wrong("a row before the name of its table"))?;
                let values: Option<Vec<Value<'_>>> = cells.iter().map(value).collect();
                let values = values
                    .filter(|v| v.len() == *columns)
                    .ok_or_else(|| reader.wrong("is no row of its table"))?;
                tx.execute(sql, &values)?;
            }
            _ => {
                let name = line.get("table").and_then(Json::as_str).unwrap_or_default();
                let table = migrate::TABLES
                    .iter()
                    .find(|t| t.name == name && t.since <= schema)
                    .ok_or_else(|| reader.wrong(format!("schema {schema} has no table {name:?}")))?;
                let given: Vec<&str> = line
                    .get("columns")
                    .and_then(Json::as_array)
                    .map(|c| c.iter().filter_map(Json::as_str).collect())
                    .unwrap_or_default();
                // The names that go into the statement are the database's own.
                let columns = tx.columns(&format!("select * from {}", table.name))?;
                if given != columns {
                    return Err(reader.wrong(format!("the columns of {name} are others in schema {schema}")));
                }
                let marks: Vec<String> = (1..=columns.len()).map(|n| format!("${n}")).collect();
                let sql = format!(
                    "insert into {} ({}) values ({})",
                    table.name,
                    columns.join(", "),
                    marks.join(", ")
                );
                insert = Some((sql, columns.len()));
            }
        }
    }
    Ok(())
}

/// Lines up to the last one, which is checked.
struct Reader {
    lines: Box<dyn BufRead>,
    hash: Sha256,
    line: u64,
    rows: u64,
}

impl Reader {
    fn open(path: &Path) -> Result<Reader> {
        let wrong = |e| Error::File { path: path.to_owned(), source: e };
        let mut file = BufReader::new(File::open(path).map_err(wrong)?);
        let packed = file.fill_buf().map_err(wrong)?.starts_with(&ZSTD);
        let lines: Box<dyn BufRead> = if packed {
            Box::new(BufReader::new(zstd::Decoder::with_buffer(file).map_err(wrong)?))
        } else {
            Box::new(file)
        };
        Ok(Reader { lines, hash: Sha256::new(), line: 0, rows: 0 })
    }

    fn wrong(&self, why: impl Into<String>) -> Error {
        Error::Dump { line: self.line, why: why.into() }
    }

    fn next(&mut self) -> Result<(Vec<u8>, Json)> {
        self.line += 1;
        let mut text = Vec::new();
        let read = (&mut self.lines).take(LONGEST_LINE).read_until(b'\n', &mut text);
        read.map_err(|e| self.wrong(e.to_string()))?;
        if text.pop() != Some(b'\n') {
            return Err(self.wrong("is cut off; the dump is not whole"));
        }
        let json = serde_json::from_slice(&text).map_err(|e| self.wrong(e.to_string()))?;
        text.push(b'\n');
        Ok((text, json))
    }

    /// The schema that it is of.
    fn header(&mut self) -> Result<i64> {
        let (text, json) = self.next()?;
        self.hash.update(&text);
        if json["portreeve_dump"].as_i64() != Some(FORMAT) {
            return Err(self.wrong("this is no dump of Portreeve, or of a newer one"));
        }
        match json["schema"].as_i64() {
            Some(schema) if schema > migrate::NEWEST => {
                Err(Error::TooNew { found: schema, known: migrate::NEWEST })
            }
            Some(schema) if schema > 0 => Ok(schema),
            _ => Err(self.wrong("names no schema")),
        }
    }

    /// `None` behind the last line, once that has been found to be right.
    fn line(&mut self) -> Result<Option<Json>> {
        let (text, json) = self.next()?;
        if let Some(end) = json.get("end") {
            if end["rows"].as_u64() != Some(self.rows) {
                return Err(self.wrong("counts other rows than there are"));
            }
            if end["sha256"].as_str() != Some(&hex(&self.hash.clone().finalize())) {
                return Err(self.wrong("the dump was changed or damaged"));
            }
            return Ok(None);
        }
        self.hash.update(&text);
        self.rows += u64::from(json.is_array());
        Ok(Some(json))
    }
}
