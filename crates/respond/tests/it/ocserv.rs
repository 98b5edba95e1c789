//! A real ocserv and openconnect, in two network namespaces.

use crate::lab::{self, Daemon, Netns};
use base64::Engine as _;
use portreeve_respond::act::Act;
use portreeve_respond::connector::{Control, Effect, Known};
use portreeve_respond::connectors::ocserv::CONNECTOR;
use portreeve_respond::fault::Fault;
use portreeve_respond::target::{Stay, Target};
use portreeve_respond::value::{SessionId, UserName};
use rcgen::PublicKeyData as _;
use sha2::Digest as _;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

const PROGRAMS: &[&str] = &["ip", "ocserv", "occtl", "ocpasswd", "openconnect", "ping"];
const PASSWORD: &str = "correct horse\n";

struct Vpn {
    client: Netns,
    dir: tempfile::TempDir,
    pin: String,
    _daemon: Daemon,
    _server: Netns,
}

impl Vpn {
    fn new(users: &[&str], persistent_cookies: bool) -> Vpn {
        let (server, client) = (Netns::new("os"), Netns::new("on"));
        Netns::cable(&server, "198.51.100.1/24", &client, "198.51.100.9/24");
        let dir = tempfile::tempdir().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let cert = rcgen::CertificateParams::new(vec!["vpn.test".into()]).unwrap().self_signed(&key).unwrap();
        std::fs::write(dir.path().join("server.crt"), cert.pem()).unwrap();
        std::fs::write(dir.path().join("server.key"), key.serialize_pem()).unwrap();
        // Sends what the tunnel gives to a device, which openconnect makes as root.
        let script = dir.path().join("script");
        std::fs::write(
            &script,
            "#!/bin/sh\n[ \"$reason\" = connect ] && ip addr add $INTERNAL_IP4_ADDRESS/24 dev $TUNDEV && ip link set $TUNDEV up\nexit 0\n",
        )
        .unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        let at = dir.path().display();
        let passwd = dir.path().join("passwd");
        for user in users {
            let mut child = Command::new(lab::which("ocpasswd").unwrap())
                .args(["-c", passwd.to_str().unwrap(), user])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            child.stdin.take().unwrap().write_all(format!("{PASSWORD}{PASSWORD}").as_bytes()).unwrap();
            assert!(child.wait().unwrap().success());
        }
        let conf = format!(
            "auth = \"plain[passwd={at}/passwd]\"\ntcp-port = 443\nudp-port = 443\nrun-as-user = root\n\
             run-as-group = root\nsocket-file = {at}/oc.sock\nocctl-socket-file = {at}/occtl.sock\nuse-occtl = true\n\
             server-cert = {at}/server.crt\nserver-key = {at}/server.key\nisolate-workers = false\nmax-clients = 16\n\
             max-same-clients = 0\nkeepalive = 30\ncookie-timeout = 300\npersistent-cookies = {persistent_cookies}\n\
             ban-points-wrong-password = 0\nrekey-time = 172800\ndevice = vpns\nipv4-network = 10.88.0.0\n\
             ipv4-netmask = 255.255.255.0\ncisco-client-compat = true\nlog-level = 3\n"
        );
        let config = dir.path().join("ocserv.conf");
        std::fs::write(&config, conf).unwrap();
        let log = dir.path().join("server.log");
        let daemon = server.spawn(&["ocserv", "-f", "-d", "3", "-c", config.to_str().unwrap()], &log);
        assert!(
            lab::until(Duration::from_secs(10), || {
                let socket = dir.path().join("occtl.sock");
                lab::output("occtl", &["-s", socket.to_str().unwrap(), "show", "status"]).status.success()
            }),
            "{}",
            daemon.output()
        );
        let digest = sha2::Sha256::digest(key.subject_public_key_info());
        let pin = format!("pin-sha256:{}", base64::engine::general_purpose::STANDARD.encode(digest));
        Vpn { client, dir, pin, _daemon: daemon, _server: server }
    }

    fn passwd(&self) -> PathBuf {
        self.dir.path().join("passwd")
    }

    fn control(&self) -> Box<dyn Control> {
        self.control_with(&self.passwd())
    }

    fn control_with(&self, passwd: &std::path::Path) -> Box<dyn Control> {
        let fields = serde_json::json!({"socket": self.dir.path().join("occtl.sock"), "passwd": passwd});
        lab::open(&CONNECTOR, fields, &[])
    }

    fn occtl(&self, args: &[&str]) -> (bool, String) {
        let socket = self.dir.path().join("occtl.sock");
        let mut all = vec!["-s", socket.to_str().unwrap()];
        all.extend(args);
        let out = lab::output("occtl", &all);
        (out.status.success(), lab::text(&out.stdout))
    }

    /// Signs in with the password; the cookie, if the server gave one.
    fn cookie(&self, user: &str, agent: &str) -> Option<String> {
        let user = format!("--user={user}");
        let agent = format!("--useragent={agent}");
        let pin = format!("--servercert={}", self.pin);
        let mut out = self.openconnect(
            &[
                "--passwd-on-stdin",
                "--non-inter",
                "--authenticate",
                &user,
                &agent,
                &pin,
                "https://198.51.100.1",
            ],
            PASSWORD,
            "auth",
        );
        assert!(lab::until(Duration::from_secs(10), || !out.runs()), "{}", out.output());
        let text = out.output();
        let (_, rest) = text.split_once("COOKIE='")?;
        rest.split_once('\'').map(|(cookie, _)| cookie.to_owned())
    }

    /// Begins a session with a cookie, as a thief would.
    fn enter(&self, cookie: &str) -> Daemon {
        let pin = format!("--servercert={}", self.pin);
        let script = format!("--script={}/script", self.dir.path().display());
        self.openconnect(
            &[
                "--cookie-on-stdin",
                "--no-dtls",
                "--reconnect-timeout=1",
                &pin,
                &script,
                "https://198.51.100.1",
            ],
            &format!("{cookie}\n"),
            "tunnel",
        )
    }

    fn openconnect(&self, args: &[&str], stdin: &str, stem: &str) -> Daemon {
        let input = lab::secret_file(self.dir.path(), &lab::unique("in"), stdin);
        let mut all = vec!["netns", "exec", &self.client.name, "openconnect", "--protocol=anyconnect"];
        all.extend(args);
        Daemon::spawn_with("ip", &all, &self.dir.path().join(lab::unique(stem)), Some(&input))
    }

    fn gets_through(&self) -> bool {
        lab::until(Duration::from_secs(12), || self.client.pings("10.88.0.1"))
    }
}

fn account(name: &str) -> Target {
    Target::account(UserName::new(name).unwrap())
}

#[test]
fn a_locked_user_who_is_disconnected_stays_out_with_cookie_and_password_until_undo() {
    if !lab::can(PROGRAMS, true) {
        return;
    }
    let vpn = Vpn::new(&["alice", "al"], false);
    // What `ocpasswd -l` would lose: a comment, the group's right to read.
    let mut file = std::fs::OpenOptions::new().append(true).open(vpn.passwd()).unwrap();
    file.write_all(b"# the end\n").unwrap();
    std::fs::set_permissions(vpn.passwd(), std::fs::Permissions::from_mode(0o640)).unwrap();
    let before = std::fs::read_to_string(vpn.passwd()).unwrap();
    let mut control = vpn.control();

    let cookie = vpn.cookie("alice", "a").expect("the password is good");
    let tunnel = vpn.enter(&cookie);
    assert!(vpn.gets_through(), "{}", tunnel.output());

    let disable = lab::order(Act::DisableAccount, account("alice"));
    let seen = control.read(&disable).unwrap();
    assert!(!seen.in_force);
    assert!(!control.preview(&disable, &seen).unwrap()[0].contains("$5$"), "no hash is shown");
    let nothing = Known { seen: seen.clone(), ack: None };
    assert!(matches!(control.verify(&disable, &nothing), Effect::NotEffective(_)), "nothing was written yet");
    let ack = control.apply(&disable, &seen).unwrap();
    let disabled = Known { seen, ack: Some(ack) };
    let effect = control.verify(&disable, &disabled);
    assert!(matches!(&effect, Effect::Effective(why) if why.contains("stands until")), "{effect:?}");
    assert_eq!(std::fs::read_to_string(vpn.passwd()).unwrap(), before.replacen("alice:*:", "alice:*:!", 1));
    assert_eq!(std::fs::metadata(vpn.passwd()).unwrap().mode() & 0o777, 0o640);

    let end = lab::order(Act::TerminateSession, account("alice"));
    let seen = control.read(&end).unwrap();
    let ack = control.apply(&end, &seen).unwrap();
    let ended = Known { seen, ack: Some(ack) };
    assert!(lab::until(Duration::from_secs(5), || matches!(
        control.verify(&end, &ended),
        Effect::Effective(_)
    )));
    tunnel.says("erminated by server", Duration::from_secs(5));
    assert!(!vpn.client.pings("10.88.0.1"));
    // With the stolen cookie, and with the password.
    let thief = vpn.enter(&cookie);
    thief.says("Cookie is not acceptable", Duration::from_secs(8));
    assert_eq!(vpn.cookie("alice", "a"), None);
    assert!(!vpn.client.pings("10.88.0.1"));
    assert!(matches!(control.verify(&end, &ended), Effect::Effective(_)));
    assert!(matches!(control.verify(&disable, &disabled), Effect::Effective(_)));
    assert!(control.read(&lab::order(Act::DisableAccount, account("alice"))).unwrap().in_force);
    assert_eq!(control.present().unwrap().unwrap().len(), 1);

    control.undo(&disable, &disabled).unwrap();
    control.undo(&disable, &disabled).unwrap();
    assert!(matches!(control.verify_undone(&disable, &disabled), Effect::Effective(_)));
    assert_eq!(std::fs::read_to_string(vpn.passwd()).unwrap(), before, "each byte as it was");
    assert!(matches!(control.undo(&end, &ended), Err(Fault::Unsupported(_))));
    let cookie = vpn.cookie("alice", "a").expect("the password is good again");
    let again = vpn.enter(&cookie);
    assert!(vpn.gets_through(), "{}", again.output());
}

#[test]
fn a_cookie_that_waits_is_no_containment_and_is_told() {
    if !lab::can(PROGRAMS, true) {
        return;
    }
    let vpn = Vpn::new(&["alice"], false);
    let mut control = vpn.control();
    // Taken before, used later: nothing to disconnect, and the lock does not matter.
    let cookie = vpn.cookie("alice", "a").expect("the password is good");
    let disable = lab::order(Act::DisableAccount, account("alice"));
    let seen = control.read(&disable).unwrap();
    let ack = control.apply(&disable, &seen).unwrap();
    let known = Known { seen, ack: Some(ack) };
    let effect = control.verify(&disable, &known);
    assert!(matches!(&effect, Effect::NotEffective(why) if why.contains("cookie")), "{effect:?}");
    let end = lab::order(Act::TerminateSession, account("alice"));
    let fault = control.read(&end).unwrap_err();
    assert!(matches!(&fault, Fault::NotFound(why) if why.contains("cookie")), "{fault}");
    assert!(!vpn.occtl(&["disconnect", "user", "alice"]).0, "the naive way has nothing to end");
    let thief = vpn.enter(&cookie);
    assert!(vpn.gets_through(), "a locked account enters: {}", thief.output());
    // Once it is used, ending the session takes the cookie too.
    let seen = control.read(&end).unwrap();
    let ack = control.apply(&end, &seen).unwrap();
    let ended = Known { seen, ack: Some(ack) };
    assert!(lab::until(Duration::from_secs(5), || matches!(
        control.verify(&end, &ended),
        Effect::Effective(_)
    )));
    assert!(matches!(control.verify(&disable, &known), Effect::Effective(_)));
    let again = vpn.enter(&cookie);
    again.says("Cookie is not acceptable", Duration::from_secs(8));
}

#[test]
fn a_server_that_keeps_cookies_lets_a_disconnected_user_in_and_the_reading_says_so() {
    if !lab::can(PROGRAMS, true) {
        return;
    }
    let vpn = Vpn::new(&["alice"], true);
    let mut control = vpn.control();
    let cookie = vpn.cookie("alice", "a").expect("the password is good");
    let _tunnel = vpn.enter(&cookie);
    assert!(vpn.gets_through());
    lab::run("ocpasswd", &["-c", vpn.passwd().to_str().unwrap(), "-l", "alice"]);
    let end = lab::order(Act::TerminateSession, account("alice"));
    let seen = control.read(&end).unwrap();
    let ack = control.apply(&end, &seen).unwrap();
    let ended = Known { seen, ack: Some(ack) };
    assert!(lab::until(Duration::from_secs(5), || {
        matches!(control.verify(&end, &ended), Effect::NotEffective(why) if why.contains("no session stands, but a cookie"))
    }));
    let _thief = vpn.enter(&cookie);
    assert!(vpn.gets_through(), "locked and disconnected, and in again");
    let effect = control.verify(&end, &ended);
    assert!(matches!(&effect, Effect::NotEffective(why) if why.contains("has a session")), "{effect:?}");
}

#[test]
fn only_the_user_who_was_named_is_touched() {
    if !lab::can(PROGRAMS, true) {
        return;
    }
    // A name and a program's name that an intruder chose, to look like somebody else's row.
    let hostile = "al\"ice <*)&\\'";
    let vpn = Vpn::new(&["alice", "al", hostile], false);
    let mut control = vpn.control();
    assert!(control.doctor().iter().all(|a| a.able == Some(true)), "{:?}", control.doctor());
    let cookie = vpn.cookie(hostile, "x\\y\", \"Username\": \"alice").unwrap();
    let _tunnel = vpn.enter(&cookie);
    assert!(vpn.gets_through());
    let end = |target| lab::order(Act::TerminateSession, target);
    for absent in ["alice", "al", "al\"ice", "*"] {
        assert!(matches!(control.read(&end(account(absent))), Err(Fault::NotFound(_))), "{absent}");
    }
    for all in [Stay::default(), Stay { public: "198.51.100.9".parse().ok(), ..Stay::default() }] {
        assert!(matches!(control.read(&end(Target::Session(all))), Err(Fault::Unsupported(_))));
    }
    let wrong = Stay { id: SessionId::new("1").ok(), ..Stay::of_user(UserName::new(hostile).unwrap()) };
    assert!(matches!(control.read(&end(Target::Session(wrong))), Err(Fault::NotFound(_))));

    // By the address inside; the user is who the server says.
    let (_, users) = vpn.occtl(&["-j", "show", "users"]);
    let inner = users.split("\"IPv4\":  \"").nth(1).and_then(|t| t.split('"').next()).unwrap().to_owned();
    let order = end(Target::Session(Stay { inner: inner.parse().ok(), ..Stay::default() }));
    let seen = control.read(&order).unwrap();
    assert_eq!(seen.ids, [hostile]);
    let ack = control.apply(&order, &seen).unwrap();
    let known = Known { seen, ack: Some(ack) };
    assert!(lab::until(Duration::from_secs(5), || matches!(
        control.verify(&order, &known),
        Effect::Effective(_)
    )));

    // `ocpasswd -l` says nothing of a user who is not there; we do.
    assert!(
        lab::output("ocpasswd", &["-c", vpn.passwd().to_str().unwrap(), "-l", "nobody"]).status.success()
    );
    let disable = |name: &str| lab::order(Act::DisableAccount, account(name));
    assert!(matches!(control.read(&disable("nobody")), Err(Fault::NotFound(_))));
    assert!(matches!(control.read(&disable("alice:*")), Err(Fault::NotFound(_))));
    let before = std::fs::read_to_string(vpn.passwd()).unwrap();
    let order = disable(hostile);
    let seen = control.read(&order).unwrap();
    control.apply(&order, &seen).unwrap();
    let locked = std::fs::read_to_string(vpn.passwd()).unwrap();
    assert_eq!(locked, before.replacen(&format!("{hostile}:*:"), &format!("{hostile}:*:!"), 1));
    assert_eq!(vpn.cookie(hostile, "a"), None);

    // A file that the server does not read.
    let copy = vpn.dir.path().join("copy");
    std::fs::copy(vpn.passwd(), &copy).unwrap();
    let mut wrong = vpn.control_with(&copy);
    let order = disable("al");
    let seen = wrong.read(&order).unwrap();
    let ack = wrong.apply(&order, &seen).unwrap();
    let known = Known { seen, ack: Some(ack) };
    let cookie = vpn.cookie("al", "a").unwrap();
    let _in = vpn.enter(&cookie);
    assert!(vpn.gets_through());
    let effect = wrong.verify(&order, &known);
    assert!(matches!(&effect, Effect::NotEffective(why) if why.contains("does not read")), "{effect:?}");
}
