//! Patterns over paths as bytes: `*` and `?` within a component, `**` for any depth.

/// An absolute pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Glob {
    parts: Vec<Vec<u8>>,
}

impl Glob {
    pub(crate) fn new(pattern: &[u8]) -> Glob {
        Glob { parts: split(pattern).map(<[u8]>::to_vec).collect() }
    }

    /// The folder in which to begin, and how many levels below it can match; `None` for any depth.
    pub(crate) fn base(&self) -> (Vec<u8>, Option<u32>) {
        let plain = self.parts.iter().take_while(|p| !p.iter().any(|b| matches!(b, b'*' | b'?'))).count();
        // A pattern without a joker is looked for in its folder.
        let plain = plain.min(self.parts.len().saturating_sub(1));
        let mut base = Vec::new();
        for part in self.parts.iter().take(plain) {
            base.push(b'/');
            base.extend_from_slice(part);
        }
        if base.is_empty() {
            base.push(b'/');
        }
        let deep = self.parts.iter().any(|p| p == b"**");
        (base, (!deep).then(|| u32::try_from(self.parts.len() - plain).unwrap_or(u32::MAX)))
    }

    pub(crate) fn matches(&self, path: &[u8]) -> bool {
        let path: Vec<&[u8]> = split(path).collect();
        whole(&self.parts, &path)
    }

    /// Whether something below this folder can match.
    pub(crate) fn enters(&self, folder: &[u8]) -> bool {
        for (n, part) in split(folder).enumerate() {
            match self.parts.get(n) {
                Some(p) if p == b"**" => return true,
                Some(p) if one(p, part) => {}
                _ => return false,
            }
        }
        split(folder).count() < self.parts.len()
    }
}

fn split(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|b| *b == b'/').filter(|p| !p.is_empty())
}

fn whole(pattern: &[Vec<u8>], path: &[&[u8]]) -> bool {
    match (pattern, path) {
        ([], []) => true,
        ([first, rest @ ..], _) if first == b"**" => {
            (usize::from(rest.is_empty())..=path.len()).any(|n| path.get(n..).is_some_and(|p| whole(rest, p)))
        }
        ([first, rest @ ..], [part, after @ ..]) => one(first, part) && whole(rest, after),
        _ => false,
    }
}

/// One component, in linear time: on a mismatch the last `*` takes one more byte.
fn one(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(b) if *b == b'?' || Some(b) == text.get(t) => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|b| *b == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, path: &str, expect: bool) {
        assert_eq!(Glob::new(pattern.as_bytes()).matches(path.as_bytes()), expect, "{pattern} on {path}");
    }

    #[test]
    fn components_and_depth() {
        check("/etc/passwd", "/etc/passwd", true);
        check("/etc/passwd", "/etc/passwd-", false);
        check("/etc/passwd*", "/etc/passwd-", true);
        check("/home/*/.ssh/*", "/home/a/.ssh/id", true);
        check("/home/*/.ssh/*", "/home/a/b/.ssh/id", false);
        check("/var/log/**", "/var/log/a", true);
        check("/var/log/**", "/var/log/a/b/c", true);
        check("/var/log/**", "/var/log", false);
        check("/var/**/x", "/var/x", true);
        check("/var/**/x", "/var/a/b/x", true);
        check("/a/*a*b", "/a/aaab", true);
        check("/a/*a*b", "/a/aaac", false);
        check("/a/?", "/a/", false);
    }

    #[test]
    fn where_to_begin_and_where_to_go() {
        let at = |p: &str| Glob::new(p.as_bytes()).base();
        assert_eq!(at("/etc/passwd"), (b"/etc".to_vec(), Some(1)));
        assert_eq!(at("/home/*/.ssh/*"), (b"/home".to_vec(), Some(3)));
        assert_eq!(at("/var/log/**"), (b"/var/log".to_vec(), None));
        assert_eq!(at("/x"), (b"/".to_vec(), Some(1)));
        let ssh = Glob::new(b"/home/*/.ssh/*");
        assert!(ssh.enters(b"/home/a") && ssh.enters(b"/home/a/.ssh"));
        assert!(!ssh.enters(b"/home/a/.cache") && !ssh.enters(b"/home/a/.ssh/x"));
        assert!(Glob::new(b"/var/log/**").enters(b"/var/log/a/b"));
    }
}
