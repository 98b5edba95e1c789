//! The feed against those who read it: curl as a firewall's fetcher with nftables behind it, `taxii2-client`, and
//! `stix2-validator`.

use crate::lab::{self, Netns};
use portreeve_respond::act::Act;
use portreeve_respond::connector::{Control, Effect, Known, Order};
use portreeve_respond::connectors::edl::CONNECTOR;
use portreeve_respond::fault::Fault;
use portreeve_respond::feed::{Options, serve_feed};
use portreeve_respond::secret::Secret;
use portreeve_respond::target::Target;
use portreeve_respond::transport::server::{Identity, Server};
use std::path::Path;
use std::time::Duration;

fn edl(dir: &Path, consumers: &[&str]) -> Box<dyn Control> {
    lab::open(&CONNECTOR, serde_json::json!({"dir": dir, "consumers": consumers, "max_entries": 4}), &[])
}

fn block(what: &str) -> Order {
    lab::order(Act::BlockAddress, Target::address(what.parse().unwrap()))
}

fn put(control: &mut dyn Control, what: &str) -> (Order, Known) {
    let order = block(what);
    let seen = control.read(&order).unwrap();
    let ack = control.apply(&order, &seen).unwrap();
    (order, Known { seen, ack: Some(ack) })
}

/// A conditional fetch as `curl --etag-save --etag-compare` does it, from an address of loopback. Gives the status.
fn fetch(server: &Server, from: &str, dir: &Path, more: &[&str]) -> String {
    let etag = dir.join(format!("{from}.etag"));
    let (etag, out) = (etag.to_str().unwrap(), dir.join(format!("{from}.txt")));
    let url = format!("http://{}/edl/portreeve-ipv4.txt", server.address());
    let mut args = vec!["-s", "--interface", from, "--max-time", "10", "-w", "%{http_code}"];
    args.extend(["--etag-save", etag]);
    if Path::new(etag).exists() {
        args.extend(["--etag-compare", etag]);
    }
    args.extend(more);
    // A 304 leaves the file as it was.
    args.extend(["-o", out.to_str().unwrap(), &url]);
    lab::run("curl", &args)
}

/// The firewall: what was fetched becomes its set.
fn load(gw: &Netns, dir: &Path, from: &str) {
    let list = std::fs::read_to_string(dir.join(format!("{from}.txt"))).unwrap();
    let mut script = "add table inet fw\nadd set inet fw edl { type ipv4_addr; flags interval; }\n\
        add chain inet fw in { type filter hook input priority 0; }\nflush chain inet fw in\n\
        add rule inet fw in ip saddr @edl drop\nflush set inet fw edl\n"
        .to_owned();
    for line in list.lines() {
        script.push_str(&format!("add element inet fw edl {{ {line} }}\n"));
    }
    let path = dir.join("edl.nft");
    std::fs::write(&path, script).unwrap();
    gw.run(&["nft", "-f", path.to_str().unwrap()]);
}

#[test]
fn a_listed_address_is_out_once_the_firewalls_have_fetched_and_in_again_after_undo() {
    if !lab::can(&["ip", "nft", "ping", "curl"], true) {
        return;
    }
    let (feed, tmp) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (gw, attacker) = (Netns::new("gw"), Netns::new("at"));
    Netns::cable(&gw, "10.99.2.1/24", &attacker, "10.99.2.2/24");
    let server = serve_feed("127.0.0.1:0", feed.path(), Options::default()).unwrap();
    let (one, two) = ("127.0.0.2", "127.0.0.3");
    let mut control = edl(feed.path(), &[one, two]);
    assert_eq!(fetch(&server, one, tmp.path(), &[]), "200");
    load(&gw, tmp.path(), one);
    assert!(attacker.pings("10.99.2.1"));
    assert_eq!(fetch(&server, one, tmp.path(), &[]), "304");

    let (order, known) = put(control.as_mut(), "10.99.2.2");
    // The line is written and the attacker is in: the trap.
    load(&gw, tmp.path(), one);
    assert!(attacker.pings("10.99.2.1"));
    let effect = control.verify(&order, &known);
    assert!(
        matches!(&effect, Effect::Unknown(why) if why.contains("no firewall has fetched the list since: 127.0.0.2 (last at ")
        && why.contains("127.0.0.3 (never)")),
        "{effect:?}"
    );

    assert_eq!(fetch(&server, one, tmp.path(), &[]), "200");
    load(&gw, tmp.path(), one);
    assert!(!attacker.pings("10.99.2.1"));
    comes(
        control.as_mut(),
        &order,
        &known,
        |e| matches!(e, Effect::Unknown(why) if why.contains("127.0.0.3 (never) has not fetched")),
    );
    // A look at the head only, and a fetch by a stranger, show nothing.
    lab::run(
        "curl",
        &["-s", "-I", "--interface", two, &format!("http://{}/edl/portreeve-ipv4.txt", server.address())],
    );
    fetch(&server, "127.0.0.9", tmp.path(), &[]);
    assert!(matches!(control.verify(&order, &known), Effect::Unknown(_)));
    fetch(&server, two, tmp.path(), &[]);
    comes(
        control.as_mut(),
        &order,
        &known,
        |e| matches!(e, Effect::Effective(why) if why.contains(one) && why.contains(two)),
    );
    // A firewall that has the list is told so, and that is as good as a fetch.
    assert_eq!(fetch(&server, one, tmp.path(), &[]), "304");

    // Somebody takes the line out of the file by hand.
    std::fs::write(feed.path().join("portreeve-ipv4.txt"), "").unwrap();
    assert!(matches!(control.verify(&order, &known), Effect::NotEffective(_)));
    assert_eq!(
        fetch(&server, one, tmp.path(), &[]),
        "304",
        "the server makes the file good before it serves"
    );
    comes(control.as_mut(), &order, &known, |e| matches!(e, Effect::Effective(_)));

    // The same address for another case is in force by another hand, and its undo leaves it.
    let other = block("10.99.2.2");
    assert!(control.read(&other).unwrap().in_force);
    control.undo(&other, &Known::default()).unwrap();
    assert!(matches!(control.verify_undone(&other, &Known::default()), Effect::NotEffective(_)));

    control.undo(&order, &known).unwrap();
    assert!(
        matches!(control.verify_undone(&order, &known), Effect::Unknown(_)),
        "no firewall knows of it yet"
    );
    assert!(!attacker.pings("10.99.2.1"));
    for from in [one, two] {
        assert_eq!(fetch(&server, from, tmp.path(), &[]), "200");
    }
    load(&gw, tmp.path(), one);
    assert!(matches!(control.verify_undone(&order, &known), Effect::Effective(_)));
    assert!(attacker.pings("10.99.2.1"));
    control.undo(&order, &known).unwrap();
    assert!(control.doctor().iter().all(|a| a.able == Some(true)), "{:?}", control.doctor());
}

#[test]
fn two_changes_within_a_second_are_two_for_a_firewall_that_goes_by_time() {
    if !lab::can(&["curl"], false) {
        return;
    }
    let (feed, tmp) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = serve_feed("127.0.0.1:0", feed.path(), Options::default()).unwrap();
    let mut control = edl(feed.path(), &[]);
    put(control.as_mut(), "192.0.2.1");
    let url = format!("http://{}/edl/portreeve-ipv4.txt", server.address());
    let out = tmp.path().join("list");
    let out = out.to_str().unwrap();
    let get = |more: &[&str]| {
        let mut args = vec!["-s", "-w", "%{http_code} %header{last-modified}", "-o", out];
        args.extend(more);
        args.push(&url);
        lab::run("curl", &args)
    };
    let now = |text: &str| jiff::Timestamp::now().strftime(text).to_string();
    let date = "if-modified-since: %a, %d %b %Y %H:%M:%S GMT";
    let fetched = now(date);
    get(&[]);
    put(control.as_mut(), "192.0.2.2");
    assert!(get(&["-H", &fetched]).starts_with("200"), "what came after the fetch is sent");
    assert_eq!(std::fs::read_to_string(out).unwrap(), "192.0.2.1\n192.0.2.2\n");
    assert!(
        lab::until(std::time::Duration::from_secs(3), || get(&[]).len() > 4),
        "the time is told once it is past"
    );
    let told = get(&[]);
    let since = format!("if-modified-since: {}", &told[4..]);
    assert!(get(&["-H", &since]).starts_with("304"));
    put(control.as_mut(), "192.0.2.3");
    assert!(get(&["-H", &since]).starts_with("200"));
    // An entity tag goes before a date.
    let later = format!("if-modified-since: {}", "Fri, 31 Dec 2100 00:00:00 GMT");
    assert!(get(&["-H", "if-none-match: \"other\"", "-H", &later]).starts_with("200"));
    for (target, more) in
        [("/edl/", "404"), ("/edl/state.json", "404"), ("/edl/../state.json", "404"), ("/", "404")]
    {
        let url = format!("http://{}{target}", server.address());
        assert_eq!(
            lab::run("curl", &["-s", "--path-as-is", "-o", "/dev/null", "-w", "%{http_code}", &url]),
            more
        );
    }
    assert_eq!(lab::run("curl", &["-s", "-o", "/dev/null", "-w", "%{http_code}", "-d", "x", &url]), "405");
}

#[test]
fn limits_and_targets_are_refused_and_what_ran_out_leaves_the_list() {
    let feed = tempfile::tempdir().unwrap();
    let mut control = edl(feed.path(), &[]);
    assert!(matches!(control.read(&block("0.0.0.0/0")), Err(Fault::Unsupported(_))));
    assert!(matches!(control.read(&block("2000::/3")), Err(Fault::Unsupported(_))));
    let mut order = block("192.0.2.1");
    let seen = control.read(&order).unwrap();
    assert!(
        control.preview(&order, &seen).unwrap()[0]
            .contains("portreeve-ipv4.txt: the line `192.0.2.1`, until ")
    );
    control.apply(&order, &seen).unwrap();
    control.apply(&order, &seen).unwrap();
    assert_eq!(control.present().unwrap().unwrap().len(), 1, "sent twice is there once");
    let why = control.verify(&order, &Known::default());
    assert!(matches!(&why, Effect::Unknown(why) if why.contains("no consumer is configured")), "{why:?}");
    for n in 2..5 {
        put(control.as_mut(), &format!("192.0.2.{n}"));
    }
    assert!(matches!(control.read(&block("192.0.2.9")), Err(Fault::Refused(_))), "the list is full");
    assert!(control.apply(&block("192.0.2.9"), &seen).is_err());
    // Its end comes.
    order.until = Some(jiff::Timestamp::now().as_microsecond());
    control.apply(&order, &seen).unwrap();
    assert!(matches!(control.verify(&order, &Known::default()), Effect::NotEffective(_)));
    let server = serve_feed("127.0.0.1:0", feed.path(), Options::default()).unwrap();
    let list = std::fs::read_to_string(feed.path().join("portreeve-ipv4.txt")).unwrap();
    assert_eq!(list, "192.0.2.2\n192.0.2.3\n192.0.2.4\n");
    drop(server);
    assert!(CONNECTOR.can(Act::BlockAddress, order.target.kind()).is_some());
    let gone = (CONNECTOR.open)(&lab::settings(serde_json::json!({"dir": feed.path().join("no")}), &[]));
    assert!(matches!(gone, Err(Fault::Config(_))));
}

const CLIENT: &str = r#"
import os, sys, json
# The variable goes before the argument in requests, so it is set to the same.
os.environ["REQUESTS_CA_BUNDLE"] = sys.argv[2]
from taxii2client.v21 import Server, as_pages
from taxii2client.common import TokenAuth
from requests.exceptions import HTTPError
url, ca = sys.argv[1], sys.argv[2]
try:
    Server(url, verify=ca, user="fw", password="wrong").title
    sys.exit("a wrong password was taken")
except HTTPError as e:
    assert e.response.status_code == 401, e
server = Server(url, verify=ca, user="fw", password="s3:cret")
root = server.default
assert root.url == server.api_roots[0].url and "2.1" in root.versions[0]
(collection,) = root.collections
assert collection.can_read and not collection.can_write
everything = collection.get_objects()
ids = [o["id"] for o in everything["objects"]]
assert not everything.get("more") and len(ids) == len(set(ids)) == 4, ids
paged = [o["id"] for page in as_pages(collection.get_objects, per_request=2) for o in page.get("objects", [])]
assert paged == ids, (paged, ids)
manifest = collection.get_manifest()["objects"]
assert [m["id"] for m in manifest] == ids
last = manifest[-1]["date_added"]
assert collection.get_objects(added_after=last) == {}
assert len(collection.get_objects(added_after=manifest[0]["date_added"])["objects"]) == 3
assert [o["type"] for o in collection.get_objects(type="identity")["objects"]] == ["identity"]
one = [o for o in everything["objects"] if o.get("revoked")]
assert len(one) == 1 and one[0]["id"] == ids[-1], "what was taken back comes last"
assert collection.get_object(one[0]["id"])["objects"] == one
for bad in ({"limit": "0"}, {"limit": "x"}, {"next": "x"}, {"added_after": "x"}):
    try:
        collection._conn.get(collection.objects_url, params=bad, headers={"Accept": "application/taxii+json;version=2.1"})
        sys.exit("taken: %r" % bad)
    except HTTPError as e:
        assert e.response.status_code == 400, e
for status, path, accept in ((406, "/taxii2/", "text/html"), (404, "/taxii2/other/", "*/*"), (404, "/taxii2/portreeve/collections/x/objects/", "*/*")):
    r = collection._conn.session.get(url.split("/taxii2/")[0] + path, headers={"Accept": accept}, verify=ca)
    assert r.status_code == status and r.json()["http_status"] == str(status), r.text
token = Server(url, verify=ca, auth=TokenAuth("x"))
token._conn.session.auth = lambda r: (r.headers.__setitem__("Authorization", "Bearer t0ken"), r)[1]
assert token.title == "Portreeve"
print(json.dumps({"type": "bundle", "id": "bundle--0b1c6e61-6b8a-4e14-9a4e-5b5bbf1f4b11", "objects": everything["objects"]}))
"#;

fn python_has(module: &str) -> bool {
    lab::which("python3").is_some()
        && lab::output("python3", &["-c", &format!("import {module}")]).status.success()
}

#[test]
fn a_taxii_client_reads_the_collection_and_the_validator_finds_it_valid() {
    if !lab::can(&["python3"], false) {
        return;
    }
    if !python_has("taxii2client") || !python_has("stix2validator") {
        assert!(std::env::var_os("CI").is_none(), "CI lacks taxii2-client or stix2-validator");
        eprintln!("NOT SHOWN: this test needs taxii2-client and stix2-validator");
        return;
    }
    let (feed, tmp) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (tmp.path().join("cert.pem"), tmp.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let options = Options {
        tls: Some(Identity { cert: cert.clone(), key, client_ca: None }),
        bearer: Some(Secret::new("t0ken")),
        basic: Some(("fw".into(), Secret::new("s3:cret"))),
        ..Options::default()
    };
    let server = serve_feed("127.0.0.1:0", feed.path(), options).unwrap();
    let mut control = edl(feed.path(), &["127.0.0.1"]);
    let (order, known) = put(control.as_mut(), "192.0.2.7");
    put(control.as_mut(), "2001:db8:7::/64");
    put(control.as_mut(), "198.51.100.0/24");
    control.undo(&order, &known).unwrap();
    let url = format!("https://localhost:{}/taxii2/", server.address().port());
    let script = tmp.path().join("client.py");
    std::fs::write(&script, CLIENT).unwrap();
    let out = lab::run("python3", &[script.to_str().unwrap(), &url, cert.to_str().unwrap()]);
    let read = tmp.path().join("read.json");
    std::fs::write(&read, &out).unwrap();
    // Reading the collection to its end is a fetch.
    assert!(matches!(control.verify_undone(&order, &known), Effect::Effective(_)));
    let bundle = feed.path().join("portreeve-stix.json");
    let found = lab::output(
        "python3",
        &[
            "-c",
            "import sys\nfrom stix2validator import validate_file, ValidationOptions\nfor f in sys.argv[1:]:\n r=validate_file(f, ValidationOptions(version='2.1', strict=True))\n print(r.is_valid, [str(e) for e in (r.object_results and [e for o in r.object_results for e in o.errors + o.warnings] or [])])",
            bundle.to_str().unwrap(),
            read.to_str().unwrap(),
        ],
    );
    let said = lab::text(&found.stdout);
    assert_eq!(said, "True []\nTrue []\n", "{}", lab::text(&found.stderr));
    let text = std::fs::read_to_string(&bundle).unwrap();
    assert!(text.contains("[ipv6-addr:value ISSUBSET '2001:db8:7::/64']"), "{text}");
    assert!(text.contains("\"revoked\": true"), "{text}");
}

/// A fetch is written down behind its answer, so what it shows may come a moment later.
fn comes(control: &mut dyn Control, order: &Order, known: &Known, wanted: impl Fn(&Effect) -> bool) {
    let mut last = String::new();
    let shown = lab::until(Duration::from_secs(30), || {
        let effect = control.verify(order, known);
        last = format!("{effect:?}");
        wanted(&effect)
    });
    assert!(shown, "{last}");
}

#[test]
fn a_credential_is_not_shown_on_the_network_and_not_everybody_may_fetch() {
    let feed = tempfile::tempdir().unwrap();
    let with = |allow: &[&str], secret: bool| Options {
        bearer: secret.then(|| Secret::new("t")),
        allow: allow.iter().map(|a| a.parse().unwrap()).collect(),
        ..Options::default()
    };
    assert!(matches!(serve_feed("0.0.0.0:0", feed.path(), with(&[], true)), Err(Fault::Config(_))));
    if !lab::can(&["curl"], false) {
        return;
    }
    let server = serve_feed("127.0.0.1:0", feed.path(), with(&["127.0.0.2"], true)).unwrap();
    let url = format!("http://{}/edl/portreeve-ipv6.txt", server.address());
    let status = |from: &str, header: &str| {
        lab::run(
            "curl",
            &["-s", "-o", "/dev/null", "-w", "%{http_code}", "--interface", from, "-H", header, &url],
        )
    };
    assert_eq!(status("127.0.0.2", "authorization: Bearer t"), "200");
    assert_eq!(status("127.0.0.2", "authorization: Bearer u"), "401");
    assert_eq!(status("127.0.0.2", "authorization: Basic Og=="), "401");
    assert_eq!(status("127.0.0.3", "authorization: Bearer t"), "403");
    let mut control = edl(feed.path(), &["127.0.0.2", "127.0.0.3"]);
    // Written down behind the answers, as above.
    let mut why: Vec<String> = Vec::new();
    let told = lab::until(Duration::from_secs(30), || {
        why = control.doctor().into_iter().map(|a| a.why).collect();
        why[1].contains("status 401") && why[2].contains("status 403")
    });
    assert!(told, "{why:?}");
    // Whoever is refused stops enforcing what it had, so a refusal takes the proof away.
    let mut control = edl(feed.path(), &["127.0.0.2"]);
    let (order, known) = put(control.as_mut(), "2001:db8:7::/64");
    assert_eq!(status("127.0.0.2", "authorization: Bearer t"), "200");
    comes(control.as_mut(), &order, &known, |e| matches!(e, Effect::Effective(_)));
    assert_eq!(status("127.0.0.2", "authorization: Bearer u"), "401");
    comes(
        control.as_mut(),
        &order,
        &known,
        |e| matches!(e, Effect::Unknown(why) if why.contains("refused with 401")),
    );
    assert_eq!(status("127.0.0.2", "authorization: Bearer t"), "200");
    comes(control.as_mut(), &order, &known, |e| matches!(e, Effect::Effective(_)));
    std::fs::write(feed.path().join("state.json"), "{").unwrap();
    assert_eq!(
        status("127.0.0.2", "authorization: Bearer t"),
        "503",
        "an unreadable feed is not an empty one"
    );
}
