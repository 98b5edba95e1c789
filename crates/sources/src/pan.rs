//! Palo Alto log records as columns, whether they came as CSV, CEF or JSON.
//!
//! Read from: PAN-OS "Syslog Field Descriptions", "Strata Logging Service Schema Reference" (CEF and JSON). The column
//! numbers are those of the CSV row, from 0; records with named fields are laid out in the same columns.

use crate::decode::clock::{self, Stamp};
use crate::decode::find::find;
use crate::decode::json::Paths;
use crate::decode::kv::{cef, cef_pairs, csv_fields};
use crate::record::{Record, Shape};
use portreeve_model::EventTime;
use portreeve_model::time::Certainty;
use std::sync::LazyLock;

/// Columns kept of a row.
pub(crate) const COLUMNS: usize = 64;
/// Where records with named fields have the firewall's name: the last column but one, as in newer rows.
const NAME: usize = COLUMNS - 2;
/// Where they have the stamp of high resolution.
const PRECISE: usize = COLUMNS - 3;

/// Type of a record, `GLOBALPROTECT`, `TRAFFIC`, `SYSTEM` …; `None` where it is none of Palo Alto's.
pub(crate) fn kind<'a>(r: &Record<'a>) -> Option<&'a [u8]> {
    let name =
        |k: &'a [u8]| (k.len() > 2 && k.iter().all(|b| b.is_ascii_uppercase() || *b == b'-')).then_some(k);
    match r.shape {
        Shape::Cef => {
            if !r.body[..r.body.len().min(60)].starts_with(b"CEF:0|Palo Alto Networks|") {
                return None;
            }
            // The cloud's logs have the type in the class, the firewall's templates in the name.
            let (head, _) = cef(r.body)?;
            name(head[4]).or_else(|| name(head[5]))
        }
        Shape::Json => {
            let at = find(r.body, b"\"LogType\"")?;
            let rest = r.body[at + 9..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
            let rest = rest.strip_prefix(b"\"")?;
            let kind = name(&rest[..memchr::memchr(b'"', rest)?])?;
            find(r.body, b"\"Subtype\"").or_else(|| find(r.body, b"\"LogSubtype\"")).map(|_| kind)
        }
        _ => row_kind(r.body),
    }
}

/// Type column of a CSV row: `1,2025/10/06 06:55:36,serial,TYPE,…` or without the leading `1`.
fn row_kind(body: &[u8]) -> Option<&[u8]> {
    if !body.first().is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let mut fields = body[..body.len().min(160)].split(|b| *b == b',');
    let first = fields.next()?;
    let stamp = if first.len() > 2 { first } else { fields.next()? };
    if stamp.len() < 19 || !matches!(stamp[4], b'/' | b'-') {
        return None;
    }
    fields.next()?;
    fields.next().filter(|k| k.iter().all(|b| b.is_ascii_uppercase() || *b == b'-'))
}

/// A record in columns.
pub(crate) struct Columns<'a> {
    pub(crate) c: [&'a [u8]; COLUMNS],
    pub(crate) n: usize,
}

impl<'a> Columns<'a> {
    pub(crate) fn of(r: &Record<'a>) -> Columns<'a> {
        match r.shape {
            Shape::Cef => Self::of_cef(r.body),
            Shape::Json => Self::of_json(r.body),
            _ => Self::of_row(r.body),
        }
    }

    fn of_row(body: &'a [u8]) -> Columns<'a> {
        let mut c: [&[u8]; COLUMNS] = [b""; COLUMNS];
        let mut n = 0;
        let mut precise: &[u8] = b"";
        for field in csv_fields(body) {
            if n < COLUMNS {
                c[n] = field;
                n += 1;
            } else if field.len() >= 24 && field.get(10) == Some(&b'T') {
                precise = field;
            }
        }
        if !precise.is_empty() {
            c[PRECISE] = precise;
        }
        // Rows without the reserved first column begin with the stamp.
        if c[0].len() > 2 {
            c.rotate_right(1);
            c[0] = b"1";
            n += 1;
        }
        Columns { c, n: n.min(COLUMNS) }
    }

    fn of_cef(body: &'a [u8]) -> Columns<'a> {
        let mut c: [&[u8]; COLUMNS] = [b""; COLUMNS];
        let Some((head, extension)) = cef(body) else { return Columns { c, n: 0 } };
        let cloud = head[4].iter().all(u8::is_ascii_uppercase);
        (c[3], c[4]) = if cloud { (head[4], head[5]) } else { (head[5], head[4]) };
        for (key, value) in cef_pairs(extension) {
            let key = key.strip_prefix(b"PanOS").unwrap_or(key);
            if let Some(at) = column(c[3], key)
                && c[at].is_empty()
            {
                c[at] = value;
            }
        }
        Columns { c, n: COLUMNS }
    }

    fn of_json(body: &'a [u8]) -> Columns<'a> {
        const N: usize = NAMES.len() + 2;
        static FIELDS: LazyLock<Paths<N>> = LazyLock::new(|| {
            let mut paths = [""; N];
            for (to, (name, ..)) in paths.iter_mut().zip(NAMES) {
                *to = name;
            }
            paths[N - 2] = "LogType";
            paths[N - 1] = "Subtype";
            Paths::new(paths)
        });
        let mut c: [&[u8]; COLUMNS] = [b""; COLUMNS];
        let Ok(v) = FIELDS.pick(body) else { return Columns { c, n: 0 } };
        (c[3], c[4]) = (v[N - 2].bytes(), v[N - 1].bytes());
        for (value, (name, ..)) in v.iter().zip(NAMES) {
            if let Some(at) = column(c[3], name.as_bytes())
                && c[at].is_empty()
            {
                c[at] = value.bytes();
            }
        }
        Columns { c, n: COLUMNS }
    }

    /// The record's own time: its high-resolution stamp if there is one, else the generated time, in the file's
    /// zone where it names none.
    pub(crate) fn time(&self, r: &Record<'_>) -> Option<(EventTime, Certainty)> {
        let c = &self.c[..self.n];
        for field in c.iter().rev() {
            if field.len() >= 24
                && field.get(10) == Some(&b'T')
                && let Some((Stamp::Absolute(t), _)) = clock::iso(field)
            {
                return Some((t, Certainty::Exact));
            }
        }
        let generated = c.get(6)?;
        match clock::iso(generated).or_else(|| clock::bsd(generated))? {
            (Stamp::Absolute(t), _) => Some((t, Certainty::Exact)),
            // The cloud's CEF is in UTC and says so (`dtz=UTC`).
            (Stamp::Local(civil), _) if r.shape == Shape::Cef => {
                clock::Clock::with_offset(civil, 0).map(|t| (t, Certainty::Exact))
            }
            (Stamp::Local(civil), _) => r.clock.resolve(civil),
        }
    }

    /// The firewall's name stands near the end of newer rows.
    pub(crate) fn observer(&self) -> Option<&'a [u8]> {
        let name = *self.c.get(self.n.checked_sub(2)?)?;
        (self.n > 40 && name.len() > 2 && name.iter().any(u8::is_ascii_alphabetic) && !name.contains(&b':'))
            .then_some(name)
    }
}

/// Named fields: name, column in a GlobalProtect record, in one of traffic or threat, in one of the system, of a
/// user mapping; 0 where it has none there.
const NAMES: &[(&str, usize, usize, usize, usize)] = &[
    ("TimeGeneratedHighResolution", PRECISE, PRECISE, PRECISE, PRECISE),
    ("TimeGenerated", 6, 6, 6, 6),
    ("EventTime", 6, 6, 6, 6),
    ("start", 6, 6, 6, 6),
    ("rt", 6, 6, 6, 6),
    ("DeviceName", NAME, NAME, NAME, NAME),
    ("LogSourceName", NAME, NAME, NAME, NAME),
    ("dvchost", NAME, NAME, NAME, NAME),
    ("EventIDValue", 8, 0, 0, 0),
    ("EventName", 8, 0, 8, 0),
    ("Stage", 9, 0, 0, 0),
    ("AuthMethod", 10, 0, 0, 0),
    ("SourceUserName", 12, 12, 0, 9),
    ("SourceUser", 12, 12, 0, 9),
    ("suser", 12, 12, 0, 9),
    ("duser", 0, 0, 0, 9),
    ("User", 12, 12, 0, 9),
    ("SourceRegion", 13, 0, 0, 0),
    ("EndpointDeviceName", 14, 0, 0, 0),
    ("PublicIPv4", 15, 0, 0, 0),
    ("PublicIPv6", 16, 0, 0, 0),
    ("PrivateIPv4", 17, 0, 0, 0),
    ("PrivateIPv6", 18, 0, 0, 0),
    ("HostID", 19, 0, 0, 0),
    ("GlobalProtectClientVersion", 21, 0, 0, 0),
    ("QuarantineReason", 25, 0, 0, 0),
    ("ConnectionError", 26, 0, 0, 0),
    ("EventStatus", 28, 0, 0, 0),
    ("LoginDuration", 30, 0, 0, 0),
    ("Portal", 33, 0, 0, 0),
    ("SourceAddress", 15, 7, 0, 8),
    ("SourceIP", 15, 7, 0, 8),
    ("src", 15, 7, 0, 8),
    ("DestinationAddress", 0, 8, 0, 0),
    ("DestinationIP", 0, 8, 0, 0),
    ("dst", 0, 8, 0, 0),
    ("SourcePort", 0, 24, 0, 0),
    ("spt", 0, 24, 0, 0),
    ("DestinationPort", 0, 25, 0, 0),
    ("dpt", 0, 25, 0, 0),
    ("Action", 0, 30, 0, 0),
    ("act", 0, 30, 0, 0),
    ("EventDescription", 0, 0, 14, 0),
    ("msg", 0, 0, 14, 0),
];

fn column(kind: &[u8], name: &[u8]) -> Option<usize> {
    let (_, vpn, traffic, system, mapping) = NAMES.iter().find(|(n, ..)| n.as_bytes() == name)?;
    let at = match kind {
        b"GLOBALPROTECT" => *vpn,
        b"SYSTEM" => *system,
        b"USERID" | b"AUTH" | b"AUTHENTICATION" => *mapping,
        b"HIPMATCH" => match *traffic {
            12 => 7,
            7 => 11,
            6 | NAME | PRECISE => *traffic,
            _ => 0,
        },
        _ => *traffic,
    };
    (at != 0).then_some(at)
}
