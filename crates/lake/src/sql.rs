//! SQL over the files of the lake, by DataFusion (feature `sql`).
//!
//! The files are one table, `events`; columns are those of [`crate::Row`], and `raw_bytes` where a record is no text.
//! Rows that still wait in memory are not in it: flush first. Questions only: nothing can be created, changed or written
//! by a statement, and no other file can be read.

mod files;
mod table;

use crate::columns::{Col, Kind};
use crate::fault::{Fault, Result};
use crate::lake::View;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::execution::context::SQLOptions;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::prelude::{SessionConfig, SessionContext};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
pub use table::Table;
use tokio::runtime::{Builder, Runtime};

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SqlOptions {
    pub threads: usize,
    /// Memory of all statements that run; what needs more is written aside, or fails.
    pub memory: usize,
    /// Rows of an answer; the rest is left out, and [`Table::cut`] says so.
    pub most_rows: usize,
    pub time: Duration,
}

impl Default for SqlOptions {
    fn default() -> Self {
        SqlOptions { threads: 2, memory: 1 << 30, most_rows: 1_000_000, time: Duration::from_secs(300) }
    }
}

/// Answers statements. Footers stay in its memory from one to the next.
pub struct Sql {
    options: SqlOptions,
    env: Arc<RuntimeEnv>,
    runtime: Runtime,
    number: AtomicU64,
}

impl Sql {
    /// `work` is a folder for what does not fit into memory.
    pub fn new(work: &Path, options: SqlOptions) -> Result<Sql> {
        let aside = work.join("sql");
        std::fs::create_dir_all(&aside).map_err(|e| Fault::io(&aside, e))?;
        let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Directories(vec![aside]));
        let env = RuntimeEnvBuilder::new()
            .with_memory_limit(options.memory, 0.9)
            .with_disk_manager_builder(disk)
            .build_arc()
            .map_err(|e| Fault::Query(e.to_string()))?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(options.threads.max(1))
            .thread_name("lake-sql")
            .enable_all()
            .build()
            .map_err(|e| Fault::io(work, e))?;
        Ok(Sql { options, env, runtime, number: AtomicU64::new(0) })
    }

    /// One statement over the files of a view.
    pub fn query(&self, view: &View, sql: &str) -> Result<Table> {
        let base = format!("lake://v{}", self.number.fetch_add(1, Ordering::Relaxed));
        let url = ListingTableUrl::parse(format!("{base}/")).map_err(|e| Fault::Query(e.to_string()))?;
        let store = url.object_store();
        self.env.register_object_store(store.as_ref(), Arc::new(files::Files::new(view)));
        let (env, options, view, sql) =
            (self.env.clone(), self.options.clone(), view.clone(), sql.to_owned());
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        self.runtime.spawn(async move {
            let answer = tokio::time::timeout(options.time, run(env, &options, &view, &base, &sql)).await;
            let late = || Err(Fault::Query(format!("no answer within {:?}; ask for less", options.time)));
            // The one who asked is waiting.
            tell.send(answer.unwrap_or_else(|_| late())).ok();
        });
        let answer = told.recv().unwrap_or(Err(Fault::Thread));
        self.env.deregister_object_store(store.as_ref()).ok();
        answer
    }
}

async fn run(
    env: Arc<RuntimeEnv>,
    options: &SqlOptions,
    view: &View,
    base: &str,
    sql: &str,
) -> Result<Table> {
    let wrong = |e: datafusion::error::DataFusionError| Fault::Query(e.strip_backtrace());
    let mut config =
        SessionConfig::new().with_target_partitions(options.threads.max(1)).with_information_schema(true);
    // Footers are read when a statement needs them, not all of them before.
    config.options_mut().execution.collect_statistics = false;
    let parquet = &mut config.options_mut().execution.parquet;
    parquet.pushdown_filters = true;
    parquet.reorder_filters = true;
    parquet.schema_force_view_types = false;
    let context = SessionContext::new_with_config_rt(config, env);
    let paths: Vec<ListingTableUrl> = view
        .manifest
        .files
        .iter()
        .map(|f| ListingTableUrl::parse(format!("{base}/{}", f.entry.path)))
        .collect::<Result<_, _>>()
        .map_err(wrong)?;
    let table: Arc<dyn TableProvider> = if paths.is_empty() {
        Arc::new(MemTable::try_new(schema(), vec![vec![]]).map_err(wrong)?)
    } else {
        let listing = ListingOptions::new(Arc::new(ParquetFormat::default())).with_file_extension("parquet");
        let config = ListingTableConfig::new_with_multi_paths(paths)
            .with_listing_options(listing)
            .with_schema(schema());
        Arc::new(ListingTable::try_new(config).map_err(wrong)?)
    };
    context.register_table("events", table).map_err(wrong)?;
    let only_questions =
        SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    let frame = context.sql_with_options(sql, only_questions).await.map_err(wrong)?;
    let schema = Arc::new(frame.schema().as_arrow().clone());
    let frame = frame.limit(0, Some(options.most_rows.saturating_add(1))).map_err(wrong)?;
    let batches = frame.collect().await.map_err(wrong)?;
    Ok(Table::new(schema, batches, options.most_rows))
}

/// The columns of a file, as Arrow has them.
fn schema() -> SchemaRef {
    let mut fields: Vec<Field> = Col::ALL
        .iter()
        .map(|col| {
            let (kind, null) = match col.kind() {
                Kind::Moment => (DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
                Kind::Number => (DataType::Int64, false),
                Kind::Count => (DataType::Int64, true),
                Kind::Small => (DataType::Int32, true),
                Kind::Real => (DataType::Float32, true),
                Kind::Text | Kind::Raw => (DataType::Utf8, true),
            };
            Field::new(col.name(), kind, null)
        })
        .collect();
    fields.push(Field::new("raw_bytes", DataType::Binary, true));
    Arc::new(Schema::new(fields))
}
