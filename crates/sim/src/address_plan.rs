//! Which synthetic public address is where and whose: the only Internet the simulated company knows.
//!
//! Everything lies inside 198.18.0.0/15, which RFC 2544 sets aside for benchmarks, so no line of a simulated log
//! names an address that anyone has. Provider names and AS numbers are the real ones, since programs classify
//! networks by them; the prefixes given to them here are invented.

use std::net::Ipv4Addr;

use crate::gazetteer::{City, NETWORKS, Network, NetworkKind};
use crate::rng::Rng;

/// First address of the plan, and one past the last.
pub(crate) const FIRST: u32 = 0xC612_0000;
pub(crate) const END: u32 = 0xC614_0000;

/// A prefix of one provider in one city.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    pub(crate) first: u32,
    /// Prefix length.
    pub(crate) bits: u8,
    pub(crate) city: &'static City,
    pub(crate) network: &'static Network,
    /// Radius in kilometres that geolocation gives.
    pub(crate) radius: u16,
}

impl Block {
    pub(crate) fn size(&self) -> u32 {
        1 << (32 - u32::from(self.bits))
    }

    pub(crate) fn contains(&self, ip: Ipv4Addr) -> bool {
        let ip = u32::from(ip);
        ip >= self.first && ip - self.first < self.size()
    }

    pub(crate) fn cidr(&self) -> String {
        format!("{}/{}", Ipv4Addr::from(self.first), self.bits)
    }
}

/// All blocks in address order.
#[derive(Clone, Debug)]
pub(crate) struct AddressPlan {
    pub(crate) blocks: Vec<Block>,
    next: u32,
}

impl AddressPlan {
    /// Gives every network of the gazetteer a prefix in each city where it is; the company's own cities get larger
    /// ones, since its people live there.
    pub(crate) fn new(own_countries: &[&str], cities: &'static [City]) -> AddressPlan {
        let mut plan = AddressPlan { blocks: Vec::new(), next: FIRST };
        let mut own = Vec::new();
        let mut other = Vec::new();
        for network in NETWORKS {
            for city in cities.iter().filter(|c| network.is_in(c)) {
                let at_home = own_countries.contains(&city.country);
                match network.kind {
                    NetworkKind::Isp | NetworkKind::Mobile if at_home => own.push((network, city)),
                    _ => other.push((network, city)),
                }
            }
        }
        for (network, city) in own {
            plan.add(21, city, network, if network.kind == NetworkKind::Mobile { 100 } else { 20 });
        }
        for (network, city) in other {
            let radius = match network.kind {
                NetworkKind::Mobile => 200,
                NetworkKind::Isp => 20,
                _ => 50,
            };
            plan.add(22, city, network, radius);
        }
        plan
    }

    /// The next free prefix of that size. When the plan is full the last block is used again.
    fn add(&mut self, bits: u8, city: &'static City, network: &'static Network, radius: u16) -> Block {
        let size = 1u32 << (32 - u32::from(bits));
        let first = self.next.next_multiple_of(size);
        if first + size > END {
            return *self
                .blocks
                .last()
                .expect("the gazetteer fills the first blocks long before the plan is full");
        }
        self.next = first + size;
        let block = Block { first, bits, city, network, radius };
        self.blocks.push(block);
        block
    }

    /// A small prefix for an office or a cloud egress.
    pub(crate) fn add_office(&mut self, city: &'static City, network: &'static Network) -> Block {
        self.add(28, city, network, 10)
    }

    pub(crate) fn block_of(&self, ip: Ipv4Addr) -> Option<&Block> {
        let at = self.blocks.partition_point(|b| b.first <= u32::from(ip));
        self.blocks.get(at.checked_sub(1)?).filter(|b| b.contains(ip))
    }

    /// Blocks of one kind in a city.
    pub(crate) fn in_city(&self, city: &str, kind: NetworkKind) -> Vec<Block> {
        self.blocks.iter().filter(|b| b.city.name == city && b.network.kind == kind).copied().collect()
    }

    /// Blocks of one kind outside the given countries.
    pub(crate) fn abroad(&self, kind: NetworkKind, countries: &[&str]) -> Vec<Block> {
        self.blocks
            .iter()
            .filter(|b| b.network.kind == kind && !countries.contains(&b.city.country))
            .copied()
            .collect()
    }

    /// An address inside a block, not its first or last.
    pub(crate) fn address(&self, block: &Block, rng: &mut Rng) -> Ipv4Addr {
        let offset = rng.range(1, i64::from(block.size()) - 1);
        Ipv4Addr::from(block.first + offset as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gazetteer::{CITIES, COUNTRIES};

    #[test]
    fn blocks_do_not_overlap_and_all_of_the_gazetteer_fits() {
        for pair in COUNTRIES.windows(2) {
            let own = [pair[0].code, pair[1].code];
            let plan = AddressPlan::new(&own, CITIES);
            let want: usize = NETWORKS.iter().map(|n| CITIES.iter().filter(|c| n.is_in(c)).count()).sum();
            assert_eq!(plan.blocks.len(), want, "{own:?}");
            for two in plan.blocks.windows(2) {
                assert!(two[0].first + two[0].size() <= two[1].first, "{two:?}");
            }
        }
    }

    #[test]
    fn an_address_is_found_in_its_block() {
        let plan = AddressPlan::new(&["DE"], CITIES);
        let mut rng = Rng::fork(1, "plan", 0, 0);
        for block in &plan.blocks {
            let ip = plan.address(block, &mut rng);
            assert_eq!(plan.block_of(ip).map(|b| b.first), Some(block.first));
        }
        assert!(plan.block_of(Ipv4Addr::new(10, 0, 0, 1)).is_none());
    }
}
