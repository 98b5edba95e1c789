//! `bench live`: the live service under load, as a process of its own on the same machine.
//!
//! What loads shares the processors with what is loaded; how much it took of them is said with each figure.

mod http;
mod latency;
mod lines;
mod load;
mod queue;
mod search;
mod service;

use anyhow::{Context, bail};
use load::Way;
use service::{Running, Setup};
use std::path::PathBuf;
use std::time::Duration;

const USAGE: &str = "portreeve-bench live WHAT [--program PATH] [OPTION VALUE …]
  syslog    --rate N --minutes M [--sources K] [--users U]   paced lines over TCP, one door for each source
  hec       --rate N --minutes M [--connections C] …         the same over Splunk's collector, batches of 500
  bulk      --rate N --minutes M [--connections C] …         the same over the bulk API
  overload  --rate N --minutes M [--backlog-mb B] …          more than it can: who waits, and what is lost
  latency   --rate N --cases C [--minutes M] [--age-ms A]    from an attack's last byte to its case, at half the rate
  queue     --cases N [--times T]                            the first page over N open cases
  search    --rows N [--days D] [--times T]                  one user, one week, over N rows
  idle      [--seconds S]                                    memory without input";

/// Options as they were typed.
pub(crate) struct Asked(Vec<(String, String)>);

const KNOWN: [&str; 13] = [
    "--program",
    "--rate",
    "--minutes",
    "--sources",
    "--users",
    "--connections",
    "--backlog-mb",
    "--cases",
    "--times",
    "--rows",
    "--days",
    "--seconds",
    "--age-ms",
];

impl Asked {
    fn parse(args: &[String]) -> anyhow::Result<Asked> {
        let mut all = Vec::new();
        for pair in args.chunks(2) {
            match pair {
                [name, value] if KNOWN.contains(&name.as_str()) => all.push((name.clone(), value.clone())),
                [name, ..] => bail!("{name}: no such option, or without a value\n{USAGE}"),
                [] => {}
            }
        }
        Ok(Asked(all))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().rfind(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    fn number(&self, name: &str, otherwise: u64) -> anyhow::Result<u64> {
        match self.text(name) {
            Some(text) => text.parse().with_context(|| format!("{name} {text}: a whole number is wanted")),
            None => Ok(otherwise),
        }
    }

    fn minutes(&self) -> anyhow::Result<Duration> {
        let minutes: f64 =
            self.text("--minutes").unwrap_or("1").parse().context("--minutes: a number is wanted")?;
        Ok(Duration::try_from_secs_f64(minutes * 60.0)?)
    }

    fn setup(&self) -> anyhow::Result<Setup> {
        Ok(Setup {
            program: PathBuf::from(self.text("--program").unwrap_or("target/release/portreeve")),
            sources: usize::try_from(self.number("--sources", 1)?.max(1))?,
            backlog_mb: self.text("--backlog-mb").map(str::parse).transpose().context("--backlog-mb")?,
            dir: None,
        })
    }
}

/// What is printed at the end: a name and a value a line.
#[derive(Default)]
struct Table(Vec<(&'static str, String)>);

impl Table {
    fn row(&mut self, name: &'static str, value: impl ToString) {
        self.0.push((name, value.to_string()));
    }

    fn print(&self) {
        for (name, value) in &self.0 {
            println!("{name:>30}  {value}");
        }
    }
}

/// Median, 95th of a hundred, and the greatest; in the unit that is given.
fn spread(times: &mut [f64]) -> [f64; 3] {
    times.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| {
        let n = (times.len().saturating_sub(1) as f64 * share).round() as usize;
        times.get(n).copied().unwrap_or(f64::NAN)
    };
    [at(0.5), at(0.95), at(1.0)]
}

pub(crate) fn run(args: Vec<String>) -> anyhow::Result<()> {
    let Some((what, rest)) = args.split_first() else { bail!("{USAGE}") };
    let asked = Asked::parse(rest)?;
    let loaded = |way: Way, stops: bool, setup: Setup| -> anyhow::Result<()> {
        let service = Running::start(&setup)?;
        service.ready(Duration::ZERO)?;
        let rate = asked.number("--rate", 1_000)? as f64;
        let outcome = load::run(&service, way, &asked, rate, stops, &|_| Ok(()))?;
        if outcome.judged != outcome.kept {
            bail!("{} records were kept and {} judged", outcome.kept, outcome.judged);
        }
        Ok(())
    };
    match what.as_str() {
        "syslog" => loaded(Way::Syslog, false, asked.setup()?),
        "hec" => loaded(Way::Hec, false, asked.setup()?),
        "bulk" => loaded(Way::Bulk, false, asked.setup()?),
        "overload" => {
            // So that it comes to it within a minute.
            let setup = asked.setup()?;
            loaded(Way::Syslog, true, Setup { backlog_mb: setup.backlog_mb.or(Some(64)), ..setup })
        }
        "latency" => latency::run(&asked),
        "queue" => queue::run(&asked),
        "search" => search::run(&asked),
        "idle" => idle(&asked),
        other => bail!("there is no measurement {other}\n{USAGE}"),
    }
}

/// Memory of a service that nobody speaks to.
fn idle(asked: &Asked) -> anyhow::Result<()> {
    let seconds = asked.number("--seconds", 60)?;
    let service = Running::start(&asked.setup()?)?;
    service.ready(Duration::ZERO)?;
    let before = service.cpu()?;
    std::thread::sleep(Duration::from_secs(seconds));
    let mut table = Table::default();
    table.row(
        "memory",
        format!(
            "{:.1} MiB after {seconds} s, peak {:.1} MiB",
            service.memory("VmRSS")?,
            service.memory("VmHWM")?
        ),
    );
    table.row("CPU", format!("{:.2} s of {seconds} s", service.cpu()? - before));
    table.print();
    Ok(())
}
