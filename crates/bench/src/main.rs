//! Whole-job benchmarks: `portreeve hunt` as a user runs it, over generated days of each product.
//!
//! `cargo run --release -p portreeve-bench -- [--dir DIR] [--program PATH] [--threads N] [WORKLOAD…]` writes the
//! workloads where they are missing, hunts in each, and prints records per CPU-second, peak memory and wall time.
//! A second process per workload keeps the peaks apart. `live` loads a running service instead: see [`live`].
#![allow(clippy::print_stdout, reason = "the table is the result")]

mod contain;
mod evtx;
mod formats;
mod live;
mod workloads;

use anyhow::{Context, bail};
use nix::sys::resource::{UsageWho, getrusage};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

struct Options {
    dir: PathBuf,
    program: PathBuf,
    threads: u32,
    runs: u32,
    names: Vec<String>,
    /// Inner: hunt once in this workload and print the usage.
    one: bool,
}

fn options() -> anyhow::Result<Options> {
    let mut o = Options {
        dir: PathBuf::from("target/bench"),
        program: PathBuf::from("target/release/portreeve"),
        threads: 1,
        runs: 3,
        names: Vec::new(),
        one: false,
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().with_context(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--dir" => o.dir = value()?.into(),
            "--program" => o.program = value()?.into(),
            "--threads" => o.threads = value()?.parse().context("--threads needs a number")?,
            "--runs" => o.runs = value()?.parse().context("--runs needs a number")?,
            "--one" => o.one = true,
            name if !name.starts_with('-') => o.names.push(name.to_owned()),
            other => bail!("{other} is not an option; there are --dir, --program, --threads, --runs"),
        }
    }
    for name in &o.names {
        if !workloads::ALL.iter().any(|w| w.name == name) {
            let names: Vec<&str> = workloads::ALL.iter().map(|w| w.name).collect();
            bail!("there is no workload {name}; there are {}", names.join(", "));
        }
    }
    Ok(o)
}

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("formats") => return formats::run(&args.collect::<Vec<String>>()),
        Some("contain") => {
            let count = args.next().map_or(Ok(200), |n| n.parse()).context("contain COUNT")?;
            return contain::run(count);
        }
        Some("live") => return live::run(args.collect()),
        Some("evtx") => return evtx::run(&args.collect::<Vec<String>>()),
        _ => {}
    }
    let o = options()?;
    std::fs::create_dir_all(&o.dir)?;
    let chosen =
        || workloads::ALL.iter().filter(|w| o.names.is_empty() || o.names.iter().any(|n| n == w.name));
    if o.one {
        return chosen().try_for_each(|w| hunt_once(&o, w));
    }
    println!(
        "{:14} {:>9} {:>8} {:>7} {:>8} {:>8} {:>8} {:>7}",
        "workload", "records", "MB", "wall s", "CPU s", "k/CPU s", "goal", "MiB"
    );
    for w in chosen() {
        let path = o.dir.join(w.file);
        if !path.exists() {
            w.generate(&o.dir)?;
        }
        let bytes = std::fs::metadata(&path)?.len();
        let mut best: Option<[f64; 3]> = None;
        for _ in 0..o.runs {
            let out = Command::new(std::env::current_exe()?)
                .args(["--one", "--threads", &o.threads.to_string(), w.name, "--dir"])
                .arg(&o.dir)
                .arg("--program")
                .arg(&o.program)
                .output()?;
            if !out.status.success() {
                bail!("{}: {}", w.name, String::from_utf8_lossy(&out.stderr));
            }
            let text = String::from_utf8_lossy(&out.stdout).into_owned();
            let mut numbers = text.split_whitespace().filter_map(|n| n.parse().ok());
            let run = [(); 3].map(|()| numbers.next().unwrap_or(f64::NAN));
            if best.is_none_or(|b| run[1] < b[1]) {
                best = Some(run);
            }
        }
        let [wall, cpu, rss] = best.context("no run")?;
        println!(
            "{:14} {:>9} {:>8.0} {:>7.2} {:>8.2} {:>8.0} {:>8} {:>7.0}",
            w.name,
            w.records,
            bytes as f64 / 1e6,
            wall,
            cpu,
            w.records as f64 / cpu / 1e3,
            w.goal,
            rss
        );
    }
    Ok(())
}

/// Prints wall seconds, CPU seconds and the peak of resident memory in MiB.
fn hunt_once(o: &Options, w: &workloads::Workload) -> anyhow::Result<()> {
    let started = Instant::now();
    let status = Command::new(&o.program)
        .arg("hunt")
        .arg(o.dir.join(w.file))
        .args(["--threads", &o.threads.to_string(), "--format", "ndjson"])
        .stdout(Stdio::null())
        .status()
        .with_context(|| o.program.display().to_string())?;
    let wall = started.elapsed().as_secs_f64();
    if !status.success() {
        bail!("{status}");
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |t: nix::sys::time::TimeVal| t.tv_sec() as f64 + t.tv_usec() as f64 / 1e6;
    let cpu = seconds(usage.user_time()) + seconds(usage.system_time());
    println!("{wall:.3} {cpu:.3} {:.1}", usage.max_rss() as f64 / 1024.0);
    Ok(())
}
