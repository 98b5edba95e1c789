//! A gateway and a client of wireguard-go, in two network namespaces.

use crate::lab::{self, Daemon, Netns};
use portreeve_respond::act::Act;
use portreeve_respond::connector::{Control, Effect, Known, Order};
use portreeve_respond::connectors::wireguard::CONNECTOR;
use portreeve_respond::fault::Fault;
use portreeve_respond::target::Target;
use portreeve_respond::value::KeyId;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PROGRAMS: &[&str] = &["ip", "wg", "wg-quick", "wireguard-go", "ping"];

struct Vpn {
    gateway: Netns,
    client: Netns,
    dir: tempfile::TempDir,
    interface: String,
    /// The client's public key.
    key: String,
    psk: String,
    _daemons: [Daemon; 2],
}

fn private(dir: &Path, name: &str) -> (PathBuf, String) {
    let key = lab::run("wg", &["genkey"]);
    let path = lab::secret_file(dir, name, &key);
    let public = lab::run("sh", &["-c", "wg pubkey < \"$0\"", path.to_str().unwrap()]);
    (path, public.trim().to_owned())
}

impl Vpn {
    /// A gateway 10.99.0.1 with one client 10.99.0.2, a preshared key between them, all in the gateway's file.
    fn new() -> Vpn {
        let (gateway, client) = (Netns::new("wg"), Netns::new("wc"));
        Netns::cable(&gateway, "198.51.100.1/24", &client, "198.51.100.9/24");
        let dir = tempfile::tempdir().unwrap();
        let (interface, inside) = (lab::unique("wgs"), lab::unique("wgc"));
        let (gateway_key, gateway_public) = private(dir.path(), "gateway");
        let (client_key, key) = private(dir.path(), "client");
        let psk = lab::run("wg", &["genpsk"]).trim().to_owned();
        let psk_file = lab::secret_file(dir.path(), "psk", &psk);
        let start = |ns: &Netns, dev: &str, address: &str| {
            let daemon = ns.spawn(&["wireguard-go", "-f", dev], &dir.path().join(dev));
            let up = || ns.output(&["wg", "show", dev]).status.success();
            assert!(lab::until(Duration::from_secs(5), up), "{}", daemon.output());
            lab::run("ip", &["-n", &ns.name, "addr", "add", address, "dev", dev]);
            lab::run("ip", &["-n", &ns.name, "link", "set", dev, "up"]);
            daemon
        };
        let daemons = [start(&gateway, &interface, "10.99.0.1/24"), start(&client, &inside, "10.99.0.2/24")];
        let conf = format!(
            "[Interface]\nListenPort = 51820\nPrivateKey = {}\n\n# anna's laptop\n[Peer]\nPublicKey = {key}\nPresharedKey = {psk}\nAllowedIPs = 10.99.0.2/32\nPersistentKeepalive = 25\n",
            std::fs::read_to_string(&gateway_key).unwrap().trim()
        );
        lab::secret_file(dir.path(), &format!("{interface}.conf"), &conf);
        client.run(&[
            "wg",
            "set",
            &inside,
            "private-key",
            client_key.to_str().unwrap(),
            "peer",
            &gateway_public,
            "preshared-key",
            psk_file.to_str().unwrap(),
            "allowed-ips",
            "10.99.0.0/24",
            "endpoint",
            "198.51.100.1:51820",
        ]);
        let vpn = Vpn { gateway, client, dir, interface, key, psk, _daemons: daemons };
        vpn.restart();
        vpn
    }

    fn conf(&self) -> PathBuf {
        self.dir.path().join(format!("{}.conf", self.interface))
    }

    /// What `wg-quick up` gives the interface.
    fn restart(&self) {
        let bare = lab::run("wg-quick", &["strip", self.conf().to_str().unwrap()]);
        let path = lab::secret_file(self.dir.path(), "bare", &bare);
        self.gateway.run(&["wg", "setconf", &self.interface, path.to_str().unwrap()]);
    }

    fn control(&self, with_file: bool) -> Box<dyn Control> {
        let mut fields =
            serde_json::json!({"interface": self.interface, "via": {"netns": self.gateway.name}});
        if with_file {
            fields["config"] = serde_json::json!(self.conf());
        }
        lab::open(&CONNECTOR, fields, &[])
    }

    fn order(&self) -> Order {
        lab::order(Act::RevokeKey, Target::Key { owner: None, id: KeyId::new(self.key.clone()).unwrap() })
    }

    /// A client whose session was cut goes on with its old keys for 15 s before it shakes hands anew.
    fn gets_in(&self) -> bool {
        lab::until(Duration::from_secs(30), || self.client.pings("10.99.0.1"))
    }
}

#[test]
fn a_revoked_key_stays_out_over_a_restart_and_comes_back_with_its_preshared_key() {
    if !lab::can(PROGRAMS, true) {
        return;
    }
    let vpn = Vpn::new();
    assert!(vpn.gets_in());
    let before = std::fs::read_to_string(vpn.conf()).unwrap();
    let mut control = vpn.control(true);

    let order = vpn.order();
    let known = Known::default();
    let seen = control.read(&order).unwrap();
    assert!(!seen.in_force);
    let whole = format!("{seen:?}{:?}", control.preview(&order, &seen).unwrap());
    assert!(!whole.contains(&vpn.psk), "no secret in what is stored or shown");
    assert!(matches!(control.verify(&order, &known), Effect::NotEffective(_)), "nothing was sent yet");
    let ack = control.apply(&order, &seen).unwrap();
    let known = Known { seen, ack: Some(ack) };
    assert!(matches!(control.verify(&order, &known), Effect::Effective(_)));
    assert!(!vpn.client.pings("10.99.0.1"));
    vpn.restart();
    assert!(matches!(control.verify(&order, &known), Effect::Effective(_)));
    assert!(!vpn.client.pings("10.99.0.1"), "a restart does not bring it back");
    let meta = std::fs::metadata(vpn.conf()).unwrap();
    assert_eq!(meta.mode() & 0o777, 0o600);
    // Once more, and as another case sees it.
    let again = control.read(&order).unwrap();
    assert!(!again.in_force, "our own step is not a stranger's");
    control.apply(&order, &again).unwrap();
    assert!(control.read(&vpn.order()).unwrap().in_force);
    assert_eq!(control.present().unwrap().unwrap().len(), 1);

    control.undo(&order, &known).unwrap();
    assert!(matches!(control.verify_undone(&order, &known), Effect::Effective(_)));
    control.undo(&order, &known).unwrap();
    assert_eq!(std::fs::read_to_string(vpn.conf()).unwrap(), before, "each byte as it was");
    let left = std::fs::read_dir(vpn.dir.path()).unwrap().filter_map(Result::ok);
    assert!(left.into_iter().all(|f| !f.file_name().to_string_lossy().contains("portreeve")));
    let shown = |what| vpn.gateway.run(&["wg", "show", &vpn.interface, what]);
    assert!(shown("persistent-keepalive").contains("25"));
    assert!(shown("endpoints").contains("198.51.100.9:"), "where it was last");
    assert!(vpn.gets_in(), "the preshared key is the right one");
}

#[test]
fn what_cannot_be_brought_back_is_said_before_and_nobody_loses_his_address() {
    if !lab::can(PROGRAMS, true) {
        return;
    }
    let vpn = Vpn::new();
    let order = vpn.order();
    // The naive way: out, until the interface starts again.
    assert!(vpn.gets_in());
    vpn.gateway.run(&["wg", "set", &vpn.interface, "peer", &vpn.key, "remove"]);
    assert!(!vpn.client.pings("10.99.0.1"));
    let effect = vpn.control(true).verify(&order, &Known::default());
    assert!(matches!(&effect, Effect::NotEffective(why) if why.contains("restart")), "{effect:?}");
    vpn.restart();
    assert!(vpn.gets_in(), "back with the file");

    // Without the file, the preshared key would be lost.
    let mut blind = vpn.control(false);
    let seen = blind.read(&order).unwrap();
    assert!(seen.says.contains("undo cannot"), "{}", seen.says);
    let ack = blind.apply(&order, &seen).unwrap();
    let known = Known { seen, ack: Some(ack) };
    assert!(
        matches!(blind.verify(&order, &known), Effect::Effective(why) if why.contains("no configuration file"))
    );
    assert!(matches!(blind.undo(&order, &known), Err(Fault::Unsupported(_))));
    assert!(matches!(blind.verify_undone(&order, &known), Effect::NotEffective(_)));
    vpn.restart();

    // Meanwhile the address went to another peer.
    let mut control = vpn.control(true);
    let seen = control.read(&order).unwrap();
    let ack = control.apply(&order, &seen).unwrap();
    let known = Known { seen, ack: Some(ack) };
    let (_, other) = private(vpn.dir.path(), "other");
    vpn.gateway.run(&["wg", "set", &vpn.interface, "peer", &other, "allowed-ips", "10.99.0.2/32"]);
    let fault = control.undo(&order, &known).unwrap_err();
    assert!(matches!(&fault, Fault::Refused(why) if why.contains(&other)), "{fault}");
    assert!(vpn.gateway.run(&["wg", "show", &vpn.interface, "allowed-ips"]).contains("10.99.0.2/32"));
    vpn.gateway.run(&["wg", "set", &vpn.interface, "peer", &other, "remove"]);
    control.undo(&order, &known).unwrap();
    assert!(matches!(control.verify_undone(&order, &known), Effect::Effective(_)));

    // What is no key of a peer.
    let target =
        |id: &str| lab::order(Act::RevokeKey, Target::Key { owner: None, id: KeyId::new(id).unwrap() });
    assert!(matches!(control.read(&target("remove")), Err(Fault::Refused(_))));
    assert!(matches!(control.read(&target(&other)), Err(Fault::NotFound(_))));
    assert!(KeyId::new("a\nb").is_err() && KeyId::new("--help").is_err());
    assert!(control.doctor().iter().all(|a| a.able != Some(false)), "{:?}", control.doctor());
}
