//! What a site says about its identity provider.

use super::provider::Hosts;
use crate::jwt::Algorithm;
use crate::role::{Role, Roles};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use url::Url;

/// The client's secret is not among this: it is handed over apart, from wherever secrets lie.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Exactly as the provider writes it, e.g. `https://idp.example.org/realms/soc`.
    pub issuer: String,
    pub client_id: String,
    /// Where the provider sends browsers back to, as it is registered there.
    pub redirect_uri: String,
    /// Where it sends them after signing out, as it is registered there.
    #[serde(default)]
    pub post_logout_redirect_uri: Option<String>,
    /// Asked for besides `openid`.
    #[serde(default = "scopes")]
    pub scopes: Vec<String>,
    /// The claim that holds a person's name for us.
    #[serde(default = "name_claim")]
    pub name_claim: String,
    /// The claim that holds the groups; `realm_access.roles` looks inside an object.
    #[serde(default = "groups_claim")]
    pub groups_claim: String,
    /// Which group gives which roles. Empty: roles are given here, not at the provider.
    #[serde(default)]
    pub roles: BTreeMap<String, Vec<Role>>,
    /// Ask the userinfo endpoint too, for providers that write little into the ID token.
    #[serde(default)]
    pub userinfo: bool,
    /// How the provider says that it asked for a second factor. Nothing: it is not believed to have.
    #[serde(default)]
    pub second_factor: SecondFactor,
    #[serde(default = "algorithms")]
    pub algorithms: Vec<Algorithm>,
    /// How far the clocks may be apart; at most 300.
    #[serde(default = "skew_s")]
    pub skew_s: u32,
    /// Hosts besides the issuer's at which the provider has endpoints, e.g. `oauth2.googleapis.com`.
    #[serde(default)]
    pub also_hosts: Vec<String>,
}

/// Values of `amr` (RFC 8176) or `acr`, one of which must be in the ID token.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecondFactor {
    pub amr: Vec<String>,
    pub acr: Vec<String>,
}

fn scopes() -> Vec<String> {
    vec!["profile".to_owned()]
}

fn name_claim() -> String {
    "preferred_username".to_owned()
}

fn groups_claim() -> String {
    "groups".to_owned()
}

fn algorithms() -> Vec<Algorithm> {
    Algorithm::ALL.to_vec()
}

fn skew_s() -> u32 {
    120
}

impl Config {
    /// What is wrong with it, each with the name of the setting.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if let Err(fault) = Hosts::new(&self.issuer, &self.also_hosts) {
            faults.push(fault);
        }
        if self.client_id.is_empty() {
            faults.push("client_id: is empty".to_owned());
        }
        let pages = [("redirect_uri", Some(&self.redirect_uri))]
            .into_iter()
            .chain([("post_logout_redirect_uri", self.post_logout_redirect_uri.as_ref())]);
        for (name, page) in pages {
            if page.is_some_and(|p| !Url::parse(p).is_ok_and(|u| u.has_host() && u.fragment().is_none())) {
                faults.push(format!("{name}: is no address of a page"));
            }
        }
        if self.algorithms.is_empty() {
            faults.push("algorithms: is empty; leave it out for all that are safe".to_owned());
        }
        if self.skew_s > 300 {
            faults.push("skew_s: is more than 300; set the clocks".to_owned());
        }
        for (group, roles) in &self.roles {
            if roles.contains(&Role::Ingest) {
                faults.push(format!("roles: {group}: `ingest` is for tokens, not for people"));
            }
        }
        faults
    }

    pub(super) fn scope(&self) -> String {
        let mut scope = "openid".to_owned();
        for more in self.scopes.iter().filter(|s| *s != "openid") {
            scope.push(' ');
            scope.push_str(more);
        }
        scope
    }

    pub(super) fn roles_of(&self, groups: &[String]) -> Roles {
        groups.iter().filter_map(|g| self.roles.get(g)).flatten().copied().collect()
    }
}
