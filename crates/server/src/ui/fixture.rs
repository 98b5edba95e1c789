//! Views for tests: one name goes into every field that others can write.

use super::*;
use portreeve_report::wire;
use serde_json::{Value, json};

/// 2026-03-04 10:00 UTC.
pub(super) const NOW: i64 = 1_772_618_400_000_000;
pub(super) const HOUR: i64 = 3_600_000_000;

pub(super) fn shell() -> Shell {
    let n = "anna".to_owned();
    let all = [
        "case.assign",
        "case.escalate",
        "case.close",
        "case.note",
        "case.task",
        "case.decide",
        "case.reopen",
        "case.restrict",
        "case.suppress",
        "case.merge",
        "user.read",
        "user.manage",
        "token.read",
        "token.own",
        "token.manage",
        "audit.read",
        "audit.verify",
        "source.manage",
        "suppression.review",
        "containment.propose",
        "export.make",
        "search.run",
        "case.answer",
    ];
    Shell {
        me: Some(Me { id: 7, name: n.clone(), display: "Anna".into(), roles: vec!["L1".into()] }),
        csrf: "dG9rZW4".into(),
        here: "/queue?queue=escalate".into(),
        now: NOW,
        zones: Zones { chosen: Zone::Utc, mine: "Europe/Berlin".into(), theirs: "America/Lima".into() },
        theme: Theme::System,
        health: Health {
            last_event: Some(NOW - 4_000_000),
            lag: Some(1_500_000),
            understood: Some(99.2),
            gaps: 1,
            sources: vec![],
        },
        escalate: 2,
        investigate: 5,
        may: all.map(str::to_owned).to_vec(),
        notice: None,
        undo: None,
    }
}

fn evidence(n: &str) -> Value {
    json!({"file": format!("vpn {n}.log"), "line": 7, "offset": 512, "time": "2026-03-04T08:00:00Z", "source": n,
        "raw": format!("login of {n}")})
}

fn place(n: &str, lat: f64) -> Value {
    json!({"country": n, "city": n, "lat": lat, "lon": 4.36, "radius_km": 20, "asn": 64500, "as_name": n,
        "network": n, "label": n})
}

pub(super) fn session(n: &str, id: &str, start: &str, end: Option<&str>, suspect: bool) -> wire::Session {
    let value = json!({"id": id, "principal": n, "service": n, "gateway": n, "group": n, "public_ips": ["203.0.113.9", n],
        "tunnel_ips": ["10.8.0.4"], "device": n, "client": n, "start": start, "end": end, "end_reason": n, "mfa": n,
        "factor": n, "mfa_known_by": n, "place": place(n, if suspect { 52.0 } else { 48.0 }), "standing": n, "suspect": suspect,
        "evidence": [evidence(n)]});
    serde_json::from_value(value).expect("a session")
}

pub(super) fn case(n: &str) -> wire::Case {
    let person = json!({"name": n, "aliases": [n], "department": n, "role": n, "status": n, "privileged": true,
        "listed": true});
    let step = |id: &str| json!({"id": id, "title": n, "state": "open", "finding": n, "next": n, "evidence": [evidence(n)]});
    let sessions = [
        session(n, "s1", "2026-03-04T08:00:00Z", Some("2026-03-04T09:30:00Z"), true),
        session(n, "s2", "2026-03-04T07:00:00Z", Some("2026-03-04T08:30:00Z"), false),
        session(n, "s3", "2026-03-01T07:00:00Z", None, false),
    ];
    serde_json::from_value(json!({
        "case_id": "20260304-aa11bb", "title": n, "principal": person, "principals": [person],
        "first_seen": "2026-03-04T08:00:00Z", "last_seen": "2026-03-04T09:30:00.5Z", "detected_at": "2026-03-04T08:20:00Z",
        "decision": "escalate", "reason": n, "risk_score": 91.4, "prior_db": -50.0, "score_db": 20.0,
        "groups": [{"group": n, "raw_db": 12.0, "db": 9.0}],
        "criteria": [
            {"id": "a", "number": "E1", "text": n, "state": "true", "because": n, "explained": [n], "needs": []},
            {"id": "b", "number": "E2", "text": n, "state": "false", "because": n, "explained": [], "needs": []},
            {"id": "c", "number": "E3", "text": n, "state": "unknown", "because": n, "explained": [], "needs": [n]}],
        "questions": [
            {"id": "mfa", "text": n, "answer": "yes", "because": n, "known_by": n, "needs": [], "evidence": [evidence(n)]},
            {"id": "geo", "text": n, "answer": "no", "because": n, "known_by": n, "needs": [], "evidence": []},
            {"id": "edr", "text": n, "answer": "unknown", "because": n, "known_by": "", "needs": [n], "evidence": []}],
        "indicators": [{"id": n, "title": n, "technique": ["T1110.001", n], "group": n, "time": "2026-03-04T08:20:00Z",
            "points": 12.0, "because": n, "explained": [n], "evidence": [evidence(n)]}],
        "source_ips": ["203.0.113.9", n], "sources": [{"ip": n, "place": place(n, 52.0)}], "sessions": sessions,
        "l1_steps": [step("ask_user")], "t2_actions": [step("lateral")],
        "containment": [{"order": 1, "id": "block_ip", "title": n, "target": n, "subject": {"address": "203.0.113.9"},
            "because": n, "leaves_open": n, "blast_radius": n, "caution": n}],
        "timeline": [{"time": "2026-03-04T07:58:00Z", "certainty": n, "kind": "log", "text": n, "evidence": evidence(n)}],
        "coverage": {"sources": [n], "missing": [n], "history_days": 7, "history_sessions": 3},
        "related": [{"case_id": n, "why": n}], "campaign": n, "revised": n,
    }))
    .expect("a case")
}

pub(super) fn queue(n: &str) -> QueueView {
    let line = |number| Line {
        number,
        title: n.into(),
        principal: n.into(),
        brief: crate::brief::Brief::of(&case(n)),
        status: "in_progress".into(),
        owner: n.into(),
        tier: n.into(),
        since: NOW - 2 * HOUR,
        due: Some(NOW - HOUR + HOUR * (number - 7) * 3),
        resurfaced: number == 8,
    };
    QueueView {
        filter: Filter {
            queue: "escalate".into(),
            q: n.into(),
            owner: n.into(),
            tier: n.into(),
            after: n.into(),
            case: Some(7),
        },
        total: 2,
        lines: vec![line(7), line(8)],
        next: n.into(),
        selected: Some(Answer {
            number: 7,
            revision: 3,
            decision: "escalate".into(),
            owner: n.into(),
            tier: "l1".into(),
            case: case(n),
        }),
    }
}

/// Every page with the name in every field, and the name of the page.
pub(super) fn pages(n: &str) -> Vec<(&'static str, String)> {
    let mut shell = shell();
    shell.notice = Some(n.into());
    shell.undo =
        Some(Undo { says: n.into(), action: "/cases/7/undo".into(), fields: vec![("x".into(), n.into())] });
    shell.here = link::query("/queue", &[("q", n)]);
    if let Some(me) = &mut shell.me {
        me.display = n.into();
    }
    shell.zones.mine = n.into();
    shell.zones.theirs = n.into();
    vec![("queue", super::queue(&shell, &queue(n)))]
}

pub(super) const PLAIN: &str = "eve";
