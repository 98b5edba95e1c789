//! Indexer acknowledgement: ids of what was stored, counted per channel.
//!
//! An id is given out when its events are stored, never before, so each id below a channel's next one is true; nothing
//! else needs remembering. A channel that was forgotten (idle, or the service was started anew) says `false`, and its
//! peer sends again.

use crate::intake::Origin;
use crate::json::{Fault, Json};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A channel's GUID.
pub(super) type Channel = [u8; 16];

/// Splunk's `maxIdleTime`.
const IDLE: Duration = Duration::from_secs(600);
/// Channels of one source; of more, the one that was idle longest goes.
const MAX_CHANNELS: usize = 1_000;
/// Ids that may be asked for at once.
const MAX_ASKED: usize = 100_000;

#[derive(Default)]
pub(super) struct Acks {
    sources: Mutex<HashMap<Origin, HashMap<Channel, State>>>,
}

struct State {
    next: u64,
    used: Instant,
}

impl Acks {
    /// An id for events that are stored.
    pub(super) fn next(&self, origin: &Origin, channel: Channel) -> u64 {
        self.next_at(origin, channel, Instant::now())
    }

    fn next_at(&self, origin: &Origin, channel: Channel, now: Instant) -> u64 {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let channels = sources.entry(origin.clone()).or_default();
        if channels.len() >= MAX_CHANNELS && !channels.contains_key(&channel) {
            channels.retain(|_, state| now.saturating_duration_since(state.used) < IDLE);
            if channels.len() >= MAX_CHANNELS
                && let Some(oldest) = channels.iter().min_by_key(|(_, s)| s.used).map(|(c, _)| *c)
            {
                channels.remove(&oldest);
            }
        }
        let state = channels.entry(channel).or_insert(State { next: 0, used: now });
        let id = state.next;
        state.next += 1;
        state.used = now;
        id
    }

    /// All ids below this one are stored.
    pub(super) fn known(&self, origin: &Origin, channel: Channel) -> u64 {
        self.known_at(origin, channel, Instant::now())
    }

    fn known_at(&self, origin: &Origin, channel: Channel, now: Instant) -> u64 {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(channels) = sources.get_mut(origin) else { return 0 };
        match channels.get_mut(&channel) {
            Some(state) if now.saturating_duration_since(state.used) < IDLE => {
                state.used = now;
                state.next
            }
            Some(_) => {
                channels.remove(&channel);
                0
            }
            None => 0,
        }
    }
}

/// A GUID, in any case, with or without hyphens at their places.
pub(super) fn channel(text: &[u8]) -> Option<Channel> {
    let hyphens = [8, 13, 18, 23];
    let digits: Vec<u32> = match text.len() {
        36 if hyphens.iter().all(|at| text.get(*at) == Some(&b'-')) => {
            let digit = |(n, b): (usize, &u8)| (!hyphens.contains(&n)).then(|| char::from(*b).to_digit(16));
            text.iter().enumerate().filter_map(digit).collect::<Option<_>>()?
        }
        32 => text.iter().map(|b| char::from(*b).to_digit(16)).collect::<Option<_>>()?,
        _ => return None,
    };
    let mut out = [0; 16];
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair.iter().fold(0, |byte, digit| byte << 4 | *digit as u8);
    }
    Some(out)
}

/// The ids of `{"acks":[0,1,2]}`.
pub(super) fn asked_for(body: &[u8]) -> Option<Vec<u64>> {
    let mut ids = Vec::new();
    let mut json = Json::new(body);
    let mut there = false;
    json.object::<Fault>(|key, json| {
        if key != b"acks" {
            return json.value().map(|_| ());
        }
        there = true;
        json.array(|json| {
            let value = json.value()?;
            let id = std::str::from_utf8(value).ok().and_then(|v| v.trim_matches('"').parse().ok());
            ids.push(id.ok_or(Fault::Odd(json.at()))?);
            if ids.len() > MAX_ASKED { Err(Fault::Deep) } else { Ok(()) }
        })
    })
    .ok()?;
    (there && json.is_at_end()).then_some(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_count_up_per_channel_and_source() {
        let (acks, edge, lab) = (Acks::default(), Origin::new("edge"), Origin::new("lab"));
        let now = Instant::now();
        assert_eq!([0, 1].map(|_| acks.next_at(&edge, [1; 16], now)), [0, 1]);
        assert_eq!(acks.next_at(&edge, [2; 16], now), 0);
        assert_eq!(acks.known_at(&edge, [1; 16], now), 2);
        assert_eq!(acks.known_at(&lab, [1; 16], now), 0);
        // Forgotten once idle: what was asked too late is sent again.
        assert_eq!(acks.known_at(&edge, [1; 16], now + IDLE), 0);
    }

    #[test]
    fn channels_are_bounded_and_the_oldest_goes() {
        let (acks, edge) = (Acks::default(), Origin::new("edge"));
        let start = Instant::now();
        let id = |n: usize| u128::to_be_bytes(n as u128);
        for n in 0..MAX_CHANNELS + 5 {
            acks.next_at(&edge, id(n), start + Duration::from_millis(n as u64));
        }
        let now = start + Duration::from_secs(2);
        assert_eq!(acks.known_at(&edge, id(4), now), 0);
        assert_eq!(acks.known_at(&edge, id(5), now), 1);
        assert_eq!(acks.sources.lock().expect("no panic")[&edge].len(), MAX_CHANNELS);
    }

    #[test]
    fn channels_are_guids() {
        let guid = channel(b"FE0ECFAD-13D5-401B-847D-77833BD77131").expect("a GUID");
        assert_eq!(channel(b"fe0ecfad13d5401b847d77833bd77131"), Some(guid));
        assert_eq!(guid[0], 0xFE);
        assert_eq!(channel(b"FE0ECFAD-13D5-401B-847D-77833BD7713"), None);
        assert_eq!(channel(b"FE0ECFAD-13D5-401B-847D-77833BD7713g"), None);
        assert_eq!(channel(b""), None);
    }

    #[test]
    fn ids_that_are_asked_for() {
        assert_eq!(asked_for(br#"{"acks":[0, 3,"4"]}"#), Some(vec![0, 3, 4]));
        assert_eq!(asked_for(br#"{"acks":[]}"#), Some(vec![]));
        for odd in [&br#"{"acks":[-1]}"#[..], br#"{"acks":1}"#, br#"{}"#, b"", br#"{"acks":[1]} x"#] {
            assert_eq!(asked_for(odd), None);
        }
    }
}
