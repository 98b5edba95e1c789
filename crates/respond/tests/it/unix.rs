//! A real sshd with throw-away accounts: the attacker holds a key, a session, and a loop that reconnects. sshd and all
//! that it starts live in namespaces of their own, with a copy of /etc: accounts that are made and processes that are
//! killed there are not this machine's.

use crate::lab::{self, Daemon};
use portreeve_respond::act::Act;
use portreeve_respond::connector::{Control, Effect, Known, Order};
use portreeve_respond::connectors::unix::CONNECTOR;
use portreeve_respond::fault::Fault;
use portreeve_respond::target::{Stay, Target};
use portreeve_respond::value::{KeyId, UserName};
use std::path::PathBuf;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(15);
const ANNA: &str = "anna";
const BERT: &str = "bert";

/// Two sshds: the one that people use, which is the first process of its namespace, and one for the connector, as
/// administrators have, so that a test may break the first.
struct Server {
    sshd: Daemon,
    /// The process id, seen from here, of the first process inside.
    first: u32,
    dir: tempfile::TempDir,
    port: u16,
    ops: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        // The first process takes its whole namespace with it.
        let _ended = lab::output("kill", &["-KILL", &self.first.to_string()]);
    }
}

impl Server {
    fn start() -> Server {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        for key in ["host", "stolen", "other", "ops"] {
            lab::run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &at(key)]);
        }
        for name in ["conf.d", "keys"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        let public = |key: &str| std::fs::read_to_string(at(&format!("{key}.pub"))).unwrap();
        for name in [ANNA, BERT] {
            std::fs::write(dir.path().join("keys").join(name), public("stolen") + &public("other")).unwrap();
        }
        std::fs::write(dir.path().join("keys/root"), public("ops")).unwrap();
        // sshd looks at keys as the user: others may look, only root may write.
        lab::run("chmod", &["-R", "go+rX", &dir.path().display().to_string()]);
        lab::run("chmod", &["600", &at("host"), &at("stolen"), &at("other"), &at("ops")]);
        lab::run("ssh-keygen", &["-q", "-k", "-f", &at("krl"), "/dev/null"]);
        let (port, ops) = (lab::port(), lab::port());
        let conf = |port: u16, pid: &str| {
            format!(
                "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nUsePAM yes\nPidFile {}\nStrictModes no\n\
                 AuthorizedKeysFile {}/%u\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n\
                 MaxStartups 100\n",
                at("host"),
                at(pid),
                at("keys"),
            )
        };
        let used =
            format!("{}RevokedKeys {}\nInclude {}/*.conf\n", conf(port, "pid"), at("krl"), at("conf.d"));
        std::fs::write(at("sshd_config"), used).unwrap();
        std::fs::write(at("ops_config"), conf(ops, "ops-pid")).unwrap();
        let known: String = [port, ops].map(|p| format!("[127.0.0.1]:{p} {}", public("host"))).concat();
        std::fs::write(at("known_hosts"), known).unwrap();
        let script = format!(
            "set -e; mkdir {etc}; mount -t tmpfs tmpfs {etc}; mkdir {etc}/upper {etc}/work {etc}/copy\n\
             mount -t overlay -o lowerdir=/etc,upperdir={etc}/upper,workdir={etc}/work overlay /etc ||\n\
             {{ cp -a /etc/. {etc}/copy; mount --bind {etc}/copy /etc; }}\n\
             mkdir -p /run/sshd\n\
             useradd -M -d / -s /bin/sh {ANNA}; useradd -M -d / -s /bin/sh {BERT}\n\
             /usr/sbin/sshd -f {}; exec /usr/sbin/sshd -f {} -D -e\n",
            at("ops_config"),
            at("sshd_config"),
            etc = at("etc"),
        );
        std::fs::write(at("start.sh"), script).unwrap();
        let mut sshd = Daemon::spawn(
            "unshare",
            &["--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", &at("start.sh")],
            &dir.path().join("sshd.log"),
        );
        let up = lab::until(Duration::from_secs(30), || {
            (dir.path().join("pid").is_file() && dir.path().join("ops-pid").is_file()) || !sshd.runs()
        });
        assert!(up && sshd.runs(), "{}", sshd.output());
        let first = lab::run("ps", &["-o", "pid=", "--ppid", &sshd.id().to_string()]);
        let first: u32 = first.trim().parse().unwrap();
        assert!(first > 1);
        let server = Server { sshd, first, dir, port, ops };
        // Before anything is killed: are we where we think we are?
        assert_eq!(server.run(&["cat", "/proc/1/comm"]).trim(), "sshd");
        assert!(server.ssh_says("ops", server.ops, "root", "cat /proc/1/comm").contains("sshd"));
        assert!(
            !lab::output("getent", &["passwd", ANNA]).status.success(),
            "this machine has an account {ANNA}"
        );
        server
    }

    /// A command of the administrator, inside.
    fn run(&self, args: &[&str]) -> String {
        let first = self.first.to_string();
        let mut all = vec!["-t", first.as_str(), "-m", "-p", "--"];
        all.extend(args);
        lab::run("nsenter", &all)
    }

    fn uid(&self, user: &str) -> String {
        self.run(&["id", "-u", user]).trim().to_owned()
    }

    /// The line of shadow without the hash.
    fn shadow(&self, user: &str) -> String {
        let line = self.run(&["getent", "shadow", user]);
        line.trim().split(':').skip(2).collect::<Vec<_>>().join(":")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn ssh(&self, key: &str, port: u16, user: &str) -> Vec<String> {
        let mut words: Vec<String> = ["-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o"]
            .map(str::to_owned)
            .to_vec();
        words.push(format!("UserKnownHostsFile={}", self.path("known_hosts").display()));
        words.extend(["-i".into(), self.path(key).display().to_string()]);
        words.extend(["-p".into(), port.to_string(), format!("{user}@127.0.0.1")]);
        words
    }

    fn ssh_says(&self, key: &str, port: u16, user: &str, command: &str) -> String {
        let mut words = self.ssh(key, port, user);
        words.push(command.to_owned());
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        lab::text(&lab::output("ssh", &words).stdout)
    }

    fn logs_in_with(&self, key: &str, user: &str) -> bool {
        self.ssh_says(key, self.port, user, "echo in").trim() == "in"
    }

    fn logs_in(&self, user: &str) -> bool {
        self.logs_in_with("stolen", user)
    }

    /// A session that writes a line five times a second.
    fn session(&self, user: &str) -> Daemon {
        let mut words = self.ssh("stolen", self.port, user);
        words.push("while :; do echo alive; sleep 0.2; done".into());
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let session = Daemon::spawn("ssh", &words, &self.path(&lab::unique("session")));
        session.says("alive", SOON);
        session
    }

    /// As autossh does: whenever it is thrown out, it comes back.
    fn loops(&self, user: &str) -> Daemon {
        let ssh: Vec<String> = self.ssh("stolen", self.port, user).iter().map(|w| format!("'{w}'")).collect();
        let script = format!("while :; do ssh {} 'echo came in; sleep 60'; sleep 0.3; done", ssh.join(" "));
        let client = Daemon::spawn("sh", &["-c", &script], &self.path(&lab::unique("loop")));
        client.says("came in", SOON);
        client
    }

    fn fields(&self) -> serde_json::Value {
        serde_json::json!({
            "via": {"ssh": {"host": "127.0.0.1", "user": "root", "port": self.ops,
                "identity": self.path("ops"), "known_hosts": self.path("known_hosts")}},
            "sshd": {
                "config": self.path("sshd_config"), "pid_file": self.path("pid"),
                "deny_file": self.path("conf.d").join("10-portreeve.conf"), "krl": self.path("krl"),
            },
        })
    }

    fn open_with(&self, change: impl FnOnce(&mut serde_json::Value)) -> Box<dyn Control> {
        let mut fields = self.fields();
        change(&mut fields);
        lab::open(&CONNECTOR, fields, &[])
    }

    fn open(&self) -> Box<dyn Control> {
        self.open_with(|_| {})
    }

    fn denying(&self) -> Box<dyn Control> {
        self.open_with(|f| f["method"] = "deny_users".into())
    }

    fn fingerprint(&self, key: &str) -> KeyId {
        let text = lab::run("ssh-keygen", &["-l", "-f", &self.path(key).display().to_string()]);
        KeyId::new(text.split_whitespace().nth(1).unwrap()).unwrap()
    }
}

fn can() -> bool {
    lab::can(
        &["sshd", "ssh", "ssh-keygen", "useradd", "usermod", "chage", "pkill", "ps", "unshare", "nsenter"],
        true,
    )
}

fn account(name: &str) -> Target {
    Target::account(UserName::new(name).unwrap())
}

fn disable(user: &str) -> Order {
    lab::order(Act::DisableAccount, account(user))
}

fn terminate(user: &str) -> Order {
    let stay = Stay::of_user(UserName::new(user).unwrap());
    lab::order(Act::TerminateSession, Target::Session(stay))
}

fn revoke(id: KeyId) -> Order {
    lab::order(Act::RevokeKey, Target::Key { owner: None, id })
}

fn planned(control: &mut dyn Control, order: &Order) -> Known {
    Known { seen: control.read(order).unwrap(), ack: None }
}

fn effective(control: &mut dyn Control, order: &Order, known: &Known) {
    let mut last = Effect::Unknown(String::new());
    let read = lab::until(SOON, || {
        last = control.verify(order, known);
        matches!(last, Effect::Effective(_))
    });
    assert!(read, "{last:?}");
}

fn undone(control: &mut dyn Control, order: &Order, known: &Known) {
    let mut last = Effect::Unknown(String::new());
    let read = lab::until(SOON, || {
        last = control.verify_undone(order, known);
        matches!(last, Effect::Effective(_))
    });
    assert!(read, "{last:?}");
}

#[test]
fn an_expired_account_is_thrown_out_and_cannot_come_back_with_its_key() {
    if !can() {
        return;
    }
    let server = Server::start();
    let mut unix = server.open();
    server.run(&["chage", "-E", "40000", ANNA]);
    // The naive way: the password is locked, and the key does not care.
    server.run(&["usermod", "-L", ANNA]);
    assert!(server.logs_in(ANNA));
    server.run(&["usermod", "-p", "*", ANNA]);
    let shadow = server.shadow(ANNA);

    let mut standing = server.session(ANNA);
    let mut others = server.session(BERT);
    let mut client = server.loops(ANNA);
    // The naive way: only ended, the client comes back by itself, which is why the effect is read once more later.
    let end = terminate(ANNA);
    let ending = planned(&mut *unix, &end);
    unix.apply(&end, &ending.seen).unwrap();
    assert!(lab::until(SOON, || !standing.runs()), "the client is out");
    assert!(lab::until(SOON, || client.output().matches("came in").count() >= 2), "and the loop is in again");
    assert!(lab::until(SOON, || matches!(unix.verify(&end, &ending), Effect::NotEffective(_))));
    assert!(CONNECTOR.can.iter().any(|c| c.act == Act::TerminateSession && !c.settle.is_zero()));

    let mut standing = server.session(ANNA);
    let order = disable(ANNA);
    let known = planned(&mut *unix, &order);
    assert!(!known.seen.in_force);
    assert_eq!(known.seen.before["expires"], 40_000);
    assert!(unix.preview(&order, &known.seen).unwrap()[0].starts_with("chage -E 1 anna"));
    assert!(matches!(unix.verify(&order, &known), Effect::NotEffective(_)), "nothing was sent yet");
    unix.apply(&order, &known.seen).unwrap();
    effective(&mut *unix, &order, &known);
    assert!(!server.logs_in(ANNA));
    unix.apply(&order, &known.seen).unwrap();
    assert!(unix.read(&order).unwrap().in_force);
    // What the page says it leaves open: the session that stands.
    let lines = standing.output().len();
    assert!(lab::until(SOON, || standing.output().len() > lines));

    assert!(matches!(unix.verify(&end, &ending), Effect::NotEffective(_)), "they still run");
    unix.apply(&end, &ending.seen).unwrap();
    effective(&mut *unix, &end, &ending);
    assert!(lab::until(SOON, || !standing.runs()), "the client is out");
    // The loop tries, and does not come back.
    let came = client.output().matches("came in").count();
    let tries = || {
        let log = server.sshd.output();
        log.matches("account has expired").count() + log.matches("Access denied for user anna").count()
    };
    let tried = tries();
    assert!(lab::until(SOON, || tries() >= tried + 2), "{}", server.sshd.output());
    assert!(client.runs());
    assert_eq!(client.output().matches("came in").count(), came);
    effective(&mut *unix, &end, &ending);
    drop(client);
    assert!(others.runs(), "the neighbour was not touched");
    unix.apply(&end, &ending.seen).unwrap();
    assert!(matches!(unix.undo(&end, &ending), Err(Fault::Unsupported(_))));

    unix.undo(&order, &known).unwrap();
    undone(&mut *unix, &order, &known);
    unix.undo(&order, &known).unwrap();
    assert_eq!(server.shadow(ANNA), shadow, "exactly as it was");
    assert!(server.logs_in(ANNA));
}

#[test]
fn what_another_hand_changed_is_left() {
    if !can() {
        return;
    }
    let server = Server::start();
    let mut unix = server.open();
    let order = disable(ANNA);
    let known = planned(&mut *unix, &order);
    assert_eq!(known.seen.before["expires"], serde_json::Value::Null);
    let untouched = server.shadow(ANNA);
    unix.apply(&order, &known.seen).unwrap();
    unix.undo(&order, &known).unwrap();
    assert_eq!(server.shadow(ANNA), untouched, "no expiry is no expiry again");
    // Between plan and act, and between act and undo.
    server.run(&["chage", "-E", "41000", ANNA]);
    assert!(matches!(unix.apply(&order, &known.seen), Err(Fault::Refused(_))));
    let known = planned(&mut *unix, &order);
    unix.apply(&order, &known.seen).unwrap();
    server.run(&["chage", "-E", "2", ANNA]);
    assert!(matches!(unix.undo(&order, &known), Err(Fault::Refused(_))));
    assert!(matches!(unix.verify_undone(&order, &known), Effect::NotEffective(_)));
    assert!(!server.logs_in(ANNA));
    // The name went to another user id.
    server.run(&["usermod", "-u", &(server.uid(ANNA).parse::<u32>().unwrap() + 7_000).to_string(), ANNA]);
    let moved = unix.apply(&order, &known.seen).unwrap_err();
    assert!(matches!(&moved, Fault::Refused(why) if why.contains("user id")), "{moved}");
    assert!(matches!(unix.apply(&terminate(ANNA), &known.seen), Err(Fault::Refused(_))));
}

#[test]
fn a_denied_user_is_out_once_sshd_has_read_it() {
    if !can() {
        return;
    }
    let mut server = Server::start();
    let mut unix = server.denying();
    let order = disable(ANNA);
    let known = planned(&mut *unix, &order);
    assert!(!known.seen.in_force);
    assert!(matches!(unix.verify(&order, &known), Effect::NotEffective(_)), "nothing was sent yet");
    // The naive way: the line is written, and sshd was not told.
    let file = server.path("conf.d").join("10-portreeve.conf");
    std::fs::write(&file, "DenyUsers bert\n").unwrap();
    assert!(server.logs_in(BERT));
    let other = disable(BERT);
    match unix.verify(&other, &Known::default()) {
        Effect::NotEffective(why) => assert!(why.contains("has not read"), "{why}"),
        effect => panic!("{effect:?}"),
    }
    assert!(unix.read(&other).unwrap().in_force, "by another hand");

    unix.apply(&order, &known.seen).unwrap();
    effective(&mut *unix, &order, &known);
    assert!(!server.logs_in(ANNA));
    assert!(!server.logs_in(BERT), "the stranger's line is kept");
    assert!(!unix.read(&order).unwrap().in_force, "our own step is not a stranger's");
    unix.apply(&order, &known.seen).unwrap();
    let present = unix.present().unwrap().unwrap();
    assert_eq!(present.len(), 2, "{present:?}");
    assert_eq!(present[1].mark.as_deref(), Some(order.mark.as_str()));
    assert_eq!(present[1].what, "account anna");

    unix.undo(&order, &known).unwrap();
    undone(&mut *unix, &order, &known);
    unix.undo(&order, &known).unwrap();
    assert!(lab::until(SOON, || server.logs_in(ANNA)));
    assert!(!server.logs_in(BERT));
    assert!(server.sshd.runs());
}

#[test]
fn a_broken_configuration_is_never_given_to_sshd() {
    if !can() {
        return;
    }
    let mut server = Server::start();
    let mut unix = server.denying();
    let order = disable(ANNA);
    let known = planned(&mut *unix, &order);
    assert!(unix.doctor().iter().all(|a| a.able == Some(true)), "{:?}", unix.doctor());
    // Somebody left a mistake in another file: sshd would end over it when told to read anew.
    let broken = server.path("conf.d").join("99-broken.conf");
    std::fs::write(&broken, "NoSuchKeyword yes\n").unwrap();
    assert!(matches!(unix.read(&order), Err(Fault::Refused(_))));
    let fault = unix.apply(&order, &known.seen).unwrap_err();
    assert!(matches!(fault, Fault::Refused(_)), "{fault}");
    assert!(!server.path("conf.d").join("10-portreeve.conf").exists(), "taken back");
    assert!(server.sshd.runs() && server.logs_in(ANNA));
    assert!(unix.doctor().iter().any(|a| a.able == Some(false)));
    std::fs::remove_file(&broken).unwrap();
    // A file that sshd_config does not include denies nobody.
    let elsewhere = server.path("elsewhere.conf");
    let mut unix = server.open_with(|f| {
        f["method"] = "deny_users".into();
        f["sshd"]["deny_file"] = serde_json::json!(elsewhere);
    });
    let fault = unix.apply(&order, &known.seen).unwrap_err();
    assert!(matches!(&fault, Fault::Refused(why) if why.contains("includes no such file")), "{fault}");
    assert!(!elsewhere.exists());
    // A pid file that names another program.
    let pid = server.path("wrong-pid");
    std::fs::write(&pid, format!("{}\n", std::process::id())).unwrap();
    let mut unix = server.open_with(|f| {
        f["method"] = "deny_users".into();
        f["sshd"]["pid_file"] = serde_json::json!(pid);
    });
    let fault = unix.apply(&order, &known.seen).unwrap_err();
    assert!(matches!(&fault, Fault::Refused(why) if why.contains("is no sshd")), "{fault}");
    assert!(server.logs_in(ANNA));
}

#[test]
fn a_revoked_key_is_refused_and_no_other() {
    if !can() {
        return;
    }
    let server = Server::start();
    let mut unix = server.open();
    let order = revoke(server.fingerprint("stolen"));
    assert!(server.logs_in(ANNA) && server.logs_in_with("other", ANNA));
    let known = planned(&mut *unix, &order);
    assert!(matches!(unix.verify(&order, &known), Effect::NotEffective(_)), "nothing was sent yet");
    unix.apply(&order, &known.seen).unwrap();
    effective(&mut *unix, &order, &known);
    assert!(!server.logs_in(ANNA));
    assert!(server.logs_in_with("other", ANNA), "the other key is not touched");
    let at = |name: &str| server.path(name).display().to_string();
    let query = lab::output("ssh-keygen", &["-Q", "-f", &at("krl"), &at("stolen.pub")]);
    assert_eq!(query.status.code(), Some(1), "revoked, says its own tool");
    unix.apply(&order, &known.seen).unwrap();
    assert!(unix.read(&order).unwrap().in_force);

    // Revoked by another hand meanwhile: stays when ours is undone.
    let second = revoke(server.fingerprint("other"));
    lab::run("ssh-keygen", &["-q", "-k", "-u", "-f", &at("krl"), &at("other.pub")]);
    unix.undo(&order, &known).unwrap();
    undone(&mut *unix, &order, &known);
    unix.undo(&order, &known).unwrap();
    assert!(server.logs_in(ANNA));
    assert!(!server.logs_in_with("other", ANNA));
    assert!(unix.read(&second).unwrap().in_force);
}

#[test]
fn a_list_that_is_broken_or_holds_more_is_left_alone() {
    if !can() {
        return;
    }
    let server = Server::start();
    let mut unix = server.open();
    let order = revoke(server.fingerprint("stolen"));
    let known = planned(&mut *unix, &order);
    let at = |name: &str| server.path(name).display().to_string();
    // Certificates in the list cannot be made again from its listing.
    std::fs::write(at("spec"), "serial: 1-9\n").unwrap();
    lab::run("ssh-keygen", &["-q", "-k", "-f", &at("krl"), "-s", &at("other.pub"), &at("spec")]);
    unix.apply(&order, &known.seen).unwrap();
    effective(&mut *unix, &order, &known);
    assert!(!server.logs_in(ANNA));
    let fault = unix.undo(&order, &known).unwrap_err();
    assert!(matches!(&fault, Fault::Refused(why) if why.contains("by hand")), "{fault}");
    assert!(!server.logs_in(ANNA));
    // The naive way, editing in place: one wrong byte, and nobody gets in.
    std::fs::write(at("krl"), "garbage").unwrap();
    assert!(!server.logs_in(ANNA) && !server.logs_in_with("other", ANNA));
    assert!(matches!(unix.read(&order), Err(Fault::Refused(_))));
    assert!(matches!(unix.verify(&order, &known), Effect::Unknown(_)));
    assert!(matches!(unix.apply(&order, &known.seen), Err(Fault::Refused(_))));
    assert_eq!(std::fs::read_to_string(at("krl")).unwrap(), "garbage");
    // sshd looks at another list than the configuration of the connector says.
    let elsewhere = server.path("elsewhere");
    let mut unix = server.open_with(|f| f["sshd"]["krl"] = serde_json::json!(elsewhere));
    assert!(matches!(unix.read(&order), Err(Fault::Refused(_))));
    assert!(unix.doctor().iter().any(|a| a.able == Some(false)));
}

#[test]
fn only_people_are_touched_and_names_stay_in_their_place() {
    if !can() {
        return;
    }
    let server = Server::start();
    let mut unix = server.open();
    for order in [disable("root"), terminate("root"), terminate("daemon"), disable("nobody")] {
        let fault = unix.read(&order).unwrap_err();
        assert!(matches!(fault, Fault::Refused(_)), "{fault}");
    }
    // Digits are not taken for a user id, and nothing is taken for a command or a pattern.
    for name in [&server.uid(ANNA), "a\"b'", "$(id)`id`", "a;b|c&d", "../a\\b", "a:b", "an*", "<x>)"] {
        let fault = unix.read(&disable(name)).unwrap_err();
        assert!(matches!(fault, Fault::NotFound(_)), "{name}: {fault}");
    }
    assert!(UserName::new("root\nx").is_err() && UserName::new("-rf").is_err());
    // A second name of root's user id is root, and a second name of a person's is told.
    server.run(&["useradd", "-M", "-o", "-u", "0", "-d", "/", "-s", "/bin/false", "toor"]);
    for order in [disable("toor"), terminate("toor")] {
        let fault = unix.read(&order).unwrap_err();
        assert!(matches!(fault, Fault::Refused(_)), "{fault}");
    }
    server.run(&["useradd", "-M", "-o", "-u", &server.uid(ANNA), "-d", "/", "anna2"]);
    let seen = unix.read(&terminate(ANNA)).unwrap();
    assert_eq!(seen.also_hits, ["account anna2 (the same user id)"]);

    let nameless = Stay { public: Some("192.0.2.1".parse().unwrap()), ..Stay::default() };
    for target in [Target::Session(nameless), Target::address("192.0.2.1".parse().unwrap())] {
        let fault = unix.read(&lab::order(Act::TerminateSession, target)).unwrap_err();
        assert!(matches!(fault, Fault::Unsupported(_)), "{fault}");
    }
    assert!(matches!(unix.read(&revoke(KeyId::new("AKIA000").unwrap())), Err(Fault::Unsupported(_))));

    // A host whose key is another is told nothing.
    let order = disable(ANNA);
    let known = planned(&mut *server.open(), &order);
    let hosts = server.path("stranger_hosts");
    let key = std::fs::read_to_string(server.path("other.pub")).unwrap();
    std::fs::write(&hosts, format!("[127.0.0.1]:{} {key}", server.ops)).unwrap();
    let mut unix = server.open_with(|f| f["via"]["ssh"]["known_hosts"] = serde_json::json!(hosts));
    assert!(matches!(unix.read(&order), Err(Fault::Unreachable(_))));
    assert!(matches!(unix.apply(&order, &known.seen), Err(Fault::Unreachable(_))));
    assert!(matches!(unix.verify(&order, &known), Effect::Unknown(_)));
    assert!(unix.doctor().iter().all(|a| a.able == Some(false)));
    assert_eq!(server.open().read(&order).unwrap(), known.seen);
}
