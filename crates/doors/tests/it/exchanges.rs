//! Exchanges in the form of the vendors' manuals, one file each in `fixtures/<door>/`, said to running doors.
//!
//! ```text
//! # what it shows
//! @ setting value …            (see `settings`)
//! > POST /path HTTP/1.1        a request: its head, an empty line, its body
//! < 200                        the answer: status, headers that must be there, an empty line, the body; `<any>`
//!                              stands for any text
//! = stored                     records, one after the other, of the whole file
//! = dead                       reasons, a line each
//! = counts stored 1 refused 0 dead 0
//! ```
//! A body with `Content-Encoding: gzip` (or deflate, zstd) is packed on its way.

use crate::house::{Answer, Behind, Build, House};
use portreeve_doors::Refusal;
use portreeve_doors::http::DOORS;
use portreeve_doors::http::splunk_hec::AckPolicy;
use std::io::Write;
use std::path::{Path, PathBuf};

struct Part {
    mark: char,
    first: String,
    rest: Vec<String>,
}

fn parts(text: &str) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for line in text.lines() {
        let mark = line.chars().next().filter(|c| line.starts_with(&format!("{c} ")) && "#@><=".contains(*c));
        match (mark, parts.last_mut()) {
            (Some(mark), _) => {
                parts.push(Part { mark, first: line[2..].trim().to_owned(), rest: Vec::new() })
            }
            (None, Some(part)) => part.rest.push(line.to_owned()),
            (None, None) => panic!("a fixture begins with #"),
        }
    }
    // The empty line before the next mark is for the reader.
    for part in &mut parts {
        if part.rest.last().is_some_and(String::is_empty) {
            part.rest.pop();
        }
    }
    parts
}

fn settings(parts: &[Part]) -> Build {
    let mut build = Build::default();
    for part in parts.iter().filter(|p| p.mark == '@') {
        let words: Vec<&str> = part.first.split(' ').collect();
        let number = || words[1].parse::<usize>().expect("a number");
        match words[0] {
            "busy" => build.behind = Some(Behind::Refuses(Refusal::Full)),
            "full" => build.behind = Some(Behind::Full),
            "gone" => build.behind = Some(Behind::Gone),
            "disk" => build.behind = Some(Behind::Refuses(Refusal::Disk("no space left on /secret".into()))),
            "record_bytes" => build.limits.record_bytes = number(),
            "request_bytes" => build.limits.request_bytes = number(),
            "unpacked_bytes" => build.limits.unpacked_bytes = number(),
            "records_per_s" => build.limits.records_per_s = Some(words[1].parse().expect("a number")),
            "connections" => build.limits.connections = number(),
            "token_in_query" => build.options.splunk_hec.token_in_query = true,
            "acks" => {
                build.options.splunk_hec.acks = match words[1] {
                    "off" => AckPolicy::Off,
                    "required" => AckPolicy::Required,
                    other => panic!("acks {other}"),
                }
            }
            "prefix" => build.options.es_bulk.prefix = words.get(1).unwrap_or(&"").to_string(),
            other => panic!("no such setting: {other}"),
        }
    }
    build
}

fn pack(coding: &str, body: &[u8]) -> Vec<u8> {
    let best = flate2::Compression::best();
    match coding {
        "gzip" => {
            let mut to = flate2::write::GzEncoder::new(Vec::new(), best);
            to.write_all(body).and_then(|()| to.finish()).expect("memory")
        }
        "deflate" => {
            let mut to = flate2::write::ZlibEncoder::new(Vec::new(), best);
            to.write_all(body).and_then(|()| to.finish()).expect("memory")
        }
        "zstd" => zstd::encode_all(body, 3).expect("memory"),
        _ => body.to_vec(),
    }
}

fn request(part: &Part) -> Vec<u8> {
    let end = part.rest.iter().position(String::is_empty).unwrap_or(part.rest.len());
    let (head, body) = part.rest.split_at(end);
    let body = body.get(1..).unwrap_or_default().join("\n").replace("\\r", "\r");
    let mut body = body.into_bytes();
    let mut out = format!("{}\r\nHost: portreeve.example:8088\r\nConnection: close\r\n", part.first);
    for line in head {
        out.push_str(line);
        out.push_str("\r\n");
        if let Some(coding) = line.to_ascii_lowercase().strip_prefix("content-encoding: ") {
            body = pack(coding, &body);
        }
    }
    if !body.is_empty() || part.first.starts_with('P') {
        out.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    out.push_str("\r\n");
    [out.as_bytes(), &body].concat()
}

/// Whether a text has these pieces, in this order and with nothing else but what `<any>` stands for.
fn fits(text: &str, pattern: &str) -> bool {
    let mut pieces: Vec<&str> = pattern.split("<any>").collect();
    let first = pieces.remove(0);
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        match rest.split_once(piece) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

fn compare(file: &Path, part: &Part, answer: &Answer) {
    let file = file.display();
    let end = part.rest.iter().position(String::is_empty).unwrap_or(part.rest.len());
    let (headers, body) = part.rest.split_at(end);
    let says = format!("{} {:?}\n{}", answer.status, answer.headers, answer.body);
    assert_eq!(answer.status.to_string(), part.first, "{file}: {says}");
    for line in headers {
        let (name, value) = line.split_once(": ").expect("a header");
        let got = answer.header(&name.to_ascii_lowercase()).unwrap_or("none");
        assert!(fits(got, value), "{file}: {name} is {got}, not {value}: {says}");
    }
    if body.len() > 1 {
        let body = body[1..].join("\n");
        assert!(fits(&answer.body, &body), "{file}: expected\n{body}\ngot\n{says}");
    }
}

async fn replay(file: PathBuf) {
    let text = std::fs::read_to_string(&file).expect("a fixture");
    let parts = parts(&text);
    let house = House::build(settings(&parts)).await;
    let mut said = None;
    for part in &parts {
        match part.mark {
            '>' => said = Some(house.ask(request(part)).await),
            '<' => compare(&file, part, said.as_ref().expect("a request comes before its answer")),
            _ => {}
        }
    }
    let of = |what: &str| parts.iter().find(|p| p.mark == '=' && p.first.starts_with(what));
    let name = file.display().to_string();
    if let Some(stored) = of("stored") {
        assert_eq!(house.records().join("\n"), stored.rest.join("\n"), "{name}: stored");
    }
    let reasons = of("dead").map(|p| p.rest.clone()).unwrap_or_default();
    house.until(&name, |h| h.dead().len() >= reasons.len()).await;
    let dead: Vec<_> = house.dead().into_iter().map(|d| d.reason).collect();
    assert_eq!(dead, reasons, "{name}: dead");
    let counts = house.end().await;
    let Some(part) = of("counts") else { panic!("{name}: a fixture says its counts") };
    let words: Vec<&str> = part.first.split(' ').skip(1).collect();
    for pair in words.chunks(2) {
        let got = match pair[0] {
            "stored" => counts.stored,
            "refused" => counts.refused,
            "dead" => counts.dead,
            "turned_away" => counts.turned_away,
            other => panic!("no such count: {other}"),
        };
        assert_eq!(got.to_string(), pair[1], "{name}: {} in {counts:?}", pair[0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_exchange_goes_as_written() {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    for door in DOORS.iter().filter(|d| d.name != "otlp_grpc") {
        let folder = all.join(door.name);
        let mut files: Vec<_> = std::fs::read_dir(&folder)
            .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
            .map(|entry| entry.expect("an entry").path())
            .collect();
        files.sort();
        assert!(files.len() > 2, "{}: exchanges are missing", folder.display());
        for file in files {
            replay(file).await;
        }
    }
}
