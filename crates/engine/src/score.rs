//! Evidence to a score: groups, clamps, prior, in thousandths of a deciban so that every order adds the same.

use crate::detect::Signal;
use portreeve_model::signal::{Group, Millideciban};

/// Clamps and marks, from `content/scoring`.
#[derive(Clone, Debug, PartialEq)]
pub struct Scoring {
    /// How likely a remote session is an intrusion before any evidence.
    pub prior: Millideciban,
    /// Least and most that a group may bring.
    pub clamps: Vec<(Group, Millideciban, Millideciban)>,
    /// Total evidence from which a session is worth a case at all.
    pub case_mark: Millideciban,
    /// Evidence of place, network, device, travel, time, factor and session from which behaviour is anomalous.
    pub investigate_mark: Millideciban,
    /// Total evidence that an escalation without a deterministic rule needs.
    pub escalate_mark: Millideciban,
    /// What a group must bring to count as independent confirmation.
    pub confirm_mark: Millideciban,
    /// Evidence below which a session may teach the baseline.
    pub teach_below: Millideciban,
}

#[derive(Clone, Debug, PartialEq, Default)]
pub struct Score {
    /// Per group in the groups' order: sum before and after the clamp.
    pub groups: Vec<(Group, Millideciban, Millideciban)>,
    /// Sum of the clamped groups.
    pub evidence: Millideciban,
    /// Prior and evidence.
    pub total: Millideciban,
}

impl Score {
    pub fn of(&self, group: Group) -> Millideciban {
        self.groups.iter().find(|(g, ..)| *g == group).map_or(Millideciban(0), |(_, _, c)| *c)
    }

    /// 0 to 100, monotone in the evidence. 50 where an intrusion is as likely as not.
    pub fn risk(&self) -> f64 {
        // A slope of 20 dB keeps the scale readable at both ends; only the order matters.
        100.0 / (1.0 + 10f64.powf(-self.total.db() / 20.0))
    }
}

/// Weighs signals. Place, network and device are judged together and add up; inside any other group the second
/// and third piece of the same kind of evidence say less (whole, half, quarter).
pub fn weigh<'s>(signals: impl Iterator<Item = &'s Signal> + Clone, scoring: &Scoring) -> Score {
    let mut groups = Vec::new();
    for group in Group::ALL {
        let mut points: Vec<i32> = signals.clone().filter(|s| s.group == group).map(|s| s.points.0).collect();
        if points.is_empty() {
            continue;
        }
        points.sort_unstable_by_key(|p| std::cmp::Reverse(*p));
        let positive: i32 = if group == Group::Place {
            points.iter().filter(|p| **p > 0).sum()
        } else {
            points.iter().filter(|p| **p > 0).enumerate().map(|(n, p)| p >> n.min(8)).sum()
        };
        let negative: i32 = points.iter().filter(|p| **p < 0).sum();
        let raw = Millideciban(positive + negative);
        let clamped = scoring
            .clamps
            .iter()
            .find(|(g, ..)| *g == group)
            .map_or(raw, |(_, min, max)| raw.clamp(*min, *max));
        groups.push((group, raw, clamped));
    }
    let evidence: Millideciban = groups.iter().map(|(_, _, c)| *c).sum();
    Score { groups, evidence, total: evidence + scoring.prior }
}
