//! `portreeve audit`: what the logs say of the defences, apart from any one case.

use crate::hunt::{Bar, content, width};
use crate::reading::Reading;
use crate::{ContextArgs, Failure, NOT_UNDERSTOOD, stamp, usage};
use clap::{Args, Subcommand, ValueEnum};
use portreeve_model::EventTime;
use portreeve_pipeline::{Options, audit_mfa};
use portreeve_report::mfa_audit::{self, AuditFile};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Audit a defence over the logs of all remote services
#[derive(Args)]
pub(crate) struct Audit {
    #[command(subcommand)]
    of: Of,
}

#[derive(Subcommand)]
enum Of {
    Mfa(Box<Mfa>),
}

/// Is a second factor fully enforced: per service, group and account, with the reasons
///
/// Counts each login once: with a factor, remembered, claimed, delegated, without, unknown (and what would tell).
/// Unknown is never no, and never yes. See docs/mfa-audit.md.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  portreeve audit mfa logs --context context\n  portreeve audit mfa logs --context context --since 2026-03-01 --out march.json\n  portreeve audit mfa logs --context context --before march.json --out april.html\n  portreeve audit mfa logs --fail-on without     # in a pipeline: status 1"
)]
struct Mfa {
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    context: ContextArgs,
    /// Count logins from here on; what came before still tells what was usual
    #[arg(long, value_name = "TIME", value_parser = stamp::time)]
    since: Option<EventTime>,
    /// Count logins until here
    #[arg(long, value_name = "TIME", value_parser = stamp::time)]
    until: Option<EventTime>,
    /// What to write (default: by the ending of --out, else a table)
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Output>,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// An earlier audit as JSON: also show what became better, worse, new and gone
    #[arg(long, value_name = "FILE")]
    before: Option<PathBuf>,
    /// Leave with status 1 where a login is without a factor; `unknown`: or where it is not known
    #[arg(long, value_enum, value_name = "KIND")]
    fail_on: Option<FailOn>,
    /// Detections and scoring from here instead of the built-in ones; they tell which sessions are suspicious
    #[arg(long, value_name = "DIR")]
    content: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Json,
    Html,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    Without,
    Unknown,
}

impl Audit {
    pub(crate) fn run(self) -> Result<u8, Failure> {
        match self.of {
            Of::Mfa(mfa) => mfa.run(),
        }
    }
}

impl Mfa {
    fn run(self) -> Result<u8, Failure> {
        if let (Some(since), Some(until)) = (self.since, self.until)
            && until < since
        {
            return Err(usage(format!("--until {until} is before --since {since}")));
        }
        // Before anything is read, so that a wrong file costs no time.
        let before = self.before.as_deref().map(earlier).transpose()?;
        let content = content(self.content.as_deref())?;
        let (options, tables, names) = self.reading.open(&self.context)?;
        let bar = Bar::new();
        let options = Options { since: self.since, until: self.until, progress: Some(&bar), ..options };
        let outcome = audit_mfa(&options, &tables, &names, &content).map_err(usage)?;
        bar.finish();
        let mut file = AuditFile::new(&outcome.audit, &outcome.report);
        if let Some(before) = &before {
            mfa_audit::compare(before, &mut file);
        }
        self.write(&file)?;
        if outcome.report.totals.records == 0 {
            let text =
                "no records were found; `portreeve sources` lists the products that are read".to_owned();
            return Err(Failure { code: NOT_UNDERSTOOD, text });
        }
        let totals = outcome.audit.totals;
        let failed = match self.fail_on {
            Some(FailOn::Without) => totals.without > 0,
            // Where nothing was seen nothing is known.
            Some(FailOn::Unknown) => totals.without > 0 || totals.unknown > 0 || totals.logins == 0,
            None => false,
        };
        Ok(u8::from(failed))
    }

    fn write(&self, file: &AuditFile) -> Result<(), Failure> {
        let Some(path) = &self.out else {
            let mut to = BufWriter::new(io::stdout().lock());
            let colour = anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never;
            put(self.format.unwrap_or(Output::Table), file, colour, &mut to)?;
            return Ok(to.flush()?);
        };
        let by_ending = match path.extension().and_then(|e| e.to_str()) {
            Some("json") => Output::Json,
            Some("html" | "htm") => Output::Html,
            _ => Output::Table,
        };
        let named = |e: io::Error| usage(format!("{}: {e}", path.display()));
        let mut to = BufWriter::new(File::create(path).map_err(named)?);
        put(self.format.unwrap_or(by_ending), file, false, &mut to).map_err(named)?;
        to.flush().map_err(named)
    }
}

fn put(format: Output, file: &AuditFile, colour: bool, to: &mut dyn Write) -> io::Result<()> {
    match format {
        Output::Table => {
            let style = portreeve_report::terminal::Style { colour, width: width() };
            mfa_audit::table(file, style, to)
        }
        Output::Json => mfa_audit::json(file, to),
        Output::Html => mfa_audit::html(file, to),
    }
}

fn earlier(path: &Path) -> Result<AuditFile, Failure> {
    let named = |e: &dyn std::fmt::Display| usage(format!("{}: {e}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|e| named(&e))?;
    mfa_audit::read(&text).map_err(|e| named(&e))
}
