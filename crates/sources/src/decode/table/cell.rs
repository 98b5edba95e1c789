//! One cell of a row, quoted or not, and text as it stands in a JSON string.

/// Calls with number and text of each cell, a doubled quote made one. True where a quote is still open at the end.
pub(super) fn each_cell(row: &[u8], by: u8, with: &mut dyn FnMut(usize, &[u8])) -> bool {
    let (mut at, mut n) = (0, 0);
    let mut cell = Vec::new();
    loop {
        cell.clear();
        let next = one_cell(row, at, by, &mut |part| cell.extend_from_slice(part));
        let Some(next) = next else {
            with(n, &cell);
            return true;
        };
        with(n, &cell);
        if next >= row.len() {
            return false;
        }
        at = next + 1;
        n += 1;
    }
}

/// Gives one cell in parts; returns where it ends, at a separator or the end of the row; `None` where its quote is open.
#[inline]
pub(super) fn one_cell(row: &[u8], at: usize, by: u8, part: &mut dyn FnMut(&[u8])) -> Option<usize> {
    let end_from = |at: usize| memchr::memchr(by, &row[at..]).map_or(row.len(), |n| at + n);
    let mut from = at;
    // `a, "b, c"`: a blank before the quote.
    if by != b'\t' {
        while row.get(from) == Some(&b' ') {
            from += 1;
        }
    }
    if row.get(from) != Some(&b'"') {
        let end = end_from(at);
        let cell = row[at..end].trim_ascii();
        if !cell.is_empty() {
            part(cell);
        }
        return Some(end);
    }
    from += 1;
    loop {
        let Some(quote) = memchr::memchr(b'"', &row[from..]).map(|n| from + n) else {
            part(&row[from..]);
            return None;
        };
        if row.get(quote + 1) == Some(&b'"') {
            part(&row[from..=quote]);
            from = quote + 2;
            continue;
        }
        if quote > from {
            part(&row[from..quote]);
        }
        // Text between the closing quote and the separator belongs to nobody's format, and is kept.
        let end = end_from(quote + 1);
        let stray = row[quote + 1..end].trim_ascii();
        if !stray.is_empty() {
            part(stray);
        }
        return Some(end);
    }
}

/// Is a quote open at the end of this line, if it was at its beginning?
pub(super) fn open_after(line: &[u8], open: bool, by: u8) -> bool {
    let mut at = 0;
    if open {
        loop {
            let Some(quote) = memchr::memchr(b'"', &line[at..]).map(|n| at + n) else { return true };
            at = quote + 1;
            if line.get(at) == Some(&b'"') {
                at += 1;
                continue;
            }
            match memchr::memchr(by, &line[at..]) {
                Some(n) => at += n + 1,
                None => return false,
            }
            break;
        }
    }
    loop {
        let Some(next) = one_cell(line, at, by, &mut |_| {}) else { return true };
        if next >= line.len() {
            return false;
        }
        at = next + 1;
    }
}

/// Bytes that a JSON string escapes.
const ESCAPED: [bool; 256] = {
    let mut t = [false; 256];
    let mut i = 0;
    while i < 0x20 {
        t[i] = true;
        i += 1;
    }
    t[b'"' as usize] = true;
    t[b'\\' as usize] = true;
    t
};

/// Appends text as it stands inside the quotes of a JSON string.
pub(crate) fn escape(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(n) = rest.iter().position(|b| ESCAPED[usize::from(*b)]) {
        out.extend_from_slice(&rest[..n]);
        match rest[n] {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(b >> 4)]);
                out.push(HEX[usize::from(b & 15)]);
            }
        }
        rest = &rest[n + 1..];
    }
    out.extend_from_slice(rest);
}
