//! Patterns of plain text: words with places for values, compared from left to right without going back.

/// Between two values there are words; they are what is looked for.
#[derive(Debug)]
pub(crate) struct Pattern {
    /// The words before the first value.
    head: Box<[u8]>,
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    /// Index of the field that takes the value; `None` where it is passed over.
    field: Option<usize>,
    /// Ends at the last place of `then` instead of the first.
    last: bool,
    /// The words that follow; empty where the value runs to the end.
    then: Box<[u8]>,
}

impl Pattern {
    /// `field` gives the index of a named value.
    pub(crate) fn new(text: &str, mut field: impl FnMut(&str) -> usize) -> Result<Pattern, String> {
        let (head, mut rest) = text.split_once('{').map_or((text, None), |(h, r)| (h, Some(r)));
        let mut parts = Vec::new();
        while let Some(open) = rest {
            let (name, after) =
                open.split_once('}').ok_or_else(|| format!("`{text}`: `{{` without its `}}`"))?;
            let (then, next) = after.split_once('{').map_or((after, None), |(t, r)| (t, Some(r)));
            if then.is_empty() && next.is_some() {
                return Err(format!("`{text}`: two values need words between them"));
            }
            let (name, last) = name.strip_suffix('>').map_or((name, false), |n| (n, true));
            let field = (!name.is_empty()).then(|| field(name));
            parts.push(Part { field, last, then: then.as_bytes().into() });
            rest = next;
        }
        Ok(Pattern { head: head.as_bytes().into(), parts })
    }

    /// Does the text match? Values go to `found`, by index of their field.
    pub(crate) fn read<'a>(&self, text: &'a [u8], found: &mut [Option<&'a [u8]>]) -> bool {
        let Some(mut rest) = text.strip_prefix(&*self.head) else { return false };
        for (n, part) in self.parts.iter().enumerate() {
            let is_last = n + 1 == self.parts.len();
            let end = if part.then.is_empty() {
                rest.len()
            } else if is_last && !part.last {
                // The pattern must reach the end: its last words stand there.
                match rest.strip_suffix(&*part.then) {
                    Some(value) => value.len(),
                    None => return false,
                }
            } else {
                let at = if part.last {
                    memchr::memmem::rfind(rest, &part.then)
                } else {
                    crate::decode::find::find(rest, &part.then)
                };
                match at {
                    Some(at) => at,
                    None => return false,
                }
            };
            let (value, after) = rest.split_at(end);
            if let Some(place) = part.field.and_then(|f| found.get_mut(f)) {
                *place = Some(value);
            }
            rest = after.get(part.then.len()..).unwrap_or_default();
        }
        rest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, text: &str, wanted: Option<&[&str]>) {
        let mut names: Vec<String> = Vec::new();
        let pattern = Pattern::new(pattern, |name| {
            names.push(name.to_owned());
            names.len() - 1
        })
        .expect("a pattern");
        let mut found = vec![None; names.len()];
        let matched = pattern.read(text.as_bytes(), &mut found);
        let found: Vec<&str> =
            found.iter().map(|f| std::str::from_utf8(f.unwrap_or_default()).expect("text")).collect();
        assert_eq!(matched.then_some(&found[..]), wanted, "{text}");
    }

    #[test]
    fn words_and_values() {
        check("user {user} from {ip}", "user anna from 192.0.2.1", Some(&["anna", "192.0.2.1"]));
        check("user {user} from {ip} ok", "user anna from 192.0.2.1 ok", Some(&["anna", "192.0.2.1"]));
        check("user {user} from {ip} ok", "user anna from 192.0.2.1 ok then", None);
        check("user {user} from {ip} ok{}", "user anna from 192.0.2.1 ok then", Some(&["anna", "192.0.2.1"]));
        check("{} login {user}", "x login anna", Some(&["anna"]));
        check("plain", "plain", Some(&[]));
        check("plain", "plainly", None);
    }

    #[test]
    fn a_name_cannot_forge_what_follows() {
        let forged = "user x from 198.51.100.9 from 192.0.2.1";
        check("user {user>} from {ip}", forged, Some(&["x from 198.51.100.9", "192.0.2.1"]));
    }

    #[test]
    fn mistakes_are_named() {
        assert!(Pattern::new("a {b", |_| 0).expect_err("open").contains("without"));
        assert!(Pattern::new("a {b}{c}", |_| 0).expect_err("no words").contains("words between"));
    }
}
