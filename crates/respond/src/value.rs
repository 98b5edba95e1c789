//! Values that name something at a device. They come out of logs, so an attacker may have written them: each kind
//! has a type that refuses what it cannot be, and nothing is repaired. How a value is written into a protocol is the
//! encoders' matter (`encode`).

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Why a value is refused. Names the kind and the cause, never more of the value than its first 40 characters.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{kind} `{shown}`: {why}")]
pub struct Refused {
    pub kind: &'static str,
    pub shown: String,
    pub why: &'static str,
}

fn refuse(kind: &'static str, value: &str, why: &'static str) -> Refused {
    let shown: String = value.chars().take(40).collect();
    Refused { kind, shown: portreeve_model::untrusted::escape_for_terminal(&shown), why }
}

/// What every value must satisfy: not empty, not too long, nothing that a terminal, a protocol or a reader obeys.
fn plain(kind: &'static str, value: &str, longest: usize) -> Result<(), Refused> {
    if value.is_empty() {
        return Err(refuse(kind, value, "is empty"));
    }
    if value.len() > longest {
        return Err(refuse(kind, value, "is too long"));
    }
    if value.chars().any(portreeve_model::untrusted::is_obeyed) {
        return Err(refuse(kind, value, "holds control, direction or invisible characters"));
    }
    if value.trim() != value {
        return Err(refuse(kind, value, "begins or ends with a space"));
    }
    if value.starts_with('-') {
        return Err(refuse(kind, value, "begins with a dash, which commands read as an option"));
    }
    Ok(())
}

macro_rules! text_value {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $longest:literal, $allowed:expr, $why:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            pub fn new(value: impl Into<String>) -> Result<Self, Refused> {
                let value = value.into();
                plain($kind, &value, $longest)?;
                let allowed: fn(char) -> bool = $allowed;
                if !value.chars().all(allowed) {
                    return Err(refuse($kind, &value, $why));
                }
                Ok($name(value))
            }

            /// The bare text, for an encoder to work on.
            pub fn raw(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Refused;
            fn try_from(value: String) -> Result<Self, Refused> {
                $name::new(value)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&portreeve_model::untrusted::escape_for_terminal(&self.0))
            }
        }
    };
}

text_value! {
    /// An account as a product writes it: `anna`, `CORP\anna`, `anna@corp.example`. Quotes, `<`, `*` and `)` are
    /// legal in names and left to the encoders.
    UserName, "user name", 256, |_| true, ""
}
text_value! {
    /// A session, client or device id as a product gives it: visible ASCII without spaces.
    SessionId, "session id", 256, |c| c.is_ascii_graphic(), "holds something else than visible ASCII"
}
text_value! {
    /// A host or device name.
    HostName, "host name", 253,
    |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'),
    "holds something else than letters, digits, dots, dashes and underscores"
}
text_value! {
    /// The id of a key: an AWS access key id, `SHA256:…` of an SSH key, a WireGuard public key.
    KeyId, "key id", 256,
    |c| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | ':' | '_' | '-' | '.'),
    "holds something else than base64, hexadecimal and `:`"
}

impl UserName {
    /// The part that names the person: without a Windows domain before `\` and a realm after `@`.
    pub fn short(&self) -> &str {
        let name = self.0.rsplit_once('\\').map_or(self.0.as_str(), |(_, name)| name);
        name.split_once('@').map_or(name, |(name, _)| name)
    }
}

/// A hardware address, `aa:bb:cc:dd:ee:ff`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mac([u8; 6]);

impl Mac {
    pub fn octets(self) -> [u8; 6] {
        self.0
    }
}

impl FromStr for Mac {
    type Err = Refused;
    /// Any of `aa:bb:…`, `AA-BB-…`, `aabb.ccdd.eeff`, `aabbccddeeff`.
    fn from_str(text: &str) -> Result<Mac, Refused> {
        let mut digits = Vec::with_capacity(12);
        for c in text.chars() {
            match c.to_digit(16) {
                Some(d) => digits.push(d as u8),
                None if matches!(c, ':' | '-' | '.') => {}
                None => {
                    return Err(refuse(
                        "hardware address",
                        text,
                        "holds something else than hexadecimal digits",
                    ));
                }
            }
        }
        let mut octets = [0; 6];
        if digits.len() != 12 {
            return Err(refuse("hardware address", text, "has not twelve hexadecimal digits"));
        }
        for (octet, pair) in octets.iter_mut().zip(digits.chunks_exact(2)) {
            *octet = pair.iter().fold(0, |n, d| n << 4 | d);
        }
        Ok(Mac(octets))
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl TryFrom<String> for Mac {
    type Error = Refused;
    fn try_from(text: String) -> Result<Mac, Refused> {
        text.parse()
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> String {
        mac.to_string()
    }
}

/// One address or a range, in its one spelling: host bits cleared, IPv4 inside IPv6 (`::ffff:192.0.2.1`) as IPv4.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Net(IpNet);

impl Net {
    /// Host bits are an error: `192.0.2.9/24` may mean one address or 256.
    pub fn new(net: IpNet) -> Result<Net, Refused> {
        if net.addr() != net.network() {
            return Err(refuse("range", &net.to_string(), "has bits set behind its prefix"));
        }
        if let IpNet::V6(v6) = net
            && v6.prefix_len() >= 96
            && let Some(v4) = v6.addr().to_ipv4_mapped()
        {
            let v4 = Ipv4Net::new(v4, v6.prefix_len() - 96)
                .map_err(|_| refuse("range", &net.to_string(), "has no such prefix"))?;
            return Ok(Net(v4.into()));
        }
        Ok(Net(net))
    }

    pub fn host(ip: IpAddr) -> Net {
        Net(IpNet::from(ip.to_canonical()))
    }

    pub fn net(self) -> IpNet {
        self.0
    }

    pub fn is_host(self) -> bool {
        self.0.prefix_len() == self.0.max_prefix_len()
    }

    pub fn is_v4(self) -> bool {
        matches!(self.0, IpNet::V4(_))
    }

    /// Do the two share an address? Either may hold the other.
    pub fn overlaps(self, other: Net) -> bool {
        overlap(self.0, other.0)
    }

    /// The IPv4 range that this IPv6 range stands for, where a translator or tunnel makes it one: NAT64
    /// (64:ff9b::/96), 6to4 (2002::/16), Teredo's server side is left out, `::a.b.c.d` is obsolete and counted.
    pub fn embedded_v4(self) -> Option<Net> {
        let IpNet::V6(v6) = self.0 else { return None };
        let bits = u128::from(v6.addr());
        let len = v6.prefix_len();
        let take = |v4: u32, prefix: u8| {
            Ipv4Net::new(Ipv4Addr::from(v4), prefix).ok().map(|n| Net(n.trunc().into()))
        };
        if len >= 96 && (bits >> 32 == 0x0064_ff9b_u128 << 64 || bits >> 32 == 0 && len < 127) {
            return take(bits as u32, len - 96);
        }
        if len >= 16 && bits >> 112 == 0x2002 {
            return take((bits >> 80) as u32, (len - 16).min(32));
        }
        None
    }
}

fn overlap(a: IpNet, b: IpNet) -> bool {
    a.contains(&b) || b.contains(&a)
}

impl FromStr for Net {
    type Err = Refused;
    /// `192.0.2.7`, `192.0.2.0/24`, `2001:db8::/48`. Octal, hexadecimal and short forms, zones (`%eth0`) and ports
    /// are refused, because two readers would read them differently.
    fn from_str(text: &str) -> Result<Net, Refused> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Net::host(ip));
        }
        match text.parse::<IpNet>() {
            Ok(net) => Net::new(net),
            Err(_) => Err(refuse("address", text, "is no address or range in its usual spelling")),
        }
    }
}

impl fmt::Display for Net {
    /// An address without `/32`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_host() { write!(f, "{}", self.0.addr()) } else { write!(f, "{}", self.0) }
    }
}

impl TryFrom<String> for Net {
    type Error = Refused;
    fn try_from(text: String) -> Result<Net, Refused> {
        text.parse()
    }
}

impl From<Net> for String {
    fn from(net: Net) -> String {
        net.to_string()
    }
}

impl From<Ipv4Net> for Net {
    fn from(net: Ipv4Net) -> Net {
        Net(net.trunc().into())
    }
}

impl From<Ipv6Net> for Net {
    fn from(net: Ipv6Net) -> Net {
        Net::new(net.trunc().into()).unwrap_or(Net(net.trunc().into()))
    }
}

impl From<Ipv6Addr> for Net {
    fn from(ip: Ipv6Addr) -> Net {
        Net::host(ip.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Net {
        text.parse().unwrap()
    }

    #[test]
    fn what_would_be_obeyed_is_refused() {
        for bad in ["", " a", "a ", "-rf", "a\nb", "a\0b", "a\u{202e}b", "a\u{200b}b", "\u{1b}[2J"] {
            assert!(UserName::new(bad).is_err(), "{bad:?}");
        }
        for good in ["anna", "CORP\\anna", "o'neil", "a\"b<c>*)(|", "anna@corp.example", "anna berg", "Ünal"]
        {
            assert!(UserName::new(good).is_ok(), "{good:?}");
        }
        assert!(SessionId::new("a b").is_err());
        assert!(HostName::new("a;b").is_err());
        assert!(KeyId::new("SHA256:ab+/=").is_ok());
    }

    #[test]
    fn a_name_has_one_short_form() {
        assert_eq!(UserName::new("CORP\\anna").unwrap().short(), "anna");
        assert_eq!(UserName::new("anna@corp.example").unwrap().short(), "anna");
        assert_eq!(UserName::new("anna").unwrap().short(), "anna");
    }

    #[test]
    fn an_address_has_one_spelling() {
        assert_eq!(net("::ffff:192.0.2.1"), net("192.0.2.1"));
        assert_eq!(net("::ffff:192.0.2.0/120"), net("192.0.2.0/24"));
        assert_eq!(net("2001:DB8:0::1").to_string(), "2001:db8::1");
        assert_eq!(net("192.0.2.1/32").to_string(), "192.0.2.1");
        for bad in [
            "192.0.2.01",
            "0xc0.0.2.1",
            "3221225985",
            "192.0.2",
            "fe80::1%eth0",
            "192.0.2.1:22",
            "192.0.2.9/24",
            "",
            "*",
            "any",
        ] {
            assert!(bad.parse::<Net>().is_err(), "{bad}");
        }
    }

    #[test]
    fn ranges_overlap_both_ways() {
        assert!(net("192.0.2.0/24").overlaps(net("192.0.2.7")));
        assert!(net("192.0.2.7").overlaps(net("192.0.2.0/24")));
        assert!(!net("192.0.2.0/25").overlaps(net("192.0.2.128/25")));
        assert!(!net("192.0.2.1").overlaps(net("2001:db8::1")));
    }

    #[test]
    fn ipv4_inside_ipv6_is_seen() {
        assert_eq!(net("64:ff9b::c000:207").embedded_v4(), Some(net("192.0.2.7")));
        assert_eq!(net("2002:c000:207::/48").embedded_v4(), Some(net("192.0.2.7")));
        assert_eq!(net("2002:c000::/32").embedded_v4(), Some(net("192.0.0.0/16")));
        assert_eq!(net("2001:db8::1").embedded_v4(), None);
        assert_eq!(net("::1").embedded_v4(), None);
    }

    #[test]
    fn hardware_addresses_are_one() {
        for text in ["aa:bb:cc:dd:ee:0f", "AA-BB-CC-DD-EE-0F", "aabb.ccdd.ee0f", "aabbccddee0f"] {
            assert_eq!(text.parse::<Mac>().unwrap().to_string(), "aa:bb:cc:dd:ee:0f");
        }
        assert!("aa:bb:cc:dd:ee".parse::<Mac>().is_err());
        assert!("aa:bb:cc:dd:ee:0g".parse::<Mac>().is_err());
    }
}
