//! The CBOR that authenticators write (CTAP2 canonical form: RFC 8949 with definite lengths and shortest heads), read
//! without a copy. Tags, floats and streams do not occur in what we ask for, and are refused.

/// One item.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Value<'b> {
    Int(i64),
    Bytes(&'b [u8]),
    Text(&'b str),
    Array(Vec<Value<'b>>),
    Map(Vec<(Value<'b>, Value<'b>)>),
    Bool(bool),
    Null,
}

/// CTAP2 allows four levels; attestation statements are inside one more.
const DEEPEST: usize = 6;

/// Reads one item and returns what follows it.
pub(super) fn read(bytes: &[u8]) -> Option<(Value<'_>, &[u8])> {
    let mut reader = Reader { rest: bytes };
    let value = reader.value(0)?;
    Some((value, reader.rest))
}

/// Reads one item that is all there is.
pub(super) fn read_all(bytes: &[u8]) -> Option<Value<'_>> {
    read(bytes).filter(|(_, rest)| rest.is_empty()).map(|(value, _)| value)
}

impl<'b> Value<'b> {
    pub(super) fn int_key(&self, key: i64) -> Option<&Value<'b>> {
        self.get(&Value::Int(key))
    }

    pub(super) fn text_key(&self, key: &str) -> Option<&Value<'b>> {
        match self {
            Value::Map(pairs) => {
                pairs.iter().find(|(k, _)| matches!(k, Value::Text(t) if *t == key)).map(|(_, v)| v)
            }
            _ => None,
        }
    }

    fn get(&self, key: &Value<'_>) -> Option<&Value<'b>> {
        match self {
            Value::Map(pairs) => pairs.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    pub(super) fn as_int(&self) -> Option<i64> {
        if let Value::Int(int) = self { Some(*int) } else { None }
    }

    pub(super) fn as_bytes(&self) -> Option<&'b [u8]> {
        if let Value::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    pub(super) fn as_text(&self) -> Option<&'b str> {
        if let Value::Text(text) = self { Some(text) } else { None }
    }

    pub(super) fn is_empty_map(&self) -> bool {
        matches!(self, Value::Map(pairs) if pairs.is_empty())
    }
}

struct Reader<'b> {
    rest: &'b [u8],
}

impl<'b> Reader<'b> {
    fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    /// Major type and argument. A longer head than needed is not canonical.
    fn head(&mut self) -> Option<(u8, u64)> {
        let first = *self.take(1)?.first()?;
        let (major, info) = (first >> 5, first & 31);
        let argument = match info {
            0..=23 => u64::from(info),
            24..=27 => {
                let count = 1usize << (info - 24);
                let value = self.take(count)?.iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
                let least = match info {
                    24 => 24,
                    25 => 1 << 8,
                    26 => 1 << 16,
                    _ => 1 << 32,
                };
                if value < least {
                    return None;
                }
                value
            }
            _ => return None,
        };
        Some((major, argument))
    }

    fn value(&mut self, depth: usize) -> Option<Value<'b>> {
        if depth > DEEPEST {
            return None;
        }
        let (major, argument) = self.head()?;
        // Each item takes a byte at least: a count beyond what is left is a lie, told before anything is allocated.
        let count = usize::try_from(argument).ok();
        let items = count.filter(|n| *n <= self.rest.len());
        Some(match major {
            0 => Value::Int(i64::try_from(argument).ok()?),
            1 => Value::Int(-1 - i64::try_from(argument).ok()?),
            2 => Value::Bytes(self.take(count?)?),
            3 => Value::Text(std::str::from_utf8(self.take(count?)?).ok()?),
            4 => {
                let mut list = Vec::new();
                for _ in 0..items? {
                    list.push(self.value(depth + 1)?);
                }
                Value::Array(list)
            }
            5 => {
                let mut pairs: Vec<(Value<'b>, Value<'b>)> = Vec::new();
                for _ in 0..items? {
                    let key = self.value(depth + 1)?;
                    if !matches!(key, Value::Int(_) | Value::Text(_)) || pairs.iter().any(|(k, _)| *k == key)
                    {
                        return None;
                    }
                    pairs.push((key, self.value(depth + 1)?));
                    if pairs.len() > MOST_PAIRS {
                        return None;
                    }
                }
                Value::Map(pairs)
            }
            7 if argument == 20 => Value::Bool(false),
            7 if argument == 21 => Value::Bool(true),
            7 if argument == 22 => Value::Null,
            _ => return None,
        })
    }
}

/// A key and an attestation have six entries at most; looking for double keys is quadratic.
const MOST_PAIRS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
    }

    /// RFC 8949, appendix A.
    #[test]
    fn the_rfcs_examples() {
        let map = Value::Map(vec![
            (Value::Text("a"), Value::Int(1)),
            (Value::Text("b"), Value::Array(vec![Value::Int(2), Value::Int(3)])),
        ]);
        for (text, value) in [
            ("00", Value::Int(0)),
            ("17", Value::Int(23)),
            ("1818", Value::Int(24)),
            ("1903e8", Value::Int(1000)),
            ("1a000f4240", Value::Int(1_000_000)),
            ("1b000000e8d4a51000", Value::Int(1_000_000_000_000)),
            ("20", Value::Int(-1)),
            ("3903e7", Value::Int(-1000)),
            ("f4", Value::Bool(false)),
            ("f5", Value::Bool(true)),
            ("f6", Value::Null),
            ("4401020304", Value::Bytes(&[1, 2, 3, 4])),
            ("6449455446", Value::Text("IETF")),
            ("a26161016162820203", map),
        ] {
            assert_eq!(read_all(&hex(text)), Some(value), "{text}");
        }
    }

    #[test]
    fn what_authenticators_do_not_write_is_refused() {
        for text in [
            "",
            "1817", // a longer head than needed
            "190017",
            "1bffffffffffffffff", // beyond i64
            "3bffffffffffffffff",
            "5f4101ff", // a stream
            "9fff",
            "c000",         // a tag
            "f90000",       // a float
            "f7",           // undefined
            "a201010102",   // a double key
            "a14000",       // a key that is neither a number nor a text
            "5a7fffffff00", // longer than what is there
            "9a7fffffff00",
            "ba7fffffff00",
            "61ff",             // no UTF-8
            "8181818181818100", // too deep
            "0000",             // more than one
        ] {
            assert_eq!(read_all(&hex(text)), None, "{text}");
        }
        assert!(read_all(&hex("81818181818100")).is_some(), "just not too deep");
    }

    #[test]
    fn what_follows_is_handed_back() {
        assert_eq!(read(&hex("016101ff")), Some((Value::Int(1), &hex("6101ff")[..])));
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some((_, rest)) = read(&bytes) {
                prop_assert!(rest.len() < bytes.len());
            }
        }
    }
}
