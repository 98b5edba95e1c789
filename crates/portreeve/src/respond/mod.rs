//! `portreeve respond`: plans, approvals, execution, proof and undo. Wiring; the rules are in the crate `respond`.

mod automate;
mod connectors;
pub(crate) mod desk;
mod export;
mod plan;
mod serve;
mod show;
pub(crate) mod watch;

use crate::{ContextArgs, Failure, say, usage};
use clap::{Args, Subcommand};
use desk::Desk;
use portreeve_respond::config::Config;
use portreeve_respond::execute::ExecuteError;
use portreeve_respond::ledger::{Ledger, StepState, audit};
use portreeve_respond::operator::Purpose;
use portreeve_respond::secret::{Secret, Vault};
pub(crate) use portreeve_server::contain::record;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Contain: plan, approve, apply, prove, take back
#[derive(Args)]
#[command(
    after_help = "A containment from case to undo (docs/respond.md):\n  portreeve respond plan CASE --in report\n  portreeve respond approve DIGEST --reason \"…\"      # somebody else than the proposer\n  portreeve respond apply --plan DIGEST --reason \"…\"\n  portreeve respond status DIGEST\n  portreeve respond rollback DIGEST --reason \"…\"\n\nExit status: 0 done and proven, 1 something is not effective, unknown or ineffective, 64 usage, 65 not approved or not allowed."
)]
pub(crate) struct Respond {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    site: SiteArgs,
}

/// Where the site's configuration is and who is asking.
#[derive(Args)]
pub(crate) struct SiteArgs {
    /// Configuration of containment (default: respond.yml in the context folder)
    #[arg(long, value_name = "FILE", env = "PORTREEVE_RESPOND", global = true)]
    pub(crate) config: Option<PathBuf>,
    /// Who you are: an operator of the configuration
    #[arg(long = "as", value_name = "NAME", env = "PORTREEVE_OPERATOR", global = true)]
    pub(crate) operator: Option<String>,
    /// File of your private key
    #[arg(long, value_name = "FILE", env = "PORTREEVE_OPERATOR_KEY", global = true)]
    pub(crate) key: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) context: ContextArgs,
}

impl SiteArgs {
    /// The configuration of containment, where there is one.
    pub(crate) fn config_path(&self) -> Option<PathBuf> {
        config_path(self.config.as_deref(), self.context.context.as_deref())
    }
}

/// The configuration that is given, else the one of the context folder.
fn config_path(given: Option<&Path>, context: Option<&Path>) -> Option<PathBuf> {
    let beside = || context.map(|c| c.join("respond.yml")).filter(|p| p.is_file());
    given.map(Path::to_owned).or_else(beside)
}

/// What was found of a ledger. To look for one makes none.
pub(crate) enum Found {
    NoConfiguration,
    /// Where it would lie.
    NoLedger(PathBuf),
    Ledger(Ledger),
}

pub(crate) fn read_ledger(given: Option<&Path>, context: Option<&Path>) -> Result<Found, Failure> {
    let Some(path) = config_path(given, context) else { return Ok(Found::NoConfiguration) };
    let config = Config::read(&path).map_err(usage)?;
    if !config.ledger.is_file() {
        return Ok(Found::NoLedger(config.ledger));
    }
    Ledger::open(&config.ledger).map(Found::Ledger).map_err(usage)
}

#[derive(Subcommand)]
enum Command {
    Plan(plan::PlanArgs),
    /// Allow a plan; bound to its digest, for a quarter of an hour
    Approve(WordArgs),
    /// Forbid a plan
    Reject(WordArgs),
    /// Allow a plan alone, in an emergency; guards still hold, limits do not, and the ledger says so
    BreakGlass(WordArgs),
    /// Carry a plan out and prove it; goes on where a crash or a stop left it
    Apply {
        /// Digest of the plan, or its beginning
        #[arg(long, value_name = "DIGEST")]
        plan: String,
        /// Why now
        #[arg(long)]
        reason: String,
    },
    /// Where plans stand: every step with its proof, expiry and undo
    Status {
        /// Digest of one plan, or its beginning; without it, all
        plan: Option<String>,
        /// Only what is in force or open
        #[arg(long)]
        open: bool,
        #[arg(long)]
        json: bool,
    },
    /// Take a plan back, newest step first, and prove it
    Rollback {
        plan: String,
        #[arg(long)]
        reason: String,
        /// Only these steps
        #[arg(long = "step", value_name = "NUMBER")]
        steps: Vec<u16>,
    },
    /// Say what you saw of a step that Portreeve cannot read
    Attest {
        plan: String,
        step: u16,
        /// It has no effect
        #[arg(long)]
        not_effective: bool,
        #[arg(long)]
        reason: String,
    },
    /// Hold devices to the ledger: take back what expired, restore what vanished, name what is not ours
    Reconcile {
        /// Again and again, so many seconds apart
        #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(5..))]
        every: Option<u64>,
    },
    Automate(automate::AutomateArgs),
    SignAutomation(automate::SignArgs),
    Watch(watch::WatchArgs),
    Feed(serve::FeedArgs),
    #[command(name = "openc2")]
    OpenC2(serve::OpenC2Args),
    Export(export::ExportArgs),
    /// Check the ledger: hashes, links, signatures, checkpoints
    VerifyAudit {
        /// Further files of checkpoints, kept elsewhere
        #[arg(long, value_name = "FILE")]
        checkpoints: Vec<PathBuf>,
    },
    /// Sign the ledger's state
    Checkpoint,
    /// What each credential can and cannot do, and what is never touched
    Doctor,
    /// The products that can be acted upon, and how far each is tested
    Connectors {
        name: Option<String>,
        /// As Markdown, as under docs/connectors
        #[arg(long, hide = true)]
        page: bool,
    },
    /// Make an operator's key; prints the lines for the configuration
    Operator {
        name: String,
        /// l1, t2 or t3
        #[arg(long)]
        tier: String,
        /// Where the private key goes
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Seal a secret from standard input, so that its file may lie beside the configuration
    Seal {
        /// Where the sealed secret goes
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Make the key to seal with first, and write it here
        #[arg(long, value_name = "FILE")]
        new_key: Option<PathBuf>,
    },
}

#[derive(Args)]
struct WordArgs {
    /// Digest of the plan, or its beginning
    plan: String,
    /// Why
    #[arg(long)]
    reason: String,
}

pub(crate) const NOT_ALLOWED: u8 = 65;

pub(crate) fn refused(error: ExecuteError) -> Failure {
    let code = match error {
        ExecuteError::Ledger(_) => crate::INTERNAL,
        _ => NOT_ALLOWED,
    };
    Failure { code, text: error.to_string() }
}

impl Respond {
    pub(crate) fn run(self) -> Result<u8, Failure> {
        let site = self.site;
        match self.command {
            Command::Plan(args) => args.run(&site),
            Command::Approve(word) => speak(&site, &word, Purpose::Approve),
            Command::Reject(word) => speak(&site, &word, Purpose::Reject),
            Command::BreakGlass(word) => speak(&site, &word, Purpose::BreakGlass),
            Command::Apply { plan, reason } => apply(&site, &plan, &reason),
            Command::Status { plan, open, json } => {
                let desk = Desk::open(&site)?;
                show::status(&desk.ledger, plan.as_deref(), open, json)
            }
            Command::Rollback { plan, reason, steps } => rollback(&site, &plan, &reason, &steps),
            Command::Attest { plan, step, not_effective, reason } => {
                let mut desk = Desk::open(&site)?;
                let digest = desk.find(&plan)?;
                let word = desk.word(Purpose::Attest, &digest, &reason)?;
                desk.with(|e| e.attest(&digest, step, !not_effective, &word)).map_err(refused)?;
                say(&format!("step {step}: your word is in the ledger"))
            }
            Command::Reconcile { every } => reconcile(&site, every),
            Command::Automate(args) => args.run(&site),
            Command::SignAutomation(args) => args.run(&site),
            Command::Watch(args) => args.run(&site),
            Command::Feed(args) => args.run(),
            Command::OpenC2(args) => args.run(&site),
            Command::Export(args) => args.run(&site),
            Command::VerifyAudit { checkpoints } => verify_audit(&site, checkpoints),
            Command::Checkpoint => {
                let mut desk = Desk::open(&site)?;
                let key = desk.checkpoint_key()?.ok_or_else(|| {
                    usage("the configuration names no checkpoint_key; make one with `portreeve respond operator`")
                })?;
                let now = desk::now();
                let made = desk.ledger.checkpoint(&key, now).map_err(crate::internal)?;
                say(&format!(
                    "entry {} signed; {} holds it: keep a copy elsewhere",
                    made.seq,
                    audit::checkpoints_beside(desk.ledger.path()).display()
                ))
            }
            Command::Doctor => connectors::doctor(&site),
            Command::Connectors { name, page } => connectors::list(name.as_deref(), page),
            Command::Operator { name, tier, out } => operator(&name, &tier, &out),
            Command::Seal { out, new_key } => seal(&out, new_key.as_deref()),
        }
    }
}

fn speak(site: &SiteArgs, args: &WordArgs, purpose: Purpose) -> Result<u8, Failure> {
    let mut desk = Desk::open(site)?;
    let digest = desk.find(&args.plan)?;
    let plan = desk.ledger.plan(&digest).map_err(usage)?;
    // What is signed is shown first, so that nobody signs a digest alone.
    show::plan(&plan, &digest, &mut std::io::stdout().lock())?;
    let word = desk.word(purpose, &digest, &args.reason)?;
    desk.with(|e| e.say(&digest, &word)).map_err(refused)?;
    let done = match purpose {
        Purpose::BreakGlass => "EMERGENCY: allowed by one person alone; the ledger says so",
        Purpose::Reject => "rejected",
        _ => "approved",
    };
    say(&format!("{done} by {} for {}", word.by, show::short(&digest)))
}

fn apply(site: &SiteArgs, plan: &str, reason: &str) -> Result<u8, Failure> {
    let mut desk = Desk::open(site)?;
    let digest = desk.find(plan)?;
    let word = desk.word(Purpose::Apply, &digest, reason)?;
    let report = desk.with(|e| e.apply(&digest, &word)).map_err(refused)?;
    let plan = desk.ledger.plan(&digest).map_err(usage)?;
    show::report(&plan, &report)?;
    Ok(u8::from(!report.is_contained()))
}

fn rollback(site: &SiteArgs, plan: &str, reason: &str, steps: &[u16]) -> Result<u8, Failure> {
    let mut desk = Desk::open(site)?;
    let digest = desk.find(plan)?;
    let word = desk.word(Purpose::RollBack, &digest, reason)?;
    let reports = desk.with(|e| e.roll_back(&digest, steps, &word)).map_err(refused)?;
    let plan = desk.ledger.plan(&digest).map_err(usage)?;
    show::undone(&plan, &reports)?;
    let done = |s: StepState| matches!(s, StepState::RolledBack | StepState::Expired) || !s.may_be_in_force();
    let left = reports.iter().any(|r| !done(r.state) && !plan.step_of(r.number).is_some_and(|s| s.is_final));
    Ok(u8::from(left))
}

fn reconcile(site: &SiteArgs, every: Option<u64>) -> Result<u8, Failure> {
    loop {
        // Opened anew each round: the configuration and the context may have changed.
        let mut desk = Desk::open(site)?;
        let round = desk.with(|e| e.reconcile()).map_err(refused)?;
        let troubled = show::round(&round)?;
        match every {
            None => return Ok(u8::from(troubled)),
            Some(seconds) => std::thread::sleep(Duration::from_secs(seconds)),
        }
    }
}

fn verify_audit(site: &SiteArgs, mut checkpoints: Vec<PathBuf>) -> Result<u8, Failure> {
    let desk = Desk::open(site)?;
    let beside = audit::checkpoints_beside(desk.ledger.path());
    if beside.exists() {
        checkpoints.push(beside);
    }
    let key = desk.checkpoint_key()?.map(|k| k.public());
    let found =
        desk.ledger.audit(&desk.config.operators, key.as_ref(), &checkpoints).map_err(crate::internal)?;
    show::audit(&found, key.is_some())?;
    Ok(u8::from(!found.faults.is_empty()))
}

fn operator(name: &str, tier: &str, out: &std::path::Path) -> Result<u8, Failure> {
    if !matches!(tier, "l1" | "t2" | "t3") {
        return Err(usage(format!("--tier: `{tier}` is none of l1, t2, t3")));
    }
    let key = portreeve_respond::operator::PrivateKey::generate().map_err(crate::internal)?;
    write_private(out, key.to_secret().expose())?;
    say(&format!(
        "{} holds the private key of {name}; the configuration gets:\n\noperators:\n  - name: {name}\n    tier: {tier}\n    public_key: \"{}\"\n    accounts: []     # your own accounts, never acted upon\n    addresses: []    # your own addresses, never blocked",
        out.display(),
        key.public()
    ))
}

fn seal(out: &std::path::Path, new_key: Option<&std::path::Path>) -> Result<u8, Failure> {
    let vault = match new_key {
        Some(path) => {
            write_private(path, Vault::new_key().map_err(crate::internal)?.expose())?;
            Vault::with_key_file(path).map_err(usage)?
        }
        None => Vault::from_environment().map_err(usage)?,
    };
    let mut text = String::new();
    std::io::stdin().lock().take(1 << 20).read_to_string(&mut text)?;
    let secret = Secret::new(text.trim_end_matches(['\r', '\n']));
    let sealed = vault.seal(&secret).map_err(usage)?;
    write_private(out, &sealed)?;
    say(&format!("{} is sealed; the configuration names it as `sealed: {}`", out.display(), out.display()))
}

/// Makes a file that only its owner may read; an existing one is not overwritten.
fn write_private(path: &std::path::Path, text: &str) -> Result<(), Failure> {
    use std::io::Write;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(path).map_err(|e| usage(format!("{}: {e}", path.display())))?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    Ok(())
}
