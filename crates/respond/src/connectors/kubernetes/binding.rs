//! Bindings with and without a subject, and what to ask afterwards.

use super::subject::Subject;
use super::{RBAC, garbled, shown, text};
use crate::connector::Seen;
use crate::fault::Fault;
use crate::transport::http::Path;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A binding, as a plan keeps it: where it is, and which subjects are taken out of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Bound {
    /// Of a RoleBinding; a ClusterRoleBinding has none.
    pub(super) namespace: Option<String>,
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) removed: Vec<Value>,
}

/// Something that a binding allowed: the `resourceAttributes` of a review.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Probe {
    namespace: String,
    pub(super) verb: String,
    group: String,
    pub(super) resource: String,
    name: String,
}

#[derive(Default, Serialize, Deserialize)]
pub(super) struct Before {
    pub(super) bindings: Vec<Bound>,
    pub(super) probes: Vec<Probe>,
}

pub(super) fn before(seen: &Seen) -> Result<Before, Fault> {
    serde_json::from_value(seen.before.clone())
        .map_err(|e| Fault::Refused(format!("the plan does not say which bindings are meant: {e}")))
}

/// Does a binding carry the annotation of a step?
pub(super) fn marked(binding: &Value, mark: &str) -> bool {
    binding.pointer("/metadata/annotations").and_then(|a| a.get(mark)).is_some()
}

fn subjects(binding: &Value) -> &[Value] {
    binding.get("subjects").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The bindings that name the subject, with the `roleRef` of each.
pub(super) fn naming(subject: &Subject, all: &[Value]) -> Result<Vec<(Bound, Value)>, Fault> {
    let mut found = Vec::new();
    for binding in all {
        let namespace = text(binding, "/metadata/namespace");
        let removed: Vec<Value> =
            subjects(binding).iter().filter(|s| subject.is(s, namespace)).cloned().collect();
        if removed.is_empty() {
            continue;
        }
        let (Some(name), Some(uid)) = (text(binding, "/metadata/name"), text(binding, "/metadata/uid"))
        else {
            return Err(garbled("a binding without name and uid"));
        };
        let bound = Bound {
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
            uid: uid.to_owned(),
            removed,
        };
        found.push((bound, binding.get("roleRef").cloned().unwrap_or(Value::Null)));
    }
    found.sort_by(|(a, _), (b, _)| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    Ok(found)
}

/// What the first rules of a role allow, in a form that can be asked for.
pub(super) fn probes(role: &Value, namespace: &str) -> Vec<Probe> {
    let first = |rule: &Value, name: &str| text(rule, &format!("/{name}/0")).map(str::to_owned);
    let rules = role.get("rules").and_then(Value::as_array);
    rules
        .into_iter()
        .flatten()
        .filter_map(|rule| {
            Some(Probe {
                namespace: namespace.to_owned(),
                verb: first(rule, "verbs")?,
                group: first(rule, "apiGroups")?,
                resource: first(rule, "resources")?,
                name: first(rule, "resourceNames").unwrap_or_default(),
            })
        })
        .take(3)
        .collect()
}

impl Bound {
    pub(super) fn path(&self) -> Path {
        match &self.namespace {
            Some(namespace) => {
                let of = Path::new(RBAC).then("/namespaces").segment(namespace);
                of.then("/rolebindings").segment(&self.name)
            }
            None => Path::new(RBAC).then("/clusterrolebindings").segment(&self.name),
        }
    }

    pub(super) fn shown(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("RoleBinding {}/{}", shown(namespace), shown(&self.name)),
            None => format!("ClusterRoleBinding {}", shown(&self.name)),
        }
    }

    /// The binding without the subjects, with our annotation; nothing, where none of them is in it.
    pub(super) fn without(&self, binding: Value, mark: &str, case: &str) -> Result<Option<Value>, Fault> {
        let left: Vec<Value> =
            subjects(&binding).iter().filter(|s| !self.removed.contains(s)).cloned().collect();
        if left.len() == subjects(&binding).len() {
            return Ok(None);
        }
        self.write(binding, left, |annotations| {
            annotations.insert(mark.to_owned(), format!("a subject was taken out: {case}").into());
        })
    }

    /// The binding with the subjects again, without our annotation; nothing, where it is so already.
    pub(super) fn with(&self, binding: Value, mark: &str) -> Result<Option<Value>, Fault> {
        let mut whole = subjects(&binding).to_vec();
        whole.extend(self.removed.iter().filter(|s| !subjects(&binding).contains(s)).cloned());
        if marked(&binding, mark) {
            return self.write(binding, whole, |annotations| {
                annotations.remove(mark);
            });
        }
        if whole.len() == subjects(&binding).len() {
            return Ok(None);
        }
        Err(Fault::Refused(format!("{} no longer carries this step's annotation; it is left", self.shown())))
    }

    fn write(
        &self,
        mut binding: Value,
        subjects: Vec<Value>,
        annotate: impl FnOnce(&mut serde_json::Map<String, Value>),
    ) -> Result<Option<Value>, Fault> {
        let wrong = || garbled("a binding without metadata");
        let whole = binding.as_object_mut().ok_or_else(wrong)?;
        whole.insert("subjects".into(), subjects.into());
        let metadata = whole.get_mut("metadata").and_then(Value::as_object_mut).ok_or_else(wrong)?;
        let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
        if annotations.is_null() {
            *annotations = json!({});
        }
        annotate(annotations.as_object_mut().ok_or_else(wrong)?);
        Ok(Some(binding))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_subject_goes_and_only_under_our_annotation_it_comes_back() {
        let (anna, ben) = (json!({"kind": "User", "name": "anna"}), json!({"kind": "User", "name": "ben"}));
        let bound = Bound { namespace: None, name: "b".into(), uid: "u".into(), removed: vec![anna.clone()] };
        let binding = json!({"metadata": {"name": "b", "annotations": null}, "roleRef": {"name": "r"}, "subjects": [anna, ben]});
        let without = bound.without(binding.clone(), "mark", "case-1").unwrap().unwrap();
        assert_eq!(without["subjects"], json!([ben]));
        assert!(marked(&without, "mark") && !marked(&binding, "mark"));
        assert_eq!(bound.without(without.clone(), "mark", "case-1").unwrap(), None);
        let with = bound.with(without.clone(), "mark").unwrap().unwrap();
        assert_eq!(with["subjects"], json!([ben, anna]));
        assert!(!marked(&with, "mark"));
        assert_eq!(bound.with(with, "mark").unwrap(), None);
        assert!(matches!(bound.with(without, "other"), Err(Fault::Refused(_))));
    }

    #[test]
    fn rules_without_resources_cannot_be_asked_for() {
        let role = json!({"rules": [{"nonResourceURLs": ["/x"], "verbs": ["get"]},
                                    {"verbs": ["list"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["p"]}]});
        let probes = probes(&role, "build");
        assert_eq!(probes.len(), 1);
        assert_eq!(
            serde_json::to_value(&probes[0]).unwrap(),
            json!({"namespace": "build", "verb": "list", "group": "", "resource": "pods", "name": "p"})
        );
    }
}
