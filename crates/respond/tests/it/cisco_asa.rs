//! A Cisco ASA as its command reference describes it: a real sshd whose only command is a shell that knows a few lines.

use crate::contract::{self, Device, Life};
use crate::lab::{self, Daemon};
use crate::stub::Failure;
use portreeve_respond::act::Act;
use portreeve_respond::connector::{Control, Effect, Known};
use portreeve_respond::connectors::cisco_asa::CONNECTOR;
use portreeve_respond::fault::Fault;
use portreeve_respond::target::{Stay, Target};
use portreeve_respond::value::UserName;
use serde_json::{Value, json};
use std::rc::Rc;
use std::time::Duration;

const ENABLE: &str = "asa-enable-secret";

/// The shell. State: `shuns`, `conns` (addresses), `sessions` (name, index, inner address), one a line.
const SHELL: &str = r#"
import sys, os
D = sys.argv[1]
def rows(f):
    p = os.path.join(D, f)
    return [l for l in open(p).read().split('\n') if l] if os.path.exists(p) else []
def put(f, r): open(os.path.join(D, f), 'w').write('\n'.join(r))
def say(t): sys.stdout.write(t + '\n'); sys.stdout.flush()
def changed(line):
    put('changes', rows('changes') + [line])
    fail = (rows('fail') or [''])[0]
    put('fail', [])
    return fail
level, wait = 1, False
for line in sys.stdin:
    line = line.rstrip('\n')
    w = line.split(' ')
    if wait:
        wait = False
        if line == 'asa-enable-secret': level = 15
        else: say('Password: Invalid password'); say('Access denied.')
        continue
    if line == 'enable': wait = True; continue
    if line == 'exit': break
    if line == 'show curpriv':
        say('Username : portreeve'); say('Current privilege level : %d' % level); say('Current Mode/s : P_PRIV'); continue
    if line == 'terminal pager 0': continue
    if level < 15: say("ERROR: % Invalid input detected at '^' marker."); continue
    if line == 'show shun':
        for s in rows('shuns'): say('shun (outside) %s 0.0.0.0 0 0 0' % s)
    elif w[:3] == ['show', 'conn', 'address'] and len(w) == 4:
        c = [x for x in rows('conns') if x == w[3]]
        say('%d in use, 12 most used' % len(rows('conns')))
        for x in c: say('TCP outside %s:51000 inside 10.0.0.5:443, idle 0:00:01, bytes 9, flags UIO' % x)
    elif w[:3] == ['show', 'vpn-sessiondb', 'anyconnect']:
        found = rows('sessions')
        if w[3:5] == ['filter', 'name'] and len(w) == 6: found = [r for r in found if r.split(',')[0] == w[5]]
        elif len(w) > 3: say("ERROR: % Invalid input detected at '^' marker."); continue
        if not found: say('INFO: There are presently no active sessions of the type specified')
        else: say('\nSession Type: AnyConnect\n')
        for r in found:
            n, i, a = r.split(',')
            say('Username     : %-22s Index        : %s' % (n, i))
            say('Assigned IP  : %-22s Public IP    : 203.0.113.9' % a)
            say('Login Time   : 14:32:03 UTC Mon Jan 1 2018\nDuration     : 0h:%02dm:05s\n' % (os.getpid() % 60))
    elif w[0] == 'shun' and len(w) == 2:
        f = changed(line)
        if f == 'Before': sys.exit(1)
        if f != 'Hollow': put('shuns', rows('shuns') + [w[1]])
        if f == 'AfterEffect': sys.exit(1)
        say('Shun %s added in context: single_vf\nShun %s successful' % (w[1], w[1]))
    elif w[:2] == ['no', 'shun'] and len(w) == 3:
        f = changed(line)
        put('shuns', [s for s in rows('shuns') if s != w[2]])
        if f: sys.exit(1)
    elif w[:3] == ['clear', 'conn', 'address'] and len(w) == 4:
        changed(line)
        put('conns', [c for c in rows('conns') if c != w[3]])
    elif w[:2] == ['vpn-sessiondb', 'logoff'] and w[4:] == ['noconfirm'] and w[2] in ('name', 'index'):
        f = changed(line)
        if f == 'Before': sys.exit(1)
        keep = [r for r in rows('sessions') if r.split(',')[0 if w[2] == 'name' else 1] != w[3]]
        n = len(rows('sessions')) - len(keep)
        if f != 'Hollow': put('sessions', keep)
        if f == 'AfterEffect': sys.exit(1)
        say('INFO: Number of sessions with name "%s" logged off : %d' % (w[3], n))
    else: say("ERROR: % Invalid input detected at '^' marker.")
"#;

struct Asa {
    dir: tempfile::TempDir,
    port: u16,
    _sshd: Daemon,
}

impl Asa {
    fn start() -> Asa {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        for key in ["host", "user", "stranger"] {
            lab::run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &at(key)]);
        }
        std::fs::copy(at("user.pub"), at("authorized")).unwrap();
        std::fs::write(at("shell.py"), SHELL).unwrap();
        let port = lab::port();
        let python = lab::which("python3").unwrap();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nPidFile none\nAuthorizedKeysFile {}\n\
             StrictModes no\nUsePAM no\nKexAlgorithms curve25519-sha256\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n\
             ForceCommand {} -I -S -u {} {}\n",
            at("host"),
            at("authorized"),
            python.display(),
            at("shell.py"),
            dir.path().display()
        );
        std::fs::write(at("sshd_config"), config).unwrap();
        if rustix::process::geteuid().is_root() {
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        let log = dir.path().join("sshd.log");
        let sshd = Daemon::spawn("sshd", &["-D", "-e", "-f", &at("sshd_config")], &log);
        sshd.says("Server listening", Duration::from_secs(10));
        let host_key = std::fs::read_to_string(at("host.pub")).unwrap();
        std::fs::write(at("known"), format!("[127.0.0.1]:{port} {host_key}")).unwrap();
        let asa = Asa { dir, port, _sshd: sshd };
        asa.reset();
        asa
    }

    /// As it was in the beginning.
    fn reset(&self) {
        self.put("shuns", &["198.51.100.1"]);
        self.put("conns", &["192.0.2.7", "192.0.2.70"]);
        self.put(
            "sessions",
            &["joanna,4095,10.8.0.6", "anna,4096,10.8.0.5", "anna,4097,10.8.0.7", "CORP\\anna,4098,10.8.0.8"],
        );
        self.put("changes", &[]);
        self.put("fail", &[]);
    }

    fn rows(&self, name: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.dir.path().join(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn put(&self, name: &str, rows: &[&str]) {
        std::fs::write(self.dir.path().join(name), rows.join("\n")).unwrap();
    }

    fn open(&self) -> Box<dyn Control> {
        let secret = lab::secret_file(self.dir.path(), "enable", ENABLE);
        lab::open(&CONNECTOR, self.fields_with("user"), &[("default", &secret)])
    }

    fn fields_with(&self, identity: &str) -> Value {
        let user = lab::run("id", &["-un"]);
        json!({"ssh": {"host": "127.0.0.1", "port": self.port, "user": user.trim(),
                       "identity": self.dir.path().join(identity), "known_hosts": self.dir.path().join("known")},
               "enable": true})
    }
}

/// One sshd serves the whole matrix; each row begins anew.
impl Device for Rc<Asa> {
    fn fields(&self) -> Value {
        self.fields_with("user")
    }

    fn fail(&self, failure: Failure) -> bool {
        // A shell knows no "later", and a hang-up is a hang-up.
        if matches!(failure, Failure::Busy | Failure::Silent) {
            return false;
        }
        self.put("fail", &[&format!("{failure:?}")]);
        true
    }

    fn changes(&self) -> usize {
        self.rows("changes").len()
    }

    fn marks(&self) -> bool {
        false
    }
}

fn able() -> bool {
    lab::can(&["sshd", "ssh", "ssh-keygen", "python3"], false)
}

fn of(user: &str) -> Target {
    Target::Session(Stay::of_user(UserName::new(user).unwrap()))
}

#[test]
fn an_address_is_shunned_and_its_connections_end() {
    if !able() {
        return;
    }
    let asa = Rc::new(Asa::start());
    contract::life(&Life {
        connector: &CONNECTOR,
        act: Act::BlockAddress,
        target: Target::address("192.0.2.7".parse().unwrap()),
        device: &|| {
            asa.reset();
            Box::new(asa.clone())
        },
        secret: ENABLE,
        absent: &[],
        ambiguous: &[],
    });
}

#[test]
fn a_users_sessions_are_logged_off() {
    if !able() {
        return;
    }
    let asa = Rc::new(Asa::start());
    let life = Life {
        connector: &CONNECTOR,
        act: Act::TerminateSession,
        target: of("anna"),
        device: &|| {
            asa.reset();
            Box::new(asa.clone())
        },
        secret: ENABLE,
        absent: &[of("ann"), of("LAB\\anna")],
        ambiguous: &[],
    };
    contract::whole(&life);
    contract::failing(&life);
    contract::names(&life);
}

#[test]
fn a_shun_alone_is_not_enough_and_names_stay_in_their_line() {
    if !able() {
        return;
    }
    let asa = Asa::start();
    let mut control = asa.open();
    let order = lab::order(Act::BlockAddress, Target::address("192.0.2.7".parse().unwrap()));
    // The naive way: shunned, and the connection stands.
    asa.put("shuns", &["192.0.2.7"]);
    let Effect::NotEffective(why) = control.verify(&order, &Known::default()) else { panic!() };
    assert!(why.contains("1 connection"), "{why}");
    assert!(control.read(&order).unwrap().in_force);
    let known = Known { seen: control.read(&order).unwrap(), ack: None };
    assert!(matches!(control.undo(&order, &known), Err(Fault::Refused(_))), "another hand's");
    let v6 = lab::order(Act::BlockAddress, Target::address("2001:db8::7".parse().unwrap()));
    assert!(matches!(control.read(&v6), Err(Fault::Unsupported(_))));

    for hostile in ["anna | redirect x", "anna?", "a\"b", "o'neil"] {
        let order = lab::order(Act::TerminateSession, of(hostile));
        assert!(matches!(control.read(&order), Err(Fault::Unsupported(_))), "{hostile}");
    }
    // One of two, by the address inside the tunnel: by index, and the other stays.
    let stay =
        Stay { inner: Some("10.8.0.7".parse().unwrap()), ..Stay::of_user(UserName::new("anna").unwrap()) };
    let order = lab::order(Act::TerminateSession, Target::Session(stay));
    let known = Known { seen: control.read(&order).unwrap(), ack: None };
    control.apply(&order, &known.seen).unwrap();
    assert_eq!(asa.rows("changes"), ["vpn-sessiondb logoff index 4097 noconfirm"]);
    assert_eq!(asa.rows("sessions").len(), 3);
    assert!(matches!(control.verify(&order, &known), Effect::Effective(_)));
    // Another key, another host.
    let secret = lab::secret_file(asa.dir.path(), "enable", ENABLE);
    let mut stranger = lab::open(&CONNECTOR, asa.fields_with("stranger"), &[("default", &secret)]);
    assert!(matches!(stranger.read(&order), Err(Fault::Credential(_))));
    let other = std::fs::read_to_string(asa.dir.path().join("user.pub")).unwrap();
    std::fs::write(asa.dir.path().join("known"), format!("[127.0.0.1]:{} {other}", asa.port)).unwrap();
    assert!(matches!(control.read(&order), Err(Fault::Unreachable(_))), "the host's key changed");
    assert_eq!(asa.rows("changes").len(), 1);
}
