//! Texts with a header row: each row becomes one JSON object, its keys the names of the header as written, its values
//! strings, empty ones left out. So a parser reads an export of a product, or of a SIEM, by the names of its columns.
//!
//! Read: comma, semicolon and tab separated exports (RFC 4180, quoted cells over several lines), Zeek's logs with
//! `#fields` (key `_path` names the log), extended log files of the W3C with `#Fields:` (IIS, Exchange, the Windows
//! firewall; key `_w3c` names the software), and VPC flow logs with a header. Traps: a log without header whose first
//! record looks like names; a quote that nobody closes; a header that comes again where files were put together.

mod cell;
mod header;
mod marked;

use super::split::{self, Piece, Sink};
use cell::{one_cell, open_after};
use header::{names, separators};
use std::io::{self, Read};

pub(crate) use cell::escape;
pub(crate) use header::{Verdict, recognise};

/// Columns of one table, and bytes of one name.
const COLUMNS: usize = 1_024;
const NAME: usize = 128;
/// Lines that one row may run over before its quote is taken for a stray one.
const ROW_LINES: usize = 2_000;

/// How a table is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Cells between this byte, perhaps quoted.
    Delimited(u8),
    Zeek,
    W3c,
    /// Names and values between blanks, without any mark.
    Spaced,
}

/// The header, ready to be put before values.
#[derive(Default)]
struct Columns {
    /// `"name":"` of each column.
    keys: Vec<Vec<u8>>,
    /// What follows a stamp in this column, where its name says so: `TimeGenerated [UTC]`.
    zones: Vec<Option<Vec<u8>>>,
    /// What stands in every row: `"_path":"conn"`.
    fixed: Vec<u8>,
}

impl Columns {
    fn of<'n>(names: impl Iterator<Item = &'n [u8]>) -> Columns {
        let mut columns = Columns::default();
        for name in names.take(COLUMNS) {
            let (name, zone) = zone(&name[..name.len().min(NAME)]);
            let mut key = vec![b'"'];
            escape(name, &mut key);
            key.extend_from_slice(b"\":\"");
            columns.keys.push(key);
            columns.zones.push(zone);
        }
        columns
    }

    /// Appends a value, or a part of one.
    fn value(&self, n: usize, part: &[u8], out: &mut Vec<u8>) {
        if let Some(Some(zone)) = self.zones.get(n)
            && american(part, out)
        {
            out.extend_from_slice(zone);
            return;
        }
        escape(part, out);
    }

    fn fix(&mut self, key: &[u8], value: &[u8]) {
        self.fixed.clear();
        if !value.is_empty() {
            self.fixed.push(b'"');
            escape(key, &mut self.fixed);
            self.fixed.extend_from_slice(b"\":\"");
            escape(&value[..value.len().min(NAME)], &mut self.fixed);
            self.fixed.push(b'"');
        }
    }

    fn begin(&self, out: &mut Vec<u8>) {
        out.clear();
        out.push(b'{');
        out.extend_from_slice(&self.fixed);
    }

    /// The key of a column; false where there is no such.
    fn key(&self, n: usize, out: &mut Vec<u8>) -> bool {
        let Some(key) = self.keys.get(n) else { return false };
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend_from_slice(key);
        true
    }

    fn put(&self, n: usize, value: &[u8], out: &mut Vec<u8>) {
        if !value.is_empty() && self.key(n, out) {
            self.value(n, value, out);
            out.push(b'"');
        }
    }

    /// Closes the object; false where the row said nothing.
    fn end(&self, out: &mut Vec<u8>) -> bool {
        let said = out.len() > 1 + self.fixed.len();
        out.push(b'}');
        said
    }
}

/// `TimeGenerated [UTC]` as Log Analytics names it: the name, and what its stamps lack.
fn zone(name: &[u8]) -> (&[u8], Option<Vec<u8>>) {
    let inner = || {
        let open = memchr::memchr(b'[', name)?;
        let plain = name.get(..open)?.strip_suffix(b" ")?;
        Some((plain, name.get(open + 1..)?.strip_suffix(b"]")?))
    };
    match inner() {
        Some((plain, b"UTC")) => (plain, Some(b"Z".to_vec())),
        Some((plain, zone)) if zone.starts_with(b"UTC") => {
            let offset = zone[3..].split(|b| *b == b',').next().unwrap_or_default();
            let known = super::clock::offset(offset).is_some();
            (plain, Some(if known { offset.to_vec() } else { Vec::new() }))
        }
        Some((plain, b"Local Time")) => (plain, Some(Vec::new())),
        _ => (name, None),
    }
}

/// `10/23/2026, 7:21:42.123 AM` as ISO 8601 without a zone; false where it is written otherwise.
fn american(text: &[u8], out: &mut Vec<u8>) -> bool {
    let number = |b: &[u8]| {
        (!b.is_empty() && b.len() <= 4 && b.iter().all(u8::is_ascii_digit)).then(|| super::kv::number(b))
    };
    let parts = || {
        let mut words = text.split(|b| matches!(b, b' ' | b',')).filter(|w| !w.is_empty());
        let mut date = words.next()?.split(|b| *b == b'/').map(number);
        let (month, day, year) = (date.next()??, date.next()??, date.next()??);
        let mut time = words.next()?.splitn(3, |b| *b == b':');
        let (hour, minute) = (number(time.next()?)?, number(time.next()?)?);
        let second = time.next()?;
        let hour = match words.next() {
            Some(b"AM") => hour % 12,
            Some(b"PM") => hour % 12 + 12,
            None => hour,
            Some(_) => return None,
        };
        let digits = second.iter().all(|b| b.is_ascii_digit() || *b == b'.') && second.len() <= 12;
        (digits && year > 1_000).then_some((year, month, day, hour, minute, second))
    };
    let Some((year, month, day, hour, minute, second)) = parts() else { return false };
    out.extend_from_slice(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:").as_bytes());
    if second.iter().position(|b| *b == b'.').unwrap_or(second.len()) < 2 {
        out.push(b'0');
    }
    out.extend_from_slice(second);
    true
}

/// Gives every row of a table.
pub(crate) fn read(from: impl Read, kind: Kind, limit: usize, sink: Sink<'_>) -> io::Result<()> {
    match kind {
        Kind::Delimited(by) => delimited(from, by, limit, sink),
        Kind::Zeek => marked::zeek(from, limit, sink),
        Kind::W3c | Kind::Spaced => marked::spaced(from, limit, sink),
    }
}

struct Rows {
    by: u8,
    columns: Columns,
    /// The header line as it stands, to know it again.
    header: Vec<u8>,
    out: Vec<u8>,
    /// A row whose quote is still open: its text, where its lines end, and where it began.
    held: Vec<u8>,
    lines: Vec<usize>,
    number: u32,
    offset: u64,
    /// Line that came last, to see blank ones.
    last: u32,
}

fn delimited(from: impl Read, by: u8, limit: usize, sink: Sink<'_>) -> io::Result<()> {
    let mut rows = Rows {
        by,
        columns: Columns::default(),
        header: Vec::new(),
        out: Vec::new(),
        held: Vec::new(),
        lines: Vec::new(),
        number: 0,
        offset: 0,
        last: 0,
    };
    let mut on = true;
    let end = split::lines(from, limit, &mut |piece| {
        on = rows.line(&piece, limit, sink);
        on
    });
    if on {
        rows.give_up(sink);
    }
    end
}

impl Rows {
    fn line(&mut self, piece: &Piece<'_>, limit: usize, sink: Sink<'_>) -> bool {
        let line = piece.bytes.strip_suffix(b"\r").unwrap_or(piece.bytes);
        if piece.too_long {
            let on = self.give_up(sink);
            return on && sink(Piece { ..*piece });
        }
        if self.columns.keys.is_empty() {
            if separators(line) == 0 && line.len() < 6 && line.to_ascii_lowercase().starts_with(b"sep=")
                || matches!(line, [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', _])
                || line.starts_with(b"#")
            {
                return true;
            }
            let names = names(line, self.by).unwrap_or_default();
            self.columns = Columns::of(names.iter().map(Vec::as_slice));
            self.header = line.to_vec();
            return true;
        }
        if self.held.is_empty() {
            if self.row(line) {
                return self.give(line, piece.number, piece.offset, sink);
            }
            self.held.extend_from_slice(line);
            self.lines.clear();
            self.lines.push(self.held.len());
            (self.number, self.offset) = (piece.number, piece.offset);
        } else {
            // Blank lines are not given but are part of the cell.
            for _ in self.last..piece.number.min(self.last.saturating_add(16)) {
                self.held.push(b'\n');
            }
            self.held.extend_from_slice(line);
            self.lines.push(self.held.len());
            if !open_after(line, true, self.by) {
                let held = std::mem::take(&mut self.held);
                let (number, offset) = (self.number, self.offset);
                let on = !self.row(&held) || self.give(&held, number, offset, sink);
                self.held = held;
                self.held.clear();
                return on;
            }
        }
        self.last = piece.number;
        if self.held.len() > limit || self.lines.len() > ROW_LINES { self.give_up(sink) } else { true }
    }

    fn give(&self, row: &[u8], number: u32, offset: u64, sink: Sink<'_>) -> bool {
        self.out.len() <= 2 || sink(Piece { bytes: &self.out, shown: row, number, offset, too_long: false })
    }

    /// Nobody closes the quote: each line is a row of its own.
    fn give_up(&mut self, sink: Sink<'_>) -> bool {
        let held = std::mem::take(&mut self.held);
        let mut from = 0;
        let mut number = self.number;
        for end in std::mem::take(&mut self.lines) {
            let line = held.get(from..end).unwrap_or_default();
            // Blank lines between them were put back as line ends.
            let blank = line.iter().take_while(|b| **b == b'\n').count();
            number = number.saturating_add(u32::try_from(blank).unwrap_or(0));
            self.row_with(&line[blank..], true);
            if !self.give(&line[blank..], number, self.offset + (from + blank) as u64, sink) {
                return false;
            }
            from = end;
        }
        true
    }

    /// Puts a row into `out`; false where its quote is open. A row that is the header again leaves it empty.
    fn row(&mut self, row: &[u8]) -> bool {
        self.row_with(row, false)
    }

    fn row_with(&mut self, row: &[u8], close: bool) -> bool {
        if row == self.header.as_slice() {
            self.out.clear();
            return true;
        }
        let Some((cells, extra)) = self.cells(row, usize::MAX, close) else { return false };
        if cells == self.columns.keys.len() {
            return true;
        }
        // Another table follows in the same file.
        if let Some(names) = names(row, self.by).filter(|n| n.len() > 2) {
            self.columns = Columns::of(names.iter().map(Vec::as_slice));
            self.header = row.to_vec();
            self.out.clear();
            return true;
        }
        // Too many cells: text with separators in the last column, not quoted.
        if extra {
            self.cells(row, self.columns.keys.len().saturating_sub(1), close);
        }
        true
    }

    /// How many cells there were, and whether one beyond the last column said something. From column `rest` on all
    /// is one cell.
    fn cells(&mut self, row: &[u8], rest: usize, close: bool) -> Option<(usize, bool)> {
        let (columns, out) = (&self.columns, &mut self.out);
        columns.begin(out);
        let (mut at, mut n, mut extra) = (0, 0, false);
        loop {
            if n == rest {
                columns.put(n, row[at..].trim_ascii(), out);
                break;
            }
            let mut some = false;
            let next = one_cell(row, at, self.by, &mut |part| {
                if !some {
                    some = true;
                    extra |= !columns.key(n, out);
                }
                if !extra {
                    columns.value(n, part, out);
                }
            });
            if some && !extra {
                out.push(b'"');
            }
            let next = match next {
                Some(next) => next,
                None if close => row.len(),
                None => return None,
            };
            n += 1;
            if next >= row.len() {
                break;
            }
            at = next + 1;
        }
        columns.end(out);
        Some((n, extra))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows(text: &str) -> Vec<(u32, String, String)> {
        let Verdict::Table(kind) = recognise(text.as_bytes(), true) else { panic!("no table: {text}") };
        let mut got = Vec::new();
        read(text.as_bytes(), kind, 1 << 20, &mut |p| {
            let show = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
            got.push((p.number, show(p.bytes), show(p.shown)));
            true
        })
        .expect("memory does not fail");
        for (_, row, _) in &got {
            serde_json::from_str::<serde_json::Value>(row).expect("a row is JSON");
        }
        got
    }

    fn objects(text: &str) -> Vec<String> {
        rows(text).into_iter().map(|r| r.1).collect()
    }

    #[test]
    fn comma_separated() {
        let text = "\"time\",user name,Source IP\r\n2026-01-01,\"a \"\"b\"\", c\",192.0.2.1\r\n2026-01-02,,\"two\r\n\r\nlines\"\r\n2026-01-03,\\d,x,y\n";
        let got = rows(text);
        assert_eq!(got[0].1, r#"{"time":"2026-01-01","user name":"a \"b\", c","Source IP":"192.0.2.1"}"#);
        assert_eq!(
            got[1],
            (
                3,
                r#"{"time":"2026-01-02","Source IP":"two\n\nlines"}"#.into(),
                "2026-01-02,,\"two\n\nlines\"".into()
            )
        );
        assert_eq!(
            got[2],
            (
                6,
                r#"{"time":"2026-01-03","user name":"\\d","Source IP":"x,y"}"#.into(),
                "2026-01-03,\\d,x,y".into()
            )
        );
    }

    #[test]
    fn stamps_of_log_analytics() {
        let text = "\"TimeGenerated [UTC]\",Computer,\"EventTime [UTC+2, Berlin]\",\"Other [Local Time]\"\n\"10/3/2026, 12:21:42.123 PM\",a,\"10/3/2026, 2:21:02 PM\",\"10/3/2026, 12:01:02 AM\"\n\"2026-10-03T12:21:42Z\",b,,\n";
        assert_eq!(
            objects(text),
            [
                r#"{"TimeGenerated":"2026-10-03T12:21:42.123Z","Computer":"a","EventTime":"2026-10-03T14:21:02","Other":"2026-10-03T00:01:02"}"#,
                r#"{"TimeGenerated":"2026-10-03T12:21:42Z","Computer":"b"}"#
            ]
        );
    }

    #[test]
    fn other_separators_and_hints() {
        assert_eq!(objects("sep=;\na;b;c\n1;2;3\n"), [r#"{"a":"1","b":"2","c":"3"}"#]);
        assert_eq!(objects("a\tb\tc\n1\t\t3\n"), [r#"{"a":"1","c":"3"}"#]);
        assert_eq!(
            objects("#TYPE System.Object\n\"a\",\"b\",\"c\"\n\"1\",\"2\",\"3\"\n"),
            [r#"{"a":"1","b":"2","c":"3"}"#]
        );
        assert_eq!(
            objects("_time,_raw\n\"2026-01-01\",\"x, y\"\n"),
            [r#"{"_time":"2026-01-01","_raw":"x, y"}"#]
        );
        assert_eq!(objects("_raw\n\"<38>x\"\n"), [r#"{"_raw":"<38>x"}"#]);
    }

    #[test]
    fn the_event_viewer_does_not_name_its_last_column() {
        let text = "Level,Date and Time,Source,Event ID,Task Category\r\nInformation,3/4/2026 5:06:07 AM,Microsoft-Windows-Security-Auditing,4624,Logon,\"An account.\r\n\r\nSubject:\"\r\n";
        assert_eq!(
            objects(text),
            [
                r#"{"Level":"Information","Date and Time":"3/4/2026 5:06:07 AM","Source":"Microsoft-Windows-Security-Auditing","Event ID":"4624","Task Category":"Logon","Message":"An account.\n\nSubject:"}"#
            ]
        );
    }

    #[test]
    fn a_header_again_and_another_one() {
        assert_eq!(
            objects("a,b,c\n1,2,3\na,b,c\n4,5,6\nd,e,f,g\n7,8,9,0\n"),
            [
                r#"{"a":"1","b":"2","c":"3"}"#,
                r#"{"a":"4","b":"5","c":"6"}"#,
                r#"{"d":"7","e":"8","f":"9","g":"0"}"#
            ]
        );
    }

    #[test]
    fn a_quote_that_nobody_closes() {
        let got = rows("a,b,c\n1,\"2,3\n4,5,6\n\n7,8,9\n");
        assert_eq!(
            got.iter().map(|r| (r.0, r.1.as_str())).collect::<Vec<_>>(),
            [
                (2, r#"{"a":"1","b":"2,3"}"#),
                (3, r#"{"a":"4","b":"5","c":"6"}"#),
                (5, r#"{"a":"7","b":"8","c":"9"}"#)
            ]
        );
    }

    #[test]
    fn zeek_logs_one_after_another() {
        let head = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tssh\n#fields\tts\tid.orig_h\tuser\tnote\n#types\ttime\taddr\tstring\tstring\n";
        let text = format!(
            "{head}1.5\t192.0.2.1\t-\ta\\x09\\x22b\n#close\t2026\n#separator \\x09\n#path\tconn\n#fields\tts\tx\n2.5\t(empty)\n"
        );
        assert_eq!(
            objects(&text),
            [
                r#"{"_path":"ssh","ts":"1.5","id.orig_h":"192.0.2.1","note":"a\t\"b"}"#,
                r#"{"_path":"conn","ts":"2.5"}"#
            ]
        );
    }

    #[test]
    fn w3c_logs() {
        let iis = "#Software: Microsoft Internet Information Services 10.0\n#Version: 1.0\n#Fields: date time c-ip cs-username cs(User-Agent)\n2026-01-01 00:00:01 192.0.2.1 - Mozilla/5.0+(X)\n";
        assert_eq!(
            objects(iis),
            [
                r#"{"_w3c":"Microsoft Internet Information Services 10.0","date":"2026-01-01","time":"00:00:01","c-ip":"192.0.2.1","cs(User-Agent)":"Mozilla/5.0+(X)"}"#
            ]
        );
        let exchange = "#Software: Microsoft Exchange Server\r\n#Fields: date-time,session-id,data\r\n2026-01-01T00:00:01Z,08D,\"a, \"\"b\"\"\"\r\n";
        assert_eq!(
            objects(exchange),
            [
                r#"{"_w3c":"Microsoft Exchange Server","date-time":"2026-01-01T00:00:01Z","session-id":"08D","data":"a, \"b\""}"#
            ]
        );
        let tabs = "#Version: 1.0\n#Fields: date time c-ip\n2026-01-01\t00:00:01\t192.0.2.1\n";
        assert_eq!(objects(tabs), [r#"{"date":"2026-01-01","time":"00:00:01","c-ip":"192.0.2.1"}"#]);
        let quoted = "#Fields: date cs(User-Agent) x\n2026-01-01 \"a b\" -\n";
        assert_eq!(objects(quoted), [r#"{"date":"2026-01-01","cs(User-Agent)":"a b"}"#]);
    }

    #[test]
    fn flows_with_a_header() {
        assert_eq!(
            objects("version interface-id srcaddr dstaddr log-status\n2 eni-1 192.0.2.1 - OK\n"),
            [r#"{"version":"2","interface-id":"eni-1","srcaddr":"192.0.2.1","log-status":"OK"}"#]
        );
    }

    #[test]
    fn logs_without_a_header_stay_lines() {
        for text in [
            "<38>Oct 23 07:21:42 gw1 sshd[77]: a, b, c\n<38>Oct 23 07:21:43 gw1 sshd[77]: a, b, c\n",
            "Oct 23 07:21:42 gw1 sshd[77]: a, b, c\nOct 23 07:21:43 gw1 sshd[77]: a, b, c\n",
            "1,2026/10/27 16:18:19,01,TRAFFIC\n1,2026/10/27 16:18:19,01,TRAFFIC\n",
            "\"NPS1\",\"IAS\",10/23/2026,07:21:42,1,\"anna\"\n\"NPS1\",\"IAS\",10/23/2026,07:21:42,1,\"anna\"\n",
            "ID,Date,Time,Description,IP Address\n24,10/23/26,00:00:01,Database,,\n",
            "Domain,Receive Time,Serial #,Type\n1,2026/10/27 16:18:19,01,TRAFFIC\n",
            "5,,,1000000103,em0,match,block\n5,,,1000000103,em0,match,block\n",
            "INFO,login,anna,success\nINFO,login,bruno,success\n",
            "date=2026-10-26, time=01:09:12, a=b\ndate=2026-10-26, time=01:09:12, a=b\n",
            "User anna logged in, session started, ok\nUser bruno logged in, session 1, ok\n",
            "a,b,c\n1,2\n",
            "a,b\n1,2\n",
            "a,b,c\n",
            "a,a,c\n1,2,3\n",
            "one\ntwo\n",
            "",
        ] {
            assert_eq!(recognise(text.as_bytes(), true), Verdict::No, "{text}");
        }
        assert_eq!(recognise(b"a,b,c\n1,", false), Verdict::More);
        assert_eq!(recognise(b"a,b", false), Verdict::More);
        assert_eq!(recognise(b"a b", false), Verdict::No);
    }

    proptest! {
        #[test]
        fn rows_are_json_whatever_comes(body in "[a,\"\\\\\n\r\t #é1]{0,200}", by in prop_oneof![Just(b','), Just(b'\t')]) {
            let by = char::from(by);
            for text in [
                format!("x{by}y{by}z\n1{by}2{by}3\n{body}"),
                format!("#Fields: x y z\n{body}"),
                format!("#separator \\x09\n#fields\tx\ty\n{body}"),
            ] {
                let got = rows(&text);
                prop_assert!(got.windows(2).all(|w| w[0].0 < w[1].0));
            }
        }
    }
}
