//! Users, addresses, devices and gateways.

use super::frame::Reader;
use crate::app::App;
use crate::desk::entity::{self, Entity, EntityInput, EntityKind, UsualThing};
use crate::http::input::see_other;
use crate::ui::{self, CaseLine, EntityView, Factor, Usual};
use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<App>> {
    let kinds = [EntityKind::Users, EntityKind::Addresses, EntityKind::Devices, EntityKind::Gateways];
    kinds.into_iter().fold(Router::new(), |router, kind| {
        let by_path = async move |State(app): State<Arc<App>>, Path(name): Path<String>, reader: Reader| {
            shown(app, kind, name, reader).await
        };
        // A name of dots alone cannot stand in a path.
        let by_query = async move |State(app): State<Arc<App>>, reader: Reader| {
            let name = reader.asked("name");
            if name.is_empty() { see_other("/queue") } else { shown(app, kind, name, reader).await }
        };
        router
            .route(&format!("/{}/{{name}}", kind.word()), get(by_path))
            .route(&format!("/{}", kind.word()), get(by_query))
    })
}

async fn shown(app: Arc<App>, kind: EntityKind, name: String, reader: Reader) -> Response {
    let days = reader.asked("days").parse().ok();
    reader
        .show(app, move |app, who, shell| {
            // Hours are those of the reader's clock, where one is chosen.
            let zone = Some(shell.zone_name()).filter(|z| z != "UTC");
            let input = EntityInput { days, to: None, zone };
            let view = view(entity::read(app, who, (kind, &name), &input)?);
            Ok(ui::entity(shell, &view))
        })
        .await
}

fn usual(things: Vec<UsualThing>) -> Vec<Usual> {
    let one = |t: UsualThing| Usual {
        name: t.name,
        sessions: t.sessions,
        first: t.first.0,
        last: t.last.0,
        suspect: t.suspect,
    };
    things.into_iter().map(one).collect()
}

fn view(entity: Entity) -> EntityView {
    let mut rhythm = [[0; 24]; 7];
    for (day, hours) in rhythm.iter_mut().zip(&entity.rhythm) {
        for (cell, n) in day.iter_mut().zip(hours) {
            *cell = *n;
        }
    }
    EntityView {
        kind: entity.kind,
        name: entity.name,
        facts: entity.facts.into_iter().map(|f| (f.what, f.is)).collect(),
        rhythm,
        rhythm_zone: entity.rhythm_zone,
        marked: entity.marked,
        places: usual(entity.places),
        networks: usual(entity.networks),
        devices: usual(entity.devices),
        users: usual(entity.users),
        factors: entity
            .factors
            .into_iter()
            .map(|f| Factor {
                at: f.at.0,
                what: f.what,
                user: f.user,
                factor: f.factor,
                from: f.from,
                unusual: f.unusual,
            })
            .collect(),
        sessions: entity.sessions,
        cases: entity
            .cases
            .into_iter()
            .map(|c| CaseLine {
                number: c.number,
                title: c.title,
                status: c.status,
                disposition: c.disposition,
                at: c.at.0,
            })
            .collect(),
        window: (entity.from.0, entity.to.0),
        missing: entity.missing,
    }
}
