//! A route of the API with what the OpenAPI document says of it: one list makes both, so that neither lacks what the
//! other has.

use crate::app::App;
use crate::desk::Problem;
use axum::Router;
use axum::routing::MethodRouter;
use portreeve_access::permit::Verb;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

type Shape = fn(&mut SchemaGenerator) -> Value;

fn shape<T: JsonSchema>(all: &mut SchemaGenerator) -> Value {
    all.subschema_for::<T>().to_value()
}

/// Who may ask at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum May {
    /// Everybody, signed in or not.
    Everybody,
    /// Everybody who is signed in, and tokens.
    Signed,
    /// Whom the permit table allows this.
    Do(Verb),
}

pub(crate) struct Route {
    method: &'static str,
    path: &'static str,
    id: &'static str,
    title: &'static str,
    may: May,
    query: Option<Shape>,
    input: Option<Shape>,
    output: Option<Shape>,
    /// Rests on a revision.
    revision: bool,
    media: &'static str,
    handler: MethodRouter<Arc<App>>,
}

impl Route {
    pub(crate) fn new(
        (method, path): (&'static str, &'static str),
        (id, title): (&'static str, &'static str),
        may: May,
        handler: MethodRouter<Arc<App>>,
    ) -> Route {
        Route {
            method,
            path,
            id,
            title,
            may,
            query: None,
            input: None,
            output: None,
            revision: false,
            media: "application/json",
            handler,
        }
    }

    pub(crate) fn query<T: JsonSchema>(self) -> Route {
        Route { query: Some(shape::<T>), ..self }
    }

    pub(crate) fn input<T: JsonSchema>(self) -> Route {
        Route { input: Some(shape::<T>), ..self }
    }

    pub(crate) fn output<T: JsonSchema>(self) -> Route {
        Route { output: Some(shape::<T>), ..self }
    }

    pub(crate) fn revision(self) -> Route {
        Route { revision: true, ..self }
    }

    pub(crate) fn media(self, media: &'static str) -> Route {
        Route { media, ..self }
    }

    fn operation(&self, all: &mut SchemaGenerator) -> Value {
        let mut parameters: Vec<Value> = Vec::new();
        for part in self.path.split('/').filter_map(|p| p.strip_prefix('{')?.strip_suffix('}')) {
            let schema = if matches!(part, "step" | "hint" | "name" | "credential" | "digest" | "format") {
                json!({ "type": "string" })
            } else {
                json!({ "type": "integer" })
            };
            parameters.push(json!({ "name": part, "in": "path", "required": true, "schema": schema }));
        }
        if let Some(query) = self.query {
            parameters.extend(query_of(&query(all), all));
        }
        let changes = self.method != "get" && self.may != May::Everybody;
        if self.revision {
            parameters.push(json!({ "$ref": "#/components/parameters/IfMatch" }));
        }
        if changes {
            parameters.push(json!({ "$ref": "#/components/parameters/IdempotencyKey" }));
            parameters.push(json!({ "$ref": "#/components/parameters/CsrfToken" }));
        }
        let mut done = json!({ "description": "Done" });
        match self.output {
            Some(output) => done["content"] = json!({ self.media: { "schema": output(all) } }),
            None if self.media != "application/json" => {
                done["content"] = json!({ self.media: { "schema": { "type": "string" } } });
            }
            None => done["content"] = json!({ self.media: { "schema": {} } }),
        }
        let mut answers = Map::new();
        answers.insert("200".to_owned(), done);
        answers.insert("default".to_owned(), json!({ "$ref": "#/components/responses/Problem" }));
        let mut operation = json!({
            "operationId": self.id,
            "summary": self.title,
            "parameters": parameters,
            "responses": answers,
        });
        match self.may {
            May::Everybody => operation["security"] = json!([]),
            May::Signed => {}
            May::Do(verb) => operation["x-portreeve-verb"] = json!(verb.id()),
        }
        if let Some(input) = self.input {
            let schema = input(all);
            operation["requestBody"] = json!({
                "required": true,
                "content": { "application/json": { "schema": schema } },
            });
        }
        operation
    }
}

/// A query's fields as parameters.
fn query_of(schema: &Value, all: &SchemaGenerator) -> Vec<Value> {
    let name = schema["$ref"].as_str().and_then(|r| r.rsplit('/').next()).unwrap_or_default();
    let Some(properties) = all.definitions().get(name).and_then(|d| d["properties"].as_object()) else {
        return Vec::new();
    };
    let one = |(name, property): (&String, &Value)| {
        let mut schema = property.clone();
        let said = schema.as_object_mut().and_then(|s| s.remove("description"));
        // Left out, it is not null but absent.
        if let Some(kinds) = schema["type"].as_array() {
            schema["type"] = kinds.iter().find(|k| **k != "null").cloned().unwrap_or_default();
        }
        if let Some(map) = schema.as_object_mut() {
            map.remove("default");
        }
        let mut parameter = json!({ "name": name, "in": "query", "required": false, "schema": schema });
        if let Some(said) = said {
            parameter["description"] = said;
        }
        parameter
    };
    properties.iter().map(one).collect()
}

/// The router of all routes.
pub(crate) fn router(routes: Vec<Route>) -> Router<Arc<App>> {
    routes.into_iter().fold(Router::new(), |router, route| router.route(route.path, route.handler))
}

/// OpenAPI 3.1.
pub(crate) fn document(routes: &[Route]) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|s| s.definitions_path = "/components/schemas".into());
    let mut all = settings.into_generator();
    let problem = shape::<Problem>(&mut all);
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for route in routes {
        let operation = route.operation(&mut all);
        paths.entry(route.path).or_default().insert(route.method.to_owned(), operation);
    }
    let schemas = all.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Portreeve",
            "version": "1",
            "description": "Cases, and what people do with them. Changes of a case name the revision that they rest on; \
                a request with an Idempotency-Key may be sent twice and is done once. Errors are RFC 9457 documents.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/api/v1" }],
        "security": [{ "session": [] }, { "token": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "parameters": {
                "IfMatch": {
                    "name": "If-Match", "in": "header", "required": false,
                    "description": "The revision that the change rests on, in quotation marks. `revision` in the body does the same.",
                    "schema": { "type": "string" },
                },
                "IdempotencyKey": {
                    "name": "Idempotency-Key", "in": "header", "required": false,
                    "description": "Kept for a day: the second request with it gets the first one's answer.",
                    "schema": { "type": "string", "minLength": 1, "maxLength": 255 },
                },
                "CsrfToken": {
                    "name": "X-CSRF-Token", "in": "header", "required": false,
                    "description": "With a cookie: `csrf` of GET /session.",
                    "schema": { "type": "string" },
                },
            },
            "responses": {
                "Problem": {
                    "description": "Why it was not done",
                    "content": { "application/problem+json": { "schema": problem } },
                },
            },
            "securitySchemes": {
                "session": { "type": "apiKey", "in": "cookie", "name": "__Host-portreeve" },
                "token": { "type": "http", "scheme": "bearer" },
            },
        },
    })
}
