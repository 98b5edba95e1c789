//! Address ranges with a payload, looked up by bisection. Where ranges overlap, the narrowest wins.

use portreeve_model::Ip;
use portreeve_model::net::Cidr;

#[derive(Clone, Debug)]
pub(crate) struct Ranges<T> {
    /// Sorted, not overlapping.
    flat: Vec<(Ip, Ip, usize)>,
    payload: Vec<T>,
}

impl<T> Default for Ranges<T> {
    fn default() -> Self {
        Ranges { flat: Vec::new(), payload: Vec::new() }
    }
}

impl<T> Ranges<T> {
    pub(crate) fn new(entries: impl IntoIterator<Item = (Cidr, T)>) -> Self {
        let mut payload = Vec::new();
        let mut all: Vec<(Cidr, usize)> = Vec::new();
        for (cidr, value) in entries {
            all.push((cidr, payload.len()));
            payload.push(value);
        }
        // Widest first: a narrower prefix is laid over what stands.
        all.sort_by_key(|(c, n)| (c.first(), c.bits, *n));
        let mut flat: Vec<(Ip, Ip, usize)> = Vec::new();
        let mut open: Vec<(Ip, usize)> = Vec::new();
        let mut at = Ip(0);
        for (cidr, n) in &all {
            while let Some((end, holder)) = open.last().copied().filter(|(end, _)| *end < cidr.first()) {
                open.pop();
                if at <= end {
                    flat.push((at, end, holder));
                    at = Ip(end.0.saturating_add(1));
                }
            }
            if let Some((_, holder)) = open.last()
                && at < cidr.first()
            {
                flat.push((at, Ip(cidr.first().0 - 1), *holder));
            }
            at = cidr.first();
            open.push((cidr.last(), *n));
        }
        while let Some((end, holder)) = open.pop() {
            if at <= end {
                flat.push((at, end, holder));
                at = Ip(end.0.saturating_add(1));
            }
        }
        Ranges { flat, payload }
    }

    pub(crate) fn get(&self, ip: Ip) -> Option<&T> {
        let n = self.flat.partition_point(|(first, ..)| *first <= ip).checked_sub(1)?;
        let (_, last, payload) = self.flat.get(n)?;
        (ip <= *last).then(|| &self.payload[*payload])
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.payload.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bisection_finds_what_a_scan_finds(prefixes in proptest::collection::vec((0u32..64, 120u8..=128), 0..30), ask in 0u32..80) {
            let cidrs: Vec<Cidr> = prefixes.iter().map(|(n, bits)| Cidr::parse(&format!("10.0.0.{n}/{}", bits - 96)).expect("a prefix")).collect();
            let ranges = Ranges::new(cidrs.iter().copied().enumerate().map(|(n, c)| (c, n)));
            let ip = Ip::v4(10, 0, 0, u8::try_from(ask).expect("small"));
            let most = cidrs.iter().filter(|c| c.contains(ip)).map(|c| c.bits).max();
            prop_assert_eq!(ranges.get(ip).map(|n| cidrs[*n].bits), most);
        }
    }
}
