//! Log sources of the playbook's row "remote". Each is one file here and one folder of fixtures.

use crate::decode::clock::{self, Stamp};
use crate::decode::kv::number;
use crate::record::Record;
use crate::source::Source;
use portreeve_model::EventTime;
use portreeve_model::event::Outcome;
use portreeve_model::time::Certainty;

pub mod azure_bastion;
pub mod beyondtrust;
pub mod cyberark;
pub mod delinea;
pub mod dropbear;
pub mod openssh;
pub mod rd_gateway;
pub mod rdp;
pub mod wallix;

pub static SOURCES: &[&Source] = &[
    &azure_bastion::SOURCE,
    &beyondtrust::SOURCE,
    &cyberark::SOURCE,
    &delinea::SOURCE,
    &dropbear::SOURCE,
    &openssh::SOURCE,
    &rd_gateway::SOURCE,
    &rdp::SOURCE,
    &wallix::SOURCE,
];

/// A stamp of the record's own, ISO or counted from 1970; the header's where it has none.
pub(crate) fn stamped(r: &Record<'_>, stamp: &[u8]) -> Option<(EventTime, Certainty)> {
    match clock::iso(stamp.trim_ascii()) {
        Some((Stamp::Absolute(time), _)) => Some((time, Certainty::Exact)),
        Some((Stamp::Local(civil), _)) => r.clock.resolve(civil),
        None => clock::epoch(stamp).map(|t| (t, Certainty::Exact)).or_else(|| r.header_time()),
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
