//! Okta and Graph by contract: stand-ins with a log of their own, and the failures that the real ones have.

use crate::lab::Lab;
use crate::stand_in::{Reply, Request, StandIn};
use portreeve_doors::DoorError;
use portreeve_doors::pull::{entra, okta};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::task::JoinHandle;

fn secret(lab: &Lab, text: &str) -> String {
    let path = lab.path("secret");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    format!(r#"{{"file":"{}"}}"#, path.display())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The numbers of records such as `{"uuid":"7",…}`.
fn numbers(lab: &Lab, field: &str) -> Vec<usize> {
    let number = |t: &String| {
        let value: serde_json::Value = serde_json::from_str(t).unwrap();
        value[field].as_str().unwrap().parse().unwrap()
    };
    lab.texts().iter().map(number).collect()
}

fn distinct(lab: &Lab, field: &str) -> usize {
    numbers(lab, field).into_iter().collect::<BTreeSet<_>>().len()
}

/// How an API misbehaves, one failure after the other, at the requests for pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mood {
    Well,
    Busy,
    Broken,
    Slow,
    NotJson,
    Cursorless,
    Elsewhere,
}

struct Org {
    events: usize,
    moods: Vec<Mood>,
    page: usize,
    token: &'static str,
}

/// An organisation with a log: `after` is the number of the next event.
fn organisation(org: Arc<Mutex<Org>>) -> StandIn {
    StandIn::start(move |request: &Request, url: &str| {
        let mut org = org.lock().unwrap();
        if request.header("authorization") != Some(&format!("SSWS {}", org.token)) {
            return Reply::new(401, r#"{"errorCode":"E0000011","errorSummary":"Invalid token provided"}"#);
        }
        assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/api/v1/logs"));
        let mood = org.moods.pop().unwrap_or(Mood::Well);
        match mood {
            Mood::Busy => {
                return Reply::new(
                    429,
                    r#"{"errorCode":"E0000047","errorSummary":"API call exceeded rate limit"}"#,
                )
                .with("retry-after", "1")
                .with("x-rate-limit-reset", (now() + 1).to_string());
            }
            Mood::Broken => return Reply::new(503, "<html>bad gateway</html>"),
            Mood::Slow => std::thread::sleep(Duration::from_millis(1_500)),
            Mood::NotJson => return Reply::new(200, "<html>log in</html>"),
            Mood::Cursorless if request.query("after").is_some() => {
                return Reply::new(
                    400,
                    r#"{"errorCode":"E0000001","errorSummary":"Api validation failed: after"}"#,
                );
            }
            _ => {}
        }
        let from: usize = match request.query("after") {
            Some(after) => after.parse().unwrap(),
            // One event a minute; the time that is asked for decides.
            None => {
                assert_eq!(request.query("sortOrder"), Some("ASCENDING"));
                let since = request.query("since").unwrap();
                (0..org.events).find(|n| published(*n).as_str() >= since).unwrap_or(org.events)
            }
        };
        let to = (from + org.page).min(org.events);
        let event = |n| {
            format!(r#"{{"uuid":"{n}","published":"{}","eventType":"user.session.start"}}"#, published(n))
        };
        let events: Vec<String> = (from..to).map(event).collect();
        let host = if mood == Mood::Elsewhere { "http://127.0.0.1:1" } else { url };
        Reply::new(200, format!("[{}]", events.join(",")))
            .with("link", format!("<{url}/api/v1/logs?since=x>; rel=\"self\""))
            .with("link", format!("<{host}/api/v1/logs?after={to}&limit=1000>; rel=\"next\""))
            .with("x-rate-limit-remaining", "50")
    })
}

/// One event a minute, the last of ten thousand today.
fn published(n: usize) -> String {
    // The same day for the whole run, also where it ends during one.
    static TODAY: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    let seconds = TODAY.get_or_init(|| now() / 86_400 * 86_400) - (10_000 - n as u64) * 60;
    let days = seconds / 86_400;
    // Days since 1970 to a date, by the civil calendar.
    let z = days as i64 + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let year = yoe + era * 400 + i64::from(month <= 2);
    let (h, m, s) = (seconds % 86_400 / 3_600, seconds % 3_600 / 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.000Z")
}

fn open_okta(lab: &Lab, url: &str, token: &str) -> JoinHandle<Result<(), DoorError>> {
    let secret = secret(lab, token);
    let text =
        format!(r#"{{"source":"okta","url":"{url}","token":{{"ssws":{secret}}},"days":30,"poll_s":1}}"#);
    let options: okta::Options = serde_json::from_str(&text).unwrap();
    tokio::spawn(okta::run(options, lab.context.clone()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn okta_from_the_past_to_the_present_and_across_a_restart() {
    let mut lab = Lab::new();
    let org = Arc::new(Mutex::new(Org { events: 950, moods: Vec::new(), page: 100, token: "t1" }));
    let stand_in = organisation(org.clone());
    let door = open_okta(&lab, &stand_in.url, "t1");
    lab.records(950).await;
    // Present: empty pages, the cursor kept; then new events.
    lab.until("an empty page", |_| stand_in.asked().len() > 10).await;
    org.lock().unwrap().events = 960;
    lab.records(960).await;
    assert_eq!(numbers(&lab, "uuid"), (0..960).collect::<Vec<_>>());
    lab.end(door).await;
    // While the service was away.
    org.lock().unwrap().events = 1_000;
    lab = lab.again();
    let before = stand_in.asked().len();
    let door = open_okta(&lab, &stand_in.url, "t1");
    lab.records(40).await;
    assert_eq!(numbers(&lab, "uuid"), (960..1_000).collect::<Vec<_>>());
    assert_eq!(stand_in.asked()[before].query("after"), Some("960"));
    lab.end(door).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn okta_through_all_its_failures() {
    let lab = Lab::new();
    // The last of the list comes first.
    let moods = vec![
        Mood::Elsewhere,
        Mood::Cursorless,
        Mood::Well,
        Mood::NotJson,
        Mood::Slow,
        Mood::Broken,
        Mood::Well,
        Mood::Busy,
    ];
    let org = Arc::new(Mutex::new(Org { events: 500, moods, page: 100, token: "t1" }));
    let stand_in = organisation(org.clone());
    let door = open_okta(&lab, &stand_in.url, "wrong");
    lab.until("the token is wrong", |lab| {
        lab.trouble().iter().any(|t| t.contains("401") && t.contains("Invalid token"))
    })
    .await;
    assert_eq!(lab.count(), 0);
    // A secret that is written anew is taken without a restart.
    secret(&lab, "t1");
    lab.until("all 500", |lab| distinct(lab, "uuid") == 500).await;
    assert!(lab.count() <= 520, "{} events: the lost cursor goes back ten minutes", lab.count());
    assert!(org.lock().unwrap().moods.is_empty());
    lab.until("it works again", |lab| lab.trouble().is_empty()).await;
    lab.end(door).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn okta_when_nothing_can_be_stored() {
    let mut lab = Lab::new();
    let org = Arc::new(Mutex::new(Org { events: 300, moods: Vec::new(), page: 100, token: "t1" }));
    let stand_in = organisation(org);
    lab.fill_disk(true);
    let door = open_okta(&lab, &stand_in.url, "t1");
    lab.until("the disk is full", |lab| lab.trouble().iter().any(|t| t.contains("no space"))).await;
    assert_eq!(stand_in.asked().len(), 1, "nothing more is asked for");
    assert_eq!(lab.end(door).await.refused, 100);
    lab = lab.again();
    let door = open_okta(&lab, &stand_in.url, "t1");
    lab.records(300).await;
    assert_eq!(numbers(&lab, "uuid"), (0..300).collect::<Vec<_>>());
    lab.end(door).await;
}

struct Tenant {
    /// Ids, and the second in which each happened.
    records: Vec<(usize, u64)>,
    moods: Vec<Mood>,
    /// Tokens that were given out; only the last is good, for so many requests.
    tokens: usize,
    uses: usize,
}

/// A tenant whose pages are three records long.
fn graph(tenant: Arc<Mutex<Tenant>>) -> StandIn {
    StandIn::start(move |request: &Request, url: &str| {
        let mut tenant = tenant.lock().unwrap();
        if request.path == "/acme.example/oauth2/v2.0/token" {
            assert!(
                request.body.contains("grant_type=client_credentials&client_id=app&client_secret=s%2B3cret"),
                "{}",
                request.body
            );
            tenant.tokens += 1;
            tenant.uses = 6;
            return Reply::new(
                200,
                format!(r#"{{"token_type":"Bearer","expires_in":3599,"access_token":"t{}"}}"#, tenant.tokens),
            );
        }
        let token = format!("Bearer t{}", tenant.tokens);
        if request.header("authorization") != Some(&token) || tenant.uses == 0 {
            return Reply::new(
                401,
                r#"{"error":{"code":"InvalidAuthenticationToken","message":"Lifetime validation failed"}}"#,
            );
        }
        tenant.uses -= 1;
        assert_eq!(request.path, "/v1.0/auditLogs/signIns");
        match tenant.moods.pop().unwrap_or(Mood::Well) {
            Mood::Busy => {
                return Reply::new(429, r#"{"error":{"code":"TooManyRequests"}}"#).with("retry-after", "1");
            }
            Mood::Broken => return Reply::new(504, ""),
            Mood::NotJson => return Reply::new(200, "{\"value\":[{\"id\":\"1\""),
            Mood::Cursorless if request.query("$skiptoken").is_some() => {
                return Reply::new(
                    400,
                    r#"{"error":{"code":"BadRequest","message":"Skip token is not valid"}}"#,
                );
            }
            Mood::Elsewhere => {
                return Reply::new(
                    200,
                    r#"{"value":[],"@odata.nextLink":"https://evil.example/v1.0/auditLogs/signIns"}"#,
                );
            }
            _ => {}
        }
        let filter = request.query("$filter").unwrap();
        let mut times = filter.split(' ').filter(|w| w.ends_with('Z')).map(seconds);
        let (since, until) = (times.next().unwrap(), times.next().unwrap());
        assert!(filter.starts_with("createdDateTime ge ") && until - since <= 6 * 3_600 + 2, "{filter}");
        let skip: usize = request.query("$skiptoken").map_or(0, |s| s.parse().unwrap());
        let within: Vec<_> = tenant.records.iter().filter(|(_, at)| (since..until).contains(at)).collect();
        let record =
            |(id, at): &&(usize, u64)| format!(r#"{{"id":"{id}","createdDateTime":"{at}","value":["x"]}}"#);
        let page: Vec<String> = within.iter().skip(skip).take(3).map(record).collect();
        let next = (skip + 3 < within.len()).then(|| {
            let filter = filter.replace(' ', "%20");
            format!(
                r#","@odata.nextLink":"{url}/v1.0/auditLogs/signIns?$filter={filter}&$skiptoken={}""#,
                skip + 3
            )
        });
        let context = format!("{url}/v1.0/$metadata#auditLogs/signIns");
        Reply::new(
            200,
            format!(
                r#"{{"@odata.context":"{context}"{},"value":[{}]}}"#,
                next.unwrap_or_default(),
                page.join(",")
            ),
        )
    })
}

/// `2026-01-02T03:04:05Z`, without a calendar: days are counted by asking for each.
fn seconds(text: &str) -> u64 {
    let part = |a: usize, b: usize| text[a..b].parse::<i64>().unwrap();
    let (y, m, d) = (part(0, 4), part(5, 7), part(8, 10));
    let y = if m <= 2 { y - 1 } else { y };
    let era = y.div_euclid(400);
    let doy = (153 * (if m > 2 { m - 3 } else { m + 9 }) + 2) / 5 + d - 1;
    let doe = (y - era * 400) * 365 + (y - era * 400) / 4 - (y - era * 400) / 100 + doy;
    let days = u64::try_from(era * 146_097 + doe - 719_468).unwrap();
    days * 86_400 + u64::try_from(part(11, 13) * 3_600 + part(14, 16) * 60 + part(17, 19)).unwrap()
}

fn open_entra(lab: &Lab, url: &str) -> JoinHandle<Result<(), DoorError>> {
    let secret = secret(lab, "s+3cret");
    let text = format!(
        r#"{{"source":"entra","tenant":"acme.example","client_id":"app","client_secret":{secret},"logs":["sign_ins"],
        "cloud":{{"login":"{url}","graph":"{url}"}},"days":2,"poll_s":1}}"#
    );
    let options: entra::Options = serde_json::from_str(&text).unwrap();
    tokio::spawn(entra::run(options, lab.context.clone()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entra_in_slices_with_records_that_come_late() {
    let mut lab = Lab::new();
    // Forty over two days, nearly.
    let records: Vec<_> = (0..40).map(|n| (n, now() - 172_000 + n as u64 * 4_300)).collect();
    let tenant = Arc::new(Mutex::new(Tenant { records, moods: Vec::new(), tokens: 0, uses: 0 }));
    let stand_in = graph(tenant.clone());
    let door = open_entra(&lab, &stand_in.url);
    lab.records(40).await;
    // Shown only now, though it happened ten minutes ago; and one of this moment.
    tenant.lock().unwrap().records.extend([(40, now() - 600), (41, now() - 1)]);
    lab.records(42).await;
    let asked = stand_in.asked().len();
    lab.until("three rounds more", |_| stand_in.asked().len() > asked + 3).await;
    // What was asked for again is not stored again.
    let mut got = numbers(&lab, "id");
    got.sort_unstable();
    assert_eq!(got, (0..42).collect::<Vec<_>>());
    assert!(tenant.lock().unwrap().tokens > 1, "a token that ended is renewed");
    lab.end(door).await;
    tenant.lock().unwrap().records.push((42, now() - 2));
    lab = lab.again();
    let before = stand_in.asked().len();
    let door = open_entra(&lab, &stand_in.url);
    lab.until("the new one", |lab| numbers(lab, "id").contains(&42)).await;
    // Only the last while is asked for again.
    assert!(lab.count() <= 4, "{:?}", numbers(&lab, "id"));
    assert!(stand_in.asked().len() - before < 12);
    lab.end(door).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entra_through_all_its_failures() {
    let lab = Lab::new();
    let records: Vec<_> = (0..60).map(|n| (n, now() - 100_000 + n as u64 * 60)).collect();
    let moods = vec![
        Mood::Elsewhere,
        Mood::Well,
        Mood::Cursorless,
        Mood::Cursorless,
        Mood::Cursorless,
        Mood::Cursorless,
        Mood::Cursorless,
        Mood::Well,
        Mood::NotJson,
        Mood::Broken,
        Mood::Well,
        Mood::Busy,
        Mood::Well,
    ];
    let tenant = Arc::new(Mutex::new(Tenant { records, moods, tokens: 0, uses: 0 }));
    let stand_in = graph(tenant.clone());
    let door = open_entra(&lab, &stand_in.url);
    lab.until("all 60", |lab| distinct(lab, "id") == 60).await;
    // A page that is asked for again is left out as far as it was stored.
    assert_eq!(lab.count(), 60);
    lab.until("it works again", |lab| lab.trouble().is_empty()).await;
    lab.end(door).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_right_is_said_at_the_start() {
    let lab = Lab::new();
    let secret = secret(&lab, "x");
    let text = format!(r#"{{"source":"o","url":"http://acme.okta.com","token":{{"ssws":{secret}}}}}"#);
    let options: okta::Options = serde_json::from_str(&text).unwrap();
    let error = okta::run(options, lab.context.clone()).await.unwrap_err().to_string();
    assert!(error.contains("https://acme.okta.com"), "{error}");
    let text = format!(r#"{{"source":"e","tenant":"../x","client_id":"a","client_secret":{secret}}}"#);
    let options: entra::Options = serde_json::from_str(&text).unwrap();
    let error = entra::run(options, lab.context.clone()).await.unwrap_err().to_string();
    assert!(error.contains("neither an id nor a domain"), "{error}");
}
