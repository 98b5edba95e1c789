//! Any file or stream to raw records: unpacked, decoded, split.

use super::block;
use super::package::{self, Package};
use super::split::{self, Piece};
use super::unpack::{self, Bounded, Container};
use super::{table, utmp, wrapped};
use portreeve_model::RawRef;
use std::io::{self, Read};

/// What keeps a hostile or broken archive from taking the machine.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Unpacked bytes per packed byte, beyond `free_bytes`.
    pub ratio: u64,
    pub free_bytes: u64,
    /// Unpacked bytes of one input.
    pub bytes: u64,
    /// Archives within archives.
    pub depth: u32,
    /// Entries of one archive.
    pub entries: usize,
    /// Bytes of one record.
    pub record_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            ratio: 250,
            free_bytes: 64 << 20,
            bytes: 64 << 30,
            depth: 4,
            entries: 50_000,
            record_bytes: 1 << 20,
        }
    }
}

/// One raw record as it stands in its file, without line end.
pub struct RawRecord<'a> {
    pub bytes: &'a [u8],
    /// As it stands in the file, where `bytes` were made of it: the row of a table, whose `bytes` name its columns.
    pub shown: &'a [u8],
    pub at: RawRef,
    /// Longer than the limit for one record: only its beginning is given.
    pub too_long: bool,
}

/// Bytes at the beginning of a stream that tell what it is.
const LOOKED_AT: usize = 1_024;

/// What became of an input as a whole.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Truncation, limits, damage: text for people.
    pub problems: Vec<String>,
    /// Names of archive entries by number ([`RawRef::entry`]), from 1.
    pub entries: Vec<String>,
    stopped: bool,
}

impl Outcome {
    pub(crate) fn problem(&mut self, text: String) {
        if self.problems.len() < 20 {
            self.problems.push(text);
        }
    }
}

/// Gives every record of a stream to `sink`, until it returns false. `size` is the stream's length, if known.
pub fn read(
    from: &mut dyn Read,
    size: Option<u64>,
    input: u32,
    limits: &Limits,
    sink: &mut dyn FnMut(RawRecord<'_>) -> bool,
) -> Outcome {
    let mut outcome = Outcome::default();
    let mut walk = Walk { input, limits, sink, size: size.unwrap_or(limits.bytes) };
    walk.stream(from, "", 0, &mut outcome);
    outcome
}

struct Walk<'w> {
    input: u32,
    limits: &'w Limits,
    sink: &'w mut dyn FnMut(RawRecord<'_>) -> bool,
    size: u64,
}

impl Walk<'_> {
    fn stream(&mut self, from: &mut dyn Read, name: &str, depth: u32, outcome: &mut Outcome) {
        if let Err(error) = self.try_stream(from, name, depth, outcome) {
            let cut = matches!(error.kind(), io::ErrorKind::UnexpectedEof);
            let text = if cut {
                "truncated or damaged: what could be read was read".to_owned()
            } else {
                error.to_string()
            };
            outcome.problem(if name.is_empty() { text } else { format!("{name}: {text}") });
        }
    }

    fn try_stream(
        &mut self,
        from: &mut dyn Read,
        name: &str,
        depth: u32,
        outcome: &mut Outcome,
    ) -> io::Result<()> {
        let (head, mut whole) = unpack::peek(from, LOOKED_AT)?;
        let container = unpack::recognise(&head);
        if !matches!(container, Container::Plain | Container::Evtx | Container::Utmp(_))
            && depth >= self.limits.depth
        {
            return Err(io::Error::other(format!(
                "archives nested deeper than {}: not read",
                self.limits.depth
            )));
        }
        let (limits, size) = (self.limits, self.size);
        match container {
            Container::Plain => self.text(&mut whole, &head, outcome),
            Container::Evtx => self.evtx(&mut whole, outcome),
            Container::Utmp(layout) => self.utmp(&mut whole, layout, outcome),
            Container::Gzip => self.stream_inner(
                Bounded::new(flate2::read::MultiGzDecoder::new(whole), size, limits),
                name,
                depth,
                outcome,
            ),
            Container::Bzip2 => self.stream_inner(
                Bounded::new(bzip2::read::MultiBzDecoder::new(whole), size, limits),
                name,
                depth,
                outcome,
            ),
            Container::Xz => self.stream_inner(
                Bounded::new(lzma_rust2::XzReader::new(whole, true), size, limits),
                name,
                depth,
                outcome,
            ),
            Container::Zstd => {
                let decoder = zstd::stream::read::Decoder::new(whole)?;
                self.stream_inner(Bounded::new(decoder, size, limits), name, depth, outcome)
            }
            Container::Zip => {
                let mut inside = |entry: &str, from: &mut dyn Read, outcome: &mut Outcome| {
                    self.entry(entry, from, depth, outcome)
                };
                unpack::zip(&mut whole, limits, outcome, &mut inside)
            }
            Container::Tar => {
                let (mut package, mut first) = (Package::default(), true);
                let mut inside = |entry: &str, from: &mut dyn Read, outcome: &mut Outcome| {
                    if !std::mem::replace(&mut first, false) {
                        return !package.reads(entry) || self.entry(entry, from, depth, outcome);
                    }
                    match unpack::peek(from, package::LOOKED_AT) {
                        Ok((head, mut from)) => {
                            package.begin(entry, &head);
                            !package.reads(entry) || self.entry(entry, &mut from, depth, outcome)
                        }
                        Err(error) => {
                            outcome.problem(format!("{entry}: {error}"));
                            true
                        }
                    }
                };
                let read = unpack::tar(&mut whole, limits, outcome, &mut inside);
                if let Some(note) = package.note() {
                    outcome.problem(note);
                }
                read
            }
        }
    }

    fn stream_inner(
        &mut self,
        mut from: impl Read,
        name: &str,
        depth: u32,
        outcome: &mut Outcome,
    ) -> io::Result<()> {
        self.try_stream(&mut from, name, depth + 1, outcome)
    }

    fn entry(&mut self, name: &str, from: &mut dyn Read, depth: u32, outcome: &mut Outcome) -> bool {
        if outcome.entries.len() >= usize::from(u16::MAX) {
            outcome.problem("too many archive entries: the rest is not read".to_owned());
            return false;
        }
        outcome.entries.push(name.to_owned());
        self.stream(from, name, depth + 1, outcome);
        !outcome.stopped
    }

    fn text(&mut self, whole: &mut dyn Read, head: &[u8], outcome: &mut Outcome) -> io::Result<()> {
        if let Some(little) = utf16(head) {
            let mut utf8 =
                Utf16 { from: whole, little, odd: None, high: None, out: Vec::new(), used: 0, done: false };
            let (head, mut whole) = unpack::peek(&mut utf8, LOOKED_AT)?;
            return self.split(&mut whole, &head, outcome);
        }
        if head.starts_with(b"\xef\xbb\xbf") {
            let mut bom = [0u8; 3];
            whole.read_exact(&mut bom)?;
            return self.split(whole, &head[3..], outcome);
        }
        self.split(whole, head, outcome)
    }

    fn split(&mut self, whole: &mut dyn Read, head: &[u8], outcome: &mut Outcome) -> io::Result<()> {
        let entry = u64::try_from(outcome.entries.len()).unwrap_or(0) << 48;
        let (input, limit) = (self.input, self.limits.record_bytes);
        let stopped = &mut outcome.stopped;
        let sink = &mut self.sink;
        let mut give = |piece: Piece<'_>| {
            let at = RawRef { input, line: piece.number, offset: entry | piece.offset };
            let on = sink(RawRecord { bytes: piece.bytes, shown: piece.shown, at, too_long: piece.too_long });
            *stopped |= !on;
            on
        };
        // What stands before the records can be longer than what was looked at so far; only a text that may have such
        // is waited for.
        let (mut head, mut all) = (head.to_vec(), head.len() < LOOKED_AT - 3);
        whole.read_exact(&mut head)?;
        let layout = loop {
            match layout(&head, all) {
                Some(layout) => break layout,
                None => all = unpack::more(whole, &mut head)? == 0,
            }
        };
        let mut whole = io::Cursor::new(head).chain(whole);
        match layout {
            Layout::Lines => split::lines(&mut whole, limit, &mut give),
            Layout::Json(place) => wrapped::read(&mut whole, place, limit, &mut give),
            Layout::Xml => split::xml(&mut whole, limit, &mut give),
            Layout::Table(kind) => table::read(&mut whole, kind, limit, &mut give),
            Layout::Block(kind) => block::read(&mut whole, kind, limit, &mut give),
        }
    }

    fn utmp(&mut self, whole: &mut dyn Read, layout: utmp::Layout, outcome: &mut Outcome) -> io::Result<()> {
        let entry = u64::try_from(outcome.entries.len()).unwrap_or(0) << 48;
        let input = self.input;
        let (sink, stopped) = (&mut self.sink, &mut outcome.stopped);
        utmp::read(whole, layout, &mut |bytes, line, offset| {
            let at = RawRef { input, line, offset: entry | offset };
            let on = sink(RawRecord { bytes, shown: bytes, at, too_long: false });
            *stopped |= !on;
            on
        })
    }

    fn evtx(&mut self, whole: &mut dyn Read, outcome: &mut Outcome) -> io::Result<()> {
        // The format is a file of chunks with offsets: it is read whole, within the limit.
        let mut bytes = Vec::new();
        whole.take(1 << 30).read_to_end(&mut bytes)?;
        let settings =
            evtx::ParserSettings::default().separate_json_attributes(true).indent(false).num_threads(1);
        let mut parser =
            evtx::EvtxParser::from_buffer(bytes).map_err(io::Error::other)?.with_configuration(settings);
        let entry = u64::try_from(outcome.entries.len()).unwrap_or(0) << 48;
        let mut damaged = 0u32;
        for (n, record) in parser.records_json().enumerate() {
            let Ok(record) = record else {
                damaged += 1;
                continue;
            };
            let line = u32::try_from(n + 1).unwrap_or(u32::MAX);
            let at = RawRef {
                input: self.input,
                line,
                offset: entry | (record.event_record_id & 0xffff_ffff_ffff),
            };
            let bytes = record.data.as_bytes();
            if !(self.sink)(RawRecord { bytes, shown: bytes, at, too_long: false }) {
                outcome.stopped = true;
                break;
            }
        }
        if damaged > 0 {
            outcome.problem(format!("{damaged} damaged event records"));
        }
        Ok(())
    }
}

/// How records stand in a text.
enum Layout {
    Lines,
    Json(wrapped::Place),
    Xml,
    Table(table::Kind),
    Block(block::Kind),
}

/// The layout, from the beginning of a text; nothing where that is too short to tell.
fn layout(head: &[u8], all: bool) -> Option<Layout> {
    let text = head.trim_ascii_start();
    let line_end = memchr::memchr(b'\n', text);
    let first = line_end.map_or(text, |n| &text[..n]).trim_ascii_end();
    let place = |object: &[u8]| match wrapped::recognise(object, all) {
        wrapped::Verdict::At(place) => Some(Some(place)),
        wrapped::Verdict::No => Some(None),
        wrapped::Verdict::More => None,
    };
    match text.first() {
        Some(b'[') => {
            let inner = text[1..].trim_ascii_start();
            match inner.first() {
                Some(b'{') => return Some(Layout::Json(place(inner)?.unwrap_or_default())),
                Some(b'[') if inner[1..].trim_ascii_start().first() == Some(&b'{') => {
                    return Some(Layout::Json(wrapped::Place::default()));
                }
                _ if first == b"[" => return Some(Layout::Json(wrapped::Place::default())),
                _ => {}
            }
        }
        Some(b'{') => {
            if let Some(place) = place(text)? {
                return Some(Layout::Json(place));
            }
            // An object that does not end with its line, and whose next line is no object, runs over several.
            let next = line_end.and_then(|n| text.get(n + 1));
            let open = first == b"{" || matches!(next, Some(b' ' | b'\t' | b'"' | b'}')) && !closes(first);
            if open && line_end.is_some() {
                return Some(Layout::Json(wrapped::Place::default()));
            }
            return Some(Layout::Lines);
        }
        Some(b'<') if text.starts_with(b"<?xml") || text.starts_with(b"<Events") => return Some(Layout::Xml),
        Some(b'<') if text.starts_with(b"<Event") && line_end.is_some() && !first.ends_with(b"</Event>") => {
            return Some(Layout::Xml);
        }
        _ => {}
    }
    match table::recognise(head, all) {
        table::Verdict::Table(kind) => Some(Layout::Table(kind)),
        table::Verdict::No => Some(block::recognise(head).map_or(Layout::Lines, Layout::Block)),
        table::Verdict::More => None,
    }
}

/// Does the object that begins here end here?
fn closes(line: &[u8]) -> bool {
    let (mut depth, mut quoted, mut escaped) = (0u32, false, false);
    for b in line {
        match b {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => depth += 1,
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    depth == 0
}

/// Byte order of UTF-16 text: by its mark, or by zeros in every other place.
fn utf16(head: &[u8]) -> Option<bool> {
    match head {
        [0xff, 0xfe, ..] => return Some(true),
        [0xfe, 0xff, ..] => return Some(false),
        _ => {}
    }
    let sample = &head[..head.len().min(64) & !1];
    if sample.len() < 16 {
        return None;
    }
    let zeros = |odd: usize| sample.iter().skip(odd).step_by(2).filter(|b| **b == 0).count();
    let half = sample.len() / 2;
    if zeros(1) * 10 >= half * 6 && zeros(0) * 8 <= half {
        Some(true)
    } else if zeros(0) * 10 >= half * 6 && zeros(1) * 8 <= half {
        Some(false)
    } else {
        None
    }
}

/// UTF-16 to UTF-8 as a stream; a lone surrogate becomes U+FFFD.
struct Utf16<'r> {
    from: &'r mut dyn Read,
    little: bool,
    odd: Option<u8>,
    high: Option<u16>,
    out: Vec<u8>,
    used: usize,
    done: bool,
}

impl Utf16<'_> {
    fn push(&mut self, c: char) {
        let mut buffer = [0; 4];
        self.out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
    }

    fn unit(&mut self, unit: u16) {
        match (self.high.take(), unit) {
            (Some(high), 0xdc00..=0xdfff) => {
                let c = 0x10000 + (u32::from(high - 0xd800) << 10) + u32::from(unit - 0xdc00);
                self.push(char::from_u32(c).unwrap_or('\u{fffd}'));
            }
            (high, unit) => {
                if high.is_some() {
                    self.push('\u{fffd}');
                }
                match unit {
                    0xd800..=0xdbff => self.high = Some(unit),
                    0xfeff => {}
                    unit => self.push(char::from_u32(u32::from(unit)).unwrap_or('\u{fffd}')),
                }
            }
        }
    }
}

impl Read for Utf16<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.used == self.out.len() && !self.done {
            self.out.clear();
            self.used = 0;
            let mut block = [0u8; 8_192];
            let n = self.from.read(&mut block)?;
            self.done = n == 0;
            let mut bytes = block[..n].iter().copied();
            while let Some(b) = bytes.next() {
                let first = match self.odd.take() {
                    Some(first) => {
                        let pair = if self.little { [first, b] } else { [b, first] };
                        self.unit(u16::from_le_bytes(pair));
                        continue;
                    }
                    None => b,
                };
                match bytes.next() {
                    Some(second) => {
                        let pair = if self.little { [first, second] } else { [second, first] };
                        self.unit(u16::from_le_bytes(pair));
                    }
                    None => self.odd = Some(first),
                }
            }
        }
        let n = to.len().min(self.out.len() - self.used);
        to[..n].copy_from_slice(&self.out[self.used..self.used + n]);
        self.used += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn records(bytes: &[u8]) -> (Vec<String>, Outcome) {
        let mut got = Vec::new();
        let outcome = read(&mut &bytes[..], Some(bytes.len() as u64), 0, &Limits::default(), &mut |r| {
            got.push(String::from_utf8_lossy(r.bytes).into_owned());
            true
        });
        (got, outcome)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        to.write_all(bytes).expect("memory");
        to.finish().expect("memory")
    }

    #[test]
    fn every_container() {
        let text = b"one\ntwo\n";
        let zstd = zstd::stream::encode_all(&text[..], 1).expect("memory");
        let mut bz = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bz.write_all(text).expect("memory");
        let mut tarball = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_cksum();
        tarball.append_data(&mut header, "a/b.log", &text[..]).expect("memory");
        let tarball = tarball.into_inner().expect("memory");
        let mut zipped = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        zipped.start_file("b.log", zip::write::SimpleFileOptions::default()).expect("memory");
        zipped.write_all(text).expect("memory");
        let zipped = zipped.finish().expect("memory").into_inner();
        for (name, bytes) in [
            ("plain", text.to_vec()),
            ("gzip", gzip(text)),
            ("zstd", zstd),
            ("bzip2", bz.finish().expect("memory")),
            ("tar", tarball.clone()),
            ("tar.gz", gzip(&tarball)),
            ("zip", zipped),
        ] {
            let (got, outcome) = records(&bytes);
            assert_eq!(got, ["one", "two"], "{name}: {:?}", outcome.problems);
        }
    }

    #[test]
    fn truncated_archives_give_what_they_can() {
        let text: String = (0..20_000).map(|n| format!("line {n} {}\n", n * 7919 % 1_000)).collect();
        let packed = gzip(text.as_bytes());
        let (got, outcome) = records(&packed[..packed.len() / 2]);
        assert!(got.len() > 1_000 && outcome.problems.len() == 1, "{} {:?}", got.len(), outcome.problems);
    }

    #[test]
    fn a_bomb_is_stopped() {
        let limits = Limits { free_bytes: 1 << 16, ratio: 10, ..Limits::default() };
        let packed = gzip(&vec![b'\n'; 4 << 20]);
        let outcome = read(&mut &packed[..], Some(packed.len() as u64), 0, &limits, &mut |_| true);
        assert!(outcome.problems[0].contains("unpacks to more"), "{:?}", outcome.problems);
        let mut nested = b"x\n".to_vec();
        for _ in 0..6 {
            nested = gzip(&nested);
        }
        assert!(records(&nested).1.problems[0].contains("nested deeper"));
    }

    #[test]
    fn utf16_text() {
        let text = "Zeile eins\r\nüß😀\r\n";
        let little: Vec<u8> =
            [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for bytes in [little, big] {
            assert_eq!(records(&bytes).0, ["Zeile eins\r", "üß😀\r"]);
        }
    }

    #[test]
    fn layouts() {
        assert_eq!(records(br#"{"Records":[{"a":1},{"b":2}]}"#).0, [r#"{"a":1}"#, r#"{"b":2}"#]);
        assert_eq!(records(b"[{\"a\":1},\n{\"b\":2}]").0, [r#"{"a":1}"#, r#"{"b":2}"#]);
        assert_eq!(records(b"{\"a\":1}\n{\"b\":2}\n").0, [r#"{"a":1}"#, r#"{"b":2}"#]);
        assert_eq!(records(b"\xef\xbb\xbfone\n").0, ["one"]);
        assert_eq!(
            records(b"{ \"a\": 1,\n  \"b\": 2 }\n{ \"c\": 3 }\n").0,
            ["{ \"a\": 1,\n  \"b\": 2 }", "{ \"c\": 3 }"]
        );
        assert_eq!(records(b"{\"a\":1,\n{\"b\":2}\n").0, ["{\"a\":1,", "{\"b\":2}"]);
        assert_eq!(records(b"[1] odd line\nnext\n").0, ["[1] odd line", "next"]);
    }

    #[test]
    fn tables_and_blocks() {
        let csv = "\u{feff}time,user,ip\n2026-01-01,anna,192.0.2.1\n";
        let want = [r#"{"time":"2026-01-01","user":"anna","ip":"192.0.2.1"}"#];
        assert_eq!(records(csv.as_bytes()).0, want);
        let little: Vec<u8> = csv.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(records(&little).0, want);
        assert_eq!(records(&gzip(csv.as_bytes())).0, want);
        // A header longer than what is looked at first.
        let names: Vec<String> = (0..400).map(|n| format!("name_{n}_x")).collect();
        let wide = format!("{}\n{}\n", names.join(","), vec!["7"; 400].join(","));
        let got = records(wide.as_bytes()).0;
        assert!(got.len() == 1 && got[0].starts_with(r#"{"name_0_x":"7","name_1_x":"7""#), "{got:?}");
        let detail = b"Fri Jan  2 03:04:05 2026\n\tUser-Name = \"anna\"\n\n";
        assert_eq!(records(detail).0, ["Fri Jan  2 03:04:05 2026\n\tUser-Name = \"anna\""]);
        assert_eq!(records(b"__CURSOR=1\nMESSAGE=x\n\n").0, [r#"{"__CURSOR":"1","MESSAGE":"x"}"#]);
        // Evidence shows the row as it stands.
        let mut shown = Vec::new();
        read(&mut csv.as_bytes(), None, 0, &Limits::default(), &mut |r| {
            shown.push((r.at.line, String::from_utf8_lossy(r.shown).into_owned()));
            true
        });
        assert_eq!(shown, [(2, "2026-01-01,anna,192.0.2.1".to_owned())]);
    }

    #[test]
    fn event_logs_within_archives() {
        let log = portreeve_sim::event_log(&[portreeve_sim::LoggedEvent {
            provider: "Microsoft-Windows-Security-Auditing",
            channel: "Security",
            computer: "srv-1",
            id: 4624,
            time: "2026-11-27T10:00:00.000Z",
            user_data: None,
            data: vec![("TargetUserName", "anna"), ("LogonType", "10")],
        }]);
        let want = r#"{"Event_attributes":{"xmlns":"http://schemas.microsoft.com/win/2004/08/events/event"},"Event":{
            "EventData":{"LogonType":"10","TargetUserName":"anna"},
            "System":{"Channel":"Security","Computer":"srv-1","EventID":"4624",
                "Provider_attributes":{"Name":"Microsoft-Windows-Security-Auditing"},
                "TimeCreated_attributes":{"SystemTime":"2026-11-27T10:00:00.000Z"}}}}"#;
        let mut tarball = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_size(log.len() as u64);
        header.set_cksum();
        tarball.append_data(&mut header, "logs/Security.evtx", &log[..]).expect("memory");
        let tarball = tarball.into_inner().expect("memory");
        let mut zipped = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        for name in ["logs/Security.evtx", "logs/again.evtx"] {
            zipped.start_file(name, zip::write::SimpleFileOptions::default()).expect("memory");
            zipped.write_all(&log).expect("memory");
        }
        let zipped = zipped.finish().expect("memory").into_inner();
        for (bytes, times) in [(log.clone(), 1), (gzip(&tarball), 1), (zipped, 2)] {
            let (got, outcome) = records(&bytes);
            assert!(outcome.problems.is_empty(), "{:?}", outcome.problems);
            let got: Vec<serde_json::Value> =
                got.iter().map(|r| serde_json::from_str(r).expect("JSON")).collect();
            assert_eq!(got, vec![serde_json::from_str::<serde_json::Value>(want).expect("JSON"); times]);
        }
        // A damaged one costs itself and not its neighbours.
        let mut zipped = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        for (name, bytes) in [("broken.evtx", &log[..200]), ("a.evtx", &log[..])] {
            zipped.start_file(name, zip::write::SimpleFileOptions::default()).expect("memory");
            zipped.write_all(bytes).expect("memory");
        }
        let (got, outcome) = records(&zipped.finish().expect("memory").into_inner());
        assert_eq!((got.len(), outcome.problems.len()), (1, 1), "{:?}", outcome.problems);
    }

    #[test]
    fn windows_events_in_one_document() {
        let events = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Events><Event xmlns='x'><System><EventID>1</EventID></System></Event><Event xmlns='x'>\n<System/>\n</Event></Events>";
        let want = [
            "<Event xmlns='x'><System><EventID>1</EventID></System></Event>",
            "<Event xmlns='x'>\n<System/>\n</Event>",
        ];
        assert_eq!(records(events.as_bytes()).0, want);
        assert_eq!(records(&events.as_bytes()[39..]).0, want);
        let little: Vec<u8> = format!("\u{feff}{events}").encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(records(&little).0, want);
    }
}
