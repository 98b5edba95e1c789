//! A file of the Windows event log (EVTX), as a collection brings it: literal binary XML, without templates.
//!
//! Written from Microsoft's [MS-EVEN6] 2.2.12 to 2.2.17 (BinXml) and, for the file and its chunks, Schuster's
//! "Introducing the Microsoft Vista event log file format" (DFRWS 2007). Windows itself writes templates; a literal event
//! is as valid and needs no table of them. The flag that says so stands where sums would have to.

/// One event.
pub struct LoggedEvent<'e> {
    pub provider: &'e str,
    pub channel: &'e str,
    pub computer: &'e str,
    pub id: u32,
    /// `2026-11-27T10:00:00.000Z`.
    pub time: &'e str,
    /// Name of the element below `UserData`; `EventData` where there is none.
    pub user_data: Option<&'e str>,
    pub data: Vec<(&'e str, &'e str)>,
}

const CHUNK: usize = 64 << 10;
/// Header of a chunk with its tables of strings and templates.
const CHUNK_HEADER: usize = 512;
/// No sums are kept.
const NO_SUMS: u32 = 4;
/// Of every record: a FILETIME, 2025-08-18. Readers take the time of the event from its XML.
const WRITTEN: u64 = 134_000_000_000_000_000;

/// The bytes of a file with these events in their order. An event has to fit into a chunk of 64 KiB.
pub fn event_log(events: &[LoggedEvent<'_>]) -> Vec<u8> {
    let mut chunks: Vec<Chunk> = Vec::new();
    for (number, event) in (1u64..).zip(events) {
        let fits = chunks.last_mut().is_some_and(|c| c.add(number, event));
        if !fits {
            let mut chunk = Chunk::new();
            assert!(chunk.add(number, event), "an event that no chunk has room for");
            chunks.push(chunk);
        }
    }
    let mut file = vec![0; 4_096];
    let count = u16::try_from(chunks.len()).unwrap_or(u16::MAX);
    put(&mut file, 0, b"ElfFile\0");
    put(&mut file, 16, &u64::from(count.saturating_sub(1)).to_le_bytes());
    put(&mut file, 24, &(events.len() as u64 + 1).to_le_bytes());
    put(&mut file, 32, &128u32.to_le_bytes());
    // Version 3.1.
    put(&mut file, 36, &[1, 0, 3, 0]);
    put(&mut file, 40, &4_096u16.to_le_bytes());
    put(&mut file, 42, &count.to_le_bytes());
    put(&mut file, 120, &NO_SUMS.to_le_bytes());
    for chunk in chunks {
        file.extend(chunk.close());
    }
    file
}

fn put(to: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = to.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

struct Chunk {
    bytes: Vec<u8>,
    first: u64,
    last: u64,
    /// Where the last record begins.
    record: usize,
}

impl Chunk {
    fn new() -> Chunk {
        Chunk { bytes: vec![0; CHUNK_HEADER], first: 0, last: 0, record: CHUNK_HEADER }
    }

    /// Whether there was room.
    fn add(&mut self, number: u64, event: &LoggedEvent<'_>) -> bool {
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(b"**\0\0");
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&number.to_le_bytes());
        self.bytes.extend_from_slice(&WRITTEN.to_le_bytes());
        // Begin of a fragment.
        self.bytes.extend_from_slice(&[0x0f, 1, 1, 0]);
        self.event(event);
        self.bytes.push(0);
        let size = u32::try_from(self.bytes.len() + 4 - begin).unwrap_or(u32::MAX).to_le_bytes();
        self.bytes.extend_from_slice(&size);
        if self.bytes.len() > CHUNK {
            self.bytes.truncate(begin);
            return false;
        }
        put(&mut self.bytes, begin + 4, &size);
        if self.first == 0 {
            self.first = number;
        }
        (self.last, self.record) = (number, begin);
        true
    }

    fn event(&mut self, event: &LoggedEvent<'_>) {
        self.open("Event", &[("xmlns", "http://schemas.microsoft.com/win/2004/08/events/event")]);
        self.open("System", &[]);
        self.open("Provider", &[("Name", event.provider)]);
        self.end();
        self.element("EventID", &[], &event.id.to_string());
        self.open("TimeCreated", &[("SystemTime", event.time)]);
        self.end();
        self.element("Channel", &[], event.channel);
        self.element("Computer", &[], event.computer);
        self.end();
        match event.user_data {
            Some(name) => {
                self.open("UserData", &[]);
                self.open(name, &[]);
                event.data.iter().for_each(|(name, value)| self.element(name, &[], value));
                self.end();
            }
            None => {
                self.open("EventData", &[]);
                event.data.iter().for_each(|(name, value)| self.element("Data", &[("Name", name)], value));
            }
        }
        self.end();
        self.end();
    }

    fn element(&mut self, name: &str, attributes: &[(&str, &str)], value: &str) {
        self.open(name, attributes);
        self.value(value);
        self.end();
    }

    fn open(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.bytes.push(if attributes.is_empty() { 0x01 } else { 0x41 });
        let size = self.later();
        self.name(name);
        if !attributes.is_empty() {
            let list = self.later();
            for (n, (name, value)) in attributes.iter().enumerate() {
                self.bytes.push(if n + 1 < attributes.len() { 0x46 } else { 0x06 });
                self.name(name);
                self.value(value);
            }
            self.fill(list);
        }
        self.bytes.push(0x02);
        self.fill(size);
    }

    fn end(&mut self) {
        self.bytes.push(0x04);
    }

    fn value(&mut self, text: &str) {
        self.bytes.extend_from_slice(&[0x05, 0x01]);
        self.wide(text);
    }

    /// A name where it is first used; its offset leads to what follows.
    fn name(&mut self, name: &str) {
        let at = u32::try_from(self.bytes.len() + 4).unwrap_or(u32::MAX);
        self.bytes.extend_from_slice(&at.to_le_bytes());
        // Next in the table of names, and hash: for those who look names up there.
        self.bytes.extend_from_slice(&[0; 6]);
        self.wide(name);
        self.bytes.extend_from_slice(&[0, 0]);
    }

    fn wide(&mut self, text: &str) {
        let units: Vec<u16> = text.encode_utf16().take(usize::from(u16::MAX)).collect();
        self.bytes.extend_from_slice(&u16::try_from(units.len()).unwrap_or(u16::MAX).to_le_bytes());
        self.bytes.extend(units.into_iter().flat_map(u16::to_le_bytes));
    }

    /// Room for a size that is known once what it counts is written.
    fn later(&mut self) -> usize {
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.len()
    }

    fn fill(&mut self, from: usize) {
        let size = u32::try_from(self.bytes.len() - from).unwrap_or(u32::MAX);
        put(&mut self.bytes, from - 4, &size.to_le_bytes());
    }

    fn close(mut self) -> Vec<u8> {
        let free = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        let record = u32::try_from(self.record).unwrap_or(u32::MAX);
        self.bytes.resize(CHUNK, 0);
        put(&mut self.bytes, 0, b"ElfChnk\0");
        for (at, number) in [(8, self.first), (16, self.last), (24, self.first), (32, self.last)] {
            put(&mut self.bytes, at, &number.to_le_bytes());
        }
        for (at, number) in [(40, 128), (44, record), (48, free), (120, NO_SUMS)] {
            put(&mut self.bytes, at, &number.to_le_bytes());
        }
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_go_into_as_many_chunks_as_they_need() {
        let long = "x".repeat(2_000);
        let event = || LoggedEvent {
            provider: "p",
            channel: "c",
            computer: "h",
            id: 1,
            time: "2026-11-27T10:00:00.000Z",
            user_data: None,
            data: vec![("a", &long)],
        };
        let file = event_log(&(0..40).map(|_| event()).collect::<Vec<_>>());
        // 13 of 4.8 KB in a chunk.
        assert_eq!(file.len(), 4_096 + 4 * CHUNK);
        let count = |mark: &[u8]| file.windows(mark.len()).filter(|w| *w == mark).count();
        assert_eq!((count(b"ElfChnk\0"), count(b"**\0\0")), (4, 40));
        assert_eq!(event_log(&[]).len(), 4_096);
    }
}
