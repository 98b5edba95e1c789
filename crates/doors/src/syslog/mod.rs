//! Syslog over UDP, TCP and TLS, and RELP: one listener each.
//!
//! A record is the message as it was sent, without what ends it; headers are read by those who know products. Plain
//! syslog has no acknowledgement: where records are stored slower than they come, TCP is read no further, so that its
//! window closes and the sender waits, and UDP is lost in the kernel, which counts it.

mod frame;
mod peers;
mod relp;
mod stream;
mod tcp;
mod udp;

pub use frame::Framing;
pub(crate) use udp::too_long;

use crate::declaration::Declaration;
use crate::door::{DoorContext, DoorError};
use crate::gate::Limits;
use crate::tls::TlsOptions;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

pub static DECLARATION: Declaration = Declaration {
    name: "syslog",
    title: "Syslog over UDP, TCP and TLS, and RELP",
    peers: "firewalls, VPN gateways, switches, rsyslog, syslog-ng, logger",
    point_at_it: "*.* action(type=\"omfwd\" target=\"HOST\" port=\"6514\" protocol=\"tcp\" TCP_Framing=\"octet-counted\")",
    tested: "rsyslog over UDP, TCP, TLS and RELP, logger, openssl s_client; appliances only by their \
             records",
    record: "one message as it was sent, with its header and without what ends it",
    source: "RFC 3164, RFC 5424, RFC 5425, RFC 5426, RFC 6587; RELP 0.0.1 and librelp 1.11",
};

/// One listener.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SyslogOptions")]
pub struct Options {
    /// Address and port: `0.0.0.0:514`.
    pub listen: SocketAddr,
    /// How messages come.
    pub transport: Transport,
    /// With TLS (TCP and RELP); 6514 is its port.
    #[serde(default)]
    pub tls: Option<TlsOptions>,
    /// The source of whatever comes from an address that `sources` does not name. Without it such peers are turned
    /// away, unless they show a client certificate that a source names.
    #[serde(default)]
    pub source: Option<String>,
    /// Sources by the peer's address; the narrowest range counts.
    #[serde(default)]
    pub sources: Vec<AddressSource>,
    /// How messages are told apart in a stream.
    #[serde(default)]
    pub framing: Framing,
    /// What a source without limits of its own may send.
    #[serde(default)]
    pub limits: Limits,
    /// Connections that one address may hold at one time.
    #[serde(default = "connections_per_address")]
    pub connections_per_address: usize,
    /// Bytes that the kernel should hold for UDP. What it grants without privileges is bounded by
    /// `net.core.rmem_max`.
    #[serde(default = "receive_buffer")]
    pub receive_buffer: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// One datagram, one message; nothing is acknowledged.
    Udp,
    /// A stream of messages; what is not read stays with the sender.
    Tcp,
    /// The Reliable Event Logging Protocol of rsyslog: each message is acknowledged once it is stored.
    Relp,
}

/// Whose records come from an address.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddressSource {
    /// `10.1.0.0/16`.
    #[schemars(with = "String")]
    pub net: IpNet,
    /// Name of the source.
    pub source: String,
}

fn connections_per_address() -> usize {
    256
}

fn receive_buffer() -> usize {
    16 << 20
}

/// A listener that is bound and not served yet.
pub struct Syslog {
    listener: Listener,
    address: SocketAddr,
}

enum Listener {
    Udp(udp::Udp),
    Tcp(tcp::Tcp),
}

impl Syslog {
    /// Binds, and reads certificates: what can be wrong with the configuration is said here.
    pub async fn bind(options: Options, context: DoorContext) -> Result<Syslog, DoorError> {
        let (listener, address) = match options.transport {
            Transport::Udp => {
                let udp = udp::Udp::bind(options, context).await?;
                let address = udp.address();
                (Listener::Udp(udp), address)
            }
            Transport::Tcp | Transport::Relp => {
                let tcp = tcp::Tcp::bind(options, context).await?;
                let address = tcp.address();
                (Listener::Tcp(tcp), address)
            }
        };
        Ok(Syslog { listener, address })
    }

    /// Where it listens; tells the port where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the shutdown, and until all that was read is answered.
    pub async fn run(self) -> Result<(), DoorError> {
        match self.listener {
            Listener::Udp(udp) => udp.run().await,
            Listener::Tcp(tcp) => tcp.run().await,
        }
        Ok(())
    }
}

/// Binds and serves.
pub async fn run(options: Options, context: DoorContext) -> Result<(), DoorError> {
    Syslog::bind(options, context).await?.run().await
}
