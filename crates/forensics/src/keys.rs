//! Where sshd looks for keys: the usual places, and those that its configuration names.

/// Patterns of files that decide who gets in by key, out of all configuration of sshd on the host. Match blocks are not
/// weighed: a file that any of them names is worth reading.
pub(crate) fn patterns(configuration: &[Vec<u8>]) -> Vec<String> {
    let mut all = vec!["~/.ssh/authorized_keys".to_owned(), "~/.ssh/authorized_keys2".to_owned()];
    for text in configuration {
        for line in String::from_utf8_lossy(text).lines() {
            let mut words = line.split(['=', ' ', '\t']).filter(|w| !w.is_empty());
            let Some(keyword) = words.next().map(str::to_ascii_lowercase) else { continue };
            match keyword.as_str() {
                "authorizedkeysfile" | "authorizedprincipalsfile" => all.extend(words.filter_map(pattern)),
                "authorizedkeyscommand"
                | "authorizedprincipalscommand"
                | "trustedusercakeys"
                | "revokedkeys" => {
                    all.extend(words.next().and_then(pattern));
                }
                _ => {}
            }
        }
    }
    all.sort();
    all.dedup();
    all
}

/// Tokens of sshd_config(5): `%u` and `%U` are any account, `%h` its home.
fn pattern(word: &str) -> Option<String> {
    let word = word.trim_matches('"');
    if word.is_empty() || word.eq_ignore_ascii_case("none") || word.contains("..") {
        return None;
    }
    let mut text = String::new();
    let mut chars = word.chars();
    while let Some(c) = chars.next() {
        match c {
            '%' => match chars.next() {
                Some('u' | 'U') => text.push('*'),
                Some('h') if text.is_empty() => text.push('~'),
                Some('%') => text.push('%'),
                _ => return None,
            },
            c => text.push(c),
        }
    }
    Some(if text.starts_with('/') || text.starts_with("~/") { text } else { format!("~/{text}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_that_the_configuration_names() {
        let text = b"AuthorizedKeysFile /etc/ssh/keys/%u .ssh/ak %h/.keys none\n#AuthorizedKeysFile /no\n\
            Match User x\n\tauthorizedkeysfile=\"/srv/../x\" \"/srv/k\"\nTrustedUserCAKeys /etc/ssh/ca.pub\n\
            AuthorizedKeysCommand /usr/bin/fetch %u\n"
            .to_vec();
        assert_eq!(
            patterns(&[text]),
            [
                "/etc/ssh/ca.pub",
                "/etc/ssh/keys/*",
                "/srv/k",
                "/usr/bin/fetch",
                "~/.keys",
                "~/.ssh/ak",
                "~/.ssh/authorized_keys",
                "~/.ssh/authorized_keys2",
            ]
        );
    }
}
