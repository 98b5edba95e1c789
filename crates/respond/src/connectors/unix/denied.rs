//! A file of our own with `DenyUsers` lines, which sshd_config includes.

use super::{Host, Sshd, account};
use crate::connector::{Ack, Effect, Present, Seen};
use crate::fault::Fault;
use crate::transport::command::Argv;
use crate::value::UserName;
use serde_json::json;

const HEAD: &str = "# Written by Portreeve: each account that may not log in, after the mark of its step.\n";

/// `DenyUsers` takes patterns and `user@host`, and lists are cut at spaces: only plain names are written there.
fn login(name: &UserName) -> Result<&str, Fault> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if name.raw().bytes().all(plain) {
        return Ok(name.raw());
    }
    Err(Fault::Unsupported(format!("{name}: holds something that DenyUsers does not take for a plain name")))
}

/// The mark and the account of each of our lines.
fn entries(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut mark = None;
    for line in text.lines() {
        if let Some(user) = line.strip_prefix("DenyUsers ") {
            found.push((mark.take().unwrap_or_default(), user.trim().to_owned()));
        } else {
            mark = line.strip_prefix("# portreeve-").map(|m| format!("portreeve-{m}"));
        }
    }
    found
}

fn written(entries: &[(String, String)]) -> String {
    let mut text = HEAD.to_owned();
    for (mark, user) in entries {
        let mark = if mark.is_empty() { "by another hand" } else { mark };
        text.push_str(&format!("# {mark}\nDenyUsers {user}\n"));
    }
    text
}

/// The file, `None` where it does not exist.
fn file(host: &Host, sshd: &Sshd) -> Result<Option<String>, Fault> {
    let there = host.ask(&Argv::new("test").arg("-e").setting(&sshd.deny_file)?)?;
    match there.code {
        Some(0) => {}
        Some(1) => return Ok(None),
        _ => return Err(Fault::Unreachable(format!("test -e {}: {}", sshd.deny_file, there.complaint()))),
    }
    let output = host.ask(&Argv::new("cat").setting(&sshd.deny_file)?)?;
    if output.ok() { Ok(Some(output.out)) } else { Err(Fault::Credential(output.complaint())) }
}

/// Written beside and renamed: sshd never sees half a file.
fn put(host: &Host, sshd: &Sshd, text: Option<&str>) -> Result<(), Fault> {
    let Some(text) = text else {
        return host.act(&Argv::new("rm").arg("-f").setting(&sshd.deny_file)?, b"").map(|_| ());
    };
    let beside = format!("{}.portreeve-new", sshd.deny_file);
    host.act(&Argv::new("tee").setting(&beside)?, text.as_bytes())?;
    host.act(&Argv::new("mv").arg("-fT").setting(&beside)?.setting(&sshd.deny_file)?, b"").map(|_| ())
}

/// Puts the file in place, has sshd check its whole configuration with it, and takes it back where that fails.
fn replace(
    host: &Host,
    sshd: &Sshd,
    old: Option<&str>,
    new: &str,
    check: impl Fn() -> Result<(), Fault>,
) -> Result<(), Fault> {
    let pid = sshd.pid(host)?;
    put(host, sshd, Some(new))?;
    match sshd.is_valid(host).and_then(|()| check()).and_then(|()| sshd.reload(host, pid)) {
        Ok(()) => Ok(()),
        Err(fault) if fault.may_have_acted() => Err(fault),
        Err(fault) => match put(host, sshd, old) {
            Ok(()) => Err(fault),
            Err(worse) => {
                Err(Fault::Lost(format!("{fault}; and the file before could not be put back: {worse}")))
            }
        },
    }
}

pub(super) fn read(host: &Host, sshd: &Sshd, name: &UserName, mark: &str) -> Result<Seen, Fault> {
    let account = account::find(host, name)?;
    let login = login(name)?;
    sshd.is_valid(host)?;
    let ours =
        file(host, sshd)?.is_some_and(|text| entries(&text).iter().any(|(m, u)| m == mark && u == login));
    let denied = sshd.denies(host, login)?;
    Ok(Seen {
        ids: account.ids(),
        in_force: denied && !ours,
        before: json!({"uid": account.uid().get()}),
        says: match (denied, ours) {
            (false, _) => format!("{name} may log in"),
            (true, false) => format!("{name} is denied already by another line"),
            (true, true) => format!("{name} is denied by this step"),
        },
        also_hits: Vec::new(),
    })
}

pub(super) fn preview(sshd: &Sshd, name: &UserName, mark: &str) -> Result<Vec<String>, Fault> {
    Ok(vec![
        format!("{}: add \"# {mark}\" and \"DenyUsers {}\"", sshd.deny_file, login(name)?),
        "/usr/sbin/sshd -t; where the configuration is valid: kill -HUP the sshd that listens".to_owned(),
    ])
}

pub(super) fn apply(host: &Host, sshd: &Sshd, name: &UserName, mark: &str) -> Result<Ack, Fault> {
    let login = login(name)?;
    let old = file(host, sshd)?;
    let mut all = entries(old.as_deref().unwrap_or_default());
    if !all.iter().any(|(m, u)| m == mark && u == login) {
        all.push((mark.to_owned(), login.to_owned()));
    }
    replace(host, sshd, old.as_deref(), &written(&all), || {
        if sshd.denies(host, login)? {
            return Ok(());
        }
        Err(Fault::Refused(format!(
            "sshd does not read {}: its configuration includes no such file",
            sshd.deny_file
        )))
    })?;
    Ok(Ack::says("sshd was told to read its files anew"))
}

pub(super) fn verify(host: &Host, sshd: &Sshd, name: &UserName) -> Result<Effect, Fault> {
    if !sshd.denies(host, login(name)?)? {
        return Ok(Effect::NotEffective(format!("sshd -T does not deny {name}")));
    }
    Ok(if sshd.has_read(host, &sshd.deny_file)? {
        Effect::Effective(format!("sshd -T denies {name}, and sshd started anew since"))
    } else {
        Effect::NotEffective(format!("sshd -T denies {name}, but sshd has not read its files anew since"))
    })
}

pub(super) fn undo(host: &Host, sshd: &Sshd, mark: &str) -> Result<Ack, Fault> {
    let Some(old) = file(host, sshd)? else { return Ok(Ack::says("was gone already")) };
    let mut all = entries(&old);
    let count = all.len();
    all.retain(|(m, _)| m != mark);
    if all.len() == count {
        return Ok(Ack::says("was gone already"));
    }
    replace(host, sshd, Some(&old), &written(&all), || Ok(()))?;
    Ok(Ack::says("sshd was told to read its files anew"))
}

pub(super) fn verify_undone(host: &Host, sshd: &Sshd, name: &UserName) -> Result<Effect, Fault> {
    if sshd.denies(host, login(name)?)? {
        return Ok(Effect::NotEffective(format!("sshd -T denies {name}")));
    }
    // Without a file, whoever took it away decides when sshd is to know.
    Ok(match file(host, sshd)? {
        Some(_) if !sshd.has_read(host, &sshd.deny_file)? => {
            Effect::NotEffective("sshd has not read its files anew since".into())
        }
        _ => Effect::Effective(format!("sshd -T does not deny {name}")),
    })
}

pub(super) fn present(host: &Host, sshd: &Sshd) -> Result<Vec<Present>, Fault> {
    let text = file(host, sshd)?.unwrap_or_default();
    let one = |(mark, user): (String, String)| {
        let what = UserName::new(user).map_or_else(|e| e.to_string(), |name| format!("account {name}"));
        Present { what, mark: Some(mark).filter(|m| !m.is_empty()) }
    };
    Ok(entries(&text).into_iter().map(one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_are_written() {
        for bad in
            ["*", "anna*", "an?a", "!anna", "anna@10.0.0.1", "anna bob", "a,b", "a\"b", "EX\\anna", "a#b"]
        {
            assert!(login(&UserName::new(bad).unwrap()).is_err(), "{bad}");
        }
        assert!(login(&UserName::new("anna.b-c_1").unwrap()).is_ok());
    }

    #[test]
    fn what_was_written_is_read_back_and_strangers_lines_are_kept() {
        let all =
            vec![("portreeve-0123456789ab".to_owned(), "anna".to_owned()), (String::new(), "bob".to_owned())];
        assert_eq!(entries(&written(&all)), all);
        assert_eq!(entries("DenyUsers carl\n"), [(String::new(), "carl".to_owned())]);
    }
}
