//! What connectors say of themselves: the listing, one in full, and the pages under docs/connectors.

use crate::connector::{Can, Connector};
use std::fmt::Write;

/// One line each.
pub fn table(connectors: &[&Connector]) -> String {
    let wide = connectors.iter().map(|c| c.name.len()).max().unwrap_or(0);
    let mut out = String::new();
    for c in connectors {
        let acts: Vec<&str> = c.can.iter().map(|can| can.act.id()).collect();
        // Writing to memory does not fail.
        let _ok =
            writeln!(out, "{:wide$}  {:15}  {}: {}", c.name, c.proof.name(), c.product, acts.join(", "));
    }
    out
}

/// For a terminal.
pub fn text(c: &Connector) -> String {
    markdown(c).replace("**", "").replace('`', "")
}

fn times(can: &Can) -> String {
    let mut parts = Vec::new();
    if can.within.as_secs() > 10 {
        parts.push(format!("reading may lag up to {} s", can.within.as_secs()));
    }
    if !can.settle.is_zero() {
        parts.push(format!("read once more after {} s, for what comes back by itself", can.settle.as_secs()));
    }
    parts.join("; ")
}

/// The page of one connector.
pub fn markdown(c: &Connector) -> String {
    let mut out = String::new();
    let _ok = writeln!(out, "# {}: {}\n", c.name, c.product);
    let _ok = writeln!(out, "**{}**. Source: {}.\n", c.proof.name(), c.source);
    let _ok = writeln!(out, "Needs: {}.\n", c.needs);
    if !c.settings.is_empty() {
        let _ok = writeln!(out, "Settings:\n");
        for s in c.settings {
            let required = if s.required { " (required)" } else { "" };
            let _ok = writeln!(out, "- `{}`{required}: {}", s.name, s.says);
        }
        out.push('\n');
    }
    for can in c.can {
        let on: Vec<&str> = can.on.iter().map(|k| k.name()).collect();
        let undo = can.act.d3fend_undo().map(|u| format!(", undo {u}")).unwrap_or_default();
        let _ok = writeln!(
            out,
            "## {} (`{}` on {}; {}{undo})\n",
            can.act.title(),
            can.act.id(),
            on.join(", "),
            can.act.d3fend()
        );
        for (name, says) in [
            ("Effect", can.effect),
            ("What it does not stop", can.leaves_open),
            ("Verified by", can.verified_by),
            ("Undo", can.undo),
        ] {
            if !says.is_empty() {
                let _ok = writeln!(out, "- **{name}**: {says}");
            }
        }
        if can.expires {
            let _ok =
                writeln!(out, "- **Expiry**: the device lets go by itself; the reconcile loop makes sure");
        }
        let times = times(can);
        if !times.is_empty() {
            let _ok = writeln!(out, "- **Time**: {times}");
        }
        out.push('\n');
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

/// The index of the pages.
pub fn index(connectors: &[&Connector]) -> String {
    let mut out = String::from(
        "# Connectors\n\n*proven*: tested against the real server; the attacker worked, was shut out, stayed out, and came back\nafter undo. *contract-tested*: against a stand-in written from the vendor's documentation. *manual*: a person does it.\n\n| connector | product | acts | how far tested |\n|---|---|---|---|\n",
    );
    for c in connectors {
        let acts: Vec<&str> = c.can.iter().map(|can| can.act.id()).collect();
        let _ok = writeln!(
            out,
            "| [{0}]({0}.md) | {1} | {2} | {3} |",
            c.name,
            c.product,
            acts.join(", "),
            c.proof.name()
        );
    }
    out
}
