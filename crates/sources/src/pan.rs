//! Palo Alto log records as columns, whether they came as CSV, CEF, LEEF or JSON.
//!
//! Read from: PAN-OS "Syslog Field Descriptions", "CEF Configuration Guide"; "Strata Logging Service Log Reference". The
//! column numbers are those of the CSV row, from 0; records with named fields are laid out in the same columns. Traps:
//! the guide's GlobalProtect template has no severity in its header; PAN-OS writes a stamp of high resolution of the
//! year 1970 where it has none; times in the form of CEF are UTC, others the firewall's local ones.

use crate::decode::clock::{self, Clock, Stamp};
use crate::decode::find::find;
use crate::decode::json::{self, Paths};
use crate::decode::kv::{cef_pairs, csv_fields, leef, leef_pairs};
use crate::record::{Record, Shape};
use portreeve_model::EventTime;
use portreeve_model::time::{Certainty, DAY_US, SECOND_US};
use std::borrow::Cow;
use std::sync::LazyLock;

/// Columns kept of a row.
const COLUMNS: usize = 64;
/// When the firewall's management plane or the cloud got the record, and when it was made.
const RECEIVED: usize = 1;
const GENERATED: usize = 6;

/// Types of records, as the type column has them.
const TYPES: [&[u8]; 16] = [
    b"GLOBALPROTECT",
    b"TRAFFIC",
    b"THREAT",
    b"URL",
    b"FILE",
    b"TUNNEL",
    b"SCTP",
    b"SYSTEM",
    b"CONFIG",
    b"USERID",
    b"HIPMATCH",
    b"AUTH",
    b"AUTHENTICATION",
    b"DECRYPTION",
    b"AUDIT",
    b"CORRELATION",
];

fn known(name: &[u8]) -> Option<&'static [u8]> {
    TYPES.into_iter().find(|t| name.eq_ignore_ascii_case(t))
}

/// Type of a record, `GLOBALPROTECT`, `TRAFFIC`, `SYSTEM` …; `None` where it is none of Palo Alto's.
pub(crate) fn kind(r: &Record<'_>) -> Option<&'static [u8]> {
    match r.shape {
        Shape::Cef => {
            let (head, _) = cef_header(r.body)?;
            cef_kind(&head).map(|(kind, _)| kind)
        }
        Shape::Leef => {
            if !r.body.get(8..)?.starts_with(b"|Palo Alto Networks|") {
                return None;
            }
            let (_, separator, attributes) = leef(r.body)?;
            let named = |name: &[u8]| leef_pairs(attributes, separator).find(|(k, _)| *k == name);
            named(b"cat").and_then(|(_, v)| known(v)).or_else(|| named(b"Type").and_then(|(_, v)| known(v)))
        }
        Shape::Json => {
            let at = find(r.body, b"\"LogType\"")?;
            let rest = r.body[at + 9..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
            let rest = rest.strip_prefix(b"\"")?;
            let kind = known(&rest[..memchr::memchr(b'"', rest)?])?;
            [&b"\"Subtype\""[..], b"\"LogSubtype\"", b"\"SubType\""]
                .into_iter()
                .any(|k| find(r.body, k).is_some())
                .then_some(kind)
        }
        Shape::Text => row_kind(r.body),
        Shape::Xml => None,
    }
}

/// Type column of a CSV row: `1,2025/10/06 06:55:36,serial,TYPE,…` or without the leading `1`.
fn row_kind(body: &[u8]) -> Option<&'static [u8]> {
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
    fields.next().and_then(known)
}

/// Vendor, product, version, class and name of a CEF record of Palo Alto's, and the extension. The severity before it
/// may be missing.
fn cef_header(body: &[u8]) -> Option<([&[u8]; 5], &[u8])> {
    let mut rest = body.strip_prefix(b"CEF:")?;
    rest = &rest[memchr::memchr(b'|', rest)? + 1..];
    // Cortex XDR, by the same vendor, is another product with types of the same names.
    if !rest.starts_with(b"Palo Alto Networks|") || rest.starts_with(b"Palo Alto Networks|Cortex XDR") {
        return None;
    }
    let mut head: [&[u8]; 5] = [b""; 5];
    for field in &mut head {
        let mut end = memchr::memchr(b'|', rest)?;
        while end > 0 && rest[end - 1] == b'\\' {
            end += 1 + memchr::memchr(b'|', &rest[end + 1..])?;
        }
        (*field, rest) = (&rest[..end], &rest[end + 1..]);
    }
    if let Some(end) = memchr::memchr2(b'|', b'=', rest).filter(|n| rest[*n] == b'|') {
        rest = &rest[end + 1..];
    }
    Some((head, rest))
}

/// Type and subtype. The cloud's logs and the GlobalProtect template have the type in the class, the other templates in
/// the name.
fn cef_kind<'a>(head: &[&'a [u8]; 5]) -> Option<(&'static [u8], &'a [u8])> {
    let upper = |name: &[u8]| known(name).filter(|t| *t == name);
    match (upper(head[4]), upper(head[3])) {
        (Some(kind), _) => Some((kind, head[3])),
        (_, Some(kind)) => Some((kind, head[4])),
        _ => None,
    }
}

/// A record in columns.
pub(crate) struct Columns<'a> {
    pub(crate) c: [&'a [u8]; COLUMNS],
    pub(crate) n: usize,
    shape: Shape,
    /// The stamp of high resolution.
    precise: &'a [u8],
    /// The firewall's name, where a field is named so.
    name: &'a [u8],
    /// How early in [`Fields`] the name stood that a column was filled by.
    rank: [u8; COLUMNS],
}

impl<'a> Columns<'a> {
    pub(crate) fn of(r: &Record<'a>) -> Columns<'a> {
        let mut row = Columns {
            c: [b""; COLUMNS],
            n: 0,
            shape: r.shape,
            precise: b"",
            name: b"",
            rank: [u8::MAX; COLUMNS],
        };
        match r.shape {
            Shape::Cef => row.read_cef(r.body),
            Shape::Leef => row.read_leef(r.body),
            Shape::Json => row.read_json(r.body),
            _ => row.read_csv(r.body),
        }
        row
    }

    fn read_csv(&mut self, body: &'a [u8]) {
        for (n, field) in csv_fields(body).enumerate() {
            if let Some(to) = self.c.get_mut(n) {
                *to = field;
                self.n = n + 1;
            }
            // The last such stamp of a row is it; session and factor times stand before it.
            if n > GENERATED && field.len() >= 24 && field[10] == b'T' {
                self.precise = field;
            }
        }
        // Rows without the reserved first column begin with the stamp.
        if self.c[0].len() > 2 {
            self.c.rotate_right(1);
            self.c[0] = b"1";
            self.n = (self.n + 1).min(COLUMNS);
        }
    }

    fn read_cef(&mut self, body: &'a [u8]) {
        let Some((head, extension)) = cef_header(body) else { return };
        let Some((kind, subtype)) = cef_kind(&head) else { return };
        (self.c[3], self.c[4], self.n) = (kind, subtype, COLUMNS);
        if kind == b"CONFIG" {
            self.c[12] = subtype;
        }
        for (key, value) in cef_pairs(extension) {
            self.put(key.strip_prefix(b"PanOS").unwrap_or(key), value);
        }
    }

    fn read_leef(&mut self, body: &'a [u8]) {
        let Some((head, separator, attributes)) = leef(body) else { return };
        let pairs = || leef_pairs(attributes, separator);
        let Some(kind) = pairs().filter(|(k, _)| matches!(*k, b"cat" | b"Type")).find_map(|(_, v)| known(v))
        else {
            return;
        };
        (self.c[3], self.n) = (kind, COLUMNS);
        for (key, value) in pairs() {
            match key {
                b"Subtype" | b"SubType" => self.c[4] = value,
                // The type here, the event's name in CEF.
                b"cat" => {}
                _ => self.put(key, value),
            }
        }
        // The id of a system event stands in the header.
        if kind == b"SYSTEM" && self.c[8].is_empty() {
            self.c[8] = head[3];
        }
    }

    fn read_json(&mut self, body: &'a [u8]) {
        static PATHS: LazyLock<Paths<N>> = LazyLock::new(|| {
            let mut paths = [""; N];
            for (to, (name, _)) in paths.iter_mut().zip(FIELDS) {
                *to = name;
            }
            paths[FIELDS.len()..].copy_from_slice(&["LogType", "Subtype", "LogSubtype", "SubType"]);
            Paths::new(paths)
        });
        const N: usize = FIELDS.len() + 4;
        let Ok(v) = PATHS.pick(body) else { return };
        let (fields, rest) = v.split_at(FIELDS.len());
        let Some(kind) = known(rest[0].bytes()) else { return };
        let subtype = rest[1..].iter().map(|v| v.bytes()).find(|v| !v.is_empty());
        (self.c[3], self.c[4], self.n) = (kind, subtype.unwrap_or_default(), COLUMNS);
        for (at, value) in fields.iter().enumerate() {
            self.fill(at, value.bytes());
        }
    }

    fn put(&mut self, key: &[u8], value: &'a [u8]) {
        if let Some(at) = FIELDS.iter().position(|(name, _)| name.as_bytes() == key) {
            self.fill(at, value);
        }
    }

    /// Fills the column of the field at this place of [`FIELDS`], unless a more telling one has it.
    fn fill(&mut self, at: usize, value: &'a [u8]) {
        let column = match FIELDS[at].1 {
            To::Precise => return self.precise = value,
            To::Name => {
                if self.name.is_empty() {
                    self.name = value;
                }
                return;
            }
            To::Every(column) => column,
            To::By(columns) => match family(self.c[3]) {
                Some(f) => columns[f as usize],
                None => return,
            },
        };
        let (column, at) = (usize::from(column), u8::try_from(at).unwrap_or(u8::MAX));
        if column != 0 && !value.is_empty() && at < self.rank[column] {
            (self.c[column], self.rank[column]) = (value, at);
        }
    }

    /// A name without the escapes of its format. CEF and LEEF come with and without them, as the firewall was set up; no
    /// name has two backslashes in a row.
    pub(crate) fn plain(&self, name: &'a [u8]) -> Cow<'a, [u8]> {
        if memchr::memchr(b'\\', name).is_none() {
            return Cow::Borrowed(name);
        }
        let name = if self.shape == Shape::Json { json::unescape(name) } else { Cow::Borrowed(name) };
        if find(&name, b"\\\\").is_none() {
            return name;
        }
        let mut name = name.into_owned();
        name.dedup_by(|a, b| *a == b'\\' && *b == b'\\');
        Cow::Owned(name)
    }

    /// Who a record is about and from where, as it stands.
    pub(crate) fn who(&self) -> (&'a [u8], &'a [u8]) {
        let (user, source) = match family(self.c[3]) {
            Some(Family::Vpn) => (12, 15),
            Some(Family::Traffic) => (12, 7),
            Some(Family::Mapping) => (9, 8),
            Some(Family::Hip) => (7, 11),
            Some(Family::Config) => (10, 7),
            Some(Family::System) | None => return (b"", b""),
        };
        (self.c[user], self.c[source])
    }

    /// The record's own time: its stamp of high resolution if it has one, else when it was made, else when it was
    /// received; in the file's zone where it names none.
    pub(crate) fn time(&self, r: &Record<'_>) -> Option<(EventTime, Certainty)> {
        let read = |text: &[u8]| {
            if let Some((stamp, _)) = clock::iso(text) {
                return Some(stamp);
            }
            let (stamp, used) = clock::bsd(text)?;
            match stamp {
                Stamp::Local(civil) if matches!(text[used..].trim_ascii(), b"" | b"GMT" | b"UTC") => {
                    Some(Clock::with_offset(civil, 0).map_or(stamp, Stamp::Absolute))
                }
                _ => Some(stamp),
            }
        };
        let made = read(self.c[GENERATED]).or_else(|| read(self.c[RECEIVED]));
        // The logging service writes UTC and says so; the finer stamp adds its fraction where it means the same second.
        if let Some(Stamp::Absolute(t)) = made
            && self.shape == Shape::Json
        {
            let finer = match read(self.precise) {
                Some(Stamp::Absolute(p)) if p.0.div_euclid(SECOND_US) == t.0.div_euclid(SECOND_US) => p,
                _ => t,
            };
            return Some((finer, Certainty::Exact));
        }
        if let Some(Stamp::Absolute(t)) = read(self.precise) {
            let near = match made {
                Some(Stamp::Absolute(m)) => Some(m),
                Some(Stamp::Local(civil)) => Clock::with_offset(civil, 0),
                None => None,
            };
            // Zones lie up to 14 hours apart from UTC; farther away it is the stamp of none.
            if near.is_none_or(|m| t.0.abs_diff(m.0) < DAY_US.unsigned_abs()) {
                return Some((t, Certainty::Exact));
            }
        }
        match made? {
            Stamp::Absolute(t) => Some((t, Certainty::Exact)),
            Stamp::Local(civil) => r.clock.resolve(civil),
        }
    }

    /// The firewall's own name. GlobalProtect rows have it last but one, and only newer ones have it.
    pub(crate) fn observer(&self) -> Option<&'a [u8]> {
        if !self.name.is_empty() {
            return Some(self.name);
        }
        let column = match self.c[3] {
            _ if self.shape != Shape::Text => return None,
            b"GLOBALPROTECT" if self.n > 40 => self.n - 2,
            b"TRAFFIC" => 52,
            b"THREAT" => 59,
            b"SYSTEM" => 22,
            b"CONFIG" => 21,
            b"USERID" => 25,
            b"AUTH" | b"AUTHENTICATION" => 29,
            b"HIPMATCH" => 24,
            _ => return None,
        };
        let name = self.c[column];
        (name.len() > 2 && name.iter().any(u8::is_ascii_alphabetic) && !name.contains(&b':')).then_some(name)
    }
}

/// Types whose records have the same columns.
#[derive(Clone, Copy)]
enum Family {
    Vpn,
    Traffic,
    System,
    Mapping,
    Hip,
    Config,
}

fn family(kind: &[u8]) -> Option<Family> {
    Some(match kind {
        b"GLOBALPROTECT" => Family::Vpn,
        b"TRAFFIC" | b"THREAT" | b"URL" | b"FILE" | b"TUNNEL" | b"SCTP" | b"DECRYPTION" => Family::Traffic,
        b"SYSTEM" => Family::System,
        b"USERID" | b"AUTH" | b"AUTHENTICATION" => Family::Mapping,
        b"HIPMATCH" => Family::Hip,
        b"CONFIG" => Family::Config,
        _ => return None,
    })
}

/// Where a named field belongs.
enum To {
    Precise,
    Name,
    Every(u8),
    /// By family, in the order of [`Family`]; 0 for nowhere.
    By([u8; 6]),
}

/// Named fields of the cloud's CEF (without `PanOS`), LEEF and JSON and of the firewall's templates, most telling first.
const FIELDS: &[(&str, To)] = &[
    ("TimeGeneratedHighResolution", To::Precise),
    ("TimeGenerated", To::Every(6)),
    ("EventTime", To::Every(6)),
    ("LogTimeStamp", To::Every(6)),
    ("start", To::Every(6)),
    ("devTime", To::Every(6)),
    ("rt", To::Every(1)),
    ("TimeReceived", To::Every(1)),
    ("ReceiveTime", To::Every(1)),
    ("LogTime", To::Every(1)),
    ("DeviceName", To::Name),
    ("LogSourceName", To::Name),
    ("dvchost", To::Name),
    // Families: GlobalProtect, traffic, system, mapping, HIP, configuration.
    ("EventIDValue", To::By([8, 0, 0, 0, 0, 0])),
    ("EventID", To::By([8, 0, 0, 20, 0, 0])),
    ("EventName", To::By([8, 0, 8, 0, 0, 9])),
    ("cat", To::By([0, 32, 8, 0, 0, 0])),
    ("Stage", To::By([9, 0, 0, 0, 0, 0])),
    ("AuthMethod", To::By([10, 0, 0, 0, 0, 0])),
    ("TunnelType", To::By([11, 0, 0, 0, 0, 0])),
    ("SourceUserName", To::By([12, 12, 0, 9, 7, 0])),
    ("SourceUser", To::By([12, 12, 0, 9, 7, 0])),
    ("suser", To::By([12, 12, 0, 9, 7, 0])),
    ("usrName", To::By([12, 12, 0, 9, 7, 10])),
    ("User", To::By([12, 12, 0, 9, 7, 0])),
    ("duser", To::By([0, 0, 0, 9, 0, 10])),
    ("duser0", To::By([0, 0, 0, 0, 0, 10])),
    ("AdminUsername", To::By([0, 0, 0, 0, 0, 10])),
    ("SourceRegion", To::By([13, 0, 0, 0, 0, 0])),
    ("EndpointDeviceName", To::By([14, 0, 0, 0, 9, 0])),
    ("identHostName", To::By([14, 0, 0, 0, 9, 0])),
    ("shost", To::By([14, 0, 0, 0, 9, 7])),
    ("PublicIPv4", To::By([15, 0, 0, 0, 0, 0])),
    ("PublicIPv6", To::By([16, 0, 0, 0, 0, 0])),
    ("PrivateIPv4", To::By([17, 0, 0, 0, 0, 0])),
    ("PrivateIPv6", To::By([18, 0, 0, 0, 0, 0])),
    ("HostID", To::By([19, 0, 0, 0, 0, 0])),
    ("GlobalProtectClientVersion", To::By([21, 0, 0, 0, 0, 0])),
    ("QuarantineReason", To::By([25, 0, 0, 0, 0, 0])),
    ("ConnectionError", To::By([26, 0, 0, 0, 0, 0])),
    ("EventStatus", To::By([28, 0, 0, 0, 0, 0])),
    ("LoginDuration", To::By([30, 0, 0, 0, 0, 0])),
    ("Portal", To::By([33, 0, 0, 0, 0, 0])),
    ("SourceAddress", To::By([15, 7, 0, 8, 11, 0])),
    ("SourceIP", To::By([15, 7, 0, 8, 11, 0])),
    ("src", To::By([15, 7, 0, 8, 11, 7])),
    ("IPaddress", To::By([0, 0, 0, 0, 0, 7])),
    ("DestinationAddress", To::By([0, 8, 0, 0, 0, 0])),
    ("DestinationIP", To::By([0, 8, 0, 0, 0, 0])),
    ("dst", To::By([0, 8, 0, 0, 0, 0])),
    ("SourcePort", To::By([0, 24, 0, 0, 0, 0])),
    ("spt", To::By([0, 24, 0, 0, 0, 0])),
    ("srcPort", To::By([0, 24, 0, 0, 0, 0])),
    ("DestinationPort", To::By([0, 25, 0, 0, 0, 0])),
    ("dpt", To::By([0, 25, 0, 0, 0, 0])),
    ("dstPort", To::By([0, 25, 0, 0, 0, 0])),
    ("Action", To::By([0, 30, 0, 0, 0, 0])),
    ("action", To::By([0, 30, 0, 0, 0, 0])),
    ("act", To::By([0, 30, 8, 0, 0, 9])),
    ("AuthEvent", To::By([0, 0, 0, 20, 0, 0])),
    ("ThreatNameFirewall", To::By([0, 32, 0, 0, 0, 0])),
    ("ThreatID", To::By([0, 32, 0, 0, 0, 0])),
    ("URLCategory", To::By([0, 33, 0, 0, 0, 0])),
    ("VendorSeverity", To::By([0, 34, 0, 0, 0, 0])),
    ("Severity", To::By([0, 34, 0, 0, 0, 0])),
    ("MappingDataSource", To::By([0, 0, 0, 16, 0, 0])),
    ("ConfigPath", To::By([0, 0, 0, 0, 0, 13])),
    ("EventDescription", To::By([0, 0, 14, 0, 0, 0])),
    ("msg", To::By([0, 0, 14, 20, 0, 9])),
    ("Client", To::By([0, 0, 0, 0, 0, 11])),
    ("client", To::By([0, 0, 0, 0, 0, 11])),
    ("destinationServiceName", To::By([0, 0, 0, 0, 0, 11])),
    ("EventResult", To::By([0, 0, 0, 0, 0, 12])),
    ("Result", To::By([0, 0, 0, 0, 0, 12])),
];
