//! The journal's export format (systemd's JOURNAL_EXPORT_FORMATS) to one JSON object an entry, in the form of
//! `journalctl -o json`: what is no text becomes a list of numbers, a field that comes twice a list of its values.
//!
//! JSON of journalctl itself would leave out what is longer than 4,096 bytes or, with `--all`, hold a whole core dump.

use memchr::memchr;

/// Longer values become `null`.
const VALUE: usize = 256 << 10;
/// Fields of one entry; the journal itself allows 1,024.
const FIELDS: usize = 1_024;
/// Letters of a field's name, as the journal has it.
const NAME: usize = 64;

/// One entry.
pub(crate) struct Entry<'a> {
    pub(crate) json: &'a [u8],
    pub(crate) cursor: &'a str,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the journal's export stream has a field that is not written as one")]
pub(crate) struct Garbled;

/// Cuts a stream that comes in pieces.
#[derive(Default)]
pub(crate) struct Export {
    /// Names, and values as JSON.
    fields: Vec<(Vec<u8>, Vec<u8>)>,
    cursor: String,
    /// What is not a whole field yet.
    rest: Vec<u8>,
    skip: Skip,
    json: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum Skip {
    #[default]
    Nothing,
    /// The rest of a line.
    Line,
    /// So many bytes of a value.
    Bytes(u64),
}

impl Export {
    pub(crate) fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(Entry<'_>)) -> Result<(), Garbled> {
        let mut owned = std::mem::take(&mut self.rest);
        let joined = if owned.is_empty() {
            bytes
        } else {
            owned.extend_from_slice(bytes);
            &owned
        };
        let mut at = 0;
        while let Some(rest) = joined.get(at..).filter(|rest| !rest.is_empty()) {
            match self.field(rest, &mut each)? {
                0 => break,
                n => at += n,
            }
        }
        self.rest = joined.get(at..).unwrap_or_default().to_vec();
        Ok(())
    }

    /// One field, or the end of an entry. 0 where more is needed.
    fn field(&mut self, rest: &[u8], each: &mut impl FnMut(Entry<'_>)) -> Result<usize, Garbled> {
        match self.skip {
            Skip::Nothing => {}
            Skip::Line => {
                let end = memchr(b'\n', rest);
                if end.is_some() {
                    self.skip = Skip::Nothing;
                }
                return Ok(end.map_or(rest.len(), |end| end + 1));
            }
            Skip::Bytes(left) => {
                let now = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                let left = left - now as u64;
                self.skip = if left == 0 { Skip::Nothing } else { Skip::Bytes(left) };
                return Ok(now);
            }
        }
        let Some(end) = memchr(b'\n', rest) else {
            let Some(equals) = memchr(b'=', rest).filter(|at| *at <= NAME) else {
                return if rest.len() > NAME { Err(Garbled) } else { Ok(0) };
            };
            if rest.len() > VALUE {
                self.add(rest.get(..equals).unwrap_or_default(), None)?;
                self.skip = Skip::Line;
                return Ok(rest.len());
            }
            return Ok(0);
        };
        let line = rest.get(..end).unwrap_or_default();
        if line.is_empty() {
            self.entry(each);
            return Ok(1);
        }
        if let Some(equals) = memchr(b'=', line) {
            let (name, value) = line.split_at(equals);
            let value = value.get(1..).filter(|v| v.len() <= VALUE);
            self.add(name, value)?;
            return Ok(end + 1);
        }
        // A name alone: its length follows in eight bytes, then its value and a line feed.
        let Some(length) = rest.get(end + 1..end + 9).and_then(|b| <[u8; 8]>::try_from(b).ok()) else {
            return if line.len() > NAME { Err(Garbled) } else { Ok(0) };
        };
        let length = u64::from_le_bytes(length);
        if length > VALUE as u64 {
            self.add(line, None)?;
            self.skip = Skip::Bytes(length.saturating_add(1));
            return Ok(end + 9);
        }
        let (from, to) = (end + 9, end + 9 + usize::try_from(length).unwrap_or(usize::MAX));
        let (Some(value), Some(after)) = (rest.get(from..to), rest.get(to)) else { return Ok(0) };
        if *after != b'\n' {
            return Err(Garbled);
        }
        self.add(line, Some(value))?;
        Ok(to + 1)
    }

    fn add(&mut self, name: &[u8], value: Option<&[u8]>) -> Result<(), Garbled> {
        let good = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_';
        if name.is_empty() || name.len() > NAME || !name.iter().all(good) {
            return Err(Garbled);
        }
        if self.fields.len() >= FIELDS {
            return Ok(());
        }
        let text = value.map(std::str::from_utf8);
        if name == b"__CURSOR"
            && let Some(Ok(text)) = text
        {
            text.clone_into(&mut self.cursor);
        }
        let json = match (value, text) {
            (_, Some(Ok(text))) => serde_json::to_vec(text),
            (Some(bytes), _) => serde_json::to_vec(bytes),
            (None, _) => Ok(b"null".to_vec()),
        };
        self.fields.push((name.to_vec(), json.map_err(|_| Garbled)?));
        Ok(())
    }

    fn entry(&mut self, each: &mut impl FnMut(Entry<'_>)) {
        // Two blank lines after each other are no entry.
        if self.fields.is_empty() {
            return;
        }
        let json = &mut self.json;
        json.clear();
        let mut fields = std::mem::take(&mut self.fields);
        for at in 0..fields.len() {
            let Some((head, tail)) = fields.split_at_mut_checked(at + 1) else { break };
            let Some((name, value)) = head.last() else { break };
            // One of the values of a field that was written already.
            if name.is_empty() {
                continue;
            }
            json.extend_from_slice(if json.is_empty() { b"{\"" } else { b",\"" });
            json.extend_from_slice(name);
            json.extend_from_slice(b"\":");
            let mut same = tail.iter_mut().filter(|(other, _)| other == name).peekable();
            if same.peek().is_none() {
                json.extend_from_slice(value);
                continue;
            }
            json.push(b'[');
            json.extend_from_slice(value);
            for (other, value) in same {
                json.push(b',');
                json.extend_from_slice(value);
                other.clear();
            }
            json.push(b']');
        }
        json.push(b'}');
        each(Entry { json, cursor: &self.cursor });
        fields.clear();
        self.fields = fields;
        self.cursor.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(stream: &[u8], sizes: &[usize]) -> Result<Vec<(String, String)>, Garbled> {
        let (mut export, mut out, mut at) = (Export::default(), Vec::new(), 0);
        let mut sizes = sizes.iter().copied().cycle();
        while at < stream.len() {
            let to = (at + sizes.next().unwrap_or(1).max(1)).min(stream.len());
            export.feed(&stream[at..to], |e| {
                out.push((String::from_utf8(e.json.to_vec()).expect("JSON is text"), e.cursor.to_owned()));
            })?;
            at = to;
        }
        Ok(out)
    }

    fn binary(name: &str, value: &[u8]) -> Vec<u8> {
        let length = (value.len() as u64).to_le_bytes();
        [name.as_bytes(), b"\n", &length, value, b"\n"].concat()
    }

    #[test]
    fn entries() {
        let mut stream =
            b"__CURSOR=s=1;i=2\n_PID=7\nMESSAGE=a \"b\"\nMESSAGE=c\n\n\n__CURSOR=s=1;i=3\n".to_vec();
        stream.extend(binary("MESSAGE", b"two\nlines"));
        stream.extend(binary("_CMDLINE", b"\xff\x00"));
        stream.extend(b"COREDUMP=");
        stream.extend(vec![b'x'; VALUE + 1]);
        stream.extend(b"\n");
        stream.extend(binary("BIG", &vec![b'\n'; VALUE + 1]));
        stream.extend(b"_UID=0\n\n__CURSOR=half\n");
        let expect = [
            (r#"{"__CURSOR":"s=1;i=2","_PID":"7","MESSAGE":["a \"b\"","c"]}"#, "s=1;i=2"),
            (
                r#"{"__CURSOR":"s=1;i=3","MESSAGE":"two\nlines","_CMDLINE":[255,0],"COREDUMP":null,"BIG":null,"_UID":"0"}"#,
                "s=1;i=3",
            ),
        ];
        let expect = expect.map(|(json, cursor)| (json.to_owned(), cursor.to_owned()));
        for size in [997, 10_000, 10_000_000] {
            assert_eq!(read(&stream, &[size]).as_deref(), Ok(expect.as_slice()), "{size}");
        }
    }

    #[test]
    fn what_is_no_export() {
        for stream in
            [&b"Jan 02 03:04:05 host sshd: x\n"[..], b"lower=1\n", b"=x\n", &binary("MESSAGE", b"x")[..17]]
        {
            let stream = [stream, &[b'A'; 100], b"\n\n"].concat();
            assert_eq!(read(&stream, &[7]), Err(Garbled), "{}", String::from_utf8_lossy(&stream));
        }
    }

    proptest! {
        #[test]
        fn how_it_is_cut_changes_nothing(
            stream in "([A-C]{1,3}=[a-z=]{0,9}\n|M\n\x03\0\0\0\0\0\0\0x\ny\n|\n){0,30}",
            sizes in prop::collection::vec(1usize..20, 1..6),
        ) {
            let whole = read(stream.as_bytes(), &[100_000]);
            prop_assert!(whole.is_ok());
            prop_assert_eq!(whole, read(stream.as_bytes(), &sizes));
        }
    }
}
