//! The service as its peers see it.

mod browser;
mod document;
mod entrance;
// The provider of access's own tests.
#[expect(dead_code, reason = "what only access asks of it")]
#[path = "../../../access/tests/it/glewlwyd.rs"]
mod glewlwyd;
mod line;
mod provider;
mod receiver;
mod site;
mod walls;
mod webhooks;
mod work;
