//! One encoder for each language in which a value is sent. A value cannot leave its place: what an encoder cannot
//! write safely it refuses, it never drops or replaces.

pub mod ldap;
pub mod nft;
pub mod shell;
pub mod xml;
pub mod xml_read;
