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
        "config.read",
        "webhook.manage",
        "audit.read",
        "audit.verify",
        "source.manage",
        "suppression.review",
        "containment.propose",
        "export.make",
        "search.run",
        "case.answer",
        "ask.create",
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
            problems: vec!["line: 7 bytes of records wait; doors are held back".into()],
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
            standing: String::new(),
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
            closed: false,
            case: case(n),
        }),
    }
}

fn aftermath(n: &str) -> portreeve_report::actions::Aftermath {
    let taken = json!({"plan": n, "step": 1, "act": "block_address", "title": n, "proposal": "block_ip", "d3fend": "",
        "target": {"kind": "address", "value": n}, "device": n, "connector": n, "tested": "proven", "state": "verified",
        "proof": n, "since": "2026-03-04T09:00:00Z", "verified_at": null, "until": "2026-03-05T09:00:00Z",
        "watched_until": null, "effect": n, "leaves_open": n, "undo": n, "final": false, "requests": [n],
        "approved_by": [n], "emergency": false, "history": []});
    let sighting = json!({"at": "2026-03-04T09:30:00Z", "plan": n, "step": 1, "target": n, "got_in": true, "what": n,
        "evidence": n});
    serde_json::from_value(
        json!({"case_id": n, "ledger_read": true, "as_of": "2026-03-04T10:00:00Z", "actions": [taken],
        "next_deadline": {"at": "2026-03-05T09:00:00Z", "what": n, "overdue": true}, "gaps": [],
        "sightings": [sighting]}),
    )
    .expect("an aftermath")
}

fn preview(n: &str) -> Preview {
    let one = |number, disposition: &str, real| Silenced {
        number,
        title: n.into(),
        at: NOW,
        disposition: disposition.into(),
        real,
        came_back: real,
    };
    Preview {
        scope: vec![(n.into(), n.into())],
        criteria: vec![n.into()],
        until: NOW + HOUR,
        for_everybody: true,
        days: 90,
        would: 2,
        came_back: 1,
        real: 1,
        waiting: 1,
        unseen: vec!["there are more cases than were looked at"],
        outside: vec![n.into()],
        cases: vec![one(3, "true_positive_impact", true), one(4, n, false)],
    }
}

pub(super) fn case_view(n: &str) -> CaseView {
    let clock = |kind: &str, due, met_at, paused, is_breached| Clock {
        kind: kind.into(),
        due,
        paused,
        met_at,
        is_breached,
    };
    CaseView {
        number: 7,
        revision: 3,
        status: "closed".into(),
        owner: n.into(),
        tier: n.into(),
        tlp: "amber_strict".into(),
        pap: n.into(),
        restricted: true,
        members: vec![n.into()],
        decision: "escalate".into(),
        overridden: Some(Override { before: "close".into(), reason: n.into(), by: n.into(), at: NOW }),
        disposition: "benign_positive".into(),
        closing_reason: n.into(),
        resurfaced: true,
        merged_into: Some(4),
        merged: vec![5, 6],
        parts: vec![(n.into(), n.into(), true)],
        clocks: vec![
            clock("acknowledge", NOW - HOUR, Some(NOW), false, true),
            clock("contain", NOW - HOUR, None, false, true),
            clock("resolve", NOW + HOUR, None, true, false),
        ],
        case: case(n),
        timeline: moments_of(&case(n)),
        tasks: vec![Task {
            step: "ask_user".into(),
            state: "in_progress".into(),
            assignee: n.into(),
            finding: n.into(),
            done_by: n.into(),
            revision: 1,
        }],
        notes: vec![Note {
            id: 1,
            revision: 1,
            body: n.into(),
            author: n.into(),
            at: NOW,
            edited: true,
            is_mine: true,
        }],
        verdicts: vec![Verdict {
            number: 1,
            turn: n.into(),
            why: n.into(),
            changed: n.into(),
            at: NOW,
            before: "investigate".into(),
            after: "escalate".into(),
            risk_before: 40.0,
            risk_after: 91.4,
            late: true,
        }],
        related: vec![Related {
            number: 5,
            title: n.into(),
            status: "closed".into(),
            owner: n.into(),
            closing_reason: n.into(),
            why: vec![n.into()],
        }],
        containment: ContainmentView {
            aftermath: Some(aftermath(n)),
            configured: true,
            plans: vec![plan(n, "proposed", "planned"), plan(n, "in_force", "unknown")],
            trouble: vec![n.into()],
        },
        people: vec![n.into()],
        preview: Some(preview(n)),
        draft: draft(n),
        benign_fault: n.into(),
        suppressed: Some(3),
        asks: vec![Ask {
            id: 1,
            person: n.into(),
            question: n.into(),
            by: n.into(),
            at: NOW,
            state: "answered".into(),
            answer: "no".into(),
            remark: n.into(),
            answered_at: Some(NOW),
            address: n.into(),
            device: n.into(),
            strength: n.into(),
            confirmed: String::new(),
        }],
        ask_link: Some(n.into()),
        ask_fault: n.into(),
        webhooks: vec![n.into()],
    }
}

fn plan(n: &str, standing: &str, state: &str) -> PlanCard {
    let verbs = ["approve", "reject", "break_glass", "apply", "undo"];
    PlanCard {
        digest: format!("{standing:0<64}"),
        made_by: n.into(),
        made_at: NOW - HOUR,
        needs: n.into(),
        standing: standing.into(),
        lacks: n.into(),
        until: Some(NOW + HOUR / 4),
        said: n.into(),
        words: vec![PlanWord { purpose: "break_glass".into(), by: n.into(), reason: n.into(), at: NOW }],
        steps: vec![PlanStep {
            number: 1,
            title: n.into(),
            target: n.into(),
            device: n.into(),
            tested: n.into(),
            because: n.into(),
            seen: n.into(),
            requests: vec![n.into()],
            effect: n.into(),
            leaves_open: n.into(),
            undo: n.into(),
            is_final: true,
            blast_radius: n.into(),
            heavy: vec![n.into()],
            caution: n.into(),
            until: Some(NOW + HOUR),
            state: state.into(),
            proof: n.into(),
        }],
        left_out: vec![n.into()],
        may: verbs.iter().map(|v| format!("containment.{v}")).collect(),
        hands_over: true,
    }
}

fn draft(n: &str) -> Draft {
    Draft { reason: n.into(), scope: "given".into(), user: n.into(), ..Draft::default() }
}

fn entity_view(n: &str) -> EntityView {
    let usual = || vec![Usual { name: n.into(), sessions: 3, first: NOW - HOUR, last: NOW, suspect: true }];
    let mut rhythm = [[0; 24]; 7];
    rhythm[2][8] = 14;
    EntityView {
        kind: "users".into(),
        name: n.into(),
        facts: vec![(n.into(), n.into())],
        rhythm,
        rhythm_zone: n.into(),
        marked: vec![(2, 8)],
        places: usual(),
        networks: usual(),
        devices: usual(),
        users: usual(),
        factors: vec![Factor {
            at: NOW,
            user: n.into(),
            what: n.into(),
            factor: n.into(),
            from: n.into(),
            unusual: true,
        }],
        sessions: case(n).sessions,
        window: (NOW - HOUR, NOW),
        missing: vec![n.into()],
        cases: vec![CaseLine {
            number: 7,
            title: n.into(),
            status: n.into(),
            disposition: n.into(),
            at: NOW,
        }],
    }
}

/// Every page with the name in every field.
pub(super) fn pages(n: &str) -> Vec<(&'static str, String)> {
    let s = || n.to_owned();
    let mut shell = shell();
    shell.notice = Some(s());
    shell.undo = Some(Undo { says: s(), action: "/cases/7/undo".into(), fields: vec![("x".into(), s())] });
    shell.here = link::query("/queue", &[("q", n)]);
    if let Some(me) = &mut shell.me {
        (me.name, me.display, me.roles) = (s(), s(), vec![s()]);
    }
    shell.zones.mine = s();
    shell.zones.theirs = s();
    shell.health.sources.push(SourceHealth {
        name: s(),
        product: s(),
        door: s(),
        last_event: Some(NOW),
        lag: Some(HOUR),
        records: 12,
        understood: Some(99.0),
        gaps: vec![(NOW - HOUR, None), (NOW - HOUR, Some(NOW))],
        problems: vec![s()],
    });
    let outside = Shell { me: None, may: vec![], ..shell.clone() };
    let roles = || vec![(s(), s())];
    let suppression = || Suppression {
        id: 1,
        revision: 1,
        scope: vec![(s(), s())],
        reason: s(),
        author: s(),
        case: Some(7),
        created_at: NOW,
        expires_at: NOW + HOUR,
        hits: 2,
        last_hit: Some(NOW),
        silenced: 1,
        real: 1,
        criteria: vec![s()],
        due: vec![s()],
        reviewed_by: s(),
        ended_by: String::new(),
        scope_at: Some(NOW),
        scope_by: s(),
    };
    let one = SuppressionView {
        one: suppression(),
        cases: preview(n).cases,
        draft: draft(n),
        preview: Some(ScopePreview { silences: preview(n), narrower: false, back: vec![7, 8] }),
        fault: s(),
    };
    let all =
        SuppressionsView { standing: "in_force".into(), list: vec![suppression()], next: "after".into() };
    let account_view = AccountView {
        must_change: true,
        zone: s(),
        totp: true,
        recovery: 8,
        passkeys: vec![Passkey { id: s(), name: s(), created_at: NOW, last_used: Some(NOW) }],
        logins: vec![Login { id: s(), address: s(), agent: s(), since: NOW, last_seen: NOW, is_this: false }],
        has_password: true,
        fault: s(),
    };
    let person = Person { id: 1, name: s(), display: s(), roles: vec![s()], ..Person::default() };
    let bound = Person { id: 2, name: s(), bound: Some((s(), s())), ..Person::default() };
    let token = Token {
        name: s(),
        holder: s(),
        roles: vec![s()],
        created_by: s(),
        expires_at: Some(NOW),
        last_used: Some(NOW),
        may_revoke: true,
        ..Token::default()
    };
    let hook = || Webhook {
        name: s(),
        template: s(),
        host: s(),
        on: vec![s()],
        waiting: 2,
        dead: 1,
        untold: 1,
        last_error: s(),
        last_heard: Some(NOW),
    };
    let given_up = Delivery {
        id: 2,
        event: s(),
        case: Some(7),
        created_at: NOW - HOUR,
        attempts: 20,
        state: "dead".into(),
        last_error: s(),
        ..Delivery::default()
    };
    let waits = Delivery { id: 3, state: "waiting".into(), next_at: Some(NOW + HOUR), ..Delivery::default() };
    let heard = Delivery { id: 1, state: "done".into(), heard_at: Some(NOW), ..Delivery::default() };
    let deliveries = vec![waits, given_up, heard];
    let messages = WebhookView { hook: hook(), standing: "all".into(), deliveries, next: s() };
    let letter = DeadLetter { id: s(), at: NOW, door: s(), origin: s(), reason: s(), record: s() };
    let hit = Hit { at: NOW, source: s(), kind: s(), user: s(), address: s(), place: s(), raw: s() };
    let entry = AuditEntry {
        number: 1,
        at: NOW,
        actor: s(),
        verb: s(),
        object: s(),
        address: s(),
        outcome: s(),
        detail: s(),
        hash: s(),
    };
    vec![
        ("queue", super::queue(&shell, &queue(n))),
        ("case", super::case(&shell, &case_view(n))),
        ("entity", super::entity(&shell, &entity_view(n))),
        ("ask", ask(&AskView { state: AskState::Open, question: s(), here: "/ask/x".into() })),
        ("suppressions", suppressions(&shell, &all)),
        ("suppression", super::suppression(&shell, &one)),
        (
            "sign_in",
            sign_in(&outside, &SignInView { name: s(), fault: s(), oidc: s(), ..SignInView::default() }),
        ),
        (
            "second_factor",
            second_factor(
                &outside,
                &SecondFactorView { fault: s(), passkey: true, ..SecondFactorView::default() },
            ),
        ),
        ("first_run", first_run(&outside, &FirstRunView { token: s(), name: s(), fault: s() })),
        (
            "enrol",
            enrol(
                &shell,
                &EnrolView {
                    uri: s(),
                    secret: s(),
                    ticket: s(),
                    replaces: true,
                    fault: s(),
                    recovery: vec![],
                },
            ),
        ),
        ("recovery", enrol(&shell, &EnrolView { recovery: vec![s()], ..EnrolView::default() })),
        ("account", account(&shell, &account_view)),
        (
            "people",
            people(
                &shell,
                &PeopleView {
                    people: vec![person, bound],
                    roles: roles(),
                    issuer: s(),
                    fault: s(),
                    invitation: Some(s()),
                },
            ),
        ),
        (
            "tokens",
            tokens(
                &shell,
                &TokensView { tokens: vec![token], roles: roles(), secret: Some(s()), fault: s() },
            ),
        ),
        (
            "sources",
            sources(&shell, &SourcesView { secret: Some(s()), doors: vec![s()], dead: 1, fault: s() }),
        ),
        ("webhooks", webhooks(&shell, &WebhooksView { list: vec![hook()] })),
        ("webhook", webhook(&shell, &messages)),
        ("dead_letters", dead_letters(&shell, &DeadLettersView { letters: vec![letter], next: s() })),
        (
            "search",
            search(
                &shell,
                &SearchView { q: s(), from: s(), to: s(), hits: vec![hit], next: s(), fault: s(), read: s() },
            ),
        ),
        (
            "audit",
            audit(
                &shell,
                &AuditView {
                    actor: s(),
                    object: s(),
                    entries: vec![entry],
                    before: Some(1),
                    verified: Some(s()),
                },
            ),
        ),
        (
            "error",
            error(
                &shell,
                &ErrorView {
                    status: 404,
                    title: s(),
                    detail: s(),
                    then: vec![(s(), "/queue".into()), (s(), s())],
                },
            ),
        ),
    ]
}

pub(super) const PLAIN: &str = "eve";

/// The content of each page; what stands around it is in the last.
#[test]
fn pages_are_as_they_were() {
    for (page, text) in pages(PLAIN) {
        let (_, main) = text.split_once("<main").expect("content");
        let (main, _) = main.split_once("</main>").expect("it ends");
        insta::assert_snapshot!(page, without_hashes(main));
    }
    insta::assert_snapshot!("around", without_hashes(&error(&shell(), &ErrorView::default())));
}

/// Assets are named by their content; that is no part of the page.
fn without_hashes(text: &str) -> String {
    let mut shown = String::new();
    for (at, part) in text.split("/assets/").enumerate() {
        if at == 0 {
            shown.push_str(part);
            continue;
        }
        let (name, rest) = part.split_once('"').expect("an attribute ends");
        let mut words = name.split('.');
        let (stem, end) = (words.next().unwrap_or(""), words.next_back().unwrap_or(""));
        shown.push_str(&format!("/assets/{stem}.{end}\"{rest}"));
    }
    shown
}
