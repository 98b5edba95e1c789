//! An authenticator in software and the browser around it; a real browser is in `tests/it`.

use super::*;
use proptest::prelude::*;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};

const NOW: i64 = 1_700_000_000_000_000;
const HANDLE: &[u8] = b"handle-of-anna-1";

/// An authenticator in software, and the browser around it, with a knob for each thing that may be wrong.
struct Soft {
    key: SoftKey,
    id: Vec<u8>,
    rp_id: &'static str,
    origin: &'static str,
    flags: u8,
    counter: u32,
    aaguid: [u8; 16],
    cross_origin: serde_json::Value,
    kind: Option<&'static str>,
    fmt: Fmt,
    user_handle: Option<&'static [u8]>,
}

enum SoftKey {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rs256(Box<RsaKeyPair>),
}

#[derive(Clone, Copy, PartialEq)]
enum Fmt {
    None,
    SelfSigned,
    SelfSignedWrong,
    Certificate,
}

const UP: u8 = 0x01;
const UV: u8 = 0x04;

fn es256() -> SoftKey {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
    SoftKey::Es256(
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).unwrap(),
    )
}

fn eddsa() -> SoftKey {
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    SoftKey::EdDsa(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap())
}

fn rs256() -> SoftKey {
    SoftKey::Rs256(Box::new(crate::jwt::testing::rsa_key()))
}

fn head(major: u8, n: usize) -> Vec<u8> {
    match n {
        0..=23 => vec![major << 5 | n as u8],
        24..=255 => vec![major << 5 | 24, n as u8],
        _ => vec![major << 5 | 25, (n >> 8) as u8, n as u8],
    }
}

fn int(n: i64) -> Vec<u8> {
    if n >= 0 { head(0, n as usize) } else { head(1, (-1 - n) as usize) }
}

fn bytes(b: &[u8]) -> Vec<u8> {
    [head(2, b.len()), b.to_vec()].concat()
}

fn text(t: &str) -> Vec<u8> {
    [head(3, t.len()), t.as_bytes().to_vec()].concat()
}

fn map(pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut out = head(5, pairs.len());
    for (k, v) in pairs {
        out.extend([k.as_slice(), v].concat());
    }
    out
}

impl SoftKey {
    fn cose(&self) -> Vec<u8> {
        match self {
            SoftKey::Es256(pair) => {
                let point = pair.public_key().as_ref();
                map(&[
                    (int(1), int(2)),
                    (int(3), int(-7)),
                    (int(-1), int(1)),
                    (int(-2), bytes(&point[1..33])),
                    (int(-3), bytes(&point[33..])),
                ])
            }
            SoftKey::EdDsa(pair) => map(&[
                (int(1), int(1)),
                (int(3), int(-8)),
                (int(-1), int(6)),
                (int(-2), bytes(pair.public_key().as_ref())),
            ]),
            SoftKey::Rs256(pair) => {
                let public = ring::rsa::PublicKeyComponents::<Vec<u8>>::from(pair.public());
                map(&[
                    (int(1), int(3)),
                    (int(3), int(-257)),
                    (int(-1), bytes(&public.n)),
                    (int(-2), bytes(&public.e)),
                ])
            }
        }
    }

    fn algorithm(&self) -> i64 {
        match self {
            SoftKey::Es256(_) => -7,
            SoftKey::EdDsa(_) => -8,
            SoftKey::Rs256(_) => -257,
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            SoftKey::Es256(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            SoftKey::EdDsa(pair) => pair.sign(message).as_ref().to_vec(),
            SoftKey::Rs256(pair) => {
                let mut out = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut out).unwrap();
                out
            }
        }
    }
}

impl Soft {
    fn new(key: SoftKey) -> Soft {
        Soft {
            key,
            id: draw::<32>().unwrap().to_vec(),
            rp_id: "soc.example.org",
            origin: "https://soc.example.org",
            flags: UP | UV,
            counter: 1,
            aaguid: [0; 16],
            cross_origin: json!(false),
            kind: None,
            fmt: Fmt::None,
            user_handle: Some(HANDLE),
        }
    }

    fn client_data(&self, kind: &str, options: &serde_json::Value) -> Vec<u8> {
        json!({
            "type": self.kind.unwrap_or(kind),
            "challenge": options["challenge"],
            "origin": self.origin,
            "crossOrigin": self.cross_origin,
            "other_keys_can_be_added_here": "do not compare clientDataJSON against a template",
        })
        .to_string()
        .into_bytes()
    }

    fn auth_data(&self, attested: bool) -> Vec<u8> {
        let mut out = Sha256::digest(self.rp_id.as_bytes()).to_vec();
        out.push(self.flags | if attested { 0x40 } else { 0 });
        out.extend(self.counter.to_be_bytes());
        if attested {
            out.extend(self.aaguid);
            out.extend((self.id.len() as u16).to_be_bytes());
            out.extend(&self.id);
            out.extend(self.key.cose());
        }
        out
    }

    fn create(&self, options: &serde_json::Value) -> String {
        let client_data = self.client_data("webauthn.create", options);
        let auth_data = self.auth_data(true);
        let message = [&auth_data[..], &Sha256::digest(&client_data)[..]].concat();
        let mut signature = self.key.sign(&message);
        if self.fmt == Fmt::SelfSignedWrong {
            signature[9] ^= 1;
        }
        let mut statement = vec![(text("alg"), int(self.key.algorithm())), (text("sig"), bytes(&signature))];
        if self.fmt == Fmt::Certificate {
            statement.push((text("x5c"), [head(4, 1), bytes(b"certificate")].concat()));
        }
        let (fmt, statement) = match self.fmt {
            Fmt::None => ("none", map(&[])),
            _ => ("packed", map(&statement)),
        };
        let object = map(&[
            (text("fmt"), text(fmt)),
            (text("attStmt"), statement),
            (text("authData"), bytes(&auth_data)),
        ]);
        json!({
            "id": to_base64url(&self.id),
            "rawId": to_base64url(&self.id),
            "type": "public-key",
            "authenticatorAttachment": "cross-platform",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": to_base64url(&client_data),
                "attestationObject": to_base64url(&object),
                "authenticatorData": to_base64url(&auth_data),
                "publicKeyAlgorithm": self.key.algorithm(),
                "transports": ["usb", "nfc", "<script>", "usb"],
            },
        })
        .to_string()
    }

    fn get(&self, options: &serde_json::Value) -> String {
        let client_data = self.client_data("webauthn.get", options);
        let auth_data = self.auth_data(false);
        let message = [&auth_data[..], &Sha256::digest(&client_data)[..]].concat();
        let mut response = json!({
            "clientDataJSON": to_base64url(&client_data),
            "authenticatorData": to_base64url(&auth_data),
            "signature": to_base64url(&self.key.sign(&message)),
        });
        if let Some(handle) = self.user_handle {
            response["userHandle"] = json!(to_base64url(handle));
        }
        json!({
            "id": to_base64url(&self.id),
            "rawId": to_base64url(&self.id),
            "type": "public-key",
            "clientExtensionResults": {},
            "response": response,
        })
        .to_string()
    }
}

fn party() -> RelyingParty {
    RelyingParty::new("Portreeve", None, &["https://soc.example.org"]).unwrap()
}

fn user() -> User<'static> {
    User { handle: HANDLE, name: "anna", display: "Anna Berg" }
}

fn register_with(soft: &Soft, need: Need) -> Result<Credential, Refused> {
    let (ceremony, options) = party().begin_registration(user(), &[], need, NOW).unwrap();
    party().finish_registration(&ceremony, &soft.create(&options), NOW)
}

fn register(soft: &Soft) -> Result<Credential, Refused> {
    register_with(soft, Need::Presence)
}

fn assert_with(soft: &Soft, credential: &Credential, need: Need) -> Result<Assertion, Refused> {
    let keys = std::slice::from_ref(credential);
    let (ceremony, options) = party().begin_assertion(keys, need, NOW).unwrap();
    party().finish_assertion(&ceremony, HANDLE, keys, &soft.get(&options), NOW)
}

fn assert_one(soft: &Soft, credential: &Credential) -> Result<Assertion, Refused> {
    assert_with(soft, credential, Need::Presence)
}

#[test]
fn each_kind_of_key_registers_and_answers() {
    for key in [es256(), eddsa(), rs256()] {
        let mut soft = Soft::new(key);
        let mut credential = register(&soft).unwrap();
        assert_eq!(credential.id.0, soft.id);
        assert_eq!(credential.transports, ["nfc", "usb"]);
        soft.counter = 7;
        let assertion = assert_one(&soft, &credential).unwrap();
        assert_eq!((assertion.counter, assertion.verified), (7, true));
        credential.counter = assertion.counter;
        assert_eq!(assert_one(&soft, &credential), Err(Refused::Copied), "the same counter again");
        // As the store keeps it.
        let text = serde_json::to_string(&credential).unwrap();
        assert_eq!(serde_json::from_str::<Credential>(&text).unwrap(), credential);
        soft.counter = 8;
        assert!(assert_one(&soft, &credential).is_ok());
    }
}

#[test]
fn options_have_the_shape_that_browsers_parse() {
    let soft = Soft::new(es256());
    let credential = register(&soft).unwrap();
    let keys = std::slice::from_ref(&credential);
    let (ceremony, options) = party().begin_registration(user(), keys, Need::Verification, NOW).unwrap();
    assert_eq!(options["rp"], json!({"id": "soc.example.org", "name": "Portreeve"}));
    assert_eq!(options["user"]["id"], to_base64url(HANDLE));
    assert_eq!(options["challenge"], to_base64url(&ceremony.challenge));
    assert_eq!(options["excludeCredentials"][0]["id"], to_base64url(&soft.id));
    assert_eq!(options["authenticatorSelection"]["userVerification"], "required");
    assert_eq!(options["attestation"], "none");
    let (_, options) = party().begin_assertion(keys, Need::Presence, NOW).unwrap();
    assert_eq!(options["rpId"], "soc.example.org");
    assert_eq!(options["allowCredentials"][0]["transports"], json!(["nfc", "usb"]));
    // The ceremony outlives a restart where the store keeps it.
    let text = serde_json::to_string(&ceremony).unwrap();
    assert_eq!(serde_json::from_str::<Ceremony>(&text).unwrap(), ceremony);
}

/// Turns one knob wrong and says what must come of it, at registration and at assertion.
#[test]
fn one_thing_wrong_is_enough() {
    let check = |turn: &dyn Fn(&mut Soft), refused: Refused| {
        let mut soft = Soft::new(es256());
        let credential = register(&soft).unwrap();
        soft.counter = 2;
        turn(&mut soft);
        assert_eq!(register(&soft).unwrap_err(), refused, "registration");
        assert_eq!(assert_one(&soft, &credential).unwrap_err(), refused, "assertion");
    };
    check(&|s| s.origin = "https://soc.example.org.evil.example", Refused::Origin);
    check(&|s| s.origin = "http://soc.example.org", Refused::Origin);
    check(&|s| s.origin = "https://soc.example.org:8443", Refused::Origin);
    check(&|s| s.rp_id = "example.org", Refused::RelyingParty);
    check(&|s| s.flags = UV, Refused::NotPresent);
    check(&|s| s.cross_origin = json!(true), Refused::CrossOrigin);
    check(&|s| s.kind = Some("payment.get"), Refused::Kind);
    check(&|s| s.flags = UP | 0x10, Refused::Garbled("the key is backed up and cannot be"));
}

#[test]
fn a_pin_is_asked_for_where_the_key_stands_alone() {
    let mut soft = Soft::new(es256());
    let credential = register(&soft).unwrap();
    soft.counter = 2;
    soft.flags = UP;
    assert_eq!(register_with(&soft, Need::Verification).unwrap_err(), Refused::NotVerified);
    assert_eq!(assert_with(&soft, &credential, Need::Verification), Err(Refused::NotVerified));
    assert!(!assert_one(&soft, &credential).unwrap().verified);
}

#[test]
fn attestation_is_none_or_by_the_key_itself() {
    let mut soft = Soft::new(es256());
    for (fmt, refused) in [
        (Fmt::SelfSigned, None),
        (Fmt::SelfSignedWrong, Some(Refused::Signature)),
        (Fmt::Certificate, Some(Refused::Attestation)),
    ] {
        soft.fmt = fmt;
        assert_eq!(register(&soft).err(), refused);
    }
}

#[test]
fn answers_to_other_questions_are_refused() {
    let mut soft = Soft::new(es256());
    let credential = register(&soft).unwrap();
    soft.counter = 2;
    let keys = std::slice::from_ref(&credential);
    let (ceremony, options) = party().begin_assertion(keys, Need::Presence, NOW).unwrap();
    let (other, _) = party().begin_assertion(keys, Need::Presence, NOW).unwrap();
    let answer = soft.get(&options);
    let finish = |c: &Ceremony, now| party().finish_assertion(c, HANDLE, keys, &answer, now);
    assert_eq!(finish(&other, NOW), Err(Refused::Challenge));
    assert_eq!(finish(&ceremony, NOW + PATIENCE_US), Err(Refused::Expired));
    let (registration, _) = party().begin_registration(user(), &[], Need::Presence, NOW).unwrap();
    assert_eq!(finish(&registration, NOW), Err(Refused::Kind));
    assert!(finish(&ceremony, NOW + PATIENCE_US - 1).is_ok());
    // The same client data with a registration's answer.
    let created = soft.create(&options);
    assert!(party().finish_assertion(&ceremony, HANDLE, keys, &created, NOW).is_err());
}

#[test]
fn keys_belong_to_people() {
    let mut soft = Soft::new(es256());
    let credential = register(&soft).unwrap();
    soft.counter = 2;
    let keys = std::slice::from_ref(&credential);
    let mut stranger = Soft::new(es256());
    stranger.counter = 2;
    assert_eq!(assert_one(&stranger, &credential), Err(Refused::Unknown));
    // The right id, another's key.
    stranger.id.clone_from(&soft.id);
    assert_eq!(assert_one(&stranger, &credential), Err(Refused::Signature));
    // A key that names another person.
    soft.user_handle = Some(b"handle-of-bert-1");
    assert_eq!(assert_one(&soft, &credential), Err(Refused::Unknown));
    // Without a handle, where we named the keys: an old key. Where we did not, nobody is named.
    soft.user_handle = None;
    assert!(assert_one(&soft, &credential).is_ok());
    let (ceremony, options) = party().begin_assertion(&[], Need::Verification, NOW).unwrap();
    let finish = |answer: &str| party().finish_assertion(&ceremony, HANDLE, keys, answer, NOW);
    assert_eq!(finish(&soft.get(&options)), Err(Refused::Unknown));
    soft.user_handle = Some(HANDLE);
    let answer = soft.get(&options);
    assert_eq!(named_by(&answer), Ok((Some(HANDLE.to_vec()), credential.id.clone())));
    assert!(finish(&answer).is_ok());
    // Asked for one key, answered with another of the same person.
    let second = Soft { counter: 3, ..Soft::new(eddsa()) };
    let both = [credential.clone(), register(&second).unwrap()];
    let (one, options) = party().begin_assertion(keys, Need::Presence, NOW).unwrap();
    let answer = Soft { counter: 4, ..second }.get(&options);
    assert_eq!(party().finish_assertion(&one, HANDLE, &both, &answer, NOW), Err(Refused::Unknown));
    // Registered twice.
    let (again, options) = party().begin_registration(user(), keys, Need::Presence, NOW).unwrap();
    assert_eq!(
        party().finish_registration(&again, &soft.create(&options), NOW).unwrap_err(),
        Refused::Registered
    );
}

#[test]
fn a_key_that_does_not_count_is_no_copy_and_one_that_stopped_is() {
    let mut soft = Soft { counter: 0, ..Soft::new(es256()) };
    let mut credential = register(&soft).unwrap();
    assert!(assert_one(&soft, &credential).is_ok());
    credential.counter = 5;
    assert_eq!(assert_one(&soft, &credential), Err(Refused::Copied));
    soft.counter = 6;
    assert!(assert_one(&soft, &credential).is_ok());
    soft.flags |= 0x08;
    assert_eq!(assert_one(&soft, &credential), Err(Refused::Garbled("the key changed what it is")));
}

#[test]
fn where_keys_work_at_all() {
    let new = |id, origins: &[&str]| RelyingParty::new("P", id, origins).map(|p| p.id);
    assert_eq!(new(None, &["https://soc.example.org:8443/"]).unwrap(), "soc.example.org");
    assert_eq!(new(None, &["http://localhost:8080"]).unwrap(), "localhost");
    assert_eq!(
        new(Some("example.org"), &["https://soc.example.org", "https://example.org"]).unwrap(),
        "example.org"
    );
    assert!(matches!(new(None, &["http://soc.example.org"]), Err(SetupFault::Insecure(_))));
    assert!(matches!(new(None, &["https://192.0.2.1"]), Err(SetupFault::Address(_))));
    assert!(matches!(new(None, &["soc.example.org"]), Err(SetupFault::Origin(_))));
    assert!(matches!(new(Some("ample.org"), &["https://example.org"]), Err(SetupFault::Foreign { .. })));
    assert!(matches!(new(None, &[]), Err(SetupFault::None)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any single byte of what the key says or signs, changed: refused.
    #[test]
    fn no_byte_can_be_changed(part in 0usize..3, at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut soft = Soft::new(es256());
        let credential = register(&soft).unwrap();
        soft.counter = 2;
        let keys = std::slice::from_ref(&credential);
        let (ceremony, options) = party().begin_assertion(keys, Need::Presence, NOW).unwrap();
        let mut answer: serde_json::Value = serde_json::from_str(&soft.get(&options)).unwrap();
        let name = ["clientDataJSON", "authenticatorData", "signature"][part];
        let mut bytes = from_base64url(answer["response"][name].as_str().unwrap()).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        answer["response"][name] = json!(to_base64url(&bytes));
        prop_assert!(party().finish_assertion(&ceremony, HANDLE, keys, &answer.to_string(), NOW).is_err());
    }

    /// Hostile answers at registration: no panic, and never a key that is not the one that answered.
    #[test]
    fn a_disturbed_registration_is_answered(at in any::<prop::sample::Index>(), cut in any::<bool>(), with in any::<u8>()) {
        let soft = Soft::new(eddsa());
        let (ceremony, options) = party().begin_registration(user(), &[], Need::Presence, NOW).unwrap();
        let mut answer: serde_json::Value = serde_json::from_str(&soft.create(&options)).unwrap();
        let mut bytes = from_base64url(answer["response"]["attestationObject"].as_str().unwrap()).unwrap();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = with }
        answer["response"]["attestationObject"] = json!(to_base64url(&bytes));
        if let Ok(credential) = party().finish_registration(&ceremony, &answer.to_string(), NOW) {
            prop_assert_eq!(credential.id.0, soft.id);
        }
    }

    #[test]
    fn any_text_is_answered(text in "\\PC{0,200}") {
        let (ceremony, _) = party().begin_assertion(&[], Need::Presence, NOW).unwrap();
        prop_assert!(party().finish_assertion(&ceremony, HANDLE, &[], &text, NOW).is_err());
    }
}
