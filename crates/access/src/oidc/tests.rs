//! Against a stand-in written from the specifications, with a knob for each way in which a provider, or somebody who
//! plays one, can be wrong. A real provider is in `tests/it`.

use super::*;
use crate::draw::to_base64url;
use crate::jwt::Algorithm;
use crate::jwt::testing::{Signer, hs256, unsigned};
use crate::keys::{MasterKey, Purpose};
use crate::role::{Role, Roles};
use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::Digest as _;
use std::cell::{Cell, RefCell};

const NOW: i64 = 1_700_000_000 * SECOND;
const ISSUER: &str = "https://idp.example.org/realms/soc";

/// From claims to a token.
type Forge = Box<dyn Fn(&Value) -> String>;

struct Provider {
    discovery: Value,
    signer: Signer,
    kid: &'static str,
    /// What is published; may lag behind or differ from what signs.
    jwks: Vec<Value>,
    /// Changes the claims before they are signed.
    claims: Box<dyn Fn(&mut Value)>,
    /// Replaces the token after it is signed.
    forge: Option<Forge>,
    userinfo: Value,
    /// Refuses the code with this error.
    refuse: Option<&'static str>,
    asked: RefCell<Vec<String>>,
    challenge: RefCell<String>,
    nonce: RefCell<String>,
    now: Cell<i64>,
    token_request: RefCell<(String, String)>,
}

impl Provider {
    fn new() -> Provider {
        let signer = Signer::new(Algorithm::Es256);
        let jwks = vec![signer.jwk("k1")];
        Provider {
            discovery: json!({
                "issuer": ISSUER,
                "authorization_endpoint": format!("{ISSUER}/auth?tenant=a"),
                "token_endpoint": format!("{ISSUER}/token"),
                "jwks_uri": format!("{ISSUER}/keys"),
                "userinfo_endpoint": format!("{ISSUER}/userinfo"),
                "end_session_endpoint": format!("{ISSUER}/logout"),
            }),
            signer,
            kid: "k1",
            jwks,
            claims: Box::new(|_| {}),
            forge: None,
            userinfo: json!({"sub": "248289761001"}),
            refuse: None,
            asked: RefCell::default(),
            challenge: RefCell::default(),
            nonce: RefCell::default(),
            now: Cell::new(NOW),
            token_request: RefCell::default(),
        }
    }

    /// What the provider's page sees of the browser's request.
    fn authorize(&self, url: &str) -> String {
        let url = Url::parse(url).unwrap();
        let get = |name: &str| {
            let found: Vec<String> =
                url.query_pairs().filter(|(n, _)| n == name).map(|(_, v)| v.into_owned()).collect();
            assert_eq!(found.len(), 1, "{name}: {found:?}");
            found[0].clone()
        };
        assert_eq!(get("tenant"), "a", "the endpoint's own query is kept");
        assert_eq!(get("response_type"), "code");
        assert_eq!(get("code_challenge_method"), "S256");
        assert_eq!(get("scope"), "openid profile");
        assert_eq!(get("redirect_uri"), "https://soc.example.org/sign-in/back");
        *self.challenge.borrow_mut() = get("code_challenge");
        *self.nonce.borrow_mut() = get("nonce");
        format!("code=the-code&state={}", get("state"))
    }

    fn token(&self) -> String {
        let now = self.now.get() / SECOND;
        let hash = sha2::Sha256::digest(b"the-access-token");
        let mut claims = json!({
            "iss": ISSUER,
            "sub": "248289761001",
            "aud": "portreeve",
            "exp": now + 300,
            "iat": now,
            "nonce": *self.nonce.borrow(),
            "at_hash": to_base64url(&hash[..16]),
            "preferred_username": "anna",
            "name": "Anna Berg",
            "email": "anna@example.org",
            "groups": ["soc-t2", "staff"],
        });
        (self.claims)(&mut claims);
        match &self.forge {
            Some(forge) => forge(&claims),
            None => self.signer.token(self.kid, &claims),
        }
    }
}

impl Http for Provider {
    fn send(&self, request: &Request) -> Result<Response, String> {
        let path = request.url.strip_prefix(ISSUER).ok_or_else(|| format!("asked {}", request.url))?;
        self.asked.borrow_mut().push(path.to_owned());
        let (status, body) = match path {
            "/.well-known/openid-configuration" => (200, self.discovery.clone()),
            "/keys" => (200, json!({"keys": self.jwks})),
            "/userinfo" => {
                assert_eq!(request.headers[0].1.as_str(), "Bearer the-access-token");
                (200, self.userinfo.clone())
            }
            "/token" => {
                let body = request.body.as_ref().unwrap().to_string();
                let form: Vec<(String, String)> =
                    url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
                let get = |name: &str| &form.iter().find(|(n, _)| n == name).unwrap().1;
                assert_eq!(get("grant_type"), "authorization_code");
                let verifier = sha2::Sha256::digest(get("code_verifier").as_bytes());
                let authorization = request.headers.iter().find(|(n, _)| *n == "authorization");
                *self.token_request.borrow_mut() =
                    (body.clone(), authorization.map(|(_, v)| v.to_string()).unwrap_or_default());
                if self.refuse.is_some() || to_base64url(&verifier) != *self.challenge.borrow() {
                    (400, json!({"error": self.refuse.unwrap_or("invalid_grant")}))
                } else {
                    assert_eq!(get("code"), "the-code");
                    (200, json!({"id_token": self.token(), "access_token": "the-access-token"}))
                }
            }
            _ => (404, json!({})),
        };
        Ok(Response { status, body: body.to_string().into_bytes() })
    }
}

fn config() -> Config {
    let roles = [("soc-t2", vec![Role::T2, Role::Viewer]), ("soc-audit", vec![Role::Auditor])];
    Config {
        issuer: ISSUER.into(),
        client_id: "portreeve".into(),
        redirect_uri: "https://soc.example.org/sign-in/back".into(),
        post_logout_redirect_uri: Some("https://soc.example.org/".into()),
        scopes: vec!["profile".into()],
        name_claim: "preferred_username".into(),
        groups_claim: "groups".into(),
        roles: roles.into_iter().map(|(group, roles)| (group.to_owned(), roles)).collect(),
        userinfo: false,
        second_factor: SecondFactor { amr: vec!["mfa".into()], acr: vec!["gold".into()] },
        algorithms: Algorithm::ALL.to_vec(),
        skew_s: 120,
        also_hosts: Vec::new(),
    }
}

fn client(config: Config) -> Client {
    Client::new(config, Some(Zeroizing::new("s3cret:&".to_owned()))).unwrap()
}

fn sign_in_with(client: &Client, provider: &Provider, now: i64) -> Result<Identity, OidcFault> {
    provider.now.set(now);
    let (url, sign_in) = client.begin(provider, now)?;
    let callback = Callback::from_query(&provider.authorize(&url))?;
    client.complete(&sign_in, &callback, provider, now)
}

fn sign_in(provider: &Provider) -> Result<Identity, OidcFault> {
    sign_in_with(&client(config()), provider, NOW)
}

#[test]
fn somebody_signs_in() {
    for algorithm in Algorithm::ALL {
        let mut provider = Provider::new();
        provider.signer = Signer::new(algorithm);
        provider.jwks = vec![provider.signer.jwk("k1")];
        if algorithm == Algorithm::EdDsa {
            provider.claims = Box::new(|c| {
                let hash = sha2::Sha512::digest(b"the-access-token");
                c["at_hash"] = json!(to_base64url(&hash[..32]));
            });
        }
        let identity = sign_in(&provider).unwrap();
        assert_eq!((identity.issuer.as_str(), identity.subject.as_str()), (ISSUER, "248289761001"));
        assert_eq!(identity.name.as_str(), "anna");
        assert_eq!(identity.display.as_deref(), Some("Anna Berg"));
        assert_eq!(identity.email, None, "nobody has verified it");
        assert_eq!(identity.roles, [Role::T2, Role::Viewer].into_iter().collect::<Roles>());
        assert!(!identity.second_factor);
        let expected = ["/.well-known/openid-configuration", "/token", "/keys"];
        assert_eq!(*provider.asked.borrow(), expected);
        let shown = format!("{identity:?}");
        assert!(!shown.contains(identity.id_token.as_str()) && shown.contains("anna"));
    }
}

#[test]
fn the_client_shows_who_it_is_as_the_provider_wants_it() {
    let mut provider = Provider::new();
    sign_in(&provider).unwrap();
    // "portreeve:s3cret%3A%26", by another program.
    let (body, header) = provider.token_request.borrow().clone();
    assert_eq!(header, "Basic cG9ydHJlZXZlOnMzY3JldCUzQSUyNg==");
    assert!(!body.contains("s3cret"));
    provider.discovery["token_endpoint_auth_methods_supported"] = json!(["client_secret_post"]);
    sign_in(&provider).unwrap();
    let (body, header) = provider.token_request.borrow().clone();
    assert!(body.contains("client_id=portreeve&client_secret=s3cret%3A%26") && header.is_empty());
    provider.discovery["token_endpoint_auth_methods_supported"] = json!(["private_key_jwt"]);
    assert!(matches!(sign_in(&provider), Err(OidcFault::Unsupported(_))));
    let public = Client::new(config(), None).unwrap();
    sign_in_with(&public, &provider, NOW).unwrap();
    let (body, header) = provider.token_request.borrow().clone();
    assert!(body.contains("client_id=portreeve") && !body.contains("secret") && header.is_empty());
}

/// One claim changed, one refusal.
#[test]
fn a_token_for_somebody_else_or_another_time_is_refused() {
    fn check(change: impl Fn(&mut Value) + 'static, claim: Option<&str>) {
        let mut provider = Provider::new();
        provider.claims = Box::new(change);
        match (sign_in(&provider), claim) {
            (Err(OidcFault::Claim { claim: got, .. }), Some(wanted)) => assert_eq!(got, wanted),
            (Ok(_), None) => {}
            (other, wanted) => panic!("{other:?}, wanted {wanted:?}"),
        }
    }
    fn set(name: &'static str, value: Value) -> impl Fn(&mut Value) {
        move |c| c[name] = value.clone()
    }
    fn remove(name: &'static str) -> impl Fn(&mut Value) {
        move |c| {
            c.as_object_mut().unwrap().remove(name);
        }
    }
    let now = NOW / SECOND;
    check(set("iss", json!("https://idp.example.org/realms/other")), Some("iss"));
    check(set("iss", json!(format!("{ISSUER}/"))), Some("iss"));
    check(remove("iss"), Some("iss"));
    check(set("aud", json!("grafana")), Some("aud"));
    check(set("aud", json!(["grafana"])), Some("aud"));
    check(set("aud", json!([])), Some("aud"));
    check(remove("aud"), Some("aud"));
    check(set("aud", json!(["portreeve"])), None);
    check(set("aud", json!(["portreeve", "grafana"])), Some("azp"));
    check(
        |c| {
            c["aud"] = json!(["portreeve", "grafana"]);
            c["azp"] = json!("portreeve");
        },
        None,
    );
    check(set("azp", json!("grafana")), Some("azp"));
    check(set("azp", json!(["portreeve"])), Some("azp"));
    check(set("nonce", json!("another")), Some("nonce"));
    check(remove("nonce"), Some("nonce"));
    check(set("exp", json!(now - 121)), Some("exp"));
    check(set("exp", json!(now - 119)), None);
    check(set("exp", json!("tomorrow")), Some("exp"));
    check(remove("exp"), Some("exp"));
    check(set("iat", json!(now + 121)), Some("iat"));
    check(set("iat", json!(now as f64 + 0.5)), None);
    check(set("iat", json!(now - 121)), Some("iat"));
    check(remove("iat"), Some("iat"));
    check(set("nbf", json!(now + 121)), Some("nbf"));
    check(set("nbf", json!("x")), Some("nbf"));
    check(set("nbf", json!(now + 119)), None);
    check(remove("sub"), Some("sub"));
    check(set("sub", json!("")), Some("sub"));
    check(set("sub", json!(248)), Some("sub"));
    check(set("at_hash", json!("AAAA")), Some("at_hash"));
    check(remove("at_hash"), None);
}

#[test]
fn a_token_that_the_provider_did_not_sign_is_refused() {
    let forged = |forge: Forge| {
        let mut provider = Provider::new();
        provider.signer = Signer::new(Algorithm::Rs256);
        provider.jwks = vec![provider.signer.jwk("k1")];
        provider.forge = Some(forge);
        sign_in(&provider).unwrap_err()
    };
    let alg = |name: &str| OidcFault::Jwt(JwtFault::Algorithm(name.into()));
    let none = forged(Box::new(|c| format!("{}.", unsigned(&json!({"alg": "none"}), c))));
    assert_eq!(none, alg("none"));
    let public = Signer::new(Algorithm::Rs256).jwk("k1");
    let n = crate::draw::from_base64url(public["n"].as_str().unwrap()).unwrap();
    assert_eq!(forged(Box::new(move |c| hs256("k1", c, &n))), alg("HS256"));
    let jwk = public.to_string();
    assert_eq!(forged(Box::new(move |c| hs256("k1", c, jwk.as_bytes()))), alg("HS256"));
    let stranger = Signer::new(Algorithm::EdDsa);
    assert_eq!(forged(Box::new(move |c| stranger.token("k1", c))), OidcFault::Jwt(JwtFault::NoKey));
    let right = Signer::new(Algorithm::Rs256);
    let cut = move |c: &Value| {
        let token = right.token("k1", c);
        token[..token.len() - 2].to_owned()
    };
    assert_eq!(forged(Box::new(cut)), OidcFault::Jwt(JwtFault::Signature));
    // Allowed in general, not here.
    let mut only_rsa = config();
    only_rsa.algorithms = vec![Algorithm::Rs256];
    assert_eq!(sign_in_with(&client(only_rsa), &Provider::new(), NOW).unwrap_err(), alg("ES256"));
}

#[test]
fn keys_are_kept_changed_and_withdrawn() {
    let mut provider = Provider::new();
    let client = client(config());
    let keys_asked = |p: &Provider| p.asked.borrow().iter().filter(|a| *a == "/keys").count();
    sign_in_with(&client, &provider, NOW).unwrap();
    sign_in_with(&client, &provider, NOW + 60 * SECOND).unwrap();
    assert_eq!(keys_asked(&provider), 1, "kept");
    // A new key, published beside the old one.
    let old = std::mem::replace(&mut provider.signer, Signer::new(Algorithm::Es256));
    provider.kid = "k2";
    provider.jwks.push(provider.signer.jwk("k2"));
    sign_in_with(&client, &provider, NOW + 120 * SECOND).unwrap();
    assert_eq!(keys_asked(&provider), 2, "asked again, once");
    // Unknown keys do not make us ask at every try.
    provider.kid = "k3";
    for second in 0..20 {
        let now = NOW + (121 + second) * SECOND;
        assert_eq!(sign_in_with(&client, &provider, now).unwrap_err(), OidcFault::Jwt(JwtFault::NoKey));
    }
    assert_eq!(keys_asked(&provider), 2);
    // The old key is withdrawn: within the hour it is gone here as well.
    provider.kid = "k2";
    provider.jwks.remove(0);
    let later = NOW + 120 * SECOND + KEYS_LAST;
    sign_in_with(&client, &provider, later).unwrap();
    provider.signer = old;
    provider.kid = "k1";
    let refused = sign_in_with(&client, &provider, later + 60 * SECOND).unwrap_err();
    assert_eq!(refused, OidcFault::Jwt(JwtFault::NoKey));
    // A key changed under the same name.
    provider.signer = Signer::new(Algorithm::Es256);
    provider.kid = "k2";
    provider.jwks = vec![provider.signer.jwk("k2")];
    sign_in_with(&client, &provider, later + 120 * SECOND).unwrap();
}

#[test]
fn the_browser_that_comes_back_is_the_one_that_left() {
    let provider = Provider::new();
    let client = client(config());
    let (url, mine) = client.begin(&provider, NOW).unwrap();
    let query = provider.authorize(&url);
    let (_, other) = client.begin(&provider, NOW).unwrap();
    let complete = |sign_in: &SignIn, query: &str, now| {
        let callback = Callback::from_query(query)?;
        client.complete(sign_in, &callback, &provider, now)
    };
    assert_eq!(complete(&other, &query, NOW).unwrap_err(), OidcFault::State);
    assert_eq!(complete(&mine, "code=the-code", NOW).unwrap_err(), OidcFault::State);
    assert_eq!(complete(&mine, &format!("{query}&code=x"), NOW).unwrap_err(), OidcFault::State);
    let state = query.replace("code=the-code", "code=");
    assert_eq!(complete(&mine, &state, NOW).unwrap_err(), OidcFault::State);
    assert_eq!(complete(&mine, &query, NOW + 600 * SECOND).unwrap_err(), OidcFault::Expired);
    assert_eq!(complete(&mine, &query, NOW - 1).unwrap_err(), OidcFault::Expired);
    let foreign = format!("{query}&iss=https%3A%2F%2Fevil.example");
    assert!(matches!(complete(&mine, &foreign, NOW), Err(OidcFault::Issuer { .. })));
    let refused = query.replace("code=the-code", "error=access_denied%1b%5B2J");
    assert_eq!(
        complete(&mine, &refused, NOW).unwrap_err().to_string(),
        "the provider refused: access_denied\\u{1b}[2J"
    );
    assert!(!provider.asked.borrow().iter().any(|a| a == "/token"), "no code was tried");
    // The code of this browser's sign-in, stolen into that of another: state replaced, PKCE does not fit.
    let stolen = format!("code=the-code&state={}", other.state());
    assert_eq!(complete(&other, &stolen, NOW).unwrap_err(), OidcFault::Refused("invalid_grant".into()));
    assert!(complete(&mine, &query, NOW).is_ok());
}

#[test]
fn a_provider_that_promises_its_name_in_the_callback_gives_it() {
    let mut provider = Provider::new();
    provider.discovery["authorization_response_iss_parameter_supported"] = json!(true);
    assert!(matches!(sign_in(&provider), Err(OidcFault::Issuer { given, .. }) if given == "nobody"));
}

#[test]
fn what_the_browser_keeps_is_sealed() {
    let key = MasterKey::from_bytes([3; 32]).key(Purpose::SignIn);
    let provider = Provider::new();
    let (_, sign_in) = client(config()).begin(&provider, NOW).unwrap();
    let cookie = sign_in.seal(&key).unwrap();
    assert!(!cookie.contains(sign_in.verifier()) && cookie.len() < 1000);
    assert_eq!(SignIn::open(&key, &cookie).unwrap(), sign_in);
    for other in ["", "x", &cookie[1..], &cookie.replace(&cookie[50..52], "__")] {
        assert_eq!(SignIn::open(&key, other).unwrap_err(), OidcFault::State);
    }
    let stranger = MasterKey::from_bytes([4; 32]).key(Purpose::SignIn);
    assert!(SignIn::open(&stranger, &cookie).is_err());
}

#[test]
fn no_host_but_the_issuers_is_asked() {
    for (endpoint, address) in [
        ("token_endpoint", "https://evil.example/token"),
        ("token_endpoint", "http://idp.example.org/token"),
        ("token_endpoint", "https://idp.example.org:8443/token"),
        ("token_endpoint", "https://idp.example.org@evil.example/token"),
        ("token_endpoint", "https://anna:secret@idp.example.org/token"),
        ("jwks_uri", "https://169.254.169.254/latest/meta-data"),
        ("jwks_uri", "http://localhost/keys"),
        ("jwks_uri", "file:///etc/passwd"),
        ("jwks_uri", "https://idp.example.org.evil.example/keys"),
        ("jwks_uri", "keys"),
        ("userinfo_endpoint", "https://evil.example/me"),
        ("end_session_endpoint", "javascript:alert(1)"),
        ("authorization_endpoint", "https://evil.example/auth"),
    ] {
        let mut provider = Provider::new();
        provider.discovery[endpoint] = json!(address);
        assert_eq!(sign_in(&provider).unwrap_err(), OidcFault::Host(address.into()), "{endpoint}");
        assert_eq!(provider.asked.borrow().len(), 1, "only the document");
    }
    let mut provider = Provider::new();
    provider.discovery["token_endpoint"] = json!("https://tokens.example.net/t");
    let mut config = config();
    config.also_hosts = vec!["tokens.example.net".into()];
    let asked = sign_in_with(&client(config), &provider, NOW).unwrap_err();
    assert_eq!(asked, OidcFault::Unreachable("asked https://tokens.example.net/t".into()));
}

#[test]
fn answers_that_are_none() {
    let answer = |status, body: &str| {
        let body = body.as_bytes().to_vec();
        let http = move |_: &Request| Ok(Response { status, body: body.clone() });
        client(config()).begin(&http, NOW).map(|_| ()).unwrap_err()
    };
    let url = format!("{ISSUER}/.well-known/openid-configuration");
    assert_eq!(answer(302, ""), OidcFault::Status { url: url.clone(), status: 302 });
    assert_eq!(answer(200, "<html>"), OidcFault::Garbled(url.clone()));
    assert_eq!(answer(200, &" ".repeat(LONGEST_BODY + 1)), OidcFault::Garbled(url));
    let mut provider = Provider::new();
    provider.discovery["issuer"] = json!("https://idp.example.org/realms/other");
    assert!(matches!(sign_in(&provider), Err(OidcFault::Issuer { .. })));
    let mut provider = Provider::new();
    provider.discovery["code_challenge_methods_supported"] = json!(["plain"]);
    assert_eq!(sign_in(&provider).unwrap_err(), OidcFault::Unsupported("PKCE with S256"));
    let mut provider = Provider::new();
    provider.refuse = Some("invalid_client");
    assert_eq!(sign_in(&provider).unwrap_err(), OidcFault::Refused("invalid_client".into()));
}

#[test]
fn names_groups_and_factors() {
    fn with(config: Config, change: impl Fn(&mut Value) + 'static) -> Result<Identity, OidcFault> {
        let mut provider = Provider::new();
        provider.claims = Box::new(change);
        sign_in_with(&client(config), &provider, NOW)
    }
    let hidden = with(config(), |c| c["preferred_username"] = json!("an\u{202e}na"));
    assert!(matches!(hidden, Err(OidcFault::Name(_))));
    let missing = with(config(), |c| c["preferred_username"] = json!(null)).unwrap_err();
    assert_eq!(missing, OidcFault::NoName("preferred_username".into()));
    let email = with(config(), |c| c["email_verified"] = json!(true)).unwrap();
    assert_eq!(email.email.as_deref(), Some("anna@example.org"));
    let one = with(config(), |c| c["groups"] = json!("soc-audit")).unwrap();
    assert_eq!(one.roles, Roles::NONE.with(Role::Auditor));
    let none = with(config(), |c| c["groups"] = json!(["staff", 7, null])).unwrap();
    assert_eq!((none.roles, none.groups), (Roles::NONE, vec!["staff".to_owned()]));
    let both = with(config(), |c| c["groups"] = json!(["soc-audit", "soc-t2"])).unwrap_err();
    assert_eq!(both, OidcFault::Roles(RoleFault::AuditsHimself));
    let many = with(config(), |c| {
        c.as_object_mut().unwrap().remove("groups");
        c["_claim_names"] = json!({"groups": "src1"});
    });
    assert_eq!(many.unwrap_err(), OidcFault::TooManyGroups);
    let mut inside = config();
    inside.groups_claim = "realm_access.roles".into();
    let nested = with(inside, |c| c["realm_access"] = json!({"roles": ["soc-t2"]})).unwrap();
    assert!(nested.roles.has(Role::T2));
    let mut namespaced = config();
    namespaced.groups_claim = "https://example.org/groups".into();
    let nested = with(namespaced, |c| c["https://example.org/groups"] = json!(["soc-t2"])).unwrap();
    assert!(nested.roles.has(Role::T2));
    assert!(with(config(), |c| c["amr"] = json!(["pwd", "mfa"])).unwrap().second_factor);
    assert!(with(config(), |c| c["acr"] = json!("gold")).unwrap().second_factor);
    assert!(!with(config(), |c| c["amr"] = json!("mfa")).unwrap().second_factor, "amr is a list");
}

#[test]
fn userinfo_adds_about_the_same_person() {
    let mut config = config();
    config.userinfo = true;
    let client = client(config);
    let mut provider = Provider::new();
    provider.claims = Box::new(|c| {
        c.as_object_mut().unwrap().remove("groups");
    });
    provider.userinfo = json!({
        "sub": "248289761001",
        "groups": ["soc-t2"],
        "preferred_username": "mallory",
        "amr": ["mfa"],
    });
    let identity = sign_in_with(&client, &provider, NOW).unwrap();
    assert!(identity.roles.has(Role::T2));
    assert_eq!(identity.name.as_str(), "anna", "what is signed counts");
    assert!(!identity.second_factor);
    provider.userinfo["sub"] = json!("another");
    assert!(matches!(sign_in_with(&client, &provider, NOW), Err(OidcFault::Claim { claim: "sub", .. })));
}

#[test]
fn signing_out_goes_to_the_provider_where_it_has_a_page() {
    let mut provider = Provider::new();
    let url = client(config()).logout_url(Some("a.b.c"), &provider, NOW).unwrap().unwrap();
    assert_eq!(
        url,
        format!(
            "{ISSUER}/logout?client_id=portreeve&id_token_hint=a.b.c&post_logout_redirect_uri=https%3A%2F%2Fsoc.example.org%2F"
        )
    );
    provider.discovery.as_object_mut().unwrap().remove("end_session_endpoint");
    assert_eq!(client(config()).logout_url(None, &provider, NOW).unwrap(), None);
}

#[test]
fn a_configuration_that_cannot_be_right_says_so() {
    let check = |change: &dyn Fn(&mut Config), fault: &str| {
        let mut config = config();
        change(&mut config);
        let got = Client::new(config, None).err().map(|f| f.to_string()).unwrap_or_default();
        assert!(got.contains(fault) && got.is_empty() == fault.is_empty(), "{got}");
    };
    check(&|_| {}, "");
    check(&|c| c.issuer = "http://127.0.0.1:4593/api/oidc".into(), "");
    check(&|c| c.issuer = "http://localhost:4593".into(), "");
    check(&|c| c.issuer = "http://idp.example.org".into(), "issuer: must be https");
    check(&|c| c.issuer = "http://localhost.example.org".into(), "issuer: must be https");
    check(&|c| c.issuer = "idp".into(), "issuer: is no address");
    check(&|c| c.issuer = "https://a:b@idp.example.org".into(), "issuer: holds a name");
    check(&|c| c.issuer = "https://idp.example.org/?a=b".into(), "issuer: has a query");
    check(&|c| c.also_hosts = vec!["a/b".into()], "also_hosts: a/b");
    check(&|c| c.client_id = String::new(), "client_id");
    check(&|c| c.redirect_uri = "/back".into(), "redirect_uri");
    check(&|c| c.skew_s = 301, "skew_s");
    check(&|c| c.algorithms = Vec::new(), "algorithms");
    check(&|c| drop(c.roles.insert("x".into(), vec![Role::Ingest])), "roles: x");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_callback_is_answered(query in "\\PC{0,100}") {
        let provider = Provider::new();
        let client = client(config());
        let (_, sign_in) = client.begin(&provider, NOW).unwrap();
        if let Ok(callback) = Callback::from_query(&query) {
            prop_assert_eq!(client.complete(&sign_in, &callback, &provider, NOW).unwrap_err(), OidcFault::State);
        }
    }

    /// Claims of any shape: an answer, and no panic.
    #[test]
    fn odd_claims_are_answered(
        name in proptest::sample::select(vec![
            "iss", "aud", "azp", "exp", "iat", "nbf", "nonce", "sub", "at_hash", "preferred_username", "groups", "amr",
            "acr", "name", "email", "_claim_names",
        ]),
        value in proptest::sample::select(vec![
            json!(null), json!(true), json!(-1), json!(1e300), json!(i64::MIN), json!(u64::MAX), json!(""),
            json!([]), json!([[]]), json!({}), json!({"groups": {}}), json!(["x", 1, null]),
        ]),
    ) {
        let mut provider = Provider::new();
        let vital = matches!(name, "iss" | "aud" | "azp" | "exp" | "iat" | "nonce" | "sub" | "preferred_username");
        // 292 billion years from now is not over, and a number that large is no date.
        let far = matches!(name, "exp") && value == json!(u64::MAX);
        provider.claims = Box::new(move |c| c[name] = value.clone());
        let answer = sign_in(&provider);
        prop_assert!(!vital || far || answer.is_err(), "{} {:?}", name, answer);
    }
}
