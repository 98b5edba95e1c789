//! What a new verdict asks of people: the steps of the playbook, and until when.

use crate::config::{Deadline, Deadlines};
use portreeve_model::answer::Decision;
use portreeve_report::wire;
use portreeve_store::case::engine::{Taken, Turn};
use portreeve_store::case::{clock, task};
use portreeve_store::{Error, WriteTx};

const MINUTE_US: i64 = 60_000_000;

/// Steps are those of the verdict; deadlines begin with a case, and anew when it rises.
pub(super) fn set(
    tx: &mut WriteTx<'_>,
    taken: Taken,
    (decision, wire): (Decision, &wire::Case),
    deadlines: &Deadlines,
    now: i64,
) -> Result<(), Error> {
    let id = taken.case();
    let begins = match taken {
        Taken::Unchanged(_) | Taken::Stale(_) => return Ok(()),
        Taken::Created(_) => true,
        Taken::Revised(_, turn, _) => turn == Turn::Raised,
        Taken::Refreshed(_) => false,
    };
    let steps = wire.l1_steps.iter().chain(&wire.t2_actions);
    let steps: Vec<(&str, &str)> = steps.map(|s| (s.id.as_str(), s.title.as_str())).collect();
    task::ensure(tx, id, &steps)?;
    let minutes = match decision {
        Decision::Escalate => deadlines.escalate,
        Decision::Investigate => deadlines.investigate,
        Decision::Close => return Ok(()),
    };
    if begins {
        let Deadline { acknowledge_min, contain_min, resolve_min } = minutes;
        // Nothing is to be contained where nothing is proposed.
        let contain_min = contain_min.filter(|_| !wire.containment.is_empty());
        let all = [
            (clock::Kind::Acknowledge, acknowledge_min),
            (clock::Kind::Contain, contain_min),
            (clock::Kind::Resolve, resolve_min),
        ];
        for (kind, minutes) in all {
            if let Some(minutes) = minutes {
                clock::start(tx, id, kind, now, now.saturating_add(i64::from(minutes) * MINUTE_US))?;
            }
        }
    }
    Ok(())
}
