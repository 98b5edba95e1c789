//! KAPE's list of what it copied, with SHA-1 and times: held against what is in the collection now.

use std::collections::BTreeMap;

#[derive(Default)]
pub(super) struct CopyLog {
    /// By path on the host, in lower case.
    rows: BTreeMap<String, Row>,
}

struct Row {
    size: Option<u64>,
    sha1: String,
    modified: Option<String>,
}

/// What the list says about a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) text: String,
    /// Where the file is not what was copied.
    pub(super) wrong: Option<String>,
    pub(super) modified: Option<String>,
}

impl CopyLog {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
        let Ok(headers) = reader.headers().cloned() else { return };
        let column = |name: &str| headers.iter().position(|h| h.trim() == name);
        let (Some(source), size, sha1, modified) =
            (column("SourceFile"), column("FileSize"), column("SourceFileSha1"), column("ModifiedOnUtc"))
        else {
            return;
        };
        for row in reader.records().flatten() {
            let cell = |at: Option<usize>| at.and_then(|n| row.get(n)).map(str::trim).unwrap_or_default();
            let key = row.get(source).unwrap_or_default().to_ascii_lowercase();
            let time = format!("{}Z", cell(modified).replacen(' ', "T", 1));
            let row = Row {
                size: cell(size).parse().ok(),
                sha1: cell(sha1).to_ascii_lowercase(),
                modified: crate::pack::parse(&time).map(|t| t.to_string()),
            };
            self.rows.insert(key, row);
        }
    }

    pub(super) fn says(&self, place: &[String], size: u64, sha1: &str) -> Option<Said> {
        let (drive, rest) = place.split_first()?;
        let row = self.rows.get(&format!("{drive}:\\{}", rest.join("\\")).to_ascii_lowercase())?;
        let is_hash = row.sha1.len() == 40;
        let wrong = if is_hash && row.sha1 != sha1 {
            Some(format!("SHA-1 {}, and it is {sha1}", row.sha1))
        } else if row.size.is_some_and(|s| s != size) {
            Some(format!("{} bytes, and it has {size}", row.size.unwrap_or(0)))
        } else {
            None
        };
        let text = match (&wrong, is_hash) {
            (Some(_), _) => "KAPE: it is not what was copied",
            (None, true) => "KAPE: SHA-1 agrees with its copy log",
            (None, false) => "KAPE: named in its copy log, without a SHA-1",
        };
        Some(Said { text: text.to_owned(), wrong, modified: row.modified.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_that_is_not_what_was_copied() {
        let mut log = CopyLog::default();
        let sum = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
        log.add(
            format!(
                "\u{feff}CopiedTimestamp,SourceFile,DestinationFile,FileSize,SourceFileSha1,DeferredCopy,CreatedOnUtc,ModifiedOnUtc\n\
                 x,C:\\Windows\\A.evtx,D:\\o\\C\\Windows\\A.evtx,0,{},False,x,2026-11-27 10:00:00.1234567\n",
                sum.to_ascii_uppercase()
            )
            .as_bytes(),
        );
        let place = ["C", "Windows", "a.evtx"].map(str::to_owned);
        let said = log.says(&place, 0, sum).expect("a row");
        assert_eq!((said.wrong, said.modified.as_deref()), (None, Some("2026-11-27T10:00:00.123456Z")));
        assert!(log.says(&place, 0, &"0".repeat(40)).is_some_and(|s| s.wrong.is_some()));
        assert!(log.says(&place, 1, sum).is_some_and(|s| s.wrong.is_some()));
        assert_eq!(log.says(&["D".to_owned(), "x".to_owned()], 0, sum), None);
    }
}
