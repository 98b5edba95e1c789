//! The key revocation list of sshd. A file that is cut or broken locks everybody out, so it is made beside, tested,
//! and renamed into its place.

use super::{Host, Sshd};
use crate::connector::{Ability, Ack, Effect, Seen};
use crate::fault::Fault;
use crate::transport::command::Argv;
use crate::value::KeyId;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::json;

/// `SHA256:` and 43 digits of base64, as sshd logs a key.
fn fingerprint(id: &KeyId) -> Result<&str, Fault> {
    let digits = id.raw().strip_prefix("SHA256:").unwrap_or_default();
    let digit = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    if digits.len() == 43 && digits.bytes().all(digit) {
        return Ok(id.raw());
    }
    Err(Fault::Unsupported(format!("{id}: an SSH key is named by its fingerprint, SHA256:…")))
}

fn path(sshd: &Sshd) -> Result<&str, Fault> {
    sshd.krl.as_deref().ok_or_else(|| Fault::Config("sshd: `krl` is not set".into()))
}

fn beside(path: &str) -> String {
    format!("{path}.portreeve-new")
}

/// What a list holds, as its own tool lists it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Listed {
    fingerprints: Vec<String>,
    /// Something that the listing shows and that cannot be made from it: certificates, SHA1 hashes.
    more: Option<String>,
}

fn listed(text: &str) -> Listed {
    let mut found = Listed::default();
    for line in text.lines().map(str::trim) {
        let head = ["# KRL version", "# Generated at", "# Comment:"].iter().any(|h| line.starts_with(h));
        if line.is_empty() || head {
            continue;
        }
        match line.strip_prefix("hash: SHA256:").and_then(|rest| rest.split_whitespace().next()) {
            Some(digest) => found.fingerprints.push(format!("SHA256:{}", base64(digest))),
            None => found.more = Some(line.chars().take(80).collect()),
        }
    }
    found.fingerprints.sort();
    found.fingerprints.dedup();
    found
}

/// The listing writes whole keys' digests as base64, and bare digests as 64 hexadecimal digits, which no other part of
/// OpenSSH reads.
fn base64(digest: &str) -> String {
    let nibbles: Option<Vec<u8>> = digest.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect();
    match nibbles {
        Some(nibbles) if nibbles.len() == 64 => {
            let bytes: Vec<u8> =
                nibbles.chunks_exact(2).map(|pair| pair.iter().fold(0, |n, d| n << 4 | d)).collect();
            STANDARD_NO_PAD.encode(bytes)
        }
        _ => digest.to_owned(),
    }
}

/// `ssh-keygen` by way of xargs, see `sshd::PROGRAM`.
fn keygen() -> Argv {
    Argv::new("xargs").args(&["-a", "/dev/null", "ssh-keygen"])
}

/// Lists the file; a file that `ssh-keygen` cannot read, sshd cannot read either.
fn list(host: &Host, path: &str) -> Result<Listed, Fault> {
    let output = host.ask(&keygen().args(&["-Q", "-l", "-f"]).setting(path)?)?;
    if output.ok() {
        return Ok(listed(&output.out));
    }
    Err(Fault::Refused(format!("{path} is no key revocation list that can be read: {}", output.complaint())))
}

/// sshd must look at this file.
fn in_use(host: &Host, sshd: &Sshd) -> Result<String, Fault> {
    let path = path(sshd)?;
    match sshd.setting(host, "revokedkeys")? {
        Some(used) if used == path => Ok(path.to_owned()),
        Some(used) => Err(Fault::Refused(format!("RevokedKeys of sshd is {used}, not {path}"))),
        None => Err(Fault::Refused(format!("sshd has no RevokedKeys; set it to {path}"))),
    }
}

pub(super) fn read(host: &Host, sshd: &Sshd, id: &KeyId) -> Result<Seen, Fault> {
    let fingerprint = fingerprint(id)?;
    let path = in_use(host, sshd)?;
    let there = list(host, &path)?.fingerprints.iter().any(|f| f == fingerprint);
    Ok(Seen {
        ids: vec![fingerprint.to_owned()],
        in_force: there,
        before: json!({"revoked": there}),
        says: if there { format!("{id} is revoked already") } else { format!("{id} is not in {path}") },
        also_hits: Vec::new(),
    })
}

pub(super) fn preview(sshd: &Sshd, id: &KeyId) -> Result<Vec<String>, Fault> {
    let (path, fingerprint) = (path(sshd)?, fingerprint(id)?);
    let new = beside(path);
    Ok(vec![
        Argv::new("cp").arg("-pT").setting(path)?.setting(&new)?.shown(),
        format!(
            "{} < \"hash: {fingerprint}\"",
            keygen().args(&["-k", "-u", "-f"]).setting(&new)?.arg("-").shown()
        ),
        keygen().args(&["-Q", "-l", "-f"]).setting(&new)?.shown(),
        Argv::new("mv").arg("-fT").setting(&new)?.setting(path)?.shown(),
    ])
}

/// Makes the new list beside the old one, sees that it holds what it should, and only then renames it.
fn replace(host: &Host, path: &str, update: bool, lines: &str, expect: &Listed) -> Result<(), Fault> {
    let new = beside(path);
    // With owner and mode of the old one.
    host.act(&Argv::new("cp").arg("-pT").setting(path)?.setting(&new)?, b"")?;
    let make = if update { &["-k", "-u", "-f"][..] } else { &["-k", "-f"] };
    host.act(&keygen().args(make).setting(&new)?.arg("-"), lines.as_bytes())?;
    let made = list(host, &new)?;
    if made.fingerprints != expect.fingerprints || made.more.is_some() != expect.more.is_some() {
        host.act(&Argv::new("rm").arg("-f").setting(&new)?, b"")?;
        return Err(Fault::Refused(
            "ssh-keygen made another list than it was asked for; the old one stays".into(),
        ));
    }
    host.act(&Argv::new("mv").arg("-fT").setting(&new)?.setting(path)?, b"").map(|_| ())
}

pub(super) fn apply(host: &Host, sshd: &Sshd, id: &KeyId) -> Result<Ack, Fault> {
    let fingerprint = fingerprint(id)?;
    let path = in_use(host, sshd)?;
    let mut expect = list(host, &path)?;
    if expect.fingerprints.iter().any(|f| f == fingerprint) {
        return Ok(Ack::says("was revoked already"));
    }
    expect.fingerprints.push(fingerprint.to_owned());
    expect.fingerprints.sort();
    replace(host, &path, true, &format!("hash: {fingerprint}\n"), &expect)?;
    Ok(Ack::says(format!("the new list is in its place, with {} keys", expect.fingerprints.len())))
}

pub(super) fn verify(host: &Host, sshd: &Sshd, id: &KeyId) -> Result<Effect, Fault> {
    let path = in_use(host, sshd)?;
    let there = list(host, &path)?.fingerprints.iter().any(|f| f == id.raw());
    Ok(if there {
        Effect::Effective(format!("{path}, which sshd reads at each login, holds {id}"))
    } else {
        Effect::NotEffective(format!("{path} does not hold {id}"))
    })
}

pub(super) fn undo(host: &Host, sshd: &Sshd, id: &KeyId) -> Result<Ack, Fault> {
    let fingerprint = fingerprint(id)?;
    let path = in_use(host, sshd)?;
    let mut rest = list(host, &path)?;
    let count = rest.fingerprints.len();
    rest.fingerprints.retain(|f| f != fingerprint);
    if rest.fingerprints.len() == count {
        return Ok(Ack::says("was gone already"));
    }
    if let Some(more) = &rest.more {
        return Err(Fault::Refused(format!(
            "{path} holds what cannot be made again from its listing ({}); take the key out by hand",
            portreeve_model::untrusted::escape_for_terminal(more)
        )));
    }
    let lines: String = rest.fingerprints.iter().map(|f| format!("hash: {f}\n")).collect();
    replace(host, &path, false, &lines, &rest)?;
    Ok(Ack::says("the list was made anew without the key"))
}

pub(super) fn verify_undone(host: &Host, sshd: &Sshd, id: &KeyId) -> Result<Effect, Fault> {
    Ok(match verify(host, sshd, id)? {
        Effect::Effective(why) => Effect::NotEffective(why),
        Effect::NotEffective(why) => Effect::Effective(why),
        unknown => unknown,
    })
}

pub(super) fn doctor(host: &Host, sshd: &Sshd) -> Ability {
    let what = "revoke keys";
    match in_use(host, sshd).and_then(|path| list(host, &path).map(|l| (path, l))) {
        Ok((path, l)) => Ability::new(
            what,
            Some(true),
            format!("sshd reads {path}, which holds {} keys", l.fingerprints.len()),
        ),
        Err(fault) => Ability::new(what, Some(false), fault.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_named_by_its_whole_fingerprint() {
        let good = format!("SHA256:{}", "a".repeat(43));
        assert!(fingerprint(&KeyId::new(good.clone()).unwrap()).is_ok());
        for bad in ["MD5:aa:bb", "SHA256:", "SHA256:abc", &good[1..], &format!("{good}="), "AKIA0000"] {
            assert!(fingerprint(&KeyId::new(bad).unwrap()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_listing_is_read_and_what_is_more_than_keys_is_noticed() {
        let text = "# KRL version 3\n# Generated at 20261127T150000\n\nhash: SHA256:b # ssh-ed25519\nhash: SHA256:a\n";
        assert_eq!(listed(text).fingerprints, ["SHA256:a", "SHA256:b"]);
        assert_eq!(listed(text).more, None);
        let hex = format!("hash: SHA256:{}\n", "00ff".repeat(16));
        assert_eq!(listed(&hex).fingerprints, ["SHA256:AP8A/wD/AP8A/wD/AP8A/wD/AP8A/wD/AP8A/wD/AP8"]);
        for more in
            ["# hash SHA1:xyz", "# CA key ssh-rsa SHA256:c", "# Wildcard CA", "serial: 1-9", "id: anna"]
        {
            assert!(listed(&format!("{text}{more}\n")).more.is_some(), "{more}");
        }
    }
}
