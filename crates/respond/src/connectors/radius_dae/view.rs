//! RADIUS has no request that reads a session. Two other places know: the authenticator itself (`hostapd_cli`) and the
//! accounting that a NAS sends (a detail file of FreeRADIUS).

use crate::fault::Fault;
use crate::target::Stay;
use crate::transport::command::{Argv, Runner};
use crate::value::{Mac, Net, SessionId, UserName};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A session that is in force.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Session {
    /// Acct-Session-Id; a station that was let in without accounting has none.
    pub(super) id: Option<SessionId>,
    pub(super) user: Option<UserName>,
    pub(super) mac: Option<Mac>,
    pub(super) inner: Option<Net>,
}

impl Session {
    /// As a person reads it.
    pub(super) fn name(&self) -> String {
        match (&self.id, self.mac) {
            (Some(id), _) => id.to_string(),
            (None, Some(mac)) => format!("of {mac}"),
            (None, None) => "without a name".to_owned(),
        }
    }

    /// Everything that both name is the same, and there is something.
    pub(super) fn is(&self, stay: &Stay) -> bool {
        let pairs = [
            both(stay.user.as_ref(), self.user.as_ref()),
            both(stay.id.as_ref(), self.id.as_ref()),
            both(stay.mac.as_ref(), self.mac.as_ref()),
            both(stay.inner.as_ref(), self.inner.as_ref()),
        ];
        pairs.contains(&Some(true)) && !pairs.contains(&Some(false))
    }
}

fn both<T: PartialEq>(asked: Option<&T>, there: Option<&T>) -> Option<bool> {
    Some(asked? == there?)
}

/// What a place says about sessions.
pub(super) enum Found {
    /// A whole list: who is not in it has no session.
    List(Vec<Session>),
    /// A record of what began and ended: who is not in it is not known.
    Record { open: Vec<Session>, ended: Vec<SessionId> },
}

pub(super) enum View {
    Hostapd { ctrl: PathBuf, interface: Option<String>, runner: Runner },
    Accounting { path: PathBuf, nas_identifier: Option<String>, nas_address: Option<IpAddr> },
}

impl View {
    pub(super) fn name(&self) -> String {
        match self {
            View::Hostapd { runner, .. } => format!("hostapd_cli on {}", runner.describe()),
            View::Accounting { path, .. } => format!("accounting in {}", path.display()),
        }
    }

    pub(super) fn read(&self) -> Result<Found, Fault> {
        match self {
            View::Hostapd { ctrl, interface, runner } => {
                let ctrl = ctrl.to_str().ok_or_else(|| Fault::Config("hostapd.ctrl is no text".into()))?;
                let mut argv = Argv::new("hostapd_cli").arg("-p").setting(ctrl)?;
                if let Some(interface) = interface {
                    argv = argv.arg("-i").setting(interface)?;
                }
                let output = runner.read(&argv.arg("all_sta"), b"", Duration::from_secs(10))?;
                // It complains on its output and ends with 0 or 255, by version.
                if !output.ok() || output.out.lines().any(|l| l.starts_with("Failed to connect")) {
                    return Err(Fault::Unreachable(format!("hostapd_cli: {}", output.complaint())));
                }
                Ok(Found::List(stations(&output.out)))
            }
            View::Accounting { path, nas_identifier, nas_address } => {
                let text = tail(path)?;
                let (open, ended) = accounting(&text, nas_identifier.as_deref(), *nas_address);
                Ok(Found::Record { open, ended })
            }
        }
    }
}

/// The authorized stations of `hostapd_cli all_sta`: a line with the address alone, then `name=value`. The first value
/// of a name counts, because a user name comes late and may hold lines of its own.
fn stations(text: &str) -> Vec<Session> {
    #[derive(Default)]
    struct Station<'a> {
        mac: Option<Mac>,
        flags: Option<&'a str>,
        id: Option<&'a str>,
        user: Option<&'a str>,
    }
    let mut all: Vec<Station<'_>> = Vec::new();
    for line in text.lines() {
        if line.len() == 17
            && line.matches(':').count() == 5
            && let Ok(mac) = line.parse()
        {
            all.push(Station { mac: Some(mac), ..Station::default() });
            continue;
        }
        let (Some(station), Some((name, value))) = (all.last_mut(), line.split_once('=')) else { continue };
        let place = match name {
            "flags" => &mut station.flags,
            "dot1xAuthSessionId" => &mut station.id,
            "dot1xAuthSessionUserName" => &mut station.user,
            _ => continue,
        };
        place.get_or_insert(value);
    }
    all.into_iter()
        .filter(|s| s.flags.is_some_and(|f| f.contains("[AUTHORIZED]")))
        .map(|s| Session {
            id: s.id.and_then(|id| SessionId::new(id).ok()),
            user: s.user.and_then(|u| UserName::new(u).ok()),
            mac: s.mac,
            inner: None,
        })
        .collect()
}

/// The most that is read of a detail file: the end, where what runs now is.
const LONGEST: u64 = 64 << 20;

fn tail(path: &Path) -> Result<String, Fault> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LONGEST)))?;
        let mut bytes = Vec::new();
        file.take(LONGEST).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|e| Fault::Unreachable(format!("{}: {e}", path.display())))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// One record of a detail file.
#[derive(Default)]
struct Record {
    status: String,
    id: Option<String>,
    user: Option<String>,
    mac: Option<Mac>,
    inner: Option<Net>,
    nas_identifier: Option<String>,
    nas_address: Option<IpAddr>,
}

/// What is open and what ended, by the last record of each session of this NAS.
fn accounting(
    text: &str,
    nas_identifier: Option<&str>,
    nas_address: Option<IpAddr>,
) -> (Vec<Session>, Vec<SessionId>) {
    let mut open: Vec<Session> = Vec::new();
    let mut ended: Vec<SessionId> = Vec::new();
    for block in text.split("\n\n") {
        let record = record(block);
        if nas_identifier.is_some_and(|n| record.nas_identifier.as_deref() != Some(n))
            || nas_address.is_some_and(|n| record.nas_address != Some(n))
        {
            continue;
        }
        if matches!(record.status.as_str(), "Accounting-On" | "Accounting-Off") {
            // The NAS began anew: nothing that ran before runs.
            ended.extend(open.drain(..).filter_map(|s| s.id));
            continue;
        }
        let Some(id) = record.id.as_deref().and_then(|id| SessionId::new(id).ok()) else { continue };
        open.retain(|s| s.id.as_ref() != Some(&id));
        ended.retain(|e| *e != id);
        match record.status.as_str() {
            "Stop" => ended.push(id),
            "Start" | "Interim-Update" | "Alive" => open.push(Session {
                id: Some(id),
                user: record.user.and_then(|u| UserName::new(u).ok()),
                mac: record.mac,
                inner: record.inner,
            }),
            _ => {}
        }
    }
    (open, ended)
}

fn record(block: &str) -> Record {
    let mut found = Record::default();
    for line in block.lines() {
        // The head of a record stands at the margin.
        let Some((name, value)) = line.strip_prefix('\t').and_then(|l| l.split_once(" = ")) else { continue };
        let text = unquote(value);
        match name {
            "Acct-Status-Type" => found.status = text,
            "Acct-Session-Id" => found.id = Some(text),
            "User-Name" => found.user = Some(text),
            "Calling-Station-Id" => found.mac = text.parse().ok(),
            "Framed-IP-Address" | "Framed-IPv6-Address" => found.inner = text.parse().ok(),
            "NAS-Identifier" => found.nas_identifier = Some(text),
            "NAS-IP-Address" | "NAS-IPv6-Address" => found.nas_address = text.parse().ok(),
            _ => {}
        }
    }
    found
}

/// A value as FreeRADIUS writes it: in double quotes with `\"`, `\\`, `\n`, `\r`, `\t` and octal, or bare.
fn unquote(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')) else {
        return value.to_owned();
    };
    let mut out = Vec::with_capacity(inner.len());
    let mut bytes = inner.bytes().peekable();
    while let Some(b) = bytes.next() {
        if b != b'\\' {
            out.push(b);
            continue;
        }
        match bytes.next() {
            Some(b'n') => out.push(b'\n'),
            Some(b'r') => out.push(b'\r'),
            Some(b't') => out.push(b'\t'),
            Some(first @ b'0'..=b'7') => {
                let mut value = u32::from(first - b'0');
                for _ in 0..2 {
                    if let Some(digit) = bytes.next_if(|b| (b'0'..=b'7').contains(b)) {
                        value = value << 3 | u32::from(digit - b'0');
                    }
                }
                out.push(u8::try_from(value).unwrap_or(b'?'));
            }
            Some(other) => out.push(other),
            None => out.push(b'\\'),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL_STA: &str = "Selected interface 'eth1'\naa:bb:cc:00:00:01\nflags=[AUTHORIZED]\ndot1xAuthSessionId=A1\n\
        dot1xAuthSessionUserName=anna\nflags=\naa:bb:cc:00:00:02\nflags=\ndot1xAuthSessionId=A2\n\
        dot1xAuthSessionUserName=bob\naa:bb:cc:00:00:03\nflags=[AUTHORIZED]\n";

    #[test]
    fn stations_are_those_that_are_authorized_whatever_their_name_says() {
        let all = stations(ALL_STA);
        assert_eq!(all.len(), 2);
        assert_eq!(all[1].name(), "of aa:bb:cc:00:00:03", "let in without accounting is let in");
        assert_eq!(all[0].name(), "A1");
        assert!(all[0].is(&Stay::of_user(UserName::new("anna").unwrap())));
        assert!(!all[0].is(&Stay::of_user(UserName::new("ann").unwrap())));
        assert!(
            !all[0].is(&Stay { inner: "10.0.0.1".parse().ok(), ..Stay::default() }),
            "not known is not the same"
        );
        let other =
            Stay { mac: "aa:bb:cc:00:00:02".parse().ok(), ..Stay::of_user(UserName::new("anna").unwrap()) };
        assert!(!all[0].is(&other));
    }

    fn line(status: &str, id: &str, user: &str, nas: &str) -> String {
        format!(
            "Fri Nov 27 15:25:01 2026\n\tAcct-Status-Type = {status}\n\tUser-Name = {user}\n\tNAS-Identifier = \"{nas}\"\n\
             \tCalling-Station-Id = \"C2-A2-30-9C-D2-96\"\n\tAcct-Session-Id = \"{id}\"\n\n"
        )
    }

    #[test]
    fn accounting_says_who_is_on_and_who_went() {
        let hostile = r#""x\n\tAcct-Status-Type = Stop\n\tAcct-Session-Id = \"S1\"\n""#;
        let text = [
            line("Start", "S1", "\"a\\\"b\\\\c\\303\\274\"", "sw1"),
            line("Start", "S2", "\"bob\"", "sw1"),
            line("Start", "S2", "\"eve\"", "sw2"),
            line("Start", "S3", hostile, "sw1"),
            line("Stop", "S2", "\"bob\"", "sw1"),
        ]
        .concat();
        let (open, ended) = accounting(&text, Some("sw1"), None);
        let ids: Vec<String> = open.iter().map(|s| s.name()).collect();
        assert_eq!(ids, ["S1", "S3"], "a name that looks like a record is a name");
        assert_eq!(open[0].user.as_ref().unwrap().raw(), "a\"b\\cü");
        assert_eq!(open[1].user, None, "a name with a line break is no user name");
        assert_eq!(ended.len(), 1);
        let again = format!("{text}{}", line("Accounting-On", "X", "\"\"", "sw1"));
        let (open, ended) = accounting(&again, Some("sw1"), None);
        assert!(open.is_empty());
        assert_eq!(ended.len(), 3);
        assert_eq!(accounting(&text, Some("sw2"), None).0.len(), 1, "ids are of one NAS");
    }
}
