//! `portreeve sources`: which products are read, and what each can tell.

use crate::{Failure, SourceArgs, named, say};
use clap::Args;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};
use portreeve_model::untrusted::escape_for_terminal;

/// List the log sources: what each tells, which questions it helps with, how to turn it on
#[derive(Args)]
#[command(
    after_help = "Examples:\n  portreeve sources\n  portreeve sources cisco_asa          # how to turn it on, what it tells, what it never tells\n  portreeve sources --sources sources.d --test"
)]
pub(crate) struct Sources {
    /// One source in full
    name: Option<String>,
    #[command(flatten)]
    own: SourceArgs,
    /// Read the test lines inside the files of sources that have no code, your own too
    #[arg(long)]
    test: bool,
}

impl Sources {
    pub(crate) fn run(self) -> Result<u8, Failure> {
        let catalog = self.own.catalog(None)?;
        if self.test {
            return test(catalog);
        }
        if let Some(name) = &self.name {
            return say(&escape_for_terminal(&named(catalog, name)?.text()).replace("\\u{a}", "\n"));
        }
        let mut table = Table::new();
        table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(crate::hunt::width());
        // A narrow terminal has no room for the events; the page of each source has them.
        let wide = crate::hunt::width() >= 120;
        let mut header = vec!["SOURCE", "PRODUCT", "IP", "TUNNEL", "END", "MFA", "DEVICE"];
        if wide {
            header.push("TELLS");
        }
        table.set_header(header);
        table.set_constraints([ColumnConstraint::ContentWidth]);
        let mut row = "";
        let all = catalog.listed();
        for s in &all {
            if s.row.folder() != row {
                row = s.row.folder();
                table.add_row([row.to_uppercase()]);
            }
            let gives: Vec<&str> = s.gives.iter().map(|a| a.name()).collect();
            let t = s.tells();
            let mark = |told: bool| if told { "yes" } else { "-" };
            let mut cells = vec![
                s.name.to_owned(),
                escape_for_terminal(s.title),
                mark(t.source_ip).to_owned(),
                mark(t.tunnel_ip).to_owned(),
                mark(t.session_end).to_owned(),
                mark(t.mfa).to_owned(),
                mark(t.device).to_owned(),
            ];
            if wide {
                cells.push(gives.join(" "));
            }
            table.add_row(cells);
        }
        say(&format!(
            "{table}\n\n{} sources. `portreeve sources NAME` says how to turn a log on and what it never tells; the same is in docs/sources/NAME.md.\nYour own format: docs/own-sources.md.",
            all.len()
        ))
    }
}

/// Files are refused before this where a test of theirs fails; here they are counted.
fn test(catalog: &portreeve_sources::Catalog) -> Result<u8, Failure> {
    let (mut files, mut lines) = (0, 0);
    let mut failed = Vec::new();
    for source in catalog.listed() {
        let own = portreeve_sources::mapping::test_lines(source).len();
        files += usize::from(own > 0);
        lines += own;
        failed.extend(portreeve_sources::mapping::failures(source).into_iter().map(|f| {
            format!(
                "{}: tests[{}]: gives\n    {}\n  and not\n    {}",
                source.name,
                f.number - 1,
                f.got,
                f.wanted
            )
        }));
    }
    if failed.is_empty() {
        return say(&format!("{lines} lines of {files} sources without code give what they should"));
    }
    Err(crate::usage(failed.join("\n")))
}
