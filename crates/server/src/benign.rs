//! What a suppression covers: a case whose every account, every way in and every met criterion lies within its scope.
//! What it does not cover stays in the queue, or comes back, and says why.
//!
//! Nothing here touches what the engine says: a silenced case is judged, written and counted like any other.

use portreeve_model::answer::Decision;
use portreeve_model::net::Cidr;
use portreeve_model::{Ip, time::DAY_US};
use portreeve_report::wire;
use portreeve_store::case::{self, By, Case, Disposition, Status, Tier, document};
use portreeve_store::suppression::{self, Scope, Suppression};
use portreeve_store::{CaseId, Error, Tx, WriteTx};
use std::collections::BTreeSet;

/// Records may be so late: activity of that long before a suppression was made may still be of it.
const GRACE_US: i64 = DAY_US;
/// Reasons that are said; more would not make it clearer.
const REASONS: usize = 4;

/// A way in: an address, and what is known of it.
struct Entrance<'a> {
    ip: &'a str,
    place: Option<&'a wire::Place>,
}

fn same(a: &str, b: &str) -> bool {
    a.trim().to_lowercase() == b.trim().to_lowercase()
}

/// Where the suspect sessions came from.
fn entrances(case: &wire::Case) -> Vec<Entrance<'_>> {
    let mut all: Vec<Entrance<'_>> = Vec::new();
    for ip in &case.source_ips {
        let place = case.sources.iter().find(|s| s.ip == *ip).map(|s| &s.place);
        all.push(Entrance { ip, place });
    }
    for s in case.sessions.iter().filter(|s| s.suspect) {
        for ip in &s.public_ips {
            if !all.iter().any(|e| e.ip == ip) {
                all.push(Entrance { ip, place: Some(&s.place) });
            }
        }
    }
    all
}

fn accounts(case: &wire::Case) -> BTreeSet<&str> {
    let people = case.principals.iter().map(|p| p.name.as_str());
    let sessions = case.sessions.iter().filter(|s| s.suspect).map(|s| s.principal.as_str());
    let mut all: BTreeSet<&str> = people.chain(sessions).collect();
    all.insert(&case.principal.name);
    all.remove("");
    all
}

/// Criteria of the escalation that are met.
pub(crate) fn met(case: &wire::Case) -> impl Iterator<Item = &wire::Criterion> {
    case.criteria.iter().filter(|c| c.state == "true")
}

fn within(network: Cidr, ip: &str) -> bool {
    Ip::parse(ip.as_bytes()).some().is_some_and(|ip| network.contains(ip))
}

/// What of the way in the scope does not cover.
fn outside_of(scope: &Scope, entrance: &Entrance<'_>) -> Option<String> {
    let Entrance { ip, place } = entrance;
    if let Some(network) = scope.network.filter(|n| !within(*n, ip)) {
        return Some(format!("{ip} is outside of {network}"));
    }
    let of = |what: &dyn Fn(&wire::Place) -> bool| place.is_some_and(what);
    if let Some(asn) = scope.asn.filter(|asn| !of(&|p| i64::from(p.asn) == *asn)) {
        return Some(format!("{ip} is not of AS{asn}"));
    }
    if let Some(name) = &scope.place
        && !of(&|p| same(&p.country, name) || same(&p.city, name))
    {
        return Some(format!("{ip} is not in {name}"));
    }
    if let Some(name) = &scope.egress
        && !of(&|p| same(&p.label, name) || same(&p.as_name, name))
    {
        return Some(format!("{ip} is not of {name}"));
    }
    None
}

/// Why a case is not covered; nothing where it is.
pub(crate) fn outside(scope: &Scope, case: &wire::Case) -> Vec<String> {
    let mut why = Vec::new();
    if let Some(name) = &scope.principal {
        let others = accounts(case).into_iter().filter(|a| !same(a, name));
        why.extend(others.map(|other| format!("{other} is another account than {name}")));
    }
    let entrances = entrances(case);
    if entrances.is_empty() && asks_where(scope) {
        why.push("no record says where it came from".to_owned());
    }
    why.extend(entrances.iter().filter_map(|e| outside_of(scope, e)));
    if let Some(id) = &scope.detection {
        let others = case.indicators.iter().filter(|i| i.points > 0.0 && i.explained.is_empty());
        let others: BTreeSet<&str> = others.map(|i| i.id.as_str()).filter(|i| i != id).collect();
        why.extend(others.into_iter().map(|other| format!("{other} was found as well as {id}")));
    }
    let fresh = met(case).filter(|c| !scope.criteria.contains(&c.number));
    why.extend(fresh.map(|c| format!("it meets {}, which was not met then: {}", c.number, c.text)));
    why.truncate(REASONS);
    why
}

fn asks_where(scope: &Scope) -> bool {
    scope.network.is_some() || scope.asn.is_some() || scope.place.is_some() || scope.egress.is_some()
}

/// Does the scope have anything to do with this case? Who decides about one case does not silence another's.
pub(crate) fn touches(scope: &Scope, case: &wire::Case) -> bool {
    let who = scope.principal.as_ref().is_none_or(|name| accounts(case).iter().any(|a| same(a, name)));
    let from = !asks_where(scope) || entrances(case).iter().any(|e| outside_of(scope, e).is_none());
    let found = scope.detection.as_ref().is_none_or(|id| case.indicators.iter().any(|i| i.id == *id));
    who && from && found
}

/// The engine's cases in a case: those that stand, or all where none does. An unreadable one is an error in words.
pub(crate) fn documents(tx: &mut Tx<'_>, id: CaseId) -> Result<Result<Vec<wire::Case>, String>, Error> {
    let all = document::of_case(tx, id)?;
    let any_stands = all.iter().any(|d| d.withdrawn_at.is_none());
    let wanted = all.iter().filter(|d| d.withdrawn_at.is_none() || !any_stands);
    let parsed: Result<Vec<wire::Case>, _> = wanted.map(|d| serde_json::from_str(&d.text)).collect();
    Ok(parsed.map_err(|e| format!("its document cannot be read ({e})")))
}

/// Why a case with these documents is not covered.
pub(crate) fn uncovered(scope: &Scope, documents: &Result<Vec<wire::Case>, String>) -> Vec<String> {
    match documents {
        Err(why) => vec![why.clone()],
        Ok(cases) if cases.is_empty() => vec!["nothing is known of it".to_owned()],
        Ok(cases) => {
            let mut why: Vec<String> = cases.iter().flat_map(|c| outside(scope, c)).collect();
            why.truncate(REASONS);
            why
        }
    }
}

/// Nobody works on it, nobody decided about it, and it did not turn out to be real.
pub(crate) fn is_untouched(case: &Case) -> bool {
    let new = case.status == Status::New && case.owner.is_none() && case.tier == Tier::L1;
    let again = case.status == Status::Closed
        && case.resurfaced
        && matches!(
            case.disposition,
            Some(
                Disposition::BenignPositive
                    | Disposition::FalsePositiveLogic
                    | Disposition::FalsePositiveData
            )
        );
    (new || again)
        && !case.restricted
        && case.overridden.is_none()
        && case.merged_into.is_none()
        && case.decision > Decision::Close
}

/// May it silence this case at all: found after it was made as it is, about what happened in its time?
fn is_for(s: &Suppression, case: &Case) -> bool {
    // What waited before stays until somebody looks at it.
    let found = if case.status == Status::Closed { case.verdict_at } else { case.created_at };
    found >= s.since()
        && case.last_seen >= s.since().saturating_sub(GRACE_US)
        && case.last_seen <= s.expires_at
}

/// What became of a case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Weighed {
    /// It is where it was.
    Same,
    Silenced,
    Back,
}

/// The engine wrote a new or changed case: is it silenced, does it stay so, or does it come back?
pub(crate) fn weigh(
    tx: &mut WriteTx<'_>,
    in_force: &[Suppression],
    id: CaseId,
    now: i64,
) -> Result<Weighed, Error> {
    let case = case::get(tx, id)?;
    if case.suppressed.is_none() && (in_force.is_empty() || !is_untouched(&case)) {
        return Ok(Weighed::Same);
    }
    let documents = documents(tx, id)?;
    let mut back = Vec::new();
    if let Some(current) = case.suppressed {
        let current = suppression::get(tx, current)?;
        back = uncovered(&current.scope, &documents);
        // One that is over still holds for what happened in its time.
        let over = current.ended_at.unwrap_or(i64::MAX).min(current.expires_at);
        if case.last_seen > over {
            back.insert(0, format!("it went on after suppression {} was over", current.id));
        }
        if back.is_empty() {
            suppression::silence(tx, current.id, id, now)?;
            return Ok(Weighed::Silenced);
        }
    }
    let fits = |s: &&Suppression| is_for(s, &case) && uncovered(&s.scope, &documents).is_empty();
    if let Some(other) = in_force.iter().find(fits) {
        suppression::silence(tx, other.id, id, now)?;
        return Ok(Weighed::Silenced);
    }
    let came_back = suppression::bring_back(tx, id, &back.join("; "), By { actor: "engine", at: now })?;
    Ok(if came_back { Weighed::Back } else { Weighed::Same })
}

/// A case to try things on.
#[cfg(test)]
pub(crate) mod sample {
    use portreeve_report::wire;
    use serde_json::json;

    pub(crate) fn place(country: &str, asn: u32, label: &str) -> serde_json::Value {
        json!({"country": country, "city": "Lyon", "lat": null, "lon": null, "radius_km": 0, "asn": asn,
            "as_name": "Example Net", "network": "", "label": label})
    }

    pub(crate) fn person(name: &str) -> serde_json::Value {
        json!({"name": name, "aliases": [], "department": "", "role": "", "status": "", "privileged": null,
            "listed": true})
    }

    /// Anna from 192.0.2.7 in France, AS64500, where E2 is met.
    pub(crate) fn case(change: impl FnOnce(&mut serde_json::Value)) -> wire::Case {
        let mut value = json!({
            "case_id": "c1", "title": "t", "principal": person("anna"), "principals": [person("Anna ")],
            "first_seen": "2026-03-01T08:00:00Z", "last_seen": "2026-03-01T09:00:00Z",
            "detected_at": "2026-03-01T09:00:00Z", "decision": "escalate", "reason": "r", "risk_score": 70.0,
            "prior_db": 0.0, "score_db": 0.0, "groups": [],
            "criteria": [
                {"id": "x", "number": "E1", "text": "range", "state": "false", "because": "", "explained": [], "needs": []},
                {"id": "y", "number": "E2", "text": "anomaly", "state": "true", "because": "", "explained": [], "needs": []},
            ],
            "questions": [],
            "indicators": [{"id": "new_country", "title": "", "technique": [], "group": "", "time": "",
                "points": 9.0, "because": "", "explained": [], "evidence": []}],
            "source_ips": ["192.0.2.7"],
            "sources": [{"ip": "192.0.2.7", "place": place("FR", 64500, "Office VPN")}],
            "sessions": [], "l1_steps": [], "t2_actions": [], "containment": [], "timeline": [],
            "coverage": {"sources": [], "missing": [], "history_days": 0, "history_sessions": 0},
            "related": [], "campaign": null, "revised": null,
        });
        change(&mut value);
        serde_json::from_value(value).expect("a case")
    }
}

#[cfg(test)]
mod tests {
    use super::sample::{case, person, place};
    use super::*;
    use serde_json::json;

    fn scope(change: impl FnOnce(&mut Scope)) -> Scope {
        let mut scope = Scope { criteria: vec!["E2".into()], ..Scope::default() };
        change(&mut scope);
        scope
    }

    fn anna() -> Scope {
        scope(|s| s.principal = Some("ANNA".into()))
    }

    #[test]
    fn each_part_of_a_scope_must_fit() {
        let cidr = |t: &str| Cidr::parse(t);
        let fits: [Scope; 7] = [
            anna(),
            scope(|s| s.network = cidr("192.0.2.0/24")),
            scope(|s| s.network = cidr("192.0.2.7")),
            scope(|s| s.asn = Some(64_500)),
            scope(|s| (s.principal, s.place) = (Some("anna".into()), Some("fr".into()))),
            scope(|s| s.egress = Some("office vpn".into())),
            scope(|s| s.detection = Some("new_country".into())),
        ];
        for scope in &fits {
            assert_eq!(outside(scope, &case(|_| {})).join("; "), "", "{scope:?}");
            assert!(touches(scope, &case(|_| {})), "{scope:?}");
        }
        let misses: [(Scope, &str); 6] = [
            (scope(|s| s.principal = Some("ann".into())), "anna is another account"),
            (scope(|s| s.network = cidr("192.0.3.0/24")), "is outside of 192.0.3.0/24"),
            (scope(|s| s.asn = Some(1)), "is not of AS1"),
            (scope(|s| (s.principal, s.place) = (Some("anna".into()), Some("DE".into()))), "is not in DE"),
            (scope(|s| s.egress = Some("Other".into())), "is not of Other"),
            (scope(|s| s.detection = Some("other".into())), "new_country was found as well"),
        ];
        for (scope, why) in &misses {
            let said = outside(scope, &case(|_| {}));
            assert!(said.iter().any(|w| w.contains(why)), "{scope:?}: {said:?}");
            assert!(!touches(scope, &case(|_| {})), "{scope:?}");
        }
    }

    #[test]
    fn a_case_that_grows_is_not_covered_any_more() {
        let here = || scope(|s| (s.principal, s.asn) = (Some("anna".into()), Some(64_500)));
        type Growth = fn(&mut serde_json::Value);
        let growths: [(Growth, &str); 5] = [
            (|c| c["source_ips"] = json!(["192.0.2.7", "198.51.100.9"]), "198.51.100.9 is not of AS64500"),
            (|c| c["principals"] = json!([person("anna"), person("bert")]), "bert is another account"),
            (|c| c["criteria"][0]["state"] = json!("true"), "it meets E1"),
            (
                |c| {
                    c["sessions"] = json!([{"id": "s1", "principal": "anna", "service": "vpn", "gateway": "",
                    "group": "", "public_ips": ["203.0.113.5"], "tunnel_ips": [], "device": "", "client": "",
                    "start": "2026-03-01T08:00:00Z", "end": null, "end_reason": "", "mfa": "", "factor": "",
                    "mfa_known_by": "", "place": place("RO", 64_501, ""), "standing": "tainted", "suspect": true,
                    "evidence": []}])
                },
                "203.0.113.5 is not of AS64500",
            ),
            (|c| c["source_ips"] = json!([]), "no record says where it came from"),
        ];
        assert!(outside(&here(), &case(|_| {})).is_empty());
        for (growth, why) in growths {
            let said = outside(&here(), &case(growth));
            assert!(said.iter().any(|w| w.contains(why)), "{why}: {said:?}");
            assert!(!uncovered(&here(), &Ok(vec![case(|_| {}), case(growth)])).is_empty(), "of any part");
        }
        // A criterion that nobody could answer is none that is met.
        assert!(outside(&here(), &case(|c| c["criteria"][0]["state"] = json!("unknown"))).is_empty());
        // What is only known of the person is not bound to a place.
        assert!(outside(&anna(), &case(|c| c["source_ips"] = json!([]))).is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_covered_by_nothing() {
        assert_eq!(uncovered(&anna(), &Err("broken".into())), ["broken"]);
        assert!(!uncovered(&anna(), &Ok(Vec::new())).is_empty());
    }

    use portreeve_store::case::engine::{EngineCase, take};
    use portreeve_store::case::{Risk, list, timeline, work};
    use portreeve_store::{Location, Store, SuppressionId};

    const DAY: i64 = 86_400_000_000;

    /// A store, in which the engine says something on a day, and suppressions are asked.
    struct Room {
        store: Store,
        _dir: tempfile::TempDir,
    }

    impl Room {
        fn new() -> Room {
            let dir = tempfile::tempdir().expect("a folder");
            let location = Location::sqlite(dir.path().join("store.db"));
            let store = Store::open(&location, &dir.path().join("evidence"), 1).expect("a store");
            Room { store, _dir: dir }
        }

        /// From the first day on, for ten days.
        fn suppress(&self, scope: &Scope) -> SuppressionId {
            let by = By { actor: "person:1 anna", at: DAY };
            self.store
                .write(|tx| suppression::create(tx, scope, "a trip", 11 * DAY, None, by))
                .expect("made")
                .id
        }

        fn says(&self, id: &str, day: i64, change: impl Fn(&mut serde_json::Value)) -> (CaseId, Weighed) {
            self.says_of(id, (day, day), change)
        }

        /// On one day about what was last seen on another.
        fn says_of(
            &self,
            id: &str,
            (day, last): (i64, i64),
            change: impl Fn(&mut serde_json::Value),
        ) -> (CaseId, Weighed) {
            let document = serde_json::to_string(&case(&change)).expect("JSON");
            let now = day * DAY;
            let said = EngineCase {
                engine_id: id,
                supersedes: &[],
                as_of: day,
                title: "t",
                principal: "anna",
                decision: Decision::Escalate,
                risk: Risk::from_points(70.0),
                first_seen: last * DAY,
                last_seen: last * DAY,
                detected_at: last * DAY,
                verdict: &document,
                why: "w",
                changed: "{}",
                late: false,
                brief: "{}",
                search: &[],
                entities: &[],
                document: &document,
            };
            self.store
                .write(|tx| {
                    let in_force = suppression::active(tx, now)?;
                    let case = take(tx, &said, now)?.case();
                    Ok((case, weigh(tx, &in_force, case, now)?))
                })
                .expect("weighed")
        }

        fn case(&self, id: CaseId) -> Case {
            self.store.read(|tx| case::get(tx, id)).expect("a case")
        }

        fn said(&self, id: CaseId) -> String {
            let entries = self.store.read(|tx| timeline::of_case(tx, id, None, 100)).expect("entries");
            entries.into_iter().map(|e| e.said).collect::<Vec<_>>().join("\n")
        }

        fn hits(&self, id: SuppressionId) -> i64 {
            self.store.read(|tx| suppression::get(tx, id)).expect("there").hits
        }

        fn queue(&self) -> usize {
            let query = list::Query::default();
            self.store.read(|tx| list::page(tx, &query, None, 10)).expect("a page").cases.len()
        }
    }

    type Change = fn(&mut serde_json::Value);
    const SAME: Change = |_| {};

    #[test]
    fn a_silenced_case_comes_back_when_it_grows_and_says_why() {
        let room = Room::new();
        let id = room.suppress(&scope(|s| (s.principal, s.asn) = (Some("anna".into()), Some(64_500))));
        let (one, weighed) = room.says("c1", 2, SAME);
        assert_eq!((weighed, room.case(one).suppressed, room.queue()), (Weighed::Silenced, Some(id), 0));
        // More of the same: another verdict is counted, the same one is not.
        let more: Change = |c| c["risk_score"] = json!(75.0);
        assert_eq!((room.says("c1", 3, more).1, room.hits(id)), (Weighed::Silenced, 2));
        let elsewhere: Change = |c| c["source_ips"] = json!(["192.0.2.7", "198.51.100.9"]);
        assert_eq!((room.says("c1", 4, elsewhere).1, room.queue()), (Weighed::Back, 1));
        assert!(room.said(one).contains("198.51.100.9 is not of AS64500"), "{}", room.said(one));
        let other: Change = |c| c["principals"] = json!([person("anna"), person("bert")]);
        let (two, _) = room.says("c2", 4, SAME);
        assert_eq!(room.says("c2", 5, other).1, Weighed::Back);
        assert!(room.said(two).contains("bert is another account"));
        let worse: Change = |c| c["criteria"][0]["state"] = json!("true");
        let (three, weighed) = room.says("c3", 5, worse);
        assert_eq!((weighed, room.case(three).suppressed), (Weighed::Same, None), "never hidden at all");
    }

    #[test]
    fn what_waited_before_its_scope_was_widened_stays() {
        let room = Room::new();
        let narrow = scope(|s| (s.principal, s.asn) = (Some("anna".into()), Some(1)));
        let id = room.suppress(&narrow);
        let (waits, weighed) = room.says("c1", 2, SAME);
        assert_eq!(weighed, Weighed::Same);
        let by = By { actor: "person:2 bert", at: 3 * DAY };
        room.store.write(|tx| suppression::rescope(tx, id, 1, &anna(), "wherever", by)).expect("changed");
        let more: Change = |c| c["risk_score"] = json!(75.0);
        assert_eq!((room.says("c1", 4, more).1, room.case(waits).suppressed), (Weighed::Same, None));
        assert_eq!(room.says("c2", 5, SAME).1, Weighed::Silenced, "what comes after it is covered");
    }

    #[test]
    fn it_holds_for_its_time_alone() {
        let room = Room::new();
        let id = room.suppress(&anna());
        let (kept, _) = room.says("c1", 10, SAME);
        // Told again after its end, about what happened in its time.
        let told: Change = |c| c["reason"] = json!("in other words");
        assert_eq!(room.says_of("c1", (20, 10), told).1, Weighed::Silenced);
        assert_eq!(room.says_of("c1", (21, 20), SAME).1, Weighed::Back);
        assert!(room.said(kept).contains(&format!("it went on after suppression {id} was over")));
        assert_eq!(room.says("c2", 20, SAME).1, Weighed::Same, "it has ended");
    }

    #[test]
    fn what_somebody_looks_at_or_found_real_is_left_alone() {
        let room = Room::new();
        // It waited before the suppression was made.
        let (waited, _) = room.says("c0", 0, SAME);
        room.suppress(&anna());
        let more: Change = |c| c["risk_score"] = json!(75.0);
        assert_eq!((room.says("c0", 2, more).1, room.case(waited).suppressed), (Weighed::Same, None));
        for (n, disposition) in
            [Disposition::TruePositiveImpact, Disposition::BenignPositive, Disposition::Undetermined]
                .into_iter()
                .enumerate()
        {
            let name = format!("d{n}");
            let (id, _) = room.says(&name, 2, SAME);
            let close = |tx: &mut WriteTx<'_>| {
                let revision = case::get(tx, id)?.revision;
                let closing = work::Closing { disposition, reason: "seen", leave_tasks: true };
                work::close(tx, id, revision, &closing, By { actor: "person:1 anna", at: 2 * DAY })
            };
            room.store.write(close).expect("closed");
            let benign = disposition == Disposition::BenignPositive;
            let wanted = if benign { Weighed::Silenced } else { Weighed::Same };
            assert_eq!(room.says(&name, 3, more).1, wanted, "{disposition}");
            assert_eq!(room.case(id).queued(), !benign, "{disposition}");
        }
    }
}
