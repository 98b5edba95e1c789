//! `portreeve search` and `portreeve query`: the records that the service keeps, also while it runs.

#[cfg(feature = "sql")]
use crate::say;
use crate::{Failure, internal, usage};
use clap::Args;
use portreeve_lake::csv::cell;
use portreeve_model::untrusted::escape_for_terminal;
use portreeve_server::config::Config;
use portreeve_server::desk::search::{self, SearchInput};
use portreeve_server::lake_for_reading;
use std::io::Write;
use std::path::PathBuf;

/// Which service's records.
#[derive(Args)]
pub(crate) struct DataArgs {
    /// Folder of everything that the service keeps
    #[arg(long, value_name = "DIR", env = "PORTREEVE_DATA")]
    pub(crate) data: PathBuf,
    /// Its configuration (TOML): needed where records or cases lie elsewhere
    #[arg(long, value_name = "FILE", env = "PORTREEVE_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}

impl DataArgs {
    pub(crate) fn config(&self) -> Result<Config, Failure> {
        match &self.config {
            Some(path) => Config::read(path).map_err(usage),
            None => Ok(Config::default()),
        }
    }

    /// The same, of a folder that must be there.
    fn existing(&self) -> Result<Config, Failure> {
        if self.data.is_dir() {
            return self.config();
        }
        Err(usage(format!("{}: no such folder; it is what `serve --data` was given", self.data.display())))
    }
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    Table,
    /// An object a line
    Json,
    Csv,
    /// An Arrow IPC stream, for notebooks
    Arrow,
}

/// Search the records that the service keeps, by account, address, host or text
///
/// Reads the files of the data folder; the service may run. What came within the last quarter of a minute is not in files
/// yet. The service writes searches on its pages into the audit; what somebody does who has its files it cannot.
#[derive(Args)]
pub(crate) struct Search {
    #[command(flatten)]
    data: DataArgs,
    /// Account, with or without its realm
    #[arg(long)]
    user: Option<String>,
    /// Address from where, through which tunnel address, or to where
    #[arg(long)]
    address: Option<String>,
    #[arg(long)]
    host: Option<String>,
    #[arg(long)]
    device: Option<String>,
    #[arg(long)]
    session: Option<String>,
    /// Product (see `portreeve sources`)
    #[arg(long)]
    product: Option<String>,
    /// Where the record came in
    #[arg(long)]
    origin: Option<String>,
    /// What happened: login, session_start …
    #[arg(long)]
    act: Option<String>,
    /// Text somewhere in the record
    #[arg(long)]
    text: Option<String>,
    /// From this time on (2026-11-03T07:10:00Z)
    #[arg(long)]
    from: Option<String>,
    /// Before this time
    #[arg(long)]
    to: Option<String>,
    /// Events alone, not what gave none
    #[arg(long)]
    events: bool,
    #[arg(long)]
    oldest_first: bool,
    /// Rows at most
    #[arg(long, default_value_t = 100)]
    limit: usize,
    #[arg(long, value_enum, default_value = "table")]
    format: Form,
}

/// What a table shows of a row; the rest is in JSON.
const COLUMNS: [&str; 7] = ["time", "act", "outcome", "user", "src_ip", "host", "raw"];

impl Search {
    pub(crate) fn run(self) -> Result<u8, Failure> {
        let config = self.data.existing()?;
        let lake = lake_for_reading(&config, &self.data.data).map_err(usage)?;
        let mut input = SearchInput {
            from: self.from,
            to: self.to,
            user: self.user,
            address: self.address,
            host: self.host,
            device: self.device,
            session: self.session,
            source: self.product,
            origin: self.origin,
            act: self.act,
            text: self.text,
            events_only: Some(self.events),
            oldest_first: Some(self.oldest_first),
            ..SearchInput::default()
        };
        let mut out = std::io::stdout().lock();
        let mut left = self.limit;
        if self.format == Form::Arrow {
            return Err(usage("--format arrow is of `portreeve query`; here: table, json, csv"));
        }
        if self.format == Form::Csv {
            writeln!(out, "{}", COLUMNS.join(","))?;
        }
        while left > 0 {
            input.limit = Some(left.min(1_000));
            let page = search::over(&lake, &input).map_err(usage)?;
            for row in &page.rows {
                let text = |name: &str| match row.get(name) {
                    Some(serde_json::Value::String(text)) => text.clone(),
                    Some(other) => other.to_string(),
                    None => String::new(),
                };
                match self.format {
                    Form::Json => writeln!(out, "{}", serde_json::to_string(row).map_err(internal)?)?,
                    Form::Csv => writeln!(out, "{}", COLUMNS.map(|c| cell(&text(c))).join(","))?,
                    Form::Table | Form::Arrow => {
                        let cells = COLUMNS.map(|c| escape_for_terminal(&text(c)).to_string());
                        writeln!(out, "{}", cells.join("  ").trim_end())?;
                    }
                }
            }
            left -= page.rows.len().min(left);
            match page.next {
                Some(next) if !page.rows.is_empty() => input.after = Some(next),
                _ => break,
            }
        }
        out.flush()?;
        Ok(0)
    }
}

/// Ask the records that the service keeps in SQL (one table, `events`)
///
/// Reads the files of the data folder; the service may run. The columns: `portreeve query "describe events"`. In a notebook:
/// `portreeve query --format arrow "SELECT …"` writes an Arrow IPC stream to a pipe, which
/// `pyarrow.ipc.open_stream` reads.
#[derive(Args)]
pub(crate) struct Query {
    /// One statement that asks; nothing can be changed by it
    #[arg(value_name = "SQL")]
    sql: String,
    #[command(flatten)]
    data: DataArgs,
    #[arg(long, value_enum, default_value = "table")]
    format: Form,
    /// Rows at most; that some were left out is said
    #[arg(long, default_value_t = 1_000_000)]
    limit: usize,
    /// Seconds that the statement may take
    #[arg(long, default_value_t = 300)]
    seconds: u64,
}

impl Query {
    #[cfg(not(feature = "sql"))]
    pub(crate) fn run(self) -> Result<u8, Failure> {
        let Query { sql: _, data: _, format: _, limit: _, seconds: _ } = self;
        Err(usage(
            "this program was built without SQL, which takes minutes to compile: \
             cargo build --release -p portreeve --features sql; `portreeve search` needs no SQL",
        ))
    }

    #[cfg(feature = "sql")]
    pub(crate) fn run(self) -> Result<u8, Failure> {
        use portreeve_lake::sql::{Sql, SqlOptions};
        let config = self.data.existing()?;
        let lake = lake_for_reading(&config, &self.data.data).map_err(usage)?;
        let options = SqlOptions {
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            most_rows: self.limit,
            time: std::time::Duration::from_secs(self.seconds),
            ..SqlOptions::default()
        };
        // Beside what the service itself sets aside.
        let work = self.data.data.join("query-work");
        let sql = Sql::new(&work, options).map_err(internal)?;
        let table = sql.query(&lake.view(), &self.sql).map_err(usage)?;
        let out = std::io::BufWriter::new(std::io::stdout().lock());
        let written = match self.format {
            Form::Table => {
                drop(out);
                return say(&table.text().map_err(internal)?).inspect(|_| cut(&table));
            }
            Form::Json => table.json_lines(out),
            Form::Csv => table.csv(out),
            Form::Arrow => table.arrow_stream(out),
        };
        written.map_err(internal)?;
        cut(&table);
        Ok(0)
    }
}

#[cfg(feature = "sql")]
fn cut(table: &portreeve_lake::sql::Table) {
    if table.cut() {
        // Nothing sensible is left to do where even the error stream is closed.
        writeln!(std::io::stderr(), "portreeve: there are more rows; see --limit").ok();
    }
}
