//! What the SIEM connector makes of the event stream: CEF and LEEF. Its templates are the administrator's to change; read
//! are those that it comes with.

use super::{Console, console, grade};
use crate::decode::clock::{self, Stamp};
use crate::decode::kv::{cef, cef_pairs, cef_unescape, leef, leef_pairs};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Kind, Parsed, Why};
use portreeve_model::event::{Act, Outcome, Service};
use portreeve_model::time::Certainty;

#[derive(Default)]
struct Said<'a> {
    user: &'a [u8],
    host: &'a [u8],
    file: &'a [u8],
    title: &'a [u8],
    message: &'a [u8],
    severity: &'a [u8],
    severity_name: &'a [u8],
    source: &'a [u8],
    outside: &'a [u8],
    operation: &'a [u8],
    outcome: &'a [u8],
    id: &'a [u8],
    time: &'a [u8],
}

pub(super) fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let mut s = Said::default();
    let event: &[u8] = if r.shape == Shape::Cef {
        let Some((head, extension)) = cef(r.body) else { return Parsed::Broken(Why::Malformed("CEF")) };
        s.severity = head[6];
        s.title = head[5];
        for (key, value) in cef_pairs(extension) {
            match key {
                b"duser" | b"suser" if s.user.is_empty() => s.user = value,
                b"dhost" | b"dvchost" | b"shost" if s.host.is_empty() => s.host = value,
                b"fname" => s.file = value,
                b"msg" => s.message = value,
                b"src" => s.source = value,
                b"destinationTranslatedAddress" => s.outside = value,
                b"cat" => s.operation = value,
                b"outcome" => s.outcome = value,
                b"externalId" => s.id = value,
                b"rt" | b"deviceCustomDate1" if s.time.is_empty() => s.time = value,
                _ => {}
            }
        }
        head[4]
    } else {
        let Some((head, separator, attributes)) = leef(r.body) else {
            return Parsed::Broken(Why::Malformed("LEEF"));
        };
        for (key, value) in leef_pairs(attributes, separator) {
            match key {
                b"usrName" => s.user = value,
                b"resource" | b"identHostName" if s.host.is_empty() => s.host = value,
                b"fileName" | b"fname" => s.file = value,
                b"DetectName" | b"name" => s.title = value,
                b"sev" => s.severity = value,
                b"severityName" => s.severity_name = value,
                b"src" => s.source = value,
                b"userIp" | b"UserIp" => s.outside = value,
                b"cat" | b"operationName" => s.operation = value,
                b"success" | b"outcome" => s.outcome = value,
                b"externalId" | b"detectId" => s.id = value,
                b"devTime" => s.time = value,
                _ => {}
            }
        }
        head[3]
    };
    let at = match clock::epoch(s.time) {
        Some(t) if !s.time.contains(&b'-') => Some((t, Certainty::Exact)),
        _ => match clock::iso(s.time) {
            Some((Stamp::Absolute(t), _)) => Some((t, Certainty::Exact)),
            Some((Stamp::Local(c), _)) => r.clock.resolve_in(c, 0),
            None => r.header_time(),
        },
    };
    match event {
        b"AuthActivityAuditEvent" | b"UserActivityAuditEvent" | b"User Activity Audit Event" => {
            let outcome = if s.outcome.eq_ignore_ascii_case(b"true") {
                Outcome::Success
            } else if s.outcome.eq_ignore_ascii_case(b"false") {
                Outcome::Failure
            } else {
                Outcome::Unknown
            };
            console(
                out,
                &Console {
                    at,
                    operation: &cef_unescape(s.operation),
                    outcome,
                    user: &cef_unescape(s.user),
                    source: if s.outside.is_empty() { s.source } else { s.outside },
                    target: b"",
                    detail: b"",
                },
            )
        }
        b"RemoteResponseSessionStartEvent"
        | b"RemoteResponseSessionEndEvent"
        | b"FirewallMatchEvent"
        | b"ReconNotificationSummaryEvent"
        | b"ScheduledReportNotificationEvent" => Parsed::Irrelevant(Kind::OtherMessage),
        _ => {
            // An id that is no name of an event is the detection's own kind (`suspicious_activity`).
            let of_five = !event.starts_with(b"Epp") && !event.starts_with(b"Idp");
            // The title of the template says only that it is a detection; the message what of.
            let title = if s.title.is_empty() || s.title.ends_with(b"Event") && !s.message.is_empty() {
                if s.message.is_empty() { event } else { s.message }
            } else {
                s.title
            };
            let host = cef_unescape(s.host);
            out.event(Act::Alert, Outcome::Unknown)
                .at(at)
                .service(Service::Edr)
                .sid(s.id)
                .user(&cef_unescape(s.user))
                .host(&host)
                .device(&host)
                .target(&cef_unescape(s.file))
                .detail(&cef_unescape(title))
                .severity(grade(s.severity_name, s.severity, of_five))
                .done()
        }
    }
}
