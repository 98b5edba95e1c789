//! `respond feed` and `respond openc2`: what devices and other products fetch from us or tell us to do.

use super::SiteArgs;
use super::desk::Desk;
use crate::{Failure, usage};
use clap::Args;
use portreeve_respond::act::Act;
use portreeve_respond::connector::Order;
use portreeve_respond::held::Held;
use portreeve_respond::ledger::Ledger;
use portreeve_respond::openc2::{Blocker, serve_openc2};
use portreeve_respond::secret::{SecretRef, Vault};
use portreeve_respond::target::Target;
use portreeve_respond::transport::server::Identity;
use portreeve_respond::value::Net;
use portreeve_respond::{feed, openc2};
use std::path::PathBuf;

/// Listening, the same for both.
#[derive(Args)]
struct Listen {
    /// Address and port
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: String,
    /// Certificate, PEM; with --tls-key
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Authority of clients' certificates, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    client_ca: Option<PathBuf>,
    /// Only these addresses and ranges may connect
    #[arg(long, value_name = "NET")]
    allow: Vec<String>,
    /// File of a token that clients send as `Authorization: Bearer`
    #[arg(long, value_name = "FILE")]
    token: Option<PathBuf>,
}

impl Listen {
    fn tls(&self) -> Option<Identity> {
        let (cert, key) = (self.tls_cert.clone()?, self.tls_key.clone()?);
        Some(Identity { cert, key, client_ca: self.client_ca.clone() })
    }

    fn allow(&self) -> Result<Vec<Net>, Failure> {
        self.allow.iter().map(|a| a.parse::<Net>().map_err(usage)).collect()
    }

    fn token(&self) -> Result<Option<portreeve_respond::secret::Secret>, Failure> {
        let open = |path: &PathBuf| Vault::default().open(&SecretRef::File(path.clone()));
        self.token.as_ref().map(open).transpose().map_err(usage)
    }
}

/// Serve the blocklists of an `edl` connector: text lists, STIX 2.1, TAXII 2.1
#[derive(Args)]
pub(crate) struct FeedArgs {
    /// Directory of the feed, the connector's `dir`
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    #[command(flatten)]
    listen: Listen,
    /// User whom firewalls name with `Authorization: Basic`; with --basic-password
    #[arg(long, value_name = "USER", requires = "basic_password")]
    basic_user: Option<String>,
    #[arg(long, value_name = "FILE", requires = "basic_user")]
    basic_password: Option<PathBuf>,
}

impl FeedArgs {
    pub(crate) fn run(self) -> Result<u8, Failure> {
        let password = self
            .basic_password
            .map(|path| Vault::default().open(&SecretRef::File(path)))
            .transpose()
            .map_err(usage)?;
        let options = feed::Options {
            tls: self.listen.tls(),
            bearer: self.listen.token()?,
            basic: self.basic_user.zip(password),
            allow: self.listen.allow()?,
            ..feed::Options::default()
        };
        let server = feed::serve_feed(&self.listen.listen, &self.dir, options).map_err(usage)?;
        crate::say(&format!("lists under /edl/, TAXII under /taxii2/ on {}", server.address()))?;
        server.wait();
        Ok(0)
    }
}

/// Take OpenC2 commands (stateless packet filter) for one of the configured devices; guards hold
#[derive(Args)]
pub(crate) struct OpenC2Args {
    /// The device, as the configuration names it
    #[arg(long, value_name = "NAME")]
    device: String,
    #[command(flatten)]
    listen: Listen,
}

impl OpenC2Args {
    pub(crate) fn run(self, site: &SiteArgs) -> Result<u8, Failure> {
        let desk = Desk::open(site)?;
        let open = desk
            .devices
            .opener(&self.device)
            .ok_or_else(|| usage(format!("no connector of the configuration is called {}", self.device)))?;
        let guard = desk.guard.clone();
        let check = move |net: Net| {
            let order = Order {
                act: Act::BlockAddress,
                target: Target::address(net),
                until: None,
                mark: String::new(),
                case: String::new(),
            };
            guard
                .check(&order)
                .map(|_| ())
                .map_err(|refusals| refusals.into_iter().map(|r| r.why).collect::<Vec<_>>().join("; "))
        };
        // Opened anew for each command, because plans are carried out meanwhile.
        let (ledger, device) = (desk.config.ledger.clone(), self.device.clone());
        let owner = move |mark: &str| {
            let held = Ledger::open(&ledger).and_then(|l| Held::of(&l)).map_err(|e| e.to_string())?;
            Ok(held.by_mark(&device, mark).map(ToString::to_string))
        };
        let mut blocker = Blocker::new(open, Box::new(check)).beside(Box::new(owner));
        let options = openc2::Options {
            tls: self.listen.tls(),
            bearer: self.listen.token()?,
            allow: self.listen.allow()?,
            ..openc2::Options::default()
        };
        let server =
            serve_openc2(&self.listen.listen, options, Box::new(move |ask, id| blocker.act(ask, id)))
                .map_err(usage)?;
        crate::say(&format!("OpenC2 commands for {} on {}", self.device, server.address()))?;
        server.wait();
        Ok(0)
    }
}
