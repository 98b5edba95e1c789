#[test]
fn write_configuration_docs() {
    let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    std::fs::write(docs.join("configuration.md"), portreeve_server::config::markdown()).unwrap();
    std::fs::write(docs.join("config-schema.json"), portreeve_server::config::schema()).unwrap();
}
