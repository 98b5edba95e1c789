//! From the last byte of an attack to its case in the list, under load.

use super::lines::story;
use super::load::{self, Sent, Way};
use super::service::Running;
use super::{Asked, Table, spread};
use anyhow::{Context, bail};
use jiff::Timestamp;
use std::io::Write;
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How often the list is asked; the figures are as coarse as that.
const LOOK: Duration = Duration::from_millis(100);
/// After that a case is missing.
const PATIENCE: Duration = Duration::from_secs(120);
/// Before the first story.
const WARM: Duration = Duration::from_secs(2);

struct Story {
    user: String,
    told: Instant,
    listed: Option<Duration>,
    escalated: Option<Duration>,
}

pub(super) fn run(asked: &Asked) -> anyhow::Result<()> {
    let cases = u32::try_from(asked.number("--cases", 100)?)?;
    let rate = asked.number("--rate", 1_000)? as f64 / 2.0;
    let during = asked.minutes()?;
    let age = Duration::from_millis(asked.number("--age-ms", 2_000)?);
    let service = Running::start(&asked.setup()?)?;
    service.ready(Duration::ZERO)?;
    let stories = Mutex::new(Vec::new());
    load::run(&service, Way::Syslog, asked, rate, false, &|sent| {
        let found = tell(&service, cases, age, during, sent)?;
        *stories.lock().map_err(|_| anyhow::anyhow!("a thread panicked"))? = found;
        Ok(())
    })?;
    let stories = stories.into_inner().map_err(|_| anyhow::anyhow!("a thread panicked"))?;
    let mut table = Table::default();
    let seconds = |of: &dyn Fn(&Story) -> Option<Duration>| -> Vec<f64> {
        stories.iter().filter_map(|s| of(s).map(|d| d.as_secs_f64())).collect()
    };
    for (name, mut times) in [
        ("attack told to case listed", seconds(&|s| s.listed)),
        ("attack told to escalation", seconds(&|s| s.escalated)),
    ] {
        let [median, high, most] = spread(&mut times);
        let of = format!("{} of {} stories: ", times.len(), stories.len());
        table.row(name, format!("{of}p50 {median:.2} s, p95 {high:.2} s, max {most:.2} s"));
    }
    table.print();
    if let Some(missing) = stories.iter().find(|s| s.escalated.is_none()) {
        bail!("the attack on {} is no case to escalate after {} s", missing.user, PATIENCE.as_secs());
    }
    Ok(())
}

/// Tells stories, evenly over the time of the load, and looks when each is listed.
fn tell(
    service: &Running,
    cases: u32,
    age: Duration,
    during: Duration,
    sent: &Sent,
) -> anyhow::Result<Vec<Story>> {
    let mut client = service.signed_in()?;
    let mut door = TcpStream::connect(service.syslog.first().context("no door")?)?;
    door.set_nodelay(true)?;
    let between = during.saturating_sub(WARM * 2) / cases.max(1);
    let begun = Instant::now();
    let mut stories: Vec<Story> = Vec::new();
    loop {
        let told = u32::try_from(stories.len())?;
        if told < cases && begun.elapsed() >= WARM + between * told {
            let (user, lines) = story(told, Timestamp::now(), age);
            let mut bytes = Vec::new();
            for line in &lines {
                write!(bytes, "{} {line}", line.len())?;
            }
            door.write_all(&bytes)?;
            sent.lines.fetch_add(lines.len() as u64, Ordering::Relaxed);
            sent.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            stories.push(Story { user, told: Instant::now(), listed: None, escalated: None });
        }
        let open = |s: &Story| s.escalated.is_none() && s.told.elapsed() < PATIENCE;
        if stories.iter().any(open) {
            let text = client.get("/api/v1/cases?order=updated&limit=200")?.good("cases")?.text();
            let page: serde_json::Value = serde_json::from_str(&text)?;
            for case in page["cases"].as_array().into_iter().flatten() {
                let principal = case["principal"].as_str().unwrap_or_default();
                let Some(story) = stories.iter_mut().find(|s| s.user == principal) else { continue };
                let after = story.told.elapsed();
                story.listed.get_or_insert(after);
                if case["decision"] == "escalate" {
                    story.escalated.get_or_insert(after);
                }
            }
        } else if told == cases {
            return Ok(stories);
        }
        std::thread::sleep(LOOK);
    }
}
