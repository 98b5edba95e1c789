//! JSON texts that are not one object a line: an array of records, an object that wraps such an array (an answer of a
//! search, a delivery of a cloud service), or objects over several lines.
//!
//! Where the records stand is told by the beginning of the text; documents of the same kind may follow one another. An
//! object in which nothing stands at that place is given whole. Rows that are arrays become objects: with the names of
//! the columns beside them, or with the labels of the stream they belong to.

use super::json::{Value, elements, members};
use super::split::{Piece, Sink};
use std::io::{self, Read};

const BLOCK: usize = 256 * 1_024;
/// Bytes kept of what stands beside the records: names of columns, labels of a stream.
const BESIDE: usize = 16 * 1_024;

/// Where in a document the records stand: keys from the outside in, arrays on the way passed through.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub(crate) path: Vec<&'static [u8]>,
    /// The key beside the records, or beside what holds them, that says what they are.
    pub(crate) beside: Option<&'static [u8]>,
}

/// Arrays of records, and what names their columns or their stream.
const ARRAYS: [&[u8]; 30] = [
    b"Records",
    b"records",
    b"value",
    b"logEvents",
    b"events",
    b"Events",
    b"hits",
    b"results",
    b"Results",
    b"result",
    b"rows",
    b"values",
    b"data",
    b"items",
    b"entries",
    b"messages",
    b"logs",
    b"streams",
    b"tables",
    b"authlogs",
    b"alerts",
    b"detections",
    b"matches",
    b"resources",
    b"content",
    b"audit_logs",
    b"resourceLogs",
    b"scopeLogs",
    b"logRecords",
    b"udmEvents",
];

/// Objects that hold such an array further in.
const OBJECTS: [&[u8]; 5] = [b"hits", b"data", b"response", b"result", b"results"];

/// What answers say about themselves before the records come.
const ABOUT: [&[u8]; 60] = [
    b"preview",
    b"init_offset",
    b"post_process_count",
    b"messages",
    b"fields",
    b"highlighted",
    b"took",
    b"timed_out",
    b"terminated_early",
    b"_shards",
    b"_clusters",
    b"_scroll_id",
    b"pit_id",
    b"num_reduce_phases",
    b"is_partial",
    b"is_running",
    b"total",
    b"total_count",
    b"max_score",
    b"@odata.context",
    b"@odata.count",
    b"@odata.nextLink",
    b"stats",
    b"Stats",
    b"schema",
    b"Schema",
    b"status",
    b"stat",
    b"resultType",
    b"count",
    b"statistics",
    b"queryLanguage",
    b"encryptionKey",
    b"messageType",
    b"owner",
    b"logGroup",
    b"logStream",
    b"subscriptionFilters",
    b"kind",
    b"apiVersion",
    b"etag",
    b"metadata",
    b"nextPageToken",
    b"nextToken",
    b"nextForwardToken",
    b"nextBackwardToken",
    b"next",
    b"next_page",
    b"links",
    b"meta",
    b"columns",
    b"searchedLogStreams",
    b"success",
    b"code",
    b"query",
    b"query_id",
    b"errors",
    b"cursor",
    b"info",
    b"resource",
];

/// What the beginning of a text says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    At(Place),
    No,
    /// The beginning is too short to tell.
    More,
}

/// Does this object wrap records?
pub(crate) fn recognise(object: &[u8], all: bool) -> Verdict {
    let mut place = Place::default();
    match whole(object, &mut place, 0) {
        Look::Found => Verdict::At(place),
        Look::More if !all && object.len() < 64 * 1_024 => Verdict::More,
        _ => Verdict::No,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Found,
    /// Says something about the records, or nothing.
    Pass,
    /// Belongs to a record.
    Record,
    /// The text ends before it shows.
    More,
}

/// Goes through an object. Recursion follows the names above, a few levels at most.
fn whole(text: &[u8], place: &mut Place, depth: usize) -> Look {
    if depth > 4 {
        return Look::Record;
    }
    let text = text.trim_ascii();
    let mut all = members(text);
    loop {
        let from = all.at();
        if let Some((key, value)) = all.next() {
            let text = match value {
                Value::Nested(text) => text,
                _ => b"0",
            };
            match member(key, text, false, place, depth) {
                Look::Pass => continue,
                look => return look,
            }
        }
        // The end, or a member that is cut off: its key and how it begins may tell.
        let rest = text.get(from..).unwrap_or_default().trim_ascii_start();
        let rest = rest.strip_prefix(b",").unwrap_or(rest).trim_ascii_start();
        let Some(rest) = rest.strip_prefix(b"\"") else {
            return if rest.is_empty() { Look::More } else { Look::Pass };
        };
        let Some(end) = memchr::memchr(b'"', rest) else { return Look::More };
        let Some(begins) = rest[end + 1..].trim_ascii_start().strip_prefix(b":") else { return Look::More };
        return match member(&rest[..end], begins.trim_ascii_start(), true, place, depth) {
            Look::Pass => Look::More,
            look => look,
        };
    }
}

/// One member, whole or only its beginning.
fn member(key: &[u8], value: &[u8], cut: bool, place: &mut Place, depth: usize) -> Look {
    let known = |list: &[&'static [u8]]| list.iter().find(|k| **k == key).copied();
    let about = if known(&ABOUT).is_some() || (depth > 0 && matches!(key, b"name" | b"scope" | b"schemaUrl"))
    {
        Look::Pass
    } else {
        Look::Record
    };
    match value.first() {
        None => Look::More,
        Some(b'[') if matches!(key, b"columns" | b"fields") => {
            place.beside = Some(if key == b"columns" { b"columns" } else { b"fields" });
            Look::Pass
        }
        Some(b'{') if key == b"stream" => {
            place.beside = Some(b"stream");
            Look::Pass
        }
        Some(b'[') => {
            let inner = value[1..].trim_ascii_start();
            let Some(name) = known(&ARRAYS) else { return about };
            match inner.first() {
                None => Look::More,
                Some(b']') if about == Look::Pass => Look::Pass,
                Some(b'{' | b'[' | b']') => array(name, inner, place, depth),
                Some(_) => about,
            }
        }
        Some(b'{') => {
            let Some(name) = known(&OBJECTS) else { return about };
            place.path.push(name);
            let look = whole(value, place, depth + 1);
            if look != Look::Found {
                place.path.pop();
            }
            match look {
                Look::Found => Look::Found,
                Look::More if cut => Look::More,
                _ => about,
            }
        }
        Some(_) => about,
    }
}

/// An array of records, or of what holds them.
fn array(name: &'static [u8], inner: &[u8], place: &mut Place, depth: usize) -> Look {
    // Graylog has each message in one; Splunk has messages about the search.
    if name == b"messages"
        && !inner.starts_with(b"{\"message\"")
        && !inner.starts_with(b"{\"highlight_ranges\"")
    {
        return Look::Pass;
    }
    place.path.push(name);
    let holds: &[&[u8]] = match name {
        b"result" | b"streams" | b"data" => &[b"values"],
        b"tables" => &[b"rows"],
        b"resourceLogs" => &[b"scopeLogs", b"logRecords"],
        b"scopeLogs" => &[b"logRecords"],
        _ => return Look::Found,
    };
    let before = place.clone();
    match whole(inner, place, depth + 1) {
        Look::Found if place.path.last().is_some_and(|last| holds.contains(last)) => Look::Found,
        Look::More if !matches!(name, b"result" | b"data") || inner.starts_with(b"{\"stream\"") => {
            *place = before;
            place.path.pop();
            Look::More
        }
        _ => {
            *place = before;
            Look::Found
        }
    }
}

/// Gives every record at this place.
pub(crate) fn read(mut from: impl Read, place: Place, limit: usize, sink: Sink<'_>) -> io::Result<()> {
    let mut scan = Scan { place, ..Scan::default() };
    let mut block = vec![0u8; BLOCK];
    loop {
        let n = match from.read(&mut block) {
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        if n == 0 {
            // Cut off inside a record: one broken record, shown as it is.
            if !scan.held.is_empty() {
                scan.give(sink);
            }
            return Ok(());
        }
        if !scan.feed(&block[..n], limit, sink) {
            return Ok(());
        }
    }
}

/// What an open bracket is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Level {
    /// On the way to the records: so many keys of the path are behind.
    Object(usize),
    Array(usize),
}

#[derive(Default)]
struct Scan {
    place: Place,
    /// Open brackets on the way to the records.
    way: Vec<Level>,
    /// Open brackets off it, or inside a record.
    off: u32,
    in_string: bool,
    escaped: bool,
    /// The last string of an object on the way, as far as a key can be long.
    word: Vec<u8>,
    /// The key whose value comes.
    key: Vec<u8>,
    /// Bytes of the record so far, or of a document that may be one.
    held: Vec<u8>,
    holding: bool,
    /// What is held is a whole document, within so many arrays.
    document: bool,
    around: usize,
    too_long: bool,
    beside: Vec<u8>,
    aside: bool,
    made: Vec<u8>,
    offset: u64,
    start: u64,
    number: u32,
}

impl Scan {
    fn feed(&mut self, block: &[u8], limit: usize, sink: Sink<'_>) -> bool {
        let (mut from, mut aside_from) = (0, 0); // of what is held in this block
        let mut i = 0;
        while i < block.len() {
            if self.in_string {
                let begin = i;
                if self.escaped {
                    self.escaped = false;
                    i += 1;
                } else {
                    match memchr::memchr2(b'"', b'\\', &block[i..]) {
                        None => i = block.len(),
                        Some(n) => {
                            i += n + 1;
                            if block[i - 1] == b'\\' {
                                self.escaped = true;
                            } else {
                                self.in_string = false;
                            }
                        }
                    }
                }
                if self.off == 0 && self.word.len() < 32 {
                    let end = if self.in_string { i } else { i - 1 };
                    self.word.extend_from_slice(&block[begin..end.min(begin + 32)]);
                }
                continue;
            }
            match block[i] {
                b'"' => {
                    self.in_string = true;
                    if self.off == 0 {
                        self.word.clear();
                    }
                }
                b':' if self.off == 0 => std::mem::swap(&mut self.key, &mut self.word),
                b',' if self.off == 0 => self.key.clear(),
                b'{' | b'[' => {
                    let open = block[i];
                    if self.off > 0 {
                        self.off += 1;
                    } else if self.is_record(open) {
                        self.off = 1;
                        if self.document {
                            self.drop_document();
                        }
                        self.holding = true;
                        from = i;
                        self.start = self.offset + i as u64;
                    } else if let Some(level) = self.level(open) {
                        let outside = self.way.iter().all(|l| *l == Level::Array(0));
                        if outside && open == b'{' {
                            // Perhaps it wraps nothing.
                            (self.holding, self.document, self.around) = (true, true, self.way.len());
                            from = i;
                            self.start = self.offset + i as u64;
                        }
                        self.way.push(level);
                        if self.document && level == Level::Array(self.place.path.len()) {
                            // It does.
                            self.drop_document();
                        }
                        self.key.clear();
                    } else {
                        self.off = 1;
                        if self.place.beside.is_some_and(|b| b == self.key.as_slice()) {
                            self.aside = true;
                            self.beside.clear();
                            aside_from = i;
                        }
                        self.key.clear();
                    }
                }
                b'}' | b']' => {
                    if self.off > 0 {
                        self.off -= 1;
                        if self.off == 0 && self.aside {
                            self.aside = false;
                            self.put_aside(&block[aside_from..=i]);
                        } else if self.off == 0 && self.holding && !self.document {
                            self.keep(&block[from..=i], limit);
                            self.holding = false;
                            if !self.give(sink) {
                                return false;
                            }
                        }
                    } else {
                        self.way.pop();
                        if self.document && self.way.len() == self.around {
                            self.keep(&block[from..=i], limit);
                            (self.holding, self.document) = (false, false);
                            if !self.give(sink) {
                                return false;
                            }
                        }
                    }
                }
                _ => {}
            }
            i += 1;
        }
        if self.holding {
            self.keep(&block[from..], limit);
        }
        if self.aside {
            self.put_aside(&block[aside_from..]);
        }
        self.offset += block.len() as u64;
        true
    }

    /// Does a record begin with this bracket?
    fn is_record(&self, open: u8) -> bool {
        match self.way.last() {
            None => self.place.path.is_empty() && open == b'{',
            Some(Level::Array(n)) => *n == self.place.path.len(),
            Some(Level::Object(_)) => false,
        }
    }

    /// What this bracket is, if it lies on the way.
    fn level(&self, open: u8) -> Option<Level> {
        let level = |n| if open == b'{' { Level::Object(n) } else { Level::Array(n) };
        match self.way.last() {
            None => Some(level(0)),
            Some(Level::Array(n)) => Some(level(*n)),
            Some(Level::Object(n)) => {
                (self.place.path.get(*n).copied() == Some(self.key.as_slice())).then(|| level(n + 1))
            }
        }
        .filter(|_| self.way.len() < 12)
    }

    fn drop_document(&mut self) {
        (self.holding, self.document, self.too_long) = (false, false, false);
        self.held.clear();
    }

    fn put_aside(&mut self, part: &[u8]) {
        let room = BESIDE.saturating_sub(self.beside.len());
        self.beside.extend_from_slice(&part[..part.len().min(room)]);
    }

    fn keep(&mut self, part: &[u8], limit: usize) {
        let shown = limit.min(1_024);
        if self.too_long {
            return;
        }
        if self.held.len() + part.len() > limit {
            self.too_long = true;
            let room = shown.saturating_sub(self.held.len());
            self.held.extend_from_slice(&part[..room.min(part.len())]);
            self.held.truncate(shown);
            return;
        }
        self.held.extend_from_slice(part);
    }

    /// Gives what is held.
    fn give(&mut self, sink: Sink<'_>) -> bool {
        self.number = self.number.saturating_add(1);
        let made = !self.too_long && self.held.first() == Some(&b'[') && {
            self.made.clear();
            row(&self.held, &self.beside, &mut self.made)
        };
        let piece = Piece {
            bytes: if made { &self.made } else { &self.held },
            shown: &self.held,
            number: self.number,
            offset: self.start,
            too_long: self.too_long,
        };
        let on = sink(piece);
        self.held.clear();
        self.too_long = false;
        on
    }
}

/// A row that is an array, as an object; false where nothing names its values.
fn row(row: &[u8], beside: &[u8], out: &mut Vec<u8>) -> bool {
    let inner = row[1..].trim_ascii_start();
    // `["1700000000000000000", "line"]` of a stream with labels.
    if beside.first() == Some(&b'{') {
        out.extend_from_slice(b"{\"stream\":");
        out.extend_from_slice(beside);
        out.extend_from_slice(b",\"values\":");
        out.extend_from_slice(row);
        out.push(b'}');
        return true;
    }
    let mut put = |key: &[u8], value: Value<'_>| {
        let text = match value {
            Value::Text(text) | Value::Bare(text) | Value::Nested(text) => text,
            Value::Null | Value::Missing => return,
        };
        out.extend_from_slice(if out.is_empty() { b"{\"" } else { b",\"" });
        out.extend_from_slice(key);
        out.extend_from_slice(b"\":");
        let quote = matches!(value, Value::Text(_));
        if quote {
            out.push(b'"');
        }
        out.extend_from_slice(text);
        if quote {
            out.push(b'"');
        }
    };
    // `[{"field":"@message","value":"line"}, …]`
    if inner.first() == Some(&b'{') {
        for cell in elements(row) {
            let (mut name, mut value): (&[u8], _) = (b"", Value::Missing);
            for (key, v) in members(cell.nested()) {
                match key {
                    b"field" | b"name" | b"key" => name = v.bytes(),
                    b"value" => value = v,
                    _ => {}
                }
            }
            if !name.is_empty() {
                put(name, value);
            }
        }
    } else if beside.first() == Some(&b'[') {
        let names = elements(beside).map(|n| match n {
            Value::Nested(object) => members(object)
                .find(|(k, _)| matches!(*k, b"name" | b"columnName"))
                .map_or(&b""[..], |(_, v)| v.bytes()),
            n => n.bytes(),
        });
        for (name, value) in names.zip(elements(row)) {
            if !name.is_empty() {
                put(name, value);
            }
        }
    }
    if out.is_empty() {
        return false;
    }
    out.push(b'}');
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Gives its bytes in parts of the sizes asked for.
    struct Chunks<'a> {
        bytes: &'a [u8],
        sizes: &'a [usize],
        turn: usize,
    }

    impl Read for Chunks<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let size = self.sizes[self.turn % self.sizes.len()];
            self.turn += 1;
            let n = size.min(to.len()).min(self.bytes.len());
            to[..n].copy_from_slice(&self.bytes[..n]);
            self.bytes = &self.bytes[n..];
            Ok(n)
        }
    }

    fn collect(text: &[u8], place: &Place, sizes: &[usize]) -> Vec<(u32, u64, bool, String)> {
        let mut got = Vec::new();
        read(Chunks { bytes: text, sizes, turn: 0 }, place.clone(), 2_000, &mut |p| {
            got.push((p.number, p.offset, p.too_long, String::from_utf8_lossy(p.bytes).into_owned()));
            true
        })
        .expect("memory does not fail");
        got
    }

    fn records(text: &str) -> Vec<String> {
        let place = match recognise(text.as_bytes(), true) {
            Verdict::At(place) => place,
            _ => Place::default(),
        };
        collect(text.as_bytes(), &place, &[5]).into_iter().map(|g| g.3).collect()
    }

    #[test]
    fn arrays_and_objects() {
        assert_eq!(
            records(r#"{"Records":[{"a":"]}"},{"b":[1,{"c":2}]}]}{"Records":[{"d":1}]}"#),
            [r#"{"a":"]}"}"#, r#"{"b":[1,{"c":2}]}"#, r#"{"d":1}"#]
        );
        assert_eq!(records("[\n {\"a\":1},\n {\"b\":\"\\\"\"}\n]"), ["{\"a\":1}", "{\"b\":\"\\\"\"}"]);
        assert_eq!(records("{\n \"a\":1\n}\n{\n \"b\":2\n}"), ["{\n \"a\":1\n}", "{\n \"b\":2\n}"]);
        assert_eq!(records(r#"[{"a":1},{"b":"#), [r#"{"a":1}"#, r#"{"b":"#]);
        // A document of another kind among them is not lost.
        assert_eq!(
            records(
                r#"{"records":[{"a":1}]}
{"b":{"records":[{"c":1}]}}"#
            ),
            [r#"{"a":1}"#, r#"{"b":{"records":[{"c":1}]}}"#]
        );
        assert_eq!(records(r#"{"records":[]}"#), [""; 0]);
    }

    #[test]
    fn answers_of_searches() {
        let elastic = r#"{"took":3,"timed_out":false,"_shards":{"total":1},"hits":{"total":{"value":2,"relation":"eq"},"max_score":null,"hits":[{"_index":"a","_source":{"message":"x"}},{"_index":"b"}]},"aggregations":{"a":[{"b":1}]}}"#;
        assert_eq!(records(elastic), [r#"{"_index":"a","_source":{"message":"x"}}"#, r#"{"_index":"b"}"#]);
        let splunk = r#"{"preview":false,"init_offset":0,"messages":[{"type":"INFO","text":"t"}],"fields":[{"name":"_raw"}],"results":[{"_raw":"x"}],"highlighted":{}}"#;
        assert_eq!(records(splunk), [r#"{"_raw":"x"}"#]);
        let rows = r#"{"preview":false,"init_offset":0,"messages":[],"fields":["_time","_raw"],"rows":[["1","x"],["2","y"]]}"#;
        assert_eq!(records(rows), [r#"{"_time":"1","_raw":"x"}"#, r#"{"_time":"2","_raw":"y"}"#]);
        let insights = r#"{"results":[[{"field":"@timestamp","value":"t"},{"field":"@message","value":"a \"b\""}]],"statistics":{},"status":"Complete"}"#;
        assert_eq!(records(insights), [r#"{"@timestamp":"t","@message":"a \"b\""}"#]);
        let tables = r#"{"tables":[{"name":"PrimaryResult","columns":[{"name":"TimeGenerated","type":"datetime"},{"name":"N","type":"int"}],"rows":[["t",7],["u",null]]}]}"#;
        assert_eq!(records(tables), [r#"{"TimeGenerated":"t","N":7}"#, r#"{"TimeGenerated":"u"}"#]);
        let sql = r#"{"columns":[{"name":"a","type":"x"}],"values":[["1"]]}"#;
        assert_eq!(records(sql), [r#"{"a":"1"}"#]);
        let loki = r#"{"status":"success","data":{"resultType":"streams","result":[{"stream":{"host":"a"},"values":[["1","x"],["2","y"]]},{"stream":{"host":"b"},"values":[["3","z"]]}],"stats":{}}}"#;
        assert_eq!(
            records(loki),
            [
                r#"{"stream":{"host":"a"},"values":["1","x"]}"#,
                r#"{"stream":{"host":"a"},"values":["2","y"]}"#,
                r#"{"stream":{"host":"b"},"values":["3","z"]}"#
            ]
        );
        let push = r#"{"streams":[{"stream":{"host":"a"},"values":[["1","x"]]}]}"#;
        assert_eq!(records(push), [r#"{"stream":{"host":"a"},"values":["1","x"]}"#]);
        let otlp = r#"{"resourceLogs":[{"resource":{"attributes":[]},"scopeLogs":[{"scope":{},"logRecords":[{"body":{"stringValue":"x"}}]}]}]}"#;
        assert_eq!(records(otlp), [r#"{"body":{"stringValue":"x"}}"#]);
        let duo = r#"{"stat":"OK","response":{"authlogs":[{"txid":"1"}]}}"#;
        assert_eq!(records(duo), [r#"{"txid":"1"}"#]);
        let graylog = r#"{"query":"*","messages":[{"message":{"source":"a"}}]}"#;
        assert_eq!(records(graylog), [r#"{"message":{"source":"a"}}"#]);
    }

    #[test]
    fn records_with_lists_of_their_own() {
        for record in [
            r#"{"kind":"admin#reports#activity","id":{"time":"t"},"events":[{"name":"login"}]}"#,
            r#"{"eventVersion":"1.08","resources":[{"ARN":"a"}]}"#,
            r#"{"actor":{"id":"a"},"target":[{"id":"b"}]}"#,
            r#"{"data":{"win":{"system":{}}},"x":[{"a":1}]}"#,
            r#"{"preview":false,"offset":0,"result":{"_raw":"x"}}"#,
            r#"{"a":1}"#,
            "{",
        ] {
            assert_eq!(recognise(record.as_bytes(), true), Verdict::No, "{record}");
        }
        assert_eq!(recognise(br#"{"preview":false,"fields":[{"na"#, false), Verdict::More);
        assert_eq!(recognise(br#"{"time":"2026"#, false), Verdict::No);
    }

    proptest! {
        #[test]
        fn chunking_changes_nothing(text in "[{}\\[\\]\",:\\\\a1]{0,200}", sizes in proptest::collection::vec(1usize..20, 1..5)) {
            for path in [&[][..], &[&b"a"[..]], &[&b"a"[..], b"a"]] {
                for beside in [None, Some(&b"1"[..])] {
                    let place = Place { path: path.to_vec(), beside };
                    prop_assert_eq!(collect(text.as_bytes(), &place, &sizes), collect(text.as_bytes(), &place, &[1_000]));
                }
            }
            recognise(text.as_bytes(), true);
        }
    }
}
