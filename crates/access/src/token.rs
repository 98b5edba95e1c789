//! Tokens of machines: `prt_api_…`, `prt_ing_…`, `prt_set_…`.
//!
//! The form is fixed so that scanners of repositories, logs and chats can find leaked ones: the prefix, 43 characters of
//! base62 (256 bits), then six that are the CRC-32 (as of zip files) of the 43 in base62. Regular expression:
//! `\bprt_(api|ing|set)_[0-9A-Za-z]{49}\b`.

use crate::digest::Digest;
use crate::draw::{NoRandomness, draw};
use std::fmt;
use std::ops::Range;
use zeroize::Zeroizing;

/// What a token is for; it is written into it, so that a shipper's token is refused at the API by its looks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// A person's or a service account's way to the API.
    Api,
    /// A shipper's.
    Ingest,
    /// The one that is printed at the first start and makes the first account.
    Setup,
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::Api, Kind::Ingest, Kind::Setup];

    pub fn prefix(self) -> &'static str {
        match self {
            Kind::Api => "prt_api_",
            Kind::Ingest => "prt_ing_",
            Kind::Setup => "prt_set_",
        }
    }
}

const PREFIX: usize = 8;
const BODY: usize = 43;
const CHECK: usize = 6;
const LENGTH: usize = PREFIX + BODY + CHECK;

/// A token just made. Shown once; its digest is stored.
pub struct Token(Zeroizing<String>);

impl Token {
    pub fn generate(kind: Kind) -> Result<Token, NoRandomness> {
        let bits = Zeroizing::new(draw::<32>()?);
        let body = Zeroizing::new(base62(&*bits, BODY));
        let check = base62(&crc32(body.as_bytes()).to_be_bytes(), CHECK);
        Ok(Token(Zeroizing::new(format!("{}{}{check}", kind.prefix(), *body))))
    }

    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn digest(&self) -> Digest {
        Digest::of(self.0.as_bytes())
    }

    /// What a list shows of it: enough to tell two apart, nothing that helps to guess.
    pub fn hint(&self) -> &str {
        &self.0[..PREFIX + 4]
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}…)", self.hint())
    }
}

/// A token that somebody came with, well formed; whether it is known is the store's to say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Presented {
    pub kind: Kind,
    pub digest: Digest,
}

/// Is it a token, by its looks? A typing mistake, a token cut short and one of another product are refused here, without
/// a look into the store.
pub fn parse(text: &str) -> Option<Presented> {
    let kind = kind_of(text.as_bytes())?;
    Some(Presented { kind, digest: Digest::of(text.as_bytes()) })
}

fn kind_of(text: &[u8]) -> Option<Kind> {
    if text.len() != LENGTH {
        return None;
    }
    let kind = Kind::ALL.into_iter().find(|k| text.starts_with(k.prefix().as_bytes()))?;
    let (body, check) = text[PREFIX..].split_at(BODY);
    let plain = body.iter().all(u8::is_ascii_alphanumeric);
    (plain && base62(&crc32(body).to_be_bytes(), CHECK).as_bytes() == check).then_some(kind)
}

/// Where tokens stand in a text.
pub fn find(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find("prt_").map(|i| at + i) {
        let end = start + LENGTH;
        if bytes.get(start..end).and_then(kind_of).is_some() {
            found.push(start..end);
            at = end;
        } else {
            at = start + 4;
        }
    }
    found
}

/// The text without its tokens, for logs and error messages that quote what somebody sent.
pub fn redact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for range in find(text) {
        out.push_str(&text[at..range.start + PREFIX]);
        out.push_str("***");
        at = range.end;
    }
    out.push_str(&text[at..]);
    out
}

/// A number, big-endian, in exactly so many digits.
fn base62(number: &[u8], digits: usize) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut number = Zeroizing::new(number.to_vec());
    let mut out = vec![0; digits];
    for digit in out.iter_mut().rev() {
        let mut rest = 0u32;
        for byte in number.iter_mut() {
            let value = rest << 8 | u32::from(*byte);
            *byte = u8::try_from(value / 62).expect("the rest is below 62, so the quotient is below 256");
            rest = value % 62;
        }
        *digit = ALPHABET[rest as usize];
    }
    out.into_iter().map(char::from).collect()
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn crc_and_base62_as_others_have_them() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926, "the check value of CRC-32/ISO-HDLC");
        assert_eq!(base62(&[0; 32], 43), "0".repeat(43));
        assert_eq!(base62(&[0, 61], 2), "0z");
        assert_eq!(base62(&[0, 62], 2), "10");
        // 2^256 - 1, by another program.
        assert_eq!(base62(&[255; 32], 43), "yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp1");
    }

    #[test]
    fn a_token_is_known_by_its_looks() {
        for kind in Kind::ALL {
            let token = Token::generate(kind).unwrap();
            let presented = parse(token.expose()).unwrap();
            assert_eq!((presented.kind, presented.digest), (kind, token.digest()));
            assert_eq!(format!("{token:?}"), format!("Token({}…)", &token.expose()[..12]));
            let other = Token::generate(kind).unwrap();
            assert_ne!(token.digest(), other.digest());
            for i in 0..token.expose().len() {
                let mut wrong = token.expose().as_bytes().to_vec();
                wrong[i] = if wrong[i] == b'x' { b'y' } else { b'x' };
                assert!(parse(std::str::from_utf8(&wrong).unwrap()).is_none(), "character {i}");
                assert!(parse(&token.expose()[..i]).is_none());
            }
            assert!(parse(&format!("{} ", token.expose())).is_none());
        }
    }

    #[test]
    fn a_leaked_token_is_found_and_blacked_out() {
        let (a, b) = (Token::generate(Kind::Api).unwrap(), Token::generate(Kind::Ingest).unwrap());
        let text = format!("Authorization: Bearer {} prt_ prt_api_short ä{}!", a.expose(), b.expose());
        assert_eq!(find(&text).len(), 2);
        assert_eq!(redact(&text), "Authorization: Bearer prt_api_*** prt_ prt_api_short äprt_ing_***!");
        assert_eq!(redact("nothing"), "nothing");
    }

    proptest! {
        #[test]
        fn any_text_is_looked_through(text in "(\\PC|prt_api_){0,100}") {
            parse(&text);
            prop_assert_eq!(redact(&text), text);
        }
    }
}
