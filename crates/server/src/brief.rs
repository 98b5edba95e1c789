//! What a line of the queue says of a case: kept beside the case, so that a queue of ten thousand opens no document.

use portreeve_report::wire;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Addresses of a line; a case may have more.
const ADDRESSES: usize = 2;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Brief {
    /// Id of the engine's case.
    pub case_id: String,
    pub department: String,
    pub role: String,
    pub privileged: Option<bool>,
    pub gateway: String,
    pub service: String,
    pub from: Vec<From>,
    /// Addresses in all.
    pub addresses: usize,
    /// Why, in one sentence.
    pub reason: String,
    /// The strongest indicators, in words.
    pub differs: Vec<String>,
    /// E1 to E4, each `true`, `false` or `unknown`.
    pub criteria: Vec<Mark>,
    /// The playbook's three first questions.
    pub answers: Vec<Mark>,
    pub sessions: usize,
    pub mfa: String,
    pub campaign: Option<String>,
    /// Log sources that are missing for an answer.
    pub missing: usize,
}

/// Where an access came from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct From {
    pub ip: String,
    pub country: String,
    pub city: String,
    pub network: String,
}

/// A criterion or question, and how it stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Mark {
    pub id: String,
    pub text: String,
    pub state: String,
}

impl Brief {
    pub fn of(case: &wire::Case) -> Brief {
        let main = case.sessions.iter().find(|s| s.suspect);
        let mut indicators: Vec<&wire::Indicator> =
            case.indicators.iter().filter(|i| i.points > 0.0 && i.explained.is_empty()).collect();
        indicators.sort_by(|a, b| b.points.total_cmp(&a.points).then_with(|| a.id.cmp(&b.id)));
        Brief {
            case_id: case.case_id.clone(),
            department: case.principal.department.clone(),
            role: case.principal.role.clone(),
            privileged: case.principal.privileged,
            gateway: main.map(|s| s.gateway.clone()).unwrap_or_default(),
            service: main.map(|s| s.service.clone()).unwrap_or_default(),
            from: case
                .sources
                .iter()
                .take(ADDRESSES)
                .map(|s| From {
                    ip: s.ip.clone(),
                    country: s.place.country.clone(),
                    city: s.place.city.clone(),
                    network: if s.place.as_name.is_empty() {
                        s.place.network.clone()
                    } else {
                        s.place.as_name.clone()
                    },
                })
                .collect(),
            addresses: case.source_ips.len(),
            reason: case.reason.clone(),
            differs: indicators.iter().take(2).map(|i| i.title.clone()).collect(),
            criteria: case
                .criteria
                .iter()
                .map(|c| Mark { id: c.number.clone(), text: c.text.clone(), state: c.state.clone() })
                .collect(),
            answers: case
                .questions
                .iter()
                .take(3)
                .map(|q| Mark { id: q.id.clone(), text: q.text.clone(), state: q.answer.clone() })
                .collect(),
            sessions: case.sessions.iter().filter(|s| s.suspect).count(),
            mfa: main.map(|s| s.mfa.clone()).unwrap_or_default(),
            campaign: case.campaign.clone(),
            missing: case.coverage.missing.len(),
        }
    }
}
