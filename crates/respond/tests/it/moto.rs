//! moto, an independent stand-in for AWS that checks signatures and enforces policies, behind a small proxy of ours
//! that fails when it is told to.

use crate::contract::Device;
use crate::lab::{self, Daemon};
use crate::stub::{Failure, Reply, Request, Stub};
use portreeve_respond::encode::xml_read::Node;
use portreeve_respond::secret::Secret;
use portreeve_respond::transport::aws::{Aws, Keys, Place, Service, get};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

pub(crate) struct Moto {
    port: u16,
    _daemon: Daemon,
    _dir: tempfile::TempDir,
}

/// Lets everything be done; what moto's users need.
pub(crate) const ALLOW: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;

impl Moto {
    pub(crate) fn start() -> Moto {
        let (dir, port) = (tempfile::tempdir().unwrap(), lab::port());
        let daemon = Daemon::spawn(
            "moto_server",
            &["-H", "127.0.0.1", "-p", &port.to_string()],
            &dir.path().join("moto"),
        );
        daemon.says("Running on", Duration::from_secs(60));
        let moto = Moto { port, _daemon: daemon, _dir: dir };
        assert!(lab::until(Duration::from_secs(20), || TcpStream::connect(("127.0.0.1", moto.port)).is_ok()));
        moto
    }

    /// Forgets everything, and makes the same ids in the same order again. Nobody is refused until [`Moto::guard`].
    pub(crate) fn reset(&self) {
        for (path, body) in [("reset-auth", "100000000"), ("reset", ""), ("seed?a=7", "")] {
            self.api(path, body);
        }
    }

    /// From now on signatures are checked and policies enforced.
    pub(crate) fn guard(&self) {
        self.api("reset-auth", "0");
    }

    fn api(&self, path: &str, body: &str) {
        let reply = exchange(
            self.port,
            &Request {
                method: "POST".into(),
                target: format!("/moto-api/{path}"),
                headers: vec![
                    ("host".into(), "localhost".into()),
                    ("content-type".into(), "text/plain".into()),
                ],
                body: body.into(),
            },
        );
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
    }

    pub(crate) fn place(&self) -> Place {
        place(&format!("http://127.0.0.1:{}", self.port))
    }

    pub(crate) fn client(&self, service: Service, keys: Keys) -> Aws {
        Aws::open(&self.place(), service, keys).unwrap()
    }

    /// Root, while nobody is refused.
    pub(crate) fn root(&self, service: Service) -> Aws {
        self.client(service, Keys { id: "test".into(), secret: Secret::new("test"), token: None })
    }

    /// A user who may do everything, with a key.
    pub(crate) fn user(&self, name: &str) -> Keys {
        let iam = self.root(portreeve_respond::transport::aws::IAM);
        iam.change("CreateUser", &[("UserName", name)]).unwrap();
        iam.change("PutUserPolicy", &[("UserName", name), ("PolicyName", "all"), ("PolicyDocument", ALLOW)])
            .unwrap();
        let made = iam.change("CreateAccessKey", &[("UserName", name)]).unwrap();
        keys(made.at("CreateAccessKeyResult/AccessKey").unwrap())
    }

    /// The proxy before it.
    pub(crate) fn stub(&self) -> Stub {
        let port = self.port;
        Stub::start_as(changes, Reply::text(200, "<Hollow/>"), move |request| exchange(port, request))
    }
}

pub(crate) fn place(url: &str) -> Place {
    Place { region: "us-east-1".into(), endpoint: Some(url.into()), ca: None, timeout: 100 }
}

/// Keys as IAM and STS give them.
pub(crate) fn keys(node: &Node) -> Keys {
    let get = |name: &str| get(node, name).map(str::to_owned);
    Keys {
        id: get("AccessKeyId").unwrap(),
        secret: Secret::new(get("SecretAccessKey").unwrap()),
        token: get("SessionToken").map(Secret::new),
    }
}

/// The credential as a connector reads it.
pub(crate) fn credential(keys: &Keys) -> String {
    serde_json::json!({"access_key_id": keys.id, "secret_access_key": keys.secret.expose()}).to_string()
}

/// AWS reads by POST as well; a dry run and a lock that no set has change nothing.
fn changes(request: &Request) -> bool {
    let action = match request.header("x-amz-target") {
        Some(target) => target.rsplit('.').next().unwrap_or("").to_owned(),
        None => request.body.strip_prefix("Action=").unwrap_or("").split('&').next().unwrap_or("").to_owned(),
    };
    ["Create", "Update", "Put", "Delete"].iter().any(|verb| action.starts_with(verb))
        && !request.body.contains("DryRun=true")
        && !request.body.contains("00000000-0000-0000-0000-000000000000")
}

/// Hands a request on as it is, so that its signature still fits.
fn exchange(port: u16, request: &Request) -> Reply {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(100))).unwrap();
    let mut text = format!("{} {} HTTP/1.1\r\n", request.method, request.target);
    for (name, value) in &request.headers {
        if !matches!(name.as_str(), "content-length" | "connection" | "accept-encoding") {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    text.push_str(&format!(
        "content-length: {}\r\nconnection: close\r\n\r\n{}",
        request.body.len(),
        request.body
    ));
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = lab::text(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(599);
    Reply::text(status, body)
}

/// moto as a device of the contract.
pub(crate) struct Cloud {
    pub(crate) stub: Stub,
    pub(crate) fields: Value,
    pub(crate) marks: bool,
}

impl Device for Cloud {
    fn fields(&self) -> Value {
        let mut fields = self.fields.clone();
        fields["region"] = "us-east-1".into();
        // A service's first request loads it, which takes its time; a second attempt would make other ids.
        fields["timeout"] = 100.into();
        fields["endpoint"] = self.stub.url().into();
        fields
    }

    fn fail(&self, failure: Failure) -> bool {
        self.stub.fail(failure);
        true
    }

    fn changes(&self) -> usize {
        self.stub.changes().len()
    }

    fn marks(&self) -> bool {
        self.marks
    }

    fn nowhere(&self) -> Option<Value> {
        let mut fields = self.fields();
        fields["endpoint"] = "http://127.0.0.1:1".into();
        Some(fields)
    }
}
