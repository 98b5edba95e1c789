//! The API's document is whole, and the one that is kept is the one that is served.

use serde_json::Value;
use std::path::Path;

fn refs(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|v| refs(v, found));
        }
        Value::Array(list) => list.iter().for_each(|v| refs(v, found)),
        _ => {}
    }
}

#[test]
fn the_document_is_current_and_whole() {
    let document = portreeve_server::openapi();
    let mut found = Vec::new();
    refs(&document, &mut found);
    assert!(found.len() > 50);
    for one in found {
        let pointer = one.strip_prefix('#').unwrap_or_else(|| panic!("{one} leads elsewhere"));
        assert!(document.pointer(pointer).is_some(), "{one} leads nowhere");
    }
    let mut ids: Vec<&str> = Vec::new();
    for methods in document["paths"].as_object().expect("paths").values() {
        ids.extend(
            methods.as_object().expect("methods").values().map(|o| o["operationId"].as_str().expect("an id")),
        );
    }
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "an id names one operation");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/api/openapi.json");
    let text = serde_json::to_string_pretty(&document).expect("JSON") + "\n";
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, &text).expect("written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == text,
        "docs/api/openapi.json is not current: UPDATE=1 cargo test -p portreeve-server document"
    );
}
