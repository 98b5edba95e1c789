//! A real domain controller (Samba AD) over LDAPS: the attacker binds with a stolen password and keeps a connection.

use crate::lab::{self, Daemon, Netns};
use crate::ldap::{self, Client, Pki};
use portreeve_respond::act::Act;
use portreeve_respond::connector::{Control, Effect, Known, Order};
use portreeve_respond::connectors::active_directory::CONNECTOR;
use portreeve_respond::fault::Fault;
use portreeve_respond::target::Target;
use portreeve_respond::value::UserName;
use std::path::{Path, PathBuf};
use std::time::Duration;

const URL: &str = "ldaps://127.0.0.1";
const STAFF: &str = "OU=Staff,DC=ex,DC=lan";
const STOLEN: &str = "St0len-Pass";

/// What is left when a test ends: nothing. The namespace goes after the server.
struct Domain {
    _server: Daemon,
    dir: tempfile::TempDir,
    pki: Pki,
    service: PathBuf,
    stolen: PathBuf,
    _ns: Netns,
}

fn dn(name: &str) -> String {
    format!("CN={name},{STAFF}")
}

fn quoted(password: &str) -> Vec<u8> {
    format!("\"{password}\"").encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn data(result: &ldap3::LdapResult) -> &str {
    result.text.split_once(", data ").map_or("", |(_, code)| code.split(',').next().unwrap())
}

impl Domain {
    fn start() -> Domain {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("dc");
        let pki = ldap::pki(dir.path(), "dc");
        lab::run(
            "samba-tool",
            &[
                "domain",
                "provision",
                "--realm=EX.LAN",
                "--domain=EX",
                "--adminpass=Adm1n-Pass",
                "--server-role=dc",
                "--dns-backend=NONE",
                "--host-name=dc1",
                "--host-ip=127.0.0.1",
                "--option=interfaces=lo",
                "--option=bind interfaces only=yes",
                &format!("--targetdir={}", root.display()),
            ],
        );
        let conf = root.join("etc/smb.conf");
        let tls = format!(
            "[global]\n\ttls keyfile = {}\n\ttls certfile = {}\n\ttls cafile = {}\n",
            pki.key.display(),
            pki.cert.display(),
            pki.ca.display()
        );
        let text = std::fs::read_to_string(&conf).unwrap().replacen("[global]\n", &tls, 1);
        std::fs::write(&conf, text).unwrap();
        let ns = Netns::new("dc");
        let conf = conf.display().to_string();
        let mut server = ns.spawn(
            &[
                "samba",
                "-i",
                "--debug-stdout",
                "-s",
                &conf,
                "--debuglevel=1",
                "--option=server services=ldap, kdc, rpc, winbindd",
            ],
            &dir.path().join("samba.log"),
        );
        ldap::enter(&ns);
        let up = lab::until(Duration::from_secs(30), || {
            std::net::TcpStream::connect(("127.0.0.1", 636)).is_ok() || !server.runs()
        });
        assert!(up && server.runs(), "{}", server.output());
        let service = lab::secret_file(dir.path(), "service", "Serv1ce-Pass\n");
        let stolen = lab::secret_file(dir.path(), "stolen", STOLEN);
        let domain = Domain { _server: server, dir, pki, service, stolen, _ns: ns };
        domain.people(&root);
        domain
    }

    fn people(&self, root: &Path) {
        let mut admin = self.admin();
        admin.add(STAFF, &[("objectClass", &["organizationalUnit"])]);
        self.person(&mut admin, "portreeve", "CN=Users,DC=ex,DC=lan", "Serv1ce-Pass", "512");
        let sid = self.sid(&mut admin, "CN=portreeve,CN=Users,DC=ex,DC=lan");
        // What a site would delegate: write userAccountControl and pwdLastSet, reset the password, of users.
        let user = "bf967aba-0de6-11d0-a285-00aa003049e2";
        let sddl: String = [
            ("WP", "bf967a68-0de6-11d0-a285-00aa003049e2"),
            ("WP", "bf967a0a-0de6-11d0-a285-00aa003049e2"),
            ("CR", "00299570-246d-11d0-a768-00aa006e0529"),
        ]
        .iter()
        .map(|(right, what)| format!("(OA;CIIO;{right};{what};{user};{sid})"))
        .collect();
        let base = format!("--objectdn={STAFF}");
        let ldb = root.join("private/sam.ldb").display().to_string();
        lab::run(
            "samba-tool",
            &["dsacl", "set", "-H", &ldb, &base, "--action=allow", &format!("--sddl={sddl}")],
        );
        for (name, control) in [("alice", "512"), ("bob", "512"), ("carol", "66048"), ("dave", "512")] {
            self.person(&mut admin, name, STAFF, STOLEN, control);
        }
        let member = dn("dave");
        let added = admin.set("CN=Helpers,OU=Staff,DC=ex,DC=lan", "member", &[member.as_bytes()]);
        assert_eq!(added.rc, 32, "no such group yet");
        admin.add(
            "CN=Helpers,OU=Staff,DC=ex,DC=lan",
            &[("objectClass", &["group"]), ("sAMAccountName", &["Helpers"]), ("member", &[&member])],
        );
        let admins = "CN=Domain Admins,CN=Users,DC=ex,DC=lan";
        let helpers = "CN=Helpers,OU=Staff,DC=ex,DC=lan".as_bytes();
        let nested = admin.0.modify(
            admins,
            vec![ldap3::Mod::Add(b"member".to_vec(), std::collections::HashSet::from([helpers.to_vec()]))],
        );
        assert_eq!(nested.unwrap().rc, 0);
    }

    fn person(&self, admin: &mut Client, name: &str, under: &str, password: &str, control: &str) {
        let dn = format!("CN={name},{under}");
        admin.add(
            &dn,
            &[
                ("objectClass", &["user"]),
                ("sAMAccountName", &[name]),
                ("userPrincipalName", &[&format!("{name}@ex.lan")]),
            ],
        );
        assert_eq!(admin.set(&dn, "unicodePwd", &[&quoted(password)]).rc, 0);
        assert_eq!(admin.set(&dn, "userAccountControl", &[control.as_bytes()]).rc, 0);
    }

    fn sid(&self, admin: &mut Client, dn: &str) -> String {
        let found = admin.0.search(dn, ldap3::Scope::Base, "(objectClass=*)", vec!["objectSid"]).unwrap();
        let entry = ldap3::SearchEntry::construct(found.0.into_iter().next().unwrap());
        let bytes = &entry.bin_attrs["objectSid"][0];
        let numbers: Vec<String> = bytes[8..]
            .chunks_exact(4)
            .map(|c| u32::from_le_bytes(c.try_into().unwrap()).to_string())
            .collect();
        format!("S-1-5-{}", numbers.join("-"))
    }

    fn admin(&self) -> Client {
        let mut client = Client::connect(URL, Some(&self.pki.ca));
        assert_eq!(client.bind("Administrator@ex.lan", "Adm1n-Pass").rc, 0);
        client
    }

    fn bind(&self, name: &str, password: &str) -> ldap3::LdapResult {
        Client::connect(URL, Some(&self.pki.ca)).bind(&format!("{name}@ex.lan"), password)
    }

    fn fields(&self) -> serde_json::Value {
        serde_json::json!({
            "server": {"url": URL, "ca": self.pki.ca, "bind": "portreeve@ex.lan"},
            "base": "DC=ex,DC=lan", "netbios": "EX", "canary": "alice", "probe": "bob",
        })
    }

    fn open_with(&self, change: impl FnOnce(&mut serde_json::Value)) -> Box<dyn Control> {
        let mut fields = self.fields();
        change(&mut fields);
        lab::open(&CONNECTOR, fields, &[("default", &self.service), ("canary", &self.stolen)])
    }

    fn open(&self) -> Box<dyn Control> {
        self.open_with(|_| {})
    }
}

fn order(act: Act, name: &str) -> Order {
    lab::order(act, Target::account(UserName::new(name).unwrap()))
}

fn planned(control: &mut dyn Control, order: &Order) -> Known {
    Known { seen: control.read(order).unwrap(), ack: None }
}

#[test]
fn a_domain_controller_obeys() {
    if !lab::can(&["ip", "samba", "samba-tool"], true) {
        return;
    }
    let domain = Domain::start();
    disabled_and_enabled_again(&domain);
    another_hand_is_left_alone(&domain);
    expired_and_unexpired(&domain);
    a_new_password_is_required(&domain);
    a_new_password_is_set(&domain);
    names_stay_in_their_place(&domain);
    privileged_accounts_are_told(&domain);
    the_credential_is_known(&domain);
}

fn disabled_and_enabled_again(domain: &Domain) {
    let mut standing = Client::connect(URL, Some(&domain.pki.ca));
    assert_eq!(standing.bind("alice@ex.lan", STOLEN).rc, 0);
    let mut ad = domain.open();
    let order = order(Act::DisableAccount, "EX\\alice");
    let known = planned(&mut *ad, &order);
    assert!(!known.seen.in_force && known.seen.also_hits.is_empty(), "{:?}", known.seen);
    assert_eq!(known.seen.ids[0], dn("alice"));
    let preview = ad.preview(&order, &known.seen).unwrap().join("\n");
    assert!(preview.contains("delete userAccountControl: 512; add userAccountControl: 514"), "{preview}");
    assert!(matches!(ad.verify(&order, &known), Effect::NotEffective(_)), "nothing was sent yet");

    ad.apply(&order, &known.seen).unwrap();
    match ad.verify(&order, &known) {
        Effect::Effective(why) => assert!(why.contains("a bind as the canary fails"), "{why}"),
        other => panic!("{other:?}"),
    }
    let refused = domain.bind("alice", STOLEN);
    assert_eq!((refused.rc, data(&refused)), (49, "533"));
    // What the page of the connector says it leaves open: the connection that stood still reads.
    assert_eq!(standing.sees(&dn("alice")), Ok(1));
    assert!(ad.apply(&order, &known.seen).is_ok(), "a second time does not hurt");
    assert!(ad.read(&order).unwrap().in_force);

    ad.undo(&order, &known).unwrap();
    assert!(matches!(ad.verify_undone(&order, &known), Effect::Effective(_)));
    ad.undo(&order, &known).unwrap();
    assert_eq!(domain.bind("alice", STOLEN).rc, 0, "let in again after undo");
    assert!(matches!(ad.verify(&order, &known), Effect::NotEffective(_)));
}

fn another_hand_is_left_alone(domain: &Domain) {
    let mut admin = domain.admin();
    let mut ad = domain.open();
    let order = order(Act::DisableAccount, "bob@ex.lan");
    let known = planned(&mut *ad, &order);
    assert_eq!(admin.set(&dn("bob"), "userAccountControl", &[b"66048"]).rc, 0);
    let fault = ad.apply(&order, &known.seen).unwrap_err();
    assert!(matches!(&fault, Fault::Refused(why) if why.contains("66048")), "{fault}");
    assert_eq!(domain.bind("bob", STOLEN).rc, 0);

    let known = planned(&mut *ad, &order);
    ad.apply(&order, &known.seen).unwrap();
    assert_eq!(admin.set(&dn("bob"), "userAccountControl", &[b"514"]).rc, 0);
    let fault = ad.undo(&order, &known).unwrap_err();
    assert!(matches!(&fault, Fault::Refused(why) if why.contains("another hand")), "{fault}");
    assert_eq!(data(&domain.bind("bob", STOLEN)), "533", "left as the other hand wanted it");
    assert_eq!(admin.set(&dn("bob"), "userAccountControl", &[b"512"]).rc, 0);
}

fn expired_and_unexpired(domain: &Domain) {
    // The delegation does not hold accountExpires.
    let order = order(Act::DisableAccount, "alice");
    let mut ad = domain.open_with(|f| f["method"] = "expire".into());
    let known = planned(&mut *ad, &order);
    let fault = ad.apply(&order, &known.seen).unwrap_err();
    assert!(matches!(fault, Fault::Credential(_)), "{fault}");
    assert_eq!(domain.bind("alice", STOLEN).rc, 0);
    let doctor = ad.doctor();
    assert_eq!(doctor[0].able, Some(false), "{doctor:?}");

    let password = lab::secret_file(domain.dir.path(), "admin", "Adm1n-Pass");
    let mut fields = domain.fields();
    fields["method"] = "expire".into();
    fields["server"]["bind"] = "Administrator@ex.lan".into();
    let mut ad = lab::open(&CONNECTOR, fields, &[("default", &password), ("canary", &domain.stolen)]);
    ad.apply(&order, &known.seen).unwrap();
    assert!(matches!(ad.verify(&order, &known), Effect::Effective(_)));
    assert_eq!(data(&domain.bind("alice", STOLEN)), "701");
    ad.undo(&order, &known).unwrap();
    assert!(matches!(ad.verify_undone(&order, &known), Effect::Effective(_)));
    assert_eq!(domain.bind("alice", STOLEN).rc, 0);
}

fn a_new_password_is_required(domain: &Domain) {
    let mut ad = domain.open();
    let require = order(Act::RequirePasswordChange, "alice");
    let known = planned(&mut *ad, &require);
    assert!(matches!(ad.verify(&require, &known), Effect::NotEffective(_)));
    ad.apply(&require, &known.seen).unwrap();
    let effect = ad.verify(&require, &known);
    assert!(matches!(effect, Effect::Effective(_)), "{effect:?}");
    assert_eq!(data(&domain.bind("alice", STOLEN)), "773");
    assert!(ad.read(&require).unwrap().in_force);
    ad.undo(&require, &known).unwrap();
    assert!(matches!(ad.verify_undone(&require, &known), Effect::Effective(_)));
    ad.undo(&require, &known).unwrap();
    assert_eq!(domain.bind("alice", STOLEN).rc, 0);

    // The naive way on an account whose password never expires: taken, and the attacker still binds.
    assert_eq!(domain.admin().set(&dn("carol"), "pwdLastSet", &[b"0"]).rc, 0);
    assert_eq!(domain.bind("carol", STOLEN).rc, 0);
    let fault = ad.read(&order(Act::RequirePasswordChange, "carol")).unwrap_err();
    assert!(matches!(&fault, Fault::Refused(why) if why.contains("never expires")), "{fault}");
}

fn a_new_password_is_set(domain: &Domain) {
    let mut ad = domain.open();
    let reset = order(Act::ResetPassword, "bob");
    let mut known = planned(&mut *ad, &reset);
    assert!(!ad.preview(&reset, &known.seen).unwrap().join("").contains("aA7-"));
    assert!(matches!(ad.verify(&reset, &known), Effect::NotEffective(_)), "nothing was sent yet");
    let ack = ad.apply(&reset, &known.seen).unwrap();
    let new = ack.handover.clone().unwrap();
    assert!(!format!("{ack:?}").contains(new.expose()));
    assert!(!serde_json::to_string(&ack).unwrap().contains(new.expose()));
    known.ack = Some(ack);
    // The trap: the password that was stolen binds as well, and verify says so.
    assert_eq!(domain.bind("bob", STOLEN).rc, 0);
    assert_eq!(domain.bind("bob", new.expose()).rc, 0);
    match ad.verify(&reset, &known) {
        Effect::Effective(why) => assert!(why.contains("may still sign in for up to 60 minutes"), "{why}"),
        other => panic!("{other:?}"),
    }
    // Without the password at hand, after a restart, the time tells.
    let forgotten = Known { ack: None, ..known.clone() };
    assert!(matches!(ad.verify(&reset, &forgotten), Effect::Effective(_)));
    // Disabled first, it does not matter.
    let disable = order(Act::DisableAccount, "bob");
    let shut = planned(&mut *ad, &disable);
    ad.apply(&disable, &shut.seen).unwrap();
    assert_eq!(data(&domain.bind("bob", STOLEN)), "533");
    match ad.verify(&reset, &known) {
        Effect::Effective(why) => assert!(why.contains("signs nobody in"), "{why}"),
        other => panic!("{other:?}"),
    }
    ad.undo(&disable, &shut).unwrap();
    // Whoever sets another password after us is seen, though the time is later than before.
    assert_eq!(domain.admin().set(&dn("bob"), "unicodePwd", &[&quoted("An0ther-Pass")]).rc, 0);
    assert_eq!(domain.admin().set(&dn("bob"), "unicodePwd", &[&quoted("An0ther-Pass2")]).rc, 0);
    assert!(matches!(ad.verify(&reset, &known), Effect::NotEffective(_)));
    assert!(matches!(ad.undo(&reset, &known), Err(Fault::Unsupported(_))));
}

fn names_stay_in_their_place(domain: &Domain) {
    let mut ad = domain.open();
    for name in [
        "*",
        "alic*",
        "alice)(cn=*",
        "a\"lice",
        "<alice>",
        "al&ice",
        "../alice",
        "alice\\",
        "*@ex.lan",
        "nobody",
        "OTHER\\alice",
        "dc1$",
    ] {
        let fault = ad.read(&order(Act::DisableAccount, name)).unwrap_err();
        assert!(matches!(fault, Fault::NotFound(_)), "{name}: {fault}");
    }
    assert!(UserName::new("alice\n").is_err());
    // Two accounts that claim one UPN: none is chosen.
    let mut admin = domain.admin();
    assert_eq!(admin.set(&dn("carol"), "userPrincipalName", &[b"twin@ex.lan"]).rc, 0);
    if admin.set(&dn("dave"), "userPrincipalName", &[b"twin@ex.lan"]).rc == 0 {
        let fault = ad.read(&order(Act::DisableAccount, "twin@ex.lan")).unwrap_err();
        assert!(matches!(fault, Fault::Ambiguous(_)), "{fault}");
    }
    let address = Target::address("192.0.2.1".parse().unwrap());
    let fault = ad.read(&lab::order(Act::DisableAccount, address)).unwrap_err();
    assert!(matches!(fault, Fault::Unsupported(_)), "{fault}");
}

fn privileged_accounts_are_told(domain: &Domain) {
    let mut ad = domain.open();
    // By way of a group in a group.
    let seen = ad.read(&order(Act::DisableAccount, "dave")).unwrap();
    assert!(seen.also_hits.iter().any(|h| h.contains("Domain Admins")), "{seen:?}");
    assert!(seen.says.contains("privileged"), "{seen:?}");
    let seen = ad.read(&order(Act::DisableAccount, "Administrator")).unwrap();
    assert!(seen.also_hits.iter().any(|h| h.contains("built-in Administrator")), "{seen:?}");
    for (name, why) in [("krbtgt", "whole domain"), ("portreeve", "itself"), ("portreeve@ex.lan", "itself")] {
        match ad.read(&order(Act::DisableAccount, name)) {
            Err(Fault::Refused(said)) => assert!(said.contains(why), "{said}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}

fn the_credential_is_known(domain: &Domain) {
    let alice = order(Act::DisableAccount, "alice");
    let doctor = domain.open().doctor();
    let able: Vec<Option<bool>> = doctor.iter().map(|a| a.able).collect();
    assert_eq!(able, [Some(true), Some(true), None], "{doctor:?}");

    // StartTLS on the plain port, with the same authority.
    let mut ad = domain.open_with(|f| {
        f["server"]["url"] = "ldap://127.0.0.1".into();
        f["server"]["starttls"] = true.into();
    });
    assert!(ad.read(&alice).is_ok());
    // Another authority's certificate is not believed, and nothing was sent.
    let stranger = ldap::pki(domain.dir.path(), "stranger");
    let mut ad = domain.open_with(|f| f["server"]["ca"] = serde_json::json!(stranger.ca));
    let fault = ad.read(&alice).unwrap_err();
    assert!(matches!(&fault, Fault::Unreachable(why) if why.contains("ertificate")), "{fault}");
    // Nobody there: reading says unknown, never effective.
    let mut ad = domain.open_with(|f| f["server"]["url"] = "ldaps://127.0.0.1:9".into());
    assert!(matches!(ad.read(&alice), Err(Fault::Unreachable(_))));
    assert!(matches!(ad.verify(&alice, &Known::default()), Effect::Unknown(_)));
    let wrong = lab::secret_file(domain.dir.path(), "wrong", "no");
    let mut ad = lab::open(&CONNECTOR, domain.fields(), &[("default", &wrong)]);
    let fault = ad.read(&alice).unwrap_err();
    assert!(matches!(&fault, Fault::Credential(why) if why.contains("wrong password")), "{fault}");
    assert!(ad.doctor().iter().all(|a| a.able == Some(false)));
}
