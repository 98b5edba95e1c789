//! Tokens of the RFCs, of ours, and of those who would like theirs to be taken for ours.

use super::testing::{Signer, hs256, unsigned};
use super::*;
use proptest::prelude::*;
use serde_json::json;

fn set(keys: &[Value]) -> KeySet {
    KeySet::parse(json!({"keys": keys}).to_string().as_bytes()).unwrap()
}

fn all(token: &str, keys: &KeySet) -> Result<Verified, JwtFault> {
    verify(token, keys, &Algorithm::ALL)
}

/// RFC 7515, appendix A.3: ES256, by somebody else's program.
#[test]
fn the_rfcs_own_token() {
    let token = "eyJhbGciOiJFUzI1NiJ9\
        .eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ\
        .DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    let keys = set(&[json!({
        "kty": "EC",
        "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    })]);
    assert_eq!(all(token, &keys).unwrap().claims["iss"], "joe");
}

/// RFC 8037, appendix A.4: Ed25519; its payload is no JSON, so that the signature alone is seen to be right.
#[test]
fn the_other_rfcs_own_token() {
    let token = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc\
        .hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    let keys =
        set(&[json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})]);
    assert_eq!(all(token, &keys), Err(JwtFault::Garbled("the claims are no JSON object")));
    assert_eq!(all(&token.replace("hgyY", "hgyZ"), &keys), Err(JwtFault::Signature));
}

#[test]
fn each_algorithm_verifies_its_own_and_only_when_allowed() {
    let signers = Algorithm::ALL.map(Signer::new);
    let jwks: Vec<Value> = signers.iter().map(|s| s.jwk(s.algorithm().name())).collect();
    let keys = set(&jwks);
    let claims = json!({"sub": "anna"});
    for signer in &signers {
        let name = signer.algorithm().name();
        let token = signer.token(name, &claims);
        let verified = all(&token, &keys).unwrap();
        assert_eq!((verified.claims["sub"].as_str(), verified.algorithm), (Some("anna"), signer.algorithm()));
        let others: Vec<Algorithm> =
            Algorithm::ALL.into_iter().filter(|a| *a != signer.algorithm()).collect();
        assert_eq!(verify(&token, &keys, &others), Err(JwtFault::Algorithm(name.into())));
        // The name of another's key.
        for other in Algorithm::ALL.into_iter().filter(|a| *a != signer.algorithm()) {
            assert_eq!(all(&signer.token(other.name(), &claims), &keys), Err(JwtFault::NoKey));
        }
        assert_eq!(all(&signer.token("unknown", &claims), &keys), Err(JwtFault::NoKey));
        assert_eq!(all(&token, &KeySet::default()), Err(JwtFault::NoKey));
    }
}

#[test]
fn a_modulus_as_der_has_it_is_the_same_key() {
    let signer = Signer::new(Algorithm::Rs256);
    let mut jwk = signer.jwk("k");
    let n = from_base64url(jwk["n"].as_str().unwrap()).unwrap();
    jwk["n"] = json!(crate::draw::to_base64url(&[vec![0], n].concat()));
    assert!(all(&signer.token("k", &json!({"sub": "anna"})), &set(&[jwk])).is_ok());
}

#[test]
fn none_and_hmac_cannot_be_asked_for() {
    let signer = Signer::new(Algorithm::Rs256);
    let jwk = signer.jwk("k");
    let keys = set(std::slice::from_ref(&jwk));
    let claims = json!({"sub": "anna"});
    for alg in ["none", "None", "NONE", "", "HS256", "RS384", "rs256", "RSA1_5"] {
        let unsigned = unsigned(&json!({"alg": alg, "kid": "k"}), &claims);
        for token in [format!("{unsigned}."), format!("{unsigned}.AAAA")] {
            assert_eq!(all(&token, &keys), Err(JwtFault::Algorithm(alg.into())));
        }
    }
    let n = from_base64url(jwk["n"].as_str().unwrap()).unwrap();
    assert_eq!(all(&hs256("k", &claims, &n), &keys), Err(JwtFault::Algorithm("HS256".into())));
    // A provider that publishes a symmetric key: it is not even read.
    assert!(set(&[json!({"kty": "oct", "k": "AAAA", "kid": "k"})]).is_empty());
}

#[test]
fn headers_that_ask_for_more_are_refused() {
    let signer = Signer::new(Algorithm::EdDsa);
    let keys = set(&[signer.jwk("k")]);
    let claims = json!({"sub": "anna"});
    let with = |header: Value| all(&signer.token_with(&header, &claims), &keys);
    assert!(with(json!({"alg": "EdDSA", "kid": "k"})).is_ok());
    assert!(with(json!({"alg": "EdDSA", "kid": "k", "typ": "jwt"})).is_ok());
    assert!(with(json!({"alg": "EdDSA"})).is_ok(), "one key needs no name");
    assert_eq!(
        with(json!({"alg": "EdDSA", "kid": "k", "crit": ["b64"], "b64": false})),
        Err(JwtFault::Critical)
    );
    assert_eq!(
        with(json!({"alg": "EdDSA", "kid": "k", "typ": "at+jwt"})),
        Err(JwtFault::Kind("at+jwt".into()))
    );
    assert!(matches!(with(json!({"kid": "k"})), Err(JwtFault::Garbled(_))));
    // A key in the header is nobody's.
    let stranger = Signer::new(Algorithm::EdDsa);
    let header = json!({"alg": "EdDSA", "kid": "k", "jwk": stranger.jwk("k"), "jku": "https://evil.example"});
    assert_eq!(all(&stranger.token_with(&header, &claims), &keys), Err(JwtFault::Signature));
    // Two keys and no name: no guessing.
    let two = set(&[signer.jwk("k"), stranger.jwk("l")]);
    assert_eq!(all(&signer.token_with(&json!({"alg": "EdDSA"}), &claims), &two), Err(JwtFault::NoKey));
}

#[test]
fn key_sets_are_read_leniently_and_keys_strictly() {
    let good = Signer::new(Algorithm::Es256);
    let mut for_encryption = good.jwk("k");
    for_encryption["use"] = json!("enc");
    let mut for_another = good.jwk("k");
    for_another["alg"] = json!("ES384");
    let mut short = good.jwk("k");
    short["x"] = json!("AAAA");
    for bad in [for_encryption, for_another, short, json!({"kty": "EC", "crv": "P-521"}), json!(7), json!({})]
    {
        assert!(set(&[bad]).is_empty());
    }
    assert!(!set(&[json!(null), good.jwk("k")]).is_empty(), "one odd key does not spoil the others");
    for bad in ["", "[]", "{}", r#"{"keys":{}}"#] {
        assert_eq!(KeySet::parse(bad.as_bytes()).unwrap_err(), JwtFault::KeySet);
    }
    let many = vec![json!({}); 201];
    assert!(KeySet::parse(json!({"keys": many}).to_string().as_bytes()).is_err());
}

proptest! {
    #[test]
    fn no_character_can_be_changed(at in any::<prop::sample::Index>(), with in "[A-Za-z0-9_.-]") {
        let signer = Signer::new(Algorithm::EdDsa);
        let keys = set(&[signer.jwk("k")]);
        let token = signer.token("k", &json!({"sub": "anna", "roles": ["t3"]}));
        let at = at.index(token.len());
        let mut other = token.clone();
        other.replace_range(at..=at, &with);
        prop_assume!(other != token);
        prop_assert!(all(&other, &keys).is_err());
    }

    #[test]
    fn any_text_is_answered(token in "\\PC{0,100}", keys in "\\PC{0,100}") {
        prop_assert!(all(&token, &KeySet::default()).is_err());
        prop_assert!(KeySet::parse(keys.as_bytes()).is_err());
    }
}
