//! The account itself: its standing, its kind, how long it was silent, its hours.

use super::{Bounds, KindName, StatusName};
use crate::detect::{Finding, Subject, Verdict};
use portreeve_model::event::Flags;
use portreeve_model::time::DAY_US;

pub(super) fn is(
    s: &Subject<'_>,
    status: &[StatusName],
    kind: &[KindName],
    listed: Option<bool>,
    local: Option<bool>,
    privileged: Option<bool>,
) -> Verdict {
    let directory = s.engine.context.coverage().directory;
    if (!status.is_empty() || listed.is_some()) && !directory {
        return Verdict::Unknown("users.csv");
    }
    if privileged.is_some() && s.account.privileged.is_none() {
        return Verdict::Unknown("users.csv");
    }
    let held = (status.is_empty() || status.iter().any(|n| n.model() == s.account.status))
        && (kind.is_empty() || kind.iter().any(|n| n.model() == s.account.kind))
        && listed.is_none_or(|wanted| wanted == s.account.listed)
        && local.is_none_or(|wanted| wanted == s.session.flags.has(Flags::LOCAL_ACCOUNT))
        && privileged.is_none_or(|wanted| s.account.privileged == Some(wanted));
    Verdict::when(held)
}

/// Days without any use before the session, counted from the first day that the logs cover.
pub(super) fn dormant(s: &Subject<'_>, days: Bounds) -> Verdict {
    let day = s.session.start.day();
    let (from, _) = s.engine.span().unwrap_or((s.session.start, s.session.start));
    let last = s.dossier.days.iter().copied().rfind(|d| *d < day);
    let silent = match last {
        Some(last) => day - last,
        // Never seen: silent since the logs begin, which is at least this long.
        None => i32::try_from(s.session.start.since(from) / DAY_US).unwrap_or(0),
    };
    let Ok(silent) = usize::try_from(silent) else { return Verdict::Silent };
    if silent == 0 || !days.hold(silent) {
        return Verdict::Silent;
    }
    let facts = vec![("silent", format!("{silent} days"))];
    Verdict::Fires(Finding::with(facts, Vec::new()))
}

pub(super) fn rare_hour(s: &Subject<'_>, below_permille: u32, min_sessions: u32) -> Verdict {
    let (near, all) = s.known.around_hour(s.session.start);
    if all < min_sessions {
        return Verdict::Unknown("history");
    }
    if near * 1_000 >= below_permille * all {
        return Verdict::Silent;
    }
    let (_, _, _, hour, ..) = s.session.start.civil();
    let facts =
        vec![("hour", format!("{hour:02}:00 UTC")), ("near", near.to_string()), ("all", all.to_string())];
    Verdict::Fires(Finding::with(facts, Vec::new()))
}
