//! The live service: the same pipeline as of a hunt, fed by doors, with a page and an API.

mod app;
pub mod backup;
mod benign;
pub mod brief;
pub mod config;
pub mod contain;
mod dead;
pub mod desk;
mod entrances;
mod gate;
mod housekeeper;
mod http;
mod hub;
mod line;
mod out;
mod outward;
mod service;
pub mod ui;

pub use app::{App, Reread};
pub use http::openapi;
pub use line::{Grounds, Health, OriginHealth, Progress, Pulse};
pub use service::{Service, Start, StartError, lake_for_reading, rehearse};
