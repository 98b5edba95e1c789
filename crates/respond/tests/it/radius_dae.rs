//! A switch port (hostapd), a client (wpa_supplicant) and a RADIUS server (FreeRADIUS): 802.1X with a session that is
//! ended. Everything listens on loopback; the cable's far end is in a namespace.

use crate::lab::{self, Daemon, Netns};
use portreeve_respond::act::Act;
use portreeve_respond::connector::{Control, Effect, Known, Order, Seen};
use portreeve_respond::connectors::radius_dae::CONNECTOR;
use portreeve_respond::fault::Fault;
use portreeve_respond::target::{Device, Stay, Target};
use portreeve_respond::value::UserName;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(15);
const PROGRAMS: &[&str] = &["ip", "hostapd", "hostapd_cli", "wpa_supplicant", "freeradius"];

fn udp_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// FreeRADIUS with EAP-MD5 and accounting into a detail file; `extra` are further sections.
fn freeradius(dir: &Path, auth: u16, acct: u16, extra: &str) -> Daemon {
    let d = dir.display();
    let config = format!(
        "prefix = /usr\nname = radiusd\nraddbdir = {d}\nlogdir = {d}\nrun_dir = {d}\nlibdir = /usr/lib/freeradius\n\
         pidfile = {d}/radiusd.pid\nclient lab {{\n ipaddr = 127.0.0.1\n secret = testing123\n}}\n\
         modules {{\n eap {{\n  default_eap_type = md5\n  md5 {{\n  }}\n }}\n files {{\n  filename = {d}/users\n }}\n\
         detail {{\n  filename = {d}/detail\n  permissions = 0600\n }}\n}}\n\
         server default {{\n listen {{\n  type = auth\n  ipaddr = 127.0.0.1\n  port = {auth}\n }}\n\
         listen {{\n  type = acct\n  ipaddr = 127.0.0.1\n  port = {acct}\n }}\n\
         authorize {{\n  files\n  eap\n }}\n authenticate {{\n  eap\n }}\n accounting {{\n  detail\n }}\n}}\n{extra}"
    );
    let private = |name: &str, text: &str| lab::secret_file(dir, name, text);
    private("radiusd.conf", &config);
    private("dictionary", "");
    let path = dir.to_str().unwrap();
    let daemon = Daemon::spawn("freeradius", &["-f", "-d", path, "-l", "stdout"], &dir.join("radius.log"));
    daemon.says("Ready to process requests", LIMIT);
    daemon
}

struct Lan {
    client: Netns,
    dev: String,
    nas_dev: String,
    acct: u16,
    das: u16,
    auth: u16,
    radius: Daemon,
    // Dropped before its directory.
    _hostapd: Daemon,
    dir: tempfile::TempDir,
}

impl Lan {
    fn start() -> Lan {
        let dir = tempfile::tempdir().unwrap();
        let (auth, acct, das) = (udp_port(), udp_port(), udp_port());
        lab::secret_file(dir.path(), "users", "bob Cleartext-Password := \"hello\"\n");
        let radius = freeradius(dir.path(), auth, acct, "");
        let client = Netns::new("sup");
        let (nas_dev, dev) = (lab::unique("n"), lab::unique("s"));
        lab::run(
            "ip",
            &["link", "add", &nas_dev, "type", "veth", "peer", "name", &dev, "netns", &client.name],
        );
        lab::run("ip", &["link", "set", &nas_dev, "up"]);
        lab::run("ip", &["-n", &client.name, "link", "set", &dev, "up"]);
        let config = format!(
            "driver=wired\ninterface={nas_dev}\nieee8021x=1\neap_reauth_period=0\nuse_pae_group_addr=1\n\
             own_ip_addr=127.0.0.1\nnas_identifier=switch1\nauth_server_addr=127.0.0.1\nauth_server_port={auth}\n\
             auth_server_shared_secret=testing123\nacct_server_addr=127.0.0.1\nacct_server_port={acct}\n\
             acct_server_shared_secret=testing123\nradius_das_port={das}\nradius_das_client=127.0.0.1 coasecret\n\
             radius_das_time_window=300\nradius_das_require_event_timestamp=1\n\
             radius_das_require_message_authenticator=1\nctrl_interface={}\n",
            dir.path().join("ctrl").display()
        );
        let path = dir.path().join("hostapd.conf");
        std::fs::write(&path, config).unwrap();
        let hostapd = Daemon::spawn("hostapd", &[path.to_str().unwrap()], &dir.path().join("hostapd.log"));
        hostapd.says("AP-ENABLED", LIMIT);
        Lan { client, dev, nas_dev, acct, das, auth, radius, _hostapd: hostapd, dir }
    }

    /// The client plugs in.
    fn plug(&self) -> Daemon {
        let path = self.dir.path().join("client.conf");
        std::fs::write(
            &path,
            "ap_scan=0\nnetwork={\n key_mgmt=IEEE8021X\n eap=MD5\n identity=\"bob\"\n password=\"hello\"\n eapol_flags=0\n}\n",
        )
        .unwrap();
        let path = path.to_str().unwrap();
        let log = self.dir.path().join(lab::unique("client"));
        self.client.spawn(&["wpa_supplicant", "-D", "wired", "-i", &self.dev, "-c", path], &log)
    }

    fn users(&self, text: &str) {
        std::fs::write(self.dir.path().join("users"), text).unwrap();
        // It reads its files anew at most once in five seconds, and says when it did.
        let count = || self.radius.output().matches("Reloaded module \"files\"").count();
        let was = count();
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.radius.id()).unwrap()).unwrap();
        let read = lab::until(LIMIT, || {
            rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
            lab::until(Duration::from_secs(1), || count() > was)
        });
        assert!(read, "{}", self.radius.output());
    }

    fn secret(&self, text: &str) -> PathBuf {
        lab::secret_file(self.dir.path(), "coa", text)
    }

    fn fields(&self, server: &str, views: bool) -> serde_json::Value {
        let mut fields = serde_json::json!({"server": server, "wait": 1, "tries": 2});
        if views {
            fields["nas_identifier"] = "switch1".into();
            fields["accounting_log"] = self.dir.path().join("detail").to_str().into();
            fields["hostapd"] =
                serde_json::json!({"ctrl": self.dir.path().join("ctrl"), "interface": self.nas_dev});
        }
        fields
    }

    fn open(&self, views: bool, secret: &str) -> Box<dyn Control> {
        let fields = self.fields(&format!("127.0.0.1:{}", self.das), views);
        lab::open(&CONNECTOR, fields, &[("default", &self.secret(secret))])
    }

    /// The device at the other end of the port takes part in the network.
    fn works(&self) -> bool {
        let ctrl = self.dir.path().join("ctrl");
        let out = lab::output("hostapd_cli", &["-p", ctrl.to_str().unwrap(), "all_sta"]);
        lab::text(&out.stdout).contains("[AUTHORIZED]")
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        let _gone = lab::output("ip", &["link", "del", &self.nas_dev]);
    }
}

/// A NAS that says yes, signed as it should be, and does nothing.
fn hollow(secret: &'static [u8]) -> std::net::SocketAddr {
    use md5::{Digest, Md5};
    let nas = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = nas.local_addr().unwrap();
    nas.set_read_timeout(Some(LIMIT)).unwrap();
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok((n, from)) = nas.recv_from(&mut bytes) {
            assert!(n > 20);
            let mut answer = vec![41, bytes[1], 0, 20];
            let mut hash = Md5::new();
            hash.update(&answer);
            hash.update(&bytes[4..20]);
            hash.update(secret);
            answer.extend(hash.finalize());
            nas.send_to(&answer, from).unwrap();
        }
    });
    address
}

fn of_user(name: &str) -> Order {
    lab::order(Act::TerminateSession, Target::Session(Stay::of_user(UserName::new(name).unwrap())))
}

fn seen(control: &mut dyn Control, order: &Order) -> Seen {
    let mut found = Err(Fault::NotFound(String::new()));
    lab::until(LIMIT, || {
        found = control.read(order);
        found.as_ref().is_ok_and(|s| !s.ids.is_empty())
    });
    found.unwrap()
}

#[test]
fn a_session_is_ended_and_comes_back_unless_its_identity_is_disabled_first() {
    if !lab::can(PROGRAMS, true) {
        return;
    }
    let lan = Lan::start();
    let client = lan.plug();
    client.says("CTRL-EVENT-EAP-SUCCESS", LIMIT);
    assert!(lab::until(LIMIT, || lan.works()));
    let mut dae = lan.open(true, "coasecret");
    assert!(dae.doctor().iter().all(|a| a.able != Some(false)), "{:?}", dae.doctor());

    // The naive way: end the session and nothing else.
    let order = of_user("bob");
    // Accounting comes a moment after the station is let in.
    assert!(lab::until(LIMIT, || std::fs::read_to_string(lan.dir.path().join("detail"))
        .is_ok_and(|t| t.contains("= Start"))));
    let known = Known { seen: seen(dae.as_mut(), &order), ack: None };
    assert_eq!(known.seen.ids.len(), 1);
    let shown = dae.preview(&order, &known.seen).unwrap();
    assert!(shown[0].contains("Disconnect-Request: User-Name = \"bob\", Acct-Session-Id = "), "{shown:?}");
    assert!(shown[0].contains("NAS-Identifier = \"switch1\"") && !shown[0].contains("coasecret"));
    assert!(matches!(dae.verify(&order, &known), Effect::NotEffective(why) if why.contains("still")));
    // Another secret: silence, nothing ended, and it is not called a refusal.
    let mut wrong = lan.open(true, "nope");
    assert!(matches!(wrong.apply(&order, &known.seen), Err(Fault::Lost(_))));
    assert!(lan.works());
    // A yes that nothing follows: the readings tell.
    let hollow = hollow(b"coasecret").to_string();
    let mut hollow =
        lab::open(&CONNECTOR, lan.fields(&hollow, true), &[("default", &lan.secret("coasecret"))]);
    hollow.apply(&order, &known.seen).unwrap();
    assert!(matches!(hollow.verify(&order, &known), Effect::NotEffective(_)));
    assert!(lan.works());
    let mut dae = lan.open(true, "coasecret");
    let ack = dae.apply(&order, &known.seen).unwrap();
    assert!(ack.says.starts_with("ACK"));
    let mut effect = Effect::Unknown(String::new());
    lab::until(LIMIT, || {
        effect = dae.verify(&order, &known);
        matches!(effect, Effect::Effective(_))
    });
    assert!(
        matches!(&effect, Effect::Effective(why) if why.contains("hostapd_cli") && why.contains("accounting")),
        "{effect:?}"
    );
    assert!(!lan.works());
    drop(client);
    let client = lan.plug();
    client.says("CTRL-EVENT-EAP-SUCCESS", LIMIT);
    assert!(lab::until(LIMIT, || lan.works()), "the client is back");
    assert!(
        matches!(dae.verify(&order, &known), Effect::NotEffective(why) if why.contains("again") || why.contains("came back"))
    );

    // The right order: the identity first, then the session.
    lan.users("# bob is disabled\n");
    let order = of_user("bob");
    let known = Known { seen: seen(dae.as_mut(), &order), ack: None };
    assert!(lab::until(LIMIT, || std::fs::read_to_string(lan.dir.path().join("detail"))
        .is_ok_and(|t| t.matches("= Start").count() == 2)));
    dae.apply(&order, &known.seen).unwrap();
    assert!(lab::until(LIMIT, || matches!(dae.verify(&order, &known), Effect::Effective(_))));
    drop(client);
    let client = lan.plug();
    client.says("CTRL-EVENT-EAP-FAILURE", LIMIT);
    assert!(!lan.works(), "it tried and is out");
    assert!(matches!(dae.verify(&order, &known), Effect::Effective(_)));
    assert!(matches!(dae.read(&order), Err(Fault::NotFound(_))), "there is nothing left to end");
    assert!(matches!(dae.undo(&order, &known), Err(Fault::Unsupported(_))));

    // Without the detail file's Stop nothing is proven: the file was rotated.
    std::fs::write(lan.dir.path().join("detail"), "").unwrap();
    assert!(matches!(dae.verify(&order, &known), Effect::Unknown(why) if why.contains("no Stop")));
    drop(client);
    lan.users("bob Cleartext-Password := \"hello\"\n");
    // The port holds a station that failed for a minute; another card need not wait.
    lab::run("ip", &["-n", &lan.client.name, "link", "set", &lan.dev, "address", "02:00:00:00:00:07"]);
    let client = lan.plug();
    client.says("CTRL-EVENT-EAP-SUCCESS", LIMIT);
    assert!(lab::until(LIMIT, || lan.works()), "let in again");
    assert!(lan.auth != lan.acct);
}

#[test]
fn without_a_view_it_is_unknown_and_a_hostile_name_ends_nobody_elses_session() {
    if !lab::can(PROGRAMS, true) {
        return;
    }
    let lan = Lan::start();
    let client = lan.plug();
    client.says("CTRL-EVENT-EAP-SUCCESS", LIMIT);
    assert!(lab::until(LIMIT, || lan.works()));
    let mut dae = lan.open(false, "coasecret");
    for name in
        ["o'\"b", "<bob>", "*", "bob)(", "bob&x", "bob\\", "../bob", "bo", "bob, Acct-Session-Id = \"1\""]
    {
        let order = of_user(name);
        let seen = dae.read(&order).unwrap();
        let why = dae.apply(&order, &seen).unwrap_err();
        assert!(matches!(&why, Fault::NotFound(why) if why.contains("503")), "{name}: {why}");
    }
    assert!(lan.works());
    let nobody = lab::order(
        Act::TerminateSession,
        Target::Session(Stay { public: "192.0.2.7".parse().ok(), ..Stay::default() }),
    );
    assert!(matches!(dae.read(&nobody), Err(Fault::Unsupported(_))));
    assert!(matches!(dae.apply(&nobody, &Seen::default()), Err(Fault::Unsupported(_))));
    assert!(lan.works());
    let order = of_user("bob");
    let known = Known { seen: dae.read(&order).unwrap(), ack: None };
    dae.apply(&order, &known.seen).unwrap();
    assert!(matches!(dae.verify(&order, &known), Effect::Unknown(why) if why.contains("a person looks")));
    assert!(lab::until(LIMIT, || !lan.works()));
}

#[test]
fn a_change_of_authorization_reaches_a_server_that_checks_it() {
    if !lab::can(&["freeradius"], true) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    lab::secret_file(dir.path(), "users", "");
    let coa = udp_port();
    let extra = format!(
        "server coa {{\n listen {{\n  type = coa\n  ipaddr = 127.0.0.1\n  port = {coa}\n }}\n recv-coa {{\n  detail\n }}\n}}\n"
    );
    let _radius = freeradius(dir.path(), udp_port(), udp_port(), &extra);
    let fields = |release: bool| {
        let mut fields = serde_json::json!({"server": format!("127.0.0.1:{coa}"), "wait": 1, "tries": 2, "isolate_filter": "quarantine"});
        if release {
            fields["release_filter"] = "staff".into();
        }
        fields
    };
    let good = lab::secret_file(dir.path(), "good", "testing123");
    let device = Device { mac: "aa:bb:cc:00:11:22".parse().ok(), ..Device::default() };
    let order = lab::order(Act::IsolateDevice, Target::Device(device));
    let mut dae = lab::open(&CONNECTOR, fields(true), &[("default", &good)]);
    let known = Known { seen: dae.read(&order).unwrap(), ack: None };
    dae.apply(&order, &known.seen).unwrap();
    let detail = || std::fs::read_to_string(dir.path().join("detail")).unwrap_or_default();
    assert!(
        detail().contains("Filter-Id = \"quarantine\"")
            && detail().contains("Calling-Station-Id = \"AA-BB-CC-00-11-22\""),
        "{}",
        detail()
    );
    assert!(matches!(dae.verify(&order, &known), Effect::Unknown(_)));
    dae.undo(&order, &known).unwrap();
    assert!(detail().contains("Filter-Id = \"staff\""));
    let mut without = lab::open(&CONNECTOR, fields(false), &[("default", &good)]);
    assert!(matches!(without.undo(&order, &known), Err(Fault::Unsupported(_))));
    let named =
        lab::order(Act::IsolateDevice, Target::Session(Stay::of_user(UserName::new("a\"b\\c=ü").unwrap())));
    let seen = dae.read(&named).unwrap();
    dae.apply(&named, &seen).unwrap();
    assert!(detail().contains("User-Name = \"a\\\"b\\\\c=ü\""), "{}", detail());
    let bad = lab::secret_file(dir.path(), "bad", "other");
    let mut wrong = lab::open(&CONNECTOR, fields(true), &[("default", &bad)]);
    assert!(matches!(wrong.apply(&order, &known.seen), Err(Fault::Lost(_))));
}
