//! Login records of Linux (`wtmp`, `btmp`, `utmp`): fixed records of C, each made into one line of JSON.
//!
//! Read from: utmp(5), bits/utmp.h. The file has no mark of its own: it is recognised by the structure of its first
//! records. Times have 32 bits (384 bytes a record, x86) or 64 (400 bytes, ARM and s390), in the machine's order of bytes.

use portreeve_model::EventTime;
use std::fmt::Write;
use std::io::{self, Read};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Where the fields stand that differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Layout {
    size: usize,
    seconds: usize,
    micros: usize,
    address: usize,
    unused: usize,
    /// The most significant byte comes first.
    big: bool,
}

const NARROW: Layout = Layout { size: 384, seconds: 340, micros: 344, address: 348, unused: 364, big: false };
const WIDE: Layout = Layout { size: 400, seconds: 344, micros: 352, address: 360, unused: 376, big: false };
// The lower half of a 64-bit number stands second.
const WIDE_BIG: Layout =
    Layout { size: 400, seconds: 348, micros: 356, address: 360, unused: 376, big: true };
const NARROW_BIG: Layout = Layout { big: true, ..NARROW };

/// The layout of a file that begins so, if it is such a file.
pub(crate) fn layout(head: &[u8]) -> Option<Layout> {
    [NARROW, WIDE, NARROW_BIG, WIDE_BIG].into_iter().find(|layout| {
        // Unused records may stand in front of others.
        let used = head.chunks_exact(layout.size).any(|record| kind(record, *layout) != 0);
        used && head.chunks_exact(layout.size).all(|record| plausible(record, *layout))
    })
}

fn plausible(record: &[u8], layout: Layout) -> bool {
    const YEAR_2000: u32 = 946_684_800;
    let seconds = number(record, layout.seconds, layout);
    let printable = |from: usize, len: usize| {
        let field = text(record, from, len);
        let rest = record.get(from + field.len()..from + len).unwrap_or_default();
        field.iter().all(|b| (0x20..0x7f).contains(b) || *b >= 0x80)
            && (len > 32 || rest.iter().all(|b| *b == 0))
    };
    kind(record, layout) <= 9
        && record.get(2..4) == Some(&[0, 0])
        && seconds >= YEAR_2000
        && number(record, layout.micros, layout) < 1_000_000
        && record.get(layout.unused..layout.unused + 20).is_some_and(|u| u.iter().all(|b| *b == 0))
        && printable(8, 32)
        && printable(44, 32)
        && printable(76, 256)
}

fn number(record: &[u8], at: usize, layout: Layout) -> u32 {
    match record.get(at..at + 4) {
        Some([a, b, c, d]) if layout.big => u32::from_be_bytes([*a, *b, *c, *d]),
        Some([a, b, c, d]) => u32::from_le_bytes([*a, *b, *c, *d]),
        _ => 0,
    }
}

fn kind(record: &[u8], layout: Layout) -> u16 {
    match record {
        [a, b, ..] if layout.big => u16::from_be_bytes([*a, *b]),
        [a, b, ..] => u16::from_le_bytes([*a, *b]),
        _ => 0,
    }
}

/// Up to the first zero.
fn text(record: &[u8], from: usize, len: usize) -> &[u8] {
    let field = record.get(from..from + len).unwrap_or_default();
    &field[..memchr::memchr(0, field).unwrap_or(field.len())]
}

/// Gives each record as JSON with its number, from 1, and its offset, until `sink` returns false. Bytes that are too few
/// for a record at the end are an error.
pub(crate) fn read(
    from: &mut dyn Read,
    layout: Layout,
    sink: &mut dyn FnMut(&[u8], u32, u64) -> bool,
) -> io::Result<()> {
    let mut record = vec![0u8; layout.size];
    let mut line = String::with_capacity(512);
    for n in 0u32.. {
        let mut have = 0;
        while let Some(rest) = record.get_mut(have..).filter(|r| !r.is_empty()) {
            match from.read(rest)? {
                0 => break,
                more => have += more,
            }
        }
        if have == 0 {
            return Ok(());
        }
        if have < layout.size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        json(&record, layout, &mut line).map_err(io::Error::other)?;
        let offset = u64::from(n) * layout.size as u64;
        if !sink(line.as_bytes(), n.saturating_add(1), offset) {
            return Ok(());
        }
    }
    Ok(())
}

fn json(record: &[u8], layout: Layout, line: &mut String) -> std::fmt::Result {
    line.clear();
    let seconds = EventTime::from_unix(i64::from(number(record, layout.seconds, layout)));
    let time = seconds.plus(i64::from(number(record, layout.micros, layout).min(999_999)));
    write!(line, "{{\"ut_type\":{},\"ut_time\":\"{time}\"", kind(record, layout))?;
    for (name, from, len) in [("ut_user", 44, 32), ("ut_line", 8, 32), ("ut_id", 40, 4), ("ut_host", 76, 256)]
    {
        let value = String::from_utf8_lossy(text(record, from, len));
        write!(line, ",\"{name}\":\"")?;
        for c in value.chars() {
            match c {
                '"' | '\\' => {
                    line.push('\\');
                    line.push(c);
                }
                c if c.is_control() => {
                    write!(line, "\\u{:04x}", u32::from(c))?;
                }
                c => line.push(c),
            }
        }
        line.push('"');
    }
    let address = record.get(layout.address..layout.address + 16).unwrap_or_default();
    if let Ok(octets) = <[u8; 16]>::try_from(address)
        && octets.iter().any(|b| *b != 0)
    {
        let [a, b, c, d, rest @ ..] = octets;
        if rest.iter().all(|b| *b == 0) {
            write!(line, ",\"ut_addr\":\"{}\"", Ipv4Addr::new(a, b, c, d))?;
        } else {
            write!(line, ",\"ut_addr\":\"{}\"", Ipv6Addr::from(octets))?;
        }
    }
    write!(line, ",\"ut_pid\":{}}}", number(record, 4, layout))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(layout: Layout, kind: u8, user: &str, host: &str, address: [u8; 4]) -> Vec<u8> {
        let mut r = vec![0u8; layout.size];
        let mut put = |at: usize, bytes: &[u8]| r[at..at + bytes.len()].copy_from_slice(bytes);
        let wide = |n: u32| if layout.big { n.to_be_bytes() } else { n.to_le_bytes() };
        put(usize::from(layout.big), &[kind]);
        put(4, &wide(1_234));
        put(8, b"pts/0");
        put(40, b"ts/0");
        put(44, user.as_bytes());
        put(76, host.as_bytes());
        put(layout.seconds, &wide(1_791_270_765));
        put(layout.micros, &wide(5_000));
        put(layout.address, &address);
        r
    }

    #[test]
    fn all_layouts() {
        for layout in [NARROW, WIDE, NARROW_BIG, WIDE_BIG] {
            let mut file = record(layout, 7, "anna", "a\"b", [203, 0, 113, 7]);
            file.extend(record(layout, 8, "", "", [0; 4]));
            assert_eq!(super::layout(&file), Some(layout));
            let mut lines = Vec::new();
            let mut sink = |line: &[u8], n: u32, offset: u64| {
                lines.push((String::from_utf8_lossy(line).into_owned(), n, offset));
                true
            };
            read(&mut &file[..], layout, &mut sink).expect("whole records");
            assert_eq!(
                lines[0].0,
                r#"{"ut_type":7,"ut_time":"2026-10-06T07:12:45.005Z","ut_user":"anna","ut_line":"pts/0","ut_id":"ts/0","ut_host":"a\"b","ut_addr":"203.0.113.7","ut_pid":1234}"#
            );
            assert_eq!((lines.len(), lines[1].1, lines[1].2), (2, 2, layout.size as u64));
        }
    }

    #[test]
    fn other_files_and_cut_ones() {
        assert_eq!(layout(b""), None);
        assert_eq!(layout(&[0u8; 1_024]), None);
        assert_eq!(layout(&b"Oct  6 07:12:45 srv1 sshd[1]: Accepted password for anna\n".repeat(20)), None);
        let file = record(NARROW, 7, "anna", "", [0; 4]);
        let cut = [&file[..], &file[..100]].concat();
        let mut count = 0;
        let result = read(&mut &cut[..], NARROW, &mut |_, _, _| {
            count += 1;
            true
        });
        assert_eq!((count, result.is_err()), (1, true));
    }
}
