//! A browser, as far as the API sees one: cookies, an origin, the session's second token; and people to use it.

use hmac::{Hmac, KeyInit, Mac};
use portreeve_access::keys::{MasterKey, Purpose};
use portreeve_access::password::{Cost, Passwords};
use portreeve_access::session::Session;
use portreeve_access::totp::TotpSecret;
use portreeve_server::{App, Service};
use portreeve_store::case::engine::{EngineCase, take};
use portreeve_store::case::{Risk, entity};
use portreeve_store::login::{self, Login};
use portreeve_store::people::{self, Change, NewPerson};
use portreeve_store::{CaseId, PersonId};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_micros()).expect("before the year 294,000")
}

pub(crate) struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub cookies: Vec<String>,
    pub text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{}: {e}: {}", self.status, self.text))
    }

    pub(crate) fn kind(&self) -> String {
        self.json()["type"].as_str().unwrap_or_default().replace("urn:portreeve:problem:", "")
    }
}

#[derive(Clone)]
pub(crate) struct Browser {
    agent: ureq::Agent,
    base: String,
    pub cookies: BTreeMap<String, String>,
    pub csrf: Option<String>,
    pub origin: Option<String>,
    pub more: Vec<(String, String)>,
}

impl Browser {
    pub(crate) fn new(service: &Service) -> Browser {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            // A connection whose body was refused unread is closed, and must not be used again.
            .max_idle_connections(0)
            .proxy(None)
            .build()
            .new_agent();
        let base = format!("http://{}", service.address());
        Browser {
            agent,
            origin: Some(base.clone()),
            base,
            cookies: BTreeMap::new(),
            csrf: None,
            more: Vec::new(),
        }
    }

    pub(crate) fn with(&self, name: &str, value: &str) -> Browser {
        let mut other = self.clone();
        other.more.push((name.to_owned(), value.to_owned()));
        other
    }

    pub(crate) fn send(&mut self, method: &str, path: &str, body: Option<(&str, &str)>) -> Answer {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        let cookies: Vec<String> = self.cookies.iter().map(|(n, v)| format!("{n}={v}")).collect();
        if !cookies.is_empty() {
            request = request.header("Cookie", cookies.join("; "));
        }
        if let Some(origin) = &self.origin {
            request = request.header("Origin", origin);
        }
        if let Some(csrf) = &self.csrf {
            request = request.header("X-CSRF-Token", csrf);
        }
        for (name, value) in &self.more {
            request = request.header(name, value);
        }
        let answer = match body {
            Some((kind, body)) => {
                self.agent.run(request.header("Content-Type", kind).body(body.to_owned()).expect("a request"))
            }
            None => self.agent.run(request.body(()).expect("a request")),
        };
        let mut answer = answer.unwrap_or_else(|e| panic!("{method} {path}: {e}"));
        let mut headers = BTreeMap::new();
        let mut cookies = Vec::new();
        for (name, value) in answer.headers() {
            let value = value.to_str().expect("text").to_owned();
            if name == "set-cookie" {
                let (pair, rest) = value.split_once(';').expect("attributes");
                let (name, content) = pair.split_once('=').expect("a pair");
                if rest.contains("Max-Age=0") {
                    self.cookies.remove(name);
                } else {
                    self.cookies.insert(name.to_owned(), content.to_owned());
                }
                cookies.push(value.clone());
            }
            headers.insert(name.to_string(), value);
        }
        let status = answer.status().as_u16();
        let text = answer.body_mut().read_to_string().expect("a body");
        Answer { status, headers, cookies, text }
    }

    /// A page, beside the API.
    pub(crate) fn get_page(&mut self, path: &str) -> Answer {
        self.send("GET", path, None)
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.send("GET", &format!("/api/v1{path}"), None)
    }

    pub(crate) fn post(&mut self, path: &str, body: Value) -> Answer {
        self.send("POST", &format!("/api/v1{path}"), Some(("application/json", &body.to_string())))
    }

    /// Takes the session's second token, as a page does.
    pub(crate) fn look(&mut self) {
        let view = self.get("/session");
        assert_eq!(view.status, 200, "{}", view.text);
        self.csrf = view.json()["csrf"].as_str().map(str::to_owned);
    }
}

/// Somebody with these roles.
pub(crate) fn person(app: &App, name: &str, roles: &[&str]) -> PersonId {
    let roles = roles.iter().map(|r| (*r).to_owned()).collect();
    let new = NewPerson { name, display: "", zone: "UTC", roles: &roles, password_hash: None, oidc: None };
    app.store.write(|tx| people::create(tx, &new, now())).expect("a person").id
}

/// Somebody with these roles who has signed in with a second factor.
pub(crate) fn signed_in(service: &Service, name: &str, roles: &[&str]) -> Browser {
    let person = person(&service.app, name, roles);
    let (token, session) = Session::begin(now()).expect("randomness");
    let login = Login {
        token_hash: *session.digest.as_bytes(),
        person,
        csrf: Vec::new(),
        created_at: now(),
        rotated_at: now(),
        last_used: now(),
        expires_at: now() + 3_600_000_000,
        address: "127.0.0.1".to_owned(),
        agent: String::new(),
        factors: "password totp".to_owned(),
    };
    service.app.store.write(|tx| login::begin(tx, &login)).expect("a login");
    let mut browser = Browser::new(service);
    browser.cookies.insert("portreeve".to_owned(), token.expose().to_owned());
    browser.look();
    browser
}

/// Somebody with a password and an authenticator app, whose zone is Berlin's; the secret of the app. `data` is the folder
/// of the service.
pub(crate) fn enrolled(app: &App, data: &Path, (name, password): (&str, &str), roles: &[&str]) -> String {
    let id = person(app, name, roles);
    let secret = TotpSecret::generate().expect("randomness");
    let hash = Passwords::new(Cost::default()).expect("a cost").hash(name, password).expect("a hash");
    let key = std::fs::read(data.join("master.key")).expect("the key");
    let master = MasterKey::from_bytes(key.try_into().expect("32 bytes"));
    let sealed =
        master.key(Purpose::Seal).seal(&format!("person:{}", id.0), secret.as_bytes()).expect("sealed");
    let revision = app.store.read(|tx| people::get(tx, id)).expect("the person").revision;
    let change = Change {
        password_hash: Some(Some(&hash)),
        totp: Some(Some(&sealed)),
        zone: Some("Europe/Berlin"),
        ..Change::default()
    };
    app.store.write(|tx| people::change(tx, id, revision, &change, now())).expect("changed");
    secret.to_base32().to_string()
}

/// Lets a script drive Chromium, after `held.py`. Each line that it prints with a `?` before it is a question, which is
/// answered with a line; all else that it prints is what is wrong.
pub(crate) fn chromium(script: &str, args: &[&str], mut answer: impl FnMut(&str) -> String) {
    assert!(Path::new("/usr/bin/chromium").exists(), "needs the Debian package chromium");
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    let mut child = Command::new("timeout")
        .args(["900", &python, "-c", &[include_str!("held.py"), script].concat()])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("needs the Debian packages coreutils and python3");
    let mut to = child.stdin.take().expect("its input");
    let mut said = String::new();
    for line in BufReader::new(child.stdout.take().expect("its output")).lines() {
        let line = line.expect("text");
        match line.strip_prefix('?') {
            // Where it does not listen any more, it says why below.
            Some(question) => writeln!(to, "{}", answer(question)).unwrap_or_default(),
            None => said = said + &line + "\n",
        }
    }
    child.stderr.take().expect("its errors").read_to_string(&mut said).expect("text");
    let hint = "needs playwright and axe-playwright-python of .ci/pip.txt";
    assert!(!said.contains("ModuleNotFoundError"), "{hint}\n{said}");
    assert!(child.wait().expect("it ends").success(), "{said}");
}

/// The code of an authenticator app (RFC 6238), some steps from now.
pub(crate) fn code(base32: &str, steps: i64) -> String {
    let (mut held, mut bits, mut secret) = (0u32, 0, Vec::new());
    for c in base32.bytes() {
        let value = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|a| *a == c).expect("base32");
        held = held << 5 | u32::try_from(value).expect("below 32");
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            secret.push(u8::try_from(held >> bits & 0xff).expect("a byte"));
        }
    }
    let step = now() / 30_000_000 + steps;
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(&secret).expect("any key");
    mac.update(&step.to_be_bytes());
    let tag = mac.finalize().into_bytes();
    let at = usize::from(tag[19] & 0xf);
    let word = u32::from_be_bytes([tag[at] & 0x7f, tag[at + 1], tag[at + 2], tag[at + 3]]);
    format!("{:06}", word % 1_000_000)
}

/// A case as the engine writes one.
pub(crate) fn case(app: &App, id: &str, title: &str) -> CaseId {
    let entities = [entity::Entity::new(entity::Kind::Address, "192.0.2.7")];
    let said = EngineCase {
        engine_id: id,
        supersedes: &[],
        as_of: 1,
        title,
        principal: title,
        decision: portreeve_model::answer::Decision::Escalate,
        risk: Risk::from_points(70.0),
        first_seen: now(),
        last_seen: now(),
        detected_at: now(),
        verdict: "v",
        why: "because",
        changed: "{}",
        late: false,
        brief: "{}",
        search: &[],
        entities: &entities,
        document: "{}",
    };
    app.store.write(|tx| take(tx, &said, now())).expect("a case").case()
}
