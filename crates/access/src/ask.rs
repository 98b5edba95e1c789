//! A question to somebody without an account ("was this you?"), behind a link that is good once.
//!
//! The link holds a number, an end and a signature over case, person, question, end and number. Who, what and which case
//! stay in the store, found by the number's digest: a link ends up in mail archives and proxies' logs.
//!
//! A scanner of mails opens links: the page behind it asks, and only what is sent from it answers.

use crate::digest::Digest;
use crate::draw::{NoRandomness, draw, from_base64url, to_base64url};
use crate::keys::Key;
use std::fmt;
use zeroize::Zeroizing;

/// What is asked, of whom. All of it is signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Question<'a> {
    pub case: u64,
    /// Id of who is asked, as the case has it.
    pub person: &'a str,
    /// Id of the question.
    pub question: &'a str,
}

/// A link just made.
pub struct AskLink {
    /// The last part of the URL.
    pub token: Zeroizing<String>,
    /// What the store finds the question by.
    pub digest: Digest,
    pub expires: i64,
}

impl fmt::Debug for AskLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AskLink").field("digest", &self.digest).field("expires", &self.expires).finish()
    }
}

/// Why a link does not hold. To whoever opened it, all of them say the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AskFault {
    #[error("this link is not complete; copy all of it")]
    Garbled,
    #[error("this link was not made here")]
    Forged,
    #[error("this link has expired; whoever sent it can send a new one")]
    Expired,
}

const NUMBER: usize = 16;
const END: usize = 8;

/// A link that is good until `expires` (microseconds).
pub fn make(key: &Key, question: Question<'_>, expires: i64) -> Result<AskLink, NoRandomness> {
    let number: [u8; NUMBER] = draw()?;
    let end = expires.to_be_bytes();
    let tag = key.mac(&signed(&question, &end, &number, &question.case.to_be_bytes()));
    let token = Zeroizing::new(to_base64url(&[&number[..], &end, &tag].concat()));
    Ok(AskLink { token, digest: Digest::of(&number), expires })
}

fn signed<'p>(question: &Question<'p>, end: &'p [u8], number: &'p [u8], case: &'p [u8]) -> [&'p [u8]; 6] {
    [b"ask v1", case, question.person.as_bytes(), question.question.as_bytes(), end, number]
}

/// A link that somebody opened, not yet verified.
pub struct Opened {
    number: [u8; NUMBER],
    end: [u8; END],
    tag: Vec<u8>,
}

impl Opened {
    pub fn parse(token: &str) -> Result<Opened, AskFault> {
        let bytes = from_base64url(token).ok_or(AskFault::Garbled)?;
        let (number, rest) = bytes.split_first_chunk().ok_or(AskFault::Garbled)?;
        let (end, tag) = rest.split_first_chunk().ok_or(AskFault::Garbled)?;
        if tag.len() != 32 {
            return Err(AskFault::Garbled);
        }
        Ok(Opened { number: *number, end: *end, tag: tag.to_vec() })
    }

    /// By which the store finds the question. What it does not know, or knows as answered, is answered like
    /// [`AskFault::Forged`].
    pub fn digest(&self) -> Digest {
        Digest::of(&self.number)
    }

    /// Was the link made here, for this question, and is it still good? `keys`: the key of now, and the one before it
    /// while links made with that are out.
    pub fn verify(&self, keys: &[Key], question: Question<'_>, now: i64) -> Result<(), AskFault> {
        let case = question.case.to_be_bytes();
        let parts = signed(&question, &self.end, &self.number, &case);
        if !keys.iter().any(|key| key.verifies(&parts, &self.tag)) {
            return Err(AskFault::Forged);
        }
        if now >= i64::from_be_bytes(self.end) {
            return Err(AskFault::Expired);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{MasterKey, Purpose};
    use proptest::prelude::*;

    const QUESTION: Question<'static> = Question { case: 42, person: "anna", question: "was_it_you" };

    fn key(n: u8) -> Key {
        MasterKey::from_bytes([n; 32]).key(Purpose::Ask)
    }

    #[test]
    fn a_link_holds_for_its_case_person_question_and_time_alone() {
        let link = make(&key(1), QUESTION, 1000).unwrap();
        let opened = Opened::parse(&link.token).unwrap();
        assert_eq!(opened.digest(), link.digest);
        let verify = |question, now| opened.verify(&[key(1)], question, now);
        assert_eq!(verify(QUESTION, 999), Ok(()));
        assert_eq!(verify(QUESTION, 1000), Err(AskFault::Expired));
        for other in [
            Question { case: 43, ..QUESTION },
            Question { person: "bert", ..QUESTION },
            Question { question: "was_it_yours", ..QUESTION },
            Question { person: "annawas_it", question: "_you", ..QUESTION },
        ] {
            assert_eq!(verify(other, 0), Err(AskFault::Forged), "{other:?}");
        }
        assert_eq!(opened.verify(&[key(2)], QUESTION, 0), Err(AskFault::Forged));
        assert_eq!(opened.verify(&[key(2), key(1)], QUESTION, 0), Ok(()), "the key before");
        assert_eq!(opened.verify(&[], QUESTION, 0), Err(AskFault::Forged));
        assert_ne!(make(&key(1), QUESTION, 1000).unwrap().digest, link.digest);
    }

    #[test]
    fn nothing_of_the_person_is_in_the_link() {
        let link = make(&key(1), QUESTION, 1000).unwrap();
        let bytes = from_base64url(&link.token).unwrap();
        assert_eq!(bytes.len(), NUMBER + END + 32);
        assert!(!format!("{link:?}").contains(link.token.as_str()));
    }

    #[test]
    fn a_changed_link_is_none() {
        let link = make(&key(1), QUESTION, 1000).unwrap();
        let bytes = from_base64url(&link.token).unwrap();
        for i in 0..bytes.len() {
            let mut other = bytes.clone();
            other[i] ^= 1;
            let opened = Opened::parse(&to_base64url(&other)).unwrap();
            assert_eq!(opened.verify(&[key(1)], QUESTION, 0), Err(AskFault::Forged), "byte {i}");
            assert!(Opened::parse(&to_base64url(&bytes[..i])).is_err());
        }
        assert!(Opened::parse(&format!("{}AA", *link.token)).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_answered(token in "\\PC{0,100}", bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            for text in [token, to_base64url(&bytes)] {
                if let Ok(opened) = Opened::parse(&text) {
                    prop_assert_eq!(opened.verify(&[key(1)], QUESTION, i64::MIN), Err(AskFault::Forged));
                }
            }
        }
    }
}
