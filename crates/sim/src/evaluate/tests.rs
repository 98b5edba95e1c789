//! Hand-made labels and cases, one expectation each.

use serde_json::{Value, json};

use super::*;

fn labels() -> Labels {
    let label = |id: &str, kind: &str, name: &str, ip: &str, day: u32| Label {
        id: id.to_owned(),
        kind: kind.to_owned(),
        scenario: format!("scenario_{id}"),
        principals: vec![name.to_owned()],
        aliases: [(name.to_owned(), vec![format!("{name}@helm.example"), format!("HELM\\{name}")])].into(),
        attacker_ips: if kind == "attack" { vec![ip.to_owned()] } else { vec![] },
        ips: if kind == "attack" { vec![] } else { vec![ip.to_owned()] },
        start: format!("2026-03-{day:02}T10:00:00Z"),
        end: format!("2026-03-{day:02}T12:00:00Z"),
        expected_answers: [
            ("known_malicious_ip".to_owned(), "no".to_owned()),
            ("mfa_bypassed_or_absent".to_owned(), "yes".to_owned()),
        ]
        .into(),
        acceptable_answers: [("known_malicious_ip".to_owned(), vec!["no".to_owned(), "unknown".to_owned()])]
            .into(),
        expected_criteria: [("baseline_anomaly".to_owned(), "true".to_owned())].into(),
        ..Label::default()
    };
    Labels {
        employees: 100,
        window: Window { days: 10, ..Window::default() },
        incidents: vec![label("A001", "attack", "anna", "203.0.113.9", 10)],
        lookalikes: vec![label("B001", "benign", "bob", "198.51.100.7", 12)],
        ..Labels::default()
    }
}

use crate::labels::Window;

fn check(cases: Value, expect: impl Fn(&Evaluation)) {
    let cases: Vec<Case> =
        cases.as_array().into_iter().flatten().enumerate().map(|(n, v)| Case::of(v, n)).collect();
    let lines: Lines = [("A001".to_owned(), [("asa.log".to_owned(), 17)].into())].into();
    expect(&score(&labels(), &lines, &cases));
}

fn case(name: &str, ip: &str, day: u32, decision: &str) -> Value {
    json!({"id": "c", "principal": name, "source_ips": [ip], "decision": decision, "risk_score": 70,
        "first_seen": format!("2026-03-{day:02}T10:30:00Z"), "last_seen": format!("2026-03-{day:02}T11:00:00Z")})
}

#[test]
fn account_and_address_find_the_attack() {
    check(json!([case("HELM\\Anna", "203.0.113.9", 10, "escalate")]), |e| {
        assert_eq!((e.attacks_escalated, e.false_escalations, e.missed.len()), (1, 0, 0));
    });
    check(json!([case("anna@helm.example", "203.0.113.9", 10, "investigate")]), |e| {
        assert_eq!((e.attacks_escalated, e.attacks_open, e.missed.len()), (0, 1, 1));
    });
}

#[test]
fn a_quoted_record_finds_the_attack_whatever_else_the_case_says() {
    let mut quoting = case("carol", "198.51.100.200", 28, "escalate");
    quoting["timeline"] = json!([{"evidence": {"file": "logs/asa.log.gz", "line": 17}}]);
    check(json!([quoting]), |e| assert_eq!((e.attacks_escalated, e.false_escalations), (1, 0)));
}

#[test]
fn the_right_account_from_elsewhere_is_weak_and_others_are_false() {
    check(
        json!([
            case("anna", "198.51.100.99", 10, "escalate"),
            case("carol", "198.51.100.99", 10, "escalate")
        ]),
        |e| {
            assert_eq!((e.attacks_escalated, e.weak, e.false_escalations), (0, 1, 1));
            assert!((e.false_escalations_per_day_and_1000_users - 1.0).abs() < 1e-9);
        },
    );
}

#[test]
fn the_right_account_on_another_day_is_false() {
    check(json!([case("anna", "203.0.113.9", 20, "escalate")]), |e| {
        assert_eq!((e.attacks_escalated, e.false_escalations), (0, 1));
        assert_eq!(e.missed.first().and_then(|m| m.best.clone()), None);
    });
}

#[test]
fn a_look_alike_may_be_shown_but_not_escalated() {
    check(json!([case("bob", "198.51.100.7", 12, "investigate")]), |e| {
        assert_eq!((e.lookalikes_escalated, e.false_open, e.false_escalations), (0, 1, 0));
    });
    check(json!([case("bob", "198.51.100.7", 12, "escalate")]), |e| {
        assert_eq!((e.lookalikes_escalated, e.false_escalations), (1, 1));
    });
    check(json!([case("bob", "198.51.100.7", 12, "close")]), |e| assert_eq!(e.false_open, 0));
}

#[test]
fn answers_count_where_the_label_pins_them_down() {
    let mut told = case("anna", "203.0.113.9", 10, "escalate");
    told["questions"] = json!([{"id": "known_malicious_ip", "answer": "unknown"}, {"id": "mfa_bypassed_or_absent", "answer": "no"}]);
    told["criteria"] = json!({"baseline_anomaly": {"state": "true"}});
    check(json!([told]), |e| {
        assert_eq!(e.answers["known_malicious_ip"], Mark { right: 1, counted: 1 });
        assert_eq!(e.answers["mfa_bypassed_or_absent"], Mark { right: 0, counted: 1 });
        assert_eq!(e.criteria["baseline_anomaly"], Mark { right: 1, counted: 1 });
        assert_eq!(e.wrong, ["A001 scenario_A001 mfa_bypassed_or_absent: no, should be yes"]);
        assert!(e.to_text().lines().all(|l| l.chars().count() <= 80), "{}", e.to_text());
    });
}

#[test]
fn broken_cases_say_where() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("cases.json");
    std::fs::write(&path, "{\"id\": 1}\n{\"id\": \n").expect("writable");
    let error = cases::read(&path).expect_err("the second line is broken").to_string();
    assert!(error.contains("cases.json:2"), "{error}");
    std::fs::write(&path, "").expect("writable");
    assert_eq!(cases::read(&path).expect("empty is no cases").len(), 0);
}

proptest::proptest! {
    #[test]
    fn no_case_file_makes_it_panic(text in "[\\[\\]{}:,\"a-z0-9 \\\\.-]{0,80}") {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("cases.json");
        std::fs::write(&path, &text).expect("writable");
        if let Ok(cases) = cases::read(&path) {
            let evaluation = score(&labels(), &Lines::new(), &cases);
            proptest::prop_assert_eq!(evaluation.cases, cases.len());
            proptest::prop_assert!(evaluation.true_escalations <= evaluation.escalations);
        }
    }

    #[test]
    fn a_canonical_name_stays_as_it_is(name in "(arn:)?[a/@\\\\: A-]{0,12}") {
        let once = canonical(&name);
        proptest::prop_assert!(!once.contains(['\\', '@']));
        proptest::prop_assert_eq!(canonical(&once), once);
    }
}
