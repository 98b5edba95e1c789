//! TAXII 2.1 over the feed, for reading: discovery, one API root, one collection.

use super::stix::{self, Object};
use super::store::State;
use crate::transport::server::{Reply, Request};
use serde_json::{Value, json};

const TYPE: &str = "application/taxii+json;version=2.1";
const STIX: &str = "application/stix+json;version=2.1";
const ROOT: &str = "/taxii2/portreeve/";
/// The one collection; the same on every machine, so that a consumer's configuration survives a new one.
pub const COLLECTION: &str = "5f0d6b1e-8a53-4d5b-a0a1-7f3c3f4f8b21";
/// Objects in one answer, whatever is asked for.
const PAGE: usize = 1000;

/// An answer, and whether it brought its reader to the end of the collection.
pub struct Page {
    pub reply: Reply,
    pub complete: bool,
}

fn page(reply: Reply) -> Page {
    Page { reply, complete: false }
}

fn answer(status: u16, body: &Value) -> Reply {
    Reply::new(status).with("content-type", TYPE).body(body.to_string())
}

/// An error message of TAXII.
pub fn error(status: u16, title: &str) -> Reply {
    answer(status, &json!({"title": title, "http_status": status.to_string()}))
}

/// Answers a GET below `/taxii2/`.
pub fn get(request: &Request, state: &State) -> Page {
    if !acceptable(request.header("accept")) {
        return page(error(406, "TAXII 2.1 is spoken here: application/taxii+json;version=2.1"));
    }
    let path = request.path();
    if path == "/taxii2/" || path == "/taxii2" {
        return page(answer(
            200,
            &json!({
                "title": "Portreeve",
                "description": "Addresses of intruders that are blocked by approved actions",
                "default": ROOT,
                "api_roots": [ROOT],
            }),
        ));
    }
    let Some(rest) = path.strip_prefix(ROOT.trim_end_matches('/')) else {
        return page(error(404, "no such API root"));
    };
    let parts: Vec<&str> = rest.split('/').filter(|p| !p.is_empty()).collect();
    let (collection, rest) = match parts.as_slice() {
        [] => {
            return page(answer(
                200,
                &json!({"title": "Portreeve", "versions": [TYPE], "max_content_length": 0}),
            ));
        }
        ["collections"] => return page(answer(200, &json!({"collections": [collection()]}))),
        ["collections", id, rest @ ..] => (*id, rest),
        _ => return page(error(404, "no such resource")),
    };
    if collection != COLLECTION {
        return page(error(404, "no such collection"));
    }
    match rest {
        [] => page(answer(200, &self::collection())),
        ["objects"] => {
            list(request, state, None, |found| ("objects", found.iter().map(|o| o.json.clone()).collect()))
        }
        ["manifest"] => list(request, state, None, |found| {
            let manifest = found.iter().map(|o| {
                json!({"id": o.id, "date_added": stix::time(o.added), "version": o.version, "media_type": STIX})
            });
            ("objects", manifest.collect())
        }),
        ["objects", id] => list(request, state, Some(*id), |found| {
            ("objects", found.iter().map(|o| o.json.clone()).collect())
        }),
        ["objects", id, "versions"] => list(request, state, Some(*id), |found| {
            ("versions", found.iter().map(|o| Value::from(o.version.clone())).collect())
        }),
        _ => page(error(404, "no such resource")),
    }
}

fn collection() -> Value {
    json!({
        "id": COLLECTION,
        "title": "Blocked addresses",
        "description": "One indicator for each address, revoked when the block is taken back",
        "can_read": true,
        "can_write": false,
        "media_types": [STIX],
    })
}

/// Is TAXII 2.1, or anything, among what the client takes?
fn acceptable(accept: Option<&str>) -> bool {
    let Some(accept) = accept else { return true };
    accept.split(',').any(|one| {
        let mut parts = one.split(';').map(str::trim);
        let kind = parts.next().unwrap_or("");
        let version = parts.find_map(|p| p.strip_prefix("version="));
        matches!(kind, "*/*" | "application/*")
            || kind == "application/taxii+json" && matches!(version, None | Some("2.1"))
    })
}

/// What the query asks for.
struct Asked {
    after: Option<i64>,
    limit: usize,
    filtered: bool,
    ids: Option<Vec<String>>,
    types: Option<Vec<String>>,
    versions: Option<Vec<String>>,
}

impl Asked {
    fn read(request: &Request) -> Result<Asked, &'static str> {
        let words =
            |name: &str| request.query(name).map(|v| v.split(',').map(str::to_owned).collect::<Vec<_>>());
        let added_after = match request.query("added_after") {
            None => None,
            Some(text) => Some(
                text.parse::<jiff::Timestamp>().map_err(|_| "added_after is no timestamp")?.as_microsecond(),
            ),
        };
        let next = match request.query("next") {
            None => None,
            Some(text) => Some(text.parse::<i64>().map_err(|_| "next is none of ours")?),
        };
        let limit = match request.query("limit") {
            None => PAGE,
            Some(text) => match text.parse::<usize>() {
                Ok(n) if n > 0 => n.min(PAGE),
                _ => return Err("limit is no positive number"),
            },
        };
        if words("match[spec_version]").is_some_and(|v| !v.iter().any(|v| v == "2.1")) {
            return Ok(Asked {
                after: None,
                limit,
                filtered: true,
                ids: Some(Vec::new()),
                types: None,
                versions: None,
            });
        }
        let (ids, types, versions) = (words("match[id]"), words("match[type]"), words("match[version]"));
        Ok(Asked {
            after: added_after.max(next),
            limit,
            filtered: ids.is_some() || types.is_some(),
            ids,
            types,
            versions,
        })
    }

    fn takes(&self, object: &Object) -> bool {
        let among = |list: &Option<Vec<String>>, value: &str| {
            list.as_ref().is_none_or(|list| list.iter().any(|v| v == value))
        };
        self.after.is_none_or(|after| object.added > after)
            && among(&self.ids, &object.id)
            && among(&self.types, object.kind)
            // One version of each object is kept, which is its first and its last.
            && self.versions.as_ref().is_none_or(|list| {
                list.iter().any(|v| matches!(v.as_str(), "all" | "first" | "last") || *v == object.version)
            })
    }
}

fn list(
    request: &Request,
    state: &State,
    id: Option<&str>,
    shown: impl FnOnce(&[Object]) -> (&'static str, Vec<Value>),
) -> Page {
    let asked = match Asked::read(request) {
        Ok(asked) => asked,
        Err(why) => return page(error(400, why)),
    };
    let mut all = stix::objects(state);
    if let Some(id) = id {
        all.retain(|o| o.id == id);
        if all.is_empty() {
            return page(error(404, "no such object"));
        }
    }
    all.retain(|o| asked.takes(o));
    let more = all.len() > asked.limit;
    all.truncate(asked.limit);
    let (Some(first), Some(last)) = (all.first(), all.last()) else {
        return Page { reply: answer(200, &json!({})), complete: !asked.filtered && id.is_none() };
    };
    let (first, last) = (first.added, last.added);
    let (name, found) = shown(&all);
    let mut body = json!({"more": more, name: found});
    if let (true, Some(object)) = (more, body.as_object_mut()) {
        object.insert("next".into(), last.to_string().into());
    }
    let reply = answer(200, &body)
        .with("x-taxii-date-added-first", stix::time(first))
        .with("x-taxii-date-added-last", stix::time(last));
    Page { reply, complete: !more && !asked.filtered && id.is_none() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_takes() {
        for good in [
            None,
            Some("application/taxii+json;version=2.1"),
            Some("application/taxii+json; version=2.1"),
            Some("application/taxii+json"),
            Some("text/html, */*;q=0.1"),
        ] {
            assert!(acceptable(good), "{good:?}");
        }
        for bad in ["application/taxii+json;version=2.0", "text/html", ""] {
            assert!(!acceptable(Some(bad)), "{bad}");
        }
    }
}
