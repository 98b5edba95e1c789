//! Notes, steps, decisions, deadlines, timeline, evidence and questions.

use crate::lab::{ANNA, Lab, Said, anna, both, read_all};
use portreeve_model::answer::Decision;
use portreeve_store::ask::{self, Answer, Answered, NewAsk};
use portreeve_store::case::clock::{self, Kind as Clock};
use portreeve_store::case::task::{self, Change, State};
use portreeve_store::case::timeline::{self, Kind, NewEntry};
use portreeve_store::case::work::{self, Closing};
use portreeve_store::case::{self, Disposition, Status, decision, merge, note};
use portreeve_store::evidence::{self, NewEvidence};
use portreeve_store::{CaseId, Error};

both!(
    every_version_of_a_note_stays,
    steps_keep_what_people_wrote,
    a_case_with_begun_steps_is_not_closed_by_the_way,
    a_person_decides_otherwise,
    clocks_run_stand_and_are_met,
    the_timeline_is_in_order_of_events_and_only_grows,
    evidence_has_its_hands,
    a_question_is_answered_once,
);

fn every_version_of_a_note_stays(lab: &Lab) {
    let id = Said::new(1).create(&lab.store);
    let note = lab.store.write(|tx| note::write(tx, id, "first **version**", anna(10))).unwrap();
    let edited = lab.store.write(|tx| note::edit(tx, note.id, 1, "second \0", anna(20))).unwrap();
    assert_eq!((edited.revision, edited.created_at, edited.edited_at), (2, 10, 20));
    let late = lab.store.write(|tx| note::edit(tx, note.id, 1, "third", ANNA)).unwrap_err();
    assert!(matches!(late, Error::Conflict { now: 2, .. }), "{late}");
    let empty = lab.store.write(|tx| note::edit(tx, note.id, 2, " \n", ANNA)).unwrap_err();
    assert!(matches!(empty, Error::Invalid { .. }), "{empty}");
    lab.store.write(|tx| note::delete(tx, note.id, 2, anna(30))).unwrap();
    assert!(lab.store.read(|tx| note::of_case(tx, id)).unwrap().is_empty());
    let gone = lab.store.write(|tx| note::edit(tx, note.id, 2, "x", ANNA)).unwrap_err();
    assert!(matches!(gone, Error::NotFound { .. }), "{gone}");
    let versions = lab.store.read(|tx| note::versions(tx, note.id)).unwrap();
    let bodies: Vec<&str> = versions.iter().map(|v| v.body.as_str()).collect();
    assert_eq!(bodies, ["first **version**", "second \0"]);
    for sql in ["update note_revisions set body = ''", "delete from note_revisions"] {
        assert!(lab.plain(sql).unwrap_err().contains("never changed"), "{sql}");
    }
}

fn steps_keep_what_people_wrote(lab: &Lab) {
    let id = Said::new(1).create(&lab.store);
    let steps = [("l1_session", "Is the session legitimate?"), ("l1_geo", "Place or travel?")];
    let ensure = || lab.store.write(|tx| task::ensure(tx, id, &steps)).unwrap();
    ensure();
    let done = Change { state: State::Done, assignee: None, due: None, finding: "he called" };
    let task = lab.store.write(|tx| task::set(tx, id, "l1_geo", 1, &done, anna(50))).unwrap();
    assert_eq!((task.done_by.as_deref(), task.done_at), (Some("person:1 anna"), Some(50)));
    ensure();
    let tasks = lab.store.read(|tx| task::of_case(tx, id)).unwrap();
    assert_eq!(tasks.iter().map(|t| t.state).collect::<Vec<_>>(), [State::ToDo, State::Done]);
    assert_eq!(tasks[1].finding, "he called");
    let late = lab.store.write(|tx| task::set(tx, id, "l1_geo", 1, &done, ANNA)).unwrap_err();
    assert!(matches!(late, Error::Conflict { now: 2, .. }), "{late}");
    let silent = Change { state: State::Done, assignee: None, due: None, finding: "" };
    let error = lab.store.write(|tx| task::set(tx, id, "l1_session", 1, &silent, ANNA)).unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }), "{error}");
    let error = lab.store.write(|tx| task::set(tx, id, "nothing", 1, &done, ANNA)).unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

fn a_case_with_begun_steps_is_not_closed_by_the_way(lab: &Lab) {
    let id = Said::new(1).create(&lab.store);
    lab.store.write(|tx| task::ensure(tx, id, &[("a", "A"), ("b", "B")])).unwrap();
    let begun = Change { state: State::InProgress, assignee: None, due: None, finding: "" };
    lab.store.write(|tx| task::set(tx, id, "a", 1, &begun, ANNA)).unwrap();
    let close = |leave_tasks| {
        let closing = Closing { disposition: Disposition::NotApplicable, reason: "x", leave_tasks };
        lab.store.write(|tx| work::close(tx, id, 1, &closing, ANNA))
    };
    assert!(matches!(close(false), Err(Error::NotNow(_))));
    close(true).unwrap();
    let tasks = lab.store.read(|tx| task::of_case(tx, id)).unwrap();
    assert_eq!(tasks[0].state, State::InProgress, "nothing is closed with it");
}

fn a_person_decides_otherwise(lab: &Lab) {
    let id = Said::new(1).create(&lab.store);
    let decide =
        |expect, decision| lab.store.write(|tx| decision::decide(tx, id, expect, decision, "why", anna(5)));
    let case = decide(1, Decision::Escalate).unwrap();
    assert_eq!((case.decision, case.queue()), (Decision::Investigate, Decision::Escalate));
    decide(2, Decision::Close).unwrap();
    let case = lab.store.write(|tx| decision::withdraw(tx, id, 3, "I was wrong", anna(6))).unwrap();
    assert_eq!(case.queue(), Decision::Investigate);
    let none = lab.store.write(|tx| decision::withdraw(tx, id, 4, "again", ANNA)).unwrap_err();
    assert!(matches!(none, Error::NotNow(_)), "{none}");
    let all = lab.store.read(|tx| decision::of_case(tx, id)).unwrap();
    let steps: Vec<_> = all.iter().map(|o| (o.before, o.decision, o.withdrawn_at)).collect();
    assert_eq!(
        steps,
        [
            (Decision::Investigate, Decision::Escalate, Some(5)),
            (Decision::Escalate, Decision::Close, Some(6))
        ]
    );
}

fn clocks_run_stand_and_are_met(lab: &Lab) {
    let id = Said::new(1).create(&lab.store);
    for (kind, due) in [(Clock::Acknowledge, 2_000), (Clock::Contain, 3_000), (Clock::Resolve, 9_000)] {
        lab.store.write(|tx| clock::start(tx, id, kind, 100, due)).unwrap();
    }
    let due = || lab.store.read(|tx| case::get(tx, id)).unwrap().next_due;
    let clocks = || lab.store.read(|tx| clock::of_case(tx, id)).unwrap();
    assert_eq!(due(), Some(2_000));
    assert!(clocks()[0].is_breached(2_001) && !clocks()[0].is_breached(2_000));
    lab.store.write(|tx| work::set_status(tx, id, 1, Status::Open, anna(1_500))).unwrap();
    assert_eq!((due(), clocks()[0].met_at), (Some(3_000), Some(1_500)));
    lab.store.write(|tx| clock::pause(tx, id, Clock::Contain, 2_500)).unwrap();
    assert_eq!(due(), Some(9_000));
    assert!(!clocks()[1].is_breached(50_000), "one that stands does not run out");
    let twice = lab.store.write(|tx| clock::pause(tx, id, Clock::Contain, 2_600)).unwrap_err();
    assert!(matches!(twice, Error::NotNow(_)), "{twice}");
    lab.store.write(|tx| clock::resume(tx, id, Clock::Contain, 4_500)).unwrap();
    assert_eq!(due(), Some(5_000), "later by as long as it stood");
    lab.store.write(|tx| clock::meet(tx, id, Clock::Contain, 4_800)).unwrap();
    lab.store.write(|tx| clock::meet(tx, id, Clock::Contain, 9_999)).unwrap();
    assert_eq!(clocks()[1].met_at, Some(4_800), "the first time counts");
    let closing = Closing { disposition: Disposition::TruePositiveImpact, reason: "x", leave_tasks: false };
    let case = lab.store.write(|tx| work::close(tx, id, 2, &closing, anna(8_000))).unwrap();
    assert_eq!(case.next_due, None);
    let case = lab.store.write(|tx| work::reopen(tx, id, 3, "x", anna(8_500))).unwrap();
    assert_eq!(case.next_due, Some(9_000));
}

fn the_timeline_is_in_order_of_events_and_only_grows(lab: &Lab) {
    let id = Said::new(1).create(&lab.store);
    let other = Said::new(2).create(&lab.store);
    let add = |case, at, once, said: &str| {
        let new = NewEntry {
            case,
            kind: Kind::Log,
            at,
            certainty: "zone assumed",
            recorded_at: 5_000,
            actor: "engine",
            said,
            data: Some("{\"a\":1}"),
            once,
        };
        lab.store.write(|tx| timeline::append(tx, &new)).unwrap()
    };
    assert!(add(id, 700, Some("e1"), "later").is_some());
    assert!(add(id, 50, Some("e0"), "earlier\0").is_some());
    assert!(add(id, 700, Some("e1"), "later").is_none(), "told twice, written once");
    assert!(add(other, 60, Some("e1"), "of the other").is_some());
    let at = |id| (id, 1);
    lab.store.write(|tx| merge::merge(tx, at(id), at(other), "one", anna(9_000))).unwrap();
    let mut told = Vec::new();
    let mut after = None;
    loop {
        let page = lab.store.read(|tx| timeline::of_case(tx, id, after, 2)).unwrap();
        let Some(last) = page.last() else { break };
        after = Some((last.at, last.id));
        told.extend(page.into_iter().map(|e| (e.at, e.said)));
    }
    assert!(told.is_sorted_by_key(|(at, _)| *at), "{told:?}");
    let logs: Vec<&str> =
        told.iter().map(|(_, said)| said.as_str()).filter(|s| !s.contains("case")).collect();
    let first = "investigate: a login from a new place";
    assert_eq!(logs, ["earlier\0", "of the other", first, first, "later"]);
    for sql in ["update timeline set said = ''", "delete from timeline"] {
        assert!(lab.plain(sql).unwrap_err().contains("never changed"), "{sql}");
    }
    let nowhere = NewEntry {
        case: CaseId(99),
        kind: Kind::Log,
        at: 1,
        certainty: "",
        recorded_at: 1,
        actor: "",
        said: "",
        data: None,
        once: None,
    };
    assert!(lab.store.write(|tx| timeline::append(tx, &nowhere)).is_err());
}

fn evidence_has_its_hands(lab: &Lab) {
    let id = Said::new(1).create(&lab.store);
    let put = lab.store.files().put(&mut &b"a memory image"[..], 1 << 20).unwrap();
    let new = NewEvidence {
        case: id,
        sha256: &put.sha256,
        size: put.size,
        name: "../../etc/passwd",
        media_type: "application/octet-stream",
        acquired_by: "forensics",
        acquired_at: 77,
        acquired_from: "FILE01",
        how: "portreeve collect",
    };
    let added = lab.store.write(|tx| evidence::add(tx, &new, anna(80))).unwrap();
    lab.store.write(|tx| evidence::handled(tx, added.id, "read", "whole", anna(90))).unwrap();
    let hands = lab.store.read(|tx| evidence::custody(tx, added.id)).unwrap();
    let short: Vec<_> = hands.iter().map(|c| (c.number, c.at, c.what.as_str())).collect();
    assert_eq!(short, [(1, 80, "added"), (2, 90, "read")]);
    assert_eq!(read_all(lab.store.files().open(&added.sha256).unwrap()), b"a memory image");
    let found = lab.store.read(|tx| evidence::of_case(tx, id)).unwrap();
    assert_eq!(found[0].name, "../../etc/passwd", "a label, and no path");
    assert!(lab.plain("update custody set actor = 'x'").unwrap_err().contains("never changed"));
    let referred = lab.store.read(evidence::referred).unwrap();
    assert!(lab.store.files().verify(&referred).is_empty());
}

fn a_question_is_answered_once(lab: &Lab) {
    let id = Said::new(1).create(&lab.store);
    let token = [7; 32];
    let new =
        NewAsk { token_hash: &token, case: id, person: "user1", question: "Was that you?", expires_at: 500 };
    let ask = lab.store.write(|tx| ask::create(tx, &new, anna(100))).unwrap();
    assert!(matches!(lab.store.write(|tx| ask::create(tx, &new, anna(100))), Err(Error::Taken { .. })));
    let answered = |at| Answered {
        at,
        answer: Answer::No,
        remark: "I sleep at that hour\0".into(),
        device: "phone".into(),
        agent: "Browser".into(),
        address: "192.0.2.1".into(),
        strength: "weak".into(),
        confirmed: None,
    };
    let confirm = |how: &str| lab.store.write(|tx| ask::confirm(tx, ask.id, how, anna(600)));
    assert!(matches!(confirm("by phone"), Err(Error::NotNow(_))), "nothing was answered yet");
    let answer = |at| lab.store.write(|tx| ask::answer(tx, &token, &answered(at)));
    assert!(matches!(answer(500), Err(Error::NotNow(_))), "it has run out");
    assert_eq!(answer(499).unwrap().answered, Some(answered(499)));
    assert!(matches!(answer(499), Err(Error::NotNow(_))), "the first answer counts");
    assert!(matches!(lab.store.write(|tx| ask::revoke(tx, ask.id, ANNA)), Err(Error::NotNow(_))));
    let entries = lab.store.read(|tx| timeline::of_case(tx, id, None, 10)).unwrap();
    let entry = entries.iter().find(|e| e.kind == Kind::Answer).unwrap();
    assert_eq!(
        (entry.said.as_str(), entry.actor.as_str()),
        ("user1 answered no (weak): Was that you?", "user1")
    );
    assert!(matches!(confirm(" "), Err(Error::Invalid { .. })));
    let confirmed = confirm("by phone").unwrap().answered.and_then(|a| a.confirmed).unwrap();
    assert_eq!((confirmed.at, confirmed.how.as_str()), (600, "by phone"));
    assert!(matches!(confirm("again"), Err(Error::NotNow(_))));
    assert_eq!(lab.store.read(|tx| ask::open(tx, id, 200)).unwrap(), 0);
    let second = NewAsk { token_hash: &[8; 32], ..new };
    let ask = lab.store.write(|tx| ask::create(tx, &second, anna(100))).unwrap();
    let open = |at| lab.store.read(|tx| ask::open(tx, id, at)).unwrap();
    assert_eq!([open(105), open(500)], [1, 0]);
    lab.store.write(|tx| ask::revoke(tx, ask.id, anna(110))).unwrap();
    assert_eq!(open(115), 0);
    let error = lab.store.write(|tx| ask::answer(tx, &[8; 32], &answered(120))).unwrap_err();
    assert!(matches!(error, Error::NotNow(_)), "{error}");
    assert_eq!(lab.store.read(|tx| ask::of_case(tx, id)).unwrap().len(), 2);
}
