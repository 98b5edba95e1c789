//! Security keys with a real browser on the other side: it parses our options and writes the answers.

use crate::chromium::{Chromium, serve_a_page};
use portreeve_access::webauthn::{Credential, Need, Refused, RelyingParty, User, named_by};
use serde_json::{Value, json};

const NOW: i64 = 1_700_000_000_000_000;
const HANDLE: &[u8] = b"0123456789abcdef";

fn create(browser: &mut Chromium, options: &Value) -> String {
    let script = format!(
        "navigator.credentials.create({{publicKey: PublicKeyCredential.parseCreationOptionsFromJSON({options})}})\
         .then(c => JSON.stringify(c), e => 'refused: ' + e.name)"
    );
    browser.evaluate(&script).as_str().expect("a text").to_owned()
}

fn get(browser: &mut Chromium, options: &Value) -> String {
    let script = format!(
        "navigator.credentials.get({{publicKey: PublicKeyCredential.parseRequestOptionsFromJSON({options})}})\
         .then(c => JSON.stringify(c), e => 'refused: ' + e.name)"
    );
    browser.evaluate(&script).as_str().expect("a text").to_owned()
}

#[test]
fn a_browser_and_a_key_register_and_sign_in() {
    let port = serve_a_page();
    let origin = format!("http://localhost:{port}");
    let party = RelyingParty::new("Portreeve", None, &[&origin]).expect("a party");
    let user = User { handle: HANDLE, name: "anna", display: "Anna Berg" };
    let mut browser = Chromium::start();
    browser.open(&format!("{origin}/"));

    // A key that asks for a finger and keeps whose it is, then a plain one that is touched.
    let passkey = json!({"protocol": "ctap2", "transport": "internal", "hasResidentKey": true,
        "hasUserVerification": true, "isUserVerified": true, "automaticPresenceSimulation": true});
    let plugged = browser.plug_in(passkey);
    let (ceremony, options) = party.begin_registration(user, &[], Need::Verification, NOW).expect("begun");
    let answer = create(&mut browser, &options);
    let mut credential = party.finish_registration(&ceremony, &answer, NOW).expect("registered");
    assert_eq!(credential.transports, ["internal"]);
    let keys = std::slice::from_ref(&credential);

    // The same key again: the browser knows it by our list.
    let (_, options) = party.begin_registration(user, keys, Need::Verification, NOW).expect("begun");
    assert_eq!(create(&mut browser, &options), "refused: InvalidStateError");

    let (ceremony, options) = party.begin_assertion(keys, Need::Verification, NOW).expect("begun");
    let answer = get(&mut browser, &options);
    let assertion = party.finish_assertion(&ceremony, HANDLE, keys, &answer, NOW).expect("signed in");
    assert!(assertion.verified);
    // The answer is good for its question alone, and a key that counts counts on.
    let (other, options) = party.begin_assertion(keys, Need::Verification, NOW).expect("begun");
    assert_eq!(party.finish_assertion(&other, HANDLE, keys, &answer, NOW), Err(Refused::Challenge));
    credential.counter = assertion.counter;
    let keys = std::slice::from_ref(&credential);
    let again = get(&mut browser, &options);
    let next = party.finish_assertion(&other, HANDLE, keys, &again, NOW).expect("signed in again");
    assert!(next.counter > assertion.counter || next.counter == 0);

    // Without a name: the key says who it is.
    let (ceremony, options) = party.begin_assertion(&[], Need::Verification, NOW).expect("begun");
    let answer = get(&mut browser, &options);
    assert_eq!(named_by(&answer), Ok((Some(HANDLE.to_vec()), credential.id.clone())));
    let stale = Credential { counter: 0, ..credential.clone() };
    party.finish_assertion(&ceremony, HANDLE, &[stale], &answer, NOW).expect("signed in without a name");
    browser.unplug(&plugged);

    let touched = json!({"protocol": "ctap2", "transport": "usb", "hasResidentKey": false,
        "hasUserVerification": false, "automaticPresenceSimulation": true});
    browser.plug_in(touched);
    let (ceremony, options) = party.begin_registration(user, &[], Need::Presence, NOW).expect("begun");
    let answer = create(&mut browser, &options);
    let second = party.finish_registration(&ceremony, &answer, NOW).expect("registered");
    let keys = std::slice::from_ref(&second);
    let (ceremony, options) = party.begin_assertion(keys, Need::Presence, NOW).expect("begun");
    let answer = get(&mut browser, &options);
    let assertion = party.finish_assertion(&ceremony, HANDLE, keys, &answer, NOW).expect("signed in");
    assert!(!assertion.verified);
    // Another service at another name does not take it.
    let elsewhere = RelyingParty::new("Elsewhere", None, &["https://soc.example.org"]).expect("a party");
    assert_eq!(elsewhere.finish_assertion(&ceremony, HANDLE, keys, &answer, NOW), Err(Refused::Origin));
}
