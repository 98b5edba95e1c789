//! Bytes of a journal segment: a head, then frames, each with its sums.
//!
//! A frame is found again after damage by its magic number. Records hold what strangers sent, so one could contain the
//! image of a frame; every sum therefore starts from a salt that is drawn per segment and never leaves the disk.

use super::{Entry, JournalBatch, Place};
use portreeve_model::EventTime;
use std::sync::Arc;

/// Uncompressed content of one frame.
pub(super) const MOST: usize = 256 << 20;
/// Two copies of the segment's head.
pub(super) const HEAD: usize = 2 * COPY;
const COPY: usize = 40;
const FRAME_HEAD: usize = 16;
const MAGIC: [u8; 4] = *b"\xf1PRj";
const SEGMENT: [u8; 8] = *b"PRJRNL01";

const NAME: u8 = 1;
const BATCH: u8 = 2;
const COMPRESSED: u8 = 1;
const PLACES: u8 = 2;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Head {
    pub salt: u128,
    pub first: u64,
}

impl Head {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut copy = Vec::with_capacity(COPY);
        copy.extend_from_slice(&SEGMENT);
        copy.extend_from_slice(&self.salt.to_le_bytes());
        copy.extend_from_slice(&self.first.to_le_bytes());
        copy.extend_from_slice(&[0; 4]);
        let sum = crc32fast::hash(&copy);
        copy.extend_from_slice(&sum.to_le_bytes());
        copy.repeat(2)
    }

    /// From either of the copies.
    pub(super) fn decode(bytes: &[u8]) -> Option<Head> {
        bytes.get(..HEAD)?.chunks_exact(COPY).find_map(|copy| {
            let mut at = Cut(copy);
            let magic = at.take(8)?;
            let salt = u128::from_le_bytes(at.take(16)?.try_into().ok()?);
            let first = at.u64()?;
            at.take(4)?;
            (magic == SEGMENT && at.u32()? == crc32fast::hash(&copy[..COPY - 4]))
                .then_some(Head { salt, first })
        })
    }
}

fn sum(salt: u128, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

/// Puts head and sums before the payload that `fill` appends.
fn framed(out: &mut Vec<u8>, salt: u128, fill: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0; FRAME_HEAD]);
    fill(out);
    let payload = &out[at + FRAME_HEAD..];
    let length =
        u32::try_from(payload.len()).expect("a batch was measured against MOST before it was framed");
    let mut head = [0; FRAME_HEAD];
    head[..4].copy_from_slice(&MAGIC);
    head[4..8].copy_from_slice(&length.to_le_bytes());
    head[8..12].copy_from_slice(&sum(salt, payload).to_le_bytes());
    let check = sum(salt, &head[..12]);
    head[12..].copy_from_slice(&check.to_le_bytes());
    out[at..at + FRAME_HEAD].copy_from_slice(&head);
}

/// Gives a name its number, so that batches carry four bytes.
pub(super) fn name(out: &mut Vec<u8>, salt: u128, id: u32, text: &str) {
    framed(out, salt, |out| {
        out.push(NAME);
        out.extend_from_slice(&id.to_le_bytes());
        out.extend_from_slice(text.as_bytes());
    });
}

pub(super) struct Numbers {
    pub origin: u32,
    pub door: u32,
    pub first: u64,
}

/// A whole batch. `packer` compresses where that makes it smaller.
pub(super) fn batch(
    out: &mut Vec<u8>,
    salt: u128,
    numbers: &Numbers,
    batch: &JournalBatch<'_>,
    packer: Option<&mut zstd::bulk::Compressor<'static>>,
) {
    let count = batch.ends.len();
    let mut body =
        Vec::with_capacity(batch.bytes.len() + count * if batch.places.is_empty() { 4 } else { 16 });
    let mut from = 0;
    for end in batch.ends {
        body.extend_from_slice(&(end - from).to_le_bytes());
        from = *end;
    }
    for place in batch.places {
        body.extend_from_slice(&place.line.to_le_bytes());
        body.extend_from_slice(&place.offset.to_le_bytes());
    }
    body.extend_from_slice(batch.bytes);
    let packed = packer.and_then(|p| p.compress(&body).ok()).filter(|p| p.len() < body.len());
    framed(out, salt, |out| {
        out.push(BATCH);
        let flags =
            if packed.is_some() { COMPRESSED } else { 0 } | if batch.places.is_empty() { 0 } else { PLACES };
        out.push(flags);
        out.extend_from_slice(&numbers.origin.to_le_bytes());
        out.extend_from_slice(&numbers.door.to_le_bytes());
        out.extend_from_slice(&batch.arrival.0.to_le_bytes());
        out.extend_from_slice(&numbers.first.to_le_bytes());
        out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(packed.as_deref().unwrap_or(&body));
    });
}

/// What stands at an offset of a segment.
pub(super) enum Found {
    Name {
        id: u32,
        text: Arc<str>,
    },
    Batch(Raw),
    /// No valid frame begins here.
    Nothing,
}

/// A batch whose names are still numbers.
pub(super) struct Raw {
    pub origin: u32,
    pub door: u32,
    pub first: u64,
    pub count: u32,
    pub entry: Entry,
}

/// Reads the frame at `offset` and says where the next one begins. Without `bodies` a batch's records are left out.
pub(super) fn at(segment: &[u8], offset: usize, salt: u128, bodies: bool) -> (Found, usize) {
    match payload(segment, offset, salt) {
        Some(payload) => {
            let next = offset + FRAME_HEAD + payload.len();
            (decode(payload, bodies).unwrap_or(Found::Nothing), next)
        }
        None => (Found::Nothing, offset),
    }
}

/// The first offset from `offset` on at which a valid frame begins.
pub(super) fn next_valid(segment: &[u8], offset: usize, salt: u128) -> Option<usize> {
    let finder = memchr::memmem::Finder::new(&MAGIC);
    let rest = segment.get(offset..)?;
    finder.find_iter(rest).map(|n| offset + n).find(|n| payload(segment, *n, salt).is_some())
}

fn payload(segment: &[u8], offset: usize, salt: u128) -> Option<&[u8]> {
    let head = segment.get(offset..offset.checked_add(FRAME_HEAD)?)?;
    let mut at = Cut(head);
    let magic = at.take(4)?;
    let (length, of_payload, of_head) = (at.u32()?, at.u32()?, at.u32()?);
    if magic != MAGIC || sum(salt, &head[..12]) != of_head {
        return None;
    }
    let from = offset + FRAME_HEAD;
    let payload = segment.get(from..from.checked_add(length as usize)?)?;
    (sum(salt, payload) == of_payload).then_some(payload)
}

fn decode(payload: &[u8], bodies: bool) -> Option<Found> {
    let mut at = Cut(payload);
    match at.u8()? {
        NAME => Some(Found::Name { id: at.u32()?, text: Arc::from(std::str::from_utf8(at.rest()).ok()?) }),
        BATCH => {
            let flags = at.u8()?;
            let (origin, door) = (at.u32()?, at.u32()?);
            let arrival = EventTime(i64::from_le_bytes(at.take(8)?.try_into().ok()?));
            let (first, count, length) = (at.u64()?, at.u32()?, at.u32()? as usize);
            let mut entry = Entry { seq: first, arrival, ..Entry::default() };
            if bodies {
                if length > MOST {
                    return None;
                }
                let unpacked;
                let body = if flags & COMPRESSED != 0 {
                    unpacked = zstd::bulk::decompress(at.rest(), length).ok()?;
                    &unpacked
                } else {
                    at.rest()
                };
                split(body, count as usize, flags & PLACES != 0, &mut entry)?;
            }
            Some(Found::Batch(Raw { origin, door, first, count, entry }))
        }
        _ => None,
    }
}

fn split(body: &[u8], count: usize, places: bool, entry: &mut Entry) -> Option<()> {
    let mut at = Cut(body);
    let mut lengths = Cut(at.take(count.checked_mul(4)?)?);
    let mut end = 0u32;
    entry.ends.reserve(count);
    for _ in 0..count {
        end = end.checked_add(lengths.u32()?)?;
        entry.ends.push(end);
    }
    if places {
        let mut from = Cut(at.take(count.checked_mul(12)?)?);
        for _ in 0..count {
            entry.places.push(Place { line: from.u32()?, offset: from.u64()? });
        }
    }
    entry.bytes = at.rest().to_vec();
    (entry.bytes.len() == end as usize).then_some(())
}

struct Cut<'a>(&'a [u8]);

impl<'a> Cut<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }

    fn rest(&self) -> &'a [u8] {
        self.0
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|b| b[0])
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_of_a_frame_inside_a_record_is_no_frame() {
        // An attacker knows the format and not the salt.
        let mut forged = Vec::new();
        name(&mut forged, 7, 1, "forged");
        assert!(payload(&forged, 0, 7).is_some());
        assert_eq!(next_valid(&forged, 0, 8), None);
    }

    #[test]
    fn a_head_is_read_from_either_copy() {
        let head = Head { salt: 99, first: 5 };
        for copy in 0..2 {
            let mut bytes = head.encode();
            bytes[copy * COPY + 12] ^= 1;
            assert_eq!(Head::decode(&bytes), Some(head));
        }
        let mut bytes = head.encode();
        bytes[12] ^= 1;
        bytes[COPY + 12] ^= 1;
        assert_eq!(Head::decode(&bytes), None);
    }
}
