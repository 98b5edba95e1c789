//! The syslog header in the dialects that devices write: RFC 5424, RFC 3164, rsyslog with ISO stamps, Cisco's
//! sequence numbers and zones, and lines that carry no header at all.

use super::clock::{self, Stamp};
use crate::record::{Header, HeaderTime};
use portreeve_model::EventTime;

/// Cuts the header; the rest is the body. A line without one comes back whole.
pub(crate) fn split(line: &[u8]) -> (Header<'_>, &[u8]) {
    let mut header = Header::default();
    let mut rest = line;
    if let Some((priority, after)) = priority(rest) {
        header.priority = Some(priority);
        rest = after.trim_ascii_start();
        if let Some(after) = rest.strip_prefix(b"1 ") {
            return rfc5424(header, after, line);
        }
    }
    // Cisco: `017567: switch: *Oct  6 04:22:12.896 CEST: %FACILITY…`, sequence number and host both optional.
    let mut cisco_host: &[u8] = b"";
    let mut ahead = rest;
    if let Some(after) = sequence(ahead) {
        ahead = after;
    }
    if clock_at(ahead).is_none()
        && let Some((word, after)) = colon_word(ahead)
        && clock_at(after).is_some()
    {
        cisco_host = word;
        ahead = after;
        if let Some(after) = sequence(ahead) {
            ahead = after;
        }
    }
    let Some((time, used, ahead)) = clock_at(ahead) else {
        return (header, if header.priority.is_some() { rest } else { line });
    };
    header.time = Some(time);
    header.host = cisco_host;
    rest = &ahead[used..];
    after_time(header, rest)
}

/// A record behind the stamp of who collected it: a container runtime (`… stdout F `), an archive of CloudWatch or
/// Loki. Such a stamp names its zone.
pub(crate) fn collected(line: &[u8]) -> Option<(EventTime, &[u8])> {
    if line.get(10) != Some(&b'T') {
        return None;
    }
    let (stamp, rest) = word(line);
    let rest = match rest.first()? {
        b's' => {
            let after = rest.strip_prefix(b"stdout ").or_else(|| rest.strip_prefix(b"stderr "))?;
            after.strip_prefix(b"F ").or_else(|| after.strip_prefix(b"P "))?
        }
        // Its labels: `{host="gw1", job="auth"} `; or a JSON object.
        b'{' if crate::decode::find::find(rest.get(..64).unwrap_or(rest), b"=\"").is_some() => {
            rest.get(crate::decode::find::find(rest, b"\"} ")? + 3..)?.trim_ascii_start()
        }
        b'<' if priority(rest).is_some() => rest,
        b'A'..=b'S' if clock::bsd(rest).is_some() => rest,
        _ => return None,
    };
    match clock::iso(stamp)? {
        (Stamp::Absolute(time), used) if used == stamp.len() => Some((time, rest)),
        _ => None,
    }
}

/// A record that begins with its program, its stamp having been taken off: `sshd[77]: …`.
pub(crate) fn tag(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (first, body) = word(text);
    let (program, pid) = program(first).filter(|(_, pid)| !pid.is_empty())?;
    Some((program, pid, body))
}

fn after_time<'a>(mut header: Header<'a>, rest: &'a [u8]) -> (Header<'a>, &'a [u8]) {
    // `CEST: %AUTHMGR-5-START`, `: %ASA-6-302013`.
    let trimmed = rest.trim_ascii_start();
    if let Some(body) = mnemonic(trimmed) {
        let name = trimmed.split(|b| !b.is_ascii_alphabetic()).next().unwrap_or_default();
        if let (Some(HeaderTime::Local(civil)), Some(east)) = (header.time, clock::zone_name(name)) {
            header.time = Some(HeaderTime::Zoned(civil, east));
        }
        return (header, body);
    }
    if rest.first() != Some(&b' ') && rest.first() != Some(&b':') {
        return (header, rest);
    }
    let (host, after) = word(trimmed);
    if host.is_empty() {
        return (header, trimmed);
    }
    // `host : %ASA-…`
    if let Some(body) = mnemonic(after) {
        header.host = host.strip_suffix(b":").unwrap_or(host);
        return (header, body);
    }
    // A program where the host should be: `Oct 23 07:21:42 sshd[77]: …`.
    if let Some((program, pid)) = program(host) {
        header.program = program;
        header.pid = pid;
        return (header, after);
    }
    if host.contains(&b'=') || host.contains(&b',') || host.starts_with(b"CEF:") || host.starts_with(b"{") {
        return (header, trimmed);
    }
    header.host = host;
    let (tag, body) = word(after);
    if let Some((program, pid)) = program(tag) {
        header.program = program;
        header.pid = pid;
        return (header, body);
    }
    (header, after)
}

/// The body of a Cisco message, from `%` on, past an optional zone and colon.
fn mnemonic(text: &[u8]) -> Option<&[u8]> {
    if text.first() == Some(&b'%') {
        return Some(text);
    }
    let text = match text.iter().position(|b| !b.is_ascii_alphabetic()) {
        Some(end) if end <= 5 => &text[end..],
        _ => text,
    };
    let text = text.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    (text.first() == Some(&b'%')).then_some(text)
}

fn rfc5424<'a>(mut header: Header<'a>, rest: &'a [u8], line: &'a [u8]) -> (Header<'a>, &'a [u8]) {
    let (stamp, rest) = word(rest);
    header.time = match clock::iso(stamp) {
        Some((Stamp::Absolute(t), _)) => Some(HeaderTime::Absolute(t)),
        Some((Stamp::Local(c), _)) => Some(HeaderTime::Local(c)),
        None if stamp == b"-" => None,
        None => return (Header::default(), line),
    };
    let nil = |w: &'a [u8]| if w == b"-" { &b""[..] } else { w };
    let (host, rest) = word(rest);
    header.host = nil(host);
    // CyberArk's Vault leaves out what stands between the host and the record.
    if rest.starts_with(b"CEF:") || rest.starts_with(b"LEEF:") {
        return (header, rest);
    }
    let (program, rest) = word(rest);
    let (pid, rest) = word(rest);
    let (_id, rest) = word(rest);
    header.program = nil(program);
    header.pid = nil(pid);
    let body = structured_data_end(rest);
    (header, body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body))
}

fn structured_data_end(rest: &[u8]) -> &[u8] {
    if let Some(after) = rest.strip_prefix(b"-") {
        return after.trim_ascii_start();
    }
    let mut at = 0;
    while rest.get(at) == Some(&b'[') {
        let (mut quoted, mut i) = (false, at + 1);
        loop {
            match rest.get(i) {
                None => return rest,
                Some(b'\\') => i += 1,
                Some(b'"') => quoted = !quoted,
                Some(b']') if !quoted => break,
                Some(_) => {}
            }
            i += 1;
        }
        at = i + 1;
    }
    rest[at..].trim_ascii_start()
}

/// `<134>` and, before it, the octet count of RFC 6587.
fn priority(text: &[u8]) -> Option<(u8, &[u8])> {
    let text = match text.first() {
        Some(b'0'..=b'9') => {
            let end = text.iter().position(|b| !b.is_ascii_digit())?;
            text[end..].strip_prefix(b" ").filter(|t| t.first() == Some(&b'<'))?
        }
        _ => text,
    };
    let inner = text.strip_prefix(b"<")?;
    let end = inner.iter().take(4).position(|b| *b == b'>')?;
    let n = inner[..end]
        .iter()
        .try_fold(0u16, |n, b| b.is_ascii_digit().then(|| n * 10 + u16::from(b - b'0')))?;
    Some((u8::try_from(n).ok().filter(|n| *n <= 191)?, &inner[end + 1..]))
}

/// `017567: `, `000123: `.
fn sequence(text: &[u8]) -> Option<&[u8]> {
    let end = text.iter().position(|b| !b.is_ascii_digit())?;
    (end > 0 && end <= 12).then(|| text[end..].strip_prefix(b":")).flatten().map(<[u8]>::trim_ascii_start)
}

/// `switch-1: ` at the front.
fn colon_word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (word, rest) = word(text);
    let name = word.strip_suffix(b":")?;
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (!name.is_empty() && name.iter().all(plain)).then_some((name, rest))
}

/// A stamp at the front, past the mark of an unsynchronised clock (`*`, `.`).
fn clock_at(text: &[u8]) -> Option<(HeaderTime, usize, &[u8])> {
    let text = match text {
        [b'*' | b'.', rest @ ..] => rest,
        _ => text,
    };
    let (stamp, used) = match text.first()? {
        b'0'..=b'9' => clock::iso(text).or_else(|| year_first(text))?,
        _ => clock::bsd(text)?,
    };
    let time = match stamp {
        Stamp::Absolute(t) => HeaderTime::Absolute(t),
        Stamp::Local(c) => HeaderTime::Local(c),
    };
    Some((time, used, text))
}

/// `2023 Jan 15 00:31:52`, as NX-OS writes it.
fn year_first(text: &[u8]) -> Option<(Stamp, usize)> {
    let (year, rest) = text.split_at_checked(5)?;
    if year[4] != b' ' || !year[..4].iter().all(u8::is_ascii_digit) {
        return None;
    }
    let (Stamp::Local(civil), used) = clock::bsd(rest)? else { return None };
    let year = i16::try_from(crate::decode::kv::number(&year[..4])).ok()?;
    Some((Stamp::Local(clock::Civil { year, ..civil }), used + 5))
}

/// `sshd[77]:`, `dhcpd:`, `sshd-session[5]:`.
fn program(tag: &[u8]) -> Option<(&[u8], &[u8])> {
    let tag = tag.strip_suffix(b":")?;
    let (name, pid) = match memchr::memchr(b'[', tag) {
        Some(open) => (&tag[..open], tag[open + 1..].strip_suffix(b"]")?),
        None => (tag, &b""[..]),
    };
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/' | b'(' | b')');
    (!name.is_empty() && name.iter().all(plain)).then_some((name, pid))
}

fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr(b' ', text).unwrap_or(text.len());
    (&text[..end], text[end..].trim_ascii_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, host: &str, program: &str, body: &str, timed: bool) {
        let (h, b) = split(line.as_bytes());
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        assert_eq!(
            (text(h.host), text(h.program), text(b), h.time.is_some()),
            (host.into(), program.into(), body.into(), timed),
            "{line}"
        );
    }

    #[test]
    fn a_record_right_behind_the_host() {
        let (header, body) =
            split(b"<134>1 2026-03-03T09:20:01Z VAULT-01 CEF:0|Cyber-Ark|Vault|9|7|Logon|5|suser=anna");
        assert_eq!((header.host, header.program), (&b"VAULT-01"[..], &b""[..]));
        assert!(body.starts_with(b"CEF:0|") && body.ends_with(b"suser=anna"));
    }

    #[test]
    fn dialects() {
        check("<38>Oct 23 07:21:42 gw1 sshd[77]: Accepted", "gw1", "sshd", "Accepted", true);
        check("Oct  3 07:21:42 gw1 sshd-session[77]: Accepted", "gw1", "sshd-session", "Accepted", true);
        check("Oct 23 07:21:42 sshd[77]: Accepted", "", "sshd", "Accepted", true);
        check("2026-10-23T07:21:42.5+02:00 gw1 sshd[77]: x", "gw1", "sshd", "x", true);
        check(
            "<166>Oct 26 2026 18:02:43 asa-1 : %ASA-6-302013: Built",
            "asa-1",
            "",
            "%ASA-6-302013: Built",
            true,
        );
        check("<166>Oct 26 2026 18:02:43: %ASA-6-302013: Built", "", "", "%ASA-6-302013: Built", true);
        check(
            "<189>017567: sw-1: Oct  6 04:22:12.896 CEST: %AUTHMGR-5-START: Starting",
            "sw-1",
            "",
            "%AUTHMGR-5-START: Starting",
            true,
        );
        check("<189>29: *Mar  1 18:48:50.483 UTC: %SYS-5-CONFIG_I: x", "", "", "%SYS-5-CONFIG_I: x", true);
        check(
            "<14>Oct 27 10:48:19 pa-1 1,2026/10/27 16:18:19,01,TRAFFIC",
            "pa-1",
            "",
            "1,2026/10/27 16:18:19,01,TRAFFIC",
            true,
        );
        check(
            "<34>1 2026-10-11T22:14:15.003Z gw1 sshd 77 ID47 [a@1 x=\"]\"] \u{feff}Accepted",
            "gw1",
            "sshd",
            "Accepted",
            true,
        );
        check("<34>1 - gw1 app - - - msg", "gw1", "app", "msg", false);
        check(
            "<189>date=2026-10-26 time=01:09:12 devname=\"FGT\"",
            "",
            "",
            "date=2026-10-26 time=01:09:12 devname=\"FGT\"",
            false,
        );
        check("%ASA-6-302013: Built", "", "", "%ASA-6-302013: Built", false);
        check("no header here", "", "", "no header here", false);
        check("83 <38>Oct 23 07:21:42 gw1 sshd[77]: x", "gw1", "sshd", "x", true);
        check("<999>x", "", "", "<999>x", false);
        check("", "", "", "", false);
    }

    #[test]
    fn stamps_of_collectors() {
        let inner = |line: &'static str| {
            collected(line.as_bytes()).map(|(_, rest)| String::from_utf8_lossy(rest).into_owned())
        };
        for (line, want) in [
            ("2026-10-23T07:21:42.123456789Z stdout F a b", Some("a b")),
            ("2026-10-23T07:21:42.5+02:00 stderr P a", Some("a")),
            (
                "2026-10-23T07:21:42.5Z <38>Oct  3 07:21:42 gw1 sshd[77]: x",
                Some("<38>Oct  3 07:21:42 gw1 sshd[77]: x"),
            ),
            ("2026-10-23T07:21:42Z Oct  3 07:21:42 gw1 sshd[77]: x", Some("Oct  3 07:21:42 gw1 sshd[77]: x")),
            (r#"2026-10-23T07:21:42Z {host="a", job="b"} x"#, Some("x")),
            ("2026-10-23T07:21:42Z gw1 sshd[77]: x", None),
            ("2026-10-23T07:21:42 stdout F x", None),
            ("2026-10-23T07:21:42Z Octavia x", None),
            ("2026-10-23T07:21:42Z", None),
        ] {
            assert_eq!(inner(line).as_deref(), want, "{line}");
        }
    }
}
