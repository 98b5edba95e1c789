//! The command line. Wiring only: what is worth a unit test lives in a library.

mod audit;
mod backup;
mod collect;
mod config;
mod detections;
mod doctor;
mod evaluate;
mod explain;
mod hunt;
mod parse;
mod reading;
mod records;
mod respond;
mod serve;
mod simulate;
mod sources;
mod stamp;
mod telemetry;

use clap::{Args, CommandFactory, Parser, Subcommand};
use portreeve_sources::Catalog;
use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

/// Finds, explains and contains the abuse of external remote services (MITRE ATT&CK T1133).
///
/// Reads the logs that you have (VPN, Citrix, RDP, SSH, firewalls, identity providers, AWS, Kubernetes, switches,
/// DHCP, EDR), rebuilds each remote session, holds it against what is usual for that person, follows what it did
/// afterwards, answers the playbook's questions with evidence down to file and line, and decides with reasons.
#[derive(Parser)]
#[command(name = "portreeve", version, max_term_width = 100)]
#[command(
    after_help = "Start with:\n  portreeve simulate --users 40 --days 10 --out demo\n  portreeve hunt demo/logs --context demo/context --out report\n\nExit status: 0 ran, 1 findings reached --fail-on, 64 usage, 65 input not understood, 70 internal error."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Hunt(Box<hunt::Hunt>),
    Audit(audit::Audit),
    Parse(parse::Parse),
    Explain(explain::Explain),
    Sources(sources::Sources),
    Detections(detections::Detections),
    Doctor(doctor::Doctor),
    Respond(Box<respond::Respond>),
    Collect(Box<collect::Collect>),
    /// Not yet announced: its page is being built.
    Serve(Box<serve::Serve>),
    Config(config::ConfigCommand),
    Search(Box<records::Search>),
    Query(records::Query),
    Backup(backup::Backup),
    Restore(backup::Restore),
    Simulate(simulate::Simulate),
    Evaluate(evaluate::Evaluate),
    /// Print the JSON Schema of cases.json, of an MFA audit, or of the files that describe a log source.
    Schema {
        #[arg(long, value_enum, default_value = "cases")]
        of: Schema,
    },
    /// Print shell completions.
    Completions {
        shell: clap_complete::Shell,
    },
    /// Print the manual page.
    Man,
}

/// What a schema is asked for.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Schema {
    Cases,
    MfaAudit,
    Source,
}

/// Where the context is; the same for hunt and doctor.
#[derive(Args, Clone)]
pub(crate) struct ContextArgs {
    /// Directory with users.csv, travel.csv, vpn_pools.csv, intel/, geo/ … (all optional; see docs/context.md)
    #[arg(long, value_name = "DIR", env = "PORTREEVE_CONTEXT", global = true)]
    pub(crate) context: Option<std::path::PathBuf>,
    /// City or country database (MMDB); may be given more than once
    #[arg(long, value_name = "MMDB")]
    pub(crate) geo: Vec<std::path::PathBuf>,
    /// Network (ASN) database (MMDB)
    #[arg(long, value_name = "MMDB")]
    pub(crate) asn: Vec<std::path::PathBuf>,
    /// Threat-intelligence lists or directories of them: plain text, CSV, STIX 2.1, MISP
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub(crate) intel: Vec<std::path::PathBuf>,
}

impl ContextArgs {
    pub(crate) fn options(&self, catalog: &Catalog) -> portreeve_context::Options {
        portreeve_context::Options {
            dir: self.context.clone(),
            geo: self.geo.clone(),
            asn: self.asn.clone(),
            intel: self.intel.clone(),
            products: catalog.all().map(|s| s.name).collect(),
        }
    }
}

/// Log sources that a site describes itself; the same wherever logs are read.
#[derive(Args, Clone)]
pub(crate) struct SourceArgs {
    /// Folder of your own log sources, *.yml (default: sources.d in the context folder; see docs/own-sources.md)
    #[arg(long, value_name = "DIR", env = "PORTREEVE_SOURCES")]
    pub(crate) sources: Option<std::path::PathBuf>,
}

impl SourceArgs {
    /// The sources that are known: the built-in ones, and the site's own.
    pub(crate) fn catalog(&self, context: Option<&std::path::Path>) -> Result<&'static Catalog, Failure> {
        let beside = context.map(|c| c.join("sources.d")).filter(|d| d.is_dir());
        match self.sources.clone().or(beside) {
            Some(dir) => portreeve_sources::own::catalog(&dir).map_err(usage),
            None => Ok(Catalog::built_in()),
        }
    }
}

/// The source of this name.
pub(crate) fn named(
    catalog: &'static Catalog,
    name: &str,
) -> Result<&'static portreeve_sources::Source, Failure> {
    catalog
        .by_name(name)
        .ok_or_else(|| usage(format!("no source is called `{name}`; `portreeve sources` lists them")))
}

/// An error at the edge: what to say and how to leave.
pub(crate) struct Failure {
    pub(crate) code: u8,
    pub(crate) text: String,
}

pub(crate) const USAGE: u8 = 64;
pub(crate) const NOT_UNDERSTOOD: u8 = 65;
pub(crate) const INTERNAL: u8 = 70;

pub(crate) fn usage(error: impl Display) -> Failure {
    Failure { code: USAGE, text: error.to_string() }
}

pub(crate) fn internal(error: impl Display) -> Failure {
    Failure { code: INTERNAL, text: error.to_string() }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        // A reader that went away (`| head`) is no failure.
        let code = if error.kind() == io::ErrorKind::BrokenPipe { 0 } else { INTERNAL };
        Failure { code, text: error.to_string() }
    }
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { USAGE } else { 0 };
            let printed = error.print();
            return ExitCode::from(if printed.is_err() { 0 } else { code });
        }
    };
    let done = match cli.command {
        Command::Hunt(c) => c.run(),
        Command::Audit(c) => c.run(),
        Command::Parse(c) => c.run(),
        Command::Explain(c) => c.run(),
        Command::Sources(c) => c.run(),
        Command::Detections(c) => c.run(),
        Command::Doctor(c) => c.run(),
        Command::Respond(c) => c.run(),
        Command::Collect(c) => c.run(),
        Command::Serve(c) => c.run(),
        Command::Config(c) => c.run(),
        Command::Search(c) => c.run(),
        Command::Query(c) => c.run(),
        Command::Backup(c) => c.run(),
        Command::Restore(c) => c.run(),
        Command::Simulate(c) => c.run(),
        Command::Evaluate(c) => c.run(),
        Command::Schema { of: Schema::Cases } => say(&portreeve_report::json::schema()),
        Command::Schema { of: Schema::MfaAudit } => say(&portreeve_report::mfa_audit::schema()),
        Command::Schema { of: Schema::Source } => say(&portreeve_sources::mapping::schema()),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "portreeve", &mut io::stdout());
            Ok(0)
        }
        Command::Man => {
            clap_mangen::Man::new(Cli::command()).render(&mut io::stdout()).map(|()| 0).map_err(Failure::from)
        }
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            if failure.code != 0 {
                let text =
                    portreeve_model::untrusted::escape_for_terminal(&failure.text).replace("\\u{a}", "\n");
                // Nothing sensible is left to do where even the error stream is closed.
                drop(writeln!(io::stderr(), "portreeve: {text}"));
            }
            ExitCode::from(failure.code)
        }
    }
}

/// Prints to standard output.
pub(crate) fn say(text: &str) -> Result<u8, Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(0)
}
