//! Texts of a column without a copy of each: pages are taken apart here, and dictionaries compared once.
//!
//! The general reader of the parquet crate makes an owned value of every row; a search for one account among a hundred
//! thousand compares numbers instead. Only what our own writer makes is understood: data pages of version 1, plain or
//! through a dictionary. Format: the Parquet specification, "Data Pages" and "RLE/Bit-Packing Hybrid".

use super::read::{Selection, add};
use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::column::page::{Page, PageReader};
use parquet::errors::{ParquetError, Result};
use std::ops::Range;

pub(super) struct TextReader {
    pages: Box<dyn PageReader>,
    nullable: bool,
    dictionary: Option<Dictionary>,
    /// First row of the next page.
    next: usize,
    page: Option<DataPage>,
}

struct Dictionary {
    bytes: Bytes,
    /// Where each value lies.
    places: Vec<(u32, u32)>,
}

struct DataPage {
    first: usize,
    rows: usize,
    /// Set rows; `None` where all are.
    set: Option<Vec<bool>>,
    values: PageValues,
}

enum PageValues {
    /// Numbers of the dictionary.
    Numbers(Vec<u32>),
    Plain {
        bytes: Bytes,
        places: Vec<(u32, u32)>,
    },
}

fn broken(what: &str) -> ParquetError {
    ParquetError::General(format!("a page of texts is broken: {what}"))
}

impl TextReader {
    pub(super) fn new(pages: Box<dyn PageReader>, nullable: bool) -> TextReader {
        TextReader { pages, nullable, dictionary: None, next: 0, page: None }
    }

    /// Makes the page that holds `row` the current one; pages before it are passed over.
    fn seek(&mut self, row: usize) -> Result<&DataPage> {
        loop {
            if self.page.as_ref().is_some_and(|p| row < p.first + p.rows) {
                break;
            }
            let Some(meta) = self.pages.peek_next_page()? else {
                return Err(ParquetError::EOF(format!("the column ends before row {row}")));
            };
            if !meta.is_dict
                && let Some(rows) = meta.num_rows.or(meta.num_levels)
                && self.next + rows <= row
            {
                self.pages.skip_next_page()?;
                self.next += rows;
                continue;
            }
            match self.pages.get_next_page()? {
                Some(Page::DictionaryPage { buf, num_values, .. }) => {
                    let places = plain(&buf, num_values as usize)?;
                    self.dictionary = Some(Dictionary { bytes: buf, places });
                }
                Some(Page::DataPage { buf, num_values, encoding, .. }) => {
                    let page = DataPage::new(buf, num_values as usize, encoding, self.nullable, self.next)?;
                    self.next += page.rows;
                    self.page = Some(page);
                }
                _ => return Err(broken("it is of another version")),
            }
        }
        self.page.as_ref().ok_or_else(|| broken("it is not there"))
    }

    /// Calls `see` with the text of each row; nulls are empty.
    pub(super) fn each(&mut self, rows: &[Range<usize>], mut see: impl FnMut(usize, &[u8])) -> Result<()> {
        for range in rows {
            let mut at = range.start;
            while at < range.end {
                self.seek(at)?;
                let Some(page) = &self.page else { return Err(broken("it is not there")) };
                let end = range.end.min(page.first + page.rows);
                let mut value = page.value(at);
                for row in at..end {
                    if page.is_set(row) {
                        see(row, page.values.text(value, self.dictionary.as_ref())?);
                        value += 1;
                    } else {
                        see(row, &[]);
                    }
                }
                at = end;
            }
        }
        Ok(())
    }

    /// Rows that have one of these texts; none of them may be empty.
    pub(super) fn find(&mut self, rows: &[Range<usize>], wanted: &[Vec<u8>]) -> Result<Selection> {
        let mut found = Selection::new();
        let is_wanted = |text: &[u8]| wanted.iter().any(|w| w == text);
        let mut numbers: Option<Vec<u32>> = None;
        for range in rows {
            let mut at = range.start;
            while at < range.end {
                self.seek(at)?;
                let Some(page) = &self.page else { return Err(broken("it is not there")) };
                let part = at..range.end.min(page.first + page.rows);
                at = part.end;
                match (&page.values, &self.dictionary) {
                    (PageValues::Numbers(values), Some(dictionary)) => {
                        let numbers = numbers.get_or_insert_with(|| {
                            let all = (0u32..).zip(&dictionary.places);
                            all.filter(|(_, p)| is_wanted(cut(&dictionary.bytes, **p)))
                                .map(|(n, _)| n)
                                .collect()
                        });
                        page.find_numbers(part, values, numbers, &mut found);
                    }
                    (values, dictionary) => {
                        let value = page.value(part.start);
                        for (value, row) in (value..).zip(part.filter(|row| page.is_set(*row))) {
                            if is_wanted(values.text(value, dictionary.as_ref())?) {
                                add(&mut found, row);
                            }
                        }
                    }
                }
            }
        }
        Ok(found)
    }
}

impl DataPage {
    fn new(buf: Bytes, rows: usize, encoding: Encoding, nullable: bool, first: usize) -> Result<DataPage> {
        let (set, from) = if nullable { levels(&buf, rows)? } else { (None, 0) };
        let count = set.as_ref().map_or(rows, |s| s.iter().filter(|s| **s).count());
        let bytes = buf.slice(from..);
        let values = match encoding {
            Encoding::PLAIN => PageValues::Plain { places: plain(&bytes, count)?, bytes },
            Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY => {
                let mut values = Vec::with_capacity(count + 8);
                if count > 0 {
                    let (width, packed) = bytes.split_first().ok_or_else(|| broken("no width"))?;
                    hybrid(packed, u32::from(*width), count, &mut values)
                        .ok_or_else(|| broken("its numbers"))?;
                }
                PageValues::Numbers(values)
            }
            other => return Err(broken(&format!("encoding {other}"))),
        };
        Ok(DataPage { first, rows, set, values })
    }

    fn find_numbers(&self, rows: Range<usize>, values: &[u32], wanted: &[u32], found: &mut Selection) {
        // Mostly there is one, and a plain comparison is what the compiler makes fast.
        let one = if let [one] = wanted { Some(*one) } else { None };
        let hit = |v: &u32| one.map_or_else(|| wanted.contains(v), |one| *v == one);
        if wanted.is_empty() {
            return;
        }
        let values = values.get(self.value(rows.start)..).unwrap_or_default();
        match &self.set {
            None => {
                for (row, _) in rows.zip(values).filter(|(_, v)| hit(v)) {
                    add(found, row);
                }
            }
            Some(_) => {
                let set = rows.filter(|row| self.is_set(*row));
                for (row, _) in set.zip(values).filter(|(_, v)| hit(v)) {
                    add(found, row);
                }
            }
        }
    }

    fn is_set(&self, row: usize) -> bool {
        self.set.as_ref().is_none_or(|s| s.get(row - self.first) == Some(&true))
    }

    /// Number of the first value from this row on.
    fn value(&self, row: usize) -> usize {
        let before = row - self.first;
        self.set.as_ref().map_or(before, |s| s.iter().take(before).filter(|s| **s).count())
    }
}

impl PageValues {
    fn text<'a>(&'a self, n: usize, dictionary: Option<&'a Dictionary>) -> Result<&'a [u8]> {
        match self {
            PageValues::Numbers(numbers) => {
                let number = numbers.get(n).ok_or_else(|| broken("too few numbers"))?;
                let dictionary = dictionary.ok_or_else(|| broken("no dictionary"))?;
                let place =
                    dictionary.places.get(*number as usize).ok_or_else(|| broken("beyond its dictionary"))?;
                Ok(cut(&dictionary.bytes, *place))
            }
            PageValues::Plain { bytes, places } => {
                places.get(n).map(|p| cut(bytes, *p)).ok_or_else(|| broken("too few values"))
            }
        }
    }
}

fn cut(bytes: &[u8], (from, to): (u32, u32)) -> &[u8] {
    bytes.get(from as usize..to as usize).unwrap_or_default()
}

/// Places of length-prefixed values.
fn plain(bytes: &[u8], count: usize) -> Result<Vec<(u32, u32)>> {
    let mut places = Vec::with_capacity(count.min(bytes.len() / 4));
    let mut at = 0usize;
    for _ in 0..count {
        let length = bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes);
        let from = at + 4;
        let to = length.and_then(|l| from.checked_add(l as usize)).filter(|to| *to <= bytes.len());
        let to = to.ok_or_else(|| broken("a value is cut short"))?;
        let number = |n: usize| u32::try_from(n).map_err(|_| broken("too large"));
        places.push((number(from)?, number(to)?));
        at = to;
    }
    Ok(places)
}

/// Which rows are set, and where the values begin.
fn levels(bytes: &[u8], rows: usize) -> Result<(Option<Vec<bool>>, usize)> {
    let short = || broken("its levels are cut short");
    let length = bytes.get(..4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes).ok_or_else(short)?;
    let end = 4 + length as usize;
    let packed = bytes.get(4..end).ok_or_else(short)?;
    let mut levels = Vec::with_capacity(rows + 8);
    hybrid(packed, 1, rows, &mut levels).ok_or_else(short)?;
    let all = levels.iter().all(|l| *l == 1);
    Ok((if all { None } else { Some(levels.iter().map(|l| *l == 1).collect()) }, end))
}

/// Runs of one number, and packed numbers in groups of eight.
fn hybrid(mut bytes: &[u8], width: u32, count: usize, out: &mut Vec<u32>) -> Option<()> {
    if width > 32 {
        return None;
    }
    let mask = (1u64 << width) - 1;
    while out.len() < count {
        let mut header = 0u64;
        for shift in (0..).step_by(7) {
            let (byte, rest) = bytes.split_first()?;
            bytes = rest;
            header |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let n = usize::try_from(header >> 1).ok()?;
        if header & 1 == 0 {
            let (value, rest) = bytes.split_at_checked(width.div_ceil(8) as usize)?;
            bytes = rest;
            let value = value.iter().rev().fold(0u32, |v, b| v << 8 | u32::from(*b));
            out.resize(out.len() + n.min(count - out.len()), value);
            continue;
        }
        // The last group may be shorter than it says.
        let length = n.checked_mul(width as usize)?.min(bytes.len());
        let (packed, rest) = bytes.split_at(length);
        bytes = rest;
        let most = n.checked_mul(8)?.min(count - out.len());
        let mut bit = 0usize;
        for _ in 0..most {
            let at = bit / 8;
            let word = match packed.get(at..at + 8).and_then(|b| b.try_into().ok()) {
                Some(word) => u64::from_le_bytes(word),
                None => packed.get(at..)?.iter().rev().fold(0u64, |v, b| v << 8 | u64::from(*b)),
            };
            if bit + width as usize > packed.len() * 8 {
                return None;
            }
            out.push(((word >> (bit % 8)) & mask) as u32);
            bit += width as usize;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_packed_numbers() {
        // The example of the specification: 0 to 7 in three bits each.
        let mut out = Vec::new();
        hybrid(&[0b11, 0b1000_1000, 0b1100_0110, 0b1111_1010], 3, 8, &mut out).expect("whole");
        assert_eq!(out, [0, 1, 2, 3, 4, 5, 6, 7]);
        out.clear();
        hybrid(&[200, 1, 9], 4, 100, &mut out).expect("whole");
        assert_eq!(out, vec![9; 100]);
        out.clear();
        assert_eq!(hybrid(&[0b11, 1], 3, 8, &mut out), None);
        assert_eq!(hybrid(&[0xff; 12], 3, 8, &mut Vec::new()), None);
        assert_eq!(hybrid(&[], 0, 1, &mut Vec::new()), None);
    }
}
