//! Archives of `portreeve collect`: what lies under `logs/` is for a hunt; the copies of configuration, lists and the
//! package's own files are no records of anybody.

/// How a package's manifest begins, and the entry that it is, which comes first.
const MANIFEST: &str = "/manifest.json";
const FORMAT: &[u8] = b"\"format\": \"portreeve-package/";

/// Bytes of the first entry that tell.
pub(crate) const LOOKED_AT: usize = 64;

/// What is known of an archive while its entries are read.
#[derive(Default)]
pub(crate) struct Package {
    /// `NAME/logs/`, in a package.
    logs: Option<String>,
    left_out: usize,
}

impl Package {
    /// Looks at the first entry.
    pub(crate) fn begin(&mut self, name: &str, head: &[u8]) {
        if let Some(top) = name.strip_suffix(MANIFEST)
            && !top.contains('/')
            && head.windows(FORMAT.len()).any(|w| w == FORMAT)
        {
            self.logs = Some(format!("{top}/logs/"));
        }
    }

    /// Whether an entry is for a hunt.
    pub(crate) fn reads(&mut self, name: &str) -> bool {
        let reads = self.logs.as_ref().is_none_or(|logs| name.starts_with(logs));
        self.left_out += usize::from(!reads);
        reads
    }

    /// For people.
    pub(crate) fn note(&self) -> Option<String> {
        self.logs.as_ref().map(|_| {
            format!(
                "a package of portreeve collect: logs/ was read, {} other files are no logs",
                self.left_out
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_logs_of_a_package() {
        let mut package = Package::default();
        package.begin("gw1/manifest.json", b"{\n  \"format\": \"portreeve-package/1\",");
        assert!(!package.reads("gw1/manifest.json"));
        assert!(!package.reads("gw1/files/etc/passwd"));
        assert!(package.reads("gw1/logs/var/log/auth.log"));
        assert!(package.note().is_some_and(|n| n.contains(" 2 other files")));
    }

    #[test]
    fn all_of_any_other_archive() {
        for (name, head) in [
            ("a/manifest.json", &b"{\"format\": \"x\""[..]),
            ("a/b/manifest.json", FORMAT),
            ("a.log", FORMAT),
        ] {
            let mut package = Package::default();
            package.begin(name, head);
            assert!(package.reads("files/etc/passwd"));
            assert_eq!(package.note(), None);
        }
    }
}
