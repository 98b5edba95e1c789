//! `portreeve hunt`: logs in, decided cases out.

use crate::reading::Reading;
use crate::respond::watch::Lookout;
use crate::respond::{Found, desk, read_ledger, record};
use crate::{ContextArgs, Failure, NOT_UNDERSTOOD, internal, stamp, usage};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use portreeve_content::Content;
use portreeve_model::EventTime;
use portreeve_model::answer::Decision;
use portreeve_pipeline::{Options, Outcome, Progress, run_seen};
use portreeve_report::{Done, FORMATS, Format, Hunted};
use portreeve_respond::ledger::Ledger;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

/// Find and decide the abuse of remote access in log files, without a server
///
/// A folder is read whole, whatever its files are called: plain, gzip, zstd, bzip2, xz, zip, tar, EVTX. Products are
/// recognised by content. Without a context directory the program still works and says what it could not judge.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  portreeve hunt /var/log/vpn\n  portreeve hunt logs --context context --out report --fail-on escalate\n  portreeve hunt logs --geo city.mmdb --asn asn.mmdb --intel lists/ --format json\n  journalctl -o json | portreeve hunt -\n  portreeve hunt today/ --state state/      # knows what earlier hunts saw"
)]
pub(crate) struct Hunt {
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    context: ContextArgs,
    /// Configuration of containment: what its ledger holds is shown, and who gets in after containment is raised
    /// (default: respond.yml in the context folder)
    #[arg(long, value_name = "FILE", env = "PORTREEVE_RESPOND")]
    config: Option<PathBuf>,
    /// Keep what was seen here, so that the next hunt knows it
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Leave out what happened before
    #[arg(long, value_name = "TIME", value_parser = stamp::time)]
    since: Option<EventTime>,
    /// Leave out what happened after
    #[arg(long, value_name = "TIME", value_parser = stamp::time)]
    until: Option<EventTime>,
    /// What to write; may be given more than once
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Vec<Output>,
    /// Write files here: cases.json, cases.ndjson, report.html, report.md and always run.json
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Leave with status 1 where a case is at least this
    #[arg(long, value_enum, value_name = "DECISION")]
    fail_on: Option<FailOn>,
    /// Mask names and numbers in the samples of records that were not understood
    #[arg(long)]
    mask: bool,
    /// Detections and scoring from here instead of the built-in ones
    #[arg(long, value_name = "DIR")]
    content: Option<PathBuf>,
    /// Leave with status 65 where more than this share of the records was not understood
    #[arg(long, value_name = "PERCENT", default_value_t = 90)]
    max_not_understood: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Json,
    Ndjson,
    Html,
    Md,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    Escalate,
    Investigate,
}

impl Output {
    fn name(self) -> &'static str {
        match self {
            Output::Table => "table",
            Output::Json => "json",
            Output::Ndjson => "ndjson",
            Output::Html => "html",
            Output::Md => "md",
        }
    }
}

pub(crate) fn content(dir: Option<&Path>) -> Result<Content, Failure> {
    match dir {
        Some(dir) => Content::from_dir(dir).map_err(usage),
        None => Content::embedded().map_err(internal),
    }
}

impl Hunt {
    pub(crate) fn run(self) -> Result<u8, Failure> {
        let content = content(self.content.as_deref())?;
        let (options, tables, names) = self.reading.open(&self.context)?;
        let bar = Bar::new();
        let options = Options {
            since: self.since,
            until: self.until,
            mask: self.mask,
            state: self.state.clone(),
            progress: Some(&bar),
            ..options
        };
        let (mut ledger, trouble) = self.ledger()?;
        let mut lookout = match &ledger {
            Some(ledger) => Lookout::new(ledger, &names).map_err(usage)?,
            None => None,
        };
        let mut outcome = run_seen(&options, &tables, &names, &content, &mut |event, input| {
            if let Some(lookout) = &mut lookout {
                lookout.hear(event, input);
            }
        })
        .map_err(usage)?;
        bar.finish();
        outcome.report.warnings.extend(trouble);
        let done = match &mut ledger {
            Some(ledger) => Some(contained(ledger, lookout.as_ref(), &mut outcome)?),
            None => None,
        };
        self.write(Hunted { cases: &outcome.cases, report: &outcome.report, done: done.as_ref() })?;
        let worst = outcome.cases.iter().map(|c| c.decision).max().unwrap_or_default();
        let failed = match self.fail_on {
            Some(FailOn::Escalate) => worst == Decision::Escalate,
            Some(FailOn::Investigate) => worst >= Decision::Investigate,
            None => false,
        };
        let totals = &outcome.report.totals;
        let lost = totals.unknown + totals.broken;
        if totals.records == 0 || lost * 100 > totals.records * u64::from(self.max_not_understood) {
            let what = if totals.records == 0 {
                "no records were found".to_owned()
            } else {
                format!("{lost} of {} records were not understood", totals.records)
            };
            return Err(Failure {
                code: NOT_UNDERSTOOD,
                text: format!(
                    "{what}; run.json or the table above names the files, `portreeve sources` the products"
                ),
            });
        }
        Ok(u8::from(failed))
    }

    /// The ledger of containment. What was asked for must be readable; what only lies there is no reason not to hunt.
    fn ledger(&self) -> Result<(Option<Ledger>, Option<String>), Failure> {
        match read_ledger(self.config.as_deref(), self.context.context.as_deref()) {
            Ok(Found::Ledger(ledger)) => Ok((Some(ledger), None)),
            Ok(Found::NoLedger(_) | Found::NoConfiguration) => Ok((None, None)),
            Err(failure) if self.config.is_some() => Err(failure),
            Err(failure) => {
                Ok((None, Some(format!("what was done about cases is not shown: {}", failure.text))))
            }
        }
    }

    fn write(&self, hunted: Hunted<'_>) -> Result<(), Failure> {
        let chosen = |o: Output| self.format.contains(&o);
        if let Some(dir) = &self.out {
            std::fs::create_dir_all(dir).map_err(|e| usage(format!("{}: {e}", dir.display())))?;
            for format in FORMATS {
                let wanted = self.format.is_empty()
                    || self.format.iter().any(|o| o.name() == format.name)
                    || format.name == "run";
                if wanted && format.name != "table" {
                    let path = dir.join(format.file);
                    let file = File::create(&path).map_err(|e| usage(format!("{}: {e}", path.display())))?;
                    let mut to = BufWriter::new(file);
                    (format.write)(&hunted, &mut to)?;
                    to.flush()?;
                }
            }
            if self.format.is_empty() || chosen(Output::Table) {
                self.table(&hunted)?;
            }
            return Ok(());
        }
        if self.format.is_empty() {
            return self.table(&hunted);
        }
        for output in &self.format {
            if *output == Output::Table {
                self.table(&hunted)?;
                continue;
            }
            let format: Option<&&Format> = FORMATS.iter().find(|f| f.name == output.name());
            let format = format.ok_or_else(|| internal("a format is missing from the registry"))?;
            let mut to = BufWriter::new(io::stdout().lock());
            (format.write)(&hunted, &mut to)?;
            to.flush()?;
        }
        Ok(())
    }

    fn table(&self, hunted: &Hunted<'_>) -> Result<(), Failure> {
        let colour = anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never;
        let style = portreeve_report::terminal::Style { colour, width: width() };
        let mut to = BufWriter::new(io::stdout().lock());
        portreeve_report::terminal::table(hunted, style, &mut to)?;
        if let Some(dir) = &self.out {
            writeln!(
                to,
                "Written to {}: open report.html in a browser.",
                portreeve_model::untrusted::escape_for_terminal(&dir.display().to_string())
            )?;
        }
        to.flush()?;
        Ok(())
    }
}

/// What was done about the cases, and who got in after it; that is written down as `respond watch` does.
fn contained(ledger: &mut Ledger, lookout: Option<&Lookout>, outcome: &mut Outcome) -> Result<Done, Failure> {
    let now = desk::now();
    if let Some(lookout) = lookout
        && let Err(error) = lookout.tally.record(ledger, now)
    {
        let warning = format!("who got in after containment is shown here and not written down: {error}");
        outcome.report.warnings.push(warning);
    }
    record::done(ledger, lookout.map(|l| &l.tally), &outcome.cases, now).map_err(internal)
}

/// Columns of the terminal; 80 where it does not say.
pub(crate) fn width() -> u16 {
    std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok()).filter(|c| *c >= 40).unwrap_or(80)
}

pub(crate) struct Bar {
    bar: ProgressBar,
}

impl Bar {
    pub(crate) fn new() -> Bar {
        let bar = if io::stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{msg:20} {bar:30} {bytes}/{total_bytes} {eta}") {
            bar.set_style(style);
        }
        Bar { bar }
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Progress for Bar {
    fn read(&self, bytes: u64, of: u64) {
        self.bar.set_length(of);
        self.bar.inc(bytes);
    }

    fn stage(&self, what: &str) {
        self.bar.set_message(what.to_owned());
    }
}
