//! A real slapd with the ppolicy overlay.

use crate::lab::{self, Daemon};
use crate::ldap::{self, Client, Line, Pki};
use portreeve_respond::act::Act;
use portreeve_respond::connector::{Control, Effect, Known, Order};
use portreeve_respond::connectors::openldap::CONNECTOR;
use portreeve_respond::fault::Fault;
use portreeve_respond::secret::Secret;
use portreeve_respond::target::Target;
use portreeve_respond::transport::ldap::{Directory, Filter};
use portreeve_respond::value::UserName;
use std::path::PathBuf;
use std::time::Duration;

const BASE: &str = "dc=ex,dc=com";
const LOCKED: &str = "pwdAccountLockedTime";
const STOLEN: &str = "stolen";

struct Server {
    _slapd: Daemon,
    dir: tempfile::TempDir,
    pki: Pki,
    plain: String,
    url: String,
    service: PathBuf,
}

fn dn(name: &str) -> String {
    format!("uid={name},{BASE}")
}

impl Server {
    fn start() -> Server {
        let dir = tempfile::tempdir().unwrap();
        let pki = ldap::pki(dir.path(), "ldap");
        let (plain, tls) = (lab::port(), lab::port());
        let db = dir.path().join("db");
        std::fs::create_dir(&db).unwrap();
        let modules = ["/usr/lib/ldap", "/usr/lib64/openldap", "/usr/libexec/openldap"]
            .into_iter()
            .find(|p| std::path::Path::new(p).is_dir())
            .unwrap();
        let conf = format!(
            "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n\
             include /etc/ldap/schema/inetorgperson.schema\nmodulepath {modules}\nmoduleload back_mdb\n\
             moduleload ppolicy\nTLSCACertificateFile {}\nTLSCertificateFile {}\nTLSCertificateKeyFile {}\n\
             database mdb\nsuffix \"{BASE}\"\nrootdn \"cn=admin,{BASE}\"\nrootpw root-secret\ndirectory {}\n\
             dbnosync\noverlay ppolicy\nppolicy_default \"cn=default,ou=policies,{BASE}\"\n\
             access to attrs={LOCKED} by dn.exact=\"cn=portreeve,{BASE}\" write by users read\n\
             access to attrs=userPassword by self write by anonymous auth by * none\n\
             access to * by users read\n",
            pki.ca.display(),
            pki.cert.display(),
            pki.key.display(),
            db.display(),
        );
        let file = dir.path().join("slapd.conf");
        std::fs::write(&file, conf).unwrap();
        let (plain, url) = (format!("ldap://127.0.0.1:{plain}"), format!("ldaps://127.0.0.1:{tls}"));
        let mut slapd = Daemon::spawn(
            "slapd",
            &["-h", &format!("{plain} {url}"), "-f", &file.display().to_string(), "-d", "0"],
            &dir.path().join("log"),
        );
        let up = lab::until(Duration::from_secs(10), || {
            std::net::TcpStream::connect(("127.0.0.1", tls)).is_ok() || !slapd.runs()
        });
        assert!(up && slapd.runs(), "{}", slapd.output());
        let service = lab::secret_file(dir.path(), "service", "service-secret\n");
        let server = Server { _slapd: slapd, dir, pki, plain, url, service };
        let mut admin = server.admin();
        admin.add(BASE, &[("objectClass", &["dcObject", "organization"]), ("o", &["ex"]), ("dc", &["ex"])]);
        admin.add(&format!("ou=policies,{BASE}"), &[("objectClass", &["organizationalUnit"])]);
        for (name, lockout) in [("default", "TRUE"), ("lax", "FALSE")] {
            admin.add(
                &format!("cn={name},ou=policies,{BASE}"),
                &[
                    ("objectClass", &["device", "pwdPolicy"]),
                    ("pwdAttribute", &["userPassword"]),
                    ("pwdLockout", &[lockout]),
                    ("pwdMustChange", &["TRUE"]),
                    ("pwdLockoutDuration", &["60"]),
                ],
            );
        }
        admin.add(
            &format!("cn=portreeve,{BASE}"),
            &[
                ("objectClass", &["inetOrgPerson"]),
                ("sn", &["p"]),
                ("uid", &["portreeve"]),
                ("userPassword", &["service-secret"]),
            ],
        );
        for name in ["alice", "bob", "lax", "a*)(uid=b"] {
            // Written by the encoder of the crate under test, which its own tests hold to RFC 4514.
            let dn = dn(&portreeve_respond::encode::ldap::dn(name));
            admin.add(
                &dn,
                &[
                    ("objectClass", &["inetOrgPerson"]),
                    ("cn", &[name]),
                    ("sn", &[name]),
                    ("userPassword", &[STOLEN]),
                ],
            );
        }
        let lax = format!("cn=lax,ou=policies,{BASE}");
        assert_eq!(admin.set(&dn("lax"), "pwdPolicySubentry", &[lax.as_bytes()]).rc, 0);
        server
    }

    fn admin(&self) -> Client {
        let mut client = Client::connect(&self.plain, None);
        assert_eq!(client.bind(&format!("cn=admin,{BASE}"), "root-secret").rc, 0);
        client
    }

    fn bind(&self, name: &str) -> u32 {
        Client::connect(&self.plain, None).bind(&dn(name), STOLEN).rc
    }

    fn fields(&self) -> serde_json::Value {
        serde_json::json!({
            "server": {"url": self.url, "ca": self.pki.ca, "bind": format!("cn=portreeve,{BASE}")},
            "base": BASE, "default_policy": format!("cn=default,ou=policies,{BASE}"),
        })
    }

    fn open_with(&self, change: impl FnOnce(&mut serde_json::Value)) -> Box<dyn Control> {
        let mut fields = self.fields();
        change(&mut fields);
        let stolen = lab::secret_file(self.dir.path(), "stolen", STOLEN);
        lab::open(&CONNECTOR, fields, &[("default", &self.service), ("canary", &stolen)])
    }
}

fn order(name: &str) -> Order {
    lab::order(Act::DisableAccount, Target::account(UserName::new(name).unwrap()))
}

fn planned(control: &mut dyn Control, order: &Order) -> Known {
    Known { seen: control.read(order).unwrap(), ack: None }
}

#[test]
fn an_account_is_locked_and_unlocked() {
    if !lab::can(&["slapd"], false) {
        return;
    }
    let server = Server::start();
    let mut standing = Client::connect(&server.plain, None);
    assert_eq!(standing.bind(&dn("alice"), STOLEN).rc, 0);
    // The naive way, "force a new password": taken, and the bind by which a gateway asks still succeeds.
    assert_eq!(server.admin().set(&dn("alice"), "pwdReset", &[b"TRUE"]).rc, 0);
    assert_eq!(server.bind("alice"), 0);
    assert_eq!(server.admin().set(&dn("alice"), "pwdReset", &[]).rc, 0);

    let mut slapd = server.open_with(|f| f["canary"] = "alice".into());
    let order = order("alice");
    let known = planned(&mut *slapd, &order);
    assert!(!known.seen.in_force);
    assert!(matches!(slapd.verify(&order, &known), Effect::NotEffective(_)), "nothing was sent yet");
    assert!(
        slapd.preview(&order, &known.seen).unwrap()[0].ends_with("add pwdAccountLockedTime: 000001010000Z")
    );
    slapd.apply(&order, &known.seen).unwrap();
    match slapd.verify(&order, &known) {
        Effect::Effective(why) => assert!(why.contains("a bind as the canary fails"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(server.bind("alice"), 49);
    // What the page says it leaves open.
    assert_eq!(standing.sees(&dn("alice")), Ok(1));
    slapd.apply(&order, &known.seen).unwrap();
    assert!(slapd.read(&order).unwrap().in_force);

    slapd.undo(&order, &known).unwrap();
    assert!(matches!(slapd.verify_undone(&order, &known), Effect::Effective(_)));
    slapd.undo(&order, &known).unwrap();
    assert_eq!(server.bind("alice"), 0, "let in again after undo");
}

#[test]
fn an_earlier_lock_comes_back_and_another_hand_is_left_alone() {
    if !lab::can(&["slapd"], false) {
        return;
    }
    let server = Server::start();
    let mut slapd = server.open_with(|_| {});
    let order = order("bob");
    // A lock of the policy itself, which lapsed long ago.
    let earlier = b"20200101000000Z".as_slice();
    assert_eq!(server.admin().set(&dn("bob"), LOCKED, &[earlier]).rc, 0);
    let known = planned(&mut *slapd, &order);
    assert!(!known.seen.in_force);
    slapd.apply(&order, &known.seen).unwrap();
    assert!(matches!(slapd.verify(&order, &known), Effect::Effective(_)));
    assert_eq!(server.bind("bob"), 49);
    slapd.undo(&order, &known).unwrap();
    assert!(matches!(slapd.verify_undone(&order, &known), Effect::Effective(_)));
    assert_eq!(slapd.read(&order).unwrap().before, known.seen.before);
    assert_eq!(server.bind("bob"), 0);

    // Changed between plan and act; changed between act and undo. (slapd took the lapsed lock away with that bind.)
    assert_eq!(server.admin().set(&dn("bob"), LOCKED, &[earlier]).rc, 0);
    let known = planned(&mut *slapd, &order);
    assert_eq!(server.admin().set(&dn("bob"), LOCKED, &[]).rc, 0);
    assert!(matches!(slapd.apply(&order, &known.seen), Err(Fault::Refused(_))));
    let known = planned(&mut *slapd, &order);
    slapd.apply(&order, &known.seen).unwrap();
    assert_eq!(server.admin().set(&dn("bob"), LOCKED, &[b"20300101000000Z"]).rc, 0);
    assert!(matches!(slapd.undo(&order, &known), Err(Fault::Refused(_))));
    assert!(matches!(slapd.verify_undone(&order, &known), Effect::NotEffective(_)));
}

#[test]
fn a_lock_that_the_policy_ignores_is_told() {
    if !lab::can(&["slapd"], false) {
        return;
    }
    let server = Server::start();
    let mut slapd = server.open_with(|_| {});
    // The naive way under a policy without lockout: taken, and the bind succeeds.
    assert_eq!(server.admin().set(&dn("lax"), LOCKED, &[b"000001010000Z"]).rc, 0);
    assert_eq!(server.bind("lax"), 0);
    assert!(matches!(slapd.read(&order("lax")), Err(Fault::Refused(_))));

    // The policy changes after the lock.
    let alice = order("alice");
    let known = planned(&mut *slapd, &alice);
    slapd.apply(&alice, &known.seen).unwrap();
    assert!(matches!(slapd.verify(&alice, &known), Effect::Effective(_)));
    // Without the name of the default policy nothing can be said.
    let mut without = server.open_with(|f| {
        f.as_object_mut().unwrap().remove("default_policy");
    });
    assert!(matches!(without.verify(&alice, &known), Effect::Unknown(_)));
    let policy = format!("cn=default,ou=policies,{BASE}");
    assert_eq!(server.admin().set(&policy, "pwdLockout", &[b"FALSE"]).rc, 0);
    assert_eq!(server.bind("alice"), 0);
    assert!(matches!(slapd.verify(&alice, &known), Effect::NotEffective(_)));
    assert_eq!(slapd.doctor()[1].able, Some(false));
    // A canary's bind decides, whatever is configured.
    let mut with = server.open_with(|f| {
        f["canary"] = "alice".into();
        f.as_object_mut().unwrap().remove("default_policy");
    });
    assert!(matches!(with.verify(&alice, &known), Effect::NotEffective(_)));
}

#[test]
fn names_connections_and_credentials_are_what_they_are_said_to_be() {
    if !lab::can(&["slapd"], false) {
        return;
    }
    let server = Server::start();
    let mut slapd = server.open_with(|_| {});
    for name in ["*", "al*", "alice)(uid=*", "a\"", "<alice>", "a&b", "../alice", "alice\\", "nobody"] {
        let fault = slapd.read(&order(name)).unwrap_err();
        assert!(matches!(fault, Fault::NotFound(_)), "{name}: {fault}");
    }
    // A person with such a name is that person alone.
    let hostile = order("a*)(uid=b");
    let known = planned(&mut *slapd, &hostile);
    slapd.apply(&hostile, &known.seen).unwrap();
    assert!(matches!(slapd.verify(&hostile, &known), Effect::Effective(_)));
    assert_eq!((server.bind("bob"), server.bind("alice")), (0, 0));

    // Twins in two places: none is chosen. Planned for one entry, another stands there now: refused.
    let mut admin = server.admin();
    let bob = planned(&mut *slapd, &order("bob"));
    admin.add(
        &format!("uid=bob,ou=policies,{BASE}"),
        &[("objectClass", &["inetOrgPerson"]), ("cn", &["b"]), ("sn", &["b"])],
    );
    assert!(matches!(slapd.read(&order("bob")), Err(Fault::Ambiguous(_))));
    assert_eq!(admin.0.delete(&dn("bob")).unwrap().rc, 0);
    admin.add(&dn("bob"), &[("objectClass", &["inetOrgPerson"]), ("cn", &["b"]), ("sn", &["b"])]);
    assert!(matches!(slapd.apply(&order("bob"), &bob.seen), Err(Fault::Refused(_))));
    assert!(matches!(slapd.read(&order("portreeve")), Err(Fault::Refused(_))));

    let alice = order("alice");
    let mut starttls = server.open_with(|f| {
        f["server"]["url"] = server.plain.clone().into();
        f["server"]["starttls"] = true.into();
    });
    let known = planned(&mut *starttls, &alice);
    let stranger = ldap::pki(server.dir.path(), "stranger");
    let mut other = server.open_with(|f| f["server"]["ca"] = serde_json::json!(stranger.ca));
    assert!(matches!(other.read(&alice), Err(Fault::Unreachable(_))));
    // Who may read but not write is told so, and nothing changed.
    let stolen = lab::secret_file(server.dir.path(), "reader", STOLEN);
    let mut fields = server.fields();
    fields["server"]["bind"] = format!("uid=lax,{BASE}").into();
    let mut reader = lab::open(&CONNECTOR, fields, &[("default", &stolen)]);
    assert!(matches!(reader.apply(&alice, &known.seen), Err(Fault::Credential(_))));
    assert_eq!(server.bind("alice"), 0);
    let wrong = lab::secret_file(server.dir.path(), "wrong", "no");
    let mut wrong = lab::open(&CONNECTOR, server.fields(), &[("default", &wrong)]);
    assert!(matches!(wrong.read(&alice), Err(Fault::Credential(_))));
    assert!(wrong.doctor().iter().all(|a| a.able == Some(false)));
}

#[test]
fn a_search_follows_every_page_and_stops_at_its_bound() {
    if !lab::can(&["slapd"], false) {
        return;
    }
    let server = Server::start();
    let mut admin = server.admin();
    let mut add = |from: usize, to: usize| {
        for n in from..to {
            admin.add(&format!("cn=d{n},{BASE}"), &[("objectClass", &["device"]), ("ou", &["many"])]);
        }
    };
    add(0, 450);
    let directory: Directory =
        serde_json::from_value(serde_json::json!({"url": server.plain, "bind": format!("cn=admin,{BASE}")}))
            .unwrap();
    let mut ldap = directory.open(&Secret::new("root-secret")).unwrap();
    let many = Filter::all(&[("ou", "many")]).unwrap();
    assert_eq!(ldap.search(BASE, &many, &["cn"]).unwrap().len(), 450);
    add(450, 1_001);
    assert!(matches!(ldap.search(BASE, &many, &["cn"]), Err(Fault::Ambiguous(_))));
}

#[test]
fn an_answer_that_got_lost_is_not_taken_for_a_failure() {
    if !lab::can(&["slapd"], false) {
        return;
    }
    let server = Server::start();
    let port: u16 = server.plain.rsplit_once(':').unwrap().1.parse().unwrap();
    for (name, line) in [("alice", Line::Breaks), ("bob", Line::IsSilent)] {
        let bad = ldap::bad_line(port, line);
        let mut slapd = server.open_with(|f| {
            f["server"] = serde_json::json!({
                "url": format!("ldap://127.0.0.1:{bad}"), "bind": format!("cn=portreeve,{BASE}"), "timeout": 2,
            });
        });
        let order = order(name);
        let known = planned(&mut *slapd, &order);
        let fault = slapd.apply(&order, &known.seen).unwrap_err();
        assert!(fault.may_have_acted(), "{name}: {fault}");
        // Only reading tells: it worked.
        assert!(matches!(slapd.verify(&order, &known), Effect::Effective(_)), "{name}");
        assert_eq!(server.bind(name), 49);
    }
}
