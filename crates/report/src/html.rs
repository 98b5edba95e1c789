//! One HTML file: opens offline, prints, no script, nothing from elsewhere. Every number opens its evidence.

use crate::actions::{Aftermath, Reentry, Sighting};
use crate::{Format, Hunted, wire};
use askama::Template;
use std::io::{self, Write};

pub(crate) static FORMAT: Format = Format { name: "html", file: "report.html", write };

/// The land outline, see `assets/README.md`.
pub const WORLD: &str = include_str!("../assets/world.path");

// The macro makes public items of the function.
#[allow(unreachable_pub)]
mod filters {
    /// An RFC 3339 time in UTC for the eye: to the second, `2026-03-06 12:57:22`.
    #[askama::filter_fn]
    pub(super) fn brief(time: impl std::fmt::Display, _: &dyn askama::Values) -> askama::Result<String> {
        Ok(time.to_string().chars().take(19).map(|c| if c == 'T' { ' ' } else { c }).collect())
    }
}

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    run: &'a wire::Run,
    cases: &'a [View],
    /// Cases closed by themselves: shown as a list only.
    closed: &'a [wire::Case],
    world: &'a str,
    understood: String,
    /// Every step that did not hold.
    ineffective: &'a [Reentry],
}

struct View {
    case: wire::Case,
    /// `None`: no ledger was read.
    done: Option<DoneView>,
    strip: Strip,
    marks: Vec<Mark>,
    groups: Vec<Bar>,
    /// Sessions that are not suspect.
    others: usize,
}

/// What was done about a case.
struct DoneView {
    after: Aftermath,
    open: Vec<String>,
    /// Those that got in first, then by time; the rest is counted.
    sightings: Vec<Sighting>,
    more: usize,
}

/// Sightings shown of a case.
const SIGHTINGS: usize = 50;

impl DoneView {
    fn of(case: &wire::Case, after: Aftermath) -> DoneView {
        let mut sightings = after.sightings.clone();
        sightings.sort_by_key(|s| !s.got_in);
        let more = sightings.len().saturating_sub(SIGHTINGS);
        sightings.truncate(SIGHTINGS);
        DoneView { open: after.open(case), sightings, more, after }
    }
}

/// Sessions along time, in units of a thousandth of the width.
struct Strip {
    rows: Vec<Row>,
    height: u32,
    from: String,
    to: String,
}

struct Row {
    x: u32,
    width: u32,
    y: u32,
    label: String,
    title: String,
    class: &'static str,
}

/// A place on the map: centre and radius in map units (half degrees).
struct Mark {
    x: f64,
    y: f64,
    r: f64,
    label: String,
}

struct Bar {
    name: String,
    db: f64,
    raw: f64,
    width: u32,
    class: &'static str,
}

fn write(hunted: &Hunted<'_>, to: &mut dyn Write) -> io::Result<()> {
    let cases = hunted.cases.iter().map(|c| hunted.wire(c));
    page(&wire::Run::from(hunted.report), cases, hunted.ineffective(), to)
}

pub(crate) fn page(
    run: &wire::Run,
    cases: impl Iterator<Item = wire::Case>,
    ineffective: &[Reentry],
    to: &mut dyn Write,
) -> io::Result<()> {
    // A closed case about which something was done, or by which a re-entry shows, is no line in a list.
    let (open, closed): (Vec<wire::Case>, Vec<wire::Case>) = cases.partition(|c| {
        c.decision != "close" || c.aftermath.is_some() || !c.containment_ineffective.is_empty()
    });
    let views: Vec<View> = open.into_iter().map(view).collect();
    let t = &run.totals;
    let known = t.understood + t.fragments + t.irrelevant;
    let understood = if t.records == 0 {
        "0".to_owned()
    } else {
        format!("{:.2}", known as f64 * 100.0 / t.records as f64)
    };
    let page = Page { run, cases: &views, closed: &closed, world: WORLD, understood, ineffective };
    page.write_into(&mut crate::guard::page(to))
}

fn view(mut case: wire::Case) -> View {
    let done = case.aftermath.take().map(|after| DoneView::of(&case, after));
    let strip = strip(&case);
    let marks = marks(&case);
    let groups = case
        .groups
        .iter()
        .map(|g| Bar {
            name: g.group.clone(),
            db: g.db,
            raw: g.raw_db,
            width: (g.db.abs() * 4.0).min(200.0) as u32,
            class: if g.db >= 0.0 { "for" } else { "against" },
        })
        .collect();
    let others = case.sessions.iter().filter(|s| !s.suspect).count();
    View { case, done, strip, marks, groups, others }
}

/// Seconds since the epoch of an RFC 3339 UTC stamp as this program writes it.
fn seconds(stamp: &str) -> i64 {
    let n = |a: usize, b: usize| stamp.get(a..b).and_then(|t| t.parse::<u32>().ok()).unwrap_or(0);
    let year = i32::try_from(n(0, 4)).unwrap_or(1970);
    portreeve_model::EventTime::from_civil(year, n(5, 7), n(8, 10), n(11, 13), n(14, 16), n(17, 19), 0).unix()
}

fn strip(case: &wire::Case) -> Strip {
    let spans: Vec<(i64, i64)> = case
        .sessions
        .iter()
        .map(|s| {
            let start = seconds(&s.start);
            (start, s.end.as_deref().map_or(start + 1_800, seconds).max(start + 60))
        })
        .collect();
    let from = spans.iter().map(|s| s.0).min().unwrap_or(0);
    let to = spans.iter().map(|s| s.1).max().unwrap_or(1).max(from + 60);
    // Names stand in the first quarter, bars in the rest.
    let scale = |t: i64| 250 + u32::try_from((t - from) * 750 / (to - from)).unwrap_or(0);
    let rows: Vec<Row> = case
        .sessions
        .iter()
        .zip(&spans)
        .enumerate()
        .map(|(n, (s, (a, b)))| Row {
            x: scale(*a).min(994),
            width: (scale(*b) - scale(*a)).max(6),
            y: u32::try_from(n).unwrap_or(0) * 24 + 4,
            label: format!("{} {} {}", s.id, s.service, s.public_ips.first().map_or("", String::as_str)),
            title: format!("{} to {}", s.start, s.end.as_deref().unwrap_or("no end logged")),
            class: if s.suspect { "suspect" } else { "usual" },
        })
        .collect();
    Strip {
        height: u32::try_from(rows.len()).unwrap_or(0) * 24 + 24,
        rows,
        from: portreeve_model::EventTime::from_unix(from).to_string(),
        to: portreeve_model::EventTime::from_unix(to).to_string(),
    }
}

fn marks(case: &wire::Case) -> Vec<Mark> {
    let mut all: Vec<Mark> = Vec::new();
    for s in &case.sessions {
        let (Some(lat), Some(lon)) = (s.place.lat, s.place.lon) else { continue };
        let label = format!("{} {}", s.place.city, if s.suspect { "(suspect)" } else { "(usual)" });
        if all.iter().any(|m| m.label == label) {
            continue;
        }
        // 111 km a degree, two units a degree; never too small to see.
        let r = (f64::from(s.place.radius_km) / 111.0 * 2.0).max(3.0);
        all.push(Mark { x: (lon + 180.0) * 2.0, y: (90.0 - lat) * 2.0, r, label });
    }
    all
}
