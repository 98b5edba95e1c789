//! `portreeve serve`: the live service, until it is told to end.

use crate::{ContextArgs, Failure, INTERNAL, SourceArgs, internal, say, telemetry, usage};
use clap::Args;
use portreeve_server::config::{Config, ConfigError};
use portreeve_server::{Service, Start, StartError};
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// How often it is looked whether the line still goes on.
const LOOK: std::time::Duration = std::time::Duration::from_millis(500);

/// Run the same engine live: doors for records, verdicts within seconds
#[derive(Args)]
pub(crate) struct Serve {
    /// Folder of everything that the service keeps
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Configuration (TOML)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address and port of the page (default 127.0.0.1:8433)
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    #[command(flatten)]
    context: ContextArgs,
    #[command(flatten)]
    own: SourceArgs,
    /// Form of the service's own log
    #[arg(long, value_enum, default_value = "text")]
    log_format: LogFormat,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum LogFormat {
    Text,
    /// One object a line
    Json,
}

impl LogFormat {
    /// From here on what the service says is heard, and its spans go to a collector where one is named.
    fn begin(self, collector: Option<&str>) -> std::io::Result<()> {
        let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        let log = match self {
            LogFormat::Json => log.json().with_span_list(false).boxed(),
            LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).boxed(),
        };
        let spans = collector.map(telemetry::spans).transpose()?;
        tracing_subscriber::registry().with(LevelFilter::INFO).with(log).with(spans).init();
        Ok(())
    }
}

/// What of the command line stands beside the file.
struct Asked {
    file: Option<PathBuf>,
    listen: Option<SocketAddr>,
    context: ContextArgs,
}

impl Asked {
    fn config(&self) -> Result<Config, ConfigError> {
        let mut config = match &self.file {
            Some(path) => Config::read(path)?,
            None => Config::default(),
        };
        config.web.listen = self.listen.unwrap_or(config.web.listen);
        let files = &mut config.context;
        let ContextArgs { context, geo, asn, intel } = self.context.clone();
        files.dir = context.or(files.dir.take());
        files.geo.extend(geo);
        files.asn.extend(asn);
        files.intel.extend(intel);
        config.check()?;
        Ok(config)
    }
}

impl Serve {
    pub(crate) fn run(self) -> Result<u8, Failure> {
        let asked = Asked { file: self.config, listen: self.listen, context: self.context };
        let config = asked.config().map_err(usage)?;
        let own = SourceArgs { sources: self.own.sources.or(config.context.sources.clone()) };
        let catalog = own.catalog(config.context.dir.as_deref())?;
        self.log_format.begin(config.telemetry.otlp_endpoint.as_deref()).map_err(usage)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(usage)?;
        let start = Start { config, data: self.data, catalog };
        runtime.block_on(async {
            let service = Service::start(start).await.map_err(unstarted)?;
            service.app.rereads(Box::new(move || asked.config()));
            let mut words = format!("listening on {}\n", service.address());
            if let Some(link) = service.first_run() {
                words.push_str(&format!("nobody has an account yet; open this once, within a day: {link}\n"));
            }
            // A service does not end because nobody reads what it says.
            say(&words).ok();
            ended(&service).await.map_err(usage)?;
            let stopped = service.stopped().map(str::to_owned);
            service.close().await;
            match stopped {
                None => Ok(0),
                Some(why) => Err(Failure { code: INTERNAL, text: format!("verdicts stopped: {why}") }),
            }
        })
    }
}

/// What is wrong with files stays wrong; a database that is not up yet, or a port that is still taken, passes, and a
/// supervisor tries again.
fn unstarted(error: StartError) -> Failure {
    match error {
        StartError::Config(_) | StartError::Wrong(_) => usage(error),
        _ => internal(error),
    }
}

/// Until SIGTERM or SIGINT, or until no verdicts come any more: a supervisor starts it again, and it goes on from its
/// journal. SIGHUP reads the configuration, context and content anew.
async fn ended(service: &Service) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut term = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    loop {
        if service.stopped().is_some() {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = term.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hang_up.recv() => {
                let app = service.app.clone();
                tokio::task::spawn_blocking(move || portreeve_server::desk::health::reload_and_say(&app));
            }
        }
    }
}
