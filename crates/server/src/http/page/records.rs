//! Searches through all records.

use super::frame::Reader;
use crate::app::App;
use crate::desk::Fault;
use crate::desk::search::{self, SearchInput};
use crate::ui::{self, Hit, SearchView};
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use portreeve_model::Ip;
use serde_json::{Map, Value};
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/search", get(page))
}

async fn page(State(app): State<Arc<App>>, reader: Reader) -> Response {
    let (q, from, to, after) =
        (reader.asked("q"), reader.asked("from"), reader.asked("to"), reader.asked("after"));
    reader
        .show(app, move |app, who, shell| {
            let mut view = SearchView { q, from, to, ..SearchView::default() };
            if !view.q.is_empty() || !view.from.is_empty() || !view.to.is_empty() {
                match asked(&view.q, &view.from, &view.to, after)
                    .and_then(|input| search::search(app, who, &input))
                {
                    Ok(found) => {
                        view.read = format!("{} rows were read", found.looked_at);
                        view.next = found.next.unwrap_or_default();
                        view.hits = found.rows.iter().map(hit).collect();
                    }
                    Err(fault @ Fault::Invalid { .. }) => view.fault = fault.problem().detail,
                    Err(fault) => return Err(fault),
                }
            }
            Ok(ui::search(shell, &view))
        })
        .await
}

/// A day is from its midnight in UTC.
fn moment(text: &str) -> Option<String> {
    match text.len() {
        0 => None,
        10 => Some(format!("{text}T00:00:00Z")),
        _ => Some(text.to_owned()),
    }
}

/// What somebody typed: fields by name, addresses as such, and all else as text.
fn asked(q: &str, from: &str, to: &str, after: String) -> Result<SearchInput, Fault> {
    let mut input = SearchInput {
        from: moment(from),
        to: moment(to),
        after: Some(after).filter(|a| !a.is_empty()),
        ..SearchInput::default()
    };
    let mut words = Vec::new();
    for word in q.split_whitespace() {
        let named = word.split_once(':').filter(|(_, value)| !value.is_empty());
        let field = match named {
            Some(("user", _)) => &mut input.user,
            Some(("ip", _)) => &mut input.address,
            Some(("host", _)) => &mut input.host,
            Some(("gateway", _)) => &mut input.gateway,
            Some(("device", _)) => &mut input.device,
            Some(("session", _)) => &mut input.session,
            Some(("source", _)) => &mut input.source,
            Some(("act", _)) => &mut input.act,
            Some(("outcome", _)) => &mut input.outcome,
            _ if Ip::parse(word.as_bytes()).some().is_some() && input.address.is_none() => {
                input.address = Some(word.to_owned());
                continue;
            }
            _ => {
                words.push(word);
                continue;
            }
        };
        let value = named.map(|n| n.1.to_owned());
        if field.is_some() {
            return Err(Fault::invalid("q", format!("{word}: that field is given twice")));
        }
        *field = value;
    }
    if !words.is_empty() {
        input.text = Some(words.join(" "));
    }
    Ok(input)
}

fn hit(row: &Map<String, Value>) -> Hit {
    let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let first = |names: &[&str]| names.iter().map(|n| text(n)).find(|t| !t.is_empty()).unwrap_or_default();
    let number = |name: &str| row.get(name).and_then(Value::as_u64).unwrap_or(0);
    let kind = [text("act"), text("outcome")].join(" ").trim().to_owned();
    Hit {
        at: text("time").parse::<jiff::Timestamp>().map_or(0, |t| t.as_microsecond()),
        source: first(&["source", "origin"]),
        kind,
        user: text("user"),
        address: first(&["src_ip", "tun_ip", "dst_ip"]),
        place: format!("{}:{}", text("origin"), number("line")),
        raw: text("raw"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_addresses_and_words() {
        let input = asked("user:anna gateway:vpn1 203.0.113.9 mimikatz x:y", "2026-03-01", "", String::new())
            .expect("good");
        assert_eq!(input.user.as_deref(), Some("anna"));
        assert_eq!(input.gateway.as_deref(), Some("vpn1"));
        assert_eq!(input.address.as_deref(), Some("203.0.113.9"));
        assert_eq!(input.text.as_deref(), Some("mimikatz x:y"));
        assert_eq!(input.from.as_deref(), Some("2026-03-01T00:00:00Z"));
        let twice = asked("user:a user:b", "", "", String::new()).expect_err("twice");
        assert!(twice.to_string().contains("user:b"));
        // A second address is looked for in the text.
        assert_eq!(
            asked("10.0.0.1 10.0.0.2", "", "", String::new()).expect("good").text.as_deref(),
            Some("10.0.0.2")
        );
    }
}
