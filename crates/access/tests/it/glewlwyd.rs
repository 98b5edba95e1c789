//! glewlwyd, Debian's OpenID Connect provider, on a loopback port with its own SQLite database; gone when dropped.

use portreeve_access::oidc::{Http, Method, Request, Response};
use serde_json::{Value, json};
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub(crate) const SECRET: &str = "s3cret-of-portreeve";
pub(crate) const REDIRECT: &str = "http://127.0.0.1:9/sign-in/oidc/callback";
pub(crate) const PASSWORD: &str = "four words are enough";

pub(crate) struct Glewlwyd {
    child: Child,
    base: String,
    admin: Browser,
    _dir: TempDir,
}

impl Drop for Glewlwyd {
    fn drop(&mut self) {
        // Both fail only where it has ended by itself, which the test has seen by then.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Longer than any start on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

impl Glewlwyd {
    /// With a client `portreeve`, the group `soc-t2`, and `anna` in it.
    pub(crate) fn start(key: &SigningKey) -> Glewlwyd {
        // Somebody else may take the port between our choosing it and glewlwyd's taking it: then another one.
        let mut server = (0..5).find_map(|_| Glewlwyd::try_start()).expect("glewlwyd does not start");
        let iss = server.issuer();
        let parameters = json!({
            "iss": iss,
            "subject-type": "public",
            "jwt-type": key.kind,
            "jwt-key-size": "256",
            "key": key.private,
            "cert": key.public,
            "jwks-show": true,
            "access-token-duration": 3600,
            "refresh-token-duration": 3600,
            "code-duration": 600,
            "auth-type-code-enabled": true,
            "pkce-allowed": true,
            "pkce-method-plain-allowed": false,
            "pkce-required": true,
            "oauth-as-iss-id": true,
            "allowed-scope": ["openid"],
            "session-management-allowed": true,
            "session-cookie-name": "op-session",
            "session-cookie-expiration": 3600,
            "name-claim": "mandatory",
            "email-claim": "mandatory",
            "scope-claim": "mandatory",
            "claims": [{
                "name": "preferred_username", "user-property": "username", "type": "string", "mandatory": true,
            }],
        });
        let plugin = json!({"module": "oidc", "name": "oidc", "display_name": "oidc", "parameters": parameters,
            "order_rank": 0, "readonly": false, "enabled": true});
        server.admin.json("POST", &server.api("/mod/plugin/"), &plugin);
        let scope = json!({"name": "soc-t2", "display_name": "SOC", "description": "T2",
            "password_required": true, "scheme": {}});
        server.admin.json("POST", &server.api("/scope/"), &scope);
        let client = json!({"client_id": "portreeve", "name": "Portreeve", "confidential": true,
            "password": SECRET, "redirect_uri": [REDIRECT], "authorization_type": ["code"],
            "scope": ["openid", "soc-t2"], "enabled": true,
            "token_endpoint_auth_method": ["client_secret_basic"]});
        server.admin.json("POST", &server.api("/client/"), &client);
        let user = json!({"username": "anna", "password": PASSWORD, "name": "Anna Berg",
            "email": "anna@example.org", "scope": ["g_profile", "openid", "soc-t2"], "enabled": true});
        server.admin.json("POST", &server.api("/user/"), &user);
        server
    }

    fn try_start() -> Option<Glewlwyd> {
        let dir = TempDir::new().expect("a directory");
        let database = dir.path().join("g.db");
        make_database(&database);
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
        let config = dir.path().join("g.conf");
        std::fs::write(
            &config,
            format!(
                "port={port}\nbind_address=\"127.0.0.1\"\nexternal_url=\"http://127.0.0.1:{port}\"\n\
                 login_url=\"login.html\"\napi_prefix=\"api\"\ncookie_domain=\"127.0.0.1\"\ncookie_secure=0\n\
                 log_mode=\"file\"\nlog_level=\"INFO\"\nlog_file=\"{log}\"\n\
                 user_module_path=\"/usr/lib/glewlwyd/user\"\n\
                 user_middleware_module_path=\"/usr/lib/glewlwyd/user_middleware\"\n\
                 client_module_path=\"/usr/lib/glewlwyd/client\"\n\
                 user_auth_scheme_module_path=\"/usr/lib/glewlwyd/scheme\"\n\
                 plugin_module_path=\"/usr/lib/glewlwyd/plugin\"\n\
                 admin_scope=\"g_admin\"\nprofile_scope=\"g_profile\"\n\
                 static_files_path=\"/usr/share/glewlwyd/webapp/\"\n\
                 database={{ type=\"sqlite3\"; path=\"{database}\"; }}\n",
                log = dir.path().join("g.log").display(),
                database = database.display(),
            ),
        )
        .expect("its configuration");
        let child = Command::new("glewlwyd")
            .arg(format!("--config-file={}", config.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Debian package glewlwyd is missing");
        let base = format!("http://127.0.0.1:{port}");
        let mut server = Glewlwyd { child, base, admin: Browser::default(), _dir: dir };
        let deadline = Instant::now() + PATIENCE;
        let admin = json!({"username": "admin", "password": "password"});
        while Instant::now() < deadline {
            if server.child.try_wait().expect("its state").is_some() {
                return None;
            }
            let url = server.api("/auth/");
            if server.admin.ask("POST", &url, Some(&admin)).is_ok_and(|a| a.status == 200) {
                return Some(server);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        None
    }

    pub(crate) fn issuer(&self) -> String {
        self.api("/oidc")
    }

    pub(crate) fn api(&self, path: &str) -> String {
        format!("{}/api{path}", self.base)
    }

    /// A new signing key, as an administrator puts it in.
    pub(crate) fn rotate(&mut self, key: &SigningKey) {
        let url = self.api("/mod/plugin/oidc");
        let answer = self.admin.ask("GET", &url, None).expect("the plugin");
        let mut plugin: Value = serde_json::from_slice(&answer.body).expect("JSON");
        plugin["parameters"]["key"] = json!(key.private);
        plugin["parameters"]["cert"] = json!(key.public);
        self.admin.json("PUT", &url, &plugin);
        for action in ["disable", "enable"] {
            let url = self.api(&format!("/mod/plugin/oidc/{action}"));
            self.admin.json("PUT", &url, &json!({}));
        }
    }

    /// `anna` at the provider's page, who agrees; then where the provider sends her browser: the query of the callback.
    pub(crate) fn browse(&self, url: &str) -> String {
        let mut browser = Browser::default();
        let anna = json!({"username": "anna", "password": PASSWORD});
        browser.json("POST", &self.api("/auth/"), &anna);
        let grant = json!({"scope": "openid soc-t2"});
        browser.json("PUT", &self.api("/auth/grant/portreeve"), &grant);
        let answer = browser.ask("GET", &format!("{url}&g_continue"), None).expect("an answer");
        assert_eq!(answer.status, 302, "{}", String::from_utf8_lossy(&answer.body));
        let query = answer.location.strip_prefix(REDIRECT).and_then(|l| l.strip_prefix('?'));
        query.unwrap_or_else(|| panic!("sent to {}", answer.location)).to_owned()
    }
}

fn make_database(path: &Path) {
    const SCHEMA: &str = "/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3";
    let schema = std::fs::read(SCHEMA).expect("Debian package glewlwyd is missing");
    let mut sqlite = Command::new("sqlite3")
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .expect("Debian package sqlite3 is missing");
    sqlite.stdin.take().expect("piped").write_all(&schema).expect("the schema");
    assert!(sqlite.wait().expect("its end").success());
}

/// A key pair in PEM, made by openssl.
pub(crate) struct SigningKey {
    kind: &'static str,
    private: String,
    public: String,
}

impl SigningKey {
    pub(crate) fn rsa() -> SigningKey {
        SigningKey::make("rsa", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
    }

    pub(crate) fn ecdsa() -> SigningKey {
        SigningKey::make("ecdsa", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"])
    }

    pub(crate) fn eddsa() -> SigningKey {
        SigningKey::make("eddsa", &["-algorithm", "ED25519"])
    }

    fn make(kind: &'static str, args: &[&str]) -> SigningKey {
        let dir = TempDir::new().expect("a directory");
        let file = dir.path().join("key.pem");
        let file = file.to_str().expect("a plain path");
        let openssl = |args: &[&str]| {
            let output =
                Command::new("openssl").args(args).output().expect("Debian package openssl is missing");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).expect("PEM")
        };
        openssl(&[&["genpkey", "-out", file][..], args].concat());
        let private = std::fs::read_to_string(file).expect("the key");
        SigningKey { kind, private, public: openssl(&["pkey", "-in", file, "-pubout"]) }
    }
}

/// Keeps glewlwyd's one cookie and follows nothing.
#[derive(Default)]
struct Browser {
    cookie: String,
}

struct Answer {
    status: u16,
    location: String,
    body: Vec<u8>,
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .proxy(None)
        .timeout_global(Some(Duration::from_secs(30)))
        .build()
        .new_agent()
}

impl Browser {
    fn ask(&mut self, method: &str, url: &str, body: Option<&Value>) -> Result<Answer, ureq::Error> {
        let cookie = self.cookie.as_str();
        let agent = agent();
        let mut response = match (method, body) {
            ("POST", Some(body)) => agent.post(url).header("cookie", cookie).send_json(body)?,
            ("PUT", Some(body)) => agent.put(url).header("cookie", cookie).send_json(body)?,
            _ => agent.get(url).header("cookie", cookie).call()?,
        };
        let header =
            |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        if let Some(set) = header("set-cookie").filter(|c| c.starts_with("GLEWLWYD2_SESSION_ID=")) {
            self.cookie = set.split(';').next().unwrap_or_default().to_owned();
        }
        Ok(Answer {
            status: response.status().as_u16(),
            location: header("location").unwrap_or_default(),
            body: response.body_mut().read_to_vec()?,
        })
    }

    /// That must succeed.
    fn json(&mut self, method: &str, url: &str, body: &Value) {
        let answer = self.ask(method, url, Some(body)).expect("an answer");
        assert_eq!(answer.status, 200, "{method} {url}: {}", String::from_utf8_lossy(&answer.body));
    }
}

/// The transport that the service hands in, as its documentation asks.
pub(crate) struct Transport;

impl Http for Transport {
    fn send(&self, request: &Request) -> Result<Response, String> {
        let agent = agent();
        let sent = match request.method {
            Method::Get => {
                let get = agent.get(&request.url);
                request.headers.iter().fold(get, |r, (n, v)| r.header(*n, v.as_str())).call()
            }
            Method::Post => {
                let post = agent.post(&request.url);
                let body = request.body.as_ref().map_or("", |b| b.as_str());
                request.headers.iter().fold(post, |r, (n, v)| r.header(*n, v.as_str())).send(body)
            }
        };
        let mut response = sent.map_err(|e| e.to_string())?;
        let status = response.status().as_u16();
        let body = response.body_mut().read_to_vec().map_err(|e| e.to_string())?;
        Ok(Response { status, body })
    }
}
