//! Users, addresses, devices and gateways: what is usual, and what was.

use super::asked;
use crate::app::App;
use crate::desk::Fault;
use crate::desk::entity::{self, Entity, EntityInput, EntityKind};
use crate::http::input::{Asked, At};
use crate::http::route::{May, Route};
use crate::http::session::Signed;
use axum::Json;
use axum::extract::State;
use axum::routing::get;
use portreeve_access::permit::Verb;
use std::sync::Arc;

type Of = State<Arc<App>>;

macro_rules! entities {
    ($($handler:ident $kind:ident;)*) => {$(
        async fn $handler(
            State(app): Of,
            Signed(who): Signed,
            At(name): At<String>,
            Asked(input): Asked<EntityInput>,
        ) -> Result<Json<Entity>, Fault> {
            asked(app, move |app| entity::read(app, &who, (EntityKind::$kind, &name), &input)).await
        }
    )*};
}

entities! {
    user Users;
    address Addresses;
    device Devices;
    gateway Gateways;
}

pub(super) fn routes() -> Vec<Route> {
    let look = |path, id, title, handler| {
        Route::new(("get", path), (id, title), May::Do(Verb::EntityRead), handler)
            .query::<EntityInput>()
            .output::<Entity>()
    };
    vec![
        look("/users/{name}", "getUser", "An account: rhythm, places, devices, factors, sessions", get(user)),
        look("/addresses/{name}", "getAddress", "An address and who came from it", get(address)),
        look("/devices/{name}", "getDevice", "A device and who used it", get(device)),
        look("/gateways/{name}", "getGateway", "A gateway and who came through it", get(gateway)),
    ]
}
