//! What a client has to know of its provider. It has no defaults and is read from no file: what a site writes, and what
//! each setting means and is without a word, stands where configurations are read, and is converted to this.

use super::provider::Hosts;
use crate::jwt::Algorithm;
use crate::role::{Role, Roles};
use std::collections::BTreeMap;
use url::Url;

/// The client's secret is not among this: it is handed over apart, from wherever secrets lie.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    pub issuer: String,
    pub client_id: String,
    pub redirect_uri: String,
    /// Where the provider sends browsers after signing out, as it is registered there.
    pub post_logout_redirect_uri: Option<String>,
    pub scopes: Vec<String>,
    pub name_claim: String,
    pub groups_claim: String,
    pub roles: BTreeMap<String, Vec<Role>>,
    pub userinfo: bool,
    pub second_factor: SecondFactor,
    pub algorithms: Vec<Algorithm>,
    pub skew_s: u32,
    pub also_hosts: Vec<String>,
}

/// One of these must be in the ID token; where there are none, the provider is not believed to have asked.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SecondFactor {
    pub amr: Vec<String>,
    pub acr: Vec<String>,
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
            faults.push("algorithms: is empty".to_owned());
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
