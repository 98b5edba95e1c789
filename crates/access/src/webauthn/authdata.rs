//! Authenticator data (Web Authentication Level 3, section 6.1): what the key itself says and signs.

use super::Refused;
use super::cbor;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct AuthData<'b> {
    pub(super) rp_id_hash: &'b [u8; 32],
    pub(super) user_present: bool,
    pub(super) user_verified: bool,
    /// The key may be copied to other devices.
    pub(super) backup_eligible: bool,
    pub(super) backed_up: bool,
    pub(super) counter: u32,
    /// At registration.
    pub(super) attested: Option<Attested<'b>>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Attested<'b> {
    pub(super) aaguid: &'b [u8; 16],
    pub(super) credential_id: &'b [u8],
    pub(super) cose_key: &'b [u8],
}

const UP: u8 = 0x01;
const UV: u8 = 0x04;
const BE: u8 = 0x08;
const BS: u8 = 0x10;
const AT: u8 = 0x40;
const ED: u8 = 0x80;

/// Of an id; the specification's bound.
const LONGEST_ID: usize = 1023;

impl<'b> AuthData<'b> {
    pub(super) fn parse(bytes: &'b [u8]) -> Result<AuthData<'b>, Refused> {
        let short = || Refused::Garbled("the authenticator data is cut short");
        let (rp_id_hash, rest) = bytes.split_first_chunk().ok_or_else(short)?;
        let (&[flags], rest) = rest.split_first_chunk().ok_or_else(short)?;
        let (counter, mut rest) = rest.split_first_chunk().ok_or_else(short)?;
        let mut attested = None;
        if flags & AT != 0 {
            let (aaguid, after) = rest.split_first_chunk().ok_or_else(short)?;
            let (length, after) = after.split_first_chunk().ok_or_else(short)?;
            let length = usize::from(u16::from_be_bytes(*length));
            if length == 0 || length > LONGEST_ID {
                return Err(Refused::Garbled("the credential's id has an impossible length"));
            }
            let (credential_id, after) = after.split_at_checked(length).ok_or_else(short)?;
            let (_, end) = cbor::read(after).ok_or(Refused::Garbled("the public key is no CBOR"))?;
            let cose_key = &after[..after.len() - end.len()];
            attested = Some(Attested { aaguid, credential_id, cose_key });
            rest = end;
        }
        if flags & ED != 0 {
            let (_, end) = cbor::read(rest).ok_or(Refused::Garbled("the extensions are no CBOR"))?;
            rest = end;
        }
        if !rest.is_empty() {
            return Err(Refused::Garbled("something follows the authenticator data"));
        }
        if flags & BS != 0 && flags & BE == 0 {
            return Err(Refused::Garbled("the key is backed up and cannot be"));
        }
        Ok(AuthData {
            rp_id_hash,
            user_present: flags & UP != 0,
            user_verified: flags & UV != 0,
            backup_eligible: flags & BE != 0,
            backed_up: flags & BS != 0,
            counter: u32::from_be_bytes(*counter),
            attested,
        })
    }
}
