//! SQL and searches give the same answers over the same files.

use crate::sample::{MONDAY, Rng, all_pages, block, lake, rows};
use crate::search::queries;
use portreeve_lake::sql::{Sql, SqlOptions};
use portreeve_lake::{Fault, Query, account_key};
use portreeve_model::EventTime;
use portreeve_model::time::DAY_US;
use proptest::prelude::*;

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The same question in SQL.
fn statement(query: &Query) -> String {
    let mut parts = vec!["true".to_owned()];
    let micros = |t: EventTime| format!("arrow_cast({}, 'Timestamp(Microsecond, Some(\"UTC\"))')", t.0);
    if let Some(from) = query.from {
        parts.push(format!("time >= {}", micros(from)));
    }
    if let Some(to) = query.to {
        parts.push(format!("time < {}", micros(to)));
    }
    if let Some(user) = &query.user {
        parts.push(format!("user_key in ({}, {})", quoted(&user.to_lowercase()), quoted(&account_key(user))));
    }
    if let Some(address) = query.address {
        let text = quoted(&address.to_std().to_string());
        parts.push(format!("(src_ip = {text} or tun_ip = {text} or dst_ip = {text})"));
    }
    for (col, value) in [
        ("host", &query.host),
        ("observer", &query.observer),
        ("device", &query.device),
        ("sid", &query.session),
        ("source", &query.source),
        ("origin", &query.origin),
        ("act", &query.act),
        ("outcome", &query.outcome),
    ] {
        if let Some(value) = value {
            parts.push(format!("{col} = {}", quoted(value)));
        }
    }
    // SQL folds the case of all letters, a search only that of ASCII.
    if let Some(text) = query.text.as_ref().filter(|t| t.is_ascii()) {
        parts.push(format!("strpos(lower(raw), {}) > 0", quoted(&text.to_ascii_lowercase())));
    }
    if query.events_only {
        parts.push("act is not null".to_owned());
    }
    let order = if query.newest_first { "desc" } else { "asc" };
    format!(
        "select seq, part, coalesce(\"user\", ''), coalesce(host, ''), coalesce(raw, '') from events where {} \
         order by time {order}, seq {order}, part {order}",
        parts.join(" and ")
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn both_answer_the_same(seed in any::<u64>(), queries in prop::collection::vec(queries(), 10)) {
        let dir = tempfile::tempdir().expect("a directory");
        let lake = lake(dir.path());
        let rows = rows(seed, 400);
        for part in rows.chunks(150) {
            lake.push(block(part));
            lake.flush(part[part.len() - 1].seq).expect("flushed");
        }
        let sql = Sql::new(dir.path(), SqlOptions::default()).expect("DataFusion");
        for query in queries.iter().filter(|q| q.text.as_ref().is_none_or(|t| t.is_ascii())) {
            let view = lake.view();
            let found: Vec<Vec<String>> = all_pages(query, |q| view.search(q).expect("an answer"))
                .into_iter()
                .map(|r| vec![r.seq.to_string(), r.part.to_string(), r.user, r.host, String::from_utf8_lossy(&r.raw).into_owned()])
                .collect();
            let table = sql.query(&view, &statement(query)).expect("an answer");
            prop_assert_eq!(table.cells().expect("cells"), found);
        }
        lake.compact(EventTime(MONDAY + 30 * DAY_US)).expect("merged");
        let table = sql.query(&lake.view(), "select count(*), count(distinct user_key), sum(bytes_in) from events").expect("an answer");
        let mut users: Vec<&str> = rows.iter().map(|r| r.user_key.as_str()).filter(|u| !u.is_empty()).collect();
        users.sort_unstable();
        users.dedup();
        let bytes: u64 = rows.iter().map(|r| r.bytes_in).sum();
        prop_assert_eq!(table.cells().expect("cells"), [[rows.len().to_string(), users.len().to_string(), bytes.to_string()]]);
    }
}

#[test]
fn only_questions_are_answered_and_answers_leave_in_four_forms() {
    let dir = tempfile::tempdir().expect("a directory");
    let lake = lake(dir.path());
    let options = SqlOptions { most_rows: 5, ..SqlOptions::default() };
    let sql = Sql::new(dir.path(), options).expect("DataFusion");
    let ask = |text: &str| sql.query(&lake.view(), text);
    assert_eq!(ask("select * from events").expect("empty").rows(), 0);
    let mut row = crate::sample::row(&mut Rng(1), 1, 0, DAY_US);
    row.detail = "a\u{1b}[2J\u{202e}b".into();
    row.raw = b"\xff\xfe".to_vec();
    let many: Vec<_> = (1..=9).map(|seq| portreeve_lake::Row { seq, ..row.clone() }).collect();
    lake.push(block(&many));
    lake.flush(9).expect("flushed");
    let table = ask("select seq, detail, raw_bytes from events order by seq").expect("an answer");
    assert!(table.cut() && table.rows() == 5);
    let text = table.text().expect("text");
    assert!(text.starts_with("seq  detail") && text.contains("a\\u{1b}[2J\\u{202e}b"), "{text}");
    assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'));
    let mut json = Vec::new();
    table.json_lines(&mut json).expect("JSON");
    let first: serde_json::Value =
        serde_json::from_slice(json.split(|b| *b == b'\n').next().expect("a line")).expect("JSON");
    assert_eq!((first["seq"].as_u64(), first["raw_bytes"].as_str()), (Some(1), Some("fffe")));
    let (mut arrow, mut parquet) = (Vec::new(), Vec::new());
    table.arrow(&mut arrow).expect("Arrow");
    table.parquet(&mut parquet).expect("Parquet");
    assert!(arrow.starts_with(b"ARROW1") && parquet.starts_with(b"PAR1"));
    let secret = dir.path().join("secret.csv");
    std::fs::write(&secret, "a,b\n1,2\n").expect("written");
    for refused in [
        "drop table events".to_owned(),
        "create table x as select 1".to_owned(),
        "insert into events select * from events".to_owned(),
        format!("copy events to '{}'", dir.path().join("out.parquet").display()),
        format!("create external table x stored as csv location '{}'", secret.display()),
        format!("select * from '{}'", secret.display()),
        "set datafusion.execution.batch_size = 1".to_owned(),
        "select nothing".to_owned(),
    ] {
        assert!(matches!(ask(&refused), Err(Fault::Query(_))), "{refused}");
    }
}
