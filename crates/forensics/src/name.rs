//! Names inside a package: any name a host may have, written so that no tool that reads the package can be misled.

use sha2::{Digest, Sha256};

/// Longest component that is written as it is; longer ones are cut and told apart by their hash.
const LONGEST: usize = 180;

/// A path inside a package: relative, `/` between components, no `.` or `..`, no control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub(crate) struct PackagePath(String);

impl PackagePath {
    /// A name of our own.
    pub(crate) fn own(name: &'static str) -> PackagePath {
        PackagePath(name.to_owned())
    }

    /// `folder`, and below it the path that something has on the host. `None` where nothing of the path is left.
    pub(crate) fn below(folder: &str, path: &[u8]) -> Option<PackagePath> {
        let mut text = folder.to_owned();
        let mut parts = 0;
        for part in path.split(|b| *b == b'/').filter(|p| !p.is_empty() && *p != b".") {
            text.push('/');
            text.push_str(&component(part));
            parts += 1;
        }
        (parts > 0 && text.len() < 3_000).then_some(PackagePath(text))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads a path out of a package; `None` where no package of ours can hold it.
    pub(crate) fn read(text: &str) -> Option<PackagePath> {
        let fine = !text.is_empty()
            && text.split('/').all(|p| !p.is_empty() && p != "." && p != "..")
            && !text.chars().any(|c| c.is_control() || c == '\\');
        fine.then(|| PackagePath(text.to_owned()))
    }
}

impl std::fmt::Display for PackagePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Letters, digits and the usual marks stay; whatever could forge a line, an option or a direction of writing becomes
/// `%XX` of its bytes.
fn component(part: &[u8]) -> String {
    let mut text = String::with_capacity(part.len());
    if part == b".." {
        return "%2E%2E".to_owned();
    }
    for chunk in part.utf8_chunks() {
        for c in chunk.valid().chars() {
            let leads = text.is_empty() && c == '-';
            if !leads && (c.is_alphanumeric() || " !#$&'()+,-./:;=@[]^_`{}~".contains(c)) {
                text.push(c);
            } else {
                escape(c.encode_utf8(&mut [0; 4]).as_bytes(), &mut text);
            }
        }
        escape(chunk.invalid(), &mut text);
    }
    if text.len() <= LONGEST {
        return text;
    }
    let end = (0..=LONGEST - 20).rev().find(|n| text.is_char_boundary(*n)).unwrap_or(0);
    let hash = hex(&Sha256::digest(part));
    format!("{}~{}", &text[..end], hash.get(..16).unwrap_or_default())
}

fn escape(bytes: &[u8], to: &mut String) {
    for b in bytes {
        to.push_str(&format!("%{b:02X}"));
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &[u8], expect: &str) {
        assert_eq!(PackagePath::below("files", path).expect("a path").as_str(), expect);
    }

    #[test]
    fn ordinary_names_stay() {
        check(b"/etc/ssh/sshd_config", "files/etc/ssh/sshd_config");
        check("/home/jürgen/.ssh/id_ed25519.pub".as_bytes(), "files/home/jürgen/.ssh/id_ed25519.pub");
        check(b"C/Windows/System32/x y.evtx", "files/C/Windows/System32/x y.evtx");
    }

    #[test]
    fn hostile_names_lose_their_edge() {
        check(b"/tmp/a\nb", "files/tmp/a%0Ab");
        check(b"/tmp/\x1b[31m", "files/tmp/%1B[31m");
        check(b"/tmp/-rf", "files/tmp/%2Drf");
        check(b"/tmp/a\\b\"c%41*?|<", "files/tmp/a%5Cb%22c%2541%2A%3F%7C%3C");
        check(b"/tmp/\xff\xfe", "files/tmp/%FF%FE");
        check("/tmp/\u{202e}cod.exe".as_bytes(), "files/tmp/%E2%80%AEcod.exe");
        check(b"/../../etc/passwd", "files/%2E%2E/%2E%2E/etc/passwd");
        assert_eq!(PackagePath::below("files", b"///./"), None);
    }

    #[test]
    fn long_names_are_cut_and_stay_apart() {
        let (a, b) = (vec![b'\n'; 255], vec![b'\n'; 254]);
        let (a, b) = (PackagePath::below("f", &a).expect("a"), PackagePath::below("f", &b).expect("b"));
        assert_ne!(a, b);
        assert!(a.as_str().len() < 200, "{a}");
    }

    proptest::proptest! {
        #[test]
        fn whatever_the_name_it_reads_back(path in proptest::collection::vec(proptest::num::u8::ANY, 1..400)) {
            if let Some(name) = PackagePath::below("files", &path) {
                proptest::prop_assert_eq!(PackagePath::read(name.as_str()), Some(name));
            }
        }
    }
}
