//! `log_sources.csv`: which product and zone a file has, by path, pattern, folder, or the name it had before rotation.

use crate::error::Problem;
use crate::rows::each;
use std::path::Path;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSource {
    /// Name of the product; empty where none is given.
    pub source: String,
    /// IANA name or offset.
    pub timezone: Option<String>,
    pub notes: String,
}

#[derive(Clone, Debug, Default)]
pub struct LogSources {
    entries: Vec<(String, LogSource)>,
}

impl LogSources {
    /// `products` are the names that decide. A column filled in the site's own words is no mistake and decides
    /// nothing; a name that is nearly one of them is told.
    pub(crate) fn load(
        path: &Path,
        products: &[&str],
        problems: &mut Vec<Problem>,
        warnings: &mut Vec<String>,
    ) -> LogSources {
        let mut entries = Vec::new();
        each(path, &["file"], problems, |row| {
            let zone = row.get("timezone");
            if !zone.is_empty() && jiff::tz::TimeZone::get(zone).is_err() && !zone.starts_with(['+', '-']) {
                return Err(
                    row.problem(format!("`timezone` is no zone: {zone}; write Europe/Berlin, UTC or +02:00"))
                );
            }
            let product = row.get("source");
            if !product.is_empty()
                && !products.contains(&product)
                && let Some(like) = nearest(product, products)
            {
                let problem = row.problem(format!(
                    "`source` names no product: {product}; did you mean {like}? (`portreeve sources` lists them)"
                ));
                warnings.push(problem.to_string());
            }
            let source = LogSource {
                source: product.to_owned(),
                timezone: (!zone.is_empty()).then(|| zone.to_owned()),
                notes: row.get("notes").to_owned(),
            };
            entries.push((row.need("file")?.replace('\\', "/"), source));
            Ok(())
        });
        LogSources { entries }
    }

    /// What is declared for a file below the hunted folder.
    pub fn lookup(&self, relative_path: &str) -> Option<&LogSource> {
        let base = |p: &str| p.rsplit('/').next().unwrap_or(p).to_owned();
        let exact = self.entries.iter().find(|(p, _)| p == relative_path);
        let pattern = || {
            self.entries
                .iter()
                .find(|(p, _)| p.contains(['*', '?']) && glob(p.as_bytes(), relative_path.as_bytes()))
        };
        let stem = unrotated(relative_path);
        let rotated = || self.entries.iter().find(|(p, _)| unrotated(p) == stem);
        let folder = || {
            self.entries.iter().find(|(p, _)| {
                p.ends_with('/')
                    && (relative_path.starts_with(p.as_str()) || relative_path.contains(&format!("/{p}")))
            })
        };
        // The hunted folder may lie above or below the one that the list was written for.
        let name = base(&stem);
        let by_name =
            || self.entries.iter().find(|(p, _)| !p.contains(['*', '?']) && base(&unrotated(p)) == name);
        exact.or_else(pattern).or_else(rotated).or_else(folder).or_else(by_name).map(|(_, s)| s)
    }
}

/// The name that differs least, where it differs little.
fn nearest<'n>(name: &str, among: &[&'n str]) -> Option<&'n str> {
    let name = name.to_ascii_lowercase().replace([' ', '-'], "_");
    let least = among.iter().map(|n| (edits(name.as_bytes(), n.as_bytes()), *n)).min()?;
    (least.0 <= 1 + name.len() / 4).then_some(least.1)
}

/// Letters to change, add or leave out between two words.
fn edits(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (n, from) in a.iter().enumerate() {
        let mut before = n;
        let mut left = n + 1;
        for (cell, to) in row.iter_mut().skip(1).zip(b) {
            let changed = before + usize::from(from != to);
            before = *cell;
            left = changed.min(before + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = n + 1;
        }
    }
    row.last().copied().unwrap_or(a.len())
}

/// The name before rotation and compression: `a.log.1.gz`, `a.log-20261006.gz` and `a-20261006.log` are all `a.log`.
fn unrotated(path: &str) -> String {
    let (folder, mut name) = match path.rsplit_once('/') {
        Some((folder, name)) => (format!("{folder}/"), name.to_owned()),
        None => (String::new(), path.to_owned()),
    };
    for ending in [".gz", ".zst", ".bz2", ".xz", ".zip"] {
        if let Some(bare) = name.strip_suffix(ending) {
            name = bare.to_owned();
        }
    }
    let digits = |s: &str| !s.is_empty() && s.chars().all(|c| c.is_ascii_digit() || c == '-' || c == '_');
    if let Some((bare, tail)) = name.rsplit_once('.')
        && digits(tail)
    {
        name = bare.to_owned();
    }
    if let Some((bare, tail)) = name.rsplit_once('-')
        && tail.len() >= 6
        && digits(tail)
    {
        name = bare.to_owned();
    }
    // A date before the ending.
    if let Some((stem, ending)) = name.rsplit_once('.')
        && let Some((bare, tail)) = stem.rsplit_once(['-', '_', '.'])
        && tail.len() >= 6
        && digits(tail)
    {
        name = format!("{bare}.{ending}");
    }
    folder + &name
}

/// `*` within a name, `**` across folders, `?` one character.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*', b'*', rest @ ..] => {
            let rest = rest.strip_prefix(b"/").unwrap_or(rest);
            (0..=text.len()).any(|n| glob(rest, &text[n..]))
        }
        [b'*', rest @ ..] => {
            let end = text.iter().position(|b| *b == b'/').unwrap_or(text.len());
            (0..=end).any(|n| glob(rest, &text[n..]))
        }
        [b'?', rest @ ..] => !text.is_empty() && text[0] != b'/' && glob(rest, &text[1..]),
        [p, rest @ ..] => text.first() == Some(p) && glob(rest, &text[1..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_nearly_right() {
        let known = ["cisco_asa", "cisco_ise", "openssh"];
        let of = |n: &str| nearest(n, &known);
        assert_eq!(of("cisco-asa"), Some("cisco_asa"));
        assert_eq!(of("Cisco ISE"), Some("cisco_ise"));
        assert_eq!(of("opensh"), Some("openssh"));
        assert_eq!(of("netscaler"), None);
        assert_eq!((edits(b"abc", b""), edits(b"", b"abc"), edits(b"kitten", b"sitting")), (3, 3, 3));
    }

    #[test]
    fn files_and_their_rotated_kin() {
        let source = |name: &str| LogSource { source: name.to_owned(), timezone: None, notes: String::new() };
        let list = LogSources {
            entries: [
                ("asa.log", "a"),
                ("linux/web-auth.log", "b"),
                ("cloudtrail/", "c"),
                ("okta*.ndjson", "d"),
                ("deep/**/x.log", "e"),
            ]
            .iter()
            .map(|(p, s)| ((*p).to_owned(), source(s)))
            .collect(),
        };
        let of = |p: &str| list.lookup(p).map_or("-", |s| s.source.as_str()).to_owned();
        for path in [
            "asa.log",
            "asa.log.1.gz",
            "asa.log.2",
            "asa.log-20261006.gz",
            "asa-20261006.log.gz",
            "logs/asa.log",
        ] {
            assert_eq!(of(path), "a", "{path}");
        }
        assert_eq!(of("linux/web-auth.log.1.gz"), "b");
        assert_eq!(of("cloudtrail/2026/x.json.gz"), "c");
        assert_eq!(of("okta-2026.ndjson"), "d");
        assert_eq!(of("deep/1/2/x.log"), "e");
        assert_eq!(of("other.log"), "-");
    }
}
