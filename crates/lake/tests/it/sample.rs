//! Rows that tests write, and the plain way of searching them.

use portreeve_lake::object::Folder;
use portreeve_lake::{Block, Lake, LakeOptions, Query, Row, account_key};
use portreeve_model::EventTime;
use portreeve_model::time::{DAY_US, HOUR_US};
use std::path::Path;
use std::sync::Arc;

/// Monday, 2026-11-23.
pub(crate) const MONDAY: i64 = 1_795_392_000_000_000;

pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn pick(&mut self, of: &[&str]) -> String {
        of[self.below(of.len() as u64) as usize].to_owned()
    }
}

/// A lake whose files have many row groups though they are small.
pub(crate) fn lake(dir: &Path) -> Lake {
    let mut options = LakeOptions::new(&dir.join("work"));
    options.group_rows = 64;
    Lake::open(Arc::new(Folder::new(dir).expect("a folder")), options).expect("a lake")
}

/// A row whose fields come from few values, so that they meet.
pub(crate) fn row(rng: &mut Rng, seq: u64, part: u32, span: i64) -> Row {
    let user = rng.pick(&["ACME\\anna", "bob", "Carol@acme.example", "dave", ""]);
    let silent = rng.below(10) == 0;
    let text = |rng: &mut Rng, of: &[&str]| rng.pick(of);
    let raw = match rng.below(8) {
        0 => b"binary \xff\xfe FAILED".to_vec(),
        1 => Vec::new(),
        n => format!("record {seq} {n} {} by {user}", rng.pick(&["Failed", "accepted", "ÄÖ"])).into_bytes(),
    };
    // Many rows of one moment: the order must not depend on time alone.
    let time = MONDAY
        + i64::try_from(rng.below(span.unsigned_abs() / HOUR_US.unsigned_abs() * 4)).unwrap_or(0) * HOUR_US
            / 4;
    Row {
        time: EventTime(time),
        seq,
        part,
        arrival: EventTime(time + 5),
        key: rng.next(),
        certainty: "exact".into(),
        act: if silent { String::new() } else { text(rng, &["auth", "logon", "flow"]) },
        outcome: text(rng, &["success", "failure", ""]),
        reason: if silent { "truncated".into() } else { String::new() },
        source: text(rng, &["cisco_asa", "okta"]),
        user_key: account_key(&user),
        user,
        src_ip: text(rng, &["203.0.113.1", "203.0.113.2", "2001:db8::1", ""]),
        tun_ip: text(rng, &["10.8.0.1", "10.8.0.2", ""]),
        dst_ip: text(rng, &["10.0.0.1", "203.0.113.1", ""]),
        src_port: rng.below(3) as u32 * 1_000,
        host: text(rng, &["fw1", "fw2", ""]),
        observer: ["vpn1", "vpn2", ""][usize::try_from(seq % 3).expect("below 3")].into(),
        device: text(rng, &["laptop1", "laptop2", ""]),
        sid: text(rng, &["s1", "s2", "s3", ""]),
        detail: text(rng, &["", "x' or 1=1 --", "line\nbreak"]),
        lat: (rng.below(2) == 0).then_some(52.5),
        bytes_in: rng.below(2) * u64::from(u32::MAX) * 3,
        origin: text(rng, &["edge", "/var/log/auth.log"]),
        line: u32::try_from(seq).unwrap_or(0),
        offset: (seq * 100) | (1 << 60),
        raw,
        ..Row::default()
    }
}

pub(crate) fn rows(seed: u64, n: u64) -> Vec<Row> {
    let mut rng = Rng(seed);
    let mut rows = Vec::new();
    for seq in 1..=n {
        for part in 0..=u32::from(rng.below(6) == 0) {
            rows.push(row(&mut rng, seq, part, 3 * DAY_US));
        }
    }
    rows
}

pub(crate) fn block(rows: &[Row]) -> Block {
    let mut block = Block::new();
    rows.iter().for_each(|r| block.push_row(r));
    block
}

pub(crate) fn key(row: &Row) -> (EventTime, u64, u32) {
    (row.time, row.seq, row.part)
}

/// What a query means, said without cleverness.
pub(crate) fn matches(query: &Query, row: &Row) -> bool {
    let is = |wanted: &Option<String>, have: &str| wanted.as_ref().is_none_or(|w| w == have);
    let user = query
        .user
        .as_ref()
        .is_none_or(|u| row.user_key == u.trim().to_lowercase() || row.user_key == account_key(u));
    let address = query.address.is_none_or(|a| {
        let text = a.to_std().to_string();
        [&row.src_ip, &row.tun_ip, &row.dst_ip].contains(&&text)
    });
    let text = query.text.as_ref().is_none_or(|t| {
        let (raw, t) = (row.raw.to_ascii_lowercase(), t.to_ascii_lowercase().into_bytes());
        t.is_empty() || raw.windows(t.len()).any(|w| w == t)
    });
    query.from.is_none_or(|t| row.time >= t)
        && query.to.is_none_or(|t| row.time < t)
        && user
        && address
        && text
        && is(&query.host, &row.host)
        && is(&query.observer, &row.observer)
        && is(&query.device, &row.device)
        && is(&query.session, &row.sid)
        && is(&query.source, &row.source)
        && is(&query.origin, &row.origin)
        && is(&query.act, &row.act)
        && is(&query.outcome, &row.outcome)
        && !(query.events_only && row.act.is_empty())
}

/// All matching rows in the order of the query.
pub(crate) fn naive(query: &Query, rows: &[Row]) -> Vec<Row> {
    let mut found: Vec<Row> = rows.iter().filter(|r| matches(query, r)).cloned().collect();
    found.sort_by_key(key);
    if query.newest_first {
        found.reverse();
    }
    found
}

/// All pages, one behind the other.
pub(crate) fn all_pages(query: &Query, search: impl Fn(&Query) -> portreeve_lake::Page) -> Vec<Row> {
    let mut query = query.clone();
    let mut found = Vec::new();
    loop {
        let page = search(&query);
        assert!(page.rows.len() <= query.limit);
        found.extend(page.rows);
        match page.next {
            // As it would travel through a page of the browser.
            Some(next) => query.cursor = Some(next.to_string().parse().expect("a cursor")),
            None => return found,
        }
    }
}
