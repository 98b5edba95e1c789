//! Events as bytes, for spilling and for the state directory: only set fields, lengths as varints, no padding.
//!
//! Format 1. A record is: mask of set fields (varint), then each set field in the order of its bit. Symbols are
//! numbers of the run's table; the state directory writes that table beside them.

use portreeve_model::event::{Act, Change, Event, Factor, Flags, Mac, Method, Mfa, Outcome, Reason, Service};
use portreeve_model::place::{Country, Point};
use portreeve_model::time::Certainty;
use portreeve_model::{EventTime, Ip, RawRef, Sym};

/// The bytes end too early or hold an impossible value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stored events are damaged")]
pub struct Damaged;

pub fn put_varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Reads from the front of a slice and moves it on.
pub struct Bytes<'a>(pub &'a [u8]);

impl Bytes<'_> {
    pub fn byte(&mut self) -> Result<u8, Damaged> {
        let (first, rest) = self.0.split_first().ok_or(Damaged)?;
        self.0 = rest;
        Ok(*first)
    }

    pub fn varint(&mut self) -> Result<u64, Damaged> {
        let mut n = 0u64;
        for shift in (0..64).step_by(7) {
            let b = self.byte()?;
            n |= u64::from(b & 0x7f) << shift;
            if b < 0x80 {
                return Ok(n);
            }
        }
        Err(Damaged)
    }

    fn small<T: TryFrom<u64>>(&mut self) -> Result<T, Damaged> {
        T::try_from(self.varint()?).map_err(|_| Damaged)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Damaged> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(Damaged)?;
        self.0 = rest;
        Ok(*head)
    }
}

fn zigzag(n: i64) -> u64 {
    (n as u64) << 1 ^ (n >> 63) as u64
}

fn unzigzag(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}

fn put_ip(out: &mut Vec<u8>, ip: Ip) {
    if ip.is_v4() {
        out.push(4);
        out.extend_from_slice(&(ip.0 as u32).to_be_bytes());
    } else {
        out.push(6);
        out.extend_from_slice(&ip.0.to_be_bytes());
    }
}

fn get_ip(b: &mut Bytes<'_>) -> Result<Ip, Damaged> {
    match b.byte()? {
        4 => Ok(Ip(0xffff_0000_0000 | u128::from(u32::from_be_bytes(b.array()?)))),
        6 => Ok(Ip(u128::from_be_bytes(b.array()?))),
        _ => Err(Damaged),
    }
}

/// Appends one event; `before` is the time of the event before it in the same run.
pub fn put(out: &mut Vec<u8>, e: &Event, before: EventTime) {
    let ips = [e.src_ip, e.tun_ip, e.dst_ip];
    let numbers = [
        u64::from(e.src_port),
        u64::from(e.dst_port),
        e.mac.0,
        u64::from(e.vlan),
        u64::from(e.logon_type),
        u64::from(e.severity),
        u64::from(e.repeat),
        u64::from(e.duration_s),
        e.bytes_in,
        e.bytes_out,
    ];
    let words = [
        e.outcome as u8,
        e.reason as u8,
        e.mfa as u8,
        e.factor as u8,
        e.service as u8,
        e.method as u8,
        e.change as u8,
        e.certainty as u8,
    ];
    let names = [
        e.source, e.user, e.target, e.observer, e.host, e.device, e.sid, e.client, e.group, e.detail, e.city,
    ];
    let mut mask = 0u64;
    let mut bit = 0;
    let mut note = |set: bool| {
        mask |= u64::from(set) << bit;
        bit += 1;
    };
    ips.iter().for_each(|ip| note(ip.is_some()));
    numbers.iter().for_each(|n| note(*n != 0));
    words.iter().for_each(|w| note(*w != 0));
    names.iter().for_each(|n| note(n.is_some()));
    note(e.flags.0 != 0);
    note(e.country.is_some());
    note(e.point.is_some());
    put_varint(out, mask);
    put_varint(out, zigzag(e.time.0.wrapping_sub(before.0)));
    out.extend_from_slice(&e.key.to_le_bytes());
    put_varint(out, u64::from(e.raw.input));
    put_varint(out, u64::from(e.raw.line));
    put_varint(out, e.raw.offset);
    out.push(e.act as u8);
    ips.iter().filter(|ip| ip.is_some()).for_each(|ip| put_ip(out, *ip));
    numbers.iter().filter(|n| **n != 0).for_each(|n| put_varint(out, *n));
    words.iter().filter(|w| **w != 0).for_each(|w| out.push(*w));
    names.iter().filter(|n| n.is_some()).for_each(|n| put_varint(out, u64::from(n.0)));
    if e.flags.0 != 0 {
        put_varint(out, u64::from(e.flags.0));
    }
    if e.country.is_some() {
        out.extend_from_slice(&e.country.0);
    }
    if let Some(p) = e.point {
        out.extend_from_slice(&p.lat.to_le_bytes());
        out.extend_from_slice(&p.lon.to_le_bytes());
    }
}

/// Reads one event, the inverse of [`put`].
pub fn get(b: &mut Bytes<'_>, before: EventTime) -> Result<Event, Damaged> {
    let mask = b.varint()?;
    let mut bit = 0;
    let mut set = || {
        let is = mask >> bit & 1 == 1;
        bit += 1;
        is
    };
    let ips: [bool; 3] = std::array::from_fn(|_| set());
    let numbers: [bool; 10] = std::array::from_fn(|_| set());
    let words: [bool; 8] = std::array::from_fn(|_| set());
    let names: [bool; 11] = std::array::from_fn(|_| set());
    let (flags, country, point) = (set(), set(), set());
    let mut e = Event { time: EventTime(before.0.wrapping_add(unzigzag(b.varint()?))), ..Event::default() };
    e.key = u64::from_le_bytes(b.array()?);
    e.raw = RawRef { input: b.small()?, line: b.small()?, offset: b.varint()? };
    e.act = *Act::ALL.get(usize::from(b.byte()?)).ok_or(Damaged)?;
    let ip = |is: bool, b: &mut Bytes<'_>| if is { get_ip(b) } else { Ok(Ip::NONE) };
    e.src_ip = ip(ips[0], b)?;
    e.tun_ip = ip(ips[1], b)?;
    e.dst_ip = ip(ips[2], b)?;
    let mut n = [0u64; 10];
    for (slot, is) in n.iter_mut().zip(numbers) {
        if is {
            *slot = b.varint()?;
        }
    }
    let narrow = |v: u64| u16::try_from(v).map_err(|_| Damaged);
    (e.src_port, e.dst_port, e.mac, e.vlan) = (narrow(n[0])?, narrow(n[1])?, Mac(n[2]), narrow(n[3])?);
    e.logon_type = u8::try_from(n[4]).map_err(|_| Damaged)?;
    e.severity = u8::try_from(n[5]).map_err(|_| Damaged)?;
    e.repeat = narrow(n[6])?;
    e.duration_s = u32::try_from(n[7]).map_err(|_| Damaged)?;
    (e.bytes_in, e.bytes_out) = (n[8], n[9]);
    let mut w = [0u8; 8];
    for (slot, is) in w.iter_mut().zip(words) {
        if is {
            *slot = b.byte()?;
        }
    }
    e.outcome = pick(&Outcome::ALL, w[0])?;
    e.reason = pick(&Reason::ALL, w[1])?;
    e.mfa = pick(&Mfa::ALL, w[2])?;
    e.factor = pick(&Factor::ALL, w[3])?;
    e.service = pick(&Service::ALL, w[4])?;
    e.method = pick(&Method::ALL, w[5])?;
    e.change = pick(&Change::ALL, w[6])?;
    e.certainty = pick(&CERTAINTIES, w[7])?;
    let mut s = [Sym::NONE; 11];
    for (slot, is) in s.iter_mut().zip(names) {
        if is {
            *slot = Sym(b.small()?);
        }
    }
    [e.source, e.user, e.target, e.observer, e.host, e.device, e.sid, e.client, e.group, e.detail, e.city] =
        s;
    if flags {
        e.flags = Flags(b.small()?);
    }
    if country {
        e.country = Country(b.array()?);
    }
    if point {
        e.point = Some(Point { lat: f32::from_le_bytes(b.array()?), lon: f32::from_le_bytes(b.array()?) });
    }
    Ok(e)
}

/// Changes every symbol of an event, as when a stored table is read into a running one.
pub fn renumber(e: &mut Event, mut map: impl FnMut(Sym) -> Sym) {
    for s in [
        &mut e.source,
        &mut e.user,
        &mut e.target,
        &mut e.observer,
        &mut e.host,
        &mut e.device,
        &mut e.sid,
        &mut e.client,
        &mut e.group,
        &mut e.detail,
        &mut e.city,
    ] {
        *s = map(*s);
    }
}

fn pick<T: Copy>(all: &[T], n: u8) -> Result<T, Damaged> {
    all.get(usize::from(n)).copied().ok_or(Damaged)
}

// In the order of their discriminants; a test holds them to it.
const CERTAINTIES: [Certainty; 6] = [
    Certainty::Exact,
    Certainty::YearAssumed,
    Certainty::ZoneAssumed,
    Certainty::YearAndZoneAssumed,
    Certainty::Corrected,
    Certainty::ClockSuspect,
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tables_follow_their_discriminants() {
        fn check<T: Copy>(all: &[T], number: impl Fn(T) -> u8) {
            for (n, v) in all.iter().enumerate() {
                assert_eq!(usize::from(number(*v)), n);
            }
        }
        check(&Outcome::ALL, |v| v as u8);
        check(&Mfa::ALL, |v| v as u8);
        check(&Factor::ALL, |v| v as u8);
        check(&Reason::ALL, |v| v as u8);
        check(&Service::ALL, |v| v as u8);
        check(&Method::ALL, |v| v as u8);
        check(&Change::ALL, |v| v as u8);
        check(&CERTAINTIES, |v| v as u8);
    }

    fn event() -> impl Strategy<Value = Event> {
        let ip = prop_oneof![
            Just(Ip::NONE),
            any::<u32>().prop_map(|n| Ip(0xffff_0000_0000 | u128::from(n.max(1)))),
            (1u128..).prop_map(Ip)
        ];
        let heads = (any::<i64>(), any::<u64>(), any::<u32>(), any::<u32>(), any::<u64>(), 0usize..18);
        let ips = (ip.clone(), ip.clone(), ip);
        let numbers = (any::<u16>(), any::<u16>(), any::<u64>(), any::<u8>(), any::<u32>(), any::<u64>());
        let words =
            (0usize..6, 0usize..22, 0usize..5, 0usize..13, 0usize..22, 0usize..17, 0usize..28, 0usize..6);
        let rest = (any::<u32>(), any::<u32>(), any::<u32>(), any::<u16>(), any::<Option<(i8, i8)>>());
        (heads, ips, numbers, words, rest).prop_map(|(h, i, n, w, r)| Event {
            time: EventTime(h.0),
            key: h.1,
            raw: RawRef { input: h.2, line: h.3, offset: h.4 },
            act: Act::ALL[h.5],
            src_ip: if i.0.is_some() { i.0 } else { Ip::NONE },
            tun_ip: if i.1.is_some() { i.1 } else { Ip::NONE },
            dst_ip: if i.2.is_some() { i.2 } else { Ip::NONE },
            src_port: n.0,
            vlan: n.1,
            mac: Mac(n.2),
            severity: n.3,
            duration_s: n.4,
            bytes_out: n.5,
            outcome: Outcome::ALL[w.0],
            reason: Reason::ALL[w.1],
            mfa: Mfa::ALL[w.2],
            factor: Factor::ALL[w.3],
            service: Service::ALL[w.4],
            method: Method::ALL[w.5],
            change: Change::ALL[w.6],
            certainty: CERTAINTIES[w.7],
            user: Sym(r.0),
            detail: Sym(r.1),
            city: Sym(r.2),
            flags: Flags(r.3),
            point: r.4.map(|(a, b)| Point { lat: f32::from(a), lon: f32::from(b) }),
            country: if r.3 % 2 == 0 { Country::parse("DE") } else { Country::NONE },
            ..Event::default()
        })
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(events in proptest::collection::vec(event(), 0..20)) {
            let mut bytes = Vec::new();
            let mut before = EventTime(0);
            for e in &events {
                put(&mut bytes, e, before);
                before = e.time;
            }
            let mut b = Bytes(&bytes);
            let mut before = EventTime(0);
            for e in &events {
                let got = get(&mut b, before).expect("just written");
                prop_assert_eq!(&got, e);
                before = got.time;
            }
            prop_assert!(b.0.is_empty());
        }

        #[test]
        fn damaged_bytes_are_an_error_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut b = Bytes(&bytes);
            while get(&mut b, EventTime(0)).is_ok() && !b.0.is_empty() {}
        }
    }
}
