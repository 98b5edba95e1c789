//! Signing in at an identity provider: what a site says of it.

use super::SecretAt;
use portreeve_access::jwt::Algorithm;
use portreeve_access::oidc;
use portreeve_access::role::Role;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// An OpenID Connect provider; people come in by authorization code with PKCE.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OidcAt {
    /// What the button calls it: `Sign in with …`. Default: `single sign-on`.
    #[serde(default = "name")]
    pub name: String,
    /// Exactly as the provider writes it, e.g. `https://idp.example.org/realms/soc`.
    pub issuer: String,
    /// As the provider knows this service.
    pub client_id: String,
    /// Of a confidential client; none for a public one, which PKCE alone protects.
    #[serde(default)]
    pub client_secret: Option<SecretAt>,
    /// As it is registered at the provider. Default: `web.public_url` with `/sign-in/oidc/callback` behind it.
    #[serde(default)]
    pub redirect_uri: Option<String>,
    /// Asked for besides `openid`. Default: `profile`.
    #[serde(default = "scopes")]
    pub scopes: Vec<String>,
    /// The claim with a person's name for us. Default: `preferred_username`.
    #[serde(default = "name_claim")]
    pub name_claim: String,
    /// The claim with the groups; `realm_access.roles` looks inside an object. Default: `groups`.
    #[serde(default = "groups_claim")]
    pub groups_claim: String,
    /// Which group gives which roles, anew at each sign-in. Default: none; roles are then given here.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Vec<String>>")]
    pub roles: BTreeMap<String, Vec<Role>>,
    /// Ask the userinfo endpoint too, for providers that write little into the ID token. Default: no.
    #[serde(default)]
    pub userinfo: bool,
    /// Values of `amr` or `acr` by which the provider says that it asked for a second factor. Default: none; the second
    /// factor is then asked for here.
    #[serde(default)]
    pub second_factor: ProviderFactor,
    /// Hosts besides the issuer's at which the provider has endpoints. Default: none.
    #[serde(default)]
    pub also_hosts: Vec<String>,
    /// PEM file of the authority that signs the provider's certificate. Default: those that the web knows.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// How far the clocks may be apart; seconds, at most 300. Default: 120.
    #[serde(default = "skew_s")]
    pub skew_s: u32,
    /// For whom an account is made at the first sign-in. Default: `with-role`.
    #[serde(default)]
    pub accounts: NewAccounts,
    /// Who may still come in with a password or a passkey of this service. Default: `all`.
    #[serde(default)]
    pub local: Local,
}

/// How the provider says that it asked for a second factor: one of these is in the ID token.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProviderFactor {
    /// Values of `amr` (RFC 8176), e.g. `mfa`, `otp`, `hwk`.
    pub amr: Vec<String>,
    /// Values of `acr`.
    pub acr: Vec<String>,
}

/// Who is made known by signing in at the provider.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NewAccounts {
    /// Nobody: an administrator binds accounts to the provider's subjects.
    Nobody,
    /// Whom a group gives a role.
    #[default]
    WithRole,
    /// Everybody; who has no role sees nothing until an administrator gives one.
    Everybody,
}

/// Whose password of this service opens it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Local {
    /// Everybody who has one.
    #[default]
    All,
    /// Responder admins alone, for the day on which the provider is down.
    Admins,
    /// Nobody; the first run alone makes an account with a password.
    Nobody,
}

fn name() -> String {
    "single sign-on".to_owned()
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

fn skew_s() -> u32 {
    120
}

/// Where the provider sends browsers back to.
pub(crate) const CALLBACK: &str = "/sign-in/oidc/callback";

impl OidcAt {
    /// As the client wants it.
    pub(crate) fn client(&self, public_url: Option<&str>) -> Result<oidc::Config, String> {
        let redirect_uri = match (&self.redirect_uri, public_url) {
            (Some(uri), _) => uri.clone(),
            (None, Some(url)) => format!("{}{CALLBACK}", url.trim_end_matches('/')),
            (None, None) => return Err("oidc: give web.public_url, or oidc.redirect_uri".to_owned()),
        };
        if !url::Url::parse(&redirect_uri).is_ok_and(|u| u.path() == CALLBACK) {
            return Err(format!("oidc: redirect_uri: `{redirect_uri}` does not end with {CALLBACK}"));
        }
        let client = oidc::Config {
            issuer: self.issuer.clone(),
            client_id: self.client_id.clone(),
            redirect_uri,
            post_logout_redirect_uri: None,
            scopes: self.scopes.clone(),
            name_claim: self.name_claim.clone(),
            groups_claim: self.groups_claim.clone(),
            roles: self.roles.clone(),
            userinfo: self.userinfo,
            second_factor: oidc::SecondFactor {
                amr: self.second_factor.amr.clone(),
                acr: self.second_factor.acr.clone(),
            },
            algorithms: Algorithm::ALL.to_vec(),
            skew_s: self.skew_s,
            also_hosts: self.also_hosts.clone(),
        };
        match client.faults().into_iter().next() {
            Some(fault) => Err(format!("oidc: {fault}")),
            None if self.roles.is_empty() && self.accounts == NewAccounts::WithRole => Err(
                "oidc: no group has a role, so nobody could come in; give oidc.roles, or accounts = \"nobody\" or \"everybody\""
                    .to_owned(),
            ),
            None => Ok(client),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(more: &str, public: Option<&str>) -> String {
        let text = format!("issuer = \"https://idp.example\"\nclient_id = \"p\"\n{more}\n");
        let oidc: OidcAt = toml::from_str(&text).unwrap_or_else(|e| panic!("{e}"));
        oidc.client(public).err().unwrap_or_default()
    }

    #[test]
    fn what_cannot_work_is_said() {
        let roles = "[roles]\nsoc = [\"t2\"]";
        assert!(told(roles, None).contains("public_url"));
        assert_eq!(told(roles, Some("https://soc.example/")), "");
        assert!(told("", Some("https://soc.example")).contains("nobody could come in"));
        assert_eq!(told("accounts = \"everybody\"", Some("https://soc.example")), "");
        let elsewhere = "redirect_uri = \"https://soc.example/else\"\naccounts = \"nobody\"";
        assert!(told(elsewhere, None).contains(CALLBACK));
        assert!(told("[roles]\nsoc = [\"ingest\"]", Some("https://soc.example")).contains("ingest"));
    }
}
