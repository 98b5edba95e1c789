//! The gateways themselves: accounts that were made there shortly before they came in.

use super::attempts::span;
use crate::detect::{Finding, Subject, Verdict};
use crate::fold::infrastructure::GatewayChange;
use portreeve_model::event::{Change, Service};
use portreeve_model::signal::Evidence;

pub(super) fn created_before(s: &Subject<'_>, within_us: i64) -> Verdict {
    let Some(changes) = s.engine.infrastructure.created.get(&s.session.principal) else {
        return Verdict::Silent;
    };
    let (from, to) = (s.session.start.minus(within_us), s.session.start);
    // An account of the directory is made before its person's first day; one made on a gateway is another matter.
    let on_gateway = |c: &&GatewayChange| {
        c.event.service == Service::Management
            || matches!(c.event.change, Change::LocalUserCreated | Change::AdminCreated)
    };
    let in_time = |c: &&GatewayChange| from <= c.event.time && c.event.time <= to;
    let Some(change) = changes.iter().rev().filter(on_gateway).find(in_time) else {
        return Verdict::Silent;
    };
    let facts = vec![
        ("creator", s.text(change.actor)),
        ("created", change.event.change.name().replace('_', " ")),
        ("ago", span(to.since(change.event.time))),
    ];
    let evidence = Evidence { time: change.event.time, raw: change.event.raw };
    Verdict::Fires(Finding::with(facts, vec![evidence]))
}
