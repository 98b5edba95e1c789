//! The audit on a terminal: what stands against full enforcement first. Readable at 80 columns, without colour.

use super::difference::Difference;
use super::wire::{AuditFile, Enforce, Factors, Logins, Period, Reason, Service, User, label};
use crate::terminal::{Style, heading, wrapped};
use anstyle::AnsiColor;
use portreeve_model::untrusted::escape_for_terminal as clean;
use std::io::{self, Write};

/// Rows shown of each list; the rest is counted.
const SHOWN: usize = 20;
/// Reasons shown of a service or account.
const REASONS: usize = 4;

/// Writes the audit.
pub fn table(file: &AuditFile, style: Style, to: &mut dyn Write) -> io::Result<()> {
    let width = usize::from(style.width.clamp(60, 160));
    let page = Page { style, width };
    page.summary(file, to)?;
    if let Some(difference) = &file.difference {
        page.difference(difference, to)?;
    }
    page.services(&file.services, to)?;
    page.enforce(&file.enforce_next, to)?;
    page.users("Accounts with logins without a factor, or unknown", &file.users, true, to)?;
    page.users("Service accounts", &file.service_accounts, false, to)?;
    page.users("Break-glass accounts", &file.break_glass, false, to)?;
    page.factors(&file.factors, to)?;
    page.logging(file, to)?;
    page.missing(file, to)
}

struct Page {
    style: Style,
    width: usize,
}

impl Page {
    fn summary(&self, file: &AuditFile, to: &mut dyn Write) -> io::Result<()> {
        let t = &file.totals;
        let accounts = file.users.len() + file.service_accounts.len() + file.break_glass.len();
        let text = format!(
            "MFA on remote access, {}: {} logins of {accounts} accounts at {} services.",
            span(&file.period),
            t.logins,
            file.services.len()
        );
        wrapped(&text, "", self.width, to)?;
        let enforced = file.services.iter().filter(|s| s.standing == "fully enforced").count();
        let text = format!("Fully enforced: {enforced} of {} services. {}", file.services.len(), counted(t));
        wrapped(&text, "", self.width, to)
    }

    /// A heading, and the names of the columns.
    fn columns(&self, title: &str, to: &mut dyn Write) -> io::Result<()> {
        heading(title, self.style, to)?;
        let (name, numbers) = ("", ["LOGINS", "WITH", "REMEMB", "CLAIM", "DELEG", "WITHOUT", "UNKNOWN"]);
        self.row(name, &numbers.map(str::to_owned), to)
    }

    fn counts(&self, name: &str, c: &Logins, to: &mut dyn Write) -> io::Result<()> {
        let numbers = [c.logins, c.with, c.remembered, c.claimed, c.delegated, c.without, c.unknown];
        self.row(name, &numbers.map(|n| if n == 0 { "·".to_owned() } else { n.to_string() }), to)
    }

    fn row(&self, name: &str, cells: &[String; 7], to: &mut dyn Write) -> io::Result<()> {
        const WIDTHS: [usize; 7] = [7, 7, 7, 6, 6, 8, 8];
        let room = self.width - WIDTHS.iter().sum::<usize>();
        write!(to, "{}", padded(name, room))?;
        for (cell, width) in cells.iter().zip(WIDTHS) {
            write!(to, "{cell:>width$}")?;
        }
        writeln!(to)
    }

    fn more(&self, all: usize, to: &mut dyn Write) -> io::Result<()> {
        if all > SHOWN {
            writeln!(to, "… and {} more; --format json has them all.", all - SHOWN)?;
        }
        Ok(())
    }

    fn services(&self, services: &[Service], to: &mut dyn Write) -> io::Result<()> {
        if services.is_empty() {
            return Ok(());
        }
        self.columns("Services", to)?;
        // What is open first; the order of services within.
        let mut all: Vec<&Service> = services.iter().collect();
        all.sort_by_key(|s| std::cmp::Reverse((s.counts.without > 0, s.counts.unknown > 0)));
        for s in all.iter().take(SHOWN) {
            self.counts(&clean(&s.label()), &s.counts, to)?;
            let colour = match s.standing.as_str() {
                "fully enforced" => AnsiColor::Green,
                "not enforced" => AnsiColor::Red,
                _ => AnsiColor::Yellow,
            };
            let mut text = self.style.paint(&s.standing, colour);
            for (what, n) in [
                ("service accounts", s.service_account_logins),
                ("break-glass accounts", s.break_glass_logins),
            ] {
                if n > 0 {
                    text.push_str(&format!("; {} of {what}", number(n, "login")));
                }
            }
            wrapped(&text, "  ", self.width, to)?;
            for g in s.groups.iter().filter(|g| open(&g.counts)) {
                let name = if g.group.is_empty() { "(no group)".to_owned() } else { clean(&g.group) };
                let text = format!("{name} ({}): {}", policy(g.mfa_required), reasons(&g.reasons, true));
                wrapped(&text, "    ", self.width, to)?;
            }
        }
        self.more(all.len(), to)
    }

    fn enforce(&self, rows: &[Enforce], to: &mut dyn Write) -> io::Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        heading("Enforce next", self.style, to)?;
        let how = "Ordered by logins without a factor from public addresses, times one more than the privileged \
                   accounts among them.";
        wrapped(how, "", self.width, to)?;
        for (n, e) in rows.iter().take(SHOWN).enumerate() {
            let group = if e.group.is_empty() { String::new() } else { format!(", {}", clean(&e.group)) };
            let mut text = format!(
                "{}. {}{group}: takes away {} without a factor ({} from public addresses) of {}, {} of them privileged",
                n + 1,
                clean(&e.label()),
                number(e.logins_without, "login"),
                e.from_public,
                number(e.accounts, "account"),
                e.privileged_accounts,
            );
            if e.service_accounts > 0 {
                text.push_str(&format!(", {} service", number(e.service_accounts, "account")));
            }
            wrapped(&text, "", self.width, to)?;
            for c in e.because.iter().take(2) {
                wrapped(&format!("{} {}: {}", c.logins, c.text, c.remedy), "   ", self.width, to)?;
            }
        }
        self.more(rows.len(), to)
    }

    fn users(&self, title: &str, users: &[User], open_only: bool, to: &mut dyn Write) -> io::Result<()> {
        let shown: Vec<&User> = users.iter().filter(|u| !open_only || open(&u.counts)).collect();
        if shown.is_empty() {
            return Ok(());
        }
        self.columns(title, to)?;
        for u in shown.iter().take(SHOWN) {
            let mark = if u.privileged == Some(true) { " *" } else { "" };
            self.counts(&format!("{}{mark}", clean(&u.name)), &u.counts, to)?;
            if open(&u.counts) {
                wrapped(&reasons(&u.reasons, false), "    ", self.width, to)?;
            }
        }
        if shown.iter().take(SHOWN).any(|u| u.privileged == Some(true)) {
            writeln!(to, "* privileged")?;
        }
        self.more(shown.len(), to)
    }

    fn factors(&self, f: &Factors, to: &mut dyn Write) -> io::Result<()> {
        let list =
            [f.stale.len(), f.phishable_only.len(), f.shared_devices.len(), f.unusual_enrolments.len()];
        if list.iter().all(|n| *n == 0) {
            return Ok(());
        }
        heading("Factors", self.style, to)?;
        if !f.phishable_only.is_empty() {
            let privileged = f.phishable_only.iter().filter(|p| p.privileged == Some(true));
            let names: Vec<String> = privileged.clone().take(8).map(|p| clean(&p.name)).collect();
            let mut text = format!(
                "{} only ever passed a phishable factor, {} of them privileged",
                number(f.phishable_only.len() as u64, "account"),
                privileged.count()
            );
            if !names.is_empty() {
                text.push_str(&format!(": {}", names.join(", ")));
            }
            wrapped(&text, "", self.width, to)?;
        }
        for s in f.stale.iter().take(SHOWN) {
            let what = if s.factor.is_empty() { "a factor" } else { s.factor.as_str() };
            let since = match (&s.last_used, &s.enrolled) {
                (Some(used), _) => format!("last used {}", day(used)),
                (None, Some(enrolled)) => format!("never used since it was enrolled {}", day(enrolled)),
                (None, None) => "never used".to_owned(),
            };
            let text = format!("stale: {}: {what}, {since} ({} days)", clean(&s.name), s.days);
            wrapped(&text, "", self.width, to)?;
        }
        self.more(f.stale.len(), to)?;
        for d in f.shared_devices.iter().take(SHOWN) {
            let accounts: Vec<String> = d.accounts.iter().take(8).map(|a| clean(a)).collect();
            let text = format!(
                "shared {}: {} by {} accounts: {}",
                if d.used_as == "factor" { "factor" } else { "device" },
                clean(&d.device),
                d.accounts.len(),
                accounts.join(", ")
            );
            wrapped(&text, "", self.width, to)?;
        }
        self.more(f.shared_devices.len(), to)?;
        for e in f.unusual_enrolments.iter().take(SHOWN) {
            let mut text = format!("enrolled: {} {}", minute(&e.time), clean(&e.name));
            for (what, value) in [(" by ", &e.by), (" from ", &e.ip)] {
                if !value.is_empty() {
                    text.push_str(&format!("{what}{}", clean(value)));
                }
            }
            if !e.place.is_empty() {
                text.push_str(&format!(" ({})", clean(&e.place)));
            }
            wrapped(&format!("{text}: {}", e.because.join(", ")), "", self.width, to)?;
        }
        self.more(f.unusual_enrolments.len(), to)
    }

    fn logging(&self, file: &AuditFile, to: &mut dyn Write) -> io::Result<()> {
        if file.logging.is_empty() {
            return Ok(());
        }
        heading("Unknown, and what would tell", self.style, to)?;
        for l in file.logging.iter().take(SHOWN) {
            let name = if l.title.is_empty() { clean(&l.source) } else { clean(&l.title) };
            wrapped(
                &format!("{name}: {} unknown. {}", number(l.logins, "login"), l.advice()),
                "",
                self.width,
                to,
            )?;
        }
        self.more(file.logging.len(), to)
    }

    fn missing(&self, file: &AuditFile, to: &mut dyn Write) -> io::Result<()> {
        let all: Vec<&String> = file.missing.iter().chain(file.read.warnings.iter().take(10)).collect();
        if all.is_empty() {
            return Ok(());
        }
        heading("Could not be judged", self.style, to)?;
        for text in all {
            wrapped(&format!("- {}", clean(text)), "", self.width, to)?;
        }
        Ok(())
    }

    fn difference(&self, d: &Difference, to: &mut dyn Write) -> io::Result<()> {
        heading(&format!("Against {}", clean(&span(&d.before))), self.style, to)?;
        wrapped(&format!("Before: {}", counted(&d.totals_before)), "", self.width, to)?;
        for s in d.services.iter().take(SHOWN) {
            let standing = match (&s.standing_before, &s.standing) {
                (Some(was), Some(is)) if was != is => format!(", {} → {}", clean(was), clean(is)),
                _ => String::new(),
            };
            self.changed(&s.change, &label(&s.service, &s.gateway), &standing, s.before, s.now, to)?;
        }
        self.more(d.services.len(), to)?;
        for u in d.users.iter().take(SHOWN) {
            self.changed(&u.change, &u.name, "", u.before, u.now, to)?;
        }
        self.more(d.users.len(), to)?;
        writeln!(to, "As before: {} services, {} accounts.", d.unchanged_services, d.unchanged_users)
    }

    fn changed(
        &self,
        change: &str,
        name: &str,
        more: &str,
        was: Option<Logins>,
        is: Option<Logins>,
        to: &mut dyn Write,
    ) -> io::Result<()> {
        let colour = match change {
            "worse" => AnsiColor::Red,
            "better" => AnsiColor::Green,
            _ => AnsiColor::Yellow,
        };
        let side = |c: Option<Logins>| c.map_or("not seen".to_owned(), |c| brief(&c));
        let text = format!(
            "{} {}{more}: {} → {}",
            self.style.paint(&clean(change), colour),
            clean(name),
            side(was),
            side(is)
        );
        wrapped(&text, "", self.width, to)
    }
}

impl super::wire::Logging {
    /// What to turn on.
    pub(super) fn advice(&self) -> String {
        let provider = "the log of what asks for the factor (identity provider, RADIUS server, token server)";
        match (self.never_logs_it, self.how.is_empty()) {
            (true, _) => format!("The product never logs it; needs {provider}, or mfa_policy.csv."),
            (false, true) => format!("Needs {provider}, or mfa_policy.csv."),
            (false, false) => {
                format!("Its own log can tell: {}. Else {provider}.", clean(self.how.trim_end_matches('.')))
            }
        }
    }
}

fn open(c: &Logins) -> bool {
    c.without > 0 || c.unknown > 0
}

pub(super) fn policy(required: Option<bool>) -> &'static str {
    match required {
        Some(true) => "policy: required",
        Some(false) => "policy: exception",
        None => "no policy",
    }
}

/// What is open, the commonest reasons of it.
fn reasons(all: &[Reason], of_several: bool) -> String {
    let open: Vec<&Reason> = all.iter().filter(|r| r.kind == "without" || r.kind == "unknown").collect();
    let mut parts: Vec<String> = open
        .iter()
        .take(REASONS)
        .map(|r| match of_several {
            true => format!("{} {} ({}; {})", r.logins, r.kind, r.text, number(r.accounts, "account")),
            false => format!("{} {} ({})", r.logins, r.kind, r.text),
        })
        .collect();
    if open.len() > REASONS {
        parts.push(format!("{} other reasons", open.len() - REASONS));
    }
    parts.join("; ")
}

fn counted(c: &Logins) -> String {
    format!(
        "{} with a factor ({} phishing-resistant, {} phishable), {} remembered, {} claimed, {} delegated, {} without, \
         {} unknown.",
        c.with, c.phishing_resistant, c.phishable, c.remembered, c.claimed, c.delegated, c.without, c.unknown
    )
}

fn brief(c: &Logins) -> String {
    format!("{} without, {} unknown of {}", c.without, c.unknown, c.logins)
}

pub(super) fn span(period: &Period) -> String {
    match (&period.from, &period.until) {
        (Some(from), Some(until)) => format!("{} to {}", minute(from), minute(until)),
        _ => "no logs".to_owned(),
    }
}

fn number(n: u64, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

fn day(stamp: &str) -> &str {
    stamp.get(..10).unwrap_or(stamp)
}

fn minute(stamp: &str) -> String {
    stamp.get(..16).unwrap_or(stamp).replace('T', " ")
}

/// Filled up or cut to a number of columns.
fn padded(name: &str, width: usize) -> String {
    let length = name.chars().count();
    if length < width {
        return format!("{name}{}", " ".repeat(width - length));
    }
    let mut cut: String = name.chars().take(width.saturating_sub(2)).collect();
    cut.push_str("… ");
    cut
}
