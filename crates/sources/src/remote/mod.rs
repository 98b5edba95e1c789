//! Log sources of the playbook's row "remote". Each is one file here and one folder of fixtures.

use crate::decode::clock::{self, Clock, Stamp};
use crate::decode::json;
use crate::decode::kv::{after, number};
use crate::record::Record;
use crate::source::Source;
use crate::windows::WinEvent;
use portreeve_model::EventTime;
use portreeve_model::event::Outcome;
use portreeve_model::time::Certainty;
use std::borrow::Cow;

pub mod anydesk;
pub mod apache_guacamole;
pub mod azure_bastion;
pub mod beyondtrust;
pub mod cloudflare_access;
pub mod cyberark;
pub mod delinea;
pub mod dropbear;
pub mod kasm;
pub mod meshcentral;
pub mod openssh;
pub mod rd_connection_broker;
pub mod rd_gateway;
pub mod rd_web;
pub mod rdp;
pub mod screenconnect;
pub mod splashtop;
pub mod teamviewer;
pub mod teleport;
pub mod vnc;
pub mod wallix;
pub mod winrm;
pub mod xrdp;
pub mod zscaler_zpa;

pub static SOURCES: &[&Source] = &[
    &anydesk::SOURCE,
    &apache_guacamole::SOURCE,
    &azure_bastion::SOURCE,
    &beyondtrust::SOURCE,
    &cloudflare_access::SOURCE,
    &cyberark::SOURCE,
    &delinea::SOURCE,
    &dropbear::SOURCE,
    &kasm::SOURCE,
    &meshcentral::SOURCE,
    &openssh::SOURCE,
    &rd_connection_broker::SOURCE,
    &rd_gateway::SOURCE,
    &rd_web::SOURCE,
    &rdp::SOURCE,
    &screenconnect::SOURCE,
    &splashtop::SOURCE,
    &teamviewer::SOURCE,
    &teleport::SOURCE,
    &vnc::SOURCE,
    &wallix::SOURCE,
    &winrm::SOURCE,
    &xrdp::SOURCE,
    &zscaler_zpa::SOURCE,
];

/// A stamp of the record's own, ISO or counted from 1970; the header's where it has none.
pub(crate) fn stamped(r: &Record<'_>, stamp: &[u8]) -> Option<(EventTime, Certainty)> {
    match clock::iso(stamp.trim_ascii()) {
        Some((Stamp::Absolute(time), _)) => Some((time, Certainty::Exact)),
        Some((Stamp::Local(civil), _)) => r.clock.resolve(civil),
        None => clock::epoch(stamp).map(|t| (t, Certainty::Exact)).or_else(|| r.header_time()),
    }
}

/// As [`stamped`], of a product that writes UTC and may not say so.
pub(crate) fn stamped_utc(r: &Record<'_>, stamp: &[u8]) -> Option<(EventTime, Certainty)> {
    match clock::iso(stamp.trim_ascii()) {
        Some((Stamp::Local(civil), _)) => Clock::with_offset(civil, 0).map(|t| (t, Certainty::Exact)),
        _ => stamped(r, stamp),
    }
}

/// `9:12:12`, `1.02:03:04`, `00:15`: hours, minutes and seconds to seconds.
pub(crate) fn seconds(text: &[u8]) -> u32 {
    let mut total = 0u64;
    let (days, rest) = match memchr::memchr(b'.', text) {
        Some(dot) if text.get(dot + 1..).is_some_and(|t| t.contains(&b':')) => {
            (number(text.get(..dot).unwrap_or_default()), text.get(dot + 1..).unwrap_or_default())
        }
        _ => (0, text),
    };
    for part in rest.split(|b| *b == b':') {
        total = total.saturating_mul(60).saturating_add(number(part));
    }
    u32::try_from(total.saturating_add(days.saturating_mul(86_400))).unwrap_or(u32::MAX)
}

/// Of a chain of proxies (`client, proxy, proxy`) the address that the nearest proxy itself saw, and whether there is
/// a chain at all: what stands before it may be forged.
pub(crate) fn nearest(chain: &[u8]) -> (&[u8], bool) {
    let chain = chain.trim_ascii();
    let chain = chain.strip_prefix(b"[").and_then(|c| c.strip_suffix(b"]")).unwrap_or(chain);
    let mut hops = chain.rsplit(|b| *b == b',').map(<[u8]>::trim_ascii).filter(|h| !h.is_empty());
    match (hops.next(), hops.next()) {
        (Some(_), Some(seen)) => (seen, true),
        (Some(only), None) => (only, false),
        _ => (b"", false),
    }
}

/// The text of a Windows event whose data have no names, or that names only parameters.
pub(crate) fn windows_text<'a>(r: &Record<'a>, e: &WinEvent<'a>) -> Cow<'a, [u8]> {
    for name in ["param1", "Data", "Message"] {
        let text = e.get(name);
        if !text.is_empty() {
            return text;
        }
    }
    // `<Data>text</Data>`; `"Data":{"#text":["text"]}`; what the shipper rendered.
    let xml = after(r.body, b"<Data>", b"<").unwrap_or_default();
    if !xml.is_empty() {
        return Cow::Borrowed(xml);
    }
    for key in [&b"\"#text\":"[..], b"\"message\":", b"\"Message\":"] {
        let Some(rest) = after(r.body, key, b"") else { continue };
        let rest = rest.trim_ascii_start();
        let rest = rest.strip_prefix(b"[").unwrap_or(rest).trim_ascii_start();
        let Some(rest) = rest.strip_prefix(b"\"") else { continue };
        let mut end = 0;
        while let Some(n) = rest.get(end..).and_then(|t| memchr::memchr2(b'"', b'\\', t)) {
            end += n;
            if rest.get(end) == Some(&b'"') {
                break;
            }
            end += 2;
        }
        return json::unescape(rest.get(..end.min(rest.len())).unwrap_or_default());
    }
    Cow::Borrowed(b"")
}

/// Under whose account an event of Windows was written: a name where the shipper resolved it, else the identifier.
pub(crate) fn windows_user<'a>(r: &Record<'a>, e: &WinEvent<'a>) -> Cow<'a, [u8]> {
    let name = e.get("AccountName");
    if !name.is_empty() {
        return name;
    }
    let Some(rest) = after(r.body, b"UserID", b"") else { return Cow::Borrowed(b"") };
    let value = rest.trim_ascii_start();
    let value = value.strip_prefix(b"\"").unwrap_or(value).trim_ascii_start();
    let value = value.strip_prefix(b"=").or_else(|| value.strip_prefix(b":")).unwrap_or_default();
    let value = value.trim_ascii_start();
    let value = value.strip_prefix(b"'").or_else(|| value.strip_prefix(b"\"")).unwrap_or_default();
    let end = value.iter().position(|b| matches!(b, b'\'' | b'"')).unwrap_or(value.len());
    let sid = value.get(..end).unwrap_or_default();
    // The services of Windows are nobody.
    let nobody = matches!(sid, b"S-1-5-18" | b"S-1-5-19" | b"S-1-5-20");
    Cow::Borrowed(if nobody || !sid.starts_with(b"S-1-") { b"" } else { sid })
}

pub(crate) fn outcome(ok: bool) -> Outcome {
    if ok { Outcome::Success } else { Outcome::Failure }
}

#[cfg(test)]
mod tests {
    use super::{nearest, seconds};

    #[test]
    fn durations() {
        assert_eq!(
            (seconds(b"0:00:05"), seconds(b"157:45:59"), seconds(b"1.02:03:04")),
            (5, 567_959, 93_784)
        );
        assert_eq!((seconds(b""), seconds(b"x"), seconds(b"90")), (0, 0, 90));
    }

    #[test]
    fn chains() {
        assert_eq!(nearest(b"192.0.2.1, 198.51.100.1, 10.0.0.1"), (&b"198.51.100.1"[..], true));
        assert_eq!(nearest(b"[192.0.2.1, 10.0.0.1]"), (&b"192.0.2.1"[..], true));
        assert_eq!(nearest(b"192.0.2.1"), (&b"192.0.2.1"[..], false));
        assert_eq!(nearest(b" , "), (&b""[..], false));
    }
}
