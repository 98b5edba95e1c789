//! A real kernel: a gateway whose firewall accepts what is established before it blocks, as most do.

use crate::lab::{self, Daemon, Netns};
use portreeve_respond::act::Act;
use portreeve_respond::connector::{Control, Effect, Known};
use portreeve_respond::connectors::conntrack::CONNECTOR;
use portreeve_respond::fault::Fault;
use portreeve_respond::target::{Stay, Target};
use std::time::Duration;

const PROGRAMS: &[&str] = &["ip", "nft", "conntrack", "ping", "python3"];

const SERVER: &str = "import socket,threading\n\
def echo(c):\n while True:\n  try:\n   d=c.recv(99)\n  except OSError: return\n  if not d: return\n  c.send(d)\n\
s=socket.create_server(('0.0.0.0',7000))\nprint('up')\n\
while True:\n c,_=s.accept();threading.Thread(target=echo,args=(c,),daemon=True).start()";

/// Writes a line for each try: `alive`, or `dead` after half a second without an answer.
const CLIENT: &str = "import socket,sys,time\n\
s=socket.create_connection(('10.99.1.1',7000),5,(sys.argv[1],0));s.settimeout(.5)\n\
while True:\n try:\n  s.send(b'x');print('alive' if s.recv(9) else 'closed')\n except TimeoutError: print('dead')\n time.sleep(.1)";

struct Gate {
    gateway: Netns,
    outside: Netns,
    dir: tempfile::TempDir,
    _server: Daemon,
}

impl Gate {
    fn new() -> Gate {
        let (gateway, outside) = (Netns::new("cg"), Netns::new("co"));
        let (_, dev) = Netns::cable(&gateway, "10.99.1.1/24", &outside, "10.99.1.2/24");
        lab::run("ip", &["-n", &outside.name, "addr", "add", "10.99.1.20/24", "dev", &dev]);
        gateway.run(&["nft", "add table inet f; add set inet f bad { type ipv4_addr; }; add chain inet f in { type filter hook input priority 0; policy accept; }; add rule inet f in ct state established,related accept; add rule inet f in ip saddr @bad drop"]);
        let dir = tempfile::tempdir().unwrap();
        let server = gateway.spawn(&["python3", "-u", "-c", SERVER], &dir.path().join("server"));
        server.says("up", Duration::from_secs(5));
        Gate { gateway, outside, dir, _server: server }
    }

    fn client(&self, from: &str) -> Daemon {
        let log = self.dir.path().join(lab::unique("client"));
        let client = self.outside.spawn(&["python3", "-u", "-c", CLIENT, from], &log);
        client.says("alive", Duration::from_secs(5));
        client
    }

    fn control(&self) -> Box<dyn Control> {
        lab::open(&CONNECTOR, serde_json::json!({"via": {"netns": self.gateway.name}}), &[])
    }

    fn block(&self, verb: &str) {
        self.gateway.run(&["nft", &format!("{verb} element inet f bad {{ 10.99.1.2 }}")]);
    }
}

/// What a client says from now on: only `dead`, or `alive` again.
fn turns(client: &Daemon, word: &str) -> bool {
    let before = client.output().len();
    lab::until(Duration::from_secs(5), || client.output().get(before..).is_some_and(|new| new.contains(word)))
}

fn address(text: &str) -> Target {
    Target::address(text.parse().unwrap())
}

#[test]
fn a_standing_connection_ends_only_when_its_flow_is_deleted_and_a_rule_blocks() {
    if !lab::can(PROGRAMS, true) {
        return;
    }
    let gate = Gate::new();
    let mut control = gate.control();
    let intruder = gate.client("10.99.1.2");
    let neighbour = gate.client("10.99.1.20");
    // The kernel's id of his flow: a flow that was deleted and came back has another.
    let id = || {
        let out = gate.gateway.output(&["conntrack", "-L", "-o", "id", "-p", "tcp", "--src", "10.99.1.20"]);
        lab::text(&out.stdout).split_whitespace().find(|w| w.starts_with("id=")).map(str::to_owned).unwrap()
    };
    let before = id();
    let order = lab::order(Act::TerminateSession, address("10.99.1.2"));
    let seen = control.read(&order).unwrap();
    let known = Known { seen: seen.clone(), ack: None };

    // Without a block the flow is back with its next packet, and the reading says so.
    control.apply(&order, &seen).unwrap();
    assert!(turns(&intruder, "alive"));
    assert!(lab::until(Duration::from_secs(5), || {
        matches!(control.verify(&order, &known), Effect::NotEffective(why) if why.contains("comes back"))
    }));

    // The naive way: a block behind `established accept`.
    gate.block("add");
    assert!(
        !gate.outside.output(&["ping", "-n", "-c1", "-W1", "-I", "10.99.1.2", "10.99.1.1"]).status.success()
    );
    assert!(turns(&intruder, "alive"), "blocked, and alive");
    assert!(matches!(control.verify(&order, &known), Effect::NotEffective(_)));

    // The block, and then the flow.
    let ack = control.apply(&order, &seen).unwrap();
    assert!(!ack.says.starts_with("0 "), "{}", ack.says);
    intruder.says("dead", Duration::from_secs(5));
    assert!(!turns(&intruder, "alive"), "and stays so");
    assert!(matches!(control.verify(&order, &known), Effect::Effective(_)));
    let again = gate.outside.output(&["python3", "-c", CLIENT, "10.99.1.2"]);
    assert!(!again.status.success(), "no new one begins");
    assert!(turns(&neighbour, "alive"));
    assert_eq!(id(), before, "the neighbour's flow was never touched");
    // A second time finds nothing and is no failure.
    control.apply(&order, &seen).unwrap();

    assert!(matches!(control.undo(&order, &known), Err(Fault::Unsupported(_))));
    gate.block("delete");
    drop(intruder);
    let _in_again = gate.client("10.99.1.2");
}

#[test]
fn flows_behind_translation_and_of_ranges_are_found() {
    if !lab::can(PROGRAMS, true) {
        return;
    }
    let gate = Gate::new();
    let inside = Netns::new("ci");
    Netns::cable(&gate.gateway, "10.99.2.1/24", &inside, "10.99.2.2/24");
    lab::run("ip", &["-n", &inside.name, "route", "add", "default", "via", "10.99.2.1"]);
    lab::run("ip", &["-n", &gate.outside.name, "route", "add", "203.0.113.0/24", "via", "10.99.1.1"]);
    gate.gateway.run(&["sysctl", "-qw", "net.ipv4.ip_forward=1"]);
    // The world sees 203.0.113.5; the server is 10.99.2.2.
    gate.gateway.run(&["nft", "add table ip n; add chain ip n pre { type nat hook prerouting priority -100; }; add rule ip n pre ip daddr 203.0.113.5 dnat to 10.99.2.2"]);
    let mut control = gate.control();
    for target in ["10.99.2.2", "10.99.2.0/24", "10.99.1.2", "10.99.1.0/24"] {
        assert!(gate.outside.pings("203.0.113.5"));
        let order = lab::order(Act::TerminateSession, address(target));
        let known = Known { seen: control.read(&order).unwrap(), ack: None };
        assert!(matches!(control.verify(&order, &known), Effect::NotEffective(_)), "{target}");
        if target.starts_with("10.99.2.") {
            // The naive way asks for what the flow began with, and the server is not in it.
            let naive = gate.gateway.output(&["conntrack", "-D", "-d", target]);
            assert!(lab::text(&naive.stderr).contains(" 0 flow entries"), "{target}");
        }
        control.apply(&order, &known.seen).unwrap();
        assert!(matches!(control.verify(&order, &known), Effect::Effective(_)), "{target}");
    }
    // A session by its address inside, and one that has none.
    let session = |stay| lab::order(Act::TerminateSession, Target::Session(stay));
    assert!(gate.outside.pings("203.0.113.5"));
    let order = session(Stay { inner: "10.99.2.2".parse().ok(), ..Stay::default() });
    let known = Known { seen: control.read(&order).unwrap(), ack: None };
    assert!(matches!(control.verify(&order, &known), Effect::NotEffective(_)));
    control.apply(&order, &known.seen).unwrap();
    assert!(matches!(control.verify(&order, &known), Effect::Effective(_)));
    assert!(matches!(control.read(&session(Stay::default())), Err(Fault::Unsupported(_))));
    assert!(matches!(
        control.apply(&lab::order(Act::TerminateSession, address("0.0.0.0/0")), &known.seen),
        Err(Fault::Unsupported(_))
    ));
    assert!(control.doctor().iter().all(|a| a.able == Some(true)));
}

#[test]
fn ipv6_and_a_host_that_is_not_reached() {
    if !lab::can(PROGRAMS, true) {
        return;
    }
    let (gateway, outside) = (Netns::new("cg"), Netns::new("co"));
    let (near, far) = Netns::cable(&gateway, "10.99.3.1/24", &outside, "10.99.3.2/24");
    for (ns, dev, ip) in [(&gateway, &near, "2001:db8::1/64"), (&outside, &far, "2001:db8::2/64")] {
        lab::run("ip", &["-n", &ns.name, "addr", "add", ip, "dev", dev, "nodad"]);
    }
    gateway.run(&["nft", "add table inet f; add chain inet f in { type filter hook input priority 0; policy accept; }; add rule inet f in ct state established accept"]);
    assert!(lab::until(Duration::from_secs(5), || outside.pings("2001:db8::1")));
    let mut control = lab::open(&CONNECTOR, serde_json::json!({"via": {"netns": gateway.name}}), &[]);
    for target in ["2001:db8::2", "2001:db8::/64"] {
        assert!(outside.pings("2001:db8::1"));
        let order = lab::order(Act::TerminateSession, address(target));
        let known = Known { seen: control.read(&order).unwrap(), ack: None };
        assert!(matches!(control.verify(&order, &known), Effect::NotEffective(_)), "{target}");
        control.apply(&order, &known.seen).unwrap();
        assert!(matches!(control.verify(&order, &known), Effect::Effective(_)), "{target}");
    }
    // Not read is not effective.
    let mut nowhere = lab::open(&CONNECTOR, serde_json::json!({"via": {"netns": "no-such-netns"}}), &[]);
    let order = lab::order(Act::TerminateSession, address("2001:db8::2"));
    assert!(nowhere.read(&order).is_err());
    assert!(matches!(nowhere.verify(&order, &Known::default()), Effect::Unknown(_)));
    assert!(matches!(nowhere.apply(&order, &Default::default()), Err(Fault::Refused(_))));
}
