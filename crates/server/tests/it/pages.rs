//! The pages over a service that has read the sample: every one answers, every form does what it says and leads back,
//! and nothing comes in from elsewhere.

use super::browser::{Answer, Browser, code, signed_in};
use super::site::{acme, config, judged, start};
use portreeve_server::Service;
use std::path::Path;

const FORM: &str = "application/x-www-form-urlencoded";
const GOOD: &str = "seven+herons+over+the+lake";

/// A service that has read the sample's logs of Windows and Linux.
pub(crate) async fn read(dir: &Path) -> Service {
    read_with(dir, "").await
}

/// The same, with more in its configuration.
pub(crate) async fn read_with(dir: &Path, more: &str) -> Service {
    let logs = acme().join("logs");
    let whole = format!("{}/cloudtrail/**/*", logs.display());
    let all = format!("{}/**/*", logs.display());
    let doors = format!("[[doors.follow]]\npaths = [{all:?}]\nwhole = [{whole:?}]\nonce = true\n{more}");
    let mut config = config(&acme().join("context"), &doors);
    config.web.public_url = Some("http://127.0.0.1:9".to_owned());
    let service = start(dir, config).await;
    let mut number = 0;
    records(&logs, &mut number);
    judged(&service.app, number).await;
    service
}

fn records(dir: &Path, number: &mut u64) {
    for entry in std::fs::read_dir(dir).expect("the sample") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            records(&path, number);
            continue;
        }
        let count = &mut |_: &[u8], _: u32, _: u64| {
            *number += 1;
            true
        };
        assert!(portreeve_pipeline::live::split(&path, count).expect("a file").is_empty());
    }
}

pub(crate) fn encoded(text: &str) -> String {
    let byte =
        |b: u8| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") };
    text.bytes().map(byte).collect()
}

/// Sends a form as a page does: with the token of the session and the way back.
pub(crate) fn send(browser: &mut Browser, path: &str, fields: &[(&str, &str)]) -> Answer {
    let csrf = browser.csrf.clone().unwrap_or_default();
    let mut body = format!("csrf_token={}&back=%2Fqueue%3Fcase%3D1", encoded(&csrf));
    for (name, value) in fields {
        body.push_str(&format!("&{name}={}", encoded(value)));
    }
    let held = browser.csrf.take();
    let answer = browser.send("POST", path, Some((FORM, &body)));
    browser.csrf = held;
    answer
}

pub(crate) fn page(browser: &mut Browser, path: &str) -> Answer {
    browser.send("GET", path, None)
}

/// The value of a field of a form on the page.
pub(crate) fn field(text: &str, form: &str, name: &str) -> String {
    let from = text.find(&format!("action=\"{form}\"")).unwrap_or_else(|| panic!("no form {form}: {text}"));
    let rest = &text[from..];
    let at = rest.find(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("no {name} in {form}"));
    let rest = &rest[at + name.len() + 15..];
    rest[..rest.find('"').expect("an end")].to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_answers_and_a_case_is_worked_on_from_its_page() {
    let dir = tempfile::tempdir().expect("a folder");
    let service = read(dir.path()).await;
    let mut nobody = Browser::new(&service);
    for path in ["/", "/queue", "/cases/1", "/search?q=x", "/people", "/webhooks", "/account", "/no/such"] {
        let answer = page(&mut nobody, path);
        assert_eq!(answer.status, 303, "{path}");
        let to = &answer.headers["location"];
        assert!(to.starts_with("/sign-in") || path == "/" && to == "/queue", "{path} leads to {to}");
    }
    let mut anna = signed_in(&service, "anna", &["l1", "t2"]);
    let mut admin = signed_in(&service, "bert", &["responder-admin"]);
    let queue = page(&mut anna, "/queue?queue=escalate");
    assert_eq!(queue.status, 200, "{}", queue.text);
    assert!(queue.headers["content-security-policy"].contains("script-src 'self'"));
    let rows = queue.text.matches("<tr data-case=").count();
    let waiting = anna.get("/cases?queue=escalate").json()["cases"].as_array().map(Vec::len);
    assert!(rows > 3 && Some(rows) == waiting, "{rows} {waiting:?}");
    let number = queue.text.split("data-case=\"").nth(1).and_then(|t| t.split('"').next()).expect("a row");
    let number: i64 = number.parse().expect("a number");
    let at = format!("/cases/{number}");
    for path in [
        "/queue",
        "/queue?standing=closed",
        &at,
        "/search?q=user%3Aanna",
        "/sources",
        "/dead-letters",
        "/account",
        "/tokens",
    ] {
        let answer = page(&mut anna, path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        assert!(!answer.text.contains("\\u{") && answer.text.ends_with("</html>"), "{path}");
    }
    for path in ["/people", "/sources", "/tokens", "/webhooks"] {
        assert_eq!(page(&mut admin, path).status, 200, "{path}");
    }
    let mut dora = signed_in(&service, "dora", &["auditor"]);
    assert!(page(&mut dora, "/audit").text.contains("case.read"));
    let verified = send(&mut dora, "/audit/verify", &[]);
    assert!(verified.text.contains("none changed"), "{}", verified.text);
    assert_eq!(page(&mut anna, "/audit").status, 403);
    // What somebody may not see looks like nothing.
    assert_eq!(page(&mut admin, &at).status, page(&mut admin, "/cases/999999").status);
    assert_eq!(page(&mut anna, "/people").status, 403);
    assert_eq!(page(&mut anna, "/webhooks").status, 403);
    assert_eq!(page(&mut anna, "/cases/999999").status, 404);
    assert_eq!(page(&mut anna, "/queue?after=nonsense").status, 422);

    // The case has its steps and its deadlines.
    let case = page(&mut anna, &at);
    assert!(
        case.text.contains("acknowledge") && case.text.contains("Validate that the remote access"),
        "{}",
        case.text
    );
    let revision = field(&case.text, &format!("{at}/assign"), "revision");
    let taken = send(&mut anna, &format!("{at}/assign"), &[("revision", &revision), ("owner", "me")]);
    assert_eq!((taken.status, taken.headers["location"].as_str()), (303, "/queue?case=1"));
    let said = page(&mut anna, "/queue");
    assert!(
        said.text.contains(&format!("Case {number} is anna&#x27;s")) || said.text.contains("is anna&#39;s"),
        "{}",
        said.text
    );
    // Shown once, with the way to take it back.
    let undo = format!("{at}/assign");
    let back = field(&said.text[said.text.find("id=\"undo\"").expect("an undo") - 40..], &undo, "owner");
    assert_eq!(back, "nobody");
    assert!(!page(&mut anna, "/queue").text.contains("id=\"undo\""));
    let stale = send(&mut anna, &format!("{at}/assign"), &[("revision", &revision), ("owner", "nobody")]);
    assert_eq!(stale.status, 409, "{}", stale.text);
    assert!(stale.text.contains("<h1>Conflict</h1>") && stale.text.contains("href=\"/queue?case=1\""));
    let hostile = "<img src=x onerror=alert(1)>\u{202e}";
    let note = send(&mut anna, &format!("{at}/notes"), &[("body", hostile)]);
    assert_eq!(note.status, 303);
    let case = page(&mut anna, &at);
    assert!(case.text.contains("&#60;img src=x") || case.text.contains("&lt;img src=x"), "{}", case.text);
    assert!(!case.text.contains("<img") && !case.text.contains('\u{202e}'));
    let revision = field(&case.text, &format!("{at}/escalate"), "revision");
    let up = send(
        &mut anna,
        &format!("{at}/escalate"),
        &[("revision", &revision), ("reason", "more than L1 sees")],
    );
    assert_eq!(up.status, 303, "{}", up.text);
    assert_eq!(anna.get(&at).json()["case"]["tier"], "t2");
    let step = page(&mut anna, &at);
    let revision = field(&step.text, &format!("{at}/tasks"), "revision");
    let id = field(&step.text, &format!("{at}/tasks"), "step");
    let unfound = [("revision", revision.as_str()), ("step", &id), ("state", "done"), ("finding", "")];
    assert_eq!(
        send(&mut anna, &format!("{at}/tasks"), &unfound).status,
        422,
        "a step is done with a finding"
    );
    let found =
        [("revision", revision.as_str()), ("step", &id), ("state", "done"), ("finding", "she denies it")];
    assert_eq!(send(&mut anna, &format!("{at}/tasks"), &found).status, 303);
    let handed = page(&mut anna, &format!("{at}/hand-over"));
    assert_eq!(handed.headers["content-type"], "text/markdown; charset=utf-8");
    assert!(handed.text.contains("she denies it") && handed.text.contains("&lt;img"), "{}", handed.text);
    let revision = anna.get(&at).json()["case"]["revision"].to_string();
    let close =
        [("revision", revision.as_str()), ("disposition", "true_positive_impact"), ("reason", "taken over")];
    assert_eq!(send(&mut anna, &format!("{at}/close"), &close).status, 303);
    assert!(page(&mut anna, "/queue?standing=closed").text.contains(&format!("data-case=\"{number}\"")));

    // Nothing comes in from elsewhere.
    let revision = anna.get(&at).json()["case"]["revision"].to_string();
    let reopen = [("revision", revision.as_str()), ("reason", "x")];
    let mut foreign = anna.clone();
    foreign.origin = Some("https://evil.example".to_owned());
    assert_eq!(send(&mut foreign, &format!("{at}/reopen"), &reopen).status, 403);
    let mut without = anna.clone();
    without.csrf = None;
    assert_eq!(send(&mut without, &format!("{at}/reopen"), &reopen).status, 403);
    let stranger = anna.with("Host", "evil.example");
    assert_eq!(page(&mut stranger.clone(), "/queue").status, 421);
    let back =
        format!("csrf_token={}&back=https%3A%2F%2Fevil.example&body=x", anna.csrf.clone().expect("a token"));
    let answer = anna.clone().send("POST", &format!("{at}/notes"), Some((FORM, &back)));
    assert_eq!((answer.status, answer.headers["location"].as_str()), (303, "/"));
    // A notice of somebody else, or one that somebody wrote, is not shown.
    let mut forged = signed_in(&service, "carl", &["l1"]);
    forged.cookies.insert(
        "portreeve-notice".to_owned(),
        anna.cookies.get("portreeve-notice").cloned().unwrap_or_default(),
    );
    assert!(!page(&mut forged, "/queue").text.contains("class=\"notice\""));

    // Whoever and whatever a case is about has a page.
    let found = anna.get(&at).json()["parts"][0]["document"].clone();
    let text = |v: &serde_json::Value| v.as_str().unwrap_or_default().to_owned();
    let (user, ip) = (text(&found["principal"]["name"]), text(&found["source_ips"][0]));
    let sessions = found["sessions"].as_array().expect("sessions").iter().filter(|s| s["suspect"] == true);
    let gateway = sessions.map(|s| text(&s["gateway"])).find(|g| !g.is_empty());
    let gateway = gateway.map(|g| format!("/gateways/{g}"));
    for path in [format!("/users/{}", encoded(&user)), format!("/addresses/{ip}")].into_iter().chain(gateway)
    {
        let answer = page(&mut anna, &path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        assert!(answer.text.contains(&format!("href=\"{at}\"")), "{path} knows the case: {}", answer.text);
    }
    assert_eq!(page(&mut anna, "/addresses/nonsense").status, 422);
    assert_eq!(page(&mut anna, "/users?name=..").status, 200);
    assert_eq!(page(&mut anna, "/devices/x%2F..%2F%3Cb%3E").status, 200);

    // Benign, with scope: a preview changes nothing, and says what would have been silenced.
    let open = anna.get("/cases?queue=escalate").json()["cases"][0]["number"].as_i64().expect("a case");
    let at = format!("/cases/{open}");
    let revision = anna.get(&at).json()["case"]["revision"].to_string();
    let name = anna.get(&at).json()["case"]["principal"].as_str().expect("a name").to_owned();
    let benign = |more: &[(&'static str, &'static str)]| {
        let mut all = vec![
            ("revision", revision.as_str()),
            ("reason", "on a trip"),
            ("scope", "given"),
            ("user", &name),
        ];
        all.extend_from_slice(more);
        all.into_iter().map(|(n, v)| (n, v.to_owned())).collect::<Vec<_>>()
    };
    fn refs<'a>(all: &'a [(&'a str, String)]) -> Vec<(&'a str, &'a str)> {
        all.iter().map(|(n, v)| (*n, v.as_str())).collect()
    }
    let asked = benign(&[("days", "14"), ("preview", "1")]);
    let seen = send(&mut anna, &format!("{at}/benign"), &refs(&asked));
    assert_eq!(seen.status, 200, "{}", seen.text);
    assert!(seen.text.contains("It would have silenced"), "{}", seen.text);
    assert_eq!(anna.get(&at).json()["case"]["revision"].to_string(), revision);
    let wrong = send(&mut anna, &format!("{at}/benign"), &refs(&benign(&[("days", "999")])));
    assert!(wrong.status == 422 && wrong.text.contains("on a trip"), "{}", wrong.text);
    let made = send(&mut anna, &format!("{at}/benign"), &refs(&benign(&[("days", "14")])));
    assert_eq!(made.status, 303, "{}", made.text);
    let to = made.headers["location"].clone();
    let whole = page(&mut anna, &to);
    assert!(
        whole.status == 200 && whole.text.contains("on a trip") && whole.text.contains(&name),
        "{}",
        whole.text
    );
    assert!(page(&mut anna, "/suppressions").text.contains(&to));
    let mut erik = signed_in(&service, "erik", &["t3"]);
    let shown = page(&mut erik, &to);
    let revision = field(&shown.text, &format!("{to}/end"), "revision");
    let ended =
        send(&mut erik, &format!("{to}/end"), &[("revision", &revision), ("reason", "the trip is over")]);
    assert_eq!(ended.status, 303, "{}", ended.text);

    // A question to the person: shown once, answered once, and cleared by nobody.
    let open = anna.get("/cases?queue=escalate").json()["cases"][1]["number"].as_i64().expect("a case");
    let at = format!("/cases/{open}");
    let made = send(&mut anna, &format!("{at}/asks"), &[("hours", "1"), ("session", "")]);
    assert_eq!(made.status, 200, "{}", made.text);
    let link = made.text.split("/ask/").nth(1).and_then(|t| t.split('<').next()).expect("a link").to_owned();
    assert!(!page(&mut anna, &at).text.contains(&link));
    let mut person = Browser::new(&service);
    assert_eq!(page(&mut person, &format!("/ask/{link}")).status, 200);
    let answered = person.send("POST", &format!("/ask/{link}"), Some((FORM, "answer=no&remark=not+me")));
    assert_eq!(answered.status, 200, "{}", answered.text);
    assert!(person.send("POST", &format!("/ask/{link}"), Some((FORM, "answer=yes"))).status >= 400);
    let case = page(&mut anna, &at).text;
    assert!(case.contains("not me") && case.contains("/confirm\""), "{case}");

    // Several at once: each by itself.
    let open: Vec<i64> = anna.get("/cases?queue=escalate").json()["cases"]
        .as_array()
        .expect("cases")
        .iter()
        .filter_map(|c| c["number"].as_i64())
        .collect();
    let numbers: Vec<String> = open.iter().take(2).map(i64::to_string).chain(["999999".to_owned()]).collect();
    let fields: Vec<(&str, &str)> =
        numbers.iter().map(|n| ("case", n.as_str())).chain([("act", "assign"), ("reason", "")]).collect();
    assert_eq!(send(&mut anna, "/cases/bulk", &fields).status, 303);
    let said = page(&mut anna, "/queue").text;
    assert!(said.contains("2 assigned to you; not: case 999999: there is no such thing"), "{said}");
    service.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_in_by_forms() {
    let dir = tempfile::tempdir().expect("a folder");
    let service = start(dir.path(), config(&acme().join("context"), "")).await;
    let link = service.first_run().expect("a link");
    let path = link.split_once("/first-run").map(|(_, q)| format!("/first-run{q}")).expect("a path");
    let token = link.split_once("token=").expect("a token").1.to_owned();
    let mut browser = Browser::new(&service);
    assert!(page(&mut browser, &path).text.contains(&token));
    let form = |again: &str| format!("token={token}&name=anna&password={GOOD}&again={again}&back=%2F");
    let mut foreign = browser.clone();
    foreign.origin = Some("https://evil.example".to_owned());
    assert_eq!(foreign.send("POST", "/first-run", Some((FORM, &form(GOOD)))).status, 403);
    let other = browser.send("POST", "/first-run", Some((FORM, &form("something+else"))));
    assert!(other.status == 422 && other.text.contains("not the same password"), "{}", other.text);
    let made = browser.send("POST", "/first-run", Some((FORM, &form(GOOD))));
    assert_eq!((made.status, made.headers["location"].as_str()), (303, "/"));
    // The second factor comes first.
    let first = page(&mut browser, "/queue");
    assert_eq!((first.status, first.headers["location"].as_str()), (303, "/account/totp"));
    let offer = page(&mut browser, "/account/totp");
    assert!(offer.text.contains("QR code"), "{}", offer.text);
    let ticket = field(&offer.text, "/account/totp", "ticket");
    let secret =
        offer.text.split("<code>").nth(1).and_then(|t| t.split('<').next()).expect("a secret").to_owned();
    browser.look();
    let wrong = send(&mut browser, "/account/totp", &[("ticket", &ticket), ("code", "000000x")]);
    assert!(wrong.status == 422 && wrong.text.contains(&secret), "the app keeps its secret: {}", wrong.text);
    let right = send(&mut browser, "/account/totp", &[("ticket", &ticket), ("code", &code(&secret, 0))]);
    assert_eq!(right.status, 200, "{}", right.text);
    assert!(right.text.contains("recovery codes are shown once"));
    assert_eq!(page(&mut browser, "/queue").status, 200);
    // Out, and in again with both.
    browser.look();
    let out = send(&mut browser, "/sign-out", &[]);
    assert_eq!((out.status, out.headers["location"].as_str()), (303, "/sign-in"));
    let asked = page(&mut browser, "/sources?x=1");
    assert_eq!(asked.headers["location"], "/sign-in?then=%2Fsources%3Fx%3D1");
    let wrong = "name=anna&password=wrong+wrong+wrong&back=%2Fsources";
    let refused = browser.send("POST", "/sign-in", Some((FORM, wrong)));
    assert!(refused.status == 401 && refused.text.contains("role=\"alert\""), "{}", refused.text);
    assert!(refused.text.contains("value=\"anna\"") && !refused.text.contains("wrong wrong"));
    let half = format!("name=anna&password={GOOD}&back=%2Fsources");
    let half = browser.send("POST", "/sign-in", Some((FORM, &half)));
    assert_eq!((half.status, half.headers["location"].as_str()), (303, "/second-factor?then=%2Fsources"));
    assert_eq!(page(&mut browser, "/queue").status, 303, "half the way in is not in");
    let form = format!("code={}&back=%2Fsources", code(&secret, 1));
    let entered = browser.send("POST", "/second-factor", Some((FORM, &form)));
    assert_eq!((entered.status, entered.headers["location"].as_str()), (303, "/sources"), "{}", entered.text);
    assert_eq!(page(&mut browser, "/sources").status, 200);
    // A new password, and the zone.
    browser.look();
    let change = [
        ("current", "seven herons over the lake"),
        ("password", "eight herons over the lake"),
        ("again", "eight herons over the lake"),
    ];
    let changed = send(&mut browser, "/account/password", &change);
    assert_eq!((changed.status, changed.headers["location"].as_str()), (303, "/account"));
    browser.look();
    assert_eq!(send(&mut browser, "/account/zone", &[("zone", "Mars/Olympus")]).status, 422);
    assert_eq!(send(&mut browser, "/account/zone", &[("zone", "Europe/Berlin")]).status, 303);
    let account = page(&mut browser, "/account");
    assert!(account.text.contains("mine (Europe/Berlin)"), "{}", account.text);
    // Somebody new, by whoever manages people, with a password to be changed.
    let new = [("name", "bert"), ("roles", "l1"), ("roles", "t2")];
    let made = send(&mut browser, "/people", &new);
    assert_eq!(made.status, 200, "{}", made.text);
    let password = made.text.split("bert: ").nth(1).and_then(|t| t.split('<').next()).expect("a password");
    let mut bert = Browser::new(&service);
    let form = format!("name=bert&password={}&back=%2F", encoded(password));
    assert_eq!(bert.send("POST", "/sign-in", Some((FORM, &form))).status, 303);
    assert_eq!(page(&mut bert, "/queue").headers["location"], "/account");
    assert!(page(&mut bert, "/account").text.contains("made for you by somebody else"));
    service.close().await;
}
