//! Writes MaxMind DB files (format 2.0), so that a simulated company brings geolocation for its own address plan.
//!
//! From the MaxMind DB File Format Specification v2.0: a binary search tree over the bits of the address, 16 zero
//! bytes, a data section of typed values, and metadata behind a marker. The tree is an IPv6 tree with IPv4 in ::/96,
//! as the published databases are. Deliberately missing: pointers inside the data section, other record sizes.

/// A value of the data section, as far as geolocation needs them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Double(f64),
    U16(u16),
    U32(u32),
    U64(u64),
    Map(Vec<(&'static str, Value)>),
    List(Vec<Value>),
}

impl Value {
    pub(crate) fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

#[derive(Clone, Copy)]
enum Slot {
    Empty,
    Node(usize),
    /// Offset in the data section.
    Data(usize),
}

/// A database under construction.
pub(crate) struct Writer {
    kind: &'static str,
    nodes: Vec<[Slot; 2]>,
    data: Vec<u8>,
}

const MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";
const SEPARATOR: usize = 16;

impl Writer {
    /// `kind` is the database type that readers see, such as `GeoLite2-City`.
    pub(crate) fn new(kind: &'static str) -> Writer {
        Writer { kind, nodes: vec![[Slot::Empty; 2]], data: Vec::new() }
    }

    /// Everything inside the IPv4 prefix has `value`. Prefixes must not overlap.
    pub(crate) fn insert(&mut self, first: u32, bits: u8, value: &Value) {
        let offset = self.data.len();
        encode(value, &mut self.data);
        let address = u128::from(first);
        let depth = 96 + usize::from(bits);
        let mut node = 0;
        for level in 0..depth {
            let side = usize::from((address >> (127 - level)) & 1 == 1);
            if level + 1 == depth {
                self.nodes[node][side] = Slot::Data(offset);
                return;
            }
            node = match self.nodes[node][side] {
                Slot::Node(next) => next,
                _ => {
                    self.nodes.push([Slot::Empty; 2]);
                    let next = self.nodes.len() - 1;
                    self.nodes[node][side] = Slot::Node(next);
                    next
                }
            };
        }
    }

    /// The bytes of the file. `built` is the build time in seconds since 1970.
    pub(crate) fn finish(self, built: u64) -> Vec<u8> {
        let count = self.nodes.len();
        let mut out = Vec::with_capacity(count * 8 + self.data.len() + 256);
        for node in &self.nodes {
            for slot in node {
                let record = match slot {
                    Slot::Empty => count,
                    Slot::Node(next) => *next,
                    Slot::Data(offset) => count + SEPARATOR + offset,
                };
                out.extend_from_slice(&(record as u32).to_be_bytes());
            }
        }
        out.extend_from_slice(&[0; SEPARATOR]);
        out.extend_from_slice(&self.data);
        out.extend_from_slice(MARKER);
        encode(
            &Value::Map(vec![
                ("binary_format_major_version", Value::U16(2)),
                ("binary_format_minor_version", Value::U16(0)),
                ("build_epoch", Value::U64(built)),
                ("database_type", Value::text(self.kind)),
                (
                    "description",
                    Value::Map(vec![("en", Value::text("Synthetic address plan of a simulated company"))]),
                ),
                ("ip_version", Value::U16(6)),
                ("languages", Value::List(vec![Value::text("en")])),
                ("node_count", Value::U32(count as u32)),
                ("record_size", Value::U16(32)),
            ]),
            &mut out,
        );
        out
    }
}

fn control(kind: u8, size: usize, out: &mut Vec<u8>) {
    let (low, more): (u8, Vec<u8>) = match size {
        0..=28 => (size as u8, vec![]),
        29..=284 => (29, vec![(size - 29) as u8]),
        _ => (30, ((size - 285) as u16).to_be_bytes().to_vec()),
    };
    if kind < 8 {
        out.push(kind << 5 | low);
    } else {
        // Types above 7 are "extended": the type follows the control byte, less seven.
        out.push(low);
        out.push(kind - 7);
    }
    out.extend_from_slice(&more);
}

fn unsigned(kind: u8, bytes: &[u8], out: &mut Vec<u8>) {
    let skip = bytes.iter().take_while(|b| **b == 0).count();
    control(kind, bytes.len() - skip, out);
    out.extend_from_slice(&bytes[skip..]);
}

fn encode(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Text(text) => {
            control(2, text.len(), out);
            out.extend_from_slice(text.as_bytes());
        }
        Value::Double(number) => {
            control(3, 8, out);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::U16(number) => unsigned(5, &number.to_be_bytes(), out),
        Value::U32(number) => unsigned(6, &number.to_be_bytes(), out),
        Value::U64(number) => unsigned(9, &number.to_be_bytes(), out),
        Value::Map(pairs) => {
            control(7, pairs.len(), out);
            for (key, value) in pairs {
                encode(&Value::text(key), out);
                encode(value, out);
            }
        }
        Value::List(values) => {
            control(11, values.len(), out);
            for value in values {
                encode(value, out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads back by the specification, apart from the writer.
    fn look_up(file: &[u8], ip: u32) -> Option<String> {
        let marker = file.windows(MARKER.len()).rposition(|w| w == MARKER).expect("marker");
        let meta = &file[marker + MARKER.len()..];
        let at = meta.windows(10).position(|w| w == b"node_count").expect("node_count") + 10;
        let size = usize::from(meta[at] & 31);
        let count = meta[at + 1..at + 1 + size].iter().fold(0usize, |n, b| n << 8 | usize::from(*b));
        let mut node = 0;
        for level in 0..128 {
            let bit = (u128::from(ip) >> (127 - level)) & 1;
            let at = node * 8 + bit as usize * 4;
            let record = u32::from_be_bytes(file[at..at + 4].try_into().expect("four bytes")) as usize;
            if record == count {
                return None;
            }
            if record > count {
                let at = record - count + count * 8;
                assert_eq!(file[at] >> 5, 2, "a text value");
                let len = usize::from(file[at] & 31);
                return Some(String::from_utf8_lossy(&file[at + 1..at + 1 + len]).into_owned());
            }
            node = record;
        }
        None
    }

    #[test]
    fn reads_back_what_was_written() {
        let mut writer = Writer::new("Test");
        writer.insert(0xC612_0000, 24, &Value::text("first"));
        writer.insert(0xC612_0800, 21, &Value::text("second"));
        let file = writer.finish(1);
        assert_eq!(look_up(&file, 0xC612_0007).as_deref(), Some("first"));
        assert_eq!(look_up(&file, 0xC612_0FFF).as_deref(), Some("second"));
        assert_eq!(look_up(&file, 0xC612_0100), None);
        assert_eq!(look_up(&file, 0x0A00_0001), None);
    }

    #[test]
    fn long_texts_and_zero_have_their_own_sizes() {
        let mut out = Vec::new();
        encode(&Value::Text("x".repeat(300)), &mut out);
        assert_eq!(&out[..3], &[2 << 5 | 30, 0, 15]);
        out.clear();
        encode(&Value::U32(0), &mut out);
        assert_eq!(out, [6 << 5]);
        out.clear();
        encode(&Value::List(vec![]), &mut out);
        assert_eq!(out, [0, 4]);
    }
}
