//! Signing in at a real provider: glewlwyd 2.7.

use crate::glewlwyd::{Glewlwyd, REDIRECT, SECRET, SigningKey, Transport};
use portreeve_access::jwt::{Algorithm, JwtFault};
use portreeve_access::oidc::{Callback, Client, Config, Identity, OidcFault, SecondFactor, SignIn};
use portreeve_access::role::{Role, Roles};
use std::time::{SystemTime, UNIX_EPOCH};

const SECOND: i64 = 1_000_000;

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    i64::try_from(since.as_micros()).expect("a clock before the year 290000")
}

fn config(server: &Glewlwyd) -> Config {
    Config {
        issuer: server.issuer(),
        client_id: "portreeve".into(),
        redirect_uri: REDIRECT.into(),
        post_logout_redirect_uri: None,
        scopes: vec!["soc-t2".into()],
        name_claim: "preferred_username".into(),
        // glewlwyd's groups are its scopes.
        groups_claim: "scope".into(),
        roles: [("soc-t2".to_owned(), vec![Role::T2, Role::Viewer])].into_iter().collect(),
        userinfo: false,
        second_factor: SecondFactor { amr: vec!["otp".into(), "hwk".into()], acr: Vec::new() },
        algorithms: Algorithm::ALL.to_vec(),
        skew_s: 120,
        also_hosts: Vec::new(),
    }
}

fn client(config: Config) -> Client {
    Client::new(config, Some(SECRET.to_owned().into())).expect("a client")
}

fn begin(client: &Client, server: &Glewlwyd) -> (SignIn, Callback) {
    let (url, sign_in) = client.begin(&Transport, now()).expect("begun");
    let query = server.browse(&url);
    (sign_in, Callback::from_query(&query).expect("a callback"))
}

fn sign_in(client: &Client, server: &Glewlwyd) -> Result<Identity, OidcFault> {
    let (sign_in, callback) = begin(client, server);
    client.complete(&sign_in, &callback, &Transport, now())
}

#[test]
fn anna_signs_in_with_each_kind_of_key() {
    for key in [SigningKey::rsa(), SigningKey::ecdsa(), SigningKey::eddsa()] {
        let server = Glewlwyd::start(&key);
        let mut config = config(&server);
        config.userinfo = true;
        let client = client(config);
        let identity = sign_in(&client, &server).expect("signed in");
        assert_eq!(identity.issuer, server.issuer());
        assert_eq!(identity.name.as_str(), "anna");
        assert_eq!(identity.display.as_deref(), Some("Anna Berg"));
        assert_eq!(identity.roles, [Role::T2, Role::Viewer].into_iter().collect::<Roles>());
        assert!(!identity.second_factor, "a password alone");
        let again = sign_in(&client, &server).expect("signed in again");
        assert_eq!(again.subject, identity.subject);
        assert_ne!(again.id_token, identity.id_token);
        let out = client.logout_url(Some(&identity.id_token), &Transport, now()).expect("an answer");
        assert!(out.expect("a page").starts_with(&server.api("/oidc/end_session?")));
    }
}

#[test]
fn a_real_provider_holds_its_side_too() {
    let mut server = Glewlwyd::start(&SigningKey::ecdsa());
    let ours = client(config(&server));

    // A code is good once.
    let (kept, callback) = begin(&ours, &server);
    ours.complete(&kept, &callback, &Transport, now()).expect("signed in");
    let replayed = ours.complete(&kept, &callback, &Transport, now()).expect_err("a used code");
    assert!(matches!(replayed, OidcFault::Refused(_)), "{replayed}");

    // A code in the hands of another browser, which has its own verifier.
    let (_, callback) = begin(&ours, &server);
    let (_, other) = ours.begin(&Transport, now()).expect("begun");
    let stolen = ours.complete(&other, &callback, &Transport, now()).expect_err("another's code");
    assert_eq!(stolen, OidcFault::State);

    // The wrong secret.
    let wrong = Client::new(config(&server), Some("another".to_owned().into())).expect("a client");
    let refused = sign_in(&wrong, &server).expect_err("a wrong secret");
    assert!(matches!(refused, OidcFault::Refused(_)), "{refused}");

    // Another issuer's name for the same server.
    let mut elsewhere = config(&server);
    elsewhere.issuer = format!("{}/", server.issuer());
    let (named, _) = match client(elsewhere).begin(&Transport, now()) {
        Err(OidcFault::Issuer { ours, given }) => (given, ours),
        other => panic!("{other:?}"),
    };
    assert_eq!(named, server.issuer());

    // The key changes: not asked for again at once, then believed.
    server.rotate(&SigningKey::ecdsa());
    let early = sign_in(&ours, &server);
    let (kept, callback) = begin(&ours, &server);
    match early {
        Err(OidcFault::Jwt(JwtFault::NoKey | JwtFault::Signature)) => {}
        // On a machine so slow that half a minute has passed, it has been asked for already.
        Ok(_) => {}
        Err(other) => panic!("{other}"),
    }
    ours.complete(&kept, &callback, &Transport, now() + 31 * SECOND).expect("signed in with the new key");
}
