//! The service as its peers see it.

mod approved;
mod ask;
mod backup;
mod benign;
mod browser;
mod containment;
mod document;
mod edge;
mod entity;
mod entrance;
// The provider of access's own tests.
#[expect(dead_code, reason = "what only access asks of it")]
#[path = "../../../access/tests/it/glewlwyd.rs"]
mod glewlwyd;
mod handed;
mod line;
mod operate;
mod pages;
mod passkeys;
mod provider;
mod proxies;
mod receiver;
mod sample;
mod site;
mod triage;
mod walls;
mod webhooks;
mod work;
