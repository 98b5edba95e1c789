//! Addresses in one canonical spelling, prefixes, and the classes of networks that matter to the playbook.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address, IPv4 held as IPv4-mapped IPv6 so that `::ffff:1.2.3.4` and `1.2.3.4` are one.
/// [`Ip::NONE`] (the unspecified address) stands for "the record does not say".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ip(pub u128);

const V4: u128 = 0xffff_0000_0000;

impl Ip {
    pub const NONE: Ip = Ip(0);

    pub const fn v4(a: u8, b: u8, c: u8, d: u8) -> Ip {
        Ip(V4 | (a as u128) << 24 | (b as u128) << 16 | (c as u128) << 8 | d as u128)
    }

    pub fn is_none(self) -> bool {
        self.0 == 0 || self.0 == V4
    }

    pub fn is_some(self) -> bool {
        !self.is_none()
    }

    pub fn some(self) -> Option<Ip> {
        self.is_some().then_some(self)
    }

    pub fn or(self, other: Ip) -> Ip {
        if self.is_some() { self } else { other }
    }

    pub fn is_v4(self) -> bool {
        self.0 >> 32 == 0xffff
    }

    pub fn to_std(self) -> IpAddr {
        let v6 = Ipv6Addr::from(self.0);
        match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6(v6),
        }
    }

    /// Reads `1.2.3.4`, `2001:db8::1`, `[2001:db8::1]`, `::ffff:1.2.3.4`, a zone suffix (`fe80::1%eth0`), and
    /// an IPv4 port suffix (`1.2.3.4:443`, `[2001:db8::1]:443`). `0.0.0.0` and `::` are [`Ip::NONE`], as is
    /// anything else.
    pub fn parse(text: &[u8]) -> Ip {
        Ip::parse_with_port(text).0
    }

    /// As [`Ip::parse`], with the port (0 where there is none).
    pub fn parse_with_port(text: &[u8]) -> (Ip, u16) {
        let text = text.trim_ascii();
        if let Some((ip, used)) = parse_v4(text) {
            let port = match text.get(used) {
                None => 0,
                Some(b':' | b'/' | b'(') => digits(&text[used + 1..]),
                Some(_) => return (Ip::NONE, 0),
            };
            return (if ip == V4 { Ip::NONE } else { Ip(ip) }, port);
        }
        let (host, port) = match text {
            [b'[', rest @ ..] => match rest.iter().position(|b| *b == b']') {
                Some(end) => (&rest[..end], rest.get(end + 2..).map_or(0, digits)),
                None => return (Ip::NONE, 0),
            },
            // Eight groups and one more: the last is a port, as some firewalls write it.
            _ if text.iter().filter(|b| **b == b':').count() == 8 && !text.windows(2).any(|w| w == b"::") => {
                let end = text.iter().rposition(|b| *b == b':').unwrap_or(text.len());
                (&text[..end], digits(text.get(end + 1..).unwrap_or_default()))
            }
            _ => (text, 0),
        };
        let host = host.split(|b| *b == b'%').next().unwrap_or_default();
        let parsed = std::str::from_utf8(host).ok().and_then(|s| s.parse::<Ipv6Addr>().ok());
        match parsed {
            Some(v6) => {
                let ip = Ip(u128::from(v6));
                (if ip.is_none() { Ip::NONE } else { ip }, port)
            }
            None => (Ip::NONE, 0),
        }
    }

    /// The /16 of an IPv4 address, the /32 of an IPv6 one: a rough stand-in for the network where no table names it.
    pub fn block(self) -> u128 {
        match self.to_std() {
            IpAddr::V4(v4) => u128::from(u32::from(v4) >> 16),
            IpAddr::V6(v6) => u128::from(v6) >> 96 | 1 << 64,
        }
    }

    /// Not reachable from the Internet: private, carrier-grade NAT, link-local, loopback, multicast, reserved.
    pub fn is_private(self) -> bool {
        match self.to_std() {
            IpAddr::V4(v4) => {
                let [a, b, c, _] = v4.octets();
                v4.is_private()
                    || v4.is_loopback()
                    || v4.is_link_local()
                    || a == 0
                    || (a == 100 && (64..128).contains(&b))
                    || (a == 192 && b == 0 && c == 0)
                    || a >= 224
            }
            IpAddr::V6(v6) => {
                let first = v6.segments()[0];
                v6.is_loopback()
                    || v6.is_unspecified()
                    || first & 0xfe00 == 0xfc00
                    || first & 0xffc0 == 0xfe80
                    || first & 0xff00 == 0xff00
            }
        }
    }

    pub fn is_public(self) -> bool {
        self.is_some() && !self.is_private()
    }

    pub fn is_loopback(self) -> bool {
        self.to_std().is_loopback()
    }

    /// The /24 of an IPv4 address or the /48 of an IPv6 address: the neighbourhood that moves with one line.
    pub fn prefix(self) -> Ip {
        if self.is_v4() { Ip(self.0 & !0xff) } else { Ip(self.0 >> 80 << 80) }
    }
}

impl From<IpAddr> for Ip {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(v4) => Ip::from(v4),
            IpAddr::V6(v6) => Ip(u128::from(v6)),
        }
    }
}

impl From<Ipv4Addr> for Ip {
    fn from(v4: Ipv4Addr) -> Self {
        Ip(V4 | u128::from(u32::from(v4)))
    }
}

impl std::fmt::Display for Ip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_none() { Ok(()) } else { self.to_std().fmt(f) }
    }
}

impl std::fmt::Debug for Ip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_none() { f.write_str("-") } else { std::fmt::Display::fmt(self, f) }
    }
}

/// The mapped address and how many bytes it took.
fn parse_v4(text: &[u8]) -> Option<(u128, usize)> {
    let mut value = 0u128;
    let mut at = 0;
    for part in 0..4 {
        if part > 0 {
            if text.get(at) != Some(&b'.') {
                return None;
            }
            at += 1;
        }
        let from = at;
        let mut octet = 0u32;
        while let Some(b @ b'0'..=b'9') = text.get(at) {
            octet = octet * 10 + u32::from(b - b'0');
            at += 1;
            if at - from > 3 {
                return None;
            }
        }
        if at == from || octet > 255 {
            return None;
        }
        value = value << 8 | u128::from(octet);
    }
    Some((V4 | value, at))
}

fn digits(text: &[u8]) -> u16 {
    let end = text.iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    text[..end].iter().try_fold(0u16, |n, b| n.checked_mul(10)?.checked_add(u16::from(b - b'0'))).unwrap_or(0)
}

/// A prefix. Prefix length counts IPv6 bits: an IPv4 /24 is 120.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Cidr {
    pub base: Ip,
    pub bits: u8,
}

impl Cidr {
    /// `10.0.0.0/8`, `2001:db8::/32`, or a single address. Host bits are cleared.
    pub fn parse(text: &str) -> Option<Cidr> {
        let text = text.trim();
        let (host, bits) = match text.split_once('/') {
            Some((host, bits)) => (host, Some(bits.trim().parse::<u8>().ok()?)),
            None => (text, None),
        };
        let std: IpAddr = host.trim().trim_matches(['[', ']']).parse().ok()?;
        let ip = Ip::from(std);
        let bits = match (ip.is_v4(), bits) {
            (true, Some(b)) if b <= 32 => b + 96,
            (false, Some(b)) if b <= 128 => b,
            (_, None) => 128,
            _ => return None,
        };
        Some(Cidr { base: Ip(ip.0 & mask(bits)), bits })
    }

    pub fn contains(&self, ip: Ip) -> bool {
        ip.0 & mask(self.bits) == self.base.0
    }

    pub fn first(&self) -> Ip {
        self.base
    }

    pub fn last(&self) -> Ip {
        Ip(self.base.0 | !mask(self.bits))
    }
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bits = if self.base.is_v4() && self.bits >= 96 { self.bits - 96 } else { self.bits };
        write!(f, "{}/{}", self.base.to_std(), bits)
    }
}

fn mask(bits: u8) -> u128 {
    if bits == 0 { 0 } else { u128::MAX << (128 - u32::from(bits.min(128))) }
}

/// What kind of network an address belongs to. Decides what its place can say and how unusual it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(u8)]
pub enum NetworkClass {
    #[default]
    Unknown,
    /// The company's own egress or office range.
    Own,
    /// Private, loopback, link-local: no place.
    Private,
    Isp,
    Mobile,
    Business,
    Hosting,
    CommercialVpn,
    Tor,
    /// A relay by design: Apple Private Relay, SASE or cloud proxy egress. Its place says nothing.
    Relay,
    Satellite,
}

impl NetworkClass {
    pub fn name(self) -> &'static str {
        match self {
            NetworkClass::Unknown => "unknown",
            NetworkClass::Own => "own network",
            NetworkClass::Private => "private",
            NetworkClass::Isp => "isp",
            NetworkClass::Mobile => "mobile",
            NetworkClass::Business => "business",
            NetworkClass::Hosting => "hosting",
            NetworkClass::CommercialVpn => "commercial vpn",
            NetworkClass::Tor => "tor",
            NetworkClass::Relay => "relay",
            NetworkClass::Satellite => "satellite",
        }
    }

    /// The address tells where the packet left, not where the person is.
    pub fn place_says_nothing(self) -> bool {
        matches!(
            self,
            NetworkClass::Relay
                | NetworkClass::CommercialVpn
                | NetworkClass::Tor
                | NetworkClass::Satellite
                | NetworkClass::Private
        )
    }

    /// Age alone never clears an address of these (scoring 10.6).
    pub fn needs_proof(self) -> bool {
        matches!(
            self,
            NetworkClass::Hosting | NetworkClass::CommercialVpn | NetworkClass::Tor | NetworkClass::Relay
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_one_spelling() {
        let want = Ip::v4(203, 0, 113, 9);
        for text in
            ["203.0.113.9", "::ffff:203.0.113.9", "203.0.113.9:443", "203.0.113.9/51515", " 203.0.113.9 "]
        {
            assert_eq!(Ip::parse(text.as_bytes()), want, "{text}");
        }
        assert_eq!(Ip::parse_with_port(b"203.0.113.9:443"), (want, 443));
        assert_eq!(Ip::parse_with_port(b"[2001:db8::1]:22").1, 22);
        let full = Ip::parse(b"2001:db8:0:0:0:0:0:1");
        assert_eq!(Ip::parse_with_port(b"2001:db8:0:0:0:0:0:1:443"), (full, 443));
        assert_eq!(Ip::parse_with_port(b"2001:db8::1:443").1, 0);
        assert_eq!(Ip::parse(b"fe80::1%eth0").to_string(), "fe80::1");
    }

    #[test]
    fn what_is_no_address_is_none() {
        for text in
            ["", "-", "N/A", "0.0.0.0", "::", "1.2.3", "1.2.3.256", "1.2.3.4x", "1.2.3.4.5", "[::1", "LOCAL"]
        {
            assert!(Ip::parse(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn private_and_public() {
        for text in
            ["10.1.2.3", "172.31.0.1", "192.168.0.1", "100.64.0.1", "127.0.0.1", "fe80::1", "fd00::1", "::1"]
        {
            assert!(Ip::parse(text.as_bytes()).is_private(), "{text}");
        }
        for text in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2a00::1", "203.0.113.1"] {
            assert!(Ip::parse(text.as_bytes()).is_public(), "{text}");
        }
    }

    #[test]
    fn prefixes() {
        let c = Cidr::parse("10.8.0.7/24").expect("a prefix");
        assert_eq!(c.to_string(), "10.8.0.0/24");
        assert!(c.contains(Ip::v4(10, 8, 0, 255)) && !c.contains(Ip::v4(10, 8, 1, 0)));
        assert_eq!(
            Cidr::parse("2001:db8::/32").expect("a prefix").last().to_string(),
            "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"
        );
        assert!(Cidr::parse("10.0.0.0/33").is_none() && Cidr::parse("x/8").is_none());
        assert!(Cidr::parse("0.0.0.0/0").expect("all of IPv4").contains(Ip::v4(9, 9, 9, 9)));
    }
}
