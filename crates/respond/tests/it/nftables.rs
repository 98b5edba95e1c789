//! A real kernel: an attacker's namespace and a gateway's, with a connection that stands.

use crate::lab::{self, Netns};
use portreeve_respond::act::Act;
use portreeve_respond::connector::{Control, Effect, Known};
use portreeve_respond::connectors::nftables::CONNECTOR;
use portreeve_respond::target::Target;
use std::time::Duration;

fn gateway(ns: &Netns) -> Box<dyn Control> {
    lab::open(&CONNECTOR, serde_json::json!({"via": {"netns": ns.name}}), &[])
}

#[test]
fn an_address_is_shut_out_with_its_standing_connection_and_let_in_again() {
    if !lab::can(&["ip", "nft", "ping", "python3"], true) {
        return;
    }
    let (gw, attacker) = (Netns::new("gw"), Netns::new("at"));
    Netns::cable(&gw, "10.99.1.1/24", &attacker, "10.99.1.2/24");
    // The gateway trusts what is established, as firewalls do: the trap.
    gw.run(&["nft", "add table inet f; add chain inet f in { type filter hook input priority 0; policy accept; }; add rule inet f in ct state established,related accept"]);
    let dir = tempfile::tempdir().unwrap();
    let _server = gw.spawn(
        &["python3", "-u", "-c", "import socket\ns=socket.socket();s.bind(('10.99.1.1',7000));s.listen()\nprint('up')\nc,_=s.accept()\nwhile True:\n d=c.recv(99)\n if not d: break\n c.send(d)"],
        &dir.path().join("server"),
    );
    _server.says("up", Duration::from_secs(5));
    let client = attacker.spawn(
        &["python3", "-u", "-c", "import socket,time\ns=socket.create_connection(('10.99.1.1',7000),5);s.settimeout(1)\nwhile True:\n try:\n  s.send(b'x');print('alive' if s.recv(9) else 'closed')\n except TimeoutError: print('dead')\n time.sleep(.1)"],
        &dir.path().join("client"),
    );
    client.says("alive", Duration::from_secs(5));
    assert!(attacker.pings("10.99.1.1"));

    let mut nft = gateway(&gw);
    let order = lab::order(Act::BlockAddress, Target::address("10.99.1.2".parse().unwrap()));
    let seen = nft.read(&order).unwrap();
    assert!(!seen.in_force);
    let known = Known { seen: seen.clone(), ack: None };
    assert!(matches!(nft.verify(&order, &known), Effect::NotEffective(_)), "nothing was sent yet");
    nft.apply(&order, &seen).unwrap();
    assert!(matches!(nft.verify(&order, &known), Effect::Effective(_)));

    // Shut out, the standing connection too.
    client.says("dead", Duration::from_secs(5));
    assert!(!attacker.pings("10.99.1.1"));
    // A second time does not hurt, and the element is known as this step's.
    let again = nft.read(&order).unwrap();
    assert!(!again.in_force, "our own step is not a stranger's");
    nft.apply(&order, &again).unwrap();
    assert_eq!(nft.present().unwrap().unwrap().len(), 1);
    // The same address for another case: in force by another hand, which undo would leave.
    let other = lab::order(Act::BlockAddress, Target::address("10.99.1.2".parse().unwrap()));
    assert!(nft.read(&other).unwrap().in_force);
    assert!(nft.undo(&other, &Known::default()).is_err());
    assert!(!attacker.pings("10.99.1.1"));

    nft.undo(&order, &known).unwrap();
    assert!(matches!(nft.verify_undone(&order, &known), Effect::Effective(_)));
    nft.undo(&order, &known).unwrap();
    assert!(attacker.pings("10.99.1.1"), "let in again after undo");
}

#[test]
fn it_lets_go_by_itself_and_a_rule_that_somebody_removed_is_seen() {
    if !lab::can(&["ip", "nft"], true) {
        return;
    }
    let gw = Netns::new("gw");
    let mut nft = gateway(&gw);
    let mut order = lab::order(Act::BlockAddress, Target::address("2001:db8:7::/64".parse().unwrap()));
    order.until = Some(jiff::Timestamp::now().as_microsecond() + 2_000_000);
    let known = Known { seen: nft.read(&order).unwrap(), ack: None };
    nft.apply(&order, &known.seen).unwrap();
    assert!(matches!(nft.verify(&order, &known), Effect::Effective(_)));
    gw.run(&["nft", "flush", "chain", "inet", "portreeve", "arriving"]);
    assert!(
        matches!(nft.verify(&order, &known), Effect::NotEffective(_)),
        "an element without its rule blocks nothing"
    );
    assert!(
        lab::until(Duration::from_secs(6), || nft.present().unwrap().unwrap().is_empty()),
        "the timeout is the kernel's"
    );
    assert!(nft.doctor().iter().all(|a| a.able == Some(true)));
}

#[test]
fn an_element_inside_the_range_is_told_before_nft_refuses_it() {
    if !lab::can(&["ip", "nft"], true) {
        return;
    }
    let gw = Netns::new("gw");
    let mut nft = gateway(&gw);
    let host = lab::order(Act::BlockAddress, Target::address("192.0.2.7".parse().unwrap()));
    let seen = nft.read(&host).unwrap();
    nft.apply(&host, &seen).unwrap();
    let range = lab::order(Act::BlockAddress, Target::address("192.0.2.0/24".parse().unwrap()));
    assert!(nft.read(&range).unwrap_err().to_string().contains("overlapping"));
    let inside = lab::order(Act::BlockAddress, Target::address("192.0.2.7".parse().unwrap()));
    assert!(nft.read(&inside).unwrap().in_force);
}

fn over_ssh() -> Option<(Box<dyn Control>, String)> {
    let fields = std::env::var("PORTREEVE_TEST_NFT_SSH").ok()?;
    let control = lab::open(&CONNECTOR, serde_json::from_str(&fields).unwrap(), &[]);
    Some((control, std::env::var("PORTREEVE_TEST_NFT_ACT").unwrap()))
}

/// The child of the next test, in the management's namespace: it knows the gateway only over SSH.
#[test]
fn child_that_works_over_ssh() {
    let Some((mut nft, act)) = over_ssh() else { return };
    let mut order = lab::order(Act::BlockAddress, Target::address("10.99.3.2".parse().unwrap()));
    order.mark = "portreeve-5517e57ab1e0".into();
    let seen = nft.read(&order).unwrap();
    let known = Known { seen: seen.clone(), ack: None };
    match act.as_str() {
        "apply" => {
            assert!(nft.doctor().iter().all(|a| a.able == Some(true)));
            nft.apply(&order, &seen).unwrap();
            assert!(matches!(nft.verify(&order, &known), Effect::Effective(_)));
        }
        "undo" => {
            nft.undo(&order, &known).unwrap();
            assert!(matches!(nft.verify_undone(&order, &known), Effect::Effective(_)));
        }
        _ => panic!("{act}"),
    }
}

#[test]
fn over_ssh_with_a_pinned_key_it_is_the_same() {
    if !lab::can(&["ip", "nft", "ping", "sshd", "ssh", "ssh-keygen"], true) {
        return;
    }
    let (desk, gw, attacker) = (Netns::new("md"), Netns::new("gw"), Netns::new("at"));
    Netns::cable(&desk, "10.99.2.1/24", &gw, "10.99.2.2/24");
    Netns::cable(&gw, "10.99.3.1/24", &attacker, "10.99.3.2/24");
    let dir = tempfile::tempdir().unwrap();
    let key = |name: &str| {
        let path = dir.path().join(name).to_str().unwrap().to_owned();
        lab::run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &path]);
        path
    };
    let (host, other, user) = (key("host"), key("other"), key("user"));
    let conf = dir.path().join("sshd_config");
    std::fs::write(
        &conf,
        format!(
            "ListenAddress 10.99.2.2\nPort 22\nHostKey {host}\nAuthorizedKeysFile {user}.pub\nPidFile none\n\
             StrictModes no\nUsePAM no\nPermitRootLogin prohibit-password\nPasswordAuthentication no\n"
        ),
    )
    .unwrap();
    std::fs::create_dir_all("/run/sshd").unwrap();
    let sshd = lab::which("sshd").unwrap();
    let server = gw
        .spawn(&[sshd.to_str().unwrap(), "-D", "-e", "-f", conf.to_str().unwrap()], &dir.path().join("log"));
    server.says("Server listening", Duration::from_secs(5));
    let pinned = |name: &str, key: &str| {
        let public = std::fs::read_to_string(format!("{key}.pub")).unwrap();
        let file = dir.path().join(name);
        std::fs::write(&file, format!("10.99.2.2 {public}")).unwrap();
        file
    };
    let (right, wrong) = (pinned("right", &host), pinned("wrong", &other));
    let child = |act: &str, known: &std::path::Path| {
        let fields = serde_json::json!({"via": {"ssh":
            {"host": "10.99.2.2", "user": "root", "identity": user, "known_hosts": known}}});
        std::process::Command::new("ip")
            .args(["netns", "exec", &desk.name])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "nftables::child_that_works_over_ssh"])
            .env("PORTREEVE_TEST_NFT_SSH", fields.to_string())
            .env("PORTREEVE_TEST_NFT_ACT", act)
            .output()
            .unwrap()
    };
    assert!(attacker.pings("10.99.3.1"));
    let refused = child("apply", &wrong);
    assert!(!refused.status.success());
    assert!(
        lab::text(&refused.stdout).contains("REMOTE HOST IDENTIFICATION HAS CHANGED"),
        "{}",
        lab::text(&refused.stdout)
    );
    assert!(attacker.pings("10.99.3.1"), "a host with another key is told nothing");
    let done = child("apply", &right);
    assert!(done.status.success(), "{}", lab::text(&done.stdout));
    assert!(!attacker.pings("10.99.3.1"));
    assert!(desk.pings("10.99.2.2"), "the way to the gateway stays");
    let undone = child("undo", &right);
    assert!(undone.status.success(), "{}", lab::text(&undone.stdout));
    assert!(attacker.pings("10.99.3.1"));
}
