//! Cases as the engine writes them, with documents that can be read.

use super::browser::now;
use portreeve_model::answer::Decision;
use portreeve_server::App;
use portreeve_store::CaseId;
use portreeve_store::case::engine::{EngineCase, take};
use portreeve_store::case::{Risk, entity};
use serde_json::{Value, json};

/// What a case is about.
#[derive(Clone)]
pub(crate) struct Sample {
    pub id: &'static str,
    pub user: &'static str,
    pub ip: &'static str,
    pub asn: u32,
    pub device: &'static str,
    /// Numbers of criteria that are met.
    pub met: &'static [&'static str],
}

pub(crate) const ANNA: Sample =
    Sample { id: "c1", user: "anna", ip: "192.0.2.7", asn: 64_500, device: "laptop-7", met: &["E2"] };

fn place(asn: u32) -> Value {
    json!({"country": "FR", "city": "Lyon", "lat": 45.7, "lon": 4.8, "radius_km": 20, "asn": asn,
        "as_name": "Example Net", "network": "isp", "label": ""})
}

pub(crate) fn document(s: &Sample) -> Value {
    let person = json!({"name": s.user, "aliases": [], "department": "HR", "role": "clerk", "status": "active",
        "privileged": false, "listed": true});
    let criterion = |number: &str| {
        let state = if s.met.contains(&number) { "true" } else { "false" };
        json!({"id": number, "number": number, "text": format!("criterion {number}"), "state": state,
            "because": "", "explained": [], "needs": []})
    };
    let criteria = ["E1", "E2", "E3", "E4"].map(criterion);
    let session = |id: &str, start: &str, end: &str, suspect: bool| {
        json!({"id": id, "principal": s.user, "service": "vpn", "gateway": "internal-gw-1", "group": "",
            "public_ips": [s.ip], "tunnel_ips": ["10.8.0.5"], "device": s.device, "client": "AnyConnect",
            "start": start, "end": end, "end_reason": "logout", "mfa": "yes", "factor": "push",
            "mfa_known_by": "log", "place": place(s.asn), "standing": if suspect { "tainted" } else { "cleared" },
            "suspect": suspect, "evidence": []})
    };
    json!({
        "case_id": s.id, "title": format!("Login of {}", s.user), "principal": person, "principals": [person],
        "first_seen": "2026-03-03T08:12:00Z", "last_seen": "2026-03-03T09:00:00Z",
        "detected_at": "2026-03-03T08:30:00Z", "decision": "escalate", "reason": "internal reasoning",
        "risk_score": 70.0, "prior_db": 0.0, "score_db": 0.0, "groups": [],
        "criteria": criteria, "questions": [], "indicators": [],
        "source_ips": [s.ip], "sources": [{"ip": s.ip, "place": place(s.asn)}],
        "sessions": [session("s1", "2026-03-03T08:12:00Z", "2026-03-03T09:00:00Z", true),
            session("s2", "2026-03-02T08:12:00Z", "2026-03-02T17:00:00Z", false)],
        "l1_steps": [], "t2_actions": [], "containment": [], "timeline": [],
        "coverage": {"sources": [], "missing": [], "history_days": 0, "history_sessions": 0},
        "related": [], "campaign": null, "revised": null,
    })
}

/// The case in the store, as if the engine had found it now.
pub(crate) fn found(app: &App, s: &Sample) -> CaseId {
    let entities = [
        entity::Entity::new(entity::Kind::Address, s.ip),
        entity::Entity::new(entity::Kind::Principal, s.user),
        entity::Entity::new(entity::Kind::Device, s.device),
        entity::Entity::new(entity::Kind::Gateway, "internal-gw-1"),
    ];
    let (document, verdict) = (document(s).to_string(), s.met.join(" "));
    let brief =
        json!({ "from": [{ "ip": s.ip, "country": "FR", "city": "Lyon", "network": "" }] }).to_string();
    let said = EngineCase {
        engine_id: s.id,
        supersedes: &[],
        as_of: now(),
        title: &format!("Login of {}", s.user),
        principal: s.user,
        decision: Decision::Escalate,
        risk: Risk::from_points(70.0),
        first_seen: now(),
        last_seen: now(),
        detected_at: now(),
        verdict: &verdict,
        why: "because",
        changed: "{}",
        late: false,
        brief: &brief,
        search: &[],
        entities: &entities,
        document: &document,
    };
    app.store.write(|tx| take(tx, &said, now())).expect("a case").case()
}
