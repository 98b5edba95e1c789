//! Secrets in copies: what a case does not need, and what must not travel with it. Dates, names and public halves stay.

/// The copy with its secrets masked, and how many there were. `None` where nothing had to be masked.
pub(crate) fn mask(path: &[u8], bytes: &[u8]) -> Option<(Vec<u8>, u32)> {
    let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
    // Tables whose first column is a name, which may be any word.
    let tables: [&[u8]; 5] = [b"passwd", b"group", b"subuid", b"subgid", b"nsswitch.conf"];
    if tables.iter().any(|t| name.starts_with(t)) {
        return None;
    }
    let (masked, count) = if name.starts_with(b"shadow") || name.starts_with(b"gshadow") {
        lines(bytes, &mut shadow)
    } else if name.ends_with(b"secrets") {
        lines(bytes, &mut quoted)
    } else {
        let mut within = None;
        lines(bytes, &mut |line| pem(line, &mut within).or_else(|| setting(line)))
    };
    (count > 0).then_some((masked, count))
}

type Line<'l> = &'l mut dyn FnMut(&[u8]) -> Option<Vec<u8>>;

fn lines(bytes: &[u8], replace: Line<'_>) -> (Vec<u8>, u32) {
    let (mut all, mut count) = (Vec::with_capacity(bytes.len()), 0);
    for whole in bytes.split_inclusive(|b| *b == b'\n') {
        let line = whole.strip_suffix(b"\n").unwrap_or(whole);
        match replace(line) {
            Some(new) => {
                count += u32::from(!new.is_empty());
                all.extend_from_slice(&new);
                if !new.is_empty() && line.len() < whole.len() {
                    all.push(b'\n');
                }
            }
            None => all.extend_from_slice(whole),
        }
    }
    (all, count)
}

const MASK: &[u8] = b"[masked]";

/// `name:hash:…`: what kind of hash, and whether the account is locked or has none, is evidence; the hash is not.
fn shadow(line: &[u8]) -> Option<Vec<u8>> {
    let mut fields: Vec<&[u8]> = line.split(|b| *b == b':').collect();
    let hash = *fields.get(1)?;
    let locked = hash.iter().take_while(|b| matches!(b, b'!' | b'*')).count();
    let (lock, rest) = hash.split_at(locked);
    if rest.is_empty() {
        return None;
    }
    let kind: Vec<u8> = match rest.strip_prefix(b"$").map(|r| r.split(|b| *b == b'$').next().unwrap_or(r)) {
        Some(kind) => [b"$", kind, b"$"].concat(),
        None => Vec::new(),
    };
    let new = [lock, kind.as_slice(), MASK].concat();
    *fields.get_mut(1)? = &new;
    Some(fields.join(&b':'))
}

/// Lines of ipsec.secrets and chap-secrets: the words stay, what is quoted or stands last goes.
fn quoted(line: &[u8]) -> Option<Vec<u8>> {
    let text = line.trim_ascii();
    if text.is_empty() || text.starts_with(b"#") || text.starts_with(b"include") {
        return None;
    }
    if let Some(at) = line.iter().position(|b| *b == b'"') {
        return Some([line.get(..at)?, MASK].concat());
    }
    let at = line.trim_ascii_end().iter().rposition(u8::is_ascii_whitespace)?;
    Some([line.get(..=at)?, MASK].concat())
}

/// Private keys between their PEM lines, and OpenVPN's static and inline keys: the marks stay, the body becomes one line.
fn pem(line: &[u8], within: &mut Option<bool>) -> Option<Vec<u8>> {
    let text = line.trim_ascii();
    let has = |what: &[u8]| text.windows(what.len()).any(|w| w == what);
    let secret = || has(b"PRIVATE KEY-----") || has(b"OpenVPN Static key");
    match within {
        None if text.starts_with(b"-----BEGIN") && secret() => {
            *within = Some(false);
            None
        }
        Some(_) if text.starts_with(b"-----END") => {
            *within = None;
            None
        }
        Some(said) => {
            let first = !std::mem::replace(said, true);
            Some(if first { MASK.to_vec() } else { Vec::new() })
        }
        None => None,
    }
}

/// Names of settings that hold a secret.
const SECRET: [&str; 12] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "psk",
    "privatekey",
    "private_key",
    "private-key",
    "presharedkey",
    "authtok",
    "token",
    "api_key",
];

/// `PrivateKey = …`, `password: …`: one word before the sign, so that rules of PAM and sudo stay readable.
fn setting(line: &[u8]) -> Option<Vec<u8>> {
    let sign = line.iter().position(|b| matches!(b, b'=' | b':'))?;
    let (key, value) = (line.get(..sign)?.trim_ascii(), line.get(sign + 1..)?.trim_ascii());
    let word =
        key.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'"' | b'\''));
    if value.is_empty() || key.is_empty() || !word {
        return None;
    }
    let key = String::from_utf8_lossy(key).to_ascii_lowercase();
    SECRET
        .iter()
        .any(|s| key.contains(s))
        .then(|| [line.get(..=sign).unwrap_or_default(), b" ", MASK].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str, expect: Option<&str>) {
        let masked = mask(path.as_bytes(), text.as_bytes()).map(|(b, _)| String::from_utf8(b).expect("text"));
        assert_eq!(masked.as_deref(), expect);
    }

    #[test]
    fn hashes_go_and_dates_stay() {
        check(
            "/etc/shadow",
            "root:$y$j9T$abc$def:19700:0:99999:7:::\na:!$6$x$y:1::::::\nb:*:1::::::\nc::1::::::\nd:!:1:\n",
            Some(
                "root:$y$[masked]:19700:0:99999:7:::\na:!$6$[masked]:1::::::\nb:*:1::::::\nc::1::::::\nd:!:1:\n",
            ),
        );
        check("/etc/shadow-", "a:abcdefghijklm:1:", Some("a:[masked]:1:"));
    }

    #[test]
    fn private_keys_go_and_public_ones_stay() {
        let key = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\nBBBB\n-----END OPENSSH PRIVATE KEY-----\nx\n";
        let left = "-----BEGIN OPENSSH PRIVATE KEY-----\n[masked]\n-----END OPENSSH PRIVATE KEY-----\nx\n";
        check("/root/.ssh/id", key, Some(left));
        check("/x.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", None);
        check(
            "/x",
            "-----BEGIN RSA PRIVATE KEY-----\nAAAA",
            Some("-----BEGIN RSA PRIVATE KEY-----\n[masked]"),
        );
    }

    #[test]
    fn settings() {
        check(
            "/etc/wireguard/wg0.conf",
            "[Interface]\nPrivateKey = abc=\n[Peer]\nPublicKey = def=\nPresharedKey=g\n",
            Some("[Interface]\nPrivateKey = [masked]\n[Peer]\nPublicKey = def=\nPresharedKey= [masked]\n"),
        );
        check("/etc/pam.d/x", "password [success=1 default=ignore] pam_unix.so\nauth x a=b\n", None);
        check("/etc/nsswitch.conf", "passwd: files\n", None);
        check("/etc/passwd", "tokend:x:1:1::/:/bin/sh\n", None);
        check("/etc/ssh/sshd_config", "PasswordAuthentication yes\n", None);
        check(
            "/etc/ipsec.secrets",
            ": PSK \"x y\"\n# : PSK \"z\"\n",
            Some(": PSK [masked]\n# : PSK \"z\"\n"),
        );
        check("/etc/ppp/chap-secrets", "anna * hunter2\n", Some("anna * [masked]\n"));
    }
}
