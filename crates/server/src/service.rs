//! The service from its start to its end: opens what is on disk, starts the line, opens the doors, and on shutdown closes
//! them in the order in which nothing is lost.

use crate::app::App;
use crate::config::{Config, ConfigError, S3At};
use crate::contain::{self, Contain};
use crate::dead::DeadLetters;
use crate::desk::accounts::Accounts;
use crate::desk::sign_in;
use crate::entrances::{self, Entrances};
use crate::gate::Sources;
use crate::housekeeper;
use crate::http;
use crate::hub::Hub;
use crate::line::{self, Book, Flusher, Grounds, Health, Judge, Keeper, Progress, Pulse, Reader};
use crate::out::{self, Hooks};
use portreeve_access::token::Token;
use portreeve_content::Content;
use portreeve_context::Tables;
use portreeve_doors::http::{Http, Memory, serve};
use portreeve_doors::lumberjack::Lumberjack;
use portreeve_doors::rate::Rates;
use portreeve_doors::tls::{Tls, TlsOptions};
use portreeve_doors::{
    Counters, DoorContext, DoorError, Gate, Intake, follow, journald, nats, pull, s3_sqs, syslog,
};
use portreeve_lake::object::{Bucket, BucketConfig, Folder, Objects};
use portreeve_lake::{Journal, JournalOptions, Lake, LakeOptions};
use portreeve_model::SymbolTable;
use portreeve_pipeline::Catalog;
use portreeve_pipeline::history::{History, Origins};
use portreeve_pipeline::live::{OriginRules, Settings};
use portreeve_store::{Location, Store};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Store(#[from] portreeve_store::Error),
    #[error(transparent)]
    Lake(#[from] portreeve_lake::Fault),
    #[error(transparent)]
    History(#[from] portreeve_pipeline::history::HistoryError),
    #[error(transparent)]
    Door(#[from] portreeve_doors::DoorError),
    #[error("{0}")]
    Wrong(String),
    #[error("{what}: {error}")]
    Io { what: String, error: std::io::Error },
}

fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> StartError {
    let what = what.into();
    move |error| StartError::Io { what, error }
}

/// Records on their way between the parts of the line, in messages.
const KEPT_AHEAD: usize = 64;
const READ_AHEAD: usize = 32;

/// What a service is started with.
pub struct Start {
    pub config: Config,
    pub data: PathBuf,
    pub catalog: &'static Catalog,
}

/// A thread that ends when its sender is dropped.
type Worker = (mpsc::Sender<()>, JoinHandle<()>);

/// A service that runs.
pub struct Service {
    pub app: Arc<App>,
    address: std::net::SocketAddr,
    first_run: Option<Token>,
    /// Ends the listeners and doors.
    closing: CancellationToken,
    doors: Vec<tokio::task::JoinHandle<()>>,
    intake: Option<Intake>,
    line: Vec<JoinHandle<()>>,
    flusher: Option<Worker>,
    /// Webhooks out, and who looks whether all is well.
    senders: out::Threads,
    /// Holds devices to the ledger of containment.
    rounds: Option<Worker>,
}

/// Reads the files that verdicts rest on.
pub(crate) fn grounds(config: &Config, catalog: &Catalog, generation: u64) -> Result<Grounds, StartError> {
    let files = &config.context;
    let options = portreeve_context::Options {
        dir: files.dir.clone(),
        geo: files.geo.clone(),
        asn: files.asn.clone(),
        intel: files.intel.clone(),
        products: catalog.all().map(|s| s.name).collect(),
    };
    let names = SymbolTable::new();
    let tables = Tables::load(&options, names.clone()).map_err(|e| StartError::Wrong(e.to_string()))?;
    let content = match &files.content {
        Some(dir) => Content::from_dir(dir),
        None => Content::embedded(),
    };
    let content = content.map_err(|e| StartError::Wrong(e.to_string()))?;
    Ok(Grounds { tables, content, names, generation })
}

/// Reads everything that verdicts would rest on, and says what is wrong with it.
pub fn rehearse(config: &Config, catalog: &Catalog) -> Result<(), StartError> {
    grounds(config, catalog, 0).map(drop)
}

/// The folder of the lake; none where it is in a bucket.
pub(crate) fn lake_root(config: &Config, data: &Path) -> Option<PathBuf> {
    let root = || config.lake.dir.clone().unwrap_or_else(|| data.join("lake"));
    config.lake.s3.is_none().then(root)
}

fn open_lake(config: &Config, data: &Path) -> Result<Lake, StartError> {
    if let Some(root) = lake_root(config, data) {
        return Ok(Lake::local(&root)?);
    }
    Ok(Lake::open(far(config)?, LakeOptions::new(&data.join("lake-work")))?)
}

/// The lake as the files of this moment say, beside a service that writes it.
pub fn lake_for_reading(config: &Config, data: &Path) -> Result<Lake, StartError> {
    match lake_root(config, data) {
        Some(root) => {
            let work = LakeOptions::new(&root.join("work"));
            Ok(Lake::read_only(Arc::new(Folder::new(&root)?), work)?)
        }
        None => Ok(Lake::read_only(far(config)?, LakeOptions::new(&data.join("lake-work")))?),
    }
}

fn far(config: &Config) -> Result<Arc<dyn Objects>, StartError> {
    match &config.lake.s3 {
        Some(s3) => Ok(Arc::new(Bucket::new(&bucket(s3)?)?)),
        None => Err(StartError::Wrong("lake.s3 names no bucket".to_owned())),
    }
}

fn bucket(s3: &S3At) -> Result<BucketConfig, StartError> {
    let path = s3.credentials_file.display().to_string();
    let text = std::fs::read_to_string(&s3.credentials_file).map_err(io(path.clone()))?;
    let mut lines = text.lines().map(str::trim);
    let (Some(id), Some(secret)) = (lines.next(), lines.next()) else {
        return Err(StartError::Wrong(format!("{path}: two lines are wanted: key id, secret key")));
    };
    Ok(BucketConfig {
        bucket: s3.bucket.clone(),
        prefix: s3.prefix.clone(),
        region: s3.region.clone(),
        endpoint: s3.endpoint.clone(),
        allow_http: s3.allow_http,
        key_id: id.to_owned(),
        secret: secret.to_owned(),
        token: lines.next().filter(|t| !t.is_empty()).map(str::to_owned),
    })
}

impl Service {
    /// Starts everything; doors are open when it returns. Must be called within a runtime of several threads.
    pub async fn start(start: Start) -> Result<Service, StartError> {
        let Start { config, data, catalog } = start;
        if data.join(crate::backup::RESTORING).exists() {
            let what = data.display();
            let why = format!("{what}: a restore into it did not end; empty it and restore again");
            return Err(StartError::Wrong(why));
        }
        let doors = data.join("doors");
        // Records, cases and keys are nobody else's. A folder that is there keeps the mode that somebody gave it.
        let mut private = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut private, 0o700);
        private.recursive(true).create(&doors).map_err(io(doors.display().to_string()))?;
        let config = Arc::new(config);
        let opened = {
            let (config, data) = (config.clone(), data.clone());
            // Databases and files block.
            blocking(move || Opened::open(&config, &data, catalog)).await?
        };
        let Opened {
            store,
            lake,
            journal,
            history,
            origins,
            grounds,
            dead,
            sources,
            upto,
            accounts,
            first_run,
            contain,
        } = opened;
        let (progress, hub) = (Arc::new(Progress::default()), Hub::default());
        let (health, pulse): (Health, Arc<RwLock<Pulse>>) = Default::default();
        let saved = Arc::new(AtomicU64::new(history.upto()));
        let origins = Arc::new(Mutex::new(origins));
        let counters = Counters::default();
        let closing = CancellationToken::new();
        let (intake, from_doors) = Intake::channel(config.doors.batches.unwrap_or(256));
        let (to_reader, from_keeper) = mpsc::sync_channel(KEPT_AHEAD);
        let (to_judge, from_reader) = mpsc::sync_channel(READ_AHEAD);
        let app = Arc::new(App {
            config: config.clone(),
            current: RwLock::new(config.clone()),
            reread: OnceLock::new(),
            renewing: Mutex::new(()),
            entrances: Entrances::new(hub.clone()),
            data: data.clone(),
            store: store.clone(),
            lake: lake.clone(),
            hub: hub.clone(),
            progress: progress.clone(),
            health: health.clone(),
            pulse: pulse.clone(),
            counters: counters.clone(),
            dead: dead.clone(),
            sources: sources.clone(),
            catalog,
            grounds: RwLock::new(grounds.clone()),
            renew: Mutex::new(Some(to_judge.clone())),
            started: line::now(),
            accounts,
            hooks: Arc::new(Hooks::of(&config)),
            contain,
            intake: Mutex::new(Some(intake.clone())),
            closing: closing.clone(),
        });
        let keeper = Keeper {
            journal: journal.clone(),
            from: from_doors,
            to: to_reader,
            progress: progress.clone(),
            dead: {
                let dead = dead.clone();
                Box::new(move |letter| dead.keep(&letter, line::now().0))
            },
            most_backlog: config.engine.backlog_bytes,
        };
        let origins_of_reader = origins.clone();
        let begun = journal.lock().unwrap_or_else(PoisonError::into_inner).next_seq();
        Progress::set(&progress.kept, begun.saturating_sub(1));
        let reader = Reader {
            from: from_keeper,
            to: to_judge,
            journal: journal.clone(),
            lake: lake.clone(),
            app: app.clone(),
            names: app.grounds().names.clone(),
            numbers: Box::new(move |name| {
                let mut origins = origins_of_reader.lock().unwrap_or_else(PoisonError::into_inner);
                origins.number(name).unwrap_or_else(|error| {
                    tracing::error!(%error, "an origin cannot be numbered");
                    u32::MAX
                })
            }),
            rules: rules(&config, &sources, catalog),
            progress: progress.clone(),
            health,
            next: upto,
            begun,
            looked: std::time::Instant::now(),
            stored: lake.through() + 1,
        };
        let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
        let judge = Judge {
            from: from_reader,
            grounds,
            settings: Settings {
                events_at_hand: config.engine.events_at_hand,
                kept_hot_us: i64::from(config.engine.kept_hot_h) * 3_600_000_000,
                whole_percent: config.engine.whole_percent,
                threads: config.engine.threads.unwrap_or(threads),
                ..Settings::default()
            },
            progress: progress.clone(),
            pulse,
            book: Book::new(store, lake.clone(), hub, app.hooks.clone(), origins.clone(), config.deadlines),
            saved: saved.clone(),
            history_days: config.engine.history_days,
        };
        let line = vec![
            part("keeper", &progress, move || {
                keeper.run();
                Ok(())
            })?,
            part("reader", &progress, move || {
                reader.run();
                Ok(())
            })?,
            part("judge", &progress, move || judge.run(history))?,
        ];
        let (over, wait) = mpsc::channel();
        let flusher = Flusher { lake, journal, saved, progress, days: config.lake.retention_days };
        let flusher = (over, thread("flusher", move || flusher.run(&wait))?);
        let senders = out::start(&app)?;
        let rounds = rounds(&app)?;
        let mut service = Service {
            app,
            address: config.web.listen,
            first_run,
            closing,
            doors: Vec::new(),
            intake: Some(intake.clone()),
            line,
            flusher: Some(flusher),
            senders,
            rounds,
        };
        service.open_doors(&config, intake, counters, sources, &data).await?;
        let keeping = housekeeper::run(service.app.clone(), service.closing.clone());
        service.doors.push(tokio::spawn(keeping));
        Ok(service)
    }

    /// Why the line does not go on, if it does not: then the service is to be closed and started again.
    pub fn stopped(&self) -> Option<&str> {
        self.app.progress.stopped.get().map(String::as_str)
    }

    /// Where the page listens.
    pub fn address(&self) -> std::net::SocketAddr {
        self.address
    }

    /// Where the first person makes their account, while there is nobody: to be printed where only whoever started the
    /// service reads it.
    pub fn first_run(&self) -> Option<String> {
        let token = self.first_run.as_ref()?;
        let web = &self.app.config.web;
        let at = match &web.public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => {
                let scheme = if web.tls.is_some() { "https" } else { "http" };
                format!("{scheme}://{}", self.address)
            }
        };
        Some(format!("{at}/first-run?token={}", token.expose()))
    }

    async fn open_doors(
        &mut self,
        config: &Arc<Config>,
        intake: Intake,
        counters: Counters,
        sources: Arc<Sources>,
        data: &Path,
    ) -> Result<(), StartError> {
        let gate: Arc<dyn Gate> = sources;
        let doors = Http {
            intake: intake.clone(),
            gate: gate.clone(),
            counters: counters.clone(),
            rates: Rates::default(),
            memory: Memory::default(),
            options: config.doors.http.clone(),
        };
        let whole = http::routes(self.app.clone()).merge(portreeve_doors::http::routes(doors.clone()));
        self.address = self.listen(config.web.listen, config.web.tls.as_ref(), whole).await?;
        self.app.accounts.listens(config.web.public_url.as_deref(), self.address);
        for listener in &config.doors.http_listen {
            let doors = Http { options: listener.doors.clone(), ..doors.clone() };
            let routes = portreeve_doors::http::routes(doors);
            self.listen(listener.listen, listener.tls.as_ref(), routes).await?;
        }
        let context = DoorContext {
            intake,
            gate,
            counters,
            state_dir: data.join("doors"),
            shutdown: self.closing.clone(),
        };
        for options in &config.doors.syslog {
            // What is wrong with a listener is said at the start.
            let mut bound = Some(syslog::Syslog::bind(options.clone(), context.clone()).await?);
            self.open_door(
                format!("syslog {}", options.listen),
                &context,
                options,
                move |options, context| {
                    let bound = bound.take();
                    async move {
                        match bound {
                            Some(door) => door.run().await,
                            None => syslog::run(options, context).await,
                        }
                    }
                },
            );
        }
        for at in &config.doors.lumberjack {
            let tls = tls_now(at.tls.as_ref(), &[])?;
            let door = Lumberjack::bind(at.door.clone(), tls, context.clone()).await?;
            self.doors.push(tokio::spawn(door.run()));
        }
        let doors = &config.doors;
        for options in &doors.follow {
            let name = format!("follow {}", options.paths.first().map_or("", String::as_str));
            self.open_door(name, &context, options, follow::run);
        }
        for options in &doors.journald {
            self.open_door(format!("journald {}", options.source), &context, options, journald::run);
        }
        for options in &doors.nats {
            self.open_door(format!("nats {}", options.source), &context, options, nats::run);
        }
        for options in &doors.s3_sqs {
            self.open_door(format!("s3_sqs {}", options.source), &context, options, s3_sqs::run);
        }
        for options in &doors.okta {
            self.open_door(format!("okta {}", options.source), &context, options, pull::okta::run);
        }
        for options in &doors.entra {
            self.open_door(format!("entra {}", options.source), &context, options, pull::entra::run);
        }
        #[cfg(feature = "kafka")]
        for options in &doors.kafka {
            let name = format!("kafka {}", options.source);
            self.open_door(name, &context, options, portreeve_doors::kafka::run);
        }
        Ok(())
    }

    fn open_door<O, F>(
        &mut self,
        name: String,
        context: &DoorContext,
        options: &O,
        mut run: impl FnMut(O, DoorContext) -> F + Send + 'static,
    ) where
        O: Clone + Send + 'static,
        F: Future<Output = Result<(), DoorError>> + Send + 'static,
    {
        let (options, entrances) = (options.clone(), self.app.entrances.clone());
        let run = move |context| run(options.clone(), context);
        self.doors.push(tokio::spawn(entrances::kept_open(name, context.clone(), entrances, run)));
    }

    async fn listen(
        &mut self,
        at: std::net::SocketAddr,
        tls: Option<&TlsOptions>,
        routes: axum::Router,
    ) -> Result<std::net::SocketAddr, StartError> {
        let listener = tokio::net::TcpListener::bind(at)
            .await
            .map_err(io(format!("cannot listen on {at} (does another program use the port?)")))?;
        let address = listener.local_addr().map_err(io(at.to_string()))?;
        let tls = tls_now(tls, &["h2", "http/1.1"])?;
        let closing = self.closing.clone();
        let limits = serve::ServeLimits::default();
        self.doors.push(tokio::spawn(serve::serve(listener, tls, routes, limits, closing)));
        Ok(address)
    }

    /// Closes the doors, judges what came through them, writes everything, and ends.
    pub async fn close(mut self) {
        self.closing.cancel();
        for door in self.doors.drain(..) {
            door.await.ok();
        }
        // The keeper ends when no door can reach it, the reader after the keeper, the judge after the reader.
        drop(self.intake.take());
        drop(self.app.intake.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.app.stop_renewing();
        let (line, flusher) = (std::mem::take(&mut self.line), self.flusher.take());
        let senders = std::mem::take(&mut self.senders);
        let (store, rounds, contain) = (self.app.store.clone(), self.rounds.take(), self.app.contain.clone());
        blocking(move || {
            if let Some(contain) = contain {
                contain.finish();
            }
            if let Some((over, rounds)) = rounds {
                drop(over);
                rounds.join().ok();
            }
            for part in line {
                part.join().ok();
            }
            if let Some((over, flusher)) = flusher {
                drop(over);
                flusher.join().ok();
            }
            out::end(senders);
            if let Err(error) = store.flush_audit() {
                tracing::error!(%error, "the last audit entries could not be written");
            }
        })
        .await;
    }
}

/// What is on disk.
struct Opened {
    store: Store,
    lake: Arc<Lake>,
    journal: Arc<Mutex<Journal>>,
    history: History,
    origins: Origins,
    grounds: Arc<Grounds>,
    dead: DeadLetters,
    sources: Arc<Sources>,
    /// The first record that is not everywhere yet.
    upto: u64,
    accounts: Accounts,
    /// While there is nobody.
    first_run: Option<Token>,
    contain: Option<Arc<Contain>>,
}

impl Opened {
    fn open(config: &Config, data: &Path, catalog: &'static Catalog) -> Result<Opened, StartError> {
        let grounds = Arc::new(grounds(config, catalog, 0)?);
        let location = location(config, data)?;
        let store = Store::open(&location, &data.join("evidence"), line::now().0)?;
        let lake = Arc::new(open_lake(config, data)?);
        let history = History::open(&data.join("history"), grounds.names.clone())?;
        let origins = Origins::open(&data.join("history"))?;
        let upto = history.upto().max(1).min(lake.through() + 1);
        let after = upto.saturating_sub(1).max(lake.through());
        let journal = Journal::open(&data.join("journal"), JournalOptions::default(), after)?;
        for damage in journal.torn() {
            tracing::warn!(%damage, "an unfinished write of a crash was cut off; nobody was told that it was stored");
        }
        let dead = data.join("dead");
        let dead = DeadLetters::open(&dead, config.doors.dead_bytes.unwrap_or(256 << 20))
            .map_err(io(dead.display().to_string()))?;
        let sources = Arc::new(Sources::default());
        sources.load(config, &store, line::now().0)?;
        let journal = Arc::new(Mutex::new(journal));
        let accounts = Accounts::open(data, config)?;
        let first_run = sign_in::offer_first_run(&store, line::now().0)?;
        let contain = config.respond.as_ref().map(|respond| {
            let every = Duration::from_secs(u64::from(respond.every_s));
            Contain::open(&respond.config, every).map(Arc::new).map_err(|e| StartError::Wrong(e.to_string()))
        });
        let contain = contain.transpose()?;
        let opened = Opened {
            store,
            lake,
            journal,
            history,
            origins,
            grounds,
            dead,
            sources,
            upto,
            accounts,
            first_run,
            contain,
        };
        Ok(opened)
    }
}

pub(crate) fn location(config: &Config, data: &Path) -> Result<Location, StartError> {
    let Some(url) = &config.store.url else { return Ok(Location::sqlite(data.join("store.db"))) };
    let location: Location = url.parse()?;
    Ok(match &config.store.password_file {
        Some(path) => {
            let password = std::fs::read_to_string(path).map_err(io(path.display().to_string()))?;
            location.with_password(password.trim_end())
        }
        None => location,
    })
}

fn rules(config: &Arc<Config>, sources: &Arc<Sources>, catalog: &'static Catalog) -> line::RulesOf {
    let (config, sources) = (config.clone(), sources.clone());
    Box::new(move |origin| {
        let (zone, product) = sources.declared(origin);
        let zone = Some(zone).filter(|z| !z.is_empty()).or_else(|| config.engine.zone.clone());
        OriginRules {
            zone: zone.and_then(|z| jiff::tz::TimeZone::get(&z).ok()),
            product: catalog.by_name(&product),
            year: config.engine.year,
        }
    })
}

/// The thread that holds devices to the ledger, where containment is configured.
fn rounds(app: &Arc<App>) -> Result<Option<Worker>, StartError> {
    let Some(contain) = app.contain.clone() else { return Ok(None) };
    contain.attach(app);
    let ((over, wait), app) = (mpsc::channel(), app.clone());
    let handle = thread("rounds", move || contain::rounds(&app, &contain, &wait))?;
    Ok(Some((over, handle)))
}

/// TLS as its files say at each connection.
fn tls_now(options: Option<&TlsOptions>, protocols: &[&str]) -> Result<Option<serve::TlsNow>, DoorError> {
    let Some(options) = options else { return Ok(None) };
    let tls = Tls::open(options.clone(), protocols)?;
    Ok(Some(Arc::new(move || tls.config())))
}

/// A thread of the line: where it fails or dies, the service says so and does not pretend to judge.
fn part(
    name: &'static str,
    progress: &Arc<Progress>,
    run: impl FnOnce() -> Result<(), portreeve_pipeline::history::HistoryError> + Send + 'static,
) -> Result<JoinHandle<()>, StartError> {
    struct Watched(&'static str, Arc<Progress>);
    impl Drop for Watched {
        fn drop(&mut self) {
            if std::thread::panicking() {
                self.1.stop(format!("{}: a defect of this program; the log has its place", self.0));
            }
        }
    }
    let watched = Watched(name, progress.clone());
    thread(name, move || {
        if let Err(error) = run() {
            watched.1.stop(format!("{}: {error}", watched.0));
        }
    })
}

pub(crate) fn thread(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StartError> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run).map_err(io(format!("thread {name}")))
}

/// On a thread that may block.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}
