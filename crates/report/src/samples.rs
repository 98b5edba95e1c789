//! A small case whose names are markup, escapes and queries somewhere, and what was done about it, through every
//! export.

use crate::actions::{Aftermath, LeftOut, Moment, Reentry, Sighting, Taken, Target};
use crate::{Done, EXPORTS, Export, wire};
use portreeve_model::untrusted::is_obeyed;
use serde_json::{Value, json};

const NAME: &str =
    "eve<script>alert(1)</script>' OR '1'='1 \u{202e}gnp \u{1b}[31m| `x` [y](javascript:z)\n# h";

fn evidence() -> Value {
    json!({"file": "vpn|.log", "line": 7, "offset": 512, "time": "2026-03-04T08:00:00Z", "source": "openvpn",
        "raw": format!("login of {NAME}")})
}

fn place(network: &str) -> Value {
    json!({"country": "NL", "city": "Delft", "lat": 52.0, "lon": 4.36, "radius_km": 20, "asn": 64500,
        "as_name": NAME, "network": network, "label": ""})
}

fn case() -> wire::Case {
    let person = json!({"name": NAME, "aliases": [], "department": "HR", "role": NAME, "status": "active",
        "privileged": true, "listed": true});
    let session = |id: &str, ip: &str, suspect: bool| {
        json!({"id": id, "principal": NAME, "service": "vpn", "gateway": NAME, "group": "", "public_ips": [ip],
            "tunnel_ips": ["10.8.0.4"], "device": "", "client": "OpenVPN 2.6 \u{7}", "start": "2026-03-04T08:00:00Z",
            "end": "2026-03-04T09:30:00.5Z", "end_reason": "logout", "mfa": "no", "factor": "none",
            "mfa_known_by": "openvpn", "place": place("hosting"), "standing": "tainted", "suspect": suspect,
            "evidence": [evidence()]})
    };
    let action = |order: u8, id: &str, title: &str, target: &str, address: &str| {
        json!({"order": order, "id": id, "title": title, "target": target, "subject": {"address": address},
            "because": "b", "leaves_open": "other addresses", "blast_radius": "", "caution": ""})
    };
    serde_json::from_value(json!({
        "case_id": "20260304-aa11bb", "title": format!("{NAME}: guessed"), "principal": person,
        "principals": [person], "first_seen": "2026-03-04T08:00:00Z", "last_seen": "2026-03-04T09:30:00.5Z",
        "detected_at": "2026-03-04T08:20:00Z", "decision": "escalate", "reason": format!("{NAME} was guessed"),
        "risk_score": 91.4, "prior_db": -50.0, "score_db": 20.0, "groups": [],
        "criteria": [{"id": "baseline_anomaly", "number": "E2", "text": "t", "state": "true", "because": NAME,
            "explained": [NAME], "needs": []}],
        "questions": [
            {"id": "mfa_bypassed_or_absent", "text": "Was MFA absent?", "answer": "yes", "because": "no factor",
                "known_by": "openvpn", "needs": [], "evidence": []},
            {"id": "geo_matches_known_location_or_travel", "text": "Is the place known?", "answer": "no",
                "because": "not near home", "known_by": "geo", "needs": [], "evidence": []},
            {"id": "edr_related", "text": "Did EDR alert?", "answer": "unknown", "because": "no EDR was read",
                "known_by": "", "needs": ["an EDR source"], "evidence": []}],
        "indicators": [
            {"id": "credential.guess", "title": "Guessing, then success", "technique": ["T1110.001", "T1133"],
                "group": "credential", "time": "2026-03-04T08:20:00Z", "points": 12.0, "because": NAME,
                "explained": [], "evidence": [evidence()]},
            {"id": "anomaly.first_country", "title": "First access from NL", "technique": ["T1078", "bad'\"id"],
                "group": "place", "time": "2026-03-04T08:00:00Z", "points": 9.0, "because": "first from NL",
                "explained": [], "evidence": [evidence()]}],
        "source_ips": ["203.0.113.9", "2001:db8::9", "10.0.0.7", "198.51.100.1", "x' OR '1"],
        "sources": [{"ip": "203.0.113.9", "place": place("hosting")}, {"ip": "2001:db8::9", "place": place("mobile")},
            {"ip": "10.0.0.7", "place": place("unknown")}, {"ip": "198.51.100.1", "place": place("own network")},
            {"ip": "x' OR '1", "place": place("unknown")}],
        "sessions": [session("s1", "203.0.113.9", true), session("s2", "192.0.2.5", false)],
        "l1_steps": [{"id": "session_is_legitimate", "title": "Ask", "state": "open", "finding": NAME,
            "next": format!("Ask {NAME}"), "evidence": []}],
        "t2_actions": [],
        "containment": [action(1, "block_ip", "Block the address", "203.0.113.9", "203.0.113.9"),
            action(2, "quarantine_account", "Quarantine the account", NAME, ""),
            action(3, "reset_password", "Reset the password", NAME, ""),
            action(4, "enforce_mfa", "Enforce multi-factor authentication", NAME, "")],
        "timeline": [
            {"time": "2026-03-04T07:58:00Z", "certainty": "exact", "kind": "log", "text": format!("failed: {NAME}"),
                "evidence": evidence()},
            {"time": "2026-03-04T08:20:00Z", "certainty": "exact", "kind": "indicator", "text": NAME,
                "evidence": null}],
        "coverage": {"sources": ["openvpn"], "missing": ["edr related: an EDR source", "dns"], "history_days": 7,
            "history_sessions": 3},
        "related": [], "campaign": null, "revised": null,
    }))
    .expect("a case")
}

fn taken(step: u16, act: &str, proposal: &str, target: (&str, &str), state: &str) -> Taken {
    let moment = |at: &str, state: &str| Moment {
        at: at.into(),
        state: state.into(),
        actor: "tess".into(),
        why: NAME.into(),
    };
    Taken {
        plan: "0a1b2c3d4e5f".into(),
        step,
        act: act.into(),
        title: act.replace('_', " "),
        proposal: proposal.into(),
        d3fend: "D3-ITF".into(),
        target: Target { kind: target.0.into(), value: target.1.into() },
        device: "edge|1".into(),
        connector: "nftables".into(),
        tested: "proven".into(),
        state: state.into(),
        proof: format!("the set holds {NAME}"),
        since: format!("2026-03-04T10:0{step}:00Z"),
        verified_at: (state == "verified").then(|| format!("2026-03-04T10:0{step}:00Z")),
        until: (act == "block_address").then(|| "2026-03-05T10:00:00Z".into()),
        watched_until: (state == "verified").then(|| "2026-03-07T10:00:00Z".into()),
        effect: "a drop rule".into(),
        leaves_open: "other addresses".into(),
        undo: "the rule is deleted".into(),
        is_final: false,
        requests: vec![format!("nft -f - {NAME}")],
        approved_by: vec!["tess".into()],
        emergency: false,
        history: vec![moment("2026-03-04T10:00:30Z", "sent"), moment("2026-03-04T10:01:00.25Z", state)],
    }
}

fn aftermath(as_of: &str) -> Aftermath {
    let sighting = |at: &str, got_in: bool| Sighting {
        at: at.into(),
        plan: "0a1b2c3d4e5f".into(),
        step: 1,
        target: "203.0.113.9".into(),
        got_in,
        what: format!("auth at {NAME}"),
        evidence: "later.log:3".into(),
    };
    Aftermath::new(
        "20260304-aa11bb",
        as_of,
        vec![
            taken(1, "block_address", "block_ip", ("address", "203.0.113.9"), "verified"),
            taken(2, "disable_account", "quarantine_account", ("account", NAME), "not_effective"),
        ],
        vec![LeftOut {
            act: "reset_password".into(),
            proposal: "reset_password".into(),
            target: NAME.into(),
            device: String::new(),
            why: "no connector".into(),
        }],
        vec![sighting("2026-03-04T12:00:00Z", true), sighting("2026-03-04T11:00:00.5Z", false)],
    )
}

fn export(export: &Export, after: &Aftermath) -> String {
    let mut out = Vec::new();
    (export.write)(&case(), after, &mut out).expect("written");
    String::from_utf8(out).expect("UTF-8")
}

/// The case as `hunt` writes it where a ledger was read.
fn joined(as_of: &str) -> (wire::Case, Vec<Reentry>) {
    let reentry = |case: &str, step: u16| Reentry {
        case_id: case.into(),
        plan: "0a1b2c3d4e5f".into(),
        step,
        act: "disable_account".into(),
        title: "Disable the account".into(),
        target: format!("account {NAME}"),
        device: "edge|1".into(),
        times: 3,
        first: "2026-03-04T12:00:00Z".into(),
        last: "2026-03-04T13:00:00Z".into(),
        what: format!("auth at {NAME}"),
        evidence: "later.log:3".into(),
    };
    let mut case = case();
    let mut done = Done { as_of: as_of.to_owned(), ..Done::default() };
    done.after.insert(case.case_id.clone(), aftermath(as_of));
    done.ineffective = vec![reentry(&case.case_id, 2), reentry("20260101-000000", 9)];
    done.reentry.insert(case.case_id.clone(), done.ineffective.clone());
    done.join(&mut case);
    (case, done.ineffective)
}

fn page(case: wire::Case, ineffective: &[Reentry]) -> String {
    let run = wire::Run::from(&portreeve_model::case::RunReport::default());
    let mut out = Vec::new();
    crate::html::page(&run, std::iter::once(case), ineffective, &mut out).expect("written");
    String::from_utf8(out).expect("UTF-8")
}

fn explained(case: &wire::Case, after: Option<&Aftermath>) -> String {
    crate::terminal::explain(case, after, crate::terminal::Style { colour: false, width: 160 })
}

/// The text of a section, from its heading to the next article's end.
fn section<'t>(page: &'t str, from: &str) -> &'t str {
    let at = page.find(from).unwrap_or_else(|| panic!("no {from}"));
    page[at..].split("</article>").next().expect("a part")
}

#[test]
fn the_page_shows_what_was_done_and_what_did_not_hold() {
    let (case, ineffective) = joined(AS_OF);
    let page = page(case, &ineffective);
    let done = section(&page, "<h3>What was done</h3>");
    for text in [
        "1 in force, 1 not proven",
        "as of 2026-03-04 20:00:00 UTC",
        "next deadline 2026-03-05 10:00:00 UTC: expires: block address: 203.0.113.9 at edge|1",
        "nftables, proven",
        "approved by tess",
        "undo: the rule is deleted",
        "the set holds eve",
        "reset password",
        "left out: no connector",
        "Enforce multi-factor authentication",
        "2 seen after containment, 1 got in",
        "later.log:3",
    ] {
        assert!(done.contains(text), "{text} is missing in\n{done}");
    }
    // Once above the queue, once in the case; of another case, it says which.
    assert_eq!(page.matches("<b>Containment ineffective</b>").count(), 4);
    assert_eq!(page.matches(", of case 20260101-000000").count(), 2);
    assert_eq!(page.matches(", of case 20260304-aa11bb").count(), 1, "named where no case stands around it");
    assert!(page.contains("step 2 of plan 0a1b2c3d4e5f (Disable the account: account eve"));
    assert!(page.contains("<b class=\"escalate\">containment ineffective</b>"), "in the queue");
    for active in ["<script", "<img", "onerror=", "javascript:z\"", "\u{202e}", "\u{1b}"] {
        assert!(!page.contains(active), "{active:?}");
    }
    assert!(page.contains("eve&#60;script&#62;alert"), "the name is shown as it is");
}

#[test]
fn without_a_ledger_the_page_and_the_explanation_say_nothing_of_it() {
    let page = page(case(), &[]);
    let text = explained(&case(), None);
    for said in ["What was done", "ontainment ineffective", "CONTAINMENT", "ledger"] {
        assert!(!page.replace(".alarm", "").contains(said) && !text.contains(said), "{said}");
    }
    let json = serde_json::to_value(case()).expect("JSON");
    assert!(json.get("aftermath").is_none() && json.get("containment_ineffective").is_none());
    // A ledger in which nobody took the case up says so.
    let mut case = case();
    Done { as_of: AS_OF.into(), ..Done::default() }.join(&mut case);
    let text = explained(&case, case.aftermath.as_ref());
    assert!(text.contains("no action taken, by the ledger as of 2026-03-04T20:00:00Z"), "{text}");
    assert!(text.contains("Block the address: 203.0.113.9: proposed, in no plan"), "{text}");
}

#[test]
fn the_explanation_shows_what_was_done_and_what_did_not_hold() {
    let (case, _) = joined("2026-03-05T11:00:00Z");
    let text = explained(&case, case.aftermath.as_ref());
    for said in [
        "CONTAINMENT INEFFECTIVE: step 2 of plan 0a1b2c3d4e5f (Disable the account",
        "of case 20260101-000000: got in 3 times, first 2026-03-04T12:00:00Z",
        "in force block address: 203.0.113.9 at edge|1 (verified), since 2026-03-04T10:01:00Z, until 2026-03-05T10",
        "not proven disable account",
        "next deadline 2026-03-05T10:00:00Z (overdue)",
        "connector: nftables (proven)",
        "allowed: approved by tess",
        "- 2026-03-04T12:00:00Z GOT IN: 203.0.113.9 auth at eve",
        "kept out",
        "left out: no connector",
    ] {
        assert!(text.contains(said), "{said} is missing in\n{text}");
    }
    assert!(!text.chars().any(|c| is_obeyed(c) && c != '\n'));
}

#[test]
fn a_case_with_what_was_done_comes_back_from_json() {
    let (case, ineffective) = joined(AS_OF);
    let text = serde_json::to_string(&case).expect("JSON");
    let back: wire::Case = serde_json::from_str(&text).expect("the same version");
    let after = back.aftermath.expect("an aftermath");
    assert_eq!((after.actions.len(), after.gaps.len(), after.sightings.len()), (2, 1, 2));
    assert_eq!(back.containment_ineffective, ineffective);
}

fn find<'v>(objects: &'v [Value], kind: &str) -> Vec<&'v Value> {
    objects.iter().filter(|o| o["type"] == kind).collect()
}

const AS_OF: &str = "2026-03-04T20:00:00Z";

#[test]
fn every_export_of_a_hostile_case() {
    for e in EXPORTS {
        let text = export(e, &aftermath(AS_OF));
        assert!(
            !text.chars().any(|c| is_obeyed(c) && c != '\n'),
            "{} holds a character that is obeyed",
            e.name
        );
        assert_eq!(text, export(e, &aftermath(AS_OF)), "{} differs from time to time", e.name);
        insta::assert_snapshot!(e.name, sorted(e.name, &text));
    }
}

/// The order of keys depends on a feature of serde_json that other crates turn on.
fn sorted(name: &str, text: &str) -> String {
    let mut out = Vec::new();
    let docs: Vec<&str> = match name {
        "handover" => return text.to_owned(),
        "timesketch" => text.lines().collect(),
        _ => vec![text],
    };
    for doc in docs {
        let mut value: Value = serde_json::from_str(doc).expect("JSON");
        value.sort_all_objects();
        crate::guard::json(&value, name != "timesketch", &mut out).expect("written");
    }
    String::from_utf8(out).expect("UTF-8")
}

#[test]
fn names_come_back_whole_from_json() {
    for e in EXPORTS.iter().filter(|e| e.name != "handover") {
        let text = export(e, &aftermath(AS_OF));
        let docs: Vec<Value> = match e.name {
            "timesketch" => text.lines().map(|l| serde_json::from_str(l).expect("a line of JSON")).collect(),
            _ => vec![serde_json::from_str(&text).expect("JSON")],
        };
        let mut strings = Vec::new();
        docs.iter().for_each(|d| collect(d, &mut strings));
        assert!(strings.iter().any(|s| s.contains(NAME)), "{}", e.name);
    }
}

fn collect(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(s) => into.push(s.clone()),
        Value::Array(all) => all.iter().for_each(|v| collect(v, into)),
        Value::Object(all) => all.values().for_each(|v| collect(v, into)),
        _ => {}
    }
}

#[test]
fn inner_own_and_malformed_addresses_are_told_to_nobody() {
    let bundle: Value = serde_json::from_str(&export(&crate::stix::EXPORT, &aftermath(AS_OF))).expect("JSON");
    let objects = bundle["objects"].as_array().expect("objects");
    let patterns: Vec<&str> =
        find(objects, "indicator").iter().filter_map(|i| i["pattern"].as_str()).collect();
    assert_eq!(patterns, ["[ipv4-addr:value = '203.0.113.9']", "[ipv6-addr:value = '2001:db8::9']"]);
    let kinds: Vec<&Value> = find(objects, "indicator").iter().map(|i| &i["indicator_types"][0]).collect();
    assert_eq!(
        kinds,
        ["malicious-activity", "anomalous-activity"],
        "what others use as well is not called malicious"
    );

    let event: Value = serde_json::from_str(&export(&crate::misp::EXPORT, &aftermath(AS_OF))).expect("JSON");
    let attributes = event["Event"]["Attribute"].as_array().expect("attributes");
    let detect: Vec<&Value> =
        attributes.iter().filter(|a| a["to_ids"] == true).map(|a| &a["value"]).collect();
    assert_eq!(detect, ["203.0.113.9"]);
    assert_eq!(find(attributes, "ip-src").len(), 2);
}

#[test]
fn stix_refers_to_nothing_that_is_not_in_the_bundle() {
    let bundle: Value = serde_json::from_str(&export(&crate::stix::EXPORT, &aftermath(AS_OF))).expect("JSON");
    let objects = bundle["objects"].as_array().expect("objects");
    let mut ids: Vec<&str> = objects.iter().filter_map(|o| o["id"].as_str()).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "an id stands twice");
    for o in objects {
        for (key, value) in o.as_object().expect("an object") {
            let refs: Vec<&Value> = match value {
                Value::Array(many) if key.ends_with("_refs") => many.iter().collect(),
                one if key.ends_with("_ref") => vec![one],
                _ => continue,
            };
            for r in refs {
                assert!(ids.contains(&r.as_str().expect("an id")), "{key} {r}");
            }
        }
    }
    assert_eq!(find(objects, "course-of-action").len(), 2);
}

#[test]
fn timesketch_is_in_order_of_time_though_fractions_differ() {
    let text = export(&crate::timesketch::EXPORT, &aftermath(AS_OF));
    let times: Vec<i64> = text
        .lines()
        .map(|l| serde_json::from_str::<Value>(l).expect("JSON")["timestamp"].as_i64().expect("a number"))
        .collect();
    assert!(times.is_sorted() && times.len() >= 12, "{times:?}");
}

#[test]
fn the_next_deadline_is_the_earliest_and_says_when_it_has_passed() {
    let soon = aftermath(AS_OF).next_deadline.expect("a deadline");
    assert_eq!((soon.at.as_str(), soon.overdue), ("2026-03-05T10:00:00Z", false));
    assert!(soon.what.starts_with("expires: block address"), "{}", soon.what);
    let late = aftermath("2026-03-05T11:00:00Z").next_deadline.expect("a deadline");
    assert!(late.overdue);
    let mut ended = aftermath(AS_OF).actions;
    ended.iter_mut().for_each(|a| a.state = "rolled_back".into());
    assert!(Aftermath::new("x", AS_OF, ended, Vec::new(), Vec::new()).next_deadline.is_none());
}

#[test]
fn open_containment_is_named_once() {
    let open = aftermath(AS_OF).open(&case());
    let count = |what: &str| open.iter().filter(|g| g.contains(what)).count();
    assert_eq!(count("not effective"), 1, "{open:?}");
    assert_eq!(count("reset password"), 1, "{open:?}");
    assert_eq!(count("Block the address"), 0, "{open:?}");
    assert_eq!(count("Enforce multi-factor authentication"), 1, "{open:?}");
    assert_eq!(open.len(), 3);
}

#[test]
fn without_a_ledger_nothing_is_claimed() {
    let after = Aftermath::unknown("20260304-aa11bb");
    let note = export(&crate::handover::EXPORT, &after);
    assert!(note.contains("containment | not known"), "{note}");
    assert!(!note.contains("no effect of containment is proven"), "{note}");
    let playbook: Value = serde_json::from_str(&export(&crate::cacao::EXPORT, &after)).expect("JSON");
    assert_eq!(playbook["labels"], json!(["portreeve", "proposed"]));
    let event: Value = serde_json::from_str(&export(&crate::misp::EXPORT, &after)).expect("JSON");
    assert_eq!(event["Event"]["analysis"], "0");
}

#[test]
fn lessons_name_the_missed_chance_and_what_would_have_helped() {
    let note = export(&crate::handover::EXPORT, &aftermath(AS_OF));
    for text in [
        "first sign: 2026-03-04T07:58:00Z",
        "the evidence sufficed 22 min later",
        "proven 2 h 3 min after it",
        "policy: enforce multi-factor authentication on",
        "policy: refuse sign-ins at",
        "baseline: if it was legitimate",
        "source: give an EDR source",
        "source: switch on or read what is missing: dns",
        "**CONTAINMENT INEFFECTIVE**",
    ] {
        assert!(note.contains(text), "{text} is missing in\n{note}");
    }
    let fired: Vec<usize> = ["anomaly.first\\_country", "credential.guess"]
        .iter()
        .map(|id| note.find(id).expect("fired"))
        .collect();
    assert!(fired.is_sorted(), "in order of time");
    for active in ["<script", "[y](", "\n# h", "\n| `x`"] {
        assert!(!note.contains(active), "{active}");
    }
}

#[test]
fn cacao_goes_from_start_to_end_through_every_action() {
    let playbook: Value =
        serde_json::from_str(&export(&crate::cacao::EXPORT, &aftermath(AS_OF))).expect("JSON");
    let workflow = &playbook["workflow"];
    let mut at = playbook["workflow_start"].as_str().expect("a start");
    let mut acts = Vec::new();
    while workflow[at]["type"] != "end" {
        if workflow[at]["type"] == "action" {
            acts.push(workflow[at]["name"].as_str().expect("a name"));
            assert_eq!(workflow[at]["commands"][0]["type"], "manual", "what is only described");
        }
        at = workflow[at]["on_completion"].as_str().expect("a next step");
        assert!(acts.len() <= 2);
    }
    assert_eq!(acts, ["block address", "disable account"]);
}

#[test]
fn cacao_hands_on_what_is_known_exactly_as_its_own_type() {
    let mut after = aftermath(AS_OF);
    let sent = [
        ("conntrack", "conntrack -D --orig-src 203.0.113.9 (on this machine)"),
        ("entra", r#"PATCH https://graph.example/v1.0/users/7 {"passwordProfile":{"password":"***"}}"#),
        ("openc2", r#"POST https://c.example/.well-known/openc2 {"body":{}} (X-Request-ID: portreeve-0a)"#),
        ("conntrack", "conntrack -D --orig-src 203.0.113.9 (on root@gw.example:22, by sudo)"),
        ("nftables", "nft -f - (on this machine): table inet portreeve with its sets and rules"),
    ];
    after.actions = (1..)
        .zip(sent)
        .map(|(step, (connector, request))| Taken {
            connector: connector.into(),
            device: format!("device {step}"),
            requests: vec![request.into()],
            ..taken(step, "block_address", "block_ip", ("address", "203.0.113.9"), "verified")
        })
        .collect();
    let playbook: Value = serde_json::from_str(&export(&crate::cacao::EXPORT, &after)).expect("JSON");
    let workflow = playbook["workflow"].as_object().expect("steps");
    let mut at = playbook["workflow_start"].as_str().expect("a start");
    let mut types = Vec::new();
    while workflow[at]["type"] != "end" {
        for command in workflow[at]["commands"].as_array().into_iter().flatten() {
            let target = workflow[at]["targets"][0].as_str().expect("a target");
            let definition = &playbook["target_definitions"][target];
            let kind = definition["type"].as_str().expect("a type");
            assert!(target.starts_with(kind), "{target} is of {kind}");
            assert!(definition["name"].is_string() && definition["category"].is_array());
            types.push(format!("{} at {kind}", command["type"].as_str().expect("a type")));
            assert!(command["playbook_activity"].is_string());
            for variable in workflow[at]["in_args"].as_array().expect("arguments") {
                let name = variable.as_str().expect("a name");
                assert!(playbook["playbook_variables"][name].is_object(), "{name}");
            }
        }
        at = workflow[at]["on_completion"].as_str().expect("a next step");
    }
    assert_eq!(
        types,
        [
            "bash at security-category",
            "http-api at http-api",
            "openc2-http at http-api",
            "ssh at ssh",
            "manual at security-category"
        ]
    );
    assert_eq!(playbook["playbook_variables"]["__secret_2_1__"]["external"], true);
    assert!(!playbook.to_string().contains("\"***\""));
    if let Some(path) = std::env::var_os("PORTREEVE_CACAO_SAMPLE") {
        std::fs::write(path, playbook.to_string()).expect("written");
    }
}
