//! Time stamps of an authority (RFC 3161): the request, and what is read of the answer. The signature of the authority is
//! for `openssl ts -verify`, with the certificates that the reader trusts.

use crate::error::{Error, Result};
use crate::name::hex;
use crate::pack::beside;
use crate::work::{digest, write};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Largest answer that is read.
const ANSWER: u64 = 1 << 20;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const GENERALIZED_TIME: u8 = 0x18;
const EXPLICIT_0: u8 = 0xa0;

/// AlgorithmIdentifier of SHA-256 with its NULL.
const SHA256: [u8; 15] =
    [0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00];

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len().to_be_bytes();
    match content.len() {
        n if n < 0x80 => out.extend(u8::try_from(n).ok()),
        _ => {
            let significant: Vec<u8> = length.into_iter().skip_while(|b| *b == 0).collect();
            out.push(0x80 | u8::try_from(significant.len()).unwrap_or(8));
            out.extend(significant);
        }
    }
    out.extend_from_slice(content);
    out
}

/// TimeStampReq: version 1, SHA-256 of the data, a nonce, and the wish for the authority's certificate.
pub(crate) fn query(hash: &[u8], nonce: [u8; 8]) -> Vec<u8> {
    let imprint = der(SEQUENCE, &[&SHA256[..], &der(OCTETS, hash)].concat());
    // A positive integer without leading zeros, whatever the bytes.
    let [first, rest @ ..] = nonce;
    let positive = [&[first & 0x3f | 0x40][..], &rest].concat();
    der(SEQUENCE, &[der(INTEGER, &[1]), imprint, der(INTEGER, &positive), vec![0x01, 0x01, 0xff]].concat())
}

/// One element: tag, content, rest.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match *first {
        n if n < 0x80 => (usize::from(n), rest),
        n => {
            let count = usize::from(n & 0x7f);
            let (digits, rest) = rest.split_at_checked(count).filter(|_| (1..=4).contains(&count))?;
            (digits.iter().fold(0, |all, b| all << 8 | usize::from(*b)), rest)
        }
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

fn of<'a>(tag: u8, bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (found, content, rest) = element(bytes)?;
    *bytes = rest;
    (found == tag).then_some(content)
}

/// What a time stamp says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// What was stamped.
    pub(crate) hash: Vec<u8>,
    /// As the authority writes it: `20261127145300Z`.
    pub(crate) time: String,
    pub(crate) nonce: Option<Vec<u8>>,
}

/// TimeStampResp → PKIStatusInfo, ContentInfo → SignedData → TSTInfo.
pub(crate) fn read(answer: &[u8]) -> std::result::Result<Stamp, &'static str> {
    let mut all = answer;
    let mut body = of(SEQUENCE, &mut all).ok_or("it is no time-stamp answer")?;
    let mut status = of(SEQUENCE, &mut body).ok_or("it has no status")?;
    match of(INTEGER, &mut status) {
        Some([0 | 1]) => {}
        Some(_) => return Err("the authority refused"),
        None => return Err("it has no status"),
    }
    stamp(body).ok_or("it has no readable time stamp")
}

fn stamp(mut body: &[u8]) -> Option<Stamp> {
    let mut info = of(SEQUENCE, &mut body)?;
    element(info).map(|(_, _, rest)| info = rest)?;
    let mut signed = of(EXPLICIT_0, &mut info)?;
    let mut signed = of(SEQUENCE, &mut signed)?;
    for _ in 0..2 {
        element(signed).map(|(_, _, rest)| signed = rest)?;
    }
    let mut content = of(SEQUENCE, &mut signed)?;
    element(content).map(|(_, _, rest)| content = rest)?;
    let mut octets = of(EXPLICIT_0, &mut content)?;
    let mut info = of(OCTETS, &mut octets)?;
    let mut info = of(SEQUENCE, &mut info)?;
    of(INTEGER, &mut info)?;
    element(info).map(|(_, _, rest)| info = rest)?;
    let mut imprint = of(SEQUENCE, &mut info)?;
    let mut algorithm = imprint;
    of(SEQUENCE, &mut imprint)?;
    let hash = of(OCTETS, &mut imprint)?.to_vec();
    of(SEQUENCE, &mut algorithm).filter(|a| a.get(2..11) == SHA256.get(4..13))?;
    of(INTEGER, &mut info)?;
    let time = String::from_utf8(of(GENERALIZED_TIME, &mut info)?.to_vec()).ok()?;
    let mut nonce = None;
    while let Some((tag, content, rest)) = element(info) {
        if tag == INTEGER {
            nonce = Some(content.to_vec());
        }
        info = rest;
    }
    let plain = time.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'Z'));
    plain.then_some(Stamp { hash, time, nonce })
}

fn hash_of(archive: &Path) -> Result<Vec<u8>> {
    let file = File::open(archive).map_err(Error::file(archive))?;
    let (hash, _) = digest(&mut BufReader::new(file)).map_err(Error::file(archive))?;
    Ok((0..hash.len()).step_by(2).filter_map(|n| u8::from_str_radix(hash.get(n..n + 2)?, 16).ok()).collect())
}

/// Writes `ARCHIVE.tsq`, to be carried to an authority.
pub(crate) fn request(archive: &Path) -> Result<PathBuf> {
    let mut nonce = [0; 8];
    rustix::rand::getrandom(&mut nonce, rustix::rand::GetRandomFlags::empty())
        .map_err(|e| Error::package(format!("no random numbers: {e}")))?;
    let path = beside(archive, "tsq");
    write(&path, &query(&hash_of(archive)?, nonce))?;
    Ok(path)
}

/// Asks an authority, and writes `ARCHIVE.tsq` and `ARCHIVE.tsr`. Gives the time that it attests.
pub(crate) fn ask(archive: &Path, url: &str) -> Result<(PathBuf, String)> {
    let asked = request(archive)?;
    let question = std::fs::read(&asked).map_err(Error::file(&asked))?;
    let agent = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(60)))
        .max_redirects(3)
        .user_agent(crate::TOOL)
        .build()
        .new_agent();
    let failed = |e: &dyn std::fmt::Display| Error::Host(format!("{url}: {e}"));
    let mut response = agent
        .post(url)
        .header("Content-Type", "application/timestamp-query")
        .send(&question[..])
        .map_err(|e| failed(&e))?;
    let answer = response.body_mut().with_config().limit(ANSWER).read_to_vec().map_err(|e| failed(&e))?;
    let stamp = read(&answer).map_err(|why| failed(&why))?;
    if stamp.hash != hash_of(archive)? {
        return Err(failed(&"the answer is for other data"));
    }
    let asked_nonce = question_nonce(&question);
    if stamp.nonce.is_some() && stamp.nonce != asked_nonce {
        return Err(failed(&"the answer is for another question"));
    }
    let path = beside(archive, "tsr");
    write(&path, &answer)?;
    Ok((path, stamp.time))
}

fn question_nonce(question: &[u8]) -> Option<Vec<u8>> {
    let mut all = question;
    let mut body = of(SEQUENCE, &mut all)?;
    of(INTEGER, &mut body)?;
    of(SEQUENCE, &mut body)?;
    of(INTEGER, &mut body).map(<[u8]>::to_vec)
}

/// What `ARCHIVE.tsr` says about an archive: the time, or what is wrong. `None` without one.
pub(crate) fn check(archive: &Path) -> Option<std::result::Result<String, String>> {
    let path = beside(archive, "tsr");
    let answer = std::fs::read(&path).ok()?;
    Some(match (read(&answer), hash_of(archive)) {
        (Err(why), _) => Err(why.to_owned()),
        (_, Err(error)) => Err(error.to_string()),
        (Ok(stamp), Ok(hash)) if stamp.hash == hash => Ok(stamp.time),
        (Ok(stamp), Ok(_)) => Err(format!("it stamps other data (SHA-256 {})", hex(&stamp.hash))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_der_and_its_nonce_positive() {
        for nonce in [[0; 8], [255; 8]] {
            let text = query(&[7; 32], nonce);
            let (tag, content, rest) = element(&text).expect("DER");
            assert_eq!((tag, content.len() + 2, rest.len()), (SEQUENCE, text.len(), 0));
            let nonce = question_nonce(&text).expect("a nonce");
            assert!(nonce.len() == 8 && (0x40..0x80).contains(&nonce[0]));
        }
    }

    #[test]
    fn lengths() {
        for n in [0usize, 127, 128, 255, 256, 70_000] {
            let bytes = vec![1; n];
            let text = der(OCTETS, &bytes);
            assert_eq!(element(&text), Some((OCTETS, &bytes[..], &[][..])));
        }
        for broken in
            [&[][..], &[0x30], &[0x30, 5, 1], &[0x30, 0x80], &[0x30, 0x89, 1, 1, 1, 1, 1, 1, 1, 1, 1]]
        {
            assert_eq!(element(broken), None);
        }
    }

    #[test]
    fn refusals_and_nonsense() {
        let refused = der(SEQUENCE, &der(SEQUENCE, &der(INTEGER, &[2])));
        assert_eq!(read(&refused), Err("the authority refused"));
        assert_eq!(read(b"<html>"), Err("it is no time-stamp answer"));
        let empty = der(SEQUENCE, &der(SEQUENCE, &der(INTEGER, &[0])));
        assert_eq!(read(&empty), Err("it has no readable time stamp"));
    }

    proptest::proptest! {
        #[test]
        fn no_answer_breaks_the_reader(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let granted = der(SEQUENCE, &[der(SEQUENCE, &der(INTEGER, &[0])), der(SEQUENCE, &bytes)].concat());
            proptest::prop_assert!(read(&bytes).is_err());
            proptest::prop_assert!(read(&granted).is_err());
        }
    }
}
