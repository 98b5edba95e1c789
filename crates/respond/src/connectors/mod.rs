//! The products that can be acted upon, one file each.

use crate::connector::Connector;

pub mod aws;
pub mod aws_nacl;
pub mod aws_waf;
pub mod duo;
pub mod entra;
pub mod google_workspace;
pub mod kubernetes;
pub mod nftables;
pub mod okta;

/// Every connector, in the order of their names.
pub static CONNECTORS: &[&Connector] = &[
    &aws::CONNECTOR,
    &aws_nacl::CONNECTOR,
    &aws_waf::CONNECTOR,
    &duo::CONNECTOR,
    &entra::CONNECTOR,
    &google_workspace::CONNECTOR,
    &kubernetes::CONNECTOR,
    &nftables::CONNECTOR,
    &okta::CONNECTOR,
];

pub fn by_name(name: &str) -> Option<&'static Connector> {
    CONNECTORS.iter().copied().find(|c| c.name == name)
}
