//! Where a short word stands in a record. `memmem` builds a searcher for every call, which costs more than the search
//! in texts as short as ours; this looks for the word's rarest byte and compares there.

/// How common a byte is in logs, coarse: 0 for rare ones, 3 for those on every line many times.
const COMMON: [u8; 256] = {
    let mut t = [0u8; 256];
    let often = b" etaoinsrlcd0123";
    let sometimes = b"umpfgh456789.:-\"=,/";
    let rarely = b"bvkwyxjqz_()[]<>|%AESTCDPIFRNLOMU'";
    let mut i = 0;
    while i < rarely.len() {
        t[rarely[i] as usize] = 1;
        i += 1;
    }
    i = 0;
    while i < sometimes.len() {
        t[sometimes[i] as usize] = 2;
        i += 1;
    }
    i = 0;
    while i < often.len() {
        t[often[i] as usize] = 3;
        i += 1;
    }
    t
};

/// First place of `needle` in `text`.
#[inline]
pub fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    let (mut rare, mut rank) = (0, u8::MAX);
    for (n, b) in needle.iter().enumerate() {
        let r = COMMON[usize::from(*b)];
        if r < rank {
            (rare, rank) = (n, r);
        }
    }
    let Some(&byte) = needle.get(rare) else { return Some(0) };
    let last = text.len().checked_sub(needle.len())?;
    // The rare byte of a match lies between these two.
    let mut from = rare;
    while let Some(n) = memchr::memchr(byte, text.get(from..=last + rare)?) {
        let start = from + n - rare;
        if &text[start..start + needle.len()] == needle {
            return Some(start);
        }
        from += n + 1;
    }
    None
}

/// Does the text begin with one of these?
pub(crate) fn begins_with(text: &[u8], any: &[&[u8]]) -> bool {
    any.iter().any(|start| text.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn the_same_as_memmem() {
        let texts: [&[u8]; 6] = [
            b"",
            b"a",
            b"abcabcab",
            b" from 192.0.2.1 port 22",
            b"%ASA-6-302013: x",
            b"CISE_CISE_x CISE_Passed",
        ];
        let needles: [&[u8]; 9] =
            [b"a", b"abc", b"cab", b" from ", b"CISE_P", b"22", b"x", b"zz", b"abcabcabc"];
        for text in texts {
            for needle in needles {
                assert_eq!(find(text, needle), memchr::memmem::find(text, needle), "{text:?} {needle:?}");
            }
        }
        assert_eq!(find(b"abc", b""), Some(0));
    }
}
