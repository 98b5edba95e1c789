//! The shape of what each product hears, word for word, with what an intruder would write into it.

use super::*;
use crate::config::Occasion;
use crate::out::{Facts, Hooks, Message};
use serde_json::json;

const HOSTILE: &str = "<!channel> [x](http://evil.example) *b* @here\n[code]<img src=x>[/code] \u{202e}\"}";

fn message(occasion: Occasion) -> Message {
    let case = Facts {
        number: 42,
        revision: 3,
        title: HOSTILE.to_owned(),
        principal: HOSTILE.to_owned(),
        decision: "escalate".to_owned(),
        risk: 91.4,
        status: "open".to_owned(),
        tier: "t2".to_owned(),
        tlp: "amber".to_owned(),
        pap: "green".to_owned(),
        disposition: Some("true_positive_impact".to_owned()),
        first_seen: 1_772_618_400_000_000,
        last_seen: 1_772_618_460_000_000,
        detected_at: 1_772_618_470_000_000,
        gateway: HOSTILE.to_owned(),
        addresses: vec!["192.0.2.7".to_owned(), HOSTILE.to_owned()],
        reason: HOSTILE.to_owned(),
        differs: vec![HOSTILE.to_owned()],
    };
    let about = !matches!(occasion, Occasion::Health | Occasion::Test);
    Message {
        occasion,
        at: 1_772_618_480_000_000,
        by: "person:7 anna".to_owned(),
        said: HOSTILE.to_owned(),
        case: about.then_some(case),
        subject: String::new(),
        link: None,
    }
}

fn hook(template: &str) -> WebhookAt {
    let text = format!(
        "name = \"h\"\nurl = \"https://x.example\"\ntemplate = \"{template}\"\nchannel = \"C1\"\nproject = \"SOC\"\ncustomer = 7\n"
    );
    toml::from_str(&text).expect("a webhook")
}

fn planned(template: &str, occasion: Occasion) -> Plan {
    let hook = hook(template);
    let hooks = Hooks {
        instance: "portreeve-soc".to_owned(),
        public_url: Some("https://soc.example".to_owned()),
        ..Hooks::default()
    };
    plan(&Letter::of(&message(occasion), &hook, &hooks), &hook, Some("R0UT1NG"))
}

fn shown(plan: &Plan) -> Value {
    let ask = |a: &Ask| json!({ "method": a.method, "path": a.path, "query": a.query, "body": a.body });
    match plan {
        Plan::Tell(tell) => json!({ "tell": ask(tell) }),
        Plan::Find { look, make, add, .. } => {
            json!({ "look": ask(look), "make": ask(make), "add": add("ID-1").as_ref().map(ask) })
        }
    }
}

const ALL: [&str; 8] = ["plain", "slack", "teams", "jira", "servicenow", "pagerduty", "thehive", "iris"];

#[test]
fn as_each_product_hears_it() {
    for template in ALL {
        insta::assert_json_snapshot!(template, shown(&planned(template, Occasion::CaseEscalated)));
    }
}

#[test]
fn nothing_of_a_log_is_obeyed_anywhere() {
    for template in ALL {
        for occasion in [
            Occasion::CaseOpened,
            Occasion::CaseRevised,
            Occasion::CaseClosed,
            Occasion::CaseReopened,
            Occasion::ContainmentWaits,
            Occasion::ContainmentIneffective,
            Occasion::Health,
            Occasion::Test,
        ] {
            let text = shown(&planned(template, occasion)).to_string();
            assert!(!text.contains('\u{202e}'), "{template}: a mark of direction");
            let forbidden: &[&str] = match template {
                "slack" => &["<!channel>", "mrkdwn\":true", "\"type\":\"mrkdwn\""],
                "teams" => &["TextBlock\",\"text", "FactSet"],
                "thehive" | "iris" => &[" [x](http", " *b* "],
                "servicenow" => &["[code]", "[/code]"],
                _ => &[],
            };
            // IRIS keeps the source's own words in a field of JSON, which it shows as such.
            let text = match template {
                "iris" => {
                    let mut value = shown(&planned(template, occasion));
                    value["make"]["body"]["alert_source_content"] = Value::Null;
                    value["make"]["body"]["alert_title"] = Value::Null;
                    value.to_string()
                }
                "thehive" => {
                    let mut value = shown(&planned(template, occasion));
                    value["make"]["body"]["title"] = Value::Null;
                    value["make"]["body"]["observables"] = Value::Null;
                    value.to_string()
                }
                _ => text,
            };
            for words in forbidden {
                assert!(!text.contains(words), "{template} {occasion:?}: {words}: {text}");
            }
        }
    }
}

#[test]
fn one_key_a_case_and_closing_resolves() {
    let Plan::Tell(opened) = planned("pagerduty", Occasion::CaseOpened) else { panic!("one request") };
    let Plan::Tell(closed) = planned("pagerduty", Occasion::CaseClosed) else { panic!("one request") };
    let (opened, closed) = (opened.body.expect("a body"), closed.body.expect("a body"));
    assert_eq!((&opened["event_action"], &closed["event_action"]), (&json!("trigger"), &json!("resolve")));
    assert_eq!(
        (&opened["dedup_key"], &closed["dedup_key"]),
        (&json!("portreeve-soc-case-42"), &closed["dedup_key"])
    );
    for template in ["jira", "servicenow", "thehive", "iris"] {
        let Plan::Find { add, found, .. } = planned(template, Occasion::CaseOpened) else {
            panic!("looks first")
        };
        assert!(add("1").is_none(), "{template}: told to be new twice, it is there once");
        for odd in
            [json!({}), json!([]), json!("x"), json!({"issues": [{"key": "../x"}]}), json!([{"_id": "a/b"}])]
        {
            assert_eq!(found(&odd), None, "{template} {odd}");
        }
    }
}

#[test]
fn answers_mean_what_the_products_mean() {
    let heard = |status, body: &str| Heard { status, body: body.as_bytes().to_vec(), ..Heard::default() };
    let is = |template, status, body| meant(template, &heard(status, body));
    assert_eq!(is(Template::Plain, 204, ""), Meant::Heard);
    assert_eq!(is(Template::Teams, 202, ""), Meant::Heard);
    assert_eq!(is(Template::Slack, 200, "ok"), Meant::Heard);
    assert!(matches!(is(Template::Slack, 200, r#"{"ok":false,"error":"x"}"#), Meant::Again(_)));
    assert_eq!(is(Template::Plain, 200, r#"{"ok":false}"#), Meant::Heard);
    assert_eq!(is(Template::TheHive, 400, "Alert already exist"), Meant::Heard);
    for status in [301, 302, 307, 401, 403, 404, 408, 429, 500, 503] {
        assert!(matches!(is(Template::Plain, status, ""), Meant::Again(_)), "{status}");
    }
    for status in [400, 410, 413, 422] {
        assert!(
            matches!(is(Template::Plain, status, "no\u{1b}[2J"), Meant::Never(why) if !why.contains('\u{1b}'))
        );
    }
}
