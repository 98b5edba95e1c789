//! Drawings in numbers: sessions along time, the map, who went where, the rhythm of a week. Each has a table as its twin.

use jiff::Timestamp;
use portreeve_report::wire;

/// Microseconds of a stamp of a case; a stamp that is none is 1970.
pub(super) fn micros(stamp: &str) -> i64 {
    stamp.parse::<Timestamp>().map_or(0, Timestamp::as_microsecond)
}

/// What a session without an end is drawn as.
const OPEN_US: i64 = 1_800_000_000;
const LEAST_US: i64 = 60_000_000;

/// Sessions along time, in thousandths of the width; names stand in the first quarter.
pub(super) struct Gantt {
    pub rows: Vec<Row>,
    pub height: usize,
    pub from: i64,
    pub to: i64,
}

pub(super) struct Row {
    pub id: String,
    pub x: i64,
    pub y: usize,
    pub width: i64,
    pub label: String,
    pub title: String,
    pub class: &'static str,
    /// The part in which the same account was there a second time: start and width.
    pub overlap: Option<(i64, i64)>,
    /// Ids of those sessions.
    pub with: String,
}

/// Lines of a drawing; the table has them all.
const ROWS: usize = 60;

pub(super) fn gantt(sessions: &[wire::Session]) -> Gantt {
    let span = |s: &wire::Session| {
        let start = micros(&s.start);
        (
            start,
            s.end
                .as_deref()
                .map_or(start.saturating_add(OPEN_US), micros)
                .max(start.saturating_add(LEAST_US)),
        )
    };
    let spans: Vec<(i64, i64)> = sessions.iter().map(span).collect();
    let from = spans.iter().map(|s| s.0).min().unwrap_or(0);
    let to = spans.iter().map(|s| s.1).max().unwrap_or(1).max(from.saturating_add(LEAST_US));
    let scale = |t: i64| {
        let part = i128::from(t - from) * 750 / i128::from(to - from);
        250 + i64::try_from(part).unwrap_or(0)
    };
    let mut rows = Vec::new();
    for (n, (s, &(a, b))) in sessions.iter().zip(&spans).enumerate() {
        let mut with = Vec::new();
        let mut shared: Option<(i64, i64)> = None;
        for (m, (o, &(c, d))) in sessions.iter().zip(&spans).enumerate() {
            let (first, last) = (a.max(c), b.min(d));
            if n != m && o.principal == s.principal && first < last {
                with.push(o.id.clone());
                shared = Some(shared.map_or((first, last), |(x, y)| (x.min(first), y.max(last))));
            }
        }
        let address = s.public_ips.first().map_or("", String::as_str);
        rows.push(Row {
            id: s.id.clone(),
            x: scale(a).min(994),
            y: n * 24 + 4,
            width: (scale(b) - scale(a)).max(6),
            label: short(&format!("{} {} {address}", s.id, s.service), 34),
            title: format!("{} to {}", s.start, s.end.as_deref().unwrap_or("no end logged")),
            class: if s.suspect { "suspect" } else { "usual" },
            overlap: shared.map(|(x, y)| (scale(x), (scale(y) - scale(x)).max(2))),
            with: with.join(", "),
        });
    }
    Gantt { height: rows.len().min(ROWS) * 24 + 24, rows, from, to }
}

impl Gantt {
    pub(super) fn overlaps_of(&self, id: &str) -> &str {
        self.rows.iter().find(|r| r.id == id).map_or("", |r| &r.with)
    }
}

fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

/// A place on the map: centre and radius in map units (half degrees).
pub(super) struct Mark {
    pub x: f64,
    pub y: f64,
    pub r: f64,
    pub label: String,
    pub class: &'static str,
    pub country: String,
    pub network: String,
    pub radius_km: u16,
    pub suspect: bool,
    pub sessions: usize,
}

pub(super) fn marks<'a>(sessions: impl Iterator<Item = &'a wire::Session>) -> Vec<Mark> {
    let mut all: Vec<Mark> = Vec::new();
    for s in sessions {
        let (Some(lat), Some(lon)) = (s.place.lat, s.place.lon) else { continue };
        let label = if s.place.city.is_empty() { &s.place.country } else { &s.place.city };
        if let Some(known) = all.iter_mut().find(|m| m.label == *label && m.suspect == s.suspect) {
            known.sessions += 1;
            continue;
        }
        all.push(Mark {
            x: (lon.clamp(-180.0, 180.0) + 180.0) * 2.0,
            y: (90.0 - lat.clamp(-90.0, 90.0)) * 2.0,
            // 111 km a degree, two units a degree; never too small to see.
            r: (f64::from(s.place.radius_km) / 111.0 * 2.0).max(3.0),
            label: label.clone(),
            class: if s.suspect { "mark suspect" } else { "mark usual" },
            country: s.place.country.clone(),
            network: format!("{} {}", s.place.as_name, s.place.network),
            radius_km: s.place.radius_km,
            suspect: s.suspect,
            sessions: 1,
        });
    }
    all
}

/// What happened in a case, in a few steps: from where, by which door, to which address inside, and what then.
pub(super) struct PathStep {
    pub kind: &'static str,
    pub what: String,
    pub time: String,
}

const STEPS: usize = 5;

pub(super) fn path(case: &wire::Case) -> Vec<PathStep> {
    let mut steps = Vec::new();
    let Some(s) = case.sessions.iter().find(|s| s.suspect) else { return steps };
    let mut add = |kind, what: String, time: &str| steps.push(PathStep { kind, what, time: time.to_owned() });
    if let Some(ip) = s.public_ips.first() {
        add("from", format!("{ip} {} {}", s.place.country, s.place.as_name), "");
    }
    add("login", format!("{} {}", s.service, s.gateway), &s.start);
    if let Some(ip) = s.tunnel_ips.first() {
        add("inside", ip.clone(), "");
    }
    let mut after: Vec<&wire::Indicator> =
        case.indicators.iter().filter(|i| micros(&i.time) >= micros(&s.start)).collect();
    after.sort_by_key(|i| micros(&i.time));
    let more = after.len().saturating_sub(STEPS);
    for i in after.into_iter().take(STEPS) {
        add("then", i.title.clone(), &i.time);
    }
    if more > 0 {
        add("then", format!("{more} more in the case"), "");
    }
    steps
}

/// One step of somebody from one place to another.
pub(crate) struct Hop {
    pub at: String,
    pub session: String,
    pub from: String,
    pub to: String,
    pub how: String,
    /// Column of `from` and of `to`: account, address, gateway, address inside.
    columns: (usize, usize),
}

/// Steps that are drawn, and that the table holds.
const HOPS: usize = 200;

/// From the sessions of a case, in time order.
pub(super) fn hops(case: &wire::Case) -> Vec<Hop> {
    let mut sessions: Vec<&wire::Session> = case.sessions.iter().filter(|s| s.suspect).collect();
    sessions.sort_by_key(|s| micros(&s.start));
    let mut all = Vec::new();
    for s in sessions {
        let mut add = |from: &str, to: &str, how: &str, columns| {
            all.push(Hop {
                at: s.start.clone(),
                session: s.id.clone(),
                from: from.to_owned(),
                to: to.to_owned(),
                how: how.to_owned(),
                columns,
            });
        };
        for ip in &s.public_ips {
            add(&s.principal, ip, "comes from", (0, 1));
            add(ip, &s.gateway, &s.service, (1, 2));
        }
        for ip in &s.tunnel_ips {
            add(&s.gateway, ip, "is given", (2, 3));
        }
    }
    all.truncate(HOPS);
    all
}

/// Places and the ways between them.
pub(super) struct Web {
    pub height: usize,
    pub nodes: Vec<Node>,
    pub ways: Vec<Way>,
}

pub(super) struct Node {
    pub x: usize,
    pub y: usize,
    pub label: String,
    column: usize,
    name: String,
}

pub(super) struct Way {
    pub x1: usize,
    pub y1: usize,
    pub x2: usize,
    pub y2: usize,
    pub number: usize,
}

const COLUMN: usize = 255;
const NODE_WIDTH: usize = 180;

pub(super) fn web(hops: &[Hop]) -> Web {
    let mut web = Web { height: 0, nodes: Vec::new(), ways: Vec::new() };
    for (n, hop) in hops.iter().enumerate() {
        let (x1, y1) = web.node(hop.columns.0, &hop.from);
        let (x2, y2) = web.node(hop.columns.1, &hop.to);
        web.ways.push(Way { x1: x1 + NODE_WIDTH, y1: y1 + 11, x2, y2: y2 + 11, number: n + 1 });
    }
    web.height = web.nodes.iter().map(|n| n.y).max().unwrap_or(0) + 32;
    web
}

impl Web {
    fn node(&mut self, column: usize, name: &str) -> (usize, usize) {
        if let Some(n) = self.nodes.iter().find(|n| n.column == column && n.name == name) {
            return (n.x, n.y);
        }
        let above = self.nodes.iter().filter(|n| n.column == column).count();
        let (x, y) = (column * COLUMN + 4, above * 34 + 4);
        self.nodes.push(Node { x, y, label: short(name, 26), column, name: name.to_owned() });
        (x, y)
    }
}

/// A week by hour.
pub(super) struct Heat {
    pub cells: Vec<Cell>,
}

pub(super) struct Cell {
    pub x: usize,
    pub y: usize,
    pub class: &'static str,
    /// Of one, in a thousand; how strong it is drawn.
    pub strength: String,
    pub title: String,
    pub is_marked: bool,
}

pub(super) const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

pub(super) fn heat(rhythm: &[[u32; 24]; 7], marked: &[(usize, usize)]) -> Heat {
    let most = rhythm.iter().flatten().copied().max().unwrap_or(0).max(1);
    let mut cells = Vec::new();
    for (day, hours) in rhythm.iter().enumerate() {
        for (hour, n) in hours.iter().enumerate() {
            cells.push(Cell {
                x: 40 + hour * 28,
                y: day * 24 + 4,
                class: if *n == 0 { "empty" } else { "cell" },
                strength: format!("{:.2}", 0.15 + 0.85 * f64::from(*n) / f64::from(most)),
                title: format!("{} {hour}:00: {n}", DAYS[day]),
                is_marked: marked.contains(&(day, hour)),
            });
        }
    }
    Heat { cells }
}
