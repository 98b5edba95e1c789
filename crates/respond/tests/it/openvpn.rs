//! A real OpenVPN server and its clients, in two network namespaces.

use crate::lab::{self, Daemon, Netns};
use portreeve_respond::act::Act;
use portreeve_respond::connector::{Control, Effect, Known};
use portreeve_respond::connectors::openvpn::CONNECTOR;
use portreeve_respond::fault::Fault;
use portreeve_respond::secret::Secret;
use portreeve_respond::target::{Stay, Target};
use portreeve_respond::transport::openvpn::{Management, Place};
use portreeve_respond::value::{SessionId, UserName};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PROGRAMS: &[&str] = &["ip", "openvpn", "ping"];

struct Vpn {
    server: Netns,
    client: Netns,
    dir: tempfile::TempDir,
    _daemon: Daemon,
}

impl Vpn {
    /// A server at 198.51.100.1 with certificates for these clients.
    fn new(clients: &[&str]) -> Vpn {
        let (server, client) = (Netns::new("ov"), Netns::new("oc"));
        Netns::cable(&server, "198.51.100.1/24", &client, "198.51.100.9/24");
        let dir = tempfile::tempdir().unwrap();
        certificates(dir.path(), clients);
        std::fs::create_dir(dir.path().join("ccd")).unwrap();
        let at = dir.path().display();
        let conf = format!(
            "dev tun\nproto udp\nport 1194\nserver 10.77.0.0 255.255.255.0\ntopology subnet\nca {at}/ca.crt\n\
             cert {at}/server.crt\nkey {at}/server.key\ndh none\nkeepalive 2 10\nclient-config-dir {at}/ccd\n\
             management {at}/m.sock unix\nverb 3\n"
        );
        std::fs::write(dir.path().join("server.conf"), conf).unwrap();
        let config = dir.path().join("server.conf");
        let daemon =
            server.spawn(&["openvpn", "--config", config.to_str().unwrap()], &dir.path().join("server.log"));
        daemon.says("Initialization Sequence Completed", Duration::from_secs(10));
        Vpn { server, client, dir, _daemon: daemon }
    }

    /// A client begins to connect; it goes on trying until it is told to stop.
    fn connect(&self, name: &str) -> Daemon {
        let at = self.dir.path().display();
        let conf = format!(
            "client\ndev tun\nproto udp\nremote 198.51.100.1 1194\nnobind\nca {at}/ca.crt\ncert {at}/{name}.crt\n\
             key {at}/{name}.key\nremote-cert-tls server\nconnect-retry 1 2\nverb 3\n"
        );
        let config = self.dir.path().join(format!("{name}.conf"));
        std::fs::write(&config, conf).unwrap();
        let log = self.dir.path().join(lab::unique(name));
        self.client.spawn(&["openvpn", "--config", config.to_str().unwrap()], &log)
    }

    fn connected(&self, name: &str) -> Daemon {
        let client = self.connect(name);
        client.says("Initialization Sequence Completed", Duration::from_secs(15));
        assert!(self.gets_in(), "{}", client.output());
        client
    }

    /// Real traffic through the tunnel.
    fn gets_in(&self) -> bool {
        lab::until(Duration::from_secs(5), || self.client.pings("10.77.0.1"))
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("m.sock")
    }

    fn ccd(&self, name: &str) -> PathBuf {
        self.dir.path().join("ccd").join(name)
    }

    fn control(&self) -> Box<dyn Control> {
        self.control_with(&self.dir.path().join("ccd"))
    }

    fn control_with(&self, ccd: &Path) -> Box<dyn Control> {
        lab::open(&CONNECTOR, serde_json::json!({"management": self.socket(), "client_config_dir": ccd}), &[])
    }

    /// What anybody with the socket can do: the naive way.
    fn says(&self, command: &str) -> Vec<String> {
        let mut socket = UnixStream::connect(self.socket()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket.write_all(format!("{command}\n").as_bytes()).unwrap();
        let mut lines = Vec::new();
        for line in BufReader::new(socket).lines().map_while(Result::ok) {
            let last = line == "END" || line.starts_with("SUCCESS") || line.starts_with("ERROR");
            lines.push(line);
            if last {
                break;
            }
        }
        lines
    }

    fn cid(&self, name: &str) -> Option<String> {
        self.says("status 3").iter().find_map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            (cells.first() == Some(&"CLIENT_LIST") && cells[1] == name && !cells[3].is_empty())
                .then(|| cells[10].to_owned())
        })
    }
}

fn certificates(dir: &Path, clients: &[&str]) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, "test");
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(dir.join("ca.crt"), ca.pem()).unwrap();
    for name in clients.iter().chain(&["server"]) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyAgreement];
        params.extended_key_usages = vec![if *name == "server" {
            ExtendedKeyUsagePurpose::ServerAuth
        } else {
            ExtendedKeyUsagePurpose::ClientAuth
        }];
        params.distinguished_name.push(DnType::CommonName, *name);
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &ca).unwrap();
        std::fs::write(dir.join(format!("{name}.crt")), cert.pem()).unwrap();
        std::fs::write(dir.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

fn account(name: &str) -> Target {
    Target::account(UserName::new(name).unwrap())
}

#[test]
fn a_killed_client_is_back_a_disabled_one_stays_out_and_undo_lets_it_in() {
    if !lab::can(PROGRAMS, true) {
        return;
    }
    let vpn = Vpn::new(&["alice"]);
    let own = "# her address\nifconfig-push 10.77.0.50 255.255.255.0";
    std::fs::write(vpn.ccd("alice"), own).unwrap();
    let mut control = vpn.control();
    let honest = vpn.connected("alice");

    // The naive way: SUCCESS, and the same program is back by itself.
    let cid = vpn.cid("alice").unwrap();
    assert!(vpn.says(&format!("client-kill {cid}")).iter().any(|l| l.starts_with("SUCCESS")));
    assert!(
        lab::until(Duration::from_secs(12), || vpn.cid("alice").is_some_and(|now| now != cid)),
        "back by itself: {}",
        honest.output()
    );
    assert!(vpn.gets_in());

    // Ending the session alone: the intruder starts his client again, and the reading says so.
    let end = lab::order(Act::TerminateSession, account("alice"));
    let seen = control.read(&end).unwrap();
    assert!(seen.says.contains("unless its file disables it"), "{}", seen.says);
    let planned = seen.clone();
    let ack = control.apply(&end, &seen).unwrap();
    let known = Known { seen, ack: Some(ack) };
    assert!(lab::until(Duration::from_secs(10), || matches!(
        control.verify(&end, &known),
        Effect::Effective(_)
    )));
    honest.says("halt", Duration::from_secs(5));
    let again = vpn.connected("alice");
    let effect = control.verify(&end, &known);
    assert!(matches!(&effect, Effect::NotEffective(why) if why.contains("is back")), "{effect:?}");

    // First the file, then the session.
    let disable = lab::order(Act::DisableAccount, account("alice"));
    let seen = control.read(&disable).unwrap();
    assert!(!seen.in_force);
    assert!(control.preview(&disable, &seen).unwrap()[0].contains("disable"));
    let before = Known { seen: seen.clone(), ack: None };
    assert!(matches!(control.verify(&disable, &before), Effect::NotEffective(_)), "nothing was written yet");
    let ack = control.apply(&disable, &seen).unwrap();
    let disabled = Known { seen, ack: Some(ack) };
    assert_eq!(
        std::fs::read_to_string(vpn.ccd("alice")).unwrap(),
        format!("# {}\ndisable\n{own}", disable.mark)
    );
    let effect = control.verify(&disable, &disabled);
    assert!(matches!(&effect, Effect::Effective(why) if why.contains("stands until")), "{effect:?}");

    let seen = control.read(&end).unwrap();
    assert_eq!(seen, planned, "the step before does not change what this one was planned on");
    let ack = control.apply(&end, &seen).unwrap();
    let ended = Known { seen, ack: Some(ack) };
    again.says("halt", Duration::from_secs(5));
    // The intruder tries again; the server lists him without an address while it turns him away.
    let refused = vpn.connect("alice");
    refused.says("AUTH_FAILED", Duration::from_secs(15));
    let row = |line: &String| {
        let cells: Vec<&str> = line.split('\t').collect();
        matches!(cells.as_slice(), ["CLIENT_LIST", "alice", _, inside, ..] if inside.is_empty())
    };
    assert!(vpn.says("status 3").iter().any(row), "the server lists whom it turned away");
    assert!(!vpn.client.pings("10.77.0.1"));
    assert!(lab::until(Duration::from_secs(10), || matches!(
        control.verify(&end, &ended),
        Effect::Effective(_)
    )));
    let effect = control.verify(&disable, &disabled);
    assert!(matches!(&effect, Effect::Effective(why) if why.contains("no tunnel")), "{effect:?}");

    // A second time changes nothing; another case's order sees it in force and does not undo it.
    let again = control.read(&disable).unwrap();
    assert!(!again.in_force, "our own step is not a stranger's");
    control.apply(&disable, &again).unwrap();
    assert_eq!(std::fs::read_to_string(vpn.ccd("alice")).unwrap().matches("disable").count(), 1);
    let other = lab::order(Act::DisableAccount, account("alice"));
    assert!(control.read(&other).unwrap().in_force);
    assert!(matches!(control.undo(&other, &Known::default()), Err(Fault::Refused(_))));
    let present = control.present().unwrap().unwrap();
    assert_eq!((present.len(), present[0].mark.as_deref()), (1, Some(disable.mark.as_str())));

    control.undo(&disable, &disabled).unwrap();
    assert!(matches!(control.verify_undone(&disable, &disabled), Effect::Effective(_)));
    control.undo(&disable, &disabled).unwrap();
    assert_eq!(std::fs::read_to_string(vpn.ccd("alice")).unwrap(), own, "each byte as it was");
    assert!(matches!(control.undo(&end, &ended), Err(Fault::Unsupported(_))));
    drop(refused);
    let _in = vpn.connected("alice");
}

#[test]
fn only_the_client_that_was_named_is_touched() {
    if !lab::can(PROGRAMS, true) {
        return;
    }
    // Names that are a part of each other, and one that an intruder chose.
    let hostile = "al\"ice <*)&\\ ..";
    let vpn = Vpn::new(&["alice", "alice2"]);
    let mut control = vpn.control();
    let _stranger = vpn.connected("alice2");
    let end = |target| lab::order(Act::TerminateSession, target);
    assert!(matches!(control.read(&end(account("alice"))), Err(Fault::NotFound(_))));
    assert!(matches!(control.read(&end(account("UNDEF"))), Err(Fault::Refused(_))));
    assert!(matches!(control.read(&end(account(hostile))), Err(Fault::NotFound(_))));
    for all in [Stay::default(), Stay { public: "198.51.100.9".parse().ok(), ..Stay::default() }] {
        assert!(matches!(control.read(&end(Target::Session(all))), Err(Fault::Unsupported(_))));
    }
    assert!(UserName::new("alice\nclient-kill 0 HALT").is_err());

    // By its id, if the address fits as well.
    let cid = vpn.cid("alice2").unwrap();
    let by_id = Stay {
        id: Some(SessionId::new(cid.clone()).unwrap()),
        public: "198.51.100.8".parse().ok(),
        ..Stay::default()
    };
    assert!(matches!(control.read(&end(Target::Session(by_id.clone()))), Err(Fault::NotFound(_))));
    let by_id = end(Target::Session(Stay { public: "198.51.100.9".parse().ok(), ..by_id }));
    let seen = control.read(&by_id).unwrap();
    assert_eq!(seen.ids, ["alice2"]);

    // A hostile name stays one file's; the file of all others is refused.
    for bad in ["DEFAULT", "..", "../../etc/passwd", "a/b"] {
        assert!(
            matches!(control.read(&lab::order(Act::DisableAccount, account(bad))), Err(Fault::Refused(_))),
            "{bad}"
        );
    }
    let order = lab::order(Act::DisableAccount, account(hostile));
    let known = Known { seen: control.read(&order).unwrap(), ack: None };
    control.apply(&order, &known.seen).unwrap();
    assert_eq!(std::fs::read_to_string(vpn.ccd(hostile)).unwrap(), format!("# {}\ndisable\n", order.mark));
    assert_eq!(std::fs::read_dir(vpn.dir.path().join("ccd")).unwrap().count(), 1);
    control.undo(&order, &known).unwrap();
    assert!(!vpn.ccd(hostile).exists(), "the file that was not there is gone");

    // A directory that the server does not read: the file is written, and the client gets in.
    let elsewhere = tempfile::tempdir().unwrap();
    let mut wrong = vpn.control_with(elsewhere.path());
    let order = lab::order(Act::DisableAccount, account("alice"));
    let seen = wrong.read(&order).unwrap();
    let ack = wrong.apply(&order, &seen).unwrap();
    let known = Known { seen, ack: Some(ack) };
    assert!(matches!(wrong.verify(&order, &known), Effect::Effective(_)), "nothing shows it yet");
    let _in = vpn.connected("alice");
    let effect = wrong.verify(&order, &known);
    assert!(matches!(&effect, Effect::NotEffective(why) if why.contains("does not read")), "{effect:?}");
    assert!(vpn.server.pings("10.77.0.1"));
}

#[test]
fn another_client_of_the_interface_is_waited_for() {
    if !lab::can(PROGRAMS, true) {
        return;
    }
    let vpn = Vpn::new(&[]);
    let mut control = vpn.control();
    assert!(control.doctor().iter().all(|a| a.able == Some(true)));
    let held = UnixStream::connect(vpn.socket()).unwrap();
    let release = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(2));
        drop(held);
    });
    let ability = control.doctor().remove(0);
    assert_eq!(ability.able, Some(true), "{}", ability.why);
    release.join().unwrap();
    let _held = UnixStream::connect(vpn.socket()).unwrap();
    let order = lab::order(Act::TerminateSession, account("alice"));
    let fault = control.read(&order).unwrap_err();
    assert!(matches!(&fault, Fault::Unreachable(why) if why.contains("one client at a time")), "{fault}");
    let known = Known { seen: Default::default(), ack: None };
    assert!(matches!(control.verify(&order, &known), Effect::Unknown(_)), "not read is not effective");
}

#[test]
fn the_password_of_the_interface_is_given_and_a_wrong_one_told() {
    if !lab::can(PROGRAMS, false) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    certificates(dir.path(), &["alice"]);
    let secret = lab::secret_file(dir.path(), "password", "correct horse\n");
    let at = dir.path().display();
    let port = lab::port();
    // Held before it does anything, it serves the interface alone.
    let conf = format!(
        "client\ndev null\nremote 127.0.0.1 9\nca {at}/ca.crt\ncert {at}/alice.crt\nkey {at}/alice.key\n\
         management 127.0.0.1 {port} {at}/password\nmanagement-hold\n"
    );
    std::fs::write(dir.path().join("x.conf"), conf).unwrap();
    let config = dir.path().join("x.conf");
    let _daemon = Daemon::spawn("openvpn", &["--config", config.to_str().unwrap()], &dir.path().join("log"));
    let place = Place::new(&format!("127.0.0.1:{port}")).unwrap();
    let fault = |secret: Option<&str>| {
        Management::open(&place, secret.map(Secret::new).as_ref()).err().map(|f| f.to_string())
    };
    assert!(fault(None).unwrap().contains("asks for a password"));
    let wrong = fault(Some("battery staple")).unwrap();
    assert!(wrong.contains("not accepted") && !wrong.contains("staple"), "{wrong}");
    assert!(fault(Some("a\nstatus 3")).unwrap().contains("more than one line"));
    // Through the connector, by a file; and what is no server's status is not taken for an empty one.
    let fields = serde_json::json!({"management": format!("127.0.0.1:{port}")});
    let mut control = lab::open(&CONNECTOR, fields, &[("default", &secret)]);
    let fault = control.read(&lab::order(Act::TerminateSession, account("alice"))).unwrap_err();
    assert!(matches!(&fault, Fault::Refused(why) if why.contains("not supported")), "{fault}");
    let disable = lab::order(Act::DisableAccount, account("alice"));
    assert!(matches!(control.read(&disable), Err(Fault::Config(_))));
}

/// A stand-in for the interface, with one client who has a tunnel; what it does with `client-kill` is the test's.
fn stand_in(dir: &Path, kill: &'static str) -> PathBuf {
    let path = dir.join("m.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            let mut writer = socket.try_clone().unwrap();
            let _sent = writer.write_all(b">INFO:OpenVPN Management Interface Version 5\r\n");
            for line in BufReader::new(socket).lines().map_while(Result::ok) {
                let answer = match line.as_str() {
                    "status 3" => {
                        ">CLIENT:ADDRESS,7,10.8.0.2,1\r\n\
                         HEADER\tCLIENT_LIST\tCommon Name\tReal Address\tVirtual Address\tConnected Since (time_t)\tClient ID\r\n\
                         CLIENT_LIST\talice\t192.0.2.1:5\t10.8.0.2\t100\t7\r\nEND\r\n"
                    }
                    "client-kill 7 HALT" => kill,
                    _ => "",
                };
                if answer.is_empty() || writer.write_all(answer.as_bytes()).is_err() {
                    break;
                }
            }
        }
    });
    path
}

#[test]
fn what_became_of_a_kill_is_told_apart() {
    let outcome = |kill| {
        let dir = tempfile::tempdir().unwrap();
        let fields = serde_json::json!({"management": stand_in(dir.path(), kill)});
        let mut control = lab::open(&CONNECTOR, fields, &[]);
        let order = lab::order(Act::TerminateSession, account("alice"));
        let seen = control.read(&order).unwrap();
        let ack = control.apply(&order, &seen);
        let known = Known { seen, ack: ack.as_ref().ok().cloned() };
        (ack.map(|a| a.says), control.verify(&order, &known))
    };
    let (refused, _) = outcome("ERROR: client-kill command failed\r\n");
    assert!(matches!(refused, Err(Fault::Refused(_))));
    // It broke off, or said something else: it may have worked, and only reading tells.
    for lost in ["", "what?\r\n", "SUCC"] {
        let (fault, effect) = outcome(lost);
        assert!(fault.unwrap_err().may_have_acted(), "{lost}");
        assert!(matches!(effect, Effect::NotEffective(_)));
    }
    // It said yes and did nothing.
    let (yes, effect) = outcome("SUCCESS: client-kill command succeeded\r\n");
    assert!(yes.is_ok());
    assert!(matches!(&effect, Effect::NotEffective(why) if why.contains("alice holds")), "{effect:?}");
}
