//! Log lines in the shapes the vendors document. One file per product; each head names the manual.
//!
//! A writer knows nothing of attacks: it is told who, from where, when, and how it went.

#![expect(clippy::too_many_arguments, reason = "a line has as many values as the vendor gave it")]

use std::net::Ipv4Addr;

use crate::book::{Book, Mark};
use crate::clock::Millis;
use crate::company::{Company, Person};
use crate::gazetteer::{City, Network};
use crate::rng::Rng;

pub(crate) mod asa;
pub(crate) mod cloudtrail;
pub(crate) mod defender;
pub(crate) mod dhcp;
pub(crate) mod entra;
pub(crate) mod fortigate;
pub(crate) mod globalprotect;
pub(crate) mod ios;
pub(crate) mod ise;
pub(crate) mod kubernetes;
pub(crate) mod netscaler;
pub(crate) mod okta;
pub(crate) mod openssh;
pub(crate) mod openvpn;
pub(crate) mod rd_gateway;
pub(crate) mod sysmon;
pub(crate) mod windows;

/// What a script writes with: the company, the book, its own stream of numbers, and whose rows these are.
pub(crate) struct Pen<'w> {
    pub(crate) company: &'w Company,
    pub(crate) book: &'w mut Book,
    pub(crate) rng: Rng,
    pub(crate) mark: Mark,
}

impl Pen<'_> {
    pub(crate) fn put(&mut self, file: &str, at: Millis, text: String) {
        self.book.put(file, at, self.mark, text);
    }

    pub(crate) fn person(&self, id: usize) -> Person {
        self.company.people.get(id).expect("ids come from this company").clone()
    }

    /// City and network of a public address; the first office's where the plan has none.
    pub(crate) fn place(&self, ip: Ipv4Addr) -> (&'static City, &'static Network) {
        let block = self.company.plan.block_of(ip).unwrap_or(&self.company.offices[0].egress);
        (block.city, block.network)
    }
}
