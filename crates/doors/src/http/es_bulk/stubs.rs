//! What shippers ask around `_bulk`: is it Elasticsearch, has it a licence, are templates and policies there. Nothing
//! here changes anything; documents are kept as they come, so templates, policies and pipelines have nothing to do.

use crate::json::quote;
use axum::http::{Method, StatusCode};

/// The answer, where there is one.
pub(super) fn answer(
    method: &Method,
    path: &[&str],
    version: &str,
    host: Option<&str>,
) -> Option<(StatusCode, Vec<u8>)> {
    let ok = |body: &str| Some((StatusCode::OK, body.as_bytes().to_vec()));
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let writes = matches!(*method, Method::PUT | Method::POST);
    match path {
        [] if reads => Some((StatusCode::OK, super::answers::info(version))),
        ["_license"] | ["_xpack", "license"] if reads => ok(LICENSE),
        ["_xpack"] if reads => ok(XPACK),
        ["_cluster", "health", ..] if reads => ok(HEALTH),
        ["_nodes", ..] if reads => Some((StatusCode::OK, nodes(version, host))),
        ["_cat", ..] if reads => ok(""),
        ["_ilm", "status"] if reads => ok(r#"{"operation_mode":"RUNNING"}"#),
        ["_alias", name] if reads => Some((StatusCode::OK, alias(name))),
        ["_index_template", ..] if reads => ok(r#"{"index_templates":[]}"#),
        ["_component_template", ..] if reads => ok(r#"{"component_templates":[]}"#),
        ["_data_stream", ..] if reads => ok(r#"{"data_streams":[]}"#),
        [admin, ..] if ADMIN.contains(admin) && reads => ok("{}"),
        [admin, _, ..] if ADMIN.contains(admin) && writes => ok(ACKNOWLEDGED),
        ["_refresh" | "_flush"] | [_, "_refresh" | "_flush"] if writes || reads => {
            ok(r#"{"_shards":{"total":1,"successful":1,"failed":0}}"#)
        }
        [index] if !index.starts_with('_') && reads => Some((StatusCode::OK, index_of(index))),
        [index] if !index.starts_with('_') && *method == Method::PUT => {
            let mut body = br#"{"acknowledged":true,"shards_acknowledged":true,"index":"#.to_vec();
            quote(index.as_bytes(), &mut body);
            body.push(b'}');
            Some((StatusCode::OK, body))
        }
        [index, "_alias" | "_aliases" | "_mapping" | "_settings", ..] if !index.starts_with('_') => {
            if reads {
                ok("{}")
            } else if writes {
                ok(ACKNOWLEDGED)
            } else {
                None
            }
        }
        _ => None,
    }
}

const ADMIN: [&str; 9] = [
    "_index_template",
    "_component_template",
    "_template",
    "_ilm",
    "_ingest",
    "_data_stream",
    "_alias",
    "_aliases",
    "_cluster",
];

const ACKNOWLEDGED: &str = r#"{"acknowledged":true}"#;

const LICENSE: &str = r#"{"license":{"status":"active","uid":"00000000-0000-0000-0000-000000000000","type":"basic","issue_date":"2025-01-01T00:00:00.000Z","issue_date_in_millis":1735689600000,"max_nodes":1000,"issued_to":"portreeve","issuer":"portreeve","start_date_in_millis":-1}}"#;

const XPACK: &str = r#"{"build":{"hash":"0000000000000000000000000000000000000000","date":"2025-01-01T00:00:00.000000000Z"},"license":{"uid":"00000000-0000-0000-0000-000000000000","type":"basic","mode":"basic","status":"active"},"features":{"ilm":{"available":true,"enabled":true},"monitoring":{"available":true,"enabled":false},"security":{"available":true,"enabled":true}},"tagline":"You know, for X"}"#;

const HEALTH: &str = r#"{"cluster_name":"portreeve","status":"green","timed_out":false,"number_of_nodes":1,"number_of_data_nodes":1,"active_primary_shards":1,"active_shards":1,"relocating_shards":0,"initializing_shards":0,"unassigned_shards":0,"delayed_unassigned_shards":0,"number_of_pending_tasks":0,"number_of_in_flight_fetch":0,"task_max_waiting_in_queue_millis":0,"active_shards_percent_as_number":100.0}"#;

/// One node, where the client found it: who asks for nodes (sniffing) would otherwise leave.
fn nodes(version: &str, host: Option<&str>) -> Vec<u8> {
    let mut body = br#"{"_nodes":{"total":1,"successful":1,"failed":0},"cluster_name":"portreeve","nodes":{"portreeve":{"name":"portreeve","roles":["data","ingest","master"],"version":"#.to_vec();
    quote(version.as_bytes(), &mut body);
    body.extend_from_slice(br#","http":{"publish_address":"#);
    quote(host.unwrap_or_default().as_bytes(), &mut body);
    body.extend_from_slice(b"}}}}");
    body
}

fn alias(name: &str) -> Vec<u8> {
    let mut body = b"{".to_vec();
    quote(format!("{name}-000001").as_bytes(), &mut body);
    body.extend_from_slice(br#":{"aliases":{"#);
    quote(name.as_bytes(), &mut body);
    body.extend_from_slice(br#":{"is_write_index":true}}}}"#);
    body
}

fn index_of(name: &str) -> Vec<u8> {
    let mut body = b"{".to_vec();
    quote(name.as_bytes(), &mut body);
    body.extend_from_slice(br#":{"aliases":{},"mappings":{},"settings":{}}}"#);
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_is_json_and_names_are_quoted() {
        let paths: [&[&str]; 12] = [
            &[],
            &["_license"],
            &["_xpack"],
            &["_cluster", "health"],
            &["_nodes", "http"],
            &["_index_template", "x"],
            &["_ilm", "policy", "x"],
            &["_ingest", "pipeline", "x"],
            &["_alias", "x\"y"],
            &["_data_stream", "x"],
            &["na\"me"],
            &["name", "_settings"],
        ];
        for path in paths {
            let (status, body) = answer(&Method::GET, path, "8.1.0", Some("a\"b")).expect("an answer");
            assert_eq!(status, StatusCode::OK);
            serde_json::from_slice::<serde_json::Value>(&body).unwrap_or_else(|e| panic!("{path:?}: {e}"));
        }
        assert!(answer(&Method::DELETE, &["logs"], "8.1.0", None).is_none());
        assert!(answer(&Method::POST, &["logs", "_search"], "8.1.0", None).is_none());
        assert!(answer(&Method::DELETE, &["_ilm", "policy", "x"], "8.1.0", None).is_none());
    }
}
