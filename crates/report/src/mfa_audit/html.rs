//! One HTML file: opens offline, prints, no script, nothing from elsewhere.

use super::terminal::{policy, span};
use super::wire::{AuditFile, Logins};
use askama::Template;
use std::io::{self, Write};

// The macro makes public items of the function.
#[allow(unreachable_pub)]
mod filters {
    /// An RFC 3339 time in UTC for the eye: to the second, `2026-03-06 12:57:22`.
    #[askama::filter_fn]
    pub(super) fn brief(time: impl std::fmt::Display, _: &dyn askama::Values) -> askama::Result<String> {
        Ok(time.to_string().chars().take(19).map(|c| if c == 'T' { ' ' } else { c }).collect())
    }
}

#[derive(Template)]
#[template(path = "mfa_audit.html")]
struct Page<'a> {
    file: &'a AuditFile,
    span: String,
    accounts: usize,
    enforced: usize,
    bar: Vec<Part>,
}

/// One kind of login in the bar of all, in thousandths of its width.
struct Part {
    x: u64,
    width: u64,
    class: &'static str,
    title: String,
}

/// Writes the page.
pub fn html(file: &AuditFile, to: &mut dyn Write) -> io::Result<()> {
    let page = Page {
        file,
        span: span(&file.period),
        accounts: file.users.len() + file.service_accounts.len() + file.break_glass.len(),
        enforced: file.services.iter().filter(|s| s.standing == "fully enforced").count(),
        bar: bar(&file.totals),
    };
    page.write_into(&mut crate::guard::page(to))
}

fn bar(c: &Logins) -> Vec<Part> {
    let kinds = [
        ("with", c.with, "with a factor"),
        ("remembered", c.remembered, "remembered"),
        ("claimed", c.claimed, "claimed"),
        ("delegated", c.delegated, "delegated"),
        ("without", c.without, "without"),
        ("unknown", c.unknown, "unknown"),
    ];
    let (mut parts, mut before) = (Vec::new(), 0_u64);
    let scale = |n: u64| n.saturating_mul(1_000) / c.logins.max(1);
    for (class, n, name) in kinds.into_iter().filter(|(_, n, _)| *n > 0) {
        let x = scale(before);
        before = before.saturating_add(n);
        // One of many is thin, and still there.
        let width = scale(before).saturating_sub(x).max(2);
        parts.push(Part { x, width, class, title: format!("{n} {name}") });
    }
    parts
}

/// The class by which a change or a standing is coloured.
fn colour(word: &str) -> &'static str {
    match word {
        "fully enforced" | "better" => "good",
        "not enforced" | "worse" => "bad",
        _ => "mid",
    }
}

fn service(service: &str, gateway: &str) -> String {
    super::wire::label(service, gateway)
}
